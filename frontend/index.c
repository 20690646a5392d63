/* x[..]: parts of tensors, gathers by an integer tensor, elements of lists and of arrays of layers;
 * reading and storing states. */
#include "frontend/build.h"

#include <string.h>

/* --- states ------------------------------------------------------------------------------------------ */

static Node *state_in(Build *b, Loop *l, uint32_t number)
{
	if (!l) {
		if (!b->state_now[number]) {
			Node *n = node_new(b->m, OP_STATE, 0, NULL, b->m->states.at[number].span);
			attr_int(n, "number", number);
			n->type = b->m->states.at[number].type;
			b->state_now[number] = graph_add(b->entry->graph, b->d, n);
		}
		return b->state_now[number];
	}
	if (l->state_now[number]) return l->state_now[number];
	Node *outer = state_in(b, l->up, number);
	if (!outer) return NULL;
	Node *arg = node_new(b->m, OP_ARG, 0, NULL, outer->span);
	attr_int(arg, "number", (int64_t)l->graph->args.n);
	arg->type = outer->type;
	if (!graph_add(l->graph, b->d, arg)) return NULL;
	vec_push(b->arena, &l->init, outer);
	l->state_arg[number] = l->state_now[number] = arg;
	return arg;
}

Node *state_value(Build *b, uint32_t number)
{
	return state_in(b, b->loop, number);
}

void state_set(Build *b, uint32_t number, Node *value)
{
	if (!value || !state_value(b, number)) return;
	if (b->loop)
		b->loop->state_now[number] = value;
	else
		b->state_now[number] = value;
}

/* The position of a place in front of an own index. */
static void lead(Build *b, const Place *place, const Type *whole, Dim *start, Dim *size)
{
	for (uint32_t i = 0; i < whole->rank; i++) {
		start[i] = i < place->n ? place->index[i] : dim_const(b->m->dims, 0);
		size[i] = i < place->n ? dim_const(b->m->dims, 1) : whole->dim[i];
	}
}

Node *state_read(Build *b, const Member *m, const Place *place, Span at)
{
	Dim start[MAX_RANK], size[MAX_RANK];
	if (!b->entry) {
		complain(b, at, "state `%s` has no value here: it may be used inside a def", m->name);
		return NULL;
	}
	Node *whole = state_value(b, m->number);
	if (!whole || !place->n) return whole;
	lead(b, place, &whole->type, start, size);
	return emit_reshape(b, emit_slice(b, whole, start, size, at), m->type.rank, m->type.dim, at);
}

/* Writes value (of the part's shape) over the part of the whole state that begins at start. */
static bool write_part(Build *b, Member *m, Node *value, uint32_t rank, const Dim *start,
                       const Dim *size, Span at)
{
	Node *whole = state_value(b, m->number);
	Node *part = emit_reshape(b, value, rank, size, at);
	if (!whole || !part) return false;
	Origin *o = NEW(b->arena, Origin);
	o->span = at;
	m->write = o;
	bool all = true;
	for (uint32_t i = 0; i < rank; i++) all &= dim_is(start[i], 0) && size[i] == whole->type.dim[i];
	if (all) {
		state_set(b, m->number, part);
		return true;
	}
	Node *n = node_new(b->m, OP_UPDATE, 2, (Node *[]){whole, part}, at);
	attr_dims(b->m, n, "start", rank, start);
	for (uint32_t i = 0; i < rank; i++)
		if (dim_as_sym(start[i]))
			vec_push(b->arena, &b->stored, ((Stored){start[i], size[i], m->name, at}));
	n = emit(b, n);
	state_set(b, m->number, n);
	return n != NULL;
}

static Node *storable(Build *b, const Member *m, Item *value, Span at)
{
	Node *n = value->kind == ITEM_TENSOR ? value->node : as_node(b, value, m->type.dtype, at);
	if (!n) {
		if (value->kind != ITEM_BAD)
			complain(b, at, "state `%s` cannot hold %s", m->name, item_kind(b, value));
		return NULL;
	}
	DType want = m->type.dtype, have = n->type.dtype;
	bool floats = dtype_is_float(want) && dtype_is_float(have),
		 ints = dtype_is_integer(want) && dtype_is_integer(have);
	if (want == have || floats || ints) return emit_cast(b, n, want, at);
	Diag *d = complain(b, at, "state `%s` holds %s, this is %s", m->name, dtype_name(want),
	                   type_text(b->arena, &n->type));
	diag_note(b->d, d, m->decl->op_span, "%s is declared here", m->name);
	return NULL;
}

