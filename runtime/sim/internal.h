/* The rooms of the simulator: a core's scalar unit turns instructions into steps whose operands are
 * resolved (control.c); execute.c and its helpers do a step's data; time.c and memory.c say when.
 * data.c, time.c and jitter.c are the three ways to drive the cores. */
#ifndef NACRE_SIM_INTERNAL_H
#define NACRE_SIM_INTERNAL_H
#include "runtime/sim/sim.h"

/* Loops that are compiled several times, for what the host can do; the bits are the same. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) &&                  \
	!defined(__clang__)
#define VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTORISED
#endif

/* An operand captured at dispatch. Element (i0..) lies at memory + address + sum i_d * stride[d]. */
typedef struct SimOperand {
	uint8_t *memory;                  /* start of its memory; NULL: operand absent */
	int64_t address;                  /* bytes; with windows: of position 0 */
	uint8_t space, dtype, rank, size; /* size: bytes of an element */
	bool empty;                       /* some dim is 0 */
	int64_t dim[PEARL_RANK], stride[PEARL_RANK];
	struct {
		bool on;
		uint8_t dim;
		int64_t start, limit;
	} window[2];
} SimOperand;

/* A queue instruction, or LDI, as dispatched. */
typedef struct SimStep {
	const PearlInsn *insn;
	uint32_t at; /* index in the program's code */
	uint32_t core;
	bool active;
	SimOperand arg[4];
	int64_t reg[2]; /* DMA: limit; SMX: limit, first; VEC: reg; LDI: lo, hi */
} SimStep;

typedef struct LoopFrame {
	uint32_t body, end; /* first instruction of the body, its ENDL */
	int64_t n, tile, count, pass;
	uint32_t stages;
	uint8_t par; /* PAR_NONE, PAR_OUTER, PAR_INNER */
	bool loads;  /* outer par, this iteration: whether loads are executed on this core */
} LoopFrame;
enum { PAR_NONE, PAR_OUTER, PAR_INNER };

typedef struct Core {
	uint32_t number;
	uint32_t pc, end;
	int64_t reg[PEARL_REGS];
	PearlDesc desc[PEARL_DESCS];
	uint8_t position[PEARL_DESCS]; /* of rings */
	bool loaded[PEARL_DESCS];
	LoopFrame loop[PEARL_LEVELS];
	uint32_t depth;
	int64_t turn;    /* iterations of the par space in hand that were counted */
	uint32_t launch; /* index of the last MARK's number */
	uint8_t *spm, *acc;
	uint64_t steps;
} Core;

/* What the code says, found once: where loops and choices end, what kind of loop. */
typedef struct CodeInfo {
	uint32_t match;
	uint32_t orelse;
	uint8_t par;
	bool loads;
} CodeInfo;

typedef struct Scratch {
	float *a, *w;
	int32_t *ia;
	size_t a_size, w_size;
} Scratch;

struct PearlSim {
	const PearlProgram *program;
	PearlMachine machine;
	Arena *arena;
	uint8_t *hbm, *gsm;
	uint64_t hbm_bytes, page;
	Core *core;
	CodeInfo *info;
	void *scratch; /* of the matrix unit's operands, grown on demand */
	size_t scratch_bytes;
	/* the run in hand */
	Diags *diags;
	const SimOptions *options;
	bool trapped;
	const int64_t *params;
	uint64_t macs, instructions, hbm_read, hbm_written;
};

/* --- control.c: the scalar unit ------------------------------------------------------------------- */
typedef enum StepKind {
	STEP_SCALAR,
	STEP_QUEUE,
	STEP_INDEX,
	STEP_BARRIER,
	STEP_MARK,
	STEP_END,
	STEP_TRAP
} StepKind;
bool code_scan(PearlSim *s, Diags *d); /* structure of all entries; false: reported */
void core_begin(PearlSim *s, Core *c, const PearlCode *entry);
/* Executes the next instruction of the scalar unit. STEP_QUEUE and STEP_INDEX fill `out`; after
 * STEP_INDEX the caller calls core_index when the waits hold. STEP_BARRIER: the core stands behind it. */
StepKind core_step(PearlSim *s, Core *c, SimStep *out);
bool core_index(PearlSim *s, Core *c, const SimStep *step); /* the load of LDI */
bool sim_trap(PearlSim *s, const PearlInsn *at, const char *fmt, ...) PRINTF_LIKE(3, 4); /* false */
/* An index outside of 0..limit-1, told by the text number `check` of the interface. False, also when there
 * is no such text, and then nothing is told. */
