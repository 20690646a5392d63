/* safetensors: a JSON header that places each tensor in the bytes behind it. Nothing of the header
 * is believed before it is checked against the size of the file. */
#include "frontend/weights.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, LARGEST_HEADER = 100000000 };

/* One parse. */
typedef struct Reader {
	Arena *arena;
	Diags *diags;
	const char *path;
	const uint8_t *data; /* behind the header */
	size_t size;
} Reader;

/* A tensor's place in the data. */
typedef struct Extent {
	int64_t begin, end;
	const char *name;
} Extent;

static const struct {
	const char *name;
	DType dtype;
} dtype_names[] = {
	{"F64", DT_F64},   {"F32", DT_F32},        {"F16", DT_F16},        {"BF16", DT_BF16},
	{"I64", DT_I64},   {"I32", DT_I32},        {"I8", DT_I8},          {"U8", DT_U8},
	{"BOOL", DT_BOOL}, {"F8_E4M3", DT_F8E4M3}, {"F8_E5M2", DT_F8E5M2},
};

static uint64_t load64(const uint8_t *p)
{
	uint64_t v = 0;
	for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
	return v;
}

static bool wrong(const Reader *r, const char *tensor, const char *what)
{
	diag_error(r->diags, span_none(), "'%s': tensor '%s' %s", r->path, shown_name(r->arena, tensor),
	           what);
	return false;
}

static bool read_dtype(const Reader *r, const char *name, const json_t *of, DType *out)
{
	const char *word = json_string_value(json_object_get(of, "dtype"));
	if (!word) return wrong(r, name, "has no dtype: the header is damaged, write the file again");
	for (size_t i = 0; i < COUNT(dtype_names); i++) {
		if (strcmp(word, dtype_names[i].name) != 0) continue;
		*out = dtype_names[i].dtype;
		return true;
	}
	return wrong(r, name,
	             arena_printf(r->arena,
	                          "has dtype %s, which is not supported: convert it to one of F64 F32 "
	                          "F16 BF16 F8_E4M3 F8_E5M2 I64 I32 I8 U8 BOOL",
	                          shown_name(r->arena, word)));
}

static bool read_shape(const Reader *r, const char *name, const json_t *of, HostTensor *t)
{
	const json_t *shape = json_object_get(of, "shape");
	if (!json_is_array(shape))
		return wrong(r, name, "has no shape: the header is damaged, write the file again");
	size_t rank = json_array_size(shape);
	if (rank > HOST_RANK)
		return wrong(r, name,
		             arena_printf(r->arena, "has %zu dims: at most %d are supported, reshape it",
		                          rank, HOST_RANK));
	t->rank = (uint32_t)rank;
	for (size_t i = 0; i < rank; i++) {
		const json_t *dim = json_array_get(shape, i);
		if (!json_is_integer(dim) || json_integer_value(dim) < 0)
			return wrong(r, name,
			             arena_printf(r->arena,
			                          "has a shape whose dim %zu is not a whole number: the "
			                          "header is damaged, write the file again",
			                          i));
		t->dims[i] = json_integer_value(dim);
	}
	return true;
}

static bool read_extent(const Reader *r, const char *name, const json_t *of, Extent *e)
{
	const json_t *offsets = json_object_get(of, "data_offsets");
	const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
	if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
		return wrong(r, name,
		             "has no data_offsets of two numbers: the header is damaged, write the file "
		             "again");
	*e = (Extent){json_integer_value(begin), json_integer_value(end), name};
	if (e->begin < 0 || e->end < e->begin)
		return wrong(r, name,
		             arena_printf(r->arena,
		                          "has the data_offsets [%lld, %lld]: the header is damaged, write "
		                          "the file again",
		                          (long long)e->begin, (long long)e->end));
	if ((uint64_t)e->end > r->size) {
		diag_error(r->diags, span_none(),
		           "'%s' is cut short: tensor '%s' ends at byte %lld of the data, but the file "
		           "holds only %zu: fetch the file again",
		           r->path, shown_name(r->arena, name), (long long)e->end, r->size);
		return false;
	}
	return true;
}

