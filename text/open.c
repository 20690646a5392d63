/* Opening a tokenizer.json: every part is read into steps and tables, and every name, option and
 * value that is not known is an error that tells where it stands. Later stages trust what is here. */
#include "text/tokenizer.h"

#include <jansson.h>
#include <string.h>

enum { DEEPEST = 16, MOST_TOKENS = 1 << 22, LONGEST_TOKEN = 1 << 12, LONGEST_WORD = 10000 };
enum { MOST_FITTED = 1 << 20 }; /* tokens that a text is cut or padded to */

typedef struct Reader {
	Arena *a;
	Diags *d;
	const char *name;
	Tokenizer *t;
	bool failed;
} Reader;

static bool fail(Reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool fail(Reader *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *what = arena_vprintf(r->a, fmt, ap);
	va_end(ap);
	if (!r->failed) diag_error(r->d, span_none(), "`%s`: %s", r->name, what);
	r->failed = true;
	return false;
}

/* --- members -------------------------------------------------------------------------------------- */

static TextBytes value_text(Reader *r, const json_t *j)
{
	size_t n = json_string_length(j);
	return (TextBytes){arena_strndup(r->a, json_string_value(j), n), n};
}

static TextBytes member_text(Reader *r, const json_t *j, const char *key, const char *otherwise)
{
	const json_t *m = json_object_get(j, key);
	if (json_is_string(m)) return value_text(r, m);
	if (m && !json_is_null(m))
		fail(r, "\"%s\" must be a string", key);
	else if (!otherwise)
		fail(r, "\"%s\" is missing", key);
	return otherwise ? (TextBytes){otherwise, strlen(otherwise)} : (TextBytes){"", 0};
}

static bool member_flag(Reader *r, const json_t *j, const char *key, bool otherwise)
{
	const json_t *m = json_object_get(j, key);
	if (m && !json_is_boolean(m) && !json_is_null(m)) fail(r, "\"%s\" must be true or false", key);
	return json_is_boolean(m) ? json_is_true(m) : otherwise;
}

static uint32_t member_number(Reader *r, const json_t *j, const char *key, int64_t otherwise,
                              int64_t most)
{
	const json_t *m = json_object_get(j, key);
	json_int_t v = json_is_integer(m) ? json_integer_value(m) : otherwise;
	if ((m && !json_is_integer(m)) || v < 0 || v > most)
		fail(r, "\"%s\" must be a number from 0 to %lld", key, (long long)most);
	return v < 0 || v > most ? 0 : (uint32_t)v;
}

static void member_must_be_null(Reader *r, const json_t *j, const char *key)
{
	const json_t *m = json_object_get(j, key);
	bool nothing = !m || json_is_null(m) || json_is_false(m) ||
	               (json_is_number(m) && json_number_value(m) == 0);
	if (!nothing) fail(r, "\"%s\" is not supported", key);
}

static size_t member_choice(Reader *r, const json_t *j, const char *key, const char *otherwise,
                            const char *const *names, size_t n)
{
	TextBytes s = member_text(r, j, key, otherwise);
	for (size_t i = 0; i < n; i++)
		if (strcmp(s.at, names[i]) == 0) return i;
	fail(r, "\"%s\": `%s` is not supported", key, s.at);
	return 0;
}

/* --- steps ---------------------------------------------------------------------------------------- */

typedef struct StepName {
	const char *part, *type;
	StepKind kind;
} StepName;
/* clang-format off */
static const StepName step_names[] = {
	{"normalizer", "NFC", NORMALIZE_NFC}, {"normalizer", "NFD", NORMALIZE_NFD},
	{"normalizer", "NFKC", NORMALIZE_NFKC}, {"normalizer", "NFKD", NORMALIZE_NFKD},
	{"normalizer", "Lowercase", NORMALIZE_LOWERCASE}, {"normalizer", "StripAccents", NORMALIZE_STRIP_ACCENTS},
	{"normalizer", "Strip", NORMALIZE_STRIP}, {"normalizer", "Replace", NORMALIZE_REPLACE},
	{"normalizer", "Prepend", NORMALIZE_PREPEND}, {"normalizer", "BertNormalizer", NORMALIZE_BERT},
	{"normalizer", "Nmt", NORMALIZE_NMT}, {"normalizer", "ByteLevel", NORMALIZE_BYTE_LEVEL},
	{"normalizer", "Precompiled", NORMALIZE_PRECOMPILED}, {"normalizer", "Sequence", SEQUENCE},
	{"pre_tokenizer", "ByteLevel", SPLIT_BYTE_LEVEL}, {"pre_tokenizer", "Metaspace", SPLIT_METASPACE},
	{"pre_tokenizer", "Whitespace", SPLIT_WHITESPACE}, {"pre_tokenizer", "WhitespaceSplit", SPLIT_WHITESPACE_ONLY},
	{"pre_tokenizer", "BertPreTokenizer", SPLIT_BERT}, {"pre_tokenizer", "Split", SPLIT_PATTERN},
	{"pre_tokenizer", "Digits", SPLIT_DIGITS}, {"pre_tokenizer", "Punctuation", SPLIT_PUNCTUATION},
	{"pre_tokenizer", "CharDelimiterSplit", SPLIT_PATTERN}, {"pre_tokenizer", "FixedLength", SPLIT_FIXED_LENGTH},
	{"pre_tokenizer", "Sequence", SEQUENCE},
	{"post_processor", "TemplateProcessing", PROCESS_TEMPLATE}, {"post_processor", "BertProcessing", PROCESS_TEMPLATE},
	{"post_processor", "RobertaProcessing", PROCESS_TEMPLATE}, {"post_processor", "ByteLevel", PROCESS_NOTHING},
	{"post_processor", "Sequence", SEQUENCE},
	{"decoder", "ByteLevel", DECODE_BYTE_LEVEL}, {"decoder", "Metaspace", DECODE_METASPACE},
	{"decoder", "WordPiece", DECODE_WORDPIECE}, {"decoder", "ByteFallback", DECODE_BYTE_FALLBACK},
	{"decoder", "Fuse", DECODE_FUSE}, {"decoder", "Strip", DECODE_STRIP}, {"decoder", "Replace", DECODE_REPLACE},
	{"decoder", "BPEDecoder", DECODE_BPE}, {"decoder", "Sequence", SEQUENCE},
};
/* clang-format on */

static const Step *step_read(Reader *r, const char *part, const json_t *j, int depth);

static void pattern_read(Reader *r, const json_t *j, Step *s)
{
	const json_t *p = json_object_get(j, "pattern");
	const json_t *regex = json_object_get(p, "Regex"), *plain = json_object_get(p, "String");
	const char *why = NULL;
	if (json_is_string(plain)) {
		s->pattern = value_text(r, plain);
	} else if (json_is_string(regex)) {
		TextBytes text = value_text(r, regex);
		s->regex = regex_new(r->a, text.at, text.n, &why);
		if (why) fail(r, "the pattern `%s` has %s", text.at, why);
	} else {
		fail(r, "\"pattern\" must be {\"String\": ...} or {\"Regex\": ...}");
	}
}

static void charsmap_open(Reader *r, const json_t *j, Step *s)
{
	const char *why = NULL;
	s->charsmap = charsmap_read(r->a, member_text(r, j, "precompiled_charsmap", NULL), &why);
	if (why) fail(r, "the normalizer `Precompiled`: %s", why);
}

/* Split, or CharDelimiterSplit. */
static void split_read(Reader *r, const json_t *j, Step *s)
{
	static const char *const behaviors[] = {"Removed", "Isolated", "MergedWithPrevious",
	                                        "MergedWithNext", "Contiguous"};
	if (s->kind == SPLIT_PATTERN && json_object_get(j, "delimiter")) {
		s->pattern = member_text(r, j, "delimiter", NULL);
		if (!s->pattern.n) fail(r, "\"delimiter\" is empty");
		s->behavior = SPLIT_REMOVED;
		return;
	}
	if (s->kind == SPLIT_PATTERN) {
		pattern_read(r, j, s);
		s->invert = member_flag(r, j, "invert", false);
	}
	const char *otherwise = s->kind == SPLIT_PATTERN ? NULL : "Isolated";
	s->behavior =
		(SplitBehavior)member_choice(r, j, "behavior", otherwise, behaviors, COUNT(behaviors));
}

static void metaspace_read(Reader *r, const json_t *j, Step *s)
{
	static const char *const schemes[] = {"never", "first", "always"};
	s->content = member_text(r, j, "replacement", NULL);
	const char *old = member_flag(r, j, "add_prefix_space", true) ? "always" : "never";
	s->prepend = (PrependScheme)member_choice(r, j, "prepend_scheme", old, schemes, COUNT(schemes));
	s->split = member_flag(r, j, "split", true);
	if (!s->content.n) fail(r, "\"replacement\" is empty");
}

static uint32_t pair_id(Reader *r, const json_t *j, const char *key)
{
	const json_t *p = json_object_get(j, key), *id = json_array_get(p, 1);
	json_int_t v = json_is_integer(id) ? json_integer_value(id) : -1;
	if (v < 0 || v >= (json_int_t)r->t->n_tokens) fail(r, "\"%s\" must be [token, number]", key);
	return v < 0 ? 0 : (uint32_t)v;
}

static void template_read(Reader *r, const json_t *j, Step *s)
{
	IdList ids = {0};
	const json_t *list = json_object_get(j, "single"),
				 *known = json_object_get(j, "special_tokens");
	if (!json_is_array(list)) fail(r, "\"single\" is missing");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *x = json_array_get(list, i), *token = json_object_get(x, "SpecialToken");
		const json_t *id = json_object_get(token, "id"), *named, *numbers;
		if (json_object_get(x, "Sequence")) {
			vec_push(r->a, &ids, NO_TOKEN);
			continue;
		}
		named = json_is_string(id) ? json_object_get(known, json_string_value(id)) : NULL;
		numbers = json_object_get(named, "ids");
		if (!json_is_array(numbers))
			fail(r, "\"single\" names a token that \"special_tokens\" lacks");
		for (size_t k = 0; k < json_array_size(numbers); k++) {
			json_int_t v = json_integer_value(json_array_get(numbers, k));
			if (v < 0 || v >= (json_int_t)r->t->n_tokens)
				fail(r, "\"special_tokens\": there is no token %lld", (long long)v);
			vec_push(r->a, &ids, (uint32_t)v);
		}
	}
	s->ids = ids.at;
	s->n = ids.n;
}

