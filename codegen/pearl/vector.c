/* vector.c: reductions, scans, orderings and the softmax step, each one vector instruction around
 * which operands are arranged: the reduced or ordered dimension comes last. */
#include "codegen/pearl/internal.h"
#include <math.h>
#include <string.h>

/* Orders w's variables: those of mask first. Returns their number. */
static uint32_t order_first(Work *w, uint32_t mask)
{
	TileVar space[TILE_SPACE];
	uint32_t n = 0, lead = 0;
	for (uint32_t v = 0; v < w->n_space; v++)
		if (mask >> v & 1) space[n++] = w->space[v], lead++;
	for (uint32_t v = 0; v < w->n_space; v++)
		if (!(mask >> v & 1)) space[n++] = w->space[v];
	memcpy(w->space, space, n * sizeof space[0]);
	return lead;
}

static int64_t space_bytes(Compiler *c, const Work *w)
{
	int64_t bytes = 4;
	for (uint32_t v = 0; v < w->n_space; v++) bytes *= greatest(c, w->space[v].extent);
	return bytes;
}

/* The region's result over the whole space as an access; the single input itself if it is one. */
static TileAccess region_value(Compiler *c, Work *w, const Region *r, DType as)
{
	if (region_is_identity(r)) {
		TileAccess y = access_resolve(c, &w->in[0]);
		if (access_store(c, &y)->space != SPACE_ACC) stage_in(c, w, &y, NUM_DTYPES);
		return y;
	}
	TileAccess y = {0};
	int64_t cap[TILE_RANK];
	for (uint32_t v = 0; v < w->n_space; v++) {
		cap[v] = greatest(c, w->space[v].extent);
		y.index[v] = dim_sym(c->p->dims, w->space[v].sym);
	}
	y.obj = temp_obj(c, SPACE_SPM, as, w->n_space, cap);
	Work inner = *w;
	inner.n_out = 1;
	inner.out[0] = y;
	region_lower(c, &inner, r);
	return y;
}

/* Operands of a and of a result that lacks its last `axes` dims; rank at least one for both. */
static void reduced_operands(Compiler *c, const Work *w, const TileAccess *a, const TileAccess *out,
                             uint32_t lead, Operand *oa, Operand *oo, bool reads)
{
	uint32_t order[TILE_SPACE];
	for (uint32_t v = 0; v < w->n_space; v++) order[v] = v;
	*oa = operand_of(c, w, a, order, w->n_space, true, false);
	*oo = operand_of(c, w, out, order, lead, reads, true);
	if (lead) return;
	for (uint32_t v = oa->rank; v-- > 0;)
		oa->dim[v + 1] = oa->dim[v], oa->stride[v + 1] = oa->stride[v];
	oa->rank++;
	oa->dim[0] = oo->dim[0] = dim_const(c->p->dims, 1);
	oa->stride[0] = oo->stride[0] = 0;
	oo->rank = 1;
}

static DType region_type(const Work *w, const Region *r)
{
	if (region_is_identity(r)) return dtype_widened(w->in[0].obj->dtype);
	return dtype_widened(r->node[r->out[0]].type);
}

/* Cuts the kept variables, which are the first *lead, until rank and bytes fit. */
static void cut_kept(Compiler *c, Work *w, uint32_t *lead, Chunk *open, uint32_t *n)
{
	for (uint32_t v = 0; v < *lead;) {
		int64_t bytes = space_bytes(c, w), extent = greatest(c, w->space[v].extent);
		bool wide = w->n_space > (*lead ? PEARL_RANK : PEARL_RANK - 1);
		if (!wide && bytes <= c->spm_budget) break;
		int64_t size = wide ? 1 : extent * c->spm_budget / bytes;
		if (size < 1) size = 1;
		if (extent == 1 && wide) {
			work_drop(c, w, v);
			--*lead;
			continue;
		}
		open[(*n)++] = chunk_open(c, w, v, size);
		if (size == 1 && extent > 1)
			--*lead;
		else
			v++;
	}
}

/* What a reduction of nothing gives, into its result: it is then accumulated into. */
static void fill_identity(Compiler *c, const Work *w, uint32_t lead, uint8_t reduce, DType t)
{
	double identity = reduce == RED_MAX ? -INFINITY : reduce == RED_MIN ? INFINITY : 0;
	uint32_t order[TILE_SPACE];
	for (uint32_t k = 0; k < lead; k++) order[k] = k;
	Insn *i = insn_add(c, I_V_FILL);
	i->arg[0] = operand_of(c, w, &w->out[0], order, lead, false, true);
	if (!lead) i->arg[0].rank = 1, i->arg[0].dim[0] = dim_const(c->p->dims, 1);
	if (!dtype_is_integer(t)) {
		i->field[F_VEC_imm] = float_bits(identity);
		return;
	}
	i->field[F_VEC_use_reg] = 1;
	i->reg[i->n_reg].field = F_VEC_reg;
	i->reg[i->n_reg++].value = dim_const(c->p->dims, identity == 0  ? 0
	                                                 : identity < 0 ? INT32_MIN
	                                                                : INT32_MAX);
}

