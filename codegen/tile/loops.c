/* Loops over layers or steps, and values changed in place.
 *
 * A carried value that only update kernels change keeps one home: the state or buffer it came with.
 * Any other carried value alternates between two halves of a buffer, turn t reading half t % 2 and
 * writing the other, so that nothing is copied. What a loop collects is written into its element of
 * the stack. */
#include "codegen/tile/program.h"

#include <string.h>

struct LoopPlan {
	bool *in_place;  /* for each carried value */
	Home *carried;   /* alternating ones: the whole buffer, no lead */
	Home *collected; /* the whole stack */
};

Node *update_source(Node *n)
{
	if (n->op != OP_KERNEL || strcmp(node_attr(n, "class")->s, "update") != 0) return NULL;
	const Node *update = n->region->results.n ? n->region->results.at[0] : NULL;
	if (!update || update->op != OP_UPDATE || update->in[0]->op != OP_ARG)
		return NULL; /* told when it is launched */
	return n->in[node_attr_const(update->in[0], "number")->i];
}

/* The node of graph g that v's user stands in. */
static const Node *within(const Node *u, const Graph *g)
{
	while (u && u->owner != g) u = u->owner ? u->owner->parent : NULL;
	return u;
}

static bool used_later(const Build *b, const Node *v, const Node *at)
{
	Users u = users_of(b, v);
	for (uint32_t i = 0; i < u.n; i++) {
		const Node *top = within(u.at[i], at->owner);
		if (!top || (top != at && top->mark > at->mark) || (top == at && u.at[i] != at))
			return true;
	}
	return node_is_result(v);
}

/* An update whose new part is computed from the old value reads it while it changes. */
static bool read_while_changed(const Node *v, const Node *at)
{
	uint32_t uses = 0;
	for (uint32_t k = 0; at->op == OP_KERNEL && k < at->n_in; k++) {
		if (at->in[k] != v) continue;
		for (const Node *n = at->region->first; n; n = n->next)
			for (uint32_t i = 0; i < n->n_in; i++) uses += n->in[i] == at->region->args.at[k];
	}
	return uses > 1;
}

Home value_own(Build *b, Node *v, Node *at)
{
	Home home = *value_home(b, v);
	bool mine = home.buf->kind == TB_STATE || home.buf->kind == TB_ARENA;
	if (b->failed || (mine && !used_later(b, v, at) && !read_while_changed(v, at))) return home;
	Home *copy = NEW(b->m->arena, Home);
	*copy = home_new(b, TB_ARENA, arena_printf(b->m->arena, "copy%u", b->serial++), &v->type,
	                 home.keep, 0, NULL);
	value_move(b, v, copy);
	if (!mine) return *copy;
	if (home.buf->kind == TB_STATE)
		diag_remark(b->d, at->span,
		            "state `%s` is copied: its value from before this change is used after it",
		            home.buf->name);
	v->data = copy;
	return home;
}

/* Does the result of a turn come from carried value i by updates alone? */
static bool only_updated(const Graph *g, Node *n, size_t i)
{
	for (;;) {
		if (n->op == OP_ARG) return n == g->args.at[i];
		Node *over = update_source(n);
		if (over) {
			n = over;
		} else if (n->op == OP_GET && n->in[0]->op == OP_LOOP && n->owner == g) {
			Node *inner = n->in[0];
			size_t k = (size_t)node_attr(n, "number")->i;
			if (k >= inner->n_in || !only_updated(inner->region, inner->region->results.at[k], k))
				return false;
			n = inner->in[k];
		} else {
			return false;
		}
	}
}

/* Dims of result `number` that lie apart; more: another node of the same home, or NULL. */
static uint32_t keep_of_result(const Build *b, const Node *loop, size_t number, const Node *more)
{
	Users u = users_of(b, loop);
	const Node *inner = loop->region->results.at[number];
	bool carried = number < loop->n_in;
	uint32_t lead = more ? lead_wanted(b, more) : 0, rank = inner->type.rank + !carried;
	bool merge = merge_wanted(b, inner) || (more && merge_wanted(b, more));
	bool apart = apart_wanted(b, inner) || (more && apart_wanted(b, more));
	for (uint32_t i = 0; i < u.n; i++) {
		if (u.at[i]->op != OP_GET || node_attr(u.at[i], "number")->i != (int64_t)number) continue;
		if (lead_wanted(b, u.at[i]) > lead) lead = lead_wanted(b, u.at[i]);
		merge |= merge_wanted(b, u.at[i]);
		apart |= apart_wanted(b, u.at[i]);
	}
	return keep_for(lead, (apart || b->t->apart) && !merge, rank);
}

