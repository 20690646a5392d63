/* Built-in functions over windows: convolution, transposed convolution, pooling. Padding is an integer,
 * one for each spatial dim, (before, after) for each, "same" or "valid"; what a convolution pads with is
 * padding_mode. */
#include "frontend/builtin.h"

#include <math.h>
#include <string.h>

static bool padding(Call *c, uint32_t i, uint32_t spatial, const int64_t *reach,
                    const int64_t *stride, int64_t *lo, int64_t *hi)
{
	Build *b = c->b;
	const Item *p = &c->in[i].item;
	for (uint32_t k = 0; k < spatial; k++) lo[k] = hi[k] = 0;
	if (p->kind == ITEM_NONE || (p->kind == ITEM_TEXT && strcmp(p->text, "valid") == 0))
		return true;
	if (p->kind == ITEM_TEXT) {
		if (strcmp(p->text, "same") != 0) {
			complain(b, c->in[i].span,
			         "the padding is \"same\", \"valid\", an integer, one for each spatial dim, or "
			         "(before, after) for each");
			return false;
		}
		for (uint32_t k = 0; k < spatial; k++) {
			if (stride[k] != 1) {
				Diag *m = complain(b, c->in[i].span, "padding \"same\" goes with stride 1");
				diag_help(b->d, m, "half of the window,  padding=%lld,  keeps size // stride",
				          (long long)(reach[k] + 1) / 2);
				return false;
			}
			lo[k] = reach[k] / 2;
			hi[k] = reach[k] - lo[k];
		}
		return true;
	}
	if (p->kind == ITEM_LIST && p->list->n == spatial && p->list->at[0].kind == ITEM_LIST) {
		for (uint32_t k = 0; k < spatial; k++) {
			int64_t pair[2];
			if (!need_ints(b, &p->list->at[k], c->in[i].span, "the padding", 2, pair)) return false;
			lo[k] = pair[0];
			hi[k] = pair[1];
		}
		return true;
	}
	if (!need_ints(b, p, c->in[i].span, "the padding", spatial, lo)) return false;
	for (uint32_t k = 0; k < spatial; k++) hi[k] = lo[k];
	return true;
}

static bool positive(Call *c, uint32_t i, uint32_t n, const int64_t *v, const char *what)
{
	for (uint32_t k = 0; k < n; k++)
		if (v[k] < 1 || v[k] > INT32_MAX) {
			complain(c->b, c->in[i].span, "%s is at least 1, not %lld", what, (long long)v[k]);
			return false;
		}
	return true;
}

static bool optional_ints(Call *c, uint32_t i, const char *what, uint32_t n, int64_t otherwise,
                          int64_t *out)
{
	for (uint32_t k = 0; k < n; k++) out[k] = otherwise;
	return c->in[i].item.kind == ITEM_NONE ||
	       (need_ints(c->b, &c->in[i].item, c->in[i].span, what, n, out) &&
	        positive(c, i, n, out, what));
}

static bool spatial_input(Call *c, const Node *x, uint32_t *spatial)
{
	if (x->type.rank >= 3) {
		*spatial = x->type.rank - 2;
		return true;
	}
	Diag *m = complain(c->b, c->in[0].span, "`%s` of %s: it needs [N, C, spatial..]", c->f->name,
	                   type_text(c->b->arena, &x->type));
	note_origin(c->b, m, &c->in[0].item, NULL);
	return false;
}

