/* Tile IR: the text form round-trips, encodings agree with their definition counted by hand, and
 * hostile text gives a message. */
#include "ir/tile/tile.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static TileProgram *parse(Arena *a, const char *text, Diags *d)
{
	*d = (Diags){.arena = a};
	return tile_parse(a, d, source_from_text(a, "test.tile", text, strlen(text)));
}

static const char *rendered(Arena *a, const Diags *d)
{
	Text t = text_new(a);
	diags_render(d, &t);
	return t.at;
}

static TileProgram *parsed(Arena *a, const char *text)
{
	Diags d;
	TileProgram *p = parse(a, text, &d);
	cr_assert(p, "%s", rendered(a, &d));
	return p;
}

static const char *printed(Arena *a, const TileProgram *p)
{
	Text t = text_new(a);
	tile_print(&t, p);
	return t.at;
}

/* Everything that the text form has, in the canonical form. */
static const char everything[] =
	"program everything\n"
	"session dim B in 1..64\n"
	"dim T in 1..512\n"
	"dim S in 1..T\n"
	"state pos in 0..T\n"
	"require T - S - pos >= 0 \"pos + S <= T\"\n"
	"in x f32[S, 768]\n"
	"in ids i32[S]\n"
	"weight w bf16[12, 768, 3072] pack(32, 2) key \"layers.w\\nlayers.1.w\"\n"
	"weight q i4[768, 64] i4(32, 16) key \"q\"\n"
	"weight table f32[2, 7] = { 1, 2, 3, -inf, 0.5, 6, 7, 8, 9, 10, 11, 12,\n"
	"  13, 2.5 }\n"
	"state cache f32[B, T, 64]\n"
	"arena h f32[S, 3072] pad 16\n"
	"out y f32[S, 3072]\n"
	"out best i32[S, 4]\n"
	"weight \"odd name\" f32[]\n"
	"\n"
	"kernel ffn(\n"
	"  in x f32[S, 768],\n"
	"  weight w bf16[768, 3072] pack(32, 2),\n"
	"  weight b f32[3072],\n"
	"  out y f32[S, 3072] pad 16) note \"model.nac:3\" {\n"
	"  par (m, mh) in 0..S by 128 stages 2 ways 2 {\n"
	"    par n in 0..3072 by 32 {\n"
	"      split (i, h) in mh by 14 {\n"
	"        place c f32[14, 32] acc\n"
	"        contract c[r, j] = x[m + i + r, k] * w[k, n + j] over r < h, j < 32, k < 768\n"
	"        put y[m + i + r, n + j] = (c[r, j], b[n + j]) { c, b -> gelu(c + b) } over r < h, j < 32\n"
	"      }\n"
	"    }\n"
	"  }\n"
	"}\n"
	"\n"
	"kernel rest(\n"
	"  in h f32[S, 3072],\n"
	"  in ids i32[S],\n"
	"  state cache f32[B, T, 64],\n"
	"  out y f32[S, 3072],\n"
	"  out best i32[S, 4]) {\n"
	"  for i in 0..S {\n"
	"    index r = ids[i] in 0..3072\n"
	"    place m f32[1] near\n"
	"    place v f32[3072] shared\n"
	"    place p i32[3072]\n"
	"    if i < S//2 and r != 3 {\n"
	"      reduce max m[0] = h[r, k] over k < 3072\n"
	"      reduce max m[0] max= (h[i, k]) { h -> abs(h) } over k < 3072\n"
	"      bring v[k] = h[rows(ids[i]), k] else 0 over k < 3072\n"
	"    } else {\n"
	"      map v[k], m[0] = () { -> f32([k + pos*2]) * 2.0, 0.0 } over k < 3072\n"
	"    }\n"
	"    scan sum v[k] = v[k] along k over k < 3072\n"
	"    sort v[k], p[k] = v[k] along k descending over k < 3072\n"
	"    topk v[q], best[i, q] = v[k] along k over k < 3072, q < 4\n"
	"    softmax_step v[k], m[j], m[j], m[j] = v[k] scale 0.125 over j < 1, k < 3072\n"
	"    put y[i, k] += (v[k], v[k + 1] else -inf) { v, v_2 -> t0 = v - (v_2 - 1.0); select(t0 < 0.0, "
	"-t0, bf16(t0) * neg(1.0)) } over k < 3072\n"
	"  }\n"
	"}\n"
	"\n"
	"prepack make(x) -> () {\n"
	"}\n"
	"\n"
	"entry forward(x, ids) -> (y, best) {\n"
	"  require S - 2 >= 0 \"S >= 2\"\n"
	"  loop l < 12 {\n"
	"    launch ffn(x, w[l], \"odd name\", h)\n"
	"  }\n"
	"  launch rest(h, ids, cache, y, best)\n"
	"  set pos = S + pos\n"
	"}\n";

