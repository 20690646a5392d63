/* Scalar functions by their definitions, in double, and the evaluation of regions. */
#include "ir/scalar.h"

#include <math.h>
#include <string.h>

const ScalarInfo scalar_info[NUM_SCALARS] = {
#define SCALAR(id, name, arity, result, traits, summary)                                           \
	{name, arity, SCALAR_##result, traits, summary},
#include "ir/scalar.def"
};

bool scalar_from_name(const char *name, Scalar *out)
{
	for (uint32_t i = 0; i < NUM_SCALARS; i++)
		if (strcmp(scalar_info[i].name, name) == 0) {
			*out = (Scalar)i;
			return true;
		}
	return false;
}

static double wrap(int64_t v)
{
	return (double)(int32_t)(uint32_t)v;
}

static double eval_integer(Scalar f, double x, double y, double z)
{
	int64_t a = (int64_t)x, b = (int64_t)y, c = (int64_t)z, q;
	switch (f) {
	case SC_NEG: return wrap(-a);
	case SC_ABS: return wrap(a < 0 ? -a : a);
	case SC_RELU: return (double)(a > 0 ? a : 0);
	case SC_ADD: return wrap(a + b);
	case SC_SUB: return wrap(a - b);
	case SC_MUL: return wrap(a * b);
	case SC_FMA: return wrap(a * b + c);
	case SC_FLOORDIV:
	case SC_MOD:
		if (!b) return f == SC_MOD ? (double)a : 0;
		q = a / b - (a % b != 0 && (a % b < 0) != (b < 0));
		return wrap(f == SC_MOD ? a - b * q : q);
	default: break;
	}
	switch (f) {
	case SC_MIN: return x < y ? x : y;
	case SC_MAX: return x > y ? x : y;
	case SC_EQ: return a == b;
	case SC_NE: return a != b;
	case SC_LT: return a < b;
	case SC_LE: return a <= b;
	case SC_GT: return a > b;
	case SC_GE: return a >= b;
	case SC_SELECT: return x != 0 ? y : z;
	default: return 0;
	}
}

static double sigmoid(double a)
{
	return a >= 0 ? 1 / (1 + exp(-a)) : exp(a) / (1 + exp(a));
}

double scalar_eval(Scalar f, bool integer, double a, double b, double c)
{
	if (integer) return eval_integer(f, a, b, c);
	switch (f) {
	case SC_NEG: return -a;
	case SC_ABS: return fabs(a);
	case SC_EXP: return exp(a);
	case SC_EXP2: return exp2(a);
	case SC_LOG: return log(a);
	case SC_LOG2: return log2(a);
	case SC_SQRT: return sqrt(a);
	case SC_RSQRT: return 1 / sqrt(a);
	case SC_RECIP: return 1 / a;
	case SC_TANH: return tanh(a);
	case SC_SIGMOID: return sigmoid(a);
	case SC_ERF: return erf(a);
	case SC_SIN: return sin(a);
	case SC_COS: return cos(a);
	case SC_FLOOR: return floor(a);
	case SC_CEIL: return ceil(a);
	case SC_ROUND: return rint(a);
	case SC_RELU: return isnan(a) ? a : a > 0 ? a : 0;
	case SC_GELU: return a == -INFINITY ? 0 : 0.5 * a * erfc(-a * M_SQRT1_2);
	case SC_GELU_TANH:
		return a == -INFINITY ? 0
		                      : a * sigmoid(2 * 0.7978845608028653559 * (a + 0.044715 * a * a * a));
	case SC_SILU: return a == -INFINITY ? 0 : a * sigmoid(a);
	case SC_NOT: return a == 0;
	case SC_ADD: return a + b;
	case SC_SUB: return a - b;
	case SC_MUL: return a * b;
	case SC_DIV: return a / b;
	case SC_FLOORDIV: return floor(a / b);
	case SC_MOD: return a - b * floor(a / b);
	case SC_POW: return pow(a, b);
	case SC_MIN: return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
	case SC_MAX: return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
	case SC_EQ: return a == b;
	case SC_NE: return a != b;
	case SC_LT: return a < b;
	case SC_LE: return a <= b;
	case SC_GT: return a > b;
	case SC_GE: return a >= b;
	case SC_AND: return a != 0 && b != 0;
	case SC_OR: return a != 0 || b != 0;
	case SC_SELECT: return a != 0 ? b : c;
	case SC_FMA: return a * b + c;
	case NUM_SCALARS: break;
	}
	return 0;
}

DType dtype_widened(DType t)
{
	if (t == DT_BOOL) return DT_BOOL;
	return dtype_is_float(t) ? DT_F32 : DT_I32;
}

void region_eval(const Region *r, const double *arg, double *out, bool typed, DimValue *value,
                 void *ctx)
{
	double v[256];
	for (uint32_t i = 0; i < r->n && i < 256; i++) {
		const RegionNode *n = &r->node[i];
		int64_t d = 0;
		switch (n->kind) {
		case RN_ARG: v[i] = arg[n->index]; continue;
		case RN_CONST: v[i] = n->value; break;
		case RN_DIM:
			dim_eval(n->dim, value, ctx, &d);
			v[i] = (double)d;
			continue;
		case RN_CAST: v[i] = v[n->arg[0]]; break;
		case RN_CALL: {
			uint32_t arity = scalar_info[n->f].arity;
			DType of = r->node[n->arg[arity - 1]].type;
			v[i] = scalar_eval(n->f, dtype_widened(of) == DT_I32, v[n->arg[0]],
			                   arity > 1 ? v[n->arg[1]] : 0, arity > 2 ? v[n->arg[2]] : 0);
			break;
		}
		}
		if (typed || !dtype_is_float(n->type)) v[i] = dtype_round(n->type, v[i]);
	}
	for (uint32_t i = 0; i < r->n_out; i++) out[i] = v[r->out[i]];
}
