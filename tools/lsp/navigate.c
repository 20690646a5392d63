/* Definition, references, highlights, document symbols and semantic tokens: all from the table of names. */
#include "tools/lsp/lsp.h"

#include <string.h>

/* --- definition -------------------------------------------------------------------------------------- */

/* The file that an import names, when the cursor is on it. */
static json_t *import_target(Server *s, Analysis *a, uint32_t offset)
{
	const NameFile *main = a->table->files.at[0];
	for (size_t i = 0; main->ast && i < main->ast->list.n; i++) {
		const Ast *one = main->ast->list.at[i];
		if (!one || one->kind != AST_IMPORT || offset < one->span.begin || offset > one->span.end)
			continue;
		for (size_t k = 1; k < a->table->files.n; k++)
			if (strcmp(a->table->files.at[k]->name, one->name) == 0)
				return location_json(s, a, (Span){a->table->files.at[k]->source, 0, 0});
	}
	return NULL;
}

json_t *request_definition(Server *s, json_t *params)
{
	uint32_t offset;
	Analysis *a = request_analysis(s, params, &offset);
	if (!a) return NULL;
	const Occurrence *o = names_at(a->table, offset);
	if (!o) return import_target(s, a, offset);
	if (o->symbol->kind == SYMBOL_FILE && o->symbol->inner)
		return location_json(s, a, (Span){o->symbol->inner->file->source, 0, 0});
	return location_json(s, a, o->symbol->span);
}

/* --- references in this file (rename.c has those of others) ------------------------------------------- */

json_t *request_highlight(Server *s, json_t *params)
{
	uint32_t offset;
	Analysis *a = request_analysis(s, params, &offset);
	const Occurrence *o = a ? names_at(a->table, offset) : NULL;
	json_t *out = json_array();
	for (size_t i = 0; o && i < a->table->uses.n; i++) {
		const Occurrence *u = &a->table->uses.at[i];
		if (u->symbol == o->symbol)
			json_array_append_new(out, json_pack("{s:o, s:i}", "range", range_json(s, u->span),
			                                     "kind", u->writes ? 3 : 2));
	}
	return out;
}

/* --- document symbols --------------------------------------------------------------------------------- */

enum { /* SymbolKind of LSP */
	   KIND_MODULE = 2,
	   KIND_CLASS = 5,
	   KIND_METHOD = 6,
	   KIND_PROPERTY = 7,
	   KIND_FIELD = 8,
	   KIND_INTERFACE = 11,
	   KIND_FUNCTION = 12,
	   KIND_VARIABLE = 13,
	   KIND_CONSTANT = 14
};

int symbol_kind(const Symbol *s)
{
	switch (s->kind) {
	case SYMBOL_LAYER:
	case SYMBOL_MODEL: return KIND_CLASS;
	case SYMBOL_DEF: return s->scope && s->scope->owner ? KIND_METHOD : KIND_FUNCTION;
	case SYMBOL_ENTRY: return KIND_INTERFACE;
	case SYMBOL_WEIGHT: return KIND_FIELD;
	case SYMBOL_USE: return KIND_PROPERTY;
	case SYMBOL_STATE: return KIND_VARIABLE;
	case SYMBOL_FILE: return KIND_MODULE;
	default: return KIND_CONSTANT;
	}
}

static json_t *symbol_json(Server *s, Analysis *a, const Symbol *y)
{
	Span all = y->decl ? y->decl->span : y->span;
	if (y->kind == SYMBOL_LET) all = y->span;
	if (y->inner && y->kind != SYMBOL_FILE) all.end = y->inner->end;
	all = span_join(all, y->span);
	json_t *kids = json_array();
	bool layer = y->kind == SYMBOL_LAYER || y->kind == SYMBOL_MODEL;
	for (size_t i = 0; layer && y->inner && i < y->inner->list.n; i++)
		if (y->inner->list.at[i]->kind != SYMBOL_PARAM)
			json_array_append_new(kids, symbol_json(s, a, y->inner->list.at[i]));
	const char *detail = symbol_kind_text(y);
	if ((y->kind == SYMBOL_WEIGHT || y->kind == SYMBOL_STATE || y->kind == SYMBOL_USE) &&
	    y->decl->a)
		detail = span_text(a->arena, y->decl->a->span, SIZE_MAX);
	return json_pack("{s:s, s:o, s:i, s:o, s:o, s:o}", "name", y->name, "detail",
	                 valid_string(detail), "kind", symbol_kind(y), "range", range_json(s, all),
	                 "selectionRange", range_json(s, y->span), "children", kids);
}

