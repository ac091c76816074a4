package amd64

// A Mem is a place in memory: Base + Index*Scale + Disp. Base and Index may be
// [NoReg]; without both, Disp is the address, sign-extended. RSP cannot be an
// index. Scale is 1, 2, 4 or 8; 0 means 1. The zero Mem is not "no operand" but
// [rax+rax].
type Mem struct {
	Base, Index Reg
	Scale       uint8
	Disp        int32
}

// At is the memory disp bytes from the address in base.
func At(base Reg, disp int32) Mem { return Mem{Base: base, Index: NoReg, Scale: 1, Disp: disp} }

// AtIndex is the memory disp bytes from the sum of base and index.
func AtIndex(base, index Reg, disp int32) Mem {
	return Mem{Base: base, Index: index, Scale: 1, Disp: disp}
}

// The values of a ModRM byte's fields that mean something else than a register.
const (
	modDisp8  = 0x40 // an 8-bit displacement follows
	modDisp32 = 0x80 // a 32-bit displacement follows
	modReg    = 0xc0 // the operand is a register, not memory

	rmSIB   = 4 // in rm: a SIB byte follows. So RSP and R12 need one as base
	rmDisp  = 5 // in rm without displacement: relative to RIP. So RBP and R13 need one
	sibNone = 4 // in SIB's index: no index. So RSP cannot be one
	sibDisp = 5 // in SIB's base without displacement: no base, disp32
)

// simplified returns m with a scaled index only where that is needed.
func (m Mem) simplified() Mem {
	if m.Index == RSP {
		panic("amd64: RSP cannot be an index")
	}
	if m.Base == NoReg && m.Index != NoReg && m.Scale <= 1 {
		m.Base, m.Index = m.Index, NoReg
	}
	if m.Base > R15 && m.Base != NoReg || m.Index > R15 && m.Index != NoReg {
		panic("amd64: no such register")
	}
	return m
}

// rex returns the bits that the registers of m put into a REX prefix.
func (m Mem) rex() byte {
	var rex byte
	if m.Base != NoReg {
		rex = byte(m.Base >> 3)
	}
	if m.Index != NoReg {
		rex |= byte(m.Index>>3) << 1
	}
	return rex
}

// appendMem appends ModRM, SIB and displacement of m, which is simplified.
// reg is what ModRM says of the other operand, in its place.
func appendMem(b []byte, reg byte, m Mem) []byte {
	if m.Base == NoReg {
		// Also without any register: ModRM alone would be relative to RIP.
		b = append(b, reg|rmSIB, m.sib(sibDisp))
		return append32(b, m.Disp)
	}
	base := byte(m.Base & 7)
	mod := byte(modDisp32)
	switch {
	case m.Disp == 0 && base != rmDisp:
		mod = 0
	case m.Disp == int32(int8(m.Disp)):
		mod = modDisp8
	}
	if m.Index != NoReg || base == rmSIB {
		b = append(b, mod|reg|rmSIB, m.sib(base))
	} else {
		b = append(b, mod|reg|base)
	}
	switch mod {
	case modDisp8:
		return append(b, byte(m.Disp))
	case modDisp32:
		return append32(b, m.Disp)
	}
	return b
}

// sib returns the SIB byte with the given base field.
func (m Mem) sib(base byte) byte {
	if m.Index == NoReg {
		return sibNone<<3 | base
	}
	var scale byte
	switch m.Scale {
	case 0, 1:
	case 2:
		scale = 1
	case 4:
		scale = 2
	case 8:
		scale = 3
	default:
		panic("amd64: the scale of an index is 1, 2, 4 or 8")
	}
	return scale<<6 | byte(m.Index&7)<<3 | base
}

func append32(b []byte, v int32) []byte {
	return append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}
