package system

import (
	"fmt"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"sluice/fsm"
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
	Same(t, src, dst, "orders")
	for _, e := range n.List()[1].Status().Events {
		if e.Code == fsm.CodeUnauthorized {
			t.Errorf("a right is missing: %+v", e)
		}
	}
}

// allow gives the login's user rights on one kind of resource.
func allow(t *testing.T, c *kafkalab.Cluster, b *kadm.ACLBuilder) {
	t.Helper()
	if err := c.Admin(func(adm *kadm.Client) error {
		rs, err := adm.CreateACLs(t.Context(), b.ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:"+kafkalab.User).AllowHosts())
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
