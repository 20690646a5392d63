/* Operators: arithmetic on what is known at compile time, elementwise nodes on tensors, and matrix
 * products. Integers and floats mix only where one side is a literal or a dim. */
#include "frontend/build.h"

#include <math.h>
#include <string.h>

static const char *operator_text(int op)
{
	switch (op) {
	case '+': return "+";
	case '-': return "-";
	case '*': return "*";
	case '/': return "/";
	case '%': return "%";
	case '^': return "^";
	case '@': return "@";
	case '<': return "<";
	case '>': return ">";
	case AST_OP('/', '/'): return "//";
	case AST_OP('=', '='): return "==";
	case AST_OP('!', '='): return "!=";
	case AST_OP('<', '='): return "<=";
	case AST_OP('>', '='): return ">=";
	case AST_OP('a', 'n'): return "and";
	case AST_OP('o', 'r'): return "or";
	default: return "?";
	}
}

static Diag *operands(Build *b, const Ast *e, Span at, const Item *x, const Item *y,
                      const char *why)
{
	Diag *m = complain(b, at, "%s of %s and %s: %s", operator_text(e->op ? e->op : '+'),
	                   item_kind(b, x), item_kind(b, y), why);
	if (e->kind == AST_BINARY) {
		diag_also(m, e->a->span);
		diag_also(m, e->b->span);
	}
	note_origin(b, m, x, NULL);
	note_origin(b, m, y, NULL);
	return m;
}

static bool logical(int op)
{
	return op == AST_OP('a', 'n') || op == AST_OP('o', 'r');
}

static int64_t floor_div(int64_t x, int64_t y)
{
	int64_t q = x / y;
	return x % y != 0 && (x % y < 0) != (y < 0) ? q - 1 : q;
}

/* --- compile-time integers --- */

static bool int_power(int64_t x, int64_t n, int64_t *out)
{
	int64_t r = 1;
	if (n > 64 && (x > 1 || x < -1)) return false;
	if (x >= -1 && x <= 1) n = n % 2 + 2 * (n > 1);
	for (int64_t i = 0; i < n; i++)
		if (__builtin_mul_overflow(r, x, &r)) return false;
	*out = r;
	return true;
}

static Item ints(Build *b, int op, int64_t x, int64_t y, Span at, const Ast *e)
{
	int64_t r = 0;
	bool over = false;
	switch (op) {
	case '+': over = __builtin_add_overflow(x, y, &r); break;
	case '-': over = __builtin_sub_overflow(x, y, &r); break;
	case '*': over = __builtin_mul_overflow(x, y, &r); break;
	case '/': {
		Diag *m = complain(b, at, "/ of two integers: it is for floats");
		diag_help(b->d, m, "the floor of the quotient is  %s // %s",
		          text_of(b, e->kind == AST_BINARY ? e->a->span : at),
		          text_of(b, e->kind == AST_BINARY ? e->b->span : at));
		return bad();
	}
	case '%':
	case AST_OP('/', '/'):
		if (y == 0) {
			complain(b, at, "division by zero");
			return bad();
		}
		if (y == -1)
			over = op != '%' && __builtin_sub_overflow(0, x, &r);
		else
			r = op == '%' ? x - y * floor_div(x, y) : floor_div(x, y);
		break;
	case '^':
		if (y < 0) return item_float(pow((double)x, (double)y));
		over = !int_power(x, y, &r);
		break;
	case '<': return item_bool(x < y);
	case '>': return item_bool(x > y);
	case AST_OP('=', '='): return item_bool(x == y);
	case AST_OP('!', '='): return item_bool(x != y);
	case AST_OP('<', '='): return item_bool(x <= y);
	case AST_OP('>', '='): return item_bool(x >= y);
	default: return bad();
	}
	if (over) {
		complain(b, at, "this integer grows beyond 64 bits");
		return bad();
	}
	return item_int(r);
}

