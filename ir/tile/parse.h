/* Private to the text form, reading half: parse.c reads programs and entries, parse_stmt.c kernels
 * and statements, parse_region.c scalar regions. Input is outside text: depths, ranks and counts are
 * bounded, and the first error ends the reading (failed is set, what follows gives harmless values). */
#ifndef NACRE_IR_TILE_PARSE_H
#define NACRE_IR_TILE_PARSE_H
#include "ir/tile/tile.h"

enum {
	PARSE_DEPTH = 64,         /* nested blocks */
	PARSE_REGION_DEPTH = 600, /* nested scalar expressions */
	PARSE_REGION_NODES = 256,
	PARSE_PARAMS = 256,
	PARSE_FORMALS = 256,
	PARSE_PLACES = 4096,     /* of a kernel */
	PARSE_BUFFERS = 1 << 14, /* of a program; the same for kernels */
	PARSE_LITERALS = 1 << 24
};

typedef struct Reader {
	TileProgram *p;
	Arena *arena;
	Diags *d;
	const Source *source;
	const char *at;
	VEC(DimSym *) syms;  /* visible symbols, innermost last */
	VEC(TileObj *) objs; /* visible objects */
	TileKernel *kernel;
	int depth;
	bool failed;
} Reader;

/* --- parse.c: words --- */
Span parse_span(const Reader *r, const char *from, const char *to);
bool parse_fail(Reader *r, const char *from, const char *to, const char *fmt, ...)
	PRINTF_LIKE(4, 5); /* false */
bool parse_fail_here(Reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
void parse_skip(Reader *r);
bool parse_take(Reader *r, const char *what); /* a word (which must end) or a mark, if it is next */
bool parse_expect(Reader *r, const char *what);
const char *parse_word(Reader *r); /* an identifier; "" after an error */
const char *parse_name(Reader *r); /* an identifier with dots, or a string */
const char *parse_string(Reader *r);
const char *parse_check(Reader *r);
int64_t parse_integer(Reader *r, int64_t lo, int64_t hi, const char *what);
double parse_number(Reader *r); /* with sign; inf and nan by name */
Dim parse_dim(Reader *r);
DimSym *parse_symbol(Reader *r, DimSymKind kind, Dim lo, Dim hi); /* a new name; not yet visible */
void parse_show(Reader *r, DimSym *s);                            /* now it is */
TileObj *parse_object(Reader *r, bool program);                   /* one visible by its name */
TileAccess parse_access(Reader *r);
/* kind and the rest: name type[dims] encoding key; appended to the right list and visible */
TileObj *parse_buffer(Reader *r, TileKind kind);
bool parse_kind(Reader *r, TileKind *out);

/* --- parse_stmt.c --- */
void parse_kernel(Reader *r);

/* --- parse_region.c --- */
void parse_region(Reader *r, TileStmt *s);   /* { ... }; s->in and s->out are known */
void parse_identity(Reader *r, TileStmt *s); /* the region x -> x */
#endif
