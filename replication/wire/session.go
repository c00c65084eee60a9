package wire

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"sluice/kafka"
	"sluice/kafka/record"
)

// session is an incremental fetch session (KIP-227): what we want, and what the
// broker believes that we want. It knows no connection. A request costs as much
// as there are partitions under way, however many rest.
type session struct {
	id, epoch int32
	maxBytes  int32  // of one partition in the next answer
	number    uint64 // of the last request
	subs      map[subKey]*sub
	unnamed   int                    // subs without a topic id
	awake     []*sub                 // looked at for the next request; the others want more, and the broker knows from where
	dropped   []kafka.FetchPartition // to be forgotten by the broker
}

// subKey finds the sub of an answer: by topic id, or by name before v13.
type subKey struct {
	id        [16]byte
	topic     string
	partition int32
}

func keyOf(id [16]byte, topic string, partition int32) subKey {
	if id != ([16]byte{}) {
		topic = ""
	}
	return subKey{id, topic, partition}
}

// reader is a partition as its fetcher sees it.
type reader interface {
	// wants reports whether more should be asked for, and whether that holds
	// until something has come for it.
	wants() (more, lasting bool)
	// coming counts bytes that will be handed over.
	coming(bytes int)
	// fetched takes an answer, and waits for memory where batches have to be
	// opened; buf is retained for what stays.
	fetched(f *kafka.FetchedPartition, buf *kafka.Buf)
	// unreadable: the source's broker cannot be reached.
	unreadable(err error)
}

// sub is the subscription of one partition.
type sub struct {
	p         reader
	part      kafka.FetchPartition
	since     uint64 // first request that holds it; older answers are not for it
	dirty     bool   // must stand in the next request
	inSession bool
	renew     bool // the next request forgets it for whoever had it before, the one after asks for it
	awake     bool // stands in the session's list of that name
	gone      bool // removed, and perhaps in that list still
	more      bool // what it wanted when it was last looked at
	lasting   bool
}

func newSession() session { return session{subs: map[subKey]*sub{}} }

// add begins to fetch a partition. One that the broker still has in the session
// is forgotten first: of a partition that is not new to it a broker says
// nothing until something changes, and what it said before was said to somebody
// else. Forgetting wins over asking in the same request.
func (s *session) add(p reader, part kafka.FetchPartition) {
	key := keyOf(part.TopicID, part.Topic, part.Partition)
	if old := s.subs[key]; old != nil {
		s.remove(old.p, part)
	}
	held := slices.ContainsFunc(s.dropped, func(d kafka.FetchPartition) bool {
		return keyOf(d.TopicID, d.Topic, d.Partition) == key
	})
	sub := &sub{p: p, part: part, since: math.MaxUint64, dirty: true, renew: held}
	s.subs[key] = sub
	s.wake(sub)
	if part.TopicID == [16]byte{} {
		s.unnamed++
	}
}

// drop takes the sub of a key out, if there is one.
func (s *session) drop(key subKey) {
	old := s.subs[key]
	if old == nil {
		return
	}
	delete(s.subs, key)
	old.gone = true
	if old.part.TopicID == [16]byte{} {
		s.unnamed--
	}
}

// wake has a sub looked at for the next request.
func (s *session) wake(sub *sub) {
	if !sub.awake {
		sub.awake = true
		s.awake = append(s.awake, sub)
	}
}

// remove ends it; an answer under way is not delivered any more.
func (s *session) remove(p reader, part kafka.FetchPartition) {
	key := keyOf(part.TopicID, part.Topic, part.Partition)
	if sub := s.subs[key]; sub != nil && sub.p == p {
		s.drop(key)
		if sub.inSession {
			s.dropped = append(s.dropped, sub.part)
		}
	}
}

// idle reports that there is nothing to ask.
func (s *session) idle() bool { return len(s.subs) == 0 && len(s.dropped) == 0 }

