/* Tile IR: the interpreter against results worked out by hand or by plain loops, and the verifier:
 * what it proves and what it refuses, each with the message that names the fault. */
#include "ir/tile/tile.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>
#include <time.h>

typedef struct Case {
	Arena *a;
	Diags d;
	TileProgram *p;
} Case;

static const char *rendered(Case *c)
{
	Text t = text_new(c->a);
	diags_render(&c->d, &t);
	return t.at;
}

static void open_case(Case *c, const char *text)
{
	*c = (Case){.a = arena_new()};
	c->d.arena = c->a;
	c->p = tile_parse(c->a, &c->d, source_from_text(c->a, "test.tile", text, strlen(text)));
	cr_assert(c->p, "%s", rendered(c));
	tile_default_entries(c->p);
}

static bool run_case(Case *c, bool exact, const int64_t *params, void **data)
{
	TileRun r = {.exact = exact, .params = params, .data = data};
	return tile_interpret(&c->d, c->p, c->p->entries.at[0], &r);
}

static void runs(Case *c, bool exact, const int64_t *params, void **data)
{
	cr_assert(tile_verify(&c->d, c->p), "%s", rendered(c));
	cr_assert(run_case(c, exact, params, data), "%s", rendered(c));
}

/* The program is refused with a message that holds `part`. */
static void refused(const char *text, const char *part)
{
	Case c;
	open_case(&c, text);
	cr_assert_not(tile_verify(&c.d, c.p), "accepted, wanted: %s", part);
	cr_assert(strstr(rendered(&c), part), "wanted `%s` in:\n%s", part, rendered(&c));
	arena_free(c.a);
}

static void stops(const char *text, const int64_t *params, void **data, const char *part)
{
	Case c;
	open_case(&c, text);
	cr_assert_not(run_case(&c, true, params, data), "ran, wanted: %s", part);
	cr_assert(strstr(rendered(&c), part), "wanted `%s` in:\n%s", part, rendered(&c));
	arena_free(c.a);
}

static void accepted(const char *text)
{
	Case c;
	open_case(&c, text);
	cr_assert(tile_verify(&c.d, c.p), "%s", rendered(&c));
	arena_free(c.a);
}

static void fill(float *x, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		x[i] = (float)(seed >> 8) / 16777216.0f - 0.5f;
	}
}

/* --- the interpreter --- */

static const char gemm[] =
	"program gemm\n"
	"dim M in 1..384\n"
	"kernel k(in x f32[M, 768], weight w f32[768, 768] pack(32, 1), weight b f32[768], out y f32[M, 768]) {\n"
	"  par (m, mh) in 0..M by 128 {\n"
	"    par n in 0..768 by 32 {\n"
	"      split (i, h) in mh by 14 {\n"
	"        place c f32[14, 32]\n"
	"        contract c[r, j] = x[m + i + r, k] * w[k, n + j] over r < h, j < 32, k < 768\n"
	"        put y[m + i + r, n + j] = (c[r, j], b[n + j]) { c, b -> relu(c + b) } over r < h, j < 32\n"
	"      } } } }\n";

Test(tile_run, gemm)
{
	enum { M = 128, N = 768 };
	Case c;
	open_case(&c, gemm);
	float *x = NEW_ARRAY(c.a, float, M *N), *w = NEW_ARRAY(c.a, float, N *N),
		  *b = NEW_ARRAY(c.a, float, N);
	float *y = NEW_ARRAY(c.a, float, M *N);
	double *dense = NEW_ARRAY(c.a, double, N *N);
	fill(x, M * N, 1);
	fill(w, N * N, 2);
	fill(b, N, 3);
	for (size_t i = 0; i < N * N; i++) dense[i] = (double)w[i];
	int64_t dims[2] = {N, N};
	Encoding e = {.kind = ENC_PACK, .nb = 32, .kg = 1};
	void *packed = NEW_ARRAY(c.a, char, encoding_bytes(&e, DT_F32, 2, dims));
	encoding_pack(&e, DT_F32, 2, dims, dense, packed);
	clock_t begin = clock();
	runs(&c, true, (int64_t[]){M}, (void *[]){x, packed, b, y});
	cr_assert_lt((double)(clock() - begin) / CLOCKS_PER_SEC, 10.0);
	for (uint32_t i = 0; i < M; i += 37)
		for (uint32_t j = 0; j < N; j += 11) {
			double sum = 0;
			for (uint32_t k = 0; k < N; k++) sum += (double)x[i * N + k] * (double)w[k * N + j];
			sum += (double)b[j];
			cr_assert_float_eq((double)y[i * N + j], sum > 0 ? sum : 0, 1e-5);
		}
	arena_free(c.a);
}

