/* einsum(x[b, s, d] * w[f, d] -> [b, s, f]): sums of products by index names. Indices that are absent
 * on the right are summed; products of more than two factors contract from the left, keeping the
 * indices that are still needed. An index may be looked up, w[idx[b, k], f, d]: then what is left of
 * w for each (b, k) is a matrix, and the product a routed one, or a vector, which is gathered. What is
 * looked up may be arithmetic, k[b, pos[b] + path[b, a], d], and share indices with its factor, as b
 * here: then it is gathered from the axes that both have, seen as one. */
#include "frontend/build.h"

#include <string.h>

enum { FACTORS = 6, LETTERS = 26 };
typedef struct Factor {
	const Ast *ast;
	Node *node;
	Node *lookup; /* i32 tensor that gives the index along dim 0 of node, or NULL */
	uint32_t n_lookup;
	char index[2 * MAX_RANK + 1]; /* of the lookup, then those of node's other dims */
	Span span;
} Factor;
typedef struct Sum {
	Build *b;
	const Ast *call;
	const char *name[LETTERS];
	Dim size[LETTERS];
	uint32_t n;
	Factor factor[FACTORS];
	uint32_t n_factor;
} Sum;

/* What stands for an index: a size, or an i32 tensor with indices of its own. */
typedef struct Looked {
	Item item;
	char index[LETTERS + 1]; /* "" of a size */
} Looked;

static bool letter(Sum *s, const Ast *e, char *out)
{
	if (e->kind != AST_NAME) {
		complain(s->b, e->span, "an index of einsum is a name, or a tensor with its own indices");
		return false;
	}
	for (uint32_t i = 0; i < s->n; i++)
		if (s->name[i] == e->name) {
			*out = (char)('a' + i);
			return true;
		}
	if (s->n == LETTERS) {
		complain(s->b, e->span, "einsum has at most %d indices", LETTERS);
		return false;
	}
	s->name[s->n] = e->name;
	*out = (char)('a' + s->n++);
	return true;
}

static const char *name_of(const Sum *s, char c)
{
	return s->name[c - 'a'];
}

/* The index that e names for a dim of size `have` of x; appends it to the factor. */
static bool add_index(Sum *s, Factor *f, const Item *x, const Ast *e, Dim have)
{
	Build *b = s->b;
	char c;
	if (!letter(s, e, &c)) return false;
	uint32_t k = (uint32_t)(c - 'a');
	if (strchr(f->index, c)) {
		complain(b, e->span, "a factor names the index %s twice", s->name[k]);
		return false;
	}
	f->index[strlen(f->index)] = c;
	if (!s->size[k]) s->size[k] = have;
	if (dims_equal(b, s->size[k], have)) return true;
	Diag *m = complain(b, e->span, "index %s is %s here and %s before", s->name[k],
	                   dim_text(b->arena, have), dim_text(b->arena, s->size[k]));
	note_origin(b, m, x, NULL);
	return false;
}

static bool check_rank(Sum *s, const Ast *e, const Item *x, const Node *n)
{
	if (n->type.rank == e->list.n) return true;
	Diag *m = complain(s->b, e->span, "%zu indices for %s", (size_t)e->list.n,
	                   type_text(s->b->arena, &n->type));
	note_origin(s->b, m, x, NULL);
	return false;
}

/* --- reading the factors --- */

/* The names of all indices: whatever stands alone in brackets, also in those of a lookup. */
static bool collect(Sum *s, const Ast *e)
{
	char c;
	if (!e) return true;
	if (e->kind == AST_BINARY || e->kind == AST_UNARY) return collect(s, e->a) && collect(s, e->b);
	for (size_t i = 0; e->kind == AST_INDEX && i < e->list.n; i++) {
		const Ast *own = e->list.at[i];
		if (own->kind == AST_NAME ? !letter(s, own, &c) : !collect(s, own)) return false;
	}
	return true;
}

/* x[i, j]: what stands before the brackets, and the dims of its plain indices. */
static bool open_factor(Sum *s, Factor *f, const Ast *e)
{
	Build *b = s->b;
	Item x = eval(b, e->a);
	if (x.kind == ITEM_DIM && ragged_find(b, x.dim)) x = item_node(ragged_find(b, x.dim)->rows);
	*f = (Factor){.ast = e, .span = e->span};
	f->node = need_tensor(b, &x, e->a->span, "a factor of einsum");
	if (!f->node || !check_rank(s, e, &x, f->node)) return false;
	for (uint32_t i = 0; i < e->list.n; i++)
		if (e->list.at[i]->kind == AST_NAME &&
		    !add_index(s, f, &x, e->list.at[i], f->node->type.dim[i]))
			return false;
	return true;
}

