/* Mutants of compiled programs, against what happens when they run. A mutant that the verifier accepts
 * must give the same bytes in program order and with random latencies and queue depths, and must not
 * leave its regions or come to a stop; only an index that data choose may trap. */
#include "codegen/pearl/pearl.h"
#include "codegen/tile/build.h"
#include "ir/tile/tile.h"
#include "isa/isa.h"
#include "runtime/sim/sim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PARAMS = 16, MOST_LENGTH = 150, JITTERS = 4 };

static uint64_t state = 88172645463325252u;

static uint64_t random_next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint32_t below(size_t n)
{
	return (uint32_t)(random_next() % n);
}

static PearlProgram *copy_of(Arena *a, const PearlProgram *p)
{
	PearlProgram *q = NEW(a, PearlProgram);
	*q = *p;
	q->arena = a;
	memset(&q->tokens, 0, sizeof q->tokens);
	memset(&q->descs, 0, sizeof q->descs);
	memset(&q->code, 0, sizeof q->code);
	for (size_t k = 0; k < p->tokens.n; k++) vec_push(a, &q->tokens, p->tokens.at[k]);
	for (size_t k = 0; k < p->descs.n; k++) vec_push(a, &q->descs, p->descs.at[k]);
	for (size_t k = 0; k < p->code.n; k++) vec_push(a, &q->code, p->code.at[k]);
	return q;
}

/* --- mutations: each returns whether it found something to change -------------------------------- */

static void drop_wait(PearlInsn *i)
{
	i->wait[0] = i->wait[1];
	i->wait[1] = 0;
}

static void drop_signal(PearlInsn *i)
{
	i->signal[0] = i->signal[1];
	i->signal[1] = 0;
}

/* A wait and a signal of the same token near it: counts stay in balance. */
static bool drop_pair(PearlProgram *p)
{
	uint32_t at = below(p->code.n);
	PearlInsn *i = &p->code.at[at];
	uint8_t token = i->wait[0];
	for (uint32_t n = 0; token && n < 200; n++) {
		PearlInsn *j = &p->code.at[below(p->code.n)];
		if (labs((long)(j - i)) > 60 || (j->signal[0] != token && j->signal[1] != token)) continue;
		drop_wait(i);
		if (j->signal[0] == token)
			drop_signal(j);
		else
			j->signal[1] = 0;
		return true;
	}
	return false;
}

static bool change_desc(PearlProgram *p, uint32_t kind)
{
	static const int64_t bytes[] = {4, -4, 128, -128, 512, 1024, -1024};
	PearlDesc *d = &p->descs.at[below(p->descs.n)];
	uint32_t k = d->rank ? below(d->rank) : 0;
	switch (kind) {
	case 0: d->base += bytes[below(COUNT(bytes))]; return true;
	case 1:
		if (!d->rank || d->dim[k] == 0) return false;
		d->dim[k] += random_next() % 2 ? 1 : -1;
		return true;
	case 2:
		if (d->rank) d->stride[k] += random_next() % 2 ? 4 : -4;
		return d->rank > 0;
	case 3:
		if (d->n_step) d->step[below(d->n_step)].bytes += random_next() % 2 ? 4 : -64;
		return d->n_step > 0;
	default:
		if (d->ring < 2) return false;
		if (random_next() % 2)
			d->ring_stride -= 128;
		else if (--d->ring == 1)
			d->ring_stride = 0;
		return true;
	}
}

static bool change_insn(PearlProgram *p, uint32_t kind)
{
	PearlInsn *i = &p->code.at[below(p->code.n)];
	bool has_wait = i->wait[0], has_signal = i->signal[0];
	uint32_t a = below(4), b = below(4);
	uint8_t swap = i->desc[a];
	switch (kind) {
	case 0: drop_wait(i); return has_wait;
	case 1: drop_signal(i); return has_signal;
	case 2:
		i->desc[a] = i->desc[b];
		i->desc[b] = swap;
		return i->desc[a] != i->desc[b];
	case 3:
		if (i->op != I_LOOP || i->field[F_LOOP_tile] < 2) return false;
		i->field[F_LOOP_tile] += random_next() % 2 ? 1 : -1;
		return true;
	default:
		if (pearl_insn[i->op].format != FMT_ALU || !i->field[F_ALU_use_imm]) return false;
		i->field[F_ALU_imm] += random_next() % 2 ? 1 : -1;
		return true;
	}
}

static bool change_token(PearlProgram *p)
{
	PearlToken *t = p->tokens.n ? &p->tokens.at[below(p->tokens.n)] : NULL;
	if (!t) return false;
	t->initial = (uint8_t)(random_next() % 2 || !t->initial ? t->initial + 1 : t->initial - 1);
	return true;
}

static void mutate(PearlProgram *p)
{
	for (;;) {
		uint32_t kind = below(12);
		if (kind < 5     ? change_desc(p, kind)
		    : kind < 10  ? change_insn(p, kind - 5)
		    : kind == 10 ? drop_pair(p)
		                 : change_token(p))
			return;
	}
}

/* --- running ---------------------------------------------------------------------------------------- */

typedef struct Case {
	const char *name;
	const PearlProgram *p;
	uint64_t bytes;
	uint8_t *start; /* of HBM */
	uint8_t *first, *second;
} Case;

