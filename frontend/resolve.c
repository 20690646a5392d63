/* The walk of resolve.h over a syntax tree: declarations first, then each use in its scope. It follows
 * scope.c in what is visible where; an assignment makes a local where nothing assignable has the name. */
#include "frontend/resolve.h"
#include "frontend/build.h"

#include <stdlib.h>
#include <string.h>

typedef struct Walk {
	NameTable *t;
	NameFile *file;
	NameScope *scope;
	bool main;
} Walk;

static void walk(Walk *w, const Ast *a);

static void walk_list(Walk *w, const AstList *l)
{
	for (size_t i = 0; i < l->n; i++) walk(w, l->at[i]);
}

/* --- places ------------------------------------------------------------------------------------------ */

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* A name inside a longer range (brackets around it, words before it). */
static Span name_in(Span at, const char *name)
{
	const char *text = at.source->text;
	size_t n = strlen(name);
	for (uint32_t i = at.begin; i + n <= at.end; i++) {
		while (i < at.end && text[i] == '#')
			while (i < at.end && text[i++] != '\n') {}
		if (i + n > at.end) break;
		if (strncmp(text + i, name, n) == 0 && (i == 0 || !word_char(text[i - 1])) &&
		    !word_char(text[i + n]))
			return (Span){at.source, i, i + (uint32_t)n};
	}
	return at;
}

/* Where the braces that open at or behind `from` close. */
static uint32_t block_end(const Source *s, uint32_t from)
{
	int depth = 0;
	bool string = false;
	for (uint32_t i = from; i < s->size; i++) {
		char c = s->text[i];
		if (string) {
			string = c != '"' && c != '\n';
			continue;
		}
		if (c == '"') string = true;
		if (c == '#')
			while (i + 1 < s->size && s->text[i + 1] != '\n') i++;
		if (c == '{') depth++;
		if (c == '}' && --depth <= 0) return i + 1;
	}
	return (uint32_t)s->size;
}

static Span list_extent(const AstList *l, Span otherwise)
{
	Span at = otherwise;
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i]) at = span_join(at, l->at[i]->span);
	return at;
}

/* --- scopes and symbols -------------------------------------------------------------------------------- */

static NameScope *scope_open(Walk *w, uint32_t begin, uint32_t end)
{
	NameScope *s = NEW(w->t->arena, NameScope);
	s->up = w->scope;
	s->begin = begin;
	s->end = end;
	s->file = w->file;
	if (w->main) vec_push(w->t->arena, &w->t->scopes, s);
	return w->scope = s;
}

static void use(Walk *w, Symbol *s, Span at, bool declares, bool writes)
{
	if (w->main && at.source == w->file->source)
		vec_push(w->t->arena, &w->t->uses, ((Occurrence){at, s, declares, writes}));
}

static Symbol *declare(Walk *w, SymbolKind kind, const char *name, Span at, const Ast *decl)
{
	Symbol *s = NEW(w->t->arena, Symbol);
	*s = (Symbol){.kind = kind,
	              .name = name,
	              .span = name_in(at, name),
	              .decl = decl,
	              .scope = w->scope,
	              .file = w->file};
	vec_push(w->t->arena, &w->scope->list, s);
	use(w, s, s->span, true, true);
	return s;
}

Symbol *names_own(const NameScope *s, const char *name)
{
	for (size_t i = 0; i < s->list.n; i++)
		if (s->list.at[i]->name == name) return s->list.at[i];
	return NULL;
}

Symbol *names_find(const NameScope *s, const char *name)
{
	for (; s; s = s->up) {
		Symbol *found = names_own(s, name);
		if (found) return found;
		for (size_t i = 0; !s->up && i < s->file->imports.n; i++) {
			found = names_own(s->file->imports.at[i]->scope, name);
			if (found && found->kind != SYMBOL_DIM && found->kind != SYMBOL_FILE) return found;
		}
	}
	return NULL;
}

bool name_is_builtin(const char *name)
{
	static const char *const words[] = {"inf", "dtype", "pi",     "int",   "str",    "dim",  "fn",
	                                    "_",   "let",   "def",    "from",  "return", "for",  "in",
	                                    "if",  "else",  "assert", "true",  "false",  "none", "and",
	                                    "or",  "not",   "yield",  "where", "as"};
	DType t;
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(name, words[i]) == 0) return true;
	return builtin_find(name) || form_find(name) || dtype_from_name(name, &t);
}

uint32_t builtins_known(const char **out, uint32_t room)
{
	return builtin_names(out, room);
}

