/* f32 functions as polynomials on vectors, each within a few units in the last place (the tests
 * measure it), with the specials of IEEE 754. Sources: Cephes (Moshier) for exp, log, tanh;
 * N. Juffa's minimax polynomials for erf; fdlibm's splitting of pi/2. */
#include "codegen/cpu/emit.h"
#include <math.h>

static Value number(Gen *g, Value like, double v)
{
	return const_f32(g, v, lanes_of(like));
}
static Value compare(Gen *g, LLVMRealPredicate p, Value a, double b)
{
	return LLVMBuildFCmp(g->build, p, a, number(g, a, b), "");
}
static Value unary(Gen *g, const char *name, Value x)
{
	return intrinsic(g, name, LLVMTypeOf(x), 1, &x);
}
static Value negate(Gen *g, Value x)
{
	return LLVMBuildFNeg(g->build, x, "");
}
static Value is_nan(Gen *g, Value x)
{
	return LLVMBuildFCmp(g->build, LLVMRealUNO, x, x, "");
}

/* c[0] x^(n-1) + ... + c[n-1] */
static Value polynomial(Gen *g, Value x, const double *c, uint32_t n)
{
	Value p = number(g, x, c[0]);
	for (uint32_t i = 1; i < n; i++) p = fmadd(g, p, x, number(g, x, c[i]));
	return p;
}

Value math_sqrt(Gen *g, Value x)
{
	return unary(g, "llvm.sqrt", x);
}
Value math_abs(Gen *g, Value x)
{
	return unary(g, "llvm.fabs", x);
}

static Value copy_sign(Gen *g, Value magnitude, Value sign)
{
	uint32_t n = lanes_of(sign);
	Value s = LLVMBuildAnd(g->build, bits(g, sign, g->i32), const_i32(g, INT32_MIN, n), "");
	Value m = LLVMBuildAnd(g->build, bits(g, magnitude, g->i32), const_i32(g, INT32_MAX, n), "");
	return bits(g, LLVMBuildOr(g->build, s, m, ""), g->f32);
}

Value math_round(Gen *g, Value x)
{
	if (g->machine->round) return unary(g, "llvm.roundeven", x);
	Value magic = copy_sign(g, number(g, x, 8388608.0), x);
	Value r = copy_sign(g, float_sub(g, float_add(g, x, magic), magic), x);
	return choose(g, compare(g, LLVMRealOLT, math_abs(g, x), 8388608.0), r, x);
}

Value math_floor(Gen *g, Value x)
{
	if (g->machine->round) return unary(g, "llvm.floor", x);
	Value r = math_round(g, x);
	return choose(g, LLVMBuildFCmp(g->build, LLVMRealOGT, r, x, ""),
	              float_sub(g, r, number(g, x, 1)), r);
}

Value math_ceil(Gen *g, Value x)
{
	return negate(g, math_floor(g, negate(g, x)));
}

/* p * 2^n for an integral float n; exact unless the result is subnormal. */
static Value scale_by(Gen *g, Value p, Value n)
{
	uint32_t lanes = lanes_of(p);
	if (g->machine->avx512 && lanes == 16) {
		Value args[] = {p, n, LLVMGetPoison(LLVMTypeOf(p)), LLVMConstAllOnes(g->i16),
		                const_i32(g, 4, 1)};
		return intrinsic(g, "llvm.x86.avx512.mask.scalef.ps.512", NULL, 5, args);
	}
	Value i = LLVMBuildFPToSI(g->build, n, vector_of(g->i32, lanes), "");
	Value half = LLVMBuildAShr(g->build, i, const_i32(g, 1, lanes), ""), rest = isub(g, i, half);
	Value r = p, part[] = {half, rest};
	for (int k = 0; k < 2; k++) {
		Value e = LLVMBuildShl(g->build, iadd(g, part[k], const_i32(g, 127, lanes)),
		                       const_i32(g, 23, lanes), "");
		r = float_mul(g, r, bits(g, e, g->f32));
	}
	return r;
}

/* e^r for |r| <= ln 2 / 2 */
static Value exp_reduced(Gen *g, Value r)
{
	static const double c[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
	                           4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};
	Value p = polynomial(g, r, c, 6);
	return float_add(g, fmadd(g, p, float_mul(g, r, r), r), number(g, r, 1));
}

