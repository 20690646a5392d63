/* Bounds and proofs. A lower bound of an expression is found by eliminating what was created last
 * (loop variables before parameters): a symbol by its range, a minimum or maximum by its arms, a
 * floor division by x - d + 1 <= d*(x // d) <= x, and any of them by a known fact that mentions it.
 * Every step only weakens the expression, so what is proved is true; what is not proved is unknown.
 * Work is bounded by a number of steps, so a proof that is not found soon is not found. */
#include "ir/dim_internal.h"

enum { DEPTH = 40, STEPS = 4000, FACTS_USED = 4 };

typedef struct Bounder {
	DimPool *p;
	const DimFacts *facts;
	int steps;
} Bounder;

static int64_t lower(Bounder *b, Dim e, int depth, int facts_left);

static int64_t order_of(Dim d);

/* When an atom was created, in symbols; operations count just after their latest symbol. */
static int64_t atom_order(const DimAtom *a)
{
	if (a->kind == ATOM_SYM) return 2 * (int64_t)a->sym->id;
	int64_t x = order_of(a->a), y = order_of(a->b);
	return (x > y ? x : y) | 1;
}

static int64_t order_of(Dim d)
{
	int64_t most = -1;
	for (uint32_t i = 0; i < d->n; i++)
		for (uint32_t k = 0; k < d->term[i].n; k++) {
			int64_t o = atom_order(d->term[i].atom[k]);
			if (o > most) most = o;
		}
	return most;
}

static const DimAtom *latest(Dim e)
{
	const DimAtom *best = NULL;
	int64_t most = -1;
	for (uint32_t i = 0; i < e->n; i++)
		for (uint32_t k = 0; k < e->term[i].n; k++) {
			const DimAtom *a = e->term[i].atom[k];
			int64_t o = atom_order(a);
			if (o > most || (o == most && best && atom_id(a) > atom_id(best))) {
				most = o;
				best = a;
			}
		}
	return best;
}

static bool has_atom(Dim e, const DimAtom *atom)
{
	for (uint32_t i = 0; i < e->n; i++)
		for (uint32_t k = 0; k < e->term[i].n; k++)
			if (e->term[i].atom[k] == atom) return true;
	return false;
}

static Dim combine(DimPool *p, Dim coef, Dim v, Dim rest)
{
	return dim_add(p, dim_mul(p, coef, v), rest);
}

static int64_t most_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t least_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* An expression coef * atom + rest to be bounded from below, coef of known sign. */
typedef struct Goal {
	Dim coef, rest;
	const DimAtom *atom;
	bool positive;
	int depth, facts_left;
} Goal;

static int64_t lower_with(Bounder *b, const Goal *g, Dim coef, Dim v)
{
	return lower(b, combine(b->p, coef, v, g->rest), g->depth + 1, g->facts_left);
}

/* By another quotient of the same dividend in what is left: where c = m*d,
 * m * (x // c) <= x // d <= m * (x // c) + m - 1. */
static int64_t lower_by_quotient(Bounder *b, const Goal *g, int64_t c)
{
	DimPool *p = b->p;
	int64_t best = INT64_MIN, d;
	for (uint32_t i = 0; i < g->rest->n && best < 0; i++)
		for (uint32_t k = 0; k < g->rest->term[i].n && best < 0; k++) {
			const DimAtom *other = g->rest->term[i].atom[k];
			if (other->kind != ATOM_FLOORDIV || other->a != g->atom->a ||
			    !dim_is_const(other->b, &d) || d <= 0 || (c % d && d % c))
				continue;
			Dim q = dim_floordiv(p, other->a, other->b), coef = g->coef;
			if (d > c) { /* the other is the coarser one */
				q = dim_addc(p, dim_mulc(p, q, d / c), g->positive ? 0 : d / c - 1);
			} else {
				Dim m = dim_const(p, c / d);
				coef = dim_floordiv(p, g->coef, m);
				if (dim_mul(p, coef, m) != g->coef) continue;
				if (g->positive) q = dim_addc(p, q, 1 - c / d);
			}
			best = most_of(best, lower_with(b, g, coef, q));
		}
	return best;
}

