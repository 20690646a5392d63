/* How values lie in memory. A target with caches wants dims of symbolic size merged into one run, so
 * that memory is dense; one whose memory is laid out by bounds wants them apart, so that strides are
 * constants. What a kernel reads through a reshape must be one run, to be seen with other dims; what
 * it reads beyond its edges must show each dim. Where both are wanted of one value, a copy is made. */
#include "codegen/tile/program.h"

#include <string.h>

static bool is_hand(const Node *kernel)
{
	return strcmp(node_attr_const(kernel, "class")->s, "hand") == 0;
}

/* Is the axis that a gather reads along one of a run that symbolic dims would make? */
static bool gathers_inside(const Node *r)
{
	if (r->op != OP_GATHER) return false;
	bool inside = node_attr_const(r, "axis")->i > 0;
	for (uint32_t i = 1; i < r->in[0]->type.rank; i++)
		inside |= !dim_is_const(r->in[0]->type.dim[i], NULL);
	return inside;
}

/* The region argument that r reads beyond its edges, or along an axis of a run by an index from data. */
static const Node *read_beyond(const Node *r)
{
	bool beyond = r->op == OP_PAD || gathers_inside(r);
	if (r->op == OP_CONV || r->op == OP_POOL) {
		const Attr *lo = node_attr_const(r, "lo"), *hi = node_attr_const(r, "hi");
		for (uint32_t i = 0; i < lo->n; i++) beyond |= lo->ints[i] || hi->ints[i];
	}
	if (!beyond) return NULL;
	const Node *x = r->in[0];
	while (x->op == OP_TRANSPOSE || x->op == OP_RESHAPE) x = x->in[0];
	return x->op == OP_ARG ? x : NULL;
}

/* What a reshape of n reads as one run: n itself, or all that it is computed from. */
static void note_run(Build *b, const Node *kernel, const Node *n)
{
	if (n->op == OP_ARG) b->merge[kernel->in[node_attr_const(n, "number")->i]->id] = true;
	if (op_info[n->op].kind != KIND_ELEMENTWISE) return;
	for (uint32_t i = 0; i < n->n_in; i++) note_run(b, kernel, n->in[i]);
}

/* What is read or written through a reshape that would divide indices must lie as one run of memory,
 * to be seen with other dims. */
void note_layout(Build *b, Node *n)
{
	if (is_hand(n)) /* it sees each dim */
		for (uint32_t i = 0; i < n->n_in; i++) b->apart[n->in[i]->id] = true;
	for (const Node *r = n->region->first; r; r = r->next) {
		const Node *x = read_beyond(r);
		if (x) b->apart[n->in[node_attr_const(x, "number")->i]->id] = true;
	}
	for (const Node *r = n->region->first; r; r = r->next)
		if (r->op == OP_RESHAPE && reshape_divides(b, r, false)) note_run(b, n, r->in[0]);
	for (const Node *r = n->region->results.at[0]; r->op == OP_RESHAPE || r->op == OP_TRANSPOSE;
	     r = r->in[0])
		if (r->op == OP_RESHAPE && reshape_divides(b, r, true)) b->merge[n->id] = true;
}

int64_t output_number(const Build *b, const Node *n)
{
	for (size_t i = 0; i < b->source->out_names.n; i++)
		if (b->source->graph->results.at[i] == n) return (int64_t)i;
	return -1;
}

uint32_t lead_wanted(const Build *b, const Node *n)
{
	return n->id < b->ids ? b->lead[n->id] : 0;
}

bool merge_wanted(const Build *b, const Node *n)
{
	return n->id < b->ids && b->merge[n->id];
}

bool apart_wanted(const Build *b, const Node *n)
{
	return n->id < b->ids && b->apart[n->id];
}

uint32_t keep_for(uint32_t lead, bool apart, uint32_t rank)
{
	return apart ? rank : lead;
}

uint32_t keep_of(const Build *b, const Node *n)
{
	bool apart = (apart_wanted(b, n) || b->t->apart) && !merge_wanted(b, n);
	uint32_t keep = keep_for(lead_wanted(b, n), apart, n->type.rank);
	/* what the caller sees is either one dense run or has all its dims */
	return keep && (n->op == OP_PARAM || output_number(b, n) >= 0) ? n->type.rank : keep;
}

/* An operand that is read beyond its edges, and by others as one run of memory: a copy in which its
 * dims lie apart. */
static void copy_apart(Build *b, Node *value, Home *in)
{
	const Type *t = &value->type;
	Home copy = home_new(b, TB_ARENA, arena_printf(b->m->arena, "apart%u", b->serial++), t, t->rank,
	                     0, NULL);
	value_move(b, value, &copy);
	*in = copy;
}

void lay_apart(Build *b, Node *n, Home *in)
{
	for (uint32_t i = 0; is_hand(n) && i < n->n_in && !b->failed; i++)
		if (in[i].buf->kind != TB_WEIGHT && !shows_dims(b, &n->in[i]->type, in[i].keep))
			copy_apart(b, n->in[i], &in[i]);
	for (const Node *r = n->region->first; r && !b->failed; r = r->next) {
		const Node *x = read_beyond(r);
		if (!x) continue;
		uint32_t i = (uint32_t)node_attr_const(x, "number")->i, symbolic = 0;
		const Type *t = &n->in[i]->type;
		for (uint32_t d = in[i].keep + 1; d < t->rank; d++)
			symbolic += !dim_is_const(t->dim[d], NULL);
		if (symbolic) copy_apart(b, n->in[i], &in[i]);
	}
}