Value math_exp(Gen *g, Value x)
{
	/* comparisons are written so that nan passes through */
	x = fless(g, number(g, x, 89), x);
	x = fgreater(g, number(g, x, -105), x);
	Value n = math_round(g, float_mul(g, x, number(g, x, 1.4426950408889634)));
	Value r = fmadd(g, n, number(g, x, -0.693359375), x);
	r = fmadd(g, n, number(g, x, 2.12194440e-4), r);
	Value e = scale_by(g, exp_reduced(g, r), n);
	return g->machine->avx512 && lanes_of(x) == 16 ? e : choose(g, is_nan(g, x), x, e);
}

Value math_exp2_below(Gen *g, Value x)
{
	static const double c[] = {1.535336188319500e-4,
	                           1.339887440266574e-3,
	                           9.618437357674640e-3,
	                           5.550332471162809e-2,
	                           2.402264791363012e-1,
	                           6.931472028550421e-1,
	                           1.0};
	if (g->machine->avx512 && lanes_of(x) == 16) {
		/* what is far below needs no limit: -inf leaves 0 of vreduce, and vscalef takes any n */
		Value args[] = {x, const_i32(g, 0, 1), LLVMGetPoison(LLVMTypeOf(x)),
		                LLVMConstAllOnes(g->i16), const_i32(g, 4, 1)};
		Value r = intrinsic(g, "llvm.x86.avx512.mask.reduce.ps.512", NULL, 5, args);
		return scale_by(g, polynomial(g, r, c, 7), math_round(g, x));
	}
	x = fgreater(g, number(g, x, -151), x);
	Value n = math_round(g, x);
	Value e = scale_by(g, polynomial(g, float_sub(g, x, n), c, 7), n);
	return choose(g, is_nan(g, x), x, e);
}

Value math_exp2(Gen *g, Value x)
{
	return math_exp2_below(g, fless(g, number(g, x, 129), x));
}

/* x = m * 2^e with m in [sqrt 1/2, sqrt 2); x > 0, finite */
static void split_exponent(Gen *g, Value x, Value *m, Value *e)
{
	uint32_t n = lanes_of(x);
	Value tiny = compare(g, LLVMRealOLT, x, 1.17549435e-38);
	x = choose(g, tiny, float_mul(g, x, number(g, x, 8388608.0)), x);
	Value u = bits(g, x, g->i32);
	/* adding 1 - sqrt(1/2)'s distance moves the boundary of the exponent to sqrt 1/2 */
	Value shifted = iadd(g, u, const_i32(g, 0x3f800000 - 0x3f3504f3, n));
	Value k =
		isub(g, LLVMBuildLShr(g->build, shifted, const_i32(g, 23, n), ""), const_i32(g, 127, n));
	Value fraction = iadd(g, LLVMBuildAnd(g->build, shifted, const_i32(g, 0x7fffff, n), ""),
	                      const_i32(g, 0x3f3504f3, n));
	*m = bits(g, fraction, g->f32);
	*e = LLVMBuildSIToFP(g->build,
	                     isub(g, k, choose(g, tiny, const_i32(g, 23, n), const_i32(g, 0, n))),
	                     vector_of(g->f32, n), "");
}

/* log(1 + t) - t + t^2/2 over t^3, |t| < 0.42 */
static Value log_tail(Gen *g, Value t)
{
	static const double c[] = {7.0376836292e-2,  -1.1514610310e-1, 1.1676998740e-1,
	                           -1.2420140846e-1, 1.4249322787e-1,  -1.6668057665e-1,
	                           2.0000714765e-1,  -2.4999993993e-1, 3.3333331174e-1};
	Value t2 = float_mul(g, t, t);
	return float_mul(g, polynomial(g, t, c, 9), float_mul(g, t2, t));
}

static Value log_specials(Gen *g, Value x, Value r)
{
	r = choose(g, compare(g, LLVMRealOEQ, x, INFINITY), x, r);
	r = choose(g, compare(g, LLVMRealOEQ, x, 0), number(g, x, -INFINITY), r);
	return choose(g, compare(g, LLVMRealULT, x, 0), number(g, x, NAN), r);
}

