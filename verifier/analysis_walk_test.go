package verifier

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// The oracle of the analysis is a walk: a machine follows a random program,
// taking conditional jumps one way or the other as it likes. At each step it
// marks all values of which the analysis says that they are dead (or do not
// matter), in all frames, and complains when a marked value is read (or decides
// something).

// A walkValue is a number of 32 bits or a pointer into a stack, whose upper
// half is the number of the frame.
type walkValue struct {
	v       uint64
	pointer bool
	mark    bool
	marked  int // where
}

// frame is the number of the frame that a pointer is into, or near.
func (v walkValue) frame() int { return int((v.v+2*frameSize)>>32) - 1 }

// number makes a number of a value.
func (v walkValue) number() walkValue {
	v.v, v.pointer = uint64(uint32(v.v)), false
	return v
}

type walkFrame struct {
	regs  [10]walkValue
	stack [frameSize]struct {
		b      byte
		mark   bool
		marked int
	}
	pointers [frameSize / 8]bool // by eight bytes from the lowest on: a pointer was stored there
	call     int
}

type walk struct {
	p        *Program
	a        *analysis
	matter   *relevance // nil to look at liveness
	branches []bool
	rnd      *rand.Rand
	frames   []*walkFrame
	pc       int
	err      string
}

func (w *walk) top() *walkFrame { return w.frames[len(w.frames)-1] }

// complain ends the walk because of the analysis.
func (w *walk) complain(what string, marked int) bool {
	w.err = fmt.Sprintf("at %d %s, which was given up at %d", w.pc, what, marked)
	return false
}

// read returns a register.
func (w *walk) read(r ebpf.Register) (walkValue, bool) {
	if r == ebpf.R10 {
		return walkValue{v: uint64(len(w.frames)) << 32, pointer: true}, true
	}
	v := w.top().regs[r]
	if v.mark && w.matter == nil {
		return v, w.complain(fmt.Sprintf("r%d is read", r), v.marked)
	}
	return v, true
}

// decides returns a register whose value decides something.
func (w *walk) decides(r ebpf.Register) (walkValue, bool) {
	v, ok := w.read(r)
	if ok && v.mark {
		return v, w.complain(fmt.Sprintf("r%d decides", r), v.marked)
	}
	return v, ok
}

func (w *walk) write(r ebpf.Register, v walkValue) {
	w.top().regs[r] = v
}

// memory returns the frame and offset in it that an access reaches, nil for
// none.
func (w *walk) memory(base walkValue, off, size int) (f *walkFrame, at int) {
	addr := base.v + uint64(off)
	n := base.frame()
	at = int(int64(addr-uint64(n+1)<<32)) + frameSize
	if !base.pointer || n >= len(w.frames) || at < 0 || at+size > frameSize {
		return nil, 0
	}
	return w.frames[n], at
}

// load and store do nothing where there is no memory; a program that does so
// is wrong, but what is said of it is not.
func (w *walk) load(base walkValue, off, size int, decides bool) (v walkValue, ok bool) {
	f, at := w.memory(base, off, size)
	if f == nil {
		return v, true
	}
	for i := size - 1; i >= 0; i-- {
		b := f.stack[at+i]
		v.v = v.v<<8 | uint64(b.b)
		if b.mark {
			v.mark, v.marked = true, b.marked
		}
	}
	if v.pointer = size == 8 && at&7 == 0 && f.pointers[at/8]; !v.pointer {
		v = v.number()
	}
	if v.mark && (w.matter == nil || decides) {
		return v, w.complain(fmt.Sprintf("R10%+d is read", at-frameSize), v.marked)
	}
	return v, true
}

