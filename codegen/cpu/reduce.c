/* reduce: sums, extremes and argmax. Where the inputs are contiguous along a summed variable, rows
 * are reduced with several vector accumulators; where they are contiguous along a variable that
 * stays, whole vectors of results are reduced at once. */
#include "codegen/cpu/emit.h"
#include <math.h>

Value reduce_combine(Gen *g, TileReduce r, Value a, Value b)
{
	bool real = element_type(a) == g->f32;
	DType t = real ? DT_F32 : DT_I32;
	if ((int)r == RED_MAX_NUMBER) return fgreater(g, a, b);
	switch (r) {
	case RED_SUM: return scalar_emit(g, SC_ADD, t, a, b, NULL);
	case RED_MIN: return scalar_emit(g, SC_MIN, t, a, b, NULL);
	default: return scalar_emit(g, SC_MAX, t, a, b, NULL); /* amax: of absolute values */
	}
}

Value reduce_identity(Gen *g, TileReduce r, Type element, uint32_t n)
{
	bool real = element == g->f32;
	if ((int)r == RED_MAX_NUMBER) return const_f32(g, -INFINITY, n);
	switch (r) {
	case RED_MAX: return real ? const_f32(g, -INFINITY, n) : const_i32(g, INT32_MIN, n);
	case RED_MIN: return real ? const_f32(g, INFINITY, n) : const_i32(g, INT32_MAX, n);
	default: return real ? const_f32(g, 0, n) : const_i32(g, 0, n);
	}
}

/* Halves the vector until one lane is left. */
Value reduce_lanes(Gen *g, TileReduce r, Value v)
{
	for (uint32_t n = lanes_of(v); n > 1; n /= 2) {
		Value low[64], high[64];
		for (uint32_t i = 0; i < n / 2; i++) {
			low[i] = const_i32(g, i, 1);
			high[i] = const_i32(g, n / 2 + i, 1);
		}
		Value poison = LLVMGetPoison(LLVMTypeOf(v));
		if (n == 2) return reduce_combine(g, r, lane(g, v, 0), lane(g, v, 1));
		v = reduce_combine(
			g, r, LLVMBuildShuffleVector(g->build, v, poison, LLVMConstVector(low, n / 2), ""),
			LLVMBuildShuffleVector(g->build, v, poison, LLVMConstVector(high, n / 2), ""));
	}
	return v;
}

enum { ACCUMULATORS = 4 };

Value reduce_row(Gen *g, TileReduce r, Type element, Value extent, bool vectors, RowStep *step,
                 void *ctx)
{
	uint32_t lanes = vectors ? g->machine->lanes : 1;
	Value start = const_i64(g, 0), acc = reduce_identity(g, r, element, lanes);
	if (lanes > 1) {
		int64_t span = (int64_t)lanes * ACCUMULATORS;
		Value many = LLVMBuildAnd(g->build, extent, const_i64(g, -span), ""),
			  full = LLVMBuildAnd(g->build, extent, const_i64(g, -(int64_t)lanes), "");
		Loop l;
		loop_begin(g, &l, start, many, const_i64(g, span));
		Value a[ACCUMULATORS];
		for (int i = 0; i < ACCUMULATORS; i++) a[i] = loop_carry(g, &l, acc);
		for (int i = 0; i < ACCUMULATORS; i++)
			l.next[i] = reduce_combine(
				g, r, a[i],
				step(g, ctx, iadd(g, l.iv, const_i64(g, i * (int64_t)lanes)), lanes, NULL));
		loop_end(g, &l);
		acc = reduce_combine(g, r, reduce_combine(g, r, l.out[0], l.out[1]),
		                     reduce_combine(g, r, l.out[2], l.out[3]));
		loop_begin(g, &l, many, full, const_i64(g, lanes));
		Value one = loop_carry(g, &l, acc);
		l.next[0] = reduce_combine(g, r, one, step(g, ctx, l.iv, lanes, NULL));
		loop_end(g, &l);
		acc = l.out[0];
		start = full;
		if (g->machine->masks) { /* one masked vector, in a loop of at most one turn */
			Value mask = lane_mask(g, isub(g, extent, full), lanes);
			loop_begin(g, &l, full, extent, const_i64(g, lanes));
			one = loop_carry(g, &l, acc);
			Value v = choose(g, mask, step(g, ctx, l.iv, lanes, mask),
			                 reduce_identity(g, r, element, lanes));
			l.next[0] = reduce_combine(g, r, one, v);
			loop_end(g, &l);
			return reduce_lanes(g, r, l.out[0]);
		}
		acc = reduce_lanes(g, r, acc);
	}
	Loop l;
	loop_begin(g, &l, start, extent, const_i64(g, 1));
	Value one = loop_carry(g, &l, acc);
	l.next[0] = reduce_combine(g, r, one, step(g, ctx, l.iv, 1, NULL));
	loop_end(g, &l);
	return l.out[0];
}

