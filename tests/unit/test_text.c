/* Tokenizers: streams give what whole decoding gives; what a file must not ask for is named. The ids
 * themselves are compared with Hugging Face's by tests/text/compare.py. */
#include "text/text.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const files[] = {"byte_level", "llama2",    "llama3", "precompiled",
                                    "unigram",    "wordpiece", "words"};

static Tokenizer *opened(Arena *a, Diags *d, const char *name)
{
	return tokenizer_open(a, d, arena_printf(a, NACRE_TESTS_DIR "/text/Inputs/%s.json", name));
}

/* Long enough for the window of a stream to move on, in steps that end anywhere in it. */
static const char *long_text(Arena *a)
{
	Text t = text_new(a);
	for (int i = 0; i < 40; i++)
		text_printf(
			&t,
			"The memory's %d rooms \xf0\x9f\x99\x82\xe2\x98\x83 caf\xc3\xa9%.*s\xe4\xbd\xa0\xff end",
			123 * i, i % 7, "      ");
	return t.at;
}

Test(text, streams_give_the_whole_text)
{
	for (size_t i = 0; i < COUNT(files); i++) {
		Arena *a = arena_new();
		Diags d = {.arena = a};
		Tokenizer *t = opened(a, &d, files[i]);
		cr_assert(t, "%s does not open", files[i]);
		const char *text = long_text(a);
		TokenIds ids;
		TextBytes whole, part;
		cr_assert(tokenizer_encode(t, a, &d, text, strlen(text), ENCODE_SPECIALS, &ids));
		cr_assert(tokenizer_decode(t, a, &d, ids.at, ids.n, SPECIALS_SILENT, &whole));
		TokenStream s = token_stream_new(a, t, SPECIALS_SILENT);
		Text all = text_new(a);
		for (size_t k = 0; k < ids.n; k++) {
			cr_assert(token_stream_push(&s, &d, ids.at[k], &part));
			text_append(&all, part.at, part.n);
		}
		cr_assert(ids.n > 400 && s.ids.n < ids.n / 2, "%s: the window keeps %zu of %zu", files[i],
		          s.ids.n, ids.n);
		cr_assert(token_stream_end(&s, &d, &part));
		text_append(&all, part.at, part.n);
		cr_assert(all.n == whole.n && !memcmp(all.at, whole.at, all.n), "%s: `%s` for `%s`",
		          files[i], all.at, whole.at);
		arena_free(a);
	}
}

Test(text, byte_level_is_lossless)
{
	const char *text = "  Any text,\tof any kind: \xf0\x9f\x8e\x89 \xd0\xbc\xd0\xb8\xd1\x80";
	Arena *a = arena_new();
	Diags d = {.arena = a};
	Tokenizer *t = opened(a, &d, "byte_level");
	TokenIds ids;
	TextBytes back;
	cr_assert(tokenizer_encode(t, a, &d, text, strlen(text), 0, &ids));
	cr_assert(tokenizer_decode(t, a, &d, ids.at, ids.n, SPECIALS_KEPT, &back));
	cr_assert_str_eq(back.at, text);
	uint32_t far = (uint32_t)tokenizer_size(t);
	cr_assert(!tokenizer_decode(t, a, &d, &far, 1, SPECIALS_KEPT, &back));
	arena_free(a);
}

static void refuses(const char *json, const char *what)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	Text said = text_new(a);
	cr_assert(!tokenizer_read(a, &d, "t.json", json, strlen(json)));
	cr_assert(d.errors == 1);
	diags_render(&d, &said);
	cr_assert(strstr(said.at, what), "`%s` does not say `%s`", said.at, what);
	arena_free(a);
}

#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}"
#define PRECOMPILED(map)                                                                           \
	"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"" map "\"}}"
