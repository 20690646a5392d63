/* Formats a model file: blanks between tokens, indentation by brackets, no blanks at the ends of
 * lines. Line breaks, comments and groups of lines stay the author's, and so does what stands in
 * columns: where a wide gap lines up with a neighbouring line, the column is kept (and moved when what
 * is before it changes). The result parses to the same tree, or nothing is given. */
#include "frontend/ast.h"
#include "frontend/frontend.h"

#include <stdlib.h>
#include <string.h>

typedef enum FormatKind {
	FORMAT_WORD, /* a name, a number, a string, `...` */
	FORMAT_KEYWORD,
	FORMAT_OPEN,
	FORMAT_CLOSE,
	FORMAT_COMMA,
	FORMAT_COLON, /* of a type; that of a slice is an operator */
	FORMAT_OPTIONAL,
	FORMAT_OPERATOR,
	FORMAT_UNARY,
	FORMAT_COMMENT
} FormatKind;

typedef struct FormatToken {
	uint32_t begin, end;
	uint32_t line;   /* number of its FormatLine */
	uint32_t gap;    /* blanks before it, as written */
	uint32_t column; /* from the line's first token, as written */
	uint32_t width;
	uint32_t space;  /* blanks before it in the result */
	uint32_t linked; /* another token of its column (a union-find), or itself */
	FormatKind kind;
	bool tight; /* operators: without blanks around */
} FormatToken;

typedef struct FormatLine {
	uint32_t first, count; /* tokens */
	uint32_t bracket;      /* which one it begins in: 0 outside all */
	uint32_t group;        /* lines between two blank lines */
	uint32_t cursor, at;   /* while columns are set: a token, and where it begins */
	bool blank_before, skipped;
} FormatLine;

typedef struct Format {
	Arena *arena;
	const Source *source;
	VEC(FormatToken) tokens;
	VEC(FormatLine) lines;
} Format;

enum { INDENT = 4, NEAR_LINES = 4, NEAR_SKIPPED = 16, NO_TOKEN = -1 };

/* --- tokens --------------------------------------------------------------------------------------- */

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool text_in(const char *s, size_t n, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i]) == n && memcmp(list[i], s, n) == 0) return true;
	return false;
}

static const char *number_end(const char *s)
{
	while (is_digit(*s)) s++;
	if (s[0] == '.' && is_digit(s[1]))
		for (s++; is_digit(*s);) s++;
	const char *e = s;
	if (*e == 'e' || *e == 'E') {
		e++;
		if (*e == '+' || *e == '-') e++;
		if (is_digit(*e)) {
			while (is_digit(*e)) e++;
			return e;
		}
	}
	return s;
}

/* The end of the token at s, in a text that has been parsed without errors. */
static const char *token_end(const char *s, FormatKind *kind)
{
	static const char *const keyword[] = {"let", "def",   "from", "return", "for",
	                                      "in",  "if",    "else", "and",    "or",
	                                      "not", "yield", "as",   "assert", "where"};
	static const char *const pair[] = {
		"->", "..", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "//"};
	const char *e = s;
	*kind = FORMAT_WORD;
	if (*s == '#') {
		*kind = FORMAT_COMMENT;
		while (*e && *e != '\n') e++;
		while (e[-1] == ' ' || e[-1] == '\t' || e[-1] == '\r') e--;
		return e;
	}
	if (*s == '"') {
		for (e++; *e && *e != '"' && *e != '\n';) e++;
		return *e == '"' ? e + 1 : e;
	}
	if (is_digit(*s)) return number_end(s);
	if (is_word(*s)) {
		while (is_word(*e)) e++;
		if (text_in(s, (size_t)(e - s), keyword, COUNT(keyword))) *kind = FORMAT_KEYWORD;
		return e;
	}
	if (strncmp(s, "...", 3) == 0) return s + 3;
	*kind = FORMAT_OPERATOR;
	if (s[1] && text_in(s, 2, pair, COUNT(pair))) return s + 2;
	if (strchr("([{", *s)) *kind = FORMAT_OPEN;
	if (strchr(")]}", *s)) *kind = FORMAT_CLOSE;
	if (*s == ',') *kind = FORMAT_COMMA;
	if (*s == ':') *kind = FORMAT_COLON;
	if (*s == '?') *kind = FORMAT_OPTIONAL;
	return s + 1;
}

