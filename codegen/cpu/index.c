/* Index expressions: symbolic integers as i64 values at the point where they are needed. Repeated
 * subexpressions are left to early-cse. */
#include "codegen/cpu/emit.h"

static size_t symbol_slot(Gen *g, const DimSym *s)
{
	if (s->id >= g->n_sym) {
		size_t n = s->id + SYMBOL_SLACK;
		g->sym = arena_grow(g->arena, g->sym, g->n_sym * sizeof *g->sym, n * sizeof *g->sym);
		g->sym_multiple = arena_grow(g->arena, g->sym_multiple, g->n_sym * sizeof *g->sym_multiple,
		                             n * sizeof *g->sym_multiple);
		g->n_sym = n;
	}
	return s->id;
}

void index_bind(Gen *g, const DimSym *s, Value v, int64_t multiple)
{
	size_t at = symbol_slot(g, s);
	g->sym[at] = v;
	g->sym_multiple[at] = multiple;
}

bool index_const(Dim d, int64_t *v)
{
	return d && dim_is_const(d, v);
}

void index_range(Gen *g, Dim d, int64_t *lo, int64_t *hi)
{
	DimFacts facts = {.pool = g->program->dims};
	facts.nonneg.at = g->program->require.at;
	facts.nonneg.n = g->program->require.n;
	dim_range(&facts, d, lo, hi);
}

/* Floor division: a shift or an unsigned division where the signs allow. */
static Value floordiv(Gen *g, Dim a, Dim b)
{
	Value x = index_value(g, a), y = index_value(g, b);
	int64_t c, lo, hi;
	if (value_is_const(y, &c) && c > 0 && (c & (c - 1)) == 0)
		return LLVMBuildAShr(g->build, x, const_i64(g, __builtin_ctzll((uint64_t)c)), "");
	index_range(g, a, &lo, &hi);
	bool positive = lo >= 0;
	index_range(g, b, &lo, &hi);
	if (positive && lo > 0) return LLVMBuildUDiv(g->build, x, y, "");
	/* q = x / y; the remainder's sign differs from y's: one less */
	Value q = LLVMBuildSDiv(g->build, x, y, ""),
		  r = LLVMBuildSub(g->build, x, LLVMBuildMul(g->build, q, y, ""), "");
	Value zero = const_i64(g, 0);
	Value off = LLVMBuildAnd(g->build, LLVMBuildICmp(g->build, LLVMIntNE, r, zero, ""),
	                         iless(g, LLVMBuildXor(g->build, r, y, ""), zero), "");
	return LLVMBuildSub(g->build, q, LLVMBuildZExt(g->build, off, g->i64, ""), "");
}

static Value atom_value(Gen *g, const DimAtom *a)
{
	switch (a->kind) {
	case ATOM_SYM:
		if (a->sym->id < g->n_sym && g->sym[a->sym->id]) return g->sym[a->sym->id];
		unsupported(g, a->sym->span, "`%s` has no value here", a->sym->name);
		return const_i64(g, 0);
	case ATOM_FLOORDIV: return floordiv(g, a->a, a->b);
	case ATOM_MIN: return imin(g, index_value(g, a->a), index_value(g, a->b));
	case ATOM_MAX: return imax(g, index_value(g, a->a), index_value(g, a->b));
	}
	return const_i64(g, 0);
}

Value index_value(Gen *g, Dim d)
{
	if (dim_is_poison(d)) {
		unsupported(g, span_none(), "an index expression overflows 64 bits");
		return const_i64(g, 0);
	}
	Value sum = const_i64(g, dim_constant(d));
	for (uint32_t i = 0; i < dim_terms(d); i++) {
		DimTerm t = dim_term(d, i);
		Value product = const_i64(g, t.coef);
		for (uint32_t j = 0; j < t.n; j++) product = imul(g, product, atom_value(g, t.atom[j]));
		sum = iadd(g, sum, product);
	}
	return sum;
}

bool index_multiple(Gen *g, Dim d, int64_t of)
{
	if (dim_constant(d) % of) return false;
	for (uint32_t i = 0; i < dim_terms(d); i++) {
		DimTerm t = dim_term(d, i);
		int64_t m = t.coef;
		bool divides = m % of == 0;
		for (uint32_t j = 0; j < t.n && !divides; j++) {
			const DimAtom *a = t.atom[j];
			int64_t known =
				a->kind == ATOM_SYM && a->sym->id < g->n_sym ? g->sym_multiple[a->sym->id] : 0;
			if (known && !__builtin_mul_overflow(m, known, &m)) divides = m % of == 0;
		}
		if (!divides) return false;
	}
	return true;
}
