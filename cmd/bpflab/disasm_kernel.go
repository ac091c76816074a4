package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/jit/amd64"
)

// A kernelListing is what the kernel makes of a program, and its JSON.
type kernelListing struct {
	Program      string           `json:"program"`
	Type         string           `json:"type"`
	Instructions int              `json:"instructions"` // slots before the kernel's rewriting
	Translated   []kernelSlot     `json:"translated"`
	Functions    []kernelFunction `json:"functions"`
}

type kernelSlot struct {
	Slot int    `json:"slot"`
	Op   uint8  `json:"op"`
	Insn string `json:"insn"` // "" in the second slot of a 64-bit immediate
}

type kernelFunction struct {
	Address string       `json:"address,omitempty"` // "" where the kernel hides it
	Size    int          `json:"size"`
	Lines   []kernelLine `json:"lines"` // for amd64 only
}

type kernelLine struct {
	Offset int    `json:"offset"`
	Bytes  string `json:"bytes"`
	Text   string `json:"text"`
	Target string `json:"target,omitempty"` // the kernel's function that is called
}

// kernelCode loads a program into the kernel and lists what has become of it.
func kernelCode(s *subject) (*kernelListing, error) {
	c, err := kernel.NewCollection(s.Maps, s.types)
	if err != nil {
		return nil, noKernel(err)
	}
	defer c.Close()
	p, _, err := c.Load(s.forKernel())
	var refused *kernel.VerifierError
	switch {
	case errors.As(err, &refused):
		return nil, answerNo{err}
	case err != nil:
		return nil, noKernel(notAsked(err))
	}
	code, err := p.Code()
	if err != nil {
		return nil, noKernel(err)
	}
	return listKernelCode(s, code, kernelSymbols()), nil
}

// kernelSymbols are nil where they cannot be read: the listing is then without
// names.
var kernelSymbols = sync.OnceValue(func() *kernel.Symbols {
	symbols, err := kernel.ReadSymbols()
	if err != nil {
		return nil
	}
	return symbols
})

func listKernelCode(s *subject, code *kernel.Code, symbols *kernel.Symbols) *kernelListing {
	l := &kernelListing{Program: s.Name, Type: s.Type.String(), Instructions: len(s.Insns)}
	for i, text := range code.Text(symbols) {
		l.Translated = append(l.Translated, kernelSlot{i, uint8(code.Translated[i].Op), text})
	}
	for _, f := range code.Functions {
		listed := kernelFunction{Size: len(f.Code)}
		if f.Address != 0 {
			listed.Address = fmt.Sprintf("%#x", f.Address)
		}
		if runtime.GOARCH == "amd64" { // the kernel's code is for this machine
			listed.Lines = nativeLines(f, symbols)
		}
		l.Functions = append(l.Functions, listed)
	}
	return l
}

func nativeLines(f kernel.NativeFunction, symbols *kernel.Symbols) (lines []kernelLine) {
	for _, line := range amd64.Text(f.Code) {
		code := f.Code[line.Offset : line.Offset+line.Size]
		lines = append(lines, kernelLine{line.Offset, hex.EncodeToString(code), line.Text, calledFunction(f, line.Text, symbols)})
	}
	return lines
}

// calledFunction names the target of a call, of which the text tells the
// distance from the start of the code.
func calledFunction(f kernel.NativeFunction, text string, symbols *kernel.Symbols) string {
	target, ok := strings.CutPrefix(text, "call 0x")
	distance, err := strconv.ParseUint(target, 16, 64)
	if !ok || err != nil || f.Address == 0 {
		return ""
	}
	return symbols.At(f.Address + distance)
}

// write writes the listing as text.
func (l *kernelListing) write(w io.Writer) error {
	var b bytes.Buffer
	size := 0
	for _, f := range l.Functions {
		size += f.Size
	}
	fmt.Fprintf(&b, "; program %s, type %s, in the kernel: %d slots translated, of %d; %d bytes of machine code\n",
		l.Program, l.Type, len(l.Translated), l.Instructions, size)
	for _, s := range l.Translated {
		if s.Insn != "" {
			fmt.Fprintf(&b, "%4d: (%02x) %s\n", s.Slot, s.Op, s.Insn)
		}
	}
	for i, f := range l.Functions {
		fmt.Fprintf(&b, "\n; machine code of function %d, %d bytes", i, f.Size)
		if f.Address != "" {
			fmt.Fprintf(&b, " at %s", f.Address)
		}
		b.WriteString("\n")
		for _, line := range f.Lines {
			text := line.Text
			if line.Target != "" {
				text += " ; " + line.Target
			}
			fmt.Fprintf(&b, "%6x: %-22s %s\n", line.Offset, line.Bytes, text)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// showKernel writes what the kernel makes of a program.
func (m *machineCode) showKernel(s *subject, format string) error {
	l, err := kernelCode(s)
	switch {
	case err != nil:
		return err
	case format == "json":
		return json.NewEncoder(m.out).Encode(l)
	}
	return l.write(m.out)
}
