package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/fsm"
	"sluice/manifest"
)

var yamlBlock = regexp.MustCompile("(?s)```ya?ml\n(.*?)```")

// validShown tells what is wrong with a YAML block of a page: objects as apply
// takes them, or a node.yaml but for the files that it names.
func validShown(t *testing.T, text string) error {
	if strings.Contains(text, "apiVersion:") {
		objects, err := manifest.ParseAll(t.Context(), []manifest.Source{{Name: "shown.yaml", Text: text}})
		if err != nil || !strings.Contains(text, "kind: KafkaCluster") {
			return err // a link alone leads to Kafka clusters that are there already
		}
		_, err = manifest.NewPlan(t.Context(), fsm.NewState().View(), objects)
		return err
	}
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	f, fields, err := readFile(path)
	if err != nil {
		return err
	}
	_, found := f.configs(false)
	return found.err(wrong, fields)
}

// TestShownYAMLIsValid: what pages show can be copied from them.
func TestShownYAMLIsValid(t *testing.T) {
	found := 0
	err := filepath.WalkDir("../../docs", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range yamlBlock.FindAllSubmatch(text, -1) {
			found++
			if err := validShown(t, string(m[1])); err != nil {
				t.Errorf("%s: %v\n%s", path, err, m[1])
			}
		}
		return nil
	})
	if err != nil || found < 5 {
		t.Errorf("%d YAML blocks are found: %v", found, err)
	}
	for name, text := range map[string]string{
		"an unknown key of node.yaml": "name: n1\ndataDir: data\npeer: {listen: \"127.0.0.1:1\", tls: {cert: a, key: b, ca: c}}\nnone: 1\n",
		"a node without a port":       "name: n1\ndataDir: data\n",
		"an unknown key of a link":    "apiVersion: sluice/v1\nkind: Link\nmetadata: {name: l}\nspec: {source: a, target: b, topics: {include: [t]}, none: 1}\n",
	} {
		if validShown(t, text) == nil {
			t.Errorf("%s is valid", name)
		}
	}
}
