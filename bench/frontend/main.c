/* How fast the frontend takes a model file: the parse alone, from text to a checked, verified module, and
 * the same with what an editor asks for (names, and the types of all expressions; the standard library is
 * parsed once before).
 *
 *   build/bench/frontend FILE.nac [ROUNDS]
 *
 * Prints the fastest and the median of the rounds, in milliseconds; bench/frontend/lines.py writes a
 * file of 10,000 lines to try it on. */
#include "frontend/ast.h"
#include "frontend/frontend.h"
#include "frontend/record.h"
#include "frontend/resolve.h"

#include <stdlib.h>
#include <time.h>

enum { ROUNDS_LIMIT = 1000 };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void show(const char *what, double *ms, int n)
{
	qsort(ms, (size_t)n, sizeof *ms, by_size);
	printf("%-6s fastest %.2f ms, median %.2f ms of %d\n", what, ms[0], ms[n / 2], n);
}

typedef enum Stage { STAGE_PARSE, STAGE_CHECK, STAGE_EDITOR, STAGES } Stage;
static const char *const stage_name[STAGES] = {"parse", "check", "editor"};

/* Milliseconds, or -1 after a message. */
static double run(Stage stage, const char *path, const Library *library, bool tell)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	FrontendOptions o = {0};
	FrontendUnit u;
	const char *why;
	uint32_t errors = 0;
	double began = now(), took;
	const Source *s = source_from_file(a, path, &why);
	Interner *names =
		stage == STAGE_EDITOR ? interner_over(a, library_names(library)) : interner_new(a);
	bool ok = s != NULL;
	if (!s) {
		fprintf(stderr, "%s: %s\n", path, why);
	} else if (stage == STAGE_PARSE) {
		ast_parse(a, names, &d, s, &errors);
	} else {
		if (stage == STAGE_EDITOR) {
			o.library = library;
			names_resolve(a, names, s, &o);
			o.record = record_new(a);
		}
		ok = frontend_load(a, names, &d, s, &o, &u);
	}
	took = now() - began;
	if (s && !ok) diags_print(&d, stderr);
	if (s && tell && stage == STAGE_PARSE)
		printf("%s: %u lines, %zu bytes\n", path, s->lines, s->size);
	if (tell) printf("%zu KB after %s\n", arena_bytes(a) / 1024, stage_name[stage]);
	arena_free(a);
	return ok ? took : -1;
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 20;
	if (argc < 2 || rounds < 1 || rounds > ROUNDS_LIMIT) {
		fprintf(stderr, "usage: frontend FILE.nac [ROUNDS]\n");
		return 2;
	}
	static double took[STAGES][ROUNDS_LIMIT];
	Arena *kept = arena_new();
	const Library *library = library_new(kept);
	for (int stage = 0; stage < STAGES;
	     stage++) /* a stage at a time: memory given back is taken anew */
		for (int i = 0; i < rounds; i++) {
			took[stage][i] = run((Stage)stage, argv[1], library, i == 0);
			if (took[stage][i] < 0) return 1;
		}
	for (int stage = 0; stage < STAGES; stage++) show(stage_name[stage], took[stage], rounds);
	arena_free(kept);
	return 0;
}
