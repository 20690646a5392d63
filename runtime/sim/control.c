/* The scalar unit of a core: loops, stages, par loops, choices, registers, descriptors and rings,
 * exactly as isa.h says. It runs ahead of nothing: each call does one instruction, and hands out
 * queue instructions with their operands captured. */
#include "runtime/sim/internal.h"

#include <string.h>

bool sim_trap(PearlSim *s, const PearlInsn *at, const char *fmt, ...)
{
	if (s->trapped) return false;
	s->trapped = true;
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(s->diags->arena, fmt, ap);
	va_end(ap);
	if (at)
		diag_error(s->diags, span_none(), "Pearl stopped at instruction %lld (%s): %s",
		           (long long)(at - s->program->code.at), pearl_insn[at->op].mnemonic, text);
	else
		diag_error(s->diags, span_none(), "Pearl stopped: %s", text);
	return false;
}

bool sim_index_outside(PearlSim *s, int64_t check, int64_t index, int64_t limit)
{
	const Interface *f = s->program->interface;
	if (s->trapped || check < 1 || check > (int64_t)f->n_check) return false;
	CheckFailure x = {
		.index = index, .limit = limit, .find = s->options->find, .ctx = s->options->ctx};
	char text[512];
	check_message(text, sizeof text, f->check[check - 1], &x);
	s->trapped = true;
	diag_error(s->diags, span_none(), "%s", text);
	return false;
}

/* --- structure of the code ------------------------------------------------------------------------ */

static bool scan_error(Diags *d, uint32_t at, const char *text)
{
	diag_error(d, span_none(), "Pearl program: instruction %u: %s", at, text);
	return false;
}

/* Whether the par loop at `at` holds exactly one loop, a par one, beside scalar and L instructions. */
static bool is_outer_par(const PearlSim *s, uint32_t at, bool *loads)
{
	const PearlInsn *code = s->program->code.at;
	uint32_t children = 0;
	*loads = false;
	for (uint32_t k = at + 1; k < s->info[at].match; k++) {
		PearlQueue q = pearl_insn[code[k].op].queue;
		if (code[k].op == I_LOOP) {
			if (!code[k].field[F_LOOP_par] || children++) return false;
			k = s->info[k].match;
		} else if (q != Q_S && q != Q_L)
			return false;
		else if (code[k].op == I_IF || code[k].op == I_BAR)
			return false;
		else if (q == Q_L || code[k].op == I_LDI)
			*loads = true;
	}
	return children == 1;
}

static bool scan_entry(PearlSim *s, Diags *d, const PearlCode *entry)
{
	struct {
		uint32_t at;
		PearlOpcode op;
	} open[64];
	uint32_t depth = 0, loops = 0;
	const PearlInsn *code = s->program->code.at;
	for (uint32_t k = entry->first; k < entry->first + entry->count; k++) {
		PearlOpcode op = code[k].op;
		if (op == I_LOOP || op == I_IF) {
			if (depth == 64 || (op == I_LOOP && loops == PEARL_LEVELS))
				return scan_error(d, k, "loops or choices nest too deep");
			if (op == I_LOOP && (code[k].field[F_LOOP_tile] < 1 ||
			                     (code[k].field[F_LOOP_par] && code[k].field[F_LOOP_stages] > 1)))
				return scan_error(
					d, k, "a loop needs a tile of at least 1, and a par loop has no stages");
			loops += op == I_LOOP;
			open[depth].at = k;
			open[depth++].op = op;
		} else if (op == I_ELSE) {
			if (!depth || open[depth - 1].op != I_IF || s->info[open[depth - 1].at].orelse)
				return scan_error(d, k, "else without if");
			s->info[open[depth - 1].at].orelse = k;
		} else if (op == I_ENDL || op == I_ENDIF) {
			if (!depth || open[depth - 1].op != (op == I_ENDL ? I_LOOP : I_IF))
				return scan_error(d, k, "an end without its beginning");
			CodeInfo *begin = &s->info[open[--depth].at];
			begin->match = k;
			s->info[k].match = open[depth].at;
			if (op == I_ENDIF && begin->orelse) s->info[begin->orelse].match = k;
			if (op == I_ENDL) loops--;
		}
	}
	if (depth) return scan_error(d, open[depth - 1].at, "a loop or choice is never ended");
	for (uint32_t k = entry->first; k < entry->first + entry->count; k++)
		if (code[k].op == I_LOOP && code[k].field[F_LOOP_par])
			s->info[k].par = is_outer_par(s, k, &s->info[k].loads) ? PAR_OUTER : PAR_INNER;
	return true;
}

