/* Symbolic integers for the verifier: polynomials over atoms. An atom is a parameter, the number of
 * a loop's iteration, a value between bounds, or a minimum, maximum or quotient of others; what it
 * depends on has a smaller number. A proof of e >= 0 replaces the atoms by their bounds from the
 * greatest number down: each replacement only lessens e, and all choices of a bound are tried. */
#include "isa/internal.h"

#include <string.h>

enum { MOST_TERMS = 48, FUEL = 4000, WITNESS_TRIES = 4096, BUCKETS = 1024, MOST_FACTS = 64 };

/* --- building ---------------------------------------------------------------------------------------- */

typedef struct Sum {
	int64_t constant;
	uint32_t n;
	bool bad;
	SymTerm term[MOST_TERMS];
} Sum;

static int compare(const SymTerm *a, const SymTerm *b)
{
	for (uint32_t k = 0; k < SYM_DEGREE; k++) { /* unused places count as the least */
		uint32_t x = k < a->n ? a->atom[a->n - 1 - k] + 1 : 0,
				 y = k < b->n ? b->atom[b->n - 1 - k] + 1 : 0;
		if (x != y) return x < y ? -1 : 1;
	}
	return 0;
}

static void sum_add(Sum *s, const SymTerm *t, int64_t factor)
{
	int64_t c;
	if (__builtin_mul_overflow(t->coef, factor, &c)) s->bad = true;
	if (s->bad || c == 0) return;
	if (t->n == 0) {
		if (__builtin_add_overflow(s->constant, c, &s->constant)) s->bad = true;
		return;
	}
	uint32_t at = 0;
	while (at < s->n && compare(&s->term[at], t) < 0) at++;
	if (at < s->n && compare(&s->term[at], t) == 0) {
		if (__builtin_add_overflow(s->term[at].coef, c, &s->term[at].coef)) s->bad = true;
		if (s->term[at].coef) return;
		memmove(&s->term[at], &s->term[at + 1], (s->n - at - 1) * sizeof *t);
		s->n--;
		return;
	}
	if (s->n == MOST_TERMS) {
		s->bad = true;
		return;
	}
	memmove(&s->term[at + 1], &s->term[at], (s->n - at) * sizeof *t);
	s->term[at] = *t;
	s->term[at].coef = c;
	s->n++;
}

static void sum_sym(Sum *s, const Sym *a, int64_t factor)
{
	SymTerm constant = {.coef = a->constant};
	sum_add(s, &constant, factor);
	for (uint32_t k = 0; k < a->n; k++) sum_add(s, &a->term[k], factor);
}

static const Sym *sum_done(SymSpace *s, const Sum *sum)
{
	if (sum->bad) return NULL;
	Sym *a = arena_alloc(s->arena, sizeof *a + sum->n * sizeof a->term[0]);
	a->constant = sum->constant;
	a->n = sum->n;
	for (uint32_t k = 0; k < sum->n; k++) {
		a->term[k] = sum->term[k];
		for (uint32_t i = 0; i < a->term[k].n; i++)
			a->varies |= s->atoms.at[a->term[k].atom[i]].varies;
	}
	return a;
}

const Sym *sym_const(SymSpace *s, int64_t v)
{
	Sum sum = {.constant = v};
	return sum_done(s, &sum);
}

const Sym *sym_atom(SymSpace *s, uint32_t atom)
{
	Sum sum = {.n = 1};
	sum.term[0] = (SymTerm){1, 1, {atom}};
	return sum_done(s, &sum);
}

const Sym *sym_add(SymSpace *s, const Sym *a, const Sym *b, int64_t factor)
{
	if (!a || !b) return NULL;
	Sum sum = {.n = 0};
	sum_sym(&sum, a, 1);
	sum_sym(&sum, b, factor);
	return sum_done(s, &sum);
}

static bool term_mul(const SymTerm *a, const SymTerm *b, SymTerm *out)
{
	if (a->n + b->n > SYM_DEGREE) return false;
	*out = (SymTerm){.n = 0};
	uint32_t i = 0, k = 0;
	while (i < a->n || k < b->n) {
		bool first = k == b->n || (i < a->n && a->atom[i] <= b->atom[k]);
		out->atom[out->n++] = first ? a->atom[i++] : b->atom[k++];
	}
	return !__builtin_mul_overflow(a->coef, b->coef, &out->coef);
}

