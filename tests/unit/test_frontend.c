/* Units of the frontend: weights of a file against a module, random weights, and the shipped CNN run
 * by the oracle. Messages and IR are golden tests, in tests/frontend. */
#include "frontend/frontend.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static Arena *arena;
static Diags diags;

static void begin(void)
{
	arena = arena_new();
	diags = (Diags){.arena = arena};
}

static void end(void)
{
	arena_free(arena);
}

TestSuite(frontend, .init = begin, .fini = end);

static Module *load(const char *text)
{
	FrontendUnit u;
	const Source *s = source_from_text(arena, "test.nac", text, strlen(text));
	bool ok = frontend_load(arena, interner_new(arena), &diags, s, NULL, &u);
	if (!ok) diags_print(&diags, stderr);
	cr_assert(ok);
	diags = (Diags){.arena = arena}; /* without remarks */
	return u.module;
}

static const char *const two_layers =
	"dim N in 1..4\n"
	"layer Fc(I: int, O: int) {\n"
	"    weight w: f32[O, I] from \"weight\"\n"
	"    def forward(x: f32[N, I]) -> f32[N, O] { return x @ w.T }\n"
	"}\n"
	"@ignore(\"*.mask\")\n"
	"model M() {\n"
	"    use h[i in 0..2]: Fc(3, 3) from \"layers.{i}\"\n"
	"    use out: Fc(3, 2)\n"
	"    entry go(x: f32[N, 3]) { for i in 0..2 { x = h[i](x) }\n"
	"        return out(x) }\n"
	"}\n";

