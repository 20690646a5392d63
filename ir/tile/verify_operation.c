/* Operations for the verifier: their spaces, the number and kind of their operands, types in their
 * regions, and the proof of each access. */
#include "ir/tile/tile_verify.h"

#include <math.h>

const char *tile_access_text(Arena *a, const TileAccess *x)
{
	Text t = text_new(a);
	text_printf(&t, "%s[", x->obj->name);
	for (uint32_t d = 0; d < x->obj->rank; d++) {
		if (d) text_puts(&t, ", ");
		if (x->rows && x->rows_dim == d)
			text_puts(&t, tile_access_text(a, x->rows));
		else if (x->index[d])
			dim_print(&t, x->index[d]);
		else
			text_puts(&t, "?");
	}
	text_puts(&t, "]");
	return t.at;
}

/* --- accesses --- */

static bool in_scope(const Verifier *v, const TileObj *o)
{
	if (o->kind != TB_PLACE) return o->id < v->kernel->bufs.n && v->kernel->bufs.at[o->id] == o;
	for (size_t i = 0; i < v->places.n; i++)
		if (v->places.at[i].obj == o) return true;
	return false;
}

static const char *bound_text(Verifier *v, int64_t n)
{
	if (n == INT64_MIN || n == INT64_MAX) return n < 0 ? "no lower bound" : "no upper bound";
	return arena_printf(v->arena, "%lld", (long long)n);
}

static bool verify_inside(Verifier *v, const TileStmt *s, const TileAccess *a, uint32_t d)
{
	DimPool *p = v->p->dims;
	Dim index = a->index[d], size = a->obj->dims[d];
	if (tile_verify_le(v, dim_const(p, 0), index) && tile_verify_lt(v, index, size)) return true;
	int64_t lo, hi, past, most;
	dim_range(&v->facts, index, &lo, &hi);
	dim_range(&v->facts, dim_sub(p, index, size), &past, &most);
	tile_verify_error(v, s->span, "cannot prove that `%s` stays inside of `%s`",
	                  tile_access_text(v->arena, a), a->obj->name);
	Diag *e = v->d->list.n ? v->d->list.at[v->d->list.n - 1] : NULL;
	if (e)
		diag_note(v->d, e, a->obj->span, "index %s of dim %u of %s: from %s, to %s",
		          dim_text(v->arena, index), d, dim_text(v->arena, size), bound_text(v, lo),
		          most >= 0 && most < INT64_MAX
		              ? arena_printf(v->arena, "%lld past the last element", (long long)most + 1)
		              : bound_text(v, hi));
	return false;
}

bool tile_verify_access(Verifier *v, const TileStmt *s, const TileAccess *a, bool written)
{
	TileObj *o = a->obj;
	if (!o) return tile_verify_error(v, s->span, "an operand is missing");
	if (!in_scope(v, o))
		return tile_verify_error(v, s->span, "`%s` is used outside of its scope", o->name);
	if (written && (o->kind == TB_IN || o->kind == TB_WEIGHT))
		return tile_verify_error(v, s->span, "`%s` is written, but it is an input", o->name);
	if (written && a->has_else)
		return tile_verify_error(v, s->span, "a store to `%s` with an else value", o->name);
	if (a->rows) {
		if (a->rows_dim >= o->rank)
			return tile_verify_error(v, s->span, "`%s` has no dim %u to gather along", o->name,
			                         a->rows_dim);
		if (a->rows->rows)
			return tile_verify_error(v, s->span, "rows of `%s` gathered by gathered rows", o->name);
		if (!tile_verify_access(v, s, a->rows, false)) return false;
		if (a->rows->obj->dtype != DT_I32)
			return tile_verify_error(v, s->span, "rows of `%s` are %s where i32 is wanted", o->name,
			                         dtype_name(a->rows->obj->dtype));
	}
	for (uint32_t d = 0; d < o->rank; d++) {
		if (a->rows && d == a->rows_dim) continue;
		if (!tile_verify_dim(v, s->span, a->index[d], "an index")) return false;
		if (!a->has_else && !verify_inside(v, s, a, d)) return false;
	}
	return true;
}