static bool shape_fits(Build *b, const Member *m, const Node *n, uint32_t rank, const Dim *dims,
                       Span at)
{
	bool fits = n->type.rank <= rank;
	for (uint32_t i = 0; fits && i < n->type.rank; i++) {
		Dim have = n->type.dim[n->type.rank - 1 - i];
		fits = dim_is(have, 1) || dims_equal(b, have, dims[rank - 1 - i]);
	}
	if (fits) return true;
	Type want = type_tensor(m->type.dtype, rank, dims);
	Diag *d = complain(b, at, "%s cannot be stored in a part of `%s` of shape %s",
	                   type_text(b->arena, &n->type), m->name, type_text(b->arena, &want));
	diag_note(b->d, d, m->decl->op_span, "%s is declared here as %s", m->name,
	          type_with(b, m->decl->a));
	for (uint32_t i = 0; n->type.rank == rank && i < rank; i++) {
		Dim more = dim_sub(b->m->dims, dims[i], n->type.dim[i]);
		int64_t by;
		if (dims_equal(b, n->type.dim[i], dims[i]) || !dim_is_const(more, &by)) continue;
		diag_help(
			b->d, d,
			"axis %u of the part is %lld too %s: a slice a:b holds b - a rows, b not among them", i,
			(long long)(by < 0 ? -by : by), by < 0 ? "short" : "long");
	}
	return false;
}

bool state_store(Build *b, Member *m, const Place *place, Item value, Span at)
{
	Dim start[MAX_RANK], size[MAX_RANK];
	if (value.kind == ITEM_BAD) {
		m->write = NEW(b->arena, Origin);
		return false;
	}
	Node *n = storable(b, m, &value, at), *whole = n && b->entry ? state_value(b, m->number) : NULL;
	if (!whole || !shape_fits(b, m, n, m->type.rank, m->type.dim, at)) return false;
	n = emit_broadcast(b, n, m->type.rank, m->type.dim, at);
	lead(b, place, &whole->type, start, size);
	return n && write_part(b, m, n, whole->type.rank, start, size, at);
}

/* --- parts -------------------------------------------------------------------------------------------- */

/* SUB_CUT and SUB_PICK: a slice and an element whose place differs from row to row. */
typedef enum SubKind { SUB_SLICE, SUB_ONE, SUB_NEW, SUB_GATHER, SUB_CUT, SUB_PICK } SubKind;
typedef struct Sub {
	SubKind kind;
	Dim start, size;
	int64_t step; /* SLICE: from one element to the next; 0: 1 */
	Node *index;  /* GATHER; CUT and PICK: an i32 a row */
	Node *length; /* CUT: elements a row */
	Dim limit;    /* CUT: no row ends behind it */
	Span span;
} Sub;
typedef struct Subs {
	Sub at[2 * MAX_RANK];
	uint32_t n;
} Subs;

/* A negative index counts from the end: of each row, where they differ. */
static bool from_end(Build *b, Dim *i, Dim size, Span at)
{
	int64_t v;
	if (!dim_is_const(*i, &v) || v >= 0) return true;
	Item sum = ragged_find(b, size) ? ragged_arithmetic(b, '+', size, *i, at)
	                                : item_dim(dim_add(b->m->dims, size, *i));
	if (sum.kind != ITEM_BAD) *i = as_dim(b, &sum);
	return sum.kind != ITEM_BAD;
}

static Diag *outside(Build *b, const Ast *sub, uint32_t axis, const Type *t)
{
	Diag *m =
		complain(b, sub->span, "%s lies outside axis %u of %s, which has %s", text_of(b, sub->span),
	             axis, type_text(b->arena, t), dim_text(b->arena, t->dim[axis]));
	note_range(b, m, t->dim[axis]);
	return m;
}

static Node *rows_of(Build *b, Dim d, Span at)
{
	const Ragged *r = ragged_find(b, d);
	if (r) return r->rows;
	Item number = item_dim(d);
	return as_node(b, &number, DT_I32, at);
}

