/* Instructions of .pasm text: MNEMONIC operands fields `wait` tokens `sig` tokens @stage `line` N.
 * A descriptor register is d0..d62, or the name of a descriptor of the table: then the register that
 * an `ldd` above has loaded it into. Loops may be named, and levels asked for by that name. */
#include "isa/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

uint32_t asm_reference(Assembler *s, SymbolKind k, uint32_t count, const char *what)
{
	uint32_t n = 0;
	if (asm_take(s, "#")) {
		n = (uint32_t)asm_int(s, 0, UINT32_MAX, "a number");
		if (!s->failed && n >= count) asm_error(s, "there is no %s #%u", what, n);
		return s->failed ? 0 : n;
	}
	Span at = asm_span(s);
	const char *name = asm_text(s, what);
	if (s->failed || symbol_find(&s->symbols, k, name, &n)) return s->failed ? 0 : n;
	Diag *d = asm_error_at(s, at, "there is no %s `%s`", what, name);
	const char *near = symbol_nearest(&s->symbols, k, name);
	if (near) diag_help(s->d, d, "did you mean `%s`?", near);
	return 0;
}

PearlQueue asm_queue(Assembler *s)
{
	for (uint32_t q = 0; q < NUM_QUEUES; q++)
		if (asm_take(s, pearl_queue_name[q])) return (PearlQueue)q;
	asm_error(s, "expected a queue: S, L, M, D, V, W or X");
	return Q_S;
}

/* A name made of `letter` and a number below `limit`: r5, d12. */
static bool numbered(const Assembler *s, char letter, uint32_t limit, uint32_t *out)
{
	if (s->failed || s->at.kind != LEX_NAME || s->at.text[0] != letter || !s->at.text[1])
		return false;
	uint32_t v = 0;
	for (const char *c = s->at.text + 1; *c; c++) {
		if (*c < '0' || *c > '9') return false;
		v = v * 10 + (uint32_t)(*c - '0');
		if (v >= limit) return false;
	}
	*out = v;
	return s->at.text[1] != '0' || !s->at.text[2];
}

static int64_t scalar_register(Assembler *s)
{
	uint32_t v = 0;
	if (numbered(s, 'r', PEARL_REGS, &v))
		asm_next(s);
	else
		asm_error(s, "expected a register: r0..r31");
	return v;
}

/* The operand form; a name of the table is taken for the register that holds it. */
static uint8_t desc_register(Assembler *s, bool names)
{
	uint32_t v = 0;
	if (numbered(s, 'd', PEARL_NONE, &v)) {
		asm_next(s);
		return (uint8_t)v;
	}
	if (!names || s->failed || s->at.kind != LEX_NAME) {
		asm_error(s, "expected a descriptor register: d0..d62");
		return 0;
	}
	Span at = asm_span(s);
	v = asm_reference(s, SYMBOL_DESC, (uint32_t)s->p->descs.n, "descriptor");
	if (s->failed) return 0;
	uint64_t held = s->desc_slot.at[v], first = 64 * (uint64_t)s->entries.n;
	if (held <= first) { /* loaded nowhere, or in an entry above */
		Diag *d = asm_error_at(s, at, "`%s` is in no register here", s->p->descs.at[v].name);
		diag_help(s->d, d, "load it above: ldd d0, %s", s->p->descs.at[v].name);
		return 0;
	}
	return (uint8_t)(held - first - 1);
}

static void comma(Assembler *s)
{
	asm_expect(s, ",");
}

static void register_or_number(Assembler *s, PearlInsn *i, uint32_t use_imm, uint32_t reg,
                               uint32_t imm)
{
	uint32_t v = 0;
	if (numbered(s, 'r', PEARL_REGS, &v)) {
		asm_next(s);
		i->field[reg] = v;
		return;
	}
	const PearlFieldInfo *f = &pearl_format[pearl_insn[i->op].format][imm];
	int64_t size = INT64_C(1) << (f->hi - f->lo + 1);
	i->field[use_imm] = 1;
	i->field[imm] = f->kind == FK_SIMM
	                    ? asm_int(s, -size / 2, size / 2 - 1, "a register or a number")
	                    : asm_int(s, 0, size - 1, "a register or a number");
}

