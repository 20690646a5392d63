/* The simulated Pearl: runs a verified program and gives both the data and the cycles. Data are
 * those of sequential execution in program order: core after core between barriers, or, when time is
 * counted, the core that is furthest behind next (a verified program is race-free, so any order
 * gives them); time is a recurrence over queues and shared memory. doc/pearl.md says what is counted. */
#ifndef NACRE_SIM_H
#define NACRE_SIM_H
#include "isa/isa.h"

typedef struct PearlSim PearlSim; /* a machine with its memories; keeps HBM between runs */

typedef struct SimUnit {
	const char *name;
	uint64_t busy;
} SimUnit;
typedef struct SimLaunch {
	uint32_t number;
	uint64_t begin, end, matrix_busy, vector_busy, hbm_bytes;
} SimLaunch;
typedef struct SimReport {
	uint64_t cycles, instructions;
	uint64_t hbm_read, hbm_written; /* bytes */
	uint64_t busy[NUM_QUEUES];      /* clocks in which the unit worked, summed over cores */
	uint64_t stall_token[NUM_QUEUES], stall_memory[NUM_QUEUES];
	uint64_t macs;
	SimLaunch *launch;
	uint32_t launches, cores;
} SimReport;
typedef struct SimOptions {
	bool time;   /* false: data only */
	bool serial; /* time with a matrix unit that overlaps nothing: the weights' rows shift in one a
	                       clock, then the rows stream through (as public models of a single array count) */
	uint64_t jitter; /* not 0: random latencies and queue depths from this seed, executed as the
	                       queues run (out of program order): must give the same bits */
	/* The inputs of the call by name, for what a failed check tells of them (support.h); NULL: none. */
	bool (*find)(void *ctx, const char *input, CheckInput *out);
	void *ctx;
} SimOptions;

PearlSim *sim_new(Diags *d, const PearlProgram *p,
                  const PearlMachine *m); /* NULL: no memory; m NULL: the program's own */
void sim_free(PearlSim *s);
/* Host access to HBM by region-relative bytes. False when out of range. */
bool sim_write(PearlSim *s, uint64_t address, const void *from, uint64_t bytes);
bool sim_read(PearlSim *s, uint64_t address, void *to, uint64_t bytes);
void sim_clear(PearlSim *s, uint64_t address, uint64_t bytes);
/* Runs one entry with the given parameters. False: a trap (index out of range, ...), told in d. */
bool sim_run(PearlSim *s, Diags *d, uint32_t entry, const int64_t *params, const SimOptions *o,
             SimReport *report, Arena *a);
#endif
