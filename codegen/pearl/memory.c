/* memory.c: the map of HBM. It is laid out by bounds, so that one program serves every length: constants
 * first, then what has a place of its own, then activations, which share. */
#include "codegen/pearl/internal.h"

enum { HBM_FIRST = 4096, HBM_ALIGN = 512 };
static const int64_t MOST_BYTES = INT64_C(1) << 52;

/* Whether the columns of a buffer lie in HBM by panels. */
bool pearl_in_panels(const TileObj *b)
{
	return b->enc.kind == ENC_PACK && b->rank >= 2 && b->enc.nb &&
	       dim_is_const(b->dims[b->rank - 1], NULL) && dim_is_const(b->dims[b->rank - 2], NULL);
}

static bool overlap(const TileObj *a, const TileObj *b)
{
	return !(a->live_last < b->live_first || b->live_last < a->live_first);
}

/* Which entries use which buffer: arena buffers of different entries may share. */
typedef struct Uses {
	const TileProgram *p;
	bool *of; /* by entry, the prepack entry last, and buffer */
} Uses;

static void note_uses(const TileStep *s, bool *of)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP) note_uses(s->body, of);
		for (uint32_t k = 0; s->kind == STEP_LAUNCH && k < s->kernel->bufs.n; k++)
			of[s->args[k].buf->id] = true;
	}
}

static Uses uses_of(Compiler *c)
{
	const TileProgram *p = c->p;
	size_t n = p->bufs.n;
	Uses u = {p, NEW_ARRAY(c->arena, bool, (p->entries.n + 1) * n + 1)};
	for (uint32_t i = 0; i <= p->entries.n; i++) {
		const TileEntry *e = i < p->entries.n ? p->entries.at[i] : p->prepack;
		if (e) note_uses(e->steps, u.of + i * n);
	}
	return u;
}

static bool may_share(const Uses *u, const TileObj *a, const TileObj *b)
{
	size_t n = u->p->bufs.n;
	if (a->kind != TB_ARENA || b->kind != TB_ARENA) return false;
	if (!overlap(a, b)) return true;
	for (uint32_t i = 0; i <= u->p->entries.n; i++)
		if (u->of[i * n + a->id] && u->of[i * n + b->id]) return false;
	return true;
}

/* Size and strides of a buffer, every dim at its upper bound. */
static bool size_buffer(Compiler *c, uint32_t b)
{
	TileObj *o = c->p->bufs.at[b];
	Store *s = NEW(c->arena, Store);
	o->id = b;
	c->buf[b] = s;
	c->at = o->span;
	*s = (Store){.name = o->name,
	             .buffer = b,
	             .space = SPACE_HBM,
	             .dtype = pearl_buffer_dtype(o),
	             .rank = o->rank,
	             .ring = 1};
	if (s->dtype != o->dtype)
		diag_remark(c->d, o->span, "Pearl holds `%s` as %s, expanded from %s", o->name,
		            dtype_name(s->dtype), dtype_name(o->dtype));
	int64_t run = dtype_bytes(s->dtype, 1);
	for (uint32_t i = o->rank; i-- > 0;) {
		s->cap[i] = greatest(c, o->dims[i]);
		s->stride[i] = run;
		if (s->cap[i] < 1) s->cap[i] = 1;
		if (__builtin_mul_overflow(run, s->cap[i], &run) || run > MOST_BYTES)
			return pearl_fail(c, o->span, "`%s` does not fit the memory of any number of chips",
			                  o->name);
	}
	if (pearl_in_panels(o)) {
		/* columns by panels, so that a tile of them lies together */
		uint32_t k = o->rank - 2;
		int64_t nb = o->enc.nb, panels = (s->cap[k + 1] + nb - 1) / nb;
		s->panel = nb;
		s->stride[k] = nb * s->stride[k + 1];
		s->panel_step = s->cap[k] * s->stride[k + 1];
		bool over = __builtin_mul_overflow(panels * s->cap[k], s->stride[k], &run);
		for (uint32_t i = k; i-- > 0;) {
			s->stride[i] = run;
			over = over || __builtin_mul_overflow(run, s->cap[i], &run);
		}
		if (over || run > MOST_BYTES)
			return pearl_fail(c, o->span, "`%s` does not fit the memory of any number of chips",
			                  o->name);
	}
	s->bytes = round_up(run, HBM_ALIGN);
	return true;
}

/* Buffers of the arena: first fit among those that live at the same time, of the `n` placed so far. */
static int64_t first_fit(const Compiler *c, const Uses *uses, const uint32_t *placed, uint32_t n,
                         uint32_t b)
{
	const Store *s = c->buf[b];
	int64_t at = HBM_FIRST;
	for (bool moved = true; moved;) {
		moved = false;
		for (uint32_t k = 0; k < n; k++) {
			const Store *t = c->buf[placed[k]];
			if (t->base + t->bytes <= at || t->base >= at + s->bytes ||
			    may_share(uses, c->p->bufs.at[b], c->p->bufs.at[placed[k]]))
				continue;
			at = t->base + t->bytes;
			moved = true;
		}
	}
	return at;
}

/* --- a program that is too large --------------------------------------------------------------------- */

static const char *bytes_text(Arena *a, int64_t n)
{
	if (n < 1000000) return arena_printf(a, "%.1f kB", (double)n / 1e3);
	if (n < 1000000000) return arena_printf(a, "%.1f MB", (double)n / 1e6);
	return arena_printf(a, "%.1f GB", (double)n / 1e9);
}

typedef struct Bounds {
	Text text;
	VEC(const DimSym *) seen;
} Bounds;

