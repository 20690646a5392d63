/* Binding dims: from the shapes of the inputs, the session and what the caller gives; ranges, shapes
 * and relations checked, each with a message that names the dim or the tensor. */
#include "runtime/internal.h"

#include <string.h>

/* --- expressions ------------------------------------------------------------------------------------- */

bool expr_mentions(const ExprWord *x, uint32_t param)
{
	for (; x->code != EXPR_END; x++)
		if (x->code == EXPR_PARAM && x->value == (int64_t)param) return true;
	return false;
}

NacreStatus eval_size(const ExprWord *x, const int64_t *params, const char *what, int64_t *out,
                      NacreError *e)
{
	if (!expr_eval(x, params, out))
		return fail(e, NACRE_BAD_ARGUMENT, "the size of `%s` overflows", what);
	if (*out < 0)
		return fail(e, NACRE_BAD_ARGUMENT, "the size of `%s` would be %lld", what, (long long)*out);
	return NACRE_OK;
}

NacreStatus tensor_shape(const InterfaceTensor *t, const int64_t *params, NacreTensor *out,
                         NacreError *e)
{
	*out = (NacreTensor){.type = (NacreType)t->dtype, .rank = t->rank};
	int64_t elements = 1, bytes;
	for (uint32_t d = 0; d < t->rank; d++) {
		NacreStatus s = eval_size(t->dim[d], params, t->name, &out->dims[d], e);
		if (s) return s;
		if (__builtin_mul_overflow(elements, out->dims[d], &elements))
			return fail(e, NACRE_BAD_ARGUMENT, "the size of `%s` overflows", t->name);
	}
	NacreStatus s = eval_size(t->bytes, params, t->name, &bytes, e);
	if (s) return s;
	/* host arrays are this size: an interface that says otherwise would make us read past their end */
	if (t->plain &&
	    (elements > INT64_MAX / 64 || (elements * (int64_t)type_bits(t->dtype) + 7) / 8 != bytes))
		return fail(e, NACRE_BAD_ARTEFACT, "the bytes of `%s` do not agree with its shape",
		            t->name);
	return NACRE_OK;
}

/* --- parameters --------------------------------------------------------------------------------------- */

int32_t param_named(const Interface *io, const char *name)
{
	for (uint32_t i = 0; i < io->n_param; i++)
		if (strcmp(io->param[i].name, name) == 0) return (int32_t)i;
	return -1;
}

NacreStatus param_range(const Interface *io, uint32_t i, const int64_t *params, int64_t *lo,
                        int64_t *hi, NacreError *e)
{
	if (!expr_eval(io->param[i].lo, params, lo) || !expr_eval(io->param[i].hi, params, hi))
		return fail(e, NACRE_BAD_ARGUMENT, "the range of dim `%s` overflows", io->param[i].name);
	return NACRE_OK;
}

NacreStatus param_check(const Interface *io, uint32_t i, const int64_t *params, NacreError *e)
{
	int64_t lo, hi;
	NacreStatus s = param_range(io, i, params, &lo, &hi, e);
	if (s || (params[i] >= lo && params[i] <= hi)) return s;
	return fail(e, NACRE_BAD_ARGUMENT, "dim `%s` is %lld, outside of its range %lld..%lld",
	            io->param[i].name, (long long)params[i], (long long)lo, (long long)hi);
}

/* --- a call -------------------------------------------------------------------------------------------- */

static NacreStatus bind_given(NacreSession *s, const NacreDim *dims, uint32_t n, NacreError *e)
{
	const Interface *io = s->model->io;
	for (uint32_t i = 0; i < n; i++) {
		int32_t p = param_named(io, dims[i].name);
		if (p < 0) return fail(e, NACRE_BAD_ARGUMENT, "the model has no dim `%s`", dims[i].name);
		if (io->param[p].kind == IP_STATE)
			return fail(e, NACRE_BAD_ARGUMENT, "dim `%s` is state of the session, not of a call",
			            dims[i].name);
		if (s->known[p] && s->value[p] != dims[i].value)
			return fail(e, NACRE_BAD_ARGUMENT, "dim `%s` is %lld in this session, not %lld",
			            dims[i].name, (long long)s->value[p], (long long)dims[i].value);
		s->value[p] = dims[i].value;
		s->known[p] = true;
	}
	return NACRE_OK;
}

