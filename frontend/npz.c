/* .npz: a zip of .npy files, through libzip. The archive is read from, and made in, memory, so that
 * files are opened and put into place in one way everywhere. */
#include "frontend/weights.h"

#include <string.h>
#include <zip.h>

/* Deflate cannot do better than this; an entry that claims more is a lie. */
enum { DEFLATE_RATIO = 1032 };

/* One archive that is read. */
typedef struct Archive {
	Arena *arena;
	Diags *diags;
	const char *path;
	size_t size; /* of the whole file */
	zip_t *zip;
} Archive;

static bool wrong(const Archive *z, const char *entry, const char *what)
{
	diag_error(z->diags, span_none(), "'%s': entry '%s' %s", z->path, shown_name(z->arena, entry),
	           what);
	return false;
}

/* The bytes of an entry, inflated and verified against its CRC. */
static bool read_bytes(const Archive *z, zip_uint64_t index, const zip_stat_t *st, uint8_t **out)
{
	if (st->size / DEFLATE_RATIO > z->size)
		return wrong(z, st->name, "claims a size that it cannot have: save the file again");
	zip_file_t *f = zip_fopen_index(z->zip, index, 0);
	if (!f) return wrong(z, st->name, zip_strerror(z->zip));
	uint8_t *data = arena_alloc(z->arena, (size_t)st->size), more;
	zip_uint64_t n = 0;
	zip_int64_t got = 1;
	while (n < st->size && got > 0) {
		got = zip_fread(f, data + n, st->size - n);
		if (got > 0) n += (zip_uint64_t)got;
	}
	/* The checksum is compared when the end is reached. */
	if (got >= 0 && n == st->size) got = zip_fread(f, &more, 1);
	const char *why = got < 0 ? arena_printf(z->arena, "is damaged (%s): save the file again",
	                                         zip_file_strerror(f))
	                          : "has not the size that it claims: save the file again";
	bool ok = got == 0 && n == st->size;
	zip_fclose(f);
	*out = data;
	return ok || wrong(z, st->name, why);
}

static bool read_entry(const Archive *z, zip_uint64_t index, HostTensor *t)
{
	zip_stat_t st;
	uint8_t *data = NULL;
	zip_uint64_t need = ZIP_STAT_NAME | ZIP_STAT_SIZE;
	if (zip_stat_index(z->zip, index, 0, &st) != 0 || (st.valid & need) != need) {
		diag_error(z->diags, span_none(), "'%s': entry %llu is damaged: save the file again",
		           z->path, (unsigned long long)index);
		return false;
	}
	size_t n = strlen(st.name);
	if (n < 4 || strcmp(st.name + n - 4, ".npy") != 0)
		return wrong(z, st.name, "is no .npy array: an .npz holds nothing else");
	if (!read_bytes(z, index, &st, &data)) return false;
	const char *what = arena_printf(z->arena, "%s: %s", z->path, shown_name(z->arena, st.name));
	if (!npy_parse(z->arena, z->diags, what, data, (size_t)st.size, t)) return false;
	t->name = arena_strndup(z->arena, st.name, n - 4);
	return true;
}

static bool read_entries(const Archive *z, TensorFile *out)
{
	zip_int64_t entries = zip_get_num_entries(z->zip, 0);
	size_t n = entries > 0 ? (size_t)entries : 0;
	out->list = NEW_ARRAY(z->arena, HostTensor, n + 1);
	for (size_t i = 0; i < n; i++)
		if (!read_entry(z, i, &out->list[i])) return false;
	out->n = n;
	const char *twice = host_tensors_sort(out->list, n);
	return !twice || wrong(z, twice, "is there twice: save the file again");
}

bool npz_parse(Arena *a, Diags *d, const char *path, const uint8_t *data, size_t size,
               TensorFile *out)
{
	zip_error_t error;
	*out = (TensorFile){.path = path};
	if (size == 0) { /* an archive without entries to libzip */
		diag_error(d, span_none(), "'%s' is not an .npz file: it is empty", path);
		return false;
	}
	zip_error_init(&error);
	zip_source_t *source = zip_source_buffer_create(data, size, 0, &error);
	zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
	if (!zip) {
		diag_error(d, span_none(), "'%s' is not an .npz file, or is cut short: %s", path,
		           zip_error_strerror(&error));
		if (source) zip_source_free(source);
		zip_error_fini(&error);
		return false;
	}
	Archive z = {a, d, path, size, zip};
	bool ok = read_entries(&z, out);
	zip_discard(zip);
	zip_error_fini(&error);
	if (!ok) *out = (TensorFile){.path = path};
	return ok;
}

