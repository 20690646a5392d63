/* contract: sums of products. The fast way finds a variable along which the result and one operand
 * are contiguous (columns) and one along which the other operand moves (rows), stages operands that
 * do not lie so, and calls the micro-kernel for each tile of rows x columns; all other variables of
 * the result are loops around it. What has no such shape is done by the general way, element by
 * element or vector by vector of the result. */
#include "codegen/cpu/emit.h"
#include <string.h>

/* --- the general way --- */

typedef struct General {
	const TileStmt *s;
	TileVar var[1 + TILE_SPACE]; /* the vector variable, if any, then those summed over */
	uint32_t n_var, first_k;
	bool integer;
	Cursor in[2], out;
} General;

static bool is_integer(Gen *g, const TileAccess *a)
{
	DType t = home_of(g, a->obj)->dtype;
	bool scaled = a->obj->kind != TB_PLACE && a->obj->enc.kind == ENC_I4;
	return !scaled && dtype_widened(t) != DT_F32;
}

static Value as_type(Gen *g, Value v, bool integer)
{
	Type t = element_type(v);
	return convert(g, v,
	               t == g->f32  ? DT_F32
	               : t == g->i1 ? DT_BOOL
	                            : DT_I32,
	               integer ? DT_I32 : DT_F32);
}

static Value general_sum(Gen *g, General *c, uint32_t k, const Cursor *in, Value iv, uint32_t lanes,
                         Value mask, Value acc)
{
	if (k == c->n_var) {
		Value a = as_type(g, cursor_load(g, &in[0], 0, iv, lanes, mask), c->integer);
		Value b = as_type(g, cursor_load(g, &in[1], 0, iv, lanes, mask), c->integer);
		return c->integer ? iadd(g, acc, LLVMBuildMul(g->build, a, b, "")) : fmadd(g, a, b, acc);
	}
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), index_value(g, c->var[k].extent), const_i64(g, 1));
	index_bind(g, c->var[k].sym, l.iv, 0);
	Value carried = loop_carry(g, &l, acc);
	Cursor moved[2] = {in[0], in[1]};
	for (int i = 0; i < 2; i++) cursor_move(g, &moved[i], k, l.iv);
	l.next[0] = general_sum(g, c, k + 1, moved, iv, lanes, mask, carried);
	loop_end(g, &l);
	return l.out[0];
}

static void general_vector(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask)
{
	General *c = ctx;
	if (c->first_k) index_bind(g, c->var[0].sym, iv, 0);
	Value acc = c->integer ? const_i32(g, 0, lanes) : const_f32(g, 0, lanes);
	if (c->s->accumulate)
		acc =
			as_type(g, cursor_load(g, &c->out, 0, c->first_k ? iv : NULL, lanes, mask), c->integer);
	acc = general_sum(g, c, c->first_k, c->in, c->first_k ? iv : NULL, lanes, mask, acc);
	cursor_store(g, &c->out, 0, c->first_k ? iv : NULL, lanes, mask, acc, false);
}

static void general_body(Gen *g, void *ctx)
{
	General *c = ctx;
	bool vectors = c->first_k != 0;
	for (int i = 0; i < 2; i++) {
		c->in[i] = cursor_open(g, &c->s->in[i], c->var, c->n_var);
		vectors = vectors && cursor_vectorizes(&c->in[i], 0);
	}
	c->out = cursor_open(g, &c->s->out[0], c->var, c->n_var);
	vectors = vectors && cursor_step(&c->out, 0) == 1;
	if (!c->first_k) {
		general_vector(g, c, const_i64(g, 0), 1, NULL);
		return;
	}
	vector_loop(g, index_value(g, c->var[0].extent), vectors ? g->machine->lanes : 1,
	            vectors && g->machine->masks, general_vector, c);
}

/* --- the fast way: finding the shape --- */

