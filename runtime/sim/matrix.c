/* The matrix unit's data: the 5-D walk over A, weights as panels of 64 columns, and the sum in the
 * order that isa.h states. Operands are packed to f32 (integers: i32) rows first; weights that are
 * f32 rows already are used where they lie. */
#include "runtime/sim/internal.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_AT_ONCE = 96 };

typedef struct Gemm {
	const SimOperand *c, *a, *w;
	int64_t rows, k3, k, n; /* k: flattened k2, k1 */
	bool keep, integer;
} Gemm;

static bool is_byte(uint8_t t)
{
	return t == PDT_I8 || t == PDT_U8;
}

static bool gemm_shape(PearlSim *s, const SimStep *step, Gemm *g)
{
	const PearlInsn *i = step->insn;
	*g = (Gemm){.c = &step->arg[0],
	            .a = &step->arg[1],
	            .w = &step->arg[2],
	            .keep = i->field[F_MUL_accumulate] != 0};
	if (g->a->rank != 5 || g->w->rank != 4 || g->c->rank != 3)
		return sim_trap(s, i, "the ranks must be 3, 5 and 4");
	if (g->c->space != SPACE_ACC) return sim_trap(s, i, "the result must lie in ACC");
	for (uint32_t d = 0; d < 2; d++)
		if (g->c->dim[d] != g->a->dim[d])
			return sim_trap(s, i, "A has %lld rows, C %lld", (long long)g->a->dim[d],
			                (long long)g->c->dim[d]);
	for (uint32_t d = 0; d < 3; d++)
		if (g->w->dim[d] != g->a->dim[d + 2])
			return sim_trap(s, i, "A and W differ in k: %lld and %lld", (long long)g->a->dim[d + 2],
			                (long long)g->w->dim[d]);
	if (g->c->dim[2] != g->w->dim[3] || g->c->dim[2] > s->machine.array_cols)
		return sim_trap(s, i, "W has %lld columns, C %lld, the array %lld", (long long)g->w->dim[3],
		                (long long)g->c->dim[2], (long long)s->machine.array_cols);
	g->integer = is_byte(g->a->dtype) && is_byte(g->w->dtype);
	if (!g->integer && (!element_is_float(g->a->dtype) || !element_is_float(g->w->dtype)))
		return sim_trap(s, i, "A and W must both be floats or both bytes");
	if (g->c->dtype != (g->integer ? PDT_I32 : PDT_F32))
		return sim_trap(s, i, "sums of bytes are i32, of floats f32");
	g->rows = g->a->dim[0] * g->a->dim[1];
	g->k3 = g->a->dim[2];
	g->k = g->a->dim[3] * g->a->dim[4];
	g->n = g->c->dim[2];
	if (g->a->empty && !g->c->empty) g->k3 = 0;
	return true;
}

static void *scratch_get(PearlSim *s, size_t bytes)
{
	if (bytes > s->scratch_bytes) {
		free(s->scratch);
		s->scratch = malloc(bytes);
		s->scratch_bytes = s->scratch ? bytes : 0;
	}
	return s->scratch;
}

/* Elements of a row to f32 or i32, both of 4 bytes. */
static void load_words(const Gemm *g, float *to, const uint8_t *from, int64_t step, uint8_t dtype,
                       int64_t n)
{
	if (g->integer)
		row_load_integer((int32_t *)(void *)to, from, step, dtype, n);
	else
		row_load(to, from, step, dtype, n);
}

/* Row r of A: all k in order. */
static void pack_row(const Gemm *g, int64_t r, float *to)
{
	const SimOperand *a = g->a;
	const uint8_t *base =
		a->memory + a->address + r / a->dim[1] * a->stride[0] + r % a->dim[1] * a->stride[1];
	int64_t run = a->dim[4], runs = a->dim[3];
	if (a->stride[3] == a->stride[4] * run || runs == 1) run *= runs, runs = 1;
	for (int64_t k3 = 0; k3 < g->k3; k3++)
		for (int64_t k2 = 0; k2 < runs; k2++, to += run)
			load_words(g, to, base + k3 * a->stride[2] + k2 * a->stride[3], a->stride[4], a->dtype,
			           run);
}

/* Columns from..from+n of W as rows of PANEL_WIDTH, what is beyond n left as it is. */
static void pack_panel(const Gemm *g, int64_t from, int64_t n, float *to)
{
	const SimOperand *w = g->w;
	const uint8_t *base = w->memory + w->address + from * w->stride[3];
	bool along_k = w->stride[2] == w->size && w->stride[3] != w->size;
	for (int64_t k3 = 0; k3 < w->dim[0]; k3++)
		for (int64_t k2 = 0; k2 < w->dim[1]; k2++) {
			const uint8_t *at = base + k3 * w->stride[0] + k2 * w->stride[1];
			float *panel = to + (k3 * w->dim[1] + k2) * w->dim[2] * PANEL_WIDTH;
			if (!along_k) {
				for (int64_t k = 0; k < w->dim[2]; k++)
					load_words(g, panel + k * PANEL_WIDTH, at + k * w->stride[2], w->stride[3],
					           w->dtype, n);
				continue;
			}
			float row[8][64]; /* transposed in blocks, so that both sides stay in the cache */
			for (int64_t j = 0; j < n; j += 8)
				for (int64_t k = 0; k < w->dim[2]; k += 64) {
					int64_t wide = n - j < 8 ? n - j : 8,
							deep = w->dim[2] - k < 64 ? w->dim[2] - k : 64;
					for (int64_t c = 0; c < wide; c++)
						load_words(g, row[c], at + (j + c) * w->stride[3] + k * w->size, w->size,
						           w->dtype, deep);
					for (int64_t d = 0; d < deep; d++)
						for (int64_t c = 0; c < wide; c++)
							panel[(k + d) * PANEL_WIDTH + j + c] = row[c][d];
				}
		}
}

