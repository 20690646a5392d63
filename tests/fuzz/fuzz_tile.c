/* Fuzzes the text form of tile IR, its verifier and its interpreter: no crash and no leak, what is
 * accepted prints to a text that parses to the same text, and what is verified runs (or says why not). */
#include "ir/tile/tile.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_BYTES = 1 << 16, MOST_STEPS = 20000 };

typedef struct Values {
	const TileProgram *p;
	int64_t *v;
} Values;

static bool value_of(void *ctx, const DimSym *s, int64_t *out)
{
	const Values *c = ctx;
	for (size_t i = 0; i < c->p->params.n; i++)
		if (c->p->params.at[i] == s) {
			*out = c->v[i];
			return true;
		}
	return false;
}

static TileProgram *parse(Arena *a, Diags *d, const char *text, size_t n)
{
	return tile_parse(a, d, source_from_text(a, "fuzz", text, n));
}

/* Every entry, each parameter at the lower or upper end of its range. */
static void run(Arena *a, Diags *d, TileProgram *p, bool upper)
{
	Values c = {p, NEW_ARRAY(a, int64_t, p->params.n + 1)};
	TileRun r = {.exact = upper, .params = c.v, .data = NEW_ARRAY(a, void *, p->bufs.n + 1)};
	for (size_t i = 0; i < p->params.n; i++)
		if (!dim_eval(upper ? p->params.at[i]->hi : p->params.at[i]->lo, value_of, &c, &c.v[i]))
			return;
	for (size_t b = 0; b < p->bufs.n; b++) {
		const TileObj *o = p->bufs.at[b];
		int64_t dims[TILE_RANK];
		for (uint32_t i = 0; i < o->rank; i++)
			if (!dim_eval(o->dims[i], value_of, &c, &dims[i]) || dims[i] < 0) return;
		int64_t bytes = encoding_bytes(&o->enc, o->dtype, o->rank, dims);
		if (bytes < 0 || bytes > MOST_BYTES) return;
		if (o->kind != TB_ARENA) r.data[b] = arena_alloc(a, (size_t)bytes);
	}
	for (size_t i = 0; i < p->entries.n && i < 4; i++) {
		r.steps_left = MOST_STEPS;
		tile_interpret(d, p, p->entries.at[i], &r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	TileProgram *p = parse(a, &d, (const char *)data, size);
	if (p) {
		Text one = text_new(a), two = text_new(a);
		tile_print(&one, p);
		TileProgram *again = parse(a, &d, one.at, one.n);
		if (!again) __builtin_trap();
		tile_print(&two, again);
		if (strcmp(one.at, two.at) != 0) __builtin_trap();
		if (tile_verify(&d, p)) {
			run(a, &d, p, false);
			run(a, &d, p, true);
		}
	} else if (!d.errors) {
		__builtin_trap();
	}
	arena_free(a);
	return 0;
}
