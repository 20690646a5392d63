/* Looks at defs that no model calls, so that editors can show types in them too: a layer is made with
 * its parameters left symbolic, and each of its defs is called with inputs of the declared types. What
 * cannot be decided counts as true (DimFacts.assume), and all is silent: it may be incomplete, and what
 * it reports may be of no consequence in any model. */
#include "frontend/build.h"

#include <string.h>

enum { SAMPLE = 2, MOST = 1 << 20 };

/* --- what there is to look at ---------------------------------------------------------------------- */

static bool def_seen(const Record *r, const Ast *def)
{
	const AstList *body = &def->list2;
	const Ast *first = body->n ? body->at[0] : NULL, *last = body->n ? body->at[body->n - 1] : NULL;
	return !first || !last || record_any(r, first->span.begin, last->span.end);
}

static bool members_seen(const Record *r, const AstList *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const Ast *a = l->at[i];
		if (!a) continue;
		if (a->kind == AST_DEF && !def_seen(r, a)) return false;
		if (a->kind == AST_WEIGHT && !record_any(r, a->span.begin, a->span.end)) return false;
		if (a->kind == AST_MEMBER_IF && !(members_seen(r, &a->list) && members_seen(r, &a->list2)))
			return false;
	}
	return true;
}

bool sketch_needed(const Record *r, const Ast *unit)
{
	return unit->kind == AST_DEF ? !def_seen(r, unit) : !members_seen(r, &unit->list2);
}

/* --- parameters ------------------------------------------------------------------------------------ */

static bool mentions(const Ast *e, const char *name);

static bool list_mentions(const AstList *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (mentions(l->at[i], name)) return true;
	return false;
}

static bool mentions(const Ast *e, const char *name)
{
	if (!e) return false;
	if (e->kind == AST_NAME && e->name == name) return true;
	return mentions(e->a, name) || mentions(e->b, name) || mentions(e->c, name) ||
	       mentions(e->d, name) || list_mentions(&e->list, name) || list_mentions(&e->list2, name);
}

static bool counts(const Ast *e, const char *name);

static bool list_counts(const AstList *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (counts(l->at[i], name)) return true;
	return false;
}

/* Does a parameter say how many there are of something, or decide a condition? Then it is a number. */
static bool counts(const Ast *e, const char *name)
{
	if (!e) return false;
	if (e->kind == AST_RANGE && (mentions(e->a, name) || mentions(e->b, name))) return true;
	if ((e->kind == AST_MEMBER_IF || e->kind == AST_IF) && mentions(e->a, name)) return true;
	if (e->kind == AST_IF_ELSE && mentions(e->b, name)) return true;
	if ((e->kind == AST_WEIGHT || e->kind == AST_USE) && mentions(e->c, name)) return true;
	return counts(e->a, name) || counts(e->b, name) || counts(e->c, name) || counts(e->d, name) ||
	       list_counts(&e->list, name) || list_counts(&e->list2, name);
}

static Item symbol(Build *b, const char *name, Span at)
{
	DimPool *p = b->m->dims;
	return item_dim(
		dim_sym(p, dim_sym_new(p, name, SYM_CALL, dim_const(p, 1), dim_const(p, MOST), at)));
}

/* A value for a parameter that is no tensor; BAD when there is none to make up. */
static Item sample(Build *b, const Ast *unit, const Ast *p)
{
	const Ast *type = p->a;
	const char *t = type->name;
	if (type->flag2) return (Item){.kind = ITEM_NONE};
	bool integer = strcmp(t, "int") == 0;
	if (strcmp(t, "dim") == 0 || (integer && !type->flag && !counts(unit, p->name)))
		return symbol(b, p->name, p->op_span);
	if (integer) return item_int(SAMPLE);
	if (strcmp(t, "f32") == 0) return item_float(1);
	if (strcmp(t, "bool") == 0) return item_bool(true);
	if (strcmp(t, "str") == 0) return item_text("");
	if (strcmp(t, "dtype") == 0) return (Item){.kind = ITEM_DTYPE, .dtype = DT_F32};
	if (strcmp(t, "fn") == 0) return (Item){.kind = ITEM_BUILTIN, .builtin = builtin_find("relu")};
	return bad();
}

/* --- defs ------------------------------------------------------------------------------------------- */