typedef struct Plan {
	const TileStmt *s;
	TileAccess in[2]; /* 0: splatted (or contiguous too), 1: contiguous along the columns */
	bool moves[2][TILE_SPACE]; /* operand depends on variable */
	bool summed[TILE_SPACE];
	uint32_t column, row; /* variable numbers; row == n_space: none */
	uint32_t k[TILE_SPACE], n_k;
	bool integer;
	MacDot dot;
	bool packed;    /* in[1] is read as panels */
	uint32_t width; /* columns of a tile */
	MacShape shape;
	const TileStmt *then;
	uint32_t then_in;
	bool then_swapped;
} Plan;

static bool depends(const TileAccess *a, const DimSym *s)
{
	for (uint32_t d = 0; d < a->obj->rank; d++)
		if (a->index[d] && dim_mentions(a->index[d], s)) return true;
	return a->rows && depends(a->rows, s);
}

static int64_t most(Gen *g, Dim extent)
{
	int64_t lo, hi;
	index_range(g, extent, &lo, &hi);
	return hi;
}

static bool find_variables(Gen *g, Plan *p)
{
	const TileStmt *s = p->s;
	uint32_t n = s->n_space;
	p->column = p->row = n;
	for (uint32_t v = 0; v < n; v++) {
		for (int i = 0; i < 2; i++) p->moves[i][v] = depends(&p->in[i], s->space[v].sym);
		p->summed[v] = !depends(&s->out[0], s->space[v].sym);
		if (!p->summed[v]) continue;
		if (most(g, s->space[v].extent) == 1) /* summed once: it is 0 */
			index_bind(g, s->space[v].sym, const_i64(g, 0), 0);
		else
			p->k[p->n_k++] = v;
	}
	for (uint32_t v = 0; v < n; v++) /* the last contiguous one that an operand has */
		if (!p->summed[v] && (p->moves[0][v] || p->moves[1][v]) &&
		    access_step(g, &s->out[0], s->space[v].sym) == 1)
			p->column = v;
	if (p->column == n || p->n_k > K_RANK) return false;
	if (!p->moves[1][p->column]) { /* the operand that has the columns comes second */
		TileAccess a = p->in[0];
		p->in[0] = p->in[1];
		p->in[1] = a;
		for (uint32_t v = 0; v < n; v++) {
			bool m = p->moves[0][v];
			p->moves[0][v] = p->moves[1][v];
			p->moves[1][v] = m;
		}
	}
	int64_t best = 1;
	for (uint32_t v = 0; v < n; v++) {
		if (p->summed[v] || v == p->column) continue;
		int64_t extent = most(g, s->space[v].extent);
		/* rows that leave the panel where it is come first */
		int64_t score = extent > 4096 ? 4096 : extent;
		if (p->moves[0][v] && !p->moves[1][v]) score *= 8192;
		if (score > best) {
			best = score;
			p->row = v;
		}
	}
	return true;
}

/* Panels: [K, N] = the last two dimensions, columns only in N with step 1, k only in K and outside. */
static bool reads_panels(Gen *g, const Plan *p, uint32_t group, uint32_t width)
{
	const TileAccess *a = &p->in[1];
	const TileObj *o = a->obj;
	if (o->kind == TB_PLACE || o->enc.kind != ENC_PACK || o->enc.kg != group || o->enc.nb % width ||
	    a->has_else || a->rows)
		return false;
	const TileVar *space = p->s->space;
	uint32_t n = p->s->n_space;
	Dim coef[TILE_SPACE], rest;
	int64_t c;
	if (!index_split(g, a->index[o->rank - 1], space, n, coef, &rest)) return false;
	for (uint32_t v = 0; v < n; v++)
		if (!index_const(coef[v], &c) || c != (v == p->column)) return false;
	if (!index_multiple(g, rest, o->enc.nb)) return false;
	if (!index_split(g, a->index[o->rank - 2], space, n, coef, &rest) ||
	    !index_multiple(g, rest, group))
		return false;
	for (uint32_t v = 0; v < n; v++) {
		if (!index_const(coef[v], &c)) return false;
		bool last = p->n_k && v == p->k[p->n_k - 1];
		if (c && !p->summed[v]) return false;
		if (group > 1 && (last ? c != 1 : c % group != 0)) return false;
	}
	for (uint32_t d = 0; d + 2 < o->rank; d++)
		if (!index_split(g, a->index[d], space, n, coef, &rest)) return false;
	return true;
}

