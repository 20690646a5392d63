/* emit.c: instructions of a scheduled kernel. A descriptor is loaded before each instruction that
 * uses it (ring descriptors once, before the loop); what is affine in the loops goes into its steps
 * and lengths, the rest is computed in registers and set. Registers hold nothing across
 * instructions except loaded indices. */
#include "codegen/pearl/internal.h"
#include <string.h>

/* Above SHARED_REGS an instruction begins with what is known forgotten; above CROWDED_REGS parts of an
 * expression are given up when it is complete. */
enum { SHARED_REGS = 10, CROWDED_REGS = 16 };

typedef struct Emitter {
	Compiler *c;
	LoopInfo *loop;
	uint32_t stage, known_stage;
	uint32_t next_reg; /* temporaries of the instruction in hand */
	uint32_t data_reg; /* the lowest register taken by a loaded index */
	uint32_t slot;     /* next rotating descriptor slot */
	VEC(struct {
		const DimSym *sym;
		uint32_t reg;
	})
	data;
	struct {
		Dim d;
		uint32_t reg;
	} cache[PEARL_REGS];
	uint32_t n_cache;
	VEC(struct {
		const Operand *o;
		uint32_t slot;
	})
	rings;
} Emitter;

static PearlInsn *out(Emitter *e, PearlOpcode op)
{
	PearlInsn *i = pearl_emit(e->c->q, op);
	i->stage = (uint8_t)e->stage;
	i->line = e->c->kernel ? e->c->kernel->places : 0;
	return i;
}

static uint32_t new_reg(Emitter *e)
{
	if (e->next_reg >= e->data_reg) {
		pearl_fail(e->c, e->c->at, "an index expression needs more registers than there are");
		return 0;
	}
	return e->next_reg++;
}

static PearlInsn *alu(Emitter *e, PearlOpcode op, uint32_t dst, uint32_t a)
{
	PearlInsn *i = out(e, op);
	i->field[F_ALU_dst] = dst;
	i->field[F_ALU_a] = a;
	return i;
}

static void alu_imm(Emitter *e, PearlOpcode op, uint32_t dst, uint32_t a, int64_t imm)
{
	if (imm >= -((int64_t)1 << 39) && imm < (int64_t)1 << 39) {
		PearlInsn *i = alu(e, op, dst, a);
		i->field[F_ALU_use_imm] = 1;
		i->field[F_ALU_imm] = imm;
		return;
	}
	pearl_fail(e->c, e->c->at, "the constant %lld does not fit an instruction", (long long)imm);
}

static void alu_reg(Emitter *e, PearlOpcode op, uint32_t dst, uint32_t a, uint32_t b)
{
	alu(e, op, dst, a)->field[F_ALU_b] = b;
}

static uint32_t value(Emitter *e, Dim d);

static int32_t param_number(const Compiler *c, const DimSym *s)
{
	for (uint32_t i = 0; i < c->p->params.n; i++)
		if (c->p->params.at[i] == s) return (int32_t)i;
	return -1;
}

static uint32_t get(Emitter *e, PearlOpcode op, uint32_t what)
{
	uint32_t r = new_reg(e);
	PearlInsn *i = out(e, op);
	i->field[F_GET_dst] = r;
	i->field[F_GET_what] = what;
	return r;
}

static uint32_t symbol(Emitter *e, const DimSym *s)
{
	for (uint32_t i = 0; i < e->data.n; i++)
		if (e->data.at[i].sym == s) return e->data.at[i].reg;
	int32_t n = param_number(e->c, s);
	if (n >= 0) return get(e, I_PARAM, (uint32_t)n);
	for (const LoopInfo *l = e->loop; l; l = l->outer) {
		uint32_t level = e->loop->depth - l->depth;
		if (l->len == s) return get(e, I_LEN, level);
		if (l->var != s) continue;
		uint32_t r = get(e, I_OFF, level);
		int64_t lo;
		if (dim_is_const(l->lo, &lo)) {
			if (lo) alu_imm(e, I_ADD, r, r, lo);
		} else
			alu_reg(e, I_ADD, r, r, value(e, l->lo));
		return r;
	}
	pearl_fail(e->c, e->c->at, "`%s` has no value here", s->name);
	return 0;
}

