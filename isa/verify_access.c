/* Operands of an instruction: they lie where its unit reaches, their shapes and types fit together, the
 * region grants the right, and no byte of the box lies outside of the region. The box of a descriptor is
 * base + ring slot + steps of the loops + strides * positions; its ends are proved for all parameters. */
#include "isa/internal.h"

#include <string.h>

typedef struct Operand {
	bool present;
	PearlOperand info;
	const PearlDesc *d;
	const DescState *s;
	const PearlRegion *region;
	const Sym *dim[PEARL_RANK]; /* with the lengths of loops */
} Operand;

enum {
	IN_HBM = 1 << SPACE_HBM,
	IN_GSM = 1 << SPACE_GSM,
	IN_SPM = 1 << SPACE_SPM,
	IN_ACC = 1 << SPACE_ACC
};

static const char *quote(Verifier *v, const Operand *o)
{
	return arena_printf(v->arena, "`%.*s`", o->info.name_len, o->info.name);
}

static const LoopState *loop_at(Verifier *v, const Operand *o, uint32_t level)
{
	if (level < v->n_loop) return &v->loop[v->n_loop - 1 - level];
	verify_error(v, "%s follows the loop %u levels out; there are %u around", quote(v, o), level,
	             v->n_loop);
	return NULL;
}

static bool load(Verifier *v, const PearlInsn *i, uint32_t k, Operand *o)
{
	memset(o, 0, sizeof *o);
	if (!pearl_operand(i->op, k, &o->info) || i->desc[k] == PEARL_NONE) return true;
	o->s = &v->r.desc[i->desc[k]];
	if (!o->s->set) {
		verify_error(v, "d%u is used, but not loaded on every way here", i->desc[k]);
		return false;
	}
	int8_t stage = o->s->stage >= 0 ? o->s->stage : o->s->set_stage;
	if (stage >= 0 && stage != i->stage) {
		verify_error(
			v,
			"d%u was made at stage %d and is used at stage %u, where it belongs to another iteration",
			i->desc[k], stage, i->stage);
		return false;
	}
	o->present = true;
	o->d = &v->p->descs.at[o->s->entry];
	o->region = &v->p->regions.at[o->d->region];
	for (uint32_t n = 0; n < o->d->rank; n++) {
		o->dim[n] = o->s->dim[n];
		if (!o->d->dim_len[n]) continue;
		const LoopState *l = loop_at(v, o, o->d->dim_len[n] - 1u);
		if (!l) return false;
		o->dim[n] = sym_mul(&v->s, o->dim[n], l->len[o->d->dim_len[n] == 1 ? i->stage : 0]);
	}
	return true;
}

/* --- bounds -------------------------------------------------------------------------------------------- */

typedef struct Ends {
	const Sym *low, *high; /* of the address of an element's first byte, over all elements */
} Ends;

static void add_both(Verifier *v, Ends *e, const Sym *x)
{
	e->low = sym_add(&v->s, e->low, x, 1);
	e->high = sym_add(&v->s, e->high, x, 1);
}

/* Positions between two expressions, times a stride. */
static void add_span(Verifier *v, Ends *e, const Sym *low, const Sym *high, const Sym *stride)
{
	int64_t lo, hi;
	sym_range(&v->s, stride, &lo, &hi);
	if (hi < 0 || lo >= 0) {
		bool up = lo >= 0;
		e->low = sym_add(&v->s, e->low, sym_mul(&v->s, stride, up ? low : high), 1);
		e->high = sym_add(&v->s, e->high, sym_mul(&v->s, stride, up ? high : low), 1);
	} else
		e->low = e->high = NULL;
}

/* The ends of a position that a window clips: any of the atom's bounds may serve a proof. */
static const Sym *window_position(Verifier *v, const Sym *start, const Sym *limit, const Sym *dim)
{
	SymSpace *s = &v->s;
	const Sym *one = sym_const(s, 1), *end = sym_add(s, sym_add(s, start, dim, 1), one, -1);
	SymAtom x = {.kind = ATOM_FREE,
	             .name = "position",
	             .scale = 1,
	             .lo = 0,
	             .hi = INT64_MAX,
	             .low = {start, NULL}};
	x.low[1] = sym_const(s, 0);
	x.high[0] = sym_add(s, limit, one, -1);
	x.high[1] = end;
	int64_t lo, hi;
	for (uint32_t k = 0; k < 2; k++) {
		sym_range(s, x.high[k], &lo, &hi);
		if (hi < x.hi) x.hi = hi;
	}
	x.varies = (start && start->varies) || (limit && limit->varies) || (dim && dim->varies);
	return sym_atom(s, sym_new(s, x));
}

