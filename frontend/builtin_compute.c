/* Built-in functions that compute: reductions, norms, convolution, pooling, rope, sorting. */
#include "frontend/builtin.h"

#include <math.h>
#include <string.h>

Node *float_input(Call *c, uint32_t i)
{
	Node *x = call_tensor(c, i);
	if (!x || dtype_is_float(x->type.dtype)) return x;
	Diag *m = complain(c->b, c->in[i].span, "`%s` needs floats, this is %s", c->f->name,
	                   type_text(c->b->arena, &x->type));
	note_origin(c->b, m, &c->in[i].item, NULL);
	diag_help(c->b->d, m, "a cast is written  f32(%s)", text_of(c->b, c->in[i].span));
	return NULL;
}

static Item reduced(Call *c, Node *x, uint32_t axis_at, const char *how)
{
	int64_t axes[MAX_RANK];
	uint32_t n;
	bool keep;
	if (!x || !call_axes(c, axis_at, x->type.rank, &n, axes) ||
	    !call_flag(c, axis_at + 1, false, &keep))
		return bad();
	if (!n) return item_node(x);
	return item_node(emit_reduce(c->b, c->f->op == OP_MEAN ? OP_MEAN : OP_REDUCE,
	                             c->f->op == OP_MEAN ? NULL : how, x, n, axes, keep, c->at));
}

Item builtin_reduce(Call *c)
{
	Node *x = c->f->op == OP_MEAN ? float_input(c, 0) : call_tensor(c, 0);
	if (x && x->type.dtype == DT_BOOL) {
		Diag *m = complain(c->b, c->in[0].span, "`%s` of %s: bool is no number", c->f->name,
		                   type_text(c->b->arena, &x->type));
		diag_help(c->b->d, m, "count with  sum(i32(x))");
		return bad();
	}
	return reduced(c, x, 1, c->f->how);
}

Item builtin_extreme(Call *c)
{
	const Item *x = &c->in[0].item;
	if (c->given[1] && c->in[1].item.kind != ITEM_NONE) {
		Call two = *c;
		if (c->given[2] || c->given[3]) {
			complain(c->b, c->at, "`%s` takes two values, or one tensor and an axis", c->f->name);
			return bad();
		}
		return builtin_binary(&two);
	}
	if (x->kind == ITEM_LIST && x->list->n) {
		Call two = *c;
		Item best = x->list->at[0];
		for (size_t i = 1; i < x->list->n && best.kind != ITEM_BAD; i++) {
			two.in[0].item = best;
			two.in[1].item = x->list->at[i];
			best = builtin_binary(&two);
		}
		return best;
	}
	return reduced(c, call_tensor(c, 0), 2, c->f->how);
}

Item builtin_all(Call *c)
{
	Node *x = call_tensor(c, 0);
	if (!x) return bad();
	if (x->type.dtype != DT_BOOL) {
		complain(c->b, c->in[0].span, "`%s` takes bool, this is %s", c->f->name,
		         type_text(c->b->arena, &x->type));
		return bad();
	}
	Item r = reduced(c, emit_cast(c->b, x, DT_I32, c->at), 1, c->f->how);
	return r.kind == ITEM_TENSOR
	           ? item_node(
					 emit_binary(c->b, OP_NE, r.node, emit_number(c->b, DT_I32, 0, c->at), c->at))
	           : r;
}

