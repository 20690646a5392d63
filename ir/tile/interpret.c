/* The interpreter of tile programs: memory, launches and control flow. It is what the backends are
 * held against, so it checks everything that a program may get wrong: accesses outside of objects,
 * elements read before they were written, outputs left unwritten, relations that do not hold. All
 * its memory is its own and goes when the run ends; program buffers are decoded at their first use
 * and encoded again when the entry is done. */
#include "ir/tile/tile_internal.h"

#include <string.h>

static const int64_t MOST_ELEMENTS = (int64_t)1 << 30;

bool run_fail(Interpreter *t, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(t->d->arena, fmt, ap);
	va_end(ap);
	Diag *e = diag_error(t->d, at, "%s", text);
	if (t->kernel) diag_note(t->d, e, t->kernel->span, "in kernel `%s`", t->kernel->name);
	return false;
}

bool run_steps(Interpreter *t, Span at, int64_t n)
{
	if (!t->limited) return true;
	if (n < 0 || (uint64_t)n >= t->run->steps_left)
		return run_fail(t, at, "the limit of steps is reached");
	t->run->steps_left -= (uint64_t)n;
	return true;
}

/* --- symbols --- */

bool run_value(void *ctx, const DimSym *s, int64_t *out)
{
	const Interpreter *t = ctx;
	*out = t->value[s->id];
	return t->bound[s->id];
}

void run_bind(Interpreter *t, const DimSym *s, int64_t v)
{
	t->value[s->id] = v;
	t->bound[s->id] = true;
}

bool run_eval(Interpreter *t, Span at, Dim d, int64_t *out)
{
	if (dim_is_const(d, out) || dim_eval(d, run_value, t, out)) return true;
	return run_fail(t, at, "`%s` has no value here", dim_text(t->d->arena, d));
}

/* --- memory --- */

bool run_memory(Interpreter *t, Span at, TileMemory *m, bool defined)
{
	m->n = 1;
	for (uint32_t i = 0; i < m->obj->rank; i++)
		if (m->dims[i] < 0 || __builtin_mul_overflow(m->n, m->dims[i], &m->n))
			return run_fail(t, at, "`%s` has no valid size", m->obj->name);
	if (m->n > MOST_ELEMENTS - t->elements)
		return run_fail(t, at, "`%s` is too large for the interpreter", m->obj->name);
	t->elements += m->n;
	TileKind kind = m->obj->kind;
	m->dtype = m->obj->dtype;
	m->round =
		!(t->run->exact && dtype_is_float(m->dtype) && (kind == TB_PLACE || kind == TB_ARENA));
	m->at = NEW_ARRAY(t->arena, double, m->n + 1);
	m->now = 1;
	if (!defined) m->stamp = NEW_ARRAY(t->arena, uint32_t, m->n + 1);
	return true;
}

/* A packed constant is made by the prepack entry, and given to the others. */
static bool starts_undefined(const Interpreter *t, const TileObj *o)
{
	if (o->kind == TB_OUT || o->kind == TB_ARENA) return true;
	return o->kind == TB_WEIGHT && t->entry == t->p->prepack && !o->key && !o->literal;
}

static TileMemory *buffer_memory(Interpreter *t, Span at, TileObj *o)
{
	if (o->id >= t->p->bufs.n || t->p->bufs.at[o->id] != o) {
		run_fail(t, at, "`%s` is not a buffer of the program", o->name);
		return NULL;
	}
	if (t->buffer[o->id]) return t->buffer[o->id];
	TileMemory *m = NEW(t->arena, TileMemory);
	m->obj = o;
	for (uint32_t i = 0; i < o->rank; i++)
		if (!run_eval(t, o->span, o->dims[i], &m->dims[i])) return NULL;
	bool undefined = starts_undefined(t, o);
	if (!run_memory(t, at, m, !undefined)) return NULL;
	const void *from = t->run->data[o->id];
	Encoding plain = {.kind = ENC_PLAIN};
	bool literal = !from && o->literal;
	if (literal) from = o->literal;
	if (!from && o->kind != TB_ARENA) {
		run_fail(t, at, "no data was given for `%s`", o->name);
		return NULL;
	}
	if (!undefined)
		encoding_unpack(literal ? &plain : &o->enc, o->dtype, o->rank, m->dims, from, m->at);
	t->buffer[o->id] = m;
	return m;
}

