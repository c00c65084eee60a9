// Package pki knows the certificates of a node: it makes and renews them, says
// what is wrong with the files and when a certificate ends, and reads the files
// again when they change.
//
// It owns nothing of TLS itself: who is let in, and what is said to a peer, are
// matters of those who listen and dial. It must not know what a cluster is.
package pki
