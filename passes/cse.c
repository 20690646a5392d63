/* Common subexpressions: of two pure nodes of one graph with equal operation, operands, attributes
 * and type, the later becomes the earlier. */
#include "passes/passes.h"

#include <string.h>

static bool node_equal(const Node *a, const Node *b)
{
	const AttrInfo *row = op_info[a->op].attr;
	if (a->op != b->op || a->n_in != b->n_in || !type_equal(&a->type, &b->type)) return false;
	for (uint32_t i = 0; i < a->n_in; i++)
		if (a->in[i] != b->in[i]) return false;
	for (uint32_t i = 0; row[i].name; i++)
		if (!attr_equal(row[i].kind, &a->attr[i], &b->attr[i])) return false;
	return true;
}

static size_t hash(const Node *n)
{
	size_t h = (size_t)n->op * 0x9e3779b97f4a7c15u;
	for (uint32_t i = 0; i < n->n_in; i++) h = (h ^ n->in[i]->id) * 0x100000001b3u;
	return h ^ h >> 31;
}

static void run_graph(PassContext *c, Graph *g)
{
	size_t n_nodes = 0, cap = 64;
	for (Node *n = g->first; n; n = n->next) n_nodes++;
	while (cap < n_nodes * 2) cap *= 2;
	Node **table = NEW_ARRAY(c->scratch, Node *, cap);
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (n->region) {
			if (is_entered(n)) run_graph(c, n->region);
			continue;
		}
		if (!(op_info[n->op].traits & T_PURE)) continue;
		size_t i = hash(n) & (cap - 1);
		while (table[i] && !node_equal(table[i], n)) i = (i + 1) & (cap - 1);
		if (!table[i]) {
			table[i] = n;
			continue;
		}
		node_replace(n, table[i]);
		graph_remove(n);
		c->changed = true;
	}
}

void pass_cse(PassContext *c)
{
	for (size_t i = 0; i < c->m->entries.n; i++) run_graph(c, c->m->entries.at[i]->graph);
}
