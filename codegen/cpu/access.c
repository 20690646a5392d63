/* Addresses: what an access means in memory. Nothing is read or written outside an object: an else
 * value, a gathered row that is out of range, and lanes past an extent are kept away from memory by
 * masks or by pointing the load at a constant. */
#include "codegen/cpu/emit.h"

Home *home_of(Gen *g, const TileObj *o)
{
	return o->kind == TB_PLACE ? &g->place[o->id] : &g->buf[o->id];
}

void home_strides(Gen *g, Home *h, uint32_t rank, const Value *dims, const Encoding *enc)
{
	int64_t size = h->dtype == DT_I4 ? 1 : dtype_bits(h->dtype) / 8;
	Value step = const_i64(g, size);
	uint32_t first = rank;
	if (enc->kind != ENC_PLAIN) { /* the last two dimensions are one block */
		Value k = dims[rank - 2], n = dims[rank - 1], nb = const_i64(g, enc->nb);
		Value panels =
			LLVMBuildUDiv(g->build, iadd(g, n, const_i64(g, (int64_t)enc->nb - 1)), nb, "");
		Value panel; /* bytes */
		if (enc->kind == ENC_PACK) {
			Value groups = LLVMBuildUDiv(g->build, iadd(g, k, const_i64(g, (int64_t)enc->kg - 1)),
			                             const_i64(g, enc->kg), "");
			panel =
				imul(g, groups,
			         const_i64(g, (int64_t)enc->nb * enc->kg * (int64_t)dtype_bits(h->dtype) / 8));
		} else {
			Value groups =
				LLVMBuildUDiv(g->build, iadd(g, k, const_i64(g, (int64_t)enc->group - 1)),
			                  const_i64(g, enc->group), "");
			panel = imul(g, groups,
			             const_i64(g, 4 * (int64_t)enc->nb + (int64_t)enc->group / 2 * enc->nb));
		}
		h->stride[rank - 1] = panel; /* of a whole panel */
		h->stride[rank - 2] = panel;
		step = imul(g, panels, panel);
		first = rank - 2;
	}
	for (uint32_t d = first; d-- > 0;) {
		h->stride[d] = step;
		Value extent = dims[d];
		if (enc->kind == ENC_PLAIN && d == rank - 1 && rank > 1)
			extent = iadd(g, extent, const_i64(g, enc->pad));
		step = imul(g, step, extent);
	}
}

/* --- stops --- */

void report_stop(Gen *g, Value index, Value limit, const char *check)
{
	/* frame->stop; the first writer of code fills in the rest */
	Value stop = load(g, g->ptr, ptr_addc(g, g->frame, offsetof(NacreFrame, stop)), 8);
	Value old =
		LLVMBuildAtomicRMW(g->build, LLVMAtomicRMWBinOpUMax, stop,
	                       const_i32(g, NACRE_STOP_INDEX, 1), LLVMAtomicOrderingMonotonic, 0);
	If first;
	if_begin(g, &first, LLVMBuildICmp(g->build, LLVMIntEQ, old, const_i32(g, 0, 1), ""));
	store(g, g->launch, ptr_addc(g, stop, offsetof(NacreStop, launch)), 4);
	store(g, index, ptr_addc(g, stop, offsetof(NacreStop, value)), 8);
	store(g, limit, ptr_addc(g, stop, offsetof(NacreStop, limit)), 8);
	store(g, const_i32(g, (int32_t)tile_check_number(g->program, check), 1),
	      ptr_addc(g, stop, offsetof(NacreStop, check)), 4);
	if_end(g, &first);
}

/* --- single elements --- */

static Value object_dim(Gen *g, const TileObj *o, uint32_t d)
{
	return index_value(g, o->dims[d]);
}

static Value inside(Gen *g, Value index, Value limit)
{
	return LLVMBuildICmp(g->build, LLVMIntULT, index, limit, "");
}

static Value both(Gen *g, Value a, Value b)
{
	return a && b ? LLVMBuildAnd(g->build, a, b, "") : a ? a : b;
}

