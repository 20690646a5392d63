/* Declared types: evaluating them, binding the dims of a call from its arguments, and checking
 * values against them. A dim that stands alone in a parameter is bound by the first argument that
 * has it, then those that an expression such as 2*D gives; everything else is checked afterwards. */
#include "frontend/build.h"

#include <string.h>

static bool is_wild(const Ast *dim)
{
	return dim->kind == AST_NAME && strcmp(dim->name, "_") == 0;
}

bool type_dtype(Build *b, const Ast *type, DType *out)
{
	Binding *k = b->frame ? scope_find(b->frame->scope, type->name) : NULL;
	if (k && k->item.kind == ITEM_DTYPE) {
		*out = k->item.dtype;
		return true;
	}
	if (k && k->item.kind == ITEM_SCALED && b->scaled_fits) {
		*out = k->item.scaled->stored;
		return true;
	}
	return !k && dtype_from_name(type->name, out) && *out != DT_F64;
}

bool type_is_tensor(Build *b, const Ast *type)
{
	DType t;
	return type_dtype(b, type, &t);
}

static bool unknown_type(Build *b, const Ast *type)
{
	static const char *const words[] = {"f32", "f16",   "bf16", "f8e4m3", "f8e5m2", "i8",
	                                    "u8",  "i4",    "i32",  "i64",    "bool",   "int",
	                                    "str", "dtype", "dim",  "fn",     "layer",  "any"};
	if (type_scaled(b, type)) {
		complain(b, type->span, "`%s` is a scaled type, which only weights have", type->name);
		return false;
	}
	Diag *m = complain(b, type->span, "`%s` is no element type", type->name);
	const char *near = nearest_name(type->name, words, COUNT(words)), *hint = hint_for(type->name);
	if (strcmp(type->name, "float") == 0) near = "f32";
	if (strcmp(type->name, "int") == 0) near = "i32";
	if (strcmp(type->name, "int") != 0 && strcmp(type->name, "float") != 0 && hint)
		diag_help(b->d, m, "%s", hint);
	else if (near)
		diag_help(b->d, m, "did you mean `%s`?", near);
	return false;
}

/* The dims of a declared tensor type against a rank: how many dims `...` stands for, or -1. */
static int64_t ellipsis_room(const Ast *type, uint32_t rank)
{
	uint32_t named = 0;
	bool open = false;
	for (size_t i = 0; i < type->list.n; i++) {
		if (type->list.at[i]->kind == AST_ELLIPSIS)
			open = true;
		else
			named++;
	}
	if (open) return rank >= named ? (int64_t)(rank - named) : -1;
	return rank == named ? 0 : -1;
}

static bool eval_dim(Build *b, const Ast *e, Dim *out)
{
	if (e->kind == AST_NAME && !scope_find(b->frame->scope, e->name)) {
		Diag *m = complain(b, e->span, "dim `%s` is not declared", e->name);
		const char *near = scope_nearest(b, b->frame->scope, e->name);
		if (near)
			diag_help(b->d, m, "did you mean `%s`?", near);
		else
			diag_help(
				b->d, m,
				"a dim is declared in the file,  dim %s in 1..64,  or by its def,  def f[%s](..)",
				e->name, e->name);
		return false;
	}
	Item i = eval(b, e);
	return need_dim(b, &i, e->span, "a dim", out);
}

bool type_evaluate(Build *b, const Ast *type, Type *out)
{
	*out = (Type){0};
	if (!type_dtype(b, type, &out->dtype)) return unknown_type(b, type);
	for (size_t i = 0; i < type->list.n; i++) {
		const Ast *dim = type->list.at[i];
		uint32_t many = 1;
		if (dim->kind == AST_ELLIPSIS) {
			if (!b->frame->ellipsis) {
				complain(b, dim->span, "`...` has no meaning here: no parameter has bound it");
				return false;
			}
			many = b->frame->n_ellipsis;
		} else if (is_wild(dim)) {
			complain(b, dim->span,
			         "`_` stands for a dim only in the parameters and results of a def");
			return false;
		}
		if (out->rank + many > MAX_RANK) {
			complain(b, type->span, "a tensor has at most %d dims", MAX_RANK);
			return false;
		}
		for (uint32_t k = 0; k < many; k++) {
			Dim d = dim->kind == AST_ELLIPSIS ? b->frame->ellipsis[k] : NULL;
			if (!d && !eval_dim(b, dim, &d)) return false;
			if (dim_le(&b->m->facts, d, dim_const(b->m->dims, -1)) == PROOF_YES) {
				complain(b, dim->span, "a dim cannot be negative: this is %s",
				         dim_text(b->arena, d));
				return false;
			}
			out->dim[out->rank++] = d;
		}
	}
	return true;
}

