/* The runtime by itself: an artefact written by hand in C stands for a compiled one. The model has a
 * session dim B, a call dim S, a state dim pos and two entries:
 *   step(x f32[B, S]) -> y f32[B, S], sum f32[B]:  y = x * w[0] + packed, state += x; pos += S
 *   pick(at i32[N]) -> got f32[N]:                 got = table[at], an index error when out of range */
#include "runtime/internal.h"
#include "support/interface.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { P_B, P_T, P_POS, P_S, P_N, PARAMS };
enum { T_X, T_Y, T_SUM, T_AT, T_GOT, T_W, T_TABLE, T_PACKED, T_STATE, T_TEMP, T_TEMP2, TENSORS };

#define C(v) {EXPR_CONST, 0, (v)}
#define P(i) {EXPR_PARAM, 0, (i)}
#define OP(o) {EXPR_##o, 0, 0}
#define EXPR(...)                                                                                  \
	(const ExprWord[])                                                                             \
	{                                                                                              \
		__VA_ARGS__, {EXPR_END, 0, 0}                                                              \
	}

/* --- the entries ------------------------------------------------------------------------------------ */

static void step(NacreFrame *f)
{
	int64_t b = f->params[P_B], s = f->params[P_S], t = f->params[P_T], pos = f->params[P_POS];
	const float *x = f->bufs[T_X], *w = f->bufs[T_W], *packed = f->bufs[T_PACKED];
	float *y = f->bufs[T_Y], *sum = f->bufs[T_SUM], *state = f->bufs[T_STATE],
		  *temp = f->bufs[T_TEMP];
	for (int64_t i = f->thread; i < b * s; i += f->threads) temp[i] = x[i] * w[0];
	if (f->threads > 1) f->barrier(f);
	/* read what another thread wrote */
	for (int64_t i = f->thread; i < b * s; i += f->threads) y[i] = temp[b * s - 1 - i] + packed[0];
	for (int64_t i = f->thread; i < b; i += f->threads) {
		sum[i] = 0;
		for (int64_t k = 0; k < s; k++) state[i * t + pos + k] = x[i * s + k];
		for (int64_t k = 0; k < pos + s; k++) sum[i] += state[i * t + k];
	}
	if (f->thread == 0 && f->profile) {
		f->profile[0] += 5;
		f->profile[1]++;
	}
}

static void pick(NacreFrame *f)
{
	if (f->thread) return;
	const int32_t *at = f->bufs[T_AT];
	const float *table = f->bufs[T_TABLE];
	float *got = f->bufs[T_GOT];
	for (int64_t i = 0; i < f->params[P_N]; i++) {
		if (at[i] >= 0 && at[i] < 6) {
			got[i] = table[at[i]];
		} else {
			/* the check has a text, and for 6 none */
			*f->stop = (NacreStop){NACRE_STOP_INDEX, 0, at[i], 6, at[i] != 6};
		}
	}
}

static void prepack(NacreFrame *f)
{
	if (f->thread) return;
	const float *table = f->bufs[T_TABLE];
	float *packed = f->bufs[T_PACKED], *temp = f->bufs[T_TEMP2];
	for (int i = 0; i < 6; i++) temp[i] = table[i];
	packed[0] = temp[0] + temp[5];
}

/* --- the interface ---------------------------------------------------------------------------------- */

static InterfaceTensor tensor(const char *name, uint32_t kind, uint32_t dtype, uint32_t rank,
                              const ExprWord *d0, const ExprWord *d1, const ExprWord *bytes)
{
	return (InterfaceTensor){.name = name,
	                         .key = "",
	                         .kind = kind,
	                         .dtype = dtype,
	                         .rank = rank,
	                         .dim = {d0, d1},
	                         .bytes = bytes,
	                         .plain = 1,
	                         .offset = UINT64_MAX};
}

typedef struct Fixture {
	Arena *arena;
	NacreArtefact artefact;
	Interface io;
	InterfaceTensor t[TENSORS];
	InterfaceEntry e[3];
	NacreModel *model;
	NacreError error;
	float w[1], table[2][3];
} Fixture;