bool code_scan(PearlSim *s, Diags *d)
{
	const PearlProgram *p = s->program;
	s->info = NEW_ARRAY(s->arena, CodeInfo, p->code.n + 1);
	for (uint32_t k = 0; k < p->code.n; k++) {
		const PearlInsn *i = &p->code.at[k];
		if ((uint32_t)i->op >= NUM_INSNS || i->stage >= PEARL_STAGES)
			return scan_error(d, k, "it is malformed");
		for (uint32_t w = 0; w < 2; w++)
			if (i->wait[w] > p->tokens.n || i->signal[w] > p->tokens.n)
				return scan_error(d, k, "it names a token that there is not");
		const PearlFieldInfo *f = pearl_format[pearl_insn[i->op].format];
		for (uint32_t n = 0; f[n].name; n++)
			if (f[n].kind == FK_REG && (i->field[n] < 0 || i->field[n] >= PEARL_REGS))
				return scan_error(d, k, "it names a register that there is not");
	}
	for (uint32_t e = 0; e < p->entries.n; e++) {
		const PearlCode *c = &p->entries.at[e];
		if (c->first > p->code.n || c->count > p->code.n - c->first)
			return scan_error(d, c->first, "an entry ends beyond the code");
		if (!scan_entry(s, d, c)) return false;
	}
	return true;
}

void core_begin(PearlSim *s, Core *c, const PearlCode *entry)
{
	(void)s;
	c->pc = entry->first;
	c->end = entry->first + entry->count;
	c->depth = 0;
	c->turn = 0;
	c->steps = 0;
	c->launch = 0;
	memset(c->reg, 0, sizeof c->reg);
	memset(c->loaded, 0, sizeof c->loaded);
}

/* --- loops ------------------------------------------------------------------------------------------- */

static int64_t wrap_add(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}
static int64_t wrap_sub(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}
static int64_t wrap_mul(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a * (uint64_t)b);
}

static bool in_par(const Core *c)
{
	for (uint32_t k = 0; k < c->depth; k++)
		if (c->loop[k].par == PAR_INNER) return true;
	return false;
}

static int64_t loop_n(const Core *c, const PearlInsn *i)
{
	return i->field[F_LOOP_use_imm] ? i->field[F_LOOP_n] : c->reg[i->field[F_LOOP_n_reg]];
}

static bool get_value(PearlSim *s, const Core *c, const PearlInsn *i, int64_t *out)
{
	uint64_t what = (uint64_t)i->field[F_GET_what];
	if (i->op == I_CORE) {
		*out = what ? s->machine.cores : c->number;
		return true;
	}
	if (i->op == I_PARAM) {
		if (what >= s->program->interface->n_param)
			return sim_trap(s, i, "there is no parameter %llu", (unsigned long long)what);
		*out = s->params[what];
		return true;
	}
	if (what >= c->depth)
		return sim_trap(s, i, "there is no loop level %llu here", (unsigned long long)what);
	const LoopFrame *f = &c->loop[c->depth - 1 - what];
	int64_t idx = f->pass - (what == 0 ? i->stage : 0), off = idx * f->tile;
	*out = i->op == I_IDX         ? idx
	       : i->op == I_OFF       ? off
	       : f->n - off < f->tile ? f->n - off
	                              : f->tile;
	return true;
}