Test(tile, round_trip)
{
	Arena *a = arena_new();
	const char *one = printed(a, parsed(a, everything));
	const char *two = printed(a, parsed(a, one));
	cr_assert_str_eq(one, two);
	/* what differs from the text above is only the order of terms in one expression */
	Text expected = text_new(a);
	for (const char *c = everything; *c; c++) {
		const char *from = "[k + pos*2]", *to = "[2*pos + k]";
		if (strncmp(c, from, strlen(from)) == 0) {
			text_puts(&expected, to);
			c += strlen(from) - 1;
		} else {
			text_append(&expected, c, 1);
		}
	}
	cr_assert_str_eq(one, expected.at);
	arena_free(a);
}

Test(tile, free_form)
{
	Arena *a = arena_new();
	static const char text[] = "program p  # a comment\n"
							   "dim n in 1..9 require n<=8\n"
							   "kernel k(in x f32[n] , out y f32[n])\n{ # another\n"
							   "  put y[i] = (x[i]) { a -> t = a*2; (t + t) * ([n - i] < [ 3 ]) }\n"
							   "    over i < n }";
	const char *one = printed(a, parsed(a, text));
	cr_assert(strstr(one, "require -n + 8 >= 0 \"n<=8\""), "%s", one);
	cr_assert(
		strstr(one,
	           "put y[i] = (x[i]) { x -> t0 = x * 2.0; (t0 + t0) * ([n - i] < [3]) } over i < n"),
		"%s", one);
	cr_assert(strstr(one, "entry k(x) -> (y) {\n  launch k(x, y)\n}"), "%s", one);
	cr_assert_str_eq(one, printed(a, parsed(a, one)));
	arena_free(a);
}

/* Names that are equal in a program made by a builder are told apart in its text. */
Test(tile, names)
{
	Arena *a = arena_new();
	DimPool *dims = dim_pool_new(a);
	TileProgram *p = tile_program_new(a, dims, interner_new(a), "a b");
	Dim n = dim_const(dims, 8), zero = dim_const(dims, 0);
	TileKernel *k = tile_kernel(p, "k");
	TileObj *x = tile_formal(p, k, TB_IN, "x", DT_F32, 1, &n),
			*y = tile_formal(p, k, TB_OUT, "x", DT_F32, 1, &n);
	TileStmt *loop = tile_stmt(p, &k->body, TILE_FOR);
	loop->var = dim_sym_new(dims, "i", SYM_LOOP, zero, dim_const(dims, 1), span_none());
	loop->lo = zero;
	loop->hi = dim_const(dims, 2);
	TileStmt *s = tile_stmt(p, &loop->body, TILE_PUT);
	s->space[0] = (TileVar){dim_sym_new(dims, "i", SYM_LOOP, zero, dim_const(dims, 3), span_none()),
	                        dim_const(dims, 4)};
	s->n_space = s->n_in = s->n_out = 1;
	Dim index =
		dim_add(dims, dim_sym(dims, s->space[0].sym), dim_mulc(dims, dim_sym(dims, loop->var), 4));
	s->in[0] = (TileAccess){.obj = x, .index = {index}};
	s->out[0] = (TileAccess){.obj = y, .index = {index}};
	const char *one = printed(a, p);
	cr_assert(strstr(one, "program \"a b\"\n"), "%s", one);
	cr_assert(strstr(one, "put x_2[4*i + i_2] = x[4*i + i_2] over i_2 < 4"), "%s", one);
	tile_default_entries(p);
	one = printed(a, p);
	cr_assert_str_eq(one, printed(a, parsed(a, one)));
	arena_free(a);
}

Test(tile, liveness)
{
	Arena *a = arena_new();
	TileProgram *p = parsed(
		a,
		"program p dim n in 1..4 in x f32[n] out y f32[n]\n"
		"arena a f32[n] arena b f32[n] arena c f32[n] arena d f32[n]\n"
		"kernel k(in x f32[n], out y f32[n]) { put y[i] = x[i] over i < n }\n"
		"entry e(x) -> (y) { launch k(x, a) launch k(x, d) loop l < 3 { launch k(a, b) launch k(b, a) launch k(d, c) launch k(c, c) }\n"
		"launch k(a, y) }");
	static const uint32_t want[][2] = {{0, 6}, {2, 3}, {4, 5}, {1, 5}};
	cr_assert_eq(p->entries.at[0]->launches, 7);
	for (uint32_t i = 0; i < 4; i++) {
		const TileObj *b = p->bufs.at[2 + i];
		cr_assert(b->live_first == want[i][0] && b->live_last == want[i][1], "%s: %u..%u", b->name,
		          b->live_first, b->live_last);
	}
	arena_free(a);
}