Value math_log(Gen *g, Value x)
{
	Value m, e;
	split_exponent(g, x, &m, &e);
	Value t = float_sub(g, m, number(g, x, 1)), y = log_tail(g, t);
	y = fmadd(g, e, number(g, x, -2.12194440e-4), y);
	y = fmadd(g, float_mul(g, t, t), number(g, x, -0.5), y);
	y = float_add(g, t, y);
	return log_specials(g, x, fmadd(g, e, number(g, x, 0.693359375), y));
}

Value math_log2(Gen *g, Value x)
{
	Value m, e;
	split_exponent(g, x, &m, &e);
	Value t = float_sub(g, m, number(g, x, 1));
	Value y = fmadd(g, float_mul(g, t, t), number(g, x, -0.5), log_tail(g, t));
	/* (t + y) * log2 e, with log2 e - 1 apart to keep the digits of t */
	static const double rest = 0.44269504088896340735992;
	Value z = fmadd(g, y, number(g, x, rest), float_mul(g, t, number(g, x, rest)));
	z = float_add(g, float_add(g, z, y), t);
	return log_specials(g, x, float_add(g, z, e));
}

Value math_tanh(Gen *g, Value x)
{
	static const double c[] = {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2,
	                           1.33314422036e-1, -3.33332819422e-1};
	Value a = math_abs(g, x), x2 = float_mul(g, x, x);
	Value small = fmadd(g, float_mul(g, polynomial(g, x2, c, 5), x2), x, x);
	Value e = math_exp(g, float_add(g, a, a)); /* to infinity: tanh is 1 */
	Value big = float_sub(g, number(g, x, 1),
	                      float_div(g, number(g, x, 2), float_add(g, e, number(g, x, 1))));
	return choose(g, compare(g, LLVMRealOLT, a, 0.625), small,
	              choose(g, is_nan(g, x), x, copy_sign(g, big, x)));
}

Value math_sigmoid(Gen *g, Value x)
{
	Value one = number(g, x, 1);
	return float_div(g, one, float_add(g, one, math_exp(g, negate(g, x))));
}

Value math_silu(Gen *g, Value x)
{
	Value r = float_div(g, x, float_add(g, number(g, x, 1), math_exp(g, negate(g, x))));
	return choose(g, compare(g, LLVMRealOEQ, x, -INFINITY), number(g, x, 0), r);
}

/* erf(x) for |x| below 0.9277 */
static Value erf_small(Gen *g, Value x)
{
	static const double c[] = {-5.96761703e-4, 4.99119423e-3,  -2.67681349e-2,
	                           1.12819925e-1,  -3.76125336e-1, 1.28379166e-1};
	return fmadd(g, polynomial(g, float_mul(g, x, x), c, 6), x, x);
}

/* erfc(t) for t from 0.9277 */
static Value erfc_large(Gen *g, Value t)
{
	static const double c[] = {-1.72853470e-5, 3.83197126e-4,  -3.88396438e-3, 2.42546219e-2,
	                           -1.06777877e-1, -6.34846687e-1, -1.28717512e-1};
	t = fless(g, number(g, t, 10.5), t);
	Value p = polynomial(g, t, c, 7);
	return math_exp(g, fmadd(g, p, t, negate(g, t)));
}

Value math_erf(Gen *g, Value x)
{
	Value t = math_abs(g, x);
	Value large = copy_sign(g, float_sub(g, number(g, x, 1), erfc_large(g, t)), x);
	large = choose(g, is_nan(g, x), x, large);
	return choose(g, compare(g, LLVMRealOLT, t, 0.927734375), erf_small(g, x), large);
}

Value math_gelu(Gen *g, Value x)
{
	Value s = float_mul(g, x, number(g, x, 0.70710678118654752440)), t = math_abs(g, s),
		  half = float_mul(g, x, number(g, x, 0.5));
	Value q = erfc_large(g, t); /* small for large |x|: the negative tail keeps its digits */
	Value large = float_mul(
		g, half, choose(g, compare(g, LLVMRealOLT, x, 0), q, float_sub(g, number(g, x, 2), q)));
	large = choose(g, compare(g, LLVMRealOEQ, x, -INFINITY), number(g, x, 0), large);
	Value small = fmadd(g, half, erf_small(g, s), half);
	return choose(g, compare(g, LLVMRealOLT, t, 0.927734375), small, large);
}

