/* nacre tile: runs a tile program on made-up or given inputs, and compares targets. */
#include "tools/tool.h"

#include "codegen/pearl/pearl.h"

#include <math.h>
#include <string.h>

typedef struct TileCall {
	Tool *t;
	TileProgram *p;
	uint32_t entry;
	Given given;
	int64_t *params;
} TileCall;

/* --- what it is called with --------------------------------------------------------------------------- */

typedef struct Values {
	const TileProgram *p;
	const int64_t *params;
	size_t known;
} Values;

static bool value_of(void *ctx, const DimSym *s, int64_t *out)
{
	const Values *v = ctx;
	for (size_t i = 0; i < v->known; i++)
		if (v->p->params.at[i] == s) {
			*out = v->params[i];
			return true;
		}
	return false;
}

static bool params_bind(TileCall *c)
{
	Tool *t = c->t;
	TileProgram *p = c->p;
	const char **names = NEW_ARRAY(t->arena, const char *, p->params.n + 1);
	for (size_t i = 0; i < p->params.n; i++) names[i] = p->params.at[i]->name;
	if (!settings_check(t, names, p->params.n, "parameter")) return false;
	c->params = NEW_ARRAY(t->arena, int64_t, p->params.n + 1);
	Values v = {p, c->params, 0};
	for (size_t i = 0; i < p->params.n; i++, v.known = i) {
		const DimSym *s = p->params.at[i];
		int64_t lo, hi, x;
		if (!dim_eval(s->lo, value_of, &v, &lo) || !dim_eval(s->hi, value_of, &v, &hi))
			return tool_fail(t, "the range of `%s` has no value", s->name);
		if (!setting_integer(t, s->name, &x)) {
			if (t->d.errors) return false;
			x = value_default(s->kind == SYM_CALL, lo, hi);
		}
		if (x < lo || x > hi)
			return tool_fail(t, "%s = %lld is outside its range %lld..%lld", s->name, (long long)x,
			                 (long long)lo, (long long)hi);
		c->params[i] = x;
	}
	for (size_t i = 0; i < p->require.n; i++) {
		int64_t x;
		if (dim_eval(p->require.at[i], value_of, &v, &x) && x >= 0) continue;
		return tool_fail(t, "the program requires %s",
		                 i < p->require_text.n ? message_relation(t->arena, p->require_text.at[i])
		                                       : dim_text(t->arena, p->require.at[i]));
	}
	return true;
}

static bool entry_find(TileCall *c)
{
	Tool *t = c->t;
	const char **names = NEW_ARRAY(t->arena, const char *, c->p->entries.n + 1);
	for (uint32_t i = 0; i < c->p->entries.n; i++) {
		names[i] = c->p->entries.at[i]->name;
		if (!t->a.entry || strcmp(names[i], t->a.entry) == 0) {
			c->entry = i;
			return true;
		}
	}
	if (!t->a.entry) return tool_fail(t, "the program has no entry");
	Diag *d = diag_error(&t->d, span_none(), "the program has no entry `%s`", t->a.entry);
	const char *near = nearest_name(t->a.entry, names, c->p->entries.n);
	if (near) diag_help(&t->d, d, "did you mean `%s`?", near);
	return false;
}

/* --- made-up values ------------------------------------------------------------------------------------ */

/* A buffer of indices must hold valid ones: what it indexes tells their limit. */
typedef struct IndexUse {
	int64_t below; /* 0: not used as index */
	bool scatter;  /* rows written: no index twice */
} IndexUse;

static void use_limit(IndexUse *u, int64_t below, bool scatter)
{
	if (below < 1) below = 1;
	if (u->below == 0 || below < u->below) u->below = below;
	u->scatter = u->scatter || scatter;
}

/* The program buffer behind a formal of the kernel. */
static const TileObj *actual(const TileKernel *k, const TileStep *launch, const TileObj *o)
{
	for (size_t i = 0; i < k->bufs.n; i++)
		if (k->bufs.at[i] == o) return launch->args[i].buf;
	return NULL;
}

static void access_use(TileCall *c, const TileStep *launch, const TileAccess *a, bool written,
                       IndexUse *uses)
{
	if (!a->rows) return;
	access_use(c, launch, a->rows, false, uses);
	const TileObj *index = actual(launch->kernel, launch, a->rows->obj);
	const TileObj *indexed = actual(launch->kernel, launch, a->obj);
	/* Dims that the launch fixes come before those of the formal. */
	int64_t extent = 0, dims[TILE_RANK];
	if (indexed && tile_dims(c->p, indexed, c->params, dims))
		extent = dims[a->rows_dim + indexed->rank - a->obj->rank];
	else if (!indexed)
		dim_is_const(a->obj->dims[a->rows_dim], &extent); /* a place */
	if (index && extent > 0) use_limit(&uses[index->id], extent, written);
}

