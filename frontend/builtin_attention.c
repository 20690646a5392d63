/* attention(q, k, v, scale=.., mask=.., bias=.., soft_cap=.., score=..). Masks and scores are index
 * functions over (b, h, i, j): batch, head, query and key. i counts as keys do: the last query stands
 * at the last key, so `j <= i` is the causal mask whether or not there is a cache. */
#include "frontend/builtin.h"

#include <math.h>
#include <string.h>

enum { ARG_Q, ARG_K, ARG_V, ARG_SCALE, ARG_MASK, ARG_BIAS, ARG_SOFT_CAP, ARG_SCORE };

Item builtin_window(Call *c)
{
	int64_t w;
	if (!need_int(c->b, &c->in[0].item, c->in[0].span, call_what(c, "width"), &w)) return bad();
	if (w < 1) {
		complain(c->b, c->in[0].span, "a window holds at least the token itself");
		return bad();
	}
	return (Item){.kind = ITEM_MASK, .integer = w};
}

Item builtin_causal(Call *c)
{
	complain(c->b, c->at, "causal is a mask, written without brackets:  mask=causal");
	return bad();
}

typedef struct Inputs {
	Node *q, *k, *v;
	uint32_t rank, batch; /* batch: the axis of the rows of ragged queries or keys */
	Dim queries, keys;
	Node *
		shift; /* [B, 1, 1, 1]: how far the queries of a row stand behind its first key; NULL: alike */
} Inputs;

static Node *axis_numbers(Build *b, Dim n, Dim first, uint32_t behind, Span at)
{
	Dim dims[MAX_RANK];
	Node *i = node_new(b->m, OP_IOTA, 0, NULL, at);
	dims[0] = n;
	for (uint32_t k = 1; k <= behind; k++) dims[k] = dim_const(b->m->dims, 1);
	attr_dims(b->m, i, "dims", behind + 1, dims);
	attr_int(i, "axis", 0);
	i = emit(b, i);
	Item offset = item_dim(first);
	return dim_is(first, 0) ? i : emit_binary(b, OP_ADD, i, as_node(b, &offset, DT_I32, at), at);
}

/* Evaluates the body of an index function over the positions it names; `skip` leading names (s of a
 * score) are not positions. */
static Item index_function(Call *c, const Argument *a, const Inputs *in, uint32_t skip,
                           const Ast *body)
{
	Build *b = c->b;
	const Ast *params = a->ast;
	size_t n = params->kind == AST_TUPLE ? params->list.n : 1;
	Dim zero = dim_const(b->m->dims, 0);
	Scope *was = b->frame->scope;
	if (n != skip + 4 && n != skip + 2) {
		complain(b, params->span,
		         "an index function of attention is over (%sb, h, i, j) or (%si, j)",
		         skip ? "s, " : "", skip ? "s, " : "");
		return bad();
	}
	b->frame->scope = scope_new(b, was);
	bool ok = true;
	for (size_t k = skip; k < n && ok; k++) {
		const Ast *name = params->list.at[k];
		size_t role = n - k; /* 4: b, 3: h, 2: i, 1: j */
		Node *v = NULL;
		if (name->kind != AST_NAME) {
			complain(b, name->span, "the positions of an index function are names");
			ok = false;
			break;
		}
		if (role == 4)
			v = in->rank > 3 ? axis_numbers(b, in->q->type.dim[in->rank - 4], zero, 3, name->span)
			                 : emit_number(b, DT_I32, 0, name->span);
		if (role == 3) v = axis_numbers(b, in->q->type.dim[in->rank - 3], zero, 2, name->span);
		if (role == 2 && in->shift)
			v = emit_binary(b, OP_ADD, axis_numbers(b, in->queries, zero, 1, name->span), in->shift,
			                name->span);
		else if (role == 2)
			v = axis_numbers(b, in->queries, dim_sub(b->m->dims, in->keys, in->queries), 1,
			                 name->span);
		if (role == 1) v = axis_numbers(b, in->keys, zero, 0, name->span);
		ok = v != NULL;
		scope_set(b, b->frame->scope, name->name, item_node(v), name->span)->fixed = true;
	}
	Item r = ok ? eval(b, body) : bad();
	b->frame->scope = was;
	return r;
}

