/* Private to codegen/cpu: the state of one compilation and the vocabulary its files share. */
#ifndef NACRE_CODEGEN_CPU_EMIT_H
#define NACRE_CODEGEN_CPU_EMIT_H
#include "codegen/cpu/machine.h"
#include <llvm-c/Core.h>

typedef LLVMValueRef Value;
typedef LLVMTypeRef Type;
typedef LLVMBasicBlockRef Block;

/* --- the compilation --------------------------------------------------------------------------------- */
enum { SYMBOL_SLACK = 64, CARRIED = 96, K_RANK = 4, STAGED_PLACES = 1024 };

/* Where an object is and how it lies there. Strides are bytes (i4: elements), one a dimension. */
typedef struct Home {
	const TileObj *obj;
	Value base; /* NULL: not placed yet */
	Value stride[TILE_RANK];
	DType dtype;
	bool
		scratch; /* the thread's own memory, rows padded to whole vectors: reading past an extent is harmless */
} Home;

typedef struct MacKernel MacKernel;
typedef struct Gen {
	Arena *arena;
	Diags *diags;
	TileProgram *program;
	const Machine *machine;
	LLVMContextRef context;
	LLVMModuleRef module;
	LLVMBuilderRef build;
	Type none, i1, i8, i16, i32, i64, f32, f64, ptr;

	/* the kernel being lowered */
	const TileKernel *kernel;
	Value function, frame, launch;
	Value *sym;            /* by DimSym id: i64, NULL when not in scope */
	int64_t *sym_multiple; /* by DimSym id: the symbol is a multiple of this; 0: unknown */
	size_t n_sym;
	Home *place, *buf; /* by id */
	uint64_t scratch_used, scratch_peak;
	uint32_t n_place, max_place;
	const TileBlock *block; /* the block being lowered */
	VEC(MacKernel *) mac;
	uint32_t counter; /* for names */
	Value thread, threads, scratch;
} Gen;