static Symbol *refer(Walk *w, const char *name, Span span)
{
	Span at = name_in(span, name);
	Symbol *s = names_find(w->scope, name);
	if (s)
		use(w, s, at, false, false);
	else if (w->main && !name_is_builtin(name))
		vec_push(w->t->arena, &w->t->unknown, ((UnknownName){at, name}));
	return s;
}

/* `a.b`: a layer or def, of an imported file or not; its last part is what counts. */
static Symbol *refer_qualified(Walk *w, const char *name, Span at)
{
	const char *dot = strchr(name, '.');
	if (!dot) return refer(w, name, at);
	Symbol *s = refer(w, intern(w->t->names, name, (size_t)(dot - name)), at);
	const char *rest = intern_str(w->t->names, dot + 1);
	Symbol *found = s && s->kind == SYMBOL_FILE && s->inner ? names_own(s->inner, rest) : NULL;
	if (found) use(w, found, name_in(at, rest), false, false);
	return found;
}

/* --- expressions --------------------------------------------------------------------------------------- */

static Symbol *member_of(const Symbol *layer, const char *name)
{
	return layer && layer->inner ? names_own(layer->inner, name) : NULL;
}

/* The layer (or imported file) that an expression stands for, if the text tells. */
static Symbol *layer_of(Walk *w, const Ast *e)
{
	Symbol *s = NULL;
	if (e->kind == AST_NAME) s = names_find(w->scope, e->name);
	if (e->kind == AST_INDEX) return layer_of(w, e->a);
	if (e->kind == AST_ATTR) s = member_of(layer_of(w, e->a), e->name);
	if (!s) return NULL;
	return s->kind == SYMBOL_FILE || s->kind == SYMBOL_LAYER ? s : s->layer;
}

static Symbol *callee_of(Walk *w, const Ast *e)
{
	Symbol *layer = layer_of(w, e);
	if (layer && layer->kind != SYMBOL_FILE)
		return member_of(layer, intern_str(w->t->names, "forward"));
	if (e->kind == AST_NAME) return names_find(w->scope, e->name);
	return e->kind == AST_ATTR ? member_of(layer_of(w, e->a), e->name) : NULL;
}

static void walk_arguments(Walk *w, const AstList *list, const Symbol *callee)
{
	for (size_t i = 0; i < list->n; i++) {
		const Ast *a = list->at[i];
		if (!a || a->kind != AST_ARG) continue;
		Symbol *p = a->name && callee && callee->inner ? names_own(callee->inner, a->name) : NULL;
		if (p && p->kind == SYMBOL_PARAM) use(w, p, a->op_span, false, false);
		if (!a->b) {
			walk(w, a->a);
			continue;
		}
		NameScope *was = w->scope; /* an index function */
		scope_open(w, a->span.begin, a->span.end);
		const AstList one = {.at = (Ast *[]){a->a}, .n = 1},
					  *names = a->a->kind == AST_NAME ? &one : &a->a->list;
		for (size_t k = 0; k < names->n; k++)
			if (names->at[k]->kind == AST_NAME)
				declare(w, SYMBOL_INDEX, names->at[k]->name, names->at[k]->span, a);
		walk(w, a->b);
		w->scope = was;
	}
}

/* Indices of rearrange and einsum: names of the call alone, unless rearrange finds them around it. */
static void walk_indices(Walk *w, const Ast *e, bool known)
{
	if (!e) return;
	if (e->kind == AST_NAME) {
		Symbol *s = known ? names_find(w->scope, e->name) : names_own(w->scope, e->name);
		if (s)
			use(w, s, name_in(e->span, e->name), false, false);
		else
			declare(w, SYMBOL_INDEX, e->name, e->span, e);
		return;
	}
	if (e->kind == AST_LIST || e->kind == AST_TUPLE) {
		for (size_t i = 0; i < e->list.n; i++) walk_indices(w, e->list.at[i], known);
	} else {
		walk(w, e);
	}
}

static bool is_arithmetic(const Ast *e)
{
	return e->kind == AST_BINARY || e->kind == AST_UNARY;
}

/* Of the factors of einsum first the indices, wherever a name stands alone in brackets: also in those of an
 * index that is itself looked up, and in arithmetic of such. */
