/* nacre generate: continues texts, or lists of token numbers. The model is compiled once; each prompt is
 * a session of its own: `prefill` takes the prompt, `decode` one token at a time; the first output of
 * each are the logits, of which the last row counts. With a tokenizer the text is printed as tokens
 * arrive, the prompt first; what could begin a stop text is held back. */
#include "text/text.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct Speed {
	uint32_t calls;
	double seconds;
	uint64_t cycles; /* Pearl */
} Speed;

typedef struct Writer {
	Tool *t;
	Runner r;
	uint32_t prefill, decode;
	Sampler sampler;
	Arena *step;          /* of one call */
	Tokenizer *tokenizer; /* NULL: numbers only */
	Counts stop_ids;
	Names stop_texts;
	json_t *results; /* with --json */
	/* of the prompt at hand */
	Counts ids;
	size_t n_prompt;    /* of ids */
	const char *finish; /* why it ended */
	TokenStream stream;
	Text text;       /* all of it, prompt and what follows */
	size_t printed;  /* bytes of text */
	size_t searched; /* bytes of text in which no stop text begins; at first those of the prompt */
	Speed first, others;
} Writer;

/* --- steps ---------------------------------------------------------------------------------------------------- */

static bool entry_check(Tool *t, const Interface *f, uint32_t entry)
{
	const InterfaceEntry *e = &f->entry[entry];
	if (e->n_in != 1 || e->n_out < 1)
		return tool_fail(t, "entry `%s` must have one input, the token numbers, and give logits",
		                 e->name);
	const InterfaceTensor *x = &f->tensor[e->in[0]];
	if (!dtype_is_integer((DType)x->dtype) || x->rank < 1 || x->rank > 2)
		return tool_fail(t, "input `%s` of entry `%s` must hold token numbers: i32[S] or i32[1, S]",
		                 x->name, e->name);
	return true;
}

/* The ids [from, end) as the entry's input. */
static HostTensor ids_tensor(Writer *w, uint32_t entry, size_t from)
{
	const Interface *f = w->r.face;
	const InterfaceTensor *x = &f->tensor[f->entry[entry].in[0]];
	int64_t n = (int64_t)(w->ids.n - from), dims[2] = {x->rank == 2 ? 1 : n, n};
	HostTensor in = tensor_new(w->step, x->name, (DType)x->dtype, x->rank, dims);
	for (int64_t i = 0; i < n; i++)
		dtype_store(in.dtype, tensor_data(&in), i, (double)w->ids.at[from + (size_t)i]);
	return in;
}

/* Asked before anything is printed. */
static bool prompt_fits(Writer *w)
{
	const char *why;
	ArenaMark mark = arena_mark(w->step);
	HostTensor in = ids_tensor(w, w->prefill, 0);
	bool fits = runner_allows(&w->r, w->step, w->prefill, &in, &why);
	arena_reset(w->step, mark);
	return fits ||
	       tool_fail(w->t, "the model cannot take a prompt of %zu tokens: %s", w->ids.n, why);
}

/* One call with ids [from, end): the id that follows. False after an error, and with finish set when
 * the model takes no more. */
static bool step(Writer *w, size_t from, int64_t *next)
{
	Tool *t = w->t;
	bool first = from == 0;
	uint32_t entry = first ? w->prefill : w->decode;
	const char *why;
	HostTensor in = ids_tensor(w, entry, from);
	if (!first && !runner_allows(&w->r, w->step, entry, &in, &why)) {
		w->finish = "context";
		diag_warning(&t->d, span_none(),
		             "the text ends after %zu tokens, as the context is full: %s", w->ids.n, why);
		return false;
	}
	HostTensor *out = NEW_ARRAY(w->step, HostTensor, w->r.face->entry[entry].n_out);
	CallReport report;
	if (!runner_call(&w->r, w->step, entry, &in, out, &report)) return false;
	Speed *s = first ? &w->first : &w->others;
	s->calls++;
	s->seconds += report.seconds;
	if (report.sim) s->cycles += report.sim->cycles;
	return sampler_choose(&w->sampler, t, &out[0], &w->ids, next);
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
	size_t first = SIZE_MAX, longest = 1, left = w->text.n - w->searched;
	for (size_t i = 0; i < w->stop_texts.n; i++) {
		const char *stop = w->stop_texts.at[i], *at;
		size_t n = strlen(stop);
		if (n > longest) longest = n;
		at = memmem(w->text.at + w->searched, left, stop, n);
		if (at && (size_t)(at - w->text.at) < first) first = (size_t)(at - w->text.at);
	}
	if (first == SIZE_MAX) {
		if (left >= longest) w->searched = w->text.n - (longest - 1);
		return false;
	}
	w->text.n = first;
	return true;
}

