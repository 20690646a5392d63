/* Fuzzer of model files: whatever the text, loading it ends, reports what it refuses, and what it
 * builds passes the verifier. The standard library may be imported; other files are not there. */
#include "frontend/frontend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 1 << 16) return 0;
	Arena *a = arena_new();
	Diags d = {.arena = a};
	const Source *s = source_from_text(a, "/nowhere/fuzz.nac", (const char *)data, size);
	FrontendUnit u;
	bool ok = frontend_load(a, interner_new(a), &d, s, NULL, &u);
	if (ok != (d.errors == 0)) __builtin_trap();
	if (ok && u.module && !module_verify(&d, u.module)) __builtin_trap();
	Text t = text_new(a);
	diags_render(&d, &t);
	arena_free(a);
	return 0;
}
