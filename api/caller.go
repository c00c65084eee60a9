package api

import (
	"context"
	"net"
	"net/http"
)

// caller is who sent a request, and from where.
type caller struct{ who, client string }

type callerKey struct{}

// withCaller notes who sent a request; token is the name of the token that it
// showed, empty: none is asked for.
func withCaller(r *http.Request, token string) *http.Request {
	c := caller{token, r.RemoteAddr}
	if token == "" {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		c.who = "anonymous on " + host
	}
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
}
