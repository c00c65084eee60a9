package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/fsm"
	"sluice/kafka/record"
	"sluice/replication/filter"
	"sluice/test/oracle"
)

func filtering(t testing.TB, spec fsm.Filter) *filter.Filter {
	t.Helper()
	f, err := filter.Compile(&spec, "0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// valued are records with values of one field each, from an offset on.
func valued(base int64, values ...string) oracle.Source {
	s := oracle.Source{Base: base}
	for i, v := range values {
		s.Entries = append(s.Entries, oracle.Entry{Offset: base + int64(i), Key: fmt.Appendf(nil, "k%d", base+int64(i)), Value: []byte(v)})
	}
	return s
}

// TestRebuildWhatCannotBeJudged: it ends a Job in front of it, or is left out and
// counted; what is changed is counted too.
func TestRebuildWhatCannotBeJudged(t *testing.T) {
	source := valued(100, `{"a":1}`, `{"b":1}`, `broken`, `{"a":2}`)
	for _, c := range []struct {
		policy   string
		from     int64
		keys     string
		end      Cursor
		done     int
		filtered filter.Counts
		stuck    bool
	}{
		{fsm.UnparseableStop, 100, "100 101", Cursor{102, 102, 0}, 0, filter.Counts{Changed: 1}, true},
		{fsm.UnparseableStop, 102, "", Cursor{102, 102, 0}, 0, filter.Counts{}, true},
		{fsm.UnparseableStop, 103, "103", Cursor{104, 104, 0}, 1, filter.Counts{Changed: 1}, false},
		{fsm.UnparseableDrop, 100, "100 101 103", Cursor{104, 103, -1}, 1, filter.Counts{Changed: 2, Unparseable: 1}, false},
	} {
		job := Job{Batches: []record.Batch{source.Encode(t)}, Cursor: Cursor{Source: c.from, Target: c.from}, Filter: filtering(t, fsm.Filter{Mask: []string{"a"}, OnUnparseable: c.policy})}
		out, err := NewRebuilder().Rebuild(job, nil)
		if err != nil {
			t.Fatal(err)
		}
		if keys := keysOf(t, out.Batch); keys != c.keys || out.Cursor != c.end || out.Done != c.done || out.Filtered != c.filtered || (out.Stuck != "") != c.stuck {
			t.Errorf("%s from %d: %q, %+v, want %+v", c.policy, c.from, keys, out, c)
		}
	}
}

// TestPartsOfWhatGrows: the parts of a filtered batch take no more than the source's
// did, so that the target takes them. A record that takes more room than there is
// asks for more.
func TestPartsOfWhatGrows(t *testing.T) {
	values := make([]string, 50)
	for i := range values {
		values[i] = fmt.Sprintf(`{"id":%d}`, i)
	}
	for codec := record.CodecNone; codec <= record.CodecZstd; codec++ {
		source := valued(0, values...)
		source.Attributes = codec
		batch := source.Encode(t)
		r := NewRebuilder()
		plain, err := NewRebuilder().Open(batch)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Split(batch); err != nil {
			t.Fatal(err)
		}
		job := Job{Filter: filtering(t, fsm.Filter{Hash: []string{"id"}, Secret: "${env:S}"})}
		var keys []string
		changed := int64(0)
		for parts := 1; ; parts++ {
			out, err := r.NextPart(job, 0)
			if err != nil {
				t.Fatal(err)
			}
			rs, err := NewRebuilder().Open(bytes.Clone(out.Batch))
			if err != nil || rs.Size() > plain.Size()+recordOverhead {
				t.Fatalf("%d bytes of records, %d before: %v", rs.Size(), plain.Size(), err)
			}
			keys, changed, job.Cursor = append(keys, keysOf(t, out.Batch)), changed+out.Filtered.Changed, out.Cursor
			if out.Done == 1 {
				if parts < 3 {
					t.Errorf("%d parts", parts)
				}
				break
			}
		}
		if got := strings.Fields(strings.Join(keys, " ")); len(got) != 50 || got[0] != "0" || got[49] != "49" || job.Cursor != (Cursor{50, 50, 0}) || changed != 50 {
			t.Errorf("%v, at %+v, %d changed", got, job.Cursor, changed)
		}
	}
	large := valued(0, `{"id":[`+strings.Repeat("1,", 1000)+`1]}`).Encode(t)
	job := Job{Filter: filtering(t, fsm.Filter{Hash: []string{"id"}, Secret: "${env:S}"})}
	for room, want := range map[int]error{20_000: record.ErrOverBudget, 80_000: nil} {
		r := NewRebuilder()
		r.Room = room
		if err := r.Split(large); err != nil {
			t.Fatal(err)
		}
		if out, err := r.NextPart(job, 0); !errors.Is(err, want) || err == nil && out.Done != 1 {
			t.Errorf("67 KB in the room of %d: %v", room, err)
		}
	}
}

// TestPartsAsTheyWere: a batch of which a filter changes nothing stays one.
func TestPartsAsTheyWere(t *testing.T) {
	batch := valued(0, `{"a":1}`, `{"b":1}`, `{"c":1}`).Encode(t)
	r := NewRebuilder()
	if err := r.Split(batch); err != nil {
		t.Fatal(err)
	}
	out, err := r.NextPart(Job{Filter: filtering(t, fsm.Filter{Mask: []string{"z"}})}, 0)
	if err != nil || out.Done != 1 || keysOf(t, out.Batch) != "0 1 2" || out.Filtered != (filter.Counts{}) {
		t.Errorf("%+v, %v", out, err)
	}
}
