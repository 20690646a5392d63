/* Tile IR: how a computation is done. Loops over tiles, places that hold tiles, and a dozen
 * operations, each over an explicit iteration space; the shared middle of both backends.
 * doc/tile.md describes the text form, which parses back to the same program.
 *
 * An operation has a *space*: variables with extents (`over i < h, k < 768`). Every operand is an
 * *access*: a buffer or place with one index expression a dimension, affine in the space variables
 * and otherwise free (loop variables, parameters). What is reduced, transposed, broadcast, windowed
 * (implicit im2col) or strided follows from the index expressions alone. There are no masks: extents
 * say how much is live. There are no tokens and no asynchrony: backends derive them. */
#ifndef NACRE_IR_TILE_H
#define NACRE_IR_TILE_H
#include "ir/dim.h"
#include "ir/dtype.h"
#include "ir/scalar.h"

enum { TILE_RANK = 8, TILE_SPACE = 8, TILE_INS = 12, TILE_OUTS = 6 };

/* --- objects ---------------------------------------------------------------------------------- */
typedef enum TileKind { TB_WEIGHT, TB_STATE, TB_IN, TB_OUT, TB_ARENA, TB_PLACE } TileKind;
typedef enum TileLevel { LEVEL_AUTO, LEVEL_ACC, LEVEL_NEAR, LEVEL_SHARED } TileLevel;

/* How the elements of a buffer lie in memory. Dimensions before the last two are plain outer ones.
 * ENC_PLAIN: row-major; the last-but-one stride is padded by `pad` elements.
 * ENC_PACK:  the last two dimensions [K, N] as panels [ceil(N/nb)][ceil(K/kg)][nb][kg], zero filled
 *            (kg = 1, 2, 4 for f32, bf16, i8: what a dot instruction takes at once; even for i4, whose
 *            first of two elements is the low nibble of a byte).
 * ENC_I4:    [K, N] of i4, K in groups of `group`: panels [ceil(N/nb)][K/group] of
 *            { f32 scale[nb]; nibbles[group/2][nb] } where the byte of (k2, n) holds k = k2 in its
 *            low nibble and k = k2 + group/2 in its high nibble; the logical value is q * scale. */
typedef enum EncodingKind { ENC_PLAIN, ENC_PACK, ENC_I4 } EncodingKind;
typedef struct Encoding {
	EncodingKind kind;
	uint32_t nb, kg, group, pad;
} Encoding;

/* A buffer in memory (kind != TB_PLACE) or a place. A place has constant capacity and is fresh (its
 * contents undefined) each time control passes its statement, so double buffering is legal. */
typedef struct TileObj {
	const char *name;
	TileKind kind;
	DType dtype;
	uint32_t rank;
	Dim dims[TILE_RANK]; /* of a place: constants */
	Encoding enc;        /* buffers only */
	double initial;      /* states: each element, when a session begins */
	TileLevel level;     /* places only */
	uint32_t id;     /* buffers: index in program or kernel list; places: number in the kernel */
	const char *key; /* weights: name in the weight file, NULL when made by a prepack kernel */
	uint32_t live_first, live_last; /* arena: first and last launch that touches it (plan order) */
	const void
		*literal; /* weights made by the compiler (tables): dense elements of dtype, or NULL */
	void *data;   /* backends and interpreter may hang their own record here */
	Span span;
} TileObj;

typedef struct TileAccess {
	TileObj *obj;
	Dim index[TILE_RANK]; /* NULL where gathered */
	const struct TileAccess
		*rows; /* index along dimension rows_dim comes from this i32 access, or NULL */
	uint32_t rows_dim;
	const char
		*check; /* of `rows`, and of an index: how one out of range is told (message.c), or NULL */
	bool has_else; /* reads outside obj give else_value; without it they are errors */
	double else_value;
} TileAccess;

/* --- statements ------------------------------------------------------------------------------- */
typedef enum TileOp {
#define TILE(id, ...) TILE_##id,
#include "ir/tile/tile.def"
	NUM_TILE_OPS
} TileOp;

typedef struct TileVar {
	DimSym *sym;
	Dim extent;
} TileVar; /* a space variable: 0 <= sym < extent */
typedef enum TileReduce {
	RED_SUM,
	RED_MAX,
	RED_MIN,
	RED_AMAX,
	RED_ARGMAX,
	NUM_TILE_REDUCE
} TileReduce;
typedef enum TileRel { REL_LT, REL_LE, REL_EQ, REL_NE } TileRel;
typedef struct TileCond {
	TileRel rel;
	Dim a, b;
} TileCond;

