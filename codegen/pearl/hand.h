/* Kernels written in assembly: hand.c opens them and holds them against the call, link.c puts their code
 * among that of compiled kernels. */
#ifndef NACRE_CODEGEN_PEARL_HAND_H
#define NACRE_CODEGEN_PEARL_HAND_H
#include "codegen/pearl/internal.h"

typedef struct HandTensor {
	const char *name;
	DType dtype; /* as it lies in memory */
	uint32_t rank;
	const Dim *dims;
	bool result;
	Span span; /* of the parameter; none for a result */
} HandTensor;
/* A call of a program, as the model has it. */
typedef struct HandCall {
	const char *file;
	Span at;
	uint32_t n_tensor, n_size;
	const HandTensor *tensor;
	const char *const *size; /* names of the program's parameters, with their values */
	const Dim *value;
} HandCall;
typedef struct HandFile {
	const char *path;
	const Source *source;
	const PearlProgram *program; /* by itself; NULL: refused, and told */
	bool tried, safe;            /* by the verifier */
} HandFile;
struct HandFiles {
	Arena *arena; /* of texts and programs */
	Diags *d;
	DimPool *pool;
	const DimFacts *facts;
	const PearlMachine *m;
	VEC(HandFile *) list;
};
/* Reads and assembles the program, once; is it safe by itself, and does it take what it is given? NULL after a
 * report, with both places. */
const HandFile *hand_open(HandFiles *f, const HandCall *call);
/* An error, once for each place and text; never NULL. */
Diag *hand_error(HandFiles *f, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The number of the tensor of that name in a call, or n_tensor. */
uint32_t hand_tensor(const HandCall *call, const char *name);
#endif
