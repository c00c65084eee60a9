package cluster

import (
	"testing"
	"time"
)

// TestTasksComeBack to a restarted node within 20 s, although each needs more
// than a second to drain.
func TestTasksComeBack(t *testing.T) {
	runSim(t, func(s *sim) {
		const tasks = 500
		s.world.drain = 1500 * time.Millisecond
		s.trio()
		s.addTasks(tasks - 1)
		s.until("assigned", 5*time.Second, func() bool { return s.balanced(tasks, 1, 2, 3) })
		i := s.follower().i
		s.kill(i)
		s.until("its tasks are taken over", 10*time.Second, func() bool { return s.world.settled(tasks) })
		s.start(i, 1, 2, 3)
		back, begun, took := make(chan error), time.Now(), time.Duration(0)
		go func() {
			defer close(back)
			for took < time.Minute {
				if by, elsewhere := s.world.on(tasks); elsewhere == 0 && by[i] >= tasks*3/11 {
					return
				}
				time.Sleep(20 * time.Millisecond)
				took = time.Since(begun)
			}
		}()
		if gap := s.watchGap(tasks, back); gap > time.Second {
			s.t.Errorf("a task stood still for %v", gap)
		}
		if took > 20*time.Second {
			s.t.Errorf("it took %v", took)
		}
	})
}