static bool known(const Emitter *e, Dim d, uint32_t *reg)
{
	for (uint32_t i = 0; i < e->n_cache; i++)
		if (e->cache[i].d == d) {
			*reg = e->cache[i].reg;
			return true;
		}
	return false;
}

static void keep(Emitter *e, Dim d, uint32_t reg)
{
	if (e->n_cache == PEARL_REGS) return;
	e->cache[e->n_cache].d = d;
	e->cache[e->n_cache++].reg = reg;
}

/* Whether registers from `first` on, and what is known about them, were given up. */
static bool give_up(Emitter *e, uint32_t first, uint32_t held)
{
	if (e->next_reg <= CROWDED_REGS) return false;
	e->n_cache = held;
	e->next_reg = first;
	return true;
}

static uint32_t atom(Emitter *e, const DimAtom *a)
{
	DimPool *p = e->c->p->dims;
	Dim d = a->kind == ATOM_SYM        ? dim_sym(p, a->sym)
	        : a->kind == ATOM_FLOORDIV ? dim_floordiv(p, a->a, a->b)
	        : a->kind == ATOM_MIN      ? dim_min(p, a->a, a->b)
	                                   : dim_max(p, a->a, a->b);
	uint32_t r;
	if (known(e, d, &r)) return r;
	if (a->kind == ATOM_SYM) {
		r = symbol(e, a->sym);
	} else {
		PearlOpcode op = a->kind == ATOM_FLOORDIV ? I_FDIV : a->kind == ATOM_MIN ? I_MIN : I_MAX;
		uint32_t first = e->next_reg, held = e->n_cache, x = value(e, a->a), y = 0;
		int64_t k;
		bool fixed = dim_is_const(a->b, &k);
		if (!fixed) y = value(e, a->b);
		r = give_up(e, first, held) ? first : new_reg(e);
		if (r == first) e->next_reg = first + 1;
		if (fixed)
			alu_imm(e, op, r, x, k);
		else
			alu_reg(e, op, r, x, y);
	}
	keep(e, d, r);
	return r;
}

/* Register with the value of d. The register may be shared: it must not be changed. */
static uint32_t value(Emitter *e, Dim d)
{
	uint32_t sum = 0, first = e->next_reg, held = e->n_cache;
	if (known(e, d, &sum)) return sum;
	bool any = false;
	for (uint32_t t = 0; t < dim_terms(d); t++) {
		DimTerm term = dim_term(d, t);
		uint32_t r = atom(e, term.atom[0]);
		bool own = false;
		for (uint32_t k = 1; k < term.n; k++) {
			uint32_t b = atom(e, term.atom[k]), to = own ? r : new_reg(e);
			alu_reg(e, I_MUL, to, r, b);
			r = to;
			own = true;
		}
		if (term.coef != 1) {
			uint32_t to = own ? r : new_reg(e);
			alu_imm(e, I_MUL, to, r, term.coef);
			r = to;
		}
		if (any) {
			uint32_t to = new_reg(e);
			alu_reg(e, I_ADD, to, sum, r);
			r = to;
		}
		sum = r;
		any = true;
	}
	if (!any) {
		sum = new_reg(e);
		PearlInsn *i = out(e, I_MOVI);
		i->field[F_ALU_dst] = sum;
		i->field[F_ALU_use_imm] = 1;
		i->field[F_ALU_imm] = dim_constant(d);
	} else if (dim_constant(d)) {
		uint32_t to = new_reg(e);
		alu_imm(e, I_ADD, to, sum, dim_constant(d));
		sum = to;
	}
	if (sum > first && give_up(e, first, held)) {
		alu_imm(e, I_ADD, first, sum, 0);
		e->next_reg = first + 1;
		sum = first;
	}
	keep(e, d, sum);
	return sum;
}

static void forget(Emitter *e)
{
	e->next_reg = 0, e->n_cache = 0;
}