static void element_position(const TileMemory *m, int64_t n, int64_t *at)
{
	for (uint32_t d = m->obj->rank; d-- > 0;) {
		at[d] = n % m->dims[d];
		n /= m->dims[d];
	}
}

static bool is_result(const TileEntry *e, const TileObj *o)
{
	for (size_t i = 0; i < e->outs.n; i++)
		if (e->outs.at[i] == o) return true;
	return false;
}

/* Encodes what the entry wrote back into the caller's memory. */
static bool write_back(Interpreter *t, TileMemory *m)
{
	const TileObj *o = m->obj;
	void *to = t->run->data[o->id];
	int64_t missing = -1, position[TILE_RANK];
	if (o->kind == TB_ARENA) return true;
	for (int64_t i = 0; m->stamp && i < m->n && missing < 0; i++)
		if (m->stamp[i] != m->now) missing = i;
	if (missing < 0) {
		if (m->written) encoding_pack(&o->enc, o->dtype, o->rank, m->dims, m->at, to);
		return true;
	}
	Text where = text_new(t->d->arena);
	element_position(m, missing, position);
	for (uint32_t d = 0; d < o->rank; d++)
		text_printf(&where, d ? ", %lld" : "%lld", (long long)position[d]);
	if (is_result(t->entry, o) || o->enc.kind == ENC_I4)
		return run_fail(t, o->span, "element [%s] of `%s` was never written", where.at, o->name);
	for (int64_t i = 0; i < m->n; i++) {
		if (m->stamp[i] != m->now) continue;
		element_position(m, i, position);
		encoding_store(&o->enc, o->dtype, o->rank, m->dims, to, position, m->at[i]);
	}
	return true;
}

TileView *run_view(Interpreter *t, Span at, const TileObj *o)
{
	bool place = o->kind == TB_PLACE;
	uint32_t n = place ? t->kernel->places : (uint32_t)t->kernel->bufs.n;
	TileView *v = place ? t->place : t->formal;
	if (o->id < n && v[o->id].memory && (!place || v[o->id].memory->obj == o)) return &v[o->id];
	run_fail(t, at, "`%s` is not known here", o->name);
	return NULL;
}

/* --- control flow --- */

static bool run_block(Interpreter *t, const TileBlock *b);

static bool run_loop(Interpreter *t, const TileStmt *s)
{
	int64_t lo, hi;
	if (!run_eval(t, s->span, s->lo, &lo) || !run_eval(t, s->span, s->hi, &hi)) return false;
	if (s->by <= 0) return run_fail(t, s->span, "a loop that does not advance");
	if (hi <= lo) return true;
	int64_t n = hi - lo, pieces = n / s->by + (n % s->by != 0);
	bool even = s->op == TILE_SPLIT;
	for (int64_t i = 0, at = lo; i < pieces; i++) {
		int64_t length = even ? n / pieces + (i < n % pieces) : s->by < hi - at ? s->by : hi - at;
		run_bind(t, s->var, at);
		if (s->len) run_bind(t, s->len, length);
		if (!run_steps(t, s->span, 1) || !run_block(t, &s->body)) return false;
		at += length;
	}
	return true;
}

static bool holds(TileRel rel, int64_t a, int64_t b)
{
	switch (rel) {
	case REL_LT: return a < b;
	case REL_LE: return a <= b;
	case REL_EQ: return a == b;
	case REL_NE: return a != b;
	}
	return false;
}

static bool run_if(Interpreter *t, const TileStmt *s)
{
	bool all = true;
	for (uint32_t i = 0; i < s->n_cond; i++) {
		int64_t a, b;
		if (!run_eval(t, s->span, s->cond[i].a, &a) || !run_eval(t, s->span, s->cond[i].b, &b))
			return false;
		all = all && holds(s->cond[i].rel, a, b);
	}
	return run_block(t, all ? &s->body : &s->orelse);
}

