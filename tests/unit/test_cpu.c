/* The CPU backend against the tile interpreter: every program of tests/tile/programs and those below,
 * compiled for AVX-512, AVX2 and the baseline (what this machine lacks is only compiled), run alone
 * and by three threads, at odd sizes. One compiled object serves all sizes of a program. */
#include "codegen/cpu/cpu.h"
#include "ir/target.h"
#include "ir/tile/tile.h"
#include "passes/passes.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- values --------------------------------------------------------------------------------------- */

typedef struct Bindings {
	const TileProgram *p;
	int64_t value[64];
} Bindings;

static bool binding(void *ctx, const DimSym *s, int64_t *out)
{
	const Bindings *b = ctx;
	for (size_t i = 0; i < b->p->params.n; i++)
		if (b->p->params.at[i] == s) {
			*out = b->value[i];
			return true;
		}
	return false;
}

static int64_t dim_of(const Bindings *b, Dim d)
{
	int64_t v = -1;
	cr_assert(dim_eval(d, binding, (void *)(uintptr_t)b, &v), "a dim has no value");
	return v;
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Parameter values of a round: small, odd, near the top of their range in the last rounds. */
static bool choose_params(Bindings *b, uint32_t round)
{
	static const int64_t picks[][6] = {{1, 1, 1, 1, 1, 1},
	                                   {7, 3, 5, 2, 1, 3},
	                                   {33, 17, 9, 4, 3, 2},
	                                   {2, 45, 31, 7, 1, 5},
	                                   {70, 5, 130, 1, 2, 9}};
	if (round >= COUNT(picks)) return false;
	for (size_t i = 0; i < b->p->params.n; i++) {
		const DimSym *s = b->p->params.at[i];
		int64_t lo = dim_of(b, s->lo), hi = dim_of(b, s->hi),
				v = picks[round][i % 6] + (s->kind == SYM_STATE ? -1 : 0);
		b->value[i] = v < lo ? lo : v > hi ? hi : v;
	}
	/* what is required is reached by making the later parameters smaller */
	for (int tries = 0; tries < 200; tries++) {
		bool met = true;
		for (size_t i = 0; i < b->p->require.n; i++)
			met = met && dim_of(b, b->p->require.at[i]) >= 0;
		if (met) return true;
		for (size_t i = b->p->params.n; i-- > 0;) {
			int64_t lo = dim_of(b, b->p->params.at[i]->lo);
			if (b->value[i] > lo) {
				b->value[i]--;
				break;
			}
		}
	}
	return false;
}

/* Limit of the indices that buffer `o` holds, found from its uses as rows and indices; 0: none. */
typedef struct Limit {
	const Bindings *b;
	const TileStep *launch;
	const TileObj *buf;
	int64_t below;
} Limit;

static bool is_actual(const Limit *l, const TileObj *formal)
{
	return formal->kind != TB_PLACE && l->launch->args[formal->id].buf == l->buf;
}

static void limit_below(Limit *l, int64_t n)
{
	if (n < 1) n = 1;
	if (!l->below || n < l->below) l->below = n;
}

static int64_t loop_free(const Limit *l, Dim d)
{
	int64_t v, lo, hi;
	if (dim_eval(d, binding, (void *)(uintptr_t)l->b, &v)) return v;
	dim_range(NULL, d, &lo, &hi);
	return lo > 0 ? lo : 1;
}

static void limit_access(Limit *l, const TileAccess *a)
{
	if (!a->rows) return;
	if (is_actual(l, a->rows->obj)) limit_below(l, loop_free(l, a->obj->dims[a->rows_dim]));
	limit_access(l, a->rows);
}

static void limit_block(Limit *l, const TileBlock *b)
{
	for (const TileStmt *s = b->first; s; s = s->next) {
		for (uint32_t i = 0; i < s->n_in; i++) limit_access(l, &s->in[i]);
		for (uint32_t i = 0; i < s->n_out; i++) limit_access(l, &s->out[i]);
		if (s->op == TILE_INDEX && is_actual(l, s->in[0].obj)) limit_below(l, loop_free(l, s->hi));
		limit_block(l, &s->body);
		limit_block(l, &s->orelse);
	}
}

static void limit_steps(Limit *l, const TileStep *s)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP) limit_steps(l, s->body);
		l->launch = s;
		if (s->kind == STEP_LAUNCH) limit_block(l, &s->kernel->body);
	}
}