static NacreEntryCode *const code[] = {step, pick, prepack};

static void fixture_interface(Fixture *f)
{
	static const uint32_t step_in[] = {T_X}, step_out[] = {T_Y, T_SUM}, pick_in[] = {T_AT},
						  pick_out[] = {T_GOT}, set[] = {P_POS};
	static const ExprWord next[] = {P(P_POS), P(P_S), OP(ADD), {EXPR_END, 0, 0}};
	static const ExprWord room[] = {P(P_T), P(P_POS), OP(SUB), P(P_S), OP(SUB), {EXPR_END, 0, 0}};
	static const ExprWord *const set_value[] = {next}, *const require[] = {room};
	static const char *const names[] = {"kernel"}, *const text[] = {"pos + S <= T"},
							 *const check[] = {
								 "{an index} in {@at} is outside of the {limit} rows"};
	static const ExprWord one[] = {C(1), {EXPR_END, 0, 0}}, zero[] = {C(0), {EXPR_END, 0, 0}},
						  most[] = {C(64), {EXPR_END, 0, 0}}, t[] = {P(P_T), {EXPR_END, 0, 0}};
	static const InterfaceParam param[] = {{"B", IP_SESSION, one, most, NULL},
	                                       {"T", IP_SESSION, one, most, NULL},
	                                       {"pos", IP_STATE, zero, t, NULL},
	                                       {"S", IP_CALL, one, most, NULL},
	                                       {"N", IP_CALL, zero, most, NULL}};
	const ExprWord *b = EXPR(P(P_B)), *s = EXPR(P(P_S)), *n = EXPR(P(P_N)),
				   *bs = EXPR(P(P_B), P(P_S), OP(MUL), C(4), OP(MUL)), *four = EXPR(C(4));
	f->t[T_X] = tensor("x", IT_IN, NACRE_F32, 2, b, s, bs);
	f->t[T_Y] = tensor("y", IT_OUT, NACRE_F32, 2, b, s, bs);
	f->t[T_SUM] = tensor("sum", IT_OUT, NACRE_F32, 1, b, NULL, EXPR(P(P_B), C(4), OP(MUL)));
	f->t[T_AT] = tensor("at", IT_IN, NACRE_I32, 1, n, NULL, EXPR(P(P_N), C(4), OP(MUL)));
	f->t[T_GOT] = tensor("got", IT_OUT, NACRE_F32, 1, n, NULL, EXPR(P(P_N), C(4), OP(MUL)));
	f->t[T_W] = tensor("w", IT_WEIGHT, NACRE_F32, 1, EXPR(C(1)), NULL, four);
	f->t[T_TABLE] = tensor("table", IT_WEIGHT, NACRE_F32, 2, EXPR(C(2)), EXPR(C(3)), EXPR(C(24)));
	f->t[T_TABLE].key = "table.0\ntable.1";
	f->t[T_PACKED] = tensor("packed", IT_CONST, NACRE_F32, 1, EXPR(C(1)), NULL, four);
	f->t[T_STATE] =
		tensor("seen", IT_STATE, NACRE_F32, 2, b, t, EXPR(P(P_B), P(P_T), OP(MUL), C(4), OP(MUL)));
	f->t[T_TEMP] = tensor("temp", IT_ARENA, NACRE_F32, 2, b, s, bs);
	f->t[T_TEMP2] = tensor("temp2", IT_ARENA, NACRE_F32, 1, EXPR(C(6)), NULL, EXPR(C(24)));
	f->t[T_AT].entry = f->t[T_GOT].entry = 1;
	f->t[T_TEMP2].entry = 2;
	f->e[0] = (InterfaceEntry){.name = "step",
	                           .n_in = 1,
	                           .in = step_in,
	                           .n_out = 2,
	                           .out = step_out,
	                           .n_set = 1,
	                           .set_param = set,
	                           .set_value = set_value,
	                           .launches = 1,
	                           .launch_name = names,
	                           .n_require = 1,
	                           .require = require,
	                           .require_text = text};
	f->e[1] = (InterfaceEntry){.name = "pick",
	                           .n_in = 1,
	                           .in = pick_in,
	                           .n_out = 1,
	                           .out = pick_out,
	                           .launches = 1,
	                           .launch_name = names};
	f->e[2] = (InterfaceEntry){.name = "(prepack)", .launches = 1, .launch_name = names};
	f->io = (Interface){.model = "toy",
	                    .target = "cpu",
	                    .version = "0",
	                    .n_param = PARAMS,
	                    .param = param,
	                    .n_check = 1,
	                    .check = check,
	                    .n_tensor = TENSORS,
	                    .tensor = f->t,
	                    .n_entry = 3,
	                    .entry = f->e,
	                    .prepack = 2};
	Text out = text_new(f->arena);
	interface_write(&f->io, &out);
	f->artefact = (NacreArtefact){.abi_version = NACRE_ABI_VERSION,
	                              .n_entries = 3,
	                              .interface_bytes = out.n,
	                              .interface_data = (const uint8_t *)out.at,
	                              .entries = code,
	                              .scratch_bytes = 4096,
	                              .cpu = "any",
	                              .features = ""};
}

