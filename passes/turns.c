/* What a loop's index chooses inside the loop is made ready outside of it: a part along an inner axis
 * becomes a part along the first axis of a transposed copy, which a launch can name; the index as a
 * number becomes an element of a table of numbers. */
#include "passes/passes.h"

enum { MOST_TURNS = 1 << 20 };

/* The loop around g whose index d mentions, innermost first; NULL: none. */
static Node *loop_of(Graph *g, Dim d)
{
	for (; g->parent; g = g->parent->owner)
		if (g->parent->op == OP_LOOP && dim_mentions(d, node_attr(g->parent, "var")->sym))
			return g->parent;
	return NULL;
}

static bool is_inside(const Node *n, const Node *loop)
{
	for (const Graph *g = n->owner; g; g = g->parent ? g->parent->owner : NULL)
		if (g == loop->region) return true;
	return false;
}

/* A node before the loop; NULL when it cannot be typed. */
static Node *before_loop(Rewrite *w, Node *loop, Node *n)
{
	Diags silent = {.arena = w->c->m->arena, .frozen = true};
	if (!op_info[n->op].infer(w->c->m, &silent, n)) return NULL;
	graph_insert_before(loop->owner, loop, n);
	return n;
}

static Node *slice_by_turn(Rewrite *w, Node *n)
{
	Module *m = w->c->m;
	Node *x = n->in[0];
	const Attr *start = node_attr(n, "start"), *size = node_attr(n, "size"),
			   *step = node_attr(n, "step");
	uint32_t lead = 0, rank = x->type.rank, axis;
	int64_t perm[MAX_RANK], steps[MAX_RANK], one;
	Dim starts[MAX_RANK], sizes[MAX_RANK];
	while (lead < rank && loop_of(w->g, start->dims[lead])) lead++;
	for (axis = lead; axis < rank && !loop_of(w->g, start->dims[axis]); axis++) {}
	if (axis == rank || !dim_is_const(size->dims[axis], &one) || one != 1) return NULL;
	Node *loop = loop_of(w->g, start->dims[axis]);
	if (is_inside(x, loop)) return NULL;
	perm[0] = axis;
	for (uint32_t i = 0; i < rank; i++)
		if (i != axis) perm[i < axis ? i + 1 : i] = i;
	Node *t = node_new(m, OP_TRANSPOSE, 1, &x, n->span);
	attr_ints(m, t, "perm", rank, perm);
	if (!(t = before_loop(w, loop, t))) return NULL;
	for (uint32_t i = 0; i < rank; i++) {
		starts[i] = start->dims[perm[i]];
		sizes[i] = size->dims[perm[i]];
		steps[i] = step->set ? step->ints[perm[i]] : 1;
	}
	Node *s = node_new(m, OP_SLICE, 1, &t, n->span);
	attr_dims(m, s, "start", rank, starts);
	attr_dims(m, s, "size", rank, sizes);
	if (step->set) attr_ints(m, s, "step", rank, steps);
	if (!(s = rewrite_finish(w, s))) return NULL;
	return rewrite_reshape(w, s, rank, n->type.dim);
}

/* The numbers 0, 1, .. of all turns there can be. */
static Node *turn_table(Rewrite *w, Node *loop)
{
	Module *m = w->c->m;
	int64_t lo, most;
	dim_range(&m->facts, node_attr(loop, "count")->d, &lo, &most);
	if (most < 1 || most > MOST_TURNS) return NULL;
	Tensor *t = NEW(m->arena, Tensor);
	int32_t *at = NEW_ARRAY(m->arena, int32_t, most + 1);
	for (int64_t i = 0; i < most; i++) at[i] = (int32_t)i;
	*t = (Tensor){DT_I32, most, at};
	Node *n = node_new(m, OP_CONST, 0, NULL, loop->span);
	attr_tensor(n, "value", t);
	n->type = type_tensor(DT_I32, 1, (Dim[]){dim_const(m->dims, most)});
	return before_loop(w, loop, n);
}

static Node *number_of_turn(Rewrite *w, Node *n)
{
	Module *m = w->c->m;
	Dim d = node_attr(n, "value")->d, factor, rest, one = dim_const(m->dims, 1);
	Node *loop = loop_of(w->g, d);
	int64_t k;
	if (!loop) return NULL;
	const DimSym *var = node_attr(loop, "var")->sym;
	if (!dim_linear_in(m->dims, d, var, &factor, &rest) || !dim_is_const(factor, &k)) return NULL;
	Node *table = turn_table(w, loop);
	if (!table) return NULL;
	Dim at = dim_sym(m->dims, node_attr(loop, "var")->sym);
	Node *s = node_new(m, OP_SLICE, 1, &table, n->span);
	attr_dims(m, s, "start", 1, &at);
	attr_dims(m, s, "size", 1, &one);
	s = rewrite_finish(w, s);
	Node *v = s ? rewrite_reshape(w, s, 0, NULL) : NULL;
	if (v && k != 1)
		v = rewrite_node(w, OP_MUL, 2, (Node *[]){v, rewrite_const(w, DT_I32, (double)k)});
	Node *more = node_new(m, OP_DIM, 0, NULL, n->span);
	attr_dim(more, "value", rest);
	more->type = type_scalar(DT_I32);
	more = rewrite_finish(w, more);
	return v ? rewrite_node(w, OP_ADD, 2, (Node *[]){v, more}) : NULL;
}

static const Rule rules[] = {
	{OP_SLICE, "slice-by-turn", slice_by_turn},
	{OP_DIM, "number-of-turn", number_of_turn},
};

void pass_turns(PassContext *c)
{
	rewrite_run(c, rules, COUNT(rules));
}
