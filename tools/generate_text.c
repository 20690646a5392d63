/* nacre generate: the text of a passage as its tokens arrive, and where it stops. What could begin a stop
 * text is held back until it is clear, and so is a character of which some tokens are missing. */
#include "tools/generate.h"

#include <stdlib.h>
#include <string.h>

bool stops(const Writer *w, int64_t id)
{
	for (size_t i = 0; i < w->stop_ids.n; i++)
		if (w->stop_ids.at[i] == id) return true;
	return false;
}

/* Cuts the text before the first stop text in it. */
static bool text_stops(Writer *w, Passage *p)
{
	size_t first = SIZE_MAX, longest = 1, left = p->text.n - p->searched;
	for (size_t i = 0; i < w->stop_texts.n; i++) {
		const char *stop = w->stop_texts.at[i], *at;
		size_t n = strlen(stop);
		if (n > longest) longest = n;
		at = memmem(p->text.at + p->searched, left, stop, n);
		if (at && (size_t)(at - p->text.at) < first) first = (size_t)(at - p->text.at);
	}
	if (first == SIZE_MAX) {
		if (left >= longest) p->searched = p->text.n - (longest - 1);
		return false;
	}
	p->text.n = first;
	return true;
}

/* Bytes at the end of the text that a stop text may begin with. */
static size_t text_held(const Writer *w, const Passage *p)
{
	size_t most = 0;
	for (size_t i = 0; i < w->stop_texts.n; i++) {
		const char *stop = w->stop_texts.at[i];
		size_t n = strlen(stop) - 1, room = p->text.n - p->searched;
		for (n = n < room ? n : room; n > most; n--)
			if (memcmp(p->text.at + p->text.n - n, stop, n) == 0) most = n;
	}
	return most;
}

void text_print(Writer *w, Passage *p)
{
	size_t upto = p->text.n - (p->finish ? 0 : text_held(w, p));
	if (w->t->a.json || upto <= p->printed) return;
	fwrite(p->text.at + p->printed, 1, upto - p->printed, stdout);
	fflush(stdout);
	p->printed = upto;
}

bool text_add(Writer *w, Passage *p, int64_t id, bool *stop)
{
	TextBytes more;
	if (!w->tokenizer) return true;
	if (!token_stream_push(&p->stream, &w->t->d, (uint32_t)id, &more)) return false;
	text_append(&p->text, more.at, more.n);
	*stop = text_stops(w, p);
	return true;
}

bool text_begin(Writer *w, Passage *p)
{
	Tool *t = w->t;
	TextBytes more;
	p->text = text_new(t->arena);
	text_puts(&p->text, "");
	if (!w->tokenizer) return true;
	p->stream = token_stream_new(t->arena, w->tokenizer, SPECIALS_SILENT);
	for (size_t i = 0; i < p->ids.n; i++) {
		if (!token_stream_push(&p->stream, &t->d, (uint32_t)p->ids.at[i], &more)) return false;
		text_append(&p->text, more.at, more.n);
	}
	p->searched = p->text.n; /* the prompt may hold stop texts */
	return true;
}

bool text_end(Writer *w, Passage *p, bool cut)
{
	TextBytes more;
	if (cut || !w->tokenizer) return true;
	if (!token_stream_end(&p->stream, &w->t->d, &more)) return false;
	text_append(&p->text, more.at, more.n);
	text_stops(w, p);
	return true;
}

/* --- options ---------------------------------------------------------------------------------------------- */

/* "1,2,3", each below the limit, to the end of the list; *numbers: whether the word is such a list at all. */
static bool numbers_read(Tool *t, const char *option, const char *s, int64_t limit, Counts *to,
                         bool *numbers)
{
	*numbers = *s && s[strspn(s, "0123456789,")] == '\0';
	for (char *end; *numbers && *s; s = *end ? end + 1 : end) {
		long long v = strtoll(s, &end, 10);
		if (end == s || v >= limit) return tool_fail(t, "--%s %s: no token number", option, s);
		vec_push(t->arena, to, v);
	}
	return true;
}

bool stops_read(Writer *w)
{
	Tool *t = w->t;
	for (size_t i = 0; i < t->a.stop.n; i++) {
		const char *s = t->a.stop.at[i];
		uint32_t id;
		bool numbers;
		if (!numbers_read(t, "stop", s, UINT32_MAX, &w->stop_ids, &numbers)) return false;
		if (numbers) continue;
		if (!w->tokenizer) return tool_fail(t, "--stop %s: a text needs --tokenizer", s);
		if (tokenizer_added(w->tokenizer, s, &id))
			vec_push(t->arena, &w->stop_ids, (int64_t)id);
		else
			vec_push(t->arena, &w->stop_texts, s);
	}
	return true;
}

bool start_read(Writer *w)
{
	Tool *t = w->t;
	for (size_t i = 0; i < t->a.start.n; i++) {
		const char *s = t->a.start.at[i];
		uint32_t id;
		bool numbers;
		if (!numbers_read(t, "start", s, INT32_MAX, &w->start, &numbers)) return false;
		if (numbers) continue;
		if (!w->tokenizer || !tokenizer_added(w->tokenizer, s, &id))
			return tool_fail(t, "--start %s: %s", s,
			                 w->tokenizer ? "the tokenizer has no added token of that name"
			                              : "a token by its name needs --tokenizer");
		vec_push(t->arena, &w->start, (int64_t)id);
	}
	return true;
}
