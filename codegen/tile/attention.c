/* Attention: softmax(q k^T scale + bias) v in one pass over the keys, without a matrix of scores in
 * memory (Dao 2023, FlashAttention-2). A task takes a block of positions for all heads that share
 * keys and values (grouped queries), as rows position * group + head; blocks of keys that a causal
 * mask or a window hides are never visited, and only blocks that they cut are masked. Where the target
 * wants it (attn_rows), the keys of a block are brought transposed, once for all its rows, and the rows
 * are taken in strips, each of which sees only the keys up to those of its last position. */
#include "codegen/tile/build.h"

#include <math.h>

typedef struct Attention {
	Kernel *k;
	Node *n, *q, *key, *v, *bias;
	uint32_t rank;      /* of q: outer dims, heads, positions, width */
	int64_t group;      /* heads that share keys */
	int64_t rows, keys; /* block: rows (positions * group), keys */
	int64_t strip;      /* rows of a strip; those of the block where there are none */
	bool strips;
	int64_t width, v_width;
	Dim queries, total, past; /* S, T, T - S */
	bool causal;
	int64_t window;
	double scale, cap;
	/* inside the loops */
	Dim outer[MAX_RANK], head; /* outer index, number of the key head */
	Dim at, len;               /* positions of the block */
	Dim from, now;             /* of the strip, from at; the whole block outside of strips */
	Dim j, jn;                 /* keys of the block */
	Dim cols;                  /* of them, those that the strip may see */
	TileBlock *body, *inner;
	TileObj *qt, *acc, *max, *sum, *score, *weight, *alpha;
} Attention;

static bool attention_shape(Kernel *k, Attention *a)
{
	const Build *b = k->b;
	Node *n = kernel_anchor(k, OP_ATTENTION);
	const Type *q, *t;
	int64_t heads, groups;
	*a = (Attention){.k = k,
	                 .n = n,
	                 .q = n->in[0],
	                 .key = n->in[1],
	                 .v = n->in[2],
	                 .bias = n->n_in > 3 ? n->in[3] : NULL};
	q = &a->q->type;
	t = &a->key->type;
	a->rank = q->rank;
	if (!dim_is_const(q->dim[a->rank - 1], &a->width) ||
	    !dim_is_const(a->v->type.dim[a->rank - 1], &a->v_width))
		return kernel_fail(k, "the width of attention heads must be known at compile time");
	if (!dim_is_const(q->dim[a->rank - 3], &heads) || !dim_is_const(t->dim[a->rank - 3], &groups))
		return kernel_fail(k, "the number of heads must be known at compile time");
	a->group = heads / groups;
	a->queries = q->dim[a->rank - 2];
	a->total = t->dim[a->rank - 2];
	a->past = dim_sub(b->m->dims, a->total, a->queries);
	a->causal = node_attr(n, "causal")->i;
	a->window = node_attr(n, "window")->i;
	a->scale = node_attr(n, "scale")->f;
	a->cap = node_attr(n, "soft_cap")->f;
	int64_t most = dim_most(b, a->queries), positions = b->t->attn_q / a->group;
	if (positions < 1) positions = 1;
	if (positions > most) positions = most > 0 ? most : 1;
	a->rows = positions * a->group;
	a->strips = b->t->attn_rows > 0;
	int64_t strip = b->t->attn_rows / a->group;
	a->strip = a->group * (!a->strips || strip > positions ? positions : strip < 1 ? 1 : strip);
	a->keys = b->t->attn_k;
	if (dim_most(b, a->total) < a->keys)
		a->keys = dim_most(b, a->total) > 0 ? dim_most(b, a->total) : 1;
	return true;
}

/* Index [outer.., head, position, column] into q, or the result. */
static void query_index(const Attention *a, Dim head, Dim position, Dim column, Dim *index)
{
	DimPool *p = a->k->b->m->dims;
	for (uint32_t i = 0; i + 3 < a->rank; i++) index[i] = a->outer[i];
	index[a->rank - 3] = dim_add(p, dim_mulc(p, a->head, a->group), head);
	index[a->rank - 2] = dim_add(p, dim_add(p, a->at, a->from), position);
	index[a->rank - 1] = column;
}