static int64_t index_limit(const Bindings *b, const TileObj *o)
{
	Limit l = {b, NULL, o, 0};
	for (size_t i = 0; i < b->p->entries.n; i++) limit_steps(&l, b->p->entries.at[i]->steps);
	return l.below;
}

/* --- memory ------------------------------------------------------------------------------------------ */

typedef struct Buffers {
	void *at[256];
	int64_t bytes[256], elements[256];
} Buffers;

static double random_value(DType t, int64_t below, uint32_t *seed, int64_t i)
{
	uint32_t r = next_random(seed);
	if (below)
		return below > 100 && i % 2 ? (double)(below - 1 - r % 3) : (double)(r % (uint32_t)below);
	switch (dtype_class(t)) {
	case DTC_BOOLEAN: return r & 1;
	case DTC_UINT: return r % 256;
	case DTC_SINT:
		return t == DT_I4   ? (double)(r % 15) - 7
		       : t == DT_I8 ? (double)(r % 255) - 127
		                    : (double)(r % 2001) - 1000;
	default: return ((double)(r % 4001) - 2000) / 1000;
	}
}

static void fill(const TileObj *o, const int64_t *dims, int64_t elements, void *at, int64_t below,
                 uint32_t seed)
{
	double *dense = calloc((size_t)elements + 1, sizeof *dense);
	/* what is packed in groups of i4 is what the format can hold */
	for (int64_t i = 0; i < elements; i++) dense[i] = random_value(o->dtype, below, &seed, i);
	if (o->literal)
		for (int64_t i = 0; i < elements; i++) dense[i] = dtype_load(o->dtype, o->literal, i);
	if (below && elements > 1) /* permutations where rows are written: no index twice */
		for (int64_t i = 0; i < elements && elements <= below; i++)
			dense[i] = (double)((i * 7 + 3) % below);
	encoding_pack(&o->enc, o->dtype, o->rank, dims, dense, at);
	free(dense);
}

static Buffers buffers_new(const Bindings *b, bool arena)
{
	Buffers f = {0};
	for (size_t i = 0; i < b->p->bufs.n; i++) {
		const TileObj *o = b->p->bufs.at[i];
		int64_t dims[TILE_RANK], n = 1;
		for (uint32_t d = 0; d < o->rank; d++) {
			dims[d] = dim_of(b, o->dims[d]);
			n *= dims[d];
		}
		f.bytes[i] = encoding_bytes(&o->enc, o->dtype, o->rank, dims);
		f.elements[i] = n;
		cr_assert_geq(f.bytes[i], 0);
		if (o->kind == TB_ARENA && !arena) continue;
		f.at[i] = aligned_alloc(64, ((size_t)f.bytes[i] + 191) / 64 * 64);
		memset(f.at[i], o->enc.kind == ENC_PLAIN ? 0xff : 0, (size_t)f.bytes[i]);
		if (o->kind == TB_STATE || o->kind == TB_WEIGHT || o->kind == TB_IN) {
			memset(f.at[i], 0, (size_t)f.bytes[i]);
			fill(o, dims, n, f.at[i], index_limit(b, o), 17 + (uint32_t)i);
		}
	}
	return f;
}

static void buffers_free(Buffers *f)
{
	for (size_t i = 0; i < 256; i++) free(f->at[i]);
}

/* --- running the compiled entry ------------------------------------------------------------------------- */

static void meet(NacreFrame *f)
{
	pthread_barrier_wait(f->runtime);
}

typedef struct Job {
	NacreEntryCode *code;
	NacreFrame frame;
} Job;

