package cli

import (
	"context"

	"github.com/spf13/cobra"

	"sluice/api"
)

func pauseCmd(a *app) *cobra.Command {
	ch := linkChange{what: "pause", done: "is paused", wait: true}
	ch.do = func(ctx context.Context, c *api.Client, link string) (*api.Ack, error) { return c.Pause(ctx, link) }
	return ch.cmd(a, "Stop copying; done when every owner has confirmed")
}

func resumeCmd(a *app) *cobra.Command {
	ch := linkChange{what: "resume", done: "is running", wait: true}
	ch.do = func(ctx context.Context, c *api.Client, link string) (*api.Ack, error) { return c.Resume(ctx, link) }
	return ch.cmd(a, "Go on copying where it was paused; done when every owner has confirmed")
}

func deleteLinkCmd(a *app) *cobra.Command {
	ch := linkChange{what: "delete", done: "is deleted; the target keeps its data", wait: true, ask: "Copying stops for good; the target keeps its data."}
	ch.do = func(ctx context.Context, c *api.Client, link string) (*api.Ack, error) {
		return c.DeleteLink(ctx, link)
	}
	return ch.cmd(a, "Delete a link; the target keeps its data")
}
