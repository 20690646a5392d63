/* Between bind.c, which finds each weight of a module in a file, and bind_messages.c, which tells why
 * a checkpoint does not fit. */
#ifndef NACRE_FRONTEND_BIND_H
#define NACRE_FRONTEND_BIND_H
#include "frontend/frontend.h"

/* What is wrong with one key of a weight. */
typedef enum MisfitKind { MISFIT_MISSING, MISFIT_SHAPE, MISFIT_DTYPE } MisfitKind;
typedef struct Misfit {
	MisfitKind kind;
	const Weight *weight;
	const char *key;        /* the first of its alternatives */
	HostTensor want;        /* what the model takes */
	const HostTensor *have; /* what the file has; NULL when missing */
	bool alternatives;
} Misfit;
typedef VEC(Misfit) Misfits;

typedef struct Binder {
	Arena *arena;
	Diags *d;
	const Module *m;
	const TensorFile *f;
	bool *used;      /* by place in f->list */
	Misfits misfits; /* in the order of the weights; one for each key */
	size_t keys;     /* of the model */
} Binder;

/* Reports all misfits: causes that many weights share are told once. */
void misfits_report(Binder *b);
/* Reports what no weight uses, unless the model ignores it. True when there was something. */
bool surplus_report(Binder *b);
#endif
