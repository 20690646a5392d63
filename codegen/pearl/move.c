/* move.c: copies between memories: bring, and the storing half of put. The type is converted on the
 * way. What lies outside a buffer reads as the access's else value through descriptor windows. */
#include "codegen/pearl/internal.h"
#include <string.h>

static bool may_leave(Compiler *c, const Work *w, const TileAccess *x, uint32_t d)
{
	int64_t lo, hi;
	Dim index = x->index[d];
	/* the furthest elements: every variable at its ends */
	Dim low = index, high = index;
	DimPool *p = c->p->dims;
	for (uint32_t v = 0; v < w->n_space; v++) {
		Dim factor = access_factor(c, w, x, d, w->space[v].sym);
		int64_t k = 1;
		if (!factor) return true;
		if (dim_is_const(factor, &k) && !k) continue;
		if (!dim_is_const(factor, &k) && least(c, factor) < 0) return true;
		Dim zero = dim_mul(p, dim_sym(p, w->space[v].sym), dim_mulc(p, factor, -1));
		Dim end = dim_mul(p, dim_addc(p, w->space[v].extent, -1), factor);
		low = dim_add(p, low, zero);
		high = dim_add(p, high, zero);
		if (k < 0)
			low = dim_add(p, low, end);
		else
			high = dim_add(p, high, end);
	}
	dim_range(&c->facts, low, &lo, &hi);
	if (lo < 0) return true;
	dim_range(&c->facts, dim_sub(c->p->dims, x->obj->dims[d], high), &lo, &hi);
	return lo < 1;
}

/* Leaves at most `rank` variables in w: those of extent 1 go first, then loops over the outermost. */
static void reduce_rank(Compiler *c, Work *w, uint32_t rank, Chunk *open, uint32_t *n)
{
	for (uint32_t v = w->n_space; v-- > 0 && w->n_space > rank;)
		if (greatest(c, w->space[v].extent) == 1) work_drop(c, w, v);
	while (w->n_space > rank) open[(*n)++] = chunk_open(c, w, 0, 1);
}

/* Brings the variable that numbers the rows (w->in[1]) to the front; where there are several, the
 * others become loops, and where there is none, one of extent 1 is made. */
static void rows_first(Compiler *c, Work *w, Chunk *open, uint32_t *n_open)
{
	uint32_t n = 0, lead = 0;
	DimPool *p = c->p->dims;
	for (uint32_t v = 0; v < w->n_space; v++)
		if (access_mentions(&w->in[1], w->space[v].sym)) n++;
	if (!n) {
		Dim zero = dim_const(p, 0);
		if (w->n_space == TILE_SPACE) open[(*n_open)++] = loop_over(c, w, 0);
		w->space[w->n_space++] =
			(TileVar){dim_sym_new(p, intern_str(c->p->names, "r"), SYM_LOOP, zero, zero, c->at),
		              dim_const(p, 1)};
		lead = w->n_space - 1;
	}
	for (uint32_t v = 0; n > 1; n--) {
		while (!access_mentions(&w->in[1], w->space[v].sym)) v++;
		open[(*n_open)++] = loop_over(c, w, v);
	}
	for (uint32_t v = 0; n && v < w->n_space; v++)
		if (access_mentions(&w->in[1], w->space[v].sym)) lead = v;
	TileVar first = w->space[lead];
	memmove(&w->space[1], &w->space[0], lead * sizeof w->space[0]);
	w->space[0] = first;
	for (uint32_t v = w->n_space; v-- > 1 && w->n_space > PEARL_RANK;)
		if (greatest(c, w->space[v].extent) == 1) work_drop(c, w, v);
	while (w->n_space > PEARL_RANK) open[(*n_open)++] = loop_over(c, w, 1);
}

