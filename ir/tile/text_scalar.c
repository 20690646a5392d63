/* The text form, writing half: names, index expressions and regions. Terms of an expression are
 * ordered by where their symbols are defined in the text, so the order is that of the text alone. */
#include "ir/tile/print.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- names --- */

const char *print_find(const PrintNames *in, const void *of)
{
	for (size_t i = in->list.n; i-- > 0;)
		if (in->list.at[i].of == of) return in->list.at[i].text;
	return NULL;
}

static bool is_taken(const PrintNames *in, const char *text)
{
	for (size_t i = in->list.n; i-- > 0;)
		if (in->list.at[i].text == text) return true;
	return false;
}

static const char *plain_word(Printer *p, const char *wanted)
{
	Text t = text_new(p->arena);
	if (!isalpha((unsigned char)*wanted)) text_puts(&t, "_");
	for (const char *c = wanted; *c; c++) text_append(&t, isalnum((unsigned char)*c) ? c : "_", 1);
	return t.at;
}

const char *print_define(Printer *p, PrintNames *in, const void *of, const char *wanted, bool plain)
{
	bool odd = !isalpha((unsigned char)*wanted) && *wanted != '_';
	for (const char *c = wanted; *c; c++) odd |= !isalnum((unsigned char)*c) && *c != '_';
	const char *base = plain && odd ? plain_word(p, wanted) : wanted;
	const char *text = intern_str(p->words, base);
	for (uint32_t k = 2; is_taken(in, text); k++)
		text = intern_str(p->words, arena_printf(p->arena, "%s_%u", base, k));
	PrintName name = {of, text};
	vec_push(p->arena, &in->list, name);
	return text;
}

/* --- index expressions --- */

typedef struct Factor {
	const char *key; /* orders */
	const char *text;
	bool quotient; /* a//b binds like a product */
} Factor;
typedef struct Term {
	uint64_t size;
	bool negative;
	const char *key;
	Factor *factor;
	uint32_t n;
} Term;

static int compare_factors(const void *a, const void *b)
{
	const Factor *x = a, *y = b;
	return strcmp(x->key, y->key);
}

static int compare_terms(const void *a, const void *b)
{
	const Term *x = a, *y = b;
	if (x->negative != y->negative) return x->negative ? 1 : -1;
	return strcmp(x->key, y->key);
}

static const char *dim_as_text(Printer *p, Dim d)
{
	Text t = text_new(p->arena);
	print_dim(p, &t, d);
	return t.at;
}

/* The operands of nested min or max, flattened. */
typedef VEC(Factor) Factors;
static void collect_arms(Printer *p, DimAtomKind kind, Dim d, Factors *out)
{
	if (!dim_is_poison(d) && dim_terms(d) == 1 && dim_constant(d) == 0) {
		DimTerm t = dim_term(d, 0);
		if (t.coef == 1 && t.n == 1 && t.atom[0]->kind == kind) {
			collect_arms(p, kind, t.atom[0]->a, out);
			collect_arms(p, kind, t.atom[0]->b, out);
			return;
		}
	}
	Factor f = {.text = dim_as_text(p, d)};
	f.key = f.text;
	vec_push(p->arena, out, f);
}

static const char *arms_text(Printer *p, const DimAtom *a)
{
	Factors arms = {0};
	collect_arms(p, a->kind, a->a, &arms);
	collect_arms(p, a->kind, a->b, &arms);
	qsort(arms.at, arms.n, sizeof *arms.at, compare_factors);
	Text t = text_new(p->arena);
	const char *call = a->kind == ATOM_MIN ? "min" : "max";
	for (size_t i = 0; i + 1 < arms.n; i++) text_printf(&t, "%s(%s, ", call, arms.at[i].text);
	text_puts(&t, arms.at[arms.n - 1].text);
	for (size_t i = 0; i + 1 < arms.n; i++) text_puts(&t, ")");
	return t.at;
}

static Factor factor_of(Printer *p, const DimAtom *a)
{
	if (a->kind == ATOM_SYM) {
		for (size_t i = p->syms.list.n; i-- > 0;)
			if (p->syms.list.at[i].of == a->sym)
				return (Factor){arena_printf(p->arena, "%06zu", i), p->syms.list.at[i].text, false};
		return (Factor){a->sym->name, a->sym->name, false};
	}
	Factor f = {.quotient = a->kind == ATOM_FLOORDIV};
	if (f.quotient) {
		bool one = dim_as_sym(a->a) != NULL, other = dim_is_const(a->b, NULL) || dim_as_sym(a->b);
		f.text =
			arena_printf(p->arena, "%s%s%s//%s%s%s", one ? "" : "(", dim_as_text(p, a->a),
		                 one ? "" : ")", other ? "" : "(", dim_as_text(p, a->b), other ? "" : ")");
	} else {
		f.text = arms_text(p, a);
	}
	f.key = arena_printf(p->arena, "~%s", f.text);
	return f;
}