static void fixture_open(Fixture *f, uint32_t threads)
{
	*f = (Fixture){.arena = arena_new(), .w = {3}, .table = {{1, 2, 3}, {4, 5, 6}}};
	fixture_interface(f);
	cr_assert_eq(nacre_model_new(&f->artefact, threads, &f->model, &f->error), NACRE_OK, "%s",
	             f->error.text);
	for (uint32_t i = 0; i < nacre_model_weights(f->model); i++)
		for (uint32_t k = 0; k < nacre_model_weight_keys(f->model, i); k++) {
			bool table = strcmp(nacre_model_weight_name(f->model, i), "table") == 0;
			NacreTensor t = {NACRE_F32, 1, {table ? 3 : 1}, table ? f->table[k] : f->w};
			cr_assert_eq(nacre_model_bind(f->model, i, k, &t, &f->error), NACRE_OK, "%s",
			             f->error.text);
		}
}

static void fixture_close(Fixture *f)
{
	nacre_model_free(f->model);
	arena_free(f->arena);
}

static NacreSession *session(Fixture *f, int64_t t)
{
	NacreSession *s = NULL;
	NacreDim dims[] = {{"T", t}};
	cr_assert_eq(nacre_session_new(f->model, dims, 1, &s, &f->error), NACRE_OK, "%s",
	             f->error.text);
	return s;
}

static NacreStatus call_step(Fixture *f, NacreSession *s, int64_t b, int64_t n, float first,
                             NacreTensor out[2])
{
	static _Thread_local float x[64 * 64], y[64 * 64], sum[64];
	for (int64_t i = 0; i < b * n; i++) x[i] = first + (float)i;
	NacreTensor in = {NACRE_F32, 2, {b, n}, x};
	out[0].data = y;
	out[1].data = sum;
	return nacre_call(s, 0, &in, NULL, 0, out, &f->error);
}

/* --- tests ------------------------------------------------------------------------------------------ */

Test(runtime, calls)
{
	for (uint32_t threads = 1; threads <= 4; threads++) {
		Fixture f;
		fixture_open(&f, threads);
		NacreSession *s = session(&f, 7);
		NacreTensor out[2];
		cr_assert_eq(call_step(&f, s, 2, 3, 1, out), NACRE_OK, "%s", f.error.text);
		cr_assert(out[0].rank == 2 && out[0].dims[0] == 2 && out[0].dims[1] == 3 &&
		          out[1].dims[0] == 2);
		const float *y = out[0].data, *sum = out[1].data;
		for (int i = 0; i < 6; i++) cr_assert_float_eq(y[i], 3.0f * (float)(6 - i) + 7, 1e-6);
		cr_assert_float_eq(sum[0], 6, 1e-6);
		cr_assert_eq(nacre_session_dim(s, "pos"), 3);
		cr_assert_eq(nacre_session_dim(s, "B"), 2);
		cr_assert_eq(call_step(&f, s, 2, 4, 0, out), NACRE_OK, "%s", f.error.text);
		cr_assert_float_eq(sum[0], 6 + 6, 1e-6);
		cr_assert_float_eq(sum[1], 15 + 22, 1e-6);
		nacre_session_free(s);
		fixture_close(&f);
	}
}

