/* Symbolic integers: interned polynomials over atoms. Two expressions that the canonical form can
 * prove equal are the same pointer, so equality is comparison of pointers. */
#include "ir/dim_internal.h"

#include <string.h>

enum { FIRST_SLOTS = 1 << 8, MOST_TERMS = 512, MOST_ARMS = 8 };

/* --- interning --- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static uint64_t expr_hash(const DimExpr *e)
{
	uint64_t h = mix(1, (uint64_t)e->constant);
	for (uint32_t i = 0; i < e->n; i++) {
		h = mix(h, (uint64_t)e->term[i].coef);
		for (uint32_t k = 0; k < e->term[i].n; k++) h = mix(h, atom_id(e->term[i].atom[k]));
	}
	return h;
}

static bool expr_equal(const DimExpr *a, const DimExpr *b)
{
	if (a->constant != b->constant || a->n != b->n) return false;
	for (uint32_t i = 0; i < a->n; i++) {
		const DimTerm *s = &a->term[i], *t = &b->term[i];
		if (s->coef != t->coef || s->n != t->n ||
		    memcmp(s->atom, t->atom, s->n * sizeof *s->atom) != 0)
			return false;
	}
	return true;
}

static void grow_exprs(DimPool *p)
{
	uint32_t slots = p->expr_slots * 2;
	DimExpr **table = NEW_ARRAY(p->arena, DimExpr *, slots);
	for (uint32_t i = 0; i < p->expr_slots; i++)
		for (DimExpr *e = p->exprs[i], *next; e; e = next) {
			next = e->chain;
			e->chain = table[e->hash & (slots - 1)];
			table[e->hash & (slots - 1)] = e;
		}
	p->exprs = table;
	p->expr_slots = slots;
}

/* The one expression equal to `e`, whose terms are sorted and have no zero coefficient. */
static Dim intern_expr(DimPool *p, const DimExpr *e)
{
	uint64_t h = expr_hash(e);
	for (DimExpr *at = p->exprs[h & (p->expr_slots - 1)]; at; at = at->chain)
		if (at->hash == h && expr_equal(at, e)) return at;
	if (p->n_exprs >= p->expr_slots) grow_exprs(p);
	DimExpr *copy = NEW(p->arena, DimExpr);
	*copy = *e;
	copy->hash = h;
	copy->id = p->n_exprs++;
	copy->term = NULL;
	if (e->n) {
		copy->term = NEW_ARRAY(p->arena, DimTerm, e->n);
		memcpy(copy->term, e->term, e->n * sizeof *e->term);
	}
	copy->chain = p->exprs[h & (p->expr_slots - 1)];
	p->exprs[h & (p->expr_slots - 1)] = copy;
	return copy;
}

static void grow_atoms(DimPool *p)
{
	uint32_t slots = p->atom_slots * 2;
	AtomRecord **table = NEW_ARRAY(p->arena, AtomRecord *, slots);
	for (uint32_t i = 0; i < p->atom_slots; i++)
		for (AtomRecord *e = p->atoms[i], *next; e; e = next) {
			next = e->chain;
			e->chain = table[e->hash & (slots - 1)];
			table[e->hash & (slots - 1)] = e;
		}
	p->atoms = table;
	p->atom_slots = slots;
}

static const DimAtom *intern_atom(DimPool *p, DimAtomKind kind, DimSym *sym, Dim a, Dim b)
{
	uint64_t h = mix(kind, sym ? sym->id : 0);
	if (a) h = mix(mix(h, a->hash), b->hash);
	for (AtomRecord *at = p->atoms[h & (p->atom_slots - 1)]; at; at = at->chain)
		if (at->atom.kind == kind && at->atom.sym == sym && at->atom.a == a && at->atom.b == b)
			return &at->atom;
	if (p->n_atoms >= p->atom_slots) grow_atoms(p);
	AtomRecord *r = NEW(p->arena, AtomRecord);
	r->atom = (DimAtom){kind, sym, a, b};
	r->id = p->n_atoms++;
	r->hash = h;
	r->chain = p->atoms[h & (p->atom_slots - 1)];
	p->atoms[h & (p->atom_slots - 1)] = r;
	return &r->atom;
}

