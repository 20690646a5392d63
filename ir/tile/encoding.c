/* How the elements of a buffer lie in memory: sizes, single elements and whole buffers of each
 * encoding. This is the definition: backends compute the same addresses in their own way. */
#include "ir/tile/tile.h"

#include <math.h>
#include <string.h>

static int64_t up(int64_t n, int64_t to)
{
	return n / to + (n % to != 0);
}

static bool times(int64_t *n, int64_t by)
{
	return by >= 0 && !__builtin_mul_overflow(*n, by, n);
}

static bool usable(const Encoding *e, DType t, uint32_t rank)
{
	switch (e->kind) {
	case ENC_PLAIN: return true;
	case ENC_PACK: return rank >= 2 && e->nb && e->kg && (dtype_bits(t) >= 8 || e->kg % 2 == 0);
	case ENC_I4: return rank >= 2 && e->nb && e->group && e->group % 2 == 0;
	}
	return false;
}

/* Bytes of one group of K of one panel. */
static int64_t group_bytes(const Encoding *e)
{
	return 4 * (int64_t)e->nb + (int64_t)(e->group / 2) * e->nb;
}

int64_t encoding_bytes(const Encoding *e, DType t, uint32_t rank, const int64_t *dims)
{
	int64_t n = 1;
	bool fits = usable(e, t, rank);
	if (e->kind == ENC_PLAIN) {
		int64_t row = rank ? dims[rank - 1] : 1;
		if (rank > 1) fits = fits && !__builtin_add_overflow(row, (int64_t)e->pad, &row);
		for (uint32_t i = 0; i + 1 < rank; i++) fits = fits && times(&n, dims[i]);
		fits = fits && times(&n, row);
		int64_t whole = n;
		fits = fits && times(&whole, dtype_bits(t));
		return fits ? dtype_bytes(t, n) : -1;
	}
	for (uint32_t i = 0; i + 2 < rank; i++) fits = fits && times(&n, dims[i]);
	if (!fits || dims[rank - 2] < 0 || dims[rank - 1] < 0) return -1;
	fits = times(&n, up(dims[rank - 1], e->nb));
	if (e->kind == ENC_I4) {
		fits = fits && times(&n, up(dims[rank - 2], e->group)) && times(&n, group_bytes(e));
		return fits ? n : -1;
	}
	fits = fits && times(&n, up(dims[rank - 2], e->kg)) && times(&n, e->nb) && times(&n, e->kg);
	fits = fits && times(&n, dtype_bits(t));
	return fits ? n / 8 : -1;
}

Dim encoding_bytes_dim(DimPool *p, const Encoding *e, DType t, uint32_t rank, const Dim *dims)
{
	Dim n = dim_const(p, 1);
	if (e->kind == ENC_PLAIN) {
		for (uint32_t i = 0; i < rank; i++)
			n = dim_mul(p, n, i > 0 && i == rank - 1 ? dim_addc(p, dims[i], e->pad) : dims[i]);
		return dtype_bits(t) < 8 ? dim_ceildiv(p, n, dim_const(p, 8 / dtype_bits(t)))
		                         : dim_mulc(p, n, dtype_bits(t) / 8);
	}
	/* an encoding that does not suit the buffer is division by zero: poison */
	Dim nb = dim_const(p, usable(e, t, rank) ? e->nb : 0);
	if (rank < 2) return dim_floordiv(p, n, nb);
	for (uint32_t i = 0; i + 2 < rank; i++) n = dim_mul(p, n, dims[i]);
	n = dim_mul(p, n, dim_ceildiv(p, dims[rank - 1], nb));
	int64_t in_group = e->kind == ENC_I4 ? e->group : e->kg;
	int64_t bytes = e->kind == ENC_I4 ? group_bytes(e) : (int64_t)e->nb * e->kg * dtype_bits(t) / 8;
	n = dim_mul(p, n, dim_ceildiv(p, dims[rank - 2], dim_const(p, in_group)));
	return dim_mulc(p, n, bytes);
}

/* --- elements --- */

/* Number of an element, of ENC_PLAIN and ENC_PACK. */
static int64_t element_number(const Encoding *e, uint32_t rank, const int64_t *dims,
                              const int64_t *index)
{
	int64_t at = 0;
	if (e->kind == ENC_PLAIN) {
		for (uint32_t i = 0; i < rank; i++)
			at = at * (i > 0 && i == rank - 1 ? dims[i] + e->pad : dims[i]) + index[i];
		return at;
	}
	int64_t k = index[rank - 2], n = index[rank - 1], nb = e->nb, kg = e->kg;
	for (uint32_t i = 0; i + 2 < rank; i++) at = at * dims[i] + index[i];
	at = at * up(dims[rank - 1], nb) + n / nb;
	at = at * up(dims[rank - 2], kg) + k / kg;
	return (at * nb + n % nb) * kg + k % kg;
}

