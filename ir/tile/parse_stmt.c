/* The text form, reading half: kernels and their statements. The space of an operation is written
 * last (`over i < h`) but its variables are needed first, so it is looked up ahead. */
#include "ir/tile/parse.h"

#include <ctype.h>
#include <string.h>

static const char *const tile_word[] = {
#define TILE(id, word, summary) word,
#include "ir/tile/tile.def"
};
static const char *const reduce_word[NUM_TILE_REDUCE] = {[RED_SUM] = "sum",
                                                         [RED_MAX] = "max",
                                                         [RED_MIN] = "min",
                                                         [RED_AMAX] = "amax",
                                                         [RED_ARGMAX] = "argmax"};

static void block(Reader *r, TileBlock *b);

/* --- loops, choices, places --- */

static void loop(Reader *r, TileStmt *s)
{
	DimPool *p = r->p->dims;
	Dim zero = dim_const(p, 0);
	size_t outer = r->syms.n;
	bool pair = parse_take(r, "(");
	s->var = parse_symbol(r, SYM_LOOP, zero, zero);
	if (pair) {
		parse_expect(r, ",");
		parse_skip(r);
		const char *from = r->at;
		s->len = parse_symbol(r, SYM_LEN, zero, zero);
		if (!r->failed && s->len->name == s->var->name)
			parse_fail(r, from, r->at, "the offset and the length have the same name");
		parse_expect(r, ")");
	}
	parse_expect(r, "in");
	s->lo = zero;
	s->hi = parse_dim(r);
	if (parse_take(r, "..")) {
		s->lo = s->hi;
		s->hi = parse_dim(r);
	} else if (s->op != TILE_SPLIT) {
		parse_expect(r, "..");
	}
	bool by = parse_take(r, "by");
	if (by)
		s->by = parse_integer(r, 1, (int64_t)1 << 40, "a step");
	else if (s->op == TILE_SPLIT)
		parse_expect(r, "by");
	if (parse_take(r, "stages"))
		s->stages = (uint32_t)parse_integer(r, 1, 64, "a number of stages");
	if (parse_take(r, "ways")) s->ways = (uint32_t)parse_integer(r, 1, 64, "a number of ways");
	if (r->failed) return;
	s->var->lo = s->lo;
	s->var->hi = dim_addc(p, s->hi, -1);
	parse_show(r, s->var);
	if (s->len) {
		s->len->lo = dim_const(p, 1);
		s->len->hi = dim_min(p, dim_const(p, s->by), dim_sub(p, s->hi, dim_sym(p, s->var)));
		parse_show(r, s->len);
	}
	block(r, &s->body);
	r->syms.n = outer;
}

static void choice(Reader *r, TileStmt *s)
{
	static const struct {
		const char *mark;
		TileRel rel;
	} relation[] = {{"<=", REL_LE}, {"<", REL_LT}, {"==", REL_EQ}, {"!=", REL_NE}};
	do {
		if (s->n_cond == sizeof s->cond / sizeof *s->cond) {
			parse_fail_here(r, "a condition has at most 4 relations");
			return;
		}
		TileCond *c = &s->cond[s->n_cond++];
		size_t i = 0;
		c->a = parse_dim(r);
		while (i < COUNT(relation) && !parse_take(r, relation[i].mark)) i++;
		if (i == COUNT(relation)) {
			parse_fail_here(r, "expected `<`, `<=`, `==` or `!=`");
			return;
		}
		c->rel = relation[i].rel;
		c->b = parse_dim(r);
	} while (!r->failed && parse_take(r, "and"));
	block(r, &s->body);
	if (!r->failed && parse_take(r, "else")) block(r, &s->orelse);
}

static void new_place(Reader *r, TileStmt *s)
{
	if (r->kernel->places == PARSE_PLACES) {
		parse_fail_here(r, "a kernel has at most %d places", PARSE_PLACES);
		return;
	}
	parse_skip(r);
	const char *from = r->at;
	TileObj *o = parse_buffer(r, TB_PLACE);
	if (r->failed) return;
	for (uint32_t i = 0; i < o->rank; i++) {
		int64_t n;
		if (!dim_is_const(o->dims[i], &n) || n < 0)
			parse_fail(r, from, r->at, "the capacity of place `%s` must be constant", o->name);
	}
	if (parse_take(r, "acc"))
		o->level = LEVEL_ACC;
	else if (parse_take(r, "near"))
		o->level = LEVEL_NEAR;
	else if (parse_take(r, "shared"))
		o->level = LEVEL_SHARED;
	o->id = r->kernel->places++;
	s->place = o;
}

static void index_from_data(Reader *r, TileStmt *s)
{
	Dim zero = dim_const(r->p->dims, 0);
	s->var = parse_symbol(r, SYM_DATA, zero, zero);
	parse_expect(r, "=");
	s->in[s->n_in++] = parse_access(r);
	s->place = s->in[0].obj;
	parse_expect(r, "in");
	s->lo = parse_dim(r);
	parse_expect(r, "..");
	s->hi = parse_dim(r);
	if (!r->failed && *r->at == '"') s->in[0].check = parse_check(r);
	if (r->failed) return;
	s->var->lo = s->lo;
	s->var->hi = dim_addc(r->p->dims, s->hi, -1);
	parse_show(r, s->var); /* to the end of the block */
}

