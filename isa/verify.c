/* The static verifier. It shares nothing with code generation: it follows the instructions of an
 * entry once, with every register and descriptor field as an expression over parameters and loops.
 *
 *   tokens      Running in program order keeps 0 <= count <= capacity for every token, and each pass of a
 *               loop and both branches of a choice leave the counts alike. Then no queue depth >= 1 and no
 *               latency can deadlock: the oldest unfinished instruction finds its tokens, the head of its
 *               queue and room to signal.
 *   values      What is read was written on every path; a stage of a staged loop reads what the same stage
 *               wrote; what the body of a loop overwrites is unknown at its beginning.
 *   accesses    verify_access.c: places, shapes, rights, bounds.
 *   order       verify_trace.c: accesses that overlap are ordered by tokens, barriers or their queue.
 *
 * An iteration of a loop over n in tiles of T is any i with 0 <= T*i <= n - 1, its length min(T, n - T*i). */
#include "isa/internal.h"

#include <stdlib.h>
#include <string.h>

/* --- messages ------------------------------------------------------------------------------------------ */

static Diag *report(Verifier *v, const char *text)
{
	const PearlInsn *i = &v->p->code.at[v->insn];
	Text t = text_new(v->arena);
	pearl_insn_text(&t, v->p, i);
	Diag *d = diag_error(v->d, pearl_insn_span(v->p, i), "%s", text);
	const char *launch = "";
	if (v->launch < v->entry->launches && v->entry->launch_name && v->entry->launch_name[v->launch])
		launch = arena_printf(v->arena, ", launch `%s`", v->entry->launch_name[v->launch]);
	diag_note(v->d, d, span_none(), "entry `%s`%s, instruction %u, line %u: %s", v->entry->name,
	          launch, v->insn, i->line, t.at);
	v->errors++;
	return d;
}

void verify_error(Verifier *v, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(v->arena, fmt, ap);
	va_end(ap);
	report(v, text);
}

bool verify_holds(Verifier *v, const Sym *e, const char *fmt, ...)
{
	if (v->dead || sym_prove(&v->s, e)) return true;
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(v->arena, fmt, ap);
	va_end(ap);
	Diag *d = report(v, text);
	const char *when = e ? sym_witness(&v->s, v->arena, e) : NULL;
	if (when)
		diag_note(v->d, d, span_none(), "for %s", when);
	else
		diag_note(v->d, d, span_none(),
		          "no values were found for which it goes wrong, but it cannot be proved");
	return false;
}

/* --- interface -------------------------------------------------------------------------------------------- */

static const Sym *binary(Verifier *v, int32_t code, const Sym *a, const Sym *b)
{
	SymSpace *s = &v->s;
	switch (code) {
	case EXPR_ADD: return sym_add(s, a, b, 1);
	case EXPR_SUB: return sym_add(s, a, b, -1);
	case EXPR_MUL: return sym_mul(s, a, b);
	case EXPR_MIN: return sym_min(s, a, b);
	case EXPR_MAX: return sym_max(s, a, b);
	case EXPR_FLOORDIV: return sym_fdiv(s, a, b);
	default: return sym_add(s, a, sym_mul(s, sym_fdiv(s, a, b), b), -1);
	}
}

static const Sym *expression(Verifier *v, const ExprWord *e)
{
	const Sym *stack[EXPR_STACK + 1] = {NULL};
	uint32_t n = 0;
	for (; e->code != EXPR_END; e++) {
		if (e->code == EXPR_CONST)
			stack[n++] = sym_const(&v->s, e->value);
		else if (e->code == EXPR_PARAM)
			stack[n++] = v->param[e->value];
		else
			n--, stack[n - 1] = binary(v, e->code, stack[n - 1], stack[n]);
	}
	return stack[0];
}

