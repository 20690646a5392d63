/* Completion: members after a dot, keys of the checkpoint inside `from "..."`, files inside `import`,
 * named arguments in a call, and what the scope knows. The context is read from the text, since what is
 * being written does not parse. */
#include "tools/lsp/lsp.h"

#include "frontend/std.h"

#include <string.h>

enum { /* CompletionItemKind */
	   ITEM_METHOD_ = 2,
	   ITEM_FUNCTION_ = 3,
	   ITEM_FIELD_ = 5,
	   ITEM_VARIABLE_ = 6,
	   ITEM_CLASS_ = 7,
	   ITEM_MODULE_ = 9,
	   ITEM_PROPERTY_ = 10,
	   ITEM_VALUE_ = 12,
	   ITEM_KEYWORD_ = 14,
	   ITEM_FILE_ = 17,
	   ITEM_CONSTANT_ = 21,
	   ITEM_TYPE_ = 25
};
typedef struct Completion {
	Server *s;
	Analysis *a;
	uint32_t offset, word; /* where the word that is being written begins */
	json_t *list;
} Completion;

static void add(Completion *c, const char *label, int kind, const char *detail, const char *doc,
                char rank)
{
	json_t *one =
		json_pack("{s:s, s:i, s:o, s:s}", "label", label, "kind", kind, "detail",
	              valid_string(detail), "sortText", arena_printf(c->a->arena, "%c%s", rank, label));
	if (one && *doc) json_object_set_new(one, "documentation", valid_string(doc));
	json_array_append_new(c->list, one);
}

static int item_kind_of(const Symbol *s)
{
	switch (s->kind) {
	case SYMBOL_FILE: return ITEM_MODULE_;
	case SYMBOL_LAYER:
	case SYMBOL_MODEL: return ITEM_CLASS_;
	case SYMBOL_DEF:
	case SYMBOL_ENTRY: return s->scope && s->scope->owner ? ITEM_METHOD_ : ITEM_FUNCTION_;
	case SYMBOL_WEIGHT:
	case SYMBOL_STATE: return ITEM_FIELD_;
	case SYMBOL_USE: return ITEM_PROPERTY_;
	case SYMBOL_DIM: return ITEM_TYPE_;
	case SYMBOL_LET: return ITEM_CONSTANT_;
	default: return ITEM_VARIABLE_;
	}
}

static const char *symbol_detail(Completion *c, const Symbol *y)
{
	const Recorded *r =
		y->span.source == c->a->source ? record_at(c->a->record, y->span.begin, y->span.end) : NULL;
	bool value = y->kind == SYMBOL_LOCAL || y->kind == SYMBOL_LET || y->kind == SYMBOL_INDEX;
	if (value && r) return r->type[0].named;
	return value ? symbol_kind_text(y) : symbol_text(c->a, y);
}

static void add_symbol(Completion *c, const Symbol *y, char rank)
{
	add(c, y->name, item_kind_of(y), symbol_detail(c, y), symbol_doc(c->a, y), rank);
}

/* --- members ------------------------------------------------------------------------------------------- */

static void complete_members(Completion *c)
{
	const Symbol *of = chain_before(c->a, c->word - 1);
	if (!of) {
		add(c, "T", ITEM_PROPERTY_, "the last two dims swapped", "", 'a');
		add(c, "shape", ITEM_PROPERTY_, "list of dims", "", 'a');
		add(c, "dtype", ITEM_PROPERTY_, "element type", "", 'a');
		return;
	}
	for (size_t i = 0; of->inner && i < of->inner->list.n; i++) {
		const Symbol *y = of->inner->list.at[i];
		bool hidden = of->kind == SYMBOL_FILE && (y->kind == SYMBOL_DIM || y->kind == SYMBOL_FILE);
		if (!hidden) add_symbol(c, y, 'a');
	}
}

/* --- keys ------------------------------------------------------------------------------------------------ */

static bool has_label(const json_t *list, const char *label)
{
	size_t i;
	json_t *one;
	json_array_foreach(list, i, one) if (strcmp(json_string_value(json_object_get(one, "label")),
	                                            label) == 0) return true;
	return false;
}

/* With the array's index in place of numbers: "h.0.w" is "h.{i}.w". */
static const char *with_index(Arena *a, const char *key, const char *index)
{
	Text t = text_new(a);
	if (!index) return key;
	for (const char *s = key; *s;) {
		size_t n = strcspn(s, ".");
		if (n && strspn(s, "0123456789") == n)
			text_printf(&t, "{%s}", index);
		else
			text_append(&t, s, n);
		s += n;
		if (*s) text_append(&t, s++, 1);
	}
	return t.at ? t.at : "";
}

