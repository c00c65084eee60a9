package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Validity of what CreateCA and CreateNodeCert make. Certificates begin an
// hour ago, so that nodes with lagging clocks accept them at once.
const (
	caValidity   = 10 * 365 * 24 * time.Hour
	nodeValidity = 825 * 24 * time.Hour
	backdate     = time.Hour
)

// Names of the CA's files in its directory.
const (
	CACertFile = "ca.pem"
	CAKeyFile  = "ca.key"
)

// CreateCA writes a new certificate authority, ca.pem and ca.key (ECDSA
// P-256, ten years), to dir, which is created when missing. Existing files are
// never overwritten.
func CreateCA(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("creating CA key: %w", err)
	}
	cert := template("Sluice CA", caValidity)
	cert.IsCA, cert.BasicConstraintsValid, cert.MaxPathLenZero = true, true, true
	cert.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("creating CA certificate: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating CA directory: %w", err)
	}
	return writePair(dir, CACertFile, CAKeyFile, der, key)
}

// CreateNodeCert writes NAME.pem and NAME.key, signed by the CA in dir, for
// the host names and IP addresses under which other nodes dial this one. It
// names the node, so that no other one passes for it. The
// certificate serves both as a server's and as a client's. Existing files are
// never overwritten.
func CreateNodeCert(dir, name string, hosts []string) error {
	if err := checkNodeName(name); err != nil {
		return err
	}
	if len(hosts) == 0 {
		return errors.New("a node's certificate needs at least one host name or IP address")
	}
	a, err := loadAuthority(dir)
	if err != nil {
		return err
	}
	cert := template(name, nodeValidity)
	cert.URIs = []*url.URL{nodeURI(name)}
	cert.KeyUsage = x509.KeyUsageDigitalSignature
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		switch ip := net.ParseIP(host); {
		case ip != nil:
			cert.IPAddresses = append(cert.IPAddresses, ip)
		case host == "" || strings.ContainsAny(host, ":/@ "):
			return fmt.Errorf("%q is neither a host name nor an IP address; leave scheme and port out", host)
		default:
			cert.DNSNames = append(cert.DNSNames, host)
		}
	}
	der, key, err := a.sign(cert)
	if err != nil {
		return err
	}
	return writePair(dir, name+".pem", name+".key", der, key)
}

func checkNodeName(name string) error {
	if name == "" || name == "ca" || filepath.Base(name) != name {
		return fmt.Errorf("node name %q is no file name of a node", name)
	}
	return nil
}

func template(name string, validity time.Duration) *x509.Certificate {
	now := time.Now()
	serial := new(big.Int).SetBytes([]byte(rand.Text())) // about 128 random bits
	return &x509.Certificate{
		SerialNumber: serial.Rsh(serial, 64),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Sluice"}},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(validity),
	}
}

// authority is a CA that can sign.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func loadAuthority(dir string) (*authority, error) {
	certPath, keyPath := filepath.Join(dir, CACertFile), filepath.Join(dir, CAKeyFile)
	certPEM, err := os.ReadFile(certPath)
	if err != nil {
		return nil, fmt.Errorf("reading the authority (create one with `sluice cert ca`, name its folder with --dir): %w", err)
	}
	keyPEM, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's key, without which nothing can be signed: %w; it is where `sluice cert ca` was run, name that folder with --dir", err)
	}
	cert, err := leafOf(certPEM)
	if err != nil {
		return nil, fmt.Errorf("reading the authority %s: %w", certPath, err)
	}
	keyBlock, _ := pem.Decode(keyPEM)
	if keyBlock == nil {
		return nil, fmt.Errorf("reading the authority's key %s: no PEM", keyPath)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's key %s: %w", keyPath, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	switch {
	case !ok:
		return nil, fmt.Errorf("reading the authority's key %s: not an ECDSA key", keyPath)
	case !key.PublicKey.Equal(cert.PublicKey):
		return nil, fmt.Errorf("%s is not the key of the first authority in %s", keyPath, certPath)
	case !time.Now().Before(cert.NotAfter):
		return nil, fmt.Errorf("the authority in %s has expired at %s, and nobody accepts what it signs: make a new one (`sluice cert ca`) in another folder", certPath, Stamp(cert.NotAfter))
	}
	return &authority{dir, cert, key}, nil
}

// sign makes a key and signs a certificate for it, which ends with the authority
// at the latest.
func (a *authority) sign(cert *x509.Certificate) ([]byte, *ecdsa.PrivateKey, error) {
	if cert.NotAfter.After(a.cert.NotAfter) {
		cert.NotAfter = a.cert.NotAfter
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("creating node key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing node certificate: %w", err)
	}
	return der, key, nil
}

// writePair writes the key first (0600), then the certificate (0644). Neither
// file may exist; a key whose certificate could not be written is removed.
func writePair(dir, certFile, keyFile string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding key: %w", err)
	}
	keyPath, certPath := filepath.Join(dir, keyFile), filepath.Join(dir, certFile)
	if _, err := os.Lstat(certPath); err == nil {
		return fmt.Errorf("writing %s: %w; remove it first if it is not needed", certPath, os.ErrExist)
	}
	if err := writeNew(keyPath, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return err
	}
	if err := writeNew(certPath, "CERTIFICATE", der, 0o644); err != nil {
		return errors.Join(err, os.Remove(keyPath))
	}
	return nil
}

func writeNew(path, kind string, der []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("writing key pair: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
