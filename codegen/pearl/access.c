/* access.c: stores, and accesses of tile objects as descriptor operands. An access is affine in the
 * space variables of its operation, so a descriptor has one dim a variable; what is left of the index
 * expressions is the operand's offset, in bytes, symbolic in loop variables and parameters. */
#include "codegen/pearl/internal.h"
#include <string.h>

bool pearl_fail(Compiler *c, Span at, const char *fmt, ...)
{
	if (c->failed) return false;
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	if (c->kernel)
		diag_error(c->d, at, "kernel `%s`: %s", c->kernel->name, text);
	else
		diag_error(c->d, at, "%s", text);
	c->failed = true;
	return false;
}

int64_t greatest(Compiler *c, Dim d)
{
	int64_t lo, hi;
	dim_range(&c->facts, d, &lo, &hi);
	if (hi > ((int64_t)1 << 50)) {
		pearl_fail(c, c->at, "`%s` has no upper bound that Pearl could plan memory by",
		           dim_text(c->arena, d));
		return 1;
	}
	return hi;
}

int64_t least(Compiler *c, Dim d)
{
	int64_t lo, hi;
	dim_range(&c->facts, d, &lo, &hi);
	return lo;
}

/* --- stores ------------------------------------------------------------------------------------- */

Store *store_new(Compiler *c, const char *name, PearlSpace space, DType t, uint32_t rank,
                 const int64_t *cap)
{
	Store *s = NEW(c->arena, Store);
	s->name = name;
	s->space = space;
	s->dtype = t;
	s->rank = rank;
	s->ring = 1;
	s->home = c->loop;
	int64_t size = dtype_bytes(t, 1), run = size;
	for (uint32_t i = rank; i-- > 0;) {
		s->cap[i] = cap[i];
		s->stride[i] = run;
		run *= cap[i];
		/* an ACC place is one strip: its last dim lies along a row */
		if (space == SPACE_ACC && i == rank - 1) run = c->m->array_cols * 4;
	}
	s->bytes = run;
	if (space == SPACE_ACC && rank == 0) s->bytes = c->m->array_cols * 4;
	s->region = space == SPACE_ACC   ? c->acc_region
	            : space == SPACE_GSM ? c->gsm_region
	                                 : c->spm_region;
	vec_push(c->arena, &c->stores, s);
	return s;
}

Binding *binding_of(Compiler *c, const TileObj *o)
{
	for (Binding *b = c->bind; b; b = b->next)
		if (b->obj == o) return b;
	return NULL;
}

Store *binding_store(Compiler *c, const TileObj *o)
{
	Binding *b = binding_of(c, o);
	if (!b || !b->store) {
		pearl_fail(c, o->span, "`%s` is used before it exists", o->name);
		static const int64_t one = 1;
		return store_new(c, o->name, SPACE_SPM, o->dtype, 1, &one);
	}
	return b->store;
}

Store *access_store(Compiler *c, const TileAccess *x)
{
	return binding_store(c, x->obj);
}

TileObj *temp_obj(Compiler *c, PearlSpace space, DType t, uint32_t rank, const int64_t *cap)
{
	TileObj *o = NEW(c->arena, TileObj);
	o->name = arena_printf(c->arena, "t%u", c->temps++);
	o->kind = TB_PLACE;
	o->dtype = t;
	o->rank = rank;
	o->span = c->at;
	for (uint32_t i = 0; i < rank; i++) o->dims[i] = dim_const(c->p->dims, cap[i]);
	Binding *b = NEW(c->arena, Binding);
	b->obj = o;
	b->store = store_new(c, o->name, space, t, rank, cap);
	b->next = c->bind;
	c->bind = b;
	return o;
}

/* --- substitution ---------------------------------------------------------------------------------- */

typedef struct Subst {
	const DimSym *sym;
	Dim to;
} Subst;