static Item floats(Build *b, int op, double x, double y, Span at)
{
	switch (op) {
	case '+': return item_float(x + y);
	case '-': return item_float(x - y);
	case '*': return item_float(x * y);
	case '/':
		if (y == 0) {
			complain(b, at, "division by zero");
			return bad();
		}
		return item_float(x / y);
	case '%': return item_float(x - y * floor(x / y));
	case AST_OP('/', '/'): return item_float(floor(x / y));
	case '^': return item_float(pow(x, y));
	case '<': return item_bool(x < y);
	case '>': return item_bool(x > y);
	case AST_OP('=', '='): return item_bool(x == y);
	case AST_OP('!', '='): return item_bool(x != y);
	case AST_OP('<', '='): return item_bool(x <= y);
	case AST_OP('>', '='): return item_bool(x >= y);
	default: return bad();
	}
}

/* --- dims --- */

static Item checked_dim(Build *b, Dim d, Span at)
{
	if (dim_is_poison(d)) complain(b, at, "this size grows beyond 64 bits");
	return item_dim(d);
}

static Item dims(Build *b, int op, Dim x, Dim y, Span at, bool *decided)
{
	DimPool *p = b->m->dims;
	const DimFacts *f = &b->m->facts;
	Proof proof = PROOF_UNKNOWN;
	*decided = true;
	switch (op) {
	case '+': return checked_dim(b, dim_add(p, x, y), at);
	case '-': return checked_dim(b, dim_sub(p, x, y), at);
	case '*': return checked_dim(b, dim_mul(p, x, y), at);
	case '%':
	case AST_OP('/', '/'): {
		Dim d = op == '%' ? dim_mod(p, x, y) : dim_floordiv(p, x, y);
		if (dim_is_poison(d)) complain(b, at, "division by zero");
		return item_dim(d);
	}
	case AST_OP('<', '='): proof = dim_le(f, x, y); break;
	case AST_OP('>', '='): proof = dim_le(f, y, x); break;
	case '<': proof = dim_le(f, dim_addc(p, x, 1), y); break;
	case '>': proof = dim_le(f, dim_addc(p, y, 1), x); break;
	case AST_OP('=', '='):
	case AST_OP('!', '='):
		proof = dim_eq(f, x, y);
		if (proof != PROOF_UNKNOWN)
			return item_bool((proof == PROOF_YES) == (op == AST_OP('=', '=')));
		break;
	default: break;
	}
	*decided = proof != PROOF_UNKNOWN;
	return item_bool(proof == PROOF_YES);
}

static bool is_dim(const Item *i)
{
	return i->kind == ITEM_INT || i->kind == ITEM_DIM;
}

static Item lists(Build *b, const Item *x, const Item *y, Span at)
{
	ItemList l = {0};
	if (!spend(b, x->list->n + y->list->n, at)) return bad();
	if (x->list->n + y->list->n > LIST_LIMIT) {
		over_limit(b, at, "this list grows beyond 1048576 elements");
		return bad();
	}
	for (size_t i = 0; i < x->list->n; i++) vec_push(b->arena, &l, x->list->at[i]);
	for (size_t i = 0; i < y->list->n; i++) vec_push(b->arena, &l, y->list->at[i]);
	return item_list(b, &l);
}

/* [a, b] * 2 is [a, b, a, b]; nothing for less than once. */
static Item repeated(Build *b, const Item *x, int64_t times, Span at)
{
	ItemList l = {0};
	size_t n = x->list->n;
	if (n && times > (int64_t)(LIST_LIMIT / n)) {
		over_limit(b, at, "this list grows beyond 1048576 elements");
		return bad();
	}
	for (int64_t k = 0; k < times && n; k++) {
		if (!spend(b, n, at)) return bad();
		for (size_t i = 0; i < n; i++) vec_push(b->arena, &l, x->list->at[i]);
	}
	return item_list(b, &l);
}

/* --- tensors --- */

