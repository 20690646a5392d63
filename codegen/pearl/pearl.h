/* codegen/pearl: tile programs to Pearl programs. One SPMD stream for all cores; every entry of
 * the tile program becomes an entry. doc/pearl-backend.md says how. */
#ifndef NACRE_CODEGEN_PEARL_H
#define NACRE_CODEGEN_PEARL_H
#include "ir/target.h"
#include "ir/tile/tile.h"
#include "isa/isa.h"

/* --- target.c: compilation, the HBM map ----------------------------------------------------------- */
/* The target of passes and kernel builders for machine m. */
void pearl_target(const PearlMachine *m, Target *out);
/* Compiles every entry of p for machine m. `interface` says what p asks of its
 * caller (interface_build); the result's adds the HBM address and byte strides of each
 * tensor: memory is laid out by bounds (every dim at the upper end of its range), row-major.
 * NULL after errors. Remarks tell what was placed in another form than the program says. */
PearlProgram *pearl_compile(Diags *d, TileProgram *p, const PearlMachine *m,
                            const Interface *interface, Arena *a);
/* Are the kernels of m that are written in assembly safe on machine, and do they take what m gives them? What
 * is wrong is told with its place in the assembly and in the model. */
bool pearl_check_hand_written(Diags *d, Module *m, const PearlMachine *machine);
/* The element type that a buffer has in HBM: i4 groups are expanded to f32. */
DType pearl_buffer_dtype(const TileObj *buf);
/* The same of a plain buffer: i4 takes a byte, as descriptors address bytes. */
DType pearl_held_dtype(DType t);

/* Host side. `host` is the buffer as the tile program describes it: its encoding, over its actual
 * dims (params in the program's order). hbm is an image of all HBM that the program uses (from
 * address 0, pearl_hbm_bytes long); strides come from the interface of q. False: an unbound dim. */
uint64_t pearl_hbm_bytes(const PearlProgram *q);
/* Calls write(ctx, address, bytes, n) for each dense run of the buffer (rows of its last dimension). */
typedef bool PearlWrite(void *ctx, uint64_t address, const void *from, uint64_t bytes);
typedef bool PearlRead(void *ctx, uint64_t address, void *to, uint64_t bytes);
bool pearl_place_buffer(const TileProgram *p, const PearlProgram *q, uint32_t buf,
                        const int64_t *params, const void *host, PearlWrite *write, void *ctx);
bool pearl_fetch_buffer(const TileProgram *p, const PearlProgram *q, uint32_t buf,
                        const int64_t *params, void *host, PearlRead *read, void *ctx);
#endif
