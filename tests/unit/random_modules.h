/* Random valid modules: a few inputs and weights, a dozen operations whose operands are chosen among
 * the values so far, shapes with dims that the program does not know. The same seed gives the same
 * module. */
#ifndef NACRE_TESTS_RANDOM_MODULES_H
#define NACRE_TESTS_RANDOM_MODULES_H
#include "agree.h"

typedef struct Maker {
	Arena *arena;
	Module *m;
	Entry *e;
	Graph *g;
	Diags silent;
	uint64_t seed;
	Node *value[64];
	uint32_t n;
	Dim B, S;
} Maker;

static uint32_t pick(Maker *k, uint32_t below)
{
	k->seed = k->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(k->seed >> 33) % below;
}

static void keep(Maker *k, Node *n)
{
	if (n && !n->type.is_tuple && k->n < COUNT(k->value)) k->value[k->n++] = n;
}

static Node *any(Maker *k)
{
	/* the latest more often, so that chains grow */
	uint32_t back = pick(k, 3) ? pick(k, k->n < 4 ? k->n : 4) : pick(k, k->n);
	return k->value[k->n - 1 - back];
}

static Node *add_input(Maker *k, DType t, uint32_t rank, const Dim *dims, bool weight)
{
	Node *n = node_new(k->m, weight ? OP_WEIGHT : OP_PARAM, 0, NULL, span_none());
	n->type = type_tensor(t, rank, dims);
	if (weight) {
		const char **key = NEW(k->arena, const char *);
		*key = arena_printf(k->arena, "w%zu", k->m->weights.n);
		attr_int(
			n, "number",
			module_weight(k->m, (Weight){.name = *key, .type = n->type, .n_keys = 1, .keys = key}));
	} else {
		const char *name = arena_printf(k->arena, "x%zu", k->e->in_names.n);
		attr_int(n, "number", (int64_t)k->e->in_names.n);
		vec_push(k->arena, &k->e->in_names, name);
	}
	return graph_add(k->g, &k->silent, n);
}

static Dim number(Maker *k, int64_t v)
{
	return dim_const(k->m->dims, v);
}

static void make_inputs(Maker *k)
{
	Dim four = number(k, 4), three = number(k, 3), one = number(k, 1);
	keep(k, add_input(k, DT_F32, 3, (Dim[]){k->B, k->S, four}, false));
	keep(k, add_input(k, DT_F32, 1, &four, true));
	switch (pick(k, 4)) {
	case 0: keep(k, add_input(k, DT_F32, 2, (Dim[]){k->S, four}, false)); break;
	case 1: keep(k, add_input(k, DT_F32, 4, (Dim[]){k->B, three, k->S, four}, false)); break;
	case 2: keep(k, add_input(k, DT_F32, 3, (Dim[]){k->B, one, four}, false)); break;
	default: keep(k, add_input(k, DT_F32, 3, (Dim[]){k->S, three, number(k, 5)}, false)); break;
	}
}

static Node *finish(Maker *k, Node *n)
{
	return graph_add(k->g, &k->silent, n);
}

static Node *make_unary(Maker *k)
{
	static const Op ops[] = {OP_NEG,  OP_TANH, OP_RELU, OP_SIGMOID,
	                         OP_GELU, OP_ABS,  OP_SILU, OP_EXP};
	Node *x = any(k);
	return graph_unary(k->g, &k->silent, ops[pick(k, COUNT(ops) - (k->n > 12))], x, span_none());
}

static Node *make_binary(Maker *k)
{
	static const Op ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_MAX, OP_MIN, OP_ADD};
	return graph_binary(k->g, &k->silent, ops[pick(k, COUNT(ops))], any(k), any(k), span_none());
}

static Node *make_transpose(Maker *k)
{
	Node *x = any(k);
	int64_t perm[MAX_RANK];
	for (uint32_t i = 0; i < x->type.rank; i++) perm[i] = i;
	for (uint32_t i = x->type.rank; i > 1; i--) {
		uint32_t j = pick(k, i);
		int64_t t = perm[i - 1];
		perm[i - 1] = perm[j];
		perm[j] = t;
	}
	return graph_transpose(k->g, &k->silent, x, perm, span_none());
}

