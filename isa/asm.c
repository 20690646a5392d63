/* Whole programs from .pasm text: declarations here, instructions in asm_code.c. A declaration is one
 * line; a thing is declared before it is used. Errors are reported at their place and the next line is
 * read, so one run shows all of them; nothing is returned after any.
 *
 *   pearl 1
 *   machine base cores=4
 *   model "m"
 *   param n call 1..512
 *   tensor x in f32 [n, 64] bytes n * 256 address 4096
 *   region x hbm at 4096 bytes 131072 read tensor x
 *   region spm spm at 0 bytes 1048576 read+write
 *   chan A L>M ring 2 by 16384 in spm at 0        ; tokens A.f and A.e, and a ring for descriptors
 *   token vw V>W 0 of 1
 *   desc xs f32 x[0] dims [1*len0, 64] strides [256, 4] steps [0: 256]
 *   entry main in x { ... }
 */
#include "isa/internal.h"

#include <limits.h>
#include <string.h>

/* --- size expressions ------------------------------------------------------------------------------ */

typedef struct Words {
	ExprWord word[PEARL_EXPR_WORDS];
	uint32_t n, depth;
} Words;

static void push(Assembler *s, Words *w, ExprCode code, int64_t value)
{
	if (w->n + 1 >= PEARL_EXPR_WORDS) {
		asm_error(s, "the expression is too long");
		return;
	}
	w->word[w->n++] = (ExprWord){(int32_t)code, 0, value};
}

static void sum(Assembler *s, Words *w);

static void primary(Assembler *s, Words *w)
{
	bool least = asm_is(s, "min");
	if (s->failed) return;
	if (++w->depth > PEARL_EXPR_WORDS)
		asm_error(s, "the expression is too deep");
	else if (asm_take(s, "min") || asm_take(s, "max")) {
		asm_expect(s, "(");
		sum(s, w);
		asm_expect(s, ",");
		sum(s, w);
		asm_expect(s, ")");
		push(s, w, least ? EXPR_MIN : EXPR_MAX, 0);
	} else if (asm_take(s, "(")) {
		sum(s, w);
		asm_expect(s, ")");
	} else if (asm_is(s, "-") || s->at.kind == LEX_NUMBER)
		push(s, w, EXPR_CONST, asm_int(s, INT64_MIN, INT64_MAX, "a number"));
	else
		push(s, w, EXPR_PARAM, asm_reference(s, SYMBOL_PARAM, (uint32_t)s->params.n, "parameter"));
	w->depth--;
}

static void product(Assembler *s, Words *w)
{
	primary(s, w);
	for (;;) {
		ExprCode code = asm_is(s, "*") ? EXPR_MUL : asm_is(s, "//") ? EXPR_FLOORDIV : EXPR_MOD;
		if (s->failed || (code == EXPR_MOD && !asm_is(s, "%"))) return;
		asm_next(s);
		primary(s, w);
		push(s, w, code, 0);
	}
}

static void sum(Assembler *s, Words *w)
{
	product(s, w);
	for (;;) {
		ExprCode code = asm_is(s, "+") ? EXPR_ADD : EXPR_SUB;
		if (s->failed || (code == EXPR_SUB && !asm_is(s, "-"))) return;
		asm_next(s);
		product(s, w);
		push(s, w, code, 0);
	}
}

static const ExprWord *expression(Assembler *s)
{
	static const ExprWord zero[] = {{EXPR_CONST, 0, 0}, {EXPR_END, 0, 0}};
	Words *w = NEW(s->arena, Words);
	Span at = asm_span(s);
	sum(s, w);
	at.end = s->last_end;
	if (s->failed) return zero;
	ExprWord *e = NEW_ARRAY(s->p->arena, ExprWord, w->n + 1);
	memcpy(e, w->word, w->n * sizeof *e);
	e[w->n].code = EXPR_END;
	if (expr_check(e, w->n + 1, (uint32_t)s->params.n)) return e;
	asm_error_at(s, at, "the expression needs more than %d values at once", EXPR_STACK);
	return zero;
}