static bool add_factor(Sum *s, const Ast *e)
{
	Build *b = s->b;
	if (e->kind == AST_BINARY && e->op == '*') return add_factor(s, e->a) && add_factor(s, e->b);
	if (e->kind != AST_INDEX) {
		complain(b, e->span, "a factor of einsum is written  x[i, j]");
		return false;
	}
	if (s->n_factor == FACTORS) {
		complain(b, e->span, "einsum has at most %d factors", FACTORS);
		return false;
	}
	return open_factor(s, &s->factor[s->n_factor++], e);
}

/* Sums away the indices of a factor that `keep` lacks, then puts the rest in the order of keep. */
static Node *reduce_to(Build *b, Factor *f, const char *keep, Span at)
{
	int64_t axes[2 * MAX_RANK], perm[2 * MAX_RANK];
	char left[2 * MAX_RANK + 1] = "";
	uint32_t n = 0, rank = 0;
	for (uint32_t i = 0; f->index[i]; i++) {
		if (strchr(keep, f->index[i]))
			left[rank++] = f->index[i];
		else
			axes[n++] = i;
	}
	Node *x = n ? emit_reduce(b, OP_REDUCE, "sum", f->node, n, axes, false, at) : f->node;
	for (uint32_t i = 0; keep[i]; i++)
		perm[i] = strchr(left, keep[i]) ? strchr(left, keep[i]) - left : 0;
	return emit_transpose(b, x, perm, at);
}

/* --- looked-up factors --- */

static void append(char *to, char c)
{
	size_t n = strlen(to);
	to[n] = c;
	to[n + 1] = 0;
}

static Dim sizes(const Sum *s, const char *letters)
{
	Dim d = dim_const(s->b->m->dims, 1);
	for (; *letters; letters++) d = dim_mul(s->b->m->dims, d, s->size[*letters - 'a']);
	return d;
}

/* Brings the dims named `have` into the order of `want`, which may have more: those are broadcast. */
static Node *spread(Sum *s, Node *x, const char *have, const char *want, Span at)
{
	Build *b = s->b;
	int64_t perm[MAX_RANK] = {0};
	Dim ones[MAX_RANK], full[MAX_RANK];
	uint32_t n = 0, rank = (uint32_t)strlen(want);
	for (uint32_t i = 0; i < rank; i++) {
		const char *where = strchr(have, want[i]);
		full[i] = s->size[want[i] - 'a'];
		ones[i] = where ? full[i] : dim_const(b->m->dims, 1);
		if (where) perm[n++] = where - have;
	}
	x = emit_transpose(b, x, perm, at);
	if (x && n < rank) x = emit_reshape(b, x, rank, ones, at);
	return n < rank ? emit_broadcast(b, x, rank, full, at) : x;
}

/* What is looked up, as a tensor: rows of the table, one for each index. */
static bool gather(Sum *s, Factor *f)
{
	if (!f->lookup) return true;
	if (strlen(f->index) > MAX_RANK) {
		complain(s->b, f->span, "this factor has more than %d dims once it is looked up", MAX_RANK);
		return false;
	}
	Node *n = node_new(s->b->m, OP_GATHER, 2, (Node *[]){f->node, f->lookup}, f->span);
	attr_int(n, "axis", 0);
	attr_str(n, "check", failed_index(s->b, f->lookup, span_none(), f->span, 0));
	f->node = emit(s->b, n);
	f->lookup = NULL;
	return f->node != NULL;
}

static Node *counter(Sum *s, char c, Span at)
{
	Node *n = node_new(s->b->m, OP_IOTA, 0, NULL, at);
	attr_dims(s->b->m, n, "dims", 1, &s->size[c - 'a']);
	attr_int(n, "axis", 0);
	return emit(s->b, n);
}

static bool look_up(Sum *s, Factor *f);
static Looked looked(Sum *s, const Ast *e);

