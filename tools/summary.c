/* nacre summary: what each layer of a model costs. Rows form a tree by the layers' paths; a row holds
 * its own counts until rows_add_up has added those below it. */
#include "tools/tool.h"

#include <inttypes.h>
#include <string.h>

enum { NO_ROW = -1 };

typedef struct Row {
	const char *path;
	int32_t up, child, last, next; /* rows, or NO_ROW */
	uint32_t depth;
	const Type *output;
	Dim flops, parameters, elements; /* elements: parameters and buffers */
} Row;

typedef struct Summary {
	Tool *t;
	Module *m;
	VEC(Row) rows; /* the model itself is the first */
} Summary;

static int32_t row_find(Summary *s, const char *path);

static int32_t row_add(Summary *s, const char *path)
{
	Dim zero = dim_const(s->m->dims, 0);
	Row r = {path, NO_ROW, NO_ROW, NO_ROW, NO_ROW, 0, NULL, zero, zero, zero};
	const char *dot = strrchr(path, '.');
	if (*path) {
		size_t n = dot ? (size_t)(dot - path) : 0;
		r.up = row_find(s, arena_strndup(s->t->arena, path, n));
		r.depth = s->rows.at[r.up].depth + 1;
	}
	int32_t number = (int32_t)s->rows.n;
	vec_push(s->t->arena, &s->rows, r);
	if (r.up == NO_ROW) return number;
	Row *up = &s->rows.at[r.up];
	if (up->last == NO_ROW)
		up->child = number;
	else
		s->rows.at[up->last].next = number;
	up->last = number;
	return number;
}

static int32_t row_find(Summary *s, const char *path)
{
	for (size_t i = s->rows.n; i > 0; i--)
		if (strcmp(s->rows.at[i - 1].path, path) == 0) return (int32_t)(i - 1);
	return row_add(s, path);
}

/* --- counted ---------------------------------------------------------------------------------------- */

static Dim product(DimPool *p, Dim by, const Type *type, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) by = dim_mul(p, by, type->dim[i]);
	return by;
}

/* The product of the sizes of all letters. */
static Dim einsum_steps(DimPool *p, const Node *n)
{
	const char *spec = node_attr_const(n, "spec")->s;
	bool seen[256] = {false};
	Dim steps = dim_const(p, 1);
	uint32_t operand = 0, axis = 0;
	for (const char *c = spec; *c && *c != '-'; c++) {
		if (*c == ',') {
			operand++;
			axis = 0;
			continue;
		}
		if (!seen[(uint8_t)*c] && operand < n->n_in && axis < n->in[operand]->type.rank)
			steps = dim_mul(p, steps, n->in[operand]->type.dim[axis]);
		seen[(uint8_t)*c] = true;
		axis++;
	}
	return steps;
}

/* Multiplications that come with an addition. */
static Dim node_steps(DimPool *p, const Node *n)
{
	Dim one = dim_const(p, 1);
	switch (n->op) {
	case OP_EINSUM: return einsum_steps(p, n);
	case OP_CONV: {
		const Type *w = &n->in[1]->type;
		bool last = node_attr_const(n, "channels_last")->i != 0;
		return product(p, type_count(p, &n->type), w, last ? 0 : 1, last ? w->rank - 1 : w->rank);
	}
	case OP_ATTENTION: {
		const Type *q = &n->in[0]->type, *k = &n->in[1]->type, *v = &n->in[2]->type;
		Dim pairs = dim_mul(p, product(p, one, q, 0, q->rank - 1), k->dim[k->rank - 2]);
		return dim_mul(p, pairs, dim_add(p, k->dim[k->rank - 1], v->dim[v->rank - 1]));
	}
	default: return NULL;
	}
}

typedef struct LoopVar {
	DimPool *pool;
	const DimSym *var;
	Dim to;
} LoopVar;

static Dim loop_var_value(void *ctx, DimSym *s)
{
	LoopVar *v = ctx;
	return s == v->var ? v->to : NULL;
}

/* Work that differs from turn to turn is counted as in the last turn, which is said. */
static Dim loop_steps(Summary *s, const Node *loop, Dim steps)
{
	DimPool *p = s->m->dims;
	Dim count = node_attr_const(loop, "count")->d;
	const DimSym *var = node_attr_const(loop, "var")->sym;
	if (dim_mentions(steps, var)) {
		diag_warning(
			&s->t->d, loop->span,
			"the work of this loop differs from turn to turn; each is counted as the last one");
		LoopVar v = {p, var, dim_addc(p, count, -1)};
		steps = dim_substitute(p, steps, loop_var_value, &v);
	}
	return dim_mul(p, steps, count);
}

