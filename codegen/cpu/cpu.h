/* codegen/cpu: tile IR to machine code through LLVM. This header names no LLVM type; only the
 * files of this folder include LLVM's headers.
 *
 * The way through: lower.c walks a kernel's statements; elementwise.c, reduce.c, order.c and
 * contract.c lower the operations over access.c (addresses), convert.c (element types), region.c
 * and math.c (scalar functions); entry.c strings kernels together and derives barriers; object.c
 * emits, loads and links. */
#ifndef NACRE_CODEGEN_CPU_H
#define NACRE_CODEGEN_CPU_H
#include "ir/tile/tile.h"
#include "runtime/nacre_abi.h"

typedef struct Target Target; /* ir/target.h: not included, since LLVM has types and values too */

/* --- target.c ---------------------------------------------------------------------------------- */
typedef struct CpuOptions {
	const char *triple;        /* NULL: this machine */
	const char *cpu;           /* LLVM's name, e.g. "znver4", "x86-64-v3"; NULL: this machine's */
	const char *features;      /* "+avx2,-fma"; NULL: those of cpu */
	bool position_independent; /* for shared objects */
	Text *llvm_ir, *assembly;  /* filled when not NULL */
} CpuOptions;

/* The target of passes and kernel builders for these options (NULL: this machine). In traits.c. */
bool cpu_target(Diags *d, const CpuOptions *options, Target *out);
/* True when this machine has every feature of the comma-separated list (NacreArtefact.features).
 * *missing gets the first it lacks. Unknown names count as missing. */
bool cpu_features_present(const char *features, const char **missing);

/* --- memory.c ---------------------------------------------------------------------------------- */
/* Gives back to the system what LLVM has used and does not need until it is called again. */
void cpu_release_memory(void);

/* --- compile.c --------------------------------------------------------------------------------- */
typedef struct CpuObject CpuObject;
typedef struct CpuArtefactData {
	const uint8_t *interface_data;
	size_t interface_bytes; /* support/interface.h; may be NULL, 0 */
	const uint8_t *constants;
	size_t constants_bytes; /* embedded weights; may be NULL, 0 */
} CpuArtefactData;

/* Compiles a verified program: every entry in order, the prepack entry last. The object exports
 * `nacre_artefact` (runtime/nacre_abi.h). Lives in the arena of d. NULL after errors, each of which
 * names what is not supported. data may be NULL. Memory of a buffer in a padded encoding must be
 * zeroed by whoever allocates it; buffers are aligned to 64 bytes. */
CpuObject *cpu_compile(Diags *d, TileProgram *p, const CpuOptions *options,
                       const CpuArtefactData *data);

/* --- object.c ---------------------------------------------------------------------------------- */
const uint8_t *cpu_object_bytes(const CpuObject *o, size_t *n);
double cpu_object_seconds(const CpuObject *o); /* spent compiling */
/* A loaded object. The artefact is checked: ABI version, and features of this machine. */
typedef struct CpuLoaded CpuLoaded;
CpuLoaded *cpu_jit_load(Diags *d, const CpuObject *o);
const NacreArtefact *cpu_loaded_artefact(const CpuLoaded *l);
void cpu_loaded_free(CpuLoaded *l); /* NULL is allowed */
/* Writes the relocatable object, or links it into a shared library; runtime_archive (may be NULL)
 * is linked in whole, so that a program needs the one library only. False after an error. */
bool cpu_write_object(Diags *d, const CpuObject *o, const char *path);
bool cpu_write_shared(Diags *d, const CpuObject *o, const char *runtime_archive, const char *path);

/* --- header.c ---------------------------------------------------------------------------------- */
typedef struct Interface Interface; /* support/interface.h */
/* Writes the C header of the model: MODEL_open, and MODEL_ENTRY(session, dims, pointers, error) for
 * each entry, over runtime/nacre.h. False after an error. */
bool cpu_write_header(Diags *d, const Interface *io, const char *path);
#endif
