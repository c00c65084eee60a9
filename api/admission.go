package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/fsm"
	"sluice/manifest"
)

// DefaultTokenTTL is how long a token lasts of which nothing else is said.
const DefaultTokenTTL = time.Hour

// Token lets one node join the Sluice cluster once.
type Token struct {
	Node       string    `json:"node" doc:"Name of the node."`
	Datacenter string    `json:"datacenter" doc:"Of the node; empty: it says none."`
	By         string    `json:"by" doc:"Who made it."`
	Expires    time.Time `json:"expires"`
}

// Ban keeps a certificate of a node that was taken out from everything.
type Ban struct {
	Node  string    `json:"node" doc:"Name of the node, which lifts the ban with all others on it."`
	Key   string    `json:"key" doc:"SHA-256 of the certificate's public key, in hex; empty: not known, and every certificate of the name is banned."`
	Since time.Time `json:"since"`
}

// NewToken is the answer to whoever has a token made.
type NewToken struct {
	Meta
	Token  Token  `json:"token"`
	Secret string `json:"secret" doc:"What the node shows. It is not kept, and not shown again."`
}

// TokenRequest says what token to make.
type TokenRequest struct {
	Node       string `json:"node"`
	Datacenter string `json:"datacenter,omitempty"`
	TTLSeconds int64  `json:"ttlSeconds,omitempty" doc:"How long it lasts; 0: an hour. A day at most."`
}

func admissionRoutes(s *Server, h huma.API) {
	type nameInput struct {
		Name string `path:"name"`
	}
	type makeInput struct{ Body TokenRequest }
	reading(s, h, "/v1/tokens", "listTokens", "Tokens with which nodes may join, without their secrets",
		func(p *picture, _ *ReadParams) (List[Token], error) {
			out := List[Token]{p.meta("TokenList"), []Token{}}
			for _, t := range p.v.Tokens {
				if t.Expires > out.AsOf.UnixMilli() {
					out.Items = append(out.Items, tokenOf(t))
				}
			}
			return out, nil
		})
	route(h, http.MethodPost, "/v1/tokens", "createToken", "Make a token with which one node may join once, in place of its former one",
		func(ctx context.Context, in *makeInput) (NewToken, error) { return createToken(ctx, s, in.Body) })
	route(h, http.MethodDelete, "/v1/tokens/{name}", "revokeToken", "Take the token of a node away",
		func(ctx context.Context, in *nameInput) (Ack, error) {
			return admit(ctx, s, in.Name, "revoked", func(at int64) fsm.Command {
				return &fsm.TokenRevoke{Node: in.Name, Act: actOf(ctx, s, fsm.Deed{Text: "revoke the token of node " + in.Name}), At: at}
			})
		})
	reading(s, h, "/v1/bans", "listBans", "Certificates that are banned, of nodes that were taken out",
		func(p *picture, _ *ReadParams) (List[Ban], error) {
			out := List[Ban]{p.meta("BanList"), []Ban{}}
			for _, b := range p.v.Bans {
				out.Items = append(out.Items, Ban{Node: b.Name, Key: b.Key, Since: time.UnixMilli(b.At).UTC()})
			}
			return out, nil
		})
	route(h, http.MethodDelete, "/v1/bans/{name}", "unban", "Lift the ban on the certificates of a node that was taken out",
		func(ctx context.Context, in *nameInput) (Ack, error) {
			return admit(ctx, s, in.Name, "unbanned", func(at int64) fsm.Command {
				return &fsm.BanLift{Name: in.Name, Act: actOf(ctx, s, fsm.Deed{Text: "lift the ban on node " + in.Name}), At: at}
			})
		})
}

func tokenOf(t fsm.Token) Token {
	return Token{Node: t.Node, Datacenter: t.Datacenter, By: t.By, Expires: time.UnixMilli(t.Expires).UTC()}
}

// admit commits a command about who may join.
func admit(ctx context.Context, s *Server, name, state string, build func(at int64) fsm.Command) (Ack, error) {
	r, err := s.decide(ctx, func(*fsm.View, bool) (fsm.Command, error) { return build(time.Now().UnixMilli()), nil })
	if err != nil {
		return Ack{}, err
	}
	return Ack{Meta: s.picture().meta("Member"), Name: name, State: state, Revision: r.Index, Unconfirmed: []string{}}, nil
}

func createToken(ctx context.Context, s *Server, in TokenRequest) (NewToken, error) {
	ttl := time.Duration(in.TTLSeconds) * time.Second
	if ttl == 0 {
		ttl = DefaultTokenTTL
	}
	if err := checkToken(in, ttl); err != nil {
		return NewToken{}, problem(http.StatusUnprocessableEntity, CodeInvalid, "", "%v", err)
	}
	secret := strings.ToLower(rand.Text()) // 130 random bits
	sum := sha256.Sum256([]byte(secret))
	t := fsm.Token{Node: in.Node, Datacenter: in.Datacenter, Hash: hex.EncodeToString(sum[:]), By: "somebody"}
	_, err := admit(ctx, s, in.Node, "", func(at int64) fsm.Command {
		text := fmt.Sprintf("make a token for node %s in the datacenter %s, for %s", in.Node, orNothing(in.Datacenter), ttl)
		act := actOf(ctx, s, fsm.Deed{Text: text})
		if act != nil {
			t.By = act.Who
		}
		t.Expires = at + ttl.Milliseconds()
		return &fsm.TokenPut{Token: t, Act: act, At: at}
	})
	if err != nil {
		return NewToken{}, err
	}
	return NewToken{s.picture().meta("Token"), tokenOf(t), secret}, nil
}

func checkToken(in TokenRequest, ttl time.Duration) error {
	if err := manifest.CheckName(in.Node); err != nil {
		return fmt.Errorf("the name of the node: %w", err)
	}
	if in.Datacenter != "" {
		if err := manifest.CheckName(in.Datacenter); err != nil {
			return fmt.Errorf("the datacenter: %w", err)
		}
	}
	if ttl < time.Second || ttl > fsm.MaxTokenTTL {
		return fmt.Errorf("a token lasts from 1s to %s, not %s", fsm.MaxTokenTTL, ttl)
	}
	return nil
}
