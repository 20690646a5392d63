/* From the graph of an entry to nested boxes and the values that flow between them. Boxes follow the
 * layers that made the nodes; weights, constants and what only reads them get no boxes, nor do loops
 * that run an array of layers. A value flows from the box that computes it, seen through loops,
 * tuples and broadcasts, to the boxes that use it. */
#include "tools/graph.h"

#include <string.h>

/* --- boxes ------------------------------------------------------------------------------------------- */

static Box *box_add(Picture *v, Box *up, BoxKind kind)
{
	Box *b = NEW(v->t->arena, Box);
	b->kind = kind;
	b->id = (uint32_t)v->boxes.n;
	b->up = up;
	b->depth = up ? up->depth + 1 : 0;
	b->name = b->path = "";
	vec_push(v->t->arena, &v->boxes, b);
	if (up) vec_push(v->t->arena, &up->kids, b);
	return b;
}

bool box_within(const Box *b, const Box *around)
{
	while (b && b != around) b = b->up;
	return b != NULL;
}

/* Does the path lead into the layer `around`, or is it that? */
static bool path_within(const char *path, const char *around)
{
	size_t n = strlen(around);
	return n == 0 || (strncmp(path, around, n) == 0 && (path[n] == '.' || path[n] == 0));
}

/* The box of a layer inside `base`, which stands for a layer around it. */
static Box *group_of(Picture *v, Box *base, const char *path)
{
	const char *in = base->path;
	if (!path_within(path, in)) return base;
	Box *at = base;
	const char *rest = path + strlen(in);
	while (*rest) {
		if (*rest == '.') rest++;
		size_t n = strcspn(rest, ".");
		const char *to = arena_strndup(v->t->arena, path, (size_t)(rest + n - path));
		Box *next = NULL;
		for (size_t i = at->kids.n; i > 0 && !next; i--) {
			Box *k = at->kids.at[i - 1];
			if (k->kind == BOX_GROUP && strcmp(k->path, to) == 0) next = k;
		}
		if (!next) {
			next = box_add(v, at, BOX_GROUP);
			next->path = to;
			next->name = arena_strndup(v->t->arena, rest, n);
		}
		at = next;
		rest += n;
	}
	return at;
}

/* --- nodes to boxes ------------------------------------------------------------------------------------- */

/* Nodes that others are seen through, and those that are told in the boxes of their users. */
static bool is_silent(const Node *n)
{
	switch (n->op) {
	case OP_WEIGHT:
	case OP_CONST:
	case OP_DIM:
	case OP_ARG:
	case OP_GET:
	case OP_TUPLE:
	case OP_BROADCAST:
	case OP_PARAM:
	case OP_STATE: return true;
	default: return node_is_static(n);
	}
}

/* The longest path that all nodes of a region share, or NULL when one is of no layer. */
static const char *shared_path(Picture *v, const Graph *g, const char *so_far, bool *begun)
{
	for (const Node *n = g->first; n; n = n->next) {
		if (n->op == OP_LOOP && !n->scope) {
			so_far = shared_path(v, n->region, so_far, begun);
			continue;
		}
		if (is_silent(n) && n->op != OP_BROADCAST) continue;
		const char *s = n->scope ? n->scope : "";
		if (!*begun) {
			so_far = s;
			*begun = true;
			continue;
		}
		size_t k = 0;
		for (size_t i = 0;; i++) {
			bool a = s[i] == 0 || s[i] == '.', b = so_far[i] == 0 || so_far[i] == '.';
			if (a && b) k = i;
			if (s[i] != so_far[i] || s[i] == 0) break;
		}
		so_far = arena_strndup(v->t->arena, so_far, k);
	}
	return so_far;
}

static void layer_named(Box *at, const Node *n)
{
	if (n->layer && at->kind == BOX_GROUP && n->scope && strcmp(at->path, n->scope) == 0)
		at->type = n->layer;
}

