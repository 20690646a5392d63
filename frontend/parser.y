/* The grammar of model files: LALR(1), no conflicts, no reliance on precedence beyond expressions.
 * It only builds trees; names and types are the checker's. doc/language.md describes it. */
%require "3.8"
%expect 0
%define api.pure full
%define api.prefix {nacre_parse_}
%define api.token.prefix {TOK_}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%param { void *scanner }
%parse-param { struct Parse *p }
%code requires {
#include "frontend/ast.h"
}
%code {
#include "frontend/build.h"

#include <string.h>
#define YYMAXDEPTH 4000
#define YYLLOC_DEFAULT(now, rhs, n) \
	do { \
		if (n) (now) = span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)); \
		else (now) = (Span){YYRHSLOC(rhs, 0).source, YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end}; \
	} while (0)
int nacre_lex_lex(NACRE_PARSE_STYPE *value, Span *at, void *scanner);
static int next_token(NACRE_PARSE_STYPE *value, Span *at, void *scanner);
#define nacre_parse_lex next_token
struct Parse *nacre_lex_get_extra(void *scanner);
static void nacre_parse_error(Span *at, void *scanner, Parse *p, const char *text);
static Ast *type_make(Parse *p, const char *name, const AstList *dims, bool optional, Span at);
static Ast *string_make(Parse *p, Span at);
static Ast *with_lists(Parse *p, AstKind kind, const char *name, AstList list, AstList list2, Span at);
static Ast *attributed(Parse *p, AstList attributes, Ast *n);
static Ast *assign(Parse *p, AstList to, int op, AstList from, Span at);
static void refuse(Parse *p, Span at, const char *what, const char *help);
#define LIST(x) ast_list(p, (x))
#define NOTHING ((AstList){0})
}
%union { const char *text; double number; int64_t integer; Ast *ast; AstList list; }
%token EXPRESSION "an expression"
%token NL "end of line" IMPORT "import" AS "as" DIM "dim" LET "let" LAYER "layer" MODEL "model" DEF "def"
%token ENTRY "entry" WHERE "where" WEIGHT "weight" FROM "from" USE "use" STATE "state" RETURN "return"
%token FOR "for" IN "in" IF "if" ELSE "else" ELIF "elif" ASSERT "assert" TRUE "true" FALSE "false" NONE "none"
%token AND "and" OR "or" NOT "not" TEST "test" SESSION "session" REQUIRE "require" YIELD "yield"
%token ARROW "->" DOTDOT ".." ELLIPSIS "..." EQ "==" NE "!=" LE "<=" GE ">="
%token PLUSEQ "+=" MINUSEQ "-=" MULEQ "*=" DIVEQ "/=" FLOORDIV "//" STRING "a string" OPEN_STRING "an unclosed string"
%token <text> NAME "a name"
%token <integer> INT "a number"
%token <number> FLOAT "a float"
%type <ast> top bind unit param type sdim member decl def entry_ret stmt action expr simple post atom item arg sub some
%type <ast> range string clause key keys cond start init if_tail member_else
%type <list> tops attrs callargs binds names exprs params plist dims dimlist body members index generics ret block stmts given
%type <list> items args arglist subs clauses where lets
%type <text> base qname name
%left OR
%left AND
%precedence NOT
%nonassoc EQ NE LE GE '<' '>'
%left '+' '-'
%left '*' '/' '%' '@' FLOORDIV
%precedence UMINUS
%right '^'
%start start_of
%%
start_of: file | EXPRESSION expr { p->result = $2; } ;
file: nls { p->result = ast_new(p, AST_FILE, @1); }
    | nls tops optsep { p->result = with_lists(p, AST_FILE, NULL, $2, NOTHING, @2); } ;
nls: %empty | nls NL ;
sep: NL | sep NL ;
optsep: %empty | sep ;
tops: top { $$ = LIST($1); } | tops sep top { $$ = $1; ast_list_add(p, &$$, $3); } ;
top: IMPORT string { $$ = ast_with(p, AST_IMPORT, NULL, NULL, NULL, @$); $$->name = $2->name; }
    | IMPORT string AS NAME { $$ = ast_with(p, AST_IMPORT, ast_name(p, $4, @4), NULL, NULL, @$); $$->name = $2->name; }
    | DIM binds { $$ = with_lists(p, AST_DIM, NULL, $2, NOTHING, @$); }
    | SESSION DIM binds { $$ = with_lists(p, AST_DIM, NULL, $3, NOTHING, @$); for (size_t i = 0; i < $3.n; i++) $3.at[i]->flag = true; }
    | LET lets { $$ = $2.at[0]; $$->span = @$; }
    | attrs unit { $$ = attributed(p, $1, $2); }
    | attrs def { $$ = attributed(p, $1, $2); }
    | attrs TEST string block { $$ = attributed(p, $1, with_lists(p, AST_TEST, $3->name, $4, NOTHING, span_join(@2, @4))); }
    | error { $$ = NULL; } ;
