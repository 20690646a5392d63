/* Attention recognised as it is written out: two products around a softmax, in whatever order their
 * indices stand, with a scale, a soft cap, added terms and masks by `where`. Masks that compare the
 * positions of query and key become `causal` and `window`; other terms become the bias. What looks
 * like attention and is not raised gets a remark that says why. */
#include "passes/raise.h"

#include <math.h>
#include <string.h>

enum { SAID = 0xa77e }; /* node->mark: its remark has been given */

typedef struct Match {
	Rewrite *w;
	Node *n; /* the product of weights and values */
	Node *q, *k, *v, *bias;
	double scale, cap; /* scale: of the product of q and k; before that, what stands outside */
	bool causal;
	int64_t window;
	Dim queries, keys;
	const char *why, *help;  /* it is not raised, and what would help; may be NULL */
	const Node *wanted, *by; /* or this value, which `by` uses, is wanted elsewhere too */
	char lead[MAX_RANK + 1];
	char group, row, key, width, value; /* letters; group 0: none */
} Match;

static bool no(Match *m, const char *why)
{
	if (!m->why) m->why = why;
	return false;
}

/* --- masks --- */

/* An i32 value as a sum of positions along its own axes, and a dim. */
typedef struct Form {
	int64_t along[MAX_RANK];
	Dim rest;
} Form;

static bool is_one(Dim d)
{
	int64_t v;
	return dim_is_const(d, &v) && v == 1;
}

static bool form_of(DimPool *p, Node *n, Form *f);

/* The form of n seen with rank dims, aligned at the right. */
static bool form_aligned(DimPool *p, Node *n, uint32_t rank, Form *f)
{
	Form own;
	if (n->type.rank > rank || !form_of(p, n, &own)) return false;
	*f = (Form){.rest = own.rest};
	for (uint32_t i = 0; i < n->type.rank; i++) f->along[rank - n->type.rank + i] = own.along[i];
	return true;
}

static bool form_sum(DimPool *p, Node *n, Form *f, int64_t sign)
{
	Form a, b;
	if (!form_aligned(p, n->in[0], n->type.rank, &a) ||
	    !form_aligned(p, n->in[1], n->type.rank, &b))
		return false;
	for (uint32_t i = 0; i < MAX_RANK; i++) f->along[i] = a.along[i] + sign * b.along[i];
	f->rest = dim_add(p, a.rest, dim_mulc(p, b.rest, sign));
	return true;
}

static bool form_of(DimPool *p, Node *n, Form *f)
{
	double v;
	Form a;
	*f = (Form){.rest = dim_const(p, 0)};
	if (dtype_widened(n->type.dtype) != DT_I32) return false;
	switch (n->op) {
	case OP_IOTA: {
		int64_t axis = node_attr(n, "axis")->i;
		if (!is_one(n->type.dim[axis])) f->along[axis] = 1;
		return true;
	}
	case OP_DIM: f->rest = node_attr(n, "value")->d; return true;
	case OP_CONST:
		if (!node_const_scalar(n, &v)) return false;
		f->rest = dim_const(p, (int64_t)v);
		return true;
	case OP_ADD: return form_sum(p, n, f, 1);
	case OP_SUB: return form_sum(p, n, f, -1);
	case OP_BROADCAST: return form_aligned(p, n->in[0], n->type.rank, f);
	case OP_RESHAPE: { /* dims of 1 come and go */
		const Type *from = &n->in[0]->type;
		uint32_t i = 0;
		if (!form_of(p, n->in[0], &a)) return false;
		f->rest = a.rest;
		for (uint32_t k = 0; k < n->type.rank; k++) {
			if (is_one(n->type.dim[k])) continue;
			while (i < from->rank && is_one(from->dim[i])) i++;
			if (i == from->rank || from->dim[i] != n->type.dim[k]) return false;
			f->along[k] = a.along[i++];
		}
		return true;
	}
	default: return false;
	}
}

/* Is `c` (or its negation) a relation of query and key position that the operation knows? Sets what
 * it says; false: it is another mask. */
