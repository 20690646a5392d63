/* Expressions: names, literals, lists, attributes, conditions. What is known at compile time is
 * computed, tensors become nodes. Evaluation is bounded in depth and in steps. */
#include "frontend/build.h"

#include <math.h>
#include <string.h>

static Item unknown_name(Build *b, const char *name, Span at)
{
	Diag *m = complain(b, at, "`%s` is not defined", name);
	if (advise_scope(b, m, name, at)) return bad();
	const char *near = scope_nearest(b, b->frame->scope, name);
	bool module = strcmp(name, "F") == 0 || strcmp(name, "nn") == 0 || strcmp(name, "np") == 0;
	const char *hint = strlen(name) > 2 || module ? hint_for(name) : NULL;
	if (hint)
		diag_help(b->d, m, "%s", hint);
	else if (near)
		diag_help(b->d, m, "did you mean `%s`?", near);
	else if (b->main && !b->main->imports.n)
		diag_help(b->d, m, "layers such as Linear and RMSNorm come from  import \"std/nn\"");
	return bad();
}

Node *weight_value(Build *b, const Member *w, Span at)
{
	uint32_t number = w->number;
	if (!b->entry) {
		complain(b, at, "weight `%s` has no value here: it may be used inside a def", w->name);
		return NULL;
	}
	if (!b->weight_node[number]) {
		Node *n = node_new(b->m, OP_WEIGHT, 0, NULL, w->decl->op_span);
		attr_int(n, "number", number);
		n->type = b->m->weights.at[number].type;
		b->weight_node[number] = graph_add(b->entry->graph, b->d, n);
	}
	return b->weight_node[number];
}

Node *member_weight(Build *b, const Member *w, const Place *place, Span at)
{
	Node *whole = weight_value(b, w, at);
	if (!whole) return NULL;
	uint32_t rank = whole->type.rank;
	Dim start[MAX_RANK], size[MAX_RANK];
	if (!place->n) return whole;
	for (uint32_t i = 0; i < rank; i++) {
		start[i] = i < place->n ? place->index[i] : dim_const(b->m->dims, 0);
		size[i] = i < place->n ? dim_const(b->m->dims, 1) : whole->type.dim[i];
	}
	return emit_reshape(b, emit_slice(b, whole, start, size, at), rank - place->n,
	                    whole->type.dim + place->n, at);
}

/* An array of one weight has the axis of its index too, though the module's weight lacks it. */
static Node *with_array_axis(Build *b, const Member *w, Node *n, Span at)
{
	Dim dims[MAX_RANK];
	if (!n || !w->array || w->n_keys != 1) return n;
	dims[0] = dim_const(b->m->dims, 1);
	memcpy(dims + 1, n->type.dim, n->type.rank * sizeof(Dim));
	return emit_reshape(b, n, n->type.rank + 1, dims, at);
}

/* A state dim with a value for each row: the dim that none exceeds, with the rows themselves. */
static Item state_rows_value(Build *b, const Member *m, Span at)
{
	Dim d = b->dim_now[m->number];
	if (!d) return item_node(state_value(b, m->rows));
	if (ragged_find(b, d)) return item_dim(d);
	Loop *loop = b->loop;
	Graph *graph = b->graph;
	b->loop = NULL;
	b->graph = b->entry->graph;
	Dim zero = dim_const(b->m->dims, 0);
	Node *rows = ragged_checked(b, state_value(b, m->rows), zero, d,
	                            failed_range(b, NULL, m->name, zero), at);
	b->loop = loop;
	b->graph = graph;
	return ragged_add(b, d, d, m->batch, rows) ? item_dim(d) : bad();
}

