/* @kernel("softcap.pasm") before a def: a call of it is one node, whose region is the body, built from the
 * parameters alone. What the program in the file does must be what the body says; its tensors and
 * parameters have the names of the def's parameters, results and dims. The file is read by who
 * compiles for Pearl; here it must be there. */
#include "frontend/build.h"

#include <string.h>

const Ast *kernel_of(const Build *b, const Ast *def)
{
	return b->entry && !b->kernel ? find_attribute(def, "kernel") : NULL;
}

/* --- the file --- */

/* Beside the file of the def; NULL after a report. */
static const char *kernel_path(Build *b, const Ast *a, const File *file)
{
	const Ast *arg = a->list.n == 1 && a->list.at[0] && !a->list.at[0]->name && !a->list.at[0]->op
	                     ? a->list.at[0]->a
	                     : NULL;
	size_t n = arg && arg->kind == AST_STRING ? strlen(arg->name) : 0;
	if (n < 6 || strcmp(arg->name + n - 5, ".pasm") != 0) {
		Diag *m = complain(b, a->span, "@kernel takes the name of a file of Pearl's assembly");
		diag_help(b->d, m, "@kernel(\"softcap.pasm\")");
		return NULL;
	}
	const char *from = file->source->name, *slash = strrchr(from, '/');
	int folder = slash && *arg->name != '/' ? (int)(slash - from + 1) : 0;
	const char *path = arena_printf(b->arena, "%.*s%s", folder, from, arg->name), *why = "";
	for (size_t i = 0; i < b->kernels_found.n; i++)
		if (strcmp(b->kernels_found.at[i], path) == 0) return b->kernels_found.at[i];
	FileMap map;
	if (!file_map(path, &map, &why)) {
		Diag *m = complain(b, arg->span, "cannot read '%s': %s", path, why);
		diag_help(b->d, m, "the path is relative to the file that the def stands in");
		return NULL;
	}
	file_unmap(&map);
	path = intern_str(b->names, path);
	vec_push(b->arena, &b->kernels_found, path);
	return path;
}

/* --- what the program is told --- */

typedef struct Sizes {
	VEC(const char *) name;
	VEC(Dim) value;
	bool full;
} Sizes;

enum { SIZE_LIMIT = 64 };

static void add_size(Build *b, Sizes *s, const char *name, Dim value)
{
	for (size_t i = 0; i < s->name.n; i++)
		if (s->name.at[i] == name) return;
	if (s->name.n >= SIZE_LIMIT) {
		s->full = true;
		return;
	}
	vec_push(b->arena, &s->name, name);
	vec_push(b->arena, &s->value, value);
}

/* The names in the dims of a type. Trees are of bounded depth. */
static void add_names(Build *b, Sizes *s, const Ast *e)
{
	if (!e) return;
	Binding *k = e->kind == AST_NAME ? scope_find(b->frame->scope, e->name) : NULL;
	if (k && (k->item.kind == ITEM_INT || k->item.kind == ITEM_DIM ||
	          k->item.kind == ITEM_FILE_DIM || k->item.kind == ITEM_MEMBER)) {
		Item v = eval(b, e);
		Dim d = v.kind == ITEM_INT || v.kind == ITEM_DIM ? as_dim(b, &v) : NULL;
		if (d) add_size(b, s, e->name, d);
	}
	if (e->kind == AST_NAME) return;
	add_names(b, s, e->a);
	add_names(b, s, e->b);
	for (size_t i = 0; i < e->list.n; i++) add_names(b, s, e->list.at[i]);
}

static void add_types(Build *b, Sizes *s, const AstList *params)
{
	for (size_t i = 0; i < params->n; i++) {
		const Ast *type = params->at[i]->a;
		for (size_t k = 0; type && k < type->list.n; k++) add_names(b, s, type->list.at[k]);
	}
}

static const char *joined(Build *b, size_t n, const char *const *names)
{
	Text t = text_new(b->arena);
	for (size_t i = 0; i < n; i++) text_printf(&t, "%s%s", i ? "," : "", names[i]);
	return intern_str(b->names, t.at ? t.at : "");
}

static const char *result_name(Build *b, const Ast *def, size_t i)
{
	const char *name = def->results.at[i]->name;
	if (name) return name;
	return intern_str(b->names,
	                  def->results.n == 1 ? "output" : arena_printf(b->arena, "output%zu", i));
}

