/* Sessions: the dims and the state that live from call to call. */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

static NacreStatus session_open(NacreModel *m, NacreSession **out, NacreError *e)
{
	const Interface *io = m->io;
	size_t params = io->n_param + 1, tensors = io->n_tensor + 1;
	NacreSession *s = calloc(1, sizeof *s);
	if (!s) return no_memory(e, sizeof *s);
	s->model = m;
	s->param = calloc(params, sizeof *s->param);
	s->bound = calloc(params, sizeof *s->bound);
	s->value = calloc(params, sizeof *s->value);
	s->known = calloc(params, sizeof *s->known);
	s->defaulted = calloc(params, sizeof *s->defaulted);
	s->next = calloc(params, sizeof *s->next);
	s->bufs = calloc(tensors, sizeof *s->bufs);
	s->state = calloc(tensors, sizeof *s->state);
	bool ok = s->param && s->bound && s->value && s->known && s->defaulted && s->next && s->bufs &&
	          s->state;
	ok = ok && memory_take(&s->scratch, m->artefact->scratch_bytes);
	if (!ok) {
		nacre_session_free(s);
		return no_memory(e, m->artefact->scratch_bytes);
	}
	*out = s;
	return NACRE_OK;
}

static NacreStatus reset_dims(NacreSession *s, NacreError *e)
{
	const Interface *io = s->model->io;
	for (uint32_t i = 0; i < io->n_param; i++) {
		if (io->param[i].kind != IP_STATE) continue;
		NacreStatus r =
			eval_size(io->param[i].initial, s->param, io->param[i].name, &s->param[i], e);
		if (!r) r = param_check(io, i, s->param, e);
		if (r) return r;
		s->bound[i] = true;
	}
	return NACRE_OK;
}

static bool dims_bound(const NacreSession *s)
{
	for (uint32_t i = 0; i < s->model->io->n_param; i++)
		if (s->model->io->param[i].kind == IP_SESSION && !s->bound[i]) return false;
	return true;
}

NacreStatus nacre_session_new(NacreModel *m, const NacreDim *dims, uint32_t n, NacreSession **out,
                              NacreError *e)
{
	*out = NULL;
	NacreStatus r = nacre_model_ready(m, e);
	NacreSession *s = NULL;
	if (!r) r = session_open(m, &s, e);
	if (r) return r;
	const Interface *io = m->io;
	for (uint32_t i = 0; i < n && !r; i++) {
		int32_t p = param_named(io, dims[i].name);
		if (p < 0 || io->param[p].kind != IP_SESSION) {
			r = fail(e, NACRE_BAD_ARGUMENT, "the model has no session dim `%s`", dims[i].name);
			break;
		}
		s->param[p] = dims[i].value;
		s->bound[p] = true;
	}
	for (uint32_t i = 0; i < io->n_param && !r; i++)
		if (io->param[i].kind == IP_SESSION && s->bound[i]) r = param_check(io, i, s->param, e);
	if (!r) r = reset_dims(s, e);
	if (!r && dims_bound(s)) r = session_state(s, e);
	if (r) {
		nacre_session_free(s);
		return r;
	}
	*out = s;
	return succeed(e);
}

NacreStatus session_state(NacreSession *s, NacreError *e)
{
	const Interface *io = s->model->io;
	if (s->has_state) return NACRE_OK;
	for (uint32_t i = 0; i < io->n_tensor; i++) {
		const InterfaceTensor *t = &io->tensor[i];
		int64_t bytes;
		if (t->kind != IT_STATE || s->state[i].at) continue;
		for (uint32_t p = 0; p < io->n_param; p++)
			if (io->param[p].kind != IP_SESSION && expr_mentions(t->bytes, p))
				return fail(
					e, NACRE_BAD_ARTEFACT,
					"the size of state `%s` depends on `%s`, which is not fixed in a session",
					t->name, io->param[p].name);
		NacreStatus r = eval_size(t->bytes, s->param, t->name, &bytes, e);
		if (r) return r;
		if (!memory_take(&s->state[i], (uint64_t)bytes)) return no_memory(e, (uint64_t)bytes);
		interface_fill(t, s->state[i].at, (uint64_t)bytes);
		s->state_bytes += (uint64_t)bytes;
	}
	s->has_state = true;
	return NACRE_OK;
}

void nacre_session_free(NacreSession *s)
{
	if (!s) return;
	for (uint32_t i = 0; s->state && i < s->model->io->n_tensor; i++) memory_release(&s->state[i]);
	for (uint32_t i = 0; s->ticks && i < s->model->n_entry; i++) free(s->ticks[i]);
	for (uint32_t i = 0; i < PLANS; i++) {
		free(s->plan[i].key);
		free(s->plan[i].offset);
	}
	memory_release(&s->arena);
	memory_release(&s->scratch);
	free(s->ticks);
	free(s->row);
	free(s->param);
	free(s->bound);
	free(s->value);
	free(s->known);
	free(s->defaulted);
	free(s->next);
	free(s->bufs);
	free(s->state);
	free(s);
}

NacreStatus nacre_session_reset(NacreSession *s, NacreError *e)
{
	for (uint32_t i = 0; i < s->model->io->n_tensor; i++)
		if (s->state[i].at)
			interface_fill(&s->model->io->tensor[i], s->state[i].at, s->state[i].bytes);
	NacreStatus r = reset_dims(s, e);
	return r ? r : succeed(e);
}

NacreStatus nacre_session_copy(const NacreSession *from, NacreSession **out, NacreError *e)
{
	const Interface *io = from->model->io;
	NacreSession *s = NULL;
	*out = NULL;
	NacreStatus r = session_open(from->model, &s, e);
	if (r) return r;
	memcpy(s->param, from->param, io->n_param * sizeof *s->param);
	memcpy(s->bound, from->bound, io->n_param * sizeof *s->bound);
	if (from->has_state) r = session_state(s, e);
	for (uint32_t i = 0; !r && i < io->n_tensor; i++)
		if (from->state[i].at) memcpy(s->state[i].at, from->state[i].at, from->state[i].bytes);
	if (r) {
		nacre_session_free(s);
		return r;
	}
	*out = s;
	return succeed(e);
}

int64_t nacre_session_dim(const NacreSession *s, const char *name)
{
	int32_t p = param_named(s->model->io, name);
	return p >= 0 && s->bound[p] ? s->param[p] : -1;
}

NacreStatus nacre_session_set_dim(NacreSession *s, const char *name, int64_t value, NacreError *e)
{
	const Interface *io = s->model->io;
	int32_t p = param_named(io, name);
	if (p < 0) return fail(e, NACRE_BAD_ARGUMENT, "the model has no dim `%s`", name);
	bool free_yet = io->param[p].kind == IP_SESSION && !s->bound[p] && !s->has_state;
	if (io->param[p].kind != IP_STATE && !free_yet)
		return fail(e, NACRE_BAD_ARGUMENT, "dim `%s` cannot be set: it is %s", name,
		            io->param[p].kind == IP_CALL ? "bound by each call" : "fixed for the session");
	int64_t before = s->param[p];
	s->param[p] = value;
	NacreStatus r = param_check(io, (uint32_t)p, s->param, e);
	if (r) {
		s->param[p] = before;
		return r;
	}
	s->bound[p] = true;
	return succeed(e);
}

void nacre_session_memory(const NacreSession *s, uint64_t *weights, uint64_t *state,
                          uint64_t *activations)
{
	*weights = s->model->weight_bytes + s->model->artefact->constants_bytes;
	*state = s->state_bytes;
	*activations = s->arena.bytes;
}
