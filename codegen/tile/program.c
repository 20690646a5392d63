/* The program of a module: buffers for its weights, states, inputs and outputs, and for each entry
 * the launches of its kernels in order. Every value of the graph has a home, a program buffer or a
 * part of one. Results are written where they are needed: into the output, the state, or the
 * element of a loop's stack that they become; what cannot be is copied. loops.c has loops and what
 * is changed in place. */
#include "codegen/tile/program.h"

#include <string.h>

/* --- buffers --- */

Home home_new(Build *b, TileKind kind, const char *name, const Type *t, uint32_t keep,
              uint32_t n_outer, const Dim *outer)
{
	Dim dims[2 * MAX_RANK];
	Home h = {.keep = keep};
	for (uint32_t i = 0; i < n_outer; i++) dims[i] = outer[i];
	uint32_t rank = n_outer + memory_dims(b, t, keep, dims + n_outer);
	if (rank > TILE_RANK) {
		diag_error(b->d, b->source ? b->source->span : span_none(),
		           "`%s` has too many dims to be kept for each turn of the loops around it", name);
		b->failed = true;
		rank = TILE_RANK;
	}
	h.buf = tile_buf(b->p, kind, name, t->dtype, rank, dims);
	return h;
}

/* Inputs and outputs are named as in the model; the entry comes before when there are several. */
static const char *signature_name(const Build *b, const char *name)
{
	return b->m->entries.n > 1 ? arena_printf(b->m->arena, "%s.%s", b->source->name, name) : name;
}

static void make_weights(Build *b)
{
	Module *m = b->m;
	b->weights = NEW_ARRAY(m->arena, Home *, m->weights.n + 1);
	for (size_t i = 0; i < m->weights.n; i++) {
		const Weight *w = &m->weights.at[i];
		Home *h = NEW(m->arena, Home);
		*h = home_new(b, TB_WEIGHT, w->name, &w->type, 0, 0, NULL);
		Text key = text_new(m->arena);
		for (uint32_t k = 0; k < w->n_keys; k++)
			text_printf(&key, "%s%s", k ? "\n" : "", w->keys[k]);
		h->buf->key = key.at ? key.at : w->name;
		h->buf->span = w->span;
		b->weights[i] = h;
	}
}

static void make_states(Build *b)
{
	Module *m = b->m;
	b->states = NEW_ARRAY(m->arena, Home *, m->states.n + 1);
	for (size_t i = 0; i < m->states.n; i++) {
		const State *s = &m->states.at[i];
		uint32_t keep = 0;
		/* layers of a stack lie apart, so that a launch can name one */
		while (keep < s->type.rank && dim_is_const(s->type.dim[keep], NULL)) keep++;
		if (keep == s->type.rank) keep = 0;
		keep = keep_for(keep, b->t->apart, s->type.rank);
		Home *h = NEW(m->arena, Home);
		*h = home_new(b, TB_STATE, s->name, &s->type, keep, 0, NULL);
		h->buf->span = s->span;
		h->buf->initial = s->initial;
		b->states[i] = h;
	}
}

/* A literal as a weight that needs no file; equal ones are one buffer. */
static Home literal_home(Build *b, const Node *n)
{
	const Tensor *t = node_attr_const(n, "value")->tensor;
	int64_t count = 1;
	(void)dim_is_const(type_count(b->m->dims, &n->type), &count);
	size_t bytes = (size_t)dtype_bytes(t->dtype, count);
	uint8_t *data = arena_alloc(b->m->arena, bytes + 8);
	if (t->count == count)
		memcpy(data, t->data, bytes);
	else
		for (int64_t i = 0; i < count; i++)
			dtype_store(t->dtype, data, i, dtype_load(t->dtype, t->data, 0));
	for (size_t i = 0; i < b->literals.n; i++) {
		TileObj *o = b->literals.at[i];
		Dim dims[MAX_RANK + 1];
		uint32_t rank = memory_dims(b, &n->type, 0, dims);
		bool same = o->dtype == t->dtype && o->rank == rank;
		for (uint32_t k = 0; same && k < rank; k++) same = o->dims[k] == dims[k];
		if (same && memcmp(o->literal, data, bytes) == 0) return (Home){.buf = o};
	}
	Home h = home_new(b, TB_WEIGHT, arena_printf(b->m->arena, "literal%zu", b->literals.n),
	                  &n->type, 0, 0, NULL);
	h.buf->literal = data;
	h.buf->span = n->span;
	vec_push(b->m->arena, &b->literals, h.buf);
	return h;
}

