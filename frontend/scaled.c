/* Scaled storage types: `let fp8 = scaled(f8e4m3, f32, block=[128, 128], key="{key}_scale_inv")`. A
 * weight of such a type is two tensors of the checkpoint, the stored numbers and one scale for each
 * block of them (the last block of an axis may be shorter); its value is their product in f32. */
#include "frontend/build.h"

#include <string.h>

static bool element_type(Build *b, const Ast *e, const char *what, DType *out)
{
	Item i = eval(b, e);
	if (i.kind == ITEM_BAD) return false;
	if (i.kind != ITEM_DTYPE) {
		complain(b, e->span, "%s of a scaled type is an element type, not %s", what,
		         item_kind(b, &i));
		return false;
	}
	*out = i.dtype;
	return true;
}

static bool block_sizes(Build *b, Scaled *s, const Ast *e)
{
	Item list = eval(b, e);
	if (list.kind == ITEM_BAD) return false;
	if (list.kind != ITEM_LIST || !list.list->n || list.list->n > MAX_RANK) {
		complain(b, e->span, "the block of a scaled type is a list, a size for each axis");
		return false;
	}
	for (size_t i = 0; i < list.list->n; i++) {
		const Item *one = &list.list->at[i];
		int64_t size = 0;
		if (one->kind != ITEM_NONE && !need_int(b, one, e->span, "a size of a block", &size))
			return false;
		if (one->kind != ITEM_NONE && (size < 1 || size > INT32_MAX)) {
			complain(b, e->span, "a block has at least one element along each axis");
			return false;
		}
		s->block[s->n++] = size;
	}
	return true;
}

Item eval_scaled(Build *b, const Ast *call)
{
	Scaled *s = NEW(b->arena, Scaled);
	const Ast *block = NULL;
	uint32_t types = 0;
	bool ok = true;
	s->span = call->span;
	s->scope = b->frame->scope;
	for (size_t i = 0; i < call->list.n && ok; i++) {
		const Ast *arg = call->list.at[i];
		if (arg->name && strcmp(arg->name, "block") == 0) {
			block = arg->a;
		} else if (arg->name && strcmp(arg->name, "key") == 0 && arg->a->kind == AST_STRING) {
			s->key = arg->a;
		} else if (!arg->name && !arg->op && types < 2) {
			ok = element_type(b, arg->a, types ? "the scale" : "what is stored",
			                  types ? &s->scale : &s->stored);
			types++;
		} else {
			types = 0;
			break;
		}
	}
	if (!ok) return bad();
	if (types != 2 || !block || !s->key) {
		Diag *m = complain(b, call->span,
		                   "a scaled type is written with what is stored, the type of its scales, "
		                   "`block` and `key`");
		diag_help(b->d, m, "scaled(f8e4m3, f32, block=[128, 128], key=\"{key}_scale_inv\")");
		return bad();
	}
	bool narrow = s->stored == DT_F8E4M3 || s->stored == DT_F8E5M2 || s->stored == DT_I8 ||
	              s->stored == DT_U8 || s->stored == DT_I4;
	if (!narrow || !dtype_is_float(s->scale)) {
		complain(b, call->span,
		         "a scaled type stores f8e4m3, f8e5m2, i8, u8 or i4, and its scales are floats");
		return bad();
	}
	if (!block_sizes(b, s, block)) return bad();
	return (Item){.kind = ITEM_SCALED, .scaled = s};
}

const Scaled *type_scaled(Build *b, const Ast *type)
{
	Binding *k = b->frame ? scope_find(b->frame->scope, type->name) : NULL;
	return k && k->item.kind == ITEM_SCALED ? k->item.scaled : NULL;
}

/* The key of the scales of a weight, for each of its alternatives. */
static const char *scale_key(Build *b, const Scaled *s, const char *key)
{
	Text t = text_new(b->arena);
	Scope *was = b->frame->scope;
	while (key) {
		const char *bar = strchr(key, '|');
		size_t n = bar ? (size_t)(bar - key) : strlen(key);
		b->frame->scope = scope_new(b, s->scope);
		scope_set(b, b->frame->scope, intern_str(b->names, "key"),
		          item_text(intern(b->names, key, n)), s->key->span);
		const char *one = eval_text(b, s->key);
		b->frame->scope = was;
		if (!one) return NULL;
		text_printf(&t, "%s%s", t.n ? "|" : "", one);
		key = bar ? bar + 1 : NULL;
	}
	return intern_str(b->names, t.at);
}

Member *scaled_member(Build *b, const Member *w, const Scaled *s)
{
	uint32_t lead = w->array && w->n_keys > 1 ? 1 : 0;
	if (w->type.rank != s->n + lead) {
		Diag *m = complain(b, w->decl->a->span,
		                   "weight `%s` has %u dims, the blocks of its scaled type %u", w->name,
		                   w->type.rank - lead, s->n);
		diag_note(b->d, m, s->span, "its type is declared here");
		return NULL;
	}
	Member *m = NEW(b->arena, Member);
	*m = *w;
	m->name = intern_str(b->names, arena_printf(b->arena, "%s.scale", w->name));
	m->type.dtype = s->scale;
	m->keys = NEW_ARRAY(b->arena, const char *, w->n_keys + 1);
	for (uint32_t i = 0; i < w->n_keys; i++)
		if (!(m->keys[i] = scale_key(b, s, w->keys[i]))) return NULL;
	for (uint32_t i = lead; i < w->type.rank; i++) {
		int64_t block = s->block[i - lead];
		m->type.dim[i] = block
		                     ? dim_ceildiv(b->m->dims, w->type.dim[i], dim_const(b->m->dims, block))
		                     : dim_const(b->m->dims, 1);
	}
	return m;
}

Node *scaled_value(Build *b, const Member *w, Node *stored, Node *scale, Span at)
{
	int64_t block[MAX_RANK], size;
	if (!stored || !scale) return NULL;
	uint32_t rank = stored->type.rank, lead = rank - w->scaled->n;
	for (uint32_t i = 0; i < rank; i++) {
		block[i] = i < lead ? 1 : w->scaled->block[i - lead];
		if (!block[i]) block[i] = dim_is_const(stored->type.dim[i], &size) && size > 0 ? size : 1;
	}
	Node *n = node_new(b->m, OP_DEQUANT, 2, (Node *[]){stored, scale}, at);
	attr_ints(b->m, n, "block", rank, block);
	return emit(b, n);
}
