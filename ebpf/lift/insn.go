package lift

import (
	"fmt"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf"
)

// A kind is what a classic instruction does, without its many encodings.
type kind uint8

const (
	loadImm        kind = iota // reg = k
	loadLen                    // reg = length of the packet
	loadMem                    // reg = M[k]
	storeMem                   // M[k] = reg
	loadAbs                    // A = size packet bytes at k
	loadInd                    // A = size packet bytes at X+k
	loadMSH                    // X = 4*(packet byte at k & 0xf)
	loadField                  // A = a field of the context
	loadCall                   // A = the result of a helper without arguments
	alu                        // A = A op operand
	neg                        // A = -A
	tax                        // X = A
	txa                        // A = X
	branch                     // go on at one of two blocks, by A op operand
	branchNoDevice             // the same, by whether the packet has no device
)

// A register of the classic machine.
type reg uint8

const (
	regA reg = iota
	regX
)

// An area says what the offset of a load at a constant counts from.
type area uint8

const (
	fromStart   area = iota // the first byte of the packet
	fromNetwork             // the network header (SKF_NET_OFF)
	fromLink                // the link-layer header (SKF_LL_OFF)
)

// An insn is one decoded classic instruction with what the analyses found out
// about it. Jumps without condition and returns are not instructions here but
// edges and ends of blocks.
type insn struct {
	kind kind
	reg  reg         // of loadImm, loadLen, loadMem, storeMem
	size int         // bytes of a packet load
	area area        // of loadAbs and loadMSH
	op   ebpf.Opcode // operation of alu and branch; classic and extended use the same bits
	useX bool        // the operand is X, not k
	k    uint32
	ext  extension // of loadField and loadCall
	from origin.Set

	dead  bool   // nobody reads what a packet load loads; it can still end the program
	keepA bool   // of a load into X: A is read later
	needs needs  // bytes that every match needs from here on
	xmax  uint32 // of loadInd: upper bound of X
	order int    // bits of A's byte order as held: 0 host, 16 or 32 network
}

// decode translates one instruction other than ja and ret.
func decode(raw bpf.RawInstruction, index int, t *target) (insn, error) {
	in := insn{k: raw.K, from: origin.Of(index, index+1)}
	switch class := raw.Op & 0x07; class {
	case cbpf.ClassLD, cbpf.ClassLDX:
		if class == cbpf.ClassLDX {
			in.reg = regX
		}
		return in, in.decodeLoad(raw, index, t)
	case cbpf.ClassST, cbpf.ClassSTX:
		in.kind = storeMem
		if class == cbpf.ClassSTX {
			in.reg = regX
		}
	case cbpf.ClassALU:
		in.kind, in.op = alu, ebpf.Opcode(raw.Op&0xf0)
		in.useX = raw.Op&cbpf.SrcX != 0
		if in.op == ebpf.Neg {
			in.kind, in.useX = neg, false
		}
	case cbpf.ClassJMP:
		in.kind, in.op = branch, ebpf.Opcode(raw.Op&0xf0)
		in.useX = raw.Op&cbpf.SrcX != 0
	default: // cbpf.ClassMISC
		in.kind = tax
		if raw.Op&0xf8 == cbpf.TXA {
			in.kind = txa
		}
	}
	return in, nil
}

func (in *insn) decodeLoad(raw bpf.RawInstruction, index int, t *target) error {
	in.size = ebpf.Opcode(raw.Op).Bytes() // the size bits are the same
	switch raw.Op & 0xe0 {
	case cbpf.ModeIMM:
		in.kind = loadImm
	case cbpf.ModeLEN:
		in.kind = loadLen
	case cbpf.ModeMEM:
		in.kind = loadMem
	case cbpf.ModeIND:
		in.kind = loadInd
	case cbpf.ModeMSH:
		in.kind = loadMSH
		return in.placeArea(index, t)
	case cbpf.ModeABS:
		if raw.K >= cbpf.AdOff {
			return in.decodeExtension(raw.K-cbpf.AdOff, index, t)
		}
		in.kind = loadAbs
		return in.placeArea(index, t)
	}
	return nil
}

// placeArea finds out what a load at a constant counts from. As signed numbers
// the kernel takes offsets from SKF_NET_OFF up as relative to the network
// header, those from SKF_LL_OFF up to the link-layer header, and fails on the
// rest of the negative ones. Where a hook's packets begin with the header
// meant the load is an ordinary one; else a helper of the skb hooks does it.
// The legacy loads know the areas themselves.
func (in *insn) placeArea(index int, t *target) error {
	switch {
	case in.k >= cbpf.NetOff:
		in.area, in.k = fromNetwork, in.k-cbpf.NetOff
	case in.k >= cbpf.LLOff:
		in.area, in.k = fromLink, in.k-cbpf.LLOff
	default:
		return nil
	}
	if in.area == t.startsAt() {
		in.area = fromStart
	}
	if in.area == fromNetwork && !t.isSKB() {
		return &Error{index, fmt.Sprintf("hook %v cannot supply the offset of the network header (SKF_NET_OFF)", t.hook)}
	}
	return nil
}

// fails reports whether a packet load can never succeed, whatever the packet.
func (in *insn) fails(t *target) bool {
	if in.kind != loadAbs && in.kind != loadMSH || in.area != fromStart {
		return false
	}
	end := uint64(in.k) + uint64(in.loadSize())
	return in.k > 0x7fffffff || t.access == Direct && end > reach
}

// loadSize is the number of packet bytes that an instruction reads.
func (in *insn) loadSize() int {
	if in.kind == loadMSH {
		return 1
	}
	return in.size
}

// divides reports whether the instruction ends the program if X is 0.
func (in *insn) divides() bool {
	return in.kind == alu && in.useX && (in.op == ebpf.Div || in.op == ebpf.Mod)
}