Test(tile_run, integers_wrap_and_bf16_rounds)
{
	Case c;
	open_case(
		&c, "program p\n"
			"kernel k(in x i8[2, 3], in w i8[3, 2], in f f32[2], out y i32[2, 2], out g f32[2]) {\n"
			"  place c i32[2, 2]\n"
			"  place h bf16[2]\n"
			"  contract c[i, j] = x[i, k] * w[k, j] over i < 2, j < 2, k < 3\n"
			"  put y[i, j] = c[i, j] over i < 2, j < 2\n"
			"  bring h[i] = f[i] over i < 2\n"
			"  put g[i] = h[i] over i < 2\n"
			"}\n");
	int8_t x[6] = {1, 2, 3, -4, 5, -128}, w[6] = {7, 8, 9, 10, -11, 127};
	float f[2] = {1.00390625f, 3.0f}, g[2];
	int32_t y[4];
	runs(&c, false, NULL, (void *[]){x, w, f, y, g});
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2; j++)
			cr_assert_eq(y[i * 2 + j],
			             x[i * 3] * w[j] + x[i * 3 + 1] * w[2 + j] + x[i * 3 + 2] * w[4 + j]);
	cr_assert_eq(g[0], 1.0f); /* halfway between 1 and 1.0078125: to even */
	cr_assert_eq(g[1], 3.0f);
	runs(&c, true, NULL, (void *[]){x, w, f, y, g});
	cr_assert_eq(g[0], 1.00390625f);
	arena_free(c.a);
}

static const char convolution[] =
	"program conv\n"
	"dim H in 1..32\n"
	"dim W in 1..32\n"
	"kernel k(in x f32[H, W, 3], weight w f32[3, 3, 3, 5], out y f32[(H + 1)//2, (W + 1)//2, 5]) {\n"
	"  par oy in 0..(H + 1)//2 {\n"
	"    par (ox, n) in 0..(W + 1)//2 by 4 {\n"
	"      place c f32[4, 5]\n"
	"      contract c[i, o] = x[2*oy + ky - 1, 2*ox + 2*i + kx - 1, c] else 0 * w[ky, kx, c, o]\n"
	"        over i < n, o < 5, ky < 3, kx < 3, c < 3\n"
	"      put y[oy, ox + i, o] = c[i, o] over i < n, o < 5\n"
	"    } } }\n";

Test(tile_run, strided_padded_convolution)
{
	enum { H = 7, W = 5, OH = 4, OW = 3 };
	Case c;
	open_case(&c, convolution);
	float x[H * W * 3], w[3 * 3 * 3 * 5], y[OH * OW * 5];
	fill(x, COUNT(x), 4);
	fill(w, COUNT(w), 5);
	runs(&c, true, (int64_t[]){H, W}, (void *[]){x, w, y});
	for (int oy = 0; oy < OH; oy++)
		for (int ox = 0; ox < OW; ox++)
			for (int o = 0; o < 5; o++) {
				double sum = 0;
				for (int t = 0; t < 27; t++) {
					int iy = 2 * oy + t / 9 - 1, ix = 2 * ox + t / 3 % 3 - 1, ch = t % 3;
					if (iy < 0 || iy >= H || ix < 0 || ix >= W) continue;
					sum += (double)x[(iy * W + ix) * 3 + ch] * (double)w[t * 5 + o];
				}
				cr_assert_float_eq((double)y[(oy * OW + ox) * 5 + o], sum, 1e-5);
			}
	arena_free(c.a);
}

static const char attention[] =
	"program attn\n"
	"dim S in 1..64\n"
	"kernel k(in q f32[S, 8], in k f32[S, 8], in v f32[S, 8], out o f32[S, 8]) {\n"
	"  par (r, h) in 0..S by 16 {\n"
	"    place m f32[16]\n"
	"    place l f32[16]\n"
	"    place alpha f32[16]\n"
	"    place acc f32[16, 8]\n"
	"    map m[i], l[i] = () { -> -inf, 0.0 } over i < h\n"
	"    map acc[i, d] = () { -> 0.0 } over i < h, d < 8\n"
	"    for (j, kb) in 0..r + h by 16 {\n"
	"      place s f32[16, 16]\n"
	"      place p f32[16, 16]\n"
	"      contract s[i, c] = q[r + i, d] * k[j + c, d] over i < h, c < kb, d < 8\n"
	"      if r + 1 < j + kb {\n"
	"        map s[i, c] = (s[i, c]) { s -> select([j + c] <= [r + i], s, -inf) } over i < h, c < kb\n"
	"      }\n"
	"      softmax_step p[i, c], alpha[i], m[i], l[i] = s[i, c] scale 0.35 over i < h, c < kb\n"
	"      map acc[i, d] = (acc[i, d], alpha[i]) { a, b -> a * b } over i < h, d < 8\n"
	"      contract acc[i, d] += p[i, c] * v[j + c, d] over i < h, d < 8, c < kb\n"
	"    }\n"
	"    put o[r + i, d] = (acc[i, d], l[i]) { a, l -> a / l } over i < h, d < 8\n"
	"  } }\n";

