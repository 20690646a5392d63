/* Every rewrite rule fires in some file of tests/passes, and what a pass makes computes the same. */
#include "agree_values.h"
#include "codegen/tile/build.h"
#include "ir/ir.h"
#include "passes/passes.h"
#include "support/support.h"

#include <dirent.h>

static const char *const rewriting[] = {"canonicalize", "decompose", "raise",
                                        "fold_norm",    "flatten",   "layout",
                                        "turns",        "scales",    NULL};

static bool has_line(const Text *t, const char *line, size_t n)
{
	for (const char *s = t->at; s && *s; s = strchr(s, '\n') + 1)
		if (strncmp(s, line, n) == 0 && s[n] == '\n') return true;
	return false;
}

/* The names after `# passes:`. */
static const char *const *passes_of(Arena *a, const Source *s)
{
	static const char mark[] = "# passes:";
	const char *at = strstr(s->text, mark);
	const char **names = NEW_ARRAY(a, const char *, 16);
	uint32_t n = 0;
	if (!at) return NULL;
	for (at += strlen(mark); *at != '\n';) {
		size_t length = strcspn(at, " \n");
		if (length) names[n++] = arena_strndup(a, at, length);
		at += length;
		if (*at == ' ') at++;
	}
	return names;
}

static void compare_results(Agree *r, size_t entry)
{
	Diags d = {.arena = r->arena};
	const Entry *e = r->oracle->entries.at[entry];
	Value *in = NEW_ARRAY(r->arena, Value, e->in_names.n + 1);
	Value *want = NEW_ARRAY(r->arena, Value, e->out_names.n + 1);
	Value *got = NEW_ARRAY(r->arena, Value, e->out_names.n + 1);
	InterpretOptions exact = {.exact = true};
	for (size_t k = 0; k < e->in_names.n; k++)
		in[k] = agree_value(r, &e->graph->args.at[k]->type, false);
	bool ok = module_interpret(r->arena, &d, r->oracle, e, r->params, in, r->weights, NULL, want,
	                           &exact) &&
	          module_interpret(r->arena, &d, r->m, r->m->entries.at[entry], r->params, in,
	                           r->weights, NULL, got, &exact);
	if (!ok) agree_show(r, &d, e->name);
	for (size_t k = 0; ok && k < e->out_names.n; k++)
		for (int64_t i = 0; i < want[k].count; i++) {
			if (agree_close(got[k].at[i], want[k].at[i], want[k].type.dtype)) continue;
			cr_expect(false, "%s: entry %s, output %s: element %ld is %g, not %g", r->title,
			          e->name, e->out_names.at[k], i, got[k].at[i], want[k].at[i]);
			break;
		}
}

static void run_entries(Agree *r)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		r->seed = seed;
		for (size_t i = 0; i < r->oracle->params.n; i++) {
			int64_t lo = agree_dim(r->oracle, r->params, r->oracle->params.at[i]->lo);
			int64_t hi = agree_dim(r->oracle, r->params, r->oracle->params.at[i]->hi);
			/* the last is the largest, so that lengths are in order where that is required */
			r->params[i] =
				i + 1 == r->oracle->params.n ? hi : lo + (int64_t)(seed * 7 + i) % (hi - lo + 1);
		}
		r->weights = NEW_ARRAY(r->arena, Value, r->oracle->weights.n + 1);
		for (size_t k = 0; k < r->oracle->weights.n; k++)
			r->weights[k] = agree_value(r, &r->oracle->weights.at[k].type, false);
		for (size_t e = 0; e < r->oracle->entries.n; e++) compare_results(r, e);
	}
}

/* A machine that multiplies integers as i8 only, for files with this mark. */
static bool wants_signed_bytes(const Source *s)
{
	return strstr(s->text, "# signed bytes") != NULL;
}

static void run_file(const char *path, Text *fired)
{
	Target bytes = {.name = "bytes", .traits = {.signed_bytes = true}};
	Arena *a = arena_new();
	Diags d = {.arena = a};
	Agree r = {.arena = a, .title = path};
	const char *why = NULL;
	const Source *s = source_from_file(a, path, &why);
	cr_assert(s, "%s: %s", path, why);
	r.oracle = module_parse(a, &d, s);
	r.m = module_parse(a, &d, s);
	PassOptions o = {.names = passes_of(a, s), .verify_each = true, .fired = fired};
	if (!r.oracle || !r.m ||
	    (o.names && !passes_run(r.m, &d, wants_signed_bytes(s) ? &bytes : NULL, &o)))
		agree_show(&r, &d, "passes");
	else if (o.names)
		run_entries(&r);
	arena_free(a);
}

Test(passes, rules)
{
	const char *folder = NACRE_TESTS_DIR "/passes";
	Arena *a = arena_new();
	Diags d = {.arena = a};
	Text fired = text_new(a), all = text_new(a);
	DIR *dir = opendir(folder);
	cr_assert(dir);
	for (const struct dirent *e; (e = readdir(dir));) {
		size_t n = strlen(e->d_name);
		if (n > 3 && strcmp(e->d_name + n - 3, ".ir") == 0)
			run_file(arena_printf(a, "%s/%s", folder, e->d_name), &fired);
	}
	closedir(dir);
	Module *m = module_new(a, interner_new(a), "empty");
	PassOptions o = {.names = rewriting, .fired = &all, .list_rules = true};
	cr_assert(passes_run(m, &d, NULL, &o));
	for (const char *s = all.at; s && *s; s = strchr(s, '\n') + 1) {
		size_t n = strcspn(s, "\n");
		cr_expect(has_line(&fired, s, n), "the rule %.*s fires in no file of tests/passes", (int)n,
		          s);
	}
	arena_free(a);
}
