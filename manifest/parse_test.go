package manifest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sluice/fsm"
)

// whole is the manifest of the documentation.
const whole = `apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: us}
spec:
  bootstrap: [us1:9093, us2:9093]
  datacenter: us-east
  clusterId: ""                            # pinned on first contact
  tls: {ca: "${file:/etc/sluice/us-ca.pem}"}
  sasl: {mechanism: SCRAM-SHA-512, username: sluice, password: "${file:/etc/sluice/us.password}"}
---
# an empty document is nothing
---
apiVersion: sluice/v1
kind: KafkaCluster
metadata: {name: eu}
spec: {bootstrap: ["eu1:9092"]}
---
apiVersion: sluice/v1
kind: Link
metadata: {name: us-eu}
spec:
  source: us
  target: eu
  topics: {include: [orders, "pay-*", "/^audit\\..*/"], exclude: ["*-tmp"]}
  rename: "{topic}"
  start: earliest
  offsets: auto
  onLoss: halt
  limit: ""
  targetTopics: {replicationFactor: 3}
  state: running
`

// parse reads the objects of one text.
func parse(file, text string) ([]Object, error) {
	r := reader{ctx: context.Background()}
	err := r.read(Source{file, text})
	if err == nil {
		err = r.errs.err()
	}
	return r.objects, err
}

