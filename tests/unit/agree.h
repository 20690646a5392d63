/* Shared by tests of what the passes and kernel builders make: a module run by the graph interpreter
 * and, after the passes and tile_build, by the tile interpreter; outputs and states must agree. */
#ifndef NACRE_TESTS_AGREE_H
#define NACRE_TESTS_AGREE_H
#include "agree_values.h"

/* Small tiles, so that small sizes have whole tiles and tails. */
static const TileTraits agree_tiles[] = {
	{.packs_weights = true,
     .kg = {[DT_F32] = 1, [DT_BF16] = 2, [DT_I8] = 4},
     .mr = 3,
     .nr = 4,
     .mb = 7,
     .attn_q = 6,
     .attn_k = 5,
     .attn_rows = 4,
     .lanes = 4,
     .near_bytes = 1 << 20,
     .row_block = 2},
	{.mr = 16,
     .nr = 16,
     .mb = 32,
     .attn_q = 32,
     .attn_k = 16,
     .lanes = 16,
     .near_bytes = 1 << 18,
     .stages = 2,
     .row_block = 8,
     .apart = true},
};

static void *agree_encoded(Agree *r, const TileObj *o, const Value *v)
{
	int64_t dims[TILE_RANK];
	for (uint32_t k = 0; k < o->rank; k++) dims[k] = agree_dim(r->m, r->params, o->dims[k]);
	int64_t bytes = encoding_bytes(&o->enc, o->dtype, o->rank, dims);
	cr_assert(bytes >= 0);
	uint8_t *data = arena_alloc(r->arena, (size_t)bytes + 128);
	data += 64 - (uintptr_t)data % 64;
	for (int64_t i = 0; v && i < v->count; i++) dtype_store(o->dtype, data, i, v->at[i]);
	return data;
}

static void agree_compare(const Agree *r, void *const *data, const char *what, const char *name,
                          const TileObj *o, const Value *want)
{
	for (int64_t i = 0; i < want->count; i++) {
		double got = dtype_load(o->dtype, data[o->id], i);
		if (agree_close(got, want->at[i], o->dtype)) continue;
		Text t = text_new(r->arena);
		for (size_t k = 0; k < r->m->params.n; k++)
			text_printf(&t, "%s%s = %ld", k ? ", " : "", r->m->params.at[k]->name, r->params[k]);
		cr_expect(false, "%s at %s: element %ld of %s `%s` is %g, not %g%s", r->title,
		          t.at ? t.at : "", i, what, name, got, want->at[i],
		          data == r->data ? "" : " (compiled)");
		return;
	}
}

/* The text of the program reads back as a program of the same text. */
static void agree_text(Agree *r)
{
	Diags d = {.arena = r->arena};
	Text first = text_new(r->arena), second = text_new(r->arena);
	tile_print(&first, r->p);
	TileProgram *again =
		tile_parse(r->arena, &d, source_from_text(r->arena, "printed", first.at, first.n));
	if (!again) {
		agree_show(r, &d, "parsing of the printed program");
		return;
	}
	tile_print(&second, again);
	cr_expect(strcmp(first.at, second.at) == 0,
	          "%s: the program prints differently after parsing:\n%s\n---\n%s", r->title, first.at,
	          second.at);
}

/* Takes m through the passes and the builders; false (and a failed test) after errors. */
static bool agree_build(Agree *r, const TileTraits *traits)
{
	Diags d = {.arena = r->arena};
	Target target = {.name = "test", .traits = *traits};
	PassOptions o = {.names = passes_default, .verify_each = true};
	if (!passes_run(r->m, &d, &target, &o)) {
		agree_show(r, &d, "passes");
		return false;
	}
	r->p = tile_build(r->m, &d, traits);
	if (!r->p || !tile_verify(&d, r->p)) {
		agree_show(r, &d, r->p ? "verifier" : "builder");
		if (r->p && getenv("AGREE_PRINT")) {
			Text t = text_new(r->arena);
			tile_print(&t, r->p);
			puts(t.at);
		}
		return false;
	}
	Interface *f = interface_build(r->m, r->p, "test", &d);
	if (!f) {
		agree_show(r, &d, "interface");
		return false;
	}
	agree_text(r);
	return !r->other || r->other->start(r);
}

static void *agree_copy(Agree *r, const TileObj *o)
{
	int64_t dims[TILE_RANK], bytes;
	for (uint32_t k = 0; k < o->rank; k++) dims[k] = agree_dim(r->m, r->params, o->dims[k]);
	uint8_t *to = agree_encoded(r, o, NULL);
	const void *from = o->literal ? o->literal : r->data[o->id];
	bytes = encoding_bytes(&o->enc, o->dtype, o->rank, dims);
	if (from) memcpy(to, from, (size_t)bytes);
	return to;
}

static bool agree_other_start(Agree *r)
{
	r->other_data = NEW_ARRAY(r->arena, void *, r->p->bufs.n + 1);
	for (size_t i = 0; i < r->p->bufs.n; i++) {
		const TileObj *o = r->p->bufs.at[i];
		bool fixed = o->kind == TB_ARENA; /* perhaps of the prepack entry */
		for (uint32_t k = 0; k < o->rank; k++) fixed = fixed && dim_is_const(o->dims[k], NULL);
		if (o->kind == TB_WEIGHT || o->kind == TB_STATE) r->other_data[i] = agree_copy(r, o);
		if (fixed) r->other_data[i] = agree_encoded(r, o, NULL);
	}
	return !r->p->prepack || r->other->run(r, r->p->prepack, (uint32_t)r->p->entries.n, r->params);
}