static void choose_dot(Gen *g, Plan *p)
{
	DType a = home_of(g, p->in[0].obj)->dtype, b = home_of(g, p->in[1].obj)->dtype;
	const Machine *m = g->machine;
	if (p->moves[0][p->column] || !p->n_k) return;
	MacDot dot =
		m->bf16 && a == DT_BF16 && b == DT_BF16 ? DOT_BF16
		: m->vnni && a == DT_I8 && b == DT_I8   ? DOT_I8
		: m->vnni && a == DT_U8 && b == DT_I8   ? DOT_U8
		: dtype_is_float(a) && b == DT_I4 && (p->row == p->s->n_space || !p->moves[1][p->row])
			? DOT_I4
			: DOT_NONE;
	if (dot != DOT_NONE && reads_panels(g, p, mac_group(dot), m->lanes)) p->dot = dot;
}

/* --- operands --- */

static bool lies_well(Gen *g, const Plan *p, int op)
{
	const TileAccess *a = &p->in[op];
	if (!access_linear(g, a, p->s->space, p->s->n_space) || !access_proved(g, a)) return false;
	int64_t step = access_step(g, a, p->s->space[p->column].sym);
	if (p->moves[op][p->column] && step != 1) return false;
	if (op == 0 && p->dot != DOT_NONE)
		return access_step(g, a, p->s->space[p->k[p->n_k - 1]].sym) == 1;
	return true;
}

/* Copies operand op over the variables it has among those given to scratch, the columns (or the
 * innermost k) contiguous. */
static bool stage(Gen *g, Plan *p, int op, const bool *also, int64_t limit)
{
	TileVar vars[TILE_SPACE];
	uint32_t n = 0;
	const TileStmt *s = p->s;
	for (uint32_t v = 0; v < s->n_space; v++)
		if (p->moves[op][v] && also[v] && !p->summed[v] && v != p->column) vars[n++] = s->space[v];
	for (uint32_t i = 0; i < p->n_k; i++)
		if (p->moves[op][p->k[i]]) vars[n++] = s->space[p->k[i]];
	if (p->moves[op][p->column]) vars[n++] = s->space[p->column];
	DType t = home_of(g, p->in[op].obj)->dtype;
	bool keep = t == DT_F32 || t == DT_I8 || t == DT_U8 || t == DT_I32 ||
	            (t == DT_BF16 && p->dot == DOT_BF16);
	if (!keep || !is_integer(g, &p->in[op]))
		if (!(t == DT_BF16 && p->dot == DOT_BF16)) t = is_integer(g, &p->in[op]) ? DT_I32 : DT_F32;
	TileAccess *copy = t == DT_F32 ? lower_stage_int4(g, &p->in[op], vars, n, limit) : NULL;
	if (!copy) copy = lower_stage(g, &p->in[op], vars, n, t, limit);
	if (!copy) return false;
	p->in[op] = *copy;
	return true;
}

typedef struct Strides {
	Value base, row, column, k[K_RANK];
} Strides;

static Strides plain_strides(Gen *g, const Plan *p, const TileAccess *a)
{
	const TileStmt *s = p->s;
	Cursor c = cursor_open(g, a, s->space, s->n_space);
	/* loops around have bound their variables: take them as moved already */
	Strides r = {.base = c.base,
	             .row = p->row < s->n_space ? c.stride[p->row] : const_i64(g, 0),
	             .column = c.stride[p->column]};
	for (uint32_t i = 0; i < p->n_k; i++) r.k[i] = c.stride[p->k[i]];
	for (uint32_t v = 0; v < s->n_space; v++)
		if (!p->summed[v] && v != p->row && v != p->column)
			r.base = ptr_add(g, r.base, imul(g, g->sym[s->space[v].sym->id], c.stride[v]));
	return r;
}

