/* A model on the graph interpreter, the oracle: whole tensors of doubles. Its interface is made from
 * the module, so that dims are bound and checked as on the other targets. */
#include "tools/tool.h"

#include <string.h>

typedef struct Interp {
	Module *m;
	Value *weights,
		*states; /* states: values of their own memory, made when their dims are known */
	bool states_made;
	Arena *keep;
} Interp;

/* --- the interface of a module ------------------------------------------------------------------------- */

typedef struct Maker {
	Tool *t;
	Module *m;
	VEC(InterfaceTensor) tensors;
	bool failed;
} Maker;

static int32_t param_number(void *ctx, const DimSym *s)
{
	const Module *m = ctx;
	for (size_t i = 0; i < m->params.n; i++)
		if (m->params.at[i] == s) return (int32_t)i;
	return -1;
}

static const ExprWord *expr_of(Maker *k, Dim d)
{
	ExprVec v = {0};
	if (dim_to_expr(d, param_number, k->m, k->t->arena, &v)) return v.at;
	if (!k->failed)
		tool_fail(k->t, "`%s` depends on more than the dims of the model",
		          dim_text(k->t->arena, d));
	k->failed = true;
	static const ExprWord zero[] = {{EXPR_CONST, 0, 0}, {EXPR_END, 0, 0}};
	return zero;
}

static uint32_t add_tensor(Maker *k, const char *name, InterfaceTensorKind kind, const Type *type,
                           uint32_t entry)
{
	InterfaceTensor x = {.name = name,
	                     .key = "",
	                     .kind = kind,
	                     .dtype = type->dtype,
	                     .rank = type->rank,
	                     .plain = 1,
	                     .entry = entry,
	                     .offset = ~(uint64_t)0};
	for (uint32_t i = 0; i < type->rank; i++) x.dim[i] = expr_of(k, type->dim[i]);
	vec_push(k->t->arena, &k->tensors, x);
	return (uint32_t)k->tensors.n - 1;
}

static void add_requires(Maker *k, size_t n, const Dim *require, const ExprWord *const **out)
{
	const ExprWord **list = NEW_ARRAY(k->t->arena, const ExprWord *, n + 1);
	for (size_t i = 0; i < n; i++) list[i] = expr_of(k, require[i]);
	*out = list;
}

static InterfaceEntry make_entry(Maker *k, const Entry *e, uint32_t number)
{
	Arena *a = k->t->arena;
	uint32_t n_in = (uint32_t)e->graph->args.n, n_out = (uint32_t)e->out_names.n;
	uint32_t *in = NEW_ARRAY(a, uint32_t, n_in + 1), *out = NEW_ARRAY(a, uint32_t, n_out + 1);
	for (uint32_t i = 0; i < n_in; i++)
		in[i] = add_tensor(k, e->in_names.at[i], IT_IN, &e->graph->args.at[i]->type, number);
	for (uint32_t i = 0; i < n_out; i++)
		out[i] = add_tensor(k, e->out_names.at[i], IT_OUT, &e->graph->results.at[i]->type, number);
	uint32_t *set = NEW_ARRAY(a, uint32_t, e->set_sym.n + 1);
	const ExprWord **value = NEW_ARRAY(a, const ExprWord *, e->set_sym.n + 1);
	for (size_t i = 0; i < e->set_sym.n; i++) {
		set[i] = (uint32_t)param_number(k->m, e->set_sym.at[i]);
		value[i] = expr_of(k, e->set_value.at[i]);
	}
	InterfaceEntry made = {.name = e->name,
	                       .n_in = n_in,
	                       .n_out = n_out,
	                       .in = in,
	                       .out = out,
	                       .n_set = (uint32_t)e->set_sym.n,
	                       .set_param = set,
	                       .set_value = value,
	                       .n_require = (uint32_t)e->require.n,
	                       .require_text = e->require_text.at};
	add_requires(k, e->require.n, e->require.at, &made.require);
	return made;
}

static const Interface *module_interface(Tool *t, Module *m)
{
	Maker k = {.t = t, .m = m};
	Interface *f = NEW(t->arena, Interface);
	*f = (Interface){.model = m->name ? m->name : "",
	                 .target = "interp",
	                 .version = NACRE_VERSION,
	                 .prepack = -1};
	InterfaceParam *param = NEW_ARRAY(t->arena, InterfaceParam, m->params.n + 1);
	for (size_t i = 0; i < m->params.n; i++) {
		const DimSym *s = m->params.at[i];
		uint32_t kind = s->kind == SYM_SESSION ? IP_SESSION
		                : s->kind == SYM_STATE ? IP_STATE
		                                       : IP_CALL;
		param[i] = (InterfaceParam){s->name, kind, expr_of(&k, s->lo), expr_of(&k, s->hi),
		                            expr_of(&k, s->initial ? s->initial : s->lo)};
	}
	f->param = param;
	f->n_param = (uint32_t)m->params.n;
	f->n_require = (uint32_t)m->require.n;
	f->require_text = m->require_text.at;
	add_requires(&k, m->require.n, m->require.at, &f->require);
	InterfaceEntry *entry = NEW_ARRAY(t->arena, InterfaceEntry, m->entries.n + 1);
	for (uint32_t i = 0; i < m->entries.n; i++) entry[i] = make_entry(&k, m->entries.at[i], i);
	f->entry = entry;
	f->n_entry = (uint32_t)m->entries.n;
	f->tensor = k.tensors.at;
	f->n_tensor = (uint32_t)k.tensors.n;
	return k.failed ? NULL : f;
}

