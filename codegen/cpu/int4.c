/* Weights of 4 bits in groups with scales (ENC_I4): a byte of a group holds two rows of k for one
 * column, so a vector of bytes gives two vectors of weights. A product with few rows decodes them in
 * registers and applies the scale once for each group; one with many rows decodes into a place. */
#include "codegen/cpu/emit.h"

enum { MOST_HALF = 64, CHAINS = 4, FEW_ROWS = 4 };

/* An access [.., rest_k + k, rest_n + column] that begins on a group and on a panel. */
typedef struct Panels {
	const TileAccess *a;
	uint32_t k, column; /* numbers in the space */
	Dim rest_k, rest_n;
	int64_t nb, group;
} Panels;

/* index = rest + one variable, rest a multiple of `of`. */
static bool one_variable(Gen *g, Dim index, const TileVar *space, uint32_t n, int64_t of,
                         uint32_t *v, Dim *rest)
{
	Dim coef[TILE_SPACE];
	*v = n;
	if (!index_split(g, index, space, n, coef, rest) || !index_multiple(g, *rest, of)) return false;
	for (uint32_t i = 0; i < n; i++) {
		int64_t c;
		if (!index_const(coef[i], &c) || (c != 0 && (c != 1 || *v != n))) return false;
		if (c) *v = i;
	}
	return *v < n;
}

static bool find_panels(Gen *g, const TileAccess *a, const TileVar *space, uint32_t n, Panels *p)
{
	const TileObj *o = a->obj;
	if (o->kind == TB_PLACE || o->enc.kind != ENC_I4 || a->rows || a->has_else) return false;
	*p = (Panels){.a = a, .nb = o->enc.nb, .group = o->enc.group};
	if (p->nb % g->machine->lanes || p->group / 2 > MOST_HALF) return false;
	if (!one_variable(g, a->index[o->rank - 1], space, n, p->nb, &p->column, &p->rest_n))
		return false;
	if (!one_variable(g, a->index[o->rank - 2], space, n, p->group, &p->k, &p->rest_k))
		return false;
	if (p->k == p->column || !index_multiple(g, space[p->k].extent, p->group)) return false;
	for (uint32_t d = 0; d + 2 < o->rank; d++)
		if (dim_mentions(a->index[d], space[p->k].sym) ||
		    dim_mentions(a->index[d], space[p->column].sym))
			return false;
	return true;
}

static int64_t group_bytes(const Panels *p)
{
	return 4 * p->nb + p->group / 2 * p->nb;
}

/* The first group of the vector of columns that begins at column `at` of the access. */
static Value first_group(Gen *g, const Panels *p, Value at, Value *in_panel)
{
	const TileObj *o = p->a->obj;
	Home *h = home_of(g, o);
	Value nb = const_i64(g, p->nb), base = h->base;
	for (uint32_t d = 0; d + 2 < o->rank; d++)
		base = ptr_add(g, base, imul(g, index_value(g, p->a->index[d]), h->stride[d]));
	Value panel = iadd(g, LLVMBuildUDiv(g->build, index_value(g, p->rest_n), nb, ""),
	                   LLVMBuildUDiv(g->build, at, nb, ""));
	Value group = LLVMBuildUDiv(g->build, index_value(g, p->rest_k), const_i64(g, p->group), "");
	base = ptr_add(g, base, imul(g, panel, h->stride[o->rank - 1]));
	*in_panel = LLVMBuildURem(g->build, at, nb, "");
	return ptr_add(g, base, imul(g, group, const_i64(g, group_bytes(p))));
}

static Value scales(Gen *g, Value group, Value in_panel)
{
	Value at = ptr_add(g, group, imul(g, in_panel, const_i64(g, 4)));
	return load(g, vector_of(g->f32, g->machine->lanes), at, 4);
}

