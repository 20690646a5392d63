/* Every operation and the whole modules of tests/build, compiled for Pearl (the machines base and
 * nano), verified and simulated, against the graph interpreter. */
#include "codegen/pearl/pearl.h"
#include "codegen/tile/build.h"
#include "ir/ir.h"
#include "isa/isa.h"
#include "modules.h"
#include "ops_rows.h"
#include "passes/passes.h"
#include "random_modules.h"
#include "runtime/sim/sim.h"
#include "support/support.h"

typedef struct Own {
	PearlMachine m;
	PearlProgram *q;
	PearlSim *sim;
} Own;

static bool start_on(Agree *r, const char *machine)
{
	Diags d = {.arena = r->arena};
	Own *o = NEW(r->arena, Own);
	cr_assert(pearl_machine_named(machine, &o->m));
	const Interface *face = interface_build(NULL, r->p, "pearl", &d);
	o->q = face ? pearl_compile(&d, r->p, &o->m, face, r->arena) : NULL;
	if (!o->q || !pearl_verify(&d, o->q)) {
		agree_show(r, &d, o->q ? "pearl verifier" : "pearl");
		return false;
	}
	o->sim = sim_new(&d, o->q, &o->m);
	if (!o->sim) agree_show(r, &d, "simulator");
	r->other_own = o;
	return o->sim != NULL;
}

static bool base_start(Agree *r)
{
	return start_on(r, "base");
}

static bool nano_start(Agree *r)
{
	return start_on(r, "nano");
}

static bool write_sim(void *ctx, uint64_t address, const void *from, uint64_t bytes)
{
	return sim_write(ctx, address, from, bytes);
}

static bool read_sim(void *ctx, uint64_t address, void *to, uint64_t bytes)
{
	return sim_read(ctx, address, to, bytes);
}

static bool used_by(const TileObj *b, const TileEntry *e, bool out)
{
	size_t n = out ? e->outs.n : e->ins.n;
	for (size_t i = 0; i < n; i++)
		if ((out ? e->outs.at[i] : e->ins.at[i]) == b) return true;
	return false;
}

static bool pearl_run(Agree *r, const TileEntry *e, uint32_t number, const int64_t *params)
{
	Own *own = r->other_own;
	Diags d = {.arena = r->arena};
	bool prepack = e == r->p->prepack;
	for (uint32_t b = 0; b < r->p->bufs.n; b++) {
		const TileObj *o = r->p->bufs.at[b];
		bool given = o->kind == TB_WEIGHT || o->kind == TB_STATE || used_by(o, e, false);
		if (given && r->other_data[b])
			cr_assert(
				pearl_place_buffer(r->p, own->q, b, params, r->other_data[b], write_sim, own->sim));
	}
	bool shaken = own->m.cores == 1; /* nano: random latencies, which change nothing */
	SimOptions options = {.time = false, .jitter = shaken ? number + 1 : 0};
	SimReport report = {0};
	if (!sim_run(own->sim, &d, number, params, &options, &report, r->arena)) {
		agree_show(r, &d, "simulation");
		return false;
	}
	for (uint32_t b = 0; b < r->p->bufs.n; b++) {
		const TileObj *o = r->p->bufs.at[b];
		bool made = o->kind == TB_STATE || used_by(o, e, true) ||
		            (prepack && o->kind == TB_WEIGHT && !o->key && !o->literal);
		if (made && r->other_data[b])
			cr_assert(
				pearl_fetch_buffer(r->p, own->q, b, params, r->other_data[b], read_sim, own->sim));
	}
	return true;
}

static void pearl_finish(Agree *r)
{
	Own *own = r->other_own;
	if (own && own->sim) sim_free(own->sim);
}

static const AgreeOther base = {base_start, pearl_run, pearl_finish};
static const AgreeOther nano = {nano_start, pearl_run, pearl_finish};

static TileTraits traits(const char *machine)
{
	PearlMachine m;
	Target t;
	cr_assert(pearl_machine_named(machine, &m));
	pearl_target(&m, &t);
	return t.traits;
}

Test(ops_pearl, movement)
{
	TileTraits t = traits("base"), u = traits("nano");
	run_kind(KIND_MOVEMENT, &t, 1, &base);
	run_kind(KIND_MOVEMENT, &u, 1, &nano);
}

Test(ops_pearl, compute)
{
	TileTraits t = traits("base"), u = traits("nano");
	run_kind(KIND_COMPUTE, &t, 1, &base);
	run_kind(KIND_COMPUTE, &u, 1, &nano);
}

Test(ops_pearl, composite)
{
	TileTraits t = traits("base"), u = traits("nano");
	run_kind(KIND_COMPOSITE, &t, 1, &base);
	run_kind(KIND_COMPOSITE, &u, 1, &nano);
}

Test(ops_pearl, casts)
{
	TileTraits t = traits("base");
	run_kind(KIND_ELEMENTWISE, &t, 1, &base);
}

Test(ops_pearl, elementwise)
{
	TileTraits t = traits("base");
	run_elementwise(&t, 1, &base);
}

/* Small tiles: the same code with other shapes. */
Test(ops_pearl, small_tiles)
{
	run_kind(KIND_COMPUTE, agree_tiles, 2, &base);
}

Test(ops_pearl, modules)
{
	TileTraits t = traits("base"), u = traits("nano");
	run_modules(&t, &base);
	run_modules(&u, &nano);
}

Test(ops_pearl, random)
{
	TileTraits t = traits("base"), u = traits("nano");
	run_random(1, 150, &t, &base);
	run_random(5001, 150, &u, &nano);
}
