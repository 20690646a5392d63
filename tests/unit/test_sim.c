/* The simulator against naive loops: the data of every instruction, choices, and what traps. */
#include "isa/isa.h"
#include "pearl_bench.h"
#include "runtime/sim/sim.h"
#include "support/support.h"

/* The stated order of a sum: segments of 32 that start anew at tiles of `depth`. */
static float dot(const float *a, int64_t a_step, const float *w, int64_t w_step, int64_t k,
                 int64_t depth, float sum)
{
	int64_t segment = depth < 32 ? depth : 32;
	for (int64_t tile = 0; tile < k; tile += depth)
		for (int64_t s = tile; s < k && s < tile + depth; s += segment) {
			float part = 0;
			for (int64_t i = s; i < k && i < tile + depth && i < s + segment; i++)
				part = fmaf(a[i * a_step], w[i * w_step], part);
			sum += part;
		}
	return sum;
}

/* C = A W through SPM and ACC, drained as f32. */
static void check_gemm(const char *machine, int64_t m, int64_t k, int64_t n, bool transposed,
                       bool accumulate)
{
	Bench b;
	begin(&b, machine);
	float *a = calloc((size_t)(m * k), 4), *w = calloc((size_t)(k * n), 4),
		  *y = calloc((size_t)(m * n), 4);
	for (int64_t i = 0; i < m * k; i++) a[i] = random_float();
	for (int64_t i = 0; i < k * n; i++) w[i] = random_float();
	int64_t wat = 65536, yat = 131072;
	insn(&b, I_L_DMA, dense(&b, SPACE_SPM, PDT_F32, 0, DIMS(m, k)),
	     dense(&b, SPACE_HBM, PDT_F32, 0, DIMS(m, k)), NONE, NONE);
	insn(&b, I_L_DMA, dense(&b, SPACE_SPM, PDT_F32, wat, DIMS(k * n)),
	     dense(&b, SPACE_HBM, PDT_F32, 1 << 20, DIMS(k * n)), NONE, NONE);
	PearlDesc wd = desc(&b, SPACE_SPM, PDT_F32, wat, DIMS(1, 1, k, n));
	if (transposed) wd.stride[2] = 4, wd.stride[3] = k * 4;
	uint8_t c = dense(&b, SPACE_ACC, PDT_F32, 0, DIMS(1, m, n)),
			ad = dense(&b, SPACE_SPM, PDT_F32, 0, DIMS(1, m, 1, 1, k)), ws = load(&b, &wd);
	insn(&b, I_M_GEMM, c, ad, ws, NONE)->field[F_MUL_trans] = transposed;
	if (accumulate) insn(&b, I_M_GEMM, c, ad, ws, NONE)->field[F_MUL_accumulate] = 1;
	PearlInsn *drain = insn(&b, I_D_DRAIN, dense(&b, SPACE_SPM, PDT_F32, yat, DIMS(m, n)),
	                        dense(&b, SPACE_ACC, PDT_F32, 0, DIMS(m, n)), NONE, NONE);
	drain->field[F_DRAIN_act] = VF_COPY;
	drain->field[F_DRAIN_scale] = bits(1);
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 1 << 21, DIMS(m, n)),
	     dense(&b, SPACE_SPM, PDT_F32, yat, DIMS(m, n)), NONE, NONE);
	/* only core 0 */
	make(&b);
	put_floats(&b, 0, a, (size_t)(m * k));
	put_floats(&b, 1 << 20, w, (size_t)(k * n));
	run(&b);
	get_floats(&b, 1 << 21, y, (size_t)(m * n));
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			const float *col = transposed ? w + j * k : w + j;
			float want = dot(a + i * k, 1, col, transposed ? 1 : n, k, b.machine.array_rows, 0);
			if (accumulate)
				want = dot(a + i * k, 1, col, transposed ? 1 : n, k, b.machine.array_rows, want);
			cr_assert(memcmp(&want, &y[i * n + j], 4) == 0,
			          "%lld %lld %lld: [%lld,%lld] %a is not %a", (long long)m, (long long)k,
			          (long long)n, (long long)i, (long long)j, (double)y[i * n + j], (double)want);
		}
	free(a), free(w), free(y);
	end(&b);
}

