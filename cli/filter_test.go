package cli

import (
	"testing"

	"sluice/api"
	"sluice/fsm"
)

func TestFilterInWords(t *testing.T) {
	f := &fsm.Filter{
		Keep: "value.a == 1 &&\n  value.b == 2", Mask: []string{"c", "d"}, Hash: []string{"e"}, DropHeaders: []string{"f"}, RenameHeaders: []fsm.Rename{{From: "g", To: "h"}}, OnUnparseable: fsm.UnparseableDrop,
	}
	if got, want := filterText(f), "keeps value.a == 1 && value.b == 2; masks c, d; hashes e; drops headers f; renames headers g as h; on unparseable: drop"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := filterText(&fsm.Filter{Mask: []string{"c"}}), "masks c; on unparseable: stop"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	known := api.Task{Kind: "copy", Filtered: &api.Filtered{Dropped: 1000, Changed: 2, Unparseable: 3}}
	for want, tasks := range map[string][]api.Task{
		"not known": {{Kind: "copy"}, {Kind: "link"}},
		"2000 dropped, 4 changed, 6 unparseable, since their owners have the streams":                               {known, known, {Kind: "link"}},
		"1000 dropped, 2 changed, 3 unparseable, since their owners have the streams; of 2 streams it is not known": {known, {Kind: "copy"}, {Kind: "copy"}},
	} {
		if got := filteredText(tasks); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