Test(text, what_is_not_supported_is_named)
{
	refuses("{", "line 1");
	refuses("[]", "no object");
	refuses("{}", "no \"model\"");
	refuses("{\"model\":{\"type\":\"Magic\",\"vocab\":{}}}", "`Magic` is not supported");
	refuses("{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\"}}",
	        "\"precompiled_charsmap\" is missing");
	refuses(PRECOMPILED("!!!!"), "is not valid base64");
	refuses(PRECOMPILED("AAA"), "is not valid base64");
	refuses(PRECOMPILED("AAQAAAAY"), "is cut short");
	refuses(PRECOMPILED("BAAAAAAAAAD/"), "are not valid UTF-8");
	refuses("{" MODEL ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", "`UnicodeScripts`");
	refuses("{" MODEL ",\"decoder\":{\"type\":\"CTC\"}}", "the decoder `CTC`");
	refuses("{" MODEL ",\"padding\":{\"strategy\":\"Fixed\"}}", "{\"Fixed\": N}");
	refuses("{" MODEL ",\"padding\":{\"strategy\":{\"Fixed\":9000000}}}", "\"Fixed\" must be");
	refuses("{" MODEL ",\"truncation\":{\"max_length\":4,\"stride\":4}}", "\"stride\" 4 leaves");
	refuses("{" MODEL ",\"truncation\":{\"max_length\":4,\"direction\":\"Up\"}}", "`Up`");
	refuses(
		"{" MODEL
		",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(a\"},\"content\":\"\"}}",
		"the pattern `(a`");
	refuses("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}",
	        "\"merges\": entry 0");
	refuses("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}",
	        "`a` has no number");
	refuses("{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]]}}", "\"unk_id\" is missing");
}

/* A trie that leads nowhere must not be followed outside; what it maps to must be whole characters. */
Test(text, a_charsmap_is_not_trusted)
{
	static const char *const maps[] = {
		"BAAAAAD8//8=",                 /* the root's offset lies far behind the end */
		"DAAAAACAAQBhDQAA////f2IA",     /* a leaf whose text lies behind the texts */
		"DAAAAACAAQBhDQAAAQAAAMOpAA==", /* a leaf whose text begins within a character */
		"DAAAAACAAQBhDQAAAAAAAGIA",     /* sound: it makes b of a */
	};
	for (size_t i = 0; i < COUNT(maps); i++) {
		Arena *a = arena_new();
		Diags d = {.arena = a};
		TokenIds ids;
		const char *json = arena_printf(
			a,
			"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"%s\"}}",
			maps[i]);
		Tokenizer *t = tokenizer_read(a, &d, "t.json", json, strlen(json));
		cr_assert(t, "map %zu does not open", i);
		cr_assert(tokenizer_encode(t, a, &d, "aab", 3, 0, &ids));
		size_t left = i + 1 < COUNT(maps) ? 2 : 0; /* b is no token */
		cr_assert(ids.n == left, "map %zu leaves %zu tokens", i, ids.n);
		arena_free(a);
	}
}

Test(text, truncation_and_padding_count_the_specials)
{
	const char *json =
		"{\"truncation\":{\"max_length\":4,\"direction\":\"Left\"},"
		"\"padding\":{\"strategy\":{\"Fixed\":6},\"direction\":\"Left\",\"pad_id\":3},"
		"\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"c\",2],\"cls\":[\"b\",1]},"
		"\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"d\":3},\"merges\":[]}}";
	static const uint32_t fitted[] = {3, 3, 1, 0, 3, 2};
	Arena *a = arena_new();
	Diags d = {.arena = a};
	TokenIds ids;
	Tokenizer *t = tokenizer_read(a, &d, "t.json", json, strlen(json));
	cr_assert(t);
	cr_assert(tokenizer_encode(t, a, &d, "bcbad", 5, ENCODE_SPECIALS | ENCODE_FITTED, &ids));
	cr_assert(ids.n == COUNT(fitted) && !memcmp(ids.at, fitted, sizeof fitted));
	cr_assert(tokenizer_encode(t, a, &d, "bcbad", 5, ENCODE_SPECIALS, &ids));
	cr_assert(ids.n == 7, "without ENCODE_FITTED nothing is cut");
	arena_free(a);
}
