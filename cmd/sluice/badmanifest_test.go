package main

import "strings"

// A Kafka cluster and a link in which nothing is wrong.
const (
	kafkaText = "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: asia}\nspec:\n  bootstrap: [k1.example:9092]\n"
	linkText  = "apiVersion: sluice/v1\nkind: Link\nmetadata: {name: new}\nspec:\n  source: us\n  target: eu\n  topics: {include: [orders]}\n"
)

// objectsIn is a text of objects that is checked without a node.
func objectsIn(name, text string) badInput {
	return badInput{name, map[string]string{"in.yaml": text}, []string{"validate", "-f", "in.yaml"}}
}

// kafkaWith and linkWith have further lines in their spec.
func kafkaWith(name, more string) badInput { return objectsIn(name, kafkaText+more+"\n") }
func linkWith(name, more string) badInput  { return objectsIn(name, linkText+more+"\n") }

// kafkaBut and linkBut have something in place of what is right.
func kafkaBut(name, from, to string) badInput {
	return objectsIn(name, strings.Replace(kafkaText, from, to, 1))
}

func linkBut(name, from, to string) badInput {
	return objectsIn(name, strings.Replace(linkText, from, to, 1))
}

func badManifests() []badInput {
	deep := strings.Repeat("[", 5000)
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x]\n")
	for i := range 30 {
		next := string(rune('a' + i%26))
		bomb.WriteString("k" + next + strings.Repeat("k", i) + ": &b" + strings.Repeat("b", i+1) + " [*a0, *a0, *a0]\n")
	}
	bootstrap := func(name, address string) badInput { return kafkaBut(name, "k1.example:9092", address) }
	return []badInput{
		objectsIn("an empty file", ""),
		objectsIn("only a comment", "# nothing yet\n"),
		objectsIn("only markers", "---\n---\n"),
		objectsIn("not YAML", "{{{ \n"),
		objectsIn("a shell script", "#!/bin/sh\nset -e\necho hello: world\n"),
		objectsIn("JSON with a comma too many", `{"apiVersion": "sluice/v1", "kind": "Link",, }`),
		objectsIn("a template that was not filled in", strings.Replace(linkText, "source: us", "source: {{ .Values.source }}", 1)),
		objectsIn("a tab in front of a key", strings.Replace(linkText, "  target", "\ttarget", 1)),
		objectsIn("a quote left open", strings.Replace(linkText, "source: us", "source: \"us", 1)),
		objectsIn("a bracket left open", strings.Replace(linkText, "[orders]}", "[orders}", 1)),
		objectsIn("a key in the wrong column", strings.Replace(linkText, "  target", "   target", 1)),
		objectsIn("no space after the colon", strings.Replace(linkText, "source: us", "source:us", 1)),
		objectsIn("Latin-1", strings.Replace(kafkaText, "asia", "\"M\xfcnchen\"", 1)),
		objectsIn("UTF-16", "\xff\xfea\x00p\x00i\x00"),
		objectsIn("binary", "\x00\x01\x02\x7fELF\x00"),
		objectsIn("a control character in a name", strings.Replace(kafkaText, "asia", "\"as\\u0007ia\"", 1)),
		objectsIn("brackets without end", "a: "+deep),
		objectsIn("aliases of aliases", bomb.String()),
		objectsIn("an alias of itself", "apiVersion: sluice/v1\nkind: Link\nmetadata: &m {name: *m}\n"),
		objectsIn("an alias of nothing", strings.Replace(linkText, "source: us", "source: *us", 1)),
		objectsIn("more text than one apply takes", "# "+strings.Repeat("x", 3<<20)),
		objectsIn("a list", "- "+strings.ReplaceAll(strings.TrimSpace(linkText), "\n", "\n  ")+"\n"),
		objectsIn("one word", "links\n"),
		objectsIn("no apiVersion", strings.Replace(linkText, "apiVersion: sluice/v1\n", "", 1)),
		linkBut("another apiVersion", "sluice/v1", "v1"),
		linkBut("a version to come", "sluice/v1", "sluice/v2"),
		objectsIn("no kind", strings.Replace(linkText, "kind: Link\n", "", 1)),
		linkBut("a kind in lower case", "kind: Link", "kind: link"),
		linkBut("a kind of Kubernetes", "kind: Link", "kind: Deployment"),
		objectsIn("no metadata", strings.Replace(linkText, "metadata: {name: new}\n", "", 1)),
		objectsIn("no spec", "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: a}\n"),
		linkBut("a name with a slash", "name: new", "name: a/b"),
		linkBut("a name with a space", "name: new", "name: a b"),
		linkBut("a name that begins with a dash", "name: new", "name: -a"),
		linkBut("a name that is too long", "name: new", "name: "+strings.Repeat("n", 64)),
		linkBut("a name in braces", "{name: new}", "{name: {first: a}}"),
		linkBut("no name", "{name: new}", "{}"),
		linkBut("an empty name", "name: new", "name: ''"),
		linkWith("a key that is misspelt", "  onLos: halt"),
		linkWith("a key that nobody knows", "  replicas: 3"),
		linkWith("a key twice", "  source: eu"),
		linkWith("a key without a value", "  limit:"),
		linkWith("a key of the wrong object", "  bootstrap: [a:1]"),
		linkBut("text in place of a list", "[orders]", "orders"),
		linkBut("a list in place of keys", "{include: [orders]}", "[orders]"),
		linkBut("keys in a list", "[orders]", "[{name: orders}]"),
		linkBut("no topics", "  topics: {include: [orders]}\n", ""),
		linkBut("an empty list of topics", "[orders]", "[]"),
		linkBut("an empty topic", "[orders]", "['']"),
		linkBut("a topic with a space", "[orders]", "[my orders]"),
		linkBut("a regular expression that is none", "[orders]", "['/(orders/']"),
		linkBut("a regular expression that looks back", "[orders]", "['/(?<!x)orders/']"),
		linkBut("a regular expression left open", "[orders]", "['/orders']"),
		linkBut("a regular expression that is a bomb", "[orders]", "['/((a{1000}){1000}){1000}/']"),
		linkBut("a topic of Kafka's own", "[orders]", "[__consumer_offsets]"),
		linkBut("a source that is the target", "target: eu", "target: us"),
		linkBut("no source", "  source: us\n", ""),
		linkBut("an address for a source", "source: us", "source: k1.example:9092"),
		objectsIn("a rename that makes all topics one", strings.Replace(linkText, "[orders]", "['*']", 1)+"  rename: copy\n"),
		linkWith("a rename with an unknown placeholder", "  rename: '{cluster}.{topic}'"),
		linkWith("a rename in braces without quotes", "  rename: {topic}"),
		linkWith("a rename to no name of a topic", "  rename: '{topic} copy'"),
		linkWith("a start that is no time", "  start: yesterday"),
		linkWith("a start without a zone", "  start: 2026-01-31T12:00:00"),
		linkWith("a start that is a date", "  start: 2026-01-31"),
		linkWith("a start on a day that is none", "  start: 2026-02-31T12:00:00Z"),
		linkWith("a start in milliseconds", "  start: 1790000000000"),
		linkWith("offsets that nobody knows", "  offsets: exact"),
		linkWith("identical offsets from the latest", "  offsets: identical\n  start: latest"),
		linkWith("an onLoss that nobody knows", "  onLoss: ignore"),
		linkWith("a state that nobody knows", "  state: stopped"),
		linkWith("a limit without a number", "  limit: fast"),
		linkWith("a limit of less than nothing", "  limit: -5MiB/s"),
		linkWith("a limit of nothing", "  limit: 0"),
		linkWith("a limit in bits", "  limit: 50Mbit/s"),
		linkWith("a limit a minute", "  limit: 50MiB/min"),
		linkWith("a limit too large", "  limit: 99999999999PiB/s"),
		linkWith("a limit with a comma", "  limit: 1,5MiB/s"),
		linkWith("a replication factor of nothing", "  targetTopics: {replicationFactor: 0}"),
		linkWith("a replication factor of less than nothing", "  targetTopics: {replicationFactor: -1}"),
		linkWith("a replication factor in words", "  targetTopics: {replicationFactor: three}"),
		linkWith("a replication factor with a fraction", "  targetTopics: {replicationFactor: 2.5}"),
		linkWith("a replication factor too large", "  targetTopics: {replicationFactor: 99999999999999999999}"),
		objectsIn("a link twice", linkText+"---\n"+linkText),
		objectsIn("two faults in two documents", strings.Replace(kafkaText, "k1.example:9092", "k1", 1)+"---\n"+strings.Replace(linkText, "onders", "", 1)+"  onLoss: x\n"),
		objectsIn("more faults than are shown", linkText+strings.Repeat("  x: 1\n", 1)+manyUnknown(30)),
		kafkaBut("no bootstrap", "  bootstrap: [k1.example:9092]\n", "  datacenter: x\n"),
		bootstrap("a bootstrap without a port", "k1.example"),
		bootstrap("a bootstrap with port 0", "'k1.example:0'"),
		bootstrap("a bootstrap with port 99999", "'k1.example:99999'"),
		bootstrap("a bootstrap with a port in words", "'k1.example:kafka'"),
		bootstrap("a bootstrap without a host", "':9092'"),
		bootstrap("a bootstrap with a password", "'SASL_SSL://u:hunter2@k1.example:9092'"),
		bootstrap("a bootstrap with a space", "'k1 example:9092'"),
		bootstrap("a bootstrap with a space around", "' k1.example:9092 '"),
		bootstrap("IPv6 without brackets", "'::1:9092'"),
		bootstrap("a bootstrap with a scheme", "'kafka://k1.example:9092'"),
		bootstrap("a bootstrap with a security protocol", "'SASL_SSL://k1.example:9092'"),
		bootstrap("a bootstrap with a path", "'k1.example:9092/kafka'"),
		bootstrap("several in one word", "'k1.example:9092,k2.example:9092'"),
		bootstrap("an empty bootstrap", "''"),
		kafkaWith("a mechanism that nobody knows", "  sasl: {mechanism: GSSAPI, username: u, password: '${env:P}'}"),
		kafkaWith("a mechanism in lower case", "  sasl: {mechanism: scram-sha-512, username: u, password: '${env:P}'}"),
		kafkaWith("SASL without anything", "  sasl: {}"),
		kafkaWith("a password that looks like an alias", "  sasl: {mechanism: PLAIN, username: u, password: *hunter2}"),
		kafkaWith("a password that looks like a tag", "  sasl: {mechanism: PLAIN, username: u, password: !hunter2}"),
		kafkaWith("a password with a comma", "  sasl: {mechanism: PLAIN, username: u, password: x, hunter2}"),
		kafkaWith("a password as the name of a variable", "  sasl: {mechanism: PLAIN, username: u, password: '${env:hunter-2}'}"),
		kafkaWith("a key behind its certificate", "  tls: {cert: '-----BEGIN CERTIFICATE----- -----BEGIN PRIVATE KEY----- hunter2', key: '${env:K}'}"),
		kafkaWith("a password as text", "  sasl: {mechanism: PLAIN, username: u, password: hunter2}"),
		kafkaWith("a password in braces", "  sasl: {mechanism: PLAIN, username: u, password: '${hunter2}'}"),
		kafkaWith("a password from a vault", "  sasl: {mechanism: PLAIN, username: u, password: '${vault:secret/kafka}'}"),
		kafkaWith("a password in a relative file", "  sasl: {mechanism: PLAIN, username: u, password: '${file:p}'}"),
		kafkaWith("a password in a variable without a name", "  sasl: {mechanism: PLAIN, username: u, password: '${env:}'}"),
		kafkaWith("a password in a variable with a dollar", "  sasl: {mechanism: PLAIN, username: u, password: $HUNTER}"),
		kafkaWith("TLS as a word", "  tls: true"),
		kafkaWith("a certificate without its key", "  tls: {cert: '${file:/etc/c.pem}'}"),
		kafkaWith("a key as text", "  tls: {cert: '${file:/c}', key: '-----BEGIN PRIVATE KEY----- hunter2'}"),
		kafkaWith("an authority as a path", "  tls: {ca: /etc/ca.pem}"),
		kafkaWith("an authority that is no certificate", "  tls: {ca: '-----BEGIN CERTIFICATE-----'}"),
		kafkaWith("a server name with a port", "  tls: {serverName: 'k1.example:9092'}"),
		kafkaWith("a datacenter with a space", "  datacenter: us east"),
	}
}

