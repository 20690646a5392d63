/* Calls: of defs, layers in use, casts and built-in functions. A call of a def evaluates its body
 * anew with the dims of its arguments, so that one def serves every length. */
#include "frontend/build.h"

#include <string.h>

bool gather_arguments(Build *b, const AstList *list, Arguments *out)
{
	bool ok = true, named = false;
	for (size_t i = 0; i < list->n; i++) {
		const Ast *a = list->at[i];
		if (a->kind == AST_BAD) {
			b->errors++;
			return false;
		}
		Argument one = {.name = a->name, .ast = a->a, .arrow = a->b, .span = a->span};
		if (a->b) { /* an index function: evaluated by who takes it */
			one.item = (Item){.kind = ITEM_NONE};
			vec_push(b->arena, out, one);
			continue;
		}
		one.item = eval(b, a->a);
		ok &= one.item.kind != ITEM_BAD;
		if (named && !a->name && ok) {
			complain(b, a->span, "arguments by position come before those by name");
			ok = false;
		}
		named |= a->name != NULL;
		if (a->op != '*' || one.item.kind == ITEM_BAD) {
			vec_push(b->arena, out, one);
			continue;
		}
		if (one.item.kind != ITEM_LIST) {
			complain(b, a->span, "* spreads a list over arguments, this is %s",
			         item_kind(b, &one.item));
			return false;
		}
		const ItemList *l = one.item.list;
		for (size_t k = 0; k < l->n; k++) {
			one.item = l->at[k];
			vec_push(b->arena, out, one);
		}
	}
	return ok;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void help_with_parameters(Build *b, Diag *of, const char *const *names, size_t n)
{
	enum { SHOWN = 12 };
	Text t = text_new(b->arena);
	for (size_t i = 0; i < n && i < SHOWN; i++) text_printf(&t, "%s%s", i ? ", " : "", names[i]);
	if (n) diag_help(b->d, of, "it takes %s%s", t.at, n > SHOWN ? ", .." : "");
}

bool match_arguments(Build *b, const AstList *params, const Arguments *args, Span at,
                     const char *what, Argument *out)
{
	size_t next = 0;
	for (size_t i = 0; i < params->n; i++) out[i] = (Argument){.item = bad()};
	if (args->n > ARGUMENT_LIMIT) {
		over_limit(b, at, "a call takes at most 1000 arguments");
		return false;
	}
	for (size_t i = 0; i < args->n; i++) {
		const Argument *a = &args->at[i];
		size_t to = params->n;
		if (!a->name) {
			to = next++;
			if (to >= params->n) {
				size_t given = 0;
				for (size_t k = 0; k < args->n; k++) given += !args->at[k].name;
				complain(b, a->span, "%s takes %zu argument%s, %zu are given", what, params->n,
				         plural(params->n), given);
				return false;
			}
		} else {
			for (size_t k = 0; k < params->n; k++)
				if (params->at[k]->name == a->name) to = k;
		}
		if (to == params->n) {
			const char **names = NEW_ARRAY(b->arena, const char *, params->n + 1);
			for (size_t k = 0; k < params->n; k++) names[k] = params->at[k]->name;
			const char *near = nearest_name(a->name, names, params->n);
			Diag *m = complain(b, a->span, "%s has no parameter `%s`", what, a->name);
			if (near)
				diag_help(b->d, m, "did you mean `%s`?", near);
			else
				help_with_parameters(b, m, names, params->n);
			return false;
		}
		if (out[to].ast) {
			complain(b, a->span, "%s is given `%s` twice", what, params->at[to]->name);
			return false;
		}
		if (a->arrow) {
			complain(b, a->span, "%s takes no index function", what);
			return false;
		}
		out[to] = *a;
	}
	for (size_t k = 0; k < params->n; k++)
		if (!out[k].ast && !params->at[k]->b) {
			Diag *m = complain(b, at, "%s needs its argument `%s`", what, params->at[k]->name);
			diag_note(b->d, m, params->at[k]->span, "`%s` is declared here", params->at[k]->name);
			return false;
		}
	return true;
}

/* What a user calls a def: a layer's `forward` is called by the layer. */
static const char *shown_def(const Place *place, const Ast *def)
{
	return place && strcmp(def->name, "forward") == 0 ? place->instance->layer->name : def->name;
}

static const Origin *parameter_origin(Build *b, const Ast *p)
{
	Origin *o = NEW(b->arena, Origin);
	o->span = p->op_span;
	o->name = p->name;
	o->type = p->a;
	o->scope = b->frame->scope;
	return o;
}

/* Parameters of the frame just entered, from arguments in their order. */
static bool bind_parameters(Build *b, const Ast *def, Argument *in, Span callee)
{
	Scope *s = b->frame->scope;
	const AstList *params = &def->list;
	bool *tensor = NEW_ARRAY(b->arena, bool, params->n + 1);
	for (size_t i = 0; i < def->generics.n; i++) {
		const Ast *g = def->generics.at[i];
		FileDim *f = NEW(b->arena, FileDim);
		f->decl = g;
		f->file = b->frame->file;
		scope_set(b, s, g->name, (Item){.kind = ITEM_FILE_DIM, .file_dim = f}, g->span);
	}
	for (size_t i = 0; i < params->n; i++) {
		const Ast *p = params->at[i];
		Span at = in[i].ast ? in[i].span : callee;
		if (!in[i].ast) in[i].item = eval(b, p->b);
		if (in[i].item.kind == ITEM_BAD) return false;
		tensor[i] = type_is_tensor(b, p->a) && (p->a->flag || in[i].item.kind == ITEM_TENSOR) &&
		            in[i].item.kind != ITEM_NONE;
		if (tensor[i]) continue;
		if (!param_coerce(b, p->a, &in[i].item, at,
		                  arena_printf(b->arena, "argument `%s` of `%s`", p->name,
		                               shown_def(b->frame->place, def))))
			return false;
		scope_set(b, s, p->name, in[i].item, p->op_span);
		record_item(b, p->op_span, &in[i].item);
	}
	for (size_t i = 0; i < params->n; i++) {
		const Ast *type = params->at[i]->a;
		DType t;
		if (!tensor[i]) continue;
		if (in[i].item.kind != ITEM_TENSOR && type_dtype(b, type, &t) && !type->list.n)
			in[i].item = item_node(as_node(b, &in[i].item, t, in[i].span));
		if (in[i].item.kind == ITEM_CONST)
			in[i].item = item_node(emit_constant(b, in[i].item.constant, in[i].span));
		if (in[i].item.kind == ITEM_TENSOR && !type_bind(b, type, in[i].item.node)) return false;
	}
	for (bool progress = true; progress;) {
		progress = false;
		for (size_t i = 0; i < params->n; i++)
			if (tensor[i] && in[i].item.kind == ITEM_TENSOR &&
			    !type_solve(b, params->at[i]->a, in[i].item.node, &progress))
				return false;
	}
	for (size_t i = 0; i < params->n; i++) {
		const Ast *p = params->at[i];
		if (!tensor[i]) continue;
		if (!type_check(b, p->a, &in[i].item, in[i].ast ? in[i].span : callee,
		                arena_printf(b->arena, "argument `%s` of `%s`", p->name,
		                             shown_def(b->frame->place, def))))
			return false;
		in[i].item.origin = parameter_origin(b, p);
		scope_set(b, s, p->name, in[i].item, p->op_span);
		record_item(b, p->op_span, &in[i].item);
	}
	return true;
}

/* The declared results against what was returned. */
static Item check_results(Build *b, const Ast *def)
{
	Item r = b->frame->result;
	size_t n = def->results.n;
	if (b->stop) return bad();
	if (!b->frame->returned) {
		if (n && b->errors == b->frame->errors) {
			Diag *m = complain(b, def->op_span, "`%s` declares a result but does not return one",
			                   def->name);
			diag_note(b->d, m, def->results.at[0]->span, "its result is declared here");
			advise_return(b, m, def);
		}
		return n ? bad() : (Item){.kind = ITEM_NONE};
	}
	if (!n || r.kind == ITEM_BAD) return r;
	if (n > 1 && (r.kind != ITEM_LIST || r.list->n != n)) {
		complain(b, def->op_span, "`%s` declares %zu results and returns %s", def->name, n,
		         item_kind(b, &r));
		return bad();
	}
	ItemList l = {0};
	const char **names = NEW_ARRAY(b->arena, const char *, n);
	for (size_t i = 0; i < n; i++) {
		const Ast *p = def->results.at[i];
		Item one = n > 1 ? r.list->at[i] : r;
		const char *what =
			n > 1 ? arena_printf(b->arena, "result %zu of `%s`", i + 1,
		                         shown_def(b->frame->place, def))
				  : arena_printf(b->arena, "the result of `%s`", shown_def(b->frame->place, def));
		if (!type_coerce(b, p->a, &one, b->frame->returned_at, what, true)) return bad();
		one.origin = NULL;
		names[i] = p->name;
		vec_push(b->arena, &l, one);
	}
	if (n == 1) return l.at[0];
	Item out = item_list(b, &l);
	out.names = names;
	return out;
}

/* --- what a def gave before ---
 * A def that computes at compile time alone (anchors of a detector) is often called by several entries
 * with the same values. What took many steps is remembered, if the call made no node, read no dim
 * and no member, and reported, required and asserted nothing: only its arguments decide then. */

enum { REMEMBERED_LIMIT = 32, REMEMBERED_STEPS = 500 };

static bool plain_value(Build *b, const Item *i)
{
	switch (i->kind) {
	case ITEM_NONE:
	case ITEM_INT:
	case ITEM_FLOAT:
	case ITEM_BOOL:
	case ITEM_TEXT:
	case ITEM_DTYPE:
	case ITEM_CONST: return true;
	case ITEM_LIST:
		if (!spend(b, i->list->n, b->frame ? b->frame->call : span_none())) return false;
		for (size_t k = 0; k < i->list->n; k++)
			if (!plain_value(b, &i->list->at[k])) return false;
		return true;
	default: return false;
	}
}

/* To the bit: 0 and -0 are different. */
static bool same_value(Build *b, const Item *x, const Item *y)
{
	if (x->kind == ITEM_FLOAT && y->kind == ITEM_FLOAT) return x->integer == y->integer;
	if (x->kind != ITEM_LIST || y->kind != ITEM_LIST) return item_same(b, x, y);
	if (x->list->n != y->list->n || x->names != y->names) return false;
	if (!spend(b, x->list->n, b->frame ? b->frame->call : span_none())) return false;
	for (size_t i = 0; i < x->list->n; i++)
		if (!same_value(b, &x->list->at[i], &y->list->at[i])) return false;
	return true;
}

/* The arguments, if all are known at compile time; NULL otherwise. */
static const Item *given_values(Build *b, const Function *f, const Argument *in)
{
	size_t n = f->def->list.n;
	if (f->place && f->place->n) return NULL;
	for (size_t i = 0; i < n; i++)
		if (in[i].ast && !plain_value(b, &in[i].item)) return NULL;
	Item *given = NEW_ARRAY(b->arena, Item, n + 1);
	for (size_t i = 0; i < n; i++) given[i] = in[i].item;
	return given;
}

static const Remembered *remembered(Build *b, const Function *f, const Item *given)
{
	const Instance *of = f->place ? f->place->instance : NULL;
	for (size_t i = 0; i < b->remembered.n; i++) {
		const Remembered *r = &b->remembered.at[i];
		bool same = r->def == f->def && r->of == of;
		for (size_t k = 0; k < f->def->list.n && same; k++)
			same = same_value(b, &r->given[k], &given[k]);
		if (same) return r;
	}
	return NULL;
}

/* What a call leaves behind beside its result. */
typedef struct Traces {
	size_t nodes, errors, members, messages, facts, required, asserts;
} Traces;

static Traces traces_now(const Build *b)
{
	return (Traces){.nodes = b->m->next_id,
	                .errors = b->errors,
	                .members = b->members_touched,
	                .messages = b->d->list.n,
	                .facts = b->m->facts.nonneg.n,
	                .required = b->entry ? b->entry->require.n : 0,
	                .asserts = b->asserts.n};
}

/* The body of the frame just entered; given: NULL when there is nothing to remember. */
static void run_body(Build *b, const Function *f, const Item *given)
{
	const Remembered *known = given ? remembered(b, f, given) : NULL;
	Frame *frame = b->frame;
	if (known) {
		frame->returned = true;
		frame->result = known->result;
		frame->returned_at = known->at;
		return;
	}
	Traces before = traces_now(b);
	uint64_t steps = b->steps;
	run_block(b, &f->def->list2);
	Traces after = traces_now(b);
	bool costly = b->steps - steps >= REMEMBERED_STEPS && b->remembered.n < REMEMBERED_LIMIT;
	if (!given || !costly || b->stop || !frame->returned) return;
	if (memcmp(&before, &after, sizeof before) != 0 || !plain_value(b, &frame->result)) return;
	const Instance *of = f->place ? f->place->instance : NULL;
	vec_push(b->arena, &b->remembered,
	         ((Remembered){f->def, of, given, frame->result, frame->returned_at}));
}

Item call_function(Build *b, const Function *f, const Arguments *args, Span at, Span callee)
{
	const Ast *def = f->def;
	Argument *in = NEW_ARRAY(b->arena, Argument, def->list.n + 1);
	if (!spend(b, CALL_STEPS, at)) return bad();
	if (b->call_depth >= CALL_LIMIT) {
		over_limit(b, at,
		           arena_printf(b->arena,
		                        "calls nest more than %d deep here: does `%s` call itself?",
		                        CALL_LIMIT, def->name));
		return bad();
	}
	if (!match_arguments(b, &def->list, args, at,
	                     arena_printf(b->arena, "`%s`", shown_def(f->place, def)), in))
		return bad();
	const Item *given = given_values(b, f, in);
	Frame frame = {.up = b->frame,
	               .place = f->place,
	               .file = f->file,
	               .def = def,
	               .call = at,
	               .test = b->frame && b->frame->test};
	frame.scope = scope_new(b, f->scope);
	frame.scope->function = true;
	frame.errors = b->errors;
	b->frame = &frame;
	b->call_depth++;
	Item out = bad();
	KernelCall kernel;
	bool by_hand = kernel_of(b, def) != NULL, bound = bind_parameters(b, def, in, callee);
	if (bound && (!by_hand || kernel_begin(b, &kernel, def, f->file, in, at))) {
		Precision *around = b->precision, *own = precision_of(b, def);
		if (!own && f->place && !by_hand) own = f->place->instance->precision;
		if (own) b->precision = own;
		run_body(b, f, given);
		b->precision = around;
		bool of_layer = f->place && own == f->place->instance->precision;
		if (!of_layer || (own && own->products)) precision_end(b, own, frame.errors);
		out = check_results(b, def);
		if (by_hand) out = kernel_end(b, &kernel, &out);
	}
	b->call_depth--;
	b->frame = frame.up;
	return out;
}

static Item cast(Build *b, DType t, const Arguments *args, Span at)
{
	if (args->n != 1 || args->at[0].name) {
		complain(b, at, "a cast takes one value:  %s(x)", dtype_name(t));
		return bad();
	}
	const Item *x = &args->at[0].item;
	double v;
	if (as_number(x, &v) && dtype_is_float(t)) return item_float(dtype_round(t, v));
	if (as_number(x, &v) && dtype_is_integer(t)) return item_int((int64_t)dtype_round(t, v));
	Node *n = need_tensor(b, x, args->at[0].span, "what is cast");
	return item_node(emit_cast(b, n, t, at));
}

Item call_item(Build *b, const Item *callee, const Arguments *args, Span at, Span callee_span)
{
	switch (callee->kind) {
	case ITEM_BAD: return bad();
	case ITEM_FUNCTION: return call_function(b, callee->function, args, at, callee_span);
	case ITEM_BUILTIN: return builtin_call(b, callee->builtin, args, at);
	case ITEM_DTYPE: return cast(b, callee->dtype, args, at);
	case ITEM_PLACE: {
		Item f = place_member(b, callee->place, intern_str(b->names, "forward"), callee_span);
		return call_item(b, &f, args, at, callee_span);
	}
	case ITEM_LAYER: {
		Diag *m = complain(b, callee_span,
		                   "layer `%s` is made among the members of a layer, not in a def",
		                   callee->layer->name);
		diag_help(b->d, m, "use name: %s(..)", callee->layer->name);
		return bad();
	}
	case ITEM_ARRAY: {
		Diag *m = complain(b, callee_span, "`%s` is an array of %u layers", callee->member->name,
		                   callee->member->n);
		diag_help(b->d, m, "call one of them, or all in turn:  for i in %u..%u { x = %s[i](x) }",
		          callee->member->from, callee->member->from + callee->member->n,
		          callee->member->name);
		return bad();
	}
	default: {
		Diag *m = complain(b, callee_span, "%s cannot be called", item_kind(b, callee));
		note_origin(b, m, callee, NULL);
		if (callee->kind == ITEM_TENSOR && args->n == 1)
			diag_help(b->d, m, "rows of a table are  %s[%s]", text_of(b, callee_span),
			          text_of(b, args->at[0].span));
		return bad();
	}
	}
}

Item eval_call(Build *b, const Ast *e)
{
	const Form *form = e->a->kind == AST_NAME ? builtin_known(b, e->a->name)->form : NULL;
	if (form && !scope_find(b->frame->scope, e->a->name)) return form->run(b, e);
	Item callee = eval(b, e->a);
	Argument few[4]; /* calls have few: the arena is spared them */
	Arguments args = {few, 0, COUNT(few)};
	if (callee.kind == ITEM_BAD || !gather_arguments(b, &e->list, &args)) return bad();
	return call_item(b, &callee, &args, e->span, e->a->span);
}