static Item member_value(Build *b, Member *m, const Place *place, Span at)
{
	Item out = bad();
	if (m->absent && !m->decl->c) { /* incomplete: reported where it is made */
		b->errors++;
		return bad();
	}
	if (m->absent) {
		Diag *d = complain(b, at, "`%s` does not exist here: its condition `%s` is false", m->name,
		                   text_of(b, m->decl->c->span));
		diag_note(b->d, d, m->decl->op_span, "%s is declared here", m->name);
		return bad();
	}
	switch (m->kind) {
	case MEMBER_WEIGHT:
		out = item_node(with_array_axis(b, m, member_weight(b, m, place, at), at));
		if (m->scale && out.kind != ITEM_BAD) {
			const Member *of[] = {m->scale, m->zero};
			Node *part[3] = {out.node};
			for (size_t i = 0; i < COUNT(of); i++)
				if (of[i])
					part[i + 1] = with_array_axis(b, of[i], member_weight(b, of[i], place, at), at);
			out = item_node(scaled_value(b, m, part, at));
		}
		break;
	case MEMBER_STATE: out = item_node(state_read(b, m, place, at)); break;
	case MEMBER_STATE_DIM:
		if (!b->entry) {
			complain(b, at, "state `%s` has no value here: it may be used inside a def", m->name);
			return bad();
		}
		return m->batch ? state_rows_value(b, m, at) : item_dim(b->dim_now[m->number]);
	case MEMBER_USE: {
		Place *p = NEW(b->arena, Place);
		*p = *place;
		if (m->array)
			return (Item){.kind = ITEM_ARRAY, .member = m, .at = place, .origin = m->origin};
		p->instance = m->element[0];
		p->path = path_join(b, place->path, m->name);
		return (Item){.kind = ITEM_PLACE, .place = p, .origin = m->origin};
	}
	case MEMBER_DEF: {
		Function *f = NEW(b->arena, Function);
		*f = (Function){m->decl, place, m->owner->scope, m->owner->file};
		return (Item){.kind = ITEM_FUNCTION, .function = f};
	}
	}
	out.origin = m->origin;
	return out;
}

Item resolve(Build *b, Binding *k, const Place *place, Span at)
{
	if (k->item.kind == ITEM_FILE_DIM || k->item.kind == ITEM_MEMBER) b->members_touched++;
	if (k->item.kind == ITEM_FILE_DIM)
		return item_dim(file_dim_value(b, k->item.file_dim, at, false));
	if (k->item.kind != ITEM_MEMBER) return k->item;
	if (!place && k->item.member->kind != MEMBER_DEF) {
		complain(b, at, "`%s` has no value here: it may be used inside a def", k->name);
		return bad();
	}
	return member_value(b, k->item.member, place, at);
}

Item eval_name(Build *b, const char *name, Span at)
{
	Binding *k = scope_find(b->frame->scope, name);
	if (k) return resolve(b, k, b->frame->place, at);
	const Builtin *f = builtin_known(b, name)->builtin;
	if (f) return (Item){.kind = ITEM_BUILTIN, .builtin = f};
	DType t;
	if (dtype_from_name(name, &t) && t != DT_F64) return (Item){.kind = ITEM_DTYPE, .dtype = t};
	if (strcmp(name, "inf") == 0) return item_float((double)INFINITY);
	if (strcmp(name, "pi") == 0) return item_float(3.14159265358979323846);
	return unknown_name(b, name, at);
}

Item place_member(Build *b, const Place *place, const char *name, Span at)
{
	Binding *k = scope_own(place->instance->scope, name);
	if (k) return resolve(b, k, place, at);
	enum { ROOM = 1024 };
	const char **names = NEW_ARRAY(b->arena, const char *, ROOM);
	uint32_t n = 0;
	const Scope *s = place->instance->scope;
	for (size_t i = 0; i < s->list.n && n < ROOM; i++) names[n++] = s->list.at[i].name;
	Diag *m = complain(b, at, "layer `%s` has no member `%s`", place->instance->layer->name, name);
	const char *near = nearest_name(name, names, n);
	if (near) diag_help(b->d, m, "did you mean `%s`?", near);
	diag_note(b->d, m, place->instance->layer->op_span, "`%s` is declared here",
	          place->instance->layer->name);
	if (!near && strcmp(name, "forward") == 0)
		diag_help(b->d, m, "a call of a layer calls its  def forward(x: ..) -> ..");
	return bad();
}

static Item transposed(Build *b, const Ast *e, const Item *x)
{
	Node *n = need_tensor(b, x, e->a->span, "the operand of .T");
	int64_t perm[MAX_RANK];
	if (!n) return bad();
	uint32_t r = n->type.rank;
	if (r < 2) {
		Diag *m =
			complain(b, e->op_span, ".T of %s: it swaps the last two dims, and there are not two",
		             type_text(b->arena, &n->type));
		note_origin(b, m, x, NULL);
		return bad();
	}
	for (uint32_t i = 0; i < r; i++) perm[i] = i;
	perm[r - 1] = r - 2;
	perm[r - 2] = r - 1;
	Item out = item_node(emit_transpose(b, n, perm, e->span));
	out.origin = x->origin;
	return out;
}