static void walk_plain(Walk *w, const Ast *e)
{
	if (!e) return;
	if (is_arithmetic(e)) {
		walk_plain(w, e->a);
		walk_plain(w, e->b);
	}
	for (size_t i = 0; e->kind == AST_INDEX && i < e->list.n; i++) {
		const Ast *one = e->list.at[i];
		if (one && one->kind == AST_NAME)
			walk_indices(w, one, false);
		else
			walk_plain(w, one);
	}
}

/* Then what is indexed, which is no index, and names in arithmetic, which may be. */
static void walk_factors(Walk *w, const Ast *e)
{
	NameScope *inner = w->scope;
	if (!e) return;
	if (is_arithmetic(e)) {
		walk_factors(w, e->a);
		walk_factors(w, e->b);
	} else if (e->kind == AST_INDEX) {
		w->scope = inner->up;
		walk(w, e->a);
		w->scope = inner;
		for (size_t i = 0; i < e->list.n; i++)
			if (e->list.at[i] && e->list.at[i]->kind != AST_NAME) walk_factors(w, e->list.at[i]);
	} else {
		walk(w, e);
	}
}

static bool walk_pattern(Walk *w, const Ast *e)
{
	if (e->a->kind != AST_NAME || names_find(w->scope, e->a->name)) return false;
	bool einsum = strcmp(e->a->name, "einsum") == 0;
	if (!einsum && strcmp(e->a->name, "rearrange") != 0) return false;
	NameScope *was = w->scope;
	for (size_t i = 0; i < e->list.n; i++)
		if (e->list.at[i] && !e->list.at[i]->b && !einsum) walk(w, e->list.at[i]->a);
	scope_open(w, e->span.begin, e->span.end);
	for (size_t i = 0; i < e->list.n; i++) {
		const Ast *a = e->list.at[i];
		if (!a || a->kind != AST_ARG || !a->b) continue;
		if (einsum) {
			walk_plain(w, a->a);
			walk_factors(w, a->a);
		} else {
			walk_indices(w, a->a, true);
		}
		walk_indices(w, a->b, !einsum);
	}
	w->scope = was;
	return true;
}

static void walk_call(Walk *w, const Ast *e)
{
	if (walk_pattern(w, e)) return;
	if (e->a->kind == AST_NAME && strcmp(e->a->name, "scaled") == 0) {
		for (size_t i = 0; i < e->list.n;
		     i++) { /* the key of its scales holds {key}, the weight's */
			const Ast *a = e->list.at[i] ? e->list.at[i]->a : NULL;
			if (a && a->kind != AST_STRING) walk(w, a);
		}
		return;
	}
	walk(w, e->a);
	walk_arguments(w, &e->list, callee_of(w, e->a));
}

static void walk_attr(Walk *w, const Ast *e)
{
	walk(w, e->a);
	Symbol *s = member_of(layer_of(w, e->a), e->name);
	if (s) use(w, s, e->op_span, false, false);
}

/* --- statements ---------------------------------------------------------------------------------------- */

static void assign(Walk *w, const Ast *target, const Ast *value, const Ast *statement)
{
	if (target->kind == AST_TUPLE || target->kind == AST_LIST) {
		for (size_t i = 0; i < target->list.n; i++) assign(w, target->list.at[i], NULL, statement);
		return;
	}
	if (target->kind != AST_NAME) {
		walk(w, target);
		return;
	}
	Symbol *s = names_find(w->scope, target->name);
	bool local = s && s->file == w->file && s->scope->up && s->scope->up->up;
	if (s && (s->kind == SYMBOL_STATE || local || (s->scope->function && s->file == w->file))) {
		use(w, s, name_in(target->span, target->name), false, true);
		return;
	}
	s = declare(w, SYMBOL_LOCAL, target->name, target->span, statement);
	s->layer = value ? layer_of(w, value) : NULL;
}

static void assign_list(Walk *w, const Ast *s, const AstList *to, const AstList *from)
{
	for (size_t i = 0; i < to->n; i++)
		assign(w, to->at[i], to->n == from->n ? from->at[i] : NULL, s);
}

static void walk_for(Walk *w, const Ast *s)
{
	walk(w, s->a);
	NameScope *was = w->scope;
	scope_open(w, s->span.begin, block_end(w->file->source, s->span.end));
	for (size_t i = 0; i < s->list.n; i++)
		declare(w, SYMBOL_INDEX, s->list.at[i]->name, s->list.at[i]->span, s);
	walk_list(w, &s->list2);
	w->scope = was;
	if (s->c) assign_list(w, s, &s->c->list, &(AstList){0});
}