static void move_gather(Compiler *c, Work *w)
{
	TileAccess *x = &w->in[0];
	TileAccess rows = *x->rows;
	if (x->has_else) {
		pearl_fail(c, c->at, "rows of `%s` gathered with an else value are not supported on Pearl",
		           x->obj->name);
		return;
	}
	stage_in(c, w, &rows, DT_I32);
	w->in[1] = rows;
	w->n_in = 2;
	Chunk open[2 * TILE_SPACE];
	uint32_t n_open = 0, order[TILE_SPACE], n = 0;
	rows_first(c, w, open, &n_open);
	for (uint32_t v = 0; v < w->n_space; v++) order[n++] = v;
	Insn *i = insn_add(c, I_L_GATHER);
	i->arg[0] = operand_of(c, w, &w->out[0], order, n, false, true);
	TileAccess source = *x;
	source.rows = NULL;
	source.index[x->rows_dim] = dim_const(c->p->dims, 0);
	i->arg[1] = operand_of(c, w, &source, order, n, true, false);
	i->arg[1].stride[0] = access_store(c, x)->stride[x->rows_dim];
	i->arg[1].wide[0] = NULL;
	i->arg[2] = operand_of(c, w, &w->in[1], order, 1, true, false);
	i->field[F_DMA_fill] = float_bits(0);
	i->field[F_DMA_check] = tile_check_number(c->p, x->check);
	i->reg[i->n_reg].field = F_DMA_limit;
	i->reg[i->n_reg++].value = x->obj->dims[x->rows_dim];
	while (n_open) chunk_close(c, open[--n_open]);
}

/* sure: dims whose index is known to lie inside, as bits. */
static void move_dma(Compiler *c, Work *w, uint32_t sure);

static Step *if_open(Compiler *c, TileRel rel, Dim a, Dim b, StepList **saved)
{
	Step *n = step_add(c, FORM_IF);
	n->cond = (TileCond){rel, a, b};
	*saved = c->list;
	c->list = &n->body;
	return n;
}

/* A dim that may be left and has no window: position by position, first filled, then copied where the
 * position lies inside. */
static void move_guarded(Compiler *c, Work *w, uint32_t d, uint32_t sure)
{
	DimPool *p = c->p->dims;
	TileAccess *x = &w->in[0];
	Chunk open[TILE_SPACE];
	uint32_t n_open = 0, order[TILE_SPACE], n = 0;
	for (uint32_t v = 0; v < w->n_space;) {
		if (x->index[d] && dim_mentions(x->index[d], w->space[v].sym))
			open[n_open++] = loop_over(c, w, v);
		else
			v++;
	}
	reduce_rank(c, w, PEARL_RANK, open, &n_open);
	for (uint32_t v = 0; v < w->n_space; v++) order[n++] = v;
	Insn *fill = insn_add(c, I_V_FILL);
	fill->arg[0] = operand_of(c, w, &w->out[0], order, n, false, true);
	if (dtype_is_float(fill->arg[0].dtype)) {
		fill->field[F_VEC_imm] = float_bits(x->else_value);
	} else {
		fill->field[F_VEC_use_reg] = 1;
		fill->reg[fill->n_reg].field = F_VEC_reg;
		fill->reg[fill->n_reg++].value = dim_const(p, (int64_t)x->else_value);
	}
	Dim at = x->index[d], zero = dim_const(p, 0);
	StepList *outside, *half;
	size_t facts = c->facts.nonneg.n;
	if_open(c, REL_LE, zero, at, &outside);
	if_open(c, REL_LT, at, x->obj->dims[d], &half);
	vec_push(c->arena, &c->facts.nonneg, at);
	vec_push(c->arena, &c->facts.nonneg, dim_addc(p, dim_sub(p, x->obj->dims[d], at), -1));
	/* as it is, said so that the bounds of the address show it */
	x->index[d] = dim_max(p, zero, dim_min(p, at, dim_addc(p, x->obj->dims[d], -1)));
	move_dma(c, w, sure | 1u << d);
	c->facts.nonneg.n = facts;
	c->list = outside;
	while (n_open) chunk_close(c, open[--n_open]);
}

