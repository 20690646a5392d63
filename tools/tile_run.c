/* Runs a tile program on a target: the interpreter, code made by the CPU backend with its threads,
 * or the simulated Pearl. Everything a program needs is in TileData, so that each target runs on a
 * copy of the same inputs. */
#include "tools/tool.h"

#include "codegen/pearl/pearl.h"
#include "codegen/tile/build.h"
#ifdef NACRE_HAVE_LLVM
#include "codegen/cpu/cpu.h"
#endif

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Known {
	const TileProgram *p;
	const int64_t *params;
} Known;

static bool bound_value(void *ctx, const DimSym *s, int64_t *out)
{
	const Known *b = ctx;
	for (size_t i = 0; i < b->p->params.n; i++)
		if (b->p->params.at[i] == s) {
			*out = b->params[i];
			return true;
		}
	return false;
}

bool tile_dims(const TileProgram *p, const TileObj *o, const int64_t *params, int64_t *dims)
{
	Known b = {p, params};
	for (uint32_t i = 0; i < o->rank; i++)
		if (!dim_eval(o->dims[i], bound_value, &b, &dims[i]) || dims[i] < 0) return false;
	return true;
}

/* --- interpreter --------------------------------------------------------------------------------------- */

static bool run_interp(Tool *t, TileProgram *p, uint32_t entry, TileData *data, TileResult *out)
{
	TileRun run = {.exact = t->a.exact, .params = data->params, .data = data->data};
	double began = seconds_now();
	if (p->prepack && !tile_interpret(&t->d, p, p->prepack, &run)) return false;
	if (!tile_interpret(&t->d, p, p->entries.at[entry], &run)) return false;
	out->seconds = out->least = out->most = seconds_now() - began;
	return true;
}

/* --- CPU -------------------------------------------------------------------------------------------------- */

#ifdef NACRE_HAVE_LLVM
static int64_t buffer_bytes(const TileProgram *p, const TileObj *o, const int64_t *params)
{
	int64_t dims[TILE_RANK];
	return tile_dims(p, o, params, dims) ? encoding_bytes(&o->enc, o->dtype, o->rank, dims) : -1;
}

static void *aligned(Arena *a, int64_t bytes)
{
	uintptr_t at = (uintptr_t)arena_alloc(a, (size_t)bytes + 128);
	return (void *)((at + 63) & ~(uintptr_t)63);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void median(double *seconds, uint32_t n, TileResult *out)
{
	qsort(seconds, n, sizeof *seconds, by_value);
	out->seconds = seconds[n / 2];
	out->least = seconds[0];
	out->most = seconds[n - 1];
}

typedef struct Team {
	const NacreArtefact *artefact;
	pthread_barrier_t barrier;
	NacreStop stop;
	NacreFrame frame[64];
	uint32_t threads, entry, runs;
	double *seconds; /* of each run */
} Team;

static void meet(NacreFrame *f)
{
	Team *team = f->runtime;
	pthread_barrier_wait(&team->barrier);
}

static void *work(void *arg)
{
	NacreFrame *f = arg;
	Team *team = f->runtime;
	for (uint32_t i = 0; i < team->runs; i++) {
		pthread_barrier_wait(&team->barrier);
		double began = seconds_now();
		team->artefact->entries[team->entry](f);
		pthread_barrier_wait(&team->barrier);
		if (f->thread == 0) team->seconds[i] = seconds_now() - began;
	}
	return NULL;
}

static bool team_run(Tool *t, Team *team, uint32_t entry, uint32_t runs, double *seconds)
{
	pthread_t thread[COUNT(team->frame)];
	team->entry = entry;
	team->runs = runs;
	team->seconds = seconds;
	team->stop = (NacreStop){0};
	if (pthread_barrier_init(&team->barrier, NULL, team->threads) != 0)
		return tool_fail(t, "no barrier could be made");
	for (uint32_t i = 1; i < team->threads; i++)
		if (pthread_create(&thread[i], NULL, work, &team->frame[i]) != 0) {
			/* The others wait for it at the barrier for ever: nothing to do but end. */
			fputs("error: no thread could be started\n", stderr);
			exit(EXIT_FAILURE);
		}
	work(&team->frame[0]);
	for (uint32_t i = 1; i < team->threads; i++) pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&team->barrier);
	if (team->stop.code == NACRE_STOP_NONE) return true;
	return tool_fail(t, "launch %d: an index computed from data is %lld, it must be below %lld",
	                 team->stop.launch, (long long)team->stop.value, (long long)team->stop.limit);
}

