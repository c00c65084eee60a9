package record_test

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"sluice/kafka/record"
	"sluice/test/oracle"
)

// The bytes of a built batch are fixed: a target's duplicate check rests on
// counts, but a change of format by accident must show.
func TestBuildGolden(t *testing.T) {
	var b record.Builder
	for _, e := range []oracle.Entry{
		{Timestamp: 1_700_000_000_000, Key: []byte("key"), Value: []byte("value"), Headers: []oracle.Header{{Key: "h", Value: []byte("x")}, {Key: "null"}}},
		{Timestamp: 1_700_000_000_500, Key: []byte{}, Value: nil},
		{Timestamp: 1_699_999_999_000, Key: nil, Value: []byte(strings.Repeat("z", 70))},
	} {
		r := e.Record()
		b.Add(&r)
	}
	got, err := record.NewCodec().Build(nil, record.CodecNone, &b)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/built.hex")
	if err != nil {
		t.Fatal(err)
	}
	if g := hex.EncodeToString(got); g != strings.TrimSpace(string(want)) {
		t.Errorf("got %s", g)
	}
}
