/* The micro-kernel: a loop over k that keeps rows x vectors accumulators in registers. One function
 * for each (shape, number of rows), made when first called and shared by the kernels of a program.
 * A runtime number of rows is a switch between them, so that it costs nothing inside.
 *
 * What matters for speed: pointers to every third row are carried, the two between are reached by
 * the row stride as index; the accumulators, the vectors of the panel and one splat fit the
 * registers; nothing is unrolled along k. */
#include "codegen/cpu/emit.h"
#include <string.h>

enum { MAX_ROWS = 14, MAX_VECTORS = 4, ROW_GROUP = 3 };
struct MacKernel {
	MacShape shape;
	uint32_t rows;
	Value function;
};

uint32_t mac_rows(const Gen *g, uint32_t vectors)
{
	if (g->machine->registers == 32) return vectors <= 2 ? 14 : vectors == 3 ? 9 : 6;
	return vectors <= 2 ? 6 : vectors == 3 ? 4 : 3;
}

uint32_t mac_group(MacDot dot)
{
	return dot == DOT_NONE ? 1 : dot == DOT_BF16 || dot == DOT_I4 ? 2 : 4;
}

/* --- the state of one function --- */

typedef struct Mac {
	Gen *g;
	const MacShape *shape;
	uint32_t rows, lanes;
	MacCall in;              /* its parameters */
	Value mask[MAX_VECTORS]; /* NULL: all lanes */
	Value acc[MAX_ROWS * MAX_VECTORS];
	Value sum[MAX_VECTORS]; /* DOT_I8: sums of the columns */
} Mac;
typedef struct RowPointers {
	Value at[(MAX_ROWS + ROW_GROUP - 1) / ROW_GROUP];
	uint32_t n;
} RowPointers;

static bool sums_columns(const MacShape *s)
{
	return s->dot == DOT_I8 && !s->columns;
}

static RowPointers row_pointers(Mac *m, uint32_t op, Value at)
{
	RowPointers p = {.n = 1};
	p.at[0] = at;
	if (!m->shape->op[op].rows) return p;
	for (uint32_t r = ROW_GROUP; r < m->rows; r += ROW_GROUP)
		p.at[p.n++] = ptr_add(m->g, at, imul(m->g, m->in.row[op], const_i64(m->g, r)));
	return p;
}

static Value row_pointer(Mac *m, uint32_t op, const RowPointers *p, uint32_t r)
{
	if (!m->shape->op[op].rows || r == 0) return p->at[0];
	Value at = p->at[r / ROW_GROUP];
	if (r % ROW_GROUP == 0) return at;
	return ptr_add(m->g, at, imul(m->g, m->in.row[op], const_i64(m->g, r % ROW_GROUP)));
}

/* Power of two that is left out of the products: e4m3 weights come too small by it. */
static double left_out(const Mac *m)
{
	const MacOperand *o = &m->shape->op[1];
	bool late = o->vector && o->dtype == DT_F8E4M3 && m->shape->op[0].dtype == DT_F32 &&
	            m->g->machine->f16c && !m->shape->integer && !m->shape->accumulate;
	return late ? 256 : 1;
}

static Value as_accumulated(Mac *m, uint32_t op, Value raw)
{
	DType t = m->shape->op[op].dtype;
	double by;
	Value v = op == 1 && left_out(m) != 1 ? widen_scaled(m->g, t, raw, &by) : widen(m->g, t, raw);
	DType wide = dtype_widened(t);
	return convert(m->g, v, wide, m->shape->integer ? DT_I32 : DT_F32);
}

/* What operand op gives for vector j at p, ready to be multiplied. */
static Value operand_value(Mac *m, uint32_t op, Value p, uint32_t j)
{
	Gen *g = m->g;
	const MacOperand *o = &m->shape->op[op];
	if (m->shape->dot != DOT_NONE) {
		if (!o->vector) return splat(g, load(g, g->i32, p, 1), m->lanes);
		return load(g, vector_of(g->i32, m->lanes), ptr_addc(g, p, (int64_t)(j * m->lanes * 4)), 4);
	}
	Type st = storage_type(g, o->dtype);
	uint32_t size = dtype_bits(o->dtype) / 8;
	if (!o->vector) return splat(g, as_accumulated(m, op, load(g, st, p, size)), m->lanes);
	Type vt = vector_of(st, m->lanes);
	Value at = ptr_addc(g, p, (int64_t)(j * m->lanes * size));
	Value raw = m->mask[j] && !o->padded
	                ? masked_load(g, vt, at, m->mask[j], LLVMConstNull(vt), size)
	                : load(g, vt, at, size);
	return as_accumulated(m, op, raw);
}