static bool is_name(const Ast *e, const Ast *params, size_t from_end)
{
	return e->kind == AST_NAME && params->kind == AST_TUPLE && params->list.n >= from_end &&
	       params->list.at[params->list.n - from_end]->name == e->name;
}

/* j <= i */
static bool is_causal(const Argument *a)
{
	const Ast *e = a->arrow;
	return e->kind == AST_BINARY && e->op == AST_OP('<', '=') && is_name(e->a, a->ast, 1) &&
	       is_name(e->b, a->ast, 2);
}

static Node *add_bias(Build *b, Node *bias, Node *more, Span at)
{
	return bias && more ? emit_binary(b, OP_ADD, bias, more, at) : more;
}

static bool read_mask(Call *c, const Inputs *in, Node **bias, bool *causal, int64_t *window)
{
	Build *b = c->b;
	const Argument *a = &c->in[ARG_MASK];
	Item mask = a->item;
	if (a->arrow) {
		if (is_causal(a)) {
			*causal = true;
			return true;
		}
		mask = index_function(c, a, in, 0, a->arrow);
	}
	switch (mask.kind) {
	case ITEM_NONE: return true;
	case ITEM_MASK:
		*causal = true;
		*window = mask.integer;
		return true;
	case ITEM_BUILTIN:
		if (strcmp(builtin_name(mask.builtin), "causal") == 0) {
			*causal = true;
			return true;
		}
		break;
	case ITEM_BOOL:
		if (mask.integer) return true;
		break;
	case ITEM_BAD: return false;
	default: break;
	}
	Node *m = mask.kind == ITEM_TENSOR || mask.kind == ITEM_CONST
	              ? need_tensor(b, &mask, a->span, "a mask")
	              : NULL;
	if (!m || m->type.dtype != DT_BOOL) {
		Diag *d = complain(
			b, a->span, "a mask is causal, window(W), an index function or a bool tensor, not %s",
			item_kind(b, &mask));
		diag_help(b->d, d,
		          "mask=(b, h, i, j) -> j <= i and i - j < W; numbers to be added are the bias");
		return false;
	}
	Node *zero = emit_number(b, DT_F32, 0, a->span),
		 *never = emit_number(b, DT_F32, (double)-INFINITY, a->span);
	if (!zero || !never) return false;
	*bias = add_bias(b, *bias,
	                 emit(b, node_new(b->m, OP_SELECT, 3, (Node *[]){m, zero, never}, a->span)),
	                 a->span);
	return *bias != NULL;
}

/* score=(s, b, h, i, j) -> s + f(b, h, i, j): what is added is a bias. */
static bool read_score(Call *c, const Inputs *in, Node **bias)
{
	Build *b = c->b;
	const Argument *a = &c->in[ARG_SCORE];
	if (!c->given[ARG_SCORE]) return true;
	const Ast *e = a->arrow, *s = a->ast && a->ast->kind == AST_TUPLE && a->ast->list.n
	                                  ? a->ast->list.at[0]
	                                  : NULL;
	bool sum = e && s && e->kind == AST_BINARY && e->op == '+';
	bool left = sum && e->a->kind == AST_NAME && e->a->name == s->name,
		 right = sum && e->b->kind == AST_NAME && e->b->name == s->name;
	if (left == right) {
		Diag *m = complain(b, a->span, "a score function adds to the score");
		diag_help(b->d, m, "score=(s, b, h, i, j) -> s + slope * f32(j - i)");
		return false;
	}
	Item v = index_function(c, a, in, 1, left ? e->b : e->a);
	Node *n = v.kind == ITEM_BAD ? NULL : need_tensor(b, &v, a->span, "what a score function adds");
	if (n && !dtype_is_float(n->type.dtype)) {
		complain(b, a->span, "what a score function adds must be a float, this is %s",
		         type_text(b->arena, &n->type));
		return false;
	}
	*bias = add_bias(b, *bias, n, a->span);
	return n != NULL;
}