static void walk_comprehension(Walk *w, const Ast *e)
{
	NameScope *was = w->scope;
	scope_open(w, e->span.begin, e->span.end);
	for (size_t i = 0; i < e->list.n; i++) {
		const Ast *c = e->list.at[i];
		walk(w, c->a);
		for (size_t k = 0; c->kind == AST_FOR_CLAUSE && k < c->list.n; k++)
			declare(w, SYMBOL_INDEX, c->list.at[k]->name, c->list.at[k]->span, e);
	}
	walk(w, e->a);
	w->scope = was;
}

/* --- declarations -------------------------------------------------------------------------------------- */

static void walk_type(Walk *w, const Ast *t)
{
	if (strcmp(t->name, "layer") != 0) refer(w, t->name, t->span);
	walk_list(w, &t->list);
}

/* Parameters are declared before the bodies of any def are walked, so that named arguments find them. */
static Symbol *declare_def(Walk *w, const Ast *d)
{
	Symbol *s = declare(w, d->flag ? SYMBOL_ENTRY : SYMBOL_DEF, d->name, d->op_span, d);
	if (!d->flag) s->span = name_in(d->span, d->name);
	NameScope *was = w->scope;
	s->inner = scope_open(w, d->span.begin, block_end(w->file->source, d->span.end));
	s->inner->function = true;
	s->inner->owner = s;
	for (size_t i = 0; i < d->generics.n; i++)
		declare(w, SYMBOL_DIM, d->generics.at[i]->name, d->generics.at[i]->span, d->generics.at[i]);
	for (size_t i = 0; i < d->list.n; i++)
		declare(w, SYMBOL_PARAM, d->list.at[i]->name, d->list.at[i]->op_span, d->list.at[i]);
	w->scope = was;
	return s;
}

static void walk_def(Walk *w, const Ast *d)
{
	Symbol *s = names_own(w->scope, d->name);
	NameScope *was = w->scope;
	if (!s || s->decl != d) return; /* declared twice */
	w->scope = s->inner;
	for (size_t i = 0; i < d->list.n; i++) {
		walk(w, d->list.at[i]->a);
		walk(w, d->list.at[i]->b);
	}
	for (size_t i = 0; i < d->results.n; i++) walk(w, d->results.at[i]->a);
	walk_list(w, &d->list2);
	w->scope = was;
}

static void walk_lets(Walk *w, const Ast *let)
{
	for (size_t i = 0; i < let->list.n; i++)
		declare(w, SYMBOL_LET, let->list.at[i]->name, let->list.at[i]->span, let);
}

static void declare_members(Walk *w, const AstList *members)
{
	for (size_t i = 0; i < members->n; i++) {
		const Ast *a = members->at[i];
		if (!a) continue;
		switch (a->kind) {
		case AST_LET: walk_lets(w, a); break;
		case AST_WEIGHT: declare(w, SYMBOL_WEIGHT, a->name, a->op_span, a); break;
		case AST_STATE: declare(w, SYMBOL_STATE, a->name, a->op_span, a); break;
		case AST_USE: declare(w, SYMBOL_USE, a->name, a->op_span, a); break;
		case AST_DEF: declare_def(w, a); break;
		case AST_ENTRY_OF: declare(w, SYMBOL_ENTRY, a->name, a->span, a); break;
		case AST_MEMBER_IF:
			declare_members(w, &a->list);
			declare_members(w, &a->list2);
			break;
		default: break;
		}
	}
}

static Symbol *declare_layer(Walk *w, const Ast *a)
{
	Symbol *s = declare(w, a->flag ? SYMBOL_MODEL : SYMBOL_LAYER, a->name, a->op_span, a);
	NameScope *was = w->scope;
	s->inner = scope_open(w, a->span.begin, block_end(w->file->source, a->span.end));
	s->inner->owner = s;
	for (size_t i = 0; i < a->list.n; i++)
		declare(w, SYMBOL_PARAM, a->list.at[i]->name, a->list.at[i]->op_span, a->list.at[i]);
	declare_members(w, &a->list2);
	w->scope = was;
	return s;
}

