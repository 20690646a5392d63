/* The text form, reading half: scalar regions, `{ a, b -> t = a + b; gelu(t), t }`. */
#include "ir/tile/parse.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Named {
	const char *name;
	uint16_t node;
} Named;
typedef struct RegionReader {
	Reader *r;
	const TileStmt *s;
	VEC(RegionNode) nodes;
	VEC(Named) names;
	VEC(bool) literal; /* for each node: an integer literal, which becomes a float beside floats */
	int depth;
} RegionReader;

static uint16_t expression(RegionReader *g);

static uint16_t push(RegionReader *g, RegionNode n, bool literal)
{
	if (g->nodes.n >= PARSE_REGION_NODES) {
		parse_fail_here(g->r, "a region has at most %d operations", PARSE_REGION_NODES);
		return 0;
	}
	vec_push(g->r->arena, &g->nodes, n);
	vec_push(g->r->arena, &g->literal, literal);
	return (uint16_t)(g->nodes.n - 1);
}

static uint16_t constant(RegionReader *g, DType t, double v, bool literal)
{
	return push(g, (RegionNode){.kind = RN_CONST, .type = t, .value = v}, literal);
}

static uint16_t call(RegionReader *g, Scalar f, const uint16_t *arg)
{
	RegionNode n = {.kind = RN_CALL, .f = f};
	uint32_t arity = scalar_info[f].arity;
	bool any_float = false;
	for (uint32_t i = 0; i < arity; i++) {
		n.arg[i] = arg[i];
		any_float |= dtype_is_float(g->nodes.at[arg[i]].type);
	}
	for (uint32_t i = 0; i < arity && any_float; i++) {
		if (!g->literal.at[arg[i]]) continue;
		g->nodes.at[arg[i]].type = DT_F32;
		g->literal.at[arg[i]] = false;
	}
	DType of = dtype_widened(g->nodes.at[arg[arity - 1]].type);
	n.type = scalar_info[f].result == SCALAR_BOOLEAN ? DT_BOOL
	         : scalar_info[f].result == SCALAR_FLOAT ? DT_F32
	                                                 : of;
	return push(g, n, false);
}

/* Digits, with a point or an exponent for floats. */
static uint16_t number(RegionReader *g, bool negative)
{
	Reader *r = g->r;
	const char *from = r->at;
	bool real = false;
	while (isdigit((unsigned char)*r->at)) r->at++;
	if (*r->at == '.') {
		real = true;
		for (r->at++; isdigit((unsigned char)*r->at);) r->at++;
	}
	if (*r->at == 'e' || *r->at == 'E') {
		real = true;
		r->at++;
		if (*r->at == '+' || *r->at == '-') r->at++;
		if (!isdigit((unsigned char)*r->at))
			parse_fail(r, from, r->at, "the exponent has no digits");
		while (isdigit((unsigned char)*r->at)) r->at++;
	}
	if (isalnum((unsigned char)*r->at) || *r->at == '_')
		parse_fail(r, from, r->at + 1, "expected a number");
	double v = strtod(arena_strndup(r->arena, from, (size_t)(r->at - from)), NULL);
	if (negative) v = -v;
	if (!real && !(v >= INT32_MIN && v <= INT32_MAX))
		parse_fail(r, from, r->at, "the integer does not fit 32 bits; write a float with a point");
	return constant(g, real ? DT_F32 : DT_I32, v, !real);
}

static uint16_t call_by_name(RegionReader *g, const char *name, const char *from)
{
	Reader *r = g->r;
	Scalar f = SC_NEG;
	DType t = DT_F32;
	uint16_t arg[3] = {0};
	uint32_t n = 0;
	const char *end = r->at;
	parse_expect(r, "(");
	do arg[n++] = expression(g);
	while (!r->failed && n < 3 && parse_take(r, ","));
	parse_expect(r, ")");
	if (r->failed) return 0;
	if (dtype_from_name(name, &t)) {
		if (n != 1) parse_fail(r, from, end, "a cast has one operand");
		return push(g, (RegionNode){.kind = RN_CAST, .type = t, .arg = {arg[0]}}, false);
	}
	if (!scalar_from_name(name, &f)) {
		parse_fail(r, from, end, "`%s` is no scalar function and no element type", name);
		return 0;
	}
	if (n != scalar_info[f].arity) {
		parse_fail(r, from, end, "`%s` has %u operand%s, not %u", name, scalar_info[f].arity,
		           scalar_info[f].arity == 1 ? "" : "s", n);
		return 0;
	}
	return call(g, f, arg);
}

