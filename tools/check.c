/* nacre check: what a file holds, after all checks. */
#include "codegen/pearl/pearl.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <string.h>

/* 0 for a type with a dim that is not constant. */
static int64_t constant_count(const Type *type)
{
	int64_t count = 1, d;
	for (uint32_t i = 0; i < type->rank; i++) {
		if (!dim_is_const(type->dim[i], &d)) return 0;
		count *= d;
	}
	return count;
}

static void print_signature(Tool *t, const Module *m, const Entry *e)
{
	printf("entry %s(", e->name);
	for (size_t i = 0; i < e->graph->args.n; i++)
		printf("%s%s: %s", i ? ", " : "", e->in_names.at[i],
		       type_text(t->arena, &e->graph->args.at[i]->type));
	bool first = !e->graph->args.n;
	for (size_t i = 0; i < m->params.n; i++) {
		const DimSym *s = m->params.at[i];
		if (!entry_takes(e, s)) continue;
		printf("%s%s: dim in %s..%s", first ? "" : ", ", s->name, dim_text(t->arena, s->lo),
		       dim_text(t->arena, s->hi));
		first = false;
	}
	fputs(") -> (", stdout);
	for (size_t i = 0; i < e->out_names.n; i++)
		printf("%s%s: %s", i ? ", " : "", e->out_names.at[i],
		       type_text(t->arena, &e->graph->results.at[i]->type));
	printf(")%s%s\n", e->target ? " for " : "", e->target ? e->target : "");
}

static int64_t weights_bytes(const Module *m)
{
	int64_t bytes = 0;
	for (size_t i = 0; i < m->weights.n; i++)
		bytes += dtype_bytes(m->weights.at[i].type.dtype, constant_count(&m->weights.at[i].type));
	return bytes;
}

/* What training would change: running statistics do not count, as in PyTorch. */
static int64_t parameters_count(const Module *m)
{
	int64_t count = 0;
	for (size_t i = 0; i < m->weights.n; i++)
		if (!m->weights.at[i].buffer) count += constant_count(&m->weights.at[i].type);
	return count;
}

static void print_module(Tool *t, const Module *m)
{
	static const char *const kind[] = {
		[SYM_SESSION] = "session dim", [SYM_CALL] = "dim", [SYM_STATE] = "state dim"};
	printf("model %s\n", m->name ? m->name : "");
	for (size_t i = 0; i < m->params.n; i++) {
		const DimSym *s = m->params.at[i];
		printf("%s %s in %s..%s\n", kind[s->kind], s->name, dim_text(t->arena, s->lo),
		       dim_text(t->arena, s->hi));
	}
	for (size_t i = 0; i < m->require.n; i++)
		printf("require %s\n", message_relation(t->arena, m->require_text.at[i]));
	for (size_t i = 0; i < m->states.n; i++)
		printf("state %s: %s\n", m->states.at[i].name, type_text(t->arena, &m->states.at[i].type));
	for (size_t i = 0; i < m->entries.n; i++) print_signature(t, m, m->entries.at[i]);
	printf("%zu weight%s, %.3f MB, %" PRId64 " parameters\n", m->weights.n,
	       m->weights.n == 1 ? "" : "s", (double)weights_bytes(m) * 1e-6, parameters_count(m));
}

static json_t *value_json(Tool *t, const char *name, const Type *type)
{
	return json_pack("{s:s, s:s}", "name", name, "type", type_text(t->arena, type));
}

static json_t *entry_json(Tool *t, const Module *m, const Entry *e)
{
	json_t *in = json_array(), *out = json_array(), *dims = json_array();
	for (size_t i = 0; i < m->params.n; i++)
		if (entry_takes(e, m->params.at[i]))
			json_array_append_new(dims, json_string(m->params.at[i]->name));
	for (size_t i = 0; i < e->graph->args.n; i++)
		json_array_append_new(in, value_json(t, e->in_names.at[i], &e->graph->args.at[i]->type));
	for (size_t i = 0; i < e->out_names.n; i++)
		json_array_append_new(out,
		                      value_json(t, e->out_names.at[i], &e->graph->results.at[i]->type));
	return json_pack("{s:s, s:s?, s:o, s:o, s:o}", "name", e->name, "target", e->target, "inputs",
	                 in, "dims", dims, "outputs", out);
}