/* --- names -------------------------------------------------------------------------------------------- */

/* The name that a declaration gives: NAME, or #number and perhaps a "name" that nothing refers to. */
static const char *declared(Assembler *s, SymbolKind k, uint32_t number, const char *what)
{
	if (asm_take(s, "#")) {
		int64_t n = asm_int(s, 0, UINT32_MAX, "a number");
		if (!s->failed && n != number) asm_error(s, "this is %s #%u", what, number);
		if (s->failed || s->at.kind != LEX_STRING) return "";
		return arena_strdup(s->p->arena, asm_text(s, what));
	}
	Span at = asm_span(s);
	const char *name = arena_strdup(s->p->arena, asm_text(s, "a name"));
	if (s->failed) return name;
	if (!symbol_is_plain(name))
		asm_error_at(s, at, "a name is made of letters, digits and _; write #%u before it", number);
	else if (!symbol_add(&s->symbols, k, name, number))
		asm_error_at(s, at, "there is a %s `%s` already", what, name);
	return name;
}

static uint32_t choice(Assembler *s, const char *const *names, uint32_t n, const char *what)
{
	for (uint32_t k = 0; k < n; k++)
		if (asm_take(s, names[k])) return k;
	const char *near = s->at.kind == LEX_NAME ? nearest_name(s->at.text, names, n) : NULL;
	Diag *d = asm_error_at(s, asm_span(s), "expected %s", what);
	if (near) diag_help(s->d, d, "did you mean `%s`?", near);
	return 0;
}

static uint8_t element_type(Assembler *s)
{
	const char *names[64];
	for (uint32_t k = 0; k < pearl_dtypes; k++) names[k] = pearl_dtype[k].name;
	return (uint8_t)choice(s, names, pearl_dtypes, "an element type, f32 say");
}

static uint8_t memory(Assembler *s)
{
	return (uint8_t)choice(s, pearl_space_name, NUM_SPACES, "a memory: hbm, gsm, spm or acc");
}

static int64_t any_int(Assembler *s, const char *what)
{
	return asm_int(s, INT64_MIN, INT64_MAX, what);
}

static int64_t any_constant(Assembler *s, const char *what)
{
	return asm_constant(s, INT64_MIN, INT64_MAX, what);
}

static uint32_t any_u32(Assembler *s, const char *what)
{
	return (uint32_t)asm_int(s, 0, UINT32_MAX, what);
}

/* --- machine, interface ------------------------------------------------------------------------------------- */

static void machine(Assembler *s)
{
	PearlMachine *m = &s->p->machine;
	Span at = asm_span(s);
	const char *name = arena_strdup(s->p->arena, asm_text(s, "the name of a machine"));
	if (s->has_machine) asm_error_at(s, at, "the machine is given twice");
	s->has_machine = true;
	if (!pearl_machine_named(name, m)) pearl_machine_named("base", m);
	m->name = name;
	while (!s->failed && s->at.kind == LEX_NAME) {
		int64_t *field = pearl_machine_field(m, s->at.text);
		const char *key = s->at.text;
		if (!field) {
			Diag *d = asm_error_at(s, asm_span(s), "unknown machine key `%s`", key);
			const char *near = pearl_machine_nearest(key);
			if (near) diag_help(s->d, d, "did you mean `%s`?", near);
			return;
		}
		asm_next(s);
		asm_expect(s, "=");
		*field = any_int(s, key);
	}
	at.end = s->last_end;
	const char *why = s->failed ? NULL : pearl_machine_check(s->arena, m);
	if (why) asm_error_at(s, at, "%s", why);
}

static void model(Assembler *s)
{
	Arena *a = s->p->arena;
	s->interface->model = arena_strdup(a, asm_text(s, "the name of the model"));
	if (asm_take(s, "target")) s->interface->target = arena_strdup(a, asm_text(s, "a target"));
	if (asm_take(s, "version")) s->interface->version = arena_strdup(a, asm_text(s, "a version"));
}

