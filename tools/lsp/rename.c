/* Symbols, references and rename across the files of the workspace: a file's uses of a symbol are those whose
 * declaration has the same place. A new name must be free wherever the old one stands, and what a
 * checkpoint calls a weight or layer stays what it was. */
#include "tools/lsp/lsp.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_FILES = 2000, MOST_DEPTH = 8 };
typedef VEC(const char *) PathList;

static void find_files(Arena *a, const char *folder, int depth, PathList *out)
{
	DIR *d = depth < MOST_DEPTH && out->n < MOST_FILES ? opendir(folder) : NULL;
	for (struct dirent *e; d && (e = readdir(d)) && out->n < MOST_FILES;) {
		struct stat info;
		if (e->d_name[0] == '.' || strcmp(e->d_name, "node_modules") == 0) continue;
		const char *path = arena_printf(a, "%s/%s", folder, e->d_name);
		if (lstat(path, &info) != 0) continue;
		size_t n = strlen(path);
		if (S_ISDIR(info.st_mode)) find_files(a, path, depth + 1, out);
		if (S_ISREG(info.st_mode) && n > 4 && strcmp(path + n - 4, ".nac") == 0)
			vec_push(a, out, path);
	}
	if (d) closedir(d);
}

static bool has_path(const PathList *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->at[i], path) == 0) return true;
	return false;
}

/* Files that may use a symbol of a file: all open ones and those of the workspace. */
static void candidate_files(Server *s, Arena *a, PathList *out)
{
	for (const Document *d = s->documents; d; d = d->next) vec_push(a, out, d->path);
	size_t open = out->n;
	PathList found = {0};
	for (size_t i = 0; i < s->folders.n; i++) find_files(a, s->folders.at[i], 0, &found);
	PathList opened = {.at = out->at, .n = open};
	PathList added = {0};
	for (size_t i = 0; i < found.n; i++)
		if (!has_path(&opened, found.at[i])) vec_push(a, &added, found.at[i]);
	for (size_t i = 0; i < added.n; i++) vec_push(a, out, added.at[i]);
}

static bool local(const Symbol *y)
{
	return y->scope && y->scope->up &&
	       !(y->kind == SYMBOL_WEIGHT || y->kind == SYMBOL_USE || y->kind == SYMBOL_STATE ||
	         y->kind == SYMBOL_DEF || y->kind == SYMBOL_PARAM || y->kind == SYMBOL_LET ||
	         y->kind == SYMBOL_ENTRY);
}

static bool same_symbol(Arena *a, const Symbol *x, const Symbol *y)
{
	return x->span.begin == y->span.begin && x->span.end == y->span.end &&
	       strcmp(x->name, y->name) == 0 &&
	       strcmp(path_normal(a, x->span.source->name), path_normal(a, y->span.source->name)) == 0;
}

typedef void Visit(void *context, Server *s, Analysis *a, const Occurrence *o);

/* Each use of the symbol, file by file. */
static void visit_uses(Server *s, Analysis *a, const Symbol *y, Visit *visit, void *context)
{
	PathList files = {0};
	for (size_t i = 0; i < a->table->uses.n; i++)
		if (a->table->uses.at[i].symbol == y) visit(context, s, a, &a->table->uses.at[i]);
	if (local(y)) return;
	candidate_files(s, a->arena, &files);
	for (size_t i = 0; i < files.n; i++) {
		if (strcmp(path_normal(a->arena, files.at[i]), path_normal(a->arena, a->source->name)) == 0)
			continue;
		Analysis *other = analysis_names(s, files.at[i]);
		for (size_t k = 0; other && k < other->table->uses.n; k++)
			if (same_symbol(other->arena, other->table->uses.at[k].symbol, y))
				visit(context, s, other, &other->table->uses.at[k]);
		analysis_free(other);
	}
}

/* --- symbols of the workspace ------------------------------------------------------------------------- */

enum { MOST_SYMBOLS = 500 };

