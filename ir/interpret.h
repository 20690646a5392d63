/* Shared by the files of the graph interpreter. */
#ifndef NACRE_IR_INTERPRET_H
#define NACRE_IR_INTERPRET_H
#include "ir/ir.h"

typedef struct Binding { /* a loop symbol and its value now */
	struct Binding *up;
	const DimSym *sym;
	int64_t value;
} Binding;

typedef struct Run {
	Arena *arena;
	Diags *d;
	Module *m;
	const Entry *entry; /* NULL while constants are folded */
	const int64_t *params;
	const Value *inputs, *weights;
	Value *states;
	InterpretOptions o;
	Binding *bindings;
} Run;

/* A walk over an index space with running offsets into a few operands. */
enum { WALK_OPERANDS = 3 };
typedef struct Walk {
	uint32_t rank;
	int64_t left, dims[MAX_RANK], index[MAX_RANK];
	int64_t stride[WALK_OPERANDS][MAX_RANK], offset[WALK_OPERANDS];
} Walk;
void dims_walk(Walk *w, uint32_t rank, const int64_t *dims); /* strides zero: fill them after */
bool dims_next(Walk *w);                                     /* false when all was visited */

bool run_error(Run *r, const Node *n, const char *why); /* false */
bool run_index(Run *r, const Node *n, int64_t index,
               int64_t limit); /* false: outside 0..limit-1, told */
bool run_dim(Run *r, const Node *n, Dim d, int64_t *out);
Value *value_new(Run *r, const Node *n, const Type *type); /* NULL after an error; zeros */
void value_round(const Run *r, Value *v);
void value_strides(const Value *v, int64_t *stride);

/* interpret_compute.c */
bool run_compute(Run *r, Node *n, Value *out);
bool run_compute_tuple(Run *r, Node *n); /* topk, sort, route: sets n->data to a list of values */

/* interpret_route.c */
bool run_routed(Run *r, Node *n, Value *out);
bool run_route(Run *r, Node *n);
#endif
