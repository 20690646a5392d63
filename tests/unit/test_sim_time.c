/* Loops over cores and stages, random latencies, and the laws that the simulator's time must obey. */
#include "isa/isa.h"
#include "pearl_bench.h"
#include "runtime/sim/sim.h"
#include "support/support.h"

/* Loops: par over two nested loops writes the core's number at each place. */
Test(sim_time, par_loops_deal_iterations_in_turn)
{
	enum { A = 5, B = 7 };
	int32_t y[A * B];
	Bench b;
	begin(&b, "base");
	b.p->machine.cores = 3;
	loop(&b, A, 1, true, 0);
	loop(&b, B, 1, true, 0);
	pearl_emit(b.p, I_CORE)->field[F_GET_dst] = 5;
	uint8_t one = dense(&b, SPACE_SPM, PDT_I32, 0, DIMS(1));
	PearlInsn *i = insn(&b, I_V_FILL, one, NONE, NONE, NONE);
	i->field[F_VEC_use_reg] = 1, i->field[F_VEC_reg] = 5;
	PearlDesc to = desc(&b, SPACE_HBM, PDT_I32, 0, DIMS(1));
	to.n_step = 2;
	to.step[0].level = 0, to.step[0].bytes = 4;
	to.step[1].level = 1, to.step[1].bytes = 4 * B;
	insn(&b, I_W_DMA, load(&b, &to), one, NONE, NONE);
	pearl_emit(b.p, I_ENDL);
	pearl_emit(b.p, I_ENDL);
	pearl_emit(b.p, I_BAR);
	make(&b);
	run(&b);
	sim_read(b.sim, 0, y, sizeof y);
	for (int k = 0; k < A * B; k++) cr_assert_eq(y[k], k % 3);
	end(&b);
}

/* y[i] = 2 x[i] + 1 in a loop of three stages with rings; tokens order the queues. */
static void staged_program(Bench *b, int64_t n, int64_t tile, bool drop_token)
{
	begin(b, "base");
	b->p->machine.cores = 1;
	enum { RING = 3 };
	uint8_t full = (uint8_t)(pearl_add_token(b->p, "x.full", Q_L, Q_V, 1, 8) + 1),
			empty = (uint8_t)(pearl_add_token(b->p, "x.empty", Q_V, Q_L, RING - 1, 8) + 1);
	uint8_t done = (uint8_t)(pearl_add_token(b->p, "y.full", Q_V, Q_W, 1, 8) + 1),
			back = (uint8_t)(pearl_add_token(b->p, "y.empty", Q_W, Q_V, RING - 1, 8) + 1);
	PearlDesc hbm = desc(b, SPACE_HBM, PDT_F32, 0, DIMS(1)),
			  x = desc(b, SPACE_SPM, PDT_F32, 0, DIMS(1)),
			  y = desc(b, SPACE_SPM, PDT_F32, 65536, DIMS(1));
	hbm.dim_len[0] = x.dim_len[0] = y.dim_len[0] = 1;
	x.ring = y.ring = RING;
	x.ring_stride = y.ring_stride = 4096;
	hbm.n_step = 1;
	hbm.step[0].bytes = 4;
	PearlDesc to = hbm;
	to.base = 1 << 20;
	uint8_t src = load(b, &hbm), dst = load(b, &to), xl = load(b, &x), xv = load(b, &x),
			yv = load(b, &y), yw = load(b, &y);
	loop(b, n, tile, false, 3);
	PearlInsn *i = insn(b, I_L_DMA, xl, src, NONE, NONE);
	i->advance = 1, i->wait[0] = empty, i->signal[0] = full;
	i = insn(b, I_V_BIN, yv, xv, NONE, NONE);
	i->stage = 1, i->advance = 3, i->field[F_VEC_func] = VF_MUL, i->field[F_VEC_imm] = bits(2);
	i->wait[0] = drop_token ? 0 : full, i->wait[1] = back, i->signal[0] = empty;
	i = pearl_emit(b->p, I_V_SYNC);
	i->stage = 1, i->signal[0] = done;
	i = insn(b, I_W_DMA, dst, yw, NONE, NONE);
	i->stage = 2, i->advance = 2, i->wait[0] = done, i->signal[0] = back;
	pearl_emit(b->p, I_ENDL);
	pearl_emit(b->p, I_BAR);
	make(b);
}