static Term term_of(Printer *p, DimTerm from)
{
	Term t = {.negative = from.coef < 0, .n = from.n};
	t.size = t.negative ? 0 - (uint64_t)from.coef : (uint64_t)from.coef;
	t.factor = NEW_ARRAY(p->arena, Factor, from.n + 1);
	for (uint32_t i = 0; i < from.n; i++) t.factor[i] = factor_of(p, from.atom[i]);
	qsort(t.factor, t.n, sizeof *t.factor, compare_factors);
	Text key = text_new(p->arena);
	for (uint32_t i = 0; i < t.n; i++) text_printf(&key, "%s ", t.factor[i].key);
	t.key = key.at;
	return t;
}

static void print_term(Text *t, const Term *term, bool first)
{
	if (!first)
		text_puts(t, term->negative ? " - " : " + ");
	else if (term->negative)
		text_puts(t, "-");
	if (term->size != 1) text_printf(t, "%" PRIu64 "*", term->size);
	for (uint32_t k = 0; k < term->n; k++) {
		bool bracket =
			term->factor[k].quotient && (k > 0 || term->size != 1 || (first && term->negative));
		text_printf(t, "%s%s%s%s", k ? "*" : "", bracket ? "(" : "", term->factor[k].text,
		            bracket ? ")" : "");
	}
}

void print_dim(Printer *p, Text *t, Dim d)
{
	int64_t constant;
	if (dim_is_poison(d)) {
		text_puts(t, "<overflow>");
		return;
	}
	if (dim_is_const(d, &constant)) {
		text_printf(t, "%" PRId64, constant);
		return;
	}
	uint32_t n = dim_terms(d);
	Term *term = NEW_ARRAY(p->arena, Term, n + 1);
	for (uint32_t i = 0; i < n; i++) term[i] = term_of(p, dim_term(d, i));
	qsort(term, n, sizeof *term, compare_terms);
	for (uint32_t i = 0; i < n; i++) print_term(t, &term[i], i == 0);
	constant = dim_constant(d);
	if (constant)
		text_printf(t, " %c %" PRIu64, constant < 0 ? '-' : '+',
		            constant < 0 ? 0 - (uint64_t)constant : (uint64_t)constant);
}

/* --- regions --- */

typedef enum Strength {
	COMPARE = 1,
	SUM,
	PRODUCT,
	UNARY,
	WHOLE
} Strength; /* how tightly it binds */
typedef struct Infix {
	const char *mark;
	Strength strength;
} Infix;
static const Infix infix[NUM_SCALARS] = {
	[SC_ADD] = {"+", SUM},     [SC_SUB] = {"-", SUM},           [SC_MUL] = {"*", PRODUCT},
	[SC_DIV] = {"/", PRODUCT}, [SC_FLOORDIV] = {"//", PRODUCT}, [SC_MOD] = {"%", PRODUCT},
	[SC_EQ] = {"==", COMPARE}, [SC_NE] = {"!=", COMPARE},       [SC_LT] = {"<", COMPARE},
	[SC_LE] = {"<=", COMPARE}, [SC_GT] = {">", COMPARE},        [SC_GE] = {">=", COMPARE},
};

typedef struct RegionPrinter {
	Printer *p;
	const TileStmt *s;
	PrintNames names; /* of arguments (by access) and of nodes used more than once (by node) */
	uint32_t *uses;
} RegionPrinter;

static Strength strength_of(const RegionPrinter *r, uint32_t n)
{
	const RegionNode *node = &r->s->region.node[n];
	if (node->kind != RN_CALL || print_find(&r->names, node)) return WHOLE;
	if (node->f == SC_NEG) return UNARY;
	return infix[node->f].mark ? infix[node->f].strength : WHOLE;
}

/* An integer literal beside a float reads as a float, so there it is written as a cast. */
static void print_constant(Text *t, const RegionNode *n, bool beside_float)
{
	if (n->type == DT_BOOL) {
		text_puts(t, n->value != 0 ? "true" : "false");
	} else if (n->type == DT_I32) {
		text_printf(t, beside_float ? "i32(%.0f)" : "%.0f", n->value);
	} else {
		size_t from = t->n;
		text_double(t, n->value);
		if (strspn(t->at + from, "-0123456789") == t->n - from) text_puts(t, ".0");
	}
}