static void note_bound(void *ctx, DimSym *s)
{
	Bounds *b = ctx;
	int64_t lo, hi;
	for (size_t i = 0; i < b->seen.n; i++)
		if (b->seen.at[i] == s) return;
	vec_push(b->text.arena, &b->seen, s);
	dim_range(NULL, s->hi, &lo, &hi);
	text_printf(&b->text, "%s%s up to %lld", b->text.n ? ", " : "", s->name, (long long)hi);
}

/* The largest buffers that the model names, each with its share and the bounds it is laid out by. */
static void note_largest(Compiler *c, Diag *m)
{
	enum { SHOWN = 3 };
	const TileProgram *p = c->p;
	bool *told = NEW_ARRAY(c->arena, bool, p->bufs.n + 1);
	for (int n = 0; n < SHOWN; n++) {
		uint32_t best = UINT32_MAX;
		for (uint32_t b = 0; b < p->bufs.n; b++) {
			const TileObj *o = p->bufs.at[b];
			bool named = o->kind != TB_ARENA && (o->kind != TB_WEIGHT || o->key);
			if (named && !told[b] && (best == UINT32_MAX || c->buf[b]->bytes > c->buf[best]->bytes))
				best = b;
		}
		if (best == UINT32_MAX) return;
		told[best] = true;
		const TileObj *o = p->bufs.at[best];
		if (c->buf[best]->bytes < c->m->hbm_bytes / 100) return;
		Bounds bounds = {.text = text_new(c->arena)};
		for (uint32_t i = 0; i < o->rank; i++) dim_visit_syms(o->dims[i], note_bound, &bounds);
		diag_note(c->d, m, o->span, "`%s` takes %s%s%s", o->name,
		          bytes_text(c->arena, c->buf[best]->bytes), bounds.text.n ? ", with " : "",
		          bounds.text.n ? bounds.text.at : "");
	}
}

/* What the whole program needs, of what, and on how many chips it would lie by its bytes. */
static void too_large(Compiler *c, int64_t need)
{
	int64_t weights = 0, made = 0, states = 0, host = 0, have = c->m->hbm_bytes;
	const TileProgram *p = c->p;
	for (uint32_t b = 0; b < p->bufs.n; b++) {
		const TileObj *o = p->bufs.at[b];
		int64_t *sum = o->kind == TB_STATE                     ? &states
		               : o->kind == TB_IN || o->kind == TB_OUT ? &host
		               : o->kind == TB_WEIGHT && o->key        ? &weights
		                                                       : &made;
		if (o->kind != TB_ARENA) *sum += c->buf[b]->bytes;
	}
	int64_t arena = need - weights - made - states - host;
	Arena *a = c->arena;
	Diag *m = diag_error(
		c->d, span_none(),
		"the program needs %s of memory, a chip of `%s` has %s: by its bytes it would take %lld chips",
		bytes_text(a, need), c->m->name, bytes_text(a, have),
		(long long)((need + have - 1) / have));
	c->failed = true;
	diag_note(c->d, m, span_none(),
	          "weights %s, packed beside them %s, states %s, inputs and outputs %s, activations %s",
	          bytes_text(a, weights), bytes_text(a, made), bytes_text(a, states),
	          bytes_text(a, host), bytes_text(a, arena > 0 ? arena : 0));
	note_largest(c, m);
	diag_help(
		c->d, m,
		"memory is laid out by upper bounds: make a model smaller by --set, narrow the ranges of its dims, or hold weights and states in a smaller type");
}

/* --- the map ------------------------------------------------------------------------------------------- */

/* Literals come first, then weights and what is made from them: a program file carries the beginning
 * of memory, and is hardly larger than what it carries. */
static uint32_t turn_of(const TileObj *o)
{
	return o->kind != TB_WEIGHT ? 2 : o->literal ? 0 : 1;
}

void pearl_map_hbm(Compiler *c)
{
	TileProgram *p = c->p;
	int64_t end = HBM_FIRST;
	c->buf = NEW_ARRAY(c->arena, Store *, p->bufs.n + 1);
	uint32_t *placed = NEW_ARRAY(c->arena, uint32_t, p->bufs.n + 1), n = 0;
	for (uint32_t b = 0; b < p->bufs.n; b++)
		if (!size_buffer(c, b)) return;
	Uses uses = uses_of(c);
	for (uint32_t turn = 0; turn < 3; turn++)
		for (uint32_t b = 0; b < p->bufs.n; b++) {
			const TileObj *o = p->bufs.at[b];
			Store *s = c->buf[b];
			if (turn_of(o) != turn) continue;
			s->base = o->kind == TB_ARENA ? first_fit(c, &uses, placed, n, b) : end;
			placed[n++] = b;
			if (s->base + s->bytes > end) end = s->base + s->bytes;
			if (end <= MOST_BYTES) continue;
			pearl_fail(c, o->span, "`%s` does not fit the memory of any number of chips", o->name);
			return;
		}
	if (end > c->m->hbm_bytes) {
		too_large(c, end);
		return;
	}
	for (uint32_t b = 0; b < p->bufs.n; b++) {
		const TileObj *o = p->bufs.at[b];
		Store *s = c->buf[b];
		bool constant = o->kind == TB_WEIGHT || o->kind == TB_IN;
		s->region = pearl_add_region(c->q, &(PearlRegion){o->name, SPACE_HBM, true, !constant,
		                                                  s->base, s->bytes, (int32_t)b});
	}
	if (p->prepack)
		for (uint32_t b = 0; b < p->bufs.n; b++)
			if (p->bufs.at[b]->kind == TB_WEIGHT)
				c->q->regions.at[c->buf[b]->region].writable = true;
}
