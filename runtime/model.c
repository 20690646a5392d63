/* Models: an artefact, checked, and the tables that are made of its interface. Weights come in
 * weights.c. Read-only once ready. */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

/* --- checks of the artefact ---------------------------------------------------------------------- */

static NacreStatus artefact_check(const NacreArtefact *a, NacreError *e)
{
	char missing[32];
	if (a->abi_version != NACRE_ABI_VERSION)
		return fail(
			e, NACRE_BAD_ARTEFACT,
			"the artefact is for version %u of the runtime interface, this runtime has version %d; compile it again",
			a->abi_version, NACRE_ABI_VERSION);
	if (!features_present(a->features, missing))
		return fail(
			e, NACRE_BAD_ARTEFACT,
			"the artefact was compiled for the CPU `%s` and needs `%s`, which this machine does not have",
			a->cpu ? a->cpu : "?", missing);
	if (!a->interface_data || !a->entries)
		return fail(e, NACRE_BAD_ARTEFACT,
		            "the artefact has no interface: it cannot be run through the runtime");
	return NACRE_OK;
}

static bool has_params(const ExprWord *x)
{
	for (; x->code != EXPR_END; x++)
		if (x->code == EXPR_PARAM) return true;
	return false;
}

static NacreStatus tensor_check(const NacreModel *m, const InterfaceTensor *t, NacreError *e)
{
	bool host = t->kind == IT_IN || t->kind == IT_OUT || t->kind == IT_WEIGHT,
		 fixed = t->kind == IT_WEIGHT || t->kind == IT_CONST;
	if (!type_bits(t->dtype))
		return fail(e, NACRE_BAD_ARTEFACT,
		            "tensor `%s` has an element type unknown to this runtime", t->name);
	if (host && !t->plain)
		return fail(e, NACRE_BAD_ARTEFACT,
		            "tensor `%s` does not lie in memory as a host array does", t->name);
	bool depends = has_params(t->bytes);
	for (uint32_t d = 0; d < t->rank; d++) depends = depends || has_params(t->dim[d]);
	if (fixed && depends)
		return fail(e, NACRE_BAD_ARTEFACT, "the size of weight `%s` depends on a dim of a call",
		            t->name);
	if (!fixed || t->offset == UINT64_MAX) return NACRE_OK;
	int64_t bytes;
	NacreStatus s = eval_size(t->bytes, NULL, t->name, &bytes, e);
	if (s) return s;
	if (t->offset > m->artefact->constants_bytes ||
	    (uint64_t)bytes > m->artefact->constants_bytes - t->offset)
		return fail(e, NACRE_BAD_ARTEFACT, "the constants of the artefact are too short for `%s`",
		            t->name);
	return NACRE_OK;
}

static NacreStatus interface_check(NacreModel *m, NacreError *e)
{
	const Interface *io = m->io;
	if (strcmp(io->target, "cpu") != 0)
		return fail(e, NACRE_BAD_ARTEFACT, "the artefact is for the target `%s`, not for a CPU",
		            io->target);
	if (io->n_entry != m->artefact->n_entries)
		return fail(e, NACRE_BAD_ARTEFACT, "the artefact has %u entries, its interface %u",
		            m->artefact->n_entries, io->n_entry);
	if (io->prepack >= 0 && (uint32_t)io->prepack + 1 != io->n_entry)
		return fail(e, NACRE_BAD_ARTEFACT, "the prepack entry of the artefact is not the last");
	m->n_entry = io->n_entry - (io->prepack >= 0);
	for (uint32_t i = 0; i < io->n_tensor; i++) {
		NacreStatus s = tensor_check(m, &io->tensor[i], e);
		if (s) return s;
	}
	for (uint32_t i = 0; i < io->n_entry; i++) {
		const InterfaceEntry *n = &io->entry[i];
		for (uint32_t k = 0; k < n->n_in + n->n_out; k++) {
			const InterfaceTensor *t = &io->tensor[k < n->n_in ? n->in[k] : n->out[k - n->n_in]];
			if (t->kind != (k < n->n_in ? IT_IN : IT_OUT))
				return fail(e, NACRE_BAD_ARTEFACT, "tensor `%s` is no %s of entry `%s`", t->name,
				            k < n->n_in ? "input" : "output", n->name);
		}
		for (uint32_t k = 0; k < n->n_set; k++)
			if (io->param[n->set_param[k]].kind != IP_STATE)
				return fail(e, NACRE_BAD_ARTEFACT, "entry `%s` sets `%s`, which is no state",
				            n->name, io->param[n->set_param[k]].name);
	}
	return NACRE_OK;
}