/* Cuts the reduced variables until the bytes fit: each part is accumulated into the result. */
static void cut_reduced(Compiler *c, Work *w, uint32_t lead, uint8_t reduce, DType t,
                        bool *accumulate, Chunk *open, uint32_t *n)
{
	for (uint32_t v = lead; v < w->n_space && *n < 20; v++) {
		int64_t bytes = space_bytes(c, w), extent = greatest(c, w->space[v].extent);
		if (bytes <= c->spm_budget || reduce == RED_ARGMAX) break;
		int64_t size = extent * c->spm_budget / bytes;
		if (!*accumulate) fill_identity(c, w, lead, reduce, t);
		*accumulate = true;
		if (size <= 1) size = extent > 2 ? 2 : 1;
		open[(*n)++] = chunk_open(c, w, v, size);
	}
}

/* A place in the scratchpad for a value over the first n variables. */
static TileAccess temp_over(Compiler *c, const Work *w, uint32_t n, DType t)
{
	TileAccess y = {0};
	int64_t cap[TILE_RANK];
	for (uint32_t v = 0; v < n; v++) {
		cap[v] = greatest(c, w->space[v].extent);
		y.index[v] = dim_sym(c->p->dims, w->space[v].sym);
	}
	if (!n) cap[0] = 1, y.index[0] = dim_const(c->p->dims, 0);
	y.obj = temp_obj(c, SPACE_SPM, t, n ? n : 1, cap);
	return y;
}

static TileAccess magnitude(Compiler *c, const Work *w, const TileAccess *a, DType t)
{
	uint32_t order[TILE_SPACE];
	for (uint32_t v = 0; v < w->n_space; v++) order[v] = v;
	TileAccess y = temp_over(c, w, w->n_space, t);
	Insn *i = insn_add(c, I_V_UN);
	i->field[F_VEC_func] = VF_ABS;
	i->arg[0] = operand_of(c, w, &y, order, w->n_space, false, true);
	i->arg[1] = operand_of(c, w, a, order, w->n_space, true, false);
	return y;
}

void pearl_lower_reduce(Compiler *c, const TileStmt *s)
{
	static const uint8_t func[NUM_TILE_REDUCE] = {[RED_SUM] = VF_ADD,
	                                              [RED_MAX] = VF_MAX,
	                                              [RED_MIN] = VF_MIN,
	                                              [RED_AMAX] = VF_MAX,
	                                              [RED_ARGMAX] = VF_MAX};
	Work w;
	Chunk open[40];
	uint32_t n = 0;
	work_of(&w, s);
	work_linear(c, &w, s->reduce != RED_ARGMAX, open, &n);
	uint32_t lead = order_first(&w, access_mask(&w, &w.out[0]));
	cut_kept(c, &w, &lead, open, &n);
	bool accumulate = w.accumulate;
	DType t = region_type(&w, &s->region);
	cut_reduced(c, &w, lead, (uint8_t)s->reduce, t, &accumulate, open, &n);
	TileAccess a = region_value(c, &w, &s->region, t);
	if (s->reduce == RED_AMAX) a = magnitude(c, &w, &a, t);
	TileAccess greatest_one;
	if (s->reduce == RED_ARGMAX) greatest_one = temp_over(c, &w, lead, t);
	Insn *i = insn_add(c, I_V_RED);
	if (s->reduce == RED_ARGMAX) { /* the value, which nobody wants, and its position */
		Operand unused;
		reduced_operands(c, &w, &a, &greatest_one, lead, &i->arg[1], &i->arg[0], false);
		reduced_operands(c, &w, &a, &w.out[0], lead, &unused, &i->arg[2], false);
	} else {
		reduced_operands(c, &w, &a, &w.out[0], lead, &i->arg[1], &i->arg[0], accumulate);
	}
	i->field[F_VEC_func] = func[s->reduce];
	i->field[F_VEC_axes] = w.n_space - lead;
	i->field[F_VEC_accumulate] = accumulate;
	while (n) chunk_close(c, open[--n]);
}

