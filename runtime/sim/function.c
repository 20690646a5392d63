/* Vector functions on rows. Every special function is evaluated in double by polynomials of our own
 * (Chebyshev fits, error below 1e-14 relative before the one rounding to f32), with no contraction
 * and no call of the C library, so that bits do not depend on the host. sqrt and division are IEEE's. */
#include "runtime/sim/internal.h"

#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE double double_of(uint64_t u)
{
	double v;
	memcpy(&v, &u, sizeof v);
	return v;
}

INLINE uint64_t double_bits(double v)
{
	uint64_t u;
	memcpy(&u, &v, sizeof u);
	return u;
}

/* Horner's rule, c ascending. */
#define POLY(c, x, y)                                                                              \
	do {                                                                                           \
		y = (c)[COUNT(c) - 1];                                                                     \
		_Pragma("GCC unroll 24") for (int poly_i = (int)COUNT(c) - 2; poly_i >= 0; poly_i--) y =   \
			y * (x) + (c)[poly_i];                                                                 \
	} while (0)

/* 2^x; x is held within what f32 can show, so that the power stays a normal double. */
INLINE double exp2_of(double x)
{
	static const double c[] = {0x1.0000000000000p+0,  0x1.62e42fefa39efp-1,  0x1.ebfbdff82c5aep-3,
	                           0x1.c6b08d704a0c6p-5,  0x1.3b2ab6fb9f1a5p-7,  0x1.5d87fe78a3f9cp-10,
	                           0x1.430913112c61bp-13, 0x1.ffcbfc6da6ed1p-17, 0x1.62bfc2c86d700p-20,
	                           0x1.b524ebd13a55fp-24, 0x1.e6228acd1c6e5p-28, 0x1.e9ec1fcb69a7fp-32};
	double held = x > 400 ? 400 : x < -400 ? -400 : x;
	double shifted = held + 0x1.8p52, n = shifted - 0x1.8p52, r = held - n, y;
	POLY(c, r, y);
	uint64_t power = (double_bits(shifted) + 1023) << 52; /* the low bits of shifted are n */
	y = y * double_of(power);
	return x == x ? y : x;
}

#define LOG2_E 0x1.71547652b82fep+0
INLINE double exp_of(double x)
{
	return exp2_of(x * LOG2_E);
}

/* log2 of a float's value (subnormals are normal doubles). m in [sqrt 1/2, sqrt 2), s = (m-1)/(m+1). */
INLINE double log2_of(double x)
{
	static const double c[] = {0x1.71547652b82fep+1, 0x1.ec709dc3a047dp-1, 0x1.2776c50ee38ecp-1,
	                           0x1.a61762d6ae235p-2, 0x1.484afb6f51a25p-2, 0x1.0ca162bd4a289p-2,
	                           0x1.c46d962875e48p-3, 0x1.b597fa24f2a0ap-3};
	uint64_t u = double_bits(x), t = u - UINT64_C(0x3fe6a09e667f3bcd);
	int64_t e = (int64_t)t >> 52;
	double m = double_of(u - (t & UINT64_C(0xfff0000000000000))), s = (m - 1) / (m + 1), z = s * s,
		   y;
	POLY(c, z, y);
	y = (double)(int32_t)e + s * y;
	y = x == (double)INFINITY ? x : y;
	y = x == 0 ? -(double)INFINITY : y;
	return x >= 0 ? y : (double)NAN;
}

INLINE double tanh_of(double x)
{
	static const double c[] = {
		0x1.0000000000000p+0,  -0x1.55555555553fdp-2,  0x1.11111110ee85fp-3,
		-0x1.ba1ba18f58f42p-5, 0x1.664f3b3a27fb7p-6,   -0x1.226be23cc5ea5p-7,
		0x1.d658dbd593254p-9,  -0x1.762a352235b19p-10, 0x1.ea526faa78062p-12};
	double z = x * x, y, a = x < 0 ? -x : x, far = 1 - 2 / (exp2_of(a * (2 * LOG2_E)) + 1);
	POLY(c, z, y);
	far = x < 0 ? -far : far;
	return a < 0.35 ? x * y : far;
}

