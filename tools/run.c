/* nacre run: one call of one entry, with inputs from files and outputs to files. */
#include "tools/tool.h"

#include <string.h>

typedef struct Call {
	Tool *t;
	Runner r;
	uint32_t entry, n_in, n_out,
		plain_out; /* plain_out: outputs of the model, before those of --dump */
	HostTensor *in, *out;
	CallReport report;
	Compared compared;
	Names dumped;
	const char *dump_path;
} Call;

/* --dump a,b=file.npz */
static bool dump_read(Call *c)
{
	Tool *t = c->t;
	if (!t->a.dump) return true;
	const char *equals = strrchr(t->a.dump, '=');
	if (!equals || equals == t->a.dump || !equals[1])
		return tool_fail(t, "--dump %s: write NAME,...=FILE.npz", t->a.dump);
	c->dump_path = equals + 1;
	for (const char *s = t->a.dump; s < equals;) {
		const char *comma = memchr(s, ',', (size_t)(equals - s)), *end = comma ? comma : equals;
		if (end > s) vec_push(t->arena, &c->dumped, intern(t->names, s, (size_t)(end - s)));
		s = end + 1;
	}
	return true;
}

/* --- results ---------------------------------------------------------------------------------------------- */

static json_t *outputs_json(const Call *c)
{
	json_t *outputs = json_object();
	for (uint32_t i = 0; i < c->plain_out; i++) {
		json_t *one = tensor_json(&c->out[i]);
		if (c->compared.with) {
			json_object_set_new(one, "max_error", json_number(c->compared.each[i].absolute));
			json_object_set_new(one, "max_relative", json_number(c->compared.each[i].relative));
		}
		json_object_set_new(outputs, c->out[i].name, one);
	}
	return outputs;
}

static void print_json(Call *c)
{
	const Interface *f = c->r.face;
	json_t *dims = json_object();
	for (uint32_t i = 0; i < f->n_param; i++)
		if (c->r.dims.known[i])
			json_object_set_new(dims, f->param[i].name, json_integer(c->r.dims.value[i]));
	json_t *j = json_pack("{s:s, s:s, s:s, s:o, s:f, s:f, s:f, s:o, s:I}", "model", f->model,
	                      "entry", f->entry[c->entry].name, "target", target_name(c->r.target),
	                      "session_dims", dims, "seconds", c->report.seconds, "compile_seconds",
	                      c->r.compile_seconds, "load_seconds", c->r.load_seconds, "outputs",
	                      outputs_json(c), "peak_memory", (json_int_t)memory_peak());
	if (c->compared.with) {
		json_t *compared = json_pack("{s:s, s:o, s:o}", "target", c->compared.with, "max_error",
		                             json_number(c->compared.worst.absolute), "max_relative",
		                             json_number(c->compared.worst.relative));
		if (c->compared.first)
			json_object_set_new(compared, "first_difference", json_string(c->compared.first));
		json_object_set_new(j, "compare", compared);
	}
	if (c->report.planned)
		json_object_set_new(
			j, "memory",
			json_pack("{s:I, s:I, s:I, s:I, s:I}", "weights", (json_int_t)c->report.weights,
		              "state", (json_int_t)c->report.state, "activations",
		              (json_int_t)c->report.activations, "inputs", (json_int_t)c->report.inputs,
		              "outputs", (json_int_t)c->report.outputs));
	if (c->report.sim && !c->t->a.no_time)
		json_object_set_new(j, "sim", sim_json(c->report.sim, c->report.machine));
	report_json(c->t, j);
}

/* The first few elements. */
static void print_some(const HostTensor *x)
{
	enum { FEW = 8 };
	int64_t n = host_tensor_count(x);
	for (int64_t i = 0; i < n && i < FEW; i++)
		printf("%s%.6g", i ? ", " : " = [", dtype_load(x->dtype, x->data, i));
	if (n) fputs(n > FEW ? ", ...]" : "]", stdout);
}

