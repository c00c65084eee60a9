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

// loadModel reads a reference cluster.
func loadModel(t testing.TB, name string) *Model {
	t.Helper()
	return parseModel(t, name, unzip(t, name+".brokers.gz"), unzip(t, name+".parts.gz"))
}

func parseModel(t testing.TB, name string, brokers, parts []byte) *Model {
	t.Helper()
	b, err := ParseBrokers(name+".brokers", brokers)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePartitions(name+".parts", parts, b)
	if err != nil {
		t.Fatal(err)
	}
	return &Model{Brokers: b, Partitions: p}
}
