/* Files: what a file declares, what it imports, and settings from the command line. Layers, defs and
 * dims may be used before they are declared; a `let` knows what stands above it. */
#include "frontend/build.h"
#include "frontend/std.h"

#include <stdlib.h>
#include <string.h>

/* --- settings ---------------------------------------------------------------------------------------- */

/* A list or tuple is an expression of the language, which sees no names of the file. */
static Item setting_list(Build *b, const char *name, const char *text)
{
	const Source *s =
		source_from_text(b->arena, arena_printf(b->arena, "--set %s", name), text, strlen(text));
	Parse outer = {.arena = b->arena, .names = b->names, .d = b->d, .source = s};
	const Ast *e = ast_parse_expression(&outer, 0, (uint32_t)s->size);
	b->errors += outer.errors;
	if (!e || outer.errors) return (Item){.kind = ITEM_BAD};
	Scope scope = {0};
	Frame frame = {.scope = &scope, .file = b->main};
	Frame *up = b->frame;
	b->frame = &frame;
	Item i = eval(b, e);
	b->frame = up;
	return i;
}

static Item setting_value(Build *b, const char *name, const char *text)
{
	if (*text == '[' || *text == '(') return setting_list(b, name, text);
	char *end;
	DType t;
	if (strcmp(text, "true") == 0) return item_bool(true);
	if (strcmp(text, "false") == 0) return item_bool(false);
	if (strcmp(text, "none") == 0) return (Item){.kind = ITEM_NONE};
	size_t n = strlen(text);
	if (n && n < 16 && strspn(text, "-0123456789") == n) {
		long long v = strtoll(text, &end, 10);
		if (!*end) return item_int(v);
	}
	if (n && strspn(text, "-+.0123456789eE") == n) {
		double v = strtod(text, &end);
		if (!*end) return item_float(v);
	}
	if (dtype_from_name(text, &t) && t != DT_F64) return (Item){.kind = ITEM_DTYPE, .dtype = t};
	return item_text(intern_str(b->names, text));
}

bool setting_apply(Build *b, const char *name, const Ast *type, Item *out)
{
	(void)type;
	bool found = false;
	for (uint32_t i = 0; b->options && i < b->options->n_set; i++) {
		if (strcmp(b->options->set[i].name, name) != 0) continue;
		b->set_used[i] = true;
		*out = setting_value(b, name, b->options->set[i].value);
		found = true;
	}
	return found;
}

/* --- declarations -------------------------------------------------------------------------------------- */

static void declare(Build *b, File *f, const Ast *a, const char *name, Item item, Span at)
{
	Binding *was = scope_own(f->scope, name);
	if (was) {
		Diag *m = complain(b, at, "`%s` is declared twice in this file", name);
		diag_note(b->d, m, was->span, "it is declared here too");
	}
	(void)a;
	scope_set(b, f->scope, name, item, at);
}

/* dim Y, X in 1..64: names without a range have that of the next name. */
static const Ast *shared_range(const Ast *dims, size_t k)
{
	while (k + 1 < dims->list.n && !dims->list.at[k]->a && !dims->list.at[k]->b) k++;
	return dims->list.at[k]->d ? NULL : dims->list.at[k]->a;
}

static void declare_all(Build *b, File *f)
{
	for (size_t i = 0; i < f->ast->list.n; i++) {
		const Ast *a = f->ast->list.at[i];
		if (!a) continue;
		if (a->kind == AST_LAYER)
			declare(b, f, a, a->name, (Item){.kind = ITEM_LAYER, .layer = a, .of = f}, a->op_span);
		if (a->kind == AST_TEST) {
			static const char *const known[] = {"target"};
			check_attributes(b, a, known, COUNT(known));
		}
		if (a->kind == AST_DEF) {
			static const char *const known[] = {"precision", "kernel"};
			check_attributes(b, a, known, COUNT(known));
			Function *g = NEW(b->arena, Function);
			*g = (Function){a, NULL, f->scope, f};
			declare(b, f, a, a->name, (Item){.kind = ITEM_FUNCTION, .function = g}, a->op_span);
		}
		if (a->kind != AST_DIM) continue;
		for (size_t k = 0; k < a->list.n; k++) {
			const Ast *d = a->list.at[k];
			FileDim *fd = NEW(b->arena, FileDim);
			fd->decl = d;
			fd->file = f;
			fd->range = d->a ? d->a : shared_range(a, k);
			if (d->b)
				complain(b, d->span,
				         "a dim has a range:  dim %s in 1..64; a constant is written  let",
				         d->name);
			declare(b, f, a, d->name, (Item){.kind = ITEM_FILE_DIM, .file_dim = fd}, d->span);
			Item set;
			if (f == b->main && setting_apply(b, d->name, NULL, &set))
				vec_push(b->arena, &f->set, ((Binding){d->name, set, d->span, false}));
		}
	}
}

