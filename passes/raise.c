/* Raising: softmax, norms and attention recognised from their parts, so that the written-out form
 * and the named one become the same kernel. When a product of a softmax with values looks like
 * attention and is not raised, a remark says why. */
#include "passes/passes.h"

#include <string.h>

static Node *through(Node *n)
{
	while (n->op == OP_BROADCAST || (n->op == OP_CAST && n->type.dtype == n->in[0]->type.dtype))
		n = n->in[0];
	return n;
}

/* A reduction over one axis with the axis kept (or reshaped back): the axis, or -1. */
static int64_t kept_reduce(Node *n, const char *how, Node **x)
{
	const Type *t = &n->type;
	n = through(n);
	if (n->op == OP_RESHAPE) n = n->in[0];
	if ((n->op != OP_REDUCE && n->op != OP_MEAN) || n->in[0]->type.rank != t->rank) return -1;
	if (n->op == OP_REDUCE ? strcmp(node_attr(n, "reduce")->s, how) != 0 : strcmp("mean", how) != 0)
		return -1;
	const Attr *axes = node_attr(n, "axes");
	int64_t one;
	if (axes->n != 1 || !dim_is_const(t->dim[axes->ints[0]], &one) || one != 1) return -1;
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

/* r = rsqrt(mean(y*y) + eps): y, or NULL */
static Node *inverse_rms(Node *r, double *eps)
{
	r = through(r);
	if (r->op != OP_RSQRT || r->in[0]->op != OP_ADD) return NULL;
	Node *add = r->in[0], *mean = add->in[0], *square;
	if (!node_const_scalar(add->in[1], eps)) {
		mean = add->in[1];
		if (!node_const_scalar(add->in[0], eps)) return NULL;
	}
	int64_t axis = kept_reduce(mean, "mean", &square);
	if (axis < 0 || axis + 1 != (int64_t)square->type.rank) return NULL;
	if (square->op != OP_MUL || square->in[0] != square->in[1]) return NULL;
	return square->in[0];
}

/* y * inverse_rms(y): an RMS norm, or a layer norm when y = x - mean(x) */
static Node *raise_norm(Rewrite *w, Node *n)
{
	for (int i = 0; i < 2; i++) {
		double eps;
		Node *y = n->in[i], *same = inverse_rms(n->in[1 - i], &eps), *of;
		if (!same || same != y || !type_equal(&y->type, &n->type)) continue;
		bool centred = y->op == OP_SUB &&
		               kept_reduce(y->in[1], "mean", &of) + 1 == (int64_t)y->type.rank &&
		               of == y->in[0];
		Node *x = centred ? y->in[0] : y;
		Node *r = node_new(w->c->m, centred ? OP_LAYER_NORM : OP_RMS_NORM, 1, &x, n->span);
		attr_float(r, "eps", eps);
		return rewrite_finish(w, r);
	}
	return NULL;
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

/* `abij,abjd->abid` up to renaming of letters, with the leading letters shared by all three. */
static bool spec_is(const char *spec, uint32_t rank, bool second_transposed)
{
	/* rank leading+2 for each operand: X[lead, i, k] Y[lead, k, d] (or [lead, d, k]) -> [lead, i, d] */
	size_t want = (size_t)rank * 3 + 3;
	if (strlen(spec) != want) return false;
	const char *a = spec, *b = spec + rank + 1, *c = spec + 2 * (size_t)rank + 3;
	uint32_t lead = rank - 2;
	if (memcmp(a, b, lead) || memcmp(a, c, lead)) return false;
	char i = a[lead], k = a[lead + 1], y0 = b[lead], y1 = b[lead + 1];
	char yk = second_transposed ? y1 : y0, yd = second_transposed ? y0 : y1;
	return yk == k && c[lead] == i && c[lead + 1] == yd && yd != k && yd != i;
}

static void unfused(Rewrite *w, Node *n, const char *why)
{
	diag_remark(w->c->d, n->span, "attention is not fused: %s", why);
	n->mark = 0xa77e; /* said once */
}

/* einsum(softmax(scale * einsum(q, k) + bias), v) */
static Node *raise_attention(Rewrite *w, Node *n)
{
	Node *p = n->in[0], *v = n->in[1], *bias = NULL;
	double scale = 1, s;
	uint32_t rank = n->type.rank;
	if (p->op != OP_SOFTMAX || n->mark == 0xa77e || rank < 3 || p->type.rank != rank) return NULL;
	if (node_attr(p, "axis")->i + 1 != (int64_t)rank ||
	    !spec_is(node_attr(n, "spec")->s, rank, false))
		return NULL;
	if (node_is_result(p) || node_use_count(p) != 1) {
		unfused(w, n, "the weights of the softmax are used elsewhere too");
		return NULL;
	}
	Node *score = p->in[0];
	for (;;) {
		if (score->op == OP_MUL && node_const_scalar(score->in[1], &s)) {
			if (bias) break; /* a scale outside the bias would scale it too */
			scale *= s;
			score = score->in[0];
		} else if (score->op == OP_MUL && node_const_scalar(score->in[0], &s)) {
			scale *= s;
			score = score->in[1];
		} else if (score->op == OP_DIV && node_const_scalar(score->in[1], &s) && s != 0) {
			scale /= s;
			score = score->in[0];
		} else if (score->op == OP_ADD && !bias && scale == 1 &&
		           type_equal(&score->in[0]->type, &score->type)) {
			bias = score->in[1];
			score = score->in[0];
		} else {
			break;
		}
	}
	if (score->op != OP_EINSUM || !spec_is(node_attr(score, "spec")->s, rank, true)) {
		unfused(w, n,
		        "its scores are not a scaled product of queries and keys with an additive mask");
		return NULL;
	}
	Node *in[4] = {score->in[0], score->in[1], v, bias};
	Node *a = node_new(w->c->m, OP_ATTENTION, bias ? 4 : 3, in, n->span);
	attr_float(a, "scale", scale);
	Node *done = rewrite_finish(w, a);
	if (!done) unfused(w, n, "queries, keys and values do not have the shapes of attention");
	return done;
}

static const Rule rules[] = {
	{OP_DIV, "softmax", raise_softmax}, {OP_MUL, "softmax-by-reciprocal", raise_softmax},
	{OP_MUL, "norm", raise_norm},       {OP_MUL, "norm-scale", norm_scale},
	{OP_ADD, "norm-shift", norm_shift}, {OP_EINSUM, "attention", raise_attention},
};

void pass_raise(PassContext *c)
{
	rewrite_run(c, rules, COUNT(rules));
}
