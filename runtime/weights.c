/* Weights: bound one by one, or fetched from a loader as the packing of constants needs them, so that
 * what is packed never lies in memory whole beside its packed form. */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

/* --- what is bound ------------------------------------------------------------------------------------ */

/* Is the shape of t that of slice `w->n_key` of the whole? *lead: leading dims that the slices make up. */
static bool slice_fits(const NacreTensor *whole, const Weight *w, const NacreTensor *t)
{
	if (t->rank > whole->rank) return false;
	uint32_t lead = whole->rank - t->rank;
	uint64_t slices = 1;
	for (uint32_t d = 0; d < lead; d++) slices *= (uint64_t)whole->dims[d];
	if (slices != w->n_key) return false;
	for (uint32_t d = 0; d < t->rank; d++)
		if (t->dims[d] != whole->dims[lead + d]) return false;
	return true;
}

static NacreStatus wrong_shape(const NacreTensor *whole, const Weight *w, const char *key,
                               const NacreTensor *t, NacreError *e)
{
	char got[200], want[200];
	uint32_t lead = 0;
	for (uint64_t n = 1; lead < whole->rank && n < w->n_key; lead++)
		n *= (uint64_t)whole->dims[lead];
	return fail(e, NACRE_BAD_ARGUMENT, "weight `%s` has the shape %s, the model needs %s", key,
	            shape_text(got, sizeof got, t->rank, t->dims),
	            shape_text(want, sizeof want, whole->rank - lead, whole->dims + lead));
}

/* Its type and shape against those of the artefact; *bytes is the size of the whole weight. */
static NacreStatus slice_check(const NacreModel *m, const Weight *w, uint32_t key,
                               const NacreTensor *t, int64_t *bytes, NacreError *e)
{
	const InterfaceTensor *x = &m->io->tensor[w->tensor];
	NacreTensor whole;
	NacreStatus s = tensor_shape(x, NULL, &whole, e);
	if (s) return s;
	if (t->rank > 8 || t->type != whole.type)
		return fail(e, NACRE_BAD_ARGUMENT, "weight `%s` is %s, the model needs %s", w->key[key],
		            type_name(t->type), type_name(x->dtype));
	if (!slice_fits(&whole, w, t)) return wrong_shape(&whole, w, w->key[key], t, e);
	return eval_size(x->bytes, NULL, x->name, bytes, e);
}

static bool in_place(const NacreModel *m, const Weight *w, const void *data)
{
	uint32_t bits = type_bits(m->io->tensor[w->tensor].dtype);
	return data && w->n_key == 1 && (uintptr_t)data % (bits > 8 ? bits / 8 : 1) == 0;
}

static NacreStatus own_memory(Weight *w, int64_t bytes, NacreError *e)
{
	bool ok = w->own.at || memory_take(&w->own, (uint64_t)bytes);
	return ok ? NACRE_OK : no_memory(e, (uint64_t)bytes);
}

NacreStatus nacre_model_bind(NacreModel *m, uint32_t i, uint32_t key, const NacreTensor *t,
                             NacreError *e)
{
	if (i >= m->n_weight || key >= m->weight[i].n_key)
		return fail(e, NACRE_BAD_ARGUMENT, "there is no weight %u with slice %u", i, key);
	if (m->ready)
		return fail(e, NACRE_BAD_ARGUMENT, "weights cannot be bound once the model is ready");
	Weight *w = &m->weight[i];
	int64_t bytes;
	NacreStatus s = slice_check(m, w, key, t, &bytes, e);
	if (s) return s;
	if (!t->data && bytes) return fail(e, NACRE_MISSING, "weight `%s` has no data", w->key[key]);
	if (in_place(m, w, t->data)) {
		m->bufs[w->tensor] = t->data;
	} else {
		s = own_memory(w, bytes, e);
		if (s) return s;
		size_t slice = (size_t)bytes / w->n_key;
		if (bytes) memcpy(w->own.at + slice * key, t->data, slice);
		m->bufs[w->tensor] = w->own.at;
	}
	if (!w->bound[key]) {
		w->bound[key] = true;
		w->n_bound++;
		m->weight_bytes += (uint64_t)bytes / w->n_key;
	}
	return succeed(e);
}

