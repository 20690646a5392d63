/* Interned strings: an open-addressing table over an arena. */
#include "support/support.h"

#include <string.h>

struct Interner {
	Arena *arena;
	const char **slot;
	size_t *length;
	size_t cap, n;
};

static size_t hash(const char *s, size_t n)
{
	uint64_t h = 1469598103934665603u; /* FNV-1a */
	for (size_t i = 0; i < n; i++) h = (h ^ (uint8_t)s[i]) * 1099511628211u;
	return (size_t)(h ^ h >> 29);
}

Interner *interner_new(Arena *a)
{
	Interner *t = NEW(a, Interner);
	t->arena = a;
	t->cap = 256;
	t->slot = NEW_ARRAY(a, const char *, t->cap);
	t->length = NEW_ARRAY(a, size_t, t->cap);
	return t;
}

static size_t find(const Interner *t, const char *s, size_t n)
{
	size_t i = hash(s, n) & (t->cap - 1);
	while (t->slot[i] && (t->length[i] != n || memcmp(t->slot[i], s, n) != 0))
		i = (i + 1) & (t->cap - 1);
	return i;
}

static void grow(Interner *t)
{
	Interner old = *t;
	t->cap *= 2;
	t->slot = NEW_ARRAY(t->arena, const char *, t->cap);
	t->length = NEW_ARRAY(t->arena, size_t, t->cap);
	for (size_t k = 0; k < old.cap; k++) {
		if (!old.slot[k]) continue;
		size_t i = find(t, old.slot[k], old.length[k]);
		t->slot[i] = old.slot[k];
		t->length[i] = old.length[k];
	}
}

const char *intern(Interner *t, const char *s, size_t n)
{
	size_t i = find(t, s, n);
	if (t->slot[i]) return t->slot[i];
	if (t->n * 2 >= t->cap) {
		grow(t);
		i = find(t, s, n);
	}
	t->slot[i] = arena_strndup(t->arena, s, n);
	t->length[i] = n;
	t->n++;
	return t->slot[i];
}

const char *intern_str(Interner *t, const char *s)
{
	return intern(t, s, strlen(s));
}
