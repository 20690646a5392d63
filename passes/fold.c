/* Constant folding: a pure operation whose operands are all small constants is computed by the
 * interpreter, in double, and rounded once to its type. */
#include "passes/passes.h"

enum { FOLD_LIMIT = 1 << 20 }; /* elements: beyond, the file of the constants matters more */

static bool foldable(const Node *n, DimPool *dims)
{
	int64_t count;
	if (op_info[n->op].kind == KIND_STRUCTURE || n->type.is_tuple || n->region ||
	    !(op_info[n->op].traits & T_PURE))
		return false;
	if (!dim_is_const(type_count(dims, &n->type), &count) || count > FOLD_LIMIT || count < 1)
		return false;
	if (n->n_in == 0) return false; /* iota stays: it costs nothing to compute */
	for (uint32_t i = 0; i < n->n_in; i++)
		if (n->in[i]->op != OP_CONST) return false;
	/* a spread constant is better left as a broadcast of one element */
	double v;
	return n->op != OP_BROADCAST || !node_const_scalar(n->in[0], &v);
}

static Node *fold_node(PassContext *c, Graph *g, Node *n)
{
	Module *m = c->m;
	Diags silent = {.arena = c->scratch, .frozen = true};
	Entry e = {.name = "fold"};
	Graph one = {.module = m};
	Value out;
	InterpretOptions exact = {.exact = true};
	Node **in = NEW_ARRAY(c->scratch, Node *, n->n_in + 1);
	for (uint32_t i = 0; i < n->n_in; i++) {
		Node *copy = node_new(m, OP_CONST, 0, NULL, n->span);
		attr_tensor(copy, "value", node_attr(n->in[i], "value")->tensor);
		copy->type = n->in[i]->type;
		graph_insert_before(&one, NULL, copy);
		in[i] = copy;
	}
	Node *self = node_new(m, n->op, n->n_in, in, n->span);
	self->attr = n->attr;
	self->type = n->type;
	graph_insert_before(&one, NULL, self);
	vec_push(c->scratch, &one.results, self);
	e.graph = &one;
	vec_push(c->scratch, &e.out_names, "out");
	size_t module_require = m->require.n;
	m->require.n = 0; /* constants do not depend on the call */
	bool ok = module_interpret(c->scratch, &silent, m, &e, NULL, NULL, NULL, NULL, &out, &exact);
	m->require.n = module_require;
	if (!ok) return NULL; /* the error is the user's, and shows when the program runs */
	Tensor *t = NEW(m->arena, Tensor);
	t->dtype = n->type.dtype;
	t->count = out.count;
	t->data = arena_alloc(m->arena, (size_t)dtype_bytes(t->dtype, out.count) + 8);
	for (int64_t i = 0; i < out.count; i++) dtype_store(t->dtype, t->data, i, out.at[i]);
	Node *k = node_new(m, OP_CONST, 0, NULL, n->span);
	attr_tensor(k, "value", t);
	k->type = n->type;
	graph_insert_before(g, n, k);
	return k;
}

static void run_graph(PassContext *c, Graph *g)
{
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (is_entered(n) && n->op != OP_KERNEL) run_graph(c, n->region);
		if (!foldable(n, c->m->dims)) continue;
		Node *k = fold_node(c, g, n);
		if (!k) continue;
		node_replace(n, k);
		graph_remove(n);
		c->changed = true;
	}
}

void pass_fold(PassContext *c)
{
	for (size_t i = 0; i < c->m->entries.n; i++) run_graph(c, c->m->entries.at[i]->graph);
}
