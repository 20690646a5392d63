/* Pearl's instruction set as data: programs in memory, encoding, assembly text, the .pearl
 * container and the static verifier. Everything about an instruction comes from isa.def.
 * Knows nothing of the compiler's IRs. The manual is doc/pearl.md. */
#ifndef NACRE_ISA_H
#define NACRE_ISA_H
#include "support/interface.h"
#include "support/support.h"

typedef enum PearlQueue { Q_S, Q_L, Q_M, Q_D, Q_V, Q_W, Q_X, NUM_QUEUES } PearlQueue;
typedef enum PearlSpace { SPACE_HBM, SPACE_GSM, SPACE_SPM, SPACE_ACC } PearlSpace;
typedef enum PearlRel { PREL_LT, PREL_LE, PREL_EQ, PREL_NE } PearlRel;
typedef enum PearlField { DF_BASE, DF_DIM, DF_STRIDE, DF_START, DF_LIMIT } PearlField;
typedef enum PearlOpcode {
#define INSN(id, ...) I_##id,
#include "isa/isa.def"
	NUM_INSNS
} PearlOpcode;
typedef enum PearlFormat {
#define FORMAT(f) FMT_##f,
#include "isa/isa.def"
	NUM_FORMATS
} PearlFormat;
typedef enum PearlElement { /* element types of descriptors */
#define DTYPE(id, ...) PDT_##id,
#include "ir/dtypes.def"
	                        NUM_PEARL_ELEMENTS
} PearlElement;
/* Position of each field in PearlInsn.field: F_LOOP_tile and so on. */
#define FORMAT(f) enum {
#define FIELD(f, name, ...) F_##f##_##name,
#define END_FORMAT(f)                                                                              \
	F_##f##_END                                                                                    \
	}                                                                                              \
	;
#include "isa/isa.def"
typedef enum PearlFunc {
#define VFUNC(id, ...) VF_##id,
#include "isa/isa.def"
	NUM_VFUNCS
} PearlFunc;

enum {
	PEARL_RANK = 5,
	PEARL_STEPS = 4,
	PEARL_DESCS = 64,
	PEARL_REGS = 32,
	PEARL_LEVELS = 8,
	PEARL_TOKENS = 127,
	PEARL_STAGES = 8,
	PEARL_FIELDS = 8,
	PEARL_NONE = 63
};

typedef struct PearlInsn {
	PearlOpcode op;
	uint8_t stage;   /* 0..7 */
	uint8_t wait[2]; /* 0: none, else token number + 1 */
	uint8_t signal[2];
	uint8_t
		desc[4]; /* descriptor registers; PEARL_NONE (63, not usable as a register) when absent */
	uint8_t group;
	uint8_t
		advance; /* bit i: the ring of operand i moves on after this instruction is dispatched */
	int64_t field[PEARL_FIELDS]; /* payload fields in order of the format; F32 as bits */
	uint32_t line;               /* debug: launch number of the program, or source line of .pasm */
} PearlInsn;

/* A descriptor: where and how a tensor part lies. Address of element (i0..):
 *   base + ring position * ring_stride + sum_l step[l].bytes * off(loop l) + sum_d i_d * stride[d]
 * in bytes; ACC: byte = row * array_cols * 4 + column * 4. With a window on dim d, position
 * x = start + i_d counts instead of i_d, and x outside 0..limit-1 reads as the fill of the DMA.
 * Fields marked (S) can be set by SETD. Loop levels count outwards from the instruction (0: innermost),
 * and see the iteration less the stage of the instruction that uses the descriptor. */
typedef struct PearlDesc {
	const char *name;           /* for the assembler; "" if none */
	uint8_t space, dtype, rank; /* PearlSpace; number in ir/dtypes.def */
	uint8_t ring;               /* slots; 1: no ring */
	int64_t ring_stride;        /* bytes between slots */
	int64_t base;    /* (S: adds) byte address in the space; HBM and GSM: relative to the region */
	uint16_t region; /* number of the memory region that holds it (all spaces) */
	int64_t dim[PEARL_RANK];     /* (S) */
	uint8_t dim_len[PEARL_RANK]; /* 0: dim as given; l + 1: the length of loop level l, times dim */
	int64_t stride[PEARL_RANK];  /* (S) bytes */
	struct {
		uint8_t level;
		int64_t bytes;
	} step[PEARL_STEPS]; /* bytes 0: none; level as above */
	uint8_t n_step;
	struct {
		uint8_t dim;
		bool on;
		int64_t start, limit;
	} window[2]; /* (S) start, limit; index 0, 1 */
} PearlDesc;

