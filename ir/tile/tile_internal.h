/* The insides of the tile interpreter, shared by interpret.c (memory, launches, control flow) and
 * interpret_operation.c (what each operation does). Every element is a double; what a dtype cannot
 * hold is rounded when it is stored. */
#ifndef NACRE_IR_TILE_INTERNAL_H
#define NACRE_IR_TILE_INTERNAL_H
#include "ir/tile/tile.h"

/* Elements of a program buffer or place, dense and row-major whatever the encoding. Where a stamp
 * differs from `now` the element was never written; stamps are NULL when everything is defined. */
typedef struct TileMemory {
	double *at;
	uint32_t *stamp, now;
	int64_t n, dims[TILE_RANK];
	bool round;   /* stores round to the dtype */
	bool written; /* since the run began */
	DType dtype;
	const TileObj *obj;
} TileMemory;

/* What a formal buffer or a place is while a kernel runs. */
typedef struct TileView {
	TileMemory *memory;
	int64_t base, dim[TILE_RANK], stride[TILE_RANK]; /* in elements */
} TileView;

/* An access taken apart, once for each access of a kernel: index[d] = rest[d] + sum factor * var. */
typedef struct AccessPlan {
	const TileAccess *access;
	struct AccessPlan *chain;
	bool linear;
	Dim rest[TILE_RANK];
	Dim factor[TILE_RANK][TILE_SPACE]; /* NULL: zero */
	uint32_t mentions;                 /* bit v: space variable v occurs */
} AccessPlan;

enum { PLAN_SLOTS = 1024 };
typedef struct Interpreter {
	TileProgram *p;
	Diags *d;
	TileRun *run;
	const TileEntry *entry;
	Arena *arena;
	int64_t *value; /* of each symbol */
	bool *bound;
	TileMemory **buffer; /* of each program buffer, NULL until touched */
	AccessPlan *plan[PLAN_SLOTS];
	int64_t elements; /* held by buffers and places */
	bool limited;
	/* the launch in hand */
	const TileKernel *kernel;
	TileView *formal, *place;
} Interpreter;

bool run_fail(Interpreter *t, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool run_steps(Interpreter *t, Span at, int64_t n); /* false: the limit is reached */
bool run_eval(Interpreter *t, Span at, Dim d, int64_t *out);
bool run_memory(Interpreter *t, Span at, TileMemory *m, bool defined); /* from dims and dtype */
TileView *run_view(Interpreter *t, Span at, const TileObj *o);
void run_bind(Interpreter *t, const DimSym *s, int64_t v);
DimValue run_value; /* of a symbol, with the interpreter as context */
bool run_operation(Interpreter *t, const TileStmt *s);
/* One element, all symbols bound; false after an error. */
bool run_load(Interpreter *t, Span at, const TileAccess *a, double *out);
#endif
