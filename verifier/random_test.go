package verifier_test

import (
	"math/rand/v2"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// A generator writes random programs of which about half are safe. It keeps
// track of what registers hold, as far as a careless programmer would, and
// mostly does what fits; now and then it does something else, forgets a check or
// is off by one.
type generator struct {
	*rand.Rand
	typ   abi.ProgType
	prog  []ebpf.Instruction
	now   known
	loops int   // how many of the loops around are being written
	calls []int // slots of calls whose function has not been written
}

// known is what the generator thinks of the registers and of eight slots of
// the stack.
type known struct {
	regs  [10]thing
	stack [8]thing
}

// A thing is what a register may hold.
type thing struct {
	what what
	room int // bytes behind a pointer, of a small number its largest value
	m    int // index of the map
}

type what uint8

const (
	isNothing what = iota
	isNumber
	isSmall // a number from 0 to room
	isContext
	isPacket
	isPacketEnd
	isMeta
	isValue
	isMaybeValue
	isMaybeInner
	isTheMap
	isFrame // R10 - room
	isRecord
	isMaybeRecord
)

// The maps of random programs.
const (
	theHash = iota
	theOneArray
	theArray
	theWideHash
	theConstants
	theOuterMap
	theTails
	theRing
	manyMaps
)

func randomMaps() []abi.MapSpec {
	inner := abi.MapSpec{Name: "inner", Kind: abi.HashMap, KeySize: 4, ValueSize: 24, MaxEntries: 4}
	return []abi.MapSpec{
		theHash:      {Name: "hash", Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 16},
		theOneArray:  {Name: "one", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 64, MaxEntries: 1},
		theArray:     {Name: "array", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 16, MaxEntries: 4},
		theWideHash:  {Name: "wide", Kind: abi.LRUHash, KeySize: 8, ValueSize: 32, MaxEntries: 16},
		theConstants: {Name: "rodata", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 16, MaxEntries: 1, Flags: abi.MapReadOnlyProg, Frozen: true, Contents: []abi.MapElement{{Key: make([]byte, 4), Value: []byte{7, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 1, 0}}}},
		theOuterMap:  {Name: "outer", Kind: abi.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4, Inner: &inner},
		theTails:     {Name: "tails", Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
		theRing:      {Name: "ring", Kind: abi.RingBuf, MaxEntries: 4096},
		manyMaps:     {},
	}[:manyMaps]
}

// randomTypes are the program types of random programs.
var randomTypes = []abi.ProgType{abi.SocketFilter, abi.SchedCLS, abi.XDP}

// randomProgram writes a program.
func randomProgram(rnd *rand.Rand) *verifier.Program {
	g := &generator{Rand: rnd, typ: pick(rnd, randomTypes...)}
	g.now.regs[1] = thing{what: isContext}
	if g.likely() {
		g.emit(ebpf.Mov64(ebpf.R6, ebpf.R1))
		g.now.regs[6] = g.now.regs[1]
	}
	if g.IntN(3) > 0 {
		g.packetPointers()
	}
	g.block(3 + g.IntN(14))
	g.end()
	g.functions()
	return &verifier.Program{Type: g.typ, Insns: g.prog, Maps: randomMaps()}
}

// functions writes the functions that are called.
func (g *generator) functions() {
	for n := 0; len(g.calls) > 0; n++ {
		for _, slot := range g.calls {
			g.prog[slot].Imm = int32(len(g.prog) - slot - 1)
		}
		g.calls = nil
		g.now = known{}
		g.now.regs[1] = pick(g.Rand, thing{what: isNumber}, thing{what: isContext}, thing{what: isFrame, room: 16})
		g.now.regs[2] = thing{what: isNumber}
		g.block(1 + g.IntN(max(1, 6-2*n)))
		g.end()
	}
}

// end writes the end of a function.
func (g *generator) end() {
	if r, ok := g.find(isNumber, isSmall); ok && g.IntN(2) == 0 {
		g.emit(ebpf.Mov64(ebpf.R0, r))
	} else if g.now.regs[0].what == isNothing && g.likely() || g.IntN(2) == 0 {
		g.emit(ebpf.Mov64Imm(ebpf.R0, int32(g.IntN(3))))
	}
	g.emit(ebpf.Return())
}

func (g *generator) emit(ins ...ebpf.Instruction) { g.prog = append(g.prog, ins...) }

// likely is true most of the time: where it is not, something is done that is
// probably wrong.
func (g *generator) likely() bool { return g.IntN(60) != 0 }

func pick[T any](rnd *rand.Rand, values ...T) T { return values[rnd.IntN(len(values))] }

// find returns a register that holds one of the kinds of things; any register
// once in a while.
func (g *generator) find(kinds ...what) (ebpf.Register, bool) {
	if !g.likely() {
		return ebpf.Register(g.IntN(10)), true
	}
	first := g.IntN(10)
	for i := range 10 {
		r := (first + i) % 10
		for _, k := range kinds {
			if g.now.regs[r].what == k {
				return ebpf.Register(r), true
			}
		}
	}
	return 0, false
}

// free returns a register to write to, seldom that of the context.
func (g *generator) free() ebpf.Register {
	r := g.IntN(10)
	if g.now.regs[r].what == isContext && g.IntN(8) > 0 {
		r = (r + 1 + g.IntN(3)) % 10
	}
	return ebpf.Register(r)
}

func (g *generator) set(r ebpf.Register, t thing) {
	if r < 10 {
		g.now.regs[r] = t
	}
}

// immediate favours values at which something changes.
func (g *generator) immediate() int32 {
	switch g.IntN(4) {
	case 0:
		return int32(g.Uint32())
	case 1:
		return pick[int32](g.Rand, -1, 31, 32, 63, 64, 127, -128, 255, 256, 0x7fff, -0x8000, 0xffff, 0x10000, 0x7fffffff, -0x80000000)
	}
	return int32(g.IntN(17))
}

func (g *generator) size() ebpf.Opcode {
	return pick(g.Rand, ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW)
}

// offset returns an offset for an access of n bytes where room bytes are,
// nearly always one that fits.
func (g *generator) offset(room, n int) int16 {
	if g.IntN(25) == 0 {
		return int16(room - n + g.IntN(3) - 1)
	}
	return int16(g.IntN(max(1, room-n+1)))
}

// block writes n statements.
func (g *generator) block(n int) {
	for range n {
		if len(g.prog) > 150 {
			return
		}
		statements[g.IntN(len(statements))](g)
	}
}

// statements holds each statement as often as its weight says.
var statements []func(*generator)

func init() {
	for _, s := range []struct {
		weight int
		write  func(*generator)
	}{
		{16, (*generator).arithmetic},
		{6, (*generator).makeSmall},
		{6, (*generator).constant},
		{8, (*generator).loadContext},
		{8, (*generator).spill},
		{8, (*generator).fill},
		{6, (*generator).frameSize},
		{8, (*generator).checkPacket},
		{8, (*generator).access},
		{5, (*generator).moveByVariable},
		{4, (*generator).packetPointers},
		{9, (*generator).branch},
		{3, (*generator).loop},
		{7, (*generator).lookup},
		{5, (*generator).checkNull},
		{3, (*generator).mapAddress},
		{6, (*generator).helper},
		{2, (*generator).atomic},
		{2, (*generator).legacy},
		{2, (*generator).function},
		{2, (*generator).reserve},
		{2, (*generator).submit},
		{2, (*generator).copy},
		{1, (*generator).tailCall},
	} {
		for range s.weight {
			statements = append(statements, s.write)
		}
	}
}
