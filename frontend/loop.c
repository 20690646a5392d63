/* Loops. A loop over a run-time length, or over layers of one shape, becomes one loop node: names
 * rebound in it and states written in it are carried, what it yields is collected. A compile-time
 * loop means its unrolling; whether it can stay a loop is found by trying: the body is built once for
 * a symbolic turn, silently, and the attempt is dropped when anything in it needs the turn's number. */
#include "frontend/build.h"

#include <string.h>

/* --- names that a body assigns -------------------------------------------------------------------- */

typedef VEC(const char *) NameList;

static void add_target(Build *b, const Ast *t, NameList *out)
{
	if (t->kind == AST_NAME) {
		for (size_t i = 0; i < out->n; i++)
			if (out->at[i] == t->name) return;
		vec_push(b->arena, out, t->name);
	}
	if (t->kind == AST_TUPLE || t->kind == AST_LIST)
		for (size_t i = 0; i < t->list.n; i++) add_target(b, t->list.at[i], out);
}

static void assigned_names(Build *b, const AstList *body, NameList *out)
{
	for (size_t i = 0; i < body->n; i++) {
		const Ast *s = body->at[i];
		if (!s) continue;
		if (s->kind == AST_ASSIGN || s->kind == AST_LET)
			for (size_t k = 0; k < s->list.n; k++) add_target(b, s->list.at[k], out);
		if (s->kind == AST_DECLARE) {
			Ast name = {.kind = AST_NAME, .name = s->name};
			add_target(b, &name, out);
		}
		if (s->kind == AST_FOR && s->c) add_target(b, s->c, out);
		if (s->kind == AST_FOR) assigned_names(b, &s->list2, out);
		if (s->kind == AST_IF) {
			assigned_names(b, &s->list, out);
			assigned_names(b, &s->list2, out);
		}
	}
}

/* --- what an attempt may change ---------------------------------------------------------------------- */

typedef struct Saved {
	Diags *d;
	Graph *graph;
	Loop *loop;
	Scope *scope;
	Yields *yields;
	uint32_t errors;
	bool speculative;
	size_t n_require, n_facts;
	VEC(Scope *) scopes;
	VEC(Binding *) lists;
	VEC(size_t) counts;
	Dim *dims;
} Saved;

static Saved save(Build *b)
{
	Saved s = {b->d,
	           b->graph,
	           b->loop,
	           b->frame->scope,
	           b->frame->yields,
	           b->errors,
	           b->speculative,
	           b->entry->require.n,
	           b->m->facts.nonneg.n,
	           {0},
	           {0},
	           {0},
	           NULL};
	for (Scope *o = b->frame->scope; o; o = o->up) {
		Binding *copy = NEW_ARRAY(b->arena, Binding, o->list.n + 1);
		if (o->list.n) memcpy(copy, o->list.at, o->list.n * sizeof *copy);
		vec_push(b->arena, &s.scopes, o);
		vec_push(b->arena, &s.lists, copy);
		vec_push(b->arena, &s.counts, o->list.n);
		if (o->function) break;
	}
	s.dims = NEW_ARRAY(b->arena, Dim, b->state_dims.n + 1);
	memcpy(s.dims, b->dim_now, b->state_dims.n * sizeof(Dim));
	return s;
}

static void restore_names(const Saved *s)
{
	for (size_t i = 0; i < s->scopes.n; i++) {
		Scope *o = s->scopes.at[i];
		if (s->counts.at[i]) memcpy(o->list.at, s->lists.at[i], s->counts.at[i] * sizeof(Binding));
		o->list.n = s->counts.at[i];
	}
}

static void restore(Build *b, const Saved *s)
{
	b->d = s->d;
	b->graph = s->graph;
	b->loop = s->loop;
	b->frame->scope = s->scope;
	b->frame->yields = s->yields;
	b->speculative = s->speculative;
}

/* --- one loop node ------------------------------------------------------------------------------------- */