/* max |x - y| <= atol; false when either has a nan. */
Item builtin_allclose(Call *c)
{
	Build *b = c->b;
	double atol;
	Node *x = call_tensor(c, 0), *y = call_tensor(c, 1);
	int64_t axes[MAX_RANK];
	Type shape;
	if (!x || !y || !call_number(c, 2, 1e-5, &atol)) return bad();
	if (!dtype_is_float(x->type.dtype)) x = emit_cast(b, x, DT_F32, c->at);
	if (!dtype_is_float(y->type.dtype)) y = emit_cast(b, y, DT_F32, c->at);
	Item u = item_node(x), v = item_node(y);
	Ast here = {.kind = AST_CALL, .span = c->at};
	u.origin = c->in[0].item.origin;
	v.origin = c->in[1].item.origin;
	if (u.kind == ITEM_BAD || v.kind == ITEM_BAD ||
	    !broadcast_shape(b, &u, &v, &here, c->f->name, &shape))
		return bad();
	if (x->type.rank != y->type.rank && x->type.rank && y->type.rank) {
		complain(b, c->at, "allclose of %s and %s: the numbers of dims differ",
		         type_text(b->arena, &x->type), type_text(b->arena, &y->type));
		return bad();
	}
	Node *d = emit_unary(b, OP_ABS, emit_binary(b, OP_SUB, x, y, c->at), c->at);
	if (!d) return bad();
	for (uint32_t i = 0; i < d->type.rank; i++) axes[i] = i;
	if (d->type.rank) d = emit_reduce(b, OP_REDUCE, "max", d, d->type.rank, axes, false, c->at);
	return item_node(emit_binary(b, OP_LE, d, emit_number(b, DT_F32, atol, c->at), c->at));
}

Item builtin_scan(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t axis;
	if (!x || !call_axis(c, 1, x->type.rank, &axis)) return bad();
	Node *n = node_new(c->b->m, OP_SCAN, 1, &x, c->at);
	attr_str(n, "reduce", intern_str(c->b->names, c->f->how));
	attr_int(n, "axis", axis);
	return item_node(emit(c->b, n));
}

/* x, of which the last axis may be ragged: each row has `least` elements, and its padding comes behind
 * them in either order, as what is equal stays in order. */
static Node *ordered_rows(Call *c, Node *x, int64_t least, const char *check, bool descending)
{
	Build *b = c->b;
	uint32_t axis = x->type.rank - 1, batch;
	if (!x->type.rank || !ragged_axis(b, &x->type, axis, &batch)) return x;
	if (least && !ragged_at_least(b, x->type.dim[axis], least, check, c->at)) return NULL;
	return ragged_fill(b, x, axis, descending ? FILL_LEAST : FILL_GREATEST, c->at);
}

static Item ordered(Call *c, Node *n)
{
	Build *b = c->b;
	const Type *t = &n->in[0]->type;
	uint32_t batch;
	bool inside = b->ragged_inside;
	b->ragged_inside |= t->rank && ragged_axis(b, t, t->rank - 1, &batch);
	n = emit(b, n);
	b->ragged_inside = inside;
	return tuple_items(b, n, 2, c->at);
}

Item builtin_topk(Call *c)
{
	Node *x = call_tensor(c, 0);
	int64_t k;
	if (!x || !need_int(c->b, &c->in[1].item, c->in[1].span, call_what(c, "k"), &k)) return bad();
	const char *check =
		arena_printf(c->b->arena, "a row of {index%+lld} has no %lld greatest: `%s`", (long long)k,
	                 (long long)k, text_of(c->b, c->at));
	if (!(x = ordered_rows(c, x, k, check, true))) return bad();
	Node *n = node_new(c->b->m, OP_TOPK, 1, &x, c->at);
	attr_int(n, "k", k);
	return ordered(c, n);
}

Item builtin_sort(Call *c)
{
	Node *x = call_tensor(c, 0);
	bool descending;
	if (!x || !call_flag(c, 1, false, &descending)) return bad();
	if (!(x = ordered_rows(c, x, 0, NULL, descending))) return bad();
	Node *n = node_new(c->b->m, OP_SORT, 1, &x, c->at);
	if (descending) attr_int(n, "descending", 1);
	return ordered(c, n);
}

Item builtin_along(Call *c)
{
	Node *x = float_input(c, 0);
	int64_t axis;
	if (!x || !call_axis(c, 1, x->type.rank, &axis)) return bad();
	x = ragged_fill(c->b, x, (uint32_t)axis, FILL_LEAST, c->at);
	if (!x) return bad();
	Node *n = node_new(c->b->m, c->f->op, 1, &x, c->at);
	attr_int(n, "axis", axis);
	return item_node(emit(c->b, n));
}