static void setd(Emitter *e, uint32_t slot, PearlField field, uint32_t index, Dim d)
{
	if (e->next_reg > SHARED_REGS) forget(e); /* what is known already serves several fields */
	uint32_t r = value(e, d);
	PearlInsn *i = out(e, I_SETD);
	i->field[F_SETD_slot] = slot;
	i->field[F_SETD_field] = field;
	i->field[F_SETD_index] = index;
	i->field[F_SETD_src] = r;
}

/* Adds to the base the slot in use and what else is dynamic. The slot is 0 or 1, and is clamped to it so
 * that whoever checks the program need not know about remainders. */
static void set_slot(Emitter *e, uint32_t slot, const Store *s, int64_t bytes, Dim rest)
{
	int64_t none;
	forget(e);
	uint32_t number = value(e, s->slot), r = new_reg(e);
	alu_imm(e, I_MAX, r, number, 0);
	alu_imm(e, I_MIN, r, r, 1);
	alu_imm(e, I_MUL, r, r, bytes);
	if (!dim_is_const(rest, &none)) alu_reg(e, I_ADD, r, r, value(e, rest));
	PearlInsn *i = out(e, I_SETD);
	i->field[F_SETD_slot] = slot;
	i->field[F_SETD_field] = DF_BASE;
	i->field[F_SETD_src] = r;
}

/* Moves what is linear in the loops around from `d` into the steps of the descriptor. */
static Dim take_steps(Emitter *e, PearlDesc *t, Dim d)
{
	DimPool *p = e->c->p->dims;
	for (const LoopInfo *l = e->loop; l && t->n_step < PEARL_STEPS; l = l->outer) {
		Dim coef, rest;
		int64_t k;
		if (!l->var || !dim_mentions(d, l->var) || !dim_linear_in(p, d, l->var, &coef, &rest) ||
		    !dim_is_const(coef, &k))
			continue;
		t->step[t->n_step].level = (uint8_t)(e->loop->depth - l->depth);
		t->step[t->n_step++].bytes = k;
		d = dim_add(p, rest, dim_mulc(p, l->lo, k));
	}
	return d;
}

static bool is_ring(const Operand *o)
{
	const Store *s = o->store;
	if (!s) return false;
	if (s->group) s = s->group;
	return s->ring > 1 && !s->slot;
}

/* Loads the descriptor of o into a slot (a ring's only at the start of the kernel, `early`) and sets
 * what is dynamic; returns the slot. */
