/* Kernels written by hand, for targets that do not run them: the region, which says what the kernel
 * computes, takes its place, and is optimised with what is around it. */
#include "passes/passes.h"

#include <string.h>

/* Once for each file. */
static void remark_body(PassContext *c, const Node *n, const char *file)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
	const char *text = arena_printf(
		c->m->arena, "%s is a program for Pearl: here the body of its def is compiled", name);
	for (size_t i = 0; i < c->d->list.n; i++)
		if (strcmp(c->d->list.at[i]->text, text) == 0) return;
	diag_remark(c->d, n->span, "%s", text);
}

static void replace_result(Node *hand, uint32_t number, Node *with)
{
	Graph *g = hand->owner;
	if (hand->region->results.n == 1) {
		node_replace(hand, with);
		return;
	}
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (n->op != OP_GET || n->in[0] != hand || node_attr(n, "number")->i != number) continue;
		node_replace(n, with);
		graph_remove(n);
	}
}

/* The operands in place of the args, in nested regions too. */
static void give_operands(const Node *hand, Graph *g)
{
	const Graph *body = hand->region;
	for (Node *n = g->first; n; n = n->next) {
		if (n->region) give_operands(hand, n->region);
		for (uint32_t i = 0; i < n->n_in; i++)
			if (n->in[i]->op == OP_ARG && n->in[i]->owner == body)
				n->in[i] = hand->in[node_attr(n->in[i], "number")->i];
	}
	for (size_t i = 0; i < g->results.n; i++) {
		Node *r = g->results.at[i];
		if (r->op == OP_ARG && r->owner == body)
			g->results.at[i] = hand->in[node_attr(r, "number")->i];
	}
}

/* The node that is first in its place; the one after it when the body is empty. */
static Node *inline_hand(Node *hand)
{
	Graph *g = hand->owner, *body = hand->region;
	Node *first = NULL;
	give_operands(hand, body);
	for (Node *n = body->first, *next; n; n = next) {
		next = n->next;
		graph_remove(n);
		if (n->op == OP_ARG) continue;
		graph_insert_before(g, hand, n);
		node_scope_from(n, hand);
		if (!first) first = n;
	}
	for (size_t i = 0; i < body->results.n; i++)
		replace_result(hand, (uint32_t)i, body->results.at[i]);
	Node *after = hand->next;
	graph_remove(hand);
	return first ? first : after;
}

static void run_graph(PassContext *c, Graph *g)
{
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (n->op == OP_HAND) {
			remark_body(c, n, node_attr(n, "file")->s);
			next = inline_hand(n);
			c->changed = true;
		} else if (n->region) {
			run_graph(c, n->region);
		}
	}
}

void pass_inline(PassContext *c)
{
	if (c->target && c->target->runs_hand_written) return;
	for (size_t i = 0; i < c->m->entries.n; i++) run_graph(c, c->m->entries.at[i]->graph);
}
