/* Statements of a def: assignments, returns, conditions, requirements and asserts. A value that gets
 * a name lends it to its node ("h.attn.q"), for messages and --dump. */
#include "frontend/build.h"

#include <string.h>

static bool nameable(const Node *n)
{
	switch (n->op) {
	case OP_PARAM:
	case OP_ARG:
	case OP_WEIGHT:
	case OP_STATE:
	case OP_CONST:
	case OP_DIM: return false;
	default: return !n->name;
	}
}

static Item with_origin(Build *b, Item v, const char *name, Span at)
{
	if (v.kind != ITEM_TENSOR) return v;
	if (nameable(v.node))
		v.node->name = b->frame->place && *b->frame->place->path
		                   ? path_join(b, b->frame->place->path, name)
		                   : name;
	Origin *o = NEW(b->arena, Origin);
	o->span = at;
	o->name = name;
	o->bound = &v.node->type;
	v.origin = o;
	return v;
}

static bool refuse_assignment(Build *b, const Binding *k, const char *name, Span at,
                              const char *what)
{
	Diag *m = complain(b, at, "`%s` is %s: it cannot be assigned", name, what);
	diag_note(b->d, m, k->span, "`%s` is declared here", name);
	if (strcmp(what, "a weight") == 0)
		diag_help(b->d, m, "a value takes another name; what a call changes is a  state %s: ..",
		          name);
	if (strcmp(what, "a layer in use") == 0)
		diag_help(b->d, m,
		          "a layer of another name has its key still:  use %s_layer: .. from \"%s\"", name,
		          name);
	/* what follows means the value */
	if (!function_scope_of(b->frame->scope, name)) scope_set(b, b->frame->scope, name, bad(), at);
	return false;
}

/* A state dim with a value for each row takes another such dim, or i32[B]. */
static bool assign_rows(Build *b, Member *m, const Item *value, Span at)
{
	Dim d = as_dim(b, value), zero = dim_const(b->m->dims, 0);
	const Ragged *r = d ? ragged_find(b, d) : NULL;
	Node *rows;
	if (r) {
		d = ragged_limit(b, d, m->hi, failed_range(b, NULL, m->name, zero), at);
		if (!d) return false;
		rows = ragged_find(b, d)->rows;
	} else {
		rows = need_tensor(b, value, at, "the value of each row");
		if (rows && rows->type.dtype == DT_I32 && !rows->type.rank)
			rows = emit_broadcast(b, rows, 1, &m->batch, at);
		if (rows && (rows->type.dtype != DT_I32 || rows->type.rank != 1 ||
		             !dims_equal(b, rows->type.dim[0], m->batch))) {
			complain(b, at, "state `%s` holds an i32 for each row of %s, this is %s", m->name,
			         dim_text(b->arena, m->batch), type_text(b->arena, &rows->type));
			return false;
		}
		rows = ragged_checked(b, rows, zero, m->hi, failed_range(b, rows, m->name, zero), at);
		d = NULL;
	}
	if (!rows) return false;
	m->write = NEW(b->arena, Origin);
	state_set(b, m->rows, rows);
	b->dim_now[m->number] = d;
	return true;
}

static bool assign_member(Build *b, const Binding *k, Item value, Span at)
{
	Member *m = k->item.member;
	Dim d;
	b->members_touched++;
	switch (m->kind) {
	case MEMBER_STATE: return state_store(b, m, b->frame->place, value, at);
	case MEMBER_STATE_DIM:
		if (b->entry && m->batch && !b->loop) return assign_rows(b, m, &value, at);
		if (!b->entry || !need_dim(b, &value, at, "a state dim", &d)) return false;
		if (b->loop) {
			complain(b, at, "state `%s` cannot change inside %s", m->name,
			         b->branch ? "an `if` that sizes decide when the model runs"
			                   : "a loop that is not unrolled");
			return false;
		}
		if (!assume_le(b, d, m->hi, at) || !assume_le(b, m->lo, d, at)) {
			Diag *e = complain(b, at, "state `%s` would become %s, outside its range %s..%s",
			                   m->name, dim_text(b->arena, d), dim_text(b->arena, m->lo),
			                   dim_text(b->arena, m->hi));
			diag_note(b->d, e, m->decl->op_span, "%s is declared here", m->name);
			return false;
		}
		b->dim_now[m->number] = d;
		return true;
	case MEMBER_WEIGHT: return refuse_assignment(b, k, m->name, at, "a weight");
	case MEMBER_USE: return refuse_assignment(b, k, m->name, at, "a layer in use");
	case MEMBER_DEF: return refuse_assignment(b, k, m->name, at, "a def");
	}
	return false;
}

