package api

import (
	"context"
	"net/url"
)

// Admission asks about who may join.
type Admission struct{ c *Client }

// Admission asks the same nodes.
func (c *Client) Admission() Admission { return Admission{c} }

// Tokens lists the tokens with which nodes may join.
func (a Admission) Tokens(ctx context.Context) (*List[Token], error) {
	return get[List[Token]](ctx, a.c, "/v1/tokens", nil)
}

// CreateToken makes one.
func (a Admission) CreateToken(ctx context.Context, r TokenRequest) (*NewToken, error) {
	return post[NewToken](ctx, a.c, "/v1/tokens", r, lookAtMembers)
}

// RevokeToken takes the token of a node away.
func (a Admission) RevokeToken(ctx context.Context, node string) (*Ack, error) {
	return remove[Ack](ctx, a.c, "/v1/tokens/"+url.PathEscape(node), lookAtMembers)
}

// Bans lists the certificates that are banned.
func (a Admission) Bans(ctx context.Context) (*List[Ban], error) {
	return get[List[Ban]](ctx, a.c, "/v1/bans", nil)
}

// Unban lifts the ban on a node that was taken out.
func (a Admission) Unban(ctx context.Context, node string) (*Ack, error) {
	return remove[Ack](ctx, a.c, "/v1/bans/"+url.PathEscape(node), lookAtMembers)
}
