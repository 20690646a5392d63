/* Shape rules, first part: structure, elementwise and movement. Each rule sets the type of a node
 * from its operands and attributes, or reports why it cannot. */
#include "ir/infer.h"
#include "ir/ir.h"

bool dims_match(const Module *m, Dim a, Dim b)
{
	return a == b || dim_eq(&m->facts, a, b) == PROOF_YES;
}

bool infer_fail(Module *m, Diags *d, const Node *n, const char *why)
{
	Text t = text_new(m->arena);
	for (uint32_t i = 0; i < n->n_in; i++) {
		if (i) text_puts(&t, i + 1 == n->n_in ? " and " : ", ");
		type_print(&t, &n->in[i]->type);
	}
	diag_error(d, n->span, "%s%s%s: %s", op_info[n->op].mnemonic, n->n_in ? " of " : "",
	           t.at ? t.at : "", why);
	return false;
}

bool infer_declared(Module *m, Diags *d, Node *n)
{
	(void)m, (void)d, (void)n;
	return true;
}

bool infer_same(Module *m, Diags *d, Node *n)
{
	if (n->in[0]->type.is_tuple) return infer_fail(m, d, n, "a tuple where a tensor is needed");
	n->type = n->in[0]->type;
	const Type *x = &n->type;
	const Attr *axis = node_attr(n, "axis");
	if (axis && (axis->i < 0 || axis->i >= (int64_t)x->rank))
		return infer_fail(m, d, n, "no such axis");
	if (n->op == OP_ROPE && x->rank < 2) return infer_fail(m, d, n, "needs a length and a width");
	if (n->op == OP_ROPE && n->n_in > 1) {
		const Type *f = &n->in[1]->type;
		if (f->is_tuple || f->rank != 1 || !dtype_is_float(f->dtype) ||
		    !dims_match(m, dim_mul(m->dims, f->dim[0], dim_const(m->dims, 2)), x->dim[x->rank - 1]))
			return infer_fail(m, d, n, "its frequencies are not one a pair of the width");
	}
	for (uint32_t i = 1; axis && i < n->n_in; i++) {
		const Type *v = &n->in[i]->type;
		if (v->is_tuple || v->rank != 1 || !dims_match(m, v->dim[0], x->dim[axis->i]))
			return infer_fail(m, d, n, "its vectors do not have the length of the axis");
	}
	return true;
}

static void set_tuple(Module *m, Node *n, uint32_t count, const Type *types)
{
	Type *element = NEW_ARRAY(m->arena, Type, count ? count : 1);
	for (uint32_t i = 0; i < count; i++) element[i] = types[i];
	n->type = (Type){.is_tuple = true, .n = count, .element = element};
}

bool infer_tuple(Module *m, Diags *d, Node *n)
{
	(void)d;
	Type *types = NEW_ARRAY(m->arena, Type, n->n_in + 1);
	for (uint32_t i = 0; i < n->n_in; i++) types[i] = n->in[i]->type;
	set_tuple(m, n, n->n_in, types);
	return true;
}

bool infer_get(Module *m, Diags *d, Node *n)
{
	const Type *t = &n->in[0]->type;
	int64_t i = node_attr(n, "number")->i;
	if (!t->is_tuple) return infer_fail(m, d, n, "its operand is no tuple");
	if (i < 0 || i >= (int64_t)t->n) return infer_fail(m, d, n, "the tuple has no such element");
	n->type = t->element[i];
	return true;
}

