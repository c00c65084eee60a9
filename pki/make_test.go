package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCreatedCertificates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	if err := CreateNodeCert(dir, "n1", []string{"h"}); err == nil || !strings.Contains(err.Error(), "cert ca") {
		t.Errorf("without a CA: %v", err)
	}
	if err := CreateCA(dir); err != nil {
		t.Fatal(err)
	}
	if err := CreateNodeCert(dir, "n1", []string{"n1.example", "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"ca.key", "n1.key"} {
		info, err := os.Stat(filepath.Join(dir, f))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}
	before, _ := os.ReadFile(filepath.Join(dir, "n1.key"))
	if err := CreateCA(dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("second CA: %v", err)
	}
	if err := CreateNodeCert(dir, "n1", []string{"h"}); !errors.Is(err, os.ErrExist) {
		t.Errorf("second certificate: %v", err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "n1.key")); string(after) != string(before) {
		t.Error("a key was overwritten")
	}
	for _, name := range []string{"", "ca", "../x", "a/b"} {
		if err := CreateNodeCert(dir, name, []string{"h"}); err == nil {
			t.Errorf("node name %q was accepted", name)
		}
	}
	if err := CreateNodeCert(dir, "n2", nil); err == nil {
		t.Error("a certificate without hosts was made")
	}
	data, _ := os.ReadFile(filepath.Join(dir, "n1.pem"))
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.URIs) != 1 || cert.URIs[0].String() != "sluice://node/n1" || NameOf(cert) != "n1" {
		t.Errorf("the certificate names %v", cert.URIs)
	}
	if cert.VerifyHostname("n1.example") != nil || cert.VerifyHostname("127.0.0.1") != nil || cert.IsCA ||
		cert.SerialNumber.Sign() <= 0 || cert.SerialNumber.BitLen() < 100 {
		t.Errorf("certificate: %v %v, serial of %d bits", cert.DNSNames, cert.IPAddresses, cert.SerialNumber.BitLen())
	}
}

// TestNodeCertNamesHosts: a certificate for host:port would fit no dial.
func TestNodeCertNamesHosts(t *testing.T) {
	dir := t.TempDir()
	if err := CreateCA(dir); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1:7400", "n1.example:7400", "https://n1.example", "", "a b"} {
		if err := CreateNodeCert(dir, "n1", []string{"n1.example", host}); err == nil || !strings.Contains(err.Error(), "neither a host name nor an IP address") {
			t.Errorf("%q: %v", host, err)
		}
	}
	if err := CreateNodeCert(dir, "n1", []string{"n1.example", "::1", "10.0.0.1"}); err != nil {
		t.Error(err)
	}
}
