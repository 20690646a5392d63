/* The .pearl file. A header and a table of sections, then the sections, each at the alignment that
 * its row asks for; a CRC32C of header and table, and one of each section. Everything is little-endian:
 *
 *   header   "PEARL\r\n\x1a", version u32, sections u32, bytes of the file u64, CRC u32, 0 u32
 *   row      type u32 (four letters), flags u32 (bit 0: required, bits 8..: log2 of the alignment),
 *            offset u64, bytes u64, CRC u32, 0 u32
 *
 * Gaps are zero and nothing is left over, so any changed bit is noticed. A reader skips a section
 * that it does not know unless it is required. */
#include "isa/isa.h"
#include "support/bytes.h"

#include <string.h>

enum {
	VERSION = 1,
	HEADER = 32,
	ROW = 32,
	ALIGN = 4,
	WEIGHT_ALIGN = 12,
	MOST_SECTIONS = 64,
	REQUIRED = 1
};
static const char magic[8] = {'P', 'E', 'A', 'R', 'L', '\r', '\n', 0x1a};

typedef enum SectionKind {
	SEC_MACHINE,
	SEC_INTERFACE,
	SEC_REGIONS,
	SEC_TOKENS,
	SEC_DESCS,
	SEC_CODE,
	SEC_LINES,
	SEC_WEIGHTS,
	NUM_SECTIONS
} SectionKind;
static const struct {
	char type[5];
	const char *name;
	bool required, optional;
} kinds[NUM_SECTIONS] = {
	[SEC_MACHINE] = {"MACH", "machine", true, false},
	[SEC_INTERFACE] = {"IFAC", "interface", true, false},
	[SEC_REGIONS] = {"REGN", "region", true, false},
	[SEC_TOKENS] = {"TOKN", "token", true, false},
	[SEC_DESCS] = {"DESC", "descriptor", true, false},
	[SEC_CODE] = {"CODE", "code", true, false},
	[SEC_LINES] = {"LINE", "line", false, true},
	[SEC_WEIGHTS] = {"WGHT", "weight", true, true},
};

static uint32_t type_of(SectionKind k)
{
	const char *s = kinds[k].type;
	return (uint32_t)s[0] | (uint32_t)s[1] << 8 | (uint32_t)s[2] << 16 | (uint32_t)s[3] << 24;
}

static uint32_t align_of(SectionKind k)
{
	return k == SEC_WEIGHTS ? WEIGHT_ALIGN : ALIGN;
}

/* --- writing ---------------------------------------------------------------------------------------- */

static void put_machine(Text *t, const PearlMachine *m)
{
	bytes_str(t, m->name);
	bytes_u32(t, pearl_machine_keys);
	for (uint32_t k = 0; k < pearl_machine_keys; k++) {
		int64_t v;
		memcpy(&v, (const char *)m + pearl_machine_key[k].offset, sizeof v);
		bytes_str(t, pearl_machine_key[k].name);
		bytes_i64(t, v);
	}
}

static void put_regions(Text *t, const PearlProgram *p)
{
	bytes_u32(t, p->regions.n);
	for (uint32_t k = 0; k < p->regions.n; k++) {
		const PearlRegion *r = &p->regions.at[k];
		bytes_str(t, r->name);
		bytes_u8(t, r->space);
		bytes_u8(t, (uint64_t)(r->readable | r->writable << 1));
		bytes_i64(t, r->address);
		bytes_i64(t, r->bytes);
		bytes_u32(t, (uint32_t)r->tensor);
	}
}

static void put_tokens(Text *t, const PearlProgram *p)
{
	bytes_u32(t, p->tokens.n);
	for (uint32_t k = 0; k < p->tokens.n; k++) {
		const PearlToken *x = &p->tokens.at[k];
		bytes_str(t, x->name);
		bytes_u8(t, x->producer);
		bytes_u8(t, x->consumer);
		bytes_u8(t, x->initial);
		bytes_u8(t, x->capacity);
	}
}