/* The optional vectors of a norm: as long as the last axis. */
static bool norm_vector(Call *c, uint32_t i, const Node *x, Node **out)
{
	*out = NULL;
	if (c->in[i].item.kind == ITEM_NONE) return true;
	Node *w = call_tensor(c, i);
	if (!w) return false;
	if (w->type.rank != 1 || !dims_equal(c->b, w->type.dim[0], x->type.dim[x->type.rank - 1])) {
		Diag *m = complain(c->b, c->in[i].span,
		                   "`%s` of %s: this vector is %s, not of the length of the last axis",
		                   c->f->name, type_text(c->b->arena, &x->type),
		                   type_text(c->b->arena, &w->type));
		note_origin(c->b, m, &c->in[i].item, NULL);
		note_origin(c->b, m, &c->in[0].item, NULL);
		if (w->type.rank == 1)
			advise_channels(c->b, m, text_of(c->b, c->in[0].span), &x->type, x->type.rank - 1,
			                w->type.dim[0]);
		return false;
	}
	*out = w;
	return true;
}

Item builtin_norm(Call *c)
{
	Build *b = c->b;
	bool layer = c->f->op == OP_LAYER_NORM;
	Node *x = float_input(c, 0), *scale = NULL, *shift = NULL;
	double eps;
	if (!x) return bad();
	if (!x->type.rank) {
		complain(b, c->in[0].span, "`%s` of a scalar", c->f->name);
		return bad();
	}
	if (!norm_vector(c, 1, x, &scale) || (layer && !norm_vector(c, 2, x, &shift)) ||
	    !call_number(c, layer ? 3 : 2, layer ? 1e-5 : 1e-6, &eps))
		return bad();
	if (shift && !scale) {
		complain(b, c->in[2].span, "a layer_norm with a shift has a scale too");
		return bad();
	}
	Node *in[3] = {x, scale, shift};
	Node *n = node_new(b->m, c->f->op, scale ? (shift ? 3 : 2) : 1, in, c->at);
	attr_float(n, "eps", eps);
	return item_node(emit(b, n));
}

Item builtin_batch_norm(Call *c)
{
	Build *b = c->b;
	Node *in[5];
	double eps;
	int64_t axis = 1;
	for (uint32_t i = 0; i < 5; i++)
		if (!(in[i] = float_input(c, i))) return bad();
	if (!call_number(c, 5, 1e-5, &eps)) return bad();
	if (c->given[6] && !call_axis(c, 6, in[0]->type.rank, &axis)) return bad();
	if (axis >= in[0]->type.rank) {
		complain(b, c->in[0].span, "batch_norm of %s: it has no axis %lld",
		         type_text(b->arena, &in[0]->type), (long long)axis);
		return bad();
	}
	for (uint32_t i = 1; i < 5; i++)
		if (in[i]->type.rank != 1 || !dims_equal(b, in[i]->type.dim[0], in[0]->type.dim[axis])) {
			Diag *m =
				complain(b, c->in[i].span,
			             "batch_norm of %s: this vector is %s, not of the length of axis %lld",
			             type_text(b->arena, &in[0]->type), type_text(b->arena, &in[i]->type),
			             (long long)axis);
			note_origin(b, m, &c->in[i].item, NULL);
			return bad();
		}
	Node *n = node_new(b->m, OP_BATCH_NORM, 5, in, c->at);
	attr_float(n, "eps", eps);
	attr_int(n, "axis", axis);
	return item_node(emit(b, n));
}

/* What each pair turns by a position, [D/2]: numbers known at compile time, or a tensor. */
static Node *rope_freqs(Call *c, const Node *x)
{
	Build *b = c->b;
	Call own = *c;
	own.in[0] = c->in[4];
	own.given[1] = false;
	if (own.in[0].item.kind == ITEM_LIST) own.in[0].item = builtin_tensor(&own);
	if (own.in[0].item.kind == ITEM_BAD) return NULL;
	Node *freqs = call_tensor(&own, 0);
	if (!freqs) return NULL;
	int64_t width = dim_constant(x->type.dim[x->type.rank - 1]);
	if (!dtype_is_float(freqs->type.dtype) || freqs->type.rank != 1 ||
	    freqs->type.dim[0] != dim_const(b->m->dims, width / 2)) {
		Diag *m = complain(b, c->in[4].span, "rope of %s needs freqs f32[%lld], one a pair, not %s",
		                   type_text(b->arena, &x->type), (long long)(width / 2),
		                   type_text(b->arena, &freqs->type));
		diag_help(b->d, m, "rope_freqs(%lld) of std/nn gives the usual ones", (long long)width);
		return NULL;
	}
	if (c->given[2] && c->in[2].item.kind != ITEM_NONE) {
		complain(b, c->in[2].span, "rope takes a base or freqs, not both");
		return NULL;
	}
	return freqs;
}

