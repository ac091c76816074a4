package lift

import (
	"math"

	"github.com/bpflab/bpflab/ebpf"
)

// A register's range is 0 to a bound. Only what the kernel's verifier has
// always been able to follow is tracked, because packet pointers are made from
// X and the verifier must come to the same bound: it loses track at a byte
// swap, for example, so that a 16-bit load counts as unbounded.
const unbounded = math.MaxUint32

// findRanges notes at each indirect load how large X can be.
func (g *graph) findRanges() {
	for _, b := range g.blocks {
		a, x := b.a, b.x
		for i := range b.insns {
			in := &b.insns[i]
			in.xmax = x
			a, x = in.ranges(a, x)
		}
		for _, s := range b.succ {
			s.a, s.x = max(s.a, a), max(s.x, x)
		}
	}
}

// ranges returns the bounds of A and X after an instruction.
func (in *insn) ranges(a, x uint32) (uint32, uint32) {
	v := uint32(unbounded)
	switch in.kind {
	case loadImm:
		v = in.k
		fallthrough
	case loadLen, loadMem:
		if in.reg == regX {
			return a, v
		}
		return v, x
	case loadAbs, loadInd:
		if in.size == 1 {
			return math.MaxUint8, x
		}
		return unbounded, x
	case loadMSH:
		return a, 4 * 15
	case tax:
		return a, a
	case txa:
		return x, x
	case alu:
		return in.aluRange(a, x), x
	case loadField, loadCall, neg:
		return unbounded, x
	}
	return a, x
}

// aluRange returns the bound of A after an arithmetic instruction.
func (in *insn) aluRange(a, x uint32) uint32 {
	k := in.k
	if in.useX {
		k = x
	}
	switch in.op {
	case ebpf.And:
		return min(a, k)
	case ebpf.Add:
		return uint32(min(uint64(a)+uint64(k), unbounded))
	case ebpf.Mul:
		if max(a, k) <= math.MaxUint16 {
			return a * k
		}
	case ebpf.Lsh:
		if !in.useX {
			return uint32(min(uint64(a)<<k, unbounded))
		}
	case ebpf.Rsh:
		if !in.useX {
			return a >> k
		}
	}
	return unbounded
}