func TestParseReadsTheDocumentedManifest(t *testing.T) {
	objects, err := parse("links.yaml", whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 3 {
		t.Fatalf("%d objects", len(objects))
	}
	wantKafka := &fsm.KafkaCluster{
		Name: "us", Bootstrap: []string{"us1:9093", "us2:9093"}, Datacenter: "us-east",
		TLS:  &fsm.TLS{CA: "${file:/etc/sluice/us-ca.pem}"},
		SASL: &fsm.SASL{Mechanism: "SCRAM-SHA-512", Username: "sluice", Password: "${file:/etc/sluice/us.password}"},
	}
	if !reflect.DeepEqual(objects[0].Kafka, wantKafka) {
		t.Errorf("kafka: %+v", objects[0].Kafka)
	}
	wantLink := &fsm.LinkSpec{
		Name: "us-eu", Source: "us", Target: "eu", Include: []string{"orders", "pay-*", `/^audit\..*/`}, Exclude: []string{"*-tmp"},
		Start: "earliest", Offsets: "auto", OnLoss: "halt", Copies: "skip-from-target", Writers: "ours", ReplicationFactor: 3, State: "running",
	}
	if !reflect.DeepEqual(objects[2].Link, wantLink) {
		t.Errorf("link: %+v", objects[2].Link)
	}
}

func TestParseWithAByteOrderMark(t *testing.T) {
	with, err := parse("f", "\ufeff"+whole)
	without, plain := parse("f", whole)
	if err != nil || plain != nil || !reflect.DeepEqual(with, without) {
		t.Errorf("%v, %v: %v", err, plain, with)
	}
}

func TestParseDefaultsAndOneKeyDocuments(t *testing.T) {
	objects, err := parse("x", `
apiVersion: sluice/v1
kind: Link
metadata:
  name: a
spec:
  source: us
  target: eu
  topics:
    include: &all
      - "*"
  start: 2026-01-31T12:00:00Z
  limit: 50MiB/s
`)
	if err != nil {
		t.Fatal(err)
	}
	l := objects[0].Link
	if l.Start != "2026-01-31T12:00:00Z" || l.Limit != 50<<20 || l.State != "" || l.OnLoss != "halt" || l.Include[0] != "*" {
		t.Errorf("%+v", l)
	}
	if at := objects[0].At("spec.limit"); at != (Pos{"x", 13, 10}) {
		t.Errorf("limit stands at %v", at)
	}
}

// TestParseNamesTheFault shows what a person reads after each mistake.
func TestParseNamesTheFault(t *testing.T) {
	const kafka = "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec:\n  bootstrap: [a:1]\n"
	const link = "apiVersion: sluice/v1\nkind: Link\nmetadata: {name: l}\nspec:\n  source: us\n  target: eu\n  topics: {include: [t]}\n"
	for name, c := range map[string]struct{ text, want string }{
		"typo in a key":             {kafka + "  datacentre: x\n", `f:6:3: unknown key "datacentre" in spec; did you mean "datacenter"?`},
		"typo, wrong case":          {link + "  onloss: halt\n", `f:8:3: unknown key "onloss" in spec; did you mean "onLoss"?`},
		"nothing near":              {link + "  topics2: {}\n  zzzzzz: 1\n", `f:9:3: unknown key "zzzzzz" in spec; known: copies, filter, gaps, limit, offsets`},
		"typo in a flow map":        {strings.Replace(link, "include", "inclde", 1), `f:7:12: unknown key "inclde" in spec.topics; did you mean "include"?`},
		"typo at the top":           {strings.Replace(link, "metadata", "metdata", 1), `f:3:1: unknown key "metdata"; did you mean "metadata"?`},
		"kind":                      {strings.Replace(link, "Link", "Lnik", 1), `f:2:7: unknown kind "Lnik"; did you mean "Link"?`},
		"no kind":                   {"apiVersion: sluice/v1\n", "f:1:1: kind is missing"},
		"version":                   {strings.Replace(link, "v1", "v9", 1), `f:1:13: apiVersion "sluice/v9" is not one that this build reads`},
		"not a map":                 {"- a\n- b\n", "f:1:1: expected the keys apiVersion, kind, metadata and spec, found a list"},
		"a key twice":               {link + "  source: eu\n", `f:8:3: the key "source" stands already in line 5; take one of them out`},
		"no value":                  {link + "  state:\n", "f:8:10: spec.state: has no value"},
		"text for a list":           {strings.Replace(link, "[t]", "t", 1), "f:7:21: spec.topics.include: expected a list, found one value; write [t]"},
		"a map for text":            {link + "  rename: {topic}\n", "f:8:11: spec.rename: expected one value, found keys and values; put text with braces in quotes"},
		"a list for text":           {link + "  rename: [a]\n", "f:8:11: spec.rename: expected one value, found a list"},
		"not a number":              {link + "  targetTopics: {replicationFactor: three}\n", `f:8:37: spec.targetTopics.replicationFactor: "three" is not a whole number`},
		"number too large":          {link + "  targetTopics: {replicationFactor: 70000}\n", `"70000" is not a whole number that fits`},
		"negative factor":           {link + "  targetTopics: {replicationFactor: -1}\n", "-1 is less than 1"},
		"enum":                      {link + "  onLoss: stop\n", `f:8:11: spec.onLoss: "stop" is unknown; known: continue, halt, recopy`},
		"enum, near":                {link + "  offsets: identicl\n", `spec.offsets: "identicl" is unknown; did you mean "identical"?`},
		"state":                     {link + "  state: pause\n", `did you mean "paused"?`},
		"start":                     {link + "  start: yesterday\n", `f:8:10: spec.start: "yesterday" is neither earliest, latest nor a time like 2026-01-31T12:00:00Z`},
		"start, near":               {link + "  start: latst\n", `did you mean "latest"?`},
		"start with identical":      {link + "  start: latest\n  offsets: identical\n", "choose offsets: auto"},
		"shared with identical":     {link + "  writers: shared\n  offsets: identical\n", "f:8:12: spec.writers: offsets cannot be identical"},
		"limit":                     {link + "  limit: fast\n", `f:8:10: spec.limit: "fast" is not a rate like 50MiB/s`},
		"negative limit":            {link + "  limit: -5MiB/s\n", "is not a rate"},
		"source is target":          {strings.Replace(link, "eu", "us", 1), "f:6:11: spec.target: is the source itself"},
		"no source":                 {strings.Replace(link, "  source: us\n", "", 1), "f:5:3: spec.source: is missing"},
		"name":                      {strings.Replace(link, "name: l", "name: a/b", 1), `f:3:18: metadata.name: "a/b" is not a name`},
		"no topics":                 {strings.Replace(link, "[t]", "[]", 1), "f:7:21: spec.topics.include: is missing"},
		"pattern":                   {strings.Replace(link, "[t]", `[t, "/a(/"]`, 1), "f:7:25: spec.topics.include[1]: topic pattern \"/a(/\""},
		"topic of Kafka":            {strings.Replace(link, "[t]", `[t, __consumer_offsets]`, 1), "f:7:25: spec.topics.include[1]: topic pattern \"__consumer_offsets\": topics whose names begin with __ belong"},
		"topics of Kafka":           {strings.Replace(link, "[t]", `["/__.*/"]`, 1), "no link copies them"},
		"placeholder":               {link + "  rename: \"{sorce}.{topic}\"\n", "f:8:11: spec.rename: unknown placeholder {sorce}; did you mean \"{source}\"?"},
		"placeholder left open":     {link + "  rename: \"{topic\"\n", "unknown placeholder {topic"},
		"all topics become one":     {strings.Replace(link, "[t]", `["*"]`, 1) + "  rename: all\n", "spec.rename: without {topic} all topics would get the same name"},
		"rename to no name":         {link + "  rename: \"{topic}/x\"\n", "does not give a topic name"},
		"rename to internal":        {link + "  rename: \"__{topic}\"\n", "kept for internal topics"},
		"bootstrap without port":    {strings.Replace(kafka, "a:1", "us1", 1), `f:5:15: spec.bootstrap[0]: "us1" is not host:port`},
		"password as text":          {kafka + "  sasl: {mechanism: PLAIN, username: u, password: hunter2}\n", "f:6:51: spec.sasl.password: a secret is given by reference"},
		"secret in braces":          {kafka + "  sasl: {mechanism: PLAIN, username: u, password: \"${hunter2}\"}\n", "a reference begins with its kind, ${file:/path} or ${env:NAME}"},
		"limit of nothing":          {link + "  limit: 0.4B/s\n", `"0.4B/s" is not a rate`},
		"unknown kind of secret":    {kafka + "  sasl: {mechanism: PLAIN, username: u, password: \"${fle:/x}\"}\n", `a reference is of the kind file or env, ${file:/path} or ${env:NAME}; did you mean "file"?`},
		"relative secret":           {kafka + "  sasl: {mechanism: PLAIN, username: u, password: \"${file:x}\"}\n", "named by its whole path"},
		"key as text":               {kafka + "  tls: {cert: \"${file:/c}\", key: \"-----BEGIN PRIVATE KEY-----\"}\n", "spec.tls.key: a secret is given by reference"},
		"cert without key":          {kafka + "  tls: {cert: \"${file:/c}\"}\n", "f:6:8: spec.tls: cert and key go together"},
		"mechanism":                 {kafka + "  sasl: {mechanism: SCRAM-SHA-521, username: u, password: \"${env:P}\"}\n", `did you mean "SCRAM-SHA-512"?`},
		"merge key":                 {kafka + "  tls: &t {ca: \"${env:CA}\"}\n  sasl:\n    <<: *t\n", "merge keys (<<) are not understood"},
		"alias to nothing":          {kafka + "  datacenter: *dc\n", "an alias (*name) whose anchor (&name) is not in this document"},
		"tag":                       {kafka + "  datacenter: !!str x\n", "YAML tags (!name) are not understood"},
		"broken YAML":               {kafka + "  tls: {ca: \"x\"\n", "f:6:8:"},
		"tab":                       {"apiVersion: sluice/v1\n\tkind: Link\n", "f:2:1:"},
		"on the marker's line":      {"--- {apiVersion: sluice/v1, kind: Lnik}\n", `f:1:35: unknown kind "Lnik"`},
		"no broker":                 {strings.Replace(kafka, "[a:1]", "[]", 1), "f:5:14: spec.bootstrap: is missing; name at least one broker"},
		"nobody logs in":            {kafka + "  sasl: {mechanism: PLAIN}\n", "f:6:9: spec.sasl.username: is missing\nf:6:9: spec.sasl.password: is missing"},
		"a variable without a name": {kafka + "  sasl: {mechanism: PLAIN, username: u, password: \"${env:}\"}\n", "the variable's name is missing, ${env:NAME}"},
		"a topic's name twice":      {link + "  rename: \"{topic}-{topic}\"\n", "f:8:11: spec.rename: {topic} stands in it 2 times"},
		"keys in place of the map":  {strings.Replace(link, "{include: [t]}", "[t]", 1), "f:7:11: spec.topics: expected keys and values, found a list"},
		"two documents, the second": {kafka + "---\n" + strings.Replace(link, "target", "taget", 1), `f:12:3: unknown key "taget" in spec; did you mean "target"?`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse("f", c.text)
			if err == nil {
				t.Fatalf("accepted:\n%s", c.text)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the secret stands in the error")
			}
		})
	}
}