static bool assign_one(Build *b, const Ast *target, Item value)
{
	if (target->kind == AST_NAME) {
		record_item(b, target->span, &value);
		Binding *k = scope_find(b->frame->scope, target->name);
		bool local = function_scope_of(b->frame->scope, target->name) != NULL;
		if (k && !local) {
			if (k->item.kind == ITEM_MEMBER) return assign_member(b, k, value, target->span);
			if (k->item.kind == ITEM_FILE_DIM)
				return refuse_assignment(b, k, target->name, target->span, "a dim");
			if (k->fixed)
				return refuse_assignment(b, k, target->name, target->span,
				                         "a compile-time constant");
		}
		if (k && local && k->fixed)
			return refuse_assignment(b, k, target->name, target->span, "the index of a loop");
		if (k && local && k->item.kind == ITEM_FILE_DIM)
			return refuse_assignment(b, k, target->name, target->span, "a dim");
		return assign_name(b, target->name, with_origin(b, value, target->name, target->span),
		                   target->span);
	}
	if (target->kind == AST_INDEX && target->a->kind == AST_NAME) {
		Binding *k = scope_find(b->frame->scope, target->a->name);
		if (k && k->item.kind == ITEM_MEMBER && k->item.member->kind == MEMBER_STATE)
			return store_index(b, target, k->item.member, value);
		Diag *m = complain(b, target->span, "only a state can be assigned in parts");
		diag_help(b->d, m, "a tensor with some elements replaced is  where(condition, new, old)");
		return false;
	}
	if (target->kind == AST_TUPLE || target->kind == AST_LIST) {
		assign_to(b, &target->list, value, target->span, NULL);
		return true;
	}
	complain(b, target->span, "this cannot be assigned: a name or a part of a state can");
	return false;
}

/* PyTorch's split is given the size of a part, this one their number. */
static void advise_split(Build *b, Diag *of, const AstList *from, size_t targets)
{
	const Ast *e = from && from->n == 1 ? from->at[0] : NULL;
	if (!e || e->kind != AST_CALL || e->a->kind != AST_NAME || e->list.n < 2) return;
	if (strcmp(e->a->name, "split") == 0 || strcmp(e->a->name, "chunk") == 0)
		diag_help(b->d, of, "%s takes the number of parts:  %s(%s, %zu, axis=..)", e->a->name,
		          e->a->name, text_of(b, e->list.at[0]->span), targets);
}

void assign_to(Build *b, const AstList *targets, Item value, Span span, const AstList *from)
{
	if (targets->n == 1) {
		assign_one(b, targets->at[0], value);
		return;
	}
	bool fits = value.kind == ITEM_LIST && value.list->n == targets->n;
	if (!fits && value.kind != ITEM_BAD) {
		Diag *m = complain(b, span, "%zu names cannot take %s", targets->n, item_kind(b, &value));
		advise_split(b, m, from, targets->n);
	}
	for (size_t i = 0; i < targets->n; i++)
		assign_one(b, targets->at[i], fits ? value.list->at[i] : bad());
}

static Span list_span(const AstList *l)
{
	return span_join(l->at[0]->span, l->at[l->n - 1]->span);
}

static Item eval_values(Build *b, const AstList *l)
{
	if (l->n == 1) return eval(b, l->at[0]);
	ItemList out = {0};
	for (size_t i = 0; i < l->n; i++) vec_push(b->arena, &out, eval(b, l->at[i]));
	return item_list(b, &out);
}

