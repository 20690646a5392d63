/* Units of the tensor files: what is written reads back; what is wrong gives one message. */
#include "frontend/weights.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

static Arena *arena;
static Diags diags;
static char folder[] = "/tmp/nacre-weights-XXXXXX";

static void begin(void)
{
	cr_assert_not_null(mkdtemp(folder));
	arena = arena_new();
	diags = (Diags){.arena = arena};
}

static void end(void)
{
	arena_free(arena);
	rmdir(folder); /* fails, rightly, when a test leaves something */
}

static const char *path_of(const char *name)
{
	return arena_printf(arena, "%s/%s", folder, name);
}

/* The one message reported so far; forgets it. */
static const char *message(void)
{
	cr_assert_eq(diags.errors, 1, "%u messages", diags.errors);
	const char *text = diags.list.at[0]->text;
	diags = (Diags){.arena = arena};
	return text;
}

static void expect_message(const char *part)
{
	const char *m = message();
	cr_assert_not_null(strstr(m, part), "'%s' does not hold '%s'", m, part);
}

/* A safetensors file in memory, exactly sized so that the sanitizer sees every byte too far. */
typedef struct Bytes {
	uint8_t *at;
	size_t n;
} Bytes;

static Bytes safetensors_bytes(const char *header, size_t data)
{
	size_t n = strlen(header);
	Bytes b = {calloc(1, 8 + n + data + 1), 8 + n + data};
	for (int i = 0; i < 8; i++) b.at[i] = (uint8_t)((uint64_t)n >> (8 * i));
	memcpy(b.at + 8, header, n);
	for (size_t i = 0; i < data; i++) b.at[8 + n + i] = (uint8_t)i;
	return b;
}

static Bytes file_bytes(const char *path)
{
	FileMap m;
	const char *why;
	cr_assert(file_map(path, &m, &why));
	Bytes b = {malloc(m.size), m.size};
	memcpy(b.at, m.at, m.size);
	file_unmap(&m);
	return b;
}

static void expect_refused(const char *header, size_t data, const char *part)
{
	TensorFile f;
	Bytes b = safetensors_bytes(header, data);
	cr_assert(!safetensors_parse(arena, &diags, "w.safetensors", b.at, b.n, &f), "%s", header);
	cr_assert_eq(f.n, 0);
	expect_message(part);
	free(b.at);
}

#define T(name, dtype, shape, begin, end)                                                          \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end \
	"]}"

TestSuite(safetensors, .init = begin, .fini = end);
TestSuite(npy, .init = begin, .fini = end);
TestSuite(npz, .init = begin, .fini = end);

Test(safetensors, reads)
{
	TensorFile f;
	Bytes b = safetensors_bytes(
		"{\"__metadata__\":{\"format\":\"pt\"}," T("b", "F32", "[2,3]", 0, 24) "," T(
			"a", "I8", "[3]", 24, 27) "," T("s", "BF16", "[]", 27, 29) "," T("none", "F16", "[0,7]",
	                                                                         29, 29) "}  ",
		29);
	cr_assert(safetensors_parse(arena, &diags, "w", b.at, b.n, &f));
	cr_assert_eq(f.n, 4);
	const HostTensor *t = tensor_file_find(&f, "b");
	cr_assert_not_null(t);
	cr_assert_str_eq(host_tensor_type(arena, t), "f32[2, 3]");
	cr_assert_eq((uintptr_t)t->data % 4, 0, "misaligned");
	cr_assert_eq(memcmp(t->data, b.at + b.n - 29, 24), 0);
	t = tensor_file_find(&f, "s");
	cr_assert_eq(t->rank, 0);
	cr_assert_eq(host_tensor_count(t), 1);
	cr_assert_eq((uintptr_t)t->data % 2, 0, "misaligned");
	t = tensor_file_find(&f, "none");
	cr_assert_eq(host_tensor_count(t), 0);
	cr_assert_not_null(t->data);
	cr_assert_null(tensor_file_find(&f, "c"));
	cr_assert_null(tensor_file_find(&f, "__metadata__"));
	tensor_file_close(&f);
	cr_assert_null(tensor_file_find(&f, "b"));
	free(b.at);
}

