/* The texts that the editor has open, their URIs, and positions in them. Columns are counted in UTF-16
 * units unless the client agreed on another encoding. */
#include "tools/lsp/lsp.h"

#include <stdlib.h>
#include <string.h>

/* --- URIs ------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *path_of_uri(const char *uri)
{
	const char *s = strncmp(uri, "file://", 7) == 0 ? uri + 7 : uri;
	char *out = malloc(strlen(s) + 1);
	size_t n = 0;
	if (s != uri && *s != '/' && strchr(s, '/')) s = strchr(s, '/'); /* a host */
	for (; out && *s; s++) {
		int hi = *s == '%' ? hex_digit(s[1]) : -1, lo = hi >= 0 ? hex_digit(s[2]) : -1;
		if (lo >= 0 && (hi || lo)) {
			out[n++] = (char)(hi * 16 + lo);
			s += 2;
		} else {
			out[n++] = *s;
		}
	}
	if (out) out[n] = 0;
	return out;
}

const char *uri_of_path(Arena *a, const char *path)
{
	Text t = text_new(a);
	if (*path != '/') return path;
	text_puts(&t, "file://");
	for (const char *s = path; *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		             (*s >= '0' && *s <= '9') || strchr("/-._~", *s) != NULL;
		if (plain)
			text_append(&t, s, 1);
		else
			text_printf(&t, "%%%02X", (unsigned)(unsigned char)*s);
	}
	return t.at;
}

const char *path_normal(Arena *a, const char *path)
{
	char *out = arena_alloc(a, strlen(path) + 2);
	size_t n = 0;
	if (*path != '/') return path;
	for (const char *s = path; *s;) {
		while (*s == '/') s++;
		size_t k = strcspn(s, "/");
		if (k == 2 && s[0] == '.' && s[1] == '.') {
			while (n && out[--n] != '/') {}
		} else if (k && !(k == 1 && s[0] == '.')) {
			out[n++] = '/';
			memcpy(out + n, s, k);
			n += k;
		}
		s += k;
	}
	out[n] = 0;
	return out;
}

bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* --- positions --------------------------------------------------------------------------------------- */

/* Bytes of the character at s (of n bytes); what is no UTF-8 counts byte by byte. */
static size_t character(const char *s, size_t n)
{
	size_t k = utf8_length(s, n);
	return k ? k : 1;
}

/* A quotation of a file may be cut inside a character. */
json_t *valid_string(const char *text)
{
	json_t *whole = json_string(text);
	char *copy = whole ? NULL : strdup(text);
	if (whole || !copy) return whole ? whole : json_string("");
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80) *p = '?';
	whole = json_string(copy);
	free(copy);
	return whole;
}

static size_t units(const Server *s, size_t bytes)
{
	if (s->encoding == ENCODING_UTF8) return bytes;
	return s->encoding == ENCODING_UTF16 && bytes == 4 ? 2 : 1;
}

/* The byte of a column in a line of n bytes; a column behind the end is the end. */
static size_t column_offset(const Server *s, const char *line, size_t n, json_int_t column)
{
	size_t i = 0;
	json_int_t at = 0;
	while (i < n) {
		size_t k = character(line + i, n - i);
		at += (json_int_t)units(s, k);
		if (at > column) break;
		i += k;
	}
	return i;
}

static size_t line_length(const char *line, size_t n)
{
	const char *end = memchr(line, '\n', n);
	size_t k = end ? (size_t)(end - line) : n;
	return k && line[k - 1] == '\r' ? k - 1 : k;
}

static bool position_fields(json_t *p, json_int_t *line, json_int_t *column)
{
	json_t *l = json_object_get(p, "line"), *c = json_object_get(p, "character");
	if (!json_is_integer(l) || !json_is_integer(c)) return false;
	*line = json_integer_value(l);
	*column = json_integer_value(c);
	return *line >= 0 && *column >= 0;
}

bool position_read(const Server *s, const Source *source, json_t *position, uint32_t *offset)
{
	json_int_t line, column;
	if (!position_fields(position, &line, &column)) return false;
	*offset = (uint32_t)source->size;
	if (line >= source->lines) return true;
	uint32_t from = source->line_start[line];
	size_t n = line_length(source->text + from, source->size - from);
	*offset = from + (uint32_t)column_offset(s, source->text + from, n, column);
	return true;
}

json_t *position_json(const Server *s, const Source *source, uint32_t offset)
{
	uint32_t line = source_place(source, offset).line - 1, from = source->line_start[line];
	size_t column = 0;
	if (offset > source->size) offset = (uint32_t)source->size;
	for (uint32_t i = from; i < offset;) {
		size_t k = character(source->text + i, offset - i);
		column += units(s, k);
		i += (uint32_t)k;
	}
	return json_pack("{s:i, s:I}", "line", (int)line, "character", (json_int_t)column);
}