static Node *power(Build *b, Node *x, const Item *y, Span at)
{
	double n;
	if (!as_number(y, &n) || !dtype_is_float(x->type.dtype)) return NULL;
	if (n == 1) return x;
	if (n == 2) return emit_binary(b, OP_MUL, x, x, at);
	if (n == 3) return emit_binary(b, OP_MUL, emit_binary(b, OP_MUL, x, x, at), x, at);
	if (n == 0.5) return emit_unary(b, OP_SQRT, x, at);
	if (n == -0.5) return emit_unary(b, OP_RSQRT, x, at);
	if (n == -1) return emit_unary(b, OP_RECIP, x, at);
	return NULL;
}

static Op operator_op(int op)
{
	switch (op) {
	case '+': return OP_ADD;
	case '-': return OP_SUB;
	case '*': return OP_MUL;
	case '/': return OP_DIV;
	case '%': return OP_MOD;
	case '^': return OP_POW;
	case '<': return OP_LT;
	case '>': return OP_GT;
	case AST_OP('/', '/'): return OP_FLOORDIV;
	case AST_OP('=', '='): return OP_EQ;
	case AST_OP('!', '='): return OP_NE;
	case AST_OP('<', '='): return OP_LE;
	case AST_OP('>', '='): return OP_GE;
	case AST_OP('a', 'n'): return OP_AND;
	default: return OP_OR;
	}
}

/* Why the element types of two operands do not go together, or NULL. */
static const char *dtype_clash(DType x, DType y, int op)
{
	DType u = dtype_widened(x), v = dtype_widened(y);
	bool boolean = u == DT_BOOL || v == DT_BOOL;
	if (logical(op)) return u == DT_BOOL && v == DT_BOOL ? NULL : "both sides must be bool";
	if (boolean && (u != v || (op != AST_OP('=', '=') && op != AST_OP('!', '='))))
		return "bool is no number";
	if (u != v) return "integers and floats do not mix without a cast";
	if (op == '/' && u == DT_I32) return "/ is for floats";
	if (op == '^' && u == DT_I32) return "^ is for floats";
	return NULL;
}

/* Which side to cast, or that what is no bool must be compared first. */
static void advise_cast(Build *b, Diag *m, const Ast *e, const Item *x, const Item *y, int op)
{
	bool infix = e->kind == AST_BINARY;
	DType p = x->kind == ITEM_TENSOR ? dtype_widened(x->node->type.dtype) : DT_F32,
		  q = y->kind == ITEM_TENSOR ? dtype_widened(y->node->type.dtype) : DT_F32;
	if (logical(op)) {
		diag_help(b->d, m, "bools come from comparisons:  %s != 0",
		          infix ? text_of(b, (p != DT_BOOL ? e->a : e->b)->span) : "x");
		return;
	}
	bool first = p == DT_BOOL || (p != q && q != DT_BOOL && !dtype_is_float(p));
	const Item *cast = first ? x : y;
	DType from = first ? p : q, to = first ? q : p;
	const char *text = infix ? text_of(b, (first ? e->a : e->b)->span) : "x";
	bool weight = cast->origin && cast->origin->weight;
	if (from == DT_BOOL && to == DT_BOOL) to = DT_F32;
	diag_help(b->d, m, "a cast is written  %s(%s)%s", dtype_name(to), text,
	          weight && from != DT_BOOL
	              ? "; a quantised weight is multiplied by its scale:  f32(w) * scale"
	              : "");
}

static void advise_list(Build *b, Diag *m, const Item *x, const Item *y)
{
	if (x->kind == ITEM_LIST || y->kind == ITEM_LIST)
		diag_help(b->d, m, "a list of numbers becomes a constant with  tensor([1.0, 2.0])");
	else if (x->kind == ITEM_PLACE || y->kind == ITEM_PLACE || x->kind == ITEM_FUNCTION ||
	         y->kind == ITEM_FUNCTION || x->kind == ITEM_BUILTIN || y->kind == ITEM_BUILTIN)
		diag_help(b->d, m, "a function or a layer is called:  f(x)");
	else if (x->kind == ITEM_NONE || y->kind == ITEM_NONE)
		diag_help(b->d, m,
		          "what may be absent is used under a condition:  if b != none { x += b }");
}

