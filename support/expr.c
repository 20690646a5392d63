/* Postfix integer expressions. Evaluation trusts what expr_check has accepted. */
#include "support/support.h"

bool expr_check(const ExprWord *e, size_t words, uint32_t params)
{
	int depth = 0;
	for (size_t i = 0; i < words; i++) {
		switch (e[i].code) {
		case EXPR_END: return depth == 1;
		case EXPR_PARAM:
			if (e[i].value < 0 || e[i].value >= (int64_t)params) return false;
			depth++;
			break;
		case EXPR_CONST: depth++; break;
		case EXPR_ADD:
		case EXPR_SUB:
		case EXPR_MUL:
		case EXPR_FLOORDIV:
		case EXPR_MOD:
		case EXPR_MIN:
		case EXPR_MAX:
			if (depth < 2) return false;
			depth--;
			break;
		default: return false;
		}
		if (depth > EXPR_STACK) return false;
	}
	return false;
}

static bool apply(int32_t code, int64_t a, int64_t b, int64_t *out)
{
	switch (code) {
	case EXPR_ADD: return !__builtin_add_overflow(a, b, out);
	case EXPR_SUB: return !__builtin_sub_overflow(a, b, out);
	case EXPR_MUL: return !__builtin_mul_overflow(a, b, out);
	case EXPR_MIN: *out = a < b ? a : b; return true;
	case EXPR_MAX: *out = a > b ? a : b; return true;
	default: break;
	}
	if (b == 0 || (a == INT64_MIN && b == -1)) return false;
	int64_t q = a / b, r = a % b;
	if (r != 0 && (r < 0) != (b < 0)) {
		q--;
		r += b;
	}
	*out = code == EXPR_MOD ? r : q;
	return true;
}

bool expr_eval(const ExprWord *e, const int64_t *params, int64_t *out)
{
	int64_t stack[EXPR_STACK] = {0};
	int n = 0;
	for (;; e++) {
		if (e->code == EXPR_END) {
			*out = stack[0];
			return true;
		}
		if (e->code == EXPR_CONST || e->code == EXPR_PARAM) {
			stack[n++] = e->code == EXPR_CONST ? e->value : params[e->value];
		} else {
			n--;
			if (!apply(e->code, stack[n - 1], stack[n], &stack[n - 1])) return false;
		}
	}
}
