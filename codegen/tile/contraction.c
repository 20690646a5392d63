/* Sums of products with their epilogues. Index letters fall into batch (both operands and result),
 * m (first and result), n (second and result) and k (both, summed). A task is a block of m by a
 * panel of n; inside, register or array tiles of at most mr by nr take all of k, and the epilogue
 * is applied while the tile is in accumulators (Goto and van de Geijn 2008, panel order). */
#include "codegen/tile/build.h"

#include <string.h>

typedef struct Letters {
	char at[MAX_RANK + 1];
	uint32_t n;
} Letters;

typedef struct Product {
	Node *node;  /* einsum */
	Node *a, *b; /* rows side, columns side */
	const char *as, *bs, *cs;
	uint32_t an, bn, cn;
	Letters batch, m, n, k;
	Dim size[128];
	TileObj *packed; /* formal of the packed second operand, or NULL */
	TileObj *acc;
	Scaled scaled; /* when b is scaled as it is read */
} Product;

static bool has(const char *s, uint32_t n, char c)
{
	return memchr(s, c, n) != NULL;
}

static void letters_add(Letters *l, char c)
{
	l->at[l->n++] = c;
}

static bool is_constant(const Kernel *k, const Node *n)
{
	while (n->op != OP_ARG) {
		if (n->n_in != 1 && n->op != OP_DEQUANT) return false;
		n = n->in[0];
	}
	return k->actual[node_attr_const(n, "number")->i].buf->kind == TB_WEIGHT;
}

static bool classify(Kernel *k, Node *e, Product *p)
{
	const char *spec = node_attr(e, "spec")->s, *comma = strchr(spec, ','),
			   *arrow = strstr(spec, "->");
	*p = (Product){
		.node = e, .a = e->in[0], .b = e->in[1], .as = spec, .bs = comma + 1, .cs = arrow + 2};
	p->an = (uint32_t)(comma - spec);
	p->bn = (uint32_t)(arrow - comma - 1);
	p->cn = (uint32_t)strlen(arrow + 2);
	if (is_constant(k, p->a) && !is_constant(k, p->b)) { /* weights are the columns side */
		Product s = *p;
		p->a = s.b, p->b = s.a, p->as = s.bs, p->bs = s.as, p->an = s.bn, p->bn = s.an;
	}
	for (uint32_t i = 0; i < p->an; i++) {
		char c = p->as[i];
		p->size[(unsigned char)c] = p->a->type.dim[i];
		bool in_b = has(p->bs, p->bn, c), in_c = has(p->cs, p->cn, c);
		if (in_b && !in_c) letters_add(&p->k, c);
		if (!in_b && !in_c)
			return kernel_fail(
				k,
				arena_printf(
					k->b->m->arena,
					"index %c of the product is summed but in one operand only; sum that operand first",
					c));
	}
	for (uint32_t i = 0; i < p->bn; i++) {
		char c = p->bs[i];
		p->size[(unsigned char)c] = p->b->type.dim[i];
		if (!has(p->as, p->an, c) && !has(p->cs, p->cn, c))
			return kernel_fail(
				k,
				arena_printf(
					k->b->m->arena,
					"index %c of the product is summed but in one operand only; sum that operand first",
					c));
	}
	for (uint32_t i = 0; i < p->cn; i++) {
		char c = p->cs[i];
		bool in_a = has(p->as, p->an, c), in_b = has(p->bs, p->bn, c);
		letters_add(in_a && in_b ? &p->batch : in_a ? &p->m : &p->n, c);
	}
	if (p->k.n > 3)
		return kernel_fail(k, "a product that sums over more than three indices is not supported");
	return true;
}

static void index_of(const char *letters, uint32_t n, const Dim *value, Dim *out)
{
	for (uint32_t i = 0; i < n; i++) out[i] = value[(unsigned char)letters[i]];
}

/* --- packing: the columns side as [K, N] panels, when it is a weight with one k and one n --- */

static void try_pack(Kernel *k, Product *p)
{
	if (p->b->op == OP_DEQUANT || !k->b->t->packs_weights || p->bn != 2 || p->k.n != 1 ||
	    p->n.n != 1 || !is_constant(k, p->b))
		return;
	Dim dims[2] = {p->size[(unsigned char)p->k.at[0]], p->size[(unsigned char)p->n.at[0]]};
	bool k_first = p->bs[0] == p->k.at[0];
	DType x = p->a->type.dtype, w = p->b->type.dtype;
	PackAs as = {PACK_MATRIX, k_first, .mixed = dtype_is_float(x) && x != w};
	p->packed = pack_weight(k, p->b, &as, dims);
}

