/* Pearl from tile IR to the simulator: every program of tests/tile/programs, on the machines base and
 * nano, is compiled, verified, run in order and with random latencies (which must give the same
 * bits), and agrees with the interpreter. */
#include "codegen/pearl/pearl.h"
#include "codegen/tile/build.h"
#include "ir/tile/tile.h"
#include "isa/isa.h"
#include "runtime/sim/sim.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define NACRE_SLOW_BUILD
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NACRE_SLOW_BUILD
#endif
#endif

enum { MOST_PARAMS = 8 };

typedef struct Shape {
	int64_t at[TILE_RANK];
} Shape;

typedef struct Run {
	Arena *a;
	Diags d;
	TileProgram *p;
	PearlProgram *q;
	PearlMachine m;
	int64_t params[MOST_PARAMS];
	Shape *dims;
	int64_t *count, *bytes;
	void **data;  /* of each buffer: what the interpreter reads and writes */
	void **given; /* the same before any run */
	uint32_t seed;
} Run;

static const char *rendered(Run *r)
{
	Text t = text_new(r->a);
	diags_render(&r->d, &t);
	return t.at;
}

static bool param_value(void *ctx, const DimSym *s, int64_t *out)
{
	const Run *r = ctx;
	for (size_t i = 0; i < r->p->params.n; i++)
		if (r->p->params.at[i] == s) {
			*out = r->params[i];
			return true;
		}
	return false;
}

static double next_value(Run *r, DType t)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	double u = (double)(r->seed >> 8) / 16777216.0;
	if (dtype_is_float(t) || t == DT_I4) return u - 0.5;
	return t == DT_I8 ? floor(u * 200) - 100 : floor(u * 50);
}

static void fill_buffers(Run *r)
{
	size_t n = r->p->bufs.n;
	r->dims = NEW_ARRAY(r->a, Shape, n);
	r->count = NEW_ARRAY(r->a, int64_t, n);
	r->bytes = NEW_ARRAY(r->a, int64_t, n);
	r->data = NEW_ARRAY(r->a, void *, n);
	r->given = NEW_ARRAY(r->a, void *, n);
	for (size_t b = 0; b < n; b++) {
		const TileObj *o = r->p->bufs.at[b];
		r->count[b] = 1;
		for (uint32_t i = 0; i < o->rank; i++) {
			cr_assert(dim_eval(o->dims[i], param_value, r, &r->dims[b].at[i]));
			r->count[b] *= r->dims[b].at[i];
		}
		r->bytes[b] = encoding_bytes(&o->enc, o->dtype, o->rank, r->dims[b].at);
		if (o->kind == TB_ARENA) continue;
		r->data[b] = NEW_ARRAY(r->a, char, r->bytes[b] + 64);
		r->given[b] = NEW_ARRAY(r->a, char, r->bytes[b] + 64);
		double *v = NEW_ARRAY(r->a, double, r->count[b] + 1);
		for (int64_t i = 0; i < r->count[b]; i++) v[i] = next_value(r, o->dtype);
		if (o->literal)
			memcpy(r->data[b], o->literal, (size_t)r->bytes[b]);
		else if (o->kind != TB_OUT)
			encoding_pack(&o->enc, o->dtype, o->rank, r->dims[b].at, v, r->data[b]);
		memcpy(r->given[b], r->data[b], (size_t)r->bytes[b]);
	}
}

static void open_path(Run *r, const char *folder, const char *file, const char *machine,
                      const int64_t *params)
{
	const char *why = NULL;
	*r = (Run){.a = arena_new(), .seed = 1};
	r->d.arena = r->a;
	const char *path = arena_printf(r->a, "%s/%s.tile", folder, file);
	const Source *s = source_from_file(r->a, path, &why);
	cr_assert(s, "%s: %s", path, why);
	r->p = tile_parse(r->a, &r->d, s);
	cr_assert(r->p, "%s", rendered(r));
	tile_default_entries(r->p);
	tile_liveness(r->p);
	cr_assert(tile_verify(&r->d, r->p), "%s", rendered(r));
	cr_assert(pearl_machine_read(&r->d, r->a, machine, &r->m), "%s", rendered(r));
	const Interface *face = interface_build(NULL, r->p, "pearl", &r->d);
	cr_assert(face, "%s", rendered(r));
	r->q = pearl_compile(&r->d, r->p, &r->m, face, r->a);
	cr_assert(r->q, "%s on %s: %s", file, machine, rendered(r));
	cr_assert(pearl_verify(&r->d, r->q), "%s on %s: %s", file, machine, rendered(r));
	for (size_t i = 0; i < r->p->params.n; i++) r->params[i] = params[i];
	fill_buffers(r);
}