static bool mentions(const TileAccess *a, const DimSym *s)
{
	for (uint32_t d = 0; d < a->obj->rank; d++)
		if (a->index[d] && dim_mentions(a->index[d], s)) return true;
	return a->rows && mentions(a->rows, s);
}

/* --- par: what iterations may write --- */

typedef struct Reach {
	const TileStmt *par;
	uint32_t depth;
	bool found;
} Reach;

static void reach_symbol(void *ctx, DimSym *s)
{
	Reach *r = ctx;
	if (r->found || r->depth > 16) return;
	if (s == r->par->var || s == r->par->len || s->kind == SYM_DATA) {
		r->found = true;
	} else if (s->kind == SYM_LOOP || s->kind == SYM_LEN) {
		r->depth++;
		dim_visit_syms(s->lo, reach_symbol, r);
		dim_visit_syms(s->hi, reach_symbol, r);
		r->depth--;
	}
}

static bool depends(const TileStmt *par, Dim d)
{
	Reach r = {.par = par};
	dim_visit_syms(d, reach_symbol, &r);
	return r.found;
}

static bool guarded(const Verifier *v, const TileStmt *par)
{
	for (size_t i = 0; i < v->ifs.n; i++)
		for (uint32_t c = 0; c < v->ifs.at[i]->n_cond; c++)
			if (depends(par, v->ifs.at[i]->cond[c].a) || depends(par, v->ifs.at[i]->cond[c].b))
				return true;
	return false;
}

static bool verify_par_write(Verifier *v, const TileStmt *s, const TileAccess *a)
{
	DimPool *p = v->p->dims;
	if (a->obj->kind == TB_PLACE) {
		for (size_t i = 0; v->par && i < v->par_places; i++)
			if (v->places.at[i].obj == a->obj)
				return tile_verify_error(
					v, s->span,
					"the place `%s` is written in a par loop outside of which it was made",
					a->obj->name);
		return true;
	}
	for (size_t i = 0; i < v->pars.n; i++) {
		const TileStmt *par = v->pars.at[i];
		bool apart = a->rows != NULL || guarded(v, par) ||
		             tile_verify_le(v, par->hi, dim_addc(p, par->lo, par->by));
		for (uint32_t d = 0; !apart && d < a->obj->rank; d++) apart = depends(par, a->index[d]);
		if (!apart)
			return tile_verify_error(
				v, s->span,
				"every iteration of the par loop over `%s` writes the same elements `%s`",
				par->var->name, tile_access_text(v->arena, a));
	}
	return true;
}

/* --- regions --- */

static bool region_fail(Verifier *v, const TileStmt *s, uint32_t node, const char *why)
{
	return tile_verify_error(v, s->span, "value %u of the region: %s", node, why);
}

static bool verify_call(Verifier *v, const TileStmt *s, const Region *r, uint32_t i)
{
	const RegionNode *n = &r->node[i];
	if ((uint32_t)n->f >= NUM_SCALARS) return region_fail(v, s, i, "no such function");
	const ScalarInfo *f = &scalar_info[n->f];
	DType t[3];
	for (uint32_t k = 0; k < f->arity; k++) {
		if (n->arg[k] >= i) return region_fail(v, s, i, "an operand comes after its use");
		t[k] = dtype_widened(r->node[n->arg[k]].type);
	}
	bool logical = n->f == SC_NOT || n->f == SC_AND || n->f == SC_OR;
	DType of = t[f->arity - 1];
	for (uint32_t k = n->f == SC_SELECT ? 1 : 0; k < f->arity; k++)
		if (t[k] != of)
			return region_fail(
				v, s, i, arena_printf(v->arena, "operands of `%s` have different types", f->name));
	if (n->f == SC_SELECT && t[0] != DT_BOOL)
		return region_fail(v, s, i, "the choice of `select` is no boolean");
	if (logical && of != DT_BOOL)
		return region_fail(v, s, i, arena_printf(v->arena, "`%s` takes booleans", f->name));
	if (f->result == SCALAR_FLOAT && of != DT_F32)
		return region_fail(v, s, i, arena_printf(v->arena, "`%s` takes floats", f->name));
	DType result = f->result == SCALAR_BOOLEAN ? DT_BOOL : of;
	if (dtype_widened(n->type) != result || (n->type != result))
		return region_fail(v, s, i,
		                   arena_printf(v->arena, "`%s` gives %s, not %s", f->name,
		                                dtype_name(result), dtype_name(n->type)));
	return true;
}

