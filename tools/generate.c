/* nacre generate: continues texts, or lists of token numbers. The model is compiled once. Prompts are continued
 * side by side as far as the model's batch allows (generate_batch.c) and printed in their order: `prefill`
 * takes the prompt, `decode` one token at a time; the first output of each are the logits, of which the last
 * row counts. A model with an entry `encode` reads the prompt there, or what --input gives, and its text
 * begins with --start. With a tokenizer the text is printed as tokens arrive, the prompt first
 * (generate_text.c). */
#include "tools/generate.h"

#include <errno.h>
#include <string.h>

/* --- results -------------------------------------------------------------------------------------------------- */

static json_t *ids_json(const Counts *ids, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer(ids->at[i]));
	return list;
}

static json_t *speed_json(const Speed *s, size_t tokens)
{
	json_t *j = json_pack("{s:i, s:f}", "tokens", (int)tokens, "seconds", s->seconds);
	if (s->cycles) json_object_set_new(j, "cycles", json_integer((json_int_t)s->cycles));
	return j;
}

static void result_json(Writer *w, const Passage *p)
{
	json_t *j = json_pack("{s:o, s:o}", "prompt_ids", ids_json(&p->ids, p->n_prompt), "ids",
	                      ids_json(&p->ids, p->ids.n));
	if (w->encodes && p->source.n)
		json_object_set_new(j, "source_ids", ids_json(&p->source, p->source.n));
	if (w->tokenizer) json_object_set_new(j, "text", json_stringn(p->text.at, p->text.n));
	json_object_set_new(j, "finish", json_string(p->finish));
	if (w->t->a.stats) {
		if (w->encodes) json_object_set_new(j, "encode", speed_json(&p->encode, p->source.n));
		json_object_set_new(j, "prefill", speed_json(&p->first, p->n_prompt));
		json_object_set_new(j, "decode", speed_json(&p->others, p->others.calls));
		if (p->rows > 1) json_object_set_new(j, "batch", json_integer(p->rows));
	}
	json_array_append_new(w->results, j);
}

static void result_print(Writer *w, Passage *p)
{
	if (w->t->a.json) {
		result_json(w, p);
		return;
	}
	for (size_t i = 0; i < p->ids.n && !w->tokenizer; i++)
		printf("%s%lld", i ? "," : "", (long long)p->ids.at[i]);
	if (!w->tokenizer || p->text.n) putchar('\n');
}

void passages_show(Writer *w)
{
	bool grows = w->tokenizer && !w->t->a.json;
	for (; w->live < w->all.n && (grows || w->ended); w->live++) {
		Passage *p = &w->all.at[w->live];
		if (!p->begun || (!p->finish && !grows)) return;
		if (!p->shown && w->live && !w->t->a.json) putchar('\n');
		p->shown = true;
		text_print(w, p);
		if (!p->finish) return;
		result_print(w, p);
	}
}

/* --logits: an array for each prompt, by its number. */
static bool logits_write(const Writer *w)
{
	Tool *t = w->t;
	HostTensor *list = NEW_ARRAY(t->arena, HostTensor, w->all.n);
	for (size_t i = 0; i < w->all.n; i++) {
		const Passage *p = &w->all.at[i];
		int64_t dims[2] = {w->logits ? (int64_t)(p->logits.n / w->logits) : 0, w->logits};
		list[i] = tensor_new(t->arena, arena_printf(t->arena, "%zu", i), DT_F32, 2, dims);
		list[i].data = p->logits.n ? (const uint8_t *)p->logits.at : list[i].data;
	}
	return npz_write(&t->d, t->a.logits, list, w->all.n);
}

/* --- prompts -------------------------------------------------------------------------------------------------- */

static bool prompt_add(Writer *w, const char *name, const char *text, size_t n)
{
	Tool *t = w->t;
	TokenIds ids;
	Passage p = {.name = name};
	if (!tokenizer_encode(w->tokenizer, t->arena, &t->d, text, n, ENCODE_SPECIALS, &ids))
		return false;
	for (size_t i = 0; i < ids.n; i++) vec_push(t->arena, &p.ids, (int64_t)ids.at[i]);
	if (!ids.n) {
		Diag *d = diag_error(&t->d, span_none(), "%s: the text gives no token", name);
		diag_help(&t->d, d,
		          "to begin from nothing, give the token that begins a text: by name, or "
		          "by number with --ids");
		return false;
	}
	vec_push(t->arena, &w->all, p);
	return true;
}

