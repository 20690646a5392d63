/* Messages: kept in the order in which they were reported, rendered with the source line
 * underlined. The shape is that of doc/language.md, "What a message looks like". */
#include "support/support.h"

#include <string.h>

enum { DEFAULT_LIMIT = 20, LONGEST_LINE = 160, TAB = 4 };

static uint32_t limit_of(const Diags *d)
{
	return d->limit ? d->limit : DEFAULT_LIMIT;
}

bool diags_full(const Diags *d)
{
	return d->errors >= limit_of(d);
}

/* A message that quotes something endless (a name of a megabyte) keeps its ends. */
static const char *shortened(Arena *a, const char *s)
{
	enum { LONGEST = 4000, HEAD = 2000, TAIL = 500 };
	size_t n = strlen(s);
	if (n <= LONGEST) return s;
	size_t head = HEAD, tail = n - TAIL;
	while (head > 0 && ((uint8_t)s[head] & 0xc0) == 0x80) head--;
	while (tail < n && ((uint8_t)s[tail] & 0xc0) == 0x80) tail++;
	return arena_printf(a, "%.*s ... %s", (int)head, s, s + tail);
}

static Diag *diag_new(Diags *d, DiagSeverity severity, Span at, const char *fmt, va_list ap)
{
	Diag *m = NEW(d->arena, Diag);
	m->severity = severity;
	m->span = at;
	m->text = shortened(d->arena, arena_vprintf(d->arena, fmt, ap));
	return m;
}

static Diag *report(Diags *d, DiagSeverity severity, Span at, const char *fmt, va_list ap)
{
	Diag *m = diag_new(d, severity, at, fmt, ap);
	if (d->frozen) return m;
	if (severity == DIAG_ERROR) d->errors++;
	if (severity != DIAG_ERROR || d->errors <= limit_of(d)) vec_push(d->arena, &d->list, m);
	return m;
}

Diag *diag_error(Diags *d, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	Diag *m = report(d, DIAG_ERROR, at, fmt, ap);
	va_end(ap);
	return m;
}

Diag *diag_warning(Diags *d, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	Diag *m = report(d, DIAG_WARNING, at, fmt, ap);
	va_end(ap);
	return m;
}

Diag *diag_remark(Diags *d, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	Diag *m = report(d, DIAG_NOTE, at, fmt, ap);
	va_end(ap);
	return m;
}

void diag_note(Diags *d, Diag *of, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	Diag *m = diag_new(d, DIAG_NOTE, at, fmt, ap);
	va_end(ap);
	vec_push(d->arena, &of->parts, m);
}

void diag_help(Diags *d, Diag *of, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	Diag *m = diag_new(d, DIAG_HELP, span_none(), fmt, ap);
	va_end(ap);
	vec_push(d->arena, &of->parts, m);
}

void diag_also(Diag *of, Span range)
{
	if (of->n_also < COUNT(of->also)) of->also[of->n_also++] = range;
}

/* --- rendering --- */

/* A source line without its end: bytes [from, to). */
typedef struct Line {
	const Source *source;
	uint32_t number, from, to;
} Line;

static Line line_at(const Source *s, uint32_t offset)
{
	Line l = {s, source_place(s, offset).line, 0, (uint32_t)s->size};
	l.from = s->line_start[l.number - 1];
	if (l.number < s->lines) l.to = s->line_start[l.number] - 1;
	if (l.to > l.from && s->text[l.to - 1] == '\r') l.to--;
	return l;
}

static bool continues(const Source *s, uint32_t at)
{
	return at < s->size && ((uint8_t)s->text[at] & 0xc0) == 0x80;
}

/* Cuts a very long line (a file without line ends) to what surrounds the byte `around`. */
static void line_cut(Line *l, uint32_t around)
{
	if (l->to - l->from <= LONGEST_LINE) return;
	if (around > l->from + LONGEST_LINE / 2) l->from = around - LONGEST_LINE / 2;
	if (l->to - l->from > LONGEST_LINE) l->to = l->from + LONGEST_LINE;
	while (l->from < l->to && continues(l->source, l->from)) l->from++;
	while (l->to > l->from && continues(l->source, l->to)) l->to--;
}

/* Sets the marks (one a byte, and one for the line's end) of the part of range in the line. */
static void underline(char *marks, const Line *l, Span range, char with)
{
	if (range.source != l->source || range.begin > l->to) return;
	uint32_t end = range.end > range.begin ? range.end : range.begin + 1;
	if (end <= l->from) return;
	if (end > l->to + 1) end = l->to + 1;
	for (uint32_t i = range.begin > l->from ? range.begin : l->from; i < end; i++) {
		if (i == l->to && i > range.begin) break; /* the end is marked only when it is all */
		marks[i - l->from] = with;
	}
}

/* Is the byte at i within a character that began before it? */
static bool inside_character(const Line *l, uint32_t i)
{
	for (uint32_t back = 1; back < 4 && i >= l->from + back; back++)
		if (utf8_length(l->source->text + i - back, l->to - (i - back)) > back) return true;
	return false;
}