bool npz_read(Arena *a, Diags *d, const char *path, TensorFile *out)
{
	const char *why;
	FileMap map;
	*out = (TensorFile){.path = path};
	if (!file_map(path, &map, &why)) {
		diag_error(d, span_none(), "cannot read '%s': %s", path, why);
		return false;
	}
	bool ok = npz_parse(a, d, path, map.at, map.size, out);
	file_unmap(&map);
	return ok;
}

/* --- writing --- */

/* Adds t as NAME.npy; its bytes stay where they are until the archive is closed. */
static bool add_entry(Arena *a, zip_t *zip, const HostTensor *t)
{
	HostTensor wide = npy_widened(a, t);
	Text header = text_new(a);
	npy_header(&header, &wide);
	const zip_buffer_fragment_t parts[] = {
		{(zip_uint8_t *)header.at, header.n},
		{(zip_uint8_t *)(uintptr_t)wide.data, (zip_uint64_t)host_tensor_bytes(&wide)},
	};
	zip_source_t *source = zip_source_buffer_fragment(zip, parts, parts[1].length ? 2 : 1, 0);
	if (!source) return false;
	zip_int64_t index =
		zip_file_add(zip, arena_printf(a, "%s.npy", t->name), source, ZIP_FL_ENC_UTF_8);
	if (index < 0) {
		zip_source_free(source);
		return false;
	}
	return zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
	       zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 0x21, 0) == 0; /* 1980-01-01 */
}

/* An archive without entries; libzip would write no file at all. */
static bool put_empty(const char *path, const char **why)
{
	static const uint8_t end_of_directory[22] = {'P', 'K', 5, 6};
	FileOut *f = file_out_open(path, why);
	if (!f) return false;
	file_out_write(f, end_of_directory, sizeof end_of_directory);
	return file_out_commit(f, why);
}

/* The finished archive of `source` to a file. */
static bool put_archive(zip_source_t *source, const char *path, const char **why)
{
	uint8_t piece[64 * 1024];
	zip_int64_t got;
	FileOut *f = file_out_open(path, why);
	if (!f) return false;
	if (zip_source_open(source) != 0) {
		*why = "out of memory";
		file_out_abandon(f);
		return false;
	}
	while ((got = zip_source_read(source, piece, sizeof piece)) > 0)
		file_out_write(f, piece, (size_t)got);
	zip_source_close(source);
	return file_out_commit(f, why);
}

/* The archive of list into source. */
static bool fill_archive(Arena *a, zip_source_t *source, const HostTensor *list, size_t n,
                         const char **why)
{
	zip_error_t error;
	zip_error_init(&error);
	zip_t *zip = zip_open_from_source(source, ZIP_TRUNCATE, &error);
	if (!zip) {
		*why = arena_strdup(a, zip_error_strerror(&error));
		zip_error_fini(&error);
		return false;
	}
	zip_source_keep(source); /* closing the archive gives up one reference */
	bool ok = true;
	for (size_t i = 0; i < n && ok; i++) ok = add_entry(a, zip, &list[i]);
	if (ok && zip_close(zip) == 0) return true;
	*why = arena_strdup(a, zip_strerror(zip));
	zip_discard(zip);
	return false;
}

bool npz_write(Diags *d, const char *path, const HostTensor *list, size_t n)
{
	const char *why = "out of memory";
	bool ok = false;
	if (n == 0) {
		ok = put_empty(path, &why);
	} else {
		zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, NULL);
		if (source) {
			ok = fill_archive(d->arena, source, list, n, &why) && put_archive(source, path, &why);
			zip_source_free(source);
		}
	}
	if (!ok) diag_error(d, span_none(), "cannot write '%s': %s", path, why);
	return ok;
}
