package vm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// A Watch holds a machine in checked mode against the proofs of its programs:
// before each instruction every register and every part of the stack must be
// what the proof says, and only ways may be taken that it knows. It lives in
// this package because it looks at registers, frames and maps, and is exported
// to the tests outside.
type Watch struct {
	m      *Machine
	claims []claims // by program
	wrong  error    // the first difference

	previous int   // index in m.prog of the instruction before
	started  bool  // there was one
	bases    []int // frames in which programs called by tail calls run, rising
}

// claims is what a proof says, in the form in which it is checked.
type claims struct {
	proof   *verifier.Proof
	program verifier.Program
	slots   []slotClaims
}

type slotClaims struct {
	reached, jumps, falls bool
	regions               verifier.Region
	regs                  []regClaim
	stack                 []verifier.StackValue
}

type regClaim struct {
	reg   int
	value verifier.Value
}

// LoadWatched makes a machine in checked mode of what proofs are about.
func LoadWatched(o Options, proofs ...*verifier.Proof) (*Machine, *Watch, error) {
	w := &Watch{}
	o.Trace = func(s *Step) {
		if w.wrong == nil {
			w.wrong = w.step(s)
		}
	}
	var c Collection
	for _, proof := range proofs {
		p := proof.Program()
		c.Maps = p.Maps
		c.Programs = append(c.Programs, Program{Name: p.Name, Type: p.Type, Insns: p.Insns, Absent: p.Absent})
		w.claims = append(w.claims, claimsOf(proof, p))
	}
	m, err := Load(c, o)
	w.m = m
	return m, w, err
}

func claimsOf(proof *verifier.Proof, p verifier.Program) claims {
	c := claims{proof: proof, program: p, slots: make([]slotClaims, len(p.Insns))}
	for i := range c.slots {
		s := &c.slots[i]
		s.reached, s.regions = proof.Reached(i), proof.Regions(i)
		s.jumps, s.falls = proof.Branches(i)
		f := proof.Facts(i)
		if f == nil {
			continue
		}
		s.stack = f.Stack
		for r, v := range f.Registers {
			if v.Kind != verifier.Nothing && (v.Kind != verifier.Number || !v.Num.IsUnknown()) {
				s.regs = append(s.regs, regClaim{r, v})
			}
		}
	}
	return c
}

// Run runs a packet and returns the first thing that the proofs do not allow,
// in its course or at its end.
func (w *Watch) Run(in engine.Packet) (engine.Result, error) {
	w.wrong, w.started, w.bases = nil, false, append(w.bases[:0], 0)
	var out [1]engine.Result
	if err := w.m.Run([]engine.Packet{in}, out[:]); err != nil {
		return out[0], err
	}
	switch res := &out[0]; {
	case w.wrong != nil:
		return *res, w.wrong
	case res.Fault != nil && !errors.Is(res.Fault, ErrBudget):
		return *res, res.Fault
	case res.Fault == nil:
		return *res, w.returned(res.R0)
	}
	return out[0], nil
}

// returned checks what the run returned, where that has a range.
func (w *Watch) returned(r0 uint64) error {
	p := &w.claims[0].program
	if p.Type != abi.CGroupSKB {
		return nil
	}
	most := uint64(1)
	if p.Egress {
		most = 3
	}
	if r0 > most {
		return fmt.Errorf("the program returned %d", int64(r0))
	}
	return nil
}

// step checks the state before an instruction.
func (w *Watch) step(s *Step) error {
	m := w.m
	number := slices.IndexFunc(m.programs, func(p program) bool { return m.pc < p.end })
	c := &w.claims[number]
	if err := w.way(number); err != nil {
		return fmt.Errorf("%s: %w", c.program.Name, err)
	}
	w.previous, w.started = m.pc, true
	at := &c.slots[s.Index]
	if !at.reached {
		return fmt.Errorf("%s: instruction %d runs, which is not reached: %v", c.program.Name, s.Index, s.Insn)
	}
	for i := range at.regs {
		r := &at.regs[i]
		if err := w.holds(&r.value, m.reg[r.reg], c); err != nil {
			return fmt.Errorf("%s: before instruction %d, %v: R%d %w", c.program.Name, s.Index, s.Insn, r.reg, err)
		}
	}
	for i := range at.stack {
		v := &at.stack[i]
		if err := w.holds(&v.Value, m.word(m.reg[10]+uint64(v.Offset), v.Size), c); err != nil {
			return fmt.Errorf("%s: before instruction %d, %v: R10%+d %w", c.program.Name, s.Index, s.Insn, v.Offset, err)
		}
	}
	if err := w.touches(s, at.regions); err != nil {
		return fmt.Errorf("%s: instruction %d, %v: %w", c.program.Name, s.Index, s.Insn, err)
	}
	return w.gives(s, number)
}

