/* Unigram (Kudo 2018): the cut of greatest summed score, found by Viterbi's algorithm over the bytes.
 * A character that no token covers costs ten less than the worst token; neighbours of that kind are
 * one unknown token, or their bytes. */
#include "text/tokenizer.h"

typedef struct Best {
	double score;
	size_t from; /* SIZE_MAX: not reached yet */
	uint32_t id; /* NO_TOKEN: unknown */
} Best;

static void reach(Best *to, double score, size_t from, uint32_t id)
{
	if (to->from == SIZE_MAX || score > to->score) *to = (Best){score, from, id};
}

static void best_cuts(const Tokenizer *t, TextBytes s, Best *best)
{
	for (size_t i = 0; i <= s.n; i++) best[i] = (Best){0, SIZE_MAX, NO_TOKEN};
	for (size_t at = 0, width; at < s.n; at += width) {
		utf8_next(s.at + at, s.n - at, &width);
		bool covered = false;
		for (size_t n = 1; n <= t->longest && at + n <= s.n; n++) {
			uint32_t id = vocab_find(t, s.at + at, n);
			if (id == NO_TOKEN) continue;
			reach(&best[at + n], t->scores[id] + best[at].score, at, id);
			covered = covered || n == width;
		}
		if (!covered) reach(&best[at + width], t->least_score - 10 + best[at].score, at, NO_TOKEN);
	}
}

static void unknown_add(const Tokenizer *t, Arena *a, TextBytes s, IdList *out)
{
	bool all = t->byte_fallback;
	for (size_t i = 0; i < s.n && all; i++) all = t->bytes[(unsigned char)s.at[i]] != NO_TOKEN;
	for (size_t i = 0; i < s.n && all; i++) vec_push(a, out, t->bytes[(unsigned char)s.at[i]]);
	if (!all) vec_push(a, out, t->unk);
}

void unigram_encode(const Tokenizer *t, Arena *a, TextBytes piece, IdList *out)
{
	Best *best = NEW_ARRAY(a, Best, piece.n + 1);
	VEC(size_t) ends = {0};
	best_cuts(t, piece, best);
	for (size_t at = piece.n; at > 0; at = best[at].from) vec_push(a, &ends, at);
	for (size_t i = ends.n; i-- > 0;) {
		size_t end = ends.at[i], from = best[end].from;
		uint32_t id = best[end].id;
		if (id != NO_TOKEN && id != t->unk) {
			vec_push(a, out, id);
			continue;
		}
		for (; i > 0; i--) {
			uint32_t next = best[ends.at[i - 1]].id;
			if (next != NO_TOKEN && next != t->unk) break;
		}
		end = ends.at[i];
		TextBytes s = {piece.at + from, end - from};
		uint32_t whole = vocab_find(t, s.at, s.n);
		if (whole != NO_TOKEN)
			vec_push(a, out, whole);
		else
			unknown_add(t, a, s, out);
	}
}
