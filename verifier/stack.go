package verifier

import (
	"strconv"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/verifier/num"
)

func itoa(n int32) string { return strconv.Itoa(int(n)) }

// frameSize is the stack of one function, and at the same time that of a whole
// chain of calls (MAX_BPF_STACK).
const frameSize = 512

// stackRange checks that an access to the stack lies in the frame, and returns
// the frame and where the access can begin (check_stack_access_within_bounds).
func (v *verifier) stackRange(r ebpf.Register, off, size int64) (f *frame, low, high int64, _ *failure) {
	p := v.reg(r)
	low, high = p.num.SMin()+off, p.num.SMax()+off
	if low < -frameSize || high+size > 0 {
		if low < -frameSize {
			return nil, 0, 0, v.fail(StackBounds, int(r), "the access begins %s below the frame", bytesText(int(-frameSize-low))).miss(low, high+size, 0)
		}
		return nil, 0, 0, v.fail(StackBounds, int(r), "the access ends %s above the frame", bytesText(int(high+size))).miss(low, high+size, 0)
	}
	f = v.state.frames[p.frame]
	v.deepen(f, low)
	return f, low, high, nil
}

// alignedRange is stackRange for an access that must be aligned if it is at a
// constant offset.
func (v *verifier) alignedRange(r ebpf.Register, off int64, size int) (f *frame, low, high int64, _ *failure) {
	f, low, high, fail := v.stackRange(r, off, int64(size))
	if fail != nil {
		return nil, 0, 0, fail
	}
	if low == high && low%int64(size) != 0 {
		return nil, 0, 0, v.fail(Misaligned, int(r), "an access of %d bytes at R10%+d, which is no multiple of %d", size, low, size)
	}
	if low != high && !aligned(v.reg(r).num, off, size) {
		return nil, 0, 0, v.fail(Misaligned, int(r), "an access of %d bytes to the stack that may not be aligned", size)
	}
	return f, low, high, nil
}

// aligned reports whether all numbers of x plus off are multiples of size.
func aligned(x num.Scalar, off int64, size int) bool {
	sum := num.ALU(num.Add, true, x, num.Const(uint64(off)))
	low := uint64(size - 1)
	return sum.Bits.Mask&low == 0 && sum.Bits.Value&low == 0
}

// at returns the slot that the byte at off lies in, and the bit of the byte in
// the slot's masks.
func (f *frame) at(off int64) (s *slot, bit int) {
	i := int(-1-off) / 8
	for len(f.stack) <= i {
		f.stack = append(f.stack, slot{})
	}
	return &f.stack[i], int(off & 7)
}

// mask returns the bits of size bytes from bit on.
func mask(bit, size int) uint8 { return uint8((1<<size - 1) << bit) }

// loadStack returns what a load from the stack gives.
func (v *verifier) loadStack(r ebpf.Register, off int64, size int) (reg, *failure) {
	f, low, high, fail := v.alignedRange(r, off, size)
	if fail != nil {
		return reg{}, fail
	}
	if low != high {
		for at := low; at < high+int64(size); at++ {
			if fail := v.readByte(r, f, at); fail != nil {
				return reg{}, fail
			}
		}
		return unsigned(size), nil
	}
	s, bit := f.at(low)
	m := mask(bit, size)
	if s.spill&m != 0 {
		return v.fill(r, s, m, size)
	}
	if s.zero&m == m {
		return known(0), nil
	}
	if missing := m &^ s.init; missing != 0 && v.o.Strict {
		return reg{}, v.fail(StackUnset, int(r), "R10%+d is read before it is written", low)
	}
	return unsigned(size), nil
}

// fill returns a spilled register, or the part of one.
func (v *verifier) fill(r ebpf.Register, s *slot, m uint8, size int) (reg, *failure) {
	switch {
	case s.spill == m:
		v.tie(&s.reg)
		return s.reg, nil
	case s.reg.kind != scalar:
		if f := v.leak(r); f != nil {
			return reg{}, f
		}
		return reg{}, v.fail(PointerCut, int(r), "a part of %s is loaded from the stack", s.reg.kind)
	case m&^s.spill == 0 && m&-m == s.spill&-s.spill:
		return number(num.ZeroExtend(s.reg.num, 8*size)), nil
	}
	return unsigned(size), nil
}

