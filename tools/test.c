/* nacre test: the inline tests of model files. Each is a module whose outputs are the asserts. */
#include "tools/tool.h"

#include <string.h>

typedef struct Tally {
	uint32_t passed, failed, left_out;
	json_t *list;
} Tally;

/* The asserts that do not hold become messages. */
static bool asserts_hold(Tool *t, const FrontendTest *test, const HostTensor *out, uint32_t n)
{
	bool all = true;
	for (uint32_t i = 0; i < n; i++) {
		bool holds = host_tensor_count(&out[i]) > 0;
		for (int64_t k = 0; k < host_tensor_count(&out[i]); k++)
			holds = holds && dtype_load(out[i].dtype, out[i].data, k) != 0;
		if (holds) continue;
		all = false;
		Span at = i < test->assert_span.n ? test->assert_span.at[i] : test->span;
		diag_error(&t->d, at, "test \"%s\" failed: %s", test->name,
		           i < test->assert_text.n ? test->assert_text.at[i] : "an assert");
	}
	return all;
}

static bool test_run(Tool *t, const FrontendTest *test, TargetId target)
{
	Runner r;
	uint32_t entry;
	if (!test->module) return false;
	/* A test that uses layers with weights gets the same made-up ones each time. */
	t->a.random_weights.given = test->module->weights.n > 0;
	if (!runner_open_module(t, test->module, target, &r)) return false;
	Arena *a = tool_arena(t);
	bool ok = runner_entry(&r, NULL, &entry);
	if (ok) {
		uint32_t n = r.face->entry[entry].n_out;
		HostTensor *out = NEW_ARRAY(a, HostTensor, n + 1);
		CallReport report;
		ok = runner_call(&r, a, entry, NULL, out, &report) && asserts_hold(t, test, out, n);
	}
	arena_free(a);
	runner_close(&r);
	return ok;
}

static bool test_file(Tool *t, const char *path, TargetId target, Tally *tally)
{
	const Source *s = source_open(t, path);
	if (!s) return false;
	FrontendOptions o = {.set = t->a.set.at, .n_set = (uint32_t)t->a.set.n};
	FrontendUnit unit = {0};
	if (!frontend_load(t->arena, t->names, &t->d, s, &o, &unit)) return false;
	for (size_t i = 0; i < unit.tests.n; i++) {
		const FrontendTest *test = &unit.tests.at[i];
		if (test->target && target_info[target].compiled &&
		    strcmp(test->target, target_name(target)) != 0) {
			if (!t->a.json)
				printf("left out %s: %s: for %s only\n", path, test->name, test->target);
			tally->left_out++;
			continue;
		}
		bool ok = test_run(t, test, target);
		if (ok)
			tally->passed++;
		else
			tally->failed++;
		if (!t->a.json) printf("%s %s: %s\n", ok ? "pass" : "FAIL", path, test->name);
		json_array_append_new(tally->list, json_pack("{s:s, s:s, s:b}", "file", path, "test",
		                                             test->name, "passed", (int)ok));
	}
	return true;
}

bool command_test(Tool *t)
{
	TargetId target;
	if (!target_chosen(t, TARGET_INTERP, &target)) return false;
	Tally tally = {.list = json_array()};
	bool ok = true;
	for (size_t i = 0; i < t->a.files.n; i++)
		ok = test_file(t, t->a.files.at[i], target, &tally) && ok;
	if (t->a.json) {
		report_json(t, tally.list);
	} else {
		json_decref(tally.list);
		printf("%u passed, %u failed", tally.passed, tally.failed);
		if (tally.left_out) printf(", %u left out", tally.left_out);
		printf(" on %s\n", target_name(target));
	}
	return ok && tally.failed == 0;
}