static Dim subst_one(void *ctx, DimSym *s)
{
	Subst *x = ctx;
	return s == x->sym ? x->to : NULL;
}

static Dim replace(Compiler *c, Dim d, const DimSym *s, Dim to)
{
	if (!d || !dim_mentions(d, s)) return d;
	Subst x = {s, to};
	return dim_substitute(c->p->dims, d, subst_one, &x);
}

static void access_replace(Compiler *c, TileAccess *x, const DimSym *s, Dim to)
{
	for (uint32_t i = 0; i < x->obj->rank; i++) x->index[i] = replace(c, x->index[i], s, to);
	if (x->rows) {
		TileAccess *r = NEW(c->arena, TileAccess);
		*r = *x->rows;
		access_replace(c, r, s, to);
		x->rows = r;
	}
}

static void work_replace(Compiler *c, Work *w, const DimSym *s, Dim to)
{
	for (uint32_t i = 0; i < w->n_in; i++) access_replace(c, &w->in[i], s, to);
	for (uint32_t i = 0; i < w->n_out; i++) access_replace(c, &w->out[i], s, to);
	if (w->s)
		for (uint32_t i = 0; i < w->s->n_space; i++) w->map[i] = replace(c, w->map[i], s, to);
}

typedef struct AliasSubst {
	Binding *b;
	const TileAccess *x;
} AliasSubst;

static Dim subst_alias(void *ctx, DimSym *s)
{
	AliasSubst *a = ctx;
	for (uint32_t d = 0; d < a->b->obj->rank; d++)
		if (a->b->alias_var[d] == s) return a->x->index[d];
	return NULL;
}

TileAccess access_resolve(Compiler *c, const TileAccess *x)
{
	TileAccess y = *x;
	for (;;) {
		Binding *b = binding_of(c, y.obj);
		if (!b || !b->alias) return y;
		TileAccess z = *b->alias;
		AliasSubst a = {b, &y};
		for (uint32_t d = 0; d < z.obj->rank; d++)
			if (z.index[d]) z.index[d] = dim_substitute(c->p->dims, z.index[d], subst_alias, &a);
		y = z;
	}
}

/* --- questions about accesses ----------------------------------------------------------------------- */

bool access_mentions(const TileAccess *x, const DimSym *s)
{
	for (uint32_t i = 0; i < x->obj->rank; i++)
		if (x->index[i] && dim_mentions(x->index[i], s)) return true;
	return x->rows && access_mentions(x->rows, s);
}

uint32_t access_mask(const Work *w, const TileAccess *x)
{
	uint32_t mask = 0;
	for (uint32_t v = 0; v < w->n_space; v++)
		if (access_mentions(x, w->space[v].sym)) mask |= 1u << v;
	return mask;
}

Dim access_factor(Compiler *c, const Work *w, const TileAccess *x, uint32_t dim, const DimSym *s)
{
	Dim factor, rest;
	DimPool *p = c->p->dims;
	if (!x->index[dim] || !dim_mentions(x->index[dim], s)) return dim_const(p, 0);
	if (!dim_linear_in(p, x->index[dim], s, &factor, &rest)) return NULL;
	for (uint32_t v = 0; v < w->n_space; v++)
		if (dim_mentions(factor, w->space[v].sym)) return NULL;
	return factor;
}

int64_t access_coef(Compiler *c, const TileAccess *x, uint32_t dim, const DimSym *s)
{
	Dim coef, rest;
	int64_t v = 0;
	if (!x->index[dim] || !dim_mentions(x->index[dim], s)) return 0;
	if (!dim_linear_in(c->p->dims, x->index[dim], s, &coef, &rest) || !dim_is_const(coef, &v))
		pearl_fail(c, c->at, "index `%s` of `%s` is not affine with a constant factor in `%s`",
		           dim_text(c->arena, x->index[dim]), x->obj->name, s->name);
	return v;
}