/* --- operations --- */

static bool is_statement_word(const char *w, size_t n)
{
	for (size_t i = 0; i < COUNT(tile_word); i++)
		if (strlen(tile_word[i]) == n && memcmp(tile_word[i], w, n) == 0) return true;
	return false;
}

/* The `over` that belongs to the statement at `at`, or NULL. */
static const char *find_over(const char *at)
{
	int depth = 0;
	while (*at) {
		if (*at == '#') {
			while (*at && *at != '\n') at++;
		} else if (*at == '"') {
			for (at++; *at && *at != '"'; at++)
				if (*at == '\\' && at[1]) at++;
			if (*at) at++;
		} else if (isalnum((unsigned char)*at) || *at == '_') {
			const char *from = at;
			while (isalnum((unsigned char)*at) || *at == '_' ||
			       (*at == '.' && isalpha((unsigned char)at[1])))
				at++;
			size_t n = (size_t)(at - from);
			if (depth == 0 && n == 4 && memcmp(from, "over", 4) == 0) return from;
			if (depth == 0 && is_statement_word(from, n)) {
				/* `max=` combines; the words of reductions are not statements */
				return NULL;
			}
		} else {
			if (*at == '(' || *at == '[' || *at == '{') depth++;
			if (*at == ')' || *at == ']' || *at == '}') depth--;
			if (depth < 0) return NULL;
			at++;
		}
	}
	return NULL;
}

/* Reads the space ahead and comes back; *end is behind it. */
static void open_space(Reader *r, TileStmt *s, const char **over, const char **end)
{
	DimPool *p = r->p->dims;
	const char *back = r->at;
	*over = *end = find_over(back);
	if (!*over) return;
	r->at = *over;
	parse_expect(r, "over");
	do {
		if (s->n_space == TILE_SPACE) {
			parse_fail_here(r, "an operation has at most %d space variables", TILE_SPACE);
			return;
		}
		TileVar *v = &s->space[s->n_space];
		v->sym = parse_symbol(r, SYM_LOOP, dim_const(p, 0), dim_const(p, 0));
		parse_expect(r, "<");
		v->extent = parse_dim(r);
		if (r->failed) return;
		v->sym->hi = dim_addc(p, v->extent, -1);
		parse_show(r, v->sym);
		s->n_space++;
	} while (parse_take(r, ","));
	*end = r->at;
	r->at = back;
}

static void inputs(Reader *r, TileStmt *s)
{
	do {
		if (s->n_in == TILE_INS) {
			parse_fail_here(r, "a statement has at most %d inputs", TILE_INS);
			return;
		}
		s->in[s->n_in++] = parse_access(r);
	} while (!r->failed && parse_take(r, ","));
}

static void outputs(Reader *r, TileStmt *s)
{
	do {
		if (s->n_out == TILE_OUTS) {
			parse_fail_here(r, "a statement has at most %d results", TILE_OUTS);
			return;
		}
		s->out[s->n_out++] = parse_access(r);
	} while (!r->failed && parse_take(r, ","));
}

static void assignment(Reader *r, TileStmt *s)
{
	bool adds = s->op == TILE_CONTRACT || s->op == TILE_PUT ||
	            (s->op == TILE_REDUCE && s->reduce == RED_SUM);
	if (adds && parse_take(r, "+=")) {
		s->accumulate = true;
		return;
	}
	if (s->op == TILE_REDUCE && s->reduce != RED_SUM && parse_take(r, reduce_word[s->reduce]))
		s->accumulate = true;
	parse_expect(r, "=");
}

static void reduction(Reader *r, TileStmt *s)
{
	for (uint32_t i = 0; i < NUM_TILE_REDUCE; i++)
		if (parse_take(r, reduce_word[i])) {
			s->reduce = (TileReduce)i;
			return;
		}
	parse_fail_here(r, "expected sum, max, min, amax or argmax");
}

static void axis(Reader *r, TileStmt *s)
{
	if (!parse_expect(r, "along")) return;
	parse_skip(r);
	const char *from = r->at, *name = parse_word(r);
	for (s->axis = 0; s->axis < s->n_space; s->axis++)
		if (s->space[s->axis].sym->name == name) return;
	parse_fail(r, from, r->at, "`%s` is no space variable of this operation", name);
}

