/* Byte-pair encoding (Sennrich et al. 2016): characters are joined by the pair of the least rank,
 * leftmost first, as long as there is one. A heap finds it, so that long pieces take n log n. */
#include "text/tokenizer.h"

typedef struct Symbol {
	uint32_t id;
	int64_t before, after; /* neighbours, or -1 */
	bool gone;
} Symbol;
typedef struct Join {
	uint32_t rank, id;
	size_t at; /* of its left symbol */
} Join;
typedef struct Word {
	const Tokenizer *t;
	Arena *scratch;
	VEC(Symbol) symbols;
	VEC(Join) heap;
} Word;

static bool earlier(const Join *a, const Join *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(Word *w, Join j)
{
	vec_push(w->scratch, &w->heap, j);
	size_t i = w->heap.n - 1;
	for (; i > 0 && earlier(&j, &w->heap.at[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap.at[i] = w->heap.at[(i - 1) / 2];
	w->heap.at[i] = j;
}

static Join heap_pop(Word *w)
{
	Join least = w->heap.at[0], last = w->heap.at[--w->heap.n];
	size_t i = 0, n = w->heap.n;
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && earlier(&w->heap.at[child + 1], &w->heap.at[child])) child++;
		if (!earlier(&w->heap.at[child], &last)) break;
		w->heap.at[i] = w->heap.at[child];
	}
	w->heap.at[i] = last;
	return least;
}

static void symbol_add(Word *w, uint32_t id)
{
	vec_push(w->scratch, &w->symbols, ((Symbol){.id = id}));
}

/* The token of a character with what stands around it inside a word. */
static uint32_t char_token(const Word *w, TextBytes c, bool first, bool last)
{
	const Tokenizer *t = w->t;
	bool prefix = !first && t->prefix.n, suffix = last && t->suffix.n;
	if (!prefix && !suffix) return vocab_find(t, c.at, c.n);
	ArenaMark mark = arena_mark(w->scratch);
	Text whole = text_new(w->scratch);
	if (prefix) text_append(&whole, t->prefix.at, t->prefix.n);
	text_append(&whole, c.at, c.n);
	if (suffix) text_append(&whole, t->suffix.at, t->suffix.n);
	uint32_t id = vocab_find(t, whole.at, whole.n);
	arena_reset(w->scratch, mark);
	return id;
}

static bool bytes_add(Word *w, TextBytes c)
{
	for (size_t i = 0; i < c.n; i++)
		if (w->t->bytes[(unsigned char)c.at[i]] == NO_TOKEN) return false;
	for (size_t i = 0; i < c.n; i++) symbol_add(w, w->t->bytes[(unsigned char)c.at[i]]);
	return true;
}

static void word_begin(Word *w, TextBytes piece)
{
	const Tokenizer *t = w->t;
	bool unknown = false; /* one that waits for those that follow it */
	vec_reserve(w->scratch, &w->symbols, piece.n + 1);
	for (size_t at = 0, n; at < piece.n; at += n) {
		utf8_next(piece.at + at, piece.n - at, &n);
		TextBytes c = {piece.at + at, n};
		uint32_t id = char_token(w, c, at == 0, at + n == piece.n);
		if (id == NO_TOKEN) {
			if (t->byte_fallback && bytes_add(w, c)) continue;
			if (t->unk == NO_TOKEN) continue; /* left out, as the file asks */
			if (unknown && !t->fuse_unk) symbol_add(w, t->unk);
			unknown = true;
			continue;
		}
		if (unknown) symbol_add(w, t->unk);
		unknown = false;
		symbol_add(w, id);
	}
	if (unknown) symbol_add(w, t->unk);
}

static void pair_see(Word *w, int64_t left)
{
	if (left < 0) return;
	const Symbol *s = &w->symbols.at[left];
	if (s->after < 0) return;
	const MergeSlot *m = merge_find(w->t, s->id, w->symbols.at[s->after].id);
	if (m) heap_push(w, (Join){m->rank, m->id, (size_t)left});
}

static void word_join(Word *w)
{
	int64_t n = (int64_t)w->symbols.n;
	for (int64_t i = 0; i < n; i++) {
		w->symbols.at[i].before = i - 1;
		w->symbols.at[i].after = i + 1 < n ? i + 1 : -1;
	}
	for (int64_t i = 0; i + 1 < n; i++) pair_see(w, i);
	while (w->heap.n) {
		Join j = heap_pop(w);
		Symbol *left = &w->symbols.at[j.at];
		if (left->gone || left->after < 0) continue;
		Symbol *right = &w->symbols.at[left->after];
		const MergeSlot *m = merge_find(w->t, left->id, right->id);
		if (!m || m->id != j.id) continue; /* it was joined otherwise meanwhile */
		right->gone = true;
		left->id = j.id;
		left->after = right->after;
		if (left->after >= 0) w->symbols.at[left->after].before = (int64_t)j.at;
		pair_see(w, left->before);
		pair_see(w, (int64_t)j.at);
	}
}

void bpe_encode(const Tokenizer *t, Arena *a, TextBytes piece, IdList *out)
{
	if (t->ignore_merges) {
		uint32_t id = vocab_find(t, piece.at, piece.n);
		if (id != NO_TOKEN) {
			vec_push(a, out, id);
			return;
		}
	}
	Word w = {.t = t, .scratch = a};
	word_begin(&w, piece);
	word_join(&w);
	for (size_t i = 0; i < w.symbols.n; i++)
		if (!w.symbols.at[i].gone) vec_push(a, out, w.symbols.at[i].id);
}
