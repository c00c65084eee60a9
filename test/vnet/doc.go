// Package vnet is a network in memory for tests under testing/synctest: hosts
// with addresses, buffered connections, wires with delay, cuts in one or both
// directions, and hosts that die. All waiting is on channels, so a bubble's
// clock advances; it imports nothing of Sluice.
//
// A cut holds bytes, as a network that drops packets does: nothing fails, it
// only takes time. Healing delivers what was held or resets the connections.
package vnet