static void count_graph(Summary *s, const Graph *g)
{
	DimPool *p = s->m->dims;
	for (const Node *n = g->first; n; n = n->next) {
		if (n->op == OP_WEIGHT || n->op == OP_STATE || n->op == OP_PARAM || n->op == OP_ARG)
			continue;
		if (n->region) count_graph(s, n->region);
		int32_t row = row_find(s, n->scope ? n->scope : "");
		/* the last value that a layer or one of its parts makes is what it gives */
		for (int32_t k = row; k != NO_ROW && !n->type.is_tuple; k = s->rows.at[k].up)
			s->rows.at[k].output = &n->type;
		Dim steps = node_steps(p, n);
		if (!steps) continue;
		for (const Node *loop = g->parent; loop; loop = loop->owner->parent)
			if (loop->op == OP_LOOP) steps = loop_steps(s, loop, steps);
		Row *r = &s->rows.at[row];
		r->flops = dim_add(p, r->flops, dim_mulc(p, steps, 2));
	}
}

static void count_weights(Summary *s)
{
	DimPool *p = s->m->dims;
	for (size_t i = 0; i < s->m->weights.n; i++) {
		const Weight *w = &s->m->weights.at[i];
		const char *dot = strrchr(w->name, '.');
		size_t n = dot ? (size_t)(dot - w->name) : 0;
		Row *r = &s->rows.at[row_find(s, arena_strndup(s->t->arena, w->name, n))];
		Dim count = type_count(p, &w->type);
		r->elements = dim_add(p, r->elements, count);
		if (!w->buffer) r->parameters = dim_add(p, r->parameters, count);
	}
}

/* Rows below another come after it. */
static void rows_add_up(Summary *s)
{
	DimPool *p = s->m->dims;
	for (size_t i = s->rows.n; i-- > 1;) {
		const Row *r = &s->rows.at[i];
		Row *up = &s->rows.at[r->up];
		up->flops = dim_add(p, up->flops, r->flops);
		up->parameters = dim_add(p, up->parameters, r->parameters);
		up->elements = dim_add(p, up->elements, r->elements);
	}
}

/* --- dims that are given ------------------------------------------------------------------------------ */

typedef struct DimsGiven {
	Summary *s;
	int64_t *value;
} DimsGiven;

static Dim bound_value(void *ctx, DimSym *sym)
{
	DimsGiven *b = ctx;
	const Tool *t = b->s->t;
	for (size_t i = 0; i < t->a.dim.n; i++)
		if (strcmp(t->a.dim.at[i].name, sym->name) == 0 && sym->kind != SYM_LOOP)
			return dim_const(b->s->m->dims, b->value[i]);
	return NULL;
}

static bool dims_read(Summary *s, DimsGiven *out)
{
	Tool *t = s->t;
	*out = (DimsGiven){s, NEW_ARRAY(t->arena, int64_t, t->a.dim.n + 1)};
	for (size_t i = 0; i < t->a.dim.n; i++) {
		const char *name = t->a.dim.at[i].name, *text = t->a.dim.at[i].value;
		char extra;
		if (sscanf(text, "%" SCNd64 "%c", &out->value[i], &extra) != 1 || out->value[i] < 0)
			return tool_fail(t, "--dim %s=%s: a whole number is needed", name, text);
		bool known = false;
		for (size_t k = 0; k < s->m->params.n; k++)
			known = known || strcmp(s->m->params.at[k]->name, name) == 0;
		if (!known) return tool_fail(t, "--dim: the model has no dim `%s`", name);
	}
	return true;
}

static bool rows_bind(Summary *s, DimsGiven *b)
{
	DimPool *p = s->m->dims;
	for (size_t i = 0; i < s->rows.n; i++) {
		Row *r = &s->rows.at[i];
		r->flops = dim_substitute(p, r->flops, bound_value, b);
		r->parameters = dim_substitute(p, r->parameters, bound_value, b);
		r->elements = dim_substitute(p, r->elements, bound_value, b);
		if (dim_is_poison(r->flops) || dim_is_poison(r->elements) || dim_is_poison(r->parameters))
			return tool_fail(s->t, "the counts of layer `%s` grow beyond 64 bits", r->path);
		if (!r->output) continue;
		Type *type = NEW(s->t->arena, Type);
		*type = *r->output;
		for (uint32_t k = 0; k < type->rank; k++)
			type->dim[k] = dim_substitute(p, type->dim[k], bound_value, b);
		r->output = type;
	}
	return true;
}

/* --- shown ---------------------------------------------------------------------------------------------- */

