/* Remarks on what a user expects to be fused and is not: the value by the user's name, the place of the
 * use that prevents it, and what would help. */
#include "passes/passes.h"

#include <string.h>

const char *value_name(PassContext *c, const Node *value, const char *called)
{
	return value->name ? arena_printf(c->m->arena, "`%s`", value->name) : called;
}

static const Entry *entry_of(const Node *n)
{
	const Graph *g = n->owner;
	while (g && g->parent) g = g->parent->owner;
	for (size_t i = 0; g && i < g->module->entries.n; i++)
		if (g->module->entries.at[i]->graph == g) return g->module->entries.at[i];
	return NULL;
}

static bool feeds(const Node *n, const Node *value)
{
	for (uint32_t i = 0; i < n->n_in; i++)
		if (n->in[i] == value) return true;
	return false;
}

/* Sets live[id] of what reaches a result of g. Passes leave nodes behind that nothing uses any more. */
static void find_live(const Graph *g, bool *live)
{
	for (size_t i = 0; i < g->results.n; i++) live[g->results.at[i]->id] = true;
	for (const Node *n = g->last; n; n = n->prev) {
		if (!live[n->id]) continue;
		for (uint32_t i = 0; i < n->n_in; i++) live[n->in[i]->id] = true;
		if (n->region) find_live(n->region, live);
	}
}

static const Node *find_user(const Node *from, const Node *value, const Node *by, const bool *live)
{
	for (const Node *u = from; u; u = u->next) {
		if (u == by || !live[u->id]) continue;
		if (feeds(u, value)) return u;
		const Node *inside = u->region ? find_user(u->region->first, value, by, live) : NULL;
		if (inside) return inside;
	}
	return NULL;
}

/* Another operation than `by` that uses the value. */
static const Node *other_user(PassContext *c, const Node *value, const Node *by)
{
	bool *live = NEW_ARRAY(c->scratch, bool, c->m->next_id + 1);
	find_live(value->owner, live);
	return find_user(value->next, value, by, live);
}

bool is_wanted_elsewhere(PassContext *c, const Node *value, const Node *by)
{
	return node_is_result(value) || other_user(c, value, by);
}

static const char *line_text(PassContext *c, Span at)
{
	return at.source
	           ? arena_printf(c->m->arena, " at line %u", source_place(at.source, at.begin).line)
	           : "";
}

void remark_wanted(PassContext *c, Span at, const char *what, const Node *value, const Node *by,
                   const char *called)
{
	const Entry *e = entry_of(value);
	const Node *other = node_is_result(value) ? NULL : other_user(c, value, by);
	const char *name = value_name(c, value, called);
	Diag *m;
	if (node_is_result(value) && value->owner->parent) {
		m = diag_remark(c->d, at, "%s is not fused: %s is also kept for the next turn of its loop",
		                what, name);
	} else if (node_is_result(value) && e) {
		size_t i = 0;
		while (e->graph->results.at[i] != value) i++;
		if (i < e->out_names.n) {
			m = diag_remark(c->d, at, "%s is not fused: %s is also returned%s", what, name,
			                line_text(c, e->returned));
			if (e->returned.source) diag_note(c->d, m, e->returned, "it is returned here");
		} else {
			m = diag_remark(c->d, at, "%s is not fused: %s is also stored in the state `%s`", what,
			                name, c->m->states.at[e->writes.at[i - e->out_names.n]].name);
		}
	} else if (other) {
		m = diag_remark(c->d, at, "%s is not fused: %s is also used%s", what, name,
		                line_text(c, other->span));
		if (other->span.source) diag_note(c->d, m, other->span, "it is used here too");
	} else {
		return;
	}
	diag_help(c->d, m, "a value that is wanted elsewhere must be written to memory whole");
}