static int64_t lower_floordiv(Bounder *b, const Goal *g)
{
	DimPool *p = b->p;
	Dim x = g->atom->a, d = g->atom->b;
	int64_t c, k;
	bool is_const = dim_is_const(d, &c);
	if (is_const && c <= 0) return INT64_MIN;
	int64_t known = is_const ? lower_by_quotient(b, g, c) : INT64_MIN;
	if (known >= 0) return known;
	if (!is_const && lower(b, dim_addc(p, d, -1), g->depth + 1, 0) < 0) return INT64_MIN;
	Dim edge = g->positive ? dim_addc(p, dim_sub(p, x, d), 1) : x; /* bounds d * (x // d) */
	if (is_const && dim_is_const(g->coef, &k) && k > INT64_MIN) {
		/* scale until the division goes: e >= v / m where m*e >= v, rounded up as e is whole */
		int64_t a = k < 0 ? -k : k, r = c;
		while (r) {
			int64_t t = a % r;
			a = r;
			r = t;
		}
		int64_t m = c / a;
		Dim e = combine(p, dim_const(p, k / a), edge, dim_mulc(p, g->rest, m));
		int64_t v = lower(b, e, g->depth + 1, g->facts_left);
		return v > 0 ? (v - 1) / m + 1 : v == INT64_MIN ? v : v / m;
	}
	Dim q = dim_floordiv(p, g->coef, d);
	if (dim_mul(p, q, d) == g->coef) return lower_with(b, g, q, edge);
	/* numbers: x // d lies between x // most of d and x // least of d */
	int64_t lo = lower(b, x, g->depth + 1, g->facts_left), hi = 0;
	if (!g->positive) {
		hi = lower(b, dim_mulc(p, x, -1), g->depth + 1, g->facts_left);
		if (hi == INT64_MIN) return hi;
		hi = -hi;
	}
	if (g->positive && lo == INT64_MIN) return lo;
	int64_t bound = g->positive ? lo : hi, least = is_const ? c : 1;
	if (!is_const && ((g->positive && bound > 0) || (!g->positive && bound < 0)))
		bound = g->positive ? 0 : -1;
	int64_t v = bound / least - (bound % least != 0 && bound < 0);
	return lower_with(b, g, g->coef, dim_const(p, v));
}

static int64_t lower_atom(Bounder *b, const Goal *g)
{
	const DimAtom *a = g->atom;
	switch (a->kind) {
	case ATOM_SYM: return lower_with(b, g, g->coef, g->positive ? a->sym->lo : a->sym->hi);
	case ATOM_MIN:
	case ATOM_MAX: {
		/* on one side either arm bounds it, on the other both must hold */
		bool either = (a->kind == ATOM_MIN) != g->positive;
		int64_t x = lower_with(b, g, g->coef, a->a);
		if (either ? x >= 0 : x == INT64_MIN) return x;
		int64_t y = lower_with(b, g, g->coef, a->b);
		return either ? most_of(x, y) : least_of(x, y);
	}
	case ATOM_FLOORDIV: return lower_floordiv(b, g);
	}
	return INT64_MIN;
}

/* A fact f >= 0 with f = k*atom + r bounds the atom on one side: e >= e - |coef|*f when k is 1 with a
 * positive coefficient, -1 with a negative one, or divides it. */
static int64_t lower_by_fact(Bounder *b, const Goal *g, Dim e, Dim fact)
{
	Dim coef, rest, times;
	int64_t k, c;
	DimPool *p = b->p;
	if (!has_atom(fact, g->atom) || !dim_split(p, fact, g->atom, &coef, &rest)) return INT64_MIN;
	if (dim_is_const(coef, &k)) {
		if (!k || (k > 0) != g->positive || k == INT64_MIN) return INT64_MIN;
		if (k == 1 || k == -1)
			times = dim_mulc(p, g->coef, k);
		else if (dim_is_const(g->coef, &c) && c % k == 0)
			times = dim_const(p, c / k);
		else
			return INT64_MIN;
	} else if (coef == g->coef) {
		times = dim_const(p, 1);
	} else {
		return INT64_MIN;
	}
	return lower(b, dim_sub(p, e, dim_mul(p, times, fact)), g->depth + 1, g->facts_left - 1);
}

static Dim atom_value(DimPool *p, const DimAtom *a)
{
	return a->kind == ATOM_SYM ? dim_sym(p, a->sym) : dim_apply(p, a->kind, a->a, a->b);
}

/* e = (atom - end) * quotient + rest, rest free of the atom. */
static bool divide(DimPool *p, Dim e, const DimAtom *atom, Dim end, Dim *quotient, Dim *rest)
{
	Dim coef, other, q, r;
	*quotient = dim_const(p, 0);
	*rest = e;
	if (!has_atom(e, atom)) return true;
	if (!dim_split(p, e, atom, &coef, &other) || !divide(p, coef, atom, end, &q, &r)) return false;
	*quotient = combine(p, q, atom_value(p, atom), r);
	*rest = combine(p, end, r, other);
	return !(*quotient)->poison && !(*rest)->poison;
}

