/* Element types and their exact conversions. */
#include "ir/dtype.h"

#include <math.h>
#include <string.h>

typedef struct DTypeInfo {
	const char *name;
	uint32_t bits;
	DTypeClass class;
} DTypeInfo;
static const DTypeInfo info[NUM_DTYPES] = {
#define DTYPE(id, name, bits, class, summary) {name, bits, DTC_##class},
#include "ir/dtypes.def"
};

const char *dtype_name(DType t)
{
	return info[t].name;
}

uint32_t dtype_bits(DType t)
{
	return info[t].bits;
}

DTypeClass dtype_class(DType t)
{
	return info[t].class;
}

bool dtype_is_float(DType t)
{
	return info[t].class == DTC_FLOAT;
}

bool dtype_is_integer(DType t)
{
	return info[t].class == DTC_SINT || info[t].class == DTC_UINT;
}

bool dtype_from_name(const char *name, DType *out)
{
	for (uint32_t i = 0; i < NUM_DTYPES; i++)
		if (strcmp(info[i].name, name) == 0) {
			*out = (DType)i;
			return true;
		}
	return false;
}

int64_t dtype_bytes(DType t, int64_t n)
{
	return info[t].bits == 4 ? n / 2 + n % 2 : n * (info[t].bits / 8);
}

/* --- narrow floats: sign, exponent and mantissa fields --- */

typedef struct Format {
	int exponent, mantissa, bias;
	bool infinite;
	double most;
} Format;

static Format format_of(DType t)
{
	switch (t) {
	case DT_F16: return (Format){5, 10, 15, true, 65504};
	case DT_BF16: return (Format){8, 7, 127, true, 3.3895313892515355e38};
	case DT_F8E4M3: return (Format){4, 3, 7, false, 448};
	default: return (Format){5, 2, 15, true, 57344}; /* f8e5m2 */
	}
}

static double decode(Format f, uint32_t bits)
{
	uint32_t mantissa = bits & ((1u << f.mantissa) - 1),
			 exponent = bits >> f.mantissa & ((1u << f.exponent) - 1);
	double sign = bits >> (f.exponent + f.mantissa) ? -1 : 1;
	uint32_t top = (1u << f.exponent) - 1;
	if (exponent == top && f.infinite) return mantissa ? NAN : sign * INFINITY;
	if (exponent == top && mantissa == (1u << f.mantissa) - 1) return NAN;
	if (!exponent) return sign * ldexp(mantissa, 1 - f.bias - f.mantissa);
	return sign * ldexp(mantissa + (1u << f.mantissa), (int)exponent - f.bias - f.mantissa);
}

/* Round to nearest even; overflow goes to infinity, or saturates where there is none. */
static uint32_t encode(Format f, double v)
{
	uint32_t sign = signbit(v) ? 1u << (f.exponent + f.mantissa) : 0, top = ((1u << f.exponent) - 1)
	                                                                        << f.mantissa;
	if (isnan(v)) return f.infinite ? top | 1u << (f.mantissa - 1) : top | ((1u << f.mantissa) - 1);
	double a = fabs(v);
	int e;
	if (a == 0) return sign;
	if (isinf(a)) return sign | (f.infinite ? top : top | ((1u << f.mantissa) - 2));
	frexp(a, &e);
	int step = (e - 1 < 1 - f.bias ? 1 - f.bias : e - 1) - f.mantissa;
	double q = rint(ldexp(a, -step)); /* exact scaling, one rounding */
	a = ldexp(q, step);
	if (a > f.most) return sign | (f.infinite ? top : top | ((1u << f.mantissa) - 2));
	frexp(a, &e);
	if (a == 0 || e - 1 < 1 - f.bias) return sign | (uint32_t)ldexp(a, f.bias - 1 + f.mantissa);
	uint32_t m = (uint32_t)ldexp(a, f.mantissa - (e - 1)) - (1u << f.mantissa);
	return sign | (uint32_t)(e - 1 + f.bias) << f.mantissa | m;
}