/* Space variables of a row: position in the strip and head in the group. */
typedef struct Row {
	Dim position, head, row;
} Row;

static Row row_space(const Attention *a, TileStmt *s)
{
	const Build *b = a->k->b;
	DimPool *p = b->m->dims;
	Row r = {.position = dim_c(b, 0), .head = dim_c(b, 0)};
	if (!dim_is_one(a->queries)) r.position = space(a->k, s, "s", a->now);
	if (a->group > 1) r.head = space(a->k, s, "h", dim_c(b, a->group));
	r.row = dim_add(p, dim_mulc(p, r.position, a->group), r.head);
	return r;
}

static Dim rows_now(const Attention *a)
{
	return dim_mulc(a->k->b->m->dims, a->now, a->group);
}

/* Row of the block of a row of the strip. */
static Dim block_row(const Attention *a, Dim row)
{
	DimPool *p = a->k->b->m->dims;
	return dim_add(p, dim_mulc(p, a->from, a->group), row);
}

static TileStmt *statement(const Attention *a, TileBlock *in, TileOp op)
{
	TileStmt *s = tile_stmt(a->k->b->p, in, op);
	s->n_out = 1;
	return s;
}

/* Loops over outer dims, key heads and blocks of positions. */
static void open_tasks(Attention *a)
{
	Kernel *k = a->k;
	const Build *b = k->b;
	a->body = &k->k->body;
	for (uint32_t i = 0; i + 3 < a->rank; i++)
		a->body = each_of(k, a->body, "b", a->q->type.dim[i], &a->outer[i]);
	a->body = each_of(k, a->body, "g", a->key->type.dim[a->rank - 3], &a->head);
	a->from = a->at = dim_c(b, 0);
	a->now = a->len = dim_c(b, 1);
	if (dim_is_one(a->queries)) return;
	TileStmt *r =
		loop(k, a->body, TILE_PAR, "s", dim_c(b, 0), a->queries, a->rows / a->group, true);
	r->ways = 2;
	a->at = loop_at(b, r);
	a->now = a->len = loop_len(b, r);
	a->body = &r->body;
}

/* to[row, column] or to[row] = value */
static void set_rows(Attention *a, TileObj *to, double value)
{
	TileStmt *s = statement(a, a->body, TILE_MAP);
	Dim row = space(a->k, s, "i", rows_now(a));
	s->out[0] = to->rank == 1 ? access1(to, row)
	                          : access2(to, row, space(a->k, s, "c", dim_c(a->k->b, a->v_width)));
	RegionMaker m = region_begin(a->k, s);
	uint16_t v = region_const(&m, DT_F32, value);
	region_end(&m, 1, &v);
}

static bool open_block(Attention *a)
{
	Kernel *k = a->k;
	Dim index[MAX_RANK];
	a->qt = place(k, a->body, "q", a->q->type.dtype, LEVEL_NEAR, 2, (int64_t[]){a->rows, a->width});
	TileStmt *s = statement(a, a->body, TILE_BRING);
	Row r = row_space(a, s);
	Dim column = space(k, s, "d", dim_c(k->b, a->width));
	query_index(a, r.head, r.position, column, index);
	s->n_in = 1;
	s->out[0] = access2(a->qt, r.row, column);
	if (!access_value(k, a->q, index, &s->in[0])) return false;
	a->max = place(k, a->body, "m", DT_F32, LEVEL_NEAR, 1, &a->rows);
	a->sum = place(k, a->body, "l", DT_F32, LEVEL_NEAR, 1, &a->rows);
	a->acc = place(k, a->body, "acc", DT_F32, LEVEL_ACC, 2, (int64_t[]){a->rows, a->v_width});
	set_rows(a, a->max, -(double)INFINITY);
	set_rows(a, a->sum, 0);
	set_rows(a, a->acc, 0);
	return true;
}