static bool verify_node(Verifier *v, const TileStmt *s, uint32_t i)
{
	const RegionNode *n = &s->region.node[i];
	if ((uint32_t)n->type >= NUM_DTYPES) return region_fail(v, s, i, "no such type");
	switch (n->kind) {
	case RN_ARG: {
		if (n->index >= s->n_in) return region_fail(v, s, i, "no such operand");
		const TileObj *o = s->in[n->index].obj;
		bool scaled = o->enc.kind == ENC_I4 && o->kind != TB_PLACE;
		if (n->type == dtype_widened(o->dtype) || (scaled && n->type == DT_F32)) return true;
		return region_fail(
			v, s, i, arena_printf(v->arena, "`%s` is read as %s", o->name, dtype_name(n->type)));
	}
	case RN_CONST:
		if (n->type == DT_F32 || n->type == DT_I32 || n->type == DT_BOOL) return true;
		return region_fail(v, s, i, "a constant is f32, i32 or bool");
	case RN_DIM:
		if (n->type != DT_I32) return region_fail(v, s, i, "an index is i32");
		return tile_verify_dim(v, s->span, n->dim, "an index");
	case RN_CAST: return n->arg[0] < i || region_fail(v, s, i, "an operand comes after its use");
	case RN_CALL: return verify_call(v, s, &s->region, i);
	}
	return region_fail(v, s, i, "no such kind of value");
}

/* wanted: number of results. */
static bool verify_region(Verifier *v, const TileStmt *s, uint32_t wanted)
{
	const Region *r = &s->region;
	if (r->n > 256) return tile_verify_error(v, s->span, "a region of more than 256 values");
	if (r->n_out != wanted)
		return tile_verify_error(v, s->span, "the region gives %u values where %u are wanted",
		                         r->n_out, wanted);
	for (uint32_t i = 0; i < r->n; i++)
		if (!verify_node(v, s, i)) return false;
	for (uint32_t i = 0; i < r->n_out; i++)
		if (r->out[i] >= r->n)
			return tile_verify_error(v, s->span, "a result of the region that is no value of it");
	return true;
}

/* --- operations --- */

static bool verify_counts(Verifier *v, const TileStmt *s, uint32_t in, uint32_t least,
                          uint32_t most)
{
	if (in <= TILE_INS && s->n_in != in)
		return tile_verify_error(v, s->span, "%u operands where %u are wanted", s->n_in, in);
	if (s->n_out < least || s->n_out > most)
		return tile_verify_error(v, s->span, "%u results where %u are wanted", s->n_out, least);
	return true;
}

/* Every variable of the space occurs in the result, or else an element is written many times. */
static bool verify_all_in(Verifier *v, const TileStmt *s, const TileAccess *a, const DimSym *but)
{
	int64_t one;
	for (uint32_t i = 0; i < s->n_space; i++) {
		if (s->space[i].sym == but || mentions(a, s->space[i].sym)) continue;
		if (dim_is_const(s->space[i].extent, &one) && one == 1) continue;
		return tile_verify_error(v, s->span,
		                         "`%s` is written several times: it does not mention `%s`",
		                         tile_access_text(v->arena, a), s->space[i].sym->name);
	}
	return true;
}

static bool same_access(const TileAccess *a, const TileAccess *b)
{
	for (uint32_t d = 0; d < a->obj->rank; d++)
		if (a->index[d] != b->index[d]) return false;
	return !a->rows && !b->rows;
}

/* The parts that two accesses touch lie apart in some dim: by one's variables renamed nothing is
 * known, so each bound is taken over the whole space. */