typedef struct TileStmt TileStmt;
typedef struct TileBlock {
	TileStmt *first, *last;
} TileBlock;
struct TileStmt {
	TileOp op;
	TileStmt *next;
	Span span;

	/* loops: par, for, split. Each iteration has offset `var` and, when `len` is not NULL, a length
	 * with var + len <= hi. `for`/`par`: step by `by`, the last one shorter. `split`: the fewest
	 * pieces of at most `by`, as even as can be (lengths differ by at most one). */
	DimSym *var, *len;
	Dim lo, hi;
	int64_t by;
	uint32_t stages, ways;  /* hints: software-pipeline stages, interleaved tasks; 0 or 1: none */
	TileBlock body, orelse; /* if: body and orelse */
	TileCond cond[4];       /* if: all must hold */
	uint32_t n_cond;

	TileObj *place; /* place: the object; index: buffer read */

	/* operations */
	TileVar space[TILE_SPACE];
	uint32_t n_space;
	TileAccess out[TILE_OUTS];
	uint32_t n_out;
	TileAccess in[TILE_INS];
	uint32_t n_in;
	bool accumulate;   /* contract, reduce: combine with what out holds; put: add to memory */
	TileReduce reduce; /* reduce, scan */
	uint32_t axis;     /* scan, topk, sort: number of the space variable along which */
	bool descending;   /* sort */
	double scale;      /* softmax_step */
	Region region;     /* bring: empty (identity); map, put; reduce and scan: of the inputs */
};

/* tile.def rows, in words (space variables in braces):
 *  place        a fresh place
 *  index        place `index r = ids[b] in lo..hi`: var = the loaded value (SYM_DATA), in[0] its access
 *  bring        out[0] (a place) = in[0]: a snapshot; the source is not written while the place lives
 *  map          outs (places) = region(ins)
 *  put          outs (buffers) = region(ins), or += when accumulate
 *  contract     out[0] (=|+=) sum over the variables absent from out[0] of in[0] * in[1];
 *               f32 accumulation for floats, i32 for i8 by i8
 *  reduce       out[0] (=|combine) of region(ins) over the variables absent from out[0];
 *               argmax: out[0] i32, position along the single reduced variable, lowest on ties
 *  softmax_step p, alpha, m, l = s: for each row i of s[i, j]:
 *               m' = max(m, max_j s*scale); alpha = exp(m - m'); p = exp(s*scale - m');
 *               l = l*alpha + sum_j p; m = m'; a row whose m' is -inf gives p = 0, alpha = 1
 *               outs: p[i,j] alpha[i] m[i] l[i] (m and l also read); in: s[i,j]   (Dao 2023, FlashAttention-2)
 *  scan         out[0] = running combination along `axis` of region(ins)
 *  topk         outs values, i32 positions [.., k] of the k greatest along `axis`, descending,
 *               ties to the lower position; the last space variable is k
 *  sort         outs values, i32 positions sorted along `axis`, stable                              */

/* --- kernels and programs ---------------------------------------------------------------------- */
/* A kernel that is written in a target's assembly: its tensors are the formals, by name, its parameters have
 * the values of `size`. */
typedef struct TileHand {
	const char *file;
	uint32_t n_size;
	const char *const *size;
	const Dim *value;
} TileHand;

typedef struct TileKernel {
	const char *name;
	VEC(TileObj *) bufs; /* formal buffers in order */
	TileBlock body;
	const TileHand *hand; /* NULL: the body says what is done; else it is empty */
	uint32_t places;      /* number of places */
	const char *note;     /* where it comes from in the model, for profiles; may be NULL */
	Span span;
} TileKernel;

/* An actual argument: a program buffer, its leading dimensions fixed by indices, so that the formal
 * sees the rest (`w[layer]`). */
typedef struct TileArg {
	TileObj *buf;
	uint32_t n_lead;
	Dim lead[TILE_RANK];
} TileArg;

typedef struct TileStep TileStep; /* a statement of an entry */
struct TileStep {
	enum { STEP_LAUNCH, STEP_LOOP } kind;
	TileStep *next;
	TileKernel *kernel; /* launch */
	TileArg *args;
	uint32_t number; /* launch: position in the plan order of the entry (a loop body counts once) */
	DimSym *var;     /* loop: 0 <= var < count */
	Dim count;
	TileStep *body;
};
typedef struct TileEntry {
	const char *name;
	VEC(TileObj *) ins, outs; /* outs in order of the results, named */
	VEC(DimSym *) set_sym;    /* state dims assigned after the call, with their new values */
	VEC(Dim) set_value;
	VEC(Dim) require; /* >= 0 when this entry is called, beside those of the program */
	VEC(const char *) require_text;
	TileStep *steps;
	uint32_t launches;
} TileEntry;