Test(safetensors, refuses)
{
	expect_refused("{" T("x", "F32", "[2]", 0, 4) "}", 4,
	               "has 4 bytes of data, but f32[2] takes 8");
	expect_refused("{" T("x", "F32", "[2]", 0, 8) "}", 7, "cut short: tensor 'x' ends at byte 8");
	expect_refused("{" T("x", "F32", "[2]", 0, 8) "}", 9, "bytes 8 to 9 of the data belong to no");
	expect_refused("{" T("x", "F32", "[2]", 4, 12) "}", 12,
	               "bytes 0 to 4 of the data belong to no");
	expect_refused("{" T("x", "I8", "[8]", 0, 8) "," T("y", "I8", "[8]", 4, 12) "}", 12,
	               "tensors 'x' and 'y' overlap at byte 4");
	expect_refused("{" T("x", "I8", "[8]", 0, 8) "," T("y", "I8", "[8]", 0, 8) "}", 8, "overlap");
	expect_refused("{" T("x", "I8", "[4]", 0, 4) "," T("y", "I8", "[4]", 6, 10) "}", 10,
	               "bytes 4 to 6");
	expect_refused("{" T("x", "I8", "[4]", 0, 4) "," T("x", "I8", "[4]", 4, 8) "}", 8, "duplicate");
	expect_refused("{" T("x", "I16", "[4]", 0, 8) "}", 8, "has dtype I16, which is not supported");
	expect_refused("{" T("x", "F32", "[-1]", 0, 8) "}", 8, "is not a whole number");
	expect_refused("{" T("x", "F32", "[2.0]", 0, 8) "}", 8, "is not a whole number");
	expect_refused("{" T("x", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "at most 8");
	expect_refused("{" T("x", "F32", "[4294967296,4294967296]", 0, 4) "}", 4, "too large");
	expect_refused("{" T("x", "F32", "[0,4294967296,4294967296]", 0, 0) "}", 0, "too large");
	expect_refused("{" T("x", "F64", "[1152921504606846976]", 0, 8) "}", 8, "too large");
	expect_refused("{" T("x", "F32", "[2]", 8, 0) "}", 8, "data_offsets [8, 0]");
	expect_refused("{" T("x", "F32", "[2]", -8, 0) "}", 8, "data_offsets [-8, 0]");
	expect_refused("{" T("x", "F32", "[2]", 0, 9223372036854775807) "}", 8, "cut short");
	expect_refused("{" T("x", "F32", "[2]", 0, 9223372036854775808) "}", 8, "not valid");
	expect_refused("{\"x\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4, "tensor 'x' has no dtype");
	expect_refused("{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4,
	               "tensor 'x' has no shape");
	expect_refused("{\"x\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4,
	               "tensor 'x' has no data_offsets");
	expect_refused("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4,
	               "no data_offsets of two");
	expect_refused("{\"x\":3}", 4, "tensor 'x' is not described");
	expect_refused("{\"\\u001b[31m\\u0000\":3}", 4, "not valid");
	expect_refused("{\"\\u001b[31m\":3}", 4, "tensor '?[31m'");
	expect_refused("{} {}", 0, "not valid");
	expect_refused("[1]", 0, "is not a safetensors file");
	expect_refused("{", 0, "only 9 bytes");
}

Test(safetensors, nested_deep_is_refused)
{
	size_t n = 1000000;
	char *header = malloc(n + 6);
	memcpy(header, "{\"a\":", 5);
	memset(header + 5, '[', n);
	header[n + 5] = 0;
	expect_refused(header, 0, "not valid");
	free(header);
}

Test(safetensors, cut_at_every_byte_and_damaged_at_every_byte)
{
	TensorFile f;
	Bytes b = safetensors_bytes(
		"{" T("b", "F32", "[2,3]", 0, 24) "," T("a", "I8", "[3]", 24, 27) "}", 27);
	for (size_t n = 0; n < b.n; n++) {
		uint8_t *cut = malloc(n ? n : 1);
		memcpy(cut, b.at, n);
		cr_assert(!safetensors_parse(arena, &diags, "w", cut, n, &f), "accepted at %zu of %zu", n,
		          b.n);
		message();
		free(cut);
	}
	for (size_t i = 0; i < b.n; i++) {
		uint8_t was = b.at[i];
		for (int v = 0; v < 256; v++) {
			b.at[i] = (uint8_t)v;
			if (!safetensors_parse(arena, &diags, "w", b.at, b.n, &f)) message();
			tensor_file_close(&f);
		}
		b.at[i] = was;
	}
	free(b.at);
}

Test(safetensors, other_files_are_named)
{
	TensorFile f;
	cr_assert(!safetensors_parse(arena, &diags, "w", (const uint8_t *)"PK\3\4..........", 14, &f));
	expect_message("PyTorch");
	cr_assert(!safetensors_parse(arena, &diags, "w", (const uint8_t *)"GGUF..........", 14, &f));
	expect_message("GGUF");
	cr_assert(!safetensors_parse(arena, &diags, "w", (const uint8_t *)"version https://git-lfs.git",
	                             27, &f));
	expect_message("git lfs pull");
	cr_assert(!safetensors_open(arena, &diags, folder, &f));
	expect_message("is a directory, a file is needed");
	cr_assert(!safetensors_open(arena, &diags, path_of("none"), &f));
	expect_message("No such file or directory");
}

Test(safetensors, writes_what_it_reads)
{
	float x[6] = {1, 2, 3, 4, 5, 6};
	int64_t y[1] = {-7};
	uint8_t z[3] = {1, 2, 3};
	const HostTensor list[] = {
		{"z", DT_U8, 1, {3}, z},
		{"x \"q\" é", DT_F32, 2, {2, 3}, x},
		{"y", DT_I64, 0, {0}, y},
		{"e", DT_BF16, 2, {0, 4}, z},
	};
	TensorFile f;
	const char *path = path_of("w.safetensors");
	cr_assert(safetensors_write(&diags, path, list, COUNT(list)));
	cr_assert(tensor_file_open(arena, &diags, path, &f));
	cr_assert_eq(f.n, COUNT(list));
	cr_assert_not_null(f.map.at);
	for (size_t i = 0; i < COUNT(list); i++) {
		const HostTensor *t = tensor_file_find(&f, list[i].name);
		cr_assert_not_null(t);
		cr_assert_eq(t->dtype, list[i].dtype);
		cr_assert_eq(t->rank, list[i].rank);
		cr_assert_eq(memcmp(t->data, list[i].data, (size_t)host_tensor_bytes(t)), 0);
		cr_assert((const uint8_t *)t->data >= f.map.at &&
		              (const uint8_t *)t->data <= f.map.at + f.map.size,
		          "copied although it could be mapped");
	}
	tensor_file_close(&f);
	unlink(path);
	const HostTensor twice[] = {list[0], list[0]}, nibble = {"n", DT_I4, 1, {2}, z},
					 latin = {"\xe9", DT_U8, 1, {3}, z};
	cr_assert(!safetensors_write(&diags, path, twice, 2));
	expect_message("is there twice");
	cr_assert(!safetensors_write(&diags, path, &nibble, 1));
	expect_message("no dtype in safetensors");
	cr_assert(!safetensors_write(&diags, path, &latin, 1));
	expect_message("not UTF-8");
	cr_assert(!safetensors_write(&diags, "/nowhere/at/all", list, 1));
	expect_message("cannot write '/nowhere/at/all': No such file");
	cr_assert_neq(access(path, F_OK), 0, "left behind");
}

/* --- npy --- */

static Bytes npy_bytes(int version, const char *header, size_t data)
{
	size_t n = strlen(header), field = version == 1 ? 2 : 4;
	Bytes b = {malloc(8 + field + n + data), 8 + field + n + data};
	memcpy(b.at, "\x93NUMPY", 6);
	b.at[6] = (uint8_t)version;
	b.at[7] = 0;
	for (size_t i = 0; i < field; i++) b.at[8 + i] = (uint8_t)(n >> (8 * i));
	memcpy(b.at + 8 + field, header, n);
	for (size_t i = 0; i < data; i++) b.at[8 + field + n + i] = (uint8_t)i;
	return b;
}

static void npy_refused(const char *header, size_t data, const char *part)
{
	HostTensor t;
	Bytes b = npy_bytes(1, header, data);
	cr_assert(!npy_parse(arena, &diags, "x.npy", b.at, b.n, &t), "%s", header);
	expect_message(part);
	free(b.at);
}

#define H(descr, order, shape)                                                                     \
	"{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }\n"

Test(npy, reads_all_versions_and_spellings)
{
	static const struct {
		const char *header;
		size_t data;
		const char *type;
	} cases[] = {
		{H("<f4", "False", "(2, 3)"), 24, "f32[2, 3]"},
		{H("<f2", "False", "(3,)"), 6, "f16[3]"},
		{H("<f8", "False", "()"), 8, "f64[]"},
		{H("|i1", "False", "(0, 5)"), 0, "i8[0, 5]"},
		{H("|u1", "False", "(1, 1, 1, 1, 1, 1, 1, 2)"), 2, "u8[1, 1, 1, 1, 1, 1, 1, 2]"},
		{H("<i4", "False", "(2L, 1L)"), 8, "i32[2, 1]"},
		{H("<i8", "False", "(2)"), 16, "i64[2]"},
		{H("|b1", "False", "(4,)"), 4, "bool[4]"},
		{"{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<f4\"}   \n", 8, "f32[2]"},
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		for (int version = 1; version <= 3; version++) {
			HostTensor t;
			Bytes b = npy_bytes(version, cases[i].header, cases[i].data);
			cr_assert(npy_parse(arena, &diags, "x", b.at, b.n, &t), "%s", cases[i].header);
			cr_assert_str_eq(host_tensor_type(arena, &t), cases[i].type);
			cr_assert_not_null(t.data);
			free(b.at);
		}
}

Test(npy, fortran_order_is_converted_and_bools_are_clean)
{
	HostTensor t;
	Bytes b = npy_bytes(1, H("|u1", "True", "(2, 3, 4)"), 24);
	cr_assert(npy_parse(arena, &diags, "x", b.at, b.n, &t));
	const uint8_t *at = t.data;
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 3; j++)
			for (int k = 0; k < 4; k++) cr_assert_eq(*at++, i + 2 * j + 6 * k);
	free(b.at);
	b = npy_bytes(1, H("<f8", "True", "(3, 2)"), 48);
	cr_assert(npy_parse(arena, &diags, "x", b.at, b.n, &t));
	cr_assert_eq(memcmp((const uint8_t *)t.data + 8, b.at + b.n - 24, 8), 0);
	free(b.at);
	b = npy_bytes(1, H("|b1", "False", "(5,)"), 5);
	cr_assert(npy_parse(arena, &diags, "x", b.at, b.n, &t));
	cr_assert_eq(memcmp(t.data, "\0\1\1\1\1", 5), 0);
	free(b.at);
}

Test(npy, refuses)
{
	npy_refused(H("<f4", "False", "(2, 3)"), 23,
	            "is cut short: f32[2, 3] takes 24 bytes, but 23 follow");
	npy_refused(H("<f4", "False", "(2, 3)"), 25, "is too long");
	npy_refused(H(">f4", "False", "(2,)"), 8, "type '>f4'");
	npy_refused(H("<f16", "False", "(2,)"), 8, "type '<f16'");
	npy_refused(H("<V2", "False", "(2,)"), 4, "type '<V2'");
	npy_refused(H("|O", "False", "(2,)"), 16, "type '|O'");
	npy_refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4,
	            "structured");
	npy_refused(H("<f4", "False", "(-2,)"), 8, "damaged");
	npy_refused(H("<f4", "Maybe", "(2,)"), 8, "damaged");
	npy_refused(H("<f4", "False", "(2,"), 8, "damaged");
	npy_refused(H("<f4", "False", "(2,)") "x", 8, "damaged");
	npy_refused(H("<f4", "False", "(99999999999999999999,)"), 8, "damaged");
	npy_refused(H("<f4", "False", "(4294967296, 4294967296)"), 8, "too large");
	npy_refused(H("<f4", "False", "(1,1,1,1,1,1,1,1,1)"), 4, "more than 8 dims");
	npy_refused("{'descr': '<f4', 'shape': (2,)}", 8, "damaged");
	npy_refused("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8,
	            "damaged");
	npy_refused("", 8, "damaged");
	HostTensor t;
	cr_assert(!npy_parse(arena, &diags, "x", NULL, 0, &t));
	expect_message("it is empty");
	cr_assert(!npy_parse(arena, &diags, "x", (const uint8_t *)"\x93NUMPY\4\0\0\0", 10, &t));
	expect_message("version 4");
	cr_assert(!npy_read(arena, &diags, folder, &t));
	expect_message("is a directory, a file is needed");
}

Test(npy, cut_at_every_byte_and_damaged_at_every_byte)
{
	HostTensor t;
	Bytes b = npy_bytes(2, H("<f4", "True", "(2, 3)"), 24);
	for (size_t n = 0; n < b.n; n++) {
		uint8_t *cut = malloc(n ? n : 1);
		memcpy(cut, b.at, n);
		cr_assert(!npy_parse(arena, &diags, "x", cut, n, &t), "accepted at %zu of %zu", n, b.n);
		message();
		free(cut);
	}
	for (size_t i = 0; i < b.n; i++) {
		uint8_t was = b.at[i];
		for (int v = 0; v < 256; v++) {
			b.at[i] = (uint8_t)v;
			if (!npy_parse(arena, &diags, "x", b.at, b.n, &t)) message();
		}
		b.at[i] = was;
	}
	free(b.at);
}

Test(npy, writes_what_numpy_would)
{
	float x[6] = {0, 1, 2, 3, 4, 5};
	HostTensor t = {"x", DT_F32, 2, {2, 3}, x}, back;
	const char *path = path_of("x.npy");
	cr_assert(npy_write(&diags, path, &t));
	Bytes b = file_bytes(path);
	static const char want[] =
		"\x93NUMPY\1\0\x76\0{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
	cr_assert_eq(b.n, 128 + 24);
	cr_assert_eq(memcmp(b.at, want, sizeof want - 1), 0);
	cr_assert_eq(b.at[127], '\n');
	free(b.at);
	cr_assert(npy_read(arena, &diags, path, &back));
	cr_assert_eq(memcmp(back.data, x, sizeof x), 0);

	uint16_t narrow[2] = {0x3f80, 0xc000};
	HostTensor bf16 = {"x", DT_BF16, 1, {2}, narrow};
	cr_assert(npy_write(&diags, path, &bf16));
	cr_assert(npy_read(arena, &diags, path, &back));
	cr_assert_eq(back.dtype, DT_F32);
	cr_assert_eq(((const float *)back.data)[0], 1);
	cr_assert_eq(((const float *)back.data)[1], -2);
	uint8_t nibbles[2] = {0x8f, 0x07};
	HostTensor i4 = {"x", DT_I4, 1, {3}, nibbles};
	cr_assert(npy_write(&diags, path, &i4));
	cr_assert(npy_read(arena, &diags, path, &back));
	cr_assert_eq(memcmp(back.data, "\xff\xf8\x07", 3), 0);
	HostTensor scalar = {"x", DT_I64, 0, {0}, "\1\0\0\0\0\0\0\0"};
	cr_assert(npy_write(&diags, path, &scalar));
	cr_assert(npy_read(arena, &diags, path, &back));
	cr_assert_eq(back.rank, 0);
	unlink(path);
	cr_assert(!npy_write(&diags, folder, &t));
	expect_message("is a directory, a file is needed");
}

/* --- npz --- */

/* A zip of one entry, deflated, as np.savez_compressed makes it. */
static void zip_of(const char *path, const char *entry, const void *data, size_t n)
{
	int error;
	zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &error);
	zip_source_t *source = zip_source_buffer(zip, data, n, 0);
	zip_int64_t index = zip_file_add(zip, entry, source, 0);
	zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_DEFLATE, 0);
	cr_assert_eq(zip_close(zip), 0);
}