static bool prompt_file_add(Writer *w, const char *path)
{
	Tool *t = w->t;
	Text text = text_new(t->arena);
	char part[4096];
	FILE *in = strcmp(path, "-") ? fopen(path, "rb") : stdin;
	if (!in) return tool_fail_file(t, path, strerror(errno));
	for (size_t n; (n = fread(part, 1, sizeof part, in)) > 0;) text_append(&text, part, n);
	bool failed = ferror(in);
	if (in != stdin) fclose(in);
	if (failed) return tool_fail_file(t, path, "it cannot be read");
	if (text.n && text.at[text.n - 1] == '\n') text.n--;
	return prompt_add(w, path, text.n ? text.at : "", text.n);
}

static bool prompts_read(Writer *w)
{
	Tool *t = w->t;
	const Arguments *a = &t->a;
	bool texts = a->prompt.n || a->prompt_file.n;
	if (texts && !a->tokenizer)
		return tool_fail(t, "--prompt needs --tokenizer: the tokenizer.json of the model");
	if (texts && a->ids.n) return tool_fail(t, "--prompt and --ids exclude one another");
	if ((texts || a->ids.n) && a->input.n)
		return tool_fail(t, "--input takes the place of %s: give one of them",
		                 texts ? "--prompt" : "--ids");
	if (!texts && !a->ids.n && !a->input.n)
		return tool_fail(t, "--ids is missing: the token numbers of the prompt; or --prompt");
	for (size_t i = 0; i < a->ids.n; i++)
		if (a->ids.at[i] < 0 || a->ids.at[i] > INT32_MAX)
			return tool_fail(t, "--ids: %lld is no token number", (long long)a->ids.at[i]);
	if (a->ids.n) vec_push(t->arena, &w->all, ((Passage){.name = "--ids", .ids = a->ids}));
	for (size_t i = 0; i < a->prompt.n; i++)
		if (!prompt_add(w, "--prompt", a->prompt.at[i], strlen(a->prompt.at[i]))) return false;
	for (size_t i = 0; i < a->prompt_file.n; i++)
		if (!prompt_file_add(w, a->prompt_file.at[i])) return false;
	return given_read(t, &w->given);
}

/* What the model's entries make of the prompts; each draws as it would alone. */
static bool passages_make(Writer *w)
{
	Tool *t = w->t;
	for (size_t n = w->given.list.n ? given_rows(w) : 0; n; n--)
		vec_push(t->arena, &w->all, ((Passage){.name = "--input"}));
	for (size_t i = 0; i < w->all.n; i++) {
		Passage *p = &w->all.at[i];
		if (w->encodes) {
			p->source = p->ids;
			p->ids = (Counts){0};
			for (size_t k = 0; k < w->start.n; k++) vec_push(t->arena, &p->ids, w->start.at[k]);
		}
		p->n_prompt = p->ids.n;
		p->seed = w->sampler.seed + i;
		if (!w->given.list.n && !prompt_fits(w, p)) return false;
	}
	return true;
}

static bool passages_continue(Writer *w)
{
	Tool *t = w->t;
	bool shown = w->tokenizer && !t->a.json; /* the text itself shows how far it is */
	if (!passages_make(w)) return false;
	if (!shown) progress_begin(t, "generating");
	bool done = batches_run(w);
	if (!shown) progress_end(t);
	w->ended = true;
	passages_show(w);
	if (!done && shown && w->live < w->all.n && w->all.at[w->live].printed) putchar('\n');
	return done && (!t->a.logits || logits_write(w));
}

bool command_generate(Tool *t)
{
	Writer w = {.t = t};
	TargetId target;
	t->a.no_time = !t->a.stats; /* who does not ask for cycles does not wait for them */
	w.most = option_given(t, OPT_max_tokens) ? t->a.max_tokens : 100;
	if (option_given(t, OPT_batch) && !t->a.batch)
		return tool_fail(t, "--batch 0: a batch has one prompt at least");
	if (!sampler_new(t, &w.sampler)) return false;
	if (t->a.tokenizer && !(w.tokenizer = tokenizer_open(t->arena, &t->d, t->a.tokenizer)))
		return false;
	if (!stops_read(&w) || !start_read(&w) || !prompts_read(&w)) return false;
	if (t->a.logits && !path_writable(t, t->a.logits)) return false;
	if (!runner_target(t, t->a.files.at[0], &target) ||
	    !runner_open(t, t->a.files.at[0], target, NULL, &w.r))
		return false;
	w.step = tool_arena(t);
	if (t->a.json) w.results = json_array();
	bool done = entries_find(&w) && passages_continue(&w);
	arena_free(w.step);
	runner_close(&w.r);
	if (done && t->a.json) /* one prompt: no list */
		report_json(t, w.all.n == 1 ? json_incref(json_array_get(w.results, 0))
		                            : json_incref(w.results));
	json_decref(w.results);
	return done;
}