/* Which layer each `use` stands for, before any expression asks. */
static void link_uses(Walk *w, const AstList *members)
{
	for (size_t i = 0; i < members->n; i++) {
		const Ast *a = members->at[i];
		if (!a) continue;
		if (a->kind == AST_MEMBER_IF) {
			link_uses(w, &a->list);
			link_uses(w, &a->list2);
		}
		Symbol *s = a->kind == AST_USE ? names_own(w->scope, a->name) : NULL;
		if (!s || s->kind != SYMBOL_USE) continue;
		const char *name = a->a->a->name, *dot = strchr(name, '.');
		Symbol *f =
			dot ? names_find(w->scope, intern(w->t->names, name, (size_t)(dot - name))) : NULL;
		s->layer = !dot            ? names_find(w->scope, name)
		           : f && f->inner ? names_own(f->inner, intern_str(w->t->names, dot + 1))
		                           : NULL;
		if (s->layer && s->layer->kind != SYMBOL_LAYER && s->layer->kind != SYMBOL_MODEL)
			s->layer = NULL;
	}
}

static void walk_layer(Walk *w, const Ast *a)
{
	Symbol *s = names_own(w->scope, a->name);
	NameScope *was = w->scope;
	if (!s || s->decl != a) return;
	w->scope = s->inner;
	for (size_t i = 0; i < a->list.n; i++) {
		walk(w, a->list.at[i]->a);
		walk(w, a->list.at[i]->b);
	}
	walk_list(w, &a->list2);
	w->scope = was;
}

/* A weight or layer in use; its index is known in all parts of it. */
static void walk_member(Walk *w, const Ast *a)
{
	NameScope *was = w->scope;
	scope_open(w, a->span.begin, a->span.end);
	if (a->list.n) {
		const Ast *index = a->list.at[0];
		walk(w, index->a);
		declare(w, SYMBOL_INDEX, index->list.at[0]->name, index->list.at[0]->span, a);
	}
	if (a->kind == AST_USE) {
		Symbol *layer = refer_qualified(w, a->a->a->name, a->a->a->span);
		walk_arguments(w, &a->a->list, layer);
	} else {
		walk(w, a->a);
	}
	walk(w, a->b);
	walk(w, a->c); /* an initial value, a->d, names distributions: no names of the file */
	w->scope = was;
}

static void walk_test(Walk *w, const Ast *a)
{
	NameScope *was = w->scope;
	Span at = list_extent(&a->list, a->span);
	scope_open(w, at.begin, at.end)->function = true;
	walk_list(w, &a->list);
	w->scope = was;
}

static void walk_entry_of(Walk *w, const Ast *a)
{
	Symbol *def = refer(w, a->text, a->op_span);
	for (size_t i = 0; i < a->list.n; i++) {
		const Ast *fixed = a->list.at[i];
		Symbol *own = def && def->inner ? names_own(def->inner, fixed->name) : NULL;
		if (own && own->kind == SYMBOL_DIM)
			use(w, own, name_in(fixed->span, fixed->name), false, false);
		else
			refer(w, fixed->name, fixed->span);
		walk(w, fixed->b);
	}
}

static void walk(Walk *w, const Ast *a)
{
	if (!a) return;
	switch (a->kind) {
	case AST_NAME: refer(w, a->name, a->span); return;
	case AST_CALL: walk_call(w, a); return;
	case AST_ATTR: walk_attr(w, a); return;
	case AST_COMPREHENSION: walk_comprehension(w, a); return;
	case AST_TYPE: walk_type(w, a); return;
	case AST_DEF: walk_def(w, a); return;
	case AST_LAYER: walk_layer(w, a); return;
	case AST_WEIGHT:
	case AST_USE: walk_member(w, a); return;
	case AST_TEST: walk_test(w, a); return;
	case AST_ENTRY_OF: walk_entry_of(w, a); return;
	case AST_FOR: walk_for(w, a); return;
	case AST_ASSIGN:
		walk_list(w, &a->list2);
		assign_list(w, a, &a->list, &a->list2);
		return;
	case AST_DECLARE: {
		Ast target = {.kind = AST_NAME, .name = a->name, .span = a->op_span};
		walk(w, a->b);
		walk(w, a->a);
		assign(w, &target, a->b, a);
		return;
	}
	case AST_LET:
		walk_list(w, &a->list2);
		if (w->scope->function || (w->scope->up && w->scope->up->up))
			assign_list(w, a, &a->list, &a->list2);
		return;
	case AST_IMPORT:
	case AST_ATTRIBUTE: return;
	default: break;
	}
	walk(w, a->a);
	walk(w, a->b);
	walk(w, a->c);
	walk(w, a->d);
	walk_list(w, &a->list);
	walk_list(w, &a->list2);
}

/* --- files --------------------------------------------------------------------------------------------- */

enum { FILES = 64 };

static NameFile *load(NameTable *t, const char *name, const Source *s);