static void param(Assembler *s)
{
	static const char *const kinds[] = {"session", "call", "state"};
	vec_push(s->p->arena, &s->param_at, asm_span(s));
	InterfaceParam p = {.name = declared(s, SYMBOL_PARAM, (uint32_t)s->params.n, "parameter")};
	p.kind = choice(s, kinds, COUNT(kinds), "session, call or state");
	p.lo = expression(s);
	asm_expect(s, "..");
	p.hi = expression(s);
	p.initial = asm_take(s, "begin") ? expression(s) : p.lo;
	vec_push(s->p->arena, &s->params, p);
	s->interface->n_param = (uint32_t)s->params.n;
}

static void require(Assembler *s)
{
	const ExprWord *e = expression(s);
	const char *text = "";
	if (!s->failed && s->at.kind == LEX_STRING)
		text = arena_strdup(s->p->arena, asm_text(s, "a text"));
	vec_push(s->p->arena, &s->require, e);
	vec_push(s->p->arena, &s->require_text, text);
}

static void check(Assembler *s)
{
	const char *text = arena_strdup(s->p->arena, asm_text(s, "a text"));
	vec_push(s->p->arena, &s->checks, text);
}

static void tensor_more(Assembler *s, InterfaceTensor *t)
{
	while (!s->failed && s->at.kind == LEX_NAME) {
		if (asm_take(s, "plain"))
			t->plain = 1;
		else if (asm_take(s, "entry"))
			t->entry = any_u32(s, "the number of an entry");
		else if (asm_take(s, "live")) {
			t->live_first = any_u32(s, "a launch");
			asm_expect(s, "..");
			t->live_last = any_u32(s, "a launch");
		} else if (asm_take(s, "sliced"))
			t->sliced = 1;
		else if (asm_take(s, "strides")) {
			asm_expect(s, "[");
			for (uint32_t d = 0; d < t->rank; d++) {
				if (d) asm_expect(s, ",");
				t->stride[d] = any_int(s, "a stride");
			}
			asm_expect(s, "]");
		} else if (asm_take(s, "address"))
			t->address = asm_u64(s, "an address");
		else if (asm_take(s, "fill"))
			t->fill = asm_u64(s, "the bytes that repeat");
		else if (asm_take(s, "offset"))
			t->offset = asm_u64(s, "an offset");
		else if (asm_take(s, "key"))
			t->key = arena_strdup(s->p->arena, asm_text(s, "a key"));
		else
			asm_error(s,
			          "expected plain, entry, live, sliced, strides, address, fill, offset or key");
	}
}

static bool strided(const InterfaceTensor *t)
{
	for (uint32_t d = 0; d < t->rank; d++)
		if (t->stride[d]) return true;
	return false;
}

static void tensor(Assembler *s)
{
	static const ExprWord no_bytes[] = {{EXPR_CONST, 0, 0}, {EXPR_END, 0, 0}};
	static const char *const kinds[] = {"weight", "state", "in", "out", "arena", "const"};
	Span at = asm_span(s);
	InterfaceTensor t = {.name = declared(s, SYMBOL_TENSOR, (uint32_t)s->tensors.n, "tensor"),
	                     .key = "",
	                     .offset = ~UINT64_C(0)};
	t.kind = choice(s, kinds, COUNT(kinds), "weight, state, in, out, arena or const");
	t.dtype = element_type(s);
	asm_expect(s, "[");
	while (!s->failed && !asm_is(s, "]")) {
		if (t.rank == 8) {
			asm_error(s, "a tensor has at most 8 dimensions");
			break;
		}
		t.dim[t.rank++] = expression(s);
		if (!asm_take(s, ",")) break;
	}
	asm_expect(s, "]");
	if (asm_take(s, "bytes")) {
		t.bytes = expression(s);
		tensor_more(s, &t);
	} else {
		t.bytes = t.dim[0] ? t.dim[0] : no_bytes;
		tensor_more(s, &t);
		if (!s->failed && (t.address || strided(&t)))
			asm_error_at(s, at, "a tensor with an address or strides has its `bytes` too");
		if (!s->failed) asm_place_tensor(s, &t, at);
	}
	asm_note_tensor(s, &t);
	vec_push(s->p->arena, &s->tensor_at, at);
	vec_push(s->p->arena, &s->tensors, t);
	s->interface->tensor = s->tensors.at;
	s->interface->n_tensor = (uint32_t)s->tensors.n;
}