static void *job_run(void *at)
{
	Job *j = at;
	j->code(&j->frame);
	return NULL;
}

static NacreStop run_code(const NacreArtefact *a, uint32_t entry, const Bindings *b, Buffers *f,
                          uint32_t threads)
{
	NacreStop stop = {0};
	pthread_barrier_t barrier;
	pthread_barrier_init(&barrier, NULL, threads);
	Job job[8];
	pthread_t id[8];
	for (uint32_t i = 0; i < threads; i++) {
		void *scratch = aligned_alloc(64, (a->scratch_bytes + 191) / 64 * 64);
		memset(scratch, 0xff, a->scratch_bytes);
		job[i] = (Job){a->entries[entry],
		               {.bufs = f->at,
		                .params = b->value,
		                .scratch = scratch,
		                .barrier = meet,
		                .stop = &stop,
		                .thread = i,
		                .threads = threads,
		                .runtime = &barrier}};
		if (i) pthread_create(&id[i], NULL, job_run, &job[i]);
	}
	job_run(&job[0]);
	for (uint32_t i = 1; i < threads; i++) pthread_join(id[i], NULL);
	for (uint32_t i = 0; i < threads; i++) free(job[i].frame.scratch);
	pthread_barrier_destroy(&barrier);
	return stop;
}

/* --- comparing ------------------------------------------------------------------------------------------- */

static double tolerance(DType t, double scale, double want)
{
	double size = fabs(want) > scale ? fabs(want) : scale;
	switch (t) {
	case DT_F32: return 4e-5 * size;
	case DT_F16: return 2e-3 * size;
	case DT_BF16: return 1e-2 * size;
	case DT_F8E4M3:
	case DT_F8E5M2: return 0.13 * fabs(want) + 0.02 * size;
	case DT_I8:
	case DT_U8: return 1; /* quantised values may round the other way */
	default: return 0;
	}
}

static void compare(const char *what, const TileObj *o, const int64_t *dims, int64_t n,
                    const void *got, const void *want)
{
	double *g = calloc((size_t)n + 1, sizeof *g), *w = calloc((size_t)n + 1, sizeof *w), scale = 0;
	encoding_unpack(&o->enc, o->dtype, o->rank, dims, got, g);
	encoding_unpack(&o->enc, o->dtype, o->rank, dims, want, w);
	for (int64_t i = 0; i < n; i++)
		if (isfinite(w[i])) scale += fabs(w[i]) / (double)n;
	for (int64_t i = 0; i < n; i++) {
		bool same = g[i] == w[i] || (isnan(g[i]) && isnan(w[i])) ||
		            fabs(g[i] - w[i]) <= tolerance(o->dtype, scale, w[i]);
		if (same) continue;
		cr_expect(false, "%s: `%s` element %lld of %lld is %.9g, the interpreter has %.9g", what,
		          o->name, (long long)i, (long long)n, g[i], w[i]);
		break;
	}
	free(g);
	free(w);
}

typedef struct Level {
	const char *name, *cpu;
} Level;
static const Level levels[] = {{"this machine", NULL},
                               {"AVX-512", "x86-64-v4"},
                               {"AVX2", "x86-64-v3"},
                               {"baseline", "x86-64"}};

