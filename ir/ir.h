/* Graph IR: what a model means. Whole tensors, SSA, one result a node; several results are a tuple.
 *
 * A Module holds dims, weights, states and entries. State is functional: an entry starts from the
 * STATE nodes and names, for each state it changes, the node that is its value afterwards; memory
 * planning makes that in place. Everything that indexes memory dynamically (slice, update, rope
 * positions, loop counters) is a Dim, never a tensor. doc/ir.md describes the text form. */
#ifndef NACRE_IR_H
#define NACRE_IR_H
#include "ir/dim.h"
#include "ir/dtype.h"
#include "ir/scalar.h"
#include "support/support.h"

enum {
	MAX_RANK = 8,
	KERNEL_RESULTS = 6,
	ROUTE_LIMIT = 65536 /* experts of a routed product, indices sorted at once */
};

typedef enum Op {
#define OP(id, ...) OP_##id,
#include "ir/ops.def"
	NUM_OPS
} Op;
typedef enum TargetId {
#define TARGET(id, ...) TARGET_##id,
#include "ir/targets.def"
	NUM_TARGETS
} TargetId;
typedef enum OpKind {
	KIND_STRUCTURE,
	KIND_ELEMENTWISE,
	KIND_MOVEMENT,
	KIND_COMPUTE,
	KIND_COMPOSITE
} OpKind;
enum { T_PURE = 1, T_COMM = 2, T_TUPLE = 4 };
typedef enum AttrKind {
	ATTR_INT,
	ATTR_FLOAT,
	ATTR_BOOL,
	ATTR_INTS,
	ATTR_DIM,
	ATTR_DIMS,
	ATTR_DTYPE,
	ATTR_STR,
	ATTR_TENSOR,
	ATTR_SYM
} AttrKind;

typedef struct Type {
	bool is_tuple;
	DType dtype;
	uint32_t rank;
	Dim dim[MAX_RANK];
	uint32_t n; /* tuple: elements */
	const struct Type *element;
} Type;

typedef struct Tensor { /* a literal: dense row-major elements of dtype */
	DType dtype;
	int64_t count;
	void *data;
} Tensor;

typedef struct Attr {
	bool set; /* optional attributes may be absent: then all zero */
	union {
		int64_t i;     /* INT, BOOL, DTYPE */
		double f;      /* FLOAT */
		const char *s; /* STR, interned */
		Dim d;         /* DIM */
		DimSym *sym;   /* SYM */
		const Tensor *tensor;
	};
	uint32_t n; /* INTS, DIMS */
	const int64_t *ints;
	const Dim *dims;
} Attr;

typedef struct AttrInfo {
	const char *name;
	AttrKind kind;
	bool required;
} AttrInfo;
typedef struct Node Node;
typedef struct Graph Graph;
typedef struct Module Module;
typedef bool InferFn(Module *m, Diags *d,
                     Node *n); /* sets n->type; false after an error at n->span */
typedef struct OpInfo {
	const char *mnemonic, *summary;
	OpKind kind;
	int32_t min_in, max_in;
	uint32_t traits;
	InferFn *infer;
	const AttrInfo *attr; /* ends with name NULL */
} OpInfo;
extern const OpInfo op_info[NUM_OPS];
#define OP(id, mnemonic, kind, lo, hi, rule, ...) InferFn infer_##rule;
#include "ir/ops.def"
struct Node {
	Op op;
	uint32_t id; /* unique in the module, in order of creation */
	Type type;
	uint32_t n_in;
	Node **in;
	Attr *attr;    /* one for each row of op_info[op].attr */
	Graph *region; /* loop, kernel, hand */
	Graph *owner;
	const char *name;  /* what the user called it, for messages and --dump; may be NULL */
	const char *scope; /* the layer that made it, as a path ("h.attn"); "" or NULL: the model */
	const char *layer; /* what that layer is called where it is declared; may be NULL */
	Span span;
	Node *prev, *next; /* in the order of its graph */
	Node *forward;     /* while a pass runs: what replaces it */
	uint32_t mark;     /* free for a pass */
	void *data;        /* free for a pass or the interpreter */
};

