/* The pass manager: runs a list of passes by name, verifying and printing between them. */
#include "passes/passes.h"

#include <string.h>
#include <time.h>

const Pass passes[NUM_PASSES] = {
#define PASS(name, summary) {#name, pass_##name, summary},
#include "passes/passes.def"
};

const char *const passes_default[] = {"inline",       "canonicalize", "fold",         "cse",
                                      "dce",          "raise",        "fold_norm",    "decompose",
                                      "canonicalize", "turns",        "layout",       "flatten",
                                      "canonicalize", "fold",         "route",        "cse",
                                      "dce",          "scales",       "form_kernels", NULL};

const Pass *pass_named(const char *name)
{
	for (size_t i = 0; i < NUM_PASSES; i++)
		if (strcmp(passes[i].name, name) == 0) return &passes[i];
	return NULL;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

bool passes_run(Module *m, Diags *d, const Target *target, const PassOptions *o)
{
	bool ok = true;
	Arena *scratch = arena_new();
	for (size_t i = 0; o->names[i] && ok; i++) {
		const Pass *p = pass_named(o->names[i]);
		if (!p) {
			diag_error(d, span_none(), "no pass is called `%s`", o->names[i]);
			ok = false;
			break;
		}
		ArenaMark mark = arena_mark(scratch);
		PassContext c = {.m = m,
		                 .d = d,
		                 .target = target,
		                 .scratch = scratch,
		                 .pass = p->name,
		                 .fired = o->fired,
		                 .list = o->list_rules};
		double began = now();
		p->run(&c);
		if (o->seconds) o->seconds[i] = now() - began;
		arena_reset(scratch, mark);
		ok = !c.failed;
		if (ok && o->verify_each && !module_verify(d, m)) {
			diag_error(d, span_none(), "the module is not valid after pass `%s`", p->name);
			ok = false;
		}
		if (o->print_after && o->printed &&
		    (strcmp(o->print_after, "all") == 0 || strcmp(o->print_after, p->name) == 0)) {
			text_printf(o->printed, "# after %s\n", p->name);
			module_print(o->printed, m);
		}
	}
	arena_free(scratch);
	return ok;
}