DimPool *dim_pool_new(Arena *a)
{
	DimPool *p = NEW(a, DimPool);
	p->arena = a;
	p->expr_slots = p->atom_slots = FIRST_SLOTS;
	p->exprs = NEW_ARRAY(a, DimExpr *, FIRST_SLOTS);
	p->atoms = NEW_ARRAY(a, AtomRecord *, FIRST_SLOTS);
	DimExpr *poison = NEW(a, DimExpr);
	poison->poison = true;
	p->poison = poison;
	return p;
}

DimSym *dim_sym_new(DimPool *p, const char *name, DimSymKind kind, Dim lo, Dim hi, Span span)
{
	DimSym *s = NEW(p->arena, DimSym);
	*s = (DimSym){
		.name = name, .kind = kind, .id = (uint32_t)p->syms.n, .lo = lo, .hi = hi, .span = span};
	vec_push(p->arena, &p->syms, s);
	return s;
}

uint32_t dim_pool_syms(const DimPool *p)
{
	return (uint32_t)p->syms.n;
}

DimSym *dim_pool_sym(const DimPool *p, uint32_t id)
{
	return p->syms.at[id];
}

/* --- terms --- */

static int atoms_compare(const DimTerm *a, const DimTerm *b)
{
	if (a->n != b->n) return a->n < b->n ? -1 : 1;
	for (uint32_t i = 0; i < a->n; i++) {
		uint32_t x = atom_id(a->atom[i]), y = atom_id(b->atom[i]);
		if (x != y) return x < y ? -1 : 1;
	}
	return 0;
}

bool dim_is_poison(Dim d)
{
	return d->poison;
}

bool dim_is_const(Dim d, int64_t *value)
{
	if (d->n || d->poison) return false;
	if (value) *value = d->constant;
	return true;
}

DimSym *dim_as_sym(Dim d)
{
	if (d->poison || d->constant || d->n != 1 || d->term[0].coef != 1 || d->term[0].n != 1)
		return NULL;
	return d->term[0].atom[0]->kind == ATOM_SYM ? d->term[0].atom[0]->sym : NULL;
}

int64_t dim_constant(Dim d)
{
	return d->constant;
}

uint32_t dim_terms(Dim d)
{
	return d->n;
}

DimTerm dim_term(Dim d, uint32_t i)
{
	return d->term[i];
}

Dim dim_const(DimPool *p, int64_t v)
{
	return intern_expr(p, &(DimExpr){.constant = v});
}

static Dim of_atom(DimPool *p, const DimAtom *atom)
{
	const DimAtom **list = NEW_ARRAY(p->arena, const DimAtom *, 1);
	list[0] = atom;
	DimTerm t = {1, 1, list};
	return intern_expr(p, &(DimExpr){.n = 1, .term = &t});
}

Dim dim_sym(DimPool *p, DimSym *s)
{
	return of_atom(p, intern_atom(p, ATOM_SYM, s, NULL, NULL));
}