/* Merges two dims, splits one of 4 or puts in a dim of 1. */
static Node *make_reshape(Maker *k)
{
	Node *x = any(k);
	Dim dims[MAX_RANK + 1];
	uint32_t rank = 0, at = x->type.rank ? pick(k, x->type.rank) : 0, how = pick(k, 3);
	for (uint32_t i = 0; i < x->type.rank; i++) {
		Dim d = x->type.dim[i];
		int64_t size;
		if (i == at && how == 0 && i + 1 < x->type.rank) {
			dims[rank++] = dim_mul(k->m->dims, d, x->type.dim[++i]);
		} else if (i == at && how == 1 && dim_is_const(d, &size) && size % 2 == 0) {
			dims[rank++] = number(k, 2);
			dims[rank++] = number(k, size / 2);
		} else if (i == at && how == 2) {
			dims[rank++] = number(k, 1);
			dims[rank++] = d;
		} else {
			dims[rank++] = d;
		}
	}
	return rank <= 5 ? graph_reshape(k->g, &k->silent, x, rank, dims, span_none()) : NULL;
}

static Node *make_slice(Maker *k)
{
	Node *x = any(k);
	Dim start[MAX_RANK], size[MAX_RANK];
	for (uint32_t i = 0; i < x->type.rank; i++) {
		int64_t n;
		bool cut = dim_is_const(x->type.dim[i], &n) && n > 2 && pick(k, 2);
		start[i] = number(k, cut ? 1 : 0);
		size[i] = cut ? number(k, n - 1 - pick(k, 2)) : x->type.dim[i];
		if (x->type.dim[i] == k->S && pick(k, 4) == 0) {
			start[i] = dim_addc(k->m->dims, k->S, -1);
			size[i] = number(k, 1);
		}
	}
	Node *n = node_new(k->m, OP_SLICE, 1, &x, span_none());
	attr_dims(k->m, n, "start", x->type.rank, start);
	attr_dims(k->m, n, "size", x->type.rank, size);
	return finish(k, n);
}

static Node *make_row(Maker *k)
{
	Node *x = any(k);
	static const Op ops[] = {OP_SOFTMAX, OP_LAYER_NORM, OP_RMS_NORM, OP_REDUCE, OP_REDUCE, OP_MEAN};
	static const char *const how[] = {"sum", "max", "min"};
	Op op = ops[pick(k, COUNT(ops))];
	Node *n = node_new(k->m, op, 1, &x, span_none());
	int64_t axis = x->type.rank ? pick(k, x->type.rank) : 0;
	if (!x->type.rank) return NULL;
	if (op == OP_SOFTMAX) attr_int(n, "axis", axis);
	if (op == OP_LAYER_NORM || op == OP_RMS_NORM) attr_float(n, "eps", 0.01);
	if (op == OP_REDUCE) attr_str(n, "reduce", intern_str(k->m->names, how[pick(k, 3)]));
	if (op == OP_REDUCE || op == OP_MEAN) {
		attr_ints(k->m, n, "axes", 1, &axis);
		attr_int(n, "keep", pick(k, 2));
	}
	return finish(k, n);
}

/* With a weight on the last axis, or with itself over the last two. */
static Node *make_product(Maker *k)
{
	Node *x = any(k);
	uint32_t rank = x->type.rank;
	int64_t width;
	char spec[32] = "abcdefg";
	if (!rank || rank > 4) return NULL;
	if (pick(k, 3) && dim_is_const(x->type.dim[rank - 1], &width)) {
		bool first = pick(k, 2);
		Dim dims[2] = {number(k, first ? width : 6), number(k, first ? 6 : width)};
		Node *w = add_input(k, DT_F32, 2, dims, true);
		snprintf(spec + rank, sizeof spec - rank, ",%s", first ? "" : "z");
		snprintf(spec + strlen(spec), 24, "%c%s->%.*sz", 'a' + (int)rank - 1, first ? "z" : "",
		         (int)rank - 1, "abcdefg");
		return graph_einsum(k->g, &k->silent, spec, x, w, span_none());
	}
	if (rank < 2) return NULL;
	snprintf(spec, sizeof spec, "%.*s,%.*sz%c->%.*sz", (int)rank, "abcdefg", (int)rank - 2,
	         "abcdefg", 'a' + (int)rank - 1, (int)rank - 1, "abcdefg");
	return graph_einsum(k->g, &k->silent, spec, x, x, span_none());
}

static Node *make_joined(Maker *k)
{
	Node *x = any(k), *y = any(k);
	Node *n = node_new(k->m, OP_CONCAT, 2, (Node *[]){x, y}, span_none());
	if (!x->type.rank) return NULL;
	attr_int(n, "axis", pick(k, x->type.rank));
	return finish(k, n);
}

