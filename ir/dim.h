/* Symbolic integers: dimensions of tensors in the graph IR and index expressions in tile IR.
 *
 * An expression is a polynomial with integer coefficients over atoms: symbols, floor divisions,
 * minima and maxima. It is kept canonical and interned in a DimPool, so two expressions that the
 * canonical form can prove equal are the same pointer. Canonical rules: sums of products sorted;
 * constants folded; (a + c*s) // s -> a // s + c; (x // a) // b -> x // (a*b); x % d is
 * x - d * (x // d); ceildiv(a, d) is (a + d - 1) // d; min and max flattened, sorted, decided by ranges.
 * A symbol has an identity of its own: two symbols of one name are different. */
#ifndef NACRE_IR_DIM_H
#define NACRE_IR_DIM_H
#include "support/support.h"

typedef struct DimExpr DimExpr;
typedef const DimExpr *Dim; /* NULL only where stated */
typedef struct DimPool DimPool;
typedef struct DimSym DimSym;

typedef enum DimSymKind {
	SYM_SESSION, /* bound once for a session: may size state */
	SYM_CALL,    /* bound for each call, from the shapes of its inputs */
	SYM_STATE,   /* `state pos: dim`: kept between calls */
	SYM_LOOP,    /* index of a loop (graph loop, tile for) */
	SYM_LEN,     /* length that a tile loop yields beside its offset */
	SYM_DATA     /* loaded from a buffer (load_index), trapped or clamped to its range */
} DimSymKind;

struct DimSym {
	const char *name; /* interned */
	DimSymKind kind;
	uint32_t id; /* in order of creation in the pool */
	Dim lo, hi;  /* inclusive; may mention earlier symbols; never NULL */
	Dim initial; /* SYM_STATE: the value it begins with; NULL: lo */
	Span span;
};

DimPool *dim_pool_new(Arena *a);
DimSym *dim_sym_new(DimPool *p, const char *name, DimSymKind kind, Dim lo, Dim hi, Span span);
uint32_t dim_pool_syms(const DimPool *p);
DimSym *dim_pool_sym(const DimPool *p, uint32_t id);

/* Builders. On 64-bit overflow of a coefficient they return the pool's poison, whose printing is
 * "<overflow>"; dim_is_poison tells, verifiers report it. Division by a constant zero likewise. */
Dim dim_const(DimPool *p, int64_t v);
Dim dim_sym(DimPool *p, DimSym *s);
Dim dim_add(DimPool *p, Dim a, Dim b);
Dim dim_sub(DimPool *p, Dim a, Dim b);
Dim dim_mul(DimPool *p, Dim a, Dim b);
Dim dim_floordiv(DimPool *p, Dim a, Dim b);
Dim dim_ceildiv(DimPool *p, Dim a, Dim b);
Dim dim_mod(DimPool *p, Dim a, Dim b);
Dim dim_min(DimPool *p, Dim a, Dim b);
Dim dim_max(DimPool *p, Dim a, Dim b);
Dim dim_addc(DimPool *p, Dim a, int64_t c);
Dim dim_mulc(DimPool *p, Dim a, int64_t c);
bool dim_is_poison(Dim d);

bool dim_is_const(Dim d, int64_t *value); /* value may be NULL */
DimSym *dim_as_sym(Dim d);                /* the symbol if d is exactly one, else NULL */
bool dim_mentions(Dim d, const DimSym *s);
/* Calls visit for each distinct symbol in d. */
void dim_visit_syms(Dim d, void (*visit)(void *ctx, DimSym *s), void *ctx);
/* Replace symbols: repl(ctx, s) returns the new expression or NULL to keep s. */
Dim dim_substitute(DimPool *p, Dim d, Dim (*repl)(void *ctx, DimSym *s), void *ctx);
/* d = coef * s + rest with rest free of s; false when d is not linear in s. */
bool dim_linear_in(DimPool *p, Dim d, const DimSym *s, Dim *coef, Dim *rest);

/* Structure, for printers and code generators: a sum of `terms`, each coef * product of atoms.
 * (constant first if not zero). An atom is a symbol or an operation on two expressions. */
typedef enum DimAtomKind { ATOM_SYM, ATOM_FLOORDIV, ATOM_MIN, ATOM_MAX } DimAtomKind;
typedef struct DimAtom {
	DimAtomKind kind;
	DimSym *sym;
	Dim a, b;
} DimAtom; /* sym, or a op b */
typedef struct DimTerm {
	int64_t coef;
	uint32_t n;
	const DimAtom *const *atom;
} DimTerm;
int64_t dim_constant(Dim d); /* the constant term */
uint32_t dim_terms(Dim d);   /* without the constant */
DimTerm dim_term(Dim d, uint32_t i);

/* Facts: relations known to hold (`require a <= b`), used by ranges and proofs. */
typedef struct DimFacts {
	DimPool *pool;
	VEC(Dim) nonneg; /* each expression is >= 0 */
	bool assume;     /* what cannot be decided counts as true: for looking at parts of a model */
} DimFacts;
void dim_facts_le(DimFacts *f, Arena *a, Dim lo, Dim hi); /* lo <= hi */

/* Numeric bounds by interval and affine reasoning, under the ranges of symbols and facts (may be
 * NULL). INT64_MIN/INT64_MAX when unbounded. */
void dim_range(const DimFacts *f, Dim d, int64_t *lo, int64_t *hi);
typedef enum Proof {
	PROOF_NO,
	PROOF_YES,
	PROOF_UNKNOWN
} Proof; /* always false, always true, it depends */
Proof dim_le(const DimFacts *f, Dim a, Dim b);
Proof dim_eq(const DimFacts *f, Dim a,
             Dim b); /* same pointer: PROOF_YES; differing constants: PROOF_NO */

/* Values. value(ctx, s, &v) gives the binding of a symbol, false if it has none. */
typedef bool DimValue(void *ctx, const DimSym *s, int64_t *out);
bool dim_eval(Dim d, DimValue *value, void *ctx, int64_t *out); /* false: unbound or overflow */

/* Text: user's notation, e.g. `pos + S`, `(Y - 1)//2 + 1`, `min(a, b)`. */
void dim_print(Text *t, Dim d);
const char *dim_text(Arena *a, Dim d);
/* Parse the same notation; names are looked up by find (NULL result: error). *end is left after
 * the last character read. Returns NULL and sets *error (static text) when it is no expression. */
typedef DimSym *DimFind(void *ctx, const char *name, size_t n);
Dim dim_parse(DimPool *p, const char *s, const char **end, DimFind *find, void *ctx,
              const char **error);

/* Postfix for artefacts: param(ctx, s) gives the parameter number of a symbol, or -1. Appends to
 * out (ending with EXPR_END); false if a symbol has no number or the stack would exceed EXPR_STACK. */
typedef VEC(ExprWord) ExprVec;
bool dim_to_expr(Dim d, int32_t (*param)(void *ctx, const DimSym *s), void *ctx, Arena *a,
                 ExprVec *out);
#endif
