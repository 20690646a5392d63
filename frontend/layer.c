/* Layers in use. Each `use` makes an instance with its own parameters and keys; the elements of an
 * array that differ in nothing but their keys are stacked: one weight of the module for all of them,
 * with a first axis, so that a loop over layers stays a loop. Unlike elements keep their own. */
#include "frontend/build.h"

#include <math.h>
#include <string.h>

const char *path_join(Build *b, const char *path, const char *name)
{
	return *path ? intern_str(b->names, arena_printf(b->arena, "%s.%s", path, name)) : name;
}

static Member *member_new(Build *b, Instance *in, MemberKind kind, const Ast *decl)
{
	Member *m = NEW(b->arena, Member);
	m->kind = kind;
	m->name = decl->name;
	m->decl = decl;
	m->owner = in;
	Binding *was = scope_own(in->scope, decl->name);
	if (was) {
		Diag *d = complain(b, decl->op_span, "`%s` is declared twice in layer `%s`", decl->name,
		                   in->layer->name);
		diag_note(b->d, d, was->span, "it is declared here too");
	}
	vec_push(b->arena, &in->members, m);
	scope_set(b, in->scope, decl->name, (Item){.kind = ITEM_MEMBER, .member = m}, decl->op_span)
		->fixed = true;
	return m;
}

/* Alternatives of a key, each behind the prefix, joined by '|'. NULL after an error. */
static const char *key_text(Build *b, const Ast *key, const char *prefix)
{
	if (key->kind == AST_BINARY) {
		const char *x = key_text(b, key->a, prefix), *y = key_text(b, key->b, prefix);
		return x && y ? intern_str(b->names, arena_printf(b->arena, "%s|%s", x, y)) : NULL;
	}
	Text *t = &b->key; /* of all keys in turn: there are many */
	t->n = 0;
	text_puts(t, prefix);
	size_t own = t->n;
	if (!eval_text_to(b, key, t)) return NULL;
	if (memchr(t->at + own, '|', t->n - own)) {
		complain(b, key->span, "a key has no '|'; alternatives are written  \"a\" or \"b\"");
		return NULL;
	}
	return intern(b->names, t->at, t->n);
}

static bool index_range(Build *b, const Ast *clause, const char *what, int64_t *from, int64_t *to)
{
	Item lo = eval(b, clause->a->a);
	Item hi = clause->a->b ? eval(b, clause->a->b) : bad();
	if (!clause->a->b) {
		complain(b, clause->span, "the index of %s is written  [i in 0..n]", what);
		return false;
	}
	if (!need_int(b, &lo, clause->a->span, "the start of the index", from) ||
	    !need_int(b, &hi, clause->a->span, "the end of the index", to))
		return false;
	if (*from < 0 || *from > INSTANCE_LIMIT) {
		complain(b, clause->a->span, "an array begins at 0 or behind it, this one at %lld",
		         (long long)*from);
		return false;
	}
	if (*to < *from || *to - *from > INSTANCE_LIMIT) {
		complain(b, clause->a->span, "an array of %lld elements", (long long)(*to - *from));
		return false;
	}
	return true;
}

static bool member_present(Build *b, Member *m, const Ast *cond)
{
	bool yes = true;
	if (cond && !condition(b, cond, "the condition of a member", &yes)) yes = false;
	m->absent = !yes;
	return yes;
}

static void bind_index(Build *b, const Ast *clause, int64_t i)
{
	scope_set(b, b->frame->scope, clause->list.at[0]->name, item_int(i), clause->span)->fixed =
		true;
}

static Origin *declared(Build *b, const Ast *decl, const Ast *type)
{
	Origin *o = NEW(b->arena, Origin);
	o->span = decl->op_span;
	o->name = decl->name;
	o->type = type;
	o->scope = b->frame->scope;
	return o;
}