/* Rows k2 and k2 + group/2 of the group, without their scale. */
static void decode(Gen *g, Value bytes, Value low_high[2])
{
	uint32_t n = g->machine->lanes;
	Type wide = vector_of(g->i32, n), real = vector_of(g->f32, n);
	Value raw = load(g, vector_of(g->i8, n), bytes, 1), v = LLVMBuildSExt(g->build, raw, wide, "");
	Value low = LLVMBuildShl(g->build, v, const_i32(g, 28, n), "");
	low = LLVMBuildAShr(g->build, low, const_i32(g, 28, n), "");
	low_high[0] = LLVMBuildSIToFP(g->build, low, real, "");
	low_high[1] =
		LLVMBuildSIToFP(g->build, LLVMBuildAShr(g->build, v, const_i32(g, 4, n), ""), real, "");
}

/* --- few rows ------------------------------------------------------------------------------------ */

typedef struct Row4 {
	const TileStmt *s;
	Panels p;
	const TileAccess *x;
} Row4;

static Value row_group(Gen *g, const Row4 *r, const Cursor *x, Value group, Value in_panel, Value k)
{
	uint32_t n = g->machine->lanes;
	Value sum[CHAINS], bytes = ptr_add(g, ptr_addc(g, group, 4 * r->p.nb), in_panel);
	int64_t half = r->p.group / 2;
	for (int i = 0; i < CHAINS; i++) sum[i] = const_f32(g, 0, n);
	for (int64_t i = 0; i < half; i++) {
		Value w[2];
		decode(g, ptr_addc(g, bytes, i * r->p.nb), w);
		for (int h = 0; h < 2; h++) {
			Value at = iadd(g, k, const_i64(g, i + h * half)),
				  v = cursor_load(g, x, 0, at, 1, NULL);
			v = convert(g, v, element_type(v) == g->f32 ? DT_F32 : DT_I32, DT_F32);
			Value *s = &sum[h * 2 + i % 2];
			*s = fmadd(g, splat(g, v, n), w[h], *s);
		}
	}
	return float_add(g, float_add(g, sum[0], sum[1]), float_add(g, sum[2], sum[3]));
}

static void row_columns(Gen *g, const Row4 *r, const Cursor *x, const Cursor *out, Value at,
                        Value mask)
{
	const TileVar *k = &r->s->space[r->p.k];
	uint32_t n = g->machine->lanes;
	Value in_panel, first = first_group(g, &r->p, at, &in_panel), total = const_f32(g, 0, n);
	if (r->s->accumulate) total = cursor_load(g, out, 0, at, n, mask);
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), index_value(g, k->extent), const_i64(g, r->p.group));
	Value group = loop_carry(g, &l, first), acc = loop_carry(g, &l, total);
	Value sum = row_group(g, r, x, group, in_panel, l.iv);
	l.next[0] = ptr_addc(g, group, group_bytes(&r->p));
	l.next[1] = fmadd(g, sum, scales(g, group, in_panel), acc);
	loop_end(g, &l);
	cursor_store(g, out, 0, at, n, mask, l.out[1], false);
}

static void row_body(Gen *g, void *ctx)
{
	const Row4 *r = ctx;
	const TileVar *column = &r->s->space[r->p.column];
	Cursor x = cursor_open(g, r->x, &r->s->space[r->p.k], 1);
	Cursor out = cursor_open(g, &r->s->out[0], column, 1);
	uint32_t n = g->machine->lanes;
	Value extent = index_value(g, column->extent), lanes = const_i64(g, n);
	bool whole = index_multiple(g, column->extent, n);
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), extent, lanes);
	row_columns(g, r, &x, &out, l.iv, whole ? NULL : lane_mask(g, isub(g, extent, l.iv), n));
	loop_end(g, &l);
}

static bool mentions(const TileAccess *a, const DimSym *s)
{
	for (uint32_t d = 0; d < a->obj->rank; d++)
		if (a->index[d] && dim_mentions(a->index[d], s)) return true;
	return a->rows && mentions(a->rows, s);
}