/* Index expression `dim` of x with all space variables at 0. */
static Dim index_rest(Compiler *c, const Work *w, const TileAccess *x, uint32_t dim)
{
	Dim d = x->index[dim];
	for (uint32_t v = 0; d && v < w->n_space; v++)
		d = replace(c, d, w->space[v].sym, dim_const(c->p->dims, 0));
	return d;
}

/* --- operands ------------------------------------------------------------------------------------------ */

/* The loop around whose variable is s. */
static const LoopInfo *loop_of(const Compiler *c, const DimSym *s)
{
	for (const LoopInfo *l = c->loop; l; l = l->outer)
		if (l->var == s) return l;
	return NULL;
}

static Dim term_dim(DimPool *p, DimTerm t)
{
	Dim d = dim_const(p, t.coef);
	for (uint32_t k = 0; k < t.n; k++) {
		const DimAtom *a = t.atom[k];
		Dim v = a->kind == ATOM_SYM        ? dim_sym(p, a->sym)
		        : a->kind == ATOM_FLOORDIV ? dim_floordiv(p, a->a, a->b)
		        : a->kind == ATOM_MIN      ? dim_min(p, a->a, a->b)
		                                   : dim_max(p, a->a, a->b);
		d = dim_mul(p, d, v);
	}
	return d;
}

/* Whether a term is a multiple of nb: by its factor, or because it steps with a loop. */
static bool whole_panels(const Compiler *c, DimTerm t, int64_t nb)
{
	if (t.coef % nb == 0) return true;
	const LoopInfo *l = t.n == 1 && t.atom[0]->kind == ATOM_SYM ? loop_of(c, t.atom[0]->sym) : NULL;
	int64_t lo;
	return l && dim_is_const(l->lo, &lo) && lo * t.coef % nb == 0 && l->tile * t.coef % nb == 0;
}

/* Index e of the columns of a buffer in panels of nb: the first column of the panel, and the column in
 * it. False when an access may cross from one panel into the next. */
static bool panel_parts(Compiler *c, const Work *w, Dim e, int64_t nb, Dim *first, Dim *column)
{
	DimPool *p = c->p->dims;
	int64_t k = dim_constant(e), in = (k % nb + nb) % nb, low = 0, high = 0;
	*first = dim_const(p, k - in);
	*column = dim_const(p, in);
	for (uint32_t i = 0; i < dim_terms(e); i++) {
		DimTerm t = dim_term(e, i);
		bool whole = whole_panels(c, t, nb);
		Dim *to = whole ? first : column;
		*to = dim_add(p, *to, term_dim(p, t));
	}
	Dim rest = *column;
	for (uint32_t v = 0; v < w->n_space; v++) {
		Dim factor, other;
		int64_t f;
		if (!dim_mentions(rest, w->space[v].sym)) continue;
		if (!dim_linear_in(p, rest, w->space[v].sym, &factor, &other) || !dim_is_const(factor, &f))
			return false;
		*(f < 0 ? &low : &high) += f * (greatest(c, w->space[v].extent) - 1);
		rest = other;
	}
	return least(c, rest) + low >= 0 && greatest(c, rest) + high < nb;
}

/* What index d of x adds to the address, in bytes. */
static Dim index_bytes(Compiler *c, const Work *w, const TileAccess *x, uint32_t d)
{
	DimPool *p = c->p->dims;
	const Store *s = access_store(c, x);
	Dim first, column;
	if (!s->panel || d + 1 < x->obj->rank) return dim_mulc(p, x->index[d], s->stride[d]);
	if (!panel_parts(c, w, x->index[d], s->panel, &first, &column))
		pearl_fail(c, c->at, "columns `%s` of `%s` cross its panels",
		           dim_text(c->arena, x->index[d]), x->obj->name);
	return dim_add(p, dim_mulc(p, first, s->panel_step), dim_mulc(p, column, s->stride[d]));
}