Test(runtime, state_is_copied_and_reset)
{
	Fixture f;
	fixture_open(&f, 1);
	NacreSession *s = session(&f, 10), *copy = NULL;
	NacreTensor out[2];
	cr_assert_eq(call_step(&f, s, 1, 2, 1, out), NACRE_OK);
	cr_assert_eq(nacre_session_copy(s, &copy, &f.error), NACRE_OK);
	cr_assert_eq(call_step(&f, s, 1, 1, 10, out), NACRE_OK);
	cr_assert_float_eq(((float *)out[1].data)[0], 13, 1e-6);
	cr_assert_eq(call_step(&f, copy, 1, 1, 20, out), NACRE_OK);
	cr_assert_float_eq(((float *)out[1].data)[0], 23, 1e-6);
	cr_assert_eq(nacre_session_reset(s, &f.error), NACRE_OK);
	cr_assert_eq(nacre_session_dim(s, "pos"), 0);
	cr_assert_eq(call_step(&f, s, 1, 1, 5, out), NACRE_OK);
	cr_assert_float_eq(((float *)out[1].data)[0], 5, 1e-6);
	cr_assert_eq(nacre_session_set_dim(s, "pos", 0, &f.error), NACRE_OK);
	cr_assert_eq(nacre_session_set_dim(s, "pos", 11, &f.error), NACRE_BAD_ARGUMENT);
	cr_assert_eq(nacre_session_set_dim(s, "B", 2, &f.error), NACRE_BAD_ARGUMENT);
	nacre_session_free(copy);
	nacre_session_free(s);
	fixture_close(&f);
}

static void expect(Fixture *f, NacreStatus got, NacreStatus want, const char *text)
{
	cr_expect_eq(got, want, "status %d: %s", got, f->error.text);
	cr_expect(strstr(f->error.text, text), "\"%s\" does not say \"%s\"", f->error.text, text);
}

Test(runtime, messages)
{
	Fixture f;
	fixture_open(&f, 1);
	NacreSession *s = session(&f, 4);
	NacreTensor out[2];
	expect(&f, call_step(&f, s, 2, 5, 0, out), NACRE_BAD_ARGUMENT,
	       "requires pos + S <= T; here T = 4, pos = 0, S = 5");
	cr_expect_eq(nacre_session_dim(s, "B"), -1, "a failed call binds nothing");
	expect(&f, call_step(&f, s, 0, 1, 0, out), NACRE_BAD_ARGUMENT,
	       "dim `B` is 0, outside of its range 1..64");
	cr_assert_eq(call_step(&f, s, 2, 1, 0, out), NACRE_OK);
	expect(&f, call_step(&f, s, 3, 1, 0, out), NACRE_BAD_ARGUMENT,
	       "input `x` has the shape [3, 1], entry `step` needs [2, 1]");
	float x[8] = {0};
	NacreTensor in = {NACRE_I32, 2, {2, 1}, x};
	expect(&f, nacre_call(s, 0, &in, NULL, 0, out, &f.error), NACRE_BAD_ARGUMENT,
	       "input `x` is i32, entry `step` needs f32");
	in = (NacreTensor){NACRE_F32, 1, {2}, x};
	expect(&f, nacre_call(s, 0, &in, NULL, 0, out, &f.error), NACRE_BAD_ARGUMENT,
	       "has 1 dimension, entry `step` needs 2");
	in = (NacreTensor){NACRE_F32, 2, {2, 1}, NULL};
	expect(&f, nacre_call(s, 0, &in, NULL, 0, out, &f.error), NACRE_MISSING,
	       "input `x` was not given");
	NacreDim unknown = {"Q", 1}, state = {"pos", 1}, other = {"B", 9};
	in.data = x;
	expect(&f, nacre_call(s, 0, &in, &unknown, 1, out, &f.error), NACRE_BAD_ARGUMENT, "no dim `Q`");
	expect(&f, nacre_call(s, 0, &in, &state, 1, out, &f.error), NACRE_BAD_ARGUMENT,
	       "is state of the session");
	expect(&f, nacre_call(s, 0, &in, &other, 1, out, &f.error), NACRE_BAD_ARGUMENT,
	       "dim `B` is 2 in this session");
	expect(&f, nacre_call(s, 7, &in, NULL, 0, out, &f.error), NACRE_BAD_ARGUMENT, "no entry 7");
	nacre_session_free(s);
	fixture_close(&f);
}