// reset makes the next request a full one.
func (s *session) reset() {
	s.id, s.epoch, s.dropped = 0, 0, nil
	for _, sub := range s.subs {
		sub.inSession, sub.renew, sub.dirty = false, false, true
		s.wake(sub)
	}
}

// began notes that the broker has taken the session to its next epoch, or (id
// 0) keeps none.
func (s *session) began(id int32) {
	if id == 0 {
		s.reset()
		return
	}
	s.id = id
	if s.epoch++; s.epoch <= 0 {
		s.epoch = 1
	}
}

// next fills in the next request; false when nobody wants data. full tells that
// some partitions were left out: they are to be asked again soon.
func (s *session) next(req *kafka.FetchRequest) (some, full bool) {
	left := s.look()
	if left == len(s.subs) {
		return false, left > 0
	}
	req.SessionID, req.SessionEpoch, req.Forgotten = s.id, s.epoch, s.dropped
	req.ByName = s.unnamed > 0 // brokers before 2.8
	rest := s.awake[:0]
	for _, sub := range s.awake {
		switch {
		case !sub.more && sub.inSession:
			req.Forgotten = append(req.Forgotten, sub.part)
			sub.inSession = false
		case sub.renew:
			sub.renew, sub.lasting = false, false
		case sub.more && (sub.dirty || !sub.inSession):
			if !sub.inSession {
				sub.since = s.number + 1
			}
			sub.part.MaxBytes = s.maxBytes
			req.Partitions = append(req.Partitions, sub.part)
			sub.dirty, sub.inSession = false, true
		}
		if sub.awake = !sub.lasting; sub.awake {
			rest = append(rest, sub)
		}
	}
	clear(s.awake[len(rest):])
	s.awake, s.dropped = rest, nil
	byTopic := func(a, b kafka.FetchPartition) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	}
	slices.SortFunc(req.Partitions, byTopic)
	slices.SortFunc(req.Forgotten, byTopic)
	s.number++
	return true, left > 0
}

// look asks those who are awake what they want, and counts those who want
// nothing.
func (s *session) look() (left int) {
	s.awake = slices.DeleteFunc(s.awake, func(sub *sub) bool { return sub.gone })
	for _, sub := range s.awake {
		if sub.more, sub.lasting = sub.p.wants(); !sub.more {
			sub.lasting = false
			left++
		}
	}
	return left
}

// delivery is what an answer holds for one partition.
type delivery struct {
	p reader
	f kafka.FetchedPartition
}

// answer is what a broker says about the partitions of a request;
// *kafka.FetchResponse is one.
type answer interface {
	Next(f *kafka.FetchedPartition) (bool, error)
}

// collect goes through the answer to a request, and moves each sub behind what
// was fetched.
func (s *session) collect(number uint64, a answer) ([]delivery, error) {
	var got []delivery
	for {
		var f kafka.FetchedPartition
		ok, err := a.Next(&f)
		if err != nil || !ok {
			return got, err
		}
		sub := s.subs[keyOf(f.TopicID, string(f.Topic), f.Partition)]
		if sub == nil || sub.since > number {
			continue
		}
		if end, epoch, bytes := fetchedTo(f.Records); bytes > 0 {
			sub.part.Offset, sub.part.LastFetchedEpoch, sub.dirty = end, epoch, true
			sub.p.coming(bytes)
		}
		s.wake(sub)
		got = append(got, delivery{sub.p, f})
	}
}

// fetchedTo looks at the headers: where the last whole batch ends, its leader
// epoch, and the bytes of whole batches. A batch that cannot be split off is
// left for the pipe to judge.
func fetchedTo(records []byte) (end int64, epoch int32, bytes int) {
	rest := records
	for {
		b, r, err := record.NextBatch(rest)
		if err != nil || b == nil {
			return end, epoch, bytes
		}
		end, epoch, bytes = b.LastOffset()+1, b.LeaderEpoch(), bytes+len(b)
		rest = r
	}
}
