/* The text of the graph IR: reading, verifying, and all the way to a verified tile program, once as it
 * stands (for texts that hold kernels) and once through the passes. */
#include "codegen/tile/build.h"
#include "ir/ir.h"
#include "passes/passes.h"
#include "support/support.h"

#include <setjmp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build(Arena *a, Diags *d, Module *m, const char *const *names)
{
	Target target = {.name = "fuzz",
	                 .traits = {.packs_weights = true,
	                            .mr = 3,
	                            .nr = 4,
	                            .mb = 7,
	                            .attn_q = 6,
	                            .attn_k = 5,
	                            .lanes = 4,
	                            .near_bytes = 1 << 20,
	                            .row_block = 2}};
	PassOptions o = {.names = names, .verify_each = true};
	if (!m || !module_verify(d, m) || !passes_run(m, d, &target, &o)) return;
	TileProgram *p = tile_build(m, d, &target.traits);
	if (p && tile_verify(d, p)) interface_build(m, p, "fuzz", d);
	Text t = text_new(a);
	module_print(&t, m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const none[] = {NULL};
	for (int way = 0; way < 2; way++) {
		Arena *a = arena_new();
		jmp_buf exhausted;
		Diags d = {.arena = a};
		if (setjmp(exhausted) == 0) {
			arena_on_exhausted(a, &exhausted);
			const Source *s = source_from_text(a, "fuzz", (const char *)data, size);
			build(a, &d, module_parse(a, &d, s), way ? none : passes_default);
		}
		arena_free(a);
	}
	return 0;
}
