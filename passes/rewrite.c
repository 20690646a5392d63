/* The rewrite engine: applies rules to every node, region by region, until none applies. A node
 * that was replaced is left for dce. The number of turns is bounded, so that a rule that breaks the
 * promise of progress shows as an error and not as a hang. */
#include "passes/passes.h"

#include <math.h>

Node *rewrite_finish(Rewrite *w, Node *n)
{
	Diags silent = {.arena = w->c->m->arena, .frozen = true};
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!n->in[i]) return NULL;
	if (!op_info[n->op].infer(w->c->m, &silent, n)) return NULL;
	node_scope_from(n, w->at);
	graph_insert_before(w->g, w->at, n);
	return n;
}

Node *rewrite_node(Rewrite *w, Op op, uint32_t n_in, Node *const *in)
{
	return rewrite_finish(w, node_new(w->c->m, op, n_in, in, w->at->span));
}

Node *rewrite_const(Rewrite *w, DType t, double v)
{
	Node *n = graph_const_scalar(w->g, t, v, w->at->span);
	graph_remove(n);
	graph_insert_before(w->g, w->at, n);
	return n;
}

Node *rewrite_reshape(Rewrite *w, Node *x, uint32_t rank, const Dim *dims)
{
	Node *n = node_new(w->c->m, OP_RESHAPE, 1, &x, w->at->span);
	attr_dims(w->c->m, n, "dims", rank, dims);
	return rewrite_finish(w, n);
}

Node *rewrite_transpose(Rewrite *w, Node *x, const int64_t *perm)
{
	Node *n = node_new(w->c->m, OP_TRANSPOSE, 1, &x, w->at->span);
	attr_ints(w->c->m, n, "perm", x->type.rank, perm);
	return rewrite_finish(w, n);
}

bool node_const_scalar(const Node *n, double *v)
{
	if (n->op == OP_CAST || n->op == OP_BROADCAST || n->op == OP_RESHAPE)
		return node_const_scalar(n->in[0], v);
	if (n->op != OP_CONST) return false;
	const Tensor *t = node_attr_const(n, "value")->tensor;
	if (!t->count) return false;
	*v = dtype_load(t->dtype, t->data, 0);
	for (int64_t i = 1; i < t->count; i++)
		if (dtype_load(t->dtype, t->data, i) != *v) return false;
	return true;
}

static uint32_t count_in(const Graph *g, const Node *of)
{
	uint32_t uses = 0;
	for (const Node *n = g->first; n; n = n->next) {
		for (uint32_t i = 0; i < n->n_in; i++) uses += n->in[i] == of;
		if (n->region) uses += count_in(n->region, of);
	}
	for (size_t i = 0; i < g->results.n; i++) uses += g->results.at[i] == of;
	return uses;
}

uint32_t node_use_count(const Node *n)
{
	return count_in(n->owner, n);
}

bool is_constant(const Node *n)
{
	if (n->op == OP_WEIGHT || n->op == OP_CONST) return true;
	if (op_info[n->op].kind == KIND_STRUCTURE || !n->n_in) return false;
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!is_constant(n->in[i])) return false;
	return true;
}

bool is_elementwise(const Node *n)
{
	return op_info[n->op].kind == KIND_ELEMENTWISE;
}

static bool run_graph(PassContext *c, Graph *g, const Rule *rules, size_t n_rules)
{
	bool any = false;
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (is_entered(n)) any |= run_graph(c, n->region, rules, n_rules);
		for (size_t i = 0; i < n_rules; i++) {
			if (rules[i].op != n->op) continue;
			Rewrite w = {c, g, n};
			Node *with = rules[i].apply(&w, n);
			if (!with || with == n) continue;
			if (c->fired) text_printf(c->fired, "%s: %s\n", c->pass, rules[i].name);
			node_replace(n, with);
			graph_remove(n);
			any = true;
			break;
		}
	}
	return any;
}

void rewrite_run(PassContext *c, const Rule *rules, size_t n_rules)
{
	enum { TURNS = 200 };
	for (size_t i = 0; c->list && c->fired && i < n_rules; i++)
		text_printf(c->fired, "%s: %s\n", c->pass, rules[i].name);
	if (c->list) return;
	for (size_t e = 0; e < c->m->entries.n; e++) {
		int turn = 0;
		c->entry = c->m->entries.at[e];
		while (run_graph(c, c->m->entries.at[e]->graph, rules, n_rules)) {
			c->changed = true;
			if (++turn == TURNS) {
				diag_error(c->d, c->m->entries.at[e]->span,
				           "rewriting entry \"%s\" does not come to an end",
				           c->m->entries.at[e]->name);
				c->failed = true;
				return;
			}
		}
	}
}