static Value multiply_add(Mac *m, Value a, Value b, Value c)
{
	Gen *g = m->g;
	if (m->shape->dot == DOT_BF16) {
		Type t = LLVMVectorType(LLVMBFloatTypeInContext(g->context), m->lanes * 2);
		Value args[] = {c, LLVMBuildBitCast(g->build, a, t, ""),
		                LLVMBuildBitCast(g->build, b, t, "")};
		return intrinsic(g, "llvm.x86.avx512bf16.dpbf16ps.512", NULL, 3, args);
	}
	if (m->shape->dot != DOT_NONE) {
		Value args[] = {c, a, b}; /* unsigned by signed */
		return intrinsic(g, "llvm.x86.avx512.vpdpbusd.512", NULL, 3, args);
	}
	if (m->shape->integer) return iadd(g, c, LLVMBuildMul(g->build, a, b, ""));
	return fmadd(g, a, b, c);
}

/* The nibbles of vector j as floats: the rows k and k + 1 of the panel. */
static void nibbles(Mac *m, Value p, uint32_t j, Value *low, Value *high)
{
	Gen *g = m->g;
	uint32_t n = m->lanes;
	Type wide = vector_of(g->i32, n), real = vector_of(g->f32, n);
	Value raw = load(g, vector_of(g->i8, n), ptr_addc(g, p, (int64_t)(j * n)), 1);
	Value v = LLVMBuildSExt(g->build, raw, wide, "");
	if (n == 16) { /* a vector is a table of 16, chosen by the low four bits */
		Value entry[16];
		for (int i = 0; i < 16; i++) entry[i] = const_f32(g, i < 8 ? i : i - 16, 1);
		Value args[] = {LLVMConstVector(entry, 16), v};
		*low = intrinsic(g, "llvm.x86.avx512.permvar.sf.512", NULL, 2, args);
		args[1] = LLVMBuildLShr(g->build, v, const_i32(g, 4, n), "");
		*high = intrinsic(g, "llvm.x86.avx512.permvar.sf.512", NULL, 2, args);
		return;
	}
	Value first = LLVMBuildShl(g->build, v, const_i32(g, 28, n), "");
	first = LLVMBuildAShr(g->build, first, const_i32(g, 28, n), "");
	*low = LLVMBuildSIToFP(g->build, first, real, "");
	*high = LLVMBuildSIToFP(g->build, LLVMBuildAShr(g->build, v, const_i32(g, 4, n), ""), real, "");
}

/* Two steps of k, or the last one alone, by a byte of each column. */
static void step_nibbles(Mac *m, const RowPointers *p, bool alone)
{
	Gen *g = m->g;
	const MacShape *s = m->shape;
	const MacOperand *o = &s->op[0];
	Value low[MAX_VECTORS], high[MAX_VECTORS];
	Type st = storage_type(g, o->dtype);
	uint32_t size = dtype_bits(o->dtype) / 8;
	for (uint32_t j = 0; j < s->vectors; j++) nibbles(m, p[1].at[0], j, &low[j], &high[j]);
	for (uint32_t r = 0; r < m->rows; r++) {
		Value at = row_pointer(m, 0, &p[0], r), x[2];
		for (uint32_t i = 0; i < (alone ? 1 : 2); i++)
			x[i] = splat(g, as_accumulated(m, 0, load(g, st, ptr_addc(g, at, i * size), size)),
			             m->lanes);
		for (uint32_t j = 0; j < s->vectors; j++) {
			Value *c = &m->acc[r * s->vectors + j];
			if (alone)
				*c = fmadd(g, x[0], low[j], *c);
			else
				*c = fmadd(g, x[1], high[j], fmadd(g, x[0], low[j], *c));
		}
	}
}

