/* contract.c: sums of products. Variables fall into batch, m, n and k by who mentions them; the
 * matrix unit takes two m, three k and one n, the rest are loops. Operands come to SPM in chunks
 * that fit; the result is accumulated in ACC. Without n and with batch (depthwise) the vector unit
 * does it. */
#include "codegen/pearl/internal.h"
#include <string.h>

typedef struct Roles {
	uint32_t batch, m, n, k;
} Roles;

static Roles roles_of(const Work *w)
{
	uint32_t out = access_mask(w, &w->out[0]), a = access_mask(w, &w->in[0]),
			 b = access_mask(w, &w->in[1]);
	return (Roles){out & a & b, out & a & ~b, out & b & ~a, (a | b) & ~out};
}

static uint32_t bits(uint32_t m)
{
	return (uint32_t)__builtin_popcount(m);
}
static uint32_t lowest(uint32_t m)
{
	return (uint32_t)__builtin_ctz(m);
}

static DType common_type(DType a, DType b)
{
	if (a == b && (dtype_is_float(a) || a == DT_I8)) return a;
	if (dtype_is_float(a) && !dtype_is_float(b)) return a;
	if (dtype_is_float(b) && !dtype_is_float(a)) return b;
	return DT_F32;
}

static bool all_constant(const Work *w, uint32_t mask)
{
	for (uint32_t v = 0; v < w->n_space; v++)
		if (mask >> v & 1 && !dim_is_const(w->space[v].extent, NULL)) return false;
	return true;
}

/* out (+)= a * b elementwise with loops over k: the vector unit. */
static void depthwise(Compiler *c, Work *w)
{
	Chunk open[16];
	uint32_t n = 0;
	Roles r = roles_of(w);
	/* keep rank and size in bounds over the kept variables */
	while (bits(r.batch | r.m) > PEARL_RANK)
		open[n++] = chunk_open(c, w, lowest(r.batch | r.m), 1), r = roles_of(w);
	for (uint32_t t = 0; t < 4; t++) {
		int64_t need = stage_bytes(c, w, &w->in[0], NUM_DTYPES) +
		               stage_bytes(c, w, &w->in[1], NUM_DTYPES),
				most = 1;
		uint32_t widest = 0;
		r = roles_of(w);
		for (uint32_t v = 0; v < w->n_space; v++)
			if ((r.batch | r.m) >> v & 1 && greatest(c, w->space[v].extent) > most)
				most = greatest(c, w->space[v].extent), widest = v;
		if (need <= c->spm_budget || most == 1) break;
		int64_t size = most * c->spm_budget / need;
		open[n++] = chunk_open(c, w, widest, size < 1 ? 1 : size);
	}
	stage_in(c, w, &w->in[0], NUM_DTYPES);
	stage_in(c, w, &w->in[1], NUM_DTYPES);
	r = roles_of(w);
	uint32_t order[TILE_SPACE], kept = 0;
	for (uint32_t v = 0; v < w->n_space; v++)
		if (!(r.k >> v & 1)) order[kept++] = v;
	if (!w->accumulate) {
		Insn *i = insn_add(c, I_V_FILL);
		i->arg[0] = operand_of(c, w, &w->out[0], order, kept, false, true);
		if (access_store(c, &w->out[0])->dtype == DT_I32) {
			i->field[F_VEC_use_reg] = 1;
			i->reg[i->n_reg].field = F_VEC_reg;
			i->reg[i->n_reg++].value = dim_const(c->p->dims, 0);
		}
	}
	for (uint32_t v = w->n_space; v-- > 0;)
		if (greatest(c, w->space[v].extent) == 1 && r.k >> v & 1)
			work_drop(c, w, v), r = roles_of(w);
	if (c->shallow && bits(r.k) > 1 && all_constant(w, r.k))
		open[n++] = loop_over_all(c, w, r.k), r = roles_of(w);
	while (r.k) open[n++] = chunk_open(c, w, lowest(r.k), 1), r = roles_of(w);
	for (uint32_t v = 0; v < w->n_space; v++) order[v] = v;
	Insn *i = insn_add(c, I_V_TRI);
	i->field[F_VEC_func] = VF_FMA;
	i->arg[0] = operand_of(c, w, &w->out[0], order, w->n_space, false, true);
	i->arg[1] = operand_of(c, w, &w->in[0], order, w->n_space, true, false);
	i->arg[2] = operand_of(c, w, &w->in[1], order, w->n_space, true, false);
	i->arg[3] = operand_of(c, w, &w->out[0], order, w->n_space, true, false);
	while (n) chunk_close(c, open[--n]);
}

