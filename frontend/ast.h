/* The syntax tree of model files. Nodes are uniform: a kind, a name, up to four children and two
 * lists; the table below says what each kind keeps where. Children not mentioned are NULL. */
#ifndef NACRE_FRONTEND_AST_H
#define NACRE_FRONTEND_AST_H
#include "support/support.h"

typedef enum AstKind {
	/* expressions */
	AST_NAME,   /* name */
	AST_INT,    /* integer */
	AST_FLOAT,  /* number */
	AST_STRING, /* name: the text; list: parts when it has {expressions} (strings and expressions) */
	AST_TRUE,
	AST_FALSE,
	AST_NONE,
	AST_TUPLE,         /* list */
	AST_LIST,          /* list */
	AST_COMPREHENSION, /* a: element; list: clauses (AST_FOR_CLAUSE, AST_IF_CLAUSE) */
	AST_FOR_CLAUSE,    /* list: names; a: range */
	AST_IF_CLAUSE,     /* a */
	AST_UNARY,         /* op; a */
	AST_BINARY,        /* op; a, b; op_span */
	AST_IF_ELSE,       /* a if b else c */
	AST_ATTR,          /* a.name */
	AST_CALL,          /* a(list) */
	AST_ARG,           /* name (NULL: by position); a; b after -> ; op '*': spread */
	AST_INDEX,         /* a[list] */
	AST_SLICE,         /* a : b, either may be NULL */
	AST_ELLIPSIS,
	AST_RANGE, /* a .. b; b NULL: the elements of a */
	/* types */
	AST_TYPE, /* name, list: dims (flag: has brackets); optional: flag2 */
	/* declarations */
	AST_FILE,     /* list */
	AST_IMPORT,   /* name: path; alias in a (AST_NAME) */
	AST_DIM,      /* flag: session; name; a: range, b: value; d: the dim of its rows */
	AST_LET,      /* list: names; list2: values */
	AST_LAYER,    /* name; flag: model; list: parameters; list2: members */
	AST_PARAM,    /* name; a: type; b: default; c: range of a dim */
	AST_DEF,      /* name; flag: entry; list: parameters; list2: statements; generics; results */
	AST_ENTRY_OF, /* name; text: the def's name; list: AST_DIM of `where` */
	AST_TEST,     /* name; list: statements */
	AST_WEIGHT, /* name; a: type; b: key; c: condition; d: initial; list: index (AST_FOR_CLAUSE) */
	AST_USE,    /* name; a: layer (AST_CALL); b: key; c: condition; list: index */
	AST_STATE,  /* name; a: type; b: range of a dim; c: initial */
	AST_MEMBER_IF, /* a: condition; list: then; list2: else */
	AST_ATTRIBUTE, /* name; list: AST_ARG */
	/* statements */
	AST_EXPR,    /* a */
	AST_ASSIGN,  /* list: targets; list2: values; op: 0 or one of + - * / */
	AST_DECLARE, /* name; a: type; b: value */
	AST_RETURN,  /* list */
	AST_YIELD,   /* list */
	AST_FOR,     /* list: names; a: range; list2: body; c: AST_TUPLE of targets that collect */
	AST_IF,      /* a; list; list2 */
	AST_REQUIRE, /* a */
	AST_ASSERT,  /* a; b: message */
	AST_BAD      /* after a syntax error */
} AstKind;

typedef struct Ast Ast;
typedef VEC(Ast *) AstList;
struct Ast {
	AstKind kind;
	uint16_t depth; /* of the tree below; bounded, so that walks may recurse */
	uint16_t op;    /* a character, or a two-character operator (AST_OP) */
	bool flag, flag2;
	Span span, op_span;
	const char *name; /* interned */
	const char *text;
	int64_t integer;
	double number;
	Ast *a, *b, *c, *d;
	AstList list, list2, generics, results, attributes;
};
#define AST_OP(x, y) ((uint16_t)((x) << 8 | (y)))

/* What a parse works on; also the lexer's extra state. */
enum { NEST_LIMIT = 200, DEPTH_LIMIT = 400 };
typedef struct ParseBracket {
	char open;
	Span span;
} ParseBracket;
typedef struct Parse {
	Arena *arena;
	Interner *names;
	Diags *d;
	const Source *source;
	uint32_t offset;               /* where the next token begins */
	uint32_t blank_from, blank_to; /* known to hold only blanks and comments, up to text */
	ParseBracket open[NEST_LIMIT];
	uint32_t n_open;
	int last; /* the last token given */
	bool begun, expression, stop, deep;
	bool reported_here;     /* the lexer has just reported the mistake the parser will trip on */
	Span previous, current; /* the token before the last one, and the last one */
	bool skipping;          /* after a mistake: up to the end of its line or bracket */
	uint32_t skip_depth;    /* open brackets around the mistake */
	int pending[2];         /* tokens to give before reading on, last first */
	uint32_t n_pending;
	bool ended; /* the file's end closes what is open */
	bool loose; /* a line that looks like an assignment ends what is open */
	uint32_t errors;
	Ast *result;
} Parse;

Ast *ast_new(Parse *p, AstKind kind, Span span);
Ast *ast_name(Parse *p, const char *name, Span span);
Ast *ast_unary(Parse *p, AstKind kind, int op, Ast *a, Span span);
Ast *ast_binary(Parse *p, int op, Ast *a, Ast *b, Span op_span, Span span);
Ast *ast_with(Parse *p, AstKind kind, Ast *a, Ast *b, Ast *c, Span span);
AstList ast_list(Parse *p, Ast *first);
void ast_list_add(Parse *p, AstList *l, Ast *one);
const Ast *find_attribute(const Ast *n, const char *name); /* @name before n; NULL: it has none */
Ast *ast_seal(Parse *p,
              Ast *n); /* recomputes depth after lists were filled; reports too deep trees */
Ast *ast_string(Parse *p, const char *text, uint32_t n,
                Span span);                /* without quotes; parses {..} */
bool ast_same(const Ast *a, const Ast *b); /* the same text as trees */

/* Parses a file (or, inside strings, one expression). NULL only when the parser gave up. */
Ast *ast_parse(Arena *a, Interner *names, Diags *d, const Source *source, uint32_t *errors);
/* For a file with syntax errors, silently: an open bracket ends where a line looks like an assignment, so
 * that a statement that is being written costs no others. */
Ast *ast_parse_loose(Arena *a, Interner *names, const Source *source);
Ast *ast_parse_expression(Parse *outer, uint32_t begin, uint32_t end);
#endif