/* One step of k: every accumulator is updated. */
static void step(Mac *m, const RowPointers *p, Value only_splat)
{
	Gen *g = m->g;
	if (m->shape->dot == DOT_I4) {
		step_nibbles(m, p, false);
		return;
	}
	const MacShape *s = m->shape;
	Value fixed[2][MAX_VECTORS];
	for (uint32_t op = 0; op < 2; op++)
		for (uint32_t j = 0; j < s->vectors && !s->op[op].rows; j++)
			fixed[op][j] =
				j && !s->op[op].vector ? fixed[op][0] : operand_value(m, op, p[op].at[0], j);
	if (sums_columns(s))
		for (uint32_t j = 0; j < s->vectors; j++)
			m->sum[j] = multiply_add(m, const_i32(g, 0x01010101, m->lanes), fixed[1][j], m->sum[j]);
	for (uint32_t r = 0; r < m->rows; r++) {
		Value v[2][MAX_VECTORS];
		for (uint32_t op = 0; op < 2; op++) {
			Value at = s->op[op].rows ? row_pointer(m, op, &p[op], r) : NULL;
			for (uint32_t j = 0; j < s->vectors; j++) {
				if (!s->op[op].rows)
					v[op][j] = fixed[op][j];
				else if (j && !s->op[op].vector)
					v[op][j] = v[op][0];
				else
					v[op][j] = operand_value(m, op, at, j);
			}
		}
		(void)only_splat;
		if (s->dot == DOT_I8)
			v[0][0] =
				LLVMBuildXor(g->build, v[0][0], const_i32(g, (int32_t)0x80808080, m->lanes), "");
		for (uint32_t j = 0; j < s->vectors; j++) {
			Value *c = &m->acc[r * s->vectors + j];
			*c = multiply_add(m, s->dot != DOT_NONE ? v[0][0] : v[0][j], v[1][j], *c);
		}
	}
}

static void carry_all(Mac *m, Loop *l)
{
	for (uint32_t i = 0; i < m->rows * m->shape->vectors; i++)
		m->acc[i] = loop_carry(m->g, l, m->acc[i]);
	for (uint32_t j = 0; sums_columns(m->shape) && j < m->shape->vectors; j++)
		m->sum[j] = loop_carry(m->g, l, m->sum[j]);
}

static void next_all(Mac *m, Loop *l, uint32_t first)
{
	for (uint32_t i = 0; i < m->rows * m->shape->vectors; i++) l->next[first++] = m->acc[i];
	for (uint32_t j = 0; sums_columns(m->shape) && j < m->shape->vectors; j++)
		l->next[first++] = m->sum[j];
}

static void out_all(Mac *m, const Loop *l, uint32_t first)
{
	for (uint32_t i = 0; i < m->rows * m->shape->vectors; i++) m->acc[i] = l->out[first++];
	for (uint32_t j = 0; sums_columns(m->shape) && j < m->shape->vectors; j++)
		m->sum[j] = l->out[first++];
}

/* The last, partial group of a dot form: the missing elements of the splatted operand are zero. */
static void partial_group(Mac *m, Value *at, Value rest)
{
	Gen *g = m->g;
	if (m->shape->dot == DOT_I4) {
		RowPointers p[2] = {row_pointers(m, 0, at[0]), row_pointers(m, 1, at[1])};
		step_nibbles(m, p, true);
		return;
	}
	uint32_t group = mac_group(m->shape->dot), width = 32 / group;
	Type t = LLVMIntTypeInContext(g->context, width);
	/* the elements are copied into a zeroed word of each row */
	Value words = alloca_at_entry(g, LLVMArrayType2(g->i32, MAX_ROWS), 4);
	uint32_t rows = m->shape->op[0].rows ? m->rows : 1;
	int64_t zero =
		m->shape->dot == DOT_I8 ? (int32_t)0x80808080 : 0; /* i8 0 once the sign bit is turned */
	(void)zero;
	for (uint32_t r = 0; r < rows; r++) {
		Value from = ptr_add(g, at[0], imul(g, m->in.row[0], const_i64(g, r)));
		store(g, const_i32(g, 0, 1), ptr_addc(g, words, 4 * r), 4);
		Loop l;
		loop_begin(g, &l, const_i64(g, 0), rest, const_i64(g, 1));
		Value offset = imul(g, l.iv, const_i64(g, width / 8));
		store(g, load(g, t, ptr_add(g, from, offset), 1),
		      ptr_add(g, ptr_addc(g, words, 4 * r), offset), 1);
		loop_end(g, &l);
	}
	Value row = m->in.row[0];
	m->in.row[0] = const_i64(g, 4);
	Value moved[2] = {words, at[1]};
	RowPointers p[2] = {row_pointers(m, 0, moved[0]), row_pointers(m, 1, moved[1])};
	step(m, p, NULL);
	m->in.row[0] = row;
}