lets: names '=' exprs { Ast *n = ast_new(p, AST_LET, @$); n->list = $1; n->list2 = $3; $$ = LIST(ast_seal(p, n)); } ;
attrs: %empty { $$ = NOTHING; }
    | attrs '@' NAME callargs sep { $$ = $1; Ast *n = with_lists(p, AST_ATTRIBUTE, $3, $4, NOTHING, span_join(@2, @4)); ast_list_add(p, &$$, n); } ;
callargs: %empty { $$ = NOTHING; } | '(' args ')' { $$ = $2; } ;
binds: bind { $$ = LIST($1); } | binds ',' bind { $$ = $1; ast_list_add(p, &$$, $3); } ;
bind: NAME { $$ = ast_new(p, AST_DIM, @$); $$->name = $1; }
    | NAME IN range { $$ = ast_with(p, AST_DIM, $3, NULL, NULL, @$); $$->name = $1; }
    | NAME '=' expr { $$ = ast_with(p, AST_DIM, NULL, $3, NULL, @$); $$->name = $1; }
    | NAME '[' NAME ']' IN range { $$ = ast_with(p, AST_DIM, $6, NULL, NULL, @$); $$->name = $1; $$->d = ast_name(p, $3, @3); } ;
unit: LAYER NAME params body { $$ = with_lists(p, AST_LAYER, $2, $3, $4, span_join(@1, @3)); $$->op_span = @2; }
    | MODEL NAME params body { $$ = with_lists(p, AST_LAYER, $2, $3, $4, span_join(@1, @3)); $$->op_span = @2; $$->flag = true; } ;
params: %empty { $$ = NOTHING; } | given ;
given: '(' ')' { $$ = NOTHING; } | '(' plist ')' { $$ = $2; } | '(' plist ',' ')' { $$ = $2; } | '(' error ')' { $$ = NOTHING; } ;
plist: param { $$ = LIST($1); } | plist ',' param { $$ = $1; ast_list_add(p, &$$, $3); } ;
name: NAME | WHERE { $$ = intern_str(p->names, "where"); } ;
param: name ':' type { $$ = ast_with(p, AST_PARAM, $3, NULL, NULL, @$); $$->name = $1; $$->op_span = @1; }
    | name ':' type IN range { $$ = ast_with(p, AST_PARAM, $3, NULL, $5, @$); $$->name = $1; $$->op_span = @1; }
    | name ':' type '=' expr { $$ = ast_with(p, AST_PARAM, $3, $5, NULL, @$); $$->name = $1; $$->op_span = @1; } ;
type: base { $$ = type_make(p, $1, NULL, false, @$); }
    | base '?' { $$ = type_make(p, $1, NULL, true, @$); }
    | base '[' dims ']' { $$ = type_make(p, $1, &$3, false, @$); }
    | base '[' dims ']' '?' { $$ = type_make(p, $1, &$3, true, @$); } ;
base: qname | DIM { $$ = intern_str(p->names, "dim"); } ;
qname: NAME | qname '.' NAME { $$ = intern_str(p->names, arena_printf(p->arena, "%s.%s", $1, $3)); } ;
dims: %empty { $$ = NOTHING; } | dimlist ;
dimlist: sdim { $$ = LIST($1); } | dimlist ',' sdim { $$ = $1; ast_list_add(p, &$$, $3); } ;
sdim: expr | ELLIPSIS { $$ = ast_new(p, AST_ELLIPSIS, @$); } ;
body: '{' nls '}' { $$ = NOTHING; } | '{' nls members optsep '}' { $$ = $3; } ;
members: member { $$ = LIST($1); } | members sep member { $$ = $1; ast_list_add(p, &$$, $3); } ;
member: LET lets { $$ = $2.at[0]; $$->span = @$; }
    | attrs decl { $$ = attributed(p, $1, $2); }
    | ASSERT expr ',' string { $$ = ast_with(p, AST_ASSERT, $2, $4, NULL, @$); }
    | IF expr body member_else { $$ = with_lists(p, AST_MEMBER_IF, NULL, $3, $4 ? $4->list : NOTHING, @$); $$->a = $2; }
    | error { $$ = NULL; } ;
