package lift

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// loadBytesAccess reads the packet with the helper that copies bytes to the
// stack, which also reaches what lies outside the linear part. The helper
// knows the bounds, but a call is dear. So a load at a constant fetches a
// window, all that every match needs from there on, and later loads read it.
type loadBytesAccess struct {
	*translator
	phase  uint32 // offsets that are phase modulo 4 lie on a multiple of 4 in the window
	window window
	flow   flow[window]
}

// windowSize is how many bytes are fetched at most. The window's place on the
// stack is below what the translator has, with room to align it.
const (
	windowSize  = 64
	stackWindow = stackBytes - windowSize - 4
)

// A window says which packet bytes, from low up to high, are on the stack.
type window struct{ low, high int64 }

func (w window) Meet(o window) window {
	if w.low != o.low {
		return window{}
	}
	return window{w.low, min(w.high, o.high)}
}

func (l *loadBytesAccess) enter(b *block) { l.window = l.flow.enter(b) }

func (l *loadBytesAccess) leave(b *block) { l.flow.leave(b, l.window) }

// setPhase aligns the window for most of the program's 32-bit loads: the
// verifier takes aligned loads from the stack only. Behind an Ethernet header
// that is the phase 2, since IP headers start at 14.
func (l *loadBytesAccess) setPhase(g *graph) {
	var words [4]int
	for _, b := range g.blocks {
		for _, in := range b.insns {
			if in.kind == loadAbs && in.size == 4 {
				words[in.k%4]++
			}
		}
	}
	if words[2] >= words[0] {
		l.phase = 2
	}
}

func (l *loadBytesAccess) fixed(in *insn, dst ebpf.Register) {
	size := int64(in.loadSize())
	if in.k > reach || (int64(in.k)-int64(l.phase))%size != 0 {
		l.fetch(stackBytes, int64(in.k), size)
		l.take(in, dst, stackBytes)
		return
	}
	if k := int64(in.k); k < l.window.low || k+size > l.window.high {
		l.window = in.window()
		l.fetch(l.place(l.window.low), l.window.low, l.window.high-l.window.low)
	}
	l.take(in, dst, l.place(int64(in.k)))
}

// window returns the bytes to fetch for a load: from the lowest that any path
// reads, to the end of what all matches need.
func (in *insn) window() window {
	w := window{in.needs.low, in.needs.fixed}
	if end := int64(in.k) + int64(in.loadSize()); end > w.low+windowSize {
		w.low = int64(in.k)
	}
	w.high = min(w.high, w.low+windowSize)
	return w
}

// place returns where on the stack the byte at off of the packet lies.
func (l *loadBytesAccess) place(off int64) int16 {
	pad := (l.window.low - int64(l.phase)) & 3
	return stackWindow + int16(pad+off-l.window.low)
}

// fetch copies n packet bytes from off to the stack.
func (l *loadBytesAccess) fetch(to int16, off, n int64) {
	l.emit(ebpf.Mov64(ebpf.R1, l.regs.ctx), ebpf.Mov64Imm(ebpf.R2, int32(off)))
	l.copyBytes(l.helper(), to, n)
}

// indirect makes the sum on 32 bits, like the classic machine. The helper
// fails for one of 2^31 or more.
func (l *loadBytesAccess) indirect(in *insn) {
	l.emit(ebpf.Mov64(ebpf.R1, l.regs.ctx), ebpf.Mov32(ebpf.R2, l.regs.x))
	if in.k != 0 {
		l.emit(ebpf.ALU32Imm(ebpf.Add, ebpf.R2, int32(in.k)))
	}
	l.copyBytes(l.helper(), stackBytes, int64(in.size))
	l.take(in, rA, stackBytes)
}

func (l *loadBytesAccess) helper() int32 {
	if l.isSKB() {
		return abi.SKBLoadBytes
	}
	return abi.XDPLoadBytes
}

// What is on the stack stays there, so there is nothing else to set up or to
// forget.

func (l *loadBytesAccess) prologue() {}
func (l *loadBytesAccess) wroteX()   {}
func (l *loadBytesAccess) called()   {}