/* Bytes at the end of the text that a stop text may begin with. */
static size_t text_held(const Writer *w)
{
	size_t most = 0;
	for (size_t i = 0; i < w->stop_texts.n; i++) {
		const char *stop = w->stop_texts.at[i];
		size_t n = strlen(stop) - 1, room = w->text.n - w->searched;
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
	w->searched = w->text.n;
	return true;
}

/* cut: it ends before a stop text. */
static bool text_end(Writer *w, bool cut)
{
	TextBytes more;
	if (!cut) {
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

static bool continue_prompt(Writer *w)
{
	Tool *t = w->t;
	size_t done = 0; /* ids that the session has seen */
	bool ok = true, stop = false, cut = false, shown = w->tokenizer && !t->a.json;
	uint32_t most = option_given(t, OPT_max_tokens) ? t->a.max_tokens : 100;
	w->n_prompt = w->ids.n;
	w->finish = "length";
	if (!prompt_fits(w) || (w->tokenizer && !text_begin(w))) return false;
	if (!shown) progress_begin(t, "generating"); /* else the text itself shows it */
	for (uint32_t i = 0; i < most && ok && !stop; i++) {
		int64_t next = 0;
		ArenaMark mark = arena_mark(w->step);
		ok = step(w, done, &next);
		arena_reset(w->step, mark);
		if (!ok) break;
		done = w->ids.n;
		stop = stops(w, next);
		if (!stop) {
			vec_push(t->arena, &w->ids, next);
			ok = text_add(w, next, &cut);
			stop = cut;
		}
		if (stop) w->finish = "stop";
		progress_step(t, i + 1, most);
	}
	if (!shown) progress_end(t);
	ok = ok || strcmp(w->finish, "context") == 0;
	bool done_text = !w->tokenizer || text_end(w, cut);
	if (shown && w->text.n) putchar('\n');
	return ok && done_text;
}

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

static void result_json(Writer *w)
{
	json_t *j = json_pack("{s:o, s:o}", "prompt_ids", ids_json(&w->ids, w->n_prompt), "ids",
	                      ids_json(&w->ids, w->ids.n));
	if (w->tokenizer) json_object_set_new(j, "text", json_stringn(w->text.at, w->text.n));
	json_object_set_new(j, "finish", json_string(w->finish));
	if (w->t->a.stats) {
		json_object_set_new(j, "prefill", speed_json(&w->first, w->n_prompt));
		json_object_set_new(j, "decode", speed_json(&w->others, w->others.calls));
	}
	json_array_append_new(w->results, j);
}

static void stats_print(Writer *w)
{
	Arena *a = w->t->arena;
	const Speed *s = &w->others;
	double n = s->calls;
	fflush(stdout);
	fprintf(stderr, "%s: prompt of %zu tokens in %s", target_name(w->r.target), w->n_prompt,
	        seconds_text(a, w->first.seconds));
	if (w->first.cycles) fprintf(stderr, ", %llu cycles", (unsigned long long)w->first.cycles);
	if (s->calls && s->seconds > 0)
		fprintf(stderr, "; then %s a token, %.0f tokens/s", seconds_text(a, s->seconds / n),
		        n / s->seconds);
	if (s->calls && s->cycles) fprintf(stderr, ", %.0f cycles a token", (double)s->cycles / n);
	fputc('\n', stderr);
}

static void result_print(Writer *w)
{
	if (w->t->a.json) {
		result_json(w);
		return;
	}
	for (size_t i = 0; i < w->ids.n && !w->tokenizer; i++)
		printf("%s%lld", i ? "," : "", (long long)w->ids.at[i]);
	if (!w->tokenizer) putchar('\n');
	if (w->t->a.stats) stats_print(w);
}

/* --- prompts -------------------------------------------------------------------------------------------------- */

typedef struct Prompt {
	const char *name; /* for messages */
	Counts ids;
} Prompt;
typedef VEC(Prompt) Prompts;

static bool prompt_add(Writer *w, Prompts *list, const char *name, const char *text, size_t n)
{
	Tool *t = w->t;
	TokenIds ids;
	Prompt p = {.name = name};
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
	vec_push(t->arena, list, p);
	return true;
}

static bool prompt_file_add(Writer *w, Prompts *list, const char *path)
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
	return prompt_add(w, list, path, text.n ? text.at : "", text.n);
}

static bool prompts_read(Writer *w, Prompts *list)
{
	Tool *t = w->t;
	const Arguments *a = &t->a;
	bool texts = a->prompt.n || a->prompt_file.n;
	if (texts && !a->tokenizer)
		return tool_fail(t, "--prompt needs --tokenizer: the tokenizer.json of the model");
	if (texts && a->ids.n) return tool_fail(t, "--prompt and --ids exclude one another");
	if (!texts && !a->ids.n)
		return tool_fail(t, "--ids is missing: the token numbers of the prompt; or --prompt");
	for (size_t i = 0; i < a->ids.n; i++)
		if (a->ids.at[i] < 0 || a->ids.at[i] > INT32_MAX)
			return tool_fail(t, "--ids: %lld is no token number", (long long)a->ids.at[i]);
	if (a->ids.n) vec_push(t->arena, list, ((Prompt){"--ids", a->ids}));
	for (size_t i = 0; i < a->prompt.n; i++)
		if (!prompt_add(w, list, "--prompt", a->prompt.at[i], strlen(a->prompt.at[i])))
			return false;
	for (size_t i = 0; i < a->prompt_file.n; i++)
		if (!prompt_file_add(w, list, a->prompt_file.at[i])) return false;
	return true;
}

/* Each prompt begins a session anew, and draws as it would alone. */
static bool prompts_continue(Writer *w, const Prompts *list)
{
	Tool *t = w->t;
	uint64_t seed = w->sampler.seed;
	for (size_t i = 0; i < list->n; i++) {
		if (i && !runner_reset(&w->r)) return false;
		if (i && !t->a.json) putchar('\n');
		w->ids = list->at[i].ids;
		w->sampler.seed = seed + i;
		w->printed = w->searched = 0;
		w->first = w->others = (Speed){0};
		if (!continue_prompt(w)) return false;
		result_print(w);
	}
	return true;
}

bool command_generate(Tool *t)
{
	Writer w = {.t = t};
	TargetId target;
	Prompts prompts = {0};
	t->a.no_time = !t->a.stats; /* who does not ask for cycles does not wait for them */
	if (!sampler_new(t, &w.sampler)) return false;
	if (t->a.tokenizer && !(w.tokenizer = tokenizer_open(t->arena, &t->d, t->a.tokenizer)))
		return false;
	if (!stops_read(&w) || !prompts_read(&w, &prompts)) return false;
	if (!runner_target(t, t->a.files.at[0], &target) ||
	    !runner_open(t, t->a.files.at[0], target, NULL, &w.r))
		return false;
	w.step = tool_arena(t);
	if (t->a.json) w.results = json_array();
	bool done = runner_entry(&w.r, "prefill", &w.prefill) &&
	            runner_entry(&w.r, "decode", &w.decode) && entry_check(t, w.r.face, w.prefill) &&
	            entry_check(t, w.r.face, w.decode) && prompts_continue(&w, &prompts);
	arena_free(w.step);
	runner_close(&w.r);
	if (done && t->a.json) /* one prompt: no list */
		report_json(t, prompts.n == 1 ? json_incref(json_array_get(w.results, 0))
		                              : json_incref(w.results));
	json_decref(w.results);
	return done;
}