Test(sim, gemm_sums_in_the_stated_order)
{
	static const int64_t shape[][3] = {{1, 1, 1},    {1, 33, 64},   {7, 100, 17}, {13, 64, 64},
	                                   {64, 129, 3}, {100, 40, 33}, {5, 31, 2}};
	for (size_t i = 0; i < COUNT(shape); i++)
		for (int v = 0; v < 4; v++)
			check_gemm("base", shape[i][0], shape[i][1], shape[i][2], v & 1, v & 2);
	check_gemm("nano", 9, 50, 16, false, true);
}

Test(sim, convolution_is_a_gemm_over_five_dims)
{
	enum { H = 6, W = 7, C = 5, N = 9, Y = H - 2, X = W - 2 };
	static float in[H * W * C], w[9 * C * N], y[Y * X * N];
	Bench b;
	begin(&b, "base");
	for (size_t i = 0; i < COUNT(in); i++) in[i] = random_float();
	for (size_t i = 0; i < COUNT(w); i++) w[i] = random_float();
	insn(&b, I_L_DMA, dense(&b, SPACE_SPM, PDT_F32, 0, DIMS(COUNT(in))),
	     dense(&b, SPACE_HBM, PDT_F32, 0, DIMS(COUNT(in))), NONE, NONE);
	insn(&b, I_L_DMA, dense(&b, SPACE_SPM, PDT_F32, 8192, DIMS(COUNT(w))),
	     dense(&b, SPACE_HBM, PDT_F32, 65536, DIMS(COUNT(w))), NONE, NONE);
	PearlDesc a = desc(&b, SPACE_SPM, PDT_F32, 0, DIMS(Y, X, 3, 3, C));
	const int64_t stride[5] = {W * C * 4, C * 4, W * C * 4, C * 4, 4};
	memcpy(a.stride, stride, sizeof stride);
	insn(&b, I_M_GEMM, dense(&b, SPACE_ACC, PDT_F32, 0, DIMS(Y, X, N)), load(&b, &a),
	     dense(&b, SPACE_SPM, PDT_F32, 8192, DIMS(3, 3, C, N)), NONE);
	insn(&b, I_V_UN, dense(&b, SPACE_SPM, PDT_F32, 32768, DIMS(Y, X, N)),
	     dense(&b, SPACE_ACC, PDT_F32, 0, DIMS(Y, X, N)), NONE, NONE)
		->field[F_VEC_func] = VF_COPY;
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 1 << 20, DIMS(Y, X, N)),
	     dense(&b, SPACE_SPM, PDT_F32, 32768, DIMS(Y, X, N)), NONE, NONE);
	make(&b);
	put_floats(&b, 0, in, COUNT(in));
	put_floats(&b, 65536, w, COUNT(w));
	run(&b);
	get_floats(&b, 1 << 20, y, COUNT(y));
	for (int i = 0; i < Y; i++)
		for (int j = 0; j < X; j++)
			for (int n = 0; n < N; n++) {
				float want = 0;
				for (int k = 0; k < 3; k++)
					want = dot(in + ((i + k) * W + j) * C, 1, w + k * 3 * C * N + n, N, 3 * C, 64,
					           want);
				cr_assert(memcmp(&want, &y[(i * X + j) * N + n], 4) == 0);
			}
	end(&b);
}

Test(sim, bytes_multiply_to_i32)
{
	enum { M = 5, K = 70, N = 20 };
	static int8_t a[M * K], w[K * N];
	static int32_t y[M * N];
	Bench b;
	begin(&b, "base");
	for (int i = 0; i < M * K; i++) a[i] = (int8_t)(random_float() * 127);
	for (int i = 0; i < K * N; i++) w[i] = (int8_t)(random_float() * 127);
	insn(&b, I_L_DMA, dense(&b, SPACE_SPM, PDT_I8, 0, DIMS(M * K)),
	     dense(&b, SPACE_HBM, PDT_I8, 0, DIMS(M * K)), NONE, NONE);
	insn(&b, I_L_DMA, dense(&b, SPACE_SPM, PDT_I8, 8192, DIMS(K * N)),
	     dense(&b, SPACE_HBM, PDT_I8, 8192, DIMS(K * N)), NONE, NONE);
	insn(&b, I_M_GEMM, dense(&b, SPACE_ACC, PDT_I32, 0, DIMS(1, M, N)),
	     dense(&b, SPACE_SPM, PDT_I8, 0, DIMS(1, M, 1, 1, K)),
	     dense(&b, SPACE_SPM, PDT_I8, 8192, DIMS(1, 1, K, N)), NONE);
	insn(&b, I_V_UN, dense(&b, SPACE_SPM, PDT_I32, 32768, DIMS(M, N)),
	     dense(&b, SPACE_ACC, PDT_I32, 0, DIMS(M, N)), NONE, NONE)
		->field[F_VEC_func] = VF_COPY;
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_I32, 65536, DIMS(M, N)),
	     dense(&b, SPACE_SPM, PDT_I32, 32768, DIMS(M, N)), NONE, NONE);
	make(&b);
	sim_write(b.sim, 0, a, sizeof a);
	sim_write(b.sim, 8192, w, sizeof w);
	run(&b);
	sim_read(b.sim, 65536, y, sizeof y);
	for (int i = 0; i < M; i++)
		for (int j = 0; j < N; j++) {
			int32_t want = 0;
			for (int k = 0; k < K; k++) want += a[i * K + k] * w[k * N + j];
			cr_assert_eq(want, y[i * N + j]);
		}
	end(&b);
}

