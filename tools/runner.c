/* A model on a target behind one interface: opening, the dims of a call, inputs that are made up.
 * What differs between targets is in runner_interp.c, runner_cpu.c, runner_pearl.c. */
#include "tools/tool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

bool runner_target(Tool *t, const char *path, TargetId *out)
{
	FileKind kind;
	if (!file_kind(t, path, &kind)) return false;
	TargetId suits = target_built(TARGET_CPU) ? TARGET_CPU : TARGET_INTERP;
	if (kind == FILE_SHARED) suits = TARGET_CPU;
	if (kind == FILE_PEARL || kind == FILE_PASM) suits = TARGET_PEARL;
	if (!t->a.target || ((kind == FILE_SHARED) && strcmp(t->a.target, "cpu") == 0)) {
		*out = suits;
		return true;
	}
	if (!target_named(t, t->a.target, out)) return false;
	bool artefact = kind != FILE_MODEL && kind != FILE_IR;
	if (artefact && *out != suits)
		return tool_fail(t, "'%s' was compiled for %s, it cannot run on %s", path,
		                 target_name(suits), target_name(*out));
	return true;
}

static void dims_begin(Runner *r)
{
	r->dims = dims_new(r->t->arena, r->face);
	for (uint32_t i = 0; i < r->face->n_param; i++) {
		const InterfaceParam *p = &r->face->param[i];
		if (p->kind != IP_STATE) continue;
		r->dims.known[i] = true;
		if (!expr_eval(p->initial, r->dims.value, &r->dims.value[i])) r->dims.value[i] = 0;
	}
}

/* The extent that indices coming from input `number` address, found from the gathers of the entry
 * through what only moves or converts them. */
static bool comes_from(const Node *n, uint32_t number)
{
	while (n->op != OP_PARAM) {
		bool through = op_info[n->op].kind == KIND_MOVEMENT || n->op == OP_CAST;
		if (!through || n->n_in != 1) return false;
		n = n->in[0];
	}
	return node_attr_const(n, "number")->i == (int64_t)number;
}

static void gather_limit(const Graph *g, uint32_t number, int64_t *limit)
{
	for (const Node *n = g->first; n; n = n->next) {
		if (n->region) gather_limit(n->region, number, limit);
		if (n->op != OP_GATHER || !comes_from(n->in[1], number)) continue;
		int64_t lo, hi;
		dim_range(NULL, n->in[0]->type.dim[node_attr_const(n, "axis")->i], &lo, &hi);
		if (*limit == 0 || lo < *limit) *limit = lo;
	}
}

/* Before passes change the graph. */
static void limits_find(Runner *r)
{
	Module *m = r->module;
	r->limits = NEW_ARRAY(r->t->arena, int64_t *, m->entries.n + 1);
	for (size_t i = 0; i < m->entries.n; i++) {
		const Graph *g = m->entries.at[i]->graph;
		r->limits[i] = NEW_ARRAY(r->t->arena, int64_t, g->args.n + 1);
		for (uint32_t k = 0; k < g->args.n; k++) gather_limit(g, k, &r->limits[i][k]);
	}
}

/* Indices among made-up inputs must be valid; what an artefact indexes is not known: 0 or 1. */
static int64_t input_limit(const Runner *r, uint32_t entry, uint32_t i)
{
	if (!dtype_is_integer((DType)r->face->tensor[r->face->entry[entry].in[i]].dtype)) return 0;
	int64_t limit = r->module && entry < r->module->entries.n ? r->limits[entry][i] : 0;
	return limit > 0 ? limit : 2;
}

bool runner_open_module(Tool *t, Module *m, TargetId target, Runner *out)
{
	double began = seconds_now();
	*out = (Runner){.t = t, .target = target, .module = m};
	if (!module_for_target(m, &t->d, target_name(target))) return false;
	limits_find(out);
	Weights w;
	Lowered l = {0};
	progress_begin(t, "reading the weights");
	if (!weights_open(t, m, &w)) return false;
	if (target != TARGET_INTERP)
		progress_begin(t, arena_printf(t->arena, "compiling for %s", target_name(target)));
	bool done = target == TARGET_INTERP ? interp_open(out, &w) : module_lower(t, m, target, &l);
	if (done && target == TARGET_CPU) done = cpu_open(out, &l, &w);
	if (done && target == TARGET_PEARL) done = pearl_open_module(out, &l, &w);
	/* The CPU uses weights in place, so its file stays open as long as the tool runs. */
	if (target != TARGET_CPU || !done) weights_close(&w);
	progress_end(t);
	if (!done) {
		runner_close(out);
		return false;
	}
	out->compile_seconds += l.seconds;
	out->load_seconds = seconds_now() - began;
	dims_begin(out);
	return true;
}

