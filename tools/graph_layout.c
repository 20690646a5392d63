/* Sizes and places. Each box is laid out by itself, the innermost first, with what it holds as nodes of
 * a small graph for Graphviz's `dot`; values cross the edge of an open box at ports. All boxes of one
 * depth go through one run of dot, which answers in its "plain" format. */
#include "tools/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- folding -------------------------------------------------------------------------------------------- */

enum { SMALL = 4 }; /* a layer of so few operations, and no other layer, is folded by default */

static void fold(Box *b, uint32_t depth)
{
	uint32_t ops = 0;
	bool nested = false;
	for (size_t i = 0; i < b->kids.n; i++) {
		Box *k = b->kids.at[i];
		if (box_is_group(k)) {
			nested = true;
			fold(k, depth);
		}
		if (k->kind == BOX_OP) ops++;
	}
	if (!box_is_group(b) || !b->up) return;
	if (depth == NO_PORT)
		b->folded =
			b->kind == BOX_KERNEL || (!nested && ops <= SMALL && b->kind == BOX_GROUP && !b->times);
	else
		b->folded = b->depth >= depth;
}

void view_fold(Picture *v, uint32_t depth)
{
	fold(v->root, depth);
}

/* --- ports and links ------------------------------------------------------------------------------------------ */

static uint32_t port_of(Picture *v, Ports *ports, const Node *value)
{
	for (size_t i = 0; i < ports->n; i++)
		if (ports->at[i].value == value) return (uint32_t)i;
	vec_push(v->t->arena, ports, ((Port){value, 0}));
	return (uint32_t)ports->n - 1;
}

static void link_add(Picture *v, Box *in, Box *from, uint32_t out, Box *to, uint32_t port,
                     const Flow *f)
{
	for (size_t i = 0; i < in->links.n; i++) {
		const Link *l = &in->links.at[i];
		if (l->from == from && l->to == to && l->out == out && l->in == port) return;
	}
	Link l = {.from = from, .to = to, .out = out, .in = port};
	/* each value has its shape written once in a box, at the line between two of its parts */
	bool labelled = from == in || to == in;
	for (size_t i = 0; i < in->links.n && !labelled; i++) {
		const Link *k = &in->links.at[i];
		labelled = k->label && k->from == from && k->out == out;
	}
	if (!labelled) l.label = view_type_text(v, f->type);
	vec_push(v->t->arena, &in->links, l);
}

/* Does a line lead from `from` (or, NO_PORT else, that port of the box around) to `to` inside b? */
static bool leads(const Box *b, const Link *by, const Box *to, uint32_t steps)
{
	if (by->to == to) return true;
	if (by->to == b || steps == 0) return false;
	for (size_t i = 0; i < b->links.n; i++)
		if (b->links.at[i].from == by->to && leads(b, &b->links.at[i], to, steps - 1)) return true;
	return false;
}

/* A residual connection: one operand of an addition is also what the other is computed from. The
 * search is cut off, so a very long way round goes unnoticed. */
static void mark_residuals(Box *b)
{
	enum { FAR = 8 };
	for (size_t i = 0; i < b->links.n; i++) {
		Link *l = &b->links.at[i];
		if (!l->to->round || l->to == b || l->to->node->op != OP_ADD) continue;
		for (size_t k = 0; k < b->links.n && !l->residual; k++) {
			const Link *other = &b->links.at[k];
			if (other == l || other->from != l->from || other->out != l->out || other->to == l->to)
				continue;
			l->residual = leads(b, other, l->to, FAR);
		}
	}
	for (size_t i = 0; i < b->kids.n; i++) mark_residuals(b->kids.at[i]);
}

static Box *common(Box *a, Box *b)
{
	Box *at = a->up;
	while (at && !box_within(b, at)) at = at->up;
	return at;
}

