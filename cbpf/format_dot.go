package cbpf

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/net/bpf"
)

// writeDot writes the flow graph for Graphviz: a node a basic block, named by
// the index of its first instruction, and edges that say when they are taken.
func writeDot(prog []bpf.RawInstruction, o WriteOptions) ([]byte, error) {
	starts := blockStarts(prog)
	var b bytes.Buffer
	b.WriteString("digraph cbpf {\n\tnode [shape=box fontname=\"monospace\"];\n")
	for first := 0; first < len(prog); {
		last := first
		for last+1 < len(prog) && !starts[last+1] {
			last++
		}
		fmt.Fprintf(&b, "\tn%d [label=\"%s\"];\n", first, dotLabel(prog, first, last, o))
		dotEdges(&b, prog, first, last)
		first = last + 1
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

// blockStarts marks the instructions that begin a basic block.
func blockStarts(prog []bpf.RawInstruction) []bool {
	starts := make([]bool, len(prog))
	for i := range prog {
		targets := successors(prog, i)
		if len(targets) == 1 && targets[0].to == i+1 && targets[0].label == "" {
			continue
		}
		if i+1 < len(prog) {
			starts[i+1] = true
		}
		for _, t := range targets {
			starts[t.to] = true
		}
	}
	return starts
}

// An edge of the flow graph; the label is empty if it is always taken.
type edge struct {
	to    int
	label string
}

// successors returns where the program can go on after instruction i. What
// leaves the program is dropped.
func successors(prog []bpf.RawInstruction, i int) []edge {
	ins := prog[i]
	var out []edge
	add := func(distance uint32, label string) {
		if to, ok := jumpTarget(i, distance, len(prog)); ok {
			out = append(out, edge{to, label})
		}
	}
	switch {
	case isReturn(ins.Op):
	case ins.Op == ClassJMP|JA:
		add(ins.K, "")
	case isConditional(ins.Op):
		add(uint32(ins.Jt), "true")
		add(uint32(ins.Jf), "false")
	default:
		add(0, "")
	}
	return out
}

func dotLabel(prog []bpf.RawInstruction, first, last int, o WriteOptions) string {
	var b strings.Builder
	for i := first; i <= last; i++ {
		line := fmt.Sprintf("(%03d) %s%s", i, tidy(Mnemonic(prog[i], i)), o.beside(i, " ; ", ""))
		b.WriteString(dotEscaper.Replace(line) + `\l`)
	}
	return b.String()
}

var dotEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func dotEdges(b *bytes.Buffer, prog []bpf.RawInstruction, first, last int) {
	for _, e := range successors(prog, last) {
		fmt.Fprintf(b, "\tn%d -> n%d", first, e.to)
		if e.label != "" {
			fmt.Fprintf(b, " [label=%s]", e.label)
		}
		b.WriteString(";\n")
	}
}

// parseDot refuses: a drawing is made from a program, not the other way round.
func parseDot(data []byte) ([]bpf.RawInstruction, error) {
	return nil, syntaxError(data, 0, "a Graphviz drawing can't be read back as a program")
}