/* How many loops out the loop is: a number, or the name of a loop around. */
static int64_t loop_level(Assembler *s)
{
	if (s->at.kind != LEX_NAME) return asm_int(s, 0, PEARL_LEVELS - 1, "the level of a loop");
	int64_t level = 0;
	for (uint32_t k = s->n_nest; k-- > 0;) {
		if (s->nest[k].kind != I_LOOP) continue;
		if (s->nest[k].name && asm_take(s, s->nest[k].name)) return level;
		level++;
	}
	asm_error(s, "no loop around is named `%s`", s->at.text);
	return 0;
}

static int64_t float_field(Assembler *s, bool integer)
{
	if (integer) return (int64_t)(uint32_t)asm_int(s, INT32_MIN, INT32_MAX, "a whole number");
	if (asm_take(s, "bits")) {
		asm_expect(s, "(");
		int64_t v = asm_int(s, 0, UINT32_MAX, "the bits of a float");
		asm_expect(s, ")");
		return v;
	}
	bool negative = asm_take(s, "-");
	float v = 0;
	if (asm_take(s, "inf"))
		v = INFINITY;
	else if (!s->failed && s->at.kind == LEX_NUMBER) {
		v = strtof(arena_strndup(s->arena, s->source->text + s->at.begin, s->at.end - s->at.begin),
		           NULL);
		asm_next(s);
	} else
		asm_error(s, "expected a number");
	if (negative) v = -v;
	uint32_t u;
	memcpy(&u, &v, sizeof u);
	return u;
}

static int64_t enum_field(Assembler *s, PearlFormat format, uint32_t field)
{
	const char *names[NUM_VFUNCS];
	uint32_t n = pearl_enum_count(format, field);
	if (s->failed || s->at.kind != LEX_NAME) {
		asm_error(s, "expected a function");
		return 0;
	}
	for (uint32_t v = 0; v < n; v++) {
		names[v] = pearl_enum_name(format, field, v);
		if (asm_take(s, names[v])) return v;
	}
	const char *near = nearest_name(s->at.text, names, n);
	Diag *d = asm_error_at(s, asm_span(s), "there is no function `%s`", s->at.text);
	if (near) diag_help(s->d, d, "did you mean `%s`?", near);
	return 0;
}

/* One field of the format by its name, with its value unless it is a flag. */
static bool take_field(Assembler *s, PearlInsn *i)
{
	PearlFormat format = pearl_insn[i->op].format;
	const PearlFieldInfo *f = pearl_format[format];
	for (uint32_t k = 0; f[k].name; k++) {
		if (!asm_take(s, f[k].name)) continue;
		if (f[k].kind == FK_FLAG) {
			i->field[k] = 1;
			return true;
		}
		asm_expect(s, "=");
		int64_t size = INT64_C(1) << (f[k].hi - f[k].lo + 1);
		switch (f[k].kind) {
		case FK_REG: i->field[k] = scalar_register(s); break;
		case FK_ENUM: i->field[k] = enum_field(s, format, k); break;
		case FK_F32: i->field[k] = float_field(s, i->op == I_V_IOTA); break;
		case FK_SIMM: i->field[k] = asm_int(s, -size / 2, size / 2 - 1, f[k].name); break;
		default: i->field[k] = asm_int(s, 0, size - 1, f[k].name); break;
		}
		return true;
	}
	return false;
}

static bool at_operand(const Assembler *s)
{
	uint32_t v;
	if (s->failed) return false;
	if (asm_is(s, "-") || numbered(s, 'd', PEARL_NONE, &v)) return true;
	return s->at.kind == LEX_NAME && symbol_find(&s->symbols, SYMBOL_DESC, s->at.text, &v);
}

static void take_operand(Assembler *s, PearlInsn *i, uint32_t k)
{
	if (asm_take(s, "-")) return;
	i->desc[k] = desc_register(s, true);
	if (asm_take(s, "+")) i->advance |= (uint8_t)(1u << k);
}

static void take_operands(Assembler *s, PearlInsn *i)
{
	PearlOperand o;
	if (!pearl_operand(i->op, 0, &o) || !at_operand(s)) return;
	for (uint32_t k = 0; k < 4; k++) {
		take_operand(s, i, k);
		if (!asm_take(s, ",")) return;
	}
	asm_error(s, "an instruction has at most 4 operands");
}

