package kafka

import "time"

// ProduceRequest is one produce request, always with acks=all.
type ProduceRequest struct {
	Timeout    time.Duration      // that the broker may wait for the replicas
	Partitions []ProducePartition // those of one topic next to each other, each partition once
	// BeforeWrite, when set, runs straight before the first byte is written.
	// Its error keeps the request from being sent and goes to done with
	// ErrNotSent. It runs on the writing goroutine and must not block.
	BeforeWrite func() error
}

// ProducePartition is the one batch of a partition.
type ProducePartition struct {
	Topic     string
	TopicID   [16]byte // used from version 13; one without id: up to version 12
	Partition int32
	Batch     []byte // not copied: must stay as it is until done is called
}

// ProduceVersion returns the version that Produce uses on this connection:
// with topic ids (13) or, for withIDs false, with names.
func (c *Conn) ProduceVersion(withIDs bool) (int16, error) {
	return c.cfg.versions.pick(keyProduce, minProduceVersion, maxProduceVersion, idProduceVersion, withIDs)
}

// Produce queues a produce request; req is not kept, its batches are until
// done is called. done gets the response, or an error that is ErrNotSent or
// ErrPerhapsSent. Produce itself fails, and done is not called, with
// ErrNotSent when the Conn is dead and with ErrUnsupported when the broker is
// too old.
func (c *Conn) Produce(req *ProduceRequest, done func(ProduceResponse, error)) error {
	withIDs := true
	for i := range req.Partitions {
		withIDs = withIDs && req.Partitions[i].TopicID != [16]byte{}
	}
	version, err := c.ProduceVersion(withIDs)
	if err != nil {
		return err
	}
	cl := c.newCall()
	cl.onProduce, cl.wait, cl.beforeWrite = done, req.Timeout, req.BeforeWrite
	cl.begin(keyProduce, version, c.cfg.clientID)
	req.encode(cl)
	cl.finish()
	return c.enqueue(cl)
}

// encode appends the request's body (protocol guide, "Produce API") to cl.
func (req *ProduceRequest) encode(cl *call) {
	cl.head = append(cl.head, 0)       // no transactional id
	cl.head = appendInt16(cl.head, -1) // acks=all
	cl.head = appendInt32(cl.head, int32(req.Timeout.Milliseconds()))
	parts, topics := req.Partitions, 0
	for i := range parts {
		if i == 0 || !sameProduceTopic(&parts[i-1], &parts[i]) {
			topics++
		}
	}
	cl.head = appendLen(cl.head, topics)
	for len(parts) > 0 {
		n := 1
		for n < len(parts) && sameProduceTopic(&parts[0], &parts[n]) {
			n++
		}
		if cl.version >= idProduceVersion {
			cl.head = append(cl.head, parts[0].TopicID[:]...)
		} else {
			cl.head = appendCompactString(cl.head, parts[0].Topic)
		}
		cl.head = appendLen(cl.head, n)
		for i := range parts[:n] {
			p := &parts[i]
			cl.head = appendInt32(cl.head, p.Partition)
			cl.head = appendLen(cl.head, len(p.Batch))
			cl.addBatch(p.Batch)
			cl.head = append(cl.head, 0)
			cl.partitions = append(cl.partitions, partitionKey{id: p.TopicID, topic: p.Topic, partition: p.Partition})
		}
		cl.head = append(cl.head, 0)
		parts = parts[n:]
	}
	cl.head = append(cl.head, 0)
}

func sameProduceTopic(a, b *ProducePartition) bool {
	return a.TopicID == b.TopicID && a.Topic == b.Topic
}