static void processor_read(Reader *r, const json_t *j, Step *s)
{
	if (json_object_get(j, "single")) {
		template_read(r, j, s);
		return;
	}
	uint32_t *ids = NEW_ARRAY(r->a, uint32_t, 3);
	ids[0] = pair_id(r, j, "cls");
	ids[1] = NO_TOKEN;
	ids[2] = pair_id(r, j, "sep");
	s->ids = ids;
	s->n = 3;
}

static void sequence_read(Reader *r, const char *part, const json_t *j, Step *s, int depth)
{
	static const char *const keys[] = {"normalizers", "pretokenizers", "processors", "decoders"};
	const json_t *list = NULL;
	for (size_t i = 0; i < COUNT(keys) && !list; i++) list = json_object_get(j, keys[i]);
	if (!json_is_array(list)) {
		fail(r, "\"%s\": a Sequence without its list", part);
		return;
	}
	const Step **parts = NEW_ARRAY(r->a, const Step *, json_array_size(list));
	for (size_t i = 0; i < json_array_size(list) && !r->failed; i++) {
		parts[i] = step_read(r, part, json_array_get(list, i), depth + 1);
		if (!parts[i]) fail(r, "\"%s\": a Sequence holds null", part);
	}
	s->parts = parts;
	s->n = json_array_size(list);
}

