/* Inside the frontend: from syntax trees to a module. One Build makes one module (that of the model,
 * or of one inline test): evaluation of what is known at compile time and building of the graph are
 * the same walk, because sizes and constants decide what the graph is. An expression means an Item;
 * a BAD item has been reported already and is silent from then on: one mistake, one message. */
#ifndef NACRE_FRONTEND_BUILD_H
#define NACRE_FRONTEND_BUILD_H
#include "frontend/ast.h"
#include "frontend/frontend.h"
#include "frontend/record.h"
#include "ir/ir.h"

enum {
	EVAL_LIMIT = 700,      /* nested evaluations: bounds the stack */
	CALL_LIMIT = 64,       /* nested calls */
	ARGUMENT_LIMIT = 1000, /* of a call */
	ENTRY_LIMIT = 1000,
	TEST_LIMIT = 1000,      /* of a file */
	LAYER_LIMIT = 32,       /* nested layers */
	INSTANCE_LIMIT = 50000, /* layers made in all */
	STEP_LIMIT =
		4000000, /* evaluations, elements of lists and texts in all: bounds time and memory */
	NODE_LIMIT = 400000,   /* nodes in all */
	UNROLL_LIMIT = 4096,   /* turns of an unrolled loop */
	LIST_LIMIT = 1 << 20,  /* elements of a list */
	LIST_DEPTH_LIMIT = 64, /* lists inside each other */
	CALL_STEPS = 8,        /* what a call costs of STEP_LIMIT */
	TEXT_LIMIT = 1 << 16,  /* bytes of a compile-time text */
	STACK_LIMIT = 4        /* arrays of layers inside each other */
};

typedef struct Build Build;
typedef struct Scope Scope;
typedef struct File File;
typedef struct Instance Instance;
typedef struct Member Member;
typedef struct Item Item;
typedef struct Frame Frame;
typedef struct Precision Precision;
typedef struct ItemList { /* a VEC that knows how deep the lists in it nest */
	Item *at;
	size_t n, cap;
	uint32_t depth;
} ItemList;
typedef VEC(ItemList) Yields;
typedef VEC(File *) FileList;
typedef VEC(const char *) NameList;

typedef enum ItemKind {
	ITEM_BAD, /* reported */
	ITEM_NONE,
	ITEM_INT,
	ITEM_FLOAT,
	ITEM_BOOL,
	ITEM_TEXT,
	ITEM_DTYPE,
	ITEM_SCALED, /* a scaled storage type */
	ITEM_DIM,    /* a size that is no constant */
	ITEM_LIST,
	ITEM_TENSOR,
	ITEM_CONST, /* a constant tensor outside any graph */
	ITEM_FUNCTION,
	ITEM_BUILTIN,
	ITEM_LAYER,
	ITEM_PLACE,    /* a layer in use */
	ITEM_ARRAY,    /* an array of layers in use */
	ITEM_MEMBER,   /* in scopes only: a weight, state, use or def of the instance */
	ITEM_FILE_DIM, /* in scopes only: a dim declared in the file */
	ITEM_FILE,     /* `import .. as` */
	ITEM_MASK      /* integer: the width of a causal window */
} ItemKind;

/* Where a value was bound, for messages: their text is made when there is one. */
typedef struct Origin {
	Span span;
	const char *name;
	const Ast *type;   /* its declared type, or NULL */
	Scope *scope;      /* where the names in it are looked up */
	const Type *bound; /* of the value, when nothing declares it; or NULL */
	bool weight;
} Origin;

/* A layer in use at one position of the arrays around it. */
typedef struct Place {
	Instance *instance;
	uint32_t n; /* stacked axes */
	Dim index[STACK_LIMIT];
	const char *path; /* "h.0.attn", "" for the model; names of values begin with it */
} Place;

typedef struct Function {
	const Ast *def;
	const Place *place; /* NULL: a def of a file */
	Scope *scope;       /* where its free names are looked up */
	File *file;
} Function;

typedef struct FileDim {
	const Ast *range; /* its own, or that of the names behind it: dim Y, X in 1..64 */
	const Ast *decl;
	File *file;
	DimSym *sym; /* once used by the module */
	bool busy;
} FileDim;

typedef struct ConstTensor {
	Type type;
	const Tensor *value;
} ConstTensor;
typedef struct Builtin Builtin;

