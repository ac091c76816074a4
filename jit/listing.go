package jit

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
)

// A Listing is the machine code of programs, for people to read: which bytes were
// made of which instruction. Every byte belongs to one instruction, or to one of
// the parts that none has made.
type Listing struct {
	Form      Form            `json:"form"`
	Size      int             `json:"size"` // bytes of code
	Registers []HostRegister  `json:"registers"`
	Programs  []ListedProgram `json:"programs"`
	Parts     []Part          `json:"parts"`
}

// A HostRegister is what a register of the processor is used for throughout.
type HostRegister struct {
	Name  string `json:"name"`  // "rax"
	Holds string `json:"holds"` // "r0"
}

// A Form says what a piece of code is for.
type Form string

const (
	// Batch is code that runs a program which only looks at packets over an
	// array of them.
	Batch Form = "batch"
	// Single is code that runs programs of any kind on the packet of a machine,
	// in whose memory their registers are where Go has to do something.
	Single Form = "single"
)

// A ListedProgram is one program and its code.
type ListedProgram struct {
	Name  string       `json:"program"`
	Type  string       `json:"type"`
	Insns []ListedInsn `json:"instructions"`
}

// A ListedInsn is an instruction and its code.
type ListedInsn struct {
	verifier.Place
	Op   ebpf.Opcode `json:"op"`
	Code []Piece     `json:"code,omitempty"` // the first in the order of the program; then, behind everything, what is done rarely
	Also []int       `json:"also,omitempty"` // the instructions behind it that its code does, too
	Note string      `json:"note,omitempty"` // why it has no code
}

// A Part is code that belongs to no instruction.
type Part struct {
	What string `json:"what"`
	Piece
}

// A Piece is code without a gap.
type Piece struct {
	Start int    `json:"start"` // offset of its first byte
	End   int    `json:"end"`   // behind its last one
	Lines []Line `json:"lines"`
}

// A Line is one instruction of machine code.
type Line struct {
	Offset int          `json:"offset"`
	Bytes  verifier.Hex `json:"bytes"`
	Text   string       `json:"text"` // in Intel syntax; jumps go to offsets
}

// Listing returns the code that the engine runs the program with. A program that
// has code for batches has code for single packets, too, where a packet needs it;
// of that there is no listing.
func (e *Engine) Listing() (*Listing, error) {
	if e.closed {
		return nil, errClosedEngine
	}
	return list(e.native, e.tuning, e.proofs), nil
}

// List compiles programs as [New] does, and returns the code. It needs nothing of
// the host: where that is no amd64 processor, the code is for one with all the
// instructions that the compiler knows.
func List(o vm.Options, proofs ...*verifier.Proof) (*Listing, error) {
	host := hostFeatures()
	if host == (features{}) {
		host = features{BMI2: true, MOVBE: true}
	}
	return listFor(host, o, proofs...)
}

func listFor(host features, o vm.Options, proofs ...*verifier.Proof) (*Listing, error) {
	m, err := vm.LoadProved(o, proofs...)
	if err != nil {
		return nil, err
	}
	return list(m.Native(), tuning{host: host}, proofs), errors.Join(m.Close())
}

// list compiles once more: the code of the same programs in the same machine is
// always the same.
func list(n *vm.Native, t tuning, proofs []*verifier.Proof) *Listing {
	l := &Listing{Form: Batch}
	c := emitLean(n, t, proofs)
	if c == nil {
		l.Form = Single
		c = newCompiler(n, t)
		c.addPrograms(proofs)
		c.emitGeneral()
	}
	l.Registers = c.listRegisters()
	for _, p := range c.programs {
		l.Programs = append(l.Programs, p.listed())
	}
	code := c.assemble()
	l.Size = len(code.Bytes)
	lines := amd64.Text(code.Bytes)
	for i, m := range c.marks {
		end := l.Size
		if i+1 < len(c.marks) {
			end = code.Offset(c.marks[i+1].pos)
		}
		piece := Piece{Start: code.Offset(m.pos), End: end}
		for ; len(lines) > 0 && lines[0].Offset < end; lines = lines[1:] {
			offset := lines[0].Offset
			piece.Lines = append(piece.Lines, Line{offset, code.Bytes[offset : offset+lines[0].Size], lines[0].Text})
		}
		if piece.Start < piece.End {
			l.add(m, slices.Index(c.programs, m.program), piece)
		}
	}
	for i := range l.Programs {
		l.Programs[i].explain(c.programs[i])
	}
	return l
}

