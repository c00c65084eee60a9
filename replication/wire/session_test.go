package wire

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/kafka"
	"sluice/test/oracle"
)

// answers is what a broker says, partition by partition.
type answers []kafka.FetchedPartition

// Next implements answer.
func (a *answers) Next(f *kafka.FetchedPartition) (bool, error) {
	if len(*a) == 0 {
		return false, nil
	}
	*f, *a = (*a)[0], (*a)[1:]
	return true, nil
}

// topic "t" is that of the tests; brokers know it by its id.
func id() [16]byte { return [16]byte{1} }

func wanted(n int32, offset int64) kafka.FetchPartition {
	return kafka.FetchPartition{Topic: "t", TopicID: id(), Partition: n, Offset: offset, LastFetchedEpoch: -1}
}

// of makes a partition of the tests one of the topic.
func of(p *Partition) *Partition {
	p.TopicID = id()
	return p
}

// brought is what a fetch brought for a partition: records [from, to).
func brought(t oracle.Failer, n int32, from, to int64) kafka.FetchedPartition {
	f := kafka.FetchedPartition{TopicID: id(), Partition: n}
	if to > from {
		s := oracle.Source{Base: from, Producer: -1}
		for o := from; o < to; o++ {
			s.Entries = append(s.Entries, oracle.At(o)...)
		}
		f.Records = s.Encode(t)
	}
	return f
}

func everybody(*Partition) bool { return true }

// asks writes a request: its session, what it asks for and what it forgets.
func asks(r *kafka.FetchRequest) string {
	out := []string{fmt.Sprintf("session %d/%d", r.SessionID, r.SessionEpoch)}
	for _, p := range r.Partitions {
		out = append(out, fmt.Sprintf("%s/%d from %d", p.Topic, p.Partition, p.Offset))
	}
	for _, p := range r.Forgotten {
		out = append(out, fmt.Sprintf("not %s/%d", p.Topic, p.Partition))
	}
	return strings.Join(out, ", ")
}

// asked is the next request of the session, "nothing" where there is none.
func asked(s *session, wants func(*Partition) bool) string {
	var r kafka.FetchRequest
	if some, _ := request(s, &r, wants); !some {
		return "nothing"
	}
	return asks(&r)
}

// request is next where wants decides who wants data, as it is asked now.
func request(s *session, r *kafka.FetchRequest, wants func(*Partition) bool) (some, full bool) {
	return requestOf(s, r, func(p *Partition) (more, lasting bool) { return wants(p), false })
}

// requestOf is request where some want more until something has come.
func requestOf(s *session, r *kafka.FetchRequest, wants func(*Partition) (more, lasting bool)) (some, full bool) {
	for _, sub := range s.subs {
		p := sub.p
		more, lasting := wants(p.(*Partition))
		sub.p = decided{p, more, lasting}
		defer func() { sub.p = p }()
	}
	return s.next(r)
}

// decided is a partition of which is known whether it wants data.
type decided struct {
	reader
	more, lasting bool
}

func (d decided) wants() (more, lasting bool) { return d.more, d.lasting }

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// TestSession is the life of an incremental fetch session: only what changed
// is asked for again.
func TestSession(t *testing.T) {
	_, partition := idle()
	s := newSession()
	p0, p1, p2 := of(partition(0)), of(partition(1)), of(partition(2))
	s.add(p1, wanted(1, 10))
	s.add(p0, wanted(0, 5))
	expect(t, "the first, whole and in order", asked(&s, everybody), "session 0/0, t/0 from 5, t/1 from 10")
	s.began(77)
	expect(t, "nothing new", asked(&s, everybody), "session 77/1")
	s.began(77)
	got, err := s.collect(s.number, &answers{brought(t, 0, 5, 8), brought(t, 1, 0, 0)})
	if err != nil || len(got) != 2 || got[0].p != p0 || got[1].p != p1 || p0.pipe.Held() == 0 || p1.pipe.Held() != 0 {
		t.Errorf("delivered %+v, %v; held %d and %d bytes", got, err, p0.pipe.Held(), p1.pipe.Held())
	}
	expect(t, "behind what came", asked(&s, everybody), "session 77/2, t/0 from 8")
	if e := s.subs[keyOf(id(), "t", 0)].part.LastFetchedEpoch; e != 4 {
		t.Errorf("the epoch of the last batch is 4, not %d", e)
	}
	s.began(77)
	s.add(p2, wanted(2, 0))
	expect(t, "one left out, one new", asked(&s, func(p *Partition) bool { return p != p1 }), "session 77/3, t/2 from 0, not t/1")
	s.began(77)
	expect(t, "it wants again", asked(&s, everybody), "session 77/4, t/1 from 10")
	s.began(77)
	s.remove(p0, wanted(p0.Number, 0))
	expect(t, "one is gone", asked(&s, everybody), "session 77/5, not t/0")
	s.began(77)
	s.reset()
	expect(t, "begun anew", asked(&s, everybody), "session 0/0, t/1 from 10, t/2 from 0")
	s.began(0)
	expect(t, "a broker that keeps none", asked(&s, everybody), "session 0/0, t/1 from 10, t/2 from 0")
	s.began(78)
	s.epoch = math.MaxInt32
	s.began(78)
	expect(t, "the epochs begin again at 1", asked(&s, everybody), "session 78/1")
	if s.idle() {
		t.Error("idle with two partitions")
	}
	s.remove(p1, wanted(p1.Number, 0))
	s.remove(p2, wanted(p2.Number, 0))
	if s.idle() {
		t.Error("idle before the broker was told to forget")
	}
}