/* --- names in a type, for messages --- */

static void add_names(Build *b, const Ast *e, Text *t, uint32_t *n, const char **seen)
{
	enum { MOST = 6 };
	if (!e || *n >= MOST) return;
	if (e->kind == AST_NAME) {
		Binding *k = scope_find(b->frame->scope, e->name);
		for (uint32_t i = 0; i < *n; i++)
			if (seen[i] == e->name) return;
		if (!k || (k->item.kind != ITEM_INT && k->item.kind != ITEM_DIM)) return;
		const char *value = item_text_of(b, &k->item);
		if (strcmp(value, e->name) == 0) return;
		text_printf(t, "%s %s = %s", *n ? "," : " with", e->name, value);
		seen[(*n)++] = e->name;
		return;
	}
	add_names(b, e->a, t, n, seen);
	add_names(b, e->b, t, n, seen);
	for (size_t i = 0; i < e->list.n; i++) add_names(b, e->list.at[i], t, n, seen);
}

const char *type_with(Build *b, const Ast *type)
{
	Text t = text_new(b->arena);
	const char *seen[8];
	uint32_t n = 0;
	text_puts(&t, text_of(b, type->span));
	for (size_t i = 0; i < type->list.n && b->frame; i++)
		add_names(b, type->list.at[i], &t, &n, seen);
	return t.at;
}

/* --- dims of files --- */

bool file_dim_range(Build *b, FileDim *f, Dim *lo, Dim *hi)
{
	const Ast *range = f->range;
	Frame frame = {.up = b->frame, .scope = f->file->scope, .file = f->file};
	if (!range || f->busy) {
		if (f->busy)
			complain(b, f->decl->span, "the range of dim %s refers to itself", f->decl->name);
		return false;
	}
	if (!range->b) {
		complain(b, range->span, "the range of a dim is written  lo..hi");
		return false;
	}
	f->busy = true;
	b->frame = &frame;
	bool ok = eval_dim(b, range->a, lo) && eval_dim(b, range->b, hi);
	b->frame = frame.up;
	f->busy = false;
	if (ok && dim_le(&b->m->facts, *lo, *hi) == PROOF_NO) {
		complain(b, range->span, "the range of dim %s is empty: %s..%s", f->decl->name,
		         dim_text(b->arena, *lo), dim_text(b->arena, *hi));
		ok = false;
	}
	if (ok && dim_le(&b->m->facts, *lo, dim_const(b->m->dims, -1)) == PROOF_YES) {
		complain(b, range->span, "a dim cannot be negative: its range begins at %s",
		         dim_text(b->arena, *lo));
		ok = false;
	}
	return ok;
}

DimSym *file_dim_sym(Build *b, FileDim *f, Span at)
{
	Dim lo, hi;
	if (f->sym) return f->sym;
	if (f->decl->kind == AST_NAME || !f->range) {
		Diag *m = complain(b, f->decl->kind == AST_NAME ? f->decl->span : at,
		                   "dim %s has no range, so no entry can take it", f->decl->name);
		diag_help(b->d, m, "declare it in the file:  dim %s in 1..1024", f->decl->name);
		return NULL;
	}
	if (f->decl->flag && f->file != b->main) {
		Diag *m = complain(b, at, "session dim %s is declared in an imported file", f->decl->name);
		diag_note(b->d, m, f->decl->span, "it is declared here");
		diag_help(b->d, m, "declare it in the main file and pass it on:  layer Cache(%s: dim, ..)",
		          f->decl->name);
		return NULL;
	}
	if (!file_dim_range(b, f, &lo, &hi)) return NULL;
	f->sym = dim_sym_new(b->m->dims, f->decl->name, f->decl->flag ? SYM_SESSION : SYM_CALL, lo, hi,
	                     f->decl->span);
	vec_push(b->arena, &b->m->params, f->sym);
	return f->sym;
}