typedef struct Carried {
	const char *name;
	Node *arg;
	Item before;
} Carried;
typedef struct Roll {
	const Ast *s;
	Node *node;
	Loop loop;
	VEC(Carried) carried;
	Yields yields;
} Roll;

static Node *new_arg(Build *b, Loop *l, Node *init, Span at)
{
	Node *a = node_new(b->m, OP_ARG, 0, NULL, at);
	attr_int(a, "number", (int64_t)l->graph->args.n);
	a->type = init->type;
	if (!graph_add(l->graph, b->d, a)) return NULL;
	vec_push(b->arena, &l->init, init);
	return a;
}

static bool carry_names(Build *b, Roll *r, bool attempt)
{
	NameList names = {0};
	assigned_names(b, &r->s->list2, &names);
	for (size_t i = 0; i < names.n; i++) {
		Scope *o = function_scope_of(b->frame->scope, names.at[i]);
		Binding *k = o ? scope_own(o, names.at[i]) : NULL;
		if (!k) continue;
		Item before = k->item;
		if (before.kind == ITEM_CONST)
			before = item_node(emit_constant(b, before.constant, k->span));
		if (!attempt && (before.kind == ITEM_INT || before.kind == ITEM_FLOAT))
			before =
				item_node(as_node(b, &before, before.kind == ITEM_INT ? DT_I32 : DT_F32, k->span));
		if (before.kind != ITEM_TENSOR) continue;
		Node *arg = new_arg(b, &r->loop, before.node, k->span);
		if (!arg) return false;
		vec_push(b->arena, &r->carried, ((Carried){names.at[i], arg, before}));
		k->item.kind = ITEM_TENSOR;
		k->item.node = arg;
	}
	return true;
}

/* Names that are no tensors must not change: there is one body for all turns. */
static bool others_unchanged(Build *b, const Roll *r, const Saved *s)
{
	for (size_t i = 0; i < s->scopes.n; i++) {
		const Scope *o = s->scopes.at[i];
		for (size_t k = 0; k < s->counts.at[i]; k++) {
			const Binding *was = &s->lists.at[i][k], *is = &o->list.at[k];
			bool carried = false;
			for (size_t c = 0; c < r->carried.n; c++) carried |= r->carried.at[c].name == was->name;
			if (carried || item_same(&was->item, &is->item)) continue;
			Diag *m =
				complain(b, is->span,
			             "`%s` is %s before the loop and changes in it: only tensors are carried",
			             was->name, item_kind(b, &was->item));
			if (was->item.kind == ITEM_LIST)
				diag_help(b->d, m, "collect with  ys = for .. { ..; yield y }");
			return false;
		}
	}
	for (size_t i = 0; i < b->state_dims.n; i++)
		if (s->dims[i] != b->dim_now[i]) {
			complain(b, r->s->span, "state `%s` changes in the loop", b->state_dims.at[i]->name);
			return false;
		}
	return true;
}

static bool carried_results(Build *b, Roll *r)
{
	for (size_t i = 0; i < r->carried.n; i++) {
		const Carried *c = &r->carried.at[i];
		const Binding *k = scope_own(function_scope_of(b->frame->scope, c->name), c->name);
		Item now = k->item;
		if (now.kind == ITEM_BAD) return false;
		Node *n =
			now.kind == ITEM_TENSOR ? now.node : as_node(b, &now, c->arg->type.dtype, k->span);
		if (!n || !type_equal(&n->type, &c->arg->type)) {
			Diag *m = complain(b, k->span, "`%s` begins the loop as %s and is %s after a turn",
			                   c->name, type_text(b->arena, &c->arg->type),
			                   n ? type_text(b->arena, &n->type) : item_kind(b, &now));
			note_origin(b, m, &c->before, c->name);
			diag_help(b->d, m, "a value that is carried from turn to turn keeps its type");
			return false;
		}
		vec_push(b->arena, &r->loop.graph->results, n);
	}
	return true;
}