Test(sim_time, stages_and_rings_without_prologue)
{
	enum { N = 1000 };
	static float x[N], y[N];
	for (int i = 0; i < N; i++) x[i] = random_float();
	for (uint64_t jitter = 0; jitter < 12; jitter++) {
		Bench b;
		staged_program(&b, jitter % 2 ? N : N - 37, 64, false);
		put_floats(&b, 0, x, N);
		bool ran = run_with(&b, (SimOptions){.jitter = jitter});
		cr_assert(ran, "%s", message(&b));
		get_floats(&b, 1 << 20, y, N);
		for (int i = 0; i < N; i++) cr_assert_eq(y[i], jitter % 2 || i < N - 37 ? 2 * x[i] : 0);
		end(&b);
	}
}

Test(sim_time, a_dropped_token_shows_under_jitter)
{
	enum { N = 1000 };
	static float x[N], y[N];
	for (int i = 0; i < N; i++) x[i] = random_float() + 2;
	bool shown = false;
	for (uint64_t jitter = 1; jitter < 12; jitter++) {
		Bench b;
		staged_program(&b, N, 64, true);
		put_floats(&b, 0, x, N);
		shown |= !run_with(&b, (SimOptions){.jitter = jitter});
		get_floats(&b, 1 << 20, y, N);
		for (int i = 0; i < N; i++) shown |= y[i] != 2 * x[i];
		end(&b);
	}
	cr_assert(shown);
}

Test(sim_time, a_deadlock_is_told)
{
	Bench b;
	begin(&b, "nano");
	uint8_t t = (uint8_t)(pearl_add_token(b.p, "never", Q_M, Q_V, 0, 1) + 1);
	pearl_emit(b.p, I_V_SYNC)->wait[0] = t;
	make(&b);
	cr_assert(!run_with(&b, (SimOptions){.jitter = 5}));
	cr_assert(strstr(message(&b), "deadlock") && strstr(message(&b), "never"), "%s", message(&b));
	end(&b);
}

/* --- time -------------------------------------------------------------------------------------- */

static void run_timed(Bench *b)
{
	bool done = run_with(b, (SimOptions){.time = true});
	cr_assert(done, "%s", message(b));
}

/* 128 x 768 by 768 x 768 in strips of 32 columns on a 32 x 32 array, one weight tile after the other. */
Test(sim_time, serial_matrix_unit_has_the_closed_form)
{
	Bench b;
	begin(&b, "base");
	PearlMachine *m = &b.p->machine;
	m->cores = 1, m->array_rows = 32, m->array_cols = 32;
	b.machine = *m;
	b.p->regions.at[b.region[SPACE_ACC]].bytes = m->acc_rows * 32 * 4;
	uint8_t a = dense(&b, SPACE_SPM, PDT_BF16, 0, DIMS(1, 128, 1, 1, 768)),
			w = dense(&b, SPACE_SPM, PDT_BF16, 1 << 18, DIMS(1, 1, 768, 32)),
			c = dense(&b, SPACE_ACC, PDT_F32, 0, DIMS(1, 128, 32));
	loop(&b, 24, 1, false, 0);
	insn(&b, I_M_GEMM, c, a, w, NONE);
	pearl_emit(b.p, I_ENDL);
	make(&b);
	cr_assert(run_with(&b, (SimOptions){.serial = true}));
	cr_assert_eq(b.report.busy[Q_M] - 1, 127871);
	cr_assert_eq(b.report.macs, 128u * 768 * 768);
	run_timed(&b);
	cr_assert_eq(b.report.busy[Q_M],
	             24u * 24 * 128); /* rows stream through with the loads hidden */
	cr_assert(b.report.cycles >= b.report.busy[Q_M] && b.report.cycles < 24u * 24 * 128 + 400,
	          "%llu", (unsigned long long)b.report.cycles);
	end(&b);
}

