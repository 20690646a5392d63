/* schedule.c: modulo scheduling (Rau, Iterative Modulo Scheduling, 1994; without backtracking: the
 * interval grows instead). A loop that asks for stages and is straight-line gets a start time for
 * each instruction; time / interval is its stage, the rest its order. Stores declared in the loop
 * get rings long enough that no slot is written while it may still be read. A loop that cannot be
 * scheduled stays as it is. */
#include "codegen/pearl/internal.h"
#include <string.h>

enum { MOST_INSNS = 64, MOST_RING = 8, MOST_RING_DESCRIPTORS = 36, AHEAD = 2 };

typedef struct Slot {
	Step *node;
	Insn *insn;
	int64_t cost, delay, time;
} Slot;

static int64_t elements(Compiler *c, const Operand *o)
{
	int64_t n = 1;
	for (uint32_t d = 0; d < o->rank; d++) n *= greatest(c, o->dim[d]);
	return n;
}

/* Clocks that the queue is taken, and those until the result is there (doc/pearl.md, Time). What the
 * memories add is a guess: loads are made early anyway. */
static void cost_of(Compiler *c, Slot *s)
{
	const Insn *i = s->insn;
	const PearlMachine *m = c->m;
	int64_t n = elements(c, &i->arg[0]), lanes = m->vector_lanes;
	switch (insn_queue(i)) {
	case Q_L:
		s->cost = n * dtype_bytes(i->arg[0].dtype, 1) / m->link_in + 4;
		s->delay = s->cost + 200;
		break;
	case Q_W:
		s->cost = n * dtype_bytes(i->arg[1].dtype, 1) / m->link_out + 4;
		s->delay = s->cost + 150;
		break;
	case Q_D:
		s->cost = n / m->array_cols;
		s->delay = s->cost + 16;
		break;
	case Q_M: {
		int64_t rows = greatest(c, i->arg[0].dim[0]) * greatest(c, i->arg[0].dim[1]), k = 1;
		int64_t size = dtype_bytes(i->arg[2].dtype, 1), deep = m->array_rows * (size == 1 ? 2 : 1);
		for (uint32_t d = 3; d < 5; d++) k *= greatest(c, i->arg[1].dim[d]);
		int64_t tiles = greatest(c, i->arg[1].dim[2]) * ((k + deep - 1) / deep);
		int64_t load = m->array_rows * m->array_cols * size / m->weight_port;
		if (i->field[F_MUL_trans]) load *= 2;
		int64_t stream = rows * (i->arg[1].dtype == DT_F32 || i->arg[2].dtype == DT_F32 ? 4 : 1);
		s->cost = tiles * (stream > load ? stream : load);
		s->delay = s->cost + load + m->array_rows + m->array_cols;
		break;
	}
	default: {
		int64_t passes2 = 2;
		if (i->op == I_V_UN || i->op == I_V_BIN || i->op == I_V_TRI)
			passes2 = pearl_func[i->field[F_VEC_func]].passes2;
		if (i->op == I_V_RED) n = elements(c, &i->arg[1]);
		if (i->op == I_V_SMX) passes2 = 6;
		s->cost = ((n + lanes - 1) / lanes * passes2 + 1) / 2;
		s->delay = s->cost + 16;
	}
	}
	if (s->cost < 1) s->cost = 1;
}

static const Store *root(const Operand *o)
{
	return o->store->group ? o->store->group : o->store;
}

static bool ringed(const LoopInfo *l, const Store *s)
{
	return s->home == l && (s->space == SPACE_SPM || s->space == SPACE_ACC);
}

/* Whether x before y in one iteration must keep their order: kinds of touch of one store. */
static bool depends(const Insn *x, const Insn *y)
{
	for (uint32_t a = 0; a < 4; a++)
		for (uint32_t b = 0; b < 4; b++) {
			const Operand *p = &x->arg[a], *q = &y->arg[b];
			if (!p->store || !q->store || !(p->writes || q->writes)) continue;
			if (root(p) == root(q) ||
			    (p->store->space == SPACE_HBM && q->store->space == SPACE_HBM &&
			     p->store->region == q->store->region))
				return true;
		}
	return false;
}

