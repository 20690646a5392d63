/* Products of scaled weights, x * ((q - zero) * scale). The weights stay as they are stored and are
 * widened where the product reads them. A block of the summed axis shares its scales, so it is a product
 * of its own, y = sum x * q, which is added with the column's scale as (y - zero * sum x) * scale. */
#include "codegen/tile/build.h"

/* --- what is packed --- */

static bool pack_parts(Kernel *k, Scaled *s, uint32_t rank)
{
	Dim blocks = dim_ceildiv(k->b->m->dims, dim_c(k->b, s->depth), dim_c(k->b, s->k_block));
	Dim columns = s->stored->type.dim[s->n_axis], matrices = s->stored->type.dim[0];
	Dim depth = s->stored->type.dim[s->k_axis];
	bool stack = rank == 3;
	Dim panels[3] = {matrices, depth, columns}, table[3] = {matrices, blocks, columns};
	const Dim *from = stack ? panels : panels + 1, *of = stack ? table : table + 1;
	PackAs as = {
		.form = stack ? PACK_STACK : PACK_MATRIX, .k_first = s->k_axis < s->n_axis, .mixed = true};
	if (!(s->panels = pack_weight(k, s->stored, &as, from))) return false;
	as = (PackAs){.form = stack ? PACK_SCALES_STACK : PACK_SCALES,
	              .k_first = as.k_first,
	              .block = s->n_block};
	s->scales = pack_weight(k, s->scale, &as, of);
	if (s->zero) s->zeros = pack_weight(k, s->zero, &as, of);
	return s->scales && (s->zeros || !s->zero);
}

bool scaled_open(Kernel *k, Node *operand, uint32_t k_axis, uint32_t n_axis, Scaled *out)
{
	const Attr *block = node_attr(operand, "block");
	uint32_t rank = operand->type.rank;
	*out = (Scaled){.stored = operand->in[0],
	                .scale = operand->in[1],
	                .zero = operand->n_in == 3 ? operand->in[2] : NULL,
	                .k_axis = k_axis,
	                .n_axis = n_axis,
	                .k_block = block->ints[k_axis],
	                .n_block = block->ints[n_axis]};
	if (!dim_is_const(operand->type.dim[k_axis], &out->depth) ||
	    (rank == 3 && block->ints[0] != 1) || (rank == 3 && k_axis < n_axis))
		return kernel_fail(k, "a scaled operand that its product does not take");
	if (out->k_block > out->depth) out->k_block = out->depth;
	if (out->k_block < 1) out->k_block = 1;
	if (!pack_parts(k, out, rank)) out->panels = out->scales = out->zeros = NULL;
	return true;
}

/* --- reading --- */

static bool weight_at(Kernel *k, const Scaled *s, const ScaledTile *t, Dim row, Dim column,
                      TileAccess *out)
{
	if (s->panels) {
		*out = t->matrix ? access_of(s->panels, 3, (Dim[]){t->matrix, row, column})
		                 : access2(s->panels, row, column);
		return true;
	}
	Dim index[3] = {t->matrix};
	index[s->k_axis] = row;
	index[s->n_axis] = column;
	return access_value(k, s->stored, index, out);
}

/* A scale or zero point of the block and column, as f32. */
static uint16_t part_at(RegionMaker *r, const Scaled *s, const ScaledTile *t, bool zero, Dim block,
                        Dim column)
{
	TileObj *table = zero ? s->zeros : s->scales;
	if (table) {
		TileAccess a = t->matrix ? access_of(table, 3, (Dim[]){t->matrix, block, column})
		                         : access2(table, block, column);
		return region_cast(r, DT_F32, region_access(r, &a));
	}
	Dim index[3] = {t->matrix};
	index[s->k_axis] = block;
	index[s->n_axis] = dim_floordiv(r->k->b->m->dims, column, dim_c(r->k->b, s->n_block));
	return region_cast(r, DT_F32, region_value(r, zero ? s->zero : s->scale, index));
}

/* --- blocks --- */

typedef struct BlockOf {
	Dim at, len, number; /* of the summed axis: first, how many, which block */
} BlockOf;

/* sums[i] = the sum over the block of row i. */
static TileObj *operand_sums(Kernel *k, TileBlock *in, const ScaledTile *t, const BlockOf *of)
{
	Build *b = k->b;
	TileObj *sums = place(k, in, "sums", DT_F32, LEVEL_NEAR, 1, &t->mr);
	TileStmt *s = tile_stmt(b->p, in, TILE_REDUCE);
	Dim i = t->rows ? space(k, s, "i", t->h) : dim_c(b, 0), c = space(k, s, "k", of->len);
	TileAccess x;
	if (!t->operand(k, t->ctx, i, dim_add(b->m->dims, of->at, c), &x)) return NULL;
	RegionMaker r = region_begin(k, s);
	uint16_t v = region_cast(&r, DT_F32, region_access(&r, &x));
	region_end(&r, 1, &v);
	s->reduce = RED_SUM;
	s->n_out = 1;
	s->out[0] = access1(sums, i);
	return sums;
}