Test(tile_run, causal_attention)
{
	enum { S = 37 };
	Case c;
	const char *text = attention;
	open_case(&c, text);
	static float q[S * 8], k[S * 8], v[S * 8], o[S * 8];
	fill(q, COUNT(q), 6);
	fill(k, COUNT(k), 7);
	fill(v, COUNT(v), 8);
	runs(&c, true, (int64_t[]){S}, (void *[]){q, k, v, o});
	for (int i = 0; i < S; i++) {
		double p[S], sum = 0, e[8] = {0};
		for (int j = 0; j <= i; j++) {
			double s = 0;
			for (int d = 0; d < 8; d++) s += (double)q[i * 8 + d] * (double)k[j * 8 + d];
			sum += p[j] = exp(0.35 * s);
		}
		for (int j = 0; j <= i; j++)
			for (int d = 0; d < 8; d++) e[d] += p[j] / sum * (double)v[j * 8 + d];
		for (int d = 0; d < 8; d++) cr_assert_float_eq((double)o[i * 8 + d], e[d], 1e-6);
	}
	arena_free(c.a);
}

Test(tile_run, order_and_gather)
{
	Case c;
	open_case(
		&c, "program p\n"
			"kernel k(in x f32[6], in ids i32[2], out top f32[3], out at i32[3], out sum f32[6],\n"
			"         out sorted f32[6], out from i32[6], out best i32[1], out rows f32[2]) {\n"
			"  place t f32[3]\n  place ti i32[3]\n  place s f32[6]\n  place so f32[6]\n"
			"  place si i32[6]\n  place b i32[1]\n"
			"  topk t[q], ti[q] = x[i] along i over i < 6, q < 3\n"
			"  put top[q] = t[q] over q < 3\n"
			"  put at[q] = ti[q] over q < 3\n"
			"  scan sum s[i] = x[i] along i over i < 6\n"
			"  put sum[i] = s[i] over i < 6\n"
			"  sort so[i], si[i] = x[i] along i over i < 6\n"
			"  put sorted[i] = so[i] over i < 6\n"
			"  put from[i] = si[i] over i < 6\n"
			"  reduce argmax b[0] = x[i] over i < 6\n"
			"  put best[0] = b[0]\n"
			"  put rows[i] = x[rows(ids[i])] over i < 2\n"
			"}\n");
	float x[6] = {1, 5, -2, 5, 0, 3}, top[3], sum[6], sorted[6], rows[2];
	int32_t ids[2] = {5, 2}, at[3], from[6], best[1];
	runs(&c, false, NULL, (void *[]){x, ids, top, at, sum, sorted, from, best, rows});
	cr_assert_arr_eq(top, ((float[]){5, 5, 3}), sizeof top);
	cr_assert_arr_eq(at, ((int32_t[]){1, 3, 5}), sizeof at);
	cr_assert_arr_eq(sum, ((float[]){1, 6, 4, 9, 9, 12}), sizeof sum);
	cr_assert_arr_eq(sorted, ((float[]){-2, 0, 1, 3, 5, 5}), sizeof sorted);
	cr_assert_arr_eq(from, ((int32_t[]){2, 4, 0, 5, 1, 3}), sizeof from);
	cr_assert_eq(best[0], 1);
	cr_assert_arr_eq(rows, ((float[]){3, -2}), sizeof rows);
	ids[1] = 6;
	cr_assert_not(
		run_case(&c, false, NULL, (void *[]){x, ids, top, at, sum, sorted, from, best, rows}));
	cr_assert(strstr(rendered(&c), "`x` is accessed at [6]"), "%s", rendered(&c));
	arena_free(c.a);
}