/* The keys that some query of the block sees. */
static void open_keys(Attention *a)
{
	Kernel *k = a->k;
	const Build *b = k->b;
	DimPool *p = b->m->dims;
	Dim lo = dim_c(b, 0), hi = a->total, zero = lo;
	if (a->causal) hi = dim_max(p, zero, dim_add(p, a->past, dim_add(p, a->at, a->len)));
	if (a->window > 0)
		lo = dim_max(p, zero, dim_addc(p, dim_add(p, a->past, a->at), 1 - a->window));
	if (a->window > 0 && a->causal) lo = dim_min(p, lo, hi);
	if (a->window > 0 && !a->causal) lo = dim_min(p, lo, a->total);
	TileStmt *s = loop(k, a->body, TILE_FOR, "j", lo, hi, a->keys, true);
	s->stages = b->t->stages;
	a->j = loop_at(b, s);
	a->jn = loop_len(b, s);
	a->inner = &s->body;
}

/* A block of keys or values: to[j, column], or to[column, j]. */
static TileObj *bring_keys(Attention *a, Node *x, const char *name, int64_t width, bool transposed)
{
	Kernel *k = a->k;
	DimPool *p = k->b->m->dims;
	Dim index[MAX_RANK];
	int64_t cap[2] = {transposed ? width : a->keys, transposed ? a->keys : width};
	TileObj *to = place(k, a->inner, name, x->type.dtype, LEVEL_NEAR, 2, cap);
	TileStmt *s = statement(a, a->inner, TILE_BRING);
	Dim j = space(k, s, "j", a->jn), column = space(k, s, "d", dim_c(k->b, width));
	for (uint32_t i = 0; i + 3 < a->rank; i++) index[i] = a->outer[i];
	index[a->rank - 3] = a->head;
	index[a->rank - 2] = dim_add(p, a->j, j);
	index[a->rank - 1] = column;
	s->n_in = 1;
	s->out[0] = transposed ? access2(to, column, j) : access2(to, j, column);
	return access_value(k, x, index, &s->in[0]) ? to : NULL;
}

/* The strips of the block: a->now positions from a->from, which see a->cols keys. */
static void open_strips(Attention *a)
{
	Kernel *k = a->k;
	const Build *b = k->b;
	DimPool *p = b->m->dims;
	a->cols = a->jn;
	if (!a->strips) return;
	TileStmt *s =
		loop(k, a->inner, TILE_SPLIT, "r", dim_c(b, 0), a->len, a->strip / a->group, true);
	a->from = loop_at(b, s);
	a->now = loop_len(b, s);
	a->inner = &s->body;
	if (!a->causal) return;
	/* one after the last key that its last position sees */
	Dim end = dim_add(p, dim_add(p, a->past, a->at), dim_add(p, a->from, a->now));
	TileStmt *sees = tile_stmt(b->p, a->inner, TILE_IF);
	sees->n_cond = 1;
	sees->cond[0] = (TileCond){REL_LT, a->j, end};
	a->inner = &sees->body;
	a->cols = dim_min(p, a->jn, dim_sub(p, end, a->j));
}

/* score = q k^T */
static void scores(Attention *a, TileObj *kt)
{
	Kernel *k = a->k;
	a->score = place(k, a->inner, "s", DT_F32, LEVEL_ACC, 2, (int64_t[]){a->strip, a->keys});
	TileStmt *s = statement(a, a->inner, TILE_CONTRACT);
	Dim row = space(k, s, "i", rows_now(a)), j = space(k, s, "j", a->cols),
		d = space(k, s, "d", dim_c(k->b, a->width));
	s->n_in = 2;
	s->out[0] = access2(a->score, row, j);
	s->in[0] = access2(a->qt, block_row(a, row), d);
	s->in[1] = a->strips ? access2(kt, d, j) : access2(kt, j, d);
}

