package jit

import (
	"fmt"

	"github.com/bpflab/bpflab/jit/amd64"
)

// compiled is finished machine code, in executable memory.
type compiled struct {
	bytes   []byte
	mem     *memory
	entries map[int]int // where Go enters, by slot counted through all programs
	leave   int         // see compiler.leave
	batch   int         // lean code
	chunk   int         // how many packets lean code may go through before it must come back to Go
	perCPU  bool        // it takes values of the processor
	leaves  bool        // lean code leaves for calls
	spans   []span
}

// A span says which bytes belong to an instruction.
type span struct {
	slot       int // counted through all programs; below 0 for bytes that belong to none
	start, end int
}

// finish makes the code executable.
func (c *compiler) finish() (*compiled, error) {
	finished, err := c.asm.Finish()
	if err != nil {
		panic(err) // every label that is jumped to is bound
	}
	out := &compiled{bytes: finished.Bytes, entries: make(map[int]int, len(c.entries))}
	if c.lean {
		out.batch, out.chunk = finished.LabelOffset(c.batch), max(1, slice/len(c.p.insns))
	} else {
		out.leave = finished.LabelOffset(c.leave)
	}
	for slot, l := range c.entries {
		out.entries[slot] = finished.LabelOffset(l)
	}
	out.perCPU, out.leaves = c.perCPU, c.leaves
	out.spans = spansOf(&finished, c.marks)
	if out.mem, err = newMemory(out.bytes); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return out, nil
}

func spansOf(finished *amd64.Code, marks []mark) []span {
	var spans []span
	for i, m := range marks {
		end := len(finished.Bytes)
		if i+1 < len(marks) {
			end = finished.Offset(marks[i+1].pos)
		}
		if start := finished.Offset(m.pos); start < end {
			spans = append(spans, span{m.slot, start, end})
		}
	}
	return spans
}

// at returns the address of code for enter.
func (c *compiled) at(offset int) uintptr { return c.mem.addr() + uintptr(offset) }

func (c *compiled) close() error {
	if c == nil {
		return nil
	}
	return c.mem.Close()
}
