/* What is written into the boxes of `nacre graph`: a name, lines with weights and settings, a colour,
 * and the full story for those who hover. */
#include "tools/graph.h"

#include <string.h>

/* --- weights and constants ------------------------------------------------------------------------------ */

static bool is_static_op(const Node *n)
{
	switch (n->op) {
	case OP_WEIGHT:
	case OP_CONST:
	case OP_DIM: return true;
	case OP_ARG: {
		const Node *region = n->owner->parent;
		return region && region->op == OP_KERNEL &&
		       region->in[node_attr_const(n, "number")->i]->mark;
	}
	case OP_RESHAPE:
	case OP_TRANSPOSE:
	case OP_BROADCAST:
	case OP_SLICE:
	case OP_CONCAT:
	case OP_CAST: break;
	default:
		if (op_info[n->op].kind != KIND_ELEMENTWISE || n->type.rank > 0) return false;
	}
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!n->in[i]->mark) return false;
	return n->n_in > 0;
}

void label_mark_static(Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		n->mark = is_static_op(n);
		if (n->region) label_mark_static(n->region);
	}
}

bool node_is_static(const Node *n)
{
	return n->mark != 0;
}

/* seen_as: the node that has the shape of one layer's part, for a weight stacked over layers. */
const Weight *node_weight(const Picture *v, const Node *n, const Node **seen_as)
{
	const Node *part = NULL;
	while (n) {
		if (n->op == OP_WEIGHT) {
			*seen_as = part ? part : n;
			return &v->m->weights.at[node_attr_const(n, "number")->i];
		}
		if (n->op == OP_RESHAPE && n->in[0]->op == OP_SLICE) part = n;
		if (n->op == OP_ARG && n->owner->parent && n->owner->parent->op == OP_KERNEL)
			n = n->owner->parent->in[node_attr_const(n, "number")->i];
		else if (n->n_in == 1 && node_is_static(n))
			n = n->in[0];
		else
			break;
	}
	return NULL;
}

/* --- text ---------------------------------------------------------------------------------------------------- */

const char *view_type_text(Picture *v, const Type *type)
{
	if (type->is_tuple) return "tuple";
	Text t = text_new(v->t->arena);
	if (type->dtype != DT_F32) text_puts(&t, dtype_name(type->dtype));
	text_puts(&t, "[");
	for (uint32_t i = 0; i < type->rank; i++)
		text_printf(&t, "%s%s", i ? ", " : "",
		            dim_text(v->t->arena, dim_given(&v->given, type->dim[i])));
	text_puts(&t, "]");
	return t.at;
}

/* "0.125", "pos", or NULL when it is no scalar. */
static const char *scalar_text(Picture *v, const Node *n)
{
	while (n->op == OP_BROADCAST || n->op == OP_CAST || n->op == OP_RESHAPE) n = n->in[0];
	double x;
	if (n->op == OP_DIM)
		return dim_text(v->t->arena, dim_given(&v->given, node_attr_const(n, "value")->d));
	if (n->op == OP_CONST && node_const_scalar(n, &x)) return arena_printf(v->t->arena, "%.4g", x);
	return NULL;
}

static const char *ints_text(Picture *v, const Attr *a, const char *between)
{
	Text t = text_new(v->t->arena);
	text_puts(&t, "");
	bool same = true;
	for (uint32_t i = 1; i < a->n; i++) same = same && a->ints[i] == a->ints[0];
	uint32_t n = same && strcmp(between, ", ") == 0 && a->n ? 1 : a->n;
	for (uint32_t i = 0; i < n; i++)
		text_printf(&t, "%s%lld", i ? between : "", (long long)a->ints[i]);
	return t.at ? t.at : "";
}

static bool ints_all(const Attr *a, int64_t what)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->ints[i] != what) return false;
	return true;
}

static void line(Picture *v, Box *b, const char *text)
{
	vec_push(v->t->arena, &b->lines, text);
}

static void line_window(Picture *v, Box *b, const Node *n, const char *size)
{
	Text t = text_new(v->t->arena);
	text_puts(&t, size);
	const Attr *stride = node_attr_const(n, "stride"), *lo = node_attr_const(n, "lo");
	const Attr *hi = node_attr_const(n, "hi");
	if (!ints_all(stride, 1)) text_printf(&t, ", stride %s", ints_text(v, stride, ", "));
	if (!ints_all(lo, 0) || !ints_all(hi, 0)) text_printf(&t, ", pad %s", ints_text(v, lo, ", "));
	if (n->op == OP_CONV) {
		const Attr *dilation = node_attr_const(n, "dilation");
		int64_t groups = node_attr_const(n, "groups")->i;
		if (!ints_all(dilation, 1)) text_printf(&t, ", dilation %s", ints_text(v, dilation, ", "));
		if (groups > 1) text_printf(&t, ", %lld groups", (long long)groups);
	}
	line(v, b, t.at);
}

