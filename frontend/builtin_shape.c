/* Built-in functions that move elements or make tensors. */
#include "frontend/builtin.h"

#include <math.h>
#include <string.h>

/* [.., S//2, 2, ..]: a dim that the new shape divides, though not every size of it can be. */
static void advise_parts(Build *b, Diag *m, const Call *c)
{
	const Ast *l = c->in[1].ast;
	for (size_t i = 0; l && i < l->list.n; i++) {
		const Ast *e = l->list.at[i];
		if (e->kind != AST_BINARY || e->op != AST_OP('/', '/')) continue;
		Item whole = eval(b, e->a), by = eval(b, e->b);
		if (whole.kind != ITEM_DIM || by.kind != ITEM_INT) continue;
		advise_divisible(b, m, whole.dim, as_dim(b, &by));
		return;
	}
}

Item builtin_reshape(Call *c)
{
	Build *b = c->b;
	Dim dims[MAX_RANK], known = dim_const(b->m->dims, 1);
	uint32_t n, open = UINT32_MAX;
	Node *x = call_tensor(c, 0);
	if (!x || !call_dims(c, 1, &n, dims)) return bad();
	for (uint32_t i = 0; i < n; i++) {
		if (!dim_is(dims[i], -1)) {
			known = dim_mul(b->m->dims, known, dims[i]);
		} else if (open != UINT32_MAX) {
			complain(b, c->in[1].span, "reshape can find one dim, not two");
			return bad();
		} else {
			open = i;
		}
	}
	Dim have = type_count(b->m->dims, &x->type);
	if (open != UINT32_MAX) {
		dims[open] = dim_is(known, 0) ? known : dim_floordiv(b->m->dims, have, known);
		known = dim_mul(b->m->dims, known, dims[open]);
	}
	if (!dims_equal(b, have, known)) {
		Diag *m = complain(b, c->at, "reshape of %s: it has %s elements, the new shape takes %s",
		                   type_text(b->arena, &x->type), dim_text(b->arena, have),
		                   dim_text(b->arena, known));
		note_origin(b, m, &c->in[0].item, NULL);
		advise_parts(b, m, c);
		return bad();
	}
	warn_mixed(b, &x->type, n, dims, c->at);
	return item_node(emit_reshape(b, x, n, dims, c->at));
}

Item builtin_flatten(Call *c)
{
	Build *b = c->b;
	Node *x = call_tensor(c, 0);
	int64_t from = 0, to;
	if (!x) return bad();
	uint32_t rank = x->type.rank, n = 0;
	to = (int64_t)rank - 1;
	if (c->given[1] && !call_axis(c, 1, rank, &from)) return bad();
	if (c->given[2] && !call_axis(c, 2, rank, &to)) return bad();
	if (!rank || from > to) {
		complain(b, c->at, "flatten of %s from axis %lld to %lld", type_text(b->arena, &x->type),
		         (long long)from, (long long)to);
		return bad();
	}
	Dim dims[MAX_RANK], product = dim_const(b->m->dims, 1);
	for (uint32_t i = 0; i < rank; i++) {
		bool inside = i >= from && i <= to;
		if (inside) product = dim_mul(b->m->dims, product, x->type.dim[i]);
		if (!inside) dims[n++] = x->type.dim[i];
		if (i == to) dims[n++] = product;
	}
	return item_node(emit_reshape(b, x, n, dims, c->at));
}

Item builtin_transpose(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t perm[MAX_RANK], i, k;
	if (!x || !call_axis(c, 1, x->type.rank, &i) || !call_axis(c, 2, x->type.rank, &k))
		return bad();
	for (uint32_t a = 0; a < x->type.rank; a++) perm[a] = a;
	perm[i] = k;
	perm[k] = i;
	return item_node(emit_transpose(c->b, x, perm, c->at));
}

Item builtin_permute(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t perm[MAX_RANK];
	uint32_t n;
	if (!x || !call_axes(c, 1, x->type.rank, &n, perm)) return bad();
	if (n != x->type.rank) {
		Diag *m = complain(c->b, c->in[1].span, "permute of %s names %u axes",
		                   type_text(c->b->arena, &x->type), n);
		note_origin(c->b, m, &c->in[0].item, NULL);
		diag_help(c->b->d, m, "each of its %u axes is named once", x->type.rank);
		return bad();
	}
	return item_node(emit_transpose(c->b, x, perm, c->at));
}

