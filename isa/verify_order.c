/* Order of accesses in a run: a clock for each queue says up to which instruction of every other queue
 * all is known to be complete. A wait learns what the signal that it meets knew, and the k-th wait
 * meets the k-th signal; queues complete in order; a barrier, or `ldi` for what it waited for, tells
 * everyone. Two accesses that overlap, one of them a write, must be in this order. */
#include "isa/internal.h"

#include <stdlib.h>
#include <string.h>

/* --- boxes ------------------------------------------------------------------------------------------- */

static bool scaled(int64_t *at, int64_t count, int64_t stride)
{
	int64_t v;
	return !__builtin_mul_overflow(count, stride, &v) && !__builtin_add_overflow(*at, v, at);
}

bool box_make(Box *b, uint8_t space, int64_t at, int64_t element, uint32_t rank, const int64_t *dim,
              const int64_t *stride)
{
	memset(b, 0, sizeof *b); /* boxes are compared by their bytes */
	b->space = space;
	b->low = at;
	b->element = element;
	for (uint32_t k = 0; k < rank; k++) {
		int64_t d = dim[k], s = stride[k];
		if (d <= 0) return false;
		if (d == 1 || s == 0) continue;
		if (s < 0) {
			if (s == INT64_MIN || !scaled(&b->low, d - 1, s)) return false;
			s = -s;
		}
		uint32_t n = b->n++;
		for (; n && b->stride[n - 1] < s; n--) {
			b->stride[n] = b->stride[n - 1];
			b->dim[n] = b->dim[n - 1];
		}
		b->stride[n] = s;
		b->dim[n] = d;
	}
	/* what lies without gaps becomes one run */
	while (b->n && b->stride[b->n - 1] <= b->element) {
		b->n--;
		if (!scaled(&b->element, b->dim[b->n] - 1, b->stride[b->n])) return false;
	}
	b->end = b->low;
	for (uint32_t k = 0; k < b->n; k++)
		if (!scaled(&b->end, b->dim[k] - 1, b->stride[k])) return false;
	return !__builtin_add_overflow(b->end, b->element, &b->end);
}

enum { MOST_RUNS = 1 << 15 };