static Item tensor_attribute(Build *b, const Ast *e, const Item *x)
{
	Node *n = x->kind == ITEM_TENSOR ? x->node : NULL;
	if (strcmp(e->name, "T") == 0) return transposed(b, e, x);
	if (n && strcmp(e->name, "dtype") == 0)
		return (Item){.kind = ITEM_DTYPE, .dtype = n->type.dtype};
	if (n && strcmp(e->name, "shape") == 0) {
		ItemList l = {0};
		for (uint32_t i = 0; i < n->type.rank; i++)
			vec_push(b->arena, &l, item_dim(n->type.dim[i]));
		return item_list(b, &l);
	}
	Diag *m = complain(b, e->op_span, "a tensor has no `%s`", e->name);
	size_t parts = m->parts.n;
	help_with_word(b, m, e->name, text_of(b, e->a->span));
	if (m->parts.n == parts) diag_help(b->d, m, "it has .T, .shape and .dtype");
	return bad();
}

/* `torch.nn.functional.relu`: a chain of names whose first is not known here. */
static const Ast *foreign_root(Build *b, const Ast *e)
{
	static const char *const modules[] = {"torch", "nn", "F", "np", "numpy", "jnp", "math", "self"};
	while (e->kind == AST_ATTR) e = e->a;
	if (e->kind != AST_NAME || scope_find(b->frame->scope, e->name)) return NULL;
	for (size_t i = 0; i < COUNT(modules); i++)
		if (strcmp(e->name, modules[i]) == 0) return e;
	return NULL;
}

static Item foreign(Build *b, const Ast *e, const Ast *root)
{
	if (strcmp(root->name, "self") == 0) {
		Diag *m = complain(b, root->span, "`self` is not defined");
		diag_help(b->d, m, "members are used by their names alone:  %s", e->name);
		return bad();
	}
	Diag *m = complain(b, e->span, "`%s` is not defined", text_of(b, e->span));
	size_t parts = m->parts.n;
	help_with_word(b, m, e->name, NULL);
	const char *near = m->parts.n == parts ? scope_nearest(b, b->frame->scope, e->name) : NULL;
	if (near)
		diag_help(b->d, m, "did you mean `%s`?", near);
	else if (m->parts.n == parts)
		diag_help(b->d, m, "%s", hint_for("torch"));
	return bad();
}

static Item eval_attribute(Build *b, const Ast *e)
{
	const Ast *root = foreign_root(b, e);
	if (root) return foreign(b, e, root);
	Item x = eval(b, e->a);
	switch (x.kind) {
	case ITEM_BAD: return bad();
	case ITEM_PLACE: return place_member(b, x.place, e->name, e->op_span);
	case ITEM_TENSOR:
	case ITEM_CONST: return tensor_attribute(b, e, &x);
	case ITEM_FILE: {
		Binding *k = file_find(x.file, e->name);
		if (k) return resolve(b, k, NULL, e->op_span);
		Diag *m = complain(b, e->op_span, "\"%s\" has no `%s`", x.file->name, e->name);
		const char *near = scope_nearest(b, x.file->scope, e->name);
		if (near) diag_help(b->d, m, "did you mean `%s`?", near);
		return bad();
	}
	case ITEM_LIST:
		for (size_t i = 0; x.names && i < x.list->n; i++)
			if (x.names[i] && strcmp(x.names[i], e->name) == 0) return x.list->at[i];
		break;
	default: break;
	}
	Diag *m = complain(b, e->op_span, "%s has no `%s`", item_kind(b, &x), e->name);
	if (x.kind == ITEM_LIST && strcmp(e->name, "append") == 0) {
		diag_help(b->d, m,
		          "%s += [..]  makes a longer one;  ys = for .. { yield .. }  collects tensors",
		          text_of(b, e->a->span));
		if (e->a->kind == AST_NAME) assign_name(b, e->a->name, bad(), e->a->span);
	}
	if (x.kind == ITEM_ARRAY)
		diag_help(b->d, m, "name one of its elements:  %s[i].%s", x.member->name, e->name);
	return bad();
}