static void check_entry(TileProgram *p, uint32_t entry, const NacreArtefact *a, const char *what,
                        const Bindings *b)
{
	Arena *arena = arena_new();
	Diags d = {.arena = arena};
	Buffers want = buffers_new(b, false);
	TileRun run = {.params = b->value, .data = want.at};
	bool ok = (!p->prepack || tile_interpret(&d, p, p->prepack, &run)) &&
	          tile_interpret(&d, p, p->entries.at[entry], &run);
	if (!ok) diags_print(&d, stderr);
	cr_assert(ok, "%s: the interpreter fails", what);
	for (uint32_t threads = 1; threads <= 3; threads += 2) {
		Buffers got = buffers_new(b, true);
		if (p->prepack) run_code(a, (uint32_t)p->entries.n, b, &got, threads);
		NacreStop stop = run_code(a, entry, b, &got, threads);
		cr_expect_eq(stop.code, 0, "%s: stopped at index %lld", what, (long long)stop.value);
		for (size_t i = 0; i < p->bufs.n; i++) {
			const TileObj *o = p->bufs.at[i];
			bool result = o->kind == TB_STATE;
			for (size_t k = 0; k < p->entries.at[entry]->outs.n; k++)
				result = result || p->entries.at[entry]->outs.at[k] == o;
			int64_t dims[TILE_RANK];
			for (uint32_t k = 0; k < o->rank; k++) dims[k] = dim_of(b, o->dims[k]);
			if (result)
				compare(arena_printf(arena, "%s, %u threads", what, threads), o, dims,
				        want.elements[i], got.at[i], want.at[i]);
		}
		buffers_free(&got);
	}
	buffers_free(&want);
	arena_free(arena);
}

static void check_level(TileProgram *p, const char *name, const Level *level)
{
	Arena *arena = arena_new();
	Diags d = {.arena = arena};
	CpuOptions options = {.cpu = level->cpu};
	CpuObject *o = cpu_compile(&d, p, &options, NULL);
	if (!o) diags_print(&d, stderr);
	cr_assert(o, "%s does not compile for %s", name, level->name);
	CpuLoaded *l = cpu_jit_load(&d, o);
	if (l) {
		const NacreArtefact *a = cpu_loaded_artefact(l);
		Bindings b = {p, {0}};
		for (uint32_t round = 0; choose_params(&b, round); round++)
			for (uint32_t e = 0; e < p->entries.n; e++) {
				Text t = text_new(arena);
				text_printf(&t, "%s, entry %s on %s,", name, p->entries.at[e]->name, level->name);
				for (size_t i = 0; i < p->params.n; i++)
					text_printf(&t, " %s=%lld", p->params.at[i]->name, (long long)b.value[i]);
				check_entry(p, e, a, t.at, &b);
				if (!p->params.n) round = 100;
			}
	}
	cpu_loaded_free(l);
	arena_free(arena);
}

static void check_source(Arena *arena, const Source *s)
{
	Diags d = {.arena = arena};
	TileProgram *p = tile_parse(arena, &d, s);
	bool ok = p && tile_verify(&d, p);
	if (!ok) diags_print(&d, stderr);
	cr_assert(ok, "%s is not a good program", s->name);
	for (size_t i = 0; i < COUNT(levels); i++) check_level(p, s->name, &levels[i]);
}

static void check_text(const char *name, const char *text)
{
	Arena *arena = arena_new();
	text = arena_printf(arena, "program %s\n%s", name, text);
	check_source(arena, source_from_text(arena, name, text, strlen(text)));
	arena_free(arena);
}

/* --- the programs of tests/tile -------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

Test(cpu, programs)
{
	Arena *arena = arena_new();
	const char *folder = NACRE_TESTS_DIR "/tile/programs", *only = getenv("NACRE_PROGRAM");
	DIR *dir = opendir(folder);
	const char *names[256];
	size_t n = 0;
	for (struct dirent *e; dir && (e = readdir(dir)) && n < COUNT(names);)
		if (strlen(e->d_name) > 5 && !strcmp(e->d_name + strlen(e->d_name) - 5, ".tile"))
			names[n++] = arena_strdup(arena, e->d_name);
	if (dir) closedir(dir);
	qsort(names, n, sizeof *names, by_name);
	for (size_t i = 0; i < n; i++) {
		const char *why = NULL;
		if (only && !strstr(names[i], only)) continue;
		const Source *s =
			source_from_file(arena, arena_printf(arena, "%s/%s", folder, names[i]), &why);
		cr_assert(s, "%s: %s", names[i], why);
		check_source(arena, s);
	}
	arena_free(arena);
}

Test(cpu, target)
{
	Arena *arena = arena_new();
	Diags d = {.arena = arena};
	for (size_t i = 0; i < COUNT(levels); i++) {
		Target t;
		CpuOptions o = {.cpu = levels[i].cpu};
		cr_assert(cpu_target(&d, &o, &t));
		cr_assert_str_eq(t.name, "cpu");
		size_t n = 0;
		for (; t.pipeline[n]; n++) cr_assert_str_eq(t.pipeline[n], passes_default[n]);
		cr_assert_null(passes_default[n]);
		cr_assert(t.traits.mr && t.traits.nr && t.traits.mb % t.traits.mr == 0);
	}
	CpuOptions o = {.cpu = "znver44"};
	Target t;
	cr_assert_not(cpu_target(&d, &o, &t));
	cr_assert(strstr(d.list.at[0]->text, "`znver44` is not known"));
	arena_free(arena);
}

/* --- programs of this room: corners that the folder does not reach ---------------------------------------- */