/* Parameters are atoms whose ends may speak of others; ends are made when all atoms exist. */
static void make_params(Verifier *v)
{
	const Interface *f = v->p->interface;
	v->param = NEW_ARRAY(v->arena, const Sym *, f->n_param + 1);
	for (uint32_t k = 0; k < f->n_param; k++) {
		SymAtom x = {.kind = ATOM_PARAM,
		             .name = f->param[k].name,
		             .lo = INT64_MIN,
		             .hi = INT64_MAX,
		             .scale = 1};
		v->param[k] = sym_atom(&v->s, sym_new(&v->s, x));
	}
	for (uint32_t round = 0; round < 2; round++) /* twice: a range may use a later parameter's */
		for (uint32_t k = 0; k < f->n_param; k++) {
			const Sym *lo = expression(v, f->param[k].lo), *hi = expression(v, f->param[k].hi);
			int64_t l, h, none;
			sym_range(&v->s, lo, &l, &none);
			sym_range(&v->s, hi, &none, &h);
			SymAtom *x = &v->s.atoms.at[k];
			x->lo = l;
			x->hi = h;
			x->low[0] = lo;
			x->high[0] = hi;
		}
	for (uint32_t k = 0; k < f->n_require; k++) {
		const Sym *e = expression(v, f->require[k]);
		if (e) vec_push(v->arena, &v->s.facts, e);
	}
}

/* --- registers ------------------------------------------------------------------------------------------------ */

static uint32_t stages_around(const Verifier *v)
{
	return v->n_loop ? v->loop[v->n_loop - 1].stages : 1;
}

const Sym *verify_reg(Verifier *v, int64_t reg)
{
	const RegState *r = &v->r.reg[reg];
	const PearlInsn *i = &v->p->code.at[v->insn];
	if (!r->set)
		verify_error(v, "r%lld is read, but not written on every way here", (long long)reg);
	else if (r->stage >= 0 && r->stage != i->stage)
		verify_error(
			v,
			"r%lld was written at stage %d and is read at stage %u, where it belongs to another iteration",
			(long long)reg, r->stage, i->stage);
	else
		return r->v;
	return NULL;
}

/* A value that arithmetic may wrap around is not followed. */
static const Sym *fitting(Verifier *v, const Sym *e)
{
	int64_t lo, hi;
	sym_range(&v->s, e, &lo, &hi);
	return lo == INT64_MIN || hi == INT64_MAX ? NULL : e;
}

static void set_reg(Verifier *v, int64_t reg, const Sym *value)
{
	const PearlInsn *i = &v->p->code.at[v->insn];
	v->r.reg[reg] =
		(RegState){true, stages_around(v) > 1 ? (int8_t)i->stage : (int8_t)-1, fitting(v, value)};
}

static const Sym *free_value(Verifier *v, const char *name, const Sym *low, const Sym *high,
                             bool varies)
{
	SymAtom x = {.kind = ATOM_FREE,
	             .name = name,
	             .scale = 1,
	             .low = {low, NULL},
	             .high = {high, NULL},
	             .varies = varies};
	int64_t none;
	sym_range(&v->s, low, &x.lo, &none);
	sym_range(&v->s, high, &none, &x.hi);
	return sym_atom(&v->s, sym_new(&v->s, x));
}

static const Sym *quotient(Verifier *v, const Sym *a, const Sym *b)
{
	const Sym *q = sym_fdiv(&v->s, a, b);
	verify_holds(v, sym_add(&v->s, b, sym_const(&v->s, 1), -1), "the divisor may be below 1");
	int64_t lo, hi;
	sym_range(&v->s, a, &lo, &hi);
	if (q || lo < 0 || !b) return q;
	return free_value(v, "quotient", sym_const(&v->s, 0), a, a->varies || b->varies);
}

static void walk_alu(Verifier *v, const PearlInsn *i)
{
	const int64_t *f = i->field;
	const Sym *b = f[F_ALU_use_imm] ? sym_const(&v->s, f[F_ALU_imm]) : verify_reg(v, f[F_ALU_b]);
	const Sym *a = i->op == I_MOVI ? b : verify_reg(v, f[F_ALU_a]);
	switch (i->op) {
	case I_ADD: b = sym_add(&v->s, a, b, 1); break;
	case I_SUB: b = sym_add(&v->s, a, b, -1); break;
	case I_MUL: b = sym_mul(&v->s, a, b); break;
	case I_FDIV: b = quotient(v, a, b); break;
	case I_MIN: b = sym_min(&v->s, a, b); break;
	case I_MAX: b = sym_max(&v->s, a, b); break;
	default: break;
	}
	set_reg(v, f[F_ALU_dst], b);
}