static uint32_t width_of(const char *s, const char *end)
{
	uint32_t n = 0;
	for (; s < end; s++) n += ((uint8_t)*s & 0xc0) != 0x80;
	return n;
}

static void line_begin(Format *f, uint32_t breaks)
{
	FormatLine line = {.first = (uint32_t)f->tokens.n};
	if (f->lines.n) {
		line.blank_before = breaks > 1;
		line.group = f->lines.at[f->lines.n - 1].group + line.blank_before;
	}
	vec_push(f->arena, &f->lines, line);
}

static void read_tokens(Format *f)
{
	const char *s = f->source->text, *end = s + f->source->size;
	uint32_t breaks = 1, column = 0, origin = 0, gap = 0;
	while (s < end) {
		if (*s == '\n') {
			breaks++;
			column = 0;
		} else if (*s == '\t') {
			column += 4 - column % 4;
			gap += 2; /* wide */
		} else if (*s == ' ') {
			column++;
			gap++;
		}
		if (*s == '\n' || *s == '\t' || *s == ' ' || *s == '\r') {
			s++;
			continue;
		}
		if (breaks) {
			line_begin(f, breaks);
			origin = column;
			gap = 0;
		}
		breaks = 0;
		FormatToken t = {
			.begin = (uint32_t)(s - f->source->text), .gap = gap, .column = column - origin};
		const char *e = token_end(s, &t.kind);
		t.end = (uint32_t)(e - f->source->text);
		t.width = width_of(s, e);
		t.line = (uint32_t)f->lines.n - 1;
		t.linked = (uint32_t)f->tokens.n;
		vec_push(f->arena, &f->tokens, t);
		f->lines.at[t.line].count++;
		column += t.width;
		gap = 0;
		s = e;
	}
}

static char text_of(const Format *f, const FormatToken *t)
{
	return f->source->text[t->begin];
}

static bool token_is(const Format *f, const FormatToken *t, const char *text)
{
	size_t n = strlen(text);
	return t->end - t->begin == n && memcmp(f->source->text + t->begin, text, n) == 0;
}

/* --- blanks ----------------------------------------------------------------------------------------- */

static bool first_of_line(const Format *f, size_t i)
{
	return f->lines.at[f->tokens.at[i].line].first == i;
}

/* Does an operator here stand before its only operand? */
static bool is_unary(const Format *f, const FormatToken *prev, bool starts, const FormatToken *t)
{
	if (!strchr("-+*@", text_of(f, t)) || t->end - t->begin != 1) return false;
	if (starts || !prev) return true;
	switch (prev->kind) {
	case FORMAT_KEYWORD:
	case FORMAT_OPEN:
	case FORMAT_COMMA:
	case FORMAT_COLON:
	case FORMAT_OPERATOR:
	case FORMAT_UNARY: return true;
	default: return false;
	}
}

/* Arithmetic is tight when the author wrote it so on both sides: `3*D + 1`. */
static bool is_tight(const Format *f, size_t i, char bracket, const FormatToken *prev,
                     const FormatToken *before)
{
	const FormatToken *t = &f->tokens.at[i];
	bool last = i + 1 == f->tokens.n || f->tokens.at[i + 1].line != t->line ||
	            f->tokens.at[i + 1].kind == FORMAT_COMMENT;
	if (token_is(f, t, ".") || token_is(f, t, "..")) return true;
	if (token_is(f, t, "="))
		return bracket == '(' && prev && prev->kind == FORMAT_WORD && before &&
		       (before->kind == FORMAT_OPEN || before->kind == FORMAT_COMMA);
	bool left = !first_of_line(f, i) && t->gap == 0, right = !last && f->tokens.at[i + 1].gap == 0;
	if (token_is(f, t, ":")) {
		if (!prev || last || prev->kind == FORMAT_OPEN || prev->kind == FORMAT_COMMA) return true;
		FormatKind next = f->tokens.at[i + 1].kind;
		return next == FORMAT_CLOSE || next == FORMAT_COMMA || left || right;
	}
	bool arithmetic =
		token_is(f, t, "//") || (t->end - t->begin == 1 && strchr("+-*/%^@", text_of(f, t)));
	return arithmetic && left && right;
}

