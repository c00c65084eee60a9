package pki

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// heard is a log that can be read while it is written.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

// take returns what was written since it was last taken.
func (h *heard) take() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.text.Reset()
	return h.text.String()
}

// TestWatchSaysItOnceADay: an end is told of once a day from 30 days before it,
// and at once when it becomes more urgent; what is renewed is told of no more.
func TestWatchSaysItOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var held []Held
		hold := func(h ...Held) { mu.Lock(); defer mu.Unlock(); held = h }
		began := time.Now()
		peer := Held{Use: UsePeer, Name: "n1", File: "n1.pem", From: began, Until: began.Add(60 * day), Life: 825 * day}
		hold(peer, // and two authorities of the same name
			Held{Use: UsePeerCA, Name: "CA", From: began, Until: began.Add(5 * day), Life: 3650 * day},
			Held{Use: UsePeerCA, Name: "CA", From: began, Until: began.Add(25 * day), Life: 3650 * day})
		var out heard
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- Watch(ctx, func() []Held { mu.Lock(); defer mu.Unlock(); return held }, slog.New(slog.NewTextHandler(&out, nil)))
		}()
		pass := func(days, least, most int, what string) {
			t.Helper()
			time.Sleep(time.Duration(days) * day)
			synctest.Wait()
			if text := out.take(); strings.Count(text, what) < least || strings.Count(text, what) > most {
				t.Errorf("told %d times, not %d to %d:\n%s", strings.Count(text, what), least, most, text)
			}
		}
		time.Sleep(time.Hour)
		pass(9, 18, 24, "use=peer-ca ")
		pass(20, 0, 0, "use=peer ")
		hold(peer)
		pass(15, 14, 17, "level=WARN")     // until 16 days before
		pass(15, 14, 17, "level=WARN")     // until a day before
		pass(1, 1, 3, "level=ERROR")       // the last day
		pass(10, 10, 12, "has expired at") // and afterwards
		peer.Until = time.Now().Add(100 * day)
		hold(peer)
		pass(10, 0, 0, "level=")
		peer.Fault = "it is broken"
		hold(peer)
		pass(10, 10, 11, `why="it is broken"`)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestWatchOfShortLives: certificates for a day, renewed when two thirds of it
// are over, are never told of.
func TestWatchOfShortLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out heard
		began := time.Now()
		look := func() []Held {
			from := began.Add(time.Since(began).Truncate(16 * time.Hour))
			return []Held{{Use: UsePeer, Name: "n1", From: from, Until: from.Add(day), Life: day}}
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- Watch(ctx, look, slog.New(slog.NewTextHandler(&out, nil))) }()
		time.Sleep(30 * day)
		stop()
		<-done
		if text := out.take(); text != "" {
			t.Error(text)
		}
	})
}
