/* The text form of the graph IR, writing half. module_parse reads back the same module: what is
 * printed is everything that a module holds, except source spans. doc/ir.md has the grammar. */
#include "ir/ir.h"

#include <inttypes.h>

static void print_tensor(Text *t, const Tensor *v)
{
	text_printf(t, "%s(", dtype_name(v->dtype));
	for (int64_t i = 0; i < v->count; i++) {
		if (i) text_puts(t, ", ");
		text_double(t, dtype_load(v->dtype, v->data, i));
	}
	text_puts(t, ")");
}

static void print_attr(Text *t, const AttrInfo *info, const Attr *a)
{
	text_printf(t, "%s = ", info->name);
	switch (info->kind) {
	case ATTR_INT: text_printf(t, "%" PRId64, a->i); break;
	case ATTR_BOOL: text_puts(t, a->i ? "true" : "false"); break;
	case ATTR_FLOAT: text_double(t, a->f); break;
	case ATTR_STR: text_quoted(t, a->s); break;
	case ATTR_DTYPE: text_puts(t, dtype_name((DType)a->i)); break;
	case ATTR_DIM: dim_print(t, a->d); break;
	case ATTR_SYM: text_puts(t, a->sym->name); break;
	case ATTR_TENSOR: print_tensor(t, a->tensor); break;
	case ATTR_INTS:
	case ATTR_DIMS:
		text_puts(t, "[");
		for (uint32_t i = 0; i < a->n; i++) {
			if (i) text_puts(t, ", ");
			if (info->kind == ATTR_INTS)
				text_printf(t, "%" PRId64, a->ints[i]);
			else
				dim_print(t, a->dims[i]);
		}
		text_puts(t, "]");
		break;
	}
}

static void indent(Text *t, int depth)
{
	for (int i = 0; i < depth; i++) text_puts(t, "  ");
}

static void print_graph(Text *t, const Graph *g, int depth);

static void print_node(Text *t, const Node *n, int depth)
{
	const OpInfo *info = &op_info[n->op];
	bool any = false;
	indent(t, depth);
	text_printf(t, "%%%u", n->id);
	if (n->name) {
		text_puts(t, " ");
		text_quoted(t, n->name);
	}
	text_printf(t, " = %s", info->mnemonic);
	if (n->n_in) {
		text_puts(t, "(");
		for (uint32_t i = 0; i < n->n_in; i++)
			text_printf(t, "%s%%%u", i ? ", " : "", n->in[i]->id);
		text_puts(t, ")");
	}
	for (uint32_t i = 0; info->attr[i].name; i++) {
		if (!n->attr[i].set) continue;
		text_puts(t, any ? ", " : " {");
		print_attr(t, &info->attr[i], &n->attr[i]);
		any = true;
	}
	if (any) text_puts(t, "}");
	text_puts(t, " : ");
	type_print(t, &n->type);
	if (n->region) {
		text_puts(t, " do\n");
		print_graph(t, n->region, depth + 1);
		indent(t, depth);
		text_puts(t, "end");
	}
	text_puts(t, "\n");
}

static void print_graph(Text *t, const Graph *g, int depth)
{
	for (const Node *n = g->first; n; n = n->next) print_node(t, n, depth);
	indent(t, depth);
	text_puts(t, "return");
	for (size_t i = 0; i < g->results.n; i++)
		text_printf(t, "%s%%%u", i ? ", " : " ", g->results.at[i]->id);
	text_puts(t, "\n");
}

void node_print(Text *t, const Node *n)
{
	print_node(t, n, 0);
}

static void print_names(Text *t, const char *const *names, size_t n)
{
	text_puts(t, "(");
	for (size_t i = 0; i < n; i++) {
		if (i) text_puts(t, ", ");
		text_quoted(t, names[i]);
	}
	text_puts(t, ")");
}

static void print_require(Text *t, int depth, Dim d, const char *text)
{
	indent(t, depth);
	text_puts(t, "require ");
	dim_print(t, d);
	text_puts(t, " >= 0 ");
	text_quoted(t, text ? text : "");
	text_puts(t, "\n");
}

static void print_entry(Text *t, const Entry *e)
{
	text_puts(t, "entry ");
	text_quoted(t, e->name);
	print_names(t, e->in_names.at, e->in_names.n);
	text_puts(t, " -> ");
	print_names(t, e->out_names.at, e->out_names.n);
	text_puts(t, "\n");
	if (e->target) {
		text_puts(t, "  target ");
		text_quoted(t, e->target);
		text_puts(t, "\n");
	}
	for (size_t i = 0; i < e->require.n; i++)
		print_require(t, 1, e->require.at[i], e->require_text.at[i]);
	for (size_t i = 0; i < e->writes.n; i++) text_printf(t, "  writes %u\n", e->writes.at[i]);
	for (size_t i = 0; i < e->set_sym.n; i++) {
		text_printf(t, "  set %s = ", e->set_sym.at[i]->name);
		dim_print(t, e->set_value.at[i]);
		text_puts(t, "\n");
	}
	text_puts(t, "do\n");
	print_graph(t, e->graph, 1);
	text_puts(t, "end\n");
}

void module_print(Text *t, const Module *m)
{
	static const char *const kind[] = {
		[SYM_SESSION] = "session dim", [SYM_CALL] = "dim", [SYM_STATE] = "state dim"};
	text_puts(t, "module ");
	text_quoted(t, m->name ? m->name : "");
	text_puts(t, "\n");
	for (size_t i = 0; i < m->params.n; i++) {
		const DimSym *s = m->params.at[i];
		text_printf(t, "%s %s in ", kind[s->kind], s->name);
		dim_print(t, s->lo);
		text_puts(t, "..");
		dim_print(t, s->hi);
		if (s->initial) {
			text_puts(t, " = ");
			dim_print(t, s->initial);
		}
		text_puts(t, "\n");
	}
	for (size_t i = 0; i < m->require.n; i++)
		print_require(t, 0, m->require.at[i], m->require_text.at[i]);
	for (size_t i = 0; i < m->weights.n; i++) {
		const Weight *w = &m->weights.at[i];
		text_puts(t, "weight ");
		text_quoted(t, w->name);
		text_puts(t, " : ");
		type_print(t, &w->type);
		text_puts(t, w->buffer ? " buffer from " : " from ");
		print_names(t, w->keys, w->n_keys);
		text_puts(t, "\n");
	}
	for (size_t i = 0; i < m->ignore.n; i++) {
		text_puts(t, "ignore ");
		text_quoted(t, m->ignore.at[i]);
		text_puts(t, "\n");
	}
	for (size_t i = 0; i < m->states.n; i++) {
		text_puts(t, "state ");
		text_quoted(t, m->states.at[i].name);
		text_puts(t, " : ");
		type_print(t, &m->states.at[i].type);
		if (m->states.at[i].initial != 0) {
			text_puts(t, " = ");
			text_double(t, m->states.at[i].initial);
		}
		text_puts(t, "\n");
	}
	for (size_t i = 0; i < m->entries.n; i++) print_entry(t, m->entries.at[i]);
}