bool infer_loop(Module *m, Diags *d, Node *n)
{
	Graph *g = n->region;
	if (!g || g->args.n != n->n_in || g->results.n < n->n_in)
		return infer_fail(m, d, n, "its region does not fit its carried values");
	Type *types = NEW_ARRAY(m->arena, Type, g->results.n + 1);
	for (size_t i = 0; i < g->results.n; i++) {
		Type t = g->results.at[i]->type;
		if (i < n->n_in) {
			const Type *first = &n->in[i]->type;
			if (!type_equal(first, &g->args.at[i]->type) || !type_equal(first, &t))
				return infer_fail(
					m, d, n,
					arena_printf(m->arena, "carried value %zu begins as %s and is %s after a turn",
				                 i, type_text(m->arena, first), type_text(m->arena, &t)));
		} else {
			if (t.rank == MAX_RANK)
				return infer_fail(m, d, n, "a collected value has too many dims");
			for (uint32_t k = t.rank; k > 0; k--) t.dim[k] = t.dim[k - 1];
			t.dim[0] = node_attr(n, "count")->d;
			t.rank++;
		}
		types[i] = t;
	}
	set_tuple(m, n, (uint32_t)g->results.n, types);
	return true;
}

bool infer_kernel(Module *m, Diags *d, Node *n)
{
	Graph *g = n->region;
	if (!g || g->args.n != n->n_in)
		return infer_fail(m, d, n, "its region does not fit its operands");
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!type_equal(&g->args.at[i]->type, &n->in[i]->type))
			return infer_fail(
				m, d, n,
				arena_printf(m->arena, "operand %u and its region's argument differ in type", i));
	Type *types = NEW_ARRAY(m->arena, Type, g->results.n + 1);
	for (size_t i = 0; i < g->results.n; i++) types[i] = g->results.at[i]->type;
	if (g->results.n == 1)
		n->type = types[0];
	else
		set_tuple(m, n, (uint32_t)g->results.n, types);
	return true;
}

/* The common shape of operands under numpy's rule. */
static bool broadcast_types(Module *m, uint32_t n_in, Node *const *in, Type *out)
{
	uint32_t rank = 0;
	for (uint32_t i = 0; i < n_in; i++)
		if (in[i]->type.rank > rank) rank = in[i]->type.rank;
	out->rank = rank;
	for (uint32_t k = 0; k < rank; k++) { /* k counts from the right */
		Dim dim = dim_const(m->dims, 1);
		for (uint32_t i = 0; i < n_in; i++) {
			const Type *t = &in[i]->type;
			if (k >= t->rank) continue;
			Dim here = t->dim[t->rank - 1 - k];
			int64_t one, was;
			if (dim_is_const(here, &one) && one == 1) continue;
			if (dim_is_const(dim, &was) && was == 1)
				dim = here;
			else if (!dims_match(m, dim, here))
				return false;
		}
		out->dim[rank - 1 - k] = dim;
	}
	return true;
}

bool infer_elementwise(Module *m, Diags *d, Node *n)
{
	Scalar f = (Scalar)(n->op - OP_NEG);
	Type t = {0};
	for (uint32_t i = 0; i < n->n_in; i++)
		if (n->in[i]->type.is_tuple) return infer_fail(m, d, n, "a tuple where a tensor is needed");
	if (!broadcast_types(m, n->n_in, n->in, &t))
		return infer_fail(m, d, n, "the shapes do not broadcast");
	uint32_t first = f == SC_SELECT ? 1 : 0;
	if (f == SC_SELECT && n->in[0]->type.dtype != DT_BOOL)
		return infer_fail(m, d, n, "the condition is not bool");
	DType w = dtype_widened(n->in[first]->type.dtype);
	for (uint32_t i = first + 1; i < n->n_in; i++)
		if (dtype_widened(n->in[i]->type.dtype) != w)
			return infer_fail(m, d, n, "the element types do not mix without a cast");
	bool logic = f == SC_AND || f == SC_OR || f == SC_NOT;
	if (logic != (w == DT_BOOL) && f != SC_EQ && f != SC_NE && f != SC_SELECT)
		return infer_fail(m, d, n, logic ? "needs bool operands" : "does not take bool operands");
	if (scalar_info[f].result == SCALAR_FLOAT && w != DT_F32)
		return infer_fail(m, d, n, "needs float operands");
	t.dtype = scalar_info[f].result == SCALAR_BOOLEAN ? DT_BOOL : w;
	n->type = t;
	return true;
}