/* How many sums of each accumulator run side by side: where there are few, each addition would wait for
 * the one before. */
static uint32_t chains_of(const Mac *m)
{
	uint32_t n = m->rows * m->shape->vectors;
	return sums_columns(m->shape) ? 1 : n == 1 ? 8 : n == 2 ? 4 : n <= 4 ? 2 : 1;
}

/* Most of the steps in so many chains; moves `at` on to those that are left, whose number is returned. */
static Value in_chains(Mac *m, Value *at, Value steps, const Value *by, uint32_t chains)
{
	Gen *g = m->g;
	uint32_t n = m->rows * m->shape->vectors;
	Value sum[8 * MAX_VECTORS], first[8 * MAX_VECTORS];
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), LLVMBuildUDiv(g->build, steps, const_i64(g, chains), ""),
	           const_i64(g, 1));
	Value moving[2] = {loop_carry(g, &l, at[0]), loop_carry(g, &l, at[1])};
	for (uint32_t i = 0; i < chains * n; i++)
		first[i] = i < n ? m->acc[i] : LLVMConstNull(LLVMTypeOf(m->acc[0]));
	for (uint32_t i = 0; i < chains * n; i++) sum[i] = loop_carry(g, &l, first[i]);
	for (uint32_t c = 0; c < chains; c++) {
		RowPointers p[2];
		for (uint32_t op = 0; op < 2; op++)
			p[op] = row_pointers(
				m, op, c ? ptr_add(g, moving[op], imul(g, by[op], const_i64(g, c))) : moving[op]);
		memcpy(m->acc, sum + c * n, n * sizeof *sum);
		step(m, p, NULL);
		memcpy(sum + c * n, m->acc, n * sizeof *sum);
	}
	for (uint32_t op = 0; op < 2; op++)
		l.next[op] = ptr_add(g, moving[op], imul(g, by[op], const_i64(g, chains)));
	for (uint32_t i = 0; i < chains * n; i++) l.next[2 + i] = sum[i];
	loop_end(g, &l);
	at[0] = l.out[0];
	at[1] = l.out[1];
	for (uint32_t i = 0; i < n; i++) {
		Value all = l.out[2 + i];
		for (uint32_t c = 1; c < chains; c++) {
			Value more = l.out[2 + c * n + i];
			bool whole = m->shape->integer || m->shape->dot == DOT_I8 || m->shape->dot == DOT_U8;
			all = whole ? iadd(g, all, more) : float_add(g, all, more);
		}
		m->acc[i] = all;
	}
	return LLVMBuildURem(g->build, steps, const_i64(g, chains), "");
}

static void innermost(Mac *m, Value *from)
{
	Gen *g = m->g;
	const MacShape *s = m->shape;
	uint32_t level = s->k_rank ? s->k_rank - 1 : 0, group = mac_group(s->dot),
			 chains = chains_of(m);
	Value at[2] = {from[0], from[1]}, by[2];
	for (uint32_t op = 0; op < 2 && s->k_rank; op++)
		by[op] = s->op[op].k_step != INT64_MIN ? const_i64(g, s->op[op].k_step)
		                                       : m->in.k_stride[op][level];
	if (!s->k_rank) {
		RowPointers p[2] = {row_pointers(m, 0, at[0]), row_pointers(m, 1, at[1])};
		step(m, p, NULL);
		return;
	}
	Value k = m->in.k[level],
		  groups =
			  group == 1 ? k : LLVMBuildLShr(g->build, k, const_i64(g, group == 2 ? 1 : 2), "");
	Value left = chains > 1 ? in_chains(m, at, groups, by, chains) : groups;
	RowPointers p[2] = {row_pointers(m, 0, at[0]), row_pointers(m, 1, at[1])};
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), left, const_i64(g, 1));
	RowPointers moving[2] = {p[0], p[1]};
	for (uint32_t op = 0; op < 2; op++)
		for (uint32_t i = 0; i < p[op].n; i++) moving[op].at[i] = loop_carry(g, &l, p[op].at[i]);
	carry_all(m, &l);
	step(m, moving, NULL);
	uint32_t slot = 0;
	for (uint32_t op = 0; op < 2; op++)
		for (uint32_t i = 0; i < p[op].n; i++)
			l.next[slot++] = ptr_add(g, moving[op].at[i], by[op]);
	next_all(m, &l, slot);
	loop_end(g, &l);
	out_all(m, &l, slot);
	if (!s->k_tail) return;
	/* a loop of at most one turn, so that the accumulators need no other joining */
	Value rest = LLVMBuildAnd(g->build, k, const_i64(g, group - 1), "");
	Value end[2];
	for (uint32_t op = 0; op < 2; op++) end[op] = ptr_add(g, at[op], imul(g, left, by[op]));
	Loop once;
	loop_begin(g, &once, const_i64(g, 0),
	           choose(g, iless(g, const_i64(g, 0), rest), const_i64(g, 1), const_i64(g, 0)),
	           const_i64(g, 1));
	carry_all(m, &once);
	partial_group(m, end, rest);
	next_all(m, &once, 0);
	loop_end(g, &once);
	out_all(m, &once, 0);
}

