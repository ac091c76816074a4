package jit

import (
	"fmt"

	"github.com/bpflab/bpflab/jit/amd64"
)

// compiled is finished machine code, in executable memory.
type compiled struct {
	mem     *memory
	entries []int32 // where Go enters, by slot counted through all programs
	leave   uintptr // address of compiler.leave
	start   uintptr // address of lean code
	packet  uint32  // where packets are, as lean code has it
	chunk   int     // how many packets lean code may go through before it must come back to Go
	perCPU  bool    // it takes values of the processor
	leaves  bool    // lean code leaves for calls
}

// assemble resolves the labels of the code.
func (c *compiler) assemble() amd64.Code {
	code, err := c.asm.Finish()
	if err != nil {
		panic(err) // every label that is jumped to is bound
	}
	return code
}

// finish makes the code executable.
func (c *compiler) finish() (out *compiled, err error) {
	finished := c.assemble()
	out = &compiled{entries: make([]int32, c.slots())}
	for slot := range out.entries {
		out.entries[slot] = int32(len(finished.Bytes)) // where nothing but a trap is: see newMemory
	}
	for slot, l := range c.entries {
		out.entries[slot] = int32(finished.LabelOffset(l))
	}
	out.perCPU, out.leaves = c.perCPU, c.leaves
	if out.mem, err = newMemory(finished.Bytes); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	switch {
	case c.lean:
		out.packet = c.at.Packet
		out.start, out.chunk = out.at(finished.LabelOffset(c.batch)), max(1, slice/len(c.p.insns))
	case c.has.functions:
		out.leave = out.at(finished.LabelOffset(c.leave))
	}
	return out, nil
}

// slots is how many slots the programs have together.
func (c *compiler) slots() int {
	last := c.programs[len(c.programs)-1]
	return last.start + len(last.insns)
}

// entry returns the address of the code for Go to enter at a slot.
func (c *compiled) entry(slot int) uintptr { return c.at(int(c.entries[slot])) }

// at returns the address of code for enter.
func (c *compiled) at(offset int) uintptr { return c.mem.addr() + uintptr(offset) }

func (c *compiled) close() error {
	if c == nil {
		return nil
	}
	return c.mem.Close()
}