static bool alu(PearlSim *s, Core *c, const PearlInsn *i)
{
	int64_t a = c->reg[i->field[F_ALU_a]],
			b = i->field[F_ALU_use_imm] ? i->field[F_ALU_imm] : c->reg[i->field[F_ALU_b]], y = 0;
	switch (i->op) {
	case I_MOVI: y = i->field[F_ALU_imm]; break;
	case I_ADD: y = wrap_add(a, b); break;
	case I_SUB: y = wrap_sub(a, b); break;
	case I_MUL: y = wrap_mul(a, b); break;
	case I_FDIV:
		if (b <= 0) return sim_trap(s, i, "division by %lld", (long long)b);
		y = a / b - (a % b < 0);
		break;
	case I_MIN: y = a < b ? a : b; break;
	case I_MAX: y = a > b ? a : b; break;
	default: break;
	}
	c->reg[i->field[F_ALU_dst]] = y;
	return true;
}

/* Iterations of the par loops from the scalar code at pc on, up to and with the par loop found there:
 * run on a copy of the registers. */
static bool count_inside(PearlSim *s, Core *c, uint32_t pc, int64_t *total)
{
	int64_t saved[PEARL_REGS];
	memcpy(saved, c->reg, sizeof saved);
	bool done = true;
	*total = 0;
	for (;; pc++) {
		const PearlInsn *i = &s->program->code.at[pc];
		if (i->op == I_LOOP) {
			int64_t n = loop_n(c, i), tile = i->field[F_LOOP_tile],
					count = n > 0 ? (n - 1) / tile + 1 : 0;
			if (s->info[pc].par == PAR_INNER)
				*total = count;
			else
				for (int64_t k = 0; k < count && done; k++) {
					int64_t part;
					c->loop[c->depth++] =
						(LoopFrame){.n = n, .tile = tile, .count = count, .pass = k};
					done = count_inside(s, c, pc + 1, &part);
					c->depth--;
					*total += part;
				}
			break;
		}
		if (i->op == I_LDI)
			done = sim_trap(s, i, "an index is loaded between nested par loops");
		else if (i->op >= I_MOVI && i->op <= I_MAX)
			done = alu(s, c, i);
		else if (i->op >= I_PARAM && i->op <= I_CORE)
			done = get_value(s, c, i, &c->reg[i->field[F_GET_dst]]);
		if (!done) break;
	}
	memcpy(c->reg, saved, sizeof saved);
	return done;
}

/* Goes on with the next pass that this core takes part in, or leaves the loop. */
static bool loop_turn(PearlSim *s, Core *c, int64_t pass)
{
	LoopFrame *f = &c->loop[c->depth - 1];
	int64_t passes = f->count + (f->stages > 1 ? (int64_t)f->stages - 1 : 0),
			cores = s->machine.cores;
	if (f->par == PAR_INNER && pass < f->count) {
		/* of the iterations that remain, the first whose number is this core's */
		int64_t number = c->turn, skip = ((int64_t)c->number - number % cores + cores) % cores;
		if (skip >= f->count - pass) {
			c->turn += f->count - pass;
			pass = f->count;
		} else {
			c->turn += skip + 1;
			pass += skip;
		}
	}
	if (pass >= passes) {
		c->pc = f->end + 1;
		c->depth--;
		return true;
	}
	f->pass = pass;
	c->pc = f->body;
	f->loads = true;
	if (f->par == PAR_OUTER && s->info[f->body - 1].loads) {
		int64_t inside;
		if (!count_inside(s, c, f->body, &inside)) return false;
		int64_t skip = ((int64_t)c->number - c->turn % cores + cores) % cores;
		f->loads = skip < inside;
	}
	return true;
}

