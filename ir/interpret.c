/* The oracle: executes graphs on doubles. In exact mode nothing is rounded but integers; in typed
 * mode each value is rounded to its dtype after the operation. Written for clarity; loops over
 * elements go through strides so that models of a few hundred MFLOP stay in seconds.
 * Structure, elementwise and movement are here, kernel operations in interpret_compute.c. */
#include "ir/interpret.h"

#include <math.h>
#include <string.h>

bool run_error(Run *r, const Node *n, const char *why)
{
	diag_error(r->d, n->span, "%s: %s", op_info[n->op].mnemonic, why);
	return false;
}

static int64_t input_element(const void *data, int64_t k)
{
	return (int64_t)((const double *)data)[k];
}

static bool input_named(void *ctx, const char *name, CheckInput *out)
{
	const Run *r = ctx;
	for (size_t i = 0; r->entry && i < r->entry->in_names.n; i++) {
		const Value *v = &r->inputs[i];
		if (strcmp(r->entry->in_names.at[i], name) != 0) continue;
		*out = (CheckInput){v->rank, v->dims, input_element, v->at};
		return true;
	}
	return false;
}

bool run_index(Run *r, const Node *n, int64_t index, int64_t limit)
{
	if (index >= 0 && index < limit) return true;
	const Attr *check = node_attr_const(n, "check");
	CheckFailure f = {.index = index, .limit = limit, .find = input_named, .ctx = r};
	char text[512];
	check_message(text, sizeof text, check->set ? check->s : "{an index} is outside 0..{limit-1}",
	              &f);
	diag_error(r->d, n->span, "%s", text);
	return false;
}

static bool sym_value(void *ctx, const DimSym *s, int64_t *out)
{
	Run *r = ctx;
	for (Binding *b = r->bindings; b; b = b->up)
		if (b->sym == s) {
			*out = b->value;
			return true;
		}
	for (size_t i = 0; r->params && i < r->m->params.n; i++) /* none while constants are folded */
		if (r->m->params.at[i] == s) {
			*out = r->params[i];
			return true;
		}
	return false;
}

bool run_dim(Run *r, const Node *n, Dim d, int64_t *out)
{
	return dim_eval(d, sym_value, r, out) ||
	       run_error(r, n, arena_printf(r->arena, "`%s` has no value here", dim_text(r->arena, d)));
}

Value *value_new(Run *r, const Node *n, const Type *type)
{
	Value *v = NEW(r->arena, Value);
	v->type = *type;
	v->rank = type->rank;
	v->count = 1;
	for (uint32_t i = 0; i < v->rank; i++) {
		if (!run_dim(r, n, type->dim[i], &v->dims[i])) return NULL;
		if (v->dims[i] < 0 || (v->dims[i] && v->count > INT64_MAX / 16 / v->dims[i])) {
			run_error(r, n,
			          arena_printf(r->arena, "dim %u of %s is %lld", i, type_text(r->arena, type),
			                       (long long)v->dims[i]));
			return NULL;
		}
		v->count *= v->dims[i];
	}
	v->at = NEW_ARRAY(r->arena, double, v->count ? v->count : 1);
	return v;
}

void value_round(const Run *r, Value *v)
{
	DType t = v->type.dtype;
	if (r->o.exact && dtype_is_float(t)) return;
	if (t == DT_F32) {
		for (int64_t i = 0; i < v->count; i++) v->at[i] = (double)(float)v->at[i];
	} else {
		for (int64_t i = 0; i < v->count; i++) v->at[i] = dtype_round(t, v->at[i]);
	}
}

void value_strides(const Value *v, int64_t *stride)
{
	int64_t s = 1;
	for (uint32_t i = v->rank; i-- > 0;) {
		stride[i] = s;
		s *= v->dims[i];
	}
}

