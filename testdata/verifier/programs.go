// Package programs holds small eBPF programs with the verdict that a verifier
// must give: rejects, each of which breaks one rule; accepts, which keep to the
// rules in all the ways in which real programs do; and bugs, programs that a
// published verifier once accepted although they can do harm.
//
// They stand in text files. An entry starts with a line "program NAME" and ends
// at the next one:
//
//	program load-before-check
//	type xdp
//	map m0 hash 4 8 16
//	reject V101 at 1: …
//		r1 = *(u32 *)(r1 +0)
//		r0 = *(u8 *)(r1 +0)
//		exit
//
// Lines that start with a tab or a label are the code, in the text of package ebpf with
// map[m0] for the address of a map and map[m0][0]+4 for that of a byte of its
// first value. A line "raw 95 00 0100 00000000" is an instruction by opcode,
// registers, offset and immediate as they are in memory, for what no assembler
// takes. Other lines are the header:
//
//	type TYPE             the program type, as abi prints it
//	map NAME KIND KEY VALUE ENTRIES [rdonly] [wronly] [lock OFFSET] [inner MAP] [frozen HEX]
//	absent SLOT NAME      the call in that slot is of a function that is not there
//	context SIZE          for the types whose context is bytes
//	flag notgpl|egress|strict
//	reject VNNN at SLOT: MESSAGE
//	kernel accepts|rejects|cannot: REASON   where the kernel's verdict is another
//
// Without reject the program is to be accepted. Comments start with "#"; those
// before an entry say which rule it is about.
package programs

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A Program is an entry.
type Program struct {
	Name  string
	Where string // file:line
	Type  abi.ProgType
	Maps  []abi.MapSpec
	Insns []ebpf.Instruction // maps by their index in Maps

	ContextSize int // in bytes, for the types whose context is bytes

	Absent map[int]string // by slot
	NotGPL bool           // the license is not compatible with the GPL
	Egress bool           // of a cgroup_skb program: for packets that leave
	Strict bool           // to be judged as for users without privileges

	Code    int    // of the rule that the program breaks, 0 if it is to be accepted
	Message string // "at SLOT: …": what is said of it; "" if it has not been recorded

	// Kernel is "" if the kernel's verdict is the same. Otherwise it starts
	// with what the kernel does, "accepts", "rejects" or "cannot" (be asked),
	// and says why.
	Kernel string
}

//go:embed *.txt accepts/*.txt rejects/*.txt
var files embed.FS

// Rejects returns the programs that break a rule.
func Rejects() []Program { return load("rejects/*.txt") }

// Accepts returns the programs that break none.
func Accepts() []Program { return load("accepts/*.txt") }

// Bugs returns the programs that some verifier accepted by mistake.
func Bugs() []Program { return load("bugs.txt") }

func load(pattern string) []Program {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		panic(err)
	}
	var all []Program
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		list, err := Parse(name, string(text))
		if err != nil {
			panic(err)
		}
		all = append(all, list...)
	}
	return all
}

// Rewrite returns the text of a file with other messages: message returns, for
// the name of a program to be rejected, the text behind the code, or "" to
// leave it.
func Rewrite(text string, message func(name string) string) string {
	var out strings.Builder
	name := ""
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "program "); ok {
			name = strings.TrimSpace(rest)
		}
		if fields := strings.Fields(line); strings.HasPrefix(line, "reject ") {
			if m := message(name); m != "" {
				line = "reject " + fields[1] + " " + m + "\n"
			}
		}
		out.WriteString(line)
	}
	return out.String()
}