Test(runtime, indices_from_data)
{
	Fixture f;
	fixture_open(&f, 2);
	NacreDim dims[] = {{"T", 4}, {"B", 1}};
	NacreSession *s = NULL;
	cr_assert_eq(nacre_session_new(f.model, dims, 2, &s, &f.error), NACRE_OK, "%s", f.error.text);
	int32_t at[] = {5, 0, 3};
	float got[3];
	NacreTensor in = {NACRE_I32, 1, {3}, at}, out = {.data = got};
	cr_assert_eq(nacre_call(s, 1, &in, NULL, 0, &out, &f.error), NACRE_OK, "%s", f.error.text);
	cr_assert(got[0] == 6 && got[1] == 1 && got[2] == 4);
	at[1] = 6;
	expect(&f, nacre_call(s, 1, &in, NULL, 0, &out, &f.error), NACRE_BAD_INDEX,
	       "the index 6 is outside of 0..5 (in kernel `kernel`)");
	at[1] = -3;
	expect(&f, nacre_call(s, 1, &in, NULL, 0, &out, &f.error), NACRE_BAD_INDEX,
	       "index -3 in at[1] is outside of the 6 rows");
	in = (NacreTensor){NACRE_I32, 1, {0}, NULL};
	out.data = NULL;
	cr_assert_eq(nacre_call(s, 1, &in, NULL, 0, &out, &f.error), NACRE_OK, "%s", f.error.text);
	nacre_session_free(s);
	fixture_close(&f);
}

Test(runtime, weights)
{
	Fixture f;
	*(&f) = (Fixture){.arena = arena_new(), .w = {3}};
	fixture_interface(&f);
	cr_assert_eq(nacre_model_new(&f.artefact, 1, &f.model, &f.error), NACRE_OK);
	cr_assert_eq(nacre_model_weights(f.model), 2);
	cr_assert_str_eq(nacre_model_weight_key(f.model, 1, 1), "table.1");
	expect(&f, nacre_model_ready(f.model, &f.error), NACRE_MISSING,
	       "3 weights were not given, the first is `w`");
	NacreTensor t = {NACRE_F32, 1, {2}, f.table};
	expect(&f, nacre_model_bind(f.model, 1, 0, &t, &f.error), NACRE_BAD_ARGUMENT,
	       "weight `table.0` has the shape [2], the model needs [3]");
	t = (NacreTensor){NACRE_F16, 1, {3}, f.table};
	expect(&f, nacre_model_bind(f.model, 1, 0, &t, &f.error), NACRE_BAD_ARGUMENT,
	       "is f16, the model needs f32");
	nacre_model_free(f.model);
	f.artefact.features = "avx,quantum";
	expect(&f, nacre_model_new(&f.artefact, 1, &f.model, &f.error), NACRE_BAD_ARTEFACT,
	       "needs `quantum`");
	f.artefact.features = "";
	f.artefact.abi_version = 99;
	expect(&f, nacre_model_new(&f.artefact, 1, &f.model, &f.error), NACRE_BAD_ARTEFACT,
	       "version 99");
	arena_free(f.arena);
}

/* A weight file as a loader sees it. */
typedef struct WeightFile {
	NacreTensor tensor[3]; /* w, table.0, table.1 */
	int unread;            /* the one that cannot be read, or -1 */
	uint32_t reads;
} WeightFile;

