/* The CPU as passes and kernel builders see it: tiles that fit the vector registers, and the
 * pipeline. A tile of mr x nr accumulators leaves registers for one row of the panel and a splat. */
#include "codegen/cpu/machine.h"
#include "ir/target.h"

/* The order is explained in passes/passes.def. */
static const char *const pipeline[] = {"inline",       "canonicalize", "fold",         "cse",
                                       "dce",          "raise",        "fold_norm",    "decompose",
                                       "canonicalize", "turns",        "layout",       "flatten",
                                       "canonicalize", "fold",         "route",        "cse",
                                       "dce",          "scales",       "form_kernels", NULL};

static TileTraits traits_of(const Machine *m)
{
	TileTraits t = {.packs_weights = true,
	                .gathers_panels = true,
	                .lanes = m->lanes,
	                .nr = 2 * m->lanes,
	                .mr = m->registers == 32 ? 14 : 6,
	                .attn_q = m->registers == 32 ? 112 : 48,
	                .attn_k = 512,
	                .attn_rows = m->registers == 32 ? 14 : 6,
	                .near_bytes = 1 << 20,
	                .row_block = 16,
	                .row_pad = 64};
	t.mb = t.mr * (m->registers == 32 ? 9 : 20);
	for (uint32_t i = 0; i < NUM_DTYPES; i++) t.kg[i] = 1;
	if (m->bf16) t.kg[DT_BF16] = 2;
	if (m->vnni) t.kg[DT_I8] = t.kg[DT_U8] = 4;
	return t;
}

bool cpu_target(Diags *d, const CpuOptions *options, Target *out)
{
	Machine m;
	if (!machine_open(d, options, &m)) return false;
	*out = (Target){.name = "cpu",
	                .summary = "x86-64 and other CPUs through LLVM: vectors in registers, threads",
	                .pipeline = pipeline,
	                .traits = traits_of(&m)};
	machine_close(&m);
	return true;
}
