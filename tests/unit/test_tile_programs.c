/* The programs of tests/tile/programs mean what their heads say: the tile interpreter against plain
 * loops in double, at odd sizes. Backends are held against the interpreter elsewhere. */
#include "ir/tile/tile.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

typedef struct Program {
	Arena *arena;
	TileProgram *p;
	int64_t params[4];
	void **data;
	int64_t (*dims)[TILE_RANK];
	uint64_t random;
} Program;

static bool value_of(void *ctx, const DimSym *s, int64_t *out)
{
	const Program *c = ctx;
	for (size_t i = 0; i < c->p->params.n; i++)
		if (c->p->params.at[i] == s) {
			*out = c->params[i];
			return true;
		}
	return false;
}

static void messages(const Diags *d)
{
	if (d->list.n) diags_print(d, stderr);
}

static int64_t count_of(const Program *c, uint32_t b)
{
	int64_t n = 1;
	for (uint32_t i = 0; i < c->p->bufs.at[b]->rank; i++) n *= c->dims[b][i];
	return n;
}

static double next_value(Program *c, DType t)
{
	c->random = c->random * 6364136223846793005u + 1442695040888963407u;
	int64_t r = (int64_t)(c->random >> 40);
	if (t == DT_I32) return (double)(r % 50);
	if (t == DT_I8) return (double)(r % 255 - 127);
	return (double)r / (1 << 23) - 1;
}

static void fill(Program *c, uint32_t b)
{
	const TileObj *o = c->p->bufs.at[b];
	for (uint32_t i = 0; i < o->rank; i++)
		cr_assert(dim_eval(o->dims[i], value_of, c, &c->dims[b][i]));
	if (o->kind == TB_ARENA) return;
	int64_t n = count_of(c, b), bytes = encoding_bytes(&o->enc, o->dtype, o->rank, c->dims[b]);
	cr_assert_geq(bytes, 0);
	c->data[b] = arena_alloc(c->arena, (size_t)bytes);
	if (o->kind == TB_OUT) return;
	double *dense = NEW_ARRAY(c->arena, double, n);
	for (int64_t i = 0; i < n; i++)
		dense[i] = o->literal ? dtype_load(o->dtype, o->literal, i) : next_value(c, o->dtype);
	encoding_pack(&o->enc, o->dtype, o->rank, c->dims[b], dense, c->data[b]);
}

/* Runs the only entry; params in the program's order. */
static Program run(const char *name, int64_t p0, int64_t p1, int64_t p2)
{
	Program c = {.arena = arena_new(), .params = {p0, p1, p2}, .random = 12345};
	Diags d = {.arena = c.arena};
	const char *why = NULL,
			   *path = arena_printf(c.arena, "%s/tile/programs/%s.tile", NACRE_TESTS_DIR, name);
	const Source *s = source_from_file(c.arena, path, &why);
	cr_assert(s, "%s: %s", path, why);
	c.p = tile_parse(c.arena, &d, s);
	messages(&d);
	cr_assert(c.p && tile_verify(&d, c.p), "%s is refused", path);
	Text one = text_new(c.arena), two = text_new(c.arena);
	tile_print(&one, c.p);
	tile_print(&two, tile_parse(c.arena, &d, source_from_text(c.arena, "printed", one.at, one.n)));
	cr_assert_str_eq(one.at, two.at);
	c.data = NEW_ARRAY(c.arena, void *, c.p->bufs.n);
	c.dims = arena_array(c.arena, c.p->bufs.n, sizeof *c.dims);
	for (uint32_t b = 0; b < c.p->bufs.n; b++) fill(&c, b);
	TileRun r = {.exact = true, .params = c.params, .data = c.data};
	bool ran = !c.p->prepack || tile_interpret(&d, c.p, c.p->prepack, &r);
	ran = ran && tile_interpret(&d, c.p, c.p->entries.at[0], &r);
	messages(&d);
	cr_assert(ran, "%s fails", path);
	return c;
}