Test(sim, windows_fill_what_lies_outside)
{
	enum { H = 4, W = 5 };
	static float in[H * W], y[6 * 7];
	Bench b;
	begin(&b, "base");
	for (size_t i = 0; i < COUNT(in); i++) in[i] = (float)i + 1;
	PearlDesc from = desc(&b, SPACE_HBM, PDT_F32, 0, DIMS(H, W));
	from.dim[0] = 6, from.dim[1] = 7;
	from.window[0].on = from.window[1].on = true;
	from.window[0].dim = 0, from.window[0].start = -1, from.window[0].limit = H;
	from.window[1].dim = 1, from.window[1].start = -2, from.window[1].limit = W;
	insn(&b, I_L_DMA, dense(&b, SPACE_SPM, PDT_BF16, 0, DIMS(6, 7)), load(&b, &from), NONE, NONE)
		->field[F_DMA_fill] = bits(-0.5f);
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 4096, DIMS(6, 7)),
	     dense(&b, SPACE_SPM, PDT_BF16, 0, DIMS(6, 7)), NONE, NONE);
	make(&b);
	put_floats(&b, 0, in, COUNT(in));
	run(&b);
	get_floats(&b, 4096, y, COUNT(y));
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 7; j++) {
			bool inside = i >= 1 && i < 1 + H && j >= 2;
			cr_assert_eq(y[i * 7 + j], inside ? in[(i - 1) * W + j - 2] : -0.5f);
		}
	end(&b);
}

Test(sim, gather_scatter_and_their_traps)
{
	Bench b;
	begin(&b, "base");
	movi(&b, 1, 4);
	float table[4 * 3], y[5 * 3], z[4 * 3] = {0};
	int32_t rows[5] = {3, 0, 0, 2, 1};
	for (int i = 0; i < 12; i++) table[i] = (float)i;
	uint8_t list = dense(&b, SPACE_SPM, PDT_I32, 0, DIMS(5));
	insn(&b, I_L_DMA, list, dense(&b, SPACE_HBM, PDT_I32, 4096, DIMS(5)), NONE, NONE);
	insn(&b, I_L_GATHER, dense(&b, SPACE_SPM, PDT_F32, 1024, DIMS(5, 3)),
	     dense(&b, SPACE_HBM, PDT_F32, 0, DIMS(5, 3)), list, NONE)
		->field[F_DMA_limit] = 1;
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 8192, DIMS(5, 3)),
	     dense(&b, SPACE_SPM, PDT_F32, 1024, DIMS(5, 3)), NONE, NONE);
	PearlInsn *scatter = insn(&b, I_W_SCATTER, dense(&b, SPACE_HBM, PDT_F32, 16384, DIMS(4, 3)),
	                          dense(&b, SPACE_SPM, PDT_F32, 1024, DIMS(5, 3)), list, NONE);
	scatter->field[F_DMA_limit] = 1;
	scatter->field[F_DMA_add] = 1;
	b.machine.cores = b.p->machine.cores = 1;
	make(&b);
	put_floats(&b, 0, table, 12);
	put_floats(&b, 16384, z, 12);
	sim_write(b.sim, 4096, rows, sizeof rows);
	run(&b);
	get_floats(&b, 8192, y, 15);
	get_floats(&b, 16384, z, 12);
	for (int i = 0; i < 15; i++) cr_assert_eq(y[i], table[rows[i / 3] * 3 + i % 3]);
	for (int i = 0; i < 12; i++) cr_assert_eq(z[i], table[i] * (i < 3 ? 2 : 1));
	rows[2] = 4;
	sim_write(b.sim, 4096, rows, sizeof rows);
	cr_assert(!run_with(&b, (SimOptions){0}));
	cr_assert(strstr(message(&b), "index 4 at position 2"), "%s", message(&b));
	end(&b);
}