/* The operands of a convolution: two floats, or two integers whose sums are exact. */
static bool conv_operands(Call *c, Node **x, Node **w)
{
	Build *b = c->b;
	*x = call_tensor(c, 0);
	*w = call_tensor(c, 1);
	if (!*x || !*w) return false;
	DType t = (*x)->type.dtype, u = (*w)->type.dtype;
	if (t == DT_BOOL || u == DT_BOOL || (dtype_is_float(t) && dtype_is_float(u)))
		return (*x = float_input(c, 0)) && (*w = float_input(c, 1));
	if (!dtype_is_float(t) && !dtype_is_float(u)) return true;
	Diag *m = complain(b, c->at, "conv of %s and %s: integers and floats do not mix without a cast",
	                   type_text(b->arena, &(*x)->type), type_text(b->arena, &(*w)->type));
	note_origin(b, m, &c->in[0].item, NULL);
	note_origin(b, m, &c->in[1].item, NULL);
	uint32_t at = dtype_is_float(t) ? 1 : 0;
	diag_help(b->d, m, "a cast is written  f32(%s)", text_of(b, c->in[at].span));
	return false;
}

/* Spatial axes of x that are ragged are filled, and so are those that windows over it make. *any: the
 * node that takes the windows keeps rows apart. */
static bool window_rows(Call *c, Node **x, uint32_t n, const int64_t *reach, const int64_t *stride,
                        const int64_t *lo, const int64_t *hi, RaggedFill with, bool *any)
{
	Build *b = c->b;
	uint32_t batch;
	*any = false;
	for (uint32_t i = 0; b->ragged.n && i < n; i++) {
		if (!ragged_axis(b, &(*x)->type, 2 + i, &batch)) continue;
		if (batch != 0) return true; /* sums over the rows: refused */
		*any = true;
		const char *check =
			arena_printf(b->arena, "a row is too short for a window of `%s`", text_of(b, c->at));
		*x = ragged_fill(b, *x, 2 + i, with, c->at);
		if (!*x || !ragged_windows(b, (*x)->type.dim[2 + i], lo[i] + hi[i] - reach[i] - 1,
		                           stride[i], check, c->at))
			return false;
	}
	if (*any && ragged_axis(b, &(*x)->type, 1, &batch)) *any = false; /* channels: refused */
	return true;
}

static Node *emit_windows(Build *b, Node *n, bool keeps_rows)
{
	bool inside = b->ragged_inside;
	b->ragged_inside |= keeps_rows;
	n = emit(b, n);
	b->ragged_inside = inside;
	return n;
}

Item builtin_conv(Call *c)
{
	Build *b = c->b;
	Node *x, *w;
	int64_t stride[MAX_RANK], dilation[MAX_RANK], lo[MAX_RANK], hi[MAX_RANK], reach[MAX_RANK] = {0},
																			  groups, k, rows;
	uint32_t n = 0;
	if (!conv_operands(c, &x, &w) || !spatial_input(c, x, &n)) return bad();
	if (w->type.rank != x->type.rank) {
		Diag *m = complain(b, c->at, "conv of %s and %s: the numbers of dims differ",
		                   type_text(b->arena, &x->type), type_text(b->arena, &w->type));
		note_origin(b, m, &c->in[1].item, NULL);
		diag_help(b->d, m, "the input is [N, C, spatial..], the weight [K, C//groups, spatial..]");
		return bad();
	}
	if (!optional_ints(c, 2, "the stride", n, 1, stride) ||
	    !optional_ints(c, 4, "the dilation", n, 1, dilation) ||
	    !optional_ints(c, 5, "the number of groups", 1, 1, &groups))
		return bad();
	for (uint32_t i = 0; i < n; i++)
		if (dim_is_const(w->type.dim[2 + i], &k)) reach[i] = (k - 1) * dilation[i];
	if (!padding(c, 3, n, reach, stride, lo, hi)) return bad();
	Dim takes = dim_mulc(b->m->dims, w->type.dim[1], groups);
	if (!dims_equal(b, x->type.dim[1], takes)) {
		Diag *m =
			complain(b, c->at, "conv of %s and %s: the input has %s channels, the weight takes %s",
		             type_text(b->arena, &x->type), type_text(b->arena, &w->type),
		             dim_text(b->arena, x->type.dim[1]), dim_text(b->arena, takes));
		note_origin(b, m, &c->in[1].item, NULL);
		note_origin(b, m, &c->in[0].item, NULL);
		size_t parts = m->parts.n;
		advise_channels(b, m, text_of(b, c->in[0].span), &x->type, 1, takes);
		if (m->parts.n == parts)
			diag_help(b->d, m,
			          "the weight is [K, C//groups, spatial..], the input [N, C, spatial..]");
		return bad();
	}
	if (dim_is_const(w->type.dim[0], &rows) && rows % groups) {
		complain(b, c->at, "conv: %lld output channels in %lld groups", (long long)rows,
		         (long long)groups);
		return bad();
	}
	if (c->in[6].item.kind != ITEM_NONE) {
		const char *mode = pad_mode(c, 6);
		if (!mode) return bad();
		if (strcmp(mode, "constant") != 0) {
			for (uint32_t i = 0; i < n && x; i++)
				x = pad_axis(c, x, (int64_t)i + 2, lo[i], hi[i], mode);
			if (!x) return bad();
			memset(lo, 0, sizeof lo);
			memset(hi, 0, sizeof hi);
		}
	}
	bool keeps_rows;
	if (!window_rows(c, &x, n, reach, stride, lo, hi, FILL_ZERO, &keeps_rows)) return bad();
	Node *v = node_new(b->m, OP_CONV, 2, (Node *[]){x, w}, c->at);
	attr_ints(b->m, v, "stride", n, stride);
	attr_ints(b->m, v, "lo", n, lo);
	attr_ints(b->m, v, "hi", n, hi);
	attr_ints(b->m, v, "dilation", n, dilation);
	attr_int(v, "groups", groups);
	return item_node(emit_windows(b, v, keeps_rows));
}

