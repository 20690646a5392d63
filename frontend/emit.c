/* Nodes of the graph being built. Shape rules report through here, so that a message has the place
 * where the code was called from, and is given once. */
#include "frontend/build.h"

#include <string.h>

static bool sizes_fit(Build *b, const Node *n)
{
	for (uint32_t i = 0; !n->type.is_tuple && i < n->type.rank; i++)
		if (dim_is_poison(n->type.dim[i])) {
			complain(b, n->span, "a size grows beyond 64 bits here");
			return false;
		}
	return true;
}

Node *emit(Build *b, Node *n)
{
	if (!n || b->stop) return NULL;
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!n->in[i]) return NULL;
	if (b->graph && takes_precision(b, n)) return emit_in_precision(b, n);
	if (!b->graph) {
		complain(b, n->span,
		         "tensors are computed inside a `def`, not among the members of a layer");
		return NULL;
	}
	if (b->m->next_id > NODE_LIMIT) {
		over_limit(b, n->span, "the model is too large: it makes more than 400000 operations");
		return NULL;
	}
	/* a def of a file works for the layer that calls it */
	const Frame *frame = b->frame;
	while (frame && !frame->place) frame = frame->up;
	if (frame) {
		n->scope = frame->place->path;
		n->layer = frame->place->instance->layer->name;
	}
	Diags own = {.arena = b->arena};
	if (graph_add(b->graph, &own, n)) return sizes_fit(b, n) && !ragged_refuses(b, n) ? n : NULL;
	for (size_t i = 0; i < own.list.n; i++)
		complain(b, own.list.at[i]->span, "%s", own.list.at[i]->text);
	return NULL;
}

Node *emit_unary(Build *b, Op op, Node *x, Span s)
{
	return x ? emit(b, node_new(b->m, op, 1, &x, s)) : NULL;
}

Node *emit_binary(Build *b, Op op, Node *x, Node *y, Span s)
{
	return x && y ? emit(b, node_new(b->m, op, 2, (Node *[]){x, y}, s)) : NULL;
}

static Node *constant(Build *b, const Tensor *v, const Type *type, Span s)
{
	Node *n = node_new(b->m, OP_CONST, 0, NULL, s);
	attr_tensor(n, "value", v);
	n->type = *type;
	return emit(b, n);
}

Node *emit_number(Build *b, DType t, double v, Span s)
{
	Tensor *value = NEW(b->arena, Tensor);
	Type type = type_scalar(t);
	value->dtype = t;
	value->count = 1;
	value->data = arena_alloc(b->arena, 8);
	dtype_store(t, value->data, 0, v);
	return constant(b, value, &type, s);
}

Node *emit_constant(Build *b, const ConstTensor *c, Span s)
{
	return constant(b, c->value, &c->type, s);
}

Node *emit_dim(Build *b, Dim d, Span s)
{
	Node *n = node_new(b->m, OP_DIM, 0, NULL, s);
	attr_dim(n, "value", d);
	n->type = type_scalar(DT_I32);
	return emit(b, n);
}

Node *emit_cast(Build *b, Node *x, DType t, Span s)
{
	if (!x || x->type.dtype == t) return x;
	Node *n = node_new(b->m, OP_CAST, 1, &x, s);
	attr_int(n, "dtype", t);
	return emit(b, n);
}

bool dims_equal(Build *b, Dim x, Dim y)
{
	return x == y || dim_eq(&b->m->facts, x, y) == PROOF_YES;
}

bool dim_is(Dim d, int64_t v)
{
	int64_t have;
	return dim_is_const(d, &have) && have == v;
}

static bool same_dims(const Type *t, uint32_t rank, const Dim *dims)
{
	if (t->rank != rank) return false;
	for (uint32_t i = 0; i < rank; i++)
		if (t->dim[i] != dims[i]) return false;
	return true;
}

Node *emit_reshape(Build *b, Node *x, uint32_t rank, const Dim *dims, Span s)
{
	if (!x || same_dims(&x->type, rank, dims)) return x;
	if (x->op == OP_RESHAPE && x->in[0]->owner == b->graph)
		x = x->in[0]; /* one reshape does for two */
	if (same_dims(&x->type, rank, dims)) return x;
	Node *n = node_new(b->m, OP_RESHAPE, 1, &x, s);
	attr_dims(b->m, n, "dims", rank, dims);
	return emit(b, n);
}

Node *emit_transpose(Build *b, Node *x, const int64_t *perm, Span s)
{
	if (!x) return NULL;
	bool same = true;
	for (uint32_t i = 0; i < x->type.rank; i++) same &= perm[i] == (int64_t)i;
	if (same) return x;
	Node *n = node_new(b->m, OP_TRANSPOSE, 1, &x, s);
	attr_ints(b->m, n, "perm", x->type.rank, perm);
	return emit(b, n);
}

Node *emit_broadcast(Build *b, Node *x, uint32_t rank, const Dim *dims, Span s)
{
	if (!x || same_dims(&x->type, rank, dims)) return x;
	Node *n = node_new(b->m, OP_BROADCAST, 1, &x, s);
	attr_dims(b->m, n, "dims", rank, dims);
	return emit(b, n);
}

