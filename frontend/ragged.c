/* Ragged batches: `dim S[B] in 1..T` gives each row of the batch a length of its own. Such a dim is two
 * things: an extent, the dim that stands in shapes (S itself, at least the greatest length), and
 * rows, an i32[B] of the lengths. What lies behind a row's length is padding and must be unobservable:
 * reductions, products and attention over a ragged axis fill it with what changes nothing, the last
 * element is each row's last, stores keep to the rows' parts, outputs are zero there. Anything else
 * that would mix padding with elements is refused by name (ragged_refuses).
 *
 * Arithmetic keeps both: pos + S has the rows pos[b] + S[b] and the extent pos + S, lowered to
 * min(pos + S, T) once every row is known to stay within T. Nodes of rows depend on inputs and states
 * only and stand in the entry's graph, outside of loops. Rows are proved in range by a gather from
 * 0, 1, 2, ..: it traps outside. */
#include "frontend/build.h"

#include <math.h>
#include <string.h>

static bool mentions_ragged(Build *b, Dim d)
{
	for (size_t i = 0; i < b->ragged.n; i++) {
		const DimSym *s = dim_as_sym(b->ragged.at[i].key);
		if (s && dim_mentions(d, s)) return true;
	}
	return false;
}

const Ragged *ragged_find(const Build *b, Dim d)
{
	for (size_t i = b->ragged.n; d && i-- > 0;)
		if (b->ragged.at[i].extent == d || b->ragged.at[i].key == d) return &b->ragged.at[i];
	return NULL;
}

/* --- nodes of the entry's own graph ------------------------------------------------------------------ */

typedef struct Outside {
	Graph *graph;
	Loop *loop;
} Outside;

static Outside go_outside(Build *b)
{
	Outside was = {b->graph, b->loop};
	b->graph = b->entry->graph;
	b->loop = NULL;
	return was;
}

static void go_back(Build *b, Outside was)
{
	b->graph = was.graph;
	b->loop = was.loop;
}

static Node *counter(Build *b, Dim n, Span at)
{
	Node *i = node_new(b->m, OP_IOTA, 0, NULL, at);
	attr_dims(b->m, i, "dims", 1, &n);
	attr_int(i, "axis", 0);
	return emit(b, i);
}

static Node *gather_rows(Build *b, Node *x, Node *index, const char *check, Span at)
{
	if (!x || !index) return NULL;
	Node *g = node_new(b->m, OP_GATHER, 2, (Node *[]){x, index}, at);
	attr_int(g, "axis", 0);
	if (check) attr_str(g, "check", check);
	return emit(b, g);
}

Node *ragged_checked(Build *b, Node *rows, Dim lo, Dim hi, const char *check, Span at)
{
	Outside was = {b->graph, b->loop};
	if (!rows) return NULL;
	if (rows->owner == b->entry->graph) was = go_outside(b);
	bool from_zero = dim_is(lo, 0);
	Node *first = from_zero ? NULL : emit_dim(b, lo, at);
	Node *index = from_zero ? rows : emit_binary(b, OP_SUB, rows, first, at);
	Dim n = dim_addc(b->m->dims, dim_sub(b->m->dims, hi, lo), 1);
	Node *out = gather_rows(b, counter(b, n, at), index, check, at);
	if (!from_zero) out = emit_binary(b, OP_ADD, out, first, at);
	go_back(b, was);
	return out;
}

void ragged_keep(Build *b, Node *rows, Span at)
{
	if (!rows) return;
	if (rows->owner == b->entry->graph)
		vec_push(b->arena, &b->checks, rows);
	else
		complain(b, at, "a requirement on rows stands outside of loops");
}

/* Elements of a result at most, or many. */
static double much(const Node *n)
{
	double all = 1;
	for (uint32_t i = 0; i < n->type.rank; i++) {
		int64_t lo, hi;
		dim_range(NULL, n->type.dim[i], &lo, &hi);
		all *= (double)hi;
	}
	return all;
}

