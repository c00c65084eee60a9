package kafka

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// benchServer answers every request on a TCP connection with reply, whose
// correlation id it patches, without allocating.
func benchServer(b *testing.B, reply []byte) net.Conn {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		buf := make([]byte, 4<<20)
		for {
			if _, err := io.ReadFull(nc, buf[:4]); err != nil {
				return
			}
			n := binary.BigEndian.Uint32(buf)
			if _, err := io.ReadFull(nc, buf[:n]); err != nil {
				return
			}
			copy(reply[4:8], buf[4:8])
			if _, err := nc.Write(reply); err != nil {
				return
			}
		}
	}()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return nc
}

// benchPipelined calls send b.N times with at most depth unanswered.
func benchPipelined(b *testing.B, depth int, send func(done func())) {
	slots := make(chan struct{}, depth)
	done := func() { <-slots }
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		slots <- struct{}{}
		send(done)
	}
	for range depth {
		slots <- struct{}{}
	}
}

func BenchmarkProduce(b *testing.B) {
	for name, size := range map[string]int{"1KB": 1 << 10, "256KB": 256 << 10} {
		b.Run(name, func(b *testing.B) {
			c := startConn(b, benchServer(b, frame(0, produceReply(13, 0, 0))))
			req := &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{{Topic: "t", TopicID: [16]byte{1}, Batch: make([]byte, size)}}}
			var finish func()
			callback := func(_ ProduceResponse, err error) {
				if err != nil {
					b.Error(err)
				}
				finish()
			}
			b.SetBytes(int64(size))
			benchPipelined(b, 4, func(done func()) {
				finish = done
				if err := c.Produce(req, callback); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

func BenchmarkFetch(b *testing.B) {
	for name, size := range map[string]int{"1KB": 1 << 10, "512KB": 512 << 10} {
		b.Run(name, func(b *testing.B) {
			c := startConn(b, benchServer(b, frame(0, fetchReply(17, make([]byte, size)))))
			req := oneFetch()
			var p FetchedPartition
			var finish func()
			callback := func(r FetchResponse, err error) {
				if err != nil {
					b.Error(err)
				} else {
					if more, err := r.Next(&p); !more || err != nil || len(p.Records) != size {
						b.Error(more, err)
					}
					r.Buf.Release()
				}
				finish()
			}
			b.SetBytes(int64(size))
			benchPipelined(b, 2, func(done func()) {
				finish = done
				if err := c.Fetch(req, callback); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
