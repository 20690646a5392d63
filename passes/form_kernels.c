/* Kernel forming. Every value is either materialised (it is the result of one kernel) or computed
 * inside each kernel that uses it. An anchor is an operation that needs a kernel of its own kind;
 * it takes along the elementwise operations after it (its epilogue) while each is used once, and
 * the movements after those. Everything else that must exist in memory becomes a `map` kernel.
 *
 * Invariants after the pass: every node outside kernels is structure; a kernel's region holds at
 * most one anchor (two products of one input when they are combined, as in SwiGLU); operands of
 * products, convolutions and attention are reached by movements only. */
#include "passes/passes.h"

#include <string.h>

enum { INLINE, MATERIAL, CLAIMED }; /* node->mark */

typedef struct Former {
	PassContext *c;
	Node **anchor_of; /* by node id: the anchor that claimed it */
	uint32_t ids;
} Former;

static bool is_leaf(const Node *n)
{
	return op_info[n->op].kind == KIND_STRUCTURE;
}

static const char *anchor_class(const Node *n)
{
	switch (n->op) {
	case OP_EINSUM: return "contraction";
	case OP_CONV: return "conv";
	case OP_ATTENTION: return "attention";
	case OP_ROUTED: return "routed";
	case OP_ROUTE: return "route";
	case OP_POOL: return "pool";
	case OP_SOFTMAX:
	case OP_LAYER_NORM:
	case OP_RMS_NORM:
	case OP_REDUCE: return "rows";
	case OP_SCAN:
	case OP_TOPK:
	case OP_SORT: return "lines";
	case OP_UPDATE: return "update";
	case OP_CONCAT: return "concat";
	case OP_HAND: return "hand";
	default: return NULL;
	}
}

static bool is_movement(const Node *n)
{
	return op_info[n->op].kind == KIND_MOVEMENT && !anchor_class(n);
}

/* Computed from positions and constants alone: cheaper to repeat than to keep. */
static bool is_free(const Node *n)
{
	if (n->op == OP_CONST) return node_attr_const(n, "value")->tensor->count == 1;
	if (n->op == OP_DIM || n->op == OP_IOTA) return true;
	if (is_leaf(n) || anchor_class(n)) return false;
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!is_free(n->in[i])) return false;
	return n->n_in > 0;
}

/* Is it used by something that is not? */
static bool leaves_constants(const Node *n)
{
	Users u = node_users(n);
	for (uint32_t i = 0; i < u.n; i++)
		if (!is_constant(u.at[i])) return true;
	return false;
}

/* Is it done by addressing where a kernel reads the operand from memory? */
static bool is_seen_through(const Node *n)
{
	return is_movement(n) && n->op != OP_IOTA && n->op != OP_GATHER && n->op != OP_PAD;
}

/* How an operation reads an operand. */
typedef enum OperandUse {
	USE_COMPUTED, /* where it is needed: it may be computed there */
	USE_BUFFER,   /* from memory; movements are done by addressing */
	USE_WINDOW,   /* from memory, and beyond its edges */
	USE_RESULT,   /* from memory, as it is */
	USE_HANDED    /* it is handed on as a tensor */
} OperandUse;

static OperandUse operand_use(const Node *n, uint32_t i)
{
	switch (n->op) {
	case OP_CONV:
	case OP_POOL: return i ? USE_BUFFER : USE_WINDOW;
	case OP_EINSUM:
	case OP_ROUTED:
	case OP_ROUTE:
	case OP_SCAN:
	case OP_TOPK:
	case OP_SORT: return USE_BUFFER;
	case OP_ATTENTION: return i < 3 ? USE_BUFFER : USE_COMPUTED; /* the bias, where it is added */
	case OP_GATHER: return i ? USE_BUFFER : USE_RESULT;
	case OP_PAD:
	case OP_UPDATE: return i ? USE_COMPUTED : USE_RESULT;
	case OP_HAND:
	case OP_LOOP:
	case OP_TUPLE: return USE_HANDED;
	default: return USE_COMPUTED;
	}
}

