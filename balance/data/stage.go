package data

import (
	"cmp"
	"math"
	"slices"
)

// peakSlack is the part by which a broker's disk may exceed, while a proposal
// is carried out, the larger of what it holds before and after.
const peakSlack = 0.01

// unit is what one partition moves: all its replicas that change brokers.
type unit struct {
	p    int32
	size int64
	rs   []int32
}

// stager cuts moves into stages. Within a stage a replica counts on both
// brokers; when it ends the old copies are gone. Every stage leaves every
// partition legal.
type stager struct {
	*layout
	from   []int32   // by replica: where it is before the stages
	now    []float64 // by broker: bytes at the start of the stage
	in     []float64 // by broker: bytes that arrive in it
	soft   []float64 // by broker: bytes it should never exceed
	limit  []float64 // by broker: bytes it must never exceed
	inDirs *dirStage // nil: no log dir has a limit
}

// stages orders the moves from the layout in from to the present one, so that
// no broker exceeds its limit on the way and, where that is possible, none
// exceeds the larger of its first and last figure by more than the slack. The
// moves that fit nowhere are undone in the layout.
func (l *layout) stages(from []int32, limit []float64) [][]int32 {
	s := &stager{layout: l, from: from, limit: limit, now: make([]float64, len(l.load)),
		in: make([]float64, len(l.load)), soft: make([]float64, len(l.load))}
	pending := s.units()
	for r := range l.at {
		s.now[from[r]] += float64(l.size[r])
	}
	for b := range s.now {
		s.soft[b] = math.Min((1+peakSlack)*math.Max(s.now[b], float64(l.load[b].bytes)), limit[b])
	}
	s.inDirs = newDirStage(l.dirs)
	var stages [][]int32
	for len(pending) > 0 {
		stage, rest := s.admit(pending, s.soft)
		if len(stage) == 0 {
			stage, rest = s.squeeze(pending)
		}
		if len(stage) == 0 {
			break
		}
		s.end(stage)
		stages, pending = append(stages, stage), rest
	}
	for _, u := range pending {
		for _, r := range u.rs {
			l.move(r, from[r])
		}
	}
	return stages
}

// units lists what moves, the largest partitions first.
func (s *stager) units() []unit {
	var units []unit
	for p := range s.m.Partitions {
		var rs []int32
		for r := s.first[p]; r < s.first[p+1]; r++ {
			if s.from[r] != s.at[r] {
				rs = append(rs, r)
			}
		}
		if rs != nil {
			units = append(units, unit{int32(p), s.m.Partitions[p].Size, rs})
		}
	}
	slices.SortFunc(units, func(a, b unit) int {
		if c := cmp.Compare(b.size, a.size); c != 0 {
			return c
		}
		return cmp.Compare(a.p, b.p)
	})
	return units
}

// admit takes the units that fit under limit into a stage.
func (s *stager) admit(pending []unit, limit []float64) (stage []int32, rest []unit) {
	for _, u := range pending {
		if s.fits(u, limit) {
			stage = append(stage, u.rs...)
			s.take(u)
		} else {
			rest = append(rest, u)
		}
	}
	return stage, rest
}

func (s *stager) fits(u unit, limit []float64) bool {
	for _, r := range u.rs {
		b := s.at[r]
		if u.size > 0 && (s.now[b]+s.in[b]+float64(u.size) > limit[b] || !s.inDirs.fits(r)) {
			return false
		}
	}
	return true
}

// take lets a unit arrive in the stage.
func (s *stager) take(u unit) {
	for _, r := range u.rs {
		s.in[s.at[r]] += float64(u.size)
		s.inDirs.take(r)
	}
}

// squeeze is for when every unit waits for another: one unit that stays under
// the hard limits, the one that exceeds the soft ones least.
func (s *stager) squeeze(pending []unit) (stage []int32, rest []unit) {
	best, least := -1, math.Inf(1)
	for i, u := range pending {
		if !s.fits(u, s.limit) {
			continue
		}
		over := 0.0
		for _, r := range u.rs {
			b := s.at[r]
			over = math.Max(over, (s.now[b]+float64(u.size))/math.Max(1, s.soft[b]))
		}
		if over < least {
			best, least = i, over
		}
	}
	if best < 0 {
		return nil, pending
	}
	u := pending[best]
	s.take(u)
	return u.rs, slices.Delete(slices.Clone(pending), best, best+1)
}

// end makes the stage's moves final.
func (s *stager) end(stage []int32) {
	for _, r := range stage {
		s.now[s.from[r]] -= float64(s.size[r])
		s.now[s.at[r]] += float64(s.size[r])
	}
	clear(s.in)
	s.inDirs.end(stage, s.from)
}

// hop is a replica of a partition going from one broker to another, into the
// log dir there; -1: it is not chosen yet, or the broker chooses.
type hop struct {
	p, from, to int32
	dir         int16
}

// hops adds to each stage's replicas where they come from and go.
func (l *layout) hops(from []int32, stages [][]int32) [][]hop {
	all := make([][]hop, len(stages))
	for i, stage := range stages {
		for _, r := range stage {
			h := hop{l.part[r], from[r], l.at[r], -1}
			if l.dirs != nil {
				h.dir = l.dirs.dir[r]
			}
			all[i] = append(all[i], h)
		}
	}
	return all
}

// carried returns the bytes that the stages carry between brokers.
func carried(m *Model, stages [][]hop) int64 {
	bytes := int64(0)
	for _, stage := range stages {
		for _, h := range stage {
			bytes += m.Partitions[h.p].Size
		}
	}
	return bytes
}
