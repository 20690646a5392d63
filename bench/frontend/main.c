/* How fast the frontend takes a model file: from text to a checked, verified module, and the parse alone.
 *
 *   build/bench/frontend FILE.nac [ROUNDS]
 *
 * Prints the fastest and the median of the rounds, in milliseconds; bench/frontend/lines.py writes a
 * file of 10,000 lines to try it on. */
#include "frontend/ast.h"
#include "frontend/frontend.h"

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

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 20;
	if (argc < 2 || rounds < 1 || rounds > ROUNDS_LIMIT) {
		fprintf(stderr, "usage: frontend FILE.nac [ROUNDS]\n");
		return 2;
	}
	static double parse[ROUNDS_LIMIT], check[ROUNDS_LIMIT];
	for (int i = 0; i < rounds; i++) {
		Arena *a = arena_new();
		const char *why;
		double began = now();
		const Source *s = source_from_file(a, argv[1], &why);
		Diags d = {.arena = a};
		uint32_t errors = 0;
		if (!s) {
			fprintf(stderr, "%s: %s\n", argv[1], why);
			return 1;
		}
		ast_parse(a, interner_new(a), &d, s, &errors);
		parse[i] = now() - began;
		if (i == 0)
			printf("%s: %u lines, %zu bytes, parsed into %zu KB\n", argv[1], s->lines, s->size,
			       arena_bytes(a) / 1024);
		arena_free(a);

		a = arena_new();
		began = now();
		d = (Diags){.arena = a};
		FrontendUnit u;
		bool ok =
			frontend_load(a, interner_new(a), &d, source_from_file(a, argv[1], &why), NULL, &u);
		check[i] = now() - began;
		if (!ok) diags_print(&d, stderr);
		arena_free(a);
		if (!ok) return 1;
	}
	show("parse", parse, rounds);
	show("check", check, rounds);
	return 0;
}
