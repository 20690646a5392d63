/* What the simulator measured, as text and as JSON. Utilisation of a unit: the clocks in which it
 * worked, of all clocks of all cores. */
#include "tools/tool.h"

static const char *const unit_name[NUM_QUEUES] = {
	[Q_S] = "scalar", [Q_L] = "load",  [Q_M] = "matrix", [Q_D] = "drain",
	[Q_V] = "vector", [Q_W] = "store", [Q_X] = "link"};

static double utilisation(const SimReport *r, uint64_t busy)
{
	double all = (double)r->cycles * (r->cores ? r->cores : 1);
	return all > 0 ? (double)busy / all : 0;
}

double sim_seconds(const SimReport *r, const PearlMachine *m)
{
	return (double)r->cycles / ((double)(m->clock_mhz ? m->clock_mhz : 1000) * 1e6);
}

json_t *sim_json(const SimReport *r, const PearlMachine *m)
{
	json_t *unit = json_object();
	for (uint32_t q = 0; q < NUM_QUEUES; q++)
		json_object_set_new(unit, unit_name[q],
		                    json_pack("{s:f, s:I, s:I, s:I}", "utilisation",
		                              utilisation(r, r->busy[q]), "busy", (json_int_t)r->busy[q],
		                              "stall_token", (json_int_t)r->stall_token[q], "stall_memory",
		                              (json_int_t)r->stall_memory[q]));
	json_t *launches = json_array();
	for (uint32_t i = 0; i < r->launches; i++) {
		const SimLaunch *l = &r->launch[i];
		json_array_append_new(
			launches, json_pack("{s:i, s:I, s:I, s:I, s:I, s:I}", "launch", (int)l->number, "begin",
		                        (json_int_t)l->begin, "end", (json_int_t)l->end, "matrix_busy",
		                        (json_int_t)l->matrix_busy, "vector_busy",
		                        (json_int_t)l->vector_busy, "hbm_bytes", (json_int_t)l->hbm_bytes));
	}
	return json_pack("{s:s, s:I, s:f, s:i, s:I, s:I, s:I, s:I, s:o, s:o}", "machine", m->name,
	                 "cycles", (json_int_t)r->cycles, "seconds", sim_seconds(r, m), "cores",
	                 (int)r->cores, "instructions", (json_int_t)r->instructions, "macs",
	                 (json_int_t)r->macs, "hbm_read", (json_int_t)r->hbm_read, "hbm_written",
	                 (json_int_t)r->hbm_written, "units", unit, "launches", launches);
}

void sim_print(Tool *t, const SimReport *r, const PearlMachine *m, const InterfaceEntry *e)
{
	printf("%s: %llu cycles (%s at %lld MHz), %u core%s, %llu instructions\n", m->name,
	       (unsigned long long)r->cycles, seconds_text(t->arena, sim_seconds(r, m)),
	       (long long)m->clock_mhz, r->cores, r->cores == 1 ? "" : "s",
	       (unsigned long long)r->instructions);
	printf("HBM: %.3f MB read, %.3f MB written\n", (double)r->hbm_read * 1e-6,
	       (double)r->hbm_written * 1e-6);
	fputs("busy:", stdout);
	for (uint32_t q = 0; q < NUM_QUEUES; q++)
		if (r->busy[q]) printf(" %s %.1f %%", unit_name[q], 100 * utilisation(r, r->busy[q]));
	putchar('\n');
	if (r->launches < 2) return;
	Table table = table_new(
		t->arena, 5, (const char *const[]){"kernel", "cycles", "matrix", "vector", "HBM bytes"});
	for (uint32_t i = 0; i < r->launches; i++) {
		const SimLaunch *l = &r->launch[i];
		double all = (double)(l->end - l->begin) * r->cores;
		bool named = e && l->number < e->launches && e->launch_name;
		table_cell(&table, "%s",
		           named ? e->launch_name[l->number]
		                 : arena_printf(t->arena, "launch %u", l->number));
		table_cell(&table, "%llu", (unsigned long long)(l->end - l->begin));
		table_cell(&table, "%.1f %%", all > 0 ? 100 * (double)l->matrix_busy / all : 0);
		table_cell(&table, "%.1f %%", all > 0 ? 100 * (double)l->vector_busy / all : 0);
		table_cell(&table, "%llu", (unsigned long long)l->hbm_bytes);
	}
	table_print(&table, stdout);
}