/* Every core reads `times` boxes of `bytes` from places far apart. */
static double read_efficiency(int64_t bytes, int64_t times, int64_t apart)
{
	Bench b;
	begin(&b, "base");
	int64_t all = (int64_t)1 << 30;
	b.p->regions.at[b.region[SPACE_HBM]].bytes = all;
	PearlDesc from = desc(&b, SPACE_HBM, PDT_U8, 0, DIMS(bytes));
	from.n_step = 2;
	from.step[0].level = 0, from.step[0].bytes = apart;
	from.step[1].level = 1, from.step[1].bytes = apart == bytes ? bytes * times : 4096 * 67;
	loop(&b, 16, 1, true, 0);
	uint8_t src = load(&b, &from), dst = dense(&b, SPACE_SPM, PDT_U8, 0, DIMS(bytes));
	loop(&b, times, 1, false, 0);
	insn(&b, I_L_DMA, dst, src, NONE, NONE);
	pearl_emit(b.p, I_ENDL);
	pearl_emit(b.p, I_ENDL);
	make(&b);
	run_timed(&b);
	double done = (double)b.report.hbm_read / (double)b.report.cycles / 1024;
	cr_assert_eq(b.report.hbm_read, (uint64_t)(16 * bytes * times));
	end(&b);
	return done;
}

Test(sim_time, memory_reaches_what_is_known_of_hbm2)
{
	double stream = read_efficiency(65536, 16, 65536),
		   burst = read_efficiency(4096, 256, 4096 * 977),
		   random = read_efficiency(64, 2000, 64 * 8209);
	cr_assert(stream > 0.80 && stream < 0.94, "streaming: %g of the peak", stream);
	cr_assert(burst > 0.70 && burst < 0.86, "bursts of 4 KiB: %g", burst);
	cr_assert(random > 0.15 && random < 0.30, "random 64 B: %g", random);
}

