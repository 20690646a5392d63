/* Built-in reductions that are made of others: variance, norms, log-sum-exp, positions of the least. */
#include "frontend/builtin.h"

#include <math.h>
#include <string.h>

typedef struct Axes {
	uint32_t n;
	int64_t at[MAX_RANK];
	bool keep;
	Dim count; /* elements reduced into one */
} Axes;

static Node *input(Call *c, uint32_t axis_at, uint32_t keep_at, Axes *out)
{
	Build *b = c->b;
	Node *x = call_tensor(c, 0);
	if (x && !dtype_is_float(x->type.dtype)) {
		Diag *m = complain(b, c->in[0].span, "`%s` needs floats, this is %s", c->f->name,
		                   type_text(b->arena, &x->type));
		note_origin(b, m, &c->in[0].item, NULL);
		diag_help(b->d, m, "a cast is written  f32(%s)", text_of(b, c->in[0].span));
		return NULL;
	}
	if (!x || !call_axes(c, axis_at, x->type.rank, &out->n, out->at) ||
	    !call_flag(c, keep_at, false, &out->keep))
		return NULL;
	out->count = dim_const(b->m->dims, 1);
	for (uint32_t i = 0; i < out->n; i++)
		out->count = dim_mul(b->m->dims, out->count, x->type.dim[out->at[i]]);
	return emit_cast(b, x, DT_F32, c->at);
}

static Node *reduce(Call *c, Node *x, const Axes *a, const char *how, bool keep)
{
	if (!x || !a->n) return x;
	return emit_reduce(c->b, OP_REDUCE, how, x, a->n, a->at, keep, c->at);
}

/* Axes of length 1 that were kept for the arithmetic go. */
static Node *dropped(Call *c, Node *x, const Axes *a)
{
	Dim dims[MAX_RANK];
	uint32_t n = 0, gone = 0;
	if (!x || a->keep) return x;
	for (uint32_t i = 0; i < a->n; i++) gone |= 1u << a->at[i];
	for (uint32_t i = 0; i < x->type.rank; i++)
		if (!(gone >> i & 1)) dims[n++] = x->type.dim[i];
	return emit_reshape(c->b, x, n, dims, c->at);
}

/* Elements reduced into one, which for rows of different lengths differ. */
static Node *count_of(Call *c, Node *x, const Axes *a, bool keep)
{
	Item count = item_dim(a->count);
	Node *n = ragged_count(c->b, &x->type, a->n, a->at, keep, c->at);
	return n ? n : emit_cast(c->b, as_node(c->b, &count, DT_I32, c->at), DT_F32, c->at);
}

/* var, std: of `correction` less than the number of elements, as in PyTorch 1 when left out. */
Item builtin_var(Call *c)
{
	Build *b = c->b;
	Axes a;
	double correction;
	Node *x = input(c, 1, 3, &a);
	if (!x || !call_number(c, 2, 1, &correction)) return bad();
	Node *n = count_of(c, x, &a, true);
	Node *mean = emit_binary(b, OP_DIV, reduce(c, x, &a, "sum", true), n, c->at);
	Node *d = emit_binary(b, OP_SUB, x, mean, c->at);
	n = count_of(c, x, &a, a.keep);
	Node *v = emit_binary(
		b, OP_DIV, reduce(c, emit_binary(b, OP_MUL, d, d, c->at), &a, "sum", a.keep),
		emit_binary(b, OP_SUB, n, emit_number(b, DT_F32, correction, c->at), c->at), c->at);
	return item_node(strcmp(c->f->how, "std") == 0 ? emit_unary(b, OP_SQRT, v, c->at) : v);
}

/* max + log(sum(exp(x - max))); a max of -inf counts as 0, so that all -inf gives -inf. */
Item builtin_logsumexp(Call *c)
{
	Build *b = c->b;
	Axes a;
	Node *x = input(c, 1, 2, &a);
	if (!x) return bad();
	Node *most = reduce(c, x, &a, "max", true);
	Node *finite = emit_binary(b, OP_LT, emit_unary(b, OP_ABS, most, c->at),
	                           emit_number(b, DT_F32, (double)INFINITY, c->at), c->at);
	Node *zero = emit_number(b, DT_F32, 0, c->at);
	if (!finite || !most || !zero) return bad();
	most = emit(b, node_new(b->m, OP_SELECT, 3, (Node *[]){finite, most, zero}, c->at));
	Node *e = emit_unary(b, OP_EXP, emit_binary(b, OP_SUB, x, most, c->at), c->at);
	Node *l = emit_unary(b, OP_LOG, reduce(c, e, &a, "sum", true), c->at);
	return item_node(dropped(c, emit_binary(b, OP_ADD, l, most, c->at), &a));
}

/* The p-norm of the elements. */
Item builtin_norm_of(Call *c)
{
	Build *b = c->b;
	Axes a;
	double p;
	Node *x = input(c, 2, 3, &a);
	if (!x || !call_number(c, 1, 2, &p)) return bad();
	if (p == 2)
		return item_node(emit_unary(
			b, OP_SQRT, reduce(c, emit_binary(b, OP_MUL, x, x, c->at), &a, "sum", a.keep), c->at));
	Node *m = emit_unary(b, OP_ABS, x, c->at);
	if (isinf(p)) return item_node(reduce(c, m, &a, p > 0 ? "max" : "min", a.keep));
	if (p == 1) return item_node(reduce(c, m, &a, "sum", a.keep));
	if (p <= 0) {
		Diag *d = complain(b, c->in[1].span, "the power of a norm is positive, this is %g", p);
		diag_help(b->d, d, "the number of elements that are not 0 is  sum(i32(x != 0))");
		return bad();
	}
	Node *s = reduce(c, emit_binary(b, OP_POW, m, emit_number(b, DT_F32, p, c->at), c->at), &a,
	                 "sum", a.keep);
	return item_node(emit_binary(b, OP_POW, s, emit_number(b, DT_F32, 1 / p, c->at), c->at));
}

Item builtin_argmin(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t axis;
	bool keep;
	if (!x || !call_axis(c, 1, x->type.rank, &axis) || !call_flag(c, 2, false, &keep)) return bad();
	return item_node(emit_reduce(c->b, OP_REDUCE, "argmax", emit_unary(c->b, OP_NEG, x, c->at), 1,
	                             &axis, keep, c->at));
}