static void label_conv(Picture *v, Box *b, const Node *n)
{
	const Type *w = &n->in[1]->type;
	bool last = node_attr_const(n, "channels_last")->i != 0;
	Text t = text_new(v->t->arena);
	for (uint32_t i = 0; i + 2 < w->rank; i++)
		text_printf(&t, "%s%s", i ? "\xc3\x97" : "",
		            dim_text(v->t->arena, w->dim[i + (last ? 0 : 2)]));
	b->name = "conv";
	line_window(v, b, n, t.at ? t.at : "");
}

static void label_attention(Picture *v, Box *b, const Node *n)
{
	Text t = text_new(v->t->arena);
	if (node_attr_const(n, "causal")->i) text_puts(&t, "causal");
	if (node_attr_const(n, "window")->i)
		text_printf(&t, "%swindow %lld", t.n ? ", " : "",
		            (long long)node_attr_const(n, "window")->i);
	if (node_attr_const(n, "soft_cap")->f != 0)
		text_printf(&t, "%ssoft-cap %g", t.n ? ", " : "", node_attr_const(n, "soft_cap")->f);
	if (t.n) line(v, b, t.at);
}

/* One letter summed over, all others kept: a product of matrices. */
static bool is_matmul(const char *spec)
{
	const char *arrow = strchr(spec, '>');
	int summed = 0;
	for (char c = 'a'; c <= 'z'; c++)
		if (memchr(spec, c, (size_t)(arrow - spec)) && !strchr(arrow, c)) summed++;
	return summed == 1;
}

static const char *sign_of(Op op)
{
	switch (op) {
	case OP_ADD: return "+";
	case OP_SUB: return "\xe2\x88\x92";
	case OP_MUL: return "\xc3\x97";
	case OP_DIV: return "\xc3\xb7";
	default: return NULL;
	}
}

static BoxTint tint_of(const Node *n)
{
	switch (n->op) {
	case OP_EINSUM:
	case OP_ROUTED:
	case OP_CONV: return TINT_PRODUCT;
	case OP_ATTENTION: return TINT_ATTENTION;
	case OP_LAYER_NORM:
	case OP_RMS_NORM:
	case OP_BATCH_NORM:
	case OP_SOFTMAX:
	case OP_LOG_SOFTMAX:
	case OP_REDUCE:
	case OP_MEAN:
	case OP_POOL:
	case OP_SCAN: return TINT_NORM;
	case OP_GATHER:
	case OP_TOPK:
	case OP_SORT: return TINT_LOOKUP;
	case OP_RELU:
	case OP_GELU:
	case OP_GELU_TANH:
	case OP_SILU:
	case OP_SIGMOID:
	case OP_TANH:
	case OP_SOFTPLUS:
	case OP_CLAMP: return TINT_ACTIVATION;
	case OP_ROPE: return TINT_ATTENTION;
	default: return op_info[n->op].kind == KIND_MOVEMENT ? TINT_MOVE : TINT_PLAIN;
	}
}

static void label_by_op(Picture *v, Box *b, const Node *n)
{
	switch (n->op) {
	case OP_CONV: label_conv(v, b, n); break;
	case OP_ATTENTION: label_attention(v, b, n); break;
	case OP_POOL:
		b->name = arena_printf(v->t->arena, "%s pool", node_attr_const(n, "reduce")->s);
		line_window(v, b, n, ints_text(v, node_attr_const(n, "size"), "\xc3\x97"));
		break;
	case OP_EINSUM: {
		const char *spec = node_attr_const(n, "spec")->s;
		b->name = is_matmul(spec) ? "matmul" : "einsum";
		if (!is_matmul(spec)) line(v, b, spec);
		break;
	}
	case OP_REDUCE:
	case OP_SCAN:
		b->name = arena_printf(v->t->arena, "%s%s", n->op == OP_SCAN ? "running " : "",
		                       node_attr_const(n, "reduce")->s);
		break;
	case OP_CAST:
		b->name = arena_printf(v->t->arena, "\xe2\x86\x92 %s", dtype_name(n->type.dtype));
		break;
	case OP_HAND: {
		const char *file = node_attr_const(n, "file")->s, *slash = strrchr(file, '/');
		b->name = slash ? slash + 1 : file;
		break;
	}
	case OP_TOPK:
		b->name = arena_printf(v->t->arena, "top %lld", (long long)node_attr_const(n, "k")->i);
		break;
	default: break;
	}
}

