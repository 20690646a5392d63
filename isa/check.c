/* The structure of programs: every number names something that exists, every field that an
 * instruction does not use is zero, loops and choices nest. The reader refuses what fails here, and
 * the verifier begins with it, so that both may index tables freely afterwards. */
#include "isa/isa.h"

#include <string.h>

/* --- instructions ------------------------------------------------------------------------------- */

static bool is_control(PearlOpcode op)
{
	switch (op) {
	case I_NOP:
	case I_LOOP:
	case I_ENDL:
	case I_IF:
	case I_ELSE:
	case I_ENDIF:
	case I_BAR:
	case I_MARK: return true;
	default: return false;
	}
}

static const char *check_fields(Arena *a, const PearlInsn *i)
{
	PearlFormat format = pearl_insn[i->op].format;
	const PearlFieldInfo *f = pearl_format[format];
	uint32_t n = 0;
	for (; f[n].name; n++) {
		uint32_t width = (uint32_t)(f[n].hi - f[n].lo + 1);
		int64_t lo = 0, hi = (INT64_C(1) << width) - 1, v = i->field[n];
		if (f[n].kind == FK_SIMM) {
			lo = -(INT64_C(1) << (width - 1));
			hi = -lo - 1;
		}
		if (v < lo || v > hi)
			return arena_printf(a, "%s is %lld, it must lie in %lld..%lld", f[n].name, (long long)v,
			                    (long long)lo, (long long)hi);
		if (f[n].kind == FK_ENUM && !pearl_enum_name(format, n, v))
			return arena_printf(a, "%s has no value %lld", f[n].name, (long long)v);
	}
	for (; n < PEARL_FIELDS; n++)
		if (i->field[n]) return "a field is set that the format does not have";
	return NULL;
}

static const char *check_operands(Arena *a, const PearlInsn *i)
{
	for (uint32_t k = 0; k < 4; k++) {
		PearlOperand o;
		bool exists = pearl_operand(i->op, k, &o), present = i->desc[k] != PEARL_NONE;
		if (i->desc[k] > PEARL_NONE) return "a descriptor register above 62";
		if (!exists && present) return "more operands than the instruction has";
		if (exists && !present && !o.optional)
			return arena_printf(a, "operand %.*s is missing", o.name_len, o.name);
		if (!present && i->advance >> k & 1) return "the ring of an absent operand is advanced";
	}
	if (i->advance >> 4) return "the ring of an absent operand is advanced";
	return NULL;
}

static const char *check_tokens(Arena *a, const PearlProgram *p, const PearlInsn *i)
{
	PearlQueue queue = pearl_insn[i->op].queue;
	for (uint32_t k = 0; k < 4; k++) {
		uint8_t t = k < 2 ? i->wait[k] : i->signal[k - 2];
		if (!t) continue;
		if (t > p->tokens.n) return arena_printf(a, "token %u does not exist", t - 1u);
		const PearlToken *x = &p->tokens.at[t - 1];
		if (queue == Q_S && (i->op != I_LDI || k >= 2))
			return "the scalar unit neither signals nor waits (only `ldi` waits)";
		PearlQueue end = (PearlQueue)(k < 2 ? x->consumer : x->producer);
		if (end != queue)
			return arena_printf(a, "%s `%s`, whose %s is queue %s", k < 2 ? "waits for" : "signals",
			                    x->name, k < 2 ? "consumer" : "producer", pearl_queue_name[end]);
	}
	if ((!i->wait[0] && i->wait[1]) || (!i->signal[0] && i->signal[1]))
		return "the second wait or signal is used before the first";
	return NULL;
}

