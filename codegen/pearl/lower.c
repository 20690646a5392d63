/* lower.c: kernels and their statements. Chooses where places live, opens the loops, and hands each
 * operation to its file. Outside of par loops every core runs everything; stores there, and whole
 * kernels without a par, are left to core 0 by a par loop of one iteration. */
#include "codegen/pearl/internal.h"
#include <string.h>

/* --- what a kernel does with a place ------------------------------------------------------------- */

typedef struct Uses {
	bool contracted, fed, brought, softmax, other_out;
} Uses;

static void scan_uses(const TileBlock *b, const TileObj *o, Uses *u)
{
	for (const TileStmt *s = b->first; s; s = s->next) {
		scan_uses(&s->body, o, u);
		scan_uses(&s->orelse, o, u);
		for (uint32_t i = 0; i < s->n_out; i++) {
			if (s->out[i].obj != o) continue;
			if (s->op == TILE_CONTRACT)
				u->contracted = true;
			else if (s->op == TILE_BRING)
				u->brought = true;
			else if (s->op == TILE_SOFTMAX_STEP)
				u->softmax = true;
			else
				u->other_out = true;
		}
		for (uint32_t i = 0; i < s->n_in; i++) {
			if (s->in[i].obj == o && s->op == TILE_CONTRACT) u->fed = true;
			if (s->in[i].rows && s->in[i].rows->obj == o) u->fed = true;
		}
		for (uint32_t i = 0; i < s->n_out; i++)
			if (s->out[i].rows && s->out[i].rows->obj == o) u->fed = true;
		if (s->op == TILE_INDEX && s->in[0].obj == o) u->fed = true;
	}
}

/* The softmax step whose state the place is part of: the number of the part (0 m, 1 l, 2 alpha). */
static const TileStmt *state_of(const TileBlock *b, const TileObj *o, uint32_t *part)
{
	for (const TileStmt *s = b->first; s; s = s->next) {
		if (s->op == TILE_SOFTMAX_STEP) {
			if (s->out[2].obj == o) {
				*part = 0;
				return s;
			}
			if (s->out[3].obj == o) {
				*part = 1;
				return s;
			}
			if (s->out[1].obj == o) {
				*part = 2;
				return s;
			}
		}
		const TileStmt *in = state_of(&s->body, o, part);
		if (!in) in = state_of(&s->orelse, o, part);
		if (in) return in;
	}
	return NULL;
}

static bool has_op(const TileBlock *b, TileOp op)
{
	for (const TileStmt *s = b->first; s; s = s->next)
		if (s->op == op || has_op(&s->body, op) || has_op(&s->orelse, op)) return true;
	return false;
}

static Binding *bind(Compiler *c, const TileObj *o, Store *s)
{
	Binding *b = NEW(c->arena, Binding);
	b->obj = o;
	b->store = s;
	b->next = c->bind;
	c->bind = b;
	return b;
}

/* The group of the state: found by one of its parts, or made around the first one placed. */
static Store *state_store(Compiler *c, const TileStmt *step, const TileObj *o, uint32_t part,
                          const int64_t *cap)
{
	int64_t bytes = dtype_bytes(DT_F32, 1);
	for (uint32_t i = 0; i < o->rank; i++) bytes *= cap[i];
	Store *group = NULL;
	for (uint32_t k = 1; k <= 3; k++) {
		Binding *b = binding_of(c, step->out[k].obj);
		if (b && b->store && b->store->group && (!group || b->store->home == c->loop))
			group = b->store->group;
	}
	if (!group || (part == 0 && group->mark)) {
		int64_t whole = 3 * bytes / 4;
		group = store_new(c, "softmax state", SPACE_SPM, DT_F32, 1, &whole);
	}
	if (part == 0) group->mark = 1;
	Store *s = NEW(c->arena, Store);
	*s = (Store){.name = o->name,
	             .space = SPACE_SPM,
	             .dtype = DT_F32,
	             .rank = o->rank,
	             .ring = 1,
	             .region = c->spm_region};
	int64_t run = 4;
	for (uint32_t i = o->rank; i-- > 0;) {
		s->cap[i] = cap[i];
		s->stride[i] = run;
		run *= cap[i];
	}
	s->bytes = bytes;
	s->home = group->home;
	s->group = group;
	s->group_at = (int64_t)part * bytes;
	return s;
}