/* The smallest result depends on the checks that nothing else does: it is zero where rows are negative,
 * which none is that has passed its check. */
void ragged_keep_all(Build *b)
{
	Graph *g = b->entry->graph;
	Node *least = NULL, **to = NULL;
	if (!b->checks.n || b->errors) return;
	mark_live(g);
	for (size_t i = 0; i < b->checks.n; i++) {
		Node *rows = b->checks.at[i];
		if (rows->mark) continue;
		Node *one = emit_reduce(b, OP_REDUCE, "min", rows, 1, (int64_t[]){0}, false, rows->span);
		least = least ? emit_binary(b, OP_MIN, least, one, rows->span) : one;
	}
	for (Node *n = g->first; n; n = n->next) n->mark = 0;
	if (!least) return;
	for (size_t i = 0; i < g->results.n; i++)
		if (!to || much(g->results.at[i]) < much(*to)) to = &g->results.at[i];
	if (!to) {
		complain(b, least->span,
		         "rows cannot be checked in an entry that returns nothing and stores no state");
		return;
	}
	Node *below = emit_binary(b, OP_LT, least, emit_number(b, DT_I32, 0, least->span), least->span),
		 *zero = emit_number(b, (*to)->type.dtype, 0, least->span);
	Node *kept =
		below && zero
			? emit(b, node_new(b->m, OP_SELECT, 3, (Node *[]){below, zero, *to}, (*to)->span))
			: NULL;
	if (kept) *to = emit_cast(b, kept, (*to)->type.dtype, kept->span);
}

const Ragged *ragged_add(Build *b, Dim key, Dim extent, Dim batch, Node *rows)
{
	if (!rows) return NULL;
	vec_push(b->arena, &b->ragged, ((Ragged){key, extent, batch, rows}));
	return &b->ragged.at[b->ragged.n - 1];
}

/* --- arithmetic --------------------------------------------------------------------------------------------- */

/* No ragged dim may be subtracted in a size: its greatest says nothing about the difference. */
static bool grows(Build *b, Dim key)
{
	for (uint32_t i = 0; i < dim_terms(key); i++) {
		DimTerm t = dim_term(key, i);
		for (uint32_t k = 0; k < t.n; k++) {
			const DimAtom *a = t.atom[k];
			bool ragged = a->kind == ATOM_SYM
			                  ? mentions_ragged(b, dim_sym(b->m->dims, a->sym))
			                  : mentions_ragged(b, a->a) || mentions_ragged(b, a->b);
			if (ragged && t.coef < 0) return false;
		}
	}
	return true;
}

static void note_loop(void *ctx, DimSym *s)
{
	*(bool *)ctx |= s->kind == SYM_LOOP;
}

static Node *rows_or_dim(Build *b, Dim d, const Ragged *r, Span at)
{
	return r ? r->rows : emit_dim(b, d, at);
}

Item ragged_arithmetic(Build *b, int op, Dim x, Dim y, Span at)
{
	DimPool *p = b->m->dims;
	const Ragged *u = ragged_find(b, x), *v = ragged_find(b, y);
	Dim kx = u ? u->key : x, ky = v ? v->key : y, key;
	Op how;
	switch (op) {
	case '+': key = dim_add(p, kx, ky), how = OP_ADD; break;
	case '-': key = dim_sub(p, kx, ky), how = OP_SUB; break;
	case '*': key = dim_mul(p, kx, ky), how = OP_MUL; break;
	default: key = dim_floordiv(p, kx, ky), how = OP_FLOORDIV; break;
	}
	if (!mentions_ragged(b, key)) return item_dim(key);
	if (!grows(b, key) || (op == AST_OP('/', '/') && v)) {
		Diag *m = complain(b, at, "%s is no size: its parts have a length for each row",
		                   dim_text(b->arena, key));
		diag_help(b->d, m, "as numbers they are  x[:, none]  with one element a row");
		return bad();
	}
	const Ragged *have = ragged_find(b, key);
	if (have) return item_dim(have->extent);
	bool turns = false;
	dim_visit_syms(key, note_loop, &turns);
	if (turns) {
		complain(b, at, "%s has a length for each row, and changes from turn to turn of a loop",
		         dim_text(b->arena, key));
		return bad();
	}
	Dim batch = u ? u->batch : v->batch;
	if (u && v && u->batch != v->batch) {
		complain(b, at, "these have lengths for the rows of different dims, %s and %s",
		         dim_text(b->arena, u->batch), dim_text(b->arena, v->batch));
		return bad();
	}
	Outside was = go_outside(b);
	Node *rows = emit_binary(b, how, rows_or_dim(b, x, u, at), rows_or_dim(b, y, v, at), at);
	go_back(b, was);
	const Ragged *made = ragged_add(b, key, key, batch, rows);
	return made ? item_dim(made->extent) : bad();
}