/* States touched by the body: carried when written, else read from outside. The args of names come
 * first, then those of states in the order in which they were touched. */
static void carried_states(Build *b, Roll *r, uint32_t **numbers, size_t *count)
{
	Loop *l = &r->loop;
	Graph *g = l->graph;
	size_t n = 0, kept = r->carried.n;
	*numbers = NEW_ARRAY(b->arena, uint32_t, g->args.n + 1);
	for (size_t i = r->carried.n; i < g->args.n; i++) {
		Node *arg = g->args.at[i];
		uint32_t number = 0;
		while (l->state_arg[number] != arg) number++;
		if (l->state_now[number] == arg) {
			node_replace(arg, l->init.at[i]);
			graph_remove(arg);
			continue;
		}
		attr_int(arg, "number", (int64_t)kept);
		g->args.at[kept] = arg;
		l->init.at[kept++] = l->init.at[i];
		vec_push(b->arena, &g->results, l->state_now[number]);
		(*numbers)[n++] = number;
	}
	g->args.n = kept;
	l->init.n = kept;
	*count = n;
}

static bool type_mentions(const Type *t, const DimSym *s)
{
	bool found = false;
	for (uint32_t i = 0; !t->is_tuple && i < t->rank; i++) found |= dim_mentions(t->dim[i], s);
	return found;
}

/* The number of the turn may choose a part along the first dims of what is stacked, and that is all:
 * `parts` are the sizes of the dims of a part. */
static bool only_chooses(DimPool *p, const Attr *start, uint32_t rank, const Dim *parts,
                         const DimSym *var)
{
	bool leading = true;
	for (uint32_t i = 0; i < rank; i++) {
		leading &= dim_is(parts[i], 1);
		Dim step, rest;
		if (!dim_mentions(start->dims[i], var)) continue;
		if (!leading || !dim_linear_in(p, start->dims[i], var, &step, &rest) ||
		    !dim_is_const(step, NULL))
			return false;
	}
	return true;
}

static bool uses_turn(DimPool *p, const Node *n, const DimSym *var)
{
	const AttrInfo *info = op_info[n->op].attr;
	bool part = n->op == OP_SLICE || n->op == OP_UPDATE;
	if (n->op == OP_SLICE &&
	    !only_chooses(p, node_attr_const(n, "start"), n->type.rank, n->type.dim, var))
		return true;
	if (n->op == OP_UPDATE &&
	    !only_chooses(p, node_attr_const(n, "start"), n->type.rank, n->in[1]->type.dim, var))
		return true;
	for (uint32_t i = 0; info[i].name; i++) {
		const Attr *a = &n->attr[i];
		if (!a->set || (part && strcmp(info[i].name, "start") == 0)) continue;
		if (info[i].kind == ATTR_DIM && dim_mentions(a->d, var)) return true;
		for (uint32_t k = 0; info[i].kind == ATTR_DIMS && k < a->n; k++)
			if (dim_mentions(a->dims[k], var)) return true;
	}
	return false;
}

/* One body has one shape for each value and computes nothing from the number of its turn: else the
 * loop is unrolled. */
static bool body_repeats(Build *b, const Graph *g, const DimSym *var)
{
	for (const Node *n = g->first; n; n = n->next) {
		if (type_mentions(&n->type, var)) {
			complain(b, n->span, "shapes differ from turn to turn: %s",
			         type_text(b->arena, &n->type));
			return false;
		}
		if (uses_turn(b->m->dims, n, var)) {
			complain(b, n->span, "`%s` takes part in a computation", var->name);
			return false;
		}
		if (n->region && !body_repeats(b, n->region, var)) return false;
	}
	return true;
}