/* --- encodings --- */

/* Every element lies at a place of its own, within the size, and reads back. */
static void check_encoding(Encoding e, DType t, uint32_t rank, const int64_t *dims)
{
	Arena *a = arena_new();
	int64_t n = 1, bytes = encoding_bytes(&e, t, rank, dims);
	for (uint32_t i = 0; i < rank; i++) n *= dims[i];
	double *dense = NEW_ARRAY(a, double, n + 1), *back = NEW_ARRAY(a, double, n + 1);
	for (int64_t i = 0; i < n; i++) dense[i] = (double)(i * 37 % 15 - 7);
	char *base = arena_alloc(a, (size_t)bytes + 1), *again = arena_alloc(a, (size_t)bytes + 1);
	base[bytes] = 77;
	encoding_pack(&e, t, rank, dims, dense, base);
	encoding_unpack(&e, t, rank, dims, base, back);
	for (int64_t i = 0; i < n; i++)
		cr_assert_float_eq(dense[i], back[i], e.kind == ENC_I4 ? 0.51 : 0);
	cr_assert_eq(base[bytes], 77);
	int64_t index[TILE_RANK] = {0};
	memcpy(again, base, (size_t)bytes);
	for (int64_t i = 0; i < n; i++) { /* storing what is there changes nothing */
		int64_t rest = i;
		for (uint32_t d = rank; d-- > 0; rest /= dims[d]) index[d] = rest % dims[d];
		encoding_store(&e, t, rank, dims, again, index,
		               encoding_load(&e, t, rank, dims, base, index));
	}
	cr_assert(memcmp(again, base, (size_t)bytes) == 0);
	Dim sizes[TILE_RANK];
	int64_t counted = 0;
	DimPool *p = dim_pool_new(a);
	for (uint32_t i = 0; i < rank; i++) sizes[i] = dim_const(p, dims[i]);
	cr_assert(dim_is_const(encoding_bytes_dim(p, &e, t, rank, sizes), &counted) &&
	          counted == bytes);
	arena_free(a);
}

Test(encoding, all)
{
	static const int64_t shapes[][3] = {{1, 1, 1},   {2, 7, 5},   {3, 64, 33},
	                                    {1, 31, 16}, {2, 65, 40}, {1, 1, 7}};
	static const Encoding list[] = {{.kind = ENC_PLAIN},
	                                {.kind = ENC_PLAIN, .pad = 3},
	                                {.kind = ENC_PACK, .nb = 16, .kg = 1},
	                                {.kind = ENC_PACK, .nb = 6, .kg = 4},
	                                {.kind = ENC_I4, .nb = 16, .group = 32},
	                                {.kind = ENC_I4, .nb = 3, .group = 2}};
	for (size_t i = 0; i < COUNT(shapes); i++)
		for (size_t k = 0; k < COUNT(list); k++) {
			check_encoding(list[k], list[k].kind == ENC_I4 ? DT_I4 : DT_F32, 3, shapes[i]);
			check_encoding(list[k], list[k].kind == ENC_I4 ? DT_I4 : DT_I8, 2, shapes[i] + 1);
			if (list[k].kind == ENC_PLAIN) check_encoding(list[k], DT_BF16, 1, shapes[i] + 1);
			if (list[k].kind == ENC_PLAIN) check_encoding(list[k], DT_I4, 3, shapes[i]);
		}
	check_encoding((Encoding){0}, DT_F32, 0, NULL);
}

/* The definitions of tile.h, written out. */
Test(encoding, panels)
{
	Arena *a = arena_new();
	int64_t dims[] = {5, 7};
	double dense[35];
	for (int i = 0; i < 35; i++) dense[i] = i + 1;
	Encoding e = {.kind = ENC_PACK, .nb = 4, .kg = 2};
	cr_assert_eq(encoding_bytes(&e, DT_I8, 2, dims), 2 * 3 * 4 * 2);
	int8_t *base = arena_alloc(a, 48);
	encoding_pack(&e, DT_I8, 2, dims, dense, base);
	for (int p = 0; p < 2; p++)
		for (int g = 0; g < 3; g++)
			for (int n = 0; n < 4; n++)
				for (int k = 0; k < 2; k++) {
					bool live = 2 * g + k < 5 && 4 * p + n < 7;
					cr_assert_eq(base[((p * 3 + g) * 4 + n) * 2 + k],
					             live ? (2 * g + k) * 7 + 4 * p + n + 1 : 0);
				}
	arena_free(a);
}