static void add_key(Completion *c, const char *key, const char *detail, uint32_t from)
{
	enum { MOST = 1000 };
	if (!*key || json_array_size(c->list) >= MOST || has_label(c->list, key)) return;
	json_t *edit =
		json_pack("{s:o, s:s}", "range", range_json(c->s, (Span){c->a->source, from, c->offset}),
	              "newText", key);
	json_array_append_new(c->list,
	                      json_pack("{s:s, s:i, s:s, s:s, s:o}", "label", key, "kind", ITEM_VALUE_,
	                                "detail", detail, "filterText", key, "textEdit", edit));
}

/* A layer's weights: the key itself; layers in use: each prefix that ends before a dot. */
static void add_keys_of(Completion *c, const char *key, bool layer, const char *index,
                        uint32_t from)
{
	Arena *a = c->a->arena;
	if (!layer) {
		add_key(c, with_index(a, key, index), "key of the checkpoint", from);
		return;
	}
	for (const char *dot = strchr(key, '.'); dot; dot = strchr(dot + 1, '.'))
		add_key(c, with_index(a, arena_strndup(a, key, (size_t)(dot - key)), index),
		        "prefix of keys", from);
}

static void complete_keys(Completion *c, uint32_t from, const char *line)
{
	KeyList keys = {0};
	Arena *a = c->a->arena;
	checkpoint_keys(c->s, c->a, &keys);
	const char *trimmed = line + strspn(line, " \t"), *open = strchr(line, '['), *index = NULL;
	bool layer = strncmp(trimmed, "use ", 4) == 0;
	if (open) {
		size_t n = 0;
		while (word_char(open[1 + n])) n++;
		if (n && strncmp(open + 1 + n, " in ", 4) == 0) index = arena_strndup(a, open + 1, n);
	}
	const NameScope *scope = names_scope(c->a->table, from);
	while (scope && !(scope->owner &&
	                  (scope->owner->kind == SYMBOL_LAYER || scope->owner->kind == SYMBOL_MODEL)))
		scope = scope->up;
	const Symbol *owner = scope ? scope->owner : NULL;
	const RecordedLayer *known = owner ? record_layer(c->a->record, owner->name) : NULL;
	for (size_t i = 0; i < keys.n; i++) {
		bool all = !known || !known->n;
		for (uint32_t k = 0; known && k < known->n; k++) {
			size_t n = strlen(known->prefix[k]);
			if (strncmp(keys.at[i], known->prefix[k], n) == 0)
				add_keys_of(c, keys.at[i] + n, layer, index, from);
		}
		if (!all) continue;
		add_keys_of(c, keys.at[i], layer, index, from);
		/* a layer whose place is not known: also what its keys may end with */
		if (owner && owner->kind == SYMBOL_LAYER)
			for (const char *dot = strchr(keys.at[i], '.'); dot; dot = strchr(dot + 1, '.'))
				add_keys_of(c, dot + 1, layer, index, from);
	}
}

static void complete_imports(Completion *c, uint32_t from)
{
	for (const FrontendStdFile *f = frontend_std; f->name; f++)
		add_key(c, f->name, "standard library", from);
	for (const Document *d = c->s->documents; d; d = d->next) {
		const char *slash = strrchr(d->path, '/'), *name = slash ? slash + 1 : d->path;
		const char *own = strrchr(c->a->source->name, '/');
		size_t n = strlen(name), folder = slash ? (size_t)(slash - d->path) : 0;
		if (n <= 4 || strcmp(d->path, c->a->source->name) == 0 || !own ||
		    (size_t)(own - c->a->source->name) != folder ||
		    strncmp(own - folder, d->path, folder) != 0)
			continue;
		add_key(c, arena_strndup(c->a->arena, name, n - 4), "file", from);
	}
}

/* --- names ----------------------------------------------------------------------------------------------- */

static void complete_arguments(Completion *c)
{
	CallAround call;
	const char *doc;
	if (!call_around(c->a, c->offset, &call)) return;
	const Symbol *target = call_target(c->a, &call);
	for (size_t i = 0; target && target->inner && i < target->inner->list.n; i++) {
		const Symbol *p = target->inner->list.at[i];
		if (p->kind == SYMBOL_PARAM)
			add(c, arena_printf(c->a->arena, "%s=", p->name), ITEM_VARIABLE_, symbol_text(c->a, p),
			    "", 'a');
	}
	const char *shown = target ? NULL : builtin_text(c->a->arena, call.name, &doc);
	const char *p = shown ? strchr(shown, '(') + 1 : "";
	while (word_char(*p)) {
		size_t n = 0;
		while (word_char(p[n])) n++;
		if (p[n] && strchr("?,)=", p[n]))
			add(c, arena_printf(c->a->arena, "%.*s=", (int)n, p), ITEM_VARIABLE_, shown, "", 'a');
		p += strcspn(p, ",)");
		while (*p == ',' || *p == ' ') p++;
	}
}