static const char *check_scalar(const PearlProgram *p, const PearlInsn *i)
{
	const int64_t *f = i->field;
	switch (pearl_insn[i->op].format) {
	case FMT_ALU:
		if (i->op == I_MOVI && (!f[F_ALU_use_imm] || f[F_ALU_a]))
			return "`movi` takes an immediate and nothing else";
		if (f[F_ALU_use_imm] ? f[F_ALU_b] : f[F_ALU_imm])
			return "both a register and an immediate are given";
		return i->op == I_FDIV && f[F_ALU_use_imm] && f[F_ALU_imm] < 1
		           ? "division by an immediate below 1"
		           : NULL;
	case FMT_COND:
		return (f[F_COND_use_imm] ? f[F_COND_b] : f[F_COND_imm])
		           ? "both a register and an immediate are given"
		           : NULL;
	case FMT_GET:
		if (i->op == I_PARAM && f[F_GET_what] >= p->interface->n_param)
			return "there is no such parameter";
		if (i->op == I_CORE && f[F_GET_what] > 1)
			return "`core` gives 0 (this one) or 1 (how many)";
		return i->op != I_PARAM && i->op != I_CORE && f[F_GET_what] >= PEARL_LEVELS
		           ? "loops nest at most 8 deep"
		           : NULL;
	case FMT_LOOP:
		if (f[F_LOOP_tile] < 1) return "the tile of a loop is 0";
		if (f[F_LOOP_par] && f[F_LOOP_stages] > 1) return "a par loop has no stages";
		return (f[F_LOOP_use_imm] ? f[F_LOOP_n_reg] : f[F_LOOP_n])
		           ? "both a register and an immediate are given"
		           : NULL;
	case FMT_LDD:
		if (f[F_LDD_slot] >= PEARL_NONE) return "a descriptor register above 62";
		return f[F_LDD_entry] >= (int64_t)p->descs.n ? "there is no such descriptor in the table"
		                                             : NULL;
	case FMT_SETD: {
		static const int64_t most[NUM_DFIELDS] = {0, PEARL_RANK - 1, PEARL_RANK - 1, 1, 1};
		if (f[F_SETD_slot] >= PEARL_NONE) return "a descriptor register above 62";
		return f[F_SETD_index] > most[f[F_SETD_field]] ? "the descriptor has no such field" : NULL;
	}
	default: return NULL;
	}
}

const char *pearl_check_insn(Arena *a, const PearlProgram *p, const PearlInsn *i)
{
	if ((uint32_t)i->op >= NUM_INSNS) return "unknown instruction";
	if (i->stage >= PEARL_STAGES || i->group > 3) return "a stage above 7 or a group above 3";
	if (is_control(i->op) && i->stage) return "control has no stage";
	if (pearl_insn[i->op].queue == Q_S && i->group) return "a group without a matrix";
	const char *why = check_fields(a, i);
	if (!why) why = check_operands(a, i);
	if (!why) why = check_tokens(a, p, i);
	if (!why) why = check_scalar(p, i);
	return why;
}

/* --- tables -------------------------------------------------------------------------------------- */

const char *pearl_check_desc(Arena *a, const PearlProgram *p, const PearlDesc *d)
{
	if (d->space >= NUM_SPACES || d->dtype >= pearl_dtypes) return "unknown memory or element type";
	if (d->rank > PEARL_RANK) return "more than 5 dimensions";
	if (d->ring < 1) return "a ring without slots";
	if (d->ring == 1 && d->ring_stride) return "a distance between slots without a ring";
	if (d->region >= p->regions.n) return "the region does not exist";
	if (p->regions.at[d->region].space != d->space)
		return arena_printf(a, "region `%s` lies in another memory", p->regions.at[d->region].name);
	for (uint32_t k = 0; k < PEARL_RANK; k++) {
		if (d->dim_len[k] > PEARL_LEVELS) return "loops nest at most 8 deep";
		if (k >= d->rank && (d->dim[k] || d->dim_len[k] || d->stride[k]))
			return "a dimension beyond the rank";
		if (k < d->rank && d->dim[k] < 0) return "a negative dimension";
	}
	if (d->n_step > PEARL_STEPS) return "more than 4 steps";
	for (uint32_t k = 0; k < d->n_step; k++)
		if (d->step[k].level >= PEARL_LEVELS) return "loops nest at most 8 deep";
	for (uint32_t k = 0; k < 2; k++) {
		if (!d->window[k].on && (d->window[k].dim || d->window[k].start || d->window[k].limit))
			return "limits without a window";
		if (d->window[k].on && d->window[k].dim >= d->rank) return "a window beyond the rank";
	}
	if (d->window[0].on && d->window[1].on && d->window[0].dim == d->window[1].dim)
		return "both windows lie on one dimension";
	return NULL;
}

