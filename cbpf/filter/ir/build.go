package ir

import (
	"math"
	"math/bits"
	"slices"

	"github.com/bpflab/bpflab/cbpf/origin"
)

// The constructors of values. They find equal values again, fold what all
// machines compute alike, and bring the rest to one shape: a constant operand
// stands right, powers of two are shifts and masks. They never drop an operand
// that can fault. Each takes the piece of the expression that the value with
// all its operands stands for, and adds it to the Origin of a value that is
// there already.

// maxAddress is the largest displacement. A load there faults on every packet.
const maxAddress = math.MaxInt32

// key is what makes two values equal.
type key struct {
	op   Op
	size uint8
	k    uint32
	x, y *Value
}

// NewFunc returns a graph without blocks. The first block made is the entry.
func NewFunc() *Func { return &Func{values: make(map[key]*Value)} }

// NumValues returns a number above the ID of every value.
func (f *Func) NumValues() int { return f.nextValue }

// Const returns the number k.
func (f *Func) Const(k uint32, o origin.Set) *Value {
	return f.value(key{op: Const, k: k}, o)
}

// Len returns the packet's length on the wire.
func (f *Func) Len(o origin.Set) *Value { return f.value(key{op: Len}, o) }

// Meta returns a piece of metadata.
func (f *Func) Meta(m Field, o origin.Set) *Value {
	return f.value(key{op: Meta, k: uint32(m)}, o)
}

// Load returns the size (1, 2 or 4) bytes of the packet at base + k, or at k
// if base is nil.
func (f *Func) Load(size uint8, base *Value, k uint32, o origin.Set) *Value {
	at := uint64(k)
	if base != nil {
		var c uint32
		c, base = splitAdd(base)
		at += uint64(c)
	}
	if at > maxAddress {
		at, base = maxAddress, nil
	}
	return f.value(key{op: Load, size: size, k: uint32(at), x: base}, o)
}

// splitAdd takes a constant out of a sum that cannot wrap: v = c + rest, with
// rest nil for zero.
func splitAdd(v *Value) (c uint32, rest *Value) {
	switch {
	case v.Op == Const:
		return v.Const, nil
	case v.Op == Add && v.Args[1].Op == Const && v.Args[0].max <= math.MaxUint32-v.Args[1].Const:
		return v.Args[1].Const, v.Args[0]
	}
	return 0, v
}

// Neg returns -x.
func (f *Func) Neg(x *Value, o origin.Set) *Value {
	switch x.Op {
	case Const:
		return f.Const(-x.Const, o)
	case Neg:
		return x.Args[0].from(o)
	}
	return f.value(key{op: Neg, x: x}, o)
}

// Binary returns x op y for the operations from Add to Shr.
func (f *Func) Binary(op Op, x, y *Value, o origin.Set) *Value {
	if x.Op == Const && y.Op == Const {
		if k, ok := op.Eval(x.Const, y.Const); ok {
			return f.Const(k, o)
		}
	}
	if op.commutes() && (x.Op == Const || y.Op != Const && y.ID < x.ID) {
		x, y = y, x
	}
	if y.Op == Const {
		return f.withConst(op, x, y, o)
	}
	return f.value(key{op: op, x: x, y: y}, o)
}

// withConst returns x op c for a constant c.
func (f *Func) withConst(op Op, x, c *Value, o origin.Set) *Value {
	k := c.Const
	if k != 0 && k&(k-1) == 0 {
		switch n := uint32(bits.TrailingZeros32(k)); op {
		case Mul:
			op, k = Shl, n
		case Div:
			op, k = Shr, n
		case Mod:
			op, k = And, k-1
		}
	}
	if op.keeps(x, k) {
		return x.from(o)
	}
	if x.Op == op && op.associates() && x.Args[1].Op == Const {
		k, _ = op.Eval(x.Args[1].Const, k)
		return f.withConst(op, x.Args[0], f.Const(k, o), o)
	}
	if k != c.Const {
		c = f.Const(k, o)
	}
	return f.value(key{op: op, x: x, y: c}, o)
}

// keeps reports whether x op k is x.
func (op Op) keeps(x *Value, k uint32) bool {
	switch op {
	case Add, Sub, Or, Xor, Shl, Shr:
		return k == 0
	case Mul, Div:
		return k == 1
	case And:
		return k&cover(x.max) == cover(x.max)
	}
	return false
}

func (op Op) commutes() bool {
	switch op {
	case Add, Mul, And, Or, Xor:
		return true
	}
	return false
}

// associates reports whether (x op a) op b is x op (a op b).
func (op Op) associates() bool { return op.commutes() }

// Eval computes x op y. It reports false where that faults (a zero divisor),
// where machines differ (a shift by 32 or more), and for operations that are
// not binary.
func (op Op) Eval(x, y uint32) (uint32, bool) {
	switch op {
	case Add:
		return x + y, true
	case Sub:
		return x - y, true
	case Mul:
		return x * y, true
	case Div:
		return x / max(y, 1), y != 0
	case Mod:
		return x % max(y, 1), y != 0
	case And:
		return x & y, true
	case Or:
		return x | y, true
	case Xor:
		return x ^ y, true
	case Shl:
		return x << y, y < 32
	case Shr:
		return x >> y, y < 32
	}
	return 0, false
}

// Phi returns a value that is args[i] in block b if b was entered by
// b.Preds[i], or args[0] itself if all args are equal. All edges into b must
// have been connected.
func (f *Func) Phi(b *Block, args []*Value, o origin.Set) *Value {
	if len(args) != len(b.Preds) {
		panic("ir: a phi needs one argument for each edge into its block")
	}
	if len(args) > 0 && !slices.ContainsFunc(args, func(a *Value) bool { return a != args[0] }) {
		return args[0].from(o)
	}
	v := &Value{ID: f.nextValue, Op: Phi, Args: slices.Clone(args), Block: b, Origin: o}
	f.nextValue++
	for _, a := range args {
		v.max = max(v.max, a.max)
	}
	b.Phis = append(b.Phis, v)
	return v
}

// value finds or makes the value described by k.
func (f *Func) value(k key, o origin.Set) *Value {
	if v := f.values[k]; v != nil {
		return v.from(o)
	}
	v := &Value{ID: f.nextValue, Op: k.op, Size: k.size, Const: k.k, Origin: o}
	f.nextValue++
	if k.x != nil {
		v.Args = append(v.Args, k.x)
	}
	if k.y != nil {
		v.Args = append(v.Args, k.y)
	}
	v.max = v.bound()
	v.faults = v.Faults() || slices.ContainsFunc(v.Args, (*Value).CanFault)
	f.values[k] = v
	return v
}

// Faults reports whether computing v from its arguments can fault.
func (v *Value) Faults() bool {
	switch v.Op {
	case Load:
		return true
	case Div, Mod:
		return v.Args[1].Op != Const || v.Args[1].Const == 0
	}
	return false
}

// CanFault reports whether evaluating v with all its arguments can fault.
func (v *Value) CanFault() bool { return v.faults }
