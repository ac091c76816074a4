package vm

import (
	"fmt"
	"strings"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A Fault says why the machine stopped a program: what the instruction would
// have done wrong, and the registers before it. %v is one line.
type Fault struct {
	Program   string           // name of the program, "" if it has none
	Index     int              // of the instruction in the program
	Insn      ebpf.Instruction // the instruction; its text is Insn.String
	Register  ebpf.Register    // that holds the bad address or argument
	Address   uint64           // what it addresses: the register plus the instruction's offset
	Msg       string           // what is wrong, and by how much
	Registers [11]uint64       // R0 to R10
}

func (f *Fault) Error() string {
	text := fmt.Sprintf("instruction %d (%v): %s", f.Index, f.Insn, f.Msg)
	if f.Program != "" {
		return f.Program + ": " + text
	}
	return text
}

// diagnose makes the fault of the instruction at m.pc, which the interpreter
// has refused to run. Its registers are still as they were, so that the reason
// can be found again here, and the interpreter need not keep it.
func (m *Machine) diagnose() *Fault {
	ins := m.prog[m.pc]
	p := m.programAt(m.pc)
	f := &Fault{Program: p.name, Index: m.pc - p.start, Insn: ins, Registers: [11]uint64(m.reg[:11])}
	switch ins.Op.Class() {
	case ebpf.ClassJMP:
		m.diagnoseCall(f)
	case ebpf.ClassLD:
		f.Register, f.Address = ebpf.R6, m.reg[6]
		f.Msg = fmt.Sprintf("r6 is %#x, not the context: legacy packet loads need it there", m.reg[6])
	default:
		m.diagnoseAccess(f)
	}
	return f
}

// diagnoseAccess explains a load, a store or an atomic operation.
func (m *Machine) diagnoseAccess(f *Fault) {
	ins, kind := f.Insn, write
	atomic := ins.Op.Class() == ebpf.ClassSTX && ins.Op.Mode() == ebpf.ModeATOMIC
	f.Register = ins.Dst
	if ins.Op.Class() == ebpf.ClassLDX || atomic && ins.Imm == ebpf.LoadAcquire {
		f.Register, kind = ins.Src, read
	}
	size := uint64(ins.Op.Bytes())
	f.Address = m.reg[f.Register] + uint64(ins.Off)
	at := fmt.Sprintf("%v of %d bytes at %#x (r%d%+d)", kind, size, f.Address, f.Register, ins.Off)
	switch {
	case f.Address-uint64(m.ctx) < uint64(len(m.ctxAccess)):
		f.Msg = at + ": " + m.refusedField(f.Address-uint64(m.ctx), int(size), kind, atomic)
	case atomic && f.Address%size != 0 && m.reachPlain(f.Address, size, kind):
		f.Msg = at + ": atomic operations need an aligned address"
	default:
		f.Msg = at + ": " + m.miss(f.Address, size, kind)
	}
}

func (k accessKind) String() string {
	if k == read {
		return "load"
	}
	return "store"
}

// refusedField says why the context may not be accessed so.
func (m *Machine) refusedField(off uint64, size int, kind accessKind, atomic bool) string {
	c := abi.ContextOf(m.entry.typ)
	field, _ := c.Access(m.entry.typ, int(off), size, kind == write)
	name := fmt.Sprintf("offset %d of struct %s", off, c.Name)
	if field != nil {
		name = fmt.Sprintf("%s.%s at offset %d", c.Name, field.Name, off)
	}
	if atomic {
		return name + ": the context takes no atomic operations"
	}
	return fmt.Sprintf("%s: %v programs have no such access to it", name, m.entry.typ)
}

// A region is a piece of memory by name, for messages.
type region struct {
	name   string
	lo, hi uint64
}

// regions lists what the program may touch as plain memory.
func (m *Machine) regions(kind accessKind) []region {
	list := []region{{"the stack", uint64(m.stackLow), uint64(m.stackTop)}}
	if m.bytesContext() {
		return append(list, region{"the context", uint64(m.packet.data), uint64(m.packet.dataEnd)})
	}
	if w := &m.window[kind]; w.span() > 0 {
		list = append(list, region{"the packet", w.lo, w.lo + w.span()})
	}
	if kind == write && m.window[read].span() > 0 && m.window[write].span() == 0 {
		list = append(list, region{"the packet, which is read-only", m.window[read].lo, m.window[read].lo + m.window[read].span()})
	}
	return append(list, region{"the context", uint64(m.ctx), uint64(m.ctx) + uint64(len(m.ctxAccess))})
}

// miss says by how much an access misses the nearest region.
func (m *Machine) miss(addr, size uint64, kind accessKind) string {
	if v := m.valuesAt(addr); v != nil {
		near := v.near(addr)
		if near.distance(addr, size) == 0 && !v.may[kind] {
			return near.name + ", where programs cannot " + kind.String()
		}
		return near.describe(addr, size)
	}
	var nearest region
	best := uint64(1<<64 - 1)
	for _, g := range m.regions(kind) {
		if d := g.distance(addr, size); d < best {
			nearest, best = g, d
		}
	}
	if addr < 1<<16 {
		return "not memory: a null pointer or a small number"
	}
	if best > 1<<16 {
		return fmt.Sprintf("not memory: nearest is %v", nearest)
	}
	return nearest.describe(addr, size)
}

// distance is how far an access reaches outside the region.
func (g region) distance(addr, size uint64) uint64 {
	switch {
	case addr < g.lo:
		return g.lo - addr
	case addr >= g.hi:
		return addr - g.hi + size
	case size > g.hi-addr:
		return size - (g.hi - addr)
	}
	return 0
}

func (g region) describe(addr, size uint64) string {
	switch {
	case addr < g.lo:
		return fmt.Sprintf("%d bytes before %v", g.lo-addr, g)
	case addr >= g.hi:
		return fmt.Sprintf("%d bytes behind %v", addr-g.hi, g)
	case size > g.hi-addr:
		return fmt.Sprintf("the last %d bytes lie behind %v", size-(g.hi-addr), g)
	}
	return "in " + g.String()
}

func (g region) String() string {
	return fmt.Sprintf("%s [%#x, %#x)", g.name, g.lo, g.hi)
}

// diagnoseCall explains a call.
func (m *Machine) diagnoseCall(f *Fault) {
	if f.Insn.Src == ebpf.CallLocal {
		f.Msg = tooDeep
		return
	}
	c := &m.indirect
	if f.Insn.Op != ebpf.CallX {
		c = &m.calls[m.ops[m.pc].imm]
	} else if c.proto == nil {
		f.Register, f.Address = f.Insn.Dst, m.reg[f.Insn.Dst]
		f.Msg = fmt.Sprintf("r%d = %#x: %s", f.Register, f.Address, m.refusal)
		return
	}
	proto := c.proto
	for i := range proto.Args {
		if !m.argumentFits(c, i) {
			f.Register, f.Address = ebpf.Register(1+i), m.reg[1+i]
			f.Msg = fmt.Sprintf("%s: r%d = %#x: %s", strings.TrimPrefix(proto.Name(), "bpf_"), 1+i, f.Address, m.refusedArgument(proto, i))
			return
		}
	}
	f.Msg = m.refusal
	if name := proto.Name(); name != "" {
		f.Msg = strings.TrimPrefix(name, "bpf_") + ": " + f.Msg
	}
}

func (m *Machine) refusedArgument(proto *abi.Helper, i int) string {
	v, size, kind := m.reg[1+i], m.reg[2+i], write
	switch proto.Args[i] {
	case abi.ArgContext:
		return "must be the context"
	case abi.ArgSize:
		return "must be a size above 0"
	case abi.ArgMap:
		if m.argMap != nil {
			return fmt.Sprintf("map %q is a %v, which the helper does not take", m.argMap.Name(), m.argMap.Spec().Kind)
		}
		return "must be a map"
	case abi.ArgReadMem, abi.ArgReadMemOrNull:
		kind = read
	case abi.ArgSocket:
		return "must be a socket"
	case abi.ArgReadWriteWord:
		size = 4
	case abi.ArgWriteLong:
		size = 8
	case abi.ArgMapKey:
		size, kind = uint64(m.argMap.Spec().KeySize), read
	case abi.ArgMapValue:
		size, kind = uint64(m.argMap.Spec().ValueSize), read
	case abi.ArgMapValueOut:
		size = uint64(m.argMap.Spec().ValueSize)
	}
	return fmt.Sprintf("for a %v of %d bytes: %s", kind, size, m.miss(v, size, kind))
}
