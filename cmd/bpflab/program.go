package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm/capture"
)

// A program is a classic program, an eBPF program, or the eBPF programs of an
// object; two of the three are nil.
type program struct {
	classic  []bpf.RawInstruction
	extended []ebpf.Instruction
	object   *object.Object
}

// extendedText matches what only eBPF assembly has: an assignment or a
// comparison of a register, a store, or a bare exit.
var extendedText = regexp.MustCompile(`(?m)^[^;#\n]*(\b[rw]([0-9]|10)\s*([-+*/|&^%s<>]*=|[<>])|\*\(u(8|16|32|64)\s*\*\)|^\s*(\d+:\s*)?exit\b)`)

// readProgram reads a program of any kind, recognised by its content.
// Bytes need no flag either: a valid classic program ends in a return, and both
// return opcodes are invalid at the end of an eBPF program. Bytes that are valid
// as neither are shown as classic.
func (a *app) readProgram(name string) (program, error) {
	data, err := a.readCode(name)
	if err != nil {
		return program{}, err
	}
	return a.programIn(name, data, 0)
}

// programIn is readProgram for what has been read from the file. Programs of
// an object whose section does not tell a type get the given one.
func (a *app) programIn(name string, data []byte, otherwise abi.ProgType) (program, error) {
	if isELF(data) {
		obj, err := a.readObject(name, data, otherwise)
		return program{object: obj}, err
	}
	if a.btf != "" {
		return program{}, usagef("--btf is for ELF objects, and %s is none", name)
	}
	if isText(data) && extendedText.Match(data) {
		extended, _, err := ebpf.ParseAny(data)
		return program{extended: extended}, inFile(name, err)
	}
	classic, _, classicErr := cbpf.ParseAny(data)
	extended, _, extendedErr := ebpf.ParseAny(data)
	isExtended := extendedErr == nil && ebpf.Validate(extended) == nil
	switch {
	case classicErr == nil && (cbpf.Check(classic) == nil || !isExtended):
		return program{classic: classic}, nil
	case extendedErr == nil:
		return program{extended: extended}, nil
	case isText(data):
		return program{}, inFile(name, classicErr)
	}
	return program{}, usagef("%s is neither kind of program: as classic, %v; as eBPF, %v", name, classicErr, extendedErr)
}

// readCode reads the file of a program, and refuses what is surely none.
func (a *app) readCode(name string) ([]byte, error) {
	data, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, usagef("%s: the program is empty", name)
	}
	if _, err := capture.NewReader(bytes.NewReader(data)); err == nil {
		return nil, usagef("%s is a capture, not a program", name)
	}
	return data, nil
}

// one returns the only argument of a command, what it wants one of otherwise.
func one(what string, args []string) (string, error) {
	for _, arg := range args[min(1, len(args)):] {
		if strings.HasPrefix(arg, "-") && arg != "-" {
			return "", usagef("want one %s, have %d arguments: flags such as %s come before the first", what, len(args), arg)
		}
	}
	if len(args) != 1 {
		return "", usagef("want one %s, have %d arguments", what, len(args))
	}
	return args[0], nil
}

// inFile puts the name of a file before an error about its content.
func inFile(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

func isText(data []byte) bool { return utf8.Valid(data) && bytes.IndexByte(data, 0) < 0 }
