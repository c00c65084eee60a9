package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// sayEvery spaces equal warnings: peers redial many times a second.
const sayEvery = time.Minute

// mostTroubles bounds what is remembered of strangers.
const mostTroubles = 256

// troubles are what was said of whom and when, and why nodes that this one
// dials cannot be reached as long as their certificates are the reason.
type troubles struct {
	mu   sync.Mutex
	said map[string]time.Time // a warning -> when it was last logged
	now  map[string]trouble   // by address dialled
}

type trouble struct {
	text string
	at   time.Time
}

func newTroubles() *troubles {
	return &troubles{said: map[string]time.Time{}, now: map[string]trouble{}}
}

// MaySay says whether nothing was said of key for long enough, and notes that
// it is said now. Of very many at a time some are left out.
func (t *troubles) MaySay(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(t.said, func(_ string, at time.Time) bool { return now.Sub(at) >= sayEvery })
	if _, lately := t.said[key]; lately || len(t.said) >= mostTroubles {
		return false
	}
	t.said[key] = now
	return true
}

// namedHosts is how many hosts are named in a minute with the same failure:
// strangers may come from any number of addresses.
const namedHosts = 2

// mayName says whether a host may be named with what it failed with.
func (t *troubles) mayName(code, host string) bool {
	if !t.MaySay(code + " " + host) {
		return false
	}
	for i := range namedHosts {
		if t.MaySay(fmt.Sprint(code, i)) {
			return true
		}
	}
	return false
}

// dialEnded keeps what certificates keep this node from, its own that is banned
// among them, and says it once in a minute for each address.
func (t *troubles) dialEnded(log *slog.Logger, address string, err error) {
	if err == nil {
		t.over(address)
		return
	}
	text := ""
	if cert, ok := errors.AsType[*CertificateError](err); ok {
		text = cert.Error()
	} else if banned, ok := errors.AsType[*BannedError](err); ok {
		text = address + " answers: " + banned.Error()
	}
	if text == "" {
		return
	}
	t.met(address, text)
	if t.MaySay("dialling " + address) {
		log.Warn("a node cannot be reached", "address", address, "error", text)
	}
}

// met notes why an address was not reached.
func (t *troubles) met(address, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.now[address]; known || len(t.now) < mostTroubles {
		t.now[address] = trouble{text, time.Now()}
	}
}

// over notes that an address was reached, or fails for another reason.
func (t *troubles) over(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.now, address)
}

// Troubles lists why nodes were not reached lately, as far as certificates are
// the reason, in sentences for a person, by address.
func (t *troubles) Troubles() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(t.now, func(_ string, x trouble) bool { return now.Sub(x.at) >= sayEvery })
	var out []string
	for _, address := range slices.Sorted(maps.Keys(t.now)) {
		out = append(out, t.now[address].text)
	}
	return out
}
