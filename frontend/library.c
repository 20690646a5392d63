/* The standard library, parsed once for many loads. Trees are only read, so that they may be shared;
 * their names are those of an interner that is complete before the first load looks names up in it. */
#include "frontend/build.h"
#include "frontend/std.h"

#include <string.h>

typedef struct LibraryFile {
	const char *name; /* as imported */
	const Source *source;
	const Ast *ast;
} LibraryFile;
struct Library {
	Interner *names;
	VEC(LibraryFile) files;
};

Library *library_new(Arena *a)
{
	Library *l = NEW(a, Library);
	Diags d = {.arena = a};
	l->names = interner_new(a);
	for (const FrontendStdFile *f = frontend_std; f->name; f++) {
		uint32_t errors;
		const Source *s =
			source_from_text(a, arena_printf(a, "%s.nac", f->name), f->text, strlen(f->text));
		const Ast *ast = ast_parse(a, l->names, &d, s, &errors);
		if (ast && !errors) vec_push(a, &l->files, ((LibraryFile){f->name, s, ast}));
	}
	return l;
}

const Interner *library_names(const Library *l)
{
	return l->names;
}

const Source *library_source(const Library *l, const char *name)
{
	for (size_t i = 0; l && i < l->files.n; i++)
		if (strcmp(l->files.at[i].name, name) == 0) return l->files.at[i].source;
	return NULL;
}

const Ast *library_ast(const Library *l, const Source *source)
{
	for (size_t i = 0; l && i < l->files.n; i++)
		if (l->files.at[i].source == source) return l->files.at[i].ast;
	return NULL;
}
