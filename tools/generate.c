/* nacre generate: continues a list of token numbers. The model is compiled once and all steps run in
 * one session: `prefill` takes the prompt, `decode` one token at a time; the first output of each
 * are the logits, of which the last row counts. With a tokenizer the prompt is text, and the text is
 * printed as tokens arrive, the prompt first; what could begin a stop text is held back. */
#include "text/text.h"
#include "tools/tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Choice {
	double weight; /* logit, then probability */
	int64_t id;
} Choice;

typedef struct Writer {
	Tool *t;
	Runner r;
	uint32_t prefill, decode;
	Counts ids;
	uint64_t seed;
	Choice *choices;
	Arena *step;          /* of one call */
	Tokenizer *tokenizer; /* NULL: numbers only */
	TokenStream stream;
	Counts stop_ids;
	Names stop_texts;
	Text text;      /* all of it, prompt and what follows */
	size_t printed; /* bytes of text */
	size_t prompt;  /* bytes of text: no stop text is looked for in it */
} Writer;

/* --- choosing ------------------------------------------------------------------------------------------------- */

static int by_weight(const void *a, const void *b)
{
	const Choice *x = a, *y = b;
	if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

static int64_t likeliest(const HostTensor *logits, int64_t first, int64_t n)
{
	int64_t best = 0;
	double most = -INFINITY;
	for (int64_t i = 0; i < n; i++) {
		double v = dtype_load(logits->dtype, logits->data, first + i);
		if (!(v > most)) continue;
		most = v;
		best = i;
	}
	return best;
}

/* Temperature, then the k likeliest, then the fewest that sum up to p (Holtzman et al. 2020). */
static int64_t drawn(Writer *w, const HostTensor *logits, int64_t first, int64_t n)
{
	const Arguments *a = &w->t->a;
	Choice *c = w->choices;
	for (int64_t i = 0; i < n; i++)
		c[i] = (Choice){dtype_load(logits->dtype, logits->data, first + i), i};
	qsort(c, (size_t)n, sizeof *c, by_weight);
	int64_t kept = a->top_k && a->top_k < n ? a->top_k : n;
	double most = c[0].weight, sum = 0, part = 0;
	for (int64_t i = 0; i < kept; i++) {
		c[i].weight = exp((c[i].weight - most) / a->temperature);
		sum += c[i].weight;
	}
	if (a->top_p > 0 && a->top_p < 1) {
		int64_t i = 0;
		for (double reached = 0; i < kept && reached < a->top_p * sum; i++) reached += c[i].weight;
		kept = i ? i : 1;
		sum = 0;
		for (i = 0; i < kept; i++) sum += c[i].weight;
	}
	double at = random_unit(&w->seed) * sum;
	for (int64_t i = 0; i < kept; i++) {
		part += c[i].weight;
		if (at < part) return c[i].id;
	}
	return c[kept - 1].id;
}

static bool choose(Writer *w, const HostTensor *logits, int64_t *id)
{
	Tool *t = w->t;
	int64_t n = logits->rank ? logits->dims[logits->rank - 1] : 0, all = host_tensor_count(logits);
	if (n < 1 || all < n || !dtype_is_float(logits->dtype))
		return tool_fail(t, "the first output, `%s` %s, are no logits", logits->name,
		                 host_tensor_type(t->arena, logits));
	if (!w->choices) w->choices = NEW_ARRAY(t->arena, Choice, n);
	*id = t->a.temperature > 0 ? drawn(w, logits, all - n, n) : likeliest(logits, all - n, n);
	return true;
}

/* --- steps ---------------------------------------------------------------------------------------------------- */

/* One call with ids [from, end): the id that follows. */
static bool step(Writer *w, uint32_t entry, size_t from, int64_t *next)
{
	Tool *t = w->t;
	const InterfaceEntry *e = &w->r.face->entry[entry];
	if (e->n_in != 1 || e->n_out < 1)
		return tool_fail(t, "entry `%s` must have one input, the token numbers, and give logits",
		                 e->name);
	const InterfaceTensor *x = &w->r.face->tensor[e->in[0]];
	if (!dtype_is_integer((DType)x->dtype) || x->rank < 1 || x->rank > 2)
		return tool_fail(t, "input `%s` of entry `%s` must hold token numbers: i32[S] or i32[1, S]",
		                 x->name, e->name);
	int64_t n = (int64_t)(w->ids.n - from), dims[2] = {x->rank == 2 ? 1 : n, n};
	HostTensor in = tensor_new(w->step, x->name, (DType)x->dtype, x->rank, dims);
	for (int64_t i = 0; i < n; i++)
		dtype_store(in.dtype, tensor_data(&in), i, (double)w->ids.at[from + (size_t)i]);
	HostTensor *out = NEW_ARRAY(w->step, HostTensor, e->n_out);
	CallReport report;
	return runner_call(&w->r, w->step, entry, &in, out, &report) && choose(w, &out[0], next);
}

static bool stops(const Writer *w, int64_t id)
{
	for (size_t i = 0; i < w->stop_ids.n; i++)
		if (w->stop_ids.at[i] == id) return true;
	return false;
}

/* --- text ----------------------------------------------------------------------------------------------------- */

/* Cuts the text before the first stop text in it. */
static bool text_stops(Writer *w)
{
	size_t first = SIZE_MAX;
	for (size_t i = 0; i < w->stop_texts.n; i++) {
		const char *stop = w->stop_texts.at[i], *at;
		at = memmem(w->text.at + w->prompt, w->text.n - w->prompt, stop, strlen(stop));
		if (at && (size_t)(at - w->text.at) < first) first = (size_t)(at - w->text.at);
	}
	if (first == SIZE_MAX) return false;
	w->text.n = first;
	return true;
}

/* Bytes at the end of the text that a stop text may begin with. */
static size_t text_held(const Writer *w)
{
	size_t most = 0;
	for (size_t i = 0; i < w->stop_texts.n; i++) {
		const char *stop = w->stop_texts.at[i];
		size_t n = strlen(stop) - 1, room = w->text.n - w->prompt;
		for (n = n < room ? n : room; n > most; n--)
			if (memcmp(w->text.at + w->text.n - n, stop, n) == 0) most = n;
	}
	return most;
}

static void text_print(Writer *w, bool end)
{
	size_t upto = w->text.n - (end ? 0 : text_held(w));
	if (w->t->a.json || upto <= w->printed) return;
	fwrite(w->text.at + w->printed, 1, upto - w->printed, stdout);
	fflush(stdout);
	w->printed = upto;
}

/* False after an error; *stop when a stop text is complete. */
static bool text_add(Writer *w, int64_t id, bool *stop)
{
	TextBytes more;
	if (!w->tokenizer) return true;
	if (!token_stream_push(&w->stream, &w->t->d, (uint32_t)id, &more)) return false;
	text_append(&w->text, more.at, more.n);
	*stop = text_stops(w);
	text_print(w, *stop);
	return true;
}

static bool text_ids(Writer *w)
{
	Tool *t = w->t;
	const char *prompt = t->a.prompt;
	TokenIds ids;
	if (!prompt) return true;
	if (!tokenizer_encode(w->tokenizer, t->arena, &t->d, prompt, strlen(prompt), ENCODE_SPECIALS,
	                      &ids))
		return false;
	for (size_t i = 0; i < ids.n; i++) vec_push(t->arena, &w->ids, (int64_t)ids.at[i]);
	return w->ids.n || tool_fail(t, "--prompt: the text gives no token");
}

static bool text_begin(Writer *w)
{
	Tool *t = w->t;
	bool stop = false;
	w->text = text_new(t->arena);
	text_puts(&w->text, "");
	w->stream = token_stream_new(t->arena, w->tokenizer, SPECIALS_SILENT);
	Names after = w->stop_texts;
	w->stop_texts = (Names){0}; /* the prompt may hold them */
	for (size_t i = 0; i < w->ids.n; i++)
		if (!text_add(w, w->ids.at[i], &stop)) return false;
	w->stop_texts = after;
	w->prompt = w->text.n;
	return true;
}

static bool text_end(Writer *w, bool stopped)
{
	TextBytes more;
	if (!stopped) {
		if (!token_stream_end(&w->stream, &w->t->d, &more)) return false;
		text_append(&w->text, more.at, more.n);
		text_stops(w);
	}
	text_print(w, true);
	return true;
}

/* --stop: numbers, or with a tokenizer an added token by its name, or a text. */
static bool stops_read(Writer *w)
{
	Tool *t = w->t;
	for (size_t i = 0; i < t->a.stop.n; i++) {
		const char *s = t->a.stop.at[i];
		uint32_t id;
		if (s[strspn(s, "0123456789,")] == '\0') {
			for (char *end; *s; s = *end ? end + 1 : end) {
				long long v = strtoll(s, &end, 10);
				if (end == s || v >= UINT32_MAX)
					return tool_fail(t, "--stop %s: no token number", s);
				vec_push(t->arena, &w->stop_ids, v);
			}
		} else if (!w->tokenizer) {
			return tool_fail(t, "--stop %s: a text needs --tokenizer", s);
		} else if (tokenizer_added(w->tokenizer, s, &id)) {
			vec_push(t->arena, &w->stop_ids, (int64_t)id);
		} else {
			vec_push(t->arena, &w->stop_texts, s);
		}
	}
	return true;
}

/* --- the loop ------------------------------------------------------------------------------------------------- */

static bool generate(Writer *w, uint32_t tokens)
{
	Tool *t = w->t;
	size_t done = 0; /* ids that the session has seen */
	bool ok = true, stop = false;
	Progress p;
	if (w->tokenizer && !text_begin(w)) return false;
	progress_begin(&p, "generating", tokens);
	for (uint32_t i = 0; i < tokens && ok && !stop; i++) {
		int64_t next = 0;
		ArenaMark mark = arena_mark(w->step);
		ok = step(w, i == 0 ? w->prefill : w->decode, done, &next);
		arena_reset(w->step, mark);
		if (!ok) break;
		done = w->ids.n;
		if (stops(w, next)) break;
		vec_push(t->arena, &w->ids, next);
		ok = text_add(w, next, &stop);
		if (!w->tokenizer || t->a.json) progress_step(&p, i + 1); /* the text shows it otherwise */
	}
	progress_end(&p);
	return ok && (!w->tokenizer || text_end(w, stop));
}

static json_t *ids_json(const Counts *ids, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer(ids->at[i]));
	return list;
}