static bool open_scaled(Kernel *k, Product *p)
{
	if (p->b->op != OP_DEQUANT) return true;
	if (p->bn != 2 || p->k.n != 1 || p->n.n != 1)
		return kernel_fail(k, "a scaled operand is a matrix with one summed index");
	uint32_t k_axis = p->bs[0] == p->k.at[0] ? 0 : 1;
	return scaled_open(k, p->b, k_axis, 1 - k_axis, &p->scaled);
}

/* --- the nest --- */

typedef struct Tile {
	Dim value[128]; /* of each letter outside the space of a statement */
	char mi, ni;    /* letters that are tiled, 0 if there is none */
	Dim h, w;       /* extents of the tile */
	TileBlock *body;
} Tile;

static void contract(Kernel *k, Product *p, const Tile *t, int64_t mr, int64_t nr)
{
	Build *b = k->b;
	p->acc = place(k, t->body, "acc", p->node->type.dtype, LEVEL_ACC, 2, (int64_t[]){mr, nr});
	TileStmt *s = tile_stmt(b->p, t->body, TILE_CONTRACT);
	Dim value[128], index[MAX_RANK];
	memcpy(value, t->value, sizeof value);
	Dim i = t->mi ? space(k, s, "i", t->h) : dim_c(b, 0),
		j = t->ni ? space(k, s, "j", t->w) : dim_c(b, 0);
	if (t->mi) value[(unsigned char)t->mi] = dim_add(b->m->dims, value[(unsigned char)t->mi], i);
	if (t->ni) value[(unsigned char)t->ni] = dim_add(b->m->dims, value[(unsigned char)t->ni], j);
	for (uint32_t q = 0; q < p->k.n; q++)
		if (!dim_is_one(p->size[(unsigned char)p->k.at[q]]))
			value[(unsigned char)p->k.at[q]] = space(k, s, "k", p->size[(unsigned char)p->k.at[q]]);
	s->out[0] = access2(p->acc, i, j);
	s->n_out = 1;
	s->n_in = 2;
	index_of(p->as, p->an, value, index);
	access_value(k, p->a, index, &s->in[0]);
	if (p->packed) {
		s->in[1] =
			access2(p->packed, value[(unsigned char)p->k.at[0]], value[(unsigned char)p->n.at[0]]);
	} else {
		index_of(p->bs, p->bn, value, index);
		access_value(k, p->b, index, &s->in[1]);
	}
}

typedef struct Rows {
	Product *p;
	const Tile *t;
} Rows;

/* The operand of the rows' side at a row of the tile and a place on the summed axis. */
static bool row_operand(Kernel *k, void *ctx, Dim row, Dim at, TileAccess *out)
{
	const Rows *r = ctx;
	Dim value[128], index[MAX_RANK];
	memcpy(value, r->t->value, sizeof value);
	if (r->t->mi)
		value[(unsigned char)r->t->mi] =
			dim_add(k->b->m->dims, value[(unsigned char)r->t->mi], row);
	value[(unsigned char)r->p->k.at[0]] = at;
	index_of(r->p->as, r->p->an, value, index);
	return access_value(k, r->p->a, index, out);
}

static void contract_scaled(Kernel *k, Product *p, const Tile *t, int64_t mr, int64_t nr)
{
	Rows rows = {p, t};
	ScaledTile tile = {.h = t->h,
	                   .w = t->w,
	                   .column = t->value[(unsigned char)p->n.at[0]],
	                   .rows = t->mi != 0,
	                   .columns = t->ni != 0,
	                   .mr = mr,
	                   .nr = nr,
	                   .ctx = &rows,
	                   .operand = row_operand};
	p->acc = scaled_product(k, t->body, &p->scaled, &tile);
	if (!p->acc) k->b->failed = true;
}

/* Loop over a letter one by one. */
static void each(Kernel *k, Tile *t, const Product *p, char c)
{
	t->body = each_of(k, t->body, "b", p->size[(unsigned char)c], &t->value[(unsigned char)c]);
}