/* --- regions, tokens, channels ----------------------------------------------------------------------------------- */

static void region(Assembler *s)
{
	static const char *const rights[] = {"none", "read", "write"};
	PearlRegion r = {.name = declared(s, SYMBOL_REGION, (uint32_t)s->p->regions.n, "region"),
	                 .tensor = -1};
	r.space = memory(s);
	asm_expect(s, "at");
	r.address = any_int(s, "an address");
	asm_expect(s, "bytes");
	r.bytes = any_int(s, "a number of bytes");
	uint32_t right = choice(s, rights, COUNT(rights), "read, write, read+write or none");
	r.readable = right == 1;
	r.writable = right == 2;
	if (right == 1 && asm_take(s, "+")) r.writable = asm_expect(s, "write");
	if (asm_take(s, "tensor"))
		r.tensor = (int32_t)asm_reference(s, SYMBOL_TENSOR, (uint32_t)s->tensors.n, "tensor");
	pearl_add_region(s->p, &r);
}

static void add_token(Assembler *s, const char *name, PearlQueue from, PearlQueue to,
                      int64_t initial, int64_t capacity)
{
	if (s->p->tokens.n == PEARL_TOKENS)
		asm_error(s, "a program has at most %d tokens", PEARL_TOKENS);
	else
		pearl_add_token(s->p, name, from, to, (uint8_t)initial, (uint8_t)capacity);
}

static void token(Assembler *s)
{
	const char *name = declared(s, SYMBOL_TOKEN, (uint32_t)s->p->tokens.n, "token");
	PearlQueue from = asm_queue(s);
	asm_expect(s, ">");
	PearlQueue to = asm_queue(s);
	int64_t initial = asm_int(s, 0, 255, "the initial count");
	asm_expect(s, "of");
	add_token(s, name, from, to, initial,
	          asm_int(s, initial > 1 ? initial : 1, 255, "the capacity"));
}

/* chan NAME L>M ring R by BYTES in REGION at BASE [full n] [empty n] */
static void chan(Assembler *s)
{
	Channel c = {0};
	const char *name = declared(s, SYMBOL_CHAN, (uint32_t)s->channels.n, "channel");
	PearlQueue from = asm_queue(s);
	asm_expect(s, ">");
	PearlQueue to = asm_queue(s);
	asm_expect(s, "ring");
	c.ring = (uint8_t)asm_int(s, 1, 255, "the number of slots");
	asm_expect(s, "by");
	c.bytes = asm_int(s, 1, INT64_MAX, "the bytes of a slot");
	asm_expect(s, "in");
	c.region = asm_reference(s, SYMBOL_REGION, (uint32_t)s->p->regions.n, "region");
	if (asm_take(s, "at")) c.base = any_int(s, "an address");
	int64_t full = 0, empty = c.ring;
	if (asm_take(s, "full")) full = asm_int(s, 0, c.ring, "the initial count");
	if (asm_take(s, "empty")) empty = asm_int(s, 0, c.ring, "the initial count");
	for (uint32_t k = 0; k < 2 && !s->failed; k++) {
		const char *t = arena_printf(s->p->arena, "%s.%c", name, k ? 'e' : 'f');
		if (!symbol_add(&s->symbols, SYMBOL_TOKEN, t, (uint32_t)s->p->tokens.n))
			asm_error(s, "there is a token `%s` already", t);
		add_token(s, t, k ? to : from, k ? from : to, k ? empty : full, c.ring);
	}
	vec_push(s->arena, &s->channels, c);
}

/* --- descriptors --------------------------------------------------------------------------------------------------- */

