/* The interface of a compiled program: its parameters, tensors and entries, with sizes as postfix
 * expressions. The same in CPU artefacts and in .pearl files: written by code generation, read by
 * the runtime. Reading checks everything: a hostile file gives a message, never a wrong access. */
#ifndef NACRE_SUPPORT_INTERFACE_H
#define NACRE_SUPPORT_INTERFACE_H
#include "support/support.h"

typedef enum InterfaceParamKind { IP_SESSION, IP_CALL, IP_STATE } InterfaceParamKind;
typedef struct InterfaceParam {
	const char *name;
	uint32_t kind; /* InterfaceParamKind */
	const ExprWord *lo, *hi;
	const ExprWord *initial; /* IP_STATE: where a session begins; NULL when written: lo */
} InterfaceParam;

typedef enum InterfaceTensorKind {
	IT_WEIGHT,
	IT_STATE,
	IT_IN,
	IT_OUT,
	IT_ARENA,
	IT_CONST
} InterfaceTensorKind;
/* IT_WEIGHT: raw weight from a file, under `key`; IT_CONST: made from weights by the prepack entry
 * (or embedded). The number of a tensor is the number of the program buffer. */
typedef struct InterfaceTensor {
	const char *name,
		*key; /* key: "" unless a weight; stacked weights hold one key a slice, separated by '\n' */
	uint32_t kind, dtype, rank; /* dtype: number in ir/dtypes.def */
	const ExprWord *dim[8];     /* logical shape */
	const ExprWord *bytes;      /* of memory, encoding and padding included */
	uint32_t plain;             /* 1: dense row-major, so that a host tensor is the same bytes */
	uint32_t live_first, live_last; /* IT_ARENA: launches; per entry (below) when in one entry only.
	                               IT_WEIGHT of the prepack entry: the first and last that read it */
	uint32_t entry; /* IT_IN, IT_OUT, IT_ARENA: the entry it belongs to; IT_WEIGHT: the
	                               prepack entry when no other reads it */
	uint32_t
		sliced; /* CPU, IT_WEIGHT of the prepack entry, 1: turn n of a launch reads slice n alone */
	uint64_t offset; /* IT_CONST, IT_WEIGHT embedded: place in the constants; ~0 if not embedded */
	int64_t stride[8]; /* Pearl: byte strides in HBM (bounds-based); 0 elsewhere */
	uint64_t address;  /* Pearl: HBM address; 0 elsewhere */
	uint64_t fill;     /* IT_STATE: eight bytes that repeat when a session begins */
} InterfaceTensor;

typedef struct InterfaceEntry {
	const char *name;
	uint32_t n_in, n_out; /* tensor numbers, in the order of the signature */
	const uint32_t *in, *out;
	uint32_t n_set; /* state params assigned after the call */
	const uint32_t *set_param;
	const ExprWord *const *set_value;
	uint32_t launches;
	const char *const *launch_name; /* one for each launch: for profiles and messages */
	uint32_t n_require; /* relations of this entry alone, beside those of the program. A dim of a
	                       call that they mention and no input shows is given by the caller */
	const ExprWord *const *require;
	const char *const *require_text;
} InterfaceEntry;

typedef struct Interface {
	const char *model, *target, *version; /* target "cpu" or "pearl" */
	uint32_t n_param, n_require, n_tensor, n_entry;
	const InterfaceParam *param;
	const ExprWord *const *require; /* each >= 0 */
	const char *const *require_text;
	const InterfaceTensor *tensor;
	const InterfaceEntry *entry;
	uint32_t n_check;
	const char *const *check; /* how an index out of range is told, by number - 1 (message.c) */
	int32_t prepack;          /* number of the prepack entry, or -1 */
} Interface;

/* --- interface.c --- */
/* The place of the first of n i64 values that an i32 cannot hold, or n: what computes with i64 does so in
 * i32, so that such a value must not come in. */
int64_t interface_first_large(const void *i64, int64_t n);
/* Sets n bytes of a state to what it begins with. */
void interface_fill(const InterfaceTensor *t, void *at, uint64_t n);
void interface_write(const Interface *i,
                     Text *out); /* appends bytes; little-endian, versioned, CRC32C at the end */
/* That a relation does not hold, with the values of its dims. */
void interface_require_text(char *at, size_t n, const Interface *i, const ExprWord *require,
                            const char *text, const int64_t *values);
/* Allocates in a. On failure returns NULL and *why says what is wrong and where (byte offset). */
const Interface *interface_read(Arena *a, const uint8_t *data, size_t n, const char **why);
#endif
