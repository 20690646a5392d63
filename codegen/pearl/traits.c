/* The target as passes and kernel builders see it: shapes of tiles that suit a machine. */
#include "codegen/pearl/internal.h"

/* The order is explained in passes/passes.def. */
static const char *const pipeline[] = {"inline",       "canonicalize", "fold",         "cse",
                                       "dce",          "raise",        "fold_norm",    "decompose",
                                       "canonicalize", "turns",        "layout",       "flatten",
                                       "canonicalize", "fold",         "route",        "cse",
                                       "dce",          "scales",       "form_kernels", NULL};

void pearl_target(const PearlMachine *m, Target *out)
{
	/* rows of one product: enough to hide the loading of weights, few enough that a layer of some
	 * hundred rows is work for all cores; its accumulators leave room for stages that follow each
	 * other; a row of operands is streamed past the array */
	int64_t rows = m->acc_rows / 4;
	if (rows > 128) rows = 128;
	if (rows < 1) rows = 1;
	*out = (Target){.name = "pearl",
	                .summary = "Pearl, the simulated accelerator of this project",
	                .pipeline = pipeline,
	                .runs_hand_written = true};
	out->traits = (TileTraits){.packs_weights = true,
	                           .mr = (uint32_t)rows,
	                           .nr = (uint32_t)m->array_cols,
	                           .mb = (uint32_t)rows,
	                           .attn_q = (uint32_t)(rows < 128 ? rows : 128),
	                           .attn_k = (uint32_t)m->array_cols,
	                           .lanes = (uint32_t)m->vector_lanes,
	                           .near_bytes = m->spm_bytes / 2,
	                           .memory_bytes = m->hbm_bytes,
	                           .stages = 2,
	                           .row_pairs = true,
	                           .row_block = 8,
	                           .signed_bytes = true,
	                           .apart = true};
	for (uint32_t t = 0; t < NUM_DTYPES; t++) out->traits.kg[t] = 1;
}
