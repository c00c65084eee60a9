package stream

import (
	"sync"

	"sluice/fsm"
	"sluice/replication/filter"
	"sluice/replication/recovery"
)

// filters are the compiled filters of this node's links: streams of a link share
// one.
type filters struct {
	compile func(*fsm.Filter) (*filter.Filter, error)

	mu sync.Mutex
	of map[fsm.LinkID]compiled
}

type compiled struct {
	spec   *fsm.Filter // which no command changes: another one has another place
	filter *filter.Filter
}

func newFilters(compile func(*fsm.Filter) (*filter.Filter, error)) *filters {
	return &filters{compile: compile, of: map[fsm.LinkID]compiled{}}
}

// get returns the filter of a link's spec, nil where it has none. Its errors are
// faults.
func (f *filters) get(link fsm.LinkID, spec *fsm.Filter) (*filter.Filter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if spec == nil {
		delete(f.of, link)
		return nil, nil
	}
	if c := f.of[link]; c.spec == spec {
		return c.filter, nil
	}
	made, err := f.compile(spec)
	if err != nil {
		return nil, recovery.Faulty(recovery.Retry, fsm.CodeFilterUnready, err.Error())
	}
	f.of[link] = compiled{spec, made}
	return made, nil
}
