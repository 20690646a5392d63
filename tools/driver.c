/* The way of a file through the compiler: source, module, passes, tile IR, interface; and the
 * weights that go with it. */
#include "tools/tool.h"

#include <string.h>
#include <sys/mman.h>

static Module *module_of_model(Tool *t, const Source *s)
{
	FrontendOptions o = {.set = t->a.set.at, .n_set = (uint32_t)t->a.set.n, .model = t->a.model};
	FrontendUnit unit = {0};
	if (!frontend_load(t->arena, t->names, &t->d, s, &o, &unit)) return NULL;
	if (!unit.module) tool_fail(t, "'%s' holds no model", s->name);
	return unit.module;
}

Module *module_load(Tool *t, const char *path)
{
	FileKind kind;
	if (!file_kind(t, path, &kind)) return NULL;
	if (kind != FILE_MODEL && kind != FILE_IR) {
		tool_fail(t, "'%s' is neither a model file nor IR text", path);
		return NULL;
	}
	const Source *s = source_open(t, path);
	if (!s) return NULL;
	progress_begin(t, arena_printf(t->arena, "reading %s", path));
	Module *m = kind == FILE_IR ? module_parse(t->arena, &t->d, s) : module_of_model(t, s);
	bool sound = m && module_verify(&t->d, m);
	progress_end(t);
	return sound ? m : NULL;
}

bool module_lower(Tool *t, Module *m, TargetId target, Lowered *out)
{
	double began = seconds_now();
	Target *traits = NEW(t->arena, Target);
	if (!target_traits(t, target, traits)) return false;
	PassOptions o = {.names = traits->pipeline};
#ifdef NACRE_VERIFY_EACH
	o.verify_each = true;
#endif
	*out = (Lowered){0};
	if (!passes_run(m, &t->d, traits, &o)) return false;
	out->tile = tile_build(m, &t->d, &traits->traits);
	if (!out->tile || !tile_verify(&t->d, out->tile)) return false;
	out->face = interface_build(m, out->tile, target_name(target), &t->d);
	out->seconds = seconds_now() - began;
	return out->face != NULL;
}

/* --- weights ------------------------------------------------------------------------------------------------ */

bool weights_open(Tool *t, const Module *m, Weights *out)
{
	*out = (Weights){0};
	if (t->a.weights && t->a.random_weights.given)
		return tool_fail(t, "either --weights or --random-weights, not both");
	if (!t->a.weights && !t->a.random_weights.given) {
		if (m->weights.n == 0) return true;
		Diag *d = diag_error(&t->d, span_none(), "the model has %zu weight%s: `%s`%s need values",
		                     m->weights.n, m->weights.n == 1 ? "" : "s", m->weights.at[0].name,
		                     m->weights.n == 1 ? "" : " and others");
		diag_help(&t->d, d, "give --weights FILE.safetensors, or --random-weights SEED");
		return false;
	}
	out->bound = NEW_ARRAY(t->arena, BoundWeight, m->weights.n + 1);
	if (t->a.random_weights.given) {
		weights_random_types(t->arena, m, out->bound);
		out->random = true;
		out->seed = t->a.random_weights.value;
		return true;
	}
	if (!tensor_file_open(t->arena, &t->d, t->a.weights, &out->file)) return false;
	out->file.prefix = t->a.prefix;
	if (weights_bind(t->arena, &t->d, m, &out->file, out->bound)) return true;
	weights_close(out);
	return false;
}

void weights_close(Weights *w)
{
	tensor_file_close(&w->file);
	w->bound = NULL;
}

BoundWeight weight_data(const Weights *w, const Module *m, size_t i, Arena *a)
{
	BoundWeight b = w->bound[i];
	if (!w->random) return b;
	HostTensor *part = NEW_ARRAY(a, HostTensor, b.n + 1);
	for (uint32_t k = 0; k < b.n; k++) {
		part[k] = b.part[k];
		void *data = arena_alloc(a, (size_t)host_tensor_bytes(&part[k]) + 1);
		weight_random(&m->weights.at[i], &part[k], k, w->seed, data);
		part[k].data = data;
	}
	b.part = part;
	return b;
}

Module *interface_weights(Tool *t, const Interface *f)
{
	Module *m = module_new(t->arena, t->names, intern_str(t->names, f->model));
	for (uint32_t i = 0; i < f->n_tensor; i++) {
		const InterfaceTensor *x = &f->tensor[i];
		if (x->kind != IT_WEIGHT || x->offset != ~(uint64_t)0) continue;
		Dims none = {0};
		int64_t shape[MAX_RANK];
		if (!interface_shape(f, i, &none, shape)) {
			tool_fail(t, "the shape of weight `%s` depends on a dim", x->name);
			return NULL;
		}
		Weight w = {.name = intern_str(t->names, x->name), .n_keys = 1};
		Dim dims[MAX_RANK];
		for (uint32_t k = 0; k < x->rank; k++) dims[k] = dim_const(m->dims, shape[k]);
		w.type = type_tensor((DType)x->dtype, x->rank, dims);
		const char *key = *x->key ? x->key : x->name;
		for (const char *s = key; *s; s++) w.n_keys += *s == '\n';
		const char **keys = NEW_ARRAY(t->arena, const char *, w.n_keys);
		for (uint32_t k = 0; k < w.n_keys; k++) {
			size_t n = strcspn(key, "\n");
			keys[k] = intern(t->names, key, n);
			key += n + 1;
		}
		w.keys = keys;
		module_weight(m, w);
	}
	return m;
}
