/* Attributes that change how a value is computed or held. @precision(i8) before a statement, a loop,
 * a def or a layer in use: products in it, and in what it calls, take operands of that type. @keep(f32) before an
 * assignment: what is assigned holds that type, and no @precision around it reaches its products.
 * What the operands go through is written into the graph, so that every target does the same. @target(cpu) before
 * an entry or a test: others leave it out. */
#include "frontend/build.h"

#include <string.h>

void check_attributes(Build *b, const Ast *n, const char *const *known, size_t count)
{
	for (size_t i = 0; i < n->attributes.n; i++) {
		const Ast *a = n->attributes.at[i];
		bool found = false;
		for (size_t k = 0; k < count; k++) found |= strcmp(a->name, known[k]) == 0;
		if (!found) refuse_attribute(b, a, known, count);
	}
}

const char *target_of(Build *b, const Ast *n, Span *at)
{
	const Ast *a = find_attribute(n, "target"), *arg = NULL;
	if (!a) return NULL;
	if (at) *at = a->span;
	if (a->list.n == 1 && a->list.at[0] && !a->list.at[0]->name && !a->list.at[0]->op)
		arg = a->list.at[0]->a;
	const char *names[NUM_TARGETS];
	size_t count = 0;
	for (size_t i = 0; i < NUM_TARGETS; i++) {
		if (!target_info[i].compiled) continue;
		names[count++] = target_info[i].name;
		if (arg && arg->kind == AST_NAME && strcmp(arg->name, target_info[i].name) == 0)
			return target_info[i].name;
	}
	Diag *m = complain(b, a->span, "@target takes one target, cpu or pearl");
	const char *near = arg && arg->kind == AST_NAME ? nearest_name(arg->name, names, count) : NULL;
	diag_help(b->d, m, "@target(%s)", near ? near : "cpu");
	return NULL;
}

/* The element type that an attribute names. */
static bool attribute_dtype(Build *b, const Ast *a, DType *out)
{
	const Ast *arg =
		a->list.n == 1 && !a->list.at[0]->name && !a->list.at[0]->op ? a->list.at[0]->a : NULL;
	Item i = arg && arg->kind == AST_NAME ? eval(b, arg) : (Item){.kind = ITEM_NONE};
	if (i.kind == ITEM_BAD) return false;
	if (i.kind == ITEM_DTYPE) {
		*out = i.dtype;
		return true;
	}
	Diag *m = complain(b, a->span, "@%s takes one element type", a->name);
	diag_help(b->d, m, "@%s(%s)", a->name, strcmp(a->name, "keep") == 0 ? "f32" : "bf16");
	return false;
}

Precision *precision_of(Build *b, const Ast *n)
{
	const Ast *a = find_attribute(n, "precision");
	DType t;
	if (!a || !attribute_dtype(b, a, &t)) return NULL;
	if (t != DT_BF16 && t != DT_F16 && t != DT_I8) {
		Diag *m =
			complain(b, a->span, "products are done in bf16, f16 or i8, not in %s", dtype_name(t));
		if (t == DT_F32)
			diag_help(b->d, m,
			          "f32 is what they are done in; @keep(f32) before a statement "
			          "spares it from a @precision around it");
		return NULL;
	}
	Precision *p = NEW(b->arena, Precision);
	*p = (Precision){.dtype = t, .span = a->span};
	return p;
}

void precision_end(Build *b, const Precision *p, uint32_t errors)
{
	if (!p || b->errors != errors || b->stop) return;
	if (!p->products)
		complain(b, p->span, "@precision(%s) changes nothing: no product of floats follows",
		         dtype_name(p->dtype));
	else
		remark(b, p->span, "products of %s%s", dtype_name(p->dtype),
		       p->dtype == DT_I8 ? ": each row of the operands has its own scale, found as it comes"
		                         : ", summed in f32");
}

bool keeps(const Ast *statement)
{
	return find_attribute(statement, "keep") != NULL;
}