/* Settings are compiled in; what is left to set are dims. */
static bool settings_to_dims(Tool *t, const Interface *f)
{
	for (size_t i = 0; i < t->a.set.n; i++) {
		const FrontendSetting *s = &t->a.set.at[i];
		uint32_t k = 0;
		while (k < f->n_param && strcmp(f->param[k].name, s->name) != 0) k++;
		if (k == f->n_param)
			return tool_fail(t, "--set %s: the settings of a compiled model are fixed", s->name);
		vec_push(t->arena, &t->a.dim, *s);
	}
	t->a.set.n = 0;
	return true;
}

static bool open_artefact(Tool *t, const char *path, FileKind kind, TargetId target, Runner *out)
{
	double began = seconds_now();
	*out = (Runner){.t = t, .target = target};
	progress_begin(t, arena_printf(t->arena, "opening %s", path));
	bool done = kind == FILE_SHARED ? cpu_open_shared(out, path) : pearl_open_file(out, path);
	done = done && settings_to_dims(t, out->face);
	progress_end(t);
	if (!done) {
		runner_close(out);
		return false;
	}
	out->load_seconds = seconds_now() - began;
	dims_begin(out);
	return true;
}

bool runner_open(Tool *t, const char *path, TargetId target, const Names *expose, Runner *out)
{
	FileKind kind;
	if (!file_kind(t, path, &kind)) return false;
	if (kind == FILE_OBJECT)
		return tool_fail(t, "'%s' is an object file: link it into a program, or compile to .so",
		                 path);
	if (kind == FILE_TILE)
		return tool_fail(t, "'%s' is a tile program: run it by `nacre tile`", path);
	if (kind == FILE_SHARED || kind == FILE_PEARL || kind == FILE_PASM) {
		if (expose && expose->n)
			return tool_fail(
				t, "values inside a compiled model are not to be had: give the model file");
		return open_artefact(t, path, kind, target, out);
	}
	Module *m = module_load(t, path);
	if (!m || !module_for_target(m, &t->d, target_name(target))) return false;
	uint32_t *plain = NEW_ARRAY(t->arena, uint32_t, m->entries.n + 1);
	for (size_t i = 0; i < m->entries.n; i++) plain[i] = (uint32_t)m->entries.at[i]->out_names.n;
	if (expose && expose->n && !module_expose(t, m, expose)) return false;
	if (!runner_open_module(t, m, target, out)) return false;
	out->plain_outputs = plain;
	return true;
}

/* The prepack entry is not for callers. */
static uint32_t callable_entries(const Interface *f)
{
	return f->prepack >= 0 && (uint32_t)f->prepack + 1 == f->n_entry ? f->n_entry - 1 : f->n_entry;
}

bool runner_entry(Runner *r, const char *name, uint32_t *out)
{
	Tool *t = r->t;
	uint32_t n = callable_entries(r->face);
	if (n == 0) return tool_fail(t, "the model has no entry");
	const char **names = NEW_ARRAY(t->arena, const char *, n);
	for (uint32_t i = 0; i < n; i++) names[i] = r->face->entry[i].name;
	for (*out = 0; *out < n; ++*out)
		if (!name || strcmp(names[*out], name) == 0) return true;
	for (size_t i = 0; r->module && i < r->module->left_out.n; i++) {
		const Entry *e = r->module->left_out.at[i];
		if (strcmp(e->name, name) != 0) continue;
		diag_error(&t->d, e->target_span, "entry `%s` is for %s only: it does not run on %s", name,
		           e->target, target_name(r->target));
		return false;
	}
	Diag *d = diag_error(&t->d, span_none(), "the model has no entry `%s`", name);
	const char *near = nearest_name(name, names, n);
	Text all = text_new(t->arena);
	for (uint32_t i = 0; i < n; i++) text_printf(&all, "%s%s", i ? ", " : "", names[i]);
	if (near)
		diag_help(&t->d, d, "did you mean `%s`?", near);
	else
		diag_help(&t->d, d, "it has %s", all.at);
	return false;
}

