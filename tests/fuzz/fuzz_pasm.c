/* Fuzzes the assembler: no crash, messages exactly when nothing comes out, and a program that comes out
 * survives its file and its own text. `weights` lines are left out: they would open files. */
#include "isa/isa.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	const Source *s = source_from_text(a, "fuzz.pasm", (const char *)data, size);
	if (memmem(data, size, "weights", 7)) {
		arena_free(a);
		return 0;
	}
	PearlProgram *p = pearl_assemble(a, &d, s);
	if ((p != NULL) != (d.errors == 0)) __builtin_trap();
	Text messages = text_new(a);
	diags_render(&d, &messages);
	if (p) {
		Text first = text_new(a), text = text_new(a), second = text_new(a);
		const char *why = NULL;
		pearl_write_text(p, &first);
		PearlProgram *read = pearl_read(a, (const uint8_t *)first.at, first.n, &why);
		if (!read) __builtin_trap();
		pearl_disassemble(&text, read);
		PearlProgram *q = pearl_assemble(a, &d, source_from_text(a, "again", text.at, text.n));
		if (!q) __builtin_trap();
		pearl_write_text(q, &second);
		if (first.n != second.n || memcmp(first.at, second.at, first.n) != 0) __builtin_trap();
		pearl_verify(&d, p);
	}
	arena_free(a);
	return 0;
}
