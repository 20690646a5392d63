/* The graph verifier: run after every pass in debug builds and tests. It proves what every pass may
 * rely on: operands are defined before use and visible, types are what the shape rules say, regions
 * fit their nodes, kernels are closed, results match what the entry names. */
#include "ir/ir.h"

typedef struct Verifier {
	Module *m;
	Diags *d;
	const Entry *entry;
	uint32_t stamp; /* node->mark of nodes now visible */
	bool ok;
} Verifier;

static void complain(Verifier *v, const Node *n, const char *why)
{
	Text t = text_new(v->m->arena);
	text_printf(&t, "%%%u = %s", n->id, op_info[n->op].mnemonic);
	diag_error(v->d, n->span, "verifier: entry \"%s\", %s: %s", v->entry->name, t.at, why);
	v->ok = false;
}

static void clear_marks(Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		n->mark = 0;
		if (n->region) clear_marks(n->region);
	}
}

static void verify_graph(Verifier *v, Graph *g, bool closed);

static void verify_type(Verifier *v, Node *n)
{
	Type was = n->type;
	if (!op_info[n->op].infer(v->m, v->d, n)) {
		v->ok = false;
	} else if (!type_equal(&was, &n->type)) {
		complain(v, n,
		         arena_printf(v->m->arena, "its type is %s, the shape rule says %s",
		                      type_text(v->m->arena, &was), type_text(v->m->arena, &n->type)));
	}
	n->type = was;
}

static void verify_node(Verifier *v, Graph *g, Node *n, bool closed)
{
	const OpInfo *info = &op_info[n->op];
	if (n->owner != g) complain(v, n, "it stands in a graph that does not own it");
	if ((int64_t)n->n_in < info->min_in || (info->max_in >= 0 && (int64_t)n->n_in > info->max_in))
		complain(v, n, "wrong number of operands");
	for (uint32_t i = 0; i < n->n_in; i++) {
		if (!n->in[i]) {
			complain(v, n, arena_printf(v->m->arena, "operand %u is missing", i));
			return;
		}
		if (n->in[i]->mark != v->stamp)
			complain(v, n,
			         arena_printf(v->m->arena, "operand %u (%%%u) is not defined before it", i,
			                      n->in[i]->id));
		if (closed && n->in[i]->owner != g)
			complain(v, n, "a kernel uses a value from outside its region");
	}
	for (uint32_t i = 0; info->attr[i].name; i++)
		if (info->attr[i].required && !n->attr[i].set)
			complain(v, n,
			         arena_printf(v->m->arena, "attribute `%s` is missing", info->attr[i].name));
	if (!v->ok) return;
	if (op_has_region(n->op) != (n->region != NULL))
		complain(v, n, "a region is missing or too many");
	if (n->op == OP_PARAM && (g->parent || (size_t)node_attr(n, "number")->i >= g->args.n))
		complain(v, n, "a param outside an entry, or of no input");
	if (n->op == OP_ARG && !g->parent) complain(v, n, "an arg outside a region");
	if (n->region) {
		if (n->region->parent != n) complain(v, n, "its region belongs to another node");
		verify_graph(v, n->region, n->op != OP_LOOP);
	}
	if (v->ok) verify_type(v, n);
}

static void verify_graph(Verifier *v, Graph *g, bool closed)
{
	size_t args = 0;
	for (Node *n = g->first; n && v->ok; n = n->next) {
		verify_node(v, g, n, closed);
		n->mark = v->stamp;
		if (n->op == OP_PARAM || n->op == OP_ARG) {
			int64_t number = node_attr(n, "number")->i;
			if (number < 0 || (size_t)number >= g->args.n || g->args.at[number] != n)
				complain(v, n, "it is not the argument that its number says");
			args++;
		}
	}
	if (v->ok && args != g->args.n) {
		diag_error(v->d, v->entry->span, "verifier: entry \"%s\": an argument is not in its graph",
		           v->entry->name);
		v->ok = false;
	}
	for (size_t i = 0; i < g->results.n && v->ok; i++)
		if (!g->results.at[i] || g->results.at[i]->mark != v->stamp ||
		    (closed && g->results.at[i]->owner != g)) {
			diag_error(v->d, v->entry->span,
			           "verifier: entry \"%s\": result %zu is not visible in its graph",
			           v->entry->name, i);
			v->ok = false;
		}
	/* What was defined in a region is not visible after it. */
	for (Node *n = g->first; n && g->parent; n = n->next) n->mark = 0;
}

static bool verify_entry(Verifier *v, Entry *e)
{
	size_t outputs = e->out_names.n + e->writes.n;
	v->entry = e;
	if (e->graph->results.n != outputs || e->graph->args.n != e->in_names.n) {
		diag_error(
			v->d, e->span,
			"verifier: entry \"%s\": %zu results for %zu outputs and %zu states, %zu params for %zu inputs",
			e->name, e->graph->results.n, e->out_names.n, e->writes.n, e->graph->args.n,
			e->in_names.n);
		return false;
	}
	clear_marks(e->graph);
	verify_graph(v, e->graph, false);
	for (size_t i = 0; i < e->writes.n && v->ok; i++) {
		const Node *value = e->graph->results.at[e->out_names.n + i];
		if (!type_equal(&value->type, &v->m->states.at[e->writes.at[i]].type))
			complain(v, value, "a state is given a value of another type");
	}
	return v->ok;
}

bool module_verify(Diags *d, Module *m)
{
	Verifier v = {.m = m, .d = d, .stamp = 1, .ok = true};
	for (size_t i = 0; i < m->entries.n && v.ok; i++) verify_entry(&v, m->entries.at[i]);
	return v.ok;
}