static void k_level(Mac *m, uint32_t level, Value *at)
{
	if (level + 1 >= m->shape->k_rank) {
		innermost(m, at);
		return;
	}
	Gen *g = m->g;
	Loop l;
	loop_begin(g, &l, const_i64(g, 0), m->in.k[level], const_i64(g, 1));
	Value moving[2] = {loop_carry(g, &l, at[0]), loop_carry(g, &l, at[1])};
	carry_all(m, &l);
	k_level(m, level + 1, moving);
	for (uint32_t op = 0; op < 2; op++)
		l.next[op] = ptr_add(g, moving[op], m->in.k_stride[op][level]);
	next_all(m, &l, 2);
	loop_end(g, &l);
	out_all(m, &l, 2);
}

/* --- results --- */

static Value result_pointer(Mac *m, uint32_t r, uint32_t j)
{
	Gen *g = m->g;
	Value row = ptr_add(g, m->in.result, imul(g, m->in.result_row, const_i64(g, r)));
	return ptr_addc(g, row, (int64_t)(j * m->lanes * 4));
}

static void begin_accumulators(Mac *m)
{
	Gen *g = m->g;
	const MacShape *s = m->shape;
	Type t = vector_of(s->integer ? g->i32 : g->f32, m->lanes);
	for (uint32_t r = 0; r < m->rows; r++)
		for (uint32_t j = 0; j < s->vectors; j++) {
			Value v = LLVMConstNull(t);
			if (s->accumulate) {
				Value p = result_pointer(m, r, j);
				v = m->mask[j] ? masked_load(g, t, p, m->mask[j], v, 4) : load(g, t, p, 4);
			}
			m->acc[r * s->vectors + j] = v;
		}
	for (uint32_t j = 0; j < s->vectors; j++) m->sum[j] = LLVMConstNull(t);
}

/* The splatted operand was taken 128 too great: 128 times the column's sum is too much. */
static void correct_offset(Mac *m)
{
	Gen *g = m->g;
	const MacShape *s = m->shape;
	if (s->dot != DOT_I8) return;
	for (uint32_t j = 0; j < s->vectors; j++) {
		Value sum = s->columns ? load(g, vector_of(g->i32, m->lanes),
		                              ptr_addc(g, m->in.columns, (int64_t)(j * m->lanes * 4)), 4)
		                       : m->sum[j];
		Value excess = LLVMBuildShl(g->build, sum, const_i32(g, 7, m->lanes), "");
		for (uint32_t r = 0; r < m->rows; r++) {
			Value *c = &m->acc[r * s->vectors + j];
			*c = isub(g, *c, excess);
		}
	}
}

static void multiply_left_out(Mac *m)
{
	double by = left_out(m);
	for (uint32_t i = 0; by != 1 && i < m->rows * m->shape->vectors; i++)
		m->acc[i] = float_mul(m->g, m->acc[i], const_f32(m->g, by, m->lanes));
}

static void store_results(Mac *m)
{
	Gen *g = m->g;
	for (uint32_t r = 0; r < m->rows; r++)
		for (uint32_t j = 0; j < m->shape->vectors; j++) {
			Value p = result_pointer(m, r, j), v = m->acc[r * m->shape->vectors + j];
			if (m->mask[j])
				masked_store(g, v, p, m->mask[j], 4);
			else
				store(g, v, p, 4);
		}
}

