package cluster

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// TestRaftLogsAreReadable: Raft hands formats over with what they are of.
func TestRaftLogsAreReadable(t *testing.T) {
	var out bytes.Buffer
	h := hlog{log: slog.New(slog.NewTextHandler(&out, nil))}
	h.Info("configuration", "servers", hclog.Fmt("%+v", []string{"n1", "n2"}), "index", 7)
	if got := out.String(); !strings.Contains(got, `servers="[n1 n2]" index=7`) {
		t.Error(got)
	}
}