/* Whether alpha has the shape of m and the step indexes both alike. */
static bool beside_maximum(const TileStmt *step)
{
	const TileAccess *alpha = &step->out[1], *m = &step->out[2];
	if (alpha->obj->rank != m->obj->rank) return false;
	for (uint32_t d = 0; d < m->obj->rank; d++)
		if (alpha->obj->dims[d] != m->obj->dims[d] || alpha->index[d] != m->index[d]) return false;
	return true;
}

static void lower_place(Compiler *c, const TileStmt *s)
{
	const TileObj *o = s->place;
	int64_t cap[TILE_RANK], rows = 1;
	for (uint32_t i = 0; i < o->rank; i++) {
		if (!dim_is_const(o->dims[i], &cap[i])) {
			pearl_fail(c, s->span, "the capacity of `%s` is not constant", o->name);
			return;
		}
		if (i + 1 < o->rank) rows *= cap[i];
	}
	uint32_t part = 0;
	const TileStmt *step = state_of(&c->kernel->body, o, &part);
	/* in a staged loop alpha is copied out, so that the next step need not wait for its readers; and
	 * where it does not lie beside m as the step wants it */
	bool own = part == 2 && ((c->loop && c->loop->stages > 1) || !beside_maximum(step));
	if (step && o->dtype == DT_F32 && !own) {
		bind(c, o, state_store(c, step, o, part, cap));
		return;
	}
	Uses u = {0};
	scan_uses(&c->kernel->body, o, &u);
	PearlSpace space = SPACE_SPM;
	if (o->level == LEVEL_SHARED && c->m->gsm_bytes > 0 && !c->par_depth)
		space = SPACE_GSM;
	else if (u.contracted && !u.fed && !u.brought && o->rank >= 1 &&
	         cap[o->rank - 1] <= c->m->array_cols && o->level != LEVEL_NEAR &&
	         (o->dtype == DT_F32 || o->dtype == DT_I32) &&
	         c->acc_used + rows <= c->m->acc_rows * 3 / 4) {
		space = SPACE_ACC;
		c->acc_used += rows;
	}
	if (space == SPACE_GSM) {
		int64_t bytes = dtype_bytes(o->dtype, 1);
		for (uint32_t i = 0; i < o->rank; i++) bytes *= cap[i];
		if (c->gsm_used + bytes > c->m->gsm_bytes) space = SPACE_SPM;
	}
	Store *made = store_new(c, o->name, space, o->dtype, o->rank, cap);
	if (space == SPACE_GSM) {
		made->base = c->gsm_used;
		c->gsm_used += round_up(made->bytes, 512);
	}
	bind(c, o, made);
}

/* Index d of an access as base + one variable of the statement (NULL: none), with the variable's
 * extent; false when it is otherwise. */
static bool one_variable(Compiler *c, const TileStmt *s, Dim index, DimSym **var, Dim *extent,
                         Dim *base)
{
	*var = NULL;
	*base = index;
	*extent = dim_const(c->p->dims, 1);
	for (uint32_t v = 0; v < s->n_space; v++) {
		Dim factor, rest;
		int64_t one;
		DimSym *x = s->space[v].sym;
		if (!dim_mentions(*base, x)) continue;
		if (*var || !dim_linear_in(c->p->dims, *base, x, &factor, &rest) ||
		    !dim_is_const(factor, &one) || one != 1)
			return false;
		*var = x;
		*base = rest;
		*extent = s->space[v].extent;
	}
	return true;
}

/* The part of `o` that the map and the product both write, as a place of its own: its capacity, and
 * the index of each. False when they write different parts. */