Test(tile_run, layers_state_and_arena)
{
	Case c;
	open_case(&c, "program p\n"
	              "state pos in 0..3\n"
	              "require pos <= 2\n"
	              "in x f32[4]\n"
	              "weight w f32[2, 4] key \"w\"\n"
	              "state cache f32[3, 4]\n"
	              "arena h f32[4]\n"
	              "out y f32[4]\n"
	              "kernel copy(in x f32[4], out h f32[4]) { put h[i] = x[i] over i < 4 }\n"
	              "kernel scale(arena h f32[4], weight w f32[4]) {\n"
	              "  put h[i] = (h[i], w[i]) { h, w -> h * w } over i < 4 }\n"
	              "kernel keep(in h f32[4], state cache f32[3, 4], out y f32[4]) {\n"
	              "  put cache[pos, i] = h[i] over i < 4\n"
	              "  place s f32[4]\n"
	              "  reduce sum s[i] = cache[j, i] over i < 4, j < pos + 1\n"
	              "  put y[i] = s[i] over i < 4 }\n"
	              "entry step(x) -> (y) {\n"
	              "  launch copy(x, h)\n"
	              "  loop l < 2 { launch scale(h, w[l]) }\n"
	              "  launch keep(h, cache, y)\n"
	              "  set pos = pos + 1 }\n");
	float x[4] = {1, 2, 3, 4}, w[8] = {1, 2, 3, 4, 2, 2, 2, 2}, cache[12] = {10, 20, 30, 40}, y[4];
	void *data[5] = {x, w, cache, NULL, y};
	runs(&c, false, (int64_t[]){1}, data);
	cr_assert_arr_eq(y, ((float[]){12, 28, 48, 72}), sizeof y);
	cr_assert_arr_eq(cache + 4, ((float[]){2, 8, 18, 32}), 16);
	cr_assert_not(run_case(&c, false, (int64_t[]){3}, data));
	cr_assert(strstr(rendered(&c), "the requirement `pos <= 2` does not hold"), "%s", rendered(&c));
	arena_free(c.a);
}

/* --- what the interpreter stops at --- */

Test(tile_run, stops)
{
	float x[8] = {0}, y[8];
	int32_t n[1] = {9};
	stops("program p\nkernel k(in x f32[8], out y f32[8]) {\n  place t f32[8]\n"
	      "  bring t[i] = x[i] over i < 4\n  put y[i] = t[i] over i < 8 }\n",
	      NULL, (void *[]){x, y}, "element [4] of `t` is read before it was written");
	stops(
		"program p\nkernel k(in x f32[8], out y f32[8]) {\n  for j in 0..2 {\n    place t f32[1]\n"
		"    if j < 1 { map t[0] = () { -> 1.0 } }\n    put y[i + 4*j] = t[0] over i < 4 } }\n",
		NULL, (void *[]){x, y}, "element [0] of `t` is read before it was written");
	stops("program p\nkernel k(in x f32[8], out y f32[8]) { put y[i] = x[i] over i < 7 }\n", NULL,
	      (void *[]){x, y}, "element [7] of `y` was never written");
	stops("program p\nkernel k(in x f32[8], out y f32[8]) { put y[i] = x[i + 1] over i < 8 }\n",
	      NULL, (void *[]){x, y}, "`x` is accessed at [8], outside of its dims [8]");
	stops(
		"program p\nkernel k(in n i32[1], in x f32[8], out y f32[8]) {\n  index r = n[0] in 0..8\n"
		"  put y[i] = x[r] over i < 8 }\n",
		NULL, (void *[]){n, x, y}, "the index `r` is 9, outside of 0..8");
	stops(
		"program p\ndim n in 1..8\nkernel k(in x f32[n], out y f32[n]) { put y[i] = x[i] over i < n }\n",
		(int64_t[]){9}, (void *[]){x, y}, "`n` is 9, outside of 1..8");
}

Test(tile_run, step_limit)
{
	Case c;
	float y[1];
	open_case(
		&c, "program p\nkernel k(out y f32[1]) {\n  for i in 0..1000000000000 { place t f32[1] }\n"
			"  put y[i] = () { -> 1.0 } over i < 1 }\n");
	TileRun r = {.exact = true, .data = (void *[]){y}, .steps_left = 1000};
	cr_assert_not(tile_interpret(&c.d, c.p, c.p->entries.at[0], &r));
	cr_assert(strstr(rendered(&c), "the limit of steps is reached"));
	arena_free(c.a);
}

/* --- the verifier --- */