Operand operand_of(Compiler *c, const Work *w, const TileAccess *x, const uint32_t *order,
                   uint32_t n, bool reads, bool writes)
{
	DimPool *p = c->p->dims;
	Store *s = access_store(c, x);
	Operand o = {.store = s, .dtype = s->dtype, .rank = n, .reads = reads, .writes = writes};
	Dim address = dim_const(p, 0);
	for (uint32_t d = 0; d < x->obj->rank; d++)
		if (x->index[d]) address = dim_add(p, address, index_bytes(c, w, x, d));
	if (n > PEARL_RANK) {
		pearl_fail(c, c->at, "an access of `%s` needs %u dimensions, a descriptor has %d",
		           x->obj->name, n, PEARL_RANK);
		n = o.rank = PEARL_RANK;
	}
	for (uint32_t i = 0; i < n; i++) {
		const TileVar *v = &w->space[order[i]];
		Dim stride, rest;
		o.dim[i] = v->extent;
		if (!dim_linear_in(p, address, v->sym, &stride, &rest)) {
			pearl_fail(c, c->at, "an index of `%s` is not affine in `%s`", x->obj->name,
			           v->sym->name);
			continue;
		}
		if (!dim_is_const(stride, &o.stride[i])) o.wide[i] = stride;
	}
	for (uint32_t v = 0; v < w->n_space; v++)
		address = replace(c, address, w->space[v].sym, dim_const(p, 0));
	o.offset = address;
	return o;
}

/* --- the program form ------------------------------------------------------------------------------------ */

Step *step_add(Compiler *c, StepForm kind)
{
	Step *n = NEW(c->arena, Step);
	n->kind = kind;
	if (c->list->last)
		c->list->last->next = n;
	else
		c->list->first = n;
	c->list->last = n;
	return n;
}

uint32_t float_bits(double v)
{
	float f = (float)v;
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u;
}

Insn *insn_add(Compiler *c, PearlOpcode op)
{
	Step *n = step_add(c, FORM_INSN);
	n->insn = NEW(c->arena, Insn);
	n->insn->op = op;
	return n->insn;
}

Step *loop_open(Compiler *c, DimSym *var, DimSym *len, Dim lo, Dim n, int64_t tile, bool par)
{
	Step *node = step_add(c, FORM_LOOP);
	LoopInfo *l = NEW(c->arena, LoopInfo);
	*l = (LoopInfo){.var = var,
	                .len = len,
	                .lo = lo,
	                .n = n,
	                .tile = tile,
	                .par = par,
	                .outer = c->loop,
	                .depth = c->loop ? c->loop->depth + 1 : 0};
	node->loop = l;
	c->loop = l;
	return node;
}

void loop_close(Compiler *c, Step *loop, StepList *saved)
{
	c->loop = loop->loop->outer;
	c->list = saved;
}

void work_of(Work *w, const TileStmt *s)
{
	memset(w, 0, sizeof *w);
	w->s = s;
	memcpy(w->space, s->space, sizeof w->space);
	w->n_space = s->n_space;
	memcpy(w->in, s->in, sizeof w->in);
	memcpy(w->out, s->out, sizeof w->out);
	w->n_in = s->n_in;
	w->n_out = s->n_out;
	w->accumulate = s->accumulate;
}

static void work_maps(Compiler *c, Work *w)
{
	if (!w->s) return;
	for (uint32_t i = 0; i < w->s->n_space; i++)
		if (!w->map[i]) w->map[i] = dim_sym(c->p->dims, w->s->space[i].sym);
}

static Dim subst_map(void *ctx, DimSym *s)
{
	const Work *w = ctx;
	for (uint32_t i = 0; i < w->s->n_space; i++)
		if (w->s->space[i].sym == s) return w->map[i];
	return NULL;
}

Dim work_dim(Compiler *c, const Work *w, Dim d)
{
	Work copy = *w;
	return dim_substitute(c->p->dims, d, subst_map, &copy);
}

