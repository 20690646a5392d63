/* What the three kinds of tensor file share: shapes, names, look-up. */
#include "frontend/weights.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool host_shape_size(DType dtype, uint32_t rank, const int64_t *dims, int64_t *count,
                     int64_t *bytes)
{
	int64_t n = 1, bits;
	bool empty = false;
	for (uint32_t i = 0; i < rank; i++) {
		if (dims[i] < 0) return false;
		if (dims[i] == 0)
			empty = true;
		else if (__builtin_mul_overflow(n, dims[i], &n))
			return false;
	}
	if (__builtin_mul_overflow(n, (int64_t)dtype_bits(dtype), &bits) || bits > INT64_MAX - 7)
		return false;
	*count = empty ? 0 : n;
	*bytes = empty ? 0 : (bits + 7) / 8;
	return true;
}

int64_t host_tensor_count(const HostTensor *t)
{
	int64_t n = 1;
	for (uint32_t i = 0; i < t->rank; i++) n *= t->dims[i];
	return n;
}

int64_t host_tensor_bytes(const HostTensor *t)
{
	return (host_tensor_count(t) * (int64_t)dtype_bits(t->dtype) + 7) / 8;
}

const char *host_tensor_type(Arena *a, const HostTensor *t)
{
	Text s = text_new(a);
	text_printf(&s, "%s[", dtype_name(t->dtype));
	for (uint32_t i = 0; i < t->rank; i++)
		text_printf(&s, "%s%lld", i ? ", " : "", (long long)t->dims[i]);
	text_puts(&s, "]");
	return s.at;
}

const char *shown_name(Arena *a, const char *name)
{
	enum { LONGEST = 200 };
	size_t n = strlen(name);
	bool cut = n > LONGEST;
	char *s = arena_strndup(a, name, cut ? LONGEST : n);
	for (char *c = s; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
	return cut ? arena_printf(a, "%s...", s) : s;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const HostTensor *)a)->name, ((const HostTensor *)b)->name);
}

const char *host_tensors_sort(HostTensor *list, size_t n)
{
	if (n > 1) qsort(list, n, sizeof *list, by_name);
	for (size_t i = 1; i < n; i++)
		if (strcmp(list[i - 1].name, list[i].name) == 0) return list[i].name;
	return NULL;
}

const HostTensor *tensor_file_find(const TensorFile *f, const char *name)
{
	HostTensor key = {.name = name};
	return f->n ? bsearch(&key, f->list, f->n, sizeof *f->list, by_name) : NULL;
}

void tensor_file_close(TensorFile *f)
{
	file_unmap(&f->map);
	for (size_t i = 0; i < f->shards.n; i++) file_unmap(&f->shards.at[i]);
	f->shards.n = 0;
	f->list = NULL;
	f->n = 0;
}

/* The checkpoint in a folder, or the path itself. */
static const char *file_of_folder(Arena *a, const char *path)
{
	static const char *const names[] = {"model.safetensors.index.json", "model.safetensors"};
	struct stat s;
	if (stat(path, &s) != 0 || !S_ISDIR(s.st_mode)) return path;
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *inside = arena_printf(a, "%s/%s", path, names[i]);
		if (stat(inside, &s) == 0) return inside;
	}
	return path;
}

bool tensor_file_open(Arena *a, Diags *d, const char *path, TensorFile *out)
{
	const char *why;
	FileMap map;
	path = file_of_folder(a, path);
	*out = (TensorFile){.path = path};
	if (!file_map(path, &map, &why)) {
		diag_error(d, span_none(), "cannot read '%s': %s", path, why);
		return false;
	}
	bool zip =
		map.size >= 4 && (memcmp(map.at, "PK\3\4", 4) == 0 || memcmp(map.at, "PK\5\6", 4) == 0);
	bool npy = map.size >= 6 && memcmp(map.at, "\x93NUMPY", 6) == 0;
	bool ok;
	if (npy) {
		out->list = NEW(a, HostTensor);
		out->n = 1;
		ok = npy_parse(a, d, path, map.at, map.size, out->list);
	} else if (zip) {
		ok = npz_parse(a, d, path, map.at, map.size, out);
	} else if (map.size && map.at[0] == '{') { /* a safetensors file begins with a length */
		ok = shards_parse(a, d, path, map.at, map.size, out);
		npy = true; /* nothing of the index is needed any more */
	} else {
		ok = safetensors_parse(a, d, path, map.at, map.size, out);
	}
	if (ok && !npy && !zip)
		out->map = map;
	else
		file_unmap(&map);
	if (!ok) *out = (TensorFile){.path = path};
	return ok;
}
