/* The table of operations that are tested, and how a row of it becomes a module and is run. A row of
 * ops.def is covered by a row here; elementwise functions have theirs made from scalar.def. */
#ifndef NACRE_TESTS_OPS_ROWS_H
#define NACRE_TESTS_OPS_ROWS_H
#include "agree.h"

/* operands: types, `;` between them; `w:` makes one a weight. B is 1..9, S is 1..70 in any call,
 * T = 96 a constant. attrs: as in the text form of the graph IR. */
typedef struct Row {
	Op op;
	const char *operands, *attrs;
} Row;

static const Row rows[] = {
	{OP_CAST, "f32[B, S, 5]", "dtype = i32"},
	{OP_CAST, "i32[7, 3]", "dtype = f32"},
	{OP_CAST, "f32[S, 6]", "dtype = bf16"},
	{OP_RESHAPE, "f32[B, S, 6]", "dims = [B, S, 2, 3]"},
	{OP_RESHAPE, "f32[B, S, 2, 3]", "dims = [B*S, 6]"},
	{OP_RESHAPE, "f32[4, 9]", "dims = [6, 6]"},
	{OP_RESHAPE, "i8[S, 9]", "dims = [9*S]"},
	{OP_CAST, "u8[B, S, 5]", "dtype = f32"},
	{OP_CAST, "f32[B, S, 5]", "dtype = i8"},
	{OP_CAST, "f32[B, S, 5]", "dtype = bool"},
	{OP_CAST, "f32[B, S, 5]", "dtype = f16"},
	{OP_TRANSPOSE, "f32[B, S, 3, 5]", "perm = [0, 2, 1, 3]"},
	{OP_TRANSPOSE, "f32[B, S]", "perm = [1, 0]"},
	{OP_TRANSPOSE, "f32[3, 4, 5]", "perm = [2, 0, 1]"},
	{OP_BROADCAST, "f32[S, 1, 5]", "dims = [B, S, 3, 5]"},
	{OP_SLICE, "f32[B, 9, S]", "start = [0, 2, 0], size = [B, 3, S], step = [1, 2, 1]"},
	{OP_SLICE, "f32[B, S, 4]", "start = [0, S - 1, 0], size = [B, 1, 4]"},
	{OP_SLICE, "f32[T, 5]", "start = [P, 1], size = [S, 3]"},
	{OP_UPDATE, "f32[B, T, 5]; f32[B, S, 5]", "start = [0, P, 0]"},
	{OP_UPDATE, "f32[6, 5]; f32[2, 3]", "start = [1, 2]"},
	{OP_CONCAT, "f32[B, S, 3]; f32[B, S, 4]; f32[B, S, 1]", "axis = 2"},
	{OP_CONCAT, "f32[B, S, 3]; f32[B, 7, 3]", "axis = 1"},
	{OP_PAD, "f32[B, 5, 6]", "lo = [0, 1, 2], hi = [0, 0, 3], value = 2.5"},
	{OP_PAD, "f32[S, 6]", "lo = [1, 0], hi = [2, 0]"},
	{OP_GATHER, "w:f32[11, 6]; i32[B, S]", "axis = 0"},
	{OP_GATHER, "f32[S + 4, 6]; i32[4]", "axis = 0"},
	{OP_GATHER, "f32[3, 11, 5]; i32[7]", "axis = 1"},
	{OP_GATHER, "f32[B, S + 4, 5]; i32[7]", "axis = 1"},
	{OP_PAD, "f32[B, S, 6]", "lo = [0, 1, 0], hi = [0, 2, 1], value = -1"},
	{OP_IOTA, "", "dims = [B, S, 3], axis = 1"},
	{OP_EINSUM, "f32[B, S, 7]; w:f32[13, 7]", "spec = \"abk,nk->abn\""},
	{OP_EINSUM, "f32[B, S, 7]; w:f32[7, 13]", "spec = \"abk,kn->abn\""},
	{OP_EINSUM, "f32[B, 3, S, 5]; f32[B, 3, T, 5]", "spec = \"bhid,bhjd->bhij\""},
	{OP_EINSUM, "f32[B, 3, 4, S]; f32[B, 3, S, 5]", "spec = \"bhij,bhjd->bhid\""},
	{OP_EINSUM, "w:f32[7, 5]; f32[S, 5]", "spec = \"mk,nk->nm\""},
	{OP_EINSUM, "i8[S, 9]; w:i8[6, 9]", "spec = \"ak,nk->an\""},
	{OP_EINSUM, "bf16[S, 9]; w:bf16[9, 6]", "spec = \"ak,kn->an\""},
	{OP_EINSUM, "f32[S]; f32[S]", "spec = \"k,k->\""},
	{OP_EINSUM, "f32[S]; f32[B]", "spec = \"a,b->ab\""},
	{OP_EINSUM, "f32[S, 4, 5]; f32[4, 5, 6]", "spec = \"akl,kln->an\""},
	{OP_ROUTED, "f32[S, 7]; w:f32[4, 40, 7]; i32[2*S]", "per = 2"},
	{OP_ROUTED, "f32[B*S, 33]; w:f32[5, 5, 33]; i32[B*S]", "per = 1"},
	{OP_ROUTED, "f32[5, 9]; f32[4, 6, 9]; i32[10]", "per = 2"},
	{OP_ROUTED, "bf16[B, 9]; w:bf16[70, 6, 9]; i32[3*B]", "per = 3"},
	{OP_DEQUANT, "w:i8[7, 10]; w:f32[2, 4]", "block = [4, 3]"},
	{OP_DEQUANT, "f8e4m3[S, 9]; f32[S, 1]", "block = [1, 9]"},
	{OP_DEQUANT, "w:i4[7, 10]; w:f16[7, 4]; w:i4[7, 4]", "block = [1, 3]"},
	{OP_DEQUANT, "u8[S, 9]; f32[S, 2]; u8[S, 2]", "block = [1, 5]"},
	{OP_ROUTE, "i32[2*S]", "experts = 4, block = 16"},
	{OP_ROUTE, "i32[S]", "experts = 5, block = 70"},
	{OP_ROUTED, "i8[S, 9]; w:i8[4, 6, 9]; i32[S]", "per = 1"},
	{OP_CONV, "f32[B, 3, 9, 7]; w:f32[5, 3, 3, 3]",
     "stride = [1, 1], lo = [1, 1], hi = [1, 1], dilation = [1, 1], groups = 1"},
	{OP_CONV, "f32[B, 3, 9, 7]; w:f32[5, 3, 3, 2]",
     "stride = [2, 3], lo = [0, 1], hi = [1, 2], dilation = [1, 2], groups = 1"},
	{OP_CONV, "f32[B, 4, 6, 5]; w:f32[4, 1, 3, 3]",
     "stride = [1, 2], lo = [1, 1], hi = [1, 1], dilation = [1, 1], groups = 4"},
	{OP_CONV, "f32[B, 4, 6, 5]; w:f32[6, 2, 1, 1]",
     "stride = [1, 1], lo = [0, 0], hi = [0, 0], dilation = [1, 1], groups = 2"},
	{OP_CONV, "f32[B, 3, 12]; w:f32[5, 3, 4]",
     "stride = [2], lo = [2], hi = [1], dilation = [1], groups = 1"},
	{OP_CONV, "f32[B, 3, S]; w:f32[5, 3, 1]",
     "stride = [1], lo = [0], hi = [0], dilation = [1], groups = 1"},
	{OP_CONV, "f32[2, 2, 4, 5, 6]; w:f32[3, 2, 2, 3, 3]",
     "stride = [1, 1, 2], lo = [1, 1, 1], hi = [0, 1, 1], dilation = [1, 1, 1], groups = 1"},
	{OP_CONV, "f32[B, 3, S, 7]; w:f32[5, 3, 3, 3]",
     "stride = [1, 2], lo = [1, 1], hi = [1, 1], dilation = [1, 1], groups = 1"},
	{OP_CONV, "f32[B, 3, S + 1]; w:f32[5, 3, 3]",
     "stride = [2], lo = [1], hi = [1], dilation = [1], groups = 1"},
	{OP_CONV, "f32[B, 3, 9, 7]; f32[5, 3, 3, 3]",
     "stride = [1, 1], lo = [1, 1], hi = [1, 1], dilation = [1, 1], groups = 1"},
	{OP_EINSUM, "f16[S, 9]; w:f16[9, 6]", "spec = \"ak,kn->an\""},
	{OP_EINSUM, "f32[S, 9]; w:bf16[6, 9]", "spec = \"ak,nk->an\""},
	{OP_EINSUM, "f32[4, S, 9]; w:f32[4, 9, 6]", "spec = \"eak,ekn->ean\""},
	{OP_CONV, "bf16[B, 3, 9, 7]; w:bf16[5, 3, 3, 3]",
     "stride = [1, 1], lo = [1, 1], hi = [1, 1], dilation = [1, 1], groups = 1"},
	{OP_POOL, "f32[B, 4, S, 6]",
     "reduce = \"mean\", size = [3, 3], stride = [2, 2], lo = [1, 1], hi = [1, 1]"},
	{OP_POOL, "f32[B, 4, 3, 5, 6]",
     "reduce = \"mean\", size = [2, 3, 3], stride = [1, 2, 2], lo = [1, 1, 1], hi = [1, 1, 1]"},
	{OP_POOL, "f32[B, 5, 7, 6]",
     "reduce = \"max\", size = [2, 3], stride = [2, 1], lo = [0, 1], hi = [1, 1]"},
	{OP_POOL, "f32[B, 5, 7, 6]",
     "reduce = \"mean\", size = [3, 3], stride = [2, 2], lo = [1, 1], hi = [1, 1]"},
	{OP_POOL, "f32[B, 5, 8]", "reduce = \"mean\", size = [2], stride = [2], lo = [0], hi = [0]"},
	{OP_POOL, "f32[B, 5, 7, 6]",
     "reduce = \"mean\", size = [3, 3], stride = [2, 2], lo = [1, 1], hi = [1, 1], count_pad = true"},
	{OP_REDUCE, "f32[B, S, 5]", "reduce = \"sum\", axes = [2]"},
	{OP_REDUCE, "f32[B, S, 5]", "reduce = \"max\", axes = [1], keep = true"},
	{OP_REDUCE, "f32[B, S, 5]", "reduce = \"min\", axes = [0, 2]"},
	{OP_REDUCE, "f32[3, 4]", "reduce = \"sum\", axes = [0, 1]"},
	{OP_REDUCE, "f32[B, S]", "reduce = \"argmax\", axes = [1]"},
	{OP_REDUCE, "i32[B, S]", "reduce = \"sum\", axes = [1]"},
	{OP_REDUCE, "f32[B, 9, 5]", "reduce = \"prod\", axes = [1]"},
	{OP_REDUCE, "i32[B, S, 3]", "reduce = \"prod\", axes = [0, 2], keep = true"},
	{OP_REDUCE, "bf16[B, S]", "reduce = \"max\", axes = [1]"},
	{OP_REDUCE, "u8[B, S]", "reduce = \"sum\", axes = [1]"},
	{OP_SOFTMAX, "f32[B, 3, S]", "axis = 2"},
	{OP_SOFTMAX, "f16[S, 9]", "axis = 1"},
	{OP_SOFTMAX, "f32[B, S, 5]", "axis = 1"},
	{OP_SOFTMAX, "f32[S, 9]", "axis = 1"},
	{OP_LAYER_NORM, "f32[B, S, 9]; w:f32[9]; w:f32[9]", "eps = 1e-05"},
	{OP_LAYER_NORM, "f32[B, S]", "eps = 1e-05"},
	{OP_RMS_NORM, "f32[B, S, 9]; w:f32[9]", "eps = 1e-06"},
	{OP_LAYER_NORM, "bf16[B, S, 9]; w:f32[9]; w:bf16[9]", "eps = 1e-05"},
	{OP_RMS_NORM, "f32[7]", "eps = 1e-06"},
	{OP_ATTENTION, "f32[B, 4, S, 5]; f32[B, 4, S, 5]; f32[B, 4, S, 6]", "scale = 0.4"},
	{OP_ATTENTION, "f32[B, 4, S, 5]; f32[B, 2, T, 5]; f32[B, 2, T, 5]",
     "scale = 0.4, causal = true"},
	{OP_ATTENTION, "f32[B, 4, S, 5]; f32[B, 2, P + S, 5]; f32[B, 2, P + S, 5]",
     "scale = 0.4, causal = true"},
	{OP_ATTENTION, "f32[B, 2, S, 5]; f32[B, 1, S, 5]; f32[B, 1, S, 5]",
     "scale = 0.4, causal = true, window = 7"},
	{OP_ATTENTION, "f32[B, 2, S, 5]; f32[B, 2, S, 5]; f32[B, 2, S, 5]", "scale = 0.4, window = 3"},
	{OP_ATTENTION, "f32[B, 2, S, 5]; f32[B, 2, 11, 5]; f32[B, 2, 11, 5]; f32[2, S, 11]",
     "scale = 0.4"},
	{OP_ATTENTION, "f32[B, 4, S, 5]; f32[B, 2, T, 5]; f32[B, 2, T, 5]; f32[B, 1, 1, T]",
     "scale = 0.4, soft_cap = 2, causal = true"},
	{OP_ATTENTION, "f32[3, S, 5]; f32[3, 4, 5]; f32[3, 4, 5]", "scale = 1, causal = true"},
	{OP_ATTENTION, "bf16[B, 4, S, 8]; bf16[B, 2, T, 8]; bf16[B, 2, T, 8]",
     "scale = 0.4, causal = true"},
	{OP_ROPE, "f32[B, 3, S, 6]", "pos = P, base = 10000, half = true"},
	{OP_ROPE, "f32[B, 3, S, 6]", "pos = P, base = 100, half = false"},
	{OP_ROPE, "f32[B, S, 6]; w:f32[3]", "pos = P, base = 100, half = true"},
	{OP_ROPE, "f32[B, 3, S, 6]; f32[3]", "pos = P, base = 100, half = false"},
	{OP_SCAN, "f32[B, S]", "reduce = \"sum\", axis = 1"},
	{OP_SCAN, "f32[B, S, 3]", "reduce = \"max\", axis = 1"},
	{OP_SCAN, "i32[S]", "reduce = \"min\", axis = 0"},
	{OP_TOPK, "f32[B, S, 9]", "k = 3"},
	{OP_TOPK, "f32[B, T]", "k = 5"},
	{OP_TOPK, "i32[S, 9]", "k = 9"},
	{OP_SORT, "f32[B, S]", "descending = true"},
	{OP_SORT, "f32[3, 9]", ""},
	{OP_MEAN, "f32[B, S, 5]", "axes = [1]"},
	{OP_MEAN, "f32[B, 3, 4, 5]", "axes = [2, 3], keep = true"},
	{OP_CLAMP, "f32[B, S]", "lo = -0.5, hi = 0.7"},
	{OP_BATCH_NORM, "f32[B, 4, 3, 5]; w:f32[4]; w:f32[4]; w:f32[4]; w:f32[4]",
     "eps = 0.001, axis = 1"},
	{OP_LOG_SOFTMAX, "f32[B, S, 9]", "axis = 2"},
	{OP_SOFTPLUS, "f32[B, S]", ""},
};

