/* nacre opt: passes over a module, printed. */
#include "tools/tool.h"

#include <string.h>

/* The names of --pass, or the target's pipeline; NULL after an error. */
static const char *const *pipeline(Tool *t, const Target *target)
{
	if (!option_given(t, OPT_pass)) return target->pipeline ? target->pipeline : passes_default;
	const char *names[NUM_PASSES];
	for (size_t i = 0; i < NUM_PASSES; i++) names[i] = passes[i].name;
	for (size_t i = 0; i < t->a.pass.n; i++) {
		if (pass_named(t->a.pass.at[i])) continue;
		Diag *d = diag_error(&t->d, span_none(), "there is no pass `%s`", t->a.pass.at[i]);
		const char *near = nearest_name(t->a.pass.at[i], names, NUM_PASSES);
		if (near) diag_help(&t->d, d, "did you mean `%s`?", near);
		return NULL;
	}
	Names list = t->a.pass;
	vec_push(t->arena, &list, NULL);
	return list.at;
}

static bool print_after_known(Tool *t)
{
	const char *name = t->a.print_after;
	if (!name || strcmp(name, "all") == 0 || pass_named(name)) return true;
	return tool_fail(t, "--print-after %s: there is no pass of that name", name);
}

static void print_times(Tool *t, const char *const *names, const double *seconds)
{
	Table table = table_new(t->arena, 2, (const char *const[]){"pass", "time"});
	double sum = 0;
	for (size_t i = 0; names[i]; i++) {
		table_cell(&table, "%s", names[i]);
		table_cell(&table, "%s", seconds_text(t->arena, seconds[i]));
		sum += seconds[i];
	}
	table_cell(&table, "all");
	table_cell(&table, "%s", seconds_text(t->arena, sum));
	table_print(&table, stderr);
}

bool command_opt(Tool *t)
{
	TargetId id;
	Target target;
	Module *m = module_load(t, t->a.files.at[0]);
	if (m && t->a.target && !module_for_target(m, &t->d, t->a.target)) return false;
	if (!m || !target_chosen(t, TARGET_INTERP, &id) || !target_traits(t, id, &target) ||
	    !print_after_known(t))
		return false;
	const char *const *names = pipeline(t, &target);
	if (!names) return false;
	size_t n = 0;
	while (names[n]) n++;
	Text text = text_new(t->arena);
	PassOptions o = {.names = names,
	                 .print_after = t->a.print_after,
	                 .printed = &text,
	                 .verify_each = true,
	                 .seconds = NEW_ARRAY(t->arena, double, n + 1)};
	if (!passes_run(m, &t->d, &target, &o)) {
		if (t->a.print_after) write_text(t, &text);
		return false;
	}
	if (t->a.tile_out) {
		TileProgram *p = tile_build(m, &t->d, &target.traits);
		if (!p || !tile_verify(&t->d, p)) return false;
		tile_print(&text, p);
	} else if (!t->a.print_after) {
		module_print(&text, m);
	}
	if (t->a.timing) print_times(t, names, o.seconds);
	return write_text(t, &text);
}
