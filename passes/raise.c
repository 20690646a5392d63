/* Raising: softmax, norms and attention recognised from their parts, so that the written-out form
 * and the named one become the same kernel. raise_attention.c has attention. */
#include "passes/raise.h"

#include <string.h>

static bool is_one(Dim d)
{
	int64_t v;
	return dim_is_const(d, &v) && v == 1;
}

/* Past broadcasts and reshapes that only put dims of 1 in or out: what stretches a statistic. */
static Node *through(Node *n)
{
	for (;;) {
		bool same =
			n->op == OP_BROADCAST || (n->op == OP_CAST && n->type.dtype == n->in[0]->type.dtype);
		if (n->op == OP_RESHAPE) {
			uint32_t large[2] = {0};
			for (int side = 0; side < 2; side++) {
				const Type *t = side ? &n->type : &n->in[0]->type;
				for (uint32_t i = 0; i < t->rank; i++) large[side] += !is_one(t->dim[i]);
			}
			same = large[0] == large[1];
		}
		if (!same) return n;
		n = n->in[0];
	}
}

/* sum over an axis divided by its size, in one of the ways to write it: the reduction, or NULL */
static Node *divided_sum(Node *n)
{
	double v;
	for (int i = 0; i < 2 && (n->op == OP_MUL || n->op == OP_DIV); i++) {
		Node *sum = through(n->in[i]), *by = through(n->in[1 - i]);
		if (n->op == OP_DIV && i) break;
		if (sum->op != OP_REDUCE || strcmp(node_attr(sum, "reduce")->s, "sum") != 0 ||
		    node_attr(sum, "axes")->n != 1)
			continue;
		Dim size = sum->in[0]->type.dim[node_attr(sum, "axes")->ints[0]];
		int64_t known;
		if (by->op == OP_CAST) by = by->in[0];
		if (n->op == OP_DIV && by->op == OP_DIM && node_attr(by, "value")->d == size) return sum;
		if (!dim_is_const(size, &known) || !node_const_scalar(by, &v)) continue;
		double want = n->op == OP_DIV ? (double)known : 1.0 / (double)known;
		if (v == want || (float)v == (float)want) return sum;
	}
	return NULL;
}

/* Is `n`, spread over `full`, a reduction over one axis of x? The axis, or -1. */
static int64_t kept_reduce(Node *n, const char *how, Node **x)
{
	const Type *t = &n->type;
	uint32_t rank = t->rank;
	n = through(n);
	Node *sum = strcmp(how, "mean") == 0 ? divided_sum(n) : NULL;
	if (!sum && n->op != OP_REDUCE && n->op != OP_MEAN) return -1;
	if (!sum && (n->op == OP_REDUCE ? strcmp(node_attr(n, "reduce")->s, how) != 0
	                                : strcmp("mean", how) != 0))
		return -1;
	if (sum) n = sum;
	const Attr *axes = node_attr(n, "axes");
	if (axes->n != 1 || n->in[0]->type.rank != rank || !is_one(t->dim[axes->ints[0]])) return -1;
	*x = n->in[0];
	return axes->ints[0];
}

static Node *softmax_node(Rewrite *w, Node *x, int64_t axis)
{
	Node *s = node_new(w->c->m, OP_SOFTMAX, 1, &x, w->at->span);
	attr_int(s, "axis", axis);
	return rewrite_finish(w, s);
}

/* e / sum(e) or e * recip(sum(e)) with e = exp(x - max(x)) or exp(x) */
static Node *raise_softmax(Rewrite *w, Node *n)
{
	Node *e = n->in[0], *sum = n->in[1], *of, *x;
	if (n->op == OP_MUL) {
		if (sum->op != OP_RECIP) {
			e = n->in[1];
			sum = n->in[0];
		}
		if (sum->op != OP_RECIP) return NULL;
		sum = sum->in[0];
	}
	if (e->op != OP_EXP || !type_equal(&e->type, &n->type)) return NULL;
	int64_t axis = kept_reduce(sum, "sum", &of), max_axis;
	if (axis < 0 || of != e) return NULL;
	Node *arg = e->in[0], *shifted;
	if (arg->op != OP_SUB)
		return NULL; /* without the maximum it may overflow: that is what was written */
	x = arg->in[0];
	max_axis = kept_reduce(arg->in[1], "max", &shifted);
	if (max_axis != axis || shifted != x || !type_equal(&x->type, &n->type)) return NULL;
	return softmax_node(w, x, axis);
}

static bool last_axis_vector(const Node *n, const Type *of)
{
	return n->type.rank == 1 && of->rank && n->type.dim[0] == of->dim[of->rank - 1];
}

