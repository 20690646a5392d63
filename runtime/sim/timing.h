/* What time.c and memory.c share: the clock of shared memories and of a core's link to them. */
#ifndef NACRE_SIM_TIMING_H
#define NACRE_SIM_TIMING_H
#include "runtime/sim/internal.h"

enum { GSM_RATE = 4096 }; /* bytes a clock of the global SRAM */

typedef struct SharedMemory SharedMemory;
typedef struct CoreLink CoreLink;
typedef struct Move Move;
typedef enum MoveKind {
	MOVE_IN,
	MOVE_OUT,
	MOVE_ADD
} MoveKind; /* ADD: the memory adds to what it holds */

/* The copy that a core is at. What it asks of shared memory is done block by block, so that cores
 * share it fairly: transfer_run stops when the copy has come beyond a clock. */
typedef struct Transfer {
	uint64_t ask_in, ask_out; /* clocks of the last requests so far */
	uint64_t done_in, done;   /* when the last data came; when all is done */
	uint64_t clock;           /* of the request in hand */
	uint64_t in_bytes, out_bytes;
	size_t at, moves;
} Transfer;

SharedMemory *memory_new(Arena *a, const PearlMachine *m);
void memory_end(SharedMemory *s);
void memory_barrier(SharedMemory *s,
                    uint64_t now); /* all requests from here on begin at `now` or later */
CoreLink *link_new(Arena *a);
void link_end(CoreLink *l);
void transfer_begin(CoreLink *l, uint64_t start);
/* Adds what operand o covers (without windows: clip first). False: no memory. */
bool transfer_add(CoreLink *l, const SimOperand *o, MoveKind kind);
bool transfer_run(SharedMemory *s, CoreLink *l, uint64_t until); /* true: all is done */
const Transfer *link_transfer(const CoreLink *l);
#endif
