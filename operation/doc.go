// Package operation decides how acts of several steps go on: which step follows
// which, what a step waits for, what is done in it and how long it is tried.
// The facts hold where each operation stands; every step can be done again, so
// whoever leads can go on with it.
//
// It is pure: facts and what a leader has seen go in, the next action comes out.
// It must not know how an act is carried out.
package operation
