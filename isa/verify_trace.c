/* Sample executions: a program that verify.c has accepted is run on several cores without its data, for
 * parameters at the ends and in the middle of their ranges, and every access is held against
 *
 *   races in a core     two accesses of different queues that overlap and that no token, barrier or
 *                       load of an index orders
 *   races across cores  two accesses of different cores between the same barriers that overlap
 *   unwritten memory    scratchpad or accumulators that are read before anything was written there
 *
 * Loops run their first and last passes; tokens leave a pass as they entered it, so the middle ones
 * repeat what is seen, and are left out as far as rings come round. What a loop writes between two passes that are run counts
 * as written. Rows that data choose count as all rows inside a core, and are not compared across. */
#include "isa/internal.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 16, MOST_CORES = 8, SAMPLES = 6, MOST_WORK = 2000000000, MOST_SHARED = 60000 };

typedef struct Frame {
	int64_t n, tile, count, pass;
} Frame;

typedef struct Slot {
	const PearlDesc *d; /* NULL: not loaded */
	int64_t base, dim[PEARL_RANK], stride[PEARL_RANK], start[2], limit[2];
	uint32_t position;
} Slot;

typedef struct Extent {
	bool any;
	int64_t low, end;
} Extent;

typedef struct Trace {
	Diags *d;
	const PearlProgram *p;
	Arena *arena, *scratch;
	const uint32_t *match; /* of LOOP and IF: where they end; of IF also its ELSE: orelse */
	const uint32_t *orelse;
	const uint32_t *loads; /* LDI: how many stand before it */
	uint64_t seed;
	const bool *holds_loop; /* LOOP: a loop inside; par: a par loop inside */
	const bool
		*alike; /* par LOOP: its passes hold equally many iterations, and nothing beside them */
	int64_t *inside; /* of such a loop: how many, once they were counted */
	uint32_t entry, core, sample, launch, epoch, step;
	const int64_t *param;
	int64_t reg[PEARL_REGS];
	Slot slot[PEARL_NONE];
	Frame frame[PEARL_LEVELS];
	uint32_t depth;
	int64_t turn;               /* iterations of the par space counted so far */
	bool counting;              /* only that is wanted: nothing but scalar code runs */
	int64_t skip_from, skip_to; /* of this core's own iterations, those that are left out */
	const uint8_t *queues;      /* order_queues */
	Order order;
	uint8_t *written[2]; /* SPM, ACC: whether each line was written */
	Extent *last_write;  /* of each instruction's operand */
	VEC(Access) shared;  /* HBM and GSM, of all cores so far; begin[c]: where a core's begin */
	size_t begin[MOST_CORES + 1];
	bool failed, full; /* full: the budget is used up, what was run is all that is checked */
	uint64_t work;     /* so far, about a nanosecond each */
} Trace;

/* When too much was spent, what was run is all that is checked. */
static void spend(Trace *t, uint64_t work)
{
	t->work += work;
	if (t->work > MOST_WORK) t->full = true;
}

/* --- messages ------------------------------------------------------------------------------------------ */

static Diag *refuse(Trace *t, uint32_t insn, const char *text)
{
	const Interface *f = t->p->interface;
	const InterfaceEntry *e = &f->entry[t->entry];
	Text code = text_new(t->scratch), when = text_new(t->scratch);
	pearl_insn_text(&code, t->p, &t->p->code.at[insn]);
	const PearlInsn *i = &t->p->code.at[insn];
	Diag *d = diag_error(t->d, pearl_insn_span(t->p, i), "%s", text);
	const char *launch = "";
	if (t->launch < e->launches && e->launch_name && e->launch_name[t->launch])
		launch = arena_printf(t->scratch, ", launch `%s`", e->launch_name[t->launch]);
	diag_note(t->d, d, span_none(), "entry `%s`%s, instruction %u, line %u: %s", e->name, launch,
	          insn, i->line, code.at);
	for (uint32_t k = 0; k < f->n_param; k++)
		text_printf(&when, "%s%s = %lld", k ? ", " : "", f->param[k].name, (long long)t->param[k]);
	for (uint32_t k = 0; k < t->depth; k++)
		text_printf(&when, "%si%u = %lld", when.n ? ", " : "", k + 1, (long long)t->frame[k].pass);
	if (when.n) diag_note(t->d, d, span_none(), "for %s", when.at);
	t->failed = true;
	return d;
}

static const char *operand_name(Trace *t, const Access *a)
{
	PearlOperand o = {.name = "?", .name_len = 1};
	pearl_operand(t->p->code.at[a->insn].op, a->operand, &o);
	return arena_printf(t->scratch, "`%.*s`", o.name_len, o.name);
}

