/* What to write instead, worked out from the shapes at hand: each function adds at most one help to a
 * message, and none when the shapes do not tell what was meant. */
#include "frontend/build.h"

#include <string.h>

static const char *shown_operand(Build *b, const Ast *e)
{
	const char *text = text_of(b, e->span);
	bool plain =
		e->kind == AST_NAME || e->kind == AST_INDEX || e->kind == AST_CALL || e->kind == AST_ATTR;
	return plain ? text : arena_printf(b->arena, "(%s)", text);
}

/* The shorter operand has some of the dims of the longer one, in order: `y[:, :, none]` puts them there. */
static bool lined_up(Build *b, const Type *wide, const Type *narrow, Text *out)
{
	uint32_t at = 0;
	text_puts(out, "[");
	for (uint32_t i = 0; i < wide->rank; i++) {
		bool here = at < narrow->rank && dims_equal(b, wide->dim[i], narrow->dim[at]);
		text_printf(out, "%s%s", i ? ", " : "", here ? ":" : "none");
		at += here;
	}
	text_puts(out, "]");
	return at == narrow->rank;
}

void advise_broadcast(Build *b, Diag *of, const Ast *e, const Type *x, const Type *y)
{
	if (e->kind != AST_BINARY || x->rank == y->rank) return;
	bool left = x->rank < y->rank;
	Text t = text_new(b->arena);
	const Ast *operand = left ? e->a : e->b;
	if (!lined_up(b, left ? y : x, left ? x : y, &t)) return;
	diag_help(b->d, of, "dims are aligned at the right; its dims stand here with  %s%s",
	          shown_operand(b, operand), t.at);
}

/* A dim of 1 that nobody asked for: [N, 1] beside [N] gives [N, N], every row against every other. */
bool advise_outer(Build *b, const Ast *e, const Item *x, const Item *y, const char *op)
{
	const Type *p = &x->node->type, *q = &y->node->type;
	if (e->kind != AST_BINARY || p->rank == q->rank || !p->rank || !q->rank) return false;
	bool left = p->rank > q->rank;
	const Item *wide = left ? x : y;
	const Ast *w = left ? e->a : e->b, *n = left ? e->b : e->a;
	const Type *t = left ? p : q, *o = left ? q : p;
	Dim last = t->dim[t->rank - 1], row = t->dim[t->rank - 2], other = o->dim[o->rank - 1];
	if (!dim_is(last, 1) || dim_is(other, 1) || !dims_equal(b, row, other)) return false;
	const Node *made = wide->node; /* by `none`, unsqueeze, zeros([N, 1]): meant */
	bool meant = made->op == OP_RESHAPE && made->in[0]->type.rank < made->type.rank;
	if (meant || made->op == OP_IOTA || made->op == OP_CONST || made->op == OP_BROADCAST)
		return false;
	Diag *m = complain(b, e->op_span,
	                   "%s of %s and %s stretches both: each of the %s rows meets every other", op,
	                   type_text(b->arena, p), type_text(b->arena, q), dim_text(b->arena, row));
	diag_also(m, e->a->span);
	diag_also(m, e->b->span);
	note_origin(b, m, x, NULL);
	note_origin(b, m, y, NULL);
	diag_help(b->d, m, "row by row it is  %s[..., 0] %s %s;  all pairs are  %s %s %s[none]",
	          shown_operand(b, w), op, shown_operand(b, n), shown_operand(b, w), op,
	          shown_operand(b, n));
	return true;
}

static const char *axis_letters(uint32_t rank, uint32_t channels)
{
	static const char *const first[] = {"[N, C, X]", "[N, C, Y, X]", "[N, C, Z, Y, X]"};
	static const char *const last[] = {"[N, X, C]", "[N, Y, X, C]", "[N, Z, Y, X, C]"};
	return rank < 3 || rank > 5 ? NULL : channels == 1 ? first[rank - 3] : last[rank - 3];
}

void advise_channels(Build *b, Diag *of, const char *x, const Type *have, uint32_t axis, Dim want)
{
	uint32_t rank = have->rank;
	const char *first = axis_letters(rank, 1), *last = axis_letters(rank, 0);
	if (!first) return;
	if (axis == 1 && dims_equal(b, have->dim[rank - 1], want))
		diag_help(b->d, of,
		          "the channels stand last; to put them first write  rearrange(%s, %s -> %s)", x,
		          last, first);
	else if (axis == rank - 1 && rank > 3 && dims_equal(b, have->dim[1], want))
		diag_help(b->d, of,
		          "the channels stand first; to put them last write  rearrange(%s, %s -> %s)", x,
		          first, last);
}

static int64_t axis_of_name(const Item *x, const char *name)
{
	const Ast *type = x->origin ? x->origin->type : NULL;
	for (size_t i = 0; type && i < type->list.n; i++)
		if (type->list.at[i]->kind == AST_NAME && strcmp(type->list.at[i]->name, name) == 0)
			return (int64_t)i;
	return -1;
}

void advise_axis(Build *b, Diag *of, const Item *x, const Item *given, const char *name)
{
	int64_t axis = -1;
	Dim d = given->kind == ITEM_DIM ? given->dim : NULL;
	if (x->kind != ITEM_TENSOR) return;
	const Type *t = &x->node->type;
	for (uint32_t i = 0; d && i < t->rank; i++)
		if (dims_equal(b, t->dim[i], d)) axis = i;
	if (given->kind == ITEM_TEXT) axis = axis_of_name(x, given->text);
	if (axis >= 0)
		diag_help(b->d, of, "%s is axis %lld of %s: write  %s=%lld",
		          d ? dim_text(b->arena, d) : given->text, (long long)axis, type_text(b->arena, t),
		          name, (long long)axis - (int64_t)t->rank);
	else
		diag_help(b->d, of, "axes are counted from 0, or from the end:  %s=-1  is the last", name);
}

