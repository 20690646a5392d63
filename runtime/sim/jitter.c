/* The adversary: queues of random depth whose instructions take random time, in an order that only
 * tokens hold together. Each instruction does its data whole, at a random moment between its issue and
 * its completion. A verified program gives the bits of sequential execution; when nothing can move,
 * what each core waits for is told. */
#include "runtime/sim/internal.h"

#include <string.h>

enum { MOST_DEPTH = 6 };
typedef enum Phase { PHASE_WAITING, PHASE_ISSUED, PHASE_DONE } Phase;

typedef struct Queue {
	SimStep slot[MOST_DEPTH];
	uint32_t first, n, depth;
	Phase phase; /* of the oldest */
	bool executed;
} Queue;

typedef struct JitterCore {
	Queue queue[NUM_QUEUES];
	SimStep index; /* the LDI that dispatch stands at */
	bool at_index, at_barrier, ended;
	bool blocked; /* `held` waits for room in its queue */
	SimStep held;
	uint32_t count[PEARL_TOKENS + 1];
} JitterCore;

typedef struct Jitter {
	PearlSim *s;
	JitterCore *core;
	uint64_t state;
} Jitter;

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint32_t random_below(Jitter *j, uint32_t n)
{
	uint64_t z = j->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

static bool take_waits(JitterCore *c, const PearlInsn *i)
{
	uint32_t same = i->wait[0] && i->wait[0] == i->wait[1];
	for (uint32_t k = 0; k < 2; k++)
		if (i->wait[k] && c->count[i->wait[k]] < 1 + same) return false;
	for (uint32_t k = 0; k < 2; k++)
		if (i->wait[k]) c->count[i->wait[k]]--;
	return true;
}

static bool give_signals(const PearlSim *s, JitterCore *c, const PearlInsn *i)
{
	uint32_t same = i->signal[0] && i->signal[0] == i->signal[1];
	for (uint32_t k = 0; k < 2; k++)
		if (i->signal[k] &&
		    c->count[i->signal[k]] + same >= s->program->tokens.at[i->signal[k] - 1].capacity)
			return false;
	for (uint32_t k = 0; k < 2; k++)
		if (i->signal[k]) c->count[i->signal[k]]++;
	return true;
}

/* Moves the oldest instruction of a queue on by one phase; false if it cannot. */
static bool queue_move(Jitter *j, JitterCore *c, Queue *q)
{
	if (!q->n) return false;
	SimStep *step = &q->slot[q->first];
	switch (q->phase) {
	case PHASE_WAITING:
		if (!take_waits(c, step->insn)) return false;
		q->phase = PHASE_ISSUED;
		q->executed = random_below(j, 2) != 0;
		if (q->executed) step_execute(j->s, step);
		return true;
	case PHASE_ISSUED:
		if (!q->executed) step_execute(j->s, step);
		q->phase = PHASE_DONE;
		return true;
	default:
		if (!give_signals(j->s, c, step->insn)) return false;
		q->first = (q->first + 1) % MOST_DEPTH;
		q->n--;
		q->phase = PHASE_WAITING;
		return true;
	}
}

static bool dispatch_held(JitterCore *c)
{
	Queue *q = &c->queue[pearl_insn[c->held.insn->op].queue];
	if (q->n >= q->depth) return false;
	q->slot[(q->first + q->n++) % MOST_DEPTH] = c->held;
	c->blocked = false;
	return true;
}

/* Moves the scalar unit on; false if it stands. */
static bool scalar_move(Jitter *j, uint32_t number)
{
	JitterCore *c = &j->core[number];
	Core *core = &j->s->core[number];
	if (c->ended || c->at_barrier) return false;
	if (c->blocked) return dispatch_held(c);
	if (c->at_index) {
		if (!take_waits(c, c->index.insn)) return false;
		core_index(j->s, core, &c->index);
		give_signals(j->s, c, c->index.insn);
		c->at_index = false;
		return true;
	}
	for (uint32_t n = 1 + random_below(j, 12); n-- > 0 && !j->s->trapped;) {
		switch (core_step(j->s, core, &c->held)) {
		case STEP_QUEUE:
			c->blocked = true;
			if (!dispatch_held(c)) return true;
			break;
		case STEP_INDEX:
			c->index = c->held;
			c->at_index = true;
			return true;
		case STEP_BARRIER: c->at_barrier = true; return true;
		case STEP_END: c->ended = true; return true;
		case STEP_TRAP: return true;
		default: break;
		}
	}
	return true;
}

static bool core_idle(const JitterCore *c)
{
	for (uint32_t q = 0; q < NUM_QUEUES; q++)
		if (c->queue[q].n) return false;
	return true;
}

/* All cores at the barrier (or at the end) with empty queues: they go on. True if all have ended. */
static bool barrier_move(Jitter *j, bool *moved)
{
	uint32_t cores = (uint32_t)j->s->machine.cores, ended = 0;
	for (uint32_t k = 0; k < cores; k++) {
		const JitterCore *c = &j->core[k];
		if (!(c->at_barrier || c->ended) || !core_idle(c)) return false;
		ended += c->ended;
	}
	if (ended == cores) return true;
	bool together = ended == 0;
	for (uint32_t k = 0; k < cores; k++) together &= j->s->core[k].pc == j->s->core[0].pc;
	if (!together) return sim_trap(j->s, NULL, "the cores do not meet at the same barriers");
	for (uint32_t k = 0; k < cores; k++) j->core[k].at_barrier = false;
	*moved = true;
	return false;
}

/* Every agent once, from a random one on; each takes part with a chance of one half unless all must. */
static bool round_of_moves(Jitter *j, bool all)
{
	uint32_t agents = (uint32_t)j->s->machine.cores * NUM_QUEUES, from = random_below(j, agents);
	bool moved = false;
	for (uint32_t k = 0; k < agents && !j->s->trapped; k++) {
		uint32_t agent = (from + k) % agents, core = agent / NUM_QUEUES, q = agent % NUM_QUEUES;
		if (!all && random_below(j, 2)) continue;
		moved |= q == Q_S ? scalar_move(j, core)
		                  : queue_move(j, &j->core[core], &j->core[core].queue[q]);
	}
	return moved;
}

static bool tell_deadlock(Jitter *j)
{
	Text t = text_new(j->s->diags->arena);
	uint32_t told = 0;
	for (uint32_t k = 0; k < (uint32_t)j->s->machine.cores && told < 4; k++)
		for (uint32_t q = 0; q < NUM_QUEUES && told < 4; q++) {
			const JitterCore *c = &j->core[k];
			const SimStep *step = q == Q_S        ? (c->at_index ? &c->index : NULL)
			                      : c->queue[q].n ? &c->queue[q].slot[c->queue[q].first]
			                                      : NULL;
			if (!step) continue;
			const PearlInsn *i = step->insn;
			bool signals = q != Q_S && c->queue[q].phase == PHASE_DONE;
			uint32_t token = 0;
			for (uint32_t n = 2; n-- > 0;)
				if (signals
				        ? i->signal[n] && c->count[i->signal[n]] >=
				                              j->s->program->tokens.at[i->signal[n] - 1].capacity
				        : i->wait[n] && !c->count[i->wait[n]])
					token = signals ? i->signal[n] : i->wait[n];
			text_printf(&t, "%score %u, %s, instruction %u (%s) %s token `%s`", told++ ? "; " : "",
			            k, pearl_queue_name[q], step->at, pearl_insn[i->op].mnemonic,
			            signals ? "finds no room in" : "waits for",
			            token ? j->s->program->tokens.at[token - 1].name : "?");
		}
	return sim_trap(j->s, NULL, "deadlock: %s",
	                told ? t.at : "the cores wait for each other at a barrier");
}

static bool shake(Jitter *j, const PearlCode *entry)
{
	PearlSim *s = j->s;
	for (uint32_t k = 0; k < (uint32_t)s->machine.cores; k++) {
		core_begin(s, &s->core[k], entry);
		for (uint32_t t = 0; t < s->program->tokens.n && t < PEARL_TOKENS; t++)
			j->core[k].count[t + 1] = s->program->tokens.at[t].initial;
		for (uint32_t q = 0; q < NUM_QUEUES; q++)
			j->core[k].queue[q].depth = 1 + random_below(j, MOST_DEPTH);
	}
	for (;;) {
		bool moved = round_of_moves(j, false);
		if (!moved) moved = round_of_moves(j, true);
		if (s->trapped) return false;
		if (barrier_move(j, &moved)) return true;
		if (s->trapped) return false;
		if (!moved) return tell_deadlock(j);
	}
}

bool run_jitter(PearlSim *s, const PearlCode *entry, uint64_t seed)
{
	Arena *own = arena_new();
	Jitter j = {s, NEW_ARRAY(own, JitterCore, s->machine.cores), seed};
	bool done = shake(&j, entry);
	arena_free(own);
	return done;
}
