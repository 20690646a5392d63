/* Why a checkpoint does not fit a model. A cause that many weights share (a prefix, the number of
 * layers, a width, an element type, a file of another model) is one message, not a hundred. */
#include "frontend/bind.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 4 };

static const char *shown(Binder *b, const char *key)
{
	return arena_printf(b->arena, "'%s'", shown_name(b->arena, key));
}

static const char *path_of(const Binder *b)
{
	return b->f->path;
}

static bool same_shape(const HostTensor *x, const HostTensor *y)
{
	if (x->rank != y->rank) return false;
	for (uint32_t i = 0; i < x->rank; i++)
		if (x->dims[i] != y->dims[i]) return false;
	return true;
}

static bool fits_transposed(const HostTensor *want, const HostTensor *have)
{
	uint32_t r = want->rank;
	if (r < 2 || have->rank != r) return false;
	for (uint32_t i = 0; i + 2 < r; i++)
		if (want->dims[i] != have->dims[i]) return false;
	return want->dims[r - 1] == have->dims[r - 2] && want->dims[r - 2] == have->dims[r - 1];
}

/* --- prefixes --- */

/* How many missing keys the file has with (longer) or without `prefix`. */
static size_t found_with(Binder *b, const char *prefix, size_t n, bool longer)
{
	size_t found = 0;
	for (size_t i = 0; i < b->misfits.n; i++) {
		const Misfit *m = &b->misfits.at[i];
		const char *key = m->key;
		if (m->kind != MISFIT_MISSING) continue;
		if (longer)
			key = arena_printf(b->arena, "%.*s%s", (int)n, prefix, key);
		else if (strncmp(key, prefix, n) == 0)
			key += n;
		else
			continue;
		found += tensor_file_find(b->f, key) != NULL;
	}
	return found;
}

/* A prefix that the file's key has more, or less, than a missing one. */
static bool prefix_between(const char *key, const char *have, const char **prefix, size_t *size,
                           bool *longer)
{
	size_t n = strlen(key), k = strlen(have);
	*longer = k > n && have[k - n - 1] == '.' && strcmp(have + k - n, key) == 0;
	bool shorter = n > k && key[n - k - 1] == '.' && strcmp(key + n - k, have) == 0;
	*prefix = *longer ? have : key;
	*size = *longer ? k - n : n - k;
	return *longer || shorter;
}

/* Keys that the file has as they are, of those that could be told with another prefix; *one is such. */
static size_t found_as_is(Binder *b, const char *prefix, size_t n, bool longer, const char **one)
{
	size_t found = 0;
	for (size_t i = 0; i < b->m->weights.n; i++)
		for (uint32_t k = 0; k < b->m->weights.at[i].n_keys; k++) {
			const char *key = b->m->weights.at[i].keys[k];
			key = arena_strndup(b->arena, key, strcspn(key, "|"));
			if (!longer && strncmp(key, prefix, n) != 0) continue;
			if (!tensor_file_find(b->f, key)) continue;
			*one = key;
			found++;
		}
	return found;
}

/* Some keys of the file have the prefix and some do not: more than a head that stands outside. */
static bool prefix_mixed(Binder *b, const Misfit *m, const char *other, const char *prefix,
                         size_t n, bool longer, size_t found)
{
	const char *text = shown_name(b->arena, arena_strndup(b->arena, prefix, n)), *one = NULL;
	size_t as_is = found_as_is(b, prefix, n, longer, &one);
	if (as_is < 2 || as_is * 8 < found) return false;
	Diag *d = diag_error(
		b->d, m->weight->span,
		"some keys of '%s' have the prefix `%s` and some do not: %zu of %zu weights are there %s it, as %s, "
		"and %zu as in the model, as '%s'",
		path_of(b), text, found, b->keys, longer ? "with" : "without", shown(b, other), as_is, one);
	diag_help(b->d, d, "--prefix %s  reads a key either way", text);
	return true;
}