static bool positional(Match *m, Node *c, bool negated)
{
	DimPool *p = m->w->c->m->dims;
	Form f;
	uint32_t rank = c->type.rank;
	if (c->op == OP_NOT) return positional(m, c->in[0], !negated);
	if (c->op == OP_BROADCAST || (c->op == OP_RESHAPE && c->type.rank > c->in[0]->type.rank &&
	                              is_one(c->type.dim[0]) && c->in[0]->type.rank == 2))
		return positional(m, c->in[0], negated);
	if (c->op == (negated ? OP_OR : OP_AND)) {
		bool causal = m->causal;
		int64_t window = m->window;
		if (positional(m, c->in[0], negated) && positional(m, c->in[1], negated)) return true;
		m->causal = causal;
		m->window = window;
		return false;
	}
	if ((c->op != OP_LE && c->op != OP_LT && c->op != OP_GE && c->op != OP_GT) || rank < 2 ||
	    !form_sum(p, c, &f, -1))
		return false;
	/* as f <= 0 */
	bool less = c->op == OP_LE || c->op == OP_LT, strict = c->op == OP_LT || c->op == OP_GT;
	if (negated) less = !less, strict = !strict;
	if (!less) {
		for (uint32_t i = 0; i < MAX_RANK; i++) f.along[i] = -f.along[i];
		f.rest = dim_mulc(p, f.rest, -1);
	}
	if (strict) f.rest = dim_addc(p, f.rest, 1);
	for (uint32_t i = 0; i + 2 < rank; i++)
		if (f.along[i]) return false;
	int64_t row = f.along[rank - 2], key = f.along[rank - 1], window;
	Dim past = dim_sub(p, m->keys, m->queries);
	if (key == 1 && row == -1 && f.rest == dim_mulc(p, past, -1)) return m->causal = true;
	if (key != -1 || row != 1 || !dim_is_const(dim_addc(p, dim_sub(p, past, f.rest), 1), &window) ||
	    window < 1)
		return false;
	if (!m->window || window < m->window) m->window = window;
	return true;
}

static bool add_bias(Match *m, Node *more)
{
	Node *scaled = more;
	if (m->scale != 1)
		scaled =
			rewrite_node(m->w, OP_MUL, 2, (Node *[]){more, rewrite_const(m->w, DT_F32, m->scale)});
	m->bias = m->bias ? rewrite_node(m->w, OP_ADD, 2, (Node *[]){m->bias, scaled}) : scaled;
	return m->bias || no(m, "its mask does not have the shape of its scores");
}

/* where(c, s, hidden) or, negated, where(c, hidden, s) */
static bool take_mask(Match *m, Node *c, double hidden, bool negated)
{
	/* each query sees its own key, so that any number below all scores does */
	bool never_empty = dim_le(&m->w->c->m->facts, m->queries, m->keys) == PROOF_YES;
	bool infinite = hidden == -(double)INFINITY;
	bool causal = m->causal;
	int64_t window = m->window;
	if ((infinite || (never_empty && hidden <= -1e4)) && positional(m, c, negated)) return true;
	m->causal = causal;
	m->window = window;
	if (!infinite)
		return no(
			m,
			"its mask hides keys by a finite number, so that a row without keys gives their mean; write -inf");
	Node *none = rewrite_const(m->w, DT_F32, 0), *never = rewrite_const(m->w, DT_F32, hidden);
	Node *s = rewrite_node(m->w, OP_SELECT, 3,
	                       negated ? (Node *[]){c, never, none} : (Node *[]){c, none, never});
	double scale = m->scale;
	m->scale = 1;
	bool ok = add_bias(m, s);
	m->scale = scale;
	return ok;
}

/* s + where(c, 0, hidden) or, negated, s + where(c, hidden, 0); any other term is a bias */
static bool added_mask(Match *m, Node *term)
{
	Node *s = term;
	double none, hidden;
	while (s->op == OP_BROADCAST) s = s->in[0];
	for (int negated = 0; negated < 2 && s->op == OP_SELECT && m->scale > 0; negated++) {
		if (!node_const_scalar(s->in[1 + negated], &none) || none != 0 ||
		    !node_const_scalar(s->in[2 - negated], &hidden) || hidden * m->scale > -1e4)
			continue;
		Match before = *m;
		if (take_mask(m, s->in[0], hidden, negated)) return true;
		*m = before; /* a finite number is added as it is */
	}
	return add_bias(m, term);
}

/* --- from the softmax to the product of queries and keys --- */