/* Do the letters of the query stand in the name, in order? */
static bool matches(const char *name, const char *query)
{
	for (; *query; query++, name++) {
		char upper[3] = {*query, *query, 0};
		if (*query >= 'a' && *query <= 'z') upper[1] = (char)(*query - 'a' + 'A');
		if (*query >= 'A' && *query <= 'Z') upper[1] = (char)(*query - 'A' + 'a');
		name = strpbrk(name, upper);
		if (!name) return false;
	}
	return true;
}

static void add_symbols(Server *s, Analysis *a, const NameScope *scope, const char *query,
                        json_t *list)
{
	for (size_t i = 0; i < scope->list.n && json_array_size(list) < MOST_SYMBOLS; i++) {
		const Symbol *y = scope->list.at[i];
		bool layer = y->kind == SYMBOL_LAYER || y->kind == SYMBOL_MODEL;
		json_t *at = y->kind != SYMBOL_PARAM && y->kind != SYMBOL_FILE && matches(y->name, query)
		                 ? location_json(s, a, y->span)
		                 : NULL;
		if (at)
			json_array_append_new(list, json_pack("{s:s, s:i, s:o, s:s}", "name", y->name, "kind",
			                                      symbol_kind(y), "location", at, "containerName",
			                                      scope->owner ? scope->owner->name : ""));
		if (layer && y->inner) add_symbols(s, a, y->inner, query, list);
	}
}

json_t *request_workspace_symbols(Server *s, json_t *params)
{
	const char *query = json_string_value(json_object_get(params, "query"));
	json_t *list = json_array();
	Arena *a = tool_arena(s->tool);
	PathList files = {0};
	candidate_files(s, a, &files);
	for (size_t i = 0; i < files.n; i++) {
		Analysis *one = analysis_names(s, files.at[i]);
		if (one) add_symbols(s, one, one->table->files.at[0]->scope, query ? query : "", list);
		analysis_free(one);
	}
	arena_free(a);
	return list;
}

/* --- references ------------------------------------------------------------------------------------------ */

typedef struct Collect {
	json_t *list;
	bool declarations;
} Collect;

static void collect(void *context, Server *s, Analysis *a, const Occurrence *o)
{
	Collect *c = context;
	json_t *at = c->declarations || !o->declares ? location_json(s, a, o->span) : NULL;
	if (at) json_array_append_new(c->list, at);
}

json_t *request_references(Server *s, json_t *params)
{
	uint32_t offset;
	Analysis *a = request_analysis(s, params, &offset);
	const Occurrence *o = a ? names_at(a->table, offset) : NULL;
	json_t *with = json_object_get(json_object_get(params, "context"), "includeDeclaration");
	Collect c = {json_array(), !with || json_is_true(with)};
	if (o) visit_uses(s, a, o->symbol, collect, &c);
	return c.list;
}

/* --- rename ------------------------------------------------------------------------------------------------ */

static const char *why_not(const Analysis *a, const Symbol *y)
{
	if (source_is_std(a, y->span.source)) return "this belongs to the standard library";
	if (y->kind == SYMBOL_DEF && strcmp(y->name, "forward") == 0 && y->scope && y->scope->owner)
		return "`forward` is what calling the layer calls";
	return NULL;
}

json_t *request_prepare_rename(Server *s, json_t *params)
{
	uint32_t offset;
	Analysis *a = request_analysis(s, params, &offset);
	if (!a) return NULL;
	const Occurrence *o = names_at(a->table, offset);
	if (!o) return server_fail(s, LSP_FAILED, "only names of a model file can be renamed");
	const char *why = why_not(a, o->symbol);
	if (why) return server_fail(s, LSP_FAILED, why);
	return json_pack("{s:o, s:s}", "range", range_json(s, o->span), "placeholder", o->symbol->name);
}

static bool is_identifier(const char *s)
{
	if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_')) return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
		      *s == '_'))
			return false;
	return true;
}