static const char *short_name(const char *name, const char *path)
{
	size_t n = strlen(path);
	return n && strncmp(name, path, n) == 0 && name[n] == '.' ? name + n + 1 : name;
}

/* Operands that are no values of their own. */
static void label_operands(Picture *v, Box *b, const Node *n)
{
	const char *sign = n->n_in == 2 ? sign_of(n->op) : NULL;
	const char *path = n->scope ? n->scope : "";
	for (uint32_t i = 0; i < n->n_in; i++) {
		const Node *as, *x = n->in[i];
		if (!node_is_static(x)) continue;
		const char *scalar = scalar_text(v, x);
		const Weight *w = scalar ? NULL : node_weight(v, x, &as);
		if (scalar && sign)
			b->name = i == 1 ? arena_printf(v->t->arena, "%s %s", sign, scalar)
			                 : arena_printf(v->t->arena, "%s %s", scalar, sign);
		else if (scalar && n->n_in == 2)
			line(v, b, scalar);
		else if (w)
			line(v, b,
			     arena_printf(v->t->arena, "%s %s", short_name(w->name, path),
			                  view_type_text(v, &as->type)));
		else if (!scalar)
			line(v, b, arena_printf(v->t->arena, "constant %s", view_type_text(v, &x->type)));
	}
}

static void place_text(Picture *v, Text *t, Span at)
{
	if (!at.source) return;
	const char *slash = strrchr(at.source->name, '/');
	text_printf(t, "\n%s:%u", slash ? slash + 1 : at.source->name,
	            source_place(at.source, at.begin).line);
	uint32_t line_no = source_place(at.source, at.begin).line;
	if (line_no == 0 || line_no > at.source->lines) return;
	const char *s = at.source->text + at.source->line_start[line_no - 1];
	while (*s == ' ' || *s == '\t') s++;
	size_t n = strcspn(s, "\n");
	text_printf(t, "  %.*s", (int)(n > 100 ? 100 : n), s);
	(void)v;
}

static const char *hover_op(Picture *v, const Node *n)
{
	Text t = text_new(v->t->arena);
	DimPool *p = v->m->dims;
	text_puts(&t, op_info[n->op].mnemonic);
	if (n->name) text_printf(&t, "  (%s)", n->name);
	text_printf(&t, "\n: %s", type_text(v->t->arena, &n->type));
	if (n->scope && *n->scope) text_printf(&t, "\nin %s", n->scope);
	if (n->layer) text_printf(&t, "  (%s)", n->layer);
	place_text(v, &t, n->span);
	for (uint32_t i = 0; i < n->n_in; i++) {
		const Node *as;
		const Weight *w = node_is_static(n->in[i]) ? node_weight(v, n->in[i], &as) : NULL;
		if (w)
			text_printf(&t, "\nweight %s : %s from \"%s\"%s", w->name,
			            type_text(v->t->arena, &w->type), w->keys[0], w->n_keys > 1 ? " ..." : "");
	}
	Dim flops = node_flops(p, n, NULL);
	if (flops) text_printf(&t, "\nFLOPs: %s", count_text(v->t, dim_given(&v->given, flops)));
	if (!n->type.is_tuple) {
		Dim bits = dim_mulc(p, type_count(p, &n->type), (int64_t)dtype_bits(n->type.dtype));
		Dim bytes = dim_given(&v->given, dim_ceildiv(p, bits, dim_const(p, 8)));
		text_printf(&t, "\nresult: %s bytes", count_text(v->t, bytes));
	}
	return t.at;
}

void label_op(Picture *v, Box *b)
{
	const Node *n = b->node;
	uint32_t moving = 0;
	for (uint32_t i = 0; i < n->n_in; i++) moving += !node_is_static(n->in[i]);
	b->name = op_info[n->op].mnemonic;
	b->tint = tint_of(n);
	const char *sign = sign_of(n->op);
	if (sign && moving == 2) {
		b->name = sign;
		b->round = true;
		b->tint = TINT_JOIN;
	}
	label_by_op(v, b, n);
	label_operands(v, b, n);
	b->hover = hover_op(v, n);
	Dim flops = node_flops(v->m->dims, n, NULL);
	b->flops = flops ? flops : dim_const(v->m->dims, 0);
}

