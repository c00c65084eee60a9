package fsm

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
