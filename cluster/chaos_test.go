package cluster

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"sluice/fsm"
)

// chaosSeeds is how many random runs a test makes; SIM_SEEDS sets more,
// SIM_SEED runs one.
func chaosSeeds(t *testing.T) (from, to uint64) {
	t.Helper()
	number := func(name string) uint64 {
		n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	if one := number("SIM_SEED"); one > 0 {
		return one, one
	}
	return 1, max(5, number("SIM_SEEDS"))
}

// TestChaos kills, starts, cuts and slows three nodes at random and checks all
// the time that no turn runs twice and no lease outlives a reassignment; at
// the end everything must run, with equal facts.
func TestChaos(t *testing.T) {
	from, to := chaosSeeds(t)
	for seed := from; seed <= to; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			runSim(t, func(s *sim) {
				c := &chaos{sim: s, rand: rand.New(rand.NewPCG(seed, 7)), seen: map[turnKey]time.Time{}}
				c.run(40)
			})
		})
	}
}

type chaos struct {
	*sim
	rand  *rand.Rand
	seen  map[turnKey]time.Time // when a View first showed a turn
	valid int                   // leases that were looked at while they held
	led   int                   // looks with a leader
	looks int
	log   []string
}

const chaosTasks = 31 // of the link, its sync task included

func (c *chaos) run(steps int) {
	c.trio()
	c.addTasks(chaosTasks - 1)
	c.until("assigned", 5*time.Second, func() bool { return c.balanced(chaosTasks, 1, 2, 3) })
	for range steps {
		what := c.disturb()
		c.log = append(c.log, what)
		c.watch(time.Duration(200+c.rand.IntN(6000)) * time.Millisecond)
		if c.t.Failed() {
			c.t.Fatalf("after %q", c.log)
		}
	}
	c.heal()
	for i := 1; i <= 3; i++ {
		if c.nodes[i] == nil {
			c.start(i, 1, 2, 3)
		}
	}
	c.watch(20 * time.Second)
	ok := func() bool { return c.leader() != nil && c.balanced(chaosTasks, 1, 2, 3) }
	for start := time.Now(); !ok(); c.watch(time.Second) {
		if time.Since(start) > time.Minute {
			c.dump()
			by, elsewhere := c.world.on(chaosTasks)
			c.t.Fatalf("tasks run %v, elsewhere %d, after %q", by, elsewhere, c.log)
		}
	}
	c.equal()
	c.t.Logf("%d turns, %d valid leases seen, a leader at %d of %d looks", len(c.seen), c.valid, c.led, c.looks)
	if c.valid == 0 || len(c.seen) <= chaosTasks {
		c.t.Error("the run showed nothing")
	}
}

// heal ends all cuts and delays.
func (c *chaos) heal() {
	for i := 1; i <= 3; i++ {
		for j := 1; j <= 3; j++ {
			c.net.Heal(ipOf(i), ipOf(j))
			c.net.Delay(ipOf(i), ipOf(j), 0)
		}
	}
}

// disturb does one thing.
func (c *chaos) disturb() string {
	i, j := 1+c.rand.IntN(3), 1+c.rand.IntN(3)
	switch c.rand.IntN(10) {
	case 0, 1:
		if c.nodes[i] == nil {
			c.start(i, 1, 2, 3)
			return fmt.Sprint("start ", i)
		}
		c.kill(i)
		return fmt.Sprint("kill ", i)
	case 2:
		if l := c.leader(); l != nil {
			c.kill(l.i)
			return fmt.Sprint("kill the leader ", l.i)
		}
	case 3:
		c.net.Cut(ipOf(i), ipOf(j))
		return fmt.Sprint("cut ", i, " to ", j)
	case 4:
		c.net.CutBoth(ipOf(i), ipOf(j))
		return fmt.Sprint("cut ", i, " and ", j)
	case 5:
		for j := 1; j <= 3; j++ {
			c.net.HealBoth(ipOf(i), ipOf(j))
			if c.rand.IntN(2) == 0 {
				c.net.Reset(ipOf(i), ipOf(j))
			}
		}
		return fmt.Sprint("heal ", i)
	case 6:
		d := time.Duration(c.rand.IntN(1+c.rand.IntN(1500))) * time.Millisecond
		c.net.Delay(ipOf(i), ipOf(j), d)
		return fmt.Sprint("delay ", i, " to ", j, " ", d)
	case 8, 9:
		c.heal()
		for i := 1; i <= 3; i++ {
			if c.nodes[i] == nil {
				c.start(i, 1, 2, 3)
				return fmt.Sprint("heal everything, start ", i)
			}
		}
		return "heal everything"
	case 7:
		if n := c.nodes[i]; n != nil {
			go func() { _, _ = n.Propose(c.t.Context(), &fsm.Barrier{}) }()
			return fmt.Sprint("propose at ", i)
		}
	}
	return "nothing"
}

// watch lets time pass and looks at every lease meanwhile.
func (c *chaos) watch(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now := time.Now()
		c.looks++
		if c.leader() != nil {
			c.led++
		}
		for _, n := range c.nodes {
			for task := range n.View().Tasks {
				key := turnKey{task.ID, task.Turn}
				if _, ok := c.seen[key]; !ok {
					c.seen[key] = now
				}
			}
		}
		for _, n := range c.nodes {
			c.checkLeases(n, now)
		}
	}
}

// checkLeases: whoever takes a task over waits T from the commit of the
// assignment, so by then the former owner's lease must have ended.
func (c *chaos) checkLeases(n *simNode, now time.Time) {
	for task := range n.View().Tasks {
		if task.Owner != n.self.ServerID {
			continue
		}
		age, ok := n.Lease(task.ID, task.Turn)
		if !ok || age >= n.t.dead {
			continue
		}
		c.valid++
		for turn := task.Turn + 1; ; turn++ {
			at, ok := c.seen[turnKey{task.ID, turn}]
			if !ok {
				break
			}
			if now.Sub(at) > n.t.dead {
				c.t.Errorf("node %d holds a lease of %v for task %d turn %d; turn %d has been there for %v",
					n.i, age, task.ID, task.Turn, turn, now.Sub(at))
			}
		}
	}
}