static Strides panel_strides(Gen *g, const Plan *p)
{
	const TileStmt *s = p->s;
	const TileAccess *a = &p->in[1];
	const TileObj *o = a->obj;
	Home *h = home_of(g, o);
	int64_t row = o->enc.nb * (int64_t)dtype_bits(o->dtype) / 8;
	Dim coef[TILE_SPACE], rest;
	Strides r = {.row = const_i64(g, 0), .column = h->stride[o->rank - 1]};
	for (uint32_t i = 0; i < p->n_k; i++) r.k[i] = const_i64(g, 0);
	index_split(g, a->index[o->rank - 1], s->space, s->n_space, coef, &rest);
	Value panel = LLVMBuildUDiv(g->build, index_value(g, rest), const_i64(g, o->enc.nb), "");
	r.base = ptr_add(g, h->base, imul(g, panel, h->stride[o->rank - 1]));
	for (uint32_t d = 0; d + 1 < o->rank; d++) {
		index_split(g, a->index[d], s->space, s->n_space, coef, &rest);
		Value step =
			d + 2 == o->rank ? const_i64(g, row) : h->stride[d]; /* of one k: whole groups only */
		r.base = ptr_add(g, r.base, imul(g, index_value(g, rest), step));
		for (uint32_t v = 0; v < s->n_space; v++) {
			Value by = imul(g, index_value(g, coef[v]), step);
			if (p->summed[v]) {
				for (uint32_t i = 0; i < p->n_k; i++)
					if (p->k[i] == v) r.k[i] = iadd(g, r.k[i], by);
			} else if (v == p->row)
				r.row = iadd(g, r.row, by);
			else if (v != p->column)
				r.base = ptr_add(g, r.base, imul(g, g->sym[s->space[v].sym->id], by));
		}
	}
	return r;
}

/* Merges k variables that lie one after the other in both operands. */
static uint32_t merge_k(Gen *g, Strides *a, Strides *b, Value *extent, uint32_t n)
{
	(void)g;
	for (uint32_t i = 0; i + 1 < n;) {
		int64_t oa, ob, ia, ib, e, f;
		if (value_is_const(a->k[i], &oa) && value_is_const(b->k[i], &ob) &&
		    value_is_const(a->k[i + 1], &ia) && value_is_const(b->k[i + 1], &ib) &&
		    value_is_const(extent[i + 1], &e) && oa == ia * e && ob == ib * e &&
		    value_is_const(extent[i], &f)) {
			extent[i] = const_i64(g, e * f);
			for (uint32_t j = i; j + 1 < n; j++) {
				a->k[j] = a->k[j + 1];
				b->k[j] = b->k[j + 1];
				if (j > i) extent[j] = extent[j + 1];
			}
			n--;
			i = 0;
		} else
			i++;
	}
	return n;
}

/* --- the epilogue --- */

static bool fusable_region(const Region *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (r->node[i].kind == RN_DIM) return false;
	return region_cost(r) <= 12;
}

typedef struct Uses {
	const TileObj *obj;
	const TileStmt *a, *b;
	bool other;
} Uses;
static void find_use(void *ctx, const TileStmt *s, const TileAccess *a, bool write)
{
	Uses *u = ctx;
	(void)write;
	if (a->obj == u->obj && s != u->a && s != u->b) u->other = true;
}