static void walk_get(Verifier *v, const PearlInsn *i)
{
	int64_t what = i->field[F_GET_what];
	const Sym *value = NULL;
	if (i->op == I_PARAM)
		value = v->param[what];
	else if (i->op == I_CORE) {
		const Sym *cores = sym_const(&v->s, v->p->machine.cores);
		value = what ? cores
		             : free_value(v, "core", sym_const(&v->s, 0),
		                          sym_add(&v->s, cores, sym_const(&v->s, 1), -1), true);
	} else if (what >= v->n_loop) {
		verify_error(v, "there are only %u loops around", v->n_loop);
	} else {
		const LoopState *l = &v->loop[v->n_loop - 1 - (uint32_t)what];
		uint32_t stage = what == 0 ? i->stage : 0;
		if (i->op == I_IDX)
			value = l->index[stage];
		else if (i->op == I_OFF)
			value = sym_mul(&v->s, l->index[stage], sym_const(&v->s, l->tile));
		else
			value = l->len[stage];
	}
	set_reg(v, i->field[F_GET_dst], value);
}

/* --- descriptors --------------------------------------------------------------------------------------------------- */

static void walk_ldd(Verifier *v, const PearlInsn *i)
{
	DescState *s = &v->r.desc[i->field[F_LDD_slot]];
	const PearlDesc *d = &v->p->descs.at[i->field[F_LDD_entry]];
	*s = (DescState){.set = true,
	                 .stage = stages_around(v) > 1 ? (int8_t)i->stage : (int8_t)-1,
	                 .set_stage = -1,
	                 .entry = (uint32_t)i->field[F_LDD_entry]};
	s->base = sym_const(&v->s, d->base);
	for (uint32_t k = 0; k < d->rank; k++) {
		s->dim[k] = sym_const(&v->s, d->dim[k]);
		s->stride[k] = sym_const(&v->s, d->stride[k]);
	}
	for (uint32_t k = 0; k < 2; k++) {
		s->start[k] = sym_const(&v->s, d->window[k].start);
		s->limit[k] = sym_const(&v->s, d->window[k].limit);
	}
}

static void walk_setd(Verifier *v, const PearlInsn *i)
{
	const int64_t *f = i->field;
	DescState *s = &v->r.desc[f[F_SETD_slot]];
	const Sym *value = verify_reg(v, f[F_SETD_src]);
	if (!s->set) {
		verify_error(v, "d%lld is set, but not loaded on every way here",
		             (long long)f[F_SETD_slot]);
		return;
	}
	int8_t stage = stages_around(v) > 1 ? (int8_t)i->stage : (int8_t)-1;
	if ((s->stage >= 0 && s->stage != stage) || (s->set_stage >= 0 && s->set_stage != stage)) {
		verify_error(v, "d%lld belongs to another stage of the loop", (long long)f[F_SETD_slot]);
		return;
	}
	s->set_stage = stage;
	const PearlDesc *d = &v->p->descs.at[s->entry];
	uint32_t k = (uint32_t)f[F_SETD_index];
	if ((f[F_SETD_field] == DF_DIM || f[F_SETD_field] == DF_STRIDE) && k >= d->rank) {
		verify_error(v, "dimension %u of a descriptor of rank %u is set", k, d->rank);
		return;
	}
	if ((f[F_SETD_field] == DF_START || f[F_SETD_field] == DF_LIMIT) && !d->window[k].on) {
		verify_error(v, "window %u is set, which the descriptor does not have", k);
		return;
	}
	switch (f[F_SETD_field]) {
	case DF_BASE: s->base = sym_add(&v->s, sym_const(&v->s, d->base), value, 1); break;
	case DF_DIM: s->dim[k] = value; break;
	case DF_STRIDE: s->stride[k] = value; break;
	case DF_START: s->start[k] = value; break;
	default: s->limit[k] = value; break;
	}
}

/* What the body that begins after instruction `at` overwrites is unknown: values of registers, fields
 * that are set; a slot that is loaded anew may hold either descriptor. */