static const int64_t sizes[][3] = {{1, 1, 0}, {2, 3, 1}, {3, 17, 40}, {1, 70, 26}}; /* B, S, P */

/* --- the module of a row --- */

static DimSym *find_sym(void *ctx, const char *name, size_t n)
{
	Module *m = ctx;
	for (size_t i = 0; i < m->params.n; i++)
		if (strlen(m->params.at[i]->name) == n && memcmp(m->params.at[i]->name, name, n) == 0)
			return m->params.at[i];
	return NULL;
}

static Module *new_module(Arena *a)
{
	Interner *names = interner_new(a);
	Module *m = module_new(a, names, "ops");
	static const struct {
		const char *name;
		int64_t lo, hi;
		DimSymKind kind;
	} dims[] = {{"B", 1, 9, SYM_SESSION}, {"S", 1, 70, SYM_CALL}, {"P", 0, 96, SYM_CALL}};
	for (size_t i = 0; i < COUNT(dims); i++) {
		DimSym *s = dim_sym_new(m->dims, intern_str(names, dims[i].name), dims[i].kind,
		                        dim_const(m->dims, dims[i].lo), dim_const(m->dims, dims[i].hi),
		                        span_none());
		vec_push(a, &m->params, s);
	}
	Dim room = dim_sub(
		m->dims, dim_const(m->dims, 96),
		dim_add(m->dims, dim_sym(m->dims, m->params.at[1]), dim_sym(m->dims, m->params.at[2])));
	vec_push(a, &m->require, room);
	vec_push(a, &m->require_text, "P + S <= T");
	vec_push(a, &m->facts.nonneg, room);
	return m;
}