/* a + k * b */
static Dim add_scaled(DimPool *p, Dim a, Dim b, int64_t k)
{
	DimExpr e = {0};
	int64_t scaled;
	if (a->poison || b->poison || a->n + b->n > MOST_TERMS) return p->poison;
	if (__builtin_mul_overflow(b->constant, k, &scaled) ||
	    __builtin_add_overflow(a->constant, scaled, &e.constant))
		return p->poison;
	DimTerm few[16];
	e.term = a->n + b->n <= COUNT(few) ? few : NEW_ARRAY(p->arena, DimTerm, a->n + b->n);
	for (uint32_t i = 0, j = 0; i < a->n || j < b->n;) {
		int c = i == a->n ? 1 : j == b->n ? -1 : atoms_compare(&a->term[i], &b->term[j]);
		DimTerm t = c <= 0 ? a->term[i] : b->term[j];
		if (c > 0) t.coef = 0;
		if (c >= 0 && (__builtin_mul_overflow(b->term[j].coef, k, &scaled) ||
		               __builtin_add_overflow(t.coef, scaled, &t.coef)))
			return p->poison;
		i += c <= 0;
		j += c >= 0;
		if (t.coef) e.term[e.n++] = t;
	}
	return intern_expr(p, &e);
}

Dim dim_add(DimPool *p, Dim a, Dim b)
{
	return add_scaled(p, a, b, 1);
}

Dim dim_sub(DimPool *p, Dim a, Dim b)
{
	return add_scaled(p, a, b, -1);
}

Dim dim_addc(DimPool *p, Dim a, int64_t c)
{
	return add_scaled(p, a, dim_const(p, c), 1);
}

Dim dim_mulc(DimPool *p, Dim a, int64_t c)
{
	return add_scaled(p, dim_const(p, 0), a, c);
}

/* coef * atoms of a and b, sorted */
static Dim term_product(DimPool *p, const DimTerm *a, const DimTerm *b)
{
	DimTerm t = {0};
	if (__builtin_mul_overflow(a->coef, b->coef, &t.coef)) return p->poison;
	const DimAtom **list = NEW_ARRAY(p->arena, const DimAtom *, a->n + b->n + 1);
	for (uint32_t i = 0, j = 0; i < a->n || j < b->n;) {
		bool left = j == b->n || (i < a->n && atom_id(a->atom[i]) <= atom_id(b->atom[j]));
		list[t.n++] = left ? a->atom[i++] : b->atom[j++];
	}
	t.atom = list;
	if (!t.coef) return dim_const(p, 0);
	return intern_expr(p, &(DimExpr){.n = 1, .term = &t});
}

Dim dim_mul(DimPool *p, Dim a, Dim b)
{
	if (a->poison || b->poison || (a->n && b->n > MOST_TERMS / a->n)) return p->poison;
	if (!b->n) return dim_mulc(p, a, b->constant);
	if (!a->n) return dim_mulc(p, b, a->constant);
	Dim sum = dim_const(p, 0);
	int64_t c;
	if (__builtin_mul_overflow(a->constant, b->constant, &c)) return p->poison;
	sum = dim_const(p, c);
	for (uint32_t i = 0; i < a->n; i++) {
		for (uint32_t j = 0; j < b->n; j++)
			sum = dim_add(p, sum, term_product(p, &a->term[i], &b->term[j]));
		sum = dim_add(
			p, sum,
			dim_mulc(p, intern_expr(p, &(DimExpr){.n = 1, .term = &a->term[i]}), b->constant));
	}
	return dim_add(p, sum,
	               add_scaled(p, dim_const(p, 0), dim_addc(p, b, -b->constant), a->constant));
}

/* --- division --- */

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return q - (a % b != 0 && (a % b < 0) != (b < 0));
}

static int64_t gcd(int64_t a, int64_t b)
{
	while (b) {
		int64_t r = a % b;
		a = b;
		b = r;
	}
	return a < 0 ? -a : a;
}

static bool inside(Dim r, Dim b, DimPool *p)
{
	int64_t lo, hi;
	dim_range(&(DimFacts){.pool = p}, r, &lo, &hi);
	if (lo < 0) return false;
	dim_range(&(DimFacts){.pool = p}, dim_sub(p, b, r), &lo, &hi);
	return lo >= 1;
}

