/* support: what every room stands on: arenas, vectors, interned strings, source text,
 * diagnostics, growing text, files, and the postfix size expressions that artefacts carry.
 * Nothing here knows what a model is; nothing here exits. */
#ifndef NACRE_SUPPORT_H
#define NACRE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PRINTF_LIKE(fmt, args)
#endif

/* --- arena.c: memory by phases ------------------------------------------------------------ */

/* A bump allocator. Everything allocated lives until arena_free or until arena_reset to an
 * earlier mark. Memory is zeroed. Allocation never returns NULL: when memory is exhausted, or a
 * size overflows, control goes to `exhausted` if it is set (longjmp with 1), else the process
 * aborts with a message; tools set it. */
typedef struct Arena Arena;
typedef struct ArenaMark {
	void *block;
	size_t used;
} ArenaMark;

Arena *arena_new(void);
Arena *arena_child(const Arena *of); /* another, exhausted to where `of` is */
void arena_free(Arena *a);           /* NULL is allowed */
void arena_on_exhausted(Arena *a, jmp_buf *where);
void *arena_alloc(Arena *a, size_t size);               /* zeroed, 16-byte aligned */
void *arena_array(Arena *a, size_t count, size_t size); /* the same, count * size checked */
void *arena_grow(Arena *a, void *old, size_t old_size, size_t new_size);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_strdup(Arena *a, const char *s);
char *arena_printf(Arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
char *arena_vprintf(Arena *a, const char *fmt, va_list ap);
ArenaMark arena_mark(Arena *a);
void arena_reset(Arena *a, ArenaMark mark);
size_t arena_bytes(const Arena *a); /* held from the system, for memory reports */

#define NEW(arena, T) ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_ARRAY(arena, T, n) ((T *)arena_array((arena), (size_t)(n), sizeof(T)))

/* --- vectors (macros): VEC(T) v = {0}; vec_push(arena, &v, x); v.at[i]; v.n ----------------- */
#define VEC(T)                                                                                     \
	struct {                                                                                       \
		T *at;                                                                                     \
		size_t n, cap;                                                                             \
	}
#define vec_reserve(arena, v, want)                                                                \
	do {                                                                                           \
		if ((v)->cap < (want)) {                                                                   \
			size_t vec_c = (v)->cap ? (v)->cap * 2 : 8;                                            \
			while (vec_c < (want)) vec_c *= 2;                                                     \
			(v)->at =                                                                              \
				arena_grow((arena), (v)->at, (v)->n * sizeof *(v)->at, vec_c * sizeof *(v)->at);   \
			(v)->cap = vec_c;                                                                      \
		}                                                                                          \
	} while (0)
#define vec_push(arena, v, x)                                                                      \
	do {                                                                                           \
		vec_reserve((arena), (v), (v)->n + 1);                                                     \
		(v)->at[(v)->n++] = (x);                                                                   \
	} while (0)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* --- intern.c: one pointer for each distinct string ------------------------------------------ */
typedef struct Interner Interner;
Interner *interner_new(Arena *a);
/* What base has is found there; base may not grow any more, and lives at least as long. */
Interner *interner_over(Arena *a, const Interner *base);
const char *intern(Interner *t, const char *s, size_t n);
const char *intern_str(Interner *t, const char *s);

/* --- text.c: growing text (arena-backed, always NUL-terminated) ------------------------------ */
typedef struct Text {
	Arena *arena;
	char *at;
	size_t n, cap;
} Text;
Text text_new(Arena *a);
void text_printf(Text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_vprintf(Text *t, const char *fmt, va_list ap);
void text_append(Text *t, const char *s, size_t n);
void text_puts(Text *t, const char *s);
/* As a string of the text forms: in quotes, with \" \\ \n and \xHH for what cannot stand in them. */
void text_quoted(Text *t, const char *s);
void text_int(Text *t, int64_t v);
void text_double(Text *t,
                 double v); /* the shortest decimal that reads back as v; inf, nan by name */

/* --- source.c: source text, positions -------------------------------------------------------- */
typedef struct Source {
	const char *name; /* as the user wrote it */
	const char *text; /* NUL-terminated copy */
	size_t size;
	const uint32_t *line_start; /* offset of each line's first byte */
	uint32_t lines;
} Source;
typedef struct Span {
	const Source *source;
	uint32_t begin, end;
} Span; /* bytes [begin, end); source NULL: nowhere */
typedef struct SourcePlace {
	uint32_t line, column;
} SourcePlace; /* both from 1; column in characters */

const Source *source_from_text(Arena *a, const char *name, const char *text, size_t n);
/* The same from a file of at most SOURCE_LARGEST bytes; NULL: *why is a message without the name. */
enum { SOURCE_LARGEST = 64 << 20 };
const Source *source_from_file(Arena *a, const char *path, const char **why);
SourcePlace source_place(const Source *s, uint32_t offset);
Span span_join(Span a, Span b);
/* Its text with blanks run together, cut behind so many bytes. */
const char *span_text(Arena *a, Span s, size_t longest);
/* Bytes of the UTF-8 character at s, of n bytes; 0: there is none. */
size_t utf8_length(const char *s, size_t n);
static inline Span span_none(void)
{
	return (Span){NULL, 0, 0};
}

/* --- diag.c: messages with a place, notes and a remedy ---------------------------------------- */
typedef enum { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE, DIAG_HELP } DiagSeverity;
typedef struct Diag Diag; /* one message with its notes and help */
typedef struct Diags {
	Arena *arena;
	VEC(Diag *) list;
	uint32_t errors; /* all that were reported, also those past the limit */
	uint32_t limit;  /* messages kept; 0 means 20 */
	bool frozen;     /* set while a speculative attempt must stay silent */
} Diags;
struct Diag {
	DiagSeverity severity;
	Span span;    /* what is underlined with ^ */
	Span also[4]; /* further ranges of the same line, underlined with ~ */
	uint32_t n_also;
	const char *text;
	VEC(Diag *) parts; /* notes (with spans) and helps (without) in order */
};
/* Each returns the message so that notes and helps can be attached; never NULL. */
Diag *diag_error(Diags *d, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4);
Diag *diag_warning(Diags *d, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4);
Diag *diag_remark(Diags *d, Span at, const char *fmt, ...)
	PRINTF_LIKE(3, 4); /* a note on its own */
void diag_note(Diags *d, Diag *of, Span at, const char *fmt, ...) PRINTF_LIKE(4, 5);
void diag_help(Diags *d, Diag *of, const char *fmt, ...) PRINTF_LIKE(3, 4);
void diag_also(Diag *of, Span range);
bool diags_full(const Diags *d);              /* further errors are counted, not kept */
void diags_render(const Diags *d, Text *out); /* the shape shown in doc/language.md */
void diags_print(const Diags *d, FILE *to);
/* The nearest of names to word by edit distance (Damerau-Levenshtein), or NULL when none is near. */
const char *nearest_name(const char *word, const char *const *names, size_t n);

/* --- message.c: messages of what fails while a model runs ---------------------------------------- */
/* Writes what a slot stands for to at, ended by 0; false: it is no slot. */
typedef bool MessageSlot(void *ctx, const char *name, char *at, size_t n);
/* text with what stands for each {slot}, cut to n - 1 bytes. */
void message_fill(char *at, size_t n, const char *text, MessageSlot *slot, void *ctx);

/* An input of integers that a check looks at. */
typedef struct CheckInput {
	uint32_t rank;
	const int64_t *dims;
	int64_t (*element)(const void *data, int64_t k);
	const void *data;
} CheckInput;
/* An index outside of 0..limit-1. */
typedef struct CheckFailure {
	int64_t index, limit;
	bool (*find)(void *ctx, const char *input,
	             CheckInput *out); /* NULL: inputs are not to be had */
	void *ctx;
	bool found; /* by check_message: which element it is */
} CheckFailure;
/* The text of a failed check. Its slots: {index}, {limit}, numbers, +N or -N behind them to add; {an index},
 * "index 7"; {some index}, the same where the index itself is not known; {@NAME}, the element of the input
 * NAME that is at fault, which is N more than the index for {@NAME+N}, and the limit is M for {@NAME<M}. */
void check_message(char *at, size_t n, const char *text, CheckFailure *f);
/* What a model requires is written `RELATION fails: VALUES`, the values with a slot for each dim. */
#define RELATION_FAILS " fails: "
const char *message_relation(Arena *a, const char *text); /* without the values */

/* --- file.c ---------------------------------------------------------------------------------- */
/* Whole files, mapped read-only. On failure returns false and *why is a message without the name. */
typedef struct FileMap {
	const uint8_t *at;
	size_t size;
} FileMap;
bool file_map(const char *path, FileMap *out, const char **why);
void file_unmap(FileMap *m);
/* Written beside its place and renamed when complete, so that no half-written file is ever seen. */
typedef struct FileOut FileOut;
FileOut *file_out_open(const char *path, const char **why);
void file_out_write(FileOut *f, const void *data, size_t n);
bool file_out_commit(FileOut *f, const char **why); /* false: nothing was left behind */
void file_out_abandon(FileOut *f);

/* --- expr.c: integer expressions in postfix, as artefacts carry them --------------------------- */
/* Used for sizes, shapes and relations evaluated when dims are bound. Byte code, so that a
 * hostile file can be checked: expr_check proves stack discipline before anything is evaluated. */
typedef enum {
	EXPR_END,
	EXPR_CONST,
	EXPR_PARAM,
	EXPR_ADD,
	EXPR_SUB,
	EXPR_MUL,
	EXPR_FLOORDIV,
	EXPR_MOD,
	EXPR_MIN,
	EXPR_MAX
} ExprCode;
typedef struct ExprWord {
	int32_t code;
	int32_t pad;
	int64_t value;
} ExprWord; /* value: constant or parameter number */
enum { EXPR_STACK = 32 };
bool expr_check(const ExprWord *e, size_t words,
                uint32_t params); /* ends with EXPR_END within words */
bool expr_eval(const ExprWord *e, const int64_t *params,
               int64_t *out); /* false: overflow or division by zero */

/* --- crc.c ------------------------------------------------------------------------------------- */
uint32_t crc32c(uint32_t seed, const void *data, size_t n); /* Castagnoli; seed 0 to begin */

#endif
