/* `if` on sizes that are known only when the model runs. Each side is a loop of one turn or none, so that
 * only one of them is computed: what both rebind is carried through them, and so are states. A name that
 * both sides make begins as zeros, which nothing ever sees. A relation becomes a size, 1 where it holds
 * and else 0. Code is made for a side without knowing that its condition holds, so what it requires must
 * hold on both (add_require). */
#include "frontend/build.h"

#include <string.h>

/* --- conditions --------------------------------------------------------------------------------------- */

/* x <= y */
static Dim at_most(Build *b, Dim x, Dim y)
{
	DimPool *p = b->m->dims;
	Dim zero = dim_const(p, 0), one = dim_const(p, 1), room = dim_addc(p, dim_sub(p, y, x), 1);
	Proof known = dim_le(&b->m->facts, x, y);
	return known == PROOF_YES  ? one
	       : known == PROOF_NO ? zero
	                           : dim_min(p, one, dim_max(p, zero, room));
}

static Dim opposite(Build *b, Dim holds)
{
	return dim_sub(b->m->dims, dim_const(b->m->dims, 1), holds);
}

static bool relation(Build *b, const Ast *e, Dim *out)
{
	Item u = eval(b, e->a), v = eval(b, e->b);
	Dim x = as_dim(b, &u), y = as_dim(b, &v);
	if (!x || !y || ragged_find(b, x) || ragged_find(b, y)) return false;
	bool equal = e->op == AST_OP('=', '='), differ = e->op == AST_OP('!', '=');
	Dim le = at_most(b, x, y), ge = at_most(b, y, x), both = dim_min(b->m->dims, le, ge);
	if (equal || differ)
		*out = equal ? both : opposite(b, both);
	else if (e->op == AST_OP('<', '=') || e->op == '>')
		*out = e->op == '>' ? opposite(b, le) : le;
	else if (e->op == AST_OP('>', '=') || e->op == '<')
		*out = e->op == '<' ? opposite(b, ge) : ge;
	else
		return false;
	return true;
}

/* False: e is no relation of sizes, or one whose sides have a mistake. *open counts what is not known. */
static bool condition_of(Build *b, const Ast *e, Dim *out, uint32_t *open)
{
	enum { RELATIONS = 16 };
	DimPool *p = b->m->dims;
	Dim x, y;
	if (e->kind == AST_UNARY && e->op == '!') {
		if (!condition_of(b, e->a, &x, open)) return false;
		*out = opposite(b, x);
		return true;
	}
	if (e->kind == AST_BINARY && (e->op == AST_OP('o', 'r') || e->op == AST_OP('a', 'n'))) {
		if (!condition_of(b, e->a, &x, open) || !condition_of(b, e->b, &y, open)) return false;
		*out = e->op == AST_OP('o', 'r') ? dim_max(p, x, y) : dim_min(p, x, y);
		return true;
	}
	if (e->kind == AST_BINARY) {
		if (!relation(b, e, out)) return false;
		*open += !dim_is_const(*out, NULL);
		if (*open <= RELATIONS) return true;
		complain(b, e->span, "a condition on sizes has at most %d relations", RELATIONS);
		return false;
	}
	Item v = eval(b, e);
	if (v.kind != ITEM_BOOL) return false;
	*out = dim_const(p, v.integer != 0);
	return true;
}

/* --- names that a body assigns -------------------------------------------------------------------- */

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

void assigned_names(Build *b, const AstList *body, NameList *out)
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

/* --- names that both sides make -------------------------------------------------------------------------- */

static bool always_assigns(const AstList *body, const char *name);

static bool statement_assigns(const Ast *s, const char *name)
{
	if (s->kind == AST_DECLARE) return s->name == name;
	if (s->kind == AST_IF)
		return !s->a ? always_assigns(&s->list, name)
		             : always_assigns(&s->list, name) && always_assigns(&s->list2, name);
	const AstList *to = s->kind == AST_FOR && s->c ? &s->c->list : &s->list;
	if (s->kind != AST_ASSIGN && s->kind != AST_LET && !(s->kind == AST_FOR && s->c)) return false;
	for (size_t i = 0; i < to->n; i++)
		if (to->at[i]->kind == AST_NAME && to->at[i]->name == name) return true;
	return false;
}

