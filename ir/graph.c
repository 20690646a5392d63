/* Building and editing graphs. A node is in at most one graph; its operands come before it there or
 * in an enclosing graph. Uses are found by walking: passes keep no use lists alive across edits. */
#include "ir/ir.h"

#include <string.h>

Module *module_new(Arena *a, Interner *names, const char *name)
{
	Module *m = NEW(a, Module);
	m->arena = a;
	m->names = names;
	m->dims = dim_pool_new(a);
	m->facts.pool = m->dims;
	m->name = name;
	return m;
}

Graph *graph_new(Module *m, Node *parent)
{
	Graph *g = NEW(m->arena, Graph);
	g->module = m;
	g->parent = parent;
	if (parent) parent->region = g;
	return g;
}

Entry *module_entry(Module *m, const char *name)
{
	Entry *e = NEW(m->arena, Entry);
	e->name = name;
	e->graph = graph_new(m, NULL);
	vec_push(m->arena, &m->entries, e);
	return e;
}

bool entry_takes(const Entry *e, const DimSym *s)
{
	bool needed = false;
	for (size_t i = 0; s->kind == SYM_CALL && i < e->require.n; i++)
		needed = needed || dim_mentions(e->require.at[i], s);
	for (size_t i = 0; needed && i < e->graph->args.n; i++) {
		const Type *t = &e->graph->args.at[i]->type;
		for (uint32_t k = 0; k < t->rank; k++) needed = needed && !dim_mentions(t->dim[k], s);
	}
	return needed;
}

uint32_t module_weight(Module *m, Weight w)
{
	vec_push(m->arena, &m->weights, w);
	return (uint32_t)m->weights.n - 1;
}

uint32_t module_state(Module *m, State s)
{
	vec_push(m->arena, &m->states, s);
	return (uint32_t)m->states.n - 1;
}

bool module_for_target(Module *m, Diags *d, const char *target)
{
	size_t kept = 0;
	for (size_t i = 0; i < NUM_TARGETS; i++)
		if (strcmp(target_info[i].name, target) == 0 && !target_info[i].compiled) return true;
	for (size_t i = 0; i < m->entries.n; i++) {
		Entry *e = m->entries.at[i];
		if (!e->target || strcmp(e->target, target) == 0) {
			m->entries.at[kept++] = e;
			continue;
		}
		vec_push(m->arena, &m->left_out, e);
		diag_remark(d, e->target_span, "entry `%s` is for %s only: it is left out for %s", e->name,
		            e->target, target);
	}
	m->entries.n = kept;
	if (kept || !m->left_out.n) return true;
	const Entry *e = m->left_out.at[0];
	diag_error(d, e->target_span, "no entry is for %s: `%s`%s for %s only", target, e->name,
	           m->left_out.n > 1 ? " and the others are" : " is", e->target);
	return false;
}

static uint32_t attr_count(Op op)
{
	uint32_t n = 0;
	while (op_info[op].attr[n].name) n++;
	return n;
}

void node_scope_from(Node *n, const Node *other)
{
	if (n->scope) return;
	n->scope = other->scope;
	n->layer = other->layer;
}

Node *node_new(Module *m, Op op, uint32_t n_in, Node *const *in, Span span)
{
	Node *n = NEW(m->arena, Node);
	n->op = op;
	n->id = m->next_id++;
	n->n_in = n_in;
	n->in = NEW_ARRAY(m->arena, Node *, n_in ? n_in : 1);
	if (n_in) memcpy(n->in, in, n_in * sizeof *in);
	n->attr = NEW_ARRAY(m->arena, Attr, attr_count(op) + 1);
	n->span = span;
	return n;
}

Attr *node_attr(Node *n, const char *name)
{
	const AttrInfo *info = op_info[n->op].attr;
	for (uint32_t i = 0; info[i].name; i++)
		if (strcmp(info[i].name, name) == 0) return &n->attr[i];
	return NULL;
}

const Attr *node_attr_const(const Node *n, const char *name)
{
	const AttrInfo *info = op_info[n->op].attr;
	for (uint32_t i = 0; info[i].name; i++)
		if (strcmp(info[i].name, name) == 0) return &n->attr[i];
	return NULL;
}

static Attr *attr_set(Node *n, const char *name)
{
	Attr *a = node_attr(n, name);
	a->set = true;
	return a;
}

bool attr_equal(AttrKind kind, const Attr *a, const Attr *b)
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

void attr_int(Node *n, const char *name, int64_t v)
{
	attr_set(n, name)->i = v;
}

void attr_float(Node *n, const char *name, double v)
{
	attr_set(n, name)->f = v;
}

void attr_str(Node *n, const char *name, const char *v)
{
	attr_set(n, name)->s = v;
}

void attr_dim(Node *n, const char *name, Dim v)
{
	attr_set(n, name)->d = v;
}

void attr_sym(Node *n, const char *name, DimSym *v)
{
	attr_set(n, name)->sym = v;
}

void attr_tensor(Node *n, const char *name, const Tensor *v)
{
	attr_set(n, name)->tensor = v;
}

void attr_ints(Module *m, Node *n, const char *name, uint32_t count, const int64_t *v)
{
	Attr *a = attr_set(n, name);
	int64_t *copy = NEW_ARRAY(m->arena, int64_t, count ? count : 1);
	if (count) memcpy(copy, v, count * sizeof *v);
	a->n = count;
	a->ints = copy;
}

