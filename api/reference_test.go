package api_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"sluice/api/apitest"
)

//go:generate go test -run TestReferenceIsCurrent -update

var update = flag.Bool("update", false, "write the reference anew")

// document is what the reference shows of an OpenAPI document.
type document struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	OperationID, Summary string
	Parameters           []struct {
		Name, In, Description string
		Required              bool
		Schema                schema
	}
	RequestBody struct{ Content map[string]content }
	Responses   map[string]struct{ Content map[string]content }
}

type content struct{ Schema schema }

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Format, Description  string
	Enum                 []any
	Default              any
	Minimum, Maximum     *float64
	Items                *schema
	Properties           map[string]schema
	AdditionalProperties any
}

// name is the type in one word.
func (s *schema) name() string {
	if s.Ref != "" {
		of := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		return fmt.Sprintf("[%s](#%s)", of, strings.ToLower(of))
	}
	kinds := []string{}
	switch kind := s.Type.(type) {
	case string:
		kinds = append(kinds, kind)
	case []any:
		for _, k := range kind {
			kinds = append(kinds, fmt.Sprint(k))
		}
	}
	if i := slices.Index(kinds, "array"); i >= 0 && s.Items != nil {
		kinds[i] = "list of " + s.Items.name()
	}
	out := strings.Join(kinds, " or ")
	if s.Format != "" {
		out += " (" + s.Format + ")"
	}
	return out
}

// about is the description, with what else limits the value.
func (s *schema) about() string {
	out := []string{}
	if s.Description != "" {
		out = append(out, s.Description)
	}
	if len(s.Enum) > 0 {
		var words []string
		for _, e := range s.Enum {
			words = append(words, fmt.Sprintf("`%v`", e))
		}
		out = append(out, "One of "+strings.Join(words, ", ")+".")
	}
	if s.Default != nil {
		out = append(out, fmt.Sprintf("Left out: %v.", s.Default))
	}
	return strings.ReplaceAll(strings.Join(out, " "), "|", `\|`)
}

func body(c map[string]content) string {
	for _, kind := range slices.Sorted(maps.Keys(c)) {
		s := c[kind].Schema
		return s.name()
	}
	return ""
}

const apiIntro = `# The HTTP API

<!-- Made from the OpenAPI document that nodes serve: go generate ./api -->

Every node answers at ` + "`http.listen`" + ` of its node.yaml; a change is forwarded to the leader. JSON both ways; the OpenAPI document itself is at
` + "`/v1/openapi.json`" + ` and ` + "`/v1/openapi.yaml`" + `. With ` + "`http.tokenFile`" + ` set every request needs ` + "`Authorization: Bearer TOKEN`" + `; without, only loopback is answered.
Errors are RFC 9457 objects, [Problem](#problem), whose ` + "`code`" + ` stays the same from version to version. An answer carries the index and the age of the
facts that it rests on; a change returns its index. Every read but those of ` + "`/v1/verify`" + ` takes ` + "`minIndex`" + ` (wait until this node has that index) and
` + "`consistent=true`" + ` (ask the leader first). What is not known is null, never 0 or -1.

Beside these, without a token: ` + "`/livez`" + ` (the process answers) and ` + "`/readyz`" + ` (a leader has confirmed this node's facts lately, else 503); and
` + "`/metrics`" + `, see [metrics](metrics.md).

| request | what it does | body | answer |
|---|---|---|---|
`

func apiReference(t *testing.T) string {
	srv, _ := apitest.New(t).Serve(nil)
	resp, err := http.Get(srv.URL + "/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	var list, parameters strings.Builder
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			o := d.Paths[path][method]
			request := fmt.Sprintf("`%s %s`", strings.ToUpper(method), path)
			answer := ""
			for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
				if strings.HasPrefix(status, "2") {
					answer = body(o.Responses[status].Content)
				}
			}
			fmt.Fprintf(&list, "| %s | %s | %s | %s |\n", request, o.Summary, body(o.RequestBody.Content), answer)
			for _, p := range o.Parameters {
				if p.In != "query" || p.Name == "consistent" || p.Name == "minIndex" {
					continue // the intro tells of them
				}
				fmt.Fprintf(&parameters, "| %s | `%s` | %s | %s |\n", request, p.Name, p.Schema.name(), p.Schema.about())
			}
		}
	}
	var b strings.Builder
	b.WriteString(apiIntro + list.String())
	b.WriteString("\n## Parameters\n\n| request | name | type | what it says |\n|---|---|---|---|\n" + parameters.String())
	b.WriteString("\n## Types\n")
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		s := d.Components.Schemas[name]
		fmt.Fprintf(&b, "\n### %s\n\n| field | type | what it says |\n|---|---|---|\n", name)
		for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
			f := s.Properties[field]
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", field, f.name(), f.about())
		}
	}
	return b.String()
}

func TestReferenceIsCurrent(t *testing.T) {
	const path = "../docs/reference/api.md"
	want := apiReference(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != want {
		t.Errorf("docs/reference/api.md is not what the nodes serve (%v); if the change is meant: go generate ./api", err)
	}
}
