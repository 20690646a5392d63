/* Messages of the checker. One mistake gives one message: a place that has been reported is not
 * reported again (an unrolled loop, or two entries that share a def, would repeat it), and what
 * follows from a mistake is silent because its value is BAD. */
#include "frontend/build.h"

#include <string.h>

static bool same_span(Span a, Span b)
{
	return a.source == b.source && a.begin == b.begin && a.end == b.end;
}

static bool reported(const Build *b, Span at)
{
	for (size_t i = 0; i < b->d->list.n; i++) {
		const Diag *m = b->d->list.at[i];
		if (m->severity == DIAG_ERROR && same_span(m->span, at)) return true;
	}
	return false;
}

/* The call in the main file that led to a place in another one. */
static void note_callers(Build *b, Diag *m, Span at)
{
	if (!at.source || !b->main || at.source == b->main->source) return;
	for (const Frame *f = b->frame; f; f = f->up) {
		if (f->call.source != b->main->source) continue;
		diag_note(b->d, m, f->call, "in this call");
		return;
	}
}

Diag *complain(Build *b, Span at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(b->arena, fmt, ap);
	va_end(ap);
	Diags *to = at.source && reported(b, at) ? &b->scratch : b->d;
	Diag *m = diag_error(to, at, "%s", text);
	b->errors++;
	note_callers(b, m, at);
	return m;
}

void remark(Build *b, Span at, const char *fmt, ...)
{
	va_list ap;
	/* of a library's loops only to those who write the library */
	if (at.source != b->main->source && strncmp(at.source->name, "std/", 4) == 0) return;
	va_start(ap, fmt);
	const char *text = arena_vprintf(b->arena, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < b->d->list.n; i++) {
		const Diag *m = b->d->list.at[i];
		if (m->severity == DIAG_NOTE && same_span(m->span, at)) return;
	}
	diag_remark(b->d, at, "%s", text);
}

Item bad(void)
{
	return (Item){.kind = ITEM_BAD};
}

/* "declared here as f32[F, D] with F = 3072, D = 768" */
static const char *origin_text(Build *b, const Origin *o)
{
	if (o->bound) return arena_printf(b->arena, "bound here to %s", type_text(b->arena, o->bound));
	if (!o->type) return "declared here";
	Frame frame = {.up = b->frame, .scope = o->scope};
	b->frame = &frame;
	const char *type = type_with(b, o->type);
	b->frame = frame.up;
	return arena_printf(b->arena, "declared here as %s", type);
}

void note_origin(Build *b, Diag *of, const Item *item, const char *called)
{
	const Origin *o = item->origin;
	if (!o || !o->span.source) return;
	for (size_t i = 0; i < of->parts.n; i++)
		if (same_span(of->parts.at[i]->span, o->span)) return; /* x @ x */
	diag_note(b->d, of, o->span, "%s is %s", called ? called : o->name, origin_text(b, o));
}

const char *text_of(Build *b, Span s)
{
	enum { LONGEST = 60 };
	return span_text(b->arena, s, LONGEST);
}

bool over_limit(Build *b, Span at, const char *what)
{
	if (!b->stop) complain(b, at, "%s", what);
	b->stop = true;
	return true;
}

bool spend(Build *b, size_t steps, Span at)
{
	b->steps += steps;
	return b->steps <= STEP_LIMIT || !over_limit(b, at, "this takes too long to evaluate");
}

void refuse_attribute(Build *b, const Ast *a, const char *const *known, size_t n)
{
	if (strcmp(a->name, "target") == 0) {
		Diag *m = complain(b, a->span,
		                   "@target stands before an entry or a test: a call runs on one target, "
		                   "and nothing in it falls back to another");
		diag_help(b->d, m, "make what shall run elsewhere an entry of its own:  @target(cpu)");
		return;
	}
	if (strcmp(a->name, "kernel") == 0) {
		Diag *m = complain(b, a->span,
		                   "@kernel stands before a def that computes tensors from its parameters");
		diag_help(b->d, m,
		          "the body says what is computed, the file how Pearl does it:  "
		          "@kernel(\"softcap.pasm\")");
		return;
	}
	Diag *m = complain(b, a->span, "the attribute `@%s` has no meaning here", a->name);
	static const char *const all[] = {"buffer",    "ignore", "keep",   "kernel",
	                                  "precision", "roll",   "target", "unroll"};
	const char *near = nearest_name(a->name, known, n);
	if (!near) near = nearest_name(a->name, all, COUNT(all));
	if (near && strcmp(near, a->name) != 0)
		diag_help(b->d, m, "did you mean `@%s`?", near);
	else if (strcmp(a->name, "keep") == 0)
		diag_help(b->d, m, "@keep stands before an assignment to a name in a def");
	else if (strcmp(a->name, "precision") == 0)
		diag_help(b->d, m, "@precision stands before a statement, a loop, a def or a `use`");
	else if (strcmp(a->name, "ignore") == 0)
		diag_help(b->d, m, "@ignore stands before a layer or a model");
	else if (strcmp(a->name, "buffer") == 0)
		diag_help(b->d, m, "@buffer stands before a weight");
	else if (strcmp(a->name, "roll") == 0 || strcmp(a->name, "unroll") == 0)
		diag_help(b->d, m, "@%s stands before a loop", a->name);
}
