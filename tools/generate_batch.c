/* nacre generate: passages continued side by side. The rows of a batch are prompts of one length, or of any
 * where the model is ragged; each gives what it gives alone, since no row sees another (see rows_most for the CPU). A row that has ended
 * repeats its last token, which nothing reads. Where the longest row fills the context the others go on in
 * a batch of their own, whose tokens so far are known: it makes the same calls again. */
#include "tools/generate.h"

#include <string.h>

typedef enum CallKind { CALL_ENCODE, CALL_PREFILL, CALL_DECODE } CallKind;

typedef struct Batch {
	Writer *w;
	Passage **row;
	size_t n;
	Speed encode, first, others;
	uint32_t tokens; /* chosen by others */
} Batch;

/* --- entries ---------------------------------------------------------------------------------------------- */

static const InterfaceTensor *input_of(const Writer *w, uint32_t entry, uint32_t i)
{
	return &w->r.face->tensor[w->r.face->entry[entry].in[i]];
}

/* The parameter that a size is; -1: none. */
static int64_t dim_param(const ExprWord *e)
{
	return e[0].code == EXPR_PARAM && e[1].code == EXPR_END ? e[0].value : -1;
}

/* Whether the entry takes a length for each row beside the token numbers. */
static bool takes_lengths(const Writer *w, uint32_t entry)
{
	if (w->r.face->entry[entry].n_in != 2) return false;
	const InterfaceTensor *x = input_of(w, entry, 0), *n = input_of(w, entry, 1);
	int64_t p = x->rank == 2 ? dim_param(x->dim[1]) : -1;
	return p >= 0 && n->rank == 1 && n->dtype == DT_I32 &&
	       strcmp(n->name, w->r.face->param[p].name) == 0;
}

static bool takes_ids(const Writer *w, uint32_t entry)
{
	const InterfaceEntry *e = &w->r.face->entry[entry];
	if (e->n_in == 0 || (e->n_in != 1 && !takes_lengths(w, entry))) return false;
	const InterfaceTensor *x = input_of(w, entry, 0);
	return dtype_is_integer((DType)x->dtype) && x->rank >= 1 && x->rank <= 2;
}

static bool entry_check(Writer *w, uint32_t entry)
{
	Tool *t = w->t;
	const InterfaceEntry *e = &w->r.face->entry[entry];
	if ((e->n_in != 1 && !takes_lengths(w, entry)) || e->n_out < 1)
		return tool_fail(t, "entry `%s` must have one input, the token numbers, and give logits",
		                 e->name);
	if (!takes_ids(w, entry))
		return tool_fail(t, "input `%s` of entry `%s` must hold token numbers: i32[S] or i32[1, S]",
		                 input_of(w, entry, 0)->name, e->name);
	return true;
}

/* The encoder takes the prompt, or all that --input gives. */
static bool encoder_check(Writer *w)
{
	Tool *t = w->t;
	const InterfaceEntry *e = &w->r.face->entry[w->encode];
	const char **names = NEW_ARRAY(t->arena, const char *, e->n_in + 1);
	for (uint32_t i = 0; i < e->n_in; i++) names[i] = input_of(w, w->encode, i)->name;
	if (!w->start.n)
		return tool_fail(
			t,
			"--start is missing: the tokens that the text of a model with an encoder begins with");
	if (!w->given.list.n)
		return takes_ids(w, w->encode) ||
		       tool_fail(
				   t, "entry `encode` takes no prompt: give its inputs by --input NAME=FILE.npy");
	if (!given_check(t, &w->given, names, e->n_in, "input")) return false;
	for (uint32_t i = 0; i < e->n_in; i++)
		if (!given_find(&w->given, names[i]))
			return tool_fail(t, "input `%s` of entry `encode` is not given: --input %s=FILE.npy",
			                 names[i], names[i]);
	return true;
}

