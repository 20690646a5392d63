/* The arena: blocks chained from the newest; allocation moves a mark. Memory beyond the mark of
 * each block is always zero. Under AddressSanitizer what is not handed out is poisoned, with a gap
 * behind each allocation, so that overruns inside an arena are found too. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif
#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
enum { GAP = 16 };
#define POISON(at, n) ASAN_POISON_MEMORY_REGION((at), (n))
#define UNPOISON(at, n) ASAN_UNPOISON_MEMORY_REGION((at), (n))
#else
enum { GAP = 0 };
#define POISON(at, n) ((void)(at), (void)(n))
#define UNPOISON(at, n) ((void)(at), (void)(n))
#endif

enum { BLOCK = 64 * 1024, ALIGN = 16 };

typedef struct Block {
	struct Block *older;
	size_t size, used;
	_Alignas(ALIGN) uint8_t data[];
} Block;

struct Arena {
	Block *newest;
	size_t held;
	jmp_buf *exhausted;
};

static void exhausted(const Arena *a)
{
	if (a && a->exhausted) longjmp(*a->exhausted, 1);
	fputs("nacre: out of memory\n", stderr);
	abort();
}

Arena *arena_new(void)
{
	Arena *a = calloc(1, sizeof *a);
	if (!a) exhausted(NULL);
	return a;
}

Arena *arena_child(const Arena *of)
{
	Arena *a = arena_new();
	a->exhausted = of->exhausted;
	return a;
}

void arena_free(Arena *a)
{
	if (!a) return;
	arena_reset(a, (ArenaMark){NULL, 0});
	free(a);
}

void arena_on_exhausted(Arena *a, jmp_buf *where)
{
	a->exhausted = where;
}

static Block *block_add(Arena *a, size_t size)
{
	size_t want = size > BLOCK ? size : BLOCK;
	Block *b = calloc(1, sizeof *b + want);
	if (!b) exhausted(a);
	b->size = want;
	b->older = a->newest;
	a->newest = b;
	a->held += sizeof *b + want;
	POISON(b->data, want);
	return b;
}

void *arena_alloc(Arena *a, size_t size)
{
	if (size > SIZE_MAX / 2) exhausted(a);
	size_t step = ((size + ALIGN - 1) & ~(size_t)(ALIGN - 1)) + GAP;
	Block *b = a->newest;
	if (!b || b->size - b->used < step) b = block_add(a, step);
	void *p = b->data + b->used;
	b->used += step;
	UNPOISON(p, size);
	return p;
}

void *arena_array(Arena *a, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size) exhausted(a);
	return arena_alloc(a, count * size);
}

void *arena_grow(Arena *a, void *old, size_t old_size, size_t new_size)
{
	void *p = arena_alloc(a, new_size);
	if (old_size) memcpy(p, old, old_size < new_size ? old_size : new_size);
	return p;
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);
	if (n) memcpy(p, s, n);
	return p;
}

char *arena_strdup(Arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(Arena *a, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *p = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
	if (n > 0) vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *p = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return p;
}

ArenaMark arena_mark(Arena *a)
{
	return (ArenaMark){a->newest, a->newest ? a->newest->used : 0};
}

void arena_reset(Arena *a, ArenaMark mark)
{
	while (a->newest && a->newest != mark.block) {
		Block *b = a->newest;
		a->newest = b->older;
		a->held -= sizeof *b + b->size;
		UNPOISON(b->data, b->size);
		free(b);
	}
	Block *b = a->newest;
	if (b && b->used > mark.used) {
		UNPOISON(b->data + mark.used, b->used - mark.used);
		memset(b->data + mark.used, 0, b->used - mark.used);
		POISON(b->data + mark.used, b->size - mark.used);
		b->used = mark.used;
	}
}

size_t arena_bytes(const Arena *a)
{
	return a->held;
}