/* `= normal(std=0.02)` is what training would begin with: checked here, read by nothing yet. */
static void check_initial(Build *b, const Ast *e)
{
	static const char *const known[] = {"normal", "uniform",        "zeros",
	                                    "ones",   "xavier_uniform", "kaiming_uniform"};
	const char *name = e->kind == AST_CALL && e->a->kind == AST_NAME ? e->a->name : "";
	for (size_t i = 0; i < COUNT(known); i++)
		if (strcmp(name, known[i]) == 0) return;
	Diag *m = complain(
		b, e->span,
		"a weight begins as one of normal(..), uniform(..), zeros(), ones(), xavier_uniform() and kaiming_uniform()");
	const char *near = nearest_name(name, known, COUNT(known));
	if (near) diag_help(b->d, m, "did you mean `%s`?", near);
}

static bool weight_fits(Build *b, const Member *m)
{
	int64_t count = m->n_keys, n;
	for (uint32_t i = 0; i < m->type.rank; i++) {
		if (!dim_is_const(m->type.dim[i], &n)) continue; /* reported by the caller */
		if (!__builtin_mul_overflow(count, n, &count) && count <= INT64_C(1) << 40) continue;
		complain(b, m->decl->a->span, "weight `%s` has more than 2^40 elements", m->name);
		return false;
	}
	return true;
}

static void make_weight(Build *b, Instance *in, const Ast *decl)
{
	static const char *const known[] = {"buffer"};
	Member *m = member_new(b, in, MEMBER_WEIGHT, decl);
	int64_t from = 0, n = 1;
	check_attributes(b, decl, known, COUNT(known));
	if (!member_present(b, m, decl->c)) return;
	m->absent = true; /* until it is complete */
	if (decl->d) check_initial(b, decl->d);
	if (decl->list.n && !index_range(b, decl->list.at[0], "an array of weights", &from, &n)) return;
	if (from) {
		complain(b, decl->list.at[0]->a->span, "an array of weights begins at 0, this one at %lld",
		         (long long)from);
		return;
	}
	m->n_keys = (uint32_t)n;
	m->keys = NEW_ARRAY(b->arena, const char *, n ? n : 1);
	Scope *was = b->frame->scope;
	b->frame->scope = scope_new(b, was);
	bool ok = n > 0;
	if (!ok) complain(b, decl->op_span, "weight `%s` is an array of no elements", decl->name);
	for (int64_t i = 0; i < n && ok; i++) {
		if (decl->list.n) bind_index(b, decl->list.at[0], i);
		Type t;
		b->scaled_fits = true;
		ok = type_evaluate(b, decl->a, &t);
		b->scaled_fits = false;
		if (ok && i && !type_equal(&t, &m->type)) {
			complain(b, decl->a->span, "the elements of `%s` differ in type: %s and %s", decl->name,
			         type_text(b->arena, &m->type), type_text(b->arena, &t));
			ok = false;
		}
		m->type = t;
		if (!ok) break;
		if (decl->b)
			m->keys[i] = key_text(b, decl->b, in->prefix);
		else
			m->keys[i] = intern_str(
				b->names, decl->list.n ? arena_printf(b->arena, "%s%s.%lld", in->prefix, decl->name,
			                                          (long long)i)
									   : arena_printf(b->arena, "%s%s", in->prefix, decl->name));
		ok = m->keys[i] != NULL;
	}
	if (ok) m->origin = declared(b, decl, decl->a);
	if (ok && !weight_fits(b, m)) ok = false;
	b->frame->scope = was;
	for (uint32_t i = 0; ok && i < m->type.rank; i++)
		if (!dim_is_const(m->type.dim[i], NULL) && !b->symbolic) {
			complain(b, decl->a->span, "the dims of a weight are known at compile time, %s is not",
			         dim_text(b->arena, m->type.dim[i]));
			ok = false;
		}
	if (!ok) return;
	((Origin *)m->origin)->weight = true;
	if (decl->list.n && m->type.rank == MAX_RANK) {
		complain(b, decl->span, "a tensor has at most %d dims", MAX_RANK);
		return;
	}
	m->array = decl->list.n > 0;
	if (m->array && n > 1) { /* an axis of 1 is added when it is read */
		for (uint32_t k = m->type.rank; k > 0; k--) m->type.dim[k] = m->type.dim[k - 1];
		m->type.dim[0] = dim_const(b->m->dims, n);
		m->type.rank++;
	}
	const Scaled *scaled = type_scaled(b, decl->a);
	if (scaled) {
		if (!scaled_members(b, m, scaled)) return;
		vec_push(b->arena, &in->members, m->scale);
		if (m->zero) vec_push(b->arena, &in->members, m->zero);
	}
	m->absent = false;
}

