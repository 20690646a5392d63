/* Messages and the names they need. */
#include "runtime/internal.h"

NacreStatus fail(NacreError *e, NacreStatus status, const char *fmt, ...)
{
	if (e) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(e->text, sizeof e->text, fmt, ap);
		va_end(ap);
		e->status = status;
	}
	return status;
}

NacreStatus succeed(NacreError *e)
{
	if (e) {
		e->status = NACRE_OK;
		e->text[0] = 0;
	}
	return NACRE_OK;
}

NacreStatus no_memory(NacreError *e, uint64_t bytes)
{
	return fail(e, NACRE_NO_MEMORY, "out of memory: %llu bytes were needed",
	            (unsigned long long)bytes);
}

/* The order of NacreType; the runtime does not see ir/dtypes.def. */
static const struct {
	const char *name;
	uint32_t bits;
} types[] = {
	[NACRE_F32] = {"f32", 32},      [NACRE_F16] = {"f16", 16},      [NACRE_BF16] = {"bf16", 16},
	[NACRE_F8E4M3] = {"f8e4m3", 8}, [NACRE_F8E5M2] = {"f8e5m2", 8}, [NACRE_I8] = {"i8", 8},
	[NACRE_U8] = {"u8", 8},         [NACRE_I4] = {"i4", 4},         [NACRE_I32] = {"i32", 32},
	[NACRE_I64] = {"i64", 64},      [NACRE_BOOL] = {"bool", 8},
};

const char *type_name(uint32_t t)
{
	return t < COUNT(types) ? types[t].name : "?";
}

uint32_t type_bits(uint32_t t)
{
	return t < COUNT(types) ? types[t].bits : 0;
}

const char *shape_text(char *at, size_t n, uint32_t rank, const int64_t *dims)
{
	size_t used = (size_t)snprintf(at, n, "[");
	for (uint32_t d = 0; d < rank && d < 8 && used < n; d++)
		used += (size_t)snprintf(at + used, n - used, d ? ", %lld" : "%lld", (long long)dims[d]);
	if (used < n) snprintf(at + used, n - used, "]");
	return at;
}
