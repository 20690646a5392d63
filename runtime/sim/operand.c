/* Descriptors become operands: steps of the loops around, ring slot, lengths; and every byte that
 * the operand can touch is checked to lie in its region, so that no program reads or writes outside
 * of the simulated memories, verified or not. */
#include "runtime/sim/internal.h"

#include <string.h>

static const LoopFrame *level_frame(const Core *c, uint32_t level)
{
	return level < c->depth ? &c->loop[c->depth - 1 - level] : NULL;
}

/* What the loop yields to an instruction of stage s: its iteration, offset and length. */
static int64_t frame_index(const LoopFrame *f, uint32_t level, uint32_t stage)
{
	return f->pass - (level == 0 ? (int64_t)stage : 0);
}

static bool memory_of(PearlSim *s, Core *c, SimOperand *o)
{
	switch (o->space) {
	case SPACE_HBM: o->memory = s->hbm; return true;
	case SPACE_GSM: o->memory = s->gsm; return s->gsm != NULL;
	case SPACE_SPM: o->memory = c->spm; return true;
	case SPACE_ACC: o->memory = c->acc; return true;
	default: return false;
	}
}

/* Bytes from the lowest to the end of the highest element that can be touched, relative to address. */
static bool extent_of(const SimOperand *o, int64_t *low, int64_t *high)
{
	*low = 0;
	*high = o->size;
	for (uint32_t d = 0; d < o->rank; d++) {
		int64_t first = 0, last = o->dim[d] - 1, at;
		for (uint32_t w = 0; w < 2; w++) {
			if (!o->window[w].on || o->window[w].dim != d) continue;
			if (o->window[w].start < -((int64_t)1 << 48) || o->window[w].start > (int64_t)1 << 48)
				return false;
			first = o->window[w].start;
			last = first + o->dim[d] - 1;
			if (first < 0) first = 0;
			if (last >= o->window[w].limit) last = o->window[w].limit - 1;
			if (last < first) { /* all fill */
				*low = *high = 0;
				return true;
			}
		}
		for (int end = 0; end < 2; end++) {
			bool lower = (o->stride[d] < 0) == (end == 1);
			if (__builtin_mul_overflow(end ? last : first, o->stride[d], &at)) return false;
			if (__builtin_add_overflow(lower ? *low : *high, at, lower ? low : high)) return false;
		}
	}
	return true;
}

static bool check_bounds(PearlSim *s, const PearlInsn *i, uint32_t k, const SimOperand *o,
                         const PearlDesc *d)
{
	int64_t low, high, begin, end;
	PearlOperand row;
	if (!pearl_operand(i->op, k, &row)) return sim_trap(s, i, "there is no operand %u", k);
	if (d->region >= s->program->regions.n)
		return sim_trap(s, i, "operand `%.*s` has no region", row.name_len, row.name);
	const PearlRegion *r = &s->program->regions.at[d->region];
	if (r->space != o->space)
		return sim_trap(s, i, "operand `%.*s` lies in another memory than its region", row.name_len,
		                row.name);
	if ((row.reads && !r->readable) || (row.writes && !r->writable))
		return sim_trap(s, i, "region `%s` may not be %s", r->name,
		                row.writes && !r->writable ? "written" : "read");
	bool sane = extent_of(o, &low, &high) && !__builtin_add_overflow(o->address, low, &begin) &&
	            !__builtin_add_overflow(o->address, high, &end);
	if (sane && low == high) return true;
	if (!sane || begin < r->address || end > r->address + r->bytes)
		return sim_trap(s, i, "operand `%.*s` leaves region `%s`: bytes %lld..%lld of %lld",
		                row.name_len, row.name, r->name, sane ? (long long)(begin - r->address) : 0,
		                sane ? (long long)(end - r->address) : 0, (long long)r->bytes);
	return true;
}