member_else: %empty { $$ = NULL; }
    | ELSE body { $$ = with_lists(p, AST_MEMBER_IF, NULL, $2, NOTHING, @$); }
    | else_if expr body member_else { Ast *n = with_lists(p, AST_MEMBER_IF, NULL, $3, $4 ? $4->list : NOTHING, @$); n->a = $2; $$ = with_lists(p, AST_MEMBER_IF, NULL, LIST(n), NOTHING, @$); } ;
else_if: ELSE IF | ELIF ;
decl: WEIGHT NAME index ':' type start key cond { $$ = ast_with(p, AST_WEIGHT, $5, $7, $8, @$); $$->name = $2; $$->op_span = @2; $$->d = $6; $$->list = $3; }
    | USE NAME index ':' qname callargs key cond {
        Ast *layer = ast_new(p, AST_CALL, span_join(@5, @6));
        layer->a = ast_name(p, $5, @5); layer->list = $6;
        $$ = ast_with(p, AST_USE, ast_seal(p, layer), $7, $8, @$); $$->name = $2; $$->op_span = @2; $$->list = $3; }
    | STATE NAME ':' type init { $$ = ast_with(p, AST_STATE, $4, NULL, $5, @$); $$->name = $2; $$->op_span = @2; }
    | STATE NAME ':' type IN range init { $$ = ast_with(p, AST_STATE, $4, $6, $7, @$); $$->name = $2; $$->op_span = @2; }
    | def
    | ENTRY NAME generics given entry_ret block { $$ = with_lists(p, AST_DEF, $2, $4, $6, span_join(@1, @5)); $$->op_span = @2; $$->generics = $3; $$->results = $5 ? $5->list : NOTHING; $$->flag2 = $5 != NULL; $$->flag = true; }
    | ENTRY NAME '=' NAME where { $$ = with_lists(p, AST_ENTRY_OF, $2, $5, NOTHING, @$); $$->text = $4; $$->op_span = @4; } ;
def: DEF name generics given entry_ret block { $$ = with_lists(p, AST_DEF, $2, $4, $6, span_join(@1, @5)); $$->op_span = @2; $$->generics = $3; $$->results = $5 ? $5->list : NOTHING; $$->flag2 = $5 != NULL; } ;
entry_ret: ret { $$ = $1.n ? with_lists(p, AST_TUPLE, NULL, $1, NOTHING, @$) : NULL; } ;
ret: nls { $$ = NOTHING; }
    | nls ARROW type nls { Ast *n = ast_with(p, AST_PARAM, $3, NULL, NULL, @3); $$ = LIST(n); }
    | nls ARROW '(' plist ')' nls { $$ = $4; }
    | nls ARROW '(' error ')' nls { $$ = NOTHING; } ;
index: %empty { $$ = NOTHING; }
    | '[' NAME IN range ']' { Ast *n = ast_with(p, AST_FOR_CLAUSE, $4, NULL, NULL, @$); n->list = LIST(ast_name(p, $2, @2)); $$ = LIST(n); } ;