static uint32_t descriptor(Emitter *e, const Operand *o, bool early)
{
	DimPool *p = e->c->p->dims;
	const Store *s = o->store, *base = s->group ? s->group : s;
	PearlDesc t = {.name = "",
	               .space = (uint8_t)s->space,
	               .dtype = (uint8_t)o->dtype,
	               .rank = (uint8_t)o->rank,
	               .ring = base->slot ? 1 : (uint8_t)base->ring,
	               .region = (uint16_t)s->region};
	Dim offset = o->offset ? o->offset : dim_const(p, 0);
	if (s->offset) offset = dim_add(p, offset, s->offset);
	int64_t align = base->space == SPACE_ACC ? e->c->m->array_cols * 4 : 128;
	int64_t slot_bytes = round_up(base->bytes, align);
	if (t.ring > 1) t.ring_stride = slot_bytes;
	t.base = s->space == SPACE_HBM ? 0 : base->base + (s->group ? s->group_at : 0);
	offset = take_steps(e, &t, offset);
	bool dynamic[PEARL_RANK] = {0}, base_dynamic = !dim_is_const(offset, NULL);
	t.base += dim_constant(offset);
	offset = dim_addc(p, offset, -dim_constant(offset));
	for (uint32_t i = 0; i < o->rank; i++) {
		int64_t k;
		t.stride[i] = o->stride[i];
		t.dim[i] = 1;
		if (dim_is_const(o->dim[i], &k)) {
			t.dim[i] = k;
			continue;
		}
		dynamic[i] = true;
		for (const LoopInfo *l = e->loop; l; l = l->outer)
			if (l->len && dim_as_sym(o->dim[i]) == l->len) {
				t.dim_len[i] = (uint8_t)(e->loop->depth - l->depth + 1);
				dynamic[i] = false;
			}
	}
	for (uint32_t w = 0; w < o->n_window; w++) {
		t.window[w].on = true;
		t.window[w].dim = o->window[w].dim;
		dim_is_const(o->window[w].start, &t.window[w].start);
		dim_is_const(o->window[w].limit, &t.window[w].limit);
	}
	if (!o->rank) { /* one element */
		t.rank = 1;
		t.dim[0] = 1;
		t.stride[0] = dtype_bytes(o->dtype, 1);
	}
	uint32_t slot = e->slot;
	bool known = false;
	for (uint32_t k = 0; k < e->rings.n && !known; k++)
		if (e->rings.at[k].o == o) slot = e->rings.at[k].slot, known = true;
	if (!known) {
		if (early) {
			slot = PEARL_DESCS - 2 - (uint32_t)e->rings.n;
			vec_push(e->c->arena, &e->rings, (__typeof__(*e->rings.at)){0});
			e->rings.at[e->rings.n - 1].o = o;
			e->rings.at[e->rings.n - 1].slot = slot;
			if (slot < 24)
				pearl_fail(e->c, e->c->at,
				           "its staged loops use more ring descriptors than there are");
		} else
			e->slot = (e->slot + 1) % 24;
		PearlInsn *i = out(e, I_LDD);
		i->field[F_LDD_slot] = slot;
		i->field[F_LDD_entry] = pearl_add_desc(e->c->q, &t);
	}
	if (early) return slot;
	if (base->slot)
		set_slot(e, slot, base, slot_bytes, offset);
	else if (base_dynamic)
		setd(e, slot, DF_BASE, 0, offset);
	for (uint32_t d = 0; d < o->rank; d++) {
		if (dynamic[d]) setd(e, slot, DF_DIM, d, o->dim[d]);
		if (o->wide[d]) setd(e, slot, DF_STRIDE, d, o->wide[d]);
	}
	for (uint32_t w = 0; w < o->n_window; w++) {
		if (!dim_is_const(o->window[w].start, NULL)) setd(e, slot, DF_START, w, o->window[w].start);
		if (!dim_is_const(o->window[w].limit, NULL)) setd(e, slot, DF_LIMIT, w, o->window[w].limit);
	}
	return slot;
}

static void emit_insn(Emitter *e, const Insn *n)
{
	uint32_t slot[4], reg[3];
	/* what the instruction before computed stays known, unless it belongs to another iteration */
	if (e->known_stage != n->stage || n->defines) forget(e);
	e->stage = e->known_stage = n->stage;
	for (uint32_t k = 0; k < 4; k++)
		slot[k] = n->arg[k].store ? descriptor(e, &n->arg[k], false) : PEARL_NONE;
	if (e->next_reg > SHARED_REGS) forget(e);
	for (uint32_t k = 0; k < n->n_reg; k++) reg[k] = value(e, n->reg[k].value);
	uint32_t dst = 0;
	if (n->defines) {
		dst = --e->data_reg;
		vec_push(e->c->arena, &e->data, (__typeof__(*e->data.at)){0});
		e->data.at[e->data.n - 1].sym = n->defines;
		e->data.at[e->data.n - 1].reg = dst;
	}
	PearlInsn *i = out(e, n->op);
	for (uint32_t k = 0; k < 4; k++) {
		i->desc[k] = (uint8_t)slot[k];
		if (n->arg[k].store && is_ring(&n->arg[k])) i->advance |= (uint8_t)(1u << k);
	}
	memcpy(i->field, n->field, sizeof i->field);
	for (uint32_t k = 0; k < n->n_reg; k++) i->field[n->reg[k].field] = reg[k];
	if (n->defines) i->field[F_LDI_dst] = dst;
	memcpy(i->wait, n->wait, sizeof i->wait);
	memcpy(i->signal, n->signal, sizeof i->signal);
	if (n->defines) forget(e);
	e->stage = 0;
}