static bool same_part(Compiler *c, const TileStmt *map, const TileStmt *product, int64_t *cap,
                      TileAccess *by_map, TileAccess *by_product)
{
	const TileObj *o = map->out[0].obj;
	DimPool *p = c->p->dims;
	*by_map = map->out[0];
	*by_product = product->out[0];
	for (uint32_t d = 0; d < o->rank; d++) {
		DimSym *x, *y;
		Dim n, m, a, b;
		if (!one_variable(c, map, map->out[0].index[d], &x, &n, &a) ||
		    !one_variable(c, product, product->out[0].index[d], &y, &m, &b) || a != b || n != m ||
		    !x != !y)
			return false;
		cap[d] = greatest(c, n);
		by_map->index[d] = x ? dim_sym(p, x) : dim_const(p, 0);
		by_product->index[d] = y ? dim_sym(p, y) : dim_const(p, 0);
	}
	return true;
}

/* `acc = acc * alpha` before `acc += p * v` of a staged loop becomes `u = p * v; acc = acc * alpha + u`,
 * so that the product does not wait for the scaling. */
static bool rescaled_product(Compiler *c, const TileStmt *s)
{
	const TileStmt *product = s->next;
	const Region *r = &s->region;
	if (s->op != TILE_MAP || !product || product->op != TILE_CONTRACT || !product->accumulate ||
	    s->n_out != 1 || s->n_in != 2 || r->n_out != 1)
		return false;
	const RegionNode *mul = &r->node[r->out[0]];
	const TileObj *o = s->out[0].obj;
	if (o != product->out[0].obj || s->in[0].obj != o || s->in[1].obj == o ||
	    mul->kind != RN_CALL || mul->f != SC_MUL || r->n != 3)
		return false;
	if (!c->loop || c->loop->stages < 2) return false;
	for (uint32_t d = 0; d < o->rank; d++)
		if (s->in[0].index[d] != s->out[0].index[d]) return false;
	int64_t cap[TILE_RANK], rows = 1;
	TileStmt first = *product, then = *s;
	if (!same_part(c, s, product, cap, &then.in[2], &first.out[0])) return false;
	for (uint32_t d = 0; d + 1 < o->rank; d++) rows *= cap[d];
	PearlSpace space = binding_store(c, o)->space;
	bool wide = !o->rank || cap[o->rank - 1] > c->m->array_cols;
	if ((space != SPACE_ACC && space != SPACE_SPM) || o->dtype != DT_F32 || wide ||
	    c->acc_used + 3 * rows > c->m->acc_rows)
		return false;
	c->acc_used += rows;
	TileObj *u = temp_obj(c, SPACE_ACC, o->dtype, o->rank, cap);
	first.out[0].obj = u;
	first.accumulate = false;
	pearl_lower_contract(c, &first);
	then.n_in = 3;
	then.in[2].obj = u;
	then.region.n_arg = 3;
	then.region.n = 4;
	then.region.node = NEW_ARRAY(c->arena, RegionNode, 4);
	then.region.out = NEW_ARRAY(c->arena, uint16_t, 1);
	for (uint16_t k = 0; k < 3; k++)
		then.region.node[k] = (RegionNode){.kind = RN_ARG, .type = DT_F32, .index = k};
	then.region.node[3] =
		(RegionNode){.kind = RN_CALL, .type = DT_F32, .f = SC_FMA, .arg = {0, 1, 2}};
	then.region.out[0] = 3;
	pearl_lower_map(c, &then);
	return true;
}

/* --- control ---------------------------------------------------------------------------------------- */

static bool perfect(const TileBlock *b)
{
	return b->first && !b->first->next && b->first->op == TILE_PAR;
}