void dims_walk(Walk *w, uint32_t rank, const int64_t *dims)
{
	memset(w, 0, sizeof *w);
	w->rank = rank;
	w->left = 1;
	for (uint32_t i = 0; i < rank; i++) {
		w->dims[i] = dims[i];
		w->left *= dims[i];
	}
}

bool dims_next(Walk *w)
{
	if (--w->left <= 0) return false;
	for (uint32_t i = w->rank; i-- > 0;) {
		for (uint32_t k = 0; k < WALK_OPERANDS; k++) w->offset[k] += w->stride[k][i];
		if (++w->index[i] < w->dims[i]) return true;
		for (uint32_t k = 0; k < WALK_OPERANDS; k++) w->offset[k] -= w->stride[k][i] * w->dims[i];
		w->index[i] = 0;
	}
	return true;
}

/* Strides of an operand stretched to rank dims (aligned at the right). */
static void broadcast_strides(const Value *v, uint32_t rank, int64_t *stride)
{
	int64_t own[MAX_RANK];
	value_strides(v, own);
	for (uint32_t i = 0; i < rank; i++) stride[i] = 0;
	for (uint32_t i = 0; i < v->rank; i++)
		if (v->dims[i] != 1) stride[rank - v->rank + i] = own[i];
}

static bool run_elementwise(Run *r, Node *n, Value *out)
{
	Walk w;
	Value *in[3] = {0};
	Scalar f = (Scalar)(n->op - OP_NEG);
	bool integer = n->op != OP_CAST && dtype_widened(n->in[n->n_in - 1]->type.dtype) == DT_I32;
	dims_walk(&w, out->rank, out->dims);
	for (uint32_t i = 0; i < n->n_in; i++) {
		in[i] = n->in[i]->data;
		broadcast_strides(in[i], out->rank, w.stride[i]);
		for (uint32_t k = 0; k < in[i]->rank; k++) {
			int64_t have = in[i]->dims[k], want = out->dims[out->rank - in[i]->rank + k];
			if (have != 1 && have != want)
				return run_error(r, n, "the sizes do not broadcast at run time");
		}
	}
	if (!out->count) return true;
	int64_t i = 0;
	do {
		double a = in[0]->at[w.offset[0]];
		if (n->op == OP_CAST)
			out->at[i++] = dtype_is_float(out->type.dtype) ? a
			               : out->type.dtype == DT_BOOL    ? a != 0
			                                               : dtype_round(out->type.dtype, a);
		else
			out->at[i++] = scalar_eval(f, integer, a, in[1] ? in[1]->at[w.offset[1]] : 0,
			                           in[2] ? in[2]->at[w.offset[2]] : 0);
	} while (dims_next(&w));
	return true;
}

/* Copies through strides; the walk is over the result. */
static void copy_strided(Value *out, const Value *in, int64_t first, const int64_t *stride)
{
	Walk w;
	if (!out->count) return;
	dims_walk(&w, out->rank, out->dims);
	memcpy(w.stride[0], stride, out->rank * sizeof *stride);
	int64_t i = 0;
	do out->at[i++] = in->at[first + w.offset[0]];
	while (dims_next(&w));
}

static bool run_slice(Run *r, Node *n, Value *out, const Value *x)
{
	const Attr *start = node_attr(n, "start"), *step = node_attr(n, "step");
	int64_t stride[MAX_RANK], first = 0, s;
	value_strides(x, stride);
	for (uint32_t i = 0; i < x->rank; i++) {
		int64_t by = step->set ? step->ints[i] : 1;
		if (!run_dim(r, n, start->dims[i], &s)) return false;
		if (s < 0 || (out->dims[i] && s + (out->dims[i] - 1) * by >= x->dims[i]))
			return run_error(
				r, n,
				arena_printf(r->arena,
			                 "part %lld.. of size %lld lies outside dim %u, which has %lld",
			                 (long long)s, (long long)out->dims[i], i, (long long)x->dims[i]));
		first += s * stride[i];
		stride[i] *= by;
	}
	copy_strided(out, x, first, stride);
	return true;
}

