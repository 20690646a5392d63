/* Private to codegen/cpu: what the machine compiled for can do. Apart from emit.h, so that traits.c
 * can see it together with the types of the graph IR. */
#ifndef NACRE_CODEGEN_CPU_MACHINE_H
#define NACRE_CODEGEN_CPU_MACHINE_H
#include "codegen/cpu/cpu.h"
#include <llvm-c/TargetMachine.h>

/* --- target.c: what the machine can do ----------------------------------------------------------- */
typedef struct Machine {
	LLVMTargetMachineRef llvm;
	char *triple, *cpu, *features; /* LLVM's strings, disposed of with LLVMDisposeMessage */
	uint32_t lanes;                /* f32 lanes of a vector */
	uint32_t registers;            /* vector registers */
	bool x86, fma, masks, round, f16c, avx512, vnni, bf16;
	bool sse3; /* pmaddwd and shuffles: any x86 */
} Machine;
bool machine_open(Diags *d, const CpuOptions *options, Machine *m);
void machine_close(Machine *m);
/* The features the artefact records, comma-separated. */
const char *machine_required(Arena *a, const Machine *m);
#endif
