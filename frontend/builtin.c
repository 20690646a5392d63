/* Built-in functions: the table, matching of arguments, and the elementwise ones. */
#include "frontend/builtin.h"
#include "frontend/resolve.h"

#include <math.h>
#include <string.h>

static const Builtin table[] = {
#define BUILTIN(name, signature, function, op, how, doc)                                           \
	{name, signature, builtin_##function, OP_##op, how, doc},
#include "frontend/builtins.def"
};

static const Form forms[] = {
#define FORM(name, shown, function, doc) {name, shown, eval_##function, doc},
#include "frontend/builtins.def"
};

const Builtin *builtin_find(const char *name)
{
	for (size_t i = 0; i < COUNT(table); i++)
		if (strcmp(table[i].name, name) == 0) return &table[i];
	return NULL;
}

const Form *form_find(const char *name)
{
	for (size_t i = 0; i < COUNT(forms); i++)
		if (strcmp(forms[i].name, name) == 0) return &forms[i];
	return NULL;
}

const BuiltinMemo *builtin_known(Build *b, const char *name)
{
	BuiltinMemo *m = &b->memo[((uintptr_t)name >> 4) % BUILTIN_MEMO];
	if (m->name != name) *m = (BuiltinMemo){name, builtin_find(name), form_find(name)};
	return m;
}

const char *builtin_name(const Builtin *f)
{
	return f->name;
}

uint32_t builtin_names(const char **out, uint32_t room)
{
	uint32_t n = 0;
	for (size_t i = 0; i < COUNT(table) && n < room; i++) out[n++] = table[i].name;
	for (size_t i = 0; i < COUNT(forms) && n < room; i++) out[n++] = forms[i].name;
	return n;
}

const char *builtin_text(Arena *a, const char *name, const char **doc)
{
	const Builtin *f = builtin_find(name);
	const Form *form = form_find(name);
	*doc = f ? f->doc : form ? form->doc : "";
	if (form) return arena_printf(a, "%s(%s)", name, form->shown);
	if (!f) return NULL;
	Text t = text_new(a);
	text_printf(&t, "%s(", name);
	for (const char *s = f->signature; *s; s++) text_puts(&t, *s == ' ' ? ", " : (char[]){*s, 0});
	text_puts(&t, ")");
	return t.at;
}

/* --- arguments ------------------------------------------------------------------------------------ */

typedef struct Parameter {
	char name[20];
	bool optional;
} Parameter;

static uint32_t parse_signature(const char *s, Parameter *out)
{
	uint32_t n = 0;
	while (*s && n < BUILTIN_ARGUMENTS) {
		size_t k = 0;
		for (; *s && *s != ' ' && *s != '?'; s++)
			if (k + 1 < sizeof out[n].name) out[n].name[k++] = *s;
		out[n].name[k] = 0;
		out[n].optional = *s == '?';
		if (*s == '?') s++;
		if (*s == ' ') s++;
		n++;
	}
	return n;
}

const char *builtin_shown(Build *b, const Builtin *f, const char *first)
{
	Parameter p[BUILTIN_ARGUMENTS];
	uint32_t n = parse_signature(f->signature, p);
	Text t = text_new(b->arena);
	text_printf(&t, "%s(", f->name);
	for (uint32_t i = 0; i < n; i++)
		text_printf(&t, "%s%s%s", i ? ", " : "", i == 0 && first ? first : p[i].name,
		            p[i].optional ? "=.." : "");
	text_puts(&t, ")");
	return t.at;
}

static uint32_t find_parameter(const Parameter *p, uint32_t n, const char *name)
{
	if (strcmp(name, "keepdim") == 0 || strcmp(name, "keepdims") == 0) name = "keep";
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(p[i].name, name) == 0) return i;
	return n;
}

static bool unknown_parameter(Build *b, const Builtin *f, const Argument *a, const Parameter *p,
                              uint32_t n)
{
	const char *names[BUILTIN_ARGUMENTS];
	for (uint32_t i = 0; i < n; i++) names[i] = p[i].name;
	Diag *m = complain(b, a->span, "`%s` has no parameter `%s`", f->name, a->name);
	const char *near = nearest_name(a->name, names, n);
	if (strcmp(a->name, "dim") == 0 && find_parameter(p, n, "axis") < n) near = "axis";
	if (near) diag_help(b->d, m, "did you mean `%s`?", near);
	diag_help(b->d, m, "%s", builtin_shown(b, f, NULL));
	return false;
}

