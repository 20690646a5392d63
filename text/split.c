/* Pre-tokenizers: cut pieces into smaller ones, which the model then sees one by one. */
#include "text/tokenizer.h"

#include <string.h>

typedef struct Part {
	size_t begin, end;
	bool match;
} Part;
typedef VEC(Part) Parts;

const Regex *split_regex(Arena *a, StepKind kind, const char **why)
{
	const char *gpt2 =
		"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
	const char *words = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}]+|"
						"[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}\\s]+";
	const char *pattern = kind == SPLIT_BYTE_LEVEL ? gpt2 : words;
	return regex_new(a, pattern, strlen(pattern), why);
}

static void parts_of_matches(Arena *a, const Matches *m, size_t n, bool invert, Parts *out)
{
	size_t at = 0;
	for (size_t i = 0; i < m->n; i++) {
		if (m->at[i].begin > at) vec_push(a, out, ((Part){at, m->at[i].begin, invert}));
		vec_push(a, out, ((Part){m->at[i].begin, m->at[i].end, !invert}));
		at = m->at[i].end;
	}
	if (at < n) vec_push(a, out, ((Part){at, n, invert}));
}

/* Which parts become one: as NormalizedString::split of Hugging Face's tokenizers has it. */
static void parts_merge(Arena *a, const Parts *in, SplitBehavior behavior, Parts *out)
{
	bool before = false;
	if (behavior == SPLIT_MERGED_NEXT) {
		size_t first = 0; /* of the run that ends in a part that is no match */
		for (size_t i = 0; i < in->n; i++) {
			bool joins = i + 1 < in->n && in->at[i].match && !in->at[i + 1].match;
			if (joins) continue;
			if (i == 0 || !(in->at[i - 1].match && !in->at[i].match))
				first = i;
			else
				first = i - 1;
			vec_push(a, out, ((Part){in->at[first].begin, in->at[i].end, false}));
		}
		return;
	}
	for (size_t i = 0; i < in->n; i++) {
		Part p = in->at[i];
		bool joins = out->n && ((behavior == SPLIT_CONTIGUOUS && p.match == before) ||
		                        (behavior == SPLIT_MERGED_PREVIOUS && p.match && !before));
		before = p.match;
		if (joins)
			out->at[out->n - 1].end = p.end;
		else if (behavior != SPLIT_REMOVED || !p.match)
			vec_push(a, out, p);
	}
}

static bool class_has(StepKind kind, uint32_t c)
{
	if (kind == SPLIT_WHITESPACE_ONLY) return char_is_space(c);
	return kind == SPLIT_DIGITS ? char_is_number(c) : char_is_punctuation(c);
}

static void class_matches(StepKind kind, Arena *a, TextBytes s, Matches *out)
{
	for (size_t at = 0, n; at < s.n; at += n)
		if (class_has(kind, utf8_next(s.at + at, s.n - at, &n)))
			vec_push(a, out, ((Match){at, at + n}));
}

static void pieces_cut(Arena *a, Piece p, const Matches *m, bool invert, SplitBehavior behavior,
                       Pieces *out)
{
	Parts parts = {0}, merged = {0};
	parts_of_matches(a, m, p.text.n, invert, &parts);
	parts_merge(a, &parts, behavior, &merged);
	for (size_t i = 0; i < merged.n; i++) {
		Part x = merged.at[i];
		Piece cut = {{p.text.at + x.begin, x.end - x.begin}, NO_TOKEN, p.first && x.begin == 0};
		if (cut.text.n) vec_push(a, out, cut);
	}
}

static TextBytes prepended(Arena *a, TextBytes what, TextBytes s)
{
	Text out = text_new(a);
	text_append(&out, what.at, what.n);
	text_append(&out, s.at, s.n);
	return text_bytes(&out);
}

static bool begins_with(TextBytes s, TextBytes what)
{
	return s.n >= what.n && memcmp(s.at, what.at, what.n) == 0;
}