bool lower_int4(Gen *g, const TileStmt *s)
{
	Row4 r = {.s = s};
	int w = s->in[0].obj->kind != TB_PLACE && s->in[0].obj->enc.kind == ENC_I4 ? 0 : 1;
	r.x = &s->in[1 - w];
	if (!find_panels(g, &s->in[w], s->space, s->n_space, &r.p)) return false;
	const DimSym *k = s->space[r.p.k].sym, *column = s->space[r.p.column].sym;
	const TileAccess *out = &s->out[0];
	if (mentions(out, k) || mentions(r.x, column) || home_of(g, out->obj)->dtype != DT_F32)
		return false;
	if (access_step(g, out, column) != 1 || out->has_else || out->rows) return false;
	if (!access_linear(g, r.x, s->space, s->n_space) || !access_proved(g, r.x)) return false;
	for (uint32_t v = 0; v < s->n_space; v++) {
		int64_t lo, hi;
		index_range(g, s->space[v].extent, &lo, &hi);
		if (v == r.p.k || v == r.p.column) continue;
		if (!mentions(out, s->space[v].sym)) return false; /* summed too */
		if (hi >= FEW_ROWS && !mentions(&s->in[w], s->space[v].sym)) return false;
	}
	nest_loops(g, s->space, s->n_space, (uint64_t)1 << r.p.k | (uint64_t)1 << r.p.column, row_body,
	           &r);
	return true;
}

/* --- many rows: decoded into a place --------------------------------------------------------------- */

static void stage_groups(Gen *g, const Panels *p, const Cursor *to, Value at, Value k_extent)
{
	uint32_t n = g->machine->lanes;
	int64_t half = p->group / 2;
	Value in_panel, first = first_group(g, p, at, &in_panel);
	Loop l, row;
	loop_begin(g, &l, const_i64(g, 0), k_extent, const_i64(g, p->group));
	Value group = loop_carry(g, &l, first), scale = scales(g, group, in_panel);
	loop_begin(g, &row, const_i64(g, 0), const_i64(g, half), const_i64(g, 1));
	Value bytes = ptr_add(g, ptr_addc(g, group, 4 * p->nb), in_panel), w[2];
	decode(g, ptr_add(g, bytes, imul(g, row.iv, const_i64(g, p->nb))), w);
	for (int h = 0; h < 2; h++) {
		Cursor c = *to;
		cursor_move(g, &c, 0, iadd(g, iadd(g, l.iv, row.iv), const_i64(g, h * half)));
		cursor_store(g, &c, 1, at, n, NULL, float_mul(g, w[h], scale), false);
	}
	loop_end(g, &row);
	l.next[0] = ptr_addc(g, group, group_bytes(p));
	loop_end(g, &l);
}

TileAccess *lower_stage_int4(Gen *g, const TileAccess *a, const TileVar *vars, uint32_t n,
                             int64_t limit)
{
	Panels p;
	int64_t lo, dims[2];
	if (n != 2 || !find_panels(g, a, vars, 2, &p) || p.k != 0) return NULL;
	for (int v = 0; v < 2; v++) index_range(g, vars[v].extent, &lo, &dims[v]);
	if (dims[0] <= 0 || dims[1] <= 0 || dims[0] > limit / 4 / dims[1]) return NULL;
	TileAccess *copy = NEW(g->arena, TileAccess);
	copy->obj = place_new(g, DT_F32, 2, dims); /* its rows are whole vectors */
	for (int v = 0; v < 2; v++) copy->index[v] = dim_sym(g->program->dims, vars[v].sym);
	Cursor to = cursor_open(g, copy, vars, 2);
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), index_value(g, vars[1].extent),
	           const_i64(g, g->machine->lanes));
	stage_groups(g, &p, &to, l.iv, index_value(g, vars[0].extent));
	loop_end(g, &l);
	return copy;
}
