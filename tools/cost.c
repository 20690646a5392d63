/* What operations cost, for `nacre summary` and `nacre graph`: products of einsum, convolution and
 * attention (masked parts too), two FLOPs for a multiplication with its addition; and
 * the dims that --dim binds. */
#include "tools/tool.h"

#include <inttypes.h>
#include <string.h>

static Dim product(DimPool *p, Dim by, const Type *type, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) by = dim_mul(p, by, type->dim[i]);
	return by;
}

/* The product of the sizes of all letters. */
static Dim einsum_steps(DimPool *p, const Node *n)
{
	const char *spec = node_attr_const(n, "spec")->s;
	bool seen[256] = {false};
	Dim steps = dim_const(p, 1);
	uint32_t operand = 0, axis = 0;
	for (const char *c = spec; *c && *c != '-'; c++) {
		if (*c == ',') {
			operand++;
			axis = 0;
			continue;
		}
		if (!seen[(uint8_t)*c] && operand < n->n_in && axis < n->in[operand]->type.rank)
			steps = dim_mul(p, steps, n->in[operand]->type.dim[axis]);
		seen[(uint8_t)*c] = true;
		axis++;
	}
	return steps;
}

/* Multiplications that come with an addition. */
static Dim node_steps(DimPool *p, const Node *n)
{
	Dim one = dim_const(p, 1);
	switch (n->op) {
	case OP_EINSUM: return einsum_steps(p, n);
	case OP_ROUTED: return dim_mul(p, type_count(p, &n->type), n->in[0]->type.dim[1]);
	case OP_CONV: {
		const Type *w = &n->in[1]->type;
		bool last = node_attr_const(n, "channels_last")->i != 0;
		return product(p, type_count(p, &n->type), w, last ? 0 : 1, last ? w->rank - 1 : w->rank);
	}
	case OP_ATTENTION: {
		const Type *q = &n->in[0]->type, *k = &n->in[1]->type, *v = &n->in[2]->type;
		Dim pairs = dim_mul(p, product(p, one, q, 0, q->rank - 1), k->dim[k->rank - 2]);
		return dim_mul(p, pairs, dim_add(p, k->dim[k->rank - 1], v->dim[v->rank - 1]));
	}
	default: return NULL;
	}
}

typedef struct LoopVar {
	DimPool *pool;
	const DimSym *var;
	Dim to;
} LoopVar;

static Dim loop_var_value(void *ctx, DimSym *s)
{
	LoopVar *v = ctx;
	return s == v->var ? v->to : NULL;
}

/* Work that differs from turn to turn is counted as in the last turn. */
static Dim loop_steps(DimPool *p, const Node *loop, Dim steps, const Node **varies)
{
	Dim count = node_attr_const(loop, "count")->d;
	const DimSym *var = node_attr_const(loop, "var")->sym;
	if (dim_mentions(steps, var)) {
		if (varies) *varies = loop;
		LoopVar v = {p, var, dim_addc(p, count, -1)};
		steps = dim_substitute(p, steps, loop_var_value, &v);
	}
	return dim_mul(p, steps, count);
}

Dim node_flops(DimPool *p, const Node *n, const Node **varies)
{
	Dim steps = node_steps(p, n);
	if (!steps) return NULL;
	for (const Node *loop = n->owner->parent; loop; loop = loop->owner->parent)
		if (loop->op == OP_LOOP) steps = loop_steps(p, loop, steps, varies);
	return dim_mulc(p, steps, 2);
}

/* "1.23 G", or the expression of a count that is not known. */
const char *count_text(Tool *t, Dim d)
{
	static const char *const unit[] = {"", " k", " M", " G", " T", " P"};
	int64_t v;
	if (!dim_is_const(d, &v)) return dim_text(t->arena, d);
	if (v < 1000) return arena_printf(t->arena, "%" PRId64, v);
	double x = (double)v;
	uint32_t k = 0;
	for (; x >= 999.995 && k + 1 < COUNT(unit); k++) x /= 1000;
	return arena_printf(t->arena, "%.2f%s", x, unit[k]);
}

/* --- dims that are given ------------------------------------------------------------------------------ */

static Dim given_value(void *ctx, DimSym *sym)
{
	const DimsGiven *b = ctx;
	for (size_t i = 0; i < b->t->a.dim.n; i++)
		if (strcmp(b->t->a.dim.at[i].name, sym->name) == 0 && sym->kind != SYM_LOOP)
			return dim_const(b->pool, b->value[i]);
	return NULL;
}

Dim dim_given(const DimsGiven *b, Dim d)
{
	DimsGiven given = *b;
	return dim_substitute(b->pool, d, given_value, &given);
}

bool dims_given_read(Tool *t, const Module *m, DimsGiven *out)
{
	*out = (DimsGiven){t, m->dims, NEW_ARRAY(t->arena, int64_t, t->a.dim.n + 1)};
	for (size_t i = 0; i < t->a.dim.n; i++) {
		const char *name = t->a.dim.at[i].name, *text = t->a.dim.at[i].value;
		char extra;
		if (sscanf(text, "%" SCNd64 "%c", &out->value[i], &extra) != 1 || out->value[i] < 0)
			return tool_fail(t, "--dim %s=%s: a whole number is needed", name, text);
		bool known = false;
		for (size_t k = 0; k < m->params.n; k++)
			known = known || strcmp(m->params.at[k]->name, name) == 0;
		if (!known) return tool_fail(t, "--dim: the model has no dim `%s`", name);
	}
	return true;
}

const Entry *entry_chosen(Tool *t, const Module *m)
{
	if (m->entries.n == 0) {
		tool_fail(t, "the model has no entry");
		return NULL;
	}
	if (!t->a.entry) return m->entries.at[0];
	for (size_t i = 0; i < m->entries.n; i++)
		if (strcmp(m->entries.at[i]->name, t->a.entry) == 0) return m->entries.at[i];
	tool_fail(t, "the model has no entry `%s`", t->a.entry);
	return NULL;
}