INLINE double sigmoid_of(double x)
{
	return 1 / (1 + exp_of(-x));
}

/* erfc of y >= 0: (1 + 2y) exp(y^2) erfc(y) as a polynomial of (y - k) / (y + k), k = 3.75
 * (Shepherd and Laframboise, 1981); beyond 15 it is 0 in f32. */
INLINE double erfc_of(double y)
{
	static const double c[] = {
		0x1.3ccda0b5d5dc3p+0,   -0x1.1f367683f89d3p-3,  0x1.d5f294814c000p-9,
		0x1.510169d09903bp-4,   -0x1.bda9309a0d543p-4,  0x1.7a14188a4aa68p-4,
		-0x1.e0d0fa7354b3ap-5,  0x1.d0b0038d01dc7p-6,   -0x1.3f603b21a2774p-7,
		0x1.cc3a09fcefce3p-10,  0x1.33fa2a423be72p-12,  -0x1.303fcbf884110p-12,
		0x1.b16588d3abccbp-15,  0x1.77b9a3571c291p-16,  -0x1.8142e543c5567p-17,
		-0x1.1143b5acc4262p-20, 0x1.e0fe0900dbc72p-20,  0x1.ae628a9ec9687p-26,
		-0x1.11e5efb5b3685p-22, -0x1.40a75adf22676p-25, 0x1.8ac16e717aa37p-28};
	y = y > 15 ? 15 : y;
	double t = (y - 3.75) / (y + 3.75), p;
	POLY(c, t, p);
	return p / (1 + 2 * y) * exp_of(-y * y);
}

INLINE double erf_of(double x)
{
	static const double c[] = {
		0x1.20dd750429b6cp+0,  -0x1.812746b037599p-2,  0x1.ce2f219ff518cp-4,
		-0x1.b82ce2f0cd365p-6, 0x1.565bc5b4c47d0p-8,   -0x1.c02be6858f7a0p-11,
		0x1.f96076678d042p-14, -0x1.ef2bb26cb4fd5p-17, 0x1.76ce1233343c5p-20};
	double z = x * x, y, a = x < 0 ? -x : x, far = 1 - erfc_of(a);
	POLY(c, z, y);
	far = x < 0 ? -far : far;
	y = a < 0.6 ? x * y : far;
	return x == x ? y : x;
}

/* x Phi(x): for x < 0 by erfc, so that the tail keeps its relative accuracy. */
INLINE double gelu_of(double x)
{
	double a = (x < 0 ? -x : x) * 0x1.6a09e667f3bcdp-1, tail = 0.5 * erfc_of(a);
	double y = x < 0 ? x * tail : x * (1 - tail);
	return x < -20 ? 0 : y;
}

INLINE double gelu_tanh_of(double x)
{
	return x < -20 ? 0 : x * sigmoid_of(2 * 0.7978845608028653559 * (x + 0.044715 * x * x * x));
}

INLINE double silu_of(double x)
{
	return x < -200 ? 0 : x * sigmoid_of(x);
}

/* --- sine and cosine ------------------------------------------------------------------------------ */

__extension__ typedef unsigned __int128 Wide;

/* The argument less the nearest multiple of pi/2; *quadrant is that multiple. Large arguments:
 * Payne and Hanek, 1983, with 320 bits of 2/pi. */
