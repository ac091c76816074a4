package ir

import (
	"math"
	"math/bits"
)

// MaxOf returns an upper bound of v. It follows from the operations alone,
// not from the branches around a use.
func (f *Func) MaxOf(v *Value) uint32 { return v.max }

// cover returns the smallest number of the form 2^n - 1 that is at least n.
func cover(n uint32) uint32 { return uint32(uint64(1)<<bits.Len32(n) - 1) }

// bound computes v.max from the bounds of the arguments.
func (v *Value) bound() uint32 {
	switch v.Op {
	case Const:
		return v.Const
	case Load:
		return uint32(uint64(1)<<(8*v.Size) - 1)
	case Meta:
		return Field(v.Const).bound()
	case Len, Neg, Phi, Sub:
		return math.MaxUint32
	}
	x, y := v.Args[0].max, v.Args[1].max
	constant := v.Args[1].Op == Const
	switch v.Op {
	case Add:
		return clamp(uint64(x) + uint64(y))
	case Mul:
		return clamp(uint64(x) * uint64(y))
	case And:
		return min(x, y)
	case Or, Xor:
		return cover(x | y)
	case Mod:
		return min(x, max(y, 1)-1)
	case Shl:
		if constant && y < 32 {
			return clamp(uint64(x) << y)
		}
	case Div:
		if constant && y > 0 {
			return x / y
		}
		return x
	case Shr:
		if constant && y < 32 {
			return x >> y
		}
		return x
	}
	return math.MaxUint32
}

// clamp gives up on a result that may have wrapped.
func clamp(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

func (m Field) bound() uint32 {
	switch m {
	case VLANPresent:
		return 1
	case VLANTag, Protocol:
		return math.MaxUint16
	}
	return math.MaxUint32
}
