/* Kernel builders: from a kernel of the graph IR and the traits of a target to tile IR. One file a
 * class of kernel; access.c composes the movements inside a kernel into index expressions, so that
 * transposes, reshapes, slices, gathers and padding cost no copies; program.c builds the whole
 * program: launches, layer loops, state, buffers, and the prepacking of constants. */
#ifndef NACRE_CODEGEN_TILE_H
#define NACRE_CODEGEN_TILE_H
#include "ir/ir.h"
#include "ir/target.h"
#include "ir/tile/tile.h"
#include "support/interface.h"

/* --- program.c --- */
/* The tile program of a module whose entries consist of kernels (pass form_kernels). NULL after
 * errors. Shares the module's dims, names and arena. */
TileProgram *tile_build(Module *m, Diags *d, const TileTraits *traits);

/* --- interface.c --- */
/* What the program asks of its caller; tensor numbers are buffer numbers. m gives inputs, outputs and
 * weights their names and shapes; NULL: those of the buffers stand. NULL after errors. */
Interface *interface_build(const Module *m, const TileProgram *p, const char *target, Diags *d);
/* The literals of the program, each at the offset that its tensor has in the interface. */
const uint8_t *interface_constants(const TileProgram *p, size_t *n);

/* --- inside this folder --- */

/* Where a value lies: a program buffer, or the part of it that leading indices fix. */
typedef struct Home {
	TileObj *buf;
	uint32_t n_lead;
	Dim lead[TILE_RANK];
	uint32_t keep; /* leading dims of the value that lie apart in memory (memory_dims) */
} Home;

typedef struct Frame {
	struct Frame *up;
	DimSym *var;
	Dim count;
} Frame; /* a loop around what is built */
typedef struct LoopPlan LoopPlan;
typedef struct Made Made;     /* a kernel and what it was built for */
typedef struct Packed Packed; /* a weight in panels, made once and shared by entries */
typedef struct Build {
	Module *m;
	Diags *d;
	const TileTraits *t;
	TileProgram *p;
	TileEntry *entry;    /* now being built */
	const Entry *source; /* what it is built from */
	TileStep **tail;     /* where the next step goes */
	TileStep **prepack_tail;
	Frame *frames;
	Home **weights, **states;
	Users *users;     /* of each node of the entry, by id */
	uint32_t *lead;   /* leading dims that a loop fixes, by id of the node */
	bool *apart;      /* is it read beyond its edges, so that each dim must show, by id */
	bool *merge;      /* is it read or written as if its symbolic dims were one, by id */
	LoopPlan **loops; /* by id */
	uint32_t ids;
	VEC(Packed *) packed;
	VEC(TileObj *) literals;
	VEC(struct Derived *) derived;
	VEC(Made *) made;
	int64_t room;    /* bytes of memory that panels may still take */
	uint32_t serial; /* for names */
	bool failed;
} Build;

typedef enum PackForm {
	PACK_MATRIX, /* w [K, N] (k_first) or [N, K] -> [K, N] in panels */
	PACK_STACK,  /* w [E, N, K] -> [E, K, N] in panels: a matrix for each of the first dim */
	PACK_CONV,   /* w [ky, kx, C, N] -> [ky, kx*C, N] in panels */
	PACK_SCALES, /* scales [blocks, N / block] (k_first) or [N / block, blocks] -> [blocks, N] */
	PACK_SCALES_STACK /* scales [E, N / block, blocks] -> [E, blocks, N] */
} PackForm;
typedef struct PackAs {
	PackForm form;
	bool k_first;
	bool mixed;    /* narrow elements that are multiplied by floats: no groups of k */
	int64_t block; /* scales: columns that share one */
} PackAs;
/* What a formal of a kernel stands for, so that a like kernel can be launched with it again. */
typedef struct Origin {
	enum { FROM_ARG, FROM_RESULT, FROM_PACK } kind;
	uint32_t number; /* of the region argument or the result */
	Node *w;         /* packed: the value, and how */
	PackAs as;
	Dim dims[3];
} Origin;

/* A kernel in construction. */
typedef struct Kernel {
	Build *b;
	Node *node; /* OP_KERNEL */
	Graph *g;   /* its region */
	TileKernel *k;
	TileArg *args;    /* grows with k->bufs */
	Origin *origin;   /* of each of k->bufs */
	TileObj **formal; /* for each region argument, NULL until used */
	uint32_t *lead;   /* for each region argument: leading dims fixed by the launch */
	TileArg *actual;  /* for each region argument: the program buffer */
	uint32_t *keep;   /* for each region argument: dims after those that lie apart in memory */
	TileObj *out[KERNEL_RESULTS]; /* formals of the results */
	uint32_t out_keep[KERNEL_RESULTS];
	Node *root[KERNEL_RESULTS]; /* the results, before reshapes that leave memory as it is */
	struct View {
		uint32_t arg;
		TileObj *obj;
	} view[8]; /* formals of region arguments seen with other dims */
	uint32_t n_view;
	/* values already in places: reading `node` at exactly `index` gives place[at] */
	struct Bound {
		const Node *node;
		Dim index[MAX_RANK];
		TileAccess at;
	} bound[8];
	uint32_t n_bound;
} Kernel;

