package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/transport"
)

// Pace of finding a cluster.
const (
	askEvery    = 500 * time.Millisecond
	askLogEvery = 15 * time.Second // what is missing is logged that often
	// causeLogEvery is how often the log says why, of each peer.
	causeLogEvery = time.Minute
)

// introduction is what a node that belongs to no cluster yet asks of every
// join peer, and the answer.
type introduction struct {
	ServerID  string   `json:"serverId"`
	Name      string   `json:"name"`
	Address   string   `json:"address"`
	ClusterID string   `json:"clusterId,omitempty"`
	Join      []string `json:"join,omitempty"` // whom else it asks
}

// pathWhoami takes an introduction.
const pathWhoami = "/whoami"

// founder finds the cluster that this node belongs to, or founds it, once,
// before anything else runs; it answers to others as long as the node runs.
// Whoever has asked this node counts as a peer: of two that ask each other at
// most one can find all of the others without a cluster and itself the lowest.
type founder struct {
	*local
	calls *transport.Client
	save  func(Identity) error // makes an identity last

	mu       sync.Mutex // held over save
	identity Identity
	peers    map[string]bool // whom to ask: the join list, what peers' lists add, and who asked; never self
	waits    []string        // for what, in sentences; empty: for nothing
	said     map[string]time.Time
}

func newFounder(l *local, calls *transport.Client, identity Identity, save func(Identity) error) *founder {
	f := &founder{local: l, calls: calls, identity: identity, save: save, peers: map[string]bool{}, said: map[string]time.Time{}}
	f.learn(l.cfg.Join)
	return f
}

// learn adds peers.
func (f *founder) learn(addresses []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range addresses {
		if a != f.self.Advertise {
			f.peers[a] = true
		}
	}
}

func (f *founder) introduce() introduction {
	f.mu.Lock()
	defer f.mu.Unlock()
	return introduction{
		ServerID: f.self.ServerID, Name: f.cfg.Name, Address: f.self.Advertise, ClusterID: f.identity.ClusterID, Join: f.cfg.Join,
	}
}

// handleWhoami tells a peer who this node is. An asker that has no cluster
// either is remembered: this node waits for it before it founds one.
func (f *founder) handleWhoami(_ context.Context, from introduction) (introduction, error) {
	if from.ClusterID == "" && from.ServerID != f.self.ServerID {
		f.learn([]string{from.Address})
	}
	return f.introduce(), nil
}

// establish returns this node's identity in the cluster that it belongs to.
// Before there is one, every peer is asked, and only if each has answered and
// none has a cluster does the one with the lowest name begin one. With nobody
// to ask it begins its own.
func (f *founder) establish(ctx context.Context) (Identity, error) {
	var logged time.Time
	for {
		f.mu.Lock()
		id, asked := f.identity, slices.Sorted(maps.Keys(f.peers))
		f.mu.Unlock()
		if id.ClusterID != "" {
			f.await(nil)
			return id, nil
		}
		r := f.askAll(ctx, asked)
		f.await(r.obstacles(f.local))
		for _, a := range r.answers {
			if a.ClusterID != "" {
				f.log.Info("found the cluster", "cluster", a.ClusterID, "through", a.Name)
				return f.adopt(a.ClusterID)
			}
			f.learn(a.Join)
		}
		if len(r.failed)+len(r.clones)+len(r.named(f.cfg.Name)) == 0 && lowest(f.introduce(), r.answers) {
			id, founded, err := f.found(asked)
			if err != nil || founded {
				f.log.Info("founding a cluster", "cluster", id.ClusterID, "peers", len(r.answers))
				return id, err
			}
		}
		f.sayFailed(r)
		if time.Since(logged) > askLogEvery {
			logged = time.Now()
			f.log.Info("no cluster yet: every join peer must answer before one is founded", "missing", slices.Sorted(maps.Keys(r.failed)), "answered", len(r.answers))
		}
		if err := sleep(ctx, askEvery); err != nil {
			return id, err
		}
	}
}

// await notes what this node waits for; nothing: it does not wait any more.
func (f *founder) await(what []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waits = what
}

// waiting is what await noted last.
func (f *founder) waiting() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waits
}

