/* Fuzzes tokenizer.json: a file that opens encodes and decodes a text without a crash or a leak, and
 * an error is told exactly when opening fails. What follows a NUL NUL is the text. */
#include "text/text.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char sample[] = "  The caf\xc3\xa9's 12 \xe4\xbd\xa0\xf0\x9f\x99\x82 \xff<s> end.";
	Arena *a = arena_new();
	Diags d = {.arena = a};
	const uint8_t *cut = size ? memmem(data, size, "\0\0", 2) : NULL;
	size_t n = cut ? (size_t)(cut - data) : size;
	const char *text = cut ? (const char *)cut + 2 : sample;
	size_t text_n = cut ? size - n - 2 : sizeof sample - 1;
	Tokenizer *t = tokenizer_read(a, &d, "fuzz", (const char *)data, n);
	TokenIds ids;
	TextBytes out;
	if ((t == NULL) != (d.errors != 0)) __builtin_trap();
	if (t && tokenizer_encode(t, a, &d, text, text_n, ENCODE_SPECIALS | ENCODE_FITTED, &ids))
		for (int mode = SPECIALS_KEPT; mode <= SPECIALS_SILENT; mode++)
			tokenizer_decode(t, a, &d, ids.at, ids.n, (SpecialTokens)mode, &out);
	arena_free(a);
	return 0;
}
