package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/fsm"
	"sluice/manifest"
	"sluice/words"
)

// files are what a verb that reads objects was given.
type files struct {
	names   []string
	sources []manifest.Source
	objects []manifest.Object
	dryRun  bool
}

// cmd is the verb; do runs once the files have no fault.
func (f *files) cmd(a *app, verb, short string, do func(context.Context) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " -f FILE|DIR|-", Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%s takes no argument, found %q; write -f %s", cmd.CommandPath(), args[0], args[0])
			}
			return nil
		},
		Example: "  sluice " + verb + " -f links.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(f.names) == 0 {
				return &usageError{fmt.Errorf("sluice %s wants -f FILE, -f DIR or -f - for stdin", verb)}
			}
			var err error
			if f.sources, err = readTexts(cmd.Context(), f.names, a.std.Stdin); err != nil {
				return err
			}
			if f.objects, err = manifest.ParseAll(cmd.Context(), f.sources); err != nil { // before anybody is asked
				return inText(err, map[bool]string{false: "nothing was changed"}[verb == "validate"])
			}
			return do(cmd.Context())
		},
	}
	cmd.Flags().StringSliceVarP(&f.names, "file", "f", nil, "file, directory of *.yaml files, or - for stdin")
	return cmd
}

// readTexts reads files and stdin until ctx ends: who types may never end it,
// and a pipe may stay empty. What still reads ends with the process.
func readTexts(ctx context.Context, names []string, stdin io.Reader) ([]manifest.Source, error) {
	type texts struct {
		sources []manifest.Source
		err     error
	}
	read := make(chan texts, 1)
	go func() {
		sources, err := manifest.Read(names, stdin)
		read <- texts{sources, err}
	}()
	select {
	case t := <-read:
		return t.sources, t.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func applyCmd(a *app) *cobra.Command {
	var f files
	cmd := f.cmd(a, "apply", "Make the cluster's objects as the files say", func(ctx context.Context) error {
		_, err := apply(ctx, a, api.ApplyRequest{Sources: f.sources, DryRun: f.dryRun})
		return err
	})
	dryRunFlag(cmd, &f.dryRun)
	return cmd
}

func planCmd(a *app) *cobra.Command {
	var f files
	cmd := f.cmd(a, "plan", "Show what apply would do, after looking at the Kafka clusters; exit 0", func(ctx context.Context) error {
		_, err := apply(ctx, a, api.ApplyRequest{Sources: f.sources, DryRun: true})
		return err
	})
	cmd.Long = `Show what apply would do, and for each link that is new or changes what it
will copy: the topics with their partitions and sizes, what is set at the target
or differs there, what its patterns leave out, rights that lack, and about how
long it takes. It asks both Kafka clusters of each link and changes nothing.

` + "`sluice diff`" + ` shows only what differs from the objects that are there, and asks no
Kafka cluster.`
	return cmd
}

func diffCmd(a *app) *cobra.Command {
	var f files
	return f.cmd(a, "diff", "Show what differs from the cluster's objects; exit 10 if anything does", func(ctx context.Context) error {
		p, err := apply(ctx, a, api.ApplyRequest{Sources: f.sources, DryRun: true, Compare: true})
		if err == nil && changed(p) > 0 {
			err = &badAnswer{}
		}
		return err
	})
}

// apply applies, and shows what it came to.
func apply(ctx context.Context, a *app, r api.ApplyRequest) (*api.Plan, error) {
	p, err := planned(ctx, a, r)
	if err != nil {
		return nil, err
	}
	return p, showPlan(a, p)
}

func planned(ctx context.Context, a *app, r api.ApplyRequest) (*api.Plan, error) {
	return answer(ctx, &a.nodes, func(ctx context.Context, c *api.Client) (*api.Plan, error) { return c.Apply(ctx, r) })
}

// deleteCmd shows first what is there to delete; the deletion expects what was
// shown.
func deleteCmd(a *app) *cobra.Command {
	var f files
	cmd := f.cmd(a, "delete", "Delete the objects in the files; the target keeps its data", func(ctx context.Context) error {
		r := api.ApplyRequest{Sources: f.sources, Delete: true, DryRun: true}
		p, err := planned(ctx, a, r)
		if err != nil {
			return err
		}
		if f.dryRun || changed(p) == 0 {
			return showPlan(a, p)
		}
		var names []string
		for _, x := range p.Changes {
			if x.Action == manifest.ActionDelete {
				names = append(names, string(x.Kind)+" "+x.Name)
			}
			switch {
			case x.Kind == manifest.KindLink:
				r.Expect = append(r.Expect, fsm.Expectation{Link: x.Name, Revision: x.Revision})
			case x.Revision > 0: // else the node may be too old to know it
				r.Expect = append(r.Expect, fsm.Expectation{Kafka: x.Name, Revision: x.Revision})
			}
		}
		if err := a.std.confirm("This deletes %s. Copying stops; the targets keep their data.", strings.Join(names, ", ")); err != nil {
			return err
		}
		r.DryRun = false
		_, err = apply(ctx, a, r)
		return err
	})
	dryRunFlag(cmd, &f.dryRun)
	return cmd
}

func validateCmd(a *app) *cobra.Command {
	var f files
	return f.cmd(a, "validate", "Check files for themselves, without a node", func(ctx context.Context) error {
		// Together with nothing else: what refers to other objects is left to plan.
		p, err := manifest.NewPlan(ctx, withClusters(f.objects), f.objects)
		if err != nil {
			return inText(err, "")
		}
		a.std.note("%s, no fault", words.Count(len(p.Changes), "object"))
		return nil
	})
}

// inText is what an error of reading objects comes to: faults of the text, or
// the end of the caller's patience.
func inText(err error, next string) error {
	if _, ok := errors.AsType[manifest.Errors](err); !ok {
		return err
	}
	return &api.Problem{Code: api.CodeManifest, Detail: err.Error(), Next: next}
}

// withClusters is a View that has the Kafka clusters which the links name and
// the files do not.
func withClusters(objects []manifest.Object) *fsm.View {
	names := map[string]bool{}
	for _, o := range objects {
		if o.Link != nil {
			names[o.Link.Source], names[o.Link.Target] = true, true
		}
	}
	v := *fsm.NewState().View()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		v.Kafka = append(v.Kafka, fsm.KafkaCluster{Name: name})
	}
	return &v
}

func changed(p *api.Plan) int {
	n := 0
	for _, x := range p.Changes {
		if x.Action != manifest.ActionNone {
			n++
		}
	}
	return n
}

func showPlan(a *app, p *api.Plan) error {
	for _, f := range p.Warnings {
		a.std.warn(f)
	}
	return a.std.write(p, func(w io.Writer, st style) { planText(w, st, p) }, changeTable(p.Changes))
}

// planText words each change in the tense that fits.
func planText(w io.Writer, st style, p *api.Plan) {
	mark := map[manifest.Action]string{
		manifest.ActionCreate: st.paint(green, "+"), manifest.ActionUpdate: st.paint(yellow, "~"),
		manifest.ActionDelete: st.paint(red, "-"), manifest.ActionNone: " ",
	}
	for _, x := range p.Changes {
		word := string(x.Action)
		if p.Applied && x.Action != manifest.ActionNone {
			word = strings.TrimSuffix(word, "e") + "ed"
		}
		fmt.Fprintf(w, "%s %s %s %s\n", mark[x.Action], x.Kind, x.Name, word)
		for _, f := range x.Fields {
			fmt.Fprintf(w, "    %s: %s -> %s\n", f.Path, cmp.Or(f.From, "(nothing)"), cmp.Or(f.To, "(nothing)"))
		}
	}
	if !p.Applied {
		for i := range p.Links {
			plannedText(w, st, &p.Links[i])
		}
		if len(p.Links) > 0 {
			fmt.Fprintln(w)
		}
	}
	switch n := changed(p); {
	case n == 0:
		fmt.Fprintln(w, "Nothing to do.")
	case !p.Applied:
		fmt.Fprintf(w, "%s to make; nothing was changed.\n", words.Count(n, "change"))
	default:
		fmt.Fprintf(w, "%s made at index %d.\n", words.Count(n, "change"), p.Index)
	}
}
