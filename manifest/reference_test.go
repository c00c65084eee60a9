package manifest

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"sluice/test/keys"
)

//go:generate go test -run TestReferenceIsCurrent -update

var update = flag.Bool("update", false, "write the reference anew")

// forms are the documents of each kind.
func forms(t *testing.T) map[Kind][]keys.Key {
	return map[Kind][]keys.Key{KindKafkaCluster: keys.Of(t, kafkaDoc{}), KindLink: keys.Of(t, linkDoc{})}
}

// example is an object of the kind with all keys.
func example(kind Kind, all []keys.Key) string {
	name := map[Kind]string{KindKafkaCluster: "us", KindLink: "us-eu"}[kind]
	return strings.NewReplacer("KIND", string(kind), "NAME", name).Replace(keys.Whole(all))
}

const objectsIntro = `# Objects

<!-- Made from manifest/object.go: go generate ./manifest -->

What Sluice is to do is written as YAML, one or more objects in a file with ` + "`---`" + ` between them, and given to any node: ` + "`sluice apply -f FILE`" + `.
A key that is not known is a fault with its line and column. ` + "`sluice validate -f FILE`" + ` looks for faults without a node, ` + "`sluice plan -f FILE`" + ` asks
both Kafka clusters and says what would happen, ` + "`sluice get -o yaml`" + ` gives back what ` + "`apply`" + ` takes.
`

func objectsReference(t *testing.T) string {
	var b strings.Builder
	b.WriteString(objectsIntro)
	all := forms(t)
	for _, kind := range []Kind{KindKafkaCluster, KindLink} {
		b.WriteString("\n## " + string(kind) + "\n\n" + keys.Table(all[kind]) + "\nWith all keys:\n\n```yaml\n" + example(kind, all[kind]) + "```\n")
	}
	return b.String()
}

func TestReferenceIsCurrent(t *testing.T) {
	const path = "../docs/reference/objects.md"
	want := objectsReference(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != want {
		t.Errorf("docs/reference/objects.md is not what the code says (%v); if the change is meant: go generate ./manifest", err)
	}
}

// TestExamplesAreObjects: what the reference shows can be applied.
func TestExamplesAreObjects(t *testing.T) {
	for kind, all := range forms(t) {
		if _, err := ParseAll(t.Context(), []Source{{Name: "example.yaml", Text: example(kind, all)}}); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, example(kind, all))
		}
	}
}

// TestDefaultsAreThoseOfTheReference: a key left out means what its tag says.
func TestDefaultsAreThoseOfTheReference(t *testing.T) {
	bare := linkDoc{Spec: linkSpec{Source: "us", Target: "eu", Topics: topicsSpec{Include: []string{"a"}}}}
	want, err := bare.object()
	if err != nil {
		t.Fatal(err)
	}
	said := bare
	v := reflect.ValueOf(&said.Spec).Elem()
	count := 0
	for i := range v.NumField() {
		if d := v.Type().Field(i).Tag.Get("default"); d != "" {
			v.Field(i).SetString(d)
			count++
		}
	}
	got, err := said.object()
	if err != nil || !reflect.DeepEqual(got, want) || count < 5 {
		t.Errorf("%d defaults: %+v, want %+v (%v)", count, got, want, err)
	}
}
