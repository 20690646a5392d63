/* Reductions, running combinations and the softmax step, in the order of sums that isa.h states. */
#include "runtime/sim/internal.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 128 };

/* Halving strides; absent elements are -0, which changes nothing, so they are left out. */
static float chunk_sum(const float *row, int64_t n)
{
	float v[CHUNK];
	memcpy(v, row, (size_t)n * sizeof *v);
	int64_t half = CHUNK / 2;
	while (half >= n && half > 0) half /= 2;
	for (; half > 0; half /= 2) {
		int64_t pairs = n - half < half ? n - half : half;
		for (int64_t i = 0; i < pairs; i++) v[i] += v[i + half];
		n = half < n ? half : n;
	}
	return v[0];
}

float row_sum(const float *row, int64_t n)
{
	float sum = 0;
	for (int64_t i = 0; i < n; i += CHUNK) sum += chunk_sum(row + i, n - i < CHUNK ? n - i : CHUNK);
	return sum;
}

/* The combination so far of one result. */
typedef struct Running {
	float value;
	int32_t whole;
	int64_t at;
	bool any;
} Running;

static bool better(PearlFunc f, float x, float than)
{
	if (than != than) return false;
	return x != x || (f == VF_MAX ? x > than : x < than);
}

static void take_floats(PearlFunc f, Running *r, const float *row, int64_t n, int64_t position)
{
	if (f == VF_ADD) {
		r->value += chunk_sum(row, n);
		return;
	}
	for (int64_t i = 0; i < n; i++) {
		if (r->any && !better(f, row[i], r->value)) continue;
		r->value = row[i];
		r->at = position + i;
		r->any = true;
	}
}

static void take_integers(PearlFunc f, Running *r, const int32_t *row, int64_t n, int64_t position)
{
	for (int64_t i = 0; i < n; i++) {
		if (f == VF_ADD) {
			r->whole = (int32_t)((uint32_t)r->whole + (uint32_t)row[i]);
			continue;
		}
		if (r->any && !(f == VF_MAX ? row[i] > r->whole : row[i] < r->whole)) continue;
		r->whole = row[i];
		r->at = position + i;
		r->any = true;
	}
}

/* Elements of the reduced dims in order, in chunks, each from where the element (0..) lies. */
typedef struct Inner {
	uint32_t rank;
	int64_t dim[PEARL_RANK], stride[PEARL_RANK], count;
} Inner;

static void inner_of(const SimOperand *a, uint32_t axes, Inner *in)
{
	*in = (Inner){.count = 1};
	for (uint32_t d = a->rank - axes; d < a->rank; d++) {
		in->count *= a->dim[d];
		if (a->dim[d] == 1) continue;
		if (in->rank && in->stride[in->rank - 1] == a->stride[d] * a->dim[d]) {
			in->dim[in->rank - 1] *= a->dim[d];
			in->stride[in->rank - 1] = a->stride[d];
			continue;
		}
		in->dim[in->rank] = a->dim[d];
		in->stride[in->rank++] = a->stride[d];
	}
	if (!in->rank) in->rank = 1, in->dim[0] = 1;
}

/* Elements first..first+n into row. */
static void inner_load(const Inner *in, const uint8_t *base, uint8_t dtype, bool is_float,
                       int64_t first, int64_t n, void *row)
{
	uint32_t last = in->rank - 1;
	for (int64_t done = 0; done < n;) {
		int64_t rest = first + done, column = rest % in->dim[last],
				offset = column * in->stride[last];
		rest /= in->dim[last];
		for (uint32_t d = last; d-- > 0; rest /= in->dim[d])
			offset += rest % in->dim[d] * in->stride[d];
		int64_t run = in->dim[last] - column < n - done ? in->dim[last] - column : n - done;
		if (is_float)
			row_load((float *)row + done, base + offset, in->stride[last], dtype, run);
		else
			row_load_integer((int32_t *)row + done, base + offset, in->stride[last], dtype, run);
		done += run;
	}
}

