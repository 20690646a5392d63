/* A model on the simulated Pearl: its program proved by the verifier, weights and inputs written to
 * HBM where the interface says, constants packed by the program itself. */
#include "tools/tool.h"

#include "codegen/pearl/pearl.h"

#include <string.h>

typedef struct Pearl {
	PearlProgram *program;
	PearlMachine machine;
	PearlSim *sim;
} Pearl;

/* --- host arrays in HBM ------------------------------------------------------------------------------------ */

/* Arrays lie dense and row-major where dims of symbolic size were merged into the first; else with
 * the strides of the interface, which count for the bounds of the dims. Elements of i4 are f32. */
typedef struct Transfer {
	Tool *t;
	PearlSim *sim;
	const InterfaceTensor *x;
	const HostTensor *host;
	bool dense, out;
	DType held;
	uint8_t *row;
} Transfer;

static bool strided(const InterfaceTensor *x, DType held)
{
	if (x->rank == 0 || x->stride[x->rank - 1] != dtype_bytes(held, 1)) return false;
	for (uint32_t i = 0; i < x->rank; i++)
		if (x->stride[i] <= 0) return false;
	return true;
}

static bool move_run(Transfer *m, uint64_t address, int64_t first, int64_t n)
{
	uint64_t bytes = (uint64_t)dtype_bytes(m->held, n);
	uint8_t *host = (uint8_t *)tensor_data(m->host);
	if (m->held == m->host->dtype) {
		uint8_t *at = host + dtype_bytes(m->held, first);
		return m->out ? sim_read(m->sim, address, at, bytes)
		              : sim_write(m->sim, address, at, bytes);
	}
	if (m->out && !sim_read(m->sim, address, m->row, bytes)) return false;
	for (int64_t i = 0; i < n; i++) {
		if (m->out)
			dtype_store(m->host->dtype, host, first + i, dtype_load(m->held, m->row, i));
		else
			dtype_store(m->held, m->row, i, dtype_load(m->host->dtype, host, first + i));
	}
	return m->out || sim_write(m->sim, address, m->row, bytes);
}

static bool move_rows(Transfer *m, uint32_t d, uint64_t address, int64_t *first)
{
	int64_t n = m->host->dims[d];
	if (d + 1 == m->host->rank) {
		bool done = n == 0 || move_run(m, address, *first, n);
		*first += n;
		return done;
	}
	for (int64_t i = 0; i < n; i++)
		if (!move_rows(m, d + 1, address + (uint64_t)(i * m->x->stride[d]), first)) return false;
	return true;
}

/* skip: elements of the tensor before those of host (a slice of stacked weights). */
static bool transfer(Tool *t, PearlSim *sim, const InterfaceTensor *x, const HostTensor *host,
                     int64_t skip, bool out)
{
	if (!x->plain)
		return tool_fail(t, "`%s` does not lie in Pearl's memory as a host array does", x->name);
	Transfer m = {.t = t, .sim = sim, .x = x, .host = host, .out = out};
	m.held = pearl_held_dtype((DType)x->dtype);
	int64_t count = host_tensor_count(host), first = 0;
	m.dense = skip || host->rank != x->rank || !strided(x, m.held);
	ArenaMark mark = arena_mark(t->arena);
	if (m.held != host->dtype) m.row = NEW_ARRAY(t->arena, uint8_t, (count + 1) * 8);
	bool done = true;
	if (m.dense)
		done =
			count == 0 || move_run(&m, x->address + (uint64_t)dtype_bytes(m.held, skip), 0, count);
	else
		done = move_rows(&m, 0, x->address, &first);
	arena_reset(t->arena, mark);
	return done || tool_fail(t, "`%s` lies outside Pearl's memory", x->name);
}

/* --- what a failed check tells of the inputs --- */

typedef struct CallInputs {
	const Interface *f;
	const InterfaceEntry *e;
	const HostTensor *in;
} CallInputs;

static int64_t input_element(const void *data, int64_t k)
{
	const HostTensor *x = data;
	return (int64_t)dtype_load(x->dtype, tensor_data(x), k);
}

static bool input_named(void *ctx, const char *name, CheckInput *out)
{
	const CallInputs *c = ctx;
	for (uint32_t i = 0; i < c->e->n_in; i++) {
		const HostTensor *x = &c->in[i];
		if (strcmp(c->f->tensor[c->e->in[i]].name, name) != 0) continue;
		*out = (CheckInput){x->rank, x->dims, input_element, x};
		return true;
	}
	return false;
}

