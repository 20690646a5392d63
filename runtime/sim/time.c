/* The clock of a run. A core's instructions are taken in program order; each gets the time when it was
 * dispatched, issued and completed from those before it in its queue and from its tokens (a max-plus
 * recurrence: in program order every signal comes before the wait that takes it). The core whose
 * scalar unit is furthest behind goes next, so that the cores meet at the shared memories in the order
 * of time. Not modelled: refills of instruction memory, bank conflicts of SPM and ACC. */
#include "runtime/sim/timing.h"

#include <string.h>

enum { HISTORY = 256, SETUP = 16, ISSUE = 4, PIPE = 12, BARRIER = 40, LEAD = 0, MOST_DEPTH = 1024 };

/* The last signals and waits of a token; capacities are below HISTORY. */
typedef struct TokenTime {
	uint64_t given[HISTORY], taken[HISTORY];
	uint64_t gives, takes;
} TokenTime;

typedef struct QueueTime {
	uint64_t free;     /* when the next may issue */
	uint64_t complete; /* of the last instruction */
	uint64_t issued[MOST_DEPTH], n;
} QueueTime;

typedef struct CoreTime {
	uint64_t clock; /* of the scalar unit */
	QueueTime queue[NUM_QUEUES];
	uint64_t port_free, compute_free; /* of the matrix unit */
	TokenTime *token;
	CoreLink *link;
	uint64_t issue; /* of the last instruction */
	bool moving;    /* `copy` is under way */
	SimStep copy;
	StepKind at; /* STEP_SCALAR while it runs, else STEP_BARRIER or STEP_END */
} CoreTime;