Test(tile_verify, proves)
{
	accepted(gemm);
	accepted(convolution);
	accepted(attention);
	/* whole tiles without a length: the last offset is known when the extent divides */
	accepted("program p\nkernel k(in x f32[96], out y f32[96]) {\n  par n in 0..96 by 32 {\n"
	         "    put y[n + i] = x[n + i] over i < 32 } }\n");
	/* a required relation */
	accepted("program p\ndim S in 1..64\nstate pos in 0..64\nrequire pos + S <= 64\n"
	         "kernel k(in x f32[S], state c f32[64]) { put c[pos + i] = x[i] over i < S }\n");
	/* what an if says */
	accepted(
		"program p\ndim S in 1..64\nkernel k(in x f32[S], out y f32[S]) {\n  for i in 0..64 {\n"
		"    if i < S { put y[i] = x[i] } } }\n");
	/* grouped heads: floor division of a loop variable */
	accepted(
		"program p\ndim S in 1..64\nkernel k(in k f32[2, S], out y f32[8, S]) {\n  par h in 0..8 {\n"
		"    put y[h, i] = k[h//4, i] over i < S } }\n");
	/* an index from data */
	accepted(
		"program p\nkernel k(in n i32[1], in x f32[8], out y f32[8]) {\n  index r = n[0] in 0..8\n"
		"  put y[i] = x[r] over i < 8 }\n");
}

Test(tile_verify, refuses)
{
	refused("program p\nkernel k(in x f32[8], out y f32[8]) { put y[i] = x[i + 1] over i < 8 }\n",
	        "cannot prove that `x[i + 1]` stays inside of `x`");
	refused(
		"program p\ndim S in 1..64\nkernel k(in x f32[S], out y f32[S]) { put y[i] = x[i] over i < 64 }\n",
		"cannot prove that `");
	refused("program p\nkernel k(in x f32[100], out y f32[100]) {\n  par n in 0..100 by 32 {\n"
	        "    put y[n + i] = x[n + i] over i < 32 } }\n",
	        "stays inside of");
	refused("program p\nkernel k(in x f32[8], out y f32[8]) {\n  place t f32[4]\n"
	        "  bring t[i] = x[i] over i < 8\n  put y[i] = x[i] over i < 8 }\n",
	        "cannot prove that `t[i]` stays inside of `t`");
	refused(
		"program p\nkernel k(in x f32[8], out y f32[8]) {\n  place t f32[8]\n  par n in 0..8 {\n"
		"    map t[n] = (x[n]) { a -> a + a }\n    put y[n] = t[n] } }\n",
		"the place `t` is written in a par loop");
	refused("program p\nkernel k(in x f32[8], out y f32[8]) {\n  par n in 0..8 {\n"
	        "    put y[i] = x[n] over i < 8 } }\n",
	        "every iteration of the par loop over `n` writes the same elements `y[i]`");
	refused("program p\nkernel k(in x f32[8], out y f32[8]) { put x[i] = y[i] over i < 8 }\n",
	        "`x` is written, but it is an input");
	refused("program p\nkernel k(in x f32[8], out y f32[8]) { put y[0] = x[i] over i < 8 }\n",
	        "`y[0]` is written several times: it does not mention `i`");
	refused("program p\nkernel k(in x f32[8], out y f32[8]) {\n"
	        "  put y[i] = (x[i]) { a -> select(a, a, a) } over i < 8 }\n",
	        "is no boolean");
	refused("program p\nkernel k(in x f32[8], out y f32[8]) {\n  place s f32[8]\n"
	        "  map s[i] = () { -> 1.0 } over i < 8\n"
	        "  map s[i] = (s[7 - i]) { a -> a * a } over i < 8\n  put y[i] = s[i] over i < 8 }\n",
	        "`s[i]` is written while `s[-i + 7]` is read");
	refused("program p\nkernel k(state x f32[8], out y f32[8]) {\n  place s f32[8]\n"
	        "  bring s[i] = x[i] over i < 8\n  put x[i] = (s[i]) { a -> -a } over i < 8\n"
	        "  put y[i] = s[i] over i < 8 }\n",
	        "`x` is written while `s` holds a snapshot of it");
	refused("program p\nin x f32[8]\nout y f32[4]\nkernel k(in x f32[8], out y f32[8]) {\n"
	        "  put y[i] = x[i] over i < 8 }\nentry e(x) -> (y) { launch k(x, y) }\n",
	        "`y` has 4 elements where `y` of kernel `k` has 8");
	refused("program p\nin x f32[8]\nout y f32[8]\nkernel k(in x f32[8], out y f32[8]) {\n"
	        "  put y[i] = x[i] over i < 8 }\nentry e(x) -> (y) { launch k(y, x) }\n",
	        "kernel `k` writes `y`, but `x` is not");
}