static void forget_body(Verifier *v, uint32_t at)
{
	uint32_t depth = 1;
	for (uint32_t k = at + 1; depth; k++) {
		const PearlInsn *i = &v->p->code.at[k];
		const int64_t *f = i->field;
		if (i->op == I_LOOP)
			depth++;
		else if (i->op == I_ENDL)
			depth--;
		PearlFormat format = pearl_insn[i->op].format;
		int64_t dst = format == FMT_ALU   ? f[F_ALU_dst]
		              : format == FMT_GET ? f[F_GET_dst]
		              : format == FMT_LDI ? f[F_LDI_dst]
		                                  : -1;
		if (dst >= 0) v->r.reg[dst].v = NULL;
		if (i->op == I_LDD) v->r.desc[f[F_LDD_slot]].set = false;
		if (i->op != I_SETD) continue;
		DescState *s = &v->r.desc[f[F_SETD_slot]];
		uint32_t n = (uint32_t)f[F_SETD_index];
		if (f[F_SETD_field] == DF_BASE)
			s->base = NULL;
		else if (f[F_SETD_field] == DF_DIM)
			s->dim[n] = NULL;
		else if (f[F_SETD_field] == DF_STRIDE)
			s->stride[n] = NULL;
		else if (f[F_SETD_field] == DF_START)
			s->start[n] = NULL;
		else
			s->limit[n] = NULL;
	}
}

static const Sym *join_value(const Sym *a, const Sym *b)
{
	return a == b || sym_equal(a, b) ? a : NULL;
}

static void join(Registers *into, const Registers *other)
{
	for (uint32_t k = 0; k < PEARL_REGS; k++) {
		RegState *a = &into->reg[k];
		a->set = a->set && other->reg[k].set;
		a->v = join_value(a->v, other->reg[k].v);
	}
	for (uint32_t k = 0; k < PEARL_NONE; k++) {
		DescState *a = &into->desc[k];
		const DescState *b = &other->desc[k];
		a->set = a->set && b->set && a->entry == b->entry;
		a->base = join_value(a->base, b->base);
		for (uint32_t n = 0; n < PEARL_RANK; n++) {
			a->dim[n] = join_value(a->dim[n], b->dim[n]);
			a->stride[n] = join_value(a->stride[n], b->stride[n]);
		}
		for (uint32_t n = 0; n < 2; n++) {
			a->start[n] = join_value(a->start[n], b->start[n]);
			a->limit[n] = join_value(a->limit[n], b->limit[n]);
		}
	}
}

/* --- control ----------------------------------------------------------------------------------------------------------- */

static NestState *push(Verifier *v, PearlOpcode kind)
{
	if (!v->nest[v->n_nest]) v->nest[v->n_nest] = NEW(v->arena, NestState);
	NestState *n = v->nest[v->n_nest++];
	n->kind = kind;
	n->at = v->insn;
	n->facts = v->s.facts.n;
	n->dead = v->dead;
	n->varies = v->varies;
	memcpy(n->count, v->count, sizeof n->count);
	return n;
}

static void add_fact(Verifier *v, const Sym *e)
{
	int64_t lo, hi;
	if (!e) return;
	sym_range(&v->s, e, &lo, &hi);
	if (hi < 0) v->dead = true;
	if (lo < 0) vec_push(v->arena, &v->s.facts, e);
}

/* Iterations of l: one atom for each stage, since stages see different ones. */
static void make_indices(Verifier *v, LoopState *l, bool varies)
{
	SymSpace *s = &v->s;
	const char *name = arena_printf(v->arena, "i%u", v->n_loop);
	const Sym *last = sym_add(s, l->n, sym_const(s, 1), -1);
	int64_t lo, hi;
	sym_range(s, last, &lo, &hi);
	for (uint32_t k = 0; k < l->stages; k++) {
		SymAtom x = {.kind = ATOM_INDEX,
		             .name = l->stages > 1 ? arena_printf(v->arena, "%s@%u", name, k) : name,
		             .lo = 0,
		             .hi = hi,
		             .scale = l->tile,
		             .high = {last, NULL},
		             .varies = varies};
		if (hi != INT64_MAX) x.hi = hi < 0 ? 0 : hi / l->tile;
		l->index[k] = hi >= 0 && hi < l->tile ? sym_const(s, 0) : sym_atom(s, sym_new(s, x));
		const Sym *rest = sym_add(s, l->n, sym_mul(s, l->index[k], sym_const(s, l->tile)), -1);
		size_t made = s->atoms.n;
		l->len[k] = sym_min(s, sym_const(s, l->tile), rest);
		int64_t c;
		if (!l->len[k] || sym_is_const(l->len[k], &c)) continue;
		/* an iteration is not empty: as a minimum its range is known better than by its parts */
		if (s->atoms.n > made && s->atoms.at[made].lo < 1) s->atoms.at[made].lo = 1;
	}
}