Dim ragged_limit(Build *b, Dim d, Dim hi, const char *check, Span at)
{
	const Ragged *r = ragged_find(b, d);
	if (dim_le(&b->m->facts, r->extent, hi) == PROOF_YES) return r->extent;
	Node *rows = ragged_checked(b, r->rows, dim_const(b->m->dims, 0), hi, check, at);
	if (rows && rows->owner == b->entry->graph) vec_push(b->arena, &b->checks, rows);
	Dim extent = dim_min(b->m->dims, r->extent, hi);
	const Ragged *made = ragged_add(b, r->key, extent, r->batch, rows);
	return made ? made->extent : NULL;
}

/* --- axes ------------------------------------------------------------------------------------------------------ */

bool ragged_axis(const Build *b, const Type *t, uint32_t axis, uint32_t *batch)
{
	const Ragged *r = b->ragged.n && !t->is_tuple ? ragged_find(b, t->dim[axis]) : NULL;
	if (!r) return false;
	for (uint32_t i = 0; i < t->rank; i++)
		if (i != axis && t->dim[i] == r->batch) {
			*batch = i;
			return true;
		}
	return false;
}

/* An i32[B] seen with `rank` dims, its own at `axis`, 1 elsewhere. */
Node *ragged_spread(Build *b, Node *rows, uint32_t rank, uint32_t axis, Span at)
{
	Dim dims[MAX_RANK];
	uint32_t n = 0;
	if (!rows) return NULL;
	dims[n++] = rows->type.dim[0];
	while (n < rank - axis) dims[n++] = dim_const(b->m->dims, 1);
	return emit_reshape(b, rows, n, dims, at);
}

/* The positions along an axis, with 1 for the dims behind it. */
static Node *positions(Build *b, Dim n, uint32_t behind, Span at)
{
	Dim dims[MAX_RANK];
	dims[0] = n;
	for (uint32_t i = 1; i <= behind; i++) dims[i] = dim_const(b->m->dims, 1);
	return emit_reshape(b, counter(b, n, at), behind + 1, dims, at);
}

static Node *valid(Build *b, const Type *t, uint32_t axis, uint32_t batch, Span at)
{
	const Ragged *r = ragged_find(b, t->dim[axis]);
	Node *rows = ragged_spread(b, r->rows, t->rank, batch, at);
	return emit_binary(b, OP_LT, positions(b, t->dim[axis], t->rank - 1 - axis, at), rows, at);
}

static double least_of(DType t)
{
	return dtype_is_float(t) ? (double)-INFINITY
	       : t == DT_U8      ? 0
	                         : -ldexp(1, (int)dtype_bits(t) - 1);
}

static double greatest_of(DType t)
{
	return dtype_is_float(t) ? (double)INFINITY
	       : t == DT_U8      ? 255
	                         : ldexp(1, (int)dtype_bits(t) - 1) - 1;
}