/* --- steps --- */

static TileStep *step_add(Build *b, TileStep ***tail)
{
	TileStep *s = NEW(b->m->arena, TileStep);
	**tail = s;
	*tail = &s->next;
	return s;
}

void step_launch(Build *b, TileKernel *k, TileArg *args, TileStep ***tail)
{
	TileStep *s = step_add(b, tail);
	s->kind = STEP_LAUNCH;
	s->kernel = k;
	s->args = args;
}

TileStep *step_loop(Build *b, DimSym *var, Dim count, TileStep ***tail)
{
	TileStep *s = step_add(b, tail);
	s->kind = STEP_LOOP;
	s->var = var;
	s->count = count;
	return s;
}

/* --- kernels --- */

typedef struct Class {
	const char *name;
	bool (*build)(Kernel *k);
	Op anchor[5]; /* one of them stands in the region; none: any region does */
} Class;
static const Class classes[] = {
	{"map", build_map, {0}},
	{"concat", build_concat, {OP_CONCAT}},
	{"update", build_update, {OP_UPDATE}},
	{"rows", build_rows, {OP_SOFTMAX, OP_LAYER_NORM, OP_RMS_NORM, OP_REDUCE}},
	{"contraction", build_contraction, {OP_EINSUM}},
	{"conv", build_conv, {OP_CONV}},
	{"pool", build_pool, {OP_POOL}},
	{"attention", build_attention, {OP_ATTENTION}},
	{"lines", build_lines, {OP_SCAN, OP_TOPK, OP_SORT}},
	{"routed", build_routed, {OP_ROUTED}},
	{"route", build_route, {OP_ROUTE}},
	{"hand", build_hand, {OP_HAND}},
};

static const Class *class_of(const Node *kernel)
{
	const char *name = node_attr_const(kernel, "class")->s;
	for (size_t i = 0; i < COUNT(classes); i++)
		if (strcmp(classes[i].name, name) == 0) return &classes[i];
	return NULL;
}

/* Kernels may come from a text: is the region what its class promises? */
static bool region_fits(const Class *class, const Node *kernel)
{
	const Graph *g = kernel->region;
	bool found = !class->anchor[0];
	bool hand = class->build == build_hand;
	if (!g->results.n || g->results.n > (hand ? KERNEL_RESULTS : 2)) return false;
	for (const Node *n = g->first; n; n = n->next) {
		if (n->op == OP_LOOP || n->op == OP_KERNEL || n->op == OP_WEIGHT || n->op == OP_STATE)
			return false;
		for (uint32_t i = 0; i < COUNT(class->anchor) && class->anchor[i]; i++)
			found |= n->op == class->anchor[i];
	}
	for (size_t i = 0; i < g->results.n; i++)
		if (g->results.at[i]->type.is_tuple) return false;
	const Node *root = g->results.at[0];
	bool pairs = class->build == build_lines || class->build == build_route,
		 update = class->build == build_update;
	if (update && (root->op != OP_UPDATE || root->in[0]->op != OP_ARG)) return false;
	return found && (pairs || hand || g->results.n == 1);
}

static bool fixed_by_loop(Dim start, Dim size)
{
	int64_t one;
	bool found = false;
	if (!dim_is_const(size, &one) || one != 1) return false;
	dim_visit_syms(start, loop_symbol_found, &found);
	return found;
}

void loop_symbol_found(void *found, DimSym *s)
{
	if (s->kind == SYM_LOOP) *(bool *)found = true;
}