// TestSessionReplaces: a partition that comes again is asked for from where it
// stands now, and its predecessor's end does not touch it. The broker forgets
// it first: it would tell its successor nothing while nothing changes.
func TestSessionReplaces(t *testing.T) {
	_, partition := idle()
	s := newSession()
	first, second := of(partition(0)), of(partition(0))
	s.add(first, wanted(0, 5))
	expect(t, "the first", asked(&s, everybody), "session 0/0, t/0 from 5")
	s.began(77)
	s.remove(first, wanted(first.Number, 0))
	s.add(second, wanted(0, 3))
	if got, _ := s.collect(s.number, &answers{brought(t, 0, 5, 8)}); len(got) != 0 {
		t.Errorf("an answer to its predecessor: %+v", got)
	}
	s.remove(first, wanted(first.Number, 0))
	expect(t, "forgotten first", asked(&s, everybody), "session 77/1, not t/0")
	s.began(77)
	if got, _ := s.collect(s.number, &answers{brought(t, 0, 5, 8)}); len(got) != 0 {
		t.Errorf("an answer before it is asked for: %+v", got)
	}
	expect(t, "the second", asked(&s, everybody), "session 77/2, t/0 from 3")
	got, err := s.collect(s.number, &answers{brought(t, 0, 3, 4), brought(t, 9, 0, 2)})
	if err != nil || len(got) != 1 || got[0].p != second {
		t.Errorf("delivered %+v, %v", got, err)
	}
	s.began(77)
	s.remove(second, wanted(second.Number, 0))
	s.add(first, wanted(0, 4))
	s.remove(first, wanted(first.Number, 0))
	expect(t, "gone and come and gone", asked(&s, func(*Partition) bool { return false }), "nothing")
	if s.idle() {
		t.Error("the broker is never told")
	}
	s.add(first, wanted(0, 4))
	s.add(second, wanted(0, 6)) // without a word from the first
	expect(t, "replaced", asked(&s, everybody), "session 77/3, not t/0")
	s.began(0)
	expect(t, "a broker closes a session that holds nothing", asked(&s, everybody), "session 0/0, t/0 from 6")
}

// TestSessionWithoutIDs names topics, as brokers before 2.8 want it.
func TestSessionWithoutIDs(t *testing.T) {
	_, partition := idle()
	s := newSession()
	p := partition(0)
	s.add(p, kafka.FetchPartition{Topic: "t", Partition: 0})
	var r kafka.FetchRequest
	if some, full := request(&s, &r, everybody); !some || full || !r.ByName {
		t.Errorf("%+v, %v, %v", r, some, full)
	}
	if got, _ := s.collect(s.number, &answers{{Topic: []byte("t")}, {Topic: []byte("u")}}); len(got) != 1 || got[0].p != p {
		t.Errorf("delivered %+v", got)
	}
}

// broken is an answer that cannot be read to its end.
type broken struct{ answers }

// Next implements answer.
func (b *broken) Next(f *kafka.FetchedPartition) (bool, error) {
	if len(b.answers) == 0 {
		return false, kafka.ErrProtocol
	}
	return b.answers.Next(f)
}

// TestCollectKeepsWhatItRead: what stands before the damage is delivered, for
// the session has moved behind it.
func TestCollectKeepsWhatItRead(t *testing.T) {
	_, partition := idle()
	s := newSession()
	p := of(partition(0))
	s.add(p, wanted(0, 5))
	asked(&s, everybody)
	got, err := s.collect(s.number, &broken{answers{brought(t, 0, 5, 8)}})
	if !errors.Is(err, kafka.ErrProtocol) || len(got) != 1 || got[0].p != p {
		t.Errorf("delivered %+v, %v", got, err)
	}
}

// TestFetchedTo: a batch that is cut off or damaged moves nothing.
func TestFetchedTo(t *testing.T) {
	two := append(brought(t, 0, 5, 8).Records, brought(t, 0, 8, 9).Records...)
	first := len(brought(t, 0, 5, 8).Records)
	for _, c := range []struct {
		name    string
		records []byte
		end     int64
		bytes   int
	}{
		{"none", nil, 0, 0},
		{"two", two, 9, len(two)},
		{"the second cut off", two[:len(two)-1], 8, first},
		{"the first cut off", two[:first-1], 0, 0},
		{"no batch", slices.Repeat([]byte{0xff}, 100), 0, 0},
	} {
		if end, _, bytes := fetchedTo(c.records); end != c.end || bytes != c.bytes {
			t.Errorf("%s: to %d in %d bytes, want %d in %d", c.name, end, bytes, c.end, c.bytes)
		}
	}
}

