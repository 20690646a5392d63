/* Element types: storage bits to the widened types in which regions compute (f32, i32, i1) and
 * back. Narrowing rounds to nearest even; integers truncate and clamp. Small floats are converted
 * with integer arithmetic and one exact multiplication, so that no library is called. */
#include "codegen/cpu/emit.h"
#include <math.h>
#include <string.h>

typedef struct SmallFloat {
	int exponent_bits, mantissa_bits, bias;
	bool infinity;
} SmallFloat;
static const SmallFloat small_floats[NUM_DTYPES] = {
	[DT_F16] = {5, 10, 15, true}, [DT_F8E4M3] = {4, 3, 7, false}, [DT_F8E5M2] = {5, 2, 15, true}};

Type storage_type(Gen *g, DType t)
{
	switch (t) {
	case DT_F32: return g->f32;
	case DT_F64: return g->f64;
	case DT_F16:
	case DT_BF16: return g->i16;
	case DT_I32: return g->i32;
	case DT_I64: return g->i64;
	default: return g->i8;
	}
}

static Value shift_left(Gen *g, Value v, int by)
{
	return LLVMBuildShl(g->build, v, const_int(element_type(v), by, lanes_of(v)), "");
}
static Value shift_right(Gen *g, Value v, int by)
{
	return LLVMBuildLShr(g->build, v, const_int(element_type(v), by, lanes_of(v)), "");
}
static Value and_bits(Gen *g, Value v, int64_t mask)
{
	return LLVMBuildAnd(g->build, v, const_int(element_type(v), mask, lanes_of(v)), "");
}
static Value or_(Gen *g, Value a, Value b)
{
	return LLVMBuildOr(g->build, a, b, "");
}

static Value resize(Gen *g, Value v, Type element, bool is_signed)
{
	return LLVMBuildIntCast2(g->build, v, vector_of(element, lanes_of(v)), is_signed, "");
}

static Value widen_small(Gen *g, SmallFloat s, Value raw)
{
	uint32_t n = lanes_of(raw);
	Value x = resize(g, raw, g->i32, false);
	int total = s.exponent_bits + s.mantissa_bits;
	int64_t magnitude_mask = (1 << total) - 1;
	Value sign = shift_left(g, and_bits(g, x, 1 << total), 31 - total),
		  magnitude = and_bits(g, x, magnitude_mask);
	Value f = bits(g, shift_left(g, magnitude, 23 - s.mantissa_bits), g->f32);
	f = float_mul(g, f, const_f32(g, ldexp(1.0, 127 - s.bias), n)); /* exact, subnormals included */
	Value u = bits(g, f, g->i32);
	int64_t infinity = (int64_t)((1 << s.exponent_bits) - 1) << s.mantissa_bits;
	Value limit = const_i32(g, s.infinity ? infinity : magnitude_mask, n);
	Value special = s.infinity
	                    ? or_(g,
	                          shift_left(g, and_bits(g, magnitude, (1 << s.mantissa_bits) - 1),
	                                     23 - s.mantissa_bits),
	                          const_i32(g, 0x7f800000, n))
	                    : const_i32(g, 0x7fc00000, n);
	u = choose(g, LLVMBuildICmp(g->build, LLVMIntUGE, magnitude, limit, ""), special, u);
	return bits(g, or_(g, u, sign), g->f32);
}

/* Through f16, which holds every f8: e5m2 is its upper byte; e4m3 has 4 bits of exponent in place of 5 and
 * so comes 2^8 too small, and its one NaN must be made. */
static Value widen_f8(Gen *g, DType t, Value raw)
{
	uint32_t n = lanes_of(raw);
	Type half = vector_of(LLVMHalfTypeInContext(g->context), n), real = vector_of(g->f32, n);
	if (t == DT_F8E5M2) {
		Value h = shift_left(g, resize(g, raw, g->i16, false), 8);
		return LLVMBuildFPExt(g->build, LLVMBuildBitCast(g->build, h, half, ""), real, "");
	}
	Value h = and_bits(g, shift_left(g, resize(g, raw, g->i16, true), 7), 0xbfff);
	/* only from the NaN does a carry reach the free bit of the exponent */
	h = or_(g, h, and_bits(g, iadd(g, h, const_int(g->i16, 0x80, n)), 0x4000));
	return LLVMBuildFPExt(g->build, LLVMBuildBitCast(g->build, h, half, ""), real, "");
}

