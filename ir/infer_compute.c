/* Shape rules, second part: kernel operations. */
#include "ir/infer.h"

#include <string.h>

static bool need_tensor(Module *m, Diags *d, Node *n)
{
	for (uint32_t i = 0; i < n->n_in; i++)
		if (n->in[i]->type.is_tuple) return infer_fail(m, d, n, "a tuple where a tensor is needed");
	return true;
}

bool infer_einsum(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	const char *spec = node_attr(n, "spec")->s;
	const char *comma = strchr(spec, ','), *arrow = strstr(spec, "->");
	if (!comma || !arrow || comma > arrow)
		return infer_fail(m, d, n, "the spec is not `ab,bc->ac`");
	const char *part[3] = {spec, comma + 1, arrow + 2};
	size_t len[3] = {(size_t)(comma - spec), (size_t)(arrow - comma - 1), strlen(arrow + 2)};
	Dim of[128] = {0};
	for (uint32_t k = 0; k < 2; k++) {
		const Type *t = &n->in[k]->type;
		if (len[k] != t->rank)
			return infer_fail(m, d, n, "the spec does not name each dim of its operands");
		for (uint32_t i = 0; i < t->rank; i++) {
			unsigned char c = (unsigned char)part[k][i];
			if (c < 'A' || c > 'z') return infer_fail(m, d, n, "indices are letters");
			if (memchr(part[k], c, i))
				return infer_fail(m, d, n, "an operand names an index twice");
			if (!of[c])
				of[c] = t->dim[i];
			else if (!dims_match(m, of[c], t->dim[i]))
				return infer_fail(
					m, d, n,
					arena_printf(m->arena, "index %c is %s in one operand and %s in the other", c,
				                 dim_text(m->arena, of[c]), dim_text(m->arena, t->dim[i])));
		}
	}
	DType a = n->in[0]->type.dtype, b = n->in[1]->type.dtype;
	bool ints = dtype_is_integer(a);
	if (ints != dtype_is_integer(b) || a == DT_BOOL || b == DT_BOOL)
		return infer_fail(m, d, n, "the element types do not mix without a cast");
	Type t = {.dtype = ints ? DT_I32 : DT_F32, .rank = (uint32_t)len[2]};
	if (t.rank > MAX_RANK) return infer_fail(m, d, n, "more than 8 dims");
	for (uint32_t i = 0; i < t.rank; i++) {
		unsigned char c = (unsigned char)part[2][i];
		if (c >= 128 || !of[c])
			return infer_fail(m, d, n, "the result names an index that no operand has");
		if (memchr(part[2], c, i)) return infer_fail(m, d, n, "the result names an index twice");
		t.dim[i] = of[c];
	}
	n->type = t;
	return true;
}

bool infer_dequant(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	const Type *x = &n->in[0]->type, *scale = &n->in[1]->type;
	const Attr *block = node_attr(n, "block");
	if (x->rank != scale->rank || block->n != x->rank)
		return infer_fail(m, d, n, "the scales and blocks must have the dims of what is scaled");
	if (!dtype_is_float(scale->dtype) || x->dtype == DT_BOOL)
		return infer_fail(m, d, n, "the scales must be floats, and what is scaled numbers");
	const Type *zero = n->n_in == 3 ? &n->in[2]->type : NULL;
	if (zero && (zero->dtype != x->dtype || !dtype_is_integer(x->dtype)))
		return infer_fail(m, d, n, "zero points are integers of the type that is scaled");
	if (zero && zero->rank != x->rank)
		return infer_fail(m, d, n, "the zero points must have the dims of what is scaled");
	for (uint32_t i = 0; i < x->rank; i++) {
		if (block->ints[i] < 1) return infer_fail(m, d, n, "a block has at least one element");
		Dim want = dim_ceildiv(m->dims, x->dim[i], dim_const(m->dims, block->ints[i]));
		for (uint32_t k = 1; k < n->n_in; k++) {
			const Type *part = &n->in[k]->type;
			if (dims_match(m, want, part->dim[i])) continue;
			return infer_fail(m, d, n,
			                  arena_printf(m->arena, "there are %s blocks along axis %u, and %s %s",
			                               dim_text(m->arena, want), i,
			                               dim_text(m->arena, part->dim[i]),
			                               k == 1 ? "scales" : "zero points"));
		}
	}
	n->type = *x;
	n->type.dtype = DT_F32;
	return true;
}

static bool is_indices(const Type *t, uint32_t rank)
{
	return t->dtype == DT_I32 && t->rank == rank;
}