static void run_assign(Build *b, const Ast *s)
{
	if (!s->list.n) { /* an expression alone */
		Item v = eval_values(b, &s->list2);
		const Ast *e = s->list2.at[0];
		if (v.kind != ITEM_BAD && e->kind != AST_CALL) {
			Diag *m = complain(b, s->span, "this value is not used");
			if (e->kind == AST_BINARY && e->op == AST_OP('=', '='))
				diag_help(b->d, m, "an assignment is written with one `=`");
		}
		return;
	}
	Item v = eval_values(b, &s->list2);
	if (!s->op) {
		assign_to(b, &s->list, keep_value(b, s, v), list_span(&s->list2), &s->list2);
		return;
	}
	if (s->list.n != 1) {
		complain(b, s->op_span, "%c= takes one name on its left", s->op);
		return;
	}
	Item was = eval(b, s->list.at[0]);
	Ast e = {.kind = AST_BINARY,
	         .op = s->op,
	         .a = s->list.at[0],
	         .b = s->list2.at[0],
	         .span = s->span,
	         .op_span = s->op_span};
	Ast *kept = NEW(b->arena, Ast);
	*kept = e;
	Item now = was.kind == ITEM_BAD || v.kind == ITEM_BAD
	               ? bad()
	               : operate(b, kept, s->op, was, v, s->op_span);
	assign_one(b, s->list.at[0], keep_value(b, s, now));
}

static void run_declare(Build *b, const Ast *s)
{
	Item v = eval(b, s->b);
	Ast target = {.kind = AST_NAME, .name = s->name, .span = s->op_span};
	if (v.kind != ITEM_BAD &&
	    !type_coerce(b, s->a, &v, s->b->span, arena_printf(b->arena, "`%s`", s->name), true))
		v = bad();
	assign_one(b, &target, keep_value(b, s, v));
}

static void run_return(Build *b, const Ast *s)
{
	if (b->frame->loops) {
		if (b->branch)
			diag_help(
				b->d,
				complain(b, s->span,
			             "return stands outside of an `if` that sizes decide when the model runs"),
				"both sides assign to one name,  y = ..,  which is returned behind them");
		else
			complain(b, s->span, "return stands outside loops; a loop collects with `yield`");
		return;
	}
	if (b->frame->test && !b->frame->def) {
		complain(b, s->span, "a test returns nothing: it asserts");
		return;
	}
	Item v = s->list.n ? eval_values(b, &s->list) : (Item){.kind = ITEM_NONE};
	b->frame->returned_at = s->list.n ? list_span(&s->list) : s->span;
	b->frame->returned = true;
	if (b->entry) b->entry->returned = b->frame->returned_at; /* its own return is the last */
	b->frame->result = v;
}

/* --- require ------------------------------------------------------------------------------------ */

static bool rows_differ(Build *b, const Item *i)
{
	return i->kind == ITEM_TENSOR || (i->kind == ITEM_DIM && ragged_find(b, i->dim));
}

/* A relation that each row must keep. `pos + S <= T` bounds the extent of pos + S from then on; of any
 * other the difference is taken into the left side, which traps when it is negative. */
static void require_rows(Build *b, const Ast *e, int op, const Item *u, const Item *v)
{
	DimPool *p = b->m->dims;
	bool more = op == '>' || op == AST_OP('>', '='), strict = op == '<' || op == '>';
	const Item *lo = more ? v : u, *hi = more ? u : v;
	Dim d = as_dim(b, lo), limit = as_dim(b, hi);
	const Ragged *r = d ? ragged_find(b, d) : NULL;
	if (op == AST_OP('=', '=')) {
		complain(b, e->span, "rows with values of their own are compared by <, <=, > and >=");
		return;
	}
	if (r && limit && !ragged_find(b, limit)) {
		d = ragged_limit(b, d, strict ? dim_addc(p, limit, -1) : limit,
		                 failed_rows(b, e->span, strict), e->span);
		if (d) ragged_keep(b, ragged_find(b, d)->rows, e->span);
		return;
	}
	const Ragged *high = limit ? ragged_find(b, limit) : NULL;
	const Ast *low = more ? e->b : e->a;
	Node *x = need_tensor(b, lo, e->span, "each side of a requirement");
	if (!x || !high) {
		Diag *m = complain(b, e->span, "a requirement on rows bounds them by a dim");
		diag_help(b->d, m, "require pos + S <= T");
		return;
	}
	if (x->type.dtype != DT_I32 || x->type.rank > 1) {
		complain(b, e->span, "a requirement relates dims, or i32 values of the rows");
		return;
	}
	/* the checked room gives the left side anew, so that what uses it has been checked */
	Graph *graph = b->graph;
	Loop *loop = b->loop;
	Node *top = high->rows;
	if (top->owner == b->entry->graph && x->owner == b->entry->graph) {
		b->graph = b->entry->graph;
		b->loop = NULL;
	}
	Node *room = emit_binary(b, OP_SUB, top, x, e->span);
	const char *check = arena_printf(b->arena, "`%s` fails for a row: %s - %s is {index%s}",
	                                 text_of(b, e->span), text_of(b, (more ? e->a : e->b)->span),
	                                 text_of(b, low->span), strict ? "+1" : "");
	room = ragged_checked(b, room, dim_const(p, strict), high->extent, check, e->span);
	ragged_keep(b, room, e->span);
	x = emit_binary(b, OP_SUB, top, room, e->span);
	b->graph = graph;
	b->loop = loop;
	if (r)
		ragged_add(b, r->key, r->extent, r->batch, x);
	else if (low->kind == AST_NAME && function_scope_of(b->frame->scope, low->name))
		assign_name(b, low->name, item_node(x), low->span);
}

