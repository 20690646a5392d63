/* Canonical forms: identities removed, movements composed, powers and divisions in their plainest
 * words. Every rule shrinks the graph or replaces a node by a cheaper one; none undoes another. */
#include "passes/passes.h"

#include <string.h>

static bool same_type(const Node *a, const Node *b)
{
	return type_equal(&a->type, &b->type);
}

/* --- movement --- */

static Node *reshape_identity(Rewrite *w, Node *n)
{
	(void)w;
	return same_type(n, n->in[0]) ? n->in[0] : NULL;
}

static Node *reshape_of_reshape(Rewrite *w, Node *n)
{
	if (n->in[0]->op != OP_RESHAPE) return NULL;
	return rewrite_reshape(w, n->in[0]->in[0], n->type.rank, n->type.dim);
}

static bool is_one(Dim d)
{
	int64_t v;
	return dim_is_const(d, &v) && v == 1;
}

/* A transpose that only moves dims of size 1 is a reshape. */
static Node *transpose_of_ones(Rewrite *w, Node *n)
{
	const Attr *perm = node_attr(n, "perm");
	int64_t last = -1;
	for (uint32_t i = 0; i < perm->n; i++) {
		if (is_one(n->type.dim[i])) continue;
		if (perm->ints[i] < last) return NULL;
		last = perm->ints[i];
	}
	if (same_type(n, n->in[0])) return n->in[0];
	return rewrite_reshape(w, n->in[0], n->type.rank, n->type.dim);
}

static Node *transpose_of_transpose(Rewrite *w, Node *n)
{
	if (n->in[0]->op != OP_TRANSPOSE) return NULL;
	const Attr *outer = node_attr(n, "perm"), *inner = node_attr(n->in[0], "perm");
	int64_t perm[MAX_RANK];
	for (uint32_t i = 0; i < outer->n; i++) perm[i] = inner->ints[outer->ints[i]];
	return rewrite_transpose(w, n->in[0]->in[0], perm);
}

static Node *broadcast_identity(Rewrite *w, Node *n)
{
	(void)w;
	return same_type(n, n->in[0]) ? n->in[0] : NULL;
}

static Node *slice_identity(Rewrite *w, Node *n)
{
	const Attr *start = node_attr(n, "start"), *step = node_attr(n, "step");
	(void)w;
	if (!same_type(n, n->in[0])) return NULL;
	for (uint32_t i = 0; i < start->n; i++) {
		int64_t v;
		if (!dim_is_const(start->dims[i], &v) || v != 0) return NULL;
		if (step->set && step->ints[i] != 1) return NULL;
	}
	return n->in[0];
}

static Node *concat_of_one(Rewrite *w, Node *n)
{
	(void)w;
	return n->n_in == 1 ? n->in[0] : NULL;
}

static Node *pad_nothing(Rewrite *w, Node *n)
{
	(void)w;
	return same_type(n, n->in[0]) ? n->in[0] : NULL;
}

static Node *get_of_tuple(Rewrite *w, Node *n)
{
	(void)w;
	return n->in[0]->op == OP_TUPLE ? n->in[0]->in[node_attr(n, "number")->i] : NULL;
}

static Node *cast_identity(Rewrite *w, Node *n)
{
	(void)w;
	return same_type(n, n->in[0]) ? n->in[0] : NULL;
}

/* Padding by zeros before a convolution belongs to the convolution. */
static Node *conv_of_pad(Rewrite *w, Node *n)
{
	Node *p = n->in[0];
	if (p->op != OP_PAD || node_attr(p, "value")->f != 0) return NULL;
	const Attr *lo = node_attr(p, "lo"), *hi = node_attr(p, "hi");
	bool last = node_attr(n, "channels_last")->i;
	uint32_t spatial = n->type.rank - 2, first = last ? 1 : 2,
			 channel = last ? n->type.rank - 1 : 1;
	if (lo->ints[0] || hi->ints[0] || lo->ints[channel] || hi->ints[channel]) return NULL;
	Node *c = node_new(w->c->m, OP_CONV, 2, (Node *[]){p->in[0], n->in[1]}, n->span);
	memcpy(c->attr, n->attr, sizeof(Attr) * 6);
	int64_t nlo[MAX_RANK], nhi[MAX_RANK];
	for (uint32_t i = 0; i < spatial; i++) {
		nlo[i] = node_attr(n, "lo")->ints[i] + lo->ints[first + i];
		nhi[i] = node_attr(n, "hi")->ints[i] + hi->ints[first + i];
	}
	attr_ints(w->c->m, c, "lo", spatial, nlo);
	attr_ints(w->c->m, c, "hi", spatial, nhi);
	return rewrite_finish(w, c);
}

/* --- arithmetic --- */

/* op(x, k) or, for commutative ones, op(k, x) with a constant k: x when k is neutral. */
static Node *neutral(Node *n, double k, bool commutes)
{
	double v;
	if (node_const_scalar(n->in[1], &v) && v == k && same_type(n, n->in[0])) return n->in[0];
	if (commutes && node_const_scalar(n->in[0], &v) && v == k && same_type(n, n->in[1]))
		return n->in[1];
	return NULL;
}