uint32_t lead_of(const Graph *region, uint32_t arg)
{
	const Node *a = region->args.at[arg];
	uint32_t least = MAX_RANK;
	const Dim *start = NULL;
	for (const Node *n = region->first; n; n = n->next) {
		for (uint32_t i = 0; i < n->n_in; i++) {
			if (n->in[i] != a) continue;
			bool slice = n->op == OP_SLICE, update = n->op == OP_UPDATE && i == 0;
			if (!slice && !update) return 0;
			const Attr *at = node_attr_const(n, "start");
			const Dim *size = slice ? node_attr_const(n, "size")->dims : n->in[1]->type.dim;
			uint32_t lead = 0;
			while (lead < at->n && fixed_by_loop(at->dims[lead], size[lead]) &&
			       (!start || start[lead] == at->dims[lead]))
				lead++;
			if (lead < least) least = lead;
			if (!start) start = at->dims;
		}
	}
	for (size_t i = 0; i < region->results.n; i++)
		if (region->results.at[i] == a) return 0;
	return least == MAX_RANK ? 0 : least;
}

static const Dim *lead_index(const Graph *region, uint32_t arg)
{
	for (const Node *n = region->first; n; n = n->next)
		for (uint32_t i = 0; i < n->n_in; i++)
			if (n->in[i] == region->args.at[arg]) return node_attr_const(n, "start")->dims;
	return NULL;
}

/* Inside a kernel the index of a loop around it may only choose parts along leading dims. */
static bool check_loop_index(Kernel *k)
{
	for (const Node *n = k->g->first; n; n = n->next) {
		const AttrInfo *row = op_info[n->op].attr;
		uint32_t lead = 0;
		bool found = false;
		if ((n->op == OP_SLICE || n->op == OP_UPDATE) && n->in[0]->op == OP_ARG)
			lead = k->lead[node_attr_const(n->in[0], "number")->i];
		for (uint32_t i = 0; row[i].name; i++) {
			if (row[i].kind == ATTR_DIM && n->attr[i].set)
				dim_visit_syms(n->attr[i].d, loop_symbol_found, &found);
			if (row[i].kind != ATTR_DIMS) continue;
			for (uint32_t d = strcmp(row[i].name, "start") == 0 ? lead : 0; d < n->attr[i].n; d++)
				dim_visit_syms(n->attr[i].dims[d], loop_symbol_found, &found);
		}
		if (found)
			return kernel_fail(
				k,
				arena_printf(
					k->b->m->arena,
					"%s uses the index of a loop other than to choose a part along the first dims; write `@unroll` before the loop",
					op_info[n->op].mnemonic));
	}
	return true;
}

static const char *kernel_name(Build *b, const Node *n, const char *class)
{
	const char *of = b->source ? b->source->name : "model";
	if (strcmp(class, "hand") == 0) class = hand_name(b, n);
	return arena_printf(b->m->arena, "%s_%u_%s", of, b->serial++,
	                    n->name && !strpbrk(n->name, " .[]{}\"") ? n->name : class);
}

static void set_operands(Kernel *k, Node *n, const Home *in)
{
	Arena *a = k->b->m->arena;
	size_t args = n->n_in + 1;
	k->formal = NEW_ARRAY(a, TileObj *, args);
	k->lead = NEW_ARRAY(a, uint32_t, args);
	k->keep = NEW_ARRAY(a, uint32_t, args);
	k->actual = NEW_ARRAY(a, TileArg, args);
	k->args = NEW_ARRAY(a, TileArg, 2 * args + 16);
	k->origin = NEW_ARRAY(a, Origin, 2 * args + 16);
	for (uint32_t i = 0; i < n->n_in; i++) {
		uint32_t lead = lead_of(n->region, i), at = in[i].n_lead;
		const Dim *index = lead ? lead_index(n->region, i) : NULL;
		k->lead[i] = lead;
		k->actual[i] = (TileArg){.buf = in[i].buf, .n_lead = at + lead};
		for (uint32_t d = 0; d < at; d++) k->actual[i].lead[d] = in[i].lead[d];
		for (uint32_t d = 0; d < lead; d++) k->actual[i].lead[at + d] = index[d];
		/* dims that are all constants are never merged */
		bool fixed = dim_is_const(type_count(k->b->m->dims, &n->in[i]->type), NULL);
		if (in[i].buf->kind != TB_WEIGHT && lead > in[i].keep && !fixed)
			kernel_fail(k, "a value of symbolic size is taken apart by a loop and cannot be");
		k->keep[i] = lead < in[i].keep ? in[i].keep - lead : 0;
	}
}