static void check_par(Verifier *v, uint32_t at)
{
	/* in the body of the par loop around, this loop is the only thing but scalar code and loads */
	const NestState *outer = v->n_nest > 1 ? v->nest[v->n_nest - 2] : NULL;
	bool inside = false;
	for (uint32_t k = 0; k + 1 < v->n_loop; k++) inside |= v->loop[k].par;
	if (!inside) return;
	if (!outer || outer->kind != I_LOOP || !v->loop[v->n_loop - 2].par) {
		verify_error(v, "a par loop lies in a par loop, but not directly");
		return;
	}
	uint32_t depth = 0;
	for (uint32_t k = outer->at + 1;; k++) {
		const PearlInsn *i = &v->p->code.at[k];
		if (depth == 0 && i->op == I_ENDL) return;
		if (i->op == I_ENDL || i->op == I_ENDIF) depth--;
		PearlQueue q = pearl_insn[i->op].queue;
		bool other = depth == 0 && k != at &&
		             (i->op == I_LOOP || i->op == I_IF || i->op == I_LDI || (q != Q_S && q != Q_L));
		if (other) {
			verify_error(v, "a par loop lies in a par loop beside other work");
			return;
		}
		if (i->op == I_LOOP || i->op == I_IF) depth++;
	}
}

static void walk_loop(Verifier *v, const PearlInsn *i)
{
	const int64_t *f = i->field;
	const Sym *n =
		f[F_LOOP_use_imm] ? sym_const(&v->s, f[F_LOOP_n]) : verify_reg(v, f[F_LOOP_n_reg]);
	NestState *nest = push(v, I_LOOP);
	bool varies = !n || n->varies || f[F_LOOP_par];
	if (!n) n = free_value(v, "count", NULL, NULL, true);
	LoopState *l = &v->loop[v->n_loop++];
	*l = (LoopState){.n = n,
	                 .tile = f[F_LOOP_tile],
	                 .stages = f[F_LOOP_stages] > 1 ? (uint32_t)f[F_LOOP_stages] : 1,
	                 .par = f[F_LOOP_par]};
	if (l->par) check_par(v, v->insn);
	add_fact(v, sym_add(&v->s, n, sym_const(&v->s, 1), -1));
	make_indices(v, l, f[F_LOOP_par]);
	v->varies |= varies;
	forget_body(v, v->insn);
	nest->before = v->r;
}

/* Counts must be what they were. */
static void compare_counts(Verifier *v, const uint8_t *was, const char *what)
{
	for (uint32_t k = 0; k < v->p->tokens.n; k++)
		if (v->count[k] != was[k])
			verify_error(v, "token `%s` (#%u): %s by %+d", v->p->tokens.at[k].name, k, what,
			             v->count[k] - was[k]);
}

static void pop(Verifier *v, const NestState *n)
{
	v->s.facts.n = n->facts;
	v->dead = n->dead;
	v->varies = n->varies;
	v->n_nest--;
}

static void walk_endl(Verifier *v)
{
	const NestState *n = v->nest[v->n_nest - 1];
	compare_counts(v, n->count, "a pass of the loop changes its count");
	memcpy(v->count, n->count, sizeof v->count);
	v->r = n->before;
	v->n_loop--;
	pop(v, n);
}

/* Facts of the branch in which a rel b holds, or does not. */
static void branch_facts(Verifier *v, int64_t rel, const Sym *a, const Sym *b, bool holds)
{
	SymSpace *s = &v->s;
	const Sym *one = sym_const(s, 1), *up = sym_add(s, b, a, -1),
			  *down = sym_add(s, a, b, -1); /* b - a, a - b */
	bool equal = (rel == PREL_EQ && holds) || (rel == PREL_NE && !holds);
	if (rel == PREL_LT) add_fact(v, holds ? sym_add(s, up, one, -1) : down);
	if (rel == PREL_LE) add_fact(v, holds ? up : sym_add(s, down, one, -1));
	if (equal) add_fact(v, up), add_fact(v, down);
}

