/* Surface composites spelled out: each rule is the definition in ops.def by smaller operations. */
#include "passes/passes.h"

#include <math.h>
#include <string.h>

static Node *reduce(Rewrite *w, Node *x, const char *how, uint32_t n_axes, const int64_t *axes,
                    bool keep)
{
	Node *r = node_new(w->c->m, OP_REDUCE, 1, &x, w->at->span);
	attr_str(r, "reduce", intern_str(w->c->m->names, how));
	attr_ints(w->c->m, r, "axes", n_axes, axes);
	attr_int(r, "keep", keep);
	return rewrite_finish(w, r);
}

static Node *dim_value(Rewrite *w, Dim d)
{
	Node *n = node_new(w->c->m, OP_DIM, 0, NULL, w->at->span);
	attr_dim(n, "value", d);
	n->type = type_scalar(DT_I32);
	return rewrite_finish(w, n);
}

static Node *cast(Rewrite *w, Node *x, DType t)
{
	Node *n = node_new(w->c->m, OP_CAST, 1, &x, w->at->span);
	attr_int(n, "dtype", t);
	return rewrite_finish(w, n);
}

static Node *decompose_mean(Rewrite *w, Node *n)
{
	Module *m = w->c->m;
	const Attr *axes = node_attr(n, "axes");
	Dim count = dim_const(m->dims, 1);
	int64_t known;
	for (uint32_t i = 0; i < axes->n; i++)
		count = dim_mul(m->dims, count, n->in[0]->type.dim[axes->ints[i]]);
	Node *sum = reduce(w, n->in[0], "sum", axes->n, axes->ints, node_attr(n, "keep")->i);
	if (dim_is_const(count, &known))
		return rewrite_node(w, OP_MUL, 2,
		                    (Node *[]){sum, rewrite_const(w, DT_F32, 1.0 / (double)known)});
	return rewrite_node(w, OP_DIV, 2, (Node *[]){sum, cast(w, dim_value(w, count), DT_F32)});
}

static Node *decompose_clamp(Rewrite *w, Node *n)
{
	DType t = dtype_widened(n->type.dtype);
	Node *lo = rewrite_node(w, OP_MAX, 2,
	                        (Node *[]){n->in[0], rewrite_const(w, t, node_attr(n, "lo")->f)});
	return rewrite_node(w, OP_MIN, 2, (Node *[]){lo, rewrite_const(w, t, node_attr(n, "hi")->f)});
}

static Node *decompose_batch_norm(Rewrite *w, Node *n)
{
	Module *m = w->c->m;
	Node *v[5];
	Dim shape[MAX_RANK];
	int64_t axis = node_attr(n, "axis")->i;
	uint32_t rank = n->type.rank - (uint32_t)axis;
	shape[0] = n->type.dim[axis];
	for (uint32_t i = 1; i < rank; i++) shape[i] = dim_const(m->dims, 1);
	Node *eps = rewrite_const(w, DT_F32, node_attr(n, "eps")->f);
	Node *var = rewrite_node(w, OP_ADD, 2, (Node *[]){n->in[4], eps});
	Node *scale =
		rewrite_node(w, OP_MUL, 2, (Node *[]){n->in[1], rewrite_node(w, OP_RSQRT, 1, &var)});
	Node *shift =
		rewrite_node(w, OP_SUB, 2,
	                 (Node *[]){n->in[2], rewrite_node(w, OP_MUL, 2, (Node *[]){n->in[3], scale})});
	v[0] = rewrite_reshape(w, scale, rank, shape);
	v[1] = rewrite_reshape(w, shift, rank, shape);
	return rewrite_node(w, OP_ADD, 2,
	                    (Node *[]){rewrite_node(w, OP_MUL, 2, (Node *[]){n->in[0], v[0]}), v[1]});
}

static Node *decompose_log_softmax(Rewrite *w, Node *n)
{
	int64_t axis = node_attr(n, "axis")->i;
	Node *x = n->in[0];
	Node *y = rewrite_node(w, OP_SUB, 2, (Node *[]){x, reduce(w, x, "max", 1, &axis, true)});
	Node *sum = reduce(w, rewrite_node(w, OP_EXP, 1, &y), "sum", 1, &axis, true);
	return rewrite_node(w, OP_SUB, 2, (Node *[]){y, rewrite_node(w, OP_LOG, 1, &sum)});
}