bool operand_resolve(PearlSim *s, Core *c, const PearlInsn *i, uint32_t k, SimOperand *o)
{
	uint32_t slot = i->desc[k];
	memset(o, 0, sizeof *o);
	if (slot == PEARL_NONE) return true;
	if (slot >= PEARL_DESCS || !c->loaded[slot])
		return sim_trap(s, i, "descriptor register %u was never loaded", slot);
	const PearlDesc *d = &c->desc[slot];
	o->space = d->space;
	o->dtype = d->dtype;
	o->rank = d->rank;
	if (d->dtype >= pearl_dtypes || pearl_dtype[d->dtype].bits % 8 || d->rank > PEARL_RANK ||
	    d->n_step > PEARL_STEPS)
		return sim_trap(s, i, "descriptor register %u is malformed, or of elements below a byte",
		                slot);
	o->size = (uint8_t)(pearl_dtype[d->dtype].bits / 8);
	if (!memory_of(s, c, o))
		return sim_trap(s, i, "descriptor register %u names a memory that the machine lacks", slot);
	int64_t at = d->base, part;
	bool sane = true;
	if ((d->space == SPACE_HBM || d->space == SPACE_GSM) && d->region < s->program->regions.n)
		sane = !__builtin_add_overflow(at, s->program->regions.at[d->region].address, &at);
	if (d->ring > 1) {
		int64_t ring_slot = ((int64_t)c->position[slot] - i->stage) % d->ring;
		if (ring_slot < 0) ring_slot += d->ring;
		sane = sane && !__builtin_mul_overflow(ring_slot, d->ring_stride, &part) &&
		       !__builtin_add_overflow(at, part, &at);
	}
	for (uint32_t n = 0; n < d->n_step && sane; n++) {
		const LoopFrame *f = level_frame(c, d->step[n].level);
		if (!f)
			return sim_trap(s, i, "a descriptor steps with loop level %u, which there is not",
			                d->step[n].level);
		int64_t off = frame_index(f, d->step[n].level, i->stage) * f->tile;
		sane = !__builtin_mul_overflow(off, d->step[n].bytes, &part) &&
		       !__builtin_add_overflow(at, part, &at);
	}
	o->address = at;
	for (uint32_t n = 0; n < d->rank && sane; n++) {
		o->dim[n] = d->dim[n];
		o->stride[n] = d->stride[n];
		if (d->dim_len[n]) {
			uint32_t level = d->dim_len[n] - 1u;
			const LoopFrame *f = level_frame(c, level);
			if (!f)
				return sim_trap(
					s, i, "a descriptor takes the length of loop level %u, which there is not",
					level);
			int64_t len = f->n - frame_index(f, level, i->stage) * f->tile;
			if (len > f->tile) len = f->tile;
			sane = !__builtin_mul_overflow(len, d->dim[n], &o->dim[n]);
		}
		if (o->dim[n] <= 0) o->empty = true;
		if (o->dim[n] > (int64_t)1 << 40) sane = false;
	}
	if (!sane)
		return sim_trap(s, i, "the address arithmetic of descriptor register %u overflows", slot);
	if ((i->op == I_L_GATHER && k == 1) ||
	    (i->op == I_W_SCATTER && k == 0)) { /* any row below the limit */
		int64_t limit = c->reg[i->field[F_DMA_limit]];
		o->dim[0] = limit < 0 ? 0 : limit;
		if (!o->dim[0]) o->empty = true;
	}
	for (uint32_t w = 0; w < 2; w++) {
		if (!d->window[w].on) continue;
		if (d->window[w].dim >= d->rank ||
		    (w && d->window[0].on && d->window[0].dim == d->window[1].dim))
			return sim_trap(
				s, i, "descriptor register %u has a window on a dimension that cannot have it",
				slot);
		o->window[w].on = true;
		o->window[w].dim = d->window[w].dim;
		o->window[w].start = d->window[w].start;
		o->window[w].limit = d->window[w].limit;
	}
	return o->empty || check_bounds(s, i, k, o, d);
}

