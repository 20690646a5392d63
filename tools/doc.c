/* nacre doc: what a library file offers, as Markdown or as one HTML page: its layers with parameters,
 * weights and their keys, parts, state and defs, its own defs, dims and constants. The text is that of
 * the file: declarations as they stand, and the comments right above them (or behind them on their line).
 * Indented lines of a comment are an example; a comment `--- name ---` begins a section. Names that begin
 * with _ are left out. */
#include "frontend/ast.h"
#include "frontend/std.h"
#include "tools/tool.h"

#include <ctype.h>
#include <string.h>

typedef struct Doc {
	Tool *t;
	const Source *s;
	const Ast *file;
	Text out;
	bool html;
	uint32_t columns; /* of the open table; 0: none */
} Doc;

/* --- the text of the file ---------------------------------------------------------------------------- */

/* The text of a node on one line, without comments inside it. */
static const char *flat(Doc *d, const Ast *n)
{
	if (!n) return "";
	Text t = text_new(d->t->arena);
	text_puts(&t, "");
	bool blank = false, quoted = false;
	for (uint32_t i = n->span.begin; i < n->span.end; i++) {
		char c = d->s->text[i];
		quoted ^= c == '"';
		if (c == '#' && !quoted) {
			while (i + 1 < n->span.end && d->s->text[i + 1] != '\n') i++;
			continue;
		}
		if (isspace((unsigned char)c)) {
			blank = t.n > 0;
			continue;
		}
		if (blank) text_puts(&t, " ");
		blank = false;
		text_append(&t, &c, 1);
	}
	return t.at;
}

static uint32_t line_of(const Doc *d, uint32_t offset)
{
	return source_place(d->s, offset).line - 1;
}

/* The text of a line without its indentation; *n its length. */
static const char *line_text(const Doc *d, uint32_t line, uint32_t *n)
{
	uint32_t at = d->s->line_start[line];
	while (d->s->text[at] == ' ' || d->s->text[at] == '\t') at++;
	uint32_t end = at;
	while (end < d->s->size && d->s->text[end] != '\n' && d->s->text[end] != '\r') end++;
	*n = end - at;
	return d->s->text + at;
}

static bool is_comment(const Doc *d, uint32_t line)
{
	uint32_t n;
	return line < d->s->lines && *line_text(d, line, &n) == '#';
}

static bool is_section(const Doc *d, uint32_t line)
{
	uint32_t n;
	const char *s = line_text(d, line, &n);
	return n > 6 && strncmp(s, "# ---", 5) == 0;
}

/* The lines [from, to) of comment, without their signs. */
static const char *comment_lines(Doc *d, uint32_t from, uint32_t to)
{
	Text t = text_new(d->t->arena);
	text_puts(&t, "");
	for (uint32_t i = from; i < to; i++) {
		uint32_t n;
		const char *s = line_text(d, i, &n);
		uint32_t skip = n > 1 && s[1] == ' ' ? 2 : 1;
		text_append(&t, s + skip, n - skip);
		text_puts(&t, "\n");
	}
	return t.at;
}

static uint32_t first_line(const Doc *d, const Ast *n)
{
	uint32_t begin = n->span.begin;
	for (size_t i = 0; i < n->attributes.n; i++)
		if (n->attributes.at[i]->span.begin < begin) begin = n->attributes.at[i]->span.begin;
	return line_of(d, begin);
}

/* The comment that ends the line of what ends at `at`, a comma between them apart. */
static const char *comment_behind(Doc *d, uint32_t at)
{
	while (at < d->s->size && (d->s->text[at] == ' ' || d->s->text[at] == ',')) at++;
	if (at >= d->s->size || d->s->text[at] != '#') return "";
	uint32_t end = at;
	while (end < d->s->size && d->s->text[end] != '\n') end++;
	while (at < end && (d->s->text[at] == '#' || d->s->text[at] == ' ')) at++;
	return arena_strndup(d->t->arena, d->s->text + at, end - at);
}

/* The comment right above a declaration, or behind it on its line; "" when there is none. */
static const char *comment_of(Doc *d, const Ast *n)
{
	uint32_t line = first_line(d, n), from = line;
	while (from > 0 && is_comment(d, from - 1) && !is_section(d, from - 1)) from--;
	if (from < line) return comment_lines(d, from, line);
	return comment_behind(d, n->span.end);
}

/* --- written as Markdown or HTML ------------------------------------------------------------------------ */

