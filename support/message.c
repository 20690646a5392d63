/* Messages whose numbers are known only when something fails: texts with {slots}. They come from the
 * model through compiled files, so a text may hold anything: what is no slot stays as it is written. */
#include "support/support.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_LENGTH = 128 };

void message_fill(char *at, size_t n, const char *text, MessageSlot *slot, void *ctx)
{
	size_t used = 0;
	if (n == 0) return;
	while (*text && used + 1 < n) {
		const char *end = *text == '{' ? strchr(text, '}') : NULL;
		size_t length = end ? (size_t)(end - text) - 1 : 0;
		char name[SLOT_LENGTH];
		if (end && length && length < sizeof name) {
			memcpy(name, text + 1, length);
			name[length] = 0;
			at[used] = 0;
			if (slot(ctx, name, at + used, n - used)) {
				used += strlen(at + used);
				text = end + 1;
				continue;
			}
		}
		at[used++] = *text++;
	}
	at[used] = 0;
}

/* --- failed checks --------------------------------------------------------------------------------- */

/* The element of an input that made the check fail: the first that does not lie, less `offset`, in
 * 0..limit-1. */
static bool find_element(CheckFailure *f, const char *input, int64_t offset, char *at, size_t n)
{
	CheckInput x;
	if (!f->find || !f->find(f->ctx, input, &x)) return false;
	int64_t count = 1;
	for (uint32_t d = 0; d < x.rank; d++)
		if (__builtin_mul_overflow(count, x.dims[d], &count)) return false;
	for (int64_t k = 0; k < count; k++) {
		int64_t index;
		if (__builtin_sub_overflow(x.element(x.data, k), offset, &index)) return false;
		if (index >= 0 && index < f->limit) continue;
		f->index = index;
		f->found = true;
		size_t used = (size_t)snprintf(at, n, "%s", input);
		int64_t rest = count, place = k;
		for (uint32_t d = 0; d < x.rank && used < n; d++) {
			rest /= x.dims[d];
			used += (size_t)snprintf(at + used, n - used, "%s%lld%s", d ? ", " : "[",
			                         (long long)(place / rest), d + 1 == x.rank ? "]" : "");
			place %= rest;
		}
		return true;
	}
	return false;
}

/* `name` with +N, -N and <N behind it: *offset, *limit (left alone without). */
static bool take_numbers(char *name, int64_t *offset, int64_t *limit)
{
	for (char *sign = strpbrk(name, "+-<"); sign;) {
		bool bound = *sign == '<';
		char *end;
		if (!isdigit((unsigned char)sign[1])) return false;
		int64_t v = strtoll(sign + bound, &end, 10);
		*(bound ? limit : offset) = v;
		*sign = 0;
		if (*end && !strchr("+-<", *end)) return false;
		sign = *end ? end : NULL;
	}
	return true;
}

static bool check_slot(void *ctx, const char *name, char *at, size_t n)
{
	CheckFailure *f = ctx;
	char own[SLOT_LENGTH];
	int64_t offset = 0, v;
	snprintf(own, sizeof own, "%s", name);
	if (!take_numbers(own, &offset, &f->limit)) return false;
	if (*own == '@') {
		if (!find_element(f, own + 1, offset, at, n)) snprintf(at, n, "`%s`", own + 1);
		return true;
	}
	bool some = strcmp(own, "some index") == 0, phrase = some || strcmp(own, "an index") == 0,
		 index = phrase || strcmp(own, "index") == 0;
	if (!index && strcmp(own, "limit") != 0) return false;
	if (__builtin_add_overflow(index ? f->index : f->limit, offset, &v)) return false;
	if (some && !f->found)
		snprintf(at, n, "an index");
	else
		snprintf(at, n, "%s%lld", phrase ? "index " : "", (long long)v);
	return true;
}

static bool find_slot(void *ctx, const char *name, char *at, size_t n)
{
	if (*name == '@') check_slot(ctx, name, at, n);
	return false;
}

void check_message(char *at, size_t n, const char *text, CheckFailure *f)
{
	/* the element of an input that is at fault gives the index, which may be told before it */
	message_fill(at, n, text, find_slot, f);
	message_fill(at, n, text, check_slot, f);
}

const char *message_relation(Arena *a, const char *text)
{
	const char *end = strstr(text, RELATION_FAILS);
	return end ? arena_strndup(a, text, (size_t)(end - text)) : text;
}