bool eval_text_to(Build *b, const Ast *e, Text *out)
{
	size_t began = out->n;
	if (!e->list.n) {
		text_puts(out, e->name);
		return true;
	}
	for (size_t i = 0; i < e->list.n; i++) {
		const Ast *part = e->list.at[i];
		if (part->kind == AST_STRING && !part->list.n) {
			text_puts(out, part->name);
		} else {
			Item v = eval(b, part);
			if (v.kind == ITEM_BAD) return false;
			if (v.kind != ITEM_INT && v.kind != ITEM_TEXT && v.kind != ITEM_BOOL &&
			    v.kind != ITEM_DTYPE && v.kind != ITEM_FLOAT) {
				complain(b, part->span, "%s cannot stand in a text", item_kind(b, &v));
				return false;
			}
			if (v.kind == ITEM_INT)
				text_int(out, v.integer);
			else
				text_puts(out, item_text_of(b, &v));
		}
		if (out->n - began > TEXT_LIMIT) {
			complain(b, e->span, "this text grows beyond %d bytes", TEXT_LIMIT);
			return false;
		}
	}
	return spend(b, (out->n - began) / 16, e->span);
}

const char *eval_text(Build *b, const Ast *e)
{
	if (!e->list.n) return e->name;
	Text t = text_new(b->arena);
	return eval_text_to(b, e, &t) ? intern(b->names, t.at, t.n) : NULL;
}

static Item eval_list(Build *b, const Ast *e)
{
	ItemList l = {.at = NEW_ARRAY(b->arena, Item, e->list.n), .cap = e->list.n};
	bool ok = true;
	for (size_t i = 0; i < e->list.n; i++) {
		Item one = eval(b, e->list.at[i]);
		ok &= one.kind != ITEM_BAD;
		vec_push(b->arena, &l, one);
	}
	return ok ? item_list(b, &l) : bad();
}

/* The turns of a compile-time range: an interval, or the elements of a list. */
static bool range_turns(Build *b, const Ast *range, const ItemList **list, int64_t *from,
                        int64_t *to)
{
	Item lo = eval(b, range->a), hi = range->b ? eval(b, range->b) : lo;
	*list = NULL;
	if (!range->b) {
		if (lo.kind == ITEM_LIST) {
			*list = lo.list;
			*from = 0;
			*to = (int64_t)lo.list->n;
			return true;
		}
		if (lo.kind != ITEM_BAD)
			complain(b, range->span, "a list or a range a..b is needed here, not %s",
			         item_kind(b, &lo));
		return false;
	}
	return need_int(b, &lo, range->a->span, "the start of the range", from) &&
	       need_int(b, &hi, range->b->span, "the end of the range", to);
}

static bool comprehend(Build *b, const Ast *e, size_t at, ItemList *out)
{
	if (b->stop) return false;
	if (at == e->list.n) {
		Item v = eval(b, e->a);
		if (out->n >= LIST_LIMIT)
			return !over_limit(b, e->span, "this list grows beyond 1048576 elements");
		vec_push(b->arena, out, v);
		return v.kind != ITEM_BAD;
	}
	const Ast *c = e->list.at[at];
	if (c->kind == AST_IF_CLAUSE) {
		bool yes;
		if (!condition(b, c->a, "the condition", &yes)) return false;
		return !yes || comprehend(b, e, at + 1, out);
	}
	const ItemList *list;
	int64_t from, to;
	if (!range_turns(b, c->a, &list, &from, &to)) return false;
	for (int64_t i = from; i < to; i++) {
		Item v = list ? list->at[i] : item_int(i);
		if (c->list.n > 1 && (v.kind != ITEM_LIST || v.list->n != c->list.n)) {
			complain(b, c->span, "%zu names cannot take %s", c->list.n, item_kind(b, &v));
			return false;
		}
		for (size_t k = 0; k < c->list.n; k++)
			scope_set(b, b->frame->scope, c->list.at[k]->name, c->list.n > 1 ? v.list->at[k] : v,
			          c->list.at[k]->span);
		if (!spend(b, 1, e->span)) return false;
		if (!comprehend(b, e, at + 1, out)) return false;
	}
	return true;
}

