package data

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"
)

func unzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	d, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func loadModel(t testing.TB, name string) *Model {
	t.Helper()
	b, err := ParseBrokers(name+".brokers", unzip(t, name+".brokers.gz"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePartitions(name+".parts", unzip(t, name+".parts.gz"), b)
	if err != nil {
		t.Fatal(err)
	}
	return &Model{Brokers: b, Partitions: p}
}

func TestLevelsTheReferenceClusters(t *testing.T) {
	for _, name := range []string{"L_skew", "L_expand"} {
		m := loadModel(t, name)
		p, err := Plan(m, DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Changes) == 0 {
			t.Errorf("%s: no change", name)
		}
	}
}