static NacreStatus check_types(const NacreModel *m, uint32_t entry, const NacreTensor *inputs,
                               NacreError *e)
{
	const InterfaceEntry *n = &m->io->entry[entry];
	for (uint32_t i = 0; i < n->n_in; i++) {
		const InterfaceTensor *t = &m->io->tensor[n->in[i]];
		const NacreTensor *x = &inputs[i];
		if (x->type != (NacreType)t->dtype)
			return fail(e, NACRE_BAD_ARGUMENT, "input `%s` is %s, entry `%s` needs %s", t->name,
			            type_name(x->type), n->name, type_name(t->dtype));
		if (x->rank != t->rank)
			return fail(e, NACRE_BAD_ARGUMENT, "input `%s` has %u dimension%s, entry `%s` needs %u",
			            t->name, x->rank, x->rank == 1 ? "" : "s", n->name, t->rank);
		for (uint32_t d = 0; d < x->rank; d++)
			if (x->dims[d] < 0)
				return fail(e, NACRE_BAD_ARGUMENT, "dimension %u of input `%s` is negative", d,
				            t->name);
	}
	return NACRE_OK;
}

/* The one parameter of x that is not known; -1: none, -2: several. */
static int64_t only_unknown(const NacreSession *s, const ExprWord *x)
{
	int64_t found = -1;
	for (; x->code != EXPR_END; x++) {
		if (x->code != EXPR_PARAM || s->known[x->value] || x->value == found) continue;
		if (found >= 0) return -2;
		found = x->value;
	}
	return found;
}

/* Solves x == size for its one unknown when it is linear; what does not come out even is found by the
 * check of shapes afterwards. */
static bool solve(NacreSession *s, const ExprWord *x, int64_t size)
{
	int64_t p = only_unknown(s, x), at[3], step, other;
	if (p < 0) return false;
	for (int64_t i = 0; i < 3; i++) {
		s->value[p] = i;
		if (!expr_eval(x, s->value, &at[i])) return false;
	}
	s->value[p] = 0;
	if (__builtin_sub_overflow(at[1], at[0], &step) ||
	    __builtin_sub_overflow(at[2], at[1], &other) || !step || step != other)
		return false;
	int64_t rest;
	if (__builtin_sub_overflow(size, at[0], &rest) || (rest == INT64_MIN && step == -1))
		return false;
	s->value[p] = rest / step;
	s->known[p] = true;
	return true;
}

static void bind_shapes(NacreSession *s, uint32_t entry, const NacreTensor *inputs)
{
	const Interface *io = s->model->io;
	const InterfaceEntry *n = &io->entry[entry];
	for (bool progress = true; progress;) {
		progress = false;
		for (uint32_t i = 0; i < n->n_in; i++) {
			const InterfaceTensor *t = &io->tensor[n->in[i]];
			for (uint32_t d = 0; d < t->rank; d++)
				progress = solve(s, t->dim[d], inputs[i].dims[d]) || progress;
		}
	}
}

/* A dim of a call that this entry's inputs do not show: when another entry knows it, it is not ours,
 * and any value in range serves. */
static NacreStatus bind_rest(NacreSession *s, uint32_t entry, NacreError *e)
{
	const NacreModel *m = s->model;
	const Interface *io = m->io;
	for (uint32_t p = 0; p < io->n_param; p++) {
		if (s->known[p]) continue;
		bool elsewhere = false;
		for (uint32_t i = 0; i < m->n_entry; i++)
			elsewhere =
				elsewhere || (i != entry && (m->entry[i].shows[p] || m->entry[i].requires[p]));
		const EntryInfo *own = &m->entry[entry];
		bool ours = own->shows[p] || own->sizes_use[p] ||
		            own->
		                requires[
		                        p] ||
		            io->param[p].kind == IP_SESSION;
		if (ours || !elsewhere)
			return fail(e, NACRE_MISSING,
			            "the value of dim `%s` follows from no input of entry `%s`: give it",
			            io->param[p].name, io->entry[entry].name);
		int64_t hi;
		NacreStatus r = param_range(io, p, s->value, &s->value[p], &hi, e);
		if (r) return r;
		s->known[p] = s->defaulted[p] = true;
	}
	return NACRE_OK;
}

