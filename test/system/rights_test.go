package system

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/api"
	"sluice/fsm"
	"sluice/manifest"
	"sluice/replication/filler"
	"sluice/test/kafkalab"
	"sluice/test/load"
)

// TestLeastRights copies over TLS and SCRAM as a user that may do what the
// tutorial lists and nothing else: an owner dies, topics come later and grow.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	kafkalab.Require(t)
	login := kafkalab.SCRAM().WithTLS()
	strict := kafkalab.Config{Listeners: []kafkalab.Listener{login, kafkalab.Plaintext()}, Overrides: map[string]string{
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":           "User:ANONYMOUS", // brokers among themselves, and this test
	}}
	n := Start(t, Options{Nodes: 3})
	src, dst := kafkalab.StartPair(t, strict, strict)
	allow(t, src, kadm.NewACLs().Topics("*").Operations(kadm.OpDescribe, kadm.OpRead, kadm.OpDescribeConfigs))
	allow(t, dst, kadm.NewACLs().Topics("*").Operations(kadm.OpCreate, kadm.OpDescribe, kadm.OpRead, kadm.OpWrite, kadm.OpAlter, kadm.OpDescribeConfigs))
	allow(t, dst, kadm.NewACLs().Clusters().Operations(kadm.OpDescribeConfigs))
	allowAll(t, dst, kadm.ACLPatternPrefixed, kadm.NewACLs().TransactionalIDs(filler.IDPrefix).Operations(kadm.OpWrite))
	n.Ready()
	n.Apply(loginYAML(t, n, src, dst, login) + AllTopics)
	orders := kafkalab.Topic{Name: "orders", Partitions: 6, Configs: map[string]string{"max.message.bytes": "2000000"}}
	if err := src.CreateTopic(t.Context(), orders); err != nil {
		t.Fatal(err)
	}
	n.Copying(n.List()[0], 6)
	Fill(t, src, load.Config{Topics: []load.Topic{{Name: "orders", Partitions: 6}}, Records: 3000, Seed: 1})
	n.List()[0].Kill()
	if err := src.Admin(func(adm *kadm.Client) error {
		rs, err := adm.CreatePartitions(t.Context(), 2, "orders")
		if err == nil {
			err = rs.Error()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	n.Copying(n.List()[1], 8)
	Fill(t, src, load.Config{Topics: []load.Topic{{Name: "orders", Partitions: 8}}, Records: 3000, Seed: 1})
	if _, err := load.ProduceTransactions(t.Context(), load.Transactions{
		Client: Opts(t, src), Topic: load.Topic{Name: "orders", Partitions: 8}, ID: "orders", Count: 9, Records: 16, AbortEvery: 3,
	}); err != nil {
		t.Fatal(err)
	}
	Fill(t, src, load.Config{Topics: []load.Topic{{Name: "orders", Partitions: 8}}, Records: 300, Seed: 1})
	Same(t, src, dst, "orders")
	for _, e := range n.List()[1].Status().Events {
		if e.Code == fsm.CodeUnauthorized {
			t.Errorf("a right is missing: %+v", e)
		}
	}
	lacking(t, n, src, dst, login)
}

// lacking: a plan tells which rights lack before anything is applied.
func lacking(t *testing.T, n *Nodes, src, dst *kafkalab.Cluster, login kafkalab.Listener) {
	t.Helper()
	for name, c := range map[string]*kafkalab.Cluster{"closed": src, "open": src, "p.closed": dst} {
		if err := c.CreateTopic(t.Context(), kafkalab.Topic{Name: name, Partitions: 1}); err != nil {
			t.Fatal(err)
		}
	}
	allow(t, src, kadm.NewACLs().Topics("closed").Operations(kadm.OpRead).Deny("User:"+kafkalab.User).DenyHosts())
	allow(t, dst, kadm.NewACLs().Topics("p.closed", "p.open").Operations(kadm.OpWrite, kadm.OpCreate).Deny("User:"+kafkalab.User).DenyHosts())
	yaml := strings.NewReplacer("{name: us-eu}", "{name: plan}", "{name: eu}", "{name: eu2}", "target: eu", "target: eu2").Replace(loginYAML(t, n, src, dst, login)) + "  topics: {include: [closed, open]}\n  rename: \"p.{topic}\"\n"
	p, err := n.List()[1].Client().Apply(t.Context(), api.ApplyRequest{DryRun: true, Sources: []manifest.Source{{Name: "plan.yaml", Text: yaml}}})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, w := range p.Warnings {
		told = append(told, w.Message)
	}
	for _, want := range []string{
		"Kafka cluster us: its user lacks READ on topic closed", "Kafka cluster eu2: its user lacks WRITE on topic p.closed",
		"target topic p.open cannot be created: CREATE on topic p.open is needed", "its user needs DESCRIBE on the cluster",
	} {
		if !slices.ContainsFunc(told, func(m string) bool { return strings.Contains(m, want) }) {
			t.Errorf("%q is not told: %q", want, told)
		}
	}
}

// allow gives the login's user rights on one kind of resource.
func allow(t *testing.T, c *kafkalab.Cluster, b *kadm.ACLBuilder) {
	t.Helper()
	allowAll(t, c, kadm.ACLPatternLiteral, b)
}

// allowAll does so for all names that the pattern means.
func allowAll(t *testing.T, c *kafkalab.Cluster, pattern kadm.ACLPattern, b *kadm.ACLBuilder) {
	t.Helper()
	if err := c.Admin(func(adm *kadm.Client) error {
		rs, err := adm.CreateACLs(t.Context(), b.ResourcePatternType(pattern).Allow("User:"+kafkalab.User).AllowHosts())
		for _, r := range rs {
			if err == nil {
				err = r.Err
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// loginYAML is LinkYAML for clusters that want TLS and a login.
func loginYAML(t *testing.T, n *Nodes, src, dst *kafkalab.Cluster, l kafkalab.Listener) string {
	t.Helper()
	secret := n.Secret("password", []byte(kafkalab.Password+"\n"))
	object := func(name string, c *kafkalab.Cluster) string {
		ca, err := os.ReadFile(c.CAFile())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: %s}
spec:
  bootstrap: [%s]
  tls: {ca: "${file:%s}"}
  sasl: {mechanism: %s, username: %s, password: "${file:%s}"}
---
`, name, quoted(c.Bootstrap()), n.Secret(name+"-ca.pem", ca), l.SASL, kafkalab.User, secret)
	}
	return object("us", src) + object("eu", dst) + "apiVersion: sluice/v1\nkind: Link\nmetadata: {name: us-eu}\nspec:\n  source: us\n  target: eu\n"
}