static void take_setd(Assembler *s, PearlInsn *i)
{
	i->field[F_SETD_slot] = desc_register(s, true);
	comma(s);
	bool found = false;
	for (uint32_t k = 0; k < NUM_DFIELDS && !found; k++) {
		if (!asm_take(s, pearl_dfield_name[k])) continue;
		i->field[F_SETD_field] = k;
		found = true;
	}
	if (!found) asm_error(s, "expected base, dim, stride, start or limit");
	if (i->field[F_SETD_field] != DF_BASE)
		i->field[F_SETD_index] = asm_int(s, 0, PEARL_RANK - 1, "which one");
	comma(s);
	i->field[F_SETD_src] = scalar_register(s);
}

static void take_loop(Assembler *s, PearlInsn *i, const char **name)
{
	register_or_number(s, i, F_LOOP_use_imm, F_LOOP_n_reg, F_LOOP_n);
	i->field[F_LOOP_tile] = 1;
	if (asm_take(s, "tile")) i->field[F_LOOP_tile] = asm_int(s, 1, (1 << 24) - 1, "the tile");
	i->field[F_LOOP_par] = asm_take(s, "par");
	if (asm_take(s, "stages")) i->field[F_LOOP_stages] = asm_int(s, 0, 7, "the number of stages");
	if (asm_take(s, "as")) *name = asm_text(s, "the name of the loop");
}

static void take_cond(Assembler *s, PearlInsn *i)
{
	i->field[F_COND_a] = scalar_register(s);
	bool found = false;
	for (uint32_t k = 0; k < NUM_PRELS && !found; k++) {
		if (!asm_take(s, pearl_rel_name[k])) continue;
		i->field[F_COND_rel] = k;
		found = true;
	}
	if (!found) asm_error(s, "expected lt, le, eq or ne");
	register_or_number(s, i, F_COND_use_imm, F_COND_b, F_COND_imm);
}

static void take_body(Assembler *s, PearlInsn *i, const char **name)
{
	switch (pearl_insn[i->op].format) {
	case FMT_ALU:
		i->field[F_ALU_dst] = scalar_register(s);
		comma(s);
		if (i->op != I_MOVI) {
			i->field[F_ALU_a] = scalar_register(s);
			comma(s);
		}
		register_or_number(s, i, F_ALU_use_imm, F_ALU_b, F_ALU_imm);
		break;
	case FMT_GET:
		i->field[F_GET_dst] = scalar_register(s);
		comma(s);
		if (i->op == I_PARAM)
			i->field[F_GET_what] =
				asm_reference(s, SYMBOL_PARAM, (uint32_t)s->params.n, "parameter");
		else
			i->field[F_GET_what] =
				i->op == I_CORE ? asm_int(s, 0, 1, "0 (this core) or 1 (how many)") : loop_level(s);
		break;
	case FMT_LOOP: take_loop(s, i, name); break;
	case FMT_COND: take_cond(s, i); break;
	case FMT_LDD: {
		uint8_t slot = desc_register(s, false);
		i->field[F_LDD_slot] = slot;
		comma(s);
		uint32_t entry = asm_reference(s, SYMBOL_DESC, (uint32_t)s->p->descs.n, "descriptor");
		i->field[F_LDD_entry] = entry;
		if (!s->failed) s->desc_slot.at[entry] = 64 * (uint64_t)s->entries.n + slot + 1;
		break;
	}
	case FMT_SETD: take_setd(s, i); break;
	case FMT_LDI:
		i->field[F_LDI_dst] = scalar_register(s);
		comma(s);
		take_operand(s, i, 0);
		comma(s);
		i->field[F_LDI_lo] = scalar_register(s);
		comma(s);
		i->field[F_LDI_hi] = scalar_register(s);
		break;
	case FMT_MARK:
		i->field[F_MARK_number] = asm_int(s, 0, UINT32_MAX, "the number of a launch");
		break;
	default: take_operands(s, i);
	}
}

static void take_tokens(Assembler *s, uint8_t out[2])
{
	for (uint32_t k = 0; k < 2; k++) {
		out[k] = (uint8_t)(asm_reference(s, SYMBOL_TOKEN, (uint32_t)s->p->tokens.n, "token") + 1);
		if (!asm_take(s, ",")) return;
	}
	asm_error(s, "an instruction waits for two tokens and signals two at most");
}