struct Graph { /* a straight list of nodes; each uses earlier ones or those of outer graphs */
	Module *module;
	Node *parent; /* the loop or kernel it belongs to, or NULL for an entry */
	Node *first, *last;
	VEC(Node *) args; /* PARAM or ARG nodes, in order (also in the list) */
	VEC(Node *) results;
};

typedef struct Weight {
	const char *name;        /* path in the model, e.g. "h.attn.wq" */
	Type type;               /* with a first axis for each array of layers it is stacked over */
	uint32_t n_keys;         /* 1, or the product of the stacked axes, row-major */
	const char *const *keys; /* in the weight file; alternatives separated by '|' */
	bool buffer;             /* running statistics */
	Span span;
} Weight;

typedef struct State {
	const char *name;
	Type type;
	double initial; /* each element, when a session begins */
	Span span;
} State;

typedef struct Entry {
	const char *name;
	Graph *graph; /* results: the outputs, then one for each state in `writes` */
	VEC(const char *) in_names, out_names;
	VEC(uint32_t) writes;  /* states changed, in order of the further results */
	VEC(DimSym *) set_sym; /* state dims and their new values */
	VEC(Dim) set_value;
	VEC(Dim) require; /* >= 0, of this entry only */
	VEC(const char *) require_text;
	VEC(DimSym *)
	fixed; /* dims fixed by `where S = 1` are already substituted; kept for messages */
	Span span;
	Span returned;      /* where the results are named, for messages */
	const char *target; /* the only one that it is compiled for, a row of targets.def; NULL: all */
	Span target_span;
} Entry;

struct Module {
	Arena *arena;
	Interner *names;
	DimPool *dims;
	DimFacts facts; /* from ranges and require */
	const char *name;
	VEC(DimSym *) params; /* session, call and state dims, in order of declaration */
	VEC(Dim) require;     /* >= 0, of the whole module */
	VEC(const char *) require_text;
	VEC(Weight) weights;
	VEC(const char *) ignore; /* keys of a weight file that may go unused; * stands for any text */
	VEC(State) states;
	VEC(Entry *) entries;
	VEC(Entry *) left_out; /* by module_for_target */
	uint32_t next_id;
};

/* --- op.c, type.c --- */
typedef struct TargetInfo {
	const char *name;
	bool compiled; /* programs are made for it */
} TargetInfo;
extern const TargetInfo target_info[NUM_TARGETS];
bool op_from_name(const char *mnemonic, Op *out);
static inline bool op_has_region(Op op)
{
	return op == OP_LOOP || op == OP_KERNEL || op == OP_HAND;
}
Type type_scalar(DType t);
Type type_tensor(DType t, uint32_t rank, const Dim *dims);
bool type_equal(const Type *a, const Type *b);
void type_print(Text *t, const Type *type); /* f32[B, S, 768] */
const char *type_text(Arena *a, const Type *type);
Dim type_count(DimPool *p, const Type *type); /* number of elements */
/* Matches the dims of two shapes of one count in runs of equal product, from the left: moves *i (in
 * a) and *k (in b) past the next run. A reshape keeps positions apart in each run. */
void type_run(DimPool *p, const Type *a, const Type *b, uint32_t *i, uint32_t *k);

/* --- graph.c --- */
Module *module_new(Arena *a, Interner *names, const char *name);
Graph *graph_new(Module *m, Node *parent);
Entry *module_entry(Module *m, const char *name);
/* Does the caller of e give the value of s: a dim of a call that no input shows? Its range is among
 * what e requires. */
bool entry_takes(const Entry *e, const DimSym *s);
uint32_t module_weight(Module *m, Weight w); /* the number */
uint32_t module_state(Module *m, State s);
/* Moves the entries that are for other targets to left_out, with a remark each; an error when none is
 * left. The interpreter keeps all. */
