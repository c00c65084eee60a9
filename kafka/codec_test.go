package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"sluice/kafka/record"
)

// flatten returns the bytes of a request as they would be written.
func flatten(cl *call) []byte {
	var out []byte
	for _, p := range cl.pieces(nil) {
		out = append(out, p...)
	}
	return out
}

// bodyOf checks size and header of a request and returns its body.
func bodyOf(t testing.TB, request []byte, key, version int16) []byte {
	t.Helper()
	if n := binary.BigEndian.Uint32(request); int(n) != len(request)-4 {
		t.Fatalf("size %d of %d bytes", n, len(request)-4)
	}
	r := wireReader{b: request[4:]}
	gotKey, gotVersion := r.int16(), r.int16()
	r.int32()
	client := string(r.span(int(r.int16())))
	r.skipTags()
	if r.bad || gotKey != key || gotVersion != version || client != "id" {
		t.Fatalf("header: key %d, version %d, client %q", gotKey, gotVersion, client)
	}
	return request[4+r.at:]
}

func drawID(t *rapid.T) (id [16]byte) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	return id
}

// TestFetchRequestAgreesWithKmsg reads what we encode with kmsg.
func TestFetchRequestAgreesWithKmsg(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(minFetchVersion, maxFetchVersion).Draw(t, "version")
		want := kmsg.NewFetchRequest()
		want.Version, want.ReplicaID = version, -1
		want.MaxWaitMillis = rapid.Int32Range(0, 1<<30).Draw(t, "wait")
		want.MinBytes, want.MaxBytes = rapid.Int32().Draw(t, "min"), rapid.Int32().Draw(t, "max")
		want.IsolationLevel = rapid.Int8Range(0, 1).Draw(t, "isolation")
		want.SessionID, want.SessionEpoch = rapid.Int32().Draw(t, "session"), rapid.Int32().Draw(t, "epoch")
		want.Rack = rapid.String().Draw(t, "rack")
		req := FetchRequest{
			MaxWait: time.Duration(want.MaxWaitMillis) * time.Millisecond, MinBytes: want.MinBytes, MaxBytes: want.MaxBytes,
			Isolation: Isolation(want.IsolationLevel), SessionID: want.SessionID, SessionEpoch: want.SessionEpoch, Rack: want.Rack,
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "topics") {
			topic := kmsg.NewFetchRequestTopic()
			name, id := string(rune('a'+i)), drawID(t)
			if version >= idFetchVersion {
				topic.TopicID = id
			} else {
				topic.Topic = name
			}
			forgotten := kmsg.NewFetchRequestForgottenTopic()
			forgotten.Topic, forgotten.TopicID = topic.Topic, topic.TopicID
			for j := range rapid.IntRange(1, 4).Draw(t, "partitions") {
				p := kmsg.NewFetchRequestTopicPartition()
				p.Partition, p.CurrentLeaderEpoch = int32(j), rapid.Int32().Draw(t, "leader epoch")
				p.FetchOffset, p.LastFetchedEpoch = rapid.Int64().Draw(t, "offset"), rapid.Int32().Draw(t, "last epoch")
				p.LogStartOffset, p.PartitionMaxBytes = -1, rapid.Int32().Draw(t, "partition max")
				topic.Partitions = append(topic.Partitions, p)
				forgotten.Partitions = append(forgotten.Partitions, p.Partition)
				ours := FetchPartition{
					Topic: name, TopicID: id, Partition: p.Partition, Offset: p.FetchOffset, LeaderEpoch: p.CurrentLeaderEpoch,
					LastFetchedEpoch: p.LastFetchedEpoch, MaxBytes: p.PartitionMaxBytes,
				}
				req.Partitions = append(req.Partitions, ours)
				req.Forgotten = append(req.Forgotten, FetchPartition{Topic: name, TopicID: id, Partition: p.Partition})
			}
			want.Topics = append(want.Topics, topic)
			want.ForgottenTopics = append(want.ForgottenTopics, forgotten)
		}
		cl := new(call)
		cl.begin(keyFetch, version, "id")
		cl.head = req.appendTo(cl.head, version)
		cl.finish()
		got := kmsg.NewFetchRequest()
		got.Version = version
		if err := got.ReadFrom(bodyOf(&testing.T{}, flatten(cl), keyFetch, version)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.AppendTo(nil), want.AppendTo(nil)) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// TestProduceRequestAgreesWithKmsg reads what we encode with kmsg.
func TestProduceRequestAgreesWithKmsg(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(minProduceVersion, maxProduceVersion).Draw(t, "version")
		want := kmsg.NewProduceRequest()
		want.Version, want.Acks, want.TimeoutMillis = version, -1, rapid.Int32Range(0, 1<<30).Draw(t, "timeout")
		req := ProduceRequest{Timeout: time.Duration(want.TimeoutMillis) * time.Millisecond}
		for i := range rapid.IntRange(0, 4).Draw(t, "topics") {
			topic := kmsg.NewProduceRequestTopic()
			name, id := string(rune('a'+i)), drawID(t)
			if version >= idProduceVersion {
				topic.TopicID = id
			} else {
				topic.Topic = name
			}
			for j := range rapid.IntRange(1, 4).Draw(t, "partitions") {
				p := kmsg.NewProduceRequestTopicPartition()
				p.Partition = int32(j)
				p.Records = rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "batch")
				topic.Partitions = append(topic.Partitions, p)
				req.Partitions = append(req.Partitions, ProducePartition{Topic: name, TopicID: id, Partition: p.Partition, Batch: p.Records})
			}
			want.Topics = append(want.Topics, topic)
		}
		cl := new(call)
		cl.begin(keyProduce, version, "id")
		req.encode(cl)
		cl.finish()
		got := kmsg.NewProduceRequest()
		got.Version = version
		if err := got.ReadFrom(bodyOf(&testing.T{}, flatten(cl), keyProduce, version)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.AppendTo(nil), want.AppendTo(nil)) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// sampleFetchResponse uses every field, tagged ones and ones that we do not
// know too.
func sampleFetchResponse(t testing.TB, version int16) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	resp.Version, resp.ThrottleMillis, resp.SessionID = version, 250, 77
	for i := range 2 {
		topic := kmsg.NewFetchResponseTopic()
		if version >= idFetchVersion {
			topic.TopicID = [16]byte{byte(i + 1)}
		} else {
			topic.Topic = string(rune('a' + i))
		}
		for j := range 2 {
			p := kmsg.NewFetchResponseTopicPartition()
			p.Partition, p.HighWatermark, p.LastStableOffset, p.LogStartOffset = int32(j), 100, 90, 10
			p.PreferredReadReplica = 3
			p.RecordBatches = testBatch(t, int64(10*i+j), 2, "value")
			if i == 1 {
				p.ErrorCode = kerr.NotLeaderForPartition.Code
				p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = 4, 44
				p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = 5, 55
				p.SnapshotID.EndOffset = 9
				p.UnknownTags.Set(200, []byte("later"))
				p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1, FirstOffset: 2}, {ProducerID: 3, FirstOffset: 4}}
				p.RecordBatches = nil
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		topic.UnknownTags.Set(100, []byte("later"))
		resp.Topics = append(resp.Topics, topic)
	}
	resp.Topics = append(resp.Topics, kmsg.NewFetchResponseTopic()) // without partitions
	resp.UnknownTags.Set(100, []byte("later"))
	return resp
}

