/* region.c: scalar regions as vector instructions. Every node is computed over just the variables
 * that it depends on, into a temporary of that shape; constants and indices become immediates, and
 * the last node writes the result. Work that would need too much scratchpad is cut into chunks of
 * its outermost variables first. */
#include "codegen/pearl/internal.h"
#include <string.h>

bool region_is_identity(const Region *r)
{
	if (r->n_out == 0) return true;
	return r->n_out == 1 && r->n_arg == 1 && r->node[r->out[0]].kind == RN_ARG;
}

/* A value of a region: an access (of SPM or ACC) or a scalar known at dispatch. */
typedef struct RegionValue {
	enum { VALUE_ACCESS, VALUE_CONST, VALUE_REG } kind;
	TileAccess access;
	uint32_t mask;
	double number;
	Dim reg;
	DType type; /* widened */
} RegionValue;

typedef struct RegionCtx {
	Compiler *c;
	Work *w;
	const Region *r;
	RegionValue *value;
} RegionCtx;

static uint32_t order_of(uint32_t mask, uint32_t *order)
{
	uint32_t n = 0;
	for (uint32_t v = 0; v < TILE_SPACE; v++)
		if (mask >> v & 1) order[n++] = v;
	return n;
}

static TileAccess temp_over(RegionCtx *x, uint32_t mask, DType t)
{
	Compiler *c = x->c;
	uint32_t order[TILE_SPACE], n = order_of(mask, order);
	int64_t cap[TILE_RANK];
	TileAccess y = {0};
	for (uint32_t i = 0; i < n; i++) {
		cap[i] = greatest(c, x->w->space[order[i]].extent);
		y.index[i] = dim_sym(c->p->dims, x->w->space[order[i]].sym);
	}
	if (n == 0) {
		cap[0] = 1;
		y.index[0] = dim_const(c->p->dims, 0);
		n = 1;
	}
	y.obj = temp_obj(c, SPACE_SPM, t, n, cap);
	return y;
}

/* Operand over the variables in mask; with none, one element. */
static Operand arg_over(RegionCtx *x, const TileAccess *y, uint32_t mask, bool writes)
{
	uint32_t order[TILE_SPACE], n = order_of(mask, order);
	Operand o = operand_of(x->c, x->w, y, order, n, !writes, writes);
	if (n == 0) {
		o.rank = 1;
		o.dim[0] = dim_const(x->c->p->dims, 1);
		o.stride[0] = dtype_bytes(o.dtype, 1);
	}
	return o;
}

static void set_scalar(Insn *i, const RegionValue *v)
{
	if (v->kind == VALUE_REG || dtype_is_integer(v->type)) {
		i->field[F_VEC_use_reg] = 1;
		i->reg[i->n_reg].field = F_VEC_reg;
		i->reg[i->n_reg++].value = v->reg;
	} else
		i->field[F_VEC_imm] = float_bits(v->number);
}

/* The value as an access, filled into a temporary when it is a scalar. */
static RegionValue to_access(RegionCtx *x, RegionValue v)
{
	if (v.kind == VALUE_ACCESS) return v;
	RegionValue y = {.kind = VALUE_ACCESS, .type = v.type, .mask = 0};
	y.access = temp_over(x, 0, v.type);
	Insn *i = insn_add(x->c, I_V_FILL);
	i->arg[0] = arg_over(x, &y.access, 0, true);
	set_scalar(i, &v);
	return y;
}

static RegionValue reg_value(Compiler *c, Dim d)
{
	RegionValue v = {.kind = VALUE_REG, .type = DT_I32, .reg = d};
	int64_t n;
	if (dim_is_const(d, &n)) v.number = (double)n;
	(void)c;
	return v;
}

static uint32_t dim_mask(const Work *w, Dim d)
{
	uint32_t mask = 0;
	for (uint32_t v = 0; v < w->n_space; v++)
		if (dim_mentions(d, w->space[v].sym)) mask |= 1u << v;
	return mask;
}