static const char *skip(const char *s)
{
	while (*s == ' ' || *s == ',') s++;
	return s;
}

static Dim read_dim(Module *m, const char **s)
{
	const char *why = NULL, *at = skip(*s);
	if (*at == 'T') { /* the constant */
		*s = at + 1;
		return dim_const(m->dims, 96);
	}
	Dim d = dim_parse(m->dims, at, s, find_sym, m, &why);
	cr_assert(d, "%s: %s", at, why);
	return d;
}

static Type read_type(Module *m, const char **s)
{
	char name[16] = "";
	size_t n = strcspn(*s, "[; ");
	Type t = {0};
	memcpy(name, *s, n);
	cr_assert(dtype_from_name(name, &t.dtype), "%s", name);
	*s += n;
	if (**s != '[') return t;
	(*s)++;
	while (*(*s = skip(*s)) != ']') t.dim[t.rank++] = read_dim(m, s);
	(*s)++;
	return t;
}

static void read_attr(Module *m, Node *n, const char **s)
{
	char name[32] = "", word[64] = "";
	size_t len = strcspn(*s, " =");
	int64_t ints[16];
	Dim dims[16];
	uint32_t count = 0;
	memcpy(name, *s, len);
	*s = skip(*s + len);
	cr_assert_eq(**s, '=');
	*s = skip(*s + 1);
	const AttrInfo *row = op_info[n->op].attr;
	while (row->name && strcmp(row->name, name)) row++;
	cr_assert(row->name, "%s has no attribute %s", op_info[n->op].mnemonic, name);
	switch (row->kind) {
	case ATTR_INT: attr_int(n, name, strtol(*s, (char **)(uintptr_t)s, 10)); break;
	case ATTR_FLOAT: attr_float(n, name, strtod(*s, (char **)(uintptr_t)s)); break;
	case ATTR_DIM: attr_dim(n, name, read_dim(m, s)); break;
	case ATTR_INTS:
		(*s)++;
		while (*(*s = skip(*s)) != ']') ints[count++] = strtol(*s, (char **)(uintptr_t)s, 10);
		(*s)++;
		attr_ints(m, n, name, count, ints);
		break;
	case ATTR_DIMS:
		(*s)++;
		while (*(*s = skip(*s)) != ']') dims[count++] = read_dim(m, s);
		(*s)++;
		attr_dims(m, n, name, count, dims);
		break;
	default: {
		bool quoted = **s == '"';
		if (quoted) (*s)++;
		len = strcspn(*s, quoted ? "\"" : ", ");
		memcpy(word, *s, len);
		*s += len + (row->kind == ATTR_STR);
		DType t = DT_F32;
		if (row->kind == ATTR_STR) attr_str(n, name, intern_str(m->names, word));
		if (row->kind == ATTR_BOOL) attr_int(n, name, strcmp(word, "true") == 0);
		if (row->kind == ATTR_DTYPE && dtype_from_name(word, &t)) attr_int(n, name, t);
	}
	}
}