static int64_t runs_of(const Box *b)
{
	int64_t n = 1;
	for (uint32_t k = 0; k < b->n; k++)
		if (__builtin_mul_overflow(n, b->dim[k], &n)) return INT64_MAX;
	return n;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* Where the runs of b begin, ascending. */
static int64_t *list_runs(Arena *a, const Box *b, int64_t n)
{
	int64_t *list = NEW_ARRAY(a, int64_t, n), index[PEARL_RANK] = {0}, at = b->low;
	bool sorted = true;
	for (int64_t k = 0; k < n; k++) {
		list[k] = at;
		if (k && at < list[k - 1]) sorted = false;
		for (uint32_t d = b->n; d-- > 0;) {
			at += b->stride[d];
			if (++index[d] < b->dim[d]) break;
			at -= b->dim[d] * b->stride[d];
			index[d] = 0;
		}
	}
	if (!sorted) qsort(list, (size_t)n, sizeof *list, by_value);
	return list;
}

/* Both step by the same greatest stride, within which each stays: then rows can be told apart. */
static bool rows_apart(const Box *a, const Box *b)
{
	if (!a->n || !b->n || a->stride[0] != b->stride[0]) return false;
	int64_t s = a->stride[0], first = a->low < b->low ? a->low : b->low;
	int64_t ra = (a->low - first) % s, rb = (b->low - first) % s;
	int64_t wa = a->end - a->low - (a->dim[0] - 1) * s, wb = b->end - b->low - (b->dim[0] - 1) * s;
	if (ra + wa > s || rb + wb > s) return false;
	return ra + wa <= rb || rb + wb <= ra;
}

bool box_overlap(Arena *scratch, const Box *a, const Box *b)
{
	if (a->space != b->space || a->end <= b->low || b->end <= a->low) return false;
	if ((!a->n && !b->n) || (a->n == b->n && a->low == b->low)) return true;
	if (rows_apart(a, b)) return false;
	int64_t na = runs_of(a), nb = runs_of(b);
	if (na > MOST_RUNS || nb > MOST_RUNS) return false;
	ArenaMark mark = arena_mark(scratch);
	const int64_t *x = list_runs(scratch, a, na), *y = list_runs(scratch, b, nb);
	bool overlap = false;
	for (int64_t i = 0, k = 0; i < na && k < nb && !overlap;) {
		if (x[i] + a->element <= y[k])
			i++;
		else if (y[k] + b->element <= x[i])
			k++;
		else
			overlap = true;
	}
	arena_reset(scratch, mark);
	return overlap;
}

/* --- clocks ---------------------------------------------------------------------------------------------- */

const uint8_t *order_queues(Arena *a, const PearlProgram *p)
{
	uint32_t n = (uint32_t)p->code.n, *part = NEW_ARRAY(a, uint32_t, n + 1), open[64], depth = 0,
			 barriers = 0;
	bool *joined = NEW_ARRAY(a, bool, n + 2); /* with the part after it */
	for (uint32_t k = 0; k < n; k++) {
		PearlOpcode op = p->code.at[k].op;
		part[k] = barriers;
		if (op == I_BAR) barriers++;
		if (op == I_LOOP || op == I_IF) open[depth++] = k;
		if (op == I_ENDL || op == I_ENDIF)
			for (uint32_t m = part[open[--depth]]; m < barriers; m++) joined[m] = true;
	}
	uint8_t *of = NEW_ARRAY(a, uint8_t, barriers + 1), *queues = NEW_ARRAY(a, uint8_t, n + 1);
	for (uint32_t k = 0; k < n; k++) {
		PearlQueue q = pearl_insn[p->code.at[k].op].queue;
		if (q != Q_S || p->code.at[k].op == I_LDI) of[part[k]] |= (uint8_t)(1u << q);
	}
	for (uint32_t m = 0; m < barriers; m++)
		if (joined[m]) of[m + 1] |= of[m];
	for (uint32_t m = barriers; m-- > 0;)
		if (joined[m]) of[m] |= of[m + 1];
	for (uint32_t k = 0; k < n; k++) queues[k] = of[part[k]];
	return queues;
}

void order_begin(Order *o, Arena *a, const PearlProgram *p, const uint8_t *queues)
{
	*o = (Order){.arena = a, .p = p, .queues = queues};
	o->credit = NEW_ARRAY(a, Credit, p->tokens.n + 1);
	o->newest = NEW_ARRAY(a, uint32_t, p->code.n * 4 + 1);
	for (uint32_t k = 0; k < p->tokens.n; k++) {
		o->credit[k].ring = NEW_ARRAY(a, Clock, p->tokens.at[k].capacity);
		o->credit[k].n = p->tokens.at[k].initial; /* the first ones know nothing */
	}
}

static void learn(Clock *c, const Clock *from)
{
	for (uint32_t q = 0; q < NUM_QUEUES; q++)
		if (from->at[q] > c->at[q]) c->at[q] = from->at[q];
}

void order_step(Order *o, const PearlInsn *i, uint32_t step)
{
	PearlQueue queue = pearl_insn[i->op].queue;
	o->known[queue].at[queue] = step - 1;
	for (uint32_t k = 0; k < 2; k++) {
		if (!i->wait[k]) continue;
		uint32_t capacity = o->p->tokens.at[i->wait[k] - 1].capacity;
		Credit *c = &o->credit[i->wait[k] - 1];
		if (!c->n) continue; /* refused before */
		learn(&o->known[queue], &c->ring[c->first]);
		c->first = (c->first + 1) % capacity;
		c->n--;
	}
	if (queue != Q_S) return;
	/* what comes later is dispatched later */
	for (uint32_t q = 0; q < NUM_QUEUES; q++) learn(&o->known[q], &o->known[Q_S]);
}

void order_done(Order *o, const PearlInsn *i, uint32_t step)
{
	PearlQueue queue = pearl_insn[i->op].queue;
	o->known[queue].at[queue] = step;
	if (queue == Q_S)
		for (uint32_t q = 0; q < NUM_QUEUES; q++) o->known[q].at[Q_S] = step;
	for (uint32_t k = 0; k < 2; k++) {
		if (!i->signal[k]) continue;
		uint32_t capacity = o->p->tokens.at[i->signal[k] - 1].capacity;
		Credit *c = &o->credit[i->signal[k] - 1];
		if (c->n == capacity) continue;
		c->ring[(c->first + c->n++) % capacity] = o->known[queue];
	}
}

/* What each operand's newest access is, for all accesses of a space, and those before it. */
static void unlist(Order *o, const Recent *r)
{
	for (uint32_t k = 0; k < r->access.n; k++)
		o->newest[r->access.at[k].insn * 4 + r->access.at[k].operand] = 0;
}

static void enlist(Order *o, Recent *r, uint32_t k)
{
	const Access *a = &r->access.at[k];
	uint32_t *newest = &o->newest[a->insn * 4 + a->operand];
	r->older[k] = *newest;
	*newest = k + 1;
}

void order_barrier(Order *o, uint32_t step)
{
	for (uint32_t q = 0; q < NUM_QUEUES; q++)
		for (uint32_t p = 0; p < NUM_QUEUES; p++) o->known[q].at[p] = step;
	for (uint32_t k = 0; k < NUM_SPACES; k++)
		for (uint32_t q = 0; q < NUM_QUEUES; q++) {
			unlist(o, &o->recent[k][q]);
			o->recent[k][q].access.n = 0;
		}
}

/* An older access of the same operand to the same bytes is implied by this one. */
static bool replaces(Order *o, Recent *r, const Access *a)
{
	uint32_t at = o->newest[a->insn * 4 + a->operand];
	for (uint32_t n = 0; at && n < 16; n++, at = r->older[at - 1]) {
		if (at > r->access.n) return false; /* of another space */
		Access *old = &r->access.at[at - 1];
		if (old->insn != a->insn || old->operand != a->operand) return false;
		if (memcmp(&old->box, &a->box, sizeof a->box) != 0) continue;
		old->step = a->step;
		return true;
	}
	return false;
}

/* Forgets what every other queue that works before the next barrier knows of queue p to be complete:
 * clocks only advance, so nothing that comes can be out of order with it. */
static void prune(Order *o, Recent *r, PearlQueue p, uint32_t queues)
{
	uint32_t all = UINT32_MAX;
	for (uint32_t q = 0; q < NUM_QUEUES; q++)
		if (q != p && queues >> q & 1 && o->known[q].at[p] < all) all = o->known[q].at[p];
	unlist(o, r);
	size_t kept = 0;
	for (uint32_t k = 0; k < r->access.n; k++) {
		if (r->access.at[k].step <= all) continue;
		r->access.at[kept] = r->access.at[k];
		enlist(o, r, (uint32_t)kept++);
	}
	o->tests += r->access.n;
	r->access.n = kept;
	r->prune_at = 2 * (uint32_t)kept + 64;
}

/* One of the accesses of r that overlaps a and may still be under way. */
static const Access *race(Order *o, const Recent *r, uint32_t known, Arena *scratch,
                          const Access *a)
{
	o->tests += r->access.n;
	for (uint32_t k = 0; k < r->access.n; k++) {
		const Access *b = &r->access.at[k];
		if ((!a->writes && !b->writes) || b->box.end <= a->box.low || a->box.end <= b->box.low ||
		    b->step <= known)
			continue;
		o->tests += 20;
		if (box_overlap(scratch, &a->box, &b->box)) return b;
	}
	return NULL;
}

const Access *order_access(Order *o, Arena *scratch, const Access *a)
{
	Recent *of_space = o->recent[a->box.space], *r = &of_space[a->queue];
	for (uint32_t q = 0; q < NUM_QUEUES; q++) {
		if (q == a->queue) continue;
		const Access *b = race(o, &of_space[q], o->known[a->queue].at[q], scratch, a);
		if (b) return b;
	}
	if (replaces(o, r, a)) return NULL;
	if (r->access.n >= r->prune_at) prune(o, r, a->queue, o->queues[a->insn]);
	vec_push(o->arena, &r->access, *a);
	if (r->access.n > r->older_cap) {
		uint32_t cap = r->older_cap ? r->older_cap * 2 : 256;
		r->older =
			arena_grow(o->arena, r->older, r->older_cap * sizeof *r->older, cap * sizeof *r->older);
		r->older_cap = cap;
	}
	enlist(o, r, (uint32_t)r->access.n - 1);
	return NULL;
}
