/* Building small Pearl programs in memory and running them: what the units of the simulator share. */
#ifndef NACRE_TESTS_PEARL_BENCH_H
#define NACRE_TESTS_PEARL_BENCH_H
#include "isa/isa.h"
#include "runtime/sim/sim.h"
#include "support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HBM_BYTES = 1 << 22, NONE = PEARL_NONE };

/* A program in the making, with one HBM, SPM, ACC and GSM region. */
typedef struct Bench {
	Arena *arena;
	Diags diags;
	PearlMachine machine;
	PearlProgram *p;
	uint16_t region[4];
	uint32_t slots;
	PearlSim *sim;
	SimReport report;
} Bench;

static inline void begin(Bench *b, const char *machine)
{
	memset(b, 0, sizeof *b);
	b->arena = arena_new();
	b->diags.arena = b->arena;
	cr_assert(pearl_machine_named(machine, &b->machine));
	b->p = pearl_program_new(b->arena, &b->machine);
	const int64_t size[4] = {HBM_BYTES, b->machine.gsm_bytes, b->machine.spm_bytes,
	                         b->machine.acc_rows * b->machine.array_cols * 4};
	for (uint32_t k = 0; k < 4; k++)
		b->region[k] = (uint16_t)pearl_add_region(
			b->p, &(PearlRegion){pearl_space_name[k], (uint8_t)k, true, true, 0, size[k], -1});
}

/* A descriptor of dims (ending with 0), row-major from `base`; loaded into a fresh register. */
static inline PearlDesc desc(const Bench *b, PearlSpace space, uint8_t dtype, int64_t base,
                             const int64_t *dims)
{
	PearlDesc d = {.name = "",
	               .space = (uint8_t)space,
	               .dtype = dtype,
	               .ring = 1,
	               .base = base,
	               .region = b->region[space]};
	while (d.rank < PEARL_RANK && dims[d.rank] > 0) d.dim[d.rank] = dims[d.rank], d.rank++;
	int64_t run = pearl_dtype[dtype].bits / 8;
	for (uint32_t k = d.rank; k-- > 0;) {
		d.stride[k] = run;
		run *= d.dim[k];
		if (space == SPACE_ACC && k + 1u == d.rank) run = b->machine.array_cols * 4;
	}
	return d;
}
#define DIMS(...) (const int64_t[]){__VA_ARGS__, 0}

static inline uint8_t load(Bench *b, const PearlDesc *d)
{
	PearlInsn *i = pearl_emit(b->p, I_LDD);
	i->field[F_LDD_slot] = b->slots % 60;
	i->field[F_LDD_entry] = pearl_add_desc(b->p, d);
	return (uint8_t)(b->slots++ % 60);
}

static inline uint8_t dense(Bench *b, PearlSpace space, uint8_t dtype, int64_t base,
                            const int64_t *dims)
{
	PearlDesc d = desc(b, space, dtype, base, dims);
	return load(b, &d);
}

static inline PearlInsn *insn(Bench *b, PearlOpcode op, uint8_t d0, uint8_t d1, uint8_t d2,
                              uint8_t d3)
{
	PearlInsn *i = pearl_emit(b->p, op);
	i->desc[0] = d0, i->desc[1] = d1, i->desc[2] = d2, i->desc[3] = d3;
	return i;
}

static inline int64_t bits(float v)
{
	uint32_t u;
	memcpy(&u, &v, 4);
	return u;
}

static inline PearlInsn *loop(Bench *b, int64_t n, int64_t tile, bool par, int64_t stages)
{
	PearlInsn *i = pearl_emit(b->p, I_LOOP);
	i->field[F_LOOP_use_imm] = 1;
	i->field[F_LOOP_n] = n;
	i->field[F_LOOP_tile] = tile;
	i->field[F_LOOP_par] = par;
	i->field[F_LOOP_stages] = stages;
	return i;
}

static inline void movi(Bench *b, int64_t reg, int64_t value)
{
	PearlInsn *i = pearl_emit(b->p, I_MOVI);
	i->field[F_ALU_dst] = reg;
	i->field[F_ALU_use_imm] = 1;
	i->field[F_ALU_imm] = value;
}

static inline void make(Bench *b)
{
	if (!b->p->entries.n)
		vec_push(b->arena, &b->p->entries, ((PearlCode){"main", 0, (uint32_t)b->p->code.n}));
	b->sim = sim_new(&b->diags, b->p, NULL);
	if (!b->sim) diags_print(&b->diags, stderr);
	cr_assert(b->sim);
}

static inline bool run_with(Bench *b, SimOptions o)
{
	int64_t params[4] = {0};
	return sim_run(b->sim, &b->diags, 0, params, &o, &b->report, b->arena);
}

static inline void run(Bench *b)
{
	bool done = run_with(b, (SimOptions){0});
	if (!done) diags_print(&b->diags, stderr);
	cr_assert(done);
}

static inline void end(Bench *b)
{
	sim_free(b->sim);
	arena_free(b->arena);
}

static inline const char *message(const Bench *b)
{
	return b->diags.list.n ? b->diags.list.at[b->diags.list.n - 1]->text : "";
}

static uint32_t seed = 1;
static inline float random_float(void)
{
	seed = seed * 1664525u + 1013904223u;
	return (float)(int32_t)seed * 0x1p-31f;
}

static inline void put_floats(Bench *b, uint64_t at, const float *v, size_t n)
{
	cr_assert(sim_write(b->sim, at, v, n * 4));
}
static inline void get_floats(Bench *b, uint64_t at, float *v, size_t n)
{
	cr_assert(sim_read(b->sim, at, v, n * 4));
}
#endif