/* The same across iterations, for stores that outlive an iteration. */
static bool carries(const LoopInfo *l, const Insn *x, const Insn *y)
{
	for (uint32_t a = 0; a < 4; a++)
		for (uint32_t b = 0; b < 4; b++) {
			const Operand *p = &x->arg[a], *q = &y->arg[b];
			if (!p->store || !q->store || !(p->writes || q->writes)) continue;
			if (root(p) == root(q) && !ringed(l, root(p))) return true;
			if (p->store->space == SPACE_HBM && q->store->space == SPACE_HBM &&
			    p->store->region == q->store->region)
				return true;
		}
	return false;
}

static bool free_at(const Slot *s, uint32_t n, uint32_t me, int64_t time, int64_t interval)
{
	int64_t begin = time % interval;
	for (uint32_t k = 0; k < n; k++) {
		if (k == me || insn_queue(s[k].insn) != insn_queue(s[me].insn) || s[k].time < 0) continue;
		int64_t other = s[k].time % interval, gap = (other - begin + interval) % interval,
				back = (begin - other + interval) % interval;
		if (gap < s[me].cost || back < s[k].cost) return false;
	}
	return true;
}

static bool try_interval(Compiler *c, const LoopInfo *l, Slot *s, uint32_t n, int64_t interval)
{
	for (uint32_t k = 0; k < n; k++) s[k].time = -1;
	for (uint32_t k = 0; k < n; k++) {
		int64_t t = 0;
		for (uint32_t j = 0; j < k; j++)
			if (depends(s[j].insn, s[k].insn)) {
				/* loads need no lead in the schedule: their queue runs ahead by the rings */
				PearlQueue q = insn_queue(s[j].insn);
				bool near = q == insn_queue(s[k].insn) || q == Q_L;
				int64_t after = s[j].time + (q == Q_L ? 0 : near ? s[j].cost : s[j].delay);
				if (after > t) t = after;
			}
		int64_t end = t + interval;
		while (t < end && !free_at(s, n, k, t, interval)) t++;
		if (t == end || t / interval >= PEARL_STAGES - 1) return false; /* the count has 3 bits */
		s[k].time = t;
	}
	for (uint32_t b = 0; b < n; b++)
		for (uint32_t a = 0; a <= b; a++) {
			if (!carries(l, s[b].insn, s[a].insn) || a == b) continue;
			bool same = insn_queue(s[a].insn) == insn_queue(s[b].insn);
			if (s[a].time + interval < s[b].time + (same ? s[b].cost : s[b].delay)) return false;
		}
	(void)c;
	return true;
}

/* Accumulators that are left over become one more slot of the shortest ring: the matrix unit then goes on
 * while the vector unit is busy between two loops. */
static void spare_accumulators(Compiler *c, const LoopInfo *l)
{
	int64_t rows = c->m->acc_rows * c->m->array_cols * 4;
	Store *shortest = NULL;
	for (uint32_t i = 0; i < c->stores.n; i++) {
		Store *st = c->stores.at[i];
		if (st->space != SPACE_ACC) continue;
		rows -= st->bytes * st->ring;
		if (ringed(l, st) && st->ring > 1 && (!shortest || st->ring < shortest->ring))
			shortest = st;
	}
	if (shortest && shortest->bytes <= rows && shortest->ring < MOST_RING) shortest->ring++;
}

/* Slots of each store of the loop. */
static bool size_rings(Compiler *c, const LoopInfo *l, const Slot *s, uint32_t n, int64_t interval)
{
	for (uint32_t i = 0; i < c->stores.n; i++) {
		Store *st = c->stores.at[i];
		if (!ringed(l, st) || st->group) continue;
		int64_t begin = INT64_MAX, end = 0;
		bool loaded = false;
		for (uint32_t k = 0; k < n; k++)
			for (uint32_t a = 0; a < 4; a++) {
				const Operand *o = &s[k].insn->arg[a];
				if (!o->store || root(o) != st) continue;
				/* the load queue should run ahead of a pass that stalls */
				if (o->writes && insn_queue(s[k].insn) == Q_L) loaded = true;
				if (s[k].time < begin) begin = s[k].time;
				if (s[k].time + s[k].delay > end) end = s[k].time + s[k].delay;
				/* the base of a ring descriptor cannot move with anything but loops */
				int64_t fixed;
				if (o->offset && !dim_is_const(o->offset, &fixed)) return false;
			}
		if (begin == INT64_MAX) continue;
		int64_t ring = (end - begin + interval - 1) / interval;
		if (ring > MOST_RING) return false;
		if (loaded) ring = ring + AHEAD < MOST_RING ? ring + AHEAD : MOST_RING;
		st->ring = ring < 1 ? 1 : (uint32_t)ring;
	}
	spare_accumulators(c, l);
	return true;
}

