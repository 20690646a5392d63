/* Units of the instruction set: encoding, the program file, assembly text. */
#include "isa/isa.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static Arena *arena;
static Diags diags;

static void begin(void)
{
	arena = arena_new();
	diags = (Diags){.arena = arena};
}

static void end(void)
{
	arena_free(arena);
}

TestSuite(isa, .init = begin, .fini = end);

static PearlProgram *assemble(const char *text, size_t n)
{
	PearlProgram *p = pearl_assemble(arena, &diags, source_from_text(arena, "test.pasm", text, n));
	if (!p) {
		Text t = text_new(arena);
		diags_render(&diags, &t);
		cr_log_warn("%s", t.at);
	}
	return p;
}

static const Source *gemm_source(void)
{
	const char *why = "";
	const Source *s = source_from_file(arena, NACRE_TESTS_DIR "/isa/gemm.pasm", &why);
	cr_assert_not_null(s, "%s", why);
	return s;
}

static PearlProgram *gemm(void)
{
	const Source *s = gemm_source();
	PearlProgram *p = assemble(s->text, s->size);
	cr_assert_not_null(p);
	return p;
}

static Text bytes_of(const PearlProgram *p)
{
	Text t = text_new(arena);
	pearl_write_text(p, &t);
	return t;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* --- encoding --------------------------------------------------------------------------------- */

/* Every field of every instruction at its ends and at random values comes back. */
Test(isa, encode_decode)
{
	uint64_t seed = 88172645463325252u;
	for (uint32_t op = 0; op < NUM_INSNS; op++)
		for (uint32_t round = 0; round < 300; round++) {
			PearlInsn i = {.op = (PearlOpcode)op}, back;
			uint64_t r = random_next(&seed);
			i.stage = r & 7;
			i.group = r >> 3 & 3;
			i.advance = r >> 5 & 15;
			for (uint32_t k = 0; k < 2; k++) {
				i.wait[k] = random_next(&seed) & 127;
				i.signal[k] = random_next(&seed) & 127;
			}
			for (uint32_t k = 0; k < 4; k++) i.desc[k] = random_next(&seed) & 63;
			PearlFormat format = pearl_insn[op].format;
			const PearlFieldInfo *f = pearl_format[format];
			for (uint32_t k = 0; f[k].name; k++) {
				uint32_t width = f[k].hi - f[k].lo + 1u;
				uint64_t v = random_next(&seed) >> (64 - width);
				if (round == 0) v = 0;
				if (round == 1) v = (UINT64_C(1) << width) - 1;
				if (f[k].kind == FK_ENUM) v %= pearl_enum_count(format, k);
				i.field[k] = (int64_t)v;
				if (f[k].kind == FK_SIMM && v >> (width - 1))
					i.field[k] = (int64_t)(v | ~UINT64_C(0) << width);
			}
			uint8_t b[16];
			const char *why = "";
			pearl_encode(&i, b);
			cr_assert(pearl_decode(b, &back, &why), "%s: %s", pearl_insn[op].mnemonic, why);
			cr_assert_eq(memcmp(i.field, back.field, sizeof i.field), 0, "%s",
			             pearl_insn[op].mnemonic);
			cr_assert_eq(memcmp(i.desc, back.desc, 4), 0);
			cr_assert(i.op == back.op && i.stage == back.stage && i.group == back.group &&
			          i.advance == back.advance);
			cr_assert(memcmp(i.wait, back.wait, 2) == 0 && memcmp(i.signal, back.signal, 2) == 0);
		}
}

/* Random bytes are refused or come back as they were. */
Test(isa, decode_is_exact)
{
	uint64_t seed = 42;
	uint32_t accepted = 0;
	for (uint32_t round = 0; round < 200000; round++) {
		uint8_t b[16], again[16];
		for (uint32_t k = 0; k < 16; k++) b[k] = (uint8_t)random_next(&seed);
		PearlInsn i;
		const char *why = NULL;
		if (!pearl_decode(b, &i, &why)) {
			cr_assert_not_null(why);
			continue;
		}
		accepted++;
		pearl_encode(&i, again);
		cr_assert_eq(memcmp(b, again, 16), 0);
	}
	cr_assert_gt(accepted, 0);
}

/* Fields of a format do not overlap one another, and opcodes are distinct. */
Test(isa, tables_are_sound)
{
	for (uint32_t f = 0; f < NUM_FORMATS; f++) {
		uint64_t used = 0;
		for (const PearlFieldInfo *x = pearl_format[f]; x->name; x++) {
			uint64_t mask = ((UINT64_C(1) << (x->hi - x->lo + 1)) - 1) << x->lo;
			cr_assert(x->hi < 60 && x->lo <= x->hi && !(used & mask), "%s", x->name);
			used |= mask;
		}
	}
	for (uint32_t a = 0; a < NUM_INSNS; a++)
		for (uint32_t b = 0; b < a; b++) {
			cr_assert_neq(pearl_insn[a].opcode, pearl_insn[b].opcode);
			cr_assert_str_neq(pearl_insn[a].mnemonic, pearl_insn[b].mnemonic);
		}
}

/* --- text ------------------------------------------------------------------------------------------ */

static void round_trip(const PearlProgram *p)
{
	Text first = bytes_of(p), text = text_new(arena);
	const char *why = NULL;
	PearlProgram *read = pearl_read(arena, (const uint8_t *)first.at, first.n, &why);
	cr_assert_not_null(read, "%s", why);
	pearl_disassemble(&text, read);
	PearlProgram *again = assemble(text.at, text.n);
	cr_assert_not_null(again, "%s", text.at);
	Text second = bytes_of(again);
	cr_assert_eq(first.n, second.n);
	cr_assert_eq(memcmp(first.at, second.at, first.n), 0, "%s", text.at);
}

Test(isa, text_round_trip)
{
	PearlProgram *p = gemm();
	round_trip(p);
	uint8_t weights[1000];
	uint64_t seed = 5;
	for (uint32_t k = 0; k < sizeof weights; k++) weights[k] = (uint8_t)random_next(&seed);
	for (uint32_t n = 0; n < 5; n++) {
		p->weights.data = weights;
		p->weights.bytes = sizeof weights - n;
		round_trip(p);
	}
}

/* Names that are no words, or that two things share, are written as numbers. */
Test(isa, odd_names_round_trip)
{
	static const char *const names[] = {"",     "a b",  "\"",   "x\n\\y", "min", "#3",   "d1",
	                                    "wait", "same", "same", "1x",     "a.b", "a..b", "\x01"};
	PearlProgram *p = gemm();
	for (uint32_t k = 0; k < COUNT(names); k++) {
		PearlRegion r = {names[k], SPACE_SPM, true, true, 0, 128, -1};
		PearlDesc d = {
			.name = names[k], .space = SPACE_SPM, .ring = 1, .region = (uint16_t)p->regions.n};
		pearl_add_region(p, &r);
		pearl_add_token(p, names[k], Q_L, Q_V, 0, 1);
		pearl_add_desc(p, &d);
	}
	PearlProgram *q = gemm();
	(void)q;
	round_trip(p);
}

static const ExprWord *random_expr(uint64_t *seed)
{
	ExprWord *e = NEW_ARRAY(arena, ExprWord, 64);
	uint32_t n = 0, depth = 0;
	while (n < 40 || depth != 1) {
		uint64_t r = random_next(seed);
		if (depth >= 2 && (n >= 40 || r % 2 || depth > 20)) {
			e[n++].code = EXPR_ADD + (int32_t)(r / 2 % 7);
			depth--;
		} else {
			bool constant = r / 2 % 2;
			e[n].code = constant ? EXPR_CONST : EXPR_PARAM;
			if (constant)
				e[n].value = r & 4 ? -(int64_t)(r >> 40) : r & 8 ? INT64_MIN : (int64_t)(r >> 1);
			n++;
			depth++;
		}
	}
	return e;
}

Test(isa, expressions_round_trip)
{
	uint64_t seed = 12345;
	for (uint32_t round = 0; round < 200; round++) {
		PearlProgram *p = gemm();
		const ExprWord *e[1] = {random_expr(&seed)};
		const char *text[1] = {"x"};
		Interface i = *p->interface;
		i.n_require = 1;
		i.require = e;
		i.require_text = text;
		p->interface = &i;
		round_trip(p);
	}
}

/* --- the file ----------------------------------------------------------------------------------------- */

Test(isa, every_flipped_bit_is_refused)
{
	PearlProgram *p = gemm();
	static const uint8_t weights[] = {1, 2, 3, 4, 5};
	p->weights.data = weights;
	p->weights.bytes = sizeof weights;
	Text t = bytes_of(p);
	const char *why = NULL;
	cr_assert_not_null(pearl_read(arena, (const uint8_t *)t.at, t.n, &why), "%s", why);
	for (size_t k = 0; k < t.n; k++) {
		ArenaMark mark = arena_mark(arena);
		t.at[k] ^= (char)(1 << k % 8);
		why = NULL;
		cr_assert_null(pearl_read(arena, (const uint8_t *)t.at, t.n, &why), "byte %zu", k);
		cr_assert(why && why[0]);
		t.at[k] ^= (char)(1 << k % 8);
		arena_reset(arena, mark);
	}
	for (size_t n = 0; n < t.n; n++) {
		ArenaMark mark = arena_mark(arena);
		uint8_t *exact = malloc(n ? n : 1); /* so that a read past the end is seen */
		memcpy(exact, t.at, n);
		cr_assert_null(pearl_read(arena, exact, n, &why));
		free(exact);
		arena_reset(arena, mark);
	}
}

static void put32(uint8_t *at, uint32_t v)
{
	for (uint32_t k = 0; k < 4; k++) at[k] = (uint8_t)(v >> 8 * k);
}

static uint32_t get32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Makes the checksums of a changed file right again. */
static void repair(uint8_t *b, size_t n)
{
	uint32_t sections = get32(b + 12);
	if (n < 32 || sections > 64 || 32 + sections * 32 > n) return;
	for (uint32_t k = 0; k < sections; k++) {
		uint8_t *row = b + 32 + k * 32;
		uint64_t at = get32(row + 8), size = get32(row + 16);
		if (at <= n && size <= n - at) put32(row + 24, crc32c(0, b + at, size));
		if (memcmp(row, "IFAC", 4) == 0 && at <= n && size <= n - at && size > 4)
			put32(b + at + size - 4, crc32c(0, b + at, size - 4)),
				put32(row + 24, crc32c(0, b + at, size));
	}
	put32(b + 24, crc32c(crc32c(0, b, 24), b + 32, sections * 32));
}

/* Damage behind right checksums: refused with a message, or a program that is well formed. */
Test(isa, hostile_files)
{
	Text t = bytes_of(gemm());
	uint64_t seed = 99;
	uint32_t accepted = 0;
	for (uint32_t round = 0; round < 20000; round++) {
		Arena *a = arena_new();
		uint8_t *b = malloc(t.n);
		memcpy(b, t.at, t.n);
		for (uint32_t k = 0; k < 1 + round % 3; k++) {
			uint64_t r = random_next(&seed);
			b[r % t.n] =
				r >> 40 & 1 ? (uint8_t)(r >> 50) : b[r % t.n] ^ (uint8_t)(1 << (r >> 50 & 7));
		}
		repair(b, t.n);
		const char *why = NULL;
		PearlProgram *p = pearl_read(a, b, t.n, &why);
		cr_assert(p || (why && why[0]));
		if (p) {
			Text text = text_new(a), again = text_new(a);
			Diags d = {.arena = a};
			pearl_disassemble(&text, p);
			PearlProgram *q = pearl_assemble(a, &d, source_from_text(a, "t", text.at, text.n));
			Text messages = text_new(a);
			if (!q) diags_render(&d, &messages);
			cr_assert_not_null(q, "%s\n%s", text.at, messages.at);
			pearl_write_text(q, &again);
			/* a section that nobody knows was skipped: the text does not have it */
			bool whole = true;
			for (uint32_t k = 0; k < get32(b + 12); k++)
				whole &= memcmp(b + 32 + k * 32, t.at + 32 + k * 32, 4) == 0;
			size_t same = 0;
			while (same < t.n && same < again.n && again.at[same] == (char)b[same]) same++;
			cr_assert(!whole || (again.n == t.n && same == t.n), "byte %zu\n%s", same, text.at);
			accepted++;
		}
		free(b);
		arena_free(a);
	}
	cr_assert_gt(accepted, 100);
}

/* --- machines, manual ------------------------------------------------------------------------------------ */

Test(isa, machine_files)
{
	static const char *const names[] = {"base", "nano", "edge", "tpu4", "nvdla"};
	for (uint32_t k = 0; k < COUNT(names); k++) {
		PearlMachine read, named;
		const char *path = arena_printf(arena, NACRE_SOURCE_DIR "/machines/%s.machine", names[k]);
		cr_assert(pearl_machine_read(&diags, arena, path, &read), "%s", path);
		cr_assert_str_eq(read.name, names[k]);
		const char *why = pearl_machine_check(arena, &read);
		cr_assert_null(why, "%s", why);
		if (!pearl_machine_named(names[k], &named)) continue;
		for (uint32_t n = 0; n < pearl_machine_keys; n++) {
			const char *key = pearl_machine_key[n].name;
			cr_assert_eq(*pearl_machine_field(&read, key), *pearl_machine_field(&named, key), "%s",
			             key);
		}
	}
}

Test(isa, manual_is_current)
{
	const char *why = "";
	const Source *s = source_from_file(arena, NACRE_SOURCE_DIR "/doc/pearl.md", &why);
	cr_assert_not_null(s, "%s", why);
	Text t = text_new(arena);
	pearl_manual(&t);
	cr_assert(
		strstr(s->text, t.at),
		"the tables of doc/pearl.md are not those of isa.def: put there what `nacre isa` prints");
}

/* --- the verifier -------------------------------------------------------------------------------------------- */

/* The program with the first `from` replaced. */
static PearlProgram *changed(const char *from, const char *to)
{
	const Source *s = gemm_source();
	const char *at = strstr(strstr(s->text, "\npearl 1"), from); /* not in the comments before */
	cr_assert_not_null(at, "%s", from);
	Text t = text_new(arena);
	text_append(&t, s->text, (size_t)(at - s->text));
	text_puts(&t, to);
	text_puts(&t, at + strlen(from));
	return assemble(t.at, t.n);
}

Test(isa, verifier_accepts)
{
	PearlProgram *p = gemm();
	bool accepted = pearl_verify(&diags, p);
	Text t = text_new(arena);
	diags_render(&diags, &t);
	cr_assert(accepted, "%s", t.at);
}

/* One change each; the message must say what is wrong. */
Test(isa, verifier_refuses)
{
	static const struct {
		const char *from, *to, *says;
	} cases[] = {
		/* tokens */
		{"wait A.f, C.e sig A.e, C.f", "wait A.f, C.e sig A.e", "deadlock"},
		{"wait A.e sig A.f", "sig A.f", "capacity"},
		{"wait Y.f sig Y.e", "sig Y.e", "changes its count"},
		{"m.sync wait wf", "nop", "changes its count"},
		{"token we M>L 1 of 1", "token we M>L 0 of 1", "deadlock"},
		/* bounds and rights */
		{"bytes 131072 read", "bytes 131071 read", "past the 131071 bytes"},
		{"x[0] dims", "x[4] dims", "past"},
		{"x[0] dims", "x[-4] dims", "before region"},
		{"512 - n", "513 - n", NULL}, /* with the range of n: still fits */
		{"n call 1..512", "n call 1..600", NULL},
		{"steps [0: 512, 1: 4]", "steps [0: 512, 1: 8]", "past"},
		{"read+write tensor y", "read tensor y", "is written"},
		{"chan C M>D ring 2 by 16384 in acc at 0", "chan C M>D ring 2 by 16384 in acc at 245760",
	     "past"},
		{"region spm spm", "region z hbm at 262144 bytes 512 read+write\nregion spm spm",
	     "overlap"},
		/* shapes, places, types */
		{"desc yd f32 Y dims [len0, 64]", "desc yd f32 Y dims [len0, 63]", "differ"},
		{"desc wm f32", "desc wm bf16", "`a` is f32"},
		{"d.drain yd+, cd+", "d.drain cd+, yd+", "does not reach"},
		{"act=relu", "act=add", "takes 2 arguments"},
		/* values */
		{"param r0, n", "param r1, n", "not written"},
		{"ldd d10, ys", "ldd d9, ys", "does not reach"},
		/* order */
		{"wait we sig wf", "sig wf", "capacity"},
		{"chan A L>M ring 2 by 16384", "chan A L>M ring 2 by 16000", "race"},
		{"loop 128 tile 64 par", "loop 128 tile 64", "race"},
		{"l.dma wp, ws wait we sig wf", "l.sync wait we sig wf", "not all of which were written"},
	};
	for (uint32_t k = 0; k < COUNT(cases); k++) {
		PearlProgram *p = changed(cases[k].from, cases[k].to);
		cr_assert_not_null(p, "%s", cases[k].to);
		Diags d = {.arena = arena};
		bool accepted = pearl_verify(&d, p);
		Text t = text_new(arena);
		diags_render(&d, &t);
		cr_assert_eq(accepted, cases[k].says == NULL, "%s -> %s: %s", cases[k].from, cases[k].to,
		             t.n ? t.at : "accepted");
		if (cases[k].says)
			cr_assert(strstr(t.at, cases[k].says), "%s -> %s: %s", cases[k].from, cases[k].to,
			          t.at);
	}
}

/* To a file and to memory: the same bytes, weights aligned so that they can be mapped. */
Test(isa, written_file)
{
	PearlProgram *p = gemm();
	uint8_t weights[5000];
	for (uint32_t k = 0; k < sizeof weights; k++) weights[k] = (uint8_t)(k * 7);
	p->weights.data = weights;
	p->weights.bytes = sizeof weights;
	char path[] = "/tmp/nacre-isa-XXXXXX";
	int fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	close(fd);
	const char *why = "";
	FileOut *f = file_out_open(path, &why);
	cr_assert_not_null(f, "%s", why);
	pearl_write(p, f);
	cr_assert(file_out_commit(f, &why), "%s", why);
	FileMap map;
	cr_assert(file_map(path, &map, &why), "%s", why);
	Text t = bytes_of(p);
	cr_assert(map.size == t.n && memcmp(map.at, t.at, t.n) == 0);
	PearlProgram *q = pearl_read(arena, map.at, map.size, &why);
	cr_assert_not_null(q, "%s", why);
	cr_assert_eq((q->weights.data - map.at) % 4096, 0);
	cr_assert(q->weights.bytes == sizeof weights &&
	          memcmp(q->weights.data, weights, sizeof weights) == 0);
	file_unmap(&map);
	unlink(path);
}

/* Weights by reference: the text names the file and has its checksum; another file is refused. */
Test(isa, weights_beside_the_text)
{
	char folder[] = "/tmp/nacre-isa-XXXXXX";
	cr_assert_not_null(mkdtemp(folder));
	const char *source = arena_printf(arena, "%s/a.pasm", folder),
			   *file = arena_printf(arena, "%s/a.weights", folder);
	PearlProgram *p = gemm();
	static const uint8_t weights[] = "weights of a program";
	p->weights.data = weights;
	p->weights.bytes = sizeof weights;
	Text t = text_new(arena), bytes = bytes_of(p);
	pearl_disassemble_by(&t, p, "a.weights");
	for (uint32_t round = 0; round < 3; round++) {
		const char *why = "";
		Diags d = {.arena = arena};
		if (round > 0) {
			FileOut *f = file_out_open(file, &why);
			file_out_write(f, round == 1 ? "weights of another .." : (const char *)weights,
			               sizeof weights);
			cr_assert(file_out_commit(f, &why), "%s", why);
		}
		PearlProgram *q = pearl_assemble(arena, &d, source_from_text(arena, source, t.at, t.n));
		cr_assert_eq(q != NULL, round == 2);
		if (!q) {
			cr_assert_eq(d.errors, 1);
			cr_assert(strstr(d.list.at[0]->text, round ? "checksum" : "No such file"), "%s",
			          d.list.at[0]->text);
			continue;
		}
		Text again = bytes_of(q);
		cr_assert(again.n == bytes.n && memcmp(again.at, bytes.at, bytes.n) == 0);
	}
	unlink(file);
	rmdir(folder);
}