int64_t operand_count(const SimOperand *o)
{
	int64_t n = 1;
	for (uint32_t d = 0; d < o->rank; d++)
		if (o->dim[d] <= 0 || __builtin_mul_overflow(n, o->dim[d], &n)) return 0;
	return n;
}

/* --- walking several operands --------------------------------------------------------------------- */

/* Dims of 1 go, and neighbours that every operand steps through evenly become one. */
static void merge_dims(RowWalk *w)
{
	uint32_t n = 0;
	for (uint32_t d = 0; d < w->rank; d++) {
		if (w->dim[d] == 1 && (n > 0 || d + 1 < w->rank)) continue;
		bool joins = n > 0;
		for (uint32_t k = 0; k < w->operands && joins; k++)
			joins = w->stride[k][n - 1] == w->stride[k][d] * w->dim[d];
		if (joins) {
			w->dim[n - 1] *= w->dim[d];
			for (uint32_t k = 0; k < w->operands; k++) w->stride[k][n - 1] = w->stride[k][d];
			continue;
		}
		w->dim[n] = w->dim[d];
		for (uint32_t k = 0; k < w->operands; k++) w->stride[k][n] = w->stride[k][d];
		n++;
	}
	w->rank = n;
}

/* A short last dimension makes a slow row: a much longer one takes its place. */
static void longest_last(RowWalk *w)
{
	uint32_t best = w->rank - 1;
	if (w->dim[best] >= 8) return;
	for (uint32_t d = 0; d + 1 < w->rank; d++)
		if (w->dim[d] > 2 * w->dim[best]) best = d;
	uint32_t last = w->rank - 1;
	if (best == last) return;
	int64_t dim = w->dim[best];
	w->dim[best] = w->dim[last];
	w->dim[last] = dim;
	for (uint32_t k = 0; k < w->operands; k++) {
		int64_t stride = w->stride[k][best];
		w->stride[k][best] = w->stride[k][last];
		w->stride[k][last] = stride;
	}
}

bool walk_begin(PearlSim *s, const PearlInsn *at, RowWalk *w, const SimOperand *const *o,
                uint32_t n)
{
	memset(w, 0, sizeof *w);
	w->operands = n;
	w->rank = o[0]->rank;
	for (uint32_t d = 0; d < w->rank; d++) w->dim[d] = o[0]->dim[d];
	w->done = o[0]->empty;
	for (uint32_t k = 0; k < n; k++) {
		if (o[k]->rank > w->rank)
			return sim_trap(s, at, "an operand has more dimensions than the result");
		uint32_t shift = w->rank - o[k]->rank;
		for (uint32_t d = 0; d < o[k]->rank; d++) {
			if (o[k]->dim[d] != w->dim[d + shift] && o[k]->dim[d] != 1)
				return sim_trap(s, at, "dimension %u of an operand is %lld, of the result %lld", d,
				                (long long)o[k]->dim[d], (long long)w->dim[d + shift]);
			w->stride[k][d + shift] =
				o[k]->dim[d] == 1 && w->dim[d + shift] != 1 ? 0 : o[k]->stride[d];
		}
		w->offset[k] = o[k]->address;
	}
	if (w->rank == 0) {
		w->rank = 1;
		w->dim[0] = 1;
	}
	if (w->done) return true;
	merge_dims(w);
	longest_last(w);
	w->length = w->dim[w->rank - 1];
	for (uint32_t k = 0; k < n; k++) w->step[k] = w->stride[k][w->rank - 1];
	return true;
}

void walk_next(RowWalk *w)
{
	for (uint32_t d = w->rank - 1; d-- > 0;) {
		for (uint32_t k = 0; k < w->operands; k++) w->offset[k] += w->stride[k][d];
		if (++w->index[d] < w->dim[d]) return;
		for (uint32_t k = 0; k < w->operands; k++) w->offset[k] -= w->stride[k][d] * w->dim[d];
		w->index[d] = 0;
	}
	w->done = true;
}