/* `state best: f32[B] = -inf`: each element when a session begins. */
static bool state_initial(Build *b, Member *m, const Ast *e)
{
	Item v = eval(b, e);
	DType t = m->type.dtype;
	if (v.kind == ITEM_BAD) return false;
	if (v.kind == ITEM_BOOL && t == DT_BOOL) {
		m->initial = (double)v.integer;
		return true;
	}
	if (!as_number(&v, &m->initial) || t == DT_BOOL) {
		complain(b, e->span, "state `%s` of %s begins as %s known at compile time, not as %s",
		         m->name, dtype_name(t), t == DT_BOOL ? "true or false" : "a number",
		         item_kind(b, &v));
		return false;
	}
	double held = dtype_round(t, m->initial);
	bool kept =
		dtype_is_float(t) ? held == held && isinf(held) == isinf(m->initial) : held == m->initial;
	if (kept) {
		m->initial = held;
		return true;
	}
	Diag *d = complain(b, e->span, "%s cannot hold %s", dtype_name(t), item_text_of(b, &v));
	diag_note(b->d, d, m->decl->op_span, "%s is declared here", m->name);
	return false;
}

/* `state pos: dim[B] in 0..T`: a value for each row of the batch. */
static bool state_rows(Build *b, Member *m, const Ast *type)
{
	if (type->list.n != 1) {
		complain(b, type->span, "a state dim has one value, or one a row:  dim[B]");
		return false;
	}
	Item v = eval(b, type->list.at[0]);
	if (!need_dim(b, &v, type->list.at[0]->span, "the dim of the rows", &m->batch)) return false;
	m->type = type_tensor(DT_I32, 1, &m->batch);
	if (dim_is(m->lo, 0)) return true;
	complain(b, m->decl->b->a->span,
	         "the values of rows begin at 0 or more: the range starts with 0");
	return false;
}

static bool state_dim_range(Build *b, Member *m, const Ast *decl)
{
	if (!decl->b || !decl->b->b) {
		Diag *d = complain(b, decl->span, "a state dim needs a range");
		diag_help(b->d, d, "state %s: dim in 0..T = 0", decl->name);
		return false;
	}
	Item lo = eval(b, decl->b->a), hi = eval(b, decl->b->b);
	if (!need_dim(b, &lo, decl->b->a->span, "the start of the range", &m->lo) ||
	    !need_dim(b, &hi, decl->b->b->span, "the end of the range", &m->hi))
		return false;
	if (decl->a->flag && !state_rows(b, m, decl->a)) return false;
	if (!decl->c) return true;
	Item v = eval(b, decl->c);
	int64_t first;
	if (!need_int(b, &v, decl->c->span, "what a state dim begins with", &first)) return false;
	m->begin = dim_const(b->m->dims, first);
	if (dim_le(&b->m->facts, m->lo, m->begin) == PROOF_YES &&
	    dim_le(&b->m->facts, m->begin, m->hi) == PROOF_YES)
		return true;
	complain(b, decl->c->span, "state `%s` begins at %s, outside its range %s..%s", m->name,
	         dim_text(b->arena, m->begin), dim_text(b->arena, m->lo), dim_text(b->arena, m->hi));
	return false;
}

static void make_state(Build *b, Instance *in, const Ast *decl)
{
	bool dim = strcmp(decl->a->name, "dim") == 0;
	Member *m = member_new(b, in, dim ? MEMBER_STATE_DIM : MEMBER_STATE, decl);
	m->absent = true;
	m->origin = declared(b, decl, decl->a);
	check_attributes(b, decl, NULL, 0);
	if (dim) {
		m->absent = !state_dim_range(b, m, decl);
	} else if (decl->b) {
		complain(b, decl->b->span, "only a state dim has a range");
	} else {
		m->absent =
			!type_evaluate(b, decl->a, &m->type) || (decl->c && !state_initial(b, m, decl->c));
	}
}