static bool place_arguments(Build *b, const Builtin *f, const Arguments *args, Call *c)
{
	Parameter p[BUILTIN_ARGUMENTS];
	uint32_t n = parse_signature(f->signature, p), next = 0;
	for (uint32_t i = 0; i < BUILTIN_ARGUMENTS; i++) c->in[i].item = (Item){.kind = ITEM_NONE};
	for (size_t i = 0; i < args->n; i++) {
		const Argument *a = &args->at[i];
		uint32_t to = a->name ? find_parameter(p, n, a->name) : next++;
		if (to >= n && a->name) return unknown_parameter(b, f, a, p, n);
		if (to >= n) {
			Diag *m = complain(b, a->span, "`%s` takes %u argument%s, %zu are given", f->name, n,
			                   n == 1 ? "" : "s", (size_t)args->n);
			diag_help(b->d, m, "%s", builtin_shown(b, f, NULL));
			return false;
		}
		if (c->given[to]) {
			complain(b, a->span, "`%s` is given `%s` twice", f->name, p[to].name);
			return false;
		}
		if (a->arrow && strcmp(f->name, "attention") != 0) {
			complain(b, a->span, "`%s` takes no index function", f->name);
			return false;
		}
		c->in[to] = *a;
		c->given[to] = true;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (c->given[i] || p[i].optional) continue;
		Diag *m = complain(b, c->at, "`%s` needs its argument `%s`", f->name, p[i].name);
		diag_help(b->d, m, "%s", builtin_shown(b, f, NULL));
		return false;
	}
	return true;
}

Item builtin_call(Build *b, const Builtin *f, const Arguments *args, Span at)
{
	Call c = {.b = b, .f = f, .at = at};
	return place_arguments(b, f, args, &c) ? f->run(&c) : bad();
}

const char *call_what(Call *c, const char *argument)
{
	return arena_printf(c->b->arena, "argument `%s` of `%s`", argument, c->f->name);
}

static const char *argument_name(Call *c, uint32_t i)
{
	Parameter p[BUILTIN_ARGUMENTS];
	uint32_t n = parse_signature(c->f->signature, p);
	return arena_strdup(c->b->arena, i < n ? p[i].name : "");
}

static const char *what(Call *c, uint32_t i)
{
	return call_what(c, argument_name(c, i));
}

Node *call_tensor(Call *c, uint32_t i)
{
	return need_tensor(c->b, &c->in[i].item, c->in[i].span, what(c, i));
}

static bool axis_value(Call *c, const Item *i, Span at, const char *called, uint32_t rank,
                       int64_t *out)
{
	if (i->kind == ITEM_DIM || i->kind == ITEM_TEXT) {
		Diag *m = complain(c->b, at, "%s must be an integer, not %s", called, item_kind(c->b, i));
		note_origin(c->b, m, &c->in[0].item, NULL);
		advise_axis(c->b, m, &c->in[0].item, i, "axis");
		return false;
	}
	if (!need_int(c->b, i, at, called, out)) return false;
	int64_t given = *out;
	if (*out < 0) *out += rank;
	if (*out >= 0 && *out < rank) return true;
	Diag *m = complain(c->b, at, "`%s` of axis %lld: the tensor has %u dims", c->f->name,
	                   (long long)given, rank);
	note_origin(c->b, m, &c->in[0].item, NULL);
	if (rank)
		diag_help(c->b->d, m, "its axes are 0 to %u, or -%u to -1 from the end", rank - 1, rank);
	return false;
}

bool call_axis(Call *c, uint32_t i, uint32_t rank, int64_t *out)
{
	return axis_value(c, &c->in[i].item, c->in[i].span, what(c, i), rank, out);
}

bool call_axes(Call *c, uint32_t i, uint32_t rank, uint32_t *n, int64_t *out)
{
	*n = 0;
	if (c->in[i].item.kind == ITEM_NONE) {
		for (; *n < rank; (*n)++) out[*n] = *n;
		return true;
	}
	if (c->in[i].item.kind != ITEM_LIST) {
		*n = 1;
		return call_axis(c, i, rank, out);
	}
	const ItemList *l = c->in[i].item.list;
	uint32_t seen = 0;
	if (l->n > rank) {
		complain(c->b, c->in[i].span, "%zu axes of a tensor of %u dims", (size_t)l->n, rank);
		return false;
	}
	for (size_t k = 0; k < l->n; k++) {
		if (!axis_value(c, &l->at[k], c->in[i].span, what(c, i), rank, &out[k])) return false;
		if (seen >> out[k] & 1) {
			complain(c->b, c->in[i].span, "axis %lld is named twice", (long long)out[k]);
			return false;
		}
		seen |= 1u << out[k];
		(*n)++;
	}
	return true;
}

