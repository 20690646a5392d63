/* What expressions mean: making, comparing, describing and converting Items. */
#include "frontend/build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

Item item_int(int64_t v)
{
	return (Item){.kind = ITEM_INT, .integer = v};
}

Item item_float(double v)
{
	return (Item){.kind = ITEM_FLOAT, .number = v};
}

Item item_bool(bool v)
{
	return (Item){.kind = ITEM_BOOL, .integer = v};
}

Item item_text(const char *s)
{
	return (Item){.kind = ITEM_TEXT, .text = s};
}

Item item_dim(Dim d)
{
	int64_t v;
	if (!d || dim_is_poison(d)) return bad();
	if (dim_is_const(d, &v)) return item_int(v);
	return (Item){.kind = ITEM_DIM, .dim = d};
}

Item item_node(Node *n)
{
	return n ? (Item){.kind = ITEM_TENSOR, .node = n} : bad();
}

Item item_list(Build *b, const ItemList *l)
{
	ItemList *copy = NEW(b->arena, ItemList);
	*copy = *l;
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i].kind == ITEM_LIST && l->at[i].list->depth >= copy->depth)
			copy->depth = l->at[i].list->depth + 1;
	if (copy->depth > LIST_DEPTH_LIMIT) {
		over_limit(b, b->frame ? b->frame->call : span_none(),
		           "lists are nested more than 64 deep");
		return bad();
	}
	return (Item){.kind = ITEM_LIST, .list = copy};
}

bool item_same(Build *b, const Item *x, const Item *y)
{
	if (x->kind != y->kind) return false;
	switch (x->kind) {
	case ITEM_BAD:
	case ITEM_NONE: return true;
	case ITEM_INT:
	case ITEM_BOOL: return x->integer == y->integer;
	case ITEM_FLOAT: return x->number == y->number || (isnan(x->number) && isnan(y->number));
	case ITEM_TEXT: return strcmp(x->text, y->text) == 0;
	case ITEM_DIM: return x->dim == y->dim;
	case ITEM_DTYPE: return x->dtype == y->dtype;
	case ITEM_SCALED: return x->scaled == y->scaled;
	case ITEM_TENSOR: return x->node == y->node;
	case ITEM_CONST: return x->constant == y->constant;
	case ITEM_BUILTIN: return x->builtin == y->builtin;
	case ITEM_LAYER: return x->layer == y->layer;
	case ITEM_FUNCTION:
		return x->function->def == y->function->def && x->function->place == y->function->place;
	case ITEM_LIST:
		if (x->list == y->list) return true;
		if (x->list->n != y->list->n) return false;
		if (!spend(b, x->list->n, b->frame ? b->frame->call : span_none())) return false;
		for (size_t i = 0; i < x->list->n; i++)
			if (!item_same(b, &x->list->at[i], &y->list->at[i])) return false;
		return true;
	case ITEM_PLACE: return x->place == y->place;
	case ITEM_ARRAY:
	case ITEM_MEMBER: return x->member == y->member;
	case ITEM_FILE_DIM: return x->file_dim == y->file_dim;
	case ITEM_FILE: return x->file == y->file;
	case ITEM_MASK: return x->integer == y->integer;
	}
	return false;
}

const char *item_text_of(Build *b, const Item *i)
{
	switch (i->kind) {
	case ITEM_NONE: return "none";
	case ITEM_INT: return arena_printf(b->arena, "%" PRId64, i->integer);
	case ITEM_BOOL: return i->integer ? "true" : "false";
	case ITEM_FLOAT: {
		Text t = text_new(b->arena);
		text_double(&t, i->number);
		return t.at;
	}
	case ITEM_TEXT: return i->text;
	case ITEM_DTYPE: return dtype_name(i->dtype);
	case ITEM_DIM: return dim_text(b->arena, i->dim);
	default: return item_kind(b, i);
	}
}

const char *item_kind(Build *b, const Item *i)
{
	switch (i->kind) {
	case ITEM_BAD: return "a mistake";
	case ITEM_NONE: return "none";
	case ITEM_INT: return arena_printf(b->arena, "the number %" PRId64, i->integer);
	case ITEM_FLOAT: return arena_printf(b->arena, "the number %s", item_text_of(b, i));
	case ITEM_BOOL: return i->integer ? "true" : "false";
	case ITEM_TEXT: return arena_printf(b->arena, "the text \"%s\"", i->text);
	case ITEM_DTYPE: return arena_printf(b->arena, "the element type %s", dtype_name(i->dtype));
	case ITEM_SCALED:
		return arena_printf(b->arena, "a scaled type of %s", dtype_name(i->scaled->stored));
	case ITEM_DIM: return arena_printf(b->arena, "the dim %s", dim_text(b->arena, i->dim));
	case ITEM_LIST:
		return i->list->n == 1 ? "a list of 1 element"
		                       : arena_printf(b->arena, "a list of %zu elements", i->list->n);
	case ITEM_TENSOR: return type_text(b->arena, &i->node->type);
	case ITEM_CONST: return type_text(b->arena, &i->constant->type);
	case ITEM_FUNCTION: return arena_printf(b->arena, "the def `%s`", i->function->def->name);
	case ITEM_BUILTIN: return arena_printf(b->arena, "the function `%s`", builtin_name(i->builtin));
	case ITEM_LAYER: return arena_printf(b->arena, "the layer `%s`", i->layer->name);
	case ITEM_PLACE: return arena_printf(b->arena, "a `%s`", i->place->instance->layer->name);
	case ITEM_ARRAY: return arena_printf(b->arena, "an array of %u layers", i->member->n);
	case ITEM_FILE: return "an imported file";
	case ITEM_MASK: return arena_printf(b->arena, "the mask window(%" PRId64 ")", i->integer);
	case ITEM_MEMBER:
	case ITEM_FILE_DIM: break;
	}
	return "a name";
}