func (w *walk) store(base walkValue, off, size int, v walkValue) {
	f, at := w.memory(base, off, size)
	if f == nil || v.pointer && f != w.top() {
		return
	}
	f.pointers[at/8], f.pointers[(at+size-1)/8] = false, false
	if size == 8 && at&7 == 0 {
		f.pointers[at/8] = v.pointer
	}
	for i := range size {
		b := &f.stack[at+i]
		b.b, b.mark, b.marked = byte(v.v>>(8*i)), v.mark, v.marked
	}
}

// give marks what the analysis gives up at this point.
func (w *walk) give() {
	for i, f := range w.frames {
		at := w.pc
		var slots uint64
		if i == len(w.frames)-1 {
			slots = w.a.liveSlots[at]
			if w.matter != nil {
				slots = w.matter.slots[at]
			}
		} else {
			call := w.frames[i+1].call
			at = call + 1
			slots = w.a.duringCall(call)
			if w.matter != nil {
				slots = w.a.reachedByCall(call) | w.matter.slots[at]
			}
		}
		regs := w.a.liveRegs[at]
		if w.matter != nil {
			regs = w.matter.regs[at]
		}
		w.mark(f, regs, slots)
	}
}

func (w *walk) mark(f *walkFrame, regs uint16, slots uint64) {
	for r := range f.regs {
		v := &f.regs[r]
		if regs>>r&1 == 0 && !v.mark && (w.matter == nil || !v.pointer) {
			v.mark, v.marked = true, w.pc
		}
	}
	for i := range frameSize / 8 {
		if slots>>i&1 != 0 || w.matter != nil && f.pointers[frameSize/8-1-i] {
			continue
		}
		bytes := f.stack[frameSize-8*(i+1):][:8]
		for j := range bytes {
			bytes[j].mark, bytes[j].marked = true, w.pc
		}
	}
}

// step runs an instruction; false ends the walk.
func (w *walk) step() bool {
	w.give()
	ins := w.p.Insns[w.pc]
	next := w.pc + ins.Width()
	ok := true
	switch ins.Op.Class() {
	case ebpf.ClassALU64:
		ok = w.alu(ins)
	case ebpf.ClassLD:
		w.write(ins.Dst, walkValue{v: uint64(ins.Imm)})
	case ebpf.ClassLDX:
		var base, v walkValue
		if base, ok = w.decides(ins.Src); ok {
			v, ok = w.load(base, int(ins.Off), ins.Op.Bytes(), false)
			w.write(ins.Dst, v)
		}
	case ebpf.ClassST, ebpf.ClassSTX:
		v := walkValue{v: uint64(ins.Imm)}
		if ins.Op.Class() == ebpf.ClassSTX {
			if v, ok = w.read(ins.Src); !ok {
				return false
			}
		}
		var base walkValue
		if base, ok = w.decides(ins.Dst); ok {
			w.store(base, int(ins.Off), ins.Op.Bytes(), v)
		}
	default:
		next, ok = w.jump(ins, next)
	}
	w.pc = next
	return ok
}

func (w *walk) alu(ins ebpf.Instruction) bool {
	y := walkValue{v: uint64(ins.Imm)}
	ok := true
	if ins.Op.Source() == ebpf.SourceX {
		if y, ok = w.read(ins.Src); !ok {
			return false
		}
	}
	if ins.Op.Operation() == ebpf.Mov {
		w.write(ins.Dst, y)
		return true
	}
	x, ok := w.read(ins.Dst)
	if !ok {
		return false
	}
	switch ins.Op.Operation() {
	case ebpf.Add:
		sum := x
		sum.v += y.v
		sum.pointer = x.pointer != y.pointer
		if !sum.pointer || x.pointer && sum.frame() != x.frame() || y.pointer && sum.frame() != y.frame() {
			sum = sum.number()
		}
		x = sum
	case ebpf.And:
		x.v &= y.v
		x = x.number()
	}
	if y.mark {
		x.mark, x.marked = true, y.marked
	}
	w.write(ins.Dst, x)
	return true
}

