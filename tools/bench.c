/* nacre bench: models on targets, side by side. The CPU is timed; Pearl is simulated, its time is
 * cycles at the machine's clock; the interpreter is the reference of the errors. */
#include "tools/tool.h"

#include <stdlib.h>
#include <string.h>

typedef struct Row {
	const char *file, *entry;
	TargetId target;
	int64_t threads;
	uint32_t runs;
	double median, least, most, compile;
	SimReport *sim;
	PearlMachine machine;
	Difference error;
	bool compared;
} Row;
typedef VEC(Row) Rows;

typedef struct Reference {
	HostTensor *in, *out; /* of the interpreter */
	uint32_t n_in, n_out;
	double seconds;
} Reference;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* How often: as asked, or for about a second, at least five times. */
enum { FEWEST = 5, MOST = 1000 };
static const double enough = 1.0;

static bool measure(Tool *t, Runner *r, uint32_t entry, const Reference *ref, Row *row,
                    HostTensor *out)
{
	Arena *a = tool_arena(t);
	uint32_t warm = option_given(t, OPT_warm_up) ? t->a.warm_up : 2, n = 0;
	uint32_t most = t->a.repeat ? t->a.repeat : MOST;
	if (r->target != TARGET_CPU) warm = 0, most = 1;
	double *seconds = NEW_ARRAY(t->arena, double, most), spent = 0;
	bool ok = true;
	for (uint32_t i = 0; ok && n < most; i++) {
		CallReport report;
		/* The first results are kept: those that are compared. */
		Arena *where = i == 0 ? t->arena : a;
		HostTensor *results = i == 0 ? out : NEW_ARRAY(a, HostTensor, ref->n_out + 1);
		ok = (i == 0 || runner_reset(r)) && runner_call(r, where, entry, ref->in, results, &report);
		if (ok && i >= warm) {
			seconds[n++] = report.seconds;
			spent += report.seconds;
			if (!t->a.repeat && spent >= enough && n >= FEWEST) break;
		}
		if (ok && report.sim) {
			row->sim = NEW(t->arena, SimReport);
			*row->sim = *report.sim;
			row->sim->launches = 0;
			row->machine = *report.machine;
		}
		arena_reset(a, (ArenaMark){NULL, 0});
	}
	arena_free(a);
	if (!ok) return false;
	qsort(seconds, n, sizeof *seconds, by_value);
	row->runs = n;
	row->median = seconds[n / 2];
	row->least = seconds[0];
	row->most = seconds[n - 1];
	return true;
}

static bool bench_one(Tool *t, const char *path, TargetId target, int64_t threads,
                      const Reference *ref, const char *entry, Rows *rows)
{
	Runner r;
	uint32_t number;
	t->a.threads.n = 0;
	if (target == TARGET_CPU) vec_push(t->arena, &t->a.threads, threads);
	if (!runner_open(t, path, target, NULL, &r)) return false;
	Row row = {.file = path,
	           .entry = entry,
	           .target = target,
	           .threads = threads,
	           .compile = r.compile_seconds};
	HostTensor *out = NEW_ARRAY(t->arena, HostTensor, ref->n_out + 1);
	progress_begin(t, arena_printf(t->arena, "measuring %s on %s", path, target_name(target)));
	bool ok = runner_entry(&r, entry, &number) && measure(t, &r, number, ref, &row, out);
	runner_close(&r);
	if (!ok) return false;
	row.compared = ref->out != NULL;
	for (uint32_t i = 0; i < ref->n_out && ref->out; i++)
		difference_merge(&row.error, tensor_difference(&out[i], &ref->out[i]));
	vec_push(t->arena, rows, row);
	return true;
}

/* The inputs, and what the interpreter makes of them. */
static bool reference_run(Tool *t, const char *path, const Given *given, Reference *ref,
                          const char **entry)
{
	Runner r;
	CallReport report;
	uint32_t number;
	if (!runner_open(t, path, TARGET_INTERP, NULL, &r)) return false;
	bool ok = runner_entry(&r, t->a.entry, &number);
	if (ok) {
		const InterfaceEntry *e = &r.face->entry[number];
		*entry = e->name;
		*ref = (Reference){.n_in = e->n_in, .n_out = e->n_out};
		ref->in = NEW_ARRAY(t->arena, HostTensor, e->n_in + 1);
		ref->out = NEW_ARRAY(t->arena, HostTensor, e->n_out + 1);
		Arena *a = tool_arena(t);
		HostTensor *out = NEW_ARRAY(a, HostTensor, e->n_out + 1);
		progress_begin(t, arena_printf(t->arena, "running %s on interp", path));
		ok = runner_inputs(&r, number, given, ref->in) &&
		     runner_call(&r, a, number, ref->in, out, &report);
		for (uint32_t i = 0; ok && i < e->n_out; i++) {
			ref->out[i] = tensor_new(t->arena, out[i].name, out[i].dtype, out[i].rank, out[i].dims);
			memcpy(tensor_data(&ref->out[i]), out[i].data, (size_t)host_tensor_bytes(&out[i]));
		}
		arena_free(a);
		if (ok) ref->seconds = report.seconds;
	}
	runner_close(&r);
	return ok;
}

