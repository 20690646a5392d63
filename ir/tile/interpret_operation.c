/* What each tile operation does, element by element. An input becomes a source: a pointer and a
 * stride for each space variable. Where the access is affine and lies within its object that is the
 * object itself, checked once for the whole space; else (gathers, padding, what is not affine) its
 * elements are collected into a temporary first. So the loops that compute check nothing. */
#include "ir/tile/tile_internal.h"

#include <math.h>
#include <string.h>

typedef struct Input {
	const double *at;
	int64_t stride[TILE_SPACE];
} Input;

/* Where results go: directly, or with each address worked out when it is needed. */
typedef struct Target {
	const TileAccess *access;
	TileView *view;
	bool direct;
	int64_t base, stride[TILE_SPACE]; /* in elements of the memory */
} Target;

typedef struct Operation {
	Interpreter *t;
	const TileStmt *s;
	int64_t extent[TILE_SPACE], at[TILE_SPACE];
	int64_t total; /* product of the extents */
	Input in[TILE_INS];
	Target out[TILE_OUTS];
	bool binds; /* the space variables must be bound at each element */
} Operation;

/* --- plans --- */

static bool take_apart(Interpreter *t, AccessPlan *plan, const TileStmt *s)
{
	const TileAccess *a = plan->access;
	for (uint32_t d = 0; d < a->obj->rank; d++) {
		if (a->rows && d == a->rows_dim) continue;
		plan->rest[d] = a->index[d];
		for (uint32_t v = 0; v < s->n_space; v++) {
			Dim factor, rest;
			if (!dim_mentions(plan->rest[d], s->space[v].sym)) continue;
			plan->mentions |= 1u << v;
			if (!dim_linear_in(t->p->dims, plan->rest[d], s->space[v].sym, &factor, &rest)) {
				plan->linear = false;
				continue;
			}
			plan->factor[d][v] = factor;
			plan->rest[d] = rest;
			for (uint32_t w = 0; w < s->n_space; w++)
				if (dim_mentions(factor, s->space[w].sym)) plan->linear = false;
		}
	}
	return plan->linear;
}

static const AccessPlan *plan_of(Interpreter *t, const TileAccess *a, const TileStmt *s)
{
	AccessPlan **slot = &t->plan[(uintptr_t)a / sizeof(TileAccess) % PLAN_SLOTS];
	for (AccessPlan *p = *slot; p; p = p->chain)
		if (p->access == a) return p;
	AccessPlan *p = NEW(t->arena, AccessPlan);
	*p = (AccessPlan){.access = a, .chain = *slot, .linear = true};
	take_apart(t, p, s);
	if (a->rows) {
		p->linear = false;
		p->mentions |= plan_of(t, a->rows, s)->mentions;
	}
	*slot = p;
	return p;
}

/* --- single elements --- */

static const char *position_text(Interpreter *t, const int64_t *at, uint32_t rank)
{
	Text x = text_new(t->d->arena);
	for (uint32_t d = 0; d < rank; d++) text_printf(&x, d ? ", %lld" : "%lld", (long long)at[d]);
	return x.at;
}

/* The element's number in its memory, -1 when an else value is meant instead; false: an error. */
static bool element_of(Interpreter *t, Span at, const TileAccess *a, TileView *v, int64_t *out)
{
	int64_t index[TILE_RANK];
	bool inside = true;
	*out = v->base;
	for (uint32_t d = 0; d < a->obj->rank; d++) {
		double row = 0;
		if (a->rows && d == a->rows_dim) {
			if (!run_load(t, at, a->rows, &row)) return false;
			index[d] = (int64_t)row;
		} else if (!run_eval(t, at, a->index[d], &index[d])) {
			return false;
		}
		inside = inside && index[d] >= 0 && index[d] < v->dim[d];
		if (inside) *out += index[d] * v->stride[d];
	}
	if (inside) return true;
	*out = -1;
	if (a->has_else) return true;
	return run_fail(t, at, "`%s` is accessed at [%s], outside of its dims [%s]", a->obj->name,
	                position_text(t, index, a->obj->rank), position_text(t, v->dim, a->obj->rank));
}

