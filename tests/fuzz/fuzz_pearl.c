/* Fuzzes the reader of .pearl files: no crash, one message, and what is read can be verified, written as
 * text, and assembled to itself. The checksums of an input are made right first, else all would end there. */
#include "isa/isa.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t get32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put32(uint8_t *at, uint32_t v)
{
	for (uint32_t k = 0; k < 4; k++) at[k] = (uint8_t)(v >> 8 * k);
}

static void repair(uint8_t *b, size_t n)
{
	if (n < 32) return;
	uint32_t sections = get32(b + 12);
	if (sections > 64 || 32 + sections * 32 > n) return;
	put32(b + 16, (uint32_t)n);
	put32(b + 20, 0);
	for (uint32_t k = 0; k < sections; k++) {
		uint8_t *row = b + 32 + k * 32;
		uint64_t at = get32(row + 8), bytes = get32(row + 16);
		if (at > n || bytes > n - at) continue;
		if (memcmp(row, "IFAC", 4) == 0 && bytes > 4)
			put32(b + at + bytes - 4, crc32c(0, b + at, bytes - 4));
		put32(row + 24, crc32c(0, b + at, bytes));
	}
	put32(b + 24, crc32c(crc32c(0, b, 24), b + 32, sections * 32));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena *a = arena_new();
	uint8_t *b = arena_alloc(a, size + 1);
	memcpy(b, data, size);
	repair(b, size);
	const char *why = NULL;
	PearlProgram *p = pearl_read(a, b, size, &why);
	if (!p && (!why || !why[0])) __builtin_trap();
	if (p) {
		Diags d = {.arena = a}, e = {.arena = a};
		Text text = text_new(a), messages = text_new(a), first = text_new(a), second = text_new(a);
		if (pearl_verify(&d, p) != (d.errors == 0)) __builtin_trap();
		diags_render(&d, &messages);
		pearl_disassemble(&text, p);
		PearlProgram *q = pearl_assemble(a, &e, source_from_text(a, "fuzz", text.at, text.n));
		if (!q) __builtin_trap();
		pearl_write_text(p, &first);
		pearl_write_text(q, &second);
		if (first.n != second.n || memcmp(first.at, second.at, first.n) != 0) __builtin_trap();
	}
	arena_free(a);
	return 0;
}