/* How many columns the byte at i takes: none inside a UTF-8 character, up to the next stop for a
 * tab, which is shown as spaces so that the two lines agree on any terminal. */
static size_t cell_width(const Line *l, uint32_t i, size_t column)
{
	if (i < l->to && inside_character(l, i)) return 0;
	return i < l->to && l->source->text[i] == '\t' ? TAB - column % TAB : 1;
}

static void render_line(const Diag *m, Text *out)
{
	Line l = line_at(m->span.source, m->span.begin);
	line_cut(&l, m->span.begin);
	const char *text = l.source->text;
	size_t n = l.to - l.from;
	char *marks = arena_alloc(out->arena, n + 2);
	memset(marks, ' ', n + 1);
	for (uint32_t i = 0; i < m->n_also; i++) underline(marks, &l, m->also[i], '~');
	underline(marks, &l, m->span, '^');

	char number[16];
	int width = snprintf(number, sizeof number, " %4u", l.number);
	text_printf(out, "%s | ", number);
	size_t column = 0;
	for (uint32_t i = l.from; i < l.to; i++) {
		uint8_t c = (uint8_t)text[i];
		size_t wide = cell_width(&l, i, column);
		bool shown = c >= 0x80 ? !wide || utf8_length(text + i, l.to - i) : c >= 0x20 && c != 0x7f;
		if (c == '\t')
			text_printf(out, "%*s", (int)wide, "");
		else
			text_append(out, shown ? &text[i] : "?", 1);
		column += wide;
	}
	text_printf(out, "\n%*s | ", width, "");
	size_t last = n + 1;
	while (last > 0 && marks[last - 1] == ' ') last--;
	column = 0;
	for (uint32_t i = l.from; i < l.from + last; i++) {
		size_t wide = cell_width(&l, i, column);
		for (size_t k = 0; k < wide; k++) text_append(out, &marks[i - l.from], 1);
		column += wide;
	}
	text_puts(out, "\n");
}

static void render(const Diag *m, Text *out, bool with_line)
{
	static const char *const word[] = {"error", "warning", "note", "help"};
	if (m->severity == DIAG_HELP) {
		text_printf(out, "   help: %s\n", m->text);
		return;
	}
	if (m->span.source) {
		SourcePlace p = source_place(m->span.source, m->span.begin);
		text_printf(out, "%s:%u:%u: ", m->span.source->name, p.line, p.column);
	}
	text_printf(out, "%s: %s\n", word[m->severity], m->text);
	if (with_line && m->span.source) render_line(m, out);
	for (size_t i = 0; i < m->parts.n; i++) render(m->parts.at[i], out, false);
}

void diags_render(const Diags *d, Text *out)
{
	for (size_t i = 0; i < d->list.n; i++) render(d->list.at[i], out, true);
	uint32_t more = d->errors > limit_of(d) ? d->errors - limit_of(d) : 0;
	if (more) text_printf(out, "%u more error%s not shown\n", more, more == 1 ? " is" : "s are");
}

void diags_print(const Diags *d, FILE *to)
{
	ArenaMark mark = arena_mark(d->arena);
	Text t = text_new(d->arena);
	diags_render(d, &t);
	fwrite(t.at, 1, t.n, to);
	arena_reset(d->arena, mark);
}

/* --- nearest names --- */

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance of words under LONGEST letters (Damerau-Levenshtein without
 * edits inside a transposed pair). */
static int distance(const char *a, const char *b)
{
	enum { LONGEST = 256 };
	size_t na = strlen(a), nb = strlen(b);
	int row[3][LONGEST];
	if (na >= LONGEST || nb >= LONGEST) return strcmp(a, b) == 0 ? 0 : LONGEST;
	for (size_t j = 0; j <= nb; j++) row[0][j] = (int)j;
	for (size_t i = 1; i <= na; i++) {
		int *now = row[i % 3], *was = row[(i + 2) % 3], *before = row[(i + 1) % 3];
		now[0] = (int)i;
		for (size_t j = 1; j <= nb; j++) {
			int best = was[j - 1] + (a[i - 1] != b[j - 1]);
			best = least(best, was[j] + 1);
			best = least(best, now[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = least(best, before[j - 2] + 1);
			now[j] = best;
		}
	}
	return row[na % 3][nb];
}

const char *nearest_name(const char *word, const char *const *names, size_t n)
{
	/* One edit up to five letters, more for longer words; a single letter is near nothing. */
	size_t letters = strlen(word);
	int within = letters < 2 ? 0 : letters < 6 ? 1 : least((int)(letters / 3), 6);
	const char *best = NULL;
	for (size_t i = 0; i < n; i++) {
		int d = distance(word, names[i]);
		if (d > within || (best && d == within)) continue;
		best = names[i];
		within = d;
	}
	/* else the only one that it begins: kernel, kernel_size */
	uint32_t begun = 0;
	for (size_t i = 0; i < n && letters > 2 && (!best || begun); i++) {
		if (strncmp(word, names[i], letters) != 0 || names[i][letters] != '_') continue;
		best = begun++ ? NULL : names[i];
	}
	return best;
}
