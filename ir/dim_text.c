/* Symbolic integers as text and as postfix. */
#include "ir/dim_internal.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* --- printing --- */

static void print_atom(Text *t, const DimAtom *a)
{
	static const char *const call[] = {[ATOM_MIN] = "min(", [ATOM_MAX] = "max("};
	bool plain = true;
	if (a->kind == ATOM_SYM) {
		text_puts(t, a->sym->name);
		return;
	}
	if (a->kind != ATOM_FLOORDIV) {
		text_puts(t, call[a->kind]);
		dim_print(t, a->a);
		text_puts(t, ", ");
		dim_print(t, a->b);
		text_puts(t, ")");
		return;
	}
	plain = dim_as_sym(a->a) != NULL;
	text_puts(t, plain ? "" : "(");
	dim_print(t, a->a);
	text_puts(t, plain ? "//" : ")//");
	plain = dim_is_const(a->b, NULL) || dim_as_sym(a->b);
	text_puts(t, plain ? "" : "(");
	dim_print(t, a->b);
	text_puts(t, plain ? "" : ")");
}

static void print_term(Text *t, const DimTerm *term, bool first)
{
	uint64_t size = term->coef < 0 ? 0 - (uint64_t)term->coef : (uint64_t)term->coef;
	if (!first)
		text_puts(t, term->coef < 0 ? " - " : " + ");
	else if (term->coef < 0)
		text_puts(t, "-");
	if (size != 1) text_printf(t, "%" PRIu64 "*", size);
	for (uint32_t k = 0; k < term->n; k++) {
		/* a//b binds like a product: it stands first or in brackets */
		bool bracket = term->atom[k]->kind == ATOM_FLOORDIV &&
		               (k > 0 || size != 1 || (first && term->coef < 0));
		text_puts(t, k ? "*" : "");
		text_puts(t, bracket ? "(" : "");
		print_atom(t, term->atom[k]);
		text_puts(t, bracket ? ")" : "");
	}
}

void dim_print(Text *t, Dim d)
{
	if (d->poison) {
		text_puts(t, "<overflow>");
		return;
	}
	/* positive terms first, so that `S - 1` does not read `-1 + S` */
	bool first = true;
	for (int sign = 1; sign >= -1; sign -= 2)
		for (uint32_t i = 0; i < d->n; i++)
			if ((d->term[i].coef > 0) == (sign > 0)) {
				print_term(t, &d->term[i], first);
				first = false;
			}
	if (first)
		text_printf(t, "%" PRId64, d->constant);
	else if (d->constant)
		text_printf(t, " %c %" PRIu64, d->constant < 0 ? '-' : '+',
		            d->constant < 0 ? 0 - (uint64_t)d->constant : (uint64_t)d->constant);
}

const char *dim_text(Arena *a, Dim d)
{
	Text t = text_new(a);
	dim_print(&t, d);
	return t.at;
}

/* --- parsing: sums of products of unary minus, numbers, names, calls and brackets --- */

typedef struct Parser {
	DimPool *p;
	const char *at;
	DimFind *find;
	void *ctx;
	const char *error;
	int depth;
} Parser;

static Dim parse_sum(Parser *s);

static Dim fail(Parser *s, const char *why)
{
	if (!s->error) s->error = why;
	return dim_const(s->p, 0);
}

static void skip(Parser *s)
{
	while (isspace((unsigned char)*s->at)) s->at++;
}

static bool take(Parser *s, const char *mark)
{
	skip(s);
	size_t n = strlen(mark);
	if (strncmp(s->at, mark, n) != 0) return false;
	s->at += n;
	return true;
}

static Dim parse_call(Parser *s, const char *name, size_t n)
{
	Dim a = parse_sum(s), b = a;
	if (take(s, ",")) b = parse_sum(s);
	if (!take(s, ")")) return fail(s, "expected `)`");
	if (n == 3 && memcmp(name, "min", 3) == 0) return dim_min(s->p, a, b);
	if (n == 3 && memcmp(name, "max", 3) == 0) return dim_max(s->p, a, b);
	if (n == 7 && memcmp(name, "ceildiv", 7) == 0) return dim_ceildiv(s->p, a, b);
	return fail(s, "only min, max and ceildiv can be called in an index expression");
}