// readByte checks that a byte of the stack may be read as a number.
func (v *verifier) readByte(r ebpf.Register, f *frame, at int64) *failure {
	s, bit := f.at(at)
	if s.init>>bit&1 == 0 && v.o.Strict {
		return v.fail(StackUnset, int(r), "R10%+d is read before it is written", at)
	}
	if s.spill>>bit&1 != 0 && s.reg.kind != scalar && v.o.Strict {
		return v.fail(PointerLeak, int(r), "%s on the stack is read as a number", s.reg.kind)
	}
	return nil
}

// storeStack stores a register to the stack.
func (v *verifier) storeStack(r ebpf.Register, off int64, size int, value reg) *failure {
	f, low, high, fail := v.alignedRange(r, off, size)
	if fail != nil {
		return fail
	}
	if value.kind == stackPtr && v.state.top() != f {
		return v.fail(PointerLeak, int(r), "a pointer to the stack is stored in the frame of a caller, which outlives it")
	}
	if low != high || size != 8 {
		if fail := v.cuts(r, f, low, high+int64(size)); fail != nil {
			return fail
		}
	}
	if low != high {
		f.scribble(low, high+int64(size), isZero(&value))
		return nil
	}
	s, bit := f.at(low)
	m := mask(bit, size)
	if value.isPointer() && size != 8 {
		return v.fail(PointerCut, int(r), "only %s of %s %s stored to the stack", bytesText(size), value.kind, are(int64(size)))
	}
	if s.spill&m != 0 || !isZero(&value) {
		s.unspill() // a slot has room for one register
	}
	s.init |= m
	s.zero &^= m
	switch {
	case isZero(&value):
		s.zero |= m
	case value.kind == scalar && size < 8 && value.num.UMax() >= 1<<(8*size):
		s.spill, s.reg = m, number(num.ZeroExtend(value.num, 8*size))
	default:
		s.spill, s.reg = m, value
	}
	return nil
}

// cuts refuses, in strict mode, a store to some of the bytes [low, end) where a
// pointer is spilled: what it left of the pointer could be read as a number.
func (v *verifier) cuts(r ebpf.Register, f *frame, low, end int64) *failure {
	for at := low; v.o.Strict && at < end; at++ {
		if s, bit := f.at(at); s.spill>>bit&1 != 0 && s.reg.isPointer() {
			return v.fail(PointerLeak, int(r), "%s on the stack may be overwritten in part, the rest of it would be a number", s.reg.kind)
		}
	}
	return nil
}

func isZero(r *reg) bool {
	c, ok := r.constant()
	return ok && c == 0
}

// unspill forgets the spilled register; its bytes stay, as bytes.
func (s *slot) unspill() { s.spill, s.reg = 0, reg{} }

// scribble makes the bytes [low, end) of the frame any numbers: a store went to
// one of them, nobody knows which (check_stack_write_var_off). A 0 leaves
// bytes 0 that were. Bytes not written before stay so.
func (f *frame) scribble(low, end int64, zero bool) {
	for at := low; at < end; at++ {
		s, bit := f.at(at)
		if s.spill>>bit&1 != 0 {
			s.unspill()
		}
		if !zero {
			s.zero &^= mask(bit, 1)
		}
	}
}

// helperStack is helperMemory for the stack (check_stack_range_initialized).
func (v *verifier) helperStack(r ebpf.Register, size int64, write bool) *failure {
	// No bytes have an address too (check_stack_access_within_bounds).
	f, low, high, fail := v.stackRange(r, 0, max(size, 1))
	if fail != nil || size == 0 {
		return fail
	}
	if write {
		if fail := v.cuts(r, f, low, high+size); fail != nil {
			return fail
		}
	}
	for at := low; at < high+size; at++ {
		if !write {
			if fail := v.readByte(r, f, at); fail != nil {
				return fail
			}
			continue
		}
		s, bit := f.at(at)
		if s.spill>>bit&1 != 0 {
			s.unspill()
		}
		s.zero &^= mask(bit, 1)
		if low == high {
			s.init |= mask(bit, 1)
		}
	}
	return nil
}

// deepen notes how much of its stack a function uses.
func (v *verifier) deepen(f *frame, low int64) {
	v.depth[f.fn] = max(v.depth[f.fn], int32(-low))
}
