/* Encoding: added tokens are cut out, the rest is normalized, cut into pieces and given to the model;
 * then the post-processor puts its tokens around. */
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
                      bool specials, TokenIds *out)
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
	if (specials) process(t->processor, a, &ids);
	*out = (TokenIds){ids.at, ids.n};
	return true;
}
