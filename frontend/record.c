/* Records types by place (record.h): what begins at the same byte is chained, and each byte knows its
 * chain, because evaluation asks for a place very often. A place that is evaluated many times (an
 * unrolled loop) is described only the first times, and not when it is as it was the time before. */
#include "frontend/build.h"

#include <string.h>

enum { DESCRIBED = 64, SHOWN_ELEMENTS = 4 };
struct Record {
	Arena *arena;
	const Source *main;
	uint32_t *first; /* for each byte of the text: the newest place that begins there, + 1 */
	VEC(Recorded *) places;
	VEC(RecordedLayer) layers;
};

Record *record_new(Arena *a)
{
	Record *r = NEW(a, Record);
	r->arena = a;
	return r;
}

void record_begin(Record *r, const Source *main)
{
	r->main = main;
	r->first = NEW_ARRAY(r->arena, uint32_t, main->size + 1);
}

static Recorded *place_of(const Record *r, uint32_t begin, uint32_t end)
{
	if (!r->main || begin > r->main->size) return NULL;
	for (uint32_t k = r->first[begin]; k; k = r->places.at[k - 1]->next)
		if (r->places.at[k - 1]->span.end == end) return r->places.at[k - 1];
	return NULL;
}

const Recorded *record_at(const Record *r, uint32_t begin, uint32_t end)
{
	const Recorded *e = place_of(r, begin, end);
	return e && e->n ? e : NULL;
}

const Recorded *record_around(const Record *r, uint32_t offset)
{
	const Recorded *best = NULL;
	for (size_t i = 0; i < r->places.n; i++) {
		const Recorded *e = r->places.at[i];
		if (!e->n || e->span.begin > offset || e->span.end < offset) continue;
		if (!best || e->span.end - e->span.begin < best->span.end - best->span.begin) best = e;
	}
	return best;
}

bool record_any(const Record *r, uint32_t begin, uint32_t end)
{
	for (uint32_t at = begin; r->main && at < end && at <= r->main->size; at++)
		for (uint32_t k = r->first[at]; k; k = r->places.at[k - 1]->next)
			if (r->places.at[k - 1]->span.end <= end) return true;
	return false;
}

const RecordedLayer *record_layer(const Record *r, const char *name)
{
	for (size_t i = 0; i < r->layers.n; i++)
		if (strcmp(r->layers.at[i].name, name) == 0) return &r->layers.at[i];
	return NULL;
}

/* --- texts ---------------------------------------------------------------------------------------- */

/* The one name that the code around knows a size by; NULL when there is none, or several. */
static const char *size_name(const Build *b, int64_t size)
{
	const char *found = NULL;
	for (const Scope *s = b->frame ? b->frame->scope : NULL; s; s = s->up)
		for (size_t i = 0; i < s->list.n; i++) {
			const Binding *k = &s->list.at[i];
			if (k->item.kind != ITEM_INT || k->item.integer != size || k->name == found) continue;
			if (found) return NULL;
			found = k->name;
		}
	return found;
}

static const char *type_named(Build *b, const Type *t)
{
	Text out = text_new(b->arena);
	if (t->is_tuple || !t->rank) return type_text(b->arena, t);
	text_printf(&out, "%s[", dtype_name(t->dtype));
	for (uint32_t i = 0; i < t->rank; i++) {
		int64_t v;
		const char *name = dim_is_const(t->dim[i], &v) && v > 1 ? size_name(b, v) : NULL;
		text_printf(&out, "%s%s", i ? ", " : "", name ? name : dim_text(b->arena, t->dim[i]));
	}
	text_puts(&out, "]");
	return out.at;
}

static RecordedType describe(Build *b, const Item *i);

static RecordedType describe_list(Build *b, const ItemList *l)
{
	Text named = text_new(b->arena), plain = text_new(b->arena);
	text_puts(&named, "[");
	text_puts(&plain, "[");
	for (size_t k = 0; k < l->n && k < SHOWN_ELEMENTS; k++) {
		RecordedType one = describe(b, &l->at[k]);
		text_printf(&named, "%s%s", k ? ", " : "", one.named ? one.named : "..");
		text_printf(&plain, "%s%s", k ? ", " : "", one.plain ? one.plain : "..");
	}
	text_puts(&named, l->n > SHOWN_ELEMENTS ? ", ..]" : "]");
	if (l->n > SHOWN_ELEMENTS) text_printf(&plain, ", .. %zu in all", (size_t)l->n);
	text_puts(&plain, "]");
	return (RecordedType){named.at, plain.at};
}