static RegionValue vector_binary(RegionCtx *x, PearlFunc f, RegionValue a, RegionValue b, DType t)
{
	RegionValue y = {.kind = VALUE_ACCESS, .type = t};
	a = to_access(x, a);
	y.mask = a.mask | (b.kind == VALUE_ACCESS ? b.mask : 0);
	y.access = temp_over(x, y.mask, t);
	Insn *i = insn_add(x->c, I_V_BIN);
	i->field[F_VEC_func] = f;
	i->arg[0] = arg_over(x, &y.access, y.mask, true);
	i->arg[1] = arg_over(x, &a.access, y.mask, false);
	if (b.kind == VALUE_ACCESS)
		i->arg[2] = arg_over(x, &b.access, y.mask, false);
	else
		set_scalar(i, &b);
	return y;
}

static RegionValue vector_dim(RegionCtx *x, Dim d);

static Dim atom_dim(DimPool *p, const DimAtom *a)
{
	switch (a->kind) {
	case ATOM_SYM: return dim_sym(p, a->sym);
	case ATOM_FLOORDIV: return dim_floordiv(p, a->a, a->b);
	case ATOM_MIN: return dim_min(p, a->a, a->b);
	case ATOM_MAX: return dim_max(p, a->a, a->b);
	}
	return NULL;
}

/* coef * atoms: what has no space variable in one scalar, then factor by factor. */
static RegionValue vector_product(RegionCtx *x, DimTerm t)
{
	Compiler *c = x->c;
	DimPool *p = c->p->dims;
	Dim scalar = dim_const(p, t.coef);
	RegionValue y = {0};
	bool any = false;
	for (uint32_t k = 0; k < t.n; k++) {
		const DimAtom *a = t.atom[k];
		Dim factor = atom_dim(p, a);
		if (!dim_mask(x->w, factor)) {
			scalar = dim_mul(p, scalar, factor);
			continue;
		}
		PearlFunc f = a->kind == ATOM_FLOORDIV ? VF_FLOORDIV
		              : a->kind == ATOM_MIN    ? VF_MIN
		                                       : VF_MAX;
		RegionValue v = a->kind == ATOM_SYM
		                    ? vector_dim(x, factor)
		                    : vector_binary(x, f, vector_dim(x, a->a), vector_dim(x, a->b), DT_I32);
		y = any ? vector_binary(x, VF_MUL, y, v, DT_I32) : v;
		any = true;
	}
	int64_t one;
	if (dim_is_const(scalar, &one) && one == 1) return y;
	return vector_binary(x, VF_MUL, y, reg_value(c, scalar), DT_I32);
}

/* An index expression over the space, as i32. */
static RegionValue vector_dim(RegionCtx *x, Dim d)
{
	Compiler *c = x->c;
	uint32_t mask = dim_mask(x->w, d);
	if (!mask) return reg_value(c, d);
	DimTerm only = dim_terms(d) == 1 ? dim_term(d, 0) : (DimTerm){0};
	if (dim_terms(d) == 1 && (only.n > 1 || only.atom[0]->kind != ATOM_SYM)) {
		RegionValue y = vector_product(x, only);
		if (!dim_constant(d)) return y;
		return vector_binary(x, VF_ADD, y, reg_value(c, dim_const(c->p->dims, dim_constant(d))),
		                     DT_I32);
	}
	for (uint32_t v = 0; v < x->w->n_space; v++) {
		if (mask != 1u << v) continue;
		Dim coef, rest;
		int64_t k;
		if (!dim_linear_in(c->p->dims, d, x->w->space[v].sym, &coef, &rest) ||
		    !dim_is_const(coef, &k))
			continue;
		RegionValue y = {.kind = VALUE_ACCESS, .type = DT_I32, .mask = mask};
		y.access = temp_over(x, mask, DT_I32);
		Insn *i = insn_add(c, I_V_IOTA);
		i->arg[0] = arg_over(x, &y.access, mask, true);
		i->field[F_VEC_axes] = 0;
		i->field[F_VEC_imm] = (int64_t)(uint32_t)(int32_t)k;
		i->field[F_VEC_use_reg] = 1;
		i->reg[i->n_reg].field = F_VEC_reg;
		i->reg[i->n_reg++].value = rest;
		return y;
	}
	if (dim_terms(d) < 2) {
		pearl_fail(c, c->at,
		           "index expression `%s` in a region is not affine in the space variables",
		           dim_text(c->arena, d));
		return reg_value(c, dim_const(c->p->dims, 0));
	}
	/* a sum: what has no space variable in one scalar, then term by term */
	Dim scalar = dim_const(c->p->dims, dim_constant(d));
	RegionValue sum = {0};
	bool any = false;
	for (uint32_t t = 0; t < dim_terms(d); t++) {
		DimTerm term = dim_term(d, t);
		Dim one = dim_const(c->p->dims, term.coef);
		for (uint32_t k = 0; k < term.n; k++) {
			DimPool *p = c->p->dims;
			one = dim_mul(p, one, atom_dim(p, term.atom[k]));
		}
		if (!dim_mask(x->w, one)) {
			scalar = dim_add(c->p->dims, scalar, one);
			continue;
		}
		RegionValue v = vector_dim(x, one);
		sum = any ? vector_binary(x, VF_ADD, sum, v, DT_I32) : v;
		any = true;
	}
	int64_t zero;
	if (dim_is_const(scalar, &zero) && zero == 0) return sum;
	return vector_binary(x, VF_ADD, sum, reg_value(c, scalar), DT_I32);
}