// listRegisters lists what registers hold.
func (c *compiler) listRegisters() (list []HostRegister) {
	add := func(r amd64.Reg, holds string) { list = append(list, HostRegister{r.String(), holds}) }
	places := map[amd64.Reg]string{c.length.reg: "packet length", c.slice.reg: "instructions left"}
	if c.lean {
		places[c.frames.reg], places[c.verdicts.reg], places[c.last.reg] = "frame", "verdict", "end of the frames"
	}
	for r, host := range hostOf {
		if _, taken := places[host]; !taken && !slices.Contains(c.spare, host) {
			add(host, fmt.Sprintf("r%d", r))
		}
	}
	for _, host := range slices.Sorted(maps.Keys(places)) {
		if host != amd64.NoReg {
			add(host, places[host])
		}
	}
	add(scratch, "scratch")
	if c.lean || c.has.legacy {
		add(packetReg, "packet")
	}
	add(baseReg, "memory of the machine")
	return list
}

// listed lists the instructions of a program without their code.
func (p *program) listed() ListedProgram {
	v := p.proof.Program()
	l := ListedProgram{Name: v.Name, Type: v.Type.String()}
	text := v.Text()
	for slot := 0; slot < len(v.Insns); slot += v.Insns[slot].Width() {
		insn := ListedInsn{Place: verifier.Place{Slot: slot, Insn: text[slot]}, Op: v.Insns[slot].Op}
		if v.Source != nil {
			insn.Source = v.Source(slot)
		}
		l.Insns = append(l.Insns, insn)
	}
	return l
}

// insn finds the instruction in a slot.
func (p *ListedProgram) insn(slot int) *ListedInsn {
	i, _ := slices.BinarySearchFunc(p.Insns, slot, func(l ListedInsn, slot int) int { return cmp.Compare(l.Slot, slot) })
	return &p.Insns[i]
}

// add adds a piece to what it belongs to. Neighbours are one piece.
func (l *Listing) add(m mark, program int, piece Piece) {
	if m.part != "" {
		what := m.part
		if m.program != nil {
			what = fmt.Sprintf("%s at %d", what, m.slot)
		}
		if m.program != nil && len(l.Programs) > 1 {
			what += " of " + l.Programs[program].Name
		}
		l.Parts = append(l.Parts, Part{what, piece})
		return
	}
	insn := l.Programs[program].insn(m.slot)
	if last := len(insn.Code) - 1; last >= 0 && insn.Code[last].End == piece.Start {
		insn.Code[last].End = piece.End
		insn.Code[last].Lines = append(insn.Code[last].Lines, piece.Lines...)
	} else {
		insn.Code = append(insn.Code, piece)
	}
	for slot := m.slot; m.fused > 0; m.fused-- {
		slot += m.program.insns[slot].Width()
		insn.Also = append(insn.Also, slot)
	}
}

// explain notes why instructions have no code.
func (l *ListedProgram) explain(p *program) {
	along := map[int]int{}
	for i := range l.Insns {
		insn := &l.Insns[i]
		for _, slot := range insn.Also {
			along[slot] = insn.Slot
		}
		leader, isAlong := along[insn.Slot]
		switch {
		case len(insn.Code) > 0:
		case isAlong:
			insn.Note = fmt.Sprintf("done with %d", leader)
		case !p.proof.Reached(insn.Slot):
			insn.Note = "no run comes here"
		case !p.isNeeded(insn.Slot):
			insn.Note = "not read, or known already"
		default:
			insn.Note = "nothing to do"
		}
	}
}
