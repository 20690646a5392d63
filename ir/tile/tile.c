/* Construction of tile programs, entries for kernels that stand alone, and the liveness of arena
 * buffers. Numbers (id of buffers, launch numbers) always follow the order of the lists. */
#include "ir/tile/tile.h"

#include <string.h>

TileProgram *tile_program_new(Arena *a, DimPool *dims, Interner *names, const char *name)
{
	TileProgram *p = NEW(a, TileProgram);
	p->arena = a;
	p->dims = dims;
	p->names = names;
	p->name = intern_str(names, name ? name : "");
	return p;
}

TileStmt *tile_stmt(TileProgram *p, TileBlock *in, TileOp op)
{
	TileStmt *s = NEW(p->arena, TileStmt);
	s->op = op;
	s->by = 1;
	if (in->last)
		in->last->next = s;
	else
		in->first = s;
	in->last = s;
	return s;
}

static TileObj *object_new(TileProgram *p, TileKind kind, const char *name, DType t, uint32_t rank,
                           const Dim *dims)
{
	TileObj *o = NEW(p->arena, TileObj);
	o->name = intern_str(p->names, name);
	o->kind = kind;
	o->dtype = t;
	o->rank = rank;
	for (uint32_t i = 0; i < rank; i++) o->dims[i] = dims[i];
	return o;
}

TileObj *tile_buf(TileProgram *p, TileKind kind, const char *name, DType t, uint32_t rank,
                  const Dim *dims)
{
	TileObj *o = object_new(p, kind, name, t, rank, dims);
	o->id = (uint32_t)p->bufs.n;
	vec_push(p->arena, &p->bufs, o);
	return o;
}

TileObj *tile_formal(TileProgram *p, TileKernel *k, TileKind kind, const char *name, DType t,
                     uint32_t rank, const Dim *dims)
{
	TileObj *o = object_new(p, kind, name, t, rank, dims);
	o->id = (uint32_t)k->bufs.n;
	vec_push(p->arena, &k->bufs, o);
	return o;
}

enum { CHECKS = UINT16_MAX };

uint32_t tile_check_number(const TileProgram *p, const char *text)
{
	for (uint32_t i = 0; text && i < p->checks.n && i < CHECKS; i++)
		if (p->checks.at[i] == text) return i + 1;
	return 0;
}

const char *tile_check(TileProgram *p, const char *text)
{
	text = intern_str(p->names, text);
	if (!tile_check_number(p, text) && p->checks.n < CHECKS) vec_push(p->arena, &p->checks, text);
	return text;
}

TileKernel *tile_kernel(TileProgram *p, const char *name)
{
	TileKernel *k = NEW(p->arena, TileKernel);
	k->name = intern_str(p->names, name);
	vec_push(p->arena, &p->kernels, k);
	return k;
}

TileEntry *tile_entry(TileProgram *p, const char *name)
{
	TileEntry *e = NEW(p->arena, TileEntry);
	e->name = intern_str(p->names, name);
	vec_push(p->arena, &p->entries, e);
	return e;
}

static void default_entry(TileProgram *p, TileKernel *k)
{
	TileEntry *e = tile_entry(p, k->name);
	TileStep *s = NEW(p->arena, TileStep);
	s->kind = STEP_LAUNCH;
	s->kernel = k;
	s->args = NEW_ARRAY(p->arena, TileArg, k->bufs.n);
	for (size_t i = 0; i < k->bufs.n; i++) {
		const TileObj *f = k->bufs.at[i];
		const char *name =
			p->kernels.n == 1 ? f->name : arena_printf(p->arena, "%s.%s", k->name, f->name);
		TileObj *b = tile_buf(p, f->kind, name, f->dtype, f->rank, f->dims);
		b->enc = f->enc;
		b->span = f->span;
		if (b->kind == TB_WEIGHT) b->key = b->name;
		if (b->kind == TB_IN) vec_push(p->arena, &e->ins, b);
		if (b->kind == TB_OUT) vec_push(p->arena, &e->outs, b);
		s->args[i].buf = b;
	}
	e->steps = s;
}

void tile_default_entries(TileProgram *p)
{
	if (p->entries.n || p->prepack) return;
	for (size_t i = 0; i < p->kernels.n; i++) default_entry(p, p->kernels.at[i]);
}

/* --- liveness --- */

static void number_steps(TileStep *s, uint32_t *next)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP) {
			number_steps(s->body, next);
			continue;
		}
		s->number = (*next)++;
		for (size_t i = 0; i < s->kernel->bufs.n; i++) {
			TileObj *b = s->args[i].buf;
			if (b->kind != TB_ARENA) continue;
			if (s->number < b->live_first) b->live_first = s->number;
			if (b->live_last == UINT32_MAX || s->number > b->live_last) b->live_last = s->number;
		}
	}
}

static uint32_t first_number(const TileStep *s)
{
	for (; s; s = s->next) {
		uint32_t n = s->kind == STEP_LAUNCH ? s->number : first_number(s->body);
		if (n != UINT32_MAX) return n;
	}
	return UINT32_MAX;
}

static uint32_t last_number(const TileStep *s)
{
	uint32_t last = UINT32_MAX;
	for (; s; s = s->next) {
		uint32_t n = s->kind == STEP_LAUNCH ? s->number : last_number(s->body);
		if (n != UINT32_MAX) last = n;
	}
	return last;
}

/* Buffers that live into or out of launches first..last, or whose first use there does not write
 * them (so that they carry a value from one iteration to the next), live through all of them. */
static void extend_over_loop(TileStep *s, uint32_t first, uint32_t last)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP) {
			extend_over_loop(s->body, first, last);
			continue;
		}
		for (size_t i = 0; i < s->kernel->bufs.n; i++) {
			TileObj *b = s->args[i].buf;
			if (b->kind != TB_ARENA) continue;
			bool carried = b->live_first == s->number && s->kernel->bufs.at[i]->kind != TB_OUT;
			if (b->live_first >= first && b->live_last <= last && !carried) continue;
			if (b->live_first > first) b->live_first = first;
			if (b->live_last < last) b->live_last = last;
		}
	}
}

static void extend_loops(TileStep *s)
{
	for (; s; s = s->next) {
		if (s->kind != STEP_LOOP) continue;
		extend_loops(s->body);
		uint32_t first = first_number(s->body), last = last_number(s->body);
		if (first != UINT32_MAX) extend_over_loop(s->body, first, last);
	}
}

static void entry_liveness(TileEntry *e)
{
	e->launches = 0;
	number_steps(e->steps, &e->launches);
	extend_loops(e->steps);
}

void tile_liveness(TileProgram *p)
{
	for (size_t i = 0; i < p->bufs.n; i++)
		p->bufs.at[i]->live_first = p->bufs.at[i]->live_last = UINT32_MAX;
	for (size_t i = 0; i < p->entries.n; i++) entry_liveness(p->entries.at[i]);
	if (p->prepack) entry_liveness(p->prepack);
	for (size_t i = 0; i < p->bufs.n; i++)
		if (p->bufs.at[i]->live_first == UINT32_MAX)
			p->bufs.at[i]->live_first = p->bufs.at[i]->live_last = 0;
}
