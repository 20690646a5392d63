/* Messages of the checker as LSP diagnostics: notes become related information, help follows the text.
 * What lies in an imported file is shown at the place in this one that led there. Quick fixes take up
 * "did you mean". */
#include "tools/lsp/lsp.h"

#include <string.h>

static void publish(const Document *d, json_t *list)
{
	server_notify(
		"textDocument/publishDiagnostics",
		json_pack("{s:s, s:I, s:o}", "uri", d->uri, "version", d->version, "diagnostics", list));
}

void diagnostics_clear(const Document *d)
{
	publish(d, json_array());
}

static bool is_main(const Analysis *a, const Source *source)
{
	return source && strcmp(source->name, a->source->name) == 0;
}

/* Another parse of the same text is another Source; places are the same. */
static Span in_main(const Analysis *a, Span at)
{
	at.source = a->source;
	return at;
}

static Span import_span(const Analysis *a, const Source *source)
{
	const Ast *ast = a->table->files.at[0]->ast;
	for (size_t i = 0; ast && i < ast->list.n; i++) {
		const Ast *one = ast->list.at[i];
		if (!one || one->kind != AST_IMPORT) continue;
		const char *dot = strrchr(source->name, '.');
		size_t n = dot ? (size_t)(dot - source->name) : strlen(source->name), k = strlen(one->name);
		if (n >= k && strncmp(source->name + n - k, one->name, k) == 0) return one->span;
	}
	return (Span){a->source, 0, 0};
}

static Span shown_place(const Analysis *a, const Diag *m)
{
	if (!m->span.source) return (Span){a->source, 0, 0};
	if (is_main(a, m->span.source)) return in_main(a, m->span);
	for (size_t i = 0; i < m->parts.n; i++)
		if (is_main(a, m->parts.at[i]->span.source)) return in_main(a, m->parts.at[i]->span);
	return import_span(a, m->span.source);
}

static void add_related(Server *s, const Analysis *a, json_t *list, Span at, const char *text)
{
	json_t *place =
		at.source ? location_json(s, a, is_main(a, at.source) ? in_main(a, at) : at) : NULL;
	if (place)
		json_array_append_new(
			list, json_pack("{s:o, s:o}", "location", place, "message", valid_string(text)));
}

static json_t *diagnostic_json(Server *s, const Analysis *a, const Diag *m)
{
	static const int severity[] = {
		[DIAG_ERROR] = 1, [DIAG_WARNING] = 2, [DIAG_NOTE] = 4, [DIAG_HELP] = 4};
	Text text = text_new(a->arena);
	json_t *related = json_array();
	bool elsewhere = m->span.source && !is_main(a, m->span.source);
	if (elsewhere) text_printf(&text, "in %s: ", m->span.source->name);
	text_puts(&text, m->text);
	if (elsewhere) add_related(s, a, related, m->span, m->text);
	for (size_t i = 0; i < m->parts.n; i++) {
		const Diag *part = m->parts.at[i];
		if (part->severity == DIAG_HELP)
			text_printf(&text, "\nhelp: %s", part->text);
		else
			add_related(s, a, related, part->span, part->text);
	}
	return json_pack("{s:o, s:i, s:s, s:o, s:o}", "range", range_json(s, shown_place(a, m)),
	                 "severity", severity[m->severity], "source", "nacre", "message",
	                 valid_string(text.at), "relatedInformation", related);
}

static bool reported(const Analysis *a, Span at)
{
	for (size_t i = 0; i < a->d.list.n; i++) {
		const Diag *m = a->d.list.at[i];
		if (is_main(a, m->span.source) && m->span.begin <= at.end && at.begin <= m->span.end)
			return true;
	}
	return false;
}