static bool undefined(Interpreter *t, Span at, const TileAccess *a, int64_t element)
{
	TileView *v = run_view(t, at, a->obj);
	int64_t index[TILE_RANK];
	element -= v->base;
	for (uint32_t d = a->obj->rank; d-- > 0;) {
		index[d] = element % v->dim[d];
		element /= v->dim[d];
	}
	return run_fail(t, at, "element [%s] of `%s` is read before it was written",
	                position_text(t, index, a->obj->rank), a->obj->name);
}

static bool is_defined(const TileMemory *m, int64_t element)
{
	return !m->stamp || m->stamp[element] == m->now;
}

bool run_load(Interpreter *t, Span at, const TileAccess *a, double *out)
{
	TileView *v = run_view(t, at, a->obj);
	int64_t e;
	if (!v || !element_of(t, at, a, v, &e)) return false;
	if (e < 0) {
		*out = a->else_value;
		return true;
	}
	if (!is_defined(v->memory, e)) return undefined(t, at, a, e);
	*out = v->memory->at[e];
	return true;
}

static void put_element(TileMemory *m, int64_t e, double v)
{
	m->at[e] = m->round ? dtype_round(m->dtype, v) : v;
	if (m->stamp) m->stamp[e] = m->now;
	m->written = true;
}

/* --- walking the space --- */

static bool operation_begin(Operation *o, Interpreter *t, const TileStmt *s)
{
	*o = (Operation){.t = t, .s = s, .total = 1};
	for (uint32_t v = 0; v < s->n_space; v++) {
		if (!run_eval(t, s->span, s->space[v].extent, &o->extent[v])) return false;
		if (o->extent[v] < 0) o->extent[v] = 0;
		if (__builtin_mul_overflow(o->total, o->extent[v], &o->total))
			return run_fail(t, s->span, "the space of this operation is too large");
	}
	return run_steps(t, s->span, o->total);
}

/* Begins at zero; false when there is nothing to visit. */
static bool walk_begin(Operation *o, uint32_t vars)
{
	for (uint32_t v = 0; v < o->s->n_space; v++) {
		if (!(vars >> v & 1)) continue;
		o->at[v] = 0;
		if (!o->extent[v]) return false;
	}
	return true;
}

/* The next position of the variables in the mask, the last one fastest. */
static bool walk_next(Operation *o, uint32_t vars)
{
	for (uint32_t v = o->s->n_space; v-- > 0;) {
		if (!(vars >> v & 1)) continue;
		if (++o->at[v] < o->extent[v]) return true;
		o->at[v] = 0;
	}
	return false;
}

static uint32_t all_vars(const Operation *o)
{
	return (1u << o->s->n_space) - 1;
}

static void bind_position(Operation *o)
{
	for (uint32_t v = 0; v < o->s->n_space; v++) run_bind(o->t, o->s->space[v].sym, o->at[v]);
}

static int64_t offset_of(const Operation *o, const int64_t *stride)
{
	int64_t sum = 0;
	for (uint32_t v = 0; v < o->s->n_space; v++) sum += o->at[v] * stride[v];
	return sum;
}

/* --- accesses over the space --- */

/* Base and strides of a linear access; *inside: no position of the space leaves the object. */
static bool linear_form(Operation *o, const AccessPlan *p, const TileView *view, int64_t *base,
                        int64_t *stride, bool *inside)
{
	Span at = o->s->span;
	*base = view->base;
	*inside = o->total > 0;
	memset(stride, 0, TILE_SPACE * sizeof *stride);
	for (uint32_t d = 0; d < p->access->obj->rank; d++) {
		int64_t least, most, factor;
		if (!run_eval(o->t, at, p->rest[d], &least)) return false;
		*base += least * view->stride[d];
		most = least;
		for (uint32_t v = 0; v < o->s->n_space; v++) {
			if (!p->factor[d][v]) continue;
			if (!run_eval(o->t, at, p->factor[d][v], &factor)) return false;
			stride[v] += factor * view->stride[d];
			*(factor < 0 ? &least : &most) += factor * (o->extent[v] - 1);
		}
		if (least < 0 || most >= view->dim[d]) *inside = false;
	}
	return true;
}

static bool check_defined(Operation *o, const AccessPlan *p, const TileMemory *m, int64_t base,
                          const int64_t *stride)
{
	if (!m->stamp || !walk_begin(o, p->mentions)) return true;
	for (uint32_t v = 0; v < o->s->n_space; v++)
		if (!(p->mentions >> v & 1)) o->at[v] = 0;
	do {
		int64_t e = base + offset_of(o, stride);
		if (m->stamp[e] != m->now) return undefined(o->t, o->s->span, p->access, e);
	} while (walk_next(o, p->mentions));
	return true;
}