/* Inputs and weights: small floats; small whole numbers for i32. */
static void fill_memory(Case *c)
{
	for (uint32_t k = 0; k < c->p->regions.n; k++) {
		const PearlRegion *r = &c->p->regions.at[k];
		if (r->space != SPACE_HBM || r->tensor < 0) continue;
		bool integer = c->p->interface->tensor[r->tensor].dtype == PDT_I32,
			 wide = c->p->interface->tensor[r->tensor].dtype == PDT_F32;
		for (int64_t at = r->address; at + 4 <= r->address + r->bytes; at += 4) {
			float f = (float)((double)(random_next() % 2001) / 1000 - 1);
			uint32_t v = integer ? below(3) : 0x3c003c00u + ((uint32_t)random_next() & 0x00ff00ff);
			if (wide)
				memcpy(c->start + at, &f, 4);
			else
				memcpy(c->start + at, &v, 4);
		}
	}
}

static bool run(const Case *c, const PearlProgram *p, const int64_t *params, uint64_t jitter,
                uint8_t *out, char *why, size_t n)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	SimOptions o = {.jitter = jitter};
	SimReport r;
	PearlSim *s = sim_new(&d, p, NULL);
	bool done = s && sim_write(s, 0, c->start, c->bytes) && sim_run(s, &d, 0, params, &o, &r, a) &&
	            sim_read(s, 0, out, c->bytes);
	snprintf(why, n, "%s", d.list.n ? d.list.at[0]->text : "");
	sim_free(s);
	arena_free(a);
	return done;
}

static bool choose_params(const PearlProgram *p, uint32_t sample, int64_t *out)
{
	const Interface *f = p->interface;
	int64_t lo, hi, v;
	cr_assert_leq(f->n_param, MOST_PARAMS);
	for (uint32_t k = 0; k < f->n_param; k++) {
		if (!expr_eval(f->param[k].lo, out, &lo) || !expr_eval(f->param[k].hi, out, &hi))
			return false;
		if (hi > MOST_LENGTH) hi = MOST_LENGTH < lo ? lo : MOST_LENGTH;
		out[k] = sample == 0   ? hi
		         : sample == 1 ? lo
		                       : lo + (int64_t)(random_next() % (uint64_t)(hi - lo + 1));
	}
	for (uint32_t k = 0; k < f->n_require; k++)
		if (!expr_eval(f->require[k], out, &v) || v < 0) return false;
	return true;
}

/* What goes wrong when an accepted program runs, or NULL. */
static const char *misbehaves(Arena *a, const Case *c, const PearlProgram *q)
{
	char why[200];
	for (uint32_t sample = 0; sample < 3; sample++) {
		int64_t params[MOST_PARAMS] = {0};
		if (!choose_params(q, sample, params)) continue;
		if (!run(c, q, params, 0, c->first, why, sizeof why)) {
			if (strstr(why, "index")) continue; /* data chose it, and it trapped */
			return arena_printf(a, "in program order: %s", why);
		}
		for (uint32_t k = 0; k < JITTERS; k++) {
			if (!run(c, q, params, random_next() | 1, c->second, why, sizeof why))
				return arena_printf(a, "with random latencies: %s", why);
			if (memcmp(c->first, c->second, c->bytes) != 0) return "results depend on latencies";
		}
	}
	return NULL;
}

static void try_mutants(const char *name, uint32_t count, uint32_t *refused, uint32_t *missed)
{
	Arena *a = arena_new();
	Diags d = {.arena = a};
	PearlMachine m;
	const char *why = "";
	pearl_machine_named("nano", &m);
	m.hbm_bytes = 1 << 26;
	const Source *s =
		source_from_file(a, arena_printf(a, NACRE_TESTS_DIR "/tile/programs/%s.tile", name), &why);
	cr_assert_not_null(s, "%s: %s", name, why);
	TileProgram *t = tile_parse(a, &d, s);
	const Interface *face = t ? interface_build(NULL, t, "pearl", &d) : NULL;
	Case c = {.name = name, .p = face ? pearl_compile(&d, t, &m, face, a) : NULL};
	cr_assert_not_null(c.p, "%s", name);
	c.bytes = pearl_hbm_bytes(c.p);
	c.start = NEW_ARRAY(a, uint8_t, c.bytes + 8);
	c.first = NEW_ARRAY(a, uint8_t, c.bytes + 8);
	c.second = NEW_ARRAY(a, uint8_t, c.bytes + 8);
	fill_memory(&c);
	const char *wrong = pearl_verify(&d, c.p) ? misbehaves(a, &c, c.p) : "refused";
	cr_assert_null(wrong, "%s: %s", name, wrong);
	for (uint32_t k = 0; k < count; k++) {
		Arena *b = arena_new();
		PearlProgram *q = copy_of(b, c.p);
		Diags e = {.arena = b};
		mutate(q);
		bool accepted = pearl_verify(&e, q);
		wrong = accepted ? misbehaves(b, &c, q) : NULL;
		if (wrong) cr_log_warn("%s: mutant %u was accepted: %s", name, k, wrong);
		*refused += !accepted;
		*missed += wrong != NULL;
		arena_free(b);
	}
	arena_free(a);
}

/* At least 99 of 100 mutants that go wrong are refused; and no program before it was changed. */
Test(mutants, compiled_programs)
{
	static const struct {
		const char *name;
		uint32_t mutants;
	} programs[] = {{"gemm_gelu", 60}, {"gemm_i8", 60},        {"attention", 60}, {"norms", 60},
	                {"conv3x3", 40},   {"depthwise_pool", 40}, {"moe", 40},       {"lstm", 40}};
	uint32_t refused = 0, missed = 0, all = 0;
	for (uint32_t k = 0; k < COUNT(programs); k++) {
		try_mutants(programs[k].name, programs[k].mutants, &refused, &missed);
		all += programs[k].mutants;
	}
	cr_assert_leq(missed * 100, refused, "%u were accepted, %u refused", missed, refused);
	cr_assert_gt(refused * 2, all, "%u of %u mutants were refused", refused, all);
}
