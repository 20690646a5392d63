/* Runs the generated lexer and parser over a source. Both keep their state in a Parse, so that two
 * compilations, or a string's expressions inside a file, can be parsed at the same time. */
#include "frontend/ast.h"
#include "frontend/parser.h"
/* The lexer's header speaks of the parser's types by flex's names for them. */
#define YYSTYPE NACRE_PARSE_STYPE
#define YYLTYPE Span
#define YY_NO_UNISTD_H
#include "frontend/lexer.h"

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

Ast *ast_parse(Arena *a, Interner *names, Diags *d, const Source *source, uint32_t *errors)
{
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
