/* Scalar functions of the CPU backend, on every level of vectors: each row of scalar.def over all
 * exponents and the specials of IEEE 754, against its definition in double, in units of the last
 * place; integers exactly; and the element types in and out of memory. */
#include "codegen/cpu/cpu.h"
#include "ir/tile/tile.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 40009 };
static const char *const cpus[] = {NULL, "x86-64-v4", "x86-64-v3", "x86-64"};

typedef struct Code {
	Arena *arena;
	Diags d;
	TileProgram *p;
	CpuLoaded *loaded;
} Code;

/* False when this machine cannot run code for the CPU. */
static bool code_open(Code *c, const char *text, const char *cpu)
{
	*c = (Code){.arena = arena_new()};
	c->d.arena = c->arena;
	c->p = tile_parse(c->arena, &c->d, source_from_text(c->arena, "text", text, strlen(text)));
	CpuOptions o = {.cpu = cpu};
	CpuObject *object =
		c->p && tile_verify(&c->d, c->p) ? cpu_compile(&c->d, c->p, &o, NULL) : NULL;
	if (!object) diags_print(&c->d, stderr);
	cr_assert(object, "%s", text);
	c->loaded = cpu_jit_load(&c->d, object);
	return c->loaded;
}

static void code_run(Code *c, void **bufs)
{
	const NacreArtefact *a = cpu_loaded_artefact(c->loaded);
	void *scratch = aligned_alloc(64, (a->scratch_bytes + 127) / 64 * 64);
	NacreStop stop = {0};
	NacreFrame f = {.bufs = bufs, .scratch = scratch, .stop = &stop, .threads = 1};
	int64_t none = 0;
	f.params = &none;
	a->entries[0](&f);
	free(scratch);
}

static void code_close(Code *c)
{
	cpu_loaded_free(c->loaded);
	arena_free(c->arena);
}

/* --- floats ------------------------------------------------------------------------------------- */

static float from_bits(uint32_t u)
{
	float f;
	memcpy(&f, &u, 4);
	return f;
}

static void fill_floats(float *x, uint32_t seed)
{
	static const float special[] = {
		0,       -0.0f,      1,           -1,          0.5f,        -0.5f,   2,       88.7f,
		88.8f,   -87.3f,     -103.9f,     -104.1f,     127.9f,      128.1f,  -149.5f, 1e-45f,
		-1e-45f, 3e38f,      -3e38f,      INFINITY,    -INFINITY,   NAN,     1.5f,    2.5f,
		-1.5f,   8388609.0f, 16777216.0f, 3.14159274f, 1.57079637f, 0.9277f, 0.928f};
	for (size_t i = 0; i < N; i++) {
		seed = seed * 1664525u + 1013904223u;
		uint32_t exponent =
			i % 3 == 0 ? 127 - 20 + (uint32_t)(i / 3) % 40 : (uint32_t)(i * 7) % 255;
		x[i] = i < COUNT(special) ? special[i] : from_bits((seed & 0x807fffff) | exponent << 23);
	}
}

/* Distance in units in the last place of the double's float; 0 also for two NaN. */
static double ulps(float got, double want)
{
	if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
	if (isinf(want) || fabs(want) > 3.4028235677973366e38)
		return got == (float)want || (isinf(want) ? 0 : isinf(got)) || fabsf(got) >= 3.4028e38f
		           ? 0
		           : INFINITY;
	if (isinf(got)) return INFINITY;
	double unit = ldexp(1, (fabs(want) < 1.17549435e-38 ? -126 : ilogb(want)) - 23);
	return fabs((double)got - want) / unit;
}

/* What each function may be off, in ulps; and how far from 0 results may be that are lost in it. */
static double allowed(Scalar f, double a, double b)
{
	switch (f) {
	case SC_NEG:
	case SC_ABS:
	case SC_FLOOR:
	case SC_CEIL:
	case SC_ROUND:
	case SC_RELU:
	case SC_MIN:
	case SC_MAX: return 0;
	case SC_ADD:
	case SC_SUB:
	case SC_MUL:
	case SC_DIV:
	case SC_SQRT:
	case SC_RECIP: return 0.51;
	case SC_RSQRT: return 2;
	case SC_SIN:
	case SC_COS: return fabs(a) < 1e5 ? 4 : INFINITY;
	case SC_POW: return fabs(b * log2(fabs(a))) < 126 ? 16 : 400;
	case SC_GELU:
	case SC_GELU_TANH:
	case SC_SILU: return a < -2 ? 1000 : 12;
	case SC_FLOORDIV:
	case SC_MOD: return INFINITY; /* a quotient next to an integer: tested on integers */
	default: return 6;
	}
}

