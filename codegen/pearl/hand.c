/* hand.c: a kernel written in assembly, held against the def that calls it. Its program must be safe by
 * itself, for all of its parameters' ranges; its tensors and parameters must be those of the def, and
 * what the model calls it with must lie in what it is written for. */
#include "codegen/pearl/hand.h"
#include <string.h>

Diag *hand_error(HandFiles *f, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(f->arena, fmt, ap);
	va_end(ap);
	bool known = false, frozen = f->d->frozen;
	for (size_t i = 0; i < f->d->list.n; i++) {
		const Diag *m = f->d->list.at[i];
		known |= m->severity == DIAG_ERROR && m->span.source == at.source &&
		         m->span.begin == at.begin && strcmp(m->text, text) == 0;
	}
	f->d->frozen = frozen || known;
	Diag *m = diag_error(f->d, at, "%s", text);
	f->d->frozen = frozen;
	return m;
}

static void note_call(HandFiles *f, Diag *m, const HandCall *call)
{
	diag_note(f->d, m, call->at, "it is the kernel of this call");
}

static Diag *call_error(HandFiles *f, Span at, const HandCall *call, const char *text)
{
	Diag *m = hand_error(f, at, "%s", text);
	note_call(f, m, call);
	return m;
}

uint32_t hand_tensor(const HandCall *call, const char *name)
{
	uint32_t i = 0;
	while (i < call->n_tensor && strcmp(call->tensor[i].name, name) != 0) i++;
	return i;
}

/* --- the program by itself --------------------------------------------------------------------------- */

/* What only a whole program may have. */
static bool is_kernel(HandFiles *f, const HandCall *call, const PearlProgram *p)
{
	const Interface *i = p->interface;
	Span whole = {p->text->source, 0, 0};
	if (i->n_entry != 1 || i->prepack >= 0) {
		call_error(f, whole, call, "a kernel has one entry");
		return false;
	}
	if (p->weights.bytes) {
		call_error(f, whole, call, "a kernel brings no weights: they are parameters of the def");
		return false;
	}
	for (uint32_t k = 0; k < i->n_tensor; k++) {
		const InterfaceTensor *t = &i->tensor[k];
		if (t->kind == IT_IN || t->kind == IT_OUT || t->kind == IT_WEIGHT) continue;
		call_error(
			f, p->text->tensor[k], call,
			"a kernel has tensors `in`, `weight` and `out`; what it keeps for itself lies in spm, "
			"acc or gsm");
		return false;
	}
	for (uint32_t k = 0; k < p->regions.n; k++) {
		const PearlRegion *r = &p->regions.at[k];
		if (r->space != SPACE_HBM || r->tensor >= 0) continue;
		call_error(f, whole, call,
		           arena_printf(f->arena, "region `%s` of hbm belongs to no tensor", r->name));
		return false;
	}
	return true;
}

/* The first of the messages since `first` says where the kernel is called. */
static void note_first(HandFiles *f, const HandCall *call, size_t first)
{
	for (size_t i = first; i < f->d->list.n; i++) {
		Diag *m = f->d->list.at[i];
		if (m->severity != DIAG_ERROR) continue;
		bool noted = m->parts.n && m->parts.at[m->parts.n - 1]->span.source == call->at.source;
		if (!noted) note_call(f, m, call);
		return;
	}
}

static HandFile *file_of(HandFiles *f, const HandCall *call)
{
	for (size_t i = 0; i < f->list.n; i++)
		if (strcmp(f->list.at[i]->path, call->file) == 0) return f->list.at[i];
	HandFile *h = NEW(f->arena, HandFile);
	const char *why = NULL;
	h->path = call->file;
	h->source = source_from_file(f->arena, call->file, &why);
	vec_push(f->arena, &f->list, h);
	if (!h->source) {
		hand_error(f, call->at, "cannot read '%s': %s", call->file, why);
		return h;
	}
	size_t first = f->d->list.n;
	const PearlProgram *p = pearl_assemble_placed(f->arena, f->d, h->source, NULL, f->m);
	if (p && is_kernel(f, call, p)) h->program = p;
	note_first(f, call, first);
	return h;
}