Node *ragged_fill(Build *b, Node *x, uint32_t axis, RaggedFill with, Span at)
{
	uint32_t batch;
	if (!x || !ragged_axis(b, &x->type, axis, &batch)) return x;
	DType t = x->type.dtype;
	double v = with == FILL_LEAST      ? least_of(t)
	           : with == FILL_GREATEST ? greatest_of(t)
	                                   : (double)(with == FILL_ONE);
	Node *other = emit_number(b, t, v, at), *m = valid(b, &x->type, axis, batch, at);
	return m && other ? emit(b, node_new(b->m, OP_SELECT, 3, (Node *[]){m, x, other}, at)) : NULL;
}

Node *ragged_fill_all(Build *b, Node *x, Span at)
{
	for (uint32_t i = 0; x && b->ragged.n && i < x->type.rank; i++)
		x = ragged_fill(b, x, i, FILL_ZERO, at);
	return x;
}

bool ragged_at_least(Build *b, Dim extent, int64_t n, const char *check, Span at)
{
	const Ragged r = *ragged_find(b, extent);
	int64_t lo, hi;
	dim_range(&b->m->facts, r.key, &lo, &hi);
	if (lo >= n) return true;
	Node *rows = ragged_checked(b, r.rows, dim_const(b->m->dims, n), r.extent, check, at);
	return ragged_add(b, r.key, r.extent, r.batch, rows) != NULL;
}

bool ragged_windows(Build *b, Dim extent, int64_t room, int64_t stride, const char *check, Span at)
{
	DimPool *p = b->m->dims;
	const Ragged r = *ragged_find(b, extent);
	Dim by = dim_const(p, stride),
		key = dim_addc(p, dim_floordiv(p, dim_addc(p, r.key, room), by), 1),
		size = dim_addc(p, dim_floordiv(p, dim_addc(p, r.extent, room), by), 1);
	int64_t lo, hi;
	if (ragged_find(b, key)) return true;
	Outside was = go_outside(b);
	Node *rows = r.rows;
	if (stride == 1) {
		rows = emit_binary(b, OP_ADD, rows, emit_number(b, DT_I32, (double)(room + 1), at), at);
	} else {
		rows = emit_binary(b, OP_ADD, rows, emit_number(b, DT_I32, (double)room, at), at);
		rows = emit_binary(b, OP_FLOORDIV, rows, emit_number(b, DT_I32, (double)stride, at), at);
		rows = emit_binary(b, OP_ADD, rows, emit_number(b, DT_I32, 1, at), at);
	}
	go_back(b, was);
	dim_range(&b->m->facts, key, &lo, &hi);
	if (lo < 1) rows = ragged_checked(b, rows, dim_const(p, 1), size, check, at);
	return ragged_add(b, key, size, r.batch, rows) != NULL;
}

/* Does what x holds behind the lengths come from a state? Only elements are ever stored there. */
static bool from_state(const Node *x)
{
	for (;; x = x->in[0]) {
		if (x->op == OP_STATE || x->op == OP_UPDATE || x->op == OP_ARG) return true;
		if (x->op != OP_RESHAPE && x->op != OP_SLICE && x->op != OP_TRANSPOSE && x->op != OP_CAST)
			return false;
	}
}

Node *ragged_clean(Build *b, Node *x, uint32_t axis, Span at)
{
	return x && from_state(x) ? x : ragged_fill(b, x, axis, FILL_ZERO, at);
}

/* How many elements of x are reduced into one, beside what they are reduced to: f32; NULL: no axis is
 * ragged. */
