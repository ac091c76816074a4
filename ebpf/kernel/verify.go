package kernel

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/bpflab/bpflab/ebpf"
)

// Code is what the kernel has made of a program.
type Code struct {
	// Translated is the program after the verifier's rewriting ("xlated"):
	// loads of context fields are loads from the kernel's own structures,
	// some helper functions are inlined, and the others are called by a
	// distance in the kernel's address space. References to maps hold the
	// map's id. Not all of it can be loaded again.
	Translated []ebpf.Instruction

	// Maps are the names of the maps by their ids, as far as the kernel
	// keeps them.
	Maps map[int32]string

	// Functions are the machine code, one for each function of the program;
	// nil where the kernel interprets programs, or does not show it.
	Functions []NativeFunction
}

// A NativeFunction is the machine code of one function of a program.
type NativeFunction struct {
	Address uint64 // in the kernel, 0 if it does not say
	Code    []byte
}

// callBase is the function from which the distances of calls count.
const callBase = "__bpf_call_base"

// Text returns the text of each slot of the translated program, with the names
// of maps and, as far as the symbols tell, of the kernel's functions. Symbols may
// be nil.
func (c *Code) Text(symbols *Symbols) []string {
	names := ebpf.Names{Map: func(id int32) string { return c.Maps[id] }}
	text := names.Disassemble(c.Translated)
	if symbols == nil || symbols.base == 0 {
		return text
	}
	for i, ins := range c.Translated {
		if ins.Op != ebpf.ClassJMP|ebpf.Call || ins.Src != ebpf.CallHelper || ebpf.HelperName(ins.Imm) != "" {
			continue
		}
		if name := symbols.At(symbols.base + uint64(int64(ins.Imm))); name != "" {
			text[i] = fmt.Sprintf("call %s#%d", name, ins.Imm)
		}
	}
	return text
}

// Symbols are the names of the kernel's functions and variables.
type Symbols struct {
	names map[uint64]string
	base  uint64 // address of callBase
}

// ReadSymbols reads the kernel's list of symbols (/proc/kallsyms). It knows no
// addresses where the kernel hides them from this user (kptr_restrict).
func ReadSymbols() (*Symbols, error) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readSymbols(f)
}

func readSymbols(r io.Reader) (*Symbols, error) {
	s := &Symbols{names: map[uint64]string{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		parts := strings.Fields(lines.Text()) // address, type, name, [module]
		if len(parts) < 3 {
			continue
		}
		address, err := strconv.ParseUint(parts[0], 16, 64)
		if err != nil || address == 0 {
			continue
		}
		s.names[address] = parts[2]
		if parts[2] == callBase {
			s.base = address
		}
	}
	return s, lines.Err()
}

// At returns the name of what begins at an address, or "".
func (s *Symbols) At(address uint64) string {
	if s == nil {
		return ""
	}
	return s.names[address]
}