static void add_dims(Verifier *v, const Operand *o, Ends *e, const Sym *rows)
{
	SymSpace *s = &v->s;
	const Sym *zero = sym_const(s, 0), *one = sym_const(s, 1);
	for (uint32_t n = 0; n < o->d->rank; n++) {
		const Sym *last = sym_add(s, n == 0 && rows ? rows : o->dim[n], one, -1);
		uint32_t w = o->d->window[0].on && o->d->window[0].dim == n   ? 0
		             : o->d->window[1].on && o->d->window[1].dim == n ? 1
		                                                              : 2;
		if (w == 2)
			add_span(v, e, zero, last, o->s->stride[n]);
		else {
			const Sym *x = window_position(v, o->s->start[w], o->s->limit[w], o->dim[n]);
			add_span(v, e, x, x, o->s->stride[n]);
		}
	}
}

static void steps_and_ring(Verifier *v, const PearlInsn *i, const Operand *o, Ends *e)
{
	SymSpace *s = &v->s;
	for (uint32_t k = 0; k < o->d->n_step; k++) {
		uint32_t level = o->d->step[k].level;
		const LoopState *l = o->d->step[k].bytes ? loop_at(v, o, level) : NULL;
		if (!l) continue;
		const Sym *off = sym_mul(s, l->index[level ? 0 : i->stage], sym_const(s, l->tile));
		add_both(v, e, sym_mul(s, off, sym_const(s, o->d->step[k].bytes)));
	}
	if (o->d->ring > 1)
		add_span(v, e, sym_const(s, 0), sym_const(s, o->d->ring - 1),
		         sym_const(s, o->d->ring_stride));
}

/* No element of o lies outside of its region. rows: how many rows dimension 0 may reach, or NULL. */
static void bounds(Verifier *v, const PearlInsn *i, const Operand *o, const Sym *rows)
{
	SymSpace *s = &v->s;
	size_t facts = s->facts.n;
	uint32_t errors = v->errors;
	Ends e = {o->s->base, o->s->base};
	/* an empty box touches nothing: its dimensions may be taken to be at least 1 */
	for (uint32_t n = 0; n < o->d->rank; n++) {
		int64_t lo, hi;
		const Sym *f = sym_add(s, o->dim[n], sym_const(s, 1), -1);
		sym_range(s, f, &lo, &hi);
		if (f && lo < 0) vec_push(v->arena, &s->facts, f);
		if (f && hi < 0) {
			s->facts.n = facts;
			return;
		}
	}
	steps_and_ring(v, i, o, &e);
	add_dims(v, o, &e, rows);
	if (v->errors != errors) return;
	int64_t bytes = pearl_dtype[o->d->dtype].bits / 8;
	bool relative = o->d->space == SPACE_HBM || o->d->space == SPACE_GSM;
	int64_t first = relative ? 0 : o->region->address, end = first + o->region->bytes;
	const char *name = quote(v, o);
	if (!e.low || !e.high)
		verify_error(v, "the place of %s cannot be followed: it depends on values without bounds",
		             name);
	else if (verify_holds(v, sym_add(s, e.low, sym_const(s, first), -1),
	                      "%s may begin before region `%s`", name, o->region->name))
		verify_holds(v, sym_add(s, sym_const(s, end - bytes), e.high, -1),
		             "%s may reach past the %lld bytes of region `%s`", name,
		             (long long)o->region->bytes, o->region->name);
	s->facts.n = facts;
}

static void rights(Verifier *v, const Operand *o, bool reads, bool writes)
{
	if (reads && !o->region->readable)
		verify_error(v, "%s is read, region `%s` must not be", quote(v, o), o->region->name);
	if (writes && !o->region->writable)
		verify_error(v, "%s is written, region `%s` must not be", quote(v, o), o->region->name);
}

