/* Units of support/. */
#include "support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Test(arena, zeroed_aligned_and_reset)
{
	Arena *a = arena_new();
	char *first = arena_alloc(a, 3);
	memset(first, 'x', 3);
	ArenaMark mark = arena_mark(a);
	for (size_t n = 0; n < 2000; n++) {
		uint8_t *p = arena_alloc(a, n);
		cr_assert_eq((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < n; i++) cr_assert_eq(p[i], 0);
		if (n) memset(p, 0xff, n);
	}
	size_t held = arena_bytes(a);
	arena_reset(a, mark);
	cr_assert_lt(arena_bytes(a), held);
	cr_assert_eq(memcmp(first, "xxx", 3), 0);
	uint8_t *again = arena_alloc(a, 100);
	for (size_t i = 0; i < 100; i++) cr_assert_eq(again[i], 0);
	arena_free(a);
	arena_free(NULL);
}

Test(arena, reset_to_a_mark_of_an_empty_arena)
{
	Arena *a = arena_new();
	ArenaMark mark = arena_mark(a);
	arena_alloc(a, 1 << 20);
	arena_reset(a, mark);
	cr_assert_eq(arena_bytes(a), 0);
	arena_free(a);
}

Test(arena, exhausted_goes_where_it_is_told)
{
	Arena *a = arena_new();
	jmp_buf where;
	volatile int times = 0;
	arena_on_exhausted(a, &where);
	if (setjmp(where) == 0) {
		arena_array(a, SIZE_MAX / 8, 16);
		cr_assert_fail("an overflowing size was granted");
	}
	if (times++ == 0) arena_alloc(a, SIZE_MAX - 100);
	cr_assert_eq(times, 2);
	arena_free(a);
}

Test(vec, grows_and_keeps)
{
	Arena *a = arena_new();
	VEC(int) v = {0};
	for (int i = 0; i < 1000; i++) vec_push(a, &v, i);
	cr_assert_eq(v.n, 1000);
	for (int i = 0; i < 1000; i++) cr_assert_eq(v.at[i], i);
	arena_free(a);
}

Test(intern, what_the_base_has_is_found_there)
{
	Arena *a = arena_new();
	Interner *base = interner_new(a);
	const char *known = intern_str(base, "a name of more than eight bytes");
	Interner *t = interner_over(a, base);
	cr_assert_eq(intern_str(t, "a name of more than eight bytes"), known);
	const char *own = intern_str(t, "a name of more than eight bytez");
	cr_assert_neq(own, known);
	for (int i = 0; i < 2000; i++) intern_str(t, arena_printf(a, "layers.%d.weight", i));
	cr_assert_eq(intern_str(t, "a name of more than eight bytez"), own);
	cr_assert_eq(intern_str(t, "layers.7.weight"), intern(t, "layers.7.weights", 15));
	arena_free(a);
}

Test(text, numbers)
{
	static const double numbers[] = {
		0.5,  0.1,  1.0 / 3, 1e-5,   123456.75, -2e300, 5e-324,
		1e22, 1e-7, 2.5e-8,  0.0072, 1e16,      -0.25,  2.2250738585072014e-308};
	static const char *const shown[] = {"0.5",
	                                    "0.1",
	                                    "0.3333333333333333",
	                                    "1e-05",
	                                    "123456.75",
	                                    "-2e+300",
	                                    "5e-324",
	                                    "1e+22",
	                                    "1e-07",
	                                    "2.5e-08",
	                                    "0.0072",
	                                    "1e+16",
	                                    "-0.25",
	                                    "2.2250738585072014e-308"};
	Arena *a = arena_new();
	for (size_t i = 0; i < COUNT(numbers); i++) {
		Text t = text_new(a);
		text_double(&t, numbers[i]);
		cr_assert_str_eq(t.at, shown[i]);
	}
	Text t = text_new(a);
	text_int(&t, INT64_MIN);
	text_int(&t, 0);
	text_int(&t, INT64_MAX);
	text_int(&t, -17);
	cr_assert_str_eq(t.at, "-922337203685477580809223372036854775807-17");
	arena_free(a);
}

Test(source, characters_of_utf8)
{
	static const struct {
		const char *text;
		size_t length;
	} rows[] = {{"a", 1},
	            {"\xc3\xa9", 2},
	            {"\xe6\xbc\xa2", 3},
	            {"\xf0\x9f\x90\x9a", 4},
	            {"\xf0\x9f\x90", 0},
	            {"\xff", 0},
	            {"\x80", 0},
	            {"\xc3(", 0},
	            {"\xc0\xaf", 0},
	            {"\xe0\x80\xaf", 0},
	            {"\xed\xa0\x80", 0},
	            {"\xf4\x90\x80\x80", 0},
	            {"", 0},
	            {"\xf5\x80\x80\x80", 0},
	            {"\xed\x9f\xbf", 3}};
	for (size_t i = 0; i < COUNT(rows); i++)
		cr_assert_eq(utf8_length(rows[i].text, strlen(rows[i].text)), rows[i].length, "row %zu", i);
}

Test(intern, one_pointer_each)
{
	Arena *a = arena_new();
	Interner *t = interner_new(a);
	char name[16];
	const char *seen[1000];
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "n%d", i);
		seen[i] = intern_str(t, name);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "n%d", i);
		cr_assert_eq(intern(t, name, strlen(name)), seen[i]);
		cr_assert_str_eq(seen[i], name);
	}
	cr_assert_eq(intern(t, "abc", 2), intern_str(t, "ab"));
	cr_assert_neq(intern_str(t, "ab"), intern_str(t, "abc"));
	cr_assert_eq(intern(t, "", 0), intern_str(t, ""));
	arena_free(a);
}