Chunk chunk_open(Compiler *c, Work *w, uint32_t v, int64_t size)
{
	work_maps(c, w);
	Dim extent = w->space[v].extent;
	int64_t most = greatest(c, extent);
	if (most <= size) return (Chunk){NULL, NULL};
	DimPool *p = c->p->dims;
	DimSym *off =
		dim_sym_new(p, intern_str(c->p->names, arena_printf(c->arena, "c%u", c->temps)), SYM_LOOP,
	                dim_const(p, 0), dim_const(p, (most - 1) / size * size), c->at);
	DimSym *len = dim_sym_new(p, intern_str(c->p->names, arena_printf(c->arena, "n%u", c->temps++)),
	                          SYM_LEN, dim_const(p, 1), dim_const(p, size), c->at);
	Chunk k = {.saved = c->list};
	k.node = loop_open(c, off, len, dim_const(p, 0), extent, size, false);
	c->list = &k.node->body;
	int64_t n;
	bool exact = dim_is_const(extent, &n) && n % size == 0;
	w->space[v].extent = exact ? dim_const(p, size) : dim_sym(p, len);
	work_replace(c, w, w->space[v].sym, dim_add(p, dim_sym(p, off), dim_sym(p, w->space[v].sym)));
	if (size == 1) work_drop(c, w, v);
	return k;
}

void chunk_close(Compiler *c, Chunk k)
{
	if (k.node) loop_close(c, k.node, k.saved);
}

void work_drop(Compiler *c, Work *w, uint32_t v)
{
	work_maps(c, w);
	work_replace(c, w, w->space[v].sym, dim_const(c->p->dims, 0));
	for (uint32_t i = v; i + 1 < w->n_space; i++) w->space[i] = w->space[i + 1];
	w->n_space--;
}

/* --- what is not affine ---------------------------------------------------------------------------------- */

/* Whether s stands in x so that panels of a buffer are crossed. */
static bool crosses_panels(Compiler *c, const Work *w, const TileAccess *x, const DimSym *s)
{
	Dim first, column;
	const Store *store = access_store(c, x);
	uint32_t d = x->obj->rank - 1;
	if (!store->panel || !x->obj->rank || !x->index[d] || !dim_mentions(x->index[d], s))
		return false;
	return !panel_parts(c, w, x->index[d], store->panel, &first, &column);
}

static bool affine_in(Compiler *c, const Work *w, const TileAccess *x, const DimSym *s)
{
	for (uint32_t d = 0; d < x->obj->rank; d++)
		if (x->index[d] && !access_factor(c, w, x, d, s)) return false;
	if (crosses_panels(c, w, x, s)) return false;
	return !x->rows || affine_in(c, w, x->rows, s);
}

/* A constant by which an index divides what mentions s; 0 if there is none. */
static int64_t divisor_in(Dim d, const DimSym *s)
{
	for (uint32_t i = 0; i < dim_terms(d); i++) {
		DimTerm t = dim_term(d, i);
		for (uint32_t k = 0; k < t.n; k++) {
			int64_t by;
			if (t.atom[k]->kind == ATOM_SYM) continue;
			if (t.atom[k]->kind == ATOM_FLOORDIV && dim_mentions(t.atom[k]->a, s) &&
			    dim_is_const(t.atom[k]->b, &by))
				return by;
			by = divisor_in(t.atom[k]->a, s);
			if (by) return by;
		}
	}
	return 0;
}

