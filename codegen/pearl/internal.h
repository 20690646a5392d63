/* The compiler's own program form between tile IR and instructions: a tree of loops, choices and
 * instructions whose operands name stores (parts of a memory) with symbolic sizes and offsets.
 * lower.c and its helpers build it, schedule.c assigns stages and rings, allocate.c addresses and
 * tokens, emit.c writes the instructions. */
#ifndef NACRE_CODEGEN_PEARL_INTERNAL_H
#define NACRE_CODEGEN_PEARL_INTERNAL_H
#include "codegen/pearl/pearl.h"

/* A part of a memory: a program buffer in HBM, a place, a temporary. Strides in bytes. */
typedef struct Store {
	const char *name;
	PearlSpace space;
	DType dtype;
	uint32_t rank;
	int64_t cap[TILE_RANK], stride[TILE_RANK];
	int64_t bytes; /* of one slot; ACC: whole rows */
	uint32_t ring; /* slots, at least 1 */
	int64_t base;  /* SPM, ACC, GSM: after allocation; HBM: 0 (relative to its region) */
	uint32_t region;
	int64_t panel;       /* HBM: columns of a panel; 0: rows lie densely */
	int64_t panel_step;  /* bytes from a panel to the next, by its columns */
	uint32_t buffer;     /* HBM: number of the program buffer */
	Dim offset;          /* bytes added to every access (leading indices of a launch); NULL: none */
	struct Store *group; /* lies inside another store at group_at (softmax state), or NULL */
	int64_t group_at;
	struct LoopInfo *home; /* innermost loop around the declaration */
	uint32_t first, last;  /* positions where it lives */
	bool touched, fixed;
	bool nested;     /* touched elsewhere than directly in the loop of its home */
	uint32_t uses;   /* operands that name it */
	bool loaded;     /* written by the load queue */
	uint32_t queues; /* bit q: touched by queue q */
	Dim slot;        /* number of the slot in use, computed; NULL: a ring of the machine */
	uint32_t mark;   /* for passes */
} Store;

typedef struct LoopInfo {
	DimSym *var, *len; /* len NULL: not asked for */
	Dim lo;            /* var = lo + off */
	Dim n;             /* iterations cover 0..n */
	int64_t tile;
	bool par;         /* iterations are spread over cores */
	bool independent; /* iterations touch different parts of memory */
	uint32_t stages;  /* 0 or 1: none */
	bool scheduled;   /* the body is ordered and staged by schedule.c */
	int64_t interval; /* clocks an iteration, as planned */
	struct LoopInfo *outer;
	uint32_t depth;
} LoopInfo;

typedef struct Operand {
	Store *store; /* NULL: absent */
	DType dtype;
	uint32_t rank;
	Dim dim[PEARL_RANK];
	int64_t stride[PEARL_RANK];
	Dim wide[PEARL_RANK]; /* a stride that is known at run time only, in bytes; NULL: stride */
	Dim offset;           /* bytes; NULL: 0 */
	bool reads, writes;
	struct {
		bool on;
		uint8_t dim;
		Dim start, limit;
	} window[2];
	uint32_t n_window;
} Operand;

enum { NO_TOKEN = 0xff };
typedef struct Insn {
	PearlOpcode op;
	Operand arg[4];
	int64_t field[PEARL_FIELDS];
	struct {
		uint8_t field;
		Dim value;
	} reg[3]; /* fields that name a register holding a value */
	uint32_t n_reg;
	DimSym *defines; /* LDI */
	uint32_t stage;
	int64_t order;              /* within a staged body */
	uint32_t serial;            /* place in the iteration before scheduling */
	uint8_t wait[2], signal[2]; /* token number + 1 */
	uint8_t n_wait, n_signal;
} Insn;

typedef enum StepForm { FORM_INSN, FORM_LOOP, FORM_IF, FORM_BAR, FORM_MARK } StepForm;
typedef struct Step Step;
typedef struct StepList {
	Step *first, *last;
} StepList;
struct Step {
	StepForm kind;
	Step *next;
	Insn *insn;
	LoopInfo *loop;
	StepList body, orelse; /* loop: body; if: both */
	TileCond cond;         /* if */
	uint32_t number;       /* mark */
	uint32_t first, last;  /* positions in program order */
};

