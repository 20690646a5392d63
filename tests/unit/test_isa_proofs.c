/* Proofs of the verifier against enumeration: what it says holds, holds for every value of every atom;
 * and the forms that bounds take in real programs are all proved. */
#include "isa/internal.h"

#include <criterion/criterion.h>
#include <string.h>

static Arena *arena;
static SymSpace space;

static void begin(void)
{
	arena = arena_new();
	space = (SymSpace){.arena = arena};
}

static void end(void)
{
	arena_free(arena);
}

TestSuite(proofs, .init = begin, .fini = end);

static const Sym *constant(int64_t v)
{
	return sym_const(&space, v);
}

static const Sym *plus(const Sym *a, const Sym *b)
{
	return sym_add(&space, a, b, 1);
}

static const Sym *minus(const Sym *a, const Sym *b)
{
	return sym_add(&space, a, b, -1);
}

static const Sym *times(const Sym *a, int64_t k)
{
	return sym_mul(&space, a, constant(k));
}

static const Sym *param(const char *name, int64_t lo, int64_t hi)
{
	SymAtom x = {.kind = ATOM_PARAM, .name = name, .lo = lo, .hi = hi, .scale = 1};
	x.low[0] = constant(lo);
	x.high[0] = constant(hi);
	return sym_atom(&space, sym_new(&space, x));
}

/* The number of an iteration over n in tiles, with the fact that there is one. */
static const Sym *iteration(const Sym *n, int64_t tile)
{
	const Sym *last = minus(n, constant(1));
	int64_t lo, hi;
	sym_range(&space, last, &lo, &hi);
	SymAtom x = {.kind = ATOM_INDEX,
	             .name = "i",
	             .lo = 0,
	             .hi = hi < 0 ? 0 : hi / tile,
	             .scale = tile,
	             .high = {last, NULL}};
	vec_push(arena, &space.facts, last);
	return sym_atom(&space, sym_new(&space, x));
}

static const Sym *length(const Sym *n, const Sym *i, int64_t tile)
{
	return sym_min(&space, constant(tile), minus(n, times(i, tile)));
}

/* --- enumeration ---------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t value_of(const Sym *a, const int64_t *value)
{
	int64_t sum = a->constant;
	for (uint32_t k = 0; k < a->n; k++) {
		int64_t v = a->term[k].coef;
		for (uint32_t i = 0; i < a->term[k].n; i++) v *= value[a->term[k].atom[i]];
		sum += v;
	}
	return sum;
}

/* The least value of e over all values of the atoms from k on that the facts allow. */
static void enumerate(uint32_t k, int64_t *value, const Sym *e, int64_t *least)
{
	if (k == space.atoms.n) {
		for (uint32_t f = 0; f < space.facts.n; f++)
			if (value_of(space.facts.at[f], value) < 0) return;
		int64_t v = value_of(e, value);
		if (v < *least) *least = v;
		return;
	}
	const SymAtom *x = &space.atoms.at[k];
	if (x->kind == ATOM_MIN || x->kind == ATOM_MAX) {
		int64_t a = value_of(x->a, value), b = value_of(x->b, value);
		value[k] = (a < b) == (x->kind == ATOM_MIN) ? a : b;
		enumerate(k + 1, value, e, least);
	} else if (x->kind == ATOM_FDIV) {
		value[k] = floor_div(value_of(x->a, value), x->scale);
		enumerate(k + 1, value, e, least);
	} else {
		int64_t lo = x->kind == ATOM_INDEX ? 0 : x->lo,
				hi = x->kind == ATOM_INDEX ? floor_div(value_of(x->high[0], value), x->scale)
		                                   : x->hi;
		for (value[k] = lo; value[k] <= hi; value[k]++) enumerate(k + 1, value, e, least);
	}
}

