/* WordPiece (BERT): the longest token that the word begins with, then the longest that goes on, or
 * the unknown token for the whole word. WordLevel: a word is a token or unknown. */
#include "text/tokenizer.h"

#include <string.h>

static size_t char_count(TextBytes s)
{
	size_t count = 0;
	for (size_t at = 0, n; at < s.n; at += n, count++) utf8_next(s.at + at, s.n - at, &n);
	return count;
}

static uint32_t longest_token(const Tokenizer *t, Arena *a, TextBytes word, size_t from,
                              size_t *end)
{
	size_t prefix = from ? t->prefix.n : 0, room = word.n - from;
	size_t most = t->longest > prefix ? t->longest - prefix : 0;
	if (room > most) room = most;
	char *text = arena_alloc(a, prefix + room + 1);
	if (prefix) memcpy(text, t->prefix.at, prefix);
	memcpy(text + prefix, word.at + from, room);
	for (size_t n = room; n > 0; n--) {
		if (from + n < word.n && ((unsigned char)word.at[from + n] & 0xc0) == 0x80) continue;
		uint32_t id = vocab_find(t, text, prefix + n);
		if (id == NO_TOKEN) continue;
		*end = from + n;
		return id;
	}
	return NO_TOKEN;
}

void wordpiece_encode(const Tokenizer *t, Arena *a, TextBytes piece, IdList *out)
{
	size_t before = out->n;
	if (t->model == MODEL_WORDLEVEL) {
		uint32_t id = vocab_find(t, piece.at, piece.n);
		if (id == NO_TOKEN) id = t->unk;
		if (id != NO_TOKEN) vec_push(a, out, id);
		return;
	}
	uint32_t id = char_count(piece) > t->longest_word ? (uint32_t)NO_TOKEN : 0;
	for (size_t at = 0, end = 0; id != NO_TOKEN && at < piece.n; at = end) {
		id = longest_token(t, a, piece, at, &end);
		if (id != NO_TOKEN) vec_push(a, out, id);
	}
	if (id != NO_TOKEN) return;
	out->n = before;
	vec_push(a, out, t->unk);
}