static bool loop_enter(PearlSim *s, Core *c, const PearlInsn *i)
{
	uint32_t at = (uint32_t)(i - s->program->code.at);
	int64_t n = loop_n(c, i), tile = i->field[F_LOOP_tile];
	if (c->depth == PEARL_LEVELS) return sim_trap(s, i, "loops nest too deep");
	uint8_t par = s->info[at].par;
	bool inside = false, first = true;
	for (uint32_t k = 0; k < c->depth; k++) {
		inside |= c->loop[k].par == PAR_INNER;
		first &= c->loop[k].par != PAR_OUTER;
	}
	if (inside)
		par = PAR_NONE;
	else if (par && first)
		c->turn = 0;
	LoopFrame *f = &c->loop[c->depth++];
	*f = (LoopFrame){.body = at + 1, .end = s->info[at].match, .n = n, .tile = tile, .par = par};
	f->count = n > 0 ? (n - 1) / tile + 1 : 0;
	f->stages = f->count ? (uint32_t)i->field[F_LOOP_stages] : 0;
	return loop_turn(s, c, 0);
}

static bool choose(const Core *c, const PearlInsn *i)
{
	int64_t a = c->reg[i->field[F_COND_a]],
			b = i->field[F_COND_use_imm] ? i->field[F_COND_imm] : c->reg[i->field[F_COND_b]];
	switch (i->field[F_COND_rel]) {
	case PREL_LT: return a < b;
	case PREL_LE: return a <= b;
	case PREL_EQ: return a == b;
	default: return a != b;
	}
}

/* --- descriptors ----------------------------------------------------------------------------------------- */

static bool set_descriptor(PearlSim *s, Core *c, const PearlInsn *i)
{
	uint64_t slot = (uint64_t)i->field[i->op == I_LDD ? F_LDD_slot : F_SETD_slot];
	if (slot >= PEARL_NONE)
		return sim_trap(s, i, "there is no descriptor register %llu", (unsigned long long)slot);
	PearlDesc *d = &c->desc[slot];
	if (i->op == I_LDD) {
		uint64_t entry = (uint64_t)i->field[F_LDD_entry];
		if (entry >= s->program->descs.n)
			return sim_trap(s, i, "there is no descriptor %llu", (unsigned long long)entry);
		*d = s->program->descs.at[entry];
		c->position[slot] = 0;
		c->loaded[slot] = true;
		return true;
	}
	int64_t v = c->reg[i->field[F_SETD_src]];
	uint64_t index = (uint64_t)i->field[F_SETD_index], field = (uint64_t)i->field[F_SETD_field];
	if (!c->loaded[slot])
		return sim_trap(s, i, "descriptor register %llu was never loaded",
		                (unsigned long long)slot);
	if (index >= (field == DF_START || field == DF_LIMIT ? 2u : PEARL_RANK))
		return sim_trap(s, i, "there is no field %llu", (unsigned long long)index);
	switch (field) {
	case DF_BASE: d->base = wrap_add(d->base, v); break;
	case DF_DIM: d->dim[index] = v; break;
	case DF_STRIDE: d->stride[index] = v; break;
	case DF_START: d->window[index].start = v; break;
	default: d->window[index].limit = v; break;
	}
	return true;
}

static void advance_rings(Core *c, const PearlInsn *i)
{
	for (uint32_t k = 0; k < 4; k++) {
		uint32_t slot = i->desc[k];
		if (!(i->advance >> k & 1) || slot >= PEARL_NONE) continue;
		uint32_t ring = c->desc[slot].ring ? c->desc[slot].ring : 1;
		c->position[slot] = (uint8_t)((c->position[slot] + 1u) % ring);
	}
}

/* --- dispatch --------------------------------------------------------------------------------------------- */

static bool stage_active(const Core *c, const PearlInsn *i)
{
	if (!c->depth) return true;
	const LoopFrame *f = &c->loop[c->depth - 1];
	int64_t iteration = f->pass - i->stage;
	return iteration >= 0 && iteration < f->count;
}