/* An index by its name in arithmetic: 0, 1, 2, .. False: the name is none. */
static bool looked_index(Sum *s, const Ast *e, Looked *out)
{
	const AstList *result = &s->call->list.at[0]->b->list;
	bool named = false;
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->name[i] != e->name) continue;
		named = true;
		if (!s->size[i]) break;
		out->index[0] = (char)('a' + i);
		out->item = item_node(counter(s, out->index[0], e->span));
		return true;
	}
	for (size_t i = 0; i < result->n; i++) named |= result->at[i]->name == e->name;
	if (!named) return false;
	Diag *m = complain(s->b, e->span, "the size of index %s is not known here", e->name);
	diag_help(s->b->d, m, "it is that of the dim which some factor has it for, alone:  w[%s]",
	          e->name);
	return true;
}

static Looked looked_tensor(Sum *s, const Ast *e)
{
	Looked out = {.item = bad()};
	Factor f;
	if (!open_factor(s, &f, e)) return out;
	if (f.node->type.dtype != DT_I32) {
		Item x = eval(s->b, e->a);
		Diag *m = complain(s->b, e->a->span, "%s as an index: looked-up indices are i32",
		                   type_text(s->b->arena, &f.node->type));
		note_origin(s->b, m, &x, NULL);
		return out;
	}
	if (!look_up(s, &f) || !gather(s, &f)) return out;
	out.item = item_node(f.node);
	snprintf(out.index, sizeof out.index, "%s", f.index);
	return out;
}

static Looked looked_arithmetic(Sum *s, const Ast *e)
{
	Build *b = s->b;
	Looked x = looked(s, e->a), y = x.item.kind == ITEM_BAD ? x : looked(s, e->b), out = x;
	for (const char *c = y.index; *c; c++)
		if (!strchr(out.index, *c)) append(out.index, *c);
	out.item = bad();
	if (x.item.kind == ITEM_BAD || y.item.kind == ITEM_BAD) return out;
	if (strlen(out.index) > MAX_RANK) {
		complain(b, e->span, "this index has more than %d indices of its own", MAX_RANK);
		return out;
	}
	if (*x.index) x.item = item_node(spread(s, x.item.node, x.index, out.index, e->span));
	if (*y.index) y.item = item_node(spread(s, y.item.node, y.index, out.index, e->span));
	out.item = operate(b, e, e->op, x.item, y.item, e->op_span);
	return out;
}

static Looked looked(Sum *s, const Ast *e)
{
	static const uint16_t known[] = {'+', '-', '*', '%', AST_OP('/', '/')};
	Looked out = {.item = bad()};
	if (e->kind == AST_NAME && looked_index(s, e, &out)) return out;
	for (size_t i = 0; e->kind == AST_BINARY && i < COUNT(known); i++)
		if (e->op == known[i]) return looked_arithmetic(s, e);
	if (e->kind == AST_INDEX) return looked_tensor(s, e);
	if (e->kind == AST_NAME || e->kind == AST_INT || e->kind == AST_UNARY) out.item = eval(s->b, e);
	if (out.item.kind == ITEM_INT ||
	    (out.item.kind == ITEM_DIM && !ragged_find(s->b, out.item.dim)))
		return out;
	if (out.item.kind == ITEM_BAD && e->kind == AST_NAME) return out;
	Diag *m =
		complain(s->b, e->span, "an index of einsum is a name, or a tensor with its own indices");
	diag_help(s->b->d, m,
	          "sums, differences and products of those, of numbers and of dims are one too");
	out.item = bad();
	return out;
}

/* The parts of a factor that are looked up. */
typedef struct Lookups {
	Looked by[MAX_RANK];
	uint32_t axis[MAX_RANK], n;
	char shared[LETTERS + 1], all[LETTERS + 1]; /* indices; shared ones come first */
} Lookups;

static bool find_lookups(Sum *s, const Factor *f, Lookups *l)
{
	const AstList *list = &f->ast->list;
	*l = (Lookups){.n = 0};
	for (uint32_t i = 0; i < list->n; i++) {
		if (list->at[i]->kind == AST_NAME) continue;
		Looked *one = &l->by[l->n];
		*one = looked(s, list->at[i]);
		if (one->item.kind == ITEM_BAD) return false;
		if (!*one->index) {
			Diag *m = complain(s->b, list->at[i]->span, "this index is one number");
			diag_help(s->b->d, m, "take that part first:  x[0][i, j]");
			return false;
		}
		l->axis[l->n++] = i;
	}
	for (const char *c = f->index; *c; c++)
		for (uint32_t k = 0; k < l->n; k++)
			if (strchr(l->by[k].index, *c) && !strchr(l->shared, *c)) append(l->shared, *c);
	snprintf(l->all, sizeof l->all, "%s", l->shared);
	for (uint32_t k = 0; k < l->n; k++)
		for (const char *c = l->by[k].index; *c; c++)
			if (!strchr(l->all, *c)) append(l->all, *c);
	return true;
}

