/* Scan, top-k and sort along the last axis: a task takes a block of lines, brings them, and stores
 * what the tile operation gives. */
#include "codegen/tile/build.h"

#include <string.h>

bool build_lines(Kernel *k)
{
	Build *b = k->b;
	Node *n = kernel_anchor(k, OP_SCAN);
	if (!n) n = kernel_anchor(k, OP_TOPK);
	if (!n) n = kernel_anchor(k, OP_SORT);
	Node *x = n->in[0];
	const Type *t = &x->type;
	uint32_t axis = n->op == OP_SCAN ? (uint32_t)node_attr(n, "axis")->i : t->rank - 1,
			 last = MAX_RANK;
	int64_t width = dim_most(b, t->dim[axis]), block = 4,
			count = n->op == OP_TOPK ? node_attr(n, "k")->i : width;
	Dim base[MAX_RANK] = {0}, length = dim_c(b, 1);
	TileBlock *body = &k->k->body;
	if (width > b->t->near_bytes / 64) block = 1;
	if (width > b->t->near_bytes / 16)
		return kernel_fail(
			k, arena_printf(b->m->arena,
		                    "lines of up to %lld elements do not fit the fast memory of the target",
		                    (long long)width));
	for (uint32_t i = 0; i < t->rank; i++)
		if (i != axis) last = i;
	for (uint32_t i = 0; i < t->rank; i++) {
		if (i == axis) continue;
		TileStmt *s =
			loop(k, body, TILE_PAR, "i", dim_c(b, 0), t->dim[i], i == last ? block : 1, i == last);
		base[i] = loop_at(b, s);
		if (i == last) length = loop_len(b, s);
		body = &s->body;
	}
	bool scan = n->op == OP_SCAN;
	TileObj *in =
		place(k, body, "x", dtype_widened(t->dtype), LEVEL_NEAR, 2, (int64_t[]){block, width});
	TileObj *values =
		place(k, body, "v", dtype_widened(t->dtype), LEVEL_NEAR, 2, (int64_t[]){block, count});
	TileObj *at =
		scan ? NULL : place(k, body, "at", DT_I32, LEVEL_NEAR, 2, (int64_t[]){block, count});
	Dim index[MAX_RANK];
	memcpy(index, base, sizeof index);
	TileStmt *bring = tile_stmt(b->p, body, TILE_BRING);
	Dim row = space(k, bring, "r", length);
	if (last < MAX_RANK) index[last] = dim_add(b->m->dims, base[last], row);
	index[axis] = space(k, bring, "c", t->dim[axis]);
	bring->n_in = bring->n_out = 1;
	bring->out[0] = access2(in, row, index[axis]);
	if (!access_value(k, x, index, &bring->in[0])) return false;

	TileStmt *s = tile_stmt(b->p, body,
	                        scan               ? TILE_SCAN
	                        : n->op == OP_TOPK ? TILE_TOPK
	                                           : TILE_SORT);
	row = space(k, s, "r", length);
	Dim column = space(k, s, "c", t->dim[axis]), to = column;
	if (n->op == OP_TOPK) to = space(k, s, "k", dim_c(b, count));
	s->axis = 1;
	s->n_out = scan ? 1 : 2;
	s->out[0] = access2(values, row, to);
	if (!scan) s->out[1] = access2(at, row, to);
	if (scan) {
		const char *how = node_attr(n, "reduce")->s;
		s->reduce = strcmp(how, "sum") == 0 ? RED_SUM : strcmp(how, "max") == 0 ? RED_MAX : RED_MIN;
		RegionMaker m = region_begin(k, s);
		TileAccess a = access2(in, row, column);
		uint16_t v = region_access(&m, &a);
		region_end(&m, 1, &v);
	} else {
		s->descending = n->op == OP_TOPK || node_attr(n, "descending")->i;
		s->n_in = 1;
		s->in[0] = access2(in, row, column);
	}
	for (uint32_t i = 0; i < s->n_out; i++) {
		TileStmt *put = tile_stmt(b->p, body, TILE_PUT);
		row = space(k, put, "r", length);
		memcpy(index, base, sizeof index);
		if (last < MAX_RANK) index[last] = dim_add(b->m->dims, base[last], row);
		index[axis] = space(k, put, "c", n->op == OP_TOPK ? dim_c(b, count) : t->dim[axis]);
		RegionMaker m = region_begin(k, put);
		TileAccess a = access2(i ? at : values, row, index[axis]);
		uint16_t v = region_access(&m, &a);
		region_end(&m, 1, &v);
		put->n_out = 1;
		const Type *rt = &k->g->results.at[i]->type;
		put->out[0] = (TileAccess){.obj = k->out[i]};
		memory_index(b, rt, k->out_keep[i], index, put->out[0].index);
	}
	return true;
}