static bool team_threads(Tool *t, Team *team)
{
	team->threads = 1;
	if (t->a.threads.n == 0) return true;
	int64_t n = t->a.threads.at[0];
	if (n == 0) n = sysconf(_SC_NPROCESSORS_ONLN);
	if (n < 1 || n > (int64_t)COUNT(team->frame))
		return tool_fail(t, "--threads %lld: from 1 to %zu", (long long)n, COUNT(team->frame));
	team->threads = (uint32_t)n;
	return true;
}

static void **buffers_new(Arena *a, const TileProgram *p, const TileData *data)
{
	void **bufs = NEW_ARRAY(a, void *, p->bufs.n + 1);
	for (size_t i = 0; i < p->bufs.n; i++) {
		bufs[i] = data->data[i];
		if (!bufs[i]) bufs[i] = aligned(a, buffer_bytes(p, p->bufs.at[i], data->params));
	}
	return bufs;
}

static bool run_loaded(Tool *t, const NacreArtefact *artefact, TileProgram *p, uint32_t entry,
                       TileData *data, TileResult *out)
{
	Team *team = NEW(t->arena, Team);
	team->artefact = artefact;
	if (!team_threads(t, team)) return false;
	void **bufs = buffers_new(t->arena, p, data);
	for (uint32_t i = 0; i < team->threads; i++)
		team->frame[i] =
			(NacreFrame){.bufs = bufs,
		                 .params = data->params,
		                 .scratch = aligned(t->arena, (int64_t)artefact->scratch_bytes),
		                 .barrier = meet,
		                 .stop = &team->stop,
		                 .thread = i,
		                 .threads = team->threads,
		                 .runtime = team};
	double once;
	if (p->prepack && !team_run(t, team, (uint32_t)p->entries.n, 1, &once)) return false;
	if (!team_run(t, team, entry, 1, &once)) return false;
	out->seconds = out->least = out->most = once;
	if (t->a.repeat == 0) return true;
	/* On a copy: the results stay those of the first run. */
	TileData again = {data->params, NEW_ARRAY(t->arena, void *, p->bufs.n + 1)};
	for (size_t i = 0; i < p->bufs.n; i++) {
		if (!data->data[i]) continue;
		int64_t bytes = buffer_bytes(p, p->bufs.at[i], data->params);
		again.data[i] = memcpy(aligned(t->arena, bytes), data->data[i], (size_t)bytes);
	}
	void **copies = buffers_new(t->arena, p, &again);
	for (uint32_t i = 0; i < team->threads; i++) team->frame[i].bufs = copies;
	double *seconds = NEW_ARRAY(t->arena, double, t->a.repeat);
	if (!team_run(t, team, entry, t->a.repeat, seconds)) return false;
	median(seconds, t->a.repeat, out);
	return true;
}

static bool run_cpu(Tool *t, TileProgram *p, uint32_t entry, TileData *data, TileResult *out)
{
	CpuOptions options = {.cpu = t->a.mcpu, .triple = t->a.triple};
	CpuObject *o = cpu_compile(&t->d, p, &options, NULL);
	if (!o) return false;
	out->compile_seconds = cpu_object_seconds(o);
	CpuLoaded *l = cpu_jit_load(&t->d, o);
	bool done = l && run_loaded(t, cpu_loaded_artefact(l), p, entry, data, out);
	cpu_loaded_free(l);
	return done;
}
#else
static bool run_cpu(Tool *t, TileProgram *p, uint32_t entry, TileData *data, TileResult *out)
{
	(void)p, (void)entry, (void)data, (void)out;
	return tool_fail(t, "this nacre was built without LLVM, so it has no target `cpu`");
}
#endif

