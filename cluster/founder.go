package cluster

import (
	"cmp"
	"context"
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

// founder finds the cluster that this node belongs to, or founds it, once,
// before anything else runs; it answers to others as long as the node runs.
type founder struct {
	*local
	calls *transport.Client
	founding
}

func newFounder(l *local, tr *transport.Transport, calls *transport.Client, identity Identity) *founder {
	return &founder{local: l, calls: calls, founding: founding{
		identity: identity, asked: map[string]string{},
		save: func(id Identity) error {
			if err := saveIdentity(l.cfg.DataDir, id); err != nil {
				return err
			}
			tr.SetClusterID(id.ClusterID) // peers see it from now on
			return nil
		},
	}}
}

func (f *founder) introduce() introduction {
	return introduction{ServerID: f.self.ServerID, Name: f.cfg.Name, Address: f.self.Advertise, Join: f.cfg.Join}
}

func (f *founder) handleWhoami(_ context.Context, from introduction) (introduction, error) {
	return f.answer(from, f.introduce()), nil
}

// establish finds the cluster that this node belongs to, or founds it: every
// join peer is asked, and only if each has answered and none has a cluster
// does the one with the lowest name begin one. With nobody to ask it begins
// its own.
func (f *founder) establish(ctx context.Context) (Identity, error) {
	f.mu.Lock()
	id := f.identity
	f.mu.Unlock()
	if id.ClusterID != "" {
		return id, nil
	}
	more := map[string]bool{}
	var logged time.Time
	for {
		asked := f.addresses(f.cfg.Join, more, f.self.Advertise)
		answers, missing := f.askAll(ctx, asked)
		for _, a := range answers {
			if a.ClusterID != "" {
				f.log.Info("found the cluster", "cluster", a.ClusterID, "through", a.Name)
				return f.adopt(a.ClusterID)
			}
		}
		complete := len(missing) == 0 && !learn(more, answers, asked, f.self.Advertise)
		if complete && lowest(f.introduce(), answers) {
			id, founded, err := f.found(asked)
			if err != nil || founded {
				f.log.Info("founding a cluster", "cluster", id.ClusterID, "peers", len(answers))
				return id, err
			}
		}
		if time.Since(logged) > askLogEvery {
			logged = time.Now()
			f.log.Info("no cluster yet: every join peer must answer before one is founded", "silent", missing, "answered", len(answers))
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return id, ctx.Err()
		}
	}
}

// learn adds addresses that peers ask and this node has not; it reports
// whether there were any.
func learn(more map[string]bool, answers []introduction, asked []string, self string) bool {
	news := false
	for _, a := range answers {
		for _, address := range a.Join {
			if address != self && !slices.Contains(asked, address) {
				more[address], news = true, true
			}
		}
	}
	return news
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

// askAll asks all at once; missing lists who did not answer. An address that
// turns out to be this node itself counts as answered.
func (f *founder) askAll(ctx context.Context, addresses []string) (answers []introduction, missing []string) {
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
				f.log.Debug("asking a join peer", "address", address, "error", err)
				missing = append(missing, address)
			case a.ServerID != f.self.ServerID:
				answers = append(answers, a)
			}
			return nil
		})
	}
	_ = group.Wait()
	slices.Sort(missing)
	return answers, missing
}
