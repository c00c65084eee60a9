package fsm

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Token lets one node join once. The secret is known to whoever made it.
type Token struct {
	Node       string `json:"node"`                 // name of the node
	Datacenter string `json:"datacenter,omitempty"` // of the node
	Hash       string `json:"hash"`                 // hex SHA-256 of the secret
	By         string `json:"by"`                   // who made it
	Expires    int64  `json:"expires"`              // unix ms, the clock of whoever looks
}

// Bounds of tokens.
const (
	MaxTokens   = 1000
	MaxTokenTTL = 24 * time.Hour
)

// Tokens are all of them, by Node.
type Tokens []Token

// For returns the token of a node, nil: there is none.
func (t Tokens) For(node string) *Token {
	i, ok := slices.BinarySearchFunc(t, node, func(t Token, n string) int { return strings.Compare(t.Node, n) })
	if !ok {
		return nil
	}
	return &t[i]
}

// Refuse says why a token does not let a node in; empty: it does. hash is of the
// secret that the node has shown.
func (t Tokens) Refuse(hash string, node Node, at int64) string {
	x := t.For(node.Name)
	switch {
	case x == nil || x.Hash != hash:
		return "the token is none for " + node.Name + ": it was used, revoked or replaced, or is another node's"
	case x.Expires <= at:
		return "the token has expired at " + time.UnixMilli(x.Expires).UTC().Format(time.RFC3339)
	case x.Datacenter != node.Datacenter:
		return fmt.Sprintf("the token is for %s in the datacenter %s, and the node says that it is in %s", node.Name, cmp.Or(x.Datacenter, "(none)"), cmp.Or(node.Datacenter, "(none)"))
	}
	return ""
}

func byToken(a, b Token) int { return strings.Compare(a.Node, b.Node) }