typedef struct Element {
	Value at, shift, scale, enabled;
} Element; /* shift, scale: i4 */

static Value element_load(Gen *g, const TileAccess *a);

/* The row that a gather gives; out of range: *ok false, reported unless there is an else. */
static Value gathered_row(Gen *g, const TileAccess *a, Value *ok)
{
	Value limit = object_dim(g, a->obj, a->rows_dim);
	Value row = LLVMBuildSExt(g->build, element_load(g, a->rows), g->i64, "");
	*ok = inside(g, row, limit);
	if (!a->has_else) {
		If bad;
		if_begin(g, &bad, LLVMBuildNot(g->build, *ok, ""));
		report_stop(g, row, limit, a->check);
		if_end(g, &bad);
	}
	return choose(g, *ok, row, const_i64(g, 0));
}

static bool proved_inside(Gen *g, Dim index, Dim limit)
{
	int64_t lo, hi;
	index_range(g, index, &lo, &hi);
	if (lo < 0) return false;
	index_range(g, dim_sub(g->program->dims, dim_addc(g->program->dims, limit, -1), index), &lo,
	            &hi);
	return lo >= 0;
}

/* The address of the element with all symbols bound. */
static Element element_address(Gen *g, const TileAccess *a)
{
	const TileObj *o = a->obj;
	Home *h = home_of(g, o);
	Value index[TILE_RANK];
	Element e = {NULL, NULL, NULL, NULL};
	for (uint32_t d = 0; d < o->rank; d++) {
		if (a->rows && d == a->rows_dim) {
			Value ok;
			index[d] = gathered_row(g, a, &ok);
			e.enabled = both(g, e.enabled, ok);
			continue;
		}
		index[d] = index_value(g, a->index[d]);
		if (a->has_else && !proved_inside(g, a->index[d], o->dims[d])) {
			Value ok = inside(g, index[d], object_dim(g, o, d));
			e.enabled = both(g, e.enabled, ok);
			index[d] = choose(g, ok, index[d], const_i64(g, 0));
		}
	}
	Value offset = const_i64(g, 0);
	bool encoded = o->kind != TB_PLACE && o->enc.kind != ENC_PLAIN;
	uint32_t plain = encoded ? o->rank - 2 : o->rank;
	for (uint32_t d = 0; d < plain; d++) offset = iadd(g, offset, imul(g, index[d], h->stride[d]));
	if (!encoded) {
		if (h->dtype == DT_I4) {
			e.shift = LLVMBuildShl(g->build, LLVMBuildAnd(g->build, offset, const_i64(g, 1), ""),
			                       const_i64(g, 2), "");
			offset = LLVMBuildAShr(g->build, offset, const_i64(g, 1), "");
		}
		e.at = ptr_add(g, h->base, offset);
		return e;
	}
	Value k = index[o->rank - 2], n = index[o->rank - 1], nb = const_i64(g, o->enc.nb);
	Value panel = LLVMBuildUDiv(g->build, n, nb, ""), column = LLVMBuildURem(g->build, n, nb, "");
	Value at = ptr_add(g, ptr_add(g, h->base, offset), imul(g, panel, h->stride[o->rank - 1]));
	if (o->enc.kind == ENC_PACK) {
		int64_t bits = dtype_bits(h->dtype), kg = o->enc.kg;
		Value group = LLVMBuildUDiv(g->build, k, const_i64(g, kg), ""),
			  in = LLVMBuildURem(g->build, k, const_i64(g, kg), "");
		at = ptr_add(g, at, imul(g, group, const_i64(g, (int64_t)o->enc.nb * kg * bits / 8)));
		Value number = iadd(g, imul(g, column, const_i64(g, kg)), in);
		if (h->dtype == DT_I4) {
			e.shift = LLVMBuildShl(g->build, LLVMBuildAnd(g->build, number, const_i64(g, 1), ""),
			                       const_i64(g, 2), "");
			e.at = ptr_add(g, at, LLVMBuildLShr(g->build, number, const_i64(g, 1), ""));
		} else
			e.at = ptr_add(g, at, imul(g, number, const_i64(g, bits / 8)));
		return e;
	}
	int64_t half = o->enc.group / 2, group_bytes = 4 * (int64_t)o->enc.nb + half * o->enc.nb;
	Value group = LLVMBuildUDiv(g->build, k, const_i64(g, o->enc.group), ""),
		  in = LLVMBuildURem(g->build, k, const_i64(g, o->enc.group), "");
	at = ptr_add(g, at, imul(g, group, const_i64(g, group_bytes)));
	e.scale = ptr_add(g, at, imul(g, column, const_i64(g, 4)));
	Value high = LLVMBuildICmp(g->build, LLVMIntUGE, in, const_i64(g, half), "");
	e.shift = choose(g, high, const_i64(g, 4), const_i64(g, 0));
	Value row = choose(g, high, isub(g, in, const_i64(g, half)), in);
	e.at = ptr_add(g, ptr_addc(g, at, 4 * (int64_t)o->enc.nb), iadd(g, imul(g, row, nb), column));
	return e;
}