static void set_results(Kernel *k, Node *n, const Home *out)
{
	bool update = strcmp(node_attr(n, "class")->s, "update") == 0;
	const Node *hand = kernel_anchor(k, OP_HAND);
	for (size_t r = 0; r < n->region->results.n && r < COUNT(k->out); r++) {
		Type t = n->region->results.at[r]->type;
		TileArg actual = {.buf = out[r].buf, .n_lead = out[r].n_lead};
		Dim dims[MAX_RANK + 1];
		memcpy(actual.lead, out[r].lead, sizeof out[r].lead);
		k->out_keep[r] = out[r].keep;
		const Node *over =
			n->region->results.at[r]->op == OP_UPDATE ? n->region->results.at[r]->in[0] : NULL;
		if (update && over) {
			uint32_t arg = (uint32_t)node_attr_const(over, "number")->i, lead = k->lead[arg];
			const Dim *index = node_attr_const(n->region->results.at[r], "start")->dims;
			for (uint32_t d = 0; d < lead; d++) actual.lead[actual.n_lead++] = index[d];
			for (uint32_t d = 0; d + lead < t.rank; d++) t.dim[d] = t.dim[d + lead];
			t.rank -= lead;
			k->out_keep[r] = lead < out[r].keep ? out[r].keep - lead : 0;
		}
		k->root[r] = n->region->results.at[r];
		while (k->root[r]->op == OP_RESHAPE && !k->out_keep[r]) k->root[r] = k->root[r]->in[0];
		if (k->root[r] != n->region->results.at[r]) t = k->root[r]->type;
		uint32_t rank = memory_dims(k->b, &t, k->out_keep[r], dims);
		const char *name = hand ? hand_result_name(k->b, hand, (uint32_t)r)
		                   : r  ? "positions"
		                        : "out";
		k->out[r] = kernel_formal(k, update ? TB_STATE : TB_OUT, name, t.dtype, rank, dims, actual);
		k->origin[k->k->bufs.n - 1] = (Origin){.kind = FROM_RESULT, .number = (uint32_t)r};
	}
}

TileObj *kernel_formal(Kernel *k, TileKind kind, const char *name, DType t, uint32_t rank,
                       const Dim *dims, TileArg actual)
{
	TileObj *o = tile_formal(k->b->p, k->k, kind, name, t, rank, dims);
	k->args[k->k->bufs.n - 1] = actual;
	return o;
}

/* A kernel that is alike was built before: it is launched again. */
static bool launch_again(Build *b, Node *n, const Made *made, const Home *in, const Home *out,
                         TileStep ***tail)
{
	Kernel k = {.b = b, .node = n, .g = n->region, .k = NEW(b->m->arena, TileKernel)};
	set_operands(&k, n, in);
	if (b->failed) return false;
	set_results(&k, n, out);
	TileArg *args = alike_arguments(&k, made);
	if (args) step_launch(b, made_kernel(made), args, tail);
	return args != NULL;
}

bool kernel_launch(Build *b, Node *n, const Home *in, const Home *out, TileStep ***tail)
{
	const char *class = node_attr(n, "class")->s;
	const Attr *note = node_attr(n, "note");
	const Class *of = class_of(n);
	if (!of || !region_fits(of, n)) {
		diag_error(b->d, n->span,
		           of ? "the region of this kernel is not what its class `%s` says"
		              : "no builder makes kernels of class `%s`",
		           class);
		b->failed = true;
		return false;
	}
	const Made *made = find_alike(b, n, in, out);
	if (made && launch_again(b, n, made, in, out, tail)) return true;
	Kernel k = {.b = b, .node = n, .g = n->region};
	k.k = tile_kernel(b->p, kernel_name(b, n, class));
	k.k->span = n->span;
	k.k->note = note->set ? note->s : NULL;
	set_operands(&k, n, in);
	if (b->failed || !check_loop_index(&k)) return false;
	set_results(&k, n, out);
	if (!of->build(&k) || b->failed) {
		b->failed = true;
		return false;
	}
	step_launch(b, k.k, k.args, tail);
	note_made(b, n, in, out, &k);
	return true;
}