// bufOf returns a response body, behind an empty tag section of the header.
func bufOf(t testing.TB, body []byte) *Buf {
	t.Helper()
	b, err := NewBuffers(0).Get(context.Background(), nil, len(body)+1)
	if err != nil {
		t.Fatal(err)
	}
	b.Bytes()[0] = 0
	copy(b.Bytes()[1:], body)
	return b
}

func TestFetchResponseAgreesWithKmsg(t *testing.T) {
	for version := int16(minFetchVersion); version <= maxFetchVersion; version++ {
		want := sampleFetchResponse(t, version)
		got := FetchResponse{Version: version, Buf: bufOf(t, want.AppendTo(nil))}
		if err := got.parseHead(); err != nil {
			t.Fatal(err)
		}
		if got.Throttle != 250*time.Millisecond || got.SessionID != 77 || got.Err != nil {
			t.Fatalf("%+v", got)
		}
		var p FetchedPartition
		for i, topic := range want.Topics {
			for j, w := range topic.Partitions {
				if more, err := got.Next(&p); !more || err != nil {
					t.Fatalf("version %d, %d/%d: %v %v", version, i, j, more, err)
				}
				ok := p.TopicID == topic.TopicID && string(p.Topic) == topic.Topic && p.Partition == w.Partition &&
					p.ErrorCode == w.ErrorCode && p.HighWatermark == 100 && p.LastStableOffset == 90 && p.LogStartOffset == 10 &&
					p.PreferredReplica == 3 && string(p.Records) == string(w.RecordBatches) && len(p.Aborted) == len(w.AbortedTransactions)
				if i == 0 {
					ok = ok && p.Diverging.Epoch == -1 && p.CurrentLeader.ID == -1
				} else {
					ok = ok && p.Diverging == EpochEnd{4, 44} && p.CurrentLeader == Leader{5, 55} && p.Aborted[1] == (record.AbortedTxn{ProducerID: 3, FirstOffset: 4})
				}
				if !ok {
					t.Fatalf("version %d, %d/%d: %+v", version, i, j, p)
				}
			}
		}
		if more, err := got.Next(&p); more || err != nil {
			t.Fatal(more, err)
		}
	}
}

