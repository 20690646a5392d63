/* nacre tokenize: the token numbers of each line of a text, by a Hugging Face tokenizer.json; with
 * --decode the text of each line of token numbers. */
#include "text/text.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool ids_parse(Tool *t, const char *line, Counts *out)
{
	for (const char *at = line; *at;) {
		char *end;
		while (*at == ' ' || *at == ',' || *at == '\t' || *at == '\r') at++;
		if (!*at) break;
		errno = 0;
		long long v = strtoll(at, &end, 10);
		if (end == at || errno || v < 0 || v >= UINT32_MAX)
			return tool_fail(t, "`%s` holds what is no token number", line);
		vec_push(t->arena, out, v);
		at = end;
	}
	return true;
}

static bool line_decode(Tool *t, const Tokenizer *k, Arena *a, const char *line)
{
	Counts numbers = {0};
	TextBytes text;
	if (!ids_parse(t, line, &numbers)) return false;
	uint32_t *ids = NEW_ARRAY(a, uint32_t, numbers.n);
	for (size_t i = 0; i < numbers.n; i++) ids[i] = (uint32_t)numbers.at[i];
	if (!tokenizer_decode(k, a, &t->d, ids, numbers.n, SPECIALS_LEFT, &text)) return false;
	if (t->a.json) {
		report_json(t, json_pack("{s:o}", "text", json_stringn(text.at, text.n)));
		return true;
	}
	fwrite(text.at, 1, text.n, stdout);
	putchar('\n');
	return true;
}

static bool line_encode(Tool *t, const Tokenizer *k, Arena *a, const char *line, size_t n)
{
	TokenIds ids;
	if (!tokenizer_encode(k, a, &t->d, line, n, ENCODE_SPECIALS | ENCODE_FITTED, &ids))
		return false;
	if (t->a.json) {
		json_t *list = json_array();
		for (size_t i = 0; i < ids.n; i++) json_array_append_new(list, json_integer(ids.at[i]));
		report_json(t, json_pack("{s:o}", "ids", list));
		return true;
	}
	for (size_t i = 0; i < ids.n; i++) printf("%s%u", i ? "," : "", ids.at[i]);
	putchar('\n');
	return true;
}

bool command_tokenize(Tool *t)
{
	const char *path = t->a.files.n ? t->a.files.at[0] : "-";
	if (!t->a.tokenizer) return tool_fail(t, "--tokenizer is missing: a tokenizer.json");
	Tokenizer *k = tokenizer_open(t->arena, &t->d, t->a.tokenizer);
	if (!k) return false;
	FILE *in = strcmp(path, "-") ? fopen(path, "rb") : stdin;
	if (!in) return tool_fail_file(t, path, strerror(errno));
	char *line = NULL;
	size_t room = 0;
	bool done = true;
	Arena *a = tool_arena(t);
	for (ssize_t n; done && (n = getline(&line, &room, in)) >= 0;) {
		ArenaMark mark = arena_mark(a);
		if (n && line[n - 1] == '\n') line[--n] = '\0';
		done = t->a.decode ? line_decode(t, k, a, line) : line_encode(t, k, a, line, (size_t)n);
		arena_reset(a, mark);
	}
	arena_free(a);
	free(line);
	if (in != stdin) fclose(in);
	return done;
}