Value math_gelu_tanh(Gen *g, Value x)
{
	static const double root = 0.79788456080286535588; /* sqrt(2 / pi) */
	Value x2 = float_mul(g, x, x),
		  u = float_mul(g, x,
	                    fmadd(g, x2, number(g, x, -2 * root * 0.044715), number(g, x, -2 * root)));
	Value r = float_div(g, x, float_add(g, number(g, x, 1), math_exp(g, u)));
	return choose(g, compare(g, LLVMRealOEQ, x, -INFINITY), number(g, x, 0), r);
}

/* x = quadrant * pi/2 + r, |r| <= pi/4: reduced in f64, where pi/2 has three parts of 33 bits, so
 * that the products are exact to 2^20 quadrants; beyond about 2^45 the digits of x do not suffice. */
static Value reduce_quadrant(Gen *g, Value x, Value *quadrant)
{
	uint32_t n = lanes_of(x);
	Type wide = vector_of(g->f64, n);
	Value d = LLVMBuildFPExt(g->build, x, wide, "");
	double parts[] = {1.57079632673412561417e+00, 6.07710050630396597660e-11,
	                  2.02226624879595063154e-21};
	Value constants[8];
	double all[] = {0.63661977236758134308, 6755399441055744.0, parts[0], parts[1], parts[2]};
	for (int i = 0; i < 5; i++) {
		Value s = LLVMConstReal(g->f64, all[i]), v[64];
		for (uint32_t k = 0; k < n; k++) v[k] = s;
		constants[i] = n == 1 ? s : LLVMConstVector(v, n);
	}
	Value shifted = float_add(g, float_mul(g, d, constants[0]),
	                          constants[1]); /* rounds to an integer in the low bits */
	*quadrant =
		LLVMBuildTrunc(g->build, LLVMBuildBitCast(g->build, shifted, vector_of(g->i64, n), ""),
	                   vector_of(g->i32, n), "");
	Value q = float_sub(g, shifted, constants[1]), r = d;
	for (int i = 2; i < 5; i++) r = float_sub(g, r, float_mul(g, q, constants[i]));
	return LLVMBuildFPTrunc(g->build, r, vector_of(g->f32, n), "");
}

static Value sine(Gen *g, Value x, int64_t add)
{
	static const double sin_c[] = {-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1};
	static const double cos_c[] = {2.443315711809948e-5, -1.388731625493765e-3,
	                               4.166664568298827e-2};
	uint32_t n = lanes_of(x);
	Value q, r = reduce_quadrant(g, x, &q), r2 = float_mul(g, r, r);
	q = iadd(g, q, const_i32(g, add, n));
	Value s = fmadd(g, float_mul(g, polynomial(g, r2, sin_c, 3), r2), r, r);
	Value c = fmadd(g, polynomial(g, r2, cos_c, 3), float_mul(g, r2, r2),
	                fmadd(g, r2, number(g, x, -0.5), number(g, x, 1)));
	Value odd =
		LLVMBuildICmp(g->build, LLVMIntNE, LLVMBuildAnd(g->build, q, const_i32(g, 1, n), ""),
	                  const_i32(g, 0, n), "");
	Value v = choose(g, odd, c, s);
	Value sign = LLVMBuildShl(g->build, LLVMBuildAnd(g->build, q, const_i32(g, 2, n), ""),
	                          const_i32(g, 30, n), "");
	v = bits(g, LLVMBuildXor(g->build, bits(g, v, g->i32), sign, ""), g->f32);
	Value finite = compare(g, LLVMRealOLT, math_abs(g, x), INFINITY);
	return choose(g, finite, v, number(g, x, NAN));
}

Value math_sin(Gen *g, Value x)
{
	return sine(g, x, 0);
}
Value math_cos(Gen *g, Value x)
{
	return sine(g, x, 1);
}