static bool prefix_differs(Binder *b, size_t missing)
{
	enum { TRIED = 8 };
	size_t tried = 0;
	for (size_t i = 0; i < b->misfits.n && tried < TRIED; i++) {
		const Misfit *m = &b->misfits.at[i];
		if (m->kind != MISFIT_MISSING) continue;
		tried++;
		for (size_t k = 0; k < b->f->n; k++) {
			const char *prefix;
			size_t size;
			bool longer;
			if (!prefix_between(m->key, b->f->list[k].name, &prefix, &size, &longer)) continue;
			size_t found = found_with(b, prefix, size, longer);
			if (found * 2 < missing) continue;
			if (prefix_mixed(b, m, b->f->list[k].name, prefix, size, longer, found)) return true;
			const char *text = shown_name(b->arena, arena_strndup(b->arena, prefix, size));
			Diag *d = diag_error(
				b->d, m->weight->span,
				"the keys of '%s' %s `%s`, those of the model %s: %s beside '%s' (%zu of %zu weights)",
				path_of(b), longer ? "begin with" : "lack the prefix", text,
				longer ? "do not" : "have it", shown(b, b->f->list[k].name), m->key, found,
				b->keys);
			diag_help(b->d, d, "--prefix %s  reads the file so", text);
			if (longer)
				diag_help(b->d, d, "or give the model's layers that prefix:  use .. from \"%.*s\"",
				          (int)strlen(text) - 1, text);
			else
				diag_help(b->d, d, "or take it from the model's keys with  from \"\"");
			return true;
		}
	}
	return false;
}

/* --- numbers of layers --- */

/* The pattern of a key, its numbers as `*`; the last number goes to *number. */
static const char *key_pattern(Binder *b, const char *key, long *number)
{
	Text t = text_new(b->arena);
	*number = -1;
	for (const char *s = key; *s;) {
		bool begins = s == key || s[-1] == '.';
		size_t n = strspn(s, "0123456789");
		if (begins && n && n < 9 && (s[n] == '.' || !s[n])) {
			if (*number < 0) *number = strtol(s, NULL, 10);
			text_puts(&t, "*");
			s += n;
		} else {
			text_append(&t, s++, 1);
		}
	}
	return t.at ? t.at : "";
}

/* The greatest first number among the file's keys of a pattern, or -1. */
static long file_reaches(Binder *b, const char *pattern)
{
	long most = -1, n;
	for (size_t i = 0; i < b->f->n; i++)
		if (strcmp(key_pattern(b, b->f->list[i].name, &n), pattern) == 0 && n > most) most = n;
	return most;
}

static long model_reaches(Binder *b, const char *pattern)
{
	long most = -1, n;
	for (size_t i = 0; i < b->m->weights.n; i++)
		for (uint32_t k = 0; k < b->m->weights.at[i].n_keys; k++) {
			const char *key = b->m->weights.at[i].keys[k];
			key = arena_strndup(b->arena, key, strcspn(key, "|"));
			if (strcmp(key_pattern(b, key, &n), pattern) == 0 && n > most) most = n;
		}
	return most;
}

static bool help_with_layers(Binder *b, Diag *d, const char *key)
{
	long n;
	const char *pattern = key_pattern(b, key, &n);
	if (n < 0) return false;
	long file = file_reaches(b, pattern), model = model_reaches(b, pattern);
	if (file < 0 || model < 0 || file == model) return false;
	diag_help(b->d, d,
	          "`%s` goes up to %ld in the file, up to %ld in the model: the number of layers is a "
	          "setting,  --set L=%ld",
	          shown_name(b->arena, pattern), file, model, file + 1);
	return true;
}

/* --- missing keys --- */

static const char *nearest_key(Binder *b, const char *key)
{
	const char **names = NEW_ARRAY(b->arena, const char *, b->f->n + 1);
	size_t n = 0;
	for (size_t i = 0; i < b->f->n; i++)
		if (!b->used[i]) names[n++] = b->f->list[i].name;
	return nearest_name(key, names, n);
}

/* The only unused tensor of the shape, or NULL. */
static const HostTensor *only_one_of_shape(Binder *b, const HostTensor *want)
{
	const HostTensor *one = NULL;
	for (size_t i = 0; i < b->f->n; i++) {
		if (b->used[i] || !same_shape(want, &b->f->list[i])) continue;
		if (one) return NULL;
		one = &b->f->list[i];
	}
	return one;
}

/* A head that is missing while the table of embeddings, of its shape, is there: they are one tensor. */
static const HostTensor *tied_to(Binder *b, const Misfit *m)
{
	static const char *const heads[] = {"head", "output", "decoder", "embed", "wte", "shared"};
	static const char *const tables[] = {"embed", "wte", "shared"};
	bool head = false;
	for (size_t i = 0; i < COUNT(heads); i++) head |= strstr(m->key, heads[i]) != NULL;
	for (size_t i = 0; head && i < b->f->n; i++)
		for (size_t k = 0; k < COUNT(tables); k++)
			if (strstr(b->f->list[i].name, tables[k]) && same_shape(&b->f->list[i], &m->want))
				return &b->f->list[i];
	return NULL;
}