/* Can `then` take the result from the registers? */
static bool find_epilogue(Gen *g, Plan *p, const TileStmt *then)
{
	const TileStmt *s = p->s;
	const TileAccess *c = &s->out[0];
	if (!then || (then->op != TILE_PUT && then->op != TILE_MAP) || c->obj->kind != TB_PLACE ||
	    !then->region.n_out)
		return false;
	if (!fusable_region(&then->region)) return false;
	uint32_t n_out = 0;
	for (uint32_t v = 0; v < s->n_space; v++) n_out += !p->summed[v];
	if (n_out != then->n_space || n_out > 2 || (n_out == 2) != (p->row < s->n_space)) return false;
	p->then_in = then->n_in;
	for (uint32_t i = 0; i < then->n_in; i++)
		if (then->in[i].obj == c->obj) {
			if (p->then_in != then->n_in) return false;
			p->then_in = i;
		}
	if (p->then_in == then->n_in) return false;
	/* the same element: each index a variable of the same extent */
	const TileAccess *r = &then->in[p->then_in];
	uint32_t column = then->n_space, row = then->n_space;
	if (r->rows || r->has_else) return false;
	for (uint32_t d = 0; d < c->obj->rank; d++) {
		const DimSym *x = dim_as_sym(c->index[d]), *y = dim_as_sym(r->index[d]);
		if (!x || !y) return false;
		for (uint32_t v = 0; v < then->n_space; v++) {
			if (then->space[v].sym != y) continue;
			if (x == s->space[p->column].sym && then->space[v].extent == s->space[p->column].extent)
				column = v;
			if (p->row < s->n_space && x == s->space[p->row].sym &&
			    then->space[v].extent == s->space[p->row].extent)
				row = v;
		}
	}
	if (column == then->n_space || (n_out == 2 && row == then->n_space)) return false;
	p->then_swapped = column == 0 && n_out == 2;
	for (uint32_t i = 0; i < then->n_in + then->n_out; i++) {
		const TileAccess *a = i < then->n_in ? &then->in[i] : &then->out[i - then->n_in];
		if (i == p->then_in) continue;
		if (a->obj == c->obj || !access_linear(g, a, then->space, then->n_space) ||
		    !access_proved(g, a))
			return false;
		int64_t step = access_step(g, a, then->space[column].sym);
		if (step != 1 && !(step == 0 && i < then->n_in)) return false;
		if (home_of(g, a->obj)->base == NULL) return false;
	}
	Uses u = {c->obj, s, then, false};
	block_visit(&g->kernel->body, find_use, &u);
	return !u.other;
}

/* --- tiles --- */

typedef struct Tiles {
	Plan *p;
	MacCall call;
	Strides a, b, c;
	Value k[K_RANK];
	uint32_t n_k;
	bool stage_panel; /* in[1] is copied for each tile of columns */
} Tiles;

static void move_epilogue(Gen *g, MacCall *c, const Plan *p, uint32_t v, Value by)
{
	if (!p->then) return;
	for (uint32_t i = 0; i < p->then->n_in; i++)
		if (i != p->then_in) cursor_move(g, &c->in[i], v, by);
	for (uint32_t i = 0; i < p->then->n_out; i++) cursor_move(g, &c->out[i], v, by);
}

/* All rows of one tile of columns. */
static void tile_rows(Gen *g, const Plan *p, const MacShape *shape, const MacCall *tile)
{
	uint32_t mr = mac_rows(g, shape->vectors);
	if (p->row == p->s->n_space) {
		mac_call(g, shape, const_i64(g, 1), 1, tile);
		return;
	}
	Dim extent = p->s->space[p->row].extent;
	int64_t hi = most(g, extent);
	Value rows = index_value(g, extent);
	if (hi <= mr) {
		mac_call(g, shape, rows, (uint32_t)hi, tile);
		return;
	}
	/* even pieces */
	Value pieces =
		LLVMBuildUDiv(g->build, iadd(g, rows, const_i64(g, mr - 1)), const_i64(g, mr), "");
	Value some = imax(g, pieces, const_i64(g, 1)), base = LLVMBuildUDiv(g->build, rows, some, ""),
		  longer = LLVMBuildURem(g->build, rows, some, "");
	int64_t n, pc;
	bool even = value_is_const(rows, &n) && value_is_const(pieces, &pc) && n % pc == 0;
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), pieces, const_i64(g, 1));
	Value at = loop_carry(g, &l, const_i64(g, 0)), h = base;
	if (!even) h = iadd(g, base, LLVMBuildZExt(g->build, iless(g, l.iv, longer), g->i64, ""));
	MacCall c = *tile;
	for (int op = 0; op < 2; op++) c.at[op] = ptr_add(g, c.at[op], imul(g, at, c.row[op]));
	c.result = ptr_add(g, c.result, imul(g, at, c.result_row));
	move_epilogue(g, &c, p, 0, at);
	mac_call(g, shape, h, mr, &c);
	l.next[0] = iadd(g, at, h);
	loop_end(g, &l);
}

