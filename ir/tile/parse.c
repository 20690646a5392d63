/* The text form, reading half: words, objects, accesses, and the program with its entries. What is
 * checked here is syntax and names; tile_verify does the rest. */
#include "ir/tile/parse.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- words --- */

Span parse_span(const Reader *r, const char *from, const char *to)
{
	uint32_t begin = (uint32_t)(from - r->source->text), end = (uint32_t)(to - r->source->text);
	return (Span){r->source, begin, end > begin ? end : begin + 1};
}

bool parse_fail(Reader *r, const char *from, const char *to, const char *fmt, ...)
{
	va_list ap;
	if (r->failed) return false;
	va_start(ap, fmt);
	diag_error(r->d, parse_span(r, from, to), "%s", arena_vprintf(r->arena, fmt, ap));
	va_end(ap);
	r->failed = true;
	return false;
}

bool parse_fail_here(Reader *r, const char *fmt, ...)
{
	va_list ap;
	if (r->failed) return false;
	va_start(ap, fmt);
	const char *text = arena_vprintf(r->arena, fmt, ap);
	va_end(ap);
	parse_skip(r);
	return parse_fail(r, r->at, r->at + 1, "%s", text);
}

void parse_skip(Reader *r)
{
	for (;;) {
		while (isspace((unsigned char)*r->at)) r->at++;
		if (*r->at != '#') return;
		while (*r->at && *r->at != '\n') r->at++;
	}
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

bool parse_take(Reader *r, const char *what)
{
	parse_skip(r);
	size_t n = strlen(what);
	if (strncmp(r->at, what, n) != 0 || (is_word(what[n - 1]) && is_word(r->at[n]))) return false;
	r->at += n;
	return true;
}

bool parse_expect(Reader *r, const char *what)
{
	if (r->failed) return false;
	if (parse_take(r, what)) return true;
	return *r->at ? parse_fail_here(r, "expected `%s`", what)
	              : parse_fail_here(r, "expected `%s`, but the text ends", what);
}

const char *parse_word(Reader *r)
{
	parse_skip(r);
	const char *from = r->at;
	if (r->failed) return "";
	if (!isdigit((unsigned char)*from))
		while (is_word(*r->at)) r->at++;
	if (r->at == from) {
		parse_fail_here(r, "expected a name");
		return "";
	}
	return intern(r->p->names, from, (size_t)(r->at - from));
}

const char *parse_string(Reader *r)
{
	parse_skip(r);
	const char *from = r->at;
	if (!parse_expect(r, "\"")) return "";
	Text t = text_new(r->arena);
	for (; *r->at && *r->at != '"'; r->at++) {
		if (*r->at != '\\') {
			text_append(&t, r->at, 1);
			continue;
		}
		r->at++;
		if (*r->at == 'n') {
			text_puts(&t, "\n");
		} else if (*r->at == 'x' && isxdigit((unsigned char)r->at[1]) &&
		           isxdigit((unsigned char)r->at[2])) {
			char hex[3] = {r->at[1], r->at[2], 0}, c = (char)strtol(hex, NULL, 16);
			if (!c) parse_fail(r, r->at - 1, r->at + 3, "a string holds no zero byte");
			text_append(&t, &c, 1);
			r->at += 2;
		} else if (*r->at == '"' || *r->at == '\\') {
			text_append(&t, r->at, 1);
		} else {
			parse_fail(r, r->at - 1, r->at,
			           "the escapes of a string are \\\", \\\\, \\n and \\xHH");
			return "";
		}
	}
	if (*r->at != '"') {
		parse_fail(r, from, from + 1, "the string does not end");
		return "";
	}
	r->at++;
	return intern(r->p->names, t.at, t.n);
}

const char *parse_name(Reader *r)
{
	parse_skip(r);
	const char *from = r->at;
	if (*from == '"') return parse_string(r);
	if (isalpha((unsigned char)*from) || *from == '_')
		while (is_word(*r->at) || (*r->at == '.' && is_word(r->at[1]))) r->at++;
	if (r->at == from) {
		parse_fail_here(r, "expected a name");
		return "";
	}
	return intern(r->p->names, from, (size_t)(r->at - from));
}

int64_t parse_integer(Reader *r, int64_t lo, int64_t hi, const char *what)
{
	parse_skip(r);
	const char *from = r->at;
	int64_t v = 0;
	bool fits = true;
	while (isdigit((unsigned char)*r->at))
		fits = !__builtin_mul_overflow(v, 10, &v) &&
		       !__builtin_add_overflow(v, *r->at++ - '0', &v) && fits;
	if (r->at == from)
		parse_fail_here(r, "expected %s", what);
	else if (!fits || v < lo || v > hi)
		parse_fail(r, from, r->at, "%s is from %lld to %lld", what, (long long)lo, (long long)hi);
	return r->failed ? lo : v;
}

double parse_number(Reader *r)
{
	parse_skip(r);
	const char *from = r->at;
	bool negative = *r->at == '-';
	if (negative) r->at++;
	double v = 0;
	if (parse_take(r, "inf")) {
		v = INFINITY;
	} else if (parse_take(r, "nan")) {
		v = NAN;
	} else {
		const char *digits = r->at;
		while (isdigit((unsigned char)*r->at)) r->at++;
		if (*r->at == '.' && r->at[1] != '.')
			for (r->at++; isdigit((unsigned char)*r->at);) r->at++;
		if (r->at > digits && (*r->at == 'e' || *r->at == 'E')) {
			r->at++;
			if (*r->at == '+' || *r->at == '-') r->at++;
			while (isdigit((unsigned char)*r->at)) r->at++;
		}
		char *text = arena_strndup(r->arena, digits, (size_t)(r->at - digits)), *end;
		v = strtod(text, &end);
		if (end == text || *end) parse_fail(r, from, r->at, "expected a number");
	}
	return negative ? -v : v;
}

/* --- index expressions and symbols --- */

static DimSym *find_symbol(void *ctx, const char *name, size_t n)
{
	Reader *r = ctx;
	for (size_t i = r->syms.n; i-- > 0;) {
		DimSym *s = r->syms.at[i];
		if (strlen(s->name) == n && memcmp(s->name, name, n) == 0) return s;
	}
	return NULL;
}

static void undeclared(Reader *r, const char *end)
{
	const char *stop = end;
	while (is_word(*stop)) stop++;
	VEC(const char *) names = {0};
	for (size_t i = 0; i < r->syms.n; i++) vec_push(r->arena, &names, r->syms.at[i]->name);
	const char *name = arena_strndup(r->arena, end, (size_t)(stop - end));
	const char *near = nearest_name(name, names.at, names.n);
	Diag *d = diag_error(r->d, parse_span(r, end, stop), "`%s` is no index visible here", name);
	if (near) diag_help(r->d, d, "did you mean `%s`?", near);
	r->failed = true;
}

Dim parse_dim(Reader *r)
{
	Dim zero = dim_const(r->p->dims, 0);
	const char *end, *error = NULL;
	parse_skip(r);
	if (r->failed) return zero;
	Dim d = dim_parse(r->p->dims, r->at, &end, find_symbol, r, &error);
	if (d) {
		r->at = end;
		return d;
	}
	if (strstr(error, "undeclared") && is_word(*end))
		undeclared(r, end);
	else
		parse_fail(r, end, end + 1, "%s", error);
	return zero;
}

DimSym *parse_symbol(Reader *r, DimSymKind kind, Dim lo, Dim hi)
{
	parse_skip(r);
	const char *from = r->at, *name = parse_word(r);
	DimSym *old = r->failed ? NULL : find_symbol(r, name, strlen(name));
	if (old) {
		Diag *d =
			diag_error(r->d, parse_span(r, from, r->at), "`%s` is visible here already", name);
		diag_note(r->d, d, old->span, "from here");
		r->failed = true;
	}
	return dim_sym_new(r->p->dims, name, kind, lo, hi, parse_span(r, from, r->at));
}

void parse_show(Reader *r, DimSym *s)
{
	vec_push(r->arena, &r->syms, s);
}

/* --- objects --- */

bool parse_kind(Reader *r, TileKind *out)
{
	static const char *const word[] = {[TB_WEIGHT] = "weight",
	                                   [TB_STATE] = "state",
	                                   [TB_IN] = "in",
	                                   [TB_OUT] = "out",
	                                   [TB_ARENA] = "arena"};
	for (uint32_t i = 0; i < COUNT(word); i++)
		if (parse_take(r, word[i])) {
			*out = (TileKind)i;
			return true;
		}
	return false;
}

static void encoding(Reader *r, Encoding *e, uint32_t rank)
{
	enum { MOST = 1 << 16 };
	const char *from = r->at;
	if (parse_take(r, "pack")) {
		e->kind = ENC_PACK;
		parse_expect(r, "(");
		e->nb = (uint32_t)parse_integer(r, 1, MOST, "the width of a panel");
		parse_expect(r, ",");
		e->kg = (uint32_t)parse_integer(r, 1, 64, "the number of rows taken at once");
		parse_expect(r, ")");
	} else if (parse_take(r, "i4")) {
		e->kind = ENC_I4;
		parse_expect(r, "(");
		e->group = (uint32_t)parse_integer(r, 2, MOST, "the size of a group");
		if (!r->failed && e->group % 2)
			parse_fail(r, from, r->at, "the size of a group must be even");
		parse_expect(r, ",");
		e->nb = (uint32_t)parse_integer(r, 1, MOST, "the width of a panel");
		parse_expect(r, ")");
	} else if (parse_take(r, "pad")) {
		e->pad = (uint32_t)parse_integer(r, 0, 1 << 24, "a padding");
	}
	if (!r->failed && e->kind != ENC_PLAIN && rank < 2)
		parse_fail(r, from, r->at, "panels need two dimensions");
}

TileObj *parse_buffer(Reader *r, TileKind kind)
{
	Dim dims[TILE_RANK] = {0};
	uint32_t rank = 0;
	DType t = DT_F32;
	parse_skip(r);
	const char *from = r->at, *name = parse_name(r), *end = r->at;
	for (size_t i = 0; i < r->objs.n && !r->failed; i++)
		if (r->objs.at[i]->name == name) {
			Diag *d =
				diag_error(r->d, parse_span(r, from, end), "`%s` is visible here already", name);
			diag_note(r->d, d, r->objs.at[i]->span, "from here");
			r->failed = true;
		}
	parse_skip(r);
	const char *type = r->at, *type_name = parse_word(r);
	if (!r->failed && !dtype_from_name(type_name, &t))
		parse_fail(r, type, r->at, "`%s` is no element type", type_name);
	parse_expect(r, "[");
	if (!r->failed && !parse_take(r, "]")) {
		do {
			if (rank == TILE_RANK) parse_fail_here(r, "more than %d dimensions", TILE_RANK);
			if (r->failed) break;
			dims[rank++] = parse_dim(r);
		} while (!r->failed && parse_take(r, ","));
		parse_expect(r, "]");
	}
	if (r->failed) return NULL;
	TileObj *o;
	if (kind == TB_PLACE) {
		o = NEW(r->arena, TileObj);
		*o = (TileObj){.name = name, .kind = kind, .dtype = t, .rank = rank};
		memcpy(o->dims, dims, sizeof dims);
	} else {
		o = r->kernel ? tile_formal(r->p, r->kernel, kind, name, t, rank, dims)
		              : tile_buf(r->p, kind, name, t, rank, dims);
		encoding(r, &o->enc, rank);
		if (!r->failed && kind == TB_STATE && parse_take(r, "=")) o->initial = parse_number(r);
		if (!r->failed && parse_take(r, "key")) o->key = parse_string(r);
	}
	o->span = parse_span(r, from, end);
	vec_push(r->arena, &r->objs, o);
	return o;
}

TileObj *parse_object(Reader *r, bool program)
{
	parse_skip(r);
	const char *from = r->at, *name = parse_name(r);
	if (r->failed) return NULL;
	for (size_t i = r->objs.n; i-- > 0;)
		if (r->objs.at[i]->name == name) return r->objs.at[i];
	VEC(const char *) names = {0};
	for (size_t i = 0; i < r->objs.n && i < 1000; i++)
		vec_push(r->arena, &names, r->objs.at[i]->name);
	const char *near = nearest_name(name, names.at, names.n);
	Diag *d = diag_error(r->d, parse_span(r, from, r->at),
	                     program ? "the program has no buffer `%s`"
	                             : "`%s` is no buffer of this kernel and no place visible here",
	                     name);
	if (near) diag_help(r->d, d, "did you mean `%s`?", near);
	r->failed = true;
	return NULL;
}

/* The text of a check. */
const char *parse_check(Reader *r)
{
	const char *text = parse_string(r);
	return r->failed ? NULL : tile_check(r->p, text);
}

static void access_rows(Reader *r, TileAccess *a, uint32_t at, const char *from)
{
	if (a->rows) parse_fail(r, from, r->at, "only one dimension can be gathered");
	if (++r->depth > PARSE_DEPTH) parse_fail(r, from, r->at, "gathers are nested too deeply");
	if (r->failed) return;
	TileAccess *rows = NEW(r->arena, TileAccess);
	*rows = parse_access(r);
	if (!r->failed && parse_take(r, ",")) a->check = parse_check(r);
	parse_expect(r, ")");
	r->depth--;
	a->rows = rows;
	a->rows_dim = at;
}

TileAccess parse_access(Reader *r)
{
	TileAccess a = {0};
	uint32_t n = 0;
	parse_skip(r);
	const char *from = r->at;
	if (r->failed) return a;
	a.obj = parse_object(r, false);
	parse_expect(r, "[");
	if (!r->failed && !parse_take(r, "]")) {
		do {
			if (n == TILE_RANK) parse_fail_here(r, "more than %d dimensions", TILE_RANK);
			if (r->failed) return a;
			parse_skip(r);
			const char *at = r->at;
			if (strncmp(at, "rows", 4) == 0 && !is_word(at[4]) && parse_take(r, "rows") &&
			    parse_take(r, "("))
				access_rows(r, &a, n, at);
			else {
				r->at = at;
				a.index[n] = parse_dim(r);
			}
			n++;
		} while (!r->failed && parse_take(r, ","));
		parse_expect(r, "]");
	}
	if (!r->failed && n != a.obj->rank)
		parse_fail(r, from, r->at, "`%s` has %u dimension%s, not %u", a.obj->name, a.obj->rank,
		           a.obj->rank == 1 ? "" : "s", n);
	if (!r->failed && parse_take(r, "else")) {
		a.has_else = true;
		a.else_value = parse_number(r);
	}
	return a;
}

/* --- declarations of the program --- */

static void param(Reader *r, DimSymKind kind)
{
	Dim zero = dim_const(r->p->dims, 0);
	DimSym *s = parse_symbol(r, kind, zero, zero);
	parse_expect(r, "in");
	s->lo = parse_dim(r);
	parse_expect(r, "..");
	s->hi = parse_dim(r);
	if (kind == SYM_STATE && !r->failed && parse_take(r, "=")) s->initial = parse_dim(r);
	if (r->p->params.n == PARSE_PARAMS)
		parse_fail_here(r, "a program has at most %d parameters", PARSE_PARAMS);
	if (r->failed) return;
	vec_push(r->arena, &r->p->params, s);
	parse_show(r, s);
}

/* `require a <= b "text"`; without the text it is the relation as written. */
static bool require(Reader *r, Dim *out, const char **why)
{
	DimPool *p = r->p->dims;
	parse_skip(r);
	const char *from = r->at;
	Dim a = parse_dim(r), d = a;
	if (parse_take(r, "<="))
		d = dim_sub(p, parse_dim(r), a);
	else if (parse_take(r, ">="))
		d = dim_sub(p, a, parse_dim(r));
	else if (parse_take(r, "<"))
		d = dim_addc(p, dim_sub(p, parse_dim(r), a), -1);
	else
		parse_fail_here(r, "expected `<=`, `>=` or `<`");
	const char *text = arena_strndup(r->arena, from, (size_t)(r->at - from));
	parse_skip(r);
	if (!r->failed && *r->at == '"') text = parse_string(r);
	*out = d;
	*why = text;
	return !r->failed;
}

static void literal(Reader *r, TileObj *b)
{
	int64_t n = 1, extent, bytes;
	const char *from = r->at;
	for (uint32_t i = 0; i < b->rank; i++)
		if (!dim_is_const(b->dims[i], &extent) || extent < 0 ||
		    __builtin_mul_overflow(n, extent, &n)) {
			parse_fail(r, from, from + 1, "a literal needs constant dimensions");
			return;
		}
	if (n > PARSE_LITERALS || b->kind != TB_WEIGHT) {
		parse_fail(r, from, from + 1,
		           b->kind == TB_WEIGHT ? "the literal has more than 16777216 elements"
		                                : "only weights have literals");
		return;
	}
	VEC(double) list = {0};
	parse_expect(r, "{");
	if (!r->failed && !parse_take(r, "}")) {
		do {
			double v = parse_number(r);
			vec_push(r->arena, &list, v);
		} while (!r->failed && parse_take(r, ","));
		parse_expect(r, "}");
	}
	if (r->failed) return;
	if ((int64_t)list.n != n) {
		parse_fail(r, from, r->at, "`%s` has %lld elements, the literal %zu", b->name, (long long)n,
		           list.n);
		return;
	}
	bytes = dtype_bytes(b->dtype, n);
	void *data = arena_alloc(r->arena, (size_t)bytes + 8);
	for (int64_t i = 0; i < n; i++) dtype_store(b->dtype, data, i, list.at[i]);
	b->literal = data;
}

static void buffer(Reader *r, TileKind kind)
{
	if (r->p->bufs.n == PARSE_BUFFERS)
		parse_fail_here(r, "a program has at most %d buffers", PARSE_BUFFERS);
	TileObj *b = parse_buffer(r, kind);
	if (!r->failed && parse_take(r, "=")) literal(r, b);
}

/* --- entries --- */

static TileStep *launch(Reader *r)
{
	TileStep *s = NEW(r->arena, TileStep);
	parse_skip(r);
	const char *from = r->at, *name = parse_name(r), *end = r->at;
	for (size_t i = 0; i < r->p->kernels.n && !s->kernel; i++)
		if (r->p->kernels.at[i]->name == name) s->kernel = r->p->kernels.at[i];
	if (!s->kernel) parse_fail(r, from, end, "no kernel `%s` above", name);
	parse_expect(r, "(");
	if (r->failed) return s;
	size_t want = s->kernel->bufs.n, n = 0;
	s->args = NEW_ARRAY(r->arena, TileArg, want + 1);
	while (n < want && !r->failed) {
		TileArg *a = &s->args[n++];
		a->buf = parse_object(r, true);
		if (!r->failed && parse_take(r, "[")) {
			do {
				if (a->n_lead == TILE_RANK)
					parse_fail_here(r, "more than %d dimensions", TILE_RANK);
				else
					a->lead[a->n_lead++] = parse_dim(r);
			} while (!r->failed && parse_take(r, ","));
			parse_expect(r, "]");
		}
		if (n < want && !r->failed && !parse_take(r, ","))
			parse_fail(r, from, end, "kernel `%s` has %zu buffers, only %zu are given", name, want,
			           n);
	}
	if (!r->failed && parse_take(r, ","))
		parse_fail(r, from, end, "kernel `%s` has %zu buffers, more are given", name, want);
	parse_expect(r, ")");
	return s;
}

static TileStep *steps(Reader *r, TileEntry *e);

static TileStep *loop_step(Reader *r)
{
	DimPool *p = r->p->dims;
	TileStep *s = NEW(r->arena, TileStep);
	size_t outer = r->syms.n;
	s->kind = STEP_LOOP;
	s->var = parse_symbol(r, SYM_LOOP, dim_const(p, 0), dim_const(p, 0));
	parse_expect(r, "<");
	s->count = parse_dim(r);
	s->var->hi = dim_addc(p, s->count, -1);
	parse_show(r, s->var);
	if (++r->depth > PARSE_DEPTH)
		parse_fail_here(r, "loops are nested more than %d deep", PARSE_DEPTH);
	s->body = steps(r, NULL);
	r->depth--;
	r->syms.n = outer;
	return s;
}

static void set_param(Reader *r, TileEntry *e)
{
	parse_skip(r);
	const char *from = r->at, *name = parse_word(r);
	DimSym *s = r->failed ? NULL : find_symbol(r, name, strlen(name));
	if (!r->failed && (!s || s->kind != SYM_STATE))
		parse_fail(r, from, r->at, "`%s` is no state dim", name);
	parse_expect(r, "=");
	Dim v = parse_dim(r);
	if (r->failed) return;
	vec_push(r->arena, &e->set_sym, s);
	vec_push(r->arena, &e->set_value, v);
}

/* { launch, loop, set, require }; the last two at the top only, where e is not NULL */
static TileStep *steps(Reader *r, TileEntry *e)
{
	TileStep *first = NULL, **tail = &first;
	parse_expect(r, "{");
	while (!r->failed && !parse_take(r, "}")) {
		if (e && parse_take(r, "set")) {
			set_param(r, e);
			continue;
		}
		if (e && parse_take(r, "require")) {
			Dim q;
			const char *text;
			if (!require(r, &q, &text)) break;
			vec_push(r->arena, &e->require, q);
			vec_push(r->arena, &e->require_text, text);
			continue;
		}
		TileStep *s = parse_take(r, "launch") ? launch(r)
		              : parse_take(r, "loop") ? loop_step(r)
		                                      : NULL;
		if (!s) {
			parse_fail_here(r, e ? "expected `launch`, `loop`, `set` or `require`"
			                     : "expected `launch` or `loop`");
			break;
		}
		*tail = s;
		tail = &s->next;
	}
	return first;
}

static void entry(Reader *r, bool prepack)
{
	parse_skip(r);
	const char *from = r->at, *name = parse_name(r);
	for (size_t i = 0; i < r->p->entries.n; i++)
		if (r->p->entries.at[i]->name == name)
			parse_fail(r, from, r->at, "entry `%s` is defined twice", name);
	if (prepack && r->p->prepack) parse_fail(r, from, r->at, "a program has one prepack entry");
	if (r->p->entries.n == 1024) parse_fail(r, from, r->at, "a program has at most 1024 entries");
	if (r->failed) return;
	TileEntry *e = NEW(r->arena, TileEntry);
	e->name = name;
	if (prepack)
		r->p->prepack = e;
	else
		vec_push(r->arena, &r->p->entries, e);
	/* buffers of the program are visible by name here */
	r->objs.n = 0;
	for (size_t i = 0; i < r->p->bufs.n; i++) vec_push(r->arena, &r->objs, r->p->bufs.at[i]);
	for (int side = 0; side < 2; side++) {
		if (side) parse_expect(r, "->");
		parse_expect(r, "(");
		if (r->failed || parse_take(r, ")")) continue;
		do {
			TileObj *o = parse_object(r, true);
			if (r->failed) break;
			if (side)
				vec_push(r->arena, &e->outs, o);
			else
				vec_push(r->arena, &e->ins, o);
		} while (parse_take(r, ","));
		parse_expect(r, ")");
	}
	e->steps = steps(r, e);
	r->objs.n = 0;
}

static void declaration(Reader *r)
{
	TileKind kind;
	/* program buffers see each other's names, kernels and entries begin anew */
	if (parse_take(r, "session")) {
		if (parse_expect(r, "dim")) param(r, SYM_SESSION);
	} else if (parse_take(r, "dim")) {
		param(r, SYM_CALL);
	} else if (parse_take(r, "require")) {
		Dim q;
		const char *text;
		if (!require(r, &q, &text)) return;
		vec_push(r->arena, &r->p->require, q);
		vec_push(r->arena, &r->p->require_text, text);
	} else if (parse_take(r, "kernel")) {
		parse_kernel(r);
	} else if (parse_take(r, "prepack")) {
		entry(r, true);
	} else if (parse_take(r, "entry")) {
		entry(r, false);
	} else if (parse_kind(r, &kind)) {
		const char *at = r->at;
		if (kind == TB_STATE) {
			bool dim = parse_take(r, "dim");
			parse_name(r);
			bool range = !r->failed && parse_take(r, "in");
			r->at = at;
			if (dim) parse_take(r, "dim");
			if (dim || range) {
				param(r, SYM_STATE);
				return;
			}
		}
		r->objs.n = 0;
		for (size_t i = 0; i < r->p->bufs.n; i++) vec_push(r->arena, &r->objs, r->p->bufs.at[i]);
		buffer(r, kind);
		r->objs.n = 0;
	} else {
		parse_fail_here(
			r,
			"expected a declaration: dim, session dim, state, require, weight, in, out, arena, kernel, prepack or entry");
	}
}

TileProgram *tile_parse(Arena *a, Diags *d, const Source *s)
{
	Reader r = {.arena = a, .d = d, .source = s, .at = s->text};
	r.p = tile_program_new(a, dim_pool_new(a), interner_new(a), "");
	if (strlen(s->text) != s->size) {
		r.at = s->text + strlen(s->text);
		parse_fail(&r, r.at, r.at + 1, "a NUL byte in the text");
		return NULL;
	}
	if (!parse_expect(&r, "program")) return NULL;
	r.p->name = parse_name(&r);
	for (parse_skip(&r); *r.at && !r.failed; parse_skip(&r)) declaration(&r);
	if (r.failed) return NULL;
	tile_default_entries(r.p);
	tile_liveness(r.p);
	return r.p;
}