// walk parses a whole fetch response and returns the error that it ends with.
func walk(f *FetchResponse) error {
	if err := f.parseHead(); err != nil {
		return err
	}
	var p FetchedPartition
	for {
		if more, err := f.Next(&p); err != nil || !more {
			return err
		}
	}
}

func TestFetchResponseCutShort(t *testing.T) {
	for _, version := range []int16{12, 17} {
		full := sampleFetchResponse(t, version)
		full.Topics = full.Topics[:2]
		body := full.AppendTo(nil)
		end := len(body) - len("later") - 3 // the response's own tags are not read
		for n := range end {
			f := FetchResponse{Version: version, Buf: bufOf(t, body[:n])}
			if err := walk(&f); !errors.Is(err, ErrProtocol) {
				t.Fatalf("version %d cut to %d of %d: %v", version, n, end, err)
			}
		}
	}
}

func FuzzFetchResponse(f *testing.F) {
	for _, version := range []int16{12, 17} {
		f.Add(version, sampleFetchResponse(f, version).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		_ = walk(&FetchResponse{Version: version, Buf: bufOf(t, body)})
	})
}

// sampleProduceResponse answers partitions a/0, a/1, b/0 in another order.
func sampleProduceResponse(version int16) (*call, *kmsg.ProduceResponse) {
	cl := &call{key: keyProduce, version: version}
	resp := kmsg.NewPtrProduceResponse()
	resp.Version, resp.ThrottleMillis = version, 30
	for i, name := range []string{"b", "a"} {
		topic := kmsg.NewProduceResponseTopic()
		id := [16]byte{name[0]}
		if version >= idProduceVersion {
			topic.TopicID = id
		} else {
			topic.Topic = name
		}
		for j := i; j >= 0; j-- {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition, p.BaseOffset, p.LogAppendTime, p.LogStartOffset = int32(j), int64(10*i+j), -1, 1
			if name == "a" && j == 1 {
				msg, record := "refused", "bad record"
				p.ErrorCode, p.ErrorMessage = kerr.InvalidRecord.Code, &msg
				r := kmsg.NewProduceResponseTopicPartitionErrorRecord()
				r.ErrorMessage = &record
				p.ErrorRecords = append(p.ErrorRecords, r)
				if version >= 10 {
					p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = 8, 9
				}
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if version >= 10 {
		resp.Brokers = append(resp.Brokers, kmsg.NewProduceResponseBroker())
	}
	for _, k := range []partitionKey{{topic: "a", partition: 0}, {topic: "a", partition: 1}, {topic: "b", partition: 0}} {
		k.id = [16]byte{k.topic[0]}
		cl.partitions = append(cl.partitions, k)
	}
	return cl, resp
}

func TestProduceResponseInRequestOrder(t *testing.T) {
	for version := int16(minProduceVersion); version <= maxProduceVersion; version++ {
		cl, resp := sampleProduceResponse(version)
		got, err := new(Conn).parseProduce(cl, append([]byte{0}, resp.AppendTo(nil)...))
		if err != nil || got.Throttle != 30*time.Millisecond || len(got.Partitions) != 3 {
			t.Fatalf("version %d: %+v, %v", version, got, err)
		}
		a0, a1, b0 := got.Partitions[0], got.Partitions[1], got.Partitions[2]
		if a0.BaseOffset != 10 || a1.BaseOffset != 11 || b0.BaseOffset != 0 || a0.ErrorCode != 0 || a0.LogStartOffset != 1 ||
			a1.ErrorCode != kerr.InvalidRecord.Code || a1.ErrorMessage != "refused" || a0.CurrentLeader.ID != -1 {
			t.Fatalf("version %d: %+v", version, got)
		}
		if version >= 10 && a1.CurrentLeader != (Leader{8, 9}) {
			t.Fatalf("version %d: %+v", version, a1)
		}
	}
}

func TestProduceResponseRefused(t *testing.T) {
	for name, change := range map[string]func(*kmsg.ProduceResponse){
		"partition missing":    func(r *kmsg.ProduceResponse) { r.Topics[1].Partitions = r.Topics[1].Partitions[:1] },
		"topic missing":        func(r *kmsg.ProduceResponse) { r.Topics = r.Topics[:1] },
		"told twice":           func(r *kmsg.ProduceResponse) { r.Topics[1].Partitions[1].Partition = 1 },
		"partition not asked":  func(r *kmsg.ProduceResponse) { r.Topics[1].Partitions[1].Partition = 7 },
		"topic id not asked":   func(r *kmsg.ProduceResponse) { r.Topics[1].TopicID = [16]byte{9} },
		"another topic's name": func(r *kmsg.ProduceResponse) { r.Topics[1].Topic = "c"; r.Topics[1].TopicID = [16]byte{'c'} },
	} {
		for _, version := range []int16{12, 13} {
			if name == "topic id not asked" && version == 12 {
				continue
			}
			cl, resp := sampleProduceResponse(version)
			change(resp)
			if _, err := new(Conn).parseProduce(cl, append([]byte{0}, resp.AppendTo(nil)...)); !errors.Is(err, ErrProtocol) {
				t.Errorf("%s, version %d: %v", name, version, err)
			}
		}
	}
	cl, resp := sampleProduceResponse(13)
	body := append([]byte{0}, resp.AppendTo(nil)...)
	for n := range body {
		if _, err := new(Conn).parseProduce(cl, body[:n]); !errors.Is(err, ErrProtocol) {
			t.Fatalf("cut to %d of %d: %v", n, len(body), err)
		}
	}
}

func FuzzProduceResponse(f *testing.F) {
	for _, version := range []int16{9, 13} {
		_, resp := sampleProduceResponse(version)
		f.Add(version, append([]byte{0}, resp.AppendTo(nil)...))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		cl, _ := sampleProduceResponse(version)
		if r, err := new(Conn).parseProduce(cl, body); err == nil && len(r.Partitions) != 3 {
			t.Fatalf("%+v", r)
		}
	})
}