// sayFailed logs what each peer keeps this node from, once in a minute. Of
// certificates the transport tells.
func (f *founder) sayFailed(r round) {
	maySay := func(address string) bool {
		ok := time.Since(f.said[address]) >= causeLogEvery
		if ok {
			f.said[address] = time.Now()
		}
		return ok
	}
	for address, err := range r.failed {
		if _, told := errors.AsType[*transport.CertificateError](err); !told && maySay(address) {
			f.log.Warn("a join peer does not answer", "address", address, "error", err)
		}
	}
	for _, address := range r.clones {
		if maySay(address) {
			f.log.Warn("a join peer has the identity of this node: the data dir of one is a copy of the other's", "address", address)
		}
	}
	for _, address := range r.named(f.cfg.Name) {
		if maySay(address) {
			f.log.Warn("a join peer has the name of this node: give one of the two another name in its node.yaml", "address", address, "name", f.cfg.Name)
		}
	}
}

// round is what came of asking all peers once.
type round struct {
	answers []introduction
	failed  map[string]error // by address
	clones  []string         // addresses of other nodes that show this one's identity
}

// named lists the addresses of the other nodes that have a name. Two founders
// of one name are one too many, and neither knows which.
func (r round) named(name string) []string {
	var out []string
	for _, a := range r.answers {
		if a.Name == name {
			out = append(out, a.Address)
		}
	}
	slices.Sort(out)
	return out
}

// obstacles are in the way of a cluster, in sentences for a person.
func (r round) obstacles(l *local) []string {
	var out []string
	for _, address := range slices.Sorted(maps.Keys(r.failed)) {
		out = append(out, "every join peer must answer before a cluster is founded: "+transport.Explain(address, r.failed[address]))
	}
	for _, address := range r.named(l.cfg.Name) {
		out = append(out, fmt.Sprintf("no cluster is founded while %s has the name %s too: give one of the two another name in its node.yaml", address, l.cfg.Name))
	}
	for _, address := range slices.Sorted(slices.Values(r.clones)) {
		out = append(out, fmt.Sprintf("no cluster is founded while %s has the identity of this node: the data dir of one is a copy of the other's; stop this one, remove %s and start it again",
			address, filepath.Join(l.cfg.DataDir, identityFile)))
	}
	return out
}

// lowest says whether self founds: its name, or at equal names its ServerID,
// is before all others.
func lowest(self introduction, answers []introduction) bool {
	for _, a := range answers {
		if cmp.Or(strings.Compare(a.Name, self.Name), strings.Compare(a.ServerID, self.ServerID)) < 0 {
			return false
		}
	}
	return true
}

// askAll asks all at once. An address that turns out to be this node itself
// counts as answered.
func (f *founder) askAll(ctx context.Context, addresses []string) round {
	r := round{failed: map[string]error{}}
	var mu sync.Mutex
	var group errgroup.Group
	ctx, cancel := context.WithTimeout(ctx, f.t.rpc)
	defer cancel()
	for _, address := range addresses {
		group.Go(func() error {
			var a introduction
			err := f.calls.Call(ctx, transport.Target{Address: address}, pathWhoami, f.introduce(), &a)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				r.failed[address] = err
			case a.ServerID != f.self.ServerID:
				r.answers = append(r.answers, a)
			case a.Address != f.self.Advertise:
				r.clones = append(r.clones, a.Address)
			}
			return nil
		})
	}
	_ = group.Wait()
	return r
}

// found makes this node the founder, unless there are peers by now that were
// not among those asked.
func (f *founder) found(asked []string) (Identity, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for a := range f.peers {
		if !slices.Contains(asked, a) {
			return f.identity, false, nil
		}
	}
	id := f.identity
	id.ClusterID, id.Bootstrap, id.Address = strings.ToLower(rand.Text()), true, f.self.Advertise
	err := f.set(id)
	return f.identity, err == nil, err
}

// adopt makes this node belong to a cluster that exists.
func (f *founder) adopt(clusterID string) (Identity, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.identity
	id.ClusterID, id.Address = clusterID, f.self.Advertise
	return id, f.set(id)
}

// begun notes that Raft's log is there; a cluster is begun only once.
func (f *founder) begun() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.identity
	if id.Log && !id.Bootstrap {
		return nil
	}
	id.Log, id.Bootstrap = true, false
	return f.set(id)
}

// keep makes last who belongs to the cluster.
func (f *founder) keep(m members) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.identity
	id.Members = &m
	return f.set(id)
}

// set takes an identity once it is saved. The caller holds mu.
func (f *founder) set(id Identity) error {
	err := f.save(id)
	if err == nil {
		f.identity = id
	}
	return err
}