/* One vector function over many values of SPM; b and c may be absent. */
static void apply(PearlFunc f, const float *a, const float *bb, const float *c, float *y, int64_t n)
{
	Bench b;
	begin(&b, "base");
	const float *in[3] = {a, bb, c};
	uint8_t d[3] = {NONE, NONE, NONE};
	for (int k = 0; k < 3; k++) {
		if (!in[k]) continue;
		d[k] = dense(&b, SPACE_SPM, PDT_F32, k * 65536, DIMS(n));
		insn(&b, I_L_DMA, d[k], dense(&b, SPACE_HBM, PDT_F32, k * 65536, DIMS(n)), NONE, NONE);
	}
	uint8_t out = dense(&b, SPACE_SPM, PDT_F32, 3 * 65536, DIMS(n));
	insn(&b, c ? I_V_TRI : bb ? I_V_BIN : I_V_UN, out, d[0], d[1], d[2])->field[F_VEC_func] = f;
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 3 * 65536, DIMS(n)), out, NONE, NONE);
	b.p->machine.cores = 1;
	make(&b);
	for (int k = 0; k < 3; k++)
		if (in[k]) put_floats(&b, (uint64_t)k * 65536, in[k], (size_t)n);
	run(&b);
	get_floats(&b, 3 * 65536, y, (size_t)n);
	end(&b);
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}
static double exact(PearlFunc f, double x)
{
	switch (f) {
	case VF_EXP2: return exp2(x);
	case VF_EXP: return exp(x);
	case VF_LOG2: return log2(x);
	case VF_LOG: return log(x);
	case VF_RECIP: return 1 / x;
	case VF_SQRT: return sqrt(x);
	case VF_RSQRT: return 1 / sqrt(x);
	case VF_TANH: return tanh(x);
	case VF_SIGMOID: return sigmoid(x);
	case VF_ERF: return erf(x);
	case VF_SIN: return sin(x);
	case VF_COS: return cos(x);
	case VF_GELU: return x == -INFINITY ? 0 : 0.5 * x * erfc(-x * M_SQRT1_2);
	case VF_GELU_TANH:
		return x == -INFINITY ? 0
		                      : x * sigmoid(2 * 0.7978845608028653559 * (x + 0.044715 * x * x * x));
	case VF_SILU: return x == -INFINITY ? 0 : x * sigmoid(x);
	case VF_FLOOR: return floor(x);
	case VF_CEIL: return ceil(x);
	case VF_ROUND: return rint(x);
	default: return NAN;
	}
}

/* The distance in units of the last place of the f32 result. */
static double ulps(float got, double want)
{
	if (isnan(want)) return isnan(got) ? 0 : INFINITY;
	if (got == (float)want) return 0;
	if (isinf(got) || isinf((float)want)) return INFINITY;
	int e;
	frexp(want, &e);
	return fabs((double)got - want) / ldexp(1, e - 24 < -149 ? -149 : e - 24);
}

Test(sim, special_functions_are_within_two_ulp)
{
	enum { N = 16000 };
	static float x[N], y[N];
	static const PearlFunc func[] = {
		VF_EXP2, VF_EXP, VF_LOG2, VF_LOG,  VF_RECIP,     VF_SQRT, VF_RSQRT, VF_TANH, VF_SIGMOID,
		VF_ERF,  VF_SIN, VF_COS,  VF_GELU, VF_GELU_TANH, VF_SILU, VF_FLOOR, VF_CEIL, VF_ROUND};
	static const float edge[] = {0,       -0.0f,    1,           -1,    0.5f,   1.5f,       2.5f,
	                             -2.5f,   INFINITY, -INFINITY,   NAN,   1e-45f, -1e-45f,    1e-38f,
	                             3.4e38f, -3.4e38f, 88.7f,       89,    -87,    -104,       128,
	                             -149,    0x1p20f,  12345678.0f, 3e10f, -7e30f, 16367173e5f};
	for (size_t k = 0; k < COUNT(func); k++) {
		for (int i = 0; i < N; i++) {
			float r = random_float(), s = random_float();
			x[i] = i % 4 == 0   ? r * 10
			       : i % 4 == 1 ? ldexpf(r, (int)(s * 140))
			       : i % 4 == 2 ? r * 100
			                    : r;
		}
		memcpy(x, edge, sizeof edge);
		apply(func[k], x, NULL, NULL, y, N);
		for (int i = 0; i < N; i++) {
			double want = exact(func[k], (double)x[i]), off = ulps(y[i], want);
			cr_assert(off <= 2, "%s(%a) = %a, exactly %a: %g ulp", pearl_func[func[k]].name,
			          (double)x[i], (double)y[i], want, off);
		}
	}
}