/* Bytes that in[which] takes in SPM when the extents are at most `size`. */
static int64_t bytes_at(Compiler *c, const Work *w, uint32_t which, const int64_t *size, DType as)
{
	Work trial = *w;
	for (uint32_t v = 0; v < w->n_space; v++)
		trial.space[v].extent = dim_const(c->p->dims, size[v]);
	return stage_bytes(c, &trial, &trial.in[which], as);
}

static int64_t rows_at(uint32_t m, const int64_t *size)
{
	int64_t rows = 1;
	for (uint32_t v = 0; v < TILE_SPACE; v++)
		if (m >> v & 1) rows *= size[v];
	return rows;
}

/* Operand with leading dims of 1 up to `rank` where `got` variables fill the last ones. */
static void pad_front(Compiler *c, Operand *o, uint32_t at, uint32_t by)
{
	for (uint32_t v = o->rank; v-- > at;) {
		o->dim[v + by] = o->dim[v];
		o->stride[v + by] = o->stride[v];
		o->wide[v + by] = o->wide[v];
	}
	for (uint32_t v = at; v < at + by; v++) {
		o->dim[v] = dim_const(c->p->dims, 1);
		o->stride[v] = 0;
		o->wide[v] = NULL;
	}
	o->rank += by;
}

static uint32_t gather_order(uint32_t mask, uint32_t *order, uint32_t n)
{
	for (uint32_t v = 0; v < TILE_SPACE; v++)
		if (mask >> v & 1) order[n++] = v;
	return n;
}

static void gemm(Compiler *c, const Work *w, const TileAccess *acc, bool accumulate)
{
	Roles r = roles_of(w);
	uint32_t order[TILE_SPACE], nm = bits(r.m), nk = bits(r.k), n;
	Insn *i = insn_add(c, I_M_GEMM);
	n = gather_order(r.k, order, gather_order(r.m, order, 0));
	i->arg[1] = operand_of(c, w, &w->in[0], order, n, true, false);
	pad_front(c, &i->arg[1], nm, 3 - nk);
	pad_front(c, &i->arg[1], 0, 2 - nm);
	n = gather_order(r.n, order, gather_order(r.k, order, 0));
	i->arg[2] = operand_of(c, w, &w->in[1], order, n, true, false);
	pad_front(c, &i->arg[2], 0, 3 - nk);
	if (!r.n) i->arg[2].dim[3] = dim_const(c->p->dims, 1), i->arg[2].rank = 4;
	/* columns that lie far apart are loaded transposed */
	i->field[F_MUL_trans] = r.n && i->arg[2].stride[3] != dtype_bytes(i->arg[2].dtype, 1);
	n = gather_order(r.n, order, gather_order(r.m, order, 0));
	i->arg[0] = operand_of(c, w, acc, order, n, accumulate, true);
	pad_front(c, &i->arg[0], 0, 2 - nm);
	if (!r.n) i->arg[0].dim[2] = dim_const(c->p->dims, 1), i->arg[0].rank = 3;
	i->field[F_MUL_accumulate] = accumulate;
}

/* A product on its way to instructions: loops are opened around it until what is left fits the
 * matrix unit and the scratchpad. */
typedef struct Product {
	Compiler *c;
	Span span;
	Work w;         /* what is left: the variables of opened loops are none of it */
	Chunk open[32]; /* opened loops, the innermost last */
	uint32_t n_open, n_names;
	const DimSym *name[TILE_SPACE]; /* variables before any was cut: opening a loop may drop one, */
	int64_t size[TILE_SPACE]; /* and then their numbers change; what an instruction takes of each */
	DType type, sum;          /* of the operands in SPM, of the accumulators */
	bool whole;               /* what the result holds already is added to */
	bool direct;              /* the result lies in ACC as the matrix unit writes it */
	bool k_cut;               /* several instructions make a sum */
	TileAccess acc;           /* where they make it */
} Product;

static void cut_open(Product *p, uint32_t v, int64_t size)
{
	p->open[p->n_open++] = chunk_open(p->c, &p->w, v, size);
}

static void cuts_close(Product *p, uint32_t down_to)
{
	while (p->n_open > down_to) chunk_close(p->c, p->open[--p->n_open]);
}

/* The variables of the result, rows before columns. */
static uint32_t result_order(const Product *p, uint32_t *order)
{
	Roles r = roles_of(&p->w);
	return gather_order(r.n, order, gather_order(r.m, order, 0));
}

