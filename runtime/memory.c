/* Memory of weights, states, activations and scratch: zeroed, aligned to a cache line, and from
 * 2 MiB upwards aligned so that the system can back it with 2 MiB pages (a stream over 4 KiB pages
 * loses a sixth of the bandwidth). */
#include "runtime/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20, SLACK = 64 };

static bool map_large(Memory *m, size_t bytes)
{
	size_t page = 4096, need = (bytes + page - 1) / page * page, mapped = need + LARGE_PAGE;
	uint8_t *at = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED) return false;
	size_t skip = (size_t)(-(uintptr_t)at % LARGE_PAGE);
	if (skip) munmap(at, skip);
	if (mapped - skip > need) munmap(at + skip + need, mapped - skip - need);
	m->mapping = m->at = at + skip;
	m->mapped = need;
	madvise(m->mapping, m->mapped, MADV_HUGEPAGE); /* a hint: small pages are right too */
	return true;
}

bool memory_take(Memory *m, uint64_t bytes)
{
	*m = (Memory){.bytes = bytes};
	if (bytes > SIZE_MAX / 4) return false;
	size_t size = (bytes + 2 * SLACK - 1) / SLACK * SLACK;
	if (size >= LARGE_PAGE) return map_large(m, size);
	m->at = aligned_alloc(SLACK, size);
	if (!m->at) return false;
	memset(m->at, 0, size);
	return true;
}

void memory_release(Memory *m)
{
	if (m->mapping)
		munmap(m->mapping, m->mapped);
	else
		free(m->at);
	*m = (Memory){0};
}

void memory_drop(Memory *m, size_t from, size_t to)
{
	const size_t page = 4096;
	if (!m->mapping) return;
	from = from / page * page; /* what shares its first page was dropped before */
	to = to / page * page;
	if (from < to) madvise(m->at + from, to - from, MADV_DONTNEED);
}
