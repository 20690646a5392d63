/* The picture of `nacre graph` as one SVG file that needs nothing else: the look is graph.css, folding
 * graph.js with the places of all boxes as data. Without the script it shows what is unfolded at first. */
#include "tools/graph.h"

#include <string.h>

static const char *part(const char *name)
{
	for (const GraphPart *p = graph_parts; p->name; p++)
		if (strcmp(p->name, name) == 0) return p->text;
	return "";
}

/* Text for XML; bytes that it cannot hold become '?'. */
static void escaped(Text *t, const char *s)
{
	for (; s && *s; s++) {
		switch (*s) {
		case '&': text_puts(t, "&amp;"); break;
		case '<': text_puts(t, "&lt;"); break;
		case '>': text_puts(t, "&gt;"); break;
		case '"': text_puts(t, "&quot;"); break;
		default:
			if ((uint8_t)*s < ' ' && *s != '\n' && *s != '\t')
				text_puts(t, "?");
			else
				text_append(t, s, 1);
		}
	}
}

/* A coordinate; a tenth of a pixel is enough. */
static void number(Text *t, double x)
{
	char s[40];
	snprintf(s, sizeof s, "%.1f", x);
	size_t n = strlen(s);
	if (s[n - 1] == '0') s[n - 2] = 0;
	text_puts(t, strcmp(s, "-0") == 0 ? "0" : s);
}

static void rect(Text *t, const char *class, double x, double y, double w, double h, double round)
{
	text_printf(t, "<rect class=\"%s\"", class);
	if (x != 0) text_puts(t, " x=\""), number(t, x), text_puts(t, "\"");
	if (y != 0) text_puts(t, " y=\""), number(t, y), text_puts(t, "\"");
	text_puts(t, " width=\""), number(t, w), text_puts(t, "\" height=\""), number(t, h);
	text_puts(t, "\" rx=\""), number(t, round), text_puts(t, "\"/>\n");
}

/* gap: pixels to what stands before */
static void span(Text *t, const char *class, int gap, const char *before, const char *text)
{
	text_printf(t, "<tspan class=\"%s\"", class);
	if (gap) text_printf(t, " dx=\"%d\"", gap);
	text_printf(t, ">%s", before);
	escaped(t, text);
	text_puts(t, "</tspan>");
}

static const char *const tint_name[] = {
#define TINT(id, name, what) name,
#include "tools/graph.def"
};

/* A triangle that says whether the box is open; hidden from those who cannot click. */
static void fold_mark(Text *t, double x, double y, bool open)
{
	text_printf(t, "<path class=\"mark\" d=\"M");
	number(t, x), text_puts(t, " "), number(t, y);
	text_puts(t, open ? "l3.5 4 3.5-4\"/>\n" : "l4 3.5-4 3.5\"/>\n");
}

static void names(Text *t, const Box *b)
{
	span(t, "name", 0, "", b->name);
	if (b->type) span(t, "type", 6, "", b->type);
	if (b->times) span(t, "times", 8, "\xc3\x97 ", b->times);
}

/* The box as one piece: an operation, or a layer that is folded. */
static void closed_face(Text *t, const Box *b)
{
	double w = b->folded_w, h = b->folded_h;
	bool data = b->kind == BOX_INPUT || b->kind == BOX_OUTPUT;
	if (b->times) rect(t, "body", 4, 4, w, h, 6);
	if (b->round)
		rect(t, "body", 0, 0, w, h, h / 2);
	else
		rect(t, "body", 0, 0, w, h,
		     data || b->kind == BOX_STATE ? 12
		     : b->tint == TINT_MOVE       ? 3
		                                  : 6);
	if (box_is_group(b)) fold_mark(t, 7, 8.5, false);
	text_puts(t, "<text class=\"middle\" x=\"");
	number(t, w / 2 + (box_is_group(b) ? 5 : 0)), text_puts(t, "\" y=\"");
	number(t, b->round && !b->lines.n ? 15 : data ? 17 : 16), text_puts(t, "\">");
	names(t, b);
	text_puts(t, "</text>\n");
	for (size_t i = 0; i < b->lines.n; i++) {
		text_puts(t, "<text class=\"line middle\" x=\""), number(t, w / 2), text_puts(t, "\" y=\"");
		number(t, 16 + (double)(LINE_H * (i + 1))), text_puts(t, "\">");
		escaped(t, b->lines.at[i]);
		text_puts(t, "</text>\n");
	}
}

