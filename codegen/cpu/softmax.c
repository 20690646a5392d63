/* softmax_step: one step of the online softmax (Dao 2023, FlashAttention-2), three passes: the maximum
 * of each row, what follows from it for whole vectors of rows, then the exponentials of each row with
 * their sum. Exponents are taken to base 2, so that the scale is one fused multiply-add. */
#include "codegen/cpu/emit.h"
#include <math.h>

static const double LOG2E = 1.44269504088896340736;
enum { MOST_ROWS = 1 << 16 };

typedef struct Softmax {
	const TileStmt *s;
	TileVar along, row;
	bool has_row;
	TileObj *top, *bias; /* of each row: its maximum, -m' log2 e */
	Cursor in, p, of_row[5];
	bool raw_max; /* the scale is positive: it can wait until after the maximum */
	Value row_bias;
} Softmax;
enum { ROW_ALPHA, ROW_M, ROW_L, ROW_TOP, ROW_BIAS };

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
	Value t = fmadd(g, v, const_f32(g, x->s->scale * LOG2E, lanes), splat(g, x->row_bias, lanes));
	Value e = math_exp2_below(g, t); /* no score is above the maximum */
	cursor_store(g, &x->p, 0, iv, lanes, mask, e, false);
	return e;
}

/* The accesses that a row has, over the row variable or at the row that is bound. */
static void open_rows(Gen *g, Softmax *x, bool over)
{
	const TileStmt *s = x->s;
	TileAccess *own = NEW_ARRAY(g->arena, TileAccess, 2);
	own[0].obj = x->top;
	own[1].obj = x->bias;
	for (int i = 0; i < 2 && x->has_row; i++)
		own[i].index[0] = dim_sym(g->program->dims, x->row.sym);
	const TileAccess *of[] = {&s->out[1], &s->out[2], &s->out[3], &own[0], &own[1]};
	for (int i = 0; i < 5; i++) x->of_row[i] = cursor_open(g, of[i], over ? &x->row : NULL, over);
}

static Value row_load(Gen *g, const Softmax *x, int which, Value iv, uint32_t lanes, Value mask)
{
	return cursor_load(g, &x->of_row[which], 0, iv, lanes, mask);
}

static void row_store(Gen *g, const Softmax *x, int which, Value iv, uint32_t lanes, Value mask,
                      Value v)
{
	cursor_store(g, &x->of_row[which], 0, iv, lanes, mask, v, false);
}

static bool opens_vectors(Gen *g, Softmax *x)
{
	x->in = cursor_open(g, &x->s->in[0], &x->along, 1);
	x->p = cursor_open(g, &x->s->out[0], &x->along, 1);
	return cursor_vectorizes(&x->in, 0) && cursor_step(&x->p, 0) == 1;
}

static void maximum_of_row(Gen *g, void *ctx)
{
	Softmax *x = ctx;
	bool vectors = opens_vectors(g, x);
	open_rows(g, x, false);
	Value top = reduce_row(g, (TileReduce)RED_MAX_NUMBER, g->f32, index_value(g, x->along.extent),
	                       vectors, maximum_step, x);
	row_store(g, x, ROW_TOP, NULL, 1, NULL, top);
}

/* m, alpha and the bias of the exponents. */
static void rows_body(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask)
{
	Softmax *x = ctx;
	if (x->has_row) index_bind(g, x->row.sym, iv, 0);
	Value at = x->has_row ? iv : NULL, log2e = const_f32(g, LOG2E, lanes);
	Value top = row_load(g, x, ROW_TOP, at, lanes, mask),
		  old = row_load(g, x, ROW_M, at, lanes, mask);
	if (x->raw_max) top = float_mul(g, top, const_f32(g, x->s->scale, lanes));
	Value now = fgreater(g, old, top);
	Value empty = LLVMBuildFCmp(g->build, LLVMRealOEQ, now, const_f32(g, -INFINITY, lanes), "");
	Value base = choose(g, empty, const_f32(g, 0, lanes), now);
	Value alpha = math_exp2(g, float_mul(g, float_sub(g, old, base), log2e));
	alpha = choose(g, empty, const_f32(g, 1, lanes), alpha);
	row_store(g, x, ROW_ALPHA, at, lanes, mask, alpha);
	row_store(g, x, ROW_M, at, lanes, mask, now);
	row_store(g, x, ROW_BIAS, at, lanes, mask,
	          LLVMBuildFNeg(g->build, float_mul(g, base, log2e), ""));
}

static void all_rows(Gen *g, void *ctx)
{
	Softmax *x = ctx;
	open_rows(g, x, x->has_row);
	if (!x->has_row) {
		rows_body(g, x, NULL, 1, NULL);
		return;
	}
	bool vectors = true;
	for (int i = 0; i < 5; i++) vectors = vectors && cursor_step(&x->of_row[i], 0) == 1;
	vector_loop(g, index_value(g, x->row.extent), vectors ? g->machine->lanes : 1,
	            vectors && g->machine->masks, rows_body, x);
}

static void exponentials_of_row(Gen *g, void *ctx)
{
	Softmax *x = ctx;
	bool vectors = opens_vectors(g, x);
	open_rows(g, x, false);
	x->row_bias = row_load(g, x, ROW_BIAS, NULL, 1, NULL);
	Value sum =
		reduce_row(g, RED_SUM, g->f32, index_value(g, x->along.extent), vectors, exp_step, x);
	Value alpha = row_load(g, x, ROW_ALPHA, NULL, 1, NULL),
		  old = row_load(g, x, ROW_L, NULL, 1, NULL);
	row_store(g, x, ROW_L, NULL, 1, NULL, fmadd(g, old, alpha, sum));
}

static bool mentioned(const TileAccess *a, const DimSym *s)
{
	for (uint32_t d = 0; d < a->obj->rank; d++)
		if (a->index[d] && dim_mentions(a->index[d], s)) return true;
	return false;
}

/* The row variable that is taken whole: the last one, when the places for it are not too large. */
static void choose_row(Gen *g, Softmax *x, uint32_t along, uint32_t *row)
{
	const TileStmt *s = x->s;
	*row = s->n_space;
	for (uint32_t v = 0; v < s->n_space; v++) {
		int64_t lo, hi;
		index_range(g, s->space[v].extent, &lo, &hi);
		if (v != along && hi > 0 && hi <= MOST_ROWS) *row = v;
	}
	x->has_row = *row < s->n_space;
	int64_t lo, hi = 1;
	if (x->has_row) {
		x->row = s->space[*row];
		index_range(g, x->row.extent, &lo, &hi);
	}
	x->top = place_new(g, DT_F32, x->has_row, &hi);
	x->bias = place_new(g, DT_F32, x->has_row, &hi);
}

/* Inside the loops over rows that are not taken whole. */
static void softmax_rows(Gen *g, void *ctx)
{
	Softmax *x = ctx;
	TileVar *row = &x->row;
	uint32_t n = x->has_row;
	nest_loops(g, row, n, 0, maximum_of_row, x);
	all_rows(g, x);
	nest_loops(g, row, n, 0, exponentials_of_row, x);
}

void lower_softmax_step(Gen *g, const TileStmt *s)
{
	uint32_t along = s->n_space, row;
	for (uint32_t v = 0; v < s->n_space; v++) {
		if (mentioned(&s->out[2], s->space[v].sym)) continue;
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
	choose_row(g, &x, along, &row);
	uint64_t inside = (uint64_t)1 << along;
	if (x.has_row) inside |= (uint64_t)1 << row;
	nest_loops(g, s->space, s->n_space, inside, softmax_rows, &x);
}