/* --- shapes ------------------------------------------------------------------------------------------------ */

static bool same(Verifier *v, const Sym *a, const Sym *b)
{
	if (v->dead || sym_equal(a, b)) return true;
	if (!a || !b) return false;
	return sym_prove(&v->s, sym_add(&v->s, a, b, -1)) && sym_prove(&v->s, sym_add(&v->s, b, a, -1));
}

/* Dimension da of a is dimension db of b. */
static void same_dim(Verifier *v, const Operand *a, uint32_t da, const Operand *b, uint32_t db)
{
	if (!a->present || !b->present || da >= a->d->rank || db >= b->d->rank ||
	    same(v, a->dim[da], b->dim[db]))
		return;
	Text t = text_new(v->arena);
	sym_text(&v->s, a->dim[da], &t);
	text_puts(&t, " and ");
	sym_text(&v->s, b->dim[db], &t);
	verify_error(v, "dimension %u of %s and %u of %s differ: %s", da, quote(v, a), db, quote(v, b),
	             t.at);
}

static bool rank_is(Verifier *v, const Operand *o, uint32_t rank)
{
	if (!o->present || o->d->rank == rank) return true;
	verify_error(v, "%s has rank %u where %u is needed", quote(v, o), o->d->rank, rank);
	return false;
}

/* b is walked over the dimensions of a: aligned to the last ones, a dimension of 1 repeats. */
static void same_shape(Verifier *v, const Operand *a, const Operand *b)
{
	if (!a->present || !b->present) return;
	if (b->d->rank > a->d->rank) {
		verify_error(v, "%s has rank %u, more than the %u of %s", quote(v, b), b->d->rank,
		             a->d->rank, quote(v, a));
		return;
	}
	uint32_t shift = a->d->rank - (uint32_t)b->d->rank;
	for (uint32_t n = 0; n < b->d->rank; n++) {
		int64_t one;
		if (!sym_is_const(b->dim[n], &one) || one != 1) same_dim(v, a, n + shift, b, n);
	}
}

static void lies_in(Verifier *v, const Operand *o, uint32_t spaces)
{
	if (!o->present || spaces >> o->d->space & 1) return;
	verify_error(v, "%s lies in %s, where this instruction does not reach", quote(v, o),
	             pearl_space_name[o->d->space]);
}

static void has_type(Verifier *v, const Operand *o, const char *name)
{
	if (o->present && strcmp(pearl_dtype[o->d->dtype].name, name) != 0)
		verify_error(v, "%s is %s, it must be %s", quote(v, o), pearl_dtype[o->d->dtype].name,
		             name);
}

static void check_matrix(Verifier *v, const Operand o[4])
{
	const Operand *c = &o[0], *a = &o[1], *w = &o[2];
	if (!rank_is(v, c, 3) || !rank_is(v, a, 5) || !rank_is(v, w, 4)) return;
	lies_in(v, c, IN_ACC);
	lies_in(v, a, IN_SPM);
	lies_in(v, w, IN_SPM);
	for (uint32_t n = 0; n < 2; n++) same_dim(v, c, n, a, n);
	same_dim(v, c, 2, w, 3);
	for (uint32_t n = 0; n < 3; n++) same_dim(v, a, n + 2, w, n);
	if (a->d->dtype != w->d->dtype)
		verify_error(v, "`a` is %s and `w` is %s", pearl_dtype[a->d->dtype].name,
		             pearl_dtype[w->d->dtype].name);
	bool integer = !pearl_dtype[a->d->dtype].is_float;
	if (integer && strcmp(pearl_dtype[a->d->dtype].name, "u8") != 0) has_type(v, a, "i8");
	has_type(v, c, integer ? "i32" : "f32");
	verify_holds(v, sym_add(&v->s, sym_const(&v->s, v->p->machine.array_cols), c->dim[2], -1),
	             "`c` may be wider than the %lld columns of the matrix unit",
	             (long long)v->p->machine.array_cols);
}

