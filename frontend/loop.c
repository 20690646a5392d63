/* Loops. A loop over a run-time length, or over layers of one shape, becomes one loop node: names
 * rebound in it and states written in it are carried, what it yields is collected. A compile-time
 * loop means its unrolling; whether it can stay a loop is found by trying: the body is built once for
 * a symbolic turn, silently, and the attempt is dropped when anything in it needs the turn's number.
 * Where layers of a few kinds take turns (pattern.c), the body is built once for each kind, or the
 * turns are cut into stretches that repeat. */
#include "frontend/build.h"

#include <string.h>

/* --- what an attempt may change ---------------------------------------------------------------------- */

typedef struct Saved {
	Diags *d;
	Graph *graph;
	Loop *loop;
	Scope *scope;
	Yields *yields;
	uint32_t errors;
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
	int64_t bodies;        /* of a turn */
	bool attempt;          /* the turns are known: this may fail, then they are unrolled */
	bool must;             /* @roll: whatever can be a loop is one */
	bool branch;           /* a side of `if`: one turn or none */
	const NameList *names; /* what these are bound to at the end of the body goes to `found` */
	Item *found;
	Dim rows_of; /* of a loop over a ragged extent */
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

static bool carry_names(Build *b, Roll *r)
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
		if ((!r->attempt || r->must) && (before.kind == ITEM_INT || before.kind == ITEM_FLOAT))
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
			if (carried || item_same(b, &was->item, &is->item)) continue;
			Diag *m =
				complain(b, is->span, "`%s` is %s before the %s and changes in it: only tensors %s",
			             was->name, item_kind(b, &was->item), r->branch ? "`if`" : "loop",
			             r->branch ? "may, where sizes decide when the model runs" : "are carried");
			if (was->item.kind == ITEM_LIST && !r->branch)
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
			const char *was = type_text(b->arena, &c->arg->type),
					   *is = n ? type_text(b->arena, &n->type) : item_kind(b, &now);
			Diag *m =
				r->branch
					? complain(b, k->span, "`%s` is %s on this side of `if`, and else %s", c->name,
			                   is, was)
					: complain(b, k->span, "`%s` begins the loop as %s and is %s after a turn",
			                   c->name, was, is);
			note_origin(b, m, &c->before, c->name);
			diag_help(b->d, m,
			          r->branch
			              ? "sizes decide when the model runs, so its type is the same on both"
			              : "a value that is carried from turn to turn keeps its type");
			return false;
		}
		if (r->loop.rows_of)
			n = ragged_turn(b, n, c->arg, r->loop.rows_of, dim_sym(b->m->dims, r->loop.var),
			                k->span);
		if (!n) return false;
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