key: %empty { $$ = NULL; } | FROM keys { $$ = $2; } ;
keys: string | keys OR string { $$ = ast_binary(p, AST_OP('o', 'r'), $1, $3, @2, @$); } ;
cond: %empty { $$ = NULL; } | IF expr { $$ = $2; } ;
start: %empty { $$ = NULL; } | '=' simple { $$ = $2; } ;
init: %empty { $$ = NULL; } | '=' expr { $$ = $2; } ;
where: %empty { $$ = NOTHING; } | WHERE binds { $$ = $2; } ;
generics: %empty { $$ = NOTHING; } | '[' names ']' { $$ = $2; } ;
names: NAME { $$ = LIST(ast_name(p, $1, @1)); } | names ',' NAME { $$ = $1; ast_list_add(p, &$$, ast_name(p, $3, @3)); } ;
block: '{' nls '}' { $$ = NOTHING; } | '{' nls stmts optsep '}' { $$ = $3; } ;
stmts: stmt { $$ = LIST($1); } | stmts sep stmt { $$ = $1; ast_list_add(p, &$$, $3); } ;
stmt: LET lets { $$ = $2.at[0]; $$->span = @$; } | attrs action { $$ = attributed(p, $1, $2); } | error { $$ = NULL; } ;
action: exprs { $$ = assign(p, NOTHING, 0, $1, @$); }
    | exprs '=' exprs { $$ = assign(p, $1, 0, $3, @$); $$->op_span = @2; }
    | exprs PLUSEQ expr { $$ = assign(p, $1, '+', LIST($3), @$); $$->op_span = @2; }
    | exprs MINUSEQ expr { $$ = assign(p, $1, '-', LIST($3), @$); $$->op_span = @2; }
    | exprs MULEQ expr { $$ = assign(p, $1, '*', LIST($3), @$); $$->op_span = @2; }
    | exprs DIVEQ expr { $$ = assign(p, $1, '/', LIST($3), @$); $$->op_span = @2; }
    | NAME ':' type '=' expr { $$ = ast_with(p, AST_DECLARE, $3, $5, NULL, @$); $$->name = $1; $$->op_span = @1; }
    | RETURN exprs { $$ = with_lists(p, AST_RETURN, NULL, $2, NOTHING, @$); }
    | RETURN { $$ = ast_new(p, AST_RETURN, @$); }
    | FOR names IN range block { Ast *n = ast_with(p, AST_FOR, $4, NULL, NULL, span_join(@1, @4)); n->list = $2; n->list2 = $5; $$ = ast_seal(p, n); }
    | exprs '=' FOR names IN range block { Ast *to = with_lists(p, AST_TUPLE, NULL, $1, NOTHING, @1); Ast *n = ast_with(p, AST_FOR, $6, NULL, to, span_join(@1, @6)); n->list = $4; n->list2 = $7; $$ = ast_seal(p, n); }
    | REQUIRE expr { $$ = ast_with(p, AST_REQUIRE, $2, NULL, NULL, @$); }
    | YIELD exprs { $$ = with_lists(p, AST_YIELD, NULL, $2, NOTHING, @$); }
    | IF expr block if_tail { $$ = with_lists(p, AST_IF, NULL, $3, $4 ? $4->list : NOTHING, span_join(@1, @2)); $$->a = $2; }
    | ASSERT expr ',' string { $$ = ast_with(p, AST_ASSERT, $2, $4, NULL, @$); }
    | ASSERT expr { $$ = ast_with(p, AST_ASSERT, $2, NULL, NULL, @$); } ;
if_tail: %empty { $$ = NULL; }
    | ELSE block { $$ = with_lists(p, AST_IF, NULL, $2, NOTHING, @$); }
    | else_if expr block if_tail { Ast *n = with_lists(p, AST_IF, NULL, $3, $4 ? $4->list : NOTHING, @$); n->a = $2; $$ = with_lists(p, AST_IF, NULL, LIST(n), NOTHING, @$); } ;
exprs: expr { $$ = LIST($1); } | exprs ',' expr { $$ = $1; ast_list_add(p, &$$, $3); } ;
range: simple DOTDOT simple { $$ = ast_with(p, AST_RANGE, $1, $3, NULL, @$); } | simple { $$ = ast_with(p, AST_RANGE, $1, NULL, NULL, @$); } ;
expr: simple | simple IF simple ELSE expr { $$ = ast_with(p, AST_IF_ELSE, $1, $3, $5, @$); } ;
simple: simple OR simple { $$ = ast_binary(p, AST_OP('o', 'r'), $1, $3, @2, @$); }
    | simple AND simple { $$ = ast_binary(p, AST_OP('a', 'n'), $1, $3, @2, @$); }
    | NOT simple { $$ = ast_unary(p, AST_UNARY, '!', $2, @$); }
    | simple EQ simple { $$ = ast_binary(p, AST_OP('=', '='), $1, $3, @2, @$); }
    | simple NE simple { $$ = ast_binary(p, AST_OP('!', '='), $1, $3, @2, @$); }
    | simple LE simple { $$ = ast_binary(p, AST_OP('<', '='), $1, $3, @2, @$); }
    | simple GE simple { $$ = ast_binary(p, AST_OP('>', '='), $1, $3, @2, @$); }
    | simple '<' simple { $$ = ast_binary(p, '<', $1, $3, @2, @$); }
    | simple '>' simple { $$ = ast_binary(p, '>', $1, $3, @2, @$); }
    | simple '+' simple { $$ = ast_binary(p, '+', $1, $3, @2, @$); }
    | simple '-' simple { $$ = ast_binary(p, '-', $1, $3, @2, @$); }
    | simple '*' simple { $$ = ast_binary(p, '*', $1, $3, @2, @$); }
    | simple '/' simple { $$ = ast_binary(p, '/', $1, $3, @2, @$); }
    | simple '%' simple { $$ = ast_binary(p, '%', $1, $3, @2, @$); }
    | simple '@' simple { $$ = ast_binary(p, '@', $1, $3, @2, @$); }
    | simple FLOORDIV simple { $$ = ast_binary(p, AST_OP('/', '/'), $1, $3, @2, @$); }
    | '-' simple %prec UMINUS { $$ = ast_unary(p, AST_UNARY, '-', $2, @$); }
    | simple '^' simple { $$ = ast_binary(p, '^', $1, $3, @2, @$); }
    | post ;
