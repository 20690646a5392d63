/* nacre asm, disasm, verify: Pearl programs as text, as files, and their proof. */
#include "tools/tool.h"

#include <string.h>

/* A program from a file or from assembly text; NULL after errors. The bytes stay mapped: weights
 * point into them. */
PearlProgram *pearl_open(Tool *t, const char *path)
{
	FileKind kind;
	if (!file_kind(t, path, &kind)) return NULL;
	if (kind != FILE_PEARL) {
		const Source *s = source_open(t, path);
		return s ? pearl_assemble(t->arena, &t->d, s) : NULL;
	}
	FileMap map;
	const char *why = "is empty";
	if (!file_map(path, &map, &why)) {
		tool_fail_file(t, path, why);
		return NULL;
	}
	PearlProgram *p = map.at ? pearl_read(t->arena, map.at, map.size, &why) : NULL;
	if (!p) tool_fail(t, "'%s' is no sound Pearl program: %s", shown_name(t->arena, path), why);
	return p;
}

bool command_asm(Tool *t)
{
	const char *path = t->a.files.at[0], *out = t->a.out;
	const Source *s = source_open(t, path);
	PearlProgram *p = s ? pearl_assemble(t->arena, &t->d, s) : NULL;
	if (!p) return false;
	if (!out) {
		size_t n = strlen(path), stem = n > 5 && strcmp(path + n - 5, ".pasm") == 0 ? n - 5 : n;
		out = arena_printf(t->arena, "%.*s.pearl", (int)stem, path);
	}
	Text bytes = text_new(t->arena);
	pearl_write_text(p, &bytes);
	return write_file(t, out, bytes.at, bytes.n);
}

/* Weights of up to a megabyte stand in the text; with --out larger ones go to a file beside it, which
 * the text names. */
enum { WEIGHTS_IN_TEXT = 1 << 20 };

bool command_disasm(Tool *t)
{
	PearlProgram *p = pearl_open(t, t->a.files.at[0]);
	if (!p) return false;
	Text text = text_new(t->arena);
	if (!t->a.out || p->weights.bytes <= WEIGHTS_IN_TEXT) {
		pearl_disassemble(&text, p);
		return write_text(t, &text);
	}
	const char *slash = strrchr(t->a.out, '/'), *name = slash ? slash + 1 : t->a.out;
	pearl_disassemble_by(&text, p, arena_printf(t->arena, "%s.weights", name));
	return write_file(t, arena_printf(t->arena, "%s.weights", t->a.out), p->weights.data,
	                  p->weights.bytes) &&
	       write_text(t, &text);
}

bool command_verify(Tool *t)
{
	json_t *all = json_array();
	for (size_t i = 0; i < t->a.files.n; i++) {
		const char *path = t->a.files.at[i];
		PearlProgram *p = pearl_open(t, path);
		bool safe = p && pearl_verify(&t->d, p);
		if (safe && !t->a.json)
			printf("%s: safe: %zu instructions, %zu entries\n", path, p->code.n, p->entries.n);
		json_array_append_new(all, json_pack("{s:s, s:b}", "file", path, "safe", (int)safe));
	}
	if (t->a.json)
		report_json(t, all);
	else
		json_decref(all);
	return t->d.errors == 0;
}

bool command_isa(Tool *t)
{
	Text text = text_new(t->arena);
	pearl_manual(&text);
	return write_text(t, &text);
}