static void escaped(Doc *d, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = s[i];
		if (d->html && c == '&')
			text_puts(&d->out, "&amp;");
		else if (d->html && c == '<')
			text_puts(&d->out, "&lt;");
		else if (d->html && c == '>')
			text_puts(&d->out, "&gt;");
		else if (d->html && c == '"')
			text_puts(&d->out, "&quot;");
		else if (!d->html && c == '|' && d->columns)
			text_puts(&d->out, "\\|");
		else
			text_append(&d->out, &c, 1);
	}
}

static void put(Doc *d, const char *s)
{
	escaped(d, s, strlen(s));
}

/* In Markdown a fence of more backticks than the text has, as its rules ask. */
static void put_code(Doc *d, const char *s)
{
	if (!*s) return;
	bool tick = strchr(s, '`') != NULL;
	text_puts(&d->out, d->html ? "<code>" : tick ? "`` " : "`");
	put(d, s);
	text_puts(&d->out, d->html ? "</code>" : tick ? " ``" : "`");
}

static bool is_unit(const Ast *n)
{
	return n && n->name && n->name[0] != '_' && (n->kind == AST_LAYER || n->kind == AST_DEF);
}

static const char *kind_of(const Ast *n)
{
	if (n->kind == AST_DEF) return n->flag ? "entry" : "def";
	return n->flag ? "model" : "layer";
}

static const char *anchor_of(Doc *d, const Ast *n)
{
	char *s = arena_printf(d->t->arena, "%s-%s", kind_of(n), n->name);
	for (char *c = s; *c; c++) *c = (char)tolower((unsigned char)*c);
	return s;
}

static const Ast *unit_named(const Doc *d, const char *name, size_t n)
{
	for (size_t i = 0; i < d->file->list.n; i++) {
		const Ast *a = d->file->list.at[i];
		if (is_unit(a) && strlen(a->name) == n && strncmp(a->name, name, n) == 0) return a;
	}
	return NULL;
}

/* A name as code, and a link when this file declares it. */
static void put_name(Doc *d, const char *name, const char *shown)
{
	const Ast *to = unit_named(d, name, strlen(name));
	if (!to) {
		put_code(d, shown);
		return;
	}
	text_puts(&d->out, d->html ? "<a href=\"#" : "[");
	if (d->html) text_printf(&d->out, "%s\">", anchor_of(d, to));
	put_code(d, shown);
	if (d->html)
		text_puts(&d->out, "</a>");
	else
		text_printf(&d->out, "](#%s)", anchor_of(d, to));
}

static void heading(Doc *d, int level, const char *id, const char *text)
{
	if (d->html) {
		text_printf(&d->out, "<h%d", level);
		if (id) {
			text_puts(&d->out, " id=\"");
			put(d, id);
			text_puts(&d->out, "\"");
		}
		text_puts(&d->out, ">");
		put(d, text);
		text_printf(&d->out, "</h%d>\n", level);
		return;
	}
	text_printf(&d->out, "%s%.*s ", d->out.n ? "\n" : "", level, "######");
	put(d, text);
	text_puts(&d->out, "\n");
}

static void code_block(Doc *d, const char *text)
{
	text_puts(&d->out, d->html ? "<pre><code>" : "\n```nac\n");
	put(d, text);
	text_puts(&d->out, d->html ? "</code></pre>\n" : "\n```\n");
}

/* A line of running text: `code` is code, and a link when it names something of this file. */
static void put_line(Doc *d, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		const char *end = s[i] == '`' ? memchr(s + i + 1, '`', n - i - 1) : NULL;
		if (!end) {
			escaped(d, s + i, 1);
			i++;
			continue;
		}
		const char *code = arena_strndup(d->t->arena, s + i + 1, (size_t)(end - s) - i - 1);
		put_name(d, code, code);
		i = (size_t)(end - s) + 1;
	}
}

