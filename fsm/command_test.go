package fsm

import (
	"encoding/binary"
	"errors"
	"testing"
)

func TestDecodeFaults(t *testing.T) {
	good, err := Encode(&NodeRemove{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	otherMagic := binary.BigEndian.AppendUint32([]byte{0xC6, 17, 1}, checksum([]byte{0xC6, 17, 1}))
	seal := func(b ...byte) []byte { return seal(b[1:]) }
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"empty", nil, ErrCorrupt},
		{"cut off", good[:len(good)-1], ErrCorrupt},
		{"another magic", otherMagic, ErrCorrupt},
		{"unknown type", seal(commandMagic, 200, 1, '{', '}'), ErrUnknown},
		{"type 0", seal(commandMagic, 0, 1, '{', '}'), ErrUnknown},
		{"unknown version", seal(commandMagic, byte(TypeBarrier), 2, '{', '}'), ErrUnknown},
		{"not JSON", seal(commandMagic, byte(TypeBarrier), 1, '{'), ErrCorrupt},
		{"wrong JSON", seal(commandMagic, byte(TypeBarrier), 1, '[', ']'), ErrCorrupt},
		{"progress cut off", seal(commandMagic, byte(TypeProgress), 1, 1, 'a', 2, 1, 0), ErrCorrupt},
		{"progress with a rest", seal(commandMagic, byte(TypeProgress), 1, 0, 0, 0, 9), ErrCorrupt},
		{"progress of too many items", seal(commandMagic, byte(TypeProgress), 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f), ErrCorrupt},
		{"progress with an endless varint", seal(commandMagic, byte(TypeProgress), 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Decode(c.data); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			d := fixture(t)
			before := hash(t, d.s.View())
			if _, err := d.s.Apply(99, c.data); !errors.Is(err, c.want) {
				t.Errorf("applied: %v, want %v", err, c.want)
			}
			if hash(t, d.s.View()) != before {
				t.Error("a faulty command has changed the state")
			}
		})
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	good, err := Encode(samples()["progress"])
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(good) {
		b := append([]byte(nil), good...)
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := Decode(b); err == nil {
			t.Fatalf("bit %d flipped, nobody noticed", bit)
		}
	}
}

func TestTopicIDText(t *testing.T) {
	id := TopicID{0: 0xfb, 1: 0xff, 15: 1}
	b, err := id.MarshalText()
	if err != nil || string(b) != "-_8AAAAAAAAAAAAAAAAAAQ" {
		t.Fatalf("%s %v", b, err)
	}
	var back TopicID
	if err := back.UnmarshalText(b); err != nil || back != id {
		t.Fatalf("%v %v", back, err)
	}
	for _, bad := range []string{"", "AA", "????????????????????==", string(b) + "AA"} {
		if err := back.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q taken for a topic id", bad)
		}
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"copy": KindCopy.String(), "link": KindLink.String(), "observe": KindObserve.String(), "move": KindMove.String(),
		"filling": PhaseFilling.String(), "dense": PhaseDense.String(), "translated": PhaseTranslated.String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if Kind(0).String() != "unknown" || Phase(0).String() != "unknown" {
		t.Error("zero is unknown")
	}
}
