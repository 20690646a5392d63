/* Kernels, blocks, loops and places. A kernel is one function that every thread calls. Outside of
 * `par`, control flow is the same in all threads: operations on places are done by each in its own
 * memory, buffers are written by thread 0, and barriers stand where data crosses threads. */
#include "codegen/cpu/emit.h"
#include <string.h>

void unsupported(Gen *g, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *what = arena_vprintf(g->arena, fmt, ap);
	va_end(ap);
	diag_error(g->diags, at, "not supported on the CPU: %s (kernel `%s`)", what,
	           g->kernel ? g->kernel->name : "?");
}

/* --- places --- */

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* Row-major; rows are whole cache lines, and of two dimensions or more not multiples of 1 KiB, which
 * would fall on few sets of the cache. */
static void place_home(Gen *g, const TileObj *o)
{
	Home *h = &g->place[o->id];
	*h = (Home){.obj = o, .dtype = o->dtype, .scratch = true};
	uint64_t bits = dtype_bits(o->dtype), size = 1;
	int64_t dims[TILE_RANK];
	for (uint32_t d = 0; d < o->rank; d++)
		if (!index_const(o->dims[d], &dims[d]) || dims[d] < 0) {
			unsupported(g, o->span, "the capacity of place `%s` is not constant", o->name);
			dims[d] = 1;
		}
	if (o->rank) {
		uint64_t row = round_up((uint64_t)dims[o->rank - 1] * bits, 512) / 8; /* bytes */
		if (o->rank > 1 && row % 1024 == 0) row += 64;
		size = row * 8 / bits; /* elements */
		if (bits >= 8) size = row;
		h->stride[o->rank - 1] = const_i64(g, bits >= 8 ? (int64_t)bits / 8 : 1);
		for (uint32_t d = o->rank - 1; d-- > 0;) {
			h->stride[d] = const_i64(g, (int64_t)size);
			if (__builtin_mul_overflow(size, (uint64_t)dims[d], &size)) size = UINT64_MAX / 4;
		}
		if (bits < 8) size = (size + 1) / 2;
	} else
		size = 64;
	uint64_t at = g->scratch_used;
	g->scratch_used = round_up(at + size, 64) + 64; /* whole vectors may be read past the end */
	if (g->scratch_used > g->scratch_peak) g->scratch_peak = g->scratch_used;
	if (g->scratch_used > (uint64_t)1 << 32)
		unsupported(g, o->span, "place `%s` is too large", o->name);
	h->base = ptr_addc(g, g->scratch, (int64_t)at);
}

TileObj *place_new(Gen *g, DType t, uint32_t rank, const int64_t *dims)
{
	TileObj *o = NEW(g->arena, TileObj);
	o->name = "(staged)";
	o->kind = TB_PLACE;
	o->dtype = t;
	o->rank = rank;
	for (uint32_t d = 0; d < rank; d++) o->dims[d] = dim_const(g->program->dims, dims[d]);
	if (g->n_place == g->max_place) {
		unsupported(g, span_none(), "more than %d staged operands in a kernel", STAGED_PLACES);
		g->n_place--;
	}
	o->id = g->n_place++;
	place_home(g, o);
	return o;
}

/* --- loops --- */

static int64_t common_divisor(int64_t a, int64_t b)
{
	while (b) {
		int64_t t = a % b;
		a = b;
		b = t;
	}
	return a < 0 ? -a : a;
}

static int64_t multiple_of(Dim lo, int64_t by)
{
	int64_t c;
	return index_const(lo, &c) ? common_divisor(c, by) : 1;
}

/* Binds offset and length of the iteration at `offset` of a par or for. */
void bind_iteration(Gen *g, const TileStmt *s, Value offset, Value hi)
{
	index_bind(g, s->var, offset, multiple_of(s->lo, s->by));
	if (!s->len) return;
	Dim extent = dim_sub(g->program->dims, s->hi, s->lo);
	bool even = index_multiple(g, extent, s->by);
	index_bind(g, s->len,
	           even ? const_i64(g, s->by) : imin(g, const_i64(g, s->by), isub(g, hi, offset)),
	           even ? s->by : 0);
}