Node *ragged_count(Build *b, const Type *x, uint32_t n, const int64_t *axes, bool keep, Span at)
{
	uint32_t batch = 0, before = 0;
	bool with_batch = false;
	Dim others = dim_const(b->m->dims, 1), of = NULL;
	Node *rows = NULL;
	for (uint32_t i = 0; i < n; i++) {
		if (!b->ragged.n || !ragged_axis(b, x, (uint32_t)axes[i], &batch)) {
			others = dim_mul(b->m->dims, others, x->dim[axes[i]]);
			continue;
		}
		const Ragged *r = ragged_find(b, x->dim[axes[i]]);
		rows = rows ? emit_binary(b, OP_MUL, rows, r->rows, at) : r->rows;
		of = r->batch;
	}
	if (!rows) return NULL;
	for (uint32_t i = 0; i < n; i++) {
		with_batch |= axes[i] == batch;
		before += !keep && axes[i] < batch;
	}
	if (with_batch) {
		others = dim_floordiv(b->m->dims, others, of);
		rows = emit_reduce(b, OP_REDUCE, "sum", rows, 1, (int64_t[]){0}, false, at);
	} else {
		rows = ragged_spread(b, rows, x->rank - (keep ? 0 : n), batch - before, at);
	}
	Node *count = emit_cast(b, rows, DT_F32, at);
	if (dim_is(others, 1)) return count;
	return emit_binary(b, OP_MUL, count, emit_cast(b, emit_dim(b, others, at), DT_F32, at), at);
}

/* --- elements row by row ------------------------------------------------------------------------------------- */

/* x[b, index[b, i]] along axis: that axis gets the dims of index behind its first, none for i32[B]. */
Node *ragged_pick(Build *b, Node *x, uint32_t axis, uint32_t batch, Node *index, Span at)
{
	DimPool *p = b->m->dims;
	int64_t perm[MAX_RANK], back[MAX_RANK];
	Dim dims[MAX_RANK], size;
	uint32_t rank, n = 2;
	bool was = b->ragged_inside;
	if (!x || !index) return NULL;
	rank = x->type.rank;
	size = x->type.dim[axis];
	perm[0] = batch;
	perm[1] = axis;
	for (uint32_t i = 0; i < rank; i++)
		if (i != batch && i != axis) perm[n++] = i;
	b->ragged_inside = true;
	Node *rows = emit_transpose(b, x, perm, at);
	dims[0] = dim_mul(p, x->type.dim[batch], size);
	for (uint32_t i = 2; i < rank; i++) dims[i - 1] = x->type.dim[perm[i]];
	rows = emit_reshape(b, rows, rank - 1, dims, at);
	Node *first = emit_binary(b, OP_MUL, positions(b, x->type.dim[batch], index->type.rank - 1, at),
	                          emit_dim(b, size, at), at);
	rows = gather_rows(b, rows, emit_binary(b, OP_ADD, first, index, at), NULL, at);
	/* [B, (n), rest] to the order of x */
	bool one = index->type.rank == 1;
	uint32_t made = one ? rank - 1 : rank, at_axis = 0;
	for (uint32_t i = 0; i < rank; i++) {
		if (one && i == axis) continue;
		uint32_t from = 0;
		while (perm[from] != i) from++;
		back[at_axis++] = one && from > 0 ? from - 1 : from;
	}
	if (rows && rows->type.rank == made) rows = emit_transpose(b, rows, back, at);
	b->ragged_inside = was;
	return rows;
}

static Node *clamped(Build *b, Node *i, Dim size, Span at)
{
	Node *last = emit_dim(b, dim_addc(b->m->dims, size, -1), at);
	return emit_binary(b, OP_MAX, emit_binary(b, OP_MIN, i, last, at),
	                   emit_number(b, DT_I32, 0, at), at);
}

Node *ragged_places(Build *b, Node *x, uint32_t axis, bool backwards, int64_t shift, Span at)
{
	uint32_t batch;
	if (!x || !ragged_axis(b, &x->type, axis, &batch)) return NULL;
	Node *rows = ragged_spread(b, ragged_find(b, x->type.dim[axis])->rows, 2, 0, at);
	Node *i = counter(b, x->type.dim[axis], at);
	if (backwards) { /* behind the end: the first element, which is padding there */
		i = emit_binary(b, OP_SUB, rows, i, at);
		i = emit_binary(b, OP_ADD, i, emit_number(b, DT_I32, -1, at), at);
	} else { /* a row without elements has nothing to go around */
		i = emit_binary(b, OP_ADD, i, emit_number(b, DT_I32, (double)-shift, at), at);
		i = emit_binary(b, OP_MOD, i,
		                emit_binary(b, OP_MAX, rows, emit_number(b, DT_I32, 1, at), at), at);
	}
	return ragged_pick(b, x, axis, batch, clamped(b, i, x->type.dim[axis], at), at);
}

