package transport

import "fmt"

// codeTwin is the refusal of a node that shows the identity of a living one.
const codeTwin = "identity-alive"

// codeBanned is the refusal of a node whose certificate is banned.
const codeBanned = "banned"

// BannedError says that a certificate is banned: this node's where a dial fails
// with it, the peer's where a guard gives it.
type BannedError struct{ Detail string } // for a person

func (e *BannedError) Error() string { return e.Detail }

// TwinError says that a node shows the identity of another one that is alive at
// another address: its data dir is a copy.
type TwinError struct {
	Name  string // of the living one, as its cluster knows it
	Alive string // its address
	By    string // the name of the node that refused this one; empty: this one refused
}

func (e *TwinError) Error() string {
	if e.By != "" {
		return fmt.Sprintf("%s says that the node with the identity of this one is alive at %s", e.By, e.Alive)
	}
	return fmt.Sprintf("the node %s with this identity is alive at %s: somebody runs a copy of its data dir", e.Name, e.Alive)
}