Dim file_dim_value(Build *b, FileDim *f, Span at, bool entry)
{
	if (f->decl->kind != AST_NAME && (f->decl->flag || entry)) {
		DimSym *s = file_dim_sym(b, f, at);
		return s ? dim_sym(b->m->dims, s) : NULL;
	}
	Diag *m = complain(b, at, "dim %s has no size here", f->decl->name);
	if (b->frame && b->frame->def)
		diag_help(
			b->d, m,
			"a def knows the dims that its parameters give, alone or as in 2*%s + 1; those of `%s` "
			"do not give %s. In a result `_` is the size that comes out",
			f->decl->name, b->frame->def->name, f->decl->name);
	else
		diag_help(b->d, m,
		          "only a session dim is known outside a def; a state takes its greatest length: "
		          "f32[B, T, D]");
	return NULL;
}

/* --- binding and checking arguments --- */

static bool binds(Build *b, const Ast *dim, FileDim **out)
{
	if (dim->kind != AST_NAME || is_wild(dim)) return false;
	Binding *k = scope_find(b->frame->scope, dim->name);
	if (!k || k->item.kind != ITEM_FILE_DIM) return false;
	*out = k->item.file_dim;
	return (*out)->decl->kind == AST_NAME || !(*out)->decl->flag;
}

static Scope *function_scope(Scope *s)
{
	while (s->up && !s->function) s = s->up;
	return s;
}

static bool bind_dim(Build *b, const Ast *name, const FileDim *f, Dim have)
{
	Dim lo, hi;
	scope_set(b, function_scope(b->frame->scope), name->name, item_dim(have), name->span);
	if (f->decl->kind == AST_NAME || !f->range) return true;
	if (!file_dim_range(b, (FileDim *)(uintptr_t)f, &lo, &hi)) return false;
	if (assume_le(b, lo, have, b->frame->call) && assume_le(b, have, hi, b->frame->call))
		return true;
	Diag *m = complain(b, b->frame->call, "dim %s of `%s` would be %s, outside its range %s..%s",
	                   name->name, b->frame->def ? b->frame->def->name : "",
	                   dim_text(b->arena, have), dim_text(b->arena, lo), dim_text(b->arena, hi));
	diag_note(b->d, m, f->decl->span, "%s is declared here", name->name);
	return false;
}

bool type_bind(Build *b, const Ast *type, Node *arg)
{
	int64_t open = ellipsis_room(type, arg->type.rank);
	uint32_t at = 0;
	if (open < 0 || !type->flag) return true; /* type_check reports it */
	for (size_t i = 0; i < type->list.n; i++) {
		const Ast *dim = type->list.at[i];
		FileDim *f;
		if (dim->kind == AST_ELLIPSIS) {
			if (!b->frame->ellipsis) {
				b->frame->ellipsis = NEW_ARRAY(b->arena, Dim, MAX_RANK);
				b->frame->n_ellipsis = (uint32_t)open;
				for (uint32_t k = 0; k < open; k++) b->frame->ellipsis[k] = arg->type.dim[at + k];
			}
			at += (uint32_t)open;
			continue;
		}
		Dim have = arg->type.dim[at++];
		if (!binds(b, dim, &f)) continue;
		if (!bind_dim(b, dim, f, have)) return false;
	}
	return true;
}

/* --- dims that an expression gives: D of f32[.., 2*D] --- */

const Ast *dim_unknown(Build *b, const Ast *e, FileDim **f)
{
	const Ast *found;
	if (!e) return NULL;
	if (e->kind == AST_NAME) return binds(b, e, f) ? e : NULL;
	if ((found = dim_unknown(b, e->a, f)) || (found = dim_unknown(b, e->b, f))) return found;
	for (size_t i = 0; i < e->list.n; i++)
		if ((found = dim_unknown(b, e->list.at[i], f))) return found;
	return NULL;
}

DimSolution dim_solve(Build *b, const Ast *dim, DimSym *s, int64_t *coef, Dim *rest)
{
	DimPool *p = b->m->dims;
	Scope *was = b->frame->scope;
	FileDim *f = NULL;
	const Ast *name = dim_unknown(b, dim, &f);
	Dim whole, factor;
	if (!s)
		s = dim_sym_new(p, name->name, SYM_CALL, dim_const(p, 0), dim_const(p, INT32_MAX),
		                name->span);
	b->frame->scope = scope_new(b, was);
	scope_set(b, b->frame->scope, name->name, item_dim(dim_sym(p, s)), name->span);
	bool several = dim_unknown(b, dim, &f) != NULL, ok = several || eval_dim(b, dim, &whole);
	b->frame->scope = was;
	if (!ok) return SOLVE_REPORTED;
	if (several || !dim_linear_in(p, whole, s, &factor, rest) || !dim_is_const(factor, coef))
		return SOLVE_NO;
	return *coef && *coef > -INT32_MAX && *coef < INT32_MAX ? SOLVE_YES : SOLVE_NO;
}