post: atom
    | post '.' NAME { $$ = ast_unary(p, AST_ATTR, 0, $1, @$); $$->name = $3; $$->op_span = @3; }
    | post '(' args ')' { Ast *n = ast_with(p, AST_CALL, $1, NULL, NULL, @$); n->list = $3; $$ = ast_seal(p, n); }
    | post '[' subs ']' { Ast *n = ast_with(p, AST_INDEX, $1, NULL, NULL, @$); n->list = $3; $$ = ast_seal(p, n); } ;
atom: NAME { $$ = ast_name(p, $1, @$); }
    | WHERE { $$ = ast_name(p, intern_str(p->names, "where"), @$); }
    | INT { $$ = ast_new(p, AST_INT, @$); $$->integer = $1; }
    | FLOAT { $$ = ast_new(p, AST_FLOAT, @$); $$->number = $1; }
    | string
    | TRUE { $$ = ast_new(p, AST_TRUE, @$); } | FALSE { $$ = ast_new(p, AST_FALSE, @$); } | NONE { $$ = ast_new(p, AST_NONE, @$); }
    | '(' expr ')' { $$ = $2; $$->span = @$; }
    | '(' item ',' items ')' { AstList l = LIST($2); for (size_t i = 0; i < $4.n; i++) ast_list_add(p, &l, $4.at[i]); $$ = with_lists(p, AST_TUPLE, NULL, l, NOTHING, @$); }
    | '(' item ',' items ',' ')' { AstList l = LIST($2); for (size_t i = 0; i < $4.n; i++) ast_list_add(p, &l, $4.at[i]); $$ = with_lists(p, AST_TUPLE, NULL, l, NOTHING, @$); }
    | '(' error ')' { $$ = ast_new(p, AST_BAD, @$); }
    | '[' ']' { $$ = ast_new(p, AST_LIST, @$); }
    | '[' items ']' { $$ = with_lists(p, AST_LIST, NULL, $2, NOTHING, @$); }
    | '[' items ',' ']' { $$ = with_lists(p, AST_LIST, NULL, $2, NOTHING, @$); }
    | '[' error ']' { $$ = ast_new(p, AST_BAD, @$); }
    | '[' expr FOR names IN range clauses ']' {
        Ast *first = ast_with(p, AST_FOR_CLAUSE, $6, NULL, NULL, span_join(@3, @6)); first->list = $4;
        AstList l = LIST(first); for (size_t i = 0; i < $7.n; i++) ast_list_add(p, &l, $7.at[i]);
        Ast *n = with_lists(p, AST_COMPREHENSION, NULL, l, NOTHING, @$); n->a = $2; $$ = ast_seal(p, n); } ;
clauses: %empty { $$ = NOTHING; } | clauses clause { $$ = $1; ast_list_add(p, &$$, $2); } ;
clause: FOR names IN range { $$ = ast_with(p, AST_FOR_CLAUSE, $4, NULL, NULL, @$); $$->list = $2; }
    | IF simple { $$ = ast_with(p, AST_IF_CLAUSE, $2, NULL, NULL, @$); } ;
items: item { $$ = LIST($1); } | items ',' item { $$ = $1; ast_list_add(p, &$$, $3); } ;
item: expr | ELLIPSIS { $$ = ast_new(p, AST_ELLIPSIS, @$); } ;
args: %empty { $$ = NOTHING; } | arglist | arglist ',' { $$ = $1; } | error { $$ = LIST(ast_new(p, AST_BAD, @$)); } ;
arglist: arg { $$ = LIST($1); } | arglist ',' arg { $$ = $1; ast_list_add(p, &$$, $3); } ;
arg: expr { $$ = ast_with(p, AST_ARG, $1, NULL, NULL, @$); }
    | NAME '=' expr { $$ = ast_with(p, AST_ARG, $3, NULL, NULL, @$); $$->name = $1; $$->op_span = @1; }
    | NAME '=' expr ARROW expr { $$ = ast_with(p, AST_ARG, $3, $5, NULL, @$); $$->name = $1; $$->op_span = @1; }
    | DIM '=' expr { $$ = ast_with(p, AST_ARG, $3, NULL, NULL, @$); $$->name = intern_str(p->names, "dim"); $$->op_span = @1; }
    | expr ARROW expr { $$ = ast_with(p, AST_ARG, $1, $3, NULL, @$); }
    | '*' expr { $$ = ast_with(p, AST_ARG, $2, NULL, NULL, @$); $$->op = '*'; } ;
