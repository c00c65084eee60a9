package remedies

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/fsm"
	"sluice/test/kafkalab"
	"sluice/test/rig"
)

func accessCases() []testCase {
	return []testCase{
		{"READ refused at the source", func(t *testing.T, l *lab) { unauthorized(t, l, l.src, kadm.OpRead, false) }},
		{"WRITE refused at the target", func(t *testing.T, l *lab) { unauthorized(t, l, l.dst, kadm.OpWrite, false) }},
		{"READ refused at the target", func(t *testing.T, l *lab) { unauthorized(t, l, l.dst, kadm.OpRead, true) }},
		{"DESCRIBE refused at the target", func(t *testing.T, l *lab) { unauthorized(t, l, l.dst, kadm.OpDescribe, true) }},
		{"login refused", loginRefused},
	}
}

// unauthorized takes a right on the topic away while the stream copies, or
// before a takeover, and gives it back.
func unauthorized(t *testing.T, l *lab, c *kafkalab.Cluster, op kadm.ACLOperation, takeover bool) {
	w, r := l.copied5(t, link{})
	// Where a topic has any ACL, what none allows is refused.
	on := func() *kadm.ACLBuilder {
		return kadm.NewACLs().Topics(w.topic).ResourcePatternType(kadm.ACLPatternLiteral)
	}
	deny := on().Operations(op).Deny("User:ANONYMOUS").DenyHosts("*")
	acls(t, c, on().Operations(kadm.OpAll).Allow("User:*").AllowHosts("*"), false)
	acls(t, c, deny, false)
	if takeover {
		r.Close()
		r = w.own(t, 2)
	}
	if c == l.dst {
		w.produce(t, 3)
	}
	rig.Until(t, timeout, "the brokers carry the ACL out", func() bool { // what is copied before is no fault
		m := r.streams[w.topic].Measure()
		if m.State != fsm.CodeUnauthorized && c == l.dst && m.Source == int64(w.made) {
			w.produce(t, 1)
		}
		return m.State == fsm.CodeUnauthorized
	})
	w.state(t, r, fsm.CodeUnauthorized)
	if m := r.streams[w.topic].Measure().Message; !strings.Contains(m, op.String()) || !strings.Contains(m, w.topic) {
		t.Errorf("message %q", m)
	}
	w.othersGoOn(t)
	acls(t, c, deny, true)
	rig.Until(t, timeout, "the right is back", func() bool {
		_, err := kadm.NewClient(w.Target).ListEndOffsets(context.Background(), w.topic)
		return err == nil
	})
	w.produce(t, 2)
	w.holds(t, 0, [2]int{0, w.made})
	w.goesOnIdentically(t)
	w.none(t, fsm.CodeUnauthorized, fsm.CodeSourceDeleted, fsm.CodeTargetDeleted)
}

// acls creates or deletes them.
func acls(t *testing.T, c *kafkalab.Cluster, b *kadm.ACLBuilder, remove bool) {
	t.Helper()
	admin(t, c, func(adm *kadm.Client) error {
		if remove {
			rs, err := adm.DeleteACLs(context.Background(), b)
			for _, r := range rs {
				err = errors.Join(err, r.Err)
			}
			return err
		}
		rs, err := adm.CreateACLs(context.Background(), b)
		for _, r := range rs {
			err = errors.Join(err, r.Err)
		}
		return err
	})
}

// loginRefused: the source's password is wrong, then right.
func loginRefused(t *testing.T, l *lab) {
	w, r := l.copied5(t, link{})
	r.Close()
	login := func(password string) {
		name := filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(name, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		w.Do(t, &fsm.Objects{Kafka: []fsm.KafkaCluster{{Name: "us", Bootstrap: l.src.BootstrapFor(kafkalab.SASLPlain()),
			SASL: &fsm.SASL{Mechanism: "PLAIN", Username: kafkalab.User, Password: "${file:" + name + "}"}}}})
	}
	login("wrong")
	w.produce(t, 2)
	r = w.own(t, 2)
	w.state(t, r, fsm.CodeAuthenticationFailed)
	login(kafkalab.Password)
	w.holds(t, 0, [2]int{0, 7})
	w.goesOnIdentically(t)
	w.othersGoOn(t)
}