static bool write_sim(void *ctx, uint64_t address, const void *from, uint64_t bytes)
{
	return sim_write(ctx, address, from, bytes);
}

static bool read_sim(void *ctx, uint64_t address, void *to, uint64_t bytes)
{
	return sim_read(ctx, address, to, bytes);
}

/* Runs all entries on a new machine; the results of each buffer that can hold some. */
static void **simulate(Run *r, uint64_t jitter)
{
	PearlSim *sim = sim_new(&r->d, r->q, &r->m);
	cr_assert(sim, "%s", rendered(r));
	void **out = NEW_ARRAY(r->a, void *, r->p->bufs.n);
	for (uint32_t b = 0; b < r->p->bufs.n; b++)
		if (r->given[b] && r->p->bufs.at[b]->kind != TB_OUT)
			cr_assert(pearl_place_buffer(r->p, r->q, b, r->params, r->given[b], write_sim, sim));
	uint32_t entries = (uint32_t)r->p->entries.n;
	for (uint32_t e = 0; e <= entries;
	     e++) { /* the prepack entry comes first; it is the last one */
		SimReport report = {0};
		SimOptions o = {.time = false, .jitter = jitter};
		uint32_t number = e ? e - 1 : entries;
		if (!e && !r->p->prepack) continue;
		cr_assert(sim_run(sim, &r->d, number, r->params, &o, &report, r->a), "%s", rendered(r));
	}
	for (uint32_t b = 0; b < r->p->bufs.n; b++) {
		if (r->p->bufs.at[b]->kind != TB_OUT && r->p->bufs.at[b]->kind != TB_STATE) continue;
		out[b] = NEW_ARRAY(r->a, char, r->bytes[b] + 64);
		cr_assert(pearl_fetch_buffer(r->p, r->q, b, r->params, out[b], read_sim, sim));
	}
	sim_free(sim);
	return out;
}

static void compare(Run *r, const char *what, uint32_t b, const void *got)
{
	const TileObj *o = r->p->bufs.at[b];
	double *x = NEW_ARRAY(r->a, double, r->count[b] + 1),
		   *y = NEW_ARRAY(r->a, double, r->count[b] + 1);
	encoding_unpack(&o->enc, o->dtype, o->rank, r->dims[b].at, r->data[b], x);
	encoding_unpack(&o->enc, o->dtype, o->rank, r->dims[b].at, got, y);
	double most = 1, tolerance = !dtype_is_float(o->dtype) ? 0 : o->dtype == DT_F32 ? 1e-5 : 1e-2;
	for (int64_t i = 0; i < r->count[b]; i++) most = fmax(most, fabs(x[i]));
	for (int64_t i = 0; i < r->count[b]; i++)
		cr_assert(fabs(x[i] - y[i]) <= tolerance * most, "%s: element %lld of `%s` is %g, not %g",
		          what, (long long)i, o->name, y[i], x[i]);
}

