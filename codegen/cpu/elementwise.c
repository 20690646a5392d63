/* map, put and bring: a scalar function of elements, vectorised along one variable of the space.
 * That variable is the one along which most accesses are contiguous or constant; the others are
 * loops around it. A bring whose place can be its source costs nothing. */
#include "codegen/cpu/emit.h"

int64_t access_step(Gen *g, const TileAccess *a, const DimSym *s)
{
	Home *h = home_of(g, a->obj);
	if (a->rows)
		for (uint32_t d = 0; d < a->rows->obj->rank; d++)
			if (a->rows->rows || (a->rows->index[d] && dim_mentions(a->rows->index[d], s)))
				return INT64_MIN;
	int64_t step = 0, size = h->dtype == DT_I4 ? 1 : dtype_bits(h->dtype) / 8;
	for (uint32_t d = 0; d < a->obj->rank; d++) {
		if (!a->index[d] || !dim_mentions(a->index[d], s)) continue;
		Dim coef, rest;
		int64_t c, stride;
		if (!dim_linear_in(g->program->dims, a->index[d], s, &coef, &rest) ||
		    !index_const(coef, &c))
			return INT64_MIN;
		if (a->obj->kind != TB_PLACE && a->obj->enc.kind != ENC_PLAIN && d + 2 >= a->obj->rank)
			return INT64_MIN;
		if (!h->stride[d] || !value_is_const(h->stride[d], &stride)) return INT64_MIN;
		step += c * stride;
	}
	return step % size ? INT64_MIN : step / size;
}

Value lane_mask(Gen *g, Value live, uint32_t lanes)
{
	if (lanes == 1) return iless(g, const_i64(g, 0), live);
	Value n = splat(g, LLVMBuildTrunc(g->build, live, g->i32, ""), lanes);
	return LLVMBuildICmp(g->build, LLVMIntSLT, iota(g, lanes), n, "");
}

/* --- loops --- */

static void nest_level(Gen *g, const TileVar *space, uint32_t n, uint64_t except, uint32_t v,
                       NestBody *body, void *ctx)
{
	while (v < n && except >> v & 1) v++;
	if (v == n) {
		body(g, ctx);
		return;
	}
	Loop l;
	Value extent = index_value(g, space[v].extent);
	int64_t e;
	if (value_is_const(extent, &e) && e == 1) {
		index_bind(g, space[v].sym, const_i64(g, 0), 0);
		nest_level(g, space, n, except, v + 1, body, ctx);
		return;
	}
	loop_begin(g, &l, const_i64(g, 0), extent, const_i64(g, 1));
	index_bind(g, space[v].sym, l.iv, 0);
	nest_level(g, space, n, except, v + 1, body, ctx);
	loop_end(g, &l);
}

void nest_loops(Gen *g, const TileVar *space, uint32_t n, uint64_t except, NestBody *body,
                void *ctx)
{
	nest_level(g, space, n, except, 0, body, ctx);
}

enum { UNROLLED = 4 };

void vector_loop(Gen *g, Value extent, uint32_t lanes, bool mask_tail, VectorBody *body, void *ctx)
{
	int64_t n;
	Value zero = const_i64(g, 0), step = const_i64(g, lanes), full = extent;
	bool known = value_is_const(extent, &n);
	if (lanes > 1) full = LLVMBuildAnd(g->build, extent, const_i64(g, -(int64_t)lanes), "");
	if (known && n / lanes <= UNROLLED) {
		for (int64_t i = 0; i + lanes <= n; i += lanes) body(g, ctx, const_i64(g, i), lanes, NULL);
	} else {
		Loop l;
		loop_begin(g, &l, zero, full, step);
		body(g, ctx, l.iv, lanes, NULL);
		loop_end(g, &l);
	}
	if (lanes == 1 || (known && n % lanes == 0)) return;
	if (mask_tail) {
		If rest;
		if (!known) if_begin(g, &rest, iless(g, full, extent));
		body(g, ctx, full, lanes, lane_mask(g, isub(g, extent, full), lanes));
		if (!known) if_end(g, &rest);
		return;
	}
	Loop l;
	loop_begin(g, &l, full, extent, const_i64(g, 1));
	body(g, ctx, l.iv, 1, NULL);
	loop_end(g, &l);
}

/* --- the choice of the vector variable --- */