static void edge(Text *t, const Box *b, size_t i)
{
	const Link *l = &b->links.at[i];
	if (l->points.n < 8) return;
	bool arrow = l->to != b && (!box_is_group(l->to) || l->to->folded || l->in == NO_PORT);
	const char *residual = l->residual ? "-residual" : "";
	text_printf(t, "<path class=\"edge%s\" id=\"e%u_%zu\" d=\"M", l->residual ? " residual" : "",
	            b->id, i);
	for (size_t k = 0; k < l->points.n; k++) {
		if (k) text_puts(t, k == 2 ? "C" : " ");
		number(t, l->points.at[k]);
	}
	text_printf(t, "\" marker-end=\"url(#arrow%s)\"", residual);
	text_puts(t, arrow ? "/>\n" : " style=\"marker-end:none\"/>\n");
}

static void edge_label(Text *t, const Box *b, size_t i)
{
	const Link *l = &b->links.at[i];
	if (!l->label || l->points.n < 8) return;
	text_printf(t, "<text class=\"shape\" id=\"l%u_%zu\" x=\"", b->id, i);
	number(t, l->label_x), text_puts(t, "\" y=\""), number(t, l->label_y + 3.5),
		text_puts(t, "\">");
	escaped(t, l->label);
	text_puts(t, "</text>\n");
}

static void box(Text *t, const Box *b);

static void open_face(Text *t, const Box *b)
{
	text_puts(t, "<g class=\"open\">\n");
	if (b->times) rect(t, "stack", 5, 5, b->open_w, b->open_h, 8);
	rect(t, "frame", 0, 0, b->open_w, b->open_h, 8);
	text_puts(t, "<g class=\"inside\">\n");
	for (int residual = 1; residual >= 0; residual--)
		for (size_t i = 0; i < b->links.n; i++)
			if (b->links.at[i].residual == residual) edge(t, b, i);
	for (size_t i = 0; i < b->kids.n; i++) box(t, b->kids.at[i]);
	for (size_t i = 0; i < b->links.n; i++) edge_label(t, b, i);
	text_puts(t, "</g>\n<g class=\"head\">\n");
	if (b->up) {
		fold_mark(t, 8, 10.5, true);
		text_puts(t, "<text x=\"20\" y=\"17\">");
		names(t, b);
		text_puts(t, "</text>\n");
	} else {
		text_puts(t, "<text x=\"20\" y=\"36\">");
		span(t, "name title", 0, "", b->name);
		span(t, "subtitle", 12, "", b->type);
		for (size_t i = 0; i < b->lines.n; i++) span(t, "subtitle", 12, "", b->lines.at[i]);
		text_puts(t, "</text>\n");
	}
	text_puts(t, "</g>\n</g>\n");
}

static void box(Text *t, const Box *b)
{
	const char *parity = b->depth % 2 ? "odd" : "even";
	text_printf(t, "<g id=\"b%u\" class=\"%s tint-%s", b->id, box_is_group(b) ? "group" : "op",
	            tint_name[b->tint]);
	if (box_is_group(b)) text_printf(t, " %s %s", parity, b->folded ? "folded" : "unfolded");
	if (!b->up) text_puts(t, " root");
	if (b->kind == BOX_KERNEL) text_puts(t, " kernel");
	text_puts(t, "\" transform=\"translate(");
	number(t, b->x), text_puts(t, " "), number(t, b->y);
	text_puts(t, ")\">\n<title>");
	escaped(t, b->hover);
	text_puts(t, "</title>\n");
	if (!box_is_group(b)) {
		closed_face(t, b);
	} else {
		if (b->up) {
			text_puts(t, "<g class=\"closed\">\n");
			closed_face(t, b);
			text_puts(t, "</g>\n");
		}
		open_face(t, b);
	}
	text_puts(t, "</g>\n");
}

