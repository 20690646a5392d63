/* Fuzzes the text form of tile IR and its verifier: no crash and no leak, and what is accepted prints
 * to a text that parses to the same text. */
#include "ir/tile/tile.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static TileProgram *parse(Arena *a, Diags *d, const char *text, size_t n)
{
	return tile_parse(a, d, source_from_text(a, "fuzz", text, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	TileProgram *p = parse(a, &d, (const char *)data, size);
	if (p) {
		Text one = text_new(a), two = text_new(a);
		tile_print(&one, p);
		TileProgram *again = parse(a, &d, one.at, one.n);
		if (!again) __builtin_trap();
		tile_print(&two, again);
		if (strcmp(one.at, two.at) != 0) __builtin_trap();
		tile_verify(&d, p);
	} else if (!d.errors) {
		__builtin_trap();
	}
	arena_free(a);
	return 0;
}