/* --- values --- */

Home *value_home(Build *b, Node *n)
{
	if (n->data) return n->data;
	Home *h = NEW(b->m->arena, Home);
	int64_t count;
	if (n->op == OP_CONST && dim_is_const(type_count(b->m->dims, &n->type), &count)) {
		*h = literal_home(b, n);
	} else { /* a scalar that depends on the call, or a constant spread over a symbolic shape */
		*h = home_new(b, TB_ARENA, arena_printf(b->m->arena, "scalar%u", b->serial++), &n->type, 0,
		              0, NULL);
		value_move(b, n, h);
	}
	n->data = h;
	return h;
}

void value_move(Build *b, Node *n, const Home *to)
{
	Module *m = b->m;
	/* a number in the kernel itself; a constant of several elements lies in memory */
	bool leaf = !n->data && (n->op == OP_DIM ||
	                         (n->op == OP_CONST && node_attr(n, "value")->tensor->count == 1));
	Node *k = node_new(m, OP_KERNEL, leaf ? 0 : 1, &n, n->span);
	Graph *g = graph_new(m, k);
	Node *inner = node_new(m, leaf ? n->op : OP_ARG, 0, NULL, n->span);
	inner->type = n->type;
	if (leaf) {
		inner->attr = n->attr;
	} else {
		attr_int(inner, "number", 0);
		vec_push(m->arena, &g->args, inner);
	}
	graph_insert_before(g, NULL, inner);
	vec_push(m->arena, &g->results, inner);
	k->type = n->type;
	attr_str(k, "class", intern_str(m->names, "map"));
	attr_str(k, "note", intern_str(m->names, "copy"));
	Home from = leaf ? (Home){0} : *value_home(b, n);
	if (!b->failed) kernel_launch(b, k, &from, to, &b->tail);
}

bool home_equal(const Home *a, const Home *b)
{
	if (a->buf != b->buf || a->n_lead != b->n_lead) return false;
	for (uint32_t i = 0; i < a->n_lead; i++)
		if (a->lead[i] != b->lead[i]) return false;
	return true;
}

Users users_of(const Build *b, const Node *n)
{
	return n->id < b->ids ? b->users[n->id] : (Users){NULL, 0};
}

/* --- where the result of a kernel goes --- */

/* The state that the kernel `n` may write at once: nothing reads the old value any more. */
static Home *state_target(Build *b, const Node *value, const Node *n)
{
	const Entry *e = b->source;
	for (size_t i = 0; i < e->writes.n; i++) {
		if (e->graph->results.at[e->out_names.n + i] != value || n->owner != e->graph) continue;
		for (const Node *s = e->graph->first; s; s = s->next) {
			if (s->op != OP_STATE || node_attr_const(s, "number")->i != (int64_t)e->writes.at[i])
				continue;
			Users u = users_of(b, s);
			if (node_is_result(s)) return NULL;
			for (uint32_t k = 0; k < u.n; k++)
				if (u.at[k]->op != OP_KERNEL || update_source(u.at[k]) == s ||
				    u.at[k]->mark >= n->mark || u.at[k]->owner != e->graph)
					return NULL;
		}
		return b->states[e->writes.at[i]];
	}
	return NULL;
}

static Home result_home(Build *b, Node *value, const Node *n)
{
	Home *state, h;
	int64_t output = output_number(b, value);
	if (output >= 0) return (Home){.buf = b->entry->outs.at[output], .keep = keep_of(b, value)};
	if ((state = state_target(b, value, n))) return *state;
	if (loop_target(b, value, &h)) return h;
	return home_new(b, TB_ARENA, arena_printf(b->m->arena, "t%u", b->serial++), &value->type,
	                keep_of(b, value), 0, NULL);
}