Item keep_value(Build *b, const Ast *statement, Item v)
{
	const Ast *a = find_attribute(statement, "keep");
	DType t;
	if (!a || v.kind == ITEM_BAD) return v;
	if (!attribute_dtype(b, a, &t)) return bad();
	if (v.kind == ITEM_LIST) {
		ItemList l = {0};
		for (size_t i = 0; i < v.list->n; i++)
			vec_push(b->arena, &l, keep_value(b, statement, v.list->at[i]));
		return item_list(b, &l);
	}
	if (v.kind == ITEM_CONST) {
		v = item_node(emit_constant(b, v.constant, a->span));
		if (v.kind == ITEM_BAD) return v;
	}
	if (v.kind != ITEM_TENSOR || dtype_is_float(t) != dtype_is_float(v.node->type.dtype)) {
		Diag *m = complain(b, a->span, "@keep(%s) of %s", dtype_name(t), item_kind(b, &v));
		if (v.kind == ITEM_TENSOR)
			diag_help(b->d, m, "between integers and floats a cast is written:  %s(x)",
			          dtype_name(t));
		return bad();
	}
	const Origin *o = v.origin;
	v = item_node(emit_cast(b, v.node, t, a->span));
	v.origin = o;
	return v;
}

/* --- products of narrow operands --- */

bool takes_precision(const Build *b, const Node *n)
{
	if (!b->precision || (n->op != OP_EINSUM && n->op != OP_ROUTED && n->op != OP_CONV))
		return false;
	for (uint32_t i = 0; i < 2; i++)
		if (!n->in[i] || n->in[i]->type.is_tuple || !dtype_is_float(n->in[i]->type.dtype))
			return false;
	return true;
}

typedef struct Quantized {
	Node *q;     /* i8 */
	Node *scale; /* f32, the axes that were summed over have size 1 */
} Quantized;

/* x as i8 times a scale for each position of the axes that are not summed over (symmetric, by the
 * greatest magnitude). */
static Quantized quantize(Build *b, Node *x, uint32_t n, const int64_t *axes, Span at)
{
	x = emit_cast(b, x, DT_F32, at);
	Node *most = emit_reduce(b, OP_REDUCE, "max", emit_unary(b, OP_ABS, x, at), n, axes, true, at);
	Node *some = emit_binary(b, OP_MAX, most, emit_number(b, DT_F32, 1e-30, at), at);
	Node *by = emit_binary(b, OP_DIV, emit_number(b, DT_F32, 127, at), some, at);
	Node *q = emit_unary(b, OP_ROUND, emit_binary(b, OP_MUL, x, by, at), at);
	return (Quantized){emit_cast(b, q, DT_I8, at),
	                   emit_binary(b, OP_MUL, some, emit_number(b, DT_F32, 1.0 / 127, at), at)};
}

/* The dims of `from` (named by letters; those that are gone have size 1) in the order of `to`, 1 where it
 * has none. */
static Node *align(Build *b, Node *x, const char *from, uint32_t n, const char *to, Span at)
{
	int64_t perm[MAX_RANK] = {0};
	Dim dims[MAX_RANK], left[MAX_RANK];
	uint32_t kept = 0, rank = (uint32_t)strlen(to);
	for (uint32_t i = 0; i < n; i++)
		if (strchr(to, from[i])) left[kept++] = x->type.dim[i];
	Node *y = emit_reshape(b, x, kept, left, at);
	for (uint32_t i = 0, k = 0; i < rank; i++) {
		const char *where = memchr(from, to[i], n);
		dims[i] = where ? x->type.dim[where - from] : dim_const(b->m->dims, 1);
		if (!where) continue;
		int64_t before = 0;
		for (const char *c = from; c < where; c++) before += strchr(to, *c) != NULL;
		perm[k++] = before;
	}
	return emit_reshape(b, emit_transpose(b, y, perm, at), rank, dims, at);
}

