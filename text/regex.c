/* Patterns. Hugging Face's are Oniguruma's (Ruby syntax, Unicode); PCRE2 reads nearly the same. What
 * differs is rewritten here (\s, \w) or refused, so that nothing matches silently otherwise. All of
 * PCRE2's memory comes from arenas. */
#include "text/tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

struct Regex {
	pcre2_code *code;
};
enum { LONGEST_PATTERN = 1 << 14, MOST_STEPS = 20000000, MOST_KILOBYTES = 65536 };

#define SPACES "\\t-\\r\\x{85}\\p{Z}"
#define WORDS "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"

static void *regex_memory(size_t n, void *arena)
{
	return arena_alloc(arena, n);
}
static void regex_release(void *p, void *arena) /* arenas go as a whole */
{
	(void)p;
	(void)arena;
}

/* One escape, without its backslash. */
static const char *rewrite_escape(Text *out, char c, bool class)
{
	if (c == 's')
		text_puts(out, class ? SPACES : "[" SPACES "]");
	else if (c == 'w')
		text_puts(out, class ? WORDS : "[" WORDS "]");
	else if (!class && c == 'S')
		text_puts(out, "[^" SPACES "]");
	else if (!class && c == 'W')
		text_puts(out, "[^" WORDS "]");
	else if (c == 0 || strchr("hHRXKGQEMCcyYkg0123456789SWoN", c))
		return "an escape that is not supported";
	else
		text_printf(out, "\\%c", c);
	return NULL;
}

static const char *rewrite(Text *out, const char *s, size_t n)
{
	bool class = false;
	for (size_t i = 0; i < n; i++) {
		char c = s[i], next = i + 1 < n ? s[i + 1] : 0;
		if (c == '\\') {
			const char *why = rewrite_escape(out, next, class);
			if (why) return why;
			i++;
			if ((next == 'p' || next == 'P') && i + 1 < n && s[i + 1] == '{') {
				const char *end = memchr(s + i, '}', n - i);
				if (!end) return "a property without end";
				text_append(out, s + i + 1, (size_t)(end - s) - i);
				i = (size_t)(end - s);
			}
			continue;
		}
		if (class && c == '[' && next != ':')
			return "a class inside a class, which is not supported";
		if (class && c == '[') { /* [:alpha:] */
			const char *end = memchr(s + i, ']', n - i);
			if (!end) return "a class without end";
			text_append(out, s + i, (size_t)(end - s) - i + 1);
			i = (size_t)(end - s);
			continue;
		}
		if (class && c == '&' && next == '&') return "`&&` in a class, which is not supported";
		if (!class && c == '}' && next == '+') return "`}+`, which is not supported";
		if (!class && c == '(' && next == '?' && i + 2 < n && (s[i + 2] == 'm' || s[i + 2] == 'C'))
			return "an option that is not supported";
		if (!class && c == '(' && next == '*') return "`(*`, which is not supported";
		text_append(out, &c, 1);
		if (!class && c == '[') {
			class = true;
			if (next == '^') text_append(out, s + ++i, 1);
			if (i + 1 < n && s[i + 1] == ']') return "an empty class";
		} else if (class && c == ']') {
			class = false;
		}
	}
	return NULL;
}

const Regex *regex_new(Arena *a, const char *pattern, size_t n, const char **why)
{
	if (n > LONGEST_PATTERN) {
		*why = "the pattern is too long";
		return NULL;
	}
	Text text = text_new(a);
	*why = rewrite(&text, pattern, n);
	if (*why) return NULL;
	pcre2_general_context *memory = pcre2_general_context_create(regex_memory, regex_release, a);
	pcre2_compile_context *c = pcre2_compile_context_create(memory);
	pcre2_set_newline(c, PCRE2_NEWLINE_LF);
	int code = 0;
	PCRE2_SIZE at = 0;
	Regex *r = NEW(a, Regex);
	r->code = pcre2_compile((PCRE2_SPTR)text_bytes(&text).at, text.n,
	                        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &code, &at, c);
	if (r->code) return r;
	PCRE2_UCHAR message[160] = "";
	pcre2_get_error_message(code, message, sizeof message);
	*why = arena_printf(a, "%s at byte %zu", (const char *)message, (size_t)at);
	return NULL;
}

bool regex_matches(const Regex *r, Arena *a, TextBytes s, Matches *out)
{
	pcre2_general_context *memory = pcre2_general_context_create(regex_memory, regex_release, a);
	pcre2_match_context *limits = pcre2_match_context_create(memory);
	pcre2_match_data *data = pcre2_match_data_create(1, memory);
	pcre2_set_match_limit(limits, MOST_STEPS);
	pcre2_set_heap_limit(limits, MOST_KILOBYTES);
	for (size_t at = 0; at <= s.n;) {
		int found =
			pcre2_match(r->code, (PCRE2_SPTR)s.at, s.n, at, PCRE2_NO_UTF_CHECK, data, limits);
		if (found == PCRE2_ERROR_NOMATCH) break;
		if (found < 0) return false;
		const PCRE2_SIZE *place = pcre2_get_ovector_pointer(data);
		Match m = {place[0], place[1]};
		if (m.begin > m.end || m.begin < at) return false;
		vec_push(a, out, m);
		at = m.end;
		if (m.begin < m.end) continue;
		if (at >= s.n) break;
		size_t width;
		utf8_next(s.at + at, s.n - at, &width);
		at += width;
	}
	return true;
}

bool step_matches(const Step *s, Arena *a, TextBytes text, Matches *out)
{
	if (s->regex) return regex_matches(s->regex, a, text, out);
	if (!s->pattern.n) return true;
	for (size_t at = 0; at + s->pattern.n <= text.n;) {
		const char *found = memmem(text.at + at, text.n - at, s->pattern.at, s->pattern.n);
		if (!found) break;
		Match m = {(size_t)(found - text.at), (size_t)(found - text.at) + s->pattern.n};
		vec_push(a, out, m);
		at = m.end;
	}
	return true;
}

bool step_replace(const Step *s, Arena *a, TextBytes text, TextBytes *out)
{
	Matches m = {0};
	Text made = text_new(a);
	size_t at = 0;
	*out = text;
	if (!step_matches(s, a, text, &m)) return false;
	if (!m.n) return true;
	for (size_t i = 0; i < m.n; i++) {
		text_append(&made, text.at + at, m.at[i].begin - at);
		text_append(&made, s->content.at, s->content.n);
		at = m.at[i].end;
	}
	text_append(&made, text.at + at, text.n - at);
	*out = text_bytes(&made);
	return true;
}