typedef struct TileProgram {
	Arena *arena;
	DimPool *dims;
	Interner *names;
	const char *name;
	VEC(DimSym *) params; /* in parameter order: session, call, state dims */
	VEC(Dim) require;     /* each must be >= 0 when an entry is called */
	VEC(const char *) require_text;
	VEC(TileObj *) bufs;      /* every program buffer */
	VEC(const char *) checks; /* texts of accesses, each once; numbered from 1 */
	VEC(TileKernel *) kernels;
	TileEntry *prepack; /* run once when weights are known: makes packed constants; may be NULL */
	VEC(TileEntry *) entries;
} TileProgram;

/* --- tile.c: construction ---------------------------------------------------------------------- */
TileProgram *tile_program_new(Arena *a, DimPool *dims, Interner *names, const char *name);
TileStmt *tile_stmt(TileProgram *p, TileBlock *in, TileOp op); /* appended to the block */
TileObj *tile_buf(TileProgram *p, TileKind kind, const char *name, DType t, uint32_t rank,
                  const Dim *dims);
TileObj *tile_formal(TileProgram *p, TileKernel *k, TileKind kind, const char *name, DType t,
                     uint32_t rank, const Dim *dims);
TileKernel *tile_kernel(TileProgram *p, const char *name);
TileEntry *tile_entry(TileProgram *p, const char *name);
/* The text of a check, once for the program; its number, 0: none (also of those past 65535). */
const char *tile_check(TileProgram *p, const char *text);
uint32_t tile_check_number(const TileProgram *p, const char *text);
/* When a file has kernels but no entry: one entry for each kernel, its formals as program buffers. */
void tile_default_entries(TileProgram *p);
/* Numbers the launches and sets live_first/live_last of arena buffers (what lives into or out of a
 * loop lives through all of it). */
void tile_liveness(TileProgram *p);

/* --- encoding.c -------------------------------------------------------------------------------- */
int64_t encoding_bytes(const Encoding *e, DType t, uint32_t rank,
                       const int64_t *dims); /* -1 on overflow */
/* Symbolic size in bytes. */
Dim encoding_bytes_dim(DimPool *p, const Encoding *e, DType t, uint32_t rank, const Dim *dims);
double encoding_load(const Encoding *e, DType t, uint32_t rank, const int64_t *dims,
                     const void *base, const int64_t *index);
void encoding_store(const Encoding *e, DType t, uint32_t rank, const int64_t *dims, void *base,
                    const int64_t *index, double v);
/* Fills a buffer from dense row-major doubles; ENC_I4 chooses scales (max-abs / 7 of each group). */
void encoding_pack(const Encoding *e, DType t, uint32_t rank, const int64_t *dims,
                   const double *dense, void *base);
void encoding_unpack(const Encoding *e, DType t, uint32_t rank, const int64_t *dims,
                     const void *base, double *dense);

/* --- text.c, parse.c: the text form ------------------------------------------------------------- */
void tile_print(Text *t, const TileProgram *p);
void tile_print_kernel(Text *t, const TileKernel *k);
TileProgram *tile_parse(Arena *a, Diags *d, const Source *s); /* NULL after errors */

/* --- verify.c ------------------------------------------------------------------------------------ */
/* Structure, types, scopes, ranks; every access within its object for all parameters in range (by
 * interval and affine reasoning; what stays undecided is an error naming the access); places within
 * capacity; a par body writes no place of an outer scope and disjoint parts of buffers (when decidable). */
bool tile_verify(Diags *d, const TileProgram *p);
/* As messages show it: `x[m + i, 3]`. */
const char *tile_access_text(Arena *a, const TileAccess *x);

/* --- interpret.c ----------------------------------------------------------------------------------- */
typedef struct TileRun {
	bool exact; /* true: float places and arena buffers hold doubles; else rounded to their dtype */
	const int64_t *params; /* values, in the program's order */
	void **data;           /* for each program buffer: encoded bytes, or NULL for arena */
	uint64_t steps_left;   /* 0: no limit */
} TileRun;
/* Runs one entry. Reads of elements never written, out-of-bounds accesses and unmet requires are
 * errors with the place in the text. */
bool tile_interpret(Diags *d, TileProgram *p, const TileEntry *e, TileRun *run);
#endif
