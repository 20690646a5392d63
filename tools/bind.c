/* The values of dims, found from the shapes of inputs by the interface of a program. A dim that
 * stands alone in a type binds; every other is computed and compared. The same for all targets, so
 * that a wrong shape gives the same message on each. */
#include "tools/tool.h"

#include <string.h>

Dims dims_new(Arena *a, const Interface *f)
{
	return (Dims){NEW_ARRAY(a, int64_t, f->n_param + 1), NEW_ARRAY(a, bool, f->n_param + 1)};
}

/* The one parameter of an expression that is not known; -1: none or several. */
static int64_t only_unknown(const ExprWord *e, const Dims *d)
{
	int64_t found = -1;
	for (; e->code != EXPR_END; e++) {
		if (e->code != EXPR_PARAM || d->known[e->value] || e->value == found) continue;
		if (found >= 0) return -1;
		found = e->value;
	}
	return found;
}

/* Solves e == size for its one unknown when it is linear, as the runtime does; what does not come
 * out even is found when shapes are compared. */
static void solve(const ExprWord *e, int64_t size, Dims *d)
{
	int64_t p = only_unknown(e, d), at[3], step, rest;
	if (p < 0) return;
	for (int64_t i = 0; i < 3; i++) {
		d->value[p] = i;
		if (!expr_eval(e, d->value, &at[i])) return;
	}
	d->value[p] = 0;
	step = at[1] - at[0];
	if (step == 0 || at[2] - at[1] != step || __builtin_sub_overflow(size, at[0], &rest)) return;
	d->value[p] = rest / step;
	d->known[p] = true;
}

static bool expr_known(const ExprWord *e, const Dims *d)
{
	for (; e->code != EXPR_END; e++)
		if (e->code == EXPR_PARAM && !d->known[e->value]) return false;
	return true;
}

/* --- text ------------------------------------------------------------------------------------------------- */

/* The infix form of a postfix expression; parentheses around every inner operation but products. */
static const char *expr_text(Arena *a, const Interface *f, const ExprWord *e)
{
	static const char *const sign[] = {[EXPR_ADD] = " + ",
	                                   [EXPR_SUB] = " - ",
	                                   [EXPR_MUL] = "*",
	                                   [EXPR_FLOORDIV] = "//",
	                                   [EXPR_MOD] = "%"};
	const char *stack[EXPR_STACK] = {"?"};
	size_t n = 0;
	for (; e->code != EXPR_END; e++) {
		if (e->code == EXPR_CONST) {
			stack[n++] = arena_printf(a, "%lld", (long long)e->value);
			continue;
		}
		if (e->code == EXPR_PARAM) {
			stack[n++] = f->param[e->value].name;
			continue;
		}
		const char *y = stack[--n], *x = stack[n - 1];
		if (e->code == EXPR_MIN || e->code == EXPR_MAX) {
			stack[n - 1] = arena_printf(a, "%s(%s, %s)", e->code == EXPR_MIN ? "min" : "max", x, y);
			continue;
		}
		bool tight = e->code != EXPR_ADD && e->code != EXPR_SUB;
		bool one = strcmp(x, "1") == 0, zero = strcmp(x, "0") == 0;
		if ((e->code == EXPR_MUL && one) || (e->code == EXPR_ADD && zero)) {
			stack[n - 1] = y;
			continue;
		}
		if (tight && strchr(x, ' ')) x = arena_printf(a, "(%s)", x);
		if ((tight || e->code == EXPR_SUB) && strchr(y, ' ')) y = arena_printf(a, "(%s)", y);
		if (e->code == EXPR_ADD && *y == '-')
			stack[n - 1] = arena_printf(a, "%s - %s", x, y + 1);
		else
			stack[n - 1] = arena_printf(a, "%s%s%s", x, sign[e->code], y);
	}
	return stack[0];
}

const char *tensor_type_text(Arena *a, const Interface *f, uint32_t tensor)
{
	const InterfaceTensor *x = &f->tensor[tensor];
	Text t = text_new(a);
	text_printf(&t, "%s[", dtype_name((DType)x->dtype));
	for (uint32_t i = 0; i < x->rank; i++)
		text_printf(&t, "%s%s", i ? ", " : "", expr_text(a, f, x->dim[i]));
	text_puts(&t, "]");
	return t.at;
}

/* --- shapes ------------------------------------------------------------------------------------------------ */

bool interface_shape(const Interface *f, uint32_t tensor, const Dims *d, int64_t *shape)
{
	const InterfaceTensor *x = &f->tensor[tensor];
	for (uint32_t i = 0; i < x->rank; i++)
		if (!expr_known(x->dim[i], d) || !expr_eval(x->dim[i], d->value, &shape[i]) || shape[i] < 0)
			return false;
	return true;
}