/* Rows of d as one i32 a row of `like`. */
static Node *each_row(Build *b, Dim d, const Ragged *like, Span at)
{
	Node *n = rows_of(b, d, at);
	return n && !n->type.rank ? emit_broadcast(b, n, 1, &like->batch, at) : n;
}

static const char *axis_text(Build *b, const Type *t, uint32_t axis)
{
	return arena_printf(b->arena, "axis %u of %s", axis, type_text(b->arena, t));
}

/* A slice with a start, an end or an axis that is ragged. */
static bool ragged_sub(Build *b, const Ast *e, const Type *t, uint32_t axis, Dim lo, Dim hi,
                       Sub *out)
{
	DimPool *p = b->m->dims;
	Dim size = t->dim[axis];
	const Ragged *whole = ragged_find(b, size), *first = ragged_find(b, lo),
				 *last = ragged_find(b, hi),
				 *any = first  ? first
	                    : last ? last
	                           : whole;
	if (dim_is(lo, 0) && hi == size) {
		*out = (Sub){SUB_SLICE, lo, size, 0, NULL, NULL, NULL, e->span};
		return true;
	}
	if (last && !whole &&
	    !(hi = ragged_limit(
			  b, hi, size,
			  arena_printf(b->arena, "`%s` ends at {index} in a row, behind the {limit-1} of %s",
	                       text_of(b, e->span), axis_text(b, t, axis)),
			  e->span)))
		return false;
	if (last && !whole) last = ragged_find(b, hi);
	if (whole && hi != size && last != whole) {
		complain(b, e->span, "the end of this slice may lie behind the end of a row of %s",
		         type_text(b->arena, t));
		return false;
	}
	Item length = ragged_arithmetic(b, '-', hi, lo, e->span);
	Dim n;
	if (length.kind == ITEM_BAD || !need_dim(b, &length, e->span, "a slice", &n)) return false;
	if (ragged_find(b, n) && !first && !dim_is(lo, 0)) { /* no row ends before the start */
		Node *rows = ragged_checked(
			b, ragged_find(b, n)->rows, dim_const(p, 0), n,
			arena_printf(
				b->arena,
				"`%s` begins behind the end of a row, whose length less the start is {index}",
				text_of(b, e->span)),
			e->span);
		if (!ragged_add(b, ragged_find(b, n)->key, n, any->batch, rows)) return false;
	}
	Node *start = each_row(b, lo, any, e->span),
		 *rows = ragged_find(b, n) ? ragged_find(b, n)->rows : each_row(b, n, any, e->span);
	*out = (Sub){SUB_CUT, first ? NULL : lo, n, 0, start, rows, hi, e->span};
	return start && rows;
}

/* One element of each row. */
static bool ragged_one(Build *b, const Ast *e, const Type *t, uint32_t axis, Dim d, Sub *out)
{
	DimPool *p = b->m->dims;
	Dim size = t->dim[axis];
	const Ragged *whole = ragged_find(b, size), *which = ragged_find(b, d),
				 *any = whole ? whole : which;
	for (const Loop *l = b->loop; l && whole; l = l->up)
		if (l->rows_of == size && dim_as_sym(d) == l->var) { /* index_tensor ends the rows */
			*out = (Sub){SUB_ONE, d, dim_const(p, 1), 0, NULL, NULL, NULL, e->span};
			return true;
		}
	Node *rows = each_row(b, d, any, e->span);
	bool here = false;
	const char *check = arena_printf(b->arena, "element {index} of a row, `%s`, lies outside of %s",
	                                 text_of(b, e->span), axis_text(b, t, axis));
	for (uint32_t i = 0; i < t->rank; i++) here |= i != axis && t->dim[i] == any->batch;
	if (!whole && !here) { /* one row of the table for each row of the batch */
		*out = (Sub){SUB_GATHER, NULL, NULL, 0, rows, NULL, NULL, e->span};
		return rows != NULL;
	}
	if (whole && which &&
	    dim_is_const(dim_sub(p, whole->key, which->key), NULL)) { /* from the end */
		rows = ragged_checked(b, rows, dim_const(p, 0), size, check, e->span);
	} else if (whole) {
		Node *behind = emit_binary(b, OP_SUB, whole->rows, rows, e->span);
		behind = ragged_checked(b, behind, dim_const(p, 1), size,
		                        arena_printf(b->arena, "element `%s` lies behind the end of a row",
		                                     text_of(b, e->span)),
		                        e->span);
		rows = emit_binary(b, OP_SUB, whole->rows, behind, e->span);
	} else {
		rows = ragged_checked(b, rows, dim_const(p, 0), dim_addc(p, size, -1), check, e->span);
	}
	*out = (Sub){SUB_PICK, NULL, NULL, 0, rows, NULL, NULL, e->span};
	return rows != NULL;
}