static void run_let(Build *b, File *f, const Ast *let)
{
	ItemList values = {0};
	Frame frame = {.up = b->frame, .scope = f->scope, .file = f, .call = let->span};
	b->frame = &frame;
	for (size_t i = 0; i < let->list2.n; i++)
		vec_push(b->arena, &values, eval_constant(b, let, let->list2.at[i]));
	if (values.n == 1 && let->list.n > 1 && values.at[0].kind == ITEM_LIST)
		values = *values.at[0].list;
	if (values.n != let->list.n) {
		if (values.n != 1 || values.at[0].kind != ITEM_BAD)
			complain(b, let->span, "%zu names cannot take %zu values", (size_t)let->list.n,
			         (size_t)values.n);
		for (size_t i = 0; i < let->list.n; i++)
			declare(b, f, let, let->list.at[i]->name, bad(), let->list.at[i]->span);
		b->frame = frame.up;
		return;
	}
	for (size_t i = 0; i < let->list.n; i++) {
		const Ast *name = let->list.at[i];
		Item v = values.at[i], set;
		if (f == b->main && setting_apply(b, name->name, NULL, &set)) {
			double number;
			if (v.kind == ITEM_FLOAT && as_number(&set, &number)) set = item_float(number);
			if (set.kind != v.kind && v.kind != ITEM_BAD)
				complain(b, name->span, "--set %s: %s where the file has %s", name->name,
				         item_kind(b, &set), item_kind(b, &v));
			v = set;
		}
		declare(b, f, let, name->name, v, name->span);
		record_item(b, name->span, &v);
		scope_own(f->scope, name->name)->fixed = true;
	}
	b->frame = frame.up;
}

/* `--set S=128` makes a dim of the main file a constant, inside its range. */
static void fix_dims(Build *b, File *f)
{
	for (size_t i = 0; i < f->set.n; i++) {
		const Binding *s = &f->set.at[i];
		Binding *k = scope_own(f->scope, s->name);
		Dim lo, hi;
		if (s->item.kind != ITEM_INT) {
			complain(b, s->span, "--set %s: a dim is an integer, not %s", s->name,
			         item_kind(b, &s->item));
			continue;
		}
		if (!k || k->item.kind != ITEM_FILE_DIM || !file_dim_range(b, k->item.file_dim, &lo, &hi))
			continue;
		Dim v = dim_const(b->m->dims, s->item.integer);
		if (dim_le(NULL, lo, v) != PROOF_YES || dim_le(NULL, v, hi) != PROOF_YES)
			complain(b, s->span, "--set %s=%s: outside its range %s..%s", s->name,
			         item_text_of(b, &s->item), dim_text(b->arena, lo), dim_text(b->arena, hi));
		k->item = s->item;
		k->fixed = true;
	}
}

/* --- imports --------------------------------------------------------------------------------------------- */

static bool is_std(const char *name)
{
	return strncmp(name, "std/", 4) == 0;
}