/* v becomes by * outer + inner, where an index divides it by `by`. */
static bool split_variable(Compiler *c, Work *w, const TileAccess *x, uint32_t v)
{
	DimPool *p = c->p->dims;
	int64_t extent, by = 0;
	if (crosses_panels(c, w, x, w->space[v].sym)) by = access_store(c, x)->panel;
	for (uint32_t d = 0; d < x->obj->rank && !by; d++)
		if (x->index[d]) by = divisor_in(x->index[d], w->space[v].sym);
	if (by < 2 || w->n_space == TILE_SPACE || !dim_is_const(w->space[v].extent, &extent) ||
	    extent % by || extent <= by)
		return false;
	work_maps(c, w);
	DimSym *old = w->space[v].sym;
	DimSym *outer =
		dim_sym_new(p, old->name, SYM_LOOP, dim_const(p, 0), dim_const(p, extent / by - 1), c->at);
	DimSym *inner =
		dim_sym_new(p, old->name, SYM_LOOP, dim_const(p, 0), dim_const(p, by - 1), c->at);
	for (uint32_t k = w->n_space++; k > v + 1; k--) w->space[k] = w->space[k - 1];
	w->space[v] = (TileVar){outer, dim_const(p, extent / by)};
	w->space[v + 1] = (TileVar){inner, dim_const(p, by)};
	work_replace(c, w, old, dim_add(p, dim_mulc(p, dim_sym(p, outer), by), dim_sym(p, inner)));
	return true;
}

Chunk loop_over(Compiler *c, Work *w, uint32_t v)
{
	if (greatest(c, w->space[v].extent) > 1) return chunk_open(c, w, v, 1);
	work_drop(c, w, v);
	return (Chunk){NULL, NULL};
}

Chunk loop_over_all(Compiler *c, Work *w, uint32_t mask)
{
	DimPool *p = c->p->dims;
	int64_t size[TILE_SPACE] = {0}, total = 1;
	for (uint32_t v = 0; v < w->n_space; v++)
		if (mask >> v & 1 && dim_is_const(w->space[v].extent, &size[v])) total *= size[v];
	work_maps(c, w);
	DimSym *all = dim_sym_new(p, intern_str(c->p->names, arena_printf(c->arena, "c%u", c->temps++)),
	                          SYM_LOOP, dim_const(p, 0), dim_const(p, total - 1), c->at);
	Chunk k = {.saved = c->list};
	k.node = loop_open(c, all, NULL, dim_const(p, 0), dim_const(p, total), 1, false);
	c->list = &k.node->body;
	Dim rest = dim_sym(p, all);
	for (uint32_t v = w->n_space; v-- > 0;) {
		if (!(mask >> v & 1)) continue;
		Dim n = dim_const(p, size[v]);
		work_replace(c, w, w->space[v].sym, dim_mod(p, rest, n));
		rest = dim_floordiv(p, rest, n);
		work_drop(c, w, v);
	}
	return k;
}

/* A loop over v by which x becomes affine in it: over panels, or over each position. */
static Chunk loop_until_affine(Compiler *c, Work *w, const TileAccess *x, uint32_t *v)
{
	int64_t nb = access_store(c, x)->panel;
	if (nb > 1 && crosses_panels(c, w, x, w->space[*v].sym) &&
	    greatest(c, w->space[*v].extent) > nb) {
		Work trial = *w;
		trial.space[*v].extent = dim_const(c->p->dims, nb);
		if (!crosses_panels(c, &trial, x, w->space[*v].sym)) return chunk_open(c, w, *v, nb);
	}
	return loop_over(c, w, (*v)--);
}

/* The elements of x in a temporary with a dim for each variable that x mentions. */
static void copy_out_of_order(Compiler *c, const Work *w, TileAccess *x)
{
	Work copy = {.n_in = 1, .n_out = 1};
	TileAccess inside = {0};
	int64_t cap[TILE_RANK];
	Chunk open[TILE_SPACE];
	uint32_t n_open = 0, n = 0;
	copy.in[0] = *x;
	for (uint32_t v = 0; v < w->n_space; v++) {
		if (!access_mentions(x, w->space[v].sym)) continue;
		cap[n] = greatest(c, w->space[v].extent);
		inside.index[n] = dim_sym(c->p->dims, w->space[v].sym);
		copy.space[n++] = w->space[v];
	}
	copy.n_space = n;
	copy.out[0] = inside;
	copy.out[0].obj = inside.obj = temp_obj(c, SPACE_SPM, access_store(c, x)->dtype, n, cap);
	/* the loops use variables of their own, which stand for those of w */
	for (uint32_t v = 0; v < copy.n_space;) {
		if (affine_in(c, &copy, &copy.in[0], copy.space[v].sym)) {
			v++;
			continue;
		}
		open[n_open++] = loop_until_affine(c, &copy, &copy.in[0], &v);
		v++; /* it stands at the variable before, if this one went */
	}
	move_in(c, &copy);
	while (n_open) chunk_close(c, open[--n_open]);
	*x = inside;
}