/* A part of a memory that accesses are checked against. */
typedef struct PearlRegion {
	const char *name;
	uint8_t space;
	bool readable, writable;
	int64_t address, bytes;
	int32_t tensor; /* of the interface, or -1 */
} PearlRegion;
typedef struct PearlToken {
	const char *name;
	uint8_t producer, consumer;
	uint8_t initial, capacity;
} PearlToken; /* PearlQueue */
typedef struct PearlMachine {
	const char *name;
#define MACHINE_KEY(name, ...) int64_t name;
#include "isa/isa.def"
} PearlMachine;
typedef struct PearlCode {
	const char *name;
	uint32_t first, count;
} PearlCode; /* an entry's instructions */

/* Where things stand in the text that a program was assembled from. */
typedef struct PearlText {
	const Source *source;
	const Span *param, *tensor; /* one for each of the interface */
	bool lines;                 /* the lines of instructions are those of the text */
} PearlText;

typedef struct PearlProgram {
	Arena *arena;
	PearlMachine machine;       /* that it was made for */
	const Interface *interface; /* params, tensors with HBM addresses and strides, entries */
	VEC(PearlRegion) regions;
	VEC(PearlToken) tokens;
	VEC(PearlDesc) descs; /* the descriptor table */
	VEC(PearlInsn) code;
	VEC(PearlCode) entries; /* parallel to interface->entry */
	struct {
		const uint8_t *data;
		uint64_t bytes;
	} weights;             /* initial contents of HBM from address 0, or empty */
	const PearlText *text; /* NULL when it comes from elsewhere */
} PearlProgram;

typedef struct PearlFieldInfo {
	const char *name;
	uint8_t hi, lo;
	enum { FK_REG, FK_IMM, FK_SIMM, FK_F32, FK_ENUM, FK_FLAG } kind;
} PearlFieldInfo;
typedef struct PearlInsnInfo {
	const char *mnemonic, *summary;
	uint8_t opcode;
	PearlQueue queue;
	PearlFormat format;
	const char *descs;
} PearlInsnInfo;
extern const PearlInsnInfo pearl_insn[NUM_INSNS];
extern const PearlFieldInfo *const pearl_format[NUM_FORMATS]; /* ends with name NULL */
typedef struct PearlFuncInfo {
	const char *name;
	uint8_t arity, passes2, result;
} PearlFuncInfo; /* result: 0 SAME 1 BOOL 2 FLOAT */
extern const PearlFuncInfo pearl_func[NUM_VFUNCS];
extern const char *const pearl_queue_name[NUM_QUEUES];
/* --- tables.c: what isa.def says, as data ---
 * Besides the tables above: names of the small enums, element types, machine keys. */
enum { NUM_SPACES = 4, NUM_PRELS = 4, NUM_DFIELDS = 5 };
extern const char *const pearl_space_name[NUM_SPACES];   /* hbm gsm spm acc */
extern const char *const pearl_rel_name[NUM_PRELS];      /* lt le eq ne */
extern const char *const pearl_dfield_name[NUM_DFIELDS]; /* base dim stride start limit */
typedef struct PearlDType {
	const char *name;
	uint8_t bits;
	bool is_float;
} PearlDType;
extern const PearlDType pearl_dtype[]; /* by number in ir/dtypes.def */
extern const uint32_t pearl_dtypes;
typedef struct PearlMachineKey {
	const char *name, *unit, *summary;
	int64_t base, nano;
	size_t offset;
} PearlMachineKey;
extern const PearlMachineKey pearl_machine_key[]; /* offset: of the int64_t in PearlMachine */
extern const uint32_t pearl_machine_keys;
const char *pearl_enum_name(PearlFormat f, uint32_t field,
                            int64_t value); /* of an ENUM field, or NULL */