/* Axes that are looked up, behind those of shared indices, seen as one axis, and the place on it. Each
 * index must lie on its own axis. */
static Node *joined_index(Sum *s, const Factor *f, const Lookups *l)
{
	Build *b = s->b;
	DimPool *p = b->m->dims;
	Node *sum = NULL;
	for (const char *c = l->shared; *c; c++) {
		Node *own = spread(s, counter(s, *c, f->span), (char[]){*c, 0}, l->all, f->span);
		if (sum)
			sum = emit_binary(b, OP_MUL, sum, emit_dim(b, s->size[*c - 'a'], f->span), f->span);
		sum = sum ? emit_binary(b, OP_ADD, sum, own, f->span) : own;
	}
	for (uint32_t k = 0; k < l->n; k++) {
		Dim size = f->node->type.dim[l->axis[k]];
		Node *own = ragged_fill_all(b, l->by[k].item.node, f->span);
		own = ragged_checked(b, own, dim_const(p, 0), dim_addc(p, size, -1),
		                     failed_index(b, own, span_none(), f->span, l->axis[k]), f->span);
		own = spread(s, own, l->by[k].index, l->all, f->span);
		if (sum) sum = emit_binary(b, OP_MUL, sum, emit_dim(b, size, f->span), f->span);
		sum = sum ? emit_binary(b, OP_ADD, sum, own, f->span) : own;
	}
	return sum;
}

/* What is looked up along an axis of f comes first; along several, or with shared indices, it is
 * gathered at once. */
static bool look_up(Sum *s, Factor *f)
{
	Build *b = s->b;
	Lookups l;
	char index[2 * LETTERS + 1], rest[MAX_RANK + 1] = "";
	int64_t perm[MAX_RANK];
	Dim dims[MAX_RANK], first = dim_const(b->m->dims, 1);
	uint32_t n = 0, rank = 1;
	if (!find_lookups(s, f, &l)) return false;
	if (!l.n) return true;
	const Type t = f->node->type;
	for (int part = 0; part < 3; part++)
		for (uint32_t i = 0, plain = 0; i < t.rank; i++) {
			bool is_plain = f->ast->list.at[i]->kind == AST_NAME;
			char c = is_plain ? f->index[plain++] : 0;
			int of = !is_plain ? 1 : strchr(l.shared, c) ? 0 : 2;
			if (of != part) continue;
			perm[n++] = i;
			if (of == 2) append(rest, c), dims[rank++] = t.dim[i];
			if (of < 2) first = dim_mul(b->m->dims, first, t.dim[i]);
		}
	snprintf(index, sizeof index, "%s%s", l.all, rest);
	bool joined = *l.shared || l.n > 1;
	if (strlen(index) >= sizeof f->index || (joined && strlen(index) > MAX_RANK)) {
		complain(b, f->span, "this factor has more than %d dims once it is looked up", MAX_RANK);
		return false;
	}
	snprintf(f->index, sizeof f->index, "%s", index);
	f->n_lookup = (uint32_t)strlen(l.all);
	f->lookup = joined ? joined_index(s, f, &l) : l.by[0].item.node;
	f->node = emit_transpose(b, f->node, perm, f->span);
	if (!joined || !f->node || !f->lookup) return f->node && f->lookup;
	dims[0] = first;
	f->node = emit_reshape(b, f->node, rank, dims, f->span);
	return f->node && gather(s, f);
}

/* How the letters of x times a looked-up w fall: rows of x, further indices of the lookup, what is
 * summed, columns. */
typedef struct Roles {
	char row[2 * MAX_RANK + 1], more[2 * MAX_RANK + 1], k[2 * MAX_RANK + 1], n[2 * MAX_RANK + 1];
} Roles;

/* Is x[..] * w[idx[..], ..] a row of x times a matrix that its index chooses? */
static bool is_routed(const Factor *x, const Factor *w, const char *keep, Roles *r)
{
	*r = (Roles){"", "", "", ""};
	if (!w->lookup) return false;
	const char *rest = w->index + w->n_lookup;
	for (const char *c = w->index; c < rest; c++)
		if (!strchr(x->index, *c)) append(r->more, *c);
	for (const char *c = x->index; *c; c++)
		append(strchr(rest, *c) && !strchr(keep, *c) ? r->k : r->row, *c);
	for (const char *c = rest; *c; c++)
		if (!strchr(r->k, *c)) append(r->n, *c);
	return *r->k && *r->n;
}