/* What each turn yields, `each` values a turn, as one tensor a value with a first axis of all. */
static Node *all_turns(Build *b, Node *const *of_turn, size_t each, Span at)
{
	Node **part = NEW_ARRAY(b->arena, Node *, each);
	for (size_t i = 0; i < each; i++) {
		const Type *t = &of_turn[i]->type;
		Dim dims[MAX_RANK];
		if (each == 1) return of_turn[0];
		if (t->rank == MAX_RANK) {
			complain(b, at, "what is collected has too many dims");
			return NULL;
		}
		dims[0] = t->dim[0];
		dims[1] = dim_const(b->m->dims, 1);
		memcpy(dims + 2, t->dim + 1, (t->rank - 1) * sizeof(Dim));
		part[i] = emit_reshape(b, of_turn[i], t->rank + 1, dims, at);
		if (!part[i]) return NULL;
	}
	Node *all = emit_concat(b, (uint32_t)each, part, 1, at);
	if (!all) return NULL;
	Dim dims[MAX_RANK];
	dims[0] = dim_mul(b->m->dims, all->type.dim[0], all->type.dim[1]);
	memcpy(dims + 1, all->type.dim + 2, (all->type.rank - 2) * sizeof(Dim));
	return emit_reshape(b, all, all->type.rank - 1, dims, at);
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
static bool body_repeats(Build *b, const Roll *r, const Graph *g)
{
	const DimSym *var = r->loop.var;
	for (const Node *n = g->first; n; n = n->next) {
		if (type_mentions(&n->type, var)) {
			complain(b, n->span, "shapes differ from turn to turn: %s",
			         type_text(b->arena, &n->type));
			return false;
		}
		if (!r->must && uses_turn(b->m->dims, n, var)) {
			complain(b, n->span, "`%s` takes part in a computation", var->name);
			return false;
		}
		if (n->region && !body_repeats(b, r, n->region)) return false;
	}
	return true;
}

/* Adds what the bodies of a turn yield to the results: value by value, and of each the bodies. */
static bool collected(Build *b, Roll *r)
{
	const Yields *y = &r->yields;
	if (!r->attempt && y->n > 1) {
		complain(b, r->s->span, "a loop over a run-time length yields once a turn");
		return false;
	}
	if (!y->n) {
		if (!r->s->c || r->attempt) return true;
		complain(b, r->s->span, "this loop yields nothing, so there is nothing to assign");
		return false;
	}
	for (size_t k = 0; k < y->at[0].n; k++)
		for (size_t i = 0; i < y->n; i++) {
			if (y->at[i].n != y->at[0].n) {
				complain(b, r->s->span, "the turns of this loop yield different numbers of values");
				return false;
			}
			Node *n = need_tensor(b, &y->at[i].at[k], r->s->span, "what a loop yields");
			if (!n) return false;
			vec_push(b->arena, &r->loop.graph->results, n);
		}
	return true;
}

static void take_collected(Build *b, const Ast *s, const ItemList *values)
{
	if (s->c) {
		assign_to(b, &s->c->list, values->n == 1 ? values->at[0] : item_list(b, values), s->c->span,
		          NULL);
		b->collected = s;
	} else if (values->n) {
		Diag *m = complain(b, s->span, "what this loop yields is not used");
		diag_help(b->d, m, "it is collected on a new first axis:  ys = for %s in .. { .. }",
		          s->list.at[0]->name);
	}
}

static bool roll_body(Build *b, Roll *r, const Saved *saved, Dim from)
{
	const Ast *s = r->s;
	DimPool *p = b->m->dims;
	if (!carry_names(b, r)) return false;
	Scope *outer = b->frame->scope;
	uint32_t errors = b->errors;
	b->graph = r->loop.graph;
	b->loop = &r->loop;
	b->frame->yields = r->branch ? NULL : &r->yields;
	b->frame->loops++;
	for (int64_t i = 0; i < r->bodies && b->errors == errors && !b->stop; i++) {
		Dim turn = dim_addc(p, dim_mulc(p, dim_sym(p, r->loop.var), r->bodies), i);
		b->frame->scope = scope_new(b, outer);
		scope_set(b, b->frame->scope, s->list.at[0]->name, item_dim(dim_add(p, from, turn)),
		          s->list.at[0]->span)
			->fixed = true;
		run_block(b, &s->list2);
		r->loop.first++;
	}
	for (size_t i = 0; r->names && i < r->names->n; i++) {
		const Binding *k = scope_own(b->frame->scope, r->names->at[i]);
		r->found[i] = k ? k->item : bad();
	}
	b->frame->loops--;
	b->frame->scope = outer;
	return b->errors == errors && !b->stop && others_unchanged(b, r, saved);
}

static void roll_open(Build *b, Roll *r, Dim count)
{
	Module *m = b->m;
	const Ast *s = r->s;
	r->node = node_new(m, OP_LOOP, 0, NULL, s->span);
	r->loop = (Loop){
		.up = b->loop, .outer = b->graph, .graph = graph_new(m, r->node), .rows_of = r->rows_of};
	r->loop.state_arg = NEW_ARRAY(b->arena, Node *, m->states.n + 1);
	r->loop.state_now = NEW_ARRAY(b->arena, Node *, m->states.n + 1);
	r->loop.var = dim_sym_new(m->dims, s->list.at[0]->name, SYM_LOOP, dim_const(m->dims, 0),
	                          dim_addc(m->dims, count, -1), s->list.at[0]->span);
}

/* Builds the loop node, `count` turns from `from` on; false (with messages in b->d) when it cannot
 * be. What it yields comes as tensors with a first axis. */
static bool roll(Build *b, Roll *r, Dim from, Dim count, const Saved *saved, ItemList *values)
{
	const Ast *s = r->s;
	size_t n_state_results;
	uint32_t *state_numbers;
	roll_open(b, r, count);
	if (r->attempt && dim_is_const(from, &r->loop.first)) r->loop.period = r->bodies;
	bool ok = roll_body(b, r, saved, from) && carried_results(b, r);
	bool stacked = r->loop.uses_stack;
	ok = ok && (!r->attempt || body_repeats(b, r, r->loop.graph));
	if (ok) carried_states(b, r, &state_numbers, &n_state_results);
	if (ok && r->loop.rows_of && n_state_results) {
		complain(b, s->a->span,
		         "a loop whose rows end after different numbers of turns stores no state");
		ok = false;
	}
	ok = ok && collected(b, r);
	b->graph = saved->graph;
	b->loop = saved->loop;
	b->frame->yields = saved->yields;
	if (!ok) return false;
	if (r->attempt && !r->must && !stacked) {
		complain(b, s->a->span, "it indexes no array of layers alike");
		return false;
	}

	r->node->n_in = (uint32_t)r->loop.init.n;
	r->node->in = r->loop.init.at;
	attr_sym(r->node, "var", r->loop.var);
	attr_dim(r->node, "count", count);
	if (!emit(b, r->node)) return false;
	if (b->loop && stacked) b->loop->uses_stack = true;
	size_t at = 0, each = r->yields.n, n_values = each ? r->yields.at[0].n : 0;
	restore_names(saved);
	for (size_t i = 0; i < r->carried.n; i++, at++) {
		const Carried *c = &r->carried.at[i];
		Item v = item_node(graph_get(b->graph, b->d, r->node, (int64_t)at, s->span));
		v.origin = c->before.origin;
		assign_name(b, c->name, v, s->span);
	}
	for (size_t i = 0; i < n_state_results; i++, at++)
		state_set(b, state_numbers[i], graph_get(b->graph, b->d, r->node, (int64_t)at, s->span));
	for (size_t k = 0; k < n_values; k++) {
		Node **of_turn = NEW_ARRAY(b->arena, Node *, each);
		for (size_t i = 0; i < each; i++)
			of_turn[i] = graph_get(b->graph, b->d, r->node, (int64_t)at++, s->span);
		vec_push(b->arena, values, item_node(all_turns(b, of_turn, each, s->span)));
	}
	return true;
}

/* --- unrolling -------------------------------------------------------------------------------------------- */

/* Types of what two stretches of turns yield, the turns first: all but those agree. */
static bool same_turns(Build *b, const Ast *s, const Type *x, const Type *y)
{
	bool same = x->rank == y->rank && x->dtype == y->dtype;
	for (uint32_t i = 1; same && i < x->rank; i++) same = dims_equal(b, x->dim[i], y->dim[i]);
	if (same || !x->rank || !y->rank) return same;
	Type one = type_tensor(x->dtype, x->rank - 1, x->dim + 1),
		 other = type_tensor(y->dtype, y->rank - 1, y->dim + 1);
	Diag *m = complain(b, s->span,
	                   "the turns of this loop yield %s and %s, what is collected has one type",
	                   type_text(b->arena, &one), type_text(b->arena, &other));
	diag_help(b->d, m, "tensors of different shapes are put into a list:  ys = [],  ys += [y]");
	return false;
}

/* What is collected from all stretches, one list of values each, joined along the first axis. */
static void join_yields(Build *b, const Ast *s, const Yields *y)
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
			if (y->at[i].at[k].kind != ITEM_TENSOR) return;
			parts[i] = y->at[i].at[k].node;
			if (!same_turns(b, s, &parts[0]->type, &parts[i]->type)) return;
		}
		vec_push(b->arena, &out, item_node(emit_concat(b, (uint32_t)y->n, parts, 0, s->span)));
	}
	take_collected(b, s, &out);
}