static bool leads_to_product(const Node *n)
{
	for (int depth = 0; depth < 16; depth++) {
		if (n->op == OP_EINSUM) return true;
		if (n->op == OP_SELECT) {
			double v;
			n = node_const_scalar(n->in[2], &v) ? n->in[1] : n->in[2];
		} else if ((n->op == OP_ADD || n->op == OP_MUL) &&
		           n->in[1]->type.rank >= n->in[0]->type.rank && !leads_to_product(n->in[0])) {
			n = n->in[1];
		} else if (n->n_in && (op_info[n->op].kind == KIND_ELEMENTWISE || n->op == OP_BROADCAST)) {
			n = n->in[0];
		} else {
			return false;
		}
	}
	return false;
}

/* One step inwards; the node it leads to, or NULL when nothing more is taken off. */
static Node *peel(Match *m, Node *s)
{
	double v;
	if (s->op == OP_CAST && s->type.dtype == DT_F32 && s->in[0]->type.dtype == DT_F32)
		return s->in[0];
	if (s->op == OP_SELECT && !(m->cap > 0)) {
		if (node_const_scalar(s->in[2], &v) && type_equal(&s->in[1]->type, &s->type))
			return take_mask(m, s->in[0], v, false) ? s->in[1] : NULL;
		if (node_const_scalar(s->in[1], &v) && type_equal(&s->in[2]->type, &s->type))
			return take_mask(m, s->in[0], v, true) ? s->in[2] : NULL;
	}
	for (int i = 0; i < 2 && s->n_in == 2; i++) {
		Node *x = s->in[i], *c = s->in[1 - i];
		if (!type_equal(&x->type, &s->type)) continue;
		if (s->op == OP_MUL && node_const_scalar(c, &v)) return m->scale *= v, x;
		if (s->op == OP_DIV && i == 0 && node_const_scalar(c, &v) && v != 0)
			return m->scale /= v, x;
		if (s->op == OP_ADD && !(m->cap > 0) && leads_to_product(x))
			return added_mask(m, c) ? x : NULL;
	}
	if (s->op == OP_TANH && m->scale > 0 && !(m->cap > 0)) {
		m->cap = m->scale; /* cap * tanh(x): what follows scales x, so the score is x * cap */
		return s->in[0];
	}
	return NULL;
}

/* --- indices --- */

static bool in(const char *s, uint32_t n, char c)
{
	return memchr(s, c, n) != NULL;
}

/* Sorts the letters of `p[lead, group, row, key], v[lead, key, value] -> [lead, group, row, value]`. */
static bool read_product(Match *m)
{
	const char *spec = node_attr(m->n, "spec")->s;
	uint32_t pn = m->n->in[0]->type.rank, vn = m->n->in[1]->type.rank, on = m->n->type.rank,
			 leads = 0;
	const char *p = spec, *v = spec + pn + 1, *o = spec + pn + vn + 3;
	m->key = p[node_attr(m->n->in[0], "axis")->i];
	if (in(o, on, m->key) || !in(v, vn, m->key)) return false;
	for (uint32_t i = 0; i < pn; i++) {
		if (p[i] == m->key) continue;
		if (!in(o, on, p[i])) return false;
		if (in(v, vn, p[i])) {
			m->lead[leads++] = p[i];
		} else {
			if (m->group) return false;
			m->group = m->row;
			m->row = p[i];
		}
	}
	for (uint32_t i = 0; i < vn; i++) {
		if (v[i] == m->key || in(p, pn, v[i])) continue;
		if (m->value || !in(o, on, v[i])) return false;
		m->value = v[i];
	}
	return m->row && m->value && on == leads + 2 + (m->group != 0);
}

/* The operand with its dims in the order of `letters`, which are those of `names`. */
static Node *ordered(Match *m, Node *x, const char *letters, const char *names)
{
	int64_t perm[MAX_RANK];
	bool same = true;
	uint32_t rank = x->type.rank;
	if (!x || strlen(letters) != rank) return NULL;
	for (uint32_t i = 0; i < rank; i++) {
		const char *at = memchr(names, letters[i], rank);
		if (!at) return NULL;
		perm[i] = at - names;
		same &= perm[i] == (int64_t)i;
	}
	return same ? x : rewrite_transpose(m->w, x, perm);
}

/* q[lead, group, row, width], k[lead, key, width] from the product `score`, whose dims are named by
 * `names` (those of the weights). */
