package ebpf

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// writeDot writes the flow graph for Graphviz: a node a basic block, named by
// the index of its first instruction, and edges that say when they are taken.
// Functions of the program are parts of the graph that calls point to with
// dashed edges.
func writeDot(prog []Instruction, o WriteOptions) ([]byte, error) {
	starts := blockStarts(prog)
	text := Disassemble(prog)
	var b bytes.Buffer
	b.WriteString("digraph ebpf {\n\tnode [shape=box fontname=\"monospace\"];\n")
	for first := 0; first < len(prog); {
		next := first + 1
		for next < len(prog) && !starts[next] {
			next++
		}
		fmt.Fprintf(&b, "\tn%d [label=\"%s\"];\n", first, dotLabel(text, first, next, o))
		dotEdges(&b, prog, first, next)
		first = next
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

// An edge leads from an instruction to one that may run next; the style is
// Graphviz's, and empty if the edge is always taken.
type edge struct {
	to    int
	style string
}

// successors returns where the program can go on after the instruction at i.
// What leaves the program is dropped.
func successors(prog []Instruction, i int) []edge {
	ins := prog[i]
	next := i + ins.Width()
	var edges []edge
	switch target, jumps := ins.Target(i); {
	case forms[ins.Op] == formExit:
	case forms[ins.Op] == formJump, forms[ins.Op] == formLongJump:
		edges = []edge{{target, ""}}
	case forms[ins.Op] == formBranch, forms[ins.Op] == formMayGoto:
		edges = []edge{{target, " [label=true]"}, {next, " [label=false]"}}
	case jumps: // a local call, or the address of a function
		edges = []edge{{target, " [style=dashed]"}, {next, ""}}
	default:
		edges = []edge{{next, ""}}
	}
	return slices.DeleteFunc(edges, func(e edge) bool { return e.to < 0 || e.to >= len(prog) })
}

// blockStarts marks the instructions that begin a basic block: the targets of
// jumps and calls, and what follows a jump or an exit.
func blockStarts(prog []Instruction) []bool {
	starts := make([]bool, len(prog)+2)
	for i := 0; i < len(prog); i += prog[i].Width() {
		next := i + prog[i].Width()
		for _, e := range successors(prog, i) {
			if e.to != next {
				starts[e.to] = true
			}
		}
		switch forms[prog[i].Op] {
		case formExit, formJump, formLongJump, formBranch, formMayGoto:
			starts[next] = true
		}
	}
	return starts[:len(prog)]
}

var dotEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func dotLabel(text []string, first, next int, o WriteOptions) string {
	var b strings.Builder
	for i := first; i < next; i++ {
		if text[i] == "" {
			continue
		}
		b.WriteString(dotEscaper.Replace(fmt.Sprintf("%d: %s%s", i, text[i], o.beside(i, " ; ", ""))) + `\l`)
	}
	return b.String()
}

// dotEdges writes the edges of a block: those of its last instruction, and
// those of the calls in it.
func dotEdges(b *bytes.Buffer, prog []Instruction, first, next int) {
	for i := first; i < next; i += prog[i].Width() {
		last := i+prog[i].Width() >= next
		for _, e := range successors(prog, i) {
			if last || strings.Contains(e.style, "dashed") {
				fmt.Fprintf(b, "\tn%d -> n%d%s;\n", first, e.to, e.style)
			}
		}
	}
}
