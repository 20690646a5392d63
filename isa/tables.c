/* The tables of isa.def as data: instructions, formats, vector functions, machine keys and the
 * names of the small enums. Nothing here is written by hand twice: each row comes from the .def. */
#include "isa/isa.h"

#include <string.h>

const PearlInsnInfo pearl_insn[NUM_INSNS] = {
#define INSN(id, mnemonic, opcode, queue, format, descs, summary)                                  \
	[I_##id] = {mnemonic, summary, opcode, Q_##queue, FMT_##format, descs},
#include "isa/isa.def"
};

#define FORMAT(f) static const PearlFieldInfo fields_##f[] = {
#define FIELD(f, name, hi, lo, kind) {#name, hi, lo, FK_##kind},
#define END_FORMAT(f)                                                                              \
	{                                                                                              \
		NULL, 0, 0, FK_IMM                                                                         \
	}                                                                                              \
	}                                                                                              \
	;
#include "isa/isa.def"

const PearlFieldInfo *const pearl_format[NUM_FORMATS] = {
#define FORMAT(f) [FMT_##f] = fields_##f,
#include "isa/isa.def"
};

enum { SAME, BOOL, FLOAT };
const PearlFuncInfo pearl_func[NUM_VFUNCS] = {
#define VFUNC(id, name, arity, passes2, result) [VF_##id] = {name, arity, passes2, result},
#include "isa/isa.def"
};

const char *const pearl_queue_name[NUM_QUEUES] = {"S", "L", "M", "D", "V", "W", "X"};
const char *const pearl_space_name[NUM_SPACES] = {"hbm", "gsm", "spm", "acc"};
const char *const pearl_rel_name[NUM_PRELS] = {"lt", "le", "eq", "ne"};
const char *const pearl_dfield_name[NUM_DFIELDS] = {"base", "dim", "stride", "start", "limit"};

enum { CLASS_FLOAT = 1, CLASS_SINT = 0, CLASS_UINT = 0, CLASS_BOOLEAN = 0 };
const PearlDType pearl_dtype[] = {
#define DTYPE(id, name, bits, class, summary) {name, bits, CLASS_##class},
#include "ir/dtypes.def"
};
const uint32_t pearl_dtypes = COUNT(pearl_dtype);

const PearlMachineKey pearl_machine_key[] = {
#define MACHINE_KEY(name, base, nano, unit, summary)                                               \
	{#name, unit, summary, base, nano, offsetof(PearlMachine, name)},
#include "isa/isa.def"
};
const uint32_t pearl_machine_keys = COUNT(pearl_machine_key);

uint32_t pearl_enum_count(PearlFormat f, uint32_t field)
{
	switch (f) {
	case FMT_COND: return field == F_COND_rel ? NUM_PRELS : 0;
	case FMT_SETD: return field == F_SETD_field ? NUM_DFIELDS : 0;
	case FMT_DRAIN: return field == F_DRAIN_act ? NUM_VFUNCS : 0;
	case FMT_VEC: return field == F_VEC_func ? NUM_VFUNCS : 0;
	default: return 0;
	}
}

const char *pearl_enum_name(PearlFormat f, uint32_t field, int64_t value)
{
	if (value < 0 || value >= (int64_t)pearl_enum_count(f, field)) return NULL;
	if (f == FMT_COND) return pearl_rel_name[value];
	if (f == FMT_SETD) return pearl_dfield_name[value];
	return pearl_func[value].name;
}

bool pearl_operand(PearlOpcode op, uint32_t k, PearlOperand *out)
{
	const char *s = pearl_insn[op].descs;
	for (uint32_t i = 0; *s; i++) {
		const char *end = strchr(s, ' ');
		if (!end) end = s + strlen(s);
		if (i == k) {
			bool optional = *s == '?';
			if (optional) s++;
			*out = (PearlOperand){s + 2, (uint8_t)(end - s - 2), *s != 'w', *s != 'r', optional};
			return true;
		}
		s = *end ? end + 1 : end;
	}
	return false;
}