static void put_desc(Text *t, const PearlDesc *d)
{
	bytes_str(t, d->name);
	bytes_u8(t, d->space);
	bytes_u8(t, d->dtype);
	bytes_u8(t, d->rank);
	bytes_u8(t, d->ring);
	bytes_i64(t, d->ring_stride);
	bytes_i64(t, d->base);
	bytes_u16(t, d->region);
	for (uint32_t k = 0; k < d->rank && k < PEARL_RANK; k++) {
		bytes_i64(t, d->dim[k]);
		bytes_u8(t, d->dim_len[k]);
		bytes_i64(t, d->stride[k]);
	}
	bytes_u8(t, d->n_step);
	for (uint32_t k = 0; k < d->n_step && k < PEARL_STEPS; k++) {
		bytes_u8(t, d->step[k].level);
		bytes_i64(t, d->step[k].bytes);
	}
	for (uint32_t k = 0; k < 2; k++) {
		bytes_u8(t, d->window[k].on);
		if (!d->window[k].on) continue;
		bytes_u8(t, d->window[k].dim);
		bytes_i64(t, d->window[k].start);
		bytes_i64(t, d->window[k].limit);
	}
}

static void put_code(Text *t, const PearlProgram *p)
{
	bytes_u32(t, p->entries.n);
	for (uint32_t k = 0; k < p->entries.n; k++) bytes_u32(t, p->entries.at[k].count);
	for (uint32_t k = 0; k < p->entries.n; k++)
		for (uint32_t n = 0; n < p->entries.at[k].count; n++) {
			uint8_t b[16];
			pearl_encode(&p->code.at[p->entries.at[k].first + n], b);
			text_append(t, (const char *)b, sizeof b);
		}
}

static bool put_lines(Text *t, const PearlProgram *p)
{
	bool any = false;
	for (uint32_t k = 0; k < p->code.n && !any; k++) any = p->code.at[k].line != 0;
	if (!any) return false;
	for (uint32_t k = 0; k < p->entries.n; k++)
		for (uint32_t n = 0; n < p->entries.at[k].count; n++)
			bytes_u32(t, p->code.at[p->entries.at[k].first + n].line);
	return true;
}

/* Fills t, or says that the section is left out. Weights are not copied. */
static bool put_section(Text *t, const PearlProgram *p, SectionKind k)
{
	switch (k) {
	case SEC_MACHINE: put_machine(t, &p->machine); return true;
	case SEC_INTERFACE: interface_write(p->interface, t); return true;
	case SEC_REGIONS: put_regions(t, p); return true;
	case SEC_TOKENS: put_tokens(t, p); return true;
	case SEC_DESCS:
		bytes_u32(t, p->descs.n);
		for (uint32_t n = 0; n < p->descs.n; n++) put_desc(t, &p->descs.at[n]);
		return true;
	case SEC_CODE: put_code(t, p); return true;
	case SEC_LINES: return put_lines(t, p);
	default: return p->weights.bytes > 0;
	}
}

typedef struct Sink {
	FileOut *file;
	Text *text;
	uint64_t at;
} Sink;

static void sink(Sink *s, const void *data, uint64_t n)
{
	if (s->file)
		file_out_write(s->file, data, n);
	else
		text_append(s->text, data, n);
	s->at += n;
}

static uint64_t align_up(uint64_t v, uint32_t log2)
{
	return (v + (UINT64_C(1) << log2) - 1) >> log2 << log2;
}

static void sink_zeros(Sink *s, uint64_t until)
{
	static const char zero[4096];
	while (s->at < until) sink(s, zero, until - s->at < sizeof zero ? until - s->at : sizeof zero);
}