static void agrees(const char *file, const char *machine, const int64_t *params)
{
	Run r;
	open_path(&r, NACRE_TESTS_DIR "/tile/programs", file, machine, params);
	void **in_order = simulate(&r, 0);
	for (size_t e = 0; e <= r.p->entries.n; e++) {
		TileRun t = {.params = r.params, .data = r.data};
		const TileEntry *entry = e ? r.p->entries.at[e - 1] : r.p->prepack;
		if (entry) cr_assert(tile_interpret(&r.d, r.p, entry, &t), "%s", rendered(&r));
	}
	for (uint32_t b = 0; b < r.p->bufs.n; b++)
		if (in_order[b]) compare(&r, arena_printf(r.a, "%s on %s", file, machine), b, in_order[b]);
	for (uint64_t seed = 1; seed <= 2; seed++) {
		void **shaken = simulate(&r, seed);
		for (uint32_t b = 0; b < r.p->bufs.n; b++)
			if (in_order[b])
				cr_assert(memcmp(in_order[b], shaken[b], (size_t)r.bytes[b]) == 0,
				          "%s on %s, seed %d: other bits in `%s`", file, machine, (int)seed,
				          r.p->bufs.at[b]->name);
	}
	arena_free(r.a);
}

static void both(const char *file, const int64_t *params)
{
	agrees(file, "base", params);
	agrees(file, "nano", params);
}

/* The share of the time in which the matrix units of all cores are busy. */
static double matrix_busy(const char *file, const char *machine, const int64_t *params)
{
	Run r;
	open_path(&r, NACRE_SOURCE_DIR "/bench/pearl", file, machine, params);
	PearlSim *sim = sim_new(&r.d, r.q, &r.m);
	cr_assert(sim, "%s", rendered(&r));
	for (uint32_t b = 0; b < r.p->bufs.n; b++)
		if (r.p->bufs.at[b]->kind != TB_OUT)
			cr_assert(pearl_place_buffer(r.p, r.q, b, r.params, r.given[b], write_sim, sim));
	SimReport report = {0};
	SimOptions o = {.time = true};
	cr_assert(sim_run(sim, &r.d, 0, r.params, &o, &report, r.a), "%s", rendered(&r));
	double share = (double)report.busy[Q_M] / ((double)report.cycles * report.cores);
	sim_free(sim);
	arena_free(r.a);
	return share;
}

#define PARAMS(...) ((int64_t[MOST_PARAMS]){__VA_ARGS__})

Test(pearl, gemm)
{
	both("gemm_gelu", PARAMS(1));
	both("gemm_gelu", PARAMS(129));
	both("gemm_gelu", PARAMS(512));
	both("gemm_bf16", PARAMS(61));
	both("gemm_bf16", PARAMS(241));
	both("gemm_i8", PARAMS(1));
	both("gemm_i8", PARAMS(97));
	both("swiglu", PARAMS(5));
	both("swiglu", PARAMS(256));
	both("gemv_i4", PARAMS(0));
}

Test(pearl, convolution)
{
	both("conv3x3", PARAMS(1));
	both("conv3x3", PARAMS(3));
	both("depthwise_pool", PARAMS(1));
	both("depthwise_pool", PARAMS(4));
}

Test(pearl, attention)
{
	both("attention", PARAMS(256, 256, 0));
	both("attention", PARAMS(200, 37, 100));
	both("attention", PARAMS(64, 1, 33));
}

Test(pearl, rows)
{
	both("norms", PARAMS(1, 1));
	both("norms", PARAMS(9, 1000));
	both("norms", PARAMS(64, 131));
	both("transpose", PARAMS(1));
	both("transpose", PARAMS(99));
	both("embedding", PARAMS(1));
	both("embedding", PARAMS(77));
}

Test(pearl, order)
{
	both("moe", PARAMS(1));
	both("moe", PARAMS(77));
	both("lstm", PARAMS(1, 1));
	both("lstm", PARAMS(13, 6));
	both("layers", PARAMS(1));
	both("layers", PARAMS(23));
}

/* The figures that the machine is to reach. */
Test(pearl, matrix_units_are_busy)
{
	static const char one_core[] = NACRE_SOURCE_DIR "/bench/pearl/one-core.machine";
	cr_assert_geq(matrix_busy("attention_512", one_core, PARAMS(8)), 0.85);
#if !defined(NACRE_SLOW_BUILD)
	cr_assert_geq(matrix_busy("attention", one_core, PARAMS(1, 2048)), 0.85);
	cr_assert_geq(matrix_busy("gemm", "base", PARAMS(512)), 0.85);
#endif
}