static void lower_loop(Compiler *c, const TileStmt *s, bool inside_perfect)
{
	bool par = s->op == TILE_PAR && (c->par_depth == 0 || inside_perfect);
	StepList *saved = c->list;
	Step *n = loop_open(c, s->var, s->len, s->lo, dim_sub(c->p->dims, s->hi, s->lo),
	                    s->by > 0 ? s->by : 1, par);
	n->loop->stages = s->op == TILE_SPLIT ? 0 : s->stages;
	n->loop->independent = s->op == TILE_PAR;
	c->list = &n->body;
	bool was_top = c->par_depth == 0;
	c->par_depth += par;
	if (s->op == TILE_PAR && perfect(&s->body))
		lower_loop(c, s->body.first, par);
	else
		pearl_lower_block(c, &s->body);
	c->par_depth -= par;
	loop_close(c, n, saved);
	/* what other cores wrote is read by what follows, or by the next iteration of a loop around */
	if (par && was_top && c->par_depth == 0 && (s->next || c->loop)) step_add(c, FORM_BAR);
}

static void lower_if(Compiler *c, const TileStmt *s, uint32_t k)
{
	if (k == s->n_cond) {
		pearl_lower_block(c, &s->body);
		return;
	}
	Step *n = step_add(c, FORM_IF);
	StepList *saved = c->list;
	n->cond = s->cond[k];
	c->list = &n->body;
	lower_if(c, s, k + 1);
	c->list = &n->orelse;
	pearl_lower_block(c, &s->orelse);
	c->list = saved;
}

/* A part that only core 0 runs. */
static Step *alone_open(Compiler *c)
{
	DimPool *p = c->p->dims;
	Step *n = loop_open(c, NULL, NULL, dim_const(p, 0), dim_const(p, 1), 1, true);
	c->list = &n->body;
	c->par_depth++;
	return n;
}

static void lower_index(Compiler *c, const TileStmt *s)
{
	Work w;
	work_of(&w, s);
	w.n_space = 0;
	TileAccess x = s->in[0];
	x = access_resolve(c, &x);
	if (access_store(c, &x)->space == SPACE_SPM) {
		/* a copy of its own, so that what the scalar unit waits for is in this block */
		Work copy = w;
		TileAccess y = {0};
		int64_t one = 1;
		y.obj = temp_obj(c, SPACE_SPM, DT_I32, 1, &one);
		y.index[0] = dim_const(c->p->dims, 0);
		copy.s = NULL;
		copy.n_in = copy.n_out = copy.n_space = 1;
		copy.space[0] = (TileVar){dim_sym_new(c->p->dims, "b", SYM_LOOP, dim_const(c->p->dims, 0),
		                                      dim_const(c->p->dims, 0), c->at),
		                          dim_const(c->p->dims, 1)};
		copy.in[0] = x;
		copy.out[0] = y;
		move_in(c, &copy);
		x = y;
	} else
		stage_in(c, &w, &x, DT_I32);
	Insn *i = insn_add(c, I_LDI);
	i->arg[0] = operand_of(c, &w, &x, NULL, 0, true, false);
	i->arg[0].rank = 1;
	i->arg[0].dim[0] = dim_const(c->p->dims, 1);
	i->arg[0].stride[0] = 4;
	i->defines = s->var;
	i->field[F_LDI_check] = tile_check_number(c->p, s->in[0].check);
	i->reg[0].field = F_LDI_lo;
	i->reg[0].value = s->var->lo;
	i->reg[1].field = F_LDI_hi;
	i->reg[1].value = s->var->hi;
	i->n_reg = 2;
}

static void lower_put(Compiler *c, const TileStmt *s)
{
	if (c->par_depth) {
		pearl_lower_map(c, s);
		return;
	}
	StepList *saved = c->list;
	Step *n = alone_open(c);
	pearl_lower_map(c, s);
	c->par_depth--;
	loop_close(c, n, saved);
	step_add(c, FORM_BAR);
}