static void lower_for(Gen *g, const TileStmt *s)
{
	Value lo = index_value(g, s->lo), hi = index_value(g, s->hi);
	Loop l;
	loop_begin(g, &l, lo, hi, const_i64(g, s->by));
	bind_iteration(g, s, l.iv, hi);
	lower_block(g, &s->body);
	loop_end(g, &l);
}

/* The fewest pieces of at most `by`, lengths differing by at most one, the longer ones first. */
static void split_begin(Gen *g, const TileStmt *s, Loop *l)
{
	Value lo = index_value(g, s->lo),
		  extent = index_value(g, dim_sub(g->program->dims, s->hi, s->lo)),
		  by = const_i64(g, s->by);
	Value pieces = LLVMBuildUDiv(g->build, iadd(g, extent, const_i64(g, s->by - 1)), by, "");
	Value some = imax(g, pieces, const_i64(g, 1));
	Value base = LLVMBuildUDiv(g->build, extent, some, ""),
		  longer = LLVMBuildURem(g->build, extent, some, "");
	loop_begin(g, l, const_i64(g, 0), pieces, const_i64(g, 1));
	Value at = loop_carry(g, l, lo), length = base;
	int64_t n, e, many;
	bool even =
		value_is_const(extent, &e) && value_is_const(pieces, &many) && many && e % many == 0;
	if (!even) length = iadd(g, base, LLVMBuildZExt(g->build, iless(g, l->iv, longer), g->i64, ""));
	(void)n;
	index_bind(g, s->var, at, 0);
	if (s->len) index_bind(g, s->len, length, 0);
	l->next[0] = iadd(g, at, length);
}

static void lower_split(Gen *g, const TileStmt *s)
{
	Loop l;
	split_begin(g, s, &l);
	lower_block(g, &s->body);
	loop_end(g, &l);
}

static Value condition(Gen *g, const TileStmt *s)
{
	static const LLVMIntPredicate of[] = {
		[REL_LT] = LLVMIntSLT, [REL_LE] = LLVMIntSLE, [REL_EQ] = LLVMIntEQ, [REL_NE] = LLVMIntNE};
	Value all = NULL;
	for (uint32_t i = 0; i < s->n_cond; i++) {
		const TileCond *c = &s->cond[i];
		Value one =
			LLVMBuildICmp(g->build, of[c->rel], index_value(g, c->a), index_value(g, c->b), "");
		all = all ? LLVMBuildAnd(g->build, all, one, "") : one;
	}
	return all ? all : const_bool(g, true, 1);
}

static void lower_if(Gen *g, const TileStmt *s, void (*block)(Gen *, const TileBlock *))
{
	If i;
	if_begin(g, &i, condition(g, s));
	block(g, &s->body);
	if (s->orelse.first) {
		if_else(g, &i);
		block(g, &s->orelse);
	}
	if_end(g, &i);
}

/* An index from data: out of its range it is reported, and the nearest value in range is used. */
static void lower_index(Gen *g, const TileStmt *s)
{
	Cursor c = cursor_open(g, &s->in[0], NULL, 0);
	Value v = LLVMBuildSExt(g->build, cursor_load(g, &c, 0, NULL, 1, NULL), g->i64, "");
	Value lo = index_value(g, s->var->lo), hi = index_value(g, s->var->hi); /* inclusive */
	Value ok = LLVMBuildAnd(g->build, LLVMBuildICmp(g->build, LLVMIntSGE, v, lo, ""),
	                        LLVMBuildICmp(g->build, LLVMIntSLE, v, hi, ""), "");
	If bad;
	if_begin(g, &bad, LLVMBuildNot(g->build, ok, ""));
	report_stop(g, v, iadd(g, hi, const_i64(g, 1)), s->in[0].check);
	if_end(g, &bad);
	index_bind(g, s->var, imax(g, lo, imin(g, v, hi)), 0);
}

/* --- blocks --- */

