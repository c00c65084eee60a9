// Package work decides which node should own which task.
//
// It is pure: Plan is one function over a View and measured values, and the
// same input gives the same bytes. It owns the rules of placing (datacenter,
// weight, damping) and must not know how a node's life is watched, how rates
// are measured, or how an assignment is committed and carried out.
package work