/* One number that stands for a whole tensor has no place in memory: where one is needed, a kernel writes
 * the tensor, once, as that of any constant. */
static void spread_constants(Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		if (n->op == OP_LOOP) spread_constants(n->region);
		for (uint32_t i = 0; i < n->n_in; i++) {
			Node **use = &n->in[i];
			OperandUse how = operand_use(n, i);
			if (how == USE_COMPUTED || how == USE_HANDED) continue;
			while (is_seen_through(*use)) use = &(*use)->in[0];
			Node *k = *use;
			if (k->op != OP_CONST || !is_free(k) || !k->type.rank) continue;
			Node *one = node_new(g->module, OP_CONST, 0, NULL, k->span);
			attr_tensor(one, "value", node_attr(k, "value")->tensor);
			one->type = type_scalar(k->type.dtype);
			graph_insert_before(k->owner, k, one);
			Node *all = node_new(g->module, OP_BROADCAST, 1, &one, k->span);
			attr_dims(g->module, all, "dims", k->type.rank, k->type.dim);
			all->type = k->type;
			graph_insert_before(k->owner, k, all);
			*use = all;
		}
	}
}

/* The value must be in memory: looks through movements, which are done by addressing. */
static void need_buffer(Node *n)
{
	while (is_seen_through(n) && !is_free(n)) n = n->in[0];
	if (!is_leaf(n)) n->mark = MATERIAL;
}

static void need_result(Node *n)
{
	if (!is_leaf(n)) n->mark = MATERIAL;
}

/* Does the reshape only put in and take out dims of size 1? */
static bool moves_ones(const Node *n)
{
	const Type *a = &n->in[0]->type, *b = &n->type;
	uint32_t i = 0, k = 0;
	for (;;) {
		int64_t one;
		while (i < a->rank && dim_is_const(a->dim[i], &one) && one == 1) i++;
		while (k < b->rank && dim_is_const(b->dim[k], &one) && one == 1) k++;
		if (i == a->rank || k == b->rank) return i == a->rank && k == b->rank;
		if (a->dim[i++] != b->dim[k++]) return false;
	}
}

/* Windows read beyond the edges of their operand, so that each dim must be seen as it is. */
static void need_window(Node *n)
{
	while (n->op == OP_TRANSPOSE || (n->op == OP_RESHAPE && moves_ones(n))) n = n->in[0];
	need_result(n);
}

static void note_loop_symbol(void *found, DimSym *s)
{
	if (s->kind == SYM_LOOP) *(bool *)found = true;
}

/* What a loop's index chooses of a tensor along its first dims: then that is the tensor, else NULL. */
static Node *part_by_turn(Node *n)
{
	Node *s = n->op == OP_RESHAPE ? n->in[0] : n;
	if (n->op != OP_RESHAPE || s->op != OP_SLICE || s->type.rank <= n->type.rank) return NULL;
	const Attr *start = node_attr(s, "start"), *step = node_attr(s, "step");
	uint32_t lead = s->type.rank - n->type.rank;
	for (uint32_t i = 0; i < s->type.rank; i++) {
		bool turns = false;
		int64_t v;
		dim_visit_syms(start->dims[i], note_loop_symbol, &turns);
		if (i < lead && !(turns && dim_is_const(s->type.dim[i], &v) && v == 1)) return NULL;
		if (i < lead) continue;
		if (!dim_is_const(start->dims[i], &v) || v || s->type.dim[i] != s->in[0]->type.dim[i] ||
		    (step->set && step->ints[i] != 1) || n->type.dim[i - lead] != s->type.dim[i])
			return NULL;
	}
	return s->in[0];
}