static void block_use(TileCall *c, const TileStep *launch, const TileBlock *b, IndexUse *uses)
{
	for (const TileStmt *s = b->first; s; s = s->next) {
		block_use(c, launch, &s->body, uses);
		block_use(c, launch, &s->orelse, uses);
		for (uint32_t i = 0; i < s->n_in; i++) access_use(c, launch, &s->in[i], false, uses);
		for (uint32_t i = 0; i < s->n_out; i++) access_use(c, launch, &s->out[i], true, uses);
		if (s->op != TILE_INDEX || !s->n_in) continue;
		const TileObj *index = actual(launch->kernel, launch, s->in[0].obj);
		Values v = {c->p, c->params, c->p->params.n};
		int64_t hi;
		if (index && s->hi && dim_eval(s->hi, value_of, &v, &hi))
			use_limit(&uses[index->id], hi, false);
	}
}

static void steps_use(TileCall *c, const TileStep *s, IndexUse *uses)
{
	for (; s; s = s->next) {
		if (s->kind == STEP_LOOP)
			steps_use(c, s->body, uses);
		else
			block_use(c, s, &s->kernel->body, uses);
	}
}

/* A random permutation of 0..n-1, as far as the limit allows. */
static void shuffle(HostTensor *x, uint64_t *seed)
{
	int64_t n = host_tensor_count(x);
	void *data = tensor_data(x);
	for (int64_t i = 0; i < n; i++) dtype_store(x->dtype, data, i, (double)i);
	for (int64_t i = n - 1; i > 0; i--) {
		int64_t k = (int64_t)(random_next(seed) % (uint64_t)(i + 1));
		double a = dtype_load(x->dtype, data, i), b = dtype_load(x->dtype, data, k);
		dtype_store(x->dtype, data, i, b);
		dtype_store(x->dtype, data, k, a);
	}
}

/* Dense elements to the encoding of the buffer. */
static void *encoded(Arena *a, const TileObj *o, const HostTensor *x)
{
	int64_t n = host_tensor_count(x), bytes = encoding_bytes(&o->enc, o->dtype, o->rank, x->dims);
	uintptr_t at = (uintptr_t)arena_alloc(a, (size_t)(bytes < 0 ? INT64_MAX : bytes) + 128);
	void *out = (void *)((at + 63) & ~(uintptr_t)63);
	double *dense = NEW_ARRAY(a, double, n + 1);
	for (int64_t i = 0; i < n; i++) dense[i] = dtype_load(x->dtype, x->data, i);
	encoding_pack(&o->enc, o->dtype, o->rank, x->dims, dense, out);
	return out;
}

static HostTensor decoded(Arena *a, const TileObj *o, const int64_t *dims, const void *data)
{
	DType t = o->dtype == DT_I4 || o->enc.kind == ENC_I4 ? DT_F32 : o->dtype;
	HostTensor x = tensor_new(a, o->name, t, o->rank, dims);
	int64_t n = host_tensor_count(&x);
	double *dense = NEW_ARRAY(a, double, n + 1);
	encoding_unpack(&o->enc, o->dtype, o->rank, dims, data, dense);
	for (int64_t i = 0; i < n; i++) dtype_store(t, tensor_data(&x), i, dense[i]);
	return x;
}

static bool same_shape(const HostTensor *x, uint32_t rank, const int64_t *dims)
{
	if (x->rank != rank) return false;
	for (uint32_t i = 0; i < rank; i++)
		if (x->dims[i] != dims[i]) return false;
	return true;
}

