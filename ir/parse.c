/* The text form of the graph IR, reading half. Input is outside text: every name, number, type and
 * operand is checked; the first error of the file is reported with its place and ends the reading. */
#include "ir/ir.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_LIST = 1 << 20 };

typedef struct Scope {
	struct Scope *up;
	DimSym *sym;
} Scope;

typedef struct Reader {
	Module *m;
	Diags *d;
	const Source *source;
	const char *at;
	VEC(Node *) by_id; /* NULL where no node of that number is visible */
	Scope *syms;
	int depth;
	bool failed;
} Reader;

static Span span_at(const Reader *r, const char *from, const char *to)
{
	uint32_t begin = (uint32_t)(from - r->source->text), end = (uint32_t)(to - r->source->text);
	return (Span){r->source, begin, end > begin ? end : begin + 1};
}

static bool fail(Reader *r, const char *why)
{
	if (!r->failed) diag_error(r->d, span_at(r, r->at, r->at + 1), "%s", why);
	r->failed = true;
	return false;
}

static void skip(Reader *r)
{
	for (;;) {
		while (isspace((unsigned char)*r->at)) r->at++;
		if (*r->at != '#') return;
		while (*r->at && *r->at != '\n') r->at++;
	}
}

/* Takes the word or mark if it is next. A word must not go on. */
static bool take(Reader *r, const char *what)
{
	skip(r);
	size_t n = strlen(what);
	if (strncmp(r->at, what, n) != 0) return false;
	if (isalnum((unsigned char)what[n - 1]) &&
	    (isalnum((unsigned char)r->at[n]) || r->at[n] == '_'))
		return false;
	r->at += n;
	return true;
}

static bool expect(Reader *r, const char *what)
{
	return take(r, what) || fail(r, arena_printf(r->m->arena, "expected `%s`", what));
}

static const char *word(Reader *r)
{
	skip(r);
	const char *from = r->at;
	while (isalnum((unsigned char)*r->at) || *r->at == '_' || *r->at == '.') {
		if (r->at[0] == '.' && r->at[1] == '.') break;
		r->at++;
	}
	if (r->at == from) {
		fail(r, "expected a name");
		return "";
	}
	return intern(r->m->names, from, (size_t)(r->at - from));
}

static const char *string(Reader *r)
{
	if (!expect(r, "\"")) return "";
	Text t = text_new(r->m->arena);
	for (; *r->at && *r->at != '"'; r->at++) {
		if (*r->at != '\\') {
			text_append(&t, r->at, 1);
			continue;
		}
		r->at++;
		if (*r->at == 'n')
			text_puts(&t, "\n");
		else if (*r->at == 'x' && isxdigit((unsigned char)r->at[1]) &&
		         isxdigit((unsigned char)r->at[2])) {
			char hex[3] = {r->at[1], r->at[2], 0}, c = (char)strtol(hex, NULL, 16);
			text_append(&t, &c, 1);
			r->at += 2;
		} else if (*r->at)
			text_append(&t, r->at, 1);
		else
			break;
	}
	if (*r->at != '"') {
		fail(r, "the string does not end");
		return "";
	}
	r->at++;
	return intern(r->m->names, t.at ? t.at : "", t.n);
}

static int64_t integer(Reader *r)
{
	skip(r);
	char *end;
	errno = 0;
	long long v = strtoll(r->at, &end, 10);
	if (end == r->at || errno) {
		fail(r, "expected an integer of 64 bits");
		return 0;
	}
	r->at = end;
	return v;
}

static double real(Reader *r)
{
	skip(r);
	char *end;
	double v = strtod(r->at, &end);
	if (end == r->at) fail(r, "expected a number");
	r->at = end;
	return v;
}

static DimSym *find_sym(void *ctx, const char *name, size_t n)
{
	Reader *r = ctx;
	for (Scope *s = r->syms; s; s = s->up)
		if (strlen(s->sym->name) == n && memcmp(s->sym->name, name, n) == 0) return s->sym;
	return NULL;
}

