/* The data of DMA, gather and scatter: copies with conversion between the memories. What a window
 * leaves outside is filled. */
#include "runtime/sim/internal.h"

#include <string.h>

/* to = from, or to += from; no windows. */
static bool copy_box(PearlSim *s, const PearlInsn *at, const SimOperand *to, const SimOperand *from,
                     bool add)
{
	RowWalk w;
	const SimOperand *o[2] = {to, from};
	if (!walk_begin(s, at, &w, o, 2)) return false;
	for (; !w.done; walk_next(&w)) {
		uint8_t *y = to->memory + w.offset[0];
		const uint8_t *x = from->memory + w.offset[1];
		if (!add) {
			row_copy(y, w.step[0], to->dtype, x, w.step[1], from->dtype, w.length);
			continue;
		}
		for (int64_t i = 0; i < w.length; i += ROW) {
			int64_t n = w.length - i < ROW ? w.length - i : ROW;
			uint8_t *part = y + i * w.step[0];
			if (element_is_float(to->dtype)) {
				float a[ROW], b[ROW];
				row_load(a, part, w.step[0], to->dtype, n);
				row_load(b, x + i * w.step[1], w.step[1], from->dtype, n);
				row_function(VF_ADD, a, a, b, NULL, n);
				row_store(part, w.step[0], to->dtype, a, n);
			} else {
				int32_t a[ROW], b[ROW];
				row_load_integer(a, part, w.step[0], to->dtype, n);
				row_load_integer(b, x + i * w.step[1], w.step[1], from->dtype, n);
				row_function_integer(VF_ADD, a, a, b, NULL, n);
				row_store_integer(part, w.step[0], to->dtype, a, n);
			}
		}
	}
	return true;
}

static bool fill_box(PearlSim *s, const PearlInsn *at, const SimOperand *to, float value)
{
	RowWalk w;
	const SimOperand *o[1] = {to};
	if (!walk_begin(s, at, &w, o, 1)) return false;
	float row[ROW];
	for (uint32_t i = 0; i < ROW; i++) row[i] = value;
	for (; !w.done; walk_next(&w))
		for (int64_t i = 0; i < w.length; i += ROW)
			row_store(to->memory + w.offset[0] + i * w.step[0], w.step[0], to->dtype, row,
			          w.length - i < ROW ? w.length - i : ROW);
	return true;
}

static float fill_of(const PearlInsn *i)
{
	uint32_t u = (uint32_t)i->field[F_DMA_fill];
	float v;
	memcpy(&v, &u, sizeof v);
	return v;
}

/* Cuts both operands to what lies inside the windows of `from`; true in *outside if that is not all. */
void windows_cut(SimOperand *to, SimOperand *from, bool *outside)
{
	*outside = false;
	for (uint32_t k = 0; k < 2; k++) {
		if (!from->window[k].on) continue;
		uint32_t d = from->window[k].dim, e = d + (uint32_t)(to->rank - from->rank);
		int64_t start = from->window[k].start, limit = from->window[k].limit,
				first = start < 0 ? -start : 0, last = from->dim[d];
		if (limit - start < last) last = limit - start;
		if (first > 0 || last < from->dim[d]) *outside = true;
		if (last <= first) {
			to->empty = from->empty = true;
			continue;
		}
		from->address += (start + first) * from->stride[d];
		to->address += first * to->stride[e];
		from->dim[d] = to->dim[e] = last - first;
	}
	from->window[0].on = from->window[1].on = false;
}

static bool windowed(const SimOperand *o)
{
	return o->window[0].on || o->window[1].on;
}

static bool copy_windowed(PearlSim *s, const PearlInsn *at, SimOperand to, SimOperand from,
                          bool add)
{
	if (windowed(&from)) {
		bool outside;
		SimOperand whole = to;
		if (from.rank > to.rank)
			return sim_trap(s, at, "the source has more dimensions than the destination");
		for (uint32_t d = 0; d < from.rank; d++)
			if (from.dim[d] != to.dim[d + to.rank - from.rank])
				return sim_trap(s, at,
				                "a windowed source must have the dimensions of the destination");
		windows_cut(&to, &from, &outside);
		if (outside && !add && !fill_box(s, at, &whole, fill_of(at))) return false;
	}
	return to.empty || copy_box(s, at, &to, &from, add);
}

static void count_bytes(PearlSim *s, const SimOperand *to, const SimOperand *from, int64_t n)
{
	if (from->space == SPACE_HBM) s->hbm_read += (uint64_t)(n * from->size);
	if (to->space == SPACE_HBM) s->hbm_written += (uint64_t)(n * to->size);
}

bool execute_dma(PearlSim *s, const SimStep *step)
{
	const SimOperand *to = &step->arg[0], *from = &step->arg[1];
	if (windowed(to)) return sim_trap(s, step->insn, "the destination of a copy has no windows");
	if (to->empty) return true;
	if (from->empty && !windowed(from))
		return sim_trap(s, step->insn, "the source of a copy is empty, the destination is not");
	count_bytes(s, to, from, operand_count(to));
	return copy_windowed(s, step->insn, *to, *from, step->insn->field[F_DMA_add] != 0);
}

/* The indexed operand without its first dim, at row `row`; likewise the dense one. */
static SimOperand row_of(const SimOperand *o, int64_t row)
{
	SimOperand y = *o;
	y.address += row * o->stride[0];
	y.rank = (uint8_t)(o->rank - 1);
	for (uint32_t d = 0; d < y.rank; d++) y.dim[d] = o->dim[d + 1], y.stride[d] = o->stride[d + 1];
	y.empty = false;
	for (uint32_t d = 0; d < y.rank; d++) y.empty |= y.dim[d] <= 0;
	return y;
}

/* For each i of the list: row i of the dense operand and row list[i] of the indexed one. */
static bool indexed_copy(PearlSim *s, const SimStep *step, bool scatter)
{
	const SimOperand *to = &step->arg[0], *from = &step->arg[1], *rows = &step->arg[2],
					 *dense = scatter ? from : to;
	if (rows->dtype != PDT_I32 || rows->rank != 1 || rows->space != SPACE_SPM)
		return sim_trap(s, step->insn, "the rows must be a list of i32 in SPM");
	if (to->rank < 1 || from->rank < 1 || windowed(to) || windowed(from))
		return sim_trap(s, step->insn, "an indexed copy has rows and no windows");
	if (dense->dim[0] != rows->dim[0])
		return sim_trap(s, step->insn, "there are %lld rows and %lld indices",
		                (long long)dense->dim[0], (long long)rows->dim[0]);
	if (dense->empty) return true;
	count_bytes(s, to, from, operand_count(dense));
	for (int64_t i = 0; i < rows->dim[0]; i++) {
		int32_t row;
		memcpy(&row, rows->memory + rows->address + i * rows->stride[0], sizeof row);
		if (row < 0 || row >= step->reg[0]) {
			sim_index_outside(s, step->insn->field[F_DMA_check], row, step->reg[0]);
			return sim_trap(s, step->insn, "index %d at position %lld is outside 0..%lld", (int)row,
			                (long long)i, (long long)step->reg[0] - 1);
		}
		SimOperand y = row_of(to, scatter ? row : i), x = row_of(from, scatter ? i : row);
		if (!copy_windowed(s, step->insn, y, x, step->insn->field[F_DMA_add] != 0)) return false;
	}
	return true;
}

bool execute_gather(PearlSim *s, const SimStep *step)
{
	return indexed_copy(s, step, false);
}
bool execute_scatter(PearlSim *s, const SimStep *step)
{
	return indexed_copy(s, step, true);
}
