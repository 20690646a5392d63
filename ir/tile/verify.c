/* The verifier of tile programs: structure, types and scopes of every kernel and entry, and for each
 * access a proof that it stays within its object for all parameters in range. The proofs are those of
 * ir/dim.h (intervals and affine reasoning) under what is known where the access stands: the required
 * relations, the loops around it, the conditions that hold. What cannot be proved is an error that
 * names the access. Knows nothing of the backends. */
#include "ir/tile/tile_verify.h"

#include <string.h>

bool tile_verify_error(Verifier *v, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(v->d->arena, fmt, ap);
	va_end(ap);
	Diag *e = diag_error(v->d, at, "%s", text);
	if (v->kernel && v->kernel->name)
		diag_note(v->d, e, v->kernel->span, "in kernel `%s`", v->kernel->name);
	v->ok = false;
	return false;
}

/* --- symbols and facts --- */

static Dim number(Verifier *v, int64_t n)
{
	return dim_const(v->p->dims, n);
}

/* lo <= hi, and so on, from here to the end of the scope. */
static void fact_le(Verifier *v, Dim lo, Dim hi)
{
	if (!dim_is_poison(lo) && !dim_is_poison(hi)) dim_facts_le(&v->facts, v->arena, lo, hi);
}

static void fact_lt(Verifier *v, Dim lo, Dim hi)
{
	fact_le(v, dim_addc(v->p->dims, lo, 1), hi);
}

typedef struct Known {
	Verifier *v;
	Span at;
	bool ok;
} Known;

static void symbol_known(void *ctx, DimSym *s)
{
	Known *k = ctx;
	if (k->ok && (s->id >= v_symbols(k->v) || !k->v->known[s->id]))
		k->ok = tile_verify_error(k->v, k->at, "`%s` is used outside of its scope", s->name);
}

bool tile_verify_dim(Verifier *v, Span at, Dim d, const char *what)
{
	if (!d) return tile_verify_error(v, at, "%s is missing", what);
	if (dim_is_poison(d)) return tile_verify_error(v, at, "%s overflows 64 bits", what);
	Known k = {v, at, true};
	dim_visit_syms(d, symbol_known, &k);
	return k.ok;
}

bool tile_verify_le(Verifier *v, Dim a, Dim b)
{
	return dim_le(&v->facts, a, b) == PROOF_YES;
}

bool tile_verify_lt(Verifier *v, Dim a, Dim b)
{
	return tile_verify_le(v, dim_addc(v->p->dims, a, 1), b);
}

/* A symbol comes into scope with the range lo..hi that control gives it: its own range, which proofs
 * use, must hold it. */
bool tile_verify_symbol(Verifier *v, Span at, DimSym *s, Dim lo, Dim hi)
{
	if (!s || s->id >= v_symbols(v)) return tile_verify_error(v, at, "a variable is missing");
	if (v->known[s->id]) return tile_verify_error(v, at, "`%s` is defined twice", s->name);
	if (!tile_verify_dim(v, at, s->lo, "a lower bound") ||
	    !tile_verify_dim(v, at, s->hi, "an upper bound"))
		return false;
	if (!tile_verify_le(v, s->lo, lo) || !tile_verify_le(v, hi, s->hi))
		return tile_verify_error(
			v, at, "the range of `%s`, %s to %s, does not hold what it can be: %s to %s", s->name,
			dim_text(v->arena, s->lo), dim_text(v->arena, s->hi), dim_text(v->arena, lo),
			dim_text(v->arena, hi));
	v->known[s->id] = true;
	vec_push(v->arena, &v->scope, s);
	return true;
}

/* --- scopes --- */

typedef struct ScopeMark {
	size_t symbols, places, facts;
} ScopeMark;

static ScopeMark scope_open(Verifier *v)
{
	return (ScopeMark){v->scope.n, v->places.n, v->facts.nonneg.n};
}

void tile_verify_forget(Verifier *v, size_t symbols, size_t facts)
{
	while (v->scope.n > symbols) v->known[v->scope.at[--v->scope.n]->id] = false;
	v->facts.nonneg.n = facts;
}

static void scope_close(Verifier *v, ScopeMark m)
{
	tile_verify_forget(v, m.symbols, m.facts);
	v->places.n = m.places;
}

/* --- control flow --- */

static void verify_block(Verifier *v, const TileBlock *b);