static Dim parse_atom(Parser *s)
{
	skip(s);
	if (++s->depth > 100) return fail(s, "the expression is nested too deeply");
	Dim d;
	if (take(s, "-")) {
		d = dim_mulc(s->p, parse_atom(s), -1);
	} else if (take(s, "(")) {
		d = parse_sum(s);
		if (!take(s, ")")) fail(s, "expected `)`");
	} else if (isdigit((unsigned char)*s->at)) {
		int64_t v = 0;
		for (; isdigit((unsigned char)*s->at); s->at++)
			if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s->at - '0', &v))
				return fail(s, "the number does not fit 64 bits");
		d = dim_const(s->p, v);
	} else if (isalpha((unsigned char)*s->at) || *s->at == '_') {
		const char *from = s->at;
		while (isalnum((unsigned char)*s->at) || *s->at == '_') s->at++;
		size_t n = (size_t)(s->at - from);
		if (*s->at == '(') {
			s->at++;
			d = parse_call(s, from, n);
		} else {
			DimSym *sym = s->find(s->ctx, from, n);
			d = sym ? dim_sym(s->p, sym) : fail(s, "an undeclared name in an index expression");
			if (!sym) s->at = from;
		}
	} else {
		d = fail(s, "expected an index expression");
	}
	s->depth--;
	return d;
}

static Dim parse_product(Parser *s)
{
	Dim d = parse_atom(s);
	while (!s->error) {
		if (take(s, "//")) {
			Dim by = parse_atom(s);
			int64_t v;
			if (!s->error && dim_is_const(by, &v) && v == 0) return fail(s, "division by zero");
			d = dim_floordiv(s->p, d, by);
		} else if (take(s, "%")) {
			d = dim_mod(s->p, d, parse_atom(s));
		} else if (take(s, "*")) {
			d = dim_mul(s->p, d, parse_atom(s));
		} else {
			break;
		}
	}
	return d;
}

static Dim parse_sum(Parser *s)
{
	Dim d = parse_product(s);
	while (!s->error) {
		skip(s);
		if (s->at[0] == '-' && s->at[1] == '>') break;
		if (take(s, "+"))
			d = dim_add(s->p, d, parse_product(s));
		else if (take(s, "-"))
			d = dim_sub(s->p, d, parse_product(s));
		else
			break;
	}
	return d;
}

Dim dim_parse(DimPool *p, const char *s, const char **end, DimFind *find, void *ctx,
              const char **error)
{
	Parser parser = {.p = p, .at = s, .find = find, .ctx = ctx};
	Dim d = parse_sum(&parser);
	if (!parser.error && d->poison) parser.error = "the expression overflows 64 bits";
	/* blanks after the expression are not part of it */
	while (parser.at > s && isspace((unsigned char)parser.at[-1])) parser.at--;
	*end = parser.at;
	*error = parser.error;
	return parser.error ? NULL : d;
}

/* --- postfix --- */

typedef struct Writer {
	int32_t (*param)(void *ctx, const DimSym *s);
	void *ctx;
	Arena *arena;
	ExprVec *out;
	int depth;
	bool failed;
} Writer;

static void word(Writer *w, int32_t code, int64_t value)
{
	ExprWord e = {code, 0, value};
	w->depth += code == EXPR_CONST || code == EXPR_PARAM ? 1 : -1;
	if (w->depth > EXPR_STACK) w->failed = true;
	vec_push(w->arena, w->out, e);
}

static void write_dim(Writer *w, Dim d);

static void write_atom(Writer *w, const DimAtom *a)
{
	static const int32_t code[] = {
		[ATOM_FLOORDIV] = EXPR_FLOORDIV, [ATOM_MIN] = EXPR_MIN, [ATOM_MAX] = EXPR_MAX};
	if (a->kind == ATOM_SYM) {
		int32_t n = w->param(w->ctx, a->sym);
		w->failed |= n < 0;
		word(w, EXPR_PARAM, n);
		return;
	}
	write_dim(w, a->a);
	write_dim(w, a->b);
	word(w, code[a->kind], 0);
}

static void write_term(Writer *w, const DimTerm *t)
{
	bool first = t->coef == 1 && t->n > 0;
	if (!first) word(w, EXPR_CONST, t->coef);
	for (uint32_t k = 0; k < t->n; k++) {
		write_atom(w, t->atom[k]);
		if (!first) word(w, EXPR_MUL, 0);
		first = false;
	}
}

/* The constant comes last, and only where it counts: people read these in headers and assembly. */
static void write_dim(Writer *w, Dim d)
{
	for (uint32_t i = 0; i < d->n; i++) {
		write_term(w, &d->term[i]);
		if (i) word(w, EXPR_ADD, 0);
	}
	if (d->constant || !d->n) word(w, EXPR_CONST, d->constant);
	if (d->constant && d->n) word(w, EXPR_ADD, 0);
}

bool dim_to_expr(Dim d, int32_t (*param)(void *ctx, const DimSym *s), void *ctx, Arena *a,
                 ExprVec *out)
{
	Writer w = {param, ctx, a, out, 0, d->poison};
	if (w.failed) return false;
	write_dim(&w, d);
	ExprWord end = {EXPR_END, 0, 0};
	vec_push(a, out, end);
	return !w.failed;
}