static bool is_safe(HandFiles *f, HandFile *h, const HandCall *call)
{
	if (h->tried) return h->safe;
	size_t first = f->d->list.n;
	h->tried = true;
	h->safe = pearl_verify(f->d, h->program);
	note_first(f, call, first);
	return h->safe;
}

/* --- sizes ------------------------------------------------------------------------------------------------ */

/* The value of a size of the program in terms of the model; a poison when it grows too large. */
static Dim size_dim(DimPool *p, const ExprWord *e, const Dim *param)
{
	Dim stack[EXPR_STACK + 1];
	uint32_t n = 0;
	for (; e->code != EXPR_END; e++) {
		if (e->code == EXPR_CONST || e->code == EXPR_PARAM) {
			stack[n++] = e->code == EXPR_CONST ? dim_const(p, e->value) : param[e->value];
			continue;
		}
		Dim b = stack[--n], a = stack[n - 1];
		switch (e->code) {
		case EXPR_ADD: a = dim_add(p, a, b); break;
		case EXPR_SUB: a = dim_sub(p, a, b); break;
		case EXPR_MUL: a = dim_mul(p, a, b); break;
		case EXPR_MIN: a = dim_min(p, a, b); break;
		case EXPR_MAX: a = dim_max(p, a, b); break;
		case EXPR_FLOORDIV: a = dim_floordiv(p, a, b); break;
		default: a = dim_mod(p, a, b); break;
		}
		stack[n - 1] = a;
	}
	return stack[0];
}

static const char *range_text(HandFiles *f, Dim d)
{
	int64_t lo, hi;
	dim_range(f->facts, d, &lo, &hi);
	if (dim_is_const(d, NULL)) return dim_text(f->arena, d);
	return arena_printf(f->arena, "%s, in %lld..%lld", dim_text(f->arena, d), (long long)lo,
	                    (long long)hi);
}

/* The values of the program's parameters; NULL after a report. */
static const Dim *params_bind(HandFiles *f, const PearlProgram *p, const HandCall *call)
{
	const Interface *i = p->interface;
	Dim *value = NEW_ARRAY(f->arena, Dim, i->n_param + 1);
	for (uint32_t k = 0; k < i->n_param; k++) {
		const InterfaceParam *x = &i->param[k];
		uint32_t n = 0;
		while (n < call->n_size && strcmp(call->size[n], x->name) != 0) n++;
		if (n == call->n_size) {
			const char *near = nearest_name(x->name, call->size, call->n_size);
			Diag *m = call_error(f, p->text->param[k], call,
			                     arena_printf(f->arena, "`%s` is no dim of the def", x->name));
			if (near) diag_help(f->d, m, "did you mean `%s`?", near);
			return NULL;
		}
		value[k] = call->value[n];
		Dim lo = size_dim(f->pool, x->lo, value), hi = size_dim(f->pool, x->hi, value);
		if (dim_le(f->facts, lo, value[k]) == PROOF_YES &&
		    dim_le(f->facts, value[k], hi) == PROOF_YES)
			continue;
		Diag *m =
			hand_error(f, p->text->param[k], "`%s` is %s..%s here, the model has %s", x->name,
		               dim_text(f->arena, lo), dim_text(f->arena, hi), range_text(f, value[k]));
		diag_note(f->d, m, call->at, "called here");
		return NULL;
	}
	return value;
}