static void reduce_one(const SimStep *step, const Inner *in, PearlFunc f, const uint8_t *a,
                       uint8_t *y, uint8_t *at)
{
	const SimOperand *src = &step->arg[1], *dst = &step->arg[0];
	bool is_float = element_is_float(src->dtype);
	Running r = {0};
	if (step->insn->field[F_VEC_accumulate]) {
		row_load(&r.value, y, 4, dst->dtype, 1);
		row_load_integer(&r.whole, y, 4, dst->dtype, 1);
		r.any = true;
		r.at = -1;
	}
	for (int64_t i = 0; i < in->count; i += CHUNK) {
		union {
			float f[CHUNK];
			int32_t i[CHUNK];
		} row;
		int64_t n = in->count - i < CHUNK ? in->count - i : CHUNK;
		inner_load(in, a, src->dtype, is_float, i, n, &row);
		if (is_float)
			take_floats(f, &r, row.f, n, i);
		else
			take_integers(f, &r, row.i, n, i);
	}
	int32_t position = (int32_t)r.at;
	row_canonical(&r.value, 1);
	if (is_float)
		row_store(y, 4, dst->dtype, &r.value, 1);
	else
		row_store_integer(y, 4, dst->dtype, &r.whole, 1);
	if (at) row_store_integer(at, 4, step->arg[2].dtype, &position, 1);
}

bool execute_reduce(PearlSim *s, const SimStep *step)
{
	const PearlInsn *i = step->insn;
	PearlFunc f = (PearlFunc)i->field[F_VEC_func];
	uint32_t axes = (uint32_t)i->field[F_VEC_axes];
	const SimOperand *y = &step->arg[0], *a = &step->arg[1],
					 *at = step->arg[2].memory ? &step->arg[2] : NULL;
	if (f != VF_ADD && f != VF_MAX && f != VF_MIN)
		return sim_trap(s, i, "a reduction adds, or takes the greatest or the least");
	if (axes < 1 || axes > a->rank)
		return sim_trap(s, i, "%u of %u dimensions cannot be reduced", axes, a->rank);
	if (y->empty) return true;
	SimOperand lead = *a;
	lead.rank = (uint8_t)(a->rank - axes);
	lead.empty = false;
	Inner in;
	inner_of(a, axes, &in);
	if (in.count == 0 && f != VF_ADD && !i->field[F_VEC_accumulate])
		return sim_trap(s, i, "the greatest or least of nothing");
	if (at && (in.count == 0 || f == VF_ADD || i->field[F_VEC_accumulate]))
		return sim_trap(s, i, "a position is that of a new greatest or least element");
	const SimOperand *o[3] = {y, &lead, at};
	RowWalk w;
	if (!walk_begin(s, i, &w, o, at ? 3 : 2)) return false;
	for (; !w.done; walk_next(&w))
		for (int64_t k = 0; k < w.length; k++)
			reduce_one(step, &in, f, a->memory + w.offset[1] + k * w.step[1],
			           y->memory + w.offset[0] + k * w.step[0],
			           at ? at->memory + w.offset[2] + k * w.step[2] : NULL);
	return true;
}

bool execute_scan(PearlSim *s, const SimStep *step)
{
	const PearlInsn *i = step->insn;
	PearlFunc f = (PearlFunc)i->field[F_VEC_func];
	SimOperand y = step->arg[0], a = step->arg[1];
	if (f != VF_ADD && f != VF_MAX && f != VF_MIN && f != VF_MUL)
		return sim_trap(s, i, "a scan adds, multiplies, or takes the greatest or the least");
	if (y.rank < 1 || y.rank != a.rank || y.dim[y.rank - 1] != a.dim[a.rank - 1])
		return sim_trap(s, i, "the operands differ in shape");
	if (y.empty) return true;
	bool is_float = element_is_float(a.dtype);
	int64_t n = y.dim[y.rank - 1], y_step = y.stride[y.rank - 1], a_step = a.stride[a.rank - 1];
	y.rank--;
	a.rank--;
	const SimOperand *o[2] = {&y, &a};
	RowWalk w;
	if (!walk_begin(s, i, &w, o, 2)) return false;
	for (; !w.done; walk_next(&w))
		for (int64_t k = 0; k < w.length; k++) {
			const uint8_t *from = a.memory + w.offset[1] + k * w.step[1];
			uint8_t *to = y.memory + w.offset[0] + k * w.step[0];
			float run = 0, x;
			int32_t run_whole = 0, whole;
			for (int64_t j = 0; j < n; j++) {
				if (is_float) {
					row_load(&x, from + j * a_step, 4, a.dtype, 1);
					if (j)
						row_function(f, &run, &(float){run}, &x, NULL, 1);
					else
						run = x;
					row_store(to + j * y_step, 4, y.dtype, &run, 1);
				} else {
					row_load_integer(&whole, from + j * a_step, 4, a.dtype, 1);
					if (j)
						row_function_integer(f, &run_whole, &run_whole, &whole, NULL, 1);
					else
						run_whole = whole;
					row_store_integer(to + j * y_step, 4, y.dtype, &run_whole, 1);
				}
			}
		}
	return true;
}

/* --- the online softmax step -------------------------------------------------------------------------- */

