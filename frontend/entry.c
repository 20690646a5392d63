/* Entries of the model and inline tests: their inputs, results, changed states and requirements. An
 * entry is a call of a def whose arguments are the inputs. */
#include "frontend/build.h"

#include <string.h>

/* --- after building ------------------------------------------------------------------------------------- */

void mark_live(Graph *g)
{
	for (size_t i = 0; i < g->results.n; i++) g->results.at[i]->mark = 1;
	for (Node *n = g->last; n; n = n->prev) {
		if (!n->mark) continue;
		for (uint32_t i = 0; i < n->n_in; i++) n->in[i]->mark = 1;
		if (n->region) mark_live(n->region);
	}
}

static void sweep(Graph *g)
{
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (!n->mark && n->op != OP_PARAM && n->op != OP_ARG)
			graph_remove(n);
		else if (n->region)
			sweep(n->region);
		n->mark = 0;
	}
}

/* How often each name was given, by open addressing; names are interned. */
typedef struct NameCounts {
	const char **name;
	uint32_t *count, slots, used;
} NameCounts;

static void counts_grow(Build *b, NameCounts *c)
{
	NameCounts was = *c;
	c->slots = was.slots ? was.slots * 2 : 256;
	c->name = NEW_ARRAY(b->arena, const char *, c->slots);
	c->count = NEW_ARRAY(b->arena, uint32_t, c->slots);
	for (uint32_t i = 0; i < was.slots; i++) {
		if (!was.name[i]) continue;
		uint32_t at = (uint32_t)((uintptr_t)was.name[i] >> 4) & (c->slots - 1);
		while (c->name[at]) at = (at + 1) & (c->slots - 1);
		c->name[at] = was.name[i];
		c->count[at] = was.count[i];
	}
}

static uint32_t counts_next(Build *b, NameCounts *c, const char *name)
{
	if (c->used * 2 >= c->slots) counts_grow(b, c);
	uint32_t at = (uint32_t)((uintptr_t)name >> 4) & (c->slots - 1);
	while (c->name[at] && c->name[at] != name) at = (at + 1) & (c->slots - 1);
	c->used += !c->name[at];
	c->name[at] = name;
	return ++c->count[at];
}

/* One name for one value, so that --dump can tell them apart: x, x#2, x#3. */
static void distinct_names(Build *b, Graph *g, NameCounts *seen)
{
	for (Node *n = g->first; n; n = n->next) {
		uint32_t count = n->name ? counts_next(b, seen, n->name) : 0;
		if (count > 1)
			n->name = intern_str(b->names, arena_printf(b->arena, "%s#%u", n->name, count));
		if (n->region) distinct_names(b, n->region, seen);
	}
}

/* In the order of the text, without gaps. */
static void renumber(Graph *g, uint32_t *next)
{
	for (Node *n = g->first; n; n = n->next) {
		n->id = (*next)++;
		if (n->region) renumber(n->region, next);
	}
}

static void number_nodes(Build *b)
{
	uint32_t next = 0;
	for (size_t i = 0; i < b->m->entries.n; i++) renumber(b->m->entries.at[i]->graph, &next);
	b->m->next_id = next;
}

static void tidy(Build *b, Entry *e)
{
	NameCounts seen = {0};
	ragged_keep_all(b);
	mark_live(e->graph);
	sweep(e->graph);
	distinct_names(b, e->graph, &seen);
}

/* --- one entry --------------------------------------------------------------------------------------------- */

void entry_begin(Build *b, const char *name, Span at)
{
	Entry *e = module_entry(b->m, name);
	e->span = at;
	b->entry = e;
	b->graph = e->graph;
	b->loop = NULL;
	b->stored.n = 0;
	b->weight_node = NEW_ARRAY(b->arena, Node *, b->m->weights.n + 1);
	b->state_now = NEW_ARRAY(b->arena, Node *, b->m->states.n + 1);
	b->dim_now = NEW_ARRAY(b->arena, Dim, b->state_dims.n + 1);
	for (size_t i = 0; i < b->state_dims.n; i++)
		b->dim_now[i] = dim_sym(b->m->dims, b->state_dims.at[i]->sym);
	b->m->facts.nonneg.n = 0;
	b->ragged.n = 0;
	b->checks.n = 0;
}