static int64_t space_bytes(const PearlMachine *m, uint8_t space)
{
	switch (space) {
	case SPACE_HBM: return m->hbm_bytes;
	case SPACE_GSM: return m->gsm_bytes;
	case SPACE_SPM: return m->spm_bytes;
	default: return m->acc_rows * m->array_cols * 4;
	}
}

static const char *check_regions(Arena *a, const PearlProgram *p)
{
	if (p->regions.n > UINT16_MAX) return "more than 65535 regions";
	for (uint32_t k = 0; k < p->regions.n; k++) {
		const PearlRegion *r = &p->regions.at[k];
		if (r->space >= NUM_SPACES) return arena_printf(a, "region %u: unknown memory", k);
		int64_t size = space_bytes(&p->machine, r->space);
		if (r->address < 0 || r->bytes < 0 || r->address > size || r->bytes > size - r->address)
			return arena_printf(a, "region `%s`: bytes %lld..%lld leave %s, which has %lld",
			                    r->name, (long long)r->address,
			                    (long long)((uint64_t)r->address + (uint64_t)r->bytes),
			                    pearl_space_name[r->space], (long long)size);
		if (r->tensor < -1 || r->tensor >= (int64_t)p->interface->n_tensor)
			return arena_printf(a, "region `%s`: its tensor does not exist", r->name);
	}
	return NULL;
}

static bool expr_fits(const ExprWord *e)
{
	for (uint32_t n = 0; e && e[n].code != EXPR_END; n++)
		if (n + 1 >= PEARL_EXPR_WORDS) return false;
	return true;
}

static bool exprs_fit(const Interface *i)
{
	bool fit = true;
	for (uint32_t k = 0; k < i->n_param; k++)
		fit = fit && expr_fits(i->param[k].lo) && expr_fits(i->param[k].hi);
	for (uint32_t k = 0; k < i->n_require; k++) fit = fit && expr_fits(i->require[k]);
	for (uint32_t k = 0; k < i->n_tensor; k++) {
		const InterfaceTensor *t = &i->tensor[k];
		for (uint32_t d = 0; d < t->rank; d++) fit = fit && expr_fits(t->dim[d]);
		fit = fit && expr_fits(t->bytes);
	}
	for (uint32_t k = 0; k < i->n_entry; k++) {
		const InterfaceEntry *e = &i->entry[k];
		for (uint32_t n = 0; n < e->n_set; n++) fit = fit && expr_fits(e->set_value[n]);
		for (uint32_t n = 0; n < e->n_require; n++) fit = fit && expr_fits(e->require[n]);
	}
	return fit;
}

static const char *check_tables(Arena *a, const PearlProgram *p)
{
	const char *why = pearl_machine_check(a, &p->machine);
	if (why) return arena_printf(a, "machine: %s", why);
	why = check_regions(a, p);
	if (why) return why;
	if (p->tokens.n > PEARL_TOKENS) return "more than 127 tokens";
	for (uint32_t k = 0; k < p->tokens.n; k++) {
		const PearlToken *t = &p->tokens.at[k];
		if (t->producer >= NUM_QUEUES || t->consumer >= NUM_QUEUES || t->producer == Q_S)
			return arena_printf(a, "token `%s`: no such pair of queues", t->name);
		if (t->capacity < 1 || t->initial > t->capacity)
			return arena_printf(a, "token `%s`: starts at %u of %u", t->name, t->initial,
			                    t->capacity);
	}
	for (uint32_t k = 0; k < p->descs.n; k++) {
		why = pearl_check_desc(a, p, &p->descs.at[k]);
		if (why) return arena_printf(a, "descriptor %u: %s", k, why);
	}
	if (p->weights.bytes > (uint64_t)p->machine.hbm_bytes)
		return "the weights do not fit the memory";
	for (uint32_t k = 0; k < p->interface->n_tensor; k++) {
		const InterfaceTensor *t = &p->interface->tensor[k];
		if (t->dtype >= pearl_dtypes || t->kind > IT_CONST || t->rank > 8)
			return arena_printf(a, "tensor `%s` has an unknown element type, kind or rank",
			                    t->name);
	}
	for (uint32_t k = 0; k < p->interface->n_param; k++)
		if (p->interface->param[k].kind > IP_STATE) return "a parameter of an unknown kind";
	return exprs_fit(p->interface) ? NULL : "a size expression is too long";
}