static void bert_read(Reader *r, const json_t *j, Step *s)
{
	s->clean = member_flag(r, j, "clean_text", true);
	s->chinese = member_flag(r, j, "handle_chinese_chars", true);
	s->lowercase = member_flag(r, j, "lowercase", true);
	s->accents = member_flag(r, j, "strip_accents", s->lowercase);
}

static void step_options(Reader *r, const char *part, const json_t *j, Step *s, int depth)
{
	const char *why = NULL;
	switch (s->kind) {
	case SEQUENCE: sequence_read(r, part, j, s, depth); break;
	case NORMALIZE_STRIP:
		s->left = member_flag(r, j, "strip_left", true);
		s->right = member_flag(r, j, "strip_right", true);
		break;
	case NORMALIZE_REPLACE:
	case DECODE_REPLACE:
		pattern_read(r, j, s);
		s->content = member_text(r, j, "content", NULL);
		break;
	case NORMALIZE_PREPEND: s->content = member_text(r, j, "prepend", NULL); break;
	case NORMALIZE_PRECOMPILED: charsmap_open(r, j, s); break;
	case NORMALIZE_BERT: bert_read(r, j, s); break;
	case SPLIT_BYTE_LEVEL:
		s->prepend = member_flag(r, j, "add_prefix_space", true) ? PREPEND_ALWAYS : PREPEND_NEVER;
		if (member_flag(r, j, "use_regex", true)) s->regex = split_regex(r->a, s->kind, &why);
		break;
	case SPLIT_WHITESPACE: s->regex = split_regex(r->a, s->kind, &why); break;
	case SPLIT_METASPACE:
	case DECODE_METASPACE: metaspace_read(r, j, s); break;
	case SPLIT_DIGITS:
		s->behavior =
			member_flag(r, j, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
		break;
	case SPLIT_PATTERN:
	case SPLIT_PUNCTUATION: split_read(r, j, s); break;
	case SPLIT_FIXED_LENGTH:
		s->start = member_number(r, j, "length", 5, 1 << 20);
		if (!s->start) fail(r, "\"length\" is 0");
		break;
	case PROCESS_TEMPLATE: processor_read(r, j, s); break;
	case DECODE_WORDPIECE:
		s->pattern = member_text(r, j, "prefix", "##");
		s->clean = member_flag(r, j, "cleanup", true);
		break;
	case DECODE_STRIP:
		s->content = member_text(r, j, "content", NULL);
		s->start = member_number(r, j, "start", 0, 1 << 20);
		s->stop = member_number(r, j, "stop", 0, 1 << 20);
		break;
	case DECODE_BPE: s->pattern = member_text(r, j, "suffix", "</w>"); break;
	default: break;
	}
	if (why) fail(r, "\"%s\": %s", part, why);
}

/* NULL for null, and after an error. */
static const Step *step_read(Reader *r, const char *part, const json_t *j, int depth)
{
	if (!j || json_is_null(j)) return NULL;
	if (depth > DEEPEST) {
		fail(r, "\"%s\": Sequences inside one another too deep", part);
		return NULL;
	}
	TextBytes type = member_text(r, j, "type", NULL);
	Step *s = NULL;
	for (size_t i = 0; i < COUNT(step_names) && !s; i++) {
		if (strcmp(step_names[i].part, part) || strcmp(step_names[i].type, type.at)) continue;
		s = NEW(r->a, Step);
		s->kind = step_names[i].kind;
	}
	if (!s)
		fail(r, "the %s `%s` is not supported", part, type.at);
	else
		step_options(r, part, j, s, depth);
	return s;
}

/* --- vocabulary ----------------------------------------------------------------------------------- */

static void token_set(Reader *r, TextBytes text, json_int_t id)
{
	if (id < 0 || id >= (json_int_t)r->t->n_tokens)
		fail(r, "the token `%s` has the number %lld", text.at, (long long)id);
	else if (text.n > LONGEST_TOKEN)
		fail(r, "a token is longer than %d bytes", LONGEST_TOKEN);
	else
		r->t->tokens[id] = text;
}

/* Numbers of the vocabulary and of the added tokens end below this. */
static size_t token_count(Reader *r, const json_t *vocab, const json_t *added)
{
	json_int_t most = json_is_array(vocab) ? (json_int_t)json_array_size(vocab) - 1 : -1;
	const char *key;
	json_t *value;
	if (json_is_object(vocab)) {
		json_object_foreach((json_t *)(uintptr_t)vocab, key, value)
		{
			if (!json_is_integer(value) || json_integer_value(value) < 0)
				fail(r, "\"vocab\": `%s` has no number", key);
			else if (json_integer_value(value) > most)
				most = json_integer_value(value);
		}
	}
	for (size_t i = 0; i < json_array_size(added); i++) {
		json_int_t id = json_integer_value(json_object_get(json_array_get(added, i), "id"));
		if (id > most) most = id;
	}
	if (most >= MOST_TOKENS) fail(r, "a token has the number %lld: too large", (long long)most);
	return r->failed ? 0 : (size_t)(most + 1);
}

static void vocab_read(Reader *r, const json_t *vocab)
{
	const char *key;
	json_t *value;
	if (json_is_array(vocab)) { /* Unigram: [piece, score] */
		for (size_t i = 0; i < json_array_size(vocab) && !r->failed; i++) {
			const json_t *x = json_array_get(vocab, i), *text = json_array_get(x, 0);
			const json_t *score = json_array_get(x, 1);
			if (!json_is_string(text) || !json_is_number(score)) {
				fail(r, "\"vocab\": entry %zu must be [piece, score]", i);
				return;
			}
			double v = json_number_value(score);
			token_set(r, value_text(r, text), (json_int_t)i);
			r->t->scores[i] = v;
			if (i == 0 || v < r->t->least_score) r->t->least_score = v;
			if (!r->failed) vocab_add(r->t, r->t->tokens[i], (uint32_t)i);
		}
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)vocab, key, value)
	{
		TextBytes text = {arena_strdup(r->a, key), strlen(key)};
		token_set(r, text, json_integer_value(value));
		if (r->failed) return;
		vocab_add(r->t, text, (uint32_t)json_integer_value(value));
	}
}

