/* frontend_load: parses a file, then builds the module of its model and one for each inline test. */
#include "frontend/build.h"

#include <string.h>

typedef struct Unit {
	Arena *arena;
	Interner *names;
	Diags *d;
	const Source *source;
	const Ast *ast;
	const FrontendOptions *options;
	bool *set_used;
	uint64_t spent; /* steps that a build begins with */
} Unit;
/* Of STEP_LIMIT, for what is looked at in silence while somebody writes: an editor waits for it. */
enum { SILENT_STEPS = STEP_LIMIT / 12 };

static Build *build_new(const Unit *u, const char *name)
{
	Build *b = NEW(u->arena, Build);
	b->arena = u->arena;
	b->names = u->names;
	b->d = u->d;
	b->scratch = (Diags){.arena = u->arena};
	b->options = u->options;
	b->set_used = u->set_used;
	b->steps = u->spent;
	b->m = module_new(u->arena, u->names, name);
	b->key = (Text){.arena = u->arena};
	b->record = u->options ? u->options->record : NULL;
	b->files = NEW(u->arena, FileList);
	return b;
}

static const Ast *choose_model(const Unit *u, bool *ok)
{
	const Ast *last = NULL;
	const char *wanted = u->options ? u->options->model : NULL, *names[64];
	size_t n = 0;
	*ok = true;
	for (size_t i = 0; i < u->ast->list.n; i++) {
		const Ast *a = u->ast->list.at[i];
		if (!a || a->kind != AST_LAYER || !a->flag) continue;
		if (wanted && strcmp(wanted, a->name) == 0) return a;
		if (n < COUNT(names)) names[n++] = a->name;
		last = a;
	}
	if (!wanted) return last;
	Diag *m = diag_error(u->d, span_none(), "'%s' has no model `%s`", u->source->name, wanted);
	const char *near = nearest_name(wanted, names, n);
	if (near) diag_help(u->d, m, "did you mean `%s`?", near);
	*ok = false;
	return NULL;
}

static Module *build_model(const Unit *u, const Ast *model)
{
	Build *b = build_new(u, model->name);
	File *f = file_load(b, "", u->source, u->ast, span_none());
	if (b->errors || !f) return NULL;
	Argument *args = NEW_ARRAY(u->arena, Argument, model->list.n + 1);
	Frame frame = {.scope = f->scope, .file = f, .call = model->op_span};
	b->frame = &frame;
	for (size_t i = 0; i < model->list.n; i++) {
		const Ast *p = model->list.at[i];
		Item v;
		if (p->b || setting_apply(b, p->name, p->a, &v)) continue;
		Diag *m =
			complain(b, p->span, "parameter `%s` of model `%s` has no value", p->name, model->name);
		diag_help(b->d, m, "give it a default, or  --set %s=..", p->name);
	}
	Instance *in = b->errors ? NULL : instance_make(b, model, f, args, "", 0, model->op_span);
	b->frame = NULL;
	if (!in || b->errors) return NULL;
	instance_register(b, in);
	if (b->errors) return NULL;
	build_entries(b, in);
	if (b->errors) return NULL;
	return module_verify(u->d, b->m) ? b->m : NULL;
}

static void build_tests(const Unit *u, FrontendUnit *out)
{
	for (size_t i = 0; i < u->ast->list.n; i++) {
		const Ast *a = u->ast->list.at[i];
		if (!a || a->kind != AST_TEST) continue;
		if (out->tests.n >= TEST_LIMIT) {
			diag_error(u->d, a->span, "a file has at most %d tests", TEST_LIMIT);
			return;
		}
		Build *b = build_new(u, a->name);
		FrontendTest t = {.name = a->name, .span = a->span, .target = target_of(b, a, NULL)};
		File *f = file_load(b, "", u->source, u->ast, span_none());
		if (f && !b->errors && build_test(b, a) && module_verify(u->d, b->m)) t.module = b->m;
		for (size_t k = 0; k < b->assert_span.n; k++) {
			vec_push(u->arena, &t.assert_span, b->assert_span.at[k]);
			vec_push(u->arena, &t.assert_text, b->assert_text.at[k]);
		}
		vec_push(u->arena, &out->tests, t);
	}
}