/* The node by which others see result r of a tuple kernel; the kernel itself when it has one. */
static Node *result_value(const Build *b, Node *n, uint32_t r)
{
	if (!n->type.is_tuple) return n;
	Users u = users_of(b, n);
	for (uint32_t i = 0; i < u.n; i++)
		if (u.at[i]->op == OP_GET && node_attr(u.at[i], "number")->i == (int64_t)r) return u.at[i];
	return NULL;
}

/* A program in assembly sees each dim of its results. Where one belongs where dims are merged, it is written
 * apart first: then what is returned says where each belongs (buf NULL: it is there). */
static Home *apart_results(Build *b, Node *n, Home *out)
{
	Home *wanted = NULL;
	bool hand = strcmp(node_attr(n, "class")->s, "hand") == 0;
	for (uint32_t r = 0; hand && r < n->region->results.n && !b->failed; r++) {
		const Type *t = &n->region->results.at[r]->type;
		if (shows_dims(b, t, out[r].keep)) continue;
		if (!wanted) wanted = NEW_ARRAY(b->m->arena, Home, n->region->results.n);
		wanted[r] = out[r];
		out[r] = home_new(b, TB_ARENA, arena_printf(b->m->arena, "apart%u", b->serial++), t,
		                  t->rank, 0, NULL);
	}
	return wanted;
}

static void move_results(Build *b, Node *n, Home *out, const Home *wanted)
{
	for (uint32_t r = 0; r < n->region->results.n && !b->failed; r++) {
		Node *v = result_value(b, n, r);
		if (!wanted[r].buf || !v) continue;
		v->data = &out[r];
		value_move(b, v, &wanted[r]);
		out[r] = wanted[r];
		if (v == n) n->data = out;
	}
}

static void build_kernel(Build *b, Node *n)
{
	Arena *a = b->m->arena;
	size_t results = n->region->results.n;
	Home *in = NEW_ARRAY(a, Home, n->n_in + 1), *out = NEW_ARRAY(a, Home, results + 1);
	Node *over = update_source(n);
	for (uint32_t i = 0; i < n->n_in && !b->failed; i++) in[i] = *value_home(b, n->in[i]);
	if (b->failed) return;
	if (!over && derive_constant(b, n, in, out)) {
		n->data = out;
		return;
	}
	if (over) {
		out[0] = value_own(b, over, n);
		for (uint32_t i = 0; i < n->n_in; i++) in[i] = *value_home(b, n->in[i]);
	}
	lay_apart(b, n, in);
	for (uint32_t r = 0; r < results && !over; r++) {
		Node *v = result_value(b, n, r);
		const Type *t = n->type.is_tuple ? &n->type.element[r] : &n->type;
		out[r] = v ? result_home(b, v, n)
		           : home_new(b, TB_ARENA, arena_printf(a, "t%u", b->serial++), t, 0, 0, NULL);
	}
	Home *wanted = apart_results(b, n, out);
	if (!b->failed && !kernel_launch(b, n, in, out, &b->tail)) b->failed = true;
	n->data = out;
	if (wanted) move_results(b, n, out, wanted);
}

static void build_get(Build *b, Node *n)
{
	/* results of kernels lie in an array; of loops and tuples likewise */
	Home *all = n->in[0]->data;
	(void)b;
	n->data = &all[node_attr(n, "number")->i];
}

static void build_tuple(Build *b, Node *n)
{
	Home *all = NEW_ARRAY(b->m->arena, Home, n->n_in + 1);
	for (uint32_t i = 0; i < n->n_in && !b->failed; i++) all[i] = *value_home(b, n->in[i]);
	n->data = all;
}