bool entries_find(Writer *w)
{
	Tool *t = w->t;
	const Interface *f = w->r.face;
	if (!runner_entry(&w->r, "prefill", &w->prefill) || !runner_entry(&w->r, "decode", &w->decode))
		return false;
	if (!entry_check(w, w->prefill) || !entry_check(w, w->decode)) return false;
	for (w->encode = 0; w->encode < f->n_entry && !w->encodes; w->encode++)
		w->encodes = strcmp(f->entry[w->encode].name, "encode") == 0;
	if (!w->encodes && (w->start.n || w->given.list.n))
		return tool_fail(t, "%s is for models with an entry `encode`",
		                 w->start.n ? "--start" : "--input");
	w->encode -= w->encodes;
	return !w->encodes || encoder_check(w);
}

/* --- inputs ----------------------------------------------------------------------------------------------- */

typedef struct IdRow {
	const int64_t *at;
	size_t n;
} IdRow;

/* turn: of decoding; the token that the last call, or the prompt, gave. */
static IdRow row_ids(const Passage *p, CallKind kind, uint32_t turn)
{
	if (kind == CALL_ENCODE) return (IdRow){p->source.at, p->source.n};
	if (kind == CALL_PREFILL) return (IdRow){p->ids.at, p->n_prompt};
	size_t i = p->n_prompt + turn - 1;
	return (IdRow){p->ids.at + (i < p->ids.n ? i : p->ids.n - 1), 1};
}

static uint32_t entry_of(const Writer *w, CallKind kind)
{
	return kind == CALL_ENCODE ? w->encode : kind == CALL_PREFILL ? w->prefill : w->decode;
}

/* The token numbers of each row, and their lengths where the entry takes them. */
static HostTensor *ids_inputs(const Batch *b, CallKind kind, uint32_t turn)
{
	Writer *w = b->w;
	uint32_t entry = entry_of(w, kind);
	const InterfaceTensor *x = input_of(w, entry, 0);
	HostTensor *in = NEW_ARRAY(w->step, HostTensor, 2);
	int64_t rows = (int64_t)b->n, wide = 0;
	for (size_t i = 0; i < b->n; i++) {
		int64_t n = (int64_t)row_ids(b->row[i], kind, turn).n;
		wide = n > wide ? n : wide;
	}
	int64_t dims[2] = {x->rank == 2 ? rows : wide, wide};
	in[0] = tensor_new(w->step, x->name, (DType)x->dtype, x->rank, dims);
	if (takes_lengths(w, entry))
		in[1] = tensor_new(w->step, input_of(w, entry, 1)->name, DT_I32, 1, &rows);
	for (size_t i = 0; i < b->n; i++) {
		IdRow r = row_ids(b->row[i], kind, turn);
		for (size_t k = 0; k < r.n; k++)
			dtype_store(in->dtype, tensor_data(in), (int64_t)i * wide + (int64_t)k,
			            (double)r.at[k]);
		if (in[1].data) ((int32_t *)tensor_data(&in[1]))[i] = (int32_t)r.n;
	}
	return in;
}

static HostTensor *given_inputs(const Writer *w)
{
	const InterfaceEntry *e = &w->r.face->entry[w->encode];
	HostTensor *in = NEW_ARRAY(w->step, HostTensor, e->n_in + 1);
	for (uint32_t i = 0; i < e->n_in; i++)
		in[i] = *given_find(&w->given, input_of(w, w->encode, i)->name);
	return in;
}

static HostTensor *inputs(const Batch *b, CallKind kind, uint32_t turn)
{
	return kind == CALL_ENCODE && b->w->given.list.n ? given_inputs(b->w)
	                                                 : ids_inputs(b, kind, turn);
}

/* Rows of a batch: the first dim of the token numbers, as long as it may vary. */
static int64_t batch_dim(const Writer *w)
{
	const InterfaceTensor *x = input_of(w, w->prefill, 0);
	return x->rank == 2 ? dim_param(x->dim[0]) : -1;
}

size_t given_rows(const Writer *w)
{
	const InterfaceTensor *x = input_of(w, w->encode, 0);
	const HostTensor *first = given_find(&w->given, x->name);
	int64_t p = batch_dim(w);
	bool same = p >= 0 && x->rank && first->rank == x->rank && dim_param(x->dim[0]) == p;
	return same && first->dims[0] > 0 ? (size_t)first->dims[0] : 1;
}

