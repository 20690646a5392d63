/* tokens.c: orders instructions of different queues that touch the same memory. In a block, the wait
 * of item j for queue p counts the signals of p in order, so one token a pair of queues and depth is
 * enough: needs grow, hence the k-th wait meets the k-th signal. What the next iteration of a loop
 * must wait for is a token that starts full. Every token is back at its initial count after a block. */
#include "codegen/pearl/internal.h"
#include <string.h>

PearlQueue insn_queue(const Insn *i)
{
	return pearl_insn[i->op].queue;
}

typedef struct Touch {
	PearlQueue queue;
	PearlSpace space;
	uint32_t region;
	int64_t begin, end;
	bool write;
	const Store *store;
} Touch;
typedef VEC(Touch) Touches;

typedef struct Item {
	Step *node;
	Touches touch;
	VEC(Step *) before, after;
} Item;

static void touch_insn(Compiler *c, const Insn *i, Touches *out)
{
	for (uint32_t k = 0; k < 4; k++) {
		const Operand *o = &i->arg[k];
		if (!o->store) continue;
		const Store *s = o->store->group ? o->store->group : o->store;
		int64_t align = s->space == SPACE_ACC ? c->m->array_cols * 4 : 128;
		Touch t = {insn_queue(i),
		           s->space,
		           s->region,
		           s->base,
		           s->base + round_up(s->bytes, align) * s->ring,
		           o->writes,
		           s};
		if (s->space == SPACE_HBM) t.begin = 0, t.end = INT64_MAX;
		bool known = false;
		for (uint32_t n = 0; n < out->n && !known; n++) {
			const Touch *u = &out->at[n];
			known = u->queue == t.queue && u->store == s && u->write == t.write;
		}
		if (!known) vec_push(c->arena, out, t);
	}
}

static void touch_list(Compiler *c, const StepList *l, Touches *out)
{
	for (const Step *n = l->first; n; n = n->next) {
		if (n->kind == FORM_INSN) touch_insn(c, n->insn, out);
		touch_list(c, &n->body, out);
		touch_list(c, &n->orelse, out);
	}
}

/* Bit [p][q]: a touch of queue p in x and one of queue q in y must stay in order. */
static void conflicts(const Item *x, const Item *y, uint8_t pairs[NUM_QUEUES])
{
	memset(pairs, 0, NUM_QUEUES);
	for (uint32_t a = 0; a < x->touch.n; a++)
		for (uint32_t b = 0; b < y->touch.n; b++) {
			const Touch *s = &x->touch.at[a], *t = &y->touch.at[b];
			if (s->queue == t->queue || s->queue == Q_S || s->space != t->space ||
			    !(s->write || t->write))
				continue;
			if (s->region != t->region || s->end <= t->begin || t->end <= s->begin) continue;
			pairs[s->queue] |= (uint8_t)(1u << t->queue);
		}
}

static uint8_t token(Compiler *c, PearlQueue p, PearlQueue q, uint32_t initial, uint32_t depth)
{
	const char *name = arena_printf(c->q->arena, "%s%s%u_%u", pearl_queue_name[p],
	                                pearl_queue_name[q], initial, depth);
	for (uint32_t i = 0; i < c->q->tokens.n; i++)
		if (!strcmp(c->q->tokens.at[i].name, name)) return (uint8_t)(i + 1);
	if (c->q->tokens.n >= PEARL_TOKENS) {
		pearl_fail(c, c->kernel->span, "it needs more than %d tokens", PEARL_TOKENS);
		return 1;
	}
	return (uint8_t)(pearl_add_token(c->q, name, p, q, (uint8_t)initial, 120) + 1);
}

static Step *sync_node(Compiler *c, PearlQueue q)
{
	static const PearlOpcode op[NUM_QUEUES] = {
		[Q_L] = I_L_SYNC, [Q_M] = I_M_SYNC, [Q_D] = I_D_SYNC, [Q_V] = I_V_SYNC, [Q_W] = I_W_SYNC};
	Step *n = NEW(c->arena, Step);
	n->kind = FORM_INSN;
	n->insn = NEW(c->arena, Insn);
	n->insn->op = op[q];
	return n;
}

