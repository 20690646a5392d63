/* What time.c and memory.c share: the clock of shared memories and of a core's link to them. */
#ifndef NACRE_SIM_TIMING_H
#define NACRE_SIM_TIMING_H
#include "runtime/sim/internal.h"

enum { GSM_RATE = 4096 }; /* bytes a clock of the global SRAM */

typedef struct SharedMemory SharedMemory;
typedef struct CoreLink CoreLink;
/* A copy between a shared memory and a core (or between the two shared ones, not `near`). In: ask, the
 * clock of the first request. Out: ask, of the last; done; bytes. */
typedef struct Transfer {
	uint64_t ask, done, bytes;
	bool write, near;
} Transfer;

SharedMemory *memory_new(Arena *a, const PearlMachine *m);
void memory_end(SharedMemory *s);
void memory_barrier(SharedMemory *s,
                    uint64_t now); /* all requests from here on begin at `now` or later */
CoreLink *link_new(Arena *a);
/* Moves what operand o covers (without windows: clip first). */
void memory_transfer(SharedMemory *s, CoreLink *l, Transfer *t, const SimOperand *o);
#endif
