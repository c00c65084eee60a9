// Package transport carries bytes between Sluice nodes: one TCP port per node,
// mutual TLS 1.3, and a first byte that says which of four streams a
// connection is (Raft, gossip packets, gossip streams, RPC).
//
// It owns the handshake (who are you, which cluster, which protocol) and every
// connection: whatever was dialled or accepted is
// tracked and closed when Run returns. Libraries that leave connections open
// behind them (hashicorp/raft does) leak nothing through it.
//
// It must not know what the bytes mean, who is a member, or who leads.
package transport