/* --- calls --------------------------------------------------------------------------------------------------- */

static bool pearl_call(Runner *r, Arena *a, uint32_t entry, const HostTensor *in, HostTensor *out,
                       const Dims *d, CallReport *report)
{
	Pearl *s = r->self;
	Tool *t = r->t;
	const Interface *f = r->face;
	const InterfaceEntry *e = &f->entry[entry];
	int64_t *params = NEW_ARRAY(a, int64_t, f->n_param + 1);
	for (uint32_t i = 0; i < f->n_param; i++) {
		params[i] = d->value[i];
		/* What this entry does not use still has to lie in its range. */
		if (!d->known[i] && !expr_eval(f->param[i].lo, params, &params[i])) params[i] = 0;
	}
	for (uint32_t i = 0; i < e->n_in; i++)
		if (!transfer(t, s->sim, &f->tensor[e->in[i]], &in[i], 0, false)) return false;
	CallInputs inputs = {f, e, in};
	SimOptions o = {.time = !t->a.no_time,
	                .jitter = t->a.jitter.given ? t->a.jitter.value | 1 : 0,
	                .find = input_named,
	                .ctx = &inputs};
	SimReport *sim = NEW(a, SimReport);
	if (!sim_run(s->sim, &t->d, entry, params, &o, sim, a)) return false;
	for (uint32_t i = 0; i < e->n_out; i++)
		if (!transfer(t, s->sim, &f->tensor[e->out[i]], &out[i], 0, true)) return false;
	*report =
		(CallReport){.seconds = sim_seconds(sim, &s->machine), .sim = sim, .machine = &s->machine};
	return true;
}

/* The states as a session begins. */
static bool pearl_reset(Runner *r)
{
	enum { CHUNK = 1 << 16 };
	Pearl *s = r->self;
	for (size_t i = 0; i < s->program->regions.n; i++) {
		const PearlRegion *g = &s->program->regions.at[i];
		if (g->space != SPACE_HBM || g->tensor < 0 || (uint32_t)g->tensor >= r->face->n_tensor)
			continue;
		const InterfaceTensor *x = &r->face->tensor[g->tensor];
		if (x->kind != IT_STATE) continue;
		sim_clear(s->sim, (uint64_t)g->address, (uint64_t)g->bytes);
		if (!x->fill) continue;
		uint8_t bytes[CHUNK];
		interface_fill(x, bytes, CHUNK);
		for (int64_t at = 0; at < g->bytes; at += CHUNK) {
			int64_t n = g->bytes - at < CHUNK ? g->bytes - at : CHUNK;
			if (!sim_write(s->sim, (uint64_t)(g->address + at), bytes, (uint64_t)n)) return false;
		}
	}
	return true;
}

static void pearl_close(Runner *r)
{
	sim_free(((Pearl *)r->self)->sim);
}

/* --- opening --------------------------------------------------------------------------------------------------- */

static bool pearl_begin(Runner *r, PearlProgram *p)
{
	static const RunnerOps ops = {pearl_call, pearl_reset, pearl_close};
	Tool *t = r->t;
	Pearl *s = NEW(t->arena, Pearl);
	*s = (Pearl){.program = p, .machine = p->machine};
	r->self = s;
	r->ops = &ops;
	r->face = p->interface;
	if (t->a.machine && !machine_chosen(t, &s->machine)) return false;
	if (!pearl_verify_for(&t->d, p, &s->machine)) return false;
	s->sim = sim_new(&t->d, p, &s->machine);
	return s->sim && pearl_reset(r);
}

/* Into HBM; then the program packs what it wants packed. False when a weight has no value. */
static bool weights_place(Runner *r, const Module *m, const Weights *w)
{
	Pearl *s = r->self;
	Tool *t = r->t;
	const Interface *f = r->face;
	for (uint32_t i = 0; i < f->n_tensor; i++) {
		const InterfaceTensor *x = &f->tensor[i];
		if (x->kind != IT_WEIGHT || x->offset != ~(uint64_t)0) continue;
		size_t k = 0;
		while (k < m->weights.n && strcmp(m->weights.at[k].name, x->name) != 0) k++;
		if (k == m->weights.n || !w->bound)
			return tool_fail(t, "weight `%s` of the program has no value", x->name);
		int64_t skip = 0;
		Arena *made = tool_arena(t);
		BoundWeight b = weight_data(w, m, k, made);
		bool done = true;
		for (uint32_t part = 0; part < b.n && done; part++) {
			done = transfer(t, s->sim, x, &b.part[part], skip, false);
			skip += host_tensor_count(&b.part[part]);
		}
		arena_free(made);
		if (!done) return false;
	}
	return true;
}

