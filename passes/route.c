/* Routed products of many rows: the rows that go to one matrix are brought together, by `route`, so
 * that each matrix is read once a block of rows. Products by the same indices share the order (the
 * pass cse sees to it). Few rows, a step of a decoder, are done one by one instead. */
#include "passes/passes.h"

enum { BLOCK = 4096 /* rows sorted at once: more rows for each matrix */ };

static int64_t block_of(const PassContext *c, int64_t most)
{
	int64_t block = BLOCK;
	/* sorting holds keys and positions twice */
	if (c->target)
		while (block > 64 && block * 64 > c->target->traits.near_bytes) block /= 2;
	return most < block ? most : block;
}

static void keep_check(Node *to, Node *from)
{
	const Attr *check = node_attr(from, "check");
	if (check->set) attr_str(to, "check", check->s);
}

static Node *order_rows(Rewrite *w, Node *n)
{
	Module *m = w->c->m;
	int64_t experts, least, most;
	if (n->n_in != 3 || !dim_is_const(n->in[1]->type.dim[0], &experts) || experts > ROUTE_LIMIT)
		return NULL;
	dim_range(&m->facts, n->in[2]->type.dim[0], &least, &most);
	if (most <= 2 * experts) return NULL;
	Node *route = node_new(m, OP_ROUTE, 1, &n->in[2], n->span);
	attr_int(route, "experts", experts);
	attr_int(route, "block", block_of(w->c, most));
	keep_check(route, n);
	route = rewrite_finish(w, route);
	if (!route) return NULL;
	Node *in[5] = {n->in[0], n->in[1], n->in[2]};
	for (int64_t i = 0; i < 2; i++) {
		Node *part = node_new(m, OP_GET, 1, &route, n->span);
		attr_int(part, "number", i);
		in[3 + i] = rewrite_finish(w, part);
	}
	Node *routed = node_new(m, OP_ROUTED, 5, in, n->span);
	attr_int(routed, "per", node_attr(n, "per")->i);
	keep_check(routed, n);
	routed = rewrite_finish(w, routed);
	if (routed) routed->name = n->name;
	return routed;
}

void pass_route(PassContext *c)
{
	static const Rule rules[] = {{OP_ROUTED, "rows-by-expert", order_rows}};
	rewrite_run(c, rules, 1);
}