/* What one turn yields, with a first axis of 1. */
static bool with_turn_axis(Build *b, const Ast *s, ItemList *values)
{
	for (size_t k = 0; k < values->n; k++) {
		Node *n = need_tensor(b, &values->at[k], s->span, "what a loop yields");
		Dim dims[MAX_RANK];
		if (!n) return false;
		if (n->type.rank == MAX_RANK) {
			complain(b, s->span, "what is collected has too many dims");
			return false;
		}
		dims[0] = dim_const(b->m->dims, 1);
		memcpy(dims + 1, n->type.dim, n->type.rank * sizeof(Dim));
		values->at[k] = item_node(emit_reshape(b, n, n->type.rank + 1, dims, s->span));
	}
	return true;
}

static void unroll(Build *b, const Ast *s, const ItemList *list, int64_t from, int64_t to,
                   Yields *out)
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
	for (size_t i = 0; i < yields.n && b->errors == errors; i++)
		if (with_turn_axis(b, s, &yields.at[i])) vec_push(b->arena, out, yields.at[i]);
}

/* --- turns that are known ------------------------------------------------------------------------------- */

static const char *first_error(const Diags *d)
{
	for (size_t i = 0; i < d->list.n; i++)
		if (d->list.at[i]->severity == DIAG_ERROR) return d->list.at[i]->text;
	return "it cannot be one body";
}