bool command_generate(Tool *t)
{
	Writer w = {.t = t, .seed = t->a.seed.value, .ids = t->a.ids};
	TargetId target;
	t->a.no_time = true; /* nobody asks for cycles */
	if (t->a.prompt && !t->a.tokenizer) return tool_fail(t, "--prompt needs --tokenizer");
	if (t->a.prompt && w.ids.n) return tool_fail(t, "--prompt and --ids exclude one another");
	if (w.ids.n == 0 && !t->a.prompt)
		return tool_fail(t, "--ids is missing: the token numbers of the prompt; or --prompt");
	if (!option_given(t, OPT_max_tokens))
		return tool_fail(t, "--max-tokens is missing: how many tokens to add");
	if (t->a.tokenizer && !(w.tokenizer = tokenizer_open(t->arena, &t->d, t->a.tokenizer)))
		return false;
	if (!stops_read(&w) || (w.tokenizer && !text_ids(&w))) return false;
	if (t->a.top_p > 1) return tool_fail(t, "--top-p %g: a probability from 0 to 1", t->a.top_p);
	if (!runner_target(t, t->a.files.at[0], &target) ||
	    !runner_open(t, t->a.files.at[0], target, NULL, &w.r))
		return false;
	w.step = tool_arena(t);
	size_t prompt = w.ids.n;
	bool done = runner_entry(&w.r, "prefill", &w.prefill) &&
	            runner_entry(&w.r, "decode", &w.decode) && generate(&w, t->a.max_tokens);
	arena_free(w.step);
	runner_close(&w.r);
	if (!done) return false;
	if (t->a.json) {
		json_t *j = json_pack("{s:o, s:o}", "prompt_ids", ids_json(&w.ids, prompt), "ids",
		                      ids_json(&w.ids, w.ids.n));
		if (w.tokenizer) json_object_set_new(j, "text", json_stringn(w.text.at, w.text.n));
		report_json(t, j);
		return true;
	}
	if (w.tokenizer) {
		putchar('\n');
		return true;
	}
	for (size_t i = 0; i < w.ids.n; i++) printf("%s%lld", i ? "," : "", (long long)w.ids.at[i]);
	putchar('\n');
	return true;
}