/* Leaves at most two m and one n, and no variable of one turn that is not needed. */
static void reduce_roles(Product *p)
{
	Work *w = &p->w;
	Roles r = roles_of(w);
	if (!r.n && r.m) { /* a vector from the right: the matrix is the stationary operand */
		TileAccess swap = w->in[0];
		w->in[0] = w->in[1];
		w->in[1] = swap;
	}
	for (uint32_t v = w->n_space; v-- > 0;)
		if (greatest(p->c, w->space[v].extent) == 1 && w->n_space > 1) {
			r = roles_of(w);
			if (!(r.n >> v & 1) || bits(r.n) > 1) work_drop(p->c, w, v);
		}
	while ((r = roles_of(w)).batch) cut_open(p, lowest(r.batch), 1);
	while (bits((r = roles_of(w)).n) > 1) cut_open(p, lowest(r.n), 1);
	while (bits((r = roles_of(w)).m) > 2) cut_open(p, lowest(r.m), 1);
}

static bool result_direct(Product *p)
{
	uint32_t n = roles_of(&p->w).n;
	if (access_store(p->c, &p->w.out[0])->space != SPACE_ACC) return false;
	if (!n) return true;
	uint32_t order[1] = {lowest(n)};
	return operand_of(p->c, &p->w, &p->w.out[0], order, 1, false, true).stride[0] == 4;
}

static bool choose_types(Product *p)
{
	DType a = access_store(p->c, &p->w.in[0])->dtype, b = access_store(p->c, &p->w.in[1])->dtype;
	p->type = common_type(a, b);
	p->sum = p->type == DT_I8 ? DT_I32 : DT_F32;
	if (p->w.out[0].obj->dtype != DT_I32 || p->sum == DT_I32) return true;
	pearl_fail(
		p->c, p->c->kernel->span,
		"Pearl multiplies integers of 8 bits at most, not %s by %s: cast both to i8 or u8, or to a float",
		dtype_name(a), dtype_name(b));
	return false;
}

/* The variable among `from` of most elements, more than `unit`; TILE_SPACE: none. */
static uint32_t longest(const Product *p, uint32_t from, int64_t unit)
{
	uint32_t pick = TILE_SPACE;
	int64_t most = 1;
	for (uint32_t v = 0; v < p->w.n_space; v++)
		if (from >> v & 1 && p->size[v] > most && p->size[v] > unit) most = p->size[v], pick = v;
	return pick;
}

/* Halves sizes until the operands fit SPM and the rows fit half of ACC. */
static bool choose_sizes(Product *p)
{
	Compiler *c = p->c;
	Roles r = roles_of(&p->w);
	for (uint32_t v = 0; v < p->w.n_space; v++) p->size[v] = greatest(c, p->w.space[v].extent);
	if (r.n && p->size[lowest(r.n)] > c->m->array_cols) p->size[lowest(r.n)] = c->m->array_cols;
	int64_t most_rows = p->direct ? INT64_MAX : (c->m->acc_rows - c->acc_used) / 2;
	if (most_rows > 512) most_rows = 512;
	for (;;) {
		int64_t need = bytes_at(c, &p->w, 0, p->size, p->type) +
		               bytes_at(c, &p->w, 1, p->size, p->type),
				rows = rows_at(r.m, p->size);
		if (need <= c->spm_budget && rows <= most_rows) break;
		/* k is cut before rows: every row more is one more use of the weights */
		uint32_t from = rows > most_rows ? r.m : r.k;
		int64_t unit = from == r.k ? c->m->array_rows : 1;
		uint32_t pick = longest(p, from, unit);
		if (pick == TILE_SPACE) pick = longest(p, r.m | r.k, unit = 1);
		if (pick == TILE_SPACE) {
			pearl_fail(c, p->span,
			           "the operands of this contract need %lld bytes of the scratchpad at least",
			           (long long)need);
			return false;
		}
		p->size[pick] = round_up((p->size[pick] + 1) / 2, unit);
	}
	p->k_cut = bits(r.k) > 3;
	for (uint32_t v = 0; v < p->w.n_space; v++)
		p->k_cut |= (r.k >> v & 1) && p->size[v] < greatest(c, p->w.space[v].extent);
	return true;
}

/* Loops over the variables of `mask` (by their numbers before any was cut) that do not fit whole. */
static void open_cut(Product *p, uint32_t mask)
{
	for (uint32_t k = 0; k < p->n_names; k++) {
		if (!(mask >> k & 1)) continue;
		for (uint32_t v = 0; v < p->w.n_space; v++)
			if (p->w.space[v].sym == p->name[k] &&
			    p->size[k] < greatest(p->c, p->w.space[v].extent)) {
				cut_open(p, v, p->size[k]);
				break;
			}
	}
}

