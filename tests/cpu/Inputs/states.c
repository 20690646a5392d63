/* Copies of a session go on apart from it, and a reset session is as a new one: all states are read after
 * each step, and what should be equal is compared bit by bit. */
#include "nacre.h"

#include <stdio.h>
#include <string.h>

enum { B = 2, T = 8, D = 3, OUTPUTS = 10, BYTES = 256 };

typedef struct Seen {
	unsigned char bytes[OUTPUTS][BYTES];
} Seen;

static NacreModel *model;
static NacreError error;
static int failures;

static void must(NacreStatus s, const char *what)
{
	if (s) printf("%s: %s\n", what, error.text), failures++;
}

static Seen seen(NacreSession *s)
{
	static float x[B];
	Seen all;
	memset(&all, 0, sizeof all);
	NacreTensor in = {NACRE_F32, 1, {B}, x}, out[OUTPUTS] = {{0}};
	for (int i = 0; i < OUTPUTS; i++) out[i].data = all.bytes[i];
	must(nacre_call(s, 0, &in, NULL, 0, out, &error), "read");
	return all;
}

/* The counts of the three layers and their greatest x so far. */
static void step(NacreSession *s, const int32_t lengths[B], float first, int32_t n[6], float best[6])
{
	int32_t ids[B * 3] = {1, 2, 3, 4, 0, 1}, rows[B];
	float x[B] = {first, first + 1};
	memcpy(rows, lengths, sizeof rows);
	NacreTensor in[] = {{NACRE_I32, 2, {B, 3}, ids}, {NACRE_F32, 1, {B}, x}, {NACRE_I32, 1, {B}, rows}};
	NacreTensor out[2] = {{.data = n}, {.data = best}};
	must(nacre_call(s, 1, in, NULL, 0, out, &error), "write");
}

static void same(const char *what, const Seen *a, const Seen *b, int equal)
{
	int is = memcmp(a, b, sizeof *a) == 0;
	printf("%s: %s\n", what, is ? "the same" : "different");
	failures += is != equal;
}

int main(int argc, char **argv)
{
	float embed[5 * D];
	int32_t n[6], m[6];
	float best[6], other[6];
	for (int i = 0; i < 5 * D; i++) embed[i] = (float)i + 1;
	NacreTensor w = {NACRE_F32, 2, {5, D}, embed};
	NacreSession *s, *copy, *fresh;
	NacreDim batch = {"B", B};
	if (argc != 2 || nacre_model_open(argv[1], 2, &model, &error)) return puts(error.text), 1;
	must(nacre_model_bind(model, 0, 0, &w, &error), "bind");
	must(nacre_session_new(model, &batch, 1, &s, &error), "new");
	must(nacre_session_new(model, &batch, 1, &fresh, &error), "new");
	Seen begin = seen(s);
	step(s, (int32_t[]){3, 1}, 5, n, best);
	Seen first = seen(s);
	same("a step changes the states", &begin, &first, 0);
	must(nacre_session_copy(s, &copy, &error), "copy");
	Seen now = seen(copy);
	same("a copy", &first, &now, 1);
	step(s, (int32_t[]){1, 3}, 1, n, best);
	printf("counts %d %d %d, best %g %g\n", n[0], n[2], n[5], (double)best[0], (double)best[5]);
	Seen second = seen(s);
	now = seen(copy);
	same("the copy after a step of the first", &first, &now, 1);
	step(copy, (int32_t[]){1, 3}, 1, m, other);
	now = seen(copy);
	same("the same step of the copy", &second, &now, 1);
	failures += memcmp(n, m, sizeof n) || memcmp(best, other, sizeof best);
	must(nacre_session_reset(s, &error), "reset");
	now = seen(s);
	same("a reset session and a new one", &begin, &now, 1);
	now = seen(copy);
	same("the copy after the reset", &second, &now, 1);
	step(s, (int32_t[]){3, 1}, 5, n, best);
	step(fresh, (int32_t[]){3, 1}, 5, m, other);
	failures += memcmp(n, m, sizeof n) || memcmp(best, other, sizeof best);
	now = seen(s);
	same("the first step again", &first, &now, 1);
	printf("pos %lld, rows %d %d\n", (long long)nacre_session_dim(s, "pos"),
	       (int)((int32_t *)(void *)now.bytes[1])[0], (int)((int32_t *)(void *)now.bytes[1])[1]);
	/* a failed call of the copy changes nothing */
	int32_t full[] = {3, 3};
	now = seen(copy);
	for (int i = 0; i < 3; i++) {
		NacreTensor in[] = {{NACRE_I32, 2, {B, 9}, embed}, {NACRE_F32, 1, {B}, embed}, {NACRE_I32, 1, {B}, full}};
		NacreTensor out[2] = {{.data = m}, {.data = other}};
		if (!nacre_call(copy, 1, in, NULL, 0, out, &error)) failures++;
	}
	printf("%s\n", error.text);
	second = seen(copy);
	same("the copy after calls that failed", &now, &second, 1);
	nacre_session_free(copy);
	nacre_session_free(fresh);
	nacre_session_free(s);
	nacre_model_free(model);
	return failures != 0;
}