/* An operand of a product: a scaled weight as it is stored, where the kernel applies the scales. */
static void need_operand(Node *n, uint32_t which)
{
	Node *x = n->in[which];
	if ((n->op != OP_EINSUM && n->op != OP_ROUTED) || !takes_scales(n, which)) {
		need_buffer(x);
		return;
	}
	for (uint32_t i = 0; i < x->n_in; i++) need_buffer(x->in[i]);
}

/* Does the product that reads this scaled weight apply the scales? */
static bool is_scaled_later(const Node *n)
{
	Users u = node_users(n);
	if (n->op != OP_DEQUANT || u.n != 1 || node_is_result(n)) return false;
	const Node *user = u.at[0];
	for (uint32_t i = 0; i < user->n_in; i++)
		if (user->in[i] == n && (user->op == OP_EINSUM || user->op == OP_ROUTED))
			return takes_scales(user, i);
	return false;
}

static void mark_operands(Node *n)
{
	for (uint32_t i = 0; i < n->n_in; i++) {
		/* a program written by hand may see a part of a tensor that a launch can name */
		Node *whole = n->op == OP_HAND ? part_by_turn(n->in[i]) : NULL;
		switch (operand_use(n, i)) {
		case USE_COMPUTED: break;
		case USE_BUFFER: need_operand(n, i); break;
		case USE_WINDOW: need_window(n->in[i]); break;
		case USE_RESULT: need_result(n->in[i]); break;
		case USE_HANDED: need_result(whole ? whole : n->in[i]); break;
		}
	}
}

/* Would reading the operand of a reshape divide an index? That is cheap, and proved to stay inside,
 * only where what is read lies as a whole, so that it can be seen with other dims. */
static bool reshape_divides(const Node *n)
{
	const Type *from = &n->in[0]->type;
	uint32_t i = 0, k = 0;
	while (i < from->rank || k < n->type.rank) {
		uint32_t first = i, large = 0;
		type_run(n->owner->module->dims, from, &n->type, &i, &k);
		for (uint32_t d = first; d < i; d++) {
			int64_t size;
			large += !(dim_is_const(from->dim[d], &size) && size == 1);
		}
		if (large > 1) return true;
	}
	return false;
}

/* Is n read at its own index only, as it lies in memory? */
static bool lies_whole(const Node *n, const Type *shape)
{
	if (is_leaf(n) || n->mark == MATERIAL) return n->type.rank == 0 || n->type.rank == shape->rank;
	if (is_free(n) && n->op == OP_CONST) return true;
	if (op_info[n->op].kind != KIND_ELEMENTWISE || n->type.rank != shape->rank) return false;
	for (uint32_t i = 0; i < n->n_in; i++) {
		const Type *t = &n->in[i]->type;
		for (uint32_t d = 0; t->rank == shape->rank && d < t->rank; d++)
			if (t->dim[d] != shape->dim[d]) return false;
		if (!lies_whole(n->in[i], shape)) return false;
	}
	return true;
}

static void mark_graph(Graph *g)
{
	for (Node *n = g->first; n; n = n->next) n->mark = anchor_class(n) ? MATERIAL : INLINE;
	for (Node *n = g->first; n; n = n->next) {
		if (n->region && n->op == OP_LOOP) mark_graph(n->region);
		mark_operands(n);
		if (n->op == OP_RESHAPE && !is_leaf(n->in[0]) && reshape_divides(n) &&
		    !lies_whole(n->in[0], &n->in[0]->type))
			n->in[0]->mark = MATERIAL;
		if (op_info[n->op].kind == KIND_ELEMENTWISE && !is_free(n) && node_users(n).n > 1)
			n->mark = MATERIAL;
		if ((op_info[n->op].kind == KIND_ELEMENTWISE || n->op == OP_DEQUANT) && !is_free(n) &&
		    is_constant(n) && !is_scaled_later(n)) {
			/* past the movements after it, which stay in addressing */
			const Node *last = n;
			while (node_users(last).n == 1 && is_movement(node_users(last).at[0]))
				last = node_users(last).at[0];
			if (leaves_constants(last)) n->mark = MATERIAL;
		}
		/* used inside a loop but computed outside */
		Users u = node_users(n);
		for (uint32_t i = 0; i < u.n; i++)
			if (u.at[i]->owner != g && !is_leaf(n) && !is_free(n)) n->mark = MATERIAL;
	}
	for (size_t i = 0; i < g->results.n; i++) need_result(g->results.at[i]);
}