/* `have` elements of which the parameter says `dim`: binds the one dim of it that is not known. */
static bool solve(Build *b, const Ast *dim, Dim have, bool *progress)
{
	DimPool *p = b->m->dims;
	FileDim *f = NULL;
	const Ast *name = dim->kind == AST_NAME ? NULL : dim_unknown(b, dim, &f);
	int64_t coef;
	Dim rest;
	if (!name) return true;
	DimSolution found = dim_solve(b, dim, NULL, &coef, &rest);
	if (found != SOLVE_YES) return found == SOLVE_NO;
	Dim much = coef < 0 ? dim_sub(p, rest, have) : dim_sub(p, have, rest);
	Dim d = dim_floordiv(p, much, dim_const(p, coef < 0 ? -coef : coef));
	*progress = true;
	if (dims_equal(b, dim_mulc(p, d, coef < 0 ? -coef : coef), much) &&
	    assume_le(b, dim_const(p, 0), d, b->frame->call))
		return bind_dim(b, name, f, d);
	Diag *m = complain(b, b->frame->call, "%s of `%s` would be %s, which no %s gives",
	                   text_of(b, dim->span), b->frame->def ? b->frame->def->name : "",
	                   dim_text(b->arena, have), name->name);
	diag_note(b->d, m, dim->span, "it is declared here");
	return false;
}

bool type_solve(Build *b, const Ast *type, const Node *arg, bool *progress)
{
	int64_t open = ellipsis_room(type, arg->type.rank);
	uint32_t at = 0;
	if (open < 0) return true; /* type_check reports it */
	for (size_t i = 0; i < type->list.n; i++) {
		const Ast *dim = type->list.at[i];
		if (dim->kind == AST_ELLIPSIS)
			at += (uint32_t)open;
		else if (!solve(b, dim, arg->type.dim[at++], progress))
			return false;
	}
	return true;
}

typedef enum Fit { FIT_YES, FIT_RANK, FIT_DIM, FIT_REPORTED } Fit;

static Fit dims_fit(Build *b, const Ast *type, const Type *have, const Ast **which, Dim *want,
                    Dim *got)
{
	int64_t open = ellipsis_room(type, have->rank);
	uint32_t at = 0;
	if (open < 0) return FIT_RANK;
	for (size_t i = 0; i < type->list.n; i++) {
		const Ast *dim = type->list.at[i];
		*which = dim;
		if (dim->kind == AST_ELLIPSIS) {
			const Frame *f = b->frame;
			if (f->ellipsis && f->n_ellipsis != open) return FIT_RANK;
			for (uint32_t k = 0; f->ellipsis && k < open; k++) {
				*want = f->ellipsis[k];
				*got = have->dim[at + k];
				if (!dims_equal(b, *want, *got)) return FIT_DIM;
			}
			at += (uint32_t)open;
			continue;
		}
		*got = have->dim[at++];
		if (is_wild(dim)) continue;
		if (!eval_dim(b, dim, want)) return FIT_REPORTED;
		if (!dims_equal(b, *want, *got)) return FIT_DIM;
	}
	return FIT_YES;
}

/* The axis in the other place, or a length that another argument has bound. */
static void advise_dim(Build *b, Diag *m, const Ast *type, const Item *value, Span at,
                       const Ast *which, Dim want)
{
	const Type *have = &value->node->type;
	size_t parts = m->parts.n;
	for (uint32_t i = 0; i < have->rank && type->list.n == have->rank; i++)
		if (type->list.at[i] == which) advise_channels(b, m, text_of(b, at), have, i, want);
	if (which->kind == AST_ELLIPSIS || m->parts.n != parts) return;
	Binding *k = which->kind == AST_NAME ? scope_find(b->frame->scope, which->name) : NULL;
	if (!k || !b->frame->def || (k->item.kind != ITEM_DIM && k->item.kind != ITEM_INT)) return;
	bool parameter = false;
	for (size_t i = 0; i < b->frame->def->list.n; i++)
		parameter |= b->frame->def->list.at[i]->a == type;
	if (!parameter || k->fixed || k->span.begin == which->span.begin) return;
	if (scope_own(function_scope(b->frame->scope), which->name) != k) return;
	diag_note(b->d, m, k->span, "%s is bound here to %s", which->name, dim_text(b->arena, want));
	diag_help(b->d, m, "an axis of another size takes a dim of its own:  def %s[R](..)",
	          b->frame->def->name);
}