static const Ast *find_layer(Build *b, const Ast *name, File **file)
{
	Item i = bad();
	const char *dot = strchr(name->name, '.');
	if (dot) {
		const char *head = intern(b->names, name->name, (size_t)(dot - name->name));
		Item f = eval_name(b, head, name->span);
		if (f.kind == ITEM_FILE) {
			Binding *k = file_find(f.file, intern_str(b->names, dot + 1));
			if (k) i = k->item;
			if (!k) complain(b, name->span, "\"%s\" has no layer `%s`", f.file->name, dot + 1);
		} else if (f.kind != ITEM_BAD) {
			complain(b, name->span, "`%s` is no imported file", head);
		}
	} else {
		i = eval_name(b, name->name, name->span);
	}
	if (i.kind == ITEM_BAD) return NULL;
	if (i.kind != ITEM_LAYER) {
		Diag *m = complain(b, name->span, "`%s` is %s, not a layer", name->name, item_kind(b, &i));
		note_origin(b, m, &i, NULL);
		return NULL;
	}
	*file = i.of;
	return i.layer;
}

static Instance *make_element(Build *b, const Instance *in, const Ast *decl, int64_t i, bool array)
{
	File *file = NULL;
	Arguments args = {0};
	const Ast *layer = find_layer(b, decl->a->a, &file);
	if (!layer || !gather_arguments(b, &decl->a->list, &args)) return NULL;
	const char *key;
	if (decl->b) {
		if (decl->b->kind == AST_BINARY) {
			complain(b, decl->b->span, "alternatives of a key stand at weights, not at layers");
			return NULL;
		}
		key = eval_text(b, decl->b);
		if (!key) return NULL;
	} else {
		key = array ? arena_printf(b->arena, "%s.%lld", decl->name, (long long)i) : decl->name;
	}
	const char *prefix =
		intern_str(b->names, *key ? arena_printf(b->arena, "%s%s.", in->prefix, key) : in->prefix);
	Argument *ordered = NEW_ARRAY(b->arena, Argument, layer->list.n + 1);
	if (!match_arguments(b, &layer->list, &args, decl->a->span,
	                     arena_printf(b->arena, "layer `%s`", layer->name), ordered))
		return NULL;
	return instance_make(b, layer, file, ordered, prefix, in->depth + 1, decl->a->span);
}

/* Why two elements of an array cannot share stacked weights, or NULL. */
static const char *unlike(Build *b, const Instance *x, const Instance *y)
{
	if (x->layer != y->layer)
		return arena_printf(b->arena, "they are of different layers, `%s` and `%s`", x->layer->name,
		                    y->layer->name);
	for (size_t i = 0; i < x->arguments.n && i < y->arguments.n; i++)
		if (!item_same(b, &x->arguments.at[i], &y->arguments.at[i]))
			return arena_printf(b->arena, "their parameter `%s` differs",
			                    x->layer->list.at[i]->name);
	return NULL;
}

/* Puts element i with those before it that are alike. Only the latest groups are looked at, so that
 * an array of thousands of different layers costs no square of their number. */
static void group_element(Build *b, Member *m, uint32_t i)
{
	enum { LOOKED_AT = 16 };
	size_t to = m->alike.n, from = to > LOOKED_AT ? to - LOOKED_AT : 0;
	for (size_t g = from; g < to; g++) {
		Alike *a = &m->alike.at[g];
		const char *why = unlike(b, m->element[a->first], m->element[i]);
		if (why) {
			if (!m->unlike) m->unlike = why;
			continue;
		}
		a->step = a->n == 1 || a->step == i - a->last ? i - a->last : 0;
		a->last = i;
		m->group[i] = (uint32_t)g;
		m->rank[i] = a->n++;
		return;
	}
	m->group[i] = (uint32_t)to;
	vec_push(b->arena, &m->alike, ((Alike){.first = i, .n = 1, .last = i}));
}

