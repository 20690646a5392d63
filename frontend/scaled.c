/* Scaled storage types: `let fp8 = scaled(f8e4m3, f32, block=[128, 128], key="{key}_scale_inv")`. A
 * weight of such a type is two tensors of the checkpoint, the stored numbers and one scale for each
 * block of them (the last block of an axis may be shorter), or three with zero points; its value is
 * (stored - zero point) * scale, the difference exact, the product in f32. */
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

/* `group=32`: so many along the last axis of a weight of any rank. */
static bool group_size(Build *b, Scaled *s, const Ast *e)
{
	Item size = eval(b, e);
	if (size.kind == ITEM_BAD || !need_int(b, &size, e->span, "a group", &s->group)) return false;
	if (s->group >= 1 && s->group <= INT32_MAX) return true;
	complain(b, e->span, "a group has at least one element");
	return false;
}

/* The argument of `scaled` with this name, or NULL. */
static const Ast **named_argument(Scaled *s, const Ast **block, const Ast **group, const Ast *arg)
{
	bool text = arg->a->kind == AST_STRING;
	if (!arg->name) return NULL;
	if (strcmp(arg->name, "block") == 0) return block;
	if (strcmp(arg->name, "group") == 0) return group;
	if (strcmp(arg->name, "key") == 0 && text) return &s->key;
	if (strcmp(arg->name, "zero") == 0 && text) return &s->zero;
	return NULL;
}

static bool check_types(Build *b, const Scaled *s, Span at)
{
	bool narrow = s->stored == DT_F8E4M3 || s->stored == DT_F8E5M2 || s->stored == DT_I8 ||
	              s->stored == DT_U8 || s->stored == DT_I4;
	if (!narrow || !dtype_is_float(s->scale)) {
		complain(b, at,
		         "a scaled type stores f8e4m3, f8e5m2, i8, u8 or i4, and its scales are floats");
		return false;
	}
	if (!s->zero) return true;
	bool integer = dtype_is_integer(s->stored), same = s->key && ast_same(s->zero, s->key);
	if (!integer)
		complain(b, s->zero->span, "only integers have zero points, not %s", dtype_name(s->stored));
	else if (same)
		complain(b, s->zero->span, "the zero points have the key of the scales");
	return integer && !same;
}