static bool merge_sides(Reader *r, const json_t *j, TextBytes side[2])
{
	if (json_is_array(j) && json_array_size(j) == 2 && json_is_string(json_array_get(j, 0)) &&
	    json_is_string(json_array_get(j, 1))) {
		for (size_t i = 0; i < 2; i++) side[i] = value_text(r, json_array_get(j, i));
		return true;
	}
	const char *text = json_string_value(j), *space = text ? strchr(text, ' ') : NULL;
	if (!space || strchr(space + 1, ' ')) return false;
	side[0] = (TextBytes){text, (size_t)(space - text)};
	side[1] = (TextBytes){space + 1, strlen(space + 1)};
	return true;
}

static void merges_read(Reader *r, const json_t *list)
{
	Tokenizer *t = r->t;
	size_t size = 16, n = json_array_size(list);
	if (!json_is_array(list)) {
		fail(r, "\"merges\" is missing");
		return;
	}
	while (size < 2 * n) size *= 2;
	t->merges = NEW_ARRAY(r->a, MergeSlot, size);
	t->merges_mask = size - 1;
	for (size_t i = 0; i < size; i++) t->merges[i].rank = NO_TOKEN;
	for (size_t i = 0; i < n && !r->failed; i++) {
		TextBytes side[2];
		if (!merge_sides(r, json_array_get(list, i), side)) {
			fail(r, "\"merges\": entry %zu is no pair", i);
			return;
		}
		size_t skip = t->prefix.n && side[1].n >= t->prefix.n ? t->prefix.n : 0;
		Text both = text_new(r->a);
		text_append(&both, side[0].at, side[0].n);
		text_append(&both, side[1].at + skip, side[1].n - skip);
		uint32_t left = vocab_find(t, side[0].at, side[0].n);
		uint32_t right = vocab_find(t, side[1].at, side[1].n);
		uint32_t id = vocab_find(t, text_bytes(&both).at, both.n);
		if (left == NO_TOKEN || right == NO_TOKEN || id == NO_TOKEN)
			fail(r, "\"merges\": entry %zu is of tokens that the vocabulary lacks", i);
		else
			merge_add(t, left, right, (uint32_t)i, id);
	}
}

