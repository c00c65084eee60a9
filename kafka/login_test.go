package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"

	"sluice/fsm"
)

func TestOldBroker(t *testing.T) {
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.MaxVersions(kversion.V2_6_0()))
	c := testClient(t, spec)
	conn, topic := leaderConn(t, c, "t", 0)
	for name, b := range map[string]Broker{"shared": c.Broker(conn.cfg.broker), "own": conn.Broker()} {
		if _, err := b.DescribeProducers(testContext(t), "t", 0); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := conn.Fetch(&FetchRequest{}, nil); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	r := get(t, produceAsync(t, conn, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
		{Topic: "t", TopicID: topic.ID, Partition: 0, Batch: testBatch(t, 0, 1, "x")},
	}}))
	if r.err != nil && !errors.Is(r.err, ErrUnsupported) {
		t.Error(r.err)
	}
}

func TestSASL(t *testing.T) {
	for _, mech := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mech, func(t *testing.T) {
			_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.EnableSASL(), kfake.Superuser(mech, "u", "s3cret"))
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte("wr0ng\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			spec.SASL = &fsm.SASL{Mechanism: mech, Username: "u", Password: "${file:" + file + "}"}
			p := testPool(t, func(c *Config) { c.RequestTimeout = 2 * time.Second })
			c, err := p.Client(testContext(t), spec)
			if err != nil {
				t.Fatal(err)
			}
			c.brokers = map[int32]BrokerInfo{0: brokerAt(t, spec.Bootstrap[0])}
			if _, err := c.Dial(testContext(t), 0); err == nil || strings.Contains(err.Error(), "wr0ng") {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			conn, _ := leaderConn(t, c, "t", 0)
			if _, _, err := conn.Broker().InitProducerID(testContext(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestUnknownMechanism(t *testing.T) {
	spec := fsm.KafkaCluster{Name: "k", Bootstrap: []string{"127.0.0.1:1"}, SASL: &fsm.SASL{Mechanism: "GSSAPI"}}
	if _, err := testPool(t).Client(testContext(t), spec); err == nil {
		t.Fatal("GSSAPI is taken")
	}
}

func TestTLS(t *testing.T) {
	ca, cert := testCertificate(t)
	_, spec := testCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	spec.TLS = &fsm.TLS{CA: "${file:" + file + "}"}
	conn, topic := leaderConn(t, testClient(t, spec), "t", 0)
	batch := testBatch(t, 0, 1000, strings.Repeat("x", 1000))
	for i := range 3 {
		r := get(t, produceAsync(t, conn, &ProduceRequest{Timeout: time.Second, Partitions: []ProducePartition{
			{Topic: "t", TopicID: topic.ID, Partition: 0, Batch: batch},
		}}))
		if r.err != nil || r.Partitions[0].BaseOffset != int64(i*1000) {
			t.Fatalf("%+v", r)
		}
	}
	spec.TLS = &fsm.TLS{CA: string(ca), ServerName: "other.example"}
	c := testClient(t, spec)
	c.brokers = map[int32]BrokerInfo{0: brokerAt(t, spec.Bootstrap[0])}
	var wrong *tls.CertificateVerificationError
	if _, err := c.Dial(testContext(t), 0); !errors.As(err, &wrong) {
		t.Fatal(err)
	}
	spec.TLS = &fsm.TLS{CA: "not PEM"}
	if _, err := testPool(t).Client(testContext(t), spec); err == nil {
		t.Fatal("a CA that is no PEM is taken")
	}
}

// testCertificate returns a self-signed certificate for 127.0.0.1, as PEM and
// with its key.
func testCertificate(t *testing.T) ([]byte, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, DNSNames: []string{"localhost"},
		IPAddresses: loopback(), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
