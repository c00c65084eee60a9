package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/catalog"
	"sluice/kafka/record"
)

// maxLedgerRead bounds one fetch of the ledger, in bytes; it is read whole,
// some hundred bytes for each link and created topic.
const maxLedgerRead = 4 << 20

// readLedger reads the ledger of a Kafka cluster from its start to the end
// that it has now. A missing topic is an empty ledger.
func readLedger(ctx context.Context, k *catalog.Cluster) (*ledger, error) {
	_, err := k.Find(ctx, LedgerTopic, 0, true)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return newLedger(), nil
	}
	l := newLedger()
	if err == nil {
		err = l.readAll(ctx, k)
	}
	if err != nil {
		return newLedger(), fmt.Errorf("reading %s: %w", LedgerTopic, err)
	}
	return l, nil
}

func (l *ledger) readAll(ctx context.Context, k *catalog.Cluster) error {
	p := catalog.Partition{Topic: LedgerTopic}
	first, failed := k.Offsets(ctx, []catalog.Partition{p}, kafka.ReadUncommitted, kafka.Earliest, offsetTries)
	if failed[p] != nil {
		return failed[p]
	}
	place, err := k.Find(ctx, LedgerTopic, 0, false) // which just answered
	if err != nil {
		return err
	}
	conn, err := k.Dial(ctx, place.Leader)
	if err != nil {
		return err
	}
	defer conn.Close()
	for at, end := first[p], first[p]+1; at < end; {
		next, high, err := l.fetch(ctx, conn, place.TopicID, at)
		if err == nil && next == at && at < high {
			err = fmt.Errorf("%w: nothing at offset %d, which is below the end %d", kafka.ErrProtocol, at, high)
		}
		if err != nil {
			return err
		}
		at, end = next, high
	}
	return nil
}

// fetch applies what one answer holds; it returns the offset after it and the
// high watermark.
func (l *ledger) fetch(ctx context.Context, conn *kafka.Conn, topic [16]byte, at int64) (next, high int64, err error) {
	p := kafka.FetchPartition{Topic: LedgerTopic, TopicID: topic, Offset: at, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: maxLedgerRead}
	resp, err := conn.FetchOne(ctx, p, kafka.FetchOptions{})
	if err != nil {
		return 0, 0, err
	}
	defer resp.Buf.Release()
	got, err := resp.Only()
	if err == nil {
		err = kafka.Needs(kerr.ErrorForCode(got.ErrorCode), "READ", LedgerTopic)
	}
	if err != nil {
		return 0, 0, err
	}
	next, err = l.read(got.Records, at)
	return next, got.HighWatermark, err
}

// read applies fetched records and returns the offset after the last one.
func (l *ledger) read(data []byte, next int64) (int64, error) {
	codec := record.NewCodec()
	for batch, err := range record.Batches(data) {
		if err != nil {
			return next, err
		}
		rs, err := codec.Open(batch, nil, maxLedgerRead)
		if err != nil {
			return next, err
		}
		for rec, err := range rs.All() {
			if err != nil {
				return next, err
			}
			if rs.Header.Attributes&record.AttrControl == 0 {
				l.apply(rec.Key, rec.Value)
			}
		}
		next = rs.Header.LastOffset() + 1
	}
	return next, nil
}

// writeLedger appends records.
func writeLedger(ctx context.Context, c *kafka.Client, records ...ledgerRecord) error {
	out := make([]*kgo.Record, len(records))
	for i, r := range records {
		key, err := json.Marshal(r.key)
		out[i] = &kgo.Record{Topic: LedgerTopic, Partition: 0, Key: key}
		if err == nil && r.value != nil {
			out[i].Value, err = json.Marshal(r.value)
		}
		if err != nil {
			return fmt.Errorf("encoding a record of %s: %w", LedgerTopic, err)
		}
	}
	if err := c.Kgo().ProduceSync(ctx, out...).FirstErr(); err != nil {
		return fmt.Errorf("writing to %s: %w", LedgerTopic, kafka.Needs(err, "WRITE", LedgerTopic))
	}
	return nil
}

// makeLedger creates the ledger topic unless it is there.
func makeLedger(ctx context.Context, c *kafka.Client, replication int16) error {
	_, err := c.CreateTopic(ctx, kafka.CreateTopic{
		Name: LedgerTopic, Partitions: 1, ReplicationFactor: replication,
		Configs: map[string]string{"cleanup.policy": "compact"},
	})
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("creating %s: %w", LedgerTopic, err)
	}
	return nil
}

// Release removes the claim of a deleted link from the target's ledger, not one
// of a younger link that has its name now. The records of created topics stay:
// their data stays too.
func Release(ctx context.Context, target *catalog.Cluster, sluiceID, sourceClusterID, link string, id fsm.LinkID) error {
	k := Key{Kind: kindClaim, Sluice: sluiceID, Source: sourceClusterID, Link: link}
	l, err := readLedger(ctx, target)
	if err != nil {
		return fmt.Errorf("releasing link %s: %w", link, err)
	}
	if st := l.standing(k); !st.have || st.claim.LinkID > id {
		return nil
	}
	c, err := target.Client(ctx)
	if err == nil {
		err = writeLedger(ctx, c, ledgerRecord{k, nil})
	}
	if err != nil {
		return fmt.Errorf("releasing link %s: %w", link, err)
	}
	return nil
}