/* S=3, or a length for each row, S=[3,5,2], of which the greatest is the dim. rows may be NULL. */
static bool dim_value(Tool *t, const FrontendSetting *s, int64_t *out, int32_t *rows, int64_t n)
{
	const char *at = s->value + (*s->value == '[');
	bool list = at != s->value;
	int64_t count = 0;
	*out = INT64_MIN;
	for (;;) {
		char *end;
		long long v = strtoll(at, &end, 10);
		bool narrow = list || rows; /* lengths of rows are i32 */
		if (end == at || (*end && !list) || v == LLONG_MAX || v == LLONG_MIN ||
		    (narrow && (v > INT32_MAX || v < INT32_MIN)))
			return tool_fail(t, "--dim %s=%s: an integer is needed, or [3,5,2] for a ragged dim",
			                 s->name, s->value);
		if (v > *out) *out = v;
		if (rows && count < n) rows[count] = (int32_t)v;
		count++;
		at = end;
		if (*at == ',')
			at++;
		else
			break;
	}
	if (list && (*at != ']' || at[1]))
		return tool_fail(t, "--dim %s=%s: the list has no end", s->name, s->value);
	if (rows && list && count != n)
		return tool_fail(t, "--dim %s=%s: %lld lengths for %lld rows", s->name, s->value,
		                 (long long)count, (long long)n);
	if (rows && !list)
		for (int64_t i = 0; i < n; i++) rows[i] = (int32_t)*out;
	return true;
}

/* The lengths of rows: an input of the name of a dim. All alike where --dim does not tell. */
static bool lengths_fill(Runner *r, const Dims *d, HostTensor *x)
{
	Tool *t = r->t;
	uint32_t p = 0;
	while (p < r->face->n_param && strcmp(r->face->param[p].name, x->name) != 0) p++;
	if (p == r->face->n_param || x->dtype != DT_I32 || x->rank != 1) return true;
	int32_t *rows = tensor_data(x);
	for (int64_t i = 0; i < x->dims[0]; i++) rows[i] = (int32_t)d->value[p];
	for (size_t k = 0; k < t->a.dim.n; k++) {
		int64_t most;
		if (strcmp(t->a.dim.at[k].name, x->name) == 0 &&
		    !dim_value(t, &t->a.dim.at[k], &most, rows, x->dims[0]))
			return false;
	}
	return true;
}

static bool dims_given(Runner *r, Dims *d)
{
	Tool *t = r->t;
	const Interface *f = r->face;
	const char **names = NEW_ARRAY(t->arena, const char *, f->n_param + 1);
	for (uint32_t i = 0; i < f->n_param; i++) names[i] = f->param[i].name;
	for (size_t k = 0; k < t->a.dim.n; k++) {
		const FrontendSetting *s = &t->a.dim.at[k];
		uint32_t i = 0;
		while (i < f->n_param && strcmp(names[i], s->name) != 0) i++;
		int64_t v;
		if (!dim_value(t, s, &v, NULL, 0)) return false;
		if (i == f->n_param) {
			Diag *m = diag_error(&t->d, span_none(), "--dim %s: the model has no dim of that name",
			                     s->name);
			const char *near = nearest_name(s->name, names, f->n_param);
			if (near) diag_help(&t->d, m, "did you mean `%s`?", near);
			return false;
		}
		d->value[i] = v;
		d->known[i] = true;
	}
	return true;
}

static Dims dims_copy(Arena *a, const Interface *f, const Dims *from)
{
	Dims d = dims_new(a, f);
	for (uint32_t i = 0; i < f->n_param; i++) {
		d.value[i] = from->value[i];
		d.known[i] = from->known[i];
	}
	return d;
}

/* i64 is computed in i32, on every target. */
static bool input_fits(Tool *t, const InterfaceTensor *x, const HostTensor *in)
{
	if (x->dtype != DT_I64) return true;
	int64_t n = host_tensor_count(in), at = interface_first_large(in->data, n);
	if (at == n) return true;
	return tool_fail(
		t, "element %lld of input `%s` is %lld: i64 is computed in i32, which cannot hold it",
		(long long)at, x->name, (long long)((const int64_t *)in->data)[at]);
}

