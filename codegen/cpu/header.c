/* The typed C header of a compiled model: a function for each entry, with the dims that its inputs
 * show and plain pointers as arguments, over runtime/nacre.h. All of it is static inline, so that
 * the header needs no code of its own in the object. */
#include "codegen/cpu/cpu.h"
#include "support/interface.h"

#include <ctype.h>
#include <string.h>

typedef struct Header {
	Diags *d;
	const Interface *io;
	Text out;
	const char *prefix;
	VEC(const char *) taken; /* argument names of the entry being written */
	const char **dim_name;   /* by parameter: its argument, NULL when it has none */
} Header;

/* --- names ----------------------------------------------------------------------------------- */

static bool is_reserved(const char *s)
{
	static const char *const words[] = {
		"auto",     "break",  "case",   "char",     "const",    "continue", "default",  "do",
		"double",   "else",   "enum",   "extern",   "float",    "for",      "goto",     "if",
		"inline",   "int",    "long",   "register", "restrict", "return",   "short",    "signed",
		"sizeof",   "static", "struct", "switch",   "typedef",  "union",    "unsigned", "void",
		"volatile", "while",  "class",  "new",      "delete",   "this",     "template", "namespace",
		"bool",     "true",   "false",  "session",  "error",    "in",       "out",      "dims",
	};
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(words[i], s) == 0) return true;
	return false;
}

static const char *lower(Arena *a, const char *s)
{
	char *copy = arena_strdup(a, s);
	for (char *c = copy; *c; c++) *c = (char)tolower((unsigned char)*c);
	return copy;
}

static char *identifier(Arena *a, const char *name)
{
	char *s = arena_printf(a, "%s%s", isdigit((unsigned char)name[0]) || !name[0] ? "_" : "", name);
	for (char *c = s; *c; c++)
		if (!isalnum((unsigned char)*c)) *c = '_';
	return s;
}

/* An argument's name, different from those before. */
static const char *argument(Header *h, const char *name)
{
	char *s = identifier(h->d->arena, name);
	for (bool again = true; again;) {
		again = is_reserved(s);
		for (size_t i = 0; i < h->taken.n && !again; i++) again = strcmp(h->taken.at[i], s) == 0;
		if (again) s = arena_printf(h->d->arena, "%s_", s);
	}
	vec_push(h->d->arena, &h->taken, s);
	return s;
}

/* Names of element types by their number in ir/dtypes.def, which is that of NacreType too. */
static const struct {
	const char *id, *c;
} types[] = {
	[DT_F32] = {"NACRE_F32", "float"},         [DT_F16] = {"NACRE_F16", "uint16_t"},
	[DT_BF16] = {"NACRE_BF16", "uint16_t"},    [DT_F8E4M3] = {"NACRE_F8E4M3", "uint8_t"},
	[DT_F8E5M2] = {"NACRE_F8E5M2", "uint8_t"}, [DT_I8] = {"NACRE_I8", "int8_t"},
	[DT_U8] = {"NACRE_U8", "uint8_t"},         [DT_I4] = {"NACRE_I4", "uint8_t"},
	[DT_I32] = {"NACRE_I32", "int32_t"},       [DT_I64] = {"NACRE_I64", "int64_t"},
	[DT_BOOL] = {"NACRE_BOOL", "uint8_t"},
};

/* --- expressions ------------------------------------------------------------------------------ */

static const char *binary(Header *h, int32_t code, const char *l, const char *r)
{
	static const char *const infix[] = {[EXPR_ADD] = "+", [EXPR_SUB] = "-", [EXPR_MUL] = "*"};
	static const char *const function[] = {[EXPR_FLOORDIV] = "nacre_floordiv",
	                                       [EXPR_MOD] = "nacre_mod",
	                                       [EXPR_MIN] = "nacre_min",
	                                       [EXPR_MAX] = "nacre_max"};
	if ((code == EXPR_ADD && strcmp(l, "0") == 0) || (code == EXPR_MUL && strcmp(l, "1") == 0))
		return r;
	if ((code <= EXPR_SUB && strcmp(r, "0") == 0) || (code == EXPR_MUL && strcmp(r, "1") == 0))
		return l;
	if (code <= EXPR_MUL) return arena_printf(h->d->arena, "(%s %s %s)", l, infix[code], r);
	return arena_printf(h->d->arena, "%s(%s, %s)", function[code], l, r);
}

/* A size as C; state dims are asked of the session. */
static const char *expression(Header *h, const ExprWord *x)
{
	Arena *a = h->d->arena;
	const char *stack[EXPR_STACK + 1] = {"0"};
	int n = 0;
	for (; x->code != EXPR_END; x++) {
		if (x->code == EXPR_CONST) {
			stack[n++] = arena_printf(a, "%lld", (long long)x->value);
		} else if (x->code == EXPR_PARAM) {
			const char *name = h->dim_name[x->value];
			stack[n++] = name ? name
			                  : arena_printf(a, "nacre_session_dim(session, \"%s\")",
			                                 h->io->param[x->value].name);
		} else {
			n--;
			stack[n - 1] = binary(h, x->code, stack[n - 1], stack[n]);
		}
	}
	return stack[0];
}