bool prompt_fits(Writer *w, const Passage *p)
{
	const char *why;
	Passage *row[1] = {(Passage *)p};
	Batch b = {.w = w, .row = row, .n = 1};
	CallKind kind = w->encodes ? CALL_ENCODE : CALL_PREFILL;
	ArenaMark mark = arena_mark(w->step);
	HostTensor *in = ids_inputs(&b, kind, 0);
	bool fits = runner_allows(&w->r, w->step, entry_of(w, kind), in, &why);
	size_t n = row_ids(p, kind, 0).n;
	arena_reset(w->step, mark);
	return fits || tool_fail(w->t, "the model cannot take a prompt of %zu tokens: %s", n, why);
}

/* --- tokens ----------------------------------------------------------------------------------------------- */

/* Row i of the logits at the last position of its `n` ids. */
static bool logits_row(const Batch *b, const HostTensor *all, size_t i, size_t n, HostTensor *out)
{
	Tool *t = b->w->t;
	int64_t wide = all->rank ? all->dims[all->rank - 1] : 0, count = host_tensor_count(all);
	*out = *all;
	if (b->n == 1 || wide < 1) return true; /* the last row of all counts */
	bool each = all->rank == 3, fits = all->dims[0] == (int64_t)b->n;
	if (all->rank < 2 || all->rank > 3 || !fits || (each && all->dims[1] < (int64_t)n))
		return tool_fail(t, "the first output, `%s` %s, has no logits for each of %zu prompts",
		                 all->name, host_tensor_type(t->arena, all), b->n);
	int64_t at = count / (int64_t)b->n * (int64_t)i + (each ? ((int64_t)n - 1) * wide : 0);
	*out = tensor_new(b->w->step, all->name, all->dtype, 1, &wide);
	for (int64_t k = 0; k < wide; k++)
		dtype_store(out->dtype, tensor_data(out), k, dtype_load(all->dtype, all->data, at + k));
	return true;
}

static bool passage_finish(Writer *w, Passage *p, const char *why, bool cut)
{
	p->finish = why;
	return text_end(w, p, cut);
}

static bool logits_keep(Writer *w, Passage *p, const HostTensor *logits)
{
	int64_t n = logits->dims[logits->rank - 1], all = host_tensor_count(logits);
	w->logits = (uint32_t)n;
	for (int64_t i = all - n; i < all; i++)
		vec_push(w->t->arena, &p->logits, (float)dtype_load(logits->dtype, logits->data, i));
	return true;
}

/* The token that follows p by its logits. */
static bool passage_take(Writer *w, Passage *p, const HostTensor *logits)
{
	int64_t next = 0;
	bool cut = false;
	w->sampler.seed = p->seed;
	if (!sampler_choose(&w->sampler, w->t, logits, &p->ids, &next)) return false;
	p->seed = w->sampler.seed;
	if (w->t->a.logits && !logits_keep(w, p, logits)) return false;
	if (stops(w, next)) return passage_finish(w, p, "stop", false);
	vec_push(w->t->arena, &p->ids, next);
	if (!text_add(w, p, next, &cut)) return false;
	if (cut) return passage_finish(w, p, "stop", true);
	return p->ids.n - p->n_prompt < w->most || passage_finish(w, p, "length", false);
}

static void speed_add(Speed *s, const CallReport *report)
{
	s->calls++;
	s->seconds += report->seconds;
	if (report->sim) s->cycles += report->sim->cycles;
}

/* Whether this turn, 0 being the prompt's, gives p a token that it does not have. */
static bool waits(const Passage *p, uint32_t turn)
{
	return !p->finish && p->ids.n == p->n_prompt + turn;
}

/* --- batches ---------------------------------------------------------------------------------------------- */

