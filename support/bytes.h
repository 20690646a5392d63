/* Little-endian bytes: writing them to a Text, and reading them so that a hostile file can only make
 * the cursor fail. A failed cursor stays failed, reads zeros, and keeps the first message. */
#ifndef NACRE_SUPPORT_BYTES_H
#define NACRE_SUPPORT_BYTES_H
#include "support/support.h"

#include <string.h>

static inline void bytes_put(Text *t, uint64_t v, uint32_t bytes)
{
	char b[8];
	for (uint32_t i = 0; i < bytes; i++) b[i] = (char)(v >> 8 * i & 0xff);
	text_append(t, b, bytes);
}
static inline void bytes_u8(Text *t, uint64_t v)
{
	bytes_put(t, v, 1);
}
static inline void bytes_u16(Text *t, uint64_t v)
{
	bytes_put(t, v, 2);
}
static inline void bytes_u32(Text *t, uint64_t v)
{
	bytes_put(t, v, 4);
}
static inline void bytes_u64(Text *t, uint64_t v)
{
	bytes_put(t, v, 8);
}
static inline void bytes_i64(Text *t, int64_t v)
{
	bytes_put(t, (uint64_t)v, 8);
}
static inline void bytes_str(Text *t, const char *s) /* length, then the characters; NULL is "" */
{
	size_t n = s ? strlen(s) : 0;
	bytes_u32(t, n);
	if (n) text_append(t, s, n);
}

typedef struct Cursor {
	Arena *arena;
	const uint8_t *data;
	size_t at, n;
	const char *why; /* NULL while all is well */
} Cursor;

static inline bool cursor_fail(Cursor *c, const char *what)
{
	if (!c->why) c->why = arena_printf(c->arena, "%s at byte %zu", what, c->at);
	return false;
}
static inline uint64_t cursor_get(Cursor *c, uint32_t bytes)
{
	uint64_t v = 0;
	if (c->why) return 0;
	if (c->n - c->at < bytes) {
		cursor_fail(c, "it ends in the middle of a value");
		return 0;
	}
	for (uint32_t i = 0; i < bytes; i++) v |= (uint64_t)c->data[c->at + i] << 8 * i;
	c->at += bytes;
	return v;
}
static inline uint8_t cursor_u8(Cursor *c)
{
	return (uint8_t)cursor_get(c, 1);
}
static inline uint16_t cursor_u16(Cursor *c)
{
	return (uint16_t)cursor_get(c, 2);
}
static inline uint32_t cursor_u32(Cursor *c)
{
	return (uint32_t)cursor_get(c, 4);
}
static inline uint64_t cursor_u64(Cursor *c)
{
	return cursor_get(c, 8);
}
static inline int64_t cursor_i64(Cursor *c)
{
	return (int64_t)cursor_get(c, 8);
}
/* A count of things that take at least `least` bytes each: more than the rest could hold is a failure. */
static inline uint32_t cursor_count(Cursor *c, size_t least)
{
	uint32_t v = cursor_u32(c);
	if (!c->why && v > (c->n - c->at) / least) cursor_fail(c, "a count is larger than the file");
	return c->why ? 0 : v;
}
static inline uint32_t cursor_below(Cursor *c, uint32_t limit, const char *what)
{
	uint32_t v = cursor_u32(c);
	if (!c->why && v >= limit) cursor_fail(c, what);
	return c->why ? 0 : v;
}
static inline const char *cursor_str(Cursor *c)
{
	uint32_t n = cursor_count(c, 1);
	const char *s = (const char *)c->data + c->at;
	if (c->why) return "";
	if (n && memchr(s, 0, n)) {
		cursor_fail(c, "a string holds a zero byte");
		return "";
	}
	c->at += n;
	return arena_strndup(c->arena, s, n);
}
#endif
