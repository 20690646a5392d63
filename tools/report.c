/* What the command prints: messages, JSON, tables, times. */
#include "tools/tool.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Beside errors, what became of loops is of no interest, and may hang on them. */
void report_messages(Tool *t, bool remarks)
{
	remarks &= !t->d.errors;
	Diags some = {.arena = t->arena, .errors = t->d.errors, .limit = t->d.limit};
	for (size_t i = t->printed; i < t->d.list.n; i++)
		if (remarks || t->d.list.at[i]->severity != DIAG_NOTE)
			vec_push(t->arena, &some.list, t->d.list.at[i]);
	t->printed = t->d.list.n;
	fflush(stdout);
	if (some.list.n) diags_print(&some, stderr);
}

bool tool_fail(Tool *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_error(&t->d, span_none(), "%s", arena_vprintf(t->arena, fmt, ap));
	va_end(ap);
	return false;
}

bool tool_fail_file(Tool *t, const char *path, const char *why)
{
	return tool_fail(t, "'%s': %s", shown_name(t->arena, path), why);
}

/* --- JSON ------------------------------------------------------------------------------------------- */

void report_json(Tool *t, json_t *j)
{
	if (!j ||
	    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9)) != 0)
		tool_fail(t, "the result could not be written as JSON");
	putchar('\n');
	json_decref(j);
}

json_t *json_number(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

/* --- tables ------------------------------------------------------------------------------------------- */

Table table_new(Arena *a, uint32_t columns, const char *const *titles)
{
	Table t = {.arena = a, .columns = columns};
	for (uint32_t i = 0; i < columns; i++) vec_push(a, &t.cells, titles[i]);
	return t;
}

void table_cell(Table *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vec_push(t->arena, &t->cells, arena_vprintf(t->arena, fmt, ap));
	va_end(ap);
}

/* Characters, not bytes. */
static size_t width_of(const char *s)
{
	size_t n = 0;
	for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static bool numeric(const char *s)
{
	return *s == '\0' || *s == '-' || *s == '.' || (*s >= '0' && *s <= '9');
}

void table_print(const Table *t, FILE *to)
{
	size_t *width = NEW_ARRAY(t->arena, size_t, t->columns);
	bool *right = NEW_ARRAY(t->arena, bool, t->columns);
	for (uint32_t c = 0; c < t->columns; c++) right[c] = true;
	for (size_t i = 0; i < t->cells.n; i++) {
		size_t c = i % t->columns, w = width_of(t->cells.at[i]);
		if (w > width[c]) width[c] = w;
		if (i >= t->columns && !numeric(t->cells.at[i])) right[c] = false;
	}
	for (size_t i = 0; i < t->cells.n; i++) {
		size_t c = i % t->columns;
		int fill = (int)(width[c] - width_of(t->cells.at[i]));
		bool last = c + 1 == t->columns;
		if (c) fputs("  ", to);
		if (right[c]) fprintf(to, "%*s", fill, "");
		fputs(t->cells.at[i], to);
		if (!right[c] && !last) fprintf(to, "%*s", fill, "");
		if (last) fputc('\n', to);
	}
}

/* --- time ----------------------------------------------------------------------------------------------- */

double seconds_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const char *seconds_text(Arena *a, double s)
{
	if (s < 1e-6) return arena_printf(a, "%.0f ns", s * 1e9);
	if (s < 1e-3) return arena_printf(a, "%.1f us", s * 1e6);
	if (s < 1) return arena_printf(a, "%.2f ms", s * 1e3);
	return arena_printf(a, "%.2f s", s);
}

uint64_t memory_peak(void)
{
	struct rusage u;
	return getrusage(RUSAGE_SELF, &u) == 0 ? (uint64_t)u.ru_maxrss * 1024 : 0;
}