/* L instructions between nested par loops run only on cores that have an iteration inside. */
static bool loads_here(const Core *c)
{
	for (uint32_t k = 0; k < c->depth; k++)
		if (c->loop[k].par == PAR_OUTER && !c->loop[k].loads && !in_par(c)) return false;
	return true;
}

static bool capture(PearlSim *s, Core *c, const PearlInsn *i, SimStep *out)
{
	out->insn = i;
	out->at = (uint32_t)(i - s->program->code.at);
	out->core = c->number;
	out->active = stage_active(c, i);
	if (out->active) {
		for (uint32_t k = 0; k < 4; k++)
			if (!operand_resolve(s, c, i, k, &out->arg[k])) return false;
		switch (pearl_insn[i->op].format) {
		case FMT_DMA: out->reg[0] = c->reg[i->field[F_DMA_limit]]; break;
		case FMT_VEC: out->reg[0] = c->reg[i->field[F_VEC_reg]]; break;
		case FMT_SMX:
			out->reg[0] = c->reg[i->field[F_SMX_limit]];
			out->reg[1] = c->reg[i->field[F_SMX_first]];
			break;
		case FMT_LDI:
			out->reg[0] = c->reg[i->field[F_LDI_lo]];
			out->reg[1] = c->reg[i->field[F_LDI_hi]];
			break;
		default: break;
		}
	}
	advance_rings(c, i);
	return true;
}

StepKind core_step(PearlSim *s, Core *c, SimStep *out)
{
	if (c->pc >= c->end) return STEP_END;
	const PearlInsn *i = &s->program->code.at[c->pc];
	c->steps++;
	bool done = true;
	if (pearl_insn[i->op].queue != Q_S || i->op == I_LDI) {
		c->pc++;
		if (c->depth && pearl_insn[i->op].queue == Q_L && !loads_here(c)) return STEP_SCALAR;
		if (!capture(s, c, i, out)) return STEP_TRAP;
		return i->op == I_LDI ? STEP_INDEX : STEP_QUEUE;
	}
	switch (i->op) {
	case I_LOOP: return loop_enter(s, c, i) ? STEP_SCALAR : STEP_TRAP;
	case I_ENDL: return loop_turn(s, c, c->loop[c->depth - 1].pass + 1) ? STEP_SCALAR : STEP_TRAP;
	case I_IF:
		if (!choose(c, i))
			c->pc = s->info[c->pc].orelse ? s->info[c->pc].orelse : s->info[c->pc].match;
		break;
	case I_ELSE: c->pc = s->info[c->pc].match; break;
	case I_BAR: c->pc++; return STEP_BARRIER;
	case I_MARK:
		c->launch = (uint32_t)i->field[F_MARK_number];
		c->pc++;
		return STEP_MARK;
	case I_NOP:
	case I_ENDIF: break;
	default:
		if (!stage_active(c, i)) break;
		if (i->op == I_LDD || i->op == I_SETD)
			done = set_descriptor(s, c, i);
		else if (i->op >= I_PARAM && i->op <= I_CORE)
			done = get_value(s, c, i, &c->reg[i->field[F_GET_dst]]);
		else
			done = alu(s, c, i);
	}
	c->pc++;
	return done ? STEP_SCALAR : STEP_TRAP;
}

bool core_index(PearlSim *s, Core *c, const SimStep *step)
{
	if (!step->active) return true;
	const SimOperand *o = &step->arg[0];
	int32_t v = 0;
	if (!o->memory || o->empty || o->dtype != PDT_I32)
		return sim_trap(s, step->insn, "the index must be an i32");
	memcpy(&v, o->memory + o->address, sizeof v);
	if (v < step->reg[0] || v > step->reg[1]) {
		sim_index_outside(s, step->insn->field[F_LDI_check], v, step->reg[1] + 1);
		return sim_trap(s, step->insn, "the loaded index is %d, outside %lld..%lld", (int)v,
		                (long long)step->reg[0], (long long)step->reg[1]);
	}
	c->reg[step->insn->field[F_LDI_dst]] = v;
	return true;
}
