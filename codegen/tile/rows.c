/* Reductions, softmax and norms, with the elementwise work before and after them. A task takes a
 * block of rows; statistics of a row live in places; the input is read again for each use, from a
 * place when a block of it fits, so that any width works. */
#include "codegen/tile/build.h"

#include <string.h>

typedef struct Rows {
	Kernel *k;
	Node *anchor, *x;
	TileBlock *body;
	Dim base[MAX_RANK]; /* of x: what loops fix */
	uint32_t reduced;   /* set of reduced axes */
	uint32_t blocked;   /* outer axis taken in blocks, or MAX_RANK */
	Dim length;         /* rows in the block */
	int64_t block;
	TileObj *copy; /* place with the block of x, or NULL */
} Rows;

static Dim row_space(Rows *r, TileStmt *s, Dim *index)
{
	const Type *t = &r->x->type;
	Dim row = dim_c(r->k->b, 0);
	for (uint32_t i = 0; i < t->rank; i++) index[i] = r->base[i];
	if (r->blocked < MAX_RANK) {
		row = space(r->k, s, "r", r->length);
		index[r->blocked] = dim_add(r->k->b->m->dims, r->base[r->blocked], row);
	}
	return row;
}

/* False: there is but one column. */
static bool column_space(Rows *r, TileStmt *s, Dim *index)
{
	bool any = false;
	bool position =
		r->anchor->op == OP_REDUCE && strcmp(node_attr(r->anchor, "reduce")->s, "argmax") == 0;
	for (uint32_t i = 0; i < r->x->type.rank; i++) {
		if (!(r->reduced >> i & 1) || (!position && dim_is_one(r->x->type.dim[i]))) continue;
		index[i] = space(r->k, s, "c", r->x->type.dim[i]);
		any = true;
	}
	return any;
}

/* x at index: from the copy if there is one. */
static uint16_t x_value(Rows *r, RegionMaker *m, const Dim *index, Dim row)
{
	if (!r->copy) return region_value(m, r->x, index);
	Dim column = NULL;
	for (uint32_t i = 0; i < r->x->type.rank; i++)
		if (r->reduced >> i & 1) column = index[i];
	TileAccess a = access2(r->copy, row, column);
	return region_access(m, &a);
}

static TileObj *stat_place(Rows *r, const char *name, DType t)
{
	return place(r->k, r->body, name, t, LEVEL_NEAR, 1, &r->block);
}

typedef enum Prepare { AS_IS, SQUARE, CENTRED_SQUARE, EXP_SHIFTED } Prepare;

/* A statistic of each row: reduction of x, of its square, of (x - mean)^2 or of exp(x - max). */
static TileObj *statistic(Rows *r, const char *name, TileReduce how, Prepare prepare, TileObj *with,
                          DType t)
{
	TileObj *to = stat_place(r, name, t);
	TileStmt *s = tile_stmt(r->k->b->p, r->body, TILE_REDUCE);
	Dim index[MAX_RANK];
	s->reduce = how;
	Dim row = row_space(r, s, index);
	if (!column_space(r, s, index)) s->op = TILE_MAP; /* one column: it is the statistic */
	s->out[0] = access1(to, row);
	s->n_out = 1;
	RegionMaker m = region_begin(r->k, s);
	uint16_t v = x_value(r, &m, index, row);
	if (with) {
		TileAccess a = access1(with, row);
		v = region_call(&m, SC_SUB, v, region_access(&m, &a), 0);
	}
	if (prepare == SQUARE || prepare == CENTRED_SQUARE) v = region_call(&m, SC_MUL, v, v, 0);
	if (prepare == EXP_SHIFTED) v = region_call(&m, SC_EXP, v, 0, 0);
	region_end(&m, 1, &v);
	return to;
}

/* A scalar function of statistics, for each row. */
static RegionMaker row_map(Rows *r, const char *name, TileObj **to, Dim *row)
{
	*to = stat_place(r, name, DT_F32);
	TileStmt *s = tile_stmt(r->k->b->p, r->body, TILE_MAP);
	Dim index[MAX_RANK];
	*row = row_space(r, s, index);
	s->out[0] = access1(*to, *row);
	s->n_out = 1;
	return region_begin(r->k, s);
}

