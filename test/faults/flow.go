package faults

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Flow is one direction between two places: what holds for the bytes of every connection that runs
// there. The zero value lets all pass at once. Methods may be called at any time and act at once on
// open connections too.
type Flow struct {
	mu      sync.Mutex
	held    bool
	delay   time.Duration
	rate    int64         // bytes/s, 0 for unlimited
	free    time.Time     // when the bytes let through so far have left at that rate
	changed chan struct{} // closed and replaced at each change; nil until somebody waits
	passed  int64
}

// Hold stops all bytes; nothing is closed, and even the end of a connection does not come through.
func (f *Flow) Hold() { f.set(func() { f.held = true }) }

// Release lets bytes pass again, the held ones first.
func (f *Flow) Release() { f.set(func() { f.held = false }) }

// SetDelay makes every byte arrive d later. The order is kept.
func (f *Flow) SetDelay(d time.Duration) { f.set(func() { f.delay = d }) }

// SetRate lets at most so many bytes pass in a second, over all connections; 0 for no limit.
func (f *Flow) SetRate(bytesPerSecond int64) { f.set(func() { f.rate = bytesPerSecond }) }

// Passed returns how many bytes have been delivered.
func (f *Flow) Passed() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.passed
}

func (f *Flow) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// wait returns when n bytes that came in at the time at may go out; false when done was closed first.
func (f *Flow) wait(done <-chan struct{}, at time.Time, n int) bool {
	for {
		f.mu.Lock()
		due := at.Add(f.delay)
		if f.rate > 0 && f.free.After(due) {
			due = f.free
		}
		left := time.Until(due)
		if !f.held && left <= 0 {
			f.pass(n)
			f.mu.Unlock()
			return true
		}
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed, held := f.changed, f.held
		f.mu.Unlock()

		var timer <-chan time.Time
		if !held {
			timer = time.After(left)
		}
		select {
		case <-done:
			return false
		case <-changed:
		case <-timer:
		}
	}
}

// pass books n bytes; f.mu is held.
func (f *Flow) pass(n int) {
	f.passed += int64(n)
	if f.rate <= 0 {
		return
	}
	if now := time.Now(); f.free.Before(now) {
		f.free = now
	}
	f.free = f.free.Add(time.Duration(int64(n) * int64(time.Second) / f.rate))
}

const (
	chunkSize  = 64 << 10
	queueBytes = 16 << 20 // in flight in one direction: 100 MB/s at 150 ms
)

// chunk is what one read gave, or how the sender ended the connection.
type chunk struct {
	data []byte
	at   time.Time
	end  bool
	how  Close
}

// pump carries bytes from src to dst as the flow allows until src ends or done is closed. The end of
// src (FIN or RST) reaches dst after the bytes before it.
func pump(dst, src net.Conn, flow *Flow, done <-chan struct{}) {
	q := newQueue[chunk](queueBytes)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer q.end()
		for {
			buf := make([]byte, chunkSize)
			n, err := src.Read(buf)
			if n > 0 && !q.push(chunk{data: shrink(buf[:n]), at: time.Now()}, n) {
				return
			}
			if err != nil {
				q.push(chunk{end: true, how: endOf(err), at: time.Now()}, 0)
				return
			}
		}
	})
	for {
		c, ok := q.pop()
		if !ok || !flow.wait(done, c.at, len(c.data)) {
			break
		}
		if c.end {
			endWrite(dst, c.how)
			break
		}
		if _, err := dst.Write(c.data); err != nil {
			closeConn(src, RST)
			break
		}
	}
	q.breakOff()
	reader.Wait()
}

// shrink copies a short chunk so that it does not hold on to a whole buffer while it is delayed.
func shrink(b []byte) []byte {
	if len(b) > chunkSize/4 {
		return b
	}
	return append([]byte(nil), b...)
}

// endOf tells an orderly end from a reset.
func endOf(err error) Close {
	if errors.Is(err, io.EOF) {
		return FIN
	}
	return RST
}

// endWrite passes the end of one direction on. After a reset both are over.
func endWrite(c net.Conn, how Close) {
	if tcp, ok := c.(*net.TCPConn); ok && how == FIN {
		tcp.CloseWrite()
		return
	}
	closeConn(c, how)
}