static Value epilogue_input(Mac *m, const Cursor *c, uint32_t r, uint32_t j)
{
	Cursor at = *c;
	cursor_move(m->g, &at, 0, const_i64(m->g, r));
	return cursor_load(m->g, &at, 1, const_i64(m->g, j * m->lanes), m->lanes, m->mask[j]);
}

static void apply_epilogue(Mac *m)
{
	Gen *g = m->g;
	const TileStmt *t = m->shape->then;
	Value kept[TILE_INS][MAX_VECTORS];
	for (uint32_t r = 0; r < m->rows; r++)
		for (uint32_t j = 0; j < m->shape->vectors; j++) {
			Value in[TILE_INS], out[TILE_OUTS];
			for (uint32_t i = 0; i < t->n_in; i++) {
				int64_t step = 1;
				bool fixed = i != m->shape->then_in &&
				             value_is_const(m->in.in[i].stride[0], &step) && step == 0;
				if (i == m->shape->then_in)
					in[i] = m->acc[r * m->shape->vectors + j];
				else if (fixed && r)
					in[i] = kept[i][j];
				else
					in[i] = kept[i][j] = epilogue_input(m, &m->in.in[i], r, j);
			}
			region_emit(g, &t->region, in, NULL, 0, NULL, m->lanes, out);
			for (uint32_t i = 0; i < t->n_out; i++) {
				Cursor at = m->in.out[i];
				cursor_move(g, &at, 0, const_i64(g, r));
				cursor_store(g, &at, 1, const_i64(g, j * m->lanes), m->lanes, m->mask[j], out[i],
				             t->accumulate);
			}
		}
}

/* --- parameters: the same order for the function and its calls --- */

typedef struct Params {
	Type type[96];
	Value value[96];
	uint32_t n;
} Params;

static void param(Params *p, Type t, Value v)
{
	p->type[p->n] = t;
	p->value[p->n++] = v;
}

static void list_params(Gen *g, const MacShape *s, const MacCall *c, Params *p)
{
	for (uint32_t op = 0; op < 2; op++) {
		param(p, g->ptr, c->at[op]);
		if (s->op[op].rows) param(p, g->i64, c->row[op]);
		uint32_t runtime = s->k_rank ? s->k_rank - (s->op[op].k_step != INT64_MIN) : 0;
		for (uint32_t i = 0; i < runtime; i++) param(p, g->i64, c->k_stride[op][i]);
	}
	for (uint32_t i = 0; i < s->k_rank; i++) param(p, g->i64, c->k[i]);
	if (!s->then || s->accumulate) {
		param(p, g->ptr, c->result);
		param(p, g->i64, c->result_row);
	}
	if (s->masked) param(p, g->i64, c->live);
	if (s->columns) param(p, g->ptr, c->columns);
	for (uint32_t i = 0; s->then && i < s->then->n_in + s->then->n_out; i++) {
		if (i == s->then_in) continue;
		const Cursor *k = i < s->then->n_in ? &c->in[i] : &c->out[i - s->then->n_in];
		param(p, g->ptr, k->base);
		if (!LLVMIsConstant(k->stride[0])) param(p, g->i64, k->stride[0]);
	}
}

static void bind_function_params(Gen *g, const MacShape *s, const MacCall *c, MacCall *m)
{
	uint32_t n = 0;
	*m = *c; /* constants stay as they are */
	for (uint32_t op = 0; op < 2; op++) {
		m->at[op] = LLVMGetParam(g->function, n++);
		m->row[op] = s->op[op].rows ? LLVMGetParam(g->function, n++) : const_i64(g, 0);
		uint32_t runtime = s->k_rank ? s->k_rank - (s->op[op].k_step != INT64_MIN) : 0;
		for (uint32_t i = 0; i < runtime; i++) m->k_stride[op][i] = LLVMGetParam(g->function, n++);
	}
	for (uint32_t i = 0; i < s->k_rank; i++) m->k[i] = LLVMGetParam(g->function, n++);
	if (!s->then || s->accumulate) {
		m->result = LLVMGetParam(g->function, n++);
		m->result_row = LLVMGetParam(g->function, n++);
	}
	if (s->masked) m->live = LLVMGetParam(g->function, n++);
	if (s->columns) m->columns = LLVMGetParam(g->function, n++);
	for (uint32_t i = 0; s->then && i < s->then->n_in + s->then->n_out; i++) {
		if (i == s->then_in) continue;
		Cursor *k = i < s->then->n_in ? &m->in[i] : &m->out[i - s->then->n_in];
		k->base = LLVMGetParam(g->function, n++);
		if (!LLVMIsConstant(k->stride[0])) k->stride[0] = LLVMGetParam(g->function, n++);
	}
}