static void check_settings(const Unit *u, const Ast *model)
{
	enum { ROOM = 256 };
	const char *names[ROOM];
	size_t n = 0;
	for (size_t i = 0; i < u->ast->list.n; i++) {
		const Ast *a = u->ast->list.at[i];
		for (size_t k = 0;
		     a && (a->kind == AST_LET || a->kind == AST_DIM) && k < a->list.n && n < ROOM; k++)
			names[n++] = a->list.at[k]->name;
	}
	for (size_t i = 0; model && i < model->list.n && n < ROOM; i++)
		names[n++] = model->list.at[i]->name;
	for (uint32_t i = 0; u->options && i < u->options->n_set; i++) {
		if (u->set_used[i]) continue;
		bool known = false;
		for (size_t k = 0; k < n; k++) known |= strcmp(names[k], u->options->set[i].name) == 0;
		if (known) continue; /* not reached because of an error */
		Diag *m = diag_error(u->d, span_none(), "--set %s: '%s' has no setting of this name",
		                     u->options->set[i].name, u->source->name);
		const char *near = nearest_name(u->options->set[i].name, names, n);
		if (near) diag_help(u->d, m, "did you mean `%s`?", near);
	}
}

/* What no model has called; one budget of steps for all. */
static void look_at_rest(const Unit *u, Record *r)
{
	Diags silent = {.arena = u->arena};
	Unit quiet = *u;
	quiet.d = &silent;
	quiet.spent = STEP_LIMIT - SILENT_STEPS;
	for (size_t i = 0; i < u->ast->list.n; i++) {
		const Ast *a = u->ast->list.at[i];
		if (!a || (a->kind != AST_LAYER && a->kind != AST_DEF) || !sketch_needed(r, a)) continue;
		Build *b = build_new(&quiet, a->name);
		b->symbolic = b->m->facts.assume = true;
		File *f = file_load(b, "", u->source, u->ast, span_none());
		if (!f || b->stop) return;
		if (a->kind == AST_LAYER)
			sketch_layer(b, f, a);
		else
			sketch_def(b, f, a);
		if (b->stop) return;
		quiet.spent = b->steps;
	}
}

/* After syntax errors: what there is, for an editor. */
static void look_silently(Unit *u)
{
	Diags silent = {.arena = u->arena};
	bool ok;
	u->d = &silent;
	u->spent = STEP_LIMIT - SILENT_STEPS;
	u->ast = ast_parse_loose(u->arena, u->names, u->source);
	if (!u->ast) return;
	const Ast *model = choose_model(u, &ok);
	if (model) build_model(u, model);
	look_at_rest(u, u->options->record);
}

bool frontend_load(Arena *a, Interner *names, Diags *d, const Source *s, const FrontendOptions *o,
                   FrontendUnit *out)
{
	Unit u = {a, names, d, s, NULL, o, NEW_ARRAY(a, bool, o ? o->n_set + 1 : 1), 0};
	uint32_t errors = 0, before = d->errors;
	bool ok;
	*out = (FrontendUnit){0};
	u.ast = ast_parse(a, names, d, s, &errors);
	Record *record = o ? o->record : NULL;
	if (record) record_begin(record, s);
	if (errors || !u.ast) {
		if (d->errors == before)
			diag_error(d, span_none(), "'%s' cannot be read as a model file", s->name);
		if (record) look_silently(&u);
		return false;
	}
	const Ast *model = choose_model(&u, &ok);
	if (!ok) return false;
	if (model)
		out->module = build_model(&u, model);
	else
		file_load(build_new(&u, ""), "", s, u.ast, span_none()); /* what it declares is checked */
	check_settings(&u, model);
	if (d->errors == before) build_tests(&u, out);
	if (record) look_at_rest(&u, record);
	if (model && !out->module && d->errors == before)
		diag_error(d, model->op_span, "model `%s` cannot be built", model->name);
	if (d->errors != before) out->module = NULL;
	return d->errors == before;
}
