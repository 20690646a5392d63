/* Routed products: each row times the matrix that its index chooses. Few rows are done one by one,
 * each reading its matrix. Many are sorted by matrix first (build_route, block by block of rows), so
 * that the rows of a matrix are one contraction: they are gathered as it reads them and scattered as it stores
 * them. Work goes with the number of rows, never with that of matrices. An index that is no matrix
 * stops the call where it is read, or where the starts show it. */
#include "codegen/tile/build.h"

/* `index name = from in lo..hi`: what is read, as an index for the rest of the block. */
static Dim load_index(Kernel *k, TileBlock *in, const char *name, TileAccess from, Dim lo, Dim hi,
                      const char *check)
{
	Build *b = k->b;
	DimPool *p = b->m->dims;
	TileStmt *s = tile_stmt(b->p, in, TILE_INDEX);
	s->var = dim_sym_new(
		p, intern_str(b->m->names, arena_printf(b->m->arena, "%s%u", name, b->serial++)), SYM_DATA,
		lo, dim_addc(p, hi, -1), k->node->span);
	s->place = from.obj;
	s->n_in = 1;
	s->in[0] = from;
	s->in[0].check = check;
	s->lo = lo;
	s->hi = hi;
	return dim_sym(p, s->var);
}

static void put_value(Kernel *k, TileStmt *put, TileAccess from, TileAccess to)
{
	RegionMaker r = region_begin(k, put);
	uint16_t v = region_access(&r, &from);
	region_end(&r, 1, &v);
	put->n_out = 1;
	put->out[0] = to;
}

typedef struct Routed {
	Node *x, *w, *idx, *order, *start;
	int64_t per;
	Dim rows, columns, width, matrices;
	TileObj *packed;
	const char *check;
	Scaled scaled; /* when w is scaled as it is read */
	Dim n, nw;     /* the panel of columns in hand, and its width */
	Dim row;       /* the row of x in hand, or */
	TileObj *from; /* what gives the rows of x, in x's dim 0 */
} Routed;

/* x at a row of the tile and a place on the summed axis. */
static bool routed_operand(Kernel *k, void *ctx, Dim row, Dim at, TileAccess *out)
{
	const Routed *t = ctx;
	if (!access_value(k, t->x, (Dim[]){t->from ? dim_c(k->b, 0) : t->row, at}, out)) return false;
	if (!t->from) return true;
	TileAccess *rows = NEW(k->b->m->arena, TileAccess);
	*rows = access1(t->from, row);
	out->rows = rows;
	out->index[0] = NULL;
	return true;
}

/* A place that holds h rows of x times the panel of w[e]. */
static TileObj *multiply(Kernel *k, Routed *t, TileBlock *in, Dim e, Dim h)
{
	Build *b = k->b;
	DimPool *p = b->m->dims;
	int64_t mr = t->from ? b->t->mr : 1, nr = b->t->nr;
	if (t->w->op == OP_DEQUANT) {
		ScaledTile tile = {.h = h,
		                   .w = t->nw,
		                   .column = t->n,
		                   .matrix = e,
		                   .rows = t->from != NULL,
		                   .columns = true,
		                   .mr = mr,
		                   .nr = nr,
		                   .ctx = t,
		                   .operand = routed_operand};
		return scaled_product(k, in, &t->scaled, &tile);
	}
	TileObj *acc = place(k, in, "acc", k->k->bufs.at[0]->dtype, LEVEL_ACC, 2, (int64_t[]){mr, nr});
	TileStmt *s = tile_stmt(b->p, in, TILE_CONTRACT);
	Dim r = t->from ? space(k, s, "i", h) : dim_c(b, 0), j = space(k, s, "j", t->nw),
		c = space(k, s, "k", t->width), column = dim_add(p, t->n, j);
	s->out[0] = access2(acc, r, j);
	s->n_out = 1;
	s->n_in = 2;
	routed_operand(k, t, r, c, &s->in[0]);
	if (t->packed)
		s->in[1] = access_of(t->packed, 3, (Dim[]){e, c, column});
	else
		access_value(k, t->w, (Dim[]){e, column, c}, &s->in[1]);
	return acc;
}

static TileBlock *each_panel(Kernel *k, Routed *t, TileBlock *in)
{
	TileStmt *s = loop(k, in, TILE_PAR, "n", dim_c(k->b, 0), t->columns, k->b->t->nr, true);
	s->stages = k->b->t->stages;
	t->n = loop_at(k->b, s);
	t->nw = loop_len(k->b, s);
	return &s->body;
}

