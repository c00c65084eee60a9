package arch

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// everything stands for the whole house.
const everything = "*"

// mayImport is the table of the design: a folder with all below it, and the
// folders that it may import. The deepest folder that fits counts.
var mayImport = map[string][]string{
	"cmd/sluice":           {everything},
	"cli":                  {"api", "manifest", "fsm", "balance/data", "words"},
	"demo":                 {everything, "-cli", "-cmd"},
	"task":                 {"fsm"},
	"manifest":             {"fsm", "replication/filter", "words"},
	"operation":            {"fsm"},
	"kafka":                {"fsm", "words"},
	"kafka/record":         {},
	"kafka/catalog":        {"fsm", "kafka"},
	"balance/work":         {"fsm"},
	"balance/data":         {"fsm", "words"},
	"api":                  {"fsm", "manifest", "task", "operation", "monitor", "balance/data", "gate", "pki", "words"},
	"monitor":              {"fsm", "task", "kafka", "replication/offsets"},
	"replication":          {"fsm", "task", "operation", "kafka"},
	"replication/offsets":  {"fsm", "kafka/record"},
	"replication/filter":   {"fsm", "kafka/record"},
	"replication/rewrite":  {"fsm", "kafka/record", "replication/filter", "replication/offsets"},
	"replication/recovery": {"fsm", "kafka/record", "replication/offsets"},
	"replication/pipe":     {"fsm", "kafka/record", "replication/filter", "replication/offsets", "replication/rewrite", "replication/recovery"},
	"replication/filler":   {"kafka"},
	"replication/wire":     {"fsm", "task", "kafka", "replication/offsets", "replication/pipe", "replication/recovery", "replication/rewrite"},
	"replication/stream":   {"fsm", "task", "operation", "kafka", "replication/filler", "replication/filter", "replication/offsets", "replication/pipe", "replication/recovery", "replication/wire", "words"},
	"replication/link":     {"fsm", "task", "operation", "kafka", "replication/offsets", "words"},
	"replication/verify":   {"fsm", "task", "operation", "kafka", "replication/filter", "replication/offsets", "words"},
	"balance/mover":        {"fsm", "task", "operation", "kafka", "balance/data"},
	"cluster":              {"fsm", "task", "balance/work", "operation", "pki", "transport", "words"},
	"gate":                 {},
	"pki":                  {"words"},
	"transport":            {"gate", "pki"},
	"fsm":                  {"words"},
	"fsm/reason":           {"fsm"},
	"web":                  {},
	"words":                {},
	"test":                 {everything},
}

// pure are the packages without clock, chance, goroutine, lock or I/O.
var pure = []string{
	"fsm", "fsm/reason", "operation", "balance/work", "balance/data", "kafka/record",
	"replication/filter", "replication/offsets", "replication/rewrite", "replication/recovery", "replication/pipe", "words",
}

// vague names say nothing of what a package owns.
var vague = []string{"util", "utils", "common", "types", "config", "helper", "helpers", "misc", "base", "shared", "lib"}

// row finds the folder of the table that a folder belongs to.
func row(folder string) (string, bool) {
	for ; folder != "."; folder = path.Dir(folder) {
		if _, ok := mayImport[folder]; ok {
			return folder, true
		}
	}
	return "", false
}

func within(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

// allowed reports whether a package may import another of the house.
func allowed(from, to string) bool {
	r, ok := row(from)
	if !ok {
		return false
	}
	if within(to, r) && r != "test" {
		// In one room: up to the parent, or to what is pure, never down or
		// across otherwise.
		return from != to && !slices.Contains(pure, from) && (within(from, to) || slices.Contains(pure, to))
	}
	ok = false
	for _, rule := range mayImport[r] {
		switch {
		case rule == everything:
			ok = !within(to, "test") || within(from, "test")
		case rule[0] == '-' && within(to, rule[1:]):
			return false
		case within(to, rule):
			ok = true
		}
	}
	return ok
}

func checkImports(s *source) []string {
	var out []string
	if _, ok := row(s.folder()); !ok {
		out = append(out, s.at(s.file.Package, "folder %s is not in the table of the house", s.folder()))
	}
	if slices.Contains(vague, s.file.Name.Name) {
		out = append(out, s.at(s.file.Package, "package %s: the name says nothing of what it owns", s.file.Name.Name))
	}
	for _, i := range s.file.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		to, ours := strings.CutPrefix(name, module+"/")
		if err == nil && ours && !s.test() && !allowed(s.folder(), to) {
			out = append(out, s.at(i.Pos(), "%s may not import %s", s.folder(), to))
		}
	}
	return out
}

func TestImports(t *testing.T) {
	var out []string
	for _, s := range sources(t) {
		out = append(out, checkImports(s)...)
	}
	report(t, out)
}

func TestImportTable(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"cmd/sluice", "cluster", true},
		{"cmd/sluice", "test/kafkalab", false},
		{"cli", "api", true},
		{"cli", "cluster", false},
		{"demo", "cluster", true},
		{"demo", "cli", false},
		{"demo", "cmd/sluice", false},
		{"cluster", "replication", false},
		{"replication", "cluster", false},
		{"replication/link", "task", true},
		{"task", "cluster", false},
		{"replication", "replication/rewrite", true},
		{"replication", "replication/link", false},
		{"replication/link", "replication/offsets", true},
		{"replication/link", "replication/verify", false},
		{"replication/link", "replication/stream", false},
		{"replication/link", "kafka/catalog", true},
		{"replication/verify", "replication/offsets", true},
		{"replication/rewrite", "replication", false},
		{"replication/rewrite", "replication/recovery", false},
		{"replication/rewrite", "fsm", true},
		{"replication/rewrite", "kafka/record", true},
		{"replication/rewrite", "kafka", false},
		{"replication/link", "kafka/record", true},
		{"kafka", "kafka/record", true},
		{"kafka", "kafka/catalog", false},
		{"kafka/catalog", "kafka", true},
		{"kafka/catalog", "kafka/record", true},
		{"kafka/catalog", "fsm", true},
		{"kafka/record", "fsm", false},
		{"kafka/record", "kafka", false},
		{"balance/work", "fsm", true},
		{"balance/work", "balance/data", false},
		{"fsm", "kafka", false},
		{"web", "fsm", false},
		{"test/system", "test/kafkalab", true},
		{"test/system", "cluster", true},
		{"elsewhere", "fsm", false},
	} {
		if got := allowed(c.from, c.to); got != c.want {
			t.Errorf("%s imports %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
	bad := parse(t, "common/x.go", "package common\n\nimport _ \"sluice/fsm\"\n")
	if out := checkImports(bad); len(out) != 3 {
		t.Errorf("a vague package outside the table: %q", out)
	}
}