static void refuse_race(Trace *t, const Access *a, const Access *b)
{
	Text code = text_new(t->scratch);
	pearl_insn_text(&code, t->p, &t->p->code.at[b->insn]);
	const char *text = arena_printf(
		t->scratch,
		"race: %s %s bytes %lld..%lld of %s, which instruction %u may not have finished to %s (%s)",
		operand_name(t, a), a->writes ? "writes" : "reads", (long long)a->box.low,
		(long long)a->box.end, pearl_space_name[a->box.space], b->insn,
		b->writes ? "write" : "read", operand_name(t, b));
	Diag *d = refuse(t, a->insn, text);
	diag_note(t->d, d, pearl_insn_span(t->p, &t->p->code.at[b->insn]),
	          "instruction %u, line %u: %s", b->insn, t->p->code.at[b->insn].line, code.at);
	diag_help(t->d, d, "no token orders queue %s after queue %s here", pearl_queue_name[a->queue],
	          pearl_queue_name[b->queue]);
}

/* --- memory ---------------------------------------------------------------------------------------------- */

static int64_t lines_of(int64_t low, int64_t end)
{
	return (end - 1) / LINE - low / LINE + 1;
}

/* Each run of the box; false as soon as one was never written. */
static bool visit_runs(Trace *t, const Box *b, uint8_t *lines, bool mark)
{
	int64_t index[PEARL_RANK] = {0}, at = b->low, run = b->element;
	uint32_t n = b->n;
	for (; n && b->stride[n - 1] <= LINE; n--) run += (b->dim[n - 1] - 1) * b->stride[n - 1];
	for (uint32_t runs = 0; runs < 65536; runs++) { /* beyond that, what was seen must do */
		uint8_t *first = lines + at / LINE;
		size_t count = (size_t)lines_of(at, at + run);
		t->work += 4 + count / 8;
		if (mark)
			memset(first, 1, count);
		else if (memchr(first, 0, count))
			return false;
		uint32_t d = n;
		while (d-- > 0) {
			at += b->stride[d];
			if (++index[d] < b->dim[d]) break;
			at -= b->dim[d] * b->stride[d];
			index[d] = 0;
		}
		if (d == UINT32_MAX) return true;
	}
	return true;
}

static void local_memory(Trace *t, const Access *a, bool reads)
{
	uint8_t *lines = t->written[a->box.space == SPACE_ACC];
	if (reads && !visit_runs(t, &a->box, lines, false)) {
		const char *text = arena_printf(
			t->scratch, "%s reads bytes %lld..%lld of %s, not all of which were written",
			operand_name(t, a), (long long)a->box.low, (long long)a->box.end,
			pearl_space_name[a->box.space]);
		refuse(t, a->insn, text);
		return;
	}
	if (!a->writes) return;
	visit_runs(t, &a->box, lines, true);
	/* between this pass and the one before, passes may have been left out */
	Extent *x = &t->last_write[a->insn * 4 + a->operand];
	int64_t low = x->any && x->low < a->box.low ? x->low : a->box.low,
			end = x->any && x->end > a->box.end ? x->end : a->box.end;
	if (x->any && (low != a->box.low || end != a->box.end))
		memset(lines + low / LINE, 1, (size_t)lines_of(low, end));
	*x = (Extent){true, a->box.low, a->box.end};
}

/* --- operands ---------------------------------------------------------------------------------------------- */

static int64_t index_at(const Trace *t, uint32_t level, uint32_t stage)
{
	return t->frame[t->depth - 1 - level].pass - (level ? 0 : (int64_t)stage);
}

static int64_t length_at(const Trace *t, uint32_t level, uint32_t stage)
{
	const Frame *f = &t->frame[t->depth - 1 - level];
	int64_t rest = f->n - index_at(t, level, stage) * f->tile;
	return rest < f->tile ? rest : f->tile;
}