static uint16_t by_name(RegionReader *g, bool negative)
{
	Reader *r = g->r;
	const char *from = r->at, *name = parse_word(r);
	if (r->failed) return 0;
	double sign = negative ? -1 : 1;
	if (strcmp(name, "inf") == 0) return constant(g, DT_F32, sign * INFINITY, false);
	if (strcmp(name, "nan") == 0) return constant(g, DT_F32, NAN, false);
	uint16_t v = 0;
	bool found = true;
	const char *end = r->at;
	parse_skip(r);
	if (*r->at == '(') {
		v = call_by_name(g, name, from);
	} else if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0) {
		v = constant(g, DT_BOOL, *name == 't', false);
	} else {
		size_t i = g->names.n;
		while (i > 0 && g->names.at[i - 1].name != name) i--;
		found = i > 0;
		if (found) v = g->names.at[i - 1].node;
	}
	if (!found) {
		parse_fail(r, from, end,
		           "`%s` is no argument of this region (index expressions stand in [ ])", name);
		return 0;
	}
	return negative && !r->failed ? call(g, SC_NEG, &v) : v;
}

static uint16_t unary(RegionReader *g)
{
	Reader *r = g->r;
	uint16_t v = 0;
	parse_skip(r);
	if (r->failed) return 0;
	if (++g->depth > PARSE_REGION_DEPTH) {
		parse_fail_here(r, "the expression is nested too deeply");
		return 0;
	}
	bool negative = *r->at == '-';
	if (negative) {
		r->at++;
		parse_skip(r);
	}
	char c = *r->at;
	if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)r->at[1]))) {
		v = number(g, negative);
	} else if (isalpha((unsigned char)c) || c == '_') {
		v = by_name(g, negative);
	} else {
		if (c == '(') {
			r->at++;
			v = expression(g);
			parse_expect(r, ")");
		} else if (c == '[') {
			r->at++;
			Dim d = parse_dim(r);
			parse_expect(r, "]");
			v = push(g, (RegionNode){.kind = RN_DIM, .type = DT_I32, .dim = d}, false);
		} else if (negative && c == '-') {
			v = unary(g);
		} else {
			parse_fail_here(r, "expected a scalar expression");
		}
		if (negative && !r->failed) v = call(g, SC_NEG, &v);
	}
	g->depth--;
	return v;
}

static uint16_t product(RegionReader *g)
{
	uint16_t arg[3] = {unary(g)};
	while (!g->r->failed) {
		Scalar f = parse_take(g->r, "//")  ? SC_FLOORDIV
		           : parse_take(g->r, "*") ? SC_MUL
		           : parse_take(g->r, "/") ? SC_DIV
		           : parse_take(g->r, "%") ? SC_MOD
		                                   : NUM_SCALARS;
		if (f == NUM_SCALARS) break;
		arg[1] = unary(g);
		if (!g->r->failed) arg[0] = call(g, f, arg);
	}
	return arg[0];
}

static uint16_t sum(RegionReader *g)
{
	uint16_t arg[3] = {product(g)};
	while (!g->r->failed) {
		Scalar f = parse_take(g->r, "+") ? SC_ADD : parse_take(g->r, "-") ? SC_SUB : NUM_SCALARS;
		if (f == NUM_SCALARS) break;
		arg[1] = product(g);
		if (!g->r->failed) arg[0] = call(g, f, arg);
	}
	return arg[0];
}

static uint16_t expression(RegionReader *g)
{
	static const struct {
		const char *mark;
		Scalar f;
	} relation[] = {{"<=", SC_LE}, {">=", SC_GE}, {"==", SC_EQ},
	                {"!=", SC_NE}, {"<", SC_LT},  {">", SC_GT}};
	uint16_t arg[3] = {sum(g)};
	for (size_t i = 0; i < COUNT(relation) && !g->r->failed; i++) {
		if (!parse_take(g->r, relation[i].mark)) continue;
		arg[1] = sum(g);
		return g->r->failed ? 0 : call(g, relation[i].f, arg);
	}
	return arg[0];
}