static bool requires_hold(HandFiles *f, const PearlProgram *p, const HandCall *call,
                          const Dim *value)
{
	const Interface *i = p->interface;
	const InterfaceEntry *e = &i->entry[0];
	for (uint32_t k = 0; k < i->n_require + e->n_require; k++) {
		bool own = k >= i->n_require;
		const ExprWord *relation = own ? e->require[k - i->n_require] : i->require[k];
		const char *text = own ? e->require_text[k - i->n_require] : i->require_text[k];
		Dim d = size_dim(f->pool, relation, value);
		if (dim_le(f->facts, dim_const(f->pool, 0), d) == PROOF_YES) continue;
		Diag *m =
			hand_error(f, call->at, "the kernel requires %s >= 0 (%s), which does not always hold",
		               dim_text(f->arena, d), *text ? text : "see its `require`");
		diag_note(f->d, m, (Span){p->text->source, 0, 0}, "the kernel is here");
		return false;
	}
	return true;
}

/* --- tensors ------------------------------------------------------------------------------------------------- */

static const char *shape_text(HandFiles *f, uint32_t dtype, uint32_t rank, const Dim *dims)
{
	Text t = text_new(f->arena);
	text_printf(&t, "%s[", dtype_name((DType)dtype));
	for (uint32_t d = 0; d < rank; d++)
		text_printf(&t, "%s%s", d ? ", " : "", dim_text(f->arena, dims[d]));
	text_puts(&t, "]");
	return t.at;
}

static bool shapes_agree(HandFiles *f, const HandTensor *x, uint32_t rank, const Dim *dims)
{
	int64_t one;
	/* one element lies alike with and without a dim */
	if (rank + x->rank == 1 && dim_is_const(rank ? dims[0] : x->dims[0], &one)) return one == 1;
	bool same = rank == x->rank;
	for (uint32_t d = 0; same && d < rank; d++)
		same = dim_eq(f->facts, dims[d], x->dims[d]) == PROOF_YES;
	return same;
}

static bool tensor_fits(HandFiles *f, const PearlProgram *p, uint32_t k, const HandCall *call,
                        const Dim *value)
{
	const InterfaceTensor *t = &p->interface->tensor[k];
	Span at = p->text->tensor[k];
	uint32_t n = hand_tensor(call, t->name);
	if (n == call->n_tensor) {
		const char **names = NEW_ARRAY(f->arena, const char *, n + 1);
		for (uint32_t i = 0; i < n; i++) names[i] = call->tensor[i].name;
		const char *near = nearest_name(t->name, names, n);
		Diag *m = call_error(
			f, at, call,
			arena_printf(f->arena, "`%s` is no parameter and no result of the def", t->name));
		if (near) diag_help(f->d, m, "did you mean `%s`?", near);
		return false;
	}
	const HandTensor *x = &call->tensor[n];
	Span other = x->span.source ? x->span : call->at;
	if ((t->kind == IT_OUT) != x->result) {
		Diag *m = hand_error(f, at, "`%s` is %s here, and a %s of the def", t->name,
		                     t->kind == IT_OUT ? "written" : "only read",
		                     x->result ? "result" : "parameter");
		diag_note(f->d, m, other, x->result ? "called here" : "the parameter is declared here");
		diag_help(f->d, m, "tensor %s %s ..", t->name, x->result ? "out" : "in");
		return false;
	}
	Dim dims[8];
	for (uint32_t d = 0; d < t->rank; d++) dims[d] = size_dim(f->pool, t->dim[d], value);
	if (t->dtype == (uint32_t)x->dtype && shapes_agree(f, x, t->rank, dims)) return true;
	Diag *m = hand_error(f, at, "`%s` is %s here and %s in the model", t->name,
	                     shape_text(f, t->dtype, t->rank, dims),
	                     shape_text(f, x->dtype, x->rank, x->dims));
	diag_note(f->d, m, other, x->result ? "called here" : "the parameter is declared here");
	return false;
}