static void add_wait(Compiler *c, Item *i, PearlQueue q, uint8_t t, uint32_t stage)
{
	Insn *insn =
		i->node->kind == FORM_INSN && insn_queue(i->node->insn) == q ? i->node->insn : NULL;
	for (uint32_t k = 0; !insn && k < i->before.n; k++) /* one sync for all, while it has room */
		if (insn_queue(i->before.at[k]->insn) == q && i->before.at[k]->insn->n_wait < 2)
			insn = i->before.at[k]->insn;
	if (!insn || insn->n_wait == 2) {
		Step *n = sync_node(c, q);
		n->insn->stage = stage;
		vec_push(c->arena, &i->before, n);
		insn = n->insn;
	}
	insn->wait[insn->n_wait++] = t;
}

static void add_signal(Compiler *c, Item *i, PearlQueue q, uint8_t t, uint32_t stage)
{
	Insn *insn =
		i->node->kind == FORM_INSN && insn_queue(i->node->insn) == q ? i->node->insn : NULL;
	for (uint32_t k = 0; !insn && k < i->after.n; k++)
		if (insn_queue(i->after.at[k]->insn) == q && i->after.at[k]->insn->n_signal < 2)
			insn = i->after.at[k]->insn;
	if (!insn || insn->n_signal == 2) {
		Step *n = sync_node(c, q);
		n->insn->stage = stage;
		vec_push(c->arena, &i->after, n);
		insn = n->insn;
	}
	insn->signal[insn->n_signal++] = t;
}

static void rebuild(StepList *l, Item *item, uint32_t n)
{
	*l = (StepList){0};
	Step **end = &l->first;
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < item[i].before.n; k++)
			*end = item[i].before.at[k], end = &item[i].before.at[k]->next;
		*end = item[i].node;
		end = &item[i].node->next;
		for (uint32_t k = 0; k < item[i].after.n; k++)
			*end = item[i].after.at[k], end = &item[i].after.at[k]->next;
	}
	*end = NULL;
}

/* Same store in a loop that gives it a ring: iteration i + ring touches the same slot again. */
static uint32_t distance(const LoopInfo *loop, const Touch *s, const Touch *t)
{
	return loop && s->store == t->store && s->store->home == loop && s->store->ring > 1
	           ? s->store->ring
	           : 1;
}

/* A loop of one iteration that itself is entered once. */
static bool runs_once(const Compiler *c, const LoopInfo *l)
{
	int64_t n;
	return l->outer == c->loop && dim_is_const(l->n, &n) && n <= l->tile;
}

/* Whether iterations of the loop need no order between s and t: what is fresh in each iteration of a
 * loop further inside is kept in order there, by tokens that live on from one run of that loop to
 * the next; iterations of a par loop touch different parts of memory. */
static bool settled(const Compiler *c, const LoopInfo *loop, const Touch *s, const Touch *t)
{
	if (loop->independent && (s->space == SPACE_HBM || s->space == SPACE_GSM)) return true;
	if (s->store != t->store) return false;
	const LoopInfo *home = s->store->home;
	while (home && home != loop && runs_once(c, home)) home = home->outer;
	if (home == loop) return false;
	for (; home; home = home->outer)
		if (home == loop) return true;
	return false;
}

/* Whether a loop inside keeps its own touches of s's memory in order: its next run is to it but one
 * more iteration, because its tokens live on. Not so the memory that all cores share, whose order a
 * par loop leaves to what is around it. */
static bool kept_inside(const Item *i, const Touch *s)
{
	return i->node->kind == FORM_LOOP && s->space != SPACE_HBM && s->space != SPACE_GSM;
}

/* What iteration i + 1 (or i + ring) must wait for: for each pair of queues and distance, the
 * earliest item that must wait and the latest that it waits for. */