Node *ragged_turn(Build *b, Node *x, Node *other, Dim extent, Dim turn, Span at)
{
	const Ragged *r = ragged_find(b, extent);
	uint32_t axis = 0;
	if (!x) return NULL;
	while (axis < x->type.rank && x->type.dim[axis] != r->batch) axis++;
	if (axis == x->type.rank) {
		complain(b, at, "%s has no axis %s, whose rows end after different numbers of turns",
		         type_text(b->arena, &x->type), dim_text(b->arena, r->batch));
		return NULL;
	}
	Node *rows = ragged_spread(b, r->rows, x->type.rank, axis, at);
	Node *on = emit_binary(b, OP_LT, emit_dim(b, turn, at), rows, at);
	if (!other) other = emit_number(b, x->type.dtype, 0, at);
	return on && other ? emit(b, node_new(b->m, OP_SELECT, 3, (Node *[]){on, x, other}, at)) : NULL;
}

Node *ragged_cut(Build *b, Node *x, uint32_t axis, uint32_t batch, Node *start, Dim size, Span at)
{
	if (!x || !start) return NULL;
	Node *i = emit_binary(b, OP_ADD, ragged_spread(b, start, 2, 0, at), counter(b, size, at), at);
	return ragged_pick(b, x, axis, batch, clamped(b, i, x->type.dim[axis], at), at);
}

/* old with rows of value from start[b] on, where they are elements of value; both along axis. */
Node *ragged_put(Build *b, Node *old, Node *value, uint32_t axis, uint32_t batch, Node *start,
                 Node *length, Span at)
{
	if (!old || !value || !start || !length) return NULL;
	uint32_t rank = old->type.rank;
	Dim n = old->type.dim[axis];
	Node *i = emit_binary(b, OP_SUB, counter(b, n, at), ragged_spread(b, start, 2, 0, at), at);
	Node *picked = ragged_pick(b, value, axis, batch, clamped(b, i, value->type.dim[axis], at), at);
	Node *from = emit_binary(b, OP_SUB, positions(b, n, rank - 1 - axis, at),
	                         ragged_spread(b, start, rank, batch, at), at);
	Node *in =
		emit_binary(b, OP_AND, emit_binary(b, OP_GE, from, emit_number(b, DT_I32, 0, at), at),
	                emit_binary(b, OP_LT, from, ragged_spread(b, length, rank, batch, at), at), at);
	return in && picked ? emit(b, node_new(b->m, OP_SELECT, 3, (Node *[]){in, picked, old}, at))
	                    : NULL;
}

/* --- the net ---------------------------------------------------------------------------------------------------- */

static bool attr_has(const Node *n, const char *name, uint32_t axis)
{
	const Attr *a = node_attr_const(n, name);
	for (uint32_t i = 0; a->set && i < a->n; i++)
		if (a->ints[i] == axis) return true;
	return false;
}

/* Is an axis of t one of a reshape's result too, with as many elements behind it? */
static bool stays(DimPool *p, const Type *to, const Type *t, uint32_t axis)
{
	Dim behind = dim_const(p, 1), rest = behind;
	for (uint32_t i = axis + 1; i < t->rank; i++) behind = dim_mul(p, behind, t->dim[i]);
	for (uint32_t i = to->rank; i-- > 0; rest = dim_mul(p, rest, to->dim[i]))
		if (to->dim[i] == t->dim[axis] && rest == behind) return true;
	return false;
}

static bool summed(const Node *n, uint32_t which, uint32_t axis)
{
	const char *spec = node_attr_const(n, "spec")->s, *comma = strchr(spec, ',');
	char c = which ? comma[1 + axis] : spec[axis];
	return !strchr(strstr(spec, "->") + 2, c);
}

