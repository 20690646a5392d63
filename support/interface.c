/* The interface of a compiled program as bytes: "NIF" and a version, the record in the order of the
 * structs, a CRC32C of everything before it. Strings carry their length, expressions their number of
 * words; every number is checked while reading, so what comes out can be used without further care. */
#include "support/interface.h"

#include "support/bytes.h"

#include <string.h>

enum { INTERFACE_VERSION = 5, EXPR_WORD_BYTES = 9 };

static const char magic[4] = {'N', 'I', 'F', 0};

static void put_expr(Text *t, const ExprWord *e)
{
	static const ExprWord zero[] = {{EXPR_CONST, 0, 0}, {EXPR_END, 0, 0}};
	if (!e) e = zero;
	uint32_t n = 1;
	while (e[n - 1].code != EXPR_END) n++;
	bytes_u32(t, n);
	for (uint32_t i = 0; i < n; i++) {
		bytes_u8(t, (uint64_t)e[i].code);
		bool holds = e[i].code == EXPR_CONST || e[i].code == EXPR_PARAM;
		bytes_i64(t, holds ? e[i].value : 0);
	}
}

static void put_tensor(Text *t, const InterfaceTensor *x)
{
	bytes_str(t, x->name);
	bytes_str(t, x->key);
	bytes_u32(t, x->kind);
	bytes_u32(t, x->dtype);
	bytes_u32(t, x->rank);
	for (uint32_t d = 0; d < x->rank; d++) put_expr(t, x->dim[d]);
	put_expr(t, x->bytes);
	bytes_u32(t, x->plain);
	bytes_u32(t, x->live_first);
	bytes_u32(t, x->live_last);
	bytes_u32(t, x->entry);
	bytes_u32(t, x->sliced);
	bytes_u64(t, x->offset);
	for (uint32_t d = 0; d < x->rank; d++) bytes_i64(t, x->stride[d]);
	bytes_u64(t, x->address);
	bytes_u64(t, x->fill);
}

static void put_entry(Text *t, const InterfaceEntry *e)
{
	bytes_str(t, e->name);
	bytes_u32(t, e->n_in);
	for (uint32_t i = 0; i < e->n_in; i++) bytes_u32(t, e->in[i]);
	bytes_u32(t, e->n_out);
	for (uint32_t i = 0; i < e->n_out; i++) bytes_u32(t, e->out[i]);
	bytes_u32(t, e->n_set);
	for (uint32_t i = 0; i < e->n_set; i++) {
		bytes_u32(t, e->set_param[i]);
		put_expr(t, e->set_value[i]);
	}
	bytes_u32(t, e->launches);
	for (uint32_t i = 0; i < e->launches; i++)
		bytes_str(t, e->launch_name ? e->launch_name[i] : NULL);
	bytes_u32(t, e->n_require);
	for (uint32_t i = 0; i < e->n_require; i++) {
		put_expr(t, e->require[i]);
		bytes_str(t, e->require_text ? e->require_text[i] : NULL);
	}
}

void interface_write(const Interface *i, Text *out)
{
	size_t start = out->n;
	text_append(out, magic, sizeof magic);
	bytes_u32(out, INTERFACE_VERSION);
	bytes_str(out, i->model);
	bytes_str(out, i->target);
	bytes_str(out, i->version);
	bytes_u32(out, i->n_param);
	bytes_u32(out, i->n_require);
	bytes_u32(out, i->n_tensor);
	bytes_u32(out, i->n_entry);
	for (uint32_t k = 0; k < i->n_param; k++) {
		bytes_str(out, i->param[k].name);
		bytes_u32(out, i->param[k].kind);
		put_expr(out, i->param[k].lo);
		put_expr(out, i->param[k].hi);
		put_expr(out, i->param[k].initial ? i->param[k].initial : i->param[k].lo);
	}
	for (uint32_t k = 0; k < i->n_require; k++) {
		put_expr(out, i->require[k]);
		bytes_str(out, i->require_text ? i->require_text[k] : NULL);
	}
	for (uint32_t k = 0; k < i->n_tensor; k++) put_tensor(out, &i->tensor[k]);
	for (uint32_t k = 0; k < i->n_entry; k++) put_entry(out, &i->entry[k]);
	bytes_u32(out, i->n_check);
	for (uint32_t k = 0; k < i->n_check; k++) bytes_str(out, i->check[k]);
	bytes_u32(out, (uint32_t)i->prepack);
	bytes_u32(out, crc32c(0, out->at + start, out->n - start));
}

void interface_fill(const InterfaceTensor *t, void *at, uint64_t n)
{
	uint8_t pattern[8];
	for (uint32_t i = 0; i < 8; i++) pattern[i] = (uint8_t)(t->fill >> (8 * i));
	if (!t->fill) {
		memset(at, 0, n);
		return;
	}
	for (uint64_t i = 0; i < n; i += 8) memcpy((uint8_t *)at + i, pattern, n - i < 8 ? n - i : 8);
}

