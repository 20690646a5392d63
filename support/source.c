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

const Source *source_from_file(Arena *a, const char *path, const char **why)
{
	FileMap m;
	if (!file_map(path, &m, why)) return NULL;
	const Source *s = NULL;
	if (m.size > SOURCE_LARGEST)
		*why = "is larger than 64 MB; is it a text?";
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

Span span_join(Span a, Span b)
{
	if (!a.source) return b;
	if (a.source != b.source) return a;
	return (Span){a.source, a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end};
}