static void loop_facts(Verifier *v, const TileStmt *s)
{
	DimPool *p = v->p->dims;
	Dim at = dim_sym(p, s->var);
	if (s->len) fact_le(v, dim_add(p, at, dim_sym(p, s->len)), s->hi);
	if (s->op == TILE_SPLIT || s->by == 1) return;
	/* the last offset: lo + (hi - 1 - lo) // by * by */
	Dim span = dim_addc(p, dim_sub(p, s->hi, s->lo), -1);
	fact_le(v, at, dim_add(p, s->lo, dim_mulc(p, dim_floordiv(p, span, number(v, s->by)), s->by)));
}

static void verify_loop(Verifier *v, const TileStmt *s)
{
	if (!tile_verify_dim(v, s->span, s->lo, "the lower end of a loop")) return;
	if (!tile_verify_dim(v, s->span, s->hi, "the upper end of a loop")) return;
	if (s->by < 1) {
		tile_verify_error(v, s->span, "a loop must advance by 1 or more, not by %lld",
		                  (long long)s->by);
		return;
	}
	ScopeMark m = scope_open(v);
	bool ok = tile_verify_symbol(v, s->span, s->var, s->lo, dim_addc(v->p->dims, s->hi, -1));
	if (ok && s->len) {
		DimPool *p = v->p->dims;
		Dim left = dim_min(p, number(v, s->by), dim_sub(p, s->hi, dim_sym(p, s->var)));
		ok = tile_verify_symbol(v, s->span, s->len, number(v, 1), left);
	}
	if (ok) {
		loop_facts(v, s);
		size_t outer_places = v->par_places;
		const TileStmt *outer = v->par;
		if (s->op == TILE_PAR) {
			v->par_places = v->places.n;
			v->par = s;
			vec_push(v->arena, &v->pars, s);
		}
		verify_block(v, &s->body);
		if (s->op == TILE_PAR) v->pars.n--;
		v->par_places = outer_places;
		v->par = outer;
	}
	scope_close(v, m);
}

static void cond_fact(Verifier *v, const TileCond *c, bool holds)
{
	TileRel rel = c->rel;
	if (holds ? rel == REL_LT : false) fact_lt(v, c->a, c->b);
	if (holds ? rel == REL_LE : false) fact_le(v, c->a, c->b);
	if (!holds && rel == REL_LT) fact_le(v, c->b, c->a);
	if (!holds && rel == REL_LE) fact_lt(v, c->b, c->a);
	if (rel == (holds ? REL_EQ : REL_NE)) {
		fact_le(v, c->a, c->b);
		fact_le(v, c->b, c->a);
	}
}

static void verify_if(Verifier *v, const TileStmt *s)
{
	if (!s->n_cond || s->n_cond > COUNT(s->cond)) {
		tile_verify_error(v, s->span, "a choice needs one to %zu conditions", COUNT(s->cond));
		return;
	}
	for (uint32_t i = 0; i < s->n_cond; i++)
		if (!tile_verify_dim(v, s->span, s->cond[i].a, "a condition") ||
		    !tile_verify_dim(v, s->span, s->cond[i].b, "a condition"))
			return;
	ScopeMark m = scope_open(v);
	vec_push(v->arena, &v->ifs, s);
	for (uint32_t i = 0; i < s->n_cond; i++) cond_fact(v, &s->cond[i], true);
	verify_block(v, &s->body);
	scope_close(v, m);
	if (s->n_cond == 1) cond_fact(v, &s->cond[0], false);
	verify_block(v, &s->orelse);
	v->ifs.n--;
	scope_close(v, m);
}

static void verify_place(Verifier *v, const TileStmt *s)
{
	const TileObj *o = s->place;
	if (!o || o->kind != TB_PLACE || o->id >= v->kernel->places || o->rank > TILE_RANK) {
		tile_verify_error(v, s->span, "a place that is not one");
		return;
	}
	for (size_t i = 0; i < v->places.n; i++)
		if (v->places.at[i].obj == o || v->places.at[i].obj->id == o->id) {
			tile_verify_error(v, s->span, "the place `%s` is made twice in one scope", o->name);
			return;
		}
	int64_t size = 1, n;
	for (uint32_t d = 0; d < o->rank; d++) {
		if (!o->dims[d] || !dim_is_const(o->dims[d], &n) || n < 1) {
			tile_verify_error(v, s->span, "the capacity of place `%s` is not made of constants",
			                  o->name);
			return;
		}
		if (__builtin_mul_overflow(size, n, &size) || size > (int64_t)1 << 32) {
			tile_verify_error(v, s->span, "the place `%s` is too large", o->name);
			return;
		}
	}
	vec_push(v->arena, &v->places, ((PlaceInScope){o, NULL}));
}