static void walk_if(Verifier *v, const PearlInsn *i)
{
	const int64_t *f = i->field;
	const Sym *a = verify_reg(v, f[F_COND_a]);
	const Sym *b = f[F_COND_use_imm] ? sym_const(&v->s, f[F_COND_imm]) : verify_reg(v, f[F_COND_b]);
	NestState *n = push(v, I_IF);
	n->a = a;
	n->b = b;
	n->before = v->r;
	v->varies |= !a || !b || a->varies || b->varies;
	branch_facts(v, f[F_COND_rel], a, b, true);
}

static void walk_else(Verifier *v)
{
	NestState *n = v->nest[v->n_nest - 1];
	n->kind = I_ELSE;
	n->after = v->r;
	memcpy(n->after_count, v->count, sizeof v->count);
	v->r = n->before;
	memcpy(v->count, n->count, sizeof v->count);
	v->s.facts.n = n->facts;
	v->dead = n->dead;
	branch_facts(v, v->p->code.at[n->at].field[F_COND_rel], n->a, n->b, false);
}

static void walk_endif(Verifier *v)
{
	NestState *n = v->nest[v->n_nest - 1];
	bool other = n->kind == I_ELSE;
	compare_counts(v, other ? n->after_count : n->count,
	               other ? "the second branch changes its count otherwise,"
	                     : "the branch changes its count");
	join(&v->r, other ? &n->after : &n->before);
	pop(v, n);
}

static void walk_barrier(Verifier *v)
{
	bool par = false;
	for (uint32_t k = 0; k < v->n_loop; k++) par |= v->loop[k].par;
	if (par)
		verify_error(v, "a barrier in a par loop: not all cores come here equally often");
	else if (v->varies)
		verify_error(v, "a barrier under a choice or loop that differs between cores");
}

/* --- tokens and instructions ------------------------------------------------------------------------------------------------ */

static void walk_tokens(Verifier *v, const PearlInsn *i)
{
	for (uint32_t k = 0; k < 2; k++) {
		if (!i->wait[k]) continue;
		uint32_t t = i->wait[k] - 1u;
		if (v->count[t])
			v->count[t]--;
		else
			verify_error(
				v,
				"it waits for token `%s` (#%u), which nothing before it in program order signals: deadlock",
				v->p->tokens.at[t].name, t);
	}
	for (uint32_t k = 0; k < 2; k++) {
		if (!i->signal[k]) continue;
		uint32_t t = i->signal[k] - 1u;
		if (v->count[t] < v->p->tokens.at[t].capacity)
			v->count[t]++;
		else
			verify_error(v, "it signals token `%s` (#%u), which is at its capacity of %u: deadlock",
			             v->p->tokens.at[t].name, t, v->p->tokens.at[t].capacity);
	}
}

static void walk_ldi(Verifier *v, const PearlInsn *i)
{
	const Sym *lo = verify_reg(v, i->field[F_LDI_lo]), *hi = verify_reg(v, i->field[F_LDI_hi]);
	verify_access(v, i);
	set_reg(v, i->field[F_LDI_dst], free_value(v, "loaded", lo, hi, true));
}

static void walk_insn(Verifier *v, const PearlInsn *i)
{
	walk_tokens(v, i);
	switch (i->op) {
	case I_LOOP: walk_loop(v, i); break;
	case I_ENDL: walk_endl(v); break;
	case I_IF: walk_if(v, i); break;
	case I_ELSE: walk_else(v); break;
	case I_ENDIF: walk_endif(v); break;
	case I_LDD: walk_ldd(v, i); break;
	case I_SETD: walk_setd(v, i); break;
	case I_LDI: walk_ldi(v, i); break;
	case I_BAR: walk_barrier(v); break;
	case I_MARK: v->launch = (uint32_t)i->field[F_MARK_number]; break;
	case I_NOP: break;
	default:
		if (pearl_insn[i->op].format == FMT_ALU)
			walk_alu(v, i);
		else if (pearl_insn[i->op].format == FMT_GET)
			walk_get(v, i);
		else
			verify_access(v, i);
	}
}