static bool fits(HandFiles *f, const HandFile *file, const HandCall *call)
{
	const PearlProgram *p = file->program;
	const Interface *i = p->interface;
	for (uint32_t n = 0; n < call->n_tensor; n++) {
		const HandTensor *x = &call->tensor[n];
		if (hand_tensor(call, x->name) != n) {
			hand_error(f, call->at, "two tensors of the call are named `%s`", x->name);
			return false;
		}
		bool found = false;
		for (uint32_t k = 0; k < i->n_tensor; k++) found |= strcmp(i->tensor[k].name, x->name) == 0;
		if (found) continue;
		Diag *m =
			hand_error(f, (Span){p->text->source, 0, 0}, "the kernel has no tensor `%s`", x->name);
		diag_note(f->d, m, x->span.source ? x->span : call->at, "`%s` is a %s of the def", x->name,
		          x->result ? "result" : "parameter");
		return false;
	}
	const Dim *value = params_bind(f, p, call);
	if (!value) return false;
	for (uint32_t k = 0; k < i->n_tensor; k++)
		if (!tensor_fits(f, p, k, call, value)) return false;
	return requires_hold(f, p, call, value);
}

const HandFile *hand_open(HandFiles *f, const HandCall *call)
{
	HandFile *h = file_of(f, call);
	return h->program && fits(f, h, call) && is_safe(f, h, call) ? h : NULL;
}

/* --- a whole module, before anything is compiled --------------------------------------------------------------- */

static const char *name_at(Arena *a, const char *list, uint32_t number)
{
	for (; number; number--) {
		list += strcspn(list, ",");
		list += *list == ',';
	}
	return arena_strndup(a, list, strcspn(list, ","));
}

static HandCall call_of(Arena *a, const Node *n)
{
	const Graph *g = n->region;
	const Attr *dims = node_attr_const(n, "dims");
	const char *operands = node_attr_const(n, "operands")->s,
			   *results = node_attr_const(n, "results")->s, *sizes = node_attr_const(n, "sizes")->s;
	uint32_t count = n->n_in + (uint32_t)g->results.n;
	HandTensor *t = NEW_ARRAY(a, HandTensor, count + 1);
	for (uint32_t i = 0; i < count; i++) {
		bool result = i >= n->n_in;
		const Node *x = result ? g->results.at[i - n->n_in] : g->args.at[i];
		t[i] = (HandTensor){name_at(a, result ? results : operands, result ? i - n->n_in : i),
		                    pearl_held_dtype(x->type.dtype),
		                    x->type.rank,
		                    x->type.dim,
		                    result,
		                    result ? span_none() : x->span};
	}
	const char **size = NEW_ARRAY(a, const char *, dims->n + 1);
	for (uint32_t i = 0; i < dims->n; i++) size[i] = name_at(a, sizes, i);
	return (HandCall){node_attr_const(n, "file")->s, n->span, count, dims->n, t, size, dims->dims};
}

static bool check_graph(HandFiles *f, const Graph *g)
{
	bool ok = true;
	for (const Node *n = g->first; n; n = n->next) {
		if (n->op == OP_HAND) {
			HandCall call = call_of(f->arena, n);
			ok = hand_open(f, &call) && ok;
		} else if (n->region) {
			ok = check_graph(f, n->region) && ok;
		}
	}
	return ok;
}

bool pearl_check_hand_written(Diags *d, Module *m, const PearlMachine *machine)
{
	bool ok = true;
	DimFacts facts = m->facts;
	facts.pool = m->dims;
	HandFiles f = {.arena = m->arena, .d = d, .pool = m->dims, .facts = &facts, .m = machine};
	for (size_t i = 0; i < m->entries.n; i++) {
		const Entry *e = m->entries.at[i];
		facts.nonneg = (__typeof__(facts.nonneg)){0};
		for (size_t k = 0; k < m->require.n; k++)
			vec_push(m->arena, &facts.nonneg, m->require.at[k]);
		for (size_t k = 0; k < e->require.n; k++)
			vec_push(m->arena, &facts.nonneg, e->require.at[k]);
		ok = check_graph(&f, e->graph) && ok;
	}
	return ok;
}
