package verifier_test

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// A caller builds programs that call one helper function, with one argument
// that is not what the helper takes.
type caller struct {
	typ   abi.ProgType
	prog  []ebpf.Instruction
	funcs []int // loads of the callback's address
}

func (c *caller) emit(insns ...ebpf.Instruction) { c.prog = append(c.prog, insns...) }

func (c *caller) wide(r, kind ebpf.Register, id, off int32) {
	c.emit(ebpf.Instruction{Op: ebpf.LoadImm64, Dst: r, Src: kind, Imm: id}, ebpf.Instruction{Imm: off})
}

// mapFor names a map that the helper is for.
func mapFor(h *abi.Helper) int32 {
	for i := range testMaps {
		if h.Calls != 0 && testMaps[i].Kind.Info().Calls&h.Calls == h.Calls {
			return int32(i)
		}
	}
	return mapHash
}

// fitting puts what the helper takes into the register of argument i. R8
// holds a socket or a record where the helper takes one.
func (c *caller) fitting(h *abi.Helper, i int) {
	r := ebpf.R1 + ebpf.Register(i)
	switch h.Args[i] {
	case abi.ArgContext:
		c.emit(ebpf.Mov64(r, ebpf.R6))
	case abi.ArgSize, abi.ArgSizeOrZero, abi.ArgRecordSize:
		c.emit(ebpf.Mov64Imm(r, 8))
	case abi.ArgScalar, abi.ArgPointerOrNull:
		c.emit(ebpf.Mov64Imm(r, 0))
	case abi.ArgMap:
		c.wide(r, ebpf.WideMapFD, mapFor(h), 0)
	case abi.ArgFunc:
		c.function(r)
	case abi.ArgSpinLock:
		c.wide(r, ebpf.WideMapValue, mapOneLocked, 0)
	case abi.ArgSocket, abi.ArgRecord:
		c.emit(ebpf.Mov64(r, ebpf.R8))
	case abi.ArgString, abi.ArgFormat:
		c.wide(r, ebpf.WideMapValue, mapConst, 0)
	default:
		c.stack(r, -32)
	}
}

func (c *caller) function(r ebpf.Register) {
	c.funcs = append(c.funcs, len(c.prog))
	c.wide(r, ebpf.WideFunc, 0, 0)
}

func (c *caller) stack(r ebpf.Register, off int32) {
	c.emit(ebpf.Mov64(r, ebpf.FP), ebpf.ALU64Imm(ebpf.Add, r, off))
}

// own acquires what argument i of a helper stands for, into R8.
func (c *caller) own(kind abi.ArgKind) {
	if kind == abi.ArgRecord {
		c.wide(ebpf.R1, ebpf.WideMapFD, mapRing, 0)
		c.emit(ebpf.Mov64Imm(ebpf.R2, 8), ebpf.Mov64Imm(ebpf.R3, 0), ebpf.CallTo(abi.RingbufReserve))
	} else {
		c.emit(ebpf.Mov64(ebpf.R1, ebpf.R6))
		c.stack(ebpf.R2, -32)
		c.emit(ebpf.Mov64Imm(ebpf.R3, 12), ebpf.Mov64Imm(ebpf.R4, -1), ebpf.Mov64Imm(ebpf.R5, 0), ebpf.CallTo(abi.SKLookupTCP))
	}
	c.emit(ebpf.Mov64(ebpf.R8, ebpf.R0))
	c.leaveIf(ebpf.R8)
}