/* f32 rows in SPM are their own panel; memory behind the scratchpad is readable for a row's width. */
static bool panel_in_place(const Gemm *g, int64_t *row)
{
	const SimOperand *w = g->w;
	int64_t words = 4;
	if (w->dtype != PDT_F32 || w->space != SPACE_SPM || (g->n > 1 && w->stride[3] != words))
		return false;
	int64_t step = w->dim[2] > 1 ? w->stride[2] : w->stride[1];
	if (w->dim[1] > 1 && w->stride[1] != step * w->dim[2]) return false;
	if (step < 0 || step % words || w->address % words || (w->dim[0] > 1 && w->stride[0] % words))
		return false;
	*row = step / words; /* only now: the caller keeps its own otherwise */
	return true;
}

VECTORISED static void multiply_integer(const Gemm *g, const Panel *p, int32_t *const *c)
{
	for (int64_t r = 0; r < p->rows; r++) {
		int32_t sum[PANEL_WIDTH] = {0};
		const int32_t *a = (const int32_t *)(const void *)p->a + r * p->a_row;
		const int32_t *w = (const int32_t *)(const void *)p->w;
		if (g->keep) memcpy(sum, c[r], (size_t)p->n * sizeof *sum);
		for (int64_t k = 0; k < p->k; k++)
			for (uint32_t j = 0; j < PANEL_WIDTH; j++)
				sum[j] =
					(int32_t)((uint32_t)sum[j] + (uint32_t)a[k] * (uint32_t)w[k * p->w_row + j]);
		memcpy(c[r], sum, (size_t)p->n * sizeof *sum);
	}
}

/* Rows first..first+rows against one panel. */
static void block(PearlSim *s, const Gemm *g, Panel *p, const float *a, const float *w,
                  int64_t w_row, int64_t w_step, int64_t first, int64_t column)
{
	float *c[ROWS_AT_ONCE], spread[ROWS_AT_ONCE][PANEL_WIDTH];
	bool dense = g->c->stride[2] == 4 || p->n == 1;
	for (int64_t r = 0; r < p->rows; r++) {
		int64_t row = first + r;
		uint8_t *at = g->c->memory + g->c->address + row / g->c->dim[1] * g->c->stride[0] +
		              row % g->c->dim[1] * g->c->stride[1] + column * g->c->stride[2];
		bool aligned = dense && (uintptr_t)at % 4 == 0;
		c[r] = aligned ? (float *)(void *)at : spread[r];
		if (!aligned)
			row_copy((uint8_t *)spread[r], 4, PDT_F32, at, g->c->stride[2], PDT_F32, p->n);
	}
	p->c = c;
	p->depth = s->machine.array_rows;
	p->segment = p->depth < 32 ? p->depth : 32;
	if (g->integer) {
		p->a = a;
		p->a_row = g->k3 * g->k;
		p->w = w;
		p->w_row = w_row;
		p->k = g->k3 * g->k;
		multiply_integer(g, p, (int32_t *const *)(void *)c);
	} else {
		p->a_row = g->k3 * g->k;
		p->w_row = w_row;
		p->k = g->k;
		p->keep = g->keep;
		for (int64_t k3 = 0; k3 < g->k3 || k3 == 0; k3++, p->keep = true) {
			p->a = a + k3 * g->k;
			p->w = w + k3 * w_step;
			if (!g->k3) p->k = 0;
			panel_multiply(p);
		}
	}
	for (int64_t r = 0; r < p->rows; r++) {
		int64_t row = first + r;
		uint8_t *at = g->c->memory + g->c->address + row / g->c->dim[1] * g->c->stride[0] +
		              row % g->c->dim[1] * g->c->stride[1] + column * g->c->stride[2];
		if (c[r] == spread[r])
			row_copy(at, g->c->stride[2], PDT_F32, (uint8_t *)spread[r], 4, PDT_F32, p->n);
	}
}

bool execute_gemm(PearlSim *s, const SimStep *step)
{
	Gemm g;
	if (!gemm_shape(s, step, &g)) return false;
	if (g.c->empty) return true;
	int64_t k = g.k3 * g.k, row = PANEL_WIDTH, w_step = 0;
	s->macs += (uint64_t)(g.rows * k * g.n);
	bool in_place = g.k3 && !g.integer && panel_in_place(&g, &row);
	size_t words = (size_t)(ROWS_AT_ONCE * k) + (size_t)(in_place ? 0 : k * PANEL_WIDTH) + 64;
	float *a = scratch_get(s, words * sizeof(float)), *w = a + ROWS_AT_ONCE * k;
	if (!a) return sim_trap(s, step->insn, "there is no memory for the operands");
	for (int64_t column = 0; column < g.n; column += PANEL_WIDTH) {
		int64_t n = g.n - column < PANEL_WIDTH ? g.n - column : PANEL_WIDTH;
		const float *panel = w;
		if (in_place) {
			panel = (const float *)(const void *)(g.w->memory + g.w->address) + column;
			w_step = g.w->stride[0] / 4;
		} else {
			if (g.k3) pack_panel(&g, column, n, w);
			w_step = g.k * PANEL_WIDTH;
		}
		for (int64_t first = 0; first < g.rows; first += ROWS_AT_ONCE) {
			Panel p = {.rows = g.rows - first < ROWS_AT_ONCE ? g.rows - first : ROWS_AT_ONCE,
			           .n = n};
			for (int64_t r = 0; r < p.rows && g.k3; r++) pack_row(&g, first + r, a + r * k);
			block(s, &g, &p, a, panel, row, w_step, first, column);
		}
	}
	return true;
}