static void help_with_unused(Binder *b, Diag *d)
{
	Text t = text_new(b->arena);
	size_t n = 0;
	for (size_t i = 0; i < b->f->n; i++)
		if (!b->used[i] && n++ < SHOWN)
			text_printf(&t, "%s%s", n > 1 ? ", " : "", shown(b, b->f->list[i].name));
	if (n)
		diag_help(b->d, d, "in their place the file has %s%s: keys are given with  from \"..\"",
		          t.at, n > SHOWN ? ", .." : "");
	else
		diag_help(b->d, d, "the model uses all that the file has: is the checkpoint whole?");
}

static void help_with_missing(Binder *b, Diag *d, const Misfit *m)
{
	const char *near = nearest_key(b, m->key);
	const HostTensor *have = near ? tensor_file_find(b->f, near) : NULL, *tied = tied_to(b, m),
					 *alike = only_one_of_shape(b, &m->want);
	if (!tied && !have && help_with_layers(b, d, m->key)) return;
	if (tied)
		diag_help(b->d, d, "%s has its shape: when the two are tied, write  from \"%s\" or \"%s\"",
		          shown(b, tied->name), m->key, shown_name(b->arena, tied->name));
	else if (have)
		diag_help(b->d, d, "the nearest key is %s, %s%s", shown(b, near),
		          host_tensor_type(b->arena, have),
		          same_shape(&m->want, have)        ? ""
		          : fits_transposed(&m->want, have) ? ": it would fit transposed"
		                                            : ": another shape");
	else if (alike)
		diag_help(b->d, d, "%s has this shape and is not used", shown(b, alike->name));
	else
		help_with_unused(b, d);
}

static void report_missing(Binder *b, size_t missing)
{
	const Misfit *first = NULL;
	Text t = text_new(b->arena);
	size_t n = 0;
	for (size_t i = 0; i < b->misfits.n; i++) {
		const Misfit *m = &b->misfits.at[i];
		if (m->kind != MISFIT_MISSING) continue;
		if (!first) first = m;
		if (n++ < SHOWN) text_printf(&t, "%s'%s'", n > 1 ? ", " : "", m->key);
	}
	if (missing > SHOWN) text_printf(&t, " and %zu more", missing - SHOWN);
	if (missing == 1) {
		Diag *d = diag_error(b->d, first->weight->span, "'%s' has no weight '%s' of type %s",
		                     path_of(b), first->key, host_tensor_type(b->arena, &first->want));
		if (first->alternatives)
			diag_help(b->d, d, "none of its alternatives is there either: %s",
			          first->weight->keys[0]);
		help_with_missing(b, d, first);
		return;
	}
	Diag *d = diag_error(b->d, first->weight->span, "'%s' lacks %zu of the model's %zu weights: %s",
	                     path_of(b), missing, b->keys, t.at);
	help_with_missing(b, d, first);
}

/* Nothing of the model is in the file. */
static bool other_model(Binder *b, size_t missing)
{
	if (missing < b->keys || b->keys < 2 || !b->f->n) return false;
	Text t = text_new(b->arena);
	for (size_t i = 0; i < b->f->n && i < 3; i++)
		text_printf(&t, "%s%s", i ? ", " : "", shown(b, b->f->list[i].name));
	const Misfit *m = &b->misfits.at[0];
	Diag *d = diag_error(b->d, m->weight->span,
	                     "'%s' holds another model: none of its %zu tensors has a key of this one",
	                     path_of(b), b->f->n);
	diag_help(b->d, d, "it has %s%s, the model takes '%s'%s", t.at, b->f->n > 3 ? ", .." : "",
	          m->key, b->keys > 1 ? ", .." : "");
	return true;
}

/* --- shapes and element types --- */

static size_t alike(const Binder *b, const Misfit *m)
{
	size_t n = 0;
	for (size_t i = 0; i < b->misfits.n; i++) {
		const Misfit *o = &b->misfits.at[i];
		if (o == m || o->kind != m->kind) continue;
		n += m->kind == MISFIT_DTYPE
		         ? o->have->dtype == m->have->dtype && o->want.dtype == m->want.dtype
		         : fits_transposed(&o->want, o->have) == fits_transposed(&m->want, m->have);
	}
	return n;
}

static void help_with_more(Binder *b, Diag *d, const Misfit *m)
{
	size_t n = alike(b, m);
	if (n) diag_help(b->d, d, "the same holds for %zu more weight%s", n, n == 1 ? "" : "s");
}

