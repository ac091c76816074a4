//go:build !linux

package main

import "os"

// isTerminalFile takes any character device but the null device for a
// terminal, which is near enough to decide on colours.
func isTerminalFile(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// endSignals are the signals on which a command that runs until it is told to
// stop comes to an orderly end.
var endSignals = []os.Signal{os.Interrupt}