/* A constant of 64 bytes or a vector, whichever is more, holding the else value. */
static Value else_block(Gen *g, const TileAccess *a, DType t)
{
	uint32_t n = g->machine->lanes > 16 ? g->machine->lanes : 16;
	Value c = storage_const(g, t, a->has_else ? a->else_value : 0, n);
	Value global = LLVMAddGlobal(g->module, LLVMTypeOf(c), "else");
	LLVMSetInitializer(global, c);
	LLVMSetGlobalConstant(global, 1);
	LLVMSetLinkage(global, LLVMInternalLinkage);
	LLVMSetAlignment(global, 64);
	return global;
}

static Value element_load(Gen *g, const TileAccess *a)
{
	Element e = element_address(g, a);
	DType t = home_of(g, a->obj)->dtype;
	Value raw = load(g, storage_type(g, t), e.at, 1); /* a disabled one is pointed at element 0 */
	if (e.shift)
		raw = LLVMBuildLShr(g->build, raw, LLVMBuildTrunc(g->build, e.shift, g->i8, ""), "");
	Value v = widen(g, t, raw);
	if (e.scale) v = float_mul(g, convert(g, v, DT_I32, DT_F32), load(g, g->f32, e.scale, 4));
	if (!e.enabled) return v;
	Value otherwise = widen(g, t, storage_const(g, t, a->has_else ? a->else_value : 0, 1));
	if (e.scale) otherwise = const_f32(g, a->has_else ? a->else_value : 0, 1);
	return choose(g, e.enabled, v, otherwise);
}

static void element_store(Gen *g, const TileAccess *a, Value v, bool add)
{
	Element e = element_address(g, a);
	DType t = home_of(g, a->obj)->dtype;
	If live;
	if (e.enabled) if_begin(g, &live, e.enabled);
	if (e.scale)
		unsupported(g, a->obj->span, "storing into `%s`, whose elements are i4 groups with scales",
		            a->obj->name);
	Type st = storage_type(g, t);
	Value old = add || e.shift ? load(g, st, e.at, 1) : NULL;
	if (add) {
		Value was = old;
		if (e.shift)
			was = LLVMBuildLShr(g->build, was, LLVMBuildTrunc(g->build, e.shift, g->i8, ""), "");
		Value w = widen(g, t, was);
		DType wide = dtype_widened(t);
		if (element_type(v) != element_type(w))
			v = convert(g, v, element_type(v) == g->f32 ? DT_F32 : DT_I32, wide);
		v = scalar_emit(g, SC_ADD, wide, w, v, NULL);
	}
	Value raw = narrow(g, t, v);
	if (e.shift) { /* the other nibble stays */
		Value s = LLVMBuildTrunc(g->build, e.shift, g->i8, "");
		Value keep = LLVMBuildAnd(
			g->build, old,
			LLVMBuildNot(g->build, LLVMBuildShl(g->build, const_int(g->i8, 15, 1), s, ""), ""), "");
		raw = LLVMBuildOr(g->build, keep, LLVMBuildShl(g->build, raw, s, ""), "");
	}
	store(g, raw, e.at, 1);
	if (e.enabled) if_end(g, &live);
}