static Value f64_const(Gen *g, double v, uint32_t n)
{
	Value s = LLVMConstReal(g->f64, v), all[64];
	for (uint32_t i = 0; i < n; i++) all[i] = s;
	return n == 1 ? s : LLVMConstVector(all, n);
}

/* |x|^y = 2^(y log2 |x|) with the logarithm in f64, where the product keeps its fraction */
Value math_pow(Gen *g, Value x, Value y)
{
	uint32_t n = lanes_of(x);
	Type wide = vector_of(g->f64, n);
	Value m, e, a = math_abs(g, x);
	split_exponent(g, a, &m, &e);
	Value md = LLVMBuildFPExt(g->build, m, wide, ""), one = f64_const(g, 1, n);
	Value s = float_div(g, float_sub(g, md, one), float_add(g, md, one)), s2 = float_mul(g, s, s);
	Value p = f64_const(g, 1.0 / 15, n);
	for (int k = 13; k >= 1; k -= 2)
		p = float_add(g, float_mul(g, p, s2), f64_const(g, 1.0 / k, n));
	Value log2x =
		float_add(g, float_mul(g, float_mul(g, p, s), f64_const(g, 2.8853900817779268147, n)),
	              LLVMBuildFPExt(g->build, e, wide, ""));
	Value t = float_mul(g, log2x, LLVMBuildFPExt(g->build, y, wide, ""));
	t = fless(g, f64_const(g, 200, n), t);
	t = fgreater(g, f64_const(g, -200, n), t);
	Value whole = float_sub(g, float_add(g, t, f64_const(g, 6755399441055744.0, n)),
	                        f64_const(g, 6755399441055744.0, n));
	Value f = LLVMBuildFPTrunc(g->build, float_sub(g, t, whole), vector_of(g->f32, n), "");
	Value r = scale_by(g, exp_reduced(g, float_mul(g, f, number(g, x, 0.69314718055994530942))),
	                   LLVMBuildFPTrunc(g->build, whole, vector_of(g->f32, n), ""));
	/* specials, C11 F.10.4.4 */
	Value y_negative = compare(g, LLVMRealOLT, y, 0);
	Value inf = number(g, x, INFINITY), zero = number(g, x, 0), unit = number(g, x, 1);
	r = choose(g, compare(g, LLVMRealOEQ, a, 0), choose(g, y_negative, inf, zero), r);
	r = choose(g, compare(g, LLVMRealOEQ, a, INFINITY), choose(g, y_negative, zero, inf), r);
	Value half_y = float_mul(g, y, number(g, x, 0.5));
	Value integral = LLVMBuildFCmp(g->build, LLVMRealOEQ, math_floor(g, y), y, "");
	Value even = LLVMBuildFCmp(g->build, LLVMRealOEQ, math_floor(g, half_y), half_y, "");
	Value odd = LLVMBuildAnd(g->build, integral, LLVMBuildNot(g->build, even, ""), "");
	Value signed_r = choose(g, odd, negate(g, r), r);
	Value x_negative = iless(g, bits(g, x, g->i32), const_i32(g, 0, n));
	Value invalid = LLVMBuildAnd(g->build, LLVMBuildNot(g->build, integral, ""),
	                             LLVMBuildAnd(g->build, compare(g, LLVMRealOLT, x, 0),
	                                          compare(g, LLVMRealOLT, a, INFINITY), ""),
	                             "");
	r = choose(g, x_negative, signed_r, r);
	r = choose(g, invalid, number(g, x, NAN), r);
	Value y_infinite = compare(g, LLVMRealOEQ, math_abs(g, y), INFINITY);
	Value grows = LLVMBuildXor(g->build, compare(g, LLVMRealOGT, a, 1), y_negative, "");
	r = choose(g, y_infinite,
	           choose(g, compare(g, LLVMRealOEQ, a, 1), unit, choose(g, grows, inf, zero)), r);
	Value nan = LLVMBuildFCmp(g->build, LLVMRealUNO, x, y, "");
	r = choose(g, nan, number(g, x, NAN), r);
	Value is_one =
		LLVMBuildOr(g->build, compare(g, LLVMRealOEQ, y, 0), compare(g, LLVMRealOEQ, x, 1), "");
	return choose(g, is_one, unit, r);
}