func manyUnknown(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("  y" + strings.Repeat("y", i) + ": 1\n")
	}
	return b.String()
}

// badLinks are refused beside what is there; a node is asked.
func badLinks() []badInput {
	planned := func(name, text string) badInput {
		return badInput{name, map[string]string{"in.yaml": text}, []string{"plan", "-f", "in.yaml"}}
	}
	return []badInput{
		planned("a link from a Kafka cluster that is not there", strings.Replace(linkText, "source: us", "source: uss", 1)),
		planned("a link to a Kafka cluster that is not there", strings.Replace(linkText, "target: eu", "target: mars", 1)),
		planned("a link that writes what another does", linkText),
		planned("two links that write the same", strings.Replace(strings.Replace(linkText, "target: eu", "target: asia", 1), "name: new", "name: one", 1)+"---\n"+
			strings.Replace(strings.Replace(linkText, "target: eu", "target: asia", 1), "name: new", "name: two", 1)+"---\n"+kafkaText),
		planned("a link that changes its source", strings.Replace(strings.Replace(linkText, "name: new", "name: us-eu", 1), "source: us", "source: asia", 1)+"---\n"+kafkaText),
		planned("a link that changes its names", strings.Replace(strings.Replace(linkText, "name: new", "name: us-eu", 1), "[orders]", "['*']", 1)+"  rename: 'x.{topic}'\n"),
		{"deleting a Kafka cluster that a link needs", map[string]string{"in.yaml": strings.Replace(kafkaText, "asia", "us", 1)}, []string{"delete", "--yes", "-f", "in.yaml"}},
	}
}
