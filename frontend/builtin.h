/* Shared by the files of built-in functions. */
#ifndef NACRE_FRONTEND_BUILTIN_H
#define NACRE_FRONTEND_BUILTIN_H
#include "frontend/build.h"

enum { BUILTIN_ARGUMENTS = 10 };
typedef struct Call {
	Build *b;
	const Builtin *f;
	Span at;
	Argument
		in[BUILTIN_ARGUMENTS]; /* in the order of the signature; left out: ast NULL, item NONE */
	bool given[BUILTIN_ARGUMENTS];
} Call;
typedef Item BuiltinFn(Call *c);
struct Builtin {
	const char *name, *signature;
	BuiltinFn *run;
	Op op;
	const char *how, *doc;
};
#define BUILTIN(name, signature, function, op, how, doc) BuiltinFn builtin_##function;
#include "frontend/builtins.def"

const char *call_what(Call *c, const char *argument); /* "argument `x` of `softmax`" */
Node *call_tensor(Call *c, uint32_t i);               /* NULL after an error */
Node *float_input(Call *c, uint32_t i);               /* a tensor of floats; NULL after a message */
bool call_axis(Call *c, uint32_t i, uint32_t rank,
               int64_t *out); /* counted from the end when negative */
bool call_axes(Call *c, uint32_t i, uint32_t rank, uint32_t *n, int64_t *out); /* left out: all */
bool call_flag(Call *c, uint32_t i, bool otherwise, bool *out);
bool call_number(Call *c, uint32_t i, double otherwise, double *out);
bool call_dims(Call *c, uint32_t i, uint32_t *n, Dim *out);
Node *flip_axis(Call *c, Node *x, int64_t axis);
/* "constant", "reflect", "replicate" or "circular" ("zeros" is "constant"); NULL after an error. */
const char *pad_mode(Call *c, uint32_t i);
/* lo elements before and hi behind an axis, taken from it by a mode other than "constant". */
Node *pad_axis(Call *c, Node *x, int64_t axis, int64_t lo, int64_t hi, const char *mode);
Item tuple_items(Build *b, Node *tuple, uint32_t n, Span at);
#endif