static Dim div_const(DimPool *p, Dim a, int64_t c)
{
	DimExpr q = {.constant = floor_div(a->constant, c)},
			r = {.constant = a->constant - c * q.constant};
	q.term = NEW_ARRAY(p->arena, DimTerm, a->n + 1);
	r.term = NEW_ARRAY(p->arena, DimTerm, a->n + 1);
	int64_t g = c;
	for (uint32_t i = 0; i < a->n; i++) {
		DimTerm t = a->term[i];
		bool whole = t.coef % c == 0;
		if (whole) t.coef /= c;
		if (whole)
			q.term[q.n++] = t;
		else {
			r.term[r.n++] = t;
			g = gcd(g, t.coef);
		}
	}
	Dim quotient = intern_expr(p, &q), rest = intern_expr(p, &r), divisor = dim_const(p, c);
	if (!r.n || inside(rest, divisor, p)) return quotient;
	if (g > 1) { /* (g*x + k) // (g*d) = (x + k//g) // d */
		for (uint32_t i = 0; i < r.n; i++) r.term[i].coef /= g;
		r.constant = floor_div(r.constant, g);
		return dim_add(p, quotient, div_const(p, intern_expr(p, &r), c / g));
	}
	if (r.n == 1 && !r.constant && r.term[0].coef == 1 && r.term[0].n == 1 &&
	    r.term[0].atom[0]->kind == ATOM_FLOORDIV) {
		const DimAtom *inner = r.term[0].atom[0]; /* (x // y) // c = x // (y*c) */
		return dim_add(p, quotient, dim_floordiv(p, inner->a, dim_mulc(p, inner->b, c)));
	}
	return dim_add(p, quotient, of_atom(p, intern_atom(p, ATOM_FLOORDIV, NULL, rest, divisor)));
}

/* t / b when b is one product whose atoms all occur in t: the quotient's term. */
static bool term_divides(DimPool *p, const DimTerm *t, const DimTerm *b, DimTerm *out)
{
	if (b->coef == -1 && t->coef == INT64_MIN) return false;
	if (t->coef % b->coef) return false;
	const DimAtom **list = NEW_ARRAY(p->arena, const DimAtom *, t->n + 1);
	*out = (DimTerm){t->coef / b->coef, 0, list};
	uint32_t j = 0;
	for (uint32_t i = 0; i < t->n; i++) {
		if (j < b->n && t->atom[i] == b->atom[j])
			j++;
		else
			list[out->n++] = t->atom[i];
	}
	return j == b->n;
}

Dim dim_floordiv(DimPool *p, Dim a, Dim b)
{
	int64_t c;
	if (a->poison || b->poison) return p->poison;
	if (a == b) return dim_const(p, 1);
	if (dim_is_const(b, &c)) {
		if (c == 0) return p->poison;
		if (c > 0) return div_const(p, a, c);
		Dim minus = dim_mulc(p, a, -1);
		return minus->poison || c == INT64_MIN ? p->poison : div_const(p, minus, -c);
	}
	Dim quotient = dim_const(p, 0), rest = a;
	if (b->n == 1 && !b->constant) {
		for (uint32_t i = 0; i < a->n; i++) {
			DimTerm t;
			if (!term_divides(p, &a->term[i], &b->term[0], &t)) continue;
			quotient = dim_add(p, quotient,
			                   t.n ? intern_expr(p, &(DimExpr){.n = 1, .term = &t})
			                       : dim_const(p, t.coef));
			rest = dim_sub(p, rest, intern_expr(p, &(DimExpr){.n = 1, .term = &a->term[i]}));
		}
	}
	if ((!rest->n && !rest->constant) || inside(rest, b, p)) return quotient;
	return dim_add(p, quotient, of_atom(p, intern_atom(p, ATOM_FLOORDIV, NULL, rest, b)));
}

Dim dim_ceildiv(DimPool *p, Dim a, Dim b)
{
	return dim_floordiv(p, dim_addc(p, dim_add(p, a, b), -1), b);
}