/* The elements of an access collected in a temporary over the variables that it mentions. */
static bool collect(Operation *o, const AccessPlan *p, Input *to)
{
	int64_t n = 1;
	for (uint32_t v = o->s->n_space; v-- > 0;) {
		to->stride[v] = 0;
		if (!(p->mentions >> v & 1)) continue;
		to->stride[v] = n;
		if (__builtin_mul_overflow(n, o->extent[v], &n) || n > (int64_t)1 << 28)
			return run_fail(o->t, o->s->span, "an operand is too large for the interpreter");
	}
	double *at = NEW_ARRAY(o->t->arena, double, n + 1);
	to->at = at;
	if (!walk_begin(o, p->mentions)) return true;
	int64_t i = 0;
	do {
		bind_position(o);
		if (!run_load(o->t, o->s->span, p->access, &at[i++])) return false;
	} while (walk_next(o, p->mentions));
	return true;
}

static bool source_of(Operation *o, const TileAccess *a, Input *to)
{
	const AccessPlan *p = plan_of(o->t, a, o->s);
	TileView *view = run_view(o->t, o->s->span, a->obj);
	int64_t base;
	bool inside = false;
	if (!view) return false;
	if (!o->total) return true;
	if (p->linear && !linear_form(o, p, view, &base, to->stride, &inside)) return false;
	if (!inside) return collect(o, p, to);
	to->at = view->memory->at + base;
	return check_defined(o, p, view->memory, base, to->stride);
}

static bool target_of(Operation *o, const TileAccess *a, Target *to)
{
	const AccessPlan *p = plan_of(o->t, a, o->s);
	*to = (Target){.access = a, .view = run_view(o->t, o->s->span, a->obj)};
	if (!to->view) return false;
	if (p->linear && !linear_form(o, p, to->view, &to->base, to->stride, &to->direct)) return false;
	if (!to->direct) o->binds = true;
	return true;
}

/* The element that a target means at the position in hand. */
static bool target_element(Operation *o, const Target *to, int64_t *e)
{
	if (to->direct) {
		*e = to->base + offset_of(o, to->stride);
		return true;
	}
	bind_position(o);
	if (!element_of(o->t, o->s->span, to->access, to->view, e)) return false;
	return *e >= 0 || run_fail(o->t, o->s->span, "a store outside of `%s`", to->access->obj->name);
}

static bool target_store(Operation *o, const Target *to, double v)
{
	int64_t e;
	if (!target_element(o, to, &e)) return false;
	put_element(to->view->memory, e, v);
	return true;
}

static bool target_load(Operation *o, const Target *to, double *v)
{
	int64_t e;
	if (!target_element(o, to, &e)) return false;
	if (!is_defined(to->view->memory, e)) return undefined(o->t, o->s->span, to->access, e);
	*v = to->view->memory->at[e];
	return true;
}

static bool operands(Operation *o)
{
	for (uint32_t i = 0; i < o->s->n_in; i++)
		if (!source_of(o, &o->s->in[i], &o->in[i])) return false;
	for (uint32_t i = 0; i < o->s->n_out; i++)
		if (!target_of(o, &o->s->out[i], &o->out[i])) return false;
	for (uint32_t i = 0; i < o->s->region.n; i++)
		if (o->s->region.node[i].kind == RN_DIM) o->binds = true;
	return true;
}

/* --- values --- */

static bool typed(const Operation *o)
{
	return !o->t->run->exact;
}

/* In typed mode floats add up in f32; integers are exact, and wrap when the sum is complete. */
static double rounded(const Operation *o, bool integer, double v)
{
	return typed(o) && !integer ? (double)(float)v : v;
}

static double wrapped(double v)
{
	double two32 = 4294967296.0, m = fmod(v, two32);
	return m >= two32 / 2 ? m - two32 : m < -two32 / 2 ? m + two32 : m;
}

/* The region's results for the element in hand; without a region, the first input. */
static void region_values(Operation *o, double *out)
{
	double in[TILE_INS];
	const TileStmt *s = o->s;
	for (uint32_t i = 0; i < s->n_in; i++) in[i] = o->in[i].at[offset_of(o, o->in[i].stride)];
	if (!s->region.n_out) {
		out[0] = in[0];
		return;
	}
	if (o->binds) bind_position(o);
	region_eval(&s->region, in, out, typed(o), run_value, o->t);
}