static void desc_dims(Assembler *s, PearlDesc *d)
{
	asm_expect(s, "[");
	while (!s->failed && !asm_is(s, "]")) {
		if (d->rank == PEARL_RANK) {
			asm_error(s, "a descriptor has at most %d dimensions", PEARL_RANK);
			return;
		}
		bool number = s->at.kind == LEX_NUMBER;
		d->dim[d->rank] = number ? asm_int(s, 0, INT64_MAX, "a size") : 1;
		if (!number || asm_take(s, "*")) {
			static const char *const lens[] = {"len0", "len1", "len2", "len3",
			                                   "len4", "len5", "len6", "len7"};
			d->dim_len[d->rank] =
				(uint8_t)(choice(s, lens, COUNT(lens),
			                     "a size, or len0..len7 for the length of a loop") +
			              1);
		}
		d->rank++;
		if (!asm_take(s, ",")) break;
	}
	asm_expect(s, "]");
}

static void desc_steps(Assembler *s, PearlDesc *d)
{
	asm_expect(s, "[");
	do {
		if (d->n_step == PEARL_STEPS) {
			asm_error(s, "a descriptor has at most %d steps", PEARL_STEPS);
			return;
		}
		d->step[d->n_step].level = (uint8_t)asm_int(s, 0, PEARL_LEVELS - 1, "the level of a loop");
		asm_expect(s, ":");
		d->step[d->n_step++].bytes = any_constant(s, "a number of bytes");
	} while (asm_take(s, ","));
	asm_expect(s, "]");
}

static void desc_more(Assembler *s, PearlDesc *d)
{
	while (!s->failed && s->at.kind == LEX_NAME) {
		if (asm_take(s, "ring")) {
			d->ring = (uint8_t)asm_int(s, 1, 255, "the number of slots");
			asm_expect(s, "by");
			d->ring_stride = any_constant(s, "the bytes between slots");
		} else if (asm_take(s, "steps"))
			desc_steps(s, d);
		else if (asm_take(s, "window")) {
			uint32_t w = (uint32_t)asm_int(s, 0, 1, "the number of the window");
			d->window[w].on = true;
			asm_expect(s, "dim");
			d->window[w].dim = (uint8_t)asm_int(s, 0, PEARL_RANK - 1, "a dimension");
			asm_expect(s, "start");
			d->window[w].start = any_int(s, "the start");
			asm_expect(s, "limit");
			d->window[w].limit = any_int(s, "the limit");
		} else
			asm_error(s, "expected ring, steps or window");
	}
}

/* Where it lies: REGION[base], or the name of a channel, which brings its ring. */
static void desc_place(Assembler *s, PearlDesc *d)
{
	uint32_t n;
	if (!s->failed && s->at.kind == LEX_NAME &&
	    symbol_find(&s->symbols, SYMBOL_CHAN, s->at.text, &n)) {
		const Channel *c = &s->channels.at[n];
		asm_next(s);
		d->region = (uint16_t)c->region;
		d->base = c->base;
		d->ring = c->ring;
		d->ring_stride = c->ring > 1 ? c->bytes : 0;
	} else {
		d->region = (uint16_t)asm_region(s);
		asm_expect(s, "[");
		d->base = any_constant(s, "an address");
		asm_expect(s, "]");
	}
	/* a channel that was reported may lie in no region */
	if (!s->failed && d->region < s->p->regions.n) d->space = s->p->regions.at[d->region].space;
}

static void desc(Assembler *s)
{
	Span at = asm_span(s);
	PearlDesc d = {.name = declared(s, SYMBOL_DESC, (uint32_t)s->p->descs.n, "descriptor"),
	               .ring = 1};
	d.dtype = element_type(s);
	desc_place(s, &d);
	asm_expect(s, "dims");
	desc_dims(s, &d);
	asm_expect(s, "strides");
	asm_expect(s, "[");
	for (uint32_t k = 0; k < d.rank; k++) {
		if (k) asm_expect(s, ",");
		d.stride[k] = any_constant(s, "a stride, one for each dimension");
	}
	asm_expect(s, "]");
	desc_more(s, &d);
	at.end = s->last_end;
	const char *why = s->failed ? NULL : pearl_check_desc(s->arena, s->p, &d);
	if (why) asm_error_at(s, at, "%s", why);
	pearl_add_desc(s->p, &d);
}