Dim dim_mod(DimPool *p, Dim a, Dim b)
{
	return dim_sub(p, a, dim_mul(p, b, dim_floordiv(p, a, b)));
}

static uint32_t collect_arms(Dim d, DimAtomKind kind, Dim *arm, uint32_t n)
{
	if (!d->constant && d->n == 1 && d->term[0].coef == 1 && d->term[0].n == 1 &&
	    d->term[0].atom[0]->kind == kind) {
		const DimAtom *a = d->term[0].atom[0];
		return collect_arms(a->b, kind, arm, collect_arms(a->a, kind, arm, n));
	}
	if (n < MOST_ARMS) arm[n] = d;
	return n + 1;
}

/* Flattened into a chain: arms in the order of their creation, none decided by ranges. */
static Dim min_max(DimPool *p, Dim a, Dim b, DimAtomKind kind)
{
	DimFacts none = {.pool = p};
	Dim arm[MOST_ARMS], kept[MOST_ARMS] = {0};
	if (a->poison || b->poison) return p->poison;
	uint32_t n = collect_arms(b, kind, arm, collect_arms(a, kind, arm, 0)), k = 0;
	if (n > MOST_ARMS) {
		arm[0] = a;
		arm[1] = b;
		n = 2;
	}
	for (uint32_t i = 0; i < n; i++) {
		bool out = false;
		for (uint32_t j = 0; j < n && !out; j++) {
			Dim lo = kind == ATOM_MIN ? arm[j] : arm[i], hi = kind == ATOM_MIN ? arm[i] : arm[j];
			out =
				j != i && arm[j] && (arm[i] == arm[j] ? j < i : dim_le(&none, lo, hi) == PROOF_YES);
		}
		if (out) {
			arm[i] = NULL;
			continue;
		}
		uint32_t at = k++;
		for (; at > 0 && kept[at - 1]->id > arm[i]->id; at--) kept[at] = kept[at - 1];
		kept[at] = arm[i];
	}
	Dim all = kept[0];
	for (uint32_t i = 1; i < k; i++) all = of_atom(p, intern_atom(p, kind, NULL, all, kept[i]));
	return all;
}

Dim dim_min(DimPool *p, Dim a, Dim b)
{
	return min_max(p, a, b, ATOM_MIN);
}

Dim dim_max(DimPool *p, Dim a, Dim b)
{
	return min_max(p, a, b, ATOM_MAX);
}

/* --- structure --- */

void dim_visit_syms(Dim d, void (*visit)(void *ctx, DimSym *s), void *ctx)
{
	for (uint32_t i = 0; i < d->n; i++)
		for (uint32_t k = 0; k < d->term[i].n; k++) {
			const DimAtom *a = d->term[i].atom[k];
			if (a->kind == ATOM_SYM) {
				visit(ctx, a->sym);
			} else {
				dim_visit_syms(a->a, visit, ctx);
				dim_visit_syms(a->b, visit, ctx);
			}
		}
}

bool dim_mentions(Dim d, const DimSym *s)
{
	for (uint32_t i = 0; i < d->n; i++)
		for (uint32_t k = 0; k < d->term[i].n; k++) {
			const DimAtom *a = d->term[i].atom[k];
			if (a->kind == ATOM_SYM ? a->sym == s : dim_mentions(a->a, s) || dim_mentions(a->b, s))
				return true;
		}
	return false;
}

Dim dim_apply(DimPool *p, DimAtomKind kind, Dim a, Dim b)
{
	switch (kind) {
	case ATOM_FLOORDIV: return dim_floordiv(p, a, b);
	case ATOM_MIN: return dim_min(p, a, b);
	case ATOM_MAX: return dim_max(p, a, b);
	case ATOM_SYM: break;
	}
	return p->poison;
}

