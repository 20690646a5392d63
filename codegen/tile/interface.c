/* The interface of a program: what the runtime must know to bind dims, allocate buffers and call
 * entries. Tensor numbers are buffer numbers, so compiled code and runtime mean the same by one. */
#include "codegen/tile/build.h"

#include <string.h>

typedef struct Maker {
	const Module *m;
	const TileProgram *p;
	Arena *arena;
	Diags *d;
	Span span;
	bool failed;
} Maker;

static int32_t param_number(void *ctx, const DimSym *s)
{
	const TileProgram *p = ctx;
	for (size_t i = 0; i < p->params.n; i++)
		if (p->params.at[i] == s) return (int32_t)i;
	return -1;
}

static const ExprWord *expr_of(Maker *k, Dim e)
{
	ExprVec v = {0};
	if (dim_to_expr(e, param_number, (void *)(uintptr_t)k->p, k->arena, &v)) return v.at;
	diag_error(k->d, k->span, "`%s` depends on more than the dims of the model, or is too deep",
	           dim_text(k->arena, e));
	k->failed = true;
	return NULL;
}

static void make_params(Maker *k, Interface *f)
{
	const TileProgram *p = k->p;
	InterfaceParam *param = NEW_ARRAY(k->arena, InterfaceParam, p->params.n + 1);
	for (size_t i = 0; i < p->params.n; i++) {
		const DimSym *s = p->params.at[i];
		k->span = s->span;
		uint32_t kind = s->kind == SYM_SESSION ? IP_SESSION
		                : s->kind == SYM_STATE ? IP_STATE
		                                       : IP_CALL;
		param[i] = (InterfaceParam){s->name, kind, expr_of(k, s->lo), expr_of(k, s->hi),
		                            expr_of(k, s->initial ? s->initial : s->lo)};
	}
	f->param = param;
	f->n_param = (uint32_t)p->params.n;
	const ExprWord **require = NEW_ARRAY(k->arena, const ExprWord *, p->require.n + 1);
	for (size_t i = 0; i < p->require.n; i++) require[i] = expr_of(k, p->require.at[i]);
	f->require = require;
	f->require_text = p->require_text.at;
	f->n_require = (uint32_t)p->require.n;
	f->check = p->checks.at;
	f->n_check = (uint32_t)p->checks.n;
}

static uint32_t name_launches(const TileStep *s, const char **name)
{
	uint32_t n = 0;
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP) {
			n += name_launches(s->body, name);
			continue;
		}
		if (name) name[s->number] = s->kernel->name;
		n++;
	}
	return n;
}

static bool step_uses(const TileStep *s, const TileObj *b)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP && step_uses(s->body, b)) return true;
		for (size_t k = 0; s->kind == STEP_LAUNCH && k < s->kernel->bufs.n; k++)
			if (s->args[k].buf == b) return true;
	}
	return false;
}

static uint32_t first_launch(const TileStep *s)
{
	while (s && s->kind == STEP_LOOP) s = s->body;
	return s ? s->number : 0;
}

static uint32_t last_launch(const TileStep *s)
{
	uint32_t last = 0;
	for (; s; s = s->next) last = s->kind == STEP_LOOP ? last_launch(s->body) : s->number;
	return last;
}

/* The first and the last launch that read b; a loop reads from its beginning to its end. None: the
 * last comes before the first. */
static void uses(const TileStep *s, const TileObj *b, InterfaceTensor *t)
{
	bool any = false;
	t->live_first = 1;
	t->live_last = 0;
	for (; s; s = s->next) {
		TileStep one = *s;
		one.next = NULL;
		if (!step_uses(&one, b)) continue;
		if (!any) t->live_first = first_launch(&one);
		t->live_last = last_launch(&one);
		any = true;
	}
}

/* Do all launches read slices of b by the variables of the `depth` loops around them, from the
 * outermost in and over all of its leading dims? Then turn n reads slice n of `slices`. */
static bool reads_slices(DimPool *pool, const TileStep *s, const TileObj *b,
                         const TileStep **around, uint32_t depth, int64_t slices)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP) {
			if (depth == TILE_RANK) return false;
			around[depth] = s;
			if (!reads_slices(pool, s->body, b, around, depth + 1, slices)) return false;
			continue;
		}
		for (size_t k = 0; k < s->kernel->bufs.n; k++) {
			const TileArg *x = &s->args[k];
			int64_t n = 1, dim;
			if (x->buf != b) continue;
			if (x->n_lead != depth) return false;
			for (uint32_t i = 0; i < depth; i++) {
				if (x->lead[i] != dim_sym(pool, around[i]->var) || around[i]->count != b->dims[i] ||
				    !dim_is_const(b->dims[i], &dim))
					return false;
				n *= dim;
			}
			if (n != slices) return false;
		}
	}
	return true;
}