Item eval_scaled(Build *b, const Ast *call)
{
	Scaled *s = NEW(b->arena, Scaled);
	const Ast *block = NULL, *group = NULL;
	uint32_t types = 0;
	bool ok = true;
	s->span = call->span;
	s->scope = b->frame->scope;
	for (size_t i = 0; i < call->list.n && ok; i++) {
		const Ast *arg = call->list.at[i];
		if (arg->kind == AST_BAD) {
			b->errors++; /* reported by the parser */
			return bad();
		}
		const Ast **named = named_argument(s, &block, &group, arg);
		if (named) {
			*named = arg->a;
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
	if (types != 2 || !block == !group || !s->key) {
		Diag *m = complain(b, call->span,
		                   "a scaled type is written with what is stored, the type of its scales, "
		                   "`block` or `group`, `key`, and `zero` where there are zero points");
		diag_help(b->d, m, "scaled(f8e4m3, f32, block=[128, 128], key=\"{key}_scale_inv\")");
		return bad();
	}
	if (!check_types(b, s, call->span)) return bad();
	if (block ? !block_sizes(b, s, block) : !group_size(b, s, group)) return bad();
	return (Item){.kind = ITEM_SCALED, .scaled = s};
}

const Scaled *type_scaled(Build *b, const Ast *type)
{
	Binding *k = b->frame ? scope_find(b->frame->scope, type->name) : NULL;
	return k && k->item.kind == ITEM_SCALED ? k->item.scaled : NULL;
}

/* The key of the scales or zero points of a weight, for each of its alternatives. */
static const char *part_key(Build *b, const Scaled *s, const Ast *as, const char *key)
{
	Text t = text_new(b->arena);
	Scope *was = b->frame->scope;
	while (key) {
		const char *bar = strchr(key, '|');
		size_t n = bar ? (size_t)(bar - key) : strlen(key);
		b->frame->scope = scope_new(b, s->scope);
		scope_set(b, b->frame->scope, intern_str(b->names, "key"),
		          item_text(intern(b->names, key, n)), as->span);
		const char *one = eval_text(b, as);
		b->frame->scope = was;
		if (!one) return NULL;
		text_printf(&t, "%s%s", t.n ? "|" : "", one);
		key = bar ? bar + 1 : NULL;
	}
	return intern_str(b->names, t.at);
}

/* Elements of axis i (of the weight without its array axis) that share a scale; 0: all. */
static int64_t block_of(const Scaled *s, uint32_t rank, uint32_t i)
{
	return !s->group ? s->block[i] : i + 1 == rank ? s->group : 1;
}

/* The scales, or the zero points: one for each block. */
static Member *part_member(Build *b, const Member *w, const char *suffix, DType t, const Ast *key)
{
	const Scaled *s = w->scaled;
	uint32_t lead = w->array && w->n_keys > 1 ? 1 : 0, rank = w->type.rank - lead;
	Member *m = NEW(b->arena, Member);
	*m = *w;
	m->scaled = NULL;
	m->scale = m->zero = NULL;
	m->absent = false;
	m->name = intern_str(b->names, arena_printf(b->arena, "%s.%s", w->name, suffix));
	m->type.dtype = t;
	m->keys = NEW_ARRAY(b->arena, const char *, w->n_keys + 1);
	for (uint32_t i = 0; i < w->n_keys; i++)
		if (!(m->keys[i] = part_key(b, s, key, w->keys[i]))) return NULL;
	for (uint32_t i = 0; i < rank; i++) {
		int64_t block = block_of(s, rank, i);
		Dim *dim = &m->type.dim[lead + i];
		*dim = block ? dim_ceildiv(b->m->dims, *dim, dim_const(b->m->dims, block))
		             : dim_const(b->m->dims, 1);
	}
	return m;
}

bool scaled_members(Build *b, Member *w, const Scaled *s)
{
	uint32_t lead = w->array && w->n_keys > 1 ? 1 : 0, rank = w->type.rank - lead;
	if (s->group ? !rank : rank != s->n) {
		Diag *m = s->group ? complain(b, w->decl->a->span,
		                              "weight `%s` has no axis to be grouped along", w->name)
		                   : complain(b, w->decl->a->span,
		                              "weight `%s` has %u dims, the blocks of its scaled type %u",
		                              w->name, rank, s->n);
		diag_note(b->d, m, s->span, "its type is declared here");
		return false;
	}
	w->scaled = s;
	w->scale = part_member(b, w, "scale", s->scale, s->key);
	if (w->scale && s->zero) w->zero = part_member(b, w, "zero", s->stored, s->zero);
	if (w->scale && (w->zero || !s->zero)) return true;
	w->scaled = NULL;
	w->scale = w->zero = NULL;
	return false;
}

Node *scaled_value(Build *b, const Member *w, Node *const part[3], Span at)
{
	int64_t block[MAX_RANK], size;
	if (!part[0] || !part[1] || (w->zero && !part[2])) return NULL;
	const Type *t = &part[0]->type;
	uint32_t own = w->type.rank - (w->array && w->n_keys > 1 ? 1 : 0), lead = t->rank - own;
	for (uint32_t i = 0; i < t->rank; i++) {
		block[i] = i < lead ? 1 : block_of(w->scaled, own, i - lead);
		if (!block[i]) block[i] = dim_is_const(t->dim[i], &size) && size > 0 ? size : 1;
	}
	Node *n = node_new(b->m, OP_DEQUANT, w->zero ? 3 : 2, part, at);
	attr_ints(b->m, n, "block", t->rank, block);
	return emit(b, n);
}