typedef struct SoftmaxRow {
	const uint8_t *s;
	uint8_t *p, *state;
	int64_t s_step, p_step, part;
	uint8_t s_type, p_type;
	int64_t n, live;
	float scale;
} SoftmaxRow;

static void row_scale(float *x, const SoftmaxRow *r, int64_t first, int64_t n)
{
	float scale[ROW];
	int64_t live = r->live - first < 0 ? 0 : r->live - first > n ? n : r->live - first;
	for (int64_t i = 0; i < live; i++) scale[i] = r->scale;
	row_load(x, r->s + first * r->s_step, r->s_step, r->s_type, live);
	row_function(VF_MUL, x, x, scale, NULL, live);
	for (int64_t i = live; i < n; i++) x[i] = -INFINITY;
}

static void softmax_row(const SoftmaxRow *r)
{
	float m, l, alpha, most, x[ROW], y[ROW], shift[ROW];
	memcpy(&m, r->state, 4);
	memcpy(&l, r->state + r->part, 4);
	most = m;
	for (int64_t i = 0; i < r->n; i += ROW) {
		int64_t n = r->n - i < ROW ? r->n - i : ROW;
		row_scale(x, r, i, n);
		for (int64_t k = 0; k < n; k++)
			if (better(VF_MAX, x[k], most)) most = x[k];
	}
	if (most == -INFINITY) {
		alpha = 1;
		memset(y, 0, sizeof y);
		for (int64_t i = 0; i < r->n; i += ROW)
			row_store(r->p + i * r->p_step, r->p_step, r->p_type, y,
			          r->n - i < ROW ? r->n - i : ROW);
	} else {
		float sum = 0, down = m - most;
		row_function(VF_EXP, &alpha, &down, NULL, NULL, 1);
		for (int64_t i = 0; i < r->n; i += ROW) {
			int64_t n = r->n - i < ROW ? r->n - i : ROW;
			row_scale(x, r, i, n);
			for (int64_t k = 0; k < n; k++) shift[k] = most;
			row_function(VF_SUB, x, x, shift, NULL, n);
			row_function(VF_EXP, y, x, NULL, NULL, n);
			for (int64_t k = 0; k < n; k += CHUNK)
				sum += chunk_sum(y + k, n - k < CHUNK ? n - k : CHUNK);
			row_store(r->p + i * r->p_step, r->p_step, r->p_type, y, n);
		}
		l = l * alpha + sum;
	}
	row_canonical(&most, 1);
	row_canonical(&l, 1);
	memcpy(r->state, &most, 4);
	memcpy(r->state + r->part, &l, 4);
	memcpy(r->state + 2 * r->part, &alpha, 4);
}

bool execute_softmax(PearlSim *s, const SimStep *step)
{
	const PearlInsn *i = step->insn;
	const SimOperand *p = &step->arg[0], *a = &step->arg[1], *state = &step->arg[2];
	if (p->rank != 2 || a->rank != 2 || state->rank != 2)
		return sim_trap(s, i, "the ranks must be 2");
	if (p->dim[0] != a->dim[0] || p->dim[1] != a->dim[1] || state->dim[0] != 3 ||
	    state->dim[1] != p->dim[0])
		return sim_trap(s, i, "the operands differ in shape");
	if (state->dtype != PDT_F32 || !element_is_float(a->dtype))
		return sim_trap(s, i, "the state must be f32, the scores floats");
	bool causal = i->field[F_SMX_causal] != 0;
	int64_t per = i->field[F_SMX_per] > 0 ? i->field[F_SMX_per] : 1;
	uint32_t u = (uint32_t)i->field[F_SMX_scale];
	SoftmaxRow r = {.s_step = a->stride[1],
	                .p_step = p->stride[1],
	                .part = state->stride[0],
	                .s_type = a->dtype,
	                .p_type = p->dtype,
	                .n = p->dim[1]};
	memcpy(&r.scale, &u, 4);
	for (int64_t k = 0; k < p->dim[0] && !p->empty; k++) {
		int64_t at = (int64_t)((uint64_t)k + (uint64_t)step->reg[1]),
				past = at / per - (at % per < 0);
		r.live = causal ? (int64_t)((uint64_t)step->reg[0] + (uint64_t)past) : r.n;
		if (r.live < 0) r.live = 0;
		if (r.live > r.n) r.live = r.n;
		r.s = a->memory + a->address + k * a->stride[0];
		r.p = p->memory + p->address + k * p->stride[0];
		r.state = state->memory + state->address + k * state->stride[1];
		softmax_row(&r);
	}
	return true;
}
