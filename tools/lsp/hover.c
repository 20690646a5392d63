/* What is known of the thing under the cursor: a name with its declaration, type, values and doc
 * comment; a built-in function with its signature; else the type of the innermost expression. */
#include "tools/lsp/lsp.h"

#include <string.h>

const char *symbol_kind_text(const Symbol *s)
{
	static const char *const text[] = {
		[SYMBOL_FILE] = "file",  [SYMBOL_LAYER] = "layer",     [SYMBOL_MODEL] = "model",
		[SYMBOL_DEF] = "def",    [SYMBOL_ENTRY] = "entry",     [SYMBOL_DIM] = "dim",
		[SYMBOL_LET] = "let",    [SYMBOL_PARAM] = "parameter", [SYMBOL_WEIGHT] = "weight",
		[SYMBOL_USE] = "use",    [SYMBOL_STATE] = "state",     [SYMBOL_LOCAL] = "local",
		[SYMBOL_INDEX] = "index"};
	return text[s->kind];
}

const char *symbol_text(Analysis *a, const Symbol *s)
{
	const Ast *d = s->decl;
	const char *text = d ? span_text(a->arena, d->span, SIZE_MAX) : s->name;
	switch (s->kind) {
	case SYMBOL_LOCAL: return s->name;
	case SYMBOL_INDEX: return s->name;
	case SYMBOL_PARAM: return text;
	case SYMBOL_DIM:
		if (d->kind == AST_NAME) return arena_printf(a->arena, "dim %s", s->name);
		return arena_printf(a->arena, "%sdim %s", d->flag ? "session " : "", text);
	default: return text;
	}
}

/* The comment lines directly above a declaration (and its attributes), or behind it on its line. */
const char *symbol_doc(Analysis *a, const Symbol *s)
{
	Text t = text_new(a->arena);
	if (!s->decl || s->kind == SYMBOL_LOCAL || s->kind == SYMBOL_INDEX || s->kind == SYMBOL_PARAM)
		return "";
	const Source *src = s->span.source;
	uint32_t line = source_place(src, s->decl->span.begin).line - 1, first = line;
	while (first > 0) {
		const char *p = src->text + src->line_start[first - 1];
		while (*p == ' ' || *p == '\t') p++;
		if ((*p != '#' && *p != '@') || strncmp(p, "# ---", 5) == 0) break;
		first--;
	}
	for (uint32_t i = first; i < line; i++) {
		const char *p = src->text + src->line_start[i];
		while (*p == ' ' || *p == '\t') p++;
		if (*p != '#') continue;
		while (*p == '#' || *p == ' ') p++;
		text_printf(&t, "%s%.*s", t.n ? "\n" : "", (int)strcspn(p, "\r\n"), p);
	}
	const char *end = src->text + s->decl->span.end, *note = end + strcspn(end, "#\n\"");
	if (!t.n && *note == '#' && s->kind != SYMBOL_LAYER && s->kind != SYMBOL_MODEL &&
	    s->kind != SYMBOL_DEF && s->kind != SYMBOL_ENTRY) {
		while (*note == '#' || *note == ' ') note++;
		text_printf(&t, "%.*s", (int)strcspn(note, "\r\n"), note);
	}
	return t.at ? t.at : "";
}

const char *layer_prefix_text(Analysis *a, const Symbol *layer)
{
	const RecordedLayer *l = layer ? record_layer(a->record, layer->name) : NULL;
	Text t = text_new(a->arena);
	for (uint32_t i = 0; l && i < l->n && i < 3; i++)
		if (*l->prefix[i]) text_printf(&t, "%s`%s`", i ? ", " : "", l->prefix[i]);
	if (l && t.n && l->uses > 3) text_printf(&t, " and %u more", l->uses - 3);
	return t.at ? t.at : "";
}

/* The types of a place: one line of code, then what is to say beside. */
static void add_types(Text *code, Text *rest, const char *name, const Recorded *r)
{
	bool same = true;
	for (uint32_t i = 1; i < r->n; i++) same &= strcmp(r->type[0].named, r->type[i].named) == 0;
	if (same && !r->more) {
		text_printf(code, "%s%s%s", name ? name : "", name ? ": " : "", r->type[0].named);
		if (r->n == 1 && strcmp(r->type[0].plain, r->type[0].named) != 0)
			text_printf(rest, "`%s`\n\n", r->type[0].plain);
	} else {
		text_printf(code, "%s%s%s%s", name ? name : "", name ? ": " : "", r->type[0].named,
		            same ? "" : "  # differs");
	}
	if (r->n > 1) {
		text_puts(rest, "It differs where it is used: ");
		for (uint32_t i = 0; i < r->n; i++)
			text_printf(rest, "%s`%s`", i ? ", " : "", r->type[i].plain);
		text_puts(rest, r->more ? ", and others\n\n" : "\n\n");
	}
	if (r->symbolic) text_puts(rest, "No model uses this: parameters are left open.\n\n");
}