static bool read_scores(Match *m, Node *score, const char *names)
{
	uint32_t rank = score->type.rank, an = score->in[0]->type.rank, bn = score->in[1]->type.rank;
	const char *spec = node_attr(score, "spec")->s, *out = spec + an + bn + 3;
	char renamed[2][MAX_RANK + 1] = {{0}}, want[MAX_RANK + 4];
	m->width = '*';
	for (int side = 0; side < 2; side++) {
		const char *own = side ? spec + an + 1 : spec;
		uint32_t n = side ? bn : an, sums = 0;
		for (uint32_t i = 0; i < n; i++) {
			const char *at = memchr(out, own[i], rank);
			renamed[side][i] = at ? names[at - out] : m->width;
			sums += !at;
		}
		if (sums != 1) return false;
	}
	int queries = in(renamed[0], an, m->row) ? 0 : 1;
	snprintf(want, sizeof want, "%s%s%c%c", m->lead, m->group ? (char[]){m->group, 0} : "", m->row,
	         m->width);
	m->q = ordered(m, score->in[queries], want, renamed[queries]);
	snprintf(want, sizeof want, "%s%c%c", m->lead, m->key, m->width);
	m->k = ordered(m, score->in[1 - queries], want, renamed[1 - queries]);
	return m->q && m->k;
}

/* Queries, keys and values as [.., heads, length, width]: a group joins the heads, and where the last
 * outer dim is no number of heads, one head is put in. */
static bool shape_operands(Match *m)
{
	DimPool *p = m->w->c->m->dims;
	uint32_t leads = (uint32_t)strlen(m->lead);
	Dim dims[MAX_RANK + 1];
	Dim last = leads ? m->k->type.dim[leads - 1] : NULL;
	bool heads = last && dim_is_const(last, NULL);
	if (m->group) {
		if (!heads || !dim_is_const(m->q->type.dim[leads], NULL))
			return no(m, "the number of heads is not known at compile time");
		if (m->bias) return no(m, "its mask stands over grouped heads");
		memcpy(dims, m->q->type.dim, leads * sizeof *dims);
		dims[leads - 1] = dim_mul(p, last, m->q->type.dim[leads]);
		dims[leads] = m->q->type.dim[leads + 1];
		dims[leads + 1] = m->q->type.dim[leads + 2];
		m->q = rewrite_reshape(m->w, m->q, leads + 2, dims);
		return true;
	}
	if (heads) return true;
	if (leads + 3 > MAX_RANK) return no(m, "it has too many dims");
	Node **each[] = {&m->q, &m->k, &m->v, &m->bias};
	for (size_t i = 0; i < COUNT(each); i++) {
		Node *x = *each[i];
		if (!x || (i == 3 && x->type.rank < 3)) continue;
		uint32_t rank = x->type.rank, at = 0;
		for (uint32_t d = 0; d < rank; d++) {
			if (d + 2 == rank) dims[at++] = dim_const(p, 1);
			dims[at++] = x->type.dim[d];
		}
		*each[i] = rewrite_reshape(m->w, x, at, dims);
	}
	return true;
}

static Node *build(Match *m)
{
	Module *module = m->w->c->m;
	uint32_t on = m->n->type.rank, leads = (uint32_t)strlen(m->lead);
	const char *o = strstr(node_attr(m->n, "spec")->s, "->") + 2;
	Node *a = node_new(module, OP_ATTENTION, m->bias ? 4 : 3, (Node *[]){m->q, m->k, m->v, m->bias},
	                   m->n->span);
	char have[MAX_RANK + 4];
	Dim dims[MAX_RANK];
	attr_float(a, "scale", m->scale);
	if (m->causal) attr_int(a, "causal", 1);
	if (m->window) attr_int(a, "window", m->window);
	if (m->cap > 0) attr_float(a, "soft_cap", m->cap);
	a = rewrite_finish(m->w, a);
	if (!a) return NULL;
	snprintf(have, sizeof have, "%s%s%c%c", m->lead, m->group ? (char[]){m->group, 0} : "", m->row,
	         m->value);
	for (uint32_t i = 0; i < on; i++)
		dims[i] = m->n->type.dim[(size_t)((char *)memchr(o, have[i], on) - o)];
	if (a->type.rank != on || m->group || !leads) a = rewrite_reshape(m->w, a, on, dims);
	char want[MAX_RANK + 1] = "";
	memcpy(want, o, on);
	return ordered(m, a, want, have);
}

