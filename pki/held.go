package pki

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"sluice/words"
)

// What a certificate is used for.
const (
	UsePeer   = "peer"    // shown to other nodes: peer.tls.cert
	UsePeerCA = "peer-ca" // an authority that may sign nodes: peer.tls.ca
	UseHTTP   = "http"    // shown by the API: http.tls.cert
)

// Held is a certificate that a node has read and uses. Nodes tell each other of
// theirs, between versions too.
type Held struct {
	Use   string        `json:"use"`
	Name  string        `json:"name"` // of its subject
	File  string        `json:"file"` // on the node
	From  time.Time     `json:"from"`
	Until time.Time     `json:"until"`           // nobody accepts it any more from then on
	By    string        `json:"by,omitempty"`    // the authority above it that ends then; empty: it ends itself
	Life  time.Duration `json:"life"`            // the whole of that which ends then
	Fault string        `json:"fault,omitempty"` // why what stands in the files now is not used instead
}

// Urgency is how soon somebody has to do something.
type Urgency int

// The urgencies.
const (
	Fine Urgency = iota
	Soon         // it ends within 30 days
	Near         // within 7
	Last         // within 1
	Over         // it has ended, or not begun
)

// String is the word for it in the API.
func (u Urgency) String() string { return [...]string{"fine", "soon", "near", "last", "over"}[u] }

// day is the unit in which people think of certificates.
const day = 24 * time.Hour

// wholeLife is from how long a life the days above are meant. Of a shorter one
// the same parts count: a quarter is Soon. What renews certificates by itself
// does so while a third is left, so that then it has failed.
const wholeLife = 120 * day

// Urgency says how soon somebody has to do something about the certificate's
// end.
func (h Held) Urgency(now time.Time) Urgency {
	if !now.Before(h.Until) || now.Before(h.From) {
		return Over
	}
	left, unit := h.Until.Sub(now), min(h.Life, wholeLife)/(wholeLife/day)
	switch {
	case left < unit:
		return Last
	case left < 7*unit:
		return Near
	case left < 30*unit:
		return Soon
	}
	return Fine
}

// Text says what is the matter and what to do, in a sentence that may follow
// another one; empty: the certificate is fine.
func (h Held) Text(now time.Time) string {
	urgency := h.Urgency(now)
	switch {
	case urgency == Fine:
		return ""
	case now.Before(h.From):
		return fmt.Sprintf("%s is valid only from %s; is this machine's clock right?", h.what(), Stamp(h.From))
	case h.By != "" && urgency == Over:
		return fmt.Sprintf("%s is not accepted any more: the authority %q above it has expired at %s: make a new authority, and sign all certificates anew", h.what(), h.By, Stamp(h.Until))
	case h.By != "":
		return fmt.Sprintf("%s is accepted until %s only, %s: the authority %q above it ends then: make a new authority, and sign all certificates anew", h.what(), Stamp(h.Until), in(h.Until.Sub(now)), h.By)
	case urgency == Over:
		return fmt.Sprintf("%s has expired at %s: %s", h.what(), Stamp(h.Until), h.remedy())
	}
	return fmt.Sprintf("%s ends at %s, %s: %s", h.what(), Stamp(h.Until), in(h.Until.Sub(now)), h.remedy())
}

func (h Held) what() string {
	if h.Use == UsePeerCA {
		return fmt.Sprintf("the authority %q in %s", h.Name, h.File)
	}
	return "the certificate " + h.File
}

// remedy is what to do about an end.
func (h Held) remedy() string {
	switch h.Use {
	case UsePeer:
		return "renew it (`sluice cert renew`); a running node takes it up by itself"
	case UsePeerCA:
		return "make a new authority and sign all certificates anew; or take it out of the file, where it signs none any more"
	}
	return "put a new one in its place; a running node takes it up by itself"
}

// in words a time that is left.
func in(left time.Duration) string {
	switch {
	case left >= 2*day:
		return "in " + words.Count(int(left/day), "day")
	case left >= 2*time.Hour:
		return "in " + words.Count(int(left/time.Hour), "hour")
	}
	return "in " + words.Count(max(1, int(left/time.Minute)), "minute")
}

// subject is what a certificate is called.
func subject(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" && len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	return strings.ToValidUTF8(cmp.Or(name, c.Subject.String(), c.SerialNumber.String()), "?")
}
