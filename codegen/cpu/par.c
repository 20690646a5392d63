/* Sharing tasks out. A nest of `par` is one space of tasks, split evenly and contiguously over the
 * threads: each takes whole iterations of the outer levels where it can. Where these do not come out
 * even (a last block of few rows), or tasks differ in work (a causal mask), the innermost level is
 * shared out instead: contiguously, or one task of every so many. What lies between nested pars is done
 * again by each thread for the outer iterations that it touches. */
#include "codegen/cpu/emit.h"

enum { PAR_DEPTH = 6, EVEN_ENOUGH = 8 };
typedef struct ParNest {
	const TileStmt *par[PAR_DEPTH];
	Value trips[PAR_DEPTH];
	uint32_t n;
	Value inside;         /* i1: the innermost level is shared out; NULL: never */
	Value from, to, step; /* then: its iterations */
} ParNest;

static bool mentions_bound(Dim d, const ParNest *n)
{
	for (uint32_t i = 0; i < n->n; i++)
		if (dim_mentions(d, n->par[i]->var) || (n->par[i]->len && dim_mentions(d, n->par[i]->len)))
			return true;
	return false;
}

/* The one par directly in the body whose bounds the outer ones do not move, if all else there can be repeated. */
static const TileStmt *inner_par(const ParNest *n)
{
	const TileStmt *found = NULL;
	for (const TileStmt *s = n->par[n->n - 1]->body.first; s; s = s->next) {
		if (s->op == TILE_PAR && !found)
			found = s;
		else if (stmt_writes_buffers(s) || s->op == TILE_INDEX)
			return NULL;
	}
	if (!found || mentions_bound(found->lo, n) || mentions_bound(found->hi, n)) return NULL;
	return found;
}

static Value trip_count(Gen *g, const TileStmt *s)
{
	Value extent =
		imax(g, index_value(g, dim_sub(g->program->dims, s->hi, s->lo)), const_i64(g, 0));
	return LLVMBuildUDiv(g->build, iadd(g, extent, const_i64(g, s->by - 1)), const_i64(g, s->by),
	                     "");
}

/* --- who does what ----------------------------------------------------------------------------- */

/* Nothing but places and the inner par: nothing would be done twice. */
static bool is_perfect(const ParNest *n)
{
	for (uint32_t i = 0; i + 1 < n->n; i++)
		for (const TileStmt *s = n->par[i]->body.first; s; s = s->next)
			if (s != n->par[i + 1] && s->op != TILE_PLACE) return false;
	return true;
}

/* Loops in the body that run as far as the task says. */
static bool work_differs(const TileBlock *b, const ParNest *n)
{
	for (const TileStmt *s = b->first; s; s = s->next) {
		bool loop = s->op == TILE_FOR || s->op == TILE_SPLIT || s->op == TILE_PAR;
		if (loop && (mentions_bound(s->hi, n) || mentions_bound(s->lo, n)) && s->op == TILE_FOR)
			return true;
		if (work_differs(&s->body, n) || work_differs(&s->orelse, n)) return true;
	}
	return false;
}

static Value is_multiple(Gen *g, Value v, Value of)
{
	return LLVMBuildICmp(g->build, LLVMIntEQ, LLVMBuildURem(g->build, v, of, ""), const_i64(g, 0),
	                     "");
}

/* All threads get the same number of whole outer iterations, and none of these is shorter. */
static Value outer_is_even(Gen *g, const ParNest *n)
{
	Value outer = const_i64(g, 1), even = const_bool(g, true, 1);
	for (uint32_t i = 0; i + 1 < n->n; i++) {
		const TileStmt *s = n->par[i];
		Dim extent = dim_sub(g->program->dims, s->hi, s->lo);
		outer = imul(g, outer, n->trips[i]);
		if (s->by == 1 || index_multiple(g, extent, s->by)) continue;
		even = LLVMBuildAnd(g->build, even,
		                    is_multiple(g, index_value(g, extent), const_i64(g, s->by)), "");
	}
	return LLVMBuildAnd(g->build, even, is_multiple(g, outer, g->threads), "");
}

