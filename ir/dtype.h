/* Element types: the enum of dtypes.def, their properties, and the exact conversion of each to and
 * from double. Conversions round to nearest even; saturation only where the type has no infinity. */
#ifndef NACRE_IR_DTYPE_H
#define NACRE_IR_DTYPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum DType {
#define DTYPE(id, ...) DT_##id,
#include "ir/dtypes.def"
	NUM_DTYPES
} DType;
typedef enum DTypeClass { DTC_FLOAT, DTC_SINT, DTC_UINT, DTC_BOOLEAN } DTypeClass;

const char *dtype_name(DType t);
uint32_t dtype_bits(DType t);
DTypeClass dtype_class(DType t);
bool dtype_is_float(DType t);
bool dtype_is_integer(DType t); /* signed or unsigned, not bool */
bool dtype_from_name(const char *name, DType *out);
/* Bytes of n elements; i4 rounds up to whole bytes. */
int64_t dtype_bytes(DType t, int64_t n);

/* Element `index` of an array of type t. i4 counts nibbles. Values of i64 beyond 2^53 lose bits. */
double dtype_load(DType t, const void *base, int64_t index);
void dtype_store(DType t, void *base, int64_t index, double value);
uint64_t dtype_pattern(DType t, double value); /* eight bytes of elements that hold value */
/* The value that an element of type t holds after storing v. Integers: truncation toward zero of
 * an in-range value; out of range clamps; NaN becomes 0. */
double dtype_round(DType t, double v);
#endif
