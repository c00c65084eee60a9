package stream

import (
	"sync"

	"sluice/kafka/catalog"
	"sluice/replication/filler"
)

// fillers are those of a node, by Kafka cluster.
type fillers struct {
	mu sync.Mutex
	by map[string]*filler.Fillers
}

func newFillers() *fillers { return &fillers{by: map[string]*filler.Fillers{}} }

func (f *fillers) of(k *catalog.Cluster) *filler.Fillers {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by[k.Name()] == nil {
		f.by[k.Name()] = filler.New(k)
	}
	return f.by[k.Name()]
}

func (f *fillers) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.by {
		one.Close()
	}
}
