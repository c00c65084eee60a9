package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"sluice/api"
	"sluice/balance/data"
	"sluice/words"
)

// mostShown bounds the topics of a link that a plan shows to a person.
const mostShown = 20

// plannedText says what a link will copy that it does not copy yet.
func plannedText(w io.Writer, st style, l *api.PlannedLink) {
	also := ""
	if l.Copied > 0 {
		also = fmt.Sprintf(" beside the %s that it copies already", words.Count(l.Copied, "topic"))
	}
	if l.Total == 0 {
		fmt.Fprintf(w, "\nLink %s: no topic that it would copy is there yet%s.\n", l.Link, also)
	} else {
		fmt.Fprintf(w, "\nLink %s will copy %s with %s%s, %s.\n", l.Link, words.Count(l.Total, "topic"), words.Count(l.Partitions, "partition"), also, howLong(l))
		plannedTable(l.Topics[:min(len(l.Topics), mostShown)]).text(w, st)
		andMore(w, "", l.Total-mostShown)
	}
	if n := len(l.LeftOut); n > 0 {
		fmt.Fprintln(w, "Not copied, though its patterns mean them:")
		for _, x := range l.LeftOut[:min(n, mostShown)] {
			fmt.Fprintf(w, "  %s: %s\n", x.Topic, x.Rule)
		}
		andMore(w, "  ", n-mostShown)
	}
}

func andMore(w io.Writer, indent string, more int) {
	if more > 0 {
		fmt.Fprintf(w, "%sand %s more; -o json names them\n", indent, words.Count(more, "topic"))
	}
}

// howLong words how much a link has to copy and how long that takes.
func howLong(l *api.PlannedLink) string {
	if l.Bytes == nil {
		return "of a size that is not known"
	}
	at := fmt.Sprintf("%s/s, which one node with two processors reaches", data.Bytes(l.Rate))
	if l.Limited {
		at = "its limit of " + data.Bytes(l.Rate) + "/s"
	}
	return fmt.Sprintf("%s: about %s at %s", data.Bytes(*l.Bytes), duration(float64(cmp.Or(*l.Seconds, 1))), at)
}

func plannedTable(topics []api.PlannedTopic) *table {
	t := &table{cols: []column{
		{key: "topic", head: "TOPIC"}, {key: "target", head: "TARGET"}, {key: "partitions", head: "PARTITIONS", right: true},
		{key: "bytes", head: "SIZE", right: true}, {key: "settings", head: "AT THE TARGET", wrap: true, flex: true},
	}}
	for _, x := range topics {
		size, at := "unknown", "is there"
		if x.Bytes != nil {
			size = data.Bytes(*x.Bytes)
		}
		if x.Create {
			at = "new"
		}
		t.add(c(x.Topic), c(x.Target), c(fmt.Sprint(x.Partitions)), c(size), c(strings.Join(append([]string{at}, x.Settings...), "; ")))
	}
	return t
}