Test(npz, writes_what_it_reads)
{
	float x[6] = {1, 2, 3, 4, 5, 6};
	int32_t y[1] = {-7};
	const HostTensor list[] = {
		{"layer.0/q é", DT_F32, 2, {2, 3}, x}, {"y", DT_I32, 0, {0}, y}, {"e", DT_U8, 1, {0}, x}};
	const char *path = path_of("x.npz"), *other = path_of("y.npz");
	TensorFile f;
	cr_assert(npz_write(&diags, path, list, COUNT(list)));
	cr_assert(npz_write(&diags, other, list, COUNT(list)));
	Bytes a = file_bytes(path), b = file_bytes(other);
	cr_assert(a.n == b.n && memcmp(a.at, b.at, a.n) == 0, "not reproducible");
	free(b.at);
	unlink(other);
	cr_assert(tensor_file_open(arena, &diags, path, &f));
	cr_assert_eq(f.n, 3);
	for (size_t i = 0; i < COUNT(list); i++) {
		const HostTensor *t = tensor_file_find(&f, list[i].name);
		cr_assert_not_null(t);
		cr_assert_eq(memcmp(t->data, list[i].data, (size_t)host_tensor_bytes(t)), 0);
	}
	tensor_file_close(&f);
	for (size_t n = 0; n < a.n; n++) {
		uint8_t *cut = malloc(n ? n : 1);
		memcpy(cut, a.at, n);
		cr_assert(!npz_parse(arena, &diags, "x", cut, n, &f), "accepted at %zu of %zu", n, a.n);
		message();
		free(cut);
	}
	for (size_t i = 0; i < a.n; i++) {
		uint8_t was = a.at[i];
		for (int v = 0; v < 256; v += 15) {
			a.at[i] = (uint8_t)v;
			if (!npz_parse(arena, &diags, "x", a.at, a.n, &f)) message();
		}
		a.at[i] = was;
	}
	free(a.at);
	cr_assert(npz_write(&diags, path, NULL, 0));
	cr_assert(tensor_file_open(arena, &diags, path, &f));
	cr_assert_eq(f.n, 0);
	unlink(path);
	cr_assert(!npz_write(&diags, "/nowhere/at/all", list, 1));
	expect_message("No such file or directory");
	const HostTensor twice[] = {list[1], list[1]};
	cr_assert(!npz_write(&diags, path, twice, 2));
	expect_message("cannot write");
	cr_assert_neq(access(path, F_OK), 0, "left behind");
}

