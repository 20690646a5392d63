/* Rows of elements between storage types and the types that the units compute in: f32 and i32.
 * Floats round to nearest even; what a type cannot hold becomes infinity, or saturates where there
 * is none. Each conversion of the scalar rule is written so that the compiler vectorises it. */
#include "runtime/sim/internal.h"

#include <math.h>
#include <string.h>

enum { NAN_BITS = 0x7fc00000 };

static uint32_t bits_of(float v)
{
	uint32_t u;
	memcpy(&u, &v, sizeof u);
	return u;
}

static float float_of(uint32_t u)
{
	float v;
	memcpy(&v, &u, sizeof v);
	return v;
}

bool element_is_float(uint8_t dtype)
{
	return dtype < pearl_dtypes && pearl_dtype[dtype].is_float;
}

VECTORISED void row_canonical(float *row, int64_t n)
{
	for (int64_t i = 0; i < n; i++) row[i] = row[i] == row[i] ? row[i] : float_of(NAN_BITS);
}

/* --- narrow floats ---------------------------------------------------------------------------- */

static uint16_t bf16_from(float v)
{
	uint32_t u = bits_of(v), rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
	return (uint16_t)(v == v ? rounded : 0x7fc0);
}

static inline float f16_to(uint16_t h)
{
	uint32_t u = (uint32_t)(h & 0x7fff) << 13, exponent = u & 0x0f800000;
	u += 112u << 23;
	if (exponent == 0x0f800000) u += 112u << 23; /* infinity, NaN */
	float v = float_of(u);
	if (!exponent) v = float_of(u + (1u << 23)) - float_of(113u << 23); /* subnormal */
	v = float_of(bits_of(v) | (uint32_t)(h & 0x8000) << 16);
	return v == v ? v : float_of(NAN_BITS);
}

static uint16_t f16_from(float v)
{
	uint32_t u = bits_of(v), sign = u >> 16 & 0x8000, f = u & 0x7fffffff, h;
	if (f > 0x7f800000) return 0x7e00;
	if (f >= 0x47800000)
		h = 0x7c00;
	else if (f < 0x38800000)
		h = bits_of(float_of(f) + 0.5f) - bits_of(0.5f); /* the addition rounds */
	else
		h = (f - (112u << 23) + 0xfff + (f >> 13 & 1)) >> 13;
	return (uint16_t)(h | sign);
}

typedef struct Small {
	uint32_t mantissa;
	int32_t bias;
	bool infinite;
} Small;
static const Small f8e4m3 = {3, 7, false}, f8e5m2 = {2, 15, true};

static float small_to(Small f, uint8_t h)
{
	uint32_t m = h & ((1u << f.mantissa) - 1), e = (h & 0x7fu) >> f.mantissa,
			 top = 0x7fu >> f.mantissa;
	if (e == top && (f.infinite ? m != 0 : m == (1u << f.mantissa) - 1)) return float_of(NAN_BITS);
	float v;
	if (e == top && f.infinite)
		v = INFINITY;
	else if (!e)
		v = (float)m * float_of((uint32_t)(127 + 1 - f.bias - (int32_t)f.mantissa) << 23);
	else
		v = float_of((e + 127 - (uint32_t)f.bias) << 23 | m << (23 - f.mantissa));
	return h & 0x80 ? -v : v;
}

static uint8_t small_from(Small f, float v)
{
	uint32_t u = bits_of(v), sign = u >> 24 & 0x80,
			 most = f.infinite ? 0x7fu & ~((1u << f.mantissa) - 1) : 0x7e;
	if (v != v) return (uint8_t)(f.infinite ? most | 1u << (f.mantissa - 1) : 0x7f);
	int32_t e = (int32_t)(u >> 23 & 0xff) - 127, least = 1 - f.bias;
	if (e == -127) return (uint8_t)sign; /* zero, or far below */
	if (e == 128) return (uint8_t)(sign | most);
	uint32_t m = (u & 0x7fffff) | 0x800000,
			 shift = 23 - f.mantissa + (e < least ? (uint32_t)(least - e) : 0);
	if (shift > 25) return (uint8_t)sign;
	uint32_t q = m >> shift, rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
	if (rest > half || (rest == half && (q & 1))) q++;
	uint32_t h = e < least ? q : ((uint32_t)(e + f.bias) << f.mantissa) + q - (1u << f.mantissa);
	return (uint8_t)(sign | (h > most ? most : h));
}

/* --- integers ----------------------------------------------------------------------------------- */

static int32_t clamp_float(float v, float lo, float hi, int32_t most)
{
	if (v != v) return 0;
	return v <= lo ? (int32_t)lo : v >= hi ? most : (int32_t)v;
}