/* --- cursors --- */

static bool mentions_any(const TileAccess *a, const TileVar *space, uint32_t n)
{
	for (uint32_t d = 0; d < a->obj->rank; d++)
		for (uint32_t v = 0; v < n && a->index[d]; v++)
			if (dim_mentions(a->index[d], space[v].sym)) return true;
	return a->rows && mentions_any(a->rows, space, n);
}

/* index = rest + sum coef[v] * v with coefficients free of the variables */
bool index_split(Gen *g, Dim index, const TileVar *space, uint32_t n, Dim *coef, Dim *rest)
{
	*rest = index;
	for (uint32_t v = 0; v < n; v++) {
		Dim r;
		if (!dim_linear_in(g->program->dims, *rest, space[v].sym, &coef[v], &r)) return false;
		*rest = r;
		for (uint32_t w = 0; w < n; w++)
			if (dim_mentions(coef[v], space[w].sym)) return false;
	}
	return true;
}

bool access_linear(Gen *g, const TileAccess *a, const TileVar *space, uint32_t n)
{
	Dim coef[TILE_SPACE], rest;
	if ((a->obj->kind != TB_PLACE && a->obj->enc.kind != ENC_PLAIN) ||
	    home_of(g, a->obj)->dtype == DT_I4)
		return false;
	if (a->rows && mentions_any(a->rows, space, n)) return false;
	for (uint32_t d = 0; d < a->obj->rank; d++)
		if (a->index[d] && !index_split(g, a->index[d], space, n, coef, &rest)) return false;
	return true;
}

/* Inside its object for every value of the variables, so that no check is needed. */
bool access_proved(Gen *g, const TileAccess *a)
{
	if (a->rows) return false;
	for (uint32_t d = 0; d < a->obj->rank && a->has_else; d++)
		if (!proved_inside(g, a->index[d], a->obj->dims[d])) return false;
	return true;
}

/* A gathered column of panels whose rows are not in groups: its elements lie nb apart. */
static bool column_of_panels(const TileAccess *a)
{
	const TileObj *o = a->obj;
	return o->enc.kind == ENC_PACK && o->enc.kg == 1 && a->rows && a->rows_dim == o->rank - 1;
}

static Value panel_row(Gen *g, const TileAccess *a)
{
	return const_i64(g, (int64_t)a->obj->enc.nb * (int64_t)dtype_bits(a->obj->dtype) / 8);
}

static Value panel_column(Gen *g, const TileAccess *a, Value n)
{
	Value nb = const_i64(g, a->obj->enc.nb);
	Value panel = LLVMBuildUDiv(g->build, n, nb, ""), column = LLVMBuildURem(g->build, n, nb, "");
	Value in = imul(g, column, const_i64(g, (int64_t)dtype_bits(a->obj->dtype) / 8));
	return iadd(g, imul(g, panel, home_of(g, a->obj)->stride[a->obj->rank - 1]), in);
}

Cursor cursor_open(Gen *g, const TileAccess *a, const TileVar *space, uint32_t n)
{
	const TileObj *o = a->obj;
	Home *h = home_of(g, o);
	Cursor c = {.access = a, .home = h, .dtype = h->dtype, .space = space, .n_space = n};
	bool panels = o->kind != TB_PLACE && o->enc.kind != ENC_PLAIN;
	if ((panels && !column_of_panels(a)) || h->dtype == DT_I4) return c;
	if (a->rows && mentions_any(a->rows, space, n)) return c;
	Dim coef[TILE_RANK][TILE_SPACE], rest[TILE_RANK];
	for (uint32_t d = 0; d < o->rank; d++)
		if (a->index[d] && !index_split(g, a->index[d], space, n, coef[d], &rest[d])) return c;
	c.linear = true;
	c.base = h->base;
	for (uint32_t v = 0; v < n; v++) c.stride[v] = const_i64(g, 0);
	for (uint32_t d = 0; d < o->rank; d++) {
		if (a->rows && d == a->rows_dim) {
			Value ok, row = gathered_row(g, a, &ok);
			c.enabled = both(g, c.enabled, ok);
			if (panels)
				c.base = ptr_add(g, c.base, panel_column(g, a, row));
			else
				c.base = ptr_add(g, c.base, imul(g, row, h->stride[d]));
			continue;
		}
		Value stride = panels && d == o->rank - 2 ? panel_row(g, a) : h->stride[d];
		Value at = index_value(g, rest[d]);
		c.base = ptr_add(g, c.base, imul(g, at, stride));
		bool check = a->has_else && !proved_inside(g, a->index[d], o->dims[d]);
		Check *k = &c.check[c.n_check];
		if (check) {
			k->at = at;
			k->limit = object_dim(g, o, d);
			c.n_check++;
		}
		for (uint32_t v = 0; v < n; v++) {
			Value by = index_value(g, coef[d][v]);
			c.stride[v] = iadd(g, c.stride[v], imul(g, by, stride));
			if (check) k->step[v] = by;
		}
	}
	return c;
}