/* The last letter of more than one element is tiled; the others are taken one by one. */
static char tiled(Kernel *k, Tile *t, const Product *p, const Letters *l)
{
	char last = 0;
	for (uint32_t i = 0; i < l->n; i++)
		if (!dim_is_one(p->size[(unsigned char)l->at[i]])) last = l->at[i];
	for (uint32_t i = 0; i < l->n; i++)
		if (l->at[i] != last) each(k, t, p, l->at[i]);
	return last;
}

bool build_contraction(Kernel *k)
{
	Build *b = k->b;
	Product p[2];
	uint32_t n_products = 0;
	Node *root = k->g->results.at[0];
	for (Node *n = k->g->first; n; n = n->next) {
		if (n->op != OP_EINSUM) continue;
		if (n_products == 2) return kernel_fail(k, "more than two products in one kernel");
		if (!classify(k, n, &p[n_products++])) return false;
	}
	for (uint32_t i = 0; i < n_products; i++) {
		if (!open_scaled(k, &p[i])) return false;
		try_pack(k, &p[i]);
	}
	Product *f = &p[0];
	Tile t = {.body = &k->k->body, .h = dim_c(b, 1), .w = dim_c(b, 1)};
	for (size_t i = 0; i < 128; i++) t.value[i] = dim_c(b, 0);
	int64_t mr = b->t->mr / n_products, nr = b->t->nr, lo, most_n = nr;
	if (mr < 1) mr = 1;
	for (uint32_t i = 0; i < f->batch.n; i++) each(k, &t, f, f->batch.at[i]);
	t.mi = tiled(k, &t, f, &f->m);
	t.ni = tiled(k, &t, f, &f->n);
	TileStmt *ms = NULL;
	if (t.mi) {
		ms = loop(k, t.body, TILE_PAR, "m", dim_c(b, 0), f->size[(unsigned char)t.mi], b->t->mb,
		          true);
		t.body = &ms->body;
	}
	if (t.ni) {
		dim_range(&b->m->facts, f->size[(unsigned char)t.ni], &lo, &most_n);
		if (most_n > nr) most_n = nr;
		TileStmt *ns =
			loop(k, t.body, TILE_PAR, "n", dim_c(b, 0), f->size[(unsigned char)t.ni], nr, true);
		ns->stages = b->t->stages;
		t.value[(unsigned char)t.ni] = loop_at(b, ns);
		t.w = loop_len(b, ns);
		t.body = &ns->body;
	}
	if (t.mi) {
		TileStmt *split = loop(k, t.body, TILE_SPLIT, "t", dim_c(b, 0), loop_len(b, ms), mr, true);
		t.value[(unsigned char)t.mi] = dim_add(b->m->dims, loop_at(b, ms), loop_at(b, split));
		t.h = loop_len(b, split);
		t.body = &split->body;
	}
	for (uint32_t i = 0; i < n_products && !b->failed; i++)
		(p[i].b->op == OP_DEQUANT ? contract_scaled : contract)(k, &p[i], &t, t.mi ? mr : 1,
		                                                        t.ni ? nr : 1);
	if (b->failed) return false;

	/* the epilogue, on the tile in accumulators */
	TileStmt *put = tile_stmt(b->p, t.body, TILE_PUT);
	Dim value[128], index[MAX_RANK];
	memcpy(value, t.value, sizeof value);
	Dim i = t.mi ? space(k, put, "i", t.h) : dim_c(b, 0),
		j = t.ni ? space(k, put, "j", t.w) : dim_c(b, 0);
	if (t.mi) value[(unsigned char)t.mi] = dim_add(b->m->dims, value[(unsigned char)t.mi], i);
	if (t.ni) value[(unsigned char)t.ni] = dim_add(b->m->dims, value[(unsigned char)t.ni], j);
	index_of(f->cs, f->cn, value, index);
	for (uint32_t q = 0; q < n_products; q++)
		bind(k, p[q].node, index, p[q].cn, access2(p[q].acc, i, j));
	RegionMaker r = region_begin(k, put);
	Node *stored = root;
	while (stored != f->node && (stored->op == OP_RESHAPE || stored->op == OP_TRANSPOSE))
		stored = stored->in[0];
	uint16_t v = region_value(&r, stored, index);
	region_end(&r, 1, &v);
	put->n_out = 1;
	return !b->failed && result_access(k, 0, stored, index, &put->out[0]);
}