static bool run_update(Run *r, Node *n, Value *out, const Value *x, const Value *v)
{
	const Attr *start = node_attr(n, "start");
	int64_t stride[MAX_RANK], first = 0, s;
	Walk w;
	memcpy(out->at, x->at, (size_t)x->count * sizeof(double));
	value_strides(out, stride);
	dims_walk(&w, v->rank, v->dims);
	for (uint32_t i = 0; i < v->rank; i++) {
		if (!run_dim(r, n, start->dims[i], &s)) return false;
		if (s < 0 || s + v->dims[i] > out->dims[i])
			return run_error(
				r, n,
				arena_printf(r->arena,
			                 "part %lld.. of size %lld lies outside dim %u, which has %lld",
			                 (long long)s, (long long)v->dims[i], i, (long long)out->dims[i]));
		first += s * stride[i];
		w.stride[0][i] = stride[i];
	}
	if (!v->count) return true;
	int64_t i = 0;
	do out->at[first + w.offset[0]] = v->at[i++];
	while (dims_next(&w));
	return true;
}

static void run_concat(Node *n, Value *out)
{
	int64_t axis = node_attr(n, "axis")->i, inner = 1, outer = 1, at = 0;
	for (uint32_t i = 0; i < out->rank; i++) {
		if ((int64_t)i < axis) outer *= out->dims[i];
		if ((int64_t)i > axis) inner *= out->dims[i];
	}
	for (uint32_t k = 0; k < n->n_in; k++) {
		const Value *x = n->in[k]->data;
		int64_t part = x->dims[axis] * inner;
		for (int64_t o = 0; o < outer; o++)
			memcpy(out->at + o * out->dims[axis] * inner + at, x->at + o * part,
			       (size_t)part * sizeof(double));
		at += part;
	}
}

static void run_pad(Node *n, Value *out, const Value *x)
{
	const Attr *lo = node_attr(n, "lo"), *value = node_attr(n, "value");
	int64_t stride[MAX_RANK], first = 0;
	Walk w;
	for (int64_t i = 0; i < out->count; i++) out->at[i] = value->f;
	value_strides(out, stride);
	dims_walk(&w, x->rank, x->dims);
	for (uint32_t i = 0; i < x->rank; i++) {
		first += lo->ints[i] * stride[i];
		w.stride[0][i] = stride[i];
	}
	if (!x->count) return;
	int64_t i = 0;
	do out->at[first + w.offset[0]] = x->at[i++];
	while (dims_next(&w));
}

static bool run_gather(Run *r, Node *n, Value *out, const Value *x, const Value *idx)
{
	int64_t axis = node_attr(n, "axis")->i, inner = 1, outer = 1;
	for (uint32_t i = 0; i < x->rank; i++) {
		if ((int64_t)i < axis) outer *= x->dims[i];
		if ((int64_t)i > axis) inner *= x->dims[i];
	}
	for (int64_t k = 0; k < idx->count; k++) {
		int64_t row = (int64_t)idx->at[k];
		if (!run_index(r, n, row, x->dims[axis])) return false;
		for (int64_t o = 0; o < outer; o++)
			memcpy(out->at + (o * idx->count + k) * inner,
			       x->at + (o * x->dims[axis] + row) * inner, (size_t)inner * sizeof(double));
	}
	return true;
}

