// Package cli is the command line: its grammar, flags, tables, progress and
// exit codes. It speaks to a node through the client of package api, and reads
// objects with package manifest.
//
// Verbs that run without a node (server, demo, cert) are functions that the
// program hands in as Local; what they do is not known here.
package cli