typedef struct Nibble {
	int64_t scale, byte;
	uint32_t shift;
} Nibble; /* byte offsets of an ENC_I4 element */
static Nibble nibble_at(const Encoding *e, uint32_t rank, const int64_t *dims, const int64_t *index)
{
	int64_t at = 0, k = index[rank - 2], n = index[rank - 1], nb = e->nb, half = e->group / 2;
	for (uint32_t i = 0; i + 2 < rank; i++) at = at * dims[i] + index[i];
	at = at * up(dims[rank - 1], nb) + n / nb;
	at = at * up(dims[rank - 2], e->group) + k / e->group;
	at *= group_bytes(e);
	int64_t in = k % e->group;
	return (Nibble){at + 4 * (n % nb), at + 4 * nb + in % half * nb + n % nb, in < half ? 0 : 4};
}

double encoding_load(const Encoding *e, DType t, uint32_t rank, const int64_t *dims,
                     const void *base, const int64_t *index)
{
	if (e->kind != ENC_I4) return dtype_load(t, base, element_number(e, rank, dims, index));
	Nibble at = nibble_at(e, rank, dims, index);
	int q = ((const uint8_t *)base)[at.byte] >> at.shift & 15;
	float scale;
	memcpy(&scale, (const char *)base + at.scale, 4);
	return (q < 8 ? q : q - 16) * (double)scale;
}

static void store_nibble(void *base, Nibble at, double v, float scale)
{
	double q = scale != 0 ? rint(v / (double)scale) : 0;
	int bits = (q >= 7 ? 7 : q > -8 ? (int)q : -8) & 15;
	uint8_t *byte = (uint8_t *)base + at.byte;
	*byte = (uint8_t)((*byte & (0xf0 >> at.shift)) | bits << at.shift);
}

/* The scale of a group that has none yet is set by its first element that is not zero. */
void encoding_store(const Encoding *e, DType t, uint32_t rank, const int64_t *dims, void *base,
                    const int64_t *index, double v)
{
	if (e->kind != ENC_I4) {
		dtype_store(t, base, element_number(e, rank, dims, index), v);
		return;
	}
	Nibble at = nibble_at(e, rank, dims, index);
	float scale;
	memcpy(&scale, (char *)base + at.scale, 4);
	if (scale == 0) {
		scale = (float)(fabs(v) / 7);
		memcpy((char *)base + at.scale, &scale, 4);
	}
	store_nibble(base, at, v, scale);
}

/* --- whole buffers --- */

/* The next index in row-major order over the first `rank` dims; false after the last. */
static bool next_index(uint32_t rank, const int64_t *dims, int64_t *index)
{
	for (uint32_t i = rank; i-- > 0;) {
		if (++index[i] < dims[i]) return true;
		index[i] = 0;
	}
	return false;
}

static bool is_empty(uint32_t rank, const int64_t *dims)
{
	for (uint32_t i = 0; i < rank; i++)
		if (dims[i] <= 0) return true;
	return false;
}

/* One group of K in column n: its scale, then its nibbles. */
static void pack_group(const Encoding *e, uint32_t rank, const int64_t *dims, const double *column,
                       void *base, int64_t *index)
{
	int64_t first = index[rank - 2],
			last = first + e->group < dims[rank - 2] ? first + e->group : dims[rank - 2];
	double most = 0;
	for (int64_t k = first; k < last; k++)
		most = fmax(most, fabs(column[(k - first) * dims[rank - 1]]));
	float scale = (float)(most / 7);
	memcpy((char *)base + nibble_at(e, rank, dims, index).scale, &scale, 4);
	for (int64_t k = first; k < last; k++) {
		index[rank - 2] = k;
		store_nibble(base, nibble_at(e, rank, dims, index), column[(k - first) * dims[rank - 1]],
		             scale);
	}
	index[rank - 2] = first;
}

void encoding_pack(const Encoding *e, DType t, uint32_t rank, const int64_t *dims,
                   const double *dense, void *base)
{
	int64_t bytes = encoding_bytes(e, t, rank, dims), index[TILE_RANK] = {0};
	if (bytes > 0) memset(base, 0, (size_t)bytes);
	if (bytes <= 0 || is_empty(rank, dims)) return;
	if (e->kind != ENC_I4) {
		do encoding_store(e, t, rank, dims, base, index, *dense++);
		while (next_index(rank, dims, index));
		return;
	}
	int64_t rows = dims[rank - 2], columns = dims[rank - 1];
	do {
		for (int64_t k = 0; k < rows; k += e->group)
			for (int64_t n = 0; n < columns; n++) {
				index[rank - 2] = k;
				index[rank - 1] = n;
				pack_group(e, rank, dims, dense + k * columns + n, base, index);
			}
		dense += rows * columns;
	} while (next_index(rank - 2, dims, index));
}

void encoding_unpack(const Encoding *e, DType t, uint32_t rank, const int64_t *dims,
                     const void *base, double *dense)
{
	int64_t index[TILE_RANK] = {0};
	if (encoding_bytes(e, t, rank, dims) <= 0 || is_empty(rank, dims)) return;
	do *dense++ = encoding_load(e, t, rank, dims, base, index);
	while (next_index(rank, dims, index));
}
