/* Names. A call has a scope of its own, with one inside for each turn of a loop; behind it stands
 * that of the layer, then that of the file, then what the file imports. */
#include "frontend/build.h"

#include <string.h>

Scope *scope_new(Build *b, Scope *up)
{
	Scope *s = NEW(b->arena, Scope);
	s->up = up;
	return s;
}

/* Short lists are searched, long ones (those of files) hashed by the pointer, which interning makes
 * as good as the text. */
enum { SHORT = 12, SLOTS = 64 };

static uint32_t slot_of(const Scope *s, const char *name)
{
	uint64_t h = (uint64_t)(uintptr_t)name * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t i = (uint32_t)(h >> 32) & (s->slots - 1);
	while (s->slot[i] && s->list.at[s->slot[i] - 1].name != name) i = (i + 1) & (s->slots - 1);
	return i;
}

static void slots_add(Build *b, Scope *s)
{
	size_t n = s->list.n;
	if (n <= SHORT) return;
	if (2 * n <= s->slots) {
		s->slot[slot_of(s, s->list.at[n - 1].name)] = (uint32_t)n;
		return;
	}
	s->slots = s->slots ? 2 * s->slots : SLOTS;
	s->slot = NEW_ARRAY(b->arena, uint32_t, s->slots);
	for (size_t i = 0; i < n; i++) s->slot[slot_of(s, s->list.at[i].name)] = (uint32_t)i + 1;
}

Binding *scope_own(const Scope *s, const char *name)
{
	if (s->slots) {
		uint32_t place = s->slot[slot_of(s, name)];
		return place ? &s->list.at[place - 1] : NULL;
	}
	for (size_t i = s->list.n; i-- > 0;)
		if (s->list.at[i].name == name) return &s->list.at[i];
	return NULL;
}

Binding *scope_set(Build *b, Scope *s, const char *name, Item item, Span at)
{
	Binding *have = scope_own(s, name);
	if (!have) {
		vec_push(b->arena, &s->list, ((Binding){.name = name}));
		slots_add(b, s);
		have = &s->list.at[s->list.n - 1];
	}
	have->item = item;
	have->span = at;
	return have;
}

Binding *file_find(const File *f, const char *name)
{
	Binding *found = f->scope ? scope_own(f->scope, name) : NULL;
	if (found && found->item.kind != ITEM_FILE_DIM && found->item.kind != ITEM_FILE) return found;
	for (size_t i = 0; i < f->imports.n; i++) { /* theirs too: import.c adds them */
		const File *in = f->imports.at[i];
		found = in->scope ? scope_own(in->scope, name) : NULL;
		if (found && found->item.kind != ITEM_FILE_DIM && found->item.kind != ITEM_FILE)
			return found;
	}
	return NULL;
}

static Binding *scope_file_find(const Scope *s, const char *name)
{
	Binding *own = scope_own(s, name);
	return own ? own : file_find(s->file, name);
}

/* Nothing is declared in a file that is ready, so that its bindings stay where they are. */
static Binding *file_known(File *f, const char *name)
{
	FileMemo *m = &f->memo[((uintptr_t)name >> 4) % FILE_MEMO];
	if (m->name != name) *m = (FileMemo){name, scope_file_find(f->scope, name)};
	return m->found;
}

Binding *scope_find(const Scope *s, const char *name)
{
	for (; s && !s->file; s = s->up) {
		Binding *found = scope_own(s, name);
		if (found) return found;
	}
	if (!s) return NULL;
	return s->file->ready ? file_known(s->file, name) : scope_file_find(s, name);
}

Scope *function_scope_of(Scope *s, const char *name)
{
	for (; s; s = s->up) {
		if (scope_own(s, name)) return s;
		if (s->function) return NULL;
	}
	return NULL;
}

static void file_names(const File *f, const char **names, uint32_t *n, uint32_t room)
{
	for (size_t i = 0; f->scope && i < f->scope->list.n && *n < room; i++)
		if (f->scope->list.at[i].item.kind != ITEM_FILE_DIM)
			names[(*n)++] = f->scope->list.at[i].name;
}

const char *scope_nearest(Build *b, Scope *s, const char *name)
{
	enum { ROOM = 4096 };
	if (diags_full(b->d)) return NULL; /* nobody would read it */
	const char **names = NEW_ARRAY(b->arena, const char *, ROOM);
	uint32_t n = 0;
	for (; s; s = s->up) {
		for (size_t i = 0; i < s->list.n && n < ROOM; i++) names[n++] = s->list.at[i].name;
		for (size_t f = 0; s->file && f < s->file->imports.n; f++)
			file_names(s->file->imports.at[f], names, &n, ROOM);
	}
	n += builtin_names(names + n, ROOM - n);
	for (int i = 0; i < NUM_DTYPES && n < ROOM; i++) names[n++] = dtype_name((DType)i);
	return nearest_name(name, names, n);
}

bool assign_name(Build *b, const char *name, Item item, Span at)
{
	Scope *s = function_scope_of(b->frame->scope, name);
	if (!s) s = b->frame->scope;
	scope_set(b, s, name, item, at);
	return true;
}
