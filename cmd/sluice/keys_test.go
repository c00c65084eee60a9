package main

import (
	"os"
	"path/filepath"
	"testing"

	"sluice/test/keys"
)

const nodeIntro = `# node.yaml

<!-- Made from cmd/sluice/config.go: go generate ./cmd/sluice -->

What one node is told, and nothing else: everything about Kafka clusters and links is an [object](objects.md), applied once and known to all
nodes. A key that is not known is a fault with its line and column. Files are named from the folder of node.yaml, or by their whole path. Sizes
are like 256MiB. ` + "`sluice server validate -c node.yaml`" + ` looks for faults, ` + "`sluice server print-config --origin -c node.yaml`" + ` says what holds and where it
comes from. A change needs a restart of the node.

`

func nodeReference(t *testing.T) string {
	all := keys.Of(t, defaultFile())
	return nodeIntro + keys.Table(all) + "\nWith all keys:\n\n```yaml\n" + keys.Whole(all) + "```\n"
}

// TestNodeExample: what the reference shows is a node.yaml.
func TestNodeExample(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(path, []byte(keys.Whole(keys.Of(t, defaultFile()))), 0o600); err != nil {
		t.Fatal(err)
	}
	f, _, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, found := f.configs(false); len(found) > 0 {
		t.Error(found)
	}
}
