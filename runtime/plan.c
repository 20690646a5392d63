/* Where activations lie: offsets for items with lifetimes, reusing memory. Greedy by size, each item
 * in the smallest gap between those alive at the same time (Pisarchyk and Lee 2020, section 4); the
 * same with items in the order of their lives, and the better of the two. */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 64 };

static int larger(const void *a, const void *b)
{
	const PlanItem *x = *(PlanItem *const *)a, *y = *(PlanItem *const *)b;
	if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
	return x < y ? -1 : x > y;
}

static int earlier(const void *a, const void *b)
{
	const PlanItem *x = *(PlanItem *const *)a, *y = *(PlanItem *const *)b;
	if (x->first != y->first) return x->first < y->first ? -1 : 1;
	return larger(a, b);
}

/* Places items in the order of `order`; placed keeps them sorted by offset. */
static uint64_t place_all(PlanItem **order, PlanItem **placed, uint32_t n)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < n; i++) {
		PlanItem *x = order[i];
		uint64_t end = 0, best = UINT64_MAX, at = 0;
		bool found = false;
		for (uint32_t k = 0; k < i; k++) {
			const PlanItem *y = placed[k];
			if (y->last < x->first || y->first > x->last) continue;
			if (y->offset > end && y->offset - end >= x->bytes && y->offset - end < best) {
				best = y->offset - end;
				at = end;
				found = true;
			}
			if (y->offset + y->bytes > end) end = y->offset + y->bytes;
		}
		x->offset = found ? at : end;
		if (x->offset + x->bytes > total) total = x->offset + x->bytes;
		uint32_t k = i;
		for (; k > 0 && placed[k - 1]->offset > x->offset; k--) placed[k] = placed[k - 1];
		placed[k] = x;
	}
	return total;
}

bool plan_memory(PlanItem *item, uint32_t n, uint64_t *total)
{
	*total = 0;
	if (!n) return true;
	uint64_t sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (item[i].bytes > UINT64_MAX / 4 || sum > UINT64_MAX / 4) return false;
		/* whole vectors may be read past an end */
		item[i].bytes = (item[i].bytes + 2 * LINE - 1) / LINE * LINE;
		sum += item[i].bytes;
	}
	PlanItem **order = calloc(2 * (size_t)n, sizeof *order);
	uint64_t *offset = calloc(n, sizeof *offset);
	bool ok = order && offset;
	if (ok) {
		PlanItem **placed = order + n;
		for (uint32_t i = 0; i < n; i++) order[i] = &item[i];
		qsort(order, n, sizeof *order, larger);
		*total = place_all(order, placed, n);
		for (uint32_t i = 0; i < n; i++) offset[i] = item[i].offset;
		qsort(order, n, sizeof *order, earlier);
		uint64_t other = place_all(order, placed, n);
		if (other < *total)
			*total = other;
		else
			for (uint32_t i = 0; i < n; i++) item[i].offset = offset[i];
	}
	free(order);
	free(offset);
	return ok;
}