/* Fresh: what it held before is undefined from here on. */
static bool run_place(Interpreter *t, const TileStmt *s)
{
	const TileObj *o = s->place;
	if (o->id >= t->kernel->places) return run_fail(t, s->span, "`%s` is not known here", o->name);
	TileView *v = &t->place[o->id];
	if (v->memory && v->memory->obj == o) {
		v->memory->now++;
		return true;
	}
	TileMemory *m = NEW(t->arena, TileMemory);
	m->obj = o;
	for (uint32_t i = 0; i < o->rank; i++)
		if (!run_eval(t, s->span, o->dims[i], &m->dims[i])) return false;
	if (!run_memory(t, s->span, m, false)) return false;
	v->memory = m;
	int64_t stride = 1;
	for (uint32_t d = o->rank; d-- > 0;) {
		v->dim[d] = m->dims[d];
		v->stride[d] = stride;
		stride *= m->dims[d];
	}
	return true;
}

static bool run_index(Interpreter *t, const TileStmt *s)
{
	double v;
	int64_t lo, hi;
	if (!run_load(t, s->span, &s->in[0], &v)) return false;
	if (!run_eval(t, s->span, s->var->lo, &lo) || !run_eval(t, s->span, s->var->hi, &hi))
		return false;
	if (v < (double)lo || v > (double)hi)
		return run_fail(t, s->span, "the index `%s` is %.0f, outside of %lld..%lld", s->var->name,
		                v, (long long)lo, (long long)hi + 1);
	run_bind(t, s->var, (int64_t)v);
	return true;
}

static bool run_statement(Interpreter *t, const TileStmt *s)
{
	switch (s->op) {
	case TILE_PAR:
	case TILE_FOR:
	case TILE_SPLIT: return run_loop(t, s);
	case TILE_IF: return run_if(t, s);
	case TILE_PLACE: return run_place(t, s);
	case TILE_INDEX: return run_index(t, s);
	default: return run_operation(t, s);
	}
}

static bool run_block(Interpreter *t, const TileBlock *b)
{
	for (const TileStmt *s = b->first; s; s = s->next)
		if (!run_statement(t, s)) return false;
	return true;
}

/* --- launches --- */

/* The formal sees what the leading indices leave of the buffer. */
static bool bind_formal(Interpreter *t, Span at, const TileObj *o, const TileArg *arg, TileView *v)
{
	v->memory = buffer_memory(t, at, arg->buf);
	if (!v->memory) return false;
	int64_t rest = 1, size = 1;
	for (uint32_t d = arg->n_lead; d < arg->buf->rank; d++) rest *= v->memory->dims[d];
	int64_t lead = 0;
	for (uint32_t d = 0; d < arg->n_lead; d++) {
		int64_t i;
		if (!run_eval(t, at, arg->lead[d], &i)) return false;
		if (i < 0 || i >= v->memory->dims[d])
			return run_fail(t, at, "index %lld of `%s` is outside of 0..%lld", (long long)i,
			                arg->buf->name, (long long)v->memory->dims[d]);
		lead = lead * v->memory->dims[d] + i;
	}
	v->base = lead * rest;
	for (uint32_t d = o->rank; d-- > 0;) {
		if (!run_eval(t, at, o->dims[d], &v->dim[d])) return false;
		v->stride[d] = size;
		if (v->dim[d] < 0 || __builtin_mul_overflow(size, v->dim[d], &size)) size = -1;
		if (size < 0) break;
	}
	if (size != rest)
		return run_fail(t, at, "`%s` has %lld elements where `%s` of kernel `%s` has %lld",
		                arg->buf->name, (long long)rest, o->name, t->kernel->name, (long long)size);
	if (o->dtype != arg->buf->dtype)
		return run_fail(t, at, "`%s` is %s where `%s` of kernel `%s` is %s", arg->buf->name,
		                dtype_name(arg->buf->dtype), o->name, t->kernel->name,
		                dtype_name(o->dtype));
	return true;
}