/* --- nesting --------------------------------------------------------------------------------------- */

enum { MOST_NESTED = 64 };
typedef struct Nest {
	PearlOpcode kind[MOST_NESTED]; /* I_LOOP, I_IF or I_ELSE */
	uint32_t stages[MOST_NESTED];
	uint32_t n, loops;
} Nest;

static const char *nest_open(Nest *x, const PearlInsn *i)
{
	if (x->n == MOST_NESTED) return "loops and choices nest more than 64 deep";
	if (x->n && x->stages[x->n - 1]) return "the body of a staged loop is not straight-line";
	x->kind[x->n] = i->op;
	int64_t stages = i->op == I_LOOP ? i->field[F_LOOP_stages] : 0;
	x->stages[x->n++] = stages > 1 ? (uint32_t)stages : 0;
	if (i->op == I_LOOP && ++x->loops > PEARL_LEVELS) return "loops nest more than 8 deep";
	return NULL;
}

static const char *nest_insn(Nest *x, const PearlInsn *i)
{
	PearlOpcode top = x->n ? x->kind[x->n - 1] : I_NOP;
	switch (i->op) {
	case I_LOOP:
	case I_IF: return nest_open(x, i);
	case I_ELSE:
		if (top != I_IF) return "`else` without an `if`";
		x->kind[x->n - 1] = I_ELSE;
		return NULL;
	case I_ENDIF:
		if (top != I_IF && top != I_ELSE) return "`endif` without an `if`";
		x->n--;
		return NULL;
	case I_ENDL:
		if (top != I_LOOP) return "`endl` without a `loop`";
		x->n--;
		x->loops--;
		return NULL;
	case I_BAR:
	case I_MARK:
		return x->n && x->stages[x->n - 1] ? "a barrier or mark in the body of a staged loop"
		                                   : NULL;
	default: break;
	}
	uint32_t stages = x->n ? x->stages[x->n - 1] : 0;
	if (i->stage && i->stage >= stages) return "a stage that the loop around does not have";
	return NULL;
}

static const char *check_entry(Arena *a, const PearlProgram *p, const PearlCode *e, uint32_t *insn)
{
	Nest nest = {.n = 0};
	for (uint32_t k = 0; k < e->count; k++) {
		const PearlInsn *i = &p->code.at[e->first + k];
		*insn = e->first + k;
		const char *why = pearl_check_insn(a, p, i);
		if (!why) why = nest_insn(&nest, i);
		if (why) return why;
	}
	return nest.n ? "the code ends inside of a loop or choice" : NULL;
}

const char *pearl_check(Arena *a, const PearlProgram *p, uint32_t *insn)
{
	*insn = UINT32_MAX;
	const char *why = check_tables(a, p);
	if (why) return why;
	if (p->entries.n != p->interface->n_entry) return "the code has not one part for each entry";
	uint64_t at = 0;
	for (uint32_t k = 0; k < p->entries.n; k++) {
		const PearlCode *e = &p->entries.at[k];
		if (e->first != at || e->count > p->code.n - at) return "the entries do not cover the code";
		at += e->count;
		why = check_entry(a, p, e, insn);
		if (why) return why;
		*insn = UINT32_MAX;
	}
	return at == p->code.n ? NULL : "the entries do not cover the code";
}