static int64_t least_value(const Sym *e)
{
	int64_t value[64] = {0}, least = INT64_MAX;
	cr_assert_lt(space.atoms.n, 64);
	enumerate(0, value, e, &least);
	return least;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static const Sym *random_sym(uint64_t *seed, const Sym **known, uint32_t n, uint32_t depth)
{
	uint64_t r = random_next(seed);
	if (depth == 0 || r % 4 == 0)
		return r / 4 % 3 ? known[r / 16 % n] : constant((int64_t)(r / 16 % 9) - 4);
	const Sym *a = random_sym(seed, known, n, depth - 1),
			  *b = random_sym(seed, known, n, depth - 1);
	switch (r / 4 % 7) {
	case 0: return plus(a, b);
	case 1: return minus(a, b);
	case 2: return times(a, (int64_t)(r / 64 % 7) - 3);
	case 3: return sym_min(&space, a, b);
	case 4: return sym_max(&space, a, b);
	case 5: return sym_fdiv(&space, a, constant((int64_t)(r / 64 % 4) + 1));
	default: return sym_mul(&space, a, b);
	}
}

/* Nothing false is proved, ranges hold, and of what is true most is found. */
Test(proofs, agree_with_enumeration)
{
	uint64_t seed = 2463534242u;
	uint32_t holds = 0, proved = 0;
	for (uint32_t round = 0; round < 6000; round++) {
		ArenaMark mark = arena_mark(arena);
		space = (SymSpace){.arena = arena};
		const Sym *known[6];
		known[0] =
			param("n", (int64_t)(random_next(&seed) % 4), 4 + (int64_t)(random_next(&seed) % 4));
		known[1] = param("m", -2, (int64_t)(random_next(&seed) % 4));
		for (uint32_t k = 2; k < 6; k += 2) {
			int64_t tile = 1 + (int64_t)(random_next(&seed) % 4);
			const Sym *n = k == 2                   ? known[0]
			               : random_next(&seed) % 2 ? constant(7)
			                                        : plus(known[0], known[1]);
			known[k] = iteration(n, tile);
			known[k + 1] = length(n, known[k], tile);
		}
		const Sym *e = random_sym(&seed, known, 6, 3);
		if (e && space.atoms.n < 64) {
			int64_t least = least_value(e), lo, hi;
			sym_range(&space, e, &lo, &hi);
			cr_assert(least == INT64_MAX || lo <= least, "round %u", round);
			/* close to the truth, on both sides */
			for (int64_t slack = -1; slack <= 1 && least != INT64_MAX; slack++) {
				bool shown = sym_prove(&space, plus(e, constant(slack - least)));
				Text t = text_new(arena);
				sym_text(&space, e, &t);
				cr_assert(!shown || slack >= 0, "round %u: %s >= %lld was proved, it can be %lld",
				          round, t.at, (long long)(least - slack), (long long)least);
				if (slack == 0) holds++, proved += shown;
			}
		}
		space = (SymSpace){0};
		arena_reset(arena, mark);
	}
	cr_assert_gt(proved * 10, holds * 6, "%u of %u bounds were proved exactly", proved, holds);
}

/* The last byte of a row-major tile, of a tile of a tile, of an alternating slot. */
Test(proofs, forms_of_programs)
{
	const Sym *n = param("n", 1, 512);
	const Sym *i = iteration(n, 64), *len = length(n, i, 64);
	cr_assert(sym_prove(&space, minus(n, plus(times(i, 64), len))));
	const Sym *j = iteration(len, 16), *part = length(len, j, 16);
	cr_assert(sym_prove(&space, minus(n, plus(plus(times(i, 64), times(j, 16)), part))));
	cr_assert(!sym_prove(
		&space, minus(minus(n, constant(1)), plus(plus(times(i, 64), times(j, 16)), part))));
	/* (i*4 + j) mod 2 slots of 1024 bytes */
	const Sym *turn = plus(times(i, 3), j),
			  *slot = minus(turn, times(sym_fdiv(&space, turn, constant(2)), 2));
	cr_assert(sym_prove(&space, slot));
	cr_assert(sym_prove(&space, minus(constant(1), slot)));
	/* a causal loop: at most n keys */
	const Sym *keys = plus(times(i, 64), len), *k = iteration(keys, 32);
	cr_assert(sym_prove(&space, minus(n, plus(times(k, 32), length(keys, k, 32)))));
	const char *when = sym_witness(&space, arena, minus(constant(511), plus(times(i, 64), len)));
	cr_assert(when && strstr(when, "n = 512"), "%s", when ? when : "none");
}

/* Images of any size: pieces of pieces of a row that two strides have halved, beside loops of other dims;
 * areas, in which a side appears squared. */
Test(proofs, forms_of_images)
{
	const Sym *two = constant(2), *x = param("X", 32, 640);
	for (uint32_t k = 0; k < 3; k++) x = sym_fdiv(&space, plus(x, constant(1)), two);
	const Sym *i1 = iteration(param("N", 1, 32), 1), *i2 = iteration(x, 1), *i3 = iteration(x, 10),
			  *len3 = length(x, i3, 10), *i4 = iteration(constant(144), 64),
			  *len4 = length(constant(144), i4, 64), *i5 = iteration(len3, 8),
			  *len5 = length(len3, i5, 8);
	const Sym *last = plus(times(i1, 3686400), times(i2, 46080));
	last = plus(last, plus(times(i3, 5760), plus(times(i5, 4608), times(len5, 576))));
	last = plus(last, plus(times(i4, 256), times(len4, 4)));
	cr_assert(sym_prove(&space, minus(constant(117965376), last)));
	cr_assert(!sym_prove(&space, minus(constant(117965375), last)));

	const Sym *s = param("s", 8, 44), *side = plus(times(s, 16), constant(-124));
	const Sym *area = sym_mul(&space, side, side);
	cr_assert(sym_prove(&space, plus(area, constant(-4 * 4))));
	cr_assert(!sym_prove(&space, plus(area, constant(-4 * 4 - 1))));
	cr_assert(sym_prove(&space, minus(constant(580 * 580), area)));
	cr_assert(!sym_prove(&space, minus(constant(580 * 580 - 1), area)));
}

/* A quotient or minimum is the same however much came between, and in whatever order its relatives came. */
Test(proofs, equal_values_are_equal)
{
	const Sym *y = param("y", 1, 1000), *deep[2], *least[2],
			  *first = sym_fdiv(&space, y, constant(32));
	size_t atoms = 0;
	for (uint32_t round = 0; round < 2; round++) {
		deep[round] = y;
		for (uint32_t k = 0; k < 5; k++)
			deep[round] = sym_fdiv(&space, plus(deep[round], constant(1)), constant(2));
		least[round] = sym_min(&space, y, constant(77));
		atoms = space.atoms.n;
		for (int64_t k = 2; k < 3000; k++) sym_fdiv(&space, plus(y, constant(k)), constant(k));
	}
	cr_assert(sym_equal(deep[0], deep[1]));
	cr_assert(sym_equal(least[0], least[1]));
	const Sym *quarter = sym_fdiv(&space, y, constant(4)),
			  *second = sym_fdiv(&space, y, constant(32));
	cr_assert(sym_equal(first, second));
	const Sym *eighth = sym_fdiv(&space, y, constant(8));
	cr_assert(sym_prove(&space, minus(quarter, times(eighth, 2))));
	cr_assert(sym_equal(eighth, sym_fdiv(&space, y, constant(8))));
	sym_forget(&space, atoms);
	cr_assert_eq(space.atoms.n, atoms);
	cr_assert(sym_equal(least[0], sym_min(&space, y, constant(77))));
	cr_assert_eq(space.atoms.n, atoms);
}