static void share_out(Gen *g, ParNest *n)
{
	const TileStmt *last = n->par[n->n - 1];
	Value trips = n->trips[n->n - 1], one = const_i64(g, 1);
	if (!is_perfect(n)) return;
	n->inside = LLVMBuildNot(g->build, outer_is_even(g, n), "");
	if (work_differs(&last->body, n)) {
		n->from = g->thread;
		n->to = trips;
		n->step = g->threads;
		return;
	}
	if (n->n == 1) {
		n->inside = NULL; /* the same either way */
		return;
	}
	Value many = LLVMBuildICmp(g->build, LLVMIntUGE, trips,
	                           imul(g, g->threads, const_i64(g, EVEN_ENOUGH)), "");
	many = LLVMBuildOr(g->build, many, is_multiple(g, trips, g->threads), "");
	n->inside = LLVMBuildAnd(g->build, n->inside, many, "");
	n->from = LLVMBuildUDiv(g->build, imul(g, trips, g->thread), g->threads, "");
	n->to = LLVMBuildUDiv(g->build, imul(g, trips, iadd(g, g->thread, one)), g->threads, "");
	n->step = one;
}

/* --- loops --------------------------------------------------------------------------------------- */

/* Tasks first..end of the levels from `level` inwards, or all iterations of the outer levels where
 * the innermost is shared out. */
static void par_level(Gen *g, const ParNest *nest, uint32_t level, Value first, Value end)
{
	const TileStmt *s = nest->par[level];
	Value inner = const_i64(g, 1), one = const_i64(g, 1);
	for (uint32_t i = level + 1; i < nest->n; i++) inner = imul(g, inner, nest->trips[i]);
	bool last = level + 1 == nest->n;
	Value from = first, to = end, step = one;
	if (!last) {
		Value safe = imax(g, inner, one); /* no tasks: first == end == 0 */
		from = LLVMBuildUDiv(g->build, first, safe, "");
		to = LLVMBuildUDiv(g->build, iadd(g, end, isub(g, safe, one)), safe, "");
	}
	if (nest->inside) {
		from = choose(g, nest->inside, last ? nest->from : const_i64(g, 0), from);
		to = choose(g, nest->inside, last ? nest->to : nest->trips[level], to);
		if (last) step = choose(g, nest->inside, nest->step, one);
	}
	Value lo = index_value(g, s->lo), hi = index_value(g, s->hi);
	Loop l;
	loop_begin(g, &l, from, to, step);
	bind_iteration(g, s, iadd(g, lo, imul(g, l.iv, const_i64(g, s->by))), hi);
	if (last)
		lower_block(g, &s->body);
	else {
		uint64_t used = g->scratch_used;
		const TileBlock *outer = g->block;
		g->block = &s->body;
		for (const TileStmt *b = s->body.first; b;) {
			if (b != nest->par[level + 1]) {
				b = lower_stmt(g, b);
				continue;
			}
			Value base = imul(g, l.iv, inner);
			par_level(g, nest, level + 1, imax(g, isub(g, first, base), const_i64(g, 0)),
			          imin(g, isub(g, end, base), inner));
			b = b->next;
		}
		g->block = outer;
		g->scratch_used = used;
	}
	loop_end(g, &l);
}

void lower_par(Gen *g, const TileStmt *s)
{
	ParNest nest = {.n = 0};
	for (const TileStmt *p = s; p && nest.n < PAR_DEPTH; p = inner_par(&nest)) {
		nest.par[nest.n] = p;
		nest.trips[nest.n++] = trip_count(g, p);
	}
	Value total = const_i64(g, 1), one = const_i64(g, 1);
	for (uint32_t i = 0; i < nest.n; i++) total = imul(g, total, nest.trips[i]);
	Value first = LLVMBuildUDiv(g->build, imul(g, total, g->thread), g->threads, "");
	Value end = LLVMBuildUDiv(g->build, imul(g, total, iadd(g, g->thread, one)), g->threads, "");
	share_out(g, &nest);
	par_level(g, &nest, 0, first, end);
}