/* Weights and zero states for the session dims in params; runs the prepack entry. */
static bool agree_start(Agree *r)
{
	Diags d = {.arena = r->arena};
	uint32_t weight = 0, state = 0;
	r->weights = NEW_ARRAY(r->arena, Value, r->oracle->weights.n + 1);
	r->states = NEW_ARRAY(r->arena, Value, r->oracle->states.n + 1);
	r->data = NEW_ARRAY(r->arena, void *, r->p->bufs.n + 1);
	for (size_t k = 0; k < r->oracle->weights.n; k++) {
		r->weights[k] = agree_value(r, &r->oracle->weights.at[k].type, false);
		for (int64_t j = 0; r->positive && j < r->weights[k].count; j++)
			r->weights[k].at[j] = fabs(r->weights[k].at[j]);
	}
	for (size_t k = 0; k < r->oracle->states.n; k++)
		r->states[k] = agree_value(r, &r->oracle->states.at[k].type, true);
	for (size_t i = 0; i < r->p->bufs.n; i++) {
		const TileObj *o = r->p->bufs.at[i];
		if (o->kind == TB_WEIGHT && !o->literal)
			r->data[i] = agree_encoded(r, o, o->key ? &r->weights[weight++] : NULL);
		if (o->kind == TB_STATE) r->data[i] = agree_encoded(r, o, &r->states[state++]);
	}
	TileRun run = {.exact = true, .params = r->params, .data = r->data};
	if (r->other && !agree_other_start(r)) return false;
	if (!r->p->prepack || tile_interpret(&d, r->p, r->p->prepack, &run)) return true;
	agree_show(r, &d, "prepack");
	return false;
}

/* One call of entry number n with random inputs; updates params by what the entry sets. */
static bool agree_call(Agree *r, size_t n)
{
	Diags d = {.arena = r->arena};
	const Entry *e = r->oracle->entries.at[n];
	const TileEntry *t = r->p->entries.at[n];
	Value *in = NEW_ARRAY(r->arena, Value, e->in_names.n + 1),
		  *want = NEW_ARRAY(r->arena, Value, e->out_names.n + 1);
	int64_t before[COUNT(r->params)];
	for (size_t k = 0; k < e->in_names.n; k++) {
		in[k] = agree_value(r, &e->graph->args.at[k]->type, false);
		r->data[t->ins.at[k]->id] = agree_encoded(r, t->ins.at[k], &in[k]);
	}
	for (size_t k = 0; k < e->out_names.n; k++)
		r->data[t->outs.at[k]->id] = agree_encoded(r, t->outs.at[k], NULL);
	memcpy(before, r->params, sizeof before);
	InterpretOptions exact = {.exact = true};
	TileRun run = {.exact = true, .params = before, .data = r->data};
	if (!module_interpret(r->arena, &d, r->oracle, e, r->params, in, r->weights, r->states, want,
	                      &exact)) {
		agree_show(r, &d, "graph interpreter");
		return false;
	}
	if (!tile_interpret(&d, r->p, t, &run)) {
		agree_show(r, &d, "tile interpreter");
		return false;
	}
	for (size_t k = 0; k < t->set_sym.n; k++)
		for (size_t i = 0; i < r->m->params.n; i++)
			if (r->m->params.at[i] == t->set_sym.at[k])
				cr_expect_eq(agree_dim(r->m, before, t->set_value.at[k]), r->params[i],
				             "%s: %s is set otherwise", r->title, r->m->params.at[i]->name);
	if (r->other) {
		int64_t after[COUNT(r->params)];
		memcpy(after, r->params, sizeof after);
		memcpy(r->params, before, sizeof before);
		for (size_t i = 0; i < r->p->bufs.n; i++) {
			const TileObj *o = r->p->bufs.at[i];
			bool mine = o->kind == TB_ARENA;
			for (size_t k = 0; k < t->ins.n; k++) mine = mine || t->ins.at[k] == o;
			for (size_t k = 0; k < t->outs.n; k++) mine = mine || t->outs.at[k] == o;
			if (mine)
				r->other_data[i] = o->kind == TB_OUT ? agree_encoded(r, o, NULL) : agree_copy(r, o);
		}
		bool ran = r->other->run(r, t, (uint32_t)n, before);
		memcpy(r->params, after, sizeof after);
		if (!ran) return false;
	}
	for (int way = 0; way < (r->other ? 2 : 1); way++) {
		void *const *data = way ? r->other_data : r->data;
		uint32_t state = 0;
		for (size_t k = 0; k < t->outs.n; k++)
			agree_compare(r, data, "output", e->out_names.at[k], t->outs.at[k], &want[k]);
		for (size_t i = 0; i < r->p->bufs.n; i++) {
			const TileObj *o = r->p->bufs.at[i];
			if (o->kind == TB_STATE)
				agree_compare(r, data, "state", o->name, o, &r->states[state++]);
		}
	}
	return true;
}
#endif