static bool refuse_routed(Sum *s, const Factor *w, char c, const char *why)
{
	Diag *m = complain(s->b, w->span, "index %s %s, which a looked-up product cannot have",
	                   name_of(s, c), why);
	diag_help(
		s->b->d, m,
		"einsum(x[b, s, d] * w[idx[b, s, k], f, d] -> [b, s, k, f]) takes rows of x times the "
		"matrices that idx chooses; gather first,  w[idx]  , when it is small");
	return false;
}

/* x := x times the matrices of w that its lookup chooses. */
static bool route(Sum *s, Factor *x, const Factor *w, const Roles *r, Span at)
{
	Build *b = s->b;
	DimPool *p = b->m->dims;
	const char *rest = w->index + w->n_lookup;
	char order[4 * MAX_RANK + 2] = "", all[4 * MAX_RANK + 2] = "";
	for (const char *c = r->n; *c; c++)
		if (strchr(r->row, *c))
			return refuse_routed(s, w, *c, "is in both factors and in the result");
	snprintf(order, sizeof order, "%s%s", r->row, r->more);
	snprintf(all, sizeof all, "%s%s", order, r->n);
	if (strlen(all) > MAX_RANK || strlen(order) > MAX_RANK) {
		complain(b, at, "this product has more than %d dims on its way", MAX_RANK);
		return false;
	}
	/* the operands as x [R, D], w [E, N, D], idx [R*per]: each row is for itself, whatever padding holds */
	for (uint32_t i = 0; i < x->node->type.rank; i++)
		if (strchr(r->k, x->index[i])) x->node = ragged_fill(b, x->node, i, FILL_ZERO, at);
	Node *chosen = ragged_fill_all(b, w->lookup, at);
	if (!x->node || !chosen) return false;
	bool inside = b->ragged_inside;
	b->ragged_inside = true;
	Dim row = sizes(s, r->row), width = sizes(s, r->k), columns = sizes(s, r->n);
	Dim count = dim_mul(p, row, sizes(s, r->more));
	int64_t per = 1, perm[MAX_RANK] = {0};
	char want[4 * MAX_RANK + 2];
	bool known = dim_is_const(sizes(s, r->more), &per);
	snprintf(want, sizeof want, "%s%s", known ? r->row : order, r->k);
	if (strlen(want) > MAX_RANK) {
		complain(b, at, "this product has more than %d dims on its way", MAX_RANK);
		return false;
	}
	Node *rows = spread(s, x->node, x->index, want, at);
	rows = emit_reshape(b, rows, 2, (Dim[]){known ? row : count, width}, at);
	uint32_t n = 1;
	for (const char *c = r->n; *c; c++) perm[n++] = 1 + (strchr(rest, *c) - rest);
	for (const char *c = r->k; *c; c++) perm[n++] = 1 + (strchr(rest, *c) - rest);
	Dim experts = w->node->type.dim[0];
	Node *matrices = emit_transpose(b, w->node, perm, at);
	matrices = emit_reshape(b, matrices, 3, (Dim[]){experts, columns, width}, at);
	char lookup[2 * MAX_RANK + 1] = "";
	memcpy(lookup, w->index, w->n_lookup);
	Node *idx = spread(s, chosen, lookup, order, at);
	idx = emit_reshape(b, idx, 1, &count, at);
	b->ragged_inside = inside;
	if (!rows || !matrices || !idx) return false;
	Node *y = node_new(b->m, OP_ROUTED, 3, (Node *[]){rows, matrices, idx}, at);
	attr_int(y, "per", known ? per : 1);
	attr_str(y, "check", failed_choice(b, chosen, experts, w->span));
	Dim dims[MAX_RANK];
	for (uint32_t i = 0; all[i]; i++) dims[i] = s->size[all[i] - 'a'];
	b->ragged_inside = true;
	x->node = emit_reshape(b, emit(b, y), (uint32_t)strlen(all), dims, at);
	b->ragged_inside = inside;
	snprintf(x->index, sizeof x->index, "%s", all);
	return x->node != NULL;
}

/* --- the product --- */