static bool encode(Batch *b)
{
	Writer *w = b->w;
	CallReport report;
	ArenaMark mark = arena_mark(w->step);
	HostTensor *out = NEW_ARRAY(w->step, HostTensor, w->r.face->entry[w->encode].n_out + 1);
	bool done = runner_call(&w->r, w->step, w->encode, inputs(b, CALL_ENCODE, 0), out, &report);
	if (done) speed_add(&b->encode, &report);
	for (size_t i = 0; done && i < b->n; i++) b->row[i]->encode = b->encode;
	arena_reset(w->step, mark);
	return done;
}

/* A ragged model counts the tokens of each row where only it sees them. What is known is the dim that no row
 * exceeds: where that has counted the tokens of the longest row up to its end, no further one fits. */
static bool longest_full(const Batch *b, uint32_t turn, const char **why)
{
	const Runner *r = &b->w->r;
	size_t longest = 0;
	for (size_t i = 0; i < b->n; i++)
		if (b->row[i]->n_prompt > longest) longest = b->row[i]->n_prompt;
	for (uint32_t i = 0; i < r->face->n_param; i++) {
		const InterfaceParam *p = &r->face->param[i];
		int64_t hi, seen = (int64_t)longest + turn - 1;
		if (p->kind != IP_STATE || !path_ends(p->name, "_max") || r->dims.value[i] != seen ||
		    !expr_eval(p->hi, r->dims.value, &hi) || seen < hi)
			continue;
		*why = arena_printf(b->w->t->arena, "`%s` is %lld and can be no more", p->name,
		                    (long long)seen);
		return true;
	}
	return false;
}

/* The longest rows end, as the model does not take a further token of theirs. */
static bool batch_full(Batch *b, const char *why)
{
	Tool *t = b->w->t;
	size_t longest = 0;
	for (size_t i = 0; i < b->n; i++)
		if (b->row[i]->n_prompt > longest) longest = b->row[i]->n_prompt;
	for (size_t i = 0; i < b->n; i++) {
		Passage *p = b->row[i];
		if (p->finish || p->n_prompt < longest) continue;
		diag_warning(&t->d, span_none(),
		             "the text ends after %zu tokens, as the context is full: %s", p->ids.n, why);
		if (!passage_finish(b->w, p, "context", false)) return false;
	}
	return true;
}

/* One call for all rows. *full: the model takes no more. */
static bool step(Batch *b, uint32_t turn, bool *full)
{
	Writer *w = b->w;
	CallKind kind = turn ? CALL_DECODE : CALL_PREFILL;
	uint32_t entry = entry_of(w, kind);
	const char *why;
	CallReport report;
	HostTensor row, *in = inputs(b, kind, turn);
	bool ragged = takes_lengths(w, w->prefill);
	if (turn && (!runner_allows(&w->r, w->step, entry, in, &why) ||
	             (ragged && longest_full(b, turn, &why)))) {
		*full = true;
		return batch_full(b, why);
	}
	HostTensor *out = NEW_ARRAY(w->step, HostTensor, w->r.face->entry[entry].n_out);
	if (!runner_call(&w->r, w->step, entry, in, out, &report)) return false;
	speed_add(turn ? &b->others : &b->first, &report);
	for (size_t i = 0; i < b->n; i++) {
		Passage *p = b->row[i];
		if (!waits(p, turn)) continue;
		speed_add(turn ? &p->others : &p->first, &report);
		b->tokens += turn > 0;
		if (!logits_row(b, &out[0], i, row_ids(p, kind, turn).n, &row) || !passage_take(w, p, &row))
			return false;
	}
	return true;
}

static bool batch_goes_on(const Batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (!b->row[i]->finish) return true;
	return false;
}

/* From the prompts on, till all have ended or the context is full. */
static bool batch_continue(Batch *b)
{
	Writer *w = b->w;
	bool full = false, ok = (!w->used || runner_reset(&w->r)) && (!w->encodes || encode(b));
	w->used = true;
	for (uint32_t turn = 0; ok && !full && batch_goes_on(b); turn++) {
		ArenaMark mark = arena_mark(w->step);
		ok = step(b, turn, &full);
		arena_reset(w->step, mark);
		if (!ok) break;
		passages_show(w);
		progress_step(w->t, turn + 1, w->most);
	}
	return ok;
}