bool infer_cast(Module *m, Diags *d, Node *n)
{
	if (!infer_same(m, d, n)) return false;
	n->type.dtype = (DType)node_attr(n, "dtype")->i;
	return true;
}

bool infer_reshape(Module *m, Diags *d, Node *n)
{
	const Attr *dims = node_attr(n, "dims");
	if (dims->n > MAX_RANK) return infer_fail(m, d, n, "more than 8 dims");
	Type t = type_tensor(n->in[0]->type.dtype, dims->n, dims->dims);
	Dim from = type_count(m->dims, &n->in[0]->type), to = type_count(m->dims, &t);
	if (!dims_match(m, from, to))
		return infer_fail(m, d, n,
		                  arena_printf(m->arena, "%s elements do not fill %s",
		                               dim_text(m->arena, from), type_text(m->arena, &t)));
	n->type = t;
	return true;
}

bool infer_transpose(Module *m, Diags *d, Node *n)
{
	const Type *a = &n->in[0]->type;
	const Attr *perm = node_attr(n, "perm");
	uint32_t seen = 0;
	if (perm->n != a->rank)
		return infer_fail(m, d, n, "the permutation does not name each dim once");
	Type t = {.dtype = a->dtype, .rank = a->rank};
	for (uint32_t i = 0; i < a->rank; i++) {
		int64_t p = perm->ints[i];
		if (p < 0 || p >= (int64_t)a->rank || (seen >> p & 1))
			return infer_fail(m, d, n, "the permutation does not name each dim once");
		seen |= 1u << p;
		t.dim[i] = a->dim[p];
	}
	n->type = t;
	return true;
}

bool infer_broadcast(Module *m, Diags *d, Node *n)
{
	const Attr *dims = node_attr(n, "dims");
	const Type *a = &n->in[0]->type;
	if (dims->n > MAX_RANK || dims->n < a->rank)
		return infer_fail(m, d, n, "the new shape has fewer dims");
	Type t = type_tensor(a->dtype, dims->n, dims->dims);
	for (uint32_t i = 0; i < a->rank; i++) {
		int64_t one;
		Dim from = a->dim[i], to = t.dim[dims->n - a->rank + i];
		if (!(dim_is_const(from, &one) && one == 1) && !dims_match(m, from, to))
			return infer_fail(m, d, n, "a dim other than 1 would stretch");
	}
	n->type = t;
	return true;
}

bool infer_slice(Module *m, Diags *d, Node *n)
{
	const Type *a = &n->in[0]->type;
	const Attr *start = node_attr(n, "start"), *size = node_attr(n, "size"),
			   *step = node_attr(n, "step");
	if (start->n != a->rank || size->n != a->rank || (step->set && step->n != a->rank))
		return infer_fail(m, d, n, "start, size and step must name each dim");
	for (uint32_t i = 0; i < a->rank; i++) {
		int64_t by = step->set ? step->ints[i] : 1;
		/* last = start + (size - 1) * by must lie in the dim; an empty part is always inside */
		Dim last = dim_add(m->dims, start->dims[i],
		                   dim_mulc(m->dims, dim_addc(m->dims, size->dims[i], -1), by));
		if (by < 1) return infer_fail(m, d, n, "steps are at least 1");
		if (dim_le(&m->facts, a->dim[i], last) == PROOF_YES ||
		    dim_le(&m->facts, start->dims[i], dim_const(m->dims, -1)) == PROOF_YES)
			return infer_fail(
				m, d, n,
				arena_printf(m->arena, "part %s:%s lies outside dim %u, which has %s",
			                 dim_text(m->arena, start->dims[i]),
			                 dim_text(m->arena, dim_add(m->dims, start->dims[i], size->dims[i])), i,
			                 dim_text(m->arena, a->dim[i])));
	}
	n->type = type_tensor(a->dtype, a->rank, size->dims);
	return true;
}

