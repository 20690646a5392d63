/* The public interface of Nacre's runtime: run a compiled model from C. Three levels:
 *   model    code and weights; shared by all sessions; read-only once ready
 *   session  state (KV caches, positions) and session dims; copied or reset at will
 *   call     inputs bound, outputs queried, run
 * Nothing here aborts or exits. Functions that can fail return NACRE_OK or a code, and leave a
 * message in the NacreError that they are given (may be NULL). A model may be used by several
 * threads; a session by one at a time. */
#ifndef NACRE_H
#define NACRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define NACRE_API __attribute__((visibility("default")))

typedef enum NacreStatus {
	NACRE_OK,
	NACRE_BAD_ARTEFACT, /* not a Nacre artefact, damaged, or made for another CPU */
	NACRE_BAD_ARGUMENT, /* a name, shape, element type or dim that the model does not accept */
	NACRE_MISSING,      /* a weight or an input was not given */
	NACRE_NO_MEMORY,
	NACRE_BAD_INDEX, /* an index computed from data is out of range */
	NACRE_IO
} NacreStatus;
typedef struct NacreError {
	NacreStatus status;
	char text[512];
} NacreError;

/* The numbers of ir/dtypes.def. */
typedef enum NacreType {
	NACRE_F32,
	NACRE_F16,
	NACRE_BF16,
	NACRE_F8E4M3,
	NACRE_F8E5M2,
	NACRE_I8,
	NACRE_U8,
	NACRE_I4,
	NACRE_I32,
	NACRE_I64,
	NACRE_BOOL
} NacreType;

/* A dense row-major array. The caller owns data. */
typedef struct NacreTensor {
	NacreType type;
	uint32_t rank;
	int64_t dims[8];
	void *data;
} NacreTensor;

typedef struct NacreModel NacreModel;
typedef struct NacreSession NacreSession;
typedef struct NacreArtefact NacreArtefact; /* runtime/nacre_abi.h */

/* --- model ------------------------------------------------------------------------------------- */
/* threads: 0 for one a core. The artefact must outlive the model. */
NACRE_API NacreStatus nacre_model_new(const NacreArtefact *artefact, uint32_t threads,
                                      NacreModel **out, NacreError *e);
/* Opens a shared library made by `nacre compile`. */
NACRE_API NacreStatus nacre_model_open(const char *path, uint32_t threads, NacreModel **out,
                                       NacreError *e);
NACRE_API void nacre_model_free(NacreModel *m); /* NULL is allowed; after its sessions */

NACRE_API uint32_t nacre_model_weights(const NacreModel *m);
NACRE_API const char *nacre_model_weight_name(const NacreModel *m,
                                              uint32_t i); /* path in the model */
/* Keys in the weight file: one, or one a slice for weights stacked over layers, in order. A key may
 * be several alternatives separated by '|'. */
NACRE_API uint32_t nacre_model_weight_keys(const NacreModel *m, uint32_t i);
NACRE_API const char *nacre_model_weight_key(const NacreModel *m, uint32_t i, uint32_t key);
/* Binds slice `key` of weight i. Data are used in place when the weight has one key (and must outlive
 * the model), copied into the stack otherwise. */
NACRE_API NacreStatus nacre_model_bind(NacreModel *m, uint32_t i, uint32_t key,
                                       const NacreTensor *t, NacreError *e);
/* Where weights come from when they are not bound one by one. What is only packed is fetched slice by
 * slice as it is packed, and its memory let go. */
typedef struct NacreLoader {
	/* Type and shape of slice `key` of weight i; data: where it lies for as long as the model does, or
	 * NULL when it is to be read. */
	void (*tensor)(void *ctx, uint32_t i, uint32_t key, NacreTensor *out);
	/* Its data, by one thread at a time. False: they cannot be read. */
	bool (*read)(void *ctx, uint32_t i, uint32_t key, void *to);
	void *ctx;
} NacreLoader;
/* All weights that are not bound, and then what nacre_model_ready does. */
NACRE_API NacreStatus nacre_model_load(NacreModel *m, const NacreLoader *loader, NacreError *e);
/* After all weights are bound: makes the packed constants. Called by the first session otherwise. */
NACRE_API NacreStatus nacre_model_ready(NacreModel *m, NacreError *e);

