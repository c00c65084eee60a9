package cluster

import (
	"log/slog"

	"sluice/transport"
)

// local is what every part may know: what this node was told, who it is, and
// where it logs. Nothing of it ever changes.
type local struct {
	cfg  Config
	t    timing
	self transport.Identity
	log  *slog.Logger
}

// nowMillis is the wall clock.
func (l *local) nowMillis() int64 { return l.cfg.Wall().UnixMilli() }