/* "h" for all, "h.3" for one, "h.3..61", "h.2i+1"; "h.0+" where no formula says which. */
static const char *group_name(Build *b, const Member *m, const Alike *a)
{
	const char *s;
	uint32_t first = m->from + a->first;
	if (!m->array || (m->alike.n == 1 && m->n > 1)) return m->name;
	if (a->n == 1)
		s = arena_printf(b->arena, "%s.%u", m->name, first);
	else if (a->step == 1)
		s = arena_printf(b->arena, "%s.%u..%u", m->name, first, m->from + a->last + 1);
	else if (a->step && first)
		s = arena_printf(b->arena, "%s.%ui+%u", m->name, a->step, first);
	else
		s = a->step ? arena_printf(b->arena, "%s.%ui", m->name, a->step)
		            : arena_printf(b->arena, "%s.%u+", m->name, first);
	return intern_str(b->names, s);
}

static void make_use(Build *b, Instance *in, const Ast *decl)
{
	static const char *const known[] = {"precision"};
	Member *m = member_new(b, in, MEMBER_USE, decl);
	int64_t from = 0, n = 1;
	check_attributes(b, decl, known, COUNT(known));
	if (!member_present(b, m, decl->c)) return;
	m->absent = true;
	m->array = decl->list.n > 0;
	if (m->array && !index_range(b, decl->list.at[0], "an array of layers", &from, &n)) return;
	m->n = (uint32_t)(n - from);
	m->from = (uint32_t)from;
	n = m->n;
	m->element = NEW_ARRAY(b->arena, Instance *, n ? n : 1);
	m->group = NEW_ARRAY(b->arena, uint32_t, n ? n : 1);
	m->rank = NEW_ARRAY(b->arena, uint32_t, n ? n : 1);
	m->origin = declared(b, decl, NULL);
	Scope *was = b->frame->scope;
	for (int64_t i = 0; i < n; i++) {
		b->frame->scope = scope_new(b, was);
		if (m->array) bind_index(b, decl->list.at[0], from + i);
		m->element[i] = make_element(b, in, decl, from + i, m->array);
		b->frame->scope = was;
		if (!m->element[i]) return;
		m->element[i]->precision = precision_of(b, decl);
		group_element(b, m, (uint32_t)i);
	}
	for (size_t g = 0; g < m->alike.n; g++) m->alike.at[g].name = group_name(b, m, &m->alike.at[g]);
	m->absent = false;
}

static void make_let(Build *b, Instance *in, const Ast *let)
{
	AstList names = let->list;
	Item v;
	if (let->list2.n == 1) {
		v = eval_constant(b, let, let->list2.at[0]);
	} else {
		ItemList l = {0};
		for (size_t i = 0; i < let->list2.n; i++)
			vec_push(b->arena, &l, eval_constant(b, let, let->list2.at[i]));
		v = item_list(b, &l);
	}
	if (names.n > 1 && v.kind != ITEM_BAD && (v.kind != ITEM_LIST || v.list->n != names.n)) {
		complain(b, let->span, "%zu names cannot take %s", names.n, item_kind(b, &v));
		v = bad();
	}
	for (size_t i = 0; i < names.n; i++) {
		Item one = names.n > 1 && v.kind == ITEM_LIST ? v.list->at[i] : v;
		scope_set(b, in->scope, names.at[i]->name, one, names.at[i]->span)->fixed = true;
		record_item(b, names.at[i]->span, &one);
	}
}

static void make_members(Build *b, Instance *in, const AstList *members);