static const char gemm[] =
	"dim M in 1..400\n"
	"kernel ffn(in x f32[M, 72], weight w f32[72, 75] pack(16, 1), weight b f32[75], out y f32[M, 75]) {\n"
	"  par (m, mh) in 0..M by 28 {\n"
	"    par (n, nw) in 0..75 by 16 {\n"
	"      split (t, h) in mh by 14 {\n"
	"        place c f32[14, 16] acc\n"
	"        contract c[i, j] = x[m + t + i, k] * w[k, n + j] over i < h, j < nw, k < 72\n"
	"        put y[m + t + i, n + j] = (c[i, j], b[n + j]) { c, b -> gelu(c + b) } over i < h, j < nw\n"
	"      }\n"
	"    }\n"
	"  }\n"
	"}\n";

Test(cpu, gemm)
{
	check_text("gemm", gemm);
}

/* Reductions along the contiguous dimension, along another, and over windows; all kinds and types. */
Test(cpu, reductions)
{
	static const char *const kinds[] = {"sum", "max", "min", "amax", "argmax"}, *const types[] = {
																					"f32", "i32",
																					"bf16", "i8"};
	for (size_t t = 0; t < COUNT(types); t++) {
		Arena *arena = arena_new();
		Text s = text_new(arena);
		text_puts(&s, "dim M in 1..80\ndim N in 1..200\n");
		for (size_t k = 0; k < COUNT(kinds); k++) {
			const char *of = k == 4 ? "i32" : t == 0 || t == 2 ? "f32" : "i32";
			text_printf(
				&s,
				"kernel rows_%s(in x %s[M, N], out y %s[M]) {\n par i in 0..M {\n  place a %s[1]\n  reduce %s a[0] = x[i, j] over j < N\n  put y[i] = a[0]\n }\n}\n",
				kinds[k], types[t], of, of, kinds[k]);
			text_printf(
				&s,
				"kernel columns_%s(in x %s[M, N], out y %s[N]) {\n par (j, w) in 0..N by 50 {\n  place a %s[50]\n  reduce %s a[c] = x[i, j + c] over c < w, i < M\n  put y[j + c] = a[c] over c < w\n }\n}\n",
				kinds[k], types[t], of, of, kinds[k]);
			if (k == 4) continue;
			text_printf(
				&s,
				"kernel window_%s(in x %s[M, N], out y %s[N]) {\n par (j, w) in 0..N by 50 {\n  place a %s[50]\n  reduce %s a[c] = (x[0, j + c + d - 1] else 2) { x -> x + x } over c < w, d < 3\n  put y[j + c] = a[c] over c < w\n }\n}\n",
				kinds[k], types[t], of, of, kinds[k]);
			text_printf(
				&s,
				"kernel more_%s(in x %s[M, N], out y %s[M]) {\n par i in 0..M {\n  place a %s[1]\n  reduce %s a[0] = x[i, j] over j < N\n",
				kinds[k], types[t], of, of, kinds[k]);
			text_printf(&s, "  reduce %s a[0] %s= x[0, j] over j < N\n  put y[i] = a[0]\n }\n}\n",
			            kinds[k], k ? kinds[k] : "+");
		}
		check_text(arena_printf(arena, "reductions_%s", types[t]), s.at);
		arena_free(arena);
	}
}