Dim as_dim(Build *b, const Item *i)
{
	if (i->kind == ITEM_DIM) return i->dim;
	return i->kind == ITEM_INT ? dim_const(b->m->dims, i->integer) : NULL;
}

bool as_number(const Item *i, double *out)
{
	if (i->kind == ITEM_INT)
		*out = (double)i->integer;
	else if (i->kind == ITEM_FLOAT)
		*out = i->number;
	else
		return false;
	return true;
}

bool need_int(Build *b, const Item *i, Span at, const char *what, int64_t *out)
{
	if (i->kind == ITEM_INT) {
		*out = i->integer;
		return true;
	}
	if (i->kind != ITEM_BAD) {
		Diag *m = complain(b, at, "%s must be an integer known at compile time, not %s", what,
		                   item_kind(b, i));
		note_origin(b, m, i, NULL);
	}
	return false;
}

bool need_dim(Build *b, const Item *i, Span at, const char *what, Dim *out)
{
	if (i->kind == ITEM_BAD) return false;
	*out = as_dim(b, i);
	if (!*out) {
		Diag *m = complain(b, at, "%s must be a size (an integer or a dim), not %s", what,
		                   item_kind(b, i));
		if (i->kind == ITEM_TENSOR) diag_help(b->d, m, "no shape depends on data");
	}
	return *out != NULL;
}

bool need_bool(Build *b, const Item *i, Span at, const char *what, bool *out)
{
	if (i->kind == ITEM_BOOL) {
		*out = i->integer;
		return true;
	}
	if (i->kind != ITEM_BAD)
		complain(b, at, "%s must be true or false, known at compile time, not %s", what,
		         item_kind(b, i));
	return false;
}

bool need_ints(Build *b, const Item *i, Span at, const char *what, uint32_t n, int64_t *out)
{
	int64_t one;
	if (i->kind != ITEM_LIST) {
		if (!need_int(b, i, at, what, &one)) return false;
		for (uint32_t k = 0; k < n; k++) out[k] = one;
		return true;
	}
	if (i->list->n != n) {
		complain(b, at, "%s must be an integer or a list of %u, not %s", what, n, item_kind(b, i));
		return false;
	}
	for (uint32_t k = 0; k < n; k++)
		if (!need_int(b, &i->list->at[k], at, what, &out[k])) return false;
	return true;
}

Node *need_tensor(Build *b, const Item *i, Span at, const char *what)
{
	if (i->kind == ITEM_TENSOR) return i->node;
	if (i->kind == ITEM_CONST) return emit_constant(b, i->constant, at);
	if (i->kind == ITEM_DIM && ragged_find(b, i->dim)) return ragged_find(b, i->dim)->rows;
	if (i->kind == ITEM_DIM || i->kind == ITEM_INT || i->kind == ITEM_FLOAT || i->kind == ITEM_BOOL)
		return as_node(b, i, DT_F32, at);
	if (i->kind == ITEM_BAD) return NULL;
	Diag *m = complain(b, at, "%s must be a tensor, not %s", what, item_kind(b, i));
	note_origin(b, m, i, NULL);
	if (i->kind == ITEM_LIST)
		diag_help(b->d, m, "tensor([..]) makes a constant, concat and stack join tensors");
	return NULL;
}

Node *as_node(Build *b, const Item *i, DType like, Span at)
{
	switch (i->kind) {
	case ITEM_TENSOR: return i->node;
	case ITEM_CONST: return emit_constant(b, i->constant, at);
	case ITEM_INT:
		return emit_number(b, dtype_is_float(like) ? DT_F32 : DT_I32, (double)i->integer, at);
	case ITEM_FLOAT: return emit_number(b, DT_F32, i->number, at);
	case ITEM_BOOL: return emit_number(b, DT_BOOL, (double)i->integer, at);
	case ITEM_DIM: {
		const Ragged *r = ragged_find(b, i->dim);
		Node *n = r ? r->rows : emit_dim(b, i->dim, at);
		return dtype_is_float(like) ? emit_cast(b, n, DT_F32, at) : n;
	}
	default: return NULL;
	}
}
