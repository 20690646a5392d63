/* Less memory for weights, once the whole program is known. A table of which only rows are gathered
 * and that is also packed for a product (an embedding tied to the output) is read from its panels, so
 * that its plain form goes once it is packed. What constants are computed through lies in the arena of
 * the prepack entry. And large weights are packed first, while little else is in memory. */
#include "codegen/tile/build.h"

#include <string.h>

typedef bool AccessTest(void *ctx, TileAccess *a);

/* Every access of the block passes the test. */
static bool block_all(TileBlock *b, AccessTest *test, void *ctx)
{
	for (TileStmt *s = b->first; s; s = s->next) {
		TileAccess *list[] = {s->in, s->out};
		uint32_t n[] = {s->n_in, s->n_out};
		if (s->op == TILE_INDEX) n[0] = 1;
		for (uint32_t i = 0; i < 2; i++)
			for (uint32_t k = 0; k < n[i]; k++) {
				TileAccess *a = &list[i][k];
				if (!test(ctx, a) || (a->rows && !test(ctx, (TileAccess *)(uintptr_t)a->rows)))
					return false;
			}
		if (!block_all(&s->body, test, ctx) || !block_all(&s->orelse, test, ctx)) return false;
	}
	return true;
}

typedef void LaunchVisit(void *ctx, TileStep *s);

static void steps_visit(TileStep *s, LaunchVisit *visit, void *ctx)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP)
			steps_visit(s->body, visit, ctx);
		else
			visit(ctx, s);
	}
}

static void entries_visit(TileProgram *p, LaunchVisit *visit, void *ctx)
{
	for (size_t i = 0; i < p->entries.n; i++) steps_visit(p->entries.at[i]->steps, visit, ctx);
}

/* --- rows from panels --- */

typedef struct Tied {
	TileProgram *p;
	TileObj *table, *panels; /* [V, D], and [D, V] in panels */
	const TileObj *formal;   /* of the kernel looked at */
	bool ok, used;
} Tied;

static bool gathers_rows(void *ctx, TileAccess *a)
{
	const Tied *t = ctx;
	return a->obj != t->formal || (a->rows && a->rows_dim == 0);
}

/* May this launch take its rows from the panels? A kernel launched on several tables may not. */
static void tied_test(void *ctx, TileStep *s)
{
	Tied *t = ctx;
	for (size_t i = 0; i < s->kernel->bufs.n; i++) {
		const TileObj *f = s->kernel->bufs.at[i];
		if (s->args[i].buf != t->table) continue;
		t->used = true;
		t->formal = f;
		t->ok = t->ok && !s->kernel->hand && f->kind == TB_WEIGHT && f->rank == 2 &&
		        !s->args[i].n_lead && f->dims[0] == t->table->dims[0] &&
		        f->dims[1] == t->table->dims[1] && block_all(&s->kernel->body, gathers_rows, t);
	}
}

static bool same_kernel(const TileStep *s, const TileKernel *k, size_t arg, const TileObj *table)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP && !same_kernel(s->body, k, arg, table)) return false;
		if (s->kind == STEP_LAUNCH && s->kernel == k && s->args[arg].buf != table) return false;
	}
	return true;
}

static void tied_alone(void *ctx, TileStep *s)
{
	Tied *t = ctx;
	for (size_t i = 0; i < s->kernel->bufs.n; i++) {
		if (s->args[i].buf != t->table) continue;
		for (size_t e = 0; e < t->p->entries.n; e++)
			t->ok = t->ok && same_kernel(t->p->entries.at[e]->steps, s->kernel, i, t->table);
	}
}

static bool turn_access(void *ctx, TileAccess *a)
{
	const Tied *t = ctx;
	if (a->obj != t->formal) return true;
	a->index[0] = a->index[1];
	a->index[1] = NULL;
	a->rows_dim = 1;
	return true;
}

