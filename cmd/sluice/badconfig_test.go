package main

import "strings"

// badConfigs are node.yamls with a bad value; those whose files are at fault
// stand in testdata/validate.
func badConfigs() []badInput {
	const plain = "name: n1\ndataDir: data\npeer:\n  listen: 127.0.0.1:7400\nhttp:\n  listen: 127.0.0.1:8080\njoin: []\n"
	node := func(name, text string) badInput {
		return badInput{name, map[string]string{"node.yaml": text}, []string{"server", "validate"}}
	}
	but := func(name, from, to string) badInput { return node(name, strings.Replace(plain, from, to, 1)) }
	with := func(name, more string) badInput { return node(name, plain+more+"\n") }
	return []badInput{
		node("an empty node.yaml", ""),
		node("two documents in node.yaml", plain+"---\n"+plain),
		node("objects in node.yaml", linkText),
		node("node.yaml is not YAML", "name: [n1\n"),
		node("a tab in node.yaml", "name: n1\npeer:\n\tlisten: x\n"),
		node("node.yaml is a list", "- name: n1\n"),
		with("a key of node.yaml that is misspelt", "datacentre: x"),
		with("a key of node.yaml twice", "name: n2"),
		with("a key of node.yaml without a value", "datacenter:"),
		but("no name of the node", "name: n1\n", ""),
		but("a bad name of the node", "name: n1", "name: n 1"),
		but("no data dir", "dataDir: data\n", ""),
		with("a bad datacenter of the node", "datacenter: us/east"),
		but("no peer", "peer:\n  listen: 127.0.0.1:7400\n", ""),
		but("a peer address without a port", "127.0.0.1:7400", "127.0.0.1"),
		but("a peer address with port 0", "127.0.0.1:7400", "127.0.0.1:0"),
		but("a peer address with port 99999", "127.0.0.1:7400", "127.0.0.1:99999"),
		but("a peer address with a scheme", "127.0.0.1:7400", "https://127.0.0.1:7400"),
		but("peers without TLS for all", "127.0.0.1:7400", "0.0.0.0:7400"),
		but("an advertised address that nobody can dial", "  listen: 127.0.0.1:7400\n", "  listen: 127.0.0.1:7400\n  advertise: 0.0.0.0:7400\n"),
		but("an address to dial from that is none", "  listen: 127.0.0.1:7400\n", "  listen: 127.0.0.1:7400\n  dialFrom: eth0\n"),
		but("half of peer.tls", "  listen: 127.0.0.1:7400\n", "  listen: 127.0.0.1:7400\n  tls: {cert: n1.pem}\n"),
		but("a private key as text in node.yaml", "  listen: 127.0.0.1:7400\n", "  listen: 127.0.0.1:7400\n  tls: {cert: n1.pem, ca: ca.pem, key: \"-----BEGIN PRIVATE KEY-----\\nMIGH\\n-----END PRIVATE KEY-----\"}\n"),
		but("the token of the API instead of its file", "127.0.0.1:8080\n", "127.0.0.1:8080\n  tokenFile: 0123456789abcdef\n"),
		with("core dumps that are no yes or no", "coreDumps: never"),
		but("an API address without a port", "127.0.0.1:8080", "127.0.0.1"),
		but("an API address with port 99999", "127.0.0.1:8080", "127.0.0.1:99999"),
		but("an API for all without TLS and token", "127.0.0.1:8080", "0.0.0.0:8080"),
		but("half of http.tls", "  listen: 127.0.0.1:8080\n", "  listen: 127.0.0.1:8080\n  tls: {cert: h.pem}\n"),
		but("one port for both", "127.0.0.1:8080", "127.0.0.1:7400"),
		but("a join that is text", "join: []", "join: n2.example:7400"),
		but("a join without a port", "join: []", "join: [n2.example, n3.example:7400]"),
		but("a join with port 0", "join: []", "join: ['n2.example:0', 'n3.example:7400']"),
		but("a join with a scheme", "join: []", "join: ['https://n2.example:7400', 'n3.example:7400']"),
		but("a join twice", "join: []", "join: ['n2.example:7400', 'n2.example:7400']"),
		with("a profile that nobody knows", "profile: fast"),
		with("a time until the dead lose their votes that is none", "deadVoterAfter: soon"),
		with("a time until the dead lose their votes that is short", "deadVoterAfter: 10s"),
		with("memory that is no size", "memory: much"),
		with("memory of less than nothing", "memory: -1GiB"),
		with("too little memory", "memory: 1MiB"),
		with("a log level that nobody knows", "log: loud"),
		with("an empty client id", "clientId: ''"),
		with("secrets as text", "secrets: /etc/secrets"),
		with("secrets anywhere", "secrets: {folders: [/]}"),
		with("an empty prefix of variables", "secrets: {env: ['']}"),
	}
}