const Sym *sym_mul(SymSpace *s, const Sym *a, const Sym *b)
{
	if (!a || !b) return NULL;
	Sum sum = {.n = 0};
	for (uint32_t i = 0; i <= a->n; i++)
		for (uint32_t k = 0; k <= b->n; k++) {
			SymTerm x = i < a->n ? a->term[i] : (SymTerm){.coef = a->constant};
			SymTerm y = k < b->n ? b->term[k] : (SymTerm){.coef = b->constant}, xy;
			if (x.coef == 0 || y.coef == 0) continue;
			if (!term_mul(&x, &y, &xy)) return NULL;
			sum_add(&sum, &xy, 1);
		}
	return sum_done(s, &sum);
}

bool sym_equal(const Sym *a, const Sym *b)
{
	if (!a || !b || a->n != b->n || a->constant != b->constant) return false;
	for (uint32_t k = 0; k < a->n; k++)
		if (a->term[k].coef != b->term[k].coef || compare(&a->term[k], &b->term[k]) != 0)
			return false;
	return true;
}

bool sym_is_const(const Sym *a, int64_t *v)
{
	if (!a || a->n) return false;
	*v = a->constant;
	return true;
}

static uint32_t bucket_of(AtomKind kind, const Sym *a)
{
	uint64_t h = (uint64_t)a->constant * 31 + (uint64_t)kind;
	for (uint32_t k = 0; k < a->n; k++) {
		h = h * 1099511628211u + (uint64_t)a->term[k].coef;
		for (uint32_t i = 0; i < a->term[k].n; i++) h = h * 1099511628211u + a->term[k].atom[i];
	}
	return (uint32_t)(h >> 32 ^ h) % BUCKETS;
}

static uint32_t new_shared(SymSpace *s, SymAtom atom)
{
	if (!s->bucket) s->bucket = NEW_ARRAY(s->arena, uint32_t, BUCKETS);
	uint32_t *head = &s->bucket[bucket_of(atom.kind, atom.a)];
	atom.next = *head;
	*head = (uint32_t)s->atoms.n + 1;
	return sym_new(s, atom);
}

/* The same minimum, maximum or quotient is the same atom, so that it cancels against itself. */
static uint32_t shared_atom(SymSpace *s, SymAtom atom)
{
	uint32_t at = s->bucket ? s->bucket[bucket_of(atom.kind, atom.a)] : 0;
	for (; at; at = s->atoms.at[at - 1].next) {
		const SymAtom *x = &s->atoms.at[at - 1];
		if (x->kind != atom.kind || x->scale != atom.scale || !sym_equal(x->a, atom.a)) continue;
		if (atom.kind == ATOM_FDIV || sym_equal(x->b, atom.b)) return at - 1;
	}
	return new_shared(s, atom);
}

void sym_forget(SymSpace *s, size_t atoms)
{
	while (s->atoms.n > atoms) {
		const SymAtom *x = &s->atoms.at[--s->atoms.n];
		bool shared = x->kind == ATOM_MIN || x->kind == ATOM_MAX || x->kind == ATOM_FDIV;
		if (shared) s->bucket[bucket_of(x->kind, x->a)] = x->next;
	}
}

static bool is_dynamic(const SymSpace *s, const Sym *a)
{
	for (uint32_t k = 0; a && k < a->n; k++)
		for (uint32_t i = 0; i < a->term[k].n; i++)
			if (s->atoms.at[a->term[k].atom[i]].dynamic) return true;
	return false;
}

uint32_t sym_new(SymSpace *s, SymAtom atom)
{
	atom.dynamic = atom.kind == ATOM_INDEX || atom.kind == ATOM_FREE || is_dynamic(s, atom.a) ||
	               is_dynamic(s, atom.b);
	vec_push(s->arena, &s->atoms, atom);
	return (uint32_t)(s->atoms.n - 1);
}

/* --- ranges -------------------------------------------------------------------------------------------- */

/* Saturating: an end that is not known stays so. */
static int64_t end_add(int64_t a, int64_t b, int64_t infinite)
{
	int64_t v;
	if (a == infinite || b == infinite) return infinite;
	return __builtin_add_overflow(a, b, &v) ? infinite : v;
}

