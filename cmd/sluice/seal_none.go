//go:build !unix

package main

// noCoreFile: there are none.
func noCoreFile() error { return nil }
