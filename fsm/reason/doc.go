// Package reason owns what each reason code of package fsm means: how bad it is,
// which side it concerns, who acts, and what an operator does about it. There is
// one table; the API, the command line, the console, the streams' own policy and
// the reference in docs read it.
//
// It is pure and must not know how a code comes about.
package reason
