package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/api"
	"sluice/fsm"
	"sluice/words"
)

func snapshotCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "snapshot", Short: "Save what the Sluice cluster knows, and make a cluster of it again"}
	cmd.AddCommand(saveCmd(a), inspectCmd(a))
	if a.local.Rescue != nil {
		cmd.AddCommand(restoreCmd(a))
	}
	return cmd
}

func saveCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "save FILE", Short: "Save objects and positions into a file, as of now", Args: oneFile,
		Long: `Saves what the Sluice cluster knows (nodes, Kafka clusters, links, positions,
events), as a leader confirms it now, into a file that only you can read. It
holds no records of Kafka and no secrets, only references to them.`,
		Example: "  sluice cluster snapshot save sluice.backup",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.std.noTable(); err != nil {
				return err
			}
			err := a.nodes.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error { return save(ctx, c, args[0]) })
			if err != nil {
				return err
			}
			s, err := readSnapshot(args[0])
			if err != nil {
				return err
			}
			return a.std.say(s, "%s holds the facts of the Sluice cluster %s as of index %d: %s, %s", args[0], s.ClusterID, s.Index,
				words.Count(len(s.Links), "link"), words.Count(s.Streams, "stream"))
		},
	}
}

// save writes the file beside its place first, and puts it there once it is
// whole.
func save(ctx context.Context, c *api.Client, path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = errors.New("there is a file of that name already; name another one")
		}
		return fmt.Errorf("saving into %s: %w", path, err)
	}
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("saving into %s: %w", path, err)
	}
	w := bufio.NewWriter(f)
	err = api.SaveSnapshot(ctx, c, w)
	if err = errors.Join(err, w.Flush(), f.Sync(), f.Close()); err == nil {
		if _, err = readSnapshot(part); err == nil {
			err = os.Rename(part, path)
		}
	}
	if err != nil {
		_ = os.Remove(part) // best effort: the error counts
	}
	return err
}

func inspectCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "inspect FILE", Short: "Check a saved snapshot, and show what is in it", Args: oneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := readSnapshot(args[0])
			if err != nil {
				return err
			}
			t := &table{cols: []column{{key: "link"}, {key: "source"}, {key: "target"}, {key: "state"}, {key: "streams"}, {key: "stopped"}}}
			for _, l := range s.Links {
				t.add(c(l.Name), c(l.Source), c(l.Target), c(l.State), c(fmt.Sprint(l.Streams)), c(fmt.Sprint(l.Stopped)))
			}
			return a.std.write(s, func(w io.Writer, st style) { snapshotText(w, st, s) }, t)
		},
	}
}

func restoreCmd(a *app) *cobra.Command {
	var config string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Make this machine's node a Sluice cluster of its own, with the facts of a snapshot", Args: oneFile,
		Long: `The node of node.yaml, whose data dir is empty, becomes the only one of a new
Sluice cluster, with the objects and positions of the snapshot.

Nothing is copied until each link is adopted (sluice link adopt LINK): what was
copied after the snapshot is then found in the logs.`,
		Example: "  sluice cluster snapshot restore sluice.backup -c node.yaml",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.std.noTable(); err != nil {
				return err
			}
			s, err := readSnapshot(args[0])
			if err != nil {
				return err
			}
			if dryRun {
				return a.std.write(s, func(w io.Writer, st style) { snapshotText(w, st, s) }, nil)
			}
			if err := a.std.confirm("The node of %s becomes the only one of a new Sluice cluster, with the facts of %s as of %s. No node of that Sluice cluster may run.", config, s.ClusterID, s.SavedAt.Format("2006-01-02 15:04:05Z")); err != nil {
				return err
			}
			r, err := a.local.Rescue.Restore(config, args[0])
			if err != nil {
				return err
			}
			return a.std.say(r.Meta(), "node %s is the Sluice cluster %s now, with the facts as of index %d\n%s", r.Node, r.ClusterID, r.Index, rescuedNext)
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "node.yaml", "configuration of the node")
	dryRunFlag(cmd, &dryRun)
	return cmd
}

// snapshotInfo is what a saved snapshot holds.
type snapshotInfo struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	ClusterID  string         `json:"clusterId"`
	Index      uint64         `json:"index"`
	SavedAt    time.Time      `json:"savedAt"`
	SavedBy    string         `json:"savedBy"` // node
	Version    string         `json:"version"` // of that node
	Feature    uint32         `json:"feature"`
	Nodes      []string       `json:"nodes"`
	Kafka      []string       `json:"kafkaClusters"`
	Links      []snapshotLink `json:"links"`
	Streams    int            `json:"streams"`
}

type snapshotLink struct {
	Name    string `json:"name"`
	Source  string `json:"source"`
	Target  string `json:"target"`
	State   string `json:"state"`
	Streams int    `json:"streams"`
	Stopped int    `json:"stopped"`
}

// readSnapshot reads and verifies a saved snapshot.
func readSnapshot(path string) (*snapshotInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the snapshot: %w", err)
	}
	defer f.Close()
	head, state, err := fsm.ReadBackup(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	v := state.View()
	s := &snapshotInfo{
		APIVersion: api.Version, Kind: "Snapshot", ClusterID: head.ClusterID, Index: head.Index, SavedAt: time.UnixMilli(head.SavedAt).UTC(),
		SavedBy: head.Node, Version: head.Version, Feature: v.Feature, Nodes: []string{}, Kafka: []string{}, Links: []snapshotLink{},
	}
	for _, n := range v.Nodes {
		s.Nodes = append(s.Nodes, n.Name)
	}
	for _, k := range v.Kafka {
		s.Kafka = append(s.Kafka, k.Name)
	}
	at := map[fsm.LinkID]int{}
	for i, l := range v.Links {
		at[l.ID] = i
		s.Links = append(s.Links, snapshotLink{Name: l.Spec.Name, Source: l.Spec.Source, Target: l.Spec.Target, State: l.Spec.State})
	}
	for t := range v.Tasks {
		if t.Copy == nil {
			continue
		}
		s.Streams++
		if i, ok := at[t.Link]; ok {
			s.Links[i].Streams++
			if t.Copy.Stop != nil {
				s.Links[i].Stopped++
			}
		}
	}
	return s, nil
}

func snapshotText(w io.Writer, _ style, s *snapshotInfo) {
	line := func(key, format string, args ...any) { fmt.Fprintf(w, "%-14s %s\n", key, fmt.Sprintf(format, args...)) }
	line("Cluster", "%s", s.ClusterID)
	line("Index", "%d, feature level %d", s.Index, s.Feature)
	line("Saved", "%s by node %s (sluice %s)", s.SavedAt.Format("2006-01-02 15:04:05Z"), s.SavedBy, s.Version)
	line("Nodes", "%s", strings.Join(s.Nodes, ", "))
	line("Kafka", "%s", strings.Join(s.Kafka, ", "))
	for _, l := range s.Links {
		line("Link", "%s: %s -> %s, %s, %s, %d stopped", l.Name, l.Source, l.Target, l.State, words.Count(l.Streams, "stream"), l.Stopped)
	}
}