static TileObj *block_product(Kernel *k, TileBlock *in, const Scaled *s, const ScaledTile *t,
                              const BlockOf *of)
{
	Build *b = k->b;
	DimPool *p = b->m->dims;
	TileObj *part = place(k, in, "part", DT_F32, LEVEL_ACC, 2, (int64_t[]){t->mr, t->nr});
	TileStmt *c = tile_stmt(b->p, in, TILE_CONTRACT);
	Dim i = t->rows ? space(k, c, "i", t->h) : dim_c(b, 0),
		j = t->columns ? space(k, c, "j", t->w) : dim_c(b, 0),
		at = dim_add(p, of->at, space(k, c, "k", of->len));
	c->out[0] = access2(part, i, j);
	c->n_out = 1;
	c->n_in = 2;
	if (!t->operand(k, t->ctx, i, at, &c->in[0]) ||
	    !weight_at(k, s, t, at, dim_add(p, t->column, j), &c->in[1]))
		return NULL;
	return part;
}

/* total (+)= (part - zero * sums) * scale */
static bool add_block(Kernel *k, TileBlock *in, const Scaled *s, const ScaledTile *t,
                      const BlockOf *of, TileObj *total, bool first)
{
	Build *b = k->b;
	TileObj *sums = s->zero ? operand_sums(k, in, t, of) : NULL;
	TileObj *part = block_product(k, in, s, t, of);
	if (!part || (s->zero && !sums)) return false;
	TileStmt *m = tile_stmt(b->p, in, TILE_MAP);
	Dim i = t->rows ? space(k, m, "i", t->h) : dim_c(b, 0),
		j = t->columns ? space(k, m, "j", t->w) : dim_c(b, 0),
		column = dim_add(b->m->dims, t->column, j);
	TileAccess y = access2(part, i, j), all = access2(total, i, j);
	RegionMaker r = region_begin(k, m);
	uint16_t v = region_access(&r, &y);
	if (sums) {
		TileAccess x = access1(sums, i);
		uint16_t zero = part_at(&r, s, t, true, of->number, column);
		zero = region_call(&r, SC_MUL, zero, region_access(&r, &x), 0);
		v = region_call(&r, SC_SUB, v, zero, 0);
	}
	v = region_call(&r, SC_MUL, v, part_at(&r, s, t, false, of->number, column), 0);
	if (!first) v = region_call(&r, SC_ADD, region_access(&r, &all), v, 0);
	region_end(&r, 1, &v);
	m->n_out = 1;
	m->out[0] = all;
	return !r.failed;
}

static void clear(Kernel *k, TileBlock *in, const ScaledTile *t, TileObj *total)
{
	TileStmt *m = tile_stmt(k->b->p, in, TILE_MAP);
	Dim i = t->rows ? space(k, m, "i", t->h) : dim_c(k->b, 0),
		j = t->columns ? space(k, m, "j", t->w) : dim_c(k->b, 0);
	RegionMaker r = region_begin(k, m);
	uint16_t v = region_const(&r, DT_F32, 0);
	region_end(&r, 1, &v);
	m->n_out = 1;
	m->out[0] = access2(total, i, j);
}

TileObj *scaled_product(Kernel *k, TileBlock *in, const Scaled *s, const ScaledTile *t)
{
	Build *b = k->b;
	DimPool *p = b->m->dims;
	TileObj *total = place(k, in, "total", DT_F32, LEVEL_NEAR, 2, (int64_t[]){t->mr, t->nr});
	BlockOf of = {dim_c(b, 0), dim_c(b, s->depth), dim_c(b, 0)};
	if (s->k_block >= s->depth && s->depth)
		return add_block(k, in, s, t, &of, total, true) ? total : NULL;
	clear(k, in, t, total);
	TileStmt *l = loop(k, in, TILE_FOR, "c", dim_c(b, 0), of.len, s->k_block, true);
	of.at = loop_at(b, l);
	of.len = s->depth % s->k_block ? loop_len(b, l) : dim_c(b, s->k_block);
	of.number = dim_floordiv(p, of.at, dim_c(b, s->k_block));
	return add_block(k, &l->body, s, t, &of, total, false) ? total : NULL;
}
