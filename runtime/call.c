/* Calls: buffers found or planned, the entry run by all threads, state dims moved on. Plans of the
 * activations are kept for the bindings last seen, so that a call of known sizes plans nothing. */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

/* --- running ------------------------------------------------------------------------------------------- */

/* The inputs of a call, for what a failed check tells of them. */
typedef struct Call {
	const NacreModel *m;
	uint32_t entry;
	const NacreTensor *inputs; /* NULL: none */
} Call;

static int64_t element_i32(const void *data, int64_t k)
{
	return ((const int32_t *)data)[k];
}

static int64_t element_i64(const void *data, int64_t k)
{
	return ((const int64_t *)data)[k];
}

static bool input_named(void *ctx, const char *name, CheckInput *out)
{
	const Call *c = ctx;
	const InterfaceEntry *n = &c->m->io->entry[c->entry];
	for (uint32_t i = 0; c->inputs && i < n->n_in; i++) {
		const NacreTensor *x = &c->inputs[i];
		if (strcmp(c->m->io->tensor[n->in[i]].name, name) != 0) continue;
		*out = (CheckInput){x->rank, x->dims, x->type == NACRE_I32 ? element_i32 : element_i64,
		                    x->data};
		return x->type == NACRE_I32 || x->type == NACRE_I64;
	}
	return false;
}

static NacreStatus stopped(Call *c, const NacreStop *stop, NacreError *e)
{
	const Interface *io = c->m->io;
	const InterfaceEntry *n = &io->entry[c->entry];
	if (!stop->code) return NACRE_OK;
	if (stop->check > 0 && (uint32_t)stop->check <= io->n_check) {
		CheckFailure f = {
			.index = stop->value, .limit = stop->limit, .find = input_named, .ctx = c};
		char text[sizeof e->text];
		check_message(text, sizeof text, io->check[stop->check - 1], &f);
		return fail(e, NACRE_BAD_INDEX, "%s", text);
	}
	const char *kernel = stop->launch >= 0 && (uint32_t)stop->launch < n->launches
	                         ? n->launch_name[stop->launch]
	                         : "?";
	return fail(e, NACRE_BAD_INDEX,
	            "entry `%s`: the index %lld is outside of 0..%lld (in kernel `%s`)", n->name,
	            (long long)stop->value, (long long)stop->limit - 1, kernel);
}

static NacreStatus run(NacreSession *s, uint32_t entry, const NacreTensor *inputs, NacreError *e)
{
	NacreModel *m = s->model;
	NacreStop stop = {0};
	NacreFrame frame = {.bufs = s->bufs,
	                    .params = s->value,
	                    .profile = s->profiled ? s->ticks[entry] : NULL,
	                    .stop = &stop};
	pool_run(m->pool, m->artefact->entries[entry], &frame, s->scratch.at);
	return stopped(&(Call){m, entry, inputs}, &stop, e);
}

/* Offsets of the arena tensors of an entry, in the order of its list. */
static NacreStatus plan_entry(const NacreModel *m, uint32_t entry, const int64_t *params,
                              uint64_t *offset, uint64_t *total, NacreError *e)
{
	const EntryInfo *n = &m->entry[entry];
	PlanItem *item = calloc(n->n_arena + 1, sizeof *item);
	if (!item) return no_memory(e, n->n_arena * sizeof *item);
	NacreStatus r = NACRE_OK;
	for (uint32_t i = 0; i < n->n_arena && !r; i++) {
		const InterfaceTensor *t = &m->io->tensor[n->arena[i]];
		int64_t bytes = 0;
		r = eval_size(t->bytes, params, t->name, &bytes, e);
		item[i] =
			(PlanItem){.bytes = (uint64_t)bytes, .first = t->live_first, .last = t->live_last};
	}
	if (!r && !plan_memory(item, n->n_arena, total))
		r = fail(e, NACRE_NO_MEMORY, "the activations of entry `%s` are too large",
		         m->io->entry[entry].name);
	for (uint32_t i = 0; i < n->n_arena && !r; i++) offset[i] = item[i].offset;
	free(item);
	return r;
}