static void row_by_row(Kernel *k, Routed *t)
{
	Build *b = k->b;
	DimPool *p = b->m->dims;
	Dim row, part;
	TileBlock *body = each_of(k, &k->k->body, "r", t->x->type.dim[0], &row);
	body = each_of(k, body, "q", dim_c(b, t->per), &part);
	body = each_panel(k, t, body);
	Dim m = dim_add(p, dim_mulc(p, row, t->per), part);
	TileAccess at;
	if (!access_value(k, t->idx, &m, &at)) return;
	Dim e = load_index(k, body, "e", at, dim_c(b, 0), t->matrices, t->check);
	t->row = row;
	TileObj *acc = multiply(k, t, body, e, NULL);
	if (!acc) return;
	TileStmt *put = tile_stmt(b->p, body, TILE_PUT);
	Dim j = space(k, put, "j", t->nw);
	put_value(k, put, access2(acc, dim_c(b, 0), j), access2(k->out[0], m, dim_add(p, t->n, j)));
}

static void rows_of_each(Kernel *k, Routed *t)
{
	Build *b = k->b;
	DimPool *p = b->m->dims;
	int64_t mr = b->t->mr;
	Dim block, e, limit = dim_addc(p, t->order->type.dim[1], 1);
	TileBlock *body = each_of(k, &k->k->body, "q", t->order->type.dim[0], &block);
	body = each_of(k, body, "e", t->matrices, &e);
	body = each_panel(k, t, body);
	TileAccess at, positions;
	if (!access_value(k, t->start, (Dim[]){block, e}, &at)) return;
	Dim first = load_index(k, body, "first", at, dim_c(b, 0), limit, NULL);
	if (!access_value(k, t->start, (Dim[]){block, dim_addc(p, e, 1)}, &at)) return;
	Dim last = load_index(k, body, "last", at, dim_c(b, 0), limit, NULL);
	TileStmt *split = loop(k, body, TILE_SPLIT, "t", first, last, mr, true);
	body = &split->body;
	Dim h = loop_len(b, split);
	TileObj *to = place(k, body, "to", DT_I32, LEVEL_NEAR, 1, &mr), *from = to;
	TileStmt *bring = tile_stmt(b->p, body, TILE_BRING);
	Dim r = space(k, bring, "i", h);
	if (!access_value(k, t->order, (Dim[]){block, dim_add(p, loop_at(b, split), r)}, &positions))
		return;
	bring->n_in = bring->n_out = 1;
	bring->in[0] = positions;
	bring->out[0] = access1(to, r);
	if (t->per > 1) {
		from = place(k, body, "from", DT_I32, LEVEL_NEAR, 1, &mr);
		TileStmt *map = tile_stmt(b->p, body, TILE_MAP);
		r = space(k, map, "i", h);
		TileAccess position = access1(to, r);
		RegionMaker m = region_begin(k, map);
		uint16_t v = region_access(&m, &position), per = region_const(&m, DT_I32, (double)t->per);
		v = region_call(&m, SC_FLOORDIV, v, per, 0);
		region_end(&m, 1, &v);
		map->n_out = 1;
		map->out[0] = access1(from, r);
	}
	t->from = from;
	TileObj *acc = multiply(k, t, body, e, h);
	if (!acc) return;
	TileStmt *put = tile_stmt(b->p, body, TILE_PUT);
	r = space(k, put, "i", h);
	Dim j = space(k, put, "j", t->nw);
	TileAccess *rows = NEW(b->m->arena, TileAccess);
	*rows = access1(to, r);
	TileAccess result = access2(k->out[0], dim_c(b, 0), dim_add(p, t->n, j));
	result.index[0] = NULL;
	result.rows = rows;
	put_value(k, put, access2(acc, r, j), result);
}