static bool run_launch(Interpreter *t, const TileStep *step)
{
	t->kernel = step->kernel;
	if (t->kernel->hand)
		return run_fail(t, t->kernel->span,
		                "`%s` is written by hand in '%s': it runs on Pearl only", t->kernel->name,
		                t->kernel->hand->file);
	uint32_t n = (uint32_t)t->kernel->bufs.n;
	/* buffers stay: they are decoded before the mark that frees the places of this launch */
	for (uint32_t i = 0; i < n; i++)
		if (!buffer_memory(t, t->kernel->span, step->args[i].buf)) return false;
	ArenaMark mark = arena_mark(t->arena);
	int64_t held = t->elements;
	t->formal = NEW_ARRAY(t->arena, TileView, n + 1);
	t->place = NEW_ARRAY(t->arena, TileView, t->kernel->places + 1);
	memset(t->plan, 0, sizeof t->plan);
	bool ok = true;
	for (uint32_t i = 0; ok && i < n; i++)
		ok = bind_formal(t, t->kernel->span, t->kernel->bufs.at[i], &step->args[i], &t->formal[i]);
	ok = ok && run_block(t, &t->kernel->body);
	t->kernel = NULL;
	t->elements = held;
	arena_reset(t->arena, mark);
	return ok;
}

static bool run_steps_of(Interpreter *t, const TileStep *steps)
{
	for (const TileStep *s = steps; s; s = s->next) {
		if (s->kind == STEP_LAUNCH) {
			if (!run_launch(t, s)) return false;
			continue;
		}
		int64_t count;
		if (!run_eval(t, span_none(), s->count, &count)) return false;
		for (int64_t i = 0; i < count; i++) {
			run_bind(t, s->var, i);
			if (!run_steps(t, span_none(), 1) || !run_steps_of(t, s->body)) return false;
		}
	}
	return true;
}

/* --- entries --- */

static bool required(Interpreter *t, Dim d, const char *text)
{
	int64_t v;
	if (!run_eval(t, span_none(), d, &v)) return false;
	if (v >= 0) return true;
	return run_fail(t, span_none(), "the requirement `%s` does not hold",
	                text ? message_relation(t->d->arena, text)
	                     : arena_printf(t->d->arena, "%s >= 0", dim_text(t->d->arena, d)));
}

static bool bind_params(Interpreter *t)
{
	TileProgram *p = t->p;
	for (size_t i = 0; i < p->params.n; i++) {
		DimSym *s = p->params.at[i];
		int64_t lo, hi, v = t->run->params[i];
		run_bind(t, s, v);
		if (!run_eval(t, s->span, s->lo, &lo) || !run_eval(t, s->span, s->hi, &hi)) return false;
		if (v < lo || v > hi)
			return run_fail(t, s->span, "`%s` is %lld, outside of %lld..%lld", s->name,
			                (long long)v, (long long)lo, (long long)hi);
	}
	if (t->entry == p->prepack) return true;
	for (size_t i = 0; i < p->require.n; i++)
		if (!required(t, p->require.at[i], i < p->require_text.n ? p->require_text.at[i] : NULL))
			return false;
	const TileEntry *e = t->entry;
	for (size_t i = 0; i < e->require.n; i++)
		if (!required(t, e->require.at[i], i < e->require_text.n ? e->require_text.at[i] : NULL))
			return false;
	return true;
}

static bool run_entry(Interpreter *t)
{
	uint32_t syms = dim_pool_syms(t->p->dims);
	t->value = NEW_ARRAY(t->arena, int64_t, syms + 1);
	t->bound = NEW_ARRAY(t->arena, bool, syms + 1);
	t->buffer = NEW_ARRAY(t->arena, TileMemory *, t->p->bufs.n + 1);
	if (!bind_params(t) || !run_steps_of(t, t->entry->steps)) return false;
	for (size_t i = 0; i < t->entry->outs.n; i++)
		if (!buffer_memory(t, span_none(), t->entry->outs.at[i])) return false;
	bool ok = true;
	for (size_t i = 0; ok && i < t->p->bufs.n; i++)
		if (t->buffer[i]) ok = write_back(t, t->buffer[i]);
	return ok;
}

bool tile_interpret(Diags *d, TileProgram *p, const TileEntry *e, TileRun *run)
{
	Arena *arena = arena_new();
	jmp_buf exhausted;
	Interpreter *t = NEW(arena, Interpreter);
	*t = (Interpreter){.p = p, .d = d, .run = run, .entry = e, .arena = arena};
	t->limited = run->steps_left > 0;
	bool ok = false;
	if (setjmp(exhausted)) {
		diag_error(d, span_none(), "the interpreter ran out of memory");
	} else {
		arena_on_exhausted(arena, &exhausted);
		ok = run_entry(t);
	}
	arena_free(arena);
	return ok;
}
