/* Scaled weights: a product that takes a scaled weight reads it as it is stored and applies the scales
 * as it goes, so the scaling comes to stand right before it, past the movements; rows of a scaled table
 * are gathered as they are stored and scaled after. What takes no scales is left, and form_kernels makes
 * such a weight an f32 constant. */
#include "passes/passes.h"

#include <string.h>

enum { LEAST_BLOCK = 8 /* elements of the summed axis: less is not worth a product of its own */ };

/* Which axis of operand `which` of an einsum is summed over, when it is a matrix of one summed index
 * and one of the result. */
static bool summed_axis(const Node *n, uint32_t which, uint32_t *axis)
{
	const char *spec = node_attr_const(n, "spec")->s, *comma = strchr(spec, ','),
			   *result = strstr(spec, "->") + 2;
	const char *own = which ? comma + 1 : spec, *other = which ? spec : comma + 1;
	size_t others = which ? (size_t)(comma - spec) : (size_t)(result - 2 - other);
	if (n->in[which]->type.rank != 2 || own[0] == own[1]) return false;
	for (uint32_t i = 0; i < 2; i++) {
		char k = own[i], column = own[1 - i];
		if (!memchr(other, k, others) || strchr(result, k)) continue;
		*axis = i;
		return !memchr(other, column, others) && strchr(result, column);
	}
	return false;
}

const char *scales_refused(const Node *n, uint32_t which, const Node *scaled)
{
	uint32_t axis = 2;
	int64_t depth;
	const Attr *block = node_attr_const(scaled, "block");
	DType t = scaled->in[0]->type.dtype;
	if (n->op == OP_EINSUM) {
		if (is_constant(n->in[1 - which])) return "both operands are weights";
		if (!summed_axis(n, which, &axis))
			return "it is not read as a matrix with one summed index";
	} else if (n->op != OP_ROUTED || which != 1) {
		return "only products apply scales";
	} else if (block->ints[0] != 1) {
		return "a scale serves several matrices";
	}
	if (!is_constant(scaled) || !dim_is_const(scaled->type.dim[axis], &depth))
		return "it is known at run time only";
	if (dtype_bits(t) > 8) return "it is not stored narrow";
	if (block->ints[axis] >= depth) return NULL;
	if (block->ints[axis] < LEAST_BLOCK) return "its blocks are of less than 8 summed elements";
	if (t == DT_I4 && block->ints[axis] % 2) return "its blocks are of an odd number of i4";
	return NULL;
}

bool takes_scales(const Node *n, uint32_t which)
{
	return n->in[which]->op == OP_DEQUANT && !scales_refused(n, which, n->in[which]);
}

/* The dims of `to` that are dims of `from`, which differs by dims of 1 alone: from[i], or MAX_RANK. */
static bool match_ones(const Type *from, const Type *to, uint32_t *axis)
{
	uint32_t i = 0;
	int64_t one;
	for (uint32_t k = 0; k < to->rank; k++) {
		while (i < from->rank && dim_is_const(from->dim[i], &one) && one == 1 &&
		       from->dim[i] != to->dim[k])
			i++;
		if (i < from->rank && from->dim[i] == to->dim[k])
			axis[k] = i++;
		else if (dim_is_const(to->dim[k], &one) && one == 1)
			axis[k] = MAX_RANK;
		else
			return false;
	}
	for (; i < from->rank; i++)
		if (!dim_is_const(from->dim[i], &one) || one != 1) return false;
	return true;
}

/* `moved` = a transpose or a reshape by dims of 1 of x (* scale) as a scaling of moved parts. */
static Node *move_scaling(Rewrite *w, const Node *moved, const Node *scaled)
{
	Module *m = w->c->m;
	const Attr *block = node_attr_const(scaled, "block");
	const int64_t *perm = moved->op == OP_TRANSPOSE ? node_attr_const(moved, "perm")->ints : NULL;
	uint32_t axis[MAX_RANK], rank = moved->type.rank;
	int64_t blocks[MAX_RANK];
	Node *part[3] = {NULL};
	if (!perm && !match_ones(&scaled->type, &moved->type, axis)) return NULL;
	for (uint32_t i = 0; i < rank; i++) {
		if (perm) axis[i] = (uint32_t)perm[i];
		blocks[i] = axis[i] == MAX_RANK ? 1 : block->ints[axis[i]];
	}
	for (uint32_t k = 0; k < scaled->n_in; k++) {
		Dim dims[MAX_RANK];
		for (uint32_t i = 0; i < rank; i++)
			dims[i] =
				axis[i] == MAX_RANK ? dim_const(m->dims, 1) : scaled->in[k]->type.dim[axis[i]];
		part[k] = perm ? rewrite_transpose(w, scaled->in[k], perm)
		               : rewrite_reshape(w, scaled->in[k], rank, dims);
		if (!part[k]) return NULL;
	}
	Node *n = node_new(m, OP_DEQUANT, scaled->n_in, part, scaled->span);
	attr_ints(m, n, "block", rank, blocks);
	return rewrite_finish(w, n);
}