NACRE_API uint32_t nacre_model_entries(const NacreModel *m);
NACRE_API const char *nacre_model_entry_name(const NacreModel *m, uint32_t entry);
NACRE_API int32_t nacre_model_entry(const NacreModel *m, const char *name); /* -1: none */
NACRE_API uint32_t nacre_entry_inputs(const NacreModel *m, uint32_t entry);
NACRE_API uint32_t nacre_entry_outputs(const NacreModel *m, uint32_t entry);
NACRE_API const char *nacre_entry_input_name(const NacreModel *m, uint32_t entry, uint32_t i);
NACRE_API const char *nacre_entry_output_name(const NacreModel *m, uint32_t entry, uint32_t i);
/* Element type and rank; a dim that depends on a parameter is -1. */
NACRE_API NacreTensor nacre_entry_input_type(const NacreModel *m, uint32_t entry, uint32_t i);
NACRE_API NacreTensor nacre_entry_output_type(const NacreModel *m, uint32_t entry, uint32_t i);

/* --- session ----------------------------------------------------------------------------------- */
/* Session dims by name; those left out take the value that the first call's inputs give. */
typedef struct NacreDim {
	const char *name;
	int64_t value;
} NacreDim;
NACRE_API NacreStatus nacre_session_new(NacreModel *m, const NacreDim *dims, uint32_t n,
                                        NacreSession **out, NacreError *e);
NACRE_API void nacre_session_free(NacreSession *s);                        /* NULL is allowed */
NACRE_API NacreStatus nacre_session_reset(NacreSession *s, NacreError *e); /* state as it began */
NACRE_API NacreStatus nacre_session_copy(const NacreSession *s, NacreSession **out, NacreError *e);
/* The value of a dim as last bound; -1 when it is not. State dims may be set. */
NACRE_API int64_t nacre_session_dim(const NacreSession *s, const char *name);
NACRE_API NacreStatus nacre_session_set_dim(NacreSession *s, const char *name, int64_t value,
                                            NacreError *e);

/* --- call -------------------------------------------------------------------------------------- */
/* Binds the dims from the shapes of the inputs (and extra dims that no input shows), checks them,
 * and tells the shapes of the outputs (data NULL). */
NACRE_API NacreStatus nacre_call_shapes(NacreSession *s, uint32_t entry, const NacreTensor *inputs,
                                        const NacreDim *dims, uint32_t n, NacreTensor *outputs,
                                        NacreError *e);
/* Runs. outputs[i].data must hold the shape that nacre_call_shapes tells; dims are filled in. On an
 * error the state may be partly changed only for NACRE_BAD_INDEX. */
NACRE_API NacreStatus nacre_call(NacreSession *s, uint32_t entry, const NacreTensor *inputs,
                                 const NacreDim *dims, uint32_t n, NacreTensor *outputs,
                                 NacreError *e);

/* --- profile ------------------------------------------------------------------------------------ */
typedef struct NacreProfileRow {
	const char *kernel;
	double seconds;
	uint64_t runs;
} NacreProfileRow;
NACRE_API void nacre_session_profile(NacreSession *s, bool on);
/* The rows of an entry since profiling was turned on; valid until the next call. */
NACRE_API uint32_t nacre_session_profile_rows(NacreSession *s, uint32_t entry,
                                              const NacreProfileRow **rows);
/* Bytes held for weights (packed forms included), state and activations of the session. */
NACRE_API void nacre_session_memory(const NacreSession *s, uint64_t *weights, uint64_t *state,
                                    uint64_t *activations);

#ifdef __cplusplus
}
#endif
#endif
