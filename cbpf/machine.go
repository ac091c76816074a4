package cbpf

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/net/bpf"
)

// A Machine runs one classic program over packets, with the semantics of the
// Linux kernel. It is not safe for concurrent use; machines are cheap.
type Machine struct {
	// Random is what the extension AdRandom reads; nil stands for
	// math/rand/v2.
	Random func() uint32

	// Budget is how many instructions a run may execute. Zero stands for no
	// limit but the length of the program, which no run exceeds since all
	// jumps go forward.
	Budget uint64

	ops      []op
	mem      [MemWords]uint32 // not cleared between runs: check excludes stale reads
	executed uint64
	beyond   bool // the last RunBytes came to a load that its packet does not tell
}

// A BudgetError says that a run was stopped because it would have executed
// more instructions than [Machine.Budget] allows.
type BudgetError struct {
	Index  int // of the instruction at which the run stood
	Budget uint64
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("instruction %d: stopped after %d instructions, the budget of a run", e.Index, e.Budget)
}

// New prepares a program. It applies the rules of [Check] except for the limit
// of 4096 instructions, which is the kernel's and not the machine's: filters
// for captures may be longer.
func New(prog []bpf.RawInstruction) (*Machine, error) {
	if err := check(prog); err != nil {
		return nil, err
	}
	return &Machine{ops: decode(prog)}, nil
}

// Executed returns how many instructions the last Run executed.
func (m *Machine) Executed() uint64 { return m.executed }

var (
	noMetadata Metadata
	bytesOnly  Metadata // stands, by its address, for metadata that nobody looked up
)

// RunBytes is Run for a packet of which nothing but bytes and length are known.
// It reports false where the program loads more than that, an extension or at
// an offset from a header, or exceeds the budget: Run has to tell then.
func (m *Machine) RunBytes(data []byte, wireLen uint32) (ret uint32, ok bool) {
	m.beyond = false
	ret, err := m.Run(data, wireLen, &bytesOnly)
	return ret, err == nil && !m.beyond
}