static void make_member(Build *b, Instance *in, const Ast *a)
{
	bool yes;
	if (!a) return;
	switch (a->kind) {
	case AST_LET: make_let(b, in, a); break;
	case AST_WEIGHT:
		make_weight(b, in, a);
		record_member(b, in, a);
		break;
	case AST_STATE:
		make_state(b, in, a);
		record_member(b, in, a);
		break;
	case AST_USE: make_use(b, in, a); break;
	case AST_DEF: {
		static const char *const entry[] = {"precision", "target"}, *const def[] = {"precision",
		                                                                            "kernel"};
		check_attributes(b, a, a->flag ? entry : def, 2);
		if (a->flag) target_of(b, a, NULL);
		member_new(b, in, MEMBER_DEF, a);
		break;
	}
	case AST_ENTRY_OF: {
		static const char *const known[] = {"target"};
		check_attributes(b, a, known, COUNT(known));
		target_of(b, a, NULL);
		break;
	}
	case AST_MEMBER_IF:
		if (!a->a)
			make_members(b, in, &a->list);
		else if (condition(b, a->a, "the condition of members", &yes))
			make_members(b, in, yes ? &a->list : &a->list2);
		break;
	case AST_ASSERT:
		if (condition(b, a->a, "an assert among members", &yes) && !yes) {
			const char *text = a->b ? eval_text(b, a->b) : text_of(b, a->a->span);
			complain(b, a->span, "%s", text ? text : "an assert does not hold");
		}
		break;
	default: break;
	}
}

static void make_members(Build *b, Instance *in, const AstList *members)
{
	for (size_t i = 0; i < members->n && !b->stop; i++) make_member(b, in, members->at[i]);
}

Instance *instance_make(Build *b, const Ast *layer, File *file, const Argument *args,
                        const char *prefix, uint32_t depth, Span at)
{
	if (depth > LAYER_LIMIT) {
		over_limit(b, at,
		           arena_printf(b->arena,
		                        "layers nest more than %d deep here: does `%s` use itself?",
		                        LAYER_LIMIT, layer->name));
		return NULL;
	}
	if (++b->instances > INSTANCE_LIMIT) {
		over_limit(b, at, "the model uses more than 50000 layers");
		return NULL;
	}
	Instance *in = NEW(b->arena, Instance);
	in->layer = layer;
	in->file = file;
	in->prefix = prefix;
	in->depth = depth;
	in->scope = scope_new(b, file->scope);
	in->used = at;
	for (const Frame *f = b->frame; f && b->main && in->used.source != b->main->source; f = f->up)
		if (f->call.source == b->main->source) in->used = f->call;
	Frame frame = {.up = b->frame, .scope = in->scope, .file = file, .call = at};
	b->frame = &frame;
	uint32_t errors = b->errors;
	for (size_t i = 0; i < layer->list.n; i++) {
		const Ast *p = layer->list.at[i];
		Item v = args[i].ast ? args[i].item : (Item){.kind = ITEM_NONE};
		if (!args[i].ast && !(layer->flag && depth == 0 && setting_apply(b, p->name, p->a, &v)))
			v = eval(b, p->b);
		if (v.kind == ITEM_BAD && !args[i].ast && !p->b) continue;
		param_coerce(b, p->a, &v, args[i].ast ? args[i].span : p->span,
		             arena_printf(b->arena, "parameter `%s` of `%s`", p->name, layer->name));
		v.origin = NULL;
		scope_set(b, in->scope, p->name, v, p->op_span)->fixed = true;
		record_item(b, p->op_span, &v);
		vec_push(b->arena, &in->arguments, v);
	}
	record_instance(b, in);
	if (b->errors == errors) make_members(b, in, &layer->list2);
	b->frame = frame.up;
	return b->errors == errors || !b->stop ? in : NULL;
}