/* The bytes that operand k touches; false: none. Bounds were proved, so that nothing overflows that matters. */
static bool operand_box(const Trace *t, const PearlInsn *i, uint32_t k, Box *b)
{
	const Slot *s = &t->slot[i->desc[k]];
	const PearlDesc *d = s->d;
	if (!d) return false;
	const PearlRegion *r = &t->p->regions.at[d->region];
	int64_t at = s->base + (d->space == SPACE_HBM || d->space == SPACE_GSM ? r->address : 0),
			dim[PEARL_RANK];
	if (d->ring > 1)
		at += (int64_t)((s->position + 8u * d->ring - i->stage) % d->ring) * d->ring_stride;
	for (uint32_t n = 0; n < d->n_step; n++)
		if (d->step[n].bytes)
			at += index_at(t, d->step[n].level, i->stage) *
			      t->frame[t->depth - 1 - d->step[n].level].tile * d->step[n].bytes;
	for (uint32_t n = 0; n < d->rank; n++)
		dim[n] = s->dim[n] * (d->dim_len[n] ? length_at(t, d->dim_len[n] - 1u, i->stage) : 1);
	for (uint32_t w = 0; w < 2; w++) {
		if (!d->window[w].on) continue;
		uint32_t n = d->window[w].dim;
		int64_t first = s->start[w] < 0 ? 0 : s->start[w],
				end = s->start[w] + dim[n] < s->limit[w] ? s->start[w] + dim[n] : s->limit[w];
		dim[n] = end - first;
		at += first * s->stride[n];
	}
	bool indexed = (i->op == I_L_GATHER && k == 1) || (i->op == I_W_SCATTER && k == 0);
	if (indexed) dim[0] = t->reg[i->field[F_DMA_limit]];
	if (!box_make(b, d->space, at, pearl_dtype[d->dtype].bits / 8, d->rank, dim, s->stride))
		return false;
	b->indexed = indexed;
	return b->low >= r->address && b->end <= r->address + r->bytes;
}

static void touch(Trace *t, const PearlInsn *i, uint32_t k, bool reads, bool writes)
{
	Access a = {.insn = (uint32_t)(i - t->p->code.at),
	            .step = t->step,
	            .epoch = t->epoch,
	            .queue = (uint8_t)pearl_insn[i->op].queue,
	            .operand = (uint8_t)k,
	            .writes = writes};
	if (i->op == I_LDI && t->slot[i->desc[k]].d) { /* one element, whatever its shape */
		const PearlDesc *d = t->slot[i->desc[k]].d;
		if (!operand_box(t, i, k, &a.box)) return;
		a.box.n = 0;
		a.box.element = pearl_dtype[d->dtype].bits / 8;
		a.box.end = a.box.low + a.box.element;
	} else if (!operand_box(t, i, k, &a.box))
		return;
	bool local = a.box.space == SPACE_SPM || a.box.space == SPACE_ACC;
	if (!local && !t->p->regions.at[t->slot[i->desc[k]].d->region].writable)
		return; /* nobody can be in its way */
	if (local) local_memory(t, &a, reads);
	const Access *other = t->failed ? NULL : order_access(&t->order, t->scratch, &a);
	spend(t, t->order.tests);
	t->order.tests = 0;
	if (other) refuse_race(t, &a, other);
	if (!local && t->shared.n < MOST_SHARED) vec_push(t->arena, &t->shared, a);
}

static void queue_insn(Trace *t, const PearlInsn *i, bool active)
{
	t->step++;
	order_step(&t->order, i, t->step);
	/* reads first: an operand that is read and written must have been written before */
	for (uint32_t round = 0; round < 2 && active; round++)
		for (uint32_t k = 0; k < 4 && !t->failed; k++) {
			PearlOperand o;
			if (i->desc[k] == PEARL_NONE || !pearl_operand(i->op, k, &o)) continue;
			bool reads = o.reads;
			if (i->op == I_M_GEMM && k == 0) reads = i->field[F_MUL_accumulate];
			if (i->op == I_V_RED && k == 0) reads = i->field[F_VEC_accumulate];
			if (i->op == I_V_SMX && k == 2) reads = false; /* its third row is only written */
			if (o.writes == (round == 1)) touch(t, i, k, reads, o.writes);
		}
	order_done(&t->order, i, t->step);
	for (uint32_t k = 0; k < 4; k++) {
		Slot *s = i->advance >> k & 1 ? &t->slot[i->desc[k]] : NULL;
		if (s && s->d) s->position = (s->position + 1) % s->d->ring;
	}
}

/* --- scalar code ---------------------------------------------------------------------------------------------- */

static void alu(Trace *t, const PearlInsn *i)
{
	const int64_t *f = i->field;
	uint64_t a = (uint64_t)t->reg[f[F_ALU_a]],
			 b = (uint64_t)(f[F_ALU_use_imm] ? f[F_ALU_imm] : t->reg[f[F_ALU_b]]), y = b;
	int64_t x = (int64_t)a, z = (int64_t)b;
	switch (i->op) {
	case I_ADD: y = a + b; break;
	case I_SUB: y = a - b; break;
	case I_MUL: y = a * b; break;
	case I_FDIV: y = z > 0 ? (uint64_t)(x / z - (x % z < 0)) : 0; break;
	case I_MIN: y = x < z ? a : b; break;
	case I_MAX: y = x > z ? a : b; break;
	default: break;
	}
	t->reg[f[F_ALU_dst]] = (int64_t)y;
}

