/* .npy: a header that is a Python dict literal, then the elements (numpy.lib.format). The header is
 * parsed by a reader of just those literals that the format uses. */
#include "frontend/weights.h"

#include <string.h>

enum { MAGIC_BYTES = 8, ALIGN_HEADER = 64, LONGEST_HEADER = 1 << 20 };

static const struct {
	char kind, size; /* as in '<f4' */
	DType dtype;
} kinds[] = {
	{'f', 4, DT_F32}, {'f', 2, DT_F16}, {'f', 8, DT_F64}, {'i', 1, DT_I8},
	{'u', 1, DT_U8},  {'i', 4, DT_I32}, {'i', 8, DT_I64}, {'b', 1, DT_BOOL},
};

typedef struct Header {
	const char *descr; /* NULL: not seen */
	bool has_order, fortran, has_shape;
	uint32_t rank; /* HOST_RANK + 1: too many */
	int64_t dims[HOST_RANK];
} Header;

/* --- the literal --- */

typedef struct Cursor {
	Arena *arena;
	const char *at, *end;
} Cursor;

static void skip_space(Cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n')) c->at++;
}

static bool take(Cursor *c, char want)
{
	skip_space(c);
	if (c->at >= c->end || *c->at != want) return false;
	c->at++;
	return true;
}

/* A string without escapes, or NULL. */
static const char *take_string(Cursor *c)
{
	skip_space(c);
	if (c->at >= c->end || (*c->at != '\'' && *c->at != '"')) return NULL;
	char quote = *c->at++;
	const char *from = c->at;
	while (c->at < c->end && *c->at != quote && *c->at != '\\') c->at++;
	if (c->at >= c->end || *c->at != quote) return NULL;
	return arena_strndup(c->arena, from, (size_t)(c->at++ - from));
}

static bool take_word(Cursor *c, const char *word)
{
	size_t n = strlen(word);
	skip_space(c);
	if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) return false;
	c->at += n;
	return true;
}

static bool take_bool(Cursor *c, bool *out)
{
	*out = take_word(c, "True");
	return *out || take_word(c, "False");
}

static bool take_number(Cursor *c, int64_t *out)
{
	int64_t v = 0;
	skip_space(c);
	const char *from = c->at;
	for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *c->at - '0', &v))
			return false;
	if (c->at == from) return false;
	if (c->at < c->end && *c->at == 'L') c->at++; /* as Python 2 wrote it */
	*out = v;
	return true;
}

static bool take_shape(Cursor *c, Header *h)
{
	if (!take(c, '(')) return false;
	h->rank = 0;
	while (!take(c, ')')) {
		int64_t dim;
		if (!take_number(c, &dim)) return false;
		if (h->rank < HOST_RANK) h->dims[h->rank] = dim;
		if (h->rank <= HOST_RANK) h->rank++;
		if (take(c, ',')) continue;
		if (!take(c, ')')) return false;
		break;
	}
	return true;
}

static bool take_header(Cursor *c, Header *h)
{
	if (!take(c, '{')) return false;
	while (!take(c, '}')) {
		const char *key = take_string(c);
		if (!key || !take(c, ':')) return false;
		if (strcmp(key, "descr") == 0 && !h->descr) {
			h->descr = take_string(c);
			if (!h->descr) h->descr = ""; /* a list: fields with names */
			if (!*h->descr) return true;
		} else if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
			h->has_order = true;
			if (!take_bool(c, &h->fortran)) return false;
		} else if (strcmp(key, "shape") == 0 && !h->has_shape) {
			h->has_shape = true;
			if (!take_shape(c, h)) return false;
		} else {
			return false;
		}
		if (take(c, ',')) continue;
		if (!take(c, '}')) return false;
		break;
	}
	skip_space(c);
	return c->at == c->end && h->descr && h->has_order && h->has_shape;
}

/* --- reading --- */

static bool find_dtype(const char *descr, DType *out)
{
	if (strlen(descr) != 3) return false;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (descr[1] != kinds[i].kind || descr[2] != '0' + kinds[i].size) continue;
		if (descr[0] != '<' && descr[0] != '=' && !(descr[0] == '|' && kinds[i].size == 1))
			return false;
		*out = kinds[i].dtype;
		return true;
	}
	return false;
}