json_t *range_json(const Server *s, Span at)
{
	return json_pack("{s:o, s:o}", "start", position_json(s, at.source, at.begin), "end",
	                 position_json(s, at.source, at.end));
}

/* The same in a text that is being edited. */
static bool text_offset(const Server *s, const Document *d, json_t *position, size_t *offset)
{
	json_int_t line, column;
	if (!position_fields(position, &line, &column)) return false;
	size_t from = 0;
	for (; line > 0; line--) {
		const char *end = from < d->n ? memchr(d->text + from, '\n', d->n - from) : NULL;
		*offset = d->n;
		if (!end) return true;
		from = (size_t)(end - d->text) + 1;
	}
	*offset =
		from + column_offset(s, d->text + from, line_length(d->text + from, d->n - from), column);
	return true;
}

/* --- documents --------------------------------------------------------------------------------------- */

Document *document_find(const Server *s, const char *uri)
{
	for (Document *d = s->documents; d; d = d->next)
		if (strcmp(d->uri, uri) == 0) return d;
	return NULL;
}

Document *document_at_path(const Server *s, const char *path)
{
	for (Document *d = s->documents; d; d = d->next)
		if (strcmp(d->path, path) == 0) return d;
	return NULL;
}

static const char *uri_in(json_t *params)
{
	return json_string_value(json_object_get(json_object_get(params, "textDocument"), "uri"));
}

Document *document_of(Server *s, json_t *params)
{
	const char *uri = uri_in(params);
	Document *d = uri ? document_find(s, uri) : NULL;
	if (!uri) server_fail(s, LSP_INVALID_PARAMS, "textDocument.uri is missing");
	if (uri && !d) server_fail(s, LSP_INVALID_PARAMS, "this document is not open");
	return d;
}

static bool set_text(Document *d, const char *text, size_t n)
{
	char *copy = malloc(n + 1);
	if (!copy) return false;
	memcpy(copy, text, n);
	copy[n] = 0;
	free(d->text);
	d->text = copy;
	d->n = n;
	return true;
}

/* Any document may import the changed one. */
static void changed(Server *s)
{
	analyses_drop(s);
	for (Document *d = s->documents; d; d = d->next) d->changed = true;
}

void document_open(Server *s, json_t *params)
{
	json_t *item = json_object_get(params, "textDocument"), *text = json_object_get(item, "text");
	const char *uri = uri_in(params);
	if (!uri || !json_is_string(text)) return;
	Document *d = document_find(s, uri);
	if (!d) {
		d = calloc(1, sizeof *d);
		if (!d) return;
		d->uri = strdup(uri);
		d->path = path_of_uri(uri);
		if (!d->uri || !d->path) {
			document_free(d);
			return;
		}
		d->next = s->documents;
		s->documents = d;
	}
	set_text(d, json_string_value(text), json_string_length(text));
	d->version = json_integer_value(json_object_get(item, "version"));
	changed(s);
}

static void apply_change(Server *s, Document *d, json_t *change)
{
	json_t *range = json_object_get(change, "range"), *text = json_object_get(change, "text");
	size_t from, to;
	if (!json_is_string(text)) return;
	const char *with = json_string_value(text);
	size_t n = json_string_length(text);
	if (!json_is_object(range)) {
		set_text(d, with, n);
		return;
	}
	if (!text_offset(s, d, json_object_get(range, "start"), &from) ||
	    !text_offset(s, d, json_object_get(range, "end"), &to))
		return;
	if (to < from) to = from;
	char *out = malloc(d->n - (to - from) + n + 1);
	if (!out) return;
	memcpy(out, d->text, from);
	memcpy(out + from, with, n);
	memcpy(out + from + n, d->text + to, d->n - to);
	d->n = d->n - (to - from) + n;
	out[d->n] = 0;
	free(d->text);
	d->text = out;
}

void document_change(Server *s, json_t *params)
{
	json_t *list = json_object_get(params, "contentChanges"), *change;
	const char *uri = uri_in(params);
	Document *d = uri ? document_find(s, uri) : NULL;
	size_t i;
	if (!d || !d->text) return;
	json_array_foreach(list, i, change) apply_change(s, d, change);
	json_t *version = json_object_get(json_object_get(params, "textDocument"), "version");
	if (json_is_integer(version)) d->version = json_integer_value(version);
	changed(s);
}

void document_free(Document *d)
{
	analysis_free(d->analysis);
	free(d->uri);
	free(d->path);
	free(d->text);
	free(d);
}

void document_close(Server *s, json_t *params)
{
	const char *uri = uri_in(params);
	for (Document **at = &s->documents; uri && *at; at = &(*at)->next) {
		Document *d = *at;
		if (strcmp(d->uri, uri) != 0) continue;
		*at = d->next;
		diagnostics_clear(d);
		document_free(d);
		break;
	}
	changed(s);
}
