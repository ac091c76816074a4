package main

import (
	"io"
	"os"
)

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isTerminalFile(f)
}

// wantColor decides on colours from the --color flag and, for "auto", from
// the terminal and the NO_COLOR convention.
func wantColor(when string, tty bool) (bool, error) {
	switch when {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto":
		return tty && os.Getenv("NO_COLOR") == "", nil
	}
	return false, usagef("--color takes auto, always or never, not %q", when)
}

// Styles of output: ANSI "select graphic rendition" parameters.
const (
	styleFaint = "2"
	styleBold  = "1"
	styleCyan  = "36"
	styleGreen = "32"
	styleRed   = "31"
)

// paint wraps text in a style if colours are on.
func (a *app) paint(style, text string) string {
	if !a.color || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}