static void get(Trace *t, const PearlInsn *i)
{
	uint32_t what = (uint32_t)i->field[F_GET_what];
	int64_t *to = &t->reg[i->field[F_GET_dst]];
	if (i->op == I_PARAM)
		*to = t->param[what];
	else if (i->op == I_CORE)
		*to = what ? t->p->machine.cores : t->core;
	else if (i->op == I_IDX)
		*to = index_at(t, what, i->stage);
	else if (i->op == I_OFF)
		*to = index_at(t, what, i->stage) * t->frame[t->depth - 1 - what].tile;
	else
		*to = length_at(t, what, i->stage);
}

static void load_desc(Trace *t, const PearlInsn *i)
{
	Slot *s = &t->slot[i->field[F_LDD_slot]];
	const PearlDesc *d = &t->p->descs.at[i->field[F_LDD_entry]];
	*s = (Slot){.d = d, .base = d->base};
	memcpy(s->dim, d->dim, sizeof s->dim);
	memcpy(s->stride, d->stride, sizeof s->stride);
	for (uint32_t w = 0; w < 2; w++) {
		s->start[w] = d->window[w].start;
		s->limit[w] = d->window[w].limit;
	}
}

static void set_desc(Trace *t, const PearlInsn *i)
{
	const int64_t *f = i->field;
	Slot *s = &t->slot[f[F_SETD_slot]];
	int64_t v = t->reg[f[F_SETD_src]];
	switch (f[F_SETD_field]) {
	case DF_BASE: s->base = (int64_t)((uint64_t)s->base + (uint64_t)v); break;
	case DF_DIM: s->dim[f[F_SETD_index]] = v; break;
	case DF_STRIDE: s->stride[f[F_SETD_index]] = v; break;
	case DF_START: s->start[f[F_SETD_index]] = v; break;
	default: s->limit[f[F_SETD_index]] = v; break;
	}
}

static bool chosen(const Trace *t, const PearlInsn *i)
{
	int64_t a = t->reg[i->field[F_COND_a]],
			b = i->field[F_COND_use_imm] ? i->field[F_COND_imm] : t->reg[i->field[F_COND_b]];
	switch (i->field[F_COND_rel]) {
	case PREL_LT: return a < b;
	case PREL_LE: return a <= b;
	case PREL_EQ: return a == b;
	default: return a != b;
	}
}

/* --- loops --------------------------------------------------------------------------------------------------------- */

static void run(Trace *t, uint32_t from, uint32_t to);

/* The largest ring in use, and how many passes bring all of them round. */
static int64_t rings_of(const Trace *t, int64_t *round)
{
	int64_t most = 1;
	*round = 2; /* slots that are computed alternate */
	for (uint32_t k = 0; k < PEARL_NONE; k++) {
		int64_t ring = t->slot[k].d ? t->slot[k].d->ring : 1, a = *round, b = ring;
		if (ring > most) most = ring;
		while (b) {
			int64_t rest = a % b;
			a = b;
			b = rest;
		}
		if (*round < 1 << 20) *round *= ring / a;
	}
	return most;
}

/* Passes first, first + by, ... below the end: the first `head` and the last `tail` of them. As many are
 * left out as leave every ring where it was. */
static void run_passes(Trace *t, uint32_t at, int64_t first, int64_t by, int64_t end, int64_t head,
                       int64_t tail)
{
	Frame *f = &t->frame[t->depth - 1];
	int64_t total = first < end ? (end - first - 1) / by + 1 : 0, round;
	for (int64_t k = 0; k < total && !t->failed && !t->full; k++) {
		f->pass = first + k * by;
		spend(t, 4);
		run(t, at + 1, t->match[at]);
		if (k != head - 1 || total - tail <= head) continue;
		rings_of(t, &round);
		k += (total - tail - head) / round * round;
	}
}

/* Whether iterations begin..end - 1 of the par space hold one that this core runs. */
static bool takes_part(const Trace *t, int64_t begin, int64_t end)
{
	int64_t cores = t->p->machine.cores;
	int64_t first = (begin + cores - 1 - t->core) / cores,
			after = (end + cores - 1 - t->core) / cores;
	return first < after && (first < t->skip_from || after > t->skip_to);
}