static void print_text(Call *c)
{
	Tool *t = c->t;
	const Interface *f = c->r.face;
	printf("%s.%s on %s: %s", f->model, f->entry[c->entry].name, target_name(c->r.target),
	       seconds_text(t->arena, c->report.seconds));
	if (c->r.compile_seconds > 0)
		printf(", compiled in %s", seconds_text(t->arena, c->r.compile_seconds));
	putchar('\n');
	for (uint32_t i = 0; i < c->plain_out; i++) {
		printf("  %s %s", c->out[i].name, host_tensor_type(t->arena, &c->out[i]));
		print_some(&c->out[i]);
		if (c->compared.with)
			printf(", max error %.3g (relative %.3g)", c->compared.each[i].absolute,
			       c->compared.each[i].relative);
		putchar('\n');
	}
	if (c->report.sim && !t->a.no_time)
		sim_print(t, c->report.sim, c->report.machine, &f->entry[c->entry]);
	if (c->compared.with)
		printf("max error against %s: %.3g (relative %.3g)\n", c->compared.with,
		       c->compared.worst.absolute, c->compared.worst.relative);
	if (c->compared.first)
		printf("the first named value that differs is `%s`: max error %.3g (relative %.3g)\n",
		       c->compared.first, c->compared.at_first.absolute, c->compared.at_first.relative);
}

/* --- the call ------------------------------------------------------------------------------------------------ */

static bool call_run(Call *c, const Given *given)
{
	Tool *t = c->t;
	if (!runner_entry(&c->r, t->a.entry, &c->entry)) return false;
	const InterfaceEntry *e = &c->r.face->entry[c->entry];
	c->n_in = e->n_in;
	c->n_out = e->n_out;
	c->plain_out = c->n_out;
	if (c->dumped.n) c->plain_out = c->r.plain_outputs[c->entry];
	const char **names = NEW_ARRAY(t->arena, const char *, e->n_out + 1);
	for (uint32_t i = 0; i < e->n_out; i++) names[i] = c->r.face->tensor[e->out[i]].name;
	c->in = NEW_ARRAY(t->arena, HostTensor, e->n_in + 1);
	c->out = NEW_ARRAY(t->arena, HostTensor, e->n_out + 1);
	if (c->dump_path && !path_writable(t, c->dump_path)) return false;
	if (!outputs_check(t, names, c->plain_out) || !runner_inputs(&c->r, c->entry, given, c->in))
		return false;
	progress_begin(t, arena_printf(t->arena, "running on %s", target_name(c->r.target)));
	bool done = runner_call(&c->r, t->arena, c->entry, c->in, c->out, &c->report);
	progress_end(t);
	return done;
}

static bool results_write(Call *c)
{
	Tool *t = c->t;
	if (!outputs_write(t, c->out, c->plain_out)) return false;
	if (!c->dump_path) return true;
	/* Only beside outputs of the same names did they need another. */
	for (uint32_t i = c->plain_out; i < c->n_out; i++) {
		const char *name = c->out[i].name, *inner = strstr(name, ".inner");
		if (inner && !inner[6])
			c->out[i].name = arena_strndup(t->arena, name, (size_t)(inner - name));
	}
	return npz_write(&t->d, c->dump_path, c->out + c->plain_out, c->n_out - c->plain_out);
}

bool command_run(Tool *t)
{
	Call c = {.t = t};
	Given given = {0};
	TargetId target;
	const char *path = t->a.files.at[0];
	if (!runner_target(t, path, &target) || !dump_read(&c) || !given_read(t, &given)) return false;
	if (!runner_open(t, path, target, &c.dumped, &c.r)) return false;
	bool done = call_run(&c, &given);
	/* The model's memory goes before the second target takes its own. */
	const char *entry = done ? c.r.face->entry[c.entry].name : NULL;
	runner_close(&c.r);
	if (!done) return false;
	if (t->a.compare &&
	    !compare_run(t, path, entry, c.in, c.n_in, c.out, c.plain_out, target, &c.compared))
		return false;
	if (!results_write(&c)) return false;
	if (t->a.json)
		print_json(&c);
	else
		print_text(&c);
	if (c.compared.with && option_given(t, OPT_tolerance) &&
	    !(c.compared.worst.absolute <= t->a.tolerance))
		return tool_fail(t, "the results differ from %s by %.3g, more than the tolerance %.3g",
		                 c.compared.with, c.compared.worst.absolute, t->a.tolerance);
	return true;
}
