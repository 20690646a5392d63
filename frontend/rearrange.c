/* rearrange(x, [B, S, (H, D)] -> [B, H, S, D]): splitting, permuting, merging and repeating dims in
 * one notation. Names known in the scope are checked against the sizes; others are bound by them. */
#include "frontend/build.h"

#include <string.h>

enum { ATOMS = 16 };
typedef struct Atom {
	const Ast *e; /* NULL: one of the dims of `...` */
	Dim size;
	bool used;
} Atom;
typedef struct Pattern {
	Build *b;
	const Ast *call;
	const Node *x;
	Atom atom[ATOMS];
	uint32_t n;
	uint32_t open_at, open_n; /* the atoms of `...` */
	bool open;
} Pattern;

/* The size that a pattern's element names, or NULL when it is a free name; false after an error. */
static bool known_size(Build *b, const Ast *e, Dim *out)
{
	*out = NULL;
	if (e->kind == AST_NAME) {
		Binding *k = scope_find(b->frame->scope, e->name);
		if (!k || (k->item.kind != ITEM_INT && k->item.kind != ITEM_DIM &&
		           !(k->item.kind == ITEM_FILE_DIM && k->item.file_dim->decl->kind != AST_NAME &&
		             k->item.file_dim->decl->flag) &&
		           !(k->item.kind == ITEM_MEMBER && k->item.member->kind == MEMBER_STATE_DIM)))
			return true;
	}
	Item i = eval(b, e);
	return need_dim(b, &i, e->span, "a size in a pattern", out);
}

static bool add_atom(Pattern *p, const Ast *e, Dim size)
{
	if (p->n == ATOMS) {
		complain(p->b, p->call->span, "this pattern has more than %d dims", ATOMS);
		return false;
	}
	for (uint32_t i = 0; e && e->kind == AST_NAME && i < p->n; i++)
		if (p->atom[i].e && ast_same(p->atom[i].e, e)) {
			const char *name = text_of(p->b, e->span);
			Diag *m = complain(p->b, e->span, "the left side names %s twice", name);
			diag_help(p->b->d, m,
			          "each dim has a name of its own; a second one of that size:  %s2 = %s", name,
			          name);
			return false;
		}
	p->atom[p->n++] = (Atom){e, size, false};
	return true;
}

static bool wrong_size(Pattern *p, const Ast *e, Dim want, Dim have)
{
	Build *b = p->b;
	Diag *m = complain(b, e->span, "rearrange of %s: %s is %s here, not %s",
	                   type_text(b->arena, &p->x->type), text_of(b, e->span),
	                   dim_text(b->arena, have), dim_text(b->arena, want));
	if (e->kind != AST_TUPLE || !e->list.n) return false;
	Text t = text_new(b->arena);
	for (size_t i = 0; i < e->list.n; i++) {
		Item v = eval(b, e->list.at[i]);
		Dim d = as_dim(b, &v);
		if (d)
			text_printf(&t, "%s%s = %s", i ? ", " : "", text_of(b, e->list.at[i]->span),
			            dim_text(b->arena, d));
	}
	Text free_last = text_new(b->arena);
	for (size_t i = 0; i + 1 < e->list.n; i++)
		text_printf(&free_last, "%s, ", text_of(b, e->list.at[i]->span));
	diag_help(b->d, m, "here %s; a name that is not known yet takes what is left:  (%sDh)", t.at,
	          free_last.at ? free_last.at : "");
	return false;
}

