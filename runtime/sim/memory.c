/* The clock of what cores share: HBM channels with rows and refresh, the global SRAM, and each core's
 * link. Bandwidth is kept as calendars, so that requests need not come in the order of their times:
 * the cores are simulated one instruction at a time, a little out of step.
 *
 * HBM: blocks of 512 B lie on channels in turn, XORed with higher address bits; a row holds two of a
 * channel. The costs are fitted to what is known of four HBM2 stacks: 90 % of the peak streaming, 81 % in
 * bursts of 4 KiB, 75 % with a third of writes, 24 % in random accesses of 64 B. */
#include "runtime/sim/timing.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKET = 64, BLOCK = 512, PART = 4096, ACCESS = 64, BANKS = 16, OUTSTANDING = 256 };

/* Work booked in each bucket of clocks from `origin` on; `skip` leads over those full for reads (of
 * reads alone) and for writes. */
typedef struct Bucket {
	uint32_t reads, writes, skip[2];
} Bucket;
typedef struct Calendar {
	Bucket *bucket;
	size_t size, top; /* buckets below top were used */
	uint64_t origin;  /* number of the first bucket */
} Calendar;

struct SharedMemory {
	const PearlMachine *machine;
	Calendar *channel;
	int64_t (*open_row)[BANKS];
	Calendar gsm;
	uint64_t channels;
	uint64_t latency, rate; /* of HBM in clocks; sixteenths of a nanosecond a clock */
};

/* Accesses under way, in order of arrival, at most OUTSTANDING: a new one takes the place of the oldest. */
typedef struct Window {
	uint64_t arrival[OUTSTANDING], latest;
	uint32_t next;
} Window;

/* Link and requests of one core. */
struct CoreLink {
	uint64_t in_free, out_free;
	Window loads, stores;
	Transfer transfer;
	Move *move;
	size_t room;
};

static bool calendar_reach(Calendar *c, uint64_t number)
{
	if (number < c->size) return true;
	size_t size = c->size ? c->size * 2 : 256;
	while (size <= number) size *= 2;
	Bucket *grown = size > UINT32_MAX ? NULL : realloc(c->bucket, size * sizeof *grown);
	if (!grown) return false;
	c->bucket = grown;
	for (size_t i = c->size; i < size; i++) grown[i] = (Bucket){.skip = {(uint32_t)i, (uint32_t)i}};
	c->size = size;
	return true;
}

/* The first bucket from `at` on that has room for reads (0) or writes (1). */
static uint64_t calendar_free(Calendar *c, uint64_t at, uint32_t write)
{
	uint64_t end = at;
	while (end < c->size && c->bucket[end].skip[write] != end) end = c->bucket[end].skip[write];
	while (at < c->size && c->bucket[at].skip[write] != at) {
		uint64_t next = c->bucket[at].skip[write];
		c->bucket[at].skip[write] = (uint32_t)end;
		at = next;
	}
	return end;
}

/* Books `work` units from clock `start` on, `rate` a clock; the clock when they are done. Reads go before
 * writes, which wait in the controller: what a read pushes out is written later. */
