/* Instructions to 128 bits and back. Bit n is bit n % 8 of byte n / 8. Decoding accepts exactly what
 * encoding makes: unknown opcodes, unused bits that are set and enums out of range are refused. */
#include "isa/isa.h"

#include <string.h>

typedef struct Bits {
	uint64_t word[2];
} Bits;

static void put(Bits *b, uint32_t lo, uint32_t width, uint64_t value)
{
	uint64_t mask = width == 64 ? ~UINT64_C(0) : (UINT64_C(1) << width) - 1;
	value &= mask;
	b->word[lo / 64] |= value << lo % 64;
	if (lo % 64 + width > 64) b->word[1] |= value >> (64 - lo % 64);
}

static uint64_t get(const Bits *b, uint32_t lo, uint32_t width)
{
	uint64_t value = b->word[lo / 64] >> lo % 64;
	if (lo % 64 + width > 64) value |= b->word[1] << (64 - lo % 64);
	return value & ((UINT64_C(1) << width) - 1);
}

void pearl_encode(const PearlInsn *i, uint8_t out[16])
{
	const PearlInsnInfo *info = &pearl_insn[i->op];
	Bits b = {{0, 0}};
	put(&b, 121, 7, info->opcode);
	put(&b, 118, 3, i->stage);
	for (uint32_t k = 0; k < 2; k++) {
		put(&b, 111 - 7 * k, 7, i->wait[k]);
		put(&b, 97 - 7 * k, 7, i->signal[k]);
	}
	for (uint32_t k = 0; k < 4; k++) put(&b, 84 - 6 * k, 6, i->desc[k]);
	put(&b, 64, 2, i->group);
	put(&b, 60, 4, i->advance);
	const PearlFieldInfo *f = pearl_format[info->format];
	for (uint32_t k = 0; f[k].name; k++)
		put(&b, f[k].lo, (uint32_t)(f[k].hi - f[k].lo + 1), (uint64_t)i->field[k]);
	for (uint32_t k = 0; k < 16; k++) out[k] = (uint8_t)(b.word[k / 8] >> k % 8 * 8);
}

static bool find_opcode(uint64_t opcode, PearlOpcode *out)
{
	for (uint32_t k = 0; k < NUM_INSNS; k++) {
		if (pearl_insn[k].opcode != opcode) continue;
		*out = (PearlOpcode)k;
		return true;
	}
	return false;
}

bool pearl_decode(const uint8_t in[16], PearlInsn *out, const char **why)
{
	Bits b = {{0, 0}};
	for (uint32_t k = 0; k < 16; k++) b.word[k / 8] |= (uint64_t)in[k] << k % 8 * 8;
	memset(out, 0, sizeof *out);
	if (!find_opcode(get(&b, 121, 7), &out->op)) {
		*why = "unknown opcode";
		return false;
	}
	out->stage = (uint8_t)get(&b, 118, 3);
	for (uint32_t k = 0; k < 2; k++) {
		out->wait[k] = (uint8_t)get(&b, 111 - 7 * k, 7);
		out->signal[k] = (uint8_t)get(&b, 97 - 7 * k, 7);
	}
	for (uint32_t k = 0; k < 4; k++) out->desc[k] = (uint8_t)get(&b, 84 - 6 * k, 6);
	out->group = (uint8_t)get(&b, 64, 2);
	out->advance = (uint8_t)get(&b, 60, 4);
	PearlFormat format = pearl_insn[out->op].format;
	const PearlFieldInfo *f = pearl_format[format];
	for (uint32_t k = 0; f[k].name; k++) {
		uint32_t width = (uint32_t)(f[k].hi - f[k].lo + 1);
		uint64_t value = get(&b, f[k].lo, width);
		bool negative = f[k].kind == FK_SIMM && value >> (width - 1);
		out->field[k] = negative ? (int64_t)(value | ~UINT64_C(0) << width) : (int64_t)value;
		if (f[k].kind == FK_ENUM && !pearl_enum_name(format, k, out->field[k])) {
			*why = "an enumerated field is out of range";
			return false;
		}
	}
	uint8_t again[16];
	pearl_encode(out, again);
	if (memcmp(again, in, 16) != 0) {
		*why = "bits are set that the format does not use";
		return false;
	}
	return true;
}