Test(text, printf_and_doubles)
{
	Arena *a = arena_new();
	Text t = text_new(a);
	char big[1000];
	memset(big, 'a', 999);
	big[999] = 0;
	text_printf(&t, "%d %s|", 42, "x");
	text_printf(&t, "%s", big);
	cr_assert_eq(t.n, 5 + 999);
	cr_assert_eq(strlen(t.at), t.n);

	const double values[] = {
		0.1, 1.0 / 3.0, 1e300, 5e-324, -2.5, 3, 123456789012345680.0, 0.30000000000000004};
	for (size_t i = 0; i < COUNT(values); i++) {
		Text s = text_new(a);
		text_double(&s, values[i]);
		cr_assert_eq(strtod(s.at, NULL), values[i], "%s", s.at);
	}
	Text s = text_new(a);
	text_double(&s, 0.1);
	text_puts(&s, " ");
	text_double(&s, INFINITY);
	text_puts(&s, " ");
	text_double(&s, -INFINITY);
	text_puts(&s, " ");
	text_double(&s, NAN);
	text_puts(&s, " ");
	text_double(&s, -0.0);
	cr_assert_str_eq(s.at, "0.1 inf -inf nan -0");
	arena_free(a);
}

Test(source, places)
{
	Arena *a = arena_new();
	const char text[] = "ab\n\nπx\n";
	const Source *s = source_from_text(a, "f", text, sizeof text - 1);
	cr_assert_eq(s->lines, 4);
	struct {
		uint32_t offset, line, column;
	} want[] = {{0, 1, 1}, {2, 1, 3}, {3, 2, 1}, {4, 3, 1},
	            {6, 3, 2}, {7, 3, 3}, {8, 4, 1}, {99, 4, 1}};
	for (size_t i = 0; i < COUNT(want); i++) {
		SourcePlace p = source_place(s, want[i].offset);
		cr_assert_eq(p.line, want[i].line, "offset %u: line %u", want[i].offset, p.line);
		cr_assert_eq(p.column, want[i].column, "offset %u: column %u", want[i].offset, p.column);
	}
	arena_free(a);
}

/* The span of `what` in s. */
static Span find(const Source *s, const char *what)
{
	const char *at = strstr(s->text, what);
	cr_assert_not_null(at, "%s", what);
	uint32_t begin = (uint32_t)(at - s->text);
	return (Span){s, begin, begin + (uint32_t)strlen(what)};
}

static const char *rendered(const Diags *d)
{
	Text t = text_new(d->arena);
	diags_render(d, &t);
	return t.at;
}