/* The innermost loop of a par space runs this core's iterations; those around it run every pass. */
static void run_par(Trace *t, uint32_t at)
{
	Frame *f = &t->frame[t->depth - 1];
	int64_t cores = t->p->machine.cores, begin = t->turn;
	for (f->pass = 0; t->holds_loop[at] && f->pass < f->count && !t->failed && !t->full;
	     f->pass++) {
		int64_t before = t->turn;
		spend(t, 2);
		if (t->alike[at] && !t->counting && !takes_part(t, before, before + t->inside[at])) {
			t->turn += t->inside[at];
			continue;
		}
		run(t, at + 1, t->match[at]);
		if (!t->alike[at] || !t->counting) continue;
		t->inside[at] = t->turn - before;
		if (__builtin_mul_overflow(t->inside[at], f->count, &t->turn) ||
		    __builtin_add_overflow(t->turn, before, &t->turn))
			t->full = true;
		break;
	}
	if (t->holds_loop[at]) return;
	if (__builtin_add_overflow(t->turn, f->count, &t->turn)) t->full = true;
	if (t->counting) return;
	for (int64_t k = (t->core - begin % cores + cores) % cores;
	     k < f->count && !t->failed && !t->full; k += cores) {
		int64_t own = (begin + k) / cores;
		spend(t, 4);
		f->pass = k;
		if (own < t->skip_from || own >= t->skip_to)
			run(t, at + 1, t->match[at]);
		else
			k += (t->skip_to - 1 - own) * cores;
	}
}

/* The outermost loop of a par space: counts this core's iterations, then runs some of them. */
static void run_space(Trace *t, uint32_t at)
{
	int64_t saved[PEARL_REGS], cores = t->p->machine.cores, round, head = 1 + rings_of(t, &round);
	ArenaMark mark = arena_mark(t->scratch);
	Slot *slots = NEW_ARRAY(t->scratch, Slot, PEARL_NONE);
	memcpy(saved, t->reg, sizeof saved);
	memcpy(slots, t->slot, sizeof t->slot);
	t->turn = 0;
	t->counting = true;
	run_par(t, at);
	t->counting = false;
	memcpy(t->reg, saved, sizeof saved);
	memcpy(t->slot, slots, sizeof t->slot);
	arena_reset(t->scratch, mark);
	int64_t own = t->turn / cores + (t->core < t->turn % cores);
	t->skip_from = head;
	t->skip_to = own - 1 > head ? head + (own - 1 - head) / round * round : head;
	t->turn = 0;
	run_par(t, at);
}

static void run_loop(Trace *t, uint32_t at)
{
	const PearlInsn *i = &t->p->code.at[at];
	const int64_t *f = i->field;
	int64_t n = f[F_LOOP_use_imm] ? f[F_LOOP_n] : t->reg[f[F_LOOP_n_reg]], tile = f[F_LOOP_tile];
	int64_t count = n > 0 ? (n - 1) / tile + 1 : 0,
			stages = f[F_LOOP_stages] > 1 ? f[F_LOOP_stages] : 1;
	bool par = f[F_LOOP_par];
	t->frame[t->depth++] = (Frame){n, tile, count, 0};
	if (par) {
		bool first = true; /* of the par loops around */
		for (uint32_t k = at; k-- > t->p->entries.at[t->entry].first && first;)
			if (t->p->code.at[k].op == I_LOOP && t->p->code.at[k].field[F_LOOP_par] &&
			    t->match[k] > at)
				first = false;
		if (first && !t->counting)
			run_space(t, at);
		else
			run_par(t, at);
	} else if (count > 0) {
		int64_t round, head = t->holds_loop[at] ? 2 : stages + rings_of(t, &round) + 1;
		run_passes(t, at, 0, 1, count + stages - 1, head, stages);
	}
	t->depth--;
}

static bool active(const Trace *t, const PearlInsn *i)
{
	if (!t->depth) return true;
	const Frame *f = &t->frame[t->depth - 1];
	int64_t index = f->pass - i->stage;
	return index >= 0 && index < f->count;
}

/* Data may be anything in the range. Loads of a pair are often the ends of a list: first its beginning
 * low and its end high, later other ways. */
static void load_index(Trace *t, const PearlInsn *i)
{
	int64_t lo = t->reg[i->field[F_LDI_lo]], hi = t->reg[i->field[F_LDI_hi]];
	uint32_t number = t->loads[i - t->p->code.at];
	t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
	uint64_t span = (uint64_t)hi - (uint64_t)lo + 1;
	if (lo > hi) hi = lo; /* it would trap */
	if (t->sample == 2 && lo < hi && span)
		lo += (int64_t)((t->seed >> 11) % span);
	else if ((number + (t->sample == 3)) % 2)
		lo = hi;
	t->reg[i->field[F_LDI_dst]] = lo;
}