/* Known are names of an imported file, and of those that it imports without `as`. */
static void import_add(NameTable *t, NameFile *f, NameFile *in)
{
	for (size_t i = 0; i < f->imports.n; i++)
		if (f->imports.at[i] == in) return;
	vec_push(t->arena, &f->imports, in);
}

static void load_import(NameTable *t, Walk *w, const Ast *a)
{
	const char *path, *why;
	NameFile *in = NULL;
	for (size_t i = 0; i < t->files.n && !in; i++)
		if (strcmp(t->files.at[i]->name, a->name) == 0) in = t->files.at[i];
	if (!in && t->files.n < FILES) {
		const Source *s =
			import_source(t->arena, t->options, w->file->source, a->name, &path, &why);
		if (s) in = load(t, a->name, s);
	}
	if (a->a) {
		Symbol *f = declare(w, SYMBOL_FILE, a->a->name, a->a->span, a);
		f->inner = in ? in->scope : NULL;
	} else if (in) {
		import_add(t, w->file, in);
		for (size_t i = 0; i < in->imports.n; i++) import_add(t, w->file, in->imports.at[i]);
	}
}

static void declare_top(Walk *w, const Ast *a)
{
	if (a->kind == AST_LAYER) declare_layer(w, a);
	if (a->kind == AST_DEF) declare_def(w, a);
	if (a->kind == AST_LET) walk_lets(w, a);
	for (size_t i = 0; a->kind == AST_DIM && i < a->list.n; i++)
		declare(w, SYMBOL_DIM, a->list.at[i]->name, a->list.at[i]->span, a->list.at[i]);
}

static NameFile *load(NameTable *t, const char *name, const Source *s)
{
	uint32_t errors = 0;
	Diags silent = {.arena = t->arena};
	NameFile *f = NEW(t->arena, NameFile);
	f->name = name;
	f->source = s;
	f->ast = library_ast(t->options ? t->options->library : NULL, s);
	if (!f->ast) f->ast = ast_parse(t->arena, t->names, &silent, s, &errors);
	f->broken = errors > 0;
	if (errors) f->ast = ast_parse_loose(t->arena, t->names, s);
	Walk w = {.t = t, .file = f, .main = t->files.n == 0};
	vec_push(t->arena, &t->files, f);
	f->scope = scope_open(&w, 0, (uint32_t)s->size);
	if (!f->ast) return f;
	const AstList *l = &f->ast->list;
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i] && l->at[i]->kind == AST_IMPORT) load_import(t, &w, l->at[i]);
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i]) declare_top(&w, l->at[i]);
	for (size_t i = 0; i < l->n; i++) {
		Symbol *layer =
			l->at[i] && l->at[i]->kind == AST_LAYER ? names_own(f->scope, l->at[i]->name) : NULL;
		if (!layer || !layer->inner) continue;
		w.scope = layer->inner;
		link_uses(&w, &l->at[i]->list2);
		w.scope = f->scope;
	}
	if (w.main)
		for (size_t i = 0; i < l->n; i++) walk(&w, l->at[i]);
	return f;
}

static int by_place(const void *a, const void *b)
{
	const Occurrence *x = a, *y = b;
	if (x->span.begin != y->span.begin) return x->span.begin < y->span.begin ? -1 : 1;
	return (int)y->declares - (int)x->declares;
}

NameTable *names_resolve(Arena *a, Interner *names, const Source *s, const FrontendOptions *o)
{
	NameTable *t = NEW(a, NameTable);
	t->arena = a;
	t->names = names;
	t->options = o;
	load(t, "", s);
	if (t->uses.n) qsort(t->uses.at, t->uses.n, sizeof *t->uses.at, by_place);
	return t;
}

const Occurrence *names_at(const NameTable *t, uint32_t offset)
{
	for (size_t i = 0; i < t->uses.n; i++)
		if (t->uses.at[i].span.begin <= offset && offset <= t->uses.at[i].span.end)
			if (t->uses.at[i].span.end > offset || i + 1 == t->uses.n ||
			    t->uses.at[i + 1].span.begin > offset)
				return &t->uses.at[i];
	return NULL;
}

NameScope *names_scope(const NameTable *t, uint32_t offset)
{
	NameScope *best = t->files.at[0]->scope;
	for (size_t i = 0; i < t->scopes.n; i++) {
		NameScope *s = t->scopes.at[i];
		if (s->begin <= offset && offset <= s->end && s->end - s->begin <= best->end - best->begin)
			best = s;
	}
	return best;
}
