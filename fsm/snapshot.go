package fsm

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// A snapshot is a magic line, then records: kind, uvarint length, JSON, CRC32C
// (4 bytes, big endian) of all three, and an end record that counts them. Its
// bytes are the same on every node at the same index.
const (
	snapshotMagic = "sluice-snapshot 1\n"
	maxRecord     = 64 << 20
	maxTaskID     = 1 << 32 // a false id must not cost memory; at one task a second it is reached after a century
)

// Kinds of snapshot records.
const (
	recHead      byte = 1
	recNode      byte = 2
	recKafka     byte = 3
	recLink      byte = 4
	recTasks     byte = 5
	recEvents    byte = 6
	recOperation byte = 7
	recEnded     byte = 8
	recEnd       byte = 9
	recBan       byte = 10
	recToken     byte = 11
)

// record is one kind of record.
type record struct {
	kind  byte
	level uint32 // the feature level from which it may be written
	value any    // an empty one
}

// records holds every kind that this build reads, the end apart.
var records = [...]record{
	{recHead, 1, snapshotHead{}},
	{recNode, 1, Node{}},
	{recKafka, 1, KafkaCluster{}},
	{recLink, 1, Link{}},
	{recTasks, 1, []wireTask{}},
	{recEvents, 1, LinkEvents{}},
	{recOperation, featureOperations, Operation{}},
	{recEnded, featureEndedStreams, EndedStream{}},
	{recBan, featureIdentity, Ban{}},
	{recToken, featureIdentity, Token{}},
}

type snapshotHead struct {
	Index         uint64      `json:"index"`
	ClusterID     string      `json:"clusterId"`
	Feature       uint32      `json:"feature"`
	NextLink      LinkID      `json:"nextLink"`
	NextTask      TaskID      `json:"nextTask"`
	NextEvent     uint64      `json:"nextEvent"`
	Spent         []SpentID   `json:"spent,omitempty"`
	LastOperation OperationID `json:"lastOperation,omitempty" feature:"2"`
}

// WriteSnapshot writes the View. It holds nothing but the pointer, so it may
// run while commands are applied.
func WriteSnapshot(w io.Writer, v *View) error {
	s := &snapshotWriter{w: bufio.NewWriterSize(w, 64<<10)}
	_, s.err = s.w.WriteString(snapshotMagic)
	s.record(recHead, snapshotHead{v.Index, v.ClusterID, v.Feature, v.nextLink, v.nextTask, v.nextEvent, v.Spent, v.lastOperation})
	for _, n := range v.Nodes {
		s.record(recNode, n)
	}
	for _, k := range v.Kafka {
		s.record(recKafka, k)
	}
	for _, l := range v.Links {
		s.record(recLink, l)
	}
	for _, c := range v.chunks {
		var tasks []*Task
		for i := range chunkSize {
			if c != nil && c[i] != nil {
				tasks = append(tasks, c[i])
			}
		}
		if len(tasks) > 0 {
			s.record(recTasks, tasks)
		}
	}
	for _, r := range v.Events {
		s.record(recEvents, r)
	}
	for _, o := range v.Operations {
		s.record(recOperation, o)
	}
	for _, x := range v.Ended {
		s.record(recEnded, x)
	}
	for _, b := range v.Bans {
		s.record(recBan, b)
	}
	for _, t := range v.Tokens {
		s.record(recToken, t)
	}
	s.record(recEnd, s.count)
	if s.err == nil {
		s.err = s.w.Flush()
	}
	if s.err != nil {
		return fmt.Errorf("writing snapshot: %w", s.err)
	}
	return nil
}

type snapshotWriter struct {
	w     *bufio.Writer
	count int
	err   error
}

func (s *snapshotWriter) record(kind byte, v any) {
	if s.err != nil {
		return
	}
	j, err := json.Marshal(v)
	if err != nil {
		s.err = err
		return
	}
	b := binary.AppendUvarint([]byte{kind}, uint64(len(j)))
	b = append(b, j...)
	b = binary.BigEndian.AppendUint32(b, checksum(b))
	_, s.err = s.w.Write(b)
	s.count++
}

