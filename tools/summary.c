/* nacre summary: what each layer of a model costs. Rows form a tree by the layers' paths; a row holds
 * its own counts until rows_add_up has added those below it. */
#include "tools/tool.h"

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
		const Node *varies = NULL;
		Dim flops = node_flops(p, n, &varies);
		if (varies)
			diag_warning(
				&s->t->d, varies->span,
				"the work of this loop differs from turn to turn; each is counted as the last one");
		Row *r = &s->rows.at[row];
		if (flops) r->flops = dim_add(p, r->flops, flops);
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

/* --- shown ---------------------------------------------------------------------------------------------- */

static bool rows_bind(Summary *s, const DimsGiven *b)
{
	for (size_t i = 0; i < s->rows.n; i++) {
		Row *r = &s->rows.at[i];
		r->flops = dim_given(b, r->flops);
		r->parameters = dim_given(b, r->parameters);
		r->elements = dim_given(b, r->elements);
		if (dim_is_poison(r->flops) || dim_is_poison(r->elements) || dim_is_poison(r->parameters))
			return tool_fail(s->t, "the counts of layer `%s` grow beyond 64 bits", r->path);
		if (!r->output) continue;
		Type *type = NEW(s->t->arena, Type);
		*type = *r->output;
		for (uint32_t k = 0; k < type->rank; k++) type->dim[k] = dim_given(b, type->dim[k]);
		r->output = type;
	}
	return true;
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
	table_cell(table, "%s", count_text(t, r->flops));
	for (int64_t bits = 32; bits >= 4; bits /= 2)
		table_cell(table, "%s", count_text(t, bytes_of(p, r->elements, bits)));
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
	const Entry *e = entry_chosen(t, m);
	if (!e) return false;
	Summary s = {.t = t, .m = m};
	DimsGiven bound;
	if (!dims_given_read(t, m, &bound)) return false;
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