/* --- transposed convolution ---------------------------------------------------------------------- */

typedef struct Transposed {
	uint32_t n; /* spatial dims */
	int64_t stride[MAX_RANK], dilation[MAX_RANK], lo[MAX_RANK], hi[MAX_RANK], more[MAX_RANK];
	int64_t kernel[MAX_RANK], phase[MAX_RANK]; /* dilated; elements of the kernel in one phase */
	int64_t groups, in, out;
} Transposed;

static Node *zeros_behind(Build *b, Node *x, uint32_t first, uint32_t n, const int64_t *width,
                          Span at)
{
	int64_t lo[MAX_RANK] = {0}, hi[MAX_RANK] = {0};
	bool any = false;
	for (uint32_t i = 0; i < n; i++) any |= (hi[first + i] = width[i]) > 0;
	if (!x || !any) return x;
	Node *v = node_new(b->m, OP_PAD, 1, &x, at);
	attr_ints(b->m, v, "lo", x->type.rank, lo);
	attr_ints(b->m, v, "hi", x->type.rank, hi);
	attr_float(v, "value", 0);
	return emit(b, v);
}

/* Zeros between the elements of each spatial dim of a kernel. */
static Node *dilated(Build *b, Node *w, const Transposed *t, Span at)
{
	for (uint32_t i = 0; i < t->n && w; i++) {
		Dim dims[MAX_RANK + 1], whole[MAX_RANK], start[MAX_RANK];
		int64_t gap[MAX_RANK] = {0};
		uint32_t rank = w->type.rank, axis = 2 + i;
		if (t->dilation[i] == 1) continue;
		for (uint32_t k = 0, o = 0; k < rank; k++) {
			whole[k] = dims[o++] = w->type.dim[k];
			if (k == axis) dims[o++] = dim_const(b->m->dims, 1);
			start[k] = dim_const(b->m->dims, 0);
		}
		gap[0] = t->dilation[i] - 1;
		Node *wide = zeros_behind(b, emit_reshape(b, w, rank + 1, dims, at), axis + 1, 1, gap, at);
		whole[axis] = dim_mulc(b->m->dims, w->type.dim[axis], t->dilation[i]);
		w = emit_reshape(b, wide, rank, whole, at);
		whole[axis] = dim_addc(b->m->dims, whole[axis], 1 - t->dilation[i]);
		w = emit_slice(b, w, start, whole, at);
	}
	return w;
}

