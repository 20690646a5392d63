/* einsum(x[b, s, d] * w[f, d] -> [b, s, f]): sums of products by index names. Indices that are absent
 * on the right are summed; products of more than two factors contract from the left, keeping the
 * indices that are still needed. An index may be looked up, w[idx[b, k], f, d]: then what is left of
 * w for each (b, k) is a matrix, and the product a routed one, or a vector, which is gathered. */
#include "frontend/build.h"

#include <string.h>

enum { FACTORS = 6, LETTERS = 26 };
typedef struct Factor {
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

/* w[.., idx[b, k], ..]: the looked-up dim comes first. */
static bool add_lookup(Sum *s, Factor *f, const Ast *e, uint32_t at)
{
	Build *b = s->b;
	const Ast *of = e->list.at[at];
	Item idx = eval(b, of->a);
	f->lookup = need_tensor(b, &idx, of->a->span, "an index that is looked up");
	if (!f->lookup || !check_rank(s, of, &idx, f->lookup)) return false;
	if (f->lookup->type.dtype != DT_I32) {
		Diag *m = complain(b, of->a->span, "%s as an index: looked-up indices are i32",
		                   type_text(b->arena, &f->lookup->type));
		note_origin(b, m, &idx, NULL);
		return false;
	}
	for (uint32_t i = 0; i < of->list.n; i++)
		if (!add_index(s, f, &idx, of->list.at[i], f->lookup->type.dim[i])) return false;
	f->n_lookup = (uint32_t)strlen(f->index);
	int64_t perm[MAX_RANK] = {at};
	for (uint32_t i = 0, n = 1; i < f->node->type.rank; i++)
		if (i != at) perm[n++] = i;
	return (f->node = emit_transpose(b, f->node, perm, e->span)) != NULL;
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
	Factor *f = &s->factor[s->n_factor++];
	Item x = eval(b, e->a);
	f->span = e->span;
	f->node = need_tensor(b, &x, e->a->span, "a factor of einsum");
	if (!f->node || !check_rank(s, e, &x, f->node)) return false;
	const Type type = f->node->type;
	for (uint32_t i = 0; i < e->list.n; i++) {
		if (e->list.at[i]->kind != AST_INDEX) continue;
		if (f->lookup) {
			complain(b, e->list.at[i]->span, "a factor looks up one index at most");
			return false;
		}
		if (!add_lookup(s, f, e, i)) return false;
	}
	for (uint32_t i = 0; i < e->list.n; i++)
		if (e->list.at[i]->kind != AST_INDEX && !add_index(s, f, &x, e->list.at[i], type.dim[i]))
			return false;
	return true;
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
	f->node = emit(s->b, n);
	f->lookup = NULL;
	return f->node != NULL;
}

/* How the letters of x times a looked-up w fall: rows of x, further indices of the lookup, what is
 * summed, columns. */
typedef struct Roles {
	char row[2 * MAX_RANK + 1], more[2 * MAX_RANK + 1], k[2 * MAX_RANK + 1], n[2 * MAX_RANK + 1];
} Roles;

static void append(char *to, char c)
{
	size_t n = strlen(to);
	to[n] = c;
	to[n + 1] = 0;
}

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
	/* the operands as x [R, D], w [E, N, D], idx [R*per] */
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
	Node *idx = spread(s, w->lookup, lookup, order, at);
	idx = emit_reshape(b, idx, 1, &count, at);
	if (!rows || !matrices || !idx) return false;
	Node *y = node_new(b->m, OP_ROUTED, 3, (Node *[]){rows, matrices, idx}, at);
	attr_int(y, "per", known ? per : 1);
	Dim dims[MAX_RANK];
	for (uint32_t i = 0; all[i]; i++) dims[i] = s->size[all[i] - 'a'];
	x->node = emit_reshape(b, emit(b, y), (uint32_t)strlen(all), dims, at);
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

static Node *multiply(Sum *s, const char *result, Span at)
{
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
	if (!add_factor(s, arg->a)) return bad();
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
