/* The insides of symbolic integers, shared by dim.c, dim_range.c and dim_text.c. */
#ifndef NACRE_IR_DIM_INTERNAL_H
#define NACRE_IR_DIM_INTERNAL_H
#include "ir/dim.h"

struct DimExpr {
	int64_t constant;
	uint32_t n; /* terms, sorted by number of atoms, then by their ids */
	DimTerm *term;
	bool poison;
	uint32_t id;
	uint64_t hash;
	DimExpr *chain;
};

typedef struct AtomRecord {
	DimAtom atom; /* first: a DimAtom pointer is an AtomRecord pointer */
	uint32_t id;
	uint64_t hash;
	struct AtomRecord *chain;
} AtomRecord;

struct DimPool {
	Arena *arena;
	VEC(DimSym *) syms;
	DimExpr **exprs; /* hash tables with chains, each of a power of two */
	AtomRecord **atoms;
	uint32_t expr_slots, atom_slots;
	uint32_t n_exprs, n_atoms;
	Dim poison;
};

/* What an operation atom means for these operands. */
Dim dim_apply(DimPool *p, DimAtomKind kind, Dim a, Dim b);
/* d = coef * atom + rest with rest free of it at the top level; coef is not when the atom occurs twice
 * in one product. False: d is poison. */
bool dim_split(DimPool *p, Dim d, const DimAtom *atom, Dim *coef, Dim *rest);

static inline uint32_t atom_id(const DimAtom *a)
{
	return ((const AtomRecord *)a)->id;
}
#endif