static bool collected(Build *b, Roll *r, size_t *count)
{
	*count = 0;
	if (r->yields.n > 1) {
		complain(b, r->s->span, "a loop over a run-time length yields once a turn");
		return false;
	}
	if (!r->yields.n) {
		if (!r->s->c) return true;
		complain(b, r->s->span, "this loop yields nothing, so there is nothing to assign");
		return false;
	}
	const ItemList *l = &r->yields.at[0];
	for (size_t i = 0; i < l->n; i++) {
		Node *n = need_tensor(b, &l->at[i], r->s->span, "what a loop yields");
		if (!n) return false;
		vec_push(b->arena, &r->loop.graph->results, n);
	}
	*count = l->n;
	return true;
}

static void take_collected(Build *b, const Ast *s, const ItemList *values)
{
	if (s->c) {
		assign_to(b, &s->c->list, values->n == 1 ? values->at[0] : item_list(b, values),
		          s->c->span);
	} else if (values->n) {
		complain(b, s->span, "what this loop yields is not used");
	}
}

static bool roll_body(Build *b, Roll *r, const Saved *saved, Dim from, bool attempt)
{
	const Ast *s = r->s;
	if (!carry_names(b, r, attempt)) return false;
	Scope *outer = b->frame->scope;
	uint32_t errors = b->errors;
	b->frame->scope = scope_new(b, outer);
	scope_set(b, b->frame->scope, s->list.at[0]->name,
	          item_dim(dim_add(b->m->dims, from, dim_sym(b->m->dims, r->loop.var))),
	          s->list.at[0]->span)
		->fixed = true;
	b->graph = r->loop.graph;
	b->loop = &r->loop;
	b->frame->yields = &r->yields;
	b->frame->loops++;
	run_block(b, &s->list2);
	b->frame->loops--;
	b->frame->scope = outer;
	return b->errors == errors && !b->stop && others_unchanged(b, r, saved);
}

/* Builds the loop node; false (with messages in b->d) when it cannot be. */
static bool roll(Build *b, const Ast *s, Dim from, Dim count, bool attempt, const Saved *saved,
                 bool *stacked)
{
	Module *m = b->m;
	Roll *r = NEW(b->arena, Roll);
	size_t n_states = m->states.n, n_collected, n_state_results;
	uint32_t *state_numbers;
	r->s = s;
	r->node = node_new(m, OP_LOOP, 0, NULL, s->span);
	r->loop = (Loop){.up = b->loop, .outer = b->graph, .graph = graph_new(m, r->node)};
	r->loop.state_arg = NEW_ARRAY(b->arena, Node *, n_states + 1);
	r->loop.state_now = NEW_ARRAY(b->arena, Node *, n_states + 1);
	r->loop.var = dim_sym_new(m->dims, s->list.at[0]->name, SYM_LOOP, dim_const(m->dims, 0),
	                          dim_addc(m->dims, count, -1), s->list.at[0]->span);
	bool ok = roll_body(b, r, saved, from, attempt) && carried_results(b, r);
	*stacked = r->loop.uses_stack;
	ok = ok && (!attempt || body_repeats(b, r->loop.graph, r->loop.var));
	if (ok) carried_states(b, r, &state_numbers, &n_state_results);
	ok = ok && collected(b, r, &n_collected);
	b->graph = saved->graph;
	b->loop = saved->loop;
	b->frame->yields = saved->yields;
	if (!ok || (attempt && !*stacked)) return false;

	r->node->n_in = (uint32_t)r->loop.init.n;
	r->node->in = r->loop.init.at;
	attr_sym(r->node, "var", r->loop.var);
	attr_dim(r->node, "count", count);
	if (!emit(b, r->node)) return false;
	if (b->loop && *stacked) b->loop->uses_stack |= r->loop.uses_stack;
	size_t at = 0;
	restore_names(saved);
	for (size_t i = 0; i < r->carried.n; i++, at++) {
		const Carried *c = &r->carried.at[i];
		Item v = item_node(graph_get(b->graph, b->d, r->node, (int64_t)at, s->span));
		v.origin = c->before.origin;
		assign_name(b, c->name, v, s->span);
	}
	for (size_t i = 0; i < n_state_results; i++, at++)
		state_set(b, state_numbers[i], graph_get(b->graph, b->d, r->node, (int64_t)at, s->span));
	ItemList values = {0};
	for (size_t i = 0; i < n_collected; i++, at++)
		vec_push(b->arena, &values,
		         item_node(graph_get(b->graph, b->d, r->node, (int64_t)at, s->span)));
	take_collected(b, s, &values);
	return true;
}