static void view_graph(Picture *v, Box *base, const Graph *g);

/* `x += block(x)` in a loop over blocks is of the loop's layer, and a last addition of the block. */
static void view_loop(Picture *v, Box *base, Node *n)
{
	bool begun = false;
	const char *path = shared_path(v, n->region, "", &begun);
	const char *own = n->scope ? n->scope : "";
	Dim count = node_attr_const(n, "count")->d;
	const char *times = dim_text(v->t->arena, dim_given(&v->given, count));
	Box *at = group_of(v, base, own);
	if (strlen(path) > strlen(own) && path_within(path, own) && path_within(path, base->path)) {
		Box *layer = group_of(v, base, path);
		if (!layer->times && layer->kids.n == 0) {
			layer->times = times;
			view_graph(v, base, n->region);
			return;
		}
	}
	Box *loop = box_add(v, at, BOX_LOOP);
	loop->path = at->path;
	loop->name = arena_printf(v->t->arena, "for %s", node_attr_const(n, "var")->sym->name);
	loop->times = times;
	loop->node = n;
	view_graph(v, loop, n->region);
}

static void view_kernel(Picture *v, Box *base, Node *n)
{
	Box *at = group_of(v, base, n->scope ? n->scope : "");
	Box *k = box_add(v, at, BOX_KERNEL);
	k->path = at->path;
	k->node = n;
	k->name = node_attr_const(n, "class")->s;
	layer_named(at, n);
	for (Node *m = n->region->first; m; m = m->next) {
		if (is_silent(m)) continue;
		Box *op = box_add(v, k, BOX_OP);
		op->node = m;
		m->data = op;
		label_op(v, op);
	}
	n->data = k;
}

static void view_graph(Picture *v, Box *base, const Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		if (n->op == OP_LOOP) {
			view_loop(v, base, n);
			continue;
		}
		if (n->op == OP_KERNEL) {
			view_kernel(v, base, n);
			continue;
		}
		if (is_silent(n)) continue;
		Box *at = group_of(v, base, n->scope ? n->scope : "");
		layer_named(at, n);
		Box *op = box_add(v, at, BOX_OP);
		op->node = n;
		n->data = op;
		label_op(v, op);
	}
}

/* --- flows ------------------------------------------------------------------------------------------------ */

static Box *state_box(Picture *v, const Node *n)
{
	if (n->data) return n->data;
	const State *s = &v->m->states.at[node_attr_const(n, "number")->i];
	/* in the box of its layer, as far as there is one */
	Box *at = v->root;
	for (bool deeper = true; deeper;) {
		deeper = false;
		for (size_t i = 0; i < at->kids.n && !deeper; i++) {
			Box *k = at->kids.at[i];
			if (!box_is_group(k) || k->kind == BOX_KERNEL) continue;
			bool loop = k->kind == BOX_LOOP;
			for (size_t j = 0; loop && j < k->kids.n && !deeper; j++) {
				Box *in = k->kids.at[j];
				if (in->kind != BOX_GROUP || !path_within(s->name, in->path)) continue;
				k = in;
				deeper = true;
			}
			if (!loop) deeper = path_within(s->name, k->path);
			if (deeper) at = k;
		}
	}
	Box *b = box_add(v, at, BOX_STATE);
	size_t n_path = strlen(at->path);
	b->name = s->name + (path_within(s->name, at->path) && n_path ? n_path + 1 : 0);
	b->tint = TINT_STATE;
	b->node = n;
	vec_push(v->t->arena, &b->lines,
	         arena_printf(v->t->arena, "state %s", view_type_text(v, &s->type)));
	b->hover = arena_printf(v->t->arena, "state %s : %s\nkept between calls", s->name,
	                        type_text(v->t->arena, &s->type));
	((Node *)(uintptr_t)n)->data = b;
	return b;
}

