/* Common subexpressions: of two pure nodes of one graph with equal operation, operands, attributes
 * and type, the later becomes the earlier. */
#include "passes/passes.h"

#include <string.h>

static bool attr_equal(AttrKind kind, const Attr *a, const Attr *b)
{
	if (a->set != b->set) return false;
	if (!a->set) return true;
	switch (kind) {
	case ATTR_INT:
	case ATTR_BOOL:
	case ATTR_DTYPE: return a->i == b->i;
	case ATTR_FLOAT: return memcmp(&a->f, &b->f, sizeof a->f) == 0;
	case ATTR_STR: return a->s == b->s || strcmp(a->s, b->s) == 0;
	case ATTR_DIM: return a->d == b->d;
	case ATTR_SYM: return a->sym == b->sym;
	case ATTR_TENSOR:
		return a->tensor == b->tensor ||
		       (a->tensor->dtype == b->tensor->dtype && a->tensor->count == b->tensor->count &&
		        memcmp(a->tensor->data, b->tensor->data,
		               (size_t)dtype_bytes(a->tensor->dtype, a->tensor->count)) == 0);
	case ATTR_INTS:
		return a->n == b->n && (!a->n || memcmp(a->ints, b->ints, a->n * sizeof *a->ints) == 0);
	case ATTR_DIMS:
		return a->n == b->n && (!a->n || memcmp(a->dims, b->dims, a->n * sizeof *a->dims) == 0);
	}
	return false;
}

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
			run_graph(c, n->region);
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
