/* Added tokens: found in the text as they are written, before any model sees it. The leftmost is
 * taken, of those that begin at one place the longest. */
#include "text/tokenizer.h"

#include <string.h>

/* The longest first: insertion keeps those of one length in the file's order. */
static void order_insert(Tokenizer *t, int kind, uint32_t index)
{
	uint32_t *order = t->added_order[kind];
	size_t at = t->n_order[kind]++;
	for (; at > 0 && t->added[order[at - 1]].search.n < t->added[index].search.n; at--)
		order[at] = order[at - 1];
	order[at] = index;
	t->added_begins[kind][(unsigned char)t->added[index].search.at[0]] = true;
}

void added_index(Tokenizer *t, Arena *a)
{
	for (int kind = 0; kind < 2; kind++) t->added_order[kind] = NEW_ARRAY(a, uint32_t, t->n_added);
	for (size_t i = 0; i < t->n_added; i++)
		if (t->added[i].search.n) order_insert(t, t->added[i].normalized, (uint32_t)i);
}

static const AddedToken *added_at(const Tokenizer *t, int kind, TextBytes s, size_t at)
{
	if (!t->added_begins[kind][(unsigned char)s.at[at]]) return NULL;
	for (size_t i = 0; i < t->n_order[kind]; i++) {
		const AddedToken *x = &t->added[t->added_order[kind][i]];
		if (x->search.n <= s.n - at && memcmp(s.at + at, x->search.at, x->search.n) == 0) return x;
	}
	return NULL;
}

static size_t char_before(TextBytes s, size_t at)
{
	do at--;
	while (at > 0 && ((unsigned char)s.at[at] & 0xc0) == 0x80);
	return at;
}

static bool stands_alone(TextBytes s, size_t begin, size_t end)
{
	size_t n;
	if (end < s.n && char_is_word(utf8_next(s.at + end, s.n - end, &n))) return false;
	if (begin == 0) return true;
	size_t before = char_before(s, begin);
	return !char_is_word(utf8_next(s.at + before, begin - before, &n));
}

static void piece_add(Arena *a, Pieces *out, Piece whole, size_t begin, size_t end, uint32_t id)
{
	Piece p = {{whole.text.at + begin, end - begin}, id, whole.first && begin == 0};
	if (end > begin) vec_push(a, out, p);
}

void added_split(const Tokenizer *t, Arena *a, bool normalized, Piece piece, Pieces *out)
{
	TextBytes s = piece.text;
	size_t done = 0, n;
	for (size_t at = 0; at < s.n && t->n_order[normalized];) {
		const AddedToken *x = added_at(t, normalized, s, at);
		if (!x) {
			at++;
			continue;
		}
		size_t begin = at, end = at + x->search.n;
		at = end;
		if (x->single_word && !stands_alone(s, begin, end)) continue;
		while (x->lstrip && begin > done) {
			size_t before = char_before(s, begin);
			if (!char_is_space(utf8_next(s.at + before, begin - before, &n))) break;
			begin = before;
		}
		while (x->rstrip && end < s.n && char_is_space(utf8_next(s.at + end, s.n - end, &n)))
			end += n;
		piece_add(a, out, piece, done, begin, NO_TOKEN);
		piece_add(a, out, piece, begin, end, x->id);
		at = done = end;
	}
	piece_add(a, out, piece, done, s.n, NO_TOKEN);
}
