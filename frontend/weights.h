/* Tensors in files: safetensors (memory-mapped), NumPy's .npy and .npz. Files come from outside, so
 * everything in them is checked before it is used; a file that is wrong gives one message that names
 * the file, the tensor and the remedy, and the function returns false. Messages have no span. */
#ifndef NACRE_FRONTEND_WEIGHTS_H
#define NACRE_FRONTEND_WEIGHTS_H
#include "ir/dtype.h"
#include "support/support.h"

enum { HOST_RANK = 8 };

/* A dense row-major array in host memory, little-endian. */
typedef struct HostTensor {
	const char *name; /* "" in an .npy file */
	DType dtype;
	uint32_t rank; /* 0: a scalar */
	int64_t dims[HOST_RANK];
	const void *data; /* aligned for dtype; never NULL, also when there are no elements */
} HostTensor;

/* What a file holds. list is sorted by name; names are distinct. Lists and names live in the arena,
 * data there or in the mapped file: it is valid until tensor_file_close. */
typedef struct TensorFile {
	const char *path;
	HostTensor *list;
	size_t n;
	FileMap map;         /* at NULL: nothing to unmap */
	VEC(FileMap) shards; /* of a checkpoint in several files */
	const char *prefix;  /* of its keys beside the model's (either may have it), or NULL */
} TensorFile;

/* --- weights.c ------------------------------------------------------------------------------- */

/* NULL when there is none of that name. */
const HostTensor *tensor_file_find(const TensorFile *f, const char *name);
/* Unmaps; tensors of f are gone. Allowed on a zeroed TensorFile and twice. */
void tensor_file_close(TensorFile *f);
/* Opens any of them by its contents (not by its name); an .npy file holds one tensor, "". A folder
 * stands for the model.safetensors.index.json or model.safetensors in it. */
bool tensor_file_open(Arena *a, Diags *d, const char *path, TensorFile *out);

int64_t host_tensor_count(const HostTensor *t); /* elements */
int64_t host_tensor_bytes(const HostTensor *t);
/* "f32[2, 3]", for messages. */
const char *host_tensor_type(Arena *a, const HostTensor *t);
/* Element count and bytes of a shape; false when a dim is negative or a product does not fit. */
bool host_shape_size(DType dtype, uint32_t rank, const int64_t *dims, int64_t *count,
                     int64_t *bytes);
/* A name from a file, fit to be printed: control characters replaced, at most 200 bytes. */
const char *shown_name(Arena *a, const char *name);
/* Sorts by name; when two have the same name, returns it. */
const char *host_tensors_sort(HostTensor *list, size_t n);

/* --- safetensors.c --------------------------------------------------------------------------- */

/* Format: https://huggingface.co/docs/safetensors: 8 bytes of header length, JSON, data. Checked:
 * the header's length, JSON and duplicate names, dtypes, ranks up to HOST_RANK, each tensor's size
 * against its shape, and that the tensors cover the data without overlap, gap or surplus. */
bool safetensors_open(Arena *a, Diags *d, const char *path, TensorFile *out);
/* The same of bytes in memory, which must outlive out. */
bool safetensors_parse(Arena *a, Diags *d, const char *path, const uint8_t *data, size_t size,
                       TensorFile *out);
/* Atomic: complete or not at all. Every dtype but i4, which the format lacks. */
bool safetensors_write(Diags *d, const char *path, const HostTensor *list, size_t n);

/* --- shards.c -------------------------------------------------------------------------------- */

/* A checkpoint in several safetensors files, by its index (`model.safetensors.index.json`): JSON whose
 * "weight_map" gives the file of each tensor, beside the index. Checked: that each tensor is in its
 * file and that no file name leads out of the folder. */
bool shards_parse(Arena *a, Diags *d, const char *path, const uint8_t *data, size_t size,
                  TensorFile *out);

/* --- npy.c ----------------------------------------------------------------------------------- */

/* Versions 1 to 3, little-endian, dtypes f2 f4 f8 i1 u1 i4 i8 b1; Fortran order is converted. */
bool npy_read(Arena *a, Diags *d, const char *path, HostTensor *out);
/* The same of bytes in memory; data is copied to the arena. `what` names them in messages. */
bool npy_parse(Arena *a, Diags *d, const char *what, const uint8_t *data, size_t size,
               HostTensor *out);
/* Atomic. bf16 and f8 are written as f32, i4 as i8: the format has nothing narrower. */
bool npy_write(Diags *d, const char *path, const HostTensor *t);
/* The parts of an .npy file: t as the format can hold it, and the header for that. */
HostTensor npy_widened(Arena *a, const HostTensor *t);
void npy_header(Text *out, const HostTensor *t);

/* --- npz.c ----------------------------------------------------------------------------------- */

/* A zip of .npy files, stored or deflated; names are those of the entries without ".npy". */
bool npz_read(Arena *a, Diags *d, const char *path, TensorFile *out);
bool npz_parse(Arena *a, Diags *d, const char *path, const uint8_t *data, size_t size,
               TensorFile *out);
/* Atomic. Stored, without times, so that equal tensors give equal files. */
bool npz_write(Diags *d, const char *path, const HostTensor *list, size_t n);

#endif
