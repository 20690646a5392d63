/* allocate.c: addresses of places and temporaries. A store lives from its first to its last touch,
 * and through every loop inside of which it is touched but not declared. Without need nothing is
 * shared, because sharing orders the work; when memory is short, stores with disjoint lives share. */
#include "codegen/pearl/internal.h"
#include <stdlib.h>
#include <string.h>

static Store *root(Store *s)
{
	return s->group ? s->group : s;
}

static uint32_t number_nodes(StepList *l, uint32_t at)
{
	for (Step *n = l->first; n; n = n->next) {
		n->first = at++;
		if (n->kind == FORM_LOOP || n->kind == FORM_IF) {
			at = number_nodes(&n->body, at);
			at = number_nodes(&n->orelse, at);
		}
		n->last = at++;
	}
	return at;
}

typedef struct Frame {
	const Step *node;
	const struct Frame *outer;
} Frame;

static bool encloses(const LoopInfo *outer, const LoopInfo *inner)
{
	for (; inner; inner = inner->outer)
		if (inner == outer) return true;
	return outer == NULL;
}

static void touch(Store *s, uint32_t first, uint32_t last)
{
	if (!s->touched) s->first = first, s->last = last;
	s->touched = true;
	if (first < s->first) s->first = first;
	if (last > s->last) s->last = last;
}

static void live(StepList *l, const Frame *frame)
{
	for (Step *n = l->first; n; n = n->next) {
		Frame f = {n, frame};
		if (n->kind == FORM_LOOP) live(&n->body, &f);
		if (n->kind == FORM_IF) live(&n->body, frame), live(&n->orelse, frame);
		if (n->kind != FORM_INSN) continue;
		for (uint32_t k = 0; k < 4; k++) {
			Store *s = n->insn->arg[k].store;
			if (!s || (s->space != SPACE_SPM && s->space != SPACE_ACC)) continue;
			s = root(s);
			touch(s, n->first, n->last);
			for (const Frame *g = frame; g; g = g->outer)
				if (!encloses(g->node->loop, s->home) || g->node->loop->stages > 1)
					touch(s, g->node->first, g->node->last);
		}
	}
}

static int by_size(const void *a, const void *b)
{
	const Store *x = *(Store *const *)a, *y = *(Store *const *)b;
	int64_t p = x->bytes * x->ring, q = y->bytes * y->ring;
	if (p != q) return p < q ? 1 : -1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static bool place_all(Compiler *c, PearlSpace space, int64_t memory, int64_t align)
{
	Store **list = NEW_ARRAY(c->arena, Store *, c->stores.n + 1);
	uint32_t n = 0;
	int64_t sum = 0;
	for (uint32_t i = 0; i < c->stores.n; i++) {
		Store *s = c->stores.at[i];
		if (s->space != space || !s->touched || s->group) continue;
		list[n++] = s;
		s->base = sum;
		sum += round_up(s->bytes, align) * s->ring;
	}
	if (sum <= memory) return true;
	qsort(list, n, sizeof *list, by_size);
	for (uint32_t i = 0; i < n; i++) {
		Store *s = list[i];
		int64_t need = round_up(s->bytes, align) * s->ring, at = 0;
		for (bool moved = true; moved;) { /* first fit among those that live at the same time */
			moved = false;
			for (uint32_t k = 0; k < i; k++) {
				Store *o = list[k];
				int64_t end = o->base + round_up(o->bytes, align) * o->ring;
				if (o->last < s->first || s->last < o->first || end <= at || o->base >= at + need)
					continue;
				at = end;
				moved = true;
			}
		}
		s->base = at;
		if (at + need > memory) return false;
	}
	return true;
}

bool allocate_kernel(Compiler *c, StepList *body)
{
	number_nodes(body, 0);
	for (uint32_t i = 0; i < c->stores.n; i++) c->stores.at[i]->touched = false;
	live(body, NULL);
	int64_t row = c->m->array_cols * 4;
	return place_all(c, SPACE_SPM, c->m->spm_bytes, 128) &&
	       place_all(c, SPACE_ACC, c->m->acc_rows * row, row);
}