/* --- messages --- */

typedef struct Values {
	const Interface *i;
	const int64_t *value;
} Values;

static bool value_slot(void *ctx, const char *name, char *at, size_t n)
{
	const Values *v = ctx;
	for (uint32_t k = 0; k < v->i->n_param; k++) {
		if (strcmp(v->i->param[k].name, name) != 0) continue;
		snprintf(at, n, "%lld", (long long)v->value[k]);
		return true;
	}
	return false;
}

void interface_require_text(char *at, size_t n, const Interface *i, const ExprWord *require,
                            const char *text, const int64_t *values)
{
	if (text && strstr(text, RELATION_FAILS)) {
		message_fill(at, n, text, value_slot, &(Values){i, values});
		return;
	}
	size_t used = (size_t)snprintf(at, n, "the model requires %s; here", text ? text : "more");
	const char *before = "";
	for (uint32_t p = 0; p < i->n_param && used < n; p++) {
		const ExprWord *x = require;
		while (x->code != EXPR_END && (x->code != EXPR_PARAM || x->value != (int64_t)p)) x++;
		if (x->code != EXPR_PARAM) continue;
		used += (size_t)snprintf(at + used, n - used, "%s %s = %lld", before, i->param[p].name,
		                         (long long)values[p]);
		before = ",";
	}
}

int64_t interface_first_large(const void *i64, int64_t n)
{
	const int64_t *v = i64;
	int64_t i = 0;
	while (i < n && v[i] >= INT32_MIN && v[i] <= INT32_MAX) i++;
	return i;
}

/* --- reading ----------------------------------------------------------------------------------- */

static const ExprWord *get_expr(Cursor *c, uint32_t params)
{
	static const ExprWord zero[] = {{EXPR_CONST, 0, 0}, {EXPR_END, 0, 0}};
	uint32_t n = cursor_count(c, EXPR_WORD_BYTES);
	if (c->why) return zero;
	ExprWord *e = NEW_ARRAY(c->arena, ExprWord, n ? n : 1);
	for (uint32_t i = 0; i < n; i++) {
		e[i].code = cursor_u8(c);
		e[i].value = cursor_i64(c);
	}
	bool first_end = n > 0;
	for (uint32_t i = 0; i < n; i++) {
		bool holds = e[i].code == EXPR_CONST || e[i].code == EXPR_PARAM;
		first_end = first_end && (e[i].code == EXPR_END) == (i == n - 1);
		first_end = first_end && (holds || e[i].value == 0);
	}
	if (!first_end || !expr_check(e, n, params)) {
		cursor_fail(c, "a size expression is not well formed");
		return zero;
	}
	return e;
}

static void get_tensor(Cursor *c, InterfaceTensor *x, const Interface *i)
{
	x->name = cursor_str(c);
	x->key = cursor_str(c);
	x->kind = cursor_below(c, IT_CONST + 1, "unknown kind of tensor");
	x->dtype = cursor_below(c, 64, "unknown element type");
	x->rank = cursor_below(c, 9, "a tensor has more than 8 dimensions");
	for (uint32_t d = 0; d < 8; d++) x->dim[d] = d < x->rank ? get_expr(c, i->n_param) : NULL;
	x->bytes = get_expr(c, i->n_param);
	x->plain = cursor_below(c, 2, "a flag is neither 0 nor 1");
	x->live_first = cursor_u32(c);
	x->live_last = cursor_u32(c);
	x->entry = cursor_u32(c);
	x->sliced = cursor_below(c, 2, "a flag is neither 0 nor 1");
	bool owned = x->kind == IT_IN || x->kind == IT_OUT || x->kind == IT_ARENA;
	if (!c->why && owned && x->entry >= i->n_entry)
		cursor_fail(c, "a tensor belongs to an entry that does not exist");
	x->offset = cursor_u64(c);
	for (uint32_t d = 0; d < x->rank; d++) x->stride[d] = cursor_i64(c);
	x->address = cursor_u64(c);
	x->fill = cursor_u64(c);
}

static const uint32_t *get_numbers(Cursor *c, uint32_t *n, uint32_t limit)
{
	*n = cursor_count(c, 4);
	uint32_t *at = NEW_ARRAY(c->arena, uint32_t, *n ? *n : 1);
	for (uint32_t k = 0; k < *n; k++)
		at[k] = cursor_below(c, limit, "an entry names a tensor that does not exist");
	return at;
}