static void bytes_find(Tokenizer *t)
{
	for (unsigned b = 0; b < 256; b++) {
		char name[8];
		snprintf(name, sizeof name, "<0x%02X>", b);
		t->bytes[b] = vocab_find(t, name, 6);
	}
}

static void unk_read(Reader *r, const json_t *j)
{
	Tokenizer *t = r->t;
	t->unk = NO_TOKEN;
	if (t->model == MODEL_UNIGRAM) {
		const json_t *id = json_object_get(j, "unk_id");
		if (!json_is_integer(id))
			fail(r, "\"unk_id\" is missing");
		else
			t->unk = member_number(r, j, "unk_id", 0, (int64_t)t->n_tokens - 1);
		return;
	}
	TextBytes name = member_text(r, j, "unk_token", t->model == MODEL_BPE ? "" : NULL);
	if (!name.n) return;
	t->unk = vocab_find(t, name.at, name.n);
	if (t->unk == NO_TOKEN) fail(r, "\"unk_token\" `%s` is not in the vocabulary", name.at);
}

static void model_read(Reader *r, const json_t *j, const json_t *added)
{
	static const char *const names[] = {"BPE", "WordPiece", "Unigram", "WordLevel"};
	Tokenizer *t = r->t;
	const json_t *vocab = json_object_get(j, "vocab");
	if (!json_is_object(j) || (!json_is_object(vocab) && !json_is_array(vocab))) {
		fail(r, "it has no \"model\" with a \"vocab\"");
		return;
	}
	const char *guess = json_is_array(vocab)           ? "Unigram"
	                    : json_object_get(j, "merges") ? "BPE"
	                                                   : NULL;
	t->model = (ModelKind)member_choice(r, j, "type", guess, names, COUNT(names));
	if (!r->failed && (t->model == MODEL_UNIGRAM) != json_is_array(vocab))
		fail(r, "\"vocab\" has not the form of a %s model", names[t->model]);
	t->n_tokens = token_count(r, vocab, added);
	if (r->failed) return;
	t->tokens = NEW_ARRAY(r->a, TextBytes, t->n_tokens);
	t->scores = NEW_ARRAY(r->a, double, t->n_tokens);
	t->special = NEW_ARRAY(r->a, bool, t->n_tokens);
	vocab_make(t, r->a, json_is_array(vocab) ? json_array_size(vocab) : json_object_size(vocab));
	vocab_read(r, vocab);
	if (r->failed) return;
	member_must_be_null(r, j, "dropout");
	t->fuse_unk = member_flag(r, j, "fuse_unk", false);
	t->byte_fallback = member_flag(r, j, "byte_fallback", false);
	t->ignore_merges = member_flag(r, j, "ignore_merges", false);
	t->prefix =
		member_text(r, j, "continuing_subword_prefix", t->model == MODEL_WORDPIECE ? "##" : "");
	t->suffix = member_text(r, j, "end_of_word_suffix", "");
	t->longest_word = member_number(r, j, "max_input_chars_per_word", 100, LONGEST_WORD);
	unk_read(r, j);
	bytes_find(t);
	if (!r->failed && t->model == MODEL_BPE) merges_read(r, json_object_get(j, "merges"));
}