static void require(Build *b, const Ast *e, const char *text)
{
	DimPool *p = b->m->dims;
	Dim x, y;
	if (e->kind == AST_BINARY && e->op == AST_OP('a', 'n')) {
		require(b, e->a, text_of(b, e->a->span));
		require(b, e->b, text_of(b, e->b->span));
		return;
	}
	int op = e->kind == AST_BINARY ? e->op : 0;
	bool relation = op == '<' || op == '>' || op == AST_OP('<', '=') || op == AST_OP('>', '=') ||
	                op == AST_OP('=', '=');
	if (!relation) {
		Item v = eval(b, e);
		if (v.kind == ITEM_BOOL && v.integer) return;
		if (v.kind == ITEM_BOOL)
			complain(b, e->span, "this never holds: %s", text);
		else if (v.kind != ITEM_BAD)
			complain(b, e->span,
			         "require takes relations of dims: <, <=, ==, >=, > joined by `and`");
		return;
	}
	Item u = eval(b, e->a), v = eval(b, e->b);
	if (rows_differ(b, &u) || rows_differ(b, &v)) {
		require_rows(b, e, op, &u, &v);
		return;
	}
	if (!need_dim(b, &u, e->a->span, "each side of a requirement", &x) ||
	    !need_dim(b, &v, e->b->span, "each side of a requirement", &y))
		return;
	if (op == '<') x = dim_addc(p, x, 1);
	if (op == '>') y = dim_addc(p, y, 1);
	bool swap = op == '>' || op == AST_OP('>', '=');
	Dim lo = swap ? y : x, hi = swap ? x : y;
	bool equal = op == AST_OP('=', '=');
	if (dim_le(&b->m->facts, lo, hi) == PROOF_NO ||
	    (equal && dim_eq(&b->m->facts, lo, hi) == PROOF_NO)) {
		Diag *m = complain(b, e->span, "this never holds: %s", text);
		diag_also(m, e->a->span);
		diag_help(b->d, m, "its sides are %s and %s", dim_text(b->arena, x), dim_text(b->arena, y));
		return;
	}
	if (dim_le(&b->m->facts, lo, hi) != PROOF_YES)
		add_require(b, dim_sub(p, hi, lo), failed_relation(b, text, lo, hi, e->span));
	if (equal && dim_le(&b->m->facts, hi, lo) != PROOF_YES)
		add_require(b, dim_sub(p, lo, hi), failed_relation(b, text, hi, lo, e->span));
}

/* --- assert --------------------------------------------------------------------------------------- */

static void run_assert(Build *b, const Ast *s)
{
	Item v = eval(b, s->a);
	const char *text = s->b ? eval_text(b, s->b) : text_of(b, s->a->span);
	if (v.kind == ITEM_BAD || !text) return;
	if (!b->frame->test) {
		if (v.kind == ITEM_BOOL && v.integer) return;
		if (v.kind == ITEM_BOOL)
			complain(b, s->span, "assert does not hold: %s", text);
		else
			complain(b, s->a->span,
			         "an assert outside a test must be known at compile time, this is %s",
			         item_kind(b, &v));
		return;
	}
	if (b->loop) {
		complain(b, s->span, "an assert cannot stand in a loop over a run-time length");
		return;
	}
	Node *n =
		v.kind == ITEM_BOOL || v.kind == ITEM_TENSOR ? as_node(b, &v, DT_BOOL, s->a->span) : NULL;
	if (!n || n->type.dtype != DT_BOOL || n->type.rank) {
		Diag *m = complain(b, s->a->span, "an assert takes one bool, not %s", item_kind(b, &v));
		if (n && n->type.dtype == DT_BOOL)
			diag_help(b->d, m,
			          "all(x) is true when each element is; allclose(x, y) compares tensors");
		return;
	}
	vec_push(b->arena, &b->asserts, n);
	vec_push(b->arena, &b->assert_span, s->a->span);
	vec_push(b->arena, &b->assert_text, text);
}