/* The limit that a silent try has come to. */
static void tell_limit(Build *b, const Diags *silent)
{
	for (size_t i = 0; i < silent->list.n; i++)
		if (silent->list.at[i]->severity == DIAG_ERROR)
			complain(b, silent->list.at[i]->span, "%s", silent->list.at[i]->text);
}

/* What a try has changed. */
static void forget(Build *b, const Saved *saved)
{
	b->errors = saved->errors;
	b->entry->require.n = b->entry->require_text.n = saved->n_require;
	b->m->facts.nonneg.n = saved->n_facts;
	memcpy(b->dim_now, saved->dims, b->state_dims.n * sizeof(Dim));
	restore_names(saved);
}

/* Tries a loop node without a word. True: done, or stopped by a limit. */
static bool attempt(Build *b, const Ast *s, const Stretch *t, const char **why, Yields *out)
{
	Saved saved = save(b);
	Diags silent = {.arena = b->arena};
	ItemList values = {0};
	Roll *r = NEW(b->arena, Roll);
	*r = (Roll){.s = s, .bodies = t->period, .attempt = true, .must = find_attribute(s, "roll")};
	b->d = &silent;
	bool ok = roll(b, r, dim_const(b->m->dims, t->from), dim_const(b->m->dims, t->turns), &saved,
	               &values);
	restore(b, &saved);
	if (b->stop) {
		tell_limit(b, &silent);
		return true;
	}
	if (ok) {
		for (size_t i = 0; i < silent.list.n; i++) { /* what became of loops in it */
			const Diag *note = silent.list.at[i];
			if (note->severity == DIAG_NOTE) remark(b, note->span, "%s", note->text);
		}
		if (values.n) vec_push(b->arena, out, values);
		return true;
	}
	*why = first_error(&silent);
	forget(b, &saved);
	return false;
}

void body_probe(Build *b, const Ast *loop, const NameList *names, Item *out)
{
	Saved saved = save(b);
	Diags silent = {.arena = b->arena};
	Roll *r = NEW(b->arena, Roll);
	for (size_t i = 0; i < names->n; i++) out[i] = bad();
	*r = (Roll){.s = loop, .bodies = 1, .branch = true, .names = names, .found = out};
	b->d = &silent;
	roll_open(b, r, dim_const(b->m->dims, 1));
	roll_body(b, r, &saved, dim_const(b->m->dims, 0));
	restore(b, &saved);
	if (b->stop)
		tell_limit(b, &silent);
	else
		forget(b, &saved);
}

