/* Random values for the inputs, weights and states of a module, and their comparison. */
#ifndef NACRE_TESTS_AGREE_VALUES_H
#define NACRE_TESTS_AGREE_VALUES_H
#include "codegen/tile/build.h"
#include "passes/passes.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

typedef struct Agree Agree;
/* A further way to run the program, on buffers of its own (other_data, 64-byte aligned). */
typedef struct AgreeOther {
	bool (*start)(Agree *r); /* compiles, after agree_build */
	bool (*run)(Agree *r, const TileEntry *e, uint32_t number, const int64_t *params);
	void (*finish)(Agree *r);
} AgreeOther;

struct Agree {
	Arena *arena;
	const char *title;
	Module *oracle, *m; /* as written; after the passes */
	TileProgram *p;
	int64_t params[16];
	Value *weights, *states; /* of the graph interpreter */
	void **data;             /* of the tile interpreter */
	uint64_t seed;
	bool positive;           /* weights, for variances */
	const AgreeOther *other; /* may be NULL */
	void *other_own;         /* its own record */
	void **other_data;       /* its buffers, as data; arena buffers too */
};

typedef struct AgreeBinding {
	const Module *m;
	const int64_t *params;
} AgreeBinding;

static bool agree_param(void *ctx, const DimSym *s, int64_t *out)
{
	const AgreeBinding *b = ctx;
	for (size_t i = 0; i < b->m->params.n; i++)
		if (b->m->params.at[i] == s) {
			*out = b->params[i];
			return true;
		}
	return false;
}

static int64_t agree_dim(const Module *m, const int64_t *params, Dim d)
{
	int64_t v = 0;
	AgreeBinding b = {m, params};
	cr_assert(dim_eval(d, agree_param, &b, &v));
	return v;
}

static void agree_show(const Agree *r, const Diags *d, const char *stage)
{
	Text t = text_new(r->arena);
	diags_render(d, &t);
	cr_expect(false, "%s: %s: %s", r->title, stage, t.at ? t.at : "");
}

static double agree_random(Agree *r, DType t)
{
	r->seed = r->seed * 6364136223846793005u + 1442695040888963407u;
	int64_t k = (int64_t)(r->seed >> 33) % 2001 - 1000;
	if (t == DT_BOOL) return (double)(k & 1);
	if (dtype_is_integer(t)) return (double)((k % 5 + 5) % 4); /* small: an index too */
	return dtype_round(t, (double)k / 700);
}

static Value agree_value(Agree *r, const Type *t, bool zero)
{
	Value v = {.type = *t, .rank = t->rank, .count = 1};
	for (uint32_t i = 0; i < t->rank; i++) {
		v.dims[i] = agree_dim(r->oracle, r->params, t->dim[i]);
		v.count *= v.dims[i];
	}
	v.at = NEW_ARRAY(r->arena, double, v.count + 1);
	for (int64_t i = 0; i < v.count && !zero; i++) v.at[i] = agree_random(r, t->dtype);
	return v;
}

static bool agree_close(double x, double y, DType t)
{
	if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
	if (isinf(x) && fabs(y) > 3.4e38) return (x > 0) == (y > 0); /* beyond f32 */
	if (x == y) return true;
	return !dtype_is_integer(t) && fabs(x - y) <= (t == DT_F32 ? 2e-5 : 1e-2) * (1 + fabs(y));
}

#endif
