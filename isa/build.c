/* Making programs in memory: what code generation and the assembler use. */
#include "isa/isa.h"

PearlProgram *pearl_program_new(Arena *a, const PearlMachine *m)
{
	PearlProgram *p = NEW(a, PearlProgram);
	p->arena = a;
	p->machine = *m;
	Interface *i = NEW(a, Interface);
	i->model = "";
	i->target = "pearl";
	i->version = NACRE_VERSION;
	i->prepack = -1;
	p->interface = i;
	return p;
}

Span pearl_insn_span(const PearlProgram *p, const PearlInsn *i)
{
	const PearlText *t = p->text;
	if (!t || !t->lines || i->line < 1 || i->line > t->source->lines) return span_none();
	uint32_t from = t->source->line_start[i->line - 1], end;
	const char *text = t->source->text;
	while (text[from] == ' ' || text[from] == '\t') from++;
	end = from;
	while (end < t->source->size && text[end] != '\n' && text[end] != ';' && text[end] != '\r')
		end++;
	while (end > from && (text[end - 1] == ' ' || text[end - 1] == '\t')) end--;
	return (Span){t->source, from, end};
}

PearlInsn *pearl_emit(PearlProgram *p, PearlOpcode op)
{
	PearlInsn insn = {.op = op};
	for (uint32_t k = 0; k < 4; k++) insn.desc[k] = PEARL_NONE;
	vec_push(p->arena, &p->code, insn);
	return &p->code.at[p->code.n - 1];
}

uint32_t pearl_add_desc(PearlProgram *p, const PearlDesc *d)
{
	PearlDesc copy = *d;
	if (!copy.name) copy.name = "";
	vec_push(p->arena, &p->descs, copy);
	return (uint32_t)(p->descs.n - 1);
}

uint32_t pearl_add_token(PearlProgram *p, const char *name, PearlQueue from, PearlQueue to,
                         uint8_t initial, uint8_t capacity)
{
	PearlToken token = {name ? name : "", (uint8_t)from, (uint8_t)to, initial, capacity};
	vec_push(p->arena, &p->tokens, token);
	return (uint32_t)(p->tokens.n - 1);
}

uint32_t pearl_add_region(PearlProgram *p, const PearlRegion *r)
{
	PearlRegion copy = *r;
	if (!copy.name) copy.name = "";
	vec_push(p->arena, &p->regions, copy);
	return (uint32_t)(p->regions.n - 1);
}