/* Blanks between two tokens of a line: 0 or 1. */
static uint32_t space_between(const Format *f, const FormatToken *prev, const FormatToken *t,
                              bool prev_starts)
{
	static const char *const soft[] = {"import", "layer", "model", "entry",   "weight",
	                                   "use",    "state", "test",  "session", "require"};
	char open = prev->kind == FORMAT_OPEN ? text_of(f, prev) : 0, now = text_of(f, t);
	if (t->kind == FORMAT_COMMENT) return 1;
	if (open == '{') return !(t->kind == FORMAT_CLOSE);
	if (open || t->kind == FORMAT_COMMA) return 0;
	if (t->kind == FORMAT_CLOSE) return now == '}';
	if (prev->kind == FORMAT_COMMA || (prev->kind == FORMAT_CLOSE && text_of(f, prev) == '}'))
		return 1;
	if (t->kind == FORMAT_OPEN && now == '{') return 1;
	if (t->kind == FORMAT_OPTIONAL || t->kind == FORMAT_COLON || prev->kind == FORMAT_UNARY)
		return 0;
	if (prev->kind == FORMAT_OPERATOR) return !prev->tight;
	if (t->kind == FORMAT_OPERATOR) return !t->tight;
	if (prev->kind == FORMAT_COLON || t->kind != FORMAT_OPEN) return 1;
	if (token_is(f, prev, "where")) return t->gap > 0;
	if (prev->kind == FORMAT_KEYWORD) return 1;
	/* `require (a) <= b` is a statement, `require(a)` a call */
	if (prev_starts &&
	    text_in(f->source->text + prev->begin, prev->end - prev->begin, soft, COUNT(soft)))
		return t->gap > 0;
	return 0;
}

static void set_spaces(Format *f)
{
	const FormatToken *prev = NULL, *before = NULL;
	struct {
		char open;
		uint32_t number;
	} stack[NEST_LIMIT + 1] = {{'{', 0}};
	uint32_t depth = 0, brackets = 0;
	bool prev_starts = false;
	for (size_t i = 0; i < f->tokens.n; i++) {
		FormatToken *t = &f->tokens.at[i];
		FormatLine *line = &f->lines.at[t->line];
		bool first = line->first == i;
		if (first) {
			line->bracket = stack[depth].number;
			line->skipped = t->kind == FORMAT_COMMENT || text_of(f, t) == '@';
		}
		bool starts = stack[depth].open == '{' &&
		              (first || !prev || (prev->kind == FORMAT_OPEN && text_of(f, prev) == '{'));
		if (t->kind == FORMAT_COLON && stack[depth].open == '[') t->kind = FORMAT_OPERATOR;
		if (t->kind == FORMAT_OPERATOR && is_unary(f, prev, starts, t)) t->kind = FORMAT_UNARY;
		if (t->kind == FORMAT_OPERATOR) t->tight = is_tight(f, i, stack[depth].open, prev, before);
		t->space = first ? 0 : space_between(f, &f->tokens.at[i - 1], t, prev_starts);
		if (t->kind == FORMAT_COMMENT) continue;
		if (t->kind == FORMAT_OPEN && depth < NEST_LIMIT) {
			stack[++depth].open = text_of(f, t);
			stack[depth].number = ++brackets;
		} else if (t->kind == FORMAT_CLOSE && depth) {
			depth--;
		}
		prev_starts = starts;
		before = prev;
		prev = t;
	}
}

/* --- columns ------------------------------------------------------------------------------------------ */

static uint32_t column_root(Format *f, uint32_t i)
{
	while (f->tokens.at[i].linked != i) {
		f->tokens.at[i].linked = f->tokens.at[f->tokens.at[i].linked].linked;
		i = f->tokens.at[i].linked;
	}
	return i;
}

/* The token of a line that begins at a column and has blanks before it, else NO_TOKEN. */
static int64_t token_at(const Format *f, const FormatLine *line, const FormatToken *like)
{
	uint32_t lo = line->first, hi = line->first + line->count;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (f->tokens.at[mid].column <= like->column)
			lo = mid;
		else
			hi = mid;
	}
	const FormatToken *t = &f->tokens.at[lo];
	bool fits = lo > line->first && t->column == like->column && t->gap > 0 && t->space > 0 &&
	            (t->kind == FORMAT_COMMENT) == (like->kind == FORMAT_COMMENT);
	return fits ? (int64_t)lo : NO_TOKEN;
}