/* Where the atom appears squared: e is at least what it is at an end of the atom's range, when the
 * quotient by the distance from there has the right sign. */
static int64_t lower_by_end(Bounder *b, const Goal *g, Dim e)
{
	DimPool *p = b->p;
	int64_t best = INT64_MIN, v;
	Dim x = atom_value(p, g->atom), quotient, rest;
	for (int side = -1; side <= 1 && best < 0; side += 2) {
		Dim end;
		if (g->atom->kind == ATOM_SYM)
			end = side < 0 ? g->atom->sym->lo : g->atom->sym->hi;
		else {
			v = lower(b, dim_mulc(p, x, -side), g->depth + 1, g->facts_left);
			if (v == INT64_MIN) continue;
			end = dim_const(p, -side * v);
		}
		if (!divide(p, e, g->atom, end, &quotient, &rest)) continue;
		if (lower(b, dim_mulc(p, quotient, -side), g->depth + 1, g->facts_left) >= 0)
			best = most_of(best, lower(b, rest, g->depth + 1, g->facts_left));
	}
	return best;
}

static int64_t lower(Bounder *b, Dim e, int depth, int facts_left)
{
	int64_t v;
	if (e->poison || depth > DEPTH || --b->steps < 0) return INT64_MIN;
	if (dim_is_const(e, &v)) return v;
	Goal g = {.atom = latest(e), .depth = depth, .facts_left = facts_left};
	if (!dim_split(b->p, e, g.atom, &g.coef, &g.rest)) return INT64_MIN;
	int64_t best = has_atom(g.coef, g.atom) ? lower_by_end(b, &g, e) : INT64_MIN;
	if (best >= 0) return best;
	if (dim_is_const(g.coef, &v)) {
		g.positive = v > 0;
	} else {
		g.positive = lower(b, g.coef, depth + 1, 0) >= 0;
		if (!g.positive && lower(b, dim_mulc(b->p, g.coef, -1), depth + 1, 0) < 0) return best;
	}
	best = most_of(best, lower_atom(b, &g));
	if (!b->facts || !facts_left) return best;
	for (size_t i = b->facts->nonneg.n; i-- > 0 && best < 0;)
		best = most_of(best, lower_by_fact(b, &g, e, b->facts->nonneg.at[i]));
	return best;
}

/* With few facts first: a short proof must not be lost because the search for a long one, which
 * comes first in its order, has used up the steps. */
static int64_t bound(const DimFacts *f, Dim d)
{
	static const int tries[] = {0, 1, FACTS_USED};
	int64_t best = INT64_MIN;
	for (size_t i = 0; i < COUNT(tries) && best < 0; i++) {
		if (i && !f->nonneg.n) break;
		Bounder b = {f->pool, f, STEPS};
		best = most_of(best, lower(&b, d, 0, tries[i]));
	}
	return best;
}

void dim_range(const DimFacts *f, Dim d, int64_t *lo, int64_t *hi)
{
	int64_t v;
	if (dim_is_const(d, &v)) {
		*lo = *hi = v;
		return;
	}
	*lo = INT64_MIN;
	*hi = INT64_MAX;
	if (!f || d->poison) return;
	*lo = bound(f, d);
	int64_t up = bound(f, dim_mulc(f->pool, d, -1));
	if (up != INT64_MIN) *hi = -up;
}

void dim_facts_le(DimFacts *f, Arena *a, Dim lo, Dim hi)
{
	vec_push(a, &f->nonneg, dim_sub(f->pool, hi, lo));
}

Proof dim_le(const DimFacts *f, Dim a, Dim b)
{
	int64_t x, y;
	if (a == b) return PROOF_YES;
	if (dim_is_const(a, &x) && dim_is_const(b, &y)) return x <= y ? PROOF_YES : PROOF_NO;
	if (!f) return PROOF_UNKNOWN;
	if (bound(f, dim_sub(f->pool, b, a)) >= 0) return PROOF_YES;
	if (bound(f, dim_addc(f->pool, dim_sub(f->pool, a, b), -1)) >= 0) return PROOF_NO;
	return f->assume ? PROOF_YES : PROOF_UNKNOWN;
}

Proof dim_eq(const DimFacts *f, Dim a, Dim b)
{
	if (a == b) return PROOF_YES;
	Proof up = dim_le(f, a, b);
	if (up == PROOF_NO) return PROOF_NO;
	Proof down = dim_le(f, b, a);
	if (down == PROOF_NO) return PROOF_NO;
	return up == PROOF_YES && down == PROOF_YES ? PROOF_YES : PROOF_UNKNOWN;
}