static void run_let(Build *b, const Ast *s)
{
	Item v = eval_values(b, &s->list2);
	if (s->list.n == 1 && v.kind != ITEM_BAD) {
		Binding *k = function_scope_of(b->frame->scope, s->list.at[0]->name)
		                 ? scope_find(b->frame->scope, s->list.at[0]->name)
		                 : NULL;
		if (k && k->fixed) {
			refuse_assignment(b, k, k->name, s->list.at[0]->span, "a compile-time constant");
			return;
		}
	}
	assign_to(b, &s->list, v, list_span(&s->list2), &s->list2);
}

static void run_yield(Build *b, const Ast *s)
{
	if (!b->frame->yields && b->branch) {
		complain(b, s->span,
		         "yield stands outside of an `if` that sizes decide when the model runs");
		return;
	}
	if (!b->frame->yields) {
		complain(b, s->span, "yield stands in a loop:  ys = for i in 0..n { ..; yield y }");
		return;
	}
	ItemList l = {0};
	for (size_t i = 0; i < s->list.n; i++) vec_push(b->arena, &l, eval(b, s->list.at[i]));
	vec_push(b->arena, b->frame->yields, l);
}

static void check_known(Build *b, const Ast *s)
{
	static const char *const loops[] = {"precision", "roll", "unroll"}, *const others[] = {
																			"precision", "keep"};
	bool loop = s->kind == AST_FOR;
	size_t n = loop ? COUNT(loops) : s->kind == AST_ASSIGN || s->kind == AST_DECLARE ? 2 : 1;
	check_attributes(b, s, loop ? loops : others, n);
}

static void run_plain(Build *b, const Ast *s);

void run_statement(Build *b, const Ast *s)
{
	if (!s) return;
	if (!s->attributes.n) {
		run_plain(b, s);
		return;
	}
	check_known(b, s);
	Precision *around = b->precision, *own = precision_of(b, s);
	uint32_t errors = b->errors;
	if (own || keeps(s)) b->precision = own;
	run_plain(b, s);
	b->precision = around;
	precision_end(b, own, errors);
}

static void run_plain(Build *b, const Ast *s)
{
	switch (s->kind) {
	case AST_ASSIGN: run_assign(b, s); break;
	case AST_DECLARE: run_declare(b, s); break;
	case AST_LET: run_let(b, s); break;
	case AST_RETURN: run_return(b, s); break;
	case AST_FOR: run_for(b, s); break;
	case AST_IF: run_if(b, s); break;
	case AST_REQUIRE: require(b, s->a, text_of(b, s->a->span)); break;
	case AST_ASSERT: run_assert(b, s); break;
	case AST_YIELD: run_yield(b, s); break;
	case AST_BAD: b->errors++; break;
	default: complain(b, s->span, "this is no statement"); break;
	}
}

void run_block(Build *b, const AstList *l)
{
	if (b->eval_depth >= EVAL_LIMIT) {
		over_limit(b, l->n && l->at[0] ? l->at[0]->span : span_none(),
		           "statements nest too deeply here");
		return;
	}
	b->eval_depth++;
	for (size_t i = 0; i < l->n && !b->stop; i++) {
		if (b->frame->returned) {
			/* `if c { return x }` on a condition known to hold: the rest is for when it does not */
			bool chosen = i && l->at[i - 1] && l->at[i - 1]->kind == AST_IF;
			if (l->at[i] && !chosen)
				complain(b, l->at[i]->span, "this is never reached: the def has returned");
			break;
		}
		run_statement(b, l->at[i]);
	}
	b->eval_depth--;
}