static void carried(Compiler *c, const LoopInfo *loop, Item *item, uint32_t n, uint32_t depth)
{
	struct Edge {
		bool on;
		uint32_t first, last;
	} edge[NUM_QUEUES][NUM_QUEUES][9];
	memset(edge, 0, sizeof edge);
	for (uint32_t b = 0; b < n; b++)
		for (uint32_t a = 0; a <= b; a++)
			for (uint32_t x = 0; x < item[b].touch.n; x++)
				for (uint32_t y = 0; y < item[a].touch.n; y++) {
					const Touch *s = &item[b].touch.at[x], *t = &item[a].touch.at[y];
					if (s->queue == t->queue || s->queue == Q_S || s->space != t->space ||
					    !(s->write || t->write))
						continue;
					if (s->region != t->region || s->end <= t->begin || t->end <= s->begin)
						continue;
					if (settled(c, loop, s, t)) continue;
					if (a == b && kept_inside(&item[b], s)) continue;
					uint32_t d = distance(loop, s, t);
					struct Edge *e = &edge[s->queue][t->queue][d > 8 ? 8 : d];
					if (!e->on) *e = (struct Edge){true, a, b};
					if (a < e->first) e->first = a;
					if (b > e->last) e->last = b;
				}
	for (uint32_t p = 0; p < NUM_QUEUES; p++)
		for (uint32_t q = 0; q < NUM_QUEUES; q++)
			for (uint32_t d = 1; d < 9; d++) {
				struct Edge *e = &edge[p][q][d];
				if (!e->on) continue;
				uint8_t t = token(c, (PearlQueue)p, (PearlQueue)q, d, depth);
				add_wait(c, &item[e->first], (PearlQueue)q, t, 0);
				add_signal(c, &item[e->last], (PearlQueue)p, t, 0);
			}
}

/* A staged body: instruction b of iteration i before a of iteration i + d. In loop time that is
 * start = d + stage(a) - stage(b) passes later, so the token starts with that many. */
typedef struct StagedEdge {
	uint32_t b, a;
	int64_t start;
	PearlQueue p, q;
} StagedEdge;

typedef VEC(StagedEdge) StagedEdges;

/* The edges of a staged body of n items; false when the schedule does not keep one of them. */
static bool staged_edges(Compiler *c, const Item *item, uint32_t n, const LoopInfo *loop,
                         StagedEdges *edge)
{
	for (uint32_t b = 0; b < n; b++)
		for (uint32_t a = 0; a < n; a++)
			for (uint32_t x = 0; x < item[b].touch.n; x++)
				for (uint32_t y = 0; y < item[a].touch.n; y++) {
					const Touch *s = &item[b].touch.at[x], *t = &item[a].touch.at[y];
					if (s->queue == t->queue || s->space != t->space || !(s->write || t->write))
						continue;
					if (s->region != t->region || s->end <= t->begin || t->end <= s->begin)
						continue;
					/* who comes first in an iteration: `serial` is the order before scheduling */
					const Insn *ib = item[b].node->insn, *ia = item[a].node->insn;
					int64_t d = 1;
					if (ib->serial < ia->serial)
						d = 0;
					else if (s->store == t->store && s->store->home == loop)
						d = s->store->ring;
					StagedEdge e = {b, a, d + ia->stage - ib->stage, s->queue, t->queue};
					if (e.start < 0 || (e.start == 0 && b > a)) return false;
					vec_push(c->arena, edge, e);
				}
	return true;
}

static Item *staged_items(Compiler *c, const StepList *l, uint32_t *n)
{
	*n = 0;
	for (Step *node = l->first; node; node = node->next) (*n)++;
	Item *item = NEW_ARRAY(c->arena, Item, *n);
	*n = 0;
	for (Step *node = l->first; node; node = node->next, (*n)++) {
		item[*n].node = node;
		touch_insn(c, node->insn, &item[*n].touch);
	}
	return item;
}

bool tokens_possible(Compiler *c, const StepList *l)
{
	for (const Step *s = l->first; s; s = s->next) {
		StagedEdges edge = {0};
		uint32_t n;
		if (s->kind == FORM_LOOP && s->loop->scheduled) {
			const Item *item = staged_items(c, &s->body, &n);
			if (!staged_edges(c, item, n, s->loop, &edge)) return false;
		} else if (!tokens_possible(c, &s->body) || !tokens_possible(c, &s->orelse)) {
			return false;
		}
	}
	return true;
}