/* access.c: dims */
Dim dim_c(const Build *b, int64_t v);
int64_t dim_most(const Build *b, Dim d); /* upper bound; reports an error when there is none */
/* How a tensor lies in memory: every dim up to the last symbolic one merged into the first, so that
 * only the outermost extent depends on the call. keep: leading dims left alone (stacked states). */
uint32_t memory_dims(const Build *b, const Type *t, uint32_t keep, Dim *out);
void memory_index(const Build *b, const Type *t, uint32_t keep, const Dim *index, Dim *out);
/* The last dim of a merged run: index expressions of a reshape. */
void reshape_index(const Build *b, const Type *from, const Type *to, const Dim *index, Dim *out);

/* Would an index into the operand of a reshape, from one into its result (back: the other way), need
 * a division? */
bool reshape_divides(const Build *b, const Node *reshape, bool back);

/* access.c: reading values inside a kernel */
typedef struct RegionMaker {
	Kernel *k;
	TileStmt *s;
	VEC(RegionNode) nodes;
	bool failed;
} RegionMaker;
RegionMaker region_begin(Kernel *k, TileStmt *s);
/* The value of n at index as a region node; adds inputs to the statement. */
uint16_t region_value(RegionMaker *r, Node *n, const Dim *index);
uint16_t region_access(RegionMaker *r, const TileAccess *a);
uint16_t region_const(RegionMaker *r, DType t, double v);
uint16_t region_dim(RegionMaker *r, Dim d);
uint16_t region_call(RegionMaker *r, Scalar f, uint16_t a, uint16_t b, uint16_t c);
uint16_t region_cast(RegionMaker *r, DType t, uint16_t a);
void region_end(RegionMaker *r, uint32_t n_out, const uint16_t *out);
/* n at index when it is reached by movements only; false (and an error) otherwise. */
bool access_value(Kernel *k, Node *n, const Dim *index, TileAccess *out);
/* How an index out of range is told for a node with a check, and where it stands; NULL: it has none.
 * counts: what is read shows only that there is one. */
const char *access_check(Build *b, const Node *n, bool counts);
/* Is each dim of n, reached by transposes and reshapes of dims of 1, a dim of its own in memory? */
bool lies_apart(const Kernel *k, const Node *n);
bool is_access(const Node *n); /* would access_value succeed */
void bind(Kernel *k, const Node *n, const Dim *index, uint32_t rank, TileAccess at);
/* Where the result `r` of the kernel goes when `n`, an operation in it, has `index`: follows the
 * movements after it. */
bool result_access(Kernel *k, uint32_t r, const Node *n, const Dim *index, TileAccess *out);

/* access.c: statements */
TileStmt *loop(Kernel *k, TileBlock *in, TileOp op, const char *name, Dim lo, Dim hi, int64_t by,
               bool with_len);
/* A parallel loop one by one; none for an extent of 1. *at: the index. The block to go on in. */
TileBlock *each_of(Kernel *k, TileBlock *in, const char *name, Dim extent, Dim *at);
bool dim_is_one(Dim d);
Dim loop_at(const Build *b, const TileStmt *loop_stmt);  /* the offset as an expression */
Dim loop_len(const Build *b, const TileStmt *loop_stmt); /* the length */
TileObj *place(Kernel *k, TileBlock *in, const char *name, DType t, TileLevel level, uint32_t rank,
               const int64_t *cap);
Dim space(Kernel *k, TileStmt *s, const char *name, Dim extent); /* a new space variable */
TileAccess access_of(TileObj *o, uint32_t rank, const Dim *index);
TileAccess access1(TileObj *o, Dim i);
TileAccess access2(TileObj *o, Dim i, Dim j);
bool kernel_fail(Kernel *k, const char *why);
TileObj *kernel_formal(Kernel *k, TileKind kind, const char *name, DType t, uint32_t rank,
                       const Dim *dims, TileArg actual);

/* one for each class */
bool build_map(Kernel *k);
bool build_concat(Kernel *k);
bool build_update(Kernel *k);
bool build_rows(Kernel *k);
bool build_contraction(Kernel *k);
bool build_conv(Kernel *k);
bool build_pool(Kernel *k);
bool build_attention(Kernel *k);
bool build_lines(Kernel *k);
bool build_routed(Kernel *k);
bool build_route(Kernel *k);
bool build_hand(Kernel *k);
Node *kernel_anchor(Kernel *k, Op op); /* the first node of that operation, or NULL */