Dim dim_substitute(DimPool *p, Dim d, Dim (*repl)(void *ctx, DimSym *s), void *ctx)
{
	if (d->poison) return d;
	Dim sum = dim_const(p, d->constant);
	for (uint32_t i = 0; i < d->n; i++) {
		Dim product = dim_const(p, d->term[i].coef);
		for (uint32_t k = 0; k < d->term[i].n; k++) {
			const DimAtom *a = d->term[i].atom[k];
			Dim v;
			if (a->kind == ATOM_SYM) {
				v = repl(ctx, a->sym);
				if (!v) v = of_atom(p, a);
			} else {
				Dim x = dim_substitute(p, a->a, repl, ctx);
				v = dim_apply(p, a->kind, x, dim_substitute(p, a->b, repl, ctx));
			}
			product = dim_mul(p, product, v);
		}
		sum = dim_add(p, sum, product);
	}
	return sum;
}

static Dim of_term(DimPool *p, DimTerm t)
{
	return t.n ? intern_expr(p, &(DimExpr){.n = 1, .term = &t}) : dim_const(p, t.coef);
}

bool dim_split(DimPool *p, Dim d, const DimAtom *atom, Dim *coef, Dim *rest)
{
	Dim c = dim_const(p, 0), r = dim_const(p, d->constant);
	if (d->poison) return false;
	for (uint32_t i = 0; i < d->n; i++) {
		const DimTerm *t = &d->term[i];
		uint32_t times = 0;
		for (uint32_t k = 0; k < t->n; k++) times += t->atom[k] == atom;
		if (!times) {
			r = dim_add(p, r, of_term(p, *t));
			continue;
		}
		const DimAtom **list = NEW_ARRAY(p->arena, const DimAtom *, t->n + 1);
		DimTerm left = {t->coef, 0, list};
		bool taken = false;
		for (uint32_t k = 0; k < t->n; k++) {
			if (t->atom[k] != atom || taken)
				list[left.n++] = t->atom[k];
			else
				taken = true;
		}
		c = dim_add(p, c, of_term(p, left));
	}
	*coef = c;
	*rest = r;
	return true;
}

bool dim_linear_in(DimPool *p, Dim d, const DimSym *s, Dim *coef, Dim *rest)
{
	for (uint32_t i = 0; i < d->n; i++)
		for (uint32_t k = 0; k < d->term[i].n; k++) {
			const DimAtom *a = d->term[i].atom[k];
			if (a->kind != ATOM_SYM && (dim_mentions(a->a, s) || dim_mentions(a->b, s)))
				return false;
		}
	return dim_split(p, d, intern_atom(p, ATOM_SYM, (DimSym *)s, NULL, NULL), coef, rest) &&
	       !dim_mentions(*coef, s);
}

/* --- values --- */

static bool eval_atom(const DimAtom *a, DimValue *value, void *ctx, int64_t *out)
{
	int64_t x, y;
	if (a->kind == ATOM_SYM) return value(ctx, a->sym, out);
	if (!dim_eval(a->a, value, ctx, &x) || !dim_eval(a->b, value, ctx, &y)) return false;
	if (a->kind == ATOM_FLOORDIV && (y == 0 || (x == INT64_MIN && y == -1))) return false;
	*out = a->kind == ATOM_FLOORDIV ? floor_div(x, y)
	       : a->kind == ATOM_MIN    ? (x < y ? x : y)
	                                : (x > y ? x : y);
	return true;
}

bool dim_eval(Dim d, DimValue *value, void *ctx, int64_t *out)
{
	int64_t sum = d->constant;
	if (d->poison) return false;
	for (uint32_t i = 0; i < d->n; i++) {
		int64_t product = d->term[i].coef, v;
		for (uint32_t k = 0; k < d->term[i].n; k++)
			if (!eval_atom(d->term[i].atom[k], value, ctx, &v) ||
			    __builtin_mul_overflow(product, v, &product))
				return false;
		if (__builtin_add_overflow(sum, product, &sum)) return false;
	}
	*out = sum;
	return true;
}
