package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/hashicorp/raft"

	"sluice/pki"
	"sluice/transport"
)

// Config is what a node must be told; the peer port is transport's.
type Config struct {
	Version      string        // of the program, for the other nodes to show
	Name         string        // the operator's name for the node, unique in the cluster
	Datacenter   string        // empty: unknown
	DataDir      string        // Raft's log and the node's identity; belongs to one process at a time
	HTTP         string        // advertised address of the API, host:port
	Join         []string      // peer addresses asked at the first start; empty: a cluster of its own
	Allow        []string      // names of nodes that may join without a token, beside those that Join lists
	Token        string        // secret with which this node joins; empty: none
	Profile      Profile       // distances between the nodes
	MaxVoters    int           // further nodes carry work without a vote
	PromoteAfter time.Duration // a new node votes after that long in good health
	// DeadVoterAfter is when a voter that is dead loses its vote where the rest
	// bears more without it; 0: a day with ProfileLAN, else never. Negative: never.
	DeadVoterAfter time.Duration
	Certificates   func() []pki.Held // that this node uses, for the other nodes to show; nil: it does not tell
	Wall           func() time.Time
	Fatal          func(error) // ends the process when the disk hangs and nothing can be ended cleanly
	hooks          hooks
}

// hooks are set by this package's tests only.
type hooks struct {
	store  func(raft.LogStore) raft.LogStore       // wraps the log store, to make a disk fail
	stable func(raft.StableStore) raft.StableStore // wraps that of Raft's term and vote, likewise
	fsm    func(raft.FSM) raft.FSM                 // wraps the machine, to let it lag
	timing func(*timing)
	level  uint32 // feature level that a node says it knows, 0: its own
}

// Profile is a preset of timings.
type Profile string

// The profiles: nodes in one region, or with round trips up to 300 ms.
const (
	ProfileLAN Profile = "lan"
	ProfileWAN Profile = "wan"
)

// DeadAfter is T: a node that is silent for so long is dead, and a leader's
// confirmation older than that is none. So whoever owns a task is done with it,
// or does not write without asking, when another node begins it.
func (p Profile) DeadAfter() time.Duration { return p.timing().dead }

// timing holds the durations that a profile sets.
type timing struct {
	heartbeat time.Duration // Raft: a follower stands for election after that
	lease     time.Duration // Raft: a leader without a quorum steps down after that
	rpc       time.Duration // one call between nodes
	silent    time.Duration // a node not heard for so long gets no new tasks
	dead      time.Duration // T
	propose   time.Duration // a proposal, with all forwarding
	disk      time.Duration // a canary write that takes longer ends the process
}

func (p Profile) timing() timing {
	t := timing{
		heartbeat: time.Second, lease: 500 * time.Millisecond, rpc: 2 * time.Second,
		silent: 1800 * time.Millisecond, dead: 3 * time.Second, propose: 10 * time.Second, disk: 15 * time.Second,
	}
	if p == ProfileWAN {
		t.heartbeat, t.lease, t.rpc = 2*time.Second, time.Second, 5*time.Second
		t.silent, t.dead, t.propose, t.disk = 4*time.Second, 10*time.Second, 20*time.Second, 30*time.Second
	}
	return t
}

// When votes of the dead are taken, where the nodes are near each other: between
// regions a long cut is no death.
const (
	spareAfter     = 5 * time.Minute // another member takes its place
	deadVoterAfter = 24 * time.Hour  // nobody does
)

// suffrage says how a leader gives and takes votes.
func (c *Config) suffrage() suffrage {
	s := suffrage{most: c.MaxVoters, after: c.PromoteAfter, forsake: c.DeadVoterAfter}
	if s.forsake == 0 && c.Profile == ProfileLAN {
		s.forsake = deadVoterAfter
	}
	s.forsake = max(s.forsake, 0)
	s.replace = min(s.forsake, spareAfter)
	return s
}

// settleAfter is how long a node listens before it takes a refusal or the lack
// of one for true: a report of its own former life may be that old.
func (t timing) settleAfter() time.Duration { return t.dead + t.silent }

// DefaultConfig returns the values that Validate fills in.
func DefaultConfig() Config {
	return Config{Profile: ProfileLAN, MaxVoters: 7, PromoteAfter: 10 * time.Second, Wall: wallClock, Fatal: exit}
}

// wallClock reads the wall clock without Go's monotonic reading.
func wallClock() time.Time { return time.Now().Round(0) }

func exit(err error) {
	fmt.Fprintln(os.Stderr, "fatal:", err)
	os.Exit(1)
}

// Validate fills defaults and reports every mistake at once.
func (c *Config) Validate() error {
	d := DefaultConfig()
	c.Profile, c.MaxVoters, c.PromoteAfter = cmp.Or(c.Profile, d.Profile), cmp.Or(c.MaxVoters, d.MaxVoters), cmp.Or(c.PromoteAfter, d.PromoteAfter)
	if c.Wall == nil {
		c.Wall = d.Wall
	}
	if c.Certificates == nil {
		c.Certificates = func() []pki.Held { return nil }
	}
	if c.Fatal == nil {
		c.Fatal = d.Fatal
	}
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("a node needs a name"))
	}
	if c.DataDir == "" {
		errs = append(errs, errors.New("a node needs a data dir"))
	}
	if c.Profile != ProfileLAN && c.Profile != ProfileWAN {
		errs = append(errs, fmt.Errorf("profile %q is neither lan nor wan", c.Profile))
	}
	if c.MaxVoters < 1 || c.MaxVoters > 7 {
		errs = append(errs, fmt.Errorf("max voters %d is not between 1 and 7", c.MaxVoters))
	}
	return errors.Join(errs...)
}

// local is what every part may know: what this node was told, who it is, and
// where it logs. Nothing of it ever changes.
type local struct {
	cfg  Config
	t    timing
	self transport.Identity
	log  *slog.Logger

	began time.Time // of this process
}

// nowMillis is the wall clock.
func (l *local) nowMillis() int64 { return l.cfg.Wall().UnixMilli() }
