// Package fillers tries fillers on real brokers: gaps are taken whatever becomes
// of owners, coordinators and leaders, and what a filler leaves lies inside them.
package fillers
