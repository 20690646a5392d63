/* The layout that compiled CPU code and the runtime share. Changing anything here changes
 * NACRE_ABI_VERSION. Compiled code reads a NacreFrame and calls nothing but memcpy, memset and the
 * functions of the frame. */
#ifndef NACRE_ABI_H
#define NACRE_ABI_H
#include <stddef.h>
#include <stdint.h>

enum { NACRE_ABI_VERSION = 4 };

/* Why compiled code stopped. */
enum {
	NACRE_STOP_NONE = 0,
	NACRE_STOP_INDEX = 1 /* an index loaded from data is out of range */
};
typedef struct NacreStop {
	int32_t code;   /* NACRE_STOP_*; written once by whoever comes first (atomic exchange from 0) */
	int32_t launch; /* number of the launch */
	int64_t value;  /* the offending index */
	int64_t limit;  /* its exclusive limit */
	int32_t check;  /* number of the check in the interface, from 1; 0: none */
} NacreStop;

/* What one thread of one call sees. Every thread runs the entry whole with its own frame. */
typedef struct NacreFrame {
	void *const *bufs;     /* base address of each program buffer, arena buffers included */
	const int64_t *params; /* in parameter order */
	uint8_t
		*scratch; /* this thread's near memory, 64-byte aligned, `scratch_bytes` of the artefact */
	void (*barrier)(
		struct NacreFrame *); /* all threads of the call meet; not called when threads == 1 */
	void (*launching)(struct NacreFrame *,
	                  int32_t launch); /* NULL, or called by every thread of the
	                             prepack entry before each launch, with its number */
	uint64_t *profile; /* NULL, or 2 words a launch: ticks of the time stamp counter, times run */
	NacreStop *stop;   /* shared by the threads of a call */
	uint32_t thread, threads;
	void *runtime, *owner; /* the runtime's own */
} NacreFrame;

typedef void NacreEntryCode(NacreFrame *f);

/* The one exported symbol of an artefact, `nacre_artefact`. */
typedef struct NacreArtefact {
	uint32_t abi_version;
	uint32_t n_entries;       /* prepack last, if there is one (interface says so) */
	uint64_t interface_bytes; /* support/interface.h, serialised */
	const uint8_t *interface_data;
	NacreEntryCode *const *entries;
	uint64_t scratch_bytes;
	const uint8_t
		*constants; /* packed weights embedded at compile time, or NULL; each buffer at its
	                             offset in the interface, 64-byte aligned */
	uint64_t constants_bytes;
	const char *cpu;      /* what it was compiled for, e.g. "znver4" */
	const char *features; /* comma-separated features it needs, checked at load: avx512f,... */
} NacreArtefact;
#endif
