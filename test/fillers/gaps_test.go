package fillers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/replication/filler"
	"sluice/test/claim"
	"sluice/test/faults"
	"sluice/test/kafkalab"
	"sluice/test/wait"
)

// TestOneBroker holds what needs one ordinary broker, of each version.
func TestOneBroker(t *testing.T) {
	for _, version := range []string{kafkalab.V3, kafkalab.V4} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			l := start(t, version, 1)
			t.Run("together", func(t *testing.T) {
				t.Run("pace", func(t *testing.T) { pace(t, l) })
				t.Run("gaps", func(t *testing.T) { t.Parallel(); gaps(t, l.part(t)) })
				t.Run("frozen", func(t *testing.T) { t.Parallel(); frozen(t, l.part(t)) })
				t.Run("unauthorized", func(t *testing.T) { t.Parallel(); unauthorized(t, l) })
				t.Run("owners", func(t *testing.T) { t.Parallel(); owners(t, l.part(t), claim.Rounds(20, 300)) })
			})
		})
	}
}

// TestThreeBrokers is gaps with three replicas.
func TestThreeBrokers(t *testing.T) {
	claim.NeedsLong(t)
	for _, version := range []string{kafkalab.V3, kafkalab.V4} {
		t.Run(version, func(t *testing.T) {
			l := start(t, version, 3)
			gaps(t, l.part(t))
			owners(t, l.part(t), claim.Rounds(20, 300))
		})
	}
}

// gaps takes gaps of all sizes between data.
func gaps(t *testing.T, p *part) {
	f := p.owner(t, p.topic).open(t, p)
	p.write(t)
	for _, k := range []int64{1, 2, 7, 5_000, 1, 1, 300_000} {
		began := time.Now()
		fill(t, f, p.gap(k))
		t.Logf("%d offsets: %v", k, time.Since(began).Round(time.Millisecond/10))
		p.write(t)
	}
	p.check(t)
}

// frozen stops an owner before its EndTxn until the coordinator has ended the
// transaction by the clock: the marker takes the gap's last offset, the owner is
// fenced, and the next one goes on.
func frozen(t *testing.T, p *part) {
	o := p.owner(t, p.topic+"-frozen")
	f := o.open(t, p)
	p.write(t)
	hold := p.proxy.AddRule(faults.Rule{APIs: []int16{int16(kmsg.EndTxn)}, ClientPrefix: o.name, Do: faults.Hold})
	defer hold.Release()
	g := p.gap(3)
	done := make(chan error, 1)
	go func() {
		_, err := f.Fill(t.Context(), g)
		done <- err
	}()
	began := time.Now()
	wait.For(t, 20*time.Millisecond, wait.Patience, "the coordinator's time-out", func() error {
		end, err := p.logEnd(t.Context())
		if err == nil && end < p.end {
			err = fmt.Errorf("the log ends at %d", end)
		}
		return err
	})
	if took := time.Since(began); took > filler.Timeout+10*time.Second {
		t.Errorf("the transaction was ended after %v", took)
	}
	p.write(t)
	hold.Release()
	if err := <-done; !errors.Is(err, filler.ErrFenced) {
		t.Errorf("the frozen owner: %v", err)
	}
	p.endIs(t, p.end)
	fill(t, o.open(t, p), p.gap(2))
	p.write(t)
	p.check(t)
}

// unauthorized takes the right on the filler's id away.
func unauthorized(t *testing.T, l *lab) {
	p := l.part(t)
	o := l.owner(t, p.topic)
	f := o.open(t, p)
	fill(t, f, p.gap(1))
	deny := func(remove bool) {
		err := l.Admin(func(adm *kadm.Client) error {
			b := kadm.NewACLs().TransactionalIDs(p.id).ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpWrite).Deny("User:ANONYMOUS").DenyHosts("*")
			var err error
			if remove {
				_, err = adm.DeleteACLs(t.Context(), b)
			} else {
				_, err = adm.CreateACLs(t.Context(), b)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	deny(false)
	at, err := p.place(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wait.For(t, 20*time.Millisecond, wait.Patience, "the broker carries the ACL out", func() error {
		if _, err = o.Open(t.Context(), at, p.id); err == nil {
			return errors.New("it may still")
		}
		return nil
	})
	if !errors.Is(err, kerr.TransactionalIDAuthorizationFailed) || !strings.Contains(err.Error(), "WRITE on transactional id "+p.id) {
		t.Error(err)
	}
	deny(true)
	wait.For(t, 20*time.Millisecond, wait.Patience, "the right is back", func() error {
		f, err = o.Open(t.Context(), at, p.id)
		return err
	})
	fill(t, f, p.gap(2))
	p.write(t)
	p.check(t)
}

// pace measures what a gap of one offset costs, beside a record that is appended,
// and how many are taken on 64 partitions side by side, without the proxy.
func pace(t *testing.T, l *lab) {
	if !claim.Full() { // else it is alone
		t.Parallel()
	}
	n, side := claim.Rounds(40, 1000), claim.Rounds(3, 50)
	o := &owner{"pace", filler.New(l.newClientAt(t, "pace", l.Direct()))}
	t.Cleanup(o.Close)
	p := l.part(t)
	p.client = l.newClientAt(t, "pace", l.Direct())
	f := o.open(t, p)
	var gap, record []time.Duration
	for range n {
		g, began := p.gap(1), time.Now()
		fill(t, f, g)
		gap = append(gap, time.Since(began))
		began = time.Now()
		p.write(t)
		record = append(record, time.Since(began))
	}
	slices.Sort(gap)
	slices.Sort(record)
	t.Logf("one offset: median %v, 99 %% within %v, %.0f a second; a record: median %v",
		gap[n/2], gap[n*99/100], float64(time.Second)/float64(gap[n/2]), record[n/2])
	// A gap is two readings of the log's end and three to five requests to the
	// coordinator, two of which are appended to its log, as the marker is to ours.
	if gap[n/2] > 25*record[n/2] {
		t.Errorf("a gap of one offset takes %v, more than 25 times as long as a record, %v", gap[n/2], record[n/2])
	}
	if claim.Full() {
		claim.Bar(t, "a gap of one offset, median", gap[n/2], 5*time.Millisecond)
	}

	all := l.parts(t, 64, nil)
	for _, one := range all {
		one.client = p.client
	}
	fs := make([]*filler.Filler, len(all))
	together(len(all), func(i int) { fs[i] = o.open(t, all[i]) })
	began := time.Now()
	together(len(all), func(i int) {
		for range side {
			fill(t, fs[i], all[i].gap(1))
		}
	})
	t.Logf("64 partitions side by side: %.0f gaps a second", float64(len(all)*side)/time.Since(began).Seconds())
	for _, p := range all {
		p.endIs(t, int64(side))
	}
}

// together does something n times at once.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