/* c of a:b:c; 1 when it is left out. */
static bool slice_step(Build *b, const Ast *e, int64_t *step)
{
	*step = 1;
	if (!e->c) return true;
	Item i = eval(b, e->c);
	if (!need_int(b, &i, e->c->span, "the step of a slice", step)) return false;
	if (*step >= 1) return true;
	Diag *m = complain(b, e->c->span, "the step of a slice is at least 1, this is %lld",
	                   (long long)*step);
	if (*step == -1) diag_help(b->d, m, "the opposite order is  flip(x, axis=..)");
	return false;
}

static bool slice_sub(Build *b, const Ast *e, const Type *t, uint32_t axis, Sub *out)
{
	DimPool *p = b->m->dims;
	Dim size = t->dim[axis], lo = dim_const(p, 0), hi = size;
	int64_t step;
	if (!slice_step(b, e, &step)) return false;
	if (e->a) {
		Item i = eval(b, e->a);
		if (!need_dim(b, &i, e->a->span, "the start of a slice", &lo)) return false;
		if (!from_end(b, &lo, size, e->a->span)) return false;
	}
	if (e->b) {
		Item i = eval(b, e->b);
		if (!need_dim(b, &i, e->b->span, "the end of a slice", &hi)) return false;
		if (!from_end(b, &hi, size, e->b->span)) return false;
	}
	if (ragged_find(b, lo) || ragged_find(b, hi) || ragged_find(b, size)) {
		if (step == 1) return ragged_sub(b, e, t, axis, lo, hi, out);
		complain(b, e->c->span, "a slice of rows of different lengths has no step");
		return false;
	}
	if (!assume_le(b, dim_const(p, 0), lo, e->span) || !assume_le(b, hi, size, e->span)) {
		outside(b, e, axis, t);
		return false;
	}
	if (!assume_le(b, lo, hi, e->span)) {
		complain(b, e->span, "the slice %s is empty: it runs from %s to %s", text_of(b, e->span),
		         dim_text(b->arena, lo), dim_text(b->arena, hi));
		return false;
	}
	Dim n = dim_sub(p, hi, lo);
	if (step > 1) n = dim_floordiv(p, dim_addc(p, n, step - 1), dim_const(p, step));
	*out = (Sub){SUB_SLICE, lo, n, step, NULL, NULL, NULL, e->span};
	return true;
}

static bool tensor_sub(Build *b, const Ast *e, const Item *i, Sub *out)
{
	Node *n = need_tensor(b, i, e->span, "an index");
	if (!n) return false;
	if (n->type.dtype == DT_I64) n = emit_cast(b, n, DT_I32, e->span);
	if (n && (n->type.dtype == DT_I8 || n->type.dtype == DT_U8))
		n = emit_cast(b, n, DT_I32, e->span);
	if (!n) return false;
	if (n->type.dtype != DT_I32) {
		Diag *m = complain(b, e->span, "an index must be an integer tensor, this is %s",
		                   type_text(b->arena, &n->type));
		note_origin(b, m, i, NULL);
		diag_help(
			b->d, m, "%s",
			n->type.dtype == DT_BOOL
				? "no shape depends on data: where(c, a, b) chooses elements, topk takes a bound"
				: "positions are integers:  i32(x)");
		return false;
	}
	n = ragged_fill_all(b, n, e->span);
	*out = (Sub){SUB_GATHER, NULL, NULL, 0, n, NULL, NULL, e->span};
	return true;
}

static bool one_sub(Build *b, const Ast *e, const Type *t, uint32_t axis, Sub *out)
{
	DimPool *p = b->m->dims;
	if (e->kind == AST_SLICE) return slice_sub(b, e, t, axis, out);
	Item i = eval(b, e);
	if (i.kind == ITEM_BAD) return false;
	Dim d = as_dim(b, &i);
	if (!d) return tensor_sub(b, e, &i, out);
	if (!from_end(b, &d, t->dim[axis], e->span)) return false;
	if (ragged_find(b, d) || ragged_find(b, t->dim[axis])) return ragged_one(b, e, t, axis, d, out);
	if (!assume_le(b, dim_const(p, 0), d, e->span) ||
	    !assume_le(b, dim_addc(p, d, 1), t->dim[axis], e->span)) {
		outside(b, e, axis, t);
		return false;
	}
	*out = (Sub){SUB_ONE, d, dim_const(p, 1), 0, NULL, NULL, NULL, e->span};
	return true;
}