subs: sub { $$ = LIST($1); } | subs ',' sub { $$ = $1; ast_list_add(p, &$$, $3); } ;
sub: expr | ELLIPSIS { $$ = ast_new(p, AST_ELLIPSIS, @$); }
    | some ':' some { $$ = ast_with(p, AST_SLICE, $1, $3, NULL, @$); }
    | some ':' some ':' some { $$ = ast_with(p, AST_SLICE, $1, $3, $5, @$); } ;
some: %empty { $$ = NULL; } | expr ;
string: STRING { $$ = string_make(p, @$); } ;
%%
static Ast *type_make(Parse *p, const char *name, const AstList *dims, bool optional, Span at)
{
	Ast *n = ast_new(p, AST_TYPE, at);
	n->name = name;
	if (dims) n->list = *dims;
	n->flag = dims != NULL;
	n->flag2 = optional;
	return ast_seal(p, n);
}

static Ast *string_make(Parse *p, Span at)
{
	return ast_string(p, p->source->text + at.begin + 1, at.end - at.begin > 2 ? at.end - at.begin - 2 : 0, at);
}

static Ast *with_lists(Parse *p, AstKind kind, const char *name, AstList list, AstList list2, Span at)
{
	Ast *n = ast_new(p, kind, at);
	n->name = name;
	n->list = list;
	n->list2 = list2;
	return ast_seal(p, n);
}

static Ast *attributed(Parse *p, AstList attributes, Ast *n)
{
	(void)p;
	n->attributes = attributes;
	return n;
}

static Ast *assign(Parse *p, AstList to, int op, AstList from, Span at)
{
	Ast *n = ast_new(p, AST_ASSIGN, at);
	n->list = to;
	n->list2 = from;
	n->op = (uint16_t)op;
	return ast_seal(p, n);
}

/* The next token. After a mistake, what is left of its line or bracket is passed over, blocks in
 * braces as a whole: one mistake gives one message. */
static int next_token(NACRE_PARSE_STYPE *value, Span *at, void *scanner)
{
	Parse *p = nacre_lex_get_extra(scanner);
	if (p->n_pending) {
		*at = p->current;
		return p->pending[--p->n_pending];
	}
	for (;;) {
		bool inside = p->n_open > p->skip_depth;
		int token = nacre_lex_lex(value, at, scanner);
		p->previous = p->current;
		p->current = *at;
		if (!p->skipping) return token;
		bool over = p->n_open < p->skip_depth || (token == TOK_NL && p->n_open == p->skip_depth);
		if (token && !over && (inside || p->n_open >= p->skip_depth)) continue;
		p->skipping = false;
		return token;
	}
}

static void refuse(Parse *p, Span at, const char *what, const char *help)
{
	diag_help(p->d, diag_error(p->d, at, "%s", what), "%s", help);
	p->errors++;
}

static void nacre_parse_error(Span *at, void *scanner, Parse *p, const char *text)
{
	(void)scanner;
	/* the parser's stack is full */
	if (strcmp(text, "memory exhausted") == 0) text = "this is nested too deeply";
	diag_error(p->d, *at, "%s", text);
	p->errors++;
}

/* "unexpected X; expected A, B or C": operators and the starts of expressions are summed up. */
static bool is_expression_start(yysymbol_kind_t t)
{
	switch (t) {
	case YYSYMBOL_NAME: case YYSYMBOL_WHERE: case YYSYMBOL_INT: case YYSYMBOL_FLOAT: case YYSYMBOL_STRING:
	case YYSYMBOL_TRUE: case YYSYMBOL_FALSE: case YYSYMBOL_NONE: case YYSYMBOL_NOT: return true;
	default: return false;
	}
}

