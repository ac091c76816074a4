// Command bpflab compiles packet filters to classic BPF, translates classic
// BPF to eBPF, and runs both over packet captures.
//
// Every command is a row of the table in command.go and a file of its own.
// The logic is in the packages; what stands here is flags, printing and exit
// statuses.
package main

import (
	"io"
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program with its surroundings as arguments, so that tests
// can run it in-process. It returns the exit status.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	return newApp(in, out, errOut).run(args)
}