/* Letters of both that the result or a later factor has. */
static bool kept_letters(const Sum *s, const Factor *now, uint32_t i, const char *result,
                         char *keep)
{
	uint32_t n = 0;
	for (uint32_t k = 0; k < s->n; k++) {
		char c = (char)('a' + k);
		bool have = strchr(now->index, c) || strchr(s->factor[i].index, c),
			 later = strchr(result, c) != NULL;
		for (uint32_t j = i + 1; j < s->n_factor; j++)
			later |= strchr(s->factor[j].index, c) != NULL;
		if (have && later) keep[n++] = c;
	}
	keep[n] = 0;
	return n <= MAX_RANK;
}

/* Sums away the indices that no other factor and not the result has: a product would carry them along. */
static bool sum_alone(Sum *s, uint32_t i, const char *result)
{
	Factor *f = &s->factor[i];
	char keep[2 * MAX_RANK + 1] = "";
	for (const char *c = f->index; *c; c++) {
		bool needed = strchr(result, *c) != NULL;
		for (uint32_t k = 0; k < s->n_factor; k++)
			needed |= k != i && strchr(s->factor[k].index, *c);
		if (needed) append(keep, *c);
	}
	if (strlen(keep) == strlen(f->index)) return true;
	f->node = reduce_to(s->b, f, keep, f->span);
	snprintf(f->index, sizeof f->index, "%s", keep);
	return f->node != NULL;
}

static Node *multiply(Sum *s, const char *result, Span at)
{
	for (uint32_t i = 0; i < s->n_factor && s->n_factor > 1; i++)
		if (!s->factor[i].lookup && !sum_alone(s, i, result)) return NULL;
	if (s->n_factor > 1 && s->factor[0].lookup && !s->factor[1].lookup) {
		Factor first = s->factor[0];
		s->factor[0] = s->factor[1];
		s->factor[1] = first;
	}
	Factor now = s->factor[0];
	if (!gather(s, &now)) return NULL;
	for (uint32_t i = 1; i < s->n_factor; i++) {
		Factor *f = &s->factor[i];
		char keep[LETTERS + 1];
		bool fits = kept_letters(s, &now, i, result, keep), last = i + 1 == s->n_factor;
		Roles roles;
		const char *order = last ? result : keep;
		if (is_routed(&now, f, keep, &roles)) {
			for (const char *c = roles.n; *c; c++)
				if (!strchr(keep, *c) && !refuse_routed(s, f, *c, "is summed in one factor only"))
					return NULL;
			if (!route(s, &now, f, &roles, at)) return NULL;
			if (last) return reduce_to(s->b, &now, result, at);
			continue;
		}
		if (!gather(s, f)) return NULL;
		if (!fits || strlen(order) > MAX_RANK) {
			complain(s->b, at, "this product has more than %d dims on its way", MAX_RANK);
			return NULL;
		}
		Node *x = contract(s->b, arena_printf(s->b->arena, "%s,%s->%s", now.index, f->index, order),
		                   now.node, f->node, at);
		if (!x) return NULL;
		now.node = x;
		snprintf(now.index, sizeof now.index, "%s", order);
	}
	return s->n_factor == 1 ? reduce_to(s->b, &now, result, at) : now.node;
}

Item eval_einsum(Build *b, const Ast *call)
{
	const Ast *arg = call->list.n == 1 ? call->list.at[0] : NULL;
	if (!arg || arg->name || !arg->b || arg->b->kind != AST_LIST) {
		Diag *m = complain(b, call->span, "einsum takes one product and its result");
		diag_help(b->d, m, "einsum(x[b, s, d] * w[f, d] -> [b, s, f])");
		return bad();
	}
	Sum *s = NEW(b->arena, Sum);
	char result[MAX_RANK + 1] = "";
	s->b = b;
	s->call = call;
	if (!collect(s, arg->a) || !add_factor(s, arg->a)) return bad();
	for (uint32_t i = 0; i < s->n_factor; i++)
		if (!look_up(s, &s->factor[i])) return bad();
	if (arg->b->list.n > MAX_RANK) {
		complain(b, arg->b->span, "a tensor has at most %d dims", MAX_RANK);
		return bad();
	}
	for (size_t i = 0; i < arg->b->list.n; i++) {
		const Ast *e = arg->b->list.at[i];
		uint32_t known = s->n;
		if (!letter(s, e, &result[i])) return bad();
		if (s->n > known || memchr(result, result[i], i)) {
			complain(b, e->span,
			         s->n > known ? "no factor has the index %s"
			                      : "the result names the index %s twice",
			         e->name);
			return bad();
		}
	}
	return item_node(multiply(s, result, call->span));
}