static bool is_none(const Ast *e)
{
	return e->kind == AST_NONE;
}

static bool parse_subs(Build *b, const Ast *e, const Type *t, Subs *out)
{
	uint32_t named = 0, axis = 0;
	bool open = false;
	out->n = 0;
	for (size_t i = 0; i < e->list.n; i++) {
		if (e->list.at[i]->kind == AST_ELLIPSIS)
			open = true;
		else
			named += !is_none(e->list.at[i]);
	}
	if (named > t->rank) {
		complain(b, e->span, "%u indices for %s, which has %u dims", named, type_text(b->arena, t),
		         t->rank);
		return false;
	}
	if (e->list.n + t->rank > COUNT(out->at)) {
		complain(b, e->span, "too many indices");
		return false;
	}
	for (size_t i = 0; i <= e->list.n; i++) {
		const Ast *sub = i < e->list.n ? e->list.at[i] : NULL;
		uint32_t whole = 0;
		if (!sub)
			whole = open ? 0 : t->rank - axis;
		else if (sub->kind == AST_ELLIPSIS)
			whole = t->rank - named;
		for (uint32_t k = 0; k < whole; k++, axis++)
			out->at[out->n++] = (Sub){
				SUB_SLICE, dim_const(b->m->dims, 0), t->dim[axis], 0, NULL, NULL, NULL, e->span};
		if (!sub || sub->kind == AST_ELLIPSIS) continue;
		if (is_none(sub)) {
			out->at[out->n++] =
				(Sub){SUB_NEW, NULL, dim_const(b->m->dims, 1), 0, NULL, NULL, NULL, sub->span};
			continue;
		}
		if (!one_sub(b, sub, t, axis, &out->at[out->n])) return false;
		axis++;
		out->n++;
	}
	return true;
}

/* x[:, t] in a loop over t: the axis is moved to the front before the loop, once, so that each turn
 * reads one piece. True when it was: *x, start and size are those of the moved tensor. */
static bool turn_axis_first(Build *b, Node **x, const Subs *subs, Dim *start, Dim *size,
                            int64_t *step, Span at)
{
	Loop *l = b->loop;
	uint32_t axis = 0, found = 0, rank = (*x)->type.rank;
	int64_t perm[MAX_RANK];
	if (!l || (*x)->owner == b->graph) return false;
	for (uint32_t i = 0; i < subs->n; i++) {
		const Sub *s = &subs->at[i];
		if (s->kind == SUB_NEW) continue;
		if (s->kind == SUB_ONE && dim_mentions(s->start, l->var)) {
			if (found) return false;
			found = axis;
		}
		axis++;
	}
	if (!found) return false; /* none, or the first already */
	perm[0] = found;
	for (uint32_t i = 1; i < rank; i++) perm[i] = i <= found ? i - 1 : i;
	b->graph = l->outer;
	b->loop = l->up;
	Node *moved = emit_transpose(b, *x, perm, at);
	b->graph = l->graph;
	b->loop = l;
	if (!moved) return false;
	Dim first = start[found];
	memmove(start + 1, start, found * sizeof *start);
	memmove(size + 1, size, found * sizeof *size);
	memmove(step + 1, step, found * sizeof *step);
	step[0] = 1;
	start[0] = first;
	size[0] = dim_const(b->m->dims, 1);
	*x = moved;
	return true;
}

/* The axis whose place differs from row to row, cut or picked. */
static Node *by_rows(Build *b, Node *n, const Sub *s, uint32_t axis)
{
	uint32_t batch = 0;
	while (batch < n->type.rank && (batch == axis || n->type.dim[batch] != s->index->type.dim[0]))
		batch++;
	if (batch == n->type.rank) {
		complain(b, s->span, "%s has no axis for the rows of this index, which are %s",
		         type_text(b->arena, &n->type), dim_text(b->arena, s->index->type.dim[0]));
		return NULL;
	}
	return s->kind == SUB_PICK ? ragged_pick(b, n, axis, batch, s->index, s->span)
	                           : ragged_cut(b, n, axis, batch, s->index, s->size, s->span);
}