Test(sim, power_follows_the_c_library)
{
	static const float v[] = {0,  -0.0f,    1,         -1,  2,     -2,   0.5f,   -0.5f, 3,
	                          -3, INFINITY, -INFINITY, NAN, 1e10f, 2.5f, 1e-30f, 33,    0.1f};
	enum { N = 18 * 18 };
	float a[N], b[N], y[N];
	for (int i = 0; i < N; i++) a[i] = v[i / 18], b[i] = v[i % 18];
	apply(VF_POW, a, b, NULL, y, N);
	for (int i = 0; i < N; i++)
		cr_assert(ulps(y[i], pow((double)a[i], (double)b[i])) <= 2, "%g ^ %g = %g", (double)a[i],
		          (double)b[i], (double)y[i]);
}

Test(sim, binary_functions)
{
	enum { N = 600 };
	float a[N], b[N], c[N], y[N];
	for (int i = 0; i < N; i++)
		a[i] = random_float() * 8, b[i] = i % 3 ? random_float() * 8 : roundf(random_float() * 3),
		c[i] = random_float();
	a[0] = NAN, b[1] = NAN, a[2] = b[2] = 0, a[3] = b[3] = INFINITY;
#define CHECK2(f, want)                                                                            \
	do {                                                                                           \
		apply(f, a, b, NULL, y, N);                                                                \
		for (int i = 0; i < N; i++) {                                                              \
			float w = (float)(want);                                                               \
			cr_assert(isnan(w) ? bits(y[i]) == 0x7fc00000 : bits(w) == bits(y[i]), #f " %d", i);   \
		}                                                                                          \
	} while (0)
	CHECK2(VF_ADD, a[i] + b[i]);
	CHECK2(VF_SUB, a[i] - b[i]);
	CHECK2(VF_RSUB, b[i] - a[i]);
	CHECK2(VF_MUL, a[i] * b[i]);
	CHECK2(VF_DIV, a[i] / b[i]);
	CHECK2(VF_RDIV, b[i] / a[i]);
	CHECK2(VF_FLOORDIV, floor((double)a[i] / (double)b[i]));
	CHECK2(VF_MIN, isnan(a[i]) || isnan(b[i]) ? NAN : a[i] < b[i] ? a[i] : b[i]);
	CHECK2(VF_MAX, isnan(a[i]) || isnan(b[i]) ? NAN : a[i] > b[i] ? a[i] : b[i]);
	CHECK2(VF_LT, a[i] < b[i]);
	CHECK2(VF_GE, a[i] >= b[i]);
	CHECK2(VF_NE, a[i] != b[i]);
	apply(VF_FMA, a, b, c, y, N);
	for (int i = 4; i < N; i++) cr_assert_eq(bits(y[i]), bits(fmaf(a[i], b[i], c[i])));
	apply(VF_SELECT, b, a, c, y, N);
	for (int i = 4; i < N; i++) cr_assert_eq(y[i], b[i] != 0 ? a[i] : c[i]);
}

Test(sim, narrow_floats_round_to_nearest_even)
{
	enum { N = 4096 };
	static float x[N], y[N];
	static const struct {
		uint8_t type;
		int mantissa, least;
		double most;
		bool infinite;
	} type[] = {{PDT_BF16, 7, -126, 0x1.fep127, true},
	            {PDT_F16, 10, -14, 65504, true},
	            {PDT_F8E4M3, 3, -6, 448, false},
	            {PDT_F8E5M2, 2, -14, 57344, true}};
	for (size_t t = 0; t < COUNT(type); t++) {
		for (int i = 0; i < N; i++) x[i] = ldexpf(random_float(), (int)(random_float() * 24));
		x[0] = INFINITY, x[1] = 0, x[2] = -0.0f, x[3] = 464, x[4] = 465, x[5] = 65519, x[6] = 65520,
		x[7] = 61440, x[8] = 61441, x[9] = 1e-45f;
		Bench b;
		begin(&b, "base");
		b.p->machine.cores = 1;
		uint8_t narrow = dense(&b, SPACE_SPM, type[t].type, 0, DIMS(N));
		insn(&b, I_L_DMA, narrow, dense(&b, SPACE_HBM, PDT_F32, 0, DIMS(N)), NONE, NONE);
		insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 65536, DIMS(N)), narrow, NONE, NONE);
		make(&b);
		put_floats(&b, 0, x, N);
		run(&b);
		get_floats(&b, 65536, y, N);
		for (int i = 0; i < N; i++) {
			double v = fabs((double)x[i]);
			int e;
			frexp(v, &e);
			int step = (e - 1 < type[t].least ? type[t].least : e - 1) - type[t].mantissa;
			double want = isinf(v) || v == 0 ? v : ldexp(rint(ldexp(v, -step)), step);
			if (want > type[t].most) want = type[t].infinite ? INFINITY : type[t].most;
			cr_assert_eq((double)y[i], signbit(x[i]) ? -want : want, "%s of %a is %a, not %a",
			             pearl_dtype[type[t].type].name, (double)x[i], (double)y[i], want);
		}
		end(&b);
	}
}

