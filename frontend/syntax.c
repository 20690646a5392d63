/* Runs the generated lexer and parser over a source. Both keep their state in a Parse, so that two
 * compilations, or a string's expressions inside a file, can be parsed at the same time. */
#include "frontend/ast.h"
#include "frontend/parser.h"
/* The lexer's header speaks of the parser's types by flex's names for them. */
#define YYSTYPE NACRE_PARSE_STYPE
#define YYLTYPE Span
#define YY_NO_UNISTD_H
#include "frontend/lexer.h"

#include <string.h>

static bool run(Parse *p, uint32_t begin, uint32_t end)
{
	yyscan_t scanner;
	if (nacre_lex_lex_init_extra(p, &scanner)) return false;
	p->offset = begin;
	bool ok = nacre_lex__scan_bytes(p->source->text + begin, (int)(end - begin), scanner) != NULL;
	if (ok) ok = nacre_parse_parse(scanner, p) == 0;
	nacre_lex_lex_destroy(scanner);
	return ok;
}

/* --- a file of Python, whole ------------------------------------------------------------------------------ */

typedef struct Line {
	const char *at; /* behind the blanks it begins with */
	size_t n;       /* without blanks at its end */
} Line;

static bool begins(Line l, const char *word)
{
	size_t n = strlen(word);
	return l.n > n && memcmp(l.at, word, n) == 0;
}

static bool line_has(Line l, const char *word)
{
	size_t n = strlen(word);
	for (size_t i = 0; i + n <= l.n; i++)
		if (memcmp(l.at + i, word, n) == 0) return true;
	return false;
}

static bool next_line(const Source *s, uint32_t *offset, Line *out)
{
	const char *at = s->text + *offset, *end = s->text + s->size;
	if (at >= end) return false;
	const char *stop = memchr(at, '\n', (size_t)(end - at)), *last = stop ? stop : end;
	*offset = (uint32_t)((stop ? stop + 1 : end) - s->text);
	while (at < last && (*at == ' ' || *at == '\t')) at++;
	while (last > at && (last[-1] == ' ' || last[-1] == '\r' || last[-1] == '\t')) last--;
	*out = (Line){at, (size_t)(last - at)};
	return true;
}

/* Is it Python throughout, so that a message for each line says nothing more? Two kinds of lines that no
 * model file has, one of them the head of a class or function, and none that only a model file has. */
static bool is_python(const Source *s, Span *where)
{
	static const char *const ours[] = {"model ",  "layer ", "entry ",  "use ",
	                                   "weight ", "dim ",   "session "};
	bool import = false, class = false, function = false, self = false;
	uint32_t offset = 0;
	for (Line l; next_line(s, &offset, &l);) {
		for (size_t i = 0; i < COUNT(ours); i++)
			if (begins(l, ours[i]) && l.at[l.n - 1] != ':' && !line_has(l, " = ")) return false;
		bool colon = l.n && l.at[l.n - 1] == ':';
		bool head = colon && (begins(l, "class ") || begins(l, "def "));
		import |= (begins(l, "import ") || begins(l, "from ")) && !line_has(l, "\"");
		self |= line_has(l, "self.");
		if (head && !class && !function)
			*where = (Span){.source = s,
			                .begin = (uint32_t)(l.at - s->text),
			                .end = (uint32_t)(l.at - s->text + (ptrdiff_t)l.n)};
		class |= colon && begins(l, "class ");
		function |= colon && begins(l, "def ");
	}
	return (class || function) && import + class + function + self >= 2;
}

Ast *ast_parse(Arena *a, Interner *names, Diags *d, const Source *source, uint32_t *errors)
{
	Span where = span_none();
	if (is_python(source, &where)) {
		Diag *m = diag_error(
			d, where, "this file is Python; a model file says the network in the model language");
		diag_help(
			d, m,
			"class Net(nn.Module)  becomes  model Net(D: int = 8) { .. },  self.fc = nn.Linear(D, F)  in __init__  use fc: Linear(D, F),  "
			"forward  entry forward(x: f32[N, D]) -> f32[N, F] { return fc(x) }");
		diag_help(d, m,
		          "doc/language.md is the manual, doc/operations.md lists the words of PyTorch");
		*errors = 1;
		Ast *nothing = NEW(a, Ast);
		*nothing = (Ast){.kind = AST_FILE, .span = where};
		return nothing;
	}
	Parse *p = NEW(a, Parse);
	p->arena = a;
	p->names = names;
	p->d = d;
	p->source = source;
	run(p, 0, (uint32_t)source->size);
	*errors = p->errors;
	return p->result;
}

Ast *ast_parse_loose(Arena *a, Interner *names, const Source *source)
{
	Diags silent = {.arena = a, .frozen = true};
	Parse *p = NEW(a, Parse);
	p->arena = a;
	p->names = names;
	p->d = &silent;
	p->source = source;
	p->loose = true;
	run(p, 0, (uint32_t)source->size);
	return p->result;
}

Ast *ast_parse_expression(Parse *outer, uint32_t begin, uint32_t end)
{
	Parse *p = NEW(outer->arena, Parse);
	p->arena = outer->arena;
	p->names = outer->names;
	p->d = outer->d;
	p->source = outer->source;
	p->expression = true;
	bool ok = run(p, begin, end);
	outer->errors += p->errors;
	return ok ? p->result : NULL;
}