bool sim_index_outside(PearlSim *s, int64_t check, int64_t index, int64_t limit);

/* --- operand.c: descriptors to operands ------------------------------------------------------------ */
/* Resolves operand k of the instruction and checks that all it touches lies in its region. */
bool operand_resolve(PearlSim *s, Core *c, const PearlInsn *i, uint32_t k, SimOperand *out);
int64_t operand_count(const SimOperand *o); /* elements */

/* Rows that several operands are walked over together: dims merged where strides allow. */
typedef struct RowWalk {
	uint32_t operands, rank;
	int64_t dim[PEARL_RANK], stride[4][PEARL_RANK], index[PEARL_RANK], offset[4];
	int64_t length, step[4]; /* the row: the last dim */
	bool done;
} RowWalk;
/* Over the dims of o[0]; o[k] may have fewer or repeat. False: a trap, the dims differ. */
bool walk_begin(PearlSim *s, const PearlInsn *at, RowWalk *w, const SimOperand *const *o,
                uint32_t n);
void walk_next(RowWalk *w);

/* --- convert.c: rows of elements ---------------------------------------------------------------------- */
enum { ROW = 512 }; /* elements handled at once */
bool element_is_float(uint8_t dtype);
void row_load(float *to, const uint8_t *from, int64_t step, uint8_t dtype, int64_t n);
void row_store(uint8_t *to, int64_t step, uint8_t dtype, const float *from, int64_t n);
void row_load_integer(int32_t *to, const uint8_t *from, int64_t step, uint8_t dtype, int64_t n);
void row_store_integer(uint8_t *to, int64_t step, uint8_t dtype, const int32_t *from, int64_t n);
void row_copy(uint8_t *to, int64_t to_step, uint8_t to_type, const uint8_t *from, int64_t from_step,
              uint8_t from_type, int64_t n);
void row_canonical(float *row, int64_t n); /* every NaN becomes the one NaN */

/* --- function.c: vector functions on rows ------------------------------------------------------------- */
/* y = f(a, b, c); rows of at most ROW elements; unused operands NULL. */
void row_function(PearlFunc f, float *y, const float *a, const float *b, const float *c, int64_t n);
void row_function_integer(PearlFunc f, int32_t *y, const int32_t *a, const int32_t *b,
                          const int32_t *c, int64_t n);

/* --- execute.c and what it calls: the data of one step ------------------------------------------------ */
bool step_execute(PearlSim *s, const SimStep *step);
bool execute_dma(PearlSim *s, const SimStep *step); /* move.c */
/* Cuts both operands to what lies inside the windows of `from`; *outside: whether that is not all. */
void windows_cut(SimOperand *to, SimOperand *from, bool *outside);
bool execute_gather(PearlSim *s, const SimStep *step);
bool execute_scatter(PearlSim *s, const SimStep *step);
bool execute_gemm(PearlSim *s, const SimStep *step);     /* matrix.c */
bool execute_drain(PearlSim *s, const SimStep *step);    /* vector.c */
bool execute_elements(PearlSim *s, const SimStep *step); /* vector.c: UN BIN TRI */
bool execute_fill(PearlSim *s, const SimStep *step);
bool execute_iota(PearlSim *s, const SimStep *step);
bool execute_reduce(PearlSim *s, const SimStep *step); /* reduce.c */
bool execute_scan(PearlSim *s, const SimStep *step);
bool execute_softmax(PearlSim *s, const SimStep *step);
bool execute_order(PearlSim *s, const SimStep *step); /* order.c: TOPK SORT */
float row_sum(const float *row, int64_t n);           /* reduce.c: chunks of 128, stride-halving */
/* multiply.c: c[r][0..n) += segments of a[r][0..k) * w[0..k)[0..n); tiles of `depth` cut into segments. */
typedef struct Panel {
	const float *a;
	int64_t a_row; /* packed rows */
	const float *w;
	int64_t w_row;   /* at least 64 columns may be read */
	float *const *c; /* a pointer a row */
	int64_t rows, k, n, depth, segment;
	bool keep; /* false: C starts at 0 */
} Panel;
enum { PANEL_WIDTH = 64 };
void panel_multiply(const Panel *p);

/* --- the three ways to run --------------------------------------------------------------------------------- */
bool run_data(PearlSim *s, const PearlCode *entry);
bool run_jitter(PearlSim *s, const PearlCode *entry, uint64_t seed);
bool run_timed(PearlSim *s, const PearlCode *entry, bool serial, SimReport *r, Arena *a);
#endif