static Node *add_leaf(Module *m, Entry *e, Diags *d, const char **s)
{
	bool weight = strncmp(*s, "w:", 2) == 0;
	if (weight) *s += 2;
	Type t = read_type(m, s);
	Node *n = node_new(m, weight ? OP_WEIGHT : OP_PARAM, 0, NULL, span_none());
	n->type = t;
	if (weight) {
		const char **key = NEW(m->arena, const char *);
		*key = arena_printf(m->arena, "w%zu", m->weights.n);
		attr_int(n, "number",
		         module_weight(m, (Weight){.name = *key, .type = t, .n_keys = 1, .keys = key}));
	} else {
		attr_int(n, "number", (int64_t)e->in_names.n);
		const char *name = arena_printf(m->arena, "x%zu", e->in_names.n);
		vec_push(m->arena, &e->in_names, name);
	}
	return graph_add(e->graph, d, n);
}

static Module *row_module(Arena *a, Diags *d, const Row *row)
{
	Module *m = new_module(a);
	Entry *e = module_entry(m, "main");
	Node *in[8];
	uint32_t n_in = 0;
	const char *s = row->operands;
	while (*s) {
		in[n_in++] = add_leaf(m, e, d, &s);
		while (*s == ';' || *s == ' ') s++;
	}
	Node *n = node_new(m, row->op, n_in, in, span_none());
	for (s = row->attrs; *(s = skip(s));) read_attr(m, n, &s);
	if (!graph_add(e->graph, d, n)) return NULL;
	uint32_t results = n->type.is_tuple ? n->type.n : 1;
	for (uint32_t i = 0; i < results; i++) {
		vec_push(a, &e->graph->results,
		         n->type.is_tuple ? graph_get(e->graph, d, n, i, span_none()) : n);
		vec_push(a, &e->out_names, arena_printf(a, "y%u", i));
	}
	return m;
}