/* The logical values of a buffer, after the call. */
static const double *values(const Program *c, const char *name)
{
	for (uint32_t b = 0; b < c->p->bufs.n; b++) {
		const TileObj *o = c->p->bufs.at[b];
		if (strcmp(o->name, name) != 0) continue;
		double *dense = NEW_ARRAY(c->arena, double, count_of(c, b) + 1);
		encoding_unpack(&o->enc, o->dtype, o->rank, c->dims[b], c->data[b], dense);
		return dense;
	}
	cr_assert_fail("no buffer %s", name);
	return NULL;
}

static void finish(Program *c)
{
	arena_free(c->arena);
}

static double *zeros(const Program *c, int64_t n)
{
	return NEW_ARRAY(c->arena, double, n + 1);
}

static void agree(const Program *c, const char *name, const double *want, int64_t n,
                  double tolerance)
{
	const double *got = values(c, name);
	double most = 0, error = 0;
	for (int64_t i = 0; i < n; i++) {
		most = fmax(most, fabs(want[i]));
		cr_assert(!isnan(got[i]), "%s: %s[%lld] is nan", c->p->name, name, (long long)i);
		error = fmax(error, fabs(got[i] - want[i]));
	}
	cr_assert_leq(error, tolerance * most, "%s: %s differs by %g of %g", c->p->name, name, error,
	              most);
}

static double gelu(double x)
{
	return x * (1 + erf(x / sqrt(2))) / 2;
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* c[m, n] += a[m, k] * b[k, n] */
static void product(double *c, const double *a, const double *b, int64_t m, int64_t n, int64_t k)
{
	for (int64_t i = 0; i < m; i++)
		for (int64_t x = 0; x < k; x++)
			for (int64_t j = 0; j < n; j++) c[i * n + j] += a[i * k + x] * b[x * n + j];
}

static const int64_t rows[] = {1, 7, 12, 13, 130};

Test(programs, gemm)
{
	static const struct {
		const char *name;
		int64_t n;
		double tolerance;
	} list[] = {{"gemm_gelu", 160, 1e-6}, {"gemm_bf16", 150, 4e-3}};
	for (size_t i = 0; i < COUNT(rows) * COUNT(list); i++) {
		int64_t m = rows[i / 2], n = list[i % 2].n;
		Program c = run(list[i % 2].name, m, 0, 0);
		const double *b = values(&c, "b");
		double *y = zeros(&c, m * n);
		product(y, values(&c, "x"), values(&c, "w"), m, n, 96);
		for (int64_t k = 0; k < m * n; k++) y[k] = gelu(y[k] + b[k % n]);
		agree(&c, "y", y, m * n, list[i % 2].tolerance);
		finish(&c);
	}
}

Test(programs, gemm_i8)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t m = rows[i];
		Program c = run("gemm_i8", m, 0, 0);
		const double *b = values(&c, "b"), *x = values(&c, "x"), *ws = values(&c, "ws");
		double *y = zeros(&c, m * 160), *q = zeros(&c, m * 96), *s = zeros(&c, m);
		for (int64_t r = 0; r < m; r++) {
			for (int64_t k = 0; k < 96; k++) s[r] = fmax(s[r], fabs(x[r * 96 + k]) / 127);
			for (int64_t k = 0; k < 96; k++) q[r * 96 + k] = rint(x[r * 96 + k] / s[r]);
		}
		product(y, q, values(&c, "w"), m, 160, 96);
		for (int64_t k = 0; k < m * 160; k++)
			y[k] = gelu(y[k] * s[k / 160] * ws[k % 160] + b[k % 160]);
		agree(&c, "y", y, m * 160, 1e-5);
		finish(&c);
	}
}

Test(programs, swiglu)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t m = rows[i];
		Program c = run("swiglu", m, 0, 0);
		double *g = zeros(&c, m * 192), *y = zeros(&c, m * 96);
		product(g, values(&c, "x"), values(&c, "w"), m, 192, 64);
		for (int64_t k = 0; k < m * 96; k++) {
			const double *at = g + k / 96 * 192 + k % 96 / 16 * 32 + k % 16;
			y[k] = at[0] * sigmoid(at[0]) * at[16];
		}
		agree(&c, "y", y, m * 96, 1e-6);
		finish(&c);
	}
}