/* --- expressions that read too much --- */

/* Of one kernel: TILE_INS of the tile IR, and half of what its regions hold, as indices are computed too. */
enum { MOST_READS = 12, MOST_VALUES = 128, FEW_VALUES = 16 };

/* What a value reads when it is computed where it is used: tensors in memory, each with the movement
 * through which it is seen. A movement seen twice through others counts once: a guess that is rarely low.
 * `values` is how many operations that takes. */
typedef struct Reads {
	uint32_t n, values;
	const Node *at[MOST_READS];
} Reads;

/* False: they do not fit. */
static bool reads_add(Reads *to, const Reads *more)
{
	to->values += more->values;
	for (uint32_t i = 0; i < more->n; i++) {
		uint32_t k = 0;
		while (k < to->n && to->at[k] != more->at[i]) k++;
		if (k < to->n) continue;
		if (to->n == MOST_READS) return false;
		to->at[to->n++] = more->at[i];
	}
	return to->values < MOST_VALUES;
}

static bool is_in_memory(const Node *n)
{
	return is_leaf(n) || n->mark == MATERIAL;
}

/* The node that computes what n shows. */
static Node *behind_movements(Node *n)
{
	while (!is_in_memory(n) && is_movement(n) && n->n_in && n->op != OP_GATHER) n = n->in[0];
	return n;
}

static uint32_t read_cost(const Reads *r)
{
	return r->n * MOST_VALUES + r->values * MOST_READS;
}

/* Puts the parts that read most into memory until n reads no more than a kernel may. */
static void split_reads(Node *n, Reads *reads)
{
	for (;;) {
		Reads all = {.values = 1};
		Node *widest = NULL;
		bool fits = true;
		for (uint32_t i = 0; i < n->n_in; i++) {
			Node *part = behind_movements(n->in[i]);
			fits &= reads_add(&all, &reads[n->in[i]->id]);
			if (is_in_memory(part) || (is_free(part) && reads[part->id].values < FEW_VALUES))
				continue;
			if (!widest || read_cost(&reads[part->id]) > read_cost(&reads[widest->id]))
				widest = part;
		}
		reads[n->id] = all;
		if (fits || !widest) return;
		widest->mark = MATERIAL;
		for (uint32_t i = 0; i < n->n_in; i++)
			if (behind_movements(n->in[i]) == widest)
				reads[n->in[i]->id] = (Reads){.n = 1, .at = {n->in[i]}};
	}
}

/* A tensor in memory seen through one movement more: by another index, so another read. */
static void move_reads(const Node *n, Reads *reads)
{
	Reads *r = &reads[n->id];
	*r = (Reads){.n = !is_free(n), .values = 1, .at = {n}};
	for (uint32_t i = 0; i < n->n_in; i++) {
		Reads rest = reads[n->in[i]->id];
		for (uint32_t k = 0; i == 0 && k < rest.n; k++)
			if (rest.at[k] == n->in[0]) rest.at[k] = n;
		(void)reads_add(r, &rest);
	}
}

static void limit_reads(Graph *g, Reads *reads)
{
	for (Node *n = g->first; n; n = n->next) {
		if (n->region && n->op == OP_LOOP) limit_reads(n->region, reads);
		const Node *base = n->n_in ? n->in[0] : n;
		while (!is_in_memory(base) && is_movement(base) && base->n_in) base = base->in[0];
		if (is_movement(n) && is_in_memory(base))
			move_reads(n, reads);
		else if (is_movement(n) || op_info[n->op].kind == KIND_ELEMENTWISE)
			split_reads(n, reads);
		if (is_in_memory(n))
			reads[n->id] = (Reads){.n = !is_free(n) || !is_leaf(n), .values = 1, .at = {n}};
	}
}