typedef struct Scaled {
	DType stored, scale;
	uint32_t n;
	int64_t block[MAX_RANK]; /* elements of an axis that share a scale; 0: all */
	int64_t group;           /* not 0: instead, so many along the last axis, for any rank */
	const Ast *key;          /* of the scales, where `key` is that of the weight */
	const Ast *zero;         /* of the zero points, or NULL */
	Scope *scope;            /* of the keys */
	Span span;
} Scaled;

struct Item {
	ItemKind kind;
	union {
		int64_t integer; /* INT, BOOL */
		double number;
		const char *text;
		Dim dim;
		DType dtype;
		const Scaled *scaled;
		Node *node;
		const ItemList *list;
		const ConstTensor *constant;
		const Function *function;
		const Builtin *builtin;
		const Ast *layer;
		const Place *place;
		Member *member;
		FileDim *file_dim;
		File *file;
	};
	File *of;                 /* LAYER: the file that declares it */
	const char *const *names; /* LIST: names of results, or NULL */
	const Place *at;          /* ARRAY (member): position of the owner */
	const Origin *origin;     /* may be NULL */
};

typedef struct Binding {
	const char *name;
	Item item;
	Span span;
	bool fixed; /* not assignable: parameters of layers, lets */
} Binding;

struct Scope {
	Scope *up;
	bool function; /* the outermost scope of a call: assignments stop here */
	VEC(Binding) list;
	uint32_t *slot,
		slots;  /* a hash table over a long list: places + 1, or 0; slots: a power of two */
	File *file; /* the scope of a file: imports are searched after it */
};

/* What a name of a file that is ready was found to be: most are asked for many times. */
enum { FILE_MEMO = 64 };
typedef struct FileMemo {
	const char *name;
	Binding *found; /* NULL: neither here nor imported */
} FileMemo;

struct File {
	const char *name; /* as imported, "" for the main file */
	const Source *source;
	const Ast *ast;
	Scope *scope;
	FileList imports; /* without `as` */
	VEC(Binding) set; /* dims that --set fixes */
	bool ready, busy, bad;
	FileMemo memo[FILE_MEMO]; /* by the pointer of the name */
};

typedef enum MemberKind {
	MEMBER_WEIGHT,
	MEMBER_STATE,
	MEMBER_STATE_DIM,
	MEMBER_USE,
	MEMBER_DEF
} MemberKind;
/* Elements of an array that differ in nothing but their keys. Two or more of them share weights with
 * a first axis. */
typedef struct Alike {
	uint32_t first, n, last;
	uint32_t step;    /* between neighbours; 0 when they differ */
	const char *name; /* in paths: "h", "h.0..3", "h.2i+1" */
} Alike;
typedef VEC(Alike) AlikeList;
struct Member {
	MemberKind kind;
	const char *name;
	const Ast *decl;
	Instance *owner;
	bool absent; /* its condition is false */
	bool array;
	Type type;       /* weight (with its own array axis), state */
	uint32_t n_keys; /* weight: own keys, complete */
	const char **keys;
	const Scaled *scaled; /* weight: its scaled type, or NULL */
	Member *scale, *zero; /* its scales, and its zero points or NULL */
	uint32_t number;      /* of the module's weight or state */
	DimSym *sym;          /* STATE_DIM */
	Dim lo, hi;
	Dim begin;      /* STATE_DIM: its first value, NULL: lo */
	Dim batch;      /* STATE_DIM with a value for each row: the dim of rows, else NULL */
	uint32_t rows;  /* and the number of the state that holds them */
	double initial; /* STATE */
	uint32_t n;
	uint32_t from;      /* USE: the index of the first element */
	Instance **element; /* USE: one, or n */
	AlikeList alike;    /* USE: elements by what they are; each belongs to one */
	uint32_t *group;    /* USE: of each element, which of `alike` */
	uint32_t *rank;     /* USE: and its place among them */
	const char *unlike; /* why they are not all alike */
	const Origin *origin;
	Origin *write; /* state: where it is first written */
};

struct Instance {
	const Ast *layer;
	File *file;
	Scope *scope; /* parameters, lets and members */
	VEC(Member *) members;
	VEC(Item) arguments;  /* values of the parameters: what makes two instances alike */
	const char *prefix;   /* of keys, with its dot */
	uint32_t depth, n;    /* n: stacked axes around it */
	Precision *precision; /* of what its defs compute, or NULL */
	Span used;            /* where the main file uses it, or a layer around it */
};