/* --- unrolling -------------------------------------------------------------------------------------------- */

static void stack_yields(Build *b, const Ast *s, const Yields *y)
{
	ItemList out = {0};
	if (!y->n) {
		if (s->c) complain(b, s->span, "this loop yields nothing, so there is nothing to assign");
		return;
	}
	for (size_t k = 0; k < y->at[0].n; k++) {
		Node **parts = NEW_ARRAY(b->arena, Node *, y->n);
		for (size_t i = 0; i < y->n; i++) {
			if (y->at[i].n != y->at[0].n) {
				complain(b, s->span, "the turns of this loop yield different numbers of values");
				return;
			}
			Node *n = need_tensor(b, &y->at[i].at[k], s->span, "what a loop yields");
			Dim dims[MAX_RANK];
			if (!n) return;
			if (n->type.rank == MAX_RANK) {
				complain(b, s->span, "what is collected has too many dims");
				return;
			}
			dims[0] = dim_const(b->m->dims, 1);
			memcpy(dims + 1, n->type.dim, n->type.rank * sizeof(Dim));
			parts[i] = emit_reshape(b, n, n->type.rank + 1, dims, s->span);
			if (!parts[i]) return;
		}
		vec_push(b->arena, &out, item_node(emit_concat(b, (uint32_t)y->n, parts, 0, s->span)));
	}
	take_collected(b, s, &out);
}

static void unroll(Build *b, const Ast *s, const ItemList *list, int64_t from, int64_t to)
{
	Scope *outer = b->frame->scope;
	Yields yields = {0}, *was = b->frame->yields;
	uint32_t errors = b->errors;
	if (to - from > UNROLL_LIMIT) {
		complain(b, s->a->span, "this loop would be unrolled into %lld turns: at most %d are",
		         (long long)(to - from), UNROLL_LIMIT);
		return;
	}
	b->frame->yields = &yields;
	b->frame->loops++;
	for (int64_t i = from; i < to && !b->stop && b->errors == errors; i++) {
		Item v = list ? list->at[i] : item_int(i);
		b->frame->scope = scope_new(b, outer);
		if (s->list.n > 1 && (v.kind != ITEM_LIST || v.list->n != s->list.n)) {
			complain(b, s->a->span, "%zu names cannot take %s", s->list.n, item_kind(b, &v));
			break;
		}
		for (size_t k = 0; k < s->list.n; k++)
			scope_set(b, b->frame->scope, s->list.at[k]->name, s->list.n > 1 ? v.list->at[k] : v,
			          s->list.at[k]->span)
				->fixed = true;
		run_block(b, &s->list2);
	}
	b->frame->loops--;
	b->frame->scope = outer;
	b->frame->yields = was;
	if (b->errors == errors) stack_yields(b, s, &yields);
}

static bool marked(const Ast *s, const char *name)
{
	for (size_t i = 0; i < s->attributes.n; i++)
		if (strcmp(s->attributes.at[i]->name, name) == 0) return true;
	return false;
}

/* A loop node that means one turn after another, as for a length known when it runs. */
static void roll_plain(Build *b, const Ast *s, Dim from, Dim to)
{
	bool stacked;
	Saved saved = save(b);
	if (roll(b, s, from, dim_sub(b->m->dims, to, from), false, &saved, &stacked)) return;
	restore_names(&saved);
	restore(b, &saved);
}

static const char *const nothing_stacked = "it indexes no array of layers alike";