static float numbers[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static HostTensor tensor(const char *name, DType t, int64_t rows, int64_t columns)
{
	return (HostTensor){
		.name = name, .dtype = t, .rank = 2, .dims = {rows, columns}, .data = numbers};
}

/* Binds a module to the tensors; the text of the one message, "" when there is none. */
static const char *bind(const Module *m, HostTensor *list, size_t n, BoundWeight *out)
{
	cr_assert_null(host_tensors_sort(list, n));
	TensorFile f = {.path = "w.safetensors", .list = list, .n = n};
	bool ok = weights_bind(arena, &diags, m, &f, out);
	cr_assert_eq(ok, diags.errors == 0);
	if (ok) return "";
	cr_assert_eq(diags.errors, 1, "%u messages", diags.errors);
	Text t = text_new(arena);
	diags_render(&diags, &t);
	diags = (Diags){.arena = arena};
	return t.at;
}

#define SAYS(text, part) cr_expect(strstr(text, part), "%s", text)

Test(frontend, stacked_weights_bind_key_by_key)
{
	Module *m = load(two_layers);
	BoundWeight w[4];
	HostTensor list[] = {tensor("layers.0.weight", DT_F32, 3, 3),
	                     tensor("layers.1.weight", DT_F32, 3, 3),
	                     tensor("out.weight", DT_F32, 2, 3), tensor("layers.0.mask", DT_F32, 1, 1)};
	cr_assert_eq(m->weights.n, 2);
	cr_expect_str_eq(type_text(arena, &m->weights.at[0].type), "f32[2, 3, 3]");
	cr_expect_str_eq(bind(m, list, COUNT(list), w), "");
	cr_expect_eq(w[0].n, 2);
	cr_expect_str_eq(w[0].part[1].name, "layers.1.weight");
	cr_expect_eq(w[0].part[1].rank, 2);
	cr_expect_eq(w[1].part[0].data, (const void *)numbers);
}

Test(frontend, narrow_floats_widen_when_bound)
{
	Module *m = load(two_layers);
	BoundWeight w[4];
	static uint16_t halves[9];
	dtype_store(DT_BF16, halves, 4, 2.5);
	HostTensor list[] = {tensor("layers.0.weight", DT_BF16, 3, 3),
	                     tensor("layers.1.weight", DT_F32, 3, 3),
	                     tensor("out.weight", DT_F32, 2, 3)};
	list[0].data = halves;
	cr_expect_str_eq(bind(m, list, COUNT(list), w), "");
	cr_expect_eq(w[0].part[0].dtype, DT_F32);
	cr_expect_eq(((const float *)w[0].part[0].data)[4], 2.5f);
}

Test(frontend, a_wrong_weight_gives_one_message)
{
	Module *m = load(two_layers);
	BoundWeight w[4];
	const char *text;
	HostTensor missing[] = {tensor("layers.0.weight", DT_F32, 3, 3),
	                        tensor("layers.1.weigth", DT_F32, 3, 3),
	                        tensor("out.weight", DT_F32, 2, 3)};
	text = bind(m, missing, COUNT(missing), w);
	SAYS(text, "error: 'w.safetensors' has no weight 'layers.1.weight'");
	SAYS(text, "help: the nearest key is 'layers.1.weigth'");

	HostTensor transposed[] = {tensor("layers.0.weight", DT_F32, 3, 3),
	                           tensor("layers.1.weight", DT_F32, 3, 3),
	                           tensor("out.weight", DT_F32, 3, 2)};
	text = bind(m, transposed, COUNT(transposed), w);
	SAYS(text, "weight 'out.weight' of 'w.safetensors' is f32[3, 2], the model takes f32[2, 3]");
	SAYS(text, "help: it would fit transposed");

	HostTensor wide[] = {tensor("layers.0.weight", DT_F32, 3, 3),
	                     tensor("layers.1.weight", DT_F32, 3, 3),
	                     tensor("out.weight", DT_F64, 2, 3)};
	text = bind(m, wide, COUNT(wide), w);
	SAYS(text, "holds f64, the model takes f32: loading never narrows");

	HostTensor surplus[] = {
		tensor("layers.0.weight", DT_F32, 3, 3), tensor("layers.1.weight", DT_F32, 3, 3),
		tensor("layers.2.weight", DT_F32, 3, 3), tensor("out.weight", DT_F32, 2, 3)};
	text = bind(m, surplus, COUNT(surplus), w);
	SAYS(text, "the model uses no weight 'layers.2.weight' of 'w.safetensors'");

	HostTensor prefixed[] = {tensor("net.layers.0.weight", DT_F32, 3, 3),
	                         tensor("net.layers.1.weight", DT_F32, 3, 3),
	                         tensor("net.out.weight", DT_F32, 2, 3)};
	text = bind(m, prefixed, COUNT(prefixed), w);
	SAYS(text, "the keys of 'w.safetensors' begin with `net.`, those of the model do not");
}

Test(frontend, alternatives_of_a_key_are_tried_in_turn)
{
	Module *m = load("dim N in 1..4\n"
	                 "model M() {\n"
	                 "    weight w: f32[2, 3] from \"first\" or \"second\"\n"
	                 "    entry go(x: f32[N, 3]) { return x @ w.T }\n"
	                 "}\n");
	BoundWeight w[1];
	HostTensor list[] = {tensor("second", DT_F32, 2, 3)};
	cr_expect_str_eq(m->weights.at[0].keys[0], "first|second");
	cr_expect_str_eq(bind(m, list, 1, w), "");
	list[0].name = "third";
	const char *text = bind(m, list, 1, w);
	SAYS(text, "has no weight 'first'");
	SAYS(text, "none of its alternatives is there either");
}

Test(frontend, random_weights_repeat)
{
	Module *m = load(two_layers);
	BoundWeight a[4], b[4], c[4];
	weights_random(arena, m, 1, a);
	weights_random(arena, m, 1, b);
	weights_random(arena, m, 2, c);
	cr_expect_eq(memcmp(a[0].part[1].data, b[0].part[1].data, 9 * sizeof(float)), 0);
	cr_expect_neq(memcmp(a[0].part[1].data, c[0].part[1].data, 9 * sizeof(float)), 0);
	cr_expect_neq(memcmp(a[0].part[0].data, a[0].part[1].data, 9 * sizeof(float)), 0);
}

/* --- the shipped CNN ------------------------------------------------------------------------------- */

static Value value_of(const Type *type, uint32_t n, const HostTensor *parts)
{
	Value v = {.type = *type, .rank = type->rank, .count = 1};
	int64_t at = 0;
	for (uint32_t i = 0; i < v.rank; i++)
		if (!dim_is_const(type->dim[i], &v.dims[i])) v.dims[i] = parts[0].dims[i];
	for (uint32_t i = 0; i < v.rank; i++) v.count *= v.dims[i];
	v.at = NEW_ARRAY(arena, double, v.count);
	for (uint32_t p = 0; p < n; p++)
		for (int64_t i = 0; i < host_tensor_count(&parts[p]); i++)
			v.at[at++] = dtype_load(parts[p].dtype, parts[p].data, i);
	return v;
}

Test(frontend, fashion_gives_the_logits_that_pytorch_gave)
{
	const char *why, *folder = NACRE_SOURCE_DIR "/examples/fashion";
	const Source *s = source_from_file(arena, arena_printf(arena, "%s/fashion.nac", folder), &why);
	FrontendUnit u;
	TensorFile f;
	HostTensor images, expected;
	cr_assert(s && frontend_load(arena, interner_new(arena), &diags, s, NULL, &u));
	Module *m = u.module;
	BoundWeight *bound = NEW_ARRAY(arena, BoundWeight, m->weights.n);
	Value *weights = NEW_ARRAY(arena, Value, m->weights.n);
	cr_assert(
		tensor_file_open(arena, &diags, arena_printf(arena, "%s/weights.safetensors", folder), &f));
	cr_assert(weights_bind(arena, &diags, m, &f, bound));
	cr_assert(npy_read(arena, &diags, arena_printf(arena, "%s/images.npy", folder), &images));
	cr_assert(npy_read(arena, &diags, arena_printf(arena, "%s/expected.npy", folder), &expected));
	for (size_t i = 0; i < m->weights.n; i++)
		weights[i] = value_of(&m->weights.at[i].type, bound[i].n, bound[i].part);
	const Entry *e = m->entries.at[0];
	int64_t params[1] = {images.dims[0]};
	Value in = value_of(&e->graph->args.at[0]->type, 1, &images), out;
	cr_assert_str_eq(e->name, "classify");
	cr_assert(module_interpret(arena, &diags, m, e, params, &in, weights, NULL, &out, NULL));
	cr_assert_eq(out.count, host_tensor_count(&expected));
	double worst = 0;
	for (int64_t i = 0; i < out.count; i++)
		worst = fmax(worst, fabs(out.at[i] - dtype_load(expected.dtype, expected.data, i)));
	cr_expect_lt(worst, 2e-4, "largest difference %g", worst);
	tensor_file_close(&f);
}
