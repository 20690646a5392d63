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

void pearl_lower_contract(Compiler *c, const TileStmt *s)
{
	Work w;
	Chunk open[32];
	uint32_t n_open = 0;
	work_of(&w, s);
	work_linear(c, &w, true, open, &n_open);
	Roles r = roles_of(&w);
	if (r.batch && !r.n) {
		depthwise(c, &w);
		return;
	}
	if (!r.n && r.m) { /* a vector from the right: the matrix is the stationary operand */
		TileAccess swap = w.in[0];
		w.in[0] = w.in[1];
		w.in[1] = swap;
	}
	for (uint32_t v = w.n_space; v-- > 0;)
		if (greatest(c, w.space[v].extent) == 1 && w.n_space > 1) {
			r = roles_of(&w);
			if (!(r.n >> v & 1) || bits(r.n) > 1) work_drop(c, &w, v);
		}
	r = roles_of(&w);
	Store *out = access_store(c, &w.out[0]);
	bool whole = w.accumulate; /* whether what is there must be kept */
	while (r.batch) open[n_open++] = chunk_open(c, &w, lowest(r.batch), 1), r = roles_of(&w);
	while (bits(r.n) > 1) open[n_open++] = chunk_open(c, &w, lowest(r.n), 1), r = roles_of(&w);
	while (bits(r.m) > 2) open[n_open++] = chunk_open(c, &w, lowest(r.m), 1), r = roles_of(&w);
	uint32_t nvar = r.n ? lowest(r.n) : 0;
	bool direct = out->space == SPACE_ACC;
	if (direct && r.n) {
		uint32_t order[1] = {nvar};
		direct = operand_of(c, &w, &w.out[0], order, 1, false, true).stride[0] == 4;
	}
	DType t = common_type(access_store(c, &w.in[0])->dtype, access_store(c, &w.in[1])->dtype);
	DType acc_type = t == DT_I8 ? DT_I32 : DT_F32;
	if (w.out[0].obj->dtype == DT_I32 && acc_type != DT_I32) {
		pearl_fail(
			c, c->kernel->span,
			"Pearl multiplies integers as i8 by i8, not %s by %s: cast both to i8 (subtract 128 from a u8 first, and add 128 times the sums of the other operand after)",
			dtype_name(access_store(c, &w.in[0])->dtype),
			dtype_name(access_store(c, &w.in[1])->dtype));
		return;
	}

	/* sizes of the chunks */
	int64_t size[TILE_SPACE];
	for (uint32_t v = 0; v < w.n_space; v++) size[v] = greatest(c, w.space[v].extent);
	if (r.n && size[nvar] > c->m->array_cols) size[nvar] = c->m->array_cols;
	int64_t most_rows = direct ? INT64_MAX : (c->m->acc_rows - c->acc_used) / 2;
	if (most_rows > 512) most_rows = 512;
	for (;;) {
		int64_t need_a = bytes_at(c, &w, 0, size, t), need_b = bytes_at(c, &w, 1, size, t),
				rows = rows_at(r.m, size);
		uint32_t pick = TILE_SPACE;
		int64_t most = 1;
		bool too_large = need_a + need_b > c->spm_budget;
		if (!too_large && rows <= most_rows) break;
		/* k is cut before rows: every row more is one more use of the weights */
		uint32_t from = rows > most_rows ? r.m : r.k;
		int64_t unit = from == r.k ? c->m->array_rows : 1;
		for (uint32_t v = 0; v < w.n_space; v++)
			if (from >> v & 1 && size[v] > most && size[v] > unit) most = size[v], pick = v;
		if (pick == TILE_SPACE) {
			unit = 1;
			for (uint32_t v = 0; v < w.n_space; v++)
				if ((r.m | r.k) >> v & 1 && size[v] > most) most = size[v], pick = v;
		}
		if (pick == TILE_SPACE) {
			pearl_fail(c, s->span,
			           "the operands of this contract need %lld bytes of the scratchpad at least",
			           (long long)(need_a + need_b));
			return;
		}
		size[pick] = round_up((size[pick] + 1) / 2, unit);
	}
	bool k_cut = bits(r.k) > 3;
	for (uint32_t v = 0; v < w.n_space; v++)
		k_cut |= (r.k >> v & 1) && size[v] < greatest(c, w.space[v].extent);

	/* loops over m, then n, then k; chunk_open may drop a variable, so ask again each time */
	const DimSym *name[TILE_SPACE];
	uint32_t n_name = w.n_space;
	for (uint32_t v = 0; v < n_name; v++) name[v] = w.space[v].sym;
	bool staged_a = false, staged_b = false;
	Roles fixed = r;
	TileAccess acc = w.out[0];
	for (int phase = 0; phase < 3; phase++) {
		uint32_t mask = phase == 0 ? fixed.m : phase == 1 ? fixed.n : fixed.k;
		if (phase == 1 && !k_cut) stage_in(c, &w, &w.in[0], t), staged_a = true;
		if (phase == 2) {
			if (!direct) {
				r = roles_of(&w);
				uint32_t order[TILE_SPACE],
					n = gather_order(r.n, order, gather_order(r.m, order, 0));
				int64_t cap[TILE_RANK];
				memset(&acc, 0, sizeof acc);
				for (uint32_t k = 0; k < n; k++) {
					cap[k] = greatest(c, w.space[order[k]].extent);
					acc.index[k] = dim_sym(c->p->dims, w.space[order[k]].sym);
				}
				if (!r.n) cap[n] = 1, acc.index[n++] = dim_const(c->p->dims, 0);
				acc.obj = temp_obj(c, SPACE_ACC, acc_type, n, cap);
			} else
				acc = w.out[0];
			if (k_cut && !(direct && whole)) {
				r = roles_of(&w);
				uint32_t order[TILE_SPACE],
					n = gather_order(r.n, order, gather_order(r.m, order, 0));
				Insn *i = insn_add(c, I_V_FILL);
				i->arg[0] = operand_of(c, &w, &acc, order, n, false, true);
				if (n == 0) i->arg[0].rank = 1, i->arg[0].dim[0] = dim_const(c->p->dims, 1);
				if (acc_type == DT_I32) {
					i->field[F_VEC_use_reg] = 1;
					i->reg[0].field = F_VEC_reg;
					i->reg[0].value = dim_const(c->p->dims, 0);
					i->n_reg = 1;
				}
			}
			if (!k_cut) stage_in(c, &w, &w.in[1], t), staged_b = true;
		}
		Work before = w; /* loops opened here that must close before the drain: those of k */
		(void)before;
		uint32_t mark = n_open;
		for (uint32_t k = 0; k < n_name; k++) {
			if (!(mask >> k & 1)) continue;
			for (uint32_t v = 0; v < w.n_space; v++)
				if (w.space[v].sym == name[k] && size[k] < greatest(c, w.space[v].extent)) {
					open[n_open++] = chunk_open(c, &w, v, size[k]);
					break;
				}
		}
		if (phase < 2) continue;
		Work outside = before;
		for (r = roles_of(&w); bits(r.k) > 3; r = roles_of(&w))
			open[n_open++] = chunk_open(c, &w, lowest(r.k), 1);
		if (!staged_a) stage_in(c, &w, &w.in[0], t);
		if (!staged_b) stage_in(c, &w, &w.in[1], t);
		gemm(c, &w, &acc, k_cut || (direct && whole));
		while (n_open > mark) chunk_close(c, open[--n_open]);
		w = outside;
	}
	if (!direct) {
		r = roles_of(&w);
		uint32_t order[TILE_SPACE], n = gather_order(r.n, order, gather_order(r.m, order, 0));
		Operand to = operand_of(c, &w, &w.out[0], order, n, whole, true),
				from = operand_of(c, &w, &acc, order, n, true, false);
		if (n == 0) to.rank = from.rank = 1, to.dim[0] = from.dim[0] = dim_const(c->p->dims, 1);
		bool drain =
			acc_type == DT_F32 && n == 2 && r.n && out->space == SPACE_SPM && out->dtype != DT_I32;
		Insn *i = insn_add(c, drain ? I_D_DRAIN : whole ? I_V_BIN : I_V_UN);
		i->arg[0] = to;
		i->arg[1] = from;
		if (drain) {
			i->field[F_DRAIN_act] = VF_COPY;
			float one = 1;
			uint32_t u;
			memcpy(&u, &one, 4);
			i->field[F_DRAIN_scale] = u;
			if (whole) i->arg[3] = to, i->arg[3].writes = false;
			i->arg[0].reads = false;
		} else {
			i->field[F_VEC_func] = whole ? VF_ADD : VF_COPY;
			if (whole) i->arg[2] = to, i->arg[2].writes = false;
			i->arg[0].reads = false;
		}
	}
	while (n_open) chunk_close(c, open[--n_open]);
}