/* [I, O/g, k..] to [g*(O/g)*s.., I/g, p..]: the phases of the stride become output channels. */
static Node *phases(Call *c, Node *w, const Transposed *t)
{
	Build *b = c->b;
	DimPool *p = b->m->dims;
	Dim dims[MAX_RANK];
	int64_t perm[MAX_RANK], missing[MAX_RANK], rows = t->out / t->groups;
	uint32_t rank = 3 + t->n;
	for (uint32_t i = 0; i < t->n; i++) missing[i] = t->phase[i] * t->stride[i] - t->kernel[i];
	w = zeros_behind(b, w, 2, t->n, missing, c->at);
	dims[0] = dim_const(p, t->groups);
	dims[1] = dim_const(p, t->in / t->groups);
	for (uint32_t i = 0; i < t->n; i++) dims[3 + i] = dim_const(p, t->phase[i] * t->stride[i]);
	for (uint32_t i = 0; i < t->n && w; i++) { /* one stride after the other joins the rows */
		Dim apart[MAX_RANK];
		dims[2] = dim_const(p, rows);
		for (uint32_t k = 0; k < 3 + i; k++) apart[k] = dims[k];
		apart[3 + i] = dim_const(p, t->phase[i]);
		apart[4 + i] = dim_const(p, t->stride[i]);
		for (uint32_t k = 4 + i; k < rank; k++) apart[k + 1] = dims[k];
		w = emit_reshape(b, w, rank + 1, apart, c->at);
		for (uint32_t k = 0; k <= rank; k++)
			perm[k] = k < 3 ? k : k == 3 ? 4 + i : k <= 4 + i ? k - 1 : k;
		w = emit_transpose(b, w, perm, c->at);
		rows *= t->stride[i];
		dims[2] = dim_const(p, rows);
		dims[3 + i] = dim_const(p, t->phase[i]);
		w = emit_reshape(b, w, rank, dims, c->at);
	}
	for (uint32_t k = 0; k < rank; k++) perm[k] = k == 1 ? 2 : k == 2 ? 1 : k;
	w = emit_transpose(b, w, perm, c->at);
	dims[0] = dim_const(p, rows * t->groups);
	for (uint32_t i = 0; i < t->n; i++) dims[2 + i] = dims[3 + i];
	w = emit_reshape(b, w, rank - 1, dims, c->at);
	for (uint32_t i = 0; i < t->n && w; i++)
		if (t->phase[i] > 1) w = flip_axis(c, w, 2 + i);
	return w;
}