/* A position that does not move by what was written at it leaves a gap, or lets rows be overwritten. */
static void check_advance(Build *b, const Member *m, Dim now)
{
	Dim was = dim_sym(b->m->dims, m->sym), by = dim_sub(b->m->dims, now, was);
	for (size_t i = 0; i < b->stored.n; i++) {
		const Stored *s = &b->stored.at[i];
		if (s->start != was || dims_equal(b, s->size, by)) continue;
		Diag *d =
			diag_warning(b->d, m->decl->op_span,
		                 "state `%s` moves by %s in a call that writes %s rows of `%s` at it",
		                 m->name, dim_text(b->arena, by), dim_text(b->arena, s->size), s->state);
		diag_note(b->d, d, s->at, "they are written here");
		diag_help(b->d, d, "after a call it stands behind the new rows:  %s += %s", m->name,
		          dim_text(b->arena, s->size));
		return;
	}
}

static void entry_end(Build *b)
{
	Entry *e = b->entry;
	for (uint32_t i = 0; i < b->m->states.n; i++) {
		Node *now = b->state_now[i];
		if (!now || now->op == OP_STATE) {
			if (!now || node_attr(now, "number")->i == (int64_t)i) continue;
		}
		vec_push(b->arena, &e->writes, i);
		vec_push(b->arena, &e->graph->results, now);
	}
	for (size_t i = 0; i < b->state_dims.n; i++) {
		Member *m = b->state_dims.at[i];
		if (b->dim_now[i] && dim_as_sym(b->dim_now[i]) == m->sym) continue;
		m->write = NEW(b->arena, Origin);
		if (!m->batch) check_advance(b, m, b->dim_now[i]);
		vec_push(b->arena, &e->set_sym, m->sym);
		vec_push(b->arena, &e->set_value, b->dim_now[i] ? b->dim_now[i] : m->hi);
	}
	tidy(b, e);
	b->m->facts.nonneg.n = 0;
	b->entry = NULL;
	b->graph = NULL;
}

/* Dims that stand alone in the parameters become symbols of the module; `where` fixes some. */
static bool bind_entry_dims(Build *b, const Ast *type)
{
	for (size_t i = 0; i < type->list.n; i++) {
		const Ast *dim = type->list.at[i];
		Binding *k = dim->kind == AST_NAME ? scope_find(b->frame->scope, dim->name) : NULL;
		if (dim->kind == AST_ELLIPSIS) {
			complain(b, dim->span, "an entry names each dim of its inputs");
			return false;
		}
		if (!k || k->item.kind != ITEM_FILE_DIM) continue;
		DimSym *s = file_dim_sym(b, k->item.file_dim, dim->span);
		if (!s) return false;
		scope_set(b, b->frame->scope, dim->name, item_dim(dim_sym(b->m->dims, s)), dim->span);
	}
	return true;
}

/* Then those that an expression gives: z of f32[N, 8*z]. Dims with a length for each row stand alone. */
static bool solve_entry_dims(Build *b, const Ast *type)
{
	for (size_t i = 0; i < type->list.n; i++) {
		const Ast *dim = type->list.at[i];
		FileDim *f = NULL;
		const Ast *name = dim->kind == AST_NAME ? NULL : dim_unknown(b, dim, &f);
		int64_t coef;
		Dim rest;
		if (!name || f->decl->d) continue;
		DimSym *s = file_dim_sym(b, f, dim->span);
		DimSolution found = s ? dim_solve(b, dim, s, &coef, &rest) : SOLVE_REPORTED;
		if (found == SOLVE_REPORTED) return false;
		if (found == SOLVE_YES)
			scope_set(b, b->frame->scope, name->name, item_dim(dim_sym(b->m->dims, s)), name->span);
	}
	return true;
}