/* The binding of a tile object while its kernel is lowered. */
typedef struct Binding {
	Store *store; /* NULL when aliased or not yet made */
	TileAccess *
		alias; /* the place is only a name for this access: index[d] + place index of dim alias_dim... */
	struct Binding *next;
	const TileObj *obj;
	DimSym **alias_var; /* space variable of the bring that indexes each dim of the place */
} Binding;

typedef struct HandFiles HandFiles; /* hand.h */
typedef struct Compiler {
	Diags *d;
	TileProgram *p;
	const PearlMachine *m;
	Arena *arena;
	PearlProgram *q;
	Store **buf; /* of each program buffer */
	uint32_t spm_region, acc_region, gsm_region;
	HandFiles *hand; /* kernels written in assembly */

	/* the kernel in hand */
	TileKernel *kernel;
	Binding *bind;       /* list */
	VEC(Store *) stores; /* places and temporaries of the kernel */
	StepList *list;      /* where instructions go */
	LoopInfo *loop;      /* innermost loop around */
	uint32_t par_depth;  /* par loops around */
	bool has_par, no_stages;
	bool shallow; /* one loop over all taps of a window rather than one for each dim */
	bool failed;
	uint32_t temps;
	uint32_t ring_descriptors; /* registers that rings of staged loops take */
	int64_t spm_budget;        /* bytes that temporaries of one operation should not exceed */
	int64_t gsm_used, acc_used;
	DimFacts facts;
	Span at;
} Compiler;

/* A working copy of an operation: the same as the statement, its space narrowed by chunk loops. */
typedef struct Work {
	const TileStmt *s;
	TileVar space[TILE_SPACE];
	uint32_t n_space;
	TileAccess in[TILE_INS], out[TILE_OUTS];
	uint32_t n_in, n_out;
	bool accumulate;
	Dim map[TILE_SPACE]; /* of each space variable of s: its value in terms of what is here */
} Work;

/* --- access.c: sizes, stores, descriptors ------------------------------------------------------- */
int64_t greatest(Compiler *c, Dim d); /* greatest value; reports and returns 1 when unbounded */
int64_t least(Compiler *c, Dim d);
Store *store_new(Compiler *c, const char *name, PearlSpace space, DType t, uint32_t rank,
                 const int64_t *cap);
Store *binding_store(Compiler *c, const TileObj *o);
Binding *binding_of(Compiler *c, const TileObj *o);
bool access_mentions(const TileAccess *x, const DimSym *s);
uint32_t access_mask(const Work *w, const TileAccess *x); /* bit v: mentions space variable v */
/* The factor of s in index `dim` of x; NULL: not affine, or a factor that mentions variables of w. */
Dim access_factor(Compiler *c, const Work *w, const TileAccess *x, uint32_t dim, const DimSym *s);
int64_t access_coef(Compiler *c, const TileAccess *x, uint32_t dim, const DimSym *s);
/* Descriptor operand of access x over the space variables of `order` (n of them), one descriptor dim
 * each; variables that x does not mention get stride 0. */
Operand operand_of(Compiler *c, const Work *w, const TileAccess *x, const uint32_t *order,
                   uint32_t n, bool reads, bool writes);
Operand operand_store(Compiler *c, Store *s, const Work *w, const uint32_t *order, uint32_t n,
                      bool reads, bool writes);
Operand operand_flat(Compiler *c, Store *s, Dim count, bool reads, bool writes);
uint32_t float_bits(double v); /* v as an f32 immediate */
Insn *insn_add(Compiler *c, PearlOpcode op);
Step *step_add(Compiler *c, StepForm kind);
Step *loop_open(Compiler *c, DimSym *var, DimSym *len, Dim lo, Dim n, int64_t tile, bool par);
void loop_close(Compiler *c, Step *loop, StepList *saved);
/* Narrow space variable v of w to chunks of `size`: opens a loop and rewrites w. */
typedef struct Chunk {
	Step *node;
	StepList *saved;
} Chunk;
Chunk chunk_open(Compiler *c, Work *w, uint32_t v, int64_t size);
/* Variable v becomes a loop (or 0 where its extent is 1) and leaves the space. */
Chunk loop_over(Compiler *c, Work *w, uint32_t v);
/* One loop over all positions of the variables of a mask, whose extents are constant: they leave the
 * space as quotients and remainders of its number. */