// ReadSnapshot reads what WriteSnapshot wrote. A damaged or cut-off snapshot
// gives ErrCorrupt, a newer format ErrUnknown, both wrapped; it never panics.
func ReadSnapshot(r io.Reader) (*State, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(br, magic); err != nil || string(magic) != snapshotMagic {
		return nil, fmt.Errorf("reading snapshot: not a snapshot: %w", ErrCorrupt)
	}
	v := &View{}
	for count := 0; ; count++ {
		kind, j, err := readRecord(br)
		if err != nil {
			return nil, fmt.Errorf("reading snapshot record %d: %w", count, err)
		}
		if kind == recEnd {
			var n int
			if json.Unmarshal(j, &n) != nil || n != count || count == 0 {
				return nil, fmt.Errorf("reading snapshot: %d records, not %s: %w", count, j, ErrCorrupt)
			}
			return newStateOf(v), nil
		}
		if (kind == recHead) != (count == 0) {
			return nil, fmt.Errorf("reading snapshot record %d: not one head, first: %w", count, ErrCorrupt)
		}
		if err := v.restore(kind, j); err != nil {
			return nil, fmt.Errorf("reading snapshot record %d: %w", count, err)
		}
	}
}

func readRecord(br *bufio.Reader) (byte, []byte, error) {
	kind, err := br.ReadByte()
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", err, ErrCorrupt)
	}
	n, err := binary.ReadUvarint(br)
	if err != nil || n > maxRecord {
		return 0, nil, fmt.Errorf("record length: %w", ErrCorrupt)
	}
	head := binary.AppendUvarint([]byte{kind}, n)
	// Grows with what is really there, so that a false length costs nothing.
	body, err := io.ReadAll(io.LimitReader(br, int64(n)+4))
	if err != nil || len(body) != int(n)+4 {
		return 0, nil, fmt.Errorf("record cut off: %w", ErrCorrupt)
	}
	j := body[:n]
	if checksum(append(head, j...)) != binary.BigEndian.Uint32(body[n:]) {
		return 0, nil, fmt.Errorf("record checksum differs: %w", ErrCorrupt)
	}
	return kind, j, nil
}

func (v *View) restore(kind byte, j []byte) error {
	var err error
	switch kind {
	case recHead:
		var h snapshotHead
		err = strict(j, &h)
		if err == nil && h.Feature > FeatureLevel {
			err = fmt.Errorf("feature level %d, this build knows %d: %w", h.Feature, FeatureLevel, ErrUnknown)
		}
		v.Index, v.ClusterID, v.Feature, v.Spent = h.Index, h.ClusterID, h.Feature, h.Spent
		v.nextLink, v.nextTask, v.nextEvent, v.lastOperation = h.NextLink, h.NextTask, h.NextEvent, h.LastOperation
	case recNode:
		v.Nodes, err = appendJSON(v.Nodes, j)
	case recKafka:
		v.Kafka, err = appendJSON(v.Kafka, j)
	case recLink:
		v.Links, err = appendJSON(v.Links, j)
	case recEvents:
		v.Events, err = appendJSON(v.Events, j)
	case recOperation:
		v.Operations, err = appendJSON(v.Operations, j)
	case recEnded:
		v.Ended, err = appendJSON(v.Ended, j)
	case recBan:
		v.Bans, err = appendJSON(v.Bans, j)
	case recToken:
		v.Tokens, err = appendJSON(v.Tokens, j)
	case recTasks:
		return v.restoreTasks(j)
	default:
		return fmt.Errorf("kind %d: %w", kind, ErrUnknown)
	}
	return err
}

func appendJSON[T any](s []T, j []byte) ([]T, error) {
	var item T
	err := strict(j, &item)
	return append(s, item), err
}

func (v *View) restoreTasks(j []byte) error {
	var tasks []*Task
	if err := strict(j, &tasks); err != nil {
		return err
	}
	for _, t := range tasks {
		if t == nil || t.ID >= min(v.nextTask, maxTaskID) {
			return fmt.Errorf("task beyond the last id: %w", ErrCorrupt)
		}
		n := int(t.ID / chunkSize)
		for len(v.chunks) <= n {
			v.chunks = append(v.chunks, nil)
		}
		if v.chunks[n] == nil {
			v.chunks[n] = new(chunk)
		}
		if v.chunks[n][t.ID%chunkSize] == nil {
			v.count++
		}
		v.chunks[n][t.ID%chunkSize] = t
	}
	return nil
}
