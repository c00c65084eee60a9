package pki

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Pace of watching.
const (
	watchEvery = 10 * time.Second
	sayAgain   = day // what has been said and still holds
)

// Watch looks at the files again and again, whether or not anybody connects, and
// says in the log what has to be done about certificates: at once when it is new
// or has become more urgent, else once a day. It ends with ctx.
func Watch(ctx context.Context, look func() []Held, log *slog.Logger) error {
	w := watch{log: log, said: map[string]notice{}}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		w.judge(look(), time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// watch is what was said of which certificate.
type watch struct {
	log  *slog.Logger
	said map[string]notice
}

// notice is what was said, and when.
type notice struct {
	urgency Urgency
	fault   string
	at      time.Time
}

func (w *watch) judge(held []Held, now time.Time) {
	before := w.said
	w.said = map[string]notice{}
	for _, h := range held {
		n := notice{h.Urgency(now), h.Fault, now}
		if n.urgency == Fine && n.fault == "" {
			continue
		}
		key := fmt.Sprint(h.Use, h.Name, h.Until.Unix()) // authorities may have the same name
		if was, ok := before[key]; ok && was.urgency >= n.urgency && was.fault == n.fault && now.Sub(was.at) < sayAgain {
			w.said[key] = was
			continue
		}
		w.said[key] = n
		w.say(h, now)
	}
}

func (w *watch) say(h Held, now time.Time) {
	if text := h.Text(now); text != "" {
		level := slog.LevelWarn
		if h.Urgency(now) >= Last {
			level = slog.LevelError
		}
		w.log.Log(context.Background(), level, "a certificate needs attention", "use", h.Use, "what", text)
	}
	if h.Fault != "" {
		w.log.Warn("certificate files have changed and cannot be used: the node goes on with what it read before; mend them before it is restarted", "use", h.Use, "file", h.File, "why", h.Fault)
	}
}