// way checks how the run came to this instruction, and notes tail calls.
func (w *Watch) way(number int) error {
	m := w.m
	for w.bases[len(w.bases)-1] > m.depth {
		w.bases = w.bases[:len(w.bases)-1]
	}
	if !w.started {
		return nil
	}
	ins := m.prog[w.previous]
	from := slices.IndexFunc(m.programs, func(p program) bool { return w.previous < p.end })
	slot := w.previous - m.programs[from].start
	class, operation := ins.Op.Class(), ins.Op.Operation()
	switch {
	case class != ebpf.ClassJMP && class != ebpf.ClassJMP32:
	case operation == ebpf.Call:
		if ins.Src == ebpf.CallHelper && ins.Imm == abi.TailCall && m.pc == m.programs[number].start && m.pc != w.previous+1 {
			w.bases = append(w.bases, m.depth)
		}
	case operation != ebpf.Ja && operation != ebpf.Exit && from == number:
		c := &w.claims[from].slots[slot]
		target, _ := ins.Target(slot)
		target += m.programs[from].start
		if m.pc == w.previous+1 && !c.falls && target != m.pc {
			return fmt.Errorf("the jump at %d, %v, falls through", slot, ins)
		}
		if m.pc == target && !c.jumps && target != w.previous+1 {
			return fmt.Errorf("the jump at %d, %v, jumps", slot, ins)
		}
	}
	return nil
}

// word is what n bytes of memory hold as a number.
func (m *Machine) word(addr uint64, n int) uint64 {
	var b [8]byte
	copy(b[:], m.bytes(addr, uint64(n)))
	return binary.LittleEndian.Uint64(b[:])
}

// holds checks a value against what is said of it.
func (w *Watch) holds(v *verifier.Value, value uint64, c *claims) error {
	if v.Kind == verifier.Number {
		if !v.Num.Contains(value) {
			return fmt.Errorf("is %d (%#x), proved %v", int64(value), value, v.Num)
		}
		return nil
	}
	if v.Nullable && value == 0 || w.points(v, value, c) {
		return nil
	}
	return fmt.Errorf("is %#x, proved %v at %v, nullable %v, map %d, size %d, frame %d, room %d (context %#x, packet %#x %#x..%#x, frame %d)",
		value, v.Kind, v.Num, v.Nullable, v.Map, v.Size, v.Frame, v.Room, w.m.ctx, w.m.packet.meta, w.m.packet.data, w.m.packet.dataEnd, w.m.depth)
}

// points checks a pointer that is not NULL.
func (w *Watch) points(v *verifier.Value, value uint64, c *claims) bool {
	m := w.m
	p := &m.packet
	from := func(start uint64) bool { return v.Num.Contains(value - start) }
	there := func(end uint32) bool { return v.Room == 0 || value+uint64(v.Room) <= uint64(end) }
	switch v.Kind {
	case verifier.ContextPointer:
		return from(uint64(m.ctx))
	case verifier.MapPointer:
		return m.mapAt(value) != nil && w.isMap(m.mapAt(value), v.Map, c)
	case verifier.ValuePointer:
		return w.inValue(v, value, c)
	case verifier.KeyPointer:
		return from(uint64(m.keys) + (value-uint64(m.keys))/m.keyRoom*m.keyRoom)
	case verifier.StackPointer:
		frame := w.bases[len(w.bases)-1] + v.Frame
		return frame <= m.depth && from(uint64(m.stackTop)-uint64(frame*stackSize))
	case verifier.PacketPointer:
		return from(uint64(p.data)) && there(p.dataEnd)
	case verifier.MetadataPointer:
		return from(uint64(p.meta)) && there(p.data)
	case verifier.PacketEnd:
		return from(uint64(p.dataEnd))
	case verifier.RecordPointer:
		return slices.ContainsFunc(m.reserved, func(r reserved) bool { return from(r.lo) && r.hi-r.lo == uint64(v.Size) })
	case verifier.FlowKeysPointer:
		return from(uint64(m.flowKeys))
	case verifier.FunctionPointer:
		_, ok := m.functionAt(value)
		return ok && from(value)
	}
	return false // there are no sockets
}

