package fsm

import (
	"strings"
	"time"
)

// use takes the token of a node that is let in by it.
func (c *NodePut) use(e *edit) Result {
	if c.Token == "" {
		return Result{}
	}
	if why := e.v.Tokens.Refuse(c.Token, c.Node, c.At); why != "" {
		return refuse(RefusedNotFound, "%s", why)
	}
	e.v.Tokens = drop(e.v.Tokens, func(t Token) bool { return t.Node == c.Node.Name })
	return Result{}
}

// apply adds a token in place of the node's former one. Those that have expired
// are forgotten.
func (c *TokenPut) apply(e *edit) Result {
	life := time.Duration(c.Token.Expires-c.At) * time.Millisecond
	if c.Token.Node == "" || len(c.Token.Hash) != 64 || life <= 0 || life > MaxTokenTTL {
		return refuse(RefusedInvalid, "a token names a node, and lasts for %s at most", MaxTokenTTL)
	}
	e.v.Tokens = put(drop(e.v.Tokens, func(t Token) bool { return t.Expires <= c.At }), c.Token, byToken)
	if len(e.v.Tokens) > MaxTokens {
		return refuse(RefusedInvalid, "there are %d tokens already; revoke some", MaxTokens)
	}
	return Result{}
}

func (c *TokenRevoke) apply(e *edit) Result {
	if e.v.Tokens.For(c.Node) == nil {
		return refuse(RefusedNotFound, "no token for %s", c.Node)
	}
	e.v.Tokens = drop(e.v.Tokens, func(t Token) bool { return t.Node == c.Node })
	return Result{}
}

func (c *BanLift) apply(e *edit) Result {
	if e.v.Bans.Named(c.Name) == nil {
		all := e.v.Bans.names()
		if len(all) == 0 {
			return refuse(RefusedNotFound, "no ban on %s: no node is banned", c.Name)
		}
		return refuse(RefusedNotFound, "no ban on %s: those on %s are all there are", c.Name, strings.Join(all, ", "))
	}
	e.v.Bans = drop(e.v.Bans, func(b Ban) bool { return b.Name == c.Name })
	return Result{}
}
