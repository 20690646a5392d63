/* What a file on the command line is, and the numbers of --set. */
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool path_ends(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n > k && strcmp(s + n - k, end) == 0;
}

/* The first thing in a text that is neither blank nor comment. */
static const char *first_word(const uint8_t *at, size_t size)
{
	size_t i = 0;
	while (i < size &&
	       (at[i] == ' ' || at[i] == '\t' || at[i] == '\n' || at[i] == '\r' || at[i] == '#')) {
		if (at[i] == '#')
			while (i < size && at[i] != '\n') i++;
		else
			i++;
	}
	return (const char *)at + i;
}

static bool begins(const char *at, const char *end, const char *word)
{
	size_t n = strlen(word);
	return (size_t)(end - at) >= n && memcmp(at, word, n) == 0;
}

static FileKind kind_of(const char *path, const FileMap *m)
{
	enum { LOOKED_AT = 4096, ELF_TYPE = 16, ELF_RELOCATABLE = 1 };
	size_t n = m->size < LOOKED_AT ? m->size : LOOKED_AT;
	if (n > ELF_TYPE && memcmp(m->at, "\177ELF", 4) == 0)
		return m->at[ELF_TYPE] == ELF_RELOCATABLE ? FILE_OBJECT : FILE_SHARED;
	if (path_ends(path, ".pearl") || (n && memchr(m->at, 0, n))) return FILE_PEARL;
	if (path_ends(path, ".pasm")) return FILE_PASM;
	if (path_ends(path, ".tile")) return FILE_TILE;
	if (n && begins(first_word(m->at, n), (const char *)m->at + n, "module \"")) return FILE_IR;
	return FILE_MODEL;
}

/* What a binary file that is no artefact seems to be; NULL when it may be a Pearl program. */
static const char *foreign(const char *path, const FileMap *m)
{
	static const struct {
		const char *begin;
		size_t n;
		const char *what;
	} files[] = {
		{"PEARL", 5, NULL},
		{"PK\3\4", 4,
	     "is a zip, perhaps a PyTorch checkpoint or an .npz: weights are given with --weights"},
		{"\x93NUMPY", 6, "is an array: inputs are given with --input NAME=FILE.npy"},
		{"\x80", 1,
	     "is a pickle: save it with safetensors.torch.save_file, and give it with --weights"},
		{"GGUF", 4, "is a GGUF file: use the checkpoint that it was made from, with --weights"},
		{"\x89PNG", 4, "is an image: inputs are arrays, --input NAME=FILE.npy"},
	};
	for (size_t i = 0; i < COUNT(files); i++)
		if (m->size >= files[i].n && memcmp(m->at, files[i].begin, files[i].n) == 0)
			return files[i].what;
	if (path_ends(path, ".pearl")) return NULL;
	if (m->size > 9 && m->at[8] == '{' && m->at[7] == 0)
		return "is a safetensors file: weights are given with --weights";
	return "is a binary file of a kind that is not known: a model file is text (.nac)";
}

bool file_kind(Tool *t, const char *path, FileKind *out)
{
	FileMap m;
	const char *why;
	if (!file_map(path, &m, &why)) return tool_fail_file(t, path, why);
	*out = kind_of(path, &m);
	why = *out == FILE_PEARL ? foreign(path, &m) : NULL;
	file_unmap(&m);
	return why ? tool_fail_file(t, path, why) : true;
}

const Source *source_open(Tool *t, const char *path)
{
	const char *why = NULL;
	const Source *s = source_from_file(t->arena, path, &why);
	if (!s) tool_fail_file(t, path, why);
	return s;
}

/* --- settings ------------------------------------------------------------------------------------------ */

bool setting_integer(Tool *t, const char *name, int64_t *out)
{
	for (size_t i = 0; i < t->a.set.n; i++) {
		const FrontendSetting *s = &t->a.set.at[i];
		if (strcmp(s->name, name) != 0) continue;
		char *end;
		errno = 0;
		*out = strtoll(s->value, &end, 10);
		if (errno || end == s->value || *end)
			return tool_fail(t, "--set %s=%s: an integer is needed", s->name, s->value);
		return true;
	}
	return false;
}

bool settings_check(Tool *t, const char *const *names, size_t n, const char *what)
{
	for (size_t i = 0; i < t->a.set.n; i++) {
		const char *name = t->a.set.at[i].name;
		size_t k = 0;
		while (k < n && strcmp(names[k], name) != 0) k++;
		if (k < n) continue;
		Diag *m =
			diag_error(&t->d, span_none(), "--set %s: there is no %s of that name", name, what);
		const char *near = nearest_name(name, names, n);
		if (near) diag_help(&t->d, m, "did you mean `%s`?", near);
		return false;
	}
	return true;
}

int64_t value_default(bool call, int64_t lo, int64_t hi)
{
	enum { FEW = 16 };
	return !call || lo > FEW ? lo : hi < FEW ? hi : FEW;
}
