package faults

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Mesh stands between nodes that dial each other, with a flow for every ordered pair. Each node has
// one address that it advertises (a proxy's) and dials from an address of its own (127.0.0.x), by
// which the mesh tells who dialled. A flow holds for all connections between two nodes, whichever of
// them dialled.
type Mesh struct {
	mu      sync.Mutex
	byIP    map[string]string // name of the node that dials from it
	relays  map[string]*relay
	flows   map[[2]string]*Flow
	refused map[[2]string]bool
}

// NewMesh returns a mesh without nodes.
func NewMesh() *Mesh {
	return &Mesh{byIP: map[string]string{}, relays: map[string]*relay{},
		flows: map[[2]string]*Flow{}, refused: map[[2]string]bool{}}
}

// Add puts a proxy in front of a node that listens on target and dials from the address dialsFrom
// (no port; "" for a place that never dials, such as a broker). It returns the address to advertise.
// Dialling it from an address that no node has is a node called "".
func (m *Mesh) Add(node, dialsFrom, target string) (advertise string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.relays[node] != nil {
		return "", fmt.Errorf("adding a node to the mesh: there is a %q already", node)
	}
	r, err := openRelay("", func(from net.Addr) route {
		host, _, _ := net.SplitHostPort(from.String())
		m.mu.Lock()
		defer m.mu.Unlock()
		name := m.byIP[host]
		return route{target: target, there: m.flow(name, node), back: m.flow(node, name),
			refused: m.refused[[2]string{name, node}]}
	})
	if err != nil {
		return "", err
	}
	m.relays[node] = r
	if dialsFrom != "" {
		m.byIP[dialsFrom] = node
	}
	return r.addr(), nil
}

// Flow returns the direction from one node to another.
func (m *Mesh) Flow(from, to string) *Flow {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flow(from, to)
}

func (m *Mesh) flow(from, to string) *Flow {
	f := m.flows[[2]string{from, to}]
	if f == nil {
		f = &Flow{}
		m.flows[[2]string{from, to}] = f
	}
	return f
}

// Cut holds both directions between two nodes.
func (m *Mesh) Cut(a, b string) {
	m.CutOneWay(a, b)
	m.CutOneWay(b, a)
}

// CutOneWay holds what goes from one node to another; what comes back arrives.
func (m *Mesh) CutOneWay(from, to string) { m.Flow(from, to).Hold() }

// Isolate cuts a node off from all others that were added.
func (m *Mesh) Isolate(node string) { m.each(node, m.Cut) }

// Refuse resets the connections between two nodes and every new one until Heal.
func (m *Mesh) Refuse(a, b string) {
	m.mu.Lock()
	m.refused[[2]string{a, b}], m.refused[[2]string{b, a}] = true, true
	m.mu.Unlock()
	m.Reset(a, b)
}

// Reset resets the connections between two nodes; new ones work.
func (m *Mesh) Reset(a, b string) {
	m.mu.Lock()
	ab, ba := m.flow(a, b), m.flow(b, a)
	relays := []*relay{m.relays[a], m.relays[b]}
	m.mu.Unlock()
	for _, r := range relays {
		if r != nil {
			r.resetIf(func(to route) bool { return to.there == ab || to.there == ba })
		}
	}
}

// Heal ends what Cut, CutOneWay and Refuse did between two nodes.
func (m *Mesh) Heal(a, b string, how Heal) {
	if how == Reset {
		m.Reset(a, b)
	}
	m.mu.Lock()
	delete(m.refused, [2]string{a, b})
	delete(m.refused, [2]string{b, a})
	m.mu.Unlock()
	m.Flow(a, b).Release()
	m.Flow(b, a).Release()
}

// HealAll heals a node with all others.
func (m *Mesh) HealAll(node string, how Heal) {
	m.each(node, func(a, b string) { m.Heal(a, b, how) })
}

// SetDelay makes each direction between two nodes d slower.
func (m *Mesh) SetDelay(a, b string, d time.Duration) {
	m.Flow(a, b).SetDelay(d)
	m.Flow(b, a).SetDelay(d)
}

func (m *Mesh) each(node string, f func(node, other string)) {
	m.mu.Lock()
	var others []string
	for other := range m.relays {
		if other != node {
			others = append(others, other)
		}
	}
	m.mu.Unlock()
	for _, other := range others {
		f(node, other)
	}
}

// Close resets all connections and stops.
func (m *Mesh) Close() {
	m.mu.Lock()
	relays := m.relays
	m.relays = map[string]*relay{}
	m.mu.Unlock()
	for _, r := range relays {
		r.close()
	}
}
