/* Tensors that are known at compile time: the value of a `let`. Its expression is built as a graph of
 * its own, which the interpreter computes in double; what is left is a literal, rounded once to its
 * element type. What it may cost is bounded before it runs. */
#include "frontend/build.h"

#include <string.h>

enum {
	ELEMENT_LIMIT = 1 << 24, /* of one tensor */
	VALUE_LIMIT = 1 << 25,   /* elements of all values on the way, at 8 bytes */
	WORK_LIMIT = 1 << 28     /* multiplications and the like, of all lets of a model */
};

typedef struct Cost {
	Build *b;
	const Ast *let;
	double elements, work;
	bool known; /* everything has a constant size */
} Cost;

static void note_sym(void *known, DimSym *s)
{
	if (s->kind != SYM_LOOP) *(bool *)known = false;
}

static double elements(Cost *c, const Type *t)
{
	double n = 1;
	for (uint32_t i = 0; !t->is_tuple && i < t->rank; i++) {
		int64_t d;
		if (!dim_is_const(t->dim[i], &d)) c->known = false;
		n *= dim_is_const(t->dim[i], &d) ? (double)d : 1;
	}
	for (uint32_t i = 0; t->is_tuple && i < t->n; i++) n += elements(c, &t->element[i]);
	return n;
}

static double summed(const Node *n)
{
	double k = 1;
	const char *spec = n->op == OP_EINSUM ? node_attr_const(n, "spec")->s : NULL;
	const char *to = spec ? strstr(spec, "->") + 2 : "", *part = spec;
	for (uint32_t i = 0; i < n->n_in && i < 2; i++) {
		const Type *t = &n->in[i]->type;
		for (uint32_t a = 0; a < t->rank && (spec || n->op == OP_CONV || n->op == OP_ATTENTION);
		     a++) {
			int64_t d = 1;
			bool counts =
				spec ? !strchr(to, part[a]) && !(i && memchr(spec, part[a], n->in[0]->type.rank))
					 : i == 1;
			if (counts && dim_is_const(t->dim[a], &d)) k *= (double)d;
		}
		if (spec) part += t->rank + 1;
	}
	return k;
}

static void add_cost(Cost *c, const Graph *g, double times)
{
	for (const Node *n = g->first; n; n = n->next) {
		const AttrInfo *row = op_info[n->op].attr;
		double count = elements(c, &n->type), turns = 1;
		for (uint32_t i = 0; row[i].name; i++) {
			if (!n->attr[i].set) continue;
			if (row[i].kind == ATTR_DIM) dim_visit_syms(n->attr[i].d, note_sym, &c->known);
			for (uint32_t d = 0; row[i].kind == ATTR_DIMS && d < n->attr[i].n; d++)
				dim_visit_syms(n->attr[i].dims[d], note_sym, &c->known);
		}
		for (uint32_t i = 0; i < n->n_in; i++) c->work += times * elements(c, &n->in[i]->type);
		c->elements += times * count;
		c->work += times * count * summed(n);
		int64_t turn_count;
		if (n->op == OP_LOOP && dim_is_const(node_attr_const(n, "count")->d, &turn_count))
			turns = (double)turn_count;
		if (n->region) add_cost(c, n->region, times * turns);
	}
}

static bool gather_results(Build *b, const Item *v, Graph *g)
{
	bool any = false;
	if (v->kind == ITEM_TENSOR && v->node->owner == g) {
		vec_push(b->arena, &g->results, v->node);
		return true;
	}
	/* a list may hold another many times over */
	if (v->kind != ITEM_LIST || !spend(b, v->list->n, b->frame ? b->frame->call : span_none()))
		return false;
	for (size_t i = 0; i < v->list->n; i++) any |= gather_results(b, &v->list->at[i], g);
	return any;
}

static Item literal(Build *b, const Value *v)
{
	ConstTensor *k = NEW(b->arena, ConstTensor);
	Tensor *t = NEW(b->arena, Tensor);
	k->type = v->type;
	k->value = t;
	*t = (Tensor){.dtype = v->type.dtype, .count = v->count};
	t->data = arena_alloc(b->arena, (size_t)dtype_bytes(t->dtype, v->count) + 8);
	for (int64_t i = 0; i < v->count; i++) dtype_store(t->dtype, t->data, i, v->at[i]);
	return (Item){.kind = ITEM_CONST, .constant = k};
}

/* The tensors of v become literals, in the order in which gather_results met them. */
static Item replace(Build *b, const Item *v, const Graph *g, const Value *values, size_t *next)
{
	if (v->kind == ITEM_TENSOR && v->node->owner == g) {
		Item out = literal(b, &values[(*next)++]);
		out.origin = v->origin;
		return out;
	}
	if (v->kind != ITEM_LIST) return *v;
	ItemList l = {0};
	for (size_t i = 0; i < v->list->n; i++)
		vec_push(b->arena, &l, replace(b, &v->list->at[i], g, values, next));
	Item out = item_list(b, &l);
	out.names = v->names;
	return out;
}

static Item interpret(Build *b, const Ast *let, Graph *g, const Item *v)
{
	Cost c = {.b = b, .let = let, .known = true};
	bool large = false;
	add_cost(&c, g, 1);
	for (size_t i = 0; i < g->results.n; i++)
		large |= elements(&c, &g->results.at[i]->type) > (double)ELEMENT_LIMIT;
	if (!c.known) {
		complain(b, let->span, "a let is known at compile time: the sizes in it are numbers");
		return bad();
	}
	if (large || c.elements > (double)VALUE_LIMIT ||
	    b->constant_work + c.work > (double)WORK_LIMIT) {
		Diag *m = complain(b, let->span,
		                   large ? "a constant tensor has at most 2^24 elements"
		                         : "the constant tensors up to this one take too long to compute");
		diag_help(b->d, m, "what is large is computed in a def, when the model runs");
		return bad();
	}
	b->constant_work += c.work;
	Arena *own = arena_new();
	Module m = *b->m; /* without what its entries require */
	m.require.n = 0;
	m.params.n = 0;
	Entry e = {.name = "let", .graph = g};
	for (size_t i = 0; i < g->results.n; i++) vec_push(b->arena, &e.out_names, "");
	Value *out = NEW_ARRAY(own, Value, g->results.n + 1);
	InterpretOptions exact = {.exact = true};
	Diags d = {.arena = b->arena};
	Item result = bad();
	if (module_interpret(own, &d, &m, &e, NULL, NULL, NULL, NULL, out, &exact)) {
		size_t next = 0;
		result = replace(b, v, g, out, &next);
	}
	for (size_t i = 0; i < d.list.n; i++) complain(b, d.list.at[i]->span, "%s", d.list.at[i]->text);
	arena_free(own);
	return result;
}

Item eval_constant(Build *b, const Ast *let, const Ast *e)
{
	if (b->graph) return eval(b, e);
	Graph *g = graph_new(b->m, NULL);
	b->graph = g;
	Item v = eval(b, e);
	b->graph = NULL;
	if (v.kind == ITEM_BAD || b->stop || !g->first || !gather_results(b, &v, g) || b->stop)
		return v;
	return interpret(b, let, g, &v);
}
