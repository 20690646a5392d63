/* Weights inside a compiled library: the constants that the program would pack when it is loaded are
 * packed now, and take the place of the weights in its interface. */
#include "tools/tool.h"

#include <string.h>

static const ExprWord nothing[] = {{EXPR_CONST, 0, 0}, {EXPR_END, 0, 0}};

static bool steps_use(const TileStep *s, const TileObj *b)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP && steps_use(s->body, b)) return true;
		for (size_t k = 0; s->kind == STEP_LAUNCH && k < s->kernel->bufs.n; k++)
			if (s->args[k].buf == b) return true;
	}
	return false;
}

static bool called(const TileProgram *p, const TileObj *b)
{
	for (size_t i = 0; i < p->entries.n; i++)
		if (steps_use(p->entries.at[i]->steps, b)) return true;
	return false;
}

static void *weight_bytes(Tool *t, const Module *m, const Weights *w, const InterfaceTensor *x,
                          int64_t bytes)
{
	uint8_t *data = arena_alloc(t->arena, (size_t)bytes + 64);
	for (size_t k = 0; k < m->weights.n; k++) {
		if (strcmp(m->weights.at[k].name, x->name) != 0) continue;
		int64_t at = 0;
		Arena *made = tool_arena(t);
		BoundWeight b = weight_data(w, m, k, made);
		for (uint32_t i = 0; i < b.n; i++) {
			const HostTensor *part = &b.part[i];
			int64_t n = host_tensor_bytes(part);
			if (at + n > bytes) break;
			memcpy(data + at, part->data, (size_t)n);
			at += n;
		}
		arena_free(made);
		if (at == bytes) return data;
	}
	tool_fail(t, "weight `%s` has no value of the size that the program takes", x->name);
	return NULL;
}

/* The bytes of every constant buffer: literals, weights, and room for what is packed. */
static bool data_gather(Tool *t, const Module *m, const Lowered *l, const Weights *w, void **data,
                        int64_t *bytes)
{
	for (size_t i = 0; i < l->tile->bufs.n; i++) {
		const InterfaceTensor *x = &l->face->tensor[i];
		if (x->kind != IT_WEIGHT && x->kind != IT_CONST) continue;
		if (!expr_eval(x->bytes, NULL, &bytes[i]) || bytes[i] < 0)
			return tool_fail(t, "the size of `%s` is not constant", x->name);
		const void *literal = l->tile->bufs.at[i]->literal;
		if (literal)
			data[i] =
				memcpy(arena_alloc(t->arena, (size_t)bytes[i] + 64), literal, (size_t)bytes[i]);
		else if (x->kind == IT_CONST)
			data[i] = arena_alloc(t->arena, (size_t)bytes[i] + 64);
		else if (!(data[i] = weight_bytes(t, m, w, x, bytes[i])))
			return false;
	}
	return true;
}

static bool pack(Tool *t, Lowered *l, void **data)
{
	TileProgram *p = l->tile;
	if (!p->prepack) return true;
	int64_t *params = NEW_ARRAY(t->arena, int64_t, p->params.n + 1);
	for (uint32_t i = 0; i < l->face->n_param; i++)
		if (!expr_eval(l->face->param[i].lo, params, &params[i])) params[i] = 0;
	TileData d = {params, data};
	return tile_pack(t, p, &d);
}

bool constants_embed(Tool *t, const Module *m, Lowered *l, const Weights *w, Interface *face,
                     const uint8_t **constants, size_t *size)
{
	TileProgram *p = l->tile;
	void **data = NEW_ARRAY(t->arena, void *, p->bufs.n + 1);
	int64_t *bytes = NEW_ARRAY(t->arena, int64_t, p->bufs.n + 1);
	if (!data_gather(t, m, l, w, data, bytes) || !pack(t, l, data)) return false;
	InterfaceTensor *tensor = NEW_ARRAY(t->arena, InterfaceTensor, face->n_tensor + 1);
	memcpy(tensor, face->tensor, face->n_tensor * sizeof *tensor);
	Text all = text_new(t->arena);
	static const char zeros[64] = {0};
	for (size_t i = 0; i < p->bufs.n; i++) {
		InterfaceTensor *x = &tensor[i];
		bool prepack_alone =
			x->kind == IT_ARENA && face->prepack >= 0 && x->entry == (uint32_t)face->prepack;
		if (x->kind != IT_WEIGHT && x->kind != IT_CONST && !prepack_alone) continue;
		x->kind = IT_CONST;
		x->offset = 0;
		if (!called(p, p->bufs.at[i])) {
			/* only what was packed from it is needed */
			x->rank = 0;
			x->bytes = nothing;
			continue;
		}
		text_append(&all, zeros, (64 - all.n % 64) % 64);
		x->offset = all.n;
		text_append(&all, data[i], (size_t)bytes[i]);
	}
	face->tensor = tensor;
	if (face->prepack >= 0) face->n_entry--;
	face->prepack = -1;
	p->prepack = NULL;
	*constants = (const uint8_t *)all.at;
	*size = all.n;
	return true;
}
