package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Renewed is what a renewal made.
type Renewed struct {
	Former, Until time.Time // ends of the former certificate and of the new one
	Hosts         string    // that both are for
}

// RenewNodeCert puts a new pair in the place of NAME.pem and NAME.key, with a
// new key, signed by the CA in dir, which must have signed the former
// certificate: for the same node, hosts and uses. Each file is replaced at once
// and keeps its owner; the former pair is not kept. It may have expired. Where
// the process ends between the two files, renewing again mends it.
func RenewNodeCert(dir, name string) (Renewed, error) {
	if err := checkNodeName(name); err != nil {
		return Renewed{}, err
	}
	a, err := loadAuthority(dir)
	if err != nil {
		return Renewed{}, err
	}
	// Where a name leads somewhere else, what it leads to is replaced.
	certPath, err := filepath.EvalSymlinks(filepath.Join(dir, name+".pem"))
	if err != nil {
		return Renewed{}, fmt.Errorf("reading the certificate to renew: %w; a first one is made by `sluice cert node %s --host HOST`", err, name)
	}
	former, err := a.signed(certPath, name)
	if err != nil {
		return Renewed{}, err
	}
	keyPath := filepath.Join(dir, name+".key")
	if there, err := filepath.EvalSymlinks(keyPath); err == nil {
		keyPath = there
	}
	cert := template(name, nodeValidity)
	cert.RawSubject, cert.DNSNames, cert.IPAddresses, cert.URIs = former.RawSubject, former.DNSNames, former.IPAddresses, former.URIs
	cert.KeyUsage, cert.ExtKeyUsage = former.KeyUsage, former.ExtKeyUsage
	der, key, err := a.sign(cert)
	if err != nil {
		return Renewed{}, err
	}
	if err := replacePair(certPath, keyPath, der, key); err != nil {
		return Renewed{}, err
	}
	return Renewed{Former: former.NotAfter, Until: cert.NotAfter, Hosts: hostsOf(former)}, nil
}

// signed reads the certificate of a node, which the authority must have signed.
func (a *authority) signed(path, name string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate to renew: %w", err)
	}
	cert, err := leafOf(b)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate to renew, %s: %w", path, err)
	}
	anew := fmt.Sprintf("make one with `sluice cert node %s --host HOST`, in a folder with ca.pem and ca.key alone", name)
	switch of := NameOf(cert); {
	case cert.CheckSignatureFrom(a.cert) != nil:
		return nil, fmt.Errorf("%s is signed by %q and not by the authority in %s: name the folder of its authority with --dir; or, where all nodes trust this one, %s",
			path, cert.Issuer.CommonName, filepath.Join(a.dir, CACertFile), anew)
	case of == "":
		return nil, fmt.Errorf("%s names no Sluice node, and neither would its successor: %s", path, anew)
	case of != name:
		return nil, fmt.Errorf("%s is the certificate of the node %s, not of %s: put each node's where its name says", path, of, name)
	}
	return cert, nil
}

// replacePair puts a new pair in the place of two files, the key first.
func replacePair(certPath, keyPath string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding key: %w", err)
	}
	certFile, err := beside(certPath, certPath, "CERTIFICATE", der, 0o644)
	if err != nil {
		return err
	}
	keyFile, err := beside(keyPath, certPath, "PRIVATE KEY", keyDER, 0o600)
	if err != nil {
		return errors.Join(err, os.Remove(certFile))
	}
	if err := os.Rename(keyFile, keyPath); err != nil {
		return errors.Join(fmt.Errorf("replacing %s: %w", keyPath, err), os.Remove(keyFile), os.Remove(certFile))
	}
	if err := os.Rename(certFile, certPath); err != nil {
		return errors.Join(fmt.Errorf("replacing %s, whose new key is in place already: %w; renew it again", certPath, err), os.Remove(certFile))
	}
	if _, err := tls.LoadX509KeyPair(certPath, keyPath); err != nil {
		return fmt.Errorf("reading the new pair, which somebody else has replaced perhaps: %w; renew it again", err)
	}
	return nil
}

// beside writes a file next to the one whose place it is to take, with the
// owner and, within bounds, the mode of that one; where it is not there, with
// the owner of another one.
func beside(path, other, kind string, der []byte, mode os.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return "", fmt.Errorf("writing beside %s: %w", path, err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(fmt.Errorf("writing beside %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	info, err := os.Stat(path)
	if err == nil {
		mode |= info.Mode().Perm() & 0o040 // the node may read it by its group
	} else if info, err = os.Stat(other); err != nil {
		return "", err
	}
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	if err := keepOwner(f, info); err != nil {
		return "", err
	}
	if err := pem.Encode(f, &pem.Block{Type: kind, Bytes: der}); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}