uint32_t pearl_enum_count(PearlFormat f, uint32_t field);
/* Operand `k` of an instruction as its row describes it: false when there is none. */
typedef struct PearlOperand {
	const char *name;
	uint8_t name_len;
	bool reads, writes, optional;
} PearlOperand;
bool pearl_operand(PearlOpcode op, uint32_t k, PearlOperand *out);

/* Semantics of control, exactly:
 * - LOOP over n with tile T: count = ceil(n / T) iterations (n <= 0: none); iteration i yields idx = i,
 *   off = i*T, len = min(T, n - off). stages S > 1: the body runs count + S - 1 times (0 when count is 0);
 *   an instruction with stage s sees iteration t - s and is inactive outside 0..count-1: it moves no
 *   data and writes no register, but its waits, signals and ring advances happen. The body of a
 *   staged loop is straight-line. At most 8 levels.
 * - par: a LOOP with par, and each LOOP with par that is the only statement-bearing child, form one space in
 *   lexicographic order; iteration number q runs on core q mod cores. Scalar code and loads between
 *   nested par loops run on every core that has an iteration inside (others skip: their tokens must
 *   balance within the iteration).
 * - Tokens: an instruction issues when its waits hold (each takes one), completes when each signalled
 *   token is below capacity (each adds one). Scalar-queue instructions other than LDI have no tokens.
 *   A par loop is nested in a par loop when its body holds, outside of that child loop, only scalar and L
 *   instructions; any other par loop inside a par iteration runs as an ordinary loop. A par loop has no
 *   stages. Loads between nested par loops may not depend on LDI.
 * - Rings: the position counts the passes, so an inactive instruction advances too; an instruction of stage s
 *   uses slot (position - s) mod ring. Iteration i of every stage thus finds the slot of iteration i.
 * - Dispatch is in program order, one instruction a clock plus descriptors/2; registers and descriptors
 *   are captured at dispatch.
 *
 * Semantics of data:
 * - Operands are walked over the dims of the one written (for RED, SMX, TOPK, SORT and GEMM over those of the
 *   source); an operand of lower rank is aligned to the last dims; stride 0 or dim 1 repeats an element. A dim <= 0
 *   is empty: nothing is touched. A window on dim d of a source: x = start + i_d takes the place of i_d in the
 *   address too (the base is that of x = 0); outside 0..limit-1 the fill is read. Windows only on sources of L.
 *   A gather's source and a scatter's destination have `limit` as their first dim.
 * - Types: narrow floats widen to f32, integers and bool to i32 on use. A function computes in i32 when its last
 *   operand does and its result is not FLOAT, else in f32; results are converted to the type of dst: floats round to nearest even (f8e4m3
 *   saturates), floats to integers truncate and clamp with NaN as 0, integers clamp, bool is != 0. Results of
 *   arithmetic that are NaN are the one NaN 0x7fc00000; copies of equal type keep their bits. An immediate is f32
 *   and takes the type of the other operand.
 * - GEMM: flattened k = (k2, k1) for each k3, cut in segments of min(32, array_rows) that start anew at each weight
 *   tile of array_rows; a segment is fused multiply-adds from +0, then ACC = ACC + segment. i8 and u8: i32, wrapping.
 * - RED: the last `axes` dims in chunks of 128 elements (short ones filled up with the neutral element, -0 for add),
 *   each summed by halving strides (64, 32, .. 1), chunks in order from +0 or dst. `at` gets the first position
 *   (flattened) of the result. Max and min are NaN when any element is. SCAN goes one by one.
 * - SMX: x = s * scale, -inf in dead columns; m' = max(m, max x); alpha = exp(m - m'); p = exp(x - m');
 *   l = l * alpha + sum p (as RED); a row whose m' is -inf gets p = 0, alpha = 1. p is rounded to its type after
 *   the sum. TOPK and SORT: `at` is i32; equal elements by position; NaN counts as greater than all. */