bool infer_routed(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	const Type *x = &n->in[0]->type, *w = &n->in[1]->type, *idx = &n->in[2]->type;
	int64_t per = node_attr(n, "per")->i;
	bool ints = dtype_is_integer(x->dtype);
	if (x->rank != 2 || w->rank != 3 || !is_indices(idx, 1) || per < 1)
		return infer_fail(m, d, n, "needs x [R, D], w [E, N, D], i32 indices [R*per] and per >= 1");
	if (ints != dtype_is_integer(w->dtype) || x->dtype == DT_BOOL || w->dtype == DT_BOOL)
		return infer_fail(m, d, n, "the element types do not mix without a cast");
	if (!dims_match(m, x->dim[1], w->dim[2]))
		return infer_fail(m, d, n, "x and w differ in the dim that is summed over");
	if (!dims_match(m, idx->dim[0], dim_mulc(m->dims, x->dim[0], per)))
		return infer_fail(m, d, n, "the indices are not `per` for each row of x");
	if (n->n_in == 4) return infer_fail(m, d, n, "an order without starts");
	if (n->n_in == 5) {
		const Type *order = &n->in[3]->type, *start = &n->in[4]->type;
		int64_t experts, starts;
		if (!is_indices(order, 2) || !is_indices(start, 2) ||
		    !dims_match(m, order->dim[0], start->dim[0]) || !dim_is_const(order->dim[1], NULL) ||
		    !dim_is_const(w->dim[0], &experts) || !dim_is_const(start->dim[1], &starts) ||
		    starts != experts + 1)
			return infer_fail(m, d, n, "order and start are not those of `route`");
	}
	n->type = (Type){.dtype = ints ? DT_I32 : DT_F32, .rank = 2, .dim = {idx->dim[0], w->dim[1]}};
	return true;
}

bool infer_route(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	const Type *idx = &n->in[0]->type;
	int64_t experts = node_attr(n, "experts")->i, block = node_attr(n, "block")->i, most, least;
	if (!is_indices(idx, 1)) return infer_fail(m, d, n, "the indices are i32[M]");
	if (experts < 1 || experts > ROUTE_LIMIT || block < 1 || block > ROUTE_LIMIT)
		return infer_fail(m, d, n,
		                  arena_printf(m->arena, "experts and block lie in 1..%d", ROUTE_LIMIT));
	dim_range(&m->facts, idx->dim[0], &least, &most);
	Dim blocks = most <= block ? dim_const(m->dims, 1)
	                           : dim_ceildiv(m->dims, idx->dim[0], dim_const(m->dims, block));
	Type *e = NEW_ARRAY(m->arena, Type, 2);
	e[0] = (Type){.dtype = DT_I32, .rank = 2, .dim = {blocks, dim_const(m->dims, block)}};
	e[1] = (Type){.dtype = DT_I32, .rank = 2, .dim = {blocks, dim_const(m->dims, experts + 1)}};
	n->type = (Type){.is_tuple = true, .n = 2, .element = e};
	return true;
}

/* (dim + lo + hi - (size - 1)*dilation - 1) // stride + 1 */
static Dim window_out(Module *m, Dim dim, Dim size, int64_t lo, int64_t hi, int64_t dilation,
                      int64_t stride)
{
	DimPool *p = m->dims;
	Dim reach = dim_addc(p, dim_mulc(p, dim_addc(p, size, -1), dilation), 1);
	Dim room = dim_sub(p, dim_addc(p, dim, lo + hi), reach);
	return dim_addc(p, dim_floordiv(p, room, dim_const(p, stride)), 1);
}

static bool window_attrs(Module *m, Diags *d, Node *n, uint32_t spatial)
{
	const Attr *lo = node_attr(n, "lo"), *hi = node_attr(n, "hi"), *stride = node_attr(n, "stride");
	if (lo->n != spatial || hi->n != spatial || stride->n != spatial)
		return infer_fail(m, d, n, "stride and padding must name each spatial dim");
	for (uint32_t i = 0; i < spatial; i++) {
		if (stride->ints[i] < 1) return infer_fail(m, d, n, "strides are at least 1");
		if (lo->ints[i] < 0 || hi->ints[i] < 0)
			return infer_fail(m, d, n, "padding is never negative");
	}
	return true;
}

static bool window_fits(Module *m, Diags *d, Node *n, Dim out)
{
	int64_t lo, hi;
	dim_range(&m->facts, out, &lo, &hi);
	return hi >= 1 ? true : infer_fail(m, d, n, "the window is larger than the padded input");
}