/* The rows of a ragged dim beside a tensor: its first axis is theirs. */
static Node *beside_rows(Build *b, const Item *i, Node *rows, const Node *other, Span at)
{
	const Ragged *r = ragged_find(b, i->dim);
	uint32_t rank = other->type.rank;
	if (!r || !rank || (rank == 1 && other->type.dim[0] == r->batch)) return rows;
	return ragged_spread(b, rows, rank < 2 ? 2 : rank, 0, at);
}

static Item tensors(Build *b, const Ast *e, int op, const Item *x, const Item *y, Span at)
{
	DType like = x->kind == ITEM_TENSOR                           ? x->node->type.dtype
	             : y->kind == ITEM_TENSOR                         ? y->node->type.dtype
	             : x->kind == ITEM_CONST                          ? x->constant->type.dtype
	             : y->kind == ITEM_CONST                          ? y->constant->type.dtype
	             : x->kind == ITEM_FLOAT || y->kind == ITEM_FLOAT ? DT_F32
	                                                              : DT_I32;
	Node *p = as_node(b, x, like, at), *q = as_node(b, y, like, at);
	if (x->kind == ITEM_DIM && q) p = beside_rows(b, x, p, q, at);
	if (y->kind == ITEM_DIM && p) q = beside_rows(b, y, q, p, at);
	if (!p || !q) {
		if (x->kind == ITEM_LIST || y->kind == ITEM_LIST || x->kind == ITEM_NONE ||
		    y->kind == ITEM_NONE || x->kind >= ITEM_FUNCTION || y->kind >= ITEM_FUNCTION ||
		    x->kind == ITEM_TEXT || y->kind == ITEM_TEXT || x->kind == ITEM_DTYPE ||
		    y->kind == ITEM_DTYPE)
			advise_list(b, operands(b, e, at, x, y, "these do not go together"), x, y);
		return bad();
	}
	const char *clash = dtype_clash(p->type.dtype, q->type.dtype, op);
	if (clash) {
		Diag *m = operands(b, e, at, x, y, clash);
		if (op == '/')
			diag_help(b->d, m, "the floor of a quotient is //, a float one f32(x) / y");
		else
			advise_cast(b, m, e, x, y, op);
		return bad();
	}
	if (op == '^') {
		Node *n = power(b, p, y, at);
		if (n) return item_node(n);
	}
	Item px = *x, py = *y;
	px.kind = py.kind = ITEM_TENSOR;
	px.node = p;
	py.node = q;
	Type shape;
	if (!broadcast_shape(b, &px, &py, e, operator_text(op), &shape)) return bad();
	return item_node(emit_binary(b, operator_op(op), p, q, at));
}

