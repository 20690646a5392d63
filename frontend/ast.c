/* Making syntax trees. Every node knows the depth below it, and a tree deeper than DEPTH_LIMIT is
 * reported once and cut, so that later walks may recurse without a guard of their own. */
#include "frontend/ast.h"

#include <string.h>

static uint16_t deeper(uint16_t depth, const Ast *kid)
{
	return kid && kid->depth >= depth ? (uint16_t)(kid->depth + 1) : depth;
}

static uint16_t deeper_list(uint16_t depth, const AstList *l)
{
	for (size_t i = 0; i < l->n; i++) depth = deeper(depth, l->at[i]);
	return depth;
}

Ast *ast_seal(Parse *p, Ast *n)
{
	uint16_t depth = 1;
	depth = deeper(deeper(deeper(deeper(depth, n->a), n->b), n->c), n->d);
	depth = deeper_list(deeper_list(deeper_list(depth, &n->list), &n->list2), &n->results);
	n->depth = depth;
	if (depth <= DEPTH_LIMIT) return n;
	if (!p->deep) {
		diag_error(p->d, n->span, "this is nested too deeply: at most %d levels", DEPTH_LIMIT);
		p->errors++;
		p->deep = true;
	}
	return ast_new(p, AST_BAD, n->span);
}

Ast *ast_new(Parse *p, AstKind kind, Span span)
{
	Ast *n = NEW(p->arena, Ast);
	n->kind = kind;
	n->span = span;
	n->depth = 1;
	return n;
}

Ast *ast_name(Parse *p, const char *name, Span span)
{
	Ast *n = ast_new(p, AST_NAME, span);
	n->name = name;
	return n;
}

Ast *ast_unary(Parse *p, AstKind kind, int op, Ast *a, Span span)
{
	Ast *n = ast_new(p, kind, span);
	n->op = (uint16_t)op;
	n->a = a;
	return ast_seal(p, n);
}

Ast *ast_binary(Parse *p, int op, Ast *a, Ast *b, Span op_span, Span span)
{
	Ast *n = ast_new(p, AST_BINARY, span);
	n->op = (uint16_t)op;
	n->op_span = op_span;
	n->a = a;
	n->b = b;
	return ast_seal(p, n);
}

Ast *ast_with(Parse *p, AstKind kind, Ast *a, Ast *b, Ast *c, Span span)
{
	Ast *n = ast_new(p, kind, span);
	n->a = a;
	n->b = b;
	n->c = c;
	return ast_seal(p, n);
}

AstList ast_list(Parse *p, Ast *first)
{
	AstList l = {0};
	if (first) vec_push(p->arena, &l, first);
	return l;
}

void ast_list_add(Parse *p, AstList *l, Ast *one)
{
	if (one) vec_push(p->arena, l, one);
}

static void add_text(Parse *p, Ast *s, const char *text, size_t n)
{
	if (!n) return;
	Ast *part = ast_new(p, AST_STRING, s->span);
	part->name = intern(p->names, text, n);
	vec_push(p->arena, &s->list, part);
}

Ast *ast_string(Parse *p, const char *text, uint32_t n, Span span)
{
	Ast *s = ast_new(p, AST_STRING, span);
	s->name = intern(p->names, text, n);
	if (!memchr(text, '{', n)) return s;
	uint32_t base = span.begin + 1, from = 0;
	while (from < n) {
		const char *open = memchr(text + from, '{', n - from);
		uint32_t at = open ? (uint32_t)(open - text) : n;
		add_text(p, s, text + from, at - from);
		if (!open) break;
		const char *close = memchr(open, '}', n - at);
		if (!close) {
			Span here = {span.source, base + at, base + at + 1};
			diag_error(p->d, here, "this '{' in the string has no '}'");
			p->errors++;
			break;
		}
		uint32_t to = (uint32_t)(close - text);
		Ast *e = ast_parse_expression(p, base + at + 1, base + to);
		if (e) vec_push(p->arena, &s->list, e);
		from = to + 1;
	}
	return ast_seal(p, s);
}

static bool same_list(const AstList *a, const AstList *b)
{
	if (a->n != b->n) return false;
	for (size_t i = 0; i < a->n; i++)
		if (!ast_same(a->at[i], b->at[i])) return false;
	return true;
}

bool ast_same(const Ast *a, const Ast *b)
{
	if (!a || !b) return a == b;
	return a->kind == b->kind && a->op == b->op && a->name == b->name && a->integer == b->integer &&
	       a->number == b->number && ast_same(a->a, b->a) && ast_same(a->b, b->b) &&
	       ast_same(a->c, b->c) && same_list(&a->list, &b->list);
}

const Ast *find_attribute(const Ast *n, const char *name)
{
	for (size_t i = 0; i < n->attributes.n; i++)
		if (strcmp(n->attributes.at[i]->name, name) == 0) return n->attributes.at[i];
	return NULL;
}