static bool misfit(Build *b, Fit fit, const Ast *type, const Item *value, Span at, const char *what,
                   const Ast *which, Dim want, Dim got)
{
	if (fit == FIT_REPORTED) return false;
	Diag *m;
	const char *have = item_kind(b, value);
	if (fit == FIT_RANK)
		m = complain(b, at, "%s is %s, declared as %s: the numbers of dims differ", what, have,
		             text_of(b, type->span));
	else if (strcmp(text_of(b, which->span), dim_text(b->arena, want)) == 0)
		m = complain(b, at, "%s is %s, declared as %s: %s stands for %s", what, have,
		             text_of(b, type->span), dim_text(b->arena, got), dim_text(b->arena, want));
	else
		m = complain(b, at, "%s is %s, declared as %s: %s is %s, not %s", what, have,
		             text_of(b, type->span), text_of(b, which->span), dim_text(b->arena, want),
		             dim_text(b->arena, got));
	note_origin(b, m, value, NULL);
	diag_note(b->d, m, type->span, "declared here as %s", type_with(b, type));
	size_t given = value->node->type.rank;
	if (fit == FIT_DIM)
		advise_dim(b, m, type, value, at, which, want);
	else if (given + 1 == type->list.n)
		diag_help(b->d, m, "an axis is kept by a slice, x[:, i:i+1], and added by  x[:, none]");
	else if (given == type->list.n + 1)
		diag_help(b->d, m, "an axis is dropped by an index,  x[:, 0],  or a reduction");
	return false;
}

static bool dtype_fits(Build *b, DType want, Item *value, Span at, const char *what, bool store)
{
	DType have = value->node->type.dtype;
	if (have == want) return true;
	bool floats = dtype_is_float(want) && dtype_is_float(have),
		 ints = dtype_is_integer(want) && dtype_is_integer(have);
	bool widens = (floats || ints) && dtype_widened(have) == want;
	if (widens || (floats && store)) {
		const Origin *o = value->origin;
		*value = item_node(emit_cast(b, value->node, want, at));
		value->origin = o;
		return value->kind != ITEM_BAD;
	}
	Diag *m =
		complain(b, at, "%s holds %s, declared as %s", what, dtype_name(have), dtype_name(want));
	note_origin(b, m, value, NULL);
	diag_help(b->d, m, "a cast is written  %s(x)", dtype_name(want));
	return false;
}

static bool check(Build *b, const Ast *type, Item *value, Span at, const char *what, bool store)
{
	DType want;
	if (value->kind == ITEM_BAD) return false;
	if (value->kind == ITEM_NONE && type->flag2) return true;
	if (!type_dtype(b, type, &want)) return param_coerce(b, type, value, at, what);
	if (value->kind != ITEM_TENSOR) {
		const Origin *o = value->origin;
		if (value->kind == ITEM_INT || value->kind == ITEM_FLOAT || value->kind == ITEM_BOOL ||
		    value->kind == ITEM_DIM || value->kind == ITEM_CONST)
			*value = item_node(as_node(b, value, want, at));
		else {
			complain(b, at, "%s must be %s, not %s", what, text_of(b, type->span),
			         item_kind(b, value));
			return false;
		}
		value->origin = o;
		if (value->kind == ITEM_BAD) return false;
	}
	const Ast *which = NULL;
	Dim expected = NULL, got = NULL;
	Fit fit = dims_fit(b, type, &value->node->type, &which, &expected, &got);
	if (fit != FIT_YES) return misfit(b, fit, type, value, at, what, which, expected, got);
	return dtype_fits(b, want, value, at, what, store);
}

bool type_check(Build *b, const Ast *type, Item *arg, Span at, const char *what)
{
	return check(b, type, arg, at, what, false);
}

bool type_coerce(Build *b, const Ast *type, Item *value, Span at, const char *what, bool store)
{
	return check(b, type, value, at, what, store);
}

/* --- parameters that are no tensors --- */

static bool wrong(Build *b, const Ast *type, const Item *value, Span at, const char *what,
                  const char *need)
{
	Diag *m = complain(b, at, "%s must be %s, not %s", what, need, item_kind(b, value));
	note_origin(b, m, value, NULL);
	diag_note(b->d, m, type->span, "declared here as %s", text_of(b, type->span));
	return false;
}

