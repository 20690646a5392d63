/* Private to codegen/cpu: the object that a compilation leaves. */
#ifndef NACRE_CODEGEN_CPU_OBJECT_H
#define NACRE_CODEGEN_CPU_OBJECT_H
#include "codegen/cpu/emit.h"

struct CpuObject {
	const uint8_t *bytes;
	size_t size;
	double seconds;
	bool native;
};
/* Verifies, cleans up and emits the module. NULL after an error. */
CpuObject *object_emit(Diags *d, Gen *g, const CpuOptions *options);
#endif