/* The value is checked against the range of the symbol when it is loaded. */
static void verify_index(Verifier *v, const TileStmt *s)
{
	if (s->n_in != 1 || !s->var) {
		tile_verify_error(v, s->span, "an index needs a variable and one access");
		return;
	}
	if (!tile_verify_access(v, s, &s->in[0], false)) return;
	if (dtype_is_float(s->in[0].obj->dtype)) {
		tile_verify_error(v, s->span, "the index `%s` is loaded from %s `%s`", s->var->name,
		                  dtype_name(s->in[0].obj->dtype), s->in[0].obj->name);
		return;
	}
	if (s->var->lo && s->var->hi) tile_verify_symbol(v, s->span, s->var, s->var->lo, s->var->hi);
}

static void verify_block(Verifier *v, const TileBlock *b)
{
	ScopeMark m = scope_open(v);
	if (++v->depth > VERIFY_DEPTH) {
		if (b->first) tile_verify_error(v, b->first->span, "statements are nested too deeply");
	} else {
		for (const TileStmt *s = b->first; s; s = s->next) switch (s->op) {
			case TILE_PAR:
			case TILE_FOR:
			case TILE_SPLIT: verify_loop(v, s); break;
			case TILE_IF: verify_if(v, s); break;
			case TILE_PLACE: verify_place(v, s); break;
			case TILE_INDEX: verify_index(v, s); break;
			default: tile_verify_operation(v, s); break;
			}
	}
	v->depth--;
	scope_close(v, m);
}

/* --- buffers, kernels --- */

static bool verify_buffer(Verifier *v, const TileObj *o)
{
	const Encoding *e = &o->enc;
	int64_t k;
	if (o->kind == TB_PLACE)
		return tile_verify_error(v, o->span, "the place `%s` among buffers", o->name);
	if (o->rank > TILE_RANK)
		return tile_verify_error(v, o->span, "`%s` has too many dims", o->name);
	for (uint32_t d = 0; d < o->rank; d++) {
		if (!tile_verify_dim(v, o->span, o->dims[d], "a dim")) return false;
		if (!tile_verify_le(v, number(v, 0), o->dims[d]))
			return tile_verify_error(v, o->span, "dim %u of `%s`, %s, may be negative", d, o->name,
			                         dim_text(v->arena, o->dims[d]));
	}
	if (e->kind == ENC_PLAIN) return true;
	if (o->rank < 2 || !e->nb)
		return tile_verify_error(v, o->span, "`%s` cannot be in panels: it has no rows and columns",
		                         o->name);
	if (e->kind == ENC_PACK)
		return e->kg || tile_verify_error(v, o->span, "the panels of `%s` have no depth", o->name);
	if (!e->group || e->group % 2)
		return tile_verify_error(v, o->span, "groups of %u in `%s`: an even number is wanted",
		                         e->group, o->name);
	if (!dim_is_const(o->dims[o->rank - 2], &k) || k % e->group)
		return tile_verify_error(v, o->span, "%s rows of `%s` are not whole groups of %u",
		                         dim_text(v->arena, o->dims[o->rank - 2]), o->name, e->group);
	return true;
}

static void verify_kernel(Verifier *v, const TileKernel *k)
{
	v->kernel = k;
	ScopeMark m = scope_open(v);
	bool ok = true;
	for (size_t i = 0; i < k->bufs.n; i++) {
		if (k->bufs.at[i]->id != i)
			ok = tile_verify_error(v, k->span, "`%s` is numbered wrongly", k->bufs.at[i]->name);
		ok = ok && verify_buffer(v, k->bufs.at[i]);
	}
	if (ok) verify_block(v, &k->body);
	for (uint32_t i = 0; ok && k->hand && i < k->hand->n_size; i++)
		ok = tile_verify_dim(v, k->span, k->hand->value[i], "a size");
	if (ok && k->hand && k->body.first)
		tile_verify_error(v, k->span, "a kernel written by hand has statements");
	scope_close(v, m);
	v->kernel = NULL;
}

/* --- entries --- */

static bool writes(TileKind k)
{
	return k == TB_OUT || k == TB_STATE || k == TB_ARENA;
}

static bool verify_kinds(Verifier *v, const TileEntry *e, const TileKernel *k, const TileObj *f,
                         const TileObj *buf)
{
	bool prepack = e == v->p->prepack;
	bool ok = true;
	if (f->kind == TB_WEIGHT) ok = buf->kind == TB_WEIGHT;
	if (writes(f->kind)) ok = writes(buf->kind) || (prepack && buf->kind == TB_WEIGHT && !buf->key);
	if (ok) return true;
	return tile_verify_error(v, k->span, "kernel `%s` %s `%s`, but `%s` is %s", k->name,
	                         writes(f->kind) ? "writes" : "takes as a weight", f->name, buf->name,
	                         buf->kind == TB_WEIGHT ? "a weight" : "not");
}

