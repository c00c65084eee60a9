package keys_test

import (
	"testing"

	"sluice/test/keys"
)

type inner struct {
	Port int `yaml:"port" doc:"A port." example:"7"`
}

type form struct {
	Name string `yaml:"name" doc:"a|b" example:"x"`
	In   *inner `yaml:"in,omitempty"`
	Bare string `yaml:"bare" doc:"no example"`
}

type faults struct {
	testing.TB
	count int
}

func (f *faults) Helper()               {}
func (f *faults) Errorf(string, ...any) { f.count++ }

func TestKeys(t *testing.T) {
	f := &faults{TB: t}
	all := keys.Of(f, form{Name: "me"})
	if f.count != 1 {
		t.Errorf("%d faults, want one for the key without an example", f.count)
	}
	if got, want := keys.Table(all), "| key | default | what it says |\n|---|---|---|\n| `name` | `me` | a\\|b |\n| `in.port` |  | A port. |\n| `bare` |  | no example |\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, want := keys.Whole(all), "name: x\nin:\n  port: 7\nbare:\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