/* Without the parentheses around all of it. */
static const char *bare(Header *h, const char *s)
{
	size_t n = strlen(s);
	int depth = 0;
	if (s[0] != '(') return s;
	for (size_t i = 0; i < n; i++) {
		depth += (s[i] == '(') - (s[i] == ')');
		if (!depth && i + 1 < n) return s;
	}
	return arena_strndup(h->d->arena, s + 1, n - 2);
}

static const char *shape(Header *h, const InterfaceTensor *t)
{
	Text s = text_new(h->d->arena);
	for (uint32_t d = 0; d < t->rank; d++)
		text_printf(&s, "%s%s", d ? ", " : "", bare(h, expression(h, t->dim[d])));
	return s.n ? s.at : "";
}

/* --- entries ---------------------------------------------------------------------------------- */

static bool mentions(const ExprWord *x, uint32_t param)
{
	for (; x->code != EXPR_END; x++)
		if (x->code == EXPR_PARAM && x->value == (int64_t)param) return true;
	return false;
}

static bool shown(const Interface *io, const InterfaceEntry *e, uint32_t param)
{
	for (uint32_t i = 0; i < e->n_in; i++)
		for (uint32_t d = 0; d < io->tensor[e->in[i]].rank; d++)
			if (mentions(io->tensor[e->in[i]].dim[d], param)) return true;
	return false;
}

static bool required(const InterfaceEntry *e, uint32_t param)
{
	for (uint32_t i = 0; i < e->n_require; i++)
		if (mentions(e->require[i], param)) return true;
	return false;
}

static bool known_elsewhere(const Interface *io, uint32_t param)
{
	for (uint32_t i = 0; i < io->n_entry; i++)
		if (shown(io, &io->entry[i], param) || required(&io->entry[i], param)) return true;
	return false;
}

/* Dims as arguments: those that the inputs show, and those of a call that the caller gives, which are
 * `extra`: handed to the call by name. */
static void name_dims(Header *h, const InterfaceEntry *e, bool *extra)
{
	for (uint32_t i = 0; i < h->io->n_param; i++) {
		const InterfaceParam *p = &h->io->param[i];
		h->dim_name[i] = NULL;
		extra[i] = p->kind == IP_CALL && !shown(h->io, e, i) &&
		           (required(e, i) || !known_elsewhere(h->io, i));
		if (p->kind != IP_STATE && (extra[i] || shown(h->io, e, i)))
			h->dim_name[i] = argument(h, p->name);
	}
}

static void write_tensors(Header *h, const uint32_t *list, uint32_t n, const char *const *name,
                          bool in)
{
	Text *t = &h->out;
	text_printf(t, "\tNacreTensor %s[%u] = {", in ? "in" : "out", n ? n : 1);
	for (uint32_t i = 0; i < n; i++) {
		const InterfaceTensor *x = &h->io->tensor[list[i]];
		if (i) text_puts(t, ", ");
		if (in)
			text_printf(t, "{%s, %u, {%s}, (void *)(uintptr_t)%s}", types[x->dtype].id, x->rank,
			            x->rank ? shape(h, x) : "0", name[i]);
		else
			text_printf(t, "{%s, 0, {0}, %s}", types[x->dtype].id, name[i]);
	}
	text_puts(t, n ? "};\n" : "{NACRE_F32, 0, {0}, 0}};\n");
}

static void write_comment(Header *h, const InterfaceEntry *e)
{
	Text *t = &h->out;
	text_printf(t, "\n/* %s(", e->name);
	for (uint32_t i = 0; i < e->n_in; i++) {
		const InterfaceTensor *x = &h->io->tensor[e->in[i]];
		text_printf(t, "%s%s %s[%s]", i ? ", " : "", x->name,
		            lower(h->d->arena, types[x->dtype].id + 6), shape(h, x));
	}
	text_puts(t, ") -> (");
	for (uint32_t i = 0; i < e->n_out; i++) {
		const InterfaceTensor *x = &h->io->tensor[e->out[i]];
		text_printf(t, "%s%s %s[%s]", i ? ", " : "", x->name,
		            lower(h->d->arena, types[x->dtype].id + 6), shape(h, x));
	}
	text_puts(t, ") */\n");
}

