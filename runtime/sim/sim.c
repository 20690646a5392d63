/* The machine: its memories, the host's access to them, and a run in one of its three ways. HBM and
 * GSM are reserved address space of which only touched pages take memory. */
#include "runtime/sim/sim.h"
#include "runtime/sim/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLACK = 4096 }; /* readable bytes behind each scratchpad: a panel row may be read past n */

static uint8_t *reserve(uint64_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

static uint64_t acc_bytes(const PearlMachine *m)
{
	return (uint64_t)(m->acc_rows * m->array_cols * 4);
}

/* HBM of which a program can touch something: the end of its last region. */
static uint64_t hbm_needed(const PearlProgram *p)
{
	uint64_t end = p->weights.bytes;
	for (uint32_t i = 0; i < p->regions.n; i++) {
		const PearlRegion *r = &p->regions.at[i];
		if (r->space == SPACE_HBM && (uint64_t)(r->address + r->bytes) > end)
			end = (uint64_t)(r->address + r->bytes);
	}
	return end;
}

static bool regions_fit(Diags *d, const PearlProgram *p, const PearlMachine *m)
{
	const int64_t size[NUM_SPACES] = {[SPACE_HBM] = m->hbm_bytes,
	                                  [SPACE_GSM] = m->gsm_bytes,
	                                  [SPACE_SPM] = m->spm_bytes,
	                                  [SPACE_ACC] = (int64_t)acc_bytes(m)};
	for (uint32_t i = 0; i < p->regions.n; i++) {
		const PearlRegion *r = &p->regions.at[i];
		if (r->space < NUM_SPACES && r->address >= 0 && r->bytes >= 0 &&
		    r->bytes <= size[r->space] && r->address <= size[r->space] - r->bytes)
			continue;
		diag_error(d, span_none(), "region `%s` does not lie in a memory of machine `%s`",
		           r->name ? r->name : "?", m->name ? m->name : "?");
		return false;
	}
	return true;
}

static bool make_memories(PearlSim *s)
{
	const PearlMachine *m = &s->machine;
	s->page = (uint64_t)sysconf(_SC_PAGESIZE);
	s->hbm_bytes = hbm_needed(s->program);
	s->hbm = reserve(s->hbm_bytes + s->page);
	s->core = calloc((size_t)m->cores, sizeof *s->core);
	if (m->gsm_bytes) s->gsm = reserve((uint64_t)m->gsm_bytes);
	if (!s->hbm || !s->core || (m->gsm_bytes && !s->gsm)) return false;
	for (uint32_t k = 0; k < (uint32_t)m->cores; k++) {
		Core *c = &s->core[k];
		c->number = k;
		c->spm = reserve((uint64_t)m->spm_bytes + SLACK);
		c->acc = reserve(acc_bytes(m));
		if (!c->spm || !c->acc) return false;
	}
	if (s->program->weights.bytes)
		memcpy(s->hbm, s->program->weights.data, s->program->weights.bytes);
	return true;
}

PearlSim *sim_new(Diags *d, const PearlProgram *p, const PearlMachine *m)
{
	Arena *a = arena_new();
	PearlSim *s = NEW(a, PearlSim);
	s->arena = a;
	s->program = p;
	s->machine = m ? *m : p->machine;
	const char *wrong = pearl_machine_check(d->arena, &s->machine);
	if (wrong)
		diag_error(d, span_none(), "the machine cannot be simulated: %s", wrong);
	else if (p->weights.bytes > (uint64_t)s->machine.hbm_bytes)
		diag_error(d, span_none(), "the weights do not fit the memory of the machine");
	else if (regions_fit(d, p, &s->machine) && code_scan(s, d)) {
		if (make_memories(s)) return s;
		diag_error(d, span_none(), "there is no memory for the simulated machine");
	}
	sim_free(s);
	return NULL;
}

void sim_free(PearlSim *s)
{
	if (!s) return;
	if (s->hbm) munmap(s->hbm, s->hbm_bytes + s->page);
	if (s->gsm) munmap(s->gsm, (uint64_t)s->machine.gsm_bytes);
	for (int64_t k = 0; s->core && k < s->machine.cores; k++) {
		if (s->core[k].spm) munmap(s->core[k].spm, (uint64_t)s->machine.spm_bytes + SLACK);
		if (s->core[k].acc) munmap(s->core[k].acc, acc_bytes(&s->machine));
	}
	free(s->core);
	free(s->scratch);
	arena_free(s->arena);
}

static bool in_hbm(const PearlSim *s, uint64_t address, uint64_t bytes)
{
	return bytes <= s->hbm_bytes && address <= s->hbm_bytes - bytes;
}

bool sim_write(PearlSim *s, uint64_t address, const void *from, uint64_t bytes)
{
	if (!in_hbm(s, address, bytes)) return false;
	if (bytes) memcpy(s->hbm + address, from, bytes);
	return true;
}

bool sim_read(PearlSim *s, uint64_t address, void *to, uint64_t bytes)
{
	if (!in_hbm(s, address, bytes)) return false;
	if (bytes) memcpy(to, s->hbm + address, bytes);
	return true;
}

void sim_clear(PearlSim *s, uint64_t address, uint64_t bytes)
{
	if (!in_hbm(s, address, bytes)) return;
	uint64_t first = (address + s->page - 1) / s->page * s->page,
			 end = (address + bytes) / s->page * s->page;
	if (end <= first || end - first < 16 * s->page) {
		memset(s->hbm + address, 0, bytes);
		return;
	}
	memset(s->hbm + address, 0, first - address);
	memset(s->hbm + end, 0, address + bytes - end);
	/* whole pages are given back, and read as zero again */
	if (madvise(s->hbm + first, end - first, MADV_DONTNEED)) memset(s->hbm + first, 0, end - first);
}

/* --- data only: core after core between barriers ---------------------------------------------------- */

/* Runs the core to its next barrier or its end. */
static StepKind run_core(PearlSim *s, Core *c)
{
	SimStep step;
	for (;;) {
		StepKind kind = core_step(s, c, &step);
		if (kind == STEP_SCALAR || kind == STEP_MARK) continue;
		if (kind == STEP_QUEUE && step_execute(s, &step)) continue;
		if (kind == STEP_INDEX && core_index(s, c, &step)) continue;
		return kind == STEP_BARRIER || kind == STEP_END ? kind : STEP_TRAP;
	}
}

bool run_data(PearlSim *s, const PearlCode *entry)
{
	for (int64_t k = 0; k < s->machine.cores; k++) core_begin(s, &s->core[k], entry);
	for (;;) {
		StepKind first = STEP_END;
		for (int64_t k = 0; k < s->machine.cores; k++) {
			StepKind kind = run_core(s, &s->core[k]);
			if (kind == STEP_TRAP) return false;
			if (k == 0) first = kind;
			if (kind != first || s->core[k].pc != s->core[0].pc)
				return sim_trap(s, NULL, "the cores do not meet at the same barriers");
		}
		if (first == STEP_END) return true;
	}
}

bool sim_run(PearlSim *s, Diags *d, uint32_t entry, const int64_t *params, const SimOptions *o,
             SimReport *report, Arena *a)
{
	SimReport none;
	if (!report) report = &none;
	*report = (SimReport){.cores = (uint32_t)s->machine.cores};
	s->diags = d;
	s->params = params;
	s->options = o;
	s->trapped = false;
	s->macs = s->instructions = s->hbm_read = s->hbm_written = 0;
	if (entry >= s->program->entries.n) return sim_trap(s, NULL, "there is no entry %u", entry);
	const PearlCode *code = &s->program->entries.at[entry];
	bool done;
	if (o->jitter)
		done = run_jitter(s, code, o->jitter);
	else if (o->time || o->serial)
		done = run_timed(s, code, o->serial, report, a);
	else
		done = run_data(s, code);
	report->macs = s->macs;
	report->instructions = s->instructions;
	report->hbm_read = s->hbm_read;
	report->hbm_written = s->hbm_written;
	return done;
}