/* --- machine.c --- */
bool pearl_machine_named(const char *name, PearlMachine *out); /* base, nano */
bool pearl_machine_read(Diags *d, Arena *a, const char *path_or_name,
                        PearlMachine *out); /* file of `key = value` lines over a `base = "name"` */
int64_t *pearl_machine_field(PearlMachine *m, const char *key); /* NULL: no such key */
const char *pearl_machine_nearest(const char *key); /* the key that was meant, or NULL */
const char *pearl_machine_check(Arena *a,
                                const PearlMachine *m); /* NULL, or which value is not sane */
/* --- encode.c --- bit n of an instruction is bit n % 8 of byte n / 8; decode accepts exactly what encode makes */
void pearl_encode(const PearlInsn *i, uint8_t out[16]);
bool pearl_decode(const uint8_t in[16], PearlInsn *out, const char **why);
/* --- check.c: the structure of single things, asked by the reader and by the verifier ---
 * NULL, or what is wrong. An instruction that passes has just the fields that its meaning uses. */
const char *pearl_check_insn(Arena *a, const PearlProgram *p, const PearlInsn *i);
const char *pearl_check_desc(Arena *a, const PearlProgram *p, const PearlDesc *d);
/* Everything but the meaning of the code: tables, entries, nesting. *insn: the instruction at fault, or UINT32_MAX. */
const char *pearl_check(Arena *a, const PearlProgram *p, uint32_t *insn);
enum { PEARL_EXPR_WORDS = 512 }; /* the longest size expression of a program */
/* --- asm.c, disasm.c: text of whole programs (descriptors, tokens, regions, params, code) ---
 * Assembling what disassembling wrote gives the same program, byte for byte. Weights are written as
 * base64, or named by `weights_file` (then the caller writes them there; the text has their CRC). */
PearlProgram *pearl_assemble(Arena *a, Diags *d, const Source *s);
/* For linking: tensors of these names that the text gives no place have these byte strides; the machine
 * is another than the text says. Both may be NULL. */
typedef struct PearlPlacing {
	uint32_t n;
	const char *const *name;
	const int64_t *const *stride; /* one for each dim */
} PearlPlacing;
PearlProgram *pearl_assemble_placed(Arena *a, Diags *d, const Source *s,
                                    const PearlPlacing *placing, const PearlMachine *m);
void pearl_disassemble(Text *t, const PearlProgram *p);
void pearl_disassemble_by(Text *t, const PearlProgram *p, const char *weights_file);
void pearl_insn_text(Text *t, const PearlProgram *p,
                     const PearlInsn *i); /* one instruction, as in the text */
/* --- program.c: the .pearl file: sections with type, length, CRC32C, required flag --- */
void pearl_write(const PearlProgram *p, FileOut *f);
void pearl_write_text(const PearlProgram *p, Text *out); /* the same bytes in memory */
PearlProgram *pearl_read(Arena *a, const uint8_t *data, size_t n,
                         const char **why); /* weights point into data */
/* --- manual.c --- */
void pearl_manual(Text *t); /* the tables of doc/pearl.md, from isa.def */
/* --- build.c: the API that code generation uses --- */
PearlProgram *pearl_program_new(Arena *a, const PearlMachine *m);
PearlInsn *pearl_emit(
	PearlProgram *p,
	PearlOpcode op); /* appended; descs PEARL_NONE, rest zero; valid until the next emit */
uint32_t pearl_add_desc(PearlProgram *p, const PearlDesc *d);
uint32_t pearl_add_token(PearlProgram *p, const char *name, PearlQueue from, PearlQueue to,
                         uint8_t initial, uint8_t capacity);
uint32_t pearl_add_region(PearlProgram *p, const PearlRegion *r);
/* Where the instruction stands in the text that the program was assembled from; none when it was not. */
Span pearl_insn_span(const PearlProgram *p, const PearlInsn *i);
/* --- verify.c (own code: shares nothing with the compiler) --- */
bool pearl_verify_for(Diags *d, const PearlProgram *p,
                      const PearlMachine *m); /* when it shall run on m */
bool pearl_verify(
	Diags *d, const PearlProgram *p); /* structure, bounds, rights, the program-order token proof */
#endif
