package canary

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestCanariesAreFound wherever and however they are written.
func TestCanariesAreFound(t *testing.T) {
	var f Flock
	secret := f.New("password")
	f.New("another")
	wide := func(swap bool) string {
		var b strings.Builder
		for _, c := range utf16.Encode([]rune("password=" + secret)) {
			pair := []byte{byte(c), byte(c >> 8)}
			if swap {
				slices.Reverse(pair)
			}
			b.Write(pair)
		}
		return b.String()
	}
	asJSON, err := json.Marshal(map[string]string{"password": secret})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as it is": "x" + secret + "y", "in hex": hex.EncodeToString([]byte(secret)), "in upper hex": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"in UTF-16": wide(false), "in UTF-16, big end first": wide(true),
		"in a URL": url.QueryEscape(secret), "in JSON": string(asJSON),
		"the first half": secret[:half], "the second half": secret[len(secret)-half:],
		"in base64": base64.StdEncoding.EncodeToString([]byte(secret)), "in base64 as SASL has it": base64.StdEncoding.EncodeToString([]byte("\x00user\x00" + secret)),
		"in base64 behind two": base64.StdEncoding.EncodeToString([]byte("ab" + secret + "c")), "in base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte("a" + secret)),
	} {
		got := f.In([]byte(text))
		if len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return !strings.HasPrefix(s, "password, ") }) {
			t.Errorf("%s: found %q in %q", name, got, text)
		}
	}
	if got := f.In([]byte(strings.Repeat("nothing here ", 1000))); len(got) != 0 {
		t.Errorf("found %q where there is none", got)
	}
}

// TestKeysAreFound as PEM and as bytes, and no certificate of theirs is.
func TestKeysAreFound(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for kind, der := range map[string][]byte{"EC PRIVATE KEY": sec1, "PRIVATE KEY": pkcs8} {
		var f Flock
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		if err := f.Add("key", text); err != nil {
			t.Fatal(err)
		}
		if len(f.In(text)) == 0 || len(f.In(der)) == 0 {
			t.Errorf("%s: not found", kind)
		}
		open := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
		if got := append(f.In(open), f.In(public)...); len(got) > 0 {
			t.Errorf("%s: the public key is taken for the key: %q", kind, got)
		}
	}
	var f Flock
	if err := f.Add("token", []byte("short")); err == nil {
		t.Error("a token of five letters is looked for")
	}
}
