/* nacre fmt: formats model files in place, or standard input to standard output. */
#include "tools/tool.h"

#include <errno.h>
#include <string.h>

/* Standard input, whole; NULL after an error. */
static const Source *source_standard(Tool *t)
{
	Text text = text_new(t->arena);
	char piece[1 << 14];
	size_t n;
	while ((n = fread(piece, 1, sizeof piece, stdin)) > 0) {
		if (text.n + n > SOURCE_LARGEST) {
			tool_fail_file(t, "standard input", "is larger than 64 MB; is it a text?");
			return NULL;
		}
		text_append(&text, piece, n);
	}
	if (ferror(stdin)) {
		tool_fail_file(t, "standard input", strerror(errno));
		return NULL;
	}
	return source_from_text(t->arena, "standard input", text.at ? text.at : "", text.n);
}

static bool format_file(Tool *t, const char *path, bool *same)
{
	bool standard = strcmp(path, "-") == 0;
	const Source *s = standard ? source_standard(t) : source_open(t, path);
	if (!s) return false;
	Text out = text_new(t->arena);
	if (!format_source(t->arena, &t->d, s, &out)) return false;
	bool equal = out.n == s->size && (out.n == 0 || memcmp(out.at, s->text, out.n) == 0);
	if (t->a.check) {
		if (!equal) printf("%s\n", s->name);
		*same = *same && equal;
		return true;
	}
	if (standard) {
		fwrite(out.at ? out.at : "", 1, out.n, stdout);
		return true;
	}
	return equal || write_file(t, path, out.at ? out.at : "", out.n);
}

bool command_fmt(Tool *t)
{
	bool ok = true, same = true;
	for (size_t i = 0; i < t->a.files.n; i++) ok = format_file(t, t->a.files.at[i], &same) && ok;
	return ok && same;
}