Item builtin_expand(Call *c)
{
	Dim dims[MAX_RANK];
	uint32_t n;
	Node *x = call_tensor(c, 0);
	if (!x || !call_dims(c, 1, &n, dims)) return bad();
	bool fits = n >= x->type.rank;
	for (uint32_t i = 0; fits && i < x->type.rank; i++) {
		Dim have = x->type.dim[x->type.rank - 1 - i];
		if (dim_is(dims[n - 1 - i], -1)) dims[n - 1 - i] = have;
		fits = dim_is(have, 1) || dims_equal(c->b, have, dims[n - 1 - i]);
	}
	if (!fits) {
		Type want = type_tensor(x->type.dtype, n, dims);
		complain(c->b, c->at, "expand of %s to %s: only dims of 1 stretch",
		         type_text(c->b->arena, &x->type), type_text(c->b->arena, &want));
		return bad();
	}
	return item_node(emit_broadcast(c->b, x, n, dims, c->at));
}

Item builtin_squeeze(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t axis;
	Dim dims[MAX_RANK];
	uint32_t n = 0;
	if (!x || !call_axis(c, 1, x->type.rank, &axis)) return bad();
	if (!dim_is(x->type.dim[axis], 1)) {
		Diag *m =
			complain(c->b, c->at, "squeeze of axis %lld of %s: it is %s, not 1", (long long)axis,
		             type_text(c->b->arena, &x->type), dim_text(c->b->arena, x->type.dim[axis]));
		note_origin(c->b, m, &c->in[0].item, NULL);
		diag_help(c->b->d, m,
		          "one element of an axis is  x[.., i], all of it joined  sum(x, axis=%lld)",
		          (long long)axis);
		return bad();
	}
	for (uint32_t i = 0; i < x->type.rank; i++)
		if (i != axis) dims[n++] = x->type.dim[i];
	return item_node(emit_reshape(c->b, x, n, dims, c->at));
}

Item builtin_unsqueeze(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t axis;
	Dim dims[MAX_RANK + 1];
	uint32_t n = 0;
	if (!x || !call_axis(c, 1, x->type.rank + 1, &axis)) return bad();
	if (x->type.rank == MAX_RANK) {
		complain(c->b, c->at, "a tensor has at most %d dims", MAX_RANK);
		return bad();
	}
	for (uint32_t i = 0; i <= x->type.rank; i++) {
		if (i == axis) dims[n++] = dim_const(c->b->m->dims, 1);
		if (i < x->type.rank) dims[n++] = x->type.dim[i];
	}
	return item_node(emit_reshape(c->b, x, n, dims, c->at));
}

/* The tensors of a list argument, of one type of element and one rank. */
static bool list_tensors(Call *c, Node ***out, uint32_t *n)
{
	Build *b = c->b;
	const Item *l = &c->in[0].item;
	if (l->kind != ITEM_LIST || !l->list->n) {
		if (l->kind != ITEM_BAD) {
			Diag *m = complain(b, c->in[0].span, "`%s` takes a list of tensors, not %s", c->f->name,
			                   item_kind(b, l));
			diag_help(b->d, m, "tensors are listed in brackets:  %s([x, y], axis=-1)", c->f->name);
		}
		return false;
	}
	*n = (uint32_t)l->list->n;
	*out = NEW_ARRAY(b->arena, Node *, *n);
	for (uint32_t i = 0; i < *n; i++) {
		Node *x = need_tensor(b, &l->list->at[i], c->in[0].span, "each element of the list");
		if (!x) return false;
		(*out)[i] = x;
		if (x->type.rank != (*out)[0]->type.rank || x->type.dtype != (*out)[0]->type.dtype) {
			Diag *m =
				complain(b, c->at, "`%s` of %s and %s", c->f->name,
			             type_text(b->arena, &(*out)[0]->type), type_text(b->arena, &x->type));
			note_origin(b, m, &l->list->at[i], NULL);
			return false;
		}
	}
	return true;
}

static bool same_beside(Call *c, Node **x, uint32_t n, int64_t axis)
{
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = 0; k < x[0]->type.rank; k++) {
			if (k == axis || dims_equal(c->b, x[0]->type.dim[k], x[i]->type.dim[k])) continue;
			Diag *m = complain(c->b, c->at, "`%s` of %s and %s: they differ in axis %u", c->f->name,
			                   type_text(c->b->arena, &x[0]->type),
			                   type_text(c->b->arena, &x[i]->type), k);
			if (axis >= 0)
				diag_help(c->b->d, m, "only the axis of joining may differ: it is axis=%lld here",
				          (long long)axis);
			return false;
		}
	return true;
}

