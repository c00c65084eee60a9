package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/url"
	"strings"
)

// A certificate names its node in a URI of its own kind, which nobody puts
// there for another reason: sluice://node/NAME.
const (
	nodeScheme = "sluice"
	nodeHost   = "node"
)

func nodeURI(name string) *url.URL {
	return &url.URL{Scheme: nodeScheme, Host: nodeHost, Path: "/" + name}
}

// NameOf is the name of the node that a certificate is of; empty: it names
// none, or several.
func NameOf(leaf *x509.Certificate) string {
	name := ""
	for _, u := range leaf.URIs {
		if u.Scheme != nodeScheme || u.Host != nodeHost {
			continue
		}
		if name != "" {
			return ""
		}
		name = strings.TrimPrefix(u.Path, "/")
	}
	return name
}

// Unnamed is what is wrong with a certificate that names no node, as the end of
// a sentence that begins with whose it is.
const Unnamed = "is not a Sluice node's, for it names none: make one with `sluice cert node`"

// KeyOf is the fingerprint of a certificate's public key.
func KeyOf(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}