void cursor_move(Gen *g, Cursor *c, uint32_t v, Value by)
{
	if (!c->linear) return;
	c->base = ptr_add(g, c->base, imul(g, by, c->stride[v]));
	for (uint32_t i = 0; i < c->n_check; i++)
		c->check[i].at = iadd(g, c->check[i].at, imul(g, by, c->check[i].step[v]));
}

int64_t cursor_step(const Cursor *c, uint32_t v)
{
	int64_t bytes;
	if (!c->linear || !value_is_const(c->stride[v], &bytes)) return INT64_MIN;
	int64_t size = dtype_bits(c->dtype) / 8;
	return bytes % size ? INT64_MIN : bytes / size;
}

bool cursor_vectorizes(const Cursor *c, uint32_t v)
{
	int64_t s = cursor_step(c, v);
	return s == 0 || s == 1;
}

/* What the checks allow: *scalar for all lanes at once, *vector lane by lane; NULL when all. */
static void cursor_checks(Gen *g, const Cursor *c, uint32_t v, Value iv, uint32_t lanes,
                          Value *scalar, Value *vector)
{
	*scalar = c->enabled;
	*vector = NULL;
	for (uint32_t i = 0; i < c->n_check; i++) {
		const Check *k = &c->check[i];
		Value at = iv ? iadd(g, k->at, imul(g, iv, k->step[v])) : k->at;
		int64_t step;
		bool fixed = value_is_const(k->step[v], &step) && step == 0;
		if (lanes == 1 || fixed) {
			*scalar = both(g, *scalar, inside(g, at, k->limit));
			continue;
		}
		Value lane0 = splat(g, LLVMBuildTrunc(g->build, at, g->i32, ""), lanes);
		Value by = splat(g, LLVMBuildTrunc(g->build, k->step[v], g->i32, ""), lanes);
		Value index = iadd(g, lane0, imul(g, by, iota(g, lanes)));
		*vector =
			both(g, *vector,
		         inside(g, index, splat(g, LLVMBuildTrunc(g->build, k->limit, g->i32, ""), lanes)));
	}
}

/* Binds the symbol of v for one lane. A single element at no iv is where the caller has bound it. */
static void bind_lane(Gen *g, const Cursor *c, uint32_t v, Value iv, uint32_t lane, uint32_t lanes)
{
	if (v >= c->n_space || (!iv && lanes == 1)) return;
	Value first = iv ? iv : const_i64(g, 0);
	index_bind(g, c->space[v].sym, iadd(g, first, const_i64(g, lane)), 0);
}

static Cursor lane_cursor(Gen *g, const Cursor *c, uint32_t v, Value iv, uint32_t lane)
{
	Cursor one = *c;
	cursor_move(g, &one, v, iv ? iadd(g, iv, const_i64(g, lane)) : const_i64(g, lane));
	return one;
}