/* What @precision asks of products. */
struct Precision {
	DType dtype;
	Span span;
	uint32_t products; /* that it has changed */
};

typedef struct Loop {
	struct Loop *up;
	Graph *graph, *outer;
	Node **state_arg, **state_now; /* by number; NULL: untouched */
	VEC(Node *) init;              /* one an arg */
	DimSym *var;
	Dim rows_of; /* the extent that each row goes over for itself: those that ended keep what they have */
	bool uses_stack;
	int64_t first, period; /* of a compile-time loop: the index is first + period * var here */
} Loop;

/* What an index chose in each turn of a loop that could not stay one: which elements are alike tells
 * where the turns repeat. */
typedef struct TurnPattern {
	int64_t first, period, n; /* index first + period * t, t in 0..n */
	const uint32_t *group, *rank;
} TurnPattern;
typedef VEC(TurnPattern) TurnPatternList;

/* Turns of a compile-time loop: `turns` times `period` of them as one loop of `period` bodies, or
 * (turns 1) a single one. */
typedef struct Stretch {
	int64_t from, turns, period;
} Stretch;

/* A dim with a length for each row of a batch: frontend/ragged.c. */
typedef struct Ragged {
	Dim key, extent; /* what it is, and what stands for it in shapes */
	Dim batch;
	Node *rows; /* i32[batch], in the entry's graph */
} Ragged;
typedef enum RaggedFill { FILL_ZERO, FILL_ONE, FILL_LEAST, FILL_GREATEST } RaggedFill;

struct Frame {
	Frame *up;
	Scope *scope;
	const Place *place;
	File *file;
	const Ast *def;
	Span call;
	bool returned;
	Item result;
	Span returned_at;
	uint32_t errors; /* when the call began */
	Yields *yields;  /* of the innermost loop: one list a turn; NULL outside loops */
	uint32_t loops;  /* rolled loops open in this frame */
	Dim *ellipsis;   /* dims that `...` stands for; NULL: not bound */
	uint32_t n_ellipsis;
	bool test;
};

/* `size` rows of a state were written from `start` on. */
typedef struct Stored {
	Dim start, size;
	const char *state;
	Span at;
} Stored;

/* What a name was found to be among the functions of the language, which many evaluations ask. */
enum { BUILTIN_MEMO = 32 };
typedef struct BuiltinMemo {
	const char *name;
	const Builtin *builtin;
	const struct Form *form;
} BuiltinMemo;

/* What a def returned for values that are known at compile time (call.c). */
typedef struct Remembered {
	const Ast *def;
	const Instance *of; /* NULL: a def of a file */
	const Item *given;  /* one a parameter; BAD: left out */
	Item result;        /* before it takes its declared type */
	Span at;
} Remembered;

struct Build {
	Arena *arena;
	Interner *names;
	Diags *d, scratch;
	const FrontendOptions *options;
	bool *set_used;
	Module *m;
	Entry *entry;
	Graph *graph; /* where nodes go; NULL while layers are made */
	Frame *frame;
	Loop *loop;
	Precision *precision;            /* of products now, or NULL */
	const Ast *kernel;               /* the def with a @kernel whose body is being built, or NULL */
	VEC(const char *) kernels_found; /* files of @kernel that are there */
	FileList *files;                 /* of this build */
	File *main;
	Node **weight_node; /* of the entry, by number */
	Node **state_now;
	Dim *
		dim_now; /* of the entry, by place in `state_dims`; NULL: a tensor was assigned to its rows */
	VEC(Ragged) ragged; /* of the entry */
	VEC(Node *) checks; /* of rows: the call stops where they fail, also when nothing uses them */
	bool probing;       /* a side of an `if` is built to learn types, and dropped */
	const Ast *branch;  /* the side of an `if` that sizes decide when the model runs; NULL: none */
	bool ragged_inside; /* nodes are made that take care of padding themselves */
	VEC(Member *) state_dims;
	VEC(const Ast *) wrong;   /* defs of entries, with errors */
	uint32_t scopes_searched; /* by advise_scope */
	const Ast *collected;     /* the loop whose values were last collected */
	VEC(Member *) weights, states;
	VEC(Stored) stored; /* parts of states that the entry has written */
	VEC(Node *) asserts;
	VEC(Span) assert_span;
	VEC(const char *) assert_text;
	uint32_t eval_depth, call_depth, instances, errors;
	uint64_t steps;
	double constant_work;     /* steps that tensors known at compile time have taken */
	bool scaled_fits;         /* a declared type may be a scaled one now */
	bool stop;                /* a limit was reached and reported */
	TurnPatternList patterns; /* found by the attempt to keep a loop */
	Record *record;           /* NULL: nobody asks */
	bool symbolic;            /* parameters of a layer may be dims (sketch.c) */
	VEC(Remembered) remembered;
	uint32_t members_touched; /* members and dims that were read or set, as often as they were */
	Text key;                 /* the one being written (layer.c) */
	BuiltinMemo memo[BUILTIN_MEMO]; /* by the pointer of the name */
};