NacreStatus entry_run(NacreModel *m, uint32_t entry, const int64_t *params, void **bufs,
                      uint8_t *scratch, void (*launching)(NacreFrame *, int32_t), NacreError *e)
{
	const EntryInfo *n = &m->entry[entry];
	uint64_t total = 0, *offset = calloc(n->n_arena + 1, sizeof *offset);
	if (!offset) return no_memory(e, n->n_arena * sizeof *offset);
	Memory arena = {0};
	NacreStatus r = plan_entry(m, entry, params, offset, &total, e);
	if (!r && total && !memory_take(&arena, total)) r = no_memory(e, total);
	for (uint32_t i = 0; i < n->n_arena && !r; i++) bufs[n->arena[i]] = arena.at + offset[i];
	if (!r) {
		NacreStop stop = {0};
		NacreFrame frame = {
			.bufs = bufs, .params = params, .stop = &stop, .launching = launching, .owner = m};
		pool_run(m->pool, m->artefact->entries[entry], &frame, scratch);
		r = stopped(&(Call){m, entry, NULL}, &stop, e);
	}
	memory_release(&arena);
	free(offset);
	return r;
}

/* --- plans of a session --------------------------------------------------------------------------------- */

static bool plan_fits(const NacreSession *s, const Plan *p, uint32_t entry)
{
	if (!p->used || p->entry != entry) return false;
	const bool *use = s->model->entry[entry].sizes_use;
	for (uint32_t i = 0; i < s->model->io->n_param; i++)
		if (use[i] && p->key[i] != s->value[i]) return false;
	return true;
}

static NacreStatus plan_find(NacreSession *s, uint32_t entry, Plan **out, NacreError *e)
{
	const NacreModel *m = s->model;
	Plan *oldest = &s->plan[0];
	for (uint32_t i = 0; i < PLANS; i++) {
		Plan *p = &s->plan[i];
		if (plan_fits(s, p, entry)) {
			p->used = ++s->clock;
			*out = p;
			return NACRE_OK;
		}
		if (p->used < oldest->used) oldest = p;
	}
	Plan *p = oldest;
	free(p->key);
	free(p->offset);
	*p = (Plan){.entry = entry};
	p->key = calloc(m->io->n_param + 1, sizeof *p->key);
	p->offset = calloc(m->entry[entry].n_arena + 1, sizeof *p->offset);
	if (!p->key || !p->offset) return no_memory(e, m->entry[entry].n_arena * sizeof *p->offset);
	memcpy(p->key, s->value, m->io->n_param * sizeof *p->key);
	NacreStatus r = plan_entry(m, entry, s->value, p->offset, &p->total, e);
	if (!r) p->used = ++s->clock;
	*out = p;
	return r;
}

static NacreStatus arena_ready(NacreSession *s, uint32_t entry, NacreError *e)
{
	Plan *p = NULL;
	NacreStatus r = plan_find(s, entry, &p, e);
	if (r) return r;
	if (p->total > s->arena.bytes) {
		memory_release(&s->arena);
		if (!memory_take(&s->arena, p->total)) return no_memory(e, p->total);
	}
	const EntryInfo *n = &s->model->entry[entry];
	for (uint32_t i = 0; i < n->n_arena; i++) s->bufs[n->arena[i]] = s->arena.at + p->offset[i];
	return NACRE_OK;
}

/* --- calls ------------------------------------------------------------------------------------------------ */

static NacreStatus output_shapes(const NacreSession *s, uint32_t entry, NacreTensor *outputs,
                                 bool keep_data, NacreError *e)
{
	const Interface *io = s->model->io;
	for (uint32_t i = 0; i < io->entry[entry].n_out; i++) {
		void *data = keep_data ? outputs[i].data : NULL;
		NacreStatus r =
			tensor_shape(&io->tensor[io->entry[entry].out[i]], s->value, &outputs[i], e);
		outputs[i].data = data;
		if (r) return r;
	}
	return NACRE_OK;
}