Test(programs, gemv_i4)
{
	Program c = run("gemv_i4", 0, 0, 0);
	const double *b = values(&c, "b");
	double *y = zeros(&c, 104);
	product(y, values(&c, "x"), values(&c, "w"), 1, 104, 256);
	for (int64_t i = 0; i < 104; i++) y[i] += b[i];
	agree(&c, "y", y, 104, 1e-6);
	finish(&c);
}

/* 3x3, padded by 1; filters [3, 3, from, to], or one a channel when to is 0 */
static double *conv(const Program *c, const double *x, const double *w, int64_t batch,
                    int64_t height, int64_t width, int64_t from, int64_t to, int64_t stride)
{
	int64_t oh = (height - 1) / stride + 1, ow = (width - 1) / stride + 1, n = to ? to : from;
	double *y = zeros(c, batch * oh * ow * n);
	for (int64_t o = 0; o < batch * oh * ow; o++)
		for (int64_t tap = 0; tap < 9; tap++) {
			int64_t iy = o / ow % oh * stride + tap / 3 - 1, ix = o % ow * stride + tap % 3 - 1;
			if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
			const double *at = x + ((o / ow / oh * height + iy) * width + ix) * from;
			if (to)
				product(y + o * n, at, w + tap * from * to, 1, to, from);
			else
				for (int64_t k = 0; k < n; k++) y[o * n + k] += at[k] * w[tap * n + k];
		}
	return y;
}

Test(programs, conv3x3)
{
	Program c = run("conv3x3", 3, 0, 0);
	const double *b1 = values(&c, "b1"), *b2 = values(&c, "b2");
	double *h = conv(&c, values(&c, "x"), values(&c, "w1"), 3, 17, 29, 8, 32, 1);
	for (int64_t i = 0; i < 3 * 17 * 29 * 32; i++) h[i] = fmax(h[i] + b1[i % 32], 0);
	double *y = conv(&c, h, values(&c, "w2"), 3, 17, 29, 32, 40, 2);
	for (int64_t i = 0; i < 3 * 9 * 15 * 40; i++) y[i] += b2[i % 40];
	agree(&c, "y", y, 3 * 9 * 15 * 40, 1e-6);
	finish(&c);
}

Test(programs, depthwise_pool)
{
	Program c = run("depthwise_pool", 2, 0, 0);
	double *h = conv(&c, values(&c, "x"), values(&c, "w"), 2, 13, 21, 24, 0, 1), *y = zeros(&c, 48);
	for (int64_t o = 0; o < 2 * 7 * 11 * 24; o++) {
		int64_t n = o / 24 / 11 / 7, oy = o / 24 / 11 % 7, ox = o / 24 % 11, ch = o % 24;
		double most = -INFINITY;
		for (int64_t iy = 2 * oy - 1; iy < 2 * oy + 2; iy++)
			for (int64_t ix = 2 * ox - 1; ix < 2 * ox + 2; ix++)
				if (iy >= 0 && iy < 13 && ix >= 0 && ix < 21)
					most = fmax(most, fmax(h[((n * 13 + iy) * 21 + ix) * 24 + ch], 0));
		y[n * 24 + ch] += most / 77;
	}
	agree(&c, "y", y, 48, 1e-6);
	finish(&c);
}