Test(npz, deflated_and_refused)
{
	TensorFile f;
	const char *path = path_of("x.npz");
	Bytes b = npy_bytes(1, H("|u1", "False", "(100, 100)"), 10000);
	zip_of(path, "big.npy", b.at, b.n);
	cr_assert(npz_read(arena, &diags, path, &f));
	cr_assert_eq(f.n, 1);
	cr_assert_eq(memcmp(tensor_file_find(&f, "big")->data, b.at + b.n - 10000, 10000), 0);
	zip_of(path, "notes.txt", b.at, b.n);
	cr_assert(!npz_read(arena, &diags, path, &f));
	expect_message("entry 'notes.txt' is no .npy array");
	zip_of(path, "cut.npy", b.at, b.n - 1);
	cr_assert(!npz_read(arena, &diags, path, &f));
	expect_message("cut.npy' is cut short");
	unlink(path);
	free(b.at);
	cr_assert(!npz_read(arena, &diags, folder, &f));
	expect_message("is a directory, a file is needed");
	cr_assert(!npz_parse(arena, &diags, "x", (const uint8_t *)"", 0, &f));
	expect_message("it is empty");
}

/* --- files that others wrote --- */

TestSuite(shared, .init = begin, .fini = end);

Test(shared, real_files)
{
	const char *models = NACRE_SOURCE_DIR "/../shared/models";
	TensorFile f;
	HostTensor t;
	if (access(models, R_OK) != 0) cr_skip_test("no ../shared/models here");
	const char *llama = arena_printf(arena, "%s/tinystories-656k/model.safetensors", models);
	cr_assert(safetensors_open(arena, &diags, llama, &f));
	const HostTensor *head = tensor_file_find(&f, "lm_head.weight");
	cr_assert_str_eq(host_tensor_type(arena, head), "f32[2048, 128]");
	cr_assert(isfinite(dtype_load(head->dtype, head->data, 2048 * 128 - 1)));
	tensor_file_close(&f);
	const char *logits = arena_printf(arena, "%s/tinystories-656k/logits_One.npy", models);
	cr_assert(npy_read(arena, &diags, logits, &t));
	cr_assert_eq(t.dtype, DT_F32);
	const char *sort = arena_printf(arena, "%s/gpt-nano-sort/intermediates.safetensors", models);
	cr_assert(tensor_file_open(arena, &diags, sort, &f));
	cr_assert_gt(f.n, 0);
	tensor_file_close(&f);
}
