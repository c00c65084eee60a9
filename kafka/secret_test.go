package kafka

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolveSecret(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pw")
	if err := os.WriteFile(file, []byte(" s3cret \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAFKA_TEST_SECRET", "fromenv")
	t.Setenv("KAFKA_TEST_EMPTY", "")
	for _, c := range []struct{ ref, want, err string }{
		{"plain", "plain", ""},
		{"", "", ""},
		{"$plain}", "$plain}", ""},
		{"${file:" + file + "}", " s3cret ", ""},
		{"${env:KAFKA_TEST_SECRET}", "fromenv", ""},
		{"${env:KAFKA_TEST_EMPTY}", "", ""},
		{"${env:KAFKA_TEST_UNSET}", "", "KAFKA_TEST_UNSET is not set"},
		{"${file:" + dir + "/absent}", "", "absent"},
		{"${file:}", "", "neither"},
		{"${env:X", "", "neither"},
		{"${hunter2}", "", "neither"},
		{"${vault:x}", "", "unknown kind"},
	} {
		got, err := ResolveSecret(c.ref)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", c.ref, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a misspelt reference, perhaps a password, stands in the error", c.ref)
		}
	}
}
