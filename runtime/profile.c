/* Profiles: compiled code counts ticks of the time stamp counter for each launch; they become
 * seconds by the ticks and seconds that have passed since profiling was turned on. */
#include "runtime/internal.h"

#include <stdlib.h>
#include <time.h>

uint64_t profile_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

double profile_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Counters and rows are made together; without memory for them profiling stays off. */
static bool profile_open(NacreSession *s)
{
	const Interface *io = s->model->io;
	uint32_t most = 1;
	for (uint32_t i = 0; i < s->model->n_entry; i++)
		if (io->entry[i].launches > most) most = io->entry[i].launches;
	if (!s->row) s->row = calloc(most, sizeof *s->row);
	if (!s->ticks) s->ticks = calloc(s->model->n_entry + 1, sizeof *s->ticks);
	if (!s->row || !s->ticks) return false;
	for (uint32_t i = 0; i < s->model->n_entry; i++) {
		free(s->ticks[i]);
		s->ticks[i] = calloc(2 * (size_t)io->entry[i].launches + 2, sizeof(uint64_t));
		if (!s->ticks[i]) return false;
	}
	return true;
}

void nacre_session_profile(NacreSession *s, bool on)
{
	s->profiled = on && profile_open(s);
	s->tick_began = profile_ticks();
	s->time_began = profile_seconds();
}

uint32_t nacre_session_profile_rows(NacreSession *s, uint32_t entry, const NacreProfileRow **rows)
{
	*rows = s->row;
	if (!s->profiled || entry >= s->model->n_entry) return 0;
	const InterfaceEntry *e = &s->model->io->entry[entry];
	uint64_t ticks = profile_ticks() - s->tick_began;
	double second = ticks ? (profile_seconds() - s->time_began) / (double)ticks : 0;
	for (uint32_t i = 0; i < e->launches; i++)
		s->row[i] = (NacreProfileRow){e->launch_name[i], (double)s->ticks[entry][2 * i] * second,
		                              s->ticks[entry][2 * i + 1]};
	return e->launches;
}