Node *emit_strided_slice(Build *b, Node *x, const Dim *start, const Dim *size, const int64_t *step,
                         Span s)
{
	if (!x) return NULL;
	bool whole = true, strided = false;
	for (uint32_t i = 0; i < x->type.rank; i++) {
		whole &= dim_is(start[i], 0) && size[i] == x->type.dim[i];
		strided |= step && step[i] != 1;
	}
	if (whole) return x;
	Node *n = node_new(b->m, OP_SLICE, 1, &x, s);
	attr_dims(b->m, n, "start", x->type.rank, start);
	attr_dims(b->m, n, "size", x->type.rank, size);
	if (strided) attr_ints(b->m, n, "step", x->type.rank, step);
	return emit(b, n);
}

Node *emit_slice(Build *b, Node *x, const Dim *start, const Dim *size, Span s)
{
	return emit_strided_slice(b, x, start, size, NULL, s);
}

Node *emit_reduce(Build *b, Op op, const char *how, Node *x, uint32_t n_axes, const int64_t *axes,
                  bool keep, Span s)
{
	if (!x) return NULL;
	for (uint32_t i = 0; b->ragged.n && i < n_axes; i++) {
		uint32_t batch;
		if (op == OP_MEAN && ragged_axis(b, &x->type, (uint32_t)axes[i], &batch))
			return emit_binary(b, OP_DIV,
			                   emit_reduce(b, OP_REDUCE, "sum", x, n_axes, axes, keep, s),
			                   ragged_count(b, &x->type, n_axes, axes, keep, s), s);
		RaggedFill with = !how                       ? FILL_ZERO
		                  : strcmp(how, "prod") == 0 ? FILL_ONE
		                  : strcmp(how, "min") == 0  ? FILL_GREATEST
		                  : strcmp(how, "sum") == 0  ? FILL_ZERO
		                                             : FILL_LEAST;
		x = ragged_fill(b, x, (uint32_t)axes[i], with, s);
		if (!x) return NULL;
	}
	Node *n = node_new(b->m, op, 1, &x, s);
	if (how) attr_str(n, "reduce", intern_str(b->names, how));
	attr_ints(b->m, n, "axes", n_axes, axes);
	if (keep) attr_int(n, "keep", 1);
	return emit(b, n);
}

Node *emit_concat(Build *b, uint32_t n_in, Node *const *x, int64_t axis, Span s)
{
	if (n_in == 1) return x[0];
	Node *n = node_new(b->m, OP_CONCAT, n_in, x, s);
	attr_int(n, "axis", axis);
	return emit(b, n);
}

bool broadcast_shape(Build *b, const Item *x, const Item *y, const Ast *e, const char *op,
                     Type *out)
{
	const Type *p = &x->node->type, *q = &y->node->type;
	uint32_t rank = p->rank > q->rank ? p->rank : q->rank;
	*out = (Type){.rank = rank, .dtype = p->dtype};
	for (uint32_t k = 0; k < rank; k++) {
		Dim one = dim_const(b->m->dims, 1);
		Dim u = k < p->rank ? p->dim[p->rank - 1 - k] : one,
			v = k < q->rank ? q->dim[q->rank - 1 - k] : one;
		if (!dim_is(u, 1) && !dim_is(v, 1) && !dims_equal(b, u, v)) {
			Diag *m = complain(
				b, e->kind == AST_BINARY ? e->op_span : e->span,
				"%s of %s and %s: the shapes do not broadcast (%s and %s, axis %d from the end)",
				op, type_text(b->arena, p), type_text(b->arena, q), dim_text(b->arena, u),
				dim_text(b->arena, v), (int)k + 1);
			if (e->kind == AST_BINARY) {
				diag_also(m, e->a->span);
				diag_also(m, e->b->span);
			}
			note_origin(b, m, x, NULL);
			note_origin(b, m, y, NULL);
			advise_broadcast(b, m, e, p, q);
			return false;
		}
		out->dim[rank - 1 - k] = dim_is(u, 1) ? v : u;
	}
	return !advise_outer(b, e, x, y, op);
}

typedef struct LoopSyms {
	bool found;
} LoopSyms;
static void find_loop_sym(void *ctx, DimSym *s)
{
	if (s->kind == SYM_LOOP) ((LoopSyms *)ctx)->found = true;
}

void add_require(Build *b, Dim nonneg, const char *text)
{
	LoopSyms l = {0};
	if (!b->entry) return;
	dim_visit_syms(nonneg, find_loop_sym, &l);
	if (l.found) return; /* checked where it is used, turn by turn */
	for (size_t i = 0; i < b->entry->require.n; i++)
		if (b->entry->require.at[i] == nonneg) return;
	if (b->branch) {
		const char *relation = arena_printf(b->arena, "%s >= 0", dim_text(b->arena, nonneg));
		Diag *m = complain(b, b->branch->span,
		                   "a side of this `if` needs %s, which must hold on both", relation);
		diag_help(b->d, m,
		          "require %s  before it; or two entries, the dims apart by  where S in lo..hi",
		          relation);
		return;
	}
	vec_push(b->arena, &b->entry->require, nonneg);
	vec_push(b->arena, &b->entry->require_text, text);
	vec_push(b->arena, &b->m->facts.nonneg, nonneg);
}

bool assume_le(Build *b, Dim lo, Dim hi, Span at)
{
	Proof p = dim_le(&b->m->facts, lo, hi);
	if (p == PROOF_NO) return false;
	if (p == PROOF_UNKNOWN)
		add_require(b, dim_sub(b->m->dims, hi, lo),
		            failed_relation(b,
		                            arena_printf(b->arena, "%s <= %s", dim_text(b->arena, lo),
		                                         dim_text(b->arena, hi)),
		                            lo, hi, at));
	return true;
}