static void walk_entry(Verifier *v, uint32_t number)
{
	const PearlCode *e = &v->p->entries.at[number];
	size_t atoms = v->s.atoms.n, facts = v->s.facts.n;
	v->entry = &v->p->interface->entry[number];
	v->launch = UINT32_MAX;
	v->n_loop = v->n_nest = 0;
	v->dead = v->varies = false;
	for (uint32_t k = 0; k < v->entry->n_require; k++) {
		const Sym *f = expression(v, v->entry->require[k]);
		if (f) vec_push(v->arena, &v->s.facts, f);
	}
	memset(&v->r, 0, sizeof v->r);
	uint8_t initial[PEARL_TOKENS] = {0};
	for (uint32_t k = 0; k < v->p->tokens.n; k++)
		initial[k] = v->count[k] = v->p->tokens.at[k].initial;
	for (uint32_t k = 0; k < e->count && v->errors < 50; k++) {
		v->insn = e->first + k;
		walk_insn(v, &v->p->code.at[v->insn]);
	}
	if (e->count && v->errors < 50)
		compare_counts(v, initial, "the entry leaves its count changed");
	sym_forget(&v->s, atoms);
	v->s.facts.n = facts;
}

/* What a parameter's range excludes altogether would make every proof hold. */
static bool ranges_hold(Verifier *v)
{
	for (uint32_t k = 0; k < v->p->interface->n_param; k++) {
		const SymAtom *x = &v->s.atoms.at[k];
		if (x->lo <= x->hi) continue;
		diag_error(v->d, span_none(), "parameter `%s` has an empty range", x->name);
		return false;
	}
	return true;
}

static int by_address(const void *a, const void *b)
{
	const PearlRegion *x = *(const PearlRegion *const *)a, *y = *(const PearlRegion *const *)b;
	if (x->space != y->space) return x->space < y->space ? -1 : 1;
	if (x->address != y->address) return x->address < y->address ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* What one region forbids to write no other region may allow. */
static bool rights_agree(Verifier *v)
{
	size_t n = v->p->regions.n;
	const PearlRegion **list = NEW_ARRAY(v->arena, const PearlRegion *, n + 1);
	for (size_t k = 0; k < n; k++) list[k] = &v->p->regions.at[k];
	if (n) qsort(list, n, sizeof *list, by_address);
	/* of those that begin before: the one of each right that reaches furthest */
	const PearlRegion *furthest[2] = {NULL, NULL};
	for (size_t k = 0; k < n; k++) {
		const PearlRegion *r = list[k];
		if (k && list[k - 1]->space != r->space) furthest[0] = furthest[1] = NULL;
		const PearlRegion *other = furthest[!r->writable], **mine = &furthest[r->writable];
		if (r->bytes == 0) continue;
		if (other && other->address + other->bytes > r->address) {
			diag_error(v->d, span_none(),
			           "regions `%s` and `%s` overlap, but only one of them may be written",
			           other->name, r->name);
			return false;
		}
		if (!*mine || (*mine)->address + (*mine)->bytes < r->address + r->bytes) *mine = r;
	}
	return true;
}

bool pearl_verify(Diags *d, const PearlProgram *p)
{
	uint32_t errors = d->errors, insn;
	Arena *a = arena_new();
	const char *why = pearl_check(a, p, &insn);
	if (why) {
		Span at = insn == UINT32_MAX ? span_none() : pearl_insn_span(p, &p->code.at[insn]);
		Diag *e = diag_error(d, at, "%s", why);
		if (insn != UINT32_MAX)
			diag_note(d, e, span_none(), "instruction %u, line %u: %s", insn, p->code.at[insn].line,
			          (uint32_t)p->code.at[insn].op < NUM_INSNS
			              ? pearl_insn[p->code.at[insn].op].mnemonic
			              : "?");
		arena_free(a);
		return false;
	}
	Verifier *v = NEW(a, Verifier);
	v->d = d;
	v->p = p;
	v->arena = v->s.arena = a;
	make_params(v);
	if (ranges_hold(v) && rights_agree(v))
		for (uint32_t k = 0; k < p->entries.n; k++) walk_entry(v, k);
	arena_free(a);
	if (d->errors == errors) verify_traces(d, p);
	return d->errors == errors;
}

bool pearl_verify_for(Diags *d, const PearlProgram *p, const PearlMachine *m)
{
	PearlProgram q = *p;
	q.machine = *m;
	return pearl_verify(d, &q);
}