/* The formal's elements are those of the buffer after its leading indices. */
static bool verify_arg(Verifier *v, const TileEntry *e, const TileKernel *k, const TileObj *f,
                       const TileArg *a)
{
	DimPool *p = v->p->dims;
	TileObj *b = a->buf;
	if (!b || b->id >= v->p->bufs.n || v->p->bufs.at[b->id] != b)
		return tile_verify_error(v, k->span, "`%s` of kernel `%s` is given no buffer", f->name,
		                         k->name);
	if (a->n_lead > b->rank)
		return tile_verify_error(v, k->span, "`%s` has fewer dims than leading indices", b->name);
	for (uint32_t d = 0; d < a->n_lead; d++) {
		if (!tile_verify_dim(v, k->span, a->lead[d], "a leading index")) return false;
		if (!tile_verify_le(v, number(v, 0), a->lead[d]) ||
		    !tile_verify_lt(v, a->lead[d], b->dims[d]))
			return tile_verify_error(
				v, k->span, "cannot prove that index %s of `%s` is within 0..%s",
				dim_text(v->arena, a->lead[d]), b->name, dim_text(v->arena, b->dims[d]));
	}
	Dim have = number(v, 1), want = have;
	for (uint32_t d = a->n_lead; d < b->rank; d++) have = dim_mul(p, have, b->dims[d]);
	for (uint32_t d = 0; d < f->rank; d++) want = dim_mul(p, want, f->dims[d]);
	if (dim_is_poison(have) || dim_is_poison(want))
		return tile_verify_error(v, k->span, "the size of `%s` overflows 64 bits", b->name);
	if (dim_eq(&v->facts, have, want) != PROOF_YES)
		return tile_verify_error(
			v, k->span, "`%s` has %s elements where `%s` of kernel `%s` has %s", b->name,
			dim_text(v->arena, have), f->name, k->name, dim_text(v->arena, want));
	if (f->dtype != b->dtype)
		return tile_verify_error(v, k->span, "`%s` is %s where `%s` of kernel `%s` is %s", b->name,
		                         dtype_name(b->dtype), f->name, k->name, dtype_name(f->dtype));
	const Encoding *x = &f->enc, *y = &b->enc;
	bool same = x->kind == y->kind && x->nb == y->nb && x->kg == y->kg && x->group == y->group &&
	            x->pad == y->pad;
	if (x->kind != ENC_PLAIN || x->pad) /* rows and columns must be the same ones */
		for (uint32_t d = 1; same && d <= 2; d++)
			same = f->rank >= d && b->rank >= a->n_lead + d &&
			       f->dims[f->rank - d] == b->dims[b->rank - d];
	if (!same)
		return tile_verify_error(v, k->span,
		                         "`%s` lies otherwise in memory than `%s` of kernel `%s`", b->name,
		                         f->name, k->name);
	return verify_kinds(v, e, k, f, b);
}

/* Is d never zero, because all its terms but the constant have a common factor that it lacks? */
static bool never_zero(Dim d)
{
	int64_t factor = 0, constant = dim_constant(d);
	for (uint32_t i = 0; i < dim_terms(d); i++) {
		int64_t a = dim_term(d, i).coef, b = factor;
		while (b) {
			int64_t r = a % b;
			a = b;
			b = r;
		}
		factor = a < 0 ? -a : a;
	}
	return factor ? constant % factor != 0 : constant != 0;
}

/* Parts of one buffer that a leading index keeps apart. */
static bool apart(Verifier *v, const TileArg *a, const TileArg *b)
{
	for (uint32_t d = 0; d < a->n_lead && d < b->n_lead; d++)
		if (never_zero(dim_sub(v->p->dims, a->lead[d], b->lead[d])) ||
		    dim_eq(&v->facts, a->lead[d], b->lead[d]) == PROOF_NO)
			return true;
	return false;
}

/* Two names of one buffer in a kernel: both are state, both are only read, or they lie apart. */
static void verify_sharing(Verifier *v, const TileKernel *k, const TileArg *args)
{
	for (size_t i = 0; i < k->bufs.n; i++)
		for (size_t j = 0; j < i; j++) {
			const TileObj *x = k->bufs.at[i], *y = k->bufs.at[j];
			if (args[i].buf != args[j].buf || (x->kind == TB_STATE && y->kind == TB_STATE))
				continue;
			if (apart(v, &args[i], &args[j])) continue;
			if (writes(x->kind) || writes(y->kind))
				tile_verify_error(v, k->span,
				                  "`%s` is both `%s` and `%s` of kernel `%s`, which writes it",
				                  args[i].buf->name, y->name, x->name, k->name);
		}
}