static const struct {
	uint8_t f;
	bool swap;
	uint8_t swapped;
} functions[NUM_SCALARS] = {
#define ROW(s, v) [SC_##s] = {VF_##v, false, 0}
#define ROW2(s, v, back) [SC_##s] = {VF_##v, true, VF_##back}
	ROW(NEG, NEG),       ROW(ABS, ABS),        ROW(EXP, EXP),           ROW(EXP2, EXP2),
	ROW(LOG, LOG),       ROW(LOG2, LOG2),      ROW(SQRT, SQRT),         ROW(RSQRT, RSQRT),
	ROW(RECIP, RECIP),   ROW(TANH, TANH),      ROW(SIGMOID, SIGMOID),   ROW(ERF, ERF),
	ROW(SIN, SIN),       ROW(COS, COS),        ROW(FLOOR, FLOOR),       ROW(CEIL, CEIL),
	ROW(ROUND, ROUND),   ROW(RELU, RELU),      ROW(GELU, GELU),         ROW(GELU_TANH, GELU_TANH),
	ROW(SILU, SILU),     ROW(NOT, NOT),        ROW2(ADD, ADD, ADD),     ROW2(SUB, SUB, RSUB),
	ROW2(MUL, MUL, MUL), ROW2(DIV, DIV, RDIV), ROW(FLOORDIV, FLOORDIV), ROW(MOD, MOD),
	ROW(POW, POW),       ROW2(MIN, MIN, MIN),  ROW2(MAX, MAX, MAX),     ROW2(EQ, EQ, EQ),
	ROW2(NE, NE, NE),    ROW2(LT, LT, GT),     ROW2(LE, LE, GE),        ROW2(GT, GT, LT),
	ROW2(GE, GE, LE),    ROW2(AND, AND, AND),  ROW2(OR, OR, OR),        ROW(SELECT, SELECT),
	ROW(FMA, FMA),
#undef ROW
#undef ROW2
};

