package catalog

import "time"

// failures are attempts in a row that failed. Each speaks for those that follow
// it within firstPause; that doubles with each failure up to lastPause.
type failures struct {
	count int
	at    time.Time // of the last one
	err   error
}

const (
	firstPause = 10 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// recently is the error of the last failure while that still counts.
func (f *failures) recently() error {
	if f.count > 0 && time.Since(f.at) < min(firstPause<<min(f.count-1, 6), lastPause) {
		return f.err
	}
	return nil
}

// note takes how an attempt ended.
func (f *failures) note(err error) {
	if err == nil {
		*f = failures{}
		return
	}
	f.count, f.at, f.err = f.count+1, time.Now(), err
}