static void write_to(const PearlProgram *p, Sink *s)
{
	Arena *a = arena_new();
	Text body[NUM_SECTIONS];
	bool present[NUM_SECTIONS];
	uint32_t n = 0;
	for (uint32_t k = 0; k < NUM_SECTIONS; k++) {
		body[k] = text_new(a);
		present[k] = put_section(&body[k], p, (SectionKind)k);
		n += present[k];
	}
	uint64_t at = HEADER + (uint64_t)n * ROW, offset[NUM_SECTIONS] = {0};
	Text rows = text_new(a), head = text_new(a);
	for (uint32_t k = 0; k < NUM_SECTIONS; k++) {
		if (!present[k]) continue;
		uint32_t log2 = align_of((SectionKind)k);
		const void *data = k == SEC_WEIGHTS ? (const void *)p->weights.data : body[k].at;
		uint64_t size = k == SEC_WEIGHTS ? p->weights.bytes : body[k].n;
		offset[k] = at = align_up(at, log2);
		bytes_u32(&rows, type_of((SectionKind)k));
		bytes_u32(&rows, (uint32_t)kinds[k].required | log2 << 8);
		bytes_u64(&rows, at);
		bytes_u64(&rows, size);
		bytes_u32(&rows, crc32c(0, data, size));
		bytes_u32(&rows, 0);
		at += size;
	}
	text_append(&head, magic, sizeof magic);
	bytes_u32(&head, VERSION);
	bytes_u32(&head, n);
	bytes_u64(&head, at);
	bytes_u32(&head, crc32c(crc32c(0, head.at, head.n), rows.at, rows.n));
	bytes_u32(&head, 0);
	sink(s, head.at, head.n);
	sink(s, rows.at, rows.n);
	for (uint32_t k = 0; k < NUM_SECTIONS; k++) {
		if (!present[k]) continue;
		sink_zeros(s, offset[k]);
		if (k == SEC_WEIGHTS)
			sink(s, p->weights.data, p->weights.bytes);
		else
			sink(s, body[k].at, body[k].n);
	}
	arena_free(a);
}

void pearl_write(const PearlProgram *p, FileOut *f)
{
	Sink s = {.file = f};
	write_to(p, &s);
}

void pearl_write_text(const PearlProgram *p, Text *out)
{
	Sink s = {.text = out};
	write_to(p, &s);
}

/* --- reading sections ---------------------------------------------------------------------------------- */

static uint8_t byte_below(Cursor *c, uint32_t limit, const char *what)
{
	uint8_t v = cursor_u8(c);
	if (!c->why && v >= limit) cursor_fail(c, what);
	return c->why ? 0 : v;
}

static void get_machine(Cursor *c, PearlProgram *p)
{
	p->machine.name = cursor_str(c);
	if (cursor_u32(c) != pearl_machine_keys)
		cursor_fail(c, "the machine is described by other keys than here");
	for (uint32_t k = 0; k < pearl_machine_keys && !c->why; k++) {
		const char *key = cursor_str(c);
		int64_t v = cursor_i64(c);
		if (strcmp(key, pearl_machine_key[k].name) != 0) {
			cursor_fail(c, "the machine is described by other keys than here");
			return;
		}
		memcpy((char *)&p->machine + pearl_machine_key[k].offset, &v, sizeof v);
	}
}

static void get_regions(Cursor *c, PearlProgram *p)
{
	uint32_t n = cursor_count(c, 26);
	for (uint32_t k = 0; k < n && !c->why; k++) {
		PearlRegion r = {.name = cursor_str(c)};
		r.space = byte_below(c, NUM_SPACES, "unknown memory");
		uint8_t rights = byte_below(c, 4, "unknown rights");
		r.readable = rights & 1;
		r.writable = rights >> 1;
		r.address = cursor_i64(c);
		r.bytes = cursor_i64(c);
		r.tensor = (int32_t)cursor_u32(c);
		pearl_add_region(p, &r);
	}
}

static void get_tokens(Cursor *c, PearlProgram *p)
{
	uint32_t n = cursor_count(c, 8);
	for (uint32_t k = 0; k < n && !c->why; k++) {
		const char *name = cursor_str(c);
		uint8_t from = byte_below(c, NUM_QUEUES, "unknown queue"),
				to = byte_below(c, NUM_QUEUES, "unknown queue");
		uint8_t initial = cursor_u8(c), capacity = cursor_u8(c);
		pearl_add_token(p, name, (PearlQueue)from, (PearlQueue)to, initial, capacity);
	}
}