/* The tile of so many vectors of columns from `at`; live NULL: all of them. */
static void tile_columns(Gen *g, Tiles *t, Value at, uint32_t vectors, Value live)
{
	Plan *p = t->p;
	MacCall c = t->call;
	MacShape shape = p->shape;
	shape.vectors = vectors;
	shape.masked = live != NULL;
	c.live = live;
	if (p->packed) {
		int64_t nb = p->in[1].obj->enc.nb,
				group_bytes = (int64_t)p->in[1].obj->enc.kg * dtype_bits(p->in[1].obj->dtype) / 8;
		Value panel = LLVMBuildUDiv(g->build, at, const_i64(g, nb), ""),
			  in = LLVMBuildURem(g->build, at, const_i64(g, nb), "");
		c.at[1] = ptr_add(g, ptr_add(g, c.at[1], imul(g, panel, t->b.column)),
		                  imul(g, in, const_i64(g, group_bytes)));
	} else
		c.at[1] = ptr_add(g, c.at[1], imul(g, at, t->b.column));
	c.at[0] = ptr_add(g, c.at[0], imul(g, at, t->a.column));
	c.result = ptr_add(g, c.result, imul(g, at, t->c.column));
	move_epilogue(g, &c, p, 1, at);
	tile_rows(g, p, &shape, &c);
}

/* Columns `at` to `end`, fewer than a whole tile: the narrowest tile where their number is known, else
 * one vector after the other, since columns that are not there cost as much as those that are. */
static void cover_rest(Gen *g, Tiles *t, Value at, Value end)
{
	uint32_t lanes = g->machine->lanes;
	Value rest = isub(g, end, at);
	int64_t known;
	if (value_is_const(rest, &known)) {
		if (known <= 0) return;
		uint32_t vectors = ((uint32_t)known + lanes - 1) / lanes;
		tile_columns(g, t, at, vectors, known % lanes ? rest : NULL);
		return;
	}
	Loop l;
	loop_begin(g, &l, at, end, const_i64(g, lanes));
	tile_columns(g, t, l.iv, 1, imin(g, const_i64(g, lanes), isub(g, end, l.iv)));
	loop_end(g, &l);
}

static void cover_columns(Gen *g, Tiles *t)
{
	Plan *p = t->p;
	Dim extent = p->s->space[p->column].extent;
	uint32_t vectors = p->width / g->machine->lanes;
	Value n = index_value(g, extent), width = const_i64(g, p->width), zero = const_i64(g, 0);
	int64_t hi = most(g, extent), known;
	bool is_known = value_is_const(n, &known);
	bool whole = (is_known && known % p->width == 0) || index_multiple(g, extent, p->width);
	if (hi <= (int64_t)p->width) {
		if (whole && is_known && known) {
			tile_columns(g, t, zero, vectors, NULL);
		} else if (is_known || hi < (int64_t)p->width) {
			cover_rest(g, t, zero, n);
		} else {
			If full;
			if_begin(g, &full, LLVMBuildICmp(g->build, LLVMIntEQ, n, width, ""));
			tile_columns(g, t, zero, vectors, NULL);
			if_else(g, &full);
			cover_rest(g, t, zero, n);
			if_end(g, &full);
		}
		return;
	}
	Value end = is_known ? const_i64(g, known - known % p->width)
	            : whole  ? n
	                     : imul(g, LLVMBuildUDiv(g->build, n, width, ""), width);
	Loop l;
	loop_begin(g, &l, zero, end, width);
	tile_columns(g, t, l.iv, vectors, NULL);
	loop_end(g, &l);
	if (!whole) cover_rest(g, t, end, n);
}

