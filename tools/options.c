/* The command line of a subcommand, read by glibc's argp from the rows of options.def. argp prints
 * --help and complains of unknown options by itself; everything wrong here ends with exit code 1. */
#include "tools/tool.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum OptionKind {
	TEXT,
	FLAG,
	INTEGER,
	NUMBER,
	SEED,
	SET,
	NAMED,
	LIST,
	COUNTS,
	WORDS,
	TEXTS
} OptionKind;
typedef struct OptionInfo {
	const char *name, *meta, *help;
	int letter;
	OptionKind kind;
	size_t offset; /* of its field in Arguments */
} OptionInfo;

static const OptionInfo option_info[NUM_OPTIONS] = {
#define OPTION(field, name, letter, meta, kind, help)                                              \
	{name, meta, help, letter, kind, offsetof(Arguments, field)},
#include "tools/options.def"
};

enum { FIRST_KEY = 0x1000, LARGEST_COUNT = 1 << 30 };

typedef struct Reading {
	Tool *tool;
	const Command *command;
} Reading;

bool option_given(const Tool *t, OptionId o)
{
	return t->a.given >> o & 1;
}

/* --- one argument ------------------------------------------------------------------------------- */

static bool read_integer(const char *s, int64_t *out)
{
	char *end;
	errno = 0;
	long long v = strtoll(s, &end, 10);
	*out = v;
	return end != s && *end == '\0' && errno == 0;
}

/* The next part of a list: up to a comma that is in no brackets and no quotes. */
static const char *list_part(const char *s)
{
	int depth = 0;
	char quote = 0;
	for (; *s; s++) {
		if (quote) {
			if (*s == quote) quote = 0;
		} else if (*s == '"' || *s == '\'') {
			quote = *s;
		} else if (*s == '[' || *s == '(') {
			depth++;
		} else if (*s == ']' || *s == ')') {
			depth--;
		} else if (*s == ',' && depth <= 0) {
			break;
		}
	}
	return s;
}

/* NULL, or what is wrong with the argument. */
static const char *read_set(Tool *t, const char *text, void *field)
{
	Settings *list = field;
	for (const char *end; *text; text = *end ? end + 1 : end) {
		end = list_part(text);
		const char *equals = memchr(text, '=', (size_t)(end - text));
		if (!equals || equals == text || equals + 1 == end) return "each part is NAME=VALUE";
		FrontendSetting s = {intern(t->names, text, (size_t)(equals - text)),
		                     arena_strndup(t->arena, equals + 1, (size_t)(end - equals - 1))};
		for (size_t i = 0; i < list->n; i++)
			if (list->at[i].name == s.name)
				return arena_printf(t->arena, "`%s` is set twice", s.name);
		vec_push(t->arena, list, s);
	}
	return NULL;
}

static const char *read_list(Tool *t, const char *text, Names *out)
{
	for (const char *end; *text; text = *end ? end + 1 : end) {
		end = list_part(text);
		if (end == text) return "an item of the list is empty";
		vec_push(t->arena, out, intern(t->names, text, (size_t)(end - text)));
	}
	return NULL;
}

static const char *read_counts(Tool *t, const char *text, Counts *out)
{
	Names parts = {0};
	const char *why = read_list(t, text, &parts);
	for (size_t i = 0; !why && i < parts.n; i++) {
		int64_t v;
		if (!read_integer(parts.at[i], &v) || v < 0 || v > LARGEST_COUNT)
			return arena_printf(t->arena, "`%s` is not a number from 0", parts.at[i]);
		vec_push(t->arena, out, v);
	}
	return why;
}

static const char *read_named(Tool *t, const char *text, void *field)
{
	const char *equals = strchr(text, '=');
	NamedFile f = {"", text};
	if (equals) f = (NamedFile){arena_strndup(t->arena, text, (size_t)(equals - text)), equals + 1};
	if (!*f.path || (equals && !*f.name)) return "write NAME=FILE";
	NamedFiles *list = field;
	vec_push(t->arena, list, f);
	return NULL;
}

static const char *read_number(const char *text, double *out)
{
	char *end;
	*out = strtod(text, &end);
	return end == text || *end || !(*out >= 0) ? "a number from 0 is needed" : NULL;
}

static const char *read_argument(Tool *t, const OptionInfo *o, const char *text)
{
	void *field = (char *)&t->a + o->offset;
	int64_t v;
	switch (o->kind) {
	case TEXT: *(const char **)field = text; return *text ? NULL : "it is empty";
	case FLAG: *(bool *)field = true; return NULL;
	case INTEGER:
		if (!read_integer(text, &v) || v < 0 || v > LARGEST_COUNT)
			return "a number from 0 is needed";
		*(uint32_t *)field = (uint32_t)v;
		return NULL;
	case SEED:
		if (!read_integer(text, &v)) return "an integer is needed";
		*(Seed *)field = (Seed){true, (uint64_t)v};
		return NULL;
	case NUMBER: return read_number(text, field);
	case SET: return read_set(t, text, field);
	case NAMED: return read_named(t, text, field);
	case LIST: return read_list(t, text, field);
	case COUNTS: return read_counts(t, text, field);
	case TEXTS: vec_push(t->arena, (Names *)field, text); return NULL;
	case WORDS: vec_push(t->arena, (Names *)field, text); return *text ? NULL : "it is empty";
	}
	return NULL;
}

/* --- argp ------------------------------------------------------------------------------------------ */

static error_t parse(int key, char *text, struct argp_state *state)
{
	Reading *r = state->input;
	Tool *t = r->tool;
	if (key == ARGP_KEY_ARG) {
		if (r->command->most && t->a.files.n >= r->command->most)
			argp_error(state, "`%s` is one file too many", text);
		vec_push(t->arena, &t->a.files, text);
		return 0;
	}
	if (key == ARGP_KEY_END && t->a.files.n < r->command->fewest)
		argp_error(state, "%s is missing", r->command->files);
	for (size_t i = 0; i < r->command->n_options; i++) {
		OptionId id = r->command->options[i];
		const OptionInfo *o = &option_info[id];
		if (key != FIRST_KEY + (int)id && !(o->letter && key == o->letter)) continue;
		const char *why = read_argument(t, o, text);
		if (why) argp_error(state, "--%s %s: %s", o->name, text ? text : "", why);
		t->a.given |= (uint64_t)1 << id;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

_Static_assert(NUM_OPTIONS <= 64, "Arguments.given holds a bit for each option");

void options_read(Tool *t, const Command *c, int argc, char **argv)
{
	struct argp_option *options = NEW_ARRAY(t->arena, struct argp_option, c->n_options + 1);
	for (uint32_t i = 0; i < c->n_options; i++) {
		const OptionInfo *o = &option_info[c->options[i]];
		options[i] =
			(struct argp_option){.name = o->name,
		                         .key = o->letter ? o->letter : FIRST_KEY + (int)c->options[i],
		                         .arg = o->meta,
		                         .doc = o->help};
	}
	struct argp a = {.options = options, .parser = parse, .args_doc = c->files};
	a.doc = arena_printf(t->arena, "nacre %s: %s\v%s", c->name, c->summary, c->details);
	Reading r = {t, c};
	setenv("ARGP_HELP_FMT", "no-dup-args-note", 0);
	argp_err_exit_status = EXIT_FAILURE;
	argv[0] = arena_printf(t->arena, "nacre %s", c->name);
	argp_parse(&a, argc, argv, 0, NULL, &r);
}
