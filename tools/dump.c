/* Values inside a model by the names that the user gave them, as further outputs of its entries:
 * before any pass runs, so that every target computes them. A value inside a loop is collected over
 * the turns, on a new first axis. */
#include "tools/tool.h"

#include <string.h>

typedef struct Expose {
	Tool *t;
	Module *m;
	const Names *names;
	bool all;
	bool *found;            /* by name */
	VEC(const char *) seen; /* every name there is, for messages */
} Expose;

typedef struct NamedNode {
	Node *node;
	const char *name;
} NamedNode;
typedef VEC(NamedNode) NamedNodes;

static bool wanted(Expose *x, const Node *n)
{
	if (!n->name || n->type.is_tuple) return false;
	vec_push(x->t->arena, &x->seen, n->name);
	bool yes = x->all;
	for (size_t i = 0; i < x->names->n; i++)
		if (strcmp(x->names->at[i], n->name) == 0) x->found[i] = yes = true;
	return yes;
}

/* A name given to several values (a rebinding) means each: x, x.2, x.3. */
static const char *name_new(Expose *x, const NamedNodes *list, const char *name)
{
	uint32_t same = 0;
	for (size_t i = 0; i < list->n; i++) {
		size_t n = strlen(name);
		const char *other = list->at[i].name;
		if (strncmp(other, name, n) == 0 && (other[n] == '\0' || other[n] == '.')) same++;
	}
	return same ? arena_printf(x->t->arena, "%s.%u", name, same + 1) : name;
}

static bool expose_graph(Expose *x, Graph *g, NamedNodes *out);

/* The values of a loop's body become collected results; each is read behind the loop. */
static bool expose_loop(Expose *x, Node *loop, NamedNodes *out)
{
	NamedNodes inner = {0};
	if (!expose_graph(x, loop->region, &inner)) return false;
	if (inner.n == 0) return true;
	size_t first = loop->region->results.n;
	for (size_t i = 0; i < inner.n; i++)
		vec_push(x->m->arena, &loop->region->results, inner.at[i].node);
	if (!op_info[OP_LOOP].infer(x->m, &x->t->d, loop)) return false;
	Node *after = loop->next;
	for (size_t i = 0; i < inner.n; i++) {
		Node *get = node_new(x->m, OP_GET, 1, &loop, loop->span);
		attr_int(get, "number", (int64_t)(first + i));
		if (!op_info[OP_GET].infer(x->m, &x->t->d, get)) return false;
		graph_insert_before(loop->owner, after, get);
		NamedNode v = {get, name_new(x, out, inner.at[i].name)};
		vec_push(x->t->arena, out, v);
	}
	return true;
}

static bool expose_graph(Expose *x, Graph *g, NamedNodes *out)
{
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (n->op == OP_LOOP && !expose_loop(x, n, out)) return false;
		if (!wanted(x, n)) continue;
		NamedNode v = {n, name_new(x, out, n->name)};
		vec_push(x->t->arena, out, v);
	}
	return true;
}

/* Outputs come before the values of states among the results of an entry. */
static void add_outputs(Module *m, Entry *e, const NamedNodes *list)
{
	Graph *g = e->graph;
	size_t states = g->results.n - e->out_names.n;
	for (size_t i = 0; i < list->n; i++) {
		vec_push(m->arena, &g->results, NULL);
		size_t at = g->results.n - 1 - states;
		memmove(&g->results.at[at + 1], &g->results.at[at], states * sizeof(Node *));
		g->results.at[at] = list->at[i].node;
		vec_push(m->arena, &e->out_names, list->at[i].name);
	}
}

bool module_expose(Tool *t, Module *m, const Names *names)
{
	Expose x = {.t = t, .m = m, .names = names, .found = NEW_ARRAY(t->arena, bool, names->n + 1)};
	x.all = names->n == 1 && strcmp(names->at[0], "all") == 0;
	for (size_t i = 0; i < m->entries.n; i++) {
		Entry *e = m->entries.at[i];
		NamedNodes list = {0};
		if (!expose_graph(&x, e->graph, &list)) return false;
		/* Outputs keep their names. */
		for (size_t k = 0; k < list.n; k++)
			for (size_t o = 0; o < e->out_names.n; o++)
				if (strcmp(list.at[k].name, e->out_names.at[o]) == 0)
					list.at[k].name = arena_printf(t->arena, "%s.inner", list.at[k].name);
		add_outputs(m, e, &list);
	}
	for (size_t i = 0; i < names->n; i++) {
		if (x.all || x.found[i]) continue;
		Diag *d = diag_error(&t->d, span_none(), "--dump: the model has no value named `%s`",
		                     names->at[i]);
		const char *near = nearest_name(names->at[i], x.seen.at, x.seen.n);
		if (near) diag_help(&t->d, d, "did you mean `%s`?", near);
		return false;
	}
	return module_verify(&t->d, m);
}