void work_linear(Compiler *c, Work *w, bool may_split, Chunk *open, uint32_t *n_open)
{
	for (uint32_t k = 0; k < w->n_in + w->n_out; k++) {
		bool input = k < w->n_in;
		TileAccess *x = input ? &w->in[k] : &w->out[k - w->n_in];
		if (input) *x = access_resolve(c, x);
		for (uint32_t v = 0; v < w->n_space && !c->failed; v++) {
			if (affine_in(c, w, x, w->space[v].sym)) continue;
			if (may_split && split_variable(c, w, x, v)) {
				k = UINT32_MAX; /* begin again: other accesses may have become affine, or not */
				break;
			}
			bool kept = true; /* a variable of all results may become a loop */
			for (uint32_t o = 0; o < w->n_out; o++)
				kept = kept && access_mentions(&w->out[o], w->space[v].sym);
			if (input && !(may_split && kept && crosses_panels(c, w, x, w->space[v].sym))) {
				copy_out_of_order(c, w, x);
				break;
			}
			open[(*n_open)++] = loop_until_affine(c, w, x, &v);
		}
	}
}

/* --- staging --------------------------------------------------------------------------------------------- */

/* A variable of the box: `extent` positions along dim d of what is read. */
static Dim box_variable(Compiler *c, Work *copy, int64_t *cap, uint32_t *rank, Dim extent)
{
	DimPool *p = c->p->dims;
	if (*rank == TILE_RANK) {
		pearl_fail(c, c->at, "an access has too many dimensions");
		(*rank)--;
	}
	DimSym *t = dim_sym_new(p, intern_str(c->p->names, arena_printf(c->arena, "b%u", *rank)),
	                        SYM_LOOP, dim_const(p, 0), extent, c->at);
	copy->space[*rank] = (TileVar){t, extent};
	cap[*rank] = greatest(c, extent);
	copy->out[0].index[*rank] = dim_sym(p, t);
	(*rank)++;
	return dim_sym(p, t);
}

/* Whether the positions that index d takes lie so close that the whole range is worth copying: windows
 * overlap. What may lie outside is always copied as a range, for which there is a fill. */
static bool box_is_range(Compiler *c, const Work *w, const TileAccess *x, uint32_t d)
{
	int64_t range = 1, product = 1, k;
	for (uint32_t v = 0; v < w->n_space; v++) {
		Dim factor = access_factor(c, w, x, d, w->space[v].sym);
		if (!factor || !dim_is_const(factor, &k)) return false;
		if (!k) continue;
		int64_t n = greatest(c, w->space[v].extent);
		range += (n - 1) * (k < 0 ? -k : k);
		product *= n;
	}
	return x->has_else || range < product;
}

/* A dim for each variable of the list of rows: positions in the list are what the box counts. */
static void box_rows(Compiler *c, const Work *w, const TileAccess *x, Work *copy,
                     TileAccess *inside, int64_t *cap, uint32_t *rank)
{
	for (uint32_t v = 0; v < w->n_space; v++) {
		DimSym *s = w->space[v].sym;
		if (!access_mentions(x->rows, s)) continue;
		Dim t = box_variable(c, copy, cap, rank, w->space[v].extent);
		TileAccess *r = NEW(c->arena, TileAccess);
		*r = *copy->in[0].rows;
		access_replace(c, r, s, t);
		copy->in[0].rows = r;
		inside->index[*rank - 1] = dim_sym(c->p->dims, s);
	}
}

