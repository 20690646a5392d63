/* single.c: a kernel whose loops are nested deeper than the machine can loses those that run exactly
 * once, whatever the parameters: over the rows of a block of one row, over what is left of a tile that
 * one piece holds. Their bodies take their place. A par loop stays, as it says what one core may do
 * alone. */
#include "codegen/pearl/internal.h"

typedef struct Single {
	Compiler *c;
	const TileStmt *loop;
} Single;

static Dim once(void *ctx, DimSym *s)
{
	const Single *x = ctx;
	if (s == x->loop->var) return x->loop->lo;
	if (s == x->loop->len) return dim_sub(x->c->p->dims, x->loop->hi, x->loop->lo);
	return NULL;
}

static Dim replaced(Single *x, Dim d)
{
	return d ? dim_substitute(x->c->p->dims, d, once, x) : NULL;
}

static void replace_access(Single *x, TileAccess *a)
{
	for (uint32_t i = 0; i < a->obj->rank; i++) a->index[i] = replaced(x, a->index[i]);
	if (!a->rows) return;
	TileAccess *rows = NEW(x->c->p->arena, TileAccess);
	*rows = *a->rows;
	replace_access(x, rows);
	a->rows = rows;
}

static void replace_block(Single *x, TileBlock *b)
{
	for (TileStmt *s = b->first; s; s = s->next) {
		s->lo = replaced(x, s->lo);
		s->hi = replaced(x, s->hi);
		if (s->var) {
			s->var->lo = replaced(x, s->var->lo);
			s->var->hi = replaced(x, s->var->hi);
		}
		if (s->len) {
			s->len->lo = replaced(x, s->len->lo);
			s->len->hi = replaced(x, s->len->hi);
		}
		for (uint32_t i = 0; i < s->n_cond; i++) {
			s->cond[i].a = replaced(x, s->cond[i].a);
			s->cond[i].b = replaced(x, s->cond[i].b);
		}
		for (uint32_t i = 0; i < s->n_space; i++) {
			s->space[i].extent = replaced(x, s->space[i].extent);
			s->space[i].sym->hi = replaced(x, s->space[i].sym->hi);
		}
		for (uint32_t i = 0; i < s->n_in; i++) replace_access(x, &s->in[i]);
		for (uint32_t i = 0; i < s->n_out; i++) replace_access(x, &s->out[i]);
		for (uint32_t i = 0; i < s->region.n; i++)
			s->region.node[i].dim = replaced(x, s->region.node[i].dim);
		replace_block(x, &s->body);
		replace_block(x, &s->orelse);
	}
}

static bool runs_once(Compiler *c, const TileStmt *s)
{
	/* what holds for all entries: the kernel may be launched by others too */
	DimFacts facts = c->facts;
	facts.nonneg.n = c->p->require.n;
	int64_t lo, hi, by = s->by > 0 ? s->by : 1;
	if (s->op != TILE_FOR && s->op != TILE_SPLIT) return false;
	dim_range(&facts, dim_sub(c->p->dims, s->hi, s->lo), &lo, &hi);
	return lo >= 1 && hi <= by;
}

bool pearl_too_deep(const StepList *l)
{
	for (const Step *n = l->first; n; n = n->next) {
		if (n->kind == FORM_LOOP && n->loop->depth >= PEARL_LEVELS) return true;
		if (pearl_too_deep(&n->body) || pearl_too_deep(&n->orelse)) return true;
	}
	return false;
}

static bool drop(Compiler *c, TileBlock *b)
{
	bool any = false;
	TileStmt **at = &b->first;
	b->last = NULL;
	while (*at) {
		TileStmt *s = *at;
		if (s->body.first && runs_once(c, s)) {
			Single x = {c, s};
			replace_block(&x, &s->body);
			s->body.last->next = s->next;
			*at = s->body.first; /* which is looked at in turn */
			any = true;
			continue;
		}
		any |= drop(c, &s->body);
		any |= drop(c, &s->orelse);
		b->last = s;
		at = &s->next;
	}
	return any;
}

bool pearl_drop_single(Compiler *c)
{
	return drop(c, &c->kernel->body);
}