/* --- Pearl ------------------------------------------------------------------------------------------------ */

static bool hbm_write(void *ctx, uint64_t address, const void *from, uint64_t bytes)
{
	return sim_write(ctx, address, from, bytes);
}

static bool hbm_read(void *ctx, uint64_t address, void *to, uint64_t bytes)
{
	return sim_read(ctx, address, to, bytes);
}

static bool run_simulated(Tool *t, PearlSim *sim, const TileProgram *p, const PearlProgram *q,
                          uint32_t entry, TileData *data, TileResult *out)
{
	for (uint32_t i = 0; i < p->bufs.n; i++)
		if (data->data[i] &&
		    !pearl_place_buffer(p, q, i, data->params, data->data[i], hbm_write, sim))
			return tool_fail(t, "`%s` could not be placed in Pearl's memory", p->bufs.at[i]->name);
	SimReport ignored;
	SimOptions packing = {.time = false},
			   options = {.time = !t->a.no_time, .jitter = t->a.jitter.value};
	if (t->a.jitter.given && options.jitter == 0) options.jitter = 1;
	if (p->prepack &&
	    !sim_run(sim, &t->d, (uint32_t)p->entries.n, data->params, &packing, &ignored, t->arena))
		return false;
	out->sim = NEW(t->arena, SimReport);
	if (!sim_run(sim, &t->d, entry, data->params, &options, out->sim, t->arena)) return false;
	out->pearl = q;
	out->seconds = out->least = out->most = sim_seconds(out->sim, &q->machine);
	for (uint32_t i = 0; i < p->bufs.n; i++) {
		TileKind kind = p->bufs.at[i]->kind;
		if ((kind == TB_OUT || kind == TB_STATE) && data->data[i] &&
		    !pearl_fetch_buffer(p, q, i, data->params, data->data[i], hbm_read, sim))
			return tool_fail(t, "`%s` could not be read from Pearl's memory", p->bufs.at[i]->name);
	}
	return true;
}

static bool run_pearl(Tool *t, TileProgram *p, uint32_t entry, TileData *data, TileResult *out)
{
	PearlMachine m;
	if (!machine_chosen(t, &m)) return false;
	double began = seconds_now();
	const Interface *face = interface_build(NULL, p, "pearl", &t->d);
	PearlProgram *q = face ? pearl_compile(&t->d, p, &m, face, t->arena) : NULL;
	out->compile_seconds = seconds_now() - began;
	if (!q || !pearl_verify(&t->d, q)) return false;
	if (t->a.out) {
		Text bytes = text_new(t->arena);
		pearl_write_text(q, &bytes);
		if (!write_file(t, t->a.out, bytes.at, bytes.n)) return false;
	}
	PearlSim *sim = sim_new(&t->d, q, &m);
	if (!sim) return false;
	bool done = run_simulated(t, sim, p, q, entry, data, out);
	sim_free(sim);
	return done;
}

bool tile_pack(Tool *t, TileProgram *p, TileData *data)
{
	TileRun run = {.params = data->params, .data = data->data};
	return tile_interpret(&t->d, p, p->prepack, &run);
}

bool tile_run(Tool *t, TargetId target, TileProgram *p, uint32_t entry, TileData *data,
              TileResult *out)
{
	switch (target) {
	case TARGET_INTERP: return run_interp(t, p, entry, data, out);
	case TARGET_CPU: return run_cpu(t, p, entry, data, out);
	case TARGET_PEARL: return run_pearl(t, p, entry, data, out);
	case NUM_TARGETS: break;
	}
	return false;
}