/* Paragraphs; indented lines are examples. In a table all on one line. */
static void put_comment(Doc *d, const char *text)
{
	bool cell = d->columns > 0;
	enum { NONE, PARAGRAPH, EXAMPLE } in = NONE;
	if (!cell && *text && !d->html) text_puts(&d->out, "\n");
	for (const char *s = text; *s;) {
		size_t n = strcspn(s, "\n");
		bool example = !cell && strncmp(s, "    ", 4) == 0, blank = n == 0;
		int now = blank ? NONE : example ? EXAMPLE : PARAGRAPH;
		if (d->html && !cell && now != (int)in) {
			if (in != NONE) text_puts(&d->out, in == EXAMPLE ? "</code></pre>\n" : "</p>\n");
			if (now != NONE) text_puts(&d->out, now == EXAMPLE ? "<pre><code>" : "<p>");
		}
		if (!d->html && !cell && now == EXAMPLE && in == PARAGRAPH) text_puts(&d->out, "\n");
		if (example && d->html)
			escaped(d, s + 4, n - 4);
		else if (example)
			escaped(d, s, n);
		else
			put_line(d, s, n);
		if (s[n] && (!cell || s[n + 1])) text_puts(&d->out, cell ? " " : "\n");
		in = (__typeof__(in))now;
		s += n + (s[n] == '\n');
	}
	if (d->html && !cell && in != NONE)
		text_puts(&d->out, in == EXAMPLE ? "</code></pre>\n" : "</p>\n");
}

static void table_begin(Doc *d, const char *const *titles)
{
	uint32_t n = 0;
	text_puts(&d->out, d->html ? "<table><tr>" : "\n|");
	for (; titles[n]; n++) text_printf(&d->out, d->html ? "<th>%s</th>" : " %s |", titles[n]);
	text_puts(&d->out, d->html ? "</tr>\n" : "\n|");
	for (uint32_t i = 0; i < n && !d->html; i++) text_puts(&d->out, "---|");
	if (!d->html) text_puts(&d->out, "\n");
	d->columns = n;
}

static void cell_begin(Doc *d, bool first)
{
	if (d->html)
		text_puts(&d->out, first ? "<tr><td>" : "</td><td>");
	else
		text_puts(&d->out, first ? "| " : " | ");
}

static void row_end(Doc *d)
{
	text_puts(&d->out, d->html ? "</td></tr>\n" : " |\n");
}

static void table_finish(Doc *d)
{
	if (d->columns && d->html) text_puts(&d->out, "</table>\n");
	d->columns = 0;
}

static void cell_code(Doc *d, bool first, const char *s)
{
	cell_begin(d, first);
	put_code(d, s);
}

/* --- what a file offers ---------------------------------------------------------------------------------- */

static const char *name_with_index(Doc *d, const Ast *n)
{
	return n->list.n ? arena_printf(d->t->arena, "%s%s", n->name, flat(d, n->list.at[0])) : n->name;
}

/* Members also inside `if`, with the conditions around them. */
typedef struct Found {
	const Ast *member;
	const char *when;
} Found;
typedef VEC(Found) FoundList;

static void members_find(Doc *d, const AstList *l, const char *when, FoundList *out)
{
	for (size_t i = 0; i < l->n; i++) {
		const Ast *m = l->at[i];
		if (!m) continue;
		if (m->kind != AST_MEMBER_IF) {
			vec_push(d->t->arena, out, ((Found){m, when}));
			continue;
		}
		const char *c = m->a ? flat(d, m->a) : "", *and = *when && *c ? " and " : "";
		members_find(d, &m->list, arena_printf(d->t->arena, "%s%s%s", when, and, c), out);
		const char *no = arena_printf(d->t->arena, "%s%snot (%s)", when, *when ? " and " : "", c);
		members_find(d, &m->list2, no, out);
	}
}

static void parameters(Doc *d, const Ast *unit)
{
	if (!unit->list.n) return;
	table_begin(d, (const char *const[]){"parameter", "type", "default", "", NULL});
	for (size_t i = 0; i < unit->list.n; i++) {
		const Ast *p = unit->list.at[i];
		cell_code(d, true, p->name);
		cell_code(d, false, flat(d, p->a));
		cell_begin(d, false);
		if (p->b) put_name(d, flat(d, p->b), flat(d, p->b));
		cell_begin(d, false);
		put_comment(d, comment_behind(d, p->span.end));
		row_end(d);
	}
	table_finish(d);
}

static const char *condition_of(Doc *d, const Found *f)
{
	if (!f->member->c || f->member->kind == AST_STATE) return f->when;
	return arena_printf(d->t->arena, "%s%s%s", f->when, *f->when ? " and " : "",
	                    flat(d, f->member->c));
}

static void weights(Doc *d, const FoundList *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const Ast *m = l->at[i].member;
		if (m->kind != AST_WEIGHT) continue;
		if (!d->columns)
			table_begin(d, (const char *const[]){"weight", "type", "key", "if", "", NULL});
		cell_code(d, true, name_with_index(d, m));
		cell_code(d, false, flat(d, m->a));
		cell_code(d, false, m->b ? flat(d, m->b) : arena_printf(d->t->arena, "\"%s\"", m->name));
		cell_code(d, false, condition_of(d, &l->at[i]));
		cell_begin(d, false);
		if (find_attribute(m, "buffer"))
			text_puts(&d->out, *comment_of(d, m) ? "a buffer. " : "a buffer");
		put_comment(d, comment_of(d, m));
		row_end(d);
	}
	table_finish(d);
}