/* The same of what has a declared type: what it is in the model. */
static void add_values(Text *code, Text *rest, const Recorded *r)
{
	if (r->symbolic) {
		text_puts(rest, "No model uses this.\n\n");
	} else if (r->n == 1 && !r->more) {
		text_printf(code, "\n# %s", r->type[0].plain);
	} else {
		Text unused = text_new(code->arena);
		add_types(&unused, rest, NULL, r);
	}
}

static void add_weight(Analysis *a, Text *rest, const Symbol *s)
{
	const NameScope *scope = s->scope;
	const Symbol *layer = scope ? scope->owner : NULL;
	const char *prefix = layer_prefix_text(a, layer);
	const Ast *key = s->decl->b;
	if (s->kind != SYMBOL_WEIGHT && s->kind != SYMBOL_USE) return;
	if (key)
		text_printf(rest, "Key: %s", span_text(a->arena, key->span, SIZE_MAX));
	else
		text_printf(rest, "Key: \"%s%s\"", s->name, s->decl->list.n ? ".{i}" : "");
	text_printf(rest, "%s%s\n\n", *prefix ? " behind " : "", prefix);
}

static json_t *hover_json(Server *s, Analysis *a, Span at, const Text *code, const Text *rest)
{
	Text t = text_new(a->arena);
	text_printf(&t, "```nacre\n%s\n```\n%s%s", code->at ? code->at : "", rest->n ? "\n" : "",
	            rest->at ? rest->at : "");
	while (t.n && t.at[t.n - 1] == '\n') t.at[--t.n] = 0;
	return json_pack("{s:{s:s, s:o}, s:o}", "contents", "kind", "markdown", "value",
	                 valid_string(t.at), "range", range_json(s, at));
}

static json_t *hover_symbol(Server *s, Analysis *a, const Occurrence *o)
{
	Text code = text_new(a->arena), rest = text_new(a->arena);
	const Symbol *y = o->symbol;
	const Recorded *r = record_at(a->record, o->span.begin, o->span.end);
	if (!r && y->span.source == a->source) r = record_at(a->record, y->span.begin, y->span.end);
	const char *text = symbol_text(a, y), *doc = symbol_doc(a, y);
	if (y->kind == SYMBOL_LOCAL || y->kind == SYMBOL_INDEX) {
		if (r)
			add_types(&code, &rest, y->name, r);
		else
			text_printf(&code, "%s  # %s", y->name, symbol_kind_text(y));
	} else {
		text_puts(&code, text);
		if (r && y->kind != SYMBOL_USE) add_values(&code, &rest, r);
		add_weight(a, &rest, y);
		if (y->kind == SYMBOL_LAYER) {
			const char *prefix = layer_prefix_text(a, y);
			if (*prefix) text_printf(&rest, "Keys begin with %s\n\n", prefix);
		}
		if (y->kind == SYMBOL_DIM && y->scope && y->scope->owner)
			text_printf(&rest, "Bound by the arguments of `%s`\n\n", y->scope->owner->name);
		else if (y->kind == SYMBOL_DIM)
			text_printf(&rest, "%s\n\n",
			            y->decl->flag ? "Bound once for a session"
			                          : "Bound by the inputs of each call");
	}
	if (*doc) text_printf(&rest, "%s\n\n", doc);
	if (y->file && *y->file->name) text_printf(&rest, "from \"%s\"\n", y->file->name);
	return hover_json(s, a, o->span, &code, &rest);
}

static json_t *hover_builtin(Server *s, Analysis *a, uint32_t offset)
{
	const char *text = a->source->text, *doc;
	uint32_t from = offset, to = offset;
	while (from && word_char(text[from - 1])) from--;
	while (word_char(text[to])) to++;
	if (from == to) return NULL;
	const char *shown =
		builtin_text(a->arena, arena_strndup(a->arena, text + from, to - from), &doc);
	if (!shown) return NULL;
	Text code = text_new(a->arena), rest = text_new(a->arena);
	text_puts(&code, shown);
	text_puts(&rest, doc);
	return hover_json(s, a, (Span){a->source, from, to}, &code, &rest);
}

static bool in_comment(const Source *s, uint32_t offset)
{
	uint32_t line = source_place(s, offset).line - 1;
	bool string = false;
	for (uint32_t i = s->line_start[line]; i < offset; i++) {
		if (s->text[i] == '"') string = !string;
		if (s->text[i] == '#' && !string) return true;
	}
	return false;
}

json_t *request_hover(Server *s, json_t *params)
{
	uint32_t offset;
	Analysis *a = request_analysis(s, params, &offset);
	if (!a || in_comment(a->source, offset)) return NULL;
	const Occurrence *o = names_at(a->table, offset);
	if (o) return hover_symbol(s, a, o);
	json_t *builtin = hover_builtin(s, a, offset);
	if (builtin) return builtin;
	const Recorded *r = record_around(a->record, offset);
	Text code = text_new(a->arena), rest = text_new(a->arena);
	if (!r) return NULL;
	add_types(&code, &rest, NULL, r);
	return hover_json(s, a, r->span, &code, &rest);
}