Item operate(Build *b, const Ast *e, int op, Item x, Item y, Span at)
{
	double u, v;
	if (x.kind == ITEM_BAD || y.kind == ITEM_BAD) return bad();
	if (op == '@') return matmul(b, e, &x, &y, at);
	if (x.kind == ITEM_BOOL && y.kind == ITEM_BOOL && logical(op))
		return item_bool(op == AST_OP('a', 'n') ? x.integer && y.integer : x.integer || y.integer);
	if (x.kind == ITEM_INT && y.kind == ITEM_INT && !logical(op))
		return ints(b, op, x.integer, y.integer, at, e);
	if (as_number(&x, &u) && as_number(&y, &v) && !logical(op)) return floats(b, op, u, v, at);
	bool ragged = is_dim(&x) && is_dim(&y) && b->ragged.n &&
	              (ragged_find(b, as_dim(b, &x)) || ragged_find(b, as_dim(b, &y)));
	if (ragged && (op == '+' || op == '-' || op == '*' || op == AST_OP('/', '/')))
		return ragged_arithmetic(b, op, as_dim(b, &x), as_dim(b, &y), at);
	if (is_dim(&x) && is_dim(&y) && !ragged && !logical(op) && op != '/' && op != '^') {
		bool decided;
		Item r = dims(b, op, as_dim(b, &x), as_dim(b, &y), at, &decided);
		if (decided) return r;
	}
	bool same = op == AST_OP('=', '='), equality = same || op == AST_OP('!', '=');
	bool tensor = x.kind == ITEM_TENSOR || y.kind == ITEM_TENSOR || x.kind == ITEM_CONST ||
	              y.kind == ITEM_CONST;
	bool none = x.kind == ITEM_NONE || y.kind == ITEM_NONE;
	if (equality && (none || !(tensor || x.kind == ITEM_DIM || y.kind == ITEM_DIM)))
		return item_bool(item_same(b, &x, &y) == same);
	if (x.kind == ITEM_LIST && y.kind == ITEM_LIST && op == '+') return lists(b, &x, &y, at);
	if (op == '*' && x.kind == ITEM_LIST && y.kind == ITEM_INT)
		return repeated(b, &x, y.integer, at);
	if (op == '*' && x.kind == ITEM_INT && y.kind == ITEM_LIST)
		return repeated(b, &y, x.integer, at);
	if (x.kind == ITEM_TEXT && y.kind == ITEM_TEXT && op == '+' &&
	    strlen(x.text) + strlen(y.text) < TEXT_LIMIT)
		return spend(b, (strlen(x.text) + strlen(y.text)) / 16, at)
		           ? item_text(arena_printf(b->arena, "%s%s", x.text, y.text))
		           : bad();
	if (op == '/' && is_dim(&x) && is_dim(&y)) {
		Diag *m = operands(b, e, at, &x, &y, "/ is for floats");
		diag_help(b->d, m, "the floor of a quotient is //");
		return bad();
	}
	return tensors(b, e, op, &x, &y, at);
}

Item negate(Build *b, const Ast *e, int op, Item x)
{
	if (op == '!') {
		if (x.kind == ITEM_BOOL) return item_bool(!x.integer);
		Node *n = need_tensor(b, &x, e->a->span, "the operand of `not`");
		if (!n) return bad();
		if (n->type.dtype != DT_BOOL) {
			Diag *m = complain(b, e->span, "not of %s: it is for bool", item_kind(b, &x));
			note_origin(b, m, &x, NULL);
			diag_help(b->d, m, "bools come from comparisons:  %s == 0", text_of(b, e->a->span));
			return bad();
		}
		return item_node(emit_unary(b, OP_NOT, n, e->span));
	}
	switch (x.kind) {
	case ITEM_INT: return ints(b, '-', 0, x.integer, e->span, e);
	case ITEM_FLOAT: return item_float(-x.number);
	case ITEM_DIM: return item_dim(dim_mulc(b->m->dims, x.dim, -1));
	default: {
		Node *n = need_tensor(b, &x, e->a->span, "the operand of -");
		if (!n) return bad();
		if (n->type.dtype == DT_BOOL) {
			Diag *m = complain(b, e->span, "- of %s: bool is no number", item_kind(b, &x));
			diag_help(b->d, m, "the opposite is  not x, a number  f32(x)");
			return bad();
		}
		return item_node(emit_unary(b, OP_NEG, n, e->span));
	}
	}
}

/* --- matrix products --- */

/* A transposed operand need not be computed: the product reads it as it lies. */
static Node *untransposed(Node *x, bool *swapped)
{
	*swapped = false;
	if (x->op != OP_TRANSPOSE) return x;
	uint32_t r = x->type.rank;
	const Attr *perm = node_attr(x, "perm");
	for (uint32_t i = 0; i + 2 < r; i++)
		if (perm->ints[i] != (int64_t)i) return x;
	*swapped = perm->ints[r - 1] == (int64_t)r - 2;
	return *swapped ? x->in[0] : x;
}