static uint64_t calendar_book(Calendar *c, uint64_t start, uint64_t work, uint64_t rate,
                              uint32_t write)
{
	uint64_t first = start / BUCKET < c->origin ? c->origin : start / BUCKET,
			 at = first - c->origin, full = BUCKET * rate;
	uint64_t least = start + (work + rate - 1) / rate, done = least, pushed = 0;
	uint64_t late = first * BUCKET > start
	                    ? 0
	                    : (start - first * BUCKET) * rate; /* of the first bucket, gone by */
	while (work > 0 || pushed > 0) {
		uint32_t kind = work > 0 ? write : 1;
		at = calendar_free(c, at, kind);
		if (!calendar_reach(c, at)) return least;
		if (at != first - c->origin) late = 0;
		Bucket *b = &c->bucket[at];
		uint64_t taken = kind ? (uint64_t)b->reads + b->writes : b->reads, room = full - taken,
				 want = work > 0 ? work : pushed;
		uint64_t part = want < room ? want : room;
		if (part > full - late) part = full - late;
		if (at >= c->top) c->top = at + 1;
		if (!kind) {
			b->reads += (uint32_t)part;
			uint64_t over = (uint64_t)b->reads + b->writes > full ? b->reads + b->writes - full : 0;
			b->writes -= (uint32_t)over;
			pushed += over;
		} else
			b->writes += (uint32_t)part;
		if (work > 0) {
			uint64_t fill = taken + part > late + part ? taken + part : late + part;
			done = (c->origin + at) * BUCKET + (fill + rate - 1) / rate;
			work -= part;
		} else
			pushed -= part;
		if (b->reads == full) b->skip[0] = (uint32_t)(at + 1);
		if (b->reads + b->writes == full) b->skip[1] = (uint32_t)(at + 1);
		at++;
	}
	return done > least ? done : least;
}

/* Nothing before clock `now` is asked for any more. */
static void calendar_reset(Calendar *c, uint64_t now)
{
	c->origin = now / BUCKET;
	for (size_t i = 0; i < c->top; i++) c->bucket[i] = (Bucket){.skip = {(uint32_t)i, (uint32_t)i}};
	c->top = 0;
}

SharedMemory *memory_new(Arena *a, const PearlMachine *m)
{
	SharedMemory *s = NEW(a, SharedMemory);
	s->machine = m;
	s->channels = (uint64_t)m->hbm_channels;
	s->latency = (uint64_t)(m->hbm_latency * m->clock_mhz / 1000);
	s->rate = (uint64_t)(16000 / m->clock_mhz > 0 ? 16000 / m->clock_mhz : 1);
	s->channel = NEW_ARRAY(a, Calendar, s->channels);
	s->open_row = arena_array(a, s->channels, sizeof *s->open_row);
	for (uint64_t k = 0; k < s->channels; k++)
		for (uint32_t b = 0; b < BANKS; b++) s->open_row[k][b] = -1;
	return s;
}

static void calendar_end(Calendar *c)
{
	free(c->bucket);
}

void memory_end(SharedMemory *s)
{
	for (uint64_t k = 0; k < s->channels; k++) calendar_end(&s->channel[k]);
	calendar_end(&s->gsm);
}

void memory_barrier(SharedMemory *s, uint64_t now)
{
	for (uint64_t k = 0; k < s->channels; k++) calendar_reset(&s->channel[k], now);
	calendar_reset(&s->gsm, now);
}

CoreLink *link_new(Arena *a)
{
	return NEW(a, CoreLink);
}

void link_end(CoreLink *l)
{
	free(l->move);
	l->move = NULL;
}

const Transfer *link_transfer(const CoreLink *l)
{
	return &l->transfer;
}

/* One block, or a part of a copy from or to GSM or SPM. */
struct Move {
	uint64_t block;
	uint32_t accesses, bytes;
	MoveKind kind;
	bool hbm, gsm;
};

/* --- HBM ----------------------------------------------------------------------------------------- */

/* Accesses of 64 B of one block; the clock when the channel is through with them. */
static uint64_t block_access(SharedMemory *s, const Move *m, bool write, uint64_t start)
{
	uint64_t higher = m->block / s->channels,
			 number = (m->block ^ higher ^ higher >> 5) % s->channels, n = m->accesses;
	/* in sixteenths of a nanosecond; commands and turning round scale with the time of an access */
	uint64_t access = (ACCESS * 16 + (uint64_t)s->machine->hbm_channel_bytes - 1) /
	                  (uint64_t)s->machine->hbm_channel_bytes;
	uint64_t half = n * 2; /* halves of an access: the data, */
	int64_t row = (int64_t)(higher / 2),
			*open = &s->open_row[number][(row ^ row >> 4 ^ row >> 8) % BANKS];
	bool opens = *open != row;
	*open = row;
	if (opens)
		half +=
			n >= 8 ? 2 : 6 - n / 2; /* opening a row, the more of it hidden the longer the burst, */
	if (write) half += 1 + n / 2;   /* a share of changing between reads and writes */
	uint64_t work = half * access / 2;
	work += work / 14; /* refresh: 260 of 3900 clocks */
	return calendar_book(&s->channel[number], start, work, s->rate, write);
}

