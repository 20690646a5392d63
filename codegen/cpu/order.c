/* scan, topk and sort: what depends on order along an axis. */
#include "codegen/cpu/emit.h"

/* --- scan --- */

typedef struct Scan {
	const TileStmt *s;
	TileVar var[2];
	uint32_t n;
	Cursor in[TILE_INS], out;
} Scan; /* [vector], axis last */

static void scan_vector(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask)
{
	Scan *c = ctx;
	const TileStmt *s = c->s;
	uint32_t axis = c->n - 1;
	Value at = axis ? iv : NULL;
	DType t =
		s->region.n_out ? s->region.node[s->region.out[0]].type : home_of(g, s->in[0].obj)->dtype;
	Type element = dtype_widened(t) == DT_F32 ? g->f32 : g->i32;
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), index_value(g, c->var[axis].extent), const_i64(g, 1));
	Value acc = loop_carry(g, &l, reduce_identity(g, s->reduce, element, lanes));
	index_bind(g, c->var[axis].sym, l.iv, 0);
	if (axis) index_bind(g, c->var[0].sym, iv, 0);
	Value v[TILE_INS], out[TILE_OUTS];
	for (uint32_t i = 0; i < s->n_in; i++) {
		Cursor in = c->in[i];
		cursor_move(g, &in, axis, l.iv);
		v[i] = cursor_load(g, &in, 0, at, lanes, mask);
	}
	out[0] = v[0];
	if (s->region.n_out) region_emit(g, &s->region, v, c->var, 0, at, lanes, out);
	if (element_type(out[0]) == g->i1) out[0] = convert(g, out[0], DT_BOOL, DT_I32);
	if (s->reduce == RED_AMAX)
		out[0] = scalar_emit(g, SC_ABS, element == g->f32 ? DT_F32 : DT_I32, out[0], NULL, NULL);
	l.next[0] = reduce_combine(g, s->reduce, acc, out[0]);
	Cursor to = c->out;
	cursor_move(g, &to, axis, l.iv);
	cursor_store(g, &to, 0, at, lanes, mask, l.next[0], false);
	loop_end(g, &l);
}

static void scan_body(Gen *g, void *ctx)
{
	Scan *c = ctx;
	bool vectors = c->n == 2;
	for (uint32_t i = 0; i < c->s->n_in; i++) {
		c->in[i] = cursor_open(g, &c->s->in[i], c->var, c->n);
		vectors = vectors && cursor_vectorizes(&c->in[i], 0);
	}
	c->out = cursor_open(g, &c->s->out[0], c->var, c->n);
	vectors = vectors && cursor_step(&c->out, 0) == 1;
	if (c->n == 1) {
		scan_vector(g, c, NULL, 1, NULL);
		return;
	}
	vector_loop(g, index_value(g, c->var[0].extent), vectors ? g->machine->lanes : 1,
	            vectors && g->machine->masks, scan_vector, c);
}

void lower_scan(Gen *g, const TileStmt *s)
{
	Scan c = {.s = s};
	uint64_t apart = (uint64_t)1 << s->axis;
	for (uint32_t v = 0; v < s->n_space && !c.n; v++)
		if (v != s->axis && access_step(g, &s->out[0], s->space[v].sym) == 1) {
			c.var[c.n++] = s->space[v];
			apart |= (uint64_t)1 << v;
		}
	c.var[c.n++] = s->space[s->axis];
	if (s->reduce == RED_ARGMAX) {
		unsupported(g, s->span, "a running argmax");
		return;
	}
	nest_loops(g, s->space, s->n_space, apart, scan_body, &c);
}

/* --- order --- */

/* A signed integer that orders as the value does; zeros are equal, nan is greatest. */
static Value order_key(Gen *g, Value v)
{
	if (element_type(v) == g->i1) return convert(g, v, DT_BOOL, DT_I32);
	if (element_type(v) != g->f32) return v;
	uint32_t n = lanes_of(v);
	Value b = bits(g, float_add(g, v, const_f32(g, 0, n)), g->i32);
	Value mask = LLVMBuildLShr(g->build, LLVMBuildAShr(g->build, b, const_i32(g, 31, n), ""),
	                           const_i32(g, 1, n), "");
	return LLVMBuildXor(g->build, b, mask, "");
}

typedef struct Order {
	const TileStmt *s;
	TileAccess source;
	TileVar axis, rank; /* topk: rank is the last variable; sort: the axis again */
	Cursor in, values, positions;
	Value key, at; /* sort: of the element whose rank is counted */
	bool vectors;
} Order;