static void run_insn(Trace *t, const PearlInsn *i)
{
	if (t->counting && (pearl_insn[i->op].queue != Q_S || i->op == I_LDI)) return;
	switch (i->op) {
	case I_LDI:
		queue_insn(t, i, active(t, i));
		if (active(t, i)) load_index(t, i);
		break;
	case I_BAR:
		order_barrier(&t->order, ++t->step);
		t->epoch++;
		break;
	case I_MARK: t->launch = (uint32_t)i->field[F_MARK_number]; break;
	case I_NOP: break;
	default:
		if (pearl_insn[i->op].queue != Q_S)
			queue_insn(t, i, active(t, i));
		else if (!active(t, i))
			break;
		else if (i->op == I_LDD)
			load_desc(t, i);
		else if (i->op == I_SETD)
			set_desc(t, i);
		else if (pearl_insn[i->op].format == FMT_GET)
			get(t, i);
		else
			alu(t, i);
	}
}

static void run(Trace *t, uint32_t from, uint32_t to)
{
	for (uint32_t pc = from; pc < to && !t->failed && !t->full; pc++) {
		const PearlInsn *i = &t->p->code.at[pc];
		spend(t, 20);
		if (i->op == I_LOOP) {
			run_loop(t, pc);
			pc = t->match[pc];
		} else if (i->op == I_IF) {
			uint32_t end = t->match[pc], other = t->orelse[pc] ? t->orelse[pc] : end;
			if (chosen(t, i))
				run(t, pc + 1, other);
			else if (other != end)
				run(t, other + 1, end);
			pc = end;
		} else
			run_insn(t, i);
	}
}

/* --- across cores ------------------------------------------------------------------------------------------------------ */

static int by_place(const void *a, const void *b)
{
	const Access *x = *(const Access *const *)a, *y = *(const Access *const *)b;
	if (x->epoch != y->epoch) return x->epoch < y->epoch ? -1 : 1;
	if (x->box.space != y->box.space) return x->box.space < y->box.space ? -1 : 1;
	if (x->box.low != y->box.low) return x->box.low < y->box.low ? -1 : 1;
	return x < y ? -1 : x > y;
}

static uint32_t core_of(const Trace *t, const Access *a)
{
	uint32_t c = 0;
	while (t->begin[c + 1] <= (size_t)(a - t->shared.at)) c++;
	return c;
}

static void compare_cores(Trace *t, const uint32_t *number)
{
	size_t n = t->shared.n;
	const Access **list = NEW_ARRAY(t->arena, const Access *, n + 1);
	for (size_t k = 0; k < n; k++) list[k] = &t->shared.at[k];
	if (n) qsort(list, n, sizeof *list, by_place);
	for (size_t k = 0; k < n && !t->failed; k++)
		for (size_t m = k + 1; m < n && !t->full; m++) {
			const Access *a = list[k], *b = list[m];
			if (a->epoch != b->epoch || a->box.space != b->box.space || b->box.low >= a->box.end)
				break;
			uint32_t ca = core_of(t, a), cb = core_of(t, b);
			bool chosen_rows = a->box.indexed || b->box.indexed;
			spend(t, 10);
			if (ca == cb || (!a->writes && !b->writes) || chosen_rows ||
			    !box_overlap(t->scratch, &a->box, &b->box))
				continue;
			const Access *w = a->writes ? a : b, *x = a->writes ? b : a;
			t->depth = 0;
			Diag *d = refuse(
				t, w->insn,
				arena_printf(
					t->scratch,
					"race: core %u writes bytes %lld..%lld of %s, which core %u %s between the same barriers",
					number[core_of(t, w)], (long long)w->box.low, (long long)w->box.end,
					pearl_space_name[w->box.space], number[core_of(t, x)],
					x->writes ? "writes too" : "reads"));
			Text code = text_new(t->scratch);
			pearl_insn_text(&code, t->p, &t->p->code.at[x->insn]);
			diag_note(t->d, d, pearl_insn_span(t->p, &t->p->code.at[x->insn]),
			          "instruction %u, line %u: %s", x->insn, t->p->code.at[x->insn].line, code.at);
			break;
		}
}

/* --- samples ---------------------------------------------------------------------------------------------------------------- */