// brokerSession is a session as a broker keeps it (KIP-227): forgetting wins
// over asking in the same request.
type brokerSession struct {
	id, epoch int32
	offsets   map[int32]int64
}

func (b *brokerSession) takes(r *kafka.FetchRequest) error {
	switch {
	case r.SessionEpoch == 0:
		*b = brokerSession{id: b.id + 1, epoch: 1, offsets: map[int32]int64{}}
	case r.SessionID != b.id || r.SessionEpoch != b.epoch:
		return fmt.Errorf("session %d/%d, the broker has %d/%d", r.SessionID, r.SessionEpoch, b.id, b.epoch)
	default:
		b.epoch++
	}
	for _, p := range r.Partitions {
		b.offsets[p.Partition] = p.Offset
	}
	for _, p := range r.Forgotten {
		delete(b.offsets, p.Partition)
	}
	return nil
}

// TestSessionAgreesWithTheBroker: after each request the broker serves just
// the partitions that want data, from where they stand.
func TestSessionAgreesWithTheBroker(t *testing.T) {
	_, partition := idle()
	rapid.Check(t, func(t *rapid.T) {
		s, b := newSession(), &brokerSession{}
		here, want, at := map[int32]*Partition{}, map[int32]bool{}, map[int32]int64{}
		rests := map[int32]bool{} // has said that it wants more until something comes
		number := rapid.Int32Range(0, 4)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				n := number.Draw(t, "partition")
				if here[n] != nil {
					s.remove(here[n], wanted(here[n].Number, 0))
				}
				here[n], want[n], rests[n], at[n] = of(partition(n)), true, false, int64(rapid.IntRange(0, 50).Draw(t, "offset"))
				s.add(here[n], wanted(n, at[n]))
			},
			"remove": func(t *rapid.T) {
				if n := number.Draw(t, "partition"); here[n] != nil {
					s.remove(here[n], wanted(here[n].Number, 0))
					delete(here, n)
				}
			},
			"want": func(t *rapid.T) {
				if n := number.Draw(t, "partition"); !rests[n] {
					want[n] = !want[n]
				}
			},
			"rest": func(t *rapid.T) { n := number.Draw(t, "partition"); rests[n] = want[n] },
			"lose": func(*rapid.T) { s.reset() },
			"ask": func(t *rapid.T) {
				var r kafka.FetchRequest
				if some, _ := requestOf(&s, &r, func(p *Partition) (more, lasting bool) { return want[p.Number], rests[p.Number] }); !some {
					return
				}
				renewed := map[int32]bool{}
				for _, p := range r.Forgotten {
					renewed[p.Partition] = true
				}
				if err := b.takes(&r); err != nil {
					t.Fatal(err)
				}
				for n := range int32(5) {
					served, ok := b.offsets[n]
					if due := here[n] != nil && want[n] && !renewed[n]; ok != due || ok && served != at[n] {
						t.Fatalf("partition %d is due from %d: %v; it is served from %d: %v", n, at[n], due, served, ok)
					}
				}
				if rapid.IntRange(0, 5).Draw(t, "lost") == 0 {
					s.reset()
					return
				}
				s.began(b.id)
				var a answers
				for _, n := range slices.Sorted(maps.Keys(b.offsets)) {
					from := b.offsets[n]
					k := int64(rapid.IntRange(0, 3).Draw(t, "records"))
					a = append(a, brought(t, n, from, from+k))
					at[n] += k
					rests[n] = rests[n] && k == 0
				}
				if got, err := s.collect(s.number, &a); err != nil || len(got) != len(b.offsets) {
					t.Fatalf("%d of %d delivered, %v", len(got), len(b.offsets), err)
				}
			},
		})
	})
}

// TestPartitionsAtRestCostNothing: a request looks at those only for which
// something came.
func TestPartitionsAtRestCostNothing(t *testing.T) {
	_, partition := idle()
	s := newSession()
	asked := 0
	for n := range int32(1000) {
		s.add(&counted{of(partition(n)), &asked}, wanted(n, 0))
	}
	next := func() (r kafka.FetchRequest) {
		asked = 0
		s.next(&r)
		s.began(77)
		return r
	}
	if r := next(); len(r.Partitions) != 1000 {
		t.Fatalf("%d of 1000 asked for", len(r.Partitions))
	}
	if r := next(); len(r.Partitions) != 0 || asked != 0 {
		t.Errorf("%d asked for, %d looked at, and nothing came", len(r.Partitions), asked)
	}
	if _, err := s.collect(s.number, &answers{brought(t, 7, 0, 3)}); err != nil {
		t.Fatal(err)
	}
	if r := next(); len(r.Partitions) != 1 || asked != 1 {
		t.Errorf("%d asked for, %d looked at, and something came for one", len(r.Partitions), asked)
	}
	if next(); asked != 1 {
		t.Errorf("%d looked at while one holds something", asked)
	}
}

// counted is a partition that counts how often it is looked at.
type counted struct {
	reader
	asked *int
}

func (c *counted) wants() (more, lasting bool) {
	*c.asked++
	return c.reader.wants()
}
