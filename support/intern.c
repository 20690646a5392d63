/* Interned strings: an open-addressing table over an arena. */
#include "support/support.h"

#include <string.h>

typedef struct Slot {
	const char *text; /* NULL: free */
	size_t length;
	uint32_t hash;
} Slot;
struct Interner {
	Arena *arena;
	Slot *slot;
	size_t cap, n;
	const Interner *base; /* asked first; or NULL */
};

/* Eight bytes at a time: keys of a checkpoint are long, and there are many of them. */
static uint32_t hash(const char *s, size_t n)
{
	uint64_t h = n, word;
	for (; n >= sizeof word; s += sizeof word, n -= sizeof word) {
		memcpy(&word, s, sizeof word);
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, s, n);
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

Interner *interner_new(Arena *a)
{
	Interner *t = NEW(a, Interner);
	t->arena = a;
	t->cap = 256;
	t->slot = NEW_ARRAY(a, Slot, t->cap);
	return t;
}

Interner *interner_over(Arena *a, const Interner *base)
{
	Interner *t = interner_new(a);
	t->base = base;
	return t;
}

/* Where the text is, or would be. */
static Slot *slot_of(const Interner *t, const char *s, size_t n, uint32_t h)
{
	size_t i = h & (t->cap - 1);
	for (; t->slot[i].text; i = (i + 1) & (t->cap - 1)) {
		const Slot *k = &t->slot[i];
		if (k->hash == h && k->length == n && memcmp(k->text, s, n) == 0) break;
	}
	return &t->slot[i];
}

static void grow(Interner *t)
{
	Interner old = *t;
	t->cap *= 2;
	t->slot = NEW_ARRAY(t->arena, Slot, t->cap);
	for (size_t k = 0; k < old.cap; k++) {
		size_t i = old.slot[k].hash & (t->cap - 1);
		if (!old.slot[k].text) continue;
		while (t->slot[i].text) i = (i + 1) & (t->cap - 1);
		t->slot[i] = old.slot[k];
	}
}

const char *intern(Interner *t, const char *s, size_t n)
{
	uint32_t h = hash(s, n);
	for (const Interner *base = t->base; base; base = base->base) {
		const Slot *known = slot_of(base, s, n, h);
		if (known->text) return known->text;
	}
	Slot *at = slot_of(t, s, n, h);
	if (at->text) return at->text;
	if (2 * t->n >= t->cap) {
		grow(t);
		at = slot_of(t, s, n, h);
	}
	*at = (Slot){arena_strndup(t->arena, s, n), n, h};
	t->n++;
	return at->text;
}

const char *intern_str(Interner *t, const char *s)
{
	return intern(t, s, strlen(s));
}