/* "3 kept as one loop, 58 kept as one loop of 29 turns with 2 bodies, 1 unrolled" */
typedef struct Story {
	Text text;
	int64_t stretches, unrolled; /* unrolled turns not yet told */
} Story;

static void tell_unrolled(Story *t)
{
	if (t->unrolled)
		text_printf(&t->text, "%s%lld unrolled", t->stretches ? ", " : "", (long long)t->unrolled);
	t->stretches += t->unrolled > 0;
	t->unrolled = 0;
}

static void tell_loop(Story *t, const Stretch *x)
{
	tell_unrolled(t);
	if (t->stretches++) text_puts(&t->text, ", ");
	if (x->turns * x->period > 0) text_printf(&t->text, "%lld ", (long long)(x->turns * x->period));
	text_puts(&t->text, "kept as one loop");
	if (x->period > 1)
		text_printf(&t->text, " of %lld turns with %lld bodies", (long long)x->turns,
		            (long long)x->period);
}

static void tell(Build *b, const Ast *s, int64_t n, int64_t unrolled, Story *t, const char *why)
{
	const char *name = s->list.at[0]->name;
	tell_unrolled(t);
	if (n == unrolled)
		remark(b, s->a->span, "loop over %s: unrolled into %lld turn%s: %s", name, (long long)n,
		       n == 1 ? "" : "s", why);
	else if (t->stretches == 1)
		remark(b, s->a->span, "loop over %s: %lld turns, %s", name, (long long)n,
		       strchr(t->text.at, ' ') + 1);
	else
		remark(b, s->a->span, "loop over %s: %lld turns: %s%s%s", name, (long long)n, t->text.at,
		       why ? ": " : "", why ? why : "");
}

/* Loops where turns repeat, the rest unrolled. */
static void run_turns(Build *b, const Ast *s, int64_t from, int64_t to)
{
	enum { PATTERNS = 64 };
	bool must = find_attribute(s, "roll"), never = find_attribute(s, "unroll");
	int64_t modulus = pattern_modulus(b, s), n = to > from ? to - from : 0, unrolled = 0;
	const char *why = never            ? "@unroll says so"
	                  : !must && n < 2 ? "there is nothing to repeat"
	                                   : NULL;
	TurnPatternList outer = b->patterns;
	Story story = {.text = text_new(b->arena)};
	Yields out = {0};
	uint32_t errors = b->errors;
	b->patterns = (TurnPatternList){0};
	for (int64_t at = from; at < to && b->errors == errors && !b->stop;) {
		Stretch t = never ? (Stretch){at, 1, to - at} : pattern_stretch(b, at, to, modulus);
		size_t known = b->patterns.n;
		if (t.turns > 1 && attempt(b, s, &t, &why, &out)) {
			tell_loop(&story, &t);
		} else if (t.turns > 1 && b->patterns.n > known && known < PATTERNS) {
			continue; /* more is known now of which turns repeat */
		} else if (must) {
			complain(b, s->a->span, "this loop cannot stay a loop: %s",
			         why ? why : "there is nothing to repeat");
			break;
		} else {
			unroll(b, s, NULL, at, at + t.turns * t.period, &out);
			story.unrolled += t.turns * t.period;
			unrolled += t.turns * t.period;
		}
		at += t.turns * t.period;
	}
	b->patterns = outer;
	if (b->errors != errors || b->stop) return;
	if (must && !n) complain(b, s->a->span, "this loop cannot stay a loop: it has no turns");
	join_yields(b, s, &out);
	tell(b, s, n, unrolled, &story, unrolled ? why : NULL);
}

/* --- the statement -------------------------------------------------------------------------------------- */