/* What a loop carries from nowhere (zeros): a box of its own, once a loop and value. */
static Box *carried_box(Picture *v, Node *arg)
{
	if (arg->data) return arg->data;
	Box *at = NULL;
	for (size_t i = 0; i < v->boxes.n; i++)
		if (v->boxes.at[i]->kind == BOX_LOOP && v->boxes.at[i]->node == arg->owner->parent)
			at = v->boxes.at[i];
	if (!at) return NULL;
	Box *b = box_add(v, at, BOX_STATE);
	b->name = arg->name ? arg->name : "carried";
	b->tint = TINT_STATE;
	b->node = arg;
	vec_push(v->t->arena, &b->lines, "carried from turn to turn");
	b->hover = arena_printf(v->t->arena, "%s : %s\nis 0 or a constant in the first turn", b->name,
	                        type_text(v->t->arena, &arg->type));
	arg->data = b;
	return b;
}

/* The node that computes a value, or NULL for what gets no box. */
static Node *value_source(Picture *v, Node *n)
{
	while (n) {
		if (n->op == OP_BROADCAST) {
			n = n->in[0];
		} else if (n->op == OP_GET && n->in[0]->op == OP_LOOP) {
			n = n->in[0]->region->results.at[node_attr_const(n, "number")->i];
		} else if (n->op == OP_GET && n->in[0]->op == OP_TUPLE) {
			n = n->in[0]->in[node_attr_const(n, "number")->i];
		} else if (n->op == OP_GET && n->in[0]->op == OP_KERNEL) {
			n = n->in[0]->region->results.at[node_attr_const(n, "number")->i];
		} else if (n->op == OP_KERNEL) {
			n = n->region->results.at[0];
		} else if (n->op == OP_GET && (n->owner->parent && n->owner->parent->op == OP_KERNEL) &&
		           !n->in[0]->data) {
			n = n->in[0];
		} else if (n->op == OP_ARG) {
			Node *region = n->owner->parent;
			Node *from = region->in[node_attr_const(n, "number")->i];
			if (region->op == OP_LOOP && node_is_static(from)) return carried_box(v, n) ? n : NULL;
			n = from;
		} else {
			break;
		}
	}
	if (!n || (node_is_static(n) && n->op != OP_STATE)) return NULL;
	if (n->op == OP_STATE) state_box(v, n);
	return n;
}

static Box *source_box(const Node *n)
{
	return n->op == OP_GET ? n->in[0]->data : n->data;
}

static void flow_add(Picture *v, Node *value, Box *to)
{
	const Node *seen = value;
	while (seen->op == OP_BROADCAST) seen = seen->in[0];
	Node *from = value_source(v, value);
	Box *b = from ? source_box(from) : NULL;
	if (!b || b == to) return;
	for (size_t i = 0; i < v->flows.n; i++)
		if (v->flows.at[i].to == to && v->flows.at[i].value == from) return;
	Flow f = {from, b, to, &seen->type};
	vec_push(v->t->arena, &v->flows, f);
}

static void view_flows(Picture *v)
{
	for (size_t i = 0; i < v->boxes.n; i++) {
		Box *b = v->boxes.at[i];
		if (b->kind != BOX_OP) continue;
		for (uint32_t k = 0; k < b->node->n_in; k++) flow_add(v, b->node->in[k], b);
	}
	const Graph *g = v->entry->graph;
	size_t outputs = v->entry->out_names.n;
	for (size_t i = 0; i < g->results.n; i++) {
		Node *r = g->results.at[i];
		if (i < outputs) {
			Box *b = box_add(v, v->root, BOX_OUTPUT);
			b->name = v->entry->out_names.at[i];
			b->tint = TINT_DATA;
			b->hover = arena_printf(v->t->arena, "output %s : %s", b->name,
			                        type_text(v->t->arena, &r->type));
			flow_add(v, r, b);
			continue;
		}
		Node *from = value_source(v, r);
		Box *b = from ? source_box(from) : NULL;
		const State *s = &v->m->states.at[v->entry->writes.at[i - outputs]];
		if (!b || b->kind != BOX_OP) continue;
		const char *dot = strrchr(s->name, '.');
		vec_push(v->t->arena, &b->lines,
		         arena_printf(v->t->arena, "stored as %s", dot ? dot + 1 : s->name));
		b->tint = TINT_STATE;
	}
}

