package main

import (
	"runtime/debug"

	"sluice/cli"
)

// version is set by the linker.
var version = "dev"

// buildInfo reads what the toolchain wrote into the binary.
func buildInfo() cli.VersionInfo {
	v := cli.VersionInfo{Version: version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value[:min(12, len(s.Value))]
		case "vcs.time":
			v.Date = s.Value
		}
	}
	return v
}
