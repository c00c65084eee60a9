package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"reflect"
	"testing"
)

// seal puts the frame of a command around a type, a version and a payload, so
// that the fuzzer need not guess checksums.
func seal(b []byte) []byte {
	b = append([]byte{commandMagic}, b...)
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

func FuzzCommand(f *testing.F) {
	for _, c := range samples() {
		b, err := Encode(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[1 : len(b)-4])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Decode(data); err == nil {
			data = data[1 : len(data)-4] // framed already
		}
		c, err := Decode(seal(data))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknown) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		// What was read is written and read again as the same.
		b, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if b2, err := Encode(again); err != nil || !bytes.Equal(b, b2) {
			t.Fatalf("%q\nthen %q %v", b, b2, err)
		}
		// Two nodes that apply it stay equal, and the state can be snapshot.
		d := fixture(t)
		other := reread(t, d.s.View())
		r1, err1 := d.s.Apply(100, b)
		r2, err2 := other.Apply(100, b)
		if r1 != r2 || err1 != nil || err2 != nil {
			t.Fatalf("%+v %v, %+v %v", r1, err1, r2, err2)
		}
		if hash(t, d.s.View()) != hash(t, other.View()) || hash(t, reread(t, d.s.View()).View()) != hash(t, d.s.View()) {
			t.Fatal("the states differ")
		}
	})
}

func FuzzProgress(f *testing.F) {
	b, err := Encode(samples()["progress"])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[3 : len(b)-4])
	f.Add([]byte{1, 'a', 2, 1, 4, 1, 1, 0, 1, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var p, again ProgressBatch
		if err := p.parse(data); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if err := again.parse(p.append(nil)); err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%+v, then %+v %v", p, again, err)
		}
		items := 0
		for _, part := range p.Split() {
			items += len(part.Items)
		}
		if items != len(p.Items) {
			t.Fatalf("%d items, %d after the split", len(p.Items), items)
		}
	})
}

// FuzzSnapshot takes the input as lines, each a record's kind and JSON, so
// that sums and lengths are right; if it begins with the magic, as it is.
func FuzzSnapshot(f *testing.F) {
	b, err := os.ReadFile("testdata/snapshot.v1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("\x01{\"nextTask\":300}\n\x05[{\"id\":299,\"start\":-1}]\n\x06{\"link\":1,\"events\":[{}]}\n\x04{\"id\":1}\n\x094"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !bytes.HasPrefix(data, []byte(snapshotMagic)) {
			var records []string
			for line := range bytes.SplitSeq(data, []byte("\n")) {
				if len(line) > 0 {
					records = append(records, string(line))
				}
			}
			data = sealed(records...)
		}
		s, err := ReadSnapshot(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknown) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if hash(t, reread(t, s.View()).View()) != hash(t, s.View()) {
			t.Fatal("written and read again it differs")
		}
	})
}
