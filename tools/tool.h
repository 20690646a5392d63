/* tools: the `nacre` command. One file a subcommand; main.c has their table. What they share:
 * options.c reads the command line, report.c prints, driver.c takes a file through the compiler,
 * runner*.c run a model on a target behind one interface (targets.c lists them), bind.c finds the
 * values of dims, tensors.c moves arrays between files and memory.
 *
 * A command returns true for success. Mistakes are reported to tool->d, which main prints; results
 * go to stdout. A file is written in one piece or not at all. */
#ifndef NACRE_TOOL_H
#define NACRE_TOOL_H
#include "codegen/tile/build.h"
#include "frontend/frontend.h"
#include "isa/isa.h"
#include "passes/passes.h"
#include "runtime/sim/sim.h"

#include <jansson.h>

typedef struct NamedFile {
	const char *name, *path; /* name "": the file holds several */
} NamedFile;
typedef struct Seed {
	bool given;
	uint64_t value;
} Seed;
typedef VEC(const char *) Names;
typedef VEC(FrontendSetting) Settings;
typedef VEC(NamedFile) NamedFiles;
typedef VEC(int64_t) Counts;

/* One field for each row of options.def; zero when it was not given. */
typedef struct Arguments {
	Names files;
	Settings set, dim;
	const char *model, *entry, *weights, *target, *machine, *mcpu, *triple, *dump, *compare, *out;
	const char *print_after, *tokenizer, *format, *prefix, *logits;
	Seed random_weights, seed, jitter;
	NamedFiles input, output;
	Names targets, pass;
	Counts threads, ids;
	Names stop, start, prompt, prompt_file;
	uint32_t max_tokens, batch, top_k, repeat, warm_up, depth;
	double temperature, top_p, min_p, repetition_penalty, tolerance;
	bool decode, stats, json, timing, tile_out, print, no_time, exact, remarks, check, fused, stdio,
		html, strict;
	uint64_t given; /* bit n: the option of number n was given */
} Arguments;

typedef enum OptionId {
#define OPTION(field, ...) OPT_##field,
#include "tools/options.def"
	NUM_OPTIONS
} OptionId;

typedef struct Progress Progress;
typedef struct Tool {
	Arena *arena;
	Interner *names;
	Diags d;
	Arguments a;
	size_t printed;     /* messages of d already printed */
	Progress *progress; /* what is told at present, or NULL */
	jmp_buf *exhausted; /* where every arena of ours goes when memory is gone */
} Tool;

typedef bool CommandFn(Tool *t);
typedef struct Command {
	const char *name, *files;
	uint32_t fewest, most; /* most 0: any number */
	const char *summary, *details;
	CommandFn *run;
	const OptionId *options;
	uint32_t n_options;
} Command;
#define COMMAND(name, ...) CommandFn command_##name;
#include "tools/commands.def"

/* --- main.c --- */
Arena *tool_arena(Tool *t); /* a further arena, freed by the caller */

/* --- options.c ---------------------------------------------------------------------------------- */
/* Reads the arguments after the command's name into t->a. Prints and exits on --help and on a
 * command line that is wrong in itself (exit code 1). */
void options_read(Tool *t, const Command *c, int argc, char **argv);
bool option_given(const Tool *t, OptionId o);

/* --- report.c ----------------------------------------------------------------------------------- */
/* Prints messages not yet printed to stderr; remarks (notes of their own) only when asked. */
void report_messages(Tool *t, bool remarks);
bool tool_fail(Tool *t, const char *fmt, ...)
	PRINTF_LIKE(2, 3); /* an error without a place; false */