double dtype_load(DType t, const void *base, int64_t i)
{
	const uint8_t *b = base;
	switch (t) {
	case DT_F32: {
		float v;
		memcpy(&v, b + 4 * i, 4);
		return (double)v;
	}
	case DT_F64: {
		double v;
		memcpy(&v, b + 8 * i, 8);
		return v;
	}
	case DT_BF16: {
		uint16_t h;
		float v;
		memcpy(&h, b + 2 * i, 2);
		uint32_t u = (uint32_t)h << 16;
		memcpy(&v, &u, 4);
		return (double)v;
	}
	case DT_F16: {
		uint16_t h;
		memcpy(&h, b + 2 * i, 2);
		return decode(format_of(t), h);
	}
	case DT_F8E4M3:
	case DT_F8E5M2: return decode(format_of(t), b[i]);
	case DT_I8: return (int8_t)b[i];
	case DT_U8:
	case DT_BOOL: return b[i];
	case DT_I4: {
		int v = b[i / 2] >> (i % 2 * 4) & 15;
		return v >= 8 ? v - 16 : v;
	}
	case DT_I32: {
		int32_t v;
		memcpy(&v, b + 4 * i, 4);
		return v;
	}
	case DT_I64: {
		int64_t v;
		memcpy(&v, b + 8 * i, 8);
		return (double)v;
	}
	case NUM_DTYPES: break;
	}
	return 0;
}

static double clamp_integer(double v, double lo, double hi)
{
	if (isnan(v)) return 0;
	return v <= lo ? lo : v >= hi ? hi : trunc(v);
}

static double integer_round(DType t, double v)
{
	switch (t) {
	case DT_I8: return clamp_integer(v, -128, 127);
	case DT_U8: return clamp_integer(v, 0, 255);
	case DT_I4: return clamp_integer(v, -8, 7);
	case DT_I32: return clamp_integer(v, -2147483648.0, 2147483647.0);
	case DT_I64: return clamp_integer(v, -9223372036854775808.0, 9223372036854774784.0);
	default: return v != 0 && !isnan(v);
	}
}

double dtype_round(DType t, double v)
{
	if (t == DT_F64) return v;
	if (t == DT_F32) return (double)(float)v;
	if (dtype_is_float(t)) return decode(format_of(t), encode(format_of(t), v));
	return integer_round(t, v);
}

void dtype_store(DType t, void *base, int64_t i, double value)
{
	uint8_t *b = base;
	switch (t) {
	case DT_F32: {
		float v = (float)value;
		memcpy(b + 4 * i, &v, 4);
		return;
	}
	case DT_F64: memcpy(b + 8 * i, &value, 8); return;
	case DT_F16:
	case DT_BF16: {
		uint16_t h = (uint16_t)encode(format_of(t), value);
		memcpy(b + 2 * i, &h, 2);
		return;
	}
	case DT_F8E4M3:
	case DT_F8E5M2: b[i] = (uint8_t)encode(format_of(t), value); return;
	case DT_I4: {
		int shift = (int)(i % 2 * 4), v = (int)integer_round(t, value);
		b[i / 2] = (uint8_t)((b[i / 2] & ~(15 << shift)) | (v & 15) << shift);
		return;
	}
	case DT_I32: {
		int32_t v = (int32_t)integer_round(t, value);
		memcpy(b + 4 * i, &v, 4);
		return;
	}
	case DT_I64: {
		int64_t v = (int64_t)integer_round(t, value);
		memcpy(b + 8 * i, &v, 8);
		return;
	}
	default: b[i] = (uint8_t)(int)integer_round(t, value); return;
	}
}

uint64_t dtype_pattern(DType t, double value)
{
	uint8_t bytes[8] = {0};
	uint64_t out = 0;
	for (int64_t i = 0; i < 64 / dtype_bits(t); i++) dtype_store(t, bytes, i, value);
	for (uint32_t i = 0; i < 8; i++) out |= (uint64_t)bytes[i] << (8 * i);
	return out;
}