/* Inside the loops around: the operands' pointers and strides, then all tiles. */
static void fast_body(Gen *g, void *ctx)
{
	Plan *outer = ctx, plan = *outer, *p = &plan;
	const TileStmt *s = p->s;
	Tiles t = {.p = p};
	t.a = plain_strides(g, p, &p->in[0]);
	t.b = p->packed ? panel_strides(g, p) : plain_strides(g, p, &p->in[1]);
	t.c = plain_strides(g, p, &s->out[0]);
	for (uint32_t i = 0; i < p->n_k; i++) t.k[i] = index_value(g, s->space[p->k[i]].extent);
	t.n_k = p->n_k;
	if (p->dot == DOT_NONE) t.n_k = merge_k(g, &t.a, &t.b, t.k, p->n_k);
	MacShape *m = &p->shape;
	m->k_rank = t.n_k;
	m->integer = p->integer;
	m->dot = p->dot;
	m->vectors = p->width / g->machine->lanes;
	m->accumulate = s->accumulate;
	m->then = p->then;
	m->then_in = p->then_in;
	const Strides *st[2] = {&t.a, &t.b};
	int64_t group = mac_group(p->dot);
	for (int op = 0; op < 2; op++) {
		const Home *h = home_of(g, p->in[op].obj);
		MacOperand *o = &m->op[op];
		o->dtype = h->dtype;
		o->vector = p->moves[op][p->column];
		o->rows = p->row < s->n_space && p->moves[op][p->row];
		o->padded = h->scratch || (op == 1 && p->packed);
		t.call.at[op] = st[op]->base;
		t.call.row[op] = st[op]->row;
		for (uint32_t i = 0; i < t.n_k; i++) t.call.k_stride[op][i] = st[op]->k[i];
		o->k_step = INT64_MIN;
		int64_t step;
		if (t.n_k && value_is_const(st[op]->k[t.n_k - 1], &step))
			o->k_step = step * group;
		else if (t.n_k)
			t.call.k_stride[op][t.n_k - 1] = imul(g, st[op]->k[t.n_k - 1], const_i64(g, group));
	}
	for (uint32_t i = 0; i < t.n_k; i++) t.call.k[i] = t.k[i];
	m->k_tail = group > 1 && !index_multiple(g, s->space[p->k[p->n_k - 1]].extent, group);
	int64_t known;
	if (m->k_tail && value_is_const(t.k[t.n_k - 1], &known) && known % group == 0)
		m->k_tail = false;
	t.call.result = t.c.base;
	t.call.result_row = t.c.row;
	if (p->then) {
		TileVar pair[2] = {p->then->space[0],
		                   p->then->n_space == 2 ? p->then->space[1] : p->then->space[0]};
		if (p->then_swapped) {
			pair[0] = p->then->space[1];
			pair[1] = p->then->space[0];
		}
		TileVar *kept = NEW_ARRAY(g->arena, TileVar, 2);
		memcpy(kept, pair, sizeof pair);
		for (uint32_t i = 0; i < p->then->n_in + p->then->n_out; i++) {
			if (i == p->then_in) continue;
			Cursor *c = i < p->then->n_in ? &t.call.in[i] : &t.call.out[i - p->then->n_in];
			const TileAccess *a =
				i < p->then->n_in ? &p->then->in[i] : &p->then->out[i - p->then->n_in];
			*c = cursor_open(g, a, kept, p->then->n_space);
			if (p->then->n_space == 2) continue;
			c->stride[1] = c->stride[0]; /* there are columns only */
			c->stride[0] = const_i64(g, 0);
		}
	}
	cover_columns(g, &t);
}

