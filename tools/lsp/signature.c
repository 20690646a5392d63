/* The call around the cursor, read from the text, since a call that is being written does not parse;
 * and what it calls. */
#include "tools/lsp/lsp.h"

#include <string.h>

static uint32_t skip_blanks_back(const char *text, uint32_t at)
{
	while (at && (text[at - 1] == ' ' || text[at - 1] == '\t')) at--;
	return at;
}

/* The bracket that closes before `at` opens here; at itself when there is none. */
static uint32_t bracket_begin(const char *text, uint32_t at)
{
	int depth = 0;
	for (uint32_t i = at; i-- > 0;) {
		if (text[i] == ']' || text[i] == ')') depth++;
		if ((text[i] == '[' || text[i] == '(') && --depth == 0) return i;
		if (text[i] == '\n' && depth == 0) break;
	}
	return at;
}

static const Symbol *stands_for(const Symbol *s)
{
	if (!s) return NULL;
	return s->kind == SYMBOL_FILE || s->kind == SYMBOL_LAYER || s->kind == SYMBOL_MODEL ? s
	                                                                                    : s->layer;
}

/* `a`, `a.b`, `h[i].attn` that ends at `end`. depth bounds hostile texts. */
static const Symbol *chain_symbol(Analysis *a, uint32_t end, int depth)
{
	const char *text = a->source->text;
	end = skip_blanks_back(text, end);
	if (end && text[end - 1] == ']') end = skip_blanks_back(text, bracket_begin(text, end));
	uint32_t from = end;
	while (from && word_char(text[from - 1])) from--;
	if (from == end || depth > 16) return NULL;
	const char *name = intern(a->names, text + from, end - from);
	if (from && text[from - 1] == '.') {
		const Symbol *before = stands_for(chain_symbol(a, from - 1, depth + 1));
		return before && before->inner ? names_own(before->inner, name) : NULL;
	}
	return names_find(names_scope(a->table, from), name);
}

const Symbol *chain_before(Analysis *a, uint32_t dot)
{
	return stands_for(chain_symbol(a, dot, 0));
}

bool call_around(Analysis *a, uint32_t offset, CallAround *out)
{
	enum { FAR = 8192 };
	const char *text = a->source->text;
	int depth = 0;
	bool string = false;
	uint32_t least = offset > FAR ? offset - FAR : 0;
	*out = (CallAround){0};
	for (uint32_t i = offset; i-- > least;) {
		char c = text[i];
		if (c == '"') string = !string;
		if (string) continue;
		if (c == '{' || c == '}') return false;
		if (c == ')' || c == ']') depth++;
		if (c == ',' && depth == 0) out->commas++;
		if (c != '(' && c != '[') continue;
		if (depth-- > 0) continue;
		depth = 0;
		uint32_t end = skip_blanks_back(text, i), from = end;
		while (from && word_char(text[from - 1])) from--;
		bool called = from < end || (end && text[end - 1] == ']');
		if (c == '(' && called) {
			out->open = i;
			out->name_begin = from;
			out->name_end = end;
			out->name = intern(a->names, text + from, end - from);
			return true;
		}
		out->commas = 0; /* they were of a list inside */
	}
	return false;
}

const Symbol *call_target(Analysis *a, const CallAround *c)
{
	const Symbol *s = chain_symbol(a, c->name_end, 0);
	if (!s) return NULL;
	if (s->kind == SYMBOL_LAYER || s->kind == SYMBOL_MODEL || s->kind == SYMBOL_DEF ||
	    s->kind == SYMBOL_ENTRY)
		return s;
	const Symbol *layer = stands_for(s);
	if (!layer || !layer->inner || layer->kind == SYMBOL_FILE) return NULL;
	return names_own(layer->inner, intern_str(a->names, "forward"));
}

/* --- signature help ----------------------------------------------------------------------------------- */

static json_t *help_json(const char *label, const char *doc, json_t *parameters, uint32_t active)
{
	return json_pack("{s:[{s:o, s:o, s:o}], s:i, s:i}", "signatures", "label", valid_string(label),
	                 "documentation", valid_string(doc), "parameters", parameters,
	                 "activeSignature", 0, "activeParameter", (int)active);
}

/* Of a named argument at the cursor: its place among the parameters; else the number of commas. */
static uint32_t active_parameter(Analysis *a, const CallAround *c, uint32_t offset,
                                 const SymbolList *params)
{
	const char *text = a->source->text;
	uint32_t from = offset;
	int depth = 0;
	for (; from > c->open + 1; from--) {
		char ch = text[from - 1];
		if (ch == ')' || ch == ']') depth++;
		if (ch == '(' || ch == '[') depth--;
		if (ch == ',' && depth == 0) break;
	}
	while (text[from] == ' ' || text[from] == '\n') from++;
	uint32_t end = from;
	while (word_char(text[end])) end++;
	if (text[end] != '=' || text[end + 1] == '=') return c->commas;
	for (size_t i = 0; i < params->n; i++)
		if (strlen(params->at[i]->name) == end - from &&
		    strncmp(params->at[i]->name, text + from, end - from) == 0)
			return (uint32_t)i;
	return c->commas;
}

static json_t *symbol_signature(Analysis *a, const Symbol *target, const CallAround *c,
                                uint32_t offset)
{
	Text label = text_new(a->arena);
	json_t *list = json_array();
	SymbolList params = {0};
	for (size_t i = 0; i < target->inner->list.n; i++)
		if (target->inner->list.at[i]->kind == SYMBOL_PARAM)
			vec_push(a->arena, &params, target->inner->list.at[i]);
	text_printf(&label, "%s(", target->name);
	for (size_t i = 0; i < params.n; i++) {
		const char *one = symbol_text(a, params.at[i]);
		text_printf(&label, "%s%s", i ? ", " : "", one);
		json_array_append_new(list, json_pack("{s:o}", "label", valid_string(one)));
	}
	text_puts(&label, ")");
	const AstList *results = &target->decl->results;
	for (size_t i = 0; target->decl->kind == AST_DEF && i < results->n; i++)
		text_printf(&label, "%s%s", i ? ", " : " -> ",
		            span_text(a->arena, results->at[i]->span, SIZE_MAX));
	return help_json(label.at, symbol_doc(a, target), list,
	                 active_parameter(a, c, offset, &params));
}

json_t *request_signature(Server *s, json_t *params)
{
	uint32_t offset;
	CallAround c;
	const char *doc;
	Analysis *a = request_analysis(s, params, &offset);
	if (!a || !call_around(a, offset, &c)) return NULL;
	const Symbol *target = call_target(a, &c);
	if (target && target->inner) return symbol_signature(a, target, &c, offset);
	const char *shown = builtin_text(a->arena, c.name, &doc);
	if (!shown) return NULL;
	json_t *list = json_array();
	SymbolList names = {0};
	const char *p = strchr(shown, '(') + 1;
	while (*p && *p != ')') {
		size_t n = strcspn(p, ",)"), k = strcspn(p, ",)?");
		json_array_append_new(list, json_pack("{s:s}", "label", arena_strndup(a->arena, p, n)));
		Symbol *one = NEW(a->arena, Symbol);
		one->name = arena_strndup(a->arena, p, k);
		vec_push(a->arena, &names, one);
		p += n;
		while (*p == ',' || *p == ' ') p++;
	}
	return help_json(shown, doc, list, active_parameter(a, &c, offset, &names));
}