static int64_t end_mul(int64_t a, int64_t b)
{
	int64_t v;
	if (!__builtin_mul_overflow(a, b, &v)) return v;
	return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

static bool is_open(int64_t v)
{
	return v == INT64_MIN || v == INT64_MAX;
}

static void range_mul(int64_t *lo, int64_t *hi, int64_t l, int64_t h)
{
	int64_t corner[4] = {end_mul(*lo, l), end_mul(*lo, h), end_mul(*hi, l), end_mul(*hi, h)};
	if ((is_open(*lo) || is_open(*hi)) && (l < 0 || is_open(l) || is_open(h)) &&
	    !(*lo >= 0 && l >= 0)) {
		*lo = INT64_MIN;
		*hi = INT64_MAX;
		return;
	}
	*lo = *hi = corner[0];
	for (uint32_t k = 1; k < 4; k++) {
		if (corner[k] < *lo) *lo = corner[k];
		if (corner[k] > *hi) *hi = corner[k];
	}
}

void sym_range(const SymSpace *s, const Sym *a, int64_t *lo, int64_t *hi)
{
	*lo = INT64_MIN;
	*hi = INT64_MAX;
	if (!a) return;
	*lo = *hi = a->constant;
	for (uint32_t k = 0; k < a->n; k++) {
		const SymTerm *t = &a->term[k];
		int64_t l = 1, h = 1;
		for (uint32_t i = 0; i < t->n; i++)
			range_mul(&l, &h, s->atoms.at[t->atom[i]].lo, s->atoms.at[t->atom[i]].hi);
		int64_t low = t->coef < 0 ? h : l, high = t->coef < 0 ? l : h;
		low = is_open(low) ? INT64_MIN : end_mul(low, t->coef);
		high = is_open(high) ? INT64_MAX : end_mul(high, t->coef);
		if (low == INT64_MAX) low = INT64_MIN;
		if (high == INT64_MIN) high = INT64_MAX;
		*lo = end_add(*lo, low, INT64_MIN);
		*hi = end_add(*hi, high, INT64_MAX);
	}
}

static const Sym *choose(SymSpace *s, const Sym *a, const Sym *b, bool least)
{
	if (!a || !b) return NULL;
	int64_t al, ah, bl, bh, lo, hi;
	sym_range(s, sym_add(s, a, b, -1), &lo, &hi);
	if (lo >= 0) return least ? b : a;
	if (hi <= 0) return least ? a : b;
	sym_range(s, a, &al, &ah);
	sym_range(s, b, &bl, &bh);
	SymAtom x = {.kind = least ? ATOM_MIN : ATOM_MAX,
	             .name = least ? "min" : "max",
	             .a = a,
	             .b = b,
	             .scale = 1};
	x.lo = least ? (al < bl ? al : bl) : (al > bl ? al : bl);
	x.hi = least ? (ah < bh ? ah : bh) : (ah > bh ? ah : bh);
	x.varies = a->varies || b->varies;
	return sym_atom(s, shared_atom(s, x));
}

const Sym *sym_min(SymSpace *s, const Sym *a, const Sym *b)
{
	return choose(s, a, b, true);
}
const Sym *sym_max(SymSpace *s, const Sym *a, const Sym *b)
{
	return choose(s, a, b, false);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return q - (a % b != 0 && (a < 0) != (b < 0));
}

/* a // c as it was written before; else by a quotient with a divisor of c: (a // 16) // 2 for a // 32,
 * so that what is known of one helps the other. NULL: neither is there. */
static const Sym *known_quotient(SymSpace *s, const Sym *a, int64_t c)
{
	uint32_t at = s->bucket ? s->bucket[bucket_of(ATOM_FDIV, a)] : 0, part = 0;
	int64_t scale = 1;
	for (; at; at = s->atoms.at[at - 1].next) {
		const SymAtom *x = &s->atoms.at[at - 1];
		if (x->kind != ATOM_FDIV || !sym_equal(x->a, a)) continue;
		if (x->scale == c) return x->alias ? x->alias : sym_atom(s, at - 1);
		if (x->alias || x->scale <= scale || c % x->scale) continue;
		scale = x->scale;
		part = at;
	}
	if (!part) return NULL;
	const Sym *alias = sym_fdiv(s, sym_atom(s, part - 1), sym_const(s, c / scale));
	SymAtom x = {.kind = ATOM_FDIV, .name = "quotient", .a = a, .scale = c, .alias = alias};
	if (alias) new_shared(s, x);
	return alias;
}

const Sym *sym_fdiv(SymSpace *s, const Sym *a, const Sym *b)
{
	int64_t c, v;
	if (!a || !sym_is_const(b, &c) || c < 1) return NULL;
	if (sym_is_const(a, &v)) return sym_const(s, floor_div(v, c));
	bool exact = a->constant % c == 0;
	for (uint32_t k = 0; k < a->n; k++) exact = exact && a->term[k].coef % c == 0;
	if (exact) {
		Sum sum = {.constant = a->constant / c, .n = a->n};
		memcpy(sum.term, a->term, a->n * sizeof sum.term[0]);
		for (uint32_t k = 0; k < sum.n; k++) sum.term[k].coef /= c;
		return sum_done(s, &sum);
	}
	const Sym *known = known_quotient(s, a, c);
	if (known) return known;
	SymAtom x = {.kind = ATOM_FDIV,
	             .name = "quotient",
	             .a = a,
	             .scale = c,
	             .high = {a, NULL},
	             .varies = a->varies};
	x.low[0] = sym_add(s, a, sym_const(s, 1 - c), 1);
	sym_range(s, a, &x.lo, &x.hi);
	if (!is_open(x.lo)) x.lo = floor_div(x.lo, c);
	if (!is_open(x.hi)) x.hi = floor_div(x.hi, c);
	return sym_atom(s, shared_atom(s, x));
}

/* --- proofs ------------------------------------------------------------------------------------------------ */

/* a = coef * atom + rest; false when the atom appears squared. */
static bool split(SymSpace *s, const Sym *a, uint32_t atom, const Sym **coef, const Sym **rest)
{
	Sum c = {.n = 0}, r = {.constant = a->constant};
	for (uint32_t k = 0; k < a->n; k++) {
		SymTerm t = a->term[k], without = {.coef = t.coef};
		uint32_t times = 0;
		for (uint32_t i = 0; i < t.n; i++)
			if (t.atom[i] == atom)
				times++;
			else
				without.atom[without.n++] = t.atom[i];
		if (times > 1) return false;
		if (times)
			sum_add(&c, &without, 1);
		else
			sum_add(&r, &t, 1);
	}
	*coef = sum_done(s, &c);
	*rest = sum_done(s, &r);
	return *coef && *rest;
}

static bool prove(SymSpace *s, const Sym *a, uint32_t depth);

/* coef * bound + scale * rest >= 0, where scale * atom is on the right side of bound. */
static bool with_bound(SymSpace *s, const Sym *coef, const Sym *rest, const Sym *bound,
                       int64_t scale, uint32_t depth)
{
	return bound && prove(s, sym_add(s, sym_mul(s, coef, bound), rest, scale), depth);
}

static bool with_facts(SymSpace *s, uint32_t atom, const Sym *coef, const Sym *rest, bool lower,
                       uint32_t depth)
{
	for (size_t k = s->facts.n, n = 0; k-- > 0 && n < MOST_FACTS; n++) {
		const Sym *c, *r;
		int64_t v;
		if (!split(s, s->facts.at[k], atom, &c, &r) || !sym_is_const(c, &v) || v == 0 ||
		    v == INT64_MIN)
			continue;
		if ((v > 0) != lower) continue;
		/* v * atom + r >= 0: v > 0: v * atom >= -r; else -v * atom <= r */
		const Sym *bound = lower ? sym_add(s, sym_const(s, 0), r, -1) : r;
		if (with_bound(s, coef, rest, bound, lower ? v : -v, depth)) return true;
	}
	return false;
}

/* Ways to replace an atom by a bound: what is then to be proved. */
typedef struct Ways {
	const Sym *goal[5];
	uint32_t dynamic[5], n; /* terms of a goal that depend on loops */
} Ways;

static uint32_t dynamic_terms(const SymSpace *s, const Sym *a)
{
	uint32_t n = 0;
	for (uint32_t k = 0; k < a->n; k++) {
		bool any = false;
		for (uint32_t i = 0; i < a->term[k].n; i++) any |= s->atoms.at[a->term[k].atom[i]].dynamic;
		n += any;
	}
	return n;
}

/* Whether the newest atoms of a are older than those of b: fewer loops are left to get rid of. */
static bool is_older(const Sym *a, const Sym *b)
{
	for (uint32_t i = a->n, k = b->n; k > 0; i--, k--) {
		int order = i ? compare(&a->term[i - 1], &b->term[k - 1]) : -1;
		if (order) return order < 0;
	}
	return false;
}

static void add_way(SymSpace *s, Ways *w, const Sym *coef, const Sym *rest, const Sym *bound,
                    int64_t scale)
{
	const Sym *goal = bound ? sym_add(s, sym_mul(s, coef, bound), rest, scale) : NULL;
	if (!goal) return;
	uint32_t dynamic = s->by_gain ? dynamic_terms(s, goal) : 0, at = w->n++;
	for (; at && s->by_gain; at--) {
		uint32_t other = w->dynamic[at - 1];
		if (other < dynamic || (other == dynamic && !is_older(goal, w->goal[at - 1]))) break;
		w->goal[at] = w->goal[at - 1];
		w->dynamic[at] = other;
	}
	w->goal[at] = goal;
	w->dynamic[at] = dynamic;
}

static bool eliminate(SymSpace *s, uint32_t atom, const Sym *coef, const Sym *rest, bool lower,
                      uint32_t depth)
{
	const SymAtom x = s->atoms.at[atom];
	const Sym *const *bounds = lower ? x.low : x.high;
	int64_t end = lower ? x.lo : x.hi, none;
	Ways w = {.n = 0};
	for (uint32_t k = 0; k < 2; k++)
		if (is_open(end) || !sym_is_const(bounds[k], &none)) /* else the end is as tight */
			add_way(s, &w, coef, rest, bounds[k], x.scale);
	if (x.kind == ATOM_MIN || x.kind == ATOM_MAX) {
		/* the least of two: above a bound when both are, below it when one is */
		if ((x.kind == ATOM_MIN) != lower) {
			add_way(s, &w, coef, rest, x.a, 1);
			add_way(s, &w, coef, rest, x.b, 1);
		} else if (with_bound(s, coef, rest, x.a, 1, depth) &&
		           with_bound(s, coef, rest, x.b, 1, depth))
			return true;
	}
	if (!is_open(end)) add_way(s, &w, coef, rest, sym_const(s, end), 1);
	for (uint32_t k = 0; k < w.n; k++)
		if (prove(s, w.goal[k], depth)) return true;
	return with_facts(s, atom, coef, rest, lower, depth);
}

/* a = rest + (atom - end) * quotient, where the atom appears squared. */
static bool divide(SymSpace *s, const Sym *a, uint32_t atom, const Sym *end, const Sym **quotient,
                   const Sym **rest)
{
	const Sym *of[SYM_DEGREE + 1], *x = sym_atom(s, atom);
	for (uint32_t power = 0; power <= SYM_DEGREE; power++) {
		Sum c = {.constant = power ? 0 : a->constant};
		for (uint32_t k = 0; k < a->n; k++) {
			SymTerm t = a->term[k], without = {.coef = t.coef};
			for (uint32_t i = 0; i < t.n; i++)
				if (t.atom[i] != atom) without.atom[without.n++] = t.atom[i];
			if (t.n - without.n == power) sum_add(&c, &without, 1);
		}
		of[power] = sum_done(s, &c);
	}
	const Sym *b = of[SYM_DEGREE], *q = sym_const(s, 0);
	for (uint32_t power = SYM_DEGREE; power-- > 0;) {
		q = sym_add(s, sym_mul(s, q, x), b, 1);
		b = sym_add(s, sym_mul(s, b, end), of[power], 1);
	}
	*quotient = q;
	*rest = b;
	return q && b;
}

/* Where the atom appears squared: a is at least what it is at an end of the atom's range, when the
 * quotient by the distance from there has the right sign. */
static bool by_an_end(SymSpace *s, const Sym *a, uint32_t atom, uint32_t depth)
{
	const SymAtom x = s->atoms.at[atom];
	for (uint32_t k = 0; k < 6; k++) {
		bool lower = k < 3;
		const Sym *end = k % 3 < 2 && x.scale == 1 ? (lower ? x.low : x.high)[k % 3] : NULL;
		if (k % 3 == 2 && !is_open(lower ? x.lo : x.hi)) end = sym_const(s, lower ? x.lo : x.hi);
		const Sym *q, *rest;
		if (!end || !divide(s, a, atom, end, &q, &rest)) continue;
		if (!lower) q = sym_add(s, sym_const(s, 0), q, -1);
		if (prove(s, q, depth) && prove(s, rest, depth)) return true;
	}
	return false;
}

static bool prove(SymSpace *s, const Sym *a, uint32_t depth)
{
	if (!a || depth == 0 || s->fuel == 0) return false;
	s->fuel--;
	int64_t lo, hi;
	sym_range(s, a, &lo, &hi);
	if (lo >= 0) return true;
	if (hi < 0 || a->n == 0) return false;
	/* the greatest atom stands last in the greatest term */
	const SymTerm *last = &a->term[a->n - 1];
	uint32_t atom = last->atom[last->n - 1];
	const Sym *coef, *rest;
	if (!split(s, a, atom, &coef, &rest)) return by_an_end(s, a, atom, depth - 1);
	sym_range(s, coef, &lo, &hi);
	if (lo >= 0) return eliminate(s, atom, coef, rest, true, depth - 1);
	if (hi <= 0) return eliminate(s, atom, coef, rest, false, depth - 1);
	if (prove(s, coef, depth - 1)) return eliminate(s, atom, coef, rest, true, depth - 1);
	if (prove(s, sym_add(s, sym_const(s, 0), coef, -1), depth - 1))
		return eliminate(s, atom, coef, rest, false, depth - 1);
	return false;
}

bool sym_prove(SymSpace *s, const Sym *a)
{
	int64_t lo, hi;
	sym_range(s, a, &lo, &hi);
	if (lo >= 0) return true;
	Arena *kept = s->arena;
	ArenaMark mark = arena_mark(kept);
	bool proved = false;
	/* of the ways to go on, those first that rid an expression of loops: else as bounds come */
	for (uint32_t k = 0; k < 2 && !proved; k++) {
		s->fuel = FUEL;
		s->by_gain = k == 0;
		proved = prove(s, a, 40); /* makes no atoms: everything may go again */
		arena_reset(kept, mark);
	}
	return proved;
}

/* --- witnesses ------------------------------------------------------------------------------------------------ */

static bool value_of(const Sym *a, const int64_t *value, int64_t *out)
{
	int64_t sum = a->constant;
	for (uint32_t k = 0; k < a->n; k++) {
		int64_t v = a->term[k].coef;
		for (uint32_t i = 0; i < a->term[k].n; i++)
			if (__builtin_mul_overflow(v, value[a->term[k].atom[i]], &v)) return false;
		if (__builtin_add_overflow(sum, v, &sum)) return false;
	}
	*out = sum;
	return true;
}

/* The ends between which an atom lies, given the values of those that it depends on. */
static bool ends_of(const SymAtom *x, const int64_t *value, int64_t *lo, int64_t *hi)
{
	int64_t v;
	*lo = x->lo;
	*hi = x->hi;
	for (uint32_t k = 0; k < 2; k++) {
		if (x->low[k]) {
			if (!value_of(x->low[k], value, &v)) return false;
			v = -floor_div(-v, x->scale);
			if (v > *lo) *lo = v;
		}
		if (x->high[k]) {
			if (!value_of(x->high[k], value, &v)) return false;
			v = floor_div(v, x->scale);
			if (v < *hi) *hi = v;
		}
	}
	return *lo <= *hi;
}

static bool needed_by(const Sym *a, bool *need)
{
	for (uint32_t k = 0; a && k < a->n; k++)
		for (uint32_t i = 0; i < a->term[k].n; i++) need[a->term[k].atom[i]] = true;
	return a != NULL;
}

/* Sets every needed atom; bit k of `pick`: the k-th one with a choice takes its upper end. */
static bool assign(const SymSpace *s, const bool *need, uint32_t pick, int64_t *value,
                   uint32_t *choices)
{
	*choices = 0;
	for (uint32_t k = 0; k < s->atoms.n; k++) {
		const SymAtom *x = &s->atoms.at[k];
		int64_t a, b;
		if (!need[k]) continue;
		if (x->kind == ATOM_MIN || x->kind == ATOM_MAX) {
			if (!value_of(x->a, value, &a) || !value_of(x->b, value, &b)) return false;
			value[k] = (a < b) == (x->kind == ATOM_MIN) ? a : b;
		} else if (x->kind == ATOM_FDIV) {
			if (!value_of(x->a, value, &a)) return false;
			value[k] = floor_div(a, x->scale);
		} else {
			if (!ends_of(x, value, &a, &b)) return false;
			if (a == INT64_MIN) a = b < -1000 ? b : -1000;
			if (b == INT64_MAX) b = a > 1000 ? a : 1000;
			value[k] = pick >> (*choices)++ % 32 & 1 ? b : a;
		}
	}
	return true;
}

const char *sym_witness(SymSpace *s, Arena *to, const Sym *a)
{
	bool *need = NEW_ARRAY(s->arena, bool, s->atoms.n + 1);
	int64_t *value = NEW_ARRAY(s->arena, int64_t, s->atoms.n + 1);
	if (!needed_by(a, need)) return NULL;
	for (uint32_t k = 0; k < s->facts.n; k++) needed_by(s->facts.at[k], need);
	for (size_t k = s->atoms.n; k-- > 0;) {
		const SymAtom *x = &s->atoms.at[k];
		if (!need[k]) continue;
		for (uint32_t i = 0; i < 2; i++) needed_by(x->low[i], need), needed_by(x->high[i], need);
		needed_by(x->a, need);
		needed_by(x->b, need);
	}
	uint32_t choices = 0;
	for (uint32_t pick = 0; pick < WITNESS_TRIES; pick++) {
		int64_t v;
		bool holds = assign(s, need, pick, value, &choices) && value_of(a, value, &v) && v < 0;
		for (uint32_t k = 0; k < s->facts.n && holds; k++)
			holds = value_of(s->facts.at[k], value, &v) && v >= 0;
		if (!holds) {
			if (choices < 12 && pick >> choices) break;
			continue;
		}
		Text t = text_new(to);
		for (uint32_t k = 0; k < s->atoms.n; k++) {
			const SymAtom *x = &s->atoms.at[k];
			if (!need[k] ||
			    (x->kind != ATOM_PARAM && x->kind != ATOM_INDEX && x->kind != ATOM_FREE))
				continue;
			text_printf(&t, "%s%s = %lld", t.n ? ", " : "", x->name, (long long)value[k]);
		}
		return t.n ? t.at : "any values";
	}
	return NULL;
}

enum { TEXT_DEPTH = 4 };

static void put_sym(const SymSpace *s, const Sym *a, Text *t, uint32_t depth);

/* A minimum or quotient is shown by what it is of, down to a depth. */
static void put_atom(const SymSpace *s, uint32_t atom, Text *t, uint32_t depth)
{
	const SymAtom *x = &s->atoms.at[atom];
	if (depth == 0 || (x->kind != ATOM_MIN && x->kind != ATOM_MAX && x->kind != ATOM_FDIV)) {
		text_puts(t, x->name);
		return;
	}
	text_puts(t, x->kind == ATOM_FDIV ? "(" : x->kind == ATOM_MIN ? "min(" : "max(");
	put_sym(s, x->a, t, depth - 1);
	if (x->kind == ATOM_FDIV)
		text_printf(t, ")//%lld", (long long)x->scale);
	else {
		text_puts(t, ", ");
		put_sym(s, x->b, t, depth - 1);
		text_puts(t, ")");
	}
}

static void put_sym(const SymSpace *s, const Sym *a, Text *t, uint32_t depth)
{
	for (uint32_t k = a->n; k-- > 0;) {
		const SymTerm *x = &a->term[k];
		text_puts(t, x->coef < 0 ? (k + 1 == a->n ? "-" : " - ") : k + 1 == a->n ? "" : " + ");
		uint64_t size = x->coef < 0 ? 0 - (uint64_t)x->coef : (uint64_t)x->coef;
		if (size != 1) text_printf(t, "%llu*", (unsigned long long)size);
		for (uint32_t i = 0; i < x->n; i++) {
			if (i) text_puts(t, "*");
			put_atom(s, x->atom[i], t, depth);
		}
	}
	if (!a->n)
		text_printf(t, "%lld", (long long)a->constant);
	else if (a->constant)
		text_printf(t, " %c %llu", a->constant < 0 ? '-' : '+',
		            (unsigned long long)(a->constant < 0 ? 0 - (uint64_t)a->constant
		                                                 : (uint64_t)a->constant));
}

void sym_text(const SymSpace *s, const Sym *a, Text *t)
{
	if (a)
		put_sym(s, a, t, TEXT_DEPTH);
	else
		text_puts(t, "a value that cannot be followed");
}
