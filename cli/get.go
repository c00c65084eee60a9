package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/manifest"
)

func getCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "get KIND [NAME[,NAME]]", Short: "Show objects: Link, KafkaCluster, Node, Task, Event", Args: kindAndNames,
		Long: `Show objects: Link, KafkaCluster, Node, Task, Event. KIND NAME and KIND/NAME mean
the same; several names stand with commas. The name of a Task is its id, that of
an Event its link.

With -o yaml links and Kafka clusters are written as apply takes them; with
-o json as they are now, with all figures.`,
		Example: "  sluice get links\n  sluice get link/us-eu\n  sluice get KafkaCluster us,eu -o yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			word, names, err := named(args)
			if err != nil {
				return err
			}
			kind, err := kindOf(word)
			if err != nil {
				return err
			}
			if kind == "Event" && len(names) > 1 {
				return &usageError{errors.New("events are of one link, or of all: `sluice get events LINK`")}
			}
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				if a.std.format == "yaml" && applicable(kind) {
					return export(ctx, a, c, kind, names)
				}
				return get(ctx, a, c, kind, names...)
			})
		},
	}
}

// applicable reports whether apply takes objects of the kind.
func applicable(kind string) bool {
	return kind == string(manifest.KindLink) || kind == string(manifest.KindKafkaCluster)
}

func get(ctx context.Context, a *app, c *api.Client, kind string, names ...string) error {
	switch kind {
	case "Link":
		l, err := c.Links(ctx)
		return show(a, l, err, kind, names, func(x api.Link) string { return x.Name }, linkTable)
	case "KafkaCluster":
		l, err := c.KafkaClusters(ctx)
		return show(a, l, err, kind, names, func(x api.KafkaCluster) string { return x.Name }, kafkaTable)
	case "Node":
		l, err := c.Members(ctx)
		return show(a, l, err, kind, names, func(x api.Node) string { return x.Name }, memberTable)
	case "Event":
		e, err := c.Events(ctx, strings.Join(names, ""), time.Time{}, 1000)
		if err != nil {
			return err
		}
		return a.std.write(e, nil, eventTable(e.Items, e.AsOf))
	}
	s, err := c.Status(ctx, 100_000, 0)
	if err != nil {
		return err
	}
	s.Meta.Kind = "TaskList"
	return show(a, &api.List[api.Task]{Meta: s.Meta, Items: s.Tasks}, nil, kind, names, func(x api.Task) string { return fmt.Sprint(x.ID) }, taskTable)
}

// show writes a list, or the items of it that have the names.
func show[T any](a *app, l *api.List[T], err error, kind string, names []string, nameOf func(T) string, rows func([]T) *table) error {
	if err != nil {
		return err
	}
	if len(names) > 0 {
		l.Items = slices.DeleteFunc(l.Items, func(x T) bool { return !slices.Contains(names, nameOf(x)) })
		missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return slices.ContainsFunc(l.Items, func(x T) bool { return nameOf(x) == name })
		})
		if len(missing) > 0 {
			return &api.Problem{Code: api.CodeNotFound, Detail: fmt.Sprintf("there is no %s %s", kind, strings.Join(missing, ", ")), Next: "see what there is with `sluice get " + kind + "`"}
		}
	}
	return a.std.write(l, nil, rows(l.Items))
}

func exportCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "export KIND [NAME[,NAME]]", Short: "Write objects as YAML that apply takes: Link, KafkaCluster, all", Args: kindAndNames,
		Example: "  sluice export all > objects.yaml\n  sluice export link/us-eu",
		RunE: func(cmd *cobra.Command, args []string) error {
			word, names, err := named(args)
			if err != nil {
				return err
			}
			kind := ""
			if word != "all" {
				if kind, err = kindOf(word); err != nil || !applicable(kind) {
					return &usageError{fmt.Errorf("export knows Link, KafkaCluster and all, not %q", word)}
				}
			}
			if err := a.std.noTable(); err != nil {
				return err
			}
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error { return export(ctx, a, c, kind, names) })
		},
	}
}

// export writes objects as a manifest: all of the kind, or those named.
func export(ctx context.Context, a *app, c *api.Client, kind string, names []string) error {
	if len(names) == 0 {
		names = []string{""}
	}
	var all api.Objects
	for i, name := range names {
		o, err := c.Export(ctx, kind, name)
		if err != nil {
			return err
		}
		all.Meta = o.Meta
		if i > 0 {
			all.YAML += "---\n"
		}
		all.YAML += o.YAML
	}
	if a.std.format == "json" {
		return a.std.write(all, nil, nil)
	}
	return a.std.put(all.YAML)
}