static bool read_group(Pattern *p, const Ast *group, Dim whole)
{
	Build *b = p->b;
	DimPool *pool = b->m->dims;
	Dim product = dim_const(pool, 1), size;
	const Ast *free_one = NULL;
	uint32_t free_at = 0;
	for (size_t i = 0; i < group->list.n; i++) {
		const Ast *e = group->list.at[i];
		if (e->kind == AST_ELLIPSIS || e->kind == AST_TUPLE) {
			complain(b, e->span, "a group on the left side holds names and sizes");
			return false;
		}
		if (!known_size(b, e, &size)) return false;
		if (!size && free_one) {
			const char *name = text_of(b, e->span);
			Diag *m = complain(b, e->span, "two sizes of a group are unknown: %s and %s",
			                   text_of(b, free_one->span), name);
			diag_help(b->d, m, "give one of them its size before:  %s = 2", name);
			return false;
		}
		if (!size) {
			free_one = e;
			free_at = p->n;
		} else {
			product = dim_mul(pool, product, size);
		}
		if (!add_atom(p, e, size)) return false;
	}
	if (!free_one)
		return dims_equal(b, product, whole) ? true : wrong_size(p, group, product, whole);
	Dim rest = dim_is(product, 0) ? dim_const(pool, 0) : dim_floordiv(pool, whole, product);
	if (dim_is(product, 0) || !dims_equal(b, dim_mul(pool, rest, product), whole)) {
		Diag *m = complain(b, group->span, "rearrange of %s: %s does not divide into %s",
		                   type_text(b->arena, &p->x->type), dim_text(b->arena, whole),
		                   text_of(b, group->span));
		advise_divisible(b, m, whole, product);
		return false;
	}
	p->atom[free_at].size = rest;
	return true;
}

static bool read_left(Pattern *p, const Ast *left)
{
	Build *b = p->b;
	const Type *t = &p->x->type;
	uint32_t named = 0, axis = 0;
	for (size_t i = 0; i < left->list.n; i++) {
		if (left->list.at[i]->kind == AST_ELLIPSIS)
			p->open = true;
		else
			named++;
	}
	if (named > t->rank || (!p->open && named != t->rank)) {
		complain(b, left->span, "rearrange of %s: the left side names %u dims",
		         type_text(b->arena, t), named);
		return false;
	}
	for (size_t i = 0; i < left->list.n; i++) {
		const Ast *e = left->list.at[i];
		Dim size;
		if (e->kind == AST_ELLIPSIS) {
			p->open_at = p->n;
			p->open_n = t->rank - named;
			for (uint32_t k = 0; k < p->open_n; k++)
				if (!add_atom(p, NULL, t->dim[axis++])) return false;
			continue;
		}
		Dim have = t->dim[axis++];
		if (e->kind == AST_TUPLE) {
			if (!read_group(p, e, have)) return false;
			continue;
		}
		if (!known_size(b, e, &size)) return false;
		if (size && !dims_equal(b, size, have)) return wrong_size(p, e, size, have);
		if (!add_atom(p, e, have)) return false;
	}
	return true;
}

typedef struct Right {
	uint32_t from[ATOMS]; /* atom, or ATOMS for a new dim */
	Dim size[ATOMS];
	uint32_t n;
	Dim dims[MAX_RANK];
	uint32_t rank;
} Right;

static bool right_atom(Pattern *p, Right *r, const Ast *e, Dim *product)
{
	Build *b = p->b;
	if (r->n == ATOMS) {
		complain(b, e->span, "this pattern has more than %d dims", ATOMS);
		return false;
	}
	for (uint32_t i = 0; i < p->n; i++) {
		if (p->atom[i].used || !p->atom[i].e || !ast_same(p->atom[i].e, e)) continue;
		p->atom[i].used = true;
		r->from[r->n] = i;
		r->size[r->n++] = p->atom[i].size;
		*product = dim_mul(b->m->dims, *product, p->atom[i].size);
		return true;
	}
	Dim size;
	if (!known_size(b, e, &size)) return false;
	if (!size) {
		complain(b, e->span, "%s is not on the left side of the pattern", text_of(b, e->span));
		return false;
	}
	r->from[r->n] = ATOMS;
	r->size[r->n++] = size;
	*product = dim_mul(b->m->dims, *product, size);
	return true;
}

static bool right_open(Pattern *p, Right *r, const Ast *e, bool grouped, Dim *product)
{
	if (!p->open) {
		complain(p->b, e->span, "`...` is not on the left side of the pattern");
		return false;
	}
	for (uint32_t k = 0; k < p->open_n; k++) {
		if (r->n == ATOMS || (!grouped && r->rank == MAX_RANK)) {
			complain(p->b, e->span, "this pattern has too many dims");
			return false;
		}
		Atom *a = &p->atom[p->open_at + k];
		a->used = true;
		r->from[r->n] = p->open_at + k;
		r->size[r->n++] = a->size;
		if (grouped)
			*product = dim_mul(p->b->m->dims, *product, a->size);
		else
			r->dims[r->rank++] = a->size;
	}
	return true;
}