/* Returns the statement after the last one done. */
const TileStmt *lower_stmt(Gen *g, const TileStmt *s)
{
	switch (s->op) {
	case TILE_PAR:
	case TILE_FOR: lower_for(g, s); break;
	case TILE_SPLIT: lower_split(g, s); break;
	case TILE_IF: lower_if(g, s, lower_block); break;
	case TILE_PLACE: place_home(g, s->place); break;
	case TILE_INDEX: lower_index(g, s); break;
	case TILE_BRING:
		if (!lower_alias(g, s, g->block ? g->block : &g->kernel->body)) lower_elementwise(g, s);
		break;
	case TILE_MAP:
	case TILE_PUT: lower_elementwise(g, s); break;
	case TILE_CONTRACT:
		if (lower_contract(g, s, g->block ? s->next : NULL)) return s->next->next;
		break;
	case TILE_REDUCE: lower_reduce(g, s); break;
	case TILE_SOFTMAX_STEP: lower_softmax_step(g, s); break;
	case TILE_SCAN: lower_scan(g, s); break;
	case TILE_TOPK: lower_topk(g, s); break;
	case TILE_SORT: lower_sort(g, s); break;
	case NUM_TILE_OPS: break;
	}
	return s->next;
}

void lower_block(Gen *g, const TileBlock *b)
{
	uint64_t used = g->scratch_used;
	const TileBlock *outer = g->block;
	g->block = b;
	for (const TileStmt *s = b->first; s;) s = lower_stmt(g, s);
	g->block = outer;
	g->scratch_used = used;
}

/* --- all threads together --- */

enum { MAX_FORMALS = 256 };
typedef struct Pending {
	bool read[MAX_FORMALS], written[MAX_FORMALS], any;
} Pending;
typedef struct Together {
	Gen *g;
	Pending *pending;
	bool conflict;
} Together;

static void find_conflict(void *ctx, const TileStmt *s, const TileAccess *a, bool write)
{
	(void)s;
	Together *t = ctx;
	if (a->obj->kind == TB_PLACE || a->obj->id >= MAX_FORMALS) return;
	if (t->pending->written[a->obj->id] || (write && t->pending->read[a->obj->id]))
		t->conflict = true;
}

static void note_access(void *ctx, const TileStmt *s, const TileAccess *a, bool write)
{
	(void)s;
	Together *t = ctx;
	if (a->obj->kind == TB_PLACE || a->obj->id >= MAX_FORMALS) return;
	(write ? t->pending->written : t->pending->read)[a->obj->id] = true;
	if (write) t->pending->any = true;
}

void emit_barrier(Gen *g)
{
	If many;
	if_begin(g, &many, LLVMBuildICmp(g->build, LLVMIntUGT, g->threads, const_i64(g, 1), ""));
	Value f = load(g, g->ptr, ptr_addc(g, g->frame, offsetof(NacreFrame, barrier)), 8);
	Type t = LLVMFunctionType(g->none, &g->ptr, 1, 0);
	LLVMBuildCall2(g->build, t, f, &g->frame, 1, "");
	if_end(g, &many);
}

static void flush(Gen *g, Pending *p)
{
	if (p->any) emit_barrier(g);
	memset(p, 0, sizeof *p);
}

static void block_together(Gen *g, const TileBlock *b, Pending *p);

static void only_first_thread(Gen *g, const TileStmt *s)
{
	If first;
	if_begin(g, &first, LLVMBuildICmp(g->build, LLVMIntEQ, g->thread, const_i64(g, 0), ""));
	const TileStmt *next = lower_stmt(g, s);
	(void)next;
	if_end(g, &first);
}

static void stmt_together(Gen *g, const TileStmt *s, Pending *p)
{
	bool control = s->op == TILE_FOR || s->op == TILE_SPLIT || s->op == TILE_IF;
	bool split_up =
		control && (stmt_has_par(s) || (stmt_writes_buffers(s) && stmt_writes_outer_places(s)));
	Together t = {g, p, false};
	if (!split_up) {
		stmt_visit(s, find_conflict, &t);
		if (t.conflict) flush(g, p);
		if (s->op == TILE_PAR) {
			uint64_t used = g->scratch_used;
			lower_par(g, s);
			g->scratch_used = used;
		} else if (stmt_writes_buffers(s))
			only_first_thread(g, s);
		else
			lower_stmt(g, s);
		stmt_visit(s, note_access, &t);
		return;
	}
	flush(g, p);
	if (s->op == TILE_IF) {
		If i;
		if_begin(g, &i, condition(g, s));
		block_together(g, &s->body, p);
		flush(g, p);
		if (s->orelse.first) {
			if_else(g, &i);
			block_together(g, &s->orelse, p);
			flush(g, p);
		}
		if_end(g, &i);
		return;
	}
	Loop l;
	if (s->op == TILE_SPLIT)
		split_begin(g, s, &l);
	else {
		Value hi = index_value(g, s->hi);
		loop_begin(g, &l, index_value(g, s->lo), hi, const_i64(g, s->by));
		bind_iteration(g, s, l.iv, hi);
	}
	block_together(g, &s->body, p);
	flush(g, p);
	loop_end(g, &l);
}