static void uses(Doc *d, const FoundList *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const Ast *m = l->at[i].member;
		if (m->kind != AST_USE) continue;
		if (!d->columns)
			table_begin(d, (const char *const[]){"part", "layer", "key", "if", "", NULL});
		cell_code(d, true, name_with_index(d, m));
		cell_begin(d, false);
		put_name(d, m->a->a->name, flat(d, m->a));
		cell_code(d, false, m->b ? flat(d, m->b) : arena_printf(d->t->arena, "\"%s\"", m->name));
		cell_code(d, false, condition_of(d, &l->at[i]));
		cell_begin(d, false);
		put_comment(d, comment_of(d, m));
		row_end(d);
	}
	table_finish(d);
}

static void states(Doc *d, const FoundList *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const Ast *m = l->at[i].member;
		if (m->kind != AST_STATE) continue;
		if (!d->columns)
			table_begin(d, (const char *const[]){"state", "type", "begins as", "", NULL});
		cell_code(d, true, m->name);
		cell_code(d, false,
		          m->b ? arena_printf(d->t->arena, "%s in %s", flat(d, m->a), flat(d, m->b))
		               : flat(d, m->a));
		cell_code(d, false, m->c ? flat(d, m->c) : "0");
		cell_begin(d, false);
		put_comment(d, comment_of(d, m));
		row_end(d);
	}
	table_finish(d);
}

static void undocumented(Doc *d, const Ast *n)
{
	if (d->t->a.strict)
		diag_warning(&d->t->d, n->op_span, "%s `%s` has no comment", kind_of(n), n->name);
}

static void functions(Doc *d, const FoundList *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const Ast *m = l->at[i].member;
		bool variant = m->kind == AST_ENTRY_OF;
		if ((m->kind != AST_DEF && !variant) || m->name[0] == '_') continue;
		const char *comment = comment_of(d, m);
		code_block(d, flat(d, m));
		put_comment(d, comment);
		if (!*comment && !variant && strcmp(m->name, "forward") != 0) undocumented(d, m);
	}
}

static void unit(Doc *d, const Ast *n)
{
	heading(d, 3, anchor_of(d, n), arena_printf(d->t->arena, "%s %s", kind_of(n), n->name));
	const char *comment = comment_of(d, n);
	if (!*comment) undocumented(d, n);
	code_block(d, flat(d, n));
	put_comment(d, comment);
	if (n->kind == AST_DEF) return;
	FoundList members = {0};
	members_find(d, &n->list2, "", &members);
	parameters(d, n);
	weights(d, &members);
	uses(d, &members);
	states(d, &members);
	functions(d, &members);
}

/* Dims and constants of the file. */
static void constants(Doc *d)
{
	for (size_t i = 0; i < d->file->list.n; i++) {
		const Ast *n = d->file->list.at[i];
		if (!n || (n->kind != AST_LET && n->kind != AST_DIM)) continue;
		if (!d->columns) table_begin(d, (const char *const[]){"constant or dim", "", NULL});
		cell_code(d, true, flat(d, n));
		cell_begin(d, false);
		put_comment(d, comment_of(d, n));
		row_end(d);
	}
	table_finish(d);
}

/* A full stop at comment[n], which "et al." is not. */
static bool sentence_ends(const char *comment, size_t n)
{
	if (comment[n] != '.' || (comment[n + 1] != ' ' && comment[n + 1] != '\n')) return false;
	return n < 5 || memcmp(comment + n - 5, "et al", 5) != 0;
}

static const char *first_sentence(Doc *d, const char *comment)
{
	size_t n = 0;
	while (comment[n] && !sentence_ends(comment, n) &&
	       !(comment[n] == '\n' && (comment[n + 1] == '\n' || comment[n + 1] == ' ')))
		n++;
	char *s = arena_strndup(d->t->arena, comment, n);
	for (char *c = s; *c; c++)
		if (*c == '\n') *c = ' ';
	return s;
}

static void contents(Doc *d)
{
	for (size_t i = 0; i < d->file->list.n; i++) {
		const Ast *n = d->file->list.at[i];
		if (!is_unit(n)) continue;
		if (!d->columns) table_begin(d, (const char *const[]){"name", "", NULL});
		cell_begin(d, true);
		put_name(d, n->name, n->name);
		cell_begin(d, false);
		put_comment(d, first_sentence(d, comment_of(d, n)));
		row_end(d);
	}
	table_finish(d);
}

