/* What the files of isa/ share and nobody else needs: names of things in programs, the assembler's
 * state. */
#ifndef NACRE_ISA_INTERNAL_H
#define NACRE_ISA_INTERNAL_H
#include "isa/isa.h"

/* --- symbols.c: names to numbers, in one table for each kind of thing --- */
typedef enum SymbolKind {
	SYMBOL_PARAM,
	SYMBOL_TENSOR,
	SYMBOL_REGION,
	SYMBOL_TOKEN,
	SYMBOL_DESC,
	SYMBOL_CHAN,
	SYMBOL_ENTRY,
	NUM_SYMBOLS
} SymbolKind;
typedef struct SymbolSlot {
	const char *name; /* NULL: free */
	uint32_t hash, number;
} SymbolSlot;
typedef struct Symbols {
	Arena *arena;
	struct {
		SymbolSlot *slot;
		uint32_t n, cap;
	} table[NUM_SYMBOLS];
} Symbols;
bool symbol_add(Symbols *s, SymbolKind k, const char *name,
                uint32_t number); /* false: known already */
bool symbol_find(const Symbols *s, SymbolKind k, const char *name, uint32_t *number);
const char *symbol_nearest(const Symbols *s, SymbolKind k, const char *name);
bool symbol_is_plain(const char *name); /* may stand in the text without quotes */

/* --- asm_lex.c --- */
typedef enum LexKind {
	LEX_END,
	LEX_LINE,
	LEX_NAME,
	LEX_NUMBER,
	LEX_STRING,
	LEX_MARK,
	LEX_BAD
} LexKind;
typedef struct Lexeme {
	LexKind kind;
	uint32_t begin, end;
	char mark[3];     /* LEX_MARK: the character, or ".." "//" */
	bool whole, fits; /* LEX_NUMBER: an integer; below 2^64 */
	uint64_t value;
	const char *text; /* LEX_NAME, LEX_STRING: what it says */
} Lexeme;

typedef struct Channel {
	uint32_t region;
	uint8_t ring;
	int64_t bytes, base;
} Channel;

typedef struct Assembler {
	Arena *arena;
	Diags *d;
	const Source *source;
	Lexeme at; /* the next lexeme */
	uint32_t pos, last_end;
	PearlProgram *p;
	Symbols symbols;
	VEC(InterfaceParam) params;
	VEC(const ExprWord *) require;
	VEC(const char *) require_text;
	VEC(InterfaceTensor) tensors;
	VEC(InterfaceEntry) entries;
	VEC(Channel) channels;
	Interface *interface;
	bool failed; /* an error on this line: the rest of it is skipped */
	bool has_machine, has_weights;
	VEC(uint64_t) desc_slot; /* of each descriptor: 64 * entry + the register that holds it + 1 */
	/* code */
	bool explicit_lines;
	uint32_t line;
	struct AsmNest {
		PearlOpcode kind;
		Span at;
		const char *name;
	} nest[64];
	uint32_t n_nest;
} Assembler;

void asm_next(Assembler *s);
bool asm_is(const Assembler *s, const char *mark_or_name);
bool asm_take(Assembler *s, const char *mark_or_name);
bool asm_expect(Assembler *s, const char *mark_or_name);
Span asm_span(const Assembler *s);                                    /* of the next lexeme */
void asm_error(Assembler *s, const char *fmt, ...) PRINTF_LIKE(2, 3); /* at the next lexeme */
Diag *asm_error_at(Assembler *s, Span at, const char *fmt, ...) PRINTF_LIKE(3, 4);
void asm_end_line(Assembler *s); /* reports what is left over, goes to the next line */
int64_t asm_int(Assembler *s, int64_t lo, int64_t hi, const char *what);
uint64_t asm_u64(Assembler *s, const char *what);
const char *asm_text(Assembler *s, const char *what); /* a name or a string */
/* --- asm_code.c --- */
uint32_t asm_reference(Assembler *s, SymbolKind k, uint32_t count,
                       const char *what); /* a name, or #number */
PearlQueue asm_queue(Assembler *s);
void asm_insn(Assembler *s);
#endif
