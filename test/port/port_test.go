package port

import (
	"os"
	"testing"

	"sluice/test/scratch"
)

// TestPortsAreReserved: no two get one port, and its reservation is gone
// with it.
func TestPortsAreReserved(t *testing.T) {
	seen := map[int]bool{}
	var ports []Port
	for range 50 {
		p, err := Reserve()
		if err != nil {
			t.Fatal(err)
		}
		if seen[p.number] {
			t.Errorf("port %d is reserved twice", p.number)
		}
		if lock, err := scratch.TryLock(p.lock.Name()); lock != nil || err != nil {
			t.Errorf("port %d is not locked: %v", p.number, err)
		}
		seen[p.number] = true
		ports = append(ports, p)
	}
	for _, p := range ports {
		p.Release()
		if _, err := os.Stat(p.lock.Name()); err == nil {
			t.Errorf("the reservation of port %d is left", p.number)
		}
	}
	p, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	p.Release()
	if named(p.lock) {
		t.Error("a file that is gone has its name")
	}
}
