/* Kernels without an anchor: elementwise work and movement. The result is stored tile by tile; what
 * is read follows from its index. Also concat (a store for each operand) and update (a store into
 * part of a state, in place). */
#include "codegen/tile/build.h"

/* Loops over all dims but the last two of more than one element: one by one; over the last but one
 * in blocks, and a space over the rest. */
typedef struct Nest {
	TileBlock *body;
	Dim base[MAX_RANK]; /* what the loops fix */
	uint32_t blocked;   /* dim with a block, MAX_RANK if none */
	uint32_t inner;     /* dim taken whole in each statement, MAX_RANK if none */
	Dim length;
} Nest;

static Nest nest_open(Kernel *k, const Type *t)
{
	Nest n = {.body = &k->k->body, .blocked = MAX_RANK};
	const Build *b = k->b;
	uint32_t inner = t->rank; /* the last dim of more than one element: a space */
	while (inner > 0 && dim_is_one(t->dim[inner - 1])) inner--;
	for (uint32_t i = inner; i < t->rank; i++) n.base[i] = dim_c(b, 0);
	n.inner = inner ? inner - 1 : MAX_RANK;
	for (uint32_t i = 0; i + 1 < inner; i++)
		if (!dim_is_one(t->dim[i])) n.blocked = i;
	if (n.blocked == MAX_RANK && inner) n.blocked = inner - 1;
	for (uint32_t i = 0; i < inner; i++) {
		n.base[i] = dim_c(b, 0);
		if (i != n.blocked) {
			if (i != n.inner) n.body = each_of(k, n.body, "i", t->dim[i], &n.base[i]);
			continue;
		}
		TileStmt *s = loop(k, n.body, TILE_PAR, "i", dim_c(b, 0), t->dim[i],
		                   i == n.inner ? 4096 : b->t->row_block, true);
		n.base[i] = loop_at(b, s);
		n.length = loop_len(b, s);
		n.body = &s->body;
	}
	return n;
}

static void nest_space(Kernel *k, const Nest *n, TileStmt *s, const Type *t, Dim *index)
{
	DimPool *p = k->b->m->dims;
	for (uint32_t i = 0; i < t->rank; i++) {
		index[i] = n->base[i];
		if (i == n->blocked)
			index[i] = dim_add(p, index[i], space(k, s, "r", n->length));
		else if (i == n->inner)
			index[i] = space(k, s, "c", t->dim[i]);
	}
}

bool build_map(Kernel *k)
{
	Node *root = k->root[0];
	/* in the order of what is read where that is simpler */
	while (root->op == OP_RESHAPE && reshape_divides(k->b, root, false) &&
	       !reshape_divides(k->b, root, true))
		root = root->in[0];
	Nest n = nest_open(k, &root->type);
	TileStmt *s = tile_stmt(k->b->p, n.body, TILE_PUT);
	Dim index[MAX_RANK] = {0};
	nest_space(k, &n, s, &root->type, index);
	RegionMaker r = region_begin(k, s);
	uint16_t v = region_value(&r, root, index);
	region_end(&r, 1, &v);
	s->n_out = 1;
	return result_access(k, 0, root, index, &s->out[0]);
}

bool build_concat(Kernel *k)
{
	Node *n = kernel_anchor(k, OP_CONCAT);
	int64_t axis = node_attr(n, "axis")->i;
	Dim first = dim_c(k->b, 0), index[MAX_RANK] = {0};
	for (uint32_t i = 0; i < n->n_in; i++) {
		Node *x = n->in[i];
		Nest nest = nest_open(k, &x->type);
		TileStmt *s = tile_stmt(k->b->p, nest.body, TILE_PUT);
		nest_space(k, &nest, s, &x->type, index);
		RegionMaker r = region_begin(k, s);
		uint16_t v = region_value(&r, x, index);
		region_end(&r, 1, &v);
		index[axis] = dim_add(k->b->m->dims, index[axis], first);
		s->n_out = 1;
		if (!result_access(k, 0, n, index, &s->out[0])) return false;
		first = dim_add(k->b->m->dims, first, x->type.dim[axis]);
	}
	return true;
}

bool build_update(Kernel *k)
{
	Node *root = k->g->results.at[0], *v = root->in[1];
	const Attr *start = node_attr(root, "start");
	uint32_t lead = k->lead[node_attr(root->in[0], "number")->i];
	Type inner = v->type, whole = root->type;
	Dim index[MAX_RANK] = {0}, full[MAX_RANK] = {0};
	inner.rank -= lead;
	whole.rank -= lead;
	for (uint32_t i = 0; i < inner.rank; i++) {
		inner.dim[i] = v->type.dim[i + lead];
		whole.dim[i] = root->type.dim[i + lead];
	}
	Nest n = nest_open(k, &inner);
	TileStmt *s = tile_stmt(k->b->p, n.body, TILE_PUT);
	nest_space(k, &n, s, &inner, index);
	for (uint32_t i = 0; i < v->type.rank; i++)
		full[i] = i < lead ? dim_c(k->b, 0) : index[i - lead];
	RegionMaker r = region_begin(k, s);
	uint16_t value = region_value(&r, v, full);
	region_end(&r, 1, &value);
	for (uint32_t i = 0; i < inner.rank; i++)
		index[i] = dim_add(k->b->m->dims, index[i], start->dims[i + lead]);
	s->n_out = 1;
	s->out[0] = (TileAccess){.obj = k->out[0]};
	memory_index(k->b, &whole, k->out_keep[0], index, s->out[0].index);
	return true;
}