static bool bench_file(Tool *t, const char *path, const TargetId *targets, size_t n,
                       const Counts *threads, Rows *rows)
{
	Given given = {0};
	Reference ref;
	const char *entry;
	if (!given_read(t, &given) || !reference_run(t, path, &given, &ref, &entry)) return false;
	for (size_t i = 0; i < n; i++) {
		if (targets[i] == TARGET_INTERP) {
			Row row = {.file = path,
			           .entry = entry,
			           .runs = 1,
			           .median = ref.seconds,
			           .least = ref.seconds,
			           .most = ref.seconds};
			vec_push(t->arena, rows, row);
			continue;
		}
		size_t counts = targets[i] == TARGET_CPU ? threads->n : 1;
		for (size_t k = 0; k < counts; k++)
			if (!bench_one(t, path, targets[i], threads->at[k], &ref, entry, rows)) return false;
	}
	return true;
}

/* --- printed ---------------------------------------------------------------------------------------------------- */

static double matrix_use(const Row *r)
{
	double all = (double)r->sim->cycles * r->sim->cores;
	return all > 0 ? (double)r->sim->busy[Q_M] / all : 0;
}

static json_t *row_json(const Row *r)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:i, s:f}", "file", r->file, "entry",
	                      r->entry, "target", target_name(r->target), "median_seconds", r->median,
	                      "least_seconds", r->least, "most_seconds", r->most, "runs", (int)r->runs,
	                      "compile_seconds", r->compile);
	if (r->target == TARGET_CPU) json_object_set_new(j, "threads", json_integer(r->threads));
	if (r->compared) {
		json_object_set_new(j, "max_error", json_number(r->error.absolute));
		json_object_set_new(j, "max_relative", json_number(r->error.relative));
	}
	if (r->sim) json_object_set_new(j, "sim", sim_json(r->sim, &r->machine));
	return j;
}

static void print_rows(Tool *t, const Rows *rows)
{
	static const char *const titles[] = {"model", "entry", "target", "threads",     "time",
	                                     "least", "most",  "cycles", "matrix busy", "max error"};
	Table table = table_new(t->arena, COUNT(titles), titles);
	for (size_t i = 0; i < rows->n; i++) {
		const Row *r = &rows->at[i];
		const char *slash = strrchr(r->file, '/');
		table_cell(&table, "%s", slash ? slash + 1 : r->file);
		table_cell(&table, "%s", r->entry);
		table_cell(&table, "%s",
		           r->sim ? arena_printf(t->arena, "pearl %s", r->machine.name)
		                  : target_name(r->target));
		if (r->target == TARGET_CPU)
			table_cell(&table, "%lld", (long long)r->threads);
		else
			table_cell(&table, " ");
		table_cell(&table, "%s", seconds_text(t->arena, r->median));
		table_cell(&table, "%s", r->runs > 1 ? seconds_text(t->arena, r->least) : "");
		table_cell(&table, "%s", r->runs > 1 ? seconds_text(t->arena, r->most) : "");
		table_cell(&table, "%s",
		           r->sim ? arena_printf(t->arena, "%llu", (unsigned long long)r->sim->cycles)
		                  : "");
		table_cell(&table, "%s",
		           r->sim ? arena_printf(t->arena, "%.1f %%", 100 * matrix_use(r)) : "");
		table_cell(&table, "%s",
		           r->compared ? arena_printf(t->arena, "%.2g", r->error.absolute) : "reference");
	}
	table_print(&table, stdout);
}

static bool targets_read(Tool *t, TargetId *targets, size_t *n)
{
	*n = 0;
	if (!option_given(t, OPT_targets)) {
		for (size_t i = 0; i < NUM_TARGETS; i++)
			if (target_built((TargetId)i)) targets[(*n)++] = (TargetId)i;
		return true;
	}
	for (size_t i = 0; i < t->a.targets.n; i++) {
		TargetId id;
		if (!target_named(t, t->a.targets.at[i], &id)) return false;
		for (size_t k = 0; k < *n; k++)
			if (targets[k] == id)
				return tool_fail(t, "--targets names %s twice", t->a.targets.at[i]);
		targets[(*n)++] = id;
	}
	return true;
}

bool command_bench(Tool *t)
{
	TargetId targets[NUM_TARGETS];
	size_t n;
	Counts threads = t->a.threads;
	Rows rows = {0};
	if (!targets_read(t, targets, &n)) return false;
	if (threads.n == 0) vec_push(t->arena, &threads, (int64_t)1);
	for (size_t i = 0; i < threads.n; i++)
		if (threads.at[i] < 1) return tool_fail(t, "--threads: from 1");
	t->a.threads = (Counts){0};
	bool ok = true;
	for (size_t i = 0; ok && i < t->a.files.n; i++)
		ok = bench_file(t, t->a.files.at[i], targets, n, &threads, &rows);
	progress_end(t);
	if (!ok) return false;
	if (!t->a.json) {
		print_rows(t, &rows);
		return true;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < rows.n; i++) json_array_append_new(list, row_json(&rows.at[i]));
	report_json(t, list);
	return true;
}