static int access_score(Gen *g, const TileAccess *a, const DimSym *s, int weight)
{
	int64_t step = access_step(g, a, s);
	return weight * (step == 1 ? 3 : step == 0 ? 1 : -4);
}

static int32_t vector_variable(Gen *g, const TileStmt *s)
{
	int best_score = 0;
	int32_t best = -1;
	for (uint32_t v = 0; v < s->n_space; v++) {
		int64_t extent;
		if (index_const(s->space[v].extent, &extent) && extent < 2) continue;
		int score = 0;
		bool writes_apart = true; /* lanes go to different elements */
		for (uint32_t i = 0; i < s->n_out; i++) {
			score += access_score(g, &s->out[i], s->space[v].sym, 2);
			writes_apart = writes_apart && access_step(g, &s->out[i], s->space[v].sym) != 0;
		}
		for (uint32_t i = 0; i < s->n_in; i++)
			score += access_score(g, &s->in[i], s->space[v].sym, 1);
		if (index_const(s->space[v].extent, &extent) && extent < g->machine->lanes) score -= 2;
		if (writes_apart && score > best_score) {
			best_score = score;
			best = (int32_t)v;
		}
	}
	return best;
}

/* --- lowering --- */

typedef struct Elementwise {
	const TileStmt *s;
	int32_t v;
	const TileVar *along;
	Cursor in[TILE_INS], out[TILE_OUTS];
} Elementwise;

static void vector_body(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask)
{
	Elementwise *e = ctx;
	const TileStmt *s = e->s;
	Value in[TILE_INS], out[TILE_OUTS];
	if (e->along) index_bind(g, e->along->sym, iv, 0);
	for (uint32_t i = 0; i < s->n_in; i++)
		in[i] = cursor_load(g, &e->in[i], 0, e->along ? iv : NULL, lanes, mask);
	if (s->op == TILE_BRING || !s->region.n_out)
		out[0] = in[0];
	else
		region_emit(g, &s->region, in, e->along, 0, e->along ? iv : NULL, lanes, out);
	for (uint32_t i = 0; i < s->n_out; i++)
		cursor_store(g, &e->out[i], 0, e->along ? iv : NULL, lanes, mask, out[i], s->accumulate);
}

static void nest_body(Gen *g, void *ctx)
{
	Elementwise *e = ctx;
	const TileStmt *s = e->s;
	bool vectors = true;
	uint32_t n = e->along ? 1 : 0;
	for (uint32_t i = 0; i < s->n_in; i++) {
		e->in[i] = cursor_open(g, &s->in[i], e->along, n);
		vectors = vectors && (!n || cursor_vectorizes(&e->in[i], 0));
	}
	for (uint32_t i = 0; i < s->n_out; i++) {
		e->out[i] = cursor_open(g, &s->out[i], e->along, n);
		vectors = vectors && (!n || cursor_step(&e->out[i], 0) == 1);
	}
	if (!n) {
		vector_body(g, e, NULL, 1, NULL);
		return;
	}
	vector_loop(g, index_value(g, e->along->extent), g->machine->lanes,
	            vectors && g->machine->masks, vector_body, e);
}

static bool transpose_bring(Gen *g, const TileStmt *s);

void lower_elementwise(Gen *g, const TileStmt *s)
{
	if (s->op == TILE_BRING && transpose_bring(g, s)) return;
	int32_t v = vector_variable(g, s);
	Elementwise e = {.s = s, .v = v, .along = v < 0 ? NULL : &s->space[v]};
	nest_loops(g, s->space, s->n_space, v < 0 ? 0 : (uint64_t)1 << v, nest_body, &e);
}

/* --- bring --- */

/* True when out[0] is indexed by each variable once, in a plain way: dimension d by variable var[d]. */
static bool plain_indices(const TileStmt *s, uint32_t *var)
{
	const TileAccess *a = &s->out[0];
	uint64_t seen = 0;
	if (a->rows) return false;
	for (uint32_t d = 0; d < a->obj->rank; d++) {
		const DimSym *sym = dim_as_sym(a->index[d]);
		uint32_t v = 0;
		while (v < s->n_space && s->space[v].sym != sym) v++;
		int64_t zero;
		if (v == s->n_space) {
			if (!index_const(a->index[d], &zero) || zero) return false;
			var[d] = UINT32_MAX; /* constant 0 */
			continue;
		}
		if (seen >> v & 1) return false;
		seen |= (uint64_t)1 << v;
		var[d] = v;
	}
	return seen + 1 == (uint64_t)1 << s->n_space;
}

