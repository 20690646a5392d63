/* target.c: compilation of a program, and the host's way in and out. */
#include "codegen/pearl/hand.h"
#include "codegen/pearl/internal.h"
#include <string.h>

DType pearl_held_dtype(DType t)
{
	return t == DT_I4 ? DT_I8 : t;
}

DType pearl_buffer_dtype(const TileObj *b)
{
	return b->enc.kind == ENC_I4 ? DT_F32 : pearl_held_dtype(b->dtype);
}

/* --- the interface: HBM addresses are put into it --------------------------------------------------- */

static void add_addresses(Compiler *c, Interface *f)
{
	InterfaceTensor *tensor = NEW_ARRAY(c->q->arena, InterfaceTensor, f->n_tensor + 1);
	memcpy(tensor, f->tensor, f->n_tensor * sizeof *tensor);
	for (uint32_t b = 0; b < f->n_tensor && b < c->p->bufs.n; b++) {
		tensor[b].address = (uint64_t)c->buf[b]->base;
		tensor[b].sliced = 0; /* weights lie whole in HBM */
		for (uint32_t i = 0; i < c->p->bufs.at[b]->rank; i++)
			tensor[b].stride[i] = c->buf[b]->stride[i];
	}
	f->tensor = tensor;
}

PearlProgram *pearl_compile(Diags *d, TileProgram *p, const PearlMachine *m,
                            const Interface *interface, Arena *a)
{
	Compiler c = {.d = d, .p = p, .m = m, .arena = arena_new(), .q = pearl_program_new(a, m)};
	uint32_t errors = d->errors;
	c.facts.pool = p->dims;
	for (uint32_t i = 0; i < p->require.n; i++)
		vec_push(c.arena, &c.facts.nonneg, p->require.at[i]);
	c.hand = &(HandFiles){.arena = a, .d = d, .pool = p->dims, .facts = &c.facts, .m = m};
	pearl_map_hbm(&c);
	c.spm_region =
		pearl_add_region(c.q, &(PearlRegion){"spm", SPACE_SPM, true, true, 0, m->spm_bytes, -1});
	c.acc_region = pearl_add_region(
		c.q, &(PearlRegion){"acc", SPACE_ACC, true, true, 0, m->acc_rows * m->array_cols * 4, -1});
	if (m->gsm_bytes)
		c.gsm_region = pearl_add_region(
			c.q, &(PearlRegion){"gsm", SPACE_GSM, true, true, 0, m->gsm_bytes, -1});
	if (!c.failed) {
		Interface *f = NEW(a, Interface);
		*f = *interface;
		add_addresses(&c, f);
		c.q->interface = f;
		for (uint32_t i = 0; i < p->entries.n && !c.failed; i++)
			pearl_lower_entry(&c, p->entries.at[i], i);
		if (p->prepack && !c.failed) pearl_lower_entry(&c, p->prepack, (uint32_t)p->entries.n);
	}
	arena_free(c.arena);
	return d->errors > errors || c.failed ? NULL : c.q;
}

/* --- the host's side --------------------------------------------------------------------------------- */

typedef struct Bound {
	const TileProgram *p;
	const int64_t *params;
} Bound;

static bool bound_value(void *ctx, const DimSym *s, int64_t *out)
{
	const Bound *b = ctx;
	for (uint32_t i = 0; i < b->p->params.n; i++)
		if (b->p->params.at[i] == s) {
			*out = b->params[i];
			return true;
		}
	return false;
}

uint64_t pearl_hbm_bytes(const PearlProgram *q)
{
	uint64_t end = 0;
	for (uint32_t i = 0; i < q->regions.n; i++) {
		const PearlRegion *r = &q->regions.at[i];
		uint64_t last = (uint64_t)(r->address + r->bytes);
		if (r->space == SPACE_HBM && last > end) end = last;
	}
	return end;
}

typedef struct Walk {
	const TileObj *o;
	const InterfaceTensor *t;
	int64_t dims[TILE_RANK], index[TILE_RANK];
	DType hbm;
	uint8_t *row;
} Walk;

static bool walk_begin(Walk *w, Arena *a, const TileProgram *p, const PearlProgram *q, uint32_t buf,
                       const int64_t *params)
{
	Bound b = {p, params};
	w->o = p->bufs.at[buf];
	w->t = &q->interface->tensor[buf];
	w->hbm = pearl_buffer_dtype(w->o);
	for (uint32_t i = 0; i < w->o->rank; i++) {
		if (!dim_eval(w->o->dims[i], bound_value, &b, &w->dims[i])) return false;
		if (w->dims[i] == 0) w->row = NULL;
	}
	w->row = NEW_ARRAY(a, uint8_t, w->o->rank ? (size_t)(w->dims[w->o->rank - 1] + 1) * 8 : 8);
	return true;
}

/* n elements of the last dim from `first` on, which lie together at address. */
static bool walk_run(Walk *w, uint32_t d, int64_t first, int64_t n, uint64_t address,
                     const void *from, void *to, PearlWrite *write, PearlRead *read, void *ctx)
{
	const TileObj *o = w->o;
	uint64_t bytes = (uint64_t)dtype_bytes(w->hbm, n);
	if (read && !read(ctx, address, w->row, bytes)) return false;
	for (int64_t i = 0; i < n; i++) {
		if (o->rank) w->index[d] = first + i;
		if (write)
			dtype_store(w->hbm, w->row, i,
			            encoding_load(&o->enc, o->dtype, o->rank, w->dims, from, w->index));
		else
			encoding_store(&o->enc, o->dtype, o->rank, w->dims, to, w->index,
			               dtype_load(w->hbm, w->row, i));
	}
	return write ? write(ctx, address, w->row, bytes) : true;
}

static bool walk_rows(Walk *w, uint32_t d, uint64_t address, const void *from, void *to,
                      PearlWrite *write, PearlRead *read, void *ctx)
{
	const TileObj *o = w->o;
	if (d + 1 < o->rank) {
		for (w->index[d] = 0; w->index[d] < w->dims[d]; w->index[d]++)
			if (!walk_rows(w, d + 1, address + (uint64_t)(w->index[d] * w->t->stride[d]), from, to,
			               write, read, ctx))
				return false;
		return true;
	}
	int64_t n = o->rank ? w->dims[d] : 1, most = n, panel = 0;
	if (pearl_in_panels(o)) {
		most = o->enc.nb;
		panel = w->dims[d - 1] * w->t->stride[d - 1];
	}
	for (int64_t first = 0; first < n; first += most, address += (uint64_t)panel)
		if (!walk_run(w, d, first, n - first < most ? n - first : most, address, from, to, write,
		              read, ctx))
			return false;
	return true;
}

bool pearl_place_buffer(const TileProgram *p, const PearlProgram *q, uint32_t buf,
                        const int64_t *params, const void *host, PearlWrite *write, void *ctx)
{
	Walk w = {0};
	Arena *a = arena_new();
	bool done = walk_begin(&w, a, p, q, buf, params) &&
	            walk_rows(&w, 0, w.t->address, host, NULL, write, NULL, ctx);
	arena_free(a);
	return done;
}

bool pearl_fetch_buffer(const TileProgram *p, const PearlProgram *q, uint32_t buf,
                        const int64_t *params, void *host, PearlRead *read, void *ctx)
{
	Walk w = {0};
	Arena *a = arena_new();
	bool done = walk_begin(&w, a, p, q, buf, params) &&
	            walk_rows(&w, 0, w.t->address, NULL, host, NULL, read, ctx);
	arena_free(a);
	return done;
}
