/* CRC32C (Castagnoli), reflected polynomial 0x82f63b78 (RFC 3720, appendix B.4). Short inputs take
 * a table of sixteen; long ones build the eight tables of "slicing by 8" (Kounavis and Berry, 2005)
 * on the stack, which costs as much as a few kilobytes of input. */
#include "support/support.h"

enum { LONG_INPUT = 16 * 1024 };

static const uint32_t by_nibble[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t step(uint32_t c, uint8_t byte)
{
	c ^= byte;
	c = c >> 4 ^ by_nibble[c & 15];
	return c >> 4 ^ by_nibble[c & 15];
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* All whole groups of eight bytes of p. */
static uint32_t by_eight(uint32_t c, const uint8_t *p, size_t n)
{
	uint32_t t[8][256];
	for (uint32_t i = 0; i < 256; i++) t[0][i] = step(0, (uint8_t)i);
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xff];
	for (; n >= 8; n -= 8, p += 8) {
		uint32_t lo = c ^ load32(p), hi = load32(p + 4);
		c = t[7][lo & 0xff] ^ t[6][lo >> 8 & 0xff] ^ t[5][lo >> 16 & 0xff] ^ t[4][lo >> 24] ^
		    t[3][hi & 0xff] ^ t[2][hi >> 8 & 0xff] ^ t[1][hi >> 16 & 0xff] ^ t[0][hi >> 24];
	}
	return c;
}

uint32_t crc32c(uint32_t seed, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t c = ~seed;
	if (n >= LONG_INPUT) {
		c = by_eight(c, p, n);
		p += n & ~(size_t)7;
		n &= 7;
	}
	for (; n; n--, p++) c = step(c, *p);
	return ~c;
}