/* `where S in 1..64`: a smaller range, checked at each call. */
static bool narrow_dim(Build *b, const Ast *w, FileDim *f)
{
	DimSym *s = file_dim_sym(b, f, w->span);
	if (!s || !w->a->b) return false;
	Item from = eval(b, w->a->a), to = eval(b, w->a->b);
	Dim lo, hi, d = dim_sym(b->m->dims, s);
	if (!need_dim(b, &from, w->a->a->span, "the start of the range", &lo) ||
	    !need_dim(b, &to, w->a->b->span, "the end of the range", &hi))
		return false;
	if (assume_le(b, lo, d, w->span) && assume_le(b, d, hi, w->span)) return true;
	complain(b, w->span, "%s in %s..%s lies outside its range %s..%s", w->name,
	         dim_text(b->arena, lo), dim_text(b->arena, hi), dim_text(b->arena, s->lo),
	         dim_text(b->arena, s->hi));
	return false;
}

static bool fix_dims(Build *b, const AstList *where)
{
	for (size_t i = 0; i < where->n; i++) {
		const Ast *w = where->at[i];
		Binding *k = scope_find(b->frame->scope, w->name);
		int64_t v;
		if (!k || k->item.kind != ITEM_FILE_DIM || k->item.file_dim->decl->kind == AST_NAME) {
			Diag *m = complain(b, w->span, "`%s` is no dim of this file", w->name);
			const char *near = scope_nearest(b, b->frame->scope, w->name);
			if (near) diag_help(b->d, m, "did you mean `%s`?", near);
			return false;
		}
		if (!w->b && !w->a) {
			complain(b, w->span, "`where` fixes a dim:  where %s = 1", w->name);
			return false;
		}
		if (k->item.file_dim->decl->flag) {
			complain(b, w->span, "`%s` is a session dim: `where` fixes dims of a call", w->name);
			return false;
		}
		if (!w->b) {
			if (!narrow_dim(b, w, k->item.file_dim)) return false;
			continue;
		}
		Item value = eval(b, w->b);
		if (!need_int(b, &value, w->b->span, "what `where` fixes", &v)) return false;
		DimSym *s = file_dim_sym(b, k->item.file_dim, w->span);
		if (!s) return false;
		Dim d = dim_const(b->m->dims, v);
		if (dim_le(NULL, s->lo, d) == PROOF_NO || dim_le(NULL, d, s->hi) == PROOF_NO) {
			Diag *m = complain(b, w->span, "%s = %lld lies outside its range %s..%s", w->name,
			                   (long long)v, dim_text(b->arena, s->lo), dim_text(b->arena, s->hi));
			diag_note(b->d, m, s->span, "%s is declared here", w->name);
			return false;
		}
		vec_push(b->arena, &b->entry->fixed, s);
		scope_set(b, b->frame->scope, w->name, item_int(v), w->span);
	}
	return true;
}

static Node *add_input(Build *b, const char *name, const Type *t, Span at)
{
	Node *n = node_new(b->m, OP_PARAM, 0, NULL, at);
	attr_int(n, "number", (int64_t)b->graph->args.n);
	n->type = *t;
	n->name = name;
	n = emit(b, n);
	vec_push(b->arena, &b->entry->in_names, name);
	return n;
}

/* The session dim whose rows have lengths: of `dim S[B]`, or in a type `dim[B]`. */
static bool rows_dim(Build *b, const Ast *e, Dim *out)
{
	Item v = eval(b, e);
	if (!need_dim(b, &v, e->span, "the dim of the rows", out)) return false;
	DimSym *s = dim_as_sym(*out);
	if (s && s->kind == SYM_SESSION) return true;
	Diag *m =
		complain(b, e->span, "rows with lengths of their own are those of a session dim, not of %s",
	             dim_text(b->arena, *out));
	if (!s)
		diag_help(b->d, m, "with a fixed number of rows their axis could be mistaken for another");
	return false;
}

