package stream_test

import (
	"testing"
	"time"

	"sluice/fsm"
	"sluice/test/rig"
)

// What is fetched beyond the limit is waited for before the next fetch.
func TestLimit(t *testing.T) {
	const limit = 10_000 // bytes/s
	p := embedded(t, fsm.LinkSpec{Limit: limit}, map[string]int32{"orders": 1}, "n1")
	r, _ := p.Runner(t, "n1", nil)
	p.Own(t, r, "n1")
	p.Produce(t, "orders", 0, 0, 1500)
	rig.Until(t, 30*time.Second, "the first half is copied", func() bool { return r.Stats().Records == 1500 })
	began, bytes := time.Now(), r.Stats().Bytes
	p.Produce(t, "orders", 0, 1500, 1510)
	rig.Until(t, 30*time.Second, "the rest is copied", func() bool { return r.Stats().Records == 1510 })
	took := time.Since(began)
	t.Logf("%d bytes, then a wait of %v", bytes, took)
	// Half of the debt leaves room for the burst and for a slow first copy.
	if least := time.Duration(float64(bytes) / limit / 2 * float64(time.Second)); took < least {
		t.Errorf("waited %v after %d bytes, at least %v at %d bytes/s", took, bytes, least, limit)
	}
	p.Copied(t, "orders", 0, 1510, 0)
}
