/* A document is checked once for each version, with the unsaved texts of what it imports. Everything
 * found out lives in one arena, which goes when the text changes: nothing grows with the number of
 * edits. */
#include "tools/lsp/lsp.h"

#include "frontend/std.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const Source *open_document(void *context, const char *path)
{
	Analysis *a = context;
	const Document *d = document_at_path(a->server, path_normal(a->arena, path));
	return d && d->text ? source_from_text(a->arena, path, d->text, d->n) : NULL;
}

static Analysis *analysis_new(Server *s)
{
	Arena *arena = tool_arena(s->tool);
	Analysis *a = NEW(arena, Analysis);
	a->arena = arena;
	if (!s->library) s->library = library_new(s->tool->arena);
	a->names = interner_over(arena, library_names(s->library));
	a->d.arena = arena;
	a->d.limit = 200;
	a->server = s;
	a->options = (FrontendOptions){.open = open_document, .open_context = a, .library = s->library};
	return a;
}

Analysis *document_analysis(Server *s, Document *d)
{
	if (d->analysis) return d->analysis;
	Analysis *a = analysis_new(s);
	d->analysis = a;
	a->source = source_from_text(a->arena, d->path, d->text ? d->text : "", d->n);
	a->table = names_resolve(a->arena, a->names, a->source, &a->options);
	a->record = record_new(a->arena);
	a->options.record = a->record;
	if (d->n <= SOURCE_LARGEST)
		frontend_load(a->arena, a->names, &a->d, a->source, &a->options, &a->unit);
	return a;
}

Analysis *analysis_names(Server *s, const char *path)
{
	Analysis *a = analysis_new(s);
	const char *why;
	a->source = open_document(a, path);
	if (!a->source) a->source = source_from_file(a->arena, path, &why);
	if (a->source) a->table = names_resolve(a->arena, a->names, a->source, &a->options);
	if (a->table) return a;
	analysis_free(a);
	return NULL;
}

void analysis_free(Analysis *a)
{
	if (a) arena_free(a->arena);
}

void analyses_drop(Server *s)
{
	for (Document *d = s->documents; d; d = d->next) {
		analysis_free(d->analysis);
		d->analysis = NULL;
	}
}

Analysis *request_analysis(Server *s, json_t *params, uint32_t *offset)
{
	Document *d = document_of(s, params);
	if (!d) return NULL;
	Analysis *a = document_analysis(s, d);
	if (!offset || position_read(s, a->source, json_object_get(params, "position"), offset))
		return a;
	server_fail(s, LSP_INVALID_PARAMS, "position is missing");
	return NULL;
}

/* --- where a source is ------------------------------------------------------------------------------- */

static bool make_folders(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/') continue;
		*p = 0;
		bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
		*p = '/';
		if (!made) return false;
	}
	return true;
}

/* The standard library is part of the command. For an editor to open it, it is written to the user's
 * cache, in a folder named by its contents, so that two versions do not disturb each other. NULL: there
 * is no cache. */
static const char *std_folder(Arena *a)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	uint32_t sum = 0;
	for (const FrontendStdFile *f = frontend_std; f->name; f++)
		sum = crc32c(sum, f->text, strlen(f->text));
	if (cache && *cache == '/') return arena_printf(a, "%s/nacre/%08x/", cache, (unsigned)sum);
	if (home && *home == '/') return arena_printf(a, "%s/.cache/nacre/%08x/", home, (unsigned)sum);
	return NULL;
}

static const char *std_path(const Analysis *a, const Source *source)
{
	struct stat info;
	const char *folder = std_folder(a->arena), *why;
	if (!folder) return NULL;
	char *path = arena_printf(a->arena, "%s%s", folder, source->name);
	if (stat(path, &info) == 0 && (size_t)info.st_size == source->size) return path;
	if (!make_folders(path)) return NULL;
	FileOut *f = file_out_open(path, &why);
	if (!f) return NULL;
	file_out_write(f, source->text, source->size);
	return file_out_commit(f, &why) ? path : NULL;
}

bool source_is_std(const Analysis *a, const Source *source)
{
	const char *folder = std_folder(a->arena);
	return strncmp(source->name, "std/", 4) == 0 ||
	       (folder && strncmp(path_normal(a->arena, source->name), path_normal(a->arena, folder),
	                          strlen(path_normal(a->arena, folder))) == 0);
}

const char *source_uri(Server *s, const Analysis *a, const Source *source)
{
	const char *path = source->name;
	if (strncmp(path, "std/", 4) == 0) path = std_path(a, source);
	if (!path) return NULL;
	path = path_normal(a->arena, path);
	const Document *d = document_at_path(s, path);
	return d ? d->uri : uri_of_path(a->arena, path);
}

json_t *location_json(Server *s, const Analysis *a, Span at)
{
	const char *uri = source_uri(s, a, at.source);
	return uri ? json_pack("{s:s, s:o}", "uri", uri, "range", range_json(s, at)) : NULL;
}
