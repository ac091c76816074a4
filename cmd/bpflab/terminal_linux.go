package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminalFile asks for the settings that terminals alone have.
func isTerminalFile(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// endSignals are the signals on which a command that runs until it is told to
// stop comes to an orderly end.
var endSignals = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP}
