/* Flattening: x[.., K] times W over several leading dims is a product of two matrices. The einsum
 * takes its operand with the leading dims merged, and the split of its result sinks through
 * elementwise operations and norms of the last axis, so that whole blocks work on matrices. */
#include "passes/passes.h"

#include <string.h>

/* The shape [product of all but the last dim, last dim]. */
static void merged_dims(DimPool *p, const Type *t, Dim out[2])
{
	out[0] = dim_const(p, 1);
	for (uint32_t i = 0; i + 1 < t->rank; i++) out[0] = dim_mul(p, out[0], t->dim[i]);
	out[1] = t->dim[t->rank - 1];
}

/* einsum "abk,nk->abn" or "abk,kn->abn": leading letters only in the first operand */
static Node *flatten_einsum(Rewrite *w, Node *n)
{
	const char *spec = node_attr(n, "spec")->s;
	const Type *a = &n->in[0]->type;
	uint32_t lead = a->rank - 1;
	const char *b = spec + a->rank + 1, *c = strstr(spec, "->") + 2;
	Dim flat[2];
	char now[16] = "ak,";
	if (a->rank < 3 || n->in[1]->type.rank != 2 || n->type.rank != a->rank) return NULL;
	if (memcmp(spec, c, lead) != 0) return NULL;
	char k = spec[lead], j = c[lead];
	if (memchr(b, spec[0], 2) || j == k) return NULL;
	for (uint32_t i = 0; i < lead; i++)
		if (b[0] == spec[i] || b[1] == spec[i]) return NULL;
	if (b[0] == k && b[1] == j)
		strcat(now, "kn->an");
	else if (b[1] == k && b[0] == j)
		strcat(now, "nk->an");
	else
		return NULL;
	merged_dims(w->c->m->dims, a, flat);
	Node *x = rewrite_reshape(w, n->in[0], 2, flat);
	Node *e = node_new(w->c->m, OP_EINSUM, 2, (Node *[]){x, n->in[1]}, n->span);
	attr_str(e, "spec", intern_str(w->c->m->names, now));
	e = rewrite_finish(w, e);
	if (!e) return NULL;
	e->name = n->name;
	return rewrite_reshape(w, e, n->type.rank, n->type.dim);
}

/* y[P, D] seen as [.., D] */
static bool is_split(const Node *n, DimPool *p)
{
	Dim flat[2];
	if (n->op != OP_RESHAPE || n->in[0]->type.rank != 2 || n->type.rank < 3) return false;
	merged_dims(p, &n->type, flat);
	return flat[0] == n->in[0]->type.dim[0] && flat[1] == n->in[0]->type.dim[1];
}

/* Can its leading dims be merged? Not when it is broadcast along some of them only. */
static bool merges(const Node *x, const Type *full)
{
	bool same = true, ones = true;
	if (x->type.rank != full->rank) return x->type.rank <= 1;
	for (uint32_t i = 0; i + 1 < full->rank; i++) {
		int64_t one;
		same &= x->type.dim[i] == full->dim[i];
		ones &= dim_is_const(x->type.dim[i], &one) && one == 1;
	}
	return same || ones;
}

static Node *merge(Rewrite *w, Node *x, const Type *full)
{
	Dim flat[2];
	if (x->type.rank != full->rank) return x;
	merged_dims(w->c->m->dims, &x->type, flat);
	return rewrite_reshape(w, x, 2, flat);
}

static uint32_t attr_rows(Op op)
{
	uint32_t n = 0;
	while (op_info[op].attr[n].name) n++;
	return n;
}

static Node *sink_split(Rewrite *w, Node *n)
{
	Node *in[3];
	bool any = false;
	bool norm = n->op == OP_LAYER_NORM || n->op == OP_RMS_NORM || n->op == OP_SOFTMAX;
	if (n->op == OP_SOFTMAX && node_attr(n, "axis")->i + 1 != (int64_t)n->type.rank) return NULL;
	for (uint32_t i = 0; i < (norm ? 1 : n->n_in); i++)
		any |= is_split(n->in[i], w->c->m->dims) && n->in[i]->type.rank == n->type.rank;
	if (!any) return NULL;
	/* all must fit before anything is built: what is built and not used would be rewritten for ever */
	for (uint32_t i = 0; i < (norm ? 1 : n->n_in); i++)
		if (!merges(n->in[i], &n->type)) return NULL;
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!(in[i] = norm && i ? n->in[i] : merge(w, n->in[i], &n->type))) return NULL;
	Node *e = node_new(w->c->m, n->op, n->n_in, in, n->span);
	memcpy(e->attr, n->attr, attr_rows(n->op) * sizeof(Attr));
	if (n->op == OP_SOFTMAX) attr_int(e, "axis", 1);
	e = rewrite_finish(w, e);
	if (!e) return NULL;
	e->name = n->name;
	return rewrite_reshape(w, e, n->type.rank, n->type.dim);
}

static Node *reshape_of_reshape(Rewrite *w, Node *n)
{
	if (type_equal(&n->type, &n->in[0]->type)) return n->in[0];
	if (n->in[0]->op != OP_RESHAPE) return NULL;
	return rewrite_reshape(w, n->in[0]->in[0], n->type.rank, n->type.dim);
}

void pass_flatten(PassContext *c)
{
	Rule rules[NUM_SCALARS + 8];
	size_t n = 0;
	rules[n++] = (Rule){OP_EINSUM, "product-of-matrices", flatten_einsum};
	rules[n++] = (Rule){OP_RESHAPE, "reshape-of-reshape", reshape_of_reshape};
	rules[n++] = (Rule){OP_LAYER_NORM, "norm-of-split", sink_split};
	rules[n++] = (Rule){OP_RMS_NORM, "norm-of-split", sink_split};
	rules[n++] = (Rule){OP_SOFTMAX, "softmax-of-split", sink_split};
	rules[n++] = (Rule){OP_CAST, "cast-of-split", sink_split};
	for (Op op = OP_NEG; op < OP_CAST; op++)
		rules[n++] = (Rule){op, "elementwise-of-split", sink_split};
	rewrite_run(c, rules, n);
}