static bool is_integer(const Operation *o)
{
	const Region *r = &o->s->region;
	return dtype_widened(r->n_out ? r->node[r->out[0]].type : o->s->in[0].obj->dtype) != DT_F32;
}

static bool run_map(Operation *o)
{
	double v[TILE_OUTS], before;
	if (!walk_begin(o, all_vars(o))) return true;
	do {
		region_values(o, v);
		for (uint32_t i = 0; i < o->s->n_out; i++) {
			if (o->s->accumulate) {
				if (!target_load(o, &o->out[i], &before)) return false;
				bool integer = !dtype_is_float(o->s->out[i].obj->dtype);
				v[i] = integer ? wrapped(before + v[i]) : rounded(o, false, before + v[i]);
			}
			if (!target_store(o, &o->out[i], v[i])) return false;
		}
	} while (walk_next(o, all_vars(o)));
	return true;
}

/* --- contract --- */

/* The variable of the result that runs innermost: one along which operands lie densely, long. */
static uint32_t inner_variable(const Operation *o, uint32_t of_result)
{
	uint32_t best = TILE_SPACE;
	int64_t best_score = -1;
	for (uint32_t v = 0; v < o->s->n_space; v++) {
		if (!(of_result >> v & 1)) continue;
		bool dense = (uint64_t)o->in[0].stride[v] <= 1 && (uint64_t)o->in[1].stride[v] <= 1;
		int64_t score = o->extent[v] + (dense && o->extent[v] > 3 ? (int64_t)1 << 32 : 0);
		if (score > best_score) {
			best_score = score;
			best = v;
		}
	}
	return best;
}

typedef struct Line {
	double *sum;
	int64_t n, a_stride, b_stride;
} Line;

static void add_products(const Line *l, const double *a, const double *b)
{
	if (l->a_stride == 0 && l->b_stride == 1)
		for (int64_t i = 0; i < l->n; i++) l->sum[i] += a[0] * b[i];
	else
		for (int64_t i = 0; i < l->n; i++) l->sum[i] += a[i * l->a_stride] * b[i * l->b_stride];
}

static void add_products_f32(const Line *l, const double *a, const double *b)
{
	for (int64_t i = 0; i < l->n; i++)
		l->sum[i] = (double)(float)(l->sum[i] + a[i * l->a_stride] * b[i * l->b_stride]);
}

static bool line_store(Operation *o, uint32_t inner, const Line *l, bool integer)
{
	for (int64_t i = 0; i < l->n; i++) {
		if (inner < TILE_SPACE) o->at[inner] = i;
		if (!target_store(o, &o->out[0], integer ? wrapped(l->sum[i]) : l->sum[i])) return false;
	}
	return true;
}

static bool line_load(Operation *o, uint32_t inner, const Line *l)
{
	for (int64_t i = 0; i < l->n; i++) {
		if (inner < TILE_SPACE) o->at[inner] = i;
		if (!target_load(o, &o->out[0], &l->sum[i])) return false;
	}
	return true;
}

static bool logical_integer(const TileObj *o)
{
	return !dtype_is_float(o->dtype) && o->enc.kind != ENC_I4;
}

static bool run_contract(Operation *o)
{
	const TileStmt *s = o->s;
	uint32_t of_result = plan_of(o->t, &s->out[0], s)->mentions;
	uint32_t inner = inner_variable(o, of_result), outer = of_result,
			 summed = all_vars(o) & ~of_result;
	bool integer = logical_integer(s->in[0].obj) && logical_integer(s->in[1].obj);
	Line l = {.n = 1};
	if (inner < TILE_SPACE) {
		outer &= ~(1u << inner);
		l = (Line){NULL, o->extent[inner], o->in[0].stride[inner], o->in[1].stride[inner]};
	}
	l.sum = NEW_ARRAY(o->t->arena, double, l.n + 1);
	bool in_f32 = typed(o) && !integer, some = walk_begin(o, summed);
	if (!l.n || !walk_begin(o, outer)) return true;
	do {
		memset(l.sum, 0, (size_t)l.n * sizeof *l.sum);
		if (s->accumulate && !line_load(o, inner, &l)) return false;
		if (inner < TILE_SPACE) o->at[inner] = 0;
		if (some) {
			walk_begin(o, summed);
			do {
				const double *a = o->in[0].at + offset_of(o, o->in[0].stride);
				const double *b = o->in[1].at + offset_of(o, o->in[1].stride);
				if (in_f32)
					add_products_f32(&l, a, b);
				else
					add_products(&l, a, b);
			} while (walk_next(o, summed));
		}
		if (!line_store(o, inner, &l, integer)) return false;
	} while (walk_next(o, outer));
	return true;
}