static int32_t clamp_integer(int32_t v, int32_t lo, int32_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* --- rows ------------------------------------------------------------------------------------------ */

#define LOAD_ROW(T, expr)                                                                          \
	do {                                                                                           \
		T x;                                                                                       \
		if (step == (int64_t)sizeof x)                                                             \
			for (int64_t i = 0; i < n; i++) {                                                      \
				memcpy(&x, from + i * (int64_t)sizeof x, sizeof x);                                \
				to[i] = expr;                                                                      \
			}                                                                                      \
		else                                                                                       \
			for (int64_t i = 0; i < n; i++) {                                                      \
				memcpy(&x, from + i * step, sizeof x);                                             \
				to[i] = expr;                                                                      \
			}                                                                                      \
	} while (0)
#define STORE_ROW(T, expr)                                                                         \
	do {                                                                                           \
		T x;                                                                                       \
		if (step == (int64_t)sizeof x)                                                             \
			for (int64_t i = 0; i < n; i++) {                                                      \
				x = (T)(expr);                                                                     \
				memcpy(to + i * (int64_t)sizeof x, &x, sizeof x);                                  \
			}                                                                                      \
		else                                                                                       \
			for (int64_t i = 0; i < n; i++) {                                                      \
				x = (T)(expr);                                                                     \
				memcpy(to + i * step, &x, sizeof x);                                               \
			}                                                                                      \
	} while (0)

VECTORISED void row_load(float *to, const uint8_t *from, int64_t step, uint8_t dtype, int64_t n)
{
	if (step == 0 && n > 1) { /* one element, repeated */
		row_load(to, from, 4, dtype, 1);
		for (int64_t i = 1; i < n; i++) to[i] = to[0];
		return;
	}
	switch (dtype) {
	case PDT_F32: LOAD_ROW(float, x); break;
	case PDT_F64: LOAD_ROW(double, (float)x); break;
	case PDT_BF16: LOAD_ROW(uint16_t, float_of((uint32_t)x << 16)); break;
	case PDT_F16: LOAD_ROW(uint16_t, f16_to(x)); break;
	case PDT_F8E4M3: LOAD_ROW(uint8_t, small_to(f8e4m3, x)); break;
	case PDT_F8E5M2: LOAD_ROW(uint8_t, small_to(f8e5m2, x)); break;
	case PDT_I8: LOAD_ROW(int8_t, (float)x); break;
	case PDT_I32: LOAD_ROW(int32_t, (float)x); break;
	case PDT_I64: LOAD_ROW(int64_t, (float)x); break;
	default: LOAD_ROW(uint8_t, (float)x); break;
	}
}

VECTORISED void row_store(uint8_t *to, int64_t step, uint8_t dtype, const float *from, int64_t n)
{
	switch (dtype) {
	case PDT_F32: STORE_ROW(float, from[i]); break;
	case PDT_F64: STORE_ROW(double, from[i]); break;
	case PDT_BF16: STORE_ROW(uint16_t, bf16_from(from[i])); break;
	case PDT_F16: STORE_ROW(uint16_t, f16_from(from[i])); break;
	case PDT_F8E4M3: STORE_ROW(uint8_t, small_from(f8e4m3, from[i])); break;
	case PDT_F8E5M2: STORE_ROW(uint8_t, small_from(f8e5m2, from[i])); break;
	case PDT_I8: STORE_ROW(int8_t, clamp_float(from[i], -128, 127, 127)); break;
	case PDT_U8: STORE_ROW(uint8_t, clamp_float(from[i], 0, 255, 255)); break;
	case PDT_I32:
		STORE_ROW(int32_t, clamp_float(from[i], -2147483648.0f, 2147483648.0f, INT32_MAX));
		break;
	case PDT_I64:
		STORE_ROW(int64_t, from[i] != from[i]    ? 0
		                   : from[i] <= -0x1p63f ? INT64_MIN
		                   : from[i] >= 0x1p63f  ? INT64_MAX - 1023
		                                         : (int64_t)from[i]);
		break;
	default: STORE_ROW(uint8_t, from[i] != 0 && from[i] == from[i]); break;
	}
}

VECTORISED void row_load_integer(int32_t *to, const uint8_t *from, int64_t step, uint8_t dtype,
                                 int64_t n)
{
	switch (dtype) {
	case PDT_F32: LOAD_ROW(float, clamp_float(x, -2147483648.0f, 2147483648.0f, INT32_MAX)); break;
	case PDT_I8: LOAD_ROW(int8_t, x); break;
	case PDT_I32: LOAD_ROW(int32_t, x); break;
	case PDT_I64:
		LOAD_ROW(int64_t, x<INT32_MIN ? INT32_MIN : x> INT32_MAX ? INT32_MAX : (int32_t)x);
		break;
	case PDT_U8:
	case PDT_BOOL: LOAD_ROW(uint8_t, x); break;
	default:
		for (int64_t i = 0; i < n; i++) {
			float v;
			row_load(&v, from + i * step, step, dtype, 1);
			to[i] = clamp_float(v, -2147483648.0f, 2147483648.0f, INT32_MAX);
		}
	}
}

/* An integer beyond 2^24 rounds once: to f32 by truncation that keeps a mark of what was lost. */
static float float_marked(int32_t v)
{
	float f = (float)v;
	if ((int64_t)f == v) return f;
	uint32_t u = bits_of(f);
	if ((int64_t)fabsf(f) > (v < 0 ? -(int64_t)v : v)) u--;
	return float_of(u | 1);
}

VECTORISED void row_store_integer(uint8_t *to, int64_t step, uint8_t dtype, const int32_t *from,
                                  int64_t n)
{
	switch (dtype) {
	case PDT_I32: STORE_ROW(int32_t, from[i]); break;
	case PDT_I64: STORE_ROW(int64_t, from[i]); break;
	case PDT_I8: STORE_ROW(int8_t, clamp_integer(from[i], -128, 127)); break;
	case PDT_U8: STORE_ROW(uint8_t, clamp_integer(from[i], 0, 255)); break;
	case PDT_BOOL: STORE_ROW(uint8_t, from[i] != 0); break;
	case PDT_F32: STORE_ROW(float, (float)from[i]); break;
	case PDT_F64: STORE_ROW(double, (double)from[i]); break;
	default:
		for (int64_t i = 0; i < n; i++) {
			float v = float_marked(from[i]);
			row_store(to + i * step, step, dtype, &v, 1);
		}
	}
}

static void copy_bytes(uint8_t *to, int64_t to_step, const uint8_t *from, int64_t from_step,
                       int64_t size, int64_t n)
{
	if (to_step == size && from_step == size) {
		memmove(to, from, (size_t)(size * n));
		return;
	}
	switch (size) {
	case 1:
		for (int64_t i = 0; i < n; i++) to[i * to_step] = from[i * from_step];
		break;
	case 2:
		for (int64_t i = 0; i < n; i++) memcpy(to + i * to_step, from + i * from_step, 2);
		break;
	case 4:
		for (int64_t i = 0; i < n; i++) memcpy(to + i * to_step, from + i * from_step, 4);
		break;
	default:
		for (int64_t i = 0; i < n; i++)
			memmove(to + i * to_step, from + i * from_step, (size_t)size);
	}
}

static bool is_wide(uint8_t t)
{
	return t == PDT_F64 || t == PDT_I64;
}

/* One element between types of which one has 64 bits. */
static void copy_wide(uint8_t *to, uint8_t to_type, const uint8_t *from, uint8_t from_type)
{
	if (from_type == PDT_F64) {
		double v;
		memcpy(&v, from, sizeof v);
		if (element_is_float(to_type)) {
			float f = (float)v;
			/* the double's lost bits must not be rounded twice on the way to a narrower float */
			if (to_type != PDT_F32 && v == v && (double)f != v && !isinf(f)) {
				uint32_t u = bits_of(f);
				if (fabs((double)f) > fabs(v)) u--;
				f = float_of(u | 1);
			}
			row_store(to, 8, to_type, &f, 1);
			return;
		}
		double lo = to_type == PDT_I64 ? -0x1p63 : -2147483648.0,
			   hi = to_type == PDT_I64 ? 0x1p63 - 1024 : 2147483647.0;
		int64_t i = v != v ? 0 : v <= lo ? (int64_t)lo : v >= hi ? (int64_t)hi : (int64_t)v;
		if (to_type == PDT_I64)
			memcpy(to, &i, sizeof i);
		else if (to_type == PDT_BOOL)
			*to = v == v && v != 0;
		else
			row_store_integer(to, 8, to_type, &(int32_t){(int32_t)i}, 1);
		return;
	}
	if (from_type == PDT_I64 && (element_is_float(to_type) || to_type == PDT_BOOL)) {
		int64_t i;
		memcpy(&i, from, sizeof i);
		double v = (double)i;
		copy_wide(to, to_type, (const uint8_t *)&v, PDT_F64);
		return;
	}
	if (element_is_float(from_type)) {
		float f;
		row_load(&f, from, 8, from_type, 1);
		row_store(to, 8, to_type, &f, 1);
		return;
	}
	int32_t i;
	row_load_integer(&i, from, 8, from_type, 1);
	row_store_integer(to, 8, to_type, &i, 1);
}

void row_copy(uint8_t *to, int64_t to_step, uint8_t to_type, const uint8_t *from, int64_t from_step,
              uint8_t from_type, int64_t n)
{
	if (to_type == from_type) {
		copy_bytes(to, to_step, from, from_step, pearl_dtype[to_type].bits / 8, n);
		return;
	}
	if (is_wide(to_type) || is_wide(from_type)) {
		for (int64_t i = 0; i < n; i++)
			copy_wide(to + i * to_step, to_type, from + i * from_step, from_type);
		return;
	}
	for (int64_t i = 0; i < n; i += ROW) {
		int64_t part = n - i < ROW ? n - i : ROW;
		if (element_is_float(from_type)) {
			float row[ROW];
			row_load(row, from + i * from_step, from_step, from_type, part);
			row_canonical(row, part);
			row_store(to + i * to_step, to_step, to_type, row, part);
		} else {
			int32_t row[ROW];
			row_load_integer(row, from + i * from_step, from_step, from_type, part);
			row_store_integer(to + i * to_step, to_step, to_type, row, part);
		}
	}
}