/* Links a token behind a wide gap with the nearest of its column above (step -1) or below. */
static bool link_near(Format *f, uint32_t i, int step)
{
	const FormatToken *t = &f->tokens.at[i];
	const FormatLine *line = &f->lines.at[t->line];
	uint32_t seen = 0, skipped = 0;
	for (int64_t k = (int64_t)t->line + step; k >= 0 && k < (int64_t)f->lines.n; k += step) {
		const FormatLine *other = &f->lines.at[k];
		if (other->group != line->group || seen == NEAR_LINES || skipped == NEAR_SKIPPED)
			return false;
		if (other->skipped) {
			skipped++;
			continue;
		}
		seen++;
		if (other->bracket != line->bracket) continue;
		int64_t found = token_at(f, other, t);
		if (found == NO_TOKEN) continue;
		f->tokens.at[column_root(f, i)].linked = column_root(f, (uint32_t)found);
		return true;
	}
	return false;
}

typedef struct ColumnMember {
	uint32_t column, root, token;
} ColumnMember;

static int member_order(const void *a, const void *b)
{
	const ColumnMember *x = a, *y = b;
	if (x->column != y->column) return x->column < y->column ? -1 : 1;
	if (x->root != y->root) return x->root < y->root ? -1 : 1;
	return x->token < y->token ? -1 : x->token > y->token;
}

/* Where the token before this one ends in the result. Asked from left to right in each line. */
static uint32_t end_before(Format *f, uint32_t i)
{
	FormatLine *line = &f->lines.at[f->tokens.at[i].line];
	if (line->cursor < line->first) {
		line->cursor = line->first;
		line->at = 0;
	}
	while (line->cursor + 1 < i) {
		line->at += f->tokens.at[line->cursor].width;
		line->cursor++;
		line->at += f->tokens.at[line->cursor].space;
	}
	return line->at + f->tokens.at[line->cursor].width;
}

/* One column: its narrowest gap stays, the others follow. */
static void set_column(Format *f, const ColumnMember *member, size_t n)
{
	uint32_t gap = UINT32_MAX, to = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t own = f->tokens.at[member[i].token].gap;
		if (own < gap) gap = own;
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t at = end_before(f, member[i].token) + gap;
		if (at > to) to = at;
	}
	for (size_t i = 0; i < n; i++)
		f->tokens.at[member[i].token].space = to - end_before(f, member[i].token);
}

static void set_columns(Format *f)
{
	bool *in = NEW_ARRAY(f->arena, bool, f->tokens.n + 1);
	for (uint32_t i = 0; i < f->tokens.n; i++) {
		FormatToken *t = &f->tokens.at[i];
		if (t->space == 0 || t->gap < 2) continue;
		bool linked = false;
		if (!f->lines.at[t->line].skipped) {
			linked = link_near(f, i, -1);
			linked = link_near(f, i, 1) || linked;
		}
		if (!linked && t->kind == FORMAT_COMMENT) t->space = t->gap;
	}
	for (uint32_t i = 0; i < f->tokens.n; i++)
		if (f->tokens.at[i].linked != i) in[i] = in[column_root(f, i)] = true;
	VEC(ColumnMember) members = {0};
	for (uint32_t i = 0; i < f->tokens.n; i++) {
		if (!in[i]) continue;
		ColumnMember m = {f->tokens.at[i].column, column_root(f, i), i};
		vec_push(f->arena, &members, m);
	}
	if (members.n) qsort(members.at, members.n, sizeof *members.at, member_order);
	for (size_t i = 0, k; i < members.n; i = k) {
		for (k = i; k < members.n && members.at[k].root == members.at[i].root;) k++;
		set_column(f, &members.at[i], k - i);
	}
}

/* --- lines -------------------------------------------------------------------------------------------- */

typedef struct FormatBracket {
	char open;
	uint32_t inside, close; /* indentation of lines in it, and of its end */
} FormatBracket;

/* What follows a bracket on its line gives the indentation of the next lines; after a bracket at the
 * end of a line they are indented by one step. */
