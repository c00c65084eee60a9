package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/fsm"
)

func operationCmd(a *app) *cobra.Command {
	op := &cobra.Command{Use: "operation", Short: "Acts of several steps: deletions of links"}
	op.AddCommand(
		&cobra.Command{
			Use: "ls", Aliases: []string{"list"}, Short: "List operations: those that run, then those that ended last", Args: noArgs,
			RunE: a.nodes.verb(func(ctx context.Context, c *api.Client, _ []string) error {
				l, err := c.Operations(ctx)
				if err != nil {
					return err
				}
				return a.std.write(l, nil, operationTable(l.Items, l.AsOf))
			}),
		},
		&cobra.Command{
			Use: "describe ID", Short: "Show where an operation stands, or how it ended", Args: oneArg("id of an operation"),
			RunE: func(cmd *cobra.Command, args []string) error {
				id, err := strconv.ParseUint(args[0], 10, 64)
				if err != nil {
					return &usageError{fmt.Errorf("%q is no id of an operation; see `sluice operation ls`", args[0])}
				}
				o, err := answer(cmd.Context(), &a.nodes, func(ctx context.Context, c *api.Client) (*api.OperationDetail, error) {
					return c.Operation(ctx, fsm.OperationID(id))
				})
				if err != nil {
					return err
				}
				return a.std.write(o, func(w io.Writer, st style) { operationText(w, st, o) }, operationTable([]api.Operation{o.Operation}, o.AsOf))
			},
		},
	)
	return op
}

func operationTable(ops []api.Operation, now time.Time) *table {
	t := &table{cols: []column{
		{key: "id", head: "ID", right: true}, {key: "kind", head: "KIND"}, {key: "name", head: "NAME", flex: true},
		{key: "state", head: "STATE"}, {key: "step", head: "STEP"}, {key: "since"}, {key: "waits_for"},
		{key: "started", head: "STARTED", wide: true}, {key: "finished", head: "FINISHED", wide: true},
		{key: "by", head: "BY", wide: true}, {key: "message", head: "MESSAGE", flex: true, wrap: true},
	}}
	for _, o := range ops {
		message := o.Message
		if len(o.WaitsFor) > 0 {
			message = "waiting for " + strings.Join(o.WaitsFor, ", ")
		}
		t.add(c(fmt.Sprint(o.ID)), c(string(o.Kind)), c(o.Name), operationState(o), c(string(o.Step)), instant(o.Since, now),
			c(orDash(strings.Join(o.WaitsFor, ","))), instant(o.Started, now), instant(o.Finished, now), c(orDash(o.By)), cell{text: orDash(message), raw: orDash(o.Message)})
	}
	return t
}

func operationState(o api.Operation) cell {
	colors := map[fsm.OperationState]color{fsm.OperationRunning: yellow, fsm.OperationDone: green, fsm.OperationFailed: red}
	return cell{text: string(o.State), color: colors[o.State]}
}

// instant is a moment that may be unknown.
func instant(t *time.Time, now time.Time) cell {
	if t == nil {
		return c("-")
	}
	return moment(*t, now)
}

func operationText(w io.Writer, st style, d *api.OperationDetail) {
	o := d.Operation
	line := func(key, format string, args ...any) { fmt.Fprintf(w, "%-14s %s\n", key, fmt.Sprintf(format, args...)) }
	line("Operation", "%d: %s %s", o.ID, o.Kind, o.Name)
	state := operationState(o)
	line("State", "%s", st.paint(state.color, state.text))
	line("Step", "%s since %s", o.Step, instant(o.Since, d.AsOf).text)
	if len(o.WaitsFor) > 0 {
		line("Waits for", "%s", strings.Join(o.WaitsFor, ", "))
	}
	line("Started", "%s", instant(o.Started, d.AsOf).text)
	line("Finished", "%s", instant(o.Finished, d.AsOf).text)
	line("Asked of", "%s", orDash(o.By))
	for i, part := range wrap(orDash(o.Message), 64) {
		line([]string{"Message", ""}[min(i, 1)], "%s", part)
	}
	line("As of", "%s, %s", d.AsOf.Format("2006-01-02 15:04:05Z"), freshness(d.Meta))
}

// attend waits until an operation has ended and gives how, for a person. When
// the time is up before, or it has failed, that is a bad answer.
func attend(ctx context.Context, a *app, c *api.Client, id fsm.OperationID) (string, error) {
	p := a.std.progress()
	defer p.end()
	said, failed := "", false
	err := poll(ctx, 200*time.Millisecond, func(ctx context.Context) (*api.OperationDetail, error) { return c.Operation(ctx, id) }, func(d *api.OperationDetail, err error) (bool, error) {
		if err != nil {
			return false, nil //nolint:nilerr // another node may answer, or this one again
		}
		o := d.Operation
		if o.State == fsm.OperationRunning {
			p.say("operation %d, %s %s: %s%s", id, o.Kind, o.Name, o.Step, trouble(o))
			return false, nil
		}
		said, failed = fmt.Sprintf("%s (operation %d)", o.Message, id), o.State == fsm.OperationFailed
		return true, nil
	})
	switch {
	case err != nil:
		return "", &badAnswer{fmt.Sprintf("not done yet; see `sluice operation describe %d`", id)}
	case failed:
		return "", &badAnswer{said}
	}
	return said, nil
}

// trouble is what keeps a running operation from going on.
func trouble(o api.Operation) string {
	switch {
	case len(o.WaitsFor) > 0:
		return ", waiting for " + strings.Join(o.WaitsFor, ", ")
	case o.Message != "":
		return ", " + o.Message
	}
	return ""
}