Value widen_scaled(Gen *g, DType t, Value raw, double *by)
{
	*by = g->machine->f16c && t == DT_F8E4M3 ? 256 : 1;
	return *by == 1 ? widen(g, t, raw) : widen_f8(g, t, raw);
}

static Value narrow_small(Gen *g, SmallFloat s, Value v, Type element)
{
	uint32_t n = lanes_of(v);
	int total = s.exponent_bits + s.mantissa_bits, drop = 23 - s.mantissa_bits;
	Value x = bits(g, v, g->i32), sign = and_bits(g, shift_right(g, x, 31 - total), 1 << total);
	Value a = and_bits(g, x, 0x7fffffff);
	/* normal: round in the integer domain, then move the exponent */
	Value odd = and_bits(g, shift_right(g, a, drop), 1);
	Value r = iadd(g, iadd(g, a, const_i32(g, (1 << (drop - 1)) - 1, n)), odd);
	r = isub(g, shift_right(g, r, drop),
	         const_i32(g, (int64_t)(127 - s.bias) << s.mantissa_bits, n));
	/* subnormal: adding a number whose unit is the smallest subnormal rounds to it */
	double unit = ldexp(1.0, 1 - s.bias - s.mantissa_bits + 23);
	float unit_f = (float)unit;
	int32_t unit_bits;
	memcpy(&unit_bits, &unit_f, 4);
	Value tiny = isub(g, bits(g, float_add(g, bits(g, a, g->f32), const_f32(g, unit, n)), g->i32),
	                  const_i32(g, unit_bits, n));
	r = choose(g,
	           LLVMBuildICmp(g->build, LLVMIntULT, a,
	                         const_i32(g, (int64_t)(127 - s.bias + 1) << 23, n), ""),
	           tiny, r);
	/* overflow: to infinity, or to the largest finite number where there is none */
	int64_t infinity = (int64_t)((1 << s.exponent_bits) - 1) << s.mantissa_bits;
	int64_t largest = s.infinity ? infinity : (1 << total) - 2;
	r = choose(g, LLVMBuildICmp(g->build, LLVMIntSGT, r, const_i32(g, largest, n), ""),
	           const_i32(g, largest, n), r);
	/* from 2^128 rounding cannot be trusted: infinity and nan */
	Value is_inf = LLVMBuildICmp(g->build, LLVMIntEQ, a, const_i32(g, 0x7f800000, n), "");
	r = choose(g, is_inf, const_i32(g, largest, n), r);
	Value is_nan = LLVMBuildICmp(g->build, LLVMIntUGT, a, const_i32(g, 0x7f800000, n), "");
	r = choose(
		g, is_nan,
		const_i32(g, s.infinity ? infinity | 1 << (s.mantissa_bits - 1) : (1 << total) - 1, n), r);
	return resize(g, or_(g, r, sign), element, false);
}

static Value narrow_bf16(Gen *g, Value v)
{
	uint32_t n = lanes_of(v);
	Value x = bits(g, v, g->i32), odd = and_bits(g, shift_right(g, x, 16), 1);
	Value r = shift_right(g, iadd(g, iadd(g, x, const_i32(g, 0x7fff, n)), odd), 16);
	Value nan = or_(g, shift_right(g, x, 16), const_i32(g, 0x40, n));
	r = choose(g, LLVMBuildFCmp(g->build, LLVMRealUNO, v, v, ""), nan, r);
	return resize(g, r, g->i16, false);
}

static Value clamp_int(Gen *g, Value v, int64_t lo, int64_t hi)
{
	uint32_t n = lanes_of(v);
	return imin(g, imax(g, v, const_i32(g, lo, n)), const_i32(g, hi, n));
}

