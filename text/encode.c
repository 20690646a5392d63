/* Encoding: added tokens are cut out, the rest is normalized, cut into pieces and given to the model;
 * the tokens are cut to length, the post-processor puts its own around, and what is short is padded. */
#include "text/tokenizer.h"

static void model_encode(const Tokenizer *t, Arena *a, TextBytes piece, IdList *out)
{
	switch (t->model) {
	case MODEL_BPE: bpe_encode(t, a, piece, out); break;
	case MODEL_UNIGRAM: unigram_encode(t, a, piece, out); break;
	case MODEL_WORDPIECE:
	case MODEL_WORDLEVEL: wordpiece_encode(t, a, piece, out); break;
	}
}

/* A processor without a template among several changes nothing. */
static void process(const Step *s, Arena *a, IdList *ids)
{
	if (s && s->kind == SEQUENCE)
		for (size_t i = 0; i < s->n; i++) process(s->parts[i], a, ids);
	if (!s || s->kind != PROCESS_TEMPLATE) return;
	IdList out = {0};
	for (size_t i = 0; i < s->n; i++) {
		if (s->ids[i] != NO_TOKEN) {
			vec_push(a, &out, s->ids[i]);
			continue;
		}
		for (size_t k = 0; k < ids->n; k++) vec_push(a, &out, ids->at[k]);
	}
	*ids = out;
}

size_t processor_adds(const Step *s)
{
	size_t n = 0;
	if (s && s->kind == SEQUENCE)
		for (size_t i = 0; i < s->n; i++) n += processor_adds(s->parts[i]);
	if (s && s->kind == PROCESS_TEMPLATE)
		for (size_t i = 0; i < s->n; i++) n += s->ids[i] != NO_TOKEN;
	return n;
}

static bool truncate(const Fit *f, Diags *d, size_t around, IdList *ids)
{
	size_t most = f->most - around, all = ids->n;
	if (!f->truncates || all <= most) return true;
	if (f->only_second && most) {
		diag_error(
			d, span_none(),
			"the text gives %zu tokens, and the tokenizer's truncation to %u shortens the second "
			"text of a pair only",
			all, f->most);
		return false;
	}
	if (f->cut_left) ids->at += all - most;
	ids->n = most;
	return true;
}

static void pad(const Fit *f, Arena *a, IdList *ids)
{
	IdList out = {0};
	size_t n = ids->n > f->least ? ids->n : f->least;
	if (f->multiple) n += (f->multiple - n % f->multiple) % f->multiple;
	if (n == ids->n) return;
	for (size_t i = 0; f->pad_left && i < n - ids->n; i++) vec_push(a, &out, f->pad);
	for (size_t i = 0; i < ids->n; i++) vec_push(a, &out, ids->at[i]);
	while (out.n < n) vec_push(a, &out, f->pad);
	*ids = out;
}

static bool cut(const Tokenizer *t, Arena *a, TextBytes text, Pieces *out)
{
	Pieces raw = {0};
	added_split(t, a, false, (Piece){text, NO_TOKEN, true}, &raw);
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.at[i].id != NO_TOKEN) {
			vec_push(a, out, raw.at[i]);
			continue;
		}
		if (!normalize(t->normalizer, a, &raw.at[i].text)) return false;
		added_split(t, a, true, raw.at[i], out);
	}
	return split_pieces(t->splitter, a, out);
}

bool tokenizer_encode(const Tokenizer *t, Arena *a, Diags *d, const char *text, size_t n,
                      unsigned flags, TokenIds *out)
{
	Pieces pieces = {0};
	IdList ids = {0};
	if (!cut(t, a, utf8_lossy(a, text, n), &pieces)) {
		diag_error(d, span_none(), "a pattern of the tokenizer takes too long on this text");
		return false;
	}
	for (size_t i = 0; i < pieces.n; i++) {
		if (pieces.at[i].id != NO_TOKEN)
			vec_push(a, &ids, pieces.at[i].id);
		else
			model_encode(t, a, pieces.at[i].text, &ids);
	}
	size_t around = flags & ENCODE_SPECIALS ? processor_adds(t->processor) : 0;
	if (flags & ENCODE_FITTED && !truncate(&t->fit, d, around, &ids)) return false;
	if (flags & ENCODE_SPECIALS) process(t->processor, a, &ids);
	if (flags & ENCODE_FITTED) pad(&t->fit, a, &ids);
	*out = (TokenIds){ids.at, ids.n};
	return true;
}
