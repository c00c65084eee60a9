package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/fsm"
	"sluice/manifest"
)

// manifestCmds are the verbs that read objects.
func (a *app) manifestCmds() []*cobra.Command {
	return []*cobra.Command{
		a.manifestCmd("apply", "Make the cluster's objects as the files say", true, a.apply),
		a.manifestCmd("plan", "Show what apply would do, after looking at the Kafka clusters; exit 0", false, a.plan),
		a.manifestCmd("diff", "Show what differs; exit 10 if anything does", false, a.diff),
		a.manifestCmd("delete", "Delete the objects in the files; the target keeps its data", true, a.deleteObjects),
		a.manifestCmd("validate", "Check files for themselves, without a node", false, a.validate),
	}
}

// manifestInput is what such a verb was given.
type manifestInput struct {
	sources []manifest.Source
	dryRun  bool
}

func (a *app) manifestCmd(verb, short string, changes bool, do func(context.Context, manifestInput) error) *cobra.Command {
	var files []string
	var in manifestInput
	cmd := &cobra.Command{
		Use: verb + " -f FILE|DIR|-", Short: short, Args: noArgs,
		Example: "  sluice " + verb + " -f links.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return &usageError{fmt.Errorf("sluice %s wants -f FILE, -f DIR or -f - for stdin", verb)}
			}
			var err error
			if in.sources, err = manifest.Read(files, a.env.Stdin); err != nil {
				return err
			}
			if _, err := manifest.ParseAll(in.sources); err != nil { // before anybody is asked
				return &api.Problem{Code: api.CodeManifest, Detail: err.Error(), Next: "nothing was changed"}
			}
			return do(cmd.Context(), in)
		},
	}
	cmd.Flags().StringSliceVarP(&files, "file", "f", nil, "file, directory of *.yaml files, or - for stdin")
	if changes {
		cmd.Flags().BoolVar(&in.dryRun, "dry-run", false, "show what would be done, and do nothing")
	}
	return cmd
}

func (a *app) apply(ctx context.Context, in manifestInput) error {
	return a.withClient(ctx, func(ctx context.Context, c *api.Client) error {
		p, err := c.Apply(ctx, api.ApplyRequest{Sources: in.sources, DryRun: in.dryRun})
		if err != nil {
			return err
		}
		return a.showPlan(p)
	})
}

func (a *app) plan(ctx context.Context, in manifestInput) error {
	in.dryRun = true
	return a.apply(ctx, in)
}

func (a *app) diff(ctx context.Context, in manifestInput) error {
	return a.withClient(ctx, func(ctx context.Context, c *api.Client) error {
		p, err := c.Apply(ctx, api.ApplyRequest{Sources: in.sources, DryRun: true})
		if err != nil {
			return err
		}
		if err := a.showPlan(p); err != nil {
			return err
		}
		if changed(p) > 0 {
			return &badAnswer{}
		}
		return nil
	})
}

// deleteObjects shows first what is there to delete; the deletion expects
// what was shown.
func (a *app) deleteObjects(ctx context.Context, in manifestInput) error {
	var p *api.Plan
	r := api.ApplyRequest{Sources: in.sources, Delete: true, DryRun: true}
	err := a.withClient(ctx, func(ctx context.Context, c *api.Client) (err error) {
		p, err = c.Apply(ctx, r)
		return err
	})
	if err != nil || in.dryRun || changed(p) == 0 {
		if err == nil {
			err = a.showPlan(p)
		}
		return err
	}
	var names []string
	for _, x := range p.Changes {
		if x.Action == manifest.ActionDelete {
			names = append(names, string(x.Kind)+" "+x.Name)
		}
		if x.Kind == manifest.KindLink {
			r.Expect = append(r.Expect, fsm.Expectation{Link: x.Name, Revision: x.Revision})
		}
	}
	if err := a.ask("This deletes %s. Copying stops; the targets keep their data.", strings.Join(names, ", ")); err != nil {
		return err
	}
	r.DryRun = false
	return a.withClient(ctx, func(ctx context.Context, c *api.Client) error {
		p, err := c.Apply(ctx, r)
		if err != nil {
			return err
		}
		return a.showPlan(p)
	})
}

func (a *app) validate(_ context.Context, in manifestInput) error {
	objects, err := manifest.ParseAll(in.sources)
	if err != nil {
		return err
	}
	// Together with nothing else: what refers to other objects is left to plan.
	p, err := manifest.NewPlan(withClusters(objects), objects)
	if err != nil {
		return &api.Problem{Code: api.CodeManifest, Detail: err.Error()}
	}
	a.note("%s, no fault", plural(len(p.Changes), "object"))
	return nil
}

// withClusters is a View that has the Kafka clusters which the links name and
// the files do not.
func withClusters(objects []manifest.Object) *fsm.View {
	v := *fsm.NewState().View()
	add := func(name string) {
		if v.KafkaCluster(name) == nil {
			v.Kafka = append(v.Kafka, fsm.KafkaCluster{Name: name})
			sortKafka(v.Kafka)
		}
	}
	for _, o := range objects {
		if o.Link != nil {
			add(o.Link.Source)
			add(o.Link.Target)
		}
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

func (a *app) showPlan(p *api.Plan) error {
	for _, f := range p.Warnings {
		a.note("%s %s", a.paintSide(yellow, "warning:"), f)
	}
	return a.write(p, func(w io.Writer) { a.planText(w, p) }, changeTable(p.Changes))
}

// planText words each change in the tense that fits.
func (a *app) planText(w io.Writer, p *api.Plan) {
	mark := map[manifest.Action]string{
		manifest.ActionCreate: a.paint(green, "+"), manifest.ActionUpdate: a.paint(yellow, "~"),
		manifest.ActionDelete: a.paint(red, "-"), manifest.ActionNone: " ",
	}
	for _, x := range p.Changes {
		word := string(x.Action)
		if p.Applied && x.Action != manifest.ActionNone {
			word = strings.TrimSuffix(word, "e") + "ed"
		}
		fmt.Fprintf(w, "%s %s %s %s\n", mark[x.Action], x.Kind, x.Name, word)
		for _, f := range x.Fields {
			fmt.Fprintf(w, "    %s: %s -> %s\n", f.Path, quoted(f.From), quoted(f.To))
		}
	}
	switch n := changed(p); {
	case n == 0:
		fmt.Fprintln(w, "Nothing to do.")
	case !p.Applied:
		fmt.Fprintf(w, "%s to make; nothing was changed.\n", plural(n, "change"))
	default:
		fmt.Fprintf(w, "%s made at index %d.\n", plural(n, "change"), p.Index)
	}
}

func quoted(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}