/* --- values ------------------------------------------------------------------------------------------------ */

static Value value_of_tensor(Arena *a, const HostTensor *x)
{
	Value v = {.type = {.dtype = x->dtype, .rank = x->rank},
	           .rank = x->rank,
	           .count = host_tensor_count(x)};
	for (uint32_t i = 0; i < x->rank; i++) v.dims[i] = x->dims[i];
	v.at = NEW_ARRAY(a, double, v.count + 1);
	for (int64_t i = 0; i < v.count; i++) v.at[i] = dtype_load(x->dtype, x->data, i);
	return v;
}

static Value weight_value(Arena *a, const Weight *w, const BoundWeight *b)
{
	Value v = {.type = w->type, .rank = w->type.rank, .count = 1};
	for (uint32_t i = 0; i < v.rank; i++) {
		if (!dim_is_const(w->type.dim[i], &v.dims[i])) v.dims[i] = 0;
		v.count *= v.dims[i];
	}
	v.at = NEW_ARRAY(a, double, v.count + 1);
	int64_t at = 0;
	for (uint32_t k = 0; k < b->n; k++) {
		int64_t n = host_tensor_count(&b->part[k]);
		for (int64_t i = 0; i < n && at < v.count; i++)
			v.at[at++] = dtype_load(b->part[k].dtype, b->part[k].data, i);
	}
	return v;
}

typedef struct Known {
	const Module *m;
	const Dims *d;
} Known;

static bool known_value(void *ctx, const DimSym *s, int64_t *out)
{
	const Known *k = ctx;
	for (size_t i = 0; i < k->m->params.n; i++) {
		if (k->m->params.at[i] != s || !k->d->known[i]) continue;
		*out = k->d->value[i];
		return true;
	}
	return false;
}

static bool states_make(Runner *r, Interp *s, const Dims *d)
{
	Known k = {s->m, d};
	for (size_t i = 0; i < s->m->states.n; i++) {
		const State *state = &s->m->states.at[i];
		Value *v = &s->states[i];
		*v = (Value){.type = state->type, .rank = state->type.rank, .count = 1};
		for (uint32_t n = 0; n < v->rank; n++) {
			if (!dim_eval(state->type.dim[n], known_value, &k, &v->dims[n]) || v->dims[n] < 0)
				return tool_fail(r->t,
				                 "the size of state `%s` has no value: give its dims by --dim",
				                 state->name);
			v->count *= v->dims[n];
		}
		v->at = NEW_ARRAY(s->keep, double, v->count + 1);
		for (int64_t n = 0; n < v->count && state->initial != 0; n++) v->at[n] = state->initial;
	}
	s->states_made = true;
	return true;
}

static bool interp_call(Runner *r, Arena *a, uint32_t entry, const HostTensor *in, HostTensor *out,
                        const Dims *d, CallReport *report)
{
	Interp *s = r->self;
	const Entry *e = s->m->entries.at[entry];
	if (!s->states_made && !states_make(r, s, d)) return false;
	double began = seconds_now();
	Value *inputs = NEW_ARRAY(a, Value, e->graph->args.n + 1),
		  *outputs = NEW_ARRAY(a, Value, e->out_names.n + 1);
	Value *states = NEW_ARRAY(a, Value, s->m->states.n + 1);
	for (size_t i = 0; i < e->graph->args.n; i++) inputs[i] = value_of_tensor(a, &in[i]);
	for (size_t i = 0; i < s->m->states.n; i++) states[i] = s->states[i];
	int64_t *params = NEW_ARRAY(a, int64_t, s->m->params.n + 1);
	for (size_t i = 0; i < s->m->params.n; i++) params[i] = d->value[i];
	InterpretOptions o = {
		.exact = r->t->a.exact, .observe = r->observer.see, .ctx = r->observer.ctx};
	if (!module_interpret(a, &r->t->d, s->m, e, params, inputs, s->weights, states, outputs, &o))
		return false;
	for (size_t i = 0; i < e->out_names.n; i++)
		for (int64_t k = 0; k < outputs[i].count; k++)
			dtype_store(out[i].dtype, tensor_data(&out[i]), k, outputs[i].at[k]);
	/* The new states live in the call's arena: into the session's memory. */
	for (size_t i = 0; i < s->m->states.n; i++)
		if (states[i].at != s->states[i].at && states[i].count == s->states[i].count)
			memcpy(s->states[i].at, states[i].at, (size_t)states[i].count * sizeof(double));
	report->seconds = seconds_now() - began;
	return true;
}

static bool interp_reset(Runner *r)
{
	Interp *s = r->self;
	s->states_made = false;
	return true;
}

static void interp_close(Runner *r)
{
	arena_free(((Interp *)r->self)->keep);
}

bool interp_open(Runner *r, const Weights *w)
{
	static const RunnerOps ops = {interp_call, interp_reset, interp_close};
	Tool *t = r->t;
	Module *m = r->module;
	Interp *s = NEW(t->arena, Interp);
	*s = (Interp){.m = m, .keep = tool_arena(t)};
	r->self = s;
	r->ops = &ops;
	r->face = module_interface(t, m);
	if (!r->face) return false;
	s->weights = NEW_ARRAY(t->arena, Value, m->weights.n + 1);
	s->states = NEW_ARRAY(t->arena, Value, m->states.n + 1);
	for (size_t i = 0; i < m->weights.n; i++) {
		Arena *made = tool_arena(t);
		BoundWeight b = weight_data(w, m, i, made);
		s->weights[i] = weight_value(t->arena, &m->weights.at[i], &b);
		arena_free(made);
	}
	return true;
}
