/* Kernels of tile programs against the peak of the core, both measured in the same run: matrix
 * products of 1 to 384 rows, a 3x3 convolution and causal attention, each from one compiled artefact
 * for all sizes, by one thread and by two.
 *
 *   build/bench/tile [--json] [--rounds N] [--only NAME] [--mcpu CPU]
 *
 * Kernels have no model around them, so this stands below the public interface: it compiles tile
 * programs and calls their entries. A figure is the fastest of the rounds, in each of which the peak
 * is measured too; only work that is needed counts (attention: what the mask leaves). */
#include "codegen/cpu/cpu.h"
#include "ir/tile/tile.h"
#include "runtime/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the peak ------------------------------------------------------------------------------------ */

#define CHAINS(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11)
#define FMA512(n) "vfmadd231ps %%zmm31, %%zmm30, %%zmm" #n "\n"
#define FMA256(n) "vfmadd231ps %%ymm15, %%ymm14, %%ymm" #n "\n"

enum { PEAK_TURNS = 20000 };

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void peak_512(void)
{
	for (int i = 0; i < PEAK_TURNS; i++)
		__asm__ volatile(CHAINS(FMA512)::
		                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
		                       "xmm8", "xmm9", "xmm10", "xmm11");
}

__attribute__((target("avx2,fma"))) static void peak_256(void)
{
	for (int i = 0; i < PEAK_TURNS; i++)
		__asm__ volatile(CHAINS(FMA256)::
		                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
		                       "xmm8", "xmm9", "xmm10", "xmm11");
}
#endif

/* Operations a second; 0 where no fused multiply-add is known. */
static double peak(void)
{
#if defined(__x86_64__)
	char missing[32];
	bool wide = features_present("avx512f", missing);
	if (!wide && !features_present("avx2,fma", missing)) return 0;
	double best = 0;
	for (int i = 0; i < 4; i++) {
		double began = profile_seconds();
		if (wide)
			peak_512();
		else
			peak_256();
		double rate = 12.0 * (double)PEAK_TURNS * (wide ? 32 : 16) / (profile_seconds() - began);
		if (rate > best) best = rate;
	}
	return best;
#else
	return 0;
#endif
}

/* --- programs ------------------------------------------------------------------------------------- */

typedef struct Kernels {
	Arena *arena;
	Diags d;
	TileProgram *p;
	CpuLoaded *loaded;
	const NacreArtefact *artefact;
	int64_t param[8];
	void *bufs[64];
	Memory memory[64], scratch;
	double compile_ms;
} Kernels;

static bool binding(void *ctx, const DimSym *s, int64_t *out)
{
	const Kernels *k = ctx;
	for (size_t i = 0; i < k->p->params.n; i++)
		if (k->p->params.at[i] == s) {
			*out = k->param[i];
			return true;
		}
	return false;
}

static bool kernels_open(Kernels *k, const char *name, const char *mcpu)
{
	*k = (Kernels){.arena = arena_new()};
	k->d.arena = k->arena;
	const char *why = NULL, *path = arena_printf(k->arena, "%s/%s.tile", BENCH_DIR, name);
	const Source *s = source_from_file(k->arena, path, &why);
	if (!s) diag_error(&k->d, span_none(), "\"%s\": %s", path, why);
	k->p = s ? tile_parse(k->arena, &k->d, s) : NULL;
	CpuOptions options = {.cpu = mcpu};
	bool good = k->p && tile_verify(&k->d, k->p);
	CpuObject *o = good ? cpu_compile(&k->d, k->p, &options, NULL) : NULL;
	if (o) k->compile_ms = cpu_object_seconds(o) * 1e3;
	k->loaded = o ? cpu_jit_load(&k->d, o) : NULL;
	if (k->loaded) k->artefact = cpu_loaded_artefact(k->loaded);
	diags_print(&k->d, stderr);
	return k->loaded && memory_take(&k->scratch, k->artefact->scratch_bytes);
}

static void kernels_close(Kernels *k)
{
	for (size_t i = 0; i < COUNT(k->memory); i++) memory_release(&k->memory[i]);
	memory_release(&k->scratch);
	cpu_loaded_free(k->loaded);
	arena_free(k->arena);
}

/* Buffers for the parameters given, filled with small numbers. */
static bool kernels_bind(Kernels *k, const int64_t *param)
{
	memcpy(k->param, param, k->p->params.n * sizeof *param);
	for (size_t i = 0; i < k->p->bufs.n && i < COUNT(k->bufs); i++) {
		const TileObj *o = k->p->bufs.at[i];
		int64_t dims[TILE_RANK];
		for (uint32_t d = 0; d < o->rank; d++)
			if (!dim_eval(o->dims[d], binding, k, &dims[d])) return false;
		int64_t bytes = encoding_bytes(&o->enc, o->dtype, o->rank, dims);
		memory_release(&k->memory[i]);
		if (bytes < 0 || !memory_take(&k->memory[i], (uint64_t)bytes)) return false;
		k->bufs[i] = k->memory[i].at;
		uint32_t seed = 1;
		for (int64_t j = 0; j < bytes / 4; j++) {
			seed = seed * 1664525u + 1013904223u;
			((float *)k->bufs[i])[j] = (float)(seed >> 8) / 16777216.0f - 0.5f;
		}
	}
	return true;
}