Chunk loop_over_all(Compiler *c, Work *w, uint32_t mask);
void chunk_close(Compiler *c, Chunk k);
/* Makes every access of w affine in its variables: splits variables where indices divide them by a
 * constant (only if `may_split`), copies what is read otherwise into temporaries, and loops over the
 * variables of what is stored otherwise; loops are added to open. */
void work_linear(Compiler *c, Work *w, bool may_split, Chunk *open, uint32_t *n_open);
void work_drop(Compiler *c, Work *w, uint32_t v); /* v has extent 1 and value 0 */
Dim work_dim(Compiler *c, const Work *w, Dim d); /* of the statement's variables, in terms of w's */
void work_of(Work *w, const TileStmt *s);
/* Makes x an access of SPM (reading the memory buffer or accumulators into a temporary if need be);
 * as: wanted type, or NUM_DTYPES for its own. */
void stage_in(Compiler *c, const Work *w, TileAccess *x, DType as);
int64_t stage_bytes(Compiler *c, const Work *w, const TileAccess *x, DType as);
Store *access_store(Compiler *c, const TileAccess *x);
TileAccess access_resolve(Compiler *c, const TileAccess *x); /* through aliases */
TileObj *temp_obj(Compiler *c, PearlSpace space, DType t, uint32_t rank, const int64_t *cap);
bool pearl_fail(Compiler *c, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* --- memory.c: where buffers lie in HBM --- */
void pearl_map_hbm(Compiler *c);
bool pearl_in_panels(const TileObj *b); /* columns lie by panels */
static inline int64_t round_up(int64_t v, int64_t to)
{
	return (v + to - 1) / to * to;
}

/* --- single.c --- */
bool pearl_too_deep(const StepList *lowered); /* loops are nested deeper than the machine can */
bool pearl_drop_single(Compiler *c); /* takes such loops out of the kernel; false: there are none */

/* --- lower.c: statements ------------------------------------------------------------------------ */
void pearl_lower_block(Compiler *c, const TileBlock *b);
void pearl_lower_entry(Compiler *c, const TileEntry *e, uint32_t number);
/* --- move.c: bring, put of plain copies ----------------------------------------------------------- */
void pearl_lower_bring(Compiler *c, const TileStmt *s);
void move_in(Compiler *c, Work *w); /* out[0] (SPM) = in[0] */
void store_out(Compiler *c, const Work *w, TileAccess from, const TileAccess *to, bool add);
/* --- region.c, vector.c: map, put, reduce and the other vector operations --------------------------- */
void pearl_lower_map(Compiler *c, const TileStmt *s);
void pearl_lower_reduce(Compiler *c, const TileStmt *s);
void pearl_lower_ordered(Compiler *c, const TileStmt *s); /* scan, topk, sort */
bool mask_matches(Compiler *c, const TileStmt *choice);
void pearl_lower_softmax(Compiler *c, const TileStmt *s, const TileCond *limit,
                         const TileStmt *mask);
/* Evaluates the region; the results go to w->out (places). */
void region_lower(Compiler *c, Work *w, const Region *r);
bool region_is_identity(const Region *r);
/* --- contract.c --------------------------------------------------------------------------------------- */
void pearl_lower_contract(Compiler *c, const TileStmt *s);
/* --- schedule.c ----------------------------------------------------------------------------------------- */
void schedule_kernel(Compiler *c, StepList *body);
/* --- allocate.c, tokens.c --------------------------------------------------------------------------------- */
bool allocate_kernel(Compiler *c, StepList *body);
void tokens_kernel(Compiler *c, StepList *body);
bool tokens_possible(Compiler *c, const StepList *body); /* staged loops keep all dependences */
PearlQueue insn_queue(const Insn *i);
/* --- emit.c ------------------------------------------------------------------------------------------------- */
void emit_kernel(Compiler *c, StepList *body);
/* Computes values into registers, before the code of a launch. */
void emit_values(Compiler *c, uint32_t n, const Dim *value, const uint8_t *into);
/* --- link.c ------------------------------------------------------------------------------------------------ */
/* The code of a launch whose kernel is written in assembly; its formals are bound. */
void pearl_link(Compiler *c, const TileStep *step);
void emit_loop_begin(Compiler *c, LoopInfo *loop);
#endif