/* hand.c: kernels written in assembly */
/* Do the dims of a value with `keep` all show in memory? */
bool shows_dims(const Build *b, const Type *t, uint32_t keep);
/* What a kernel of it is called: as its file, without the ending. */
const char *hand_name(Build *b, const Node *kernel);
const char *hand_result_name(Build *b, const Node *hand, uint32_t result);

/* pack.c: weights in the order in which contractions read them */
/* A formal of kernel k that holds the packed form (dims: its logical shape) of the value w, reached
 * by movements from a weight; made by a prepack kernel, once for all entries. NULL: not packed. */
TileObj *pack_weight(Kernel *k, Node *w, const PackAs *as, const Dim *dims);
uint32_t pack_rank(PackForm form); /* of its logical shape */
/* The buffer of the packed form; false: it is not packed. */
bool pack_argument(Kernel *k, Node *w, const PackAs *as, const Dim *dims, TileArg *out);

/* scaled.c: products of weights that stay as they are stored */
/* The second operand of a product when it comes scaled (OP_DEQUANT, as the pass `scales` leaves it). */
typedef struct Scaled {
	Node *stored, *scale, *zero; /* zero: NULL when there is none */
	uint32_t k_axis, n_axis;     /* dims of them; a first one before is a stack of matrices */
	int64_t depth, k_block, n_block;
	TileObj *panels, *scales, *zeros; /* formals of what is packed; NULL: read where it lies */
} Scaled;
/* The part of the product that is made: h rows by w columns, from the column `column` of `matrix` (NULL:
 * there is one). */
typedef struct ScaledTile {
	Dim h, w, column, matrix;
	bool rows, columns; /* whether the tile has that axis, or is one row or column */
	int64_t mr, nr;
	void *ctx;
	/* x[row, k], the row counted in the tile */
	bool (*operand)(Kernel *k, void *ctx, Dim row, Dim at, TileAccess *out);
} ScaledTile;
bool scaled_open(Kernel *k, Node *operand, uint32_t k_axis, uint32_t n_axis, Scaled *out);
/* A place [mr, nr] that holds the tile of x * ((q - zero) * scale), made in block `in`. */
TileObj *scaled_product(Kernel *k, TileBlock *in, const Scaled *s, const ScaledTile *t);
/* Memory that weights and states leave to panels, with a part for activations set aside. */
int64_t room_for_panels(const Build *b);
/* Where a weight itself is packed beside being read row by row, the rows are taken from its panels. */
void share_panels(Build *b);
/* tied.c: fewer weights in memory at once */
/* Rows gathered from `table` [V, D] are read from `panels`, [D, V] of the same elements, unless it is
 * read in another way too. */
void rows_from_panels(TileProgram *p, TileObj *table, TileObj *panels);
/* Constants that the prepack entry alone uses become its arena. */
void prepack_temporaries(TileProgram *p);
/* Weights of large slices are packed first. */
void prepack_order(TileProgram *p);
/* program.c */
/* Builds the tile kernel of a kernel node for values that lie at `in` and results that go to `out`,
 * and appends its launch to *tail. */
bool kernel_launch(Build *b, Node *n, const Home *in, const Home *out, TileStep ***tail);
void step_launch(Build *b, TileKernel *k, TileArg *args, TileStep ***tail);
TileStep *step_loop(Build *b, DimSym *var, Dim count, TileStep ***tail);
Home home_new(Build *b, TileKind kind, const char *name, const Type *t, uint32_t keep,
              uint32_t n_outer, const Dim *outer);
uint32_t lead_of(const Graph *region,
                 uint32_t arg); /* dims of a region argument that a loop fixes */

/* alike.c: kernels that differ in their arguments only are built once */
Made *find_alike(Build *b, Node *n, const Home *in, const Home *out);
void note_made(Build *b, Node *n, const Home *in, const Home *out, const Kernel *k);
/* The arguments of another launch of it, for the kernel k whose operands and results are set. */
TileArg *alike_arguments(Kernel *k, const Made *made);
TileKernel *made_kernel(const Made *made);
typedef struct Renaming {
	DimPool *pool;
	const Frame *from, *to;
	uint32_t skip;
} Renaming; /* of loop indices; skip: leading entries of a `start` that do not matter */
bool region_same(const Renaming *r, const Graph *a, const Graph *b);
bool tree_same(const Renaming *r, const Node *a, const Node *b);
bool dim_same(const Renaming *r, Dim a, Dim b);
uint32_t region_position(const Graph *g, const Node *n);
Node *region_node(const Graph *g, uint32_t position);
Frame *frames_copy(Build *b, const Frame *f); /* those on the stack of the builder do not last */

/* pack.c: what is computed from weights alone */
/* The home of the result of a kernel whose operands are all constant; launched once, before the
 * first call. False: it depends on the call. */
bool derive_constant(Build *b, Node *n, const Home *in, Home *out);

/* pad.c: rows of activations that would fall on the same sets of a cache get `bytes` more each. */
void pad_rows(TileProgram *p, uint32_t bytes);
#endif
