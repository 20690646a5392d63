/* What passes and kernel builders may know of a target: one const struct each. The list of targets
 * is in tools/targets.c; codegen never includes another target's folder. */
#ifndef NACRE_IR_TARGET_H
#define NACRE_IR_TARGET_H
#include "ir/ir.h"
#include "ir/tile/tile.h"

/* Shapes of tiles that suit the target: kernel builders are parametrised by it. */
typedef struct TileTraits {
	bool packs_weights;      /* contraction weights as panels of nr columns */
	bool gathers_panels;     /* rows of a table may be gathered from its panels */
	uint32_t kg[NUM_DTYPES]; /* elements of k that a panel holds side by side, by operand type */
	uint32_t mr, nr;         /* register or array tile of a contraction: rows, columns */
	uint32_t mb;             /* rows a task takes of a contraction */
	uint32_t attn_q, attn_k; /* attention block: queries, keys */
	uint32_t attn_rows;      /* not 0: keys are transposed once for a block, whose queries are taken
	                            so many at a time, none of which sees more keys than the last */
	uint32_t lanes;          /* fp32 vector lanes */
	int64_t near_bytes;      /* fast memory that a task may fill with places */
	int64_t memory_bytes; /* all that weights and what is made of them may take; 0: not limited */
	uint32_t stages;      /* hint for loops that stream operands; 0: none */
	bool row_pairs; /* a contraction takes two row indices at once: rows and columns of an image */
	uint32_t row_block; /* rows a task takes in row-wise kernels */
	uint32_t row_pad;   /* bytes added to rows of activations that alias in a cache; 0: none */
	bool signed_bytes;  /* integers are multiplied as i8 by i8 alone */
	bool apart;         /* memory is laid out by bounds: dims of symbolic size need not be merged
	                            to be dense, and strides should be constants */
} TileTraits;

typedef struct Target {
	const char *name, *summary;
	const char *const *pipeline; /* names of passes in order, NULL-terminated */
	bool runs_hand_written;      /* the programs of `hand` nodes; else their regions are compiled */
	TileTraits traits;
} Target;
/* Targets depend on the machine (vector width, accelerator profile), so each backend fills one in:
 * cpu_target (codegen/cpu/cpu.h), pearl_target (codegen/pearl/pearl.h). */
#endif