static void take_rest(Assembler *s, PearlInsn *i)
{
	bool lined = false;
	while (!s->failed && s->at.kind != LEX_LINE && s->at.kind != LEX_END && !asm_is(s, "{") &&
	       !asm_is(s, "}")) {
		if (asm_take(s, "wait"))
			take_tokens(s, i->wait);
		else if (asm_take(s, "sig"))
			take_tokens(s, i->signal);
		else if (asm_take(s, "@"))
			i->stage = (uint8_t)asm_int(s, 0, PEARL_STAGES - 1, "the stage");
		else if (asm_take(s, "group"))
			i->group = (uint8_t)asm_int(s, 0, 3, "the group");
		else if (asm_take(s, "line")) {
			s->line = (uint32_t)asm_int(s, 0, UINT32_MAX, "the line");
			s->explicit_lines = lined = true;
		} else if (!take_field(s, i))
			asm_error(s, "`%s` has no such field", pearl_insn[i->op].mnemonic);
	}
	if (!lined && !s->explicit_lines) s->line = source_place(s->source, s->at.begin).line;
	i->line = s->line;
}

/* --- blocks -------------------------------------------------------------------------------------------- */

static void nest_push(Assembler *s, PearlOpcode kind, Span at, const char *name)
{
	if (s->n_nest == COUNT(s->nest)) {
		asm_error_at(s, at, "loops and choices nest more than 64 deep");
		return;
	}
	s->nest[s->n_nest].kind = kind;
	s->nest[s->n_nest].name = name;
	s->nest[s->n_nest++].at = at;
}

/* `}` of a loop or choice, or `} else {`. */
static void close_block(Assembler *s, Span at, PearlInsn *i)
{
	PearlOpcode kind = s->nest[s->n_nest - 1].kind;
	if (!asm_take(s, "else")) {
		i->op = kind == I_LOOP ? I_ENDL : I_ENDIF;
		s->n_nest--;
		return;
	}
	i->op = I_ELSE;
	if (kind != I_IF)
		asm_error_at(s, at, kind == I_LOOP ? "`else` ends a loop" : "a choice has two `else`");
	asm_expect(s, "{");
	s->nest[s->n_nest - 1].kind = I_ELSE;
}

static bool take_mnemonic(Assembler *s, PearlOpcode *op)
{
	const char *names[NUM_INSNS];
	if (s->at.kind != LEX_NAME) {
		asm_error(s, "expected an instruction");
		return false;
	}
	for (uint32_t k = 0; k < NUM_INSNS; k++) {
		names[k] = pearl_insn[k].mnemonic;
		if (strcmp(s->at.text, names[k]) != 0) continue;
		*op = (PearlOpcode)k;
		if (*op == I_ENDL || *op == I_ENDIF || *op == I_ELSE) {
			asm_error(s, "write `}` where a loop or choice ends");
			return false;
		}
		asm_next(s);
		return true;
	}
	Diag *d = asm_error_at(s, asm_span(s), "unknown instruction `%s`", s->at.text);
	const char *near = nearest_name(s->at.text, names, NUM_INSNS);
	if (near) diag_help(s->d, d, "did you mean `%s`?", near);
	return false;
}

/* One line inside of an entry. What fails is not emitted, but still opens and closes its block. */
void asm_insn(Assembler *s)
{
	Span at = asm_span(s);
	PearlInsn i = {.op = I_NOP, .desc = {PEARL_NONE, PEARL_NONE, PEARL_NONE, PEARL_NONE}};
	const char *name = NULL;
	if (asm_is(s, "}")) {
		asm_next(s);
		close_block(s, at, &i);
	} else {
		if (!take_mnemonic(s, &i.op)) return;
		if (i.op == I_MOVI) i.field[F_ALU_use_imm] = 1;
		bool opens = i.op == I_LOOP || i.op == I_IF;
		take_body(s, &i, &name);
		if (opens) {
			if (s->failed) /* to the end of the line, which opens the block all the same */
				while (s->at.kind != LEX_LINE && s->at.kind != LEX_END) asm_next(s);
			else
				asm_expect(s, "{");
			nest_push(s, i.op, at, name);
		}
	}
	take_rest(s, &i);
	if (s->failed) return;
	at.end = s->last_end;
	const char *why = pearl_check_insn(s->arena, s->p, &i);
	if (why)
		asm_error_at(s, at, "`%s`: %s", pearl_insn[i.op].mnemonic, why);
	else
		vec_push(s->p->arena, &s->p->code, i);
}