static bool wanted(Match *m, const Node *value, const Node *by)
{
	m->wanted = value;
	m->by = by;
	return false;
}

static bool is_number(const Node *n)
{
	for (uint32_t i = 0; i < n->type.rank; i++)
		if (!is_one(n->type.dim[i])) return false;
	return true;
}

static const char *dtype_why(Match *m, const Node *n, const char *called)
{
	return arena_printf(m->w->c->m->arena, "%s is held as %s, and fused attention holds it as f32",
	                    value_name(m->w->c, n, called), dtype_name(n->type.dtype));
}

/* What stands between the product and the softmax is no scale, mask or term: says what it is. */
static bool unknown_step(Match *m, const Node *s)
{
	Arena *a = m->w->c->m->arena;
	const char *name = value_name(m->w->c, s, "what the softmax takes");
	if (s->op == OP_CAST && s->type.dtype != DT_F32) {
		m->help = "leave out the cast before the softmax";
		return no(m, dtype_why(m, s, name));
	}
	for (uint32_t i = 0; i < 2 && (s->op == OP_MUL || s->op == OP_DIV); i++) {
		const Node *by = s->in[1 - i];
		if (!leads_to_product(s->in[i]) || !is_number(by)) continue;
		m->help = "scale the queries before the product instead";
		return no(m,
		          arena_printf(a, "its scores are scaled by %s, which is not known at compile time",
		                       value_name(m->w->c, by, "a value")));
	}
	if (s->op == OP_RESHAPE) {
		m->help = "take the softmax of the product as it is, over its last axis";
		return no(m, arena_printf(a, "%s is reshaped between the product and the softmax",
		                          value_name(m->w->c, s->in[0], "its product")));
	}
	m->help = "a scale, a soft cap, added terms, and masks by `where` can stand between them";
	return no(
		m,
		leads_to_product(s)
			? arena_printf(a, "`%s` stands between the product and the softmax",
	                       op_info[s->op].mnemonic)
			: "its scores are not a scaled product of queries and keys with masks or terms added");
}

/* The softmax is not over the axis that the product of weights and values sums over. */
static bool other_axis(Match *m)
{
	const char *spec = node_attr(m->n, "spec")->s;
	const Node *p = m->n->in[0];
	uint32_t pn = p->type.rank, vn = m->n->in[1]->type.rank;
	int64_t axis = node_attr_const(p, "axis")->i;
	const char *out = spec + pn + vn + 3;
	if (!in(out, m->n->type.rank, spec[axis]) || !leads_to_product(p->in[0])) return false;
	for (uint32_t i = 0; i < pn; i++) {
		if (in(out, m->n->type.rank, spec[i])) continue;
		m->help = arena_printf(m->w->c->m->arena, "softmax(.., axis=%u) weighs what is summed", i);
		return no(m, arena_printf(
						 m->w->c->m->arena,
						 "the softmax of %s is over axis %lld, and the product sums over axis %u",
						 value_name(m->w->c, p, "the scores"), (long long)axis, i));
	}
	return false;
}

static bool match(Match *m)
{
	Node *p = m->n->in[0], *score = p->in[0];
	const char *spec = node_attr(m->n, "spec")->s;
	char names[MAX_RANK + 1] = "", want[MAX_RANK + 4];
	if (!read_product(m)) return other_axis(m);
	memcpy(names, spec, p->type.rank);
	if (is_wanted_elsewhere(m->w->c, p, m->n)) return wanted(m, p, m->n);
	uint32_t row = (uint32_t)(strchr(names, m->row) - names),
			 key = (uint32_t)(strchr(names, m->key) - names);
	m->queries = p->type.dim[row];
	m->keys = p->type.dim[key];
	bool straight = row + 2 == p->type.rank &&
	                key + 1 == p->type.rank; /* positions stand last, as masks have them */
	for (Node *next, *by = p; (next = peel(m, score)); by = score, score = next) {
		if (node_is_result(score)) return wanted(m, score, by);
		if (!straight && (m->causal || m->window || m->bias))
			return no(m, "its mask stands over dims in another order");
	}
	if (m->why) return false;
	if (score->op != OP_EINSUM) return unknown_step(m, score);
	if (node_is_result(score)) return wanted(m, score, NULL);
	if (!read_scores(m, score, names))
		return no(m, "its scores do not pair each query with each key");
	snprintf(want, sizeof want, "%s%c%c", m->lead, m->key, m->value);
	m->v = ordered(m, m->n->in[1], want, spec + p->type.rank + 1);
	if (!m->v || !shape_operands(m)) return no(m, "its values do not have the shape of attention");
	if (m->bias && m->q->type.rank > 4) return no(m, "a mask beyond [batch, heads, queries, keys]");
	return true;
}

