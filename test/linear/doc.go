// Package linear tries whether acts of operators are linearizable: whichever
// nodes are asked, and whatever becomes of them meanwhile, the answers are such
// as one node gives that does one thing at a time. Clients act on a few links
// and write down what they asked and what they were told; porcupine looks for
// an order that explains it.
package linear