static bool same_shape(const Node *a, const Node *b)
{
	if (a->type.rank != b->type.rank) return false;
	for (uint32_t i = 0; i < a->type.rank; i++)
		if (a->type.dim[i] != b->type.dim[i]) return false;
	return true;
}

/* The last node that the anchor's kernel computes. */
static void claim_epilogue(Former *f, Node *anchor)
{
	const char *class = anchor_class(anchor);
	bool elementwise =
		strcmp(class, "contraction") == 0 || strcmp(class, "conv") == 0 || anchor->op == OP_REDUCE;
	bool reshape = strcmp(class, "concat") == 0; /* nothing else after it */
	bool movement =
		elementwise || strcmp(class, "rows") == 0 || strcmp(class, "attention") == 0 || reshape;
	Node *root = anchor;
	bool moved = false;
	for (;;) {
		Users users = node_users(root);
		if (node_is_result(root) || users.n != 1) break;
		Node *u = users.at[0];
		if (u->owner != root->owner || u->op == OP_KERNEL ||
		    (root != anchor && root->mark == MATERIAL))
			break;
		if (f->anchor_of[u->id]) break;
		if (op_info[u->op].kind == KIND_ELEMENTWISE) {
			if (!elementwise || moved || !same_shape(u, root)) break;
		} else if (u->op == OP_RESHAPE || u->op == OP_TRANSPOSE) {
			/* only worth it when the moved value must exist anyway */
			if (!movement || u->mark != MATERIAL || (reshape && u->op != OP_RESHAPE)) break;
			moved = true;
		} else {
			break;
		}
		f->anchor_of[u->id] = anchor;
		root->mark = INLINE;
		root = u;
	}
	root->mark = MATERIAL;
	f->anchor_of[root->id] = anchor;
}

/* Do two products of one input meet in u, which belongs to the first's epilogue? */
static bool meets(Former *f, const Node *n, const Node *u)
{
	const Node *first = f->anchor_of[u->id];
	return op_info[u->op].kind == KIND_ELEMENTWISE && first && first != n &&
	       first->op == OP_EINSUM && first->in[0] == n->in[0] && same_shape(first, n) &&
	       strcmp(node_attr_const(first, "spec")->s, node_attr_const(n, "spec")->s) == 0 &&
	       same_shape(u, n);
}

/* A second product of the same input that ends in an operation of the first's epilogue joins it. */
static bool joins(Former *f, Node *n)
{
	Users users = node_users(n);
	return n->op == OP_EINSUM && !node_is_result(n) && users.n == 1 && meets(f, n, users.at[0]);
}

/* --- building --- */

typedef struct Cloner {
	Former *f;
	Node *kernel;
	VEC(Node *) from, to; /* what was cloned */
	VEC(Node *) operands;
} Cloner;

static Node *argument(Cloner *k, Node *n)
{
	PassContext *c = k->f->c;
	Graph *g = k->kernel->region;
	for (size_t i = 0; i < k->operands.n; i++)
		if (k->operands.at[i] == n) return g->args.at[i];
	Node *arg = node_new(c->m, OP_ARG, 0, NULL, n->span);
	attr_int(arg, "number", (int64_t)k->operands.n);
	arg->type = n->type;
	vec_push(c->m->arena, &k->operands, n);
	vec_push(c->m->arena, &g->args, arg);
	graph_insert_before(g, NULL, arg);
	return arg;
}