static Dim dim(Reader *r)
{
	skip(r);
	const char *end = r->at, *error = NULL;
	Dim d = r->failed ? NULL : dim_parse(r->m->dims, r->at, &end, find_sym, r, &error);
	if (!d) {
		r->at = end ? end : r->at;
		fail(r, error ? error : "expected an index expression");
		return dim_const(r->m->dims, 0);
	}
	r->at = end;
	return d;
}

static void push_sym(Reader *r, DimSym *s)
{
	Scope *scope = NEW(r->m->arena, Scope);
	*scope = (Scope){r->syms, s};
	r->syms = scope;
}

static Type type(Reader *r)
{
	Type t = {0};
	if (take(r, "(")) {
		VEC(Type) list = {0};
		if (++r->depth > MAX_DEPTH) fail(r, "nested too deeply");
		if (!take(r, ")")) {
			do {
				Type e = type(r);
				vec_push(r->m->arena, &list, e);
			} while (!r->failed && take(r, ","));
			expect(r, ")");
		}
		r->depth--;
		t.is_tuple = true;
		t.n = (uint32_t)list.n;
		t.element = list.at;
		return t;
	}
	const char *name = word(r);
	if (!r->failed && !dtype_from_name(name, &t.dtype))
		fail(r, arena_printf(r->m->arena, "`%s` is no element type", name));
	if (take(r, "[")) {
		do {
			if (t.rank == MAX_RANK) {
				fail(r, "more than 8 dims");
				return t;
			}
			t.dim[t.rank++] = dim(r);
		} while (!r->failed && take(r, ","));
		expect(r, "]");
	}
	return t;
}

static Node *node_ref(Reader *r)
{
	if (!expect(r, "%")) return NULL;
	int64_t id = integer(r);
	if (!r->failed && id >= 0 && (size_t)id < r->by_id.n && r->by_id.at[id]) return r->by_id.at[id];
	fail(r, arena_printf(r->m->arena, "%%%lld is not defined before its use", (long long)id));
	return NULL;
}

static const Tensor *tensor(Reader *r)
{
	Tensor *v = NEW(r->m->arena, Tensor);
	VEC(double) list = {0};
	const char *name = word(r);
	if (!r->failed && !dtype_from_name(name, &v->dtype)) fail(r, "expected an element type");
	expect(r, "(");
	if (!take(r, ")")) {
		do {
			double x = real(r);
			vec_push(r->m->arena, &list, x);
		} while (!r->failed && take(r, ","));
		expect(r, ")");
	}
	v->count = (int64_t)list.n;
	v->data = arena_alloc(r->m->arena, (size_t)dtype_bytes(v->dtype, v->count) + 8);
	for (size_t i = 0; i < list.n; i++) dtype_store(v->dtype, v->data, (int64_t)i, list.at[i]);
	return v;
}

static void attr_list(Reader *r, Node *n, const AttrInfo *info)
{
	VEC(int64_t) ints = {0};
	VEC(Dim) dims = {0};
	expect(r, "[");
	if (!take(r, "]")) {
		do {
			if (info->kind == ATTR_INTS) {
				int64_t v = integer(r);
				vec_push(r->m->arena, &ints, v);
			} else {
				Dim v = dim(r);
				vec_push(r->m->arena, &dims, v);
			}
		} while (!r->failed && take(r, ","));
		expect(r, "]");
	}
	if (info->kind == ATTR_INTS)
		attr_ints(r->m, n, info->name, (uint32_t)ints.n, ints.at);
	else
		attr_dims(r->m, n, info->name, (uint32_t)dims.n, dims.at);
}