static double reduce_angle(double x, uint32_t *quadrant)
{
	double a = x < 0 ? -x : x;
	if (a < 0x1p20) {
		double shifted = x * 0x1.45f306dc9c883p-1 + 0x1.8p52, n = shifted - 0x1.8p52;
		*quadrant = (uint32_t)double_bits(shifted) & 3;
		return ((x - n * 0x1.921fb54400000p+0) - n * 0x1.0b4611a600000p-34) -
		       n * 0x1.3198a2e037073p-69;
	}
	static const uint64_t two_over_pi[] = {0,
	                                       UINT64_C(0xa2f9836e4e441529),
	                                       UINT64_C(0xfc2757d1f534ddc0),
	                                       UINT64_C(0xdb6295993c439041),
	                                       UINT64_C(0xfe5163abdebbc561),
	                                       UINT64_C(0xb7246e3a424dd2e0)};
	int e = (int)(double_bits(a) >> 52) - 1023 - 23; /* a = m 2^e, m of 24 bits */
	uint64_t m = (double_bits(a) >> 29 & 0x7fffff) | 0x800000;
	uint32_t bit = (uint32_t)(e - 2 + 64), word = bit / 64, shift = bit % 64;
	uint64_t high = two_over_pi[word], mid = two_over_pi[word + 1], low = two_over_pi[word + 2];
	if (shift) {
		high = high << shift | mid >> (64 - shift);
		mid = mid << shift | low >> (64 - shift);
	}
	Wide product = ((Wide)high << 64 | mid) * m; /* the top two bits count quarter turns */
	uint32_t n = (uint32_t)(product >> 126);
	int64_t fraction = (int64_t)(uint64_t)(product >> 62);
	if (fraction < 0) n++;
	double r = (double)fraction * 0x1p-64 * 0x1.921fb54442d18p+0;
	*quadrant = (x < 0 ? 0 - n : n) & 3;
	return x < 0 ? -r : r;
}

static double sine_of(double x, uint32_t turn)
{
	static const double s[] = {1,
	                           -1.0 / 6,
	                           1.0 / 120,
	                           -1.0 / 5040,
	                           1.0 / 362880,
	                           -1.0 / 39916800,
	                           1.0 / 6227020800,
	                           -1.0 / 1307674368000};
	static const double c[] = {1,
	                           -1.0 / 2,
	                           1.0 / 24,
	                           -1.0 / 720,
	                           1.0 / 40320,
	                           -1.0 / 3628800,
	                           1.0 / 479001600,
	                           -1.0 / 87178291200,
	                           1.0 / 20922789888000};
	if (!isfinite(x)) return (double)NAN;
	uint32_t quadrant;
	double r = reduce_angle(x, &quadrant), z = r * r, y;
	quadrant += turn;
	if (quadrant & 1)
		POLY(c, z, y);
	else {
		POLY(s, z, y);
		y = y * r;
	}
	return quadrant & 2 ? -y : y;
}

/* --- the rest ---------------------------------------------------------------------------------------- */

static double pow_of(double a, double b)
{
	if (b == 0 || a == 1) return 1;
	if (a != a || b != b) return (double)NAN;
	bool whole = floor(b) == b, odd = whole && fabs(b) < 0x1p53 && fmod(b, 2) != 0;
	if (isinf(b)) {
		if (a == -1) return 1;
		return (fabs(a) > 1) == (b > 0) ? (double)INFINITY : 0;
	}
	if (a < 0 && !isinf(a) && !whole) return (double)NAN;
	double y;
	if (a == 0 || isinf(a))
		y = (a == 0) == (b < 0) ? (double)INFINITY : 0;
	else
		y = exp2_of(b * log2_of(fabs(a)));
	return signbit(a) && odd ? -y : y;
}

/* Nearest integer, halves to even, without the C library's rounding mode. */
INLINE float round_of(float x)
{
	float a = x < 0 ? -x : x, y = (a + 0x1p23f) - 0x1p23f;
	y = a < 0x1p23f ? y : a;
	return x == x ? copysignf(y, x) : x;
}