bool call_flag(Call *c, uint32_t i, bool otherwise, bool *out)
{
	*out = otherwise;
	return c->in[i].item.kind == ITEM_NONE ||
	       need_bool(c->b, &c->in[i].item, c->in[i].span, what(c, i), out);
}

bool call_number(Call *c, uint32_t i, double otherwise, double *out)
{
	*out = otherwise;
	if (c->in[i].item.kind == ITEM_NONE || as_number(&c->in[i].item, out)) return true;
	if (c->in[i].item.kind != ITEM_BAD)
		complain(c->b, c->in[i].span, "%s must be a number known at compile time, not %s",
		         what(c, i), item_kind(c->b, &c->in[i].item));
	return false;
}

bool call_dims(Call *c, uint32_t i, uint32_t *n, Dim *out)
{
	const Item *l = &c->in[i].item;
	if (l->kind != ITEM_LIST) {
		*n = 1;
		return need_dim(c->b, l, c->in[i].span, what(c, i), out);
	}
	if (l->list->n > MAX_RANK) {
		complain(c->b, c->in[i].span, "a tensor has at most %d dims", MAX_RANK);
		return false;
	}
	*n = (uint32_t)l->list->n;
	for (uint32_t k = 0; k < *n; k++)
		if (!need_dim(c->b, &l->list->at[k], c->in[i].span, "a dim", &out[k])) return false;
	return true;
}

Item tuple_items(Build *b, Node *tuple, uint32_t n, Span at)
{
	ItemList l = {0};
	if (!tuple) return bad();
	for (uint32_t i = 0; i < n; i++)
		vec_push(b->arena, &l, item_node(graph_get(b->graph, b->d, tuple, i, at)));
	return item_list(b, &l);
}

/* --- elementwise ------------------------------------------------------------------------------------ */

static Node *float_tensor(Call *c, uint32_t i)
{
	Node *x = call_tensor(c, i);
	if (!x || dtype_is_float(x->type.dtype)) return x;
	Diag *m = complain(c->b, c->in[i].span, "`%s` needs floats, this is %s", c->f->name,
	                   type_text(c->b->arena, &x->type));
	note_origin(c->b, m, &c->in[i].item, NULL);
	diag_help(c->b->d, m, "a cast is written  f32(x)");
	return NULL;
}

Item builtin_unary(Call *c)
{
	double v;
	Scalar f = (Scalar)(c->f->op - OP_NEG);
	const Item *x = &c->in[0].item;
	if (as_number(x, &v)) {
		bool integer = x->kind == ITEM_INT && scalar_info[f].result == SCALAR_SAME;
		double r = scalar_eval(f, integer, v, 0, 0);
		return integer ? item_int((int64_t)r) : item_float(r);
	}
	Node *n = scalar_info[f].result == SCALAR_FLOAT ? float_tensor(c, 0) : call_tensor(c, 0);
	return item_node(emit_unary(c->b, c->f->op, n, c->at));
}

Item builtin_plain(Call *c)
{
	return item_node(emit_unary(c->b, c->f->op, float_tensor(c, 0), c->at));
}

Item builtin_gelu(Call *c)
{
	const Item *how = &c->in[1].item;
	Op op = OP_GELU;
	if (how->kind == ITEM_TEXT && strcmp(how->text, "tanh") == 0) {
		op = OP_GELU_TANH;
	} else if (how->kind != ITEM_NONE &&
	           !(how->kind == ITEM_TEXT && strcmp(how->text, "none") == 0)) {
		if (how->kind != ITEM_BAD)
			complain(c->b, c->in[1].span, "the approximation of gelu is \"none\" or \"tanh\"");
		return bad();
	}
	return item_node(emit_unary(c->b, op, float_tensor(c, 0), c->at));
}