/* The tile of some loop of the program: sizes close to its multiples have short last tiles, or none. */
static int64_t some_tile(const PearlProgram *p, uint64_t random)
{
	for (size_t n = 0, at = p->code.n ? (size_t)(random % p->code.n) : 0; n < p->code.n;
	     n++, at = (at + 1) % p->code.n)
		if (p->code.at[at].op == I_LOOP && p->code.at[at].field[F_LOOP_tile] > 1)
			return p->code.at[at].field[F_LOOP_tile];
	return 1;
}

/* Parameters of sample k: lower ends, upper ends, an odd place between, near the lower end, then near
 * multiples of tiles. Those that relations exclude are drawn at random. */
static bool sample_params(const PearlProgram *p, const InterfaceEntry *e, uint32_t k,
                          uint64_t *seed, int64_t *out)
{
	const Interface *f = p->interface;
	for (uint32_t n = 0; n < f->n_param; n++) {
		int64_t lo, hi;
		if (!expr_eval(f->param[n].lo, out, &lo) || !expr_eval(f->param[n].hi, out, &hi) || lo > hi)
			return false;
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		uint64_t span = (uint64_t)hi - (uint64_t)lo;
		if (k == 0)
			out[n] = lo;
		else if (k == 1)
			out[n] = hi;
		else if (k == 2)
			out[n] = lo + (int64_t)(span / 2 | (span > 2));
		else if (k == 3)
			out[n] = lo + (int64_t)(span < 4 ? span : 4);
		else if (k < 10) {
			int64_t tile = some_tile(p, *seed >> 20);
			out[n] = tile * (1 + (int64_t)(*seed >> 40) % 3) + (int64_t)(*seed >> 50) % 3 - 1;
			if (out[n] < lo || out[n] > hi) out[n] = (*seed >> 60) % 2 ? lo : hi;
		} else
			out[n] = lo + (int64_t)(span == UINT64_MAX ? *seed >> 1 : *seed % (span + 1));
	}
	for (uint32_t n = 0; n < f->n_require + e->n_require; n++) {
		int64_t v;
		const ExprWord *r = n < f->n_require ? f->require[n] : e->require[n - f->n_require];
		if (!expr_eval(r, out, &v) || v < 0) return false;
	}
	return true;
}

/* Whether the par loop at `at` holds only scalar code and par loops over counts that its own passes do
 * not change. */
static bool passes_alike(const Trace *t, uint32_t at)
{
	bool varies[PEARL_REGS] = {false}, after = false; /* the innermost par loop */
	for (uint32_t k = at + 1; k < t->match[at]; k++) {
		const PearlInsn *i = &t->p->code.at[k];
		const int64_t *f = i->field;
		PearlFormat format = pearl_insn[i->op].format;
		if (i->op == I_LOOP) {
			if (after || !f[F_LOOP_par]) return false;
			if (!f[F_LOOP_use_imm] && varies[f[F_LOOP_n_reg]]) return false;
			after = !t->holds_loop[k];
			if (after) k = t->match[k];
		} else if (i->op == I_IF || i->op == I_LDI || pearl_insn[i->op].queue != Q_S)
			return false;
		else if (format == FMT_GET)
			varies[f[F_GET_dst]] = i->op != I_PARAM;
		else if (format == FMT_ALU)
			varies[f[F_ALU_dst]] = (i->op != I_MOVI && varies[f[F_ALU_a]]) ||
			                       (!f[F_ALU_use_imm] && varies[f[F_ALU_b]]);
	}
	return after;
}

static void match_blocks(Trace *t)
{
	uint32_t n = (uint32_t)t->p->code.n, open[64], depth = 0;
	uint32_t *match = NEW_ARRAY(t->arena, uint32_t, n + 1),
			 *orelse = NEW_ARRAY(t->arena, uint32_t, n + 1);
	uint32_t *loads = NEW_ARRAY(t->arena, uint32_t, n + 1), load = 0;
	bool *holds = NEW_ARRAY(t->arena, bool, n + 1);
	for (uint32_t k = 0; k < n; k++) {
		const PearlInsn *i = &t->p->code.at[k];
		if (i->op == I_LOOP)
			for (uint32_t d = 0; d < depth; d++) /* a par loop: only par loops count */
				if (!t->p->code.at[open[d]].field[F_LOOP_par] ||
				    t->p->code.at[open[d]].op == I_IF || i->field[F_LOOP_par])
					holds[open[d]] = true;
		if (i->op == I_LDI) loads[k] = load++;
		if (i->op == I_LOOP || i->op == I_IF) open[depth++] = k;
		if (i->op == I_ELSE) orelse[open[depth - 1]] = k;
		if (i->op == I_ENDL || i->op == I_ENDIF) match[open[--depth]] = k;
	}
	t->match = match;
	t->loads = loads;
	t->orelse = orelse;
	t->holds_loop = holds;
	bool *alike = NEW_ARRAY(t->arena, bool, n + 1);
	for (uint32_t k = 0, end = 0, last = 0; k < n;
	     k++) { /* a loop in another is alike only when that is too */
		const PearlInsn *i = &t->p->code.at[k];
		if (i->op != I_LOOP || !i->field[F_LOOP_par] || !holds[k]) continue;
		bool nested = k < end, outer = !nested || alike[last];
		alike[k] = outer && passes_alike(t, k);
		if (!nested) end = match[k];
		last = k;
	}
	t->alike = alike;
	t->inside = NEW_ARRAY(t->arena, int64_t, n + 1);
}