bool runner_call(Runner *r, Arena *a, uint32_t entry, const HostTensor *in, HostTensor *out,
                 CallReport *report)
{
	Tool *t = r->t;
	const Interface *f = r->face;
	const InterfaceEntry *e = &f->entry[entry];
	Dims d = dims_copy(a, f, &r->dims);
	if (!dims_given(r, &d)) return false;
	for (uint32_t i = 0; i < e->n_in; i++)
		if (!dims_bind(t, f, e->in[i], &in[i], &d) || !input_fits(t, &f->tensor[e->in[i]], &in[i]))
			return false;
	if (!dims_check(t, f, entry, in, &d)) return false;
	for (uint32_t i = 0; i < e->n_out; i++) {
		int64_t shape[8];
		const InterfaceTensor *x = &f->tensor[e->out[i]];
		if (!interface_shape(f, e->out[i], &d, shape))
			return tool_fail(t, "the shape %s of output `%s` has no value: give its dims by --dim",
			                 tensor_type_text(t->arena, f, e->out[i]), x->name);
		out[i] = tensor_new(a, x->name, (DType)x->dtype, x->rank, shape);
	}
	*report = (CallReport){0};
	if (!r->ops->call(r, a, entry, in, out, &d, report)) return false;
	for (uint32_t i = 0; i < e->n_in; i++) report->inputs += (uint64_t)host_tensor_bytes(&in[i]);
	for (uint32_t i = 0; i < e->n_out; i++) report->outputs += (uint64_t)host_tensor_bytes(&out[i]);
	dims_advance(f, entry, &d, a);
	for (uint32_t i = 0; i < f->n_param; i++) {
		if (f->param[i].kind == IP_CALL || !d.known[i]) continue;
		r->dims.value[i] = d.value[i];
		r->dims.known[i] = true;
	}
	return true;
}

bool runner_allows(Runner *r, Arena *a, uint32_t entry, const HostTensor *in, const char **why)
{
	Tool *t = r->t;
	const InterfaceEntry *e = &r->face->entry[entry];
	Dims d = dims_copy(a, r->face, &r->dims);
	Diags kept = t->d;
	t->d = (Diags){.arena = t->arena};
	bool fine = dims_given(r, &d);
	for (uint32_t i = 0; fine && i < e->n_in; i++)
		fine = dims_bind(t, r->face, e->in[i], &in[i], &d);
	fine = fine && dims_check(t, r->face, entry, in, &d);
	*why = t->d.list.n ? t->d.list.at[0]->text : "";
	t->d = kept;
	return fine;
}

bool runner_reset(Runner *r)
{
	dims_begin(r);
	return r->ops->reset(r);
}

void runner_close(Runner *r)
{
	if (r->self && r->ops) r->ops->close(r);
	r->self = NULL;
}

/* --- inputs ------------------------------------------------------------------------------------------------- */

/* Dims of inputs that are made up. */
static bool dims_default(Runner *r, Dims *d)
{
	for (uint32_t i = 0; i < r->face->n_param; i++) {
		const InterfaceParam *p = &r->face->param[i];
		int64_t lo, hi;
		if (d->known[i]) continue;
		if (!expr_eval(p->lo, d->value, &lo) || !expr_eval(p->hi, d->value, &hi))
			return tool_fail(r->t, "the range of `%s` has no value", p->name);
		d->value[i] = value_default(p->kind == IP_CALL, lo, hi);
		d->known[i] = true;
	}
	return true;
}

bool runner_inputs(Runner *r, uint32_t entry, const Given *g, HostTensor *in)
{
	Tool *t = r->t;
	const Interface *f = r->face;
	const InterfaceEntry *e = &f->entry[entry];
	const char **names = NEW_ARRAY(t->arena, const char *, e->n_in + 1);
	for (uint32_t i = 0; i < e->n_in; i++) names[i] = f->tensor[e->in[i]].name;
	if (!given_check(t, g, names, e->n_in, "input")) return false;
	Dims d = dims_copy(t->arena, f, &r->dims);
	if (!dims_given(r, &d)) return false;
	bool all = true;
	for (uint32_t i = 0; i < e->n_in; i++) {
		const HostTensor *x = given_find(g, names[i]);
		all = all && x;
		if (!x) continue;
		in[i] = *x;
		if (!dims_bind(t, f, e->in[i], x, &d)) return false;
	}
	if (all) return true;
	if (!dims_default(r, &d)) return false;
	uint64_t seed = t->a.seed.value;
	for (uint32_t i = 0; i < e->n_in; i++) {
		int64_t shape[8];
		const InterfaceTensor *w = &f->tensor[e->in[i]];
		if (given_find(g, names[i])) continue;
		if (!interface_shape(f, e->in[i], &d, shape))
			return tool_fail(t, "input `%s` cannot be made up: its shape %s has no value", w->name,
			                 tensor_type_text(t->arena, f, e->in[i]));
		in[i] = tensor_new(t->arena, w->name, (DType)w->dtype, w->rank, shape);
		tensor_random(&in[i], &seed, input_limit(r, entry, i));
		if (!lengths_fill(r, &d, &in[i])) return false;
	}
	return true;
}
