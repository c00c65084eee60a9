package data

// dirStage is what log dirs hold while stages are cut: as for brokers, a
// replica counts where it goes as soon as its stage begins, and where it came
// from until the stage ends.
type dirStage struct {
	*dirBook
	held [][]float64 // by broker and dir: bytes with all that has begun to arrive
}

// newDirStage begins with every replica at home; nil where no dir has a limit.
func newDirStage(d *dirBook) *dirStage {
	if d == nil {
		return nil
	}
	s := &dirStage{dirBook: d, held: make([][]float64, len(d.bytes))}
	for b := range s.held {
		s.held[b] = make([]float64, len(d.bytes[b]))
	}
	for r, b := range d.home {
		if k := s.homeDir[r]; k >= 0 {
			s.held[b][k] += float64(d.size[r])
		}
	}
	return s
}

// fits reports whether the dir that r goes to has room for it.
func (s *dirStage) fits(r int32) bool {
	if s == nil || s.dir[r] < 0 || s.limit[s.at[r]] == nil {
		return true
	}
	b, k := s.at[r], s.dir[r]
	return s.held[b][k]+float64(s.size[r]) <= s.limit[b][k]
}

// take lets r arrive.
func (s *dirStage) take(r int32) {
	if s != nil && s.dir[r] >= 0 {
		s.held[s.at[r]][s.dir[r]] += float64(s.size[r])
	}
}

// end takes what has moved from where it came.
func (s *dirStage) end(stage, from []int32) {
	if s == nil {
		return
	}
	for _, r := range stage {
		if k := s.homeDir[r]; k >= 0 {
			s.held[from[r]][k] -= float64(s.size[r])
		}
	}
}
