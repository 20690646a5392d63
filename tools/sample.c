/* Which token comes next: the likeliest, or one drawn. What is asked for applies in the order of Hugging
 * Face's generate: repetition penalty, temperature, top-k, top-p, min-p. Equal logits count in the order
 * of their numbers and the draws come from one seed, so that every target draws the same. */
#include "tools/tool.h"

#include <math.h>
#include <stdlib.h>

bool sampler_new(Tool *t, Sampler *out)
{
	const Arguments *a = &t->a;
	if (a->top_p > 1) return tool_fail(t, "--top-p %g: a probability from 0 to 1", a->top_p);
	if (a->min_p > 1) return tool_fail(t, "--min-p %g: a probability from 0 to 1", a->min_p);
	if (option_given(t, OPT_repetition_penalty) && a->repetition_penalty == 0)
		return tool_fail(t, "--repetition-penalty 0: above 0; 1 changes nothing");
	bool drawn = a->top_k || a->top_p > 0 || a->min_p > 0;
	if (drawn && option_given(t, OPT_temperature) && a->temperature == 0)
		return tool_fail(t, "--temperature 0 draws nothing, so that --top-k, --top-p and --min-p "
		                    "mean nothing: give a temperature above 0");
	*out = (Sampler){.temperature = a->temperature,
	                 .top_p = a->top_p,
	                 .min_p = a->min_p,
	                 .penalty = a->repetition_penalty,
	                 .top_k = a->top_k,
	                 .seed = a->seed.value};
	if (drawn && a->temperature == 0) out->temperature = 1;
	return true;
}

static int by_weight(const void *a, const void *b)
{
	const Choice *x = a, *y = b;
	if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Keskar et al. 2019, section 4.1: once for each token that was there. */
static void penalize(const Sampler *s, const Counts *before, int64_t n)
{
	Choice *c = s->choices;
	for (size_t i = 0; i < before->n; i++) {
		int64_t id = before->at[i];
		if (id >= n || c[id].id < 0) continue;
		c[id].weight = c[id].weight > 0 ? c[id].weight / s->penalty : c[id].weight * s->penalty;
		c[id].id = -1; /* seen */
	}
	for (int64_t i = 0; i < n; i++) c[i].id = i;
}

static int64_t likeliest(const Choice *c, int64_t n)
{
	int64_t best = 0;
	for (int64_t i = 1; i < n; i++)
		if (c[i].weight > c[best].weight) best = i;
	return c[best].id;
}

/* The fewest that sum up to p (Holtzman et al. 2020). */
static int64_t kept_by_top_p(const Choice *c, int64_t n, double p)
{
	double all = 0, reached = 0;
	for (int64_t i = 0; i < n; i++) all += c[i].weight;
	int64_t kept = 0;
	while (kept < n && (kept == 0 || reached < p * all)) reached += c[kept++].weight;
	return kept;
}

static int64_t drawn(Sampler *s, int64_t n)
{
	Choice *c = s->choices;
	qsort(c, (size_t)n, sizeof *c, by_weight);
	int64_t kept = s->top_k && s->top_k < n ? s->top_k : n;
	double most = c[0].weight, sum = 0, part = 0;
	for (int64_t i = 0; i < kept; i++) c[i].weight = exp((c[i].weight - most) / s->temperature);
	if (s->top_p > 0 && s->top_p < 1) kept = kept_by_top_p(c, kept, s->top_p);
	while (kept > 1 && c[kept - 1].weight < s->min_p) kept--;
	for (int64_t i = 0; i < kept; i++) sum += c[i].weight;
	double at = random_unit(&s->seed) * sum;
	for (int64_t i = 0; i < kept; i++) {
		part += c[i].weight;
		if (at < part) return c[i].id;
	}
	return c[kept - 1].id;
}

bool sampler_choose(Sampler *s, Tool *t, const HostTensor *logits, const Counts *before,
                    int64_t *id)
{
	int64_t n = logits->rank ? logits->dims[logits->rank - 1] : 0, all = host_tensor_count(logits);
	if (n < 1 || all < n || !dtype_is_float(logits->dtype))
		return tool_fail(t, "the first output, `%s` %s, are no logits", logits->name,
		                 host_tensor_type(t->arena, logits));
	if (!s->choices) s->choices = NEW_ARRAY(t->arena, Choice, n);
	for (int64_t i = 0; i < n; i++) {
		double v = dtype_load(logits->dtype, logits->data, all - n + i);
		if (isnan(v)) return tool_fail(t, "the logit of token %lld is not a number", (long long)i);
		s->choices[i] = (Choice){v, i};
	}
	if (s->penalty > 0) penalize(s, before, n);
	*id = s->temperature > 0 ? drawn(s, n) : likeliest(s->choices, n);
	return true;
}