static bool buffer_fill(TileCall *c, const TileObj *o, const IndexUse *use, uint64_t *seed,
                        void **out)
{
	Tool *t = c->t;
	int64_t dims[TILE_RANK];
	if (!tile_dims(c->p, o, c->params, dims))
		return tool_fail(t, "the shape of `%s` has no value", o->name);
	const HostTensor *given = given_find(&c->given, o->name);
	bool scaled = o->enc.kind == ENC_I4;
	HostTensor x = tensor_new(t->arena, o->name, scaled ? DT_F32 : o->dtype, o->rank, dims);
	if (given) {
		if (!same_shape(given, o->rank, dims))
			return tool_fail(t, "input `%s` is %s, the program takes %s", o->name,
			                 host_tensor_type(t->arena, given), host_tensor_type(t->arena, &x));
		x = *given;
	} else if (o->literal) {
		x.data = o->literal;
	} else if (o->kind != TB_OUT) {
		if (use->below > 0 && use->scatter && host_tensor_count(&x) <= use->below)
			shuffle(&x, seed);
		else
			tensor_random(&x, seed, use->below);
	}
	*out = encoded(t->arena, o, &x);
	return true;
}

static bool data_make(TileCall *c, TileData *out)
{
	Tool *t = c->t;
	TileProgram *p = c->p;
	IndexUse *uses = NEW_ARRAY(t->arena, IndexUse, p->bufs.n + 1);
	const char **names = NEW_ARRAY(t->arena, const char *, p->bufs.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < p->bufs.n; i++)
		if (p->bufs.at[i]->kind != TB_ARENA) names[n++] = p->bufs.at[i]->name;
	if (!given_check(t, &c->given, names, n, "buffer")) return false;
	steps_use(c, p->entries.at[c->entry]->steps, uses);
	if (p->prepack) steps_use(c, p->prepack->steps, uses);
	*out = (TileData){c->params, NEW_ARRAY(t->arena, void *, p->bufs.n + 1)};
	uint64_t seed = t->a.seed.value;
	for (size_t i = 0; i < p->bufs.n; i++)
		if (p->bufs.at[i]->kind != TB_ARENA &&
		    !buffer_fill(c, p->bufs.at[i], &uses[i], &seed, &out->data[i]))
			return false;
	return true;
}

/* --- results -------------------------------------------------------------------------------------------- */

typedef VEC(HostTensor) Tensors;

/* What the entry leaves behind: its outputs, and every state. */
static void results_of(TileCall *c, const TileData *data, Tensors *out)
{
	const TileEntry *e = c->p->entries.at[c->entry];
	for (size_t i = 0; i < c->p->bufs.n; i++) {
		const TileObj *o = c->p->bufs.at[i];
		bool wanted = o->kind == TB_STATE;
		for (size_t k = 0; k < e->outs.n; k++) wanted = wanted || e->outs.at[k] == o;
		int64_t dims[TILE_RANK];
		if (!wanted || !tile_dims(c->p, o, c->params, dims)) continue;
		HostTensor x = decoded(c->t->arena, o, dims, data->data[i]);
		vec_push(c->t->arena, out, x);
	}
}

static TileData data_copy(TileCall *c, const TileData *from)
{
	TileData to = {from->params, NEW_ARRAY(c->t->arena, void *, c->p->bufs.n + 1)};
	for (size_t i = 0; i < c->p->bufs.n; i++) {
		const TileObj *o = c->p->bufs.at[i];
		int64_t dims[TILE_RANK];
		if (!from->data[i] || !tile_dims(c->p, o, c->params, dims)) continue;
		size_t bytes = (size_t)encoding_bytes(&o->enc, o->dtype, o->rank, dims);
		uintptr_t at = (uintptr_t)arena_alloc(c->t->arena, bytes + 128);
		to.data[i] = (void *)((at + 63) & ~(uintptr_t)63);
		memcpy(to.data[i], from->data[i], bytes);
	}
	return to;
}

static bool compare(TileCall *c, const TileData *inputs, const Tensors *results, Compared *out)
{
	Tool *t = c->t;
	TargetId other;
	if (!target_named(t, t->a.compare, &other)) return false;
	TileData data = data_copy(c, inputs);
	TileResult ignored = {0};
	if (!tile_run(t, other, c->p, c->entry, &data, &ignored)) return false;
	Tensors reference = {0};
	results_of(c, &data, &reference);
	*out = (Compared){.with = target_name(other),
	                  .each = NEW_ARRAY(t->arena, Difference, results->n + 1)};
	for (size_t i = 0; i < results->n; i++) {
		out->each[i] = tensor_difference(&results->at[i], &reference.at[i]);
		difference_merge(&out->worst, out->each[i]);
	}
	return true;
}

