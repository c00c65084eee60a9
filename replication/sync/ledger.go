package sync

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/fsm"
	"sluice/kafka"
	"sluice/kafka/record"
)

// maxLedgerRead bounds one fetch of the ledger, in bytes; it is read whole,
// some hundred bytes for each link and created topic.
const maxLedgerRead = 4 << 20

// readLedger reads the ledger of a Kafka cluster from its start to the end
// that it has now. A missing topic is an empty ledger.
func readLedger(ctx context.Context, c *kafka.Client) (ledger, error) {
	m, err := c.Metadata(ctx, LedgerTopic)
	if err != nil {
		return nil, err
	}
	if len(m.Topics) != 1 || errors.Is(m.Topics[0].Err, kerr.UnknownTopicOrPartition) {
		return nil, nil
	}
	t := m.Topics[0]
	if t.Err != nil || len(t.Partitions) == 0 {
		return nil, fmt.Errorf("reading %s: %w", LedgerTopic, errors.Join(t.Err))
	}
	conn, err := c.Dial(ctx, t.Partitions[0].Leader)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", LedgerTopic, err)
	}
	defer conn.Close()
	at, err := oneOffset(ctx, conn.Broker(), kafka.Earliest)
	if err != nil {
		return nil, err
	}
	end, err := oneOffset(ctx, conn.Broker(), kafka.Latest)
	if err != nil {
		return nil, err
	}
	var l ledger
	codec := record.NewCodec()
	for at < end {
		next := at
		if l, next, err = l.fetch(ctx, conn, codec, t.ID, at); err != nil {
			return nil, fmt.Errorf("reading %s: %w", LedgerTopic, err)
		}
		if next == at {
			return nil, fmt.Errorf("reading %s: %w: nothing at offset %d, which is below the end %d", LedgerTopic, kafka.ErrProtocol, at, end)
		}
		at = next
	}
	return l, nil
}

func oneOffset(ctx context.Context, b kafka.Broker, timestamp int64) (int64, error) {
	got, err := b.ListOffsets(ctx, kafka.ReadUncommitted, []kafka.OffsetQuery{{Topic: LedgerTopic, LeaderEpoch: -1, Timestamp: timestamp}})
	if err != nil {
		return 0, err
	}
	return got[0].Offset, got[0].Err
}

// fetch reads what one answer holds and returns the offset after it.
func (l ledger) fetch(ctx context.Context, conn *kafka.Conn, codec *record.Codec, id [16]byte, at int64) (ledger, int64, error) {
	p := kafka.FetchPartition{Topic: LedgerTopic, TopicID: id, Offset: at, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: maxLedgerRead}
	resp, err := conn.FetchOne(ctx, p, kafka.FetchOptions{MaxWait: time.Second, Buffers: kafka.NewBuffers(nil, 0)})
	if err != nil {
		return l, at, err
	}
	defer resp.Buf.Release()
	got, err := resp.Only()
	if err == nil {
		err = kerr.ErrorForCode(got.ErrorCode)
	}
	if err != nil {
		return l, at, err
	}
	return l.read(codec, got.Records, at)
}

// read applies the records of a fetch answer and returns the offset after the
// last one.
func (l ledger) read(codec *record.Codec, data []byte, next int64) (ledger, int64, error) {
	for {
		batch, rest, err := record.NextBatch(data)
		if err != nil || batch == nil {
			return l, next, err
		}
		data = rest
		rs, err := codec.Open(batch, nil, maxLedgerRead)
		if err != nil {
			return l, next, err
		}
		var rec record.Record
		for {
			more, err := rs.Next(&rec)
			if err != nil {
				return l, next, err
			}
			if !more {
				break
			}
			if rs.Header.Attributes&record.AttrControl == 0 {
				l = l.apply(rec.Offset, rec.Key, rec.Value)
			}
		}
		next = rs.Header.LastOffset() + 1
	}
}

// writeLedger appends one record; a nil value removes the key's.
func writeLedger(ctx context.Context, c *kafka.Client, k Key, value any) error {
	key, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encoding a record of %s: %w", LedgerTopic, err)
	}
	rec := &kgo.Record{Topic: LedgerTopic, Partition: 0, Key: key}
	if value != nil {
		if rec.Value, err = json.Marshal(value); err != nil {
			return fmt.Errorf("encoding a record of %s: %w", LedgerTopic, err)
		}
	}
	if err := c.Kgo().ProduceSync(ctx, rec).FirstErr(); err != nil {
		return fmt.Errorf("writing to %s: %w", LedgerTopic, err)
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

// Release removes the link's claim from the target's ledger, for a link that
// is deleted. The records of created topics stay: their data stays too.
func Release(ctx context.Context, target *kafka.Client, sluiceID, sourceClusterID, link string) error {
	k := Key{Kind: kindClaim, Sluice: sluiceID, Source: sourceClusterID, Link: link}
	l, err := readLedger(ctx, target)
	if err != nil {
		return fmt.Errorf("releasing link %s: %w", link, err)
	}
	if !l.standing(k).Have {
		return nil
	}
	if err := writeLedger(ctx, target, k, nil); err != nil {
		return fmt.Errorf("releasing link %s: %w", link, err)
	}
	return nil
}

// topicIDText and parseTopicID: the form of topic ids in the ledger.
func topicIDText(id fsm.TopicID) string { return hex.EncodeToString(id[:]) }

func parseTopicID(text string) (id fsm.TopicID) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return fsm.TopicID{}
	}
	return fsm.TopicID(b)
}
