/* Dead code: what no result, and no live node, uses. */
#include "passes/passes.h"

static void mark_used(Graph *g)
{
	/* Backwards, so that the users of a node have spoken before it is asked. */
	for (size_t i = 0; i < g->results.n; i++) g->results.at[i]->mark = 1;
	for (Node *n = g->last; n; n = n->prev) {
		if (!n->mark) continue;
		if (n->region) mark_used(n->region);
		for (uint32_t i = 0; i < n->n_in; i++) n->in[i]->mark = 1;
	}
}

static void unmark(Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		n->mark = n->op == OP_PARAM || n->op == OP_ARG;
		if (n->region) unmark(n->region);
	}
}

static void sweep(PassContext *c, Graph *g)
{
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (!n->mark) {
			graph_remove(n);
			c->changed = true;
		} else if (n->region) {
			sweep(c, n->region);
		}
	}
}

void pass_dce(PassContext *c)
{
	for (size_t i = 0; i < c->m->entries.n; i++) {
		Graph *g = c->m->entries.at[i]->graph;
		unmark(g);
		mark_used(g);
		sweep(c, g);
	}
}