/* --- simpler ------------------------------------------------------------------------------------------------ */

/* A layer that is nothing but another layer is drawn as one box. */
static void merge_only_kids(Picture *v, Box *b)
{
	while (b->up && b->kids.n == 1 && b->kids.at[0]->kind == BOX_GROUP && b->kind == BOX_GROUP &&
	       (!b->times || !b->kids.at[0]->times)) {
		Box *k = b->kids.at[0];
		if (!b->type) b->type = k->type;
		if (!b->times) b->times = k->times;
		b->kids = (__typeof__(b->kids)){0};
		for (size_t i = 0; i < k->kids.n; i++) {
			k->kids.at[i]->up = b;
			vec_push(v->t->arena, &b->kids, k->kids.at[i]);
		}
	}
	for (size_t i = 0; i < b->kids.n; i++) {
		Box *k = b->kids.at[i];
		if (k->kind == BOX_GROUP && !k->times && k->kids.n == 1 &&
		    k->kids.at[0]->kind == BOX_KERNEL) {
			/* a layer that became one kernel is that kernel */
			b->kids.at[i] = k->kids.at[0];
			b->kids.at[i]->up = b;
			b->kids.at[i]->type = k->name;
		} else if (box_is_group(k)) {
			merge_only_kids(v, k);
		}
	}
}

/* Boxes without anything in them (all of it silent), and depths after merging. */
static void tidy(Picture *v, Box *b)
{
	size_t n = 0;
	for (size_t i = 0; i < b->kids.n; i++) {
		Box *k = b->kids.at[i];
		k->depth = b->depth + 1;
		if (box_is_group(k)) tidy(v, k);
		if ((!box_is_group(k) || k->kids.n) && !k->hidden) b->kids.at[n++] = k;
	}
	b->kids.n = n;
}

static bool is_form(const Box *b)
{
	if (b->kind != BOX_OP || b->lines.n) return false;
	Op op = b->node->op;
	return op == OP_RESHAPE || op == OP_TRANSPOSE || op == OP_SLICE;
}

/* A chain of changes of form that nothing else looks into is drawn as one box. */
static void merge_forms(Picture *v)
{
	for (size_t i = 0; i < v->flows.n; i++) {
		Flow *f = &v->flows.at[i];
		Box *from = f->from, *to = f->to;
		if (!is_form(from) || !is_form(to) || from->up != to->up) continue;
		uint32_t uses = 0;
		for (size_t k = 0; k < v->flows.n; k++) uses += v->flows.at[k].from == from;
		if (uses != 1) continue;
		to->name = arena_printf(v->t->arena, "%s \xc2\xb7 %s", from->name, to->name);
		to->hover = arena_printf(v->t->arena, "%s\n\nthen %s", from->hover, to->hover);
		from->hidden = true;
		size_t n = 0;
		for (size_t k = 0; k < v->flows.n; k++) {
			Flow g = v->flows.at[k];
			if (g.from == from) continue;
			if (g.to == from) g.to = to;
			v->flows.at[n++] = g;
		}
		v->flows.n = n;
		i = (size_t)-1;
	}
}

static void clear_data(Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		n->data = NULL;
		if (n->region) clear_data(n->region);
	}
}

/* --- cycles between boxes ------------------------------------------------------------------------------------ */

static Box *kid_around(const Box *b, Box *inner)
{
	while (inner && inner->up != b) inner = inner->up;
	return inner;
}

typedef struct Reach {
	Picture *v;
	VEC(uint32_t) * next; /* by id of a kid: ids that it feeds */
	uint32_t *seen, turn;
} Reach;