static bool read_right(Pattern *p, Right *r, const Ast *right)
{
	Build *b = p->b;
	for (size_t i = 0; i < right->list.n; i++) {
		const Ast *e = right->list.at[i];
		Dim product = dim_const(b->m->dims, 1);
		if (e->kind == AST_ELLIPSIS) {
			if (!right_open(p, r, e, false, &product)) return false;
			continue;
		}
		if (r->rank == MAX_RANK) {
			complain(b, e->span, "a tensor has at most %d dims", MAX_RANK);
			return false;
		}
		if (e->kind == AST_TUPLE) {
			for (size_t k = 0; k < e->list.n; k++) {
				const Ast *one = e->list.at[k];
				if (one->kind == AST_ELLIPSIS ? !right_open(p, r, one, true, &product)
				                              : !right_atom(p, r, one, &product))
					return false;
			}
		} else if (!right_atom(p, r, e, &product)) {
			return false;
		}
		r->dims[r->rank++] = product;
	}
	for (uint32_t i = 0; i < p->n; i++)
		if (!p->atom[i].used && !dim_is(p->atom[i].size, 1)) {
			complain(b, p->atom[i].e ? p->atom[i].e->span : p->call->span,
			         "%s is lost: it is not on the right side of the pattern",
			         p->atom[i].e ? text_of(b, p->atom[i].e->span) : "`...`");
			return false;
		}
	return true;
}

static Node *rearranged(Build *b, Pattern *p, const Right *r, Node *x, Span at)
{
	Dim dims[ATOMS], full[ATOMS];
	int64_t perm[MAX_RANK];
	uint32_t place[ATOMS], n = 0, k = 0;
	bool repeats = false;
	for (uint32_t i = 0; i < p->n; i++) { /* atoms of size 1 that are dropped need no place */
		if (!p->atom[i].used) continue;
		place[i] = n;
		dims[n++] = p->atom[i].size;
	}
	if (n > MAX_RANK || r->n > MAX_RANK) {
		complain(b, at, "this pattern has more than %d dims at once", MAX_RANK);
		return NULL;
	}
	x = emit_reshape(b, x, n, dims, at);
	for (uint32_t i = 0; i < r->n; i++)
		if (r->from[i] < ATOMS) perm[k++] = place[r->from[i]];
	x = emit_transpose(b, x, perm, at);
	for (uint32_t i = 0; i < r->n; i++) {
		bool fresh = r->from[i] == ATOMS;
		dims[i] = fresh ? dim_const(b->m->dims, 1) : r->size[i];
		full[i] = r->size[i];
		repeats |= fresh && !dim_is(r->size[i], 1);
	}
	if (repeats) {
		x = emit_reshape(b, x, r->n, dims, at);
		x = emit_broadcast(b, x, r->n, full, at);
	}
	return emit_reshape(b, x, r->rank, r->dims, at);
}

Item eval_rearrange(Build *b, const Ast *call)
{
	const AstList *args = &call->list;
	if (args->n != 2 || !args->at[1]->b || args->at[1]->name || args->at[1]->a->kind != AST_LIST ||
	    args->at[1]->b->kind != AST_LIST) {
		Diag *m = complain(b, call->span, "rearrange takes a tensor and a pattern");
		const Ast *third = args->n > 2 ? args->at[2] : NULL;
		if (third && third->name && third->a)
			diag_help(b->d, m, "a size is a name bound before:  %s = %s", third->name,
			          text_of(b, third->a->span));
		else
			diag_help(b->d, m, "rearrange(x, [B, S, (H, D)] -> [B, H, S, D])");
		return bad();
	}
	Item x = eval(b, args->at[0]->a);
	Node *n = need_tensor(b, &x, args->at[0]->span, "what is rearranged");
	if (!n) return bad();
	Pattern *p = NEW(b->arena, Pattern);
	Right *r = NEW(b->arena, Right);
	p->b = b;
	p->call = call;
	p->x = n;
	uint32_t errors = b->errors;
	if (!read_left(p, args->at[1]->a) || !read_right(p, r, args->at[1]->b)) {
		if (errors == b->errors)
			complain(b, call->span, "this pattern does not fit %s", type_text(b->arena, &n->type));
		return bad();
	}
	return item_node(rearranged(b, p, r, n, call->span));
}