/* x[i, j] by integer tensors: their axes are seen as one, and the indices, each within its axis, as
 * one index. They broadcast. */
static bool one_index(Build *b, Node **x, uint32_t axis, uint32_t n, Node **index, const Span *of,
                      Span table, Span at)
{
	const Type *t = &(*x)->type;
	Dim dims[MAX_RANK], all = dim_const(b->m->dims, 1), zero = dim_const(b->m->dims, 0);
	uint32_t rank = 0;
	Node *sum = NULL;
	for (uint32_t i = 0; i < n; i++) {
		Dim size = t->dim[axis + i];
		Node *own = ragged_checked(b, index[i], zero, dim_addc(b->m->dims, size, -1),
		                           failed_index(b, index[i], of[i], table, axis + i), at);
		all = dim_mul(b->m->dims, all, size);
		sum = sum ? emit_binary(b, OP_MUL, sum, emit_dim(b, size, at), at) : own;
		if (i) sum = emit_binary(b, OP_ADD, sum, own, at);
		if (!sum) return false;
	}
	for (uint32_t i = 0; i < t->rank; i++) {
		if (i == axis) dims[rank++] = all;
		if (i < axis || i >= axis + n) dims[rank++] = t->dim[i];
	}
	*x = emit_reshape(b, *x, rank, dims, at);
	index[0] = sum;
	return *x != NULL;
}

static Item index_tensor(Build *b, const Ast *e, Node *whole, const Place *place, const Type *own)
{
	Subs subs;
	Dim start[MAX_RANK], size[MAX_RANK], dims[2 * MAX_RANK];
	int64_t step[MAX_RANK];
	uint32_t axis = 0, rank = 0, gather = UINT32_MAX;
	Node *index[2 * MAX_RANK];
	Span of[2 * MAX_RANK];
	uint32_t n_index = 0;
	const Sub *cut = NULL;
	uint32_t cut_axis = 0;
	Dim turn = NULL, turns = NULL; /* of a loop over rows */
	bool inside = b->ragged_inside;
	if (!parse_subs(b, e, own, &subs)) return bad();
	if (place) {
		lead(b, place, &whole->type, start, size);
		axis = place->n;
	}
	for (uint32_t i = 0; i < axis; i++) step[i] = 1;
	for (uint32_t i = 0; i < subs.n; i++) {
		const Sub *s = &subs.at[i];
		bool all =
			s->kind == SUB_GATHER || s->kind == SUB_PICK || (s->kind == SUB_CUT && !s->start);
		if (s->kind != SUB_NEW) {
			start[axis] = all ? dim_const(b->m->dims, 0) : s->start;
			size[axis] = all ? whole->type.dim[axis] : s->size;
			step[axis] = s->step > 1 ? s->step : 1;
			if (s->kind == SUB_ONE && ragged_find(b, whole->type.dim[axis])) {
				turn = s->start;
				turns = whole->type.dim[axis];
			}
			axis++;
		}
		if (s->kind == SUB_PICK || (s->kind == SUB_CUT && !s->start)) {
			if (cut) {
				complain(b, s->span, "one index of a tensor may differ from row to row");
				return bad();
			}
			cut = s;
			cut_axis = rank;
		}
		if (s->kind == SUB_GATHER) {
			if (n_index && gather + n_index != rank) {
				complain(b, s->span, "indices that are integer tensors stand side by side");
				return bad();
			}
			gather = n_index ? gather : rank;
			of[n_index] = s->span;
			index[n_index++] = s->index;
		}
		if (s->kind != SUB_ONE) dims[rank++] = s->kind == SUB_NEW ? s->size : size[axis - 1];
	}
	if (rank > MAX_RANK) {
		complain(b, e->span, "a tensor has at most %d dims", MAX_RANK);
		return bad();
	}
	if (!place) turn_axis_first(b, &whole, &subs, start, size, step, e->span);
	b->ragged_inside |= turn != NULL;
	for (uint32_t i = 0; i < subs.n; i++) b->ragged_inside |= subs.at[i].kind == SUB_CUT;
	Node *n = emit_strided_slice(b, whole, start, size, step, e->span);
	n = emit_reshape(b, n, rank, dims, e->span);
	b->ragged_inside = inside;
	if (turn) n = ragged_turn(b, n, NULL, turns, turn, e->span);
	if (cut && n) n = by_rows(b, n, cut, cut_axis);
	if (cut && n_index && n) {
		complain(b, e->span, "take the rows' own parts first, then gather from them");
		return bad();
	}
	if (!n_index || !n) return item_node(n);
	if (n_index > 1 && !one_index(b, &n, gather, n_index, index, of, e->a->span, e->span))
		return bad();
	Node *g = node_new(b->m, OP_GATHER, 2, (Node *[]){n, index[0]}, e->span);
	attr_int(g, "axis", gather);
	if (n_index == 1) attr_str(g, "check", failed_index(b, index[0], of[0], e->a->span, gather));
	return item_node(emit(b, g));
}