static Node *clone(Cloner *k, Node *n, const Node *root)
{
	PassContext *c = k->f->c;
	Graph *g = k->kernel->region;
	for (size_t i = 0; i < k->from.n; i++)
		if (k->from.at[i] == n) return k->to.at[i];
	Node *copy;
	bool inside = n == root || n->op == OP_DIM || (n->op == OP_CONST && is_free(n)) ||
	              (!is_leaf(n) && n->mark != MATERIAL && (n->owner == root->owner || is_free(n)));
	if (!inside) {
		copy = argument(k, n);
	} else {
		Node **in = NEW_ARRAY(c->scratch, Node *, n->n_in + 1);
		for (uint32_t i = 0; i < n->n_in; i++)
			in[i] = n->op == OP_HAND && is_leaf(n->in[i]) ? argument(k, n->in[i])
			                                              : clone(k, n->in[i], root);
		copy = node_new(c->m, n->op, n->n_in, in, n->span);
		copy->attr = n->attr;
		copy->type = n->type;
		copy->name = n->name;
		node_scope_from(copy, n);
		if ((copy->region = n->region)) copy->region->parent = copy;
		graph_insert_before(g, NULL, copy);
	}
	vec_push(c->scratch, &k->from, n);
	vec_push(c->scratch, &k->to, copy);
	return copy;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static const char *describe(Arena *a, const Graph *g)
{
	Text t = text_new(a);
	for (const Node *n = g->first; n; n = n->next) {
		OpKind kind = op_info[n->op].kind;
		if (kind == KIND_STRUCTURE ||
		    (kind == KIND_MOVEMENT && !anchor_class(n) && n->op != OP_GATHER))
			continue;
		const char *name = op_info[n->op].mnemonic;
		if (n->op == OP_HAND) name = file_name(node_attr_const(n, "file")->s);
		text_printf(&t, "%s%s", t.n ? " + " : "", name);
	}
	return t.n ? t.at : "move";
}

/* The scaled weight that the constant n is computed from, or NULL. */
static const Node *scaling_in(const Node *n)
{
	if (n->op == OP_DEQUANT) return n;
	for (uint32_t i = 0; i < n->n_in && !is_leaf(n); i++) {
		const Node *found = scaling_in(n->in[i]);
		if (found) return found;
	}
	return NULL;
}

static const char *why_expanded(const Node *n, const Node *scaled)
{
	Users u = node_users(n);
	while (u.n == 1 && is_movement(u.at[0]) && !node_is_result(u.at[0])) {
		n = u.at[0];
		u = node_users(n);
	}
	for (uint32_t i = 0; i < u.n; i++)
		for (uint32_t k = 0; k < u.at[i]->n_in; k++) {
			if (u.at[i]->in[k] != n) continue;
			const char *why = scales_refused(u.at[i], k, scaled);
			if (why) return why;
		}
	return "it is more than transposed before it is used";
}

/* What a scaled weight costs where no kernel applies the scales as it reads. */
static void remark_copy(PassContext *c, const Node *n)
{
	int64_t count;
	const Node *scaled = is_constant(n) ? scaling_in(n) : NULL;
	if (!scaled || !dim_is_const(type_count(c->m->dims, &n->type), &count)) return;
	const Node *w = scaled->in[0];
	while (w->n_in == 1) w = w->in[0];
	diag_remark(c->d, n->span, "the scaled weight %s is kept as %s too, in %.3g MB, made once: %s",
	            w->op == OP_WEIGHT ? c->m->weights.at[node_attr_const(w, "number")->i].name
	                               : "of this layer",
	            dtype_name(n->type.dtype), (double)dtype_bytes(n->type.dtype, count) / 1e6,
	            why_expanded(n, scaled));
}

static void build_kernel(Former *f, Node *root)
{
	PassContext *c = f->c;
	remark_copy(c, root);
	Node *anchor = f->anchor_of[root->id];
	Cloner k = {.f = f, .kernel = node_new(c->m, OP_KERNEL, 0, NULL, root->span)};
	Graph *g = graph_new(c->m, k.kernel);
	Node *result = clone(&k, root, root);
	if (root->type.is_tuple) {
		for (uint32_t i = 0; i < root->type.n; i++) {
			Node *part = node_new(c->m, OP_GET, 1, &result, root->span);
			attr_int(part, "number", i);
			part->type = root->type.element[i];
			graph_insert_before(g, NULL, part);
			vec_push(c->m->arena, &g->results, part);
		}
	} else {
		vec_push(c->m->arena, &g->results, result);
	}
	k.kernel->in = k.operands.at;
	k.kernel->n_in = (uint32_t)k.operands.n;
	k.kernel->type = root->type;
	k.kernel->name = root->name;
	node_scope_from(k.kernel, anchor ? anchor : root);
	attr_str(k.kernel, "class", intern_str(c->m->names, anchor ? anchor_class(anchor) : "map"));
	attr_str(k.kernel, "note", intern_str(c->m->names, describe(c->scratch, g)));
	graph_insert_before(root->owner, root, k.kernel);
	node_replace(root, k.kernel);
	k.kernel->mark = MATERIAL;
	graph_remove(root);
	c->changed = true;
}

/* A product or convolution whose activation is a kernel of its own, as its value must be written anyway. */
static void remark_activation(Former *f, const Node *anchor)
{
	if ((anchor->op != OP_EINSUM && anchor->op != OP_CONV) || anchor->mark != MATERIAL) return;
	const Node *value = anchor;
	Users users = node_users(value);
	if (users.n == 1 && users.at[0]->op == OP_RESHAPE) {
		value = users.at[0];
		users = node_users(value);
	}
	for (uint32_t i = 0; i < users.n; i++) {
		const Node *u = users.at[i];
		if (op_info[u->op].kind != KIND_ELEMENTWISE || u->n_in != 1 || u->op == OP_CAST) continue;
		remark_wanted(f->c, u->span, arena_printf(f->c->m->arena, "`%s`", op_info[u->op].mnemonic),
		              value, u, "its operand");
		return;
	}
}

/* Likewise the second product of a gated layer, which would join the first. */
static void remark_gate(Former *f, const Node *n)
{
	if (n->op != OP_EINSUM || n->mark != MATERIAL) return;
	Users users = node_users(n);
	for (uint32_t i = 0; i < users.n; i++) {
		if (!meets(f, n, users.at[i])) continue;
		remark_wanted(f->c, n->span, "the product of a gated layer", n, users.at[i], "it");
		return;
	}
}

static void form_graph(Former *f, Graph *g)
{
	for (Node *n = g->first; n; n = n->next) {
		if (!anchor_class(n)) continue;
		if (joins(f, n)) {
			n->mark = INLINE;
			continue;
		}
		claim_epilogue(f, n);
		remark_activation(f, n);
		if (n->op == OP_HAND)
			diag_remark(f->c->d, n->span, "%s is a kernel as it stands: nothing is fused with it",
			            file_name(node_attr(n, "file")->s));
	}
	for (const Node *n = g->first; n; n = n->next) remark_gate(f, n);
	for (Node *n = g->first, *next; n; n = next) {
		next = n->next;
		if (n->op == OP_LOOP) form_graph(f, n->region);
		if (n->mark == MATERIAL && !is_leaf(n)) build_kernel(f, n);
	}
}

void pass_form_kernels(PassContext *c)
{
	for (size_t i = 0; i < c->m->entries.n; i++) {
		Entry *e = c->m->entries.at[i];
		Former f = {.c = c};
		spread_constants(e->graph);
		f.ids = c->m->next_id;
		f.anchor_of = NEW_ARRAY(c->scratch, Node *, f.ids + 1);
		users_compute(c->scratch, e);
		mark_graph(e->graph);
		limit_reads(e->graph, NEW_ARRAY(c->scratch, Reads, c->m->next_id + 1));
		form_graph(&f, e->graph);
	}
	pass_dce(c);
}