void build_graph(Build *b, Graph *g)
{
	for (Node *n = g->first; n && !b->failed; n = n->next) {
		switch (n->op) {
		case OP_PARAM:
			n->data = NEW(b->m->arena, Home);
			*(Home *)n->data =
				(Home){.buf = b->entry->ins.at[node_attr(n, "number")->i], .keep = keep_of(b, n)};
			break;
		case OP_WEIGHT: n->data = b->weights[node_attr(n, "number")->i]; break;
		case OP_STATE: n->data = b->states[node_attr(n, "number")->i]; break;
		case OP_GET: build_get(b, n); break;
		case OP_TUPLE: build_tuple(b, n); break;
		case OP_LOOP: build_loop(b, n); break;
		case OP_KERNEL: build_kernel(b, n); break;
		case OP_ARG:
		case OP_CONST:
		case OP_DIM: break;
		default:
			diag_error(b->d, n->span,
			           "%s stands outside a kernel: run the pass `form_kernels` first",
			           op_info[n->op].mnemonic);
			b->failed = true;
			break;
		}
	}
}

/* --- entries --- */

/* One node for each state, first in the entry, so that its uses are seen together. */
static void gather_states(Graph *top, Graph *g, Node **first)
{
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (n->op == OP_LOOP) gather_states(top, n->region, first);
		if (n->op != OP_STATE) continue;
		int64_t number = node_attr(n, "number")->i;
		if (!first[number]) {
			first[number] = n;
			graph_remove(n);
			graph_insert_before(top, top->first, n);
		} else {
			node_replace(n, first[number]);
			graph_remove(n);
		}
	}
}

/* Tuples come from kernels, loops and `tuple`, hold no tuples, and are only taken apart. */
static void check_tuples(Build *b, const Graph *g, const Node *n)
{
	bool makes = n->op == OP_KERNEL || n->op == OP_LOOP || n->op == OP_TUPLE,
		 ok = makes || !n->type.is_tuple;
	for (uint32_t i = 0; i < n->n_in; i++) ok &= n->op == OP_GET || !n->in[i]->type.is_tuple;
	for (uint32_t i = 0; n->type.is_tuple && i < n->type.n; i++) ok &= !n->type.element[i].is_tuple;
	for (size_t i = 0; i < g->results.n; i++) ok &= !g->results.at[i]->type.is_tuple;
	if (ok) return;
	if (!b->failed) diag_error(b->d, n->span, "a tuple where a tensor is needed");
	b->failed = true;
}

static void number_nodes(Build *b, Graph *g, uint32_t *next)
{
	for (Node *n = g->first; n; n = n->next) {
		b->users[n->id] = node_users(n);
		check_tuples(b, g, n);
		n->mark = (*next)++;
		if (n->op == OP_LOOP) number_nodes(b, n->region, next);
		if (n->op != OP_KERNEL || !n->region->results.n) continue;
		note_layout(b, n);
		for (uint32_t i = 0; i < n->n_in; i++) {
			uint32_t lead = lead_of(n->region, i);
			if (b->lead[n->in[i]->id] < lead) b->lead[n->in[i]->id] = lead;
		}
	}
}

static void clear_data(Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		n->data = NULL;
		if (n->region) clear_data(n->region);
	}
}

static void prepare_entry(Build *b, Entry *e)
{
	Arena *a = b->m->arena;
	uint32_t next = 1;
	gather_states(e->graph, e->graph, NEW_ARRAY(a, Node *, b->m->states.n + 1));
	b->ids = b->m->next_id;
	b->users = NEW_ARRAY(a, Users, b->ids + 1);
	b->lead = NEW_ARRAY(a, uint32_t, b->ids + 1);
	b->merge = NEW_ARRAY(a, bool, b->ids + 1);
	b->apart = NEW_ARRAY(a, bool, b->ids + 1);
	b->loops = NEW_ARRAY(a, LoopPlan *, b->ids + 1);
	users_compute(a, e);
	number_nodes(b, e->graph, &next);
	clear_data(e->graph);
}

