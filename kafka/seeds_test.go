package kafka

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"sluice/fsm"
)

// silent is an address that accepts connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return l.Addr().String()
}

// Whichever address kgo would begin with, one that hangs costs no time while
// another answers.
func TestAddressThatHangsHoldsUpNothing(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "a"))
	hangs := silent(t)
	spec.Bootstrap = []string{hangs, spec.Bootstrap[0], silent(t), "127.0.0.1:1"}
	began := time.Now()
	for range 5 {
		c, err := testPool(t).Client(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := c.LookAll(testContext(t), nil); err != nil || len(m.Topics) != 1 {
			t.Fatalf("%+v %v", m, err)
		}
		if _, err := c.Metadata(testContext(t), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > seekTimeout {
		t.Errorf("five clients took %v", took)
	}
	c := testClient(t, spec)
	bad := c.Unanswered(t.Context(), 200*time.Millisecond)
	if len(bad) != 3 || !errors.Is(bad[hangs], ErrTimeout) || bad["127.0.0.1:1"] == nil {
		t.Errorf("addresses that do not answer: %v", bad)
	}
}

// Where none answers the error names each address and why.
func TestAddressesThatDoNotAnswerAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("connection refused")
		p := testPool(t, func(c *Config) {
			c.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) {
				if addr == "down:1" {
					return nil, refused
				}
				near, far := net.Pipe()
				t.Cleanup(func() { far.Close() })
				return near, nil
			}
		})
		c, err := p.Client(t.Context(), fsm.KafkaCluster{Name: "k", Bootstrap: []string{"silent:1", "down:1"}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = c.LookAll(t.Context(), nil)
		want := "no bootstrap address answers: down:1: connection refused; silent:1: " + ErrTimeout.Error()
		if !errors.Is(err, ErrTimeout) || !errors.Is(err, refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != seekTimeout {
			t.Errorf("after %v", took)
		}
	})
}

// An address that failed first and answers later is used again.
func TestAddressesAreAskedAnew(t *testing.T) {
	s := &seeds{good: true, at: time.Now()}
	if s.failed(); !s.good {
		t.Error("asked again though they have just answered")
	}
	s.at = time.Now().Add(-seekTimeout)
	if s.failed(); s.good {
		t.Error("not asked again after a request failed")
	}
}