static bool bad_dtype(Arena *a, Diags *d, const char *what, const char *descr)
{
	Diag *m = diag_error(d, span_none(),
	                     "'%s' holds elements of NumPy type '%s', which are not "
	                     "supported",
	                     what, *descr ? shown_name(a, descr) : "structured");
	if (descr[0] == '>')
		diag_help(d, m, "they are big-endian: save  x.astype(x.dtype.newbyteorder('<'))");
	else if (strcmp(descr, "|O") == 0)
		diag_help(d, m, "it is an array of Python objects: save an array of numbers");
	else
		diag_help(d, m,
		          "save it as one of f2 f4 f8 i1 u1 i4 i8 b1, e.g. x.astype('f4'); for bf16 "
		          "use safetensors");
	return false;
}

/* Finds the header's text; sets where the data begins. */
static bool split(Diags *d, const char *what, const uint8_t *data, size_t size, Cursor *c,
                  size_t *begin)
{
	if (size < MAGIC_BYTES + 2 || memcmp(data, "\x93NUMPY", 6) != 0) {
		diag_error(d, span_none(), "'%s' is not an .npy file%s", what, size ? "" : ": it is empty");
		return false;
	}
	if (data[6] < 1 || data[6] > 3) {
		diag_error(d, span_none(), "'%s' is .npy version %u: versions 1 to 3 are supported", what,
		           data[6]);
		return false;
	}
	size_t field = data[6] == 1 ? 2 : 4;
	size_t length = (size_t)data[8] | (size_t)data[9] << 8;
	if (field == 4 && size >= MAGIC_BYTES + field)
		length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
	if (size < MAGIC_BYTES + field || length > size - MAGIC_BYTES - field) {
		diag_error(d, span_none(),
		           "'%s' is cut short: it ends inside its header, after %zu bytes: save it again",
		           what, size);
		return false;
	}
	c->at = (const char *)data + MAGIC_BYTES + field;
	c->end = c->at + length;
	*begin = MAGIC_BYTES + field + length;
	return true;
}

/* Row-major from column-major elements of `wide` bytes. */
static void from_fortran(const HostTensor *t, uint8_t *to, const uint8_t *from, size_t wide,
                         int64_t count)
{
	int64_t index[HOST_RANK] = {0}, stride[HOST_RANK] = {0}, at = 0, step = 1;
	for (uint32_t i = 0; i < t->rank; i++) {
		stride[i] = step;
		step *= t->dims[i];
	}
	for (int64_t n = 0; n < count; n++, to += wide) {
		memcpy(to, from + (size_t)at * wide, wide);
		for (uint32_t k = t->rank; k-- > 0;) {
			at += stride[k];
			if (++index[k] < t->dims[k]) break;
			at -= stride[k] * t->dims[k];
			index[k] = 0;
		}
	}
}

static void copy_data(Arena *a, HostTensor *t, const uint8_t *from, bool fortran, int64_t count,
                      int64_t bytes)
{
	uint8_t *to = arena_alloc(a, (size_t)bytes);
	if (fortran && t->rank > 1)
		from_fortran(t, to, from, dtype_bits(t->dtype) / 8, count);
	else if (bytes)
		memcpy(to, from, (size_t)bytes);
	if (t->dtype == DT_BOOL)
		for (int64_t i = 0; i < bytes; i++) to[i] = to[i] != 0;
	t->data = to;
}