void pearl_lower_ordered(Compiler *c, const TileStmt *s)
{
	Work w;
	Chunk open[24];
	uint32_t n = 0;
	work_of(&w, s);
	work_linear(c, &w, false, open, &n);
	const DimSym *axis = s->space[s->axis].sym;
	const DimSym *k = s->op == TILE_TOPK ? s->space[s->n_space - 1].sym : NULL;
	/* rows first, the axis last; topk's k beside it */
	uint32_t rows = 0;
	for (uint32_t v = 0; v < w.n_space; v++)
		if (w.space[v].sym != axis && w.space[v].sym != k) rows |= 1u << v;
	TileVar axis_var = s->space[s->axis], k_var = s->space[s->n_space - 1];
	uint32_t lead = order_first(&w, rows);
	w.space[lead] = axis_var;
	if (k) w.space[lead + 1] = k_var;
	while (lead + 1 > PEARL_RANK - 1 && n < 20) open[n++] = chunk_open(c, &w, 0, 1), lead--;
	if (lead && space_bytes(c, &w) > c->spm_budget) {
		int64_t extent = greatest(c, w.space[0].extent),
				size = extent * c->spm_budget / space_bytes(c, &w);
		if (size < 1) size = 1;
		if (size < extent) {
			open[n++] = chunk_open(c, &w, 0, size);
			if (size == 1) lead--;
		}
	}
	uint32_t order[TILE_SPACE], over[TILE_SPACE];
	for (uint32_t v = 0; v <= lead; v++) order[v] = over[v] = v;
	if (k) over[lead] = lead + 1;
	Work inner = w;
	if (k) inner.n_space = lead + 1;
	TileAccess a = region_value(c, &inner, &s->region, region_type(&w, &s->region));
	if (s->op == TILE_SCAN && (s->reduce == RED_AMAX || s->reduce == RED_ARGMAX)) {
		pearl_fail(c, s->span, "a running amax or argmax is not supported on Pearl");
		return;
	}
	if (s->op != TILE_SCAN && s->n_out == 1) { /* positions that nobody wants */
		int64_t cap[TILE_RANK];
		w.out[1] = (TileAccess){0};
		for (uint32_t v = 0; v <= lead; v++) {
			cap[v] = greatest(c, w.space[over[v]].extent);
			w.out[1].index[v] = dim_sym(c->p->dims, w.space[over[v]].sym);
		}
		w.out[1].obj = temp_obj(c, SPACE_SPM, DT_I32, lead + 1, cap);
	}
	Insn *i = insn_add(c, s->op == TILE_SCAN ? I_V_SCAN : s->op == TILE_TOPK ? I_V_TOPK : I_V_SORT);
	i->arg[0] = operand_of(c, &w, &w.out[0], over, lead + 1, false, true);
	if (s->op == TILE_SCAN) {
		i->arg[1] = operand_of(c, &w, &a, order, lead + 1, true, false);
		i->field[F_VEC_func] = s->reduce == RED_MAX   ? VF_MAX
		                       : s->reduce == RED_MIN ? VF_MIN
		                                              : VF_ADD;
	} else {
		i->arg[1] = operand_of(c, &w, &w.out[1], over, lead + 1, false, true);
		i->arg[2] = operand_of(c, &w, &a, order, lead + 1, true, false);
		i->field[F_VEC_descending] = s->descending || s->op == TILE_TOPK;
	}
	while (n) chunk_close(c, open[--n]);
}

/* `j < limit + (i + first) // per` out of the condition a (<|<=) b of a mask. */
static bool causal_form(Compiler *c, const TileStmt *mask, Dim *limit, Dim *first, int64_t *per)
{
	const Region *r = &mask->region;
	if (mask->op != TILE_MAP || mask->n_space != 2 || mask->n_out != 1 || r->n_out != 1)
		return false;
	const RegionNode *sel = &r->node[r->out[0]];
	if (sel->kind != RN_CALL || sel->f != SC_SELECT) return false;
	const RegionNode *cond = &r->node[sel->arg[0]], *then = &r->node[sel->arg[1]],
					 *other = &r->node[sel->arg[2]];
	if (cond->kind != RN_CALL || then->kind != RN_ARG || other->kind != RN_CONST ||
	    other->value != -INFINITY)
		return false;
	const RegionNode *a = &r->node[cond->arg[0]], *b = &r->node[cond->arg[1]];
	if (a->kind != RN_DIM || b->kind != RN_DIM) return false;
	DimPool *p = c->p->dims;
	Dim d;
	if (cond->f == SC_LE || cond->f == SC_LT)
		d = dim_sub(p, b->dim, a->dim);
	else if (cond->f == SC_GE || cond->f == SC_GT)
		d = dim_sub(p, a->dim, b->dim);
	else
		return false;
	if (cond->f == SC_LE || cond->f == SC_GE) d = dim_addc(p, d, 1);
	Dim coef, rest;
	int64_t k;
	const DimSym *i = mask->space[0].sym, *j = mask->space[1].sym;
	if (!dim_linear_in(p, d, j, &coef, &rest) || !dim_is_const(coef, &k) || k != -1) return false;
	Dim r1 = rest;
	if (dim_linear_in(p, r1, i, &coef, &rest) && dim_is_const(coef, &k)) {
		if (k != 1) return false;
		*limit = rest;
		*first = dim_const(p, 0);
		*per = 1;
		return true;
	}
	for (uint32_t t = 0; t < dim_terms(r1); t++) {
		DimTerm term = dim_term(r1, t);
		if (term.n != 1 || term.coef != 1 || term.atom[0]->kind != ATOM_FLOORDIV ||
		    !dim_mentions(term.atom[0]->a, i))
			continue;
		const DimAtom *f = term.atom[0];
		if (!dim_is_const(f->b, per) || !dim_linear_in(p, f->a, i, &coef, &rest) ||
		    !dim_is_const(coef, &k) || k != 1)
			return false;
		*first = rest;
		*limit = dim_sub(p, r1, dim_floordiv(p, f->a, f->b));
		return !dim_mentions(*limit, i) && *per < 4096;
	}
	return false;
}