static bool ragged_operand(Build *b, const Ast *def, const Node *x, Span at)
{
	uint32_t batch;
	for (uint32_t axis = 0; b->ragged.n && axis < x->type.rank; axis++) {
		if (!ragged_axis(b, &x->type, axis, &batch)) continue;
		complain(b, at,
		         "%s has rows of different lengths, which the kernel of `%s` knows nothing of",
		         type_text(b->arena, &x->type), def->name);
		return true;
	}
	return false;
}

/* --- building --- */

/* The parameters as arguments of the region; false after a report. */
static bool take_operands(Build *b, KernelCall *k, Sizes *sizes, const Argument *in)
{
	const Ast *def = k->def;
	VEC(const char *) names = {0};
	for (size_t i = 0; i < def->list.n; i++) {
		const Ast *p = def->list.at[i];
		Binding *own = scope_own(b->frame->scope, p->name);
		Span at = in[i].ast ? in[i].span : k->at;
		if (!own) return false;
		Dim d =
			own->item.kind == ITEM_INT || own->item.kind == ITEM_DIM ? as_dim(b, &own->item) : NULL;
		if (d) {
			add_size(b, sizes, p->name, d);
			continue;
		}
		if (own->item.kind == ITEM_DTYPE) continue;
		if (own->item.kind != ITEM_TENSOR) {
			Diag *m = complain(b, at, "the kernel of `%s` takes tensors and dims: `%s` is %s",
			                   def->name, p->name, item_kind(b, &own->item));
			diag_note(b->d, m, p->op_span, "`%s` is declared here", p->name);
			diag_help(b->d, m, "a number that varies is a tensor:  %s: f32[]", p->name);
			return false;
		}
		Node *x = own->item.node;
		if (ragged_operand(b, def, x, at)) return false;
		Node *arg = node_new(b->m, OP_ARG, 0, NULL, p->op_span);
		attr_int(arg, "number", (int64_t)k->graph->args.n);
		arg->type = x->type;
		Graph *around = b->graph;
		b->graph = k->graph;
		arg = emit(b, arg);
		b->graph = around;
		if (!arg) return false;
		vec_push(b->arena, &k->operands, x);
		vec_push(b->arena, &names, p->name);
		own->item.node = arg;
	}
	attr_str(k->node, "operands", joined(b, names.n, names.at));
	return true;
}

bool kernel_begin(Build *b, KernelCall *k, const Ast *def, const File *file, const Argument *in,
                  Span at)
{
	const char *path = kernel_path(b, find_attribute(def, "kernel"), file);
	Sizes sizes = {0};
	/* what follows is looked at in each call */
	size_t work = def->list.n * (def->results.n + 1) + b->m->states.n + b->state_dims.n;
	if (!path || !spend(b, work, at)) return false;
	if (!def->results.n || def->results.n > KERNEL_RESULTS) {
		Diag *m = complain(b, def->op_span, "a def with @kernel declares its results, %d at most",
		                   KERNEL_RESULTS);
		diag_help(b->d, m, "def %s(..) -> (y: f32[..])", def->name);
		return false;
	}
	*k = (KernelCall){
		.def = def, .at = at, .around = b->graph, .loop = b->loop, .precision = b->precision};
	k->node = node_new(b->m, OP_HAND, 0, NULL, at);
	k->graph = graph_new(b->m, k->node);
	attr_str(k->node, "file", path);
	for (size_t r = 0; r < def->results.n; r++)
		for (size_t i = 0; i < def->list.n; i++) {
			if (def->list.at[i]->name != result_name(b, def, r)) continue;
			complain(b, def->op_span, "a parameter and a result of `%s` are both named `%s`",
			         def->name, def->list.at[i]->name);
			return false;
		}
	if (!take_operands(b, k, &sizes, in)) return false;
	add_types(b, &sizes, &def->list);
	add_types(b, &sizes, &def->results);
	if (sizes.full) {
		complain(b, def->op_span, "a def with @kernel has at most %d dims", SIZE_LIMIT);
		return false;
	}
	attr_str(k->node, "sizes", joined(b, sizes.name.n, sizes.name.at));
	attr_dims(b->m, k->node, "dims", (uint32_t)sizes.value.n, sizes.value.at);
	k->asserts = b->asserts.n;
	k->states = NEW_ARRAY(b->arena, Node *, b->m->states.n + 1);
	k->dims = NEW_ARRAY(b->arena, Dim, b->state_dims.n + 1);
	memcpy(k->states, b->state_now, b->m->states.n * sizeof *k->states);
	memcpy(k->dims, b->dim_now, b->state_dims.n * sizeof *k->dims);
	b->kernel = def;
	b->graph = k->graph;
	b->loop = NULL;
	b->precision = NULL;
	return true;
}