Test(programs, attention)
{
	static const int64_t sizes[][3] = {
		{64, 1, 0}, {64, 1, 63}, {256, 33, 0}, {200, 100, 97}, {5, 3, 2}};
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int64_t t = sizes[i][0], s = sizes[i][1], pos = sizes[i][2];
		Program c = run("attention", t, s, pos);
		const double *q = values(&c, "q"), *k = values(&c, "k"), *keys = values(&c, "keys"),
					 *vs = values(&c, "values");
		double *o = zeros(&c, s * 128), *p = zeros(&c, t);
		for (int64_t r = 0; r < s * 4; r++) {
			int64_t row = r / 4, g = r % 4 / 2, seen = pos + row + 1;
			const double *kg = keys + g * t * 32, *vg = vs + g * t * 32;
			double most = -INFINITY, sum = 0;
			for (int64_t d = 0; d < 32; d++)
				cr_assert_eq(kg[(pos + row) * 32 + d], k[(row * 2 + g) * 32 + d]);
			for (int64_t j = 0; j < seen; j++) {
				p[j] = 0;
				for (int64_t d = 0; d < 32; d++) p[j] += q[r * 32 + d] * kg[j * 32 + d] / sqrt(32);
				most = fmax(most, p[j]);
			}
			for (int64_t j = 0; j < seen; j++) sum += p[j] = exp(p[j] - most);
			product(o + r * 32, p, vg, 1, 32, seen);
			for (int64_t d = 0; d < 32; d++) o[r * 32 + d] /= sum;
		}
		agree(&c, "o", o, s * 128, 1e-6);
		finish(&c);
	}
}

Test(programs, norms)
{
	static const int64_t sizes[][2] = {{1, 1}, {9, 129}, {3, 700}};
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int64_t m = sizes[i][0], n = sizes[i][1];
		Program c = run("norms", m, n, 0);
		const double *x = values(&c, "x"), *gain = values(&c, "gain"), *shift = values(&c, "shift");
		double *y = zeros(&c, m * n);
		for (int64_t r = 0; r < m; r++) {
			double most = -INFINITY, sum = 0, mean = 1.0 / (double)n, variance = 0,
				   *row = y + r * n;
			for (int64_t j = 0; j < n; j++) most = fmax(most, x[r * n + j]);
			for (int64_t j = 0; j < n; j++) sum += row[j] = exp(x[r * n + j] - most);
			for (int64_t j = 0; j < n; j++) row[j] /= sum;
			for (int64_t j = 0; j < n; j++)
				variance += (row[j] - mean) * (row[j] - mean) / (double)n;
			for (int64_t j = 0; j < n; j++)
				row[j] = (row[j] - mean) / sqrt(variance + 1e-5) * gain[j] + shift[j];
		}
		agree(&c, "y", y, m * n, 1e-6);
		finish(&c);
	}
}

Test(programs, embedding)
{
	for (int64_t s = 1; s < 100; s += 36) {
		Program c = run("embedding", s, 0, 0);
		const double *ids = values(&c, "ids"), *table = values(&c, "table"),
					 *at = values(&c, "positions");
		double *y = zeros(&c, s * 48);
		for (int64_t i = 0; i < s * 48; i++)
			y[i] = table[(int64_t)ids[i / 48] * 48 + i % 48] + at[i];
		agree(&c, "y", y, s * 48, 1e-6);
		agree(&c, "first", table + (int64_t)ids[0] * 48, 48, 0);
		finish(&c);
	}
}

Test(programs, moe)
{
	static const int64_t items[] = {1, 13, 96};
	for (size_t i = 0; i < COUNT(items); i++) {
		int64_t m = items[i];
		Program c = run("moe", m, 0, 0);
		const double *ids = values(&c, "ids"), *x = values(&c, "x"), *w = values(&c, "w");
		double *y = zeros(&c, m * 48);
		for (int64_t r = 0; r < m; r++)
			product(y + r * 48, x + r * 40, w + (int64_t)ids[r] % 4 * 40 * 48, 1, 48, 40);
		for (int64_t k = 0; k < m * 48; k++) y[k] = fmax(y[k], 0);
		agree(&c, "y", y, m * 48, 1e-6);
		finish(&c);
	}
}