static Node *make_padded(Maker *k)
{
	Node *x = any(k), *n = node_new(k->m, OP_PAD, 1, &x, span_none());
	int64_t lo[MAX_RANK], hi[MAX_RANK];
	for (uint32_t i = 0; i < x->type.rank; i++) {
		lo[i] = pick(k, 3) == 0;
		hi[i] = pick(k, 3) == 0;
	}
	attr_ints(k->m, n, "lo", x->type.rank, lo);
	attr_ints(k->m, n, "hi", x->type.rank, hi);
	attr_float(n, "value", 0.5);
	return finish(k, n);
}

static Node *make_attention(Maker *k)
{
	Node *x = any(k);
	if (!x->type.rank || !dim_is_const(x->type.dim[x->type.rank - 1], NULL)) return NULL;
	Node *n = node_new(k->m, OP_ATTENTION, 3, (Node *[]){x, x, x}, span_none());
	attr_float(n, "scale", 0.5);
	attr_int(n, "causal", pick(k, 2));
	return finish(k, n);
}

static Node *make_value(Maker *k)
{
	switch (pick(k, 12)) {
	case 0:
	case 1: return make_unary(k);
	case 2:
	case 3:
	case 4: return make_binary(k);
	case 5: return make_transpose(k);
	case 6: return make_reshape(k);
	case 7: return pick(k, 2) ? make_slice(k) : make_padded(k);
	case 8: return make_row(k);
	case 9: return make_product(k);
	case 10: return pick(k, 2) ? make_joined(k) : make_attention(k);
	default: return make_row(k);
	}
}

static Module *random_module(Arena *a, uint64_t seed)
{
	Maker k = {
		.arena = a, .silent = {.arena = a, .frozen = true}, .seed = seed * 0x9e3779b97f4a7c15u + 1};
	k.m = module_new(a, interner_new(a), "random");
	DimSym *B = dim_sym_new(k.m->dims, intern_str(k.m->names, "B"), SYM_CALL,
	                        dim_const(k.m->dims, 1), dim_const(k.m->dims, 4), span_none());
	DimSym *S = dim_sym_new(k.m->dims, intern_str(k.m->names, "S"), SYM_CALL,
	                        dim_const(k.m->dims, 1), dim_const(k.m->dims, 19), span_none());
	vec_push(a, &k.m->params, B);
	vec_push(a, &k.m->params, S);
	k.B = dim_sym(k.m->dims, B);
	k.S = dim_sym(k.m->dims, S);
	k.e = module_entry(k.m, "main");
	k.g = k.e->graph;
	make_inputs(&k);
	uint32_t steps = 3 + pick(&k, 9), outputs = 1 + pick(&k, 2), inputs = k.n;
	for (uint32_t i = 0; i < 6 * steps && k.n < inputs + steps; i++) keep(&k, make_value(&k));
	for (uint32_t i = 0; i < outputs; i++) {
		const char *name = arena_printf(a, "y%u", i);
		vec_push(a, &k.g->results, k.value[k.n - 1 - i]);
		vec_push(a, &k.e->out_names, name);
	}
	return k.m;
}

static void run_random(uint64_t first, uint64_t count, const TileTraits *tiles,
                       const AgreeOther *other)
{
	static const int64_t random_sizes[][2] = {{1, 1}, {3, 7}, {2, 19}};
	for (uint64_t seed = first; seed < first + count; seed++) {
		Arena *a = arena_new();
		Agree r = {.arena = a, .title = arena_printf(a, "random module %lu", seed), .other = other};
		r.oracle = random_module(a, seed);
		r.m = random_module(a, seed);
		uint32_t errors = 0;
		if (agree_build(&r, tiles)) {
			for (size_t i = 0; i < COUNT(random_sizes); i++) {
				memcpy(r.params, random_sizes[i], sizeof random_sizes[i]);
				r.seed = seed + i;
				if (!agree_start(&r) || !agree_call(&r, 0)) break;
			}
		} else {
			errors++;
		}
		if (errors && getenv("AGREE_PRINT")) {
			Text t = text_new(a);
			module_print(&t, r.oracle);
			puts(t.at);
		}
		if (other && r.other_own) other->finish(&r);
		arena_free(a);
	}
}
#endif