static void report_shape(Binder *b, const Misfit *m)
{
	Diag *d = diag_error(b->d, m->weight->span, "weight %s of '%s' is %s, the model takes %s",
	                     shown(b, m->have->name), path_of(b), host_tensor_type(b->arena, m->have),
	                     host_tensor_type(b->arena, &m->want));
	int64_t have = host_tensor_count(m->have), want = host_tensor_count(&m->want);
	const char *name = strrchr(m->weight->name, '.');
	if (fits_transposed(&m->want, m->have))
		diag_help(b->d, d,
		          "it would fit transposed: declare the dims the other way round and use %s.T",
		          name ? name + 1 : m->weight->name);
	else if (have == want)
		diag_help(b->d, d,
		          "it has as many elements: declare it so, and reshape it where it is used");
	else if (m->have->rank == m->want.rank)
		diag_help(b->d, d, "widths are settings of the model:  --set NAME=VALUE");
	help_with_more(b, d, m);
}

static void report_dtype(Binder *b, const Misfit *m)
{
	DType have = m->have->dtype, want = m->want.dtype;
	bool kinds = dtype_is_float(have) != dtype_is_float(want);
	Diag *d = diag_error(b->d, m->weight->span, "weight %s of '%s' holds %s, the model takes %s%s",
	                     shown(b, m->have->name), path_of(b), dtype_name(have), dtype_name(want),
	                     kinds ? "" : ": loading never narrows");
	if (kinds && dtype_is_float(want))
		diag_help(b->d, d,
		          "a quantised weight is declared as %s and multiplied by its scale where it is "
		          "used:  f32(w) * scale",
		          dtype_name(have));
	else if (have == DT_F64)
		diag_help(b->d, d, "the widest float of a model is f32: convert the checkpoint");
	else if (want == DT_I4)
		diag_help(b->d, d,
		          "i4 is -8 to 7, in bytes of i8; of 0 to 15, take 8 from the weights and from "
		          "their zero points");
	else
		diag_help(b->d, d, "declare it as %s", dtype_name(have));
	help_with_more(b, d, m);
}

void misfits_report(Binder *b)
{
	size_t missing = 0;
	bool told[2][2] = {{false}};
	for (size_t i = 0; i < b->misfits.n; i++) missing += b->misfits.at[i].kind == MISFIT_MISSING;
	if (missing && !prefix_differs(b, missing) && !other_model(b, missing))
		report_missing(b, missing);
	for (size_t i = 0; i < b->misfits.n; i++) {
		const Misfit *m = &b->misfits.at[i];
		if (m->kind == MISFIT_MISSING) continue;
		bool dtype = m->kind == MISFIT_DTYPE;
		bool which = dtype ? dtype_is_float(m->have->dtype) : fits_transposed(&m->want, m->have);
		if (told[dtype][which]) continue;
		told[dtype][which] = true;
		if (dtype)
			report_dtype(b, m);
		else
			report_shape(b, m);
	}
}

/* --- what nobody uses --- */

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

/* A key that is another one of the file, of a narrow type, with `_scale` behind it: the declared type lacks it. */
static bool help_with_scales(Binder *b, Diag *m, const char *key)
{
	for (size_t i = 0; i < b->f->n; i++) {
		const HostTensor *t = &b->f->list[i];
		size_t n = strlen(t->name);
		bool narrow = dtype_bytes(t->dtype, 2) <= 2 && t->dtype != DT_BOOL;
		if (!narrow || !n || strncmp(key, t->name, n) != 0 || !strstr(key + n, "scale")) continue;
		diag_help(
			b->d, m,
			"%s is stored with scales; declare that:  let stored = scaled(%s, f32, block=[..], "
			"key=\"{key}%s\")",
			shown(b, t->name), dtype_name(t->dtype), shown_name(b->arena, key + n));
		return true;
	}
	return false;
}

bool surplus_report(Binder *b)
{
	size_t n = 0;
	const char *first = NULL;
	Text t = text_new(b->arena);
	for (size_t i = 0; i < b->f->n; i++) {
		bool ignored = b->used[i];
		for (size_t k = 0; k < b->m->ignore.n && !ignored; k++)
			ignored = matches(b->m->ignore.at[k], b->f->list[i].name);
		if (ignored) continue;
		if (!first) first = b->f->list[i].name;
		if (n < SHOWN) text_printf(&t, "%s%s", n ? ", " : "", shown(b, b->f->list[i].name));
		n++;
	}
	if (!n) return false;
	if (n > SHOWN) text_printf(&t, " and %zu more", n - SHOWN);
	long number;
	Diag *m =
		diag_error(b->d, span_none(), "the model uses no weight %s of '%s'", t.at, path_of(b));
	if (!help_with_scales(b, m, first) && !help_with_layers(b, m, first))
		diag_help(b->d, m, "what may go unused is named at the model:  @ignore(\"%s\")",
		          shown_name(b->arena, key_pattern(b, first, &number)));
	return true;
}