static Node *einsum_i8(Build *b, const Node *n)
{
	const char *spec = node_attr_const(n, "spec")->s, *comma = strchr(spec, ','),
			   *to = strstr(spec, "->") + 2, *part[2] = {spec, comma + 1};
	Node *in[2], *scale[2];
	for (uint32_t k = 0; k < 2; k++) {
		uint32_t rank = n->in[k]->type.rank, summed = 0;
		int64_t axes[MAX_RANK];
		for (uint32_t i = 0; i < rank; i++)
			if (!strchr(to, part[k][i])) axes[summed++] = i;
		Quantized q = quantize(b, n->in[k], summed, axes, n->span);
		if (!q.q || !q.scale) return NULL;
		in[k] = q.q;
		scale[k] = align(b, q.scale, part[k], rank, to, n->span);
	}
	Node *y = emit_cast(b, contract(b, spec, in[0], in[1], n->span), DT_F32, n->span);
	y = emit_binary(b, OP_MUL, y, scale[0], n->span);
	return emit_binary(b, OP_MUL, y, scale[1], n->span);
}

static Node *routed_i8(Build *b, const Node *n)
{
	Span at = n->span;
	Module *m = b->m;
	int64_t per = node_attr_const(n, "per")->i, last = 1, columns = 2;
	Quantized x = quantize(b, n->in[0], 1, &last, at), w = quantize(b, n->in[1], 1, &columns, at);
	if (!x.q || !w.q || !x.scale || !w.scale) return NULL;
	Node *y = node_new(m, OP_ROUTED, 3, (Node *[]){x.q, w.q, n->in[2]}, at);
	const Attr *check = node_attr_const(n, "check");
	attr_int(y, "per", per);
	if (check->set) attr_str(y, "check", check->s);
	y = emit_cast(b, emit(b, y), DT_F32, at);
	if (!y) return NULL;
	Dim rows = x.q->type.dim[0], count = y->type.dim[0], one = dim_const(m->dims, 1);
	Node *of_row = emit_reshape(b, x.scale, 2, (Dim[]){rows, one}, at);
	of_row = emit_broadcast(b, of_row, 2, (Dim[]){rows, dim_const(m->dims, per)}, at);
	of_row = emit_reshape(b, of_row, 2, (Dim[]){count, one}, at);
	Node *of_matrix = emit_reshape(b, w.scale, 2, w.scale->type.dim, at);
	Node *chosen =
		of_matrix ? node_new(m, OP_GATHER, 2, (Node *[]){of_matrix, n->in[2]}, at) : NULL;
	if (!chosen) return NULL;
	attr_int(chosen, "axis", 0);
	if (check->set) attr_str(chosen, "check", check->s);
	y = emit_binary(b, OP_MUL, y, of_row, at);
	return emit_binary(b, OP_MUL, y, emit(b, chosen), at);
}

/* Each image has its own scale, so that none depends on the others of its batch, and each channel of the
 * result that of its weights. */
static Node *conv_i8(Build *b, Node *n)
{
	Span at = n->span;
	uint32_t rank = n->in[0]->type.rank;
	int64_t axes[MAX_RANK] = {0};
	Dim dims[MAX_RANK];
	for (uint32_t i = 1; i < rank; i++) axes[i - 1] = i;
	Quantized x = quantize(b, n->in[0], rank - 1, axes, at),
			  w = quantize(b, n->in[1], rank - 1, axes, at);
	if (!x.q || !w.q || !x.scale || !w.scale) return NULL;
	for (uint32_t i = 0; i < rank; i++) dims[i] = w.scale->type.dim[i == 1 ? 0 : 1];
	n->in[0] = x.q;
	n->in[1] = w.q;
	Node *y = emit_cast(b, emit(b, n), DT_F32, at);
	y = emit_binary(b, OP_MUL, y, x.scale, at);
	return emit_binary(b, OP_MUL, y, emit_reshape(b, w.scale, rank, dims, at), at);
}

Node *emit_in_precision(Build *b, Node *n)
{
	Precision *p = b->precision;
	Node *y = NULL;
	b->precision = NULL;
	if (p->dtype == DT_I8 && n->op == OP_CONV) {
		y = conv_i8(b, n);
	} else if (p->dtype == DT_I8) {
		y = n->op == OP_EINSUM ? einsum_i8(b, n) : routed_i8(b, n);
	} else {
		Node *x = emit_cast(b, n->in[0], p->dtype, n->span),
			 *w = emit_cast(b, n->in[1], p->dtype, n->span);
		n->in[0] = x;
		n->in[1] = w;
		y = x && w ? emit(b, n) : NULL;
	}
	b->precision = p;
	p->products++;
	return y;
}
