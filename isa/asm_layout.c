/* Where the tensors of a text lie when it does not say: row-major, by the upper ends of the parameters'
 * ranges, one after the other, each in a region of its name; and numbers that follow from that.
 * `x.0` is the step in bytes between elements of tensor x along dim 0, so that the same text fits
 * wherever who links it into another program puts x. */
#include "isa/internal.h"

#include <string.h>

/* --- bounds of size expressions -------------------------------------------------------------------- */

typedef struct Bounds {
	int64_t lo, hi;
} Bounds;

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t greatest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t floor_quotient(int64_t a, int64_t b)
{
	return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* The extremes over the corners of both ranges; false when one does not fit. */
static bool corners(int32_t code, Bounds a, Bounds b, Bounds *out)
{
	*out = (Bounds){INT64_MAX, INT64_MIN};
	for (int k = 0; k < 4; k++) {
		int64_t x = k & 1 ? a.hi : a.lo, y = k & 2 ? b.hi : b.lo, v;
		if (code == EXPR_MUL) {
			if (__builtin_mul_overflow(x, y, &v)) return false;
		} else {
			if (y == -1 && x == INT64_MIN) return false;
			v = floor_quotient(x, y);
		}
		*out = (Bounds){least(out->lo, v), greatest(out->hi, v)};
	}
	return true;
}

static bool combine(int32_t code, Bounds a, Bounds b, Bounds *out)
{
	switch (code) {
	case EXPR_ADD:
		return !__builtin_add_overflow(a.lo, b.lo, &out->lo) &&
		       !__builtin_add_overflow(a.hi, b.hi, &out->hi);
	case EXPR_SUB:
		return !__builtin_sub_overflow(a.lo, b.hi, &out->lo) &&
		       !__builtin_sub_overflow(a.hi, b.lo, &out->hi);
	case EXPR_MIN: *out = (Bounds){least(a.lo, b.lo), least(a.hi, b.hi)}; return true;
	case EXPR_MAX: *out = (Bounds){greatest(a.lo, b.lo), greatest(a.hi, b.hi)}; return true;
	case EXPR_MUL: return corners(code, a, b, out);
	default:
		if (b.lo < 1) return false; /* a divisor that may be 0 */
		if (code == EXPR_FLOORDIV) return corners(code, a, b, out);
		*out = (Bounds){0, b.hi - 1};
		return true;
	}
}

/* Least and greatest value for all parameters, or more; false when nothing is known. */
static bool bounds_of(const ExprWord *e, const Bounds *param, Bounds *out)
{
	Bounds stack[EXPR_STACK + 1];
	uint32_t n = 0;
	for (; e->code != EXPR_END; e++) {
		if (e->code == EXPR_CONST) {
			stack[n++] = (Bounds){e->value, e->value};
		} else if (e->code == EXPR_PARAM) {
			stack[n++] = param[e->value];
		} else {
			Bounds v;
			n--;
			if (!combine(e->code, stack[n - 1], stack[n], &v)) return false;
			stack[n - 1] = v;
		}
	}
	*out = stack[0];
	return true;
}

static bool param_bounds(const Assembler *s, Bounds *out)
{
	for (size_t k = 0; k < s->params.n; k++) {
		Bounds lo, hi;
		if (!bounds_of(s->params.at[k].lo, out, &lo) || !bounds_of(s->params.at[k].hi, out, &hi))
			return false;
		out[k] = (Bounds){lo.lo, hi.hi};
	}
	return true;
}

/* --- tensors ---------------------------------------------------------------------------------------------- */

enum { TENSOR_ALIGN = 512, FIRST_ADDRESS = 4096 };

static const ExprWord *constant_expr(Assembler *s, int64_t v)
{
	ExprWord *e = NEW_ARRAY(s->p->arena, ExprWord, 2);
	e[0] = (ExprWord){EXPR_CONST, 0, v};
	e[1].code = EXPR_END;
	return e;
}

static const int64_t *given_strides(const Assembler *s, const char *tensor)
{
	for (uint32_t k = 0; s->placing && k < s->placing->n; k++)
		if (strcmp(s->placing->name[k], tensor) == 0) return s->placing->stride[k];
	return NULL;
}

void asm_place_tensor(Assembler *s, InterfaceTensor *t, Span at)
{
	Bounds *param = NEW_ARRAY(s->arena, Bounds, s->params.n + 1), dim;
	int64_t run = pearl_dtype[t->dtype].bits / 8, bytes;
	bool known = param_bounds(s, param);
	const int64_t *given = given_strides(s, t->name);
	if (!run) {
		asm_error_at(s, at,
		             "elements of `%s` are smaller than a byte: say where it lies, by bytes, "
		             "strides and address",
		             t->name);
		return;
	}
	bytes = run;
	for (uint32_t d = t->rank; d-- > 0 && known;) {
		known = bounds_of(t->dim[d], param, &dim) && dim.hi >= 0;
		if (!known) break;
		t->stride[d] = given ? given[d] : run;
		int64_t here = 0;
		known = !__builtin_mul_overflow(run, greatest(dim.hi, 1), &run) &&
		        !__builtin_mul_overflow(t->stride[d], greatest(dim.hi, 1), &here);
		bytes = greatest(bytes, here);
	}
	uint64_t first = (s->tensors_end + TENSOR_ALIGN - 1) / TENSOR_ALIGN * TENSOR_ALIGN;
	if (first < FIRST_ADDRESS) first = FIRST_ADDRESS;
	if (!known || bytes > s->p->machine.hbm_bytes ||
	    first > (uint64_t)(s->p->machine.hbm_bytes - bytes)) {
		asm_error_at(s, at, "there is no room for `%s` at the upper ends of its dims", t->name);
		return;
	}
	t->plain = 1;
	t->address = first;
	t->bytes = constant_expr(s, bytes);
}

/* What follows lies behind it. */
void asm_note_tensor(Assembler *s, const InterfaceTensor *t)
{
	Bounds *param = NEW_ARRAY(s->arena, Bounds, s->params.n + 1), bytes;
	if (!param_bounds(s, param) || !bounds_of(t->bytes, param, &bytes) || bytes.hi < 0) return;
	uint64_t end;
	if (!__builtin_add_overflow(t->address, (uint64_t)bytes.hi, &end) && end > s->tensors_end)
		s->tensors_end = end;
}

/* The region of a tensor that has none of its own yet. */
static uint32_t tensor_region(Assembler *s, uint32_t number)
{
	const InterfaceTensor *t = &s->tensors.at[number];
	Bounds *param = NEW_ARRAY(s->arena, Bounds, s->params.n + 1), bytes;
	for (uint32_t k = 0; k < s->p->regions.n; k++)
		if (s->p->regions.at[k].tensor == (int32_t)number) return k;
	if (!param_bounds(s, param) || !bounds_of(t->bytes, param, &bytes) || bytes.hi < 0) {
		asm_error(s, "the size of tensor `%s` has no bound: declare its region", t->name);
		return 0;
	}
	bool constant = t->kind == IT_WEIGHT || t->kind == IT_IN || t->kind == IT_CONST;
	PearlRegion r = {.name = t->name,
	                 .space = SPACE_HBM,
	                 .readable = true,
	                 .writable = !constant,
	                 .address = (int64_t)t->address,
	                 .bytes = bytes.hi,
	                 .tensor = (int32_t)number};
	symbol_add(&s->symbols, SYMBOL_REGION, t->name, (uint32_t)s->p->regions.n);
	return pearl_add_region(s->p, &r);
}

uint32_t asm_region(Assembler *s)
{
	uint32_t n;
	if (!s->failed && s->at.kind == LEX_NAME &&
	    !symbol_find(&s->symbols, SYMBOL_REGION, s->at.text, &n) &&
	    symbol_find(&s->symbols, SYMBOL_TENSOR, s->at.text, &n)) {
		asm_next(s);
		return tensor_region(s, n);
	}
	return asm_reference(s, SYMBOL_REGION, (uint32_t)s->p->regions.n, "region");
}

/* --- constants ---------------------------------------------------------------------------------------------- */

enum { CONSTANT_DEPTH = 64 };

/* x.0 */
static int64_t stride_of(Assembler *s)
{
	Span at = asm_span(s);
	const char *name = s->at.text, *dot = strrchr(name, '.');
	uint32_t tensor,
		d = dot && dot[1] >= '0' && dot[1] <= '7' && !dot[2] ? (uint32_t)(dot[1] - '0') : 8;
	asm_next(s);
	if (d == 8 || !symbol_find(&s->symbols, SYMBOL_TENSOR,
	                           arena_strndup(s->arena, name, (size_t)(dot - name)), &tensor)) {
		Diag *m = asm_error_at(s, at, "expected a number, or the step of a tensor along a dim");
		diag_help(s->d, m, "the bytes from a row of tensor x to the next are  x.0");
		return 0;
	}
	const InterfaceTensor *t = &s->tensors.at[tensor];
	if (d < t->rank && t->stride[d]) return t->stride[d];
	if (d < t->rank)
		asm_error_at(s, at, "tensor `%s` is declared without strides", t->name);
	else
		asm_error_at(s, at, "tensor `%s` has %u dimension%s", t->name, t->rank,
		             t->rank == 1 ? "" : "s");
	return 0;
}

static int64_t constant_sum(Assembler *s, const char *what, uint32_t depth);

static int64_t constant_factor(Assembler *s, const char *what, uint32_t depth)
{
	if (depth > CONSTANT_DEPTH) {
		asm_error(s, "the expression is too deep");
		return 0;
	}
	if (!s->failed && s->at.kind == LEX_NAME) return stride_of(s);
	if (!asm_take(s, "(")) return asm_int(s, INT64_MIN, INT64_MAX, what);
	int64_t v = constant_sum(s, what, depth + 1);
	asm_expect(s, ")");
	return v;
}

static int64_t constant_product(Assembler *s, const char *what, uint32_t depth)
{
	int64_t v = constant_factor(s, what, depth);
	while (asm_take(s, "*"))
		if (__builtin_mul_overflow(v, constant_factor(s, what, depth), &v))
			asm_error(s, "the number does not fit 64 bits");
	return v;
}

static int64_t constant_sum(Assembler *s, const char *what, uint32_t depth)
{
	int64_t v = constant_product(s, what, depth);
	while (!s->failed && (asm_is(s, "+") || asm_is(s, "-"))) {
		bool less = asm_is(s, "-");
		asm_next(s);
		int64_t more = constant_product(s, what, depth);
		if (less ? __builtin_sub_overflow(v, more, &v) : __builtin_add_overflow(v, more, &v))
			asm_error(s, "the number does not fit 64 bits");
	}
	return v;
}

int64_t asm_constant(Assembler *s, int64_t lo, int64_t hi, const char *what)
{
	Span at = asm_span(s);
	int64_t v = constant_sum(s, what, 0);
	at.end = s->last_end;
	if (s->failed || (v >= lo && v <= hi)) return v;
	asm_error_at(s, at, "%s must lie in %lld..%lld", what, (long long)lo, (long long)hi);
	return lo;
}
