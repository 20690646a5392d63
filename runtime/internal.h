/* Private to the runtime: models, sessions, plans and the thread pool. */
#ifndef NACRE_RUNTIME_INTERNAL_H
#define NACRE_RUNTIME_INTERNAL_H
#include "runtime/nacre.h"
#include "runtime/nacre_abi.h"
#include "support/interface.h"

#include <pthread.h>

/* --- error.c ----------------------------------------------------------------------------------- */
/* Fills in e (may be NULL) and returns the status. */
NacreStatus fail(NacreError *e, NacreStatus status, const char *fmt, ...) PRINTF_LIKE(3, 4);
NacreStatus succeed(NacreError *e);
NacreStatus no_memory(NacreError *e, uint64_t bytes);
const char *type_name(uint32_t t);
uint32_t type_bits(uint32_t t);
/* "[2, 3]" in a buffer of at least 128 bytes. */
const char *shape_text(char *at, size_t n, uint32_t rank, const int64_t *dims);

/* --- memory.c ---------------------------------------------------------------------------------- */
typedef struct Memory {
	uint8_t *at; /* 64-byte aligned */
	size_t bytes;
	void *mapping; /* of the system, when large */
	size_t mapped;
} Memory;
/* Zeroed; large ones on 2 MiB pages where the system has them. False: no memory. At least 64 bytes
 * more than asked can be read. */
bool memory_take(Memory *m, uint64_t bytes);
void memory_release(Memory *m);
/* Contents from byte `from` to `to` are not needed any more: they may become zeros. */
void memory_drop(Memory *m, size_t from, size_t to);

/* --- threads.c --------------------------------------------------------------------------------- */
typedef struct Pool Pool;
/* threads - 1 workers; each thread has scratch_bytes of its own. NULL: no memory or no threads. */
Pool *pool_new(uint32_t threads, uint64_t scratch_bytes);
void pool_free(Pool *p); /* NULL is allowed */
/* Runs code in all threads, the caller being thread 0 with the given scratch; alone when another
 * call is using the workers. Of the frame, what differs between threads is filled in here. */
void pool_run(Pool *p, NacreEntryCode *code, const NacreFrame *common, uint8_t *scratch);
/* All threads of the call meet, also when there is one. */
void pool_meet(NacreFrame *f);
uint32_t usable_cores(void);

/* --- plan.c ------------------------------------------------------------------------------------ */
typedef struct PlanItem {
	uint64_t bytes, offset;
	uint32_t first, last;
} PlanItem;
/* Gives each item its offset so that items alive at the same time do not overlap; *total is what they
 * need. False: no memory for the planning, or the sizes overflow. */
bool plan_memory(PlanItem *item, uint32_t n, uint64_t *total);

/* --- model.c ----------------------------------------------------------------------------------- */
typedef struct Weight {
	uint32_t tensor;
	const char **key;
	uint32_t n_key, n_bound;
	bool *bound;
	Memory own; /* a stack, or a copy of data that were not aligned */
	/* by nacre_model_load: */
	bool late;         /* read by the prepack entry alone, and fetched by its launches */
	bool *loaded;      /* by key: bound by the loader */
	bool *filled;      /* by key: in its place */
	const void **from; /* by key: where its data lie; NULL: to be read by the loader */
} Weight;

typedef struct EntryInfo {
	uint32_t *arena; /* numbers of its arena tensors */
	uint32_t n_arena;
	bool *sizes_use; /* by parameter: sizes of its arena depend on it */
	bool *shows;     /* by parameter: the shape of an input mentions it */
	bool *
		requires; /* by parameter: a requirement of this entry mentions it */
} EntryInfo;

struct NacreModel {
	const NacreArtefact *artefact;
	void *library; /* of dlopen, or NULL */
	Arena *arena;
	const Interface *io;
	uint32_t n_entry; /* without the prepack entry */
	EntryInfo *entry; /* prepack included */
	Weight *weight;
	uint32_t n_weight;
	void **bufs; /* by tensor: weights and constants, NULL for others */
	Memory consts;
	uint64_t weight_bytes;
	const NacreLoader *loader; /* while it loads */
	uint32_t *turns;           /* by launch of the prepack entry: how often it began */
	const char *unread;        /* key of a weight that the loader could not read */
	Pool *pool;
	uint32_t threads;
	pthread_mutex_t lock;
	bool ready;
};

/* --- bind.c ------------------------------------------------------------------------------------ */
/* The value of an expression; an error that names `what` when it overflows or is negative. */
NacreStatus eval_size(const ExprWord *x, const int64_t *params, const char *what, int64_t *out,
                      NacreError *e);
bool expr_mentions(const ExprWord *x, uint32_t param);
/* A tensor's shape and bytes under the parameters; the product of the shape is checked too. */
NacreStatus tensor_shape(const InterfaceTensor *t, const int64_t *params, NacreTensor *out,
                         NacreError *e);
/* Binds and checks the parameters of a call: s->value, all of them. Changes nothing else. */
NacreStatus bind_call(NacreSession *s, uint32_t entry, const NacreTensor *inputs,
                      const NacreDim *dims, uint32_t n, NacreError *e);
/* The number of a parameter by name, or -1. */
int32_t param_named(const Interface *io, const char *name);
/* lo and hi of parameter i, earlier ones being in params. */
NacreStatus param_range(const Interface *io, uint32_t i, const int64_t *params, int64_t *lo,
                        int64_t *hi, NacreError *e);
NacreStatus param_check(const Interface *io, uint32_t i, const int64_t *params, NacreError *e);

/* --- session.c --------------------------------------------------------------------------------- */
enum { PLANS = 8 };
typedef struct Plan {
	int64_t *key; /* the values of the parameters that sizes use */
	uint64_t *offset;
	uint64_t total, used; /* used: when last, 0 never */
	uint32_t entry;
} Plan;

struct NacreSession {
	NacreModel *model;
	int64_t *param; /* session and state parameters between calls */
	bool *bound;
	int64_t *value; /* of the call being bound */
	bool *known, *defaulted;
	int64_t *next; /* state parameters after the call */
	void **bufs;
	Memory *state; /* by tensor */
	bool has_state;
	uint64_t state_bytes;
	Memory arena, scratch;
	Plan plan[PLANS];
	uint64_t clock;
	/* profile */
	bool profiled;
	uint64_t **ticks; /* by entry */
	NacreProfileRow *row;
	uint64_t tick_began;
	double time_began;
};
/* State memory, once every session dim is bound. */
NacreStatus session_state(NacreSession *s, NacreError *e);

/* --- call.c ------------------------------------------------------------------------------------ */
/* Runs an entry whose parameters and buffers are set; arena buffers are planned here. launching may be
 * NULL (NacreFrame.launching); the owner of its frame is the model. */
NacreStatus entry_run(NacreModel *m, uint32_t entry, const int64_t *params, void **bufs,
                      uint8_t *scratch, void (*launching)(NacreFrame *, int32_t), NacreError *e);

/* --- profile.c --------------------------------------------------------------------------------- */
uint64_t profile_ticks(void);
double profile_seconds(void);

/* --- features.c -------------------------------------------------------------------------------- */
/* Whether this machine has every feature of the comma-separated list; *missing is the first not. */
bool features_present(const char *list, char missing[32]);
#endif