/* Y = X W on all cores by strips of 64 columns: W streams in, double-buffered, results go out. */
static void matrix_program(Bench *b)
{
	enum { M = 128, K = 512, N = 4096 };
	begin(b, "base");
	uint8_t full = (uint8_t)(pearl_add_token(b->p, "w.full", Q_L, Q_M, 0, 4) + 1),
			empty = (uint8_t)(pearl_add_token(b->p, "w.empty", Q_M, Q_L, 2, 4) + 1);
	uint8_t sum = (uint8_t)(pearl_add_token(b->p, "c.full", Q_M, Q_D, 0, 4) + 1),
			room = (uint8_t)(pearl_add_token(b->p, "c.empty", Q_D, Q_M, 2, 4) + 1);
	uint8_t out = (uint8_t)(pearl_add_token(b->p, "y.full", Q_D, Q_W, 0, 4) + 1),
			back = (uint8_t)(pearl_add_token(b->p, "y.empty", Q_W, Q_D, 2, 4) + 1);
	uint8_t ready = (uint8_t)(pearl_add_token(b->p, "x.full", Q_L, Q_M, 0, 4) + 1);
	PearlDesc w = desc(b, SPACE_SPM, PDT_BF16, 1 << 18, DIMS(1, 1, K, 64)),
			  c = desc(b, SPACE_ACC, PDT_F32, 0, DIMS(1, M, 64)),
			  y = desc(b, SPACE_SPM, PDT_BF16, 3 << 18, DIMS(M, 64));
	w.ring = c.ring = y.ring = 2;
	w.ring_stride = K * 64 * 2, c.ring_stride = M * 64 * 4, y.ring_stride = M * 64 * 2;
	PearlDesc wl = w, cd = c, hw = desc(b, SPACE_HBM, PDT_BF16, 1 << 20, DIMS(K, 64)),
			  hy = desc(b, SPACE_HBM, PDT_BF16, 1 << 24, DIMS(M, 64));
	b->p->regions.at[b->region[SPACE_HBM]].bytes = 1 << 26;
	wl.rank = 2, wl.dim[0] = K, wl.dim[1] = 64, wl.stride[0] = 128, wl.stride[1] = 2;
	cd.rank = 2, cd.dim[0] = M, cd.dim[1] = 64, cd.stride[0] = 256, cd.stride[1] = 4;
	hw.stride[0] = hy.stride[0] = N * 2;
	hw.n_step = hy.n_step = 1;
	hw.step[0].bytes = hy.step[0].bytes = 128;
	uint8_t x = dense(b, SPACE_SPM, PDT_BF16, 0, DIMS(1, M, 1, 1, K));
	insn(b, I_L_DMA, dense(b, SPACE_SPM, PDT_BF16, 0, DIMS(M, K)),
	     dense(b, SPACE_HBM, PDT_BF16, 0, DIMS(M, K)), NONE, NONE)
		->signal[0] = ready;
	pearl_emit(b->p, I_M_SYNC)->wait[0] = ready;
	uint8_t d[8] = {load(b, &wl), load(b, &hw), load(b, &c),  load(b, &w),
	                load(b, &y),  load(b, &cd), load(b, &hy), load(b, &y)};
	loop(b, N / 64, 1, true, 0);
	PearlInsn *i = insn(b, I_L_DMA, d[0], d[1], NONE, NONE);
	i->advance = 1, i->wait[0] = empty, i->signal[0] = full;
	i = insn(b, I_M_GEMM, d[2], x, d[3], NONE);
	i->advance = 5, i->wait[0] = full, i->wait[1] = room, i->signal[0] = empty, i->signal[1] = sum;
	i = insn(b, I_D_DRAIN, d[4], d[5], NONE, NONE);
	i->advance = 3, i->wait[0] = sum, i->wait[1] = back, i->signal[0] = room, i->signal[1] = out;
	i->field[F_DRAIN_act] = VF_COPY, i->field[F_DRAIN_scale] = bits(1);
	i = insn(b, I_W_DMA, d[6], d[7], NONE, NONE);
	i->advance = 2, i->wait[0] = out, i->signal[0] = back;
	pearl_emit(b->p, I_ENDL);
	pearl_emit(b->p, I_BAR);
}

static uint64_t sum_of_output(Bench *b)
{
	uint64_t sum = 0;
	uint8_t row[8192];
	for (uint64_t at = 1 << 24; at < (1 << 24) + (1 << 20); at += sizeof row) {
		cr_assert(sim_read(b->sim, at, row, sizeof row));
		for (size_t i = 0; i < sizeof row; i++) sum = sum * 31 + row[i];
	}
	return sum;
}

static void fill_inputs(Bench *b)
{
	static uint16_t row[1 << 16];
	for (uint64_t at = 0; at < 6 << 20; at += sizeof row) {
		for (size_t i = 0; i < COUNT(row); i++) row[i] = (uint16_t)(bits(random_float()) >> 16);
		cr_assert(sim_write(b->sim, at, row, sizeof row));
	}
}

Test(sim_time, time_data_and_random_latencies_give_the_same_bits)
{
	Bench b;
	matrix_program(&b);
	make(&b);
	fill_inputs(&b);
	run(&b);
	uint64_t want = sum_of_output(&b), read = b.report.hbm_read, written = b.report.hbm_written,
			 macs = b.report.macs;
	cr_assert_eq(written, 128u * 4096 * 2);
	for (uint64_t jitter = 0; jitter < 4; jitter++) {
		sim_clear(b.sim, 1 << 24, 1 << 21);
		cr_assert(run_with(&b, (SimOptions){.time = !jitter, .jitter = jitter}), "%s", message(&b));
		cr_assert_eq(sum_of_output(&b), want);
		cr_assert(b.report.hbm_read == read && b.report.hbm_written == written &&
		          b.report.macs == macs);
		if (jitter) continue;
		for (uint32_t q = 0; q < NUM_QUEUES; q++)
			cr_assert(b.report.busy[q] <= b.report.cycles * b.report.cores);
		cr_assert(b.report.cycles >= b.report.macs / (16 * 64 * 64));
		cr_assert(b.report.hbm_read / 1024 < b.report.cycles);
	}
	end(&b);
}