static void check_drain(Verifier *v, const PearlInsn *i, const Operand o[4])
{
	lies_in(v, &o[0], IN_SPM);
	lies_in(v, &o[1], IN_ACC);
	lies_in(v, &o[2], IN_SPM);
	lies_in(v, &o[3], IN_SPM);
	same_shape(v, &o[0], &o[1]);
	same_shape(v, &o[0], &o[2]);
	same_shape(v, &o[0], &o[3]);
	has_type(v, &o[2], "f32");
	if (pearl_func[i->field[F_DRAIN_act]].arity != 1)
		verify_error(v, "the activation takes %u arguments",
		             pearl_func[i->field[F_DRAIN_act]].arity);
	if (o[1].d->dtype != 0) has_type(v, &o[1], "i32");
}

static void check_function(Verifier *v, const PearlInsn *i, uint32_t arity)
{
	const PearlFuncInfo *f = &pearl_func[i->field[F_VEC_func]];
	if (f->arity != arity)
		verify_error(v, "function %s takes %u arguments, not %u", f->name, f->arity, arity);
}

static void check_reducing(Verifier *v, const PearlInsn *i)
{
	int64_t f = i->field[F_VEC_func];
	if (f != VF_ADD && f != VF_MUL && f != VF_MAX && f != VF_MIN)
		verify_error(v, "it combines by add, mul, max or min");
}

static void check_reduction(Verifier *v, const PearlInsn *i, const Operand o[4])
{
	int64_t axes = i->field[F_VEC_axes];
	check_reducing(v, i);
	if (axes < 1 || axes > o[1].d->rank) {
		verify_error(v, "%lld dimensions of %u are to be combined", (long long)axes, o[1].d->rank);
		return;
	}
	if (!rank_is(v, &o[0], o[1].d->rank - (uint32_t)axes)) return;
	for (uint32_t n = 0; n < o[0].d->rank; n++) same_dim(v, &o[0], n, &o[1], n);
	if (!o[2].present) return;
	same_shape(v, &o[0], &o[2]);
	has_type(v, &o[2], "i32");
	bool extreme = i->field[F_VEC_func] == VF_MAX || i->field[F_VEC_func] == VF_MIN;
	if (!extreme || i->field[F_VEC_accumulate])
		verify_error(v, "a position is known of one max or min that starts anew");
}

static void check_ordering(Verifier *v, const PearlInsn *i, const Operand o[4])
{
	uint32_t rank = o[2].d->rank;
	same_shape(v, &o[0], &o[1]);
	has_type(v, &o[1], "i32");
	if (!rank_is(v, &o[0], rank)) return;
	for (uint32_t n = 0; n + 1 < rank; n++) same_dim(v, &o[0], n, &o[2], n);
	if (i->op == I_V_SORT && rank) same_dim(v, &o[0], rank - 1, &o[2], rank - 1);
	if (i->op == I_V_TOPK && rank)
		verify_holds(v, sym_add(&v->s, o[2].dim[rank - 1], o[0].dim[rank - 1], -1),
		             "more are wanted than `a` has");
}

static void check_softmax(Verifier *v, const PearlInsn *i, const Operand o[4])
{
	if (!rank_is(v, &o[0], 2) || !rank_is(v, &o[2], 2)) return;
	same_shape(v, &o[0], &o[1]);
	int64_t three;
	if (!sym_is_const(o[2].dim[0], &three) || three != 3) verify_error(v, "`state` has not 3 rows");
	same_dim(v, &o[0], 0, &o[2], 1);
	has_type(v, &o[2], "f32");
	if (i->field[F_SMX_causal] && i->field[F_SMX_per] < 1) verify_error(v, "`per` is 0");
	if (!i->field[F_SMX_causal]) return;
	verify_reg(v, i->field[F_SMX_limit]);
	verify_reg(v, i->field[F_SMX_first]);
}