static json_t *test_json(Server *s, const Ast *t)
{
	return json_pack("{s:o, s:s, s:i, s:o, s:o}", "name", valid_string(*t->name ? t->name : "test"),
	                 "detail", "test", "kind", KIND_FUNCTION, "range", range_json(s, t->span),
	                 "selectionRange", range_json(s, t->span));
}

json_t *request_symbols(Server *s, json_t *params)
{
	Analysis *a = request_analysis(s, params, NULL);
	json_t *out = json_array();
	if (!a) return out;
	const NameFile *f = a->table->files.at[0];
	for (size_t i = 0; i < f->scope->list.n; i++)
		json_array_append_new(out, symbol_json(s, a, f->scope->list.at[i]));
	for (size_t i = 0; f->ast && i < f->ast->list.n; i++)
		if (f->ast->list.at[i] && f->ast->list.at[i]->kind == AST_TEST)
			json_array_append_new(out, test_json(s, f->ast->list.at[i]));
	return out;
}

/* --- semantic tokens ----------------------------------------------------------------------------------- */

static const char *const token_types[] = {"namespace", "class",    "function",     "parameter",
                                          "property",  "variable", "typeParameter"};

json_t *tokens_legend(void)
{
	json_t *types = json_array();
	for (size_t i = 0; i < COUNT(token_types); i++)
		json_array_append_new(types, json_string(token_types[i]));
	return json_pack("{s:o, s:[s, s]}", "tokenTypes", types, "tokenModifiers", "declaration",
	                 "readonly");
}

static int token_type(const Symbol *s)
{
	switch (s->kind) {
	case SYMBOL_FILE: return 0;
	case SYMBOL_LAYER:
	case SYMBOL_MODEL: return 1;
	case SYMBOL_DEF:
	case SYMBOL_ENTRY: return 2;
	case SYMBOL_PARAM: return 3;
	case SYMBOL_WEIGHT:
	case SYMBOL_USE:
	case SYMBOL_STATE: return 4;
	case SYMBOL_DIM: return 6;
	case SYMBOL_LET:
	case SYMBOL_LOCAL:
	case SYMBOL_INDEX: return 5;
	}
	return 5;
}

json_t *request_tokens(Server *s, json_t *params)
{
	Analysis *a = request_analysis(s, params, NULL);
	json_t *data = json_array();
	json_int_t line = 0, column = 0;
	uint32_t last = 0;
	for (size_t i = 0; a && i < a->table->uses.n; i++) {
		const Occurrence *o = &a->table->uses.at[i];
		if (o->span.end <= o->span.begin || (i && o->span.begin < last)) continue;
		json_t *at = position_json(s, a->source, o->span.begin);
		json_int_t l = json_integer_value(json_object_get(at, "line")),
				   c = json_integer_value(json_object_get(at, "character"));
		json_decref(at);
		bool constant = o->symbol->kind == SYMBOL_WEIGHT || o->symbol->kind == SYMBOL_LET ||
		                o->symbol->kind == SYMBOL_DIM;
		json_array_append_new(data, json_integer(l - line));
		json_array_append_new(data, json_integer(l == line ? c - column : c));
		json_array_append_new(data,
		                      json_integer(o->span.end - o->span.begin)); /* names are ASCII */
		json_array_append_new(data, json_integer(token_type(o->symbol)));
		json_array_append_new(data, json_integer((o->declares ? 1 : 0) | (constant ? 2 : 0)));
		line = l;
		column = c;
		last = o->span.end;
	}
	return json_pack("{s:o}", "data", data);
}