static void run_for_list(Build *b, const Ast *s, const Item *list)
{
	Yields out = {0};
	uint32_t errors = b->errors;
	if (list->kind == ITEM_LIST && find_attribute(s, "roll")) {
		complain(b, s->a->span, "this loop cannot stay a loop: it runs over a list");
		return;
	}
	if (list->kind == ITEM_LIST) {
		unroll(b, s, list->list, 0, (int64_t)list->list->n, &out);
		if (b->errors == errors) join_yields(b, s, &out);
		return;
	}
	Diag *m =
		complain(b, s->a->span, "a loop runs over a..b or a list, not over %s", item_kind(b, list));
	if (list->kind == ITEM_ARRAY)
		diag_help(b->d, m, "for i in %u..%u { .. %s[i] .. }", list->member->from,
		          list->member->from + list->member->n, list->member->name);
	if (list->kind == ITEM_INT || list->kind == ITEM_DIM)
		diag_help(b->d, m, "for %s in 0..%s", s->list.at[0]->name, text_of(b, s->a->span));
}

static void run_for_length(Build *b, const Ast *s, Dim from, Dim to)
{
	Saved saved = save(b);
	ItemList values = {0};
	Roll *r = NEW(b->arena, Roll);
	*r = (Roll){.s = s, .bodies = 1};
	Item turns = item_dim(dim_sub(b->m->dims, to, from));
	bool rows = ragged_find(b, to) && dim_is(from, 0);
	if (rows) r->rows_of = to;
	if (!rows &&
	    (ragged_find(b, to) || ragged_find(b, from) || ragged_find(b, as_dim(b, &turns)))) {
		Diag *m = complain(b, s->a->span, "turns differ from row to row in %s: they are 0..S",
		                   text_of(b, s->a->span));
		diag_help(b->d, m, "what begins elsewhere is cut first:  x[:, 1:]");
	} else if (find_attribute(s, "unroll")) {
		complain(b, s->a->span, "a loop over a run-time length cannot be unrolled");
	} else if (roll(b, r, from, dim_sub(b->m->dims, to, from), &saved, &values)) {
		take_collected(b, s, &values);
	} else {
		restore_names(&saved);
		restore(b, &saved);
	}
}

bool run_branch(Build *b, const Ast *loop, Dim count)
{
	Saved saved = save(b);
	ItemList values = {0};
	Roll *r = NEW(b->arena, Roll);
	*r = (Roll){.s = loop, .bodies = 1, .branch = true};
	if (roll(b, r, dim_const(b->m->dims, 0), count, &saved, &values)) return true;
	restore_names(&saved);
	restore(b, &saved);
	return false;
}

static void run_loop(Build *b, const Ast *s)
{
	Item lo = eval(b, s->a->a), hi = s->a->b ? eval(b, s->a->b) : lo;
	Dim from, to;
	int64_t i, n;
	if (lo.kind == ITEM_BAD || hi.kind == ITEM_BAD) return;
	if (!s->a->b) {
		run_for_list(b, s, &lo);
		return;
	}
	if (!need_dim(b, &lo, s->a->a->span, "the start of the range", &from) ||
	    !need_dim(b, &hi, s->a->b->span, "the end of the range", &to))
		return;
	if (s->list.n != 1) {
		complain(b, s->list.at[1]->span, "a range gives one name a value");
		return;
	}
	if (!b->entry) {
		complain(b, s->span, "a loop stands in a def");
		return;
	}
	if (find_attribute(s, "roll") && find_attribute(s, "unroll"))
		complain(b, s->a->span, "@roll and @unroll contradict each other");
	else if (dim_is_const(from, &i) && dim_is_const(to, &n))
		run_turns(b, s, i, n);
	else
		run_for_length(b, s, from, to);
}

/* What a loop with a mistake would have given is not missed later on. */
void run_for(Build *b, const Ast *s)
{
	b->collected = NULL;
	run_loop(b, s);
	if (s->c && b->collected != s) assign_to(b, &s->c->list, bad(), s->span, NULL);
}
