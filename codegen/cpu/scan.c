/* What statements touch: one walk over accesses, and the questions asked of it. */
#include "codegen/cpu/emit.h"

static void access_visit(const TileStmt *s, const TileAccess *a, bool write, AccessVisit *visit,
                         void *ctx)
{
	visit(ctx, s, a, write);
	if (a->rows) access_visit(s, a->rows, false, visit, ctx);
}

void stmt_visit(const TileStmt *s, AccessVisit *visit, void *ctx)
{
	for (uint32_t i = 0; i < s->n_in; i++) access_visit(s, &s->in[i], false, visit, ctx);
	for (uint32_t i = 0; i < s->n_out; i++) {
		access_visit(s, &s->out[i], true, visit, ctx);
		if (s->accumulate || (s->op == TILE_SOFTMAX_STEP && i >= 2))
			visit(ctx, s, &s->out[i], false);
	}
	block_visit(&s->body, visit, ctx);
	block_visit(&s->orelse, visit, ctx);
}

void block_visit(const TileBlock *b, AccessVisit *visit, void *ctx)
{
	for (const TileStmt *s = b->first; s; s = s->next) stmt_visit(s, visit, ctx);
}

typedef struct Touch {
	const TileObj *obj;
	bool write, found;
} Touch;
static void touch(void *ctx, const TileStmt *s, const TileAccess *a, bool write)
{
	(void)s;
	Touch *t = ctx;
	if (a->obj == t->obj && write == t->write) t->found = true;
}

bool stmt_touches(const TileStmt *s, const TileObj *o, bool write)
{
	Touch t = {o, write, false};
	stmt_visit(s, touch, &t);
	return t.found;
}

bool block_touches(const TileBlock *b, const TileObj *o, bool write)
{
	Touch t = {o, write, false};
	block_visit(b, touch, &t);
	return t.found;
}

static void buffer_write(void *ctx, const TileStmt *s, const TileAccess *a, bool write)
{
	(void)s;
	if (write && a->obj->kind != TB_PLACE) *(bool *)ctx = true;
}

bool stmt_writes_buffers(const TileStmt *s)
{
	bool found = false;
	stmt_visit(s, buffer_write, &found);
	return found;
}

static bool block_has(const TileBlock *b, TileOp op, const TileObj *place)
{
	for (const TileStmt *s = b->first; s; s = s->next) {
		if (s->op == op && (!place || s->place == place)) return true;
		if (block_has(&s->body, op, place) || block_has(&s->orelse, op, place)) return true;
	}
	return false;
}

bool stmt_has_par(const TileStmt *s)
{
	return s->op == TILE_PAR || block_has(&s->body, TILE_PAR, NULL) ||
	       block_has(&s->orelse, TILE_PAR, NULL);
}

typedef struct Outer {
	const TileStmt *root;
	bool found;
} Outer;
static void outer_write(void *ctx, const TileStmt *s, const TileAccess *a, bool write)
{
	(void)s;
	Outer *o = ctx;
	if (!write || a->obj->kind != TB_PLACE) return;
	if (!block_has(&o->root->body, TILE_PLACE, a->obj) &&
	    !block_has(&o->root->orelse, TILE_PLACE, a->obj))
		o->found = true;
}

bool stmt_writes_outer_places(const TileStmt *s)
{
	Outer o = {s, false};
	stmt_visit(s, outer_write, &o);
	return o.found;
}