// TestParseBootstrapInBraces: nothing but a colon with a space after it makes
// a key, wherever it stands.
func TestParseBootstrapInBraces(t *testing.T) {
	objects, err := parse("f", "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec: {bootstrap: [a:1, b.c:9092, \"d:3\", '[::1]:4']}\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := objects[0].Kafka.Bootstrap; !reflect.DeepEqual(got, []string{"a:1", "b.c:9092", "d:3", "[::1]:4"}) {
		t.Errorf("%q", got)
	}
	if _, err := parse("f", "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: us}\nspec: {bootstrap: [a: 1]}\n"); err == nil {
		t.Error("a map was read as text")
	}
}

func TestParseReportsAllFaultsInOrder(t *testing.T) {
	_, err := parse("f", "apiVersion: sluice/v1\nkind: Link\nmetadata: {name: l}\nspec:\n  sorce: us\n  target: eu\n  onLoss: [x]\n  topics: {include: [t]}\n  stat: x\n")
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "f:5:3") || !strings.HasPrefix(lines[1], "f:7:11") || !strings.HasPrefix(lines[2], "f:9:3") {
		t.Errorf("%v", err)
	}
}

func TestReadDirectoryAndDuplicates(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: x}\nspec: {bootstrap: [a:1]}\n",
		"a.yml":  "apiVersion: sluice/v1\nkind: KafkaCluster\nmetadata: {name: x}\nspec: {bootstrap: [a:1]}\n",
		"c.txt":  "not: yaml: at all",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sources, err := Read([]string{dir, "-"}, strings.NewReader("---\n"))
	if err != nil || len(sources) != 3 || sources[2].Name != "stdin" {
		t.Fatalf("%v %v", sources, err)
	}
	_, err = ParseAll(context.Background(), sources)
	want := filepath.Join(dir, "b.yaml") + ":1:1: KafkaCluster x stands already at " + filepath.Join(dir, "a.yml") + ":1:1"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := Read([]string{filepath.Join(dir, "none")}, nil); err == nil {
		t.Error("a missing file was accepted")
	}
	if _, err := ParseAll(context.Background(), []Source{{Name: "e.yaml"}}); err == nil || !strings.Contains(err.Error(), "no object in e.yaml") {
		t.Errorf("empty: %v", err)
	}
}