static Item eval_comprehension(Build *b, const Ast *e)
{
	ItemList l = {0};
	Scope *was = b->frame->scope;
	b->frame->scope = scope_new(b, was);
	bool ok = comprehend(b, e, 0, &l);
	b->frame->scope = was;
	return ok ? item_list(b, &l) : bad();
}

bool condition(Build *b, const Ast *e, const char *what, bool *out)
{
	Item v = eval(b, e);
	if (v.kind == ITEM_TENSOR) {
		Diag *m = complain(
			b, e->span, "%s must be known at compile time, this is known only when the model runs",
			what);
		diag_help(b->d, m, "where(c, a, b) or  a if c else b  choose between tensors");
		return false;
	}
	return need_bool(b, &v, e->span, what, out);
}

static Item eval_if_else(Build *b, const Ast *e)
{
	Item c = eval(b, e->b); /* written  a if b else c */
	if (c.kind == ITEM_BOOL) return eval(b, c.integer ? e->a : e->c);
	if (c.kind == ITEM_BAD) return bad();
	Node *cond = need_tensor(b, &c, e->b->span, "the condition");
	if (!cond) return bad();
	if (cond->type.dtype != DT_BOOL) {
		complain(b, e->b->span, "the condition must be bool, not %s", item_kind(b, &c));
		return bad();
	}
	Item x = eval(b, e->a), y = eval(b, e->c);
	DType like = x.kind == ITEM_TENSOR   ? x.node->type.dtype
	             : y.kind == ITEM_TENSOR ? y.node->type.dtype
	                                     : DT_F32;
	Node *p = as_node(b, &x, like, e->a->span), *q = as_node(b, &y, like, e->c->span);
	if (!p || !q) return bad();
	return item_node(emit(b, node_new(b->m, OP_SELECT, 3, (Node *[]){cond, p, q}, e->span)));
}

static Item eval_binary(Build *b, const Ast *e)
{
	Item x = eval(b, e->a);
	bool logic = e->op == AST_OP('a', 'n') || e->op == AST_OP('o', 'r');
	if (x.kind == ITEM_BAD && logic) return bad();
	if (logic && x.kind == ITEM_BOOL && (bool)x.integer == (e->op == AST_OP('o', 'r'))) return x;
	Item y = eval(b, e->b);
	if (x.kind == ITEM_BAD || y.kind == ITEM_BAD) return bad();
	return operate(b, e, e->op, x, y, e->op_span);
}

static Item eval_inner(Build *b, const Ast *e)
{
	switch (e->kind) {
	case AST_NAME: return eval_name(b, e->name, e->span);
	case AST_INT: return item_int(e->integer);
	case AST_FLOAT: return item_float(e->number);
	case AST_TRUE: return item_bool(true);
	case AST_FALSE: return item_bool(false);
	case AST_NONE: return (Item){.kind = ITEM_NONE};
	case AST_STRING: {
		const char *s = eval_text(b, e);
		return s ? item_text(s) : bad();
	}
	case AST_TUPLE:
	case AST_LIST: return eval_list(b, e);
	case AST_COMPREHENSION: return eval_comprehension(b, e);
	case AST_UNARY: {
		Item x = eval(b, e->a);
		return x.kind == ITEM_BAD ? x : negate(b, e, e->op, x);
	}
	case AST_BINARY: return eval_binary(b, e);
	case AST_IF_ELSE: return eval_if_else(b, e);
	case AST_ATTR: return eval_attribute(b, e);
	case AST_CALL: return eval_call(b, e);
	case AST_INDEX: return eval_index(b, e);
	case AST_BAD: b->errors++; return bad(); /* reported by the parser */
	case AST_ELLIPSIS:
		complain(b, e->span, "`...` stands only among the dims of a type, an index or a pattern");
		return bad();
	default: complain(b, e->span, "this is no expression"); return bad();
	}
}

Item eval(Build *b, const Ast *e)
{
	if (!e || b->stop) return bad();
	if (!spend(b, 1, e->span)) return bad();
	if (b->eval_depth >= EVAL_LIMIT) {
		over_limit(b, e->span, "evaluation nests too deeply here");
		return bad();
	}
	b->eval_depth++;
	Item out = eval_inner(b, e);
	b->eval_depth--;
	if (b->record) record_item(b, e->span, &out);
	return out;
}