void pearl_lower_block(Compiler *c, const TileBlock *b)
{
	int64_t acc_used = c->acc_used; /* places end with their block */
	for (const TileStmt *s = b->first; s && !c->failed; s = s->next) {
		c->at = s->span;
		switch (s->op) {
		case TILE_PAR:
		case TILE_FOR:
		case TILE_SPLIT: lower_loop(c, s, false); break;
		case TILE_IF:
			if (mask_matches(c, s)) {
				pearl_lower_softmax(c, s->next, NULL, s->body.first);
				s = s->next;
			} else
				lower_if(c, s, 0);
			break;
		case TILE_PLACE: lower_place(c, s); break;
		case TILE_INDEX: lower_index(c, s); break;
		case TILE_BRING: pearl_lower_bring(c, s); break;
		case TILE_MAP:
			if (rescaled_product(c, s))
				s = s->next;
			else
				pearl_lower_map(c, s);
			break;
		case TILE_PUT: lower_put(c, s); break;
		case TILE_CONTRACT: pearl_lower_contract(c, s); break;
		case TILE_REDUCE: pearl_lower_reduce(c, s); break;
		case TILE_SOFTMAX_STEP: pearl_lower_softmax(c, s, NULL, NULL); break;
		case TILE_SCAN:
		case TILE_TOPK:
		case TILE_SORT: pearl_lower_ordered(c, s); break;
		case NUM_TILE_OPS: break;
		}
	}
	c->acc_used = acc_used;
}

/* --- kernels and entries ------------------------------------------------------------------------------ */

/* Strides of a formal whose dims are not those of the buffer that it is given: row-major, which is
 * right when on both sides only the outermost dim is symbolic. */
static bool dense_strides(Compiler *c, const TileObj *formal, const Store *actual, uint32_t lead,
                          Store *s)
{
	int64_t run = dtype_bytes(s->dtype, 1), k;
	const TileObj *buf = c->p->bufs.at[actual->buffer];
	for (uint32_t i = lead + 1; i < buf->rank; i++)
		if (!dim_is_const(buf->dims[i], NULL)) return false;
	for (uint32_t i = formal->rank; i-- > 0;) {
		s->stride[i] = run;
		s->cap[i] = greatest(c, formal->dims[i]);
		if (i && !dim_is_const(formal->dims[i], NULL)) return false;
		k = s->cap[i] > 0 ? s->cap[i] : 1;
		if (__builtin_mul_overflow(run, k, &run)) return false;
	}
	return true;
}

static void bind_formals(Compiler *c, const TileStep *step)
{
	for (uint32_t k = 0; k < step->kernel->bufs.n; k++) {
		const TileObj *formal = step->kernel->bufs.at[k];
		const TileArg *arg = &step->args[k];
		const Store *actual = c->buf[arg->buf->id];
		Store *s = NEW(c->arena, Store);
		*s = *actual;
		s->name = formal->name;
		s->rank = formal->rank;
		Dim offset = dim_const(c->p->dims, 0);
		for (uint32_t i = 0; i < arg->n_lead; i++)
			offset =
				dim_add(c->p->dims, offset, dim_mulc(c->p->dims, arg->lead[i], actual->stride[i]));
		bool same = formal->rank + arg->n_lead == arg->buf->rank;
		for (uint32_t i = 0; i < formal->rank && same; i++) {
			same = formal->dims[i] == arg->buf->dims[i + arg->n_lead];
			s->cap[i] = actual->cap[i + arg->n_lead];
			s->stride[i] = actual->stride[i + arg->n_lead];
		}
		if (!same && !dense_strides(c, formal, actual, arg->n_lead, s))
			pearl_fail(c, formal->span,
			           "`%s` is another shape of `%s`, of which an inner dim is symbolic",
			           formal->name, arg->buf->name);
		s->offset = offset;
		bind(c, formal, s);
	}
}

/* Lowers, schedules and allocates; false (without a message) when memory did not suffice. */
static bool try_kernel(Compiler *c, const TileStep *step, int64_t budget, StepList *body)
{
	c->bind = NULL;
	c->stores.n = 0;
	c->acc_used = c->gsm_used = 0;
	c->temps = 0;
	c->ring_descriptors = 0;
	c->par_depth = 0;
	c->spm_budget = budget;
	c->list = body;
	*body = (StepList){0};
	c->has_par = has_op(&c->kernel->body, TILE_PAR);
	LoopInfo *outer = c->loop;
	bind_formals(c, step);
	if (c->has_par)
		pearl_lower_block(c, &c->kernel->body);
	else {
		Step *n = alone_open(c);
		pearl_lower_block(c, &c->kernel->body);
		loop_close(c, n, body);
	}
	c->loop = outer;
	if (c->failed) return false;
	schedule_kernel(c, body);
	return allocate_kernel(c, body) && tokens_possible(c, body);
}