/* The box that x touches: a work that copies it, with out[0] left open; the access of the box in terms
 * of w's variables in *inside. */
static void box_of(Compiler *c, const Work *w, const TileAccess *x, Work *copy, TileAccess *inside,
                   int64_t *cap, uint32_t *rank)
{
	DimPool *p = c->p->dims;
	memset(copy, 0, sizeof *copy);
	memset(inside, 0, sizeof *inside);
	*rank = 0;
	copy->n_in = copy->n_out = 1;
	copy->in[0] = *x;
	for (uint32_t d = 0; d < x->obj->rank; d++) {
		if (x->rows && d == x->rows_dim) {
			box_rows(c, w, x, copy, inside, cap, rank);
			continue;
		}
		Dim base = index_rest(c, w, x, d), extent = dim_const(p, 1), at = dim_const(p, 0), low = at;
		bool range = box_is_range(c, w, x, d), any = false;
		for (uint32_t v = 0; v < w->n_space; v++) {
			Dim var = dim_sym(p, w->space[v].sym),
				factor = access_factor(c, w, x, d, w->space[v].sym);
			int64_t k = 0;
			if (!factor) {
				pearl_fail(c, c->at, "index `%s` of `%s` is not affine",
				           dim_text(c->arena, x->index[d]), x->obj->name);
				return;
			}
			if (dim_is_const(factor, &k) && !k) continue;
			if (!range) {
				Dim t = box_variable(c, copy, cap, rank, w->space[v].extent);
				inside->index[*rank - 1] = var;
				base = dim_add(p, base, dim_mul(p, factor, t));
				continue;
			}
			any = true;
			Dim span = dim_addc(p, w->space[v].extent, -1);
			extent = dim_add(p, extent, dim_mulc(p, span, k < 0 ? -k : k));
			at = dim_add(p, at, dim_mulc(p, var, k));
			if (k < 0) low = dim_add(p, low, dim_mulc(p, span, k));
		}
		if (any) {
			Dim t = box_variable(c, copy, cap, rank, extent);
			inside->index[*rank - 1] = dim_sub(p, at, low);
			base = dim_add(p, dim_add(p, base, low), t);
		}
		copy->in[0].index[d] = base;
	}
	if (!*rank) {
		box_variable(c, copy, cap, rank, dim_const(p, 1));
		inside->index[0] = copy->out[0].index[0] = dim_const(p, 0);
	}
	copy->n_space = *rank;
}

int64_t stage_bytes(Compiler *c, const Work *w, const TileAccess *x, DType as)
{
	TileAccess y = access_resolve(c, x);
	Store *s = access_store(c, &y);
	if (as == NUM_DTYPES) as = s->dtype;
	if (s->space == SPACE_SPM && s->dtype == as) return 0;
	Work copy;
	TileAccess inside;
	int64_t cap[TILE_RANK], bytes = dtype_bytes(as, 1);
	uint32_t rank;
	box_of(c, w, &y, &copy, &inside, cap, &rank);
	for (uint32_t i = 0; i < rank; i++) bytes *= cap[i];
	return bytes;
}

void stage_in(Compiler *c, const Work *w, TileAccess *x, DType as)
{
	TileAccess y = access_resolve(c, x);
	*x = y;
	Store *s = access_store(c, &y);
	if (as == NUM_DTYPES) as = s->dtype;
	if (s->space == SPACE_SPM && s->dtype == as) return;
	Work copy;
	TileAccess inside;
	int64_t cap[TILE_RANK];
	uint32_t rank;
	box_of(c, w, &y, &copy, &inside, cap, &rank);
	inside.obj = copy.out[0].obj = temp_obj(c, SPACE_SPM, as, rank, cap);
	move_in(c, &copy);
	*x = inside;
}
