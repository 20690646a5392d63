/* The frontend: from model files to graph IR. The way through: syntax.c parses (lexer.l, parser.y)
 * into ast.h; the checker resolves names, evaluates what is known at compile time and builds the
 * graph; bind.c matches the module's weights with a weight file. */
#ifndef NACRE_FRONTEND_H
#define NACRE_FRONTEND_H
#include "frontend/weights.h"
#include "ir/ir.h"

typedef struct FrontendSetting {
	const char *name, *value; /* `--set name=value`: a file's `let`, or a parameter of the model */
} FrontendSetting;
/* The standard library, parsed once for many loads (library.c), whose names are then made by
 * interner_over(arena, library_names(l)). It lives longer than they do. */
typedef struct Library Library;
Library *library_new(Arena *a);
const Interner *library_names(const Library *l);

typedef struct FrontendOptions {
	const FrontendSetting *set;
	uint32_t n_set;
	const char *model; /* which model of the file; NULL: the only one, or the last */
	/* The text of an imported file that is not saved yet (an editor's); NULL, or giving NULL: what
	 * the file holds. The Source lives at least as long as the arena. */
	const Source *(*open)(void *context, const char *path);
	void *open_context;
	const Library
		*library; /* NULL: files of the standard library are parsed as they are imported */
	/* For editors (record.h): types are noted down, what no model uses is looked at with parameters
	 * left symbolic, and after syntax errors the rest of the file is looked at in silence. */
	struct Record *record;
} FrontendOptions;

/* An inline test: a module with one entry "test" without inputs. Each of its outputs is the bool
 * scalar of one `assert`, in order. */
typedef struct FrontendTest {
	const char *name;
	Span span;
	Module *module;     /* NULL when the test did not build (reported) */
	const char *target; /* the only one that it runs on, a row of ir/targets.def; NULL: all */
	VEC(Span) assert_span;
	VEC(const char *) assert_text; /* message of the assert, or its source text */
} FrontendTest;
typedef struct FrontendUnit {
	Module *module; /* NULL when the file has no model */
	VEC(FrontendTest) tests;
} FrontendUnit;

/* Parses, checks and builds a file. Imports are looked up in the standard library ("std/...") and
 * beside the file. Results live in a. False after errors. Warnings and remarks (what became of each
 * loop) are added to d either way. */
bool frontend_load(Arena *a, Interner *names, Diags *d, const Source *s, const FrontendOptions *o,
                   FrontendUnit *out);

/* --- format.c ------------------------------------------------------------------------------------ */
/* Appends the text of s as `nacre fmt` writes it: formatting that again changes nothing, and it parses
 * to the same syntax tree. False after errors, those of syntax above all. */
bool format_source(Arena *a, Diags *d, const Source *s, Text *out);

/* --- bind.c: a module's weights from a file ------------------------------------------------------ */
/* The part of a weight under one key, converted to the weight's declared element type if that widens
 * (a narrowing is an error). */
typedef struct BoundWeight {
	uint32_t n;             /* as many as the weight has keys */
	const HostTensor *part; /* each of the weight's type without its stacked axes */
} BoundWeight;
/* Finds every weight of m in f, by key (alternatives in turn). One message for a missing key with the
 * nearest ones, for shapes that differ (saying when it would fit transposed), for other element types,
 * for a prefix that all keys lack or have, for keys that no weight uses (an error unless ignored by the
 * model). out: one for each weight of m. False after errors. */
bool weights_bind(Arena *a, Diags *d, const Module *m, const TensorFile *f, BoundWeight *out);
/* Reproducible random values for every weight (norm scales near 1, running variances positive), for
 * `--random-weights SEED`. */
void weights_random(Arena *a, const Module *m, uint64_t seed, BoundWeight *out);
/* The same in steps, so that not all of them have to be in memory: the types (data NULL), then the
 * values of part k of one weight. */
void weights_random_types(Arena *a, const Module *m, BoundWeight *out);
void weight_random(const Weight *w, const HostTensor *part, uint32_t k, uint64_t seed, void *to);
#endif
