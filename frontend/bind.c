/* A module's weights from a file: every key found, every shape and element type right, no key left
 * over. One mistake gives one message: a prefix that all keys share is told once, not a hundred
 * times. Also random weights, for runs without a checkpoint. */
#include "frontend/frontend.h"

#include <math.h>
#include <string.h>

typedef struct Binder {
	Arena *arena;
	Diags *d;
	const Module *m;
	const TensorFile *f;
	bool *used; /* by place in f->list */
	uint32_t errors;
} Binder;

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

/* The alternative of a key that the file has, or NULL. */
static const HostTensor *find_alternative(const Binder *b, const char *key)
{
	for (const char *at = key;;) {
		size_t n = strcspn(at, "|");
		const HostTensor *t = tensor_file_find(b->f, arena_strndup(b->arena, at, n));
		if (t || !at[n]) return t;
		at += n + 1;
	}
}

static const char *first_alternative(const Binder *b, const char *key)
{
	return arena_strndup(b->arena, key, strcspn(key, "|"));
}

/* All file keys carry a prefix that the model's lack, or the other way round: says so once. */
static bool prefix_differs(Binder *b, const char *key, const Weight *w)
{
	size_t n = strlen(key);
	for (size_t i = 0; i < b->f->n; i++) {
		const char *have = b->f->list[i].name;
		size_t k = strlen(have);
		bool longer = k > n && have[k - n - 1] == '.' && strcmp(have + k - n, key) == 0;
		bool shorter = n > k && key[n - k - 1] == '.' && strcmp(key + n - k, have) == 0;
		if (!longer && !shorter) continue;
		const char *more = longer ? have : key;
		int size = (int)(longer ? k - n : n - k);
		Diag *m = diag_error(b->d, w->span,
		                     "the keys of '%s' %s `%.*s`, those of the model %s: '%s' beside '%s'",
		                     b->f->path, longer ? "begin with" : "lack the prefix", size, more,
		                     longer ? "do not" : "have it", shown_name(b->arena, have), key);
		diag_help(b->d, m,
		          longer ? "give the model's layers that prefix:  use .. from \"%.*s\""
		                 : "take `%.*s` from the model's keys with  from \"\"",
		          size > 1 ? size - 1 : size, more);
		return true;
	}
	return false;
}

/* Among the keys that the model does not use. */
static const char *nearest_key(const Binder *b, const char *key)
{
	const char **names = NEW_ARRAY(b->arena, const char *, b->f->n + 1);
	size_t n = 0;
	for (size_t i = 0; i < b->f->n; i++)
		if (!b->used[i]) names[n++] = b->f->list[i].name;
	return nearest_name(key, names, n);
}