static bool input_type(Build *b, const Ast *type, Type *out)
{
	*out = (Type){0};
	if (!type_dtype(b, type, &out->dtype) || type->list.n > MAX_RANK) return false;
	for (size_t i = 0; i < type->list.n; i++) {
		const Ast *dim = type->list.at[i];
		Item v;
		if (dim->kind == AST_ELLIPSIS || (dim->kind == AST_NAME && strcmp(dim->name, "_") == 0)) {
			v = symbol(b, dim->kind == AST_NAME ? "_" : "...", dim->span);
		} else if (dim->kind == AST_NAME) {
			Binding *k = scope_find(b->frame->scope, dim->name);
			if (!k) return false;
			v = k->item;
			if (v.kind == ITEM_FILE_DIM) {
				v = symbol(b, dim->name, dim->span);
				scope_set(b, b->frame->scope, dim->name, v, dim->span);
			}
		} else {
			FileDim *f;
			for (const Ast *name; (name = dim_unknown(b, dim, &f));)
				scope_set(b, b->frame->scope, name->name, symbol(b, name->name, name->span),
				          name->span);
			v = eval(b, dim);
		}
		out->dim[i] = as_dim(b, &v);
		if (!out->dim[i]) return false;
	}
	out->rank = (uint32_t)type->list.n;
	return true;
}

static bool make_argument(Build *b, const Ast *def, const Ast *p, Arguments *out)
{
	Argument one = {.name = p->name, .ast = p, .span = p->op_span};
	Type t;
	if (type_is_tensor(b, p->a) && !(p->b && !p->a->flag)) {
		if (!input_type(b, p->a, &t)) return false;
		Node *n = node_new(b->m, OP_PARAM, 0, NULL, p->op_span);
		attr_int(n, "number", (int64_t)b->graph->args.n);
		n->type = t;
		n->name = p->name;
		one.item = item_node(emit(b, n));
	} else {
		if (p->b) return true; /* its default holds */
		one.item = sample(b, def, p);
	}
	vec_push(b->arena, out, one);
	return one.item.kind != ITEM_BAD;
}

static void call_sketch(Build *b, const Function *f)
{
	const Ast *def = f->def;
	Frame frame = {.scope = scope_new(b, f->scope),
	               .place = f->place,
	               .file = f->file,
	               .def = def,
	               .call = def->op_span};
	Arguments in = {0};
	bool ok = true;
	frame.scope->function = true;
	entry_begin(b, intern_str(b->names, "sketch"), def->op_span);
	b->frame = &frame;
	for (size_t i = 0; i < def->generics.n; i++) {
		const Ast *g = def->generics.at[i];
		scope_set(b, frame.scope, g->name, symbol(b, g->name, g->span), g->span);
	}
	for (size_t i = 0; ok && i < def->list.n; i++) ok = make_argument(b, def, def->list.at[i], &in);
	b->frame = NULL;
	if (ok) call_function(b, f, &in, def->op_span, def->op_span);
	b->entry = NULL;
	b->graph = NULL;
	b->frame = NULL;
}

void sketch_def(Build *b, File *f, const Ast *def)
{
	Function g = {def, NULL, f->scope, f};
	call_sketch(b, &g);
}

/* --- layers ----------------------------------------------------------------------------------------- */

/* A layer with mistakes may be unlike its neighbours in an array, which stacking relies on. */
static bool may_register(const Build *b, const Instance *in)
{
	if (!b->errors) return true;
	for (size_t i = 0; i < in->members.n; i++) {
		const Member *m = in->members.at[i];
		if (m->kind != MEMBER_USE || m->absent) continue;
		if (m->n > 1) return false;
		for (uint32_t k = 0; k < m->n; k++)
			if (!may_register(b, m->element[k])) return false;
	}
	return true;
}

void sketch_layer(Build *b, File *f, const Ast *layer)
{
	Argument *args = NEW_ARRAY(b->arena, Argument, layer->list.n + 1);
	Frame frame = {.scope = f->scope, .file = f, .call = layer->op_span};
	b->frame = &frame;
	for (size_t i = 0; i < layer->list.n; i++) {
		const Ast *p = layer->list.at[i];
		if (!p->b) args[i] = (Argument){.item = sample(b, layer, p), .ast = p, .span = p->span};
	}
	Instance *in = instance_make(b, layer, f, args, "", 1, layer->op_span);
	b->frame = NULL;
	if (!in || !may_register(b, in)) return;
	instance_register(b, in);
	Place *place = NEW(b->arena, Place);
	place->instance = in;
	place->path = "";
	for (size_t i = 0; i < in->members.n && !b->stop; i++) {
		const Member *m = in->members.at[i];
		if (m->kind != MEMBER_DEF || m->absent || def_seen(b->record, m->decl)) continue;
		Function g = {m->decl, place, in->scope, f};
		call_sketch(b, &g);
	}
}