static bool lie_apart(Verifier *v, const TileAccess *a, const TileAccess *b)
{
	for (uint32_t d = 0; d < a->obj->rank; d++) {
		int64_t alo, ahi, blo, bhi;
		if (!a->index[d] || !b->index[d]) continue;
		dim_range(&v->facts, a->index[d], &alo, &ahi);
		dim_range(&v->facts, b->index[d], &blo, &bhi);
		if (ahi < blo || bhi < alo) return true;
	}
	return false;
}

static bool verify_overlap(Verifier *v, const TileStmt *s)
{
	bool elementwise =
		s->op == TILE_MAP || s->op == TILE_PUT || s->op == TILE_SOFTMAX_STEP || s->op == TILE_SCAN;
	for (uint32_t i = 0; i < s->n_out; i++) {
		for (uint32_t k = 0; k < s->n_in; k++) {
			if (s->in[k].obj != s->out[i].obj || lie_apart(v, &s->in[k], &s->out[i])) continue;
			if (elementwise && same_access(&s->in[k], &s->out[i])) continue;
			return tile_verify_error(v, s->span, "`%s` is written while `%s` is read",
			                         tile_access_text(v->arena, &s->out[i]),
			                         tile_access_text(v->arena, &s->in[k]));
		}
		for (uint32_t k = 0; k < i; k++)
			if (s->out[k].obj == s->out[i].obj && !lie_apart(v, &s->out[k], &s->out[i]))
				return tile_verify_error(v, s->span, "`%s` is written twice", s->out[i].obj->name);
	}
	return true;
}

static bool verify_contract(Verifier *v, const TileStmt *s)
{
	if (!verify_counts(v, s, 2, 1, 1)) return false;
	for (uint32_t i = 0; i < s->n_space; i++) {
		const DimSym *x = s->space[i].sym;
		if (!mentions(&s->in[0], x) && !mentions(&s->in[1], x) && !mentions(&s->out[0], x))
			return tile_verify_error(v, s->span, "`%s` occurs in no operand", x->name);
	}
	return true;
}

static bool verify_reduce(Verifier *v, const TileStmt *s)
{
	uint32_t reduced = 0;
	if ((uint32_t)s->reduce >= NUM_TILE_REDUCE)
		return tile_verify_error(v, s->span, "no such reduction");
	if (!verify_counts(v, s, s->region.n_out ? TILE_INS + 1 : 1, 1, 1)) return false;
	if (s->region.n_out && !verify_region(v, s, 1)) return false;
	for (uint32_t i = 0; i < s->n_space; i++) reduced += !mentions(&s->out[0], s->space[i].sym);
	if (s->reduce != RED_ARGMAX) return true;
	if (reduced != 1) return tile_verify_error(v, s->span, "argmax along %u variables", reduced);
	if (s->accumulate) return tile_verify_error(v, s->span, "an argmax cannot be continued");
	return s->out[0].obj->dtype == DT_I32 ||
	       tile_verify_error(v, s->span, "the positions of an argmax are i32");
}

static bool verify_softmax(Verifier *v, const TileStmt *s)
{
	if (!verify_counts(v, s, 1, 4, 4)) return false;
	if (!isfinite(s->scale))
		return tile_verify_error(v, s->span, "the scale of softmax_step is not finite");
	uint32_t along = 0;
	for (uint32_t i = 0; i < s->n_space; i++) {
		const DimSym *x = s->space[i].sym;
		bool row = mentions(&s->out[2], x);
		if (row != mentions(&s->out[1], x) || row != mentions(&s->out[3], x))
			return tile_verify_error(
				v, s->span, "alpha, m and l of softmax_step must mention the same variables");
		along += !row;
	}
	if (!along) return tile_verify_error(v, s->span, "softmax_step along no variable");
	for (uint32_t i = 0; i < 4; i++)
		if (!dtype_is_float(s->out[i].obj->dtype))
			return tile_verify_error(v, s->span, "`%s` of softmax_step is no float",
			                         s->out[i].obj->name);
	return verify_all_in(v, s, &s->out[0], NULL);
}

