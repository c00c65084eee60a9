package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"sluice/test/certs"
)

// TestUrgency: 30, 7 and 1 days of a long life, the same parts of a short one.
// What is renewed in time is never told of.
func TestUrgency(t *testing.T) {
	end := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		life, left time.Duration
		want       Urgency
	}{
		{825 * day, 31 * day, Fine}, {825 * day, 30*day - 1, Soon}, {825 * day, 7 * day, Soon}, {825 * day, 7*day - 1, Near},
		{825 * day, day, Near}, {825 * day, day - 1, Last}, {825 * day, 1, Last}, {825 * day, 0, Over}, {825 * day, -day, Over},
		{90 * day, 30 * day, Fine}, {90 * day, 23 * day, Fine}, {90 * day, 22 * day, Soon}, {90 * day, 5 * day, Near},
		{day, 8 * time.Hour, Fine}, {day, 5 * time.Hour, Soon}, {day, time.Hour, Near}, {day, 10 * time.Minute, Last}, {day, -time.Second, Over},
		{time.Hour, 20 * time.Minute, Fine}, {time.Hour, 10 * time.Minute, Soon},
	} {
		h := Held{From: end.Add(-c.life), Until: end, Life: c.life}
		if got := h.Urgency(end.Add(-c.left)); got != c.want {
			t.Errorf("%v of %v left: %v, want %v", c.left, c.life, got, c.want)
		}
	}
	early := Held{From: end, Until: end.Add(day), Life: day}
	if got := early.Urgency(end.Add(-time.Second)); got != Over {
		t.Errorf("before its time: %v", got)
	}
}

// TestText: what, where, when, and what to do.
func TestText(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	h := Held{Use: UsePeer, Name: "n1", File: "/etc/n1.pem", From: now.Add(-800 * day), Until: now.Add(10*day + time.Hour), Life: 810 * day}
	over, above, both, ca, http, early := h, h, h, h, h, h
	over.Until = now
	above.By = "Our CA"
	both.Until, both.By = now, "Our CA"
	ca.Use, ca.Name, ca.Until = UsePeerCA, "Our CA", now.Add(20*time.Hour)
	http.Use, http.Until = UseHTTP, now.Add(30*time.Second)
	early.From = now.Add(time.Hour)
	for _, c := range []struct {
		h    Held
		want string
	}{
		{h, "the certificate /etc/n1.pem ends at 2026-12-08T13:00:00Z, in 10 days: renew it (`sluice cert renew`); a running node takes it up by itself"},
		{over, "the certificate /etc/n1.pem has expired at 2026-11-28T12:00:00Z: renew it"},
		{above, `the certificate /etc/n1.pem is accepted until 2026-12-08T13:00:00Z only, in 10 days: the authority "Our CA" above it ends then: `},
		{both, `the certificate /etc/n1.pem is not accepted any more: the authority "Our CA" above it has expired at `},
		{ca, `the authority "Our CA" in /etc/n1.pem ends at 2026-11-29T08:00:00Z, in 20 hours: make a new authority`},
		{http, "the certificate /etc/n1.pem ends at 2026-11-28T12:00:30Z, in 1 minute: put a new one in its place"},
		{early, "the certificate /etc/n1.pem is valid only from 2026-11-28T13:00:00Z; is this machine's clock right?"},
		{Held{Until: now.Add(31 * day), Life: 825 * day}, ""},
	} {
		if got := c.h.Text(now); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestEndIsThatOfTheChain: a certificate is good as long as the one above it
// that ends first; of those that end together the highest is named, whose life
// is the longer one. Of two authorities that signed it the longer lasting counts.
func TestEndIsThatOfTheChain(t *testing.T) {
	at := func(days int) time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, days) }
	root, rootKey := issue(t, "Root", nil, nil, nil, at(0), at(1000))
	again, _ := issue(t, "Root", nil, nil, rootKey, at(0), at(2000)) // the same key, with a longer life
	between, betweenKey := issue(t, "Between", root, rootKey, nil, at(0), at(500))
	for _, c := range []struct {
		name       string
		until      int // of the leaf
		above      []*x509.Certificate
		cas        []*x509.Certificate
		wantUntil  int
		by         string
		signs      *x509.Certificate
		key        *ecdsa.PrivateKey
		wantInDays int // its life
	}{
		{"the leaf", 300, []*x509.Certificate{between}, []*x509.Certificate{root}, 300, "", between, betweenKey, 300},
		{"the one between", 700, []*x509.Certificate{between}, []*x509.Certificate{root}, 500, "Between", between, betweenKey, 500},
		{"the authority", 1500, nil, []*x509.Certificate{root}, 1000, "Root", root, rootKey, 1000},
		{"both", 1000, nil, []*x509.Certificate{root}, 1000, "Root", root, rootKey, 1000},
		{"two authorities", 1500, nil, []*x509.Certificate{root, again}, 1500, "", root, rootKey, 1500},
		{"an authority that is unknown", 700, nil, []*x509.Certificate{root}, 700, "", between, betweenKey, 700},
		{"no authorities, as at the API", 700, []*x509.Certificate{between}, nil, 500, "Between", between, betweenKey, 500},
	} {
		leaf, _ := issue(t, "n1", c.signs, c.key, nil, at(0), at(c.until))
		l := &loaded{chain: append([]*x509.Certificate{leaf}, c.above...), cas: c.cas}
		got := l.held(Files{Cert: "n1.pem", CA: "ca.pem"})[0]
		if !got.Until.Equal(at(c.wantUntil)) || got.By != c.by || got.Life != time.Duration(c.wantInDays)*day {
			t.Errorf("%s: until %s by %q, life %v", c.name, got.Until, got.By, got.Life)
		}
	}
}

// issue makes a certificate; without a parent it signs itself.
func issue(t *testing.T, name string, parent *x509.Certificate, parentKey, key *ecdsa.PrivateKey, from, to time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	var err error
	if key == nil {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(from.Unix() ^ to.Unix()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
		IsCA: name != "n1", BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out, key
}

// TestHeldListsAuthorities: all of the file, each with its own end.
func TestHeldListsAuthorities(t *testing.T) {
	s := newSite(t)
	certs.New(t, s.path("other"), "Other CA")
	s.write("ca.pem", s.read("ca.pem")+s.read("other/ca.pem"))
	held := s.open().Held()
	if len(held) != 3 || held[0].Name != "n1" || held[0].File != s.files.Cert || held[0].Use != UsePeer ||
		held[1].Name != "Our CA" || held[2].Name != "Other CA" || held[2].Use != UsePeerCA || held[2].File != s.files.CA {
		t.Errorf("%+v", held)
	}
}
