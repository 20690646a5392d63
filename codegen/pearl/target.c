/* target.c: compilation of a program: the interface, and the host's way in and out. */
#include "codegen/pearl/internal.h"
#include <string.h>

DType pearl_buffer_dtype(const TileObj *b)
{
	return b->dtype == DT_I4 || b->enc.kind == ENC_I4 ? DT_F32 : b->dtype;
}

/* --- the interface --------------------------------------------------------------------------------- */

static int32_t expr_param(void *ctx, const DimSym *s)
{
	const TileProgram *p = ctx;
	for (uint32_t i = 0; i < p->params.n; i++)
		if (p->params.at[i] == s) return (int32_t)i;
	return -1;
}

static const ExprWord *expr_of(Compiler *c, Dim d)
{
	ExprVec v = {0};
	if (!dim_to_expr(d, expr_param, c->p, c->q->arena, &v))
		pearl_fail(c, c->at, "`%s` depends on more than the parameters", dim_text(c->arena, d));
	return v.at;
}

static uint32_t count_launches(const TileStep *s)
{
	uint32_t n = 0;
	for (; s; s = s->next) n += s->kind == STEP_LAUNCH ? 1 : count_launches(s->body);
	return n;
}

static void name_launches(const TileStep *s, const char **name, uint32_t n)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP)
			name_launches(s->body, name, n);
		else if (s->number < n)
			name[s->number] = s->kernel->name;
	}
}

static Interface *make_interface(Compiler *c)
{
	Arena *a = c->q->arena;
	TileProgram *p = c->p;
	Interface *f = NEW(a, Interface);
	*f = (Interface){.model = p->name ? p->name : "",
	                 .target = "pearl",
	                 .version = NACRE_VERSION,
	                 .prepack = -1};
	InterfaceParam *param = NEW_ARRAY(a, InterfaceParam, p->params.n + 1);
	for (uint32_t i = 0; i < p->params.n; i++) {
		const DimSym *s = p->params.at[i];
		param[i] = (InterfaceParam){s->name,
		                            s->kind == SYM_SESSION ? IP_SESSION
		                            : s->kind == SYM_STATE ? IP_STATE
		                                                   : IP_CALL,
		                            expr_of(c, s->lo), expr_of(c, s->hi),
		                            expr_of(c, s->initial ? s->initial : s->lo)};
	}
	f->param = param;
	f->n_param = (uint32_t)p->params.n;
	const ExprWord **require = NEW_ARRAY(a, const ExprWord *, p->require.n + 1);
	const char **text = NEW_ARRAY(a, const char *, p->require.n + 1);
	for (uint32_t i = 0; i < p->require.n; i++) {
		require[i] = expr_of(c, p->require.at[i]);
		text[i] = i < p->require_text.n ? p->require_text.at[i] : "";
	}
	f->require = require;
	f->require_text = text;
	f->n_require = (uint32_t)p->require.n;
	static const uint8_t kind[] = {[TB_WEIGHT] = IT_WEIGHT,
	                               [TB_STATE] = IT_STATE,
	                               [TB_IN] = IT_IN,
	                               [TB_OUT] = IT_OUT,
	                               [TB_ARENA] = IT_ARENA};
	InterfaceTensor *tensor = NEW_ARRAY(a, InterfaceTensor, p->bufs.n + 1);
	for (uint32_t b = 0; b < p->bufs.n; b++) {
		const TileObj *o = p->bufs.at[b];
		c->at = o->span;
		tensor[b] =
			(InterfaceTensor){.name = o->name,
		                      .key = o->key ? o->key : "",
		                      .kind = o->kind == TB_WEIGHT && !o->key ? IT_CONST : kind[o->kind],
		                      .dtype = o->dtype,
		                      .rank = o->rank,
		                      .plain = o->enc.kind == ENC_PLAIN,
		                      .offset = ~(uint64_t)0};
		for (uint32_t i = 0; i < o->rank; i++) tensor[b].dim[i] = expr_of(c, o->dims[i]);
		tensor[b].bytes =
			expr_of(c, encoding_bytes_dim(p->dims, &o->enc, o->dtype, o->rank, o->dims));
		tensor[b].fill = dtype_pattern(o->dtype == DT_I4 ? DT_F32 : o->dtype, o->initial);
		tensor[b].live_first = o->live_first;
		tensor[b].live_last = o->live_last;
		for (uint32_t e = 0; e < p->entries.n; e++)
			if (pearl_steps_use(p->entries.at[e]->steps, o)) tensor[b].entry = e;
	}
	f->tensor = tensor;
	f->n_tensor = (uint32_t)p->bufs.n;
	uint32_t entries = (uint32_t)p->entries.n + (p->prepack ? 1 : 0);
	InterfaceEntry *entry = NEW_ARRAY(a, InterfaceEntry, entries + 1);
	for (uint32_t i = 0; i < entries; i++) {
		const TileEntry *e = i < p->entries.n ? p->entries.at[i] : p->prepack;
		uint32_t *in = NEW_ARRAY(a, uint32_t, e->ins.n + 1),
				 *outs = NEW_ARRAY(a, uint32_t, e->outs.n + 1),
				 *set = NEW_ARRAY(a, uint32_t, e->set_sym.n + 1);
		const ExprWord **set_value = NEW_ARRAY(a, const ExprWord *, e->set_sym.n + 1);
		for (uint32_t k = 0; k < e->ins.n; k++) in[k] = e->ins.at[k]->id;
		for (uint32_t k = 0; k < e->outs.n; k++) outs[k] = e->outs.at[k]->id;
		for (uint32_t k = 0; k < e->set_sym.n; k++) {
			set[k] = (uint32_t)expr_param(p, e->set_sym.at[k]);
			set_value[k] = expr_of(c, e->set_value.at[k]);
		}
		uint32_t launches = count_launches(e->steps);
		const char **names = NEW_ARRAY(a, const char *, launches + 1);
		for (uint32_t k = 0; k < launches; k++) names[k] = "";
		name_launches(e->steps, names, launches);
		const ExprWord **relation = NEW_ARRAY(a, const ExprWord *, e->require.n + 1);
		for (uint32_t k = 0; k < e->require.n; k++) relation[k] = expr_of(c, e->require.at[k]);
		entry[i] = (InterfaceEntry){e->name,
		                            (uint32_t)e->ins.n,
		                            (uint32_t)e->outs.n,
		                            in,
		                            outs,
		                            (uint32_t)e->set_sym.n,
		                            set,
		                            set_value,
		                            launches,
		                            names,
		                            (uint32_t)e->require.n,
		                            relation,
		                            e->require_text.at};
	}
	if (p->prepack) f->prepack = (int32_t)p->entries.n;
	f->entry = entry;
	f->n_entry = entries;
	return f;
}

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
		if (interface)
			*f = *interface;
		else
			*f = *make_interface(&c);
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