static void print_json(TileCall *c, TargetId target, const TileResult *r, const Tensors *results,
                       const Compared *compared)
{
	json_t *params = json_object(), *outputs = json_object();
	for (size_t i = 0; i < c->p->params.n; i++)
		json_object_set_new(params, c->p->params.at[i]->name, json_integer(c->params[i]));
	for (size_t i = 0; i < results->n; i++) {
		json_t *one = tensor_json(&results->at[i]);
		if (compared->with)
			json_object_set_new(one, "error", json_number(compared->each[i].absolute));
		json_object_set_new(outputs, results->at[i].name, one);
	}
	json_t *j = json_pack("{s:s, s:s, s:o, s:f, s:f, s:f, s:f, s:o}", "entry",
	                      c->p->entries.at[c->entry]->name, "target", target_name(target), "params",
	                      params, "compile_seconds", r->compile_seconds, "seconds", r->seconds,
	                      "least_seconds", r->least, "most_seconds", r->most, "outputs", outputs);
	if (compared->with)
		json_object_set_new(j, "compare",
		                    json_pack("{s:s, s:o, s:o}", "target", compared->with, "max_error",
		                              json_number(compared->worst.absolute), "max_relative",
		                              json_number(compared->worst.relative)));
	if (r->sim) json_object_set_new(j, "sim", sim_json(r->sim, &r->pearl->machine));
	report_json(c->t, j);
}

static void print_text(TileCall *c, TargetId target, const TileResult *r, const Tensors *results,
                       const Compared *compared)
{
	Tool *t = c->t;
	printf("%s on %s", c->p->entries.at[c->entry]->name, target_name(target));
	for (size_t i = 0; i < c->p->params.n; i++)
		printf("%s%s = %lld", i ? ", " : " with ", c->p->params.at[i]->name,
		       (long long)c->params[i]);
	printf(": %s", seconds_text(t->arena, r->seconds));
	if (t->a.repeat && target == TARGET_CPU)
		printf(" (%s to %s)", seconds_text(t->arena, r->least), seconds_text(t->arena, r->most));
	if (r->compile_seconds > 0)
		printf(", compiled in %s", seconds_text(t->arena, r->compile_seconds));
	putchar('\n');
	for (size_t i = 0; i < results->n; i++) {
		const HostTensor *x = &results->at[i];
		double scale = tensor_difference(x, x).scale;
		printf("  %s %s, magnitude up to %.6g", x->name, host_tensor_type(t->arena, x), scale);
		if (compared->with)
			printf(", max error %.3g (relative %.3g)", compared->each[i].absolute,
			       compared->each[i].relative);
		putchar('\n');
	}
	if (r->sim && !t->a.no_time)
		sim_print(t, r->sim, &r->pearl->machine, &r->pearl->interface->entry[c->entry]);
	if (compared->with)
		printf("max error against %s: %.3g (relative %.3g)\n", compared->with,
		       compared->worst.absolute, compared->worst.relative);
}

static bool program_open(TileCall *c)
{
	Tool *t = c->t;
	const Source *s = source_open(t, t->a.files.at[0]);
	if (!s) return false;
	c->p = tile_parse(t->arena, &t->d, s);
	if (!c->p) return false;
	if (c->p->entries.n == 0) tile_default_entries(c->p);
	tile_liveness(c->p);
	return tile_verify(&t->d, c->p);
}

bool command_tile(Tool *t)
{
	TileCall c = {.t = t};
	if (!program_open(&c)) return false;
	if (t->a.print) {
		Text text = text_new(t->arena);
		tile_print(&text, c.p);
		return write_text(t, &text);
	}
	TargetId target;
	TileData inputs, data;
	TileResult result = {0};
	Tensors results = {0};
	Compared compared = {0};
	if (!target_chosen(t, TARGET_INTERP, &target) || !entry_find(&c) || !params_bind(&c) ||
	    !given_read(t, &c.given) || !data_make(&c, &inputs))
		return false;
	data = data_copy(&c, &inputs);
	if (!tile_run(t, target, c.p, c.entry, &data, &result)) return false;
	results_of(&c, &data, &results);
	if (t->a.compare && !compare(&c, &inputs, &results, &compared)) return false;
	if (!outputs_write(t, results.at, results.n)) return false;
	if (t->a.json)
		print_json(&c, target, &result, &results, &compared);
	else
		print_text(&c, target, &result, &results, &compared);
	if (compared.with && option_given(t, OPT_tolerance) &&
	    !(compared.worst.absolute <= t->a.tolerance))
		return tool_fail(t, "the results differ from %s by %.3g, more than the tolerance %.3g",
		                 compared.with, compared.worst.absolute, t->a.tolerance);
	return true;
}