static bool run_movement(Run *r, Node *n, Value *out)
{
	Value *x = n->n_in ? n->in[0]->data : NULL;
	int64_t stride[MAX_RANK] = {0}, own[MAX_RANK];
	switch (n->op) {
	case OP_RESHAPE:
		if (out->count != x->count)
			return run_error(r, n, "the numbers of elements differ at run time");
		memcpy(out->at, x->at, (size_t)x->count * sizeof(double));
		return true;
	case OP_TRANSPOSE:
		value_strides(x, own);
		for (uint32_t i = 0; i < x->rank; i++) stride[i] = own[node_attr(n, "perm")->ints[i]];
		copy_strided(out, x, 0, stride);
		return true;
	case OP_BROADCAST:
		broadcast_strides(x, out->rank, stride);
		copy_strided(out, x, 0, stride);
		return true;
	case OP_SLICE: return run_slice(r, n, out, x);
	case OP_UPDATE: return run_update(r, n, out, x, n->in[1]->data);
	case OP_CONCAT: run_concat(n, out); return true;
	case OP_PAD: run_pad(n, out, x); return true;
	case OP_GATHER: return run_gather(r, n, out, x, n->in[1]->data);
	case OP_IOTA: {
		Walk w;
		if (!out->count) return true;
		dims_walk(&w, out->rank, out->dims);
		w.stride[0][node_attr(n, "axis")->i] = 1;
		int64_t i = 0;
		do out->at[i++] = (double)w.offset[0];
		while (dims_next(&w));
		return true;
	}
	default: return run_error(r, n, "no movement");
	}
}

static bool run_graph(Run *r, Graph *g);

static bool run_loop(Run *r, Node *n)
{
	Graph *g = n->region;
	int64_t count;
	size_t carried = n->n_in, results = g->results.n;
	if (!run_dim(r, n, node_attr(n, "count")->d, &count)) return false;
	Value **final = NEW_ARRAY(r->arena, Value *, results + 1);
	for (size_t i = 0; i < carried; i++) final[i] = n->in[i]->data;
	for (size_t i = carried; i < results; i++)
		if (!(final[i] = value_new(r, n, &n->type.element[i]))) return false;
	Binding b = {r->bindings, node_attr(n, "var")->sym, 0};
	r->bindings = &b;
	for (b.value = 0; b.value < count; b.value++) {
		for (size_t i = 0; i < carried; i++) g->args.at[i]->data = final[i];
		if (!run_graph(r, g)) return false;
		for (size_t i = 0; i < results; i++) {
			Value *v = g->results.at[i]->data;
			if (i < carried)
				final[i] = v;
			else
				memcpy(final[i]->at + b.value * v->count, v->at, (size_t)v->count * sizeof(double));
		}
	}
	r->bindings = b.up;
	n->data = final;
	return true;
}

static bool run_kernel(Run *r, Node *n)
{
	Graph *g = n->region;
	for (uint32_t i = 0; i < n->n_in; i++) g->args.at[i]->data = n->in[i]->data;
	if (!run_graph(r, g)) return false;
	if (!n->type.is_tuple) {
		n->data = g->results.at[0]->data;
		return true;
	}
	Value **list = NEW_ARRAY(r->arena, Value *, g->results.n);
	for (size_t i = 0; i < g->results.n; i++) list[i] = g->results.at[i]->data;
	n->data = list;
	return true;
}

static bool run_structure(Run *r, Node *n)
{
	switch (n->op) {
	case OP_PARAM: n->data = (void *)&r->inputs[node_attr(n, "number")->i]; return true;
	case OP_ARG: return true; /* set by the loop or kernel */
	case OP_WEIGHT: n->data = (void *)&r->weights[node_attr(n, "number")->i]; return true;
	case OP_STATE: n->data = &r->states[node_attr(n, "number")->i]; return true;
	case OP_GET: n->data = ((Value **)n->in[0]->data)[node_attr(n, "number")->i]; return true;
	case OP_LOOP: return run_loop(r, n);
	case OP_KERNEL: return run_kernel(r, n);
	case OP_CONST: {
		const Tensor *t = node_attr(n, "value")->tensor;
		Value *v = value_new(r, n, &n->type);
		if (!v) return false;
		for (int64_t i = 0; i < v->count; i++)
			v->at[i] = dtype_load(t->dtype, t->data, t->count == 1 ? 0 : i);
		n->data = v;
		return true;
	}
	case OP_DIM: {
		int64_t d;
		Value *v = value_new(r, n, &n->type);
		if (!v || !run_dim(r, n, node_attr(n, "value")->d, &d)) return false;
		v->at[0] = (double)d;
		n->data = v;
		return true;
	}
	case OP_TUPLE: {
		Value **list = NEW_ARRAY(r->arena, Value *, n->n_in + 1);
		for (uint32_t i = 0; i < n->n_in; i++) list[i] = n->in[i]->data;
		n->data = list;
		return true;
	}
	default: return run_error(r, n, "no structure");
	}
}