static Diag *inputs_differ(Call *c, const Inputs *in, const char *why)
{
	Build *b = c->b;
	Diag *m =
		complain(b, c->at, "attention of %s, %s and %s: %s", type_text(b->arena, &in->q->type),
	             type_text(b->arena, &in->k->type), type_text(b->arena, &in->v->type), why);
	for (uint32_t i = ARG_Q; i <= ARG_V; i++) note_origin(b, m, &c->in[i].item, NULL);
	return m;
}

static bool read_inputs(Call *c, Inputs *in)
{
	Build *b = c->b;
	in->q = call_tensor(c, ARG_Q);
	in->k = call_tensor(c, ARG_K);
	in->v = call_tensor(c, ARG_V);
	if (!in->q || !in->k || !in->v) return false;
	const Type *q = &in->q->type, *k = &in->k->type, *v = &in->v->type;
	uint32_t r = in->rank = q->rank;
	int64_t heads, groups;
	if (r < 3 || k->rank != r || v->rank != r) {
		diag_help(b->d, inputs_differ(c, in, "they are [.., heads, length, width]"),
		          "heads are split off with  rearrange(x, [B, S, (H, Dh)] -> [B, H, S, Dh])");
		return false;
	}
	if (!dims_equal(b, q->dim[r - 1], k->dim[r - 1]))
		return inputs_differ(c, in,
		                     arena_printf(b->arena, "q and k differ in width (%s and %s)",
		                                  dim_text(b->arena, q->dim[r - 1]),
		                                  dim_text(b->arena, k->dim[r - 1]))) &&
		       false;
	if (!dims_equal(b, k->dim[r - 2], v->dim[r - 2]))
		return inputs_differ(c, in,
		                     arena_printf(b->arena, "k and v differ in length (%s and %s)",
		                                  dim_text(b->arena, k->dim[r - 2]),
		                                  dim_text(b->arena, v->dim[r - 2]))) &&
		       false;
	if (!dims_equal(b, k->dim[r - 3], v->dim[r - 3]))
		return inputs_differ(c, in, "k and v differ in heads") && false;
	if (!dim_is_const(q->dim[r - 3], &heads) || !dim_is_const(k->dim[r - 3], &groups) ||
	    groups < 1 || heads % groups) {
		Diag *m = inputs_differ(c, in, "the heads of k and v must divide those of q");
		int64_t n;
		if (dim_is_const(q->dim[r - 2], &n) && !dim_is_const(q->dim[r - 3], &n))
			diag_help(b->d, m,
			          "heads stand before the rows, [.., heads, rows, width]:  rearrange(x, [B, S, "
			          "(H, Dh)] -> [B, H, S, Dh])");
		return false;
	}
	for (uint32_t i = 0; i + 3 < r; i++)
		if (!dims_equal(b, q->dim[i], k->dim[i]) || !dims_equal(b, q->dim[i], v->dim[i]))
			return inputs_differ(c, in, "they differ in an outer dim") && false;
	in->queries = q->dim[r - 2];
	in->keys = k->dim[r - 2];
	return true;
}

/* Rows of queries or keys with lengths of their own: keys behind a row's length are masked, causal
 * masks and windows follow from each row's lengths. */
static bool ragged_inputs(Call *c, Inputs *in)
{
	Build *b = c->b;
	uint32_t r = in->rank, other;
	bool queries = ragged_axis(b, &in->q->type, r - 2, &in->batch),
		 keys = ragged_axis(b, &in->k->type, r - 2, &other);
	if (keys) in->batch = other;
	if (keys) {
		in->k = ragged_clean(b, in->k, r - 2, c->at);
		in->v = ragged_clean(b, in->v, r - 2, c->at);
	}
	if ((!queries && !keys) || in->queries == in->keys) return in->k && in->v;
	const Ragged *u = ragged_find(b, in->queries), *v = ragged_find(b, in->keys);
	Item from = item_dim(in->queries), to = item_dim(in->keys);
	Node *n = queries ? u->rows : as_node(b, &from, DT_I32, c->at),
		 *k = keys ? v->rows : as_node(b, &to, DT_I32, c->at);
	in->shift = ragged_spread(b, emit_binary(b, OP_SUB, k, n, c->at), r, in->batch, c->at);
	return in->shift && in->k && in->v;
}