/* Tries a loop node without a word. True: done, or stopped by a limit. */
static bool attempt(Build *b, const Ast *s, int64_t from, int64_t to, const char **why)
{
	Saved saved = save(b);
	Diags silent = {.arena = b->arena};
	bool stacked = false;
	b->d = &silent;
	b->speculative = true;
	bool ok = roll(b, s, dim_const(b->m->dims, from), dim_const(b->m->dims, to - from), true,
	               &saved, &stacked);
	restore(b, &saved);
	if (ok) return true;
	if (b->stop) {
		for (size_t i = 0; i < silent.list.n; i++)
			if (silent.list.at[i]->severity == DIAG_ERROR)
				complain(b, silent.list.at[i]->span, "%s", silent.list.at[i]->text);
		return true;
	}
	*why = silent.list.n ? silent.list.at[0]->text
	       : stacked     ? "it cannot be one body"
	                     : nothing_stacked;
	b->errors = saved.errors;
	b->entry->require.n = b->entry->require_text.n = saved.n_require;
	b->m->facts.nonneg.n = saved.n_facts;
	memcpy(b->dim_now, saved.dims, b->state_dims.n * sizeof(Dim));
	restore_names(&saved);
	return false;
}

void run_for(Build *b, const Ast *s)
{
	Item lo = eval(b, s->a->a), hi = s->a->b ? eval(b, s->a->b) : lo;
	const char *name = s->list.at[0]->name, *why = "@unroll says so";
	Dim from, to;
	int64_t i, n;
	if (lo.kind == ITEM_BAD || hi.kind == ITEM_BAD) return;
	if (!s->a->b) {
		if (lo.kind == ITEM_LIST) {
			unroll(b, s, lo.list, 0, (int64_t)lo.list->n);
			return;
		}
		Diag *m = complain(b, s->a->span, "a loop runs over a..b or a list, not over %s",
		                   item_kind(b, &lo));
		if (lo.kind == ITEM_ARRAY)
			diag_help(b->d, m, "for i in 0..%u { .. %s[i] .. }", lo.member->n, lo.member->name);
		if (lo.kind == ITEM_INT || lo.kind == ITEM_DIM)
			diag_help(b->d, m, "for %s in 0..%s", name, text_of(b, s->a->span));
		return;
	}
	if (!need_dim(b, &lo, s->a->a->span, "the start of the range", &from) ||
	    !need_dim(b, &hi, s->a->b->span, "the end of the range", &to))
		return;
	if (s->list.n != 1) {
		complain(b, s->list.at[1]->span, "a range gives one name a value");
		return;
	}
	bool fixed = dim_is_const(from, &i) && dim_is_const(to, &n);
	if (!b->entry) {
		complain(b, s->span, "a loop stands in a def");
		return;
	}
	if (!fixed) {
		if (marked(s, "unroll"))
			complain(b, s->a->span, "a loop over a run-time length cannot be unrolled");
		else
			roll_plain(b, s, from, to);
		return;
	}
	bool must = marked(s, "roll");
	if (n - i >= 2 && !marked(s, "unroll")) {
		if (attempt(b, s, i, n, &why)) {
			if (!b->stop)
				remark(b, s->a->span, "loop over %s: %lld turns, kept as one loop", name,
				       (long long)(n - i));
			return;
		}
		if (must && why == nothing_stacked) {
			roll_plain(b, s, from, to);
			return;
		}
		if (must) {
			complain(b, s->a->span, "this loop cannot stay a loop: %s", why);
			return;
		}
	} else if (n - i < 2) {
		why = "there is nothing to repeat";
	}
	uint32_t errors = b->errors;
	unroll(b, s, NULL, i, n);
	if (b->errors == errors)
		remark(b, s->a->span, "loop over %s: unrolled into %lld turn%s: %s", name,
		       (long long)(n > i ? n - i : 0), n - i == 1 ? "" : "s", why);
}