/* Whether all stores of the kernel fit with the rings that they have, and the descriptors of rings. */
static bool rings_fit(Compiler *c, const Slot *s, uint32_t n)
{
	int64_t spm = 0, acc = 0, row = c->m->array_cols * 4;
	uint32_t descriptors = 0;
	for (size_t i = 0; i < c->stores.n; i++) {
		const Store *st = c->stores.at[i];
		if (st->group) continue;
		if (st->space == SPACE_SPM) spm += round_up(st->bytes, 128) * st->ring;
		if (st->space == SPACE_ACC) acc += round_up(st->bytes, row) * st->ring;
	}
	for (uint32_t k = 0; k < n; k++)
		for (uint32_t a = 0; a < 4; a++) {
			const Operand *o = &s[k].insn->arg[a];
			if (o->store && root(o)->ring > 1) descriptors++;
		}
	return spm <= c->m->spm_bytes && acc <= c->m->acc_rows * row &&
	       c->ring_descriptors + descriptors <= MOST_RING_DESCRIPTORS;
}

static bool schedule_loop(Compiler *c, Step *node)
{
	Slot s[MOST_INSNS];
	uint32_t n = 0;
	int64_t busy[NUM_QUEUES] = {0}, interval = 0;
	for (Step *k = node->body.first; k; k = k->next) {
		if (k->kind != FORM_INSN || n == MOST_INSNS || insn_queue(k->insn) == Q_S) return false;
		s[n] = (Slot){.node = k, .insn = k->insn};
		k->insn->serial = n;
		cost_of(c, &s[n]);
		busy[insn_queue(k->insn)] += s[n].cost;
		n++;
	}
	if (n < 2) return false;
	for (uint32_t q = 0; q < NUM_QUEUES; q++)
		if (busy[q] > interval) interval = busy[q];
	bool found = false;
	for (int attempt = 0; attempt < 60 && !found; attempt++, interval += interval / 64 + 1) {
		found = try_interval(c, node->loop, s, n, interval) &&
		        size_rings(c, node->loop, s, n, interval) && rings_fit(c, s, n);
		if (found) break;
	}
	if (!found) {
		for (uint32_t i = 0; i < c->stores.n; i++)
			if (c->stores.at[i]->home == node->loop) c->stores.at[i]->ring = 1;
		return false;
	}
	for (uint32_t k = 0; k < n; k++)
		for (uint32_t a = 0; a < 4; a++)
			c->ring_descriptors += s[k].insn->arg[a].store && root(&s[k].insn->arg[a])->ring > 1;
	uint32_t stages = 0;
	for (uint32_t k = 0; k < n; k++) {
		s[k].insn->stage = (uint32_t)(s[k].time / interval);
		s[k].insn->order = s[k].time % interval;
		if (s[k].insn->stage + 1 > stages) stages = s[k].insn->stage + 1;
	}
	/* program order within the body: by time of issue */
	node->body = (StepList){0};
	bool used[MOST_INSNS] = {0};
	for (uint32_t done = 0; done < n; done++) {
		uint32_t best = n;
		for (uint32_t k = 0; k < n; k++)
			if (!used[k] && (best == n || s[k].insn->order < s[best].insn->order)) best = k;
		used[best] = true;
		s[best].node->next = NULL;
		if (node->body.last)
			node->body.last->next = s[best].node;
		else
			node->body.first = s[best].node;
		node->body.last = s[best].node;
	}
	node->loop->stages = stages;
	node->loop->interval = interval;
	node->loop->scheduled = true;
	return true;
}

