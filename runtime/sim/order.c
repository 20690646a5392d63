/* Top-k and sort along the last dimension: values and their positions, equal ones by position. */
#include "runtime/sim/internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct Item {
	double key;
	int64_t at;
} Item; /* NaN has become more than infinity */

static int compare(const Item *x, const Item *y, int sign)
{
	if (x->key != y->key) return (x->key < y->key ? -1 : 1) * sign;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int ascending(const void *a, const void *b)
{
	return compare(a, b, 1);
}
static int descending(const void *a, const void *b)
{
	return compare(a, b, -1);
}

static double key_of(const SimOperand *a, const uint8_t *from)
{
	if (element_is_float(a->dtype)) {
		float v;
		row_load(&v, from, 4, a->dtype, 1);
		if (v != v) return (double)INFINITY;
		/* so that NaN stands above infinity */
		return isinf(v) ? (v > 0 ? 1e300 : -1e300) : (double)v;
	}
	int32_t v;
	row_load_integer(&v, from, 4, a->dtype, 1);
	return v;
}

bool execute_order(PearlSim *s, const SimStep *step)
{
	const PearlInsn *i = step->insn;
	SimOperand y = step->arg[0], at = step->arg[1], a = step->arg[2];
	if (y.rank < 1 || y.rank != a.rank || at.rank != y.rank)
		return sim_trap(s, i, "the operands differ in rank");
	uint32_t last = y.rank - 1u;
	int64_t n = a.dim[last], k = y.dim[last];
	if (at.dim[last] != k || k > n || (i->op == I_V_SORT && k != n))
		return sim_trap(s, i, "%lld results are asked of %lld elements", (long long)k,
		                (long long)n);
	if (y.empty) return true;
	int64_t step_of[3] = {y.stride[last], at.stride[last], a.stride[last]};
	y.rank = at.rank = a.rank = (uint8_t)last;
	const SimOperand *o[3] = {&y, &at, &a};
	RowWalk w;
	if (!walk_begin(s, i, &w, o, 3)) return false;
	Item *item = calloc((size_t)n, sizeof *item);
	if (!item) return sim_trap(s, i, "there is no memory to sort %lld elements", (long long)n);
	bool down = i->op == I_V_TOPK || i->field[F_VEC_descending];
	for (; !w.done; walk_next(&w))
		for (int64_t r = 0; r < w.length; r++) {
			const uint8_t *from = a.memory + w.offset[2] + r * w.step[2];
			for (int64_t j = 0; j < n; j++) item[j] = (Item){key_of(&a, from + j * step_of[2]), j};
			qsort(item, (size_t)n, sizeof *item, down ? descending : ascending);
			for (int64_t j = 0; j < k; j++) {
				int32_t position = (int32_t)item[j].at;
				row_copy(y.memory + w.offset[0] + r * w.step[0] + j * step_of[0], 4, y.dtype,
				         from + item[j].at * step_of[2], 4, a.dtype, 1);
				row_store_integer(at.memory + w.offset[1] + r * w.step[1] + j * step_of[1], 4,
				                  at.dtype, &position, 1);
			}
		}
	free(item);
	return true;
}