bool infer_conv(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	const Type *x = &n->in[0]->type, *w = &n->in[1]->type;
	if (x->rank < 3 || w->rank != x->rank)
		return infer_fail(m, d, n, "needs [N, C, spatial..] and as many dims in the weight");
	uint32_t spatial = x->rank - 2;
	bool last = node_attr(n, "channels_last")->i;
	int64_t groups = node_attr(n, "groups")->i;
	const Attr *lo = node_attr(n, "lo"), *hi = node_attr(n, "hi"), *stride = node_attr(n, "stride"),
			   *dil = node_attr(n, "dilation");
	if (!window_attrs(m, d, n, spatial)) return false;
	if (dil->n != spatial || groups < 1)
		return infer_fail(m, d, n, "dilation must name each spatial dim and groups be at least 1");
	Dim channels = x->dim[last ? x->rank - 1 : 1], out_channels = w->dim[last ? w->rank - 1 : 0];
	Dim per_group = w->dim[last ? w->rank - 2 : 1];
	if (!dims_match(m, channels, dim_mulc(m->dims, per_group, groups)))
		return infer_fail(m, d, n,
		                  arena_printf(m->arena, "the input has %s channels, the weight takes %s",
		                               dim_text(m->arena, channels),
		                               dim_text(m->arena, dim_mulc(m->dims, per_group, groups))));
	int64_t k;
	if (!dim_is_const(out_channels, &k) || k % groups)
		return infer_fail(m, d, n, "groups must divide the output channels");
	bool ints = dtype_is_integer(x->dtype);
	if (ints != dtype_is_integer(w->dtype) || x->dtype == DT_BOOL || w->dtype == DT_BOOL)
		return infer_fail(m, d, n, "needs two floats or two integers");
	Type t = {.dtype = ints ? DT_I32 : DT_F32, .rank = x->rank};
	t.dim[0] = x->dim[0];
	t.dim[last ? t.rank - 1 : 1] = out_channels;
	for (uint32_t i = 0; i < spatial; i++) {
		Dim size = w->dim[last ? i : 2 + i];
		Dim out = window_out(m, x->dim[last ? 1 + i : 2 + i], size, lo->ints[i], hi->ints[i],
		                     dil->ints[i], stride->ints[i]);
		if (!window_fits(m, d, n, out)) return false;
		t.dim[last ? 1 + i : 2 + i] = out;
	}
	n->type = t;
	return true;
}

bool infer_pool(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	const Type *x = &n->in[0]->type;
	const Attr *size = node_attr(n, "size"), *lo = node_attr(n, "lo"), *hi = node_attr(n, "hi"),
			   *stride = node_attr(n, "stride");
	const char *how = node_attr(n, "reduce")->s;
	bool last = node_attr(n, "channels_last")->i;
	if (strcmp(how, "max") && strcmp(how, "mean"))
		return infer_fail(m, d, n, "reduces by max or mean");
	if (x->rank < 3 || size->n != x->rank - 2)
		return infer_fail(m, d, n, "size must name each spatial dim of [N, C, spatial..]");
	if (!window_attrs(m, d, n, size->n)) return false;
	Type t = *x;
	for (uint32_t i = 0; i < size->n; i++) {
		uint32_t at = last ? 1 + i : 2 + i;
		if (lo->ints[i] >= size->ints[i] || hi->ints[i] >= size->ints[i])
			return infer_fail(m, d, n, "the padding is as large as the window");
		t.dim[at] = window_out(m, x->dim[at], dim_const(m->dims, size->ints[i]), lo->ints[i],
		                       hi->ints[i], 1, stride->ints[i]);
		if (!window_fits(m, d, n, t.dim[at])) return false;
	}
	n->type = t;
	return true;
}

static bool reduced_type(Module *m, Diags *d, Node *n, Type *out)
{
	const Type *x = &n->in[0]->type;
	const Attr *axes = node_attr(n, "axes");
	bool keep = node_attr(n, "keep")->i;
	uint32_t gone = 0;
	for (uint32_t i = 0; i < axes->n; i++) {
		if (axes->ints[i] < 0 || axes->ints[i] >= (int64_t)x->rank || (gone >> axes->ints[i] & 1))
			return infer_fail(m, d, n, "an axis is out of range or named twice");
		gone |= 1u << axes->ints[i];
	}
	*out = (Type){.dtype = x->dtype};
	for (uint32_t i = 0; i < x->rank; i++) {
		if (!(gone >> i & 1))
			out->dim[out->rank++] = x->dim[i];
		else if (keep)
			out->dim[out->rank++] = dim_const(m->dims, 1);
	}
	return true;
}