static Node *decompose_softplus(Rewrite *w, Node *n)
{
	Node *x = n->in[0];
	Node *a = rewrite_node(w, OP_ABS, 1, &x);
	Node *e = rewrite_node(w, OP_NEG, 1, &a);
	e = rewrite_node(w, OP_EXP, 1, &e);
	e = rewrite_node(w, OP_ADD, 2, (Node *[]){e, rewrite_const(w, DT_F32, 1)});
	return rewrite_node(
		w, OP_ADD, 2, (Node *[]){rewrite_node(w, OP_RELU, 1, &x), rewrite_node(w, OP_LOG, 1, &e)});
}

/* What each pair turns by a position, when it is known: half numbers, else NULL. */
static double *rope_freqs(PassContext *c, Node *n, int64_t half)
{
	double *freqs = NEW_ARRAY(c->m->arena, double, half + 1), base = node_attr(n, "base")->f;
	if (n->n_in > 1 && n->in[1]->op != OP_CONST) return NULL;
	const Tensor *t = n->n_in > 1 ? node_attr_const(n->in[1], "value")->tensor : NULL;
	for (int64_t i = 0; i < half; i++)
		freqs[i] = t ? dtype_load(t->dtype, t->data, t->count == half ? i : 0)
		             : pow(base, -(double)i / (double)half);
	return freqs;
}

/* The least number of positions that is known to be enough: end <= it. */
static int64_t rope_positions(Rewrite *w, Dim end)
{
	const Module *m = w->c->m;
	int64_t lo, hi;
	dim_range(&m->facts, end, &lo, &hi);
	if (m->facts.assume || hi == INT64_MAX || lo < 1) return hi;
	DimFacts known = {.pool = m->dims}; /* and what is required: pos + length <= T */
	for (size_t i = 0; i < m->facts.nonneg.n; i++)
		vec_push(w->c->scratch, &known.nonneg, m->facts.nonneg.at[i]);
	for (size_t i = 0; i < m->require.n; i++)
		vec_push(w->c->scratch, &known.nonneg, m->require.at[i]);
	for (size_t i = 0; i < w->c->entry->require.n; i++)
		vec_push(w->c->scratch, &known.nonneg, w->c->entry->require.at[i]);
	while (lo < hi) {
		int64_t mid = lo + (hi - lo) / 2;
		if (dim_le(&known, end, dim_const(m->dims, mid)) == PROOF_YES)
			hi = mid;
		else
			lo = mid + 1;
	}
	return hi;
}

/* Cosines and sines of every position that can occur, computed in double: [positions, half]. Most
 * layers and entries want the same ones, so they are made once. */
typedef struct RopeTable {
	struct RopeTable *next;
	int64_t positions, half;
	const double *freqs;
	Tensor part[2];
} RopeTable;

static RopeTable *rope_table(PassContext *c, int64_t positions, int64_t half, const double *freqs)
{
	for (RopeTable *t = c->ropes; t; t = t->next)
		if (t->positions == positions && t->half == half &&
		    memcmp(t->freqs, freqs, (size_t)half * sizeof *freqs) == 0)
			return t;
	RopeTable *t = NEW(c->m->arena, RopeTable);
	*t = (RopeTable){.next = c->ropes, .positions = positions, .half = half, .freqs = freqs};
	c->ropes = t;
	float *to[2];
	for (int i = 0; i < 2; i++) {
		to[i] = NEW_ARRAY(c->m->arena, float, positions *half + 1);
		t->part[i] = (Tensor){.dtype = DT_F32, .count = positions * half, .data = to[i]};
	}
	for (int64_t p = 0; p < positions; p++)
		for (int64_t i = 0; i < half; i++) {
			double angle = (double)p * freqs[i];
			to[0][p * half + i] = (float)cos(angle);
			to[1][p * half + i] = (float)sin(angle);
		}
	return t;
}

