/* The vocabulary and the merges: two hash tables with open addressing, filled once. */
#include "text/tokenizer.h"

#include <string.h>

static uint64_t bytes_hash(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, with a last mix since low bits choose the slot */
	for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

static uint64_t pair_hash(uint32_t left, uint32_t right)
{
	uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 31;
}

static size_t table_size(size_t n)
{
	size_t size = 16;
	while (size < n * 2) size *= 2;
	return size;
}

void vocab_make(Tokenizer *t, Arena *a, size_t n)
{
	size_t size = table_size(n);
	t->vocab = NEW_ARRAY(a, VocabSlot, size);
	t->vocab_mask = size - 1;
	for (size_t i = 0; i < size; i++) t->vocab[i].id = NO_TOKEN;
}

static VocabSlot *vocab_slot(const Tokenizer *t, const char *s, size_t n)
{
	for (size_t i = bytes_hash(s, n) & t->vocab_mask;; i = (i + 1) & t->vocab_mask) {
		VocabSlot *v = &t->vocab[i];
		if (v->id == NO_TOKEN || bytes_same(v->text, (TextBytes){s, n})) return v;
	}
}

uint32_t vocab_find(const Tokenizer *t, const char *s, size_t n)
{
	return n > t->longest ? (uint32_t)NO_TOKEN : vocab_slot(t, s, n)->id;
}

void vocab_add(Tokenizer *t, TextBytes text, uint32_t id)
{
	*vocab_slot(t, text.at, text.n) = (VocabSlot){text, id};
	if (text.n > t->longest) t->longest = text.n;
}

static MergeSlot *merge_slot(const Tokenizer *t, uint32_t left, uint32_t right)
{
	for (size_t i = pair_hash(left, right) & t->merges_mask;; i = (i + 1) & t->merges_mask) {
		MergeSlot *m = &t->merges[i];
		if (m->rank == NO_TOKEN || (m->left == left && m->right == right)) return m;
	}
}

const MergeSlot *merge_find(const Tokenizer *t, uint32_t left, uint32_t right)
{
	const MergeSlot *m = merge_slot(t, left, right);
	return m->rank == NO_TOKEN ? NULL : m;
}

void merge_add(Tokenizer *t, uint32_t left, uint32_t right, uint32_t rank, uint32_t id)
{
	*merge_slot(t, left, right) = (MergeSlot){left, right, rank, id};
}