/* Whether some queue waits for itself through another one within an iteration: then program order
 * leaves it idle, and skewing by stages helps. */
static bool wants_skew(const Step *node)
{
	const Insn *insn[MOST_INSNS];
	uint32_t n = 0;
	for (const Step *k = node->body.first; k; k = k->next) {
		if (k->kind != FORM_INSN || n == MOST_INSNS) return false;
		insn[n++] = k->insn;
	}
	for (uint32_t x = 0; x < n; x++) {
		bool reached[MOST_INSNS] = {0}, away[MOST_INSNS] = {0};
		reached[x] = true;
		for (uint32_t y = x + 1; y < n; y++) {
			for (uint32_t k = x; k < y; k++) {
				if (!reached[k] || !depends(insn[k], insn[y])) continue;
				reached[y] = true;
				if (away[k] || insn_queue(insn[k]) != insn_queue(insn[x])) away[y] = true;
			}
			if (reached[y] && away[y] && insn_queue(insn[y]) == insn_queue(insn[x]) &&
			    insn_queue(insn[x]) == Q_M)
				return true;
		}
	}
	return false;
}

static void schedule_list(Compiler *c, StepList *l)
{
	for (Step *n = l->first; n; n = n->next) {
		schedule_list(c, &n->body);
		schedule_list(c, &n->orelse);
		if (n->kind != FORM_LOOP) continue;
		bool wanted = n->loop->stages > 1;
		n->loop->stages = 0;
		if (wanted && !c->no_stages && wants_skew(n)) schedule_loop(c, n);
	}
}

/* --- rings of loops in program order ------------------------------------------------------------- */

static void count_uses(const StepList *l, const LoopInfo *loop, bool inside_if)
{
	for (const Step *n = l->first; n; n = n->next) {
		if (n->kind == FORM_LOOP) count_uses(&n->body, n->loop, false);
		if (n->kind == FORM_IF) {
			count_uses(&n->body, loop, true);
			count_uses(&n->orelse, loop, true);
		}
		for (uint32_t k = 0; n->kind == FORM_INSN && k < 4; k++) {
			const Operand *o = &n->insn->arg[k];
			int64_t fixed;
			if (!o->store) continue;
			Store *s = o->store->group ? o->store->group : o->store;
			s->uses++;
			s->queues |= 1u << insn_queue(n->insn);
			/* a ring's descriptor keeps its register: nothing may be added to its base */
			if (s->home != loop || inside_if || insn_queue(n->insn) == Q_S ||
			    (o->offset && !dim_is_const(o->offset, &fixed)))
				s->nested = true;
			if (o->writes && insn_queue(n->insn) == Q_L) s->loaded = true;
		}
	}
}

static bool runs_once(const LoopInfo *l)
{
	int64_t n;
	return dim_is_const(l->n, &n) && n <= l->tile;
}

static void note_loaded(void *found, DimSym *s)
{
	if (s->kind == SYM_DATA) *(bool *)found = true;
}

/* Is d known without an index that is loaded from memory, which may be another one in each turn? */
static bool same_each_turn(Dim d)
{
	bool loaded = false;
	dim_visit_syms(d, note_loaded, &loaded);
	return !loaded;
}

/* The number of this core's iteration of `home` since the kernel began, modulo 2: of a par space, then
 * of the loops in it, whose counts must not vary. So iterations alternate without fail, and what
 * inner loops of the iteration touch can have two slots, where a ring of the machine would move on
 * with every touch. NULL: it cannot be said. */
static Dim alternating_slot(Compiler *c, const LoopInfo *home)
{
	DimPool *p = c->p->dims;
	const LoopInfo *nest[PEARL_LEVELS];
	uint32_t n = 0;
	for (const LoopInfo *l = home; l != c->loop; l = l->outer) {
		if (runs_once(l)) continue;
		if (!l->var || n == PEARL_LEVELS || l->scheduled) return NULL;
		nest[n++] = l;
	}
	for (uint32_t k = 0; k + 1 < n; k++) /* from the inside out: the outermost may have any count */
		for (uint32_t o = k + 1; o < n; o++)
			if (dim_mentions(nest[k]->n, nest[o]->var) ||
			    (nest[o]->len && dim_mentions(nest[k]->n, nest[o]->len)) ||
			    (nest[k]->par && !nest[o]->par) || !same_each_turn(nest[k]->n))
				return NULL;
	Dim number = dim_const(p, 0), cores = dim_const(p, c->m->cores);
	while (n--) {
		const LoopInfo *l = nest[n];
		Dim tile = dim_const(p, l->tile), at = dim_sub(p, dim_sym(p, l->var), l->lo);
		number = dim_mul(p, number, dim_ceildiv(p, l->n, tile));
		number = dim_add(p, number, dim_floordiv(p, at, tile));
		if (l->par && (!n || !nest[n - 1]->par)) number = dim_floordiv(p, number, cores);
	}
	return dim_mod(p, number, dim_const(p, 2));
}