static bool verify_axis(Verifier *v, const TileStmt *s)
{
	const DimSym *last;
	if (s->axis >= s->n_space) return tile_verify_error(v, s->span, "no such axis");
	if (s->n_out > 1 && s->out[1].obj->dtype != DT_I32)
		return tile_verify_error(v, s->span, "positions are i32");
	if (s->op == TILE_SCAN) {
		if ((uint32_t)s->reduce >= NUM_TILE_REDUCE || s->reduce == RED_ARGMAX)
			return tile_verify_error(v, s->span, "no such scan");
		if (!verify_counts(v, s, s->region.n_out ? TILE_INS + 1 : 1, 1, 1)) return false;
		return (!s->region.n_out || verify_region(v, s, 1)) &&
		       verify_all_in(v, s, &s->out[0], NULL);
	}
	if (!verify_counts(v, s, 1, 1, 2)) return false;
	if (!mentions(&s->in[0], s->space[s->axis].sym))
		return tile_verify_error(v, s->span, "the axis does not occur in the operand");
	bool top = s->op == TILE_TOPK;
	last = s->space[s->n_space - 1].sym;
	if (top && (s->axis + 1 == s->n_space || mentions(&s->in[0], last)))
		return tile_verify_error(v, s->span, "the last variable of topk counts its results");
	if (top && !tile_verify_le(v, s->space[s->n_space - 1].extent, s->space[s->axis].extent))
		return tile_verify_error(v, s->span, "topk of more elements than there may be");
	for (uint32_t i = 0; i < s->n_out; i++) {
		if (top && mentions(&s->out[i], s->space[s->axis].sym))
			return tile_verify_error(v, s->span, "results of topk lie along its last variable");
		if (!verify_all_in(v, s, &s->out[i], top ? s->space[s->axis].sym : NULL)) return false;
	}
	return true;
}

static bool verify_form(Verifier *v, const TileStmt *s)
{
	switch (s->op) {
	case TILE_BRING:
		if (!verify_counts(v, s, 1, 1, 1)) return false;
		if (s->region.n) return tile_verify_error(v, s->span, "a bring computes nothing");
		return verify_all_in(v, s, &s->out[0], NULL);
	case TILE_MAP:
	case TILE_PUT:
		if (!verify_counts(v, s, TILE_INS + 1, 1, TILE_OUTS) || !verify_region(v, s, s->n_out))
			return false;
		for (uint32_t i = 0; i < s->n_out; i++)
			if (!s->accumulate && !verify_all_in(v, s, &s->out[i], NULL)) return false;
		return true;
	case TILE_CONTRACT: return verify_contract(v, s);
	case TILE_REDUCE: return verify_reduce(v, s);
	case TILE_SOFTMAX_STEP: return verify_softmax(v, s);
	case TILE_SCAN:
	case TILE_TOPK:
	case TILE_SORT: return verify_axis(v, s);
	default: return tile_verify_error(v, s->span, "no such operation");
	}
}

static bool verify_results(Verifier *v, const TileStmt *s)
{
	bool memory = s->op == TILE_PUT;
	for (uint32_t i = 0; i < s->n_out; i++) {
		const TileAccess *a = &s->out[i];
		if (!tile_verify_access(v, s, a, true)) return false;
		if (memory == (a->obj->kind == TB_PLACE))
			return tile_verify_error(v, s->span,
			                         memory ? "put stores to memory, `%s` is a place"
			                                : "`%s` is memory: only put writes it",
			                         a->obj->name);
		if (a->rows && !memory)
			return tile_verify_error(v, s->span, "rows of the place `%s` cannot be scattered to",
			                         a->obj->name);
		if (!verify_par_write(v, s, a)) return false;
	}
	if (s->accumulate && s->op != TILE_PUT && s->op != TILE_CONTRACT && s->op != TILE_REDUCE)
		return tile_verify_error(v, s->span, "this operation cannot add to its result");
	return true;
}

/* The source of a snapshot is not written while the place lives. */
static bool verify_snapshots(Verifier *v, const TileStmt *s)
{
	for (size_t i = 0; i < v->places.n; i++) {
		PlaceInScope *p = &v->places.at[i];
		for (uint32_t k = 0; s->op == TILE_PUT && k < s->n_out; k++)
			if (p->source == s->out[k].obj)
				return tile_verify_error(v, s->span,
				                         "`%s` is written while `%s` holds a snapshot of it",
				                         p->source->name, p->obj->name);
		for (uint32_t k = 0; k < s->n_out; k++)
			if (p->obj == s->out[k].obj)
				p->source =
					s->op == TILE_BRING && s->in[0].obj->kind != TB_PLACE ? s->in[0].obj : NULL;
	}
	return true;
}