static void loop_begin(Emitter *e, LoopInfo *l)
{
	if (l->depth >= PEARL_LEVELS)
		pearl_fail(e->c, e->c->at, "its loops are nested deeper than %d levels", PEARL_LEVELS);
	forget(e);
	int64_t n;
	bool fixed = dim_is_const(l->n, &n) && n < (int64_t)1 << 26;
	uint32_t r = fixed ? 0 : value(e, l->n);
	PearlInsn *i = out(e, I_LOOP);
	i->field[F_LOOP_use_imm] = fixed;
	if (fixed)
		i->field[F_LOOP_n] = n < 0 ? 0 : n;
	else
		i->field[F_LOOP_n_reg] = r;
	i->field[F_LOOP_tile] = l->tile;
	i->field[F_LOOP_par] = l->par;
	i->field[F_LOOP_stages] = l->stages > 1 ? l->stages : 0;
	forget(e);
}

static void emit_list(Emitter *e, const StepList *l)
{
	for (const Step *n = l->first; n && !e->c->failed; n = n->next) {
		uint32_t data_reg = e->data_reg;
		size_t data_n = e->data.n;
		switch (n->kind) {
		case FORM_INSN: emit_insn(e, n->insn); continue;
		case FORM_BAR: out(e, I_BAR); continue;
		case FORM_MARK: continue;
		case FORM_LOOP:
			loop_begin(e, n->loop);
			e->loop = n->loop;
			emit_list(e, &n->body);
			e->loop = n->loop->outer;
			forget(e);
			out(e, I_ENDL);
			break;
		case FORM_IF: {
			forget(e);
			uint32_t a = value(e, n->cond.a), b = 0;
			int64_t k;
			bool fixed = dim_is_const(n->cond.b, &k);
			if (!fixed) b = value(e, n->cond.b);
			PearlInsn *i = out(e, I_IF);
			i->field[F_COND_rel] = n->cond.rel;
			i->field[F_COND_a] = a;
			i->field[F_COND_b] = b;
			i->field[F_COND_use_imm] = fixed;
			if (fixed) i->field[F_COND_imm] = k;
			forget(e);
			emit_list(e, &n->body);
			e->data_reg = data_reg;
			e->data.n = data_n;
			forget(e);
			if (n->orelse.first) {
				out(e, I_ELSE);
				emit_list(e, &n->orelse);
				forget(e);
			}
			out(e, I_ENDIF);
			break;
		}
		}
		e->data_reg = data_reg;
		e->data.n = data_n;
	}
}

/* Ring positions live through a whole kernel: their descriptors are loaded once, before everything. */
static void load_rings(Emitter *e, const StepList *l)
{
	for (const Step *n = l->first; n; n = n->next) {
		LoopInfo *outer = e->loop;
		if (n->kind == FORM_LOOP) e->loop = n->loop;
		load_rings(e, &n->body);
		load_rings(e, &n->orelse);
		e->loop = outer;
		for (uint32_t k = 0; n->kind == FORM_INSN && k < 4; k++)
			if (is_ring(&n->insn->arg[k])) descriptor(e, &n->insn->arg[k], true);
	}
}

void emit_kernel(Compiler *c, StepList *body)
{
	Emitter e = {.c = c, .loop = c->loop, .data_reg = PEARL_REGS};
	load_rings(&e, body);
	emit_list(&e, body);
}

void emit_values(Compiler *c, uint32_t n, const Dim *v, const uint8_t *into)
{
	Emitter e = {.c = c, .loop = c->loop, .data_reg = PEARL_REGS};
	for (uint32_t k = 0; k < n; k++)
		if (into[k] < e.data_reg) e.data_reg = into[k];
	for (uint32_t k = 0; k < n && !c->failed; k++) {
		forget(&e);
		uint32_t r = value(&e, v[k]);
		alu_imm(&e, I_ADD, into[k], r, 0);
	}
}

void emit_loop_begin(Compiler *c, LoopInfo *l)
{
	Emitter e = {.c = c, .loop = c->loop, .data_reg = PEARL_REGS};
	loop_begin(&e, l);
}
