/* Names of parameters, tensors, regions, tokens and descriptors: a hash table for each kind. */
#include "isa/internal.h"

#include <string.h>

static uint32_t hash_of(const char *s)
{
	uint32_t h = 2166136261u;
	for (; *s; s++) h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

static SymbolSlot *slot_of(SymbolSlot *slot, uint32_t cap, const char *name, uint32_t hash)
{
	for (uint32_t k = hash & (cap - 1);; k = (k + 1) & (cap - 1))
		if (!slot[k].name || (slot[k].hash == hash && strcmp(slot[k].name, name) == 0))
			return &slot[k];
}

bool symbol_add(Symbols *s, SymbolKind k, const char *name, uint32_t number)
{
	uint32_t n = s->table[k].n, cap = s->table[k].cap, hash = hash_of(name);
	if (n * 2 >= cap) {
		uint32_t more = cap ? cap * 2 : 64;
		SymbolSlot *slot = NEW_ARRAY(s->arena, SymbolSlot, more), *old = s->table[k].slot;
		for (uint32_t i = 0; i < cap; i++)
			if (old[i].name) *slot_of(slot, more, old[i].name, old[i].hash) = old[i];
		s->table[k].slot = slot;
		s->table[k].cap = cap = more;
	}
	SymbolSlot *to = slot_of(s->table[k].slot, cap, name, hash);
	if (to->name) return false;
	*to = (SymbolSlot){name, hash, number};
	s->table[k].n++;
	return true;
}

bool symbol_find(const Symbols *s, SymbolKind k, const char *name, uint32_t *number)
{
	if (!s->table[k].cap) return false;
	const SymbolSlot *at = slot_of(s->table[k].slot, s->table[k].cap, name, hash_of(name));
	if (at->name) *number = at->number;
	return at->name != NULL;
}

const char *symbol_nearest(const Symbols *s, SymbolKind k, const char *name)
{
	enum { MOST = 256 };
	const char *names[MOST];
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->table[k].cap && n < MOST; i++)
		if (s->table[k].slot[i].name) names[n++] = s->table[k].slot[i].name;
	return nearest_name(name, names, n);
}

bool symbol_is_plain(const char *name)
{
	if (strcmp(name, "min") == 0 || strcmp(name, "max") == 0) return false;
	for (size_t k = 0; name[k]; k++) {
		char c = name[k];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		bool digit = c >= '0' && c <= '9';
		bool dot = c == '.' && k && name[k - 1] != '.' && name[k + 1];
		if (!letter && !(digit && k) && !dot) return false;
	}
	return name[0] != 0;
}