static bool pack(Runner *r)
{
	Pearl *s = r->self;
	const Interface *f = r->face;
	bool needed = false;
	for (uint32_t i = 0; i < f->n_tensor; i++)
		needed = needed || (f->tensor[i].kind == IT_CONST && f->tensor[i].offset == ~(uint64_t)0);
	if (f->prepack < 0 || !needed) return true;
	int64_t *params = NEW_ARRAY(r->t->arena, int64_t, f->n_param + 1);
	for (uint32_t i = 0; i < f->n_param; i++)
		if (!expr_eval(f->param[i].lo, params, &params[i])) params[i] = 0;
	SimOptions o = {.time = false};
	SimReport report;
	return sim_run(s->sim, &r->t->d, (uint32_t)f->prepack, params, &o, &report, r->t->arena);
}

/* Tables that the compiler made. */
static bool literals_place(Runner *r, const TileProgram *p)
{
	size_t n;
	const uint8_t *data = interface_constants(p, &n);
	for (uint32_t i = 0; i < r->face->n_tensor; i++) {
		const InterfaceTensor *x = &r->face->tensor[i];
		if (x->offset == ~(uint64_t)0 || !p->bufs.at[i]->literal) continue;
		HostTensor host = {
			.name = x->name, .dtype = (DType)x->dtype, .rank = x->rank, .data = data + x->offset};
		Dims none = {0};
		if (!interface_shape(r->face, i, &none, host.dims))
			return tool_fail(r->t, "the shape of `%s` has no value", x->name);
		if (!transfer(r->t, ((Pearl *)r->self)->sim, x, &host, 0, false)) return false;
	}
	return true;
}

bool pearl_open_module(Runner *r, Lowered *l, const Weights *w)
{
	Tool *t = r->t;
	PearlMachine m;
	if (!machine_chosen(t, &m)) return false;
	double began = seconds_now();
	PearlProgram *p = pearl_compile(&t->d, l->tile, &m, l->face, t->arena);
	r->compile_seconds += seconds_now() - began;
	if (!p || !pearl_begin(r, p) || !literals_place(r, l->tile)) return false;
	return r->bare || (weights_place(r, r->module, w) && pack(r));
}

bool pearl_open_file(Runner *r, const char *path)
{
	Tool *t = r->t;
	PearlProgram *p = pearl_open(t, path);
	if (!p || !pearl_begin(r, p)) return false;
	Module *m = interface_weights(t, p->interface);
	Weights w = {0};
	if (!m || (m->weights.n && !weights_open(t, m, &w))) return false;
	bool done = weights_place(r, m, &w) && pack(r);
	weights_close(&w);
	return done;
}

bool pearl_image(Runner *r)
{
	Pearl *s = r->self;
	PearlProgram *p = s->program;
	InterfaceTensor *tensor = (InterfaceTensor *)(uintptr_t)p->interface->tensor;
	uint64_t end = 0;
	for (size_t i = 0; i < p->regions.n; i++) {
		const PearlRegion *g = &p->regions.at[i];
		if (g->space != SPACE_HBM || g->tensor < 0) continue;
		InterfaceTensor *x = &tensor[g->tensor];
		bool carried = x->kind == IT_CONST || x->kind == IT_WEIGHT;
		if (!carried || (r->bare && x->offset == ~(uint64_t)0)) continue;
		x->offset = x->address;
		if ((uint64_t)(g->address + g->bytes) > end) end = (uint64_t)(g->address + g->bytes);
	}
	uint8_t *image = arena_alloc(r->t->arena, (size_t)end + 1);
	for (size_t i = 0; i < p->regions.n; i++) {
		const PearlRegion *g = &p->regions.at[i];
		if (g->space != SPACE_HBM || g->tensor < 0 || tensor[g->tensor].offset == ~(uint64_t)0)
			continue;
		if (!sim_read(s->sim, (uint64_t)g->address, image + g->address, (uint64_t)g->bytes))
			return tool_fail(r->t, "`%s` lies outside Pearl's memory", g->name);
	}
	p->weights.data = image;
	p->weights.bytes = end;
	return true;
}

PearlProgram *pearl_program(Runner *r)
{
	return ((Pearl *)r->self)->program;
}