static Node *rope_const(Rewrite *w, RopeTable *t, bool sine)
{
	Module *m = w->c->m;
	Node *n = node_new(m, OP_CONST, 0, NULL, w->at->span);
	attr_tensor(n, "value", &t->part[sine]);
	n->type = type_tensor(DT_F32, 2,
	                      (Dim[]){dim_const(m->dims, t->positions), dim_const(m->dims, t->half)});
	return rewrite_finish(w, n);
}

static Node *slice(Rewrite *w, Node *x, uint32_t axis, Dim start, Dim size)
{
	Module *m = w->c->m;
	Dim starts[MAX_RANK], sizes[MAX_RANK];
	for (uint32_t i = 0; i < x->type.rank; i++) {
		starts[i] = dim_const(m->dims, 0);
		sizes[i] = x->type.dim[i];
	}
	starts[axis] = start;
	sizes[axis] = size;
	Node *n = node_new(m, OP_SLICE, 1, &x, w->at->span);
	attr_dims(m, n, "start", x->type.rank, starts);
	attr_dims(m, n, "size", x->type.rank, sizes);
	return rewrite_finish(w, n);
}

static Node *concat(Rewrite *w, Node *a, Node *b, uint32_t axis)
{
	Node *n = node_new(w->c->m, OP_CONCAT, 2, (Node *[]){a, b}, w->at->span);
	attr_int(n, "axis", axis);
	return rewrite_finish(w, n);
}

/* (pos + row) * freqs, [length, half], for frequencies known when it runs. */
static Node *rope_angles(Rewrite *w, Node *freqs, Dim pos, Dim length, Dim half)
{
	Module *m = w->c->m;
	Dim column[] = {length, dim_const(m->dims, 1)}, row[] = {dim_const(m->dims, 1), half};
	Node *at = node_new(m, OP_IOTA, 0, NULL, w->at->span);
	attr_dims(m, at, "dims", 2, column);
	attr_int(at, "axis", 0);
	Node *sum[] = {rewrite_finish(w, at), dim_value(w, pos)};
	Node *position = cast(w, rewrite_node(w, OP_ADD, 2, sum), DT_F32);
	return rewrite_node(w, OP_MUL, 2, (Node *[]){position, rewrite_reshape(w, freqs, 2, row)});
}

static Node *decompose_rope(Rewrite *w, Node *n)
{
	enum { MOST_POSITIONS = 1 << 20 };
	Module *m = w->c->m;
	Node *x = n->in[0], *part[2], *table[2];
	uint32_t rank = x->type.rank;
	int64_t width;
	bool half = node_attr(n, "half")->i;
	Dim pos = node_attr(n, "pos")->d, length = x->type.dim[rank - 2];
	if (!dim_is_const(x->type.dim[rank - 1], &width) || width % 2) {
		diag_error(w->c->d, n->span, "rope needs an even width known at compile time, not %s",
		           dim_text(m->arena, x->type.dim[rank - 1]));
		w->c->failed = true;
		return NULL;
	}
	int64_t hi = rope_positions(w, dim_add(m->dims, pos, length));
	double *freqs = rope_freqs(w->c, n, width / 2);
	Node *angles = NULL;
	if (freqs && (hi < 1 || hi > MOST_POSITIONS)) {
		diag_error(w->c->d, n->span, "rope needs positions bounded by %d: `%s` has no such bound",
		           MOST_POSITIONS, dim_text(m->arena, dim_add(m->dims, pos, length)));
		w->c->failed = true;
		return NULL;
	}
	Dim h = dim_const(m->dims, width / 2), zero = dim_const(m->dims, 0),
		one = dim_const(m->dims, 1);
	Dim pairs[MAX_RANK + 1];
	for (uint32_t i = 0; i + 1 < rank; i++) pairs[i] = x->type.dim[i];
	pairs[rank - 1] = h;
	pairs[rank] = dim_const(m->dims, 2);
	if (!half && rank == MAX_RANK) return NULL;
	Node *source = half ? x : rewrite_reshape(w, x, rank + 1, pairs);
	uint32_t axis = half ? rank - 1 : rank;
	part[0] = slice(w, source, axis, zero, half ? h : one);
	part[1] = slice(w, source, axis, half ? h : one, half ? h : one);
	if (!freqs) angles = rope_angles(w, n->in[1], pos, length, h);
	RopeTable *made = freqs ? rope_table(w->c, hi, width / 2, freqs) : NULL;
	for (int i = 0; i < 2; i++) {
		if (!half) part[i] = rewrite_reshape(w, part[i], rank, pairs);
		table[i] = angles ? rewrite_node(w, i ? OP_SIN : OP_COS, 1, &angles)
		                  : slice(w, rope_const(w, made, i), 0, pos, length);
	}
	Node *cc[2], *y[2];
	for (int i = 0; i < 2; i++) {
		cc[0] = rewrite_node(w, OP_MUL, 2, (Node *[]){part[i], table[0]});
		cc[1] = rewrite_node(w, OP_MUL, 2, (Node *[]){part[1 - i], table[1]});
		y[i] = rewrite_node(w, i ? OP_ADD : OP_SUB, 2, cc);
	}
	if (half) return concat(w, y[0], y[1], rank - 1);
	Dim split[MAX_RANK + 1];
	for (uint32_t i = 0; i < rank; i++) split[i] = pairs[i];
	split[rank] = one;
	for (int i = 0; i < 2; i++) y[i] = rewrite_reshape(w, y[i], rank + 1, split);
	return rewrite_reshape(w, concat(w, y[0], y[1], rank), rank, x->type.dim);
}