Test(programs, transpose)
{
	for (int64_t m = 1; m < 100; m += 49) {
		Program c = run("transpose", m, 0, 0);
		const double *x = values(&c, "x"), *z = values(&c, "z");
		double *y = zeros(&c, m * 70), *u = zeros(&c, m * 185);
		for (int64_t k = 0; k < m * 70; k++) y[k] = x[k % m * 70 + k / m];
		for (int64_t k = 0; k < m * 185; k++)
			u[k] = z[(k / 5 % m * 5 + k % 5) * 37 + k / 5 / m] / 2;
		agree(&c, "y", y, m * 70, 0);
		agree(&c, "u", u, m * 185, 4e-3);
		finish(&c);
	}
}

Test(programs, lstm)
{
	static const int64_t sizes[][2] = {{1, 1}, {9, 5}, {100, 16}};
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int64_t s = sizes[i][0], batch = sizes[i][1];
		Program c = run("lstm", s, batch, 0);
		const double *x = values(&c, "x"), *w = values(&c, "w"), *u = values(&c, "u"),
					 *b = values(&c, "b");
		double *y = zeros(&c, s * batch * 32), *cell = zeros(&c, batch * 32),
			   *h = zeros(&c, batch * 32);
		for (int64_t t = 0; t < s; t++) {
			double *g = zeros(&c, batch * 128);
			product(g, x + t * batch * 24, w, batch, 128, 24);
			product(g, h, u, batch, 128, 32);
			for (int64_t k = 0; k < batch * 128; k++) g[k] += b[k % 128];
			for (int64_t k = 0; k < batch * 32; k++) {
				const double *at = g + k / 32 * 128 + k % 32;
				cell[k] = sigmoid(at[32]) * cell[k] + sigmoid(at[0]) * tanh(at[64]);
				y[t * batch * 32 + k] = h[k] = sigmoid(at[96]) * tanh(cell[k]);
			}
		}
		agree(&c, "y", y, s * batch * 32, 1e-6);
		agree(&c, "cell", cell, batch * 32, 1e-6);
		finish(&c);
	}
}

Test(programs, layers)
{
	for (int64_t m = 1; m < 41; m += 39) {
		Program c = run("layers", m, 0, 0);
		const double *x = values(&c, "x"), *raw = values(&c, "raw"), *scale = values(&c, "scale");
		double *h = zeros(&c, m * 32), *top = zeros(&c, m * 5), *at = zeros(&c, m * 5),
			   *best = zeros(&c, m);
		double *ordered = zeros(&c, m * 32), *order = zeros(&c, m * 32),
			   *running = zeros(&c, m * 32), *w = zeros(&c, 1024);
		for (int64_t k = 0; k < m * 32; k++) h[k] = x[k] * scale[k % 32 / 8];
		for (int64_t l = 0; l < 3; l++) {
			double *t = zeros(&c, m * 32);
			for (int64_t k = 0; k < 1024; k++)
				w[k] = dtype_round(DT_BF16, raw[l * 1024 + k % 32 * 32 + k / 32]);
			product(t, h, w, m, 32, 32);
			for (int64_t k = 0; k < m * 32; k++) h[k] += tanh(t[k]);
		}
		for (int64_t k = 0; k < m * 32; k++) {
			const double *row = h + k / 32 * 32;
			int64_t place = 0, q;
			for (int64_t j = 0; j < 32; j++) place += row[j] < h[k];
			ordered[k / 32 * 32 + place] = h[k];
			order[k / 32 * 32 + place] = (double)(k % 32);
			running[k] = fmax(k % 32 ? running[k - 1] : 0, fabs(h[k]));
			if ((q = 31 - place) >= 5) continue;
			top[k / 32 * 5 + q] = h[k];
			at[k / 32 * 5 + q] = (double)(k % 32);
			if (!q) best[k / 32] = (double)(k % 32);
		}
		agree(&c, "y", h, m * 32, 1e-6);
		agree(&c, "values", top, m * 5, 1e-6);
		agree(&c, "places", at, m * 5, 0);
		agree(&c, "ordered", ordered, m * 32, 1e-6);
		agree(&c, "order", order, m * 32, 0);
		agree(&c, "running", running, m * 32, 1e-6);
		agree(&c, "best", best, m, 0);
		finish(&c);
	}
}
