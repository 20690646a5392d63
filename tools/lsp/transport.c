/* Messages of the base protocol: header lines, an empty line, a JSON text of Content-Length bytes. What
 * is wrong with a message costs that message, not the connection. */
#include "tools/lsp/lsp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGEST = 64 << 20, LONGEST_HEADER = 64 << 10, PIECE = 1 << 16 };

static bool read_more(Transport *t, bool wait)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	if (t->ended) return false;
	if (!wait && poll(&p, 1, 0) <= 0) return false;
	if (t->taken) {
		memmove(t->at, t->at + t->taken, t->n - t->taken);
		t->n -= t->taken;
		t->taken = 0;
	}
	if (t->cap - t->n < PIECE) {
		size_t cap = t->cap ? t->cap * 2 : 4 * PIECE;
		char *more = realloc(t->at, cap);
		if (!more) {
			t->ended = true;
			return false;
		}
		t->at = more;
		t->cap = cap;
	}
	ssize_t got;
	do got = read(STDIN_FILENO, t->at + t->n, PIECE);
	while (got < 0 && errno == EINTR);
	if (got <= 0) t->ended = true;
	if (got > 0) t->n += (size_t)got;
	return got > 0;
}

/* The end of the header block behind `taken`, or NULL when it is not all there. */
static char *header_end(const Transport *t, size_t *length)
{
	char *from = t->at + t->taken, *end = t->at + t->n;
	for (char *p = from; p < end; p++) {
		if (*p != '\n') continue;
		if (p + 1 < end && p[1] == '\n') {
			*length = (size_t)(p + 2 - from);
			return p + 2;
		}
		if (p + 2 < end && p[1] == '\r' && p[2] == '\n') {
			*length = (size_t)(p + 3 - from);
			return p + 3;
		}
	}
	return NULL;
}

/* Content-Length among header lines; -1: none that can be used. */
static long long content_length(const char *at, size_t n)
{
	static const char name[] = "content-length:";
	size_t k = sizeof name - 1;
	for (size_t i = 0; i + k < n; i++) {
		if (i && at[i - 1] != '\n') continue;
		if (strncasecmp(at + i, name, k) != 0) continue;
		char digits[24];
		size_t m = 0, from = i + k;
		while (from < n && (at[from] == ' ' || at[from] == '\t')) from++;
		while (from < n && at[from] >= '0' && at[from] <= '9' && m < 15) digits[m++] = at[from++];
		digits[m] = 0;
		return m ? atoll(digits) : -1;
	}
	return -1;
}

static bool skip(Transport *t, unsigned long long bytes)
{
	while (bytes) {
		if (t->taken == t->n && !read_more(t, true)) return false;
		size_t have = t->n - t->taken, now = bytes < have ? (size_t)bytes : have;
		t->taken += now;
		bytes -= now;
	}
	return true;
}

Received transport_receive(Transport *t, bool wait, json_t **out, const char **why)
{
	size_t header = 0;
	while (!t->at || !header_end(t, &header)) {
		if (t->n - t->taken > LONGEST_HEADER) {
			t->taken = t->n - 3; /* an end of the header may have begun */
			*why = "a header of more than 64 KB";
			return RECEIVED_BAD;
		}
		if (!read_more(t, wait)) return t->ended ? RECEIVED_END : RECEIVED_NOTHING;
	}
	long long length = content_length(t->at + t->taken, header);
	if (length < 0) {
		t->taken += header;
		*why = "a message without Content-Length";
		return RECEIVED_BAD;
	}
	if (length > LARGEST) {
		t->taken += header;
		*why = "a message of more than 64 MB";
		return skip(t, (unsigned long long)length) ? RECEIVED_BAD : RECEIVED_END;
	}
	while (t->n - t->taken < header + (size_t)length)
		if (!read_more(t, wait)) return t->ended ? RECEIVED_END : RECEIVED_NOTHING;
	json_error_t error;
	*out = json_loadb(t->at + t->taken + header, (size_t)length, 0, &error);
	t->taken += header + (size_t)length;
	if (*out) return RECEIVED_MESSAGE;
	*why = "a message that is no JSON";
	return RECEIVED_BAD;
}

bool transport_send(json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	if (!text) return false;
	size_t n = strlen(text);
	printf("Content-Length: %zu\r\n\r\n", n);
	bool sent = fwrite(text, 1, n, stdout) == n && fflush(stdout) == 0;
	free(text);
	return sent;
}

void transport_close(Transport *t)
{
	free(t->at);
	*t = (Transport){0};
}