/* The comment that the file begins with, unless it is that of its first declaration. */
static void file_comment(Doc *d)
{
	uint32_t to = 0;
	while (to < d->s->lines && is_comment(d, to) && !is_section(d, to)) to++;
	for (size_t i = 0; i < d->file->list.n; i++)
		if (d->file->list.at[i] && is_unit(d->file->list.at[i]) &&
		    first_line(d, d->file->list.at[i]) == to)
			return;
	put_comment(d, comment_lines(d, 0, to));
}

/* Section headings between the lines [from, to). */
static void sections(Doc *d, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		if (!is_comment(d, i) || !is_section(d, i)) continue;
		uint32_t n;
		const char *s = line_text(d, i, &n);
		const char *end = s + n;
		while (s < end && strchr("# -", *s)) s++;
		while (end > s && strchr(" -", end[-1])) end--;
		if (end > s) heading(d, 2, NULL, arena_strndup(d->t->arena, s, (size_t)(end - s)));
	}
}

static const char *const style =
	"body{font:16px/1.5 \"Inter\",\"Segoe UI\",Helvetica,Arial,sans-serif;max-width:60em;margin:2em "
	"auto;padding:0 1em;color:#1f2733;background:#fff}"
	"code{font:.9em/1.45 ui-monospace,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;background:#f1f3f5;padding:.1em .3em;"
	"border-radius:4px}pre{background:#f1f3f5;padding:.8em 1em;border-radius:8px;overflow:auto;white-space:pre-wrap}"
	"pre code{padding:0}table{border-collapse:collapse;margin:.8em 0}td,th{border:1px solid #d5dbe3;padding:.3em "
	".6em;text-align:left;vertical-align:top}a{color:#2b63c4;text-decoration:none}h2{margin-top:2em}h3{margin-top:1.8em;"
	"border-top:1px solid #d5dbe3;padding-top:.8em}"
	"@media(prefers-color-scheme:dark){body{color:#e3e8ef;background:#14181e}code,pre{background:#222a34}td,th,h3{border-"
	"color:#3b4654}a{color:#79b0ff}}";

static void page_begin(Doc *d, const char *title)
{
	if (!d->html) return;
	text_puts(&d->out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	                   "<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>");
	put(d, title);
	text_printf(&d->out, "</title>\n<style>%s</style>\n</head>\n<body>\n", style);
}

static void document(Doc *d, const char *title)
{
	heading(d, 1, NULL, title);
	file_comment(d);
	contents(d);
	constants(d);
	uint32_t line = 0;
	for (size_t i = 0; i < d->file->list.n; i++) {
		const Ast *n = d->file->list.at[i];
		if (!is_unit(n)) continue;
		sections(d, line, first_line(d, n));
		line = first_line(d, n);
		unit(d, n);
	}
}

/* A file, or a part of the standard library by its name in imports. */
static const Source *library_open(Tool *t, const char *name)
{
	for (const FrontendStdFile *f = frontend_std; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return source_from_text(t->arena, arena_printf(t->arena, "%s.nac", name), f->text,
			                        strlen(f->text));
	return source_open(t, name);
}

bool command_doc(Tool *t)
{
	Doc d = {.t = t, .html = t->a.html, .out = text_new(t->arena)};
	if (t->a.out && !path_writable(t, t->a.out)) return false;
	for (size_t i = 0; i < t->a.files.n; i++) {
		const char *name = t->a.files.at[i];
		d.s = library_open(t, name);
		if (!d.s) return false;
		uint32_t errors = 0;
		d.file = ast_parse(t->arena, t->names, &t->d, d.s, &errors);
		if (errors || !d.file)
			return t->d.errors ? false : tool_fail(t, "'%s' cannot be read as a model file", name);
		const char *slash = strrchr(d.s->name, '/');
		const char *base = strncmp(d.s->name, "std/", 4) == 0 ? d.s->name
		                   : slash                            ? slash + 1
		                                                      : d.s->name;
		size_t n = strlen(base);
		const char *title = arena_strndup(t->arena, base, path_ends(base, ".nac") ? n - 4 : n);
		if (i == 0) page_begin(&d, title);
		document(&d, title);
	}
	if (d.html) text_puts(&d.out, "</body>\n</html>\n");
	return write_text(t, &d.out);
}