Item array_index(Build *b, const Item *array, const Item *index, Span at)
{
	const Member *m = array->member;
	Dim i = as_dim(b, index);
	int64_t k;
	if (index->kind == ITEM_BAD) return bad();
	if (!i) {
		complain(b, at, "the index of `%s` must be an integer, not %s", m->name,
		         item_kind(b, index));
		return bad();
	}
	bool fixed = dim_is_const(i, &k);
	if (fixed) k += k < 0 ? m->n : -(int64_t)m->from;
	if (fixed && (k < 0 || k >= m->n)) {
		if (m->from)
			complain(b, at, "`%s` has the elements %u..%u, there is no element %s", m->name,
			         m->from, m->from + m->n, dim_text(b->arena, i));
		else
			complain(b, at, "`%s` has %u elements, there is no element %lld", m->name, m->n,
			         (long long)k);
		return bad();
	}
	i = dim_addc(b->m->dims, i, -(int64_t)m->from);
	if (!fixed && (dim_le(&b->m->facts, dim_const(b->m->dims, 0), i) != PROOF_YES ||
	               dim_le(&b->m->facts, dim_addc(b->m->dims, i, 1), dim_const(b->m->dims, m->n)) !=
	                   PROOF_YES)) {
		complain(b, at, "the index %s of `%s` may lie outside %u..%u",
		         dim_text(b->arena, as_dim(b, index)), m->name, m->from, m->from + m->n - 1);
		return bad();
	}
	uint32_t group = fixed ? m->group[k] : 0;
	Dim rank = fixed ? dim_const(b->m->dims, m->rank[k]) : i;
	if (!fixed && m->alike.n > 1 && !pattern_choice(b, m, i, at, &group, &rank)) return bad();
	const Alike *alike = &m->alike.at[group];
	Place *p = NEW(b->arena, Place);
	*p = *array->at;
	if (!fixed && b->loop) b->loop->uses_stack = true;
	p->instance = m->element[alike->first];
	if (alike->n > 1) p->index[p->n++] = rank;
	p->path = fixed ? path_join(b, array->at->path,
	                            intern_str(b->names, arena_printf(b->arena, "%s.%lld", m->name,
	                                                              (long long)(m->from + k))))
	                : path_join(b, array->at->path, alike->name);
	return (Item){.kind = ITEM_PLACE, .place = p, .origin = m->origin};
}

/* --- the module's weights and states ------------------------------------------------------------- */

/* Instances alike, one for each position of the stacked axes (row-major). */
typedef struct Group {
	Instance **at;
	uint32_t n, axes;
	Dim axis[STACK_LIMIT];
} Group;

static bool stack_type(Build *b, const Group *g, const Member *m, Type *out)
{
	*out = m->type;
	if (m->type.rank + g->axes > MAX_RANK) {
		complain(b, m->decl->span,
		         "with the arrays of layers around it, `%s` has more than %d dims", m->name,
		         MAX_RANK);
		return false;
	}
	for (uint32_t i = m->type.rank; i > 0; i--) out->dim[i - 1 + g->axes] = m->type.dim[i - 1];
	for (uint32_t i = 0; i < g->axes; i++) out->dim[i] = g->axis[i];
	out->rank = m->type.rank + g->axes;
	return true;
}

static void register_weight(Build *b, const Group *g, size_t k, const char *path)
{
	Member *first = g->at[0]->members.at[k];
	Weight w = {.name = path_join(b, path, first->name),
	            .span = first->decl->op_span,
	            .buffer = find_attribute(first->decl, "buffer") != NULL};
	if (!stack_type(b, g, first, &w.type)) return;
	w.n_keys = g->n * first->n_keys;
	const char **keys = NEW_ARRAY(b->arena, const char *, w.n_keys ? w.n_keys : 1);
	for (uint32_t i = 0; i < g->n; i++)
		for (uint32_t j = 0; j < first->n_keys; j++)
			keys[i * first->n_keys + j] = g->at[i]->members.at[k]->keys[j];
	w.keys = keys;
	uint32_t number = module_weight(b->m, w);
	for (uint32_t i = 0; i < g->n; i++) g->at[i]->members.at[k]->number = number;
	vec_push(b->arena, &b->weights, first);
}

static void register_state(Build *b, const Group *g, size_t k, const char *path)
{
	Member *first = g->at[0]->members.at[k];
	State s = {.name = path_join(b, path, first->name),
	           .initial = first->initial,
	           .span = first->decl->op_span};
	if (!stack_type(b, g, first, &s.type)) return;
	uint32_t number = module_state(b->m, s);
	for (uint32_t i = 0; i < g->n; i++) g->at[i]->members.at[k]->number = number;
	vec_push(b->arena, &b->states, first);
}