static void attrs(Reader *r, Node *n)
{
	const AttrInfo *row = op_info[n->op].attr;
	if (take(r, "{")) {
		do {
			const char *name = word(r);
			uint32_t i = 0;
			while (row[i].name && strcmp(row[i].name, name) != 0) i++;
			if (!row[i].name) {
				fail(r, arena_printf(r->m->arena, "%s has no attribute `%s`",
				                     op_info[n->op].mnemonic, name));
				return;
			}
			expect(r, "=");
			if (r->failed) return;
			switch (row[i].kind) {
			case ATTR_INT: attr_int(n, name, integer(r)); break;
			case ATTR_BOOL: attr_int(n, name, take(r, "true") ? 1 : (expect(r, "false"), 0)); break;
			case ATTR_FLOAT: attr_float(n, name, real(r)); break;
			case ATTR_STR: attr_str(n, name, string(r)); break;
			case ATTR_TENSOR: attr_tensor(n, name, tensor(r)); break;
			case ATTR_DIM: attr_dim(n, name, dim(r)); break;
			case ATTR_INTS:
			case ATTR_DIMS: attr_list(r, n, &row[i]); break;
			case ATTR_DTYPE: {
				DType t = DT_F32;
				if (!dtype_from_name(word(r), &t)) fail(r, "expected an element type");
				attr_int(n, name, t);
				break;
			}
			case ATTR_SYM: {
				/* The range is set when `count`, the next attribute, is known. */
				const char *var = word(r);
				Dim zero = dim_const(r->m->dims, 0);
				DimSym *s = dim_sym_new(r->m->dims, var, SYM_LOOP, zero, zero, n->span);
				attr_sym(n, name, s);
				break;
			}
			}
		} while (!r->failed && take(r, ","));
		expect(r, "}");
	}
	for (uint32_t i = 0; row[i].name && !r->failed; i++)
		if (row[i].required && !n->attr[i].set)
			fail(r, arena_printf(r->m->arena, "%s needs the attribute `%s`",
			                     op_info[n->op].mnemonic, row[i].name));
}

static bool graph(Reader *r, Graph *g);

/* Structure nodes whose declared type must agree with the module. */
static bool check_declared(Reader *r, Node *n)
{
	const Attr *number = node_attr(n, "number");
	if (n->op == OP_WEIGHT || n->op == OP_STATE) {
		bool weight = n->op == OP_WEIGHT;
		size_t count = weight ? r->m->weights.n : r->m->states.n;
		if (number->i < 0 || (size_t)number->i >= count)
			return fail(r,
			            weight ? "the module has no such weight" : "the module has no such state");
		const Type *t =
			weight ? &r->m->weights.at[number->i].type : &r->m->states.at[number->i].type;
		if (!type_equal(t, &n->type))
			return fail(
				r, arena_printf(r->m->arena, "its declaration says %s", type_text(r->m->arena, t)));
	}
	if (n->op == OP_CONST) {
		const Tensor *v = node_attr(n, "value")->tensor;
		int64_t count = 0;
		bool known = dim_is_const(type_count(r->m->dims, &n->type), &count);
		if (n->type.is_tuple || v->dtype != n->type.dtype ||
		    (v->count != 1 && !(known && count == v->count)))
			return fail(r, "the value does not fit the type");
	}
	return true;
}

/* The type of a node may be left out where it follows from elsewhere. False: it must stand there. */
static bool known_type(Reader *r, const Graph *g, Node *n)
{
	const Attr *number = node_attr(n, "number");
	size_t i = number && number->i >= 0 ? (size_t)number->i : SIZE_MAX;
	switch (n->op) {
	case OP_WEIGHT:
		if (i < r->m->weights.n) n->type = r->m->weights.at[i].type;
		return true;
	case OP_STATE:
		if (i < r->m->states.n) n->type = r->m->states.at[i].type;
		return true;
	case OP_DIM: n->type = type_scalar(DT_I32); return true;
	case OP_CONST: n->type = type_scalar(node_attr(n, "value")->tensor->dtype); return true;
	case OP_ARG:
		if (!g->parent || i >= g->parent->n_in) return !expect(r, ":");
		n->type = g->parent->in[i]->type;
		return true;
	case OP_PARAM: expect(r, ":"); return false;
	default: return true;
	}
}