void view_link(Picture *v)
{
	for (size_t i = 0; i < v->flows.n; i++) {
		const Flow *f = &v->flows.at[i];
		Box *all = common(f->from, f->to);
		if (!all) continue;
		Box *from = f->from, *to = f->to;
		uint32_t out = NO_PORT, in = NO_PORT;
		for (; from->up != all; from = from->up) {
			uint32_t port = port_of(v, &from->up->out, f->value);
			link_add(v, from->up, from, out, from->up, port, f);
			out = port;
		}
		for (; to->up != all; to = to->up) {
			uint32_t port = port_of(v, &to->up->in, f->value);
			link_add(v, to->up, to->up, port, to, in, f);
			in = port;
		}
		link_add(v, all, from, out, to, in, f);
	}
	mark_residuals(v->root);
}

/* --- sizes ---------------------------------------------------------------------------------------------------- */

/* Widths of Helvetica's characters from the blank on, in thousandths (Adobe's metrics). */
static const uint16_t width_of[] = {
	278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333,  278, 278, 556, 556, 556,
	556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
	611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667,  611, 722, 667, 944, 667,
	667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278,  556, 556, 222, 222, 500,
	222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,  500, 334, 260, 334, 584};

/* Fonts differ: room is left. */
static double text_width(const char *s, double size, bool bold)
{
	double w = 0;
	for (; *s; s++) {
		uint8_t c = (uint8_t)*s;
		if (c >= 0x80 && c < 0xc0) continue;
		w += c >= ' ' && c < ' ' + COUNT(width_of) ? width_of[c - ' '] : 700;
	}
	return w / 1000 * size * (bold ? 1.18 : 1.1);
}

static double max(double a, double b)
{
	return a > b ? a : b;
}

static double head_width(const Box *b)
{
	if (!b->up) { /* the title of the picture */
		double title = text_width(b->name, 17, true) + 12 + text_width(b->type, 12, false);
		for (size_t i = 0; i < b->lines.n; i++) title += 12 + text_width(b->lines.at[i], 12, false);
		return title + 20;
	}
	double w = text_width(b->name, 12, true);
	if (b->type) w += 8 + text_width(b->type, 11, false);
	if (b->times) w += 18 + text_width(b->times, 11, true);
	return w + (box_is_group(b) ? 30 : 0);
}

static void size_closed(Box *b)
{
	double w = head_width(b);
	for (size_t i = 0; i < b->lines.n; i++) w = max(w, text_width(b->lines.at[i], 10.5, false));
	b->folded_w = max(w + 22, 44);
	b->folded_h = 24 + (double)(LINE_H * b->lines.n);
	if (b->lines.n) b->folded_h += 2;
	if (b->round && !b->lines.n) b->folded_w = b->folded_h = 22;
	if (b->kind == BOX_INPUT || b->kind == BOX_OUTPUT) b->folded_h = 26;
	if (!box_is_group(b)) {
		b->open_w = b->folded_w;
		b->open_h = b->folded_h;
	}
}

/* --- dot: written ------------------------------------------------------------------------------------------------ */

typedef VEC(Box *) Boxes;

static void write_ports(Text *t, const Ports *ports, const char *prefix, double width)
{
	uint32_t order[64], n = 0;
	for (size_t i = 0; i < ports->n && n < COUNT(order); i++) {
		uint32_t at = n++;
		for (; at > 0 && ports->at[order[at - 1]].x > ports->at[i].x; at--)
			order[at] = order[at - 1];
		order[at] = (uint32_t)i;
	}
	int at = 0, whole = (int)width;
	text_puts(t, "<TR><TD HEIGHT=\"2\" FIXEDSIZE=\"TRUE\"");
	text_printf(
		t,
		" WIDTH=\"%d\"><TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"0\"><TR>",
		whole);
	for (uint32_t i = 0; i < n; i++) {
		int x = (int)ports->at[order[i]].x - 1;
		if (x < at) x = at;
		if (x > at)
			text_printf(t, "<TD FIXEDSIZE=\"TRUE\" WIDTH=\"%d\" HEIGHT=\"2\"></TD>", x - at);
		text_printf(t, "<TD FIXEDSIZE=\"TRUE\" WIDTH=\"2\" HEIGHT=\"2\" PORT=\"%s%u\"></TD>",
		            prefix, order[i]);
		at = x + 2;
	}
	if (whole > at)
		text_printf(t, "<TD FIXEDSIZE=\"TRUE\" WIDTH=\"%d\" HEIGHT=\"2\"></TD>", whole - at);
	text_puts(t, "</TR></TABLE></TD></TR>");
}