/* The phases laid side by side, and the edges cut. */
static Node *interleaved(Call *c, Node *y, const Type *x, const Transposed *t)
{
	Build *b = c->b;
	DimPool *p = b->m->dims;
	Dim dims[2 * MAX_RANK], start[MAX_RANK], size[MAX_RANK];
	int64_t perm[2 * MAX_RANK];
	uint32_t n = 0, at = 0;
	if (!y) return NULL;
	dims[n++] = y->type.dim[0];
	dims[n++] = dim_const(p, t->out);
	for (uint32_t i = 0; i < t->n; i++) dims[n++] = dim_const(p, t->stride[i]);
	for (uint32_t i = 0; i < t->n; i++) dims[n++] = y->type.dim[2 + i];
	Type whole = y->type;
	y = emit_reshape(b, y, n, dims, c->at);
	perm[at++] = 0;
	perm[at++] = 1;
	for (uint32_t i = 0; i < t->n; i++) {
		perm[at++] = 2 + t->n + i;
		perm[at++] = 2 + i;
	}
	y = emit_transpose(b, y, perm, c->at);
	dims[1] = dim_const(p, t->out);
	for (uint32_t i = 0; i < t->n; i++) dims[2 + i] = dim_mulc(p, whole.dim[2 + i], t->stride[i]);
	y = emit_reshape(b, y, 2 + t->n, dims, c->at);
	int64_t beyond[MAX_RANK] = {0};
	for (uint32_t i = 0; i < t->n; i++) {
		/* phases * stride elements stand behind the last input; what the output wants more is 0 */
		int64_t have = t->phase[i] * t->stride[i] - t->stride[i];
		int64_t want = t->kernel[i] - t->stride[i] + t->more[i] - t->hi[i];
		beyond[i] = want > have ? want - have : 0;
		start[2 + i] = dim_const(p, t->lo[i]);
		size[2 + i] = dim_addc(p, dim_mulc(p, x->dim[2 + i], t->stride[i]), want - t->lo[i]);
	}
	y = zeros_behind(b, y, 2, t->n, beyond, c->at);
	for (uint32_t i = 0; i < 2 && y; i++) {
		start[i] = dim_const(p, 0);
		size[i] = y->type.dim[i];
	}
	for (uint32_t i = 0; i < t->n; i++)
		if (!assume_le(b, dim_const(p, 0), size[2 + i], c->at)) {
			complain(b, c->at, "conv_transpose: the padding cuts away all of %s",
			         type_text(b->arena, x));
			return NULL;
		}
	return y ? emit_slice(b, y, start, size, c->at) : NULL;
}

/* conv_transpose(x, w, stride, padding, output_padding, groups, dilation): w is [I, O/groups, k..]. */
Item builtin_conv_transpose(Call *c)
{
	Build *b = c->b;
	Node *x = float_input(c, 0), *w = float_input(c, 1);
	Transposed t = {0};
	int64_t one[MAX_RANK], reach[MAX_RANK], per_group;
	if (!x || !w || !spatial_input(c, x, &t.n)) return bad();
	if (t.n > 3) {
		complain(b, c->at, "a transposed convolution has at most 3 spatial dims");
		return bad();
	}
	for (uint32_t i = 0; i < MAX_RANK; i++) one[i] = 1;
	bool fits = w->type.rank == x->type.rank && dim_is_const(w->type.dim[0], &t.in) &&
	            dim_is_const(w->type.dim[1], &per_group);
	if (!fits || !dims_equal(b, x->type.dim[1], w->type.dim[0])) {
		Diag *m = complain(b, c->at, "conv_transpose of %s and %s: the input has %s channels",
		                   type_text(b->arena, &x->type), type_text(b->arena, &w->type),
		                   dim_text(b->arena, x->type.dim[1]));
		note_origin(b, m, &c->in[0].item, NULL);
		note_origin(b, m, &c->in[1].item, NULL);
		diag_help(b->d, m, "the weight is [input channels, output channels // groups, spatial..]");
		return bad();
	}
	if (!optional_ints(c, 2, "the stride", t.n, 1, t.stride) ||
	    !optional_ints(c, 5, "the number of groups", 1, 1, &t.groups) ||
	    !optional_ints(c, 6, "the dilation", t.n, 1, t.dilation))
		return bad();
	for (uint32_t i = 0; i < t.n; i++) reach[i] = 0;
	if (!padding(c, 3, t.n, reach, one, t.lo, t.hi)) return bad();
	if (c->in[4].item.kind != ITEM_NONE &&
	    !need_ints(b, &c->in[4].item, c->in[4].span, "the output padding", t.n, t.more))
		return bad();
	if (t.in % t.groups) {
		complain(b, c->at, "conv_transpose: %lld input channels in %lld groups", (long long)t.in,
		         (long long)t.groups);
		return bad();
	}
	t.out = per_group * t.groups;
	for (uint32_t i = 0; i < t.n; i++) {
		int64_t k = 0;
		if (!dim_is_const(w->type.dim[2 + i], &k) || k < 1 || k > 4096 || t.dilation[i] > 4096 ||
		    t.stride[i] > 4096 || t.more[i] < 0 || t.more[i] > 4096 || t.lo[i] < 0 || t.hi[i] < 0) {
			complain(
				b, c->at,
				"conv_transpose: sizes of the kernel, strides and paddings are from 0 to 4096");
			return bad();
		}
		t.kernel[i] = (k - 1) * t.dilation[i] + 1;
		t.phase[i] = (t.kernel[i] + t.stride[i] - 1) / t.stride[i];
	}
	w = phases(c, dilated(b, w, &t, c->at), &t);
	if (!w) return bad();
	Node *v = node_new(b->m, OP_CONV, 2, (Node *[]){x, w}, c->at);
	int64_t edge[MAX_RANK];
	for (uint32_t i = 0; i < t.n; i++) edge[i] = t.phase[i] - 1;
	attr_ints(b->m, v, "stride", t.n, one);
	attr_ints(b->m, v, "lo", t.n, edge);
	attr_ints(b->m, v, "hi", t.n, edge);
	attr_ints(b->m, v, "dilation", t.n, one);
	attr_int(v, "groups", t.groups);
	return item_node(interleaved(c, emit(b, v), &x->type, &t));
}