/* Order: running sums, the greatest, sorted; along the last dimension and along the first. */
Test(cpu, order)
{
	static const char text[] =
		"dim M in 1..20\ndim N in 5..200\n"
		"kernel scan_sum(in x f32[M, N], out y f32[M, N]) {\n par i in 0..M {\n  place a f32[200]\n"
		"  scan sum a[j] = x[i, j] along j over j < N\n  put y[i, j] = a[j] over j < N\n }\n}\n"
		"kernel scan_max(in x i32[M, N], out y i32[M, N]) {\n par j in 0..N {\n  place a i32[20]\n"
		"  scan max a[i] = x[i, j] along i over i < M\n  put y[i, j] = a[i] over i < M\n }\n}\n"
		"kernel top(in x i32[M, N], out v i32[M, 5], out p i32[M, 5]) {\n par i in 0..M {\n"
		"  place a i32[5]\n  place b i32[5]\n  topk a[k], b[k] = x[i, j] along j over j < N, k < 5\n"
		"  put v[i, k], p[i, k] = (a[k], b[k]) { a, b -> a, b } over k < 5\n }\n}\n"
		"kernel up(in x f32[M, N], out v f32[M, N], out p i32[M, N]) {\n par i in 0..M {\n"
		"  place a f32[200]\n  place b i32[200]\n  sort a[j], b[j] = x[i, j] along j over j < N\n"
		"  put v[i, j], p[i, j] = (a[j], b[j]) { a, b -> a, b } over j < N\n }\n}\n"
		"kernel down(in x f32[M, N], out v f32[M, N], out p i32[M, N]) {\n par i in 0..M {\n"
		"  place a f32[200]\n  place b i32[200]\n  sort a[j], b[j] = x[i, j] along j descending over j < N\n"
		"  put v[i, j], p[i, j] = (a[j], b[j]) { a, b -> a, b } over j < N\n }\n}\n";
	check_text("order", text);
}

/* Movements: transposed, strided, reversed, padded, gathered and scattered, added in memory; narrow
 * types; a place of one element; loops whose bounds depend on others. */
Test(cpu, movement)
{
	static const char text[] =
		"dim M in 2..60\ndim N in 3..70\n"
		"kernel transpose(in x f32[M, N], out y f32[N, M]) {\n"
		"  par (i, h) in 0..M by 17 {\n    place t f32[70, 17]\n    bring t[j, r] = x[i + r, j] over r < h, j < N\n"
		"    put y[j, i + r] = t[j, r] over j < N, r < h\n  }\n}\n"
		"kernel strided(in x f32[M, N], out y f32[M, N]) {\n"
		"  put y[i, j] = (x[i, N - 1 - j], x[M - 1 - i, j//2]) { a, b -> a - 2.0 * b } over i < M, j < N\n}\n"
		"kernel padded(in x bf16[M, N], out y bf16[M + 2, N + 3]) {\n"
		"  put y[i, j] = x[i - 1, j - 2] else 1.5 over i < M + 2, j < N + 3\n}\n"
		"kernel gather(in x f32[M, N], in at i32[N], out y f32[N, N]) {\n"
		"  put y[i, j] = x[rows(at[i]), j] over i < N, j < N\n}\n"
		"kernel data_index(in x i8[M, N], in at i32[N], out y i8[N, N]) {\n"
		"  par i in 0..N {\n    index r = at[i] in 0..M\n    put y[i, j] = (x[r, j]) { x -> x + [r - i] } over j < N\n  }\n}\n"
		"kernel adding(in x f32[M, N], out y f32[M]) {\n"
		"  par i in 0..M {\n    put y[i] = () { -> 1.0 }\n    for j in 0..N { put y[i] += x[i, j] }\n  }\n}\n"
		"kernel triangle(in x f32[M, N], out y f32[M, N]) {\n"
		"  par i in 0..M {\n    put y[i, j] = () { -> 0.0 } over j < N\n"
		"    for (j, w) in 0..min(i + 1, N) by 8 {\n      put y[i, j + c] = x[i, j + c] over c < w\n    }\n  }\n}\n"
		"kernel halves(in x f16[M, N], out y f8e4m3[M, N], out z u8[M, N]) {\n"
		"  put y[i, j], z[i, j] = (x[i, j]) { x -> x * 3.0, u8(i32(abs(x) * 50.0)) } over i < M, j < N\n}\n"
		"kernel choice(in x f32[M, N], out y f32[M, N]) {\n"
		"  par i in 0..M {\n    if i < N and 3 <= i { put y[i, j] = x[i, j] over j < N }\n"
		"    else { put y[i, j] = () { -> f32([i + 1]) } over j < N }\n  }\n}\n";
	check_text("movement", text);
}