static void run_row(const Row *row, const TileTraits *tiles, size_t n_tiles,
                    const AgreeOther *other)
{
	for (size_t t = 0; t < n_tiles; t++) {
		Arena *a = arena_new();
		Diags d = {.arena = a};
		Agree r = {.arena = a, .positive = row->op == OP_BATCH_NORM, .other = other};
		r.title = arena_printf(a, "%s(%s) {%s}, tiles %zu", op_info[row->op].mnemonic,
		                       row->operands, row->attrs, t);
		r.oracle = row_module(a, &d, row);
		r.m = row_module(a, &d, row);
		if (!r.m || !r.oracle) {
			agree_show(&r, &d, "module");
		} else if (agree_build(&r, &tiles[t])) {
			for (size_t i = 0; i < COUNT(sizes); i++) {
				r.seed = 7 + i;
				memcpy(r.params, sizes[i], sizeof sizes[i]);
				if (!agree_start(&r) || !agree_call(&r, 0)) break;
			}
		}
		if (other) other->finish(&r);
		arena_free(a);
	}
}

static void run_kind(OpKind kind, const TileTraits *tiles, size_t n, const AgreeOther *other)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (op_info[rows[i].op].kind == kind) run_row(&rows[i], tiles, n, other);
}

/* Functions of scalar.def: floats, and i32 or bool where they take them, broadcast from the right. */
static void run_elementwise(const TileTraits *tiles, size_t n, const AgreeOther *other)
{
	static const char *const shapes[3] = {"[B, S, 5]", "[S, 1]", "[5]"};
	for (Op op = OP_NEG; op < OP_CAST; op++) {
		const ScalarInfo *f = &scalar_info[op - OP_NEG];
		Scalar id = (Scalar)(op - OP_NEG);
		bool logic = id == SC_AND || id == SC_OR || id == SC_NOT;
		for (int integer = 0; integer < (f->result == SCALAR_FLOAT || logic ? 1 : 2); integer++) {
			char operands[128] = "";
			for (uint32_t i = 0; i < f->arity; i++) {
				const char *t = logic || (id == SC_SELECT && i == 0) ? "bool"
				                : integer                            ? "i32"
				                                                     : "f32";
				snprintf(operands + strlen(operands), sizeof operands - strlen(operands), "%s%s%s",
				         i ? "; " : "", t, shapes[i]);
			}
			Row row = {op, operands, ""};
			run_row(&row, tiles, n, other);
		}
	}
}
#endif