/* Seconds of one call: the least over `calls` of them. */
static double kernels_time(Kernels *k, Pool *pool, uint32_t entry, int calls, int repeat)
{
	NacreStop stop = {0};
	NacreFrame frame = {.bufs = k->bufs, .params = k->param, .stop = &stop};
	double best = INFINITY;
	for (int i = 0; i < calls; i++) {
		double began = profile_seconds();
		for (int r = 0; r < repeat; r++)
			pool_run(pool, k->artefact->entries[entry], &frame, k->scratch.at);
		double t = (profile_seconds() - began) / repeat;
		if (t < best) best = t;
	}
	return best;
}

/* --- the cases -------------------------------------------------------------------------------------- */

static double matmul_768(const int64_t *p)
{
	return 2.0 * (double)p[0] * 768 * 768;
}

static double matmul_3072(const int64_t *p)
{
	return 2.0 * (double)p[0] * 768 * 3072;
}

static double conv_work(const int64_t *p)
{
	return 2.0 * (double)p[0] * 57 * 57 * 64 * 64 * 9;
}

/* Two products over the keys that each query sees. */
static double attention_work(const int64_t *p)
{
	return 4.0 * (double)p[0] * 64 * ((double)p[1] * (double)(p[1] + 1) / 2);
}

typedef struct Case {
	const char *name, *program;
	uint32_t entry;
	double (*work)(const int64_t *param);
	int64_t param[16][2];
	double goal; /* % of peak, from the sizes where it holds */
	int64_t from;
} Case;

static const Case cases[] = {
	{"matmul K=768 N=768, M=",
     "matmul",
     0,
     matmul_768,
     {{1}, {4}, {7}, {8}, {13}, {15}, {16}, {29}, {33}, {64}, {100}, {128}, {129}, {200}, {384}},
     90,
     7},
	{"matmul K=768 N=3072, M=",
     "matmul",
     1,
     matmul_3072,
     {{1}, {4}, {7}, {8}, {13}, {15}, {16}, {29}, {33}, {64}, {100}, {128}, {129}, {200}, {384}},
     90,
     7},
	{"conv 3x3, 57x57x64 to 64, images=", "conv3x3", 0, conv_work, {{1}, {4}}, 85, 1},
	{"causal attention, 512 x 64, heads=",
     "attention",
     0,
     attention_work,
     {{1, 512}, {12, 512}},
     80,
     1},
};

typedef struct Result {
	double rate[3], peak; /* rate by threads */
} Result;

static Result measure(Kernels *k, const Case *c, const int64_t *param, Pool *const *pool,
                      int rounds)
{
	Result r = {.peak = 0};
	double work = c->work(param);
	kernels_time(k, pool[1], c->entry, 2, 1);
	kernels_time(k, pool[2], c->entry, 2, 1);
	for (int i = 0; i < rounds; i++) {
		double top = peak();
		if (top > r.peak) r.peak = top;
		for (uint32_t threads = 1; threads <= 2; threads++) {
			int repeat = (int)(1e8 / work) + 1;
			double rate = work / kernels_time(k, pool[threads], c->entry, 4, repeat);
			if (rate > r.rate[threads]) r.rate[threads] = rate;
		}
	}
	return r;
}

static bool run_case(const Case *c, const char *mcpu, Pool *const *pool, int rounds, bool json,
                     bool *first)
{
	Kernels k;
	bool ok = kernels_open(&k, c->program, mcpu);
	for (size_t i = 0; ok && i < COUNT(c->param) && c->param[i][0]; i++) {
		const int64_t *p = c->param[i];
		ok = kernels_bind(&k, p);
		if (!ok) break;
		Result r = measure(&k, c, p, pool, rounds);
		double percent = 100 * r.rate[1] / r.peak;
		const char *verdict = p[0] < c->from ? "" : percent >= c->goal ? "ok" : "BELOW";
		if (json)
			printf(
				"%s{\"case\": \"%s%lld\", \"gflops\": %.2f, \"peak\": %.2f, \"percent\": %.1f, \"goal\": %.0f, \"two_threads\": %.3f, \"compile_ms\": %.1f}",
				*first ? "\n " : ",\n ", c->name, (long long)p[0], r.rate[1] * 1e-9, r.peak * 1e-9,
				percent, p[0] < c->from ? 0 : c->goal, r.rate[2] / r.rate[1], k.compile_ms);
		else
			printf("%-36s%-5lld %7.1f GFLOP/s  %5.1f %% of %.1f  %-6s two threads %.2fx\n", c->name,
			       (long long)p[0], r.rate[1] * 1e-9, percent, r.peak * 1e-9, verdict,
			       r.rate[2] / r.rate[1]);
		fflush(stdout);
		*first = false;
	}
	kernels_close(&k);
	return ok;
}

int main(int argc, char **argv)
{
	bool json = false, ok = true, first = true;
	int rounds = 10;
	const char *only = "", *mcpu = NULL;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
			rounds = atoi(argv[++i]);
		else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
			only = argv[++i];
		else if (strcmp(argv[i], "--mcpu") == 0 && i + 1 < argc)
			mcpu = argv[++i];
		else {
			fprintf(stderr, "usage: tile [--json] [--rounds N] [--only NAME] [--mcpu CPU]\n");
			return 1;
		}
	}
	if (peak() <= 0) {
		fprintf(stderr, "this machine has no fused multiply-add to compare with\n");
		return 1;
	}
	Pool *pool[3] = {NULL, pool_new(1, 1), pool_new(2, 64 << 20)};
	if (json) printf("[");
	for (size_t i = 0; i < COUNT(cases) && ok; i++)
		if (strstr(cases[i].name, only)) ok = run_case(&cases[i], mcpu, pool, rounds, json, &first);
	if (json) printf("\n]\n");
	pool_free(pool[1]);
	pool_free(pool[2]);
	return ok ? 0 : 1;
}