/* A ragged dim brings an input of its name: the length of each row. */
static bool ragged_input(Build *b, const Ast *dim)
{
	Binding *k = scope_find(b->frame->scope, dim->name);
	DimSym *s = k && k->item.kind == ITEM_DIM ? dim_as_sym(k->item.dim) : NULL;
	if (dim->kind != AST_NAME || !s || s->kind != SYM_CALL) return true;
	const Scope *file = b->frame->scope;
	while (file->up) file = file->up;
	Binding *decl = scope_own((Scope *)(uintptr_t)file, dim->name);
	const Ast *d = decl && decl->item.kind == ITEM_FILE_DIM ? decl->item.file_dim->decl : NULL;
	Dim batch;
	if (!d || d->kind == AST_NAME || !d->d || ragged_find(b, k->item.dim)) return true;
	if (!rows_dim(b, d->d, &batch)) return false;
	Type t = type_tensor(DT_I32, 1, &batch);
	Node *n = add_input(b, dim->name, &t, d->span);
	n = ragged_checked(b, n, s->lo, k->item.dim, failed_range(b, n, dim->name, s->lo), d->span);
	ragged_keep(b, n, d->span);
	return ragged_add(b, k->item.dim, k->item.dim, batch, n);
}

/* The range of a parameter that is a dim. */
static bool input_range(Build *b, const Ast *p, Dim *lo, Dim *hi)
{
	Item from = eval(b, p->c->a), to = eval(b, p->c->b);
	if (!need_dim(b, &from, p->c->a->span, "the start of the range", lo) ||
	    !need_dim(b, &to, p->c->b->span, "the end of the range", hi))
		return false;
	if (dim_le(&b->m->facts, *lo, *hi) == PROOF_NO) {
		complain(b, p->c->span, "the range of `%s` is empty: %s..%s", p->name,
		         dim_text(b->arena, *lo), dim_text(b->arena, *hi));
		return false;
	}
	if (dim_le(&b->m->facts, *lo, dim_const(b->m->dims, -1)) != PROOF_YES) return true;
	complain(b, p->c->span, "a dim cannot be negative: the range of `%s` begins at %s", p->name,
	         dim_text(b->arena, *lo));
	return false;
}

/* The dim of a parameter's name. Callers give it by that name, so it stands for one dim of the model. */
static DimSym *given_dim(Build *b, const Ast *p, Dim lo, Dim hi)
{
	Binding *k = scope_find(b->frame->scope, p->name);
	bool file = k && k->item.kind == ITEM_FILE_DIM,
		 state = k && k->item.kind == ITEM_MEMBER && k->item.member->kind == MEMBER_STATE_DIM;
	if (file || state) {
		Diag *m = complain(b, p->span, "`%s` is %s too, and callers give dims by their names",
		                   p->name, state ? "a state of the model" : "a dim of this file");
		diag_note(b->d, m, k->span, "it is declared here");
		return NULL;
	}
	for (size_t i = 0; i < b->m->params.n; i++) {
		DimSym *s = b->m->params.at[i];
		if (s->name != p->name) continue;
		if (s->kind == SYM_CALL && s->lo == lo && s->hi == hi) return s;
		Diag *m = complain(b, p->span, "`%s` is in %s..%s here, in %s..%s in another entry",
		                   p->name, dim_text(b->arena, lo), dim_text(b->arena, hi),
		                   dim_text(b->arena, s->lo), dim_text(b->arena, s->hi));
		diag_note(b->d, m, s->span, "it is declared here");
		diag_help(b->d, m, "callers give dims by their names: name one of them differently");
		return NULL;
	}
	DimSym *s = dim_sym_new(b->m->dims, p->name, SYM_CALL, lo, hi, p->op_span);
	vec_push(b->arena, &b->m->params, s);
	return s;
}