static void check_vector(Verifier *v, const PearlInsn *i, const Operand o[4])
{
	for (uint32_t k = 0; k < 4; k++) lies_in(v, &o[k], IN_SPM | IN_ACC);
	switch (i->op) {
	case I_V_UN: check_function(v, i, 1); break;
	case I_V_BIN: check_function(v, i, 2); break;
	case I_V_TRI: check_function(v, i, 3); break;
	case I_V_RED: check_reduction(v, i, o); return;
	case I_V_SCAN: check_reducing(v, i); break;
	case I_V_TOPK:
	case I_V_SORT: check_ordering(v, i, o); return;
	case I_V_SMX: check_softmax(v, i, o); return;
	case I_V_IOTA:
		has_type(v, &o[0], "i32");
		if (i->field[F_VEC_axes] >= o[0].d->rank)
			verify_error(v, "positions along dimension %lld of %u", (long long)i->field[F_VEC_axes],
			             o[0].d->rank);
		break;
	default: break;
	}
	if (i->field[F_VEC_use_reg]) verify_reg(v, i->field[F_VEC_reg]);
	for (uint32_t k = 1; k < 4; k++) same_shape(v, &o[0], &o[k]);
}

static void check_move(Verifier *v, const PearlInsn *i, const Operand o[4])
{
	bool in = pearl_insn[i->op].queue == Q_L;
	lies_in(v, &o[0], in ? IN_SPM | IN_GSM : IN_HBM | IN_GSM);
	lies_in(v, &o[1], in ? IN_HBM | IN_GSM : IN_SPM);
	if (o[0].d->space == SPACE_GSM && o[1].d->space == SPACE_GSM)
		verify_error(v, "both ends lie in gsm");
	same_shape(v, &o[0], &o[1]);
	if (!o[2].present) return;
	lies_in(v, &o[2], IN_SPM);
	has_type(v, &o[2], "i32");
	if (rank_is(v, &o[2], 1)) same_dim(v, &o[0], 0, &o[2], 0);
}

/* --- the instruction -------------------------------------------------------------------------------------------- */

static void check_shapes(Verifier *v, const PearlInsn *i, const Operand o[4])
{
	switch (pearl_insn[i->op].format) {
	case FMT_DMA: check_move(v, i, o); break;
	case FMT_MUL: check_matrix(v, o); break;
	case FMT_DRAIN: check_drain(v, i, o); break;
	case FMT_VEC:
	case FMT_SMX: check_vector(v, i, o); break;
	case FMT_LDI:
		lies_in(v, &o[0], IN_SPM);
		has_type(v, &o[0], "i32");
		break;
	default: break;
	}
	for (uint32_t k = 0; k < 4; k++) {
		if (!o[k].present) continue;
		bool window = o[k].d->window[0].on || o[k].d->window[1].on;
		if (window && !(i->op == I_L_DMA && k == 1))
			verify_error(v, "%s has a window; only the source of `l.dma` may", quote(v, &o[k]));
		if (pearl_dtype[o[k].d->dtype].bits % 8)
			verify_error(v, "%s is %s, which no unit takes", quote(v, &o[k]),
			             pearl_dtype[o[k].d->dtype].name);
	}
}

void verify_access(Verifier *v, const PearlInsn *i)
{
	Operand o[4];
	uint32_t errors = v->errors;
	bool gather = i->op == I_L_GATHER || i->op == I_W_SCATTER;
	for (uint32_t k = 0; k < 4; k++)
		if (!load(v, i, k, &o[k])) return;
	check_shapes(v, i, o);
	const Sym *limit = gather ? verify_reg(v, i->field[F_DMA_limit]) : NULL;
	if (v->errors != errors) return;
	for (uint32_t k = 0; k < 4; k++) {
		if (!o[k].present) continue;
		bool reads = o[k].info.reads, writes = o[k].info.writes;
		if (i->op == I_M_GEMM && k == 0) reads = i->field[F_MUL_accumulate];
		if (i->op == I_V_RED && k == 0) reads = i->field[F_VEC_accumulate];
		if (pearl_insn[i->op].format == FMT_DMA && k == 0 && i->field[F_DMA_add]) reads = true;
		rights(v, &o[k], reads, writes);
		bool indexed = gather && k == (i->op == I_L_GATHER ? 1u : 0u);
		if (indexed && !limit)
			verify_error(v, "the limit of the rows cannot be followed");
		else
			bounds(v, i, &o[k], indexed ? limit : NULL);
	}
}
