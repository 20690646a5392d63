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

Binding *scope_own(Scope *s, const char *name)
{
	for (size_t i = s->list.n; i-- > 0;)
		if (s->list.at[i].name == name) return &s->list.at[i];
	return NULL;
}

Binding *scope_set(Build *b, Scope *s, const char *name, Item item, Span at)
{
	Binding *have = scope_own(s, name);
	if (!have) {
		vec_push(b->arena, &s->list, ((Binding){.name = name}));
		have = &s->list.at[s->list.n - 1];
	}
	have->item = item;
	have->span = at;
	return have;
}

Binding *scope_find(Scope *s, const char *name)
{
	for (; s; s = s->up) {
		Binding *found = scope_own(s, name);
		if (found) return found;
		for (size_t i = 0; s->file && i < s->file->imports.n; i++) {
			const File *f = s->file->imports.at[i];
			found = f->scope ? scope_own(f->scope, name) : NULL;
			if (found && found->item.kind != ITEM_FILE_DIM && found->item.kind != ITEM_FILE)
				return found;
		}
	}
	return NULL;
}

Scope *function_scope_of(Scope *s, const char *name)
{
	for (; s; s = s->up) {
		if (scope_own(s, name)) return s;
		if (s->function) return NULL;
	}
	return NULL;
}

const char *scope_nearest(Build *b, Scope *s, const char *name)
{
	enum { ROOM = 4096 };
	const char **names = NEW_ARRAY(b->arena, const char *, ROOM);
	uint32_t n = 0;
	for (; s; s = s->up) {
		for (size_t i = 0; i < s->list.n && n < ROOM; i++) names[n++] = s->list.at[i].name;
		for (size_t f = 0; s->file && f < s->file->imports.n; f++) {
			const Scope *o = s->file->imports.at[f]->scope;
			for (size_t i = 0; o && i < o->list.n && n < ROOM; i++)
				if (o->list.at[i].item.kind != ITEM_FILE_DIM) names[n++] = o->list.at[i].name;
		}
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
