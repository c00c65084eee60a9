package api_test

import (
	"errors"
	"strings"
	"testing"

	"sluice/api"
	"sluice/api/apitest"
)

// TestSecretsAreLookedAtFirst: a reference that the node does not follow, or
// cannot, is told at its place before any Kafka cluster is asked, by a dry run
// too.
func TestSecretsAreLookedAtFirst(t *testing.T) {
	f := apitest.New(t)
	pf := &checker{}
	var read []string
	_, c := f.Serve(func(_ *api.Config, p *api.Parts) {
		p.Preflight = pf
		p.Secret = func(ref string) error {
			if read = append(read, ref); ref == "${env:GOOD}" {
				return nil
			}
			return errors.New("secret " + ref + ": not allowed on this node")
		}
	})
	with := func(password string) api.ApplyRequest {
		return request(strings.Replace(objects, `spec: {bootstrap: ["us:1"]`, `spec: {bootstrap: ["us:1"], sasl: {mechanism: PLAIN, username: u, password: "`+password+`"}`, 1))
	}
	for _, dry := range []bool{true, false} {
		r := with("${file:/node.key}")
		r.DryRun = dry
		_, err := c.Apply(t.Context(), r)
		wants(t, "a secret", err, 422, api.CodeManifest, "links.yaml:4:", "spec.sasl.password: secret ${file:/node.key}: not allowed on this node", "nothing was changed")
	}
	_, err := c.Apply(t.Context(), with("${file:/gone}"))
	wants(t, "a missing file", err, 422, api.CodeManifest, "links.yaml:4:", "spec.sasl.password: secret ${file:/gone}: ", "nothing was changed", "put it right on each, and apply again")
	if len(pf.asked) != 0 || len(f.View().Kafka) != 0 {
		t.Errorf("asked about %v", pf.asked)
	}
	if _, err := c.Apply(t.Context(), with("${env:GOOD}")); err != nil {
		t.Error(err)
	}
	read = nil
	r := with("${file:/node.key}") // deleting it reads nothing
	r.Delete, r.DryRun = true, true
	if _, err := c.Apply(t.Context(), r); err != nil || len(read) != 0 {
		t.Error(err, read)
	}
}
