package gate

import "net"

// Listener lets connections through a gate: those that it accepts are a *Conn.
type Listener struct {
	net.Listener
	Gate    *Gate
	Crowded func(from net.Addr) // somebody was turned away when this address came
}

// Conn is a connection that has come through a gate.
type Conn struct {
	net.Conn
	*Pass
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, crowded := l.Gate.Enter(c)
		if crowded {
			l.Crowded(c.RemoteAddr())
		}
		if p != nil {
			return &Conn{Conn: c, Pass: p}, nil
		}
	}
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.Leave()
	return c.Conn.Close()
}
