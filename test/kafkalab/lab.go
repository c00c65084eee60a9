// Package kafkalab runs real Apache Kafka clusters on loopback for tests, proofs and benches.
//
// It owns the jars (fetched once by Maven into the user's cache), the brokers' processes, ports and
// directories, the clusters' certificates and users, and a runner for MirrorMaker 2. Brokers can be
// killed, paused and restarted one by one. It knows nothing of Sluice and of how faults on the wire
// are made: a proxy is put in front of a broker through Config.AdvertisedVia.
package kafkalab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// The versions of Kafka that can be started.
const (
	V4 = "4.3.1" // the default
	V3 = "3.9.1"
)

// ErrUnavailable says that this machine cannot run real Kafka: Java 17 or later and Maven are needed.
var ErrUnavailable = errors.New("real Kafka is not available")

// Available reports whether real Kafka can be started here: nil, or an error that wraps
// ErrUnavailable and names what is missing. It starts no broker and fetches nothing.
func Available() error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return fmt.Errorf("%w: mvn is not in the path", ErrUnavailable)
	}
	_, err := javaVersion(context.Background())
	return err
}

// Require skips the test with one line where real Kafka is not available, under -short and with
// SLUICE_KAFKA=off. With SLUICE_KAFKA=required a missing Kafka fails the test instead.
func Require(t testing.TB) {
	t.Helper()
	mode := os.Getenv("SLUICE_KAFKA")
	if mode == "required" {
		if err := Available(); err != nil {
			t.Fatalf("SLUICE_KAFKA=required: %v", err)
		}
		return
	}
	if mode == "off" {
		t.Skip("left out: real Kafka (SLUICE_KAFKA=off)")
	}
	if testing.Short() {
		t.Skip("left out: real Kafka (-short)")
	}
	if err := Available(); err != nil {
		t.Skipf("left out: %v", err)
	}
}

// Start starts a cluster for a test, or skips it as Require does. The cluster is ready when Start
// returns and is closed when the test ends; the tail of every broker's log is shown if it failed.
func Start(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	Require(t)
	return start(t, cfg)[0]
}

// StartPair is Start for two clusters at once.
func StartPair(t testing.TB, source, target Config) (src, dst *Cluster) {
	t.Helper()
	both := StartAll(t, source, target)
	return both[0], both[1]
}

// StartAll is Start for several clusters at once.
func StartAll(t testing.TB, cfgs ...Config) []*Cluster {
	t.Helper()
	Require(t)
	return start(t, cfgs...)
}

// start opens clusters at once. All that opened are closed with the test, also where another did not.
func start(t testing.TB, cfgs ...Config) []*Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	clusters := make([]*Cluster, len(cfgs))
	var g errgroup.Group
	for i, cfg := range cfgs {
		g.Go(func() (err error) { clusters[i], err = Open(ctx, cfg); return err })
	}
	err := g.Wait()
	for _, c := range clusters {
		if c == nil {
			continue
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(c.LogTails(15))
			}
			if err := c.Close(); err != nil {
				t.Errorf("closing Kafka: %v", err)
			}
		})
	}
	if err != nil {
		t.Fatalf("starting Kafka: %v", err)
	}
	return clusters
}

var versionLine = regexp.MustCompile(`version "(\d+)[^"]*"`)

// javaVersion returns what `java -version` prints on its first line, or an error that wraps
// ErrUnavailable where there is no Java or one older than 17.
func javaVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "java", "-version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: running java: %w", ErrUnavailable, err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%w: java -version says %.80q", ErrUnavailable, out)
	}
	if major, err := strconv.Atoi(string(m[1])); err != nil || major < 17 {
		return "", fmt.Errorf("%w: Java %s found, 17 or later needed", ErrUnavailable, m[1])
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}