static bool fits_transposed(const HostTensor *want, const HostTensor *have)
{
	uint32_t r = want->rank;
	if (r < 2 || have->rank != r) return false;
	for (uint32_t i = 0; i + 2 < r; i++)
		if (want->dims[i] != have->dims[i]) return false;
	return want->dims[r - 1] == have->dims[r - 2] && want->dims[r - 2] == have->dims[r - 1];
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

static void report(Binder *b)
{
	b->errors++;
}

static bool convert(Binder *b, const Weight *w, const HostTensor *have, HostTensor *out)
{
	const void *data = have->data;
	HostTensor want = *out;
	if (!same_shape(&want, have)) {
		Diag *m = diag_error(b->d, w->span, "weight '%s' of '%s' is %s, the model takes %s",
		                     shown_name(b->arena, have->name), b->f->path,
		                     host_tensor_type(b->arena, have), host_tensor_type(b->arena, &want));
		if (fits_transposed(&want, have))
			diag_help(b->d, m,
			          "it would fit transposed: declare the dims the other way round and use %s.T",
			          w->name);
		report(b);
		return false;
	}
	if (!widens(have->dtype, want.dtype)) {
		Diag *m =
			diag_error(b->d, w->span,
		               "weight '%s' of '%s' holds %s, the model takes %s: loading never narrows",
		               shown_name(b->arena, have->name), b->f->path, dtype_name(have->dtype),
		               dtype_name(want.dtype));
		diag_help(b->d, m, "declare it as %s", dtype_name(have->dtype));
		report(b);
		return false;
	}
	out->name = have->name;
	out->data = data;
	if (have->dtype == want.dtype) return true;
	int64_t n = host_tensor_count(have);
	void *wide = arena_array(b->arena, (size_t)(n ? n : 1), (size_t)dtype_bytes(want.dtype, 1));
	for (int64_t i = 0; i < n; i++)
		dtype_store(want.dtype, wide, i, dtype_load(have->dtype, data, i));
	out->data = wide;
	return true;
}

/* False when the rest would repeat the same mistake. */
static bool bind_weight(Binder *b, const Weight *w, BoundWeight *out)
{
	HostTensor *part = NEW_ARRAY(b->arena, HostTensor, w->n_keys ? w->n_keys : 1);
	out->n = w->n_keys;
	out->part = part;
	for (uint32_t i = 0; i < w->n_keys; i++) {
		const HostTensor *have = find_alternative(b, w->keys[i]);
		part[i] = part_type(w, w->keys[i]);
		if (!have) {
			const char *key = first_alternative(b, w->keys[i]);
			report(b);
			if (prefix_differs(b, key, w)) return false;
			Diag *m = diag_error(b->d, w->span, "'%s' has no weight '%s'", b->f->path, key);
			const char *near = nearest_key(b, key);
			if (strcmp(key, w->keys[i]) != 0)
				diag_help(b->d, m, "none of its alternatives is there either: %s", w->keys[i]);
			if (near) diag_help(b->d, m, "the nearest key is '%s'", shown_name(b->arena, near));
			return true; /* one message for a weight with many keys */
		}
		if (!convert(b, w, have, &part[i])) return true;
	}
	return true;
}

/* `*` stands for any text. */
static bool matches(const char *pattern, const char *text)
{
	const char *star = NULL, *back = NULL;
	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			back = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++back;
		} else {
			return false;
		}
	}
	while (*pattern == '*') pattern++;
	return !*pattern;
}

static void check_surplus(Binder *b)
{
	enum { SHOWN = 4 };
	size_t n = 0;
	Text t = text_new(b->arena);
	for (size_t i = 0; i < b->f->n; i++) {
		bool ignored = b->used[i];
		for (size_t k = 0; k < b->m->ignore.n && !ignored; k++)
			ignored = matches(b->m->ignore.at[k], b->f->list[i].name);
		if (ignored) continue;
		if (n < SHOWN)
			text_printf(&t, "%s'%s'", n ? ", " : "", shown_name(b->arena, b->f->list[i].name));
		n++;
	}
	if (!n) return;
	if (n > SHOWN) text_printf(&t, " and %zu more", n - SHOWN);
	Diag *m =
		diag_error(b->d, span_none(), "the model uses no weight %s of '%s'", t.at, b->f->path);
	diag_help(b->d, m, "what may go unused is named at the model:  @ignore(\"..\")");
	report(b);
}

bool weights_bind(Arena *a, Diags *d, const Module *m, const TensorFile *f, BoundWeight *out)
{
	Binder b = {a, d, m, f, NEW_ARRAY(a, bool, f->n + 1), 0};
	for (size_t i = 0; i < m->weights.n; i++)
		for (uint32_t k = 0; k < m->weights.at[i].n_keys; k++) {
			const HostTensor *have = find_alternative(&b, m->weights.at[i].keys[k]);
			if (have) b.used[have - f->list] = true;
		}
	for (size_t i = 0; i < m->weights.n; i++)
		if (!bind_weight(&b, &m->weights.at[i], &out[i])) return false;
	if (!b.errors) check_surplus(&b);
	return !b.errors;
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

void weights_random(Arena *a, const Module *m, uint64_t seed, BoundWeight *out)
{
	for (size_t i = 0; i < m->weights.n; i++) {
		const Weight *w = &m->weights.at[i];
		HostTensor *part = NEW_ARRAY(a, HostTensor, w->n_keys ? w->n_keys : 1);
		out[i] = (BoundWeight){w->n_keys, part};
		for (uint32_t k = 0; k < w->n_keys; k++) {
			part[k] = part_type(w, w->keys[k]);
			int64_t n = host_tensor_count(&part[k]);
			uint64_t state =
				seed * UINT64_C(0x100000001b3) + crc32c(0, w->keys[k], strlen(w->keys[k]));
			void *data = arena_alloc(a, (size_t)dtype_bytes(part[k].dtype, n ? n : 1));
			for (int64_t j = 0; j < n; j++)
				dtype_store(part[k].dtype, data, j, random_value(w, &part[k], &state));
			part[k].data = data;
		}
	}
}