// leaveIf ends the program if a register is 0.
func (c *caller) leaveIf(r ebpf.Register) {
	c.emit(ebpf.JumpIfImm(ebpf.Jne, r, 0, 2), ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
}

// A misfit is something to put in place of an argument: prepared before the
// arguments are, then put into a register.
type misfit struct {
	name    string
	prepare func(c *caller) bool // false if programs of the type have none
	put     func(c *caller, r ebpf.Register)
}

func constant(name string, n int32) misfit {
	return misfit{name, nil, func(c *caller, r ebpf.Register) { c.emit(ebpf.Mov64Imm(r, n)) }}
}

func saved(c *caller, r ebpf.Register) { c.emit(ebpf.Mov64(r, ebpf.R9)) }

var misfits = []misfit{
	constant("0", 0), constant("1", 1), constant("9", 9), constant("-1", -1), constant("1<<29", 1<<29),
	{"an unknown number", random, saved},
	{"an unknown number up to 7", func(c *caller) bool {
		random(c)
		c.emit(ebpf.ALU64Imm(ebpf.And, ebpf.R9, 7))
		return true
	}, saved},
	{"the stack", nil, func(c *caller, r ebpf.Register) { c.stack(r, -32) }},
	{"4 bytes of the stack", nil, func(c *caller, r ebpf.Register) { c.stack(r, -4) }},
	{"unaligned stack", nil, func(c *caller, r ebpf.Register) { c.stack(r, -31) }},
	{"stack beyond the frame", nil, func(c *caller, r ebpf.Register) { c.stack(r, -520) }},
	{"the context", nil, func(c *caller, r ebpf.Register) { c.emit(ebpf.Mov64(r, ebpf.R6)) }},
	{"the context moved", nil, func(c *caller, r ebpf.Register) {
		c.emit(ebpf.Mov64(r, ebpf.R6), ebpf.ALU64Imm(ebpf.Add, r, 8))
	}},
	{"a map", nil, func(c *caller, r ebpf.Register) { c.wide(r, ebpf.WideMapFD, mapHash, 0) }},
	{"a value of a map", nil, func(c *caller, r ebpf.Register) { c.wide(r, ebpf.WideMapValue, mapValue, 0) }},
	{"a constant", nil, func(c *caller, r ebpf.Register) { c.wide(r, ebpf.WideMapValue, mapConst, 0) }},
	{"the end of a constant", nil, func(c *caller, r ebpf.Register) { c.wide(r, ebpf.WideMapValue, mapConst, 15) }},
	{"a spin lock", nil, func(c *caller, r ebpf.Register) { c.wide(r, ebpf.WideMapValue, mapOneLocked, 0) }},
	{"not a spin lock", nil, func(c *caller, r ebpf.Register) { c.wide(r, ebpf.WideMapValue, mapOneLocked, 4) }},
	{"a value or NULL", lookup, saved},
	{"a function", nil, func(c *caller, r ebpf.Register) { c.function(r) }},
	{"an unset register", nil, func(*caller, ebpf.Register) {}},
	{"the packet", packet, saved},
	{"the packet's end", func(c *caller) bool { return c.field("data_end") }, saved},
	{"a socket", func(c *caller) bool {
		if !c.field("sk") {
			return false
		}
		c.leaveIf(ebpf.R9)
		return true
	}, saved},
	{"a socket or NULL", func(c *caller) bool { return c.field("sk") }, saved},
}

func random(c *caller) bool {
	c.emit(ebpf.CallTo(abi.GetPrandomU32), ebpf.Mov64(ebpf.R9, ebpf.R0))
	return true
}

func lookup(c *caller) bool {
	c.wide(ebpf.R1, ebpf.WideMapFD, mapHash, 0)
	c.stack(ebpf.R2, -32)
	c.emit(ebpf.CallTo(abi.MapLookupElem), ebpf.Mov64(ebpf.R9, ebpf.R0))
	return true
}

// field loads a field of the context into R9.
func (c *caller) field(name string) bool {
	ctx := abi.ContextOf(c.typ)
	if ctx == nil {
		return false
	}
	f := ctx.Field(name)
	if f == nil || !f.Readers.Has(c.typ) {
		return false
	}
	size := ebpf.SizeW
	if f.Size == 8 {
		size = ebpf.SizeDW
	}
	c.emit(ebpf.Load(size, ebpf.R9, ebpf.R6, int16(f.Offset)))
	return true
}

// packet puts a pointer to 32 bytes of the packet into R9.
func packet(c *caller) bool {
	if !c.field("data_end") {
		return false
	}
	c.emit(ebpf.Mov64(ebpf.R2, ebpf.R9))
	c.field("data")
	c.emit(ebpf.Mov64(ebpf.R1, ebpf.R9), ebpf.ALU64Imm(ebpf.Add, ebpf.R1, 32),
		ebpf.JumpIf(ebpf.Jle, ebpf.R1, ebpf.R2, 2), ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
	return true
}

// begin keeps the context in R6 and sets 32 bytes of the stack.
func (c *caller) begin() {
	c.emit(ebpf.Mov64(ebpf.R6, ebpf.R1))
	for off := int16(-32); off < 0; off += 8 {
		c.emit(ebpf.StoreImm(ebpf.SizeDW, ebpf.FP, off, 0))
	}
}

// calling makes a program that calls the helper, with a misfit as argument
// number at, or without one.
func calling(typ abi.ProgType, h *abi.Helper, at int, m *misfit) (*verifier.Program, bool) {
	c := &caller{typ: typ}
	c.begin()
	if h.ID == abi.SpinUnlock {
		c.wide(ebpf.R1, ebpf.WideMapValue, mapOneLocked, 0)
		c.emit(ebpf.CallTo(abi.SpinLock))
	}
	if m != nil && m.prepare != nil && !m.prepare(c) {
		return nil, false
	}
	for i, kind := range h.Args {
		if (kind == abi.ArgSocket || kind == abi.ArgRecord) && (i != at || m == nil) {
			c.own(kind)
		}
	}
	for i := range h.Args {
		if i == at && m != nil {
			m.put(c, ebpf.R1+ebpf.Register(i))
		} else {
			c.fitting(h, i)
		}
	}
	c.emit(ebpf.CallTo(h.ID))
	c.cleanUp(h)
	return &verifier.Program{Name: h.Name(), Type: typ, Insns: c.finish(), Maps: testMaps}, true
}

// cleanUp gives back what the call has acquired or left.
func (c *caller) cleanUp(h *abi.Helper) {
	switch h.Returns {
	case abi.ReturnsRecord, abi.ReturnsSocket, abi.ReturnsSockCommon:
		c.leaveIf(ebpf.R0)
		c.emit(ebpf.Mov64(ebpf.R1, ebpf.R0), ebpf.Mov64Imm(ebpf.R2, 0))
		if h.Returns == abi.ReturnsRecord {
			c.emit(ebpf.CallTo(abi.RingbufDiscard))
		} else {
			c.emit(ebpf.CallTo(abi.SKRelease))
		}
	}
	switch h.ID {
	case abi.SKAssign:
		c.emit(ebpf.Mov64(ebpf.R1, ebpf.R8), ebpf.CallTo(abi.SKRelease))
	case abi.SpinLock:
		c.wide(ebpf.R1, ebpf.WideMapValue, mapOneLocked, 0)
		c.emit(ebpf.CallTo(abi.SpinUnlock))
	}
}

func (c *caller) finish() []ebpf.Instruction {
	c.emit(ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
	for _, at := range c.funcs {
		c.prog[at].Imm = int32(len(c.prog) - at - 1)
	}
	if c.funcs != nil {
		c.emit(ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
	}
	return c.prog
}
