package kafka

import "time"

// FetchRequest is one fetch request (KIP-227 for sessions).
type FetchRequest struct {
	MaxWait      time.Duration // that the broker may wait for MinBytes
	MinBytes     int32
	MaxBytes     int32 // of the whole response; the first batch comes whole
	Isolation    Isolation
	SessionID    int32 // with SessionEpoch: 0, 0 makes a session; 0, -1 goes without
	SessionEpoch int32
	Rack         string
	ByName       bool             // name topics, as a session begun so must go on (version 12)
	Budget       Budget           // that the answer's memory counts in; nil: none
	Partitions   []FetchPartition // those of one topic next to each other
	Forgotten    []FetchPartition // Topic, TopicID and Partition are read
}

// FetchPartition is one partition of a fetch request.
type FetchPartition struct {
	Topic            string
	TopicID          [16]byte // used from version 13; one without id: version 12
	Partition        int32
	Offset           int64
	LeaderEpoch      int32 // current; -1: not checked
	LastFetchedEpoch int32 // of the last record we have; -1: no divergence check
	MaxBytes         int32
}

// FetchVersion returns the version that Fetch uses on this connection: with
// topic ids (13 and up) or, for withIDs false, with names.
func (c *Conn) FetchVersion(withIDs bool) (int16, error) {
	return c.cfg.versions.pick(keyFetch, minFetchVersion, maxFetchVersion, idFetchVersion, withIDs)
}

// Fetch queues a fetch request; req is not kept. done gets the response, or
// an error that is ErrNotSent or ErrPerhapsSent. Fetch itself fails, and done
// is not called, with ErrNotSent when the Conn is dead and with
// ErrUnsupported when the broker is too old.
func (c *Conn) Fetch(req *FetchRequest, done func(FetchResponse, error)) error {
	withIDs := !req.ByName && haveIDs(req.Partitions) && haveIDs(req.Forgotten)
	version, err := c.FetchVersion(withIDs)
	if err != nil {
		return err
	}
	cl := c.newCall()
	cl.onFetch, cl.budget, cl.wait = done, req.Budget, req.MaxWait
	cl.begin(keyFetch, version, c.cfg.clientID)
	cl.head = req.appendTo(cl.head, version)
	cl.finish()
	return c.enqueue(cl)
}

func haveIDs(parts []FetchPartition) bool {
	for i := range parts {
		if parts[i].TopicID == ([16]byte{}) {
			return false
		}
	}
	return true
}

// appendTo appends the request's body (protocol guide, "Fetch API").
func (req *FetchRequest) appendTo(dst []byte, version int16) []byte {
	if version <= 14 {
		dst = appendInt32(dst, -1) // replica id: a consumer
	}
	dst = appendInt32(dst, int32(req.MaxWait.Milliseconds()))
	dst = appendInt32(dst, req.MinBytes)
	dst = appendInt32(dst, req.MaxBytes)
	dst = append(dst, byte(req.Isolation))
	dst = appendInt32(dst, req.SessionID)
	dst = appendInt32(dst, req.SessionEpoch)
	dst = appendFetchTopics(dst, version, req.Partitions, appendFetchPartition)
	dst = appendFetchTopics(dst, version, req.Forgotten, appendForgotten)
	dst = appendCompactString(dst, req.Rack)
	return append(dst, 0)
}

// appendFetchTopics appends parts grouped by topic, each by one.
func appendFetchTopics(dst []byte, version int16, parts []FetchPartition, one func([]byte, *FetchPartition) []byte) []byte {
	topics := 0
	for i := range parts {
		if i == 0 || !sameTopic(&parts[i-1], &parts[i]) {
			topics++
		}
	}
	dst = appendLen(dst, topics)
	for len(parts) > 0 {
		n := 1
		for n < len(parts) && sameTopic(&parts[0], &parts[n]) {
			n++
		}
		if version >= idFetchVersion {
			dst = append(dst, parts[0].TopicID[:]...)
		} else {
			dst = appendCompactString(dst, parts[0].Topic)
		}
		dst = appendLen(dst, n)
		for i := range parts[:n] {
			dst = one(dst, &parts[i])
		}
		dst = append(dst, 0)
		parts = parts[n:]
	}
	return dst
}

func sameTopic(a, b *FetchPartition) bool { return a.TopicID == b.TopicID && a.Topic == b.Topic }

func appendFetchPartition(dst []byte, p *FetchPartition) []byte {
	dst = appendInt32(dst, p.Partition)
	dst = appendInt32(dst, p.LeaderEpoch)
	dst = appendInt64(dst, p.Offset)
	dst = appendInt32(dst, p.LastFetchedEpoch)
	dst = appendInt64(dst, -1) // log start: only followers have one
	dst = appendInt32(dst, p.MaxBytes)
	return append(dst, 0)
}

func appendForgotten(dst []byte, p *FetchPartition) []byte { return appendInt32(dst, p.Partition) }