/* score = score * scale, softly capped, + bias: what softmax_step cannot do itself */
static bool adjust(Attention *a)
{
	Kernel *k = a->k;
	DimPool *p = k->b->m->dims;
	if (!a->bias && !(a->cap > 0)) return true;
	TileStmt *s = statement(a, a->inner, TILE_MAP);
	Row r = row_space(a, s);
	Dim j = space(k, s, "j", a->cols), full[MAX_RANK], index[MAX_RANK];
	s->out[0] = access2(a->score, r.row, j);
	RegionMaker m = region_begin(k, s);
	uint16_t v = region_access(&m, &s->out[0]);
	if (a->cap > 0) {
		v = region_call(&m, SC_MUL, v, region_const(&m, DT_F32, a->scale / a->cap), 0);
		v = region_call(&m, SC_MUL, region_call(&m, SC_TANH, v, 0, 0),
		                region_const(&m, DT_F32, a->cap), 0);
	} else {
		v = region_call(&m, SC_MUL, v, region_const(&m, DT_F32, a->scale), 0);
	}
	a->scale = 1;
	if (a->bias) {
		const Type *t = &a->bias->type;
		query_index(a, r.head, r.position, dim_add(p, a->j, j), full);
		if (t->rank > a->rank)
			return kernel_fail(k, "the bias of attention has more dims than the queries");
		for (uint32_t i = 0; i < t->rank; i++) {
			int64_t one;
			bool stretched = dim_is_const(t->dim[i], &one) && one == 1;
			index[i] = stretched ? dim_c(k->b, 0) : full[a->rank - t->rank + i];
		}
		v = region_call(&m, SC_ADD, v, region_value(&m, a->bias, index), 0);
	}
	region_end(&m, 1, &v);
	return !k->b->failed;
}

/* score = -inf where `key - position` is not on the right side of limit; only when some row of the
 * strip is cut, and of a causal mask only from the first key on that its first row does not see.
 * above: keys after the limit are hidden, else those before. */
static void mask(Attention *a, bool above)
{
	Kernel *k = a->k;
	const Build *b = k->b;
	DimPool *p = b->m->dims;
	/* the last visible key of the first row, or the first one of the last row */
	Dim first = dim_add(p, a->past, dim_add(p, a->at, a->from));
	Dim last = dim_addc(p, dim_add(p, first, a->now), -1), skip = dim_c(b, 0);
	TileStmt *s = tile_stmt(b->p, a->inner, TILE_IF);
	s->n_cond = 1;
	if (above)
		s->cond[0] = (TileCond){REL_LT, dim_addc(p, first, 1), dim_add(p, a->j, a->cols)};
	else
		s->cond[0] = (TileCond){REL_LE, a->j, dim_addc(p, last, -a->window)};
	if (above && a->strips) skip = dim_max(p, skip, dim_sub(p, first, a->j));
	TileStmt *map = statement(a, &s->body, TILE_MAP);
	Row r = row_space(a, map);
	Dim j = dim_add(p, skip, space(k, map, "j", dim_sub(p, a->cols, skip)));
	map->out[0] = access2(a->score, r.row, j);
	RegionMaker m = region_begin(k, map);
	uint16_t v = region_access(&m, &map->out[0]);
	uint16_t key = region_dim(&m, dim_add(p, a->j, j));
	Dim aligned = dim_add(p, first, r.position);
	uint16_t limit = region_dim(&m, above ? aligned : dim_addc(p, aligned, -a->window));
	uint16_t seen = region_call(&m, above ? SC_LE : SC_GT, key, limit, 0);
	v = region_call(&m, SC_SELECT, seen, v, region_const(&m, DT_F32, -(double)INFINITY));
	region_end(&m, 1, &v);
}

