/* What the checker found out, by place in the text, for editors: the types of expressions and names, and
 * the layers that a model makes. A def is checked for each call of it and a layer for each use, so that
 * one place may have several types; sizes are named as the layer around them names them. Recording costs
 * nothing when it is off (FrontendOptions.record). */
#ifndef NACRE_FRONTEND_RECORD_H
#define NACRE_FRONTEND_RECORD_H
#include "support/support.h"

enum { RECORD_TYPES = 4, RECORD_PREFIXES = 8 };
typedef struct RecordedType {
	const char *named; /* "f32[B, S, D]", "int", "layer Block" */
	const char *plain; /* "f32[B, S, 2048]", "64"; the same text when there is no more to say */
} RecordedType;
typedef struct Recorded {
	Span span;
	RecordedType type[RECORD_TYPES]; /* distinct */
	uint32_t n, seen;
	uint32_t next; /* of those that begin at the same place, + 1 */
	uint32_t kind; /* of the last value, when it was a number, */
	int64_t bits;  /* and what it was */
	bool more;     /* there are further types */
	bool symbolic; /* nothing calls it: parameters were left symbolic */
} Recorded;
/* A layer of the file and the keys that its uses in the model begin with. */
typedef struct RecordedLayer {
	const char *name;
	const char *prefix[RECORD_PREFIXES]; /* "model.layers.0.self_attn." */
	uint32_t n, uses;
} RecordedLayer;
typedef struct Record Record;

Record *record_new(Arena *a);
void record_begin(Record *r, const Source *main); /* only places in the main file are recorded */
/* What was recorded of exactly this range, or NULL. */
const Recorded *record_at(const Record *r, uint32_t begin, uint32_t end);
/* The innermost expression around an offset, or NULL. */
const Recorded *record_around(const Record *r, uint32_t offset);
bool record_any(const Record *r, uint32_t begin, uint32_t end); /* anything inside the range? */
const RecordedLayer *record_layer(const Record *r, const char *name);
#endif