/* The same product of other operands. */
static Node *product_of(Rewrite *w, const Node *n, uint32_t which, Node *operand)
{
	Node *in[5];
	uint32_t attrs = 0;
	memcpy(in, n->in, n->n_in * sizeof *in);
	in[which] = operand;
	Node *y = node_new(w->c->m, n->op, n->n_in, in, n->span);
	while (op_info[n->op].attr[attrs].name) attrs++;
	memcpy(y->attr, n->attr, attrs * sizeof *y->attr);
	return rewrite_finish(w, y);
}

/* Where integers are multiplied as i8 by i8, a u8 is twice its half and a rest of 0 or 1, both i8; what
 * pads a convolution with 0 is 0 in both. An i4 is an i8 as it is. */
static Node *decompose_bytes(Rewrite *w, Node *n)
{
	if (!w->c->target || !w->c->target->traits.signed_bytes || n->type.dtype != DT_I32) return NULL;
	for (uint32_t i = 0; i < 2; i++) {
		DType t = n->in[i]->type.dtype;
		if (t == DT_I4) return product_of(w, n, i, cast(w, n->in[i], DT_I8));
		if (t != DT_U8) continue;
		Node *two = rewrite_const(w, DT_I32, 2), *x = cast(w, n->in[i], DT_I32);
		Node *half = rewrite_node(w, OP_FLOORDIV, 2, (Node *[]){x, two});
		Node *twice = rewrite_node(w, OP_MUL, 2, (Node *[]){half, two});
		Node *rest = rewrite_node(w, OP_SUB, 2, (Node *[]){x, twice});
		Node *high = product_of(w, n, i, cast(w, half, DT_I8)),
			 *low = product_of(w, n, i, cast(w, rest, DT_I8));
		return rewrite_node(w, OP_ADD, 2,
		                    (Node *[]){rewrite_node(w, OP_MUL, 2, (Node *[]){high, two}), low});
	}
	return NULL;
}

static const Rule rules[] = {
	{OP_EINSUM, "bytes-einsum", decompose_bytes},
	{OP_ROUTED, "bytes-routed", decompose_bytes},
	{OP_CONV, "bytes-conv", decompose_bytes},
	{OP_MEAN, "mean", decompose_mean},
	{OP_CLAMP, "clamp", decompose_clamp},
	{OP_BATCH_NORM, "batch-norm", decompose_batch_norm},
	{OP_LOG_SOFTMAX, "log-softmax", decompose_log_softmax},
	{OP_SOFTPLUS, "softplus", decompose_softplus},
	{OP_ROPE, "rope", decompose_rope},
};

void pass_decompose(PassContext *c)
{
	rewrite_run(c, rules, COUNT(rules));
}