/* base^(-2i/D) */
static Node *usual_freqs(Call *c, int64_t pairs, double base)
{
	Build *b = c->b;
	ConstTensor *k = NEW(b->arena, ConstTensor);
	Tensor *v = NEW(b->arena, Tensor);
	Dim n = dim_const(b->m->dims, pairs);
	*v = (Tensor){DT_F32, pairs, arena_alloc(b->arena, (size_t)(pairs * 4))};
	for (int64_t i = 0; i < pairs; i++)
		dtype_store(DT_F32, v->data, i, pow(base, -(double)i / (double)pairs));
	*k = (ConstTensor){type_tensor(DT_F32, 1, &n), v};
	return emit_constant(b, k, c->at);
}

/* The position of each row of x [.., S, D], seen as [.., S, 1]: one for each batch (of a ragged dim:
 * where its rows begin), or given as i32[S] or i32[B, S]. */
static Node *rope_positions(Call *c, const Node *x)
{
	Build *b = c->b;
	const Item *at = &c->in[1].item;
	const Type *t = &x->type;
	Dim dims[MAX_RANK], one = dim_const(b->m->dims, 1);
	uint32_t axis = 0;
	Node *p = at->kind == ITEM_DIM ? ragged_find(b, at->dim)->rows : at->node;
	bool begins = at->kind == ITEM_DIM, fits = begins || p->type.rank == 1 || p->type.rank == 2;
	if (begins || p->type.rank == 2)
		while (axis + 2 < t->rank && !dims_equal(b, t->dim[axis], p->type.dim[0])) axis++;
	fits =
		fits && (axis + 2 < t->rank || (!begins && p->type.rank == 1)) && p->type.dtype == DT_I32;
	if (fits && !begins) fits = dims_equal(b, p->type.dim[p->type.rank - 1], t->dim[t->rank - 2]);
	if (!fits) {
		complain(b, c->in[1].span,
		         "rope of %s: the positions are a dim, i32[S] or i32[B, S], not %s",
		         type_text(b->arena, t), item_kind(b, at));
		return NULL;
	}
	if (!begins) {
		uint32_t n = 0;
		if (p->type.rank == 2) dims[n++] = p->type.dim[0];
		while (p->type.rank == 2 && n + axis + 2 < t->rank) dims[n++] = one;
		dims[n++] = t->dim[t->rank - 2];
		dims[n++] = one;
		return emit_reshape(b, p, n, dims, c->at);
	}
	Node *row = node_new(b->m, OP_IOTA, 0, NULL, c->at);
	dims[0] = t->dim[t->rank - 2];
	dims[1] = one;
	attr_dims(b->m, row, "dims", 2, dims);
	attr_int(row, "axis", 0);
	return emit_binary(b, OP_ADD, ragged_spread(b, p, t->rank, axis, c->at), emit(b, row), c->at);
}

static Node *half_of(Build *b, Node *x, bool half, bool second, Span at)
{
	Dim start[MAX_RANK + 1], size[MAX_RANK + 1];
	if (!x) return NULL;
	uint32_t r = x->type.rank, cut = half ? r - 1 : r;
	int64_t width = dim_constant(x->type.dim[r - 1]);
	DimPool *p = b->m->dims;
	for (uint32_t i = 0; i < r; i++) {
		start[i] = dim_const(p, 0);
		size[i] = x->type.dim[i];
	}
	if (!half) {
		size[r - 1] = dim_const(p, width / 2);
		size[r] = dim_const(p, 2);
		start[r] = dim_const(p, 0);
		x = emit_reshape(b, x, r + 1, size, at);
	}
	start[cut] = dim_const(p, second ? (half ? width / 2 : 1) : 0);
	size[cut] = dim_const(p, half ? width / 2 : 1);
	x = emit_slice(b, x, start, size, at);
	if (!x || half) return x;
	return emit_reshape(b, x, r, size, at);
}