bool build_routed(Kernel *k)
{
	Node *n = kernel_anchor(k, OP_ROUTED);
	const Type *w = &n->in[1]->type;
	Routed t = {.x = n->in[0],
	            .w = n->in[1],
	            .idx = n->in[2],
	            .order = n->n_in == 5 ? n->in[3] : NULL,
	            .start = n->n_in == 5 ? n->in[4] : NULL,
	            .per = node_attr(n, "per")->i,
	            .check = access_check(k->b, n, false),
	            .rows = n->type.dim[0],
	            .matrices = w->dim[0],
	            .columns = w->dim[1],
	            .width = w->dim[2]};
	if (k->root[0] != n || k->out[0]->rank != 2)
		return kernel_fail(k, "a routed product is stored as it is");
	if (t.w->op == OP_DEQUANT) {
		if (!scaled_open(k, t.w, 2, 1, &t.scaled)) return false;
	} else if (k->b->t->packs_weights) {
		Dim dims[3] = {t.matrices, t.width, t.columns};
		t.packed = pack_weight(k, t.w, &(PackAs){.form = PACK_STACK}, dims);
	}
	if (t.order)
		rows_of_each(k, &t);
	else
		row_by_row(k, &t);
	return !k->b->failed;
}

/* --- the order --- */

bool build_route(Kernel *k)
{
	Build *b = k->b;
	DimPool *p = b->m->dims;
	Node *n = kernel_anchor(k, OP_ROUTE), *idx = n->in[0];
	int64_t block = node_attr(n, "block")->i, starts = node_attr(n, "experts")->i + 1;
	Dim q, zero = dim_c(b, 0), count = idx->type.dim[0];
	TileBlock *body = each_of(k, &k->k->body, "q", n->type.element[0].dim[0], &q);
	Dim base = dim_mulc(p, q, block), h = count;
	if (!dim_is_one(n->type.element[0].dim[0]))
		h = dim_max(p, zero, dim_min(p, dim_c(b, block), dim_sub(p, count, base)));
	TileObj *ids = place(k, body, "ids", DT_I32, LEVEL_NEAR, 1, &block),
			*sorted = place(k, body, "sorted", DT_I32, LEVEL_NEAR, 1, &block),
			*at = place(k, body, "at", DT_I32, LEVEL_NEAR, 1, &block),
			*below = place(k, body, "below", DT_I32, LEVEL_NEAR, 1, &starts);
	TileStmt *bring = tile_stmt(b->p, body, TILE_BRING);
	Dim i = space(k, bring, "i", h), m = dim_add(p, base, i);
	bring->n_in = bring->n_out = 1;
	bring->out[0] = access1(ids, i);
	if (!access_value(k, idx, &m, &bring->in[0])) return false;

	TileStmt *sort = tile_stmt(b->p, body, TILE_SORT);
	i = space(k, sort, "i", h);
	sort->axis = 0;
	sort->n_in = 1;
	sort->n_out = 2;
	sort->in[0] = access1(ids, i);
	sort->out[0] = access1(sorted, i);
	sort->out[1] = access1(at, i);

	TileStmt *put = tile_stmt(b->p, body, TILE_PUT);
	i = space(k, put, "i", h);
	TileAccess position = access1(at, i);
	RegionMaker r = region_begin(k, put);
	uint16_t v = region_access(&r, &position);
	v = region_call(&r, SC_ADD, v, region_dim(&r, base), 0);
	region_end(&r, 1, &v);
	put->n_out = 1;
	put->out[0] = access2(k->out[0], q, i);

	/* what is behind the last row */
	put = tile_stmt(b->p, body, TILE_PUT);
	i = space(k, put, "i", dim_sub(p, dim_c(b, block), h));
	r = region_begin(k, put);
	v = region_const(&r, DT_I32, 0);
	region_end(&r, 1, &v);
	put->n_out = 1;
	put->out[0] = access2(k->out[0], q, dim_add(p, h, i));

	TileStmt *reduce = tile_stmt(b->p, body, TILE_REDUCE);
	Dim e = space(k, reduce, "e", dim_c(b, starts));
	i = space(k, reduce, "i", h);
	TileAccess key = access1(sorted, i);
	r = region_begin(k, reduce);
	v = region_access(&r, &key);
	v = region_cast(&r, DT_I32, region_call(&r, SC_LT, v, region_dim(&r, e), 0));
	region_end(&r, 1, &v);
	reduce->reduce = RED_SUM;
	reduce->n_out = 1;
	reduce->out[0] = access1(below, e);

	/* none below the first matrix, none behind the last: what is read is a count, no index */
	const char *check = access_check(b, n, true);
	load_index(k, body, "low", access1(below, zero), zero, dim_c(b, 1), check);
	load_index(k, body, "all", access1(below, dim_c(b, starts - 1)), h, dim_addc(p, h, 1), check);

	put = tile_stmt(b->p, body, TILE_PUT);
	e = space(k, put, "e", dim_c(b, starts));
	put_value(k, put, access1(below, e), access2(k->out[1], q, e));
	return true;
}
