/* Rows of activations that are a multiple of 2 KiB fall on the same few sets of a cache, and a product
 * over many rows at once then finds none of them there. Such rows are given a few elements more, that
 * nobody reads. A kernel that is launched on several buffers must find the same in all of them, and
 * what the caller sees stays dense. */
#include "codegen/tile/build.h"

#include <string.h>

enum { ALIASED_BYTES = 2048 };

typedef struct Padding {
	TileProgram *p;
	bool *padded; /* by program buffer */
	bool changed;
} Padding;

static bool falls_together(const TileObj *o)
{
	int64_t n;
	if (o->kind != TB_ARENA || o->enc.kind != ENC_PLAIN || o->rank < 2 || dtype_bits(o->dtype) < 8)
		return false;
	return dim_is_const(o->dims[o->rank - 1], &n) && n > 0 && n < INT32_MAX &&
	       n * (int64_t)(dtype_bits(o->dtype) / 8) % ALIASED_BYTES == 0;
}

/* Can the formal have padded rows as the buffer does: same last dim, and rows to tell apart. */
static bool takes_padding(const TileArg *a, const TileObj *formal)
{
	const TileObj *o = a->buf;
	return formal->rank >= 2 && formal->enc.kind == ENC_PLAIN &&
	       formal->rank + a->n_lead == o->rank &&
	       formal->dims[formal->rank - 1] == o->dims[o->rank - 1];
}

typedef void LaunchVisit(Padding *x, const TileStep *s);

static void visit_steps(Padding *x, const TileStep *s, LaunchVisit *visit)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP)
			visit_steps(x, s->body, visit);
		else
			visit(x, s);
	}
}

static void visit_launches(Padding *x, LaunchVisit *visit)
{
	for (size_t i = 0; i < x->p->entries.n; i++) visit_steps(x, x->p->entries.at[i]->steps, visit);
	if (x->p->prepack) visit_steps(x, x->p->prepack->steps, visit);
}

/* A formal counts as dense (pad 1) when some buffer that it stands for is. */
static void note_dense(Padding *x, const TileStep *s)
{
	for (size_t i = 0; i < s->kernel->bufs.n; i++) {
		TileObj *f = s->kernel->bufs.at[i];
		const TileArg *a = &s->args[i];
		bool dense = !x->padded[a->buf->id] || !takes_padding(a, f);
		if (dense && !f->enc.pad) {
			f->enc.pad = 1;
			x->changed = true;
		}
	}
}

static void spread_dense(Padding *x, const TileStep *s)
{
	for (size_t i = 0; i < s->kernel->bufs.n; i++) {
		bool *padded = &x->padded[s->args[i].buf->id];
		if (!s->kernel->bufs.at[i]->enc.pad || !*padded) continue;
		*padded = false;
		x->changed = true;
	}
}

void pad_rows(TileProgram *p, uint32_t bytes)
{
	Padding x = {.p = p, .padded = NEW_ARRAY(p->arena, bool, p->bufs.n + 1)};
	if (!bytes) return;
	for (size_t i = 0; i < p->bufs.n; i++) x.padded[i] = falls_together(p->bufs.at[i]);
	do {
		x.changed = false;
		visit_launches(&x, note_dense);
		visit_launches(&x, spread_dense);
	} while (x.changed);
	for (size_t k = 0; k < p->kernels.n; k++)
		for (size_t i = 0; i < p->kernels.at[k]->bufs.n; i++) {
			TileObj *f = p->kernels.at[k]->bufs.at[i];
			bool dense = f->enc.pad == 1 || f->enc.kind != ENC_PLAIN || f->rank < 2;
			f->enc.pad = dense ? 0 : bytes / (dtype_bits(f->dtype) / 8);
		}
	for (size_t i = 0; i < p->bufs.n; i++) {
		TileObj *o = p->bufs.at[i];
		if (x.padded[i]) o->enc.pad = bytes / (dtype_bits(o->dtype) / 8);
	}
}
