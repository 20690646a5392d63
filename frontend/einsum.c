/* einsum(x[b, s, d] * w[f, d] -> [b, s, f]): sums of products by index names. Indices that are absent
 * on the right are summed; products of more than two factors contract from the left, keeping the
 * indices that are still needed. */
#include "frontend/build.h"

#include <string.h>

enum { FACTORS = 6, LETTERS = 26 };
typedef struct Factor {
	Node *node;
	char index[MAX_RANK + 1];
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
		Diag *m = complain(s->b, e->span, "an index of einsum is a name");
		if (e->kind == AST_INDEX)
			diag_help(s->b->d, m,
			          "an index that is itself looked up is not supported: gather first,  w[idx]");
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
	f->node = need_tensor(b, &x, e->a->span, "a factor of einsum");
	if (!f->node) return false;
	if (f->node->type.rank != e->list.n) {
		Diag *m = complain(b, e->span, "%zu indices for %s", (size_t)e->list.n,
		                   type_text(b->arena, &f->node->type));
		note_origin(b, m, &x, NULL);
		return false;
	}
	for (size_t i = 0; i < e->list.n; i++) {
		if (!letter(s, e->list.at[i], &f->index[i])) return false;
		uint32_t k = (uint32_t)(f->index[i] - 'a');
		Dim have = f->node->type.dim[i];
		if (memchr(f->index, f->index[i], i)) {
			complain(b, e->list.at[i]->span, "a factor names the index %s twice", s->name[k]);
			return false;
		}
		if (!s->size[k]) s->size[k] = have;
		if (dims_equal(b, s->size[k], have)) continue;
		Diag *m = complain(b, e->list.at[i]->span, "index %s is %s here and %s before", s->name[k],
		                   dim_text(b->arena, have), dim_text(b->arena, s->size[k]));
		note_origin(b, m, &x, NULL);
		return false;
	}
	return true;
}

/* Sums away the indices of a factor that `keep` lacks, then puts the rest in the order of keep. */
static Node *reduce_to(Build *b, Factor *f, const char *keep, Span at)
{
	int64_t axes[MAX_RANK], perm[MAX_RANK];
	char left[MAX_RANK + 1] = "";
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

static Node *multiply(Sum *s, const char *result, Span at)
{
	Factor now = s->factor[0];
	for (uint32_t i = 1; i < s->n_factor; i++) {
		const Factor *f = &s->factor[i];
		char keep[LETTERS + 1] = "";
		uint32_t n = 0;
		for (uint32_t k = 0; k < s->n; k++) {
			char c = (char)('a' + k);
			bool have = strchr(now.index, c) || strchr(f->index, c),
				 later = strchr(result, c) != NULL;
			for (uint32_t j = i + 1; j < s->n_factor; j++)
				later |= strchr(s->factor[j].index, c) != NULL;
			if (have && later) keep[n++] = c;
		}
		const char *order = i + 1 == s->n_factor ? result : keep;
		if (strlen(order) > MAX_RANK) {
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