void unsupported(Gen *g, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* --- llvm.c: instructions ----------------------------------------------------------------------------- */
Type vector_of(Type element, uint32_t n); /* the element itself when n == 1 */
uint32_t lanes_of(Value v);
Type element_type(Value v);
Value const_i64(Gen *g, int64_t v);
Value const_i32(Gen *g, int64_t v, uint32_t n); /* splatted over n lanes, like the next ones */
Value const_f32(Gen *g, double v, uint32_t n);
Value const_int(Type element, int64_t v, uint32_t n);
Value const_bool(Gen *g, bool v, uint32_t n);
bool value_is_const(Value v, int64_t *out); /* of an i64 */
Value iota(Gen *g, uint32_t n);             /* <0, 1, ..> i32; 0 when n == 1 */
Value splat(Gen *g, Value scalar, uint32_t n);
Value lane(Gen *g, Value v, uint32_t i); /* v itself when it is a scalar */
Value set_lane(Gen *g, Value v, Value element, uint32_t i);
Value load(Gen *g, Type t, Value p, uint32_t align);
void store(Gen *g, Value v, Value p, uint32_t align);
Value masked_load(Gen *g, Type t, Value p, Value mask, Value otherwise, uint32_t align);
void masked_store(Gen *g, Value v, Value p, Value mask, uint32_t align);
Value ptr_add(Gen *g, Value p, Value bytes);
Value ptr_addc(Gen *g, Value p, int64_t bytes);
Value intrinsic(Gen *g, const char *name, Type over, uint32_t n,
                Value *args);                   /* over NULL: not overloaded */
Value fma_(Gen *g, Value a, Value b, Value c);  /* a * b + c, fused where the machine can */
Value fmadd(Gen *g, Value a, Value b, Value c); /* the same with multiply and add where it cannot */
Value float_add(Gen *g, Value a, Value b);
Value float_sub(Gen *g, Value a, Value b);
Value float_mul(Gen *g, Value a, Value b);
Value float_div(Gen *g, Value a, Value b);
Value fgreater(Gen *g, Value a, Value b); /* a > b ? a : b: one instruction; b when unordered */
Value fless(Gen *g, Value a, Value b);
Value iadd(Gen *g, Value a, Value b); /* wrap-around; constants fold */
Value isub(Gen *g, Value a, Value b);
Value imul(Gen *g, Value a, Value b);
Value imin(Gen *g, Value a, Value b);
Value imax(Gen *g, Value a, Value b);
Value iless(Gen *g, Value a, Value b);                   /* signed a < b */
Value choose(Gen *g, Value condition, Value a, Value b); /* a scalar condition may choose vectors */
Value bits(Gen *g, Value v, Type element);               /* bitcast, lane by lane of equal width */
Value alloca_at_entry(Gen *g, Type t, uint32_t align);
Block block_new(Gen *g, const char *name);
void block_enter(Gen *g, Block b);
Value call(Gen *g, Value function, Value *args, uint32_t n);
Value function_new(Gen *g, const char *name, Type *params, uint32_t n, bool exported);

/* A loop `for iv = lo; iv < hi; iv += step` whose test is at the end, guarded when it may run no
 * time. Carried values: loop_carry before the body, loop_next for each in it, loop_out after. */
typedef struct Loop {
	Block before, body, after;
	Value iv, hi, step;
	bool guarded;
	uint32_t n;
	Value phi[CARRIED], next[CARRIED], out[CARRIED], init[CARRIED];
} Loop;
void loop_begin(Gen *g, Loop *l, Value lo, Value hi, Value step);
Value loop_carry(Gen *g, Loop *l, Value init);
void loop_end(Gen *g, Loop *l);

typedef struct If {
	Block then, end;
	Value branch;
} If;
void if_begin(Gen *g, If *i, Value condition);
void if_else(Gen *g, If *i);
void if_end(Gen *g, If *i);

/* --- math.c: f32 functions on vectors, a few ulp ------------------------------------------------------- */
Value math_exp(Gen *g, Value x);
Value math_exp2(Gen *g, Value x);
Value math_exp2_below(Gen *g, Value x); /* for x < 128 */
Value math_log(Gen *g, Value x);
Value math_log2(Gen *g, Value x);
Value math_tanh(Gen *g, Value x);
Value math_sigmoid(Gen *g, Value x);
Value math_erf(Gen *g, Value x);
Value math_gelu(Gen *g, Value x);
Value math_gelu_tanh(Gen *g, Value x);
Value math_silu(Gen *g, Value x);
Value math_sin(Gen *g, Value x);
Value math_cos(Gen *g, Value x);
Value math_pow(Gen *g, Value x, Value y);
Value math_sqrt(Gen *g, Value x);
Value math_abs(Gen *g, Value x);
Value math_floor(Gen *g, Value x);
Value math_ceil(Gen *g, Value x);
Value math_round(Gen *g, Value x); /* halves to even */

/* --- convert.c: element types ---------------------------------------------------------------------------- */
Type storage_type(Gen *g, DType t); /* i4: i8 */
/* From storage bits to the widened type (f32, i32, i1) and back, lane by lane. */
Value widen(Gen *g, DType t, Value raw);
/* The same, still to be multiplied by the power of two *by: what costs less once than for each. */
Value widen_scaled(Gen *g, DType t, Value raw, double *by);
Value narrow(Gen *g, DType t, Value v);
Value convert(Gen *g, Value v, DType from, DType to); /* between widened types f32, i32, bool */
Value storage_const(Gen *g, DType t, double v, uint32_t n);

/* --- index.c: index expressions ---------------------------------------------------------------------------- */
Value index_value(Gen *g, Dim d); /* i64 at the insertion point */
void index_bind(Gen *g, const DimSym *s, Value v, int64_t multiple);
void index_range(Gen *g, Dim d, int64_t *lo, int64_t *hi);
bool index_multiple(Gen *g, Dim d, int64_t of); /* provably divisible */
bool index_const(Dim d, int64_t *v);

/* --- access.c: addresses -------------------------------------------------------------------------------------- */
/* An access seen from some space variables; all other symbols in it are bound. Linear: a pointer for
 * these variables at zero and a byte stride for each. Otherwise elements are addressed one by one. */
typedef struct Check {
	Value at, step[TILE_SPACE], limit;
} Check; /* 0 <= at + steps < limit */
typedef struct Cursor {
	const TileAccess *access;
	Home *home;
	DType dtype;
	bool linear;
	Value base;
	Value stride[TILE_SPACE];
	Value enabled; /* i1, or NULL: always; false: reads give the else value, writes are dropped */
	uint32_t n_check;
	Check check[TILE_RANK]; /* linear with else: what is not proved to hold */
	const TileVar *space;
	uint32_t n_space;
} Cursor;
Home *home_of(Gen *g, const TileObj *o);
/* Fills in the strides of a plain buffer or place of the given dims. */
void home_strides(Gen *g, Home *h, uint32_t rank, const Value *dims, const Encoding *enc);
bool access_linear(Gen *g, const TileAccess *a, const TileVar *space, uint32_t n);
bool access_proved(Gen *g,
                   const TileAccess *a); /* needs no check: no gather, no else that may be taken */
bool index_split(Gen *g, Dim index, const TileVar *space, uint32_t n, Dim *coef, Dim *rest);
Cursor cursor_open(Gen *g, const TileAccess *a, const TileVar *space, uint32_t n);
void cursor_move(Gen *g, Cursor *c, uint32_t v, Value by);
int64_t cursor_step(const Cursor *c,
                    uint32_t v); /* in elements; INT64_MIN: at run time or not linear */
bool cursor_vectorizes(const Cursor *c, uint32_t v); /* broadcast or unit step along v */
/* The widened value of `lanes` elements along variable v from iv (NULL: 0). mask NULL: all lanes;
 * masks only with cursors that vectorize. When the cursor is not linear, the symbol of v is bound here,
 * those of other variables by the caller. */
Value cursor_load(Gen *g, const Cursor *c, uint32_t v, Value iv, uint32_t lanes, Value mask);
void cursor_store(Gen *g, const Cursor *c, uint32_t v, Value iv, uint32_t lanes, Value mask,
                  Value widened, bool add);
/* NACRE_STOP_INDEX, first comer only; check: the text, or NULL */
void report_stop(Gen *g, Value index, Value limit, const char *check);

/* --- region.c ---------------------------------------------------------------------------------------------------- */
/* args: widened values; v, iv, lanes place RN_DIM nodes along the vector variable. */
void region_emit(Gen *g, const Region *r, const Value *args, const TileVar *space, uint32_t v,
                 Value iv, uint32_t lanes, Value *out);
Value scalar_emit(Gen *g, Scalar f, DType operand, Value a, Value b, Value c);
uint32_t region_cost(const Region *r);

/* --- lower.c: kernels, blocks, loops, places ------------------------------------------------------------------------- */
Value lower_kernel(Gen *g,
                   const TileKernel *k);      /* its function: (frame, launch number, buffers...) */
void lower_block(Gen *g, const TileBlock *b); /* by this thread alone */
const TileStmt *lower_stmt(Gen *g, const TileStmt *s); /* returns the one after the last done */
/* Binds offset and length of the iteration at `offset` of a par or for. */
void bind_iteration(Gen *g, const TileStmt *s, Value offset, Value hi);
TileObj *place_new(Gen *g, DType t, uint32_t rank,
                   const int64_t *dims); /* in scratch until the block ends */
void emit_barrier(Gen *g);

/* --- par.c: sharing out tasks ------------------------------------------------------------------------------------------ */
void lower_par(Gen *g, const TileStmt *s);

/* --- scan.c: what statements touch ------------------------------------------------------------------------------------- */
typedef void AccessVisit(void *ctx, const TileStmt *s, const TileAccess *a, bool write);
void stmt_visit(const TileStmt *s, AccessVisit *visit,
                void *ctx); /* nested statements and row gathers included */
void block_visit(const TileBlock *b, AccessVisit *visit, void *ctx);
bool stmt_touches(const TileStmt *s, const TileObj *o, bool write);
bool block_touches(const TileBlock *b, const TileObj *o, bool write);
bool stmt_writes_buffers(const TileStmt *s);
bool stmt_has_par(const TileStmt *s);
bool stmt_writes_outer_places(const TileStmt *s);

/* --- elementwise.c: map, put, bring --------------------------------------------------------------------------------------- */
void lower_elementwise(Gen *g, const TileStmt *s);
bool lower_alias(Gen *g, const TileStmt *s,
                 const TileBlock *in); /* a bring whose place can be its source */
/* Copies what an access reaches over the given variables into a new place indexed by them in that
 * order. NULL when it is unbounded or larger than limit bytes. */
TileAccess *lower_stage(Gen *g, const TileAccess *a, const TileVar *vars, uint32_t n, DType as,
                        int64_t limit);
/* The step in elements of an access along a variable: INT64_MIN when not a known constant. */
int64_t access_step(Gen *g, const TileAccess *a, const DimSym *s);
Value lane_mask(Gen *g, Value live, uint32_t lanes); /* lanes below live */
/* Loops over all variables but `except` (n: none), binding their symbols; body runs inside. */
typedef void NestBody(Gen *g, void *ctx);
void nest_loops(Gen *g, const TileVar *space, uint32_t n, uint64_t except, NestBody *body,
                void *ctx);
/* Calls body for whole vectors of 0..extent and for the rest: masked, or element by element. */
typedef void VectorBody(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask);
void vector_loop(Gen *g, Value extent, uint32_t lanes, bool mask_tail, VectorBody *body, void *ctx);

/* --- reduce.c --- */
void lower_reduce(Gen *g, const TileStmt *s);
/* RED_MAX for floats where a NaN may be passed over: one instruction instead of three. */
enum { RED_MAX_NUMBER = NUM_TILE_REDUCE };
Value reduce_combine(Gen *g, TileReduce r, Value a, Value b);
Value reduce_identity(Gen *g, TileReduce r, Type element, uint32_t n);
Value reduce_lanes(Gen *g, TileReduce r, Value v);
/* The reduction of step's values over 0..extent, with several accumulators. step gives the value of
 * whole vectors, of a masked one (lanes that are off do not count), or of one element. */
typedef Value RowStep(Gen *g, void *ctx, Value iv, uint32_t lanes, Value mask);
Value reduce_row(Gen *g, TileReduce r, Type element, Value extent, bool vectors, RowStep *step,
                 void *ctx);
void lower_softmax_step(Gen *g, const TileStmt *s); /* softmax.c */
void lower_scan(Gen *g, const TileStmt *s);         /* order.c */
void lower_topk(Gen *g, const TileStmt *s);
void lower_sort(Gen *g, const TileStmt *s);
/* contract.c. `then` is the next statement: true when it was done too, as the epilogue. */
bool lower_contract(Gen *g, const TileStmt *s, const TileStmt *then);

/* --- int4.c: weights of 4 bits ---------------------------------------------------------------------------------- */
/* A contract of few rows by such weights; false: it is none. */
bool lower_int4(Gen *g, const TileStmt *s);
/* The weights as f32 in a place over (k, column); NULL when they do not lie in whole groups. */
TileAccess *lower_stage_int4(Gen *g, const TileAccess *a, const TileVar *vars, uint32_t n,
                             int64_t limit);

/* --- mac.c: the micro-kernel ------------------------------------------------------------------------------------------ */
/* rows x (vectors * lanes) accumulators in registers; an operand is a scalar splatted over the
 * lanes, or vectors along them, and moves with the rows or not. */
typedef enum MacDot {
	DOT_NONE,
	DOT_BF16,
	DOT_I8,
	DOT_U8,
	DOT_I4 /* floats by nibbles: two of k in a byte of the panel */
} MacDot;  /* by the type of the splatted operand */
typedef struct MacOperand {
	DType dtype;
	bool vector, rows;
	bool padded;    /* whole vectors may be read where only some lanes are live */
	int64_t k_step; /* bytes by which the innermost k moves it, INT64_MIN: given at run time */
} MacOperand;
typedef struct MacShape {
	MacOperand op[2];
	bool integer; /* i32 result, else f32 */
	MacDot dot;
	uint32_t vectors, k_rank;
	bool masked; /* only `live` columns exist */
	bool k_tail; /* dot forms: K may not be a multiple of the group */
	bool accumulate;
	bool columns;         /* DOT_I8: the columns' sums are given */
	const TileStmt *then; /* epilogue in registers, or NULL */
	uint32_t then_in;     /* which of its inputs is the result */
} MacShape;
typedef struct MacCall {
	Value at[2], row[2], k_stride[2][K_RANK];
	Value result, result_row;
	Value k[K_RANK];                     /* extents, outermost first */
	Value live;                          /* when masked */
	Value columns;                       /* i32 sums of the columns of op[1], when given */
	Cursor in[TILE_INS], out[TILE_OUTS]; /* of `then`, over (row, column) */
} MacCall;
/* Does `rows` rows, at most `most`, most <= mac_rows. */
void mac_call(Gen *g, const MacShape *shape, Value rows, uint32_t most, const MacCall *call);
uint32_t mac_rows(const Gen *g, uint32_t vectors);
uint32_t mac_group(MacDot dot);
#endif
