/* A module's weights from a file: every key found, every shape and element type right, no key left
 * over (bind_messages.c tells what is wrong). Also random weights, for runs without a checkpoint. */
#include "frontend/bind.h"

#include <math.h>
#include <string.h>

/* The leading axes of a weight that its keys make up: their product is the number of keys. */
static uint32_t stacked_axes(const Weight *w)
{
	int64_t product = 1, n;
	uint32_t axes = 0;
	while (product < w->n_keys && axes < w->type.rank && dim_is_const(w->type.dim[axes], &n)) {
		product *= n;
		axes++;
	}
	return axes;
}

static HostTensor part_type(const Weight *w, const char *key)
{
	HostTensor t = {.name = key, .dtype = w->type.dtype};
	for (uint32_t i = stacked_axes(w); i < w->type.rank; i++) {
		int64_t n = 0;
		dim_is_const(w->type.dim[i], &n);
		t.dims[t.rank++] = n;
	}
	return t;
}

static const HostTensor *find_key(const Binder *b, const char *key, size_t n)
{
	const char *prefix = b->f->prefix, *name = arena_strndup(b->arena, key, n);
	const HostTensor *t = tensor_file_find(b->f, name);
	if (t || !prefix) return t;
	t = tensor_file_find(b->f, arena_printf(b->arena, "%s%s", prefix, name));
	size_t k = strlen(prefix);
	return t || strncmp(name, prefix, k) != 0 ? t : tensor_file_find(b->f, name + k);
}

/* The alternative of a key that the file has, or NULL. */
static const HostTensor *find_alternative(const Binder *b, const char *key)
{
	for (const char *at = key;;) {
		size_t n = strcspn(at, "|");
		const HostTensor *t = find_key(b, at, n);
		if (t || !at[n]) return t;
		at += n + 1;
	}
}

static bool same_shape(const HostTensor *x, const HostTensor *y)
{
	if (x->rank != y->rank) return false;
	for (uint32_t i = 0; i < x->rank; i++)
		if (x->dims[i] != y->dims[i]) return false;
	return true;
}

static bool widens(DType from, DType to)
{
	if (from == to) return true;
	if (dtype_is_float(from)) return to == DT_F32 && dtype_bits(from) < 32;
	return (to == DT_I32 && dtype_is_integer(from) && dtype_bits(from) < 32) ||
	       (to == DT_I64 && dtype_is_integer(from));
}

/* Files have no type of 4 bits: i4 comes as bytes that hold nothing else. */
static bool fits_nibbles(const HostTensor *have, DType want)
{
	if (want != DT_I4 || (have->dtype != DT_I8 && have->dtype != DT_U8)) return false;
	int64_t n = host_tensor_count(have);
	for (int64_t i = 0; i < n; i++) {
		double v = dtype_load(have->dtype, have->data, i);
		if (v < -8 || v > 7) return false;
	}
	return true;
}

static void *widened(Binder *b, const HostTensor *have, DType want)
{
	int64_t n = host_tensor_count(have);
	void *wide = arena_array(b->arena, (size_t)(n ? n : 1), (size_t)dtype_bytes(want, 1));
	for (int64_t i = 0; i < n; i++)
		dtype_store(want, wide, i, dtype_load(have->dtype, have->data, i));
	return wide;
}

static void bind_key(Binder *b, const Weight *w, uint32_t i, HostTensor *out)
{
	const char *key = w->keys[i];
	size_t n = strcspn(key, "|");
	const HostTensor *have = find_alternative(b, key);
	*out = part_type(w, key);
	b->keys++;
	Misfit m = {MISFIT_MISSING, w, arena_strndup(b->arena, key, n), *out, have, key[n] != 0};
	if (have && !same_shape(out, have))
		m.kind = MISFIT_SHAPE;
	else if (have && !widens(have->dtype, out->dtype) && !fits_nibbles(have, out->dtype))
		m.kind = MISFIT_DTYPE;
	else if (have) {
		out->name = have->name;
		out->data = have->dtype == out->dtype ? have->data : widened(b, have, out->dtype);
		return;
	}
	vec_push(b->arena, &b->misfits, m);
}