/* --- pooling ----------------------------------------------------------------------------------------- */

/* With ceil_mode a window may reach beyond the padding, when it begins inside: more is added behind. */
static bool reach_beyond(Call *c, const Type *x, uint32_t n, const int64_t *size,
                         const int64_t *stride, const int64_t *lo, int64_t *hi)
{
	for (uint32_t i = 0; i < n; i++) {
		int64_t have, was = hi[i];
		hi[i] += stride[i] - 1;
		if (dim_is_const(x->dim[2 + i], &have)) {
			int64_t left = have + lo[i] + was - size[i];
			int64_t last = left <= 0 ? 0 : (left + stride[i] - 1) / stride[i];
			if (last * stride[i] >= have + lo[i]) last--;
			hi[i] = last * stride[i] + size[i] - have - lo[i];
			if (hi[i] < was) hi[i] = was;
		}
		if (hi[i] < size[i]) continue;
		Diag *m = complain(c->b, c->at,
		                   "ceil_mode with stride %lld and a window of %lld: whether a last window "
		                   "begins inside depends on %s",
		                   (long long)stride[i], (long long)size[i],
		                   dim_text(c->b->arena, x->dim[2 + i]));
		diag_help(c->b->d, m, "give the image a fixed size, or leave ceil_mode out");
		return false;
	}
	return true;
}

static Node *zeros_around(Build *b, Node *x, uint32_t n, const int64_t *before,
                          const int64_t *after, Span at)
{
	int64_t lo[MAX_RANK] = {0}, hi[MAX_RANK] = {0};
	memcpy(lo + 2, before, n * sizeof *lo);
	memcpy(hi + 2, after, n * sizeof *hi);
	Node *v = node_new(b->m, OP_PAD, 1, &x, at);
	attr_ints(b->m, v, "lo", x->type.rank, lo);
	attr_ints(b->m, v, "hi", x->type.rank, hi);
	attr_float(v, "value", 0);
	return emit(b, v);
}

typedef struct Pool {
	uint32_t n;
	const int64_t *size, *stride, *lo, *hi;
} Pool;

static Node *pooled(Call *c, Node *x, const Pool *p, bool count_pad, bool keeps_rows)
{
	Build *b = c->b;
	Node *v = node_new(b->m, OP_POOL, 1, &x, c->at);
	attr_str(v, "reduce", intern_str(b->names, c->f->how));
	attr_ints(b->m, v, "size", p->n, p->size);
	attr_ints(b->m, v, "stride", p->n, p->stride);
	attr_ints(b->m, v, "lo", p->n, p->lo);
	attr_ints(b->m, v, "hi", p->n, p->hi);
	if (strcmp(c->f->how, "mean") == 0 && count_pad) attr_int(v, "count_pad", 1);
	return emit_windows(b, v, keeps_rows);
}