/* `to: dim in 0..T`: a dim that the caller gives. */
static bool dim_input(Build *b, const Ast *p, Arguments *out)
{
	DimPool *pool = b->m->dims;
	DimSym *s;
	Dim lo, hi;
	if (!p->c || !p->c->b) {
		Diag *m = complain(b, p->span, "the caller gives `%s`, which needs a range", p->name);
		diag_help(b->d, m, "%s: dim in 0..T", p->name);
		return false;
	}
	if (!input_range(b, p, &lo, &hi) || !(s = given_dim(b, p, lo, hi))) return false;
	/* what an entry requires tells which dims are its own */
	add_require(b, dim_sub(pool, dim_sym(pool, s), lo),
	            arena_printf(b->arena, "%s in %s..%s", p->name, dim_text(b->arena, lo),
	                         dim_text(b->arena, hi)));
	vec_push(
		b->arena, out,
		((Argument){
			.name = p->name, .item = item_dim(dim_sym(pool, s)), .ast = p, .span = p->op_span}));
	return true;
}

/* `to: dim[B] in 0..T`: a number for each row. */
static bool rows_input(Build *b, const Ast *p, Arguments *out)
{
	Dim batch, lo, hi;
	if (p->a->list.n != 1 || !p->c || !p->c->b) {
		Diag *m = complain(b, p->span, "a dim that is an input has one value a row, and a range");
		diag_help(b->d, m, "%s: dim[B] in 0..T", p->name);
		return false;
	}
	if (!rows_dim(b, p->a->list.at[0], &batch) || !input_range(b, p, &lo, &hi)) return false;
	Type t = type_tensor(DT_I32, 1, &batch);
	Node *n = add_input(b, p->name, &t, p->op_span);
	n = ragged_checked(b, n, lo, hi, failed_range(b, n, p->name, lo), p->span);
	ragged_keep(b, n, p->span);
	vec_push(b->arena, out,
	         ((Argument){.name = p->name, .item = item_node(n), .ast = p, .span = p->op_span}));
	return n != NULL;
}

static bool make_inputs(Build *b, const Function *f, const AstList *where, Arguments *out)
{
	const Ast *def = f->def;
	Frame frame = {.up = NULL,
	               .scope = scope_new(b, f->scope),
	               .place = f->place,
	               .file = f->file,
	               .def = def,
	               .call = def->op_span};
	bool ok = true;
	frame.scope->function = true;
	b->frame = &frame;
	for (size_t i = 0; i < def->generics.n; i++) {
		FileDim *d = NEW(b->arena, FileDim);
		d->decl = def->generics.at[i];
		d->file = f->file;
		scope_set(b, frame.scope, d->decl->name, (Item){.kind = ITEM_FILE_DIM, .file_dim = d},
		          d->decl->span);
	}
	ok = fix_dims(b, where);
	for (size_t i = 0; ok && i < def->list.n; i++)
		ok = !type_is_tensor(b, def->list.at[i]->a) || bind_entry_dims(b, def->list.at[i]->a);
	for (size_t i = 0; ok && i < def->list.n; i++)
		ok = !type_is_tensor(b, def->list.at[i]->a) || solve_entry_dims(b, def->list.at[i]->a);
	for (size_t i = 0; ok && i < def->list.n; i++) {
		const Ast *p = def->list.at[i];
		Type t;
		if (strcmp(p->a->name, "dim") == 0 && p->a->flag) {
			if (!(ok = rows_input(b, p, out))) break;
			continue;
		}
		if (!type_is_tensor(b, p->a)) {
			if (p->b) continue; /* its default holds */
			if (strcmp(p->a->name, "dim") == 0) {
				if (!(ok = dim_input(b, p, out))) break;
				continue;
			}
			complain(b, p->span, "an entry takes tensors and dims; `%s` is declared as %s", p->name,
			         text_of(b, p->a->span));
			ok = false;
			break;
		}
		if (!(ok = type_evaluate(b, p->a, &t))) break;
		Node *n = add_input(b, p->name, &t, p->op_span);
		vec_push(b->arena, out,
		         ((Argument){.name = p->name, .item = item_node(n), .ast = p, .span = p->op_span}));
	}
	for (size_t i = 0; ok && i < def->list.n; i++) {
		const AstList *dims = &def->list.at[i]->a->list;
		for (size_t k = 0; ok && k < dims->n && type_is_tensor(b, def->list.at[i]->a); k++)
			ok = ragged_input(b, dims->at[k]);
	}
	b->frame = NULL;
	return ok;
}

