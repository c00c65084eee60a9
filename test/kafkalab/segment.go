package kafkalab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ReplaceLogs puts segments that begin at offset 0 in place of the logs of
// partitions, named "topic-partition": for what no producer can write any more,
// such as message formats 0 and 1, and for logs that lost their end. The broker
// is stopped, and on its start recovers the logs and builds indexes as after a
// crash. Only for partitions without replicas elsewhere.
func (c *Cluster) ReplaceLogs(ctx context.Context, broker int, segments map[string][]byte) error {
	if err := c.StopBroker(ctx, broker); err != nil {
		return err
	}
	for name, segment := range segments {
		if err := replaceLog(filepath.Join(c.nodes[broker].dir, "data"), name, segment); err != nil {
			return fmt.Errorf("replacing the log of %s: %w", name, err)
		}
	}
	return c.StartBroker(ctx, broker)
}

func replaceLog(data, name string, segment []byte) error {
	dir := filepath.Join(data, name)
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Name() == "partition.metadata" { // the topic id
			continue
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, strings.Repeat("0", 20)+".log"), segment, 0o644); err != nil {
		return err
	}
	// Without this mark of an orderly stop, and behind no recovery point, the log is recovered.
	if err := os.Remove(filepath.Join(data, ".kafka_cleanshutdown")); err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, checkpoint := range []string{"recovery-point-offset-checkpoint", "log-start-offset-checkpoint"} {
		if err := os.Remove(filepath.Join(data, checkpoint)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
