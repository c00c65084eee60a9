// Package api is what an operator's tools talk to: HTTP and JSON under /v1,
// described by OpenAPI at /v1/openapi.json, and the Go client for it. It owns
// its transfer types, so that facts can change their form without breaking a
// script.
//
// It answers from this node's own copy of the facts, with or without a leader,
// and says how old they are. It must not know how facts are replicated or how
// records are copied: what it needs is declared here as small interfaces.
package api
