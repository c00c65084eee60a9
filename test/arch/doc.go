// Package arch holds the architecture test: who may import whom, what pure
// packages may not touch, the house style where a machine can check it, words
// that no committed file may hold, and names on the pages of docs that nothing
// has. It knows the sources as syntax and
// runs none of them.
//
// The checks look at the files that git tracks, so that what lies about in a
// working tree is nobody's fault. Each check has a test of its own that shows
// it the fault that it is for.
package arch