/* One entry on one core; its accesses of shared memory stay in t->shared. */
static void run_core(Trace *t, uint32_t number)
{
	const PearlCode *e = &t->p->entries.at[t->entry];
	const PearlMachine *m = &t->p->machine;
	int64_t bytes[2] = {m->spm_bytes, m->acc_rows * m->array_cols * 4};
	t->core = number;
	t->launch = UINT32_MAX;
	t->epoch = t->step = t->depth = 0;
	t->turn = 0;
	memset(t->reg, 0, sizeof t->reg);
	memset(t->slot, 0, sizeof t->slot);
	for (uint32_t k = 0; k < 2; k++) memset(t->written[k], 0, (size_t)(bytes[k] / LINE + 1));
	memset(t->last_write + e->first * 4, 0, e->count * 4 * sizeof *t->last_write);
	spend(t, (uint64_t)e->count * 8 + 1000);
	order_begin(&t->order, t->arena, t->p, t->queues);
	run(t, e->first, e->first + e->count);
}

static void run_sample(Trace *t)
{
	int64_t cores = t->p->machine.cores;
	uint32_t number[MOST_CORES], n = 0;
	t->shared.n = 0;
	int64_t wanted[MOST_CORES] = {0, 1, 2, 3, cores / 4, cores / 2, cores - 2, cores - 1};
	for (uint32_t k = 0; k < MOST_CORES; k++)
		if (wanted[k] >= 0 && wanted[k] < cores && (!n || wanted[k] > number[n - 1]))
			number[n++] = (uint32_t)wanted[k];
	for (uint32_t k = 0; k < n && !t->failed && !t->full; k++) {
		t->begin[k] = t->shared.n;
		run_core(t, number[k]);
		t->begin[k + 1] = t->shared.n;
	}
	for (uint32_t k = n; k < MOST_CORES; k++) t->begin[k + 1] = t->shared.n;
	if (!t->failed) compare_cores(t, number);
}

bool verify_traces(Diags *d, const PearlProgram *p)
{
	Arena *fixed = arena_new(), *arena = arena_new(), *scratch = arena_new();
	Trace *t = NEW(fixed, Trace);
	int64_t *params = NEW_ARRAY(fixed, int64_t, p->interface->n_param + 1);
	*t = (Trace){.d = d, .p = p, .arena = fixed, .scratch = scratch, .param = params};
	match_blocks(t);
	t->queues = order_queues(fixed, p);
	int64_t lines[2] = {p->machine.spm_bytes / LINE,
	                    p->machine.acc_rows * p->machine.array_cols * 4 / LINE};
	for (uint32_t k = 0; k < 2; k++) t->written[k] = NEW_ARRAY(fixed, uint8_t, lines[k] + 1);
	t->last_write = NEW_ARRAY(fixed, Extent, p->code.n * 4 + 1);
	t->arena = arena;
	bool varied = p->interface->n_param > 0;
	for (uint32_t k = 0; k < p->code.n; k++) varied |= p->code.at[k].op == I_LDI;
	uint32_t most = varied ? SAMPLES : 1;
	for (uint32_t e = 0; e < p->entries.n && !t->failed; e++) {
		uint64_t seed = 1;
		t->entry = e;
		t->sample = 0;
		for (uint32_t k = 0; k < 64 && t->sample < most && !t->failed && !t->full; k++) {
			if (!sample_params(p, &p->interface->entry[e], k, &seed, params)) continue;
			ArenaMark mark = arena_mark(arena);
			memset(&t->shared, 0, sizeof t->shared);
			run_sample(t);
			memset(&t->shared, 0, sizeof t->shared);
			arena_reset(arena, mark);
			t->sample++;
		}
	}
	bool failed = t->failed;
	arena_free(scratch);
	arena_free(arena);
	arena_free(fixed);
	return !failed;
}