/* --- the statement --- */

typedef struct Reduction {
	const TileStmt *s;
	TileVar var[TILE_SPACE]; /* the vector variable first (if any), then the summed ones */
	uint32_t n_var, first;   /* summed: from first */
	bool along;              /* the vector variable is summed (first == 0 then) */
	Cursor in[TILE_INS], out;
	Type element;
} Reduction;

static bool reduced(const TileStmt *s, uint32_t v)
{
	for (uint32_t d = 0; d < s->out[0].obj->rank; d++)
		if (s->out[0].index[d] && dim_mentions(s->out[0].index[d], s->space[v].sym)) return false;
	return true;
}

/* The region's value at iv of the vector variable; i32 or f32. */
static Value value_at(Gen *g, Reduction *r, const Cursor *in, Value iv, uint32_t lanes, Value mask)
{
	Value v[TILE_INS], out[TILE_OUTS];
	bool vectored = r->along || r->first;
	if (vectored) index_bind(g, r->var[0].sym, iv, 0);
	for (uint32_t i = 0; i < r->s->n_in; i++)
		v[i] = cursor_load(g, &in[i], 0, vectored ? iv : NULL, lanes, mask);
	out[0] = v[0];
	if (r->s->region.n_out)
		region_emit(g, &r->s->region, v, r->var, 0, vectored ? iv : NULL, lanes, out);
	if (element_type(out[0]) == g->i1) out[0] = convert(g, out[0], DT_BOOL, DT_I32);
	if (r->element == g->f32 && element_type(out[0]) != g->f32)
		out[0] = convert(g, out[0], DT_I32, DT_F32);
	if (r->s->reduce == RED_AMAX)
		out[0] = scalar_emit(g, SC_ABS, element_type(out[0]) == g->f32 ? DT_F32 : DT_I32, out[0],
		                     NULL, NULL);
	r->element = element_type(out[0]);
	return out[0];
}

typedef struct Row {
	Reduction *r;
	const Cursor *in;
} Row;
static Value row_step(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask)
{
	Row *row = ctx;
	return value_at(g, row->r, row->in, iv, lanes, mask);
}

static Value sum_level(Gen *g, Reduction *r, uint32_t k, const Cursor *in, Value iv, uint32_t lanes,
                       Value mask, Value acc, bool vectors)
{
	if (k == r->n_var) {
		if (!r->along)
			return reduce_combine(g, r->s->reduce, acc, value_at(g, r, in, iv, lanes, mask));
		Row row = {r, in};
		Value sum = reduce_row(g, r->s->reduce, r->element, index_value(g, r->var[0].extent),
		                       vectors, row_step, &row);
		return reduce_combine(g, r->s->reduce, acc, sum);
	}
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), index_value(g, r->var[k].extent), const_i64(g, 1));
	index_bind(g, r->var[k].sym, l.iv, 0);
	Value carried = loop_carry(g, &l, acc);
	Cursor moved[TILE_INS];
	for (uint32_t i = 0; i < r->s->n_in; i++) {
		moved[i] = in[i];
		cursor_move(g, &moved[i], k, l.iv);
	}
	l.next[0] = sum_level(g, r, k + 1, moved, iv, lanes, mask, carried, vectors);
	loop_end(g, &l);
	return l.out[0];
}

/* f32 or i32: what the region gives, by its types. */
static Type result_element(Gen *g, const TileStmt *s)
{
	DType t;
	if (s->region.n_out)
		t = s->region.node[s->region.out[0]].type;
	else
		t = home_of(g, s->in[0].obj)->dtype;
	return dtype_widened(t) == DT_F32 ? g->f32 : g->i32;
}

