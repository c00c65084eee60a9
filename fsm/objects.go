package fsm

import (
	"slices"
	"strings"
)

// KafkaCluster is a named Kafka cluster that Sluice talks to, as an operator
// declared it. Secrets are references ("${file:/path}", "${env:NAME}") and
// are resolved by package kafka on the node that uses them.
type KafkaCluster struct {
	Name       string   `json:"name"`
	Bootstrap  []string `json:"bootstrap"`            // host:port
	Datacenter string   `json:"datacenter,omitempty"` // empty: unknown
	ClusterID  string   `json:"clusterId,omitempty"`  // pinned on first contact when empty
	TLS        *TLS     `json:"tls,omitempty"`        // nil: plaintext
	SASL       *SASL    `json:"sasl,omitempty"`       // nil: none

	// Revision is the Raft index of the last change that an operator made. Apply
	// keeps it; what a command says here counts for nothing. 0: none yet, which
	// is so below its feature level.
	Revision uint64 `json:"revision,omitempty" feature:"6"`
}

// Reference is a secret that an object refers to, with the key of its manifest.
type Reference struct{ Key, Text string }

// References are the secrets that the Kafka cluster refers to.
func (k *KafkaCluster) References() []Reference {
	var out []Reference
	if t := k.TLS; t != nil {
		out = append(out, Reference{"spec.tls.ca", t.CA}, Reference{"spec.tls.cert", t.Cert}, Reference{"spec.tls.key", t.Key})
	}
	if s := k.SASL; s != nil {
		out = append(out, Reference{"spec.sasl.password", s.Password})
	}
	return references(out...)
}

// references leaves out what is no reference.
func references(all ...Reference) []Reference {
	return slices.DeleteFunc(all, func(r Reference) bool { return !strings.HasPrefix(r.Text, "${") })
}

// TLS says how to reach brokers over TLS. CA, Cert and Key are secret
// references or PEM text; an empty CA means the system's roots.
type TLS struct {
	CA         string `json:"ca,omitempty"`
	Cert       string `json:"cert,omitempty"`
	Key        string `json:"key,omitempty"`
	ServerName string `json:"serverName,omitempty"`
}

// SASL names the mechanism (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512) and the
// credentials; Password is a secret reference.
type SASL struct {
	Mechanism string `json:"mechanism"`
	Username  string `json:"username"`
	Password  string `json:"password"`
}