static bool node(Reader *r, Graph *g)
{
	const char *from = r->at;
	if (!expect(r, "%")) return false;
	int64_t id = integer(r);
	const char *name = NULL;
	skip(r);
	if (*r->at == '"') name = string(r);
	expect(r, "=");
	const char *mnemonic = word(r);
	Op op;
	if (r->failed) return false;
	if (id < 0 || id > MAX_LIST) return fail(r, "node numbers go up to 1048576");
	if (!op_from_name(mnemonic, &op))
		return fail(r, arena_printf(r->m->arena, "`%s` is no operation", mnemonic));
	VEC(Node *) in = {0};
	if (take(r, "(")) {
		do {
			Node *a = node_ref(r);
			vec_push(r->m->arena, &in, a);
		} while (!r->failed && take(r, ","));
		expect(r, ")");
	}
	if (r->failed) return false;
	Node *n = node_new(r->m, op, (uint32_t)in.n, in.at, span_at(r, from, r->at));
	r->m->next_id--;
	n->id = (uint32_t)id;
	n->name = name;
	attrs(r, n);
	if (r->failed) return false;
	bool typed = take(r, ":") || !known_type(r, g, n);
	if (r->failed) return false;
	Type declared = typed ? type(r) : n->type;
	if (op_has_region(op)) {
		Scope *outer = r->syms;
		if (op == OP_LOOP) {
			DimSym *s = node_attr(n, "var")->sym;
			s->hi = dim_addc(r->m->dims, node_attr(n, "count")->d, -1);
			push_sym(r, s);
		}
		if (++r->depth > MAX_DEPTH) return fail(r, "nested too deeply");
		if (!expect(r, "do") || !graph(r, graph_new(r->m, n)) || !expect(r, "end")) return false;
		r->depth--;
		r->syms = outer;
	}
	n->type = declared;
	if (r->failed || !check_declared(r, n)) return false;
	if (!graph_add(g, r->d, n)) {
		r->failed = true;
		return false;
	}
	if (typed && !type_equal(&n->type, &declared))
		return fail(r, arena_printf(r->m->arena, "the type of this %s is %s, not %s", mnemonic,
		                            type_text(r->m->arena, &n->type),
		                            type_text(r->m->arena, &declared)));
	while (r->by_id.n <= (size_t)id) vec_push(r->m->arena, &r->by_id, NULL);
	if (r->by_id.at[id])
		return fail(r, arena_printf(r->m->arena, "%%%lld is defined twice", (long long)id));
	r->by_id.at[id] = n;
	if (r->m->next_id <= (uint32_t)id) r->m->next_id = (uint32_t)id + 1;
	return true;
}

static bool graph(Reader *r, Graph *g)
{
	for (skip(r); *r->at == '%'; skip(r))
		if (!node(r, g)) return false;
	if (!expect(r, "return")) return false;
	skip(r);
	if (*r->at == '%') {
		do {
			Node *n = node_ref(r);
			vec_push(r->m->arena, &g->results, n);
		} while (!r->failed && take(r, ","));
	}
	/* What is defined here is not visible outside. */
	for (Node *n = g->first; n && g->parent; n = n->next) r->by_id.at[n->id] = NULL;
	return !r->failed;
}

#define names(r, list)                                                                             \
	do {                                                                                           \
		expect(r, "(");                                                                            \
		if (!take(r, ")")) {                                                                       \
			do {                                                                                   \
				const char *names_s = string(r);                                                   \
				vec_push((r)->m->arena, list, names_s);                                            \
			} while (!(r)->failed && take(r, ","));                                                \
			expect(r, ")");                                                                        \
		}                                                                                          \
	} while (0)

static void require(Reader *r, Dim *out, const char **text)
{
	*out = dim(r);
	expect(r, ">=");
	if (integer(r) != 0) fail(r, "expected `>= 0`");
	*text = string(r);
	if (!r->failed) vec_push(r->m->arena, &r->m->facts.nonneg, *out);
}

static const char *target_word(Reader *r)
{
	const char *name = string(r);
	for (size_t i = 0; i < NUM_TARGETS && !r->failed; i++)
		if (target_info[i].compiled && strcmp(target_info[i].name, name) == 0) return name;
	fail(r, "programs are made for no such target");
	return NULL;
}