static NacreStatus check_shapes(const NacreSession *s, uint32_t entry, const NacreTensor *inputs,
                                NacreError *e)
{
	const Interface *io = s->model->io;
	const InterfaceEntry *n = &io->entry[entry];
	for (uint32_t i = 0; i < n->n_in; i++) {
		const InterfaceTensor *t = &io->tensor[n->in[i]];
		NacreTensor want;
		NacreStatus r = tensor_shape(t, s->value, &want, e);
		if (r) return r;
		char got[200], need[200];
		for (uint32_t d = 0; d < t->rank; d++)
			if (want.dims[d] != inputs[i].dims[d])
				return fail(e, NACRE_BAD_ARGUMENT,
				            "input `%s` has the shape %s, entry `%s` needs %s", t->name,
				            shape_text(got, sizeof got, t->rank, inputs[i].dims), n->name,
				            shape_text(need, sizeof need, t->rank, want.dims));
	}
	return NACRE_OK;
}

static bool uses_default(const NacreSession *s, const ExprWord *x)
{
	for (; x->code != EXPR_END; x++)
		if (x->code == EXPR_PARAM && s->defaulted[x->value]) return true;
	return false;
}

/* Relations that mention a dim which is not this entry's say nothing about the call. */
static NacreStatus check_required(const NacreSession *s, uint32_t count,
                                  const ExprWord *const *require, const char *const *text,
                                  NacreError *e)
{
	const Interface *io = s->model->io;
	for (uint32_t i = 0; i < count; i++) {
		int64_t v;
		if (uses_default(s, require[i])) continue;
		if (expr_eval(require[i], s->value, &v) && v >= 0) continue;
		char failed[sizeof e->text];
		interface_require_text(failed, sizeof failed, io, require[i], text[i], s->value);
		return fail(e, NACRE_BAD_ARGUMENT, "%s", failed);
	}
	return NACRE_OK;
}

/* State dims after the call: s->next. */
static NacreStatus check_next(NacreSession *s, const InterfaceEntry *n, NacreError *e)
{
	const Interface *io = s->model->io;
	memcpy(s->next, s->value, io->n_param * sizeof *s->next);
	for (uint32_t i = 0; i < n->n_set; i++)
		if (!expr_eval(n->set_value[i], s->value, &s->next[n->set_param[i]]))
			return fail(e, NACRE_BAD_ARGUMENT, "dim `%s` would overflow",
			            io->param[n->set_param[i]].name);
	for (uint32_t i = 0; i < n->n_set; i++) {
		NacreStatus r = param_check(io, n->set_param[i], s->next, e);
		if (r) return r;
	}
	return NACRE_OK;
}

NacreStatus bind_call(NacreSession *s, uint32_t entry, const NacreTensor *inputs,
                      const NacreDim *dims, uint32_t n, NacreError *e)
{
	const Interface *io = s->model->io;
	if (entry >= s->model->n_entry)
		return fail(e, NACRE_BAD_ARGUMENT, "the model has no entry %u", entry);
	for (uint32_t i = 0; i < io->n_param; i++) {
		s->value[i] = s->param[i];
		s->known[i] = s->bound[i];
		s->defaulted[i] = false;
	}
	NacreStatus r = bind_given(s, dims, n, e);
	if (!r) r = check_types(s->model, entry, inputs, e);
	if (r) return r;
	bind_shapes(s, entry, inputs);
	r = bind_rest(s, entry, e);
	for (uint32_t i = 0; !r && i < io->n_param; i++) r = param_check(io, i, s->value, e);
	if (!r) r = check_shapes(s, entry, inputs, e);
	const InterfaceEntry *x = &io->entry[entry];
	if (!r) r = check_required(s, io->n_require, io->require, io->require_text, e);
	if (!r) r = check_required(s, x->n_require, x->require, x->require_text, e);
	if (!r) r = check_next(s, x, e);
	return r;
}