static uint32_t part_of(const Fixture *f, uint32_t i, uint32_t key)
{
	return strcmp(nacre_model_weight_name(f->model, i), "table") == 0 ? 1 + key : 0;
}

typedef struct Loading {
	const Fixture *f;
	WeightFile *file;
} Loading;

static void file_tensor(void *ctx, uint32_t i, uint32_t key, NacreTensor *out)
{
	const Loading *l = ctx;
	*out = l->file->tensor[part_of(l->f, i, key)];
}

static bool file_read(void *ctx, uint32_t i, uint32_t key, void *to)
{
	const Loading *l = ctx;
	uint32_t part = part_of(l->f, i, key);
	const float *from = part ? l->f->table[part - 1] : l->f->w;
	l->file->reads++;
	if ((int)part == l->file->unread) return false;
	memcpy(to, from, part ? sizeof l->f->table[0] : sizeof l->f->w);
	return true;
}

/* What a file may get wrong, one after the other with the same model: each is told, nothing of it stays,
 * and the right file serves at last. */
Test(runtime, loaded_weights)
{
	static const struct {
		int part;
		NacreTensor is;
		NacreStatus status;
		const char *why;
	} wrong[] = {
		{0,
	     {NACRE_F16, 1, {1}, NULL},
	     NACRE_BAD_ARGUMENT,
	     "weight `w` is f16, the model needs f32"},
		{2, {NACRE_I32, 1, {3}, NULL}, NACRE_BAD_ARGUMENT, "weight `table.1` is i32"},
		{2,
	     {NACRE_F32, 1, {4}, NULL},
	     NACRE_BAD_ARGUMENT,
	     "weight `table.1` has the shape [4], the model needs [3]"},
		{1,
	     {NACRE_F32, 2, {3, 1}, NULL},
	     NACRE_BAD_ARGUMENT,
	     "weight `table.0` has the shape [3, 1]"},
		{1, {NACRE_F32, 9, {3}, NULL}, NACRE_BAD_ARGUMENT, "weight `table.0`"},
		{1, {NACRE_F32, 1, {-3}, NULL}, NACRE_BAD_ARGUMENT, "weight `table.0` has the shape [-3]"},
		{0, {(NacreType)77, 1, {1}, NULL}, NACRE_BAD_ARGUMENT, "weight `w` is ?"},
		{0, {0, 1, {0}, NULL}, NACRE_BAD_ARGUMENT, "weight `w` has the shape [0]"},
		{0, {NACRE_F32, 1, {1}, NULL}, NACRE_IO, "weight `w` could not be read"},
		{1, {NACRE_F32, 1, {3}, NULL}, NACRE_IO, "weight `table.0` could not be read"},
		{2, {NACRE_F32, 1, {3}, NULL}, NACRE_IO, "weight `table.1` could not be read"},
	};
	for (int mapped = 0; mapped < 2; mapped++) {
		Fixture f = {.arena = arena_new(), .w = {3}, .table = {{1, 2, 3}, {4, 5, 6}}};
		fixture_interface(&f);
		cr_assert_eq(nacre_model_new(&f.artefact, 2, &f.model, &f.error), NACRE_OK);
		WeightFile good = {{{NACRE_F32, 1, {1}, mapped ? f.w : NULL},
		                    {NACRE_F32, 1, {3}, mapped ? f.table[0] : NULL},
		                    {NACRE_F32, 1, {3}, mapped ? f.table[1] : NULL}},
		                   -1,
		                   0};
		for (size_t i = 0; i < COUNT(wrong); i++) {
			WeightFile bad = good;
			bad.tensor[wrong[i].part] = wrong[i].is;
			if (wrong[i].status == NACRE_IO) bad.unread = wrong[i].part;
			NacreLoader loader = {file_tensor, file_read, &(Loading){&f, &bad}};
			expect(&f, nacre_model_load(f.model, &loader, &f.error), wrong[i].status, wrong[i].why);
			expect(&f, nacre_model_ready(f.model, &f.error), NACRE_MISSING,
			       "3 weights were not given, the first is `w`");
		}
		NacreLoader loader = {file_tensor, file_read, &(Loading){&f, &good}};
		cr_assert_eq(nacre_model_load(f.model, &loader, &f.error), NACRE_OK, "%s", f.error.text);
		cr_assert_eq(good.reads, mapped ? 0 : 3);
		NacreSession *s = session(&f, 7);
		NacreTensor out[2];
		cr_assert_eq(call_step(&f, s, 2, 3, 1, out), NACRE_OK, "%s", f.error.text);
		for (int i = 0; i < 6; i++)
			cr_assert_float_eq(((float *)out[0].data)[i], 3.0f * (float)(6 - i) + 7, 1e-6);
		nacre_session_free(s);
		fixture_close(&f);
	}
}