static bool is_operator(yysymbol_kind_t t)
{
	const char *n = yysymbol_name(t);
	switch (t) {
	case YYSYMBOL_AND: case YYSYMBOL_OR: case YYSYMBOL_EQ: case YYSYMBOL_NE: case YYSYMBOL_LE: case YYSYMBOL_GE:
	case YYSYMBOL_FLOORDIV: case YYSYMBOL_PLUSEQ: case YYSYMBOL_MINUSEQ: case YYSYMBOL_MULEQ: case YYSYMBOL_DIVEQ:
	case YYSYMBOL_ELIF: case YYSYMBOL_EXPRESSION: return true;
	default: return n[0] == '\'' && strchr("+-*/%@<>^.", n[1]) != NULL;
	}
}

static bool span_is(Span s, const char *word)
{
	size_t n = strlen(word);
	return s.source && s.end - s.begin == n && memcmp(s.source->text + s.begin, word, n) == 0;
}

static const char *word_of(Parse *p, Span s)
{
	return s.source ? arena_strndup(p->arena, s.source->text + s.begin, s.end - s.begin) : "";
}

/* A declaration that stands in the wrong kind of braces, or in none. */
static const char *misplaced(yysymbol_kind_t got, bool top, bool member, bool statement)
{
	switch (got) {
	case YYSYMBOL_DIM:
	case YYSYMBOL_SESSION:
		return member || statement ? "dims are declared in the file, outside of layers, or by their def:  def f[R](x: f32[R])" : NULL;
	case YYSYMBOL_LAYER:
	case YYSYMBOL_MODEL:
	case YYSYMBOL_IMPORT:
	case YYSYMBOL_TEST:
		return member || statement ? "imports, layers, models and tests stand in the file, outside of each other" : NULL;
	case YYSYMBOL_WEIGHT:
	case YYSYMBOL_USE:
	case YYSYMBOL_STATE:
	case YYSYMBOL_ENTRY:
		if (top) return "weights, layers in use, states and entries are members:  model Net { .. }";
		return statement ? "members stand in the layer, outside of its defs" : NULL;
	case YYSYMBOL_DEF:
		return statement ? "defs do not nest: it stands in the layer or in the file" : NULL;
	default: return NULL;
	}
}

/* What should have been written, for mistakes that people bring from Python. */
static const char *syntax_hint(Parse *p, yysymbol_kind_t got, Span at, const yysymbol_kind_t *expected, int n)
{
	bool member = false, block = false, colon = false, close = false, list_end = false, top = false, statement = false;
	for (int i = 0; i < n; i++) {
		const char *name = yysymbol_name(expected[i]);
		member |= expected[i] == YYSYMBOL_WEIGHT;
		top |= expected[i] == YYSYMBOL_LAYER;
		statement |= expected[i] == YYSYMBOL_RETURN;
		block |= strcmp(name, "'{'") == 0;
		colon |= strcmp(name, "':'") == 0;
		close |= strcmp(name, "']'") == 0;
		list_end |= strcmp(name, "','") == 0;
	}
	static const char *const keywords[] = {"lambda", "while", "with", "try", "del", "raise", "global", "async", "class", "is"};
	const char *word = word_of(p, at), *before = word_of(p, p->previous), *place = misplaced(got, top, member, statement);
	if (place) return place;
	for (size_t i = 0; i < COUNT(keywords); i++)
		if (strcmp(before, keywords[i]) == 0) return hint_for(before);
	if (strcmp(before, "self") == 0 && colon)
		return "a def has no `self`: it knows the members of its layer by their names";
	if (strcmp(before, "import") == 0) return "only model files are imported:  import \"std/nn\"  brings the layers; nothing of Python is needed";
	if (got == YYSYMBOL_FROM && top) return "only model files are imported:  import \"std/nn\"  brings the layers; nothing of Python is needed";
	if (span_is(at, ":") && block) return "a block stands in braces:  if c { .. }   for i in 0..n { .. }   def f(x: f32[B]) -> f32[B] { .. }";
	if ((span_is(at, ")") || span_is(at, ",") || span_is(at, "=")) && colon && !member)
		return "a parameter has a type:  x: f32[B, S, D]   n: int = 1";
	if (got == YYSYMBOL_NL && strcmp(before, "weight") != 0 && colon && !block) return "a weight has a type:  weight w: f32[D, F]";
	if (span_is(at, "?")) return "a choice is written  a if c else b";
	if (span_is(at, "<") || span_is(at, ">") || got == YYSYMBOL_LE || got == YYSYMBOL_GE || got == YYSYMBOL_EQ || got == YYSYMBOL_NE)
		return list_end || n ? "comparisons do not chain:  a < b and b < c" : NULL;
	if (span_is(at, "{")) return "there are no dicts: a table is a list of tuples,  [(32, 3), (64, 1)]";
	if (span_is(at, "+") && strcmp(before, "+") == 0) return "counting up is written  x += 1";
	if (span_is(at, ".") && n <= 3) return "an attribute is one name:  @ignore(\"..\")";
	if (got == YYSYMBOL_IN) return hint_for("in");
	if (got == YYSYMBOL_NAME && hint_for(word) && strcmp(word, "in") != 0) return hint_for(word);
	if (got == YYSYMBOL_NAME && member) return "the members of a layer are  weight w: ..   use fc: Linear(..)   state k: ..   let n = ..   def f(..)";
	if (got == YYSYMBOL_NAME && top) return "a file holds  import  dim  let  layer  model  def  test";
	return NULL;
}