Item builtin_concat(Call *c)
{
	Node **x;
	uint32_t n;
	int64_t axis;
	if (!list_tensors(c, &x, &n) || !call_axis(c, 1, x[0]->type.rank, &axis) ||
	    !same_beside(c, x, n, axis))
		return bad();
	return item_node(emit_concat(c->b, n, x, axis, c->at));
}

Item builtin_stack(Call *c)
{
	Node **x;
	uint32_t n, rank;
	int64_t axis = 0;
	if (!list_tensors(c, &x, &n)) return bad();
	rank = x[0]->type.rank;
	if (c->given[1] && !call_axis(c, 1, rank + 1, &axis)) return bad();
	if (rank == MAX_RANK) {
		complain(c->b, c->at, "a tensor has at most %d dims", MAX_RANK);
		return bad();
	}
	if (!same_beside(c, x, n, -1)) return bad();
	for (uint32_t i = 0; i < n; i++) {
		Dim dims[MAX_RANK];
		for (uint32_t k = 0, at = 0; k <= rank; k++)
			dims[k] = k == axis ? dim_const(c->b->m->dims, 1) : x[i]->type.dim[at++];
		x[i] = emit_reshape(c->b, x[i], rank + 1, dims, c->at);
		if (!x[i]) return bad();
	}
	return item_node(emit_concat(c->b, n, x, axis, c->at));
}

/* PyTorch's split is given the size of a part, this one their number. */
static void tell_parts(Build *b, Diag *of, Dim whole, int64_t size, int64_t axis)
{
	int64_t all;
	if (size > 0 && dim_is_const(whole, &all) && all % size == 0)
		diag_help(b->d, of, "parts of %lld elements each:  split(x, %lld, axis=%lld)",
		          (long long)size, (long long)(all / size), (long long)axis);
}

Item builtin_split(Call *c)
{
	Build *b = c->b;
	Dim start[MAX_RANK], size[MAX_RANK], part[64];
	Node *x = call_tensor(c, 0);
	int64_t axis, n = 0;
	const Item *parts = &c->in[1].item;
	if (!x || !call_axis(c, 2, x->type.rank, &axis)) return bad();
	Dim whole = x->type.dim[axis], sum = dim_const(b->m->dims, 0);
	if (parts->kind == ITEM_LIST) {
		n = (int64_t)parts->list->n;
	} else if (!need_int(b, parts, c->in[1].span, call_what(c, "parts"), &n)) {
		return bad();
	}
	if (n < 1 || n > (int64_t)COUNT(part)) {
		Diag *m = complain(b, c->in[1].span, "split into %lld parts: from 1 to %zu are possible",
		                   (long long)n, COUNT(part));
		tell_parts(b, m, whole, n, axis);
		return bad();
	}
	for (int64_t i = 0; i < n; i++) {
		if (parts->kind == ITEM_LIST) {
			if (!need_dim(b, &parts->list->at[i], c->in[1].span, "the size of a part", &part[i]))
				return bad();
		} else {
			part[i] = dim_floordiv(b->m->dims, whole, dim_const(b->m->dims, n));
		}
		sum = dim_add(b->m->dims, sum, part[i]);
	}
	if (!dims_equal(b, sum, whole)) {
		Diag *m = complain(b, c->at, "split of %s: axis %lld has %s, the parts take %s",
		                   type_text(b->arena, &x->type), (long long)axis,
		                   dim_text(b->arena, whole), dim_text(b->arena, sum));
		note_origin(b, m, &c->in[0].item, NULL);
		diag_help(b->d, m, "parts of different sizes are listed:  split(x, [a, b, ..], axis=%lld)",
		          (long long)axis);
		return bad();
	}
	ItemList l = {0};
	Dim at = dim_const(b->m->dims, 0);
	for (int64_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < x->type.rank; k++) {
			start[k] = k == axis ? at : dim_const(b->m->dims, 0);
			size[k] = k == axis ? part[i] : x->type.dim[k];
		}
		vec_push(b->arena, &l, item_node(emit_slice(b, x, start, size, c->at)));
		at = dim_add(b->m->dims, at, part[i]);
	}
	return item_list(b, &l);
}

static Node *iota(Build *b, Dim n, Span at)
{
	Node *i = node_new(b->m, OP_IOTA, 0, NULL, at);
	attr_dims(b->m, i, "dims", 1, &n);
	attr_int(i, "axis", 0);
	return emit(b, i);
}

