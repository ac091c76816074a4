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