/* --- entries --------------------------------------------------------------------------------------------------------- */

typedef VEC(uint32_t) Numbers;

static const uint32_t *tensor_list(Assembler *s, uint32_t *n)
{
	Numbers list = {0};
	do {
		uint32_t t = asm_reference(s, SYMBOL_TENSOR, (uint32_t)s->tensors.n, "tensor");
		vec_push(s->p->arena, &list, t);
	} while (asm_take(s, ","));
	*n = (uint32_t)list.n;
	return list.at;
}

static void entry_sets(Assembler *s, InterfaceEntry *e)
{
	Numbers list = {0};
	VEC(const ExprWord *) values = {0};
	do {
		uint32_t p = asm_reference(s, SYMBOL_PARAM, (uint32_t)s->params.n, "parameter");
		asm_expect(s, "=");
		const ExprWord *v = expression(s);
		vec_push(s->p->arena, &list, p);
		vec_push(s->p->arena, &values, v);
	} while (asm_take(s, ","));
	e->n_set = (uint32_t)list.n;
	e->set_param = list.at;
	e->set_value = values.at;
}

static void entry_requires(Assembler *s, InterfaceEntry *e)
{
	VEC(const ExprWord *) list = {0};
	VEC(const char *) texts = {0};
	do {
		const ExprWord *v = expression(s);
		bool given = !s->failed && s->at.kind == LEX_STRING;
		const char *text = given ? arena_strdup(s->p->arena, asm_text(s, "a text")) : "";
		vec_push(s->p->arena, &list, v);
		vec_push(s->p->arena, &texts, text);
	} while (asm_take(s, ","));
	e->n_require = (uint32_t)list.n;
	e->require = list.at;
	e->require_text = texts.at;
}

static void entry_launches(Assembler *s, InterfaceEntry *e)
{
	VEC(const char *) names = {0};
	do {
		const char *name = arena_strdup(s->p->arena, asm_text(s, "the name of a launch"));
		vec_push(s->p->arena, &names, name);
	} while (asm_take(s, ","));
	e->launches = (uint32_t)names.n;
	e->launch_name = names.at;
}

static void entry(Assembler *s)
{
	Span at = asm_span(s);
	PearlCode code = {.first = (uint32_t)s->p->code.n};
	InterfaceEntry e = {.name = declared(s, SYMBOL_ENTRY, (uint32_t)s->entries.n, "entry")};
	if (asm_take(s, "in")) e.in = tensor_list(s, &e.n_in);
	if (asm_take(s, "out")) e.out = tensor_list(s, &e.n_out);
	if (asm_take(s, "set")) entry_sets(s, &e);
	if (asm_take(s, "launches")) entry_launches(s, &e);
	if (asm_take(s, "require")) entry_requires(s, &e);
	if (asm_take(s, "prepack")) s->interface->prepack = (int32_t)s->entries.n;
	asm_expect(s, "{");
	s->n_nest = 0;
	while (s->desc_slot.n < s->p->descs.n) vec_push(s->arena, &s->desc_slot, 0);
	for (asm_end_line(s); s->at.kind != LEX_END; asm_end_line(s)) {
		if (s->at.kind == LEX_LINE) continue;
		if (s->n_nest == 0 && asm_is(s, "}")) break;
		asm_insn(s);
	}
	for (uint32_t k = s->n_nest; k-- > 0;) {
		asm_error_at(s, s->nest[k].at, "this block is not closed by a `}`");
		s->failed = false;
	}
	if (!asm_take(s, "}")) asm_error_at(s, at, "the entry is not closed by a `}`");
	code.name = e.name;
	code.count = (uint32_t)s->p->code.n - code.first;
	vec_push(s->p->arena, &s->entries, e);
	vec_push(s->p->arena, &s->p->entries, code);
}

/* --- weights ------------------------------------------------------------------------------------------------------------ */

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z') return c - 'A';
	if (c >= 'a' && c <= 'z') return c - 'a' + 26;
	if (c >= '0' && c <= '9') return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The characters of one string; false when they are not base64 or too many. */