static bool add_output(Build *b, const Item *v, const char *name, Span at)
{
	Node *n = v->kind == ITEM_LIST || v->kind == ITEM_NONE ? NULL : as_node(b, v, DT_F32, at);
	if (!n) {
		if (v->kind != ITEM_BAD)
			complain(b, at, "an entry returns tensors, not %s", item_kind(b, v));
		return false;
	}
	n = ragged_fill_all(b, n, at);
	if (!n) return false;
	if (!n->name && n->op != OP_WEIGHT && n->op != OP_STATE) n->name = name;
	vec_push(b->arena, &b->entry->out_names, name);
	vec_push(b->arena, &b->graph->results, n);
	return true;
}

static void add_outputs(Build *b, const Ast *def, const Item *r)
{
	Span at = def->op_span;
	if (r->kind == ITEM_NONE || r->kind == ITEM_BAD) return;
	if (r->kind != ITEM_LIST) {
		const char *name = def->results.n == 1 ? def->results.at[0]->name : NULL;
		add_output(b, r, name ? name : intern_str(b->names, "output"), at);
		return;
	}
	for (size_t i = 0; i < r->list->n; i++) {
		const char *name = r->names ? r->names[i] : NULL;
		if (!add_output(b, &r->list->at[i],
		                name ? name : intern_str(b->names, arena_printf(b->arena, "output%zu", i)),
		                at))
			return;
	}
}

/* decl: where the entry is declared, with its attributes. */
static void build_entry(Build *b, const Place *place, const Ast *decl, const Ast *def,
                        const AstList *where, Span at)
{
	const char *name = decl->name;
	Span target_at = span_none();
	const char *target = target_of(b, decl, &target_at);
	Function f = {def, place, place->instance->scope, place->instance->file};
	Arguments inputs = {0};
	for (size_t i = 0; i < b->m->entries.n; i++)
		if (b->m->entries.at[i]->name == name) {
			Diag *m = complain(b, at, "entry `%s` is declared twice", name);
			diag_note(b->d, m, b->m->entries.at[i]->span, "it is declared here too");
			return;
		}
	/* what is wrong in a def is told for its first entry */
	for (size_t i = 0; i < b->wrong.n; i++)
		if (b->wrong.at[i] == def) return;
	entry_begin(b, name, at);
	b->entry->target = target;
	b->entry->target_span = target_at;
	uint32_t errors = b->errors;
	if (make_inputs(b, &f, where, &inputs)) {
		Item r = call_function(b, &f, &inputs, def->op_span, def->op_span);
		add_outputs(b, def, &r);
		if (b->errors != errors) vec_push(b->arena, &b->wrong, def);
	}
	Entry *e = b->entry;
	entry_end(b);
	if (b->errors == errors && !e->out_names.n && !e->writes.n && !e->set_sym.n)
		advise_return(b, complain(b, at, "entry `%s` returns nothing and changes no state", name),
		              def);
}

static void entry_of(Build *b, const Place *place, const Ast *a)
{
	static const AstList nothing = {0};
	if (a->kind == AST_DEF && a->flag) {
		build_entry(b, place, a, a, &nothing, a->op_span);
		return;
	}
	if (a->kind != AST_ENTRY_OF) return;
	Binding *k = scope_own(place->instance->scope, a->text);
	if (k && k->item.kind == ITEM_MEMBER && k->item.member->kind == MEMBER_DEF) {
		build_entry(b, place, a, k->item.member->decl, &a->list, a->span);
		return;
	}
	Diag *m = complain(b, a->op_span, "the model has no def `%s`", a->text);
	const char *near = scope_nearest(b, place->instance->scope, a->text);
	if (near) diag_help(b->d, m, "did you mean `%s`?", near);
}

