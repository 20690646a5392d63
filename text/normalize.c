/* Normalizers: what becomes of a text before it is cut. */
#include "text/tokenizer.h"

#include <utf8proc.h>

static TextBytes unicode_form(Arena *a, TextBytes s, bool compatible, bool compose)
{
	unsigned options = UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
	                   (compatible ? UTF8PROC_COMPAT : 0u);
	const utf8proc_uint8_t *from = (const utf8proc_uint8_t *)s.at;
	if (!s.n) return s;
	utf8proc_ssize_t n =
		utf8proc_decompose(from, (utf8proc_ssize_t)s.n, NULL, 0, (utf8proc_option_t)options);
	if (n <= 0) return s;
	/* the buffer is turned to bytes in place: at most four a character, and a NUL */
	utf8proc_int32_t *chars = NEW_ARRAY(a, utf8proc_int32_t, n + 1);
	n = utf8proc_decompose(from, (utf8proc_ssize_t)s.n, chars, n, (utf8proc_option_t)options);
	if (n <= 0) return s;
	n = utf8proc_reencode(chars, n, (utf8proc_option_t)options);
	return n < 0 ? s : (TextBytes){(const char *)chars, (size_t)n};
}

static void put_lower(Text *out, uint32_t c)
{
	if (c == 0x130) /* the only character whose lower case is two */
		text_puts(out, "i\xcc\x87");
	else
		utf8_put(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

static bool nmt_drops(uint32_t c)
{
	return (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f ||
	       c == 0x9f;
}

static bool nmt_spaces(uint32_t c)
{
	return c == 9 || c == 10 || c == 12 || c == 13 || c == 0x1680 || (c >= 0x200b && c <= 0x200f) ||
	       c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xfeff || c == 0xfffd;
}

static void put_clean(Text *out, uint32_t c)
{
	bool white = c == '\t' || c == '\n' || c == '\r';
	if (c == 0 || c == 0xfffd || (!white && char_is_other(c))) return;
	utf8_put(out, char_is_space(c) ? ' ' : c);
}

static void put_chinese(Text *out, uint32_t c)
{
	bool alone = char_is_chinese(c);
	if (alone) text_puts(out, " ");
	utf8_put(out, c);
	if (alone) text_puts(out, " ");
}

typedef enum CharRule { CLEAN, CHINESE, LOWER, NO_MARKS, NO_ACCENTS, NMT, BYTES } CharRule;

static TextBytes each_char(Arena *a, TextBytes s, CharRule rule)
{
	Text out = text_new(a);
	for (size_t at = 0, n; at < s.n; at += n) {
		uint32_t c = utf8_next(s.at + at, s.n - at, &n);
		switch (rule) {
		case CLEAN: put_clean(&out, c); break;
		case CHINESE: put_chinese(&out, c); break;
		case LOWER: put_lower(&out, c); break;
		case NO_MARKS:
			if (!char_is_mark(c, false)) utf8_put(&out, c);
			break;
		case NO_ACCENTS:
			if (!char_is_mark(c, true)) utf8_put(&out, c);
			break;
		case NMT:
			if (!nmt_drops(c)) utf8_put(&out, nmt_spaces(c) ? ' ' : c);
			break;
		case BYTES:
			for (size_t i = 0; i < n; i++) utf8_put(&out, byte_char((uint8_t)s.at[at + i]));
			break;
		}
	}
	return text_bytes(&out);
}

static TextBytes strip(const Step *s, TextBytes t)
{
	size_t begin = 0, end = t.n, n;
	while (s->left && begin < end && char_is_space(utf8_next(t.at + begin, end - begin, &n)))
		begin += n;
	while (s->right && end > begin) {
		size_t last = end - 1;
		while (last > begin && ((unsigned char)t.at[last] & 0xc0) == 0x80) last--;
		if (!char_is_space(utf8_next(t.at + last, end - last, &n))) break;
		end = last;
	}
	return (TextBytes){t.at + begin, end - begin};
}

static TextBytes bert(const Step *s, Arena *a, TextBytes t)
{
	if (s->clean) t = each_char(a, t, CLEAN);
	if (s->chinese) t = each_char(a, t, CHINESE);
	if (s->accents) t = each_char(a, unicode_form(a, t, false, false), NO_ACCENTS);
	return s->lowercase ? each_char(a, t, LOWER) : t;
}

bool normalize(const Step *s, Arena *a, TextBytes *t)
{
	if (!s) return true;
	switch (s->kind) {
	case NORMALIZE_NFC: *t = unicode_form(a, *t, false, true); break;
	case NORMALIZE_NFD: *t = unicode_form(a, *t, false, false); break;
	case NORMALIZE_NFKC: *t = unicode_form(a, *t, true, true); break;
	case NORMALIZE_NFKD: *t = unicode_form(a, *t, true, false); break;
	case NORMALIZE_LOWERCASE: *t = each_char(a, *t, LOWER); break;
	case NORMALIZE_STRIP_ACCENTS: *t = each_char(a, *t, NO_MARKS); break;
	case NORMALIZE_NMT: *t = each_char(a, *t, NMT); break;
	case NORMALIZE_BYTE_LEVEL: *t = each_char(a, *t, BYTES); break;
	case NORMALIZE_PRECOMPILED: *t = charsmap_apply(s->charsmap, a, *t); break;
	case NORMALIZE_STRIP: *t = strip(s, *t); break;
	case NORMALIZE_BERT: *t = bert(s, a, *t); break;
	case NORMALIZE_REPLACE: return step_replace(s, a, *t, t);
	case NORMALIZE_PREPEND: {
		Text out = text_new(a);
		if (!t->n) break;
		text_append(&out, s->content.at, s->content.n);
		text_append(&out, t->at, t->n);
		*t = text_bytes(&out);
		break;
	}
	case SEQUENCE:
		for (size_t i = 0; i < s->n; i++)
			if (!normalize(s->parts[i], a, t)) return false;
		break;
	default: return false;
	}
	return true;
}