/* --- tables ---------------------------------------------------------------------------------------- */

static void split_keys(Arena *a, Weight *w, const InterfaceTensor *t)
{
	const char *text = t->key[0] ? t->key : t->name;
	w->n_key = 1;
	for (const char *s = text; *s; s++) w->n_key += *s == '\n';
	w->key = NEW_ARRAY(a, const char *, w->n_key);
	w->bound = NEW_ARRAY(a, bool, w->n_key);
	w->loaded = NEW_ARRAY(a, bool, w->n_key);
	w->filled = NEW_ARRAY(a, bool, w->n_key);
	w->from = NEW_ARRAY(a, const void *, w->n_key);
	for (uint32_t i = 0; i < w->n_key; i++) {
		size_t n = strcspn(text, "\n");
		w->key[i] = arena_strndup(a, text, n);
		text += n + 1;
	}
}

static void note_params(const Interface *io, const ExprWord *x, bool *used)
{
	(void)io;
	for (; x->code != EXPR_END; x++)
		if (x->code == EXPR_PARAM) used[x->value] = true;
}

static void entry_tables(NacreModel *m)
{
	const Interface *io = m->io;
	m->entry = NEW_ARRAY(m->arena, EntryInfo, io->n_entry + 1);
	for (uint32_t i = 0; i < io->n_entry; i++) {
		EntryInfo *n = &m->entry[i];
		n->sizes_use = NEW_ARRAY(m->arena, bool, io->n_param + 1);
		n->shows = NEW_ARRAY(m->arena, bool, io->n_param + 1);
		n->
			requires
		= NEW_ARRAY(m->arena, bool, io->n_param + 1);
		for (uint32_t k = 0; k < io->n_tensor; k++)
			n->n_arena += io->tensor[k].kind == IT_ARENA && io->tensor[k].entry == i;
		n->arena = NEW_ARRAY(m->arena, uint32_t, n->n_arena + 1);
		n->n_arena = 0;
		for (uint32_t k = 0; k < io->n_tensor; k++) {
			if (io->tensor[k].kind != IT_ARENA || io->tensor[k].entry != i) continue;
			n->arena[n->n_arena++] = k;
			note_params(io, io->tensor[k].bytes, n->sizes_use);
		}
		for (uint32_t k = 0; k < io->entry[i].n_in; k++) {
			const InterfaceTensor *t = &io->tensor[io->entry[i].in[k]];
			for (uint32_t d = 0; d < t->rank; d++) note_params(io, t->dim[d], n->shows);
		}
		for (uint32_t k = 0; k < io->entry[i].n_require; k++)
			note_params(io, io->entry[i].require[k], n->requires);
	}
}

static void tables(NacreModel *m)
{
	const Interface *io = m->io;
	m->bufs = NEW_ARRAY(m->arena, void *, io->n_tensor + 1);
	m->weight = NEW_ARRAY(m->arena, Weight, io->n_tensor + 1);
	for (uint32_t i = 0; i < io->n_tensor; i++) {
		const InterfaceTensor *t = &io->tensor[i];
		if (t->kind != IT_WEIGHT && t->kind != IT_CONST) continue;
		if (t->offset != UINT64_MAX) {
			m->bufs[i] = (void *)(uintptr_t)(m->artefact->constants + t->offset);
		} else if (t->kind == IT_WEIGHT) {
			Weight *w = &m->weight[m->n_weight++];
			w->tensor = i;
			split_keys(m->arena, w, t);
		}
	}
	entry_tables(m);
}

/* Reads the interface and makes the tables; an exhausted arena comes back here. */
static NacreStatus model_read(NacreModel *m, NacreError *e)
{
	jmp_buf exhausted;
	if (setjmp(exhausted)) {
		arena_on_exhausted(m->arena, NULL);
		return no_memory(e, arena_bytes(m->arena));
	}
	arena_on_exhausted(m->arena, &exhausted);
	const char *why = NULL;
	m->io =
		interface_read(m->arena, m->artefact->interface_data, m->artefact->interface_bytes, &why);
	NacreStatus s = m->io ? interface_check(m, e) : fail(e, NACRE_BAD_ARTEFACT, "%s", why);
	if (!s) tables(m);
	arena_on_exhausted(m->arena, NULL);
	return s;
}