Test(encoding, nibbles)
{
	Arena *a = arena_new();
	int64_t dims[] = {6, 3};
	double dense[18];
	for (int i = 0; i < 18; i++) dense[i] = i % 2 ? -i : i;
	Encoding e = {.kind = ENC_I4, .nb = 2, .group = 4};
	/* 2 panels of 2 groups, each 2 scales and 2 rows of 2 bytes */
	cr_assert_eq(encoding_bytes(&e, DT_I4, 2, dims), 2 * 2 * (8 + 4));
	uint8_t *base = arena_alloc(a, 48);
	encoding_pack(&e, DT_I4, 2, dims, dense, base);
	for (int k = 0; k < 6; k++)
		for (int n = 0; n < 3; n++) {
			uint8_t *group = base + (n / 2 * 2 + k / 4) * 12;
			float scale;
			memcpy(&scale, group + 4 * (n % 2), 4);
			double most = 0;
			for (int i = k / 4 * 4; i < k / 4 * 4 + 4 && i < 6; i++)
				most = fmax(most, fabs(dense[i * 3 + n]));
			cr_assert_eq(scale, (float)(most / 7));
			int q = group[8 + k % 4 % 2 * 2 + n % 2] >> (k % 4 < 2 ? 0 : 4) & 15;
			q = q < 8 ? q : q - 16;
			cr_assert_eq(q, (int)rint(dense[k * 3 + n] / (double)scale));
			cr_assert_eq(encoding_load(&e, DT_I4, 2, dims, base, (int64_t[]){k, n}),
			             q * (double)scale);
		}
	arena_free(a);
}

Test(encoding, overflow)
{
	int64_t huge[] = {INT64_MAX / 2, 3}, negative[] = {4, -1};
	Encoding plain = {0}, pack = {.kind = ENC_PACK, .nb = 16, .kg = 1};
	cr_assert_eq(encoding_bytes(&plain, DT_F32, 2, huge), -1);
	cr_assert_eq(encoding_bytes(&pack, DT_F32, 2, huge), -1);
	cr_assert_eq(encoding_bytes(&plain, DT_F32, 2, negative), -1);
	cr_assert_eq(encoding_bytes(&pack, DT_F32, 1, negative), -1);
}

/* --- hostile text --- */

static void refused(const char *text, const char *message)
{
	Arena *a = arena_new();
	Diags d;
	cr_assert_null(parse(a, text, &d), "accepted: %s", text);
	cr_assert_eq(d.errors, 1, "%s", rendered(a, &d));
	cr_assert(strstr(rendered(a, &d), message), "%s", rendered(a, &d));
	arena_free(a);
}

#define KERNEL                                                                                     \
	"program p\ndim n in 1..9\nkernel k(in x f32[n], in z f32[n, 2], in ids i32[n], out y f32[n]) { "