/* --- report.c: messages ---------------------------------------------------------------------- */
/* An error, or a silent one when its place has been reported before. Adds where the code was called
 * from when it is not in the main file. Never NULL. */
Diag *complain(Build *b, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void remark(Build *b, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4);
Item bad(void);
void note_origin(Build *b, Diag *of, const Item *item, const char *called);
const char *text_of(Build *b, Span s); /* the source text, shortened to one line */
void refuse_attribute(Build *b, const Ast *a, const char *const *known, size_t n);
bool over_limit(Build *b, Span at, const char *what); /* reports once; true */
bool spend(Build *b, size_t steps, Span at);          /* false when the limit of steps is reached */

/* --- hints.c ------------------------------------------------------------------------------------ */
/* What is written instead of a word of PyTorch or Python, or NULL. */
const char *hint_for(const char *word);
/* Adds the help for a word used on `first` (the text of a tensor, or NULL): a function's signature, how
 * a layer is used, or the hint; nothing when the word means nothing. */
void help_with_word(Build *b, Diag *of, const char *word, const char *first);

/* --- advice.c: what to write instead ------------------------------------------------------------ */
void advise_broadcast(Build *b, Diag *of, const Ast *e, const Type *x, const Type *y);
/* [N, 1] beside [N]: reports it, unless the dim of 1 was asked for. */
bool advise_outer(Build *b, const Ast *e, const Item *x, const Item *y, const char *op);
/* `want` was expected at `axis` of x: channels first and last mixed up? */
void advise_channels(Build *b, Diag *of, const char *x, const Type *have, uint32_t axis, Dim want);
/* A dim, or the name of one, was given as the axis `name` of x. */
void advise_axis(Build *b, Diag *of, const Item *x, const Item *given, const char *name);
/* The dim `whole` does not divide by `by` for every size: tells its range. */
void advise_divisible(Build *b, Diag *of, Dim whole, Dim by);
/* Where a named dim and its range are declared. */
void note_range(Build *b, Diag *of, Dim d);
void advise_return(Build *b, Diag *of, const Ast *def);
/* The unknown name is one that a loop or a branch before `at` assigns. */
bool advise_scope(Build *b, Diag *of, const char *name, Span at);
/* A reshape that looks as if it moved an axis. */
void warn_mixed(Build *b, const Type *from, uint32_t rank, const Dim *to, Span at);

/* --- item.c: values ---------------------------------------------------------------------------- */
Item item_int(int64_t v);
Item item_float(double v);
Item item_bool(bool v);
Item item_text(const char *s);
Item item_dim(Dim d);    /* INT when constant */
Item item_node(Node *n); /* BAD when NULL */
Item item_list(Build *b, const ItemList *l);
bool item_same(Build *b, const Item *x, const Item *y);
const char *item_kind(Build *b, const Item *i);    /* "a number", "f32[B, S]", "a layer" */
const char *item_text_of(Build *b, const Item *i); /* for keys and messages: 3, 0.5, f32 */
Dim as_dim(Build *b, const Item *i);               /* NULL when it is none */
bool as_number(const Item *i, double *out);
/* These report; `what` names the thing in messages. */
bool need_int(Build *b, const Item *i, Span at, const char *what, int64_t *out);
bool need_dim(Build *b, const Item *i, Span at, const char *what, Dim *out);
bool need_bool(Build *b, const Item *i, Span at, const char *what, bool *out);
bool need_ints(Build *b, const Item *i, Span at, const char *what, uint32_t n,
               int64_t *out); /* one int stands for n */
Node *need_tensor(Build *b, const Item *i, Span at, const char *what);
Node *as_node(Build *b, const Item *i, DType like,
              Span at); /* numbers become scalars of dtype `like` */

/* --- constant.c: tensors known at compile time -------------------------------------------------------- */
Item eval_constant(Build *b, const Ast *let, const Ast *e); /* tensors in it become literals */

/* --- scaled.c: scaled storage types -------------------------------------------------------------------- */
Item eval_scaled(Build *b, const Ast *call);
const Scaled *type_scaled(Build *b, const Ast *type); /* NULL: it is none */
/* Gives weight w the members that hold its scales and zero points. */
bool scaled_members(Build *b, Member *w, const Scaled *s);
/* Of what is stored, the scales, and the zero points if there are any. */
Node *scaled_value(Build *b, const Member *w, Node *const part[3], Span at);

/* --- attributes.c: @precision, @keep, @target ----------------------------------------------------------------- */
/* Reports those that are none of `known`. */
void check_attributes(Build *b, const Ast *n, const char *const *known, size_t count);
/* The target that @target names before an entry or a test; NULL: none, or after a report. */
const char *target_of(Build *b, const Ast *n, Span *at);
Precision *precision_of(Build *b, const Ast *n); /* what its @precision says, or NULL */
void precision_end(Build *b, const Precision *p,
                   uint32_t errors); /* tells what it has changed; errors: when it began */
bool keeps(const Ast *statement);
Item keep_value(Build *b, const Ast *statement, Item v); /* in the type that its @keep says */
bool takes_precision(const Build *b, const Node *n);
Node *emit_in_precision(Build *b, Node *n);

/* --- emit.c: nodes ------------------------------------------------------------------------------- */
Node *emit(Build *b, Node *n); /* NULL after an error */
Node *emit_unary(Build *b, Op op, Node *x, Span s);
Node *emit_binary(Build *b, Op op, Node *x, Node *y, Span s);
Node *emit_number(Build *b, DType t, double v, Span s);
Node *emit_constant(Build *b, const ConstTensor *c, Span s);
Node *emit_dim(Build *b, Dim d, Span s);
Node *emit_cast(Build *b, Node *x, DType t, Span s);
Node *emit_reshape(Build *b, Node *x, uint32_t rank, const Dim *dims, Span s);
Node *emit_transpose(Build *b, Node *x, const int64_t *perm, Span s);
Node *emit_broadcast(Build *b, Node *x, uint32_t rank, const Dim *dims, Span s);
Node *emit_slice(Build *b, Node *x, const Dim *start, const Dim *size, Span s);
/* Element i of an axis is start + i*step. */
Node *emit_strided_slice(Build *b, Node *x, const Dim *start, const Dim *size, const int64_t *step,
                         Span s);
Node *emit_reduce(Build *b, Op op, const char *how, Node *x, uint32_t n, const int64_t *axes,
                  bool keep, Span s);
Node *emit_concat(Build *b, uint32_t n, Node *const *x, int64_t axis, Span s);
bool dims_equal(Build *b, Dim x, Dim y);
bool dim_is(Dim d, int64_t v);
/* The common shape under broadcasting; reports both sides with what was bound where. */
bool broadcast_shape(Build *b, const Item *x, const Item *y, const Ast *e, const char *op,
                     Type *out);
/* lo <= hi must hold: false and no report when it never does; undecided: checked at run time. */
bool assume_le(Build *b, Dim lo, Dim hi, Span at);
void add_require(Build *b, Dim nonneg, const char *text);

/* --- scope.c ------------------------------------------------------------------------------------- */
Scope *scope_new(Build *b, Scope *up);
Binding *scope_set(Build *b, Scope *s, const char *name, Item item, Span at);
Binding *scope_own(const Scope *s, const char *name);
Binding *scope_find(const Scope *s, const char *name);
/* What a file makes known to those that import it: its own names, and those that it imports without
 * `as`. */
Binding *file_find(const File *f, const char *name);
/* The nearest known name to one that is unknown, or NULL. */
const char *scope_nearest(Build *b, Scope *s, const char *name);
/* Assignment to a name: rebinds it where the call has it, else makes it in the innermost scope. */
bool assign_name(Build *b, const char *name, Item item, Span at);
Scope *function_scope_of(Scope *s,
                         const char *name); /* the scope of this call that has name, or NULL */

/* --- types.c ------------------------------------------------------------------------------------- */
bool type_evaluate(Build *b, const Ast *type, Type *out); /* every dim must be known */
bool type_dtype(Build *b, const Ast *type,
                DType *out); /* false and no report: the name is no dtype */
bool type_is_tensor(Build *b, const Ast *type);
const char *type_with(Build *b, const Ast *type); /* "f32[F, D] with F = 3072, D = 768" */
/* Binds dims of the callee's frame (now b->frame) from an argument, then checks them. */
bool type_bind(Build *b, const Ast *type, Node *arg);
/* Afterwards, until no argument makes progress: binds dims from expressions that are linear in one. */
bool type_solve(Build *b, const Ast *type, const Node *arg, bool *progress);
/* A name in e that is a dim without a value so far, or NULL. */
const Ast *dim_unknown(Build *b, const Ast *e, FileDim **f);
/* dim = coef * s + rest, s standing for the one unknown of it (NULL: a new symbol). */
typedef enum DimSolution { SOLVE_YES, SOLVE_NO, SOLVE_REPORTED } DimSolution;
DimSolution dim_solve(Build *b, const Ast *dim, DimSym *s, int64_t *coef, Dim *rest);
bool type_check(Build *b, const Ast *type, Item *arg, Span at, const char *what);
/* A declared result or local: checks the shape, narrows floats to the declared type when `store`. */
bool type_coerce(Build *b, const Ast *type, Item *value, Span at, const char *what, bool store);
/* A parameter that is no tensor: int, f32, bool, str, dtype, dim, fn, layer, and lists of them. */
bool param_coerce(Build *b, const Ast *type, Item *value, Span at, const char *what);
Dim file_dim_value(Build *b, FileDim *f, Span at, bool entry); /* NULL after an error */
DimSym *file_dim_sym(Build *b, FileDim *f, Span at);
bool file_dim_range(Build *b, FileDim *f, Dim *lo, Dim *hi);

/* --- expr.c, arith.c ------------------------------------------------------------------------------- */
Item eval(Build *b, const Ast *e);
Item eval_name(Build *b, const char *name, Span at);
Item resolve(Build *b, Binding *k, const Place *place, Span at);
Item operate(Build *b, const Ast *e, int op, Item x, Item y, Span op_span);
Item negate(Build *b, const Ast *e, int op, Item x);
Item matmul(Build *b, const Ast *e, const Item *x, const Item *y, Span at);
Node *weight_value(Build *b, const Member *w, Span at); /* with its stacked axes */
Node *member_weight(Build *b, const Member *w, const Place *place, Span at);
bool condition(Build *b, const Ast *e, const char *what, bool *out);
/* A string with its {expressions}; NULL, or false, after an error. */
const char *eval_text(Build *b, const Ast *e);
bool eval_text_to(Build *b, const Ast *e, Text *out); /* appends */

/* --- call.c ---------------------------------------------------------------------------------------- */
typedef struct Argument {
	const char *name;
	Item item;
	const Ast *ast;
	const Ast *arrow;
	Span span;
} Argument;
typedef VEC(Argument) Arguments;
Item eval_call(Build *b, const Ast *e);
Item call_function(Build *b, const Function *f, const Arguments *args, Span at, Span callee);
Item call_item(Build *b, const Item *callee, const Arguments *args, Span at, Span callee_span);
bool gather_arguments(Build *b, const AstList *list, Arguments *out);
/* Puts arguments in the order of parameters (AST_PARAM); out: one a parameter, ast NULL and kind BAD
 * when left out. */
bool match_arguments(Build *b, const AstList *params, const Arguments *args, Span at,
                     const char *what, Argument *out);

/* --- kernel.c: defs with a @kernel --------------------------------------------------------------------- */
typedef struct KernelCall {
	const Ast *def;
	Span at;
	Node *node;
	Graph *graph; /* the body */
	VEC(Node *) operands;
	/* as it was around the call */
	Graph *around;
	Loop *loop;
	Precision *precision;
	Node **states;
	Dim *dims;
	size_t asserts;
} KernelCall;
/* The @kernel of a def whose call becomes one node, or NULL: it has none, the tensors are constants, or
 * it is called from the body of such a def. */
const Ast *kernel_of(const Build *b, const Ast *def);
/* Between the two the body is built in the region of the node. The parameters are bound already; false after a
 * report. `r`: what the def returns. */
bool kernel_begin(Build *b, KernelCall *k, const Ast *def, const File *file, const Argument *in,
                  Span at);
Item kernel_end(Build *b, KernelCall *k, const Item *r);

/* --- index.c ---------------------------------------------------------------------------------------- */
Item eval_index(Build *b, const Ast *e);
bool store_index(Build *b, const Ast *target, Member *state, Item value);
Node *state_read(Build *b, const Member *m, const Place *place, Span at);
bool state_store(Build *b, Member *m, const Place *place, Item value, Span at);
Node *state_value(Build *b, uint32_t number); /* with its stacked axes */
void state_set(Build *b, uint32_t number, Node *value);

/* --- rearrange.c, einsum.c ---------------------------------------------------------------------------- */
Item eval_rearrange(Build *b, const Ast *call);
Item eval_einsum(Build *b, const Ast *call);
Node *contract(Build *b, const char *spec, Node *x, Node *y, Span at);

/* --- builtin.c, builtin_*.c ------------------------------------------------------------------------------ */
typedef struct Form { /* reads its arguments as syntax */
	const char *name, *shown;
	Item (*run)(Build *b, const Ast *call);
	const char *doc;
} Form;
const Builtin *builtin_find(const char *name);
const Form *form_find(const char *name);
const BuiltinMemo *builtin_known(Build *b, const char *name); /* name interned; never NULL */
const char *builtin_name(const Builtin *f);
Item builtin_call(Build *b, const Builtin *f, const Arguments *args, Span at);
/* "softmax(x, axis)", with `first` (or NULL) as the first argument. */
const char *builtin_shown(Build *b, const Builtin *f, const char *first);
uint32_t builtin_names(const char **out, uint32_t room);

/* --- branch.c --- */
void run_if(Build *b, const Ast *s);
void assigned_names(Build *b, const AstList *body, NameList *out);

/* --- statement.c, loop.c -------------------------------------------------------------------------------- */
void run_block(Build *b, const AstList *l);
void run_statement(Build *b, const Ast *s);
void run_for(Build *b, const Ast *s);
/* What names are bound to behind the body of a loop, which is built to learn that and dropped; BAD: to
 * nothing, or there is a mistake. */
void body_probe(Build *b, const Ast *loop, const NameList *names, Item *out);
bool run_branch(Build *b, const Ast *loop,
                Dim count); /* `count` turns, 1 or none, as a loop node */
/* from: the expressions that gave the value, or NULL. */
void assign_to(Build *b, const AstList *targets, Item value, Span span, const AstList *from);

/* --- failures.c: how what fails at run time is told ------------------------------------------------------ */
/* An index of a table's axis; spans of nothing: not to be named. */
const char *failed_index(Build *b, const Node *index, Span of, Span table, int64_t axis);
const char *failed_choice(Build *b, const Node *index, Dim matrices, Span table); /* einsum's */
/* Rows of `name` outside of a range from lo on. */
const char *failed_range(Build *b, const Node *rows, const char *name, Dim lo);
const char *failed_rows(Build *b, Span relation, bool strict); /* lo <= hi, or lo < hi */
const char *failed_relation(Build *b, const char *relation, Dim lo, Dim hi, Span at); /* lo <= hi */

/* --- ragged.c --- */
/* By the extent or the key; NULL: not ragged. Valid until the next is added. */
const Ragged *ragged_find(const Build *b, Dim d);
/* Rows that have been checked: they stay when nothing uses them. */
void ragged_keep(Build *b, Node *rows, Span at);
void ragged_keep_all(Build *b); /* at the end of an entry */
const Ragged *ragged_add(Build *b, Dim key, Dim extent, Dim batch, Node *rows);
/* rows, which trap when one lies outside lo..hi, told by `check`. */
Node *ragged_checked(Build *b, Node *rows, Dim lo, Dim hi, const char *check, Span at);
/* x op y of + - * and floor division, one of them ragged. */
Item ragged_arithmetic(Build *b, int op, Dim x, Dim y, Span at);
/* Each row is at most hi, or traps: the extent from now on. */
Dim ragged_limit(Build *b, Dim d, Dim hi, const char *check, Span at);
/* Is this axis ragged? Then *batch is the axis of its rows. */
bool ragged_axis(const Build *b, const Type *t, uint32_t axis, uint32_t *batch);
Node *ragged_spread(Build *b, Node *rows, uint32_t rank, uint32_t axis, Span at);
Node *ragged_fill(Build *b, Node *x, uint32_t axis, RaggedFill with, Span at);
/* Each row has at least n elements, or traps. */
bool ragged_at_least(Build *b, Dim extent, int64_t n, const char *check, Span at);
/* Windows over a ragged axis: their number, (extent + room) // stride + 1, is ragged too. Each row has one,
 * or traps. */
bool ragged_windows(Build *b, Dim extent, int64_t room, int64_t stride, const char *check, Span at);
Node *ragged_fill_all(Build *b, Node *x, Span at);             /* zeros on every ragged axis */
Node *ragged_clean(Build *b, Node *x, uint32_t axis, Span at); /* the same where it is needed */
Node *ragged_count(Build *b, const Type *x, uint32_t n, const int64_t *axes, bool keep, Span at);
Node *ragged_pick(Build *b, Node *x, uint32_t axis, uint32_t batch, Node *index, Span at);
/* In a loop over a ragged extent: x where a row still has this turn, else other (NULL: zeros). NULL after a
 * report: x has no axis of the rows. */
Node *ragged_turn(Build *b, Node *x, Node *other, Dim extent, Dim turn, Span at);
Node *ragged_cut(Build *b, Node *x, uint32_t axis, uint32_t batch, Node *start, Dim size, Span at);
/* Each row of a ragged axis from its end on, or element i moved to i + shift around its end. NULL: it is
 * not ragged. */
Node *ragged_places(Build *b, Node *x, uint32_t axis, bool backwards, int64_t shift, Span at);
Node *ragged_put(Build *b, Node *old, Node *value, uint32_t axis, uint32_t batch, Node *start,
                 Node *length, Span at);
bool ragged_refuses(Build *b, const Node *n); /* after a report */

/* --- pattern.c --- */
/* The longest stretch that begins at `at` and may repeat; multiples of `modulus` turns. */
Stretch pattern_stretch(Build *b, int64_t at, int64_t to, int64_t modulus);
int64_t pattern_modulus(Build *b, const Ast *loop); /* of `i % 3` in its body: 3 */
/* An index that a loop changes, of an array whose elements are not all alike: the group that all turns
 * choose from and the place in it, linear in the turn. False after a report. */
bool pattern_choice(Build *b, const Member *array, Dim index, Span at, uint32_t *group, Dim *rank);

/* --- layer.c ---------------------------------------------------------------------------------------------- */
Instance *instance_make(Build *b, const Ast *layer, File *file, const Argument *args,
                        const char *prefix, uint32_t depth, Span at);
void instance_register(Build *b, Instance *model); /* weights and states of the module */
Item place_member(Build *b, const Place *place, const char *name, Span at);
Item array_index(Build *b, const Item *array, const Item *index, Span at);
const char *path_join(Build *b, const char *path, const char *name);

/* --- record.c, sketch.c ----------------------------------------------------------------------------------------- */
/* Each does nothing while b->record is NULL. */
void record_item(Build *b, Span at, const Item *i);
void record_type(Build *b, Span at, const Type *t);
void record_member(Build *b, const Instance *in,
                   const Ast *decl); /* a weight or state, when complete */
void record_instance(Build *b, const Instance *in);
/* Defs of the main file that nothing has called, silently, with symbolic parameters. */
void sketch_layer(Build *b, File *f, const Ast *layer);
void sketch_def(Build *b, File *f, const Ast *def);
bool sketch_needed(const Record *r, const Ast *unit); /* of a layer or def */

/* --- import.c ---------------------------------------------------------------------------------------------- */
File *file_load(Build *b, const char *name, const Source *source, const Ast *ast, Span at);
bool setting_apply(Build *b, const char *name, const Ast *type, Item *out); /* --set */
/* The text of what `import` names: of the standard library, of an editor, or of the file beside `from`.
 * NULL: *path is what was looked for, *why the reason, which may be NULL. */
const Source *library_source(const Library *l, const char *name); /* l may be NULL */
const Ast *library_ast(const Library *l, const Source *source);
const Source *import_source(Arena *a, const FrontendOptions *o, const Source *from,
                            const char *name, const char **path, const char **why);

/* --- entry.c ------------------------------------------------------------------------------------------------ */
void mark_live(Graph *g); /* marks what the results need */
void build_entries(Build *b, Instance *model);
void entry_begin(Build *b, const char *name, Span at); /* nodes go to a new entry from now on */
bool build_test(Build *b, const Ast *test);

#endif