static void reduce_vector(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask)
{
	Reduction *r = ctx;
	r->element = result_element(g, r->s);
	Value at = r->first ? iv : NULL, acc = reduce_identity(g, r->s->reduce, r->element, lanes);
	if (r->first) index_bind(g, r->var[0].sym, iv, 0);
	acc = sum_level(g, r, r->along ? 1 : r->first, r->in, at, lanes, mask, acc, r->along);
	if (r->s->accumulate) {
		Value old = cursor_load(g, &r->out, 0, at, lanes, mask);
		if (element_type(old) != element_type(acc))
			old = convert(g, old, element_type(old) == g->f32 ? DT_F32 : DT_I32,
			              element_type(acc) == g->f32 ? DT_F32 : DT_I32);
		acc = reduce_combine(g, r->s->reduce, old, acc);
	}
	cursor_store(g, &r->out, 0, at, lanes, mask, acc, false);
}

static void argmax_body(Gen *g, Reduction *r);

static void reduce_body(Gen *g, void *ctx)
{
	Reduction *r = ctx;
	bool vectors = true;
	for (uint32_t i = 0; i < r->s->n_in; i++) {
		r->in[i] = cursor_open(g, &r->s->in[i], r->var, r->n_var);
		vectors = vectors && r->n_var && cursor_vectorizes(&r->in[i], 0);
	}
	r->out = cursor_open(g, &r->s->out[0], r->var, r->n_var);
	if (r->s->reduce == RED_ARGMAX) {
		argmax_body(g, r);
		return;
	}
	if (r->first) {
		vectors = vectors && cursor_step(&r->out, 0) == 1;
		vector_loop(g, index_value(g, r->var[0].extent), vectors ? g->machine->lanes : 1,
		            vectors && g->machine->masks, reduce_vector, r);
	} else {
		r->along = r->along && vectors;
		reduce_vector(g, r, NULL, 1, NULL);
	}
}

/* Position of the greatest element along the one summed variable, the lowest on ties. */
static void argmax_body(Gen *g, Reduction *r)
{
	r->along = true;
	Loop l;
	r->element = result_element(g, r->s);
	loop_begin(g, &l, const_i64(g, 0), index_value(g, r->var[0].extent), const_i64(g, 1));
	Value best = loop_carry(g, &l, reduce_identity(g, RED_MAX, r->element, 1)),
		  at = loop_carry(g, &l, const_i32(g, 0, 1));
	Value v = value_at(g, r, r->in, l.iv, 1, NULL);
	Value more = element_type(v) == g->f32 ? LLVMBuildFCmp(g->build, LLVMRealOGT, v, best, "")
	                                       : iless(g, best, v);
	l.next[0] = choose(g, more, v, best);
	l.next[1] = choose(g, more, LLVMBuildTrunc(g->build, l.iv, g->i32, ""), at);
	loop_end(g, &l);
	cursor_store(g, &r->out, 0, NULL, 1, NULL, l.out[1], false);
}

void lower_reduce(Gen *g, const TileStmt *s)
{
	Reduction r = {.s = s};
	int32_t row = -1, column = -1;
	uint64_t summed = 0;
	for (uint32_t v = 0; v < s->n_space; v++) {
		bool is_reduced = reduced(s, v), unit = false, good = true;
		if (is_reduced) summed |= (uint64_t)1 << v;
		for (uint32_t i = 0; i < s->n_in; i++) {
			int64_t step = access_step(g, &s->in[i], s->space[v].sym);
			unit = unit || step == 1;
			good = good && (step == 0 || step == 1);
		}
		if (!unit || !good) continue;
		if (is_reduced)
			row = (int32_t)v;
		else if (access_step(g, &s->out[0], s->space[v].sym) == 1)
			column = (int32_t)v;
	}
	if (s->reduce == RED_ARGMAX) {
		if (__builtin_popcountll(summed) != 1) {
			unsupported(g, s->span, "argmax along several variables at once");
			return;
		}
		row = column = -1;
	}
	uint64_t around = ~summed;
	if (row >= 0) {
		r.var[r.n_var++] = s->space[row];
		r.along = true;
	} else if (column >= 0) {
		r.var[r.n_var++] = s->space[column];
		r.first = 1;
		around &= ~((uint64_t)1 << column);
	}
	for (uint32_t v = 0; v < s->n_space; v++)
		if (summed >> v & 1 && (int32_t)v != row) r.var[r.n_var++] = s->space[v];
	nest_loops(g, s->space, s->n_space, ~around, reduce_body, &r);
}