/* Names that mean nothing where no model looks: layers not used, branches not taken. */
static void add_unknown(Server *s, const Analysis *a, json_t *list)
{
	for (size_t i = 0; i < a->table->unknown.n; i++) {
		const UnknownName *u = &a->table->unknown.at[i];
		if (reported(a, u->span) || record_any(a->record, u->span.begin, u->span.end)) continue;
		json_array_append_new(
			list,
			json_pack("{s:o, s:i, s:s, s:s}", "range", range_json(s, u->span), "severity", 2,
		              "source", "nacre", "message",
		              arena_printf(a->arena, "`%s` is not defined (no model uses this)", u->name)));
	}
}

/* An import that cannot be read has its own message; what it would declare is unknown for that. */
static bool imports_read(const Analysis *a)
{
	const Ast *ast = a->table->files.at[0]->ast;
	size_t n = 1;
	for (size_t i = 0; ast && i < ast->list.n; i++)
		n += ast->list.at[i] && ast->list.at[i]->kind == AST_IMPORT;
	for (size_t i = 0; i < a->table->files.n; i++)
		if (!a->table->files.at[i]->ast) return false;
	return ast && a->table->files.n >= n;
}

static json_t *diagnostics_json(Server *s, Analysis *a)
{
	json_t *list = json_array();
	for (size_t i = 0; i < a->d.list.n; i++)
		json_array_append_new(list, diagnostic_json(s, a, a->d.list.at[i]));
	if (imports_read(a)) add_unknown(s, a, list);
	return list;
}

void diagnostics_publish(Server *s, Document *d)
{
	Analysis *a = document_analysis(s, d);
	d->changed = false;
	publish(d, diagnostics_json(s, a));
}

/* --- quick fixes -------------------------------------------------------------------------------------- */

static const char *suggestion(Arena *a, const char *help)
{
	static const char begin[] = "did you mean `";
	if (strncmp(help, begin, sizeof begin - 1) != 0) return NULL;
	const char *name = help + sizeof begin - 1, *end = strchr(name, '`');
	return end ? arena_strndup(a, name, (size_t)(end - name)) : NULL;
}

/* The quoted wrong name inside what is underlined, else all of it. */
static Span wrong_part(const Diag *m, Span at)
{
	const char *open = strchr(m->text, '`'), *text = at.source->text;
	const char *close = open ? strchr(open + 1, '`') : NULL;
	for (; close; open = strchr(close + 1, '`'), close = open ? strchr(open + 1, '`') : NULL) {
		uint32_t n = (uint32_t)(close - open - 1);
		for (uint32_t i = at.begin; n && i + n <= at.end; i++)
			if (memcmp(text + i, open + 1, n) == 0) return (Span){at.source, i, i + n};
	}
	return at;
}

json_t *request_actions(Server *s, json_t *params)
{
	Analysis *a = request_analysis(s, params, NULL);
	json_t *out = json_array(), *range = json_object_get(params, "range");
	uint32_t from, to;
	if (!a || !position_read(s, a->source, json_object_get(range, "start"), &from) ||
	    !position_read(s, a->source, json_object_get(range, "end"), &to))
		return out;
	const char *uri =
		json_string_value(json_object_get(json_object_get(params, "textDocument"), "uri"));
	for (size_t i = 0; i < a->d.list.n; i++) {
		const Diag *m = a->d.list.at[i];
		if (!is_main(a, m->span.source) || m->span.end < from || m->span.begin > to) continue;
		for (size_t k = 0; k < m->parts.n; k++) {
			const char *name = m->parts.at[k]->severity == DIAG_HELP
			                       ? suggestion(a->arena, m->parts.at[k]->text)
			                       : NULL;
			if (!name) continue;
			Span at = wrong_part(m, in_main(a, m->span));
			json_t *edit = json_pack("{s:o, s:s}", "range", range_json(s, at), "newText", name);
			json_array_append_new(out,
			                      json_pack("{s:s, s:s, s:[o], s:{s:{s:[o]}}}", "title",
			                                arena_printf(a->arena, "Change to `%s`", name), "kind",
			                                "quickfix", "diagnostics", diagnostic_json(s, a, m),
			                                "edit", "changes", uri, edit));
		}
	}
	return out;
}