static uint16_t stat(RegionMaker *m, TileObj *o, Dim row)
{
	TileAccess a = access1(o, row);
	return region_access(m, &a);
}

/* s / (number of columns) */
static uint16_t divided(Rows *r, RegionMaker *m, uint16_t v)
{
	int64_t known;
	Dim count = r->x->type.dim[r->x->type.rank - 1];
	if (dim_is_const(count, &known) && known > 0)
		return region_call(m, SC_MUL, v, region_const(m, DT_F32, 1.0 / (double)known), 0);
	return region_call(m, SC_DIV, v, region_cast(m, DT_F32, region_dim(m, count)), 0);
}

static TileObj *mean_place(Rows *r)
{
	TileObj *mean, *sum = statistic(r, "sum", RED_SUM, AS_IS, NULL, DT_F32);
	Dim row;
	RegionMaker m = row_map(r, "mean", &mean, &row);
	uint16_t v = divided(r, &m, stat(&m, sum, row));
	region_end(&m, 1, &v);
	return mean;
}

static TileObj *inverse_place(Rows *r, TileObj *square, double eps)
{
	TileObj *inverse;
	Dim row;
	RegionMaker m = row_map(r, "rstd", &inverse, &row);
	uint16_t v = region_call(&m, SC_ADD, divided(r, &m, stat(&m, square, row)),
	                         region_const(&m, DT_F32, eps), 0);
	v = region_call(&m, SC_RSQRT, v, 0, 0);
	region_end(&m, 1, &v);
	return inverse;
}

/* Loops over the outer dims, the last of them in blocks. */
static void open_rows(Rows *r)
{
	Build *b = r->k->b;
	const Type *t = &r->x->type;
	uint32_t last = MAX_RANK;
	r->body = &r->k->k->body;
	r->blocked = MAX_RANK;
	r->block = 1;
	for (uint32_t i = 0; i < t->rank; i++)
		if (!(r->reduced >> i & 1) && !dim_is_one(t->dim[i])) last = i;
	for (uint32_t i = 0; i < t->rank; i++) {
		r->base[i] = dim_c(b, 0);
		if (r->reduced >> i & 1) continue;
		if (i != last) {
			r->body = each_of(r->k, r->body, "i", t->dim[i], &r->base[i]);
			continue;
		}
		TileStmt *s =
			loop(r->k, r->body, TILE_PAR, "i", dim_c(b, 0), t->dim[i], b->t->row_block, true);
		r->base[i] = loop_at(b, s);
		r->blocked = i;
		r->block = b->t->row_block;
		r->length = loop_len(b, s);
		r->body = &s->body;
	}
}

/* The block of x in a place when it is read more than once and fits. */
static void copy_block(Rows *r)
{
	Build *b = r->k->b;
	const Type *t = &r->x->type;
	uint32_t axis = 0, n = 0;
	for (uint32_t i = 0; i < t->rank; i++)
		if (r->reduced >> i & 1) {
			axis = i;
			n++;
		}
	int64_t width = dim_most(b, t->dim[axis]);
	if (n != 1 || r->anchor->op == OP_REDUCE || width > b->t->near_bytes / 16 / r->block ||
	    dtype_widened(t->dtype) != DT_F32)
		return;
	TileObj *copy = place(r->k, r->body, "x", DT_F32, LEVEL_NEAR, 2, (int64_t[]){r->block, width});
	bool plain = is_access(r->x);
	TileStmt *s = tile_stmt(b->p, r->body, plain ? TILE_BRING : TILE_MAP);
	Dim index[MAX_RANK];
	Dim row = row_space(r, s, index);
	column_space(r, s, index);
	s->out[0] = access2(copy, row, index[axis]);
	s->n_out = 1;
	if (plain) {
		s->n_in = 1;
		access_value(r->k, r->x, index, &s->in[0]);
	} else {
		RegionMaker m = region_begin(r->k, s);
		uint16_t v = region_value(&m, r->x, index);
		region_end(&m, 1, &v);
	}
	r->copy = copy;
}