static void block_together(Gen *g, const TileBlock *b, Pending *p)
{
	uint64_t used = g->scratch_used;
	const TileBlock *outer = g->block;
	g->block = NULL; /* statements are taken one by one: nothing is fused */
	for (const TileStmt *s = b->first; s; s = s->next) stmt_together(g, s, p);
	g->block = outer;
	g->scratch_used = used;
}

/* --- kernels --- */

static void bind_params(Gen *g)
{
	Value params = load(g, g->ptr, ptr_addc(g, g->frame, offsetof(NacreFrame, params)), 8);
	for (uint32_t i = 0; i < g->program->params.n; i++)
		index_bind(g, g->program->params.at[i],
		           load(g, g->i64, ptr_addc(g, params, 8 * (int64_t)i), 8), 0);
}

Value lower_kernel(Gen *g, const TileKernel *k)
{
	uint32_t n = (uint32_t)k->bufs.n;
	Type *types = NEW_ARRAY(g->arena, Type, n + 2);
	types[0] = g->ptr;
	types[1] = g->i32;
	for (uint32_t i = 0; i < n; i++) types[2 + i] = g->ptr;
	g->kernel = k;
	if (k->hand) unsupported(g, k->span, "'%s' is written in Pearl's assembly", k->hand->file);
	g->function = function_new(g, arena_printf(g->arena, "kernel_%s_%u", k->name, g->counter++),
	                           types, n + 2, false);
	g->frame = LLVMGetParam(g->function, 0);
	g->launch = LLVMGetParam(g->function, 1);
	memset(g->sym, 0, g->n_sym * sizeof *g->sym);
	bind_params(g);
	g->thread = LLVMBuildZExt(
		g->build, load(g, g->i32, ptr_addc(g, g->frame, offsetof(NacreFrame, thread)), 4), g->i64,
		"");
	g->threads = LLVMBuildZExt(
		g->build, load(g, g->i32, ptr_addc(g, g->frame, offsetof(NacreFrame, threads)), 4), g->i64,
		"");
	g->scratch = load(g, g->ptr, ptr_addc(g, g->frame, offsetof(NacreFrame, scratch)), 8);
	g->scratch_used = 0;
	g->n_place = k->places;
	g->max_place = k->places + STAGED_PLACES;
	g->place = NEW_ARRAY(g->arena, Home, g->max_place);
	g->buf = NEW_ARRAY(g->arena, Home, n + 1);
	if (n > MAX_FORMALS) unsupported(g, k->span, "more than %d buffers", MAX_FORMALS);
	for (uint32_t i = 0; i < n; i++) {
		const TileObj *o = k->bufs.at[i];
		Home *h = &g->buf[i];
		*h = (Home){.obj = o, .base = LLVMGetParam(g->function, 2 + i), .dtype = o->dtype};
		Value dims[TILE_RANK];
		for (uint32_t d = 0; d < o->rank; d++) dims[d] = index_value(g, o->dims[d]);
		if (o->enc.kind != ENC_PLAIN && o->rank < 2)
			unsupported(g, o->span, "an encoding of `%s`, which has no rows and columns", o->name);
		else
			home_strides(g, h, o->rank, dims, &o->enc);
	}
	bool parallel = false;
	for (const TileStmt *s = k->body.first; s; s = s->next) parallel = parallel || stmt_has_par(s);
	if (parallel) {
		Pending p = {{0}, {0}, false};
		block_together(g, &k->body, &p);
	} else {
		If first;
		if_begin(g, &first, LLVMBuildICmp(g->build, LLVMIntEQ, g->thread, const_i64(g, 0), ""));
		lower_block(g, &k->body);
		if_end(g, &first);
	}
	LLVMBuildRetVoid(g->build);
	return g->function;
}