/* What was bound one by one stays bound when a loader fails for the rest. */
Test(runtime, bound_and_loaded_weights)
{
	Fixture f = {.arena = arena_new(), .w = {3}, .table = {{1, 2, 3}, {4, 5, 6}}};
	fixture_interface(&f);
	cr_assert_eq(nacre_model_new(&f.artefact, 1, &f.model, &f.error), NACRE_OK);
	NacreTensor first = {NACRE_F32, 1, {3}, f.table[0]};
	cr_assert_eq(nacre_model_bind(f.model, 1, 0, &first, &f.error), NACRE_OK);
	WeightFile file = {
		{{NACRE_F32, 1, {1}, NULL}, {NACRE_F16, 1, {9}, NULL}, {NACRE_F32, 1, {3}, NULL}}, 2, 0};
	NacreLoader loader = {file_tensor, file_read, &(Loading){&f, &file}};
	expect(&f, nacre_model_load(f.model, &loader, &f.error), NACRE_IO,
	       "weight `table.1` could not be read");
	expect(&f, nacre_model_ready(f.model, &f.error), NACRE_MISSING,
	       "2 weights were not given, the first is `w`");
	file.unread = -1;
	cr_assert_eq(nacre_model_load(f.model, &loader, &f.error), NACRE_OK, "%s", f.error.text);
	uint64_t weights, state, activations;
	NacreSession *s = session(&f, 7);
	NacreTensor out[2];
	cr_assert_eq(call_step(&f, s, 1, 2, 1, out), NACRE_OK, "%s", f.error.text);
	cr_assert_float_eq(((float *)out[0].data)[0], 3.0f * 2 + 7, 1e-6);
	nacre_session_memory(s, &weights, &state, &activations);
	nacre_session_free(s);
	fixture_close(&f);
	uint64_t plain;
	fixture_open(&f, 1);
	s = session(&f, 7);
	nacre_session_memory(s, &plain, &state, &activations);
	cr_assert_eq(weights, plain);
	nacre_session_free(s);
	fixture_close(&f);
}

Test(runtime, damaged_interfaces)
{
	Fixture f;
	f = (Fixture){.arena = arena_new()};
	fixture_interface(&f);
	for (size_t i = 0; i < f.artefact.interface_bytes; i++) {
		uint8_t *copy = arena_alloc(f.arena, f.artefact.interface_bytes);
		memcpy(copy, f.artefact.interface_data, f.artefact.interface_bytes);
		copy[i] ^= 0x10;
		NacreArtefact a = f.artefact;
		a.interface_data = copy;
		cr_assert_eq(nacre_model_new(&a, 1, &f.model, &f.error), NACRE_BAD_ARTEFACT, "byte %zu", i);
		/* the same with a checksum that fits: accepted or refused, but never a crash */
		uint32_t crc = crc32c(0, copy, a.interface_bytes - 4);
		memcpy(copy + a.interface_bytes - 4, &crc, 4);
		if (!nacre_model_new(&a, 1, &f.model, &f.error)) nacre_model_free(f.model);
	}
	arena_free(f.arena);
}