func (w *walk) jump(ins ebpf.Instruction, next int) (int, bool) {
	switch {
	case isExit(ins):
		return w.exit()
	case isLocalCall(ins):
		return w.enter()
	case isCall(ins):
		return next, w.helper(ins.Imm)
	case isJump(ins):
		next, _ = ins.Target(w.pc)
		return next, true
	}
	check := w.read
	if w.branches[w.pc] {
		check = w.decides
	}
	if _, ok := check(ins.Dst); !ok {
		return 0, false
	}
	if ins.Op.Source() == ebpf.SourceX {
		if _, ok := check(ins.Src); !ok {
			return 0, false
		}
	}
	if w.rnd.IntN(2) == 0 {
		next, _ = ins.Target(w.pc)
	}
	return next, true
}

func (w *walk) exit() (int, bool) {
	r0, ok := w.read(ebpf.R0)
	if n := len(w.frames) - 1; ok && n > 0 {
		call := w.top().call
		w.frames = w.frames[:n]
		w.write(ebpf.R0, r0.number())
		return call + 1, true
	}
	return 0, false
}

func (w *walk) enter() (int, bool) {
	if len(w.frames) == 6 {
		return 0, false
	}
	f := newWalkFrame(w.rnd)
	f.call = w.pc
	regs := &w.top().regs
	for r := ebpf.R1; r <= ebpf.R5; r++ {
		f.regs[r] = regs[r]
	}
	clear(regs[:6])
	w.frames = append(w.frames, f)
	target, _ := w.p.Insns[w.pc].Target(w.pc)
	return target, true
}

// helper runs skb_load_bytes, or map_lookup_elem with a pointer to a key of 4
// bytes of map 0, an array, and 8 bytes of map 1.
func (w *walk) helper(id int32) bool {
	if id == abi.SKBLoadBytes {
		dst, ok := w.decides(ebpf.R3)
		size, isSize := w.decides(ebpf.R4)
		if !ok || !isSize {
			return false
		}
		for i := range min(int(size.v), 16) {
			w.store(dst, i, 1, walkValue{v: w.rnd.Uint64()})
		}
	} else {
		m, ok := w.decides(ebpf.R1)
		key, isKey := w.decides(ebpf.R2)
		if !ok || !isKey {
			return false
		}
		if _, ok := w.load(key, 0, 4+4*int(m.v&1), m.v == 0 && w.branches[w.pc]); !ok {
			return false
		}
	}
	for r := range 6 {
		w.top().regs[r] = walkValue{}
	}
	w.write(ebpf.R0, walkValue{v: w.rnd.Uint64N(16)})
	return true
}

func newWalkFrame(rnd *rand.Rand) *walkFrame {
	f := new(walkFrame)
	for i := range f.stack {
		if i&4 == 0 { // slots begin as numbers
			f.stack[i].b = byte(rnd.IntN(32))
		}
	}
	return f
}