static RecordedType describe(Build *b, const Item *i)
{
	const char *text;
	switch (i->kind) {
	case ITEM_NONE: return (RecordedType){"none", "none"};
	case ITEM_INT: return (RecordedType){"int", item_text_of(b, i)};
	case ITEM_FLOAT: return (RecordedType){"f32", item_text_of(b, i)};
	case ITEM_BOOL: return (RecordedType){"bool", item_text_of(b, i)};
	case ITEM_TEXT: return (RecordedType){"str", arena_printf(b->arena, "\"%.200s\"", i->text)};
	case ITEM_DTYPE: return (RecordedType){"dtype", item_text_of(b, i)};
	case ITEM_DIM: return (RecordedType){"dim", item_text_of(b, i)};
	case ITEM_LIST: return describe_list(b, i->list);
	case ITEM_TENSOR:
		return (RecordedType){type_named(b, &i->node->type), type_text(b->arena, &i->node->type)};
	case ITEM_CONST:
		return (RecordedType){type_named(b, &i->constant->type),
		                      type_text(b->arena, &i->constant->type)};
	case ITEM_PLACE:
		text = arena_printf(b->arena, "layer %s", i->place->instance->layer->name);
		return (RecordedType){text, text};
	case ITEM_ARRAY:
		if (!i->member->n) return (RecordedType){0};
		text = arena_printf(b->arena, "layer %s", i->member->element[0]->layer->name);
		return (RecordedType){text, arena_printf(b->arena, "an array of %u", i->member->n)};
	default: return (RecordedType){0};
	}
}

/* --- recording ------------------------------------------------------------------------------------- */

static Recorded *record_open(Build *b, Span at)
{
	Record *r = b->record;
	if (!r || at.source != r->main) return NULL;
	Recorded *e = place_of(r, at.begin, at.end);
	if (!e) {
		e = NEW(r->arena, Recorded);
		e->span = at;
		e->symbolic = b->symbolic;
		e->next = r->first[at.begin];
		vec_push(r->arena, &r->places, e);
		r->first[at.begin] = (uint32_t)r->places.n;
	}
	/* `entry decode = step where S = 1` is a special case of what is known already */
	if (e->n && b->entry && b->entry->fixed.n) return NULL;
	if (e->more) return NULL; /* there is no more to say */
	return e->seen++ < DESCRIBED ? e : NULL;
}

static void record_add(Recorded *e, RecordedType t)
{
	if (!t.named) return;
	for (uint32_t i = 0; i < e->n; i++)
		if (strcmp(e->type[i].named, t.named) == 0 && strcmp(e->type[i].plain, t.plain) == 0)
			return;
	if (e->n == RECORD_TYPES)
		e->more = true;
	else
		e->type[e->n++] = t;
}

void record_item(Build *b, Span at, const Item *i)
{
	Recorded *e = i->kind == ITEM_BAD ? NULL : record_open(b, at);
	if (!e) return;
	bool number = i->kind == ITEM_INT || i->kind == ITEM_FLOAT || i->kind == ITEM_BOOL;
	if (number && e->n && e->kind == i->kind && e->bits == i->integer) return;
	e->kind = i->kind;
	e->bits = number ? i->integer : 0; /* of a float too */
	record_add(e, describe(b, i));
}

void record_type(Build *b, Span at, const Type *t)
{
	Recorded *e = record_open(b, at);
	if (e) record_add(e, (RecordedType){type_named(b, t), type_text(b->arena, t)});
}

void record_member(Build *b, const Instance *in, const Ast *decl)
{
	const Binding *k = b->record ? scope_own(in->scope, decl->name) : NULL;
	if (!k || k->item.kind != ITEM_MEMBER || k->item.member->absent) return;
	const Member *m = k->item.member;
	if (m->kind == MEMBER_WEIGHT || m->kind == MEMBER_STATE)
		record_type(b, decl->op_span, &m->type);
	if (m->kind != MEMBER_STATE_DIM) return;
	Recorded *e = record_open(b, decl->op_span);
	if (!e) return;
	record_add(e, (RecordedType){"dim", arena_printf(b->arena, "%s..%s", dim_text(b->arena, m->lo),
	                                                 dim_text(b->arena, m->hi))});
}

void record_instance(Build *b, const Instance *in)
{
	Record *r = b->record;
	if (!r || b->symbolic || in->layer->span.source != r->main) return;
	RecordedLayer *l = NULL;
	for (size_t i = 0; i < r->layers.n && !l; i++)
		if (r->layers.at[i].name == in->layer->name) l = &r->layers.at[i];
	if (!l) {
		vec_push(r->arena, &r->layers, ((RecordedLayer){.name = in->layer->name}));
		l = &r->layers.at[r->layers.n - 1];
	}
	l->uses++;
	for (uint32_t i = 0; i < l->n; i++)
		if (l->prefix[i] == in->prefix) return;
	if (l->n < RECORD_PREFIXES) l->prefix[l->n++] = in->prefix;
}