// TestReadRefuses what is no text of objects, by its name.
func TestReadRefuses(t *testing.T) {
	empty := t.TempDir()
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, make([]byte, MaxText+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		empty: "no *.yaml or *.yml file in " + empty,
		large: "reading " + large + ": larger than 2MiB",
		"-":   "reading stdin: the pipe broke",
	} {
		if got, err := Read([]string{path}, iotest.ErrReader(errors.New("the pipe broke"))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v", path, got, err)
		}
	}
	for want, sources := range map[string][]Source{"no object in no file at all": nil, "no object in a and 1 more": {{Name: "a"}, {Name: "b", Text: "---\n"}}} {
		if _, err := ParseAll(context.Background(), sources); err == nil || !strings.HasPrefix(err.Error(), want+"; one begins with") {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestDecodeKinds: every kind of value that a configuration has, well and
// badly written.
func TestDecodeKinds(t *testing.T) {
	type inner struct{ Deep int16 }
	var into struct {
		inner
		Wait   time.Duration
		Size   Size `yaml:"bytes"`
		On     bool
		Words  []string
		Hidden string `yaml:"-"`
	}
	docs, err := Documents("f", []byte("deep: 7\nwait: 500ms\nbytes: 2MiB\non: true\nwords: [a, b]\n"))
	if err != nil {
		t.Fatal(err)
	}
	fields, err := docs[0].Decode(&into)
	if err != nil || into.Deep != 7 || into.Wait != 500*time.Millisecond || into.Size != 2<<20 || !into.On || !slices.Equal(into.Words, []string{"a", "b"}) {
		t.Errorf("%+v %v", into, err)
	}
	if !fields.Has("wait") || fields.Has("hidden") {
		t.Errorf("%+v", fields)
	}
	for text, want := range map[string]string{
		"wait: 5\n":         `f:1:7: wait: "5" is not a duration like 500ms, 10s or 2h`,
		"bytes: much\n":     `f:1:8: bytes: "much" is not a size`,
		"on: yes\n":         `f:1:5: on: expected true or false, found "yes"`,
		"deep: 32768\n":     `f:1:7: deep: "32768" is not a whole number that fits`,
		"hidden: x\n":       `f:1:1: unknown key "hidden"`,
		"- wait\n":          "f:1:1: the document: expected keys and values, found a list",
		"words: {a: b}\n":   "f:1:8: words: expected a list, found keys and values",
		"words: [a, [b]]\n": "f:1:12: words[1]: expected one value, found a list",
	} {
		docs, err := Documents("f", []byte(text))
		if err == nil {
			_, err = docs[0].Decode(&into)
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1": 1, "512B": 512, "50MiB": 50 << 20, "1.5GiB": 3 << 29, "10 MB": 10_000_000, "2kB": 2000} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("%s: %d %v", text, got, err)
		}
		if back, err := ParseSize(got.String()); err != nil || back != got {
			t.Errorf("%s -> %s -> %d %v", text, got, back, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1e400", "NaN", "5 bananas", "0x10"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q gave %d", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("apiVersion: sluice/v1\nkind: Link\nspec: &x {topics: *x}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		objects, err := parse("f", string(text))
		if err != nil {
			return
		}
		for _, o := range objects {
			if (o.Kafka == nil) == (o.Link == nil) || CheckName(o.Name) != nil {
				t.Fatalf("accepted %+v", o)
			}
		}
	})
}

// TestDeepNesting: what would cost the parser gigabytes is refused before.
func TestDeepNesting(t *testing.T) {
	for _, open := range []string{"[", "{a: ", "- ", "? "} {
		text := "a: b\nc:\n  " + strings.Repeat(open, 50_000)
		_, err := parse("deep.yaml", text)
		if err == nil || !strings.Contains(err.Error(), "deep.yaml:3:") || !strings.Contains(err.Error(), "nested deeper than 64 levels") {
			t.Errorf("%q: %.200v", open, err)
		}
	}
}
