/* Names of a model file and where they are used, found in the syntax tree alone: also in layers that no
 * model uses, in branches not taken, and in files with mistakes. Editors rename and navigate by it;
 * what needs evaluation (types, sizes) is in record.h. */
#ifndef NACRE_FRONTEND_RESOLVE_H
#define NACRE_FRONTEND_RESOLVE_H
#include "frontend/ast.h"
#include "frontend/frontend.h"

typedef enum SymbolKind {
	SYMBOL_FILE, /* `import .. as` */
	SYMBOL_LAYER,
	SYMBOL_MODEL,
	SYMBOL_DEF,
	SYMBOL_ENTRY,
	SYMBOL_DIM,
	SYMBOL_LET,
	SYMBOL_PARAM,
	SYMBOL_WEIGHT,
	SYMBOL_USE,
	SYMBOL_STATE,
	SYMBOL_LOCAL,
	SYMBOL_INDEX /* of a loop, an array, a pattern, an index function */
} SymbolKind;

typedef struct Symbol Symbol;
typedef struct NameScope NameScope;
typedef struct NameFile NameFile;
typedef VEC(Symbol *) SymbolList;
struct Symbol {
	SymbolKind kind;
	const char *name;
	Span span;        /* the name where it is declared */
	const Ast *decl;  /* the declaration, or the statement that binds a local */
	NameScope *scope; /* where it is known */
	NameScope *inner; /* LAYER, DEF: what is known inside; FILE: that of the file */
	Symbol *layer;    /* USE, or a local that stands for a layer in use: its layer */
	NameFile *file;   /* that declares it */
};
struct NameScope {
	NameScope *up;
	uint32_t begin, end; /* bytes of the file */
	SymbolList list;
	Symbol *owner; /* the layer or def; NULL: a file, a loop */
	bool function; /* assignments stop here */
	NameFile *file;
};
typedef struct Occurrence {
	Span span;
	Symbol *symbol;
	bool declares, writes;
} Occurrence;
struct NameFile {
	const char *name; /* as imported; "" for the main file */
	const Source *source;
	const Ast *ast;
	NameScope *scope;
	VEC(NameFile *) imports; /* without `as` */
	bool broken;             /* it has mistakes of syntax: names may be missing */
};
typedef struct UnknownName {
	Span span;
	const char *name;
} UnknownName;
typedef struct NameTable {
	Arena *arena;
	Interner *names;
	const FrontendOptions *options;
	VEC(NameFile *) files; /* the main file first */
	VEC(Occurrence) uses;  /* in the main file, by place */
	VEC(UnknownName) unknown;
	VEC(NameScope *) scopes; /* of the main file */
} NameTable;

/* Parses s and what it imports; never fails: what cannot be read has no names. */
NameTable *names_resolve(Arena *a, Interner *names, const Source *s, const FrontendOptions *o);
const Occurrence *names_at(const NameTable *t, uint32_t offset); /* NULL: no name there */
NameScope *names_scope(const NameTable *t, uint32_t offset);     /* the innermost around it */
Symbol *names_own(const NameScope *s, const char *name);         /* name interned */
Symbol *names_find(const NameScope *s, const char *name);        /* as the checker would */
/* "softmax(x, axis)"; a parameter that may be left out has a `?`. NULL: there is no such function. *doc is a
 * line about it, or "". */
const char *builtin_text(Arena *a, const char *name, const char **doc);
uint32_t builtins_known(const char **out, uint32_t room); /* the names of all functions */
bool name_is_builtin(const char *name); /* functions, element types, words of the language */
#endif
