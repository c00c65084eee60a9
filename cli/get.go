package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/manifest"
)

// kindOf is the kind of object that `get` knows, by every word for them.
func kindOf(word string) (string, error) {
	words := map[string][]string{
		"Link": {"link", "links"}, "KafkaCluster": {"kafkacluster", "kafkaclusters", "kafka"},
		"Node": {"node", "nodes", "member", "members"}, "Task": {"task", "tasks"}, "Event": {"event", "events"},
	}
	for kind, names := range words {
		if slices.Contains(names, strings.ToLower(word)) {
			return kind, nil
		}
	}
	return "", &usageError{fmt.Errorf("there is no kind %q: Link, KafkaCluster, Node, Task, Event", word)}
}

func kindAndName(cmd *cobra.Command, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return fmt.Errorf("%s wants a KIND and perhaps a NAME", cmd.CommandPath())
	}
	return nil
}

func getCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "get KIND [NAME]", Short: "Show objects: Link, KafkaCluster, Node, Task, Event", Args: kindAndName,
		Example: "  sluice get links\n  sluice get KafkaCluster us -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := kindOf(args[0])
			if err != nil {
				return err
			}
			name := strings.Join(args[1:], "")
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error { return get(ctx, a, c, kind, name) })
		},
	}
}

func get(ctx context.Context, a *app, c *api.Client, kind, name string) error {
	switch kind {
	case "Link":
		l, err := c.Links(ctx)
		return show(a, l, err, kind, name, func(x api.Link) string { return x.Name }, linkTable)
	case "KafkaCluster":
		l, err := c.KafkaClusters(ctx)
		return show(a, l, err, kind, name, func(x api.KafkaCluster) string { return x.Name }, kafkaTable)
	case "Node":
		l, err := c.Members(ctx)
		return show(a, l, err, kind, name, func(x api.Node) string { return x.Name }, nodeTable)
	case "Event":
		e, err := c.Events(ctx, name, time.Time{}, 1000)
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
	return show(a, &api.List[api.Task]{Meta: s.Meta, Items: s.Tasks}, nil, kind, name, func(x api.Task) string { return fmt.Sprint(x.ID) }, taskTable)
}

// show writes a list, or the one item of it that has the name.
func show[T any](a *app, l *api.List[T], err error, kind, name string, nameOf func(T) string, rows func([]T) *table) error {
	if err != nil {
		return err
	}
	if name != "" {
		l.Items = slices.DeleteFunc(l.Items, func(x T) bool { return nameOf(x) != name })
		if len(l.Items) == 0 {
			return &api.Problem{Code: api.CodeNotFound, Detail: fmt.Sprintf("there is no %s %s", kind, name), Next: "see what there is with `sluice get " + kind + "`"}
		}
	}
	return a.std.write(l, nil, rows(l.Items))
}

func exportCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "export KIND [NAME]", Short: "Write objects as YAML that apply takes: Link, KafkaCluster, all", Args: kindAndName,
		Example: "  sluice export all > objects.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := ""
			if args[0] != "all" {
				k, err := kindOf(args[0])
				if err != nil || k != string(manifest.KindLink) && k != string(manifest.KindKafkaCluster) {
					return &usageError{fmt.Errorf("export knows Link, KafkaCluster and all, not %q", args[0])}
				}
				kind = k
			}
			name := strings.Join(args[1:], "")
			return a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				o, err := c.Export(ctx, kind, name)
				if err != nil {
					return err
				}
				if a.std.format == "json" {
					return a.std.write(o, nil, nil)
				}
				return a.std.put(o.YAML)
			})
		},
	}
}
