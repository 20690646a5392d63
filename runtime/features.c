/* Features of the processor that runs us, by their names in LLVM. Asked of the processor itself and,
 * for the wide registers, whether the system saves them. */
#include "runtime/internal.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__x86_64__)
/* leaf.subleaf, register (0 a, 1 b, 2 c, 3 d), bit; state: bits of XCR0 that must be set. */
static const struct {
	const char *name;
	uint32_t leaf, subleaf, reg, bit, state;
} known[] = {
	{"sse4.1", 1, 0, 2, 19, 0},        {"avx", 1, 0, 2, 28, 6},
	{"avx2", 7, 0, 1, 5, 6},           {"fma", 1, 0, 2, 12, 6},
	{"f16c", 1, 0, 2, 29, 6},          {"bmi", 7, 0, 1, 3, 0},
	{"bmi2", 7, 0, 1, 8, 0},           {"avx512f", 7, 0, 1, 16, 0xe6},
	{"avx512bw", 7, 0, 1, 30, 0xe6},   {"avx512dq", 7, 0, 1, 17, 0xe6},
	{"avx512vl", 7, 0, 1, 31, 0xe6},   {"avx512cd", 7, 0, 1, 28, 0xe6},
	{"avx512vnni", 7, 0, 2, 11, 0xe6}, {"avx512bf16", 7, 1, 0, 5, 0xe6},
};

static uint32_t saved_state(void)
{
	uint32_t a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0; /* OSXSAVE */
	uint32_t low, high;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

static bool present(const char *name)
{
	for (size_t i = 0; i < COUNT(known); i++) {
		if (strcmp(known[i].name, name) != 0) continue;
		uint32_t r[4] = {0};
		if (!__get_cpuid_count(known[i].leaf, known[i].subleaf, &r[0], &r[1], &r[2], &r[3]))
			return false;
		if (known[i].state && (saved_state() & known[i].state) != known[i].state) return false;
		return r[known[i].reg] >> known[i].bit & 1;
	}
	return false;
}
#else
static bool present(const char *name)
{
	(void)name;
	return false;
}
#endif

bool features_present(const char *list, char missing[32])
{
	for (const char *s = list ? list : ""; *s;) {
		size_t n = strcspn(s, ",");
		snprintf(missing, 32, "%.*s", n < 31 ? (int)n : 31, s);
		if (n > 31 || !present(missing)) return false;
		s += n + (s[n] == ',');
	}
	return true;
}
