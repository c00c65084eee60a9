// Package faults makes the network misbehave on purpose, on loopback and in one process.
//
// Wire and Mesh carry bytes and know nothing of what they mean: cuts, one-way cuts, delay, rate.
// KafkaProxy stands in front of a broker as its advertised listener and knows where requests and
// responses begin and end, so that it can hold, drop or delay the nth of a kind or end the connection
// there. No byte is ever changed. Nothing here knows Sluice or starts a process.
package faults

import (
	"fmt"
	"net"
)

// Heal says what becomes of connections that a cut held up.
type Heal int

const (
	Deliver Heal = iota // what was held arrives, late and in order
	Reset               // both ends get a reset, what was held is lost
)

// Close says how a connection is ended.
type Close int

const (
	FIN Close = iota // orderly
	RST              // by reset
)

// closeConn ends a TCP connection.
func closeConn(c net.Conn, how Close) {
	if tcp, ok := c.(*net.TCPConn); ok && how == RST {
		tcp.SetLinger(0)
	}
	c.Close()
}

// listenLoopback listens on a free port of 127.0.0.1, or on addr.
func listenLoopback(addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for a proxy: %w", err)
	}
	return l, nil
}
