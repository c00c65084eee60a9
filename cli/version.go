package cli

import (
	"fmt"
	"io"

	"sluice/fsm"

	"github.com/spf13/cobra"
)

func versionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which build this is", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := VersionInfo{Version: "unknown"}
			if a.local.Version != nil {
				v = a.local.Version()
			}
			v.FeatureLevel = fsm.FeatureLevel
			return a.std.write(v, func(w io.Writer, _ style) {
				fmt.Fprintf(w, "sluice %s", v.Version)
				if v.Commit != "" {
					fmt.Fprintf(w, " (%s, %s)", v.Commit, v.Date)
				}
				fmt.Fprintf(w, " %s, feature level %d\n", v.Go, v.FeatureLevel)
			}, versionTable(v))
		},
	}
}

func versionTable(v VersionInfo) *table {
	t := &table{cols: []column{{key: "version"}, {key: "commit"}, {key: "date"}, {key: "go"}, {key: "featureLevel"}}}
	t.add(c(v.Version), c(v.Commit), c(v.Date), c(v.Go), c(fmt.Sprint(v.FeatureLevel)))
	return t
}