static uint64_t cycles_with(const char *key, int64_t divide)
{
	Bench b;
	matrix_program(&b);
	if (key) *pearl_machine_field(&b.p->machine, key) /= divide;
	make(&b);
	run_timed(&b);
	end(&b);
	return b.report.cycles;
}

Test(sim_time, less_of_anything_is_never_faster)
{
	static const char *const key[] = {"link_in", "link_out", "hbm_channel_bytes", "hbm_channels",
	                                  "weight_port"};
	uint64_t base = cycles_with(NULL, 1);
	for (size_t k = 0; k < COUNT(key); k++) {
		uint64_t last = base;
		for (int64_t divide = 2; divide <= 8; divide *= 2) {
			uint64_t slower = cycles_with(key[k], divide);
			/* the order in which rows are opened may gain a little */
			cr_assert((double)slower >= 0.98 * (double)last, "%s / %d: %llu after %llu", key[k],
			          (int)divide, (unsigned long long)slower, (unsigned long long)last);
			last = slower;
		}
	}
}

/* Programs that no verifier has seen: fields, descriptors and tokens at random. They trap or end. */
Test(sim_time, broken_programs_trap_or_end)
{
	for (uint32_t round = 0; round < 1000; round++) {
		Bench b;
		staged_program(&b, 300, 64, false);
		sim_free(b.sim);
		for (uint32_t k = 0; k < 1 + round % 3; k++) {
			seed = seed * 1664525u + 1013904223u;
			PearlInsn *i = &b.p->code.at[(seed >> 8) % b.p->code.n];
			PearlDesc *d = &b.p->descs.at[(seed >> 8) % b.p->descs.n];
			int64_t v = (int64_t)(seed >> 20) - 64;
			switch ((seed >> 4) % 10) {
			case 0: i->op = (PearlOpcode)((uint32_t)v % NUM_INSNS); break;
			case 1: i->field[(uint32_t)v % PEARL_FIELDS] = v; break;
			case 2: i->desc[(uint32_t)v % 4] = (uint8_t)((uint32_t)v % 64); break;
			case 3: i->wait[(uint32_t)v % 2] = (uint8_t)((uint32_t)v % 6); break;
			case 4: i->signal[(uint32_t)v % 2] = (uint8_t)((uint32_t)v % 6); break;
			case 5: i->stage = (uint8_t)((uint32_t)v % 9); break;
			case 6: d->base = v * 4099; break;
			case 7: d->stride[0] = (int64_t)((uint64_t)v * 0x10001000100000u); break;
			case 8: d->dim[0] = v * 1000; break;
			default: d->ring = (uint8_t)v; break;
			}
		}
		b.sim = sim_new(&b.diags, b.p, NULL);
		uint32_t errors = b.diags.errors;
		for (uint64_t way = 0; b.sim && way < 3; way++) {
			bool done = run_with(&b, (SimOptions){.time = way == 1, .jitter = way == 2});
			cr_assert(done || b.diags.errors > errors, "it failed without a message");
		}
		end(&b);
	}
}

Test(sim_time, a_wait_that_nothing_meets_is_told)
{
	Bench b;
	begin(&b, "nano");
	uint8_t t = (uint8_t)(pearl_add_token(b.p, "never", Q_M, Q_V, 0, 1) + 1);
	pearl_emit(b.p, I_V_SYNC)->wait[0] = t;
	make(&b);
	cr_assert(!run_with(&b, (SimOptions){.time = true}));
	cr_assert(strstr(message(&b), "never"), "%s", message(&b));
	end(&b);
}