const Source *import_source(Arena *a, const FrontendOptions *o, const Source *from,
                            const char *name, const char **path, const char **why)
{
	*why = NULL;
	if (is_std(name)) {
		const Source *parsed = library_source(o ? o->library : NULL, name);
		*path = arena_printf(a, "%s.nac", name);
		if (parsed) return parsed;
		for (const FrontendStdFile *s = frontend_std; s->name; s++)
			if (strcmp(s->name, name) == 0)
				return source_from_text(a, *path, s->text, strlen(s->text));
		return NULL;
	}
	const char *slash = strrchr(from->name, '/');
	size_t n = strlen(name);
	const char *suffix = n > 4 && strcmp(name + n - 4, ".nac") == 0 ? "" : ".nac";
	*path = arena_printf(a, "%.*s%s%s", slash ? (int)(slash - from->name + 1) : 0, from->name, name,
	                     suffix);
	if (*name == '/') return NULL;
	const Source *s = o && o->open ? o->open(o->open_context, *path) : NULL;
	return s ? s : source_from_file(a, *path, why);
}

static const Source *find_source(Build *b, const File *from, const Ast *a)
{
	const char *path, *why;
	const Source *s = import_source(b->arena, b->options, from->source, a->name, &path, &why);
	if (s) return s;
	if (!is_std(a->name)) {
		complain(b, a->span, "cannot read '%s': %s", path,
		         why ? why : "imports are relative to their file");
		return NULL;
	}
	const char *names[32];
	size_t n = 0;
	for (const FrontendStdFile *f = frontend_std; f->name && n < COUNT(names); f++)
		names[n++] = f->name;
	Diag *m = complain(b, a->span, "the standard library has no \"%s\"", a->name);
	const char *near = nearest_name(a->name, names, n);
	if (near) diag_help(b->d, m, "did you mean \"%s\"?", near);
	return NULL;
}

/* Names of an imported file are known, and of those that it imports without `as`. */
static void import_add(Build *b, File *f, File *in)
{
	for (size_t i = 0; i < f->imports.n; i++)
		if (f->imports.at[i] == in) return;
	vec_push(b->arena, &f->imports, in);
}

static void import(Build *b, File *f, const Ast *a)
{
	File *in = NULL;
	for (size_t i = 0; i < b->files->n && !in; i++)
		if (strcmp(b->files->at[i]->name, a->name) == 0) in = b->files->at[i];
	if (in && in->busy) {
		complain(b, a->span, "\"%s\" imports itself, through this import", a->name);
		return;
	}
	if (!in) {
		const Source *s = find_source(b, f, a);
		uint32_t errors = 0;
		if (!s) return;
		Diags own = {.arena = b->arena};
		const Ast *ast = library_ast(b->options ? b->options->library : NULL, s);
		if (!ast) ast = ast_parse(b->arena, b->names, &own, s, &errors);
		for (size_t i = 0; i < own.list.n; i++)
			complain(b, own.list.at[i]->span, "%s", own.list.at[i]->text);
		if (!ast || errors) {
			if (!own.list.n) complain(b, a->span, "\"%s\" cannot be read as a model file", a->name);
			return;
		}
		in = file_load(b, a->name, s, ast, a->span);
	}
	if (!in) return;
	if (a->a) {
		declare(b, f, a, a->a->name, (Item){.kind = ITEM_FILE, .file = in}, a->a->span);
		return;
	}
	import_add(b, f, in);
	for (size_t k = 0; k < in->imports.n; k++) import_add(b, f, in->imports.at[k]);
}

File *file_load(Build *b, const char *name, const Source *source, const Ast *ast, Span at)
{
	File *f = NEW(b->arena, File);
	if (b->files->n >= 64) {
		over_limit(b, at, "more than 64 files are imported");
		return NULL;
	}
	f->name = name;
	f->source = source;
	f->ast = ast;
	f->busy = true;
	f->scope = scope_new(b, NULL);
	f->scope->file = f;
	vec_push(b->arena, b->files, f);
	if (!b->main) b->main = f;
	for (size_t i = 0; i < ast->list.n; i++)
		if (ast->list.at[i] && ast->list.at[i]->kind == AST_IMPORT) import(b, f, ast->list.at[i]);
	declare_all(b, f);
	for (size_t i = 0; i < ast->list.n; i++)
		if (ast->list.at[i] && ast->list.at[i]->kind == AST_LET) run_let(b, f, ast->list.at[i]);
	fix_dims(b, f);
	f->busy = false;
	f->ready = true;
	return f;
}