Value cursor_load(Gen *g, const Cursor *c, uint32_t v, Value iv, uint32_t lanes, Value mask)
{
	if (!c->linear) {
		Value r = NULL;
		for (uint32_t i = 0; i < lanes; i++) {
			bind_lane(g, c, v, iv, i, lanes);
			Value e = element_load(g, c->access);
			if (!r) r = LLVMGetPoison(vector_of(LLVMTypeOf(e), lanes));
			r = set_lane(g, r, e, i);
		}
		if (v < c->n_space && iv) index_bind(g, c->space[v].sym, iv, 0);
		return r;
	}
	int64_t step = cursor_step(c, v);
	if (lanes > 1 && step != 0 && step != 1) {
		Value r = NULL;
		for (uint32_t i = 0; i < lanes; i++) {
			Cursor one = lane_cursor(g, c, v, iv, i);
			Value e = cursor_load(g, &one, v, NULL, 1, NULL);
			if (!r) r = LLVMGetPoison(vector_of(LLVMTypeOf(e), lanes));
			r = set_lane(g, r, e, i);
		}
		return r;
	}
	Value scalar, vector, p = c->base;
	cursor_checks(g, c, v, iv, lanes, &scalar, &vector);
	if (iv) p = ptr_add(g, p, imul(g, iv, c->stride[v]));
	if (scalar) p = choose(g, scalar, p, else_block(g, c->access, c->dtype));
	Type st = storage_type(g, c->dtype);
	uint32_t align = dtype_bits(c->dtype) / 8;
	if (lanes > 1 && step == 0 && !vector)
		return splat(g, widen(g, c->dtype, load(g, st, p, align)), lanes);
	uint32_t width = step == 0 ? 1 : lanes;
	Value otherwise =
		storage_const(g, c->dtype, c->access->has_else ? c->access->else_value : 0, width);
	Value live = both(g, mask, vector), raw;
	if (width == 1)
		raw = load(g, st, p, align);
	else if (live)
		raw = masked_load(g, vector_of(st, width), p, live, otherwise, align);
	else
		raw = load(g, vector_of(st, width), p, align);
	if (step == 0 && lanes > 1) { /* a broadcast that some lanes may not see */
		raw = splat(g, raw, lanes);
		raw = choose(g, vector, raw, splat(g, otherwise, lanes));
	}
	return widen(g, c->dtype, raw);
}

void cursor_store(Gen *g, const Cursor *c, uint32_t v, Value iv, uint32_t lanes, Value mask,
                  Value widened, bool add)
{
	if (!c->linear) {
		for (uint32_t i = 0; i < lanes; i++) {
			bind_lane(g, c, v, iv, i, lanes);
			element_store(g, c->access, lane(g, widened, i), add);
		}
		if (v < c->n_space && iv) index_bind(g, c->space[v].sym, iv, 0);
		return;
	}
	int64_t step = cursor_step(c, v);
	if (lanes > 1 && step != 1) {
		for (uint32_t i = 0; i < lanes; i++) {
			Cursor one = lane_cursor(g, c, v, iv, i);
			cursor_store(g, &one, v, NULL, 1, NULL, lane(g, widened, i), add);
		}
		return;
	}
	Value scalar, vector;
	cursor_checks(g, c, v, iv, lanes, &scalar, &vector);
	Value p = iv ? ptr_add(g, c->base, imul(g, iv, c->stride[v])) : c->base,
		  live = both(g, mask, vector);
	If enabled;
	if (scalar) if_begin(g, &enabled, scalar);
	Type st = vector_of(storage_type(g, c->dtype), lanes);
	uint32_t align = dtype_bits(c->dtype) / 8;
	if (add) {
		Value old =
			live ? masked_load(g, st, p, live, LLVMConstNull(st), align) : load(g, st, p, align);
		Value was = widen(g, c->dtype, old);
		DType wide = dtype_widened(c->dtype);
		if (element_type(widened) != element_type(was))
			widened = convert(g, widened, element_type(widened) == g->f32 ? DT_F32 : DT_I32, wide);
		widened = scalar_emit(g, SC_ADD, wide, was, widened, NULL);
	}
	Value raw = narrow(g, c->dtype, widened);
	if (live)
		masked_store(g, raw, p, live, align);
	else
		store(g, raw, p, align);
	if (scalar) if_end(g, &enabled);
}