static Item mismatch(Build *b, const Ast *e, const Item *x, const Item *y, Span at, Dim inner,
                     Dim other)
{
	const Type *p = &x->node->type, *q = &y->node->type;
	Diag *m = complain(b, at, "matmul of %s and %s: inner dimensions differ (%s and %s)",
	                   type_text(b->arena, p), type_text(b->arena, q), dim_text(b->arena, inner),
	                   dim_text(b->arena, other));
	bool infix = e->kind == AST_BINARY;
	if (infix) {
		diag_also(m, e->a->span);
		diag_also(m, e->b->span);
	}
	note_origin(b, m, x, NULL);
	note_origin(b, m, y, NULL);
	bool weight = y->origin && y->origin->weight;
	if (infix && q->rank >= 2 && dims_equal(b, inner, q->dim[q->rank - 1]))
		diag_help(b->d, m, "%s  %s @ %s.T",
		          weight ? "for x[.., D] and w[F, D] write" : "the last dims agree: write",
		          text_of(b, e->a->span), text_of(b, e->b->span));
	return bad();
}

static const Ast *declared_dim(const Item *x, uint32_t from_end)
{
	if (!x->origin || !x->origin->type || x->origin->type->list.n <= from_end) return NULL;
	const AstList *l = &x->origin->type->list;
	return l->at[l->n - 1 - from_end];
}

/* A square weight [A, B], A = B only by the sizes chosen, used as if it were [B, A]: x is declared to
 * end in B. With other sizes this would not compile. */
static bool coincidence(Build *b, const Ast *e, const Item *x, const Item *y, Span at)
{
	const Ast *inner = declared_dim(x, 0), *rows = declared_dim(y, 1),
			  *columns = declared_dim(y, 0);
	if (!inner || !rows || !columns || !y->origin->weight || y->node->op == OP_TRANSPOSE ||
	    e->kind != AST_BINARY)
		return false;
	if (inner->kind != AST_NAME || x->node->type.rank != x->origin->type->list.n) return false;
	if (!ast_same(inner, columns) || ast_same(inner, rows)) return false;
	Diag *m =
		complain(b, at, "matmul of %s and %s: the sizes are equal only by coincidence (%s and %s)",
	             text_of(b, x->origin->type->span), text_of(b, y->origin->type->span),
	             text_of(b, inner->span), text_of(b, rows->span));
	diag_also(m, e->a->span);
	diag_also(m, e->b->span);
	note_origin(b, m, y, NULL);
	diag_help(b->d, m, "for x[.., D] and w[F, D] write  %s @ %s.T", text_of(b, e->a->span),
	          text_of(b, e->b->span));
	return true;
}

/* Without the dims of size 1 whose bits are set. */
static Node *without_dims(Build *b, Node *x, uint32_t which, Span at)
{
	Dim dims[MAX_RANK];
	uint32_t n = 0;
	for (uint32_t i = 0; i < x->type.rank; i++)
		if (!(which >> i & 1)) dims[n++] = x->type.dim[i];
	return emit_reshape(b, x, n, dims, at);
}