/* May this operation take operand `which` with a ragged axis? Sums, products and softmax along it have
 * been given an operand filled for them. */
static bool keeps_rows(DimPool *p, const Node *n, uint32_t which, uint32_t axis, uint32_t batch)
{
	const Type *t = &n->in[which]->type;
	int64_t last = (int64_t)t->rank - 1;
	if (op_info[n->op].kind == KIND_ELEMENTWISE) return true;
	switch (n->op) {
	case OP_TRANSPOSE:
	case OP_BROADCAST:
	case OP_TUPLE:
	case OP_GET:
	case OP_LOOP:
	case OP_CLAMP:
	case OP_SOFTPLUS: return true;
	case OP_BATCH_NORM: return node_attr_const(n, "axis")->i != axis;
	case OP_RESHAPE: return stays(p, &n->type, t, axis) && stays(p, &n->type, t, batch);
	case OP_SLICE: {
		const Attr *start = node_attr_const(n, "start"), *size = node_attr_const(n, "size");
		return dim_is(start->dims[axis], 0) && size->dims[axis] == t->dim[axis] &&
		       size->dims[batch] == t->dim[batch];
	}
	case OP_UPDATE: return which == 0;
	case OP_CONCAT: /* rows that lie before all of a ragged part stay where they are */
		return node_attr_const(n, "axis")->i != batch &&
		       (node_attr_const(n, "axis")->i != axis || which + 1 == n->n_in);
	case OP_PAD:
		return !node_attr_const(n, "lo")->ints[axis] && !node_attr_const(n, "hi")->ints[axis];
	case OP_GATHER:
		return which == 1 ||
		       (node_attr_const(n, "axis")->i != axis && node_attr_const(n, "axis")->i != batch);
	case OP_EINSUM: return summed(n, which, axis) || !summed(n, which, batch);
	case OP_REDUCE:
	case OP_MEAN: return attr_has(n, "axes", axis) || !attr_has(n, "axes", batch);
	case OP_SOFTMAX:
	case OP_LOG_SOFTMAX: return node_attr_const(n, "axis")->i != batch;
	case OP_SCAN: return node_attr_const(n, "axis")->i != batch;
	case OP_LAYER_NORM:
	case OP_RMS_NORM:
	case OP_TOPK:
	case OP_SORT:
	case OP_ROPE: return axis != last;
	default: return false;
	}
}

/* What is written instead of an operation that cannot keep rows apart. */
static const char *instead_of(Op op)
{
	switch (op) {
	case OP_RESHAPE:
		return "leave the rows apart: einsum, products and functions take [B, S, ..] as it is";
	case OP_PAD: return "zeros around a row are those of  conv(x, w, padding=1)  or of a pooling";
	case OP_CONV:
		return "conv along rows takes [N, C, S] with the rows' dim first, and transposed convolution "
			   "none";
	case OP_CONCAT:
		return "what stands behind a row must be behind its own end:  k[:, pos:pos+S] = x  stores so";
	default:
		return "reductions, softmax, products, attention, conv, pooling, sort, topk, flip, cumsum, "
			   "x[:, -1] and slices from the start respect lengths";
	}
}

bool ragged_refuses(Build *b, const Node *n)
{
	if (!b->ragged.n || b->ragged_inside) return false;
	for (uint32_t i = 0; i < n->n_in; i++) {
		const Type *t = &n->in[i]->type;
		uint32_t batch;
		for (uint32_t axis = 0; !t->is_tuple && axis < t->rank; axis++) {
			if (!ragged_axis(b, t, axis, &batch) || keeps_rows(b->m->dims, n, i, axis, batch))
				continue;
			Diag *m = complain(
				b, n->span,
				"%s of %s: each row of %s has its own length along axis %u, which %s cannot keep apart",
				op_info[n->op].mnemonic, type_text(b->arena, t), dim_text(b->arena, t->dim[batch]),
				axis, op_info[n->op].mnemonic);
			diag_help(b->d, m, "%s", instead_of(n->op));
			return true;
		}
	}
	return false;
}