static bool always_assigns(const AstList *body, const char *name)
{
	for (size_t i = 0; i < body->n; i++)
		if (body->at[i] && statement_assigns(body->at[i], name)) return true;
	return false;
}

/* Zeros for the names that neither was there before nor is left out by a side. */
static void make_names(Build *b, const Ast *s, const Ast *side)
{
	NameList all = {0}, made = {0};
	assigned_names(b, &s->list, &all);
	for (size_t i = 0; i < all.n; i++) {
		Binding *k = scope_find(b->frame->scope, all.at[i]);
		bool known =
			function_scope_of(b->frame->scope, all.at[i]) || (k && k->item.kind == ITEM_MEMBER);
		if (!known && always_assigns(&s->list, all.at[i]) && always_assigns(&s->list2, all.at[i]))
			vec_push(b->arena, &made, all.at[i]);
	}
	if (!made.n) return;
	Item *found = NEW_ARRAY(b->arena, Item, made.n);
	const Ast *around = b->branch;
	b->branch = side;
	b->probing = true;
	body_probe(b, side, &made, found);
	b->probing = false;
	b->branch = around;
	for (size_t i = 0; i < made.n; i++) {
		if (found[i].kind != ITEM_TENSOR) continue;
		const Type *t = &found[i].node->type;
		Node *zero = emit_number(b, t->dtype, 0, side->span);
		if (t->rank) zero = emit_broadcast(b, zero, t->rank, t->dim, side->span);
		if (zero) assign_name(b, made.at[i], item_node(zero), side->span);
	}
}

/* --- the statement ---------------------------------------------------------------------------------------- */

/* A side as a loop. */
static Ast *side_of(Build *b, const Ast *s, const AstList *body)
{
	Ast *loop = NEW(b->arena, Ast), *index = NEW(b->arena, Ast);
	*index = (Ast){.kind = AST_NAME, .name = intern_str(b->names, "if"), .span = s->a->span};
	*loop = (Ast){.kind = AST_FOR, .a = s->a, .list2 = *body, .span = s->a->span};
	vec_push(b->arena, &loop->list, index);
	return loop;
}

static bool run_side(Build *b, const Ast *side, Dim holds)
{
	const Ast *around = b->branch;
	b->branch = side;
	bool done = run_branch(b, side, holds);
	b->branch = around;
	return done;
}

/* What an `if` with a mistake would have given is not missed later on. */
static void forget_names(Build *b, const Ast *s)
{
	NameList all = {0};
	assigned_names(b, &s->list, &all);
	assigned_names(b, &s->list2, &all);
	for (size_t i = 0; i < all.n; i++) {
		Binding *k = scope_find(b->frame->scope, all.at[i]);
		if (!k || k->item.kind != ITEM_MEMBER) assign_name(b, all.at[i], bad(), s->span);
	}
}

/* The turn of a loop that would be unrolled is known then. */
static bool asks_turn(const Build *b, Dim holds)
{
	for (const Loop *l = b->loop; l; l = l->up)
		if (l->period && dim_mentions(holds, l->var)) return true;
	return false;
}

void run_if(Build *b, const Ast *s)
{
	int64_t known;
	Dim holds;
	bool yes;
	uint32_t errors = b->errors, open = 0;
	if (!s->a) {
		run_block(b, &s->list);
		return;
	}
	bool sizes = b->entry && condition_of(b, s->a, &holds, &open) && !asks_turn(b, holds);
	if (b->errors == errors && !sizes && condition(b, s->a, "the condition of `if`", &yes)) {
		run_block(b, yes ? &s->list : &s->list2);
		return;
	}
	if (b->errors == errors && sizes && dim_is_const(holds, &known)) {
		run_block(b, known ? &s->list : &s->list2);
		return;
	}
	if (b->errors == errors && b->probing) { /* for types: both sides give the same */
		run_block(b, &s->list);
		return;
	}
	Ast *one = side_of(b, s, &s->list), *other = side_of(b, s, &s->list2);
	if (b->errors == errors && s->list2.n) make_names(b, s, one);
	if (b->errors == errors && run_side(b, one, holds) && s->list2.n)
		run_side(b, other, opposite(b, holds));
	if (b->errors != errors) forget_names(b, s);
}