Test(tile, messages)
{
	refused("", "expected `program`");
	refused("program", "expected a name");
	refused("program p kernel", "expected a name");
	refused("program p dim n in 0..", "expected an index expression");
	refused("program p in x f33[2]", "`f33` is no element type");
	refused("program p in x f32[1,1,1,1,1,1,1,1,1]", "more than 8 dimensions");
	refused("program p in x f32[2] in x f32[2]", "`x` is visible here already");
	refused("program p in x f32[2] pack(16, 1)", "panels need two dimensions");
	refused("program p weight x f32[2] = { 1, 2, 3 }", "`x` has 2 elements, the literal 3");
	refused("program p weight x f32[9999999999, 9999999999] = { 1 }",
	        "a literal needs constant dimensions");
	refused("program p weight x i4[2, 2] i4(3, 16)", "the size of a group must be even");
	refused("program p weight x f32[2] key \"abc", "the string does not end");
	refused("program p weight x f32[2] key \"\\x00\"", "no zero byte");
	refused("program p entry e() -> (q) {}", "the program has no buffer `q`");
	refused("program p entry e() -> () { launch k() }", "no kernel `k` above");
	refused("program p dim n in 1..2 entry e() -> () { set n = n }", "`n` is no state dim");
	refused(KERNEL "put y[i] = x[i] over i < m }", "`m` is no index visible here");
	refused(KERNEL "put y[i] = w[i] over i < n }", "`w` is no buffer of this kernel");
	refused(KERNEL "put y[i, 0] = x[i] over i < n }", "`y` has 1 dimension, not 2");
	refused(KERNEL "put y[i] = x[i] over i < n, n < 3 }", "`n` is visible here already");
	refused(KERNEL "put y[i] = (x[i]) { x, z -> x } over i < n }",
	        "more arguments than the statement has inputs (1)");
	refused(KERNEL "put y[i] = (x[i]) { x -> x, x } over i < n }",
	        "the region has 2 results, the statement has 1");
	refused(KERNEL "put y[i] = (x[i]) { x -> foo(x) } over i < n }", "`foo` is no scalar function");
	refused(KERNEL "put y[i] = (x[i]) { x -> exp(x, x) } over i < n }",
	        "`exp` has 1 operand, not 2");
	refused(KERNEL "put y[i] = (x[i]) { x -> i } over i < n }",
	        "`i` is no argument of this region");
	refused(KERNEL "put y[i] = (x[i]) { x -> 99999999999 } over i < n }", "does not fit 32 bits");
	refused(KERNEL "put y[i] = x[rows(rows(ids[i]))] over i < n }", "`rows` is no buffer");
	refused(KERNEL "put y[i] = z[rows(ids[i]), rows(ids[i])] over i < n }",
	        "only one dimension can be gathered");
	refused(KERNEL "place c f32[n] }", "the capacity of place `c` must be constant");
	refused(KERNEL "for i in 0..n by 0 { } }", "a step is from 1 to");
	refused(KERNEL "split (i, h) in n { } }", "expected `by`");
	refused(KERNEL "for (i, i) in 0..n by 2 { } }", "the offset and the length have the same name");
	refused(KERNEL "if n > 3 { } }", "expected `<`, `<=`, `==` or `!=`");
	refused(KERNEL "jump y[i] }", "expected a statement");
	refused(KERNEL "put y[i] = x[i / 2] over i < n }", "expected `]`");
	refused(KERNEL "put y[i] = x[i // 0] over i < n }", "division by zero");
	refused(KERNEL "put y[0] = x[9223372036854775807 * 2] }", "overflows 64 bits");
	refused(KERNEL "put y[0] = x[99999999999999999999] }", "does not fit 64 bits");
	refused(KERNEL "sort y[i], ids[i] = x[i] along j over i < n }", "`j` is no space variable");
}

static const char *repeated(Arena *a, const char *before, const char *again, int n,
                            const char *after)
{
	Text t = text_new(a);
	text_puts(&t, before);
	for (int i = 0; i < n; i++) text_puts(&t, again);
	text_puts(&t, after);
	return t.at;
}

Test(tile, depth)
{
	Arena *a = arena_new();
	refused(repeated(a, KERNEL, "if 0 < n { ", 100000, ""), "blocks are nested more than 64 deep");
	refused(repeated(a, KERNEL "put y[0] = x[", "(", 100000, ""), "nested too deeply");
	refused(repeated(a, KERNEL "put y[0] = () { -> ", "(", 100000, ""), "nested too deeply");
	refused(repeated(a, KERNEL "put y[0] = () { -> ", "-", 100000, ""), "nested too deeply");
	refused(repeated(a, KERNEL "put y[0] = () { -> 1", "+1", 100000, ""), "at most 256 operations");
	refused(repeated(a, KERNEL "put y[0] = x[", "rows(ids[", 100000, ""),
	        "gathers are nested too deeply");
	refused(repeated(a, KERNEL "put y[0] = (x[0]", ", x[0]", 20, ""), "at most 12 inputs");
	refused(repeated(a, KERNEL "put y[0]", ", y[0]", 20, ""), "at most 6 results");
	refused(repeated(a, "program p entry e() -> () {", "loop l < 2 {", 100000, ""),
	        "visible here already");
	/* what is printed of the deepest region can be read again */
	const char *deep = repeated(
		a, repeated(a, KERNEL "put y[0] = (x[0]) { x -> ", "exp(", 255, "x"), ")", 255, " } }");
	const char *one = printed(a, parsed(a, deep));
	cr_assert_str_eq(one, printed(a, parsed(a, one)));
	arena_free(a);
}

/* Every truncation and every changed byte of a program that has everything. */
Test(tile, mutations)
{
	static const char marks[] = "({[]})\"<,-09 x";
	size_t n = strlen(everything);
	for (size_t i = 0; i < n; i++) {
		Arena *a = arena_new();
		Diags d;
		char *text = arena_strdup(a, everything);
		text[i] = 0;
		parse(a, text, &d);
		strcpy(text, everything);
		text[i] = marks[i % (sizeof marks - 1)];
		TileProgram *p = parse(a, text, &d);
		if (p) {
			const char *one = printed(a, p);
			cr_assert_str_eq(one, printed(a, parsed(a, one)));
		}
		arena_free(a);
	}
}
