// Package kafka reaches Kafka clusters: a pool of clients with their secrets,
// TLS and SASL, ordered pipelined connections for Fetch and Produce on pooled
// buffers. Record batches themselves are the matter of package record.
//
// It knows the Kafka protocol and nothing of links, streams, positions or
// ownership. It never retries a produce request and never opens a batch.
//
// The parts, top down:
//
//   - Pool hands out one shared Client per Kafka cluster name.
//   - Client is metadata, administration and one-shot calls over kgo; Dial
//     gives a Conn of the caller's own.
//   - Broker is the set of one-shot calls to one named broker, over a Client
//     (shared connections) or over a Conn (that connection and no other).
//   - Conn sends Fetch and Produce in call order without waiting.
//   - Buffers is the size-classed pool that Fetch answers are read into.
//
// All types are safe for concurrent use unless they say otherwise. After the
// first requests nothing on the way of a Fetch or Produce allocates.
//
// What is not obvious:
//
//   - A broker may answer before our writer has noticed that the request is
//     out, while the batches are still being read: Conn.retire waits for it.
//   - Brokers answer the requests of a connection one after another, so only
//     the oldest request's time runs (Conn.awaitHead).
//   - A request whose write began is perhaps sent, even if the write failed.
//   - A fetch session goes on with topic ids or names as it began; a request
//     without partitions cannot tell which, hence FetchRequest.ByName.
//   - A fresh leader tells of itself in metadata a moment before it takes
//     requests as such: NOT_LEADER_OR_FOLLOWER then names the broker asked.
//   - A fetch below the log start is refused with OFFSET_OUT_OF_RANGE and without
//     the log start (-1), which ListOffsets tells.
//   - Through kgo a metadata answer is decoded and copied into a cache of kgo's:
//     Client.Look goes past that for who looks often.
//   - A broker that refuses a produce request as a whole (two batches of one
//     partition) closes the connection instead of answering.
package kafka