static void get_desc(Cursor *c, PearlDesc *d)
{
	d->name = cursor_str(c);
	d->space = byte_below(c, NUM_SPACES, "unknown memory");
	d->dtype = byte_below(c, pearl_dtypes, "unknown element type");
	d->rank = byte_below(c, PEARL_RANK + 1, "a descriptor has more than 5 dimensions");
	d->ring = cursor_u8(c);
	d->ring_stride = cursor_i64(c);
	d->base = cursor_i64(c);
	d->region = cursor_u16(c);
	for (uint32_t k = 0; k < d->rank; k++) {
		d->dim[k] = cursor_i64(c);
		d->dim_len[k] = cursor_u8(c);
		d->stride[k] = cursor_i64(c);
	}
	d->n_step = byte_below(c, PEARL_STEPS + 1, "a descriptor has more than 4 steps");
	for (uint32_t k = 0; k < d->n_step; k++) {
		d->step[k].level = cursor_u8(c);
		d->step[k].bytes = cursor_i64(c);
	}
	for (uint32_t k = 0; k < 2; k++) {
		d->window[k].on = byte_below(c, 2, "a flag is neither 0 nor 1");
		if (!d->window[k].on) continue;
		d->window[k].dim = cursor_u8(c);
		d->window[k].start = cursor_i64(c);
		d->window[k].limit = cursor_i64(c);
	}
}

static void get_descs(Cursor *c, PearlProgram *p)
{
	uint32_t n = cursor_count(c, 29);
	for (uint32_t k = 0; k < n && !c->why; k++) {
		PearlDesc d = {.name = ""};
		get_desc(c, &d);
		if (!c->why) pearl_add_desc(p, &d);
	}
}

static void get_code(Cursor *c, PearlProgram *p)
{
	uint32_t n = cursor_count(c, 4);
	if (!c->why && n != p->interface->n_entry)
		cursor_fail(c, "the code has not one part for each entry");
	uint64_t total = 0;
	for (uint32_t k = 0; k < n && !c->why; k++) {
		PearlCode e = {p->interface->entry[k].name, (uint32_t)total, cursor_u32(c)};
		total += e.count;
		if (total > (c->n - c->at) / 16) cursor_fail(c, "a count is larger than the file");
		vec_push(p->arena, &p->entries, e);
	}
	if (!c->why && total * 16 != c->n - c->at) cursor_fail(c, "the entries do not cover the code");
	for (uint64_t k = 0; k < total && !c->why; k++) {
		PearlInsn i;
		const char *why = NULL;
		if (!pearl_decode(c->data + c->at, &i, &why)) {
			cursor_fail(c, why);
			return;
		}
		c->at += 16;
		vec_push(p->arena, &p->code, i);
	}
}

static void get_lines(Cursor *c, PearlProgram *p)
{
	bool any = false;
	for (uint32_t k = 0; k < p->code.n; k++) any |= (p->code.at[k].line = cursor_u32(c)) != 0;
	if (!any) cursor_fail(c, "no line in the section of lines");
}

static void get_interface(Cursor *c, PearlProgram *p)
{
	const char *why = NULL;
	const Interface *i = interface_read(c->arena, c->data, c->n, &why);
	c->at = c->n;
	if (i)
		p->interface = i;
	else
		cursor_fail(c, why);
}

static void get_section(Cursor *c, PearlProgram *p, SectionKind k)
{
	switch (k) {
	case SEC_MACHINE: get_machine(c, p); break;
	case SEC_INTERFACE: get_interface(c, p); break;
	case SEC_REGIONS: get_regions(c, p); break;
	case SEC_TOKENS: get_tokens(c, p); break;
	case SEC_DESCS: get_descs(c, p); break;
	case SEC_CODE: get_code(c, p); break;
	case SEC_LINES: get_lines(c, p); break;
	default:
		p->weights.data = c->data;
		p->weights.bytes = c->n;
		if (!c->n) cursor_fail(c, "the section is empty");
		c->at = c->n;
	}
	if (!c->why && c->at != c->n) cursor_fail(c, "there are bytes after the end");
}

/* --- reading the file ------------------------------------------------------------------------------------- */

typedef struct Row {
	bool present;
	uint64_t at, n;
} Row;

