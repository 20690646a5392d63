/* Arrays between files and memory: inputs given by name, outputs written, random values, and how
 * far two arrays differ. */
#include "tools/tool.h"

#include <math.h>
#include <string.h>

/* --- making ------------------------------------------------------------------------------------------- */

HostTensor tensor_new(Arena *a, const char *name, DType t, uint32_t rank, const int64_t *dims)
{
	HostTensor x = {.name = name, .dtype = t, .rank = rank};
	for (uint32_t i = 0; i < rank; i++) x.dims[i] = dims[i];
	/* A size that does not fit ends as "out of memory", as any size that is not to be had. */
	int64_t count, bytes;
	if (!host_shape_size(t, rank, dims, &count, &bytes)) bytes = INT64_MAX;
	uintptr_t p = (uintptr_t)arena_alloc(a, (size_t)bytes + 64);
	x.data = (void *)((p + 63) & ~(uintptr_t)63);
	return x;
}

void *tensor_data(const HostTensor *t)
{
	return (void *)(uintptr_t)t->data;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t random_next(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

double random_unit(uint64_t *seed)
{
	return (double)(random_next(seed) >> 11) * 0x1p-53;
}

static int64_t random_integer(DType t, uint64_t *seed, int64_t below)
{
	if (below > 0) return (int64_t)(random_next(seed) % (uint64_t)below);
	switch (t) {
	case DT_BOOL: return (int64_t)(random_next(seed) & 1);
	case DT_U8: return (int64_t)(random_next(seed) & 255);
	case DT_I8: return (int64_t)(random_next(seed) % 255) - 127;
	case DT_I4: return (int64_t)(random_next(seed) % 15) - 7;
	default: return (int64_t)(random_next(seed) % 201) - 100;
	}
}

void tensor_random(HostTensor *t, uint64_t *seed, int64_t below)
{
	void *data = tensor_data(t);
	int64_t n = host_tensor_count(t);
	bool real = dtype_is_float(t->dtype);
	for (int64_t i = 0; i < n; i++)
		dtype_store(t->dtype, data, i,
		            real ? random_unit(seed) * 2 - 1
		                 : (double)random_integer(t->dtype, seed, below));
}

/* --- given by the user ---------------------------------------------------------------------------------- */

bool given_read(Tool *t, Given *out)
{
	for (size_t i = 0; i < t->a.input.n; i++) {
		NamedFile f = t->a.input.at[i];
		TensorFile *file = NEW(t->arena, TensorFile);
		if (!tensor_file_open(t->arena, &t->d, f.path, file)) return false;
		if (*f.name && file->n != 1)
			return tool_fail(t, "'%s' holds %zu arrays: write --input %s without a name", f.path,
			                 file->n, f.path);
		for (size_t k = 0; k < file->n; k++) {
			HostTensor x = file->list[k];
			if (*f.name) x.name = f.name;
			if (!*x.name)
				return tool_fail(t, "--input %s: say which input it is: --input NAME=%s", f.path,
				                 f.path);
			if (given_find(out, x.name)) return tool_fail(t, "input `%s` is given twice", x.name);
			vec_push(t->arena, &out->list, x);
		}
	}
	return true;
}

const HostTensor *given_find(const Given *g, const char *name)
{
	for (size_t i = 0; i < g->list.n; i++)
		if (strcmp(g->list.at[i].name, name) == 0) return &g->list.at[i];
	return NULL;
}

bool given_check(Tool *t, const Given *g, const char *const *names, size_t n, const char *what)
{
	for (size_t i = 0; i < g->list.n; i++) {
		const char *name = g->list.at[i].name;
		size_t k = 0;
		while (k < n && strcmp(names[k], name) != 0) k++;
		if (k < n) continue;
		Diag *m =
			diag_error(&t->d, span_none(), "there is no %s `%s`", what, shown_name(t->arena, name));
		const char *near = nearest_name(name, names, n);
		Text all = text_new(t->arena);
		for (k = 0; k < n; k++) text_printf(&all, "%s%s", k ? ", " : "", names[k]);
		if (near)
			diag_help(&t->d, m, "did you mean `%s`?", near);
		else if (n)
			diag_help(&t->d, m, "it has %s", all.at);
		return false;
	}
	return true;
}

/* --- written -------------------------------------------------------------------------------------------- */

bool outputs_check(Tool *t, const char *const *names, size_t n)
{
	Given wanted = {0};
	for (size_t i = 0; i < t->a.output.n; i++) {
		HostTensor named = {.name = t->a.output.at[i].name};
		if (*named.name) vec_push(t->arena, &wanted.list, named);
	}
	if (!given_check(t, &wanted, names, n, "output")) return false;
	for (size_t i = 0; i < t->a.output.n; i++)
		if (!path_writable(t, t->a.output.at[i].path)) return false;
	return true;
}

bool path_writable(Tool *t, const char *path)
{
	const char *why;
	FileOut *f = file_out_open(path, &why);
	if (!f) return tool_fail(t, "cannot write '%s': %s", path, why);
	file_out_abandon(f);
	return true;
}

bool outputs_write(Tool *t, const HostTensor *list, size_t n)
{
	for (size_t i = 0; i < t->a.output.n; i++) {
		NamedFile f = t->a.output.at[i];
		size_t k = 0;
		while (*f.name && k < n && strcmp(list[k].name, f.name) != 0) k++;
		if (k == n) return tool_fail(t, "there is no output `%s`", f.name);
		bool one = *f.name || (n == 1 && !path_ends(f.path, ".npz"));
		if (!(one ? npy_write(&t->d, f.path, &list[k]) : npz_write(&t->d, f.path, list, n)))
			return false;
	}
	return true;
}

bool write_file(Tool *t, const char *path, const void *data, size_t n)
{
	const char *why;
	FileOut *f = file_out_open(path, &why);
	if (!f) return tool_fail_file(t, path, why);
	file_out_write(f, data, n);
	return file_out_commit(f, &why) || tool_fail_file(t, path, why);
}

bool write_text(Tool *t, const Text *text)
{
	if (t->a.out && strcmp(t->a.out, "-") != 0) return write_file(t, t->a.out, text->at, text->n);
	fwrite(text->at, 1, text->n, stdout);
	return true;
}

/* --- compared ------------------------------------------------------------------------------------------- */

Difference tensor_difference(const HostTensor *x, const HostTensor *reference)
{
	Difference d = {.at = -1};
	int64_t n = host_tensor_count(reference);
	if (host_tensor_count(x) != n) return (Difference){INFINITY, INFINITY, 0, -1};
	for (int64_t i = 0; i < n; i++) {
		double a = dtype_load(x->dtype, x->data, i),
			   b = dtype_load(reference->dtype, reference->data, i);
		if (isfinite(b) && fabs(b) > d.scale) d.scale = fabs(b);
		double off = a == b || (isnan(a) && isnan(b)) ? 0 : fabs(a - b);
		if (isnan(off)) off = INFINITY;
		if (off > d.absolute) {
			d.absolute = off;
			d.at = i;
		}
	}
	d.relative = d.absolute == 0 ? 0 : d.scale > 0 ? d.absolute / d.scale : INFINITY;
	return d;
}

void difference_merge(Difference *into, Difference d)
{
	if (d.absolute > into->absolute) into->absolute = d.absolute;
	if (d.relative > into->relative) into->relative = d.relative;
	if (d.scale > into->scale) into->scale = d.scale;
}

json_t *tensor_json(const HostTensor *t)
{
	int64_t n = host_tensor_count(t);
	double least = INFINITY, most = -INFINITY, sum = 0;
	for (int64_t i = 0; i < n; i++) {
		double v = dtype_load(t->dtype, t->data, i);
		if (v < least) least = v;
		if (v > most) most = v;
		sum += v;
	}
	json_t *dims = json_array();
	for (uint32_t i = 0; i < t->rank; i++) json_array_append_new(dims, json_integer(t->dims[i]));
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "dtype", dtype_name(t->dtype), "shape", dims,
	                 "least", json_number(least), "greatest", json_number(most), "mean",
	                 json_number(sum / (double)n));
}
