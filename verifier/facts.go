package verifier

import (
	"github.com/bpflab/bpflab/verifier/num"
)

// A Kind says what a register or a stack slot holds.
type Kind = kind

// The kinds. Nothing stands for what has not been set, may be one thing or
// another, or will not be read again.
const (
	Nothing         = unset
	Number          = scalar
	ContextPointer  = contextPtr
	MapPointer      = mapPtr
	ValuePointer    = mapValue
	KeyPointer      = mapKey
	StackPointer    = stackPtr
	PacketPointer   = packetPtr
	MetadataPointer = metaPtr
	PacketEnd       = packetEnd
	RecordPointer   = recordPtr
	SocketPointer   = socketPtr
	FlowKeysPointer = flowKeysPtr
	FunctionPointer = funcPtr
)

// Facts is what is known before an instruction, whichever path led to it.
type Facts struct {
	Registers [11]Value
	Stack     []StackValue // of the frame of the function, from R10 down
}

// A Value is what is known of a register.
type Value struct {
	Kind     Kind
	Num      num.Scalar // the number, or the offset of a pointer in what it points into
	Nullable bool       // the pointer may be NULL instead
	Map      int        // of a pointer to a map, its keys or values: its index, counting the specs of inner maps behind the maps
	Size     int        // of a record: its bytes
	Frame    int        // of a pointer to the stack: 0 for the program's, 1 for that of what it called …
	Room     int        // of a pointer into the packet or its metadata: the bytes from there on that are known to be there

	mapName string // for the text
	home    int    // the frame of the function, likewise
}

// A StackValue is what is known of a part of the stack.
type StackValue struct {
	Offset int // from R10, of the lowest byte
	Size   int // in bytes
	Value  Value
}

// Facts returns what is known before the instruction in a slot, nil if no run
// comes there or the program was verified without [Options.Facts].
func (p *Proof) Facts(slot int) *Facts {
	if p.facts == nil || p.facts[slot] == nil {
		return nil
	}
	known := p.facts[slot]
	f := &Facts{}
	for i := range known.regs {
		f.Registers[i] = valueOf(&known.regs[i])
	}
	for i := range known.stack {
		f.Stack = appendSlot(f.Stack, &known.stack[i], -8*(i+1))
	}
	f.complete(&p.program)
	return f
}

func valueOf(r *reg) Value {
	v := Value{Kind: r.kind, Num: r.num, Nullable: r.has(nullable)}
	switch r.kind {
	case unset:
		v.Num = num.Unknown()
	case mapPtr, mapValue, mapKey:
		v.Map = int(r.obj)
	case recordPtr:
		v.Size = int(r.obj)
	case stackPtr:
		v.Frame = int(r.frame)
	case packetPtr, metaPtr:
		v.Room = max(0, int(r.span)-int(r.off))
	}
	return v
}

// appendSlot adds what is known of a slot at off: a spilled register, and runs
// of zero bytes.
func appendSlot(out []StackValue, s *slot, off int) []StackValue {
	if s.spill != 0 {
		at, size := run(s.spill, 0)
		out = append(out, StackValue{off + at, size, valueOf(&s.reg)})
	}
	for at := 0; at < 8; {
		start, size := run(s.zero, at)
		if size == 0 {
			break
		}
		zero := reg{kind: scalar, num: num.Const(0)}
		out = append(out, StackValue{off + start, size, valueOf(&zero)})
		at = start + size
	}
	return out
}

// run finds the first run of set bits from bit from on.
func run(mask uint8, from int) (at, size int) {
	for at = from; at < 8 && mask>>at&1 == 0; at++ {
	}
	for at+size < 8 && mask>>(at+size)&1 != 0 {
		size++
	}
	return at, size
}

// factCollector is a watcher that joins what is known before each instruction.
type factCollector []*frame

func (c factCollector) before(v *verifier) {
	f := v.state.top()
	if c[v.pc] == nil {
		g := &frame{regs: f.regs, stack: append([]slot(nil), f.stack...)}
		for i := range g.regs {
			plain(&g.regs[i])
		}
		for i := range g.stack {
			plain(&g.stack[i].reg)
		}
		c[v.pc] = g
		return
	}
	c[v.pc].join(f)
}

func (factCollector) after(*verifier) {}
func (factCollector) mark() int       { return 0 }
func (factCollector) rewind(int)      {}

// join makes what is known what is known here and in g.
func (f *frame) join(g *frame) {
	for i := range f.regs {
		joinReg(&f.regs[i], g.regs[i])
	}
	f.stack = f.stack[:min(len(f.stack), len(g.stack))]
	for i := range f.stack {
		s, t := &f.stack[i], &g.stack[i]
		s.init &= t.init
		s.zero &= t.zero
		if s.spill != t.spill {
			s.unspill()
		} else if s.spill != 0 {
			joinReg(&s.reg, t.reg)
			if s.reg.kind == unset {
				s.unspill()
			}
		}
	}
}

func joinReg(r *reg, other reg) {
	plain(&other)
	if *r == other {
		return
	}
	if r.kind != other.kind || r.obj != other.obj || r.frame != other.frame {
		*r = reg{}
		return
	}
	r.num = num.Join(r.num, other.num)
	r.flags |= other.flags & nullable
	r.span = min(r.span, other.span)
}

// plain leaves of a register what does not speak of other registers.
func plain(r *reg) {
	r.span = uint16(max(0, int32(r.span)-max(r.off, 0)))
	r.id, r.ref, r.off = 0, 0, 0
	r.flags &= nullable
}

// sharpen collects the facts once more in a search that forgets no number:
// what does not matter for the verdict may for who reads it. If that takes many
// more steps, the facts of the search that has led to the verdict must do.
func (t *task) sharpen() {
	if !t.o.Facts || t.last.relevant == nil {
		return
	}
	o := t.o
	o.Steps = min(o.Steps, 8*t.stats.Steps+10_000)
	v := newVerifier(t.p, t.a, o, nil)
	v.watch = make(factCollector, len(t.p.Insns))
	if v.search() == nil {
		t.last = v
	}
}