void attr_dims(Module *m, Node *n, const char *name, uint32_t count, const Dim *v)
{
	Attr *a = attr_set(n, name);
	Dim *copy = NEW_ARRAY(m->arena, Dim, count ? count : 1);
	if (count) memcpy(copy, v, count * sizeof *v);
	a->n = count;
	a->dims = copy;
}

void graph_insert_before(Graph *g, Node *at, Node *n)
{
	n->owner = g;
	n->next = at;
	n->prev = at ? at->prev : g->last;
	if (n->prev)
		n->prev->next = n;
	else
		g->first = n;
	if (at)
		at->prev = n;
	else
		g->last = n;
}

void graph_remove(Node *n)
{
	Graph *g = n->owner;
	if (n->prev)
		n->prev->next = n->next;
	else
		g->first = n->next;
	if (n->next)
		n->next->prev = n->prev;
	else
		g->last = n->prev;
	n->owner = NULL;
	n->prev = n->next = NULL;
}

Node *graph_add(Graph *g, Diags *d, Node *n)
{
	const OpInfo *info = &op_info[n->op];
	if ((int64_t)n->n_in < info->min_in || (info->max_in >= 0 && (int64_t)n->n_in > info->max_in)) {
		diag_error(d, n->span, "%s takes %d%s operands, not %u", info->mnemonic, info->min_in,
		           info->max_in == info->min_in ? "" : " or more", n->n_in);
		return NULL;
	}
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!n->in[i]) return NULL; /* an operand was an error already reported */
	if (!info->infer(g->module, d, n)) return NULL;
	graph_insert_before(g, NULL, n);
	if (n->op == OP_PARAM || n->op == OP_ARG) vec_push(g->module->arena, &g->args, n);
	return n;
}

static void replace_in(Graph *g, Node *old, Node *with)
{
	for (Node *n = g->first; n; n = n->next) {
		for (uint32_t i = 0; i < n->n_in; i++)
			if (n->in[i] == old && n != with) n->in[i] = with;
		if (n->region) replace_in(n->region, old, with);
	}
	for (size_t i = 0; i < g->results.n; i++)
		if (g->results.at[i] == old) g->results.at[i] = with;
}

void node_replace(Node *old, Node *with)
{
	/* A value is visible in its own graph and in regions inside it, never outside. */
	if (!with->name) with->name = old->name;
	node_scope_from(with, old);
	replace_in(old->owner, old, with);
}

Node *graph_unary(Graph *g, Diags *d, Op op, Node *a, Span s)
{
	return graph_add(g, d, node_new(g->module, op, 1, &a, s));
}

Node *graph_binary(Graph *g, Diags *d, Op op, Node *a, Node *b, Span s)
{
	return graph_add(g, d, node_new(g->module, op, 2, (Node *[]){a, b}, s));
}

Node *graph_const_scalar(Graph *g, DType t, double v, Span s)
{
	Module *m = g->module;
	Node *n = node_new(m, OP_CONST, 0, NULL, s);
	Tensor *value = NEW(m->arena, Tensor);
	value->dtype = t;
	value->count = 1;
	value->data = arena_alloc(m->arena, 8);
	dtype_store(t, value->data, 0, v);
	attr_tensor(n, "value", value);
	n->type = type_scalar(t);
	graph_insert_before(g, NULL, n);
	return n;
}

Node *graph_reshape(Graph *g, Diags *d, Node *a, uint32_t rank, const Dim *dims, Span s)
{
	Node *n = node_new(g->module, OP_RESHAPE, 1, &a, s);
	attr_dims(g->module, n, "dims", rank, dims);
	return graph_add(g, d, n);
}

Node *graph_transpose(Graph *g, Diags *d, Node *a, const int64_t *perm, Span s)
{
	if (!a) return NULL;
	Node *n = node_new(g->module, OP_TRANSPOSE, 1, &a, s);
	attr_ints(g->module, n, "perm", a->type.rank, perm);
	return graph_add(g, d, n);
}

Node *graph_einsum(Graph *g, Diags *d, const char *spec, Node *a, Node *b, Span s)
{
	Node *n = node_new(g->module, OP_EINSUM, 2, (Node *[]){a, b}, s);
	attr_str(n, "spec", intern_str(g->module->names, spec));
	return graph_add(g, d, n);
}

Node *graph_get(Graph *g, Diags *d, Node *tuple, int64_t number, Span s)
{
	Node *n = node_new(g->module, OP_GET, 1, &tuple, s);
	attr_int(n, "number", number);
	return graph_add(g, d, n);
}

/* --- uses --- */

typedef struct UseList {
	VEC(Node *) users;
} UseList;

static void users_clear(Arena *a, Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		n->data = NEW(a, UseList);
		if (n->region) users_clear(a, n->region);
	}
}

static void users_collect(Arena *a, Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		for (uint32_t i = 0; i < n->n_in; i++) {
			UseList *u = n->in[i]->data;
			if (u && (!u->users.n || u->users.at[u->users.n - 1] != n)) vec_push(a, &u->users, n);
		}
		if (n->region) users_collect(a, n->region);
	}
}

void users_compute(Arena *a, Entry *e)
{
	users_clear(a, e->graph);
	users_collect(a, e->graph);
}

Users node_users(const Node *n)
{
	const UseList *u = n->data;
	return u ? (Users){u->users.at, (uint32_t)u->users.n} : (Users){NULL, 0};
}

bool node_is_result(const Node *n)
{
	const Graph *g = n->owner;
	for (size_t i = 0; g && i < g->results.n; i++)
		if (g->results.at[i] == n) return true;
	return false;
}
