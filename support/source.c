/* Source text: lines and positions. Offsets are 32 bits, so a text is shorter than 4 GB; files are
 * refused long before that. */
#include "support/support.h"

#include <string.h>

const Source *source_from_text(Arena *a, const char *name, const char *text, size_t n)
{
	if (n >= UINT32_MAX) n = UINT32_MAX - 1;
	Source *s = NEW(a, Source);
	uint32_t lines = 1, line = 0;
	s->name = arena_strdup(a, name);
	s->text = arena_strndup(a, text, n);
	s->size = n;
	for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
	uint32_t *start = NEW_ARRAY(a, uint32_t, lines);
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\n') start[++line] = (uint32_t)i + 1;
	s->line_start = start;
	s->lines = lines;
	return s;
}

/* Does a file begin as no text does? A text with a stray byte is told where it is instead. */
static bool is_binary(const uint8_t *at, size_t n)
{
	enum { LOOKED_AT = 4096, FEW = 4, RARE = 16 };
	size_t odd = 0;
	if (n > LOOKED_AT) n = LOOKED_AT;
	for (size_t i = 0; i < n; i++)
		odd += (at[i] < 0x20 && !(at[i] >= '\t' && at[i] <= '\r')) || at[i] == 0x7f;
	return odd > FEW && odd * RARE > n;
}

const Source *source_from_file(Arena *a, const char *path, const char **why)
{
	FileMap m;
	if (!file_map(path, &m, why)) return NULL;
	const Source *s = NULL;
	if (m.size > SOURCE_LARGEST)
		*why = "is larger than 64 MB; is it a text?";
	else if (is_binary(m.at, m.size))
		*why = "is not a text file";
	else
		s = source_from_text(a, path, m.at ? (const char *)m.at : "", m.size);
	file_unmap(&m);
	return s;
}

SourcePlace source_place(const Source *s, uint32_t offset)
{
	uint32_t lo = 0, hi = s->lines;
	if (offset > s->size) offset = (uint32_t)s->size;
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (s->line_start[mid] <= offset)
			lo = mid;
		else
			hi = mid;
	}
	SourcePlace p = {lo + 1, 1};
	for (uint32_t i = s->line_start[lo]; i < offset; i++)
		p.column += ((uint8_t)s->text[i] & 0xc0) != 0x80;
	return p;
}

const char *span_text(Arena *a, Span s, size_t longest)
{
	if (!s.source) return "";
	Text t = text_new(a);
	bool blank = false;
	for (uint32_t i = s.begin; i < s.end && i < s.source->size; i++) {
		char c = s.source->text[i];
		bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
		if (!space || !blank) text_append(&t, space ? " " : &c, 1);
		blank = space;
		if (t.n >= longest) {
			text_puts(&t, "...");
			break;
		}
	}
	return t.at;
}

size_t utf8_length(const char *s, size_t n)
{
	static const uint8_t lead[] = {0xc2, 0xe0, 0xf0, 0xf5};
	uint8_t c = n ? (uint8_t)*s : 0, second = n > 1 ? (uint8_t)s[1] : 0;
	size_t k = 1;
	if (c < 0x80) return n > 0;
	if (c < lead[0] || c >= lead[3]) return 0;
	while (c >= lead[k]) k++;
	k++; /* a lead byte of lead[k - 2] and more begins k bytes */
	if (k > n) return 0;
	for (size_t i = 1; i < k; i++)
		if (((uint8_t)s[i] & 0xc0) != 0x80) return 0;
	bool overlong = (c == 0xe0 && second < 0xa0) || (c == 0xf0 && second < 0x90);
	bool outside = (c == 0xed && second > 0x9f) || (c == 0xf4 && second > 0x8f);
	return overlong || outside ? 0 : k;
}

Span span_join(Span a, Span b)
{
	if (!a.source) return b;
	if (a.source != b.source) return a;
	return (Span){a.source, a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}
