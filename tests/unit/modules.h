/* Whole modules, the .ir files of tests/build: every entry in turn, at random dims within their
 * ranges. */
#ifndef NACRE_TESTS_MODULES_H
#define NACRE_TESTS_MODULES_H
#include "agree.h"

#include <dirent.h>

static Module *load(Arena *a, Agree *r, const char *path)
{
	Diags d = {.arena = a};
	const char *why = NULL;
	const Source *s = source_from_file(a, path, &why);
	cr_assert(s, "%s: %s", path, why);
	Module *m = module_parse(a, &d, s);
	if (!m || !module_verify(&d, m)) agree_show(r, &d, "module");
	return d.errors ? NULL : m;
}

static bool required(const Agree *r, const Module *m, const Entry *e)
{
	for (size_t i = 0; i < m->require.n; i++)
		if (agree_dim(m, r->params, m->require.at[i]) < 0) return false;
	for (size_t i = 0; i < e->require.n; i++)
		if (agree_dim(m, r->params, e->require.at[i]) < 0) return false;
	return true;
}

/* Random values for the dims of one kind; false when none were found that the entry allows. */
static bool choose(Agree *r, DimSymKind kind, const Entry *e)
{
	const Module *m = r->oracle;
	for (int attempt = 0; attempt < 50; attempt++) {
		for (size_t i = 0; i < m->params.n; i++) {
			const DimSym *s = m->params.at[i];
			if (s->kind != kind) continue;
			int64_t lo = agree_dim(m, r->params, s->lo), hi = agree_dim(m, r->params, s->hi);
			r->seed = r->seed * 6364136223846793005u + 1442695040888963407u;
			r->params[i] = lo + (int64_t)(r->seed >> 33) % (hi - lo + 1);
		}
		if (!e || required(r, m, e)) return true;
	}
	return false;
}

static void run_file(const char *path, const TileTraits *tiles, uint64_t seed,
                     const AgreeOther *other)
{
	Arena *a = arena_new();
	Agree r = {.arena = a,
	           .title = path,
	           .seed = seed,
	           .positive = strstr(path, "convs") != NULL,
	           .other = other};
	r.oracle = load(a, &r, path);
	r.m = load(a, &r, path);
	if (r.oracle && r.m && agree_build(&r, tiles)) {
		choose(&r, SYM_SESSION, NULL);
		choose(&r, SYM_CALL, NULL);
		bool ok = agree_start(&r);
		for (int round = 0; ok && round < 3; round++)
			for (size_t e = 0; ok && e < r.oracle->entries.n; e++)
				if (choose(&r, SYM_CALL, r.oracle->entries.at[e])) ok = agree_call(&r, e);
	}
	if (other) other->finish(&r);
	arena_free(a);
}

static void run_modules(const TileTraits *tiles, const AgreeOther *other)
{
	const char *folder = NACRE_TESTS_DIR "/build";
	DIR *d = opendir(folder);
	uint32_t files = 0;
	cr_assert(d);
	for (const struct dirent *e; (e = readdir(d));) {
		char path[512];
		size_t n = strlen(e->d_name);
		if (n < 3 || strcmp(e->d_name + n - 3, ".ir")) continue;
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		for (uint64_t seed = 1; seed <= 3; seed++) run_file(path, tiles, seed, other);
		files++;
	}
	closedir(d);
	cr_expect(files > 3);
}

#endif