static void write_node(Text *t, const Box *b)
{
	double w = box_w(b), h = box_h(b);
	if (!box_is_group(b) || b->folded || (b->in.n == 0 && b->out.n == 0)) {
		text_printf(t, "b%u [shape=%s width=%.4f height=%.4f]\n", b->id,
		            b->round ? "ellipse" : "box", w / 72, h / 72);
		return;
	}
	text_printf(
		t,
		"b%u [shape=plain fixedsize=false label=<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"0\">",
		b->id);
	write_ports(t, &b->in, "i", w);
	text_printf(t, "<TR><TD FIXEDSIZE=\"TRUE\" WIDTH=\"%d\" HEIGHT=\"%d\"></TD></TR>", (int)w,
	            (int)h - 4);
	write_ports(t, &b->out, "o", w);
	text_puts(t, "</TABLE>>]\n");
}

static void write_end(Text *t, const Box *in, const Box *b, uint32_t port, bool from)
{
	if (b == in)
		text_printf(t, "%s%u", from ? "p" : "q", port);
	else if (port != NO_PORT && !b->folded && port < 64)
		text_printf(t, "b%u:%s%u:%s", b->id, from ? "o" : "i", port, from ? "s" : "n");
	else
		text_printf(t, "b%u", b->id);
}

static void write_graph(Text *t, Box *b)
{
	text_printf(t,
	            "digraph g%u {\nnodesep=0.22; ranksep=0.24; splines=spline; ordering=\"\";\n"
	            "node [fixedsize=true label=\"\"]; edge [arrowhead=none];\n",
	            b->id);
	for (size_t i = 0; i < b->kids.n; i++) write_node(t, b->kids.at[i]);
	if (b->in.n) text_puts(t, "{rank=source;");
	for (size_t i = 0; i < b->in.n; i++)
		text_printf(t, " p%zu [shape=box width=0.01 height=0.01];", i);
	if (b->in.n) text_puts(t, "}\n");
	if (b->out.n) text_puts(t, "{rank=sink;");
	for (size_t i = 0; i < b->out.n; i++)
		text_printf(t, " q%zu [shape=box width=0.01 height=0.01];", i);
	if (b->out.n) text_puts(t, "}\n");
	for (size_t i = 0; i < b->links.n; i++) {
		Link *l = &b->links.at[i];
		write_end(t, b, l->from, l->out, true);
		text_puts(t, " -> ");
		write_end(t, b, l->to, l->in, false);
		text_printf(t, " [id=%zu weight=%d", i,
		            l->residual                  ? 1
		            : l->from == b || l->to == b ? 4
		                                         : 6);
		if (l->label) {
			l->label_w = text_width(l->label, 10, false) + 6;
			text_printf(
				t,
				" label=<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"0\"><TR><TD "
				"FIXEDSIZE=\"TRUE\" WIDTH=\"%d\" HEIGHT=\"12\"></TD></TR></TABLE>>",
				(int)l->label_w);
		}
		text_puts(t, "]\n");
	}
	text_puts(t, "}\n");
}

/* --- dot: run ------------------------------------------------------------------------------------------------------ */

static bool no_dot(Picture *v)
{
	Diag *d = diag_error(&v->t->d, span_none(),
	                     "Graphviz's `dot`, which finds places for the boxes, is not installed");
	diag_help(&v->t->d, d,
	          "install it (Debian: apt-get install graphviz), or write --format dot or json");
	return false;
}

