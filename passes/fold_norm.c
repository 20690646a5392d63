/* Batch normalisation after a convolution: its scale goes into the weight, its shift stays as a
 * bias. What is computed from weights alone is later done once, before the first call. */
#include "passes/passes.h"

#include <string.h>

static Node *reshape_channel(Rewrite *w, Node *v, uint32_t rank)
{
	Dim dims[MAX_RANK];
	dims[0] = v->type.dim[0];
	for (uint32_t i = 1; i < rank; i++) dims[i] = dim_const(w->c->m->dims, 1);
	return rewrite_reshape(w, v, rank, dims);
}

static Node *fold_conv(Rewrite *w, Node *n)
{
	Node *conv = n->in[0], *bias = NULL;
	if (node_attr(n, "axis")->i != 1) return NULL;
	if (conv->op == OP_ADD && conv->in[0]->op == OP_CONV && node_use_count(conv) == 1) {
		/* conv(x) + bias[:, 1, 1] */
		bias = conv->in[1];
		conv = conv->in[0];
		if (bias->op != OP_RESHAPE || bias->in[0]->type.rank != 1) return NULL;
		bias = bias->in[0];
	}
	if (conv->op != OP_CONV || node_attr(conv, "channels_last")->i) return NULL;
	if (node_use_count(conv) != 1) {
		diag_remark(w->c->d, n->span,
		            "batch norm is not folded: the convolution before it is used elsewhere too");
		return NULL;
	}
	Node *eps = rewrite_const(w, DT_F32, node_attr(n, "eps")->f);
	Node *var = rewrite_node(w, OP_ADD, 2, (Node *[]){n->in[4], eps});
	Node *scale =
		rewrite_node(w, OP_MUL, 2, (Node *[]){n->in[1], rewrite_node(w, OP_RSQRT, 1, &var)});
	Node *mean = bias ? rewrite_node(w, OP_SUB, 2, (Node *[]){n->in[3], bias}) : n->in[3];
	Node *shift = rewrite_node(
		w, OP_SUB, 2, (Node *[]){n->in[2], rewrite_node(w, OP_MUL, 2, (Node *[]){mean, scale})});
	Node *weight = rewrite_node(
		w, OP_MUL, 2, (Node *[]){conv->in[1], reshape_channel(w, scale, conv->in[1]->type.rank)});
	Node *folded = node_new(w->c->m, OP_CONV, 2, (Node *[]){conv->in[0], weight}, conv->span);
	memcpy(folded->attr, conv->attr, 6 * sizeof(Attr));
	folded = rewrite_finish(w, folded);
	if (!folded) return NULL;
	folded->name = conv->name;
	return rewrite_node(w, OP_ADD, 2,
	                    (Node *[]){folded, reshape_channel(w, shift, n->type.rank - 1)});
}

static const Rule rules[] = {{OP_BATCH_NORM, "batch-norm-of-conv", fold_conv}};

void pass_fold_norm(PassContext *c)
{
	rewrite_run(c, rules, COUNT(rules));
}
