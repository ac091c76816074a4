package num

import "math/bits"

// Tnum (tristate number) knows single bits: where Mask is 1 the bit is
// unknown, elsewhere it is Value's. Value is 0 where the bit is unknown.
type Tnum[U Word] struct{ Value, Mask U }

func (t Tnum[U]) contains(x U) bool { return x&^t.Mask == t.Value }

// isUnknown tells whether no bit is known.
func (t Tnum[U]) isUnknown() bool { return t.Mask == ones[U]() }

// atLeast is the first number of t that is met going up from x, and around
// from the largest number to the smallest.
//
// Let p be the highest known bit in which x differs. If it has to become 1, x
// keeps the bits above it, and below come the smallest that t allows. If it
// has to become 0, something above it has to grow: the lowest unknown bit that
// is 0 yet. Where there is none, no number above x remains.
func (t Tnum[U]) atLeast(x U) U {
	wrong := (x ^ t.Value) &^ t.Mask
	if wrong == 0 {
		return x
	}
	low := below[U](length(wrong))
	if t.Value&(low>>1+1) == 0 {
		grow := t.Mask &^ x &^ low
		if grow == 0 {
			return t.Value
		}
		grow &= -grow
		return x&^(grow|(grow-1)) | grow | t.Value&(grow-1)
	}
	return x&^low | t.Value&low
}

// atMost is the first number of t that is met going down from x, and around.
func (t Tnum[U]) atMost(x U) U {
	return ^t.not().atLeast(^x&ones[U]()) & ones[U]()
}

func (t Tnum[U]) not() Tnum[U] {
	return Tnum[U]{^t.Value &^ t.Mask & ones[U](), t.Mask}
}

// meet has the numbers that are in both; there may be none.
func (t Tnum[U]) meet(u Tnum[U]) (Tnum[U], bool) {
	return Tnum[U]{t.Value | u.Value, t.Mask & u.Mask}, (t.Value^u.Value)&^t.Mask&^u.Mask == 0
}

// join has the numbers of both, and those that only differ from them in bits
// that the two do not share.
func (t Tnum[U]) join(u Tnum[U]) Tnum[U] {
	m := t.Mask | u.Mask | (t.Value ^ u.Value)
	return Tnum[U]{t.Value &^ m, m}
}

func (t Tnum[U]) and(u Tnum[U]) Tnum[U] {
	v := t.Value & u.Value
	return Tnum[U]{v, (t.Value | t.Mask) & (u.Value | u.Mask) &^ v}
}

func (t Tnum[U]) or(u Tnum[U]) Tnum[U] {
	v := t.Value | u.Value
	return Tnum[U]{v, (t.Mask | u.Mask) &^ v}
}

func (t Tnum[U]) xor(u Tnum[U]) Tnum[U] {
	m := t.Mask | u.Mask
	return Tnum[U]{(t.Value ^ u.Value) &^ m, m}
}

// add compares the sum in which all unknown bits are 0 with the one in which
// all are 1: a carry that differs between the two is unknown, and no others.
func (t Tnum[U]) add(u Tnum[U]) Tnum[U] {
	least := t.Value + u.Value
	most := least + t.Mask + u.Mask
	m := (least ^ most | t.Mask | u.Mask) & ones[U]()
	return Tnum[U]{least &^ m & ones[U](), m}
}

func (t Tnum[U]) sub(u Tnum[U]) Tnum[U] {
	d := t.Value - u.Value
	m := ((d + t.Mask) ^ (d - u.Mask) | t.Mask | u.Mask) & ones[U]()
	return Tnum[U]{d &^ m & ones[U](), m}
}

// mul adds one operand, shifted, for each bit of the other, as long
// multiplication does. For an unknown bit the sum is either, joined: that is
// sharper than adding the unknown bits apart.
func (t Tnum[U]) mul(u Tnum[U]) Tnum[U] {
	if count(t.Value|t.Mask) > count(u.Value|u.Mask) {
		t, u = u, t
	}
	var sum Tnum[U]
	for t.Value|t.Mask != 0 {
		i := trailing(t.Value | t.Mask)
		bit := U(1) << i
		with := sum.add(u.lsh(i))
		if t.Value&bit != 0 {
			sum = with
		} else {
			sum = sum.join(with)
		}
		if sum.Mask|bit|(bit-1) == ones[U]() {
			break // up to bit i the sum is complete, and above it stays unknown
		}
		t.Value &^= bit
		t.Mask &^= bit
	}
	return sum
}

func (t Tnum[U]) lsh(k uint) Tnum[U] {
	return Tnum[U]{t.Value << k & ones[U](), t.Mask << k & ones[U]()}
}

func (t Tnum[U]) rsh(k uint) Tnum[U] { return Tnum[U]{t.Value >> k, t.Mask >> k} }

// arsh repeats the top bit; that of the mask too: its copies are as unknown.
func (t Tnum[U]) arsh(k uint) Tnum[U] {
	return Tnum[U]{unsigned[U](signed(t.Value) >> k), unsigned[U](signed(t.Mask) >> k)}
}

func count[U Word](x U) int { return bits.OnesCount64(uint64(x)) }
