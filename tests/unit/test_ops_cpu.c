/* Every operation and the whole modules of tests/build, compiled for this CPU, against the graph
 * interpreter. */
#include "codegen/cpu/cpu.h"
#include "codegen/tile/build.h"
#include "ir/ir.h"
#include "modules.h"
#include "ops_rows.h"
#include "passes/passes.h"
#include "random_modules.h"
#include "support/support.h"

#include <stdlib.h>

static bool cpu_start(Agree *r)
{
	Diags d = {.arena = r->arena};
	CpuObject *o = cpu_compile(&d, r->p, NULL, NULL);
	CpuLoaded *l = o ? cpu_jit_load(&d, o) : NULL;
	if (!l) agree_show(r, &d, "cpu");
	r->other_own = l;
	return l != NULL;
}

static bool cpu_run(Agree *r, const TileEntry *e, uint32_t number, const int64_t *params)
{
	const NacreArtefact *a = cpu_loaded_artefact(r->other_own);
	NacreStop stop = {0};
	void *scratch = aligned_alloc(64, (a->scratch_bytes + 191) / 64 * 64);
	NacreFrame f = {
		.bufs = r->other_data, .params = params, .scratch = scratch, .stop = &stop, .threads = 1};
	a->entries[number](&f);
	free(scratch);
	cr_expect(!stop.code, "%s: entry %s stopped at index %ld of %ld", r->title, e->name, stop.value,
	          stop.limit);
	return !stop.code;
}

static void cpu_finish(Agree *r)
{
	if (r->other_own) cpu_loaded_free(r->other_own);
}

static const AgreeOther cpu = {cpu_start, cpu_run, cpu_finish};

static TileTraits traits(void)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	Target t;
	cr_assert(cpu_target(&d, NULL, &t));
	arena_free(a);
	return t.traits;
}

Test(ops_cpu, movement)
{
	TileTraits t = traits();
	run_kind(KIND_MOVEMENT, &t, 1, &cpu);
}

Test(ops_cpu, compute)
{
	TileTraits t = traits();
	run_kind(KIND_COMPUTE, &t, 1, &cpu);
}

Test(ops_cpu, composite)
{
	TileTraits t = traits();
	run_kind(KIND_COMPOSITE, &t, 1, &cpu);
}

Test(ops_cpu, casts)
{
	TileTraits t = traits();
	run_kind(KIND_ELEMENTWISE, &t, 1, &cpu);
}

Test(ops_cpu, elementwise)
{
	TileTraits t = traits();
	run_elementwise(&t, 1, &cpu);
}

/* Small tiles: the same code with other shapes. */
Test(ops_cpu, small_tiles)
{
	run_kind(KIND_COMPUTE, agree_tiles, 1, &cpu);
}

Test(ops_cpu, modules)
{
	TileTraits t = traits();
	run_modules(&t, &cpu);
}

Test(ops_cpu, random)
{
	TileTraits t = traits();
	run_random(1, 150, &t, &cpu);
}
