/* The tables of the manual, in Markdown, from isa.def: what doc/pearl.md holds between its two marks.
 * A unit test compares them, so that the manual cannot fall behind. */
#include "isa/isa.h"

static void put_machine_keys(Text *t)
{
	text_puts(t, "### Machine keys\n\n| key | base | nano | unit | |\n|---|---|---|---|---|\n");
	for (uint32_t k = 0; k < pearl_machine_keys; k++) {
		const PearlMachineKey *m = &pearl_machine_key[k];
		text_printf(t, "| `%s` | %lld | %lld | %s | %s |\n", m->name, (long long)m->base,
		            (long long)m->nano, m->unit, m->summary);
	}
}

/* The descriptors of an instruction, as a reader of assembly text writes them. */
static void put_operands(Text *t, PearlOpcode op)
{
	PearlOperand o;
	for (uint32_t k = 0; pearl_operand(op, k, &o); k++) {
		const char *use = o.reads && o.writes ? "read, written" : o.writes ? "written" : "read";
		text_printf(t, "%s%.*s%s (%s)", k ? ", " : "", o.name_len, o.name, o.optional ? "?" : "",
		            use);
	}
}

static const char *const format_names[NUM_FORMATS] = {
#define FORMAT(f) [FMT_##f] = #f,
#include "isa/isa.def"
};

static void put_instructions(Text *t)
{
	static const char *const titles[NUM_QUEUES] = {
		"Scalar unit",    "L: loads",  "M: matrix unit",        "D: drain",
		"V: vector unit", "W: stores", "X: links between chips"};
	for (uint32_t q = 0; q < NUM_QUEUES; q++) {
		bool any = false;
		for (uint32_t k = 0; k < NUM_INSNS; k++) {
			const PearlInsnInfo *i = &pearl_insn[k];
			if ((uint32_t)i->queue != q) continue;
			if (!any)
				text_printf(
					t,
					"\n### %s\n\n| instruction | opcode | format | descriptors | |\n|---|---|---|---|---|\n",
					titles[q]);
			any = true;
			text_printf(t, "| `%s` | 0x%02x | %s | ", i->mnemonic, i->opcode,
			            format_names[i->format]);
			put_operands(t, (PearlOpcode)k);
			text_printf(t, " | %s |\n", i->summary);
		}
	}
}

static void put_formats(Text *t)
{
	static const char *const kinds[] = {
		[FK_REG] = "register", [FK_IMM] = "number", [FK_SIMM] = "signed",
		[FK_F32] = "f32",      [FK_ENUM] = "name",  [FK_FLAG] = "flag"};
	text_puts(t, "\n### Formats\n\n| format | fields of bits 59..0 |\n|---|---|\n");
	for (uint32_t k = 0; k < NUM_FORMATS; k++) {
		text_printf(t, "| %s |", format_names[k]);
		for (const PearlFieldInfo *f = pearl_format[k]; f->name; f++) {
			text_printf(t, "%s `%s` %u", f == pearl_format[k] ? "" : ",", f->name, f->hi);
			if (f->lo != f->hi) text_printf(t, "..%u", f->lo);
			text_printf(t, " %s", kinds[f->kind]);
		}
		text_puts(t, " |\n");
	}
}

static void put_functions(Text *t)
{
	static const char *const results[] = {"type of the arguments", "bool", "float"};
	text_puts(
		t,
		"\n### Functions\n\n| function | number | arguments | passes | result |\n|---|---|---|---|---|\n");
	for (uint32_t k = 0; k < NUM_VFUNCS; k++) {
		const PearlFuncInfo *f = &pearl_func[k];
		text_printf(t, "| `%s` | %u | %u | %u%s | %s |\n", f->name, k, f->arity, f->passes2 / 2,
		            f->passes2 % 2 ? ".5" : "", results[f->result]);
	}
}

void pearl_manual(Text *t)
{
	put_machine_keys(t);
	put_instructions(t);
	put_formats(t);
	put_functions(t);
}