Test(diag, the_message_of_the_manual)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	Text text = text_new(a);
	for (int i = 1; i < 12; i++) text_puts(&text, "\n");
	text_puts(&text, "    weight w_in: f32[F, D]\n");
	for (int i = 13; i < 31; i++) text_puts(&text, "\n");
	text_puts(&text, "        return x @ w_in\n}\n");
	const Source *s = source_from_text(a, "examples/gpt.nac", text.at, text.n);
	Span line = find(s, "x @ w_in");
	Diag *m = diag_error(&d, (Span){s, line.begin + 2, line.begin + 3},
	                     "matmul of %s and %s: inner dimensions differ (%d and %d)",
	                     "f32[B, S, 768]", "f32[3072, 768]", 768, 3072);
	diag_also(m, (Span){s, line.begin, line.begin + 1});
	diag_also(m, (Span){s, line.begin + 4, line.end});
	diag_note(&d, m, find(s, "weight w_in"),
	          "w_in is declared here as f32[F, D] with F = 3072, D = 768");
	diag_help(&d, m, "for x[.., D] and w[F, D] write  x @ w_in.T");
	cr_assert_str_eq(
		rendered(&d),
		"examples/gpt.nac:31:18: error: matmul of f32[B, S, 768] and f32[3072, 768]: "
		"inner dimensions differ (768 and 3072)\n"
		"   31 |         return x @ w_in\n"
		"      |                ~ ^ ~~~~\n"
		"examples/gpt.nac:12:5: note: w_in is declared here as f32[F, D] with F = 3072, D "
		"= 768\n"
		"   help: for x[.., D] and w[F, D] write  x @ w_in.T\n");
	arena_free(a);
}

Test(diag, tabs_utf8_ends_and_no_place)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	const char text[] = "a\t\tβγ = δ\r\nlast";
	const Source *s = source_from_text(a, "f.nac", text, sizeof text - 1);
	Diag *m = diag_error(&d, find(s, "δ"), "one");
	diag_also(m, find(s, "βγ"));
	diag_warning(&d, (Span){s, (uint32_t)s->size, (uint32_t)s->size}, "two");
	diag_remark(&d, span_none(), "three");
	diag_error(&d, (Span){s, find(s, "=").begin, (uint32_t)s->size}, "four");
	cr_assert_str_eq(rendered(&d), "f.nac:1:9: error: one\n"
	                               "    1 | a       βγ = δ\n"
	                               "      |         ~~   ^\n"
	                               "f.nac:2:5: warning: two\n"
	                               "    2 | last\n"
	                               "      |     ^\n"
	                               "note: three\n"
	                               "f.nac:1:7: error: four\n"
	                               "    1 | a       βγ = δ\n"
	                               "      |            ^^^\n");
	cr_assert_eq(d.errors, 2);
	arena_free(a);
}

Test(diag, a_line_without_end_is_cut)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	size_t n = 100000;
	char *text = malloc(n);
	for (size_t i = 0; i < n; i++) text[i] = "\xce\xb1"[i % 2];
	const Source *s = source_from_text(a, "f", text, n);
	for (uint32_t at = 0; at < n; at += 9998) diag_error(&d, (Span){s, at, at + 2}, "x");
	cr_assert_lt(strlen(rendered(&d)), 11 * 600);
	free(text);
	arena_free(a);
}

Test(diag, limit_and_frozen)
{
	Arena *a = arena_new();
	Diags d = {.arena = a, .limit = 2};
	d.frozen = true;
	diag_help(&d, diag_error(&d, span_none(), "silent"), "x");
	cr_assert_eq(d.errors, 0);
	cr_assert_eq(d.list.n, 0);
	d.frozen = false;
	for (int i = 0; i < 5; i++) diag_error(&d, span_none(), "e%d", i);
	cr_assert_eq(d.errors, 5);
	cr_assert_str_eq(rendered(&d), "error: e0\nerror: e1\n3 more errors are not shown\n");
	arena_free(a);
}

Test(diag, nearest)
{
	const char *const names[] = {"softmax", "silu", "matmul", "ab",
	                             "model.layers.0.self_attn.q_proj.weight"};
	cr_assert_str_eq(nearest_name("sofmax", names, COUNT(names)), "softmax");
	cr_assert_str_eq(nearest_name("slilu", names, COUNT(names)), "silu");
	cr_assert_str_eq(nearest_name("mamtul", names, COUNT(names)), "matmul");
	cr_assert_str_eq(nearest_name("model.layers.0.selfattn.qproj.weight", names, COUNT(names)),
	                 names[4]);
	cr_assert_null(nearest_name("gelu_", names, COUNT(names)));
	cr_assert_null(nearest_name("x", names, COUNT(names)));
	cr_assert_null(nearest_name("", names, COUNT(names)));
	cr_assert_null(nearest_name("softmax", NULL, 0));
}