static void choose_width(Gen *g, Plan *p)
{
	uint32_t lanes = g->machine->lanes;
	int64_t n, hi = most(g, p->s->space[p->column].extent);
	p->width = hi <= lanes ? lanes : 2 * lanes;
	if (index_const(p->s->space[p->column].extent, &n) && n == 3 * lanes) p->width = 3 * lanes;
	uint32_t group = mac_group(p->dot);
	if (reads_panels(g, p, group, p->width))
		p->packed = true;
	else if (reads_panels(g, p, group, lanes)) {
		p->packed = true;
		p->width = lanes;
	}
}

enum { STAGE_LIMIT = 4 << 20 };

/* False when the statement has no fast shape; nothing was emitted that matters then. */
static bool lower_fast(Gen *g, const TileStmt *s, const TileStmt *then, bool *fused)
{
	Plan p = {.s = s, .in = {s->in[0], s->in[1]}};
	DType out = home_of(g, s->out[0].obj)->dtype;
	p.integer = is_integer(g, &s->in[0]) && is_integer(g, &s->in[1]);
	if (out != (p.integer ? DT_I32 : DT_F32)) return false;
	if (s->out[0].rows || s->out[0].has_else || !access_linear(g, &s->out[0], s->space, s->n_space))
		return false;
	if (!find_variables(g, &p)) return false;
	choose_dot(g, &p);
	choose_width(g, &p);
	bool all[TILE_SPACE];
	for (uint32_t v = 0; v < s->n_space; v++) all[v] = true;
	uint64_t inside = 0; /* variables that the tiles cover */
	for (uint32_t v = 0; v < s->n_space; v++)
		if (p.summed[v] || v == p.row || v == p.column) inside |= (uint64_t)1 << v;
	for (int op = 0; op < 2; op++) {
		if (op == 1 && p.packed) continue;
		if (lies_well(g, &p, op)) continue;
		/* worth it when each element is used several times */
		int64_t uses =
			op == 1
				? (p.row < s->n_space && !p.moves[1][p.row] ? most(g, s->space[p.row].extent) : 1)
				: INT64_MAX;
		if (uses < 4) return false;
		if (!stage(g, &p, op, all, STAGE_LIMIT)) return false;
	}
	if (find_epilogue(g, &p, then)) {
		p.then = then;
		*fused = true;
	}
	nest_loops(g, s->space, s->n_space, inside, fast_body, &p);
	return true;
}

bool lower_contract(Gen *g, const TileStmt *s, const TileStmt *then)
{
	bool fused = false;
	if (lower_int4(g, s)) return false;
	if (lower_fast(g, s, then, &fused)) return fused;
	General c = {.s = s};
	c.integer = is_integer(g, &s->in[0]) && is_integer(g, &s->in[1]);
	int best = 0;
	int32_t v = -1;
	uint64_t not_around = 0;
	for (uint32_t i = 0; i < s->n_space; i++) {
		if (!depends(&s->out[0], s->space[i].sym)) {
			not_around |= (uint64_t)1 << i;
			continue;
		}
		int64_t step[3] = {access_step(g, &s->out[0], s->space[i].sym),
		                   access_step(g, &s->in[0], s->space[i].sym),
		                   access_step(g, &s->in[1], s->space[i].sym)};
		if (step[0] != 1 || (step[1] != 0 && step[1] != 1) || (step[2] != 0 && step[2] != 1))
			continue;
		if (3 > best) {
			best = 3;
			v = (int32_t)i;
		}
	}
	if (v >= 0) {
		c.var[c.n_var++] = s->space[v];
		c.first_k = 1;
		not_around |= (uint64_t)1 << v;
	}
	for (uint32_t i = 0; i < s->n_space; i++)
		if (!depends(&s->out[0], s->space[i].sym)) c.var[c.n_var++] = s->space[i];
	nest_loops(g, s->space, s->n_space, not_around, general_body, &c);
	return false;
}
