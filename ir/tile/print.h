/* Private to the text form, writing half: text.c prints programs, text_scalar.c index expressions
 * and regions. What is printed depends only on structure and names, never on the order in which
 * expressions were made, so that printing what was parsed gives the same bytes. */
#ifndef NACRE_IR_TILE_PRINT_H
#define NACRE_IR_TILE_PRINT_H
#include "ir/tile/tile.h"

/* A name as printed. Names of one list that are visible together differ. */
typedef struct PrintName {
	const void *of;
	const char *text; /* interned */
} PrintName;
typedef struct PrintNames {
	VEC(PrintName) list;
} PrintNames;

typedef struct Printer {
	Text *t;
	Arena *arena;
	Interner *words;
	PrintNames syms, objs, kernels;
	int depth;
} Printer;

/* --- text_scalar.c --- */
/* Gives `of` a name near `wanted`; letters, digits and `_` only when plain. */
const char *print_define(Printer *p, PrintNames *in, const void *of, const char *wanted,
                         bool plain);
const char *print_find(const PrintNames *in, const void *of); /* NULL: not visible */
void print_dim(Printer *p, Text *t, Dim d);
/* { arguments -> results }, arguments named after the objects of in */
void print_region(Printer *p, const TileStmt *s);
#endif