/* The k greatest: for each rank, the greatest of those that come after the one before. */
static void topk_body(Gen *g, void *ctx)
{
	Order *o = ctx;
	o->in = cursor_open(g, &o->source, &o->axis, 1);
	o->values = cursor_open(g, &o->s->out[0], &o->rank, 1);
	if (o->s->n_out > 1) o->positions = cursor_open(g, &o->s->out[1], &o->rank, 1);
	Value n = index_value(g, o->axis.extent), zero = const_i64(g, 0), one = const_i64(g, 1);
	Loop r, l;
	loop_begin(g, &r, zero, index_value(g, o->rank.extent), one);
	Value last_key = loop_carry(g, &r, const_i32(g, INT32_MAX, 1)),
		  last_at = loop_carry(g, &r, const_i64(g, -1));
	loop_begin(g, &l, zero, n, one);
	Value best = loop_carry(g, &l, const_i32(g, INT32_MIN, 1)),
		  best_at = loop_carry(g, &l, const_i64(g, -1));
	Value key = order_key(g, cursor_load(g, &o->in, 0, l.iv, 1, NULL));
	Value tie = LLVMBuildAnd(g->build, LLVMBuildICmp(g->build, LLVMIntEQ, key, last_key, ""),
	                         iless(g, last_at, l.iv), "");
	Value after = LLVMBuildOr(g->build, iless(g, key, last_key), tie, "");
	Value better = LLVMBuildOr(g->build, iless(g, best, key), iless(g, best_at, zero), "");
	Value take = LLVMBuildAnd(g->build, after, better, "");
	l.next[0] = choose(g, take, key, best);
	l.next[1] = choose(g, take, l.iv, best_at);
	loop_end(g, &l);
	Value at = imax(g, l.out[1], zero); /* k greater than the axis: position 0 again */
	cursor_store(g, &o->values, 0, r.iv, 1, NULL, cursor_load(g, &o->in, 0, at, 1, NULL), false);
	if (o->s->n_out > 1)
		cursor_store(g, &o->positions, 0, r.iv, 1, NULL, LLVMBuildTrunc(g->build, at, g->i32, ""),
		             false);
	r.next[0] = l.out[0];
	r.next[1] = l.out[1];
	loop_end(g, &r);
}

void lower_topk(Gen *g, const TileStmt *s)
{
	Order o = {
		.s = s, .source = s->in[0], .axis = s->space[s->axis], .rank = s->space[s->n_space - 1]};
	nest_loops(g, s->space, s->n_space, (uint64_t)1 << s->axis | (uint64_t)1 << (s->n_space - 1),
	           topk_body, &o);
}

static Value comes_before(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask)
{
	Order *o = ctx;
	Value key = order_key(g, cursor_load(g, &o->in, 0, iv, lanes, mask)),
		  mine = splat(g, o->key, lanes);
	Value index =
		iadd(g, splat(g, LLVMBuildTrunc(g->build, iv, g->i32, ""), lanes), iota(g, lanes));
	Value earlier = iless(g, index, splat(g, LLVMBuildTrunc(g->build, o->at, g->i32, ""), lanes));
	Value less = o->s->descending ? iless(g, mine, key) : iless(g, key, mine);
	Value tie =
		LLVMBuildAnd(g->build, LLVMBuildICmp(g->build, LLVMIntEQ, key, mine, ""), earlier, "");
	return LLVMBuildZExt(g->build, LLVMBuildOr(g->build, less, tie, ""), vector_of(g->i32, lanes),
	                     "");
}

/* Each element goes to the place given by the number of elements before it: stable, no swaps. */
static void sort_body(Gen *g, void *ctx)
{
	Order *o = ctx;
	o->in = cursor_open(g, &o->source, &o->axis, 1);
	o->values = cursor_open(g, &o->s->out[0], &o->axis, 1);
	if (o->s->n_out > 1) o->positions = cursor_open(g, &o->s->out[1], &o->axis, 1);
	o->vectors = cursor_vectorizes(&o->in, 0);
	Value n = index_value(g, o->axis.extent);
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), n, const_i64(g, 1));
	Value v = cursor_load(g, &o->in, 0, l.iv, 1, NULL);
	o->key = order_key(g, v);
	o->at = l.iv;
	Value rank = LLVMBuildZExt(
		g->build, reduce_row(g, RED_SUM, g->i32, n, o->vectors, comes_before, o), g->i64, "");
	cursor_store(g, &o->values, 0, rank, 1, NULL, v, false);
	if (o->s->n_out > 1)
		cursor_store(g, &o->positions, 0, rank, 1, NULL,
		             LLVMBuildTrunc(g->build, o->at, g->i32, ""), false);
	loop_end(g, &l);
}

void lower_sort(Gen *g, const TileStmt *s)
{
	Order o = {.s = s, .source = s->in[0], .axis = s->space[s->axis]};
	bool in_place = false;
	for (uint32_t i = 0; i < s->n_out; i++) in_place = in_place || s->out[i].obj == s->in[0].obj;
	if (in_place) {
		TileAccess *copy = lower_stage(g, &s->in[0], s->space, s->n_space,
		                               home_of(g, s->in[0].obj)->dtype, (int64_t)1 << 24);
		if (!copy) {
			unsupported(g, s->span, "sorting `%s` in place, whose size has no bound",
			            s->in[0].obj->name);
			return;
		}
		o.source = *copy;
	}
	nest_loops(g, s->space, s->n_space, (uint64_t)1 << s->axis, sort_body, &o);
}