/* Emits node n; target: where to write it over all variables, or NULL for a temporary. */
static RegionValue node_emit(RegionCtx *x, uint32_t n, const TileAccess *target, uint32_t full)
{
	Compiler *c = x->c;
	const RegionNode *node = &x->r->node[n];
	RegionValue arg[3] = {0};
	if (node->kind == RN_CAST && node->type == DT_I4)
		pearl_fail(c, c->at,
		           "Pearl makes no values of i4, it only reads weights of it: cast to i8");
	uint32_t arity = node->kind == RN_CALL ? scalar_info[node->f].arity : 1;
	for (uint32_t k = 0; k < arity; k++) arg[k] = x->value[node->arg[k]];
	PearlFunc f = node->kind == RN_CALL ? functions[node->f].f : VF_COPY;
	if (arity == 2 && arg[0].kind != VALUE_ACCESS && functions[node->f].swap) {
		f = functions[node->f].swapped;
		RegionValue swap = arg[0];
		arg[0] = arg[1];
		arg[1] = swap;
	}
	uint32_t mask = 0;
	for (uint32_t k = 0; k < arity; k++) {
		/* only the last operand of a binary may stay a scalar; a trailing float constant of three too */
		bool scalar_ok =
			(arity == 2 && k == 1) ||
			(arity == 3 && k == 2 && arg[k].kind == VALUE_CONST && arg[k].type == DT_F32);
		if (!scalar_ok) arg[k] = to_access(x, arg[k]);
		if (arg[k].kind == VALUE_ACCESS) mask |= arg[k].mask;
	}
	RegionValue y = {.kind = VALUE_ACCESS,
	                 .type = node->kind == RN_CAST ? dtype_widened(node->type) : node->type,
	                 .mask = target ? full : mask};
	DType t = node->type;
	y.access = target ? *target : temp_over(x, mask, t);
	Insn *i = insn_add(c, arity == 1 ? I_V_UN : arity == 2 ? I_V_BIN : I_V_TRI);
	i->field[F_VEC_func] = f;
	i->arg[0] = arg_over(x, &y.access, y.mask, true);
	for (uint32_t k = 0; k < arity; k++) {
		if (arg[k].kind == VALUE_ACCESS)
			i->arg[k + 1] = arg_over(x, &arg[k].access, y.mask, false);
		else
			set_scalar(i, &arg[k]);
	}
	return y;
}

/* Results may be written straight into out k when no input still to be read lies in that place. */
static bool direct(const Work *w, uint32_t k, const Region *r)
{
	const TileAccess *o = &w->out[k];
	for (uint32_t i = 0; i < w->n_in; i++) {
		if (w->in[i].obj != o->obj) continue;
		if (w->n_out > 1) return false;
		for (uint32_t d = 0; d < o->obj->rank; d++)
			if (w->in[i].index[d] != o->index[d]) return false;
	}
	(void)r;
	return true;
}

void region_lower(Compiler *c, Work *w, const Region *r)
{
	for (uint32_t i = 0; i < w->n_in; i++) {
		TileAccess y = access_resolve(c, &w->in[i]);
		w->in[i] = y;
		PearlSpace space = access_store(c, &y)->space;
		if (space == SPACE_HBM || space == SPACE_GSM) stage_in(c, w, &w->in[i], NUM_DTYPES);
	}
	RegionCtx x = {c, w, r, NEW_ARRAY(c->arena, RegionValue, r->n + 1)};
	uint32_t full = (1u << w->n_space) - 1;
	RegionValue *result = NEW_ARRAY(c->arena, RegionValue, r->n_out + 1);
	for (uint32_t n = 0; n < r->n && !c->failed; n++) {
		const RegionNode *node = &r->node[n];
		RegionValue *v = &x.value[n];
		if (node->kind == RN_ARG)
			*v = (RegionValue){.kind = VALUE_ACCESS,
			                   .access = w->in[node->index],
			                   .mask = access_mask(w, &w->in[node->index]),
			                   .type = node->type};
		else if (node->kind == RN_CONST) {
			*v = (RegionValue){.kind = VALUE_CONST, .number = node->value, .type = node->type};
			if (node->type != DT_F32)
				v->reg = dim_const(c->p->dims, (int64_t)node->value),
				v->kind = node->type == DT_I32 ? VALUE_REG : VALUE_CONST;
		} else if (node->kind == RN_DIM) {
			Dim d = node->dim;
			if (w->s) d = work_dim(c, w, d); /* in terms of the variables left after chunking */
			*v = vector_dim(&x, d);
		} else {
			const TileAccess *target = NULL;
			for (uint32_t k = 0; k < r->n_out; k++) {
				bool later = false;
				for (uint32_t m = n + 1; m < r->n; m++)
					if (r->node[m].kind >= RN_CAST)
						for (uint32_t j = 0;
						     j <
						     (r->node[m].kind == RN_CAST ? 1u : scalar_info[r->node[m].f].arity);
						     j++)
							later |= r->node[m].arg[j] == n;
				if (r->out[k] == n && !later && n == r->n - 1 && direct(w, k, r))
					target = &w->out[k], result[k].kind = VALUE_REG;
			}
			*v = node_emit(&x, n, target, full);
		}
	}
	/* what was not written directly is copied at the end */
	for (uint32_t k = 0; k < r->n_out && !c->failed; k++) {
		if (result[k].kind == VALUE_REG) continue;
		RegionValue v = x.value[r->out[k]];
		Insn *i = insn_add(c, v.kind == VALUE_ACCESS ? I_V_UN : I_V_FILL);
		i->arg[0] = arg_over(&x, &w->out[k], full, true);
		if (v.kind == VALUE_ACCESS) {
			i->field[F_VEC_func] = VF_COPY;
			i->arg[1] = arg_over(&x, &v.access, full, false);
		} else
			set_scalar(i, &v);
	}
}