static void get_entry(Cursor *c, InterfaceEntry *e, const Interface *i)
{
	e->name = cursor_str(c);
	e->in = get_numbers(c, &e->n_in, i->n_tensor);
	e->out = get_numbers(c, &e->n_out, i->n_tensor);
	e->n_set = cursor_count(c, 4);
	uint32_t *param = NEW_ARRAY(c->arena, uint32_t, e->n_set ? e->n_set : 1);
	const ExprWord **value = NEW_ARRAY(c->arena, const ExprWord *, e->n_set ? e->n_set : 1);
	for (uint32_t k = 0; k < e->n_set; k++) {
		param[k] = cursor_below(c, i->n_param, "an entry sets a parameter that does not exist");
		value[k] = get_expr(c, i->n_param);
	}
	e->set_param = param;
	e->set_value = value;
	e->launches = cursor_count(c, 4);
	const char **name = NEW_ARRAY(c->arena, const char *, e->launches ? e->launches : 1);
	for (uint32_t k = 0; k < e->launches; k++) name[k] = cursor_str(c);
	e->launch_name = name;
	e->n_require = cursor_count(c, 8);
	const ExprWord **require = NEW_ARRAY(c->arena, const ExprWord *, e->n_require + 1);
	const char **text = NEW_ARRAY(c->arena, const char *, e->n_require + 1);
	for (uint32_t k = 0; k < e->n_require; k++) {
		require[k] = get_expr(c, i->n_param);
		text[k] = cursor_str(c);
	}
	e->require = require;
	e->require_text = text;
}

static void get_lists(Cursor *c, Interface *i)
{
	InterfaceParam *param = NEW_ARRAY(c->arena, InterfaceParam, i->n_param + 1);
	const ExprWord **require = NEW_ARRAY(c->arena, const ExprWord *, i->n_require + 1);
	const char **text = NEW_ARRAY(c->arena, const char *, i->n_require + 1);
	InterfaceTensor *tensor = NEW_ARRAY(c->arena, InterfaceTensor, i->n_tensor + 1);
	InterfaceEntry *entry = NEW_ARRAY(c->arena, InterfaceEntry, i->n_entry + 1);
	for (uint32_t k = 0; k < i->n_param && !c->why; k++) {
		param[k].name = cursor_str(c);
		param[k].kind = cursor_below(c, IP_STATE + 1, "unknown kind of parameter");
		param[k].lo = get_expr(c, i->n_param);
		param[k].hi = get_expr(c, i->n_param);
		param[k].initial = get_expr(c, i->n_param);
	}
	for (uint32_t k = 0; k < i->n_require && !c->why; k++) {
		require[k] = get_expr(c, i->n_param);
		text[k] = cursor_str(c);
	}
	for (uint32_t k = 0; k < i->n_tensor && !c->why; k++) get_tensor(c, &tensor[k], i);
	for (uint32_t k = 0; k < i->n_entry && !c->why; k++) get_entry(c, &entry[k], i);
	i->n_check = cursor_count(c, 4);
	const char **check = NEW_ARRAY(c->arena, const char *, i->n_check + 1);
	for (uint32_t k = 0; k < i->n_check; k++) check[k] = cursor_str(c);
	i->check = check;
	i->param = param;
	i->require = require;
	i->require_text = text;
	i->tensor = tensor;
	i->entry = entry;
}

const Interface *interface_read(Arena *a, const uint8_t *data, size_t n, const char **why)
{
	Cursor c = {a, data, sizeof magic, n, NULL};
	if (n < sizeof magic + 8 || memcmp(data, magic, sizeof magic) != 0) {
		*why = "this is not the interface of a compiled program";
		return NULL;
	}
	c.at = n - 4;
	uint32_t crc = cursor_u32(&c);
	c.at = sizeof magic;
	c.n = n - 4;
	if (crc32c(0, data, n - 4) != crc) {
		*why = "the interface is damaged: its checksum does not match";
		return NULL;
	}
	if (cursor_u32(&c) != INTERFACE_VERSION) {
		*why = "the interface was written by another version of nacre";
		return NULL;
	}
	Interface *i = NEW(a, Interface);
	i->model = cursor_str(&c);
	i->target = cursor_str(&c);
	i->version = cursor_str(&c);
	/* The least that each takes: a file cannot make us allocate more than a few times its size. */
	uint32_t *counts[] = {&i->n_param, &i->n_require, &i->n_tensor, &i->n_entry};
	size_t least[] = {20, 8, 68, 20};
	for (uint32_t k = 0; k < COUNT(counts); k++) *counts[k] = cursor_count(&c, least[k]);
	if (!c.why) get_lists(&c, i);
	i->prepack = (int32_t)cursor_u32(&c);
	if (!c.why && (i->prepack < -1 || i->prepack >= (int64_t)i->n_entry))
		cursor_fail(&c, "the prepack entry does not exist");
	if (!c.why && c.at != c.n) cursor_fail(&c, "there are bytes after the end");
	if (c.why) {
		*why = arena_printf(a, "the interface is not well formed: %s", c.why);
		return NULL;
	}
	return i;
}