static void print_value(RegionPrinter *r, uint32_t n, Strength least, bool beside_float);

static bool beside_float(const Region *g, const RegionNode *n)
{
	bool any = false;
	for (uint32_t i = 0; n->kind == RN_CALL && i < scalar_info[n->f].arity; i++)
		any |= dtype_is_float(g->node[n->arg[i]].type);
	return any;
}

static void print_node(RegionPrinter *r, uint32_t at)
{
	Text *t = r->p->t;
	const Region *g = &r->s->region;
	const RegionNode *n = &g->node[at];
	bool near_float = beside_float(g, n);
	if (n->kind == RN_CAST) {
		text_printf(t, "%s(", dtype_name(n->type));
		print_value(r, n->arg[0], COMPARE, false);
		text_puts(t, ")");
	} else if (n->f == SC_NEG && g->node[n->arg[0]].kind != RN_CONST) {
		text_puts(t, "-");
		print_value(r, n->arg[0], UNARY, near_float);
	} else if (infix[n->f].mark) {
		Strength s = infix[n->f].strength;
		print_value(r, n->arg[0], s == COMPARE ? SUM : s, near_float);
		text_printf(t, " %s ", infix[n->f].mark);
		print_value(r, n->arg[1], s + 1, near_float);
	} else {
		text_printf(t, "%s(", scalar_info[n->f].name);
		for (uint32_t i = 0; i < scalar_info[n->f].arity; i++) {
			if (i) text_puts(t, ", ");
			print_value(r, n->arg[i], COMPARE, near_float);
		}
		text_puts(t, ")");
	}
}

static void print_value(RegionPrinter *r, uint32_t at, Strength least, bool near_float)
{
	Text *t = r->p->t;
	const RegionNode *n = &r->s->region.node[at];
	const char *name =
		print_find(&r->names, n->kind == RN_ARG ? (const void *)&r->s->in[n->index] : n);
	if (name) {
		text_puts(t, name);
	} else if (n->kind == RN_CONST) {
		print_constant(t, n, near_float);
	} else if (n->kind == RN_DIM) {
		text_puts(t, "[");
		print_dim(r->p, t, n->dim);
		text_puts(t, "]");
	} else {
		bool bracket = strength_of(r, at) < least;
		text_puts(t, bracket ? "(" : "");
		print_node(r, at);
		text_puts(t, bracket ? ")" : "");
	}
}

static void count_uses(RegionPrinter *r)
{
	const Region *g = &r->s->region;
	for (uint32_t i = 0; i < g->n_out; i++) r->uses[g->out[i]]++;
	for (uint32_t i = g->n; i-- > 0;) {
		const RegionNode *n = &g->node[i];
		if (!r->uses[i]) continue;
		uint32_t arity = n->kind == RN_CALL ? scalar_info[n->f].arity : n->kind == RN_CAST ? 1 : 0;
		for (uint32_t k = 0; k < arity; k++) r->uses[n->arg[k]]++;
	}
}

void print_region(Printer *p, const TileStmt *s)
{
	static const char *const reserved[] = {"true", "false", "inf", "nan"};
	const Region *g = &s->region;
	Text *t = p->t;
	RegionPrinter r = {.p = p, .s = s};
	r.uses = NEW_ARRAY(p->arena, uint32_t, g->n + 1);
	count_uses(&r);
	for (size_t i = 0; i < COUNT(reserved); i++)
		print_define(p, &r.names, reserved[i], reserved[i], true);
	text_puts(t, " {");
	for (uint32_t i = 0; i < s->n_in; i++) {
		const char *object = print_find(&p->objs, s->in[i].obj);
		text_printf(
			t, "%s%s", i ? ", " : " ",
			print_define(p, &r.names, &s->in[i], object ? object : s->in[i].obj->name, true));
	}
	text_puts(t, " -> ");
	for (uint32_t i = 0, made = 0; i < g->n; i++) {
		if (r.uses[i] < 2 || g->node[i].kind < RN_CAST) continue;
		text_printf(
			t, "%s = ",
			print_define(p, &r.names, &g->node[i], arena_printf(p->arena, "t%u", made++), true));
		print_node(&r, i);
		text_puts(t, "; ");
	}
	for (uint32_t i = 0; i < g->n_out; i++) {
		if (i) text_puts(t, ", ");
		print_value(&r, g->out[i], COMPARE, i < s->n_out && dtype_is_float(s->out[i].obj->dtype));
	}
	text_puts(t, " }");
}
