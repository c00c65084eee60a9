package record

import "hash/crc32"

// checksum returns the CRC32C of b.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// checksumShift returns what a change at the front of a message does to its
// CRC32C: diff is the CRC of the old front xor that of the new one of equal
// length, n the number of unchanged bytes behind it. xor the result onto the
// old CRC.
//
// A CRC is linear over GF(2): initial and final values cancel out in the xor,
// and n zero bytes behind the difference multiply it by x^8n modulo the
// polynomial. This takes a microsecond whatever n is, where computing the CRC
// of a batch anew reads all of it; and damage behind the front stays visible.
func checksumShift(diff uint32, n int) uint32 {
	for k := 0; n > 0 && k < len(castagnoliPowers); k++ {
		if n&1 != 0 {
			diff = mulCastagnoli(castagnoliPowers[k], diff)
		}
		n >>= 1
	}
	return diff
}

// mulCastagnoli multiplies two polynomials, bit 31 being x^0, modulo that of
// CRC32C.
func mulCastagnoli(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		b = b>>1 ^ crc32.Castagnoli&-(b&1)
	}
	return product
}

// castagnoliPowers holds x^8, x^16, x^32 and so on by squaring, modulo the
// polynomial of CRC32C, enough for every length of a slice that has 31 bits.
var castagnoliPowers = [...]uint32{
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
	0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
	0xfe7740e6, 0xf946610b, 0x3c204f8f, 0x538586e3, 0x59726915, 0x734d5309, 0xbc1ac763, 0x7d0722cc,
	0xd289cabe, 0xe94ca9bc, 0x05b74f3f, 0xa51e1f42, 0x40000000, 0x20000000, 0x08000000,
}