/* x of max(x, 0), else NULL. */
static Dim arm_above_zero(Dim e)
{
	int64_t c;
	if (dim_is_poison(e) || dim_constant(e) || dim_terms(e) != 1) return NULL;
	DimTerm t = dim_term(e, 0);
	if (t.coef != 1 || t.n != 1 || t.atom[0]->kind != ATOM_MAX) return NULL;
	if (dim_is_const(t.atom[0]->a, &c) && c <= 0) return t.atom[0]->b;
	return dim_is_const(t.atom[0]->b, &c) && c <= 0 ? t.atom[0]->a : NULL;
}

/* e >= 0, also by the arms of minima and maxima in it: of the lesser both must do, of the greater one. */
static bool never_negative(Verifier *v, Dim e, uint32_t depth)
{
	DimPool *p = v->p->dims;
	if (tile_verify_le(v, dim_const(p, 0), e)) return true;
	for (uint32_t i = 0; depth && !dim_is_poison(e) && i < dim_terms(e); i++) {
		DimTerm t = dim_term(e, i);
		if (t.n != 1 || (t.atom[0]->kind != ATOM_MIN && t.atom[0]->kind != ATOM_MAX)) continue;
		bool least = t.atom[0]->kind == ATOM_MIN, both = least == (t.coef > 0);
		Dim a = t.atom[0]->a, b = t.atom[0]->b, whole = least ? dim_min(p, a, b) : dim_max(p, a, b);
		Dim rest = dim_sub(p, e, dim_mulc(p, whole, t.coef));
		bool first = never_negative(v, dim_add(p, rest, dim_mulc(p, a, t.coef)), depth - 1);
		if (!both && first) return true;
		if (both && !first) continue;
		if (never_negative(v, dim_add(p, rest, dim_mulc(p, b, t.coef)), depth - 1)) return true;
	}
	return false;
}

/* Extents are not negative. Where anything is done at all the space is not empty: a variable below
 * max(x, 0) is below x. */
static bool verify_extent(Verifier *v, const TileStmt *s, const TileVar *var)
{
	DimPool *p = v->p->dims;
	if (!never_negative(v, var->extent, 3))
		return tile_verify_error(v, s->span,
		                         "the extent of `%s`, %s, may be negative: take max(.., 0)",
		                         var->sym->name, dim_text(v->arena, var->extent));
	Dim arm = arm_above_zero(var->extent);
	if (arm) dim_facts_le(&v->facts, v->arena, dim_addc(p, dim_sym(p, var->sym), 1), arm);
	return true;
}

void tile_verify_operation(Verifier *v, const TileStmt *s)
{
	size_t symbols = v->scope.n, facts = v->facts.nonneg.n;
	DimPool *p = v->p->dims;
	if (s->n_space > TILE_SPACE || s->n_in > TILE_INS || s->n_out > TILE_OUTS) {
		tile_verify_error(v, s->span, "too many variables or operands");
		return;
	}
	bool ok = true;
	for (uint32_t i = 0; ok && i < s->n_space; i++)
		ok = tile_verify_dim(v, s->span, s->space[i].extent, "an extent");
	for (uint32_t i = 0; ok && i < s->n_space; i++)
		ok = tile_verify_symbol(v, s->span, s->space[i].sym, dim_const(p, 0),
		                        dim_addc(p, s->space[i].extent, -1));
	for (uint32_t i = 0; ok && i < s->n_space; i++) ok = verify_extent(v, s, &s->space[i]);
	for (uint32_t i = 0; ok && i < s->n_in; i++) ok = tile_verify_access(v, s, &s->in[i], false);
	ok = ok && verify_results(v, s) && verify_form(v, s) && verify_overlap(v, s);
	if (ok) verify_snapshots(v, s);
	tile_verify_forget(v, symbols, facts);
}
