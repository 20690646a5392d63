/* Keys of the checkpoint that goes with a model file: that of the client's setting, that of a comment
 * `# checkpoint: FILE`, or the first .safetensors file beside it. */
#include "tools/lsp/lsp.h"

#include <dirent.h>
#include <string.h>

static const char *folder_of(Arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? arena_strndup(a, path, (size_t)(slash - path)) : ".";
}

static const char *beside(Arena *a, const char *folder, const char *name)
{
	return *name == '/' ? name : arena_printf(a, "%s/%s", folder, name);
}

static const char *named_in_comment(Analysis *a)
{
	static const char mark[] = "# checkpoint:";
	const char *at = strstr(a->source->text, mark);
	if (!at) return NULL;
	at += sizeof mark - 1;
	at += strspn(at, " \t");
	size_t n = strcspn(at, "\r\n");
	while (n && at[n - 1] == ' ') n--;
	return n ? arena_strndup(a->arena, at, n) : NULL;
}

static const char *first_beside(Arena *a, const char *folder)
{
	static const char end[] = ".safetensors";
	const char *best = NULL;
	DIR *d = opendir(folder);
	for (struct dirent *e; d && (e = readdir(d));) {
		size_t n = strlen(e->d_name), k = sizeof end - 1;
		if (n <= k || strcmp(e->d_name + n - k, end) != 0) continue;
		if (!best || strcmp(e->d_name, best) < 0) best = arena_strdup(a, e->d_name);
	}
	if (d) closedir(d);
	return best ? beside(a, folder, best) : NULL;
}

static bool read_keys(Analysis *a, const char *path, KeyList *out)
{
	Diags silent = {.arena = a->arena};
	TensorFile f = {0};
	if (!tensor_file_open(a->arena, &silent, path, &f)) return false;
	for (size_t i = 0; i < f.n; i++) {
		json_t *valid = json_string(f.list[i].name); /* NULL: no UTF-8 */
		if (valid) vec_push(a->arena, out, f.list[i].name);
		json_decref(valid);
	}
	tensor_file_close(&f);
	return true;
}

void checkpoint_keys(Server *s, Analysis *a, KeyList *out)
{
	const char *folder = folder_of(a->arena, a->source->name), *named = named_in_comment(a);
	if (named && read_keys(a, beside(a->arena, folder, named), out)) return;
	if (s->checkpoint && *s->checkpoint) {
		for (size_t i = 0; i < s->folders.n; i++)
			if (read_keys(a, beside(a->arena, s->folders.at[i], s->checkpoint), out)) return;
		if (read_keys(a, beside(a->arena, folder, s->checkpoint), out)) return;
	}
	const char *found = first_beside(a->arena, folder);
	if (found) read_keys(a, found, out);
}
