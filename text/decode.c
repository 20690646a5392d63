/* Decoding: tokens go through the file's chain of decoders as a list of texts, which are joined at the
 * end. A stream decodes its window anew for each token and gives out what later tokens cannot change;
 * of a window that has grown long only the end is kept. */
#include "text/tokenizer.h"

#include <string.h>

typedef VEC(TextBytes) Strings;

/* Stands for a special token that prints nothing: three noncharacters. */
static const TextBytes silent = {"\xef\xb7\x90\xef\xb7\x95\xef\xb7\x90", 9};

static void put(Text *t, TextBytes s)
{
	text_append(t, s.at, s.n);
}

static TextBytes replaced(Arena *a, TextBytes s, const char *what, const char *with)
{
	Step step = {.pattern = {what, strlen(what)}, .content = {with, strlen(with)}};
	TextBytes out;
	return step_replace(&step, a, s, &out) ? out : s;
}

static void decode_byte_level(Arena *a, Strings *list)
{
	Text all = text_new(a);
	for (size_t i = 0; i < list->n; i++) {
		TextBytes s = list->at[i];
		size_t before = all.n;
		for (size_t at = 0, n; at < s.n; at += n) {
			int b = byte_of_char(utf8_next(s.at + at, s.n - at, &n));
			char c = (char)b;
			if (b < 0) { /* not of this alphabet: the token stands as it is */
				all.n = before;
				put(&all, s);
				break;
			}
			text_append(&all, &c, 1);
		}
	}
	list->n = 0;
	vec_push(a, list, utf8_lossy(a, all.at ? all.at : "", all.n));
}

static bool is_byte_token(TextBytes s, int *byte)
{
	int v = 0;
	if (s.n != 6 || memcmp(s.at, "<0x", 3) != 0 || s.at[5] != '>') return false;
	for (int i = 3; i < 5; i++) {
		const char *digits = "0123456789ABCDEFabcdef", *d = strchr(digits, s.at[i]);
		if (!d || !s.at[i]) return false;
		v = v * 16 + (int)(d - digits > 15 ? d - digits - 6 : d - digits);
	}
	*byte = v;
	return true;
}

/* A run of bytes is a text if all of it is valid, else U+FFFD for each byte. */
static void bytes_end(Arena *a, Text *run, Strings *out)
{
	if (!run->n) return;
	TextBytes s = utf8_lossy(a, run->at, run->n);
	if (!bytes_same(s, text_bytes(run))) {
		Text bad = text_new(a);
		for (size_t i = 0; i < run->n; i++) text_puts(&bad, "\xef\xbf\xbd");
		s = text_bytes(&bad);
	}
	vec_push(a, out, s);
	*run = text_new(a);
}

static void decode_bytes(Arena *a, Strings *list)
{
	Strings out = {0};
	Text run = text_new(a);
	for (size_t i = 0; i < list->n; i++) {
		int b;
		if (is_byte_token(list->at[i], &b)) {
			char c = (char)b;
			text_append(&run, &c, 1);
			continue;
		}
		bytes_end(a, &run, &out);
		vec_push(a, &out, list->at[i]);
	}
	bytes_end(a, &run, &out);
	*list = out;
}

