/* Scalar regions: straight-line functions of an element, on vectors along the operation's vector
 * variable. A bool is an i1; storage types appear only through casts, which round and widen again. */
#include "codegen/cpu/emit.h"
#include <math.h>

static Value fcompare(Gen *g, LLVMRealPredicate p, Value a, Value b)
{
	return LLVMBuildFCmp(g->build, p, a, b, "");
}

static Value fmax_nan(Gen *g, Value a, Value b, bool greater)
{
	Value r = greater ? fgreater(g, a, b) : fless(g, a, b); /* b when unordered */
	return choose(g, fcompare(g, LLVMRealUNO, a, a), a, r);
}

/* Floor of a / b; 0 when b is 0; the most negative number by -1 wraps. */
static Value int_floordiv(Gen *g, Value a, Value b)
{
	uint32_t n = lanes_of(a);
	Value zero = const_i32(g, 0, n), by_zero = LLVMBuildICmp(g->build, LLVMIntEQ, b, zero, "");
	Value by_minus = LLVMBuildICmp(g->build, LLVMIntEQ, b, const_i32(g, -1, n), "");
	Value d = choose(g, LLVMBuildOr(g->build, by_zero, by_minus, ""), const_i32(g, 1, n), b);
	Value q = LLVMBuildSDiv(g->build, a, d, ""), r = isub(g, a, LLVMBuildMul(g->build, q, d, ""));
	Value off = LLVMBuildAnd(g->build, LLVMBuildICmp(g->build, LLVMIntNE, r, zero, ""),
	                         iless(g, LLVMBuildXor(g->build, r, d, ""), zero), "");
	q = choose(g, off, isub(g, q, const_i32(g, 1, n)), q);
	q = choose(g, by_minus, isub(g, zero, a), q);
	return choose(g, by_zero, zero, q);
}

static Value int_call(Gen *g, Scalar f, Value a, Value b, Value c)
{
	LLVMBuilderRef B = g->build;
	Value zero = a ? const_i32(g, 0, lanes_of(a)) : NULL;
	switch (f) {
	case SC_NEG: return isub(g, zero, a);
	case SC_ABS: return choose(g, iless(g, a, zero), isub(g, zero, a), a);
	case SC_RELU: return imax(g, a, zero);
	case SC_ADD: return iadd(g, a, b);
	case SC_SUB: return isub(g, a, b);
	case SC_MUL: return LLVMBuildMul(B, a, b, "");
	case SC_FMA: return iadd(g, LLVMBuildMul(B, a, b, ""), c);
	case SC_FLOORDIV: return int_floordiv(g, a, b);
	case SC_MOD: return isub(g, a, LLVMBuildMul(B, b, int_floordiv(g, a, b), ""));
	case SC_MIN: return imin(g, a, b);
	case SC_MAX: return imax(g, a, b);
	case SC_EQ: return LLVMBuildICmp(B, LLVMIntEQ, a, b, "");
	case SC_NE: return LLVMBuildICmp(B, LLVMIntNE, a, b, "");
	case SC_LT: return LLVMBuildICmp(B, LLVMIntSLT, a, b, "");
	case SC_LE: return LLVMBuildICmp(B, LLVMIntSLE, a, b, "");
	case SC_GT: return LLVMBuildICmp(B, LLVMIntSGT, a, b, "");
	case SC_GE: return LLVMBuildICmp(B, LLVMIntSGE, a, b, "");
	default: return NULL;
	}
}

static Value bool_call(Gen *g, Scalar f, Value a, Value b)
{
	LLVMBuilderRef B = g->build;
	switch (f) {
	case SC_NOT: return LLVMBuildNot(B, a, "");
	case SC_AND:
	case SC_MIN:
	case SC_MUL: return LLVMBuildAnd(B, a, b, "");
	case SC_OR:
	case SC_MAX:
	case SC_ADD: return LLVMBuildOr(B, a, b, "");
	case SC_EQ: return LLVMBuildNot(B, LLVMBuildXor(B, a, b, ""), "");
	case SC_NE: return LLVMBuildXor(B, a, b, "");
	case SC_LT: return LLVMBuildAnd(B, LLVMBuildNot(B, a, ""), b, "");
	case SC_GT: return LLVMBuildAnd(B, LLVMBuildNot(B, b, ""), a, "");
	case SC_LE: return LLVMBuildOr(B, LLVMBuildNot(B, a, ""), b, "");
	case SC_GE: return LLVMBuildOr(B, LLVMBuildNot(B, b, ""), a, "");
	default: return NULL;
	}
}