/* --- reductions --- */

static double combine(const Operation *o, bool integer, double a, double b)
{
	switch (o->s->reduce) {
	case RED_SUM: return rounded(o, integer, a + b);
	case RED_MAX:
	case RED_ARGMAX: return scalar_eval(SC_MAX, integer, a, b, 0);
	case RED_MIN: return scalar_eval(SC_MIN, integer, a, b, 0);
	case RED_AMAX: return scalar_eval(SC_MAX, integer, a, fabs(b), 0);
	case NUM_TILE_REDUCE: break;
	}
	return 0;
}

static double identity(const Operation *o, bool integer)
{
	switch (o->s->reduce) {
	case RED_MAX:
	case RED_ARGMAX: return integer ? -2147483648.0 : (double)-INFINITY;
	case RED_MIN: return integer ? 2147483647.0 : (double)INFINITY;
	default: return 0;
	}
}

static bool run_reduce(Operation *o)
{
	const TileStmt *s = o->s;
	uint32_t kept = plan_of(o->t, &s->out[0], s)->mentions, summed = all_vars(o) & ~kept, along = 0;
	bool integer = is_integer(o), some = walk_begin(o, summed);
	while (along + 1 < s->n_space && !(summed >> along & 1)) along++;
	if (!walk_begin(o, kept)) return true;
	do {
		double sum = identity(o, integer), v[TILE_OUTS];
		int64_t best = -1;
		if (s->accumulate && !target_load(o, &o->out[0], &sum)) return false;
		some = some && walk_begin(o, summed);
		if (some) do {
				region_values(o, v);
				if (s->reduce == RED_ARGMAX &&
				    (best < 0 || v[0] > sum || (isnan(v[0]) && !isnan(sum)))) {
					best = o->at[along];
					sum = v[0];
				}
				sum = combine(o, integer, sum, v[0]);
			} while (walk_next(o, summed));
		if (s->reduce == RED_ARGMAX) sum = best < 0 ? 0 : (double)best;
		if (s->reduce == RED_SUM && integer) sum = wrapped(sum);
		for (uint32_t w = 0; w < s->n_space; w++)
			if (summed >> w & 1) o->at[w] = 0;
		if (!target_store(o, &o->out[0], sum)) return false;
	} while (walk_next(o, kept));
	return true;
}

/* Dao 2023, FlashAttention-2, the step of algorithm 1; a row without a finite maximum gives p = 0. */
static bool softmax_row(Operation *o, uint32_t columns)
{
	const Input *s = &o->in[0];
	double scale = o->s->scale, peak = -INFINITY, m, l, sum = 0;
	bool some = walk_begin(o, columns);
	if (!target_load(o, &o->out[2], &m) || !target_load(o, &o->out[3], &l)) return false;
	if (some) do {
			double v = rounded(o, false, s->at[offset_of(o, s->stride)] * scale);
			peak = scalar_eval(SC_MAX, false, peak, v, 0);
		} while (walk_next(o, columns));
	double now = scalar_eval(SC_MAX, false, m, peak, 0);
	bool empty = now == -INFINITY;
	double alpha = empty ? 1 : rounded(o, false, exp(m - now));
	if (some && walk_begin(o, columns)) do {
			double v = rounded(o, false, s->at[offset_of(o, s->stride)] * scale);
			double p = empty ? 0 : rounded(o, false, exp(v - now));
			sum = rounded(o, false, sum + p);
			if (!target_store(o, &o->out[0], p)) return false;
		} while (walk_next(o, columns));
	l = rounded(o, false, l * alpha + sum);
	return target_store(o, &o->out[1], alpha) && target_store(o, &o->out[2], now) &&
	       target_store(o, &o->out[3], l);
}

static bool run_softmax(Operation *o)
{
	uint32_t rows = plan_of(o->t, &o->s->out[2], o->s)->mentions, columns = all_vars(o) & ~rows;
	if (!walk_begin(o, rows)) return true;
	do
		if (!softmax_row(o, columns)) return false;
	while (walk_next(o, rows));
	return true;
}

