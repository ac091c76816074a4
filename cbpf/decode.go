package cbpf

import (
	"math"

	"golang.org/x/net/bpf"
)

// An op is an instruction as the machine runs it: the opcode is a small dense
// number, so that the dispatch is one jump through a table, and jump targets
// are indices.
type op struct {
	code   opCode
	size   uint8  // bytes of an opFar load
	offset uint16 // of the load, if load and jump are one step: the rest is the jump's
	k      uint32 // the constant; of an opExt load the offset after AdOff
	jt, jf uint32 // index of the next instruction, of jumps only
}

type opCode uint8

const (
	opRetK opCode = iota
	opRetA
	opLdW // absolute loads at or above 0
	opLdH
	opLdB
	opLdxMsh
	opLdIndW
	opLdIndH
	opLdIndB
	opFar // absolute loads from the network or link-layer header
	opFarMsh
	opExt
	opLdImm
	opLdxImm
	opLdLen
	opLdxLen
	opLdMem
	opLdxMem
	opSt
	opStx
	opTax
	opTxa
	opAddK
	opAddX
	opSubK
	opSubX
	opMulK
	opMulX
	opDivK
	opDivX
	opModK
	opModX
	opAndK
	opAndX
	opOrK
	opOrX
	opXorK
	opXorX
	opLshK
	opLshX
	opRshK
	opRshX
	opNeg
	opJa
	opJeqK
	opJeqX
	opJgtK
	opJgtX
	opJgeK
	opJgeX
	opJsetK
	opJsetX

	opLdWJeq // a load and the jump behind it in one step, see fuse
	opLdHJeq
	opLdBJeq
	opLdHJset
	opLdIndHJeq
)

// opCodes translates opcodes. Loads are refined by their K in decodeOne.
var opCodes = [256]opCode{
	ClassLD | SizeW | ModeABS: opLdW,
	ClassLD | SizeH | ModeABS: opLdH,
	ClassLD | SizeB | ModeABS: opLdB,
	ClassLD | SizeW | ModeIND: opLdIndW,
	ClassLD | SizeH | ModeIND: opLdIndH,
	ClassLD | SizeB | ModeIND: opLdIndB,
	ClassLD | ModeIMM:         opLdImm,
	ClassLD | ModeLEN:         opLdLen,
	ClassLD | ModeMEM:         opLdMem,

	ClassLDX | ModeIMM:         opLdxImm,
	ClassLDX | ModeLEN:         opLdxLen,
	ClassLDX | ModeMEM:         opLdxMem,
	ClassLDX | SizeB | ModeMSH: opLdxMsh,

	ClassST:  opSt,
	ClassSTX: opStx,

	ClassALU | ADD | SrcK: opAddK,
	ClassALU | ADD | SrcX: opAddX,
	ClassALU | SUB | SrcK: opSubK,
	ClassALU | SUB | SrcX: opSubX,
	ClassALU | MUL | SrcK: opMulK,
	ClassALU | MUL | SrcX: opMulX,
	ClassALU | DIV | SrcK: opDivK,
	ClassALU | DIV | SrcX: opDivX,
	ClassALU | MOD | SrcK: opModK,
	ClassALU | MOD | SrcX: opModX,
	ClassALU | AND | SrcK: opAndK,
	ClassALU | AND | SrcX: opAndX,
	ClassALU | OR | SrcK:  opOrK,
	ClassALU | OR | SrcX:  opOrX,
	ClassALU | XOR | SrcK: opXorK,
	ClassALU | XOR | SrcX: opXorX,
	ClassALU | LSH | SrcK: opLshK,
	ClassALU | LSH | SrcX: opLshX,
	ClassALU | RSH | SrcK: opRshK,
	ClassALU | RSH | SrcX: opRshX,
	ClassALU | NEG:        opNeg,

	ClassJMP | JA:          opJa,
	ClassJMP | JEQ | SrcK:  opJeqK,
	ClassJMP | JEQ | SrcX:  opJeqX,
	ClassJMP | JGT | SrcK:  opJgtK,
	ClassJMP | JGT | SrcX:  opJgtX,
	ClassJMP | JGE | SrcK:  opJgeK,
	ClassJMP | JGE | SrcX:  opJgeX,
	ClassJMP | JSET | SrcK: opJsetK,
	ClassJMP | JSET | SrcX: opJsetX,

	ClassRET | SrcK: opRetK,
	ClassRET | SrcA: opRetA,

	ClassMISC | TAX: opTax,
	ClassMISC | TXA: opTxa,
}

// decode translates a program that check has passed.
func decode(prog []bpf.RawInstruction) []op {
	ops := make([]op, len(prog))
	for i, ins := range prog {
		ops[i] = decodeOne(ins, uint32(i+1))
	}
	for i := range len(ops) - 1 {
		ops[i] = fuse(ops[i], ops[i+1])
	}
	return ops
}

// fused has the pairs of a load and a jump that are worth a step of their own:
// the dispatch costs more than what the instructions do, and nearly all of what
// filters do is these pairs.
var fused = map[[2]opCode]opCode{
	{opLdW, opJeqK}:    opLdWJeq,
	{opLdH, opJeqK}:    opLdHJeq,
	{opLdB, opJeqK}:    opLdBJeq,
	{opLdH, opJsetK}:   opLdHJset,
	{opLdIndH, opJeqK}: opLdIndHJeq,
}

// fuse returns the load with the jump behind it in one op, if there is one for
// them. The jump stays where it is too, since others may jump to it.
func fuse(load, jump op) op {
	code, ok := fused[[2]opCode{load.code, jump.code}]
	if !ok || load.k > math.MaxUint16 {
		return load
	}
	return op{code: code, offset: uint16(load.k), k: jump.k, jt: jump.jt, jf: jump.jf}
}

func decodeOne(ins bpf.RawInstruction, next uint32) op {
	o := op{code: opCodes[ins.Op], k: ins.K, jt: next + uint32(ins.Jt), jf: next + uint32(ins.Jf)}
	switch {
	case ins.Op == ClassJMP|JA:
		o.jt = next + ins.K
	case int32(ins.K) >= 0:
	case o.code == opLdxMsh:
		o.code = opFarMsh
	case o.code == opLdW, o.code == opLdH, o.code == opLdB:
		if ad, ok := extension(ins); ok {
			o.code, o.k = opExt, ad
		} else {
			o.code, o.size = opFar, sizeOf(ins.Op)
		}
	}
	return o
}

// sizeOf returns how many bytes a packet load reads.
func sizeOf(code uint16) uint8 {
	switch code & 0x18 {
	case SizeW:
		return 4
	case SizeH:
		return 2
	}
	return 1
}