/* Does what leaves the kid come back to it through others? */
static bool comes_back(Reach *r, const Box *kid)
{
	VEC(uint32_t) stack = {0};
	r->turn++;
	vec_push(r->v->t->arena, &stack, kid->id);
	while (stack.n) {
		uint32_t at = stack.at[--stack.n];
		for (size_t i = 0; i < r->next[at].n; i++) {
			uint32_t to = r->next[at].at[i];
			if (to == kid->id) return true;
			if (r->seen[to] == r->turn) continue;
			r->seen[to] = r->turn;
			vec_push(r->v->t->arena, &stack, to);
		}
	}
	return false;
}

/* Replaces one box by what is in it. */
static void dissolve(Picture *v, Box *b, Box *kid)
{
	__typeof__(b->kids) kids = {0};
	for (size_t i = 0; i < b->kids.n; i++) {
		if (b->kids.at[i] != kid) {
			vec_push(v->t->arena, &kids, b->kids.at[i]);
			continue;
		}
		for (size_t k = 0; k < kid->kids.n; k++) {
			Box *in = kid->kids.at[k];
			in->up = b;
			if (in->kind == BOX_GROUP)
				in->name = arena_printf(v->t->arena, "%s.%s", kid->name, in->name);
			vec_push(v->t->arena, &kids, in);
		}
	}
	b->kids = kids;
}

/* A layer that is called between calls of others (an array of layers whose elements alternate with other
 * work, a layer used twice) would stand above and below them at once: its parts stand by themselves. */
static void dissolve_cycles(Picture *v, Box *b)
{
	Reach r = {.v = v};
	r.next = arena_array(v->t->arena, v->boxes.n + 1, sizeof *r.next);
	r.seen = NEW_ARRAY(v->t->arena, uint32_t, v->boxes.n + 1);
	for (size_t i = 0; i < v->flows.n; i++) {
		const Flow *f = &v->flows.at[i];
		const Box *from = kid_around(b, f->from), *to = kid_around(b, f->to);
		if (from && to && from != to) vec_push(v->t->arena, &r.next[from->id], to->id);
	}
	Box *found = NULL;
	for (size_t i = 0; i < b->kids.n && !found; i++) {
		Box *k = b->kids.at[i];
		if (k->kind == BOX_GROUP && !k->times && comes_back(&r, k)) found = k;
	}
	if (found) {
		dissolve(v, b, found);
		dissolve_cycles(v, b);
		return;
	}
	for (size_t i = 0; i < b->kids.n; i++)
		if (box_is_group(b->kids.at[i])) dissolve_cycles(v, b->kids.at[i]);
}

static void label_all(Picture *v, Box *b)
{
	for (size_t i = 0; i < b->kids.n; i++) label_all(v, b->kids.at[i]);
	if (box_is_group(b)) label_group(v, b);
}

void view_build(Picture *v)
{
	v->root = box_add(v, NULL, BOX_GROUP);
	v->root->name = v->m->name;
	clear_data(v->entry->graph);
	label_mark_static(v->entry->graph);
	for (size_t i = 0; i < v->entry->graph->args.n; i++) {
		Node *n = v->entry->graph->args.at[i];
		Box *b = box_add(v, v->root, BOX_INPUT);
		b->name = v->entry->in_names.at[i];
		b->tint = TINT_DATA;
		b->node = n;
		b->hover =
			arena_printf(v->t->arena, "input %s : %s", b->name, type_text(v->t->arena, &n->type));
		n->data = b;
	}
	view_graph(v, v->root, v->entry->graph);
	view_flows(v);
	merge_forms(v);
	if (v->boxes.n <= BOXES_LIMIT) dissolve_cycles(v, v->root);
	merge_only_kids(v, v->root);
	tidy(v, v->root);
	label_all(v, v->root);
	v->root->type = arena_printf(v->t->arena, "entry %s", v->entry->name);
}