Test(runtime, files)
{
	NacreModel *m = NULL;
	NacreError e;
	cr_assert_eq(nacre_model_open("/nonexistent/model.so", 1, &m, &e), NACRE_IO);
	cr_assert_eq(nacre_model_open("/", 1, &m, &e), NACRE_IO);
	cr_assert(strstr(e.text, "is a directory"), "%s", e.text);
	cr_assert_eq(nacre_model_open("/etc/passwd", 1, &m, &e), NACRE_BAD_ARTEFACT);
	cr_assert_null(m);
}

Test(runtime, profile_and_memory)
{
	Fixture f;
	fixture_open(&f, 1);
	NacreSession *s = session(&f, 64);
	NacreTensor out[2];
	nacre_session_profile(s, true);
	cr_assert_eq(call_step(&f, s, 4, 8, 0, out), NACRE_OK);
	const NacreProfileRow *rows;
	cr_assert_eq(nacre_session_profile_rows(s, 0, &rows), 1);
	cr_assert_eq(rows[0].runs, 1);
	cr_assert_str_eq(rows[0].kernel, "kernel");
	uint64_t weights, state, activations;
	nacre_session_memory(s, &weights, &state, &activations);
	cr_assert_geq(weights, 32);
	cr_assert_eq(state, 4 * 64 * 4);
	cr_assert_geq(activations, 4 * 8 * 4);
	cr_assert_lt(activations, 512);
	nacre_session_free(s);
	fixture_close(&f);
}

/* Random lives: no two that meet overlap, and the total is near what is alive at once. */
Test(runtime, memory_plan)
{
	uint32_t seed = 1;
	for (int round = 0; round < 200; round++) {
		PlanItem item[60];
		uint32_t n = 1 + (uint32_t)round % 60;
		for (uint32_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			uint32_t first = seed >> 16 & 31, span = seed >> 24 & 3;
			item[i] =
				(PlanItem){.bytes = (seed >> 8 & 0xfff) * 16, .first = first, .last = first + span};
		}
		uint64_t total, most = 0;
		cr_assert(plan_memory(item, n, &total));
		for (uint32_t t = 0; t < 40; t++) {
			uint64_t alive = 0;
			for (uint32_t i = 0; i < n; i++)
				alive += item[i].first <= t && t <= item[i].last ? item[i].bytes : 0;
			if (alive > most) most = alive;
		}
		cr_assert_leq(total, most + most / 3);
		for (uint32_t i = 0; i < n; i++) {
			cr_assert_leq(item[i].offset + item[i].bytes, total);
			cr_assert_eq(item[i].offset % 64, 0);
			for (uint32_t k = 0; k < i; k++) {
				bool meet = item[i].first <= item[k].last && item[k].first <= item[i].last;
				bool apart = item[i].offset + item[i].bytes <= item[k].offset ||
				             item[k].offset + item[k].bytes <= item[i].offset;
				cr_assert(!meet || apart);
			}
		}
	}
}

typedef struct Turn {
	Fixture *f;
	float first;
	bool ok;
} Turn;
static void *turns(void *at)
{
	Turn *t = at;
	Fixture f = *t->f; /* an error of its own */
	t->ok = true;
	for (int i = 0; i < 50 && t->ok; i++) {
		NacreSession *s = NULL;
		NacreDim dims[] = {{"T", 64}};
		NacreTensor out[2];
		t->ok = !nacre_session_new(f.model, dims, 1, &s, &f.error) &&
		        !call_step(&f, s, 2, 9, t->first, out);
		for (int k = 0; k < 18 && t->ok; k++)
			t->ok = ((float *)out[0].data)[k] == 3 * (t->first + (float)(17 - k)) + 7;
		nacre_session_free(s);
	}
	return NULL;
}

Test(runtime, sessions_in_several_threads)
{
	Fixture f;
	fixture_open(&f, 3);
	Turn t[3] = {{&f, 1, false}, {&f, 2, false}, {&f, 3, false}};
	pthread_t thread[3];
	for (int i = 0; i < 3; i++) pthread_create(&thread[i], NULL, turns, &t[i]);
	for (int i = 0; i < 3; i++) pthread_join(thread[i], NULL);
	cr_assert(t[0].ok && t[1].ok && t[2].ok);
	fixture_close(&f);
}
