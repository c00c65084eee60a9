package cli

import (
	"fmt"

	"sluice/api"
	"sluice/fsm"
	"sluice/words"
)

// mayRepeat says how many records `resolve --continue` may write a second time:
// behind the last position that is known, what the target has may be ours.
// Empty: none.
func mayRepeat(tasks []api.Task, sel api.StreamSelector) string {
	var streams int
	var records int64
	for _, x := range tasks {
		meant := (sel.Topic == "" || sel.Topic == x.Topic) && (sel.Partition == nil || *sel.Partition == x.Partition)
		if !meant || x.State != fsm.CodePositionUnknown || x.From == nil || x.To == nil || x.Phase != fsm.PhaseTranslated.String() {
			continue
		}
		streams++
		records += max(0, *x.To-*x.From)
	}
	if streams == 0 {
		return ""
	}
	return fmt.Sprintf("At most %s of %s, as the target was when it stopped, may be written a second time: the target holds them behind the last position that is known. `sluice link verify` names each copy too many.",
		words.Count(records, "record"), words.Count(streams, "stream"))
}