static void softmax(Attention *a, TileObj *vt)
{
	Kernel *k = a->k;
	a->weight = place(k, a->inner, "p", DT_F32, LEVEL_NEAR, 2, (int64_t[]){a->strip, a->keys});
	a->alpha = place(k, a->inner, "alpha", DT_F32, LEVEL_NEAR, 1, &a->rows);
	TileStmt *s = tile_stmt(k->b->p, a->inner, TILE_SOFTMAX_STEP);
	Dim row = space(k, s, "i", rows_now(a)), j = space(k, s, "j", a->cols);
	s->scale = a->scale;
	s->n_out = 4;
	s->n_in = 1;
	s->out[0] = access2(a->weight, row, j);
	s->out[1] = access1(a->alpha, block_row(a, row));
	s->out[2] = access1(a->max, block_row(a, row));
	s->out[3] = access1(a->sum, block_row(a, row));
	s->in[0] = access2(a->score, row, j);

	TileStmt *map = statement(a, a->inner, TILE_MAP);
	row = space(k, map, "i", rows_now(a));
	Dim c = space(k, map, "c", dim_c(k->b, a->v_width));
	map->out[0] = access2(a->acc, block_row(a, row), c);
	RegionMaker m = region_begin(k, map);
	TileAccess alpha = access1(a->alpha, block_row(a, row));
	uint16_t v = region_access(&m, &map->out[0]);
	v = region_call(&m, SC_MUL, v, region_access(&m, &alpha), 0);
	region_end(&m, 1, &v);

	TileStmt *product = statement(a, a->inner, TILE_CONTRACT);
	row = space(k, product, "i", rows_now(a));
	c = space(k, product, "c", dim_c(k->b, a->v_width));
	j = space(k, product, "j", a->cols);
	product->accumulate = true;
	product->n_in = 2;
	product->out[0] = access2(a->acc, block_row(a, row), c);
	product->in[0] = access2(a->weight, row, j);
	product->in[1] = access2(vt, j, c);
}

/* The divisor of a row: one that saw no key has l = 0 and gives 0. */
static uint16_t divisor(RegionMaker *m, const TileAccess *sum)
{
	uint16_t l = region_access(m, sum);
	uint16_t empty = region_call(m, SC_EQ, l, region_const(m, DT_F32, 0), 0);
	return region_call(m, SC_SELECT, empty, region_const(m, DT_F32, 1), l);
}

/* l = 1 / l: one division a row instead of one an element. */
static void invert_sums(Attention *a)
{
	TileStmt *s = statement(a, a->body, TILE_MAP);
	Dim row = space(a->k, s, "i", rows_now(a));
	s->out[0] = access1(a->sum, row);
	RegionMaker m = region_begin(a->k, s);
	uint16_t v = region_call(&m, SC_RECIP, divisor(&m, &s->out[0]), 0, 0);
	region_end(&m, 1, &v);
}

/* result = acc / l */
static bool store_rows(Attention *a)
{
	Kernel *k = a->k;
	Dim index[MAX_RANK];
	a->from = dim_c(k->b, 0);
	a->now = a->len;
	if (a->strips) invert_sums(a);
	TileStmt *s = statement(a, a->body, TILE_PUT);
	Row r = row_space(a, s);
	Dim c = space(k, s, "c", dim_c(k->b, a->v_width));
	query_index(a, r.head, r.position, c, index);
	RegionMaker m = region_begin(k, s);
	TileAccess acc = access2(a->acc, r.row, c), sum = access1(a->sum, r.row);
	uint16_t v = region_access(&m, &acc);
	v = a->strips ? region_call(&m, SC_MUL, v, region_access(&m, &sum), 0)
	              : region_call(&m, SC_DIV, v, divisor(&m, &sum), 0);
	region_end(&m, 1, &v);
	Node *stored = k->g->results.at[0];
	while (stored != a->n && (stored->op == OP_RESHAPE || stored->op == OP_TRANSPOSE))
		stored = stored->in[0];
	if (stored != a->n)
		return kernel_fail(k, "elementwise work after attention must be in another kernel");
	return result_access(k, 0, stored, index, &s->out[0]);
}

bool build_attention(Kernel *k)
{
	Attention a;
	if (!attention_shape(k, &a)) return false;
	open_tasks(&a);
	if (!open_block(&a)) return false;
	open_keys(&a);
	TileObj *kt = bring_keys(&a, a.key, "k", a.width, a.strips),
			*vt = kt ? bring_keys(&a, a.v, "v", a.v_width, false) : NULL;
	if (!vt) return false;
	open_strips(&a);
	scores(&a, kt);
	if (!adjust(&a)) return false;
	if (a.causal) mask(&a, true);
	if (a.window > 0) mask(&a, false);
	softmax(&a, vt);
	return store_rows(&a);
}