static bool run_node(Run *r, Node *n)
{
	OpKind kind = op_info[n->op].kind;
	if (n->op == OP_HAND) return run_kernel(r, n);
	if (kind == KIND_STRUCTURE) return run_structure(r, n);
	if (op_info[n->op].traits & T_TUPLE) return run_compute_tuple(r, n);
	Value *out = value_new(r, n, &n->type);
	if (!out) return false;
	bool ok = kind == KIND_ELEMENTWISE ? run_elementwise(r, n, out)
	          : kind == KIND_MOVEMENT  ? run_movement(r, n, out)
	                                   : run_compute(r, n, out);
	if (!ok) return false;
	value_round(r, out);
	n->data = out;
	return true;
}

static bool run_graph(Run *r, Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		if (!run_node(r, n)) return false;
		if (r->o.observe && n->name && !n->type.is_tuple) r->o.observe(r->o.ctx, n, n->data);
	}
	return true;
}

static bool check_require(Run *r, const Entry *e, Dim d, const char *text)
{
	int64_t v;
	if (!dim_eval(d, sym_value, r, &v)) {
		diag_error(r->d, e->span, "`%s` has no value", message_relation(r->arena, text));
		return false;
	}
	if (v < 0)
		diag_error(r->d, e->span, "the call does not meet `require %s`",
		           message_relation(r->arena, text));
	return v >= 0;
}

bool module_interpret(Arena *a, Diags *d, Module *m, const Entry *e, int64_t *params,
                      const Value *inputs, const Value *weights, Value *states, Value *outputs,
                      const InterpretOptions *o)
{
	Run r = {.arena = a,
	         .d = d,
	         .m = m,
	         .entry = e,
	         .params = params,
	         .inputs = inputs,
	         .weights = weights,
	         .states = states};
	if (o) r.o = *o;
	for (size_t i = 0; i < m->require.n; i++)
		if (!check_require(&r, e, m->require.at[i], m->require_text.at[i])) return false;
	for (size_t i = 0; i < e->require.n; i++)
		if (!check_require(&r, e, e->require.at[i], e->require_text.at[i])) return false;
	if (!run_graph(&r, e->graph)) return false;
	size_t n_out = e->out_names.n;
	for (size_t i = 0; i < n_out; i++) outputs[i] = *(Value *)e->graph->results.at[i]->data;
	/* All are copied before any is stored: the result may be the value of another state. */
	Value *stored = NEW_ARRAY(a, Value, e->writes.n + 1);
	for (size_t i = 0; i < e->writes.n; i++) {
		const Value *v = e->graph->results.at[n_out + i]->data;
		stored[i] = *v;
		stored[i].at = NEW_ARRAY(a, double, v->count ? v->count : 1);
		memcpy(stored[i].at, v->at, (size_t)v->count * sizeof(double));
	}
	for (size_t i = 0; i < e->writes.n; i++) states[e->writes.at[i]] = stored[i];
	int64_t *next = NEW_ARRAY(a, int64_t, e->set_sym.n + 1);
	for (size_t i = 0; i < e->set_sym.n; i++)
		if (!dim_eval(e->set_value.at[i], sym_value, &r, &next[i])) return false;
	for (size_t i = 0; i < e->set_sym.n; i++)
		for (size_t k = 0; k < m->params.n; k++)
			if (m->params.at[k] == e->set_sym.at[i]) params[k] = next[i];
	return true;
}
