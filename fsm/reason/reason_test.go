package reason

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/fsm"
)

const root = "../.."

// declared are the codes that package fsm declares, found in its source, and
// the places elsewhere that make a code of a text of their own.
func declared(t *testing.T) (codes []fsm.Code, strays []string) {
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == "testdata" || name != "." && name != ".." && strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			for _, text := range codesIn(f.Name.Name, n) {
				if filepath.Base(path) == "code.go" && f.Name.Name == "fsm" {
					codes = append(codes, fsm.Code(text))
				} else {
					strays = append(strays, set.Position(n.Pos()).String()+" "+text)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return codes, strays
}

// codesIn gives the texts that a constant or a conversion makes a code of.
func codesIn(pkg string, n ast.Node) []string {
	isCode := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.Ident:
			return pkg == "fsm" && e.Name == "Code"
		case *ast.SelectorExpr:
			x, ok := e.X.(*ast.Ident)
			return ok && x.Name == "fsm" && e.Sel.Name == "Code"
		}
		return false
	}
	var values []ast.Expr
	switch n := n.(type) {
	case *ast.ValueSpec:
		if isCode(n.Type) {
			values = n.Values
		}
	case *ast.CallExpr:
		if isCode(n.Fun) {
			values = n.Args
		}
	}
	var out []string
	for _, v := range values {
		if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, _ := strconv.Unquote(lit.Value)
			out = append(out, text)
		}
	}
	return out
}

func TestEveryCodeHasARow(t *testing.T) {
	codes, strays := declared(t)
	if len(codes) < 40 {
		t.Fatalf("only %d codes found in package fsm", len(codes))
	}
	for _, c := range codes {
		if _, ok := table[c]; !ok {
			t.Errorf("%s has no row", c)
		}
	}
	for c := range table {
		if !slices.Contains(codes, c) {
			t.Errorf("the row %q is of no code", c)
		}
	}
	for _, s := range strays {
		t.Errorf("%s: a code is made outside of package fsm's code.go", s)
	}
}

func TestRowsAreWhole(t *testing.T) {
	for _, r := range All() {
		for _, line := range []string{r.Meaning, r.Advice} {
			if line == "" || strings.ToLower(line[:1]) != line[:1] || strings.HasSuffix(line, ".") || strings.ContainsAny(line, "\n|") {
				t.Errorf("%s: %q does not stand inside a sentence or a table", r.Code, line)
			}
		}
		if r.Side == "" || r.Acts == "" {
			t.Errorf("%s: %+v", r.Code, r)
		}
		if (r.Policy || r.Batch) && r.Severity != Stopped {
			t.Errorf("%s does not stop a stream, but it is said how it goes on", r.Code)
		}
		if r.Severity == Stopped && (r.Acts == Nobody || r.Acts == Sluice) {
			t.Errorf("%s waits for a person, and none is named", r.Code)
		}
	}
}

// TestWhatAStopMeansForAStream pins what streams decide by: a link's policy
// that reached further would go on where a person must look.
func TestWhatAStopMeansForAStream(t *testing.T) {
	policy := []fsm.Code{
		fsm.CodePositionLost, fsm.CodeSourceRecreated, fsm.CodeSourceTruncated, fsm.CodeTargetRecreated, fsm.CodeTargetTruncated,
		fsm.CodeForeignWriter, fsm.CodeRecordTooLarge, fsm.CodeTimestampRefused, fsm.CodeKeylessRecord, fsm.CodeCorruptBatch, fsm.CodeOverBudget,
	}
	batch := []fsm.Code{
		fsm.CodePositionLost, fsm.CodeRecordTooLarge, fsm.CodeTimestampRefused, fsm.CodeKeylessRecord, fsm.CodeCorruptBatch, fsm.CodeUnsupportedFormat, fsm.CodeOverBudget, fsm.CodeUnparseable,
	}
	for _, r := range All() {
		if r.Policy != slices.Contains(policy, r.Code) {
			t.Errorf("%s: policy %v", r.Code, r.Policy)
		}
		if r.Batch != slices.Contains(batch, r.Code) {
			t.Errorf("%s: batch %v", r.Code, r.Batch)
		}
	}
}

func TestSeverity(t *testing.T) {
	for c, want := range map[fsm.Code]Severity{
		fsm.CodeIdle: Good, fsm.CodePaused: Told, fsm.CodeUnassigned: Working, fsm.CodeUnreachable: Waiting, fsm.CodeNotEmpty: Stopped, "of-a-newer-node": Stopped,
	} {
		if got := SeverityOf(c); got != want || Of(c).Severity != want || Of(c).Code != c {
			t.Errorf("%s: %v %+v, want %v", c, got, Of(c), want)
		}
	}
	for s := Good; s <= Stopped; s++ {
		var back Severity
		if text, err := s.MarshalText(); err != nil || back.UnmarshalText(text) != nil || back != s {
			t.Errorf("%v is read as %v", s, back)
		}
	}
	var odd Severity
	if odd.UnmarshalText([]byte("odd")) != nil || odd != Stopped {
		t.Errorf("an unknown word is read as %v", odd)
	}
	rows := All()
	if rows[0].Severity != Stopped || rows[len(rows)-1].Severity != Good || rows[0].Code >= rows[1].Code {
		t.Errorf("the order: %s, %s ... %s", rows[0].Code, rows[1].Code, rows[len(rows)-1].Code)
	}
}

// TestStopsLast: what a person has to act on is not pushed out of the facts by
// what happens all the time.
func TestStopsLast(t *testing.T) {
	for _, r := range All() {
		if r.Severity == Stopped && !fsm.Lasts(r.Code) {
			t.Errorf("events of %s are pushed out by others", r.Code)
		}
	}
}
