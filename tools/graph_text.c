/* The boxes of `nacre graph` as Graphviz text with clusters, and as JSON, for other tools. */
#include "tools/graph.h"

#include <string.h>

static void quoted(Text *t, const char *s)
{
	text_puts(t, "\"");
	for (; s && *s; s++) {
		if (*s == '"' || *s == '\\') text_puts(t, "\\");
		if (*s == '\n')
			text_puts(t, "\\n");
		else
			text_append(t, s, 1);
	}
	text_puts(t, "\"");
}

static const char *head(Picture *v, const Box *b)
{
	Text t = text_new(v->t->arena);
	text_puts(&t, b->name);
	if (b->type) text_printf(&t, " : %s", b->type);
	if (b->times) text_printf(&t, " \xc3\x97 %s", b->times);
	return t.at;
}

static void dot_box(Picture *v, Text *t, const Box *b)
{
	int indent = 2 * (int)b->depth;
	bool open = box_is_group(b) && !b->folded;
	if (open) {
		text_printf(t, "%*ssubgraph cluster_%u {\n%*s  label=", indent, "", b->id, indent, "");
		quoted(t, head(v, b));
		text_puts(t, "\n");
		for (size_t i = 0; i < b->kids.n; i++) dot_box(v, t, b->kids.at[i]);
		text_printf(t, "%*s}\n", indent, "");
		return;
	}
	Text label = text_new(v->t->arena);
	text_puts(&label, head(v, b));
	for (size_t i = 0; i < b->lines.n; i++) text_printf(&label, "\n%s", b->lines.at[i]);
	text_printf(t, "%*sb%u [label=", indent, "", b->id);
	quoted(t, label.at);
	text_puts(t, b->round ? " shape=circle]\n" : "]\n");
}

/* What stands for b in a picture where it may be inside a folded box. */
static const Box *shown(const Box *b)
{
	const Box *at = b;
	for (const Box *up = b->up; up; up = up->up)
		if (up->folded) at = up;
	return at;
}

void graph_dot(Picture *v, Text *out)
{
	text_puts(out, "digraph ");
	quoted(out, v->m->name);
	text_puts(
		out,
		" {\n  node [shape=box fontname=Helvetica fontsize=10]\n  edge [fontname=Helvetica fontsize=9]\n");
	for (size_t i = 0; i < v->root->kids.n; i++) dot_box(v, out, v->root->kids.at[i]);
	for (size_t i = 0; i < v->flows.n; i++) {
		const Flow *f = &v->flows.at[i];
		const Box *from = shown(f->from), *to = shown(f->to);
		bool twice = from == to;
		for (size_t k = 0; k < i && !twice && (from != f->from || to != f->to); k++) {
			const Flow *g = &v->flows.at[k];
			twice = g->value == f->value && shown(g->from) == from && shown(g->to) == to;
		}
		if (twice) continue;
		text_printf(out, "  b%u -> b%u [label=", from->id, to->id);
		quoted(out, view_type_text(v, f->type));
		text_puts(out, "]\n");
	}
	text_puts(out, "}\n");
}

static json_t *count(Picture *v, Dim d)
{
	int64_t x;
	if (!d) return json_integer(0);
	d = dim_given(&v->given, d);
	return dim_is_const(d, &x) ? json_integer(x) : json_string(dim_text(v->t->arena, d));
}

static json_t *box_json(Picture *v, const Box *b)
{
	static const char *const kind[] = {"layer", "loop", "kernel", "op", "input", "output", "state"};
	json_t *j =
		json_pack("{s:i, s:s, s:s}", "id", (int)b->id, "kind", kind[b->kind], "name", b->name);
	if (b->type) json_object_set_new(j, "type", json_string(b->type));
	if (b->times) json_object_set_new(j, "times", json_string(b->times));
	if (b->node && b->kind == BOX_OP) {
		json_object_set_new(j, "op", json_string(op_info[b->node->op].mnemonic));
		json_object_set_new(j, "result", json_string(type_text(v->t->arena, &b->node->type)));
		if (b->node->span.source) {
			json_object_set_new(j, "file", json_string(b->node->span.source->name));
			SourcePlace at = source_place(b->node->span.source, b->node->span.begin);
			json_object_set_new(j, "line", json_integer(at.line));
		}
	}
	if (b->flops) json_object_set_new(j, "flops", count(v, b->flops));
	if (b->parameters) json_object_set_new(j, "parameters", count(v, b->parameters));
	json_t *lines = json_array();
	for (size_t i = 0; i < b->lines.n; i++)
		json_array_append_new(lines, json_string(b->lines.at[i]));
	json_object_set_new(j, "lines", lines);
	if (!box_is_group(b)) return j;
	json_t *kids = json_array();
	for (size_t i = 0; i < b->kids.n; i++) json_array_append_new(kids, box_json(v, b->kids.at[i]));
	json_object_set_new(j, "parts", kids);
	return j;
}

json_t *graph_json(Picture *v)
{
	json_t *edges = json_array();
	for (size_t i = 0; i < v->flows.n; i++) {
		const Flow *f = &v->flows.at[i];
		json_array_append_new(edges, json_pack("{s:i, s:i, s:s}", "from", (int)f->from->id, "to",
		                                       (int)f->to->id, "type", view_type_text(v, f->type)));
	}
	return json_pack("{s:s, s:s, s:o, s:o}", "model", v->m->name, "entry", v->entry->name, "graph",
	                 box_json(v, v->root), "edges", edges);
}