/* Products whose operands lie in all the ways that the fast path must stage or refuse. */
Test(cpu, products)
{
	static const char text[] =
		"dim M in 1..60\ndim K in 1..70\n"
		"kernel plain(in a f32[M, K], in b f32[K, 37], out c f32[M, 37]) {\n"
		"  place p f32[60, 37]\n  contract p[i, j] = a[i, k] * b[k, j] over i < M, j < 37, k < K\n"
		"  put c[i, j] = p[i, j] over i < M, j < 37\n}\n"
		"kernel both_transposed(in a f32[K, M], in b f32[37, K], out c f32[M, 37]) {\n"
		"  place p f32[60, 37]\n  contract p[i, j] = a[k, i] * b[j, k] over i < M, j < 37, k < K\n"
		"  put c[i, j] = (p[i, j]) { p -> tanh(p) } over i < M, j < 37\n}\n"
		"kernel batch(in a f32[3, M, K], in b f32[3, K, 20], out c f32[M, 3, 20]) {\n"
		"  place p f32[3, 60, 20]\n  contract p[n, i, j] = a[n, i, k] * b[n, k, j] over n < 3, i < M, j < 20, k < K\n"
		"  put c[i, n, j] = p[n, i, j] over n < 3, i < M, j < 20\n}\n"
		"kernel dot(in a f32[M, K], in b f32[M, K], out c f32[M]) {\n"
		"  place p f32[60]\n  contract p[i] = a[i, k] * b[i, k] over i < M, k < K\n  put c[i] = p[i] over i < M\n}\n"
		"kernel vector(in a f32[K], in b f32[K, 50], out c f32[50]) {\n"
		"  place p f32[50]\n  contract p[j] = a[k] * b[k, j] over j < 50, k < K\n  put c[j] = (p[j]) { p -> p } over j < 50\n}\n"
		"kernel outer(in a f32[M], in b f32[K], out c f32[M, K]) {\n"
		"  place p f32[60, 70]\n  contract p[i, j] = a[i] * b[j] over i < M, j < K\n  put c[i, j] = p[i, j] over i < M, j < K\n}\n"
		"kernel half(in a bf16[M, K], in b bf16[K, 24], out c f32[M, 24]) {\n"
		"  place p f32[60, 24]\n  contract p[i, j] = a[i, k] * b[k, j] over i < M, j < 24, k < K\n  put c[i, j] = p[i, j] over i < M, j < 24\n}\n"
		"kernel bytes(in a i8[M, K], weight b i8[K, 40] pack(32, 4), out c i32[M, 40]) {\n"
		"  place p i32[60, 40]\n  contract p[i, j] = a[i, k] * b[k, j] over i < M, j < 40, k < K\n  put c[i, j] = p[i, j] over i < M, j < 40\n}\n"
		"kernel unsigned_bytes(in a u8[M, K], weight b i8[K, 40] pack(16, 4), out c i32[M, 40]) {\n"
		"  place p i32[60, 40]\n  contract p[i, j] = a[i, k] * b[k, j] over i < M, j < 40, k < K\n  put c[i, j] = p[i, j] over i < M, j < 40\n}\n"
		"kernel pairs(in a bf16[M, K], weight b bf16[K, 40] pack(32, 2), out c f32[M, 40]) {\n"
		"  place p f32[60, 40]\n  contract p[i, j] = a[i, k] * b[k, j] over i < M, j < 40, k < K\n  put c[i, j] = p[i, j] over i < M, j < 40\n}\n"
		"kernel mixed(in a f32[M, K], in b i8[K, 40], out c f32[M, 40]) {\n"
		"  place p f32[60, 40]\n  contract p[i, j] = a[i, k] * b[k, j] over i < M, j < 40, k < K\n"
		"  contract p[i, j] += a[i, k] * b[k, 39 - j] over i < M, j < 40, k < K\n  put c[i, j] = p[i, j] over i < M, j < 40\n}\n"
		"kernel nibbles(in a f32[M, 64], weight b i4[64, 40] i4(16, 32), out c f32[M, 40]) {\n"
		"  place p f32[60, 40]\n  contract p[i, j] = a[i, k] * b[k, j] over i < M, j < 40, k < 64\n  put c[i, j] = p[i, j] over i < M, j < 40\n}\n"
		"kernel nibble_rows(in a bf16[2, 96], weight b i4[3, 96, 70] i4(32, 16), out c f32[3, 2, 70]) {\n  par e in 0..3 {\n    place p f32[2, 70]\n"
		"    contract p[i, j] = a[i, k] * b[e, k, j] over i < 2, j < 70, k < 64\n    contract p[i, j] += a[i, 64 + k] * b[e, 64 + k, j] over i < 2, j < 70, k < 32\n"
		"    put c[e, i, j] = p[i, j] over i < 2, j < 70\n  }\n}\n"
		"kernel shifted(in a f32[M, K], in b f32[5], out c f32[M, K]) {\n"
		"  place p f32[60, 70]\n  contract p[i, j] = a[i, j + d - 2] else 0 * b[d] over i < M, j < K, d < 5\n  put c[i, j] = p[i, j] over i < M, j < K\n}\n";
	check_text("products", text);
}

