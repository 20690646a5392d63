/* Characters: reading and writing UTF-8, and the classes that tokenizers ask for. Everything after
 * utf8_lossy is valid UTF-8. Categories come from utf8proc. */
#include "text/tokenizer.h"

#include <string.h>
#include <utf8proc.h>

bool bytes_same(TextBytes a, TextBytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

TextBytes text_bytes(const Text *t)
{
	return (TextBytes){t->n ? t->at : "", t->n};
}

/* Bytes of the longest part of a character that s begins with; *whole when it is all of it. The
 * ranges of the second byte are those of the Unicode standard, table 3-7. */
static size_t utf8_part(const unsigned char *s, size_t n, bool *whole)
{
	unsigned char c = s[0], lo = 0x80, hi = 0xbf;
	*whole = true;
	if (c < 0x80) return 1;
	*whole = false;
	if (c < 0xc2 || c > 0xf4) return 1;
	size_t want = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (c == 0xe0) lo = 0xa0;
	if (c == 0xed) hi = 0x9f;
	if (c == 0xf0) lo = 0x90;
	if (c == 0xf4) hi = 0x8f;
	for (size_t i = 1; i < want; i++, lo = 0x80, hi = 0xbf)
		if (i >= n || s[i] < lo || s[i] > hi) return i;
	*whole = true;
	return want;
}

TextBytes utf8_lossy(Arena *a, const char *s, size_t n)
{
	Text out = text_new(a);
	bool whole;
	for (size_t at = 0, part; at < n; at += part) {
		part = utf8_part((const unsigned char *)s + at, n - at, &whole);
		if (whole)
			text_append(&out, s + at, part);
		else
			text_append(&out, "\xef\xbf\xbd", 3);
	}
	return text_bytes(&out);
}

uint32_t utf8_next(const char *s, size_t left, size_t *n)
{
	utf8proc_int32_t c = 0;
	utf8proc_ssize_t bytes =
		utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)left, &c);
	*n = bytes > 0 ? (size_t)bytes : 1;
	return bytes > 0 ? (uint32_t)c : 0xfffd;
}

void utf8_put(Text *t, uint32_t c)
{
	utf8proc_uint8_t b[4];
	utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)c, b);
	if (n > 0) text_append(t, (const char *)b, (size_t)n);
}

bool char_is_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

static utf8proc_category_t category(uint32_t c)
{
	return utf8proc_category((utf8proc_int32_t)c);
}

bool char_is_number(uint32_t c)
{
	utf8proc_category_t k = category(c);
	return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

bool char_is_mark(uint32_t c, bool nonspacing)
{
	utf8proc_category_t k = category(c);
	return k == UTF8PROC_CATEGORY_MN ||
	       (!nonspacing && (k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME));
}

/* \w of Unicode's UTS 18: alphabetic, marks, digits, connectors, joiners. The letters in circles are
 * the only alphabetic characters that no category tells. */
bool char_is_word(uint32_t c)
{
	utf8proc_category_t k = category(c);
	return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) || char_is_mark(c, false) ||
	       k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_PC ||
	       c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) ||
	       (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) ||
	       (c >= 0x1f170 && c <= 0x1f189);
}

bool char_is_punctuation(uint32_t c)
{
	if (c < 0x80)
		return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
		       (c >= '{' && c <= '~');
	utf8proc_category_t k = category(c);
	return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}

bool char_is_other(uint32_t c)
{
	utf8proc_category_t k = category(c);
	return k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO ||
	       k == UTF8PROC_CATEGORY_CS;
}

bool char_is_chinese(uint32_t c)
{
	return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
	       (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
	       (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
	       (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static bool byte_is_plain(uint32_t b)
{
	return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
}

/* The 68 bytes that are not printable stand from U+0100 on, in their order (GPT-2, encoder.py). */
uint32_t byte_char(uint8_t b)
{
	if (byte_is_plain(b)) return b;
	if (b <= 0x20) return 0x100u + b;
	if (b <= 0xa0) return 0x100u + 0x21u + (b - 0x7fu);
	return 0x143;
}

int byte_of_char(uint32_t c)
{
	if (c < 0x100) return byte_is_plain(c) ? (int)c : -1;
	if (c <= 0x120) return (int)(c - 0x100);
	if (c <= 0x142) return (int)(c - 0x121 + 0x7f);
	return c == 0x143 ? 0xad : -1;
}