static bool run_scan(Operation *o)
{
	uint32_t axis = o->s->axis, others = all_vars(o) & ~(1u << axis);
	bool integer = is_integer(o);
	if (!walk_begin(o, all_vars(o))) return true;
	do {
		double sum = identity(o, integer), v[TILE_OUTS];
		for (o->at[axis] = 0; o->at[axis] < o->extent[axis]; o->at[axis]++) {
			region_values(o, v);
			sum = combine(o, integer, sum, v[0]);
			if (integer && o->s->reduce == RED_SUM) sum = wrapped(sum);
			if (!target_store(o, &o->out[0], sum)) return false;
		}
		o->at[axis] = 0;
	} while (walk_next(o, others));
	return true;
}

/* --- order --- */

typedef struct Key {
	double value;
	int64_t at;
} Key;

/* nan is greatest. */
static bool less(double a, double b)
{
	return a < b || (isnan(b) && !isnan(a));
}

static bool comes_first(const Key *a, const Key *b, bool descending)
{
	if (descending ? less(b->value, a->value) : less(a->value, b->value)) return true;
	if (descending ? less(a->value, b->value) : less(b->value, a->value)) return false;
	return a->at < b->at;
}

/* Merge sort, by halves into `spare` and back. */
static void sort_keys(Key *k, Key *spare, int64_t n, bool descending)
{
	if (n < 2) return;
	int64_t half = n / 2, i = 0, j = half;
	sort_keys(k, spare, half, descending);
	sort_keys(k + half, spare, n - half, descending);
	memcpy(spare, k, (size_t)n * sizeof *k);
	for (int64_t to = 0; to < n; to++) {
		bool left = j >= n || (i < half && comes_first(&spare[i], &spare[j], descending));
		k[to] = left ? spare[i++] : spare[j++];
	}
}

/* topk takes the first of the order by value, descending; sort all of it. */
static bool run_order(Operation *o)
{
	bool top = o->s->op == TILE_TOPK, descending = top || o->s->descending;
	uint32_t axis = o->s->axis, along = top ? o->s->n_space - 1 : axis;
	uint32_t others = all_vars(o) & ~(1u << axis) & ~(1u << along);
	int64_t n = o->extent[axis];
	Key *k = NEW_ARRAY(o->t->arena, Key, 2 * n + 1);
	if (top && o->extent[along] > n)
		return run_fail(o->t, o->s->span, "topk of %lld elements out of %lld",
		                (long long)o->extent[along], (long long)n);
	if (!walk_begin(o, all_vars(o))) return true;
	do {
		for (int64_t i = 0; i < n; i++) {
			o->at[axis] = i;
			k[i] = (Key){o->in[0].at[offset_of(o, o->in[0].stride)], i};
		}
		sort_keys(k, k + n, n, descending);
		o->at[axis] = 0;
		for (int64_t i = 0; i < o->extent[along]; i++) {
			o->at[along] = i;
			if (!target_store(o, &o->out[0], k[i].value)) return false;
			if (o->s->n_out > 1 && !target_store(o, &o->out[1], (double)k[i].at)) return false;
		}
		o->at[along] = 0;
	} while (walk_next(o, others));
	return true;
}

bool run_operation(Interpreter *t, const TileStmt *s)
{
	ArenaMark mark;
	Operation o;
	for (uint32_t i = 0; i < s->n_in + s->n_out; i++) /* plans stay, what follows goes */
		plan_of(t, i < s->n_in ? &s->in[i] : &s->out[i - s->n_in], s);
	mark = arena_mark(t->arena);
	bool ok = operation_begin(&o, t, s) && operands(&o);
	if (ok) switch (s->op) {
		case TILE_BRING:
		case TILE_MAP:
		case TILE_PUT: ok = run_map(&o); break;
		case TILE_CONTRACT: ok = run_contract(&o); break;
		case TILE_REDUCE: ok = run_reduce(&o); break;
		case TILE_SOFTMAX_STEP: ok = run_softmax(&o); break;
		case TILE_SCAN: ok = run_scan(&o); break;
		case TILE_TOPK:
		case TILE_SORT: ok = run_order(&o); break;
		default: ok = run_fail(t, s->span, "this statement cannot be run"); break;
		}
	arena_reset(t->arena, mark);
	return ok;
}