static bool scalar_coerce(Build *b, const Ast *type, Item *v, Span at, const char *what)
{
	const char *t = type->name;
	DType d;
	double number;
	if (v->kind == ITEM_BAD) return false;
	if (v->kind == ITEM_NONE && type->flag2) return true;
	if (strcmp(t, "any") == 0) return true;
	if (strcmp(t, "int") == 0)
		return v->kind == ITEM_INT || (b->symbolic && v->kind == ITEM_DIM) ||
		       wrong(b, type, v, at, what, "an integer known at compile time");
	if (strcmp(t, "dim") == 0)
		return v->kind == ITEM_INT || v->kind == ITEM_DIM || wrong(b, type, v, at, what, "a size");
	if (strcmp(t, "str") == 0) return v->kind == ITEM_TEXT || wrong(b, type, v, at, what, "a text");
	if (strcmp(t, "dtype") == 0)
		return v->kind == ITEM_DTYPE || v->kind == ITEM_SCALED ||
		       wrong(b, type, v, at, what, "an element type such as f32");
	if (strcmp(t, "layer") == 0)
		return v->kind == ITEM_LAYER || wrong(b, type, v, at, what, "a layer");
	if (strcmp(t, "fn") == 0)
		return v->kind == ITEM_FUNCTION || v->kind == ITEM_BUILTIN || v->kind == ITEM_PLACE ||
		       v->kind == ITEM_MASK || wrong(b, type, v, at, what, "a function");
	if (!type_dtype(b, type, &d)) return unknown_type(b, type);
	if (d == DT_BOOL) return v->kind == ITEM_BOOL || wrong(b, type, v, at, what, "true or false");
	if (dtype_is_integer(d))
		return v->kind == ITEM_INT || wrong(b, type, v, at, what, "an integer");
	if (!as_number(v, &number)) return wrong(b, type, v, at, what, "a number");
	const Origin *o = v->origin;
	*v = item_float(number);
	v->origin = o;
	return true;
}

/* `pos: dim[B]`: a dim with a value for each row, or an i32[B]. */
static bool rows_coerce(Build *b, const Ast *type, Item *v, Span at, const char *what)
{
	const Ragged *r = v->kind == ITEM_DIM ? ragged_find(b, v->dim) : NULL;
	Dim want, have = r ? r->batch : NULL;
	if (v->kind == ITEM_TENSOR && v->node->type.dtype == DT_I32 && v->node->type.rank == 1)
		have = v->node->type.dim[0];
	if (!have) return wrong(b, type, v, at, what, "a dim with a value for each row");
	if (type->list.n != 1 || !eval_dim(b, type->list.at[0], &want)) return false;
	return dims_equal(b, want, have) ||
	       wrong(b, type, v, at, what, "a dim with a value for each of these rows");
}

bool param_coerce(Build *b, const Ast *type, Item *v, Span at, const char *what)
{
	int64_t want = -1;
	if (v->kind == ITEM_BAD) return false;
	if (!type->flag || (v->kind == ITEM_NONE && type->flag2))
		return scalar_coerce(b, type, v, at, what);
	if (strcmp(type->name, "dim") == 0 && v->kind != ITEM_LIST &&
	    (v->kind != ITEM_INT && v->kind != ITEM_BAD))
		return rows_coerce(b, type, v, at, what);
	if (type->list.n > 1) {
		complain(b, type->span, "lists have one length: %s[n] or %s[]", type->name, type->name);
		return false;
	}
	if (type->list.n) {
		Item n = eval(b, type->list.at[0]);
		if (!need_int(b, &n, type->list.at[0]->span, "the length of a list", &want)) return false;
	}
	if (v->kind != ITEM_LIST && want >= 0 && want <= MAX_RANK) { /* one value for all */
		ItemList l = {0};
		if (!scalar_coerce(b, type, v, at, what)) return false;
		for (int64_t i = 0; i < want; i++) vec_push(b->arena, &l, *v);
		*v = item_list(b, &l);
		return true;
	}
	if (v->kind != ITEM_LIST || (want >= 0 && v->list->n != (size_t)want))
		return wrong(b, type, v, at, what,
		             want >= 0 ? arena_printf(b->arena, "a list of %lld", (long long)want)
		                       : "a list");
	ItemList l = {0};
	for (size_t i = 0; i < v->list->n; i++) {
		Item one = v->list->at[i];
		if (!scalar_coerce(b, type, &one, at, what)) return false;
		vec_push(b->arena, &l, one);
	}
	*v = item_list(b, &l);
	return true;
}
