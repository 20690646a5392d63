/* Kernels that are alike: equal regions over operands that lie alike, so that one kernel serves
 * several launches, in one entry and across entries. Loop indices are renamed where they stand. */
#include "codegen/tile/build.h"

#include <string.h>

struct Made {
	Node *kernel;
	const Home *in, *out;
	const Frame *frames;
	TileKernel *tile;
	const Origin *origin;
};

/* --- equality under a renaming of loop indices --- */

static Dim renamed(void *ctx, DimSym *s)
{
	const Frame *const *pair = ctx;
	const Frame *a = pair[0], *b = pair[1];
	for (; a && b; a = a->up, b = b->up)
		if (a->var == s) return dim_sym((DimPool *)pair[2], b->var);
	return NULL;
}

bool dim_same(const Renaming *r, Dim a, Dim b)
{
	const void *ctx[3] = {r->from, r->to, r->pool};
	return a == b || (r->from && dim_substitute(r->pool, a, renamed, ctx) == b);
}

/* `lead`: leading starts that may differ. */
static bool attr_same(const Renaming *r, const AttrInfo *row, const Attr *a, const Attr *b,
                      uint32_t lead)
{
	if (a->set != b->set) return false;
	if (!a->set) return true;
	if (row->kind == ATTR_DIM) return dim_same(r, a->d, b->d);
	if (row->kind != ATTR_DIMS) return attr_equal(row->kind, a, b);
	if (a->n != b->n) return false;
	for (uint32_t i = strcmp(row->name, "start") == 0 ? lead : 0; i < a->n; i++)
		if (!dim_same(r, a->dims[i], b->dims[i])) return false;
	return true;
}

static bool node_same(const Renaming *r, const Node *a, const Node *b)
{
	const AttrInfo *row = op_info[a->op].attr;
	if (a->op != b->op || a->n_in != b->n_in || !type_equal(&a->type, &b->type)) return false;
	/* what stops tells its place */
	if ((a->op == OP_GATHER || a->op == OP_ROUTED || a->op == OP_ROUTE) &&
	    (a->span.source != b->span.source || a->span.begin != b->span.begin))
		return false;
	/* Launches choose leading parts of operands, not of what was computed or cut from them. */
	uint32_t lead = a->n_in && a->in[0]->op == OP_ARG ? r->skip : 0;
	for (uint32_t i = 0; row[i].name; i++)
		if (!attr_same(r, &row[i], &a->attr[i], &b->attr[i], lead)) return false;
	return true;
}

bool tree_same(const Renaming *r, const Node *a, const Node *b)
{
	if (a->op == OP_ARG && b->op == OP_ARG) return type_equal(&a->type, &b->type);
	if (!node_same(r, a, b)) return false;
	for (uint32_t i = 0; i < a->n_in; i++)
		if (!tree_same(r, a->in[i], b->in[i])) return false;
	return true;
}

uint32_t region_position(const Graph *g, const Node *n)
{
	uint32_t at = 0;
	for (const Node *k = g->first; k && k != n; k = k->next) at++;
	return at;
}

bool region_same(const Renaming *r, const Graph *a, const Graph *b)
{
	const Node *x = a->first, *y = b->first;
	for (; x && y; x = x->next, y = y->next) {
		if (!node_same(r, x, y)) return false;
		for (uint32_t i = 0; i < x->n_in; i++)
			if (region_position(a, x->in[i]) != region_position(b, y->in[i])) return false;
	}
	if (x || y || a->results.n != b->results.n) return false;
	for (size_t i = 0; i < a->results.n; i++)
		if (region_position(a, a->results.at[i]) != region_position(b, b->results.at[i]))
			return false;
	return true;
}

Node *region_node(const Graph *g, uint32_t position)
{
	Node *n = g->first;
	while (position--) n = n->next;
	return n;
}

Frame *frames_copy(Build *b, const Frame *f)
{
	Frame *copy = NULL, **last = &copy;
	for (; f; f = f->up) {
		*last = NEW(b->m->arena, Frame);
		**last = *f;
		(*last)->up = NULL;
		last = &(*last)->up;
	}
	return copy;
}

/* --- kernels --- */

/* Do two lists of homes lie alike, one by one, and share buffers alike? */
static bool homes_alike(const Home *a, const Home *b, uint32_t n, const Home *a2, const Home *b2,
                        uint32_t n2)
{
	for (uint32_t i = 0; i < n; i++) {
		if (a[i].keep != b[i].keep ||
		    (a[i].buf->kind == TB_WEIGHT) != (b[i].buf->kind == TB_WEIGHT) ||
		    (a[i].buf->kind == TB_STATE) != (b[i].buf->kind == TB_STATE))
			return false;
		for (uint32_t k = 0; k < n2; k++)
			if ((a[i].buf == a2[k].buf) != (b[i].buf == b2[k].buf)) return false;
	}
	return true;
}

Made *find_alike(Build *b, Node *n, const Home *in, const Home *out)
{
	uint32_t results = (uint32_t)n->region->results.n;
	for (size_t i = 0; i < b->made.n; i++) {
		Made *m = b->made.at[i];
		const Frame *x = m->frames, *y = b->frames;
		while (x && y && x->count == y->count) x = x->up, y = y->up;
		Renaming r = {b->m->dims, b->frames, m->frames, 0};
		if (x || y || m->kernel->n_in != n->n_in || m->kernel->region->results.n != results)
			continue;
		if (strcmp(node_attr(m->kernel, "class")->s, node_attr(n, "class")->s) != 0) continue;
		if (!homes_alike(in, m->in, n->n_in, in, m->in, n->n_in) ||
		    !homes_alike(out, m->out, results, in, m->in, n->n_in))
			continue;
		if (region_same(&r, n->region, m->kernel->region)) return m;
	}
	return NULL;
}

void note_made(Build *b, Node *n, const Home *in, const Home *out, const Kernel *k)
{
	Arena *a = b->m->arena;
	size_t results = n->region->results.n;
	Made *m = NEW(a, Made);
	Home *homes = NEW_ARRAY(a, Home, n->n_in + results + 1);
	memcpy(homes, in, n->n_in * sizeof *in);
	memcpy(homes + n->n_in, out, results * sizeof *out);
	*m = (Made){n, homes, homes + n->n_in, frames_copy(b, b->frames), k->k, k->origin};
	vec_push(a, &b->made, m);
}

TileKernel *made_kernel(const Made *made)
{
	return made->tile;
}

TileArg *alike_arguments(Kernel *k, const Made *made)
{
	size_t n = made->tile->bufs.n;
	TileArg *args = NEW_ARRAY(k->b->m->arena, TileArg, n + 1);
	for (size_t i = 0; i < n; i++) {
		const Origin *o = &made->origin[i];
		if (o->kind == FROM_ARG) args[i] = k->actual[o->number];
		if (o->kind == FROM_RESULT) args[i] = k->args[o->number]; /* results come first */
		if (o->kind != FROM_PACK) continue;
		Node *w = region_node(k->g, region_position(made->kernel->region, o->w));
		if (!pack_argument(k, w, &o->as, o->dims, &args[i])) return NULL;
	}
	return args;
}