static bool read_tensor(const Reader *r, const char *name, const json_t *of, HostTensor *t,
                        Extent *e)
{
	int64_t count, bytes;
	if (!json_is_object(of))
		return wrong(r, name, "is not described by an object: the header is damaged");
	if (!read_dtype(r, name, of, &t->dtype) || !read_shape(r, name, of, t)) return false;
	if (!host_shape_size(t->dtype, t->rank, t->dims, &count, &bytes))
		return wrong(r, name, "has a shape too large for any memory: the header is damaged");
	if (!read_extent(r, name, of, e)) return false;
	if (e->end - e->begin != bytes)
		return wrong(r, name,
		             arena_printf(r->arena,
		                          "has %lld bytes of data, but %s takes %lld: the file is damaged, "
		                          "write it again",
		                          (long long)(e->end - e->begin), host_tensor_type(r->arena, t),
		                          (long long)bytes));
	t->name = name;
	t->data = r->data + e->begin;
	size_t align = dtype_bits(t->dtype) > 8 ? dtype_bits(t->dtype) / 8 : 1;
	if ((uintptr_t)t->data % align != 0) {
		/* Old writers do not pad the header. */
		void *copy = arena_alloc(r->arena, (size_t)bytes);
		if (bytes) memcpy(copy, t->data, (size_t)bytes);
		t->data = copy;
	}
	return true;
}