bool infer_reduce(Module *m, Diags *d, Node *n)
{
	static const char *const known[] = {"sum", "max", "min", "prod", "argmax"};
	const char *how = node_attr(n, "reduce")->s;
	bool found = false;
	if (!need_tensor(m, d, n) || !reduced_type(m, d, n, &n->type)) return false;
	for (size_t i = 0; i < COUNT(known); i++) found |= strcmp(how, known[i]) == 0;
	if (!found) return infer_fail(m, d, n, "reduces by sum, max, min, prod or argmax");
	n->type.dtype = dtype_widened(n->type.dtype);
	if (strcmp(how, "argmax") == 0) {
		if (node_attr(n, "axes")->n != 1) return infer_fail(m, d, n, "argmax takes one axis");
		n->type.dtype = DT_I32;
	}
	return true;
}

bool infer_reduce_mean(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n) || !reduced_type(m, d, n, &n->type)) return false;
	if (dtype_widened(n->type.dtype) != DT_F32) return infer_fail(m, d, n, "needs a float operand");
	n->type.dtype = DT_F32;
	return true;
}

bool infer_norm(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	const Type *x = &n->in[0]->type;
	if (!x->rank || dtype_widened(x->dtype) != DT_F32)
		return infer_fail(m, d, n, "needs a float operand of at least one dim");
	for (uint32_t i = 1; i < n->n_in; i++) {
		const Type *w = &n->in[i]->type;
		if (w->rank != 1 || !dims_match(m, w->dim[0], x->dim[x->rank - 1]))
			return infer_fail(m, d, n, "scale and shift have one dim, as long as the last axis");
	}
	n->type = *x;
	n->type.dtype = DT_F32;
	return true;
}

bool infer_attention(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	const Type *q = &n->in[0]->type, *k = &n->in[1]->type, *v = &n->in[2]->type;
	uint32_t r = q->rank;
	if (r < 3 || k->rank != r || v->rank != r)
		return infer_fail(m, d, n, "q, k and v are [.., heads, length, width]");
	for (uint32_t i = 0; i + 3 < r; i++)
		if (!dims_match(m, q->dim[i], k->dim[i]) || !dims_match(m, q->dim[i], v->dim[i]))
			return infer_fail(m, d, n, "q, k and v differ in an outer dim");
	if (!dims_match(m, k->dim[r - 3], v->dim[r - 3]) ||
	    !dims_match(m, k->dim[r - 2], v->dim[r - 2]))
		return infer_fail(m, d, n, "k and v differ in heads or length");
	if (!dims_match(m, q->dim[r - 1], k->dim[r - 1]))
		return infer_fail(m, d, n, "q and k differ in width");
	int64_t heads, groups;
	if (!dim_is_const(q->dim[r - 3], &heads) || !dim_is_const(k->dim[r - 3], &groups) ||
	    groups < 1 || heads % groups)
		return infer_fail(m, d, n, "the heads of k and v must divide those of q");
	if (n->n_in == 4) {
		const Type *b = &n->in[3]->type;
		Dim want[4] = {r > 3 ? q->dim[r - 4] : NULL, q->dim[r - 3], q->dim[r - 2], k->dim[r - 2]};
		for (uint32_t i = 0; i < b->rank && i < 4; i++) {
			int64_t one;
			Dim have = b->dim[b->rank - 1 - i];
			if (!(dim_is_const(have, &one) && one == 1) &&
			    (!want[3 - i] || !dims_match(m, have, want[3 - i])))
				return infer_fail(m, d, n,
				                  "the bias does not broadcast to [.., heads, queries, keys]");
		}
	}
	n->type = *q;
	n->type.dtype = DT_F32;
	n->type.dim[r - 1] = v->dim[r - 1];
	return true;
}

static bool pair_type(Module *m, Node *n, Type values)
{
	Type *e = NEW_ARRAY(m->arena, Type, 2);
	e[0] = values;
	e[1] = values;
	e[1].dtype = DT_I32;
	n->type = (Type){.is_tuple = true, .n = 2, .element = e};
	return true;
}

bool infer_topk(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	Type t = n->in[0]->type;
	int64_t k = node_attr(n, "k")->i;
	if (!t.rank || k < 1) return infer_fail(m, d, n, "needs at least one dim and k >= 1");
	if (dim_le(&m->facts, dim_const(m->dims, k), t.dim[t.rank - 1]) == PROOF_NO)
		return infer_fail(m, d, n, "k is more than the last axis holds");
	t.dim[t.rank - 1] = dim_const(m->dims, k);
	return pair_type(m, n, t);
}

bool infer_sort(Module *m, Diags *d, Node *n)
{
	if (!need_tensor(m, d, n)) return false;
	if (!n->in[0]->type.rank) return infer_fail(m, d, n, "needs at least one dim");
	return pair_type(m, n, n->in[0]->type);
}