bool weights_bind(Arena *a, Diags *d, const Module *m, const TensorFile *f, BoundWeight *out)
{
	Binder b = {.arena = a, .d = d, .m = m, .f = f, .used = NEW_ARRAY(a, bool, f->n + 1)};
	for (size_t i = 0; i < m->weights.n; i++)
		for (uint32_t k = 0; k < m->weights.at[i].n_keys; k++) {
			const HostTensor *have = find_alternative(&b, m->weights.at[i].keys[k]);
			if (have) b.used[have - f->list] = true;
		}
	for (size_t i = 0; i < m->weights.n; i++) {
		const Weight *w = &m->weights.at[i];
		HostTensor *part = NEW_ARRAY(a, HostTensor, w->n_keys ? w->n_keys : 1);
		for (uint32_t k = 0; k < w->n_keys; k++) bind_key(&b, w, k, &part[k]);
		out[i] = (BoundWeight){w->n_keys, part};
	}
	if (b.misfits.n) misfits_report(&b);
	return !b.misfits.n && !surplus_report(&b);
}

/* --- random weights --------------------------------------------------------------------------------- */

/* splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* In [-1, 1). */
static double uniform(uint64_t *state)
{
	return (double)(next_random(state) >> 11) * 0x1p-52 - 1;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && strcmp(s + n - k, end) == 0;
}

static double random_value(const Weight *w, const HostTensor *t, uint64_t *state)
{
	double u = uniform(state), fan = 1;
	if (dtype_is_integer(t->dtype))
		return t->dtype == DT_I4   ? floor(7 * u)
		       : t->dtype == DT_U8 ? floor(128 + 100 * u)
		                           : floor(100 * u);
	if (t->dtype == DT_BOOL) return u < 0;
	if (ends_with(w->name, "running_var")) return 1 + 0.5 * u;
	if (t->rank < 2)
		return ends_with(w->name, "weight") || ends_with(w->name, "gamma") ||
		               ends_with(w->name, "scale")
		           ? 1 + 0.1 * u
		           : 0.02 * u;
	for (uint32_t i = 1; i < t->rank; i++) fan *= (double)t->dims[i];
	return u * sqrt(3 / (fan < 1 ? 1 : fan));
}

void weights_random_types(Arena *a, const Module *m, BoundWeight *out)
{
	for (size_t i = 0; i < m->weights.n; i++) {
		const Weight *w = &m->weights.at[i];
		HostTensor *part = NEW_ARRAY(a, HostTensor, w->n_keys ? w->n_keys : 1);
		out[i] = (BoundWeight){w->n_keys, part};
		for (uint32_t k = 0; k < w->n_keys; k++) part[k] = part_type(w, w->keys[k]);
	}
}

void weight_random(const Weight *w, const HostTensor *part, uint32_t k, uint64_t seed, void *to)
{
	int64_t n = host_tensor_count(part);
	uint64_t state = seed * UINT64_C(0x100000001b3) + crc32c(0, w->keys[k], strlen(w->keys[k]));
	for (int64_t j = 0; j < n; j++) dtype_store(part->dtype, to, j, random_value(w, part, &state));
}

void weights_random(Arena *a, const Module *m, uint64_t seed, BoundWeight *out)
{
	weights_random_types(a, m, out);
	for (size_t i = 0; i < m->weights.n; i++) {
		for (uint32_t k = 0; k < out[i].n; k++) {
			HostTensor *part = (HostTensor *)(uintptr_t)&out[i].part[k];
			void *data = arena_alloc(a, (size_t)host_tensor_bytes(part) + 1);
			weight_random(&m->weights.at[i], part, k, seed, data);
			part->data = data;
		}
	}
}