static Node *gather_along(Build *b, Node *x, Node *index, int64_t axis, const char *check, Span at)
{
	if (!x || !index) return NULL;
	Node *n = node_new(b->m, OP_GATHER, 2, (Node *[]){x, index}, at);
	attr_int(n, "axis", axis);
	attr_str(n, "check", check);
	return emit(b, n);
}

Item builtin_gather(Call *c)
{
	Node *x = call_tensor(c, 0), *index = call_tensor(c, 1);
	int64_t axis;
	if (!x || !index || !call_axis(c, 2, x->type.rank, &axis)) return bad();
	index = ragged_fill_all(c->b, index, c->in[1].span);
	if (!index) return bad();
	if (index->type.dtype != DT_I32) {
		Diag *m = complain(c->b, c->in[1].span, "an index must be i32, this is %s",
		                   type_text(c->b->arena, &index->type));
		note_origin(c->b, m, &c->in[1].item, NULL);
		diag_help(c->b->d, m, "a cast is written  i32(%s)", text_of(c->b, c->in[1].span));
		return bad();
	}
	return item_node(gather_along(c->b, x, index, axis,
	                              failed_index(c->b, index, c->in[1].span, c->in[0].span, axis),
	                              c->at));
}

Item builtin_one_hot(Call *c)
{
	Build *b = c->b;
	Dim dims[MAX_RANK], n;
	Node *i = call_tensor(c, 0);
	if (!i || !need_dim(b, &c->in[1].item, c->in[1].span, call_what(c, "n"), &n)) return bad();
	if (i->type.dtype != DT_I32 || i->type.rank == MAX_RANK) {
		complain(b, c->in[0].span, "one_hot takes an i32 tensor, this is %s",
		         type_text(b->arena, &i->type));
		return bad();
	}
	for (uint32_t k = 0; k < i->type.rank; k++) dims[k] = i->type.dim[k];
	dims[i->type.rank] = dim_const(b->m->dims, 1);
	Node *wide = emit_reshape(b, i, i->type.rank + 1, dims, c->at);
	return item_node(
		emit_cast(b, emit_binary(b, OP_EQ, wide, iota(b, n, c->at), c->at), DT_F32, c->at));
}

/* A width that is known only when the model runs. */
static bool has_dim(const Item *pair)
{
	bool any = pair->kind == ITEM_DIM;
	for (size_t i = 0; pair->kind == ITEM_LIST && i < pair->list->n; i++)
		any |= pair->list->at[i].kind == ITEM_DIM;
	return any;
}

static bool dim_widths(Call *c, const Item *pair, Dim out[2])
{
	const Item *at[2] = {pair, pair};
	if (pair->kind == ITEM_LIST) {
		if (pair->list->n != 2) {
			complain(c->b, c->in[1].span, "the widths of an axis are (before, after)");
			return false;
		}
		at[0] = &pair->list->at[0];
		at[1] = &pair->list->at[1];
	}
	for (uint32_t k = 0; k < 2; k++) {
		if (!need_dim(c->b, at[k], c->in[1].span, "a width of pad", &out[k])) return false;
		if (ragged_find(c->b, out[k]) ||
		    !assume_le(c->b, dim_const(c->b->m->dims, 0), out[k], c->in[1].span)) {
			complain(c->b, c->in[1].span, "padding is never negative, and the same for all rows");
			return false;
		}
	}
	return true;
}

/* The axis with so many more elements before and behind it. */
static Node *widened(Call *c, Node *x, uint32_t axis, const Dim width[2], double value)
{
	Node *part[3];
	uint32_t n = 0;
	for (uint32_t k = 0; k < 2 && x; k++) {
		if (k == 1) part[n++] = x;
		Dim dims[MAX_RANK];
		memcpy(dims, x->type.dim, x->type.rank * sizeof *dims);
		dims[axis] = width[k];
		if (dim_is(width[k], 0)) continue;
		Node *one = emit_number(c->b, x->type.dtype, value, c->at);
		if (!(part[n++] = emit_broadcast(c->b, one, x->type.rank, dims, c->at))) return NULL;
	}
	return emit_concat(c->b, n, part, axis, c->at);
}