/* Stores each row of value at its place in the state. The part that may change is read, and written
 * whole. */
static bool put_rows(Build *b, Member *m, Node *whole, Node *value, const Sub *s, uint32_t axis,
                     uint32_t value_axis, Dim *start, Dim *size)
{
	DimPool *p = b->m->dims;
	Dim dims[MAX_RANK], end = whole->type.dim[axis];
	uint32_t batch = 0, rank = value->type.rank;
	while (batch < rank && (batch == value_axis || value->type.dim[batch] != s->index->type.dim[0]))
		batch++;
	if (batch == rank) {
		complain(b, s->span, "%s has no axis for the rows of this index, which are %s",
		         type_text(b->arena, &value->type), dim_text(b->arena, s->index->type.dim[0]));
		return false;
	}
	start[axis] = dim_const(p, 0);
	size[axis] = s->limit ? s->limit : end;
	memcpy(dims, value->type.dim, rank * sizeof *dims);
	dims[value_axis] = size[axis];
	bool inside = b->ragged_inside;
	b->ragged_inside = true;
	Node *old = emit_reshape(b, emit_slice(b, whole, start, size, s->span), rank, dims, s->span);
	Node *now = ragged_put(b, old, value, value_axis, batch, s->index, s->length, s->span);
	now = emit_cast(b, now, m->type.dtype, s->span);
	bool done = now && write_part(b, m, now, whole->type.rank, start, size, s->span);
	b->ragged_inside = inside;
	return done;
}

bool store_index(Build *b, const Ast *target, Member *m, Item value)
{
	Subs subs;
	Dim start[MAX_RANK], size[MAX_RANK], dims[2 * MAX_RANK];
	const Place *place = b->frame->place;
	uint32_t axis = place ? place->n : 0, rank = 0, cut_axis = 0, value_axis = 0;
	const Sub *cut = NULL;
	m->write = m->write ? m->write : NEW(b->arena, Origin);
	if (!place || !b->entry || value.kind == ITEM_BAD || m->absent) return false;
	Node *whole = state_value(b, m->number);
	if (!whole || !parse_subs(b, target, &m->type, &subs)) return false;
	lead(b, place, &whole->type, start, size);
	for (uint32_t i = 0; i < subs.n; i++) {
		const Sub *s = &subs.at[i];
		if (s->kind == SUB_CUT) {
			cut = s;
			cut_axis = axis;
			value_axis = rank;
			start[axis] = s->start ? s->start : dim_const(b->m->dims, 0);
			size[axis++] = dims[rank++] = s->size;
			continue;
		}
		if (s->kind != SUB_SLICE && s->kind != SUB_ONE) {
			complain(b, s->span, "a part that is stored to is named by integers and slices");
			return false;
		}
		if (s->step > 1) {
			complain(b, s->span, "a part that is stored to has no step");
			return false;
		}
		start[axis] = s->start;
		size[axis++] = s->size;
		if (s->kind == SUB_SLICE) dims[rank++] = s->size;
	}
	Node *n = storable(b, m, &value, target->span);
	if (!n || !shape_fits(b, m, n, rank, dims, target->span)) return false;
	n = emit_broadcast(b, n, rank, dims, target->span);
	if (n && cut) return put_rows(b, m, whole, n, cut, cut_axis, value_axis, start, size);
	return n && write_part(b, m, n, whole->type.rank, start, size, target->span);
}

/* --- x[..] as an expression ------------------------------------------------------------------------------ */