static void operation(Reader *r, TileStmt *s)
{
	const char *over, *end;
	size_t outer = r->syms.n;
	open_space(r, s, &over, &end);
	if (s->op == TILE_REDUCE || s->op == TILE_SCAN) reduction(r, s);
	outputs(r, s);
	assignment(r, s);
	bool has_region =
		s->op == TILE_MAP || s->op == TILE_PUT || s->op == TILE_REDUCE || s->op == TILE_SCAN;
	if (has_region && parse_take(r, "(")) {
		if (!parse_take(r, ")")) {
			inputs(r, s);
			parse_expect(r, ")");
		}
		parse_region(r, s);
	} else {
		s->in[s->n_in++] = parse_access(r);
		if (has_region && !r->failed && s->n_out != 1)
			parse_fail_here(r, "expected `(`: several results need a region");
		if (has_region) parse_identity(r, s);
		if (s->op == TILE_CONTRACT && parse_expect(r, "*")) s->in[s->n_in++] = parse_access(r);
	}
	if (s->op == TILE_SCAN || s->op == TILE_TOPK || s->op == TILE_SORT) axis(r, s);
	if (s->op == TILE_SORT) s->descending = parse_take(r, "descending");
	if (s->op == TILE_SOFTMAX_STEP) {
		parse_expect(r, "scale");
		s->scale = parse_number(r);
	}
	parse_skip(r);
	if (!r->failed && over && r->at != over) parse_fail_here(r, "expected `over`");
	if (over) r->at = end;
	r->syms.n = outer;
}

static void statement(Reader *r, TileBlock *b)
{
	parse_skip(r);
	const char *from = r->at;
	TileOp op = (TileOp)0;
	while (op < NUM_TILE_OPS && !parse_take(r, tile_word[op])) op = (TileOp)(op + 1);
	if (op == NUM_TILE_OPS) {
		parse_fail_here(
			r,
			"expected a statement: par, for, split, if, place, index, bring, map, put, contract, reduce, softmax_step, scan, topk or sort");
		return;
	}
	TileStmt *s = tile_stmt(r->p, b, op);
	s->span = parse_span(r, from, r->at);
	switch (op) {
	case TILE_PAR:
	case TILE_FOR:
	case TILE_SPLIT: loop(r, s); break;
	case TILE_IF: choice(r, s); break;
	case TILE_PLACE: new_place(r, s); break;
	case TILE_INDEX: index_from_data(r, s); break;
	default:
		operation(r, s);
		if (!r->failed) s->span = parse_span(r, from, r->at);
		break;
	}
}

static void block(Reader *r, TileBlock *b)
{
	size_t syms = r->syms.n, objs = r->objs.n;
	if (++r->depth > PARSE_DEPTH)
		parse_fail_here(r, "blocks are nested more than %d deep", PARSE_DEPTH);
	parse_expect(r, "{");
	while (!r->failed && !parse_take(r, "}")) statement(r, b);
	r->depth--;
	r->syms.n = syms;
	r->objs.n = objs;
}

/* "file.pasm" (N = B*S, D = 8) */
static const TileHand *hand(Reader *r)
{
	TileHand *h = NEW(r->arena, TileHand);
	VEC(const char *) size = {0};
	VEC(Dim) value = {0};
	h->file = parse_string(r);
	parse_expect(r, "(");
	if (!r->failed && !parse_take(r, ")")) {
		do {
			const char *name = parse_name(r);
			parse_expect(r, "=");
			Dim d = parse_dim(r);
			if (!r->failed && size.n == PARSE_PARAMS)
				parse_fail_here(r, "a kernel has at most %d sizes", PARSE_PARAMS);
			if (r->failed) return h;
			vec_push(r->arena, &size, name);
			vec_push(r->arena, &value, d);
		} while (parse_take(r, ","));
		parse_expect(r, ")");
	}
	h->n_size = (uint32_t)size.n;
	h->size = size.at;
	h->value = value.at;
	return h;
}

void parse_kernel(Reader *r)
{
	parse_skip(r);
	const char *from = r->at, *name = parse_name(r);
	if (r->failed) return;
	if (r->p->kernels.n == PARSE_BUFFERS)
		parse_fail(r, from, r->at, "a program has at most %d kernels", PARSE_BUFFERS);
	for (size_t i = 0; i < r->p->kernels.n; i++)
		if (r->p->kernels.at[i]->name == name)
			parse_fail(r, from, r->at, "kernel `%s` is defined twice", name);
	TileKernel *k = tile_kernel(r->p, name);
	k->span = parse_span(r, from, r->at);
	r->kernel = k;
	r->objs.n = 0;
	parse_expect(r, "(");
	if (!r->failed && !parse_take(r, ")")) {
		do {
			TileKind kind;
			if (!parse_kind(r, &kind))
				parse_fail_here(r, "expected weight, state, in, out or arena");
			if (!r->failed && k->bufs.n == PARSE_FORMALS)
				parse_fail_here(r, "a kernel has at most %d buffers", PARSE_FORMALS);
			if (!r->failed) parse_buffer(r, kind);
		} while (!r->failed && parse_take(r, ","));
		parse_expect(r, ")");
	}
	if (!r->failed && parse_take(r, "note")) k->note = parse_string(r);
	if (!r->failed && parse_take(r, "hand")) k->hand = hand(r);
	const char *begin = r->at;
	if (!r->failed) block(r, &k->body);
	if (!r->failed && k->hand && k->body.first)
		parse_fail(r, begin, begin + 1, "a kernel written by hand has no statements");
	r->kernel = NULL;
	r->objs.n = 0;
}