static void link_launch(Compiler *c, const TileStep *step)
{
	c->bind = NULL;
	bind_formals(c, step);
	PearlInsn *mark = pearl_emit(c->q, I_MARK);
	mark->field[F_MARK_number] = step->number;
	if (!c->failed) pearl_link(c, step);
	pearl_emit(c->q, I_BAR);
	c->kernel = NULL;
}

/* What may make a kernel less deep that is nested too deep; false: nothing that was not done. */
static bool less_deep(Compiler *c)
{
	if (pearl_drop_single(c)) return true;
	if (c->shallow) return false;
	return c->shallow = true;
}

static void lower_launch(Compiler *c, const TileStep *step)
{
	c->shallow = false;
	c->kernel = step->kernel;
	c->at = step->kernel->span;
	if (step->kernel->hand) {
		link_launch(c, step);
		return;
	}
	StepList body;
	int64_t budget = c->m->spm_bytes / 3;
	bool done = false;
	for (int attempt = 0; attempt < 7 && !done && !c->failed; attempt++) {
		c->no_stages = attempt > 0; /* rings cost memory: they go first */
		done = try_kernel(c, step, budget, &body);
		if (!c->failed && pearl_too_deep(&body) && less_deep(c)) {
			done = false;
			attempt--;
			continue;
		}
		if (attempt > 0) budget /= 2;
	}
	if (c->failed) return;
	if (!done) {
		Store *largest = NULL;
		for (uint32_t i = 0; i < c->stores.n; i++)
			if (!largest || c->stores.at[i]->bytes > largest->bytes) largest = c->stores.at[i];
		pearl_fail(
			c, step->kernel->span,
			"its places do not fit the memories of `%s`; the largest, `%s`, takes %lld bytes",
			c->m->name, largest ? largest->name : "?", (long long)(largest ? largest->bytes : 0));
		return;
	}
	tokens_kernel(c, &body);
	PearlInsn *mark = pearl_emit(c->q, I_MARK);
	mark->field[F_MARK_number] = step->number;
	emit_kernel(c, &body);
	pearl_emit(c->q, I_BAR);
	c->kernel = NULL;
}

static void lower_steps(Compiler *c, const TileStep *step)
{
	for (; step && !c->failed; step = step->next) {
		if (step->kind == STEP_LAUNCH) {
			lower_launch(c, step);
			continue;
		}
		LoopInfo *l = NEW(c->arena, LoopInfo);
		*l = (LoopInfo){.var = step->var,
		                .lo = dim_const(c->p->dims, 0),
		                .n = step->count,
		                .tile = 1,
		                .outer = c->loop,
		                .depth = c->loop ? c->loop->depth + 1 : 0};
		emit_loop_begin(c, l);
		c->loop = l;
		lower_steps(c, step->body);
		pearl_emit(c->q, I_ENDL);
		c->loop = l->outer;
	}
}

void pearl_lower_entry(Compiler *c, const TileEntry *e, uint32_t number)
{
	PearlCode code = {.name = e->name, .first = (uint32_t)c->q->code.n};
	(void)number;
	c->loop = NULL;
	size_t facts = c->facts.nonneg.n;
	for (size_t i = 0; i < e->require.n; i++)
		vec_push(c->arena, &c->facts.nonneg, e->require.at[i]);
	lower_steps(c, e->steps);
	c->facts.nonneg.n = facts;
	code.count = (uint32_t)c->q->code.n - code.first;
	vec_push(c->q->arena, &c->q->entries, code);
}
