package task

import "sluice/fsm"

// Draw is what one node fetches of a link that has a limit. The nodes tell each
// other every second, and divide the limit by it.
type Draw struct {
	Rate    int64 `json:"rate"`    // bytes/s
	Limited bool  `json:"limited"` // it would have fetched more
}

// Draws are those of a node, of all links that have a limit and of which it
// runs streams.
type Draws map[fsm.LinkID]Draw