static bool split_metaspace(const Step *s, Arena *a, Piece p, Pieces *out)
{
	Step spaces = {.pattern = {" ", 1}, .content = s->content};
	Step marks = {.pattern = s->content};
	Matches m = {0};
	if (!step_replace(&spaces, a, p.text, &p.text)) return false;
	bool wanted = s->prepend == PREPEND_ALWAYS || (s->prepend == PREPEND_FIRST && p.first);
	if (wanted && !begins_with(p.text, s->content)) p.text = prepended(a, s->content, p.text);
	if (!s->split) {
		vec_push(a, out, p);
		return true;
	}
	step_matches(&marks, a, p.text, &m);
	pieces_cut(a, p, &m, false, SPLIT_MERGED_NEXT, out);
	return true;
}

static bool split_byte_level(const Step *s, Arena *a, Piece p, Pieces *out)
{
	Matches m = {0};
	size_t from = out->n;
	if (s->prepend == PREPEND_ALWAYS && !begins_with(p.text, (TextBytes){" ", 1}))
		p.text = prepended(a, (TextBytes){" ", 1}, p.text);
	if (s->regex && !regex_matches(s->regex, a, p.text, &m)) return false;
	pieces_cut(a, p, &m, false, SPLIT_ISOLATED, out);
	for (size_t i = from; i < out->n; i++) {
		Text t = text_new(a);
		for (size_t k = 0; k < out->at[i].text.n; k++)
			utf8_put(&t, byte_char((uint8_t)out->at[i].text.at[k]));
		out->at[i].text = text_bytes(&t);
	}
	return true;
}

static bool split_bert(Arena *a, Piece p, Pieces *out)
{
	Matches spaces = {0};
	Pieces words = {0};
	class_matches(SPLIT_WHITESPACE_ONLY, a, p.text, &spaces);
	pieces_cut(a, p, &spaces, false, SPLIT_REMOVED, &words);
	for (size_t i = 0; i < words.n; i++) {
		Matches marks = {0};
		class_matches(SPLIT_PUNCTUATION, a, words.at[i].text, &marks);
		pieces_cut(a, words.at[i], &marks, false, SPLIT_ISOLATED, out);
	}
	return true;
}

static void split_fixed(const Step *s, Arena *a, Piece p, Pieces *out)
{
	for (size_t at = 0, begin = 0, n, count = 0; at < p.text.n; at += n) {
		utf8_next(p.text.at + at, p.text.n - at, &n);
		if (++count % s->start != 0 && at + n < p.text.n) continue;
		vec_push(a, out,
		         ((Piece){{p.text.at + begin, at + n - begin}, NO_TOKEN, p.first && !begin}));
		begin = at + n;
	}
}

static bool split_piece(const Step *s, Arena *a, Piece p, Pieces *out)
{
	Matches m = {0};
	switch (s->kind) {
	case SPLIT_BYTE_LEVEL: return split_byte_level(s, a, p, out);
	case SPLIT_METASPACE: return split_metaspace(s, a, p, out);
	case SPLIT_BERT: return split_bert(a, p, out);
	case SPLIT_FIXED_LENGTH: split_fixed(s, a, p, out); return true;
	case SPLIT_WHITESPACE:
		if (!regex_matches(s->regex, a, p.text, &m)) return false;
		pieces_cut(a, p, &m, true, SPLIT_REMOVED, out);
		return true;
	case SPLIT_WHITESPACE_ONLY:
	case SPLIT_DIGITS:
	case SPLIT_PUNCTUATION:
		class_matches(s->kind, a, p.text, &m);
		pieces_cut(a, p, &m, false, s->behavior, out);
		return true;
	case SPLIT_PATTERN:
		if (!step_matches(s, a, p.text, &m)) return false;
		pieces_cut(a, p, &m, s->invert, s->behavior, out);
		return true;
	default: return false;
	}
}

bool split_pieces(const Step *s, Arena *a, Pieces *pieces)
{
	if (!s) return true;
	if (s->kind == SEQUENCE) {
		for (size_t i = 0; i < s->n; i++)
			if (!split_pieces(s->parts[i], a, pieces)) return false;
		return true;
	}
	Pieces out = {0};
	for (size_t i = 0; i < pieces->n; i++) {
		if (pieces->at[i].id != NO_TOKEN)
			vec_push(a, &out, pieces->at[i]);
		else if (!split_piece(s, a, pieces->at[i], &out))
			return false;
	}
	*pieces = out;
	return true;
}