static bool mismatch(Tool *t, const Interface *f, uint32_t tensor, const HostTensor *x,
                     const char *why)
{
	Diag *m = diag_error(&t->d, span_none(), "input `%s` is %s, the model takes %s",
	                     f->tensor[tensor].name, host_tensor_type(t->arena, x),
	                     tensor_type_text(t->arena, f, tensor));
	if (why) diag_help(&t->d, m, "%s", why);
	return false;
}

bool dims_bind(Tool *t, const Interface *f, uint32_t tensor, const HostTensor *x, Dims *d)
{
	const InterfaceTensor *w = &f->tensor[tensor];
	if (x->dtype != (DType)w->dtype)
		return mismatch(t, f, tensor, x,
		                arena_printf(t->arena, "convert it to %s", dtype_name((DType)w->dtype)));
	if (x->rank != w->rank) return mismatch(t, f, tensor, x, NULL);
	for (uint32_t i = 0; i < w->rank; i++) solve(w->dim[i], x->dims[i], d);
	return true;
}

static bool range_check(Tool *t, const Interface *f, const Dims *d)
{
	for (uint32_t i = 0; i < f->n_param; i++) {
		const InterfaceParam *p = &f->param[i];
		int64_t lo, hi;
		if (!d->known[i]) continue;
		if (!expr_known(p->lo, d) || !expr_known(p->hi, d)) continue;
		if (!expr_eval(p->lo, d->value, &lo) || !expr_eval(p->hi, d->value, &hi))
			return tool_fail(t, "the range of `%s` has no value", p->name);
		if (d->value[i] < lo || d->value[i] > hi)
			return tool_fail(t, "%s = %lld is outside its range %lld..%lld", p->name,
			                 (long long)d->value[i], (long long)lo, (long long)hi);
	}
	return true;
}

/* A dim that an entry requires something of and that no input shows: the caller gives it. */
static bool dims_complete(Tool *t, const Interface *f, const InterfaceEntry *e, const Dims *d)
{
	for (uint32_t i = 0; i < e->n_require; i++)
		for (const ExprWord *x = e->require[i]; x->code != EXPR_END; x++)
			if (x->code == EXPR_PARAM && !d->known[x->value]) {
				const char *name = f->param[x->value].name;
				Diag *m =
					diag_error(&t->d, span_none(), "entry `%s` takes the dim `%s`", e->name, name);
				diag_help(&t->d, m, "give it:  --dim %s=..", name);
				return false;
			}
	return true;
}

static bool require_check(Tool *t, const Interface *f, uint32_t n, const ExprWord *const *require,
                          const char *const *text, const Dims *d)
{
	for (uint32_t i = 0; i < n; i++) {
		int64_t v;
		if (!expr_known(require[i], d)) continue;
		if (expr_eval(require[i], d->value, &v) && v >= 0) continue;
		char failed[512];
		interface_require_text(failed, sizeof failed, f, require[i], text ? text[i] : NULL,
		                       d->value);
		return tool_fail(t, "%s", failed);
	}
	return true;
}

bool dims_check(Tool *t, const Interface *f, uint32_t entry, const HostTensor *in, const Dims *d)
{
	const InterfaceEntry *e = &f->entry[entry];
	if (!range_check(t, f, d)) return false;
	for (uint32_t i = 0; i < e->n_in; i++) {
		int64_t shape[8];
		const InterfaceTensor *w = &f->tensor[e->in[i]];
		for (uint32_t k = 0; k < w->rank; k++) {
			if (!expr_known(w->dim[k], d))
				return tool_fail(
					t,
					"dim %u of input `%s`, %s, has no value: no input shows it, give it by --dim",
					k, w->name, expr_text(t->arena, f, w->dim[k]));
			if (!expr_eval(w->dim[k], d->value, &shape[k]))
				return mismatch(t, f, e->in[i], &in[i], "its size overflows");
			if (shape[k] == in[i].dims[k]) continue;
			const char *text = expr_text(t->arena, f, w->dim[k]);
			bool number = *text >= '0' && *text <= '9';
			return mismatch(
				t, f, e->in[i], &in[i],
				number ? NULL
					   : arena_printf(t->arena, "%s is %lld here", text, (long long)shape[k]));
		}
	}
	return dims_complete(t, f, e, d) &&
	       require_check(t, f, f->n_require, f->require, f->require_text, d) &&
	       require_check(t, f, e->n_require, e->require, e->require_text, d);
}

void dims_advance(const Interface *f, uint32_t entry, Dims *d, Arena *a)
{
	const InterfaceEntry *e = &f->entry[entry];
	int64_t *next = NEW_ARRAY(a, int64_t, e->n_set + 1);
	for (uint32_t i = 0; i < e->n_set; i++)
		if (!expr_eval(e->set_value[i], d->value, &next[i])) next[i] = d->value[e->set_param[i]];
	for (uint32_t i = 0; i < e->n_set; i++) d->value[e->set_param[i]] = next[i];
}