static int dot_run(FILE *in, FILE *out)
{
	fflush(NULL);
	rewind(in);
	pid_t child = fork();
	if (child < 0) return -1;
	if (!child) {
		if (dup2(fileno(in), STDIN_FILENO) < 0 || dup2(fileno(out), STDOUT_FILENO) < 0) _exit(126);
		FILE *quiet = freopen("/dev/null", "w", stderr);
		execlp("dot", "dot", "-Tplain", "-y", (char *)NULL);
		_exit(quiet ? 127 : 126);
	}
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR) return -1;
	rewind(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool dot_layout(Picture *v, const Text *graphs, Text *answer)
{
	FILE *in = tmpfile(), *out = tmpfile();
	bool ok = in && out && fwrite(graphs->at, 1, graphs->n, in) == graphs->n && fflush(in) == 0;
	if (!ok) tool_fail(v->t, "a temporary file cannot be written: %s", strerror(errno));
	int code = ok ? dot_run(in, out) : 0;
	if (ok && code == 127) ok = no_dot(v);
	if (ok && code != 0) ok = tool_fail(v->t, "Graphviz's `dot` failed (status %d)", code);
	char piece[1 << 14];
	size_t n;
	while (ok && (n = fread(piece, 1, sizeof piece, out)) > 0) text_append(answer, piece, n);
	if (in) fclose(in);
	if (out) fclose(out);
	return ok;
}

/* --- dot: read ------------------------------------------------------------------------------------------------------- */

typedef struct Reader {
	const char *at;
	char word[64];
} Reader;

static const char *next_word(Reader *r)
{
	while (*r->at == ' ') r->at++;
	size_t n = strcspn(r->at, " \n");
	snprintf(r->word, sizeof r->word, "%.*s", (int)(n < sizeof r->word ? n : sizeof r->word - 1),
	         r->at);
	r->at += n;
	return r->word;
}

static double next_number(Reader *r)
{
	return strtod(next_word(r), NULL) * 72;
}

static void next_line(Reader *r)
{
	r->at += strcspn(r->at, "\n");
	if (*r->at) r->at++;
}

/* Where the parts of a box begin: under its head, inside its edge. */
static double inset_x(const Box *b)
{
	return b->up ? PAD : 20;
}

static double inset_y(const Box *b)
{
	return b->up ? HEAD_H : 44;
}

static void read_node(Reader *r, Picture *v, Box *b)
{
	char name[64];
	snprintf(name, sizeof name, "%s", next_word(r));
	double x = next_number(r) + inset_x(b), y = next_number(r) + inset_y(b);
	uint32_t id = (uint32_t)strtoul(name + 1, NULL, 10);
	if (name[0] == 'b' && id < v->boxes.n) {
		Box *k = v->boxes.at[id];
		k->x = x - box_w(k) / 2;
		k->y = y - box_h(k) / 2;
	}
	if (name[0] == 'p' && id < b->in.n) b->in.at[id].x = x;
	if (name[0] == 'q' && id < b->out.n) b->out.at[id].x = x;
}

static Link *link_named(Box *b, const char *tail, const char *head)
{
	for (size_t i = 0; i < b->links.n; i++) {
		Link *l = &b->links.at[i];
		char from[32], to[32];
		snprintf(from, sizeof from, l->from == b ? "p%u" : "b%u",
		         l->from == b ? l->out : l->from->id);
		snprintf(to, sizeof to, l->to == b ? "q%u" : "b%u", l->to == b ? l->in : l->to->id);
		if (l->points.n == 0 && strcmp(from, tail) == 0 && strcmp(to, head) == 0) return l;
	}
	return NULL;
}

static void read_edge(Reader *r, Picture *v, Box *b)
{
	char tail[64], head[64];
	snprintf(tail, sizeof tail, "%s", next_word(r));
	snprintf(head, sizeof head, "%s", next_word(r));
	tail[strcspn(tail, ":")] = head[strcspn(head, ":")] = 0;
	Link *l = link_named(b, tail, head);
	long n = strtol(next_word(r), NULL, 10);
	for (long i = 0; i < n; i++) {
		double x = next_number(r) + inset_x(b), y = next_number(r) + inset_y(b);
		if (!l) continue;
		vec_push(v->t->arena, &l->points, x);
		vec_push(v->t->arena, &l->points, y);
	}
	while (*r->at == ' ') r->at++;
	if (l && l->label && strncmp(r->at, "solid", 5) != 0) {
		next_word(r);
		l->label_x = next_number(r) + inset_x(b);
		l->label_y = next_number(r) + inset_y(b);
	}
}

static void read_graph(Reader *r, Picture *v, Box *b)
{
	double w = 0, h = 0;
	while (*r->at && strcmp(next_word(r), "stop") != 0) {
		if (strcmp(r->word, "graph") == 0) {
			next_word(r);
			w = next_number(r);
			h = next_number(r);
		} else if (strcmp(r->word, "node") == 0) {
			read_node(r, v, b);
		} else if (strcmp(r->word, "edge") == 0) {
			read_edge(r, v, b);
		}
		next_line(r);
	}
	next_line(r);
	double head = head_width(b) + 20;
	b->open_w = max(w + 2 * inset_x(b), head);
	b->open_h = h + inset_y(b) + (b->up ? PAD : 20);
	double shift = (b->open_w - w) / 2 - inset_x(b);
	if (shift <= 0.5) return;
	for (size_t i = 0; i < b->kids.n; i++) b->kids.at[i]->x += shift;
	for (size_t i = 0; i < b->in.n; i++) b->in.at[i].x += shift;
	for (size_t i = 0; i < b->out.n; i++) b->out.at[i].x += shift;
	for (size_t i = 0; i < b->links.n; i++) {
		Link *l = &b->links.at[i];
		l->label_x += shift;
		for (size_t k = 0; k < l->points.n; k += 2) l->points.at[k] += shift;
	}
}

/* Lines that come or go through the box's edge begin and end there, across its head. */
static void reach_edges(Picture *v, Box *b)
{
	for (size_t i = 0; i < b->links.n; i++) {
		Link *l = &b->links.at[i];
		if (l->points.n < 8) continue;
		if (l->to == b) {
			double x = l->points.at[l->points.n - 2], y = l->points.at[l->points.n - 1];
			double add[] = {x, y, x, b->open_h, x, b->open_h};
			for (size_t k = 0; k < COUNT(add); k++) vec_push(v->t->arena, &l->points, add[k]);
		}
		if (l->from == b) {
			enum { MORE = 6 };
			for (size_t k = 0; k < MORE; k++) vec_push(v->t->arena, &l->points, 0);
			memmove(l->points.at + MORE, l->points.at, (l->points.n - MORE) * sizeof *l->points.at);
			double x = l->points.at[MORE], y = l->points.at[MORE + 1];
			double add[MORE] = {x, 0, x, 0, x, y};
			memcpy(l->points.at, add, sizeof add);
		}
	}
}

/* --- all ---------------------------------------------------------------------------------------------------------------- */

static uint32_t deepest(Box *b)
{
	uint32_t most = b->depth;
	size_closed(b);
	for (size_t i = 0; i < b->kids.n; i++) {
		uint32_t d = deepest(b->kids.at[i]);
		if (d > most) most = d;
	}
	return most;
}

static void collect(Picture *v, Box *b, uint32_t depth, Boxes *out)
{
	if (box_is_group(b) && b->depth == depth) vec_push(v->t->arena, out, b);
	for (size_t i = 0; i < b->kids.n && b->depth < depth; i++)
		collect(v, b->kids.at[i], depth, out);
}

bool view_layout(Picture *v)
{
	for (uint32_t depth = deepest(v->root) + 1; depth-- > 0;) {
		Boxes at = {0};
		collect(v, v->root, depth, &at);
		if (at.n == 0) continue;
		Text graphs = text_new(v->t->arena), answer = text_new(v->t->arena);
		for (size_t i = 0; i < at.n; i++) write_graph(&graphs, at.at[i]);
		if (!dot_layout(v, &graphs, &answer)) return false;
		Reader r = {.at = answer.at ? answer.at : ""};
		for (size_t i = 0; i < at.n; i++) {
			read_graph(&r, v, at.at[i]);
			reach_edges(v, at.at[i]);
		}
	}
	return true;
}
