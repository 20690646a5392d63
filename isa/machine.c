/* Machines: the named profiles of isa.def, and hardware files of `key = value` lines over a profile.
 * What is accepted here is sane: sizes are positive and far from overflow. */
#include "isa/isa.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool pearl_machine_named(const char *name, PearlMachine *out)
{
	static const PearlMachine machines[] = {
		{
			"base",
#define MACHINE_KEY(name, base, ...) base,
#include "isa/isa.def"
		},
		{
			"nano",
#define MACHINE_KEY(name, base, nano, ...) nano,
#include "isa/isa.def"
		},
	};
	for (size_t i = 0; i < COUNT(machines); i++) {
		if (strcmp(machines[i].name, name) != 0) continue;
		*out = machines[i];
		return true;
	}
	return false;
}

int64_t *pearl_machine_field(PearlMachine *m, const char *key)
{
	for (uint32_t i = 0; i < pearl_machine_keys; i++)
		if (strcmp(pearl_machine_key[i].name, key) == 0)
			return (int64_t *)(void *)((char *)m + pearl_machine_key[i].offset);
	return NULL;
}

const char *pearl_machine_nearest(const char *key)
{
	const char *names[64];
	uint32_t n = 0;
	for (uint32_t i = 0; i < pearl_machine_keys && n < COUNT(names); i++)
		names[n++] = pearl_machine_key[i].name;
	return nearest_name(key, names, n);
}

/* The smallest and greatest value of a key. Only the global SRAM may be absent. */
static void key_range(const char *name, int64_t *lo, int64_t *hi)
{
	static const struct {
		const char *name;
		int64_t lo, hi;
	} ranges[] = {
		{"cores", 1, 1024},
		{"array_rows", 1, 4096},
		{"array_cols", 1, 4096},
		{"acc_rows", 1, 1 << 20},
		{"gsm_bytes", 0, INT64_C(1) << 40},
		{"hbm_channels", 1, 1024},
		{"vector_lanes", 1, 65536},
		{"queue_depth", 1, 1024},
		{"spm_bytes", 1024, INT64_C(1) << 32},
		{"link_latency", 0, 1000000},
		{"hbm_latency", 0, 1000000},
		{"clock_mhz", 1, 100000},
		{"hbm_bytes", 1024, INT64_C(1) << 46},
	};
	*lo = 1;
	*hi = 1 << 20;
	for (size_t i = 0; i < COUNT(ranges); i++) {
		if (strcmp(ranges[i].name, name) != 0) continue;
		*lo = ranges[i].lo;
		*hi = ranges[i].hi;
	}
}

const char *pearl_machine_check(Arena *a, const PearlMachine *m)
{
	for (uint32_t i = 0; i < pearl_machine_keys; i++) {
		int64_t lo, hi, v;
		key_range(pearl_machine_key[i].name, &lo, &hi);
		memcpy(&v, (const char *)m + pearl_machine_key[i].offset, sizeof v);
		if (v >= lo && v <= hi) continue;
		return arena_printf(a, "%s is %lld, it must lie in %lld..%lld", pearl_machine_key[i].name,
		                    (long long)v, (long long)lo, (long long)hi);
	}
	return NULL;
}

typedef struct Reader {
	Diags *diags;
	Arena *arena;
	const Source *source;
	PearlMachine *machine;
	bool based; /* a key was set: `base` comes too late */
} Reader;

static Span part(const Reader *r, const char *from, const char *to)
{
	return (Span){r->source, (uint32_t)(from - r->source->text), (uint32_t)(to - r->source->text)};
}

static void set_number(Reader *r, const char *key, Span key_span, const char *from, const char *to)
{
	int64_t *field = pearl_machine_field(r->machine, key);
	if (!field) {
		Diag *d = diag_error(r->diags, key_span, "unknown machine key '%s'", key);
		const char *near = pearl_machine_nearest(key);
		if (near) diag_help(r->diags, d, "did you mean '%s'?", near);
		return;
	}
	const char *text = arena_strndup(r->arena, from, (size_t)(to - from));
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 0);
	if (errno || end == text || *end) {
		diag_error(r->diags, part(r, from, to), "'%s' must be a whole number", key);
		return;
	}
	*field = v;
	int64_t lo, hi;
	key_range(key, &lo, &hi);
	if (v < lo || v > hi)
		diag_error(r->diags, part(r, from, to), "'%s' must lie in %lld..%lld", key, (long long)lo,
		           (long long)hi);
	r->based = true;
}

static void set_key(Reader *r, const char *key, Span key_span, const char *from, const char *to)
{
	bool is_base = strcmp(key, "base") == 0, is_name = strcmp(key, "name") == 0;
	if (!is_base && !is_name) {
		set_number(r, key, key_span, from, to);
		return;
	}
	if (to - from >= 2 && *from == '"' && to[-1] == '"') from++, to--;
	const char *value = arena_strndup(r->arena, from, (size_t)(to - from));
	if (is_name) {
		r->machine->name = value;
		return;
	}
	const char *name = r->machine->name;
	if (r->based)
		diag_error(r->diags, key_span, "'base' must come before the keys that change it");
	else if (!pearl_machine_named(value, r->machine))
		diag_error(r->diags, part(r, from, to), "no machine is named '%s'; there are base and nano",
		           value);
	else
		r->machine->name = name;
}

static void read_line(Reader *r, const char *at, const char *end)
{
	for (const char *s = at; s < end; s++)
		if (*s == '#' || *s == ';') end = s;
	while (at < end && isspace((unsigned char)*at)) at++;
	while (end > at && isspace((unsigned char)end[-1])) end--;
	if (at == end) return;
	const char *eq = memchr(at, '=', (size_t)(end - at));
	if (!eq) {
		diag_error(r->diags, part(r, at, end), "expected `key = value`");
		return;
	}
	const char *key_end = eq, *value = eq + 1;
	while (key_end > at && isspace((unsigned char)key_end[-1])) key_end--;
	while (value < end && isspace((unsigned char)*value)) value++;
	const char *key = arena_strndup(r->arena, at, (size_t)(key_end - at));
	set_key(r, key, part(r, at, key_end), value, end);
}

bool pearl_machine_read(Diags *d, Arena *a, const char *path_or_name, PearlMachine *out)
{
	if (pearl_machine_named(path_or_name, out)) return true;
	const char *why = NULL;
	const Source *s = source_from_file(a, path_or_name, &why);
	if (!s) {
		Diag *e = diag_error(d, span_none(), "machine '%s': %s", path_or_name, why);
		diag_help(d, e, "a machine is base, nano, or a file of `key = value` lines");
		return false;
	}
	const char *slash = strrchr(path_or_name, '/');
	pearl_machine_named("base", out);
	out->name = arena_strdup(a, slash ? slash + 1 : path_or_name);
	Reader r = {d, a, s, out, false};
	uint32_t before = d->errors;
	const char *at = s->text, *stop = s->text + s->size;
	while (at < stop) {
		const char *end = memchr(at, '\n', (size_t)(stop - at));
		if (!end) end = stop;
		read_line(&r, at, end);
		at = end < stop ? end + 1 : stop;
	}
	return d->errors == before;
}