static void added_read(Reader *r, const json_t *list)
{
	Tokenizer *t = r->t;
	t->n_added = json_array_size(list);
	t->added = NEW_ARRAY(r->a, AddedToken, t->n_added);
	for (size_t i = 0; i < t->n_added && !r->failed; i++) {
		const json_t *j = json_array_get(list, i);
		AddedToken *x = &t->added[i];
		x->text = x->search = member_text(r, j, "content", NULL);
		x->id = member_number(r, j, "id", -1, (int64_t)t->n_tokens - 1);
		x->single_word = member_flag(r, j, "single_word", false);
		x->lstrip = member_flag(r, j, "lstrip", false);
		x->rstrip = member_flag(r, j, "rstrip", false);
		x->special = member_flag(r, j, "special", false);
		x->normalized = member_flag(r, j, "normalized", !x->special);
		if (r->failed) return;
		token_set(r, x->text, x->id);
		t->special[x->id] = x->special;
		if (x->normalized && !normalize(t->normalizer, r->a, &x->search))
			fail(r, "the added token `%s` cannot be normalized", x->text.at);
	}
	if (!r->failed) added_index(t, r->a);
}

/* --- truncation and padding ----------------------------------------------------------------------- */

static bool side_is_left(Reader *r, const json_t *j)
{
	static const char *const sides[] = {"Right", "Left"};
	return member_choice(r, j, "direction", "Right", sides, COUNT(sides)) == 1;
}