static void write_entry(Header *h, uint32_t number)
{
	const InterfaceEntry *e = &h->io->entry[number];
	Arena *a = h->d->arena;
	Text *t = &h->out;
	h->taken.n = 0;
	bool *extra = NEW_ARRAY(a, bool, h->io->n_param + 1);
	name_dims(h, e, extra);
	const char **in = NEW_ARRAY(a, const char *, e->n_in + 1);
	const char **out = NEW_ARRAY(a, const char *, e->n_out + 1);
	for (uint32_t i = 0; i < e->n_in; i++) in[i] = argument(h, h->io->tensor[e->in[i]].name);
	for (uint32_t i = 0; i < e->n_out; i++) out[i] = argument(h, h->io->tensor[e->out[i]].name);
	write_comment(h, e);
	text_printf(t, "static inline NacreStatus %s_%s(NacreSession *session", h->prefix,
	            identifier(a, e->name));
	for (uint32_t i = 0; i < h->io->n_param; i++)
		if (h->dim_name[i]) text_printf(t, ", int64_t %s", h->dim_name[i]);
	for (uint32_t i = 0; i < e->n_in; i++)
		text_printf(t, ", const %s *%s", types[h->io->tensor[e->in[i]].dtype].c, in[i]);
	for (uint32_t i = 0; i < e->n_out; i++)
		text_printf(t, ", %s *%s", types[h->io->tensor[e->out[i]].dtype].c, out[i]);
	text_puts(t, ", NacreError *error)\n{\n");
	write_tensors(h, e->in, e->n_in, in, true);
	write_tensors(h, e->out, e->n_out, out, false);
	uint32_t n = 0;
	Text dims = text_new(a);
	for (uint32_t i = 0; i < h->io->n_param; i++)
		if (extra[i])
			text_printf(&dims, "%s{\"%s\", %s}", n++ ? ", " : "", h->io->param[i].name,
			            h->dim_name[i]);
	if (n) text_printf(t, "\tNacreDim dims[] = {%s};\n", dims.at);
	text_printf(t, "\treturn nacre_call(session, %u, in, %s, %u, out, error);\n}\n", number,
	            n ? "dims" : "0", n);
}

/* --- the file ---------------------------------------------------------------------------------- */

static const char helpers[] =
	"\nstatic inline int64_t nacre_floordiv(int64_t a, int64_t b)\n"
	"{\n\treturn a / b - (a % b != 0 && (a % b < 0) != (b < 0));\n}\n"
	"static inline int64_t nacre_mod(int64_t a, int64_t b)\n"
	"{\n\treturn a - b * nacre_floordiv(a, b);\n}\n"
	"static inline int64_t nacre_min(int64_t a, int64_t b)\n{\n\treturn a < b ? a : b;\n}\n"
	"static inline int64_t nacre_max(int64_t a, int64_t b)\n{\n\treturn a > b ? a : b;\n}\n";

static void write_model(Header *h)
{
	Text *t = &h->out;
	text_printf(t, "/* %s, compiled by Nacre %s. Written by the compiler: changes are lost.\n",
	            h->io->model, h->io->version);
	text_printf(t,
	            " * The folder of nacre.h must be on the include path. A model is opened once and\n"
	            " * shared; each session has state of its own. See nacre.h. */\n");
	text_printf(t, "#ifndef NACRE_MODEL_%s_H\n#define NACRE_MODEL_%s_H\n#include \"nacre.h\"\n",
	            h->prefix, h->prefix);
	text_puts(t, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
	text_puts(t, "\nextern const NacreArtefact nacre_artefact;\n");
	text_puts(t, "#ifndef NACRE_SIZE_HELPERS\n#define NACRE_SIZE_HELPERS");
	text_puts(t, helpers);
	text_puts(t, "#endif\n");
	text_printf(t,
	            "\n/* threads: 0 for one a core. Bind weights that were not compiled in with\n"
	            " * nacre_model_bind, then make sessions with nacre_session_new. */\n"
	            "static inline NacreStatus %s_open(uint32_t threads, NacreModel **model, "
	            "NacreError *error)\n{\n"
	            "\treturn nacre_model_new(&nacre_artefact, threads, model, error);\n}\n",
	            h->prefix);
	uint32_t entries = h->io->n_entry - (h->io->prepack >= 0);
	for (uint32_t i = 0; i < entries; i++) write_entry(h, i);
	text_puts(t, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}

bool cpu_write_header(Diags *d, const Interface *io, const char *path)
{
	Header h = {.d = d, .io = io, .out = text_new(d->arena)};
	h.prefix =
		lower(d->arena, identifier(d->arena, io->model && io->model[0] ? io->model : "model"));
	h.dim_name = NEW_ARRAY(d->arena, const char *, io->n_param + 1);
	for (uint32_t i = 0; i < io->n_tensor; i++)
		if (io->tensor[i].dtype >= COUNT(types)) {
			diag_error(d, span_none(), "tensor `%s` has an element type without a C type",
			           io->tensor[i].name);
			return false;
		}
	write_model(&h);
	const char *why = NULL;
	FileOut *f = file_out_open(path, &why);
	if (f) {
		file_out_write(f, h.out.at, h.out.n);
		if (file_out_commit(f, &why)) return true;
	}
	diag_error(d, span_none(), "cannot write '%s': %s", path, why);
	return false;
}
