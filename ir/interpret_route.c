/* The oracle, routed rows: a matrix for each row, chosen by an index; and the order in which rows of
 * one matrix lie together. An index outside the matrices is an error. */
#include "ir/interpret.h"

bool run_routed(Run *r, Node *n, Value *out)
{
	const Value *x = n->in[0]->data, *w = n->in[1]->data, *idx = n->in[2]->data;
	int64_t per = node_attr(n, "per")->i, width = x->dims[1], columns = w->dims[1];
	bool integer = out->type.dtype == DT_I32;
	for (int64_t m = 0; m < idx->count; m++) {
		if (!run_index(r, n, (int64_t)idx->at[m], w->dims[0])) return false;
		const double *row = x->at + m / per * width,
					 *matrix = w->at + (int64_t)idx->at[m] * columns * width;
		for (int64_t c = 0; c < columns; c++) {
			double sum = 0;
			for (int64_t k = 0; k < width; k++) sum += row[k] * matrix[c * width + k];
			out->at[m * columns + c] = integer ? (double)(int32_t)(uint32_t)(int64_t)sum : sum;
		}
	}
	return true;
}

bool run_route(Run *r, Node *n)
{
	const Value *idx = n->in[0]->data;
	Value *order = value_new(r, n, &n->type.element[0]),
		  *start = value_new(r, n, &n->type.element[1]);
	if (!order || !start) return false;
	int64_t block = order->dims[1], experts = start->dims[1] - 1;
	for (int64_t q = 0; q < order->dims[0]; q++) {
		int64_t first = q * block, last = first + block;
		if (last > idx->count) last = idx->count;
		/* counting sort */
		for (int64_t m = first; m < last; m++) {
			if (!run_index(r, n, (int64_t)idx->at[m], experts)) return false;
			start->at[q * (experts + 1) + (int64_t)idx->at[m] + 1]++;
		}
		double *of = start->at + q * (experts + 1);
		double *next = NEW_ARRAY(r->arena, double, experts + 1);
		for (int64_t e = 0; e < experts; e++) {
			of[e + 1] += of[e];
			next[e] = of[e];
		}
		for (int64_t m = first; m < last; m++)
			order->at[first + (int64_t)next[(int64_t)idx->at[m]]++] = (double)m;
	}
	Value **list = NEW_ARRAY(r->arena, Value *, 2);
	list[0] = order;
	list[1] = start;
	n->data = list;
	return true;
}
