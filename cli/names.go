package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// kinds are the kinds of objects that `get` knows, each with every word for it.
var kinds = []struct {
	kind  string
	words []string
}{
	{"Link", []string{"link", "links"}},
	{"KafkaCluster", []string{"kafkacluster", "kafkaclusters", "kafka"}},
	{"Node", []string{"node", "nodes", "member", "members"}},
	{"Task", []string{"task", "tasks"}},
	{"Event", []string{"event", "events"}},
}

// kindOf is the kind that a word means.
func kindOf(word string) (string, error) {
	var known []string
	for _, k := range kinds {
		if slices.Contains(k.words, strings.ToLower(word)) {
			return k.kind, nil
		}
		known = append(known, k.kind)
	}
	return "", &usageError{fmt.Errorf("there is no kind %q: %s", word, strings.Join(known, ", "))}
}

// kindAndNames takes KIND, KIND NAME and KIND/NAME, where NAME may be several
// with commas.
func kindAndNames(cmd *cobra.Command, args []string) error {
	_, _, err := named(args)
	if err != nil {
		return fmt.Errorf("%s %w", cmd.CommandPath(), err)
	}
	return nil
}

// named reads what kindAndNames takes: the word for the kind and the names,
// none where all are meant.
func named(args []string) (word string, names []string, err error) {
	if len(args) == 0 {
		return "", nil, fmt.Errorf("wants a KIND and perhaps a NAME, found nothing")
	}
	word, list, slash := strings.Cut(args[0], "/")
	switch {
	case slash && len(args) > 1:
		return "", nil, fmt.Errorf("wants KIND/NAME alone, found also %q; several names are KIND/a,b", args[1])
	case len(args) > 2:
		return "", nil, fmt.Errorf("wants a KIND and perhaps a NAME, found also %q; several names are KIND a,b", args[2])
	case len(args) == 2:
		list = args[1]
	case !slash:
		return word, nil, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name == "" {
			return "", nil, fmt.Errorf("finds no name in %q, or one too few: write KIND/NAME or KIND a,b", strings.Join(args, " "))
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return word, names, nil
}