static bool encloses(const LoopInfo *outer, const LoopInfo *inner)
{
	while (inner && inner != outer) inner = inner->outer;
	return inner == outer;
}

/* Bytes of a memory that stores take while s lives: those of the loops around it and inside its own. */
static int64_t bytes_beside(const Compiler *c, const Store *s)
{
	int64_t sum = 0;
	for (size_t i = 0; i < c->stores.n; i++) {
		const Store *o = c->stores.at[i];
		if (o->space != s->space || (o->group && o->space == SPACE_SPM)) continue;
		if (encloses(o->home, s->home) || encloses(s->home, o->home)) sum += o->bytes * o->ring;
	}
	return sum;
}

/* Whether a core goes through the body of `l` at most once in the kernel: then one slot will do. */
static bool never_repeats(Compiler *c, const LoopInfo *l)
{
	int64_t shared = 1; /* iterations of a par space, which go round the cores */
	for (; l; l = l->outer) {
		int64_t n = greatest(c, l->n), count = n <= l->tile ? 1 : (n + l->tile - 1) / l->tile;
		if (count == 1) continue;
		if (!l->par || __builtin_mul_overflow(shared, count, &shared) || shared > c->m->cores)
			return false;
	}
	return true;
}

/* Two slots for what is fresh in each iteration, so that iterations overlap; three for small loads,
 * of which several should be under way. */
static void ring_stores(Compiler *c, const StepList *body)
{
	uint32_t descriptors = 0;
	for (size_t i = 0; i < c->stores.n; i++) {
		Store *s = c->stores.at[i];
		s->uses = 0;
		s->nested = s->loaded = false;
		s->queues = 0;
	}
	count_uses(body, NULL, false);
	for (size_t i = 0; i < c->stores.n; i++) {
		const Store *s = c->stores.at[i];
		if (s->ring > 1) descriptors += s->uses;
	}
	/* what is loaded first: memory is what is waited for longest */
	for (size_t k = 0; k < 2 * c->stores.n; k++) {
		Store *s = c->stores.at[k % c->stores.n];
		bool in_acc = s->space == SPACE_ACC;
		if (s->loaded != (k < c->stores.n)) continue;
		if (!s->home || s->home->scheduled || s->ring > 1 || s->group || !s->uses) continue;
		if (never_repeats(c, s->home)) continue;
		if (s->queues == (s->queues & -s->queues)) continue; /* one queue keeps its own order */
		Dim slot = s->nested ? alternating_slot(c, s->home) : NULL;
		if (s->nested && (!slot || !(s->loaded || in_acc))) continue; /* what costs scalar work */
		if (!in_acc && s->space != SPACE_SPM) continue;
		int64_t most = in_acc ? c->m->acc_rows * c->m->array_cols * 4 : c->m->spm_bytes;
		int64_t used = bytes_beside(c, s);
		uint32_t ring = s->loaded && !slot && s->bytes <= most / 16 ? 3 : 2;
		if (used + s->bytes * (ring - 1) > most - most / 16) ring = 2;
		if (used + s->bytes * (ring - 1) > most - most / 16) continue;
		if (!slot && descriptors + s->uses > MOST_RING_DESCRIPTORS) continue;
		if (!slot) descriptors += s->uses;
		s->slot = slot;
		s->ring = ring;
	}
}

void schedule_kernel(Compiler *c, StepList *body)
{
	schedule_list(c, body);
	if (!c->no_stages) ring_stores(c, body);
}