Test(file, maps_and_says_why_not)
{
	FileMap m;
	const char *why = NULL;
	cr_assert(!file_map("/nowhere/at/all", &m, &why));
	cr_assert_str_eq(why, "No such file or directory");
	cr_assert(!file_map("/tmp", &m, &why));
	cr_assert_str_eq(why, "is a directory, a file is needed");
	cr_assert(!file_map("/dev/null", &m, &why));
	cr_assert_str_eq(why, "is not a regular file");
	cr_assert(file_map(__FILE__, &m, &why));
	cr_assert_gt(m.size, 1000);
	cr_assert_eq(memcmp(m.at, "/* Units", 8), 0);
	file_unmap(&m);
	file_unmap(&m);
}

Test(file, written_whole_or_not_at_all)
{
	char folder[] = "/tmp/nacre-unit-XXXXXX", path[64], link[64];
	const char *why = NULL;
	struct stat st;
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/out", folder);
	snprintf(link, sizeof link, "%s/link", folder);

	FileOut *f = file_out_open(path, &why);
	cr_assert_not_null(f);
	file_out_write(f, "hello", 5);
	cr_assert_neq(stat(path, &st), 0, "visible before it is complete");
	cr_assert(file_out_commit(f, &why));
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_size, 5);

	cr_assert_eq(symlink(path, link), 0);
	f = file_out_open(link, &why);
	file_out_write(f, "more", 4);
	cr_assert(file_out_commit(f, &why));
	cr_assert(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
	cr_assert(stat(path, &st) == 0 && st.st_size == 4);

	f = file_out_open(path, &why);
	file_out_write(f, "gone", 4);
	file_out_abandon(f);
	cr_assert(stat(path, &st) == 0 && st.st_size == 4);

	cr_assert_null(file_out_open(folder, &why));
	cr_assert_str_eq(why, "is a directory, a file is needed");
	cr_assert_null(file_out_open("/nowhere/at/all", &why));
	cr_assert_str_eq(why, "No such file or directory");
	f = file_out_open("/dev/null", &why);
	file_out_write(f, "x", 1);
	cr_assert(file_out_commit(f, &why));
	cr_assert(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode), "a device was replaced");
	f = file_out_open("/dev/full", &why);
	file_out_write(f, "x", 1);
	cr_assert(!file_out_commit(f, &why));
	cr_assert_str_eq(why, "No space left on device");

	unlink(link);
	unlink(path);
	cr_assert_eq(rmdir(folder), 0, "something was left behind");
}

#define END {EXPR_END, 0, 0}
#define NUM(v) {EXPR_CONST, 0, v}
#define PAR(i) {EXPR_PARAM, 0, i}
#define DO(op) {EXPR_##op, 0, 0}

Test(expr, values)
{
	const int64_t params[] = {7, -3};
	int64_t v;
	const ExprWord e[] = {PAR(0), NUM(1),  DO(SUB), NUM(2),  DO(FLOORDIV),
	                      NUM(1), DO(ADD), PAR(1),  DO(MUL), END};
	cr_assert(expr_check(e, COUNT(e), 2));
	cr_assert(expr_eval(e, params, &v));
	cr_assert_eq(v, -12);
	struct {
		int32_t code;
		int64_t a, b, want;
	} cases[] = {{EXPR_FLOORDIV, -7, 2, -4}, {EXPR_FLOORDIV, 7, -2, -4}, {EXPR_FLOORDIV, -8, 2, -4},
	             {EXPR_MOD, -7, 2, 1},       {EXPR_MOD, 7, -2, -1},      {EXPR_MIN, 3, -4, -4},
	             {EXPR_MAX, 3, -4, 3}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		const ExprWord one[] = {NUM(cases[i].a), NUM(cases[i].b), {cases[i].code, 0, 0}, END};
		cr_assert(expr_check(one, COUNT(one), 0));
		cr_assert(expr_eval(one, NULL, &v));
		cr_assert_eq(v, cases[i].want, "case %zu: %lld", i, (long long)v);
	}
}