/* Rows of a tree of halving strides over chunks of 128. */
static float tree(const float *x, int n)
{
	float sum = 0;
	for (int at = 0; at < n; at += 128) {
		float v[128];
		for (int i = 0; i < 128; i++) v[i] = at + i < n ? x[at + i] : -0.0f;
		for (int s = 64; s; s /= 2)
			for (int i = 0; i < s; i++) v[i] += v[i + s];
		sum += v[0];
	}
	return sum;
}

Test(sim, reductions)
{
	enum { R = 3, N = 300 };
	static float x[R * N], y[R], z[R];
	static int32_t at[R];
	for (int i = 0; i < R * N; i++) x[i] = random_float();
	x[17] = x[20] = 2; /* a tie */
	Bench b;
	begin(&b, "base");
	b.p->machine.cores = 1;
	uint8_t src = dense(&b, SPACE_SPM, PDT_F32, 0, DIMS(R, N)),
			sum = dense(&b, SPACE_SPM, PDT_F32, 65536, DIMS(R)),
			most = dense(&b, SPACE_SPM, PDT_F32, 66560, DIMS(R)),
			where = dense(&b, SPACE_SPM, PDT_I32, 67584, DIMS(R));
	insn(&b, I_L_DMA, src, dense(&b, SPACE_HBM, PDT_F32, 0, DIMS(R, N)), NONE, NONE);
	PearlInsn *i = insn(&b, I_V_RED, sum, src, NONE, NONE);
	i->field[F_VEC_func] = VF_ADD, i->field[F_VEC_axes] = 1;
	i = insn(&b, I_V_RED, sum, src, NONE, NONE);
	i->field[F_VEC_func] = VF_ADD, i->field[F_VEC_axes] = 1, i->field[F_VEC_accumulate] = 1;
	i = insn(&b, I_V_RED, most, src, where, NONE);
	i->field[F_VEC_func] = VF_MAX, i->field[F_VEC_axes] = 1;
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 65536, DIMS(R)), sum, NONE, NONE);
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 66560, DIMS(R)), most, NONE, NONE);
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_I32, 67584, DIMS(R)), where, NONE, NONE);
	make(&b);
	put_floats(&b, 0, x, R * N);
	run(&b);
	get_floats(&b, 65536, y, R);
	get_floats(&b, 66560, z, R);
	sim_read(b.sim, 67584, at, sizeof at);
	for (int r = 0; r < R; r++) {
		float want = tree(x + r * N, N);
		for (int c = 0; c < N; c += 128) want += tree(x + r * N + c, N - c < 128 ? N - c : 128);
		cr_assert_eq(bits(y[r]), bits(want));
		int best = 0;
		for (int k = 0; k < N; k++)
			if (x[r * N + k] > x[r * N + best]) best = k;
		cr_assert_eq(at[r], best);
		cr_assert_eq(z[r], x[r * N + best]);
	}
	end(&b);
}