/* A program of several launches with activations in between, a loop over stacked weights, a state. */
Test(cpu, entries)
{
	static const char text[] =
		"session dim T in 4..40\ndim S in 1..T\nstate pos in 0..T\nrequire pos + S <= T\n"
		"in x f32[S, 24]\nweight w f32[3, 24, 24] key \"w\"\nstate seen f32[T, 24]\narena h f32[S, 24]\narena g f32[S, 24]\nout y f32[S, 24]\n"
		"kernel copy(in x f32[S, 24], out y f32[S, 24]) {\n  par i in 0..S { put y[i, j] = x[i, j] over j < 24 }\n}\n"
		"kernel layer(in x f32[S, 24], weight w f32[24, 24], out y f32[S, 24]) {\n  par (i, h) in 0..S by 6 {\n    place c f32[6, 24]\n"
		"    contract c[r, j] = x[i + r, k] * w[k, j] over r < h, j < 24, k < 24\n    put y[i + r, j] = (c[r, j]) { c -> tanh(c * 0.1) } over r < h, j < 24\n  }\n}\n"
		"kernel remember(in x f32[S, 24], state s f32[T, 24]) {\n  par i in 0..S { put s[pos + i, j] = x[i, j] over j < 24 }\n}\n"
		"kernel total(state s f32[T, 24], in x f32[S, 24], out y f32[S, 24]) {\n  par i in 0..S {\n    place a f32[24]\n"
		"    reduce sum a[j] = s[t, j] over j < 24, t < pos + i + 1\n    put y[i, j] = (a[j], x[i, j]) { a, x -> a + x } over j < 24\n  }\n}\n"
		"entry main(x) -> (y) {\n  launch copy(x, h)\n  loop l < 3 {\n    launch layer(h, w[l], g)\n    launch copy(g, h)\n  }\n"
		"  launch remember(h, seen)\n  launch total(seen, g, y)\n  set pos = pos + S\n}\n";
	check_text("entries", text);
}