static void entries_in(Build *b, const Place *place, const AstList *members)
{
	for (size_t i = 0; i < members->n && !b->stop; i++) {
		const Ast *a = members->at[i];
		bool yes = true;
		if (!a) continue;
		if (a->kind != AST_MEMBER_IF) {
			if (b->m->entries.n >= ENTRY_LIMIT)
				over_limit(b, a->span, "a model has at most 1000 entries");
			else
				entry_of(b, place, a);
			continue;
		}
		Frame frame = {.scope = place->instance->scope, .file = place->instance->file};
		b->frame = &frame;
		bool known = !a->a || condition(b, a->a, "the condition of members", &yes);
		b->frame = NULL;
		if (known) entries_in(b, place, yes ? &a->list : &a->list2);
	}
}

static void mark_weights(const Graph *g, bool *used)
{
	for (Node *n = g->first; n; n = n->next) {
		if (n->op == OP_WEIGHT) used[node_attr(n, "number")->i] = true;
		if (n->region) mark_weights(n->region, used);
	}
}

static void check_weights(Build *b)
{
	bool *used = NEW_ARRAY(b->arena, bool, b->m->weights.n + 1);
	for (size_t i = 0; i < b->m->entries.n; i++) mark_weights(b->m->entries.at[i]->graph, used);
	for (size_t i = 0; i < b->m->weights.n; i++) {
		const Weight *w = &b->m->weights.at[i];
		Span at = w->span,
			 last = i && !used[i - 1] ? b->weights.at[i - 1]->owner->used : span_none();
		if (used[i]) continue;
		/* One for a library's layer that is never called, where it is used. */
		if (at.source != b->main->source) at = b->weights.at[i]->owner->used;
		if (at.source == last.source && at.begin == last.begin) continue;
		diag_warning(b->d, at, "weight `%s` is used by no entry", w->name);
	}
}

static void check_states(Build *b)
{
	for (size_t i = 0; i < b->states.n; i++) {
		const Member *m = b->states.at[i];
		if (m->write) continue;
		Diag *d = complain(b, m->decl->op_span, "state `%s` is never written", m->name);
		diag_help(b->d, d, "what never changes is a weight or a `let`");
	}
	for (size_t i = 0; i < b->state_dims.n; i++) {
		const Member *m = b->state_dims.at[i];
		if (m->write) continue;
		Diag *d = complain(b, m->decl->op_span, "state `%s` is never advanced", m->name);
		diag_help(b->d, d, "after a call it stands behind the new rows:  %s += S", m->name);
	}
}

void build_entries(Build *b, Instance *model)
{
	Place *place = NEW(b->arena, Place);
	place->instance = model;
	place->path = "";
	uint32_t errors = b->errors;
	entries_in(b, place, &model->layer->list2);
	number_nodes(b);
	if (b->errors != errors) return;
	if (!b->m->entries.n) {
		Diag *m = complain(b, model->layer->op_span, "model `%s` has no entry", model->layer->name);
		diag_help(b->d, m, "entry forward(x: f32[N, D]) { return .. }");
		return;
	}
	check_states(b);
	if (b->errors == errors) check_weights(b);
}

bool build_test(Build *b, const Ast *test)
{
	Frame frame = {
		.scope = scope_new(b, b->main->scope), .file = b->main, .test = true, .call = test->span};
	frame.scope->function = true;
	entry_begin(b, intern_str(b->names, "test"), test->span);
	b->frame = &frame;
	run_block(b, &test->list);
	b->frame = NULL;
	for (size_t i = 0; i < b->asserts.n; i++) {
		vec_push(b->arena, &b->entry->out_names,
		         intern_str(b->names, arena_printf(b->arena, "assert%zu", i)));
		vec_push(b->arena, &b->graph->results, b->asserts.at[i]);
	}
	if (!b->errors && !b->asserts.n)
		complain(b, test->span, "test \"%s\" asserts nothing", test->name);
	entry_end(b);
	number_nodes(b);
	return !b->errors;
}