/* [(lo, hi), ..] for the last axes. */
Item builtin_pad(Call *c)
{
	Build *b = c->b;
	int64_t lo[MAX_RANK] = {0}, hi[MAX_RANK] = {0};
	Dim widths[MAX_RANK][2] = {{0}};
	double value;
	Node *x = call_tensor(c, 0);
	const Item *w = &c->in[1].item;
	const char *mode = pad_mode(c, 3);
	if (!x || !mode || !call_number(c, 2, 0, &value)) return bad();
	if (w->kind != ITEM_LIST || w->list->n > x->type.rank) {
		if (w->kind != ITEM_BAD)
			complain(
				b, c->in[1].span,
				"the widths of pad are a list of (before, after), one for each of the last axes");
		return bad();
	}
	for (size_t i = 0; i < w->list->n; i++) {
		int64_t pair[2];
		size_t axis = x->type.rank - w->list->n + i;
		if (has_dim(&w->list->at[i]) && strcmp(mode, "constant") == 0) {
			if (!dim_widths(c, &w->list->at[i], widths[axis])) return bad();
			continue;
		}
		if (!need_ints(b, &w->list->at[i], c->in[1].span, "a width of pad", 2, pair)) return bad();
		if (pair[0] < 0 || pair[1] < 0) {
			complain(b, c->in[1].span, "padding is never negative");
			return bad();
		}
		lo[axis] = pair[0];
		hi[axis] = pair[1];
	}
	if (strcmp(mode, "constant") != 0) {
		for (uint32_t i = 0, rank = x->type.rank; i < rank && x; i++)
			x = pad_axis(c, x, i, lo[i], hi[i], mode);
		return item_node(x);
	}
	Node *n = node_new(b->m, OP_PAD, 1, &x, c->at);
	attr_ints(b->m, n, "lo", x->type.rank, lo);
	attr_ints(b->m, n, "hi", x->type.rank, hi);
	attr_float(n, "value", value);
	n = emit(b, n);
	for (uint32_t i = 0, rank = x->type.rank; i < rank && n; i++)
		if (widths[i][0]) n = widened(c, n, i, widths[i], value);
	return item_node(n);
}

/* --- making tensors ------------------------------------------------------------------------------------ */

/* Of a ragged dim: one row for each of its batch. */
static Item ragged_range(Call *c, Dim lo, Dim hi)
{
	Build *b = c->b;
	Item length = ragged_arithmetic(b, '-', hi, lo, c->at);
	Dim n, batch;
	if (length.kind == ITEM_BAD || !need_dim(b, &length, c->at, "the length", &n)) return bad();
	const Ragged *first = ragged_find(b, lo);
	batch = first ? first->batch : ragged_find(b, hi)->batch;
	Node *i = iota(b, n, c->at);
	Item from = item_dim(lo);
	if (first)
		i = emit_binary(b, OP_ADD, i, ragged_spread(b, first->rows, 2, 0, c->at), c->at);
	else if (!dim_is(lo, 0))
		i = emit_binary(b, OP_ADD, i, as_node(b, &from, DT_I32, c->at), c->at);
	return item_node(emit_broadcast(b, i, 2, (Dim[]){batch, n}, c->at));
}

Item builtin_arange(Call *c)
{
	Build *b = c->b;
	Dim lo = dim_const(b->m->dims, 0), hi;
	if (!need_dim(b, &c->in[0].item, c->in[0].span, call_what(c, "a"), &hi)) return bad();
	if (c->given[1]) {
		lo = hi;
		if (!need_dim(b, &c->in[1].item, c->in[1].span, call_what(c, "b"), &hi)) return bad();
	}
	const Ragged *r = ragged_find(b, hi), *first = ragged_find(b, lo);
	if (r || first) return ragged_range(c, lo, hi);
	Node *n = iota(b, dim_sub(b->m->dims, hi, lo), c->at);
	if (dim_is(lo, 0)) return item_node(n);
	Item from = item_dim(lo);
	return item_node(emit_binary(b, OP_ADD, n, as_node(b, &from, DT_I32, c->at), c->at));
}