static void register_state_dim(Build *b, const Group *g, size_t k, const char *path)
{
	Member *m = g->at[0]->members.at[k];
	if (g->n > 1) {
		complain(b, m->decl->span,
		         "a state dim stands in the model or in a layer that is used once");
		return;
	}
	const char *name = m->name;
	if (m->batch) { /* the rows, and the dim that none of them exceeds */
		State s = {.name = path_join(b, path, m->name), .type = m->type, .span = m->decl->op_span};
		int64_t first;
		if (m->begin && dim_is_const(m->begin, &first)) s.initial = (double)first;
		m->rows = module_state(b->m, s);
		name = intern_str(b->names, arena_printf(b->arena, "%s_max", m->name));
	}
	m->sym = dim_sym_new(b->m->dims, name, SYM_STATE, m->lo, m->hi, m->decl->op_span);
	if (m->begin != m->lo) m->sym->initial = m->begin;
	m->number = (uint32_t)b->state_dims.n;
	vec_push(b->arena, &b->state_dims, m);
	vec_push(b->arena, &b->m->params, m->sym);
}

static void register_group(Build *b, const Group *g, const char *path);

static void register_use(Build *b, const Group *g, size_t k, const char *path)
{
	const Member *first = g->at[0]->members.at[k];
	for (size_t c = 0; c < first->alike.n; c++) {
		const Alike *alike = &first->alike.at[c];
		Group in = *g;
		uint32_t at = 0;
		if (alike->n > 1) {
			if (g->axes == STACK_LIMIT) {
				complain(b, first->decl->span,
				         "at most %d arrays of layers stand inside each other", STACK_LIMIT);
				return;
			}
			in.axis[in.axes++] = dim_const(b->m->dims, alike->n);
		}
		in.n = g->n * alike->n;
		in.at = NEW_ARRAY(b->arena, Instance *, in.n);
		for (uint32_t i = 0; i < g->n; i++)
			for (uint32_t j = alike->first; j <= alike->last; j++)
				if (first->group[j] == c) in.at[at++] = g->at[i]->members.at[k]->element[j];
		register_group(b, &in, path_join(b, path, alike->name));
	}
}

/* @ignore("attn.bias"): keys, behind the layer's own, that a weight file may have in vain. */
static void register_ignored(Build *b, const Group *g)
{
	static const char *const known[] = {"ignore"};
	const Ast *layer = g->at[0]->layer;
	check_attributes(b, layer, known, COUNT(known));
	for (size_t i = 0; i < layer->attributes.n; i++) {
		const AstList *args = &layer->attributes.at[i]->list;
		for (size_t k = 0; k < args->n; k++) {
			const Ast *key = args->at[k]->kind == AST_ARG ? args->at[k]->a : NULL;
			if (!key || key->kind != AST_STRING) {
				complain(b, layer->attributes.at[i]->span,
				         "@ignore takes keys of weights:  @ignore(\"h.*.attn.bias\")");
				return;
			}
			for (uint32_t j = 0; j < g->n; j++)
				vec_push(b->arena, &b->m->ignore,
				         intern_str(b->names,
				                    arena_printf(b->arena, "%s%s", g->at[j]->prefix, key->name)));
		}
	}
}

static void register_group(Build *b, const Group *g, const char *path)
{
	const Instance *first = g->at[0];
	register_ignored(b, g);
	for (size_t k = 0; k < first->members.n; k++) {
		const Member *m = first->members.at[k];
		if (m->absent) continue;
		if (m->kind == MEMBER_WEIGHT) register_weight(b, g, k, path);
		if (m->kind == MEMBER_STATE) register_state(b, g, k, path);
		if (m->kind == MEMBER_STATE_DIM) register_state_dim(b, g, k, path);
		if (m->kind == MEMBER_USE) register_use(b, g, k, path);
	}
}

void instance_register(Build *b, Instance *model)
{
	Group g = {.at = &model, .n = 1};
	register_group(b, &g, "");
}