static Value float_call(Gen *g, Scalar f, Value a, Value b, Value c)
{
	uint32_t n = lanes_of(a);
	Value one = const_f32(g, 1, n), zero = const_f32(g, 0, n), q;
	switch (f) {
	case SC_NEG: return LLVMBuildFNeg(g->build, a, "");
	case SC_ABS: return math_abs(g, a);
	case SC_EXP: return math_exp(g, a);
	case SC_EXP2: return math_exp2(g, a);
	case SC_LOG: return math_log(g, a);
	case SC_LOG2: return math_log2(g, a);
	case SC_SQRT: return math_sqrt(g, a);
	case SC_RSQRT: return float_div(g, one, math_sqrt(g, a));
	case SC_RECIP: return float_div(g, one, a);
	case SC_TANH: return math_tanh(g, a);
	case SC_SIGMOID: return math_sigmoid(g, a);
	case SC_ERF: return math_erf(g, a);
	case SC_SIN: return math_sin(g, a);
	case SC_COS: return math_cos(g, a);
	case SC_FLOOR: return math_floor(g, a);
	case SC_CEIL: return math_ceil(g, a);
	case SC_ROUND: return math_round(g, a);
	case SC_RELU: return fgreater(g, zero, a); /* nan stays nan */
	case SC_GELU: return math_gelu(g, a);
	case SC_GELU_TANH: return math_gelu_tanh(g, a);
	case SC_SILU: return math_silu(g, a);
	case SC_ADD: return float_add(g, a, b);
	case SC_SUB: return float_sub(g, a, b);
	case SC_MUL: return float_mul(g, a, b);
	case SC_DIV: return float_div(g, a, b);
	case SC_FLOORDIV: return math_floor(g, float_div(g, a, b));
	case SC_MOD: q = math_floor(g, float_div(g, a, b)); return float_sub(g, a, float_mul(g, b, q));
	case SC_POW: return math_pow(g, a, b);
	case SC_MIN: return fmax_nan(g, a, b, false);
	case SC_MAX: return fmax_nan(g, a, b, true);
	case SC_EQ: return fcompare(g, LLVMRealOEQ, a, b);
	case SC_NE: return fcompare(g, LLVMRealUNE, a, b);
	case SC_LT: return fcompare(g, LLVMRealOLT, a, b);
	case SC_LE: return fcompare(g, LLVMRealOLE, a, b);
	case SC_GT: return fcompare(g, LLVMRealOGT, a, b);
	case SC_GE: return fcompare(g, LLVMRealOGE, a, b);
	case SC_FMA: return fmadd(g, a, b, c);
	default: return NULL;
	}
}

Value scalar_emit(Gen *g, Scalar f, DType operand, Value a, Value b, Value c)
{
	Value r = NULL;
	if (f == SC_SELECT) return choose(g, a, b, c);
	if (operand == DT_F32)
		r = float_call(g, f, a, b, c);
	else if (operand == DT_I32)
		r = int_call(g, f, a, b, c);
	else
		r = bool_call(g, f, a, b);
	if (r) return r;
	unsupported(g, span_none(), "`%s` of %s", scalar_info[f].name, dtype_name(operand));
	return a;
}

static DType type_of(Gen *g, Value v)
{
	Type t = element_type(v);
	return t == g->f32 ? DT_F32 : t == g->i1 ? DT_BOOL : DT_I32;
}

/* The operands of a call in one type: f32 if any is, else i32 unless all are bool. */
static DType unify(Gen *g, Value *v, uint32_t first, uint32_t n)
{
	DType t = DT_BOOL;
	for (uint32_t i = first; i < n; i++) {
		DType u = type_of(g, v[i]);
		if (u == DT_F32 || (u == DT_I32 && t == DT_BOOL)) t = u;
	}
	for (uint32_t i = first; i < n; i++) v[i] = convert(g, v[i], type_of(g, v[i]), t);
	return t;
}