NacreStatus nacre_call_shapes(NacreSession *s, uint32_t entry, const NacreTensor *inputs,
                              const NacreDim *dims, uint32_t n, NacreTensor *outputs, NacreError *e)
{
	NacreStatus r = bind_call(s, entry, inputs, dims, n, e);
	if (!r) r = output_shapes(s, entry, outputs, false, e);
	return r ? r : succeed(e);
}

/* The caller's array as buffer `number`. */
static NacreStatus host_buffer(NacreSession *s, uint32_t number, const NacreTensor *x,
                               const char *what, NacreError *e)
{
	const InterfaceTensor *t = &s->model->io->tensor[number];
	bool empty = false;
	for (uint32_t d = 0; d < x->rank; d++) empty = empty || x->dims[d] == 0;
	if (!x->data && !empty) return fail(e, NACRE_MISSING, "%s `%s` was not given", what, t->name);
	uintptr_t align = type_bits(t->dtype) > 8 ? type_bits(t->dtype) / 8 : 1;
	if ((uintptr_t)x->data % align)
		return fail(e, NACRE_BAD_ARGUMENT, "%s `%s` is not aligned to its elements", what, t->name);
	s->bufs[number] = x->data ? x->data : s->scratch.at;
	if (t->kind != IT_IN || t->dtype != NACRE_I64) return NACRE_OK;
	int64_t n = 1, at;
	for (uint32_t d = 0; d < x->rank; d++) n *= x->dims[d];
	if ((at = interface_first_large(x->data, n)) == n) return NACRE_OK;
	return fail(e, NACRE_BAD_ARGUMENT,
	            "element %lld of input `%s` is %lld: i64 is computed in i32, which cannot hold it",
	            (long long)at, t->name, (long long)((const int64_t *)x->data)[at]);
}

static NacreStatus set_buffers(NacreSession *s, uint32_t entry, const NacreTensor *inputs,
                               NacreTensor *outputs, NacreError *e)
{
	const NacreModel *m = s->model;
	const Interface *io = m->io;
	const InterfaceEntry *n = &io->entry[entry];
	for (uint32_t i = 0; i < io->n_tensor; i++)
		s->bufs[i] = io->tensor[i].kind == IT_STATE ? s->state[i].at : m->bufs[i];
	NacreStatus r = NACRE_OK;
	for (uint32_t i = 0; i < n->n_in && !r; i++)
		r = host_buffer(s, n->in[i], &inputs[i], "input", e);
	for (uint32_t i = 0; i < n->n_out && !r; i++)
		r = host_buffer(s, n->out[i], &outputs[i], "output", e);
	return r ? r : arena_ready(s, entry, e);
}

/* Session dims that this call has bound stay so. */
static NacreStatus commit_session(NacreSession *s, NacreError *e)
{
	const Interface *io = s->model->io;
	if (s->has_state) return NACRE_OK;
	for (uint32_t i = 0; i < io->n_param; i++) {
		if (io->param[i].kind != IP_SESSION) continue;
		s->param[i] = s->value[i];
		s->bound[i] = true;
	}
	return session_state(s, e);
}

NacreStatus nacre_call(NacreSession *s, uint32_t entry, const NacreTensor *inputs,
                       const NacreDim *dims, uint32_t n, NacreTensor *outputs, NacreError *e)
{
	NacreStatus r = bind_call(s, entry, inputs, dims, n, e);
	if (!r) r = output_shapes(s, entry, outputs, true, e);
	if (!r) r = commit_session(s, e);
	if (!r) r = set_buffers(s, entry, inputs, outputs, e);
	if (!r) r = run(s, entry, inputs, e);
	if (r) return r;
	const InterfaceEntry *x = &s->model->io->entry[entry];
	for (uint32_t i = 0; i < x->n_set; i++) s->param[x->set_param[i]] = s->next[x->set_param[i]];
	return succeed(e);
}