static void move_dma(Compiler *c, Work *w, uint32_t sure)
{
	TileAccess *x = &w->in[0];
	DimPool *p = c->p->dims;
	bool leaves[TILE_RANK] = {0};
	if (x->has_else)
		for (uint32_t d = 0; d < x->obj->rank; d++) {
			if (!x->index[d] || sure >> d & 1 || !may_leave(c, w, x, d)) continue;
			leaves[d] = true;
			uint32_t vars = 0;
			bool plain = true;
			for (uint32_t v = 0; v < w->n_space; v++) {
				int64_t k = access_coef(c, x, d, w->space[v].sym);
				vars += k != 0;
				if (k != 0 && k != 1) plain = false;
			}
			if (vars > 1 || !plain) {
				/* a window counts in steps of one: copy the dense box, then pick */
				TileAccess from = *x;
				Work pick = *w;
				stage_in(c, w, &from, NUM_DTYPES);
				pick.in[0] = from;
				move_in(c, &pick);
				return;
			}
		}
	for (uint32_t d = 0, count = 0; d < x->obj->rank; d++) {
		count += leaves[d];
		if (count < 3) continue;
		move_guarded(c, w, d, sure);
		return;
	}
	Chunk open[TILE_SPACE];
	uint32_t n_open = 0, fixed = 0;
	for (uint32_t d = 0; d < x->obj->rank; d++) {
		bool any = false;
		for (uint32_t v = 0; v < w->n_space; v++)
			any |= x->index[d] && dim_mentions(x->index[d], w->space[v].sym);
		if (leaves[d] && !any) fixed++;
	}
	reduce_rank(c, w, PEARL_RANK - fixed, open, &n_open);
	uint32_t order[TILE_SPACE], n = 0;
	for (uint32_t v = 0; v < w->n_space; v++) order[n++] = v;
	Operand to = operand_of(c, w, &w->out[0], order, n, false, true);
	Operand from = operand_of(c, w, x, order, n, true, false);
	Store *s = access_store(c, x);
	for (uint32_t d = 0; d < x->obj->rank; d++) {
		if (!leaves[d]) continue;
		Dim start = x->index[d];
		uint32_t at = n;
		for (uint32_t v = 0; v < w->n_space; v++)
			if (access_coef(c, x, d, w->space[v].sym)) {
				at = v;
				start = dim_sub(p, start, dim_sym(p, w->space[v].sym));
			}
		if (at == n) { /* the whole access lies at one position of d */
			at = from.rank;
			from.dim[at] = to.dim[at] = dim_const(p, 1);
			from.stride[at] = s->stride[d];
			to.stride[at] = 0;
			from.rank = to.rank = at + 1;
		}
		from.offset = dim_sub(p, from.offset, dim_mulc(p, start, s->stride[d]));
		if (from.n_window == 2) {
			pearl_fail(c, c->at, "`%s` may be read outside in more than two dimensions",
			           x->obj->name);
			break;
		}
		from.window[from.n_window].on = true;
		from.window[from.n_window].dim = (uint8_t)at;
		from.window[from.n_window].start = start;
		from.window[from.n_window++].limit = x->obj->dims[d];
	}
	Insn *i = insn_add(c, I_L_DMA);
	i->arg[0] = to;
	i->arg[1] = from;
	i->field[F_DMA_fill] = float_bits(x->has_else ? x->else_value : 0);
	while (n_open) chunk_close(c, open[--n_open]);
}

/* SPM or ACC to SPM, on the vector unit (ACC of floats, two-dimensional: on the drain). */
static void move_inside(Compiler *c, Work *w)
{
	Chunk open[TILE_SPACE];
	uint32_t n_open = 0;
	reduce_rank(c, w, PEARL_RANK, open, &n_open);
	uint32_t order[TILE_SPACE], n = 0;
	for (uint32_t v = 0; v < w->n_space; v++) order[n++] = v;
	Insn *i = insn_add(c, I_V_UN);
	i->field[F_VEC_func] = VF_COPY;
	i->arg[0] = operand_of(c, w, &w->out[0], order, n, false, true);
	i->arg[1] = operand_of(c, w, &w->in[0], order, n, true, false);
	while (n_open) chunk_close(c, open[--n_open]);
}

void move_in(Compiler *c, Work *w)
{
	w->in[0] = access_resolve(c, &w->in[0]);
	PearlSpace from = access_store(c, &w->in[0])->space;
	if (from == SPACE_SPM || from == SPACE_ACC)
		move_inside(c, w);
	else if (w->in[0].rows)
		move_gather(c, w);
	else
		move_dma(c, w, 0);
}

