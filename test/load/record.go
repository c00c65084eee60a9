// Package load makes load that can be checked: producers whose records tell where they belong, a
// watcher that times their arrival at the target, and a checker that compares two clusters record by
// record. It works on any two Kafka clusters and knows nothing of how records get from one to the
// other.
package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A value is: number in its partition (8 bytes), time of sending in Unix ns (8), partition (4),
// filling, CRC32C of all before (4); big endian.
const (
	stampSize    = 20
	minValueSize = stampSize + 4
)

var errValue = errors.New("not a value of this load")

// Stamp is what a value says about its record.
type Stamp struct {
	Partition int32
	N         int64     // number in the partition, from 0
	Sent      time.Time // by the producer's clock
}

// ReadStamp reads and checks a value. It fails when the value is not whole.
func ReadStamp(value []byte) (Stamp, error) {
	if len(value) < minValueSize {
		return Stamp{}, fmt.Errorf("%w: %d bytes", errValue, len(value))
	}
	body := value[:len(value)-4]
	want := binary.BigEndian.Uint32(value[len(body):])
	if got := crc32.Checksum(body, castagnoli()); got != want {
		return Stamp{}, fmt.Errorf("%w: checksum %08x, want %08x", errValue, got, want)
	}
	return Stamp{
		N:         int64(binary.BigEndian.Uint64(value)),
		Sent:      time.Unix(0, int64(binary.BigEndian.Uint64(value[8:]))),
		Partition: int32(binary.BigEndian.Uint32(value[16:])),
	}, nil
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // computed once by crc32

// maker makes the records of one topic. All but the time of sending follows from the seed, the
// topic, the partition and the number.
type maker struct {
	topic string
	seed  uint64
	size  int           // of values, bytes
	start time.Time     // timestamp of number 0
	step  time.Duration // from one number's timestamp to the next's
	noise []byte        // random bytes that fillings are cut from
}

const noiseSize = 1 << 20

func newMaker(topic string, seed uint64, size int, start time.Time, step time.Duration) *maker {
	h := fnv.New64a()
	h.Write([]byte(topic))
	m := &maker{topic: topic, seed: seed ^ h.Sum64(), size: max(size, minValueSize), start: start, step: step,
		noise: make([]byte, noiseSize)}
	r := rand.New(rand.NewPCG(m.seed, 1))
	for i := 0; i < len(m.noise); i += 8 {
		binary.LittleEndian.PutUint64(m.noise[i:], r.Uint64())
	}
	return m
}

// record makes record n of a partition. Of the value's filling 5/8 are noise, the rest zeros, which
// lz4 makes 1.6 times smaller. Some records have no key, an empty one, headers, or a header without
// a value, since a copy may lose each of these.
func (m *maker) record(partition int32, n int64, sent time.Time) *kgo.Record {
	mix := rand.NewPCG(m.seed, uint64(partition)<<40^uint64(n)).Uint64()
	v := make([]byte, m.size)
	binary.BigEndian.PutUint64(v, uint64(n))
	binary.BigEndian.PutUint64(v[8:], uint64(sent.UnixNano()))
	binary.BigEndian.PutUint32(v[16:], uint32(partition))
	body := v[:len(v)-4]
	fill := body[stampSize:]
	random := fill[:len(fill)*5/8]
	for at := int(mix % noiseSize); len(random) > 0; at = 0 {
		random = random[copy(random, m.noise[at:]):]
	}
	binary.BigEndian.PutUint32(v[len(body):], crc32.Checksum(body, castagnoli()))
	r := &kgo.Record{Topic: m.topic, Partition: partition, Value: v,
		Timestamp: m.start.Add(time.Duration(n) * m.step).Truncate(time.Millisecond)}
	switch mix >> 32 % 8 {
	case 0: // no key
	case 1:
		r.Key = []byte{}
	default:
		r.Key = fmt.Appendf(nil, "%d-%x", partition, mix>>40)
	}
	for i := range int(mix >> 36 % 3) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: fmt.Sprintf("h%d", i), Value: fmt.Appendf(nil, "%d", n)})
	}
	if mix>>36%3 == 2 {
		r.Headers[1].Value = nil
	}
	return r
}