static const char *read_row(Arena *a, Cursor *c, uint64_t *end, Row *rows)
{
	uint32_t type = cursor_u32(c), flags = cursor_u32(c);
	uint64_t at = cursor_u64(c), n = cursor_u64(c);
	uint32_t crc = cursor_u32(c), log2 = flags >> 8;
	char name[5] = {(char)type, (char)(type >> 8), (char)(type >> 16), (char)(type >> 24), 0};
	for (uint32_t k = 0; k < 4; k++)
		if (name[k] < 'A' || name[k] > 'Z') return "a section without a name";
	if (cursor_u32(c) || (flags & 0xfe) || log2 > 20)
		return arena_printf(a, "section %s has unknown flags", name);
	uint64_t from = align_up(*end, log2);
	if (at != from || at > c->n || n > c->n - at)
		return arena_printf(a, "section %s does not lie in the file", name);
	for (uint64_t k = *end; k < at; k++)
		if (c->data[k]) return arena_printf(a, "the gap before section %s is not zero", name);
	if (crc32c(0, c->data + at, n) != crc)
		return arena_printf(a, "section %s is damaged: its checksum does not match", name);
	*end = at + n;
	for (uint32_t k = 0; k < NUM_SECTIONS; k++) {
		if (type_of((SectionKind)k) != type) continue;
		if (rows[k].present) return arena_printf(a, "section %s is there twice", name);
		if ((flags & REQUIRED) != (uint32_t)kinds[k].required || log2 != align_of((SectionKind)k))
			return arena_printf(a, "section %s has unknown flags", name);
		rows[k] = (Row){true, at, n};
		return NULL;
	}
	return flags & REQUIRED
	           ? arena_printf(a, "it needs section %s, which this version of nacre does not know",
	                          name)
	           : NULL;
}

static const char *read_table(Arena *a, const uint8_t *data, size_t n, Row *rows)
{
	Cursor c = {a, data, sizeof magic, n, NULL};
	if (n < HEADER || memcmp(data, magic, sizeof magic) != 0) return "this is not a Pearl program";
	uint32_t version = cursor_u32(&c), sections = cursor_u32(&c);
	uint64_t bytes = cursor_u64(&c);
	uint32_t crc = cursor_u32(&c);
	if (version != VERSION)
		return arena_printf(a, "it has format %u, this version of nacre reads %d", version,
		                    VERSION);
	if (cursor_u32(&c) || sections > MOST_SECTIONS) return "its header is not well formed";
	uint64_t end = HEADER + (uint64_t)sections * ROW;
	if (end > n) return "it is cut off in its table of sections";
	if (crc32c(crc32c(0, data, 24), data + HEADER, end - HEADER) != crc)
		return "its header is damaged: the checksum does not match";
	if (bytes != n)
		return arena_printf(a, "it should have %llu bytes, it has %zu", (unsigned long long)bytes,
		                    n);
	for (uint32_t k = 0; k < sections; k++) {
		const char *why = read_row(a, &c, &end, rows);
		if (why) return why;
	}
	if (end != n) return "there are bytes after the last section";
	for (uint32_t k = 0; k < NUM_SECTIONS; k++)
		if (!rows[k].present && !kinds[k].optional)
			return arena_printf(a, "it has no %s section", kinds[k].name);
	return NULL;
}

PearlProgram *pearl_read(Arena *a, const uint8_t *data, size_t n, const char **why)
{
	Row rows[NUM_SECTIONS] = {{false, 0, 0}};
	*why = read_table(a, data, n, rows);
	if (*why) return NULL;
	PearlMachine none = {.name = ""};
	PearlProgram *p = pearl_program_new(a, &none);
	for (uint32_t k = 0; k < NUM_SECTIONS; k++) {
		if (!rows[k].present) continue;
		Cursor c = {a, data + rows[k].at, 0, rows[k].n, NULL};
		get_section(&c, p, (SectionKind)k);
		if (!c.why) continue;
		*why = arena_printf(a, "%s section: %s", kinds[k].name, c.why);
		return NULL;
	}
	uint32_t insn;
	const char *fault = pearl_check(a, p, &insn);
	if (!fault) return p;
	*why = insn == UINT32_MAX ? fault
	                          : arena_printf(a, "instruction %u (%s): %s", insn,
	                                         pearl_insn[p->code.at[insn].op].mnemonic, fault);
	return NULL;
}
