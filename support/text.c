/* Growing text: one arena array that doubles; the byte after the text is always NUL. */
#include "support/support.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Text text_new(Arena *a)
{
	Text t = {.arena = a, .cap = 64};
	t.at = arena_alloc(a, t.cap);
	return t;
}

void text_append(Text *t, const char *s, size_t n)
{
	if (t->n + n + 1 > t->cap) {
		size_t cap = t->cap ? t->cap : 64;
		while (cap < t->n + n + 1) cap *= 2;
		t->at = arena_grow(t->arena, t->at, t->n, cap);
		t->cap = cap;
	}
	memcpy(t->at + t->n, s, n);
	t->n += n;
	t->at[t->n] = 0;
}

void text_puts(Text *t, const char *s)
{
	text_append(t, s, strlen(s));
}

void text_vprintf(Text *t, const char *fmt, va_list ap)
{
	char small[256];
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(small, sizeof small, fmt, ap);
	if (n > 0 && (size_t)n < sizeof small) {
		text_append(t, small, (size_t)n);
	} else if (n > 0) {
		char *big = arena_vprintf(t->arena, fmt, again);
		text_append(t, big, (size_t)n);
	}
	va_end(again);
}

void text_printf(Text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	text_vprintf(t, fmt, ap);
	va_end(ap);
}

void text_int(Text *t, int64_t v)
{
	char s[24], *p = s + sizeof s;
	uint64_t rest = v < 0 ? -(uint64_t)v : (uint64_t)v;
	do {
		*--p = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (v < 0) *--p = '-';
	text_append(t, p, (size_t)(s + sizeof s - p));
}

void text_double(Text *t, double v)
{
	char s[40];
	if (isnan(v)) {
		text_puts(t, "nan");
		return;
	}
	if (isinf(v)) {
		text_puts(t, v < 0 ? "-inf" : "inf");
		return;
	}
	if (fabs(v) < 1e15 && v == floor(v)) {
		text_printf(t, "%.0f", v);
		return;
	}
	/* 15 digits name every decimal of so many or fewer, without zeros at the end, but near 0 */
	for (int digits = fabs(v) < DBL_MIN ? 1 : DBL_DIG; digits <= 17; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, v);
		if (strtod(s, NULL) == v) break;
	}
	text_puts(t, s);
}

void text_quoted(Text *t, const char *s)
{
	text_puts(t, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			text_printf(t, "\\%c", *s);
		else if (*s == '\n')
			text_puts(t, "\\n");
		else if ((unsigned char)*s < 0x20)
			text_printf(t, "\\x%02x", (unsigned char)*s);
		else
			text_append(t, s, 1);
	}
	text_puts(t, "\"");
}