/* Made when first asked: a kernel before the loop may write the first half. */
static LoopPlan *plan_of(Build *b, Node *n)
{
	Graph *g = n->region;
	if (b->loops[n->id]) return b->loops[n->id];
	Arena *a = b->m->arena;
	LoopPlan *p = b->loops[n->id] = NEW(a, LoopPlan);
	size_t results = g->results.n;
	Dim two = dim_c(b, 2), count = node_attr(n, "count")->d;
	p->in_place = NEW_ARRAY(a, bool, n->n_in + 1);
	p->carried = NEW_ARRAY(a, Home, n->n_in + 1);
	p->collected = NEW_ARRAY(a, Home, results + 1);
	for (uint32_t i = 0; i < n->n_in; i++) {
		if ((p->in_place[i] = only_updated(g, g->results.at[i], i))) continue;
		p->carried[i] = home_new(b, TB_ARENA, arena_printf(a, "carried%u", b->serial++),
		                         &n->in[i]->type, keep_of_result(b, n, i, g->args.at[i]), 1, &two);
	}
	for (size_t i = n->n_in; i < results; i++) {
		uint32_t keep = keep_of_result(b, n, i, NULL);
		p->collected[i] = home_new(b, TB_ARENA, arena_printf(a, "collected%u", b->serial++),
		                           &g->results.at[i]->type, keep ? keep - 1 : 0, 1, &count);
	}
	return p;
}

static Home half(const Home *h, Dim which)
{
	Home part = *h;
	part.n_lead = 1;
	part.lead[0] = which;
	return part;
}

/* Half t % 2 of what is carried into turn t. */
static Home half_of_turn(Build *b, const Home *h, Dim turn)
{
	return half(h, dim_mod(b->m->dims, turn, dim_c(b, 2)));
}

/* Where result i of a turn belongs; false: in place. */
static bool turn_target(Build *b, Node *loop, size_t i, Home *out)
{
	LoopPlan *p = plan_of(b, loop);
	Dim turn = dim_sym(b->m->dims, node_attr(loop, "var")->sym);
	if (i >= loop->n_in) {
		*out = half(&p->collected[i], turn);
		return true;
	}
	if (p->in_place[i]) return false;
	*out = half_of_turn(b, &p->carried[i], dim_addc(b->m->dims, turn, 1));
	return true;
}

bool loop_target(Build *b, const Node *value, Home *out)
{
	const Graph *g = value->owner;
	for (size_t i = 0; g->parent && i < g->results.n; i++)
		if (g->results.at[i] == value) return turn_target(b, g->parent, i, out);
	Users u = users_of(b, value);
	if (u.n != 1 || u.at[0]->op != OP_LOOP || u.at[0]->owner != g || node_is_result(value))
		return false;
	Node *loop = u.at[0];
	uint32_t uses = 0, at = 0;
	for (uint32_t i = 0; i < loop->n_in; i++)
		if (loop->in[i] == value) {
			uses++;
			at = i;
		}
	LoopPlan *p = plan_of(b, loop);
	if (uses != 1 || p->in_place[at]) return false;
	*out = half(&p->carried[at], dim_c(b, 0));
	return true;
}

static void enter(Build *b, Node *n, LoopPlan *p, Home *homes)
{
	Graph *g = n->region;
	Dim turn = dim_sym(b->m->dims, node_attr(n, "var")->sym);
	for (uint32_t i = 0; i < n->n_in && !b->failed; i++) {
		Home *h = NEW(b->m->arena, Home);
		if (p->in_place[i]) {
			*h = value_own(b, n->in[i], n);
			homes[i] = *h;
		} else {
			Home first = half(&p->carried[i], dim_c(b, 0));
			bool there = n->in[i]->data && home_equal(n->in[i]->data, &first);
			if (!there) value_move(b, n->in[i], &first);
			*h = half_of_turn(b, &p->carried[i], turn);
			homes[i] = half_of_turn(b, &p->carried[i], node_attr(n, "count")->d);
		}
		g->args.at[i]->data = h;
	}
}

void build_loop(Build *b, Node *n)
{
	Graph *g = n->region;
	Module *m = b->m;
	LoopPlan *p = plan_of(b, n);
	Home *homes = NEW_ARRAY(m->arena, Home, g->results.n + 1);
	DimSym *var = node_attr(n, "var")->sym;
	Dim count = node_attr(n, "count")->d;
	enter(b, n, p, homes);
	if (b->failed) return;
	TileStep *s = step_loop(b, var, count, &b->tail);
	TileStep **after = b->tail;
	Frame frame = {b->frames, var, count};
	b->frames = &frame;
	b->tail = &s->body;
	build_graph(b, g);
	for (size_t i = 0; i < g->results.n && !b->failed; i++) {
		Home want;
		Node *r = g->results.at[i];
		if (turn_target(b, n, i, &want) && !(r->data && home_equal(r->data, &want)))
			value_move(b, r, &want);
	}
	b->frames = frame.up;
	b->tail = after;
	for (size_t i = n->n_in; i < g->results.n; i++) {
		homes[i] = p->collected[i];
		homes[i].keep++;
	}
	n->data = homes;
}