static bool result_is_float(Scalar f)
{
	return scalar_info[f].result != SCALAR_BOOLEAN && f != SC_SELECT && f != SC_FMA;
}

static void check_float(const char *cpu, Scalar f, const float *x, const float *y)
{
	const ScalarInfo *s = &scalar_info[f];
	char text[512];
	snprintf(
		text, sizeof text,
		"program p\nkernel k(in x f32[%d], in y f32[%d], out z f32[%d]) {\n put z[i] = (x[i], y[i]) { x, y -> %s(x%s) } over i < %d\n}\n",
		N, N, N, s->name, s->arity > 1 ? ", y" : "", N);
	Code c;
	if (!code_open(&c, text, cpu)) {
		code_close(&c);
		return;
	}
	float *z = calloc(N, sizeof *z);
	void *bufs[3] = {(void *)(uintptr_t)x, (void *)(uintptr_t)y, z};
	code_run(&c, bufs);
	double worst = 0;
	int at = 0;
	for (int i = 0; i < N; i++) {
		double want = scalar_eval(f, false, x[i], y[i], 0), off = ulps(z[i], want);
		bool tail = f == SC_GELU || f == SC_GELU_TANH ||
		            f == SC_SILU; /* of their far ends few digits are kept */
		bool tiny = tail ? fabs(z[i] - want) < 1e-9 : fabs(want) < 1.2e-38 && fabs(z[i]) < 1.3e-38;
		if (off > worst && off > allowed(f, x[i], y[i]) && !tiny) {
			worst = off;
			at = i;
		}
	}
	cr_expect(worst == 0, "%s on %s: %.1f ulp off at (%.9g, %.9g): %.9g, not %.9g", s->name,
	          cpu ? cpu : "this machine", worst, x[at], y[at], z[at],
	          scalar_eval(f, false, x[at], y[at], 0));
	free(z);
	code_close(&c);
}

Test(cpu_math, floats)
{
	float *x = calloc(N, sizeof *x), *y = calloc(N, sizeof *y);
	fill_floats(x, 1);
	fill_floats(y, 99);
	for (int i = 40; i < N; i++)
		if (i % 5) y[i] = y[(i * 31) % N];
	for (size_t l = 0; l < COUNT(cpus); l++)
		for (int f = 0; f < NUM_SCALARS; f++)
			if (result_is_float((Scalar)f) && f != SC_NOT) check_float(cpus[l], (Scalar)f, x, y);
	free(x);
	free(y);
}

/* --- integers and comparisons ------------------------------------------------------------------- */

static void check_exact(const char *cpu, Scalar f, const char *type, const double *x,
                        const double *y)
{
	bool integer = strcmp(type, "i32") == 0;
	const ScalarInfo *s = &scalar_info[f];
	char text[512];
	const char *to = s->result == SCALAR_BOOLEAN ? "bool" : type;
	snprintf(
		text, sizeof text,
		"program p\nkernel k(in x %s[%d], in y %s[%d], out z %s[%d]) {\n put z[i] = (x[i], y[i]) { x, y -> %s(x%s) } over i < %d\n}\n",
		type, N, type, N, to, N, s->name, s->arity > 1 ? ", y" : "", N);
	Code c;
	if (!code_open(&c, text, cpu)) {
		code_close(&c);
		return;
	}
	DType t, tz;
	dtype_from_name(type, &t);
	dtype_from_name(to, &tz);
	void *bufs[3];
	for (int i = 0; i < 3; i++) bufs[i] = calloc(N, 4);
	for (int i = 0; i < N; i++) {
		dtype_store(t, bufs[0], i, x[i]);
		dtype_store(t, bufs[1], i, y[i]);
	}
	code_run(&c, bufs);
	for (int i = 0; i < N; i++) {
		double want =
				   scalar_eval(f, integer, dtype_load(t, bufs[0], i), dtype_load(t, bufs[1], i), 0),
			   got = dtype_load(tz, bufs[2], i);
		if (got == want) continue;
		cr_expect(false, "%s of %s on %s at (%.9g, %.9g): %.9g, not %.9g", s->name, type,
		          cpu ? cpu : "this machine", dtype_load(t, bufs[0], i), dtype_load(t, bufs[1], i),
		          got, want);
		break;
	}
	for (int i = 0; i < 3; i++) free(bufs[i]);
	code_close(&c);
}