// randomFunction writes the body of a function; calls says which functions it
// may call.
func randomFunction(rnd *rand.Rand, b *strings.Builder, name string, calls []string) {
	n := 8 + rnd.IntN(25)
	reg := func() int { return rnd.IntN(10) }
	slot := func() int { return -8 * (1 + rnd.IntN(6)) }
	size := func() int { return []int{8, 16, 32, 64, 64, 64}[rnd.IntN(6)] }
	for i := range n {
		fmt.Fprintf(b, "%s%d: ", name, i)
		switch rnd.IntN(16) {
		case 0:
			fmt.Fprintf(b, "r%d = %d\n", reg(), 8*rnd.IntN(4))
		case 1, 2:
			fmt.Fprintf(b, "r%d = r%d\n", reg(), reg())
		case 3:
			fmt.Fprintf(b, "r%d += r%d\n", reg(), reg())
		case 4:
			r := reg()
			fmt.Fprintf(b, "r%d = r10\nr%d += %d\n", r, r, slot())
		case 5: // an offset that is not known
			r, x := reg(), reg()
			fmt.Fprintf(b, "r%d &= 24\nr%d = r10\nr%d += -40\nr%d += r%d\n", x, r, r, r, x)
		case 6, 7:
			s := size()
			fmt.Fprintf(b, "*(u%d *)(r10 %d) = r%d\n", s, slot()+rnd.IntN(64/s)*s/8, reg())
		case 8, 9:
			s := size()
			fmt.Fprintf(b, "r%d = *(u%d *)(r10 %d)\n", reg(), s, slot()+rnd.IntN(64/s)*s/8)
		case 10:
			fmt.Fprintf(b, "*(u%d *)(r%d +0) = r%d\n", size(), reg(), reg())
		case 11:
			fmt.Fprintf(b, "r%d = *(u%d *)(r%d +0)\n", reg(), size(), reg())
		case 12, 13:
			fmt.Fprintf(b, "if r%d > r%d goto %s%d\n", reg(), reg(), name, rnd.IntN(n))
		case 14:
			if len(calls) > 0 {
				fmt.Fprintf(b, "r1 = r10\nr1 += %d\nr2 = r%d\ncall %s0\n", slot(), reg(), calls[rnd.IntN(len(calls))])
			} else {
				fmt.Fprintf(b, "*(u64 *)(r10 %d) = %d\n", slot(), rnd.IntN(100))
			}
		case 15:
			if rnd.IntN(2) == 0 {
				fmt.Fprintf(b, "r1 = r6\nr2 = 0\nr3 = r10\nr3 += %d\nr4 = %d\ncall bpf_skb_load_bytes#26\n", slot(), 1+rnd.IntN(8))
			} else {
				fmt.Fprintf(b, "r2 = r10\nr2 += %d\nr1 = map[fd:%d]\ncall bpf_map_lookup_elem#1\n", slot(), rnd.IntN(2))
			}
		}
	}
	b.WriteString("r0 = 0\nexit\n")
}

func randomProgram(t testing.TB, rnd *rand.Rand) *Program {
	var b strings.Builder
	for r := range 10 {
		fmt.Fprintf(&b, "r%d = %d\n", r, 8*r)
	}
	functions := rnd.IntN(3)
	b.WriteString("r1 = r10\nr1 += -16\ncall f0\nr1 = r10\nr1 += -24\ncall g0\n")
	b.WriteString("r1 = r10\nr1 += -16\nr2 = 8\nr3 = 16\nr4 = r1\nr5 = 1\n")
	randomFunction(rnd, &b, "m", []string{"f", "g"}[:min(functions, 2)])
	randomFunction(rnd, &b, "f", []string{"g", "f"}[:functions])
	randomFunction(rnd, &b, "g", nil)
	p := programOf(t, b.String())
	p.Maps = testMaps
	return p
}

func TestWalk(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 1))
	steps := 0
	for i := range 400 {
		p := randomProgram(t, rnd)
		a, f := analyse(p)
		if f != nil {
			t.Fatal(f)
		}
		r := a.relevant(p)
		for pc, ins := range p.Insns {
			if (isBranch(ins) || a.effects[pc].matters) && rnd.IntN(3) == 0 {
				r.learn(int32(pc))
			}
		}
		for j := range 20 {
			w := walk{p: p, a: a, branches: r.branches, rnd: rnd, frames: []*walkFrame{newWalkFrame(rnd)}}
			if j&1 != 0 {
				w.matter = r
			}
			for n := 0; n < 150 && w.step(); n++ {
				steps++
			}
			if w.err != "" {
				t.Fatalf("program %d, walk %d: %s\n%s", i, j, w.err, listing(p))
			}
		}
	}
	t.Log(steps, "steps")
}

func listing(p *Program) string {
	var b strings.Builder
	for i, line := range ebpf.Disassemble(p.Insns) {
		fmt.Fprintf(&b, "%4d %s\n", i, line)
	}
	return b.String()
}