/* Weights that are cast or reshaped after the softmax: not raised; why. */
static bool changed_weights(Match *m)
{
	const Node *p = m->n->in[0], *s = p;
	while ((s->op == OP_CAST || s->op == OP_RESHAPE) && s->n_in) s = s->in[0];
	if (s == p || s->op != OP_SOFTMAX) return false;
	const Node *x = s->in[0];
	while (x->op == OP_RESHAPE || x->op == OP_CAST) x = x->in[0];
	if (!leads_to_product(x)) return false;
	const char *name = value_name(m->w->c, s, "the softmax");
	for (const Node *at = p; at != s; at = at->in[0]) {
		if (at->op != OP_CAST) continue;
		m->help = "leave out the cast after the softmax";
		return !no(m, dtype_why(m, at, name));
	}
	m->help = "keep the weights in the shape of the scores up to the product with the values";
	return !no(m, arena_printf(m->w->c->m->arena,
	                           "%s is reshaped between the softmax and the product", name));
}

static void say(Match *m)
{
	PassContext *c = m->w->c;
	m->n->mark = SAID;
	if (m->wanted) {
		remark_wanted(c, m->n->span, "attention", m->wanted, m->by,
		              m->wanted->op == OP_SOFTMAX ? "the softmax"
		                                          : "its product of queries and keys");
	} else if (m->why) {
		Diag *d = diag_remark(c->d, m->n->span, "attention is not fused: %s", m->why);
		if (m->help) diag_help(c->d, d, "%s", m->help);
	}
}

Node *raise_attention(Rewrite *w, Node *n)
{
	if (n->mark == SAID) return NULL;
	Match m = {.w = w, .n = n, .scale = 1};
	if (n->in[0]->op != OP_SOFTMAX) {
		if (changed_weights(&m)) say(&m);
		return NULL;
	}
	Node *done = match(&m) ? build(&m) : NULL;
	if (done) return done;
	if (!m.why && m.q) m.why = "queries, keys and values do not have the shapes of attention";
	say(&m);
	return NULL;
}

/* Keys and values repeated for each head of a group: [.., KV, T, D] stretched to [.., KV, R, T, D] and
 * merged. The operation shares them instead. */
static Node *unrepeated(Rewrite *w, Node *x)
{
	uint32_t r = x->type.rank;
	if (x->op != OP_RESHAPE || x->in[0]->op != OP_BROADCAST) return NULL;
	Node *wide = x->in[0], *from = wide->in[0];
	if (wide->type.rank != r + 1 || from->type.rank != r + 1 || r < 3) return NULL;
	for (uint32_t i = 0; i < r + 1; i++) {
		bool copies = i == r - 2;
		if (copies ? !is_one(from->type.dim[i]) : from->type.dim[i] != wide->type.dim[i])
			return NULL;
	}
	for (uint32_t i = 0; i < r; i++)
		if (i != r - 3 && x->type.dim[i] != wide->type.dim[i + (i > r - 3)]) return NULL;
	Dim dims[MAX_RANK];
	for (uint32_t i = 0; i < r; i++) dims[i] = from->type.dim[i + (i > r - 3)];
	return rewrite_reshape(w, from, r, dims);
}

Node *raise_repeated_heads(Rewrite *w, Node *n)
{
	Node *k = unrepeated(w, n->in[1]), *v = unrepeated(w, n->in[2]);
	if (!k || !v || k->type.dim[k->type.rank - 3] != v->type.dim[v->type.rank - 3]) return NULL;
	Node *a = node_new(w->c->m, OP_ATTENTION, n->n_in,
	                   (Node *[]){n->in[0], k, v, n->n_in > 3 ? n->in[3] : NULL}, n->span);
	uint32_t rows = 0;
	while (op_info[OP_ATTENTION].attr[rows].name) rows++;
	memcpy(a->attr, n->attr, rows * sizeof(Attr));
	return rewrite_finish(w, a);
}
