package vm

import "github.com/bpflab/bpflab/ebpf"

// A Step is the state of a machine before it runs an instruction.
type Step struct {
	Packet    int    // index of the packet among those that Run was given
	Program   string // name of the program, "" if it has none
	Index     int    // of the instruction in the program
	Insn      ebpf.Instruction
	Registers [11]uint64 // R0 to R10
}

// traced is interpret with Options.Trace called before each instruction. The
// loop is left and entered again for each, so that it need not know of tracing.
func (m *Machine) traced(packet int) stop {
	budget := m.left
	for ; budget > 0; budget-- {
		p := m.programAt(m.pc)
		m.o.Trace(&Step{
			Packet: packet, Program: p.name, Index: m.pc - p.start,
			Insn: m.prog[m.pc], Registers: [11]uint64(m.reg[:11]),
		})
		m.left = 1
		if why := m.interpret(); why != stopBudget {
			m.left += budget - 1
			return why
		}
	}
	m.left = 0
	return stopBudget
}
