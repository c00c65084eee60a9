// Package recovery decides what a stream does next: after it was given to this
// node, after a fault, after an operator's order. Next is one function of one
// struct: the shell (package stream) gathers what it asks for, carries out the
// step, and asks again. docs/reference/recovery.md is the table of all
// situations, made from this code; docs/explanation/exactly-once.md says why.
//
// It is pure, and must not know connections, how a log is read, or Raft.
package recovery