static bool is_inside(const Node *n, const Graph *body)
{
	for (const Graph *g = n->owner; g; g = g->parent ? g->parent->owner : NULL)
		if (g == body) return true;
	return false;
}

/* Only what the parameters give, and constants. */
static bool is_closed(Build *b, const KernelCall *k, const Graph *g)
{
	for (const Node *n = g->first; n; n = n->next) {
		for (uint32_t i = 0; i < n->n_in; i++) {
			const Node *x = n->in[i];
			if (is_inside(x, k->graph)) continue;
			const char *what =
				x->op == OP_WEIGHT  ? b->m->weights.at[node_attr_const(x, "number")->i].name
				: x->op == OP_STATE ? b->m->states.at[node_attr_const(x, "number")->i].name
				: x->name           ? x->name
									: "a value from outside";
			Diag *m = complain(b, n->span,
			                   "`%s` is no parameter of `%s`, whose kernel knows nothing else",
			                   what, k->def->name);
			diag_help(b->d, m, "pass it:  def %s(.., %s: f32[..])", k->def->name,
			          x->op == OP_WEIGHT || x->op == OP_STATE ? "w" : "x");
			return false;
		}
		if (n->region && !is_closed(b, k, n->region)) return false;
	}
	return true;
}

static bool changes_state(Build *b, const KernelCall *k)
{
	bool changed = false;
	for (size_t i = 0; i < b->m->states.n; i++) {
		const Node *now = b->state_now[i];
		changed |= now != k->states[i] && (k->states[i] || now->op != OP_STATE);
	}
	for (size_t i = 0; i < b->state_dims.n; i++) changed |= b->dim_now[i] != k->dims[i];
	if (changed)
		complain(b, k->def->op_span,
		         "`%s` has a @kernel, which cannot change a state: return what it becomes",
		         k->def->name);
	return changed;
}

/* The results of the body as those of the region; false after a report. */
static bool take_results(Build *b, KernelCall *k, const Item *r)
{
	const Ast *def = k->def;
	const char *names[KERNEL_RESULTS];
	for (size_t i = 0; i < def->results.n; i++) {
		const Item *one = r->kind == ITEM_LIST ? &r->list->at[i] : r;
		Node *n = as_node(b, one, DT_F32, k->at);
		if (!n) return false;
		vec_push(b->arena, &k->graph->results, n);
		names[i] = result_name(b, def, i);
		if (is_inside(n, k->graph)) continue;
		complain(b, k->at, "result `%s` of `%s` is not computed from its parameters", names[i],
		         def->name);
		return false;
	}
	attr_str(k->node, "results", joined(b, def->results.n, names));
	return true;
}

Item kernel_end(Build *b, KernelCall *k, const Item *r)
{
	bool ok = r->kind != ITEM_BAD && !b->stop && take_results(b, k, r);
	b->kernel = NULL;
	b->graph = k->around;
	b->loop = k->loop;
	b->precision = k->precision;
	if (!ok || !is_closed(b, k, k->graph) || changes_state(b, k)) return bad();
	if (b->asserts.n != k->asserts) {
		complain(b, k->def->op_span,
		         "`%s` has a @kernel: what it computes is asserted where it is called",
		         k->def->name);
		return bad();
	}
	k->node->in = k->operands.at;
	k->node->n_in = (uint32_t)k->operands.n;
	Node *n = emit(b, k->node);
	if (!n || !n->type.is_tuple) return item_node(n);
	ItemList l = {0};
	for (uint32_t i = 0; i < n->type.n; i++)
		vec_push(b->arena, &l, item_node(graph_get(b->graph, b->d, n, i, k->at)));
	Item out = item_list(b, &l);
	out.names = r->names;
	return out;
}