static void make_signature(Build *b, const Entry *e)
{
	for (size_t i = 0; i < e->in_names.n; i++) {
		const Node *n = e->graph->args.at[i];
		Home h = home_new(b, TB_IN, signature_name(b, e->in_names.at[i]), &n->type, keep_of(b, n),
		                  0, NULL);
		h.buf->span = n->span;
		vec_push(b->m->arena, &b->entry->ins, h.buf);
	}
	for (size_t i = 0; i < e->out_names.n; i++) {
		const Node *n = e->graph->results.at[i];
		Home h = home_new(b, TB_OUT, signature_name(b, e->out_names.at[i]), &n->type, keep_of(b, n),
		                  0, NULL);
		h.buf->span = n->span;
		vec_push(b->m->arena, &b->entry->outs, h.buf);
	}
}

/* Outputs that no kernel has written, then states whose new value lies elsewhere: values that lie
 * in a state are saved first, as it may be the one that is written next. */
static void finish_results(Build *b, const Entry *e)
{
	size_t n_out = e->out_names.n;
	for (size_t i = 0; i < n_out && !b->failed; i++) {
		Node *n = e->graph->results.at[i];
		Home out = {.buf = b->entry->outs.at[i], .keep = keep_of(b, n)};
		if (!n->data && (n->op == OP_DIM || n->op == OP_CONST))
			value_move(b, n, &out);
		else if (!home_equal(value_home(b, n), &out))
			value_move(b, n, &out);
	}
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < e->writes.n && !b->failed; i++) {
			Node *n = e->graph->results.at[n_out + i];
			Home *to = b->states[e->writes.at[i]], *from = value_home(b, n);
			if (home_equal(from, to)) continue;
			if (pass == 0 && from->buf->kind == TB_STATE) {
				Home *saved = NEW(b->m->arena, Home);
				*saved = home_new(b, TB_ARENA, arena_printf(b->m->arena, "saved%u", b->serial++),
				                  &n->type, 0, 0, NULL);
				value_move(b, n, saved);
				n->data = saved;
			} else if (pass == 1) {
				diag_remark(b->d, n->span,
				            "state `%s` is copied: its new value could not be written in place",
				            b->m->states.at[e->writes.at[i]].name);
				value_move(b, n, to);
			}
		}
}

static void build_entry(Build *b, Entry *e)
{
	Arena *a = b->m->arena;
	b->source = e;
	b->entry = tile_entry(b->p, e->name);
	b->tail = &b->entry->steps;
	b->frames = NULL;
	for (size_t i = 0; i < e->set_sym.n; i++) {
		vec_push(a, &b->entry->set_sym, e->set_sym.at[i]);
		vec_push(a, &b->entry->set_value, e->set_value.at[i]);
	}
	for (size_t i = 0; i < e->require.n; i++) {
		vec_push(a, &b->entry->require, e->require.at[i]);
		vec_push(a, &b->entry->require_text, i < e->require_text.n ? e->require_text.at[i] : "");
	}
	prepare_entry(b, e);
	if (b->failed) return;
	make_signature(b, e);
	build_graph(b, e->graph);
	if (!b->failed) finish_results(b, e);
}

TileProgram *tile_build(Module *m, Diags *d, const TileTraits *traits)
{
	Build b = {.m = m, .d = d, .t = traits};
	uint32_t errors = d->errors;
	b.p = tile_program_new(m->arena, m->dims, m->names, m->name);
	for (size_t i = 0; i < m->params.n; i++) vec_push(m->arena, &b.p->params, m->params.at[i]);
	for (size_t i = 0; i < m->require.n; i++) {
		vec_push(m->arena, &b.p->require, m->require.at[i]);
		vec_push(m->arena, &b.p->require_text, i < m->require_text.n ? m->require_text.at[i] : "");
	}
	make_weights(&b);
	make_states(&b);
	b.room = room_for_panels(&b);
	for (size_t i = 0; i < m->entries.n && !b.failed; i++) build_entry(&b, m->entries.at[i]);
	if (b.failed || d->errors > errors) return NULL;
	share_panels(&b);
	prepack_temporaries(b.p);
	prepack_order(b.p);
	pad_rows(b.p, traits->row_pad);
	tile_liveness(b.p);
	return b.p;
}