static NacreStatus all_bound(const NacreModel *m, NacreError *e)
{
	uint32_t missing = 0;
	const char *first = NULL, *name = NULL;
	for (uint32_t i = 0; i < m->n_weight; i++) {
		const Weight *w = &m->weight[i];
		for (uint32_t k = 0; k < w->n_key; k++) {
			if (w->bound[k]) continue;
			if (!missing++) {
				first = w->key[k];
				name = m->io->tensor[w->tensor].name;
			}
		}
	}
	if (!missing) return NACRE_OK;
	if (missing == 1)
		return fail(e, NACRE_MISSING, "weight `%s` (of `%s`) was not given", first, name);
	return fail(e, NACRE_MISSING, "%u weights were not given, the first is `%s` (of `%s`)", missing,
	            first, name);
}

/* --- loaded while constants are packed ------------------------------------------------------------------ */

static bool prepack_only(const NacreModel *m, const Weight *w)
{
	return m->n_entry && m->io->prepack >= 0 &&
	       m->io->tensor[w->tensor].entry == (uint32_t)m->io->prepack;
}

/* Slice `key` to its place in the stack, unless it is there. */
static void slice_fill(NacreModel *m, Weight *w, uint32_t key)
{
	size_t slice = w->own.bytes / w->n_key;
	if (w->filled[key]) return;
	w->filled[key] = true;
	uint8_t *to = w->own.at + slice * key;
	if (w->from[key])
		memcpy(to, w->from[key], slice);
	else if (slice && !m->loader->read(m->loader->ctx, (uint32_t)(w - m->weight), key, to))
		m->unread = w->key[key];
}

static NacreStatus all_read(const NacreModel *m, NacreError *e)
{
	if (!m->unread) return NACRE_OK;
	return fail(e, NACRE_IO, "weight `%s` could not be read", m->unread);
}

static void late_turn(NacreModel *m, Weight *w, uint32_t launch, uint32_t turn)
{
	const InterfaceTensor *t = &m->io->tensor[w->tensor];
	if (!t->sliced) {
		for (uint32_t key = 0; key < w->n_key; key++) slice_fill(m, w, key);
	} else if (turn < w->n_key) {
		size_t slice = w->own.bytes / w->n_key;
		if (turn && launch == t->live_last) memory_drop(&w->own, slice * (turn - 1), slice * turn);
		slice_fill(m, w, turn);
	}
}

static void drop_source(NacreModel *m, Weight *w)
{
	if (!w->late) m->weight_bytes -= w->own.bytes;
	memory_release(&w->own);
	m->bufs[w->tensor] = NULL;
}

/* Called by all threads before each launch of the prepack entry. What no later launch reads goes; what
 * this one reads of late weights comes: of a sliced one the slice of this turn. */
static void prepack_launching(NacreFrame *f, int32_t launch)
{
	NacreModel *m = f->owner;
	uint32_t number = (uint32_t)launch;
	pool_meet(f);
	if (f->thread == 0) {
		uint32_t turn = m->turns[number]++;
		for (uint32_t i = 0; i < m->n_weight; i++) {
			Weight *w = &m->weight[i];
			const InterfaceTensor *t = &m->io->tensor[w->tensor];
			if (!w->own.at || !prepack_only(m, w)) continue;
			if (t->live_last < number)
				drop_source(m, w);
			else if (w->late && t->live_first <= number)
				late_turn(m, w, number, turn);
		}
	}
	pool_meet(f);
}

/* The last of them, after the prepack entry. */
static void drop_sources(NacreModel *m)
{
	for (uint32_t i = 0; i < m->n_weight; i++)
		if (m->weight[i].own.at && prepack_only(m, &m->weight[i])) drop_source(m, &m->weight[i]);
}

/* Weight i from the loader: in place, or copied now, or left to be fetched by the prepack entry. */
static NacreStatus weight_load(NacreModel *m, uint32_t i, NacreError *e)
{
	Weight *w = &m->weight[i];
	w->late = !w->n_bound && prepack_only(m, w);
	for (uint32_t key = 0; key < w->n_key; key++) {
		NacreTensor t = {0};
		int64_t bytes;
		if (w->bound[key]) continue;
		m->loader->tensor(m->loader->ctx, i, key, &t);
		NacreStatus s = slice_check(m, w, key, &t, &bytes, e);
		if (s) return s;
		w->bound[key] = w->loaded[key] = true;
		w->n_bound++;
		if (in_place(m, w, t.data)) {
			m->bufs[w->tensor] = t.data;
			if (!w->late) m->weight_bytes += (uint64_t)bytes;
			continue;
		}
		s = own_memory(w, bytes, e);
		if (s) return s;
		m->bufs[w->tensor] = w->own.at;
		w->from[key] = t.data;
		if (w->late) continue;
		m->weight_bytes += (uint64_t)bytes / w->n_key;
		slice_fill(m, w, key);
	}
	return NACRE_OK;
}