/* --- models ---------------------------------------------------------------------------------------- */

NacreStatus nacre_model_new(const NacreArtefact *artefact, uint32_t threads, NacreModel **out,
                            NacreError *e)
{
	*out = NULL;
	NacreStatus s = artefact_check(artefact, e);
	if (s) return s;
	NacreModel *m = calloc(1, sizeof *m);
	if (!m) return no_memory(e, sizeof *m);
	pthread_mutex_init(&m->lock, NULL);
	m->artefact = artefact;
	m->threads = threads ? threads : usable_cores();
	m->arena = arena_new();
	s = model_read(m, e);
	if (!s && m->threads > 4096)
		s = fail(e, NACRE_BAD_ARGUMENT, "%u threads are too many", m->threads);
	if (!s) {
		m->pool = pool_new(m->threads, artefact->scratch_bytes);
		if (!m->pool)
			s = fail(e, NACRE_NO_MEMORY, "%u threads with %llu bytes each could not be started",
			         m->threads, (unsigned long long)artefact->scratch_bytes);
	}
	if (s) {
		nacre_model_free(m);
		return s;
	}
	*out = m;
	return succeed(e);
}

uint32_t nacre_model_weights(const NacreModel *m)
{
	return m->n_weight;
}

const char *nacre_model_weight_name(const NacreModel *m, uint32_t i)
{
	return i < m->n_weight ? m->io->tensor[m->weight[i].tensor].name : NULL;
}

uint32_t nacre_model_weight_keys(const NacreModel *m, uint32_t i)
{
	return i < m->n_weight ? m->weight[i].n_key : 0;
}

const char *nacre_model_weight_key(const NacreModel *m, uint32_t i, uint32_t key)
{
	return i < m->n_weight && key < m->weight[i].n_key ? m->weight[i].key[key] : NULL;
}

uint32_t nacre_model_entries(const NacreModel *m)
{
	return m->n_entry;
}

const char *nacre_model_entry_name(const NacreModel *m, uint32_t entry)
{
	return entry < m->n_entry ? m->io->entry[entry].name : NULL;
}

int32_t nacre_model_entry(const NacreModel *m, const char *name)
{
	for (uint32_t i = 0; i < m->n_entry; i++)
		if (strcmp(m->io->entry[i].name, name) == 0) return (int32_t)i;
	return -1;
}

uint32_t nacre_entry_inputs(const NacreModel *m, uint32_t entry)
{
	return entry < m->n_entry ? m->io->entry[entry].n_in : 0;
}

uint32_t nacre_entry_outputs(const NacreModel *m, uint32_t entry)
{
	return entry < m->n_entry ? m->io->entry[entry].n_out : 0;
}

static const InterfaceTensor *input_of(const NacreModel *m, uint32_t entry, uint32_t i)
{
	return i < nacre_entry_inputs(m, entry) ? &m->io->tensor[m->io->entry[entry].in[i]] : NULL;
}

static const InterfaceTensor *output_of(const NacreModel *m, uint32_t entry, uint32_t i)
{
	return i < nacre_entry_outputs(m, entry) ? &m->io->tensor[m->io->entry[entry].out[i]] : NULL;
}

const char *nacre_entry_input_name(const NacreModel *m, uint32_t entry, uint32_t i)
{
	const InterfaceTensor *t = input_of(m, entry, i);
	return t ? t->name : NULL;
}

const char *nacre_entry_output_name(const NacreModel *m, uint32_t entry, uint32_t i)
{
	const InterfaceTensor *t = output_of(m, entry, i);
	return t ? t->name : NULL;
}

static NacreTensor type_of(const InterfaceTensor *t)
{
	NacreTensor out = {.type = NACRE_F32};
	if (!t) return out;
	out.type = (NacreType)t->dtype;
	out.rank = t->rank;
	for (uint32_t d = 0; d < t->rank; d++)
		if (has_params(t->dim[d]) || !expr_eval(t->dim[d], NULL, &out.dims[d])) out.dims[d] = -1;
	return out;
}

NacreTensor nacre_entry_input_type(const NacreModel *m, uint32_t entry, uint32_t i)
{
	return type_of(input_of(m, entry, i));
}

NacreTensor nacre_entry_output_type(const NacreModel *m, uint32_t entry, uint32_t i)
{
	return type_of(output_of(m, entry, i));
}