Test(sim, scan_topk_sort)
{
	enum { R = 2, N = 40, K = 5 };
	float x[R * N], y[R * N], top[R * K], sorted[R * N];
	int32_t at[R * K], place[R * N];
	for (int i = 0; i < R * N; i++) x[i] = roundf(random_float() * 9);
	Bench b;
	begin(&b, "base");
	b.p->machine.cores = 1;
	uint8_t src = dense(&b, SPACE_SPM, PDT_F32, 0, DIMS(R, N)),
			scan = dense(&b, SPACE_SPM, PDT_F32, 4096, DIMS(R, N)),
			value = dense(&b, SPACE_SPM, PDT_F32, 8192, DIMS(R, K)),
			pos = dense(&b, SPACE_SPM, PDT_I32, 12288, DIMS(R, K)),
			order = dense(&b, SPACE_SPM, PDT_F32, 16384, DIMS(R, N)),
			perm = dense(&b, SPACE_SPM, PDT_I32, 20480, DIMS(R, N));
	insn(&b, I_L_DMA, src, dense(&b, SPACE_HBM, PDT_F32, 0, DIMS(R, N)), NONE, NONE);
	insn(&b, I_V_SCAN, scan, src, NONE, NONE)->field[F_VEC_func] = VF_ADD;
	insn(&b, I_V_TOPK, value, pos, src, NONE);
	insn(&b, I_V_SORT, order, perm, src, NONE);
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 4096, DIMS(R, N)), scan, NONE, NONE);
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 8192, DIMS(R, K)), value, NONE, NONE);
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_I32, 12288, DIMS(R, K)), pos, NONE, NONE);
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 16384, DIMS(R, N)), order, NONE, NONE);
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_I32, 20480, DIMS(R, N)), perm, NONE, NONE);
	make(&b);
	put_floats(&b, 0, x, R * N);
	run(&b);
	get_floats(&b, 4096, y, R * N);
	get_floats(&b, 8192, top, R * K);
	sim_read(b.sim, 12288, at, sizeof at);
	get_floats(&b, 16384, sorted, R * N);
	sim_read(b.sim, 20480, place, sizeof place);
	for (int r = 0; r < R; r++) {
		float run_sum = 0;
		for (int i = 0; i < N; i++) cr_assert_eq(y[r * N + i], run_sum += x[r * N + i]);
		for (int i = 0; i < N; i++) {
			int below = 0, above = 0; /* ranks of element i */
			for (int k = 0; k < N; k++) {
				below += x[r * N + k] < x[r * N + i] || (x[r * N + k] == x[r * N + i] && k < i);
				above += x[r * N + k] > x[r * N + i] || (x[r * N + k] == x[r * N + i] && k < i);
			}
			cr_assert_eq(place[r * N + below], i);
			cr_assert_eq(sorted[r * N + below], x[r * N + i]);
			if (above < K) cr_assert(at[r * K + above] == i && top[r * K + above] == x[r * N + i]);
		}
	}
	end(&b);
}

Test(sim, softmax_step_over_two_blocks)
{
	enum { R = 6, N = 8 };
	float s[2 * R * N], p[R * N], state[3 * R];
	for (int i = 0; i < 2 * R * N; i++) s[i] = random_float() * 20;
	Bench b;
	begin(&b, "base");
	b.p->machine.cores = 1;
	uint8_t st = dense(&b, SPACE_SPM, PDT_F32, 8192, DIMS(3, R)),
			out = dense(&b, SPACE_SPM, PDT_F32, 12288, DIMS(R, N));
	insn(&b, I_V_FILL, dense(&b, SPACE_SPM, PDT_F32, 8192, DIMS(R)), NONE, NONE, NONE)
		->field[F_VEC_imm] = bits(-INFINITY);
	for (int k = 0; k < 2; k++) {
		uint8_t in = dense(&b, SPACE_SPM, PDT_F32, k * 1024, DIMS(R, N));
		insn(&b, I_L_DMA, in, dense(&b, SPACE_HBM, PDT_F32, k * R * N * 4, DIMS(R, N)), NONE, NONE);
		movi(&b, 1, -1 - k * N); /* columns j + k N < i + 1 - 2: the first rows are dead */
		movi(&b, 2, 0);
		PearlInsn *i = insn(&b, I_V_SMX, out, in, st, NONE);
		i->field[F_SMX_scale] = bits(0.25f);
		i->field[F_SMX_causal] = 1;
		i->field[F_SMX_limit] = 1;
		i->field[F_SMX_first] = 2;
		i->field[F_SMX_per] = 1;
		if (k == 0)
			insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 8192, DIMS(R, N)), out, NONE, NONE);
	}
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_F32, 12288, DIMS(3, R)), st, NONE, NONE);
	make(&b);
	put_floats(&b, 0, s, 2 * R * N);
	run(&b);
	get_floats(&b, 8192, p, R * N);
	get_floats(&b, 12288, state, 3 * R);
	for (int r = 0; r < R; r++) {
		double m = -INFINITY, l = 0;
		int live = r - 1;
		for (int j = 0; j < live; j++) m = fmax(m, 0.25 * (double)s[r * N + j]);
		for (int j = 0; j < live; j++) l += exp(0.25 * (double)s[r * N + j] - m);
		for (int j = 0; j < N; j++) {
			double want = j < live ? exp(0.25 * (double)s[r * N + j] - m) : 0;
			cr_assert(fabs((double)p[r * N + j] - want) < 1e-6);
		}
		cr_assert(live > 0 ? fabs((double)state[r] - m) < 1e-6 : state[r] == -INFINITY);
		cr_assert(fabs((double)state[R + r] - l) < 1e-5 && state[2 * R + r] == 1);
	}
	end(&b);
}