static const TileBlock *scope_of(const TileBlock *b, const TileObj *place)
{
	for (const TileStmt *s = b->first; s; s = s->next) {
		if (s->op == TILE_PLACE && s->place == place) return b;
		const TileBlock *in = scope_of(&s->body, place);
		if (!in) in = scope_of(&s->orelse, place);
		if (in) return in;
	}
	return NULL;
}

typedef struct Writers {
	const TileObj *place, *source;
	const TileStmt *bring;
	bool other;
} Writers;
static void find_writer(void *ctx, const TileStmt *s, const TileAccess *a, bool write)
{
	Writers *w = ctx;
	if (write && s != w->bring && (a->obj == w->place || a->obj == w->source)) w->other = true;
}

bool lower_alias(Gen *g, const TileStmt *s, const TileBlock *in)
{
	const TileAccess *from = &s->in[0], *to = &s->out[0];
	const TileObj *source = from->obj, *place = to->obj;
	uint32_t var[TILE_RANK];
	(void)in;
	if (place->kind != TB_PLACE || s->region.n_out || source->dtype != place->dtype) return false;
	if (place->dtype == DT_I4 || (source->kind != TB_PLACE && source->enc.kind != ENC_PLAIN))
		return false;
	if (from->rows || !plain_indices(s, var)) return false;
	const TileBlock *scope = scope_of(&g->kernel->body, place);
	Writers w = {place, source, s, false};
	block_visit(scope ? scope : &g->kernel->body, find_writer, &w);
	if (w.other || place->rank == 0) return false;
	uint32_t last = var[place->rank - 1];
	if (last == UINT32_MAX || access_step(g, from, s->space[last].sym) != 1) return false;
	Cursor c = cursor_open(g, from, s->space, s->n_space);
	if (!c.linear || c.n_check || c.enabled) return false;
	Home *h = &g->place[place->id];
	Home own = *h;
	h->base = c.base;
	h->scratch = false;
	for (uint32_t d = 0; d < place->rank; d++)
		h->stride[d] = var[d] == UINT32_MAX ? own.stride[d] : c.stride[var[d]];
	int64_t row;
	if (place->rank >= 2 && value_is_const(h->stride[place->rank - 2], &row) && row % 4096 == 0 &&
	    row > 0) {
		*h = own; /* rows that fall on the same cache sets: a copy is cheaper */
		return false;
	}
	return true;
}

/* --- staging --- */

TileAccess *lower_stage(Gen *g, const TileAccess *a, const TileVar *vars, uint32_t n, DType as,
                        int64_t limit)
{
	int64_t dims[TILE_RANK], bytes = dtype_bits(as) / 8;
	if (n > TILE_RANK) return NULL;
	for (uint32_t v = 0; v < n; v++) {
		int64_t lo;
		index_range(g, vars[v].extent, &lo, &dims[v]);
		if (dims[v] <= 0 || dims[v] > limit || __builtin_mul_overflow(bytes, dims[v], &bytes) ||
		    bytes > limit)
			return NULL;
	}
	TileStmt *s = NEW(g->arena, TileStmt);
	s->op = TILE_BRING;
	s->n_in = s->n_out = 1;
	s->in[0] = *a;
	s->n_space = n;
	TileObj *place = place_new(g, as, n, dims);
	s->out[0].obj = place;
	for (uint32_t v = 0; v < n; v++) {
		s->space[v] = vars[v];
		s->out[0].index[v] = dim_sym(g->program->dims, vars[v].sym);
	}
	lower_elementwise(g, s);
	return &s->out[0];
}

/* --- transposing copies --- */

/* One stage of the transposition: combines rows i and i + half of blocks of lanes. After log2(n)
 * stages of pairwise exchanges of ever larger halves, row i holds column i. */
static void transpose_lanes(Gen *g, Value *row, uint32_t n)
{
	for (uint32_t half = n / 2; half; half /= 2)
		for (uint32_t i = 0; i < n; i++) {
			if (i & half) continue;
			Value low[32], high[32];
			for (uint32_t k = 0; k < n; k++) {
				uint32_t from = k & half ? n + (k ^ half) : k;
				low[k] = const_i32(g, from, 1);
				high[k] = const_i32(g, k & half ? n + k : (k ^ half), 1);
			}
			Value a = row[i], b = row[i | half];
			row[i] = LLVMBuildShuffleVector(g->build, a, b, LLVMConstVector(low, n), "");
			row[i | half] = LLVMBuildShuffleVector(g->build, a, b, LLVMConstVector(high, n), "");
		}
}