static FormatBracket bracket_opened(const Format *f, size_t i, FormatBracket outer, uint32_t indent,
                                    uint32_t column)
{
	const FormatToken *t = &f->tokens.at[i];
	FormatBracket b = {text_of(f, t), indent + INDENT, indent};
	if (b.open == '{') {
		if (outer.open == '{') b = (FormatBracket){'{', outer.inside + INDENT, outer.inside};
		return b;
	}
	bool follows = i + 1 < f->tokens.n && f->tokens.at[i + 1].line == t->line &&
	               f->tokens.at[i + 1].kind != FORMAT_COMMENT;
	if (follows) b = (FormatBracket){b.open, column + 1, column};
	return b;
}

static void write_blanks(Text *out, uint32_t n)
{
	for (; n > 64; n -= 64) text_printf(out, "%64s", "");
	text_printf(out, "%*s", (int)n, "");
}

static void write_lines(const Format *f, Text *out)
{
	FormatBracket stack[NEST_LIMIT + 1] = {{'{', 0, 0}};
	uint32_t depth = 0;
	for (size_t k = 0; k < f->lines.n; k++) {
		const FormatLine *line = &f->lines.at[k];
		const FormatToken *first = &f->tokens.at[line->first];
		uint32_t indent = first->kind == FORMAT_CLOSE ? stack[depth].close : stack[depth].inside;
		/* the results of a def that has no place for them on its line */
		if (stack[depth].open == '{' && token_is(f, first, "->")) indent += 2 * INDENT;
		if (line->blank_before) text_puts(out, "\n");
		uint32_t column = indent;
		write_blanks(out, indent);
		for (size_t i = line->first; i < line->first + line->count; i++) {
			const FormatToken *t = &f->tokens.at[i];
			write_blanks(out, t->space);
			text_append(out, f->source->text + t->begin, t->end - t->begin);
			column += t->space;
			if (t->kind == FORMAT_OPEN && depth < NEST_LIMIT) {
				FormatBracket b = bracket_opened(f, i, stack[depth], indent, column);
				stack[++depth] = b;
			} else if (t->kind == FORMAT_CLOSE && depth) {
				depth--;
			}
			column += t->width;
		}
		text_puts(out, "\n");
	}
}

/* --- the whole ---------------------------------------------------------------------------------------- */

static bool same_tree(const Ast *a, const Ast *b);

static bool same_trees(const AstList *a, const AstList *b)
{
	if (a->n != b->n) return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_tree(a->at[i], b->at[i])) return false;
	return true;
}

/* All that a tree says, places excepted. Trees are of bounded depth. */
static bool same_tree(const Ast *a, const Ast *b)
{
	if (!a || !b) return a == b;
	if (a->kind != b->kind || a->op != b->op || a->flag != b->flag || a->flag2 != b->flag2)
		return false;
	if (a->name != b->name || !a->text != !b->text || (a->text && strcmp(a->text, b->text) != 0))
		return false;
	if (a->integer != b->integer || memcmp(&a->number, &b->number, sizeof a->number) != 0)
		return false;
	return same_tree(a->a, b->a) && same_tree(a->b, b->b) && same_tree(a->c, b->c) &&
	       same_tree(a->d, b->d) && same_trees(&a->list, &b->list) &&
	       same_trees(&a->list2, &b->list2) && same_trees(&a->generics, &b->generics) &&
	       same_trees(&a->results, &b->results) && same_trees(&a->attributes, &b->attributes);
}

bool format_source(Arena *a, Diags *d, const Source *s, Text *out)
{
	Interner *names = interner_new(a);
	uint32_t errors = 0;
	const Ast *before = ast_parse(a, names, d, s, &errors);
	if (!before || errors) return false;
	Format f = {.arena = a, .source = s};
	read_tokens(&f);
	set_spaces(&f);
	set_columns(&f);
	write_lines(&f, out);
	Diags quiet = {.arena = a, .frozen = true};
	const Ast *after = ast_parse(
		a, names, &quiet, source_from_text(a, s->name, out->at ? out->at : "", out->n), &errors);
	if (after && !errors && same_tree(before, after)) return true;
	diag_error(d, (Span){s, 0, 0}, "this file cannot be formatted without changing what it says");
	return false;
}