/* After the return that was forgotten. */
void advise_return(Build *b, Diag *of, const Ast *def)
{
	const AstList *l = &def->list2;
	const Ast *last = l->n ? l->at[l->n - 1] : NULL;
	if (!last || last->kind != AST_ASSIGN) return;
	if (!last->list.n)
		diag_help(b->d, of, "return %s", text_of(b, last->list2.at[0]->span));
	else if (last->list.n == 1 && last->list.at[0]->kind == AST_NAME)
		diag_help(b->d, of, "its last statement makes `%s`: add  return %s", last->list.at[0]->name,
		          last->list.at[0]->name);
}

/* reshape keeps the order of the elements: a dim that more elements stand before than did has been
 * mixed with others, as when heads are split without being moved. */
void warn_mixed(Build *b, const Type *from, uint32_t rank, const Dim *to, Span at)
{
	DimPool *p = b->m->dims;
	Dim before = dim_const(p, 1);
	int64_t n;
	for (uint32_t i = 0; i < from->rank; i++) {
		Dim d = from->dim[i], now = dim_const(p, 1);
		uint32_t k = 0;
		while (k < rank && to[k] != d) now = dim_mul(p, now, to[k++]);
		bool once = !dim_is_const(d, &n) && k < rank;
		for (uint32_t o = 0; o < from->rank; o++) once &= o == i || from->dim[o] != d;
		for (uint32_t o = k + 1; o < rank; o++) once &= to[o] != d;
		int64_t more = 0, was = 0;
		/* Only a constant factor more or less: [B, S, H*D] taken as [B, H, S, D]. */
		bool factor = once && !dims_equal(b, before, now) &&
		              ((dim_is_const(dim_floordiv(p, now, before), &more) && more > 1) ||
		               (dim_is_const(dim_floordiv(p, before, now), &was) && was > 1));
		if (factor) {
			Diag *m = diag_warning(b->d, at,
			                       "reshape keeps the order of the elements: axis %u of %s (%s) is "
			                       "mixed with the axis before it, not moved to axis %u",
			                       i, type_text(b->arena, from), dim_text(b->arena, d), k);
			diag_help(b->d, m,
			          "to split and move axes write  rearrange(x, [B, S, (H, D)] -> [B, H, S, D])");
			return;
		}
		before = dim_mul(p, before, d);
	}
}

void note_range(Build *b, Diag *of, Dim d)
{
	const DimSym *s = dim_as_sym(d);
	if (s && s->span.source)
		diag_note(b->d, of, s->span, "%s is declared here, from %s to %s", s->name,
		          dim_text(b->arena, s->lo), dim_text(b->arena, s->hi));
}

static void keep_last(void *ctx, DimSym *s)
{
	*(DimSym **)ctx = s;
}

void advise_divisible(Build *b, Diag *of, Dim whole, Dim by)
{
	DimSym *s = NULL;
	dim_visit_syms(whole, keep_last, &s);
	if (!s || !s->span.source) return;
	diag_note(b->d, of, s->span, "%s is declared here, from %s to %s", s->name,
	          dim_text(b->arena, s->lo), dim_text(b->arena, s->hi));
	diag_help(
		b->d, of,
		"it does not divide for every size in that range: declare the number of parts,  dim P "
		"in ..,  and the axis as  %s*P",
		dim_text(b->arena, by));
}

/* Where a statement inside of a loop or a branch first assigns the name, before `end`. */
static const Ast *assigned_inside(const AstList *body, const char *name, uint32_t end,
                                  const Ast *inside, const Ast **around)
{
	for (size_t i = 0; i < body->n; i++) {
		const Ast *s = body->at[i], *found = NULL;
		if (!s || s->span.begin >= end) continue;
		for (size_t k = 0; inside && s->kind == AST_ASSIGN && k < s->list.n; k++)
			if (s->list.at[k]->kind == AST_NAME && s->list.at[k]->name == name)
				found = s->list.at[k];
		if (found) *around = inside;
		if (!found && s->kind == AST_IF)
			found = assigned_inside(&s->list, name, end, inside ? inside : s, around);
		if (!found && (s->kind == AST_IF || s->kind == AST_FOR))
			found = assigned_inside(&s->list2, name, end,
			                        s->kind == AST_FOR || !inside ? s : inside, around);
		if (found) return found;
	}
	return NULL;
}

bool advise_scope(Build *b, Diag *of, const char *name, Span at)
{
	enum { MOST = 64 }; /* each search walks the def; more messages are not shown anyway */
	const Ast *def = b->frame->def, *around = NULL;
	if (b->scopes_searched++ >= MOST || !def || def->span.source != at.source) return false;
	const Ast *found = assigned_inside(&def->list2, name, at.begin, NULL, &around);
	if (!found) return false;
	if (around->kind == AST_FOR) {
		diag_note(b->d, of, found->span, "%s belongs to one turn of this loop", name);
		diag_help(
			b->d, of,
			"what has a value before the loop is known behind it;  ys = for .. { yield %s }  collects",
			name);
	} else {
		diag_note(b->d, of, found->span, "it is assigned in this branch, which was not taken");
	}
	return true;
}