/* --- groups -------------------------------------------------------------------------------------------------- */

static Dim parameters_within(Picture *v, const char *path)
{
	Dim n = dim_const(v->m->dims, 0);
	size_t k = strlen(path);
	for (size_t i = 0; i < v->m->weights.n; i++) {
		const Weight *w = &v->m->weights.at[i];
		if (k && (strncmp(w->name, path, k) != 0 || w->name[k] != '.')) continue;
		if (!w->buffer) n = dim_add(v->m->dims, n, type_count(v->m->dims, &w->type));
	}
	return n;
}

static void lines_within(Picture *v, Box *into, const Box *b, uint32_t *more)
{
	enum { MOST = 4 };
	for (size_t i = 0; i < b->kids.n; i++) {
		const Box *k = b->kids.at[i];
		if (k->kind != BOX_OP) continue;
		for (size_t j = 0; j < k->lines.n; j++) {
			bool twice = false;
			for (size_t l = 0; l < into->lines.n; l++)
				twice = twice || strcmp(into->lines.at[l], k->lines.at[j]) == 0;
			if (twice) continue;
			if (into->lines.n < MOST)
				line(v, into, k->lines.at[j]);
			else
				(*more)++;
		}
	}
}

static void label_kernel(Picture *v, Box *b)
{
	Text t = text_new(v->t->arena);
	const char *note = node_attr_const(b->node, "note")->s;
	text_printf(&t, "kernel: %s\n%s\n: %s", b->name, note ? note : "",
	            type_text(v->t->arena, &b->node->type));
	if (*b->path) text_printf(&t, "\nin %s", b->path);
	place_text(v, &t, b->node->span);
	Text parts = text_new(v->t->arena);
	for (size_t i = 0; i < b->kids.n; i++) {
		const Box *k = b->kids.at[i];
		if (k->tint == TINT_MOVE && b->kids.n > 1 && k->node->op != OP_CONCAT &&
		    k->node->op != OP_UPDATE)
			continue;
		if (parts.n > 26) {
			line(v, b, parts.at);
			parts = text_new(v->t->arena);
		}
		text_printf(&parts, "%s%s", parts.n ? " \xc2\xb7 " : "", k->name);
	}
	if (parts.n) line(v, b, parts.at);
	enum { MOST = 4 };
	if (b->lines.n > MOST) b->lines.at[MOST - 1] = "\xe2\x80\xa6", b->lines.n = MOST;
	int64_t flops;
	if (!dim_is_const(b->flops, &flops) || flops)
		text_printf(&t, "\nFLOPs: %s", count_text(v->t, dim_given(&v->given, b->flops)));
	b->hover = t.at;
}

/* The boxes inside have their labels. */
void label_group(Picture *v, Box *b)
{
	DimPool *p = v->m->dims;
	b->flops = dim_const(p, 0);
	uint32_t more = 0;
	bool nested = false;
	for (size_t i = 0; i < b->kids.n; i++) {
		const Box *k = b->kids.at[i];
		if (k->flops) b->flops = dim_add(p, b->flops, k->flops);
		if (k->tint > b->tint && k->tint != TINT_DATA) b->tint = k->tint;
		nested = nested || box_is_group(k);
	}
	if (b->kind == BOX_KERNEL) {
		label_kernel(v, b);
		return;
	}
	b->parameters = parameters_within(v, b->path);
	int64_t n;
	bool some = !dim_is_const(b->parameters, &n) || n != 0;
	Text t = text_new(v->t->arena);
	text_printf(&t, "%s", b->kind == BOX_LOOP ? b->name : *b->path ? b->path : v->m->name);
	if (b->type) text_printf(&t, " : %s", b->type);
	if (b->times) text_printf(&t, "\nrepeated %s times", b->times);
	if (some) text_printf(&t, "\n%s parameters", count_text(v->t, b->parameters));
	text_printf(&t, "\nFLOPs: %s", count_text(v->t, dim_given(&v->given, b->flops)));
	b->hover = t.at;
	if (!nested) lines_within(v, b, b, &more);
	if (more) line(v, b, arena_printf(v->t->arena, "and %u more", more));
	if (nested && some)
		line(v, b, arena_printf(v->t->arena, "%s parameters", count_text(v->t, b->parameters)));
}
