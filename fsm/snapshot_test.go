package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
)

// sealed makes a snapshot of records as they are, with right lengths and sums.
func sealed(records ...string) []byte {
	b := []byte(snapshotMagic)
	for _, r := range records {
		rec := binary.AppendUvarint([]byte{r[0]}, uint64(len(r)-1))
		rec = append(rec, r[1:]...)
		b = append(b, binary.BigEndian.AppendUint32(rec, checksum(rec))...)
	}
	return b
}

func rec(kind byte, json string) string { return string(kind) + json }

func TestSnapshotFaults(t *testing.T) {
	head := rec(recHead, `{"nextTask":10}`)
	for _, c := range []struct {
		name string
		data []byte
		want error // nil: good
	}{
		{"smallest", sealed(head, rec(recEnd, "1")), nil},
		{"empty", nil, ErrCorrupt},
		{"newer format", []byte("sluice-snapshot 2\n"), ErrCorrupt},
		{"only the magic", []byte(snapshotMagic), ErrCorrupt},
		{"no end", sealed(head), ErrCorrupt},
		{"no head", sealed(rec(recEnd, "0")), ErrCorrupt},
		{"head not first", sealed(rec(recNode, `{}`), head, rec(recEnd, "2")), ErrCorrupt},
		{"two heads", sealed(head, head, rec(recEnd, "2")), ErrCorrupt},
		{"wrong count", sealed(head, rec(recEnd, "2")), ErrCorrupt},
		{"count is no number", sealed(head, rec(recEnd, `"1"`)), ErrCorrupt},
		{"unknown record", sealed(head, rec(77, "{}"), rec(recEnd, "2")), ErrUnknown},
		{"not JSON", sealed(head, rec(recNode, "{"), rec(recEnd, "2")), ErrCorrupt},
		{"tasks are not JSON", sealed(head, rec(recTasks, "{"), rec(recEnd, "2")), ErrCorrupt},
		{"task beyond the last id", sealed(head, rec(recTasks, `[{"id":10}]`), rec(recEnd, "2")), ErrCorrupt},
		{"task of an absurd id", sealed(rec(recHead, `{"nextTask":18446744073709551615}`), rec(recTasks, `[{"id":9223372036854775807}]`), rec(recEnd, "2")), ErrCorrupt},
		{"a stream's position in a task that copies nothing", sealed(head, rec(recTasks, `[{"id":1,"kind":2,"start":-1,"attempt":1}]`), rec(recEnd, "2")), ErrCorrupt},
		{"no task", sealed(head, rec(recTasks, `[null]`), rec(recEnd, "2")), ErrCorrupt},
		{"false length", binary.AppendUvarint([]byte(snapshotMagic+"\x01"), 1<<50), ErrCorrupt},
		{"length cut off", []byte(snapshotMagic + "\x01\xff"), ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ReadSnapshot(bytes.NewReader(c.data))
			if !errors.Is(err, c.want) || (err == nil) != (s != nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestDamagedSnapshotIsNoticed(t *testing.T) {
	good := snapshot(t, rich(t).View())
	for i := range good {
		flipped := slices.Clone(good)
		flipped[i] ^= 0x10
		for _, bad := range [][]byte{good[:i], flipped} {
			if _, err := ReadSnapshot(bytes.NewReader(bad)); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknown) {
				t.Fatalf("byte %d damaged or missing: %v", i, err)
			}
		}
	}
}

func TestSnapshotOfAnOldViewWhileCommandsGoOn(t *testing.T) {
	d := fixture(t)
	old := d.s.View()
	want := snapshot(t, old)
	d.must(&Assign{Items: []Assignment{{Task: task0, Turn: 1, To: "b"}}}, &NodeRemove{ID: "a"}, &Objects{DeleteLinks: []string{"l"}}, &LinkPurge{Link: linkL})
	if !bytes.Equal(snapshot(t, old), want) {
		t.Fatal("the old view is written differently after later commands")
	}
}

type fullDisk struct{ left int }

func (f *fullDisk) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestSnapshotToAFullDisk(t *testing.T) {
	v := rich(t).View()
	size := len(snapshot(t, v))
	for _, left := range []int{0, 10, size - 1} {
		if err := WriteSnapshot(&fullDisk{left}, v); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("room for %d of %d bytes: %v", left, size, err)
		}
	}
	if err := WriteSnapshot(&fullDisk{size}, v); err != nil {
		t.Error(err)
	}
}

// tenThousand has 10,000 copy tasks on three nodes, each with a mapping and
// progress.
func tenThousand(t testing.TB) *driver {
	d := newDriver(t)
	for _, id := range []string{"a", "b", "c"} {
		d.must(&NodePut{Node: Node{ID: "0f8fad5b-d9cb-469f-a165-70867728950" + id, Name: id}})
	}
	d.must(&Objects{Kafka: []KafkaCluster{{Name: "us"}, {Name: "eu"}}, Links: []LinkPut{{Spec: linkSpec("l")}}})
	var streams []StreamKey
	for i := range 10_000 {
		topic := fmt.Sprintf("orders.of.shop-%d", i/50)
		streams = append(streams, StreamKey{topic, int32(i % 50), topic})
	}
	d.must(&StreamsAdd{Link: linkL, Streams: streams})
	var a Assign
	for i := range 10_000 {
		a.Items = append(a.Items, Assignment{Task: TaskID(i + 2), To: d.s.View().Nodes[i%3].ID})
	}
	d.must(&a)
	m := mapping1
	m.ProducerID = 4_000_000
	for i := range 10_000 {
		d.must(&MappingPut{Task: TaskID(i + 2), Turn: 1, Mapping: m, Progress: Progress{Source: 1 << 33, SourceEpoch: 12, Target: 1 << 33, TargetEpoch: 14, Records: 1 << 32, At: 1_800_000_000_000}})
	}
	return d
}
