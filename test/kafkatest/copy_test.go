package kafkatest

import (
	"crypto/rand"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/kafka"
	"sluice/kafka/record"
	"sluice/test/kafkalab"
)

// The load of BenchmarkCopy: closed batches as a producer with a good
// linger.ms makes them.
const (
	copyPartitions = 8
	copyBytes      = 512 << 20
	copyInFlight   = 4 // produce requests
)

// BenchmarkCopy copies closed batches between two real brokers over one Conn
// each and reports this process's CPU seconds per GB, user and system.
func BenchmarkCopy(b *testing.B) {
	kafkalab.Require(b)
	// All of the compiler: without C2 a broker encrypts 10 MB/s.
	lab := kafkalab.Config{HeapMB: 512, JVMFlags: []string{"-XX:+UseSerialGC"}, Listeners: []kafkalab.Listener{kafkalab.Plaintext(), kafkalab.TLS()}}
	src, err := kafkalab.Open(b.Context(), lab)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	dst, err := kafkalab.Open(b.Context(), lab)
	if err != nil {
		b.Fatal(err)
	}
	defer dst.Close()
	for _, load := range []struct {
		name string
		size int
		over kafkalab.Listener
	}{
		{"256KB", 256 << 10, kafkalab.Plaintext()},
		{"256KB-TLS", 256 << 10, kafkalab.TLS()},
		{"16KB", 16 << 10, kafkalab.Plaintext()},
	} {
		from, to := newClient(b, specOf(src, load.over)), newClient(b, specOf(dst, load.over))
		b.Run(load.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				topic := load.name + "-" + time.Now().Format("150405.000000")
				c := &copier{
					b: b, size: load.size, from: newTopic(b, from, topic, copyPartitions), to: newTopic(b, to, topic, copyPartitions),
					fetcher: dial(b, from, 0), producer: dial(b, to, 0), done: make(chan struct{}),
				}
				c.fill(dial(b, from, 0))
				b.StartTimer()
				c.run()
			}
		})
	}
}

// copier copies all of one topic.
type copier struct {
	b                 *testing.B
	size              int // of a batch
	from, to          kafka.TopicMetadata
	fetcher, producer *kafka.Conn
	pid               int64
	epoch             int16
	done              chan struct{}

	mu       sync.Mutex
	room     sync.Cond
	inFlight int
	left     int64 // batches

	request  kafka.FetchRequest
	next     [copyPartitions]int64
	got      kafka.FetchedPartition
	produce  kafka.ProduceRequest
	sequence [copyPartitions]int32
	first    int // partition that gather begins with
}

// fill writes the source topic.
func (c *copier) fill(conn *kafka.Conn) {
	n := c.size / 1024
	batch := newBatch(n, 1000, now())
	rand.Read(batch[record.HeaderSize+50 : record.HeaderSize+500])
	batch.UpdateCRC()
	var last <-chan answer
	for i := range copyBytes / c.size {
		if a := produce(conn, c.from, int32(i%copyPartitions), batch); i%20 == 19 {
			if r := <-a; r.err != nil || r.ErrorCode != 0 {
				c.b.Fatalf("%+v", r)
			}
		} else {
			last = a
		}
	}
	if r := <-last; r.err != nil || r.ErrorCode != 0 {
		c.b.Fatalf("%+v", r)
	}
}

func (c *copier) run() {
	var err error
	if c.pid, c.epoch, err = c.producer.Broker().InitProducerID(c.b.Context()); err != nil {
		c.b.Fatal(err)
	}
	c.room.L, c.left = &c.mu, int64(copyBytes/c.size)
	c.request = kafka.FetchRequest{MaxWait: 500 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20, SessionEpoch: -1}
	for i := range int32(copyPartitions) {
		c.request.Partitions = append(c.request.Partitions, kafka.FetchPartition{
			Topic: c.from.Name, TopicID: c.from.ID, Partition: i, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20,
		})
	}
	c.produce.Timeout = 10 * time.Second
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	c.fetch()
	<-c.done
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	bytes := float64(c.fetcher.Stats().BytesIn) / 1e9
	user := float64(after.Utime.Nano()-before.Utime.Nano()) / 1e9
	sys := float64(after.Stime.Nano()-before.Stime.Nano()) / 1e9
	c.b.ReportMetric((user+sys)/bytes, "cpu-s/GB")
	c.b.ReportMetric(user/bytes, "user-s/GB")
	c.b.SetBytes(int64(bytes * 1e9))
}

func (c *copier) fetch() {
	for i := range c.request.Partitions {
		c.request.Partitions[i].Offset = c.next[i]
	}
	if err := c.fetcher.Fetch(&c.request, c.fetched); err != nil {
		c.b.Error(err)
	}
}

// fetched finds how far each partition goes, asks for what follows and then
// sends the batches on.
func (c *copier) fetched(r kafka.FetchResponse, err error) {
	if err != nil || r.Err != nil {
		if c.left > 0 {
			c.b.Error(err, r.Err)
		}
		return
	}
	defer r.Buf.Release()
	var rest [copyPartitions][]byte
	for {
		more, err := r.Next(&c.got)
		if err != nil {
			c.b.Error(err)
		}
		if !more {
			break
		}
		rest[c.got.Partition] = c.got.Records
		for batch, next, _ := record.NextBatch(c.got.Records); batch != nil; batch, next, _ = record.NextBatch(next) {
			c.next[c.got.Partition] = batch.LastOffset() + 1
		}
	}
	c.fetch()
	for c.gather(&rest) {
		c.send(r.Buf)
	}
}

// gather puts the next batch of each partition into the produce request.
func (c *copier) gather(rest *[copyPartitions][]byte) bool {
	size, first := 0, c.first
	for i := range rest {
		p := (first + i) % copyPartitions
		batch, next, err := record.NextBatch(rest[p])
		if batch == nil || size+len(batch) > 600<<10 {
			continue
		}
		if err == nil {
			err = batch.VerifyCRC()
		}
		if err != nil {
			c.b.Error(err)
		}
		rest[p], c.first = next, (p+1)%copyPartitions
		record.Rewrite(batch, c.pid, c.epoch, c.sequence[p])
		c.sequence[p] += batch.Count()
		size += len(batch)
		c.produce.Partitions = append(c.produce.Partitions, kafka.ProducePartition{
			Topic: c.to.Name, TopicID: c.to.ID, Partition: int32(p), Batch: batch,
		})
	}
	return size > 0
}

// send waits for room and sends what is gathered.
func (c *copier) send(buf *kafka.Buf) {
	c.mu.Lock()
	for c.inFlight == copyInFlight {
		c.room.Wait()
	}
	c.inFlight++
	c.mu.Unlock()
	buf.Retain()
	if err := c.producer.Produce(&c.produce, func(r kafka.ProduceResponse, err error) { c.produced(buf, r, err) }); err != nil {
		c.b.Error(err)
	}
	c.produce.Partitions = c.produce.Partitions[:0]
}

func (c *copier) produced(buf *kafka.Buf, r kafka.ProduceResponse, err error) {
	buf.Release()
	for _, p := range r.Partitions {
		if p.ErrorCode != 0 {
			c.b.Errorf("%+v", p)
		}
	}
	if err != nil {
		panic(err) // nothing would end the run
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight--
	c.room.Signal()
	if c.left -= int64(len(r.Partitions)); c.left == 0 {
		close(c.done)
	}
}
