/* Kernels written in assembly: one formal for each tensor of the program, by its name, and no statements.
 * A program sees its tensors as the def declares them, each dim with a step of its own. */
#include "codegen/tile/build.h"

#include <string.h>

bool shows_dims(const Build *b, const Type *t, uint32_t keep)
{
	Dim dims[MAX_RANK + 1];
	uint32_t rank = memory_dims(b, t, keep, dims);
	for (uint32_t i = 0; i < t->rank && i < rank; i++)
		if (dims[i] != t->dim[i]) return false;
	return rank == t->rank || t->rank == 0;
}

/* Name `number` of a list with commas. */
static const char *name_at(Build *b, const char *list, uint32_t number)
{
	while (number--) {
		list += strcspn(list, ",");
		list += *list == ',';
	}
	return intern(b->m->names, list, strcspn(list, ","));
}

const char *hand_result_name(Build *b, const Node *hand, uint32_t result)
{
	return name_at(b, node_attr_const(hand, "results")->s, result);
}

const char *hand_name(Build *b, const Node *kernel)
{
	const char *name = "hand";
	for (const Node *n = kernel->region->first; n; n = n->next)
		if (n->op == OP_HAND) name = node_attr_const(n, "file")->s;
	const char *slash = strrchr(name, '/');
	char *word = arena_strdup(b->m->arena, slash ? slash + 1 : name);
	word[strcspn(word, ".")] = '\0';
	for (char *c = word; *c; c++)
		if (!strchr("_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *c))
			*c = '_';
	return word;
}

/* The region argument that operand x is, or is a part of by the index of a loop. */
static const Node *argument_of(const Node *x)
{
	if (x->op == OP_RESHAPE && x->in[0]->op == OP_SLICE) x = x->in[0]->in[0];
	return x->op == OP_ARG ? x : NULL;
}

/* The kernel gives what the program gives, in order, and nothing else. */
static bool gives_results(const Kernel *k, const Node *n)
{
	uint32_t count = (uint32_t)n->region->results.n;
	if (k->g->results.n != count) return false;
	for (uint32_t i = 0; i < count; i++) {
		const Node *r = k->g->results.at[i];
		if (count == 1 ? r != n
		               : r->op != OP_GET || r->in[0] != n || node_attr_const(r, "number")->i != i)
			return false;
	}
	return true;
}

/* Is the operand all of its argument, or the part that a loop's index chooses along the first dims? */
static bool lies_in_place(const Kernel *k, const Node *arg, const Type *t)
{
	uint32_t number = (uint32_t)node_attr_const(arg, "number")->i, lead = k->lead[number];
	if (arg->type.rank != t->rank + lead) return false;
	for (uint32_t d = 0; d < t->rank; d++)
		if (arg->type.dim[lead + d] != t->dim[d]) return false;
	return shows_dims(k->b, t, k->keep[number]);
}

bool build_hand(Kernel *k)
{
	Build *b = k->b;
	Node *n = kernel_anchor(k, OP_HAND);
	if (!gives_results(k, n))
		return kernel_fail(k, "its results are not those of the program in it");
	const char *names = node_attr(n, "operands")->s, *sizes = node_attr(n, "sizes")->s;
	for (uint32_t i = 0; i < n->n_in; i++) {
		const Type *t = &n->in[i]->type;
		const Node *arg = argument_of(n->in[i]);
		uint32_t number = arg ? (uint32_t)node_attr_const(arg, "number")->i : 0;
		if (!arg || !lies_in_place(k, arg, t))
			return kernel_fail(
				k, "an operand of a program written by hand does not lie in memory as it is");
		Dim dims[MAX_RANK + 1];
		uint32_t rank = memory_dims(b, t, k->keep[number], dims);
		TileKind kind = k->actual[number].buf->kind == TB_WEIGHT ? TB_WEIGHT : TB_IN;
		TileObj *o =
			kernel_formal(k, kind, name_at(b, names, i), t->dtype, rank, dims, k->actual[number]);
		o->span = n->region->args.at[i]->span;
		k->origin[k->k->bufs.n - 1] = (Origin){.kind = FROM_ARG, .number = number};
	}
	TileHand *h = NEW(b->m->arena, TileHand);
	const Attr *dims = node_attr(n, "dims");
	const char **size = NEW_ARRAY(b->m->arena, const char *, dims->n + 1);
	for (uint32_t i = 0; i < dims->n; i++) size[i] = name_at(b, sizes, i);
	*h = (TileHand){node_attr(n, "file")->s, dims->n, size, dims->dims};
	k->k->hand = h;
	k->k->span = n->span;
	return true;
}