Value widen(Gen *g, DType t, Value raw)
{
	uint32_t n = lanes_of(raw);
	switch (t) {
	case DT_F32:
	case DT_I32: return raw;
	case DT_BF16: return bits(g, shift_left(g, resize(g, raw, g->i32, false), 16), g->f32);
	case DT_F16:
		if (g->machine->f16c)
			return LLVMBuildFPExt(g->build, bits(g, raw, LLVMHalfTypeInContext(g->context)),
			                      vector_of(g->f32, n), "");
		return widen_small(g, small_floats[t], raw);
	case DT_F8E4M3:
	case DT_F8E5M2:
		if (!g->machine->f16c) return widen_small(g, small_floats[t], raw);
		raw = widen_f8(g, t, raw);
		return t == DT_F8E4M3 ? float_mul(g, raw, const_f32(g, 256, n)) : raw;
	case DT_I8: return resize(g, raw, g->i32, true);
	case DT_U8: return resize(g, raw, g->i32, false);
	case DT_I4: /* the nibble in the low bits */
		return LLVMBuildAShr(g->build, shift_left(g, resize(g, raw, g->i32, false), 28),
		                     const_i32(g, 28, n), "");
	case DT_I64: return resize(g, raw, g->i32, true);
	case DT_BOOL: return LLVMBuildICmp(g->build, LLVMIntNE, raw, const_int(g->i8, 0, n), "");
	case DT_F64: return LLVMBuildFPTrunc(g->build, raw, vector_of(g->f32, n), "");
	default: return raw;
	}
}

Value narrow(Gen *g, DType t, Value v)
{
	DType wide = dtype_widened(t);
	if (element_type(v) == g->f32)
		v = convert(g, v, DT_F32, wide);
	else if (element_type(v) == g->i1)
		v = convert(g, v, DT_BOOL, wide);
	else
		v = convert(g, v, DT_I32, wide);
	switch (t) {
	case DT_F32:
	case DT_I32: return v;
	case DT_BF16: return narrow_bf16(g, v);
	case DT_F16:
		if (g->machine->f16c)
			return bits(g,
			            LLVMBuildFPTrunc(g->build, v,
			                             vector_of(LLVMHalfTypeInContext(g->context), lanes_of(v)),
			                             ""),
			            g->i16);
		return narrow_small(g, small_floats[t], v, g->i16);
	case DT_F8E4M3:
	case DT_F8E5M2: return narrow_small(g, small_floats[t], v, g->i8);
	case DT_I8: return resize(g, clamp_int(g, v, -128, 127), g->i8, false);
	case DT_U8: return resize(g, clamp_int(g, v, 0, 255), g->i8, false);
	case DT_I4: return resize(g, and_bits(g, clamp_int(g, v, -8, 7), 15), g->i8, false);
	case DT_I64: return resize(g, v, g->i64, true);
	case DT_BOOL: return resize(g, v, g->i8, false);
	case DT_F64: return LLVMBuildFPExt(g->build, v, vector_of(g->f64, lanes_of(v)), "");
	default: return v;
	}
}

Value convert(Gen *g, Value v, DType from, DType to)
{
	uint32_t n = lanes_of(v);
	if (from == to) return v;
	if (to == DT_F32) {
		Type t = vector_of(g->f32, n);
		return from == DT_BOOL ? LLVMBuildUIToFP(g->build, v, t, "")
		                       : LLVMBuildSIToFP(g->build, v, t, "");
	}
	if (to == DT_I32) {
		if (from == DT_BOOL) return resize(g, v, g->i32, false);
		/* toward zero; out of range clamps, nan is 0 */
		Value ok = fgreater(g, v, const_f32(g, -2147483648.0, n));
		Value big = LLVMBuildFCmp(g->build, LLVMRealOGE, v, const_f32(g, 2147483648.0, n), "");
		Value nan = LLVMBuildFCmp(g->build, LLVMRealUNO, v, v, "");
		ok = choose(g, LLVMBuildOr(g->build, big, nan, ""), const_f32(g, 0, n), ok);
		Value r = LLVMBuildFPToSI(g->build, ok, vector_of(g->i32, n), "");
		return choose(g, big, const_i32(g, INT32_MAX, n), r);
	}
	if (from == DT_F32) return LLVMBuildFCmp(g->build, LLVMRealUNE, v, const_f32(g, 0, n), "");
	return LLVMBuildICmp(g->build, LLVMIntNE, v, const_i32(g, 0, n), "");
}

Value storage_const(Gen *g, DType t, double v, uint32_t n)
{
	uint8_t raw[8] = {0};
	if (t == DT_I4) return const_int(g->i8, (int64_t)v & 15, n);
	dtype_store(t, raw, 0, v);
	int64_t integer = 0;
	memcpy(&integer, raw, sizeof integer);
	Type st = storage_type(g, t);
	if (t == DT_F32) return const_f32(g, v, n);
	if (t == DT_F64) return LLVMConstReal(g->f64, v);
	return const_int(st, integer, n);
}