static json_t *module_json(Tool *t, const Module *m)
{
	json_t *weights = json_array(), *entries = json_array(), *states = json_array(),
		   *dims = json_array();
	for (size_t i = 0; i < m->weights.n; i++) {
		json_t *keys = json_array(),
			   *w = value_json(t, m->weights.at[i].name, &m->weights.at[i].type);
		for (uint32_t k = 0; k < m->weights.at[i].n_keys; k++)
			json_array_append_new(keys, json_string(m->weights.at[i].keys[k]));
		json_object_set_new(w, "keys", keys);
		json_array_append_new(weights, w);
	}
	for (size_t i = 0; i < m->states.n; i++)
		json_array_append_new(states, value_json(t, m->states.at[i].name, &m->states.at[i].type));
	for (size_t i = 0; i < m->entries.n; i++)
		json_array_append_new(entries, entry_json(t, m, m->entries.at[i]));
	for (size_t i = 0; i < m->params.n; i++) {
		const DimSym *s = m->params.at[i];
		json_array_append_new(dims, json_pack("{s:s, s:s, s:s, s:s}", "name", s->name, "kind",
		                                      s->kind == SYM_SESSION ? "session"
		                                      : s->kind == SYM_STATE ? "state"
		                                                             : "call",
		                                      "least", dim_text(t->arena, s->lo), "greatest",
		                                      dim_text(t->arena, s->hi)));
	}
	return json_pack("{s:s, s:I, s:o, s:o, s:o, s:o}", "model", m->name ? m->name : "",
	                 "parameters", (json_int_t)parameters_count(m), "dims", dims, "entries",
	                 entries, "states", states, "weights", weights);
}

/* Kernels written in assembly, on the machine that is meant when none is named. */
static bool check_kernels(Tool *t, const FrontendUnit *unit)
{
	PearlMachine m;
	bool ok = pearl_machine_named("base", &m);
	if (ok && unit->module) ok = pearl_check_hand_written(&t->d, unit->module, &m);
	for (size_t i = 0; ok && i < unit->tests.n; i++)
		if (unit->tests.at[i].module)
			ok = pearl_check_hand_written(&t->d, unit->tests.at[i].module, &m);
	return ok;
}

static bool check_model(Tool *t, const char *path, json_t *list)
{
	const Source *s = source_open(t, path);
	if (!s) return false;
	FrontendOptions o = {.set = t->a.set.at, .n_set = (uint32_t)t->a.set.n, .model = t->a.model};
	FrontendUnit unit = {0};
	if (!frontend_load(t->arena, t->names, &t->d, s, &o, &unit)) return false;
	if (unit.module && !module_verify(&t->d, unit.module)) return false;
	if (!check_kernels(t, &unit)) return false;
	json_t *j = unit.module ? module_json(t, unit.module) : json_object();
	json_object_set_new(j, "tests", json_integer((json_int_t)unit.tests.n));
	json_array_append_new(list, j);
	Weights w = {0};
	if (t->a.weights && unit.module && !weights_open(t, unit.module, &w)) return false;
	weights_close(&w);
	if (t->a.json) return true;
	if (unit.module) print_module(t, unit.module);
	if (t->a.weights && unit.module) printf("weights: '%s' fits\n", t->a.weights);
	if (unit.tests.n || !unit.module)
		printf("%zu test%s\n", unit.tests.n, unit.tests.n == 1 ? "" : "s");
	return true;
}

static bool check_file(Tool *t, const char *path, json_t *list)
{
	FileKind kind;
	if (!file_kind(t, path, &kind)) return false;
	const Source *s;
	switch (kind) {
	case FILE_MODEL: return check_model(t, path, list);
	case FILE_IR: {
		Module *m = module_load(t, path);
		if (!m) return false;
		json_array_append_new(list, module_json(t, m));
		if (!t->a.json) print_module(t, m);
		return true;
	}
	case FILE_TILE: {
		s = source_open(t, path);
		TileProgram *p = s ? tile_parse(t->arena, &t->d, s) : NULL;
		if (!p || !tile_verify(&t->d, p)) return false;
		json_array_append_new(list,
		                      json_pack("{s:s, s:i}", "tile", path, "kernels", (int)p->kernels.n));
		if (!t->a.json) printf("tile program %s: %zu kernels\n", path, p->kernels.n);
		return true;
	}
	case FILE_PEARL:
	case FILE_PASM: {
		PearlProgram *p = pearl_open(t, path);
		if (!p || !pearl_verify(&t->d, p)) return false;
		json_array_append_new(
			list, json_pack("{s:s, s:i}", "pearl", path, "instructions", (int)p->code.n));
		if (!t->a.json) printf("Pearl program %s: %zu instructions\n", path, p->code.n);
		return true;
	}
	case FILE_SHARED:
	case FILE_OBJECT: break;
	}
	return tool_fail_file(t, path, "is machine code: there is nothing to check");
}

bool command_check(Tool *t)
{
	json_t *list = json_array();
	bool ok = true;
	for (size_t i = 0; i < t->a.files.n; i++) ok = check_file(t, t->a.files.at[i], list) && ok;
	if (t->a.json && ok)
		report_json(t, list);
	else
		json_decref(list);
	/* What became of loops, and the like. */
	report_messages(t, !t->a.json);
	return ok;
}