typedef struct Clock {
	PearlSim *s;
	CoreTime *core;
	SharedMemory *memory;
	SimReport *r;
	bool serial;
	VEC(SimLaunch) launch;
	uint64_t matrix_busy, vector_busy, hbm_bytes; /* at the last mark */
	Arena *a;
} Clock;

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}
static uint64_t ceil_div(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

/* --- tokens ------------------------------------------------------------------------------------------- */

/* When both waits hold, at `from` or later; the wait that held longest in *cause. False: never. */
static bool wait_time(Clock *k, CoreTime *c, const PearlInsn *i, uint64_t from, uint64_t *out,
                      uint32_t *cause)
{
	uint64_t when = from;
	*cause = 0;
	for (uint32_t n = 0; n < 2; n++) {
		if (!i->wait[n]) continue;
		const PearlToken *info = &k->s->program->tokens.at[i->wait[n] - 1];
		TokenTime *t = &c->token[i->wait[n] - 1];
		uint64_t held = 0;
		if (t->takes >= info->initial) {
			uint64_t give = t->takes - info->initial;
			if (give >= t->gives)
				return sim_trap(k->s, i, "deadlock: nothing before it signals token `%s`",
				                info->name);
			held = t->given[give % HISTORY];
		}
		if (held > when) when = held, *cause = i->wait[n];
		t->takes++; /* the second may be the same token */
	}
	for (uint32_t n = 0; n < 2; n++)
		if (i->wait[n]) {
			TokenTime *t = &c->token[i->wait[n] - 1];
			t->taken[(t->takes - 1) % HISTORY] = when;
			if (n == 0 && i->wait[1] == i->wait[0]) t->taken[(t->takes - 2) % HISTORY] = when;
		}
	*out = when;
	return true;
}

static bool signal_time(Clock *k, CoreTime *c, const PearlInsn *i, uint64_t *when)
{
	for (uint32_t pass = 0; pass < 2; pass++)
		for (uint32_t n = 0; n < 2; n++) {
			if (!i->signal[n]) continue;
			const PearlToken *info = &k->s->program->tokens.at[i->signal[n] - 1];
			TokenTime *t = &c->token[i->signal[n] - 1];
			if (pass) {
				t->given[t->gives++ % HISTORY] = *when;
				continue;
			}
			uint64_t same = n == 1 && i->signal[0] == i->signal[1];
			uint64_t number =
				info->initial + t->gives + same; /* counting what was there at first */
			if (number < info->capacity) continue;
			uint64_t take = number - info->capacity;
			if (take >= t->takes)
				return sim_trap(k->s, i, "deadlock: nothing before it makes room in token `%s`",
				                info->name);
			*when = later(*when, t->taken[take % HISTORY]);
		}
	return true;
}

/* --- what instructions cost -------------------------------------------------------------------------------- */

typedef struct Cost {
	uint64_t next, done, busy; /* when the queue may issue the next; when the result is there */
	uint64_t memory;           /* clocks waited for memory beyond the unloaded time */
} Cost;

static void matrix_cost(Clock *k, CoreTime *c, const SimStep *step, uint64_t issue, Cost *out)
{
	const PearlMachine *m = &k->s->machine;
	const SimOperand *a = &step->arg[1], *w = &step->arg[2];
	uint64_t rows = (uint64_t)(a->dim[0] * a->dim[1]), n = (uint64_t)w->dim[3], size = w->size;
	uint64_t deep = (uint64_t)m->array_rows * (size == 1 ? 2 : 1),
			 inner = (uint64_t)(a->dim[3] * a->dim[4]);
	uint64_t stream = rows * (a->dtype == PDT_F32 || w->dtype == PDT_F32 ? 4 : 1),
			 pipe = (uint64_t)(m->array_rows + m->array_cols) - 2;
	uint64_t port = (uint64_t)m->weight_port;
	if (step->insn->field[F_MUL_trans] && port > 1) port /= 2;
	out->done = issue;
	c->port_free = later(c->port_free, issue);
	for (int64_t k3 = 0; k3 < a->dim[2]; k3++)
		for (uint64_t at = 0; at < inner; at += deep) {
			uint64_t part = inner - at < deep ? inner - at : deep;
			if (k->serial) {
				uint64_t start = later(c->port_free, c->compute_free);
				c->port_free = c->compute_free = out->done =
					start + (uint64_t)m->array_rows + stream + pipe;
				out->busy += c->compute_free - start;
				continue;
			}
			/* the shadow weights are free once the tile before has begun */
			uint64_t loaded = c->port_free + ceil_div(part * n * size, port),
					 start = later(loaded, c->compute_free);
			c->compute_free = start + later(stream, 4);
			c->port_free = start;
			out->done = start + stream + pipe;
			out->busy += stream;
		}
	out->next = later(issue + 1, c->port_free);
}

static uint64_t log2_ceil(uint64_t n)
{
	uint64_t l = 0;
	while (((uint64_t)1 << l) < n) l++;
	return l;
}

/* Passes of the vector unit over all elements, and half passes of its functions. */
static uint64_t vector_clocks(const PearlMachine *m, const SimStep *step)
{
	const PearlInsn *i = step->insn;
	uint64_t lanes = (uint64_t)m->vector_lanes, n = (uint64_t)operand_count(&step->arg[0]),
			 passes2 = 2, last;
	const SimOperand *a = &step->arg[i->op == I_V_TOPK || i->op == I_V_SORT ? 2 : 1];
	switch (i->op) {
	case I_V_UN:
	case I_V_BIN:
	case I_V_TRI: passes2 = pearl_func[i->field[F_VEC_func]].passes2; break;
	case I_V_RED: n = (uint64_t)operand_count(a); break;
	case I_V_SCAN:
		passes2 = 2 * later(1, log2_ceil(a->rank ? (uint64_t)a->dim[a->rank - 1] : 1));
		break;
	case I_V_SMX: passes2 = 6; break; /* scale and greatest; exponentials; sum */
	case I_V_TOPK:
	case I_V_SORT: /* Batcher's network */
		n = (uint64_t)operand_count(a);
		last = log2_ceil(a->rank ? (uint64_t)a->dim[a->rank - 1] : 1);
		passes2 = later(2, last * (last + 1));
		break;
	default: break;
	}
	return ceil_div(ceil_div(n, lanes) * passes2, 2);
}

/* What a copy asks of shared memory, without what its windows leave out. */
static bool copy_begin(Clock *k, CoreTime *c, const SimStep *step, uint64_t issue)
{
	SimOperand to = step->arg[0], from = step->arg[1];
	bool outside, indexed = step->insn->op == I_L_GATHER || step->insn->op == I_W_SCATTER,
				  fits = true;
	bool far_from = from.space == SPACE_HBM || from.space == SPACE_GSM,
		 far_to = to.space == SPACE_HBM || to.space == SPACE_GSM;
	transfer_begin(c->link, issue + SETUP);
	if (from.window[0].on || from.window[1].on) windows_cut(&to, &from, &outside);
	int64_t rows = indexed ? step->arg[2].dim[0] : 1;
	for (int64_t r = 0; r < rows && !(to.empty || from.empty); r++) {
		SimOperand x = from, y = to;
		if (indexed) { /* one row of the table */
			SimOperand *table = step->insn->op == I_L_GATHER ? &x : &y,
					   *dense = step->insn->op == I_L_GATHER ? &y : &x;
			int32_t row;
			memcpy(&row, step->arg[2].memory + step->arg[2].address + r * step->arg[2].stride[0],
			       sizeof row);
			table->address += row * table->stride[0];
			dense->address += r * dense->stride[0];
			table->dim[0] = dense->dim[0] = 1;
		}
		if (far_from || !far_to) fits &= transfer_add(c->link, &x, MOVE_IN);
		if (far_to)
			fits &= transfer_add(c->link, &y, step->insn->field[F_DMA_add] ? MOVE_ADD : MOVE_OUT);
	}
	return fits || sim_trap(k->s, step->insn, "there is no memory to follow the copy");
}

static void copy_cost(const Clock *k, const CoreTime *c, const SimStep *step, uint64_t issue,
                      Cost *out)
{
	const PearlMachine *m = &k->s->machine;
	const Transfer *t = link_transfer(c->link);
	bool far_to = step->arg[0].space == SPACE_HBM || step->arg[0].space == SPACE_GSM;
	/* elements that do not lie side by side in the scratchpad: one a bank */
	const SimOperand *near = far_to ? &step->arg[1] : &step->arg[0];
	uint64_t scattered = near->rank && near->stride[near->rank - 1] != near->size
	                         ? ceil_div((uint64_t)operand_count(near), 16)
	                         : 0;
	uint64_t least =
		ceil_div(later(t->in_bytes, t->out_bytes), (uint64_t)(far_to ? m->link_out : m->link_in));
	out->done = later(t->done, issue + SETUP + scattered);
	out->next = later(issue + ISSUE,
	                  later(t->ask_in, t->ask_out) - SETUP); /* the next is set up meanwhile */
	out->busy = least;
	uint64_t unloaded = issue + SETUP + later(least, scattered) + 3 * (uint64_t)m->link_latency +
	                    (uint64_t)m->hbm_latency;
	out->memory = out->done > unloaded ? out->done - unloaded : 0;
}

static bool is_empty(const SimStep *step)
{
	return !step->active || pearl_insn[step->insn->op].format == FMT_NONE || step->arg[0].empty;
}

static void step_cost(Clock *k, CoreTime *c, const SimStep *step, uint64_t issue, Cost *out)
{
	const PearlMachine *m = &k->s->machine;
	PearlQueue q = pearl_insn[step->insn->op].queue;
	*out = (Cost){.next = issue + 1, .done = issue + 1};
	if (is_empty(step)) return;
	if (q == Q_M)
		matrix_cost(k, c, step, issue, out);
	else if (q == Q_L || q == Q_W)
		copy_cost(k, c, step, issue, out);
	else {
		uint64_t clocks;
		const SimOperand *y = &step->arg[0];
		if (q == Q_D)
			clocks =
				(uint64_t)operand_count(y) / (uint64_t)(y->rank ? y->dim[y->rank - 1] : 1) *
				ceil_div((uint64_t)(y->rank ? y->dim[y->rank - 1] : 1), (uint64_t)m->array_cols);
		else
			clocks = vector_clocks(m, step);
		*out =
			(Cost){.next = issue + later(clocks, 1), .done = issue + clocks + PIPE, .busy = clocks};
	}
}

/* --- one instruction ----------------------------------------------------------------------------------------- */

/* The instruction that was issued last is through. */
static bool time_end(Clock *k, CoreTime *c, const SimStep *step)
{
	PearlQueue n = pearl_insn[step->insn->op].queue;
	QueueTime *q = &c->queue[n];
	Cost cost;
	step_cost(k, c, step, c->issue, &cost);
	k->r->busy[n] += cost.busy;
	if (n == Q_L || n == Q_W) k->r->stall_memory[n] += cost.memory;
	uint64_t done = later(cost.done, q->complete);
	if (!signal_time(k, c, step->insn, &done)) return false;
	q->complete = done;
	q->free = cost.next;
	return true;
}

/* Dispatch and issue; a copy is then followed by advance_core. */
static bool time_step(Clock *k, CoreTime *c, const SimStep *step)
{
	const PearlInsn *i = step->insn;
	PearlQueue n = pearl_insn[i->op].queue;
	QueueTime *q = &c->queue[n];
	uint64_t depth = (uint64_t)k->s->machine.queue_depth, descs = 0, issue;
	if (depth > MOST_DEPTH) depth = MOST_DEPTH;
	for (uint32_t d = 0; d < 4; d++) descs += i->desc[d] != PEARL_NONE;
	/* a place in the queue: the one `depth` before must have issued */
	if (q->n >= depth) c->clock = later(c->clock, q->issued[(q->n - depth) % MOST_DEPTH]);
	c->clock += 1 + (descs + 1) / 2;
	k->r->busy[Q_S] += 1 + (descs + 1) / 2;
	uint64_t ready = later(c->clock, q->free);
	uint32_t cause;
	if (!wait_time(k, c, i, ready, &issue, &cause)) return false;
	if (cause) {
		uint8_t from = k->s->program->tokens.at[cause - 1].producer;
		uint64_t *stall = from == Q_L || from == Q_W ? k->r->stall_memory : k->r->stall_token;
		stall[n] += issue - ready;
	}
	q->issued[q->n++ % MOST_DEPTH] = issue;
	c->issue = issue;
	c->moving = (n == Q_L || n == Q_W) && !is_empty(step);
	if (c->moving) {
		c->copy = *step;
		return copy_begin(k, c, step, issue);
	}
	return time_end(k, c, step);
}

/* LDI holds up dispatch until its waits hold, and a read of SPM. */
static bool time_index(Clock *k, CoreTime *c, const SimStep *step)
{
	uint64_t issue;
	uint32_t cause;
	if (!wait_time(k, c, step->insn, c->clock + 1, &issue, &cause)) return false;
	k->r->stall_token[Q_S] += issue - c->clock - 1;
	c->clock = issue + 4;
	return signal_time(k, c, step->insn, &issue);
}

/* --- marks, barriers, the run ----------------------------------------------------------------------------------- */

static void close_launch(Clock *k, uint64_t now)
{
	if (!k->launch.n) return;
	SimLaunch *l = &k->launch.at[k->launch.n - 1];
	l->end = now;
	l->matrix_busy = k->r->busy[Q_M] - k->matrix_busy;
	l->vector_busy = k->r->busy[Q_V] - k->vector_busy;
	l->hbm_bytes = k->s->hbm_read + k->s->hbm_written - k->hbm_bytes;
}

static void mark(Clock *k, uint64_t now, uint32_t number)
{
	close_launch(k, now);
	vec_push(k->a, &k->launch, ((SimLaunch){.number = number, .begin = now}));
	k->matrix_busy = k->r->busy[Q_M];
	k->vector_busy = k->r->busy[Q_V];
	k->hbm_bytes = k->s->hbm_read + k->s->hbm_written;
}

/* How far the core has come: its scalar unit, or the copy that it is at. */
static uint64_t core_clock(const CoreTime *c)
{
	return c->moving ? later(c->clock, link_transfer(c->link)->clock) : c->clock;
}

static bool advance_core(Clock *k, uint32_t number, uint64_t until)
{
	CoreTime *c = &k->core[number];
	Core *core = &k->s->core[number];
	SimStep step;
	while (core_clock(c) <= until) {
		if (c->moving) {
			if (!transfer_run(k->memory, c->link, until)) return true;
			c->moving = false;
			if (!time_end(k, c, &c->copy)) return false;
			continue;
		}
		StepKind kind = core_step(k->s, core, &step);
		switch (kind) {
		case STEP_SCALAR:
			c->clock++;
			k->r->busy[Q_S]++;
			break;
		case STEP_MARK:
			if (number == 0) mark(k, c->clock, core->launch);
			break;
		case STEP_QUEUE:
			if (!step_execute(k->s, &step) || !time_step(k, c, &step)) return false;
			break;
		case STEP_INDEX:
			if (!time_index(k, c, &step) || !core_index(k->s, core, &step)) return false;
			break;
		case STEP_BARRIER:
		case STEP_END: c->at = kind; return true;
		case STEP_TRAP: return false;
		}
	}
	return true;
}

static uint64_t quiet_time(const CoreTime *c)
{
	uint64_t t = c->clock;
	for (uint32_t q = 0; q < NUM_QUEUES; q++) t = later(t, c->queue[q].complete);
	return t;
}

/* All cores stand: on to the next span, or *ended. */
static bool meet(Clock *k, uint32_t cores, bool *ended)
{
	uint64_t now = 0;
	for (uint32_t n = 0; n < cores; n++) {
		now = later(now, quiet_time(&k->core[n]));
		if (k->core[n].at != k->core[0].at || k->s->core[n].pc != k->s->core[0].pc)
			return sim_trap(k->s, NULL, "the cores do not meet at the same barriers");
	}
	*ended = k->core[0].at == STEP_END;
	k->r->cycles = now;
	if (*ended) return true;
	now += BARRIER;
	memory_barrier(k->memory, now);
	for (uint32_t n = 0; n < cores; n++) {
		k->core[n].clock = now;
		k->core[n].at = STEP_SCALAR;
	}
	return true;
}

static bool run_clock(Clock *k, uint32_t cores)
{
	for (bool ended = false; !ended;) {
		uint64_t least = UINT64_MAX, second = UINT64_MAX;
		uint32_t next = 0;
		for (uint32_t n = 0; n < cores; n++) {
			const CoreTime *c = &k->core[n];
			if (c->at != STEP_SCALAR) continue;
			uint64_t clock = core_clock(c);
			if (clock < least)
				second = least, least = clock, next = n;
			else if (clock < second)
				second = clock;
		}
		if (least == UINT64_MAX) {
			if (!meet(k, cores, &ended)) return false;
		} else if (!advance_core(k, next, second > UINT64_MAX - LEAD ? second : second + LEAD))
			return false;
	}
	return true;
}

bool run_timed(PearlSim *s, const PearlCode *entry, bool serial, SimReport *r, Arena *a)
{
	uint32_t cores = (uint32_t)s->machine.cores;
	Arena *own = arena_new(); /* of the run; the marks stay */
	Clock k = {.s = s, .r = r, .serial = serial, .a = a};
	k.core = NEW_ARRAY(own, CoreTime, cores);
	k.memory = memory_new(own, &s->machine);
	for (uint32_t n = 0; n < cores; n++) {
		core_begin(s, &s->core[n], entry);
		k.core[n].token = NEW_ARRAY(own, TokenTime, s->program->tokens.n + 1);
		k.core[n].link = link_new(own);
		k.core[n].at = STEP_SCALAR;
	}
	bool done = run_clock(&k, cores);
	close_launch(&k, r->cycles);
	for (uint32_t n = 0; n < cores; n++) link_end(k.core[n].link);
	memory_end(k.memory);
	arena_free(own);
	r->launch = k.launch.at;
	r->launches = (uint32_t)k.launch.n;
	return done;
}