/* --- data of the script -------------------------------------------------------------------------------------- */

static void list(Text *t, const char *before, const double *x, size_t n)
{
	text_printf(t, "%s[", before);
	for (size_t i = 0; i < n; i++) {
		if (i) text_puts(t, ",");
		number(t, x[i]);
	}
	text_puts(t, "]");
}

static void data_ports(Text *t, const char *name, const Ports *p)
{
	text_printf(t, ",%s:[", name);
	for (size_t i = 0; i < p->n; i++) {
		if (i) text_puts(t, ",");
		number(t, p->at[i].x);
	}
	text_puts(t, "]");
}

static void data(Text *t, const Box *b)
{
	text_printf(t, "%u:{f:%s", b->id, b->folded ? "true" : "false");
	list(t, ",c:", (double[]){b->folded_w, b->folded_h}, 2);
	list(t, ",o:", (double[]){b->open_w, b->open_h}, 2);
	data_ports(t, "p", &b->in);
	data_ports(t, "q", &b->out);
	text_puts(t, ",k:[");
	for (size_t i = 0; i < b->kids.n; i++) {
		const Box *k = b->kids.at[i];
		text_printf(t, "%s[%u,", i ? "," : "", k->id);
		number(t, k->x), text_puts(t, ","), number(t, k->y), text_puts(t, ",");
		number(t, box_w(k)), text_puts(t, ","), number(t, box_h(k)), text_puts(t, "]");
	}
	text_puts(t, "],e:[");
	for (size_t i = 0, n = 0; i < b->links.n; i++) {
		const Link *l = &b->links.at[i];
		text_printf(t, "%s[%d,%d,%d,%d,", n++ ? "," : "", l->from == b ? -1 : (int)l->from->id,
		            (int)l->out, l->to == b ? -1 : (int)l->to->id, (int)l->in);
		list(t, "", l->points.at, l->points.n);
		if (l->label) list(t, ",", (double[]){l->label_x, l->label_y}, 2);
		text_puts(t, "]");
	}
	text_puts(t, "]},\n");
	for (size_t i = 0; i < b->kids.n; i++)
		if (box_is_group(b->kids.at[i])) data(t, b->kids.at[i]);
}

static void marker(Text *t, const char *kind)
{
	text_printf(
		t,
		"<marker id=\"arrow%s\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" "
		"orient=\"auto\" markerUnits=\"userSpaceOnUse\"><path class=\"arrow%s\" d=\"M0 0.5 8 4 0 7.5z\"/></marker>\n",
		kind, kind);
}

void graph_svg(Picture *v, Text *out)
{
	const Box *b = v->root;
	text_puts(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"");
	number(out, b->open_w), text_puts(out, "\" height=\""), number(out, b->open_h);
	text_puts(out, "\" viewBox=\"0 0 "), number(out, b->open_w), text_puts(out, " ");
	number(out, b->open_h), text_puts(out, "\">\n<style>\n");
	text_puts(out, "<![CDATA[\n"), text_puts(out, part("graph.css")),
		text_puts(out, "]]>\n</style>\n<defs>\n");
	marker(out, "");
	marker(out, "-residual");
	text_puts(out, "</defs>\n");
	box(out, b);
	text_puts(out, "<script>\n<![CDATA[\nconst G = {\n");
	data(out, b);
	text_puts(out, "};\n"), text_puts(out, part("graph.js")),
		text_puts(out, "]]>\n</script>\n</svg>\n");
}