Test(sim, integers_and_iota)
{
	enum { R = 4, N = 6 };
	int32_t y[R * N];
	Bench b;
	begin(&b, "base");
	b.p->machine.cores = 1;
	movi(&b, 3, -7);
	uint8_t d = dense(&b, SPACE_SPM, PDT_I32, 0, DIMS(R, N));
	PearlInsn *i = insn(&b, I_V_IOTA, d, NONE, NONE, NONE);
	i->field[F_VEC_axes] = 1, i->field[F_VEC_imm] = (uint32_t)-3, i->field[F_VEC_use_reg] = 1,
	i->field[F_VEC_reg] = 3;
	movi(&b, 4, 4);
	i = insn(&b, I_V_BIN, d, d, NONE, NONE);
	i->field[F_VEC_func] = VF_MOD, i->field[F_VEC_use_reg] = 1, i->field[F_VEC_reg] = 4;
	insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_I32, 0, DIMS(R, N)), d, NONE, NONE);
	make(&b);
	run(&b);
	sim_read(b.sim, 0, y, sizeof y);
	for (int k = 0; k < R * N; k++) {
		int v = -7 - 3 * (k % N);
		cr_assert_eq(y[k], ((v % 4) + 4) % 4);
	}
	end(&b);
}

Test(sim, choices_and_loaded_indices)
{
	for (int32_t v = -1; v < 4; v++) {
		Bench b;
		begin(&b, "nano");
		uint8_t list = dense(&b, SPACE_SPM, PDT_I32, 0, DIMS(1));
		insn(&b, I_L_DMA, list, dense(&b, SPACE_HBM, PDT_I32, 0, DIMS(1)), NONE, NONE);
		movi(&b, 1, 0);
		movi(&b, 2, 2);
		PearlInsn *i = insn(&b, I_LDI, list, NONE, NONE, NONE);
		i->field[F_LDI_dst] = 3, i->field[F_LDI_lo] = 1, i->field[F_LDI_hi] = 2;
		i = pearl_emit(b.p, I_IF);
		i->field[F_COND_rel] = PREL_LT, i->field[F_COND_a] = 3, i->field[F_COND_use_imm] = 1,
		i->field[F_COND_imm] = 1;
		movi(&b, 4, 100);
		pearl_emit(b.p, I_ELSE);
		movi(&b, 4, 200);
		pearl_emit(b.p, I_ENDIF);
		i = insn(&b, I_V_FILL, list, NONE, NONE, NONE);
		i->field[F_VEC_use_reg] = 1, i->field[F_VEC_reg] = 4;
		insn(&b, I_W_DMA, dense(&b, SPACE_HBM, PDT_I32, 64, DIMS(1)), list, NONE, NONE);
		make(&b);
		sim_write(b.sim, 0, &v, 4);
		bool ran = run_with(&b, (SimOptions){0});
		cr_assert_eq(ran, v >= 0 && v <= 2, "%s", message(&b));
		int32_t got = 0;
		sim_read(b.sim, 64, &got, 4);
		if (ran) cr_assert_eq(got, v < 1 ? 100 : 200);
		end(&b);
	}
}

Test(sim, accesses_outside_a_region_trap)
{
	Bench b;
	begin(&b, "nano");
	insn(&b, I_L_DMA, dense(&b, SPACE_SPM, PDT_F32, b.machine.spm_bytes - 32, DIMS(9)),
	     dense(&b, SPACE_HBM, PDT_F32, 0, DIMS(9)), NONE, NONE);
	make(&b);
	cr_assert(!run_with(&b, (SimOptions){0}));
	cr_assert(strstr(message(&b), "leaves region `spm`"), "%s", message(&b));
	end(&b);
}