static void verify_steps(Verifier *v, const TileEntry *e, const TileStep *steps, uint32_t depth)
{
	for (const TileStep *s = steps; s; s = s->next) {
		if (s->kind == STEP_LAUNCH) {
			bool ok = true;
			for (size_t i = 0; i < s->kernel->bufs.n; i++)
				ok = verify_arg(v, e, s->kernel, s->kernel->bufs.at[i], &s->args[i]) && ok;
			if (ok) verify_sharing(v, s->kernel, s->args);
			continue;
		}
		if (depth > VERIFY_DEPTH) {
			tile_verify_error(v, span_none(), "loops of entry `%s` are nested too deeply", e->name);
			return;
		}
		if (!tile_verify_dim(v, span_none(), s->count, "the count of a loop")) continue;
		ScopeMark m = scope_open(v);
		Dim last = dim_addc(v->p->dims, s->count, -1);
		if (tile_verify_symbol(v, span_none(), s->var, number(v, 0), last))
			verify_steps(v, e, s->body, depth + 1);
		scope_close(v, m);
	}
}

static bool launches(const TileStep *steps, const TileKernel *k)
{
	for (const TileStep *s = steps; s; s = s->next)
		if (s->kind == STEP_LAUNCH ? s->kernel == k : launches(s->body, k)) return true;
	return false;
}

static void entry_facts(Verifier *v, const TileEntry *e)
{
	for (size_t i = 0; i < e->require.n; i++)
		if (tile_verify_dim(v, span_none(), e->require.at[i], "a required relation"))
			fact_le(v, number(v, 0), e->require.at[i]);
}

/* A kernel is proved under the relations of each entry that launches it. */
static void verify_kernel_in_entries(Verifier *v, const TileKernel *k)
{
	bool plain = true, launched = false;
	size_t facts = v->facts.nonneg.n;
	for (size_t i = 0; i < v->p->entries.n; i++) {
		const TileEntry *e = v->p->entries.at[i];
		if (!launches(e->steps, k)) continue;
		launched = true;
		if (!e->require.n) continue;
		plain = false;
		entry_facts(v, e);
		verify_kernel(v, k);
		v->facts.nonneg.n = facts;
		if (!v->ok) return;
	}
	for (size_t i = 0; i < v->p->entries.n; i++)
		plain =
			plain || (launches(v->p->entries.at[i]->steps, k) && !v->p->entries.at[i]->require.n);
	if (v->p->prepack && launches(v->p->prepack->steps, k)) plain = true;
	if (plain || !launched) verify_kernel(v, k);
}

static void verify_params(Verifier *v)
{
	const TileProgram *p = v->p;
	for (size_t i = 0; i < p->params.n; i++) {
		DimSym *s = p->params.at[i];
		if (!s->lo || !s->hi || dim_is_poison(s->lo) || dim_is_poison(s->hi))
			tile_verify_error(v, s->span, "the range of `%s` is not valid", s->name);
		else
			tile_verify_symbol(v, s->span, s, s->lo, s->hi);
	}
	for (size_t i = 0; v->ok && i < p->require.n; i++)
		if (tile_verify_dim(v, span_none(), p->require.at[i], "a required relation"))
			fact_le(v, number(v, 0), p->require.at[i]);
}

bool tile_verify(Diags *d, const TileProgram *p)
{
	Arena *arena = arena_new();
	Verifier v = {.d = d, .p = p, .arena = arena, .ok = true, .facts = {.pool = p->dims}};
	v.known = NEW_ARRAY(arena, bool, v_symbols(&v) + 1);
	verify_params(&v);
	for (size_t i = 0; v.ok && i < p->bufs.n; i++)
		if (p->bufs.at[i]->id != i || !verify_buffer(&v, p->bufs.at[i])) v.ok = false;
	for (size_t i = 0; v.ok && i < p->kernels.n; i++)
		verify_kernel_in_entries(&v, p->kernels.at[i]);
	for (size_t i = 0; v.ok && i <= p->entries.n; i++) {
		const TileEntry *e = i < p->entries.n ? p->entries.at[i] : p->prepack;
		if (!e) continue;
		size_t facts = v.facts.nonneg.n;
		entry_facts(&v, e);
		verify_steps(&v, e, e->steps, 0);
		v.facts.nonneg.n = facts;
	}
	arena_free(arena);
	return v.ok;
}