/* `name = expression;` if that is next. */
static bool let(RegionReader *g)
{
	Reader *r = g->r;
	parse_skip(r);
	const char *from = r->at, *at = from;
	if (!isalpha((unsigned char)*at) && *at != '_') return false;
	while (isalnum((unsigned char)*at) || *at == '_') at++;
	const char *end = at;
	while (isspace((unsigned char)*at)) at++;
	if (*at != '=' || at[1] == '=') return false;
	r->at = at + 1;
	Named n = {intern(r->p->names, from, (size_t)(end - from)), 0};
	for (size_t i = 0; i < g->names.n; i++)
		if (g->names.at[i].name == n.name)
			return parse_fail(r, from, end, "`%s` is defined twice in this region", n.name);
	n.node = expression(g);
	parse_expect(r, ";");
	if (r->failed) return false;
	g->literal.at[n.node] = false;
	vec_push(r->arena, &g->names, n);
	return true;
}

static DType argument_type(const TileAccess *a)
{
	return a->obj->kind != TB_PLACE && a->obj->enc.kind == ENC_I4 ? DT_F32
	                                                              : dtype_widened(a->obj->dtype);
}

static void finish(RegionReader *g, TileStmt *s, const uint16_t *out, uint32_t n_out)
{
	s->region =
		(Region){.node = g->nodes.at, .n = (uint32_t)g->nodes.n, .n_out = n_out, .n_arg = s->n_in};
	s->region.out = NEW_ARRAY(g->r->arena, uint16_t, n_out + 1);
	memcpy(s->region.out, out, n_out * sizeof *out);
}

void parse_identity(Reader *r, TileStmt *s)
{
	RegionReader g = {.r = r, .s = s};
	if (r->failed) return;
	uint16_t out = push(&g, (RegionNode){.kind = RN_ARG, .type = argument_type(&s->in[0])}, false);
	finish(&g, s, &out, 1);
}

void parse_region(Reader *r, TileStmt *s)
{
	RegionReader g = {.r = r, .s = s};
	uint16_t out[TILE_OUTS] = {0};
	uint32_t n = 0, n_out = 0;
	parse_skip(r);
	const char *from = r->at;
	if (!parse_expect(r, "{")) return;
	if (!parse_take(r, "->")) {
		do {
			parse_skip(r);
			const char *at = r->at;
			Named a = {parse_word(r), (uint16_t)n};
			if (r->failed) return;
			for (size_t i = 0; i < g.names.n; i++)
				if (g.names.at[i].name == a.name)
					parse_fail(r, at, r->at, "two arguments are named `%s`", a.name);
			if (n == s->n_in)
				parse_fail(r, at, r->at,
				           "the region has more arguments than the statement has inputs (%u)",
				           s->n_in);
			if (r->failed) return;
			push(&g,
			     (RegionNode){
					 .kind = RN_ARG, .type = argument_type(&s->in[n]), .index = (uint16_t)n},
			     false);
			vec_push(r->arena, &g.names, a);
			n++;
		} while (parse_take(r, ","));
		parse_expect(r, "->");
	}
	if (!r->failed && n != s->n_in)
		parse_fail(r, from, r->at, "the region has %u argument%s, the statement has %u input%s", n,
		           n == 1 ? "" : "s", s->n_in, s->n_in == 1 ? "" : "s");
	while (!r->failed && let(&g)) continue;
	do {
		if (r->failed) return;
		if (n_out == TILE_OUTS) parse_fail_here(r, "a statement has at most %d results", TILE_OUTS);
		uint16_t v = expression(&g);
		if (r->failed) return;
		if (g.literal.at[v] && n_out < s->n_out && dtype_is_float(s->out[n_out].obj->dtype)) {
			g.nodes.at[v].type = DT_F32;
			g.literal.at[v] = false;
		}
		out[n_out++] = v;
	} while (parse_take(r, ","));
	parse_expect(r, "}");
	if (!r->failed && n_out != s->n_out)
		parse_fail(r, from, r->at, "the region has %u result%s, the statement has %u", n_out,
		           n_out == 1 ? "" : "s", s->n_out);
	finish(&g, s, out, n_out);
}