static TextBytes clean_up(Arena *a, TextBytes s)
{
	static const char *const pairs[][2] = {
		{" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
		{" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
		{" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	};
	for (size_t i = 0; i < COUNT(pairs); i++) s = replaced(a, s, pairs[i][0], pairs[i][1]);
	return s;
}

static TextBytes decode_wordpiece(const Step *s, Arena *a, TextBytes t, bool first)
{
	Text out = text_new(a);
	bool inner = t.n >= s->pattern.n && memcmp(t.at, s->pattern.at, s->pattern.n) == 0;
	if (!first && !inner) text_puts(&out, " ");
	if (!first && inner) t = (TextBytes){t.at + s->pattern.n, t.n - s->pattern.n};
	put(&out, t);
	return s->clean ? clean_up(a, text_bytes(&out)) : text_bytes(&out);
}

static TextBytes decode_strip(const Step *s, TextBytes t)
{
	size_t n = s->content.n;
	for (uint32_t i = 0; n && i < s->start && t.n >= n && !memcmp(t.at, s->content.at, n); i++)
		t = (TextBytes){t.at + n, t.n - n};
	for (uint32_t i = 0; n && i < s->stop && t.n >= n && !memcmp(t.at + t.n - n, s->content.at, n);
	     i++)
		t.n -= n;
	return t;
}

static void decode_fuse(Arena *a, Strings *list)
{
	Text all = text_new(a);
	for (size_t i = 0; i < list->n; i++) put(&all, list->at[i]);
	list->n = 0;
	vec_push(a, list, text_bytes(&all));
}

static TextBytes decode_metaspace(const Step *s, Arena *a, TextBytes t, bool first)
{
	Step step = {.pattern = s->content, .content = {" ", 1}};
	if (first && s->prepend != PREPEND_NEVER) step.content.n = 0;
	TextBytes out;
	return step_replace(&step, a, t, &out) ? out : t;
}

static bool decode_list(const Step *s, Arena *a, Strings *list)
{
	switch (s->kind) {
	case DECODE_BYTE_LEVEL: decode_byte_level(a, list); return true;
	case DECODE_BYTE_FALLBACK: decode_bytes(a, list); return true;
	case DECODE_FUSE: decode_fuse(a, list); return true;
	case SEQUENCE:
		for (size_t i = 0; i < s->n; i++)
			if (!decode_list(s->parts[i], a, list)) return false;
		return true;
	default: break;
	}
	for (size_t i = 0; i < list->n; i++) {
		TextBytes *t = &list->at[i];
		if (s->kind == DECODE_METASPACE) *t = decode_metaspace(s, a, *t, i == 0);
		if (s->kind == DECODE_WORDPIECE) *t = decode_wordpiece(s, a, *t, i == 0);
		if (s->kind == DECODE_STRIP) *t = decode_strip(s, *t);
		if (s->kind == DECODE_REPLACE && !step_replace(s, a, *t, t)) return false;
		if (s->kind == DECODE_BPE) *t = replaced(a, *t, s->pattern.at, i + 1 == list->n ? "" : " ");
	}
	return true;
}

static bool id_check(const Tokenizer *t, Diags *d, uint32_t id)
{
	if (id < t->n_tokens && t->tokens[id].at) return true;
	diag_error(d, span_none(), "the tokenizer has no token %u", id);
	return false;
}

static bool decode(const Tokenizer *t, Arena *a, Diags *d, const uint32_t *ids, size_t n,
                   SpecialTokens specials, TextBytes *out)
{
	Strings list = {0};
	for (size_t i = 0; i < n; i++) {
		if (!id_check(t, d, ids[i])) return false;
		bool special = t->special[ids[i]];
		if (special && specials == SPECIALS_LEFT) continue;
		TextBytes s = special && specials == SPECIALS_SILENT ? silent : t->tokens[ids[i]];
		vec_push(a, &list, s);
	}
	Text all = text_new(a);
	if (t->decoder && !decode_list(t->decoder, a, &list)) {
		diag_error(d, span_none(), "a pattern of the tokenizer's decoder takes too long");
		return false;
	}
	for (size_t i = 0; i < list.n; i++) {
		if (i && !t->decoder) text_puts(&all, " ");
		put(&all, list.at[i]);
	}
	*out = text_bytes(&all);
	if (specials == SPECIALS_SILENT) {
		Step step = {.pattern = silent, .content = {"", 0}};
		return step_replace(&step, a, *out, out);
	}
	return true;
}

bool tokenizer_decode(const Tokenizer *t, Arena *a, Diags *d, const uint32_t *ids, size_t n,
                      SpecialTokens specials, TextBytes *out)
{
	return decode(t, a, d, ids, n, specials, out);
}

/* --- streams ------------------------------------------------------------------------------------ */

TokenStream token_stream_new(Arena *a, const Tokenizer *t, SpecialTokens specials)
{
	return (TokenStream){.tokenizer = t, .arena = a, .specials = specials};
}

/* What the window decodes to is thrown away after each step: only the new part is kept. */
static bool stream_text(TokenStream *s, Diags *d, bool end, TextBytes *out)
{
	for (;;) {
		ArenaMark mark = arena_mark(s->arena);
		TextBytes all;
		if (!decode(s->tokenizer, s->arena, d, s->ids.at, s->ids.n, s->specials, &all))
			return false; /* no reset: the message is in an arena, perhaps this one */
		bool whole = all.n < 3 || memcmp(all.at + all.n - 3, "\xef\xbf\xbd", 3) != 0;
		size_t n = all.n > s->printed && (whole || end) ? all.n - s->printed : 0;
		bool fits = n <= s->part_room;
		if (fits && n) memcpy(s->part, all.at + s->printed, n);
		arena_reset(s->arena, mark);
		if (fits) {
			*out = (TextBytes){n ? s->part : "", n};
			s->printed += n;
			return true;
		}
		s->part_room = 2 * n + 64;
		s->part = arena_alloc(s->arena, s->part_room);
	}
}

enum { WINDOW = 64, WINDOW_KEPT = 16 };

/* Lets the window begin later, where what was given out ends as it would: no byte of a run is cut off,
 * and the shorter window decodes to the end of what the whole one does, but for its first character (a
 * decoder may strip a space from the beginning, or find half a character there). */
static bool window_shorten(TokenStream *s, Diags *d)
{
	const Tokenizer *t = s->tokenizer;
	int byte;
	size_t from = s->ids.n - WINDOW_KEPT;
	while (from > 0 && (is_byte_token(t->tokens[s->ids.at[from]], &byte) ||
	                    is_byte_token(t->tokens[s->ids.at[from - 1]], &byte)))
		from--;
	if (from == 0) return true;
	ArenaMark mark = arena_mark(s->arena);
	TextBytes all, end;
	if (!decode(t, s->arena, d, s->ids.at, s->ids.n, s->specials, &all) ||
	    !decode(t, s->arena, d, s->ids.at + from, s->ids.n - from, s->specials, &end))
		return false;
	size_t first = end.n < 4 ? end.n : 4, same = end.n - first;
	bool agrees = s->printed == all.n && same > 0 && same <= all.n &&
	              memcmp(all.at + all.n - same, end.at + first, same) == 0;
	size_t printed = end.n;
	arena_reset(s->arena, mark);
	if (!agrees) return true;
	memmove(s->ids.at, s->ids.at + from, (s->ids.n - from) * sizeof *s->ids.at);
	s->ids.n -= from;
	s->printed = printed;
	return true;
}

bool token_stream_push(TokenStream *s, Diags *d, uint32_t id, TextBytes *out)
{
	int byte;
	*out = (TextBytes){"", 0};
	if (!id_check(s->tokenizer, d, id)) return false;
	vec_push(s->arena, &s->ids, id);
	/* a byte is no text before its whole run is there */
	if (is_byte_token(s->tokenizer->tokens[id], &byte)) return true;
	return stream_text(s, d, false, out) && (s->ids.n % WINDOW != 0 || window_shorten(s, d));
}

bool token_stream_end(TokenStream *s, Diags *d, TextBytes *out)
{
	return stream_text(s, d, true, out);
}