static void truncation_read(Reader *r, const json_t *j)
{
	static const char *const strategies[] = {"LongestFirst", "OnlyFirst", "OnlySecond"};
	if (!j || json_is_null(j)) return;
	Fit *f = &r->t->fit;
	f->truncates = true;
	f->most = member_number(r, j, "max_length", -1, MOST_FITTED);
	f->cut_left = side_is_left(r, j);
	f->only_second =
		member_choice(r, j, "strategy", "LongestFirst", strategies, COUNT(strategies)) == 2;
	size_t around = processor_adds(r->t->processor);
	uint32_t stride = member_number(r, j, "stride", 0, MOST_FITTED);
	if (r->failed) return;
	if (f->most < around)
		fail(r, "\"truncation\": \"max_length\" %u, but the post-processor alone adds %zu tokens",
		     f->most, around);
	else if (stride && stride >= f->most - around)
		fail(r, "\"truncation\": \"stride\" %u leaves nothing of \"max_length\" %u", stride,
		     f->most);
}

static void padding_read(Reader *r, const json_t *j)
{
	if (!j || json_is_null(j)) return;
	Fit *f = &r->t->fit;
	const json_t *strategy = json_object_get(j, "strategy"), *multiple;
	const char *name = json_string_value(strategy);
	if (json_object_get(strategy, "Fixed"))
		f->least = member_number(r, strategy, "Fixed", -1, MOST_FITTED);
	else if (!name || strcmp(name, "BatchLongest")) /* a text alone is the longest */
		fail(r, "\"padding\": \"strategy\" must be \"BatchLongest\" or {\"Fixed\": N}");
	multiple = json_object_get(j, "pad_to_multiple_of");
	if (multiple && !json_is_null(multiple))
		f->multiple = member_number(r, j, "pad_to_multiple_of", 0, MOST_FITTED);
	f->pad_left = side_is_left(r, j);
	f->pad = member_number(r, j, "pad_id", 0, NO_TOKEN - 1);
}

static void tokenizer_fill(Reader *r, const json_t *j)
{
	const json_t *added = json_object_get(j, "added_tokens");
	if (!json_is_object(j)) {
		fail(r, "it is no tokenizer.json: no object");
		return;
	}
	model_read(r, json_object_get(j, "model"), added);
	if (r->failed) return;
	r->t->normalizer = step_read(r, "normalizer", json_object_get(j, "normalizer"), 0);
	r->t->splitter = step_read(r, "pre_tokenizer", json_object_get(j, "pre_tokenizer"), 0);
	r->t->processor = step_read(r, "post_processor", json_object_get(j, "post_processor"), 0);
	r->t->decoder = step_read(r, "decoder", json_object_get(j, "decoder"), 0);
	if (!r->failed) truncation_read(r, json_object_get(j, "truncation"));
	if (!r->failed) padding_read(r, json_object_get(j, "padding"));
	if (!r->failed) added_read(r, added);
}

Tokenizer *tokenizer_read(Arena *a, Diags *d, const char *name, const char *json, size_t n)
{
	json_error_t e;
	Reader r = {.a = a, .d = d, .name = name, .t = NEW(a, Tokenizer)};
	if (!n) {
		fail(&r, "it is empty");
		return NULL;
	}
	json_t *j = json_loadb(json, n, JSON_ALLOW_NUL, &e);
	if (!j) {
		fail(&r, "line %d: %s", e.line, e.text);
		return NULL;
	}
	tokenizer_fill(&r, j);
	json_decref(j);
	return r.failed ? NULL : r.t;
}

Tokenizer *tokenizer_open(Arena *a, Diags *d, const char *path)
{
	FileMap m;
	const char *why;
	if (!file_map(path, &m, &why)) {
		diag_error(d, span_none(), "`%s`: %s", path, why);
		return NULL;
	}
	Tokenizer *t = tokenizer_read(a, d, path, (const char *)m.at, m.size);
	file_unmap(&m);
	return t;
}

size_t tokenizer_size(const Tokenizer *t)
{
	return t->n_tokens;
}

bool tokenizer_added(const Tokenizer *t, const char *text, uint32_t *id)
{
	for (size_t i = 0; i < t->n_added; i++) {
		if (strcmp(t->added[i].text.at, text)) continue;
		*id = t->added[i].id;
		return true;
	}
	return false;
}