static void stats_print(const Batch *b)
{
	Writer *w = b->w;
	Arena *a = w->t->arena;
	const Speed *s = &b->others;
	size_t prompts = 0;
	for (size_t i = 0; i < b->n; i++)
		prompts += w->encodes ? b->row[i]->source.n : b->row[i]->n_prompt;
	fflush(stdout);
	fprintf(stderr, "%s: ", target_name(w->r.target));
	if (b->n > 1)
		fprintf(stderr, "%zu prompts", b->n);
	else
		fputs("prompt", stderr);
	if (prompts) fprintf(stderr, " of %zu tokens", prompts);
	fprintf(stderr, " in %s", seconds_text(a, b->encode.seconds + b->first.seconds));
	if (b->first.cycles)
		fprintf(stderr, ", %llu cycles", (unsigned long long)(b->encode.cycles + b->first.cycles));
	if (s->calls && s->seconds > 0) {
		fprintf(stderr, "; then %s a ", seconds_text(a, s->seconds / s->calls));
		if (b->n > 1)
			fprintf(stderr, "step of all");
		else
			fprintf(stderr, "token");
		fprintf(stderr, ", %.0f tokens/s", b->tokens / s->seconds);
	}
	if (s->calls && s->cycles)
		fprintf(stderr, ", %.0f cycles a %s", (double)s->cycles / s->calls,
		        b->n > 1 ? "step" : "token");
	fputc('\n', stderr);
}

static bool batch_run(Batch *b)
{
	Writer *w = b->w;
	size_t all = b->n;
	for (size_t i = 0; i < all; i++) {
		Passage *p = b->row[i];
		p->begun = true;
		p->rows = (uint32_t)all;
		if (!text_begin(w, p)) return false;
		if (!w->most && !passage_finish(w, p, "length", false)) return false;
	}
	passages_show(w);
	while (batch_goes_on(b)) {
		if (!batch_continue(b)) return false;
		size_t left = 0; /* those that go on, in front */
		for (size_t i = 0; i < b->n; i++) {
			Passage *p = b->row[i];
			if (p->finish) continue;
			b->row[i] = b->row[left];
			b->row[left++] = p;
		}
		if (left) b->n = left;
	}
	b->n = all;
	if (w->t->a.stats && !w->t->a.json) stats_print(b);
	return true;
}

/* How many rows a batch may have. The CPU's kernels sum a row in an order that depends on how many rows there
 * are, so that logits differ in their last bits: there batches are for who asks for them. */
static size_t rows_most(const Writer *w)
{
	int64_t p = batch_dim(w), most = 1;
	bool exact = w->r.target != TARGET_CPU;
	if (p < 0 || (w->t->a.batch ? w->t->a.batch == 1 : !exact)) return 1;
	if (!expr_eval(w->r.face->param[p].hi, w->r.dims.value, &most) || most < 1) return 1;
	bool asked = w->t->a.batch && w->t->a.batch < most;
	return asked ? w->t->a.batch : (size_t)most;
}

bool batches_run(Writer *w)
{
	size_t n = w->all.n, most = w->given.list.n ? n : rows_most(w);
	uint32_t entry = w->encodes ? w->encode : w->prefill;
	bool any_length = w->given.list.n || takes_lengths(w, entry);
	Passage **row = NEW_ARRAY(w->t->arena, Passage *, n);
	for (size_t i = 0; i < n; i++) {
		Batch b = {.w = w, .row = row};
		const Passage *first = &w->all.at[i];
		for (size_t k = i; k < n && !first->begun && b.n < most; k++) {
			Passage *p = &w->all.at[k];
			bool alike = p->source.n == first->source.n && p->n_prompt == first->n_prompt;
			if (!p->begun && (alike || any_length)) row[b.n++] = p;
		}
		if (b.n && !batch_run(&b)) return false;
	}
	return true;
}
