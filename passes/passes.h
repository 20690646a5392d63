/* Passes over the graph IR. Each takes a module, changes it in place and says whether it did.
 * A pass knows a target only through ir/target.h. */
#ifndef NACRE_PASSES_H
#define NACRE_PASSES_H
#include "ir/ir.h"
#include "ir/target.h"

typedef struct PassContext {
	Module *m;
	Diags *d;             /* errors, and remarks on what did not fuse and why */
	const Target *target; /* may be NULL for target-independent passes */
	Arena *scratch;       /* reset after the pass */
	const char *pass;     /* its name */
	Text *fired;          /* NULL, or gets a line `pass: rule` for each rule that applies */
	bool list;            /* gives a line for each rule there is, and does nothing else */
	bool changed;
	bool failed;
	const Entry *entry;      /* the one that rules are applied to */
	struct RopeTable *ropes; /* of decompose: the tables made so far */
} PassContext;

typedef void PassFn(PassContext *c);
typedef struct Pass {
	const char *name;
	PassFn *run;
	const char *summary;
} Pass;
typedef enum PassId {
#define PASS(name, summary) PASS_##name,
#include "passes/passes.def"
	NUM_PASSES
} PassId;
extern const Pass passes[NUM_PASSES];
#define PASS(name, summary) PassFn pass_##name;
#include "passes/passes.def"

/* --- pass.c: the manager --- */
typedef struct PassOptions {
	const char *const *names; /* NULL-terminated; the pipeline */
	const char *print_after;  /* name of a pass, "all", or NULL */
	Text *printed;            /* where */
	bool verify_each;
	double *seconds; /* NULL, or one a name */
	Text *fired;     /* NULL, or gets a line `pass: rule` each time that a rule applies */
	bool list_rules; /* gives fired a line for each rule there is, and changes nothing */
} PassOptions;
const Pass *pass_named(const char *name);
/* The passes of a target's pipeline that end with kernels. */
extern const char *const passes_default[];
bool passes_run(Module *m, Diags *d, const Target *target, const PassOptions *o);

/* --- rewrite.c: the engine --- */
/* A rule looks at one node of its operation and returns its replacement (existing or new, inserted
 * before it by the rule), or NULL when it does not apply. Rules must make progress: each shrinks
 * the graph, lowers an operation's kind, or moves a movement towards its producer. */
typedef struct Rewrite {
	PassContext *c;
	Graph *g;
	Node *at;
} Rewrite;
typedef struct Rule {
	Op op;
	const char *name;
	Node *(*apply)(Rewrite *w, Node *n);
} Rule;
void rewrite_run(PassContext *c, const Rule *rules, size_t n_rules);
/* New node before w->at, type inferred; NULL when it cannot be typed (then the rule returns NULL). */
Node *rewrite_node(Rewrite *w, Op op, uint32_t n_in, Node *const *in);
Node *rewrite_finish(Rewrite *w, Node *n); /* the same for a node with attributes already set */
Node *rewrite_const(Rewrite *w, DType t, double v);
Node *rewrite_reshape(Rewrite *w, Node *x, uint32_t rank, const Dim *dims);
Node *rewrite_transpose(Rewrite *w, Node *x, const int64_t *perm);

/* --- matching helpers (rewrite.c) --- */
bool node_const_scalar(const Node *n, double *v); /* a constant of one element (or all equal) */
uint32_t node_use_count(const Node *n);           /* walks the entry: fine for rules */
bool is_elementwise(const Node *n);
/* Made of weights and constants by pure operations: computed once, before the first call. */
bool is_constant(const Node *n);

/* --- scales.c --- */
/* Does operand `which` of product n come scaled, as the kernels of products take it: (q - z) * scale with one
 * block or blocks of 8 and more along the summed axis? */
bool takes_scales(const Node *n, uint32_t which);
/* Why product n would not take `scaled` (OP_DEQUANT) as that operand; NULL: it does. */
const char *scales_refused(const Node *n, uint32_t which, const Node *scaled);

/* What is written by hand is not looked into. */
static inline bool is_entered(const Node *n)
{
	return n->region && n->op != OP_HAND;
}

/* --- unfused.c: remarks on what a user expects to be fused and is not --- */
/* Is the value wanted by more than `by`: returned, kept, or used by another operation that leads to a
 * result? */
bool is_wanted_elsewhere(PassContext *c, const Node *value, const Node *by);
/* `what` is not fused at `at`, as `value` (called so when it has no name) is wanted elsewhere too. */
void remark_wanted(PassContext *c, Span at, const char *what, const Node *value, const Node *by,
                   const char *called);
/* The user's name of a value in backquotes, or `called`. */
const char *value_name(PassContext *c, const Node *value, const char *called);
#endif