/* The scaling behind movements of n, as the last step: NULL when there is none. */
static Node *scaling_of(Rewrite *w, Node *n)
{
	if (n->op == OP_DEQUANT) return n;
	if (n->op != OP_TRANSPOSE && n->op != OP_RESHAPE) return NULL;
	Node *inner = scaling_of(w, n->in[0]);
	return inner ? move_scaling(w, n, inner) : NULL;
}

static bool has_scaling(const Node *n)
{
	while (n->op == OP_TRANSPOSE || n->op == OP_RESHAPE) n = n->in[0];
	return n->op == OP_DEQUANT && is_constant(n);
}

/* A scaling of its own for the product n, right before it. */
static Node *scale_in_product(Rewrite *w, Node *n)
{
	for (uint32_t which = 0; which < 2; which++) {
		Node *from = n->in[which];
		if (!has_scaling(from) || (from->op == OP_DEQUANT && node_use_count(from) == 1)) continue;
		Node *scaled = scaling_of(w, from);
		if (!scaled || scales_refused(n, which, scaled)) continue;
		if (scaled == from) {
			scaled = node_new(w->c->m, OP_DEQUANT, from->n_in, from->in, from->span);
			scaled->attr = from->attr;
			if (!(scaled = rewrite_finish(w, scaled))) continue;
		}
		Node **in = NEW_ARRAY(w->c->m->arena, Node *, n->n_in);
		memcpy(in, n->in, n->n_in * sizeof *in);
		in[which] = scaled;
		Node *product = node_new(w->c->m, n->op, n->n_in, in, n->span);
		product->attr = n->attr;
		if (!(product = rewrite_finish(w, product))) return NULL;
		product->name = n->name;
		return product;
	}
	return NULL;
}

/* gather(x * scale, rows) = gather(x, rows) * gather(scale, rows // block) */
static Node *scale_after_gather(Rewrite *w, Node *n)
{
	Module *m = w->c->m;
	Node *scaled = n->in[0], *rows = n->in[1], *part[3] = {NULL};
	if (scaled->op != OP_DEQUANT) return NULL;
	for (uint32_t i = 0; i < scaled->n_in; i++)
		if (scaled->in[i]->op != OP_WEIGHT) return NULL;
	const Attr *block = node_attr(scaled, "block");
	uint32_t axis = (uint32_t)node_attr(n, "axis")->i, rank = n->type.rank, added = rows->type.rank;
	int64_t blocks[MAX_RANK];
	for (uint32_t i = 0; i < rank; i++)
		blocks[i] = i < axis ? block->ints[i] : i < axis + added ? 1 : block->ints[i + 1 - added];
	Node *which = rows;
	if (block->ints[axis] > 1)
		which = rewrite_node(w, OP_FLOORDIV, 2,
		                     (Node *[]){rows, rewrite_const(w, DT_I32, (double)block->ints[axis])});
	for (uint32_t i = 0; i < scaled->n_in; i++) {
		if (!which) return NULL;
		part[i] = node_new(m, OP_GATHER, 2, (Node *[]){scaled->in[i], i ? which : rows}, n->span);
		attr_int(part[i], "axis", axis);
		if (!(part[i] = rewrite_finish(w, part[i]))) return NULL;
	}
	Node *out = node_new(m, OP_DEQUANT, scaled->n_in, part, n->span);
	attr_ints(m, out, "block", rank, blocks);
	out = rewrite_finish(w, out);
	if (out) out->name = n->name;
	return out;
}

void pass_scales(PassContext *c)
{
	static const Rule rules[] = {{OP_EINSUM, "scales-in-product", scale_in_product},
	                             {OP_ROUTED, "scales-in-routed-product", scale_in_product},
	                             {OP_GATHER, "scales-after-gather", scale_after_gather}};
	rewrite_run(c, rules, COUNT(rules));
}
