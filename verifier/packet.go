package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
)

// A program may touch the bytes of a packet that it has shown to be there, by
// comparing a pointer into the packet with data_end. What a comparison shows
// it shows for the place that the pointer comes from (reg.id): all pointers
// from there, moved by whatever constant, profit.

// maxPacket is the longest packet that a comparison is believed to tell about
// (MAX_PACKET_OFF): a larger offset could wrap around in the kernel.
const maxPacket = 0xffff

// boundsCheck reports whether a comparison of the two is one that programs
// make to find out how much of the packet is there.
func boundsCheck(x, y *reg) bool {
	return x.kind == packetPtr && y.kind == packetEnd || x.kind == packetEnd && y.kind == packetPtr ||
		x.kind == metaPtr && y.kind == packetPtr || x.kind == packetPtr && y.kind == metaPtr
}

// compareBounds goes on with both branches of an order comparison, in which
// each may show that bytes of the packet, or of the metadata before it, are
// there (try_match_pkt_pointers).
func (v *verifier) compareBounds(ins ebpf.Instruction, target int) {
	other := v.both(target)
	op := ins.Op.Operation()
	if ins.Op.Source() != ebpf.SourceX {
		return
	}
	shownBy(other, ins, op)
	shownBy(v.state, ins, inverse(op))
}

func inverse(op ebpf.Opcode) ebpf.Opcode {
	switch op {
	case ebpf.Jgt:
		return ebpf.Jle
	case ebpf.Jge:
		return ebpf.Jlt
	case ebpf.Jlt:
		return ebpf.Jge
	case ebpf.Jle:
		return ebpf.Jgt
	}
	return 0 // signed comparisons show nothing
}

// shownBy notes what follows from "dst op src".
func shownBy(s *state, ins ebpf.Instruction, op ebpf.Opcode) {
	f := s.top()
	x, y := f.regs[ins.Dst], f.regs[ins.Src]
	switch op {
	case ebpf.Jlt, ebpf.Jle: // x < y: turned around
		x, y = y, x
	case ebpf.Jgt, ebpf.Jge:
	default:
		return
	}
	// Now x > y, or x >= y.
	strict := op == ebpf.Jgt || op == ebpf.Jlt
	switch {
	case x.kind == packetEnd && y.kind == packetPtr:
		show(s, &y, packetPtr, strict)
	case x.kind == packetPtr && y.kind == metaPtr && isStart(&x):
		show(s, &y, metaPtr, strict)
	}
}

// isStart reports whether a pointer is data itself.
func isStart(r *reg) bool { return r.id == 0 && r.off == 0 }

// show notes that all bytes before pointer p, counted from the place it comes
// from, are there, and the one that it points to if the comparison was strict
// (find_good_pkt_pointers).
func show(s *state, p *reg, k kind, strict bool) {
	span := int64(p.off)
	if strict {
		span++
	}
	if p.off < 0 || span == 0 || p.num.SMin() < 0 || p.num.UMax() > maxPacket || span > maxPacket {
		return
	}
	showSpan(s, p.id, k, uint16(span))
}

// showSpan notes that span bytes from the place with the given id on are there.
func showSpan(s *state, id uint32, k kind, span uint16) {
	s.each(func(r *reg) {
		if r.kind == k && r.id == id && r.span < span {
			r.span = span
		}
	})
}

// lengthCompared steps a comparison of data_end - p with a constant, which
// shows as much as that of p + constant with data_end. The kernel does not
// know this form. The difference is negative where p lies behind data_end, so
// that only signed comparisons tell, unless p is data, which never does.
func (v *verifier) lengthCompared(ins ebpf.Instruction, target int, x *reg) (other *state) {
	r, cmp := *x, ins.Op.Operation()
	other = v.both(target)
	op, signed := withoutSign(cmp)
	if signed || r.id == 0 && r.off == 0 {
		lengthShown(other, &r, op, int64(ins.Imm))
		lengthShown(v.state, &r, inverse(op), int64(ins.Imm))
	}
	return other
}

// withoutSign returns the unsigned relation of a signed one, and others as they
// are.
func withoutSign(op ebpf.Opcode) (unsigned ebpf.Opcode, signed bool) {
	switch op {
	case ebpf.Jsgt:
		return ebpf.Jgt, true
	case ebpf.Jsge:
		return ebpf.Jge, true
	case ebpf.Jslt:
		return ebpf.Jlt, true
	case ebpf.Jsle:
		return ebpf.Jle, true
	}
	return op, false
}

// lengthShown notes what follows from "data_end - p op n".
func lengthShown(s *state, r *reg, op ebpf.Opcode, n int64) {
	switch op {
	case ebpf.Jgt:
		n++
	case ebpf.Jge:
	default:
		return
	}
	if span := int64(r.off) + n; r.off >= 0 && n > 0 && span <= maxPacket {
		showSpan(s, r.id, packetPtr, uint16(span))
	}
}

// movePacket forgets all pointers into the packet: a helper function may have
// moved it (clear_all_pkt_pointers). As in the kernel they become numbers, so
// that a program may still carry them around.
func (v *verifier) movePacket() {
	v.state.each(func(r *reg) {
		switch r.kind {
		case packetPtr, packetEnd, metaPtr:
			*r = anyNumber()
			r.flags = stale
		case scalar:
			if r.has(length) {
				r.id, r.off, r.flags = 0, 0, r.flags&^length
			}
		}
	})
}