static Value build_function(Gen *g, const MacShape *s, uint32_t rows, const MacCall *c)
{
	Block here = LLVMGetInsertBlock(g->build);
	Value outer = g->function;
	Params p = {.n = 0};
	list_params(g, s, c, &p);
	g->function =
		function_new(g, arena_printf(g->arena, "mac_%ux%u_%u", rows, s->vectors, g->counter++),
	                 p.type, p.n, false);
	Value f = g->function;
	Mac m = {.g = g, .shape = s, .rows = rows, .lanes = g->machine->lanes};
	bind_function_params(g, s, c, &m.in);
	for (uint32_t j = 0; j < s->vectors; j++)
		m.mask[j] =
			s->masked ? lane_mask(g, isub(g, m.in.live, const_i64(g, j * m.lanes)), m.lanes) : NULL;
	begin_accumulators(&m);
	k_level(&m, 0, m.in.at);
	correct_offset(&m);
	multiply_left_out(&m);
	if (s->then)
		apply_epilogue(&m);
	else
		store_results(&m);
	LLVMBuildRetVoid(g->build);
	g->function = outer;
	LLVMPositionBuilderAtEnd(g->build, here);
	return f;
}

static bool same_operand(const MacOperand *a, const MacOperand *b)
{
	return a->dtype == b->dtype && a->vector == b->vector && a->rows == b->rows &&
	       a->padded == b->padded && a->k_step == b->k_step;
}

static bool same_shape(const MacShape *a, const MacShape *b)
{
	return same_operand(&a->op[0], &b->op[0]) && same_operand(&a->op[1], &b->op[1]) &&
	       a->integer == b->integer && a->dot == b->dot && a->vectors == b->vectors &&
	       a->k_rank == b->k_rank && a->masked == b->masked && a->k_tail == b->k_tail &&
	       a->accumulate == b->accumulate && a->columns == b->columns && a->then == b->then &&
	       a->then_in == b->then_in;
}

static Value mac_function(Gen *g, const MacShape *s, uint32_t rows, const MacCall *c)
{
	for (size_t i = 0; i < g->mac.n; i++)
		if (g->mac.at[i]->rows == rows && same_shape(&g->mac.at[i]->shape, s))
			return g->mac.at[i]->function;
	MacKernel *k = NEW(g->arena, MacKernel);
	k->shape = *s;
	k->rows = rows;
	k->function = build_function(g, s, rows, c);
	vec_push(g->arena, &g->mac, k);
	return k->function;
}

void mac_call(Gen *g, const MacShape *shape, Value rows, uint32_t most, const MacCall *c)
{
	Params p = {.n = 0};
	list_params(g, shape, c, &p);
	int64_t known;
	if (value_is_const(rows, &known)) {
		if (known > 0) call(g, mac_function(g, shape, (uint32_t)known, c), p.value, p.n);
		return;
	}
	Block join = block_new(g, "join"), here = LLVMGetInsertBlock(g->build);
	Block *cases = NEW_ARRAY(g->arena, Block, most + 1);
	for (uint32_t h = 1; h <= most; h++) {
		cases[h] = block_new(g, "rows");
		LLVMPositionBuilderAtEnd(g->build, cases[h]);
		call(g, mac_function(g, shape, h, c), p.value, p.n);
		LLVMBuildBr(g->build, join);
	}
	LLVMPositionBuilderAtEnd(g->build, here);
	Value sw = LLVMBuildSwitch(g->build, rows, join, most);
	for (uint32_t h = 1; h <= most; h++) LLVMAddCase(sw, const_i64(g, h), cases[h]);
	LLVMMoveBasicBlockAfter(join, cases[most]);
	LLVMPositionBuilderAtEnd(g->build, join);
}