static int64_t key_count(const TileObj *b)
{
	int64_t n = 1;
	for (const char *s = b->key; s && *s; s++) n += *s == '\n';
	return n;
}

static bool entries_use(const TileProgram *p, const TileObj *b)
{
	for (size_t e = 0; e < p->entries.n; e++)
		if (step_uses(p->entries.at[e]->steps, b)) return true;
	return false;
}

static void set_shape(Maker *k, InterfaceTensor *t, uint32_t rank, const Dim *dims)
{
	t->rank = rank;
	for (uint32_t i = 0; i < rank; i++) t->dim[i] = expr_of(k, dims[i]);
}

static uint64_t literal_bytes(const TileObj *o)
{
	int64_t count = 1, dim;
	for (uint32_t i = 0; i < o->rank; i++) count *= dim_is_const(o->dims[i], &dim) ? dim : 0;
	return (uint64_t)dtype_bytes(o->dtype, count);
}

/* Where the next literal begins: each is aligned to 64 bytes. */
static uint64_t literal_end(const TileObj *o, uint64_t offset)
{
	return (offset + literal_bytes(o) + 63) / 64 * 64;
}

static void make_tensors(Maker *k, Interface *f)
{
	static const uint8_t kind[] = {[TB_WEIGHT] = IT_WEIGHT,
	                               [TB_STATE] = IT_STATE,
	                               [TB_IN] = IT_IN,
	                               [TB_OUT] = IT_OUT,
	                               [TB_ARENA] = IT_ARENA};
	const TileProgram *p = k->p;
	InterfaceTensor *tensor = NEW_ARRAY(k->arena, InterfaceTensor, p->bufs.n + 1);
	uint32_t weight = 0, state = 0;
	uint64_t end = 0;
	for (size_t b = 0; b < p->bufs.n; b++) {
		const TileObj *o = p->bufs.at[b];
		InterfaceTensor *t = &tensor[b];
		k->span = o->span;
		*t = (InterfaceTensor){.name = o->name,
		                       .key = o->key ? o->key : "",
		                       .kind = o->kind == TB_WEIGHT && !o->key ? IT_CONST : kind[o->kind],
		                       .dtype = o->dtype,
		                       .plain = o->enc.kind == ENC_PLAIN && !o->enc.pad,
		                       .offset = ~(uint64_t)0};
		/* the shape of the model, where it has one: memory merges dims of symbolic size */
		const Type *type = NULL;
		if (k->m && t->kind == IT_WEIGHT && weight < k->m->weights.n)
			type = &k->m->weights.at[weight++].type;
		if (k->m && t->kind == IT_STATE && state < k->m->states.n)
			type = &k->m->states.at[state++].type;
		set_shape(k, t, type ? type->rank : o->rank, type ? type->dim : o->dims);
		t->bytes = expr_of(k, encoding_bytes_dim(p->dims, &o->enc, o->dtype, o->rank, o->dims));
		if (o->literal) t->offset = end, end = literal_end(o, end);
		t->fill = dtype_pattern(o->dtype, o->initial);
		t->live_first = o->live_first;
		t->live_last = o->live_last;
		for (uint32_t e = 0; e < p->entries.n && t->kind != IT_WEIGHT; e++)
			if (step_uses(p->entries.at[e]->steps, o)) t->entry = e;
		if (t->kind == IT_ARENA && p->prepack && step_uses(p->prepack->steps, o))
			t->entry = (uint32_t)p->entries.n;
		if (t->kind == IT_WEIGHT && p->prepack && !entries_use(p, o)) {
			t->entry = (uint32_t)p->entries.n;
			const TileStep *around[TILE_RANK];
			uses(p->prepack->steps, o, t);
			t->sliced = reads_slices(p->dims, p->prepack->steps, o, around, 0, key_count(o));
		}
	}
	f->tensor = tensor;
	f->n_tensor = (uint32_t)p->bufs.n;
}