/* --- the walk over an operand in the order of its addresses ------------------------------------------ */

typedef struct Runs {
	uint32_t rank;
	int64_t dim[PEARL_RANK], stride[PEARL_RANK], index[PEARL_RANK];
	int64_t address, bytes; /* of the run in hand */
	bool done;
} Runs;

static void runs_begin(Runs *r, const SimOperand *o)
{
	*r = (Runs){.address = o->address, .bytes = o->size, .done = o->empty};
	for (uint32_t d = 0; d < o->rank;
	     d++) { /* widest stride first; repeated elements are read once */
		int64_t stride = o->stride[d] < 0 ? -o->stride[d] : o->stride[d];
		if (o->dim[d] == 1 || stride == 0) continue;
		if (o->stride[d] < 0) r->address += (o->dim[d] - 1) * o->stride[d];
		uint32_t at = r->rank++;
		for (; at > 0 && r->stride[at - 1] < stride; at--)
			r->stride[at] = r->stride[at - 1], r->dim[at] = r->dim[at - 1];
		r->stride[at] = stride;
		r->dim[at] = o->dim[d];
	}
	while (r->rank && r->stride[r->rank - 1] <= r->bytes) {
		r->rank--;
		r->bytes += (r->dim[r->rank] - 1) * r->stride[r->rank];
	}
}

static void runs_next(Runs *r)
{
	for (uint32_t d = r->rank; d-- > 0;) {
		r->address += r->stride[d];
		if (++r->index[d] < r->dim[d]) return;
		r->address -= r->stride[d] * r->dim[d];
		r->index[d] = 0;
	}
	r->done = true;
}

/* --- transfers ----------------------------------------------------------------------------------------- */

/* The clock, `ask` or later, when `accesses` more may be under way. */
static uint64_t window_room(const Window *w, uint64_t accesses, uint64_t ask)
{
	uint64_t oldest = w->arrival[(w->next + accesses - 1) % OUTSTANDING];
	return oldest > ask ? oldest : ask;
}

static void window_add(Window *w, uint64_t accesses, uint64_t done)
{
	if (w->latest < done) w->latest = done; /* in order, so that the oldest is the earliest */
	for (uint64_t k = 0; k < accesses; k++) {
		w->arrival[w->next] = w->latest;
		w->next = (w->next + 1) % OUTSTANDING;
	}
}

static bool move_push(CoreLink *l, Move m)
{
	Transfer *t = &l->transfer;
	if (t->moves == l->room) {
		size_t room = l->room ? l->room * 2 : 256;
		Move *grown = realloc(l->move, room * sizeof *grown);
		if (!grown) return false;
		l->move = grown;
		l->room = room;
	}
	if (m.kind == MOVE_IN)
		t->in_bytes += m.bytes;
	else
		t->out_bytes += m.bytes;
	l->move[t->moves++] = m;
	return true;
}

void transfer_begin(CoreLink *l, uint64_t start)
{
	l->transfer = (Transfer){.ask_in = start, .ask_out = start, .done_in = start, .done = start};
}

static bool add_blocks(CoreLink *l, const SimOperand *o, MoveKind kind)
{
	Runs r;
	Move m = {.kind = kind, .hbm = true, .block = UINT64_MAX};
	int64_t last = -1;
	for (runs_begin(&r, o); !r.done; runs_next(&r))
		for (int64_t at = r.address, end = r.address + r.bytes; at < end;) {
			int64_t stop = (at / BLOCK + 1) * BLOCK < end ? (at / BLOCK + 1) * BLOCK : end;
			if ((uint64_t)(at / BLOCK) != m.block) {
				if (m.accesses && !move_push(l, m)) return false;
				m.block = (uint64_t)(at / BLOCK);
				m.bytes = m.accesses = 0;
				last = -1;
			}
			int64_t first = at / ACCESS, final = (stop - 1) / ACCESS;
			m.accesses += (uint32_t)(final - first + 1 - (first == last));
			if (m.accesses > OUTSTANDING) m.accesses = OUTSTANDING;
			last = final;
			m.bytes += (uint32_t)(stop - at);
			at = stop;
		}
	return !m.accesses || move_push(l, m);
}