static bool base64_line(const char *c, uint8_t *to, uint64_t bytes, uint64_t *at)
{
	for (; c[0]; c += 4) {
		int v[4];
		uint32_t n = 4;
		for (uint32_t k = 0; k < 4; k++) {
			v[k] = base64_value(c[k]);
			if (v[k] < 0 && (k < 2 || c[k] != '=')) return false;
			if (v[k] < 0 && n == 4) n = k;
			if (v[k] >= 0 && n < 4) return false;
		}
		uint32_t word = 0;
		for (uint32_t k = 0; k < 4; k++) word = word << 6 | (k < n ? (uint32_t)v[k] : 0u);
		if (n - 1 > bytes - *at) return false;
		for (uint32_t k = 0; k + 1 < n; k++) to[(*at)++] = (uint8_t)(word >> (16 - 8 * k));
	}
	return true;
}

static void weights_text(Assembler *s, uint64_t bytes)
{
	/* each byte takes more than one character, so that the text bounds what is allocated */
	if (bytes > s->source->size) {
		asm_error(s, "the text is too short for %llu bytes", (unsigned long long)bytes);
		return;
	}
	uint8_t *to = NEW_ARRAY(s->p->arena, uint8_t, bytes + 1);
	uint64_t at = 0;
	while (at < bytes && !s->failed) {
		while (s->at.kind == LEX_LINE) asm_next(s);
		Span span = asm_span(s);
		const char *line = asm_text(s, "a string of base64");
		if (!s->failed && (!line[0] || !base64_line(line, to, bytes, &at)))
			asm_error_at(s, span, "this is not base64, or it is longer than was said");
	}
	s->p->weights.data = to;
	s->p->weights.bytes = bytes;
}

/* A file beside the text, or at an absolute path. */
static void weights_file(Assembler *s, uint64_t bytes)
{
	Span at = asm_span(s);
	const char *name = asm_text(s, "the name of a file"), *slash = strrchr(s->source->name, '/');
	if (s->failed) return;
	int folder = slash && name[0] != '/' && slash - s->source->name < PATH_MAX
	                 ? (int)(slash + 1 - s->source->name)
	                 : 0;
	const char *path = arena_printf(s->arena, "%.*s%s", folder, s->source->name, name), *why = "";
	FileMap map;
	if (!file_map(path, &map, &why)) {
		asm_error_at(s, at, "'%s': %s", path, why);
		return;
	}
	if (map.size == bytes) {
		uint8_t *to = NEW_ARRAY(s->p->arena, uint8_t, bytes + 1);
		if (bytes) memcpy(to, map.at, bytes);
		s->p->weights.data = to;
		s->p->weights.bytes = bytes;
	} else
		asm_error_at(s, at, "'%s' has %zu bytes, not %llu", path, map.size,
		             (unsigned long long)bytes);
	file_unmap(&map);
}

static void weights(Assembler *s)
{
	Span span = asm_span(s);
	if (s->has_weights) asm_error(s, "the weights are given twice");
	s->has_weights = true;
	asm_expect(s, "bytes");
	uint64_t bytes = asm_u64(s, "a number of bytes");
	bool check = asm_take(s, "crc");
	uint32_t crc = check ? any_u32(s, "a checksum") : 0;
	if (s->failed) return;
	if (asm_take(s, "file"))
		weights_file(s, bytes);
	else
		weights_text(s, bytes);
	if (!s->failed && check && crc32c(0, s->p->weights.data, bytes) != crc)
		asm_error_at(
			s, span,
			"the weights have another checksum than 0x%08x: they are not those of this program",
			crc);
}

/* --- the file ---------------------------------------------------------------------------------------------------------------- */

