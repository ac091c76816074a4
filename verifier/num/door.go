// Package num: this file only declares what package verifier needs until the
// real package lands. Whoever lands the package deletes it.
package num

type Tnum[U ~uint64 | ~uint32] struct{ Value, Mask U }
type Arc[U ~uint64 | ~uint32] struct{ Base, Size U }
type Scalar struct {
	Bits Tnum[uint64]
	Wide Arc[uint64]
	Low  Arc[uint32]
}

func Const(v uint64) Scalar {
	return Scalar{Tnum[uint64]{v, 0}, Arc[uint64]{v, 0}, Arc[uint32]{uint32(v), 0}}
}
func Unknown() Scalar {
	return Scalar{Tnum[uint64]{0, ^uint64(0)}, Arc[uint64]{0, ^uint64(0)}, Arc[uint32]{0, ^uint32(0)}}
}
func (s Scalar) IsConst() (uint64, bool) { return s.Bits.Value, s.Bits.Mask == 0 }