static bool entry(Reader *r)
{
	Entry *e = module_entry(r->m, string(r));
	size_t facts = r->m->facts.nonneg.n;
	names(r, &e->in_names);
	expect(r, "->");
	names(r, &e->out_names);
	while (!r->failed && !take(r, "do")) {
		if (take(r, "target")) {
			const char *from = r->at;
			e->target = target_word(r);
			e->target_span = span_at(r, from, r->at);
		} else if (take(r, "require")) {
			Dim q;
			const char *text;
			require(r, &q, &text);
			vec_push(r->m->arena, &e->require, q);
			vec_push(r->m->arena, &e->require_text, text);
		} else if (take(r, "writes")) {
			int64_t w = integer(r);
			if (w < 0 || (size_t)w >= r->m->states.n)
				return fail(r, "the module has no such state");
			vec_push(r->m->arena, &e->writes, (uint32_t)w);
		} else if (take(r, "set")) {
			const char *name = word(r);
			DimSym *s = find_sym(r, name, strlen(name));
			if (!s || s->kind != SYM_STATE) return fail(r, "only a state dim can be set");
			expect(r, "=");
			Dim v = dim(r);
			vec_push(r->m->arena, &e->set_sym, s);
			vec_push(r->m->arena, &e->set_value, v);
		} else {
			return fail(r, "expected `target`, `require`, `writes`, `set` or `do`");
		}
	}
	if (r->failed || !graph(r, e->graph) || !expect(r, "end")) return false;
	if (e->graph->results.n != e->out_names.n + e->writes.n)
		return fail(r, "results do not match the named outputs and the states written");
	if (e->graph->args.n != e->in_names.n) return fail(r, "params do not match the named inputs");
	for (Node *n = e->graph->first; n; n = n->next) r->by_id.at[n->id] = NULL;
	r->m->facts.nonneg.n = facts; /* what one entry requires says nothing of the next */
	return true;
}

static bool param_dim(Reader *r, DimSymKind kind)
{
	const char *name = word(r);
	expect(r, "in");
	Dim lo = dim(r);
	expect(r, "..");
	Dim hi = dim(r), initial = kind == SYM_STATE && take(r, "=") ? dim(r) : NULL;
	if (r->failed) return false;
	DimSym *s = dim_sym_new(r->m->dims, name, kind, lo, hi, span_none());
	s->initial = initial;
	vec_push(r->m->arena, &r->m->params, s);
	push_sym(r, s);
	return true;
}

static bool weight(Reader *r)
{
	Weight w = {.name = string(r)};
	VEC(const char *) keys = {0};
	expect(r, ":");
	w.type = type(r);
	w.buffer = take(r, "buffer");
	expect(r, "from");
	names(r, &keys);
	w.keys = keys.at;
	w.n_keys = (uint32_t)keys.n;
	if (!r->failed) module_weight(r->m, w);
	return !r->failed;
}

static bool declaration(Reader *r)
{
	if (take(r, "session")) return expect(r, "dim") && param_dim(r, SYM_SESSION);
	if (take(r, "dim")) return param_dim(r, SYM_CALL);
	if (take(r, "weight")) return weight(r);
	if (take(r, "entry")) return entry(r);
	if (take(r, "ignore")) {
		const char *key = string(r);
		if (!r->failed) vec_push(r->m->arena, &r->m->ignore, key);
		return !r->failed;
	}
	if (take(r, "state")) {
		if (take(r, "dim")) return param_dim(r, SYM_STATE);
		State s = {.name = string(r)};
		expect(r, ":");
		s.type = type(r);
		if (take(r, "=")) s.initial = real(r);
		if (!r->failed) module_state(r->m, s);
		return !r->failed;
	}
	if (take(r, "require")) {
		Dim q;
		const char *text;
		require(r, &q, &text);
		vec_push(r->m->arena, &r->m->require, q);
		vec_push(r->m->arena, &r->m->require_text, text);
		return !r->failed;
	}
	return fail(
		r, "expected a declaration: dim, session dim, state, weight, ignore, require or entry");
}

Module *module_parse(Arena *a, Diags *d, const Source *s)
{
	Reader r = {.d = d, .source = s, .at = s->text};
	r.m = module_new(a, interner_new(a), "");
	if (strlen(s->text) != s->size) {
		r.at = s->text + strlen(s->text);
		fail(&r, "a NUL byte in the text");
		return NULL;
	}
	if (!expect(&r, "module")) return NULL;
	r.m->name = string(&r);
	for (skip(&r); *r.at && !r.failed; skip(&r))
		if (!declaration(&r)) return NULL;
	return r.failed ? NULL : r.m;
}