bool transfer_add(CoreLink *l, const SimOperand *o, MoveKind kind)
{
	if (o->space == SPACE_HBM) return add_blocks(l, o, kind);
	uint64_t bytes = (uint64_t)(operand_count(o) * o->size);
	while (bytes > 0) {
		uint32_t part = bytes < PART ? (uint32_t)bytes : PART;
		if (!move_push(l, (Move){.bytes = part, .kind = kind, .gsm = o->space == SPACE_GSM}))
			return false;
		bytes -= part;
	}
	return true;
}

/* Reads: channel, latency, link. `far` data do not come to the core. */
static void move_in(SharedMemory *s, CoreLink *l, const Move *m, bool far)
{
	Transfer *t = &l->transfer;
	uint64_t latency = (uint64_t)s->machine->link_latency, rate = (uint64_t)s->machine->link_in,
			 ready;
	if (m->hbm) {
		t->ask_in = window_room(&l->loads, m->accesses, t->ask_in);
		ready = block_access(s, m, false, t->ask_in + latency) + s->latency;
		if (!far) {
			if (l->in_free > ready) ready = l->in_free;
			l->in_free = ready += (m->bytes + rate - 1) / rate;
			ready += latency;
		}
		window_add(&l->loads, m->accesses, ready);
	} else {
		uint64_t start = l->in_free > t->ask_in ? l->in_free : t->ask_in;
		ready = start + (m->bytes + rate - 1) / rate;
		if (m->gsm) {
			uint64_t shared = calendar_book(&s->gsm, start, m->bytes, GSM_RATE, 0);
			if (shared > ready) ready = shared;
		}
		l->in_free = t->ask_in = ready;
		ready += 2 * latency;
	}
	if (ready > t->done_in) t->done_in = ready;
	if (ready > t->done) t->done = ready;
}

static void move_out(SharedMemory *s, CoreLink *l, const Move *m, bool far)
{
	Transfer *t = &l->transfer;
	uint64_t latency = (uint64_t)s->machine->link_latency, rate = (uint64_t)s->machine->link_out;
	if (far && t->done_in > t->ask_out) t->ask_out = t->done_in;
	if (m->hbm) t->ask_out = window_room(&l->stores, m->accesses, t->ask_out);
	uint64_t sent = l->out_free > t->ask_out ? l->out_free : t->ask_out, done;
	if (!far) l->out_free = sent += (m->bytes + rate - 1) / rate;
	t->ask_out = sent;
	if (m->hbm) {
		if (m->kind == MOVE_ADD) sent = block_access(s, m, false, sent + latency);
		done = block_access(s, m, true, sent + latency) + latency;
		window_add(&l->stores, m->accesses, done);
	} else
		done = calendar_book(&s->gsm, sent, m->bytes, GSM_RATE, 0) + 2 * latency;
	if (done > t->done) t->done = done;
}

bool transfer_run(SharedMemory *s, CoreLink *l, uint64_t until)
{
	Transfer *t = &l->transfer;
	while (t->at < t->moves) {
		const Move *m = &l->move[t->at];
		bool far = t->in_bytes && t->out_bytes; /* between HBM and GSM */
		if (m->kind == MOVE_IN)
			move_in(s, l, m, far);
		else
			move_out(s, l, m, far);
		t->at++;
		t->clock = m->kind == MOVE_IN ? t->ask_in : t->ask_out;
		if (t->clock > until) break;
	}
	return t->at == t->moves;
}
