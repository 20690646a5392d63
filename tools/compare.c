/* The same call on a second target: how far its outputs differ, and when they differ by more than
 * rounding explains, the first named value inside the model that does. */
#include "tools/tool.h"

#include <string.h>

/* More than this, relative to the largest magnitude, is looked into. */
static const double suspicious = 1e-3;

/* Runs the entry of the file on a target; out is NULL when every named value is wanted, then *list
 * gets outputs and values in the order of computation. */
static bool run_on(Tool *t, const char *path, const char *entry, TargetId target,
                   const HostTensor *in, uint32_t n_in, const Names *expose, HostTensor **list,
                   uint32_t *n)
{
	Runner r;
	uint32_t number;
	if (!runner_open(t, path, target, expose, &r)) return false;
	CallReport report;
	bool done = runner_entry(&r, entry, &number);
	if (done) {
		const InterfaceEntry *e = &r.face->entry[number];
		*n = e->n_out;
		*list = NEW_ARRAY(t->arena, HostTensor, e->n_out + 1);
		progress_begin(t, arena_printf(t->arena, "comparing with %s", target_name(target)));
		done = e->n_in == n_in && runner_call(&r, t->arena, number, in, *list, &report);
	}
	progress_end(t);
	runner_close(&r);
	return done;
}

static bool find_first(Tool *t, const char *path, const char *entry, TargetId target,
                       TargetId other, const HostTensor *in, uint32_t n_in, uint32_t n_out,
                       Compared *result)
{
	Names all = {0};
	vec_push(t->arena, &all, "all");
	HostTensor *mine, *reference;
	uint32_t n, m;
	if (!run_on(t, path, entry, target, in, n_in, &all, &mine, &n)) return false;
	if (!run_on(t, path, entry, other, in, n_in, &all, &reference, &m)) return false;
	for (uint32_t i = n_out; i < n && i < m; i++) {
		Difference d = tensor_difference(&mine[i], &reference[i]);
		if (!(d.relative > suspicious)) continue;
		result->first = mine[i].name;
		result->at_first = d;
		break;
	}
	return true;
}

bool compare_run(Tool *t, const char *path, const char *entry, const HostTensor *in, uint32_t n_in,
                 const HostTensor *out, uint32_t n_out, TargetId target, Compared *result)
{
	TargetId other;
	HostTensor *reference;
	uint32_t n;
	if (!target_named(t, t->a.compare, &other)) return false;
	if (!run_on(t, path, entry, other, in, n_in, NULL, &reference, &n)) return false;
	*result =
		(Compared){.with = target_name(other), .each = NEW_ARRAY(t->arena, Difference, n_out + 1)};
	for (uint32_t i = 0; i < n && i < n_out; i++) {
		result->each[i] = tensor_difference(&out[i], &reference[i]);
		difference_merge(&result->worst, result->each[i]);
	}
	if (!(result->worst.relative > suspicious)) return true;
	return find_first(t, path, entry, target, other, in, n_in, n_out, result);
}