/* Bytes of temporaries that the region would take over w. */
static int64_t region_bytes(Compiler *c, const Work *w, const Region *r, bool out)
{
	int64_t elements = 1, sum = 0;
	for (uint32_t v = 0; v < w->n_space; v++) elements *= greatest(c, w->space[v].extent);
	uint32_t calls = out ? 1 : 0;
	for (uint32_t n = 0; n + 1 < r->n; n++) calls += r->node[n].kind >= RN_DIM;
	for (uint32_t i = 0; i < w->n_in; i++) {
		TileAccess y = access_resolve(c, &w->in[i]);
		PearlSpace space = access_store(c, &y)->space;
		if (space == SPACE_HBM || space == SPACE_GSM) sum += stage_bytes(c, w, &y, NUM_DTYPES);
	}
	return sum + elements * 4 * calls;
}

static void drop_ones(Compiler *c, Work *w)
{
	for (uint32_t v = w->n_space; v-- > 0;) {
		int64_t n;
		if (dim_is_const(w->space[v].extent, &n) && n == 1 && w->n_space > 1) work_drop(c, w, v);
	}
}

/* Cuts w until it fits and has at most rank variables; then `leaf`. */
typedef void Leaf(Compiler *c, Work *w, const Region *r);
static void with_chunks(Compiler *c, Work *w, const Region *r, bool out, uint32_t keep, Leaf *leaf)
{
	Chunk open[40];
	uint32_t n = 0;
	work_linear(c, w, true, open, &n);
	drop_ones(c, w);
	while (w->n_space > PEARL_RANK && n < 20) open[n++] = chunk_open(c, w, 0, 1);
	for (uint32_t v = 0; v < w->n_space && n < 20 && w->n_space > keep;) {
		int64_t bytes = region_bytes(c, w, r, out), extent = greatest(c, w->space[v].extent);
		if (bytes <= c->spm_budget) break;
		if (extent <= 1) {
			v++;
			continue;
		}
		int64_t size = extent * c->spm_budget / bytes;
		if (size < 1) size = 1;
		open[n++] = chunk_open(c, w, v, size);
		if (size > 1) v++; /* size 1 dropped the variable */
	}
	leaf(c, w, r);
	while (n) chunk_close(c, open[--n]);
}

static void map_leaf(Compiler *c, Work *w, const Region *r)
{
	region_lower(c, w, r);
}

static void put_leaf(Compiler *c, Work *w, const Region *r)
{
	TileAccess to[TILE_OUTS], from[TILE_OUTS];
	memcpy(to, w->out, sizeof to);
	if (region_is_identity(r)) {
		from[0] = access_resolve(c, &w->in[0]);
		stage_in(c, w, &from[0], NUM_DTYPES);
		store_out(c, w, from[0], &to[0], w->accumulate);
		return;
	}
	RegionCtx x = {c, w, r, NULL};
	for (uint32_t k = 0; k < w->n_out; k++) {
		DType t = access_store(c, &to[k])->dtype;
		from[k] = w->out[k] = temp_over(&x, (1u << w->n_space) - 1, t);
	}
	region_lower(c, w, r);
	for (uint32_t k = 0; k < w->n_out; k++) store_out(c, w, from[k], &to[k], w->accumulate);
}

void pearl_lower_map(Compiler *c, const TileStmt *s)
{
	Work w;
	work_of(&w, s);
	with_chunks(c, &w, &s->region, s->op == TILE_PUT, 0, s->op == TILE_PUT ? put_leaf : map_leaf);
}
