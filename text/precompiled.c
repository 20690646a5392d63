/* The Precompiled normalizer: SentencePiece's map of characters, which a tokenizer file holds as base64
 * of a double-array trie (Yata 2007, as Darts-clone stores it) and the texts that its values point into.
 * It does what Hugging Face's spm_precompiled does, and that is not what SentencePiece does: a grapheme
 * of under six bytes becomes what the shortest beginning of it maps to. The bytes are not trusted. */
#include "text/tokenizer.h"

#include <string.h>
#include <utf8proc.h>

struct Charsmap {
	const uint32_t *units;
	size_t n_units;
	TextBytes texts; /* each ends with NUL */
};

/* --- reading ---------------------------------------------------------------------------------------- */

static int base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* RFC 4648, section 4, with its padding. */
static bool base64_read(Arena *a, TextBytes s, TextBytes *out)
{
	Text bytes = text_new(a);
	uint32_t held = 0;
	unsigned bits = 0;
	if (s.n % 4 != 0) return false;
	for (size_t i = 0; i < 2 && s.n && s.at[s.n - 1] == '='; i++) s.n--;
	for (size_t i = 0; i < s.n; i++) {
		int digit = base64_digit(s.at[i]);
		if (digit < 0) return false;
		held = held << 6 | (uint32_t)digit;
		bits += 6;
		if (bits < 8) continue;
		bits -= 8;
		char byte = (char)(uint8_t)(held >> bits);
		text_append(&bytes, &byte, 1);
	}
	*out = text_bytes(&bytes);
	return (held & ((1u << bits) - 1)) == 0;
}

static uint32_t word_at(TextBytes s, size_t at)
{
	const unsigned char *b = (const unsigned char *)s.at + at;
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

const Charsmap *charsmap_read(Arena *a, TextBytes base64, const char **why)
{
	TextBytes s;
	*why = "its \"precompiled_charsmap\" is not valid base64";
	if (!base64_read(a, base64, &s)) return NULL;
	*why = "its \"precompiled_charsmap\" is cut short";
	size_t size = s.n < 4 ? 0 : word_at(s, 0);
	if (size < 4 || size % 4 != 0 || size > s.n - 4) return NULL;
	Charsmap *m = NEW(a, Charsmap);
	uint32_t *units = NEW_ARRAY(a, uint32_t, size / 4);
	m->n_units = size / 4;
	for (size_t i = 0; i < m->n_units; i++) units[i] = word_at(s, 4 + 4 * i);
	m->units = units;
	m->texts = (TextBytes){s.at + 4 + size, s.n - 4 - size};
	*why = "the texts of its \"precompiled_charsmap\" are not valid UTF-8";
	if (!bytes_same(utf8_lossy(a, m->texts.at, m->texts.n), m->texts)) return NULL;
	*why = NULL;
	return m;
}

/* --- looking up ------------------------------------------------------------------------------------- */

static size_t unit_offset(uint32_t unit)
{
	return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The value of the shortest beginning of s that the trie holds. */
static bool charsmap_find(const Charsmap *m, TextBytes s, size_t *value)
{
	size_t at = unit_offset(m->units[0]);
	for (size_t i = 0; i < s.n && s.at[i]; i++) {
		uint32_t byte = (unsigned char)s.at[i];
		at ^= byte;
		if (at >= m->n_units) return false;
		uint32_t unit = m->units[at];
		if ((unit & (1u << 31 | 0xffu)) != byte) return false;
		at ^= unit_offset(unit);
		if (at >= m->n_units) return false;
		if (unit & 1u << 8) {
			*value = m->units[at] & ~(1u << 31);
			return true;
		}
	}
	return false;
}

static bool charsmap_put(const Charsmap *m, TextBytes s, Text *out)
{
	size_t at;
	if (!charsmap_find(m, s, &at) || at > m->texts.n) return false;
	size_t left = m->texts.n - at;
	const char *text = m->texts.at + at;
	if (left && ((unsigned char)*text & 0xc0) == 0x80) return false; /* within a character */
	text_append(out, text, left ? strnlen(text, left) : 0);
	return true;
}

/* Bytes of the grapheme that s begins with. */
static size_t grapheme_size(TextBytes s)
{
	utf8proc_int32_t state = 0;
	size_t n;
	uint32_t before = utf8_next(s.at, s.n, &n);
	for (size_t width; n < s.n; n += width) {
		uint32_t c = utf8_next(s.at + n, s.n - n, &width);
		if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)c, &state))
			break;
		before = c;
	}
	return n;
}

TextBytes charsmap_apply(const Charsmap *m, Arena *a, TextBytes s)
{
	enum { SHORT = 6 };
	Text out = text_new(a);
	for (size_t at = 0, n; at < s.n; at += n) {
		TextBytes whole = {s.at + at, s.n - at};
		n = whole.n = grapheme_size(whole);
		if (n < SHORT && charsmap_put(m, whole, &out)) continue;
		for (size_t i = 0, width; i < n; i += width) {
			TextBytes one = {whole.at + i, 0};
			utf8_next(one.at, n - i, &width);
			one.n = width;
			if (!charsmap_put(m, one, &out)) text_append(&out, one.at, one.n);
		}
	}
	return text_bytes(&out);
}