Test(cpu_math, integers_and_comparisons)
{
	static const Scalar whole[] = {SC_NEG,      SC_ABS, SC_RELU, SC_ADD, SC_SUB, SC_MUL,
	                               SC_FLOORDIV, SC_MOD, SC_MIN,  SC_MAX, SC_EQ,  SC_NE,
	                               SC_LT,       SC_LE,  SC_GT,   SC_GE};
	static const double special[] = {0, 1,     -1,    2, -2, 7, -7, 2147483647.0, -2147483648.0,
	                                 3, 46341, -46341};
	double *x = calloc(N, sizeof *x), *y = calloc(N, sizeof *y);
	uint32_t seed = 5;
	for (int i = 0; i < N; i++) {
		seed = seed * 1664525u + 1013904223u;
		x[i] = i < 144 ? special[i % 12] : (double)((int32_t)seed >> seed % 29);
		seed = seed * 1664525u + 1013904223u;
		y[i] = i < 144 ? special[i / 12] : (double)((int32_t)seed >> seed % 31);
	}
	for (size_t l = 0; l < COUNT(cpus); l++)
		for (size_t i = 0; i < COUNT(whole); i++) {
			check_exact(cpus[l], whole[i], "i32", x, y);
			if (scalar_info[whole[i]].result == SCALAR_BOOLEAN)
				check_exact(cpus[l], whole[i], "f32", x, y);
		}
	free(x);
	free(y);
}

/* --- element types ------------------------------------------------------------------------------- */

/* Every value of a narrow type, widened to f32 or i32; and all sorts of values narrowed. */
static void check_types(const char *cpu, const char *from, const char *to)
{
	DType a, b;
	dtype_from_name(from, &a);
	dtype_from_name(to, &b);
	char text[512];
	snprintf(
		text, sizeof text,
		"program p\nkernel k(in x %s[%d], out z %s[%d]) {\n put z[i] = (x[i]) { x -> %s(x) } over i < %d\n}\n",
		from, N, to, N, to, N);
	Code c;
	if (!code_open(&c, text, cpu)) {
		code_close(&c);
		return;
	}
	void *bufs[2] = {calloc(N, 8), calloc(N, 8)};
	float *values = calloc(N, sizeof *values);
	fill_floats(values, 3);
	for (int i = 0; i < N; i++) {
		if (dtype_bits(a) == 16)
			((uint16_t *)bufs[0])[i] = (uint16_t)(i * 13);
		else if (dtype_bits(a) == 8)
			((uint8_t *)bufs[0])[i] = (uint8_t)(a == DT_BOOL ? i & 1 : i);
		else
			dtype_store(a, bufs[0], i, a == DT_F32 ? values[i] : (double)(i * 17 % 5000 - 2500));
	}
	code_run(&c, bufs);
	for (int i = 0; i < N; i++) {
		double v = dtype_load(a, bufs[0], i), got = dtype_load(b, bufs[1], i);
		double want = b == DT_BOOL ? v != 0 && !isnan(v) : dtype_round(b, v);
		if (b == DT_BOOL && isnan(v)) continue;
		if (got == want || (isnan(got) && isnan(want))) continue;
		cr_expect(false, "%s to %s on %s: %.9g gives %.9g, not %.9g", from, to,
		          cpu ? cpu : "this machine", v, got, want);
		break;
	}
	free(bufs[0]);
	free(bufs[1]);
	free(values);
	code_close(&c);
}

Test(cpu_math, element_types)
{
	static const char *const types[] = {"f32", "f16", "bf16", "f8e4m3", "f8e5m2",
	                                    "i8",  "u8",  "i4",   "i32",    "bool"};
	for (size_t l = 0; l < COUNT(cpus); l++)
		for (size_t a = 0; a < COUNT(types); a++)
			for (size_t b = 0; b < COUNT(types); b++) check_types(cpus[l], types[a], types[b]);
}
