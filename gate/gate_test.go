package gate

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// end is a connection from an address.
type end struct {
	net.Conn
	from   string
	closed bool
}

func (e *end) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", e.from+":1234")
	if err != nil {
		panic(err)
	}
	return a
}

func (e *end) Close() error {
	e.closed = true
	return nil
}

// crowd comes to a gate, one after the other.
type crowd struct {
	g    *Gate
	ends []*end
	pass []*Pass
}

func (c *crowd) come(from ...string) {
	for _, f := range from {
		e := &end{from: f}
		p, _ := c.g.Enter(e)
		c.ends, c.pass = append(c.ends, e), append(c.pass, p)
	}
}

// closed lists who was closed, by number.
func (c *crowd) closed() (out []int) {
	for i, e := range c.ends {
		if e.closed {
			out = append(out, i)
		}
	}
	return out
}

func TestWhoGoes(t *testing.T) {
	const a, b, member = "10.0.0.1", "10.0.0.2", "10.0.0.9"
	for _, tc := range []struct {
		name string
		do   func(c *crowd)
		want []int
	}{
		{"room for all", func(c *crowd) { c.come(a, b, a) }, nil},
		{"the oldest of an address that has too many", func(c *crowd) { c.come(b, a, a, a, a) }, []int{1, 2}},
		{"the oldest stranger where all are too many", func(c *crowd) { c.come(member, a, b, "10.0.0.3", "10.0.0.4") }, []int{1}},
		{"an address that is known may have more", func(c *crowd) { c.come(member, member, member, member) }, nil},
		{"the oldest where nobody is a stranger", func(c *crowd) { c.come(member, member, member, member, member) }, []int{0}},
		{"strangers do not push out those that are known", func(c *crowd) { c.come(member, member, a, a, b, b, a) }, []int{2, 3, 4}},
		{"who is proven counts no more", func(c *crowd) {
			c.come("10.0.0.3", b)
			c.pass[0].Proven()
			c.come(b, a, a)
		}, nil},
		{"who has left counts no more", func(c *crowd) {
			c.come(a, a)
			c.pass[0].Leave()
			c.pass[0].Leave()
			c.come(a, b, b)
		}, nil},
		{"IPv4 in IPv6 is the same address", func(c *crowd) { c.come(a, "[::ffff:10.0.0.1]", a) }, []int{0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &crowd{g: New(Config{Most: 4, PerAddress: 2, Rate: 1000})}
			c.g.Know((&end{from: member}).RemoteAddr())
			tc.do(c)
			if got := c.closed(); !slices.Equal(got, tc.want) {
				t.Errorf("closed %v, want %v", got, tc.want)
			}
		})
	}
}

// TestRateOfStrangers: those that come too fast are closed at once, and take
// nothing from whoever is known.
func TestRateOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{g: New(Config{Most: 1000, PerAddress: 1000, Rate: 10})}
		c.g.Know((&end{from: "10.0.0.9"}).RemoteAddr())
		for i := range 100 {
			c.come(fmt.Sprintf("10.0.1.%d", i), "10.0.0.9")
		}
		if n := len(c.closed()); n != 90 {
			t.Errorf("%d of 200 closed, want 90 of the strangers", n)
		}
		for i, e := range c.ends {
			if e.closed && (e.from == "10.0.0.9" || c.pass[i] != nil) {
				t.Errorf("%d from %s: %v", i, e.from, c.pass[i])
			}
		}
		time.Sleep(time.Second)
		c.come("10.0.1.1")
		if e := c.ends[len(c.ends)-1]; e.closed {
			t.Error("a second later nobody is let in")
		}
		time.Sleep(knownFor)
		for range 100 {
			c.come("10.0.0.9")
		}
		if n := len(c.closed()); n != 180 {
			t.Errorf("%d closed, want 90 more: nobody has proven himself there for long", n)
		}
	})
}

// TestBounds: whoever comes, goes and proves himself in whatever order, there
// are never more inside than may be, those that are proven are never closed,
// and nothing is left of who has gone.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Most: rapid.IntRange(1, 6).Draw(t, "most"), PerAddress: rapid.IntRange(1, 4).Draw(t, "per address"), Rate: 1 << 20}
		c := &crowd{g: New(cfg)}
		proven := map[int]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
			case what < 2 || len(c.ends) == 0:
				c.come(fmt.Sprintf("10.0.0.%d", rapid.IntRange(1, 5).Draw(t, "from")))
			default:
				i := rapid.IntRange(0, len(c.ends)-1).Draw(t, "who")
				switch {
				case c.ends[i].closed || c.pass[i] == nil:
				case what == 2:
					c.pass[i].Proven()
					proven[i] = true
				default:
					c.pass[i].Leave()
					c.ends[i].closed = !proven[i]
				}
			}
			inside := 0
			for i, e := range c.ends {
				if proven[i] && e.closed {
					t.Fatalf("%d was proven and is closed", i)
				}
				if !proven[i] && !e.closed {
					inside++
				}
			}
			if n := c.g.inside.Len(); n != inside || n > cfg.Most {
				t.Fatalf("%d inside, %d counted, at most %d", inside, n, cfg.Most)
			}
		}
		for _, p := range c.pass {
			if p != nil {
				p.Leave()
			}
		}
		if c.g.inside.Len() != 0 || len(c.g.from) != 0 {
			t.Fatalf("left: %d, %v", c.g.inside.Len(), c.g.from)
		}
	})
}

// TestFewAreKnown: whoever proves himself from ever new addresses is forgotten
// in order.
func TestFewAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(DefaultConfig())
		for i := range mostKnown + 10 {
			g.Know((&end{from: fmt.Sprintf("10.0.%d.%d", i/250, i%250)}).RemoteAddr())
			time.Sleep(time.Millisecond)
		}
		first, last := (&end{from: "10.0.0.0"}).RemoteAddr(), (&end{from: "10.0.4.30"}).RemoteAddr()
		if len(g.known) != mostKnown || g.isKnown(addrOf(first)) || !g.isKnown(addrOf(last)) {
			t.Errorf("%d known, the first %v, the last %v", len(g.known), g.isKnown(addrOf(first)), g.isKnown(addrOf(last)))
		}
	})
}