bool tool_fail_file(Tool *t, const char *path, const char *why); /* "`path`: why" */
void report_json(Tool *t, json_t *j);                            /* prints and releases it */
json_t *json_number(double v);                                   /* null when not finite */
/* A table of text with aligned columns, numbers to the right. */
typedef struct Table {
	Arena *arena;
	uint32_t columns;
	VEC(const char *) cells;
} Table;
Table table_new(Arena *a, uint32_t columns, const char *const *titles);
void table_cell(Table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void table_print(const Table *t, FILE *to);
double seconds_now(void);
const char *seconds_text(Arena *a, double s); /* "1.25 ms" */
uint64_t memory_peak(void);                   /* bytes this process held at most */

/* --- progress.c: a line on a terminal for what takes over a second -------------------------------------- */
void progress_begin(Tool *t, const char *what); /* ends what was told before */
void progress_step(Tool *t, uint64_t done, uint64_t all);
void progress_end(Tool *t); /* before anything else is printed */

/* --- tensors.c: arrays between files and memory ----------------------------------------------------- */
HostTensor tensor_new(Arena *a, const char *name, DType t, uint32_t rank,
                      const int64_t *dims); /* zeros */
void *tensor_data(const HostTensor *t);     /* of a tensor that we made: writable */
/* Uniform in [-1, 1) for floats; integers below `below` when it is > 0, else small ones. */
void tensor_random(HostTensor *t, uint64_t *seed, int64_t below);
uint64_t random_next(uint64_t *seed);
double random_unit(uint64_t *seed); /* [0, 1) */
/* The inputs that --input names, opened: by name. The files stay open till the tool ends. */
typedef struct Given {
	VEC(HostTensor) list;
} Given;
bool given_read(Tool *t, Given *out);
const HostTensor *given_find(const Given *g, const char *name);
/* A name given that is none of these: an error with the nearest. */
bool given_check(Tool *t, const Given *g, const char *const *names, size_t n, const char *what);
/* Asked before long work: can the file be made? */
bool path_writable(Tool *t, const char *path);
/* Before a run: that --output names outputs and can be written; then writes what it asks for. */
bool outputs_check(Tool *t, const char *const *names, size_t n);
bool outputs_write(Tool *t, const HostTensor *list, size_t n);
/* Differences; `scale` is the greatest magnitude of the reference. NaN in one only gives infinity. */
typedef struct Difference {
	double absolute, relative; /* relative: absolute / scale */
	double scale;
	int64_t at; /* where the largest is */
} Difference;
Difference tensor_difference(const HostTensor *x, const HostTensor *reference);
void difference_merge(Difference *into, Difference d);
json_t *tensor_json(const HostTensor *t); /* type, shape, and least, greatest, mean */
bool write_file(Tool *t, const char *path, const void *data, size_t n);
/* Text to --out or stdout. */
bool write_text(Tool *t, const Text *text);

/* --- inputs.c: what a file is ------------------------------------------------------------------------ */
typedef enum FileKind {
	FILE_MODEL,
	FILE_IR,
	FILE_TILE,
	FILE_PEARL,
	FILE_PASM,
	FILE_SHARED,
	FILE_OBJECT
} FileKind;
/* By its contents, not by its name. False when it cannot be read or is nothing of ours. */
bool file_kind(Tool *t, const char *path, FileKind *out);
bool path_ends(const char *path, const char *end);
/* Source text of a file; NULL after an error. */
const Source *source_open(Tool *t, const char *path);
/* The integer of --set NAME=VALUE; false when it is not set. Errors are reported once. */
bool setting_integer(Tool *t, const char *name, int64_t *out);
/* What a dim is when nothing tells: the least for a session or a state, a few for a call. */
int64_t value_default(bool call, int64_t lo, int64_t hi);
/* Every --set must name one of these. */
bool settings_check(Tool *t, const char *const *names, size_t n, const char *what);

/* --- targets.c ---------------------------------------------------------------------------------------- */
/* An unknown target, or one that this build lacks, is an error with the nearest name. */
bool target_named(Tool *t, const char *name, TargetId *out);
/* That of --target, or `otherwise`. */
bool target_chosen(Tool *t, TargetId otherwise, TargetId *out);
const char *target_name(TargetId id);
bool target_built(TargetId id);
/* Pearl's machine: --machine, or base. */
bool machine_chosen(Tool *t, PearlMachine *out);
/* What passes and builders know of the target. */
bool target_traits(Tool *t, TargetId id, Target *out);

/* --- tile_run.c: tile programs on each target ---------------------------------------------------------- */
typedef struct TileData {
	int64_t *params;
	void **data; /* for each program buffer its encoded bytes over the bound dims; NULL for arena */
} TileData;
typedef struct TileResult {
	double compile_seconds, seconds; /* of the entry: the median of --repeat runs */
	double least, most;
	SimReport *sim; /* Pearl */
	const PearlProgram *pearl;
} TileResult;
bool tile_run(Tool *t, TargetId target, TileProgram *p, uint32_t entry, TileData *data,
              TileResult *out);
/* Runs the prepack entry alone, on the interpreter: the same for every CPU compiled for. */
bool tile_pack(Tool *t, TileProgram *p, TileData *data);
bool tile_dims(const TileProgram *p, const TileObj *o, const int64_t *params, int64_t *dims);

/* --- pearl_files.c --------------------------------------------------------------------------------------- */
PearlProgram *pearl_open(Tool *t, const char *path);

/* --- pearl_report.c ------------------------------------------------------------------------------------- */
json_t *sim_json(const SimReport *r, const PearlMachine *m);
/* entry: for the names of launches; may be NULL */
void sim_print(Tool *t, const SimReport *r, const PearlMachine *m, const InterfaceEntry *entry);
double sim_seconds(const SimReport *r, const PearlMachine *m);

/* --- driver.c: a file through the compiler ---------------------------------------------------------------- */
/* The module of a model file or of IR text; NULL after errors. Each call reads it anew, since passes
 * change it. */
Module *module_load(Tool *t, const char *path);
/* The passes of the target, tile IR, and the interface. False after errors. */
typedef struct Lowered {
	TileProgram *tile;
	Interface *face;
	double seconds;
} Lowered;
bool module_lower(Tool *t, Module *m, TargetId target, Lowered *out);
/* The weights of m: from --weights, from --random-weights, or none when it has none. */
typedef struct Weights {
	TensorFile file;    /* closed by weights_close */
	BoundWeight *bound; /* one a weight of the module; NULL: none were asked for */
	bool random;        /* their data are made when they are wanted */
	uint64_t seed;
} Weights;
bool weights_open(Tool *t, const Module *m, Weights *out);
void weights_close(Weights *w);
/* Weight i with its data, which live in a if they are made. */
BoundWeight weight_data(const Weights *w, const Module *m, size_t i, Arena *a);

/* --- cost.c ------------------------------------------------------------------------------------------------ */
/* FLOPs of all turns of the loops around n, or NULL. varies: a loop whose work differs from turn to
 * turn (each is counted as the last), left alone when there is none; may be NULL. */
Dim node_flops(DimPool *p, const Node *n, const Node **varies);
const char *count_text(Tool *t, Dim d); /* "1.23 G", or the expression */
/* The values of --dim. */
typedef struct DimsGiven {
	Tool *t;
	DimPool *pool;
	int64_t *value; /* by place in t->a.dim */
} DimsGiven;
bool dims_given_read(Tool *t, const Module *m, DimsGiven *out);
Dim dim_given(const DimsGiven *b, Dim d); /* with them put in */
const Entry *entry_chosen(Tool *t,
                          const Module *m); /* by --entry, or the first; NULL after an error */

/* --- bind.c: dims from shapes, by the interface ------------------------------------------------------------ */
typedef struct Dims {
	int64_t *value; /* one a parameter */
	bool *known;
} Dims;
Dims dims_new(Arena *a, const Interface *f);
/* "f32[B, S, 256]" as the interface has it. */
const char *tensor_type_text(Arena *a, const Interface *f, uint32_t tensor);
/* The shape under the dims; false when a dim that it needs is not known. */
bool interface_shape(const Interface *f, uint32_t tensor, const Dims *d, int64_t *shape);
/* Matches one input with its type: binds the dims that stand alone. */
bool dims_bind(Tool *t, const Interface *f, uint32_t tensor, const HostTensor *x, Dims *d);
/* After all inputs: ranges, relations, and the other dims of every input. */
bool dims_check(Tool *t, const Interface *f, uint32_t entry, const HostTensor *in, const Dims *d);
/* The state dims after a call. */
void dims_advance(const Interface *f, uint32_t entry, Dims *d, Arena *a);

/* --- runner.c: a model on a target --------------------------------------------------------------------------- */
typedef struct Runner Runner;
typedef struct CallReport {
	double seconds;       /* CPU and interpreter: as measured; Pearl: at the machine's clock */
	const SimReport *sim; /* Pearl */
	const PearlMachine *machine;
	bool planned; /* CPU: bytes held by the runtime */
	uint64_t weights, state, activations;
	uint64_t inputs, outputs; /* bytes of the caller's arrays */
} CallReport;
typedef struct Observer { /* interpreter: every value that has a name */
	void (*see)(void *ctx, const Node *n, const Value *v);
	void *ctx;
} Observer;
struct Runner {
	Tool *t;
	TargetId target;
	Module *module; /* NULL: an artefact */
	const Interface *face;
	Dims dims;           /* of the session: state dims and bound session dims */
	double load_seconds; /* from the file to ready to run */
	double compile_seconds;
	Observer observer;
	bool bare;               /* Pearl: opened without weights, for compilation only */
	uint32_t *plain_outputs; /* by entry: outputs before those that were exposed */
	int64_t **limits;        /* by entry and input: what indices in it may reach; 0: none */
	void *self;
	const struct RunnerOps *ops;
};
typedef struct RunnerOps {
	/* Outputs have their shapes and memory; results are written to them. dims: of this call. */
	bool (*call)(Runner *r, Arena *a, uint32_t entry, const HostTensor *in, HostTensor *out,
	             const Dims *d, CallReport *report);
	bool (*reset)(Runner *r);
	void (*close)(Runner *r);
} RunnerOps;
/* Opens a model file, IR text, .so or .pearl for the target with its weights. expose: names of
 * values that become further outputs of every entry (see dump.c); may be NULL. */
bool runner_open(Tool *t, const char *path, TargetId target, const Names *expose, Runner *out);
/* The same of a module (which passes change). */
bool runner_open_module(Tool *t, Module *m, TargetId target, Runner *out);
/* The target that --target asks for, or the one that suits the file. */
bool runner_target(Tool *t, const char *path, TargetId *out);
bool runner_entry(Runner *r, const char *name, uint32_t *out); /* NULL: the first */
/* One call: binds, checks, makes the outputs in a, runs, moves state dims on. */
bool runner_call(Runner *r, Arena *a, uint32_t entry, const HostTensor *in, HostTensor *out,
                 CallReport *report);
/* Whether this call is within the ranges and relations of the model's dims; if not, why (an error's text). */
bool runner_allows(Runner *r, Arena *a, uint32_t entry, const HostTensor *in, const char **why);
bool runner_reset(Runner *r);
void runner_close(Runner *r);
/* Inputs by name from what was given; others made up, of dims from --dim or small ones. */
bool runner_inputs(Runner *r, uint32_t entry, const Given *g, HostTensor *in);

/* --- runner_interp.c, runner_cpu.c, runner_pearl.c --- */
bool interp_open(Runner *r, const Weights *w);
bool cpu_open(Runner *r, Lowered *l, const Weights *w);
bool cpu_open_shared(Runner *r, const char *path);
bool pearl_open_module(Runner *r, Lowered *l, const Weights *w);
bool pearl_open_file(Runner *r, const char *path);
PearlProgram *pearl_program(Runner *r);
/* Puts what memory holds of constants, and of weights if the runner was given any, into the program,
 * so that its file carries them. */
bool pearl_image(Runner *r);
/* A module that has the weights of an interface and nothing else. */
Module *interface_weights(Tool *t, const Interface *f);

/* --- sample.c: which token is next ---------------------------------------------------------------------------- */
typedef struct Choice {
	double weight; /* logit, then probability */
	int64_t id;
} Choice;
typedef struct Sampler {
	double temperature;           /* 0: the likeliest */
	double top_p, min_p, penalty; /* 0: not asked for */
	uint32_t top_k;
	uint64_t seed; /* moves on with each token drawn */
	Choice *choices;
} Sampler;
bool sampler_new(Tool *t, Sampler *out); /* from the command line */
/* logits: the last row counts. before: the tokens so far. False when these are no logits. */
bool sampler_choose(Sampler *s, Tool *t, const HostTensor *logits, const Counts *before,
                    int64_t *id);

/* --- dump.c: values inside a model by name --------------------------------------------------------------------- */
/* Makes the named values further outputs of every entry that has them. */
bool module_expose(Tool *t, Module *m, const Names *names);

/* --- embed.c ----------------------------------------------------------------------------------------------- */
/* The constants of the program with its weights packed among them; face and l->tile are changed to
 * say so, and have no prepack entry any more. */
bool constants_embed(Tool *t, const Module *m, Lowered *l, const Weights *w, Interface *face,
                     const uint8_t **constants, size_t *size);

/* --- compare.c: results of two targets side by side ---------------------------------------------------------- */
typedef struct Compared {
	const char *with;
	Difference *each; /* by output */
	Difference worst;
	const char *first; /* the first named value that differs, when that was looked for; or NULL */
	Difference at_first;
} Compared;
/* Runs the entry of the file on the target of --compare with the same inputs. */
bool compare_run(Tool *t, const char *path, const char *entry, const HostTensor *in, uint32_t n_in,
                 const HostTensor *out, uint32_t n_out, TargetId target, Compared *result);

#endif
