/* The insides of the tile verifier, shared by verify.c (control flow, kernels, entries) and
 * verify_operation.c (operations, accesses, regions). */
#ifndef NACRE_IR_TILE_VERIFY_H
#define NACRE_IR_TILE_VERIFY_H
#include "ir/tile/tile.h"

enum { VERIFY_DEPTH = 100 };

typedef struct PlaceInScope {
	const TileObj *obj;
	const TileObj *source; /* the buffer it is a snapshot of, or NULL */
} PlaceInScope;

typedef struct Verifier {
	Diags *d;
	const TileProgram *p;
	Arena *arena;
	bool ok;
	DimFacts facts;
	bool *known;         /* symbols in scope, by number */
	VEC(DimSym *) scope; /* the same in order */
	VEC(PlaceInScope) places;
	const TileKernel *kernel;
	const TileStmt *par;        /* innermost par around, or NULL */
	VEC(const TileStmt *) pars; /* all of them, outermost first */
	VEC(const TileStmt *) ifs;  /* choices around */
	size_t par_places;          /* places in scope when it began */
	uint32_t depth;
} Verifier;

static inline uint32_t v_symbols(const Verifier *v)
{
	return dim_pool_syms(v->p->dims);
}

bool tile_verify_error(Verifier *v, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4); /* false */
bool tile_verify_dim(Verifier *v, Span at, Dim d,
                     const char *what); /* present, no overflow, in scope */
bool tile_verify_le(Verifier *v, Dim a, Dim b);
bool tile_verify_lt(Verifier *v, Dim a, Dim b);
bool tile_verify_symbol(Verifier *v, Span at, DimSym *s, Dim lo, Dim hi);
void tile_verify_forget(Verifier *v, size_t symbols, size_t facts); /* back to so many */
/* The access itself: its object in scope, rank, indices within the object. */
bool tile_verify_access(Verifier *v, const TileStmt *s, const TileAccess *a, bool written);
void tile_verify_operation(Verifier *v, const TileStmt *s);
#endif