#define UNARY(name, expr)                                                                          \
	VECTORISED static void row_##name(float *restrict y, const float *restrict a, int64_t n)       \
	{                                                                                              \
		for (int64_t i = 0; i < n; i++) {                                                          \
			float x = a[i];                                                                        \
			y[i] = (float)(expr);                                                                  \
		}                                                                                          \
	}
UNARY(neg, -x)
UNARY(abs, x < 0 ? -x : x == 0 ? 0.0f : x)
UNARY(exp2, exp2_of((double)x))
UNARY(exp, exp_of((double)x))
UNARY(log2, log2_of((double)x))
UNARY(log, log2_of((double)x) * 0x1.62e42fefa39efp-1)
UNARY(recip, 1 / x)
UNARY(sqrt, __builtin_sqrtf(x))
UNARY(rsqrt, 1 / __builtin_sqrt((double)x))
UNARY(tanh, tanh_of((double)x))
UNARY(sigmoid, sigmoid_of((double)x))
UNARY(erf, erf_of((double)x))
UNARY(gelu, gelu_of((double)x))
UNARY(gelu_tanh, gelu_tanh_of((double)x))
UNARY(silu, silu_of((double)x))
UNARY(relu, x > 0 || x != x ? x : 0.0f)
UNARY(floor, __builtin_floorf(x))
UNARY(ceil, __builtin_ceilf(x))
UNARY(round, round_of(x))
UNARY(not, x == 0 ? 1.0f : 0.0f)
UNARY(sin, sine_of((double)x, 0))
UNARY(cos, sine_of((double)x, 1))

#define BINARY(name, expr)                                                                         \
	VECTORISED static void row_##name(float *restrict y, const float *restrict a,                  \
	                                  const float *restrict b, int64_t n)                          \
	{                                                                                              \
		for (int64_t i = 0; i < n; i++) {                                                          \
			float x = a[i], z = b[i];                                                              \
			y[i] = (float)(expr);                                                                  \
		}                                                                                          \
	}
BINARY(add, x + z)
BINARY(sub, x - z)
BINARY(rsub, z - x)
BINARY(mul, x *z)
BINARY(div, x / z)
BINARY(rdiv, z / x)
BINARY(floordiv, floor((double)x / (double)z))
BINARY(mod, (double)x - (double)z * floor((double)x / (double)z))
BINARY(pow, pow_of((double)x, (double)z))
BINARY(min, x != x ? x : z != z ? z : x < z ? x : z)
BINARY(max, x != x ? x : z != z ? z : x > z ? x : z)
BINARY(eq, x == z ? 1.0f : 0.0f)
BINARY(ne, x != z ? 1.0f : 0.0f)
BINARY(lt, x < z ? 1.0f : 0.0f)
BINARY(le, x <= z ? 1.0f : 0.0f)
BINARY(gt, x > z ? 1.0f : 0.0f)
BINARY(ge, x >= z ? 1.0f : 0.0f)
BINARY(and, x != 0 && z != 0 ? 1.0f : 0.0f)
BINARY(or, x != 0 || z != 0 ? 1.0f : 0.0f)

VECTORISED static void row_select(float *restrict y, const float *restrict a,
                                  const float *restrict b, const float *restrict c, int64_t n)
{
	for (int64_t i = 0; i < n; i++) y[i] = a[i] != 0 ? b[i] : c[i];
}

VECTORISED static void row_fma(float *restrict y, const float *restrict a, const float *restrict b,
                               const float *restrict c, int64_t n)
{
	for (int64_t i = 0; i < n; i++) y[i] = __builtin_fmaf(a[i], b[i], c[i]);
}