// Run runs the program over a packet: data is what is there of it, and wireLen
// its length on the wire, which is what "ld len" reads. A nil meta stands for
// the zero Metadata.
//
// The result is what the program returns, the number of bytes of the packet to
// keep; it is 0 if the program loads what is not in data or divides by zero.
// The error is nil or a [*BudgetError].
func (m *Machine) Run(data []byte, wireLen uint32, meta *Metadata) (ret uint32, err error) {
	if meta == nil {
		meta = &noMetadata
	}
	// Offsets are signed 32-bit numbers to the kernel, so nothing beyond can
	// be reached. This lets the fast paths below take offsets as unsigned.
	data = data[:min(len(data), math.MaxInt32)]
	budget := len(m.ops)
	if m.Budget != 0 {
		budget = int(min(m.Budget, uint64(budget)))
	}
	// All the rest is one loop without calls on its usual paths, so that the
	// registers of the machine stay in registers.
	var a, x, pc uint32
	left := budget
run:
	for {
		if left--; left < 0 {
			left = 0
			err = &BudgetError{int(pc), m.Budget}
			break
		}
		o := &m.ops[pc]
		pc++
		switch o.code {
		case opRetK:
			ret = o.k
			break run
		case opRetA:
			ret = a
			break run

		case opLdW:
			k := uint64(o.k)
			if k+4 > uint64(len(data)) {
				break run
			}
			a = binary.BigEndian.Uint32(data[k:])
		case opLdH:
			k := uint64(o.k)
			if k+2 > uint64(len(data)) {
				break run
			}
			a = uint32(binary.BigEndian.Uint16(data[k:]))
		case opLdB:
			k := uint64(o.k)
			if k >= uint64(len(data)) {
				break run
			}
			a = uint32(data[k])
		case opLdxMsh:
			k := uint64(o.k)
			if k >= uint64(len(data)) {
				break run
			}
			x = uint32(data[k]&0xf) << 2
		case opLdIndW:
			if k := uint64(x + o.k); k+4 <= uint64(len(data)) {
				a = binary.BigEndian.Uint32(data[k:])
				continue
			}
			v, ok := m.loadFar(data, x+o.k, 4, meta)
			if !ok {
				break run
			}
			a = v
		case opLdIndH:
			if k := uint64(x + o.k); k+2 <= uint64(len(data)) {
				a = uint32(binary.BigEndian.Uint16(data[k:]))
				continue
			}
			v, ok := m.loadFar(data, x+o.k, 2, meta)
			if !ok {
				break run
			}
			a = v
		case opLdIndB:
			if k := uint64(x + o.k); k < uint64(len(data)) {
				a = uint32(data[k])
				continue
			}
			v, ok := m.loadFar(data, x+o.k, 1, meta)
			if !ok {
				break run
			}
			a = v
		case opFar:
			v, ok := m.loadFar(data, o.k, int64(o.size), meta)
			if !ok {
				break run
			}
			a = v
		case opFarMsh:
			v, ok := m.loadFar(data, o.k, 1, meta)
			if !ok {
				break run
			}
			x = v & 0xf << 2
		case opExt:
			if meta == &bytesOnly {
				m.beyond = true
				break run
			}
			if !meta.HasDevice && (o.k == AdIfIndex || o.k == AdHWType) {
				ret = a // as the kernel does, for want of a better answer
				break run
			}
			a = m.extension(o.k, a, x, data, wireLen, meta)

		// A load and the jump behind it in one step. That the budget may be
		// overdrawn by the jump, which nobody sees, saves a test.
		case opLdWJeq:
			k := uint64(o.offset)
			if k+4 > uint64(len(data)) {
				break run
			}
			a = binary.BigEndian.Uint32(data[k:])
			left--
			pc = o.jf
			if a == o.k {
				pc = o.jt
			}
		case opLdHJeq:
			k := uint64(o.offset)
			if k+2 > uint64(len(data)) {
				break run
			}
			a = uint32(binary.BigEndian.Uint16(data[k:]))
			left--
			pc = o.jf
			if a == o.k {
				pc = o.jt
			}
		case opLdBJeq:
			k := uint64(o.offset)
			if k >= uint64(len(data)) {
				break run
			}
			a = uint32(data[k])
			left--
			pc = o.jf
			if a == o.k {
				pc = o.jt
			}
		case opLdHJset:
			k := uint64(o.offset)
			if k+2 > uint64(len(data)) {
				break run
			}
			a = uint32(binary.BigEndian.Uint16(data[k:]))
			left--
			pc = o.jf
			if a&o.k != 0 {
				pc = o.jt
			}
		case opLdIndHJeq:
			if k := uint64(x + uint32(o.offset)); k+2 <= uint64(len(data)) {
				a = uint32(binary.BigEndian.Uint16(data[k:]))
			} else if v, ok := m.loadFar(data, uint32(k), 2, meta); ok {
				a = v
			} else {
				break run
			}
			left--
			pc = o.jf
			if a == o.k {
				pc = o.jt
			}

		case opLdImm:
			a = o.k
		case opLdxImm:
			x = o.k
		case opLdLen:
			a = wireLen
		case opLdxLen:
			x = wireLen
		case opLdMem:
			a = m.mem[o.k%MemWords]
		case opLdxMem:
			x = m.mem[o.k%MemWords]
		case opSt:
			m.mem[o.k%MemWords] = a
		case opStx:
			m.mem[o.k%MemWords] = x
		case opTax:
			x = a
		case opTxa:
			a = x

		case opAddK:
			a += o.k
		case opAddX:
			a += x
		case opSubK:
			a -= o.k
		case opSubX:
			a -= x
		case opMulK:
			a *= o.k
		case opMulX:
			a *= x
		case opDivK:
			a /= o.k
		case opDivX:
			if x == 0 {
				break run
			}
			a /= x
		case opModK:
			a %= o.k
		case opModX:
			if x == 0 {
				break run
			}
			a %= x
		case opAndK:
			a &= o.k
		case opAndX:
			a &= x
		case opOrK:
			a |= o.k
		case opOrX:
			a |= x
		case opXorK:
			a ^= o.k
		case opXorX:
			a ^= x
		case opLshK:
			a <<= o.k & 31
		case opLshX:
			a <<= x & 31 // libpcap gives 0 from 32 on, the kernel masks
		case opRshK:
			a >>= o.k & 31
		case opRshX:
			a >>= x & 31
		case opNeg:
			a = -a

		case opJa:
			pc = o.jt
		case opJeqK:
			pc = o.jf
			if a == o.k {
				pc = o.jt
			}
		case opJeqX:
			pc = o.jf
			if a == x {
				pc = o.jt
			}
		case opJgtK:
			pc = o.jf
			if a > o.k {
				pc = o.jt
			}
		case opJgtX:
			pc = o.jf
			if a > x {
				pc = o.jt
			}
		case opJgeK:
			pc = o.jf
			if a >= o.k {
				pc = o.jt
			}
		case opJgeX:
			pc = o.jf
			if a >= x {
				pc = o.jt
			}
		case opJsetK:
			pc = o.jf
			if a&o.k != 0 {
				pc = o.jt
			}
		case opJsetX:
			pc = o.jf
			if a&x != 0 {
				pc = o.jt
			}
		}
	}
	m.executed = uint64(budget - left)
	return ret, err
}

// loadFar reads size bytes at an offset that counts from a header rather than
// from the start of the packet, as bpf_skb_load_helper_convert_offset has it;
// false means that the program ends. For an offset from the start it is called
// only after the bytes turned out not to be there.
//
// Other than the kernel it cannot read what lies before data.
func (m *Machine) loadFar(data []byte, offset uint32, size int64, meta *Metadata) (uint32, bool) {
	var at int64
	switch {
	case offset >= LLOff && meta == &bytesOnly:
		m.beyond = true
		return 0, false
	case offset >= NetOff:
		at = int64(offset-NetOff) + int64(meta.NetworkOffset)
	case offset >= LLOff && meta.HasLink:
		at = int64(offset-LLOff) + int64(meta.LinkOffset)
	default:
		return 0, false
	}
	if at < 0 || at+size > int64(len(data)) {
		return 0, false
	}
	var v uint32
	for _, b := range data[at : at+size] {
		v = v<<8 | uint32(b)
	}
	return v, true
}