/* Inputs and outputs have the names and shapes that the model gives them. */
static void set_signature(Maker *k, const Interface *f, uint32_t number)
{
	InterfaceTensor *tensor = (InterfaceTensor *)(uintptr_t)f->tensor;
	const TileEntry *e = k->p->entries.at[number];
	if (number >= k->m->entries.n) return;
	const Entry *source = k->m->entries.at[number];
	for (size_t i = 0; i < e->ins.n && i < source->in_names.n; i++) {
		InterfaceTensor *t = &tensor[e->ins.at[i]->id];
		const Type *type = &source->graph->args.at[i]->type;
		k->span = source->graph->args.at[i]->span;
		t->name = source->in_names.at[i];
		t->entry = number;
		set_shape(k, t, type->rank, type->dim);
	}
	for (size_t i = 0; i < e->outs.n && i < source->out_names.n; i++) {
		InterfaceTensor *t = &tensor[e->outs.at[i]->id];
		const Type *type = &source->graph->results.at[i]->type;
		k->span = source->graph->results.at[i]->span;
		t->name = source->out_names.at[i];
		t->entry = number;
		set_shape(k, t, type->rank, type->dim);
	}
}

static InterfaceEntry make_entry(Maker *k, const TileEntry *e)
{
	Arena *a = k->arena;
	uint32_t *in = NEW_ARRAY(a, uint32_t, e->ins.n + 1),
			 *out = NEW_ARRAY(a, uint32_t, e->outs.n + 1),
			 *set = NEW_ARRAY(a, uint32_t, e->set_sym.n + 1);
	const ExprWord **value = NEW_ARRAY(a, const ExprWord *, e->set_sym.n + 1),
				   **require = NEW_ARRAY(a, const ExprWord *, e->require.n + 1);
	for (size_t i = 0; i < e->ins.n; i++) in[i] = e->ins.at[i]->id;
	for (size_t i = 0; i < e->outs.n; i++) out[i] = e->outs.at[i]->id;
	for (size_t i = 0; i < e->set_sym.n; i++) {
		set[i] = (uint32_t)param_number((void *)(uintptr_t)k->p, e->set_sym.at[i]);
		value[i] = expr_of(k, e->set_value.at[i]);
	}
	for (size_t i = 0; i < e->require.n; i++) require[i] = expr_of(k, e->require.at[i]);
	uint32_t launches = name_launches(e->steps, NULL);
	const char **names = NEW_ARRAY(a, const char *, launches + 1);
	name_launches(e->steps, names);
	return (InterfaceEntry){.name = e->name,
	                        .n_in = (uint32_t)e->ins.n,
	                        .n_out = (uint32_t)e->outs.n,
	                        .in = in,
	                        .out = out,
	                        .n_set = (uint32_t)e->set_sym.n,
	                        .set_param = set,
	                        .set_value = value,
	                        .launches = launches,
	                        .launch_name = names,
	                        .n_require = (uint32_t)e->require.n,
	                        .require = require,
	                        .require_text = e->require_text.at};
}

Interface *interface_build(const Module *m, const TileProgram *p, const char *target, Diags *d)
{
	Maker k = {.m = m, .p = p, .arena = p->arena, .d = d};
	Interface *f = NEW(k.arena, Interface);
	*f = (Interface){.model = m && m->name ? m->name : "",
	                 .target = target,
	                 .version = NACRE_VERSION,
	                 .prepack = -1};
	make_params(&k, f);
	make_tensors(&k, f);
	uint32_t entries = (uint32_t)p->entries.n + (p->prepack ? 1 : 0);
	InterfaceEntry *entry = NEW_ARRAY(k.arena, InterfaceEntry, entries + 1);
	for (uint32_t i = 0; i < entries; i++) {
		k.span = m && i < m->entries.n ? m->entries.at[i]->span : span_none();
		entry[i] = make_entry(&k, i < p->entries.n ? p->entries.at[i] : p->prepack);
		if (m && i < p->entries.n) set_signature(&k, f, i);
	}
	if (p->prepack) f->prepack = (int32_t)p->entries.n;
	f->entry = entry;
	f->n_entry = entries;
	return k.failed ? NULL : f;
}

const uint8_t *interface_constants(const TileProgram *p, size_t *n)
{
	uint64_t end = 0;
	for (size_t i = 0; i < p->bufs.n; i++)
		if (p->bufs.at[i]->literal) end = literal_end(p->bufs.at[i], end);
	uint8_t *bytes = arena_alloc(p->arena, (size_t)end + 1);
	*n = (size_t)end;
	end = 0;
	for (size_t i = 0; i < p->bufs.n; i++) {
		const TileObj *o = p->bufs.at[i];
		if (!o->literal) continue;
		memcpy(bytes + end, o->literal, (size_t)literal_bytes(o));
		end = literal_end(o, end);
	}
	return bytes;
}
