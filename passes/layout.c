/* Layout: convolutions and pooling become channels-last between transposes, and transposes sink
 * through elementwise operations and reductions until they meet and cancel. */
#include "passes/passes.h"

#include <string.h>

/* [N, C, spatial..] -> [N, spatial.., C], and back */
static void to_last(uint32_t rank, int64_t *perm)
{
	perm[0] = 0;
	for (uint32_t i = 1; i + 1 < rank; i++) perm[i] = i + 1;
	perm[rank - 1] = 1;
}

static void to_first(uint32_t rank, int64_t *perm)
{
	perm[0] = 0;
	perm[1] = rank - 1;
	for (uint32_t i = 2; i < rank; i++) perm[i] = i - 1;
}

static uint32_t attr_rows(Op op)
{
	uint32_t n = 0;
	while (op_info[op].attr[n].name) n++;
	return n;
}

static Node *channels_last(Rewrite *w, Node *n)
{
	int64_t perm[MAX_RANK], back[MAX_RANK], weight[MAX_RANK];
	uint32_t rank = n->type.rank;
	Node *in[2];
	if (node_attr(n, "channels_last")->i) return NULL;
	to_last(rank, perm);
	to_first(rank, back);
	in[0] = rewrite_transpose(w, n->in[0], perm);
	if (n->op == OP_CONV) { /* [K, C, spatial..] -> [spatial.., C, K] */
		for (uint32_t i = 0; i + 2 < rank; i++) weight[i] = i + 2;
		weight[rank - 2] = 1;
		weight[rank - 1] = 0;
		in[1] = rewrite_transpose(w, n->in[1], weight);
	}
	Node *c = node_new(w->c->m, n->op, n->n_in, in, n->span);
	memcpy(c->attr, n->attr, attr_rows(n->op) * sizeof(Attr));
	attr_int(c, "channels_last", 1);
	c = rewrite_finish(w, c);
	if (!c) return NULL;
	c->name = n->name;
	return rewrite_transpose(w, c, back);
}

/* The operand permuted like the transposed ones; NULL when that is not free. */
static Node *permuted(Rewrite *w, Node *x, uint32_t rank, const int64_t *perm)
{
	const int64_t *own;
	Dim dims[MAX_RANK];
	if (x->op == OP_TRANSPOSE && x->type.rank == rank) {
		own = node_attr(x, "perm")->ints;
		if (memcmp(own, perm, rank * sizeof *perm) == 0) return x->in[0];
	}
	uint32_t large = 0;
	for (uint32_t i = 0; i < rank; i++) {
		int64_t one;
		Dim d = i + x->type.rank < rank ? dim_const(w->c->m->dims, 1)
		                                : x->type.dim[i + x->type.rank - rank];
		dims[perm[i]] = d;
		large += !(dim_is_const(d, &one) && one == 1);
	}
	/* scalars and per-channel vectors only change their shape */
	return large <= 1 ? rewrite_reshape(w, x, rank, dims) : NULL;
}

static Node *sink_elementwise(Rewrite *w, Node *n)
{
	const int64_t *perm = NULL;
	Node *in[3];
	uint32_t rank = n->type.rank;
	for (uint32_t i = 0; i < n->n_in && !perm; i++)
		if (n->in[i]->op == OP_TRANSPOSE && n->in[i]->type.rank == rank)
			perm = node_attr(n->in[i], "perm")->ints;
	if (!perm) return NULL;
	/* all transposed operands must agree before anything is built */
	for (uint32_t i = 0; i < n->n_in; i++) {
		const Node *x = n->in[i];
		uint32_t large = 0;
		if (x->op == OP_TRANSPOSE && x->type.rank == rank &&
		    memcmp(node_attr_const(x, "perm")->ints, perm, rank * sizeof *perm) == 0)
			continue;
		for (uint32_t k = 0; k < x->type.rank; k++) {
			int64_t one;
			large += !(dim_is_const(x->type.dim[k], &one) && one == 1);
		}
		if (large > 1) return NULL;
	}
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!(in[i] = permuted(w, n->in[i], rank, perm))) return NULL;
	Node *e = node_new(w->c->m, n->op, n->n_in, in, n->span);
	memcpy(e->attr, n->attr, attr_rows(n->op) * sizeof(Attr));
	e = rewrite_finish(w, e);
	if (!e) return NULL;
	e->name = n->name;
	return rewrite_transpose(w, e, perm);
}

/* reduce(transpose(x)): axes follow; dims that stay must keep their order */
static Node *sink_reduce(Rewrite *w, Node *n)
{
	Node *t = n->in[0];
	if (t->op != OP_TRANSPOSE || node_attr(n, "keep")->i) return NULL;
	const int64_t *perm = node_attr(t, "perm")->ints;
	const Attr *axes = node_attr(n, "axes");
	int64_t moved[MAX_RANK], last = -1;
	uint32_t gone = 0;
	for (uint32_t i = 0; i < axes->n; i++) {
		moved[i] = perm[axes->ints[i]];
		gone |= 1u << axes->ints[i];
	}
	for (uint32_t i = 0; i < t->type.rank; i++) {
		if (gone >> i & 1) continue;
		if (perm[i] < last) return NULL;
		last = perm[i];
	}
	Node *r = node_new(w->c->m, OP_REDUCE, 1, &t->in[0], n->span);
	memcpy(r->attr, n->attr, attr_rows(OP_REDUCE) * sizeof(Attr));
	attr_ints(w->c->m, r, "axes", axes->n, moved);
	return rewrite_finish(w, r);
}

static Node *cancel_transposes(Rewrite *w, Node *n)
{
	Node *x = n->in[0];
	int64_t perm[MAX_RANK];
	bool identity = true;
	if (x->op != OP_TRANSPOSE) return NULL;
	for (uint32_t i = 0; i < n->type.rank; i++) {
		perm[i] = node_attr(x, "perm")->ints[node_attr(n, "perm")->ints[i]];
		identity &= perm[i] == (int64_t)i;
	}
	return identity ? x->in[0] : rewrite_transpose(w, x->in[0], perm);
}

void pass_layout(PassContext *c)
{
	Rule rules[NUM_SCALARS + 8];
	size_t n = 0;
	rules[n++] = (Rule){OP_CONV, "conv-channels-last", channels_last};
	rules[n++] = (Rule){OP_POOL, "pool-channels-last", channels_last};
	rules[n++] = (Rule){OP_REDUCE, "reduce-of-transpose", sink_reduce};
	rules[n++] = (Rule){OP_TRANSPOSE, "transpose-of-transpose", cancel_transposes};
	rules[n++] = (Rule){OP_CAST, "cast-of-transpose", sink_elementwise};
	for (Op op = OP_NEG; op < OP_CAST; op++)
		rules[n++] = (Rule){op, "elementwise-of-transpose", sink_elementwise};
	rewrite_run(c, rules, n);
}