static void add_file(Completion *c, const NameFile *f)
{
	for (size_t i = 0; i < f->scope->list.n; i++) {
		const Symbol *y = f->scope->list.at[i];
		if (y->kind != SYMBOL_DIM && y->kind != SYMBOL_FILE) add_symbol(c, y, 'e');
	}
}

static void complete_names(Completion *c)
{
	static const char *const types[] = {"f32", "f16", "bf16", "f8e4m3", "f8e5m2", "i8",
	                                    "u8",  "i4",  "i32",  "i64",    "bool",   "int",
	                                    "str", "dim", "fn",   "dtype"};
	enum { ROOM = 256 };
	const char *names[ROOM], *doc;
	char rank = 'b';
	for (const NameScope *s = names_scope(c->a->table, c->word); s; s = s->up) {
		for (size_t i = 0; i < s->list.n; i++) {
			const Symbol *y = s->list.at[i];
			bool later = y->kind == SYMBOL_LOCAL && y->span.begin >= c->word;
			if (!later && !has_label(c->list, y->name)) add_symbol(c, y, rank);
		}
		if (rank < 'd') rank++;
		for (size_t i = 0; !s->up && i < s->file->imports.n; i++)
			add_file(c, s->file->imports.at[i]);
	}
	uint32_t n = builtins_known(names, ROOM);
	for (uint32_t i = 0; i < n; i++) {
		const char *shown = builtin_text(c->a->arena, names[i], &doc);
		add(c, names[i], ITEM_FUNCTION_, shown ? shown : "", doc, 'f');
	}
	for (size_t i = 0; i < COUNT(types); i++) add(c, types[i], ITEM_TYPE_, "type", "", 'g');
}

static void complete_keywords(Completion *c)
{
	static const char *const top[] = {"import", "dim",   "session dim", "let",
	                                  "layer",  "model", "def",         "test"};
	static const char *const member[] = {"weight", "use",   "state",  "let",
	                                     "def",    "entry", "assert", "if"};
	static const char *const statement[] = {"let",     "for",    "if",   "return",
	                                        "require", "assert", "yield"};
	const NameScope *s = names_scope(c->a->table, c->word);
	while (s->up && !s->owner && !s->function) s = s->up;
	bool layer = s->owner && (s->owner->kind == SYMBOL_LAYER || s->owner->kind == SYMBOL_MODEL);
	const char *const *list = layer ? member : s->up ? statement : top;
	size_t n = layer ? COUNT(member) : s->up ? COUNT(statement) : COUNT(top);
	for (size_t i = 0; i < n; i++) add(c, list[i], ITEM_KEYWORD_, "", "", 'h');
}

/* --- the context ------------------------------------------------------------------------------------------ */

/* The quote that is open at the cursor on its line, or NULL; *comment: it is in a comment. */
static const char *open_quote(const char *line, const char *end, bool *comment)
{
	const char *quote = NULL;
	*comment = false;
	for (const char *p = line; p < end; p++) {
		if (*p == '"') quote = quote ? NULL : p;
		if (*p == '#' && !quote) *comment = true;
	}
	return quote;
}

static void complete_string(Completion *c, const char *line, const char *quote)
{
	Arena *a = c->a->arena;
	const char *text = c->a->source->text;
	const char *before = arena_strndup(a, line, (size_t)(quote - line));
	size_t n = strlen(before);
	while (n && before[n - 1] == ' ') n--;
	bool from = n >= 4 && strncmp(before + n - 4, "from", 4) == 0;
	bool or = n >= 2 && strncmp(before + n - 2, "or", 2) == 0 && strstr(before, "from ");
	uint32_t at = (uint32_t)(quote + 1 - text);
	if (from || or)
		complete_keys(c, at, before);
	else if (n >= 6 && strncmp(before + n - 6, "import", 6) == 0)
		complete_imports(c, at);
}

json_t *request_completion(Server *s, json_t *params)
{
	uint32_t offset;
	Analysis *a = request_analysis(s, params, &offset);
	if (!a) return NULL;
	Completion c = {s, a, offset, offset, json_array()};
	const char *text = a->source->text;
	const char *line = text + a->source->line_start[source_place(a->source, offset).line - 1];
	bool comment;
	const char *quote = open_quote(line, text + offset, &comment);
	while (c.word && word_char(text[c.word - 1])) c.word--;
	if (quote && !comment) {
		complete_string(&c, line, quote);
	} else if (!comment && c.word && text[c.word - 1] == '.' &&
	           !(c.word > 1 && text[c.word - 2] == '.')) {
		complete_members(&c);
	} else if (!comment) {
		complete_arguments(&c);
		complete_names(&c);
		if (strspn(line, " \t") >= (size_t)(text + c.word - line)) complete_keywords(&c);
	}
	return json_pack("{s:b, s:o}", "isIncomplete", 0, "items", c.list);
}