/* What the flags of the kernel say of even rows, as a bias. */
static bool ragged_mask(Call *c, const Inputs *in, Node **bias, bool *causal, int64_t *window)
{
	Build *b = c->b;
	Span at = c->at;
	const Ragged *keys = ragged_find(b, in->keys);
	Dim zero = dim_const(b->m->dims, 0);
	Node *m = NULL, *j = axis_numbers(b, in->keys, zero, 0, at);
	/* with causal rows of one length for queries and keys no query sees padding */
	if ((!keys && !in->shift) || (*causal && !in->shift)) return true;
	if (keys)
		m = emit_binary(b, OP_LT, j, ragged_spread(b, keys->rows, in->rank, in->batch, at), at);
	if (*causal && in->shift) {
		Node *i = emit_binary(b, OP_ADD, axis_numbers(b, in->queries, zero, 1, at), in->shift, at);
		Node *seen = emit_binary(b, OP_LE, j, i, at);
		m = m ? emit_binary(b, OP_AND, m, seen, at) : seen;
		if (*window)
			m = emit_binary(b, OP_AND, m,
			                emit_binary(b, OP_LT, emit_binary(b, OP_SUB, i, j, at),
			                            emit_number(b, DT_I32, (double)*window, at), at),
			                at);
		*causal = false;
		*window = 0;
	}
	Node *open = emit_number(b, DT_F32, 0, at),
		 *never = emit_number(b, DT_F32, (double)-INFINITY, at);
	if (!m || !open || !never) return false;
	*bias = add_bias(b, *bias,
	                 emit(b, node_new(b->m, OP_SELECT, 3, (Node *[]){m, open, never}, at)), at);
	return *bias != NULL;
}

Item builtin_attention(Call *c)
{
	Build *b = c->b;
	Inputs in = {0};
	double scale, cap = 0;
	Node *bias = NULL;
	bool causal = false;
	int64_t window = 0;
	for (uint32_t i = 0; i < ARG_MASK; i++)
		if (c->in[i].arrow) {
			complain(b, c->in[i].span, "only mask and score are index functions");
			return bad();
		}
	if (!read_inputs(c, &in) || !ragged_inputs(c, &in) || !call_number(c, ARG_SCALE, 1, &scale) ||
	    !call_number(c, ARG_SOFT_CAP, 0, &cap))
		return bad();
	if (c->in[ARG_BIAS].item.kind != ITEM_NONE && !(bias = call_tensor(c, ARG_BIAS))) return bad();
	if (bias && !dtype_is_float(bias->type.dtype)) {
		complain(b, c->in[ARG_BIAS].span, "the bias must be a float tensor, this is %s",
		         type_text(b->arena, &bias->type));
		return bad();
	}
	if (!read_mask(c, &in, &bias, &causal, &window) || !read_score(c, &in, &bias) ||
	    (b->ragged.n && !ragged_mask(c, &in, &bias, &causal, &window)))
		return bad();
	Node *operands[4] = {in.q, in.k, in.v, bias};
	Node *n = node_new(b->m, OP_ATTENTION, bias ? 4 : 3, operands, c->at);
	attr_float(n, "scale", scale);
	if (causal) attr_int(n, "causal", 1);
	if (window) attr_int(n, "window", window);
	if (cap > 0) attr_float(n, "soft_cap", cap);
	bool inside = b->ragged_inside;
	b->ragged_inside = true;
	n = emit(b, n);
	b->ragged_inside = inside;
	return item_node(n);
}