// isMap reports whether a map is the one with an index, or one like that
// behind the last, which stand for maps that were found in maps.
func (w *Watch) isMap(mp *maps.Map, index int, c *claims) bool {
	if index < len(w.m.mapsOf) {
		return mp == w.m.mapsOf[index]
	}
	at := len(c.program.Maps)
	for i := range c.program.Maps {
		inner := c.program.Maps[i].Inner
		if inner == nil {
			continue
		}
		if s := mp.Spec(); at == index {
			return s.Kind == inner.Kind && s.KeySize == inner.KeySize && s.ValueSize == inner.ValueSize
		}
		at++
	}
	return false
}

// inValue reports whether an address is that of some value of the map plus one
// of the offsets.
func (w *Watch) inValue(v *verifier.Value, addr uint64, c *claims) bool {
	for _, in := range w.m.values {
		if in.m != nil && w.isMap(in.m, v.Map, c) && in.hasBase(addr, v) {
			return true
		}
	}
	return false
}

// hasBase reports whether an address is one of the values' plus an offset.
func (in *values) hasBase(addr uint64, v *verifier.Value) bool {
	first := int64(in.start + in.offset)
	low, high := int64(addr)-v.Num.SMax(), int64(addr)-v.Num.SMin()
	elements := int64((in.end - in.start) / in.stride)
	from := max(0, (low-first)/int64(in.stride)-1)
	to := min(elements-1, (high-first)/int64(in.stride))
	for e := from; e <= to; e++ {
		for cpu := range int64(in.cpus) {
			if v.Num.Contains(uint64(int64(addr) - first - e*int64(in.stride) - cpu*int64(in.step))) {
				return true
			}
		}
	}
	return false
}

// touches checks that a load, store or atomic operation goes to memory of a
// kind that the proof knows of.
func (w *Watch) touches(s *Step, regions verifier.Region) error {
	base := s.Insn.Dst
	switch s.Insn.Op.Class() {
	case ebpf.ClassLDX:
		base = s.Insn.Src
	case ebpf.ClassST:
	case ebpf.ClassSTX:
		if s.Insn.Op.Mode() == ebpf.ModeATOMIC && s.Insn.Imm == ebpf.LoadAcquire {
			base = s.Insn.Src
		}
	default:
		return nil
	}
	addr := s.Registers[base] + uint64(int64(s.Insn.Off))
	if r := w.m.region(addr); regions&r == 0 {
		return fmt.Errorf("address %#x is in region %#x, proved %#x", addr, r, regions)
	}
	return nil
}

// region is the kind of memory that an address belongs to.
func (m *Machine) region(addr uint64) verifier.Region {
	p := &m.packet
	in := func(lo, hi uint64) bool { return lo <= addr && addr < hi }
	switch {
	case m.bytesContext() && in(uint64(p.data), uint64(p.dataEnd)),
		!m.bytesContext() && in(uint64(m.ctx), uint64(m.ctx)+uint64(len(m.ctxAccess))):
		return verifier.Context
	case in(uint64(p.data), uint64(p.dataEnd)):
		return verifier.Packet
	case in(uint64(p.meta), uint64(p.data)):
		return verifier.Metadata
	case in(uint64(m.stackLow), uint64(m.stackTop)):
		return verifier.Stack
	case m.flowKeys != 0 && in(uint64(m.flowKeys), uint64(m.flowKeys)+uint64(abi.BPFFlowKeys.Size)):
		return verifier.FlowKeys
	case m.reachRecord(addr, 1):
		return verifier.Record
	}
	if v := m.valuesAt(addr); v != nil && v.m == nil {
		return verifier.MapKey
	}
	return verifier.MapValue
}

// gives checks that nothing is held where a run may end: there is no way to
// give it back any more.
func (w *Watch) gives(s *Step, number int) error {
	m := w.m
	legacy := s.Insn.Op.Class() == ebpf.ClassLD && s.Insn.Op != ebpf.LoadImm64
	exit := s.Insn.Op == ebpf.ClassJMP|ebpf.Exit && m.depth == 0
	if (legacy || exit) && len(m.reserved) > 0 {
		return fmt.Errorf("%s: a record is held at the end, %d", m.programs[number].name, s.Index)
	}
	return nil
}
