/* nacre graph: a picture of an entry. graph_view.c turns its graph into nested boxes and the values
 * that flow between them, graph_repeat.c draws what repeats once, graph_layout.c gives sizes and asks
 * Graphviz's `dot` for places, graph_svg.c and graph_text.c write. Lengths are in pixels, y downwards;
 * a box's place is relative to the box around it. */
#ifndef NACRE_TOOLS_GRAPH_H
#define NACRE_TOOLS_GRAPH_H
#include "tools/tool.h"

typedef enum BoxKind {
	BOX_GROUP,  /* a layer; the model itself is the outermost */
	BOX_LOOP,   /* a loop that is no array of layers */
	BOX_KERNEL, /* what is launched as one */
	BOX_OP,
	BOX_INPUT,
	BOX_OUTPUT,
	BOX_STATE
} BoxKind;

/* Colours, the most telling last: a folded box takes the last of its parts. */
typedef enum BoxTint {
#define TINT(id, name, what) TINT_##id,
#include "tools/graph.def"
	NUM_TINTS
} BoxTint;

enum { BOXES_LIMIT = 20000 }; /* what is larger is refused */
typedef struct Box Box;
typedef struct Port {
	const Node *value;
	double x; /* on the upper or lower edge of an open box */
} Port;
typedef VEC(Port) Ports;

/* A line drawn inside a box, between two boxes of it or from or to its own edge. */
#define NO_PORT UINT32_MAX
typedef struct Link {
	Box *from, *to;    /* the box around stands for its own edge */
	uint32_t out, in;  /* ports of theirs; NO_PORT: the middle */
	const char *label; /* or NULL */
	double label_x, label_y, label_w;
	VEC(double) points; /* x, y of a Bezier curve's 3n + 1 points */
	bool residual;
} Link;

struct Box {
	BoxKind kind;
	BoxTint tint;
	uint32_t id, depth;
	Box *up;
	const Node *node; /* OP, KERNEL, STATE */
	const char *path; /* GROUP: "h.attn" */
	const char *name, *type, *times;
	Names lines;
	const char *hover;
	VEC(Box *) kids;
	Ports in, out;
	VEC(Link) links;
	bool hidden; /* a repetition of one that is drawn */
	bool folded, round;
	Dim flops, parameters;
	double x, y, folded_w, folded_h, open_w, open_h;
	uint64_t shape_hash;
};

typedef struct Flow {
	const Node *value;
	Box *from, *to;
	const Type *type;
} Flow;

typedef struct Picture {
	Tool *t;
	Module *m;
	const Entry *entry;
	Box *root;
	VEC(Box *) boxes; /* by id */
	VEC(Flow) flows;
	bool fused;
	DimsGiven given;
} Picture;

static inline bool box_is_group(const Box *b)
{
	return b->kind == BOX_GROUP || b->kind == BOX_LOOP || b->kind == BOX_KERNEL;
}

/* --- graph_view.c --- */
void view_build(Picture *v);
const char *view_type_text(Picture *v, const Type *type); /* as on an edge; dims of --dim bound */
bool box_within(const Box *b, const Box *around);         /* a box is within itself */

/* --- graph_label.c: what is written into boxes --- */
void label_op(Picture *v, Box *b);
void label_group(Picture *v, Box *b);
void label_mark_static(Graph *g);   /* first of all */
bool node_is_static(const Node *n); /* weights and constants, and their parts and forms */
const Weight *node_weight(const Picture *v, const Node *n, const Node **seen_as); /* or NULL */

/* --- graph_repeat.c --- */
void view_fold_repeats(Picture *v);

/* --- graph_layout.c --- */
/* Folds the boxes of `depth` and more; depth NO_PORT: small ones. Ports, links, sizes, places. */
void view_fold(Picture *v, uint32_t depth);
void view_link(Picture *v);
bool view_layout(Picture *v);
static inline double box_w(const Box *b)
{
	return b->folded ? b->folded_w : b->open_w;
}
static inline double box_h(const Box *b)
{
	return b->folded ? b->folded_h : b->open_h;
}
enum { LINE_H = 15, HEAD_H = 26, PAD = 12 };

/* --- graph_svg.c, graph_text.c --- */
void graph_svg(Picture *v, Text *out);
void graph_dot(Picture *v, Text *out);
json_t *graph_json(Picture *v);

/* graph.css and graph.js, embedded at build time by cmake/embed.cmake. */
typedef struct GraphPart {
	const char *name, *text;
} GraphPart;
extern const GraphPart graph_parts[]; /* ends with a NULL name */
#endif
