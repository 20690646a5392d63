/* Lexemes of .pasm text and the small readers above them. Statements end with their line; after an
 * error the rest of the line is skipped, so one mistake gives one message. `;` begins a comment. */
#include "isa/internal.h"

#include <string.h>

static char peek(const Assembler *s, uint32_t ahead)
{
	size_t at = (size_t)s->pos + ahead;
	return at < s->source->size ? s->source->text[at] : 0;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void lex_name(Assembler *s)
{
	while (is_letter(peek(s, 0)) || is_digit(peek(s, 0)) ||
	       (peek(s, 0) == '.' && (is_letter(peek(s, 1)) || is_digit(peek(s, 1)))))
		s->pos++;
	s->at.kind = LEX_NAME;
	s->at.text = arena_strndup(s->arena, s->source->text + s->at.begin, s->pos - s->at.begin);
}

static int digit_value(char c)
{
	if (is_digit(c)) return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void lex_number(Assembler *s)
{
	s->at.kind = LEX_NUMBER;
	s->at.whole = s->at.fits = true;
	bool hex = peek(s, 0) == '0' && peek(s, 1) == 'x';
	if (hex) s->pos += 2;
	for (;; s->pos++) {
		int v = digit_value(peek(s, 0));
		if (v < 0 || (!hex && v > 9)) break;
		if (__builtin_mul_overflow(s->at.value, hex ? 16u : 10u, &s->at.value) ||
		    __builtin_add_overflow(s->at.value, (unsigned)v, &s->at.value))
			s->at.fits = false;
	}
	if (hex) return;
	if (peek(s, 0) == '.' && peek(s, 1) != '.') {
		s->at.whole = false;
		do s->pos++;
		while (is_digit(peek(s, 0)));
	}
	char sign = peek(s, 1);
	if ((peek(s, 0) == 'e' || peek(s, 0) == 'E') &&
	    (is_digit(sign) || ((sign == '+' || sign == '-') && is_digit(peek(s, 2))))) {
		s->at.whole = false;
		s->pos += 2;
		while (is_digit(peek(s, 0))) s->pos++;
	}
}

static void lex_string(Assembler *s)
{
	Text t = text_new(s->arena);
	s->at.kind = LEX_STRING;
	for (s->pos++; peek(s, 0) != '"'; s->pos++) {
		char c = peek(s, 0);
		int high, low;
		if (s->pos >= s->source->size || c == '\n' || c == 0) {
			s->at.kind = LEX_BAD;
			s->at.text = "the string does not end on its line";
			return;
		}
		if (c == '\\') {
			c = peek(s, 1);
			if (c == 'n')
				c = '\n';
			else if (c == 'x' && (high = digit_value(peek(s, 2))) >= 0 &&
			         (low = digit_value(peek(s, 3))) >= 0 && high + low) {
				c = (char)(high * 16 + low);
				s->pos += 2;
			} else if (c != '"' && c != '\\') {
				s->at.kind = LEX_BAD;
				s->at.text = "unknown escape: there are \\n, \\\", \\\\ and \\xNN";
				return;
			}
			s->pos++;
		}
		text_append(&t, &c, 1);
	}
	s->pos++;
	s->at.text = t.at ? t.at : "";
}

void asm_next(Assembler *s)
{
	s->last_end = s->at.end;
	while (peek(s, 0) == ' ' || peek(s, 0) == '\t' || peek(s, 0) == '\r') s->pos++;
	if (peek(s, 0) == ';')
		while (s->pos < s->source->size && peek(s, 0) != '\n') s->pos++;
	char c = peek(s, 0), after = peek(s, 1);
	s->at = (Lexeme){.begin = s->pos};
	if (s->pos >= s->source->size)
		s->at.kind = LEX_END;
	else if (c == '\n') {
		s->at.kind = LEX_LINE;
		s->pos++;
	} else if (is_letter(c))
		lex_name(s);
	else if (is_digit(c))
		lex_number(s);
	else if (c == '"')
		lex_string(s);
	else {
		s->at.kind = c && strchr("{}[](),:=<>+-*/%#@.", c) ? LEX_MARK : LEX_BAD;
		s->at.text = "unexpected character";
		s->at.mark[0] = c;
		if ((c == '.' || c == '/') && after == c) s->at.mark[1] = c;
		s->pos += s->at.mark[1] ? 2 : 1;
	}
	s->at.end = s->pos;
}

bool asm_is(const Assembler *s, const char *what)
{
	if (s->at.kind == LEX_MARK) return strcmp(s->at.mark, what) == 0;
	return s->at.kind == LEX_NAME && strcmp(s->at.text, what) == 0;
}

bool asm_take(Assembler *s, const char *what)
{
	if (s->failed || !asm_is(s, what)) return false;
	asm_next(s);
	return true;
}

Span asm_span(const Assembler *s)
{
	/* the end of a line is pointed at just behind what stands on it */
	if (s->at.kind == LEX_LINE || s->at.kind == LEX_END)
		return (Span){s->source, s->last_end, s->last_end};
	return (Span){s->source, s->at.begin, s->at.end};
}

static Diag *error_at(Assembler *s, Span at, const char *text)
{
	bool frozen = s->d->frozen;
	s->d->frozen = frozen || s->failed; /* one message a line */
	Diag *d = diag_error(s->d, at, "%s", text);
	s->d->frozen = frozen;
	s->failed = true;
	return d;
}

void asm_error(Assembler *s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(s->arena, fmt, ap);
	va_end(ap);
	if (s->at.kind == LEX_BAD) text = s->at.text;
	error_at(s, asm_span(s), text);
}

Diag *asm_error_at(Assembler *s, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(s->arena, fmt, ap);
	va_end(ap);
	return error_at(s, at, text);
}

bool asm_expect(Assembler *s, const char *what)
{
	if (asm_take(s, what)) return true;
	asm_error(s, "expected `%s`", what);
	return false;
}

void asm_end_line(Assembler *s)
{
	if (!s->failed && s->at.kind != LEX_LINE && s->at.kind != LEX_END)
		asm_error(s, "expected the end of the line");
	while (s->at.kind != LEX_LINE && s->at.kind != LEX_END) asm_next(s);
	s->failed = false;
	if (s->at.kind == LEX_LINE) asm_next(s);
}

uint64_t asm_u64(Assembler *s, const char *what)
{
	if (s->failed || s->at.kind != LEX_NUMBER || !s->at.whole) {
		asm_error(s, "expected %s", what);
		return 0;
	}
	uint64_t v = s->at.value;
	if (!s->at.fits) asm_error(s, "the number does not fit 64 bits");
	asm_next(s);
	return v;
}

int64_t asm_int(Assembler *s, int64_t lo, int64_t hi, const char *what)
{
	Span at = asm_span(s);
	bool negative = asm_take(s, "-");
	uint64_t v = asm_u64(s, what), most = (uint64_t)INT64_MAX + negative;
	if (s->failed) return lo;
	at.end = s->last_end;
	int64_t value = negative ? (int64_t)(0 - v) : (int64_t)v;
	if (v <= most && value >= lo && value <= hi) return value;
	asm_error_at(s, at, "%s must lie in %lld..%lld", what, (long long)lo, (long long)hi);
	return lo;
}

const char *asm_text(Assembler *s, const char *what)
{
	if (s->failed || (s->at.kind != LEX_NAME && s->at.kind != LEX_STRING)) {
		asm_error(s, "expected %s", what);
		return "";
	}
	const char *text = s->at.text;
	asm_next(s);
	return text;
}
