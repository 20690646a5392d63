/* nacre sim: runs one entry of a Pearl program on the simulator. Memory holds what the program
 * carries and zeros, or random values with --seed; results are told by a checksum, so that two runs
 * can be compared. */
#include "tools/tool.h"

#include <string.h>

typedef struct Simulation {
	Tool *t;
	PearlProgram *p;
	PearlMachine machine;
	uint32_t entry;
	int64_t *params;
	SimReport report;
} Simulation;

static bool entry_find(Simulation *s)
{
	Tool *t = s->t;
	const Interface *f = s->p->interface;
	if (f->n_entry == 0) return tool_fail(t, "the program has no entry");
	if (!t->a.entry) return true;
	const char **names = NEW_ARRAY(t->arena, const char *, f->n_entry);
	for (uint32_t i = 0; i < f->n_entry; i++) {
		names[i] = f->entry[i].name;
		if (strcmp(names[i], t->a.entry) != 0) continue;
		s->entry = i;
		return true;
	}
	Diag *d = diag_error(&t->d, span_none(), "the program has no entry `%s`", t->a.entry);
	const char *near = nearest_name(t->a.entry, names, f->n_entry);
	if (near) diag_help(&t->d, d, "did you mean `%s`?", near);
	return false;
}

static bool params_bind(Simulation *s)
{
	Tool *t = s->t;
	const Interface *f = s->p->interface;
	const char **names = NEW_ARRAY(t->arena, const char *, f->n_param + 1);
	for (uint32_t i = 0; i < f->n_param; i++) names[i] = f->param[i].name;
	if (!settings_check(t, names, f->n_param, "parameter")) return false;
	s->params = NEW_ARRAY(t->arena, int64_t, f->n_param + 1);
	for (uint32_t i = 0; i < f->n_param; i++) {
		const InterfaceParam *p = &f->param[i];
		int64_t lo, hi, v;
		if (!expr_eval(p->lo, s->params, &lo) || !expr_eval(p->hi, s->params, &hi))
			return tool_fail(t, "the range of `%s` has no value", p->name);
		if (!setting_integer(t, p->name, &v)) {
			if (t->d.errors) return false;
			v = value_default(p->kind == IP_CALL, lo, hi);
		}
		if (v < lo || v > hi)
			return tool_fail(t, "%s = %lld is outside its range %lld..%lld", p->name, (long long)v,
			                 (long long)lo, (long long)hi);
		s->params[i] = v;
	}
	for (uint32_t i = 0; i < f->n_require; i++) {
		int64_t v;
		if (!expr_eval(f->require[i], s->params, &v) || v < 0)
			return tool_fail(t, "the program requires %s",
			                 message_relation(t->arena, f->require_text[i]));
	}
	return true;
}

/* Random bits would be NaNs and wild indices: each element is made by its type. */
static bool memory_fill(Simulation *s, PearlSim *sim)
{
	Tool *t = s->t;
	if (!t->a.seed.given) return true;
	uint64_t seed = t->a.seed.value;
	for (uint32_t i = 0; i < s->p->interface->n_tensor; i++) {
		const InterfaceTensor *x = &s->p->interface->tensor[i];
		if (x->kind == IT_ARENA || x->kind == IT_OUT || dtype_is_integer((DType)x->dtype)) continue;
		for (size_t r = 0; r < s->p->regions.n; r++) {
			const PearlRegion *region = &s->p->regions.at[r];
			if (region->tensor != (int32_t)i || region->space != SPACE_HBM) continue;
			ArenaMark mark = arena_mark(t->arena);
			int64_t n = region->bytes / dtype_bytes((DType)x->dtype, 1);
			HostTensor values = tensor_new(t->arena, "", (DType)x->dtype, 1, &n);
			tensor_random(&values, &seed, 0);
			bool done = sim_write(sim, (uint64_t)region->address, values.data,
			                      (uint64_t)host_tensor_bytes(&values));
			arena_reset(t->arena, mark);
			if (!done) return tool_fail(t, "`%s` lies outside the memory", x->name);
		}
	}
	return true;
}

/* CRC of what the entry's outputs and the states hold. */
static uint32_t memory_sum(Simulation *s, PearlSim *sim)
{
	uint32_t sum = 0;
	for (size_t r = 0; r < s->p->regions.n; r++) {
		const PearlRegion *region = &s->p->regions.at[r];
		if (region->tensor < 0 || region->space != SPACE_HBM) continue;
		uint32_t kind = s->p->interface->tensor[region->tensor].kind;
		if (kind != IT_OUT && kind != IT_STATE) continue;
		uint8_t part[4096];
		for (int64_t at = 0; at < region->bytes; at += (int64_t)sizeof part) {
			uint64_t n = (uint64_t)(region->bytes - at) < sizeof part
			                 ? (uint64_t)(region->bytes - at)
			                 : sizeof part;
			if (sim_read(sim, (uint64_t)(region->address + at), part, n))
				sum = crc32c(sum, part, n);
		}
	}
	return sum;
}

static bool simulate(Simulation *s, PearlSim *sim, uint32_t *sum)
{
	Tool *t = s->t;
	SimOptions o = {.time = !t->a.no_time, .jitter = t->a.jitter.value};
	if (t->a.jitter.given && o.jitter == 0) o.jitter = 1;
	if (!memory_fill(s, sim)) return false;
	int32_t prepack = s->p->interface->prepack;
	SimOptions packing = {0};
	SimReport ignored;
	if (prepack >= 0 && (uint32_t)prepack != s->entry &&
	    !sim_run(sim, &t->d, (uint32_t)prepack, s->params, &packing, &ignored, t->arena))
		return false;
	if (!sim_run(sim, &t->d, s->entry, s->params, &o, &s->report, t->arena)) return false;
	*sum = memory_sum(s, sim);
	return true;
}

bool command_sim(Tool *t)
{
	Simulation s = {.t = t, .p = pearl_open(t, t->a.files.at[0])};
	if (!s.p) return false;
	s.machine = s.p->machine;
	if (t->a.machine && !machine_chosen(t, &s.machine)) return false;
	if (!pearl_verify_for(&t->d, s.p, &s.machine)) return false;
	if (!entry_find(&s) || !params_bind(&s)) return false;
	PearlSim *sim = sim_new(&t->d, s.p, &s.machine);
	uint32_t sum = 0;
	bool done = sim && simulate(&s, sim, &sum);
	sim_free(sim);
	if (!done) return false;
	const InterfaceEntry *e = &s.p->interface->entry[s.entry];
	if (t->a.json) {
		json_t *j = sim_json(&s.report, &s.machine);
		json_t *params = json_object();
		for (uint32_t i = 0; i < s.p->interface->n_param; i++)
			json_object_set_new(params, s.p->interface->param[i].name, json_integer(s.params[i]));
		json_object_set_new(j, "params", params);
		json_object_set_new(j, "entry", json_string(e->name));
		json_object_set_new(j, "checksum", json_integer(sum));
		report_json(t, j);
		return true;
	}
	if (!t->a.no_time) sim_print(t, &s.report, &s.machine, e);
	fputs(e->name, stdout);
	for (uint32_t i = 0; i < s.p->interface->n_param; i++)
		printf("%s%s = %lld", i ? ", " : " with ", s.p->interface->param[i].name,
		       (long long)s.params[i]);
	printf(": results have checksum %08x\n", sum);
	return true;
}