Item builtin_filled(Call *c)
{
	Build *b = c->b;
	Dim dims[MAX_RANK];
	uint32_t n, type_at = strcmp(c->f->how, "value") == 0 ? 2 : 1;
	double value = strcmp(c->f->how, "1") == 0;
	DType t = DT_F32;
	if (!call_dims(c, 0, &n, dims)) return bad();
	if (type_at == 2 && c->in[1].item.kind == ITEM_BOOL) {
		t = DT_BOOL;
		value = (double)c->in[1].item.integer;
	} else if (type_at == 2 && !call_number(c, 1, 0, &value)) {
		return bad();
	}
	if (c->given[type_at]) {
		if (c->in[type_at].item.kind != ITEM_DTYPE) {
			complain(b, c->in[type_at].span, "%s must be an element type such as f32",
			         call_what(c, "dtype"));
			return bad();
		}
		t = c->in[type_at].item.dtype;
	}
	Node *k = node_new(b->m, OP_CONST, 0, NULL, c->at);
	Tensor *one = NEW(b->arena, Tensor);
	*one = (Tensor){t, 1, arena_alloc(b->arena, 8)};
	dtype_store(t, one->data, 0, value);
	attr_tensor(k, "value", one);
	k->type = type_tensor(t, n, dims);
	return item_node(emit(b, k));
}

typedef VEC(double) Numbers;

static bool read_numbers(Call *c, const Item *i, uint32_t depth, Type *t, Numbers *out, DType *kind)
{
	Build *b = c->b;
	double v;
	if (i->kind == ITEM_LIST) {
		Dim n = dim_const(b->m->dims, (int64_t)i->list->n);
		if (depth == MAX_RANK) {
			complain(b, c->at, "a tensor has at most %d dims", MAX_RANK);
			return false;
		}
		if (depth == t->rank) {
			if (out->n) goto ragged;
			t->dim[t->rank++] = n;
		}
		if (t->dim[depth] != n) goto ragged;
		for (size_t k = 0; k < i->list->n; k++)
			if (!read_numbers(c, &i->list->at[k], depth + 1, t, out, kind)) return false;
		return true;
	}
	if (depth != t->rank) goto ragged;
	if (i->kind == ITEM_BOOL) {
		v = (double)i->integer;
	} else if (!as_number(i, &v)) {
		Diag *m = complain(b, c->at, "tensor takes numbers known at compile time, not %s",
		                   item_kind(b, i));
		if (i->kind == ITEM_TENSOR)
			diag_help(b->d, m, "stack([x, y]) and concat([x, y], axis=..) join tensors");
		return false;
	}
	DType have = i->kind == ITEM_BOOL ? DT_BOOL : i->kind == ITEM_INT ? DT_I32 : DT_F32;
	if (!out->n || (*kind == DT_I32 && have == DT_F32)) *kind = have;
	if ((*kind == DT_BOOL) != (have == DT_BOOL)) {
		complain(b, c->at, "a list for tensor mixes bool and numbers");
		return false;
	}
	vec_push(b->arena, out, v);
	return true;
ragged:
	complain(b, c->at, "the rows of this list differ in length: it makes no tensor");
	return false;
}

Item builtin_tensor(Call *c)
{
	Build *b = c->b;
	Numbers numbers = {0};
	DType t = DT_F32;
	ConstTensor *k = NEW(b->arena, ConstTensor);
	if (!read_numbers(c, &c->in[0].item, 0, &k->type, &numbers, &t)) return bad();
	if (c->given[1]) {
		if (c->in[1].item.kind != ITEM_DTYPE) {
			complain(b, c->in[1].span, "%s must be an element type such as f32",
			         call_what(c, "dtype"));
			return bad();
		}
		t = c->in[1].item.dtype;
	}
	if (!numbers.n) {
		complain(b, c->at, "a tensor of no elements");
		return bad();
	}
	Tensor *v = NEW(b->arena, Tensor);
	*v = (Tensor){t, (int64_t)numbers.n, arena_alloc(b->arena, numbers.n * 8)};
	for (size_t i = 0; i < numbers.n; i++) dtype_store(t, v->data, (int64_t)i, numbers.at[i]);
	k->type.dtype = t;
	k->value = v;
	return (Item){.kind = ITEM_CONST, .constant = k};
}

Item builtin_len(Call *c)
{
	const Item *l = &c->in[0].item;
	if (l->kind == ITEM_LIST) return item_int((int64_t)l->list->n);
	if (l->kind == ITEM_ARRAY) return item_int(l->member->n);
	if (l->kind != ITEM_BAD) {
		Diag *m = complain(c->b, c->in[0].span, "len takes a list, not %s", item_kind(c->b, l));
		if (l->kind == ITEM_TENSOR) diag_help(c->b->d, m, "the size of an axis is  size(x, axis)");
	}
	return bad();
}

Item builtin_size(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t axis;
	return x && call_axis(c, 1, x->type.rank, &axis) ? item_dim(x->type.dim[axis]) : bad();
}
