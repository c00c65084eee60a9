package main

import (
	"flag"
	"os"
	"testing"
)

//go:generate go test -run TestReferencesAreCurrent -update

var update = flag.Bool("update", false, "write the references anew")

// TestReferencesAreCurrent: what the references say is what the code does.
func TestReferencesAreCurrent(t *testing.T) {
	for name, made := range map[string]func(*testing.T) string{
		"metrics.md": metricsReference, "node-yaml.md": nodeReference,
	} {
		t.Run(name, func(t *testing.T) {
			path, want := "../../docs/reference/"+name, made(t)
			if *update {
				if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			have, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(have) != want {
				t.Errorf("docs/reference/%s is not what the code says; if the change is meant: go generate ./cmd/sluice", name)
			}
		})
	}
}