/* After an error in loading or packing: what came from a loader is to be loaded again, what was bound
 * stays, unless its copy has been let go already: then it is to be bound again. */
static void weights_forget(NacreModel *m)
{
	m->weight_bytes = 0;
	m->unread = NULL;
	for (uint32_t i = 0; i < m->n_weight; i++) {
		Weight *w = &m->weight[i];
		const InterfaceTensor *t = &m->io->tensor[w->tensor];
		int64_t bytes = 0;
		eval_size(t->bytes, NULL, t->name, &bytes, NULL);
		bool gone = bytes && !m->bufs[w->tensor];
		for (uint32_t key = 0; key < w->n_key; key++) {
			if (!w->bound[key] || (!w->loaded[key] && !gone)) continue;
			w->bound[key] = w->loaded[key] = w->filled[key] = false;
			w->from[key] = NULL;
			w->n_bound--;
		}
		if (w->n_bound)
			m->weight_bytes += (uint64_t)bytes / w->n_key * w->n_bound;
		else
			memory_release(&w->own);
		if (!w->n_bound) m->bufs[w->tensor] = NULL;
	}
}

NacreStatus nacre_model_load(NacreModel *m, const NacreLoader *loader, NacreError *e)
{
	pthread_mutex_lock(&m->lock);
	NacreStatus s = NACRE_OK;
	m->loader = loader;
	for (uint32_t i = 0; i < m->n_weight && !s && !m->ready; i++) s = weight_load(m, i, e);
	if (!s) s = all_read(m, e);
	if (s) weights_forget(m);
	pthread_mutex_unlock(&m->lock);
	if (!s) s = nacre_model_ready(m, e);
	m->loader = NULL;
	return s;
}

/* --- constants ------------------------------------------------------------------------------------------ */

/* Memory for all constants in one block, then the prepack entry. */
static NacreStatus make_constants(NacreModel *m, NacreError *e)
{
	const Interface *io = m->io;
	uint64_t total = 0;
	int64_t bytes;
	for (int pass = 0; pass < 2; pass++) {
		uint64_t at = 0;
		for (uint32_t i = 0; i < io->n_tensor; i++) {
			const InterfaceTensor *t = &io->tensor[i];
			if (t->kind != IT_CONST || t->offset != UINT64_MAX) continue;
			NacreStatus s = eval_size(t->bytes, NULL, t->name, &bytes, e);
			if (s) return s;
			if (pass) m->bufs[i] = m->consts.at + at;
			at += ((uint64_t)bytes + 127) / 64 * 64;
			if (at > SIZE_MAX / 8) return no_memory(e, at);
		}
		if (!at) return NACRE_OK;
		if (!pass && !memory_take(&m->consts, at)) return no_memory(e, at);
		total = at;
	}
	if (io->prepack < 0)
		return fail(e, NACRE_BAD_ARTEFACT,
		            "the artefact has constants but nothing that makes them");
	Memory scratch;
	m->turns = calloc(io->entry[io->prepack].launches + 1, sizeof *m->turns);
	int64_t *params = calloc(io->n_param + 1, sizeof *params);
	void **bufs = calloc(io->n_tensor + 1, sizeof *bufs);
	bool ok = memory_take(&scratch, m->artefact->scratch_bytes) && params && bufs && m->turns;
	NacreStatus s;
	if (ok) {
		memcpy(bufs, m->bufs, io->n_tensor * sizeof *bufs);
		s = entry_run(m, (uint32_t)io->prepack, params, bufs, scratch.at, prepack_launching, e);
	} else {
		s = no_memory(e, m->artefact->scratch_bytes);
	}
	memory_release(&scratch);
	free(params);
	free(bufs);
	free(m->turns);
	m->turns = NULL;
	if (!s) s = all_read(m, e);
	if (s)
		memory_release(&m->consts);
	else
		m->weight_bytes += total;
	return s;
}

NacreStatus nacre_model_ready(NacreModel *m, NacreError *e)
{
	pthread_mutex_lock(&m->lock);
	NacreStatus s = NACRE_OK;
	if (!m->ready) {
		s = all_bound(m, e);
		if (!s && (s = make_constants(m, e))) weights_forget(m);
		if (!s) drop_sources(m);
		m->ready = !s;
	}
	pthread_mutex_unlock(&m->lock);
	return s ? s : succeed(e);
}
