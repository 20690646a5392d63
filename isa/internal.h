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
	VEC(const char *) require_text, checks;
	VEC(InterfaceTensor) tensors;
	VEC(InterfaceEntry) entries;
	VEC(Channel) channels;
	Interface *interface;
	bool failed; /* an error on this line: the rest of it is skipped */
	bool has_machine, has_weights;
	const PearlPlacing *placing; /* or NULL */
	uint64_t tensors_end;        /* behind all tensors so far */
	VEC(Span) param_at, tensor_at;
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
/* --- asm_layout.c --- */
void asm_place_tensor(Assembler *s, InterfaceTensor *t,
                      Span at); /* its address, strides and size */
void asm_note_tensor(Assembler *s, const InterfaceTensor *t);
uint32_t asm_region(Assembler *s); /* a region, or that of a tensor */
/* A number, or a sum of products of numbers and of steps of tensors, `64 * x.0`. */
int64_t asm_constant(Assembler *s, int64_t lo, int64_t hi, const char *what);
/* --- asm_code.c --- */
uint32_t asm_reference(Assembler *s, SymbolKind k, uint32_t count,
                       const char *what); /* a name, or #number */
PearlQueue asm_queue(Assembler *s);
void asm_insn(Assembler *s);

/* --- symbolic.c: integer expressions over parameters and loops, and proofs that they are >= 0 -------- */
enum { SYM_DEGREE = 5 };
typedef struct SymTerm {
	int64_t coef;
	uint32_t n, atom[SYM_DEGREE]; /* ascending */
} SymTerm;
/* constant + terms, in canonical order: equal expressions have equal terms. */
typedef struct Sym {
	int64_t constant;
	uint32_t n;
	bool varies; /* may differ between cores */
	SymTerm term[];
} Sym;
typedef enum AtomKind { ATOM_PARAM, ATOM_INDEX, ATOM_FREE, ATOM_MIN, ATOM_MAX, ATOM_FDIV } AtomKind;
typedef struct SymAtom {
	AtomKind kind;
	const char *name; /* for messages */
	int64_t lo, hi;   /* INT64_MIN, INT64_MAX: no bound */
	bool varies;
	bool dynamic; /* changes within a call: depends on loops or data */
	/* scale * atom >= low, scale * atom <= high. INDEX: n iterations in tiles of scale, high = n - 1.
	 * FREE: anything between all lows and all highs (scale 1). */
	int64_t scale;
	const Sym *low[2], *high[2];
	const Sym *a, *b; /* MIN, MAX; FDIV: floor(a / scale) */
	const Sym *alias; /* FDIV: how this quotient is written instead, or NULL */
	uint32_t next;    /* MIN, MAX, FDIV: the one before it in its bucket + 1 */
} SymAtom;
typedef struct SymSpace {
	Arena *arena;
	VEC(SymAtom) atoms;
	uint32_t *bucket;       /* of minima, maxima and quotients: the newest atom + 1 */
	VEC(const Sym *) facts; /* each >= 0 where we are */
	uint32_t fuel;
	bool by_gain; /* proofs try first what leaves the fewest dynamic terms */
} SymSpace;
const Sym *sym_const(SymSpace *s, int64_t v);
const Sym *sym_atom(SymSpace *s, uint32_t atom);
/* NULL: too large or of too high a degree to be followed; NULL operands give NULL. */
const Sym *sym_add(SymSpace *s, const Sym *a, const Sym *b, int64_t factor); /* a + factor * b */
const Sym *sym_mul(SymSpace *s, const Sym *a, const Sym *b);
const Sym *sym_min(SymSpace *s, const Sym *a, const Sym *b);
const Sym *sym_max(SymSpace *s, const Sym *a, const Sym *b);
const Sym *sym_fdiv(SymSpace *s, const Sym *a,
                    const Sym *b); /* NULL also when b is not a constant above 0 */
bool sym_equal(const Sym *a, const Sym *b);
bool sym_is_const(const Sym *a, int64_t *v);
void sym_range(const SymSpace *s, const Sym *a, int64_t *lo, int64_t *hi);
void sym_forget(SymSpace *s, size_t atoms);  /* all atoms from this number on */
uint32_t sym_new(SymSpace *s, SymAtom atom); /* lo, hi: at least as tight as its bounds say */
bool sym_prove(SymSpace *s, const Sym *a);   /* a >= 0, for every value of the atoms */
/* Values of the atoms with a < 0 that all facts allow, as text ("n = 512, t = 7"); NULL: none was found. */
const char *sym_witness(SymSpace *s, Arena *to, const Sym *a);
void sym_text(const SymSpace *s, const Sym *a, Text *t);