typedef struct Transpose {
	const TileStmt *s;
	uint32_t from, to;
} Transpose; /* contiguous in the source, in the place */

static void copy_element(Gen *g, const Cursor *in, const Cursor *out, Value x, Value y)
{
	Cursor a = *in, b = *out;
	cursor_move(g, &a, 0, x);
	cursor_move(g, &a, 1, y);
	cursor_move(g, &b, 0, x);
	cursor_move(g, &b, 1, y);
	cursor_store(g, &b, 0, NULL, 1, NULL, cursor_load(g, &a, 0, NULL, 1, NULL), false);
}

/* Blocks of lanes x lanes: rows along `to`, each contiguous along `from`. Variable 0 is from, 1 is to. */
static void transpose_body(Gen *g, void *ctx)
{
	Transpose *t = ctx;
	uint32_t n = g->machine->lanes;
	TileVar pair[2] = {t->s->space[t->from], t->s->space[t->to]};
	Cursor in = cursor_open(g, &t->s->in[0], pair, 2), out = cursor_open(g, &t->s->out[0], pair, 2);
	Value wide = index_value(g, pair[0].extent), tall = index_value(g, pair[1].extent);
	Value whole_wide = LLVMBuildAnd(g->build, wide, const_i64(g, -(int64_t)n), "");
	Value whole_tall = LLVMBuildAnd(g->build, tall, const_i64(g, -(int64_t)n), ""),
		  zero = const_i64(g, 0), one = const_i64(g, 1);
	Loop y, x;
	loop_begin(g, &y, zero, whole_tall, const_i64(g, n));
	loop_begin(g, &x, zero, whole_wide, const_i64(g, n));
	Value row[32];
	for (uint32_t i = 0; i < n; i++) {
		Cursor c = in;
		cursor_move(g, &c, 0, x.iv);
		cursor_move(g, &c, 1, iadd(g, y.iv, const_i64(g, i)));
		row[i] = cursor_load(g, &c, 0, NULL, n, NULL);
	}
	transpose_lanes(g, row, n);
	for (uint32_t i = 0; i < n; i++) {
		Cursor c = out;
		cursor_move(g, &c, 1, y.iv);
		cursor_move(g, &c, 0, iadd(g, x.iv, const_i64(g, i)));
		cursor_store(g, &c, 1, NULL, n, NULL, row[i], false);
	}
	loop_end(g, &x);
	loop_end(g, &y);
	/* the right edge of whole rows, then the rows below */
	loop_begin(g, &y, zero, tall, one);
	loop_begin(g, &x, choose(g, iless(g, y.iv, whole_tall), whole_wide, zero), wide, one);
	copy_element(g, &in, &out, x.iv, y.iv);
	loop_end(g, &x);
	loop_end(g, &y);
}

static bool transpose_bring(Gen *g, const TileStmt *s)
{
	const TileAccess *from = &s->in[0], *to = &s->out[0];
	if (s->n_space < 2 || from->has_else || from->rows || to->rows || s->region.n_out) return false;
	if (dtype_widened(from->obj->dtype) == DT_BOOL || from->obj->dtype == DT_I4 ||
	    to->obj->dtype == DT_I4)
		return false;
	Transpose t = {s, UINT32_MAX, UINT32_MAX};
	for (uint32_t v = 0; v < s->n_space; v++) {
		int64_t in = access_step(g, from, s->space[v].sym),
				out = access_step(g, to, s->space[v].sym);
		if (in == 1 && out != 1) t.from = v;
		if (out == 1 && in != 1) t.to = v;
	}
	if (t.from == UINT32_MAX || t.to == UINT32_MAX) return false;
	TileVar pair[2] = {s->space[t.from], s->space[t.to]};
	if (!access_linear(g, from, pair, 2) || !access_linear(g, to, pair, 2)) return false;
	nest_loops(g, s->space, s->n_space, (uint64_t)1 << t.from | (uint64_t)1 << t.to, transpose_body,
	           &t);
	return true;
}