static Item index_list(Build *b, const Ast *e, const Item *x)
{
	int64_t n = (int64_t)x->list->n, lo = 0, hi = n;
	if (e->list.n != 1) {
		complain(b, e->span, "a list takes one index");
		return bad();
	}
	const Ast *sub = e->list.at[0];
	if (sub->kind != AST_SLICE) {
		Item i = eval(b, sub);
		if (!need_int(b, &i, sub->span, "the index of a list", &lo)) return bad();
		if (lo < 0) lo += n;
		if (lo >= 0 && lo < n) return x->list->at[lo];
		complain(b, sub->span, "the list has %lld elements, there is no element %s", (long long)n,
		         text_of(b, sub->span));
		return bad();
	}
	if (sub->a) {
		Item i = eval(b, sub->a);
		if (!need_int(b, &i, sub->a->span, "the start of a slice", &lo)) return bad();
	}
	if (sub->b) {
		Item i = eval(b, sub->b);
		if (!need_int(b, &i, sub->b->span, "the end of a slice", &hi)) return bad();
	}
	if (lo < 0) lo += n;
	if (hi < 0) hi += n;
	if (lo < 0 || hi > n || lo > hi) {
		complain(b, sub->span, "%s lies outside a list of %lld elements", text_of(b, sub->span),
		         (long long)n);
		return bad();
	}
	ItemList l = {0};
	int64_t step;
	if (!slice_step(b, sub, &step) || !spend(b, (size_t)(hi - lo), e->span)) return bad();
	for (int64_t i = lo; i < hi; i += step <= hi - i ? step : hi - i)
		vec_push(b->arena, &l, x->list->at[i]);
	return item_list(b, &l);
}

Item eval_index(Build *b, const Ast *e)
{
	/* A part of a state is read from the whole at once. */
	if (e->a->kind == AST_NAME && b->frame->place && b->entry) {
		Binding *k = scope_find(b->frame->scope, e->a->name);
		if (k && k->item.kind == ITEM_MEMBER && k->item.member->kind == MEMBER_STATE &&
		    !k->item.member->absent) {
			Node *whole = state_value(b, k->item.member->number);
			return whole ? index_tensor(b, e, whole, b->frame->place, &k->item.member->type)
			             : bad();
		}
	}
	/* A loop over an array of weights uses their stack, as one over layers does. */
	Binding *k = e->a->kind == AST_NAME ? scope_find(b->frame->scope, e->a->name) : NULL;
	bool weights = k && k->item.kind == ITEM_MEMBER && k->item.member->kind == MEMBER_WEIGHT &&
	               k->item.member->array;
	if (weights && b->loop && e->list.n && e->list.at[0]->kind != AST_SLICE) {
		Item i = eval(b, e->list.at[0]);
		if (i.kind == ITEM_DIM) b->loop->uses_stack = true;
	}
	if (weights && k->item.member->n_keys > 1 && !k->item.member->absent && b->frame->place &&
	    b->entry && !k->item.member->scale) {
		Node *whole = weight_value(b, k->item.member, e->span);
		return whole ? index_tensor(b, e, whole, b->frame->place, &k->item.member->type) : bad();
	}
	Item x = eval(b, e->a);
	switch (x.kind) {
	case ITEM_BAD: return bad();
	case ITEM_LIST: return index_list(b, e, &x);
	case ITEM_ARRAY: {
		if (e->list.n != 1 || e->list.at[0]->kind == AST_SLICE ||
		    e->list.at[0]->kind == AST_ELLIPSIS) {
			complain(b, e->span, "an array of layers takes one integer index");
			return bad();
		}
		Item i = eval(b, e->list.at[0]);
		return array_index(b, &x, &i, e->list.at[0]->span);
	}
	case ITEM_DIM:
		if (!ragged_find(b, x.dim)) goto none;
		x = item_node(ragged_find(b, x.dim)->rows);
		/* fall through */
	case ITEM_TENSOR:
	case ITEM_CONST: {
		Node *n = need_tensor(b, &x, e->a->span, "what is indexed");
		return n ? index_tensor(b, e, n, NULL, &n->type) : bad();
	}
	default:
	none: {
		Diag *m = complain(b, e->span, "%s has no elements", item_kind(b, &x));
		note_origin(b, m, &x, NULL);
		return bad();
	}
	}
}