static Value call_node(Gen *g, const RegionNode *r, const Value *node)
{
	Value v[3] = {NULL, NULL, NULL};
	uint32_t arity = scalar_info[r->f].arity;
	for (uint32_t i = 0; i < arity; i++) v[i] = node[r->arg[i]];
	if (r->f == SC_SELECT) {
		v[0] = convert(g, v[0], type_of(g, v[0]), DT_BOOL);
		unify(g, v, 1, 3);
		return choose(g, v[0], v[1], v[2]);
	}
	DType t = unify(g, v, 0, arity);
	if (scalar_info[r->f].result == SCALAR_FLOAT && t != DT_F32) {
		for (uint32_t i = 0; i < arity; i++) v[i] = convert(g, v[i], t, DT_F32);
		t = DT_F32;
	}
	if ((r->f == SC_NOT || r->f == SC_AND || r->f == SC_OR) && t != DT_BOOL) {
		for (uint32_t i = 0; i < arity; i++) v[i] = convert(g, v[i], t, DT_BOOL);
		t = DT_BOOL;
	}
	return scalar_emit(g, r->f, t, v[0], v[1], v[2]);
}

/* An index expression as i32 lanes along v. Only the symbol of v differs between lanes; it is
 * bound to the first lane's value. */
static Value dim_node(Gen *g, Dim d, const TileVar *space, uint32_t v, uint32_t lanes)
{
	const DimSym *s = lanes > 1 ? space[v].sym : NULL;
	if (!s || !dim_mentions(d, s))
		return splat(g, LLVMBuildTrunc(g->build, index_value(g, d), g->i32, ""), lanes);
	Dim coef, rest;
	if (dim_linear_in(g->program->dims, d, s, &coef, &rest)) {
		Value base = splat(g, LLVMBuildTrunc(g->build, index_value(g, d), g->i32, ""), lanes);
		Value step = splat(g, LLVMBuildTrunc(g->build, index_value(g, coef), g->i32, ""), lanes);
		return iadd(g, base, imul(g, step, iota(g, lanes)));
	}
	Value first = g->sym[s->id], r = LLVMGetPoison(vector_of(g->i32, lanes));
	for (uint32_t i = 0; i < lanes; i++) {
		g->sym[s->id] = iadd(g, first, const_i64(g, i));
		r = set_lane(g, r, LLVMBuildTrunc(g->build, index_value(g, d), g->i32, ""), i);
	}
	g->sym[s->id] = first;
	return r;
}

void region_emit(Gen *g, const Region *r, const Value *args, const TileVar *space, uint32_t v,
                 Value iv, uint32_t lanes, Value *out)
{
	Value *node = NEW_ARRAY(g->arena, Value, r->n + 1);
	if (lanes > 1 && iv) index_bind(g, space[v].sym, iv, 0);
	for (uint32_t i = 0; i < r->n; i++) {
		const RegionNode *n = &r->node[i];
		switch (n->kind) {
		case RN_ARG: node[i] = args[n->index]; break;
		case RN_CONST:
			if (n->type == DT_F32)
				node[i] = const_f32(g, n->value, lanes);
			else if (n->type == DT_BOOL)
				node[i] = const_bool(g, n->value != 0, lanes);
			else
				node[i] = const_i32(g, (int64_t)n->value, lanes);
			break;
		case RN_DIM: node[i] = dim_node(g, n->dim, space, v, lanes); break;
		case RN_CAST: {
			Value a = node[n->arg[0]];
			node[i] = n->type == DT_F32 || n->type == DT_I32 || n->type == DT_BOOL
			              ? convert(g, a, type_of(g, a), n->type)
			              : widen(g, n->type, narrow(g, n->type, a));
			break;
		}
		case RN_CALL: node[i] = call_node(g, n, node); break;
		}
	}
	for (uint32_t i = 0; i < r->n_out; i++) out[i] = node[r->out[i]];
}

/* A rough count of instructions, to decide where an epilogue is applied. */
uint32_t region_cost(const Region *r)
{
	uint32_t cost = 0;
	for (uint32_t i = 0; i < r->n; i++) {
		const RegionNode *n = &r->node[i];
		if (n->kind == RN_CAST) cost += dtype_bits(n->type) < 32 ? 8 : 2;
		if (n->kind != RN_CALL) continue;
		switch (n->f) {
		case SC_EXP:
		case SC_EXP2:
		case SC_SIGMOID:
		case SC_SILU:
		case SC_TANH:
		case SC_LOG:
		case SC_LOG2: cost += 20; break;
		case SC_GELU:
		case SC_GELU_TANH:
		case SC_ERF: cost += 35; break;
		case SC_SIN:
		case SC_COS:
		case SC_POW: cost += 80; break;
		case SC_DIV:
		case SC_SQRT:
		case SC_RSQRT:
		case SC_RECIP: cost += 8; break;
		default: cost += 1;
		}
	}
	return cost;
}