void row_function(PearlFunc f, float *y, const float *a, const float *b, const float *c, int64_t n)
{
	switch (f) {
#define ONE(id, name)                                                                              \
	case VF_##id: row_##name(y, a, n); break
#define TWO(id, name)                                                                              \
	case VF_##id: row_##name(y, a, b, n); break
	case VF_COPY:
		memcpy(y, a, (size_t)n * sizeof *y);
		return;
		ONE(NEG, neg);
		ONE(ABS, abs);
		ONE(EXP2, exp2);
		ONE(EXP, exp);
		ONE(LOG2, log2);
		ONE(LOG, log);
		ONE(RECIP, recip);
		ONE(SQRT, sqrt);
		ONE(RSQRT, rsqrt);
		ONE(TANH, tanh);
		ONE(SIGMOID, sigmoid);
		ONE(ERF, erf);
		ONE(SIN, sin);
		ONE(COS, cos);
		ONE(GELU, gelu);
		ONE(GELU_TANH, gelu_tanh);
		ONE(SILU, silu);
		ONE(RELU, relu);
		ONE(FLOOR, floor);
		ONE(CEIL, ceil);
		ONE(ROUND, round);
		ONE(NOT, not);
		TWO(ADD, add);
		TWO(SUB, sub);
		TWO(RSUB, rsub);
		TWO(MUL, mul);
		TWO(DIV, div);
		TWO(RDIV, rdiv);
		TWO(FLOORDIV, floordiv);
		TWO(MOD, mod);
		TWO(POW, pow);
		TWO(MIN, min);
		TWO(MAX, max);
		TWO(EQ, eq);
		TWO(NE, ne);
		TWO(LT, lt);
		TWO(LE, le);
		TWO(GT, gt);
		TWO(GE, ge);
		TWO(AND, and);
		TWO(OR, or);
	case VF_SELECT: row_select(y, a, b, c, n); return;
	case VF_FMA: row_fma(y, a, b, c, n); break;
	case NUM_VFUNCS: break;
	}
	row_canonical(y, n);
}

/* --- integers: wrap-around, division by 0 gives 0 (as the reference says) ------------------------------- */

static int32_t wrap(int64_t v)
{
	return (int32_t)(uint32_t)(uint64_t)v;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
	return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

static int32_t integer_of(PearlFunc f, int64_t a, int64_t b, int64_t c)
{
	switch (f) {
	case VF_COPY: return (int32_t)a;
	case VF_NEG: return wrap(-a);
	case VF_ABS: return wrap(a < 0 ? -a : a);
	case VF_RELU: return (int32_t)(a > 0 ? a : 0);
	case VF_NOT: return a == 0;
	case VF_ADD: return wrap(a + b);
	case VF_SUB: return wrap(a - b);
	case VF_RSUB: return wrap(b - a);
	case VF_MUL: return wrap(a * b);
	case VF_FMA: return wrap(a * b + c);
	case VF_FLOORDIV: return b ? wrap(floor_divide(a, b)) : 0;
	case VF_MOD: return b ? wrap(a - b * floor_divide(a, b)) : (int32_t)a;
	case VF_MIN: return (int32_t)(a < b ? a : b);
	case VF_MAX: return (int32_t)(a > b ? a : b);
	case VF_EQ: return a == b;
	case VF_NE: return a != b;
	case VF_LT: return a < b;
	case VF_LE: return a <= b;
	case VF_GT: return a > b;
	case VF_GE: return a >= b;
	case VF_AND: return a && b;
	case VF_OR: return a || b;
	case VF_SELECT: return (int32_t)(a ? b : c);
	default: return 0;
	}
}

void row_function_integer(PearlFunc f, int32_t *y, const int32_t *a, const int32_t *b,
                          const int32_t *c, int64_t n)
{
	static const int32_t none[ROW];
	if (!b) b = none;
	if (!c) c = none;
	if (f == VF_ADD)
		for (int64_t i = 0; i < n; i++) y[i] = wrap((int64_t)a[i] + b[i]);
	else if (f == VF_MUL)
		for (int64_t i = 0; i < n; i++) y[i] = wrap((int64_t)a[i] * b[i]);
	else
		for (int64_t i = 0; i < n; i++) y[i] = integer_of(f, a[i], b[i], c[i]);
}