static void statement(Assembler *s)
{
	static const struct {
		const char *word;
		void (*read)(Assembler *);
	} kinds[] = {{"machine", machine}, {"model", model}, {"param", param},
	             {"require", require}, {"check", check}, {"tensor", tensor},
	             {"region", region},   {"token", token}, {"chan", chan},
	             {"desc", desc},       {"entry", entry}, {"weights", weights}};
	const char *names[COUNT(kinds)];
	for (uint32_t k = 0; k < COUNT(kinds); k++) {
		names[k] = kinds[k].word;
		if (!asm_take(s, kinds[k].word)) continue;
		kinds[k].read(s);
		return;
	}
	const char *near =
		s->at.kind == LEX_NAME ? nearest_name(s->at.text, names, COUNT(kinds)) : NULL;
	if (s->at.kind == LEX_BAD) {
		asm_error(s, "unexpected character");
		return;
	}
	Diag *d = asm_error_at(
		s, asm_span(s),
		"expected a declaration: machine, model, param, tensor, region, token, chan, desc, entry");
	if (near) diag_help(s->d, d, "did you mean `%s`?", near);
}

static void finish(Assembler *s)
{
	Interface *i = s->interface;
	i->param = s->params.at;
	i->n_require = (uint32_t)s->require.n;
	i->require = s->require.at;
	i->require_text = s->require_text.at;
	i->check = s->checks.at;
	i->n_check = (uint32_t)s->checks.n;
	i->entry = s->entries.at;
	i->n_entry = (uint32_t)s->entries.n;
	Span whole = {s->source, 0, 0};
	if (!i->n_entry) asm_error_at(s, whole, "the program has no entry");
	for (uint32_t k = 0; k < i->n_tensor && !s->failed; k++) {
		const InterfaceTensor *t = &i->tensor[k];
		bool owned = t->kind == IT_IN || t->kind == IT_OUT || t->kind == IT_ARENA;
		if (owned && t->entry >= i->n_entry)
			asm_error_at(s, whole, "tensor `%s` belongs to entry %u, which does not exist", t->name,
			             t->entry);
	}
	uint32_t insn;
	const char *why = s->failed ? NULL : pearl_check(s->arena, s->p, &insn);
	if (!why) return;
	if (insn != UINT32_MAX && s->p->text->lines)
		whole = pearl_insn_span(s->p, &s->p->code.at[insn]);
	Diag *d = asm_error_at(s, whole, "%s", why);
	if (insn == UINT32_MAX) return;
	Text t = text_new(s->arena);
	pearl_insn_text(&t, s->p, &s->p->code.at[insn]);
	diag_note(s->d, d, span_none(), "at instruction %u, line %u: %s", insn,
	          s->p->code.at[insn].line, t.at);
}

static const PearlText *text_places(Assembler *s)
{
	PearlText *t = NEW(s->p->arena, PearlText);
	*t = (PearlText){s->source, s->param_at.at, s->tensor_at.at, !s->explicit_lines};
	return t;
}

PearlProgram *pearl_assemble(Arena *a, Diags *d, const Source *source)
{
	return pearl_assemble_placed(a, d, source, NULL, NULL);
}

PearlProgram *pearl_assemble_placed(Arena *a, Diags *d, const Source *source,
                                    const PearlPlacing *placing, const PearlMachine *m)
{
	Arena *scratch = arena_new();
	PearlMachine base;
	pearl_machine_named("base", &base);
	uint32_t errors = d->errors;
	Assembler *s = NEW(scratch, Assembler);
	s->arena = scratch;
	s->d = d;
	s->source = source;
	s->symbols.arena = scratch;
	s->placing = placing;
	s->p = pearl_program_new(a, &base);
	s->interface = NEW(a, Interface);
	*s->interface = *s->p->interface;
	s->p->interface = s->interface;
	asm_next(s);
	while (s->at.kind == LEX_LINE) asm_next(s);
	if (asm_expect(s, "pearl")) asm_int(s, 1, 1, "the version of the text");
	for (asm_end_line(s); s->at.kind != LEX_END && d->errors - errors < 100; asm_end_line(s))
		if (s->at.kind != LEX_LINE) statement(s);
	s->failed = false;
	if (m) s->p->machine = *m;
	s->p->text = text_places(s);
	if (d->errors == errors) finish(s);
	PearlProgram *p = s->p;
	arena_free(scratch);
	return d->errors == errors ? p : NULL;
}
