package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Bounds of gossip over streams. A packet that finds a queue full is dropped,
// as a network would.
const (
	maxPacket       = 64 << 10
	packetQueue     = 64
	packetWriteTime = 5 * time.Second
	packetIdle      = time.Minute
	packetRedial    = time.Second
)

// Gossip is the memberlist.NodeAwareTransport of a node: packets and streams
// both ride on the node's port. Nodes are dialled by ServerID through resolve;
// the IP addresses that memberlist insists on are labels.
type Gossip struct {
	t       *Transport
	resolve func(serverID string) (address string, ok bool)
	packets chan *memberlist.Packet
	streams chan net.Conn
	inbound [2]*Listener
	ctx     context.Context // ends in Shutdown; memberlist's calls carry none
	cancel  context.CancelFunc
	work    sync.WaitGroup

	mu     sync.Mutex
	queues map[Target]chan []byte
}

var _ memberlist.NodeAwareTransport = (*Gossip)(nil)

// Gossip opens the node to gossip. resolve may be called by any goroutine; an
// unknown ServerID is dialled at the address that memberlist knows. Its
// goroutines end in Shutdown, which memberlist calls.
func (t *Transport) Gossip(resolve func(serverID string) (string, bool)) (*Gossip, error) {
	packets, err := t.Listen(KindPackets)
	if err != nil {
		return nil, err
	}
	streams, err := t.Listen(KindGossip)
	if err != nil {
		packets.Close()
		return nil, err
	}
	g := &Gossip{
		t: t, resolve: resolve, inbound: [2]*Listener{packets, streams},
		packets: make(chan *memberlist.Packet, 4*packetQueue), streams: make(chan net.Conn),
		queues: map[Target]chan []byte{},
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.work.Go(func() { g.acceptPackets(packets) })
	g.work.Go(func() { g.acceptStreams(streams) })
	return g, nil
}

// GossipAddress returns the form of an address that memberlist may carry
// around without asking a name server: the IP, or 127.0.0.1 for a name.
func GossipAddress(address string) (net.IP, int, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, 0, fmt.Errorf("splitting %q: %w", address, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, 0, fmt.Errorf("port of %q: %w", address, err)
	}
	ip := net.ParseIP(host)
	if ip == nil {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return ip, int(port), nil
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (g *Gossip) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return GossipAddress(g.t.cfg.Advertise)
}

func (g *Gossip) target(a memberlist.Address) Target {
	if address, ok := g.resolve(a.Name); ok && a.Name != "" {
		return Target{Address: address, ServerID: a.Name}
	}
	return Target{Address: a.Addr, ServerID: a.Name}
}

// WriteTo implements memberlist.Transport.
func (g *Gossip) WriteTo(b []byte, address string) (time.Time, error) {
	return g.WriteToAddress(b, memberlist.Address{Addr: address})
}

// WriteToAddress queues one packet. It never waits; success promises nothing.
func (g *Gossip) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if len(b) > maxPacket {
		return time.Time{}, fmt.Errorf("gossip packet of %d bytes is larger than %d", len(b), maxPacket)
	}
	frame := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b))), b...)
	to := g.target(a)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil {
		return time.Time{}, ErrClosed
	}
	queue := g.queues[to]
	if queue == nil {
		queue = make(chan []byte, packetQueue)
		g.queues[to] = queue
		g.work.Go(func() { g.sendPackets(to, queue) })
	}
	select {
	case queue <- frame:
	default:
		g.t.stats.packetsDropped.Add(1)
	}
	return time.Now(), nil
}

// sendPackets owns one peer's queue and the connection under it, until it has
// been idle for a minute.
func (g *Gossip) sendPackets(to Target, queue chan []byte) {
	var conn *Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	idle := time.NewTimer(packetIdle)
	defer idle.Stop()
	for {
		select {
		case frame := <-queue:
			conn = g.sendPacket(to, conn, frame)
			idle.Reset(packetIdle)
		case <-idle.C:
			if g.forget(to, queue) {
				return
			}
			idle.Reset(packetIdle)
		case <-g.ctx.Done():
			return
		}
	}
}

// forget removes an empty queue, under the lock that fills it.
func (g *Gossip) forget(to Target, queue chan []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(queue) > 0 {
		return false
	}
	delete(g.queues, to)
	return true
}

// sendPacket writes a frame, dialling when there is no connection. It returns
// the connection to go on with; after a failure the packet is lost and the
// next dial waits a moment.
func (g *Gossip) sendPacket(to Target, conn *Conn, frame []byte) *Conn {
	var err error
	if conn == nil {
		if conn, err = g.t.Dial(g.ctx, KindPackets, to); err != nil {
			g.t.stats.packetsDropped.Add(1)
			select {
			case <-time.After(packetRedial):
			case <-g.ctx.Done():
			}
			return nil
		}
	}
	_ = conn.SetWriteDeadline(time.Now().Add(packetWriteTime))
	if _, err = conn.Write(frame); err != nil {
		g.t.stats.packetsDropped.Add(1)
		conn.Close()
		return nil
	}
	return conn
}

func (g *Gossip) acceptPackets(l *Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		g.work.Go(func() { g.readPackets(nc.(*Conn)) })
	}
}

// readPackets hands packets to memberlist; what it cannot take is dropped.
func (g *Gossip) readPackets(conn *Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	var size [4]byte
	for {
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(size[:])
		if n == 0 || n > maxPacket {
			return
		}
		buf := make([]byte, n)
		if _, err := io.ReadFull(r, buf); err != nil {
			return
		}
		select {
		case g.packets <- &memberlist.Packet{Buf: buf, From: addr(conn.peer.Advertise), Timestamp: time.Now()}:
		default:
			g.t.stats.packetsDropped.Add(1)
		}
	}
}

func (g *Gossip) acceptStreams(l *Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case g.streams <- nc:
		case <-g.ctx.Done():
			nc.Close()
			return
		}
	}
}

// PacketCh implements memberlist.Transport.
func (g *Gossip) PacketCh() <-chan *memberlist.Packet { return g.packets }

// StreamCh implements memberlist.Transport.
func (g *Gossip) StreamCh() <-chan net.Conn { return g.streams }

// DialTimeout implements memberlist.Transport.
func (g *Gossip) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	return g.DialAddressTimeout(memberlist.Address{Addr: address}, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (g *Gossip) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(g.ctx, timeout)
	defer cancel()
	c, err := g.t.Dial(ctx, KindGossip, g.target(a))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Shutdown implements memberlist.Transport: it closes gossip's connections and
// waits for its goroutines.
func (g *Gossip) Shutdown() error {
	g.mu.Lock()
	g.cancel()
	g.mu.Unlock()
	for _, l := range g.inbound {
		l.Close()
	}
	g.work.Wait()
	return nil
}
