/* softmax_step: one step of the online softmax (Dao 2023, FlashAttention-2), two passes over each
 * row: its maximum, then the exponentials with their sum. Exponents are taken to base 2, so that the
 * scale is one fused multiply-add. */
#include "codegen/cpu/emit.h"
#include <math.h>

static const double LOG2E = 1.44269504088896340736;

typedef struct Softmax {
	const TileStmt *s;
	TileVar along;
	Cursor in, p, alpha, m, l;
	bool raw_max; /* the scale is positive: it can wait until after the maximum */
	Value bias;   /* -m' log2 e */
} Softmax;

static Value maximum_step(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask)
{
	Softmax *x = ctx;
	Value v = cursor_load(g, &x->in, 0, iv, lanes, mask);
	return x->raw_max ? v : float_mul(g, v, const_f32(g, x->s->scale, lanes));
}

static Value exp_step(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask)
{
	Softmax *x = ctx;
	Value v = cursor_load(g, &x->in, 0, iv, lanes, mask);
	Value e = math_exp2(
		g, fmadd(g, v, const_f32(g, x->s->scale * LOG2E, lanes), splat(g, x->bias, lanes)));
	cursor_store(g, &x->p, 0, iv, lanes, mask, e, false);
	return e;
}

static void softmax_row(Gen *g, void *ctx)
{
	Softmax *x = ctx;
	const TileStmt *s = x->s;
	x->in = cursor_open(g, &s->in[0], &x->along, 1);
	x->p = cursor_open(g, &s->out[0], &x->along, 1);
	x->alpha = cursor_open(g, &s->out[1], &x->along, 1);
	x->m = cursor_open(g, &s->out[2], &x->along, 1);
	x->l = cursor_open(g, &s->out[3], &x->along, 1);
	bool vectors = cursor_vectorizes(&x->in, 0) && cursor_step(&x->p, 0) == 1;
	Value extent = index_value(g, x->along.extent), none = const_f32(g, -INFINITY, 1),
		  zero = const_f32(g, 0, 1);
	Value top = reduce_row(g, RED_MAX, g->f32, extent, vectors, maximum_step, x);
	if (x->raw_max) top = float_mul(g, top, const_f32(g, s->scale, 1));
	Value old = cursor_load(g, &x->m, 0, NULL, 1, NULL), now = reduce_combine(g, RED_MAX, old, top);
	Value empty = LLVMBuildFCmp(g->build, LLVMRealOEQ, now, none, "");
	Value base = choose(g, empty, zero, now), log2e = const_f32(g, LOG2E, 1);
	x->bias = LLVMBuildFNeg(g->build, float_mul(g, base, log2e), "");
	Value alpha = math_exp2(g, float_mul(g, float_sub(g, old, base), log2e));
	alpha = choose(g, empty, const_f32(g, 1, 1), alpha);
	Value sum = reduce_row(g, RED_SUM, g->f32, extent, vectors, exp_step, x);
	Value total = fmadd(g, cursor_load(g, &x->l, 0, NULL, 1, NULL), alpha, sum);
	cursor_store(g, &x->alpha, 0, NULL, 1, NULL, alpha, false);
	cursor_store(g, &x->m, 0, NULL, 1, NULL, now, false);
	cursor_store(g, &x->l, 0, NULL, 1, NULL, total, false);
}

void lower_softmax_step(Gen *g, const TileStmt *s)
{
	uint32_t along = s->n_space;
	for (uint32_t v = 0; v < s->n_space; v++) {
		bool of_row = false;
		for (uint32_t d = 0; d < s->out[2].obj->rank; d++)
			of_row =
				of_row || (s->out[2].index[d] && dim_mentions(s->out[2].index[d], s->space[v].sym));
		if (of_row) continue;
		if (along != s->n_space) {
			unsupported(g, s->span, "softmax_step along several variables");
			return;
		}
		along = v;
	}
	if (along == s->n_space) {
		unsupported(g, s->span, "softmax_step without a variable to sum over");
		return;
	}
	Softmax x = {.s = s, .along = s->space[along], .raw_max = s->scale > 0};
	nest_loops(g, s->space, s->n_space, (uint64_t)1 << along, softmax_row, &x);
}
