/* Elementwise work of the vector unit, and the drain: rows of up to ROW elements are widened to f32
 * or i32, computed, and stored in the type of the destination. */
#include "runtime/sim/internal.h"

#include <string.h>

static float immediate(int64_t bits)
{
	uint32_t u = (uint32_t)bits;
	float v;
	memcpy(&v, &u, sizeof v);
	return v;
}

static void fill_row(float *row, float v)
{
	for (uint32_t i = 0; i < ROW; i++) row[i] = v;
}

static void fill_row_integer(int32_t *row, int32_t v)
{
	for (uint32_t i = 0; i < ROW; i++) row[i] = v;
}

/* The sources of an elementwise instruction: operands that are there, and the scalar that stands for
 * one that is not. */
typedef struct Sources {
	uint32_t n; /* operands walked, the destination included */
	const SimOperand *o[4];
	uint32_t arity;
	bool scalar; /* the last source is a scalar */
	bool integer;
	float number;
	int32_t whole;
} Sources;

static void set_scalar(const SimStep *step, Sources *x)
{
	x->scalar = true;
	if (step->insn->field[F_VEC_use_reg]) {
		x->whole = (int32_t)(uint32_t)(uint64_t)step->reg[0];
		x->number = (float)x->whole;
	} else {
		x->number = immediate(step->insn->field[F_VEC_imm]);
		row_store((uint8_t *)&x->whole, 4, PDT_I32, &x->number, 1);
	}
}

static bool sources_of(PearlSim *s, const SimStep *step, PearlFunc f, Sources *x)
{
	*x = (Sources){.n = 1, .o = {&step->arg[0]}, .arity = pearl_func[f].arity};
	uint32_t wanted = step->insn->op == I_V_UN ? 1 : step->insn->op == I_V_BIN ? 2 : 3;
	if (x->arity != wanted)
		return sim_trap(s, step->insn, "function `%s` takes %u operands", pearl_func[f].name,
		                x->arity);
	for (uint32_t k = 1; k <= x->arity; k++) {
		if (step->arg[k].memory)
			x->o[x->n++] = &step->arg[k];
		else
			set_scalar(step, x);
	}
	if (x->n < 2) return sim_trap(s, step->insn, "there is no operand");
	x->integer = !element_is_float(x->o[x->n - 1]->dtype) && pearl_func[f].result != 2;
	return true;
}

static bool elements_float(PearlFunc f, const Sources *x, RowWalk *w)
{
	float row[4][ROW];
	if (x->scalar) fill_row(row[x->arity], x->number);
	for (; !w->done; walk_next(w))
		for (int64_t i = 0; i < w->length; i += ROW) {
			int64_t n = w->length - i < ROW ? w->length - i : ROW;
			for (uint32_t k = 1; k < x->n; k++)
				row_load(row[k], x->o[k]->memory + w->offset[k] + i * w->step[k], w->step[k],
				         x->o[k]->dtype, n);
			row_function(f, row[0], row[1], row[2], row[3], n);
			row_store(x->o[0]->memory + w->offset[0] + i * w->step[0], w->step[0], x->o[0]->dtype,
			          row[0], n);
		}
	return true;
}

static bool elements_integer(PearlFunc f, const Sources *x, RowWalk *w)
{
	int32_t row[4][ROW];
	if (x->scalar) fill_row_integer(row[x->arity], x->whole);
	for (; !w->done; walk_next(w))
		for (int64_t i = 0; i < w->length; i += ROW) {
			int64_t n = w->length - i < ROW ? w->length - i : ROW;
			for (uint32_t k = 1; k < x->n; k++)
				row_load_integer(row[k], x->o[k]->memory + w->offset[k] + i * w->step[k],
				                 w->step[k], x->o[k]->dtype, n);
			row_function_integer(f, row[0], row[1], x->arity > 1 ? row[2] : NULL,
			                     x->arity > 2 ? row[3] : NULL, n);
			row_store_integer(x->o[0]->memory + w->offset[0] + i * w->step[0], w->step[0],
			                  x->o[0]->dtype, row[0], n);
		}
	return true;
}

bool execute_elements(PearlSim *s, const SimStep *step)
{
	PearlFunc f = (PearlFunc)step->insn->field[F_VEC_func];
	Sources x;
	RowWalk w;
	if ((uint64_t)step->insn->field[F_VEC_func] >= NUM_VFUNCS)
		return sim_trap(s, step->insn, "there is no such function");
	if (!sources_of(s, step, f, &x) || !walk_begin(s, step->insn, &w, x.o, x.n)) return false;
	if (f == VF_COPY) {
		for (; !w.done; walk_next(&w))
			row_copy(x.o[0]->memory + w.offset[0], w.step[0], x.o[0]->dtype,
			         x.o[1]->memory + w.offset[1], w.step[1], x.o[1]->dtype, w.length);
		return true;
	}
	return x.integer ? elements_integer(f, &x, &w) : elements_float(f, &x, &w);
}