static void tokens_staged(Compiler *c, StepList *l, const LoopInfo *loop, uint32_t depth)
{
	uint32_t n;
	Item *item = staged_items(c, l, &n);
	StagedEdges edge = {0};
	if (!staged_edges(c, item, n, loop, &edge)) {
		pearl_fail(c, c->kernel->span, "the schedule of a staged loop breaks a dependence");
		return;
	}
	uint32_t made = 0;
	for (uint32_t k = 0; k < edge.n; k++) {
		const StagedEdge *e = &edge.at[k];
		bool implied = false;
		for (uint32_t j = 0; j < edge.n && !implied; j++) {
			const StagedEdge *f = &edge.at[j];
			if (j == k || f->p != e->p || f->q != e->q || f->a > e->a || f->b < e->b ||
			    f->start > e->start)
				continue;
			bool equal = f->a == e->a && f->b == e->b && f->start == e->start;
			implied = !equal || j < k;
		}
		if (implied) continue;
		uint8_t t = token(c, e->p, e->q, (uint32_t)e->start, 100 + depth * 100 + made++);
		add_wait(c, &item[e->a], e->q, t, 0);
		add_signal(c, &item[e->b], e->p, t, 0);
	}
	rebuild(l, item, n);
}

static void tokens_list(Compiler *c, StepList *l, const LoopInfo *loop, uint32_t depth)
{
	uint32_t n = 0;
	for (Step *node = l->first; node; node = node->next) n++;
	if (!n) return;
	Item *item = NEW_ARRAY(c->arena, Item, n);
	n = 0;
	for (Step *node = l->first; node; node = node->next, n++) {
		item[n].node = node;
		if (node->kind == FORM_INSN) touch_insn(c, node->insn, &item[n].touch);
		touch_list(c, &node->body, &item[n].touch);
		touch_list(c, &node->orelse, &item[n].touch);
		if (node->kind == FORM_LOOP && node->loop->scheduled)
			tokens_staged(c, &node->body, node->loop, depth + 1);
		else if (node->kind == FORM_LOOP)
			tokens_list(c, &node->body, node->loop, depth + 1);
		if (node->kind == FORM_IF)
			tokens_list(c, &node->body, NULL, depth + 1),
				tokens_list(c, &node->orelse, NULL, depth + 1);
	}
	/* within one pass of the block */
	int64_t met[NUM_QUEUES][NUM_QUEUES];
	memset(met, -1, sizeof met);
	uint32_t barrier = 0;
	for (uint32_t j = 0; j < n; j++) {
		if (item[j].node->kind == FORM_BAR) barrier = j;
		int64_t need[NUM_QUEUES][NUM_QUEUES];
		memset(need, -1, sizeof need);
		for (uint32_t i = barrier; i < j; i++) {
			uint8_t pairs[NUM_QUEUES];
			conflicts(&item[i], &item[j], pairs);
			for (uint32_t p = 0; p < NUM_QUEUES; p++)
				for (uint32_t q = 0; q < NUM_QUEUES; q++)
					if (pairs[p] >> q & 1) need[p][q] = i;
		}
		for (uint32_t p = 0; p < NUM_QUEUES; p++)
			for (uint32_t q = 0; q < NUM_QUEUES; q++) {
				if (need[p][q] <= met[p][q]) continue;
				met[p][q] = need[p][q];
				uint8_t t = token(c, (PearlQueue)p, (PearlQueue)q, 0, depth);
				add_signal(c, &item[need[p][q]], (PearlQueue)p, t, 0);
				add_wait(c, &item[j], (PearlQueue)q, t, 0);
			}
	}
	if (loop && !runs_once(c, loop)) carried(c, loop, item, n, depth);
	rebuild(l, item, n);
}

void tokens_kernel(Compiler *c, StepList *body)
{
	tokens_list(c, body, NULL, 0);
}
