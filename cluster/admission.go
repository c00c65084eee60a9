package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"slices"

	"sluice/fsm"
	"sluice/transport"
)

// joining is what a node says that asks to be taken in. Who takes the request
// from the node itself adds what it knows of it, and passes it on to the leader.
type joining struct {
	fsm.Node
	Token string `json:"token,omitempty"` // the secret of a token

	Proven bool   `json:"proven,omitempty"` // a certificate proves the name
	From   string `json:"from,omitempty"`   // the node's address, as the one saw it that was asked
	Listed string `json:"listed,omitempty"` // where the configuration of that one lists the node; empty: nowhere
}

// received adds what this node knows of one that asks it.
func (j *joining) received(cfg *Config, peer transport.Peer) {
	j.Key, j.Proven, j.From, j.Listed = peer.Key, peer.Proven(), peer.From, listed(cfg, j.Node, peer)
}

// listed says where a node's configuration lists another one, by its name, or by
// an address that its certificate is for.
func listed(cfg *Config, node fsm.Node, peer transport.Peer) string {
	if slices.Contains(cfg.Allow, node.Name) {
		return "`allow` in the node.yaml of " + cfg.Name
	}
	_, port, _ := net.SplitHostPort(node.Addr)
	for _, address := range cfg.Join {
		if _, p, _ := net.SplitHostPort(address); p == port && peer.Serves(address) {
			return "`join` in the node.yaml of " + cfg.Name
		}
	}
	return ""
}

// HashToken is what the facts hold of a token's secret.
func HashToken(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// admission is by what right a node is taken in: for a person, and the hash of
// the token that is used up by it; empty: none is. An error says what to do.
func admission(v *fsm.View, j joining, at int64) (right, token string, err error) {
	why := "the node " + j.Name + " is not allowed to join"
	if j.Token != "" && v.NamesMembers() {
		hash := HashToken(j.Token)
		refused := v.Tokens.Refuse(hash, j.Node, at)
		if refused == "" {
			return "with the token that " + v.Tokens.For(j.Name).By + " made", hash, nil
		}
		why += ": " + refused
	}
	ban := v.Bans.Named(j.Name)
	switch {
	case !v.NamesMembers(): // older nodes take in whoever asks
		return "as older versions let it", "", nil
	case !j.Proven:
		return "without a certificate", "", nil
	case slices.ContainsFunc(v.Nodes, func(n fsm.Node) bool { return n.Name == j.Name }):
		return "again", "", nil // the certificate is that of a member, which may do all that it could
	case j.Listed != "" && ban == nil:
		return "listed in " + j.Listed, "", nil
	}
	next := "`sluice cluster token create " + j.Name + "`"
	if j.Datacenter != "" {
		next = fmt.Sprintf("`sluice cluster token create %s --datacenter %s`", j.Name, j.Datacenter)
	}
	if ban != nil {
		return "", "", fmt.Errorf("%s; it was taken out of the cluster, so that no list lets it in: make it a token on a member with %s, or lift the ban with `sluice cluster unban %s`", why, next, j.Name)
	}
	return "", "", fmt.Errorf("%s; make it a token on a member with %s and start it with that (--token-file or SLUICE_JOIN_TOKEN), or list it in `allow` in the node.yaml of the member that it asks", why, next)
}
