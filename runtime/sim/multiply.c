/* The inner kernels of the matrix unit: blocks of rows against a panel of 64 columns. All follow one
 * rule, so their bits are equal: a segment is a chain of fused multiply-adds from +0 in ascending k,
 * then it is added to C; NaN becomes the one NaN. */
#include "runtime/sim/internal.h"

#include <math.h>
#include <string.h>

static void scalar_rows(const Panel *p, int64_t first, int64_t rows)
{
	for (int64_t r = first; r < first + rows; r++) {
		const float *a = p->a + r * p->a_row;
		float *c = p->c[r];
		if (!p->keep) memset(c, 0, (size_t)p->n * sizeof *c);
		for (int64_t tile = 0; tile < p->k; tile += p->depth) {
			int64_t stop = tile + p->depth < p->k ? tile + p->depth : p->k;
			for (int64_t k = tile; k < stop; k += p->segment) {
				int64_t end = k + p->segment < stop ? k + p->segment : stop;
				float sum[PANEL_WIDTH] = {0};
				for (int64_t i = k; i < end; i++)
					for (int64_t j = 0; j < p->n; j++)
						sum[j] = fmaf(a[i], p->w[i * p->w_row + j], sum[j]);
				for (int64_t j = 0; j < p->n; j++) c[j] += sum[j];
				row_canonical(c, p->n);
			}
		}
	}
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define UNROLL _Pragma("GCC unroll 8")

/* One segment for a block of `rows` by `wide` vectors (constants after inlining). */
__attribute__((target("avx512f"), always_inline)) static inline void segment_512(
	const Panel *p, int64_t first, const int64_t rows, const int64_t wide, int64_t k, int64_t end,
	bool fresh)
{
	__m512 sum[8][4];
	const float *w = p->w + k * p->w_row, *a = p->a + first * p->a_row;
	UNROLL for (int64_t r = 0; r < rows; r++) UNROLL for (int64_t j = 0; j < wide; j++) sum[r][j] =
		_mm512_setzero_ps();
	for (int64_t i = k; i < end; i++, w += p->w_row) {
		__m512 x[4];
		UNROLL for (int64_t j = 0; j < wide; j++) x[j] = _mm512_loadu_ps(w + 16 * j);
		UNROLL for (int64_t r = 0; r < rows; r++)
		{
			__m512 one = _mm512_set1_ps(a[r * p->a_row + i]);
			UNROLL for (int64_t j = 0; j < wide; j++) sum[r][j] =
				_mm512_fmadd_ps(one, x[j], sum[r][j]);
		}
	}
	const __m512 nan = _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000));
	UNROLL for (int64_t r = 0; r < rows; r++) UNROLL for (int64_t j = 0; j < wide; j++)
	{
		if (16 * j >= p->n) continue;
		__mmask16 mask =
			p->n - 16 * j >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (p->n - 16 * j)) - 1);
		float *c = p->c[first + r] + 16 * j;
		__m512 y = fresh ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, c);
		y = _mm512_add_ps(y, sum[r][j]);
		y = _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(y, y, _CMP_UNORD_Q), nan);
		_mm512_mask_storeu_ps(c, mask, y);
	}
}

__attribute__((target("avx512f"), always_inline)) static inline void rows_512(const Panel *p,
                                                                              int64_t first,
                                                                              const int64_t rows,
                                                                              const int64_t wide)
{
	bool fresh = !p->keep;
	for (int64_t tile = 0; tile < p->k; tile += p->depth) {
		int64_t stop = tile + p->depth < p->k ? tile + p->depth : p->k;
		for (int64_t k = tile; k < stop; k += p->segment, fresh = false)
			segment_512(p, first, rows, wide, k, k + p->segment < stop ? k + p->segment : stop,
			            fresh);
	}
}

__attribute__((target("avx512f"))) static void multiply_512(const Panel *p)
{
	int64_t r = 0;
	if (p->n > 32) {
		for (; r + 6 <= p->rows; r += 6) rows_512(p, r, 6, 4);
		for (; r + 2 <= p->rows; r += 2) rows_512(p, r, 2, 4);
		if (r < p->rows) rows_512(p, r, 1, 4);
	} else if (p->n > 16) {
		for (; r + 8 <= p->rows; r += 8) rows_512(p, r, 8, 2);
		for (; r < p->rows; r++) rows_512(p, r, 1, 2);
	} else {
		for (; r + 8 <= p->rows; r += 8) rows_512(p, r, 8, 1);
		for (; r < p->rows; r++) rows_512(p, r, 1, 1);
	}
}

/* The same for 16 columns at once with 8 lanes. */
__attribute__((target("avx2,fma"), always_inline)) static inline void segment_256(
	const Panel *p, int64_t first, const int64_t rows, int64_t column, int64_t k, int64_t end,
	bool fresh)
{
	__m256 sum[6][2];
	const float *w = p->w + k * p->w_row + column, *a = p->a + first * p->a_row;
	UNROLL for (int64_t r = 0; r < rows; r++) UNROLL for (int64_t j = 0; j < 2; j++) sum[r][j] =
		_mm256_setzero_ps();
	for (int64_t i = k; i < end; i++, w += p->w_row) {
		__m256 x[2];
		UNROLL for (int64_t j = 0; j < 2; j++) x[j] = _mm256_loadu_ps(w + 8 * j);
		UNROLL for (int64_t r = 0; r < rows; r++)
		{
			__m256 one = _mm256_set1_ps(a[r * p->a_row + i]);
			UNROLL for (int64_t j = 0; j < 2; j++) sum[r][j] =
				_mm256_fmadd_ps(one, x[j], sum[r][j]);
		}
	}
	int64_t n = p->n - column < 16 ? p->n - column : 16;
	UNROLL for (int64_t r = 0; r < rows; r++)
	{
		float part[16], *c = p->c[first + r] + column;
		_mm256_storeu_ps(part, sum[r][0]);
		_mm256_storeu_ps(part + 8, sum[r][1]);
		for (int64_t j = 0; j < n; j++) {
			float y = (fresh ? 0.0f : c[j]) + part[j];
			c[j] = y == y ? y : NAN;
		}
	}
}

__attribute__((target("avx2,fma"), always_inline)) static inline void rows_256(const Panel *p,
                                                                               int64_t first,
                                                                               const int64_t rows)
{
	for (int64_t column = 0; column < p->n; column += 16) {
		bool fresh = !p->keep;
		for (int64_t tile = 0; tile < p->k; tile += p->depth) {
			int64_t stop = tile + p->depth < p->k ? tile + p->depth : p->k;
			for (int64_t k = tile; k < stop; k += p->segment, fresh = false)
				segment_256(p, first, rows, column, k,
				            k + p->segment < stop ? k + p->segment : stop, fresh);
		}
	}
}

__attribute__((target("avx2,fma"))) static void multiply_256(const Panel *p)
{
	int64_t r = 0;
	for (; r + 6 <= p->rows; r += 6) rows_256(p, r, 6);
	for (; r < p->rows; r++) rows_256(p, r, 1);
}
#endif

void panel_multiply(const Panel *p)
{
	if (p->k <= 0) {
		for (int64_t r = 0; r < p->rows && !p->keep; r++)
			memset(p->c[r], 0, (size_t)p->n * sizeof(float));
		return;
	}
#if defined(__x86_64__) && defined(__GNUC__)
	if (__builtin_cpu_supports("avx512f")) {
		multiply_512(p);
		return;
	}
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		multiply_256(p);
		return;
	}
#endif
	scalar_rows(p, 0, p->rows);
}