bool npy_parse(Arena *a, Diags *d, const char *what, const uint8_t *data, size_t size,
               HostTensor *out)
{
	Cursor c = {.arena = a};
	Header h = {0};
	size_t begin;
	int64_t count, bytes;
	*out = (HostTensor){.name = ""};
	if (!split(d, what, data, size, &c, &begin)) return false;
	bool read = c.end - c.at <= LONGEST_HEADER && take_header(&c, &h);
	if (h.descr && !find_dtype(h.descr, &out->dtype)) return bad_dtype(a, d, what, h.descr);
	if (!read) {
		diag_error(d, span_none(), "'%s' has a damaged .npy header: save it again", what);
		return false;
	}
	if (h.rank > HOST_RANK) {
		diag_error(d, span_none(), "'%s' has more than %d dims: reshape it", what, HOST_RANK);
		return false;
	}
	out->rank = h.rank;
	memcpy(out->dims, h.dims, sizeof h.dims);
	if (!host_shape_size(out->dtype, out->rank, out->dims, &count, &bytes)) {
		diag_error(d, span_none(), "'%s' has a shape too large for any memory: save it again",
		           what);
		return false;
	}
	if ((uint64_t)bytes != size - begin) {
		diag_error(d, span_none(),
		           "'%s' %s: %s takes %lld bytes, but %zu follow the header: save it "
		           "again",
		           what, size - begin < (uint64_t)bytes ? "is cut short" : "is too long",
		           host_tensor_type(a, out), (long long)bytes, size - begin);
		return false;
	}
	copy_data(a, out, data + begin, h.fortran, count, bytes);
	return true;
}

bool npy_read(Arena *a, Diags *d, const char *path, HostTensor *out)
{
	const char *why;
	FileMap map;
	*out = (HostTensor){.name = ""};
	if (!file_map(path, &map, &why)) {
		diag_error(d, span_none(), "cannot read '%s': %s", path, why);
		return false;
	}
	bool ok = npy_parse(a, d, path, map.at, map.size, out);
	file_unmap(&map);
	return ok;
}

/* --- writing --- */

static const char *descr_of(DType t)
{
	switch (t) {
	case DT_F16: return "<f2";
	case DT_F64: return "<f8";
	case DT_I8: return "|i1";
	case DT_U8: return "|u1";
	case DT_I32: return "<i4";
	case DT_I64: return "<i8";
	case DT_BOOL: return "|b1";
	default: return "<f4";
	}
}

HostTensor npy_widened(Arena *a, const HostTensor *t)
{
	HostTensor wide = *t;
	int64_t n = host_tensor_count(t);
	switch (t->dtype) {
	case DT_BF16:
	case DT_F8E4M3:
	case DT_F8E5M2: wide.dtype = DT_F32; break;
	case DT_I4: wide.dtype = DT_I8; break;
	default: return wide;
	}
	void *data = arena_array(a, (size_t)n, dtype_bits(wide.dtype) / 8);
	for (int64_t i = 0; i < n; i++)
		dtype_store(wide.dtype, data, i, dtype_load(t->dtype, t->data, i));
	wide.data = data;
	return wide;
}

void npy_header(Text *out, const HostTensor *t)
{
	Text dict = text_new(out->arena);
	text_printf(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr_of(t->dtype));
	for (uint32_t i = 0; i < t->rank; i++)
		text_printf(&dict, "%s%lld", i ? ", " : "", (long long)t->dims[i]);
	text_puts(&dict, t->rank == 1 ? ",), }" : "), }");
	while ((MAGIC_BYTES + 2 + dict.n + 1) % ALIGN_HEADER != 0) text_puts(&dict, " ");
	text_puts(&dict, "\n");
	uint8_t length[2] = {(uint8_t)dict.n, (uint8_t)(dict.n >> 8)};
	text_append(out, "\x93NUMPY\1\0", MAGIC_BYTES);
	text_append(out, (const char *)length, sizeof length);
	text_append(out, dict.at, dict.n);
}

bool npy_write(Diags *d, const char *path, const HostTensor *t)
{
	const char *why;
	FileOut *f = file_out_open(path, &why);
	if (f) {
		HostTensor wide = npy_widened(d->arena, t);
		Text header = text_new(d->arena);
		npy_header(&header, &wide);
		file_out_write(f, header.at, header.n);
		file_out_write(f, wide.data, (size_t)host_tensor_bytes(&wide));
		if (file_out_commit(f, &why)) return true;
	}
	diag_error(d, span_none(), "cannot write '%s': %s", path, why);
	return false;
}