static int by_place(const void *a, const void *b)
{
	const Extent *x = a, *y = b;
	if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
	if (x->end != y->end) return x->end < y->end ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Tensors must cover the data exactly. */
static bool check_cover(const Reader *r, Extent *e, size_t n)
{
	int64_t at = 0, next = (int64_t)r->size;
	if (n > 1) qsort(e, n, sizeof *e, by_place);
	for (size_t i = 0; i < n; i++) {
		if (e[i].begin < at) {
			diag_error(r->diags, span_none(),
			           "'%s': tensors '%s' and '%s' overlap at byte %lld of the data: the file is "
			           "damaged, write it again",
			           r->path, shown_name(r->arena, e[i - 1].name),
			           shown_name(r->arena, e[i].name), (long long)e[i].begin);
			return false;
		}
		if (e[i].begin > at) {
			next = e[i].begin;
			break;
		}
		at = e[i].end;
	}
	if (next == at) return true;
	diag_error(
		r->diags, span_none(),
		"'%s': bytes %lld to %lld of the data belong to no tensor: the file is damaged, write "
		"it again",
		r->path, (long long)at, (long long)next);
	return false;
}

static bool read_header(const Reader *r, const json_t *root, TensorFile *out)
{
	const char *key;
	json_t *value;
	size_t most = json_object_size(root);
	Extent *extents = NEW_ARRAY(r->arena, Extent, most + 1);
	out->list = NEW_ARRAY(r->arena, HostTensor, most + 1);
	json_object_foreach((json_t *)(uintptr_t)root, key, value)
	{
		if (strcmp(key, "__metadata__") == 0) continue;
		const char *name = arena_strdup(r->arena, key);
		if (!read_tensor(r, name, value, &out->list[out->n], &extents[out->n])) return false;
		out->n++;
	}
	if (!check_cover(r, extents, out->n)) return false;
	host_tensors_sort(out->list, out->n);
	return true;
}

/* What a file that does not begin like a safetensors file seems to be. */
static const char *what_else(const uint8_t *data, size_t size)
{
	if (size >= 4 && memcmp(data, "PK\3\4", 4) == 0)
		return "it is a zip, perhaps a PyTorch checkpoint: save it with safetensors.torch.save_file";
	if (size >= 2 && data[0] == 0x80 && data[1] <= 5)
		return "it is a pickle: save it with safetensors.torch.save_file";
	if (size >= 4 && memcmp(data, "GGUF", 4) == 0)
		return "it is a GGUF file: use the checkpoint that it was made from";
	if (size >= 6 && memcmp(data, "version https://git-lfs", size < 23 ? size : 23) == 0)
		return "it is a pointer of git-lfs: run `git lfs pull`";
	return "is it the right file?";
}

bool safetensors_parse(Arena *a, Diags *d, const char *path, const uint8_t *data, size_t size,
                       TensorFile *out)
{
	*out = (TensorFile){.path = path};
	uint64_t header = size >= LENGTH_BYTES ? load64(data) : 0;
	if (size < LENGTH_BYTES + 2 || header > LARGEST_HEADER ||
	    (size > LENGTH_BYTES && data[LENGTH_BYTES] != '{')) {
		diag_error(d, span_none(), "'%s' is not a safetensors file: %s", path,
		           size < LENGTH_BYTES + 2 ? arena_printf(a, "it has only %zu bytes", size)
		                                   : what_else(data, size));
		return false;
	}
	if (header > size - LENGTH_BYTES) {
		diag_error(d, span_none(),
		           "'%s' is cut short: its header takes %llu bytes, but only %zu follow: fetch the "
		           "file again",
		           path, (unsigned long long)header, size - LENGTH_BYTES);
		return false;
	}
	size_t before = LENGTH_BYTES + (size_t)header;
	json_error_t error;
	json_t *root = json_loadb((const char *)data + LENGTH_BYTES, (size_t)header,
	                          JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		diag_error(d, span_none(),
		           "'%s': the header is not valid: %s (at byte %d): write the file "
		           "again",
		           path, shown_name(a, error.text), error.position + LENGTH_BYTES);
		return false;
	}
	Reader r = {a, d, path, data + before, size - before};
	bool ok = read_header(&r, root, out);
	json_decref(root);
	if (!ok) *out = (TensorFile){.path = path};
	return ok;
}

bool safetensors_open(Arena *a, Diags *d, const char *path, TensorFile *out)
{
	const char *why;
	FileMap map;
	*out = (TensorFile){.path = path};
	if (!file_map(path, &map, &why)) {
		diag_error(d, span_none(), "cannot read the weights '%s': %s", path, why);
		return false;
	}
	bool ok = safetensors_parse(a, d, path, map.at, map.size, out);
	if (ok)
		out->map = map;
	else
		file_unmap(&map);
	return ok;
}

/* --- writing --- */

static const char *name_of_dtype(DType t)
{
	for (size_t i = 0; i < COUNT(dtype_names); i++)
		if (dtype_names[i].dtype == t) return dtype_names[i].name;
	return NULL;
}

static int append(const char *piece, size_t n, void *to)
{
	text_append(to, piece, n);
	return 0;
}

/* The description of t, whose data begins at `begin`. */
static json_t *describe(const HostTensor *t, int64_t begin)
{
	json_t *shape = json_array();
	for (uint32_t k = 0; k < t->rank; k++) json_array_append_new(shape, json_integer(t->dims[k]));
	return json_pack("{s:s, s:o, s:[I, I]}", "dtype", name_of_dtype(t->dtype), "shape", shape,
	                 "data_offsets", (json_int_t)begin, (json_int_t)begin + host_tensor_bytes(t));
}

/* The header of list, tensors in order, padded so that the data is aligned. */
static bool header_of(Diags *d, const char *path, const HostTensor *list, size_t n, Text *out)
{
	json_t *root = json_object();
	const char *why = NULL;
	int64_t at = 0;
	size_t i = 0;
	for (; i < n && !why; i++) {
		const HostTensor *t = &list[i];
		if (!name_of_dtype(t->dtype))
			why = "has no dtype in safetensors: store it wider";
		else if (json_object_get(root, t->name))
			why = "is there twice";
		else if (json_object_set_new(root, t->name, describe(t, at)) != 0)
			why = "has a name that is not UTF-8";
		at += host_tensor_bytes(t);
	}
	if (why)
		diag_error(d, span_none(), "cannot write '%s': tensor '%s' of type %s %s", path,
		           shown_name(d->arena, list[i - 1].name), host_tensor_type(d->arena, &list[i - 1]),
		           why);
	else
		json_dump_callback(root, append, out, JSON_COMPACT);
	json_decref(root);
	while (!why && out->n % 64 != 64 - LENGTH_BYTES) text_puts(out, " ");
	return !why;
}

/* Widest dtypes first, so that every tensor is aligned. */
static int by_width(const void *a, const void *b)
{
	const HostTensor *x = a, *y = b;
	uint32_t wide_x = dtype_bits(x->dtype), wide_y = dtype_bits(y->dtype);
	return wide_x != wide_y ? (wide_x > wide_y ? -1 : 1) : strcmp(x->name, y->name);
}

bool safetensors_write(Diags *d, const char *path, const HostTensor *list, size_t n)
{
	const char *why;
	Text header = text_new(d->arena);
	HostTensor *sorted = NEW_ARRAY(d->arena, HostTensor, n + 1);
	if (n) memcpy(sorted, list, n * sizeof *list);
	if (n > 1) qsort(sorted, n, sizeof *sorted, by_width);
	if (!header_of(d, path, sorted, n, &header)) return false;
	FileOut *f = file_out_open(path, &why);
	if (!f) {
		diag_error(d, span_none(), "cannot write '%s': %s", path, why);
		return false;
	}
	uint8_t length[LENGTH_BYTES];
	for (int i = 0; i < LENGTH_BYTES; i++) length[i] = (uint8_t)((uint64_t)header.n >> (8 * i));
	file_out_write(f, length, sizeof length);
	file_out_write(f, header.at, header.n);
	for (size_t i = 0; i < n; i++)
		file_out_write(f, sorted[i].data, (size_t)host_tensor_bytes(&sorted[i]));
	if (file_out_commit(f, &why)) return true;
	diag_error(d, span_none(), "cannot write '%s': %s", path, why);
	return false;
}