bool execute_fill(PearlSim *s, const SimStep *step)
{
	const SimOperand *y = &step->arg[0];
	RowWalk w;
	Sources x = {0};
	set_scalar(step, &x);
	float row[ROW];
	int32_t whole[ROW];
	fill_row(row, x.number);
	fill_row_integer(whole, x.whole);
	if (!walk_begin(s, step->insn, &w, &y, 1)) return false;
	for (; !w.done; walk_next(&w))
		for (int64_t i = 0; i < w.length; i += ROW) {
			int64_t n = w.length - i < ROW ? w.length - i : ROW;
			uint8_t *at = y->memory + w.offset[0] + i * w.step[0];
			if (step->insn->field[F_VEC_use_reg])
				row_store_integer(at, w.step[0], y->dtype, whole, n);
			else
				row_store(at, w.step[0], y->dtype, row, n);
		}
	return true;
}

bool execute_iota(PearlSim *s, const SimStep *step)
{
	SimOperand y = step->arg[0];
	uint64_t axis = (uint64_t)step->insn->field[F_VEC_axes];
	if (axis >= y.rank)
		return sim_trap(s, step->insn, "there is no dimension %llu", (unsigned long long)axis);
	uint32_t start = step->insn->field[F_VEC_use_reg] ? (uint32_t)(uint64_t)step->reg[0] : 0,
			 by = (uint32_t)step->insn->field[F_VEC_imm];
	int64_t n = y.dim[axis], stride = y.stride[axis], base = y.address;
	y.dim[axis] = 1;
	for (int64_t i = 0; i < n && !y.empty; i++) {
		int32_t whole[ROW];
		RowWalk w;
		const SimOperand *o = &y;
		y.address = base + i * stride;
		if (!walk_begin(s, step->insn, &w, &o, 1)) return false;
		fill_row_integer(whole, (int32_t)(start + by * (uint32_t)i));
		for (; !w.done; walk_next(&w))
			for (int64_t k = 0; k < w.length; k += ROW)
				row_store_integer(y.memory + w.offset[0] + k * w.step[0], w.step[0], y.dtype, whole,
				                  w.length - k < ROW ? w.length - k : ROW);
	}
	return true;
}

bool execute_drain(PearlSim *s, const SimStep *step)
{
	const PearlInsn *i = step->insn;
	PearlFunc act = (PearlFunc)i->field[F_DRAIN_act];
	const SimOperand *o[4] = {&step->arg[0], &step->arg[1]}, *bias = NULL, *residual = NULL;
	uint32_t n = 2, at_bias = 0, at_residual = 0;
	if ((uint64_t)i->field[F_DRAIN_act] >= NUM_VFUNCS || pearl_func[act].arity != 1)
		return sim_trap(s, i, "there is no such activation");
	if (step->arg[1].space != SPACE_ACC) return sim_trap(s, i, "the source must lie in ACC");
	if (step->arg[2].memory) bias = o[at_bias = n++] = &step->arg[2];
	if (step->arg[3].memory) residual = o[at_residual = n++] = &step->arg[3];
	RowWalk w;
	if (!walk_begin(s, i, &w, o, n)) return false;
	float scale[ROW], one = immediate(i->field[F_DRAIN_scale]);
	fill_row(scale, one);
	for (; !w.done; walk_next(&w))
		for (int64_t k = 0; k < w.length; k += ROW) {
			int64_t m = w.length - k < ROW ? w.length - k : ROW;
			float x[ROW], y[ROW];
			row_load(x, o[1]->memory + w.offset[1] + k * w.step[1], w.step[1], o[1]->dtype, m);
			row_function(VF_MUL, x, x, scale, NULL, m);
			if (bias) {
				row_load(y, bias->memory + w.offset[at_bias] + k * w.step[at_bias], w.step[at_bias],
				         bias->dtype, m);
				row_function(VF_ADD, x, x, y, NULL, m);
			}
			if (act != VF_COPY) {
				row_function(act, y, x, NULL, NULL, m);
				memcpy(x, y, sizeof x);
			}
			if (residual) {
				row_load(y, residual->memory + w.offset[at_residual] + k * w.step[at_residual],
				         w.step[at_residual], residual->dtype, m);
				row_function(VF_ADD, x, x, y, NULL, m);
			}
			row_store(o[0]->memory + w.offset[0] + k * w.step[0], w.step[0], o[0]->dtype, x, m);
		}
	return true;
}