static bool rows_of_pool(Call *c, Node **x, uint32_t n, const int64_t *reach, const int64_t *stride,
                         const int64_t *lo, const int64_t *hi, bool mean, bool ceil_mode, bool *any)
{
	if (!window_rows(c, x, n, reach, stride, lo, hi, mean ? FILL_ZERO : FILL_LEAST, any))
		return false;
	if (!*any || !ceil_mode) return true;
	Diag *m = complain(
		c->b, c->at, "ceil_mode: whether a last window begins inside differs from row to row of %s",
		type_text(c->b->arena, &(*x)->type));
	diag_help(c->b->d, m, "leave ceil_mode out, or add a padding");
	return false;
}

Item builtin_pool(Call *c)
{
	Build *b = c->b;
	bool mean = strcmp(c->f->how, "mean") == 0, count_pad = true;
	Node *x = float_input(c, 0);
	int64_t size[MAX_RANK], stride[MAX_RANK], lo[MAX_RANK], hi[MAX_RANK], reach[MAX_RANK];
	uint32_t n = 0;
	if (!x || !spatial_input(c, x, &n)) return bad();
	if (!need_ints(b, &c->in[1].item, c->in[1].span, "the size of the window", n, size) ||
	    !positive(c, 1, n, size, "the size of the window"))
		return bad();
	memcpy(stride, size, sizeof stride);
	if (c->in[2].item.kind != ITEM_NONE && !optional_ints(c, 2, "the stride", n, 1, stride))
		return bad();
	for (uint32_t i = 0; i < n; i++) reach[i] = size[i] - 1;
	if (!padding(c, 3, n, reach, stride, lo, hi)) return bad();
	bool ceil_mode;
	if (!call_flag(c, 4, false, &ceil_mode) || (mean && !call_flag(c, 5, true, &count_pad)))
		return bad();
	for (uint32_t i = 0; i < n; i++)
		if (lo[i] < 0 || hi[i] < 0 || lo[i] > size[i] / 2 || hi[i] > size[i] / 2) {
			Diag *m = complain(
				b, c->in[3].span, "`%s` of windows of %lld: a padding of %lld is more than half",
				c->f->name, (long long)size[i], (long long)(lo[i] > hi[i] ? lo[i] : hi[i]));
			diag_help(b->d, m, "more than that is added with  pad(x, ..)");
			return bad();
		}
	bool keeps_rows;
	if (!rows_of_pool(c, &x, n, reach, stride, lo, hi, mean, ceil_mode, &keeps_rows)) return bad();
	if (ceil_mode) {
		if (mean && count_pad) { /* what ceil_mode adds does not count, the padding does */
			x = zeros_around(b, x, n, lo, hi, c->at);
			if (!x) return bad();
			memset(lo, 0, sizeof lo);
			memset(hi, 0, sizeof hi);
			count_pad = false;
		}
		if (!reach_beyond(c, &x->type, n, size, stride, lo, hi)) return bad();
	}
	Pool p = {n, size, stride, lo, hi};
	Node *y = pooled(c, x, &p, count_pad, keeps_rows);
	if (!keeps_rows || !mean || count_pad || !y) return item_node(y);
	/* by the elements of each row, not of the batch: the mean of ones and zeros tells their part */
	Node *ones = emit_broadcast(b, emit_number(b, x->type.dtype, 1, c->at), x->type.rank,
	                            x->type.dim, c->at);
	for (uint32_t i = 0; i < n && ones; i++) ones = ragged_fill(b, ones, 2 + i, FILL_ZERO, c->at);
	Node *part = ones ? pooled(c, ones, &p, count_pad, true) : NULL;
	return item_node(emit_binary(b, OP_DIV, y, part, c->at));
}
