/* Keeping the process small. LLVM's library has a hundred megabytes of code, and each page that was
 * ever run counts as memory in use, together with its neighbours that the system maps at once. They
 * are unchanged pages of a file, so they can be given back at any time: what is needed again is found
 * in the page cache. */
#include "codegen/cpu/cpu.h"

#include <link.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

/* Segments that cannot be written hold nothing but what is in the file. */
static int release_library(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size, (void)ctx;
	if (!info->dlpi_name || !strstr(info->dlpi_name, "libLLVM")) return 0;
	const uintptr_t page = 4096;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD || p->p_flags & PF_W) continue;
		uintptr_t begin = (info->dlpi_addr + p->p_vaddr + page - 1) / page * page;
		uintptr_t end = (info->dlpi_addr + p->p_vaddr + p->p_memsz) / page * page;
		if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

void cpu_release_memory(void)
{
	dl_iterate_phdr(release_library, NULL);
	malloc_trim(0);
}
