package cluster

import (
	"net/http"

	"sluice/transport"
)

// The calls between nodes.
const (
	pathWhoami  = "/whoami"
	pathJoin    = "/join"
	pathRemove  = "/remove"
	pathPropose = "/propose"
	pathConfirm = "/confirm"
	pathReport  = "/report"
)

// handler serves this node to other nodes.
func (n *Node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+pathWhoami, transport.Handle(n.handleWhoami))
	mux.Handle("POST "+pathJoin, transport.Handle(n.handleJoin))
	mux.Handle("POST "+pathRemove, transport.Handle(n.handleRemove))
	mux.Handle("POST "+pathPropose, transport.Handle(n.handlePropose))
	mux.Handle("POST "+pathConfirm, transport.Handle(n.handleConfirm))
	mux.Handle("POST "+pathReport, transport.Handle(n.handleReport))
	return mux
}