/* The anchor's value at index, from x and its statistics. */
static uint16_t anchor_value(Rows *r, RegionMaker *m, const Dim *index, Dim row, TileObj *a,
                             TileObj *s)
{
	Node *n = r->anchor;
	uint16_t x = x_value(r, m, index, row);
	const Dim *last = &index[n->type.rank - 1];
	if (n->op == OP_SOFTMAX) {
		x = region_call(m, SC_EXP, region_call(m, SC_SUB, x, stat(m, a, row), 0), 0, 0);
		return region_call(m, SC_MUL, x, stat(m, s, row), 0);
	}
	if (n->op == OP_LAYER_NORM) x = region_call(m, SC_SUB, x, stat(m, a, row), 0);
	x = region_call(m, SC_MUL, x, stat(m, s, row), 0);
	if (n->n_in > 1) x = region_call(m, SC_MUL, x, region_value(m, n->in[1], last), 0);
	if (n->n_in > 2) x = region_call(m, SC_ADD, x, region_value(m, n->in[2], last), 0);
	return x;
}

/* max and 1/sum of each row; a row of -inf (or nothing) gives zeros. */
static void softmax_stats(Rows *r, TileObj **max, TileObj **inverse)
{
	Dim row;
	TileObj *peak = statistic(r, "max", RED_MAX, AS_IS, NULL, DT_F32);
	RegionMaker m = row_map(r, "shift", max, &row);
	uint16_t v = stat(&m, peak, row), low = region_const(&m, DT_F32, -3.4028234663852886e38);
	v = region_call(&m, SC_MAX, v, low, 0); /* exp(-inf + 3e38) is 0, not nan */
	region_end(&m, 1, &v);
	TileObj *sum = statistic(r, "sum", RED_SUM, EXP_SHIFTED, *max, DT_F32);
	m = row_map(r, "inv", inverse, &row);
	v = stat(&m, sum, row);
	uint16_t zero = region_const(&m, DT_F32, 0), one = region_const(&m, DT_F32, 1);
	v = region_call(&m, SC_SELECT, region_call(&m, SC_EQ, v, zero, 0), one, v);
	v = region_call(&m, SC_RECIP, v, 0, 0);
	region_end(&m, 1, &v);
}

static TileReduce reduce_kind(const char *how)
{
	if (strcmp(how, "max") == 0) return RED_MAX;
	if (strcmp(how, "min") == 0) return RED_MIN;
	if (strcmp(how, "argmax") == 0) return RED_ARGMAX;
	return RED_SUM;
}

/* The product of each row, column by column: no tile operation gives it. */
static TileObj *product(Rows *r, DType t)
{
	Build *b = r->k->b;
	DimPool *p = b->m->dims;
	TileObj *to = stat_place(r, "prod", t);
	Dim index[MAX_RANK];
	TileStmt *first = tile_stmt(b->p, r->body, TILE_MAP);
	Dim row = row_space(r, first, index);
	first->out[0] = access1(to, row);
	first->n_out = 1;
	RegionMaker m = region_begin(r->k, first);
	uint16_t v = region_const(&m, t, 1);
	region_end(&m, 1, &v);
	TileBlock *body = r->body;
	Dim column[MAX_RANK] = {0};
	for (uint32_t i = 0; i < r->x->type.rank; i++) {
		if (!(r->reduced >> i & 1)) continue;
		TileStmt *s = loop(r->k, body, TILE_FOR, "c", dim_c(b, 0), r->x->type.dim[i], 1, false);
		column[i] = loop_at(b, s);
		body = &s->body;
	}
	TileStmt *times = tile_stmt(b->p, body, TILE_MAP);
	row = row_space(r, times, index);
	for (uint32_t i = 0; i < r->x->type.rank; i++)
		if (column[i]) index[i] = dim_add(p, r->base[i], column[i]);
	times->out[0] = access1(to, row);
	times->n_out = 1;
	m = region_begin(r->k, times);
	v = region_access(&m, &times->out[0]);
	v = region_call(&m, SC_MUL, v, region_value(&m, r->x, index), 0);
	region_end(&m, 1, &v);
	return to;
}

