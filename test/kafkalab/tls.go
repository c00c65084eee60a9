package kafkalab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certs are a cluster's own certificate authority and the certificates by it.
type certs struct {
	caFile, serverFile, clientCertFile, clientKeyFile string

	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey
}

// makeCerts writes a new authority, a server certificate for 127.0.0.1 and localhost, and a client
// certificate (CN=User) as PEM files into dir.
func makeCerts(dir string) (*certs, error) {
	s := &certs{
		caFile: filepath.Join(dir, "ca.pem"), serverFile: filepath.Join(dir, "server.pem"),
		clientCertFile: filepath.Join(dir, "client.pem"), clientKeyFile: filepath.Join(dir, "client.key"),
	}
	caPEM, _, err := s.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "kafkalab"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	})
	if err != nil {
		return nil, err
	}
	server, serverKey, err := s.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "broker"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return nil, err
	}
	client, clientKey, err := s.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: User}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	for path, b := range map[string][]byte{
		s.caFile: caPEM, s.serverFile: append(serverKey, server...),
		s.clientCertFile: client, s.clientKeyFile: clientKey,
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return nil, fmt.Errorf("writing certificates: %w", err)
		}
	}
	return s, nil
}

// issue makes a key and a certificate from a template, both as PEM. The first one is the authority.
func (s *certs) issue(template *x509.Certificate) (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(48*time.Hour)
	if s.ca == nil {
		s.ca, s.caKey = template, k
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.ca, &k.PublicKey, s.caKey)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k) // the only form that Kafka reads
	if err != nil {
		return nil, nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

// CAFile returns the PEM file of the cluster's authority, "" without a TLS listener.
func (c *Cluster) CAFile() string {
	if c.certs == nil {
		return ""
	}
	return c.certs.caFile
}

// ClientCertFiles returns PEM files of a client certificate and its key for MutualTLS listeners.
func (c *Cluster) ClientCertFiles() (cert, key string) {
	if c.certs == nil {
		return "", ""
	}
	return c.certs.clientCertFile, c.certs.clientKeyFile
}

// TLSConfig returns a client's settings for the TLS listeners, the client certificate included.
func (c *Cluster) TLSConfig() (*tls.Config, error) {
	if c.certs == nil {
		return nil, fmt.Errorf("the cluster has no TLS listener")
	}
	pemCA, err := os.ReadFile(c.certs.caFile)
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pemCA)
	pair, err := tls.LoadX509KeyPair(c.certs.clientCertFile, c.certs.clientKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the client certificate: %w", err)
	}
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, nil
}