/* --- verify.c: the state of the verifier as it walks over the code of an entry ------------------------- */
typedef struct RegState {
	bool set;
	int8_t stage; /* of the staged loop around in which it was written; -1: outside of it */
	const Sym *v; /* NULL: any value */
} RegState;
typedef struct DescState {
	bool set;
	int8_t stage, set_stage; /* of LDD; of SETDs; -1 as above */
	uint32_t entry;
	const Sym *base, *dim[PEARL_RANK], *stride[PEARL_RANK], *start[2],
		*limit[2]; /* NULL: any value */
} DescState;
typedef struct Registers {
	RegState reg[PEARL_REGS];
	DescState desc[PEARL_NONE];
} Registers;
typedef struct LoopState {
	const Sym *n;
	int64_t tile;
	uint32_t stages; /* at least 1 */
	bool par;
	const Sym *index[PEARL_STAGES], *len[PEARL_STAGES]; /* by stage */
} LoopState;
typedef struct NestState {
	PearlOpcode kind;
	uint32_t at;
	Registers before, after; /* IF: after the first branch */
	uint8_t count[PEARL_TOKENS], after_count[PEARL_TOKENS];
	size_t facts;
	bool dead, varies; /* of the code around */
	const Sym *a, *b;  /* IF: what is compared, for its other branch */
} NestState;
typedef struct Verifier {
	Diags *d;
	const PearlProgram *p;
	Arena *arena;
	SymSpace s;
	const Sym **param;
	Registers r;
	LoopState loop[PEARL_LEVELS];
	uint32_t n_loop;
	NestState *nest[64];
	uint32_t n_nest;
	uint8_t count[PEARL_TOKENS];
	uint32_t insn;   /* in hand */
	uint32_t launch; /* the last mark */
	const InterfaceEntry *entry;
	bool dead;   /* code that never runs */
	bool varies; /* code that not all cores run alike */
	uint32_t errors;
} Verifier;
void verify_error(Verifier *v, const char *fmt, ...)
	PRINTF_LIKE(2, 3); /* about the instruction in hand */
/* e >= 0, or an error with values for which it does not hold. */
bool verify_holds(Verifier *v, const Sym *e, const char *fmt, ...) PRINTF_LIKE(3, 4);
const Sym *verify_reg(Verifier *v, int64_t reg); /* its value here; reports when it has none */
/* --- verify_access.c: shapes, places, rights and bounds of operands --- */
void verify_access(Verifier *v, const PearlInsn *i);
/* --- verify_order.c: boxes of bytes, and which accesses are known to be complete to which queue --- */
typedef struct Box {
	uint8_t space;
	bool indexed;     /* rows by data: the box holds all that may be meant */
	uint32_t n;       /* dims: strides above 0, counts above 1, the greatest stride first */
	int64_t low, end; /* the hull: absolute bytes */
	int64_t element;  /* bytes of the innermost run */
	int64_t dim[PEARL_RANK], stride[PEARL_RANK];
} Box;
/* From the address of the first element; false: empty. */
bool box_make(Box *b, uint8_t space, int64_t at, int64_t element, uint32_t rank, const int64_t *dim,
              const int64_t *stride);
bool box_overlap(Arena *scratch, const Box *a,
                 const Box *b); /* exact where it is not too much work, else false */

typedef struct Access {
	Box box;
	uint32_t insn;
	uint32_t step;  /* number of the dynamic instruction */
	uint32_t epoch; /* barriers before it */
	uint8_t queue, operand;
	bool writes;
} Access;
typedef struct Clock {
	uint32_t at[NUM_QUEUES]; /* up to which step of each queue all is known to be complete */
} Clock;
typedef struct Credit {
	Clock *ring; /* of signals not waited for yet, oldest first */
	uint32_t first, n;
} Credit;
/* Accesses of a queue to a space since the last barrier, one for each box that an operand touched. */
typedef struct Recent {
	VEC(Access) access;
	uint32_t *older; /* of each: the one before it of the same operand + 1 */
	uint32_t older_cap;
	uint32_t prune_at; /* how many call for pruning */
} Recent;
typedef struct Order {
	Arena *arena;
	const PearlProgram *p;
	const uint8_t *queues; /* order_queues */
	Clock known[NUM_QUEUES];
	Credit *credit; /* of each token */
	Recent recent[NUM_SPACES][NUM_QUEUES];
	uint32_t *newest; /* of each operand: its latest entry in `recent` of its space + 1 */
	uint64_t tests;   /* work done, about a nanosecond each */
} Order;
/* Of each instruction: bits of the queues that may work between the barriers around it. */
const uint8_t *order_queues(Arena *a, const PearlProgram *p);
void order_begin(Order *o, Arena *a, const PearlProgram *p, const uint8_t *queues);
void order_step(Order *o, const PearlInsn *i, uint32_t step); /* waits, before the accesses */
void order_done(Order *o, const PearlInsn *i, uint32_t step); /* signals, after them */
void order_barrier(Order *o, uint32_t step);
/* Adds an access; an earlier one that overlaps and may still be under way, or NULL. */
const Access *order_access(Order *o, Arena *scratch, const Access *a);
/* --- verify_trace.c: sample executions --- */
bool verify_traces(Diags *d, const PearlProgram *p);
#endif