/* A `(` or `[` that is open where a block or a result begins was forgotten: tells so, and closes it. */
static bool forgotten_bracket(Parse *p, yysymbol_kind_t got, Span at)
{
	bool brace = span_is(at, "{");
	uint32_t open = p->n_open - brace;
	if ((!brace && got != YYSYMBOL_ARROW) || !open || p->open[open - 1].open == '{') return false;
	ParseBracket b = p->open[open - 1];
	Diag *m = diag_error(p->d, b.span, "this '%c' is never closed", b.open);
	diag_note(p->d, m, at, "it is still open here");
	if (brace) p->open[open - 1] = p->open[open];
	p->n_open--;
	p->pending[p->n_pending++] = brace ? '{' : TOK_ARROW;
	p->pending[p->n_pending++] = b.open == '(' ? ')' : ']';
	return true;
}

static int yyreport_syntax_error(const yypcontext_t *context, void *scanner, Parse *p)
{
	(void)scanner;
	p->errors++;
	enum { MOST = 64 };
	yysymbol_kind_t expected[MOST];
	int n = yypcontext_expected_tokens(context, expected, MOST);
	yysymbol_kind_t got = yypcontext_token(context);
	Span at = *yypcontext_location(context);
	if (!p->reported_here && forgotten_bracket(p, got, at)) return 0;
	bool opens = span_is(at, "{") || span_is(at, "(") || span_is(at, "["),
		 closes = span_is(at, "}") || span_is(at, ")") || span_is(at, "]");
	p->skipping = !closes && got != YYSYMBOL_NL && got != YYSYMBOL_YYEOF && got != YYSYMBOL_YYEMPTY;
	p->skip_depth = p->n_open - opens;
	if (p->reported_here) return 0;
	bool expression = false;
	for (int i = 0; i < n; i++) expression |= expected[i] == YYSYMBOL_INT;
	const char *names[MOST + 1];
	int k = 0;
	if (expression) names[k++] = "an expression";
	for (int i = 0; i < n; i++) {
		const char *name = yysymbol_name(expected[i]);
		if (is_operator(expected[i])) continue;
		if (expression && (is_expression_start(expected[i]) || strcmp(name, "'('") == 0 || strcmp(name, "'['") == 0)) continue;
		if (n > 12 && !expression && (strcmp(name, "'('") == 0 || strcmp(name, "'['") == 0 || expected[i] == YYSYMBOL_IF)) continue;
		names[k++] = expected[i] == YYSYMBOL_YYEOF ? "end of file" : name;
	}
	Text t = text_new(p->arena);
	if (got == YYSYMBOL_YYEMPTY || got == YYSYMBOL_YYEOF)
		text_puts(&t, "unexpected end of file");
	else if (got == YYSYMBOL_NAME || got == YYSYMBOL_INT || got == YYSYMBOL_FLOAT || got == YYSYMBOL_STRING)
		text_printf(&t, "unexpected %.*s", (int)(at.end - at.begin > 40 ? 40 : at.end - at.begin), p->source->text + at.begin);
	else
		text_printf(&t, "unexpected %s", yysymbol_name(got));
	if (k && k <= 6) {
		text_puts(&t, "; expected ");
		for (int i = 0; i < k; i++) text_printf(&t, "%s%s", i ? i + 1 == k ? " or " : ", " : "", names[i]);
	}
	Diag *m = diag_error(p->d, at, "%s", t.at);
	const char *hint = syntax_hint(p, got, at, expected, n);
	if (hint) diag_help(p->d, m, "%s", hint);
	return 0;
}