static bool both(Call *c, uint32_t i, uint32_t k, Node **x, Node **y)
{
	const Item *p = &c->in[i].item, *q = &c->in[k].item;
	DType like = p->kind == ITEM_TENSOR                           ? p->node->type.dtype
	             : q->kind == ITEM_TENSOR                         ? q->node->type.dtype
	             : p->kind == ITEM_FLOAT || q->kind == ITEM_FLOAT ? DT_F32
	                                                              : DT_I32;
	*x = as_node(c->b, p, like, c->in[i].span);
	*y = as_node(c->b, q, like, c->in[k].span);
	if (!*x && p->kind != ITEM_BAD) call_tensor(c, i);
	if (!*y && q->kind != ITEM_BAD) call_tensor(c, k);
	if (!*x || !*y) return false;
	if (dtype_widened((*x)->type.dtype) != dtype_widened((*y)->type.dtype)) {
		Diag *m = complain(c->b, c->at,
		                   "`%s` of %s and %s: integers and floats do not mix without a cast",
		                   c->f->name, item_kind(c->b, p), item_kind(c->b, q));
		diag_help(c->b->d, m, "a cast is written  f32(x)");
		return false;
	}
	Item u = item_node(*x), v = item_node(*y);
	u.origin = p->origin;
	v.origin = q->origin;
	Type shape;
	Ast here = {.kind = AST_CALL, .span = c->at};
	return broadcast_shape(c->b, &u, &v, &here, c->f->name, &shape);
}

Item builtin_binary(Call *c)
{
	Node *x, *y;
	double u, v;
	bool least = c->f->op == OP_MIN;
	const Item *p = &c->in[0].item, *q = &c->in[1].item;
	if (p->kind == ITEM_INT && q->kind == ITEM_INT)
		return item_int((p->integer < q->integer) == least ? p->integer : q->integer);
	if (as_number(p, &u) && as_number(q, &v)) return item_float((u < v) == least ? u : v);
	Dim a = as_dim(c->b, p), d = as_dim(c->b, q);
	if (a && d)
		return item_dim(least ? dim_min(c->b->m->dims, a, d) : dim_max(c->b->m->dims, a, d));
	if (!both(c, 0, 1, &x, &y)) return bad();
	return item_node(emit_binary(c->b, c->f->op, x, y, c->at));
}

Item builtin_where(Call *c)
{
	Node *x, *y, *cond = call_tensor(c, 0);
	if (!cond || !both(c, 1, 2, &x, &y)) return bad();
	if (cond->type.dtype != DT_BOOL) {
		Diag *m = complain(c->b, c->in[0].span, "the condition of `where` must be bool, not %s",
		                   type_text(c->b->arena, &cond->type));
		note_origin(c->b, m, &c->in[0].item, NULL);
		diag_help(c->b->d, m, "bools come from comparisons:  %s != 0",
		          text_of(c->b, c->in[0].span));
		return bad();
	}
	return item_node(emit(c->b, node_new(c->b->m, OP_SELECT, 3, (Node *[]){cond, x, y}, c->at)));
}

/* Of integers, or between dims: the lesser of the greater. */
static Item clamp_between(Call *c)
{
	Node *x, *bound;
	if (!both(c, 0, 1, &x, &bound)) return bad();
	Node *above = emit_binary(c->b, OP_MAX, x, bound, c->at);
	if (!above) return bad();
	c->in[0].item = item_node(above);
	if (!both(c, 0, 2, &x, &bound)) return bad();
	return item_node(emit_binary(c->b, OP_MIN, x, bound, c->at));
}

Item builtin_clamp(Call *c)
{
	double lo, hi, number;
	ItemKind kind = c->in[0].item.kind;
	const Node *tensor = kind == ITEM_TENSOR || kind == ITEM_CONST ? call_tensor(c, 0) : NULL;
	bool dims = c->in[1].item.kind == ITEM_DIM || c->in[2].item.kind == ITEM_DIM;
	if (tensor && (dims || dtype_is_integer(tensor->type.dtype))) return clamp_between(c);
	if (!call_number(c, 1, 0, &lo) || !call_number(c, 2, 0, &hi)) return bad();
	if (lo > hi) {
		complain(c->b, c->at, "clamp from %g to %g: the bounds are swapped", lo, hi);
		return bad();
	}
	if (as_number(&c->in[0].item, &number))
		return item_float(number < lo ? lo : number > hi ? hi : number);
	Node *x = float_tensor(c, 0);
	if (!x) return bad();
	Node *n = node_new(c->b->m, OP_CLAMP, 1, &x, c->at);
	attr_float(n, "lo", lo);
	attr_float(n, "hi", hi);
	return item_node(emit(c->b, n));
}
