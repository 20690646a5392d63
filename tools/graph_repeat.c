/* What repeats is drawn once. Elements of an array of layers that were unrolled stand side by side as
 * boxes "0", "1", ...: a run of them that are alike in all that is drawn, each fed by the one before,
 * becomes its first element with the number of times, and what left the last leaves the first. */
#include "tools/graph.h"

#include <string.h>

static uint64_t mix(uint64_t h, uint64_t x)
{
	return (h ^ x) * UINT64_C(0x9e3779b97f4a7c15) ^ (h >> 29);
}

static uint64_t mix_text(uint64_t h, const char *s)
{
	for (; s && *s; s++) h = mix(h, (uint8_t)*s);
	return mix(h, 256);
}

/* Of what is drawn, not of names of the array's elements. */
static uint64_t hash_box(Picture *v, Box *b, bool named)
{
	uint64_t h = mix(mix(1, b->kind), b->tint);
	if (named) h = mix_text(h, b->name);
	h = mix_text(mix_text(h, b->type), b->times);
	for (size_t i = 0; i < b->lines.n && !box_is_group(b); i++) h = mix_text(h, b->lines.at[i]);
	if (b->kind == BOX_OP) h = mix_text(h, type_text(v->t->arena, &b->node->type));
	for (size_t i = 0; i < b->kids.n; i++) h = mix(h, hash_box(v, b->kids.at[i], true));
	return h;
}

static bool is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

static bool is_element(const Box *b)
{
	return b->kind == BOX_GROUP && is_number(b->name) && !b->hidden && !b->times;
}

/* The values that flow into a box from outside, in the order of their uses; and those that leave it. */
typedef VEC(const Node *) Values;

static void add_once(Picture *v, Values *l, const Node *n)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->at[i] == n) return;
	vec_push(v->t->arena, l, n);
}

static void values_of(Picture *v, const Box *b, Values *in, Values *out)
{
	for (size_t i = 0; i < v->flows.n; i++) {
		const Flow *f = &v->flows.at[i];
		bool from = box_within(f->from, b), to = box_within(f->to, b);
		if (to && !from) add_once(v, in, f->value);
		if (from && !to) add_once(v, out, f->value);
	}
}

/* Does b follow a: are its inputs what a gives, or what a itself is given in that place? */
static bool follows(Picture *v, const Box *a, const Box *b)
{
	Values in_a = {0}, out_a = {0}, in_b = {0}, out_b = {0};
	values_of(v, a, &in_a, &out_a);
	values_of(v, b, &in_b, &out_b);
	if (in_a.n != in_b.n || out_a.n != out_b.n) return false;
	bool fed = false;
	for (size_t i = 0; i < in_b.n; i++) {
		bool of_a = false;
		for (size_t k = 0; k < out_a.n; k++) of_a = of_a || out_a.at[k] == in_b.at[i];
		if (!of_a && in_b.at[i] != in_a.at[i]) return false;
		fed = fed || of_a;
	}
	/* nothing but b uses what a gives */
	for (size_t i = 0; i < v->flows.n; i++) {
		const Flow *f = &v->flows.at[i];
		if (box_within(f->from, a) && !box_within(f->to, a) && !box_within(f->to, b)) return false;
	}
	return fed;
}

static void hide(Picture *v, Box *first, Box *last, size_t n, Box *const *run)
{
	Values in = {0}, out_first = {0}, out_last = {0};
	values_of(v, first, &in, &out_first);
	values_of(v, last, &in, &out_last);
	first->name = arena_printf(v->t->arena, "%s\xe2\x80\xa6%s", first->name, last->name);
	first->times = arena_printf(v->t->arena, "%zu", n);
	size_t kept = 0;
	for (size_t i = 1; i < n; i++) run[i]->hidden = true;
	for (size_t i = 0; i < v->flows.n; i++) {
		Flow f = v->flows.at[i];
		bool from_copy = false, to_copy = false;
		for (size_t k = 1; k < n; k++) {
			from_copy = from_copy || box_within(f.from, run[k]);
			to_copy = to_copy || box_within(f.to, run[k]);
		}
		if (to_copy) continue;
		if (from_copy) {
			size_t k = 0;
			while (k < out_last.n && out_last.at[k] != f.value) k++;
			if (k >= out_first.n) continue;
			f.value = out_first.at[k];
			f.from = f.value->op == OP_GET ? f.value->in[0]->data : f.value->data;
		}
		v->flows.at[kept++] = f;
	}
	v->flows.n = kept;
}

static void lower(Box *b)
{
	for (size_t i = 0; i < b->kids.n; i++) {
		b->kids.at[i]->depth = b->depth + 1;
		lower(b->kids.at[i]);
	}
}

static void fold_kids(Picture *v, Box *b)
{
	for (size_t i = 0; i < b->kids.n; i++)
		if (box_is_group(b->kids.at[i])) fold_kids(v, b->kids.at[i]);
	for (size_t i = 0; i < b->kids.n; i++) {
		Box *first = b->kids.at[i];
		if (!is_element(first)) continue;
		VEC(Box *) run = {0};
		vec_push(v->t->arena, &run, first);
		uint64_t h = hash_box(v, first, false);
		for (size_t k = i + 1; k < b->kids.n; k++) {
			Box *next = b->kids.at[k];
			if (next->kind != BOX_GROUP) continue;
			if (!is_element(next) || hash_box(v, next, false) != h ||
			    !follows(v, run.at[run.n - 1], next))
				break;
			vec_push(v->t->arena, &run, next);
		}
		if (run.n > 1) hide(v, first, run.at[run.n - 1], run.n, run.at);
	}
	size_t n = 0;
	for (size_t i = 0; i < b->kids.n; i++)
		if (!b->kids.at[i]->hidden) b->kids.at[n++] = b->kids.at[i];
	b->kids.n = n;
	/* an array that is alike from end to end is its element, so many times */
	Box *only = n == 1 ? b->kids.at[0] : NULL;
	if (!only || !b->up || b->times || b->kind != BOX_GROUP || only->kind != BOX_GROUP ||
	    !only->times)
		return;
	b->type = only->type;
	b->times = only->times;
	b->lines = only->lines;
	b->kids = only->kids;
	for (size_t i = 0; i < b->kids.n; i++) b->kids.at[i]->up = b;
	lower(b);
}

void view_fold_repeats(Picture *v)
{
	fold_kids(v, v->root);
}
