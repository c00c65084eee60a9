//go:build !linux

package main

// seal forbids core files, where that is known.
func seal() error { return noCoreFile() }
