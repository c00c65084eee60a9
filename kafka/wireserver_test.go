package kafka

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// wireServer is the broker's end of a Conn, driven by the test.
type wireServer struct {
	t  testing.TB
	nc net.Conn
}

// wireRequest is a request as the broker gets it.
type wireRequest struct {
	key, version int16
	corr         int32
	body         []byte
}

// testVersions are what the fake broker speaks.
func testVersions() apiVersions {
	return apiVersions{
		keyProduce: {3, 13}, keyFetch: {4, 17}, 3: {0, 13}, 22: {0, 5}, 60: {0, 1}, 17: {0, 1}, 36: {0, 2}, keyAPIVersions: {0, 4},
	}
}

// wirePair returns a Conn and its broker's end, over an unbuffered pipe.
func wirePair(t testing.TB, change ...func(*connConfig)) (*Conn, *wireServer) {
	t.Helper()
	client, server := net.Pipe()
	return startConn(t, client, change...), &wireServer{t, server}
}

func startConn(t testing.TB, client net.Conn, change ...func(*connConfig)) *Conn {
	t.Helper()
	cfg := connConfig{
		broker: 1, versions: testVersions(), clientID: "id", requestTimeout: 10 * time.Second, maxResponse: 1 << 20,
		buffers: NewBuffers(1 << 20), total: new(counters),
	}
	for _, f := range change {
		f(&cfg)
	}
	c := newConn(client, cfg)
	t.Cleanup(func() { c.Close(); <-c.Done() })
	return c
}

func (s *wireServer) read() wireRequest {
	s.t.Helper()
	req, err := readRequest(s.nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return req
}

func readRequest(r io.Reader) (wireRequest, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return wireRequest{}, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, b); err != nil {
		return wireRequest{}, err
	}
	return wireRequest{
		key: int16(binary.BigEndian.Uint16(b)), version: int16(binary.BigEndian.Uint16(b[2:])),
		corr: int32(binary.BigEndian.Uint32(b[4:])), body: b[8+2+2+1:],
	}, nil
}

// frame returns a response as bytes; resp's version must be set.
func frame(corr int32, resp kmsg.Response) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(corr))
	if resp.IsFlexible() {
		b = append(b, 0)
	}
	b = resp.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func (s *wireServer) write(b []byte) {
	s.t.Helper()
	if _, err := s.nc.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

// produceReply accepts the one partition t/0 at offset, after throttle ms.
func produceReply(version int16, offset int64, throttle int32) *kmsg.ProduceResponse {
	p := kmsg.NewProduceResponseTopicPartition()
	p.BaseOffset = offset
	t := kmsg.NewProduceResponseTopic()
	t.Topic, t.TopicID, t.Partitions = "t", [16]byte{1}, append(t.Partitions, p)
	resp := kmsg.NewPtrProduceResponse()
	resp.Version, resp.ThrottleMillis, resp.Topics = version, throttle, append(resp.Topics, t)
	return resp
}

func fetchReply(version int16, records []byte) *kmsg.FetchResponse {
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches = records
	t := kmsg.NewFetchResponseTopic()
	t.Topic, t.TopicID, t.Partitions = "t", [16]byte{1}, append(t.Partitions, p)
	resp := kmsg.NewPtrFetchResponse()
	resp.Version, resp.Topics = version, append(resp.Topics, t)
	return resp
}

func oneBatch(batch []byte) *ProduceRequest {
	return &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{{Topic: "t", TopicID: [16]byte{1}, Batch: batch}}}
}

func oneFetch() *FetchRequest { return fetchWithin(nil) }

// fetchWithin is oneFetch with a budget.
func fetchWithin(b Budget) *FetchRequest {
	return &FetchRequest{Budget: b, MaxWait: 500 * time.Millisecond, Partitions: []FetchPartition{{Topic: "t", TopicID: [16]byte{1}}}}
}

// serveUntil answers requests until it has moved about n bytes, then closes.
func serveUntil(nc net.Conn, n int) {
	defer nc.Close()
	for n > 0 {
		req, err := readRequest(io.LimitReader(nc, int64(n)))
		if err != nil {
			return
		}
		var resp kmsg.Response = fetchReply(req.version, []byte("records"))
		if req.key == keyProduce {
			resp = produceReply(req.version, 0, 0)
		}
		b := frame(req.corr, resp)
		n -= len(req.body) + 13 + len(b)
		if n < 0 {
			b = b[:max(0, len(b)+n)]
		}
		if _, err := nc.Write(b); err != nil {
			return
		}
	}
}
