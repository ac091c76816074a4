package lift

import (
	"math"

	"github.com/bpflab/bpflab/ebpf"
)

// What packet pointers reach. The verifier forgets what a comparison with the
// packet's end has shown if the pointer could be more than 65535 bytes behind
// its start (MAX_PACKET_OFF), so what lies further away counts as not there.
// An address with X in it stops a little earlier, so that loads near the one
// that was checked need no new address.
const (
	reach         = 0xffff
	reachIndirect = 0xff00
)

// directAccess reads the packet through pointers. The verifier wants to see
// each of them compared with the packet's end:
//
//	t = data
//	t += n
//	if t > end goto noMatch    // from here on n bytes from data are known to be there
//
// and tracks that along every path. So does this type, to make as few
// comparisons as possible: one for all that is needed from there on, by moving
// t on if it still points into the same bytes. For loads at X+k the pointer p
// is set to the packet's byte X (or X+k, see point) and kept while X lasts.
type directAccess struct {
	*translator
	facts packetFacts
	flow  flow[packetFacts]
}

// packetFacts is what is known of the packet and the pointers.
type packetFacts struct {
	fixed int64   // data+fixed <= end
	p     pointer // what p points to
	t     anchor  // what t points to
}

// A pointer is data + X + base for the current X, if it is set: a number from
// 0 to limit behind data. The checked bytes from it on are there.
type pointer struct {
	set     bool
	base    uint32
	limit   int64
	checked int64
}

// An anchor is a distance from data or p.
type anchor struct {
	to  anchorBase
	off int64
}

type anchorBase uint8

const (
	nothing anchorBase = iota
	toData
	toPointer
)

func (f packetFacts) Meet(o packetFacts) packetFacts {
	f.fixed = min(f.fixed, o.fixed)
	if f.t != o.t {
		f.t = anchor{}
	}
	if !f.p.set || !o.p.set || f.p.base != o.p.base {
		f.p = pointer{}
		if f.t.to == toPointer {
			f.t = anchor{}
		}
		return f
	}
	f.p.limit = max(f.p.limit, o.p.limit)
	f.p.checked = min(f.p.checked, o.p.checked)
	return f
}

func (d *directAccess) enter(b *block) { d.facts = d.flow.enter(b) }

func (d *directAccess) leave(b *block) { d.flow.leave(b, d.facts) }

func (d *directAccess) prologue() {
	d.emit(
		ebpf.Load(ebpf.SizeW, d.regs.data, d.regs.ctx, d.offset("data")),
		ebpf.Load(ebpf.SizeW, d.regs.end, d.regs.ctx, d.offset("data_end")),
	)
}

func (d *directAccess) fixed(in *insn, dst ebpf.Register) {
	if n := int64(in.k) + int64(in.loadSize()); n > d.facts.fixed {
		d.facts.fixed = max(n, in.needs.fixed)
		d.check(toData, d.regs.data, d.facts.fixed)
	}
	d.load(in, dst, d.regs.data, int64(in.k))
}

// check sets t to off bytes behind from and compares it with the end.
func (d *directAccess) check(to anchorBase, from ebpf.Register, off int64) {
	t := d.regs.t
	if d.facts.t.to == to && d.facts.t.off <= off {
		d.emit(ebpf.ALU64Imm(ebpf.Add, t, int32(off-d.facts.t.off)))
	} else {
		d.emit(ebpf.Mov64(t, from), ebpf.ALU64Imm(ebpf.Add, t, int32(off)))
	}
	d.jump(ebpf.JumpIf(ebpf.Jgt, t, d.regs.end, 0), d.noMatch)
	d.facts.t = anchor{to, off}
}

// load reads the bytes at off behind a pointer, which have been checked. An
// instruction's offset has 16 bits with sign: far ones take an addition.
func (d *directAccess) load(in *insn, dst, from ebpf.Register, off int64) {
	if in.dead {
		return
	}
	if off > math.MaxInt16 {
		d.emit(ebpf.Mov64(d.regs.s, from), ebpf.ALU64Imm(ebpf.Add, d.regs.s, int32(off)))
		from, off = d.regs.s, 0
	}
	d.emit(ebpf.Load(sizeOf(in.loadSize()), dst, from, int16(off)))
	d.swap(in, dst)
}

func (d *directAccess) indirect(in *insn) {
	p := &d.facts.p
	if !p.covers(in) {
		d.point(in)
	}
	off := int64(in.k - p.base)
	if off+int64(in.size) > p.checked {
		p.checked = off + int64(in.size)
		if more := in.needs.viaX - int64(int32(p.base)); in.needs.viaX > 0 && p.limit+more <= reach {
			p.checked = max(p.checked, more)
		}
		d.check(toPointer, d.regs.p, p.checked)
	}
	d.load(in, rA, d.regs.p, off)
}

// covers reports whether a load can go through p.
func (p *pointer) covers(in *insn) bool {
	return p.set && p.limit+int64(in.k-p.base)+int64(in.size) <= reach
}

// point sets p for a load at X+k. If X is known to be small, p is the packet's
// byte X and serves whatever the k. Otherwise the sum is made on 32 bits, where
// it may wrap like that of the classic machine, and compared with what pointers
// reach; that the sum could not be near 2^32 is known only then, and so p can
// serve for larger k only. An address of 2^31 or more, which is relative to a
// header in a classic program, is out of reach here.
func (d *directAccess) point(in *insn) {
	p, x := d.regs.p, d.regs.x
	end := int64(in.k) + int64(in.size)
	if int64(in.xmax)+end <= reach {
		d.facts.p = pointer{set: true, limit: int64(in.xmax)}
		d.emit(ebpf.Mov64(p, x))
	} else {
		d.facts.p = pointer{set: true, base: in.k, limit: reachIndirect}
		// Not p = x; p += k: the verifier of recent kernels then remembers
		// p as x and a distance, which it later takes for the offset of a
		// pointer and refuses from 2^29 on ("pkt pointer offset … is not
		// allowed").
		d.emit(ebpf.Mov32Imm(p, int32(in.k)), ebpf.ALU32(ebpf.Add, p, x))
		d.jump(ebpf.JumpIfImm(ebpf.Jgt, p, reachIndirect, 0), d.noMatch)
	}
	d.emit(ebpf.ALU64(ebpf.Add, p, d.regs.data))
	if d.facts.t.to == toPointer {
		d.facts.t = anchor{}
	}
}

func (d *directAccess) wroteX() { d.forgetPointer() }

func (d *directAccess) called() {
	d.forgetPointer()
	d.facts.t = anchor{}
}

func (d *directAccess) forgetPointer() {
	d.facts.p = pointer{}
	if d.facts.t.to == toPointer {
		d.facts.t = anchor{}
	}
}