static void tied_turn(void *ctx, TileStep *s)
{
	Tied *t = ctx;
	for (size_t i = 0; i < s->kernel->bufs.n; i++) {
		TileObj *f = s->kernel->bufs.at[i];
		if (s->args[i].buf != t->table) continue;
		s->args[i].buf = t->panels;
		if (f->enc.kind == ENC_PACK) continue; /* launched before */
		t->formal = f;
		block_all(&s->kernel->body, turn_access, t);
		f->dims[0] = t->panels->dims[0];
		f->dims[1] = t->panels->dims[1];
		f->enc = t->panels->enc;
	}
}

void rows_from_panels(TileProgram *p, TileObj *table, TileObj *panels)
{
	Tied t = {.p = p, .table = table, .panels = panels, .ok = true};
	if (table->rank != 2 || panels->rank != 2 || panels->enc.kind != ENC_PACK) return;
	entries_visit(p, tied_test, &t);
	if (t.ok && t.used) entries_visit(p, tied_alone, &t);
	if (t.ok && t.used) entries_visit(p, tied_turn, &t);
}

/* --- temporaries of the prepack entry --- */

static void mark_used(void *ctx, TileStep *s)
{
	bool *used = ctx;
	for (size_t i = 0; i < s->kernel->bufs.n; i++) used[s->args[i].buf->id] = true;
}

static void read_as_input(void *ctx, TileStep *s)
{
	(void)ctx;
	for (size_t i = 0; i < s->kernel->bufs.n; i++) {
		TileObj *f = s->kernel->bufs.at[i];
		if (s->args[i].buf->kind == TB_ARENA && f->kind == TB_WEIGHT) f->kind = TB_IN;
	}
}

void prepack_temporaries(TileProgram *p)
{
	if (!p->prepack) return;
	bool *used = NEW_ARRAY(p->arena, bool, p->bufs.n + 1);
	entries_visit(p, mark_used, used);
	for (size_t i = 0; i < p->bufs.n; i++) {
		TileObj *o = p->bufs.at[i];
		/* nobody clears an arena, so what has padding stays where memory is zeroed */
		bool plain = o->enc.kind == ENC_PLAIN;
		if (o->kind == TB_WEIGHT && !o->key && !o->literal && !used[o->id] && plain)
			o->kind = TB_ARENA;
	}
	steps_visit(p->prepack->steps, read_as_input, NULL);
}

/* --- the order of packing --- */

/* Bytes of what a launch that depends on no other makes from weights; 0 for others. */
static int64_t packed_bytes(const TileStep *s)
{
	int64_t most = 0;
	for (; s->kind == STEP_LOOP; s = s->body)
		if (!s->body || s->body->next) return 0;
	for (size_t i = 0; i < s->kernel->bufs.n; i++) {
		const TileObj *f = s->kernel->bufs.at[i], *o = s->args[i].buf;
		int64_t n = 1, dim;
		if (f->kind != TB_OUT && !o->key && !o->literal) return 0;
		for (uint32_t d = 0; d < f->rank; d++)
			if (!dim_is_const(f->dims[d], &dim) || __builtin_mul_overflow(n, dim, &n)) return 0;
		n = dtype_bytes(f->dtype, n);
		if (f->kind == TB_OUT && n > most) most = n;
	}
	return most;
}

/* Those of large slices come first, the largest at the head; the others stay in order. */
void prepack_order(TileProgram *p)
{
	enum { LARGE = 16 << 20 };
	TileStep *large = NULL;
	if (!p->prepack) return;
	for (TileStep **at = &p->prepack->steps; *at;) {
		TileStep *s = *at, **to = &large;
		int64_t bytes = packed_bytes(s);
		if (bytes < LARGE) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		while (*to && packed_bytes(*to) >= bytes) to = &(*to)->next;
		s->next = *to;
		*to = s;
	}
	TileStep **end = &large;
	while (*end) end = &(*end)->next;
	*end = p->prepack->steps;
	p->prepack->steps = large;
}
