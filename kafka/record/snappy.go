package record

import (
	"encoding/binary"
	"errors"

	"github.com/klauspost/compress/s2"
)

// Java's snappy-java writes a stream of its own: a magic of 8 bytes, two
// versions of 4 bytes, then blocks, each with its size before it (4 bytes, big
// endian). Others write one plain block. (snappy-java, SnappyCodec)
const (
	xerialMagic  = "\x82SNAPPY\x00"
	xerialHeader = 16
)

var errSnappy = errors.New("malformed snappy block")

func unsnappy(dst, src []byte, limit int) ([]byte, error) {
	if len(src) < xerialHeader || string(src[:len(xerialMagic)]) != xerialMagic {
		return unsnappyBlock(dst, src, limit)
	}
	src = src[xerialHeader:]
	var err error
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, errSnappy
		}
		n := int64(int32(binary.BigEndian.Uint32(src)))
		src = src[4:]
		if n < 0 || n > int64(len(src)) {
			return nil, errSnappy
		}
		if dst, err = unsnappyBlock(dst, src[:n], limit); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return dst, nil
}

func unsnappyBlock(dst, src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if n > limit-len(dst) {
		return nil, ErrOverBudget
	}
	if room := cap(dst) - len(dst); room < n {
		dst = grow(dst, max(n, min(2*len(dst), limit-len(dst))))
	}
	// The decoder may use the whole capacity, so it is given no more than n.
	out, err := s2.Decode(dst[len(dst):len(dst)+n:len(dst)+n], src)
	if err != nil {
		return nil, err
	}
	if len(out) != n {
		return nil, errSnappy
	}
	return dst[:len(dst)+n], nil
}