bool module_for_target(Module *m, Diags *d, const char *target);
/* A node without attributes or type, not in any graph yet. */
Node *node_new(Module *m, Op op, uint32_t n_in, Node *const *in, Span span);
Attr *node_attr(Node *n, const char *name); /* never NULL for a name of its row */
const Attr *node_attr_const(const Node *n, const char *name);
/* Equal values of one kind; dims are equal where they are the same expression. */
bool attr_equal(AttrKind kind, const Attr *a, const Attr *b);
void attr_int(Node *n, const char *name, int64_t v);
void attr_float(Node *n, const char *name, double v);
void attr_str(Node *n, const char *name, const char *v);
void attr_dim(Node *n, const char *name, Dim v);
void attr_sym(Node *n, const char *name, DimSym *v);
void attr_ints(Module *m, Node *n, const char *name, uint32_t count, const int64_t *v);
void attr_dims(Module *m, Node *n, const char *name, uint32_t count, const Dim *v);
void attr_tensor(Node *n, const char *name, const Tensor *v);
/* Appends, infers its type; NULL (and nothing appended) after an error. Declared types (param, arg,
 * weight, state, const, dim) must be set before. */
Node *graph_add(Graph *g, Diags *d, Node *n);
void graph_insert_before(Graph *g, Node *at, Node *n); /* at NULL: at the end; type must be set */
void graph_remove(Node *n);
void node_scope_from(Node *n, const Node *other); /* of a node that has no scope yet */
void node_replace(Node *old, Node *with); /* all uses in the whole entry, nested regions too */
/* Short forms; each returns NULL after an error. */
Node *graph_unary(Graph *g, Diags *d, Op op, Node *a, Span s);
Node *graph_binary(Graph *g, Diags *d, Op op, Node *a, Node *b, Span s);
Node *graph_const_scalar(Graph *g, DType t, double v, Span s);
Node *graph_reshape(Graph *g, Diags *d, Node *a, uint32_t rank, const Dim *dims, Span s);
Node *graph_transpose(Graph *g, Diags *d, Node *a, const int64_t *perm, Span s);
Node *graph_einsum(Graph *g, Diags *d, const char *spec, Node *a, Node *b, Span s);
Node *graph_get(Graph *g, Diags *d, Node *tuple, int64_t number, Span s);
/* Uses: counts over a whole entry; recomputed by users_compute, read by node_users. */
typedef struct Users {
	Node **at;
	uint32_t n;
} Users;
void users_compute(Arena *a, Entry *e); /* hangs the record on node->data */
Users node_users(const Node *n);
bool node_is_result(const Node *n); /* of its graph */

/* --- print.c, parse.c --- */
void module_print(Text *t, const Module *m);
Module *module_parse(Arena *a, Diags *d, const Source *s);
void node_print(Text *t, const Node *n);

/* --- verify.c --- */
bool module_verify(Diags *d, Module *m); /* types re-inferred, scopes, order, attributes, regions */

/* --- interpret.c: the oracle --- */
typedef struct Value {
	Type type;
	uint32_t rank;
	int64_t dims[MAX_RANK];
	int64_t count;
	double *at;
} Value; /* integers are exact up to 2^53 */
typedef struct InterpretOptions {
	bool exact; /* everything in double; else each value rounded to its dtype */
	void (*observe)(void *ctx, const Node *n,
	                const Value *v); /* every node that has a name, may be NULL */
	void *ctx;
} InterpretOptions;
/* params: values in the order of module->params (state dims included, updated on success).
 * inputs: one Value an input; states: one a state, updated; outputs: filled, in arena. */
bool module_interpret(Arena *a, Diags *d, Module *m, const Entry *e, int64_t *params,
                      const Value *inputs, const Value *weights, Value *states, Value *outputs,
                      const InterpretOptions *o);
#endif