/* The space of w is stored at `to` (HBM or GSM) from `from` (SPM). */
void store_out(Compiler *c, const Work *in, TileAccess from, const TileAccess *to, bool add)
{
	Work w = *in;
	w.s = NULL;
	w.n_in = w.n_out = 1;
	w.in[0] = from;
	w.out[0] = *to;
	Chunk open[TILE_SPACE];
	uint32_t n_open = 0;
	TileAccess rows;
	bool scatter = to->rows != NULL;
	if (scatter) {
		rows = *to->rows;
		stage_in(c, &w, &rows, DT_I32);
		w.in[1] = rows;
		w.n_in = 2;
		rows_first(c, &w, open, &n_open);
	} else
		reduce_rank(c, &w, PEARL_RANK, open, &n_open);
	uint32_t order[TILE_SPACE], n = 0;
	for (uint32_t v = 0; v < w.n_space; v++) order[n++] = v;
	Insn *i = insn_add(c, scatter ? I_W_SCATTER : I_W_DMA);
	i->arg[1] = operand_of(c, &w, &w.in[0], order, n, true, false);
	TileAccess target = w.out[0];
	target.rows = NULL;
	if (scatter) target.index[to->rows_dim] = dim_const(c->p->dims, 0);
	i->arg[0] = operand_of(c, &w, &target, order, n, add, true);
	i->field[F_DMA_add] = add;
	if (scatter) {
		i->field[F_DMA_check] = tile_check_number(c->p, to->check);
		i->arg[0].stride[0] = access_store(c, &target)->stride[to->rows_dim];
		i->arg[0].wide[0] = NULL;
		i->arg[2] = operand_of(c, &w, &w.in[1], order, 1, true, false);
		i->reg[i->n_reg].field = F_DMA_limit;
		i->reg[i->n_reg++].value = target.obj->dims[to->rows_dim];
	}
	while (n_open) chunk_close(c, open[--n_open]);
}

/* Whether the place of a bring can be a mere name: its index is one variable a dim. */
static bool can_alias(const TileStmt *s)
{
	for (uint32_t d = 0; d < s->out[0].obj->rank; d++) {
		DimSym *v = dim_as_sym(s->out[0].index[d]);
		if (!v) return false;
		for (uint32_t e = 0; e < d; e++)
			if (dim_as_sym(s->out[0].index[e]) == v) return false;
		bool found = false;
		for (uint32_t i = 0; i < s->n_space; i++) found |= s->space[i].sym == v;
		if (!found) return false;
	}
	return s->n_space == s->out[0].obj->rank && !s->in[0].rows;
}

void pearl_lower_bring(Compiler *c, const TileStmt *s)
{
	Binding *b = binding_of(c, s->out[0].obj);
	if (!b) {
		pearl_fail(c, s->span, "`%s` is brought before it is placed", s->out[0].obj->name);
		return;
	}
	TileAccess source = access_resolve(c, &s->in[0]);
	PearlSpace from = access_store(c, &source)->space;
	bool shared = b->obj->level == LEVEL_SHARED;
	if (b->store->space == SPACE_SPM && can_alias(s) && (from == SPACE_HBM || from == SPACE_GSM) &&
	    (shared || b->store->bytes > c->m->spm_bytes / 4) && !b->store->touched) {
		TileAccess *alias = NEW(c->arena, TileAccess);
		*alias = source;
		b->alias = alias;
		b->alias_var = NEW_ARRAY(c->arena, DimSym *, TILE_RANK);
		for (uint32_t d = 0; d < s->out[0].obj->rank; d++)
			b->alias_var[d] = dim_as_sym(s->out[0].index[d]);
		return;
	}
	b->store->touched = true;
	Work w;
	Chunk open[TILE_SPACE];
	uint32_t n_open = 0;
	work_of(&w, s);
	work_linear(c, &w, true, open, &n_open);
	if (b->store->space == SPACE_GSM && !c->par_depth) {
		/* every core brings its share, in parts, so that all have their turn at the memory; the
		 * others see it after a barrier */
		int64_t rows = greatest(c, w.space[0].extent), parts = 4 * c->m->cores,
				share = (rows + parts - 1) / parts;
		Chunk k = chunk_open(c, &w, 0, share);
		if (k.node) k.node->loop->par = k.node->loop->independent = true;
		move_in(c, &w);
		chunk_close(c, k);
		step_add(c, FORM_BAR);
		return;
	}
	move_in(c, &w);
	while (n_open) chunk_close(c, open[--n_open]);
}