Test(expr, refused)
{
	int64_t v;
	const ExprWord zero[] = {NUM(1), NUM(0), DO(FLOORDIV), END};
	const ExprWord overflow[] = {NUM(INT64_MIN), NUM(-1), DO(FLOORDIV), END};
	const ExprWord product[] = {NUM(INT64_MAX), NUM(2), DO(MUL), END};
	cr_assert(!expr_eval(zero, NULL, &v));
	cr_assert(!expr_eval(overflow, NULL, &v));
	cr_assert(!expr_eval(product, NULL, &v));
	const ExprWord open[] = {NUM(1)}, two[] = {NUM(1), NUM(2), END},
				   under[] = {NUM(1), DO(ADD), END};
	const ExprWord empty[] = {END}, unknown[] = {NUM(1), {77, 0, 0}, END}, param[] = {PAR(2), END};
	cr_assert(!expr_check(open, COUNT(open), 0));
	cr_assert(!expr_check(two, COUNT(two), 0));
	cr_assert(!expr_check(under, COUNT(under), 0));
	cr_assert(!expr_check(empty, COUNT(empty), 0));
	cr_assert(!expr_check(unknown, COUNT(unknown), 0));
	cr_assert(!expr_check(param, COUNT(param), 2));
	ExprWord deep[2 * EXPR_STACK + 4] = {0};
	size_t n = 0;
	for (int i = 0; i < EXPR_STACK; i++) deep[n++] = (ExprWord)NUM(1);
	for (int i = 0; i < EXPR_STACK - 1; i++) deep[n++] = (ExprWord)DO(ADD);
	deep[n++] = (ExprWord)END;
	cr_assert(expr_check(deep, n, 0));
	cr_assert(expr_eval(deep, NULL, &v));
	cr_assert_eq(v, EXPR_STACK);
	deep[EXPR_STACK] = (ExprWord)NUM(1);
	cr_assert(!expr_check(deep, n, 0));
}

Test(crc, known_values_and_pieces)
{
	cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283u);
	uint8_t zeros[32] = {0};
	cr_assert_eq(crc32c(0, zeros, 32), 0x8a9136aau); /* RFC 3720, B.4 */
	cr_assert_eq(crc32c(0, "", 0), 0);
	size_t n = 100003;
	uint8_t *data = malloc(n);
	for (size_t i = 0; i < n; i++) data[i] = (uint8_t)(i * 7 + i / 251);
	uint32_t whole = crc32c(0, data, n), pieces = 0;
	for (size_t at = 0; at < n; at += 1000)
		pieces = crc32c(pieces, data + at, n - at < 1000 ? n - at : 1000);
	cr_assert_eq(whole, pieces);
	free(data);
}

/* --- messages of what fails at run time --- */

typedef struct Ids {
	int64_t dims[2];
	int32_t data[6];
} Ids;

static int64_t id_at(const void *data, int64_t k)
{
	return ((const int32_t *)data)[k];
}

static bool find_ids(void *ctx, const char *input, CheckInput *out)
{
	const Ids *x = ctx;
	*out = (CheckInput){2, x->dims, id_at, x->data};
	return strcmp(input, "ids") == 0;
}

static void expect_check(const char *text, CheckFailure f, const char *want)
{
	char got[80];
	check_message(got, sizeof got, text, &f);
	cr_assert_str_eq(got, want);
}

Test(message, failed_checks)
{
	Ids x = {{2, 3}, {1, 2, 3, 4, 99, -1}};
	CheckFailure here = {.index = 50, .limit = 11, .find = find_ids, .ctx = &x},
				 nowhere = {.index = 50, .limit = 11};
	/* the first element outside gives the index, wherever it is told */
	expect_check("{an index} in {@ids}: {limit}", here, "index 99 in ids[1, 1]: 11");
	expect_check("{an index} in {@ids}: {limit}", nowhere, "index 50 in `ids`: 11");
	expect_check("{an index} in {@other}", here, "index 50 in `other`");
	expect_check("{some index} in {@ids}", here, "index 99 in ids[1, 1]");
	expect_check("{some index} in {@ids}", nowhere, "an index in `ids`");
	expect_check("{@ids<100} is {index}, not below {limit}", here,
	             "ids[1, 2] is -1, not below 100");
	/* the element less 2 lies in 0..10: lengths from 2 on */
	expect_check("{@ids+2} is {index+2}, outside of 2..{limit+1}", here,
	             "ids[0, 0] is 1, outside of 2..12");
	/* what is no slot stays */
	expect_check("{} {x} {index {limit+} {index+1x} {index", nowhere,
	             "{} {x} {index {limit+} {index+1x} {index");
	x.data[4] = x.data[5] = 0;
	expect_check("{an index} in {@ids}", here, "index 50 in `ids`");
	char cut[9];
	check_message(cut, sizeof cut, "{an index} in {@ids}", &nowhere);
	cr_assert_str_eq(cut, "index 50");
	check_message(cut, 0, "more", &nowhere);
	cr_assert_str_eq(cut, "index 50");
	Arena *a = arena_new();
	cr_assert_str_eq(message_relation(a, "pos + S <= T fails: {pos} + {S} > 4"), "pos + S <= T");
	cr_assert_str_eq(message_relation(a, "S <= T"), "S <= T");
	arena_free(a);
}