bool infer_update(Module *m, Diags *d, Node *n)
{
	const Type *a = &n->in[0]->type, *b = &n->in[1]->type;
	const Attr *start = node_attr(n, "start");
	if (a->rank != b->rank || start->n != a->rank) return infer_fail(m, d, n, "the ranks differ");
	if (a->dtype != b->dtype) return infer_fail(m, d, n, "the element types differ");
	for (uint32_t i = 0; i < a->rank; i++) {
		Dim end = dim_add(m->dims, start->dims[i], b->dim[i]);
		if (dim_le(&m->facts, end, a->dim[i]) == PROOF_NO)
			return infer_fail(m, d, n,
			                  arena_printf(m->arena, "dim %u would be written up to %s, it has %s",
			                               i, dim_text(m->arena, end),
			                               dim_text(m->arena, a->dim[i])));
	}
	n->type = *a;
	return true;
}

bool infer_concat(Module *m, Diags *d, Node *n)
{
	Type t = n->in[0]->type;
	int64_t axis = node_attr(n, "axis")->i;
	if (axis < 0 || axis >= (int64_t)t.rank) return infer_fail(m, d, n, "no such axis");
	for (uint32_t i = 1; i < n->n_in; i++) {
		const Type *b = &n->in[i]->type;
		if (b->rank != t.rank || b->dtype != t.dtype)
			return infer_fail(m, d, n, "operands differ in rank or element type");
		for (uint32_t k = 0; k < t.rank; k++)
			if (k != axis && !dims_match(m, b->dim[k], t.dim[k]))
				return infer_fail(m, d, n, "operands differ in a dim other than the axis");
		t.dim[axis] = dim_add(m->dims, t.dim[axis], b->dim[axis]);
	}
	n->type = t;
	return true;
}

bool infer_pad(Module *m, Diags *d, Node *n)
{
	Type t = n->in[0]->type;
	const Attr *lo = node_attr(n, "lo"), *hi = node_attr(n, "hi");
	if (lo->n != t.rank || hi->n != t.rank)
		return infer_fail(m, d, n, "lo and hi must name each dim");
	for (uint32_t i = 0; i < t.rank; i++) {
		if (lo->ints[i] < 0 || hi->ints[i] < 0)
			return infer_fail(m, d, n, "padding is never negative");
		t.dim[i] = dim_addc(m->dims, t.dim[i], lo->ints[i] + hi->ints[i]);
	}
	n->type = t;
	return true;
}

bool infer_gather(Module *m, Diags *d, Node *n)
{
	const Type *x = &n->in[0]->type, *idx = &n->in[1]->type;
	int64_t axis = node_attr(n, "axis")->i;
	if (idx->dtype != DT_I32) return infer_fail(m, d, n, "the index is not i32");
	if (axis < 0 || axis >= (int64_t)x->rank) return infer_fail(m, d, n, "no such axis");
	if (x->rank - 1 + idx->rank > MAX_RANK) return infer_fail(m, d, n, "more than 8 dims");
	Type t = {.dtype = x->dtype};
	for (uint32_t i = 0; i < x->rank; i++) {
		if (i != axis) {
			t.dim[t.rank++] = x->dim[i];
			continue;
		}
		for (uint32_t k = 0; k < idx->rank; k++) t.dim[t.rank++] = idx->dim[k];
	}
	n->type = t;
	return true;
}

bool infer_iota(Module *m, Diags *d, Node *n)
{
	const Attr *dims = node_attr(n, "dims");
	int64_t axis = node_attr(n, "axis")->i;
	if (dims->n > MAX_RANK || axis < 0 || axis >= (int64_t)dims->n)
		return infer_fail(m, d, n, "no such axis");
	n->type = type_tensor(DT_I32, dims->n, dims->dims);
	return true;
}
