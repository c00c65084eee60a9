package system

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"sluice/api"
	"sluice/manifest"
	"sluice/test/claim"
	"sluice/test/kafkalab"
)

// TestOutsiders: whoever may reach the ports of nodes, and is none, cannot keep
// them from each other: with connections that say nothing, say garbage, begin a
// handshake or end one without a certificate, from one address, from a member's,
// and from many, a leader's death is overcome as fast as without. Memory and log
// stay as they are.
func TestOutsiders(t *testing.T) {
	claim.NeedsLong(t) // and a machine that no other test uses
	n := Start(t, Options{Nodes: 3})
	n.Ready()
	rounds := claim.Rounds(1, 5)
	quiet := n.failovers(rounds)
	t.Logf("without: %v", quiet)
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprintf("127.9.0.%d", i+1)
	}
	crowds := []crowd{{"silent", many, silent}, {"handshakes", many[:1], handshake}}
	if claim.Full() {
		crowds = nil
		for _, from := range [][]string{many[:1], {"127.0.0.1"}, many} {
			crowds = append(crowds, crowd{"silent", from, silent}, crowd{"garbage", from, garbage}, crowd{"half-open", from, halfOpen}, crowd{"handshakes", from, handshake})
		}
	}
	for _, c := range crowds {
		name := fmt.Sprintf("%s from %d (%s)", c.name, len(c.from), c.from[0])
		t.Run(name, func(t *testing.T) {
			before, lines := n.memory(t), n.lines(t)
			began := time.Now()
			stop := c.besiege(t, n)
			defer stop()
			Settle(t, time.Duration(claim.Rounds(5, 30))*time.Second)
			after, minutes := n.memory(t), max(time.Since(began).Minutes(), 1)
			for i := range after {
				if more := after[i] - before[i]; more > 24<<20 {
					t.Errorf("%s: %d MB more memory", n.list[i].Name, more>>20)
				}
				if told := n.lines(t)[i] - lines[i]; float64(told) > 10*minutes {
					t.Errorf("%s: %d lines of log in %.1f minutes", n.list[i].Name, told, minutes)
				}
			}
			got := n.failovers(rounds)
			t.Logf("%v, without %v", got, quiet)
			claim.Bar(t, "longer than without", middle(got)-middle(quiet), time.Second)
		})
	}
}

func middle(d []time.Duration) time.Duration { return slices.Sorted(slices.Values(d))[len(d)/2] }

// failovers kills the leader again and again, and returns after how long each
// time a change was acknowledged.
func (n *Nodes) failovers(rounds int) (out []time.Duration) {
	n.t.Helper()
	for range rounds {
		n.Ready()
		leader := n.Leader()
		var other *Node
		for _, node := range n.list {
			if node != leader {
				other = node
			}
		}
		leader.Kill()
		began := time.Now()
		until(n.t, "a change is acknowledged", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			text := fmt.Sprintf("apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: none}\nspec: {bootstrap: [\"127.0.0.1:%d\"]}\n", 1024+rand.IntN(60000))
			_, err := other.Client().Apply(ctx, api.ApplyRequest{Sources: []manifest.Source{{Name: "test.yaml", Text: text}}})
			return err
		})
		out = append(out, time.Since(began))
		leader.Start()
	}
	n.Ready()
	return out
}

// memory is what each process keeps resident, in bytes.
func (n *Nodes) memory(t *testing.T) (out []int64) {
	t.Helper()
	for _, node := range n.list {
		u, err := kafkalab.Usage(node.PID())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, u.RSS)
	}
	return out
}

// lines counts those of each node's log.
func (n *Nodes) lines(t *testing.T) (out []int) {
	t.Helper()
	for _, node := range n.list {
		b, err := os.ReadFile(node.log)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, bytes.Count(b, []byte("\n")))
	}
	return out
}

// crowd are outsiders.
type crowd struct {
	name string
	from []string
	do   func(net.Conn) // with one connection, until the other side closes it
}

// A crowd opens so many connections each second, and keeps so many open.
func perSecond() int { return claim.Rounds(200, 1000) }
func atOnce() int    { return claim.Rounds(600, 1500) }

// besiege lets a crowd loose on all ports of the nodes until stop.
func (c crowd) besiege(t *testing.T, n *Nodes) (stop func()) {
	t.Helper()
	var ports []string
	for _, node := range n.list {
		ports = append(ports, node.Peer, node.HTTP)
	}
	ctx, cancel := context.WithCancel(context.Background())
	pace := rate.NewLimiter(rate.Limit(perSecond()), perSecond()/10)
	var wg sync.WaitGroup
	for i := range atOnce() {
		wg.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from[i%len(c.from)])}, Timeout: time.Second}
			for pace.Wait(ctx) == nil {
				conn, err := d.DialContext(ctx, "tcp", ports[i%len(ports)])
				if err != nil {
					continue
				}
				end := context.AfterFunc(ctx, func() { conn.Close() })
				c.do(conn)
				conn.Close()
				end()
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func garbage(c net.Conn) {
	b := make([]byte, 512)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	_, _ = c.Write(b)
	silent(c)
}

// halfOpen begins a handshake and leaves it at that.
func halfOpen(c net.Conn) {
	_ = tls.Client(firstWrite{c}, &tls.Config{InsecureSkipVerify: true}).Handshake()
	silent(c)
}

// firstWrite is a connection that fails when it is read from.
type firstWrite struct{ net.Conn }

func (firstWrite) Read([]byte) (int, error) { return 0, io.EOF }

// handshake ends one, and has no certificate to show.
func handshake(c net.Conn) {
	s := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	if s.Handshake() == nil {
		silent(s)
	}
}