/* The epilogue of a reduction: root at the reduced index. */
static bool put_reduced(Rows *r, TileObj *value)
{
	Kernel *k = r->k;
	Node *n = r->anchor, *root = k->g->results.at[0];
	TileStmt *s = tile_stmt(k->b->p, r->body, TILE_PUT);
	Dim index[MAX_RANK], reduced[MAX_RANK] = {0};
	Dim row = row_space(r, s, index);
	uint32_t at = 0;
	for (uint32_t i = 0; i < r->x->type.rank; i++) {
		if (!(r->reduced >> i & 1))
			reduced[at++] = index[i];
		else if (node_attr(n, "keep")->i)
			reduced[at++] = dim_c(k->b, 0);
	}
	bind(k, n, reduced, n->type.rank, access1(value, row));
	RegionMaker m = region_begin(k, s);
	Node *stored = root;
	while (stored->op == OP_RESHAPE || stored->op == OP_TRANSPOSE) stored = stored->in[0];
	uint16_t v = region_value(&m, stored, reduced);
	region_end(&m, 1, &v);
	s->n_out = 1;
	return result_access(k, 0, stored, reduced, &s->out[0]);
}

bool build_rows(Kernel *k)
{
	Rows r = {.k = k};
	static const Op anchors[] = {OP_SOFTMAX, OP_LAYER_NORM, OP_RMS_NORM, OP_REDUCE};
	for (size_t i = 0; i < COUNT(anchors) && !r.anchor; i++)
		r.anchor = kernel_anchor(k, anchors[i]);
	Node *n = r.anchor, *root = k->g->results.at[0];
	r.x = n->in[0];
	if (n->op == OP_REDUCE) {
		const Attr *axes = node_attr(n, "axes");
		for (uint32_t i = 0; i < axes->n; i++) r.reduced |= 1u << axes->ints[i];
	} else {
		r.reduced =
			1u << (n->op == OP_SOFTMAX ? (uint32_t)node_attr(n, "axis")->i : n->type.rank - 1);
	}
	open_rows(&r);
	copy_block(&r);
	if (n->op == OP_REDUCE) {
		const char *how = node_attr(n, "reduce")->s;
		DType t = strcmp(how, "argmax") == 0 ? DT_I32 : n->type.dtype;
		TileObj *value = strcmp(how, "prod") == 0
		                     ? product(&r, t)
		                     : statistic(&r, "red", reduce_kind(how), AS_IS, NULL, t);
		return !k->b->failed && put_reduced(&r, value);
	}
	TileObj *a = NULL, *s = NULL;
	if (n->op == OP_SOFTMAX) {
		softmax_stats(&r, &a, &s);
	} else if (n->op == OP_LAYER_NORM) {
		a = mean_place(&r);
		s = inverse_place(&r, statistic(&r, "var", RED_SUM, CENTRED_SQUARE, a, DT_F32),
		                  node_attr(n, "eps")->f);
	} else {
		s = inverse_place(&r, statistic(&r, "ss", RED_SUM, SQUARE, NULL, DT_F32),
		                  node_attr(n, "eps")->f);
	}
	TileStmt *put = tile_stmt(k->b->p, r.body, TILE_PUT);
	Dim index[MAX_RANK];
	Dim row = row_space(&r, put, index);
	column_space(&r, put, index);
	RegionMaker m = region_begin(k, put);
	Node *stored = root;
	while (stored != n && (stored->op == OP_RESHAPE || stored->op == OP_TRANSPOSE))
		stored = stored->in[0];
	uint16_t v;
	if (stored == n) {
		v = anchor_value(&r, &m, index, row, a, s);
	} else {
		/* the epilogue reads the anchor through a place of its own */
		kernel_fail(k, "elementwise work after a norm or softmax must be in another kernel");
		v = 0;
	}
	region_end(&m, 1, &v);
	put->n_out = 1;
	return !k->b->failed && result_access(k, 0, stored, index, &put->out[0]);
}