/* "1.23 G", or the expression of a count that is not known. */
static const char *scaled(Tool *t, Dim d)
{
	static const char *const unit[] = {"", " k", " M", " G", " T", " P"};
	int64_t v;
	if (!dim_is_const(d, &v)) return dim_text(t->arena, d);
	if (v < 1000) return arena_printf(t->arena, "%" PRId64, v);
	double x = (double)v;
	uint32_t k = 0;
	for (; x >= 999.995 && k + 1 < COUNT(unit); k++) x /= 1000;
	return arena_printf(t->arena, "%.2f%s", x, unit[k]);
}

static Dim bytes_of(DimPool *p, Dim elements, int64_t bits)
{
	return dim_ceildiv(p, dim_mulc(p, elements, bits), dim_const(p, 8));
}

static void table_row(Summary *s, Table *table, const Row *r, const char *name)
{
	Tool *t = s->t;
	DimPool *p = s->m->dims;
	table_cell(table, "%s", name);
	table_cell(table, "%s", r->output ? type_text(t->arena, r->output) : "");
	table_cell(table, "%s", dim_text(t->arena, r->parameters));
	table_cell(table, "%s", scaled(t, r->flops));
	for (int64_t bits = 32; bits >= 4; bits /= 2)
		table_cell(table, "%s", scaled(t, bytes_of(p, r->elements, bits)));
}

/* The next row in the order of the tree. */
static int32_t row_after(const Summary *s, int32_t row)
{
	if (s->rows.at[row].child != NO_ROW) return s->rows.at[row].child;
	while (row != NO_ROW && s->rows.at[row].next == NO_ROW) row = s->rows.at[row].up;
	return row == NO_ROW ? NO_ROW : s->rows.at[row].next;
}

static void print_table(Summary *s)
{
	static const char *const title[] = {"layer", "output", "parameters", "FLOPs",
	                                    "f32 B", "bf16 B", "i8 B",       "i4 B"};
	Table table = table_new(s->t->arena, COUNT(title), title);
	for (int32_t i = row_after(s, 0); i != NO_ROW; i = row_after(s, i)) {
		const Row *r = &s->rows.at[i];
		const char *dot = strrchr(r->path, '.');
		int indent = (int)(2 * (r->depth - 1));
		table_row(s, &table, r,
		          arena_printf(s->t->arena, "%*s%s", indent, "", dot ? dot + 1 : r->path));
	}
	table_row(s, &table, &s->rows.at[0], "total");
	table_print(&table, stdout);
}

static json_t *count_json(Tool *t, Dim d)
{
	int64_t v;
	return dim_is_const(d, &v) ? json_integer(v) : json_string(dim_text(t->arena, d));
}

static json_t *rows_json(Summary *s)
{
	Tool *t = s->t;
	DimPool *p = s->m->dims;
	json_t *list = json_array();
	for (int32_t i = 0; i != NO_ROW; i = row_after(s, i)) {
		const Row *r = &s->rows.at[i];
		json_t *bytes =
			json_pack("{s:o, s:o, s:o, s:o}", "f32", count_json(t, bytes_of(p, r->elements, 32)),
		              "bf16", count_json(t, bytes_of(p, r->elements, 16)), "i8",
		              count_json(t, bytes_of(p, r->elements, 8)), "i4",
		              count_json(t, bytes_of(p, r->elements, 4)));
		json_array_append_new(list,
		                      json_pack("{s:s, s:s, s:o, s:o, s:o}", "layer", r->path, "output",
		                                r->output ? type_text(t->arena, r->output) : "",
		                                "parameters", count_json(t, r->parameters), "flops",
		                                count_json(t, r->flops), "bytes", bytes));
	}
	return list;
}

bool command_summary(Tool *t)
{
	Module *m = module_load(t, t->a.files.at[0]);
	if (!m) return false;
	if (m->entries.n == 0) return tool_fail(t, "the model has no entry");
	const Entry *e = t->a.entry ? NULL : m->entries.at[0];
	for (size_t i = 0; i < m->entries.n && !e; i++)
		if (strcmp(m->entries.at[i]->name, t->a.entry) == 0) e = m->entries.at[i];
	if (!e) return tool_fail(t, "the model has no entry `%s`", t->a.entry);
	Summary s = {.t = t, .m = m};
	DimsGiven bound;
	if (!dims_read(&s, &bound)) return false;
	row_add(&s, "");
	count_graph(&s, e->graph);
	count_weights(&s);
	rows_add_up(&s);
	if (e->out_names.n) s.rows.at[0].output = &e->graph->results.at[0]->type;
	if (!rows_bind(&s, &bound)) return false;
	if (t->a.json)
		report_json(t, rows_json(&s));
	else
		print_table(&s);
	return true;
}
