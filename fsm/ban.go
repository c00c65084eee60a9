package fsm

import (
	"cmp"
	"strings"
)

// Ban keeps the certificate of a node that was taken out from everything, until
// it is lifted.
type Ban struct {
	Name string `json:"name"`          // of the node
	Key  string `json:"key,omitempty"` // as Node.Key; empty: unknown, whatever certificate has the name
	At   int64  `json:"at"`            // unix ms
}

// Bans reports whether it is on a certificate.
func (b Ban) Bans(name, key string) bool { return b.Key == key || b.Key == "" && b.Name == name }

// Bans are all of them, by Name and Key.
type Bans []Ban

// On returns the ban on a certificate, nil: there is none.
func (b Bans) On(name, key string) *Ban {
	for i := range b {
		if b[i].Bans(name, key) {
			return &b[i]
		}
	}
	return nil
}

// Named returns the first ban on a node of a name, nil: there is none.
func (b Bans) Named(name string) *Ban {
	for i := range b {
		if b[i].Name == name {
			return &b[i]
		}
	}
	return nil
}

// names lists whom they are on, each once.
func (b Bans) names() []string {
	var out []string
	for _, x := range b {
		if len(out) == 0 || out[len(out)-1] != x.Name {
			out = append(out, x.Name)
		}
	}
	return out
}

func byBan(a, b Ban) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Key, b.Key))
}