static void open_accumulator(Product *p)
{
	Compiler *c = p->c;
	int64_t cap[TILE_RANK];
	uint32_t order[TILE_SPACE], n = result_order(p, order);
	if (p->direct) {
		p->acc = p->w.out[0];
		return;
	}
	memset(&p->acc, 0, sizeof p->acc);
	for (uint32_t k = 0; k < n; k++) {
		cap[k] = greatest(c, p->w.space[order[k]].extent);
		p->acc.index[k] = dim_sym(c->p->dims, p->w.space[order[k]].sym);
	}
	if (!roles_of(&p->w).n) cap[n] = 1, p->acc.index[n++] = dim_const(c->p->dims, 0);
	p->acc.obj = temp_obj(c, SPACE_ACC, p->sum, n, cap);
}

static void fill_zero(Product *p)
{
	uint32_t order[TILE_SPACE], n = result_order(p, order);
	Insn *i = insn_add(p->c, I_V_FILL);
	i->arg[0] = operand_of(p->c, &p->w, &p->acc, order, n, false, true);
	if (n == 0) i->arg[0].rank = 1, i->arg[0].dim[0] = dim_const(p->c->p->dims, 1);
	if (p->sum != DT_I32) return;
	i->field[F_VEC_use_reg] = 1;
	i->reg[0].field = F_VEC_reg;
	i->reg[0].value = dim_const(p->c->p->dims, 0);
	i->n_reg = 1;
}

/* The sums over k, whatever number of instructions they take. */
static void sum_over_k(Product *p, uint32_t mask)
{
	bool adds = p->direct && p->whole;
	if (p->k_cut && !adds) fill_zero(p);
	if (!p->k_cut) {
		stage_in(p->c, &p->w, &p->w.in[1], p->type);
		gemm(p->c, &p->w, &p->acc, adds);
		return;
	}
	Work outside = p->w;
	uint32_t mark = p->n_open;
	open_cut(p, mask);
	for (Roles r; bits((r = roles_of(&p->w)).k) > 3;) cut_open(p, lowest(r.k), 1);
	stage_in(p->c, &p->w, &p->w.in[0], p->type);
	stage_in(p->c, &p->w, &p->w.in[1], p->type);
	gemm(p->c, &p->w, &p->acc, true);
	cuts_close(p, mark);
	p->w = outside;
}

/* From the accumulators to where the result lies: the drain unit where it can, else the vector unit. */
static void put_result(Product *p)
{
	Compiler *c = p->c;
	const Store *out = access_store(c, &p->w.out[0]);
	uint32_t order[TILE_SPACE], n = result_order(p, order);
	Operand to = operand_of(c, &p->w, &p->w.out[0], order, n, p->whole, true),
			from = operand_of(c, &p->w, &p->acc, order, n, true, false);
	if (n == 0) to.rank = from.rank = 1, to.dim[0] = from.dim[0] = dim_const(c->p->dims, 1);
	bool drain = p->sum == DT_F32 && n == 2 && roles_of(&p->w).n && out->space == SPACE_SPM &&
	             out->dtype != DT_I32;
	Insn *i = insn_add(c, drain ? I_D_DRAIN : p->whole ? I_V_BIN : I_V_UN);
	uint32_t added = drain ? 3 : 2;
	i->arg[0] = to;
	i->arg[0].reads = false;
	i->arg[1] = from;
	if (p->whole) i->arg[added] = to, i->arg[added].writes = false;
	if (!drain) {
		i->field[F_VEC_func] = p->whole ? VF_ADD : VF_COPY;
		return;
	}
	i->field[F_DRAIN_act] = VF_COPY;
	i->field[F_DRAIN_scale] = float_bits(1);
}

void pearl_lower_contract(Compiler *c, const TileStmt *s)
{
	Product p = {.c = c, .span = s->span};
	work_of(&p.w, s);
	work_linear(c, &p.w, true, p.open, &p.n_open);
	Roles r = roles_of(&p.w);
	if (r.batch && !r.n) {
		depthwise(c, &p.w);
		cuts_close(&p, 0);
		return;
	}
	reduce_roles(&p);
	p.whole = p.w.accumulate;
	p.direct = result_direct(&p);
	if (!choose_types(&p) || !choose_sizes(&p)) return;
	r = roles_of(&p.w);
	for (; p.n_names < p.w.n_space; p.n_names++) p.name[p.n_names] = p.w.space[p.n_names].sym;
	open_cut(&p, r.m);
	if (!p.k_cut) stage_in(c, &p.w, &p.w.in[0], p.type);
	open_cut(&p, r.n);
	open_accumulator(&p);
	sum_over_k(&p, r.k);
	if (!p.direct) put_result(&p);
	cuts_close(&p, 0);
}
