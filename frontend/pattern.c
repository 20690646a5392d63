/* Which turns of a compile-time loop repeat. The elements of an array of layers may be of a few kinds
 * in a pattern: a dense layer before the sparse ones, a window in every second one. An attempt to
 * keep the loop as one body fails where it meets such an array, and leaves here which element each
 * turn would choose; from that follow stretches of turns, each a loop of one or more bodies. */
#include "frontend/build.h"

#include <string.h>

enum { PERIOD_LIMIT = 16 };

/* --- what an index chooses, turn by turn ------------------------------------------------------------ */

typedef struct OneSym {
	DimSym *sym;
	bool many;
} OneSym;
static void note_sym(void *ctx, DimSym *s)
{
	OneSym *o = ctx;
	o->many |= o->sym != NULL;
	o->sym = s;
}

typedef struct Turn {
	const DimSym *sym;
	int64_t value;
} Turn;
static bool turn_value(void *ctx, const DimSym *s, int64_t *out)
{
	const Turn *t = ctx;
	*out = t->value;
	return s == t->sym;
}

static Loop *loop_of(const Build *b, const DimSym *var)
{
	Loop *l = b->loop;
	while (l && l->var != var) l = l->up;
	return l;
}

static bool refuse_choice(Build *b, const Member *m, Span at)
{
	complain(b, at,
	         "the elements of `%s` are not alike, so the index must be known at compile time: %s",
	         m->name, m->unlike ? m->unlike : "there is only one");
	return false;
}

bool pattern_choice(Build *b, const Member *m, Dim index, Span at, uint32_t *group, Dim *rank)
{
	OneSym one = {0};
	int64_t last, step = 0;
	dim_visit_syms(index, note_sym, &one);
	Loop *l = one.many ? NULL : loop_of(b, one.sym);
	if (!l || !dim_is_const(one.sym->hi, &last) || last >= INSTANCE_LIMIT ||
	    !spend(b, (size_t)last + 1, at))
		return refuse_choice(b, m, at);
	uint32_t *groups = NEW_ARRAY(b->arena, uint32_t, last + 1),
			 *ranks = NEW_ARRAY(b->arena, uint32_t, last + 1);
	bool same = true;
	for (int64_t t = 0; t <= last; t++) {
		Turn turn = {one.sym, t};
		int64_t k;
		if (!dim_eval(index, turn_value, &turn, &k) || k < 0 || k >= m->n)
			return refuse_choice(b, m, at);
		groups[t] = m->group[k];
		ranks[t] = m->rank[k];
		if (t == 1) step = (int64_t)ranks[1] - ranks[0];
		if (t) same &= groups[t] == groups[0] && (int64_t)ranks[t] - ranks[t - 1] == step;
	}
	if (!same) {
		if (l->period)
			vec_push(b->arena, &b->patterns,
			         ((TurnPattern){l->first, l->period, last + 1, groups, ranks}));
		return refuse_choice(b, m, at);
	}
	l->uses_stack = true;
	*group = groups[0];
	*rank =
		dim_addc(b->m->dims, dim_mulc(b->m->dims, dim_sym(b->m->dims, one.sym), step), ranks[0]);
	return true;
}

/* --- stretches ------------------------------------------------------------------------------------------- */

/* What a pattern says about the turn with this index, if anything. */
static bool pattern_at(const TurnPattern *p, int64_t index, int64_t *t)
{
	*t = (index - p->first) / p->period;
	return index >= p->first && *t < p->n && (index - p->first) % p->period == 0;
}

/* May the turns x and x + period be two turns of one body, in step with the one before them? */
static bool repeats(const Build *b, int64_t from, int64_t x, int64_t period)
{
	for (size_t i = 0; i < b->patterns.n; i++) {
		const TurnPattern *p = &b->patterns.at[i];
		int64_t t, u, v;
		if (!pattern_at(p, x, &t) || !pattern_at(p, x + period, &u)) continue;
		if (p->group[t] != p->group[u]) return false;
		if (x - period < from || !pattern_at(p, x - period, &v)) continue;
		if ((int64_t)p->rank[u] - p->rank[t] != (int64_t)p->rank[t] - p->rank[v]) return false;
	}
	return true;
}

/* The first index of which no pattern says anything, nor of any behind it. */
static int64_t patterns_end(const Build *b)
{
	int64_t end = INT64_MIN;
	for (size_t i = 0; i < b->patterns.n; i++) {
		const TurnPattern *p = &b->patterns.at[i];
		int64_t behind = p->first + p->period * p->n;
		if (behind > end) end = behind;
	}
	return end;
}

Stretch pattern_stretch(Build *b, int64_t at, int64_t to, int64_t modulus)
{
	Stretch best = {at, 1, 1};
	int64_t end = patterns_end(b);
	for (int64_t p = modulus; p <= PERIOD_LIMIT && at + 2 * p <= to; p += modulus) {
		int64_t x = at;
		while (x + p < to && x < end && repeats(b, at, x, p)) x++;
		if (x >= end && x + p < to) x = to - p; /* nothing speaks against it */
		int64_t turns = (x - at) / p + 1;
		if (turns >= 2 && turns * p > best.turns * best.period) best = (Stretch){at, turns, p};
	}
	return best;
}

static int64_t common_multiple(int64_t x, int64_t y)
{
	int64_t a = x, b = y;
	while (b) {
		int64_t r = a % b;
		a = b;
		b = r;
	}
	return x / a * y;
}

/* `i % 3` anywhere below, of the loop's index and a number. */
static int64_t modulus_in(Build *b, const Ast *e, const char *index, int64_t found)
{
	if (!e) return found;
	if (e->kind == AST_BINARY && e->op == '%' && e->a->kind == AST_NAME && e->a->name == index) {
		int64_t n = e->b->kind == AST_INT ? e->b->integer : 0;
		if (e->b->kind == AST_NAME) {
			Binding *k = scope_find(b->frame->scope, e->b->name);
			if (k && k->item.kind == ITEM_INT) n = k->item.integer;
		}
		int64_t both = n > 0 && n <= PERIOD_LIMIT ? common_multiple(found, n) : found;
		return both <= PERIOD_LIMIT ? both : found;
	}
	const Ast *child[] = {e->a, e->b, e->c, e->d};
	for (size_t i = 0; i < COUNT(child); i++) found = modulus_in(b, child[i], index, found);
	const AstList *list[] = {&e->list, &e->list2};
	for (size_t i = 0; i < COUNT(list); i++)
		for (size_t k = 0; k < list[i]->n; k++) found = modulus_in(b, list[i]->at[k], index, found);
	return found;
}

int64_t pattern_modulus(Build *b, const Ast *loop)
{
	int64_t found = 1;
	for (size_t i = 0; i < loop->list2.n; i++)
		found = modulus_in(b, loop->list2.at[i], loop->list.at[0]->name, found);
	return found;
}