/* rope spelled out, where rows have positions of their own. */
static Node *rope_rows(Call *c, Node *x, Node *freqs, double base, bool half)
{
	Build *b = c->b;
	uint32_t r = x->type.rank;
	Dim dims[MAX_RANK + 1];
	if (r == MAX_RANK && !half) {
		complain(b, c->at, "rope of %s: too many dims", type_text(b->arena, &x->type));
		return NULL;
	}
	if (!freqs) freqs = usual_freqs(c, dim_constant(x->type.dim[r - 1]) / 2, base);
	Node *angle =
		emit_binary(b, OP_MUL, emit_cast(b, rope_positions(c, x), DT_F32, c->at), freqs, c->at);
	Node *sine = emit_unary(b, OP_SIN, angle, c->at), *cosine = emit_unary(b, OP_COS, angle, c->at);
	Node *u = half_of(b, x, half, false, c->at), *v = half_of(b, x, half, true, c->at);
	Node *y[2] = {emit_binary(b, OP_SUB, emit_binary(b, OP_MUL, u, cosine, c->at),
	                          emit_binary(b, OP_MUL, v, sine, c->at), c->at),
	              emit_binary(b, OP_ADD, emit_binary(b, OP_MUL, v, cosine, c->at),
	                          emit_binary(b, OP_MUL, u, sine, c->at), c->at)};
	if (!y[0] || !y[1]) return NULL;
	if (half) return emit_concat(b, 2, y, r - 1, c->at);
	memcpy(dims, y[0]->type.dim, r * sizeof *dims);
	dims[r] = dim_const(b->m->dims, 1);
	for (uint32_t i = 0; i < 2; i++)
		if (!(y[i] = emit_reshape(b, y[i], r + 1, dims, c->at))) return NULL;
	return emit_reshape(b, emit_concat(b, 2, y, r, c->at), r, x->type.dim, c->at);
}

Item builtin_rope(Call *c)
{
	Build *b = c->b;
	Node *x = float_input(c, 0);
	Dim pos;
	double base;
	bool half = true;
	const Item *layout = &c->in[3].item;
	const Item *at = &c->in[1].item;
	bool each = at->kind == ITEM_TENSOR || (at->kind == ITEM_DIM && ragged_find(b, at->dim));
	pos = dim_const(b->m->dims, 0);
	if (!x || (!each && !need_dim(b, at, c->in[1].span, call_what(c, "pos"), &pos)) ||
	    !call_number(c, 2, 10000, &base))
		return bad();
	if (layout->kind == ITEM_TEXT && strcmp(layout->text, "interleaved") == 0) {
		half = false;
	} else if (layout->kind != ITEM_NONE &&
	           !(layout->kind == ITEM_TEXT && strcmp(layout->text, "half") == 0)) {
		complain(
			b, c->in[3].span,
			"the layout of rope is \"half\" (pairs i, i + D/2) or \"interleaved\" (pairs 2i, 2i + 1)");
		return bad();
	}
	int64_t width;
	if (x->type.rank < 2 || !dim_is_const(x->type.dim[x->type.rank - 1], &width) || width % 2) {
		complain(b, c->in[0].span, "rope of %s: it needs [.., S, D] with D even",
		         type_text(b->arena, &x->type));
		return bad();
	}
	Node *in[2] = {x};
	bool turned = c->given[4] && c->in[4].item.kind != ITEM_NONE;
	if (turned && !(in[1] = rope_freqs(c, x))) return bad();
	if (each) return item_node(rope_rows(c, x, turned ? in[1] : NULL, base, half));
	Node *n = node_new(b->m, OP_ROPE, turned ? 2 : 1, in, c->at);
	attr_dim(n, "pos", pos);
	attr_float(n, "base", base);
	attr_int(n, "half", half);
	return item_node(emit(b, n));
}

Item builtin_matmul(Call *c)
{
	Ast here = {.kind = AST_CALL, .span = c->at};
	return matmul(c->b, &here, &c->in[0].item, &c->in[1].item, c->at);
}
