package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var (
	longFlag     = regexp.MustCompile(`--[a-z][a-z-]*`)
	otherCommand = regexp.MustCompile(`'bpflab [^']*'`)
)

// TestHelp reads the help of every command: the flags that its paragraphs speak
// of exist, exit statuses are told, and no line is too long for a terminal.
func TestHelp(t *testing.T) {
	for _, c := range commands {
		flags := newFlagSet(c.name)
		c.bind(newApp(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer)), flags)
		for _, name := range longFlag.FindAllString(otherCommand.ReplaceAllString(c.long, ""), -1) {
			if flags.Lookup(name[2:]) == nil {
				t.Errorf("help of %s speaks of %s, which is no flag of it", c.name, name)
			}
		}
		var out, errOut strings.Builder
		if status := run([]string{"help", c.name}, strings.NewReader(""), &out, &errOut); status != exitDone {
			t.Fatalf("help %s: status %d, %s", c.name, status, errOut.String())
		}
		if !strings.Contains(out.String(), "\nExit status:\n  0  done\n") {
			t.Errorf("help of %s does not tell exit statuses", c.name)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(line) - 1; n > helpWidth {
				t.Errorf("help of %s: a line has %d columns: %s", c.name, n, line)
			}
		}
	}
}
