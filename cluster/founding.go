package cluster

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
)

// founding is the decision who begins a cluster that does not exist yet. Whoever has
// asked this node counts as a peer: of two that ask each other at most one can
// find all of the others without a cluster and itself the lowest.
type founding struct {
	save func(Identity) error // makes an identity last

	mu       sync.Mutex // held over save
	identity Identity
	asked    map[string]string // address -> name of those who asked this node
}

// answer tells a peer who this node is. An asker that has no cluster either is
// remembered: this node waits for it before it founds one.
func (f *founding) answer(from introduction, self introduction) introduction {
	f.mu.Lock()
	defer f.mu.Unlock()
	if from.ClusterID == "" && from.ServerID != self.ServerID {
		f.asked[from.Address] = from.Name
	}
	self.ClusterID = f.identity.ClusterID
	return self
}

// addresses lists whom to ask: the join list, what peers' lists add, and who
// asked; never self.
func (f *founding) addresses(join []string, more map[string]bool, self string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := map[string]bool{}
	for _, a := range join {
		set[a] = true
	}
	for a := range more {
		set[a] = true
	}
	for a := range f.asked {
		set[a] = true
	}
	delete(set, self)
	return slices.Sorted(maps.Keys(set))
}

// found makes this node the founder, unless somebody asked meanwhile that was
// not among those considered.
func (f *founding) found(considered []string) (Identity, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for a := range f.asked {
		if !slices.Contains(considered, a) {
			return f.identity, false, nil
		}
	}
	id := f.identity
	id.ClusterID, id.Bootstrap = strings.ToLower(rand.Text()), true
	if err := f.set(id); err != nil {
		return f.identity, false, err
	}
	return id, true, nil
}

// adopt makes this node belong to a cluster that exists.
func (f *founding) adopt(clusterID string) (Identity, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.identity
	id.ClusterID = clusterID
	return id, f.set(id)
}

// begun notes that Raft's log is there; a cluster is begun only once.
func (f *founding) begun() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.identity
	if id.Log && !id.Bootstrap {
		return nil
	}
	id.Log, id.Bootstrap = true, false
	return f.set(id)
}

// set takes an identity once it is saved. The caller holds mu.
func (f *founding) set(id Identity) error {
	if err := f.save(id); err != nil {
		return err
	}
	f.identity = id
	return nil
}
