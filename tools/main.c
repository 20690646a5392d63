/* The `nacre` command: finds the subcommand, runs it, prints what was reported. Exit code 0, or 1
 * when anything went wrong, a wrong command line included. Only this file and options.c exit. */
#include "tools/tool.h"

#ifdef NACRE_HAVE_LLVM
#include "codegen/cpu/cpu.h"
#endif

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#define COMMAND(name, files, fewest, most, summary, details, ...)                                  \
	static const OptionId name##_options[] = {__VA_ARGS__};
#include "tools/commands.def"

static const Command commands[] = {
#define COMMAND(name, files, fewest, most, summary, details, ...)                                  \
	{#name,          files,          fewest,                                                       \
	 most,           summary,        details,                                                      \
	 command_##name, name##_options, COUNT(name##_options)},
#include "tools/commands.def"
};

static void usage(FILE *to)
{
	fputs("nacre: a compiler for transformers and CNNs, to CPUs and to the Pearl accelerator\n\n"
	      "usage: nacre COMMAND ARGUMENTS...     nacre COMMAND --help\n\n",
	      to);
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fputs("\n  nacre --version\n", to);
}

static int command_unknown(const char *name)
{
	const char *names[COUNT(commands)];
	for (size_t i = 0; i < COUNT(commands); i++) names[i] = commands[i].name;
	const char *near = nearest_name(name, names, COUNT(names));
	fprintf(stderr, "error: nacre has no command `%s`\n", name);
	if (near)
		fprintf(stderr, "   help: did you mean `nacre %s`?\n", near);
	else
		fputs("   help: `nacre --help` lists the commands\n", stderr);
	return EXIT_FAILURE;
}

/* What was printed must have arrived: a full disk behind `>` is an error too. */
static bool output_arrived(void)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout)) return true;
	fprintf(stderr, "error: standard output: %s\n", errno ? strerror(errno) : "cannot be written");
	return false;
}

Arena *tool_arena(Tool *t)
{
	Arena *a = arena_new();
	arena_on_exhausted(a, t->exhausted);
	return a;
}

static bool command_run_guarded(Tool *t, const Command *c, int argc, char **argv)
{
	jmp_buf exhausted;
	if (setjmp(exhausted) != 0) {
		progress_end(t);
		fflush(stdout);
		fputs("error: out of memory\n   help: smaller dims, or a machine with more\n", stderr);
		return false;
	}
	arena_on_exhausted(t->arena, &exhausted);
	t->exhausted = &exhausted;
	t->names = interner_new(t->arena);
	options_read(t, c, argc, argv);
	bool done = c->run(t) && t->d.errors == 0;
	progress_end(t);
	report_messages(t, t->a.remarks);
	arena_on_exhausted(t->arena, NULL);
	return done;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_FAILURE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("nacre " NACRE_VERSION);
		return output_arrived() ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return output_arrived() ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	const Command *c = NULL;
	for (size_t i = 0; i < COUNT(commands); i++)
		if (strcmp(commands[i].name, argv[1]) == 0) c = &commands[i];
	if (!c) return command_unknown(argv[1]);
#ifdef NACRE_HAVE_LLVM
	cpu_release_memory(); /* most commands never need LLVM */
#endif
	Tool t = {.arena = arena_new()};
	t.d.arena = t.arena;
	bool done = command_run_guarded(&t, c, argc - 1, argv + 1);
	arena_free(t.arena);
	return output_arrived() && done ? EXIT_SUCCESS : EXIT_FAILURE;
}