bool mask_matches(Compiler *c, const TileStmt *choice)
{
	const TileStmt *mask = choice->body.first, *step = choice->next;
	Dim limit, first;
	int64_t per;
	return choice->op == TILE_IF && mask && !mask->next && !choice->orelse.first && step &&
	       step->op == TILE_SOFTMAX_STEP && mask->n_out == 1 &&
	       mask->out[0].obj == step->in[0].obj && causal_form(c, mask, &limit, &first, &per);
}

static void causal_fields(Insn *i, Dim limit, Dim first, int64_t per)
{
	i->field[F_SMX_causal] = 1;
	i->field[F_SMX_per] = per;
	i->reg[0].field = F_SMX_limit;
	i->reg[0].value = limit;
	i->reg[1].field = F_SMX_first;
	i->reg[1].value = first;
	i->n_reg = 2;
}

void pearl_lower_softmax(Compiler *c, const TileStmt *s, const TileCond *unused,
                         const TileStmt *mask)
{
	(void)unused;
	Work w;
	work_of(&w, s);
	if (w.n_space != 2) {
		pearl_fail(c, s->span, "softmax_step wants two space variables");
		return;
	}
	uint32_t order[2] = {0, 1};
	if (!access_mentions(&w.out[2], w.space[0].sym)) order[0] = 1, order[1] = 0;
	Store *m = access_store(c, &w.out[2]), *l = access_store(c, &w.out[3]),
		  *alpha = access_store(c, &w.out[1]);
	bool beside = alpha->group == m->group;
	bool alike = (!beside || s->out[1].index[0] == s->out[2].index[0]) &&
	             s->out[3].index[0] == s->out[2].index[0] && m->bytes == l->bytes;
	if (!m->group || m->group != l->group || m->group_at != 0 || !alike) {
		pearl_fail(c, s->span, "the state of this softmax_step cannot lie together");
		return;
	}
	TileAccess score = access_resolve(c, &w.in[0]);
	if (access_store(c, &score)->space == SPACE_HBM) stage_in(c, &w, &score, NUM_DTYPES);
	Insn *i = insn_add(c, I_V_SMX);
	i->arg[0] = operand_of(c, &w, &w.out[0], order, 2, false, true);
	i->arg[1] = operand_of(c, &w, &score, order, 2, true, false);
	Operand state = operand_of(c, &w, &w.out[2], order, 1, true, true);
	state.store = m->group;
	state.rank = 2;
	state.dim[1] = state.dim[0];
	state.stride[1] = state.stride[0];
	state.dim[0] = dim_const(c->p->dims, 3);
	state.stride[0] = l->group_at;
	i->arg[2] = state;
	i->field[F_SMX_scale] = float_bits(s->scale);
	i->field[F_SMX_per] = 1;
	Dim limit, first;
	int64_t per;
	if (mask && causal_form(c, mask, &limit, &first, &per)) causal_fields(i, limit, first, per);
	if (beside) return;
	Insn *copy = insn_add(c, I_V_UN);
	copy->field[F_VEC_func] = VF_COPY;
	copy->arg[0] = operand_of(c, &w, &w.out[1], order, 1, false, true);
	copy->arg[1] = operand_of(c, &w, &w.out[2], order, 1, true, false);
	copy->arg[1].store = m->group;
	copy->arg[1].offset = dim_addc(c->p->dims, copy->arg[1].offset, 2 * l->group_at);
}