typedef struct Rename {
	const char *to;
	const Symbol *symbol;
	json_t *changes; /* by URI */
	const char *clash;
	Arena *arena;
} Rename;

static void add_edit(Rename *r, Server *s, Analysis *a, Span at, const char *text)
{
	const char *uri = source_uri(s, a, a->source);
	if (!uri) return;
	json_t *list = json_object_get(r->changes, uri);
	if (!list) {
		list = json_array();
		json_object_set_new(r->changes, uri, list);
	}
	json_array_append_new(list,
	                      json_pack("{s:o, s:s}", "range", range_json(s, at), "newText", text));
}

/* ` from "old"` behind a weight or layer whose name was its key. */
static void keep_key(Rename *r, Server *s, Analysis *a, const Symbol *y)
{
	const Ast *d = y->decl;
	if ((y->kind != SYMBOL_WEIGHT && y->kind != SYMBOL_USE) || d->b) return;
	uint32_t at = d->a->span.end;
	if (d->d && d->d->span.end > at) at = d->d->span.end;
	const char *key = d->list.n ? arena_printf(a->arena, " from \"%s.{%s}\"", y->name,
	                                           d->list.at[0]->list.at[0]->name)
	                            : arena_printf(a->arena, " from \"%s\"", y->name);
	add_edit(r, s, a, (Span){a->source, at, at}, key);
}

static void check_clash(Rename *r, Analysis *a, const Occurrence *o)
{
	const char *to = intern_str(a->names, r->to);
	const NameScope *here = names_scope(a->table, o->span.begin);
	const Symbol *taken = names_find(here, to);
	if (!taken && o->symbol->scope) taken = names_own(o->symbol->scope, to);
	for (size_t i = 0; !taken && o->declares && i < a->table->uses.n; i++) {
		/* a use of the new name from further out would find this one instead */
		const Occurrence *u = &a->table->uses.at[i];
		if (u->symbol->name == to && o->symbol->scope && u->span.begin >= o->symbol->scope->begin &&
		    u->span.end <= o->symbol->scope->end)
			taken = u->symbol;
	}
	if (taken && !r->clash)
		r->clash = arena_printf(r->arena, "`%s` is already the name of a %s", r->to,
		                        symbol_kind_text(taken));
}

static void rename_use(void *context, Server *s, Analysis *a, const Occurrence *o)
{
	Rename *r = context;
	if (a->table->files.at[0]->broken && !r->clash)
		r->clash = arena_printf(r->arena, "not all names of '%s' are known: mend its syntax first",
		                        a->source->name);
	check_clash(r, a, o);
	add_edit(r, s, a, o->span, r->to);
	if (o->declares && o->span.begin == o->symbol->span.begin) keep_key(r, s, a, o->symbol);
}

json_t *request_rename(Server *s, json_t *params)
{
	uint32_t offset;
	Analysis *a = request_analysis(s, params, &offset);
	const char *to = json_string_value(json_object_get(params, "newName"));
	if (!a) return NULL;
	if (!to) return server_fail(s, LSP_INVALID_PARAMS, "newName is missing");
	const Occurrence *o = names_at(a->table, offset);
	if (!o) return server_fail(s, LSP_FAILED, "only names of a model file can be renamed");
	const char *why = why_not(a, o->symbol);
	if (why) return server_fail(s, LSP_FAILED, why);
	if (!is_identifier(to))
		return server_fail(s, LSP_FAILED, "a name is made of letters, digits and `_`");
	Rename r = {to, o->symbol, json_object(), NULL, a->arena};
	if (strcmp(to, o->symbol->name) != 0) visit_uses(s, a, o->symbol, rename_use, &r);
	if (!r.clash && name_is_builtin(to)) r.clash = "this name is taken by the language";
	if (r.clash) {
		json_decref(r.changes);
		return server_fail(s, LSP_FAILED, r.clash);
	}
	return json_pack("{s:o}", "changes", r.changes);
}