static Node *add_zero(Rewrite *w, Node *n)
{
	(void)w;
	return neutral(n, 0, true);
}

static Node *sub_zero(Rewrite *w, Node *n)
{
	(void)w;
	return neutral(n, 0, false);
}

static Node *mul_one(Rewrite *w, Node *n)
{
	(void)w;
	return neutral(n, 1, true);
}

static Node *div_one(Rewrite *w, Node *n)
{
	(void)w;
	return neutral(n, 1, false);
}

static Node *one_over(Rewrite *w, Node *n)
{
	double v;
	if (!node_const_scalar(n->in[0], &v) || v != 1 || !same_type(n, n->in[1])) return NULL;
	return rewrite_node(w, OP_RECIP, 1, &n->in[1]);
}

static Node *recip_of_sqrt(Rewrite *w, Node *n)
{
	return n->in[0]->op == OP_SQRT ? rewrite_node(w, OP_RSQRT, 1, &n->in[0]->in[0]) : NULL;
}

static Node *div_by_sqrt(Rewrite *w, Node *n)
{
	if (n->in[1]->op != OP_SQRT) return NULL;
	Node *r = rewrite_node(w, OP_RSQRT, 1, &n->in[1]->in[0]);
	return rewrite_node(w, OP_MUL, 2, (Node *[]){n->in[0], r});
}

static Node *neg_of_neg(Rewrite *w, Node *n)
{
	(void)w;
	return n->in[0]->op == OP_NEG ? n->in[0]->in[0] : NULL;
}

static Node *power(Rewrite *w, Node *n)
{
	double v;
	Node *x = n->in[0];
	if (!node_const_scalar(n->in[1], &v) || !same_type(n, x)) return NULL;
	if (v == 1) return x;
	if (v == 2) return rewrite_node(w, OP_MUL, 2, (Node *[]){x, x});
	if (v == 0.5) return rewrite_node(w, OP_SQRT, 1, &x);
	if (v == -0.5) return rewrite_node(w, OP_RSQRT, 1, &x);
	if (v == -1) return rewrite_node(w, OP_RECIP, 1, &x);
	return NULL;
}

/* x * sigmoid(x) */
static Node *mul_sigmoid(Rewrite *w, Node *n)
{
	for (int i = 0; i < 2; i++)
		if (n->in[i]->op == OP_SIGMOID && n->in[i]->in[0] == n->in[1 - i])
			return rewrite_node(w, OP_SILU, 1, &n->in[1 - i]);
	return NULL;
}

/* max(x, 0) */
static Node *max_zero(Rewrite *w, Node *n)
{
	double v;
	for (int i = 0; i < 2; i++)
		if (node_const_scalar(n->in[i], &v) && v == 0 && same_type(n, n->in[1 - i]))
			return rewrite_node(w, OP_RELU, 1, &n->in[1 - i]);
	return NULL;
}

/* A reduction over axes of size 1, or over none, is a reshape. */
static Node *reduce_nothing(Rewrite *w, Node *n)
{
	const Attr *axes = node_attr(n, "axes");
	if (n->type.dtype != n->in[0]->type.dtype || strcmp(node_attr(n, "reduce")->s, "argmax") == 0)
		return NULL;
	for (uint32_t i = 0; i < axes->n; i++)
		if (!is_one(n->in[0]->type.dim[axes->ints[i]])) return NULL;
	return rewrite_reshape(w, n->in[0], n->type.rank, n->type.dim);
}

static const Rule rules[] = {
	{OP_RESHAPE, "reshape-identity", reshape_identity},
	{OP_RESHAPE, "reshape-of-reshape", reshape_of_reshape},
	{OP_TRANSPOSE, "transpose-of-ones", transpose_of_ones},
	{OP_TRANSPOSE, "transpose-of-transpose", transpose_of_transpose},
	{OP_BROADCAST, "broadcast-identity", broadcast_identity},
	{OP_SLICE, "slice-identity", slice_identity},
	{OP_CONCAT, "concat-of-one", concat_of_one},
	{OP_PAD, "pad-nothing", pad_nothing},
	{OP_GET, "get-of-tuple", get_of_tuple},
	{OP_CAST, "cast-identity", cast_identity},
	{OP_CONV, "conv-of-pad", conv_of_pad},
	{OP_ADD, "add-zero", add_zero},
	{OP_SUB, "sub-zero", sub_zero},
	{OP_MUL, "mul-by-one", mul_one},
	{OP_MUL, "mul-by-own-sigmoid", mul_sigmoid},
	{OP_DIV, "div-by-one", div_one},
	{OP_DIV, "one-over", one_over},
	{OP_DIV, "div-by-sqrt", div_by_sqrt},
	{OP_RECIP, "recip-of-sqrt", recip_of_sqrt},
	{OP_NEG, "neg-of-neg", neg_of_neg},
	{OP_POW, "power", power},
	{OP_MAX, "max-zero", max_zero},
	{OP_REDUCE, "reduce-nothing", reduce_nothing},
};

void pass_canonicalize(PassContext *c)
{
	rewrite_run(c, rules, COUNT(rules));
}