/* r = rsqrt(mean(y*y) + eps) (quotient: its square root), spread over rows of y: y, or NULL */
static Node *inverse_rms(Node *r, bool quotient, double *eps)
{
	uint32_t rank = r->type.rank;
	if (!rank) return NULL;
	if (!is_one(r->type.dim[rank - 1])) {
		while (r->op == OP_BROADCAST) r = r->in[0];
		if (r->type.rank != rank || !is_one(r->type.dim[rank - 1])) return NULL;
	}
	r = through(r);
	bool reciprocal = r->op == OP_RECIP && through(r->in[0])->op == OP_SQRT;
	if (reciprocal) r = through(r->in[0]);
	if (r->op != (quotient || reciprocal ? OP_SQRT : OP_RSQRT) || through(r->in[0])->op != OP_ADD)
		return NULL;
	Node *add = through(r->in[0]), *mean = add->in[0], *square;
	if (!node_const_scalar(add->in[1], eps)) {
		mean = add->in[1];
		if (!node_const_scalar(add->in[0], eps)) return NULL;
	}
	mean = through(mean);
	Node *sum = divided_sum(mean);
	if (!sum && mean->op != OP_MEAN) return NULL;
	if (sum) mean = sum;
	const Attr *axes = node_attr(mean, "axes");
	square = mean->in[0];
	if (axes->n != 1 || axes->ints[0] + 1 != (int64_t)square->type.rank ||
	    square->type.rank != rank)
		return NULL;
	if (square->op != OP_MUL || square->in[0] != square->in[1]) return NULL;
	return square->in[0];
}

static Node *norm_node(Rewrite *w, Node *y, double eps)
{
	Node *of;
	bool centred = y->op == OP_SUB &&
	               kept_reduce(y->in[1], "mean", &of) + 1 == (int64_t)y->type.rank &&
	               of == y->in[0];
	Node *x = centred ? y->in[0] : y;
	Node *r = node_new(w->c->m, centred ? OP_LAYER_NORM : OP_RMS_NORM, 1, &x, w->at->span);
	attr_float(r, "eps", eps);
	return rewrite_finish(w, r);
}

/* y * inverse_rms(y): an RMS norm, or a layer norm when y = x - mean(x); (y * scale) * inverse_rms(y)
 * likewise */
static Node *raise_norm(Rewrite *w, Node *n)
{
	for (int i = 0; i < 2; i++) {
		double eps;
		Node *y = n->in[i], *same = inverse_rms(n->in[1 - i], false, &eps);
		if (!same || !type_equal(&y->type, &n->type) || y->type.dtype != DT_F32) continue;
		if (same == y) return norm_node(w, y, eps);
		for (int k = 0; k < 2 && y->op == OP_MUL; k++) {
			if (y->in[k] != same || !last_axis_vector(y->in[1 - k], &same->type)) continue;
			return rewrite_node(w, OP_MUL, 2, (Node *[]){norm_node(w, same, eps), y->in[1 - k]});
		}
	}
	return NULL;
}

/* y / sqrt(mean(y*y) + eps) where canonical forms have not made it a product */
static Node *raise_norm_quotient(Rewrite *w, Node *n)
{
	double eps;
	Node *y = n->in[0], *root = n->in[1];
	if (!type_equal(&y->type, &n->type) || y->type.dtype != DT_F32 || through(root)->op != OP_SQRT)
		return NULL;
	return inverse_rms(root, true, &eps) == y ? norm_node(w, y, eps) : NULL;
}

/* norm(x) * scale */
static Node *norm_scale(Rewrite *w, Node *n)
{
	for (int i = 0; i < 2; i++) {
		Node *norm = n->in[i], *scale = n->in[1 - i];
		if ((norm->op != OP_LAYER_NORM && norm->op != OP_RMS_NORM) || norm->n_in != 1 ||
		    !last_axis_vector(scale, &norm->type))
			continue;
		Node *r = node_new(w->c->m, norm->op, 2, (Node *[]){norm->in[0], scale}, n->span);
		attr_float(r, "eps", node_attr(norm, "eps")->f);
		return rewrite_finish(w, r);
	}
	return NULL;
}

/* layer_norm(x, scale) + shift */
static Node *norm_shift(Rewrite *w, Node *n)
{
	for (int i = 0; i < 2; i++) {
		Node *norm = n->in[i], *shift = n->in[1 - i];
		if (norm->op != OP_LAYER_NORM || norm->n_in != 2 || !last_axis_vector(shift, &norm->type))
			continue;
		Node *r = node_new(w->c->m, OP_LAYER_NORM, 3, (Node *[]){norm->in[0], norm->in[1], shift},
		                   n->span);
		attr_float(r, "eps", node_attr(norm, "eps")->f);
		return rewrite_finish(w, r);
	}
	return NULL;
}

static const Rule rules[] = {
	{OP_DIV, "softmax", raise_softmax},
	{OP_MUL, "softmax-by-reciprocal", raise_softmax},
	{OP_MUL, "norm", raise_norm},
	{OP_DIV, "norm-by-quotient", raise_norm_quotient},
	{OP_MUL, "norm-scale", norm_scale},
	{OP_ADD, "norm-shift", norm_shift},
	{OP_EINSUM, "attention", raise_attention},
	{OP_ATTENTION, "repeated-heads", raise_repeated_heads},
};

void pass_raise(PassContext *c)
{
	rewrite_run(c, rules, COUNT(rules));
}