Item matmul(Build *b, const Ast *e, const Item *x, const Item *y, Span at)
{
	Item u = *x, v = *y;
	if (x->kind != ITEM_TENSOR)
		u.node = need_tensor(b, x, e->kind == AST_BINARY ? e->a->span : at, "the left side of @");
	if (y->kind != ITEM_TENSOR)
		v.node = need_tensor(b, y, e->kind == AST_BINARY ? e->b->span : at, "the right side of @");
	if (!u.node || !v.node) return bad();
	u.kind = v.kind = ITEM_TENSOR;
	const Type *p = &u.node->type, *q = &v.node->type;
	if (!p->rank || !q->rank) {
		operands(b, e, at, &u, &v,
		         "a scalar has no inner dimension; a product with it is written *");
		return bad();
	}
	const char *clash = dtype_clash(p->dtype, q->dtype, '*');
	if (clash) {
		advise_cast(b, operands(b, e, at, &u, &v, clash), e, &u, &v, '*');
		return bad();
	}
	uint32_t inner_y = q->rank >= 2 ? q->rank - 2 : 0;
	if (!dims_equal(b, p->dim[p->rank - 1], q->dim[inner_y]))
		return mismatch(b, e, &u, &v, at, p->dim[p->rank - 1], q->dim[inner_y]);
	if (coincidence(b, e, x, y, at)) return bad();

	/* Letters: batch dims from the right c.., rows m, inner k, columns n. */
	bool swap_x, swap_y;
	Node *xs = untransposed(u.node, &swap_x), *ys = untransposed(v.node, &swap_y);
	char sx[MAX_RANK + 1] = "", sy[MAX_RANK + 1] = "", out[2 * MAX_RANK + 1] = "";
	uint32_t bx = p->rank >= 2 ? p->rank - 2 : 0, by = q->rank >= 2 ? q->rank - 2 : 0;
	uint32_t batch = bx > by ? bx : by, n = 0, stretch_x = 0, stretch_y = 0;
	if (batch > 6) {
		operands(b, e, at, &u, &v, "too many dims");
		return bad();
	}
	for (uint32_t i = 1; i <= bx && i <= by; i++) {
		Dim du = p->dim[bx - i], dv = q->dim[by - i];
		if (dims_equal(b, du, dv)) continue;
		stretch_x |= dim_is(du, 1) ? 1u << (bx - i) : 0;
		stretch_y |= dim_is(dv, 1) ? 1u << (by - i) : 0;
		if (dim_is(du, 1) || dim_is(dv, 1)) continue;
		operands(b, e, at, &u, &v,
		         arena_printf(b->arena, "the outer dims differ (%s and %s)", dim_text(b->arena, du),
		                      dim_text(b->arena, dv)));
		return bad();
	}
	/* what stretches is the same for all of the other's dim: its index is left out */
	xs = without_dims(b, xs, stretch_x, at);
	ys = without_dims(b, ys, stretch_y, at);
	if (!xs || !ys) return bad();
	uint32_t nx = 0, ny = 0;
	for (uint32_t i = 0; i < bx; i++)
		if (!(stretch_x >> i & 1)) sx[nx++] = (char)('a' + batch - bx + i);
	for (uint32_t i = 0; i < by; i++)
		if (!(stretch_y >> i & 1)) sy[ny++] = (char)('a' + batch - by + i);
	for (uint32_t i = 0; i < batch; i++) out[n++] = (char)('a' + i);
	if (p->rank >= 2) {
		sx[nx] = swap_x ? 'k' : 'm';
		sx[nx + 1] = swap_x ? 'm' : 'k';
		out[n++] = 'm';
	} else {
		sx[0] = 'k';
	}
	if (q->rank >= 2) {
		sy[ny] = swap_y ? 'n' : 'k';
		sy[ny + 1] = swap_y ? 'k' : 'n';
		out[n++] = 'n';
	} else {
		sy[0] = 'k';
	}
	out[n] = 0;
	return item_node(contract(b, arena_printf(b->arena, "%s,%s->%s", sx, sy, out), xs, ys, at));
}

Node *contract(Build *b, const char *spec, Node *x, Node *y, Span at)
{
	if (!x || !y) return NULL;
	const char *comma = strchr(spec, ','), *result = strstr(spec, "->") + 2;
	for (uint32_t i = 0; b->ragged.n && x && i < x->type.rank; i++)
		if (!strchr(result, spec[i])) x = ragged_fill(b, x, i, FILL_ZERO, at);
	for (uint32_t i = 0; b->ragged.n && y && i < y->type.rank; i++)
		if (!strchr(result, comma[1 + i])) y = ragged_fill(b, y, i, FILL_ZERO, at);
	if (!x || !y) return NULL;
	Node *n = node_new(b->m, OP_EINSUM, 2, (Node *[]){x, y}, at);
	attr_str(n, "spec", intern_str(b->names, spec));
	return emit(b, n);
}
