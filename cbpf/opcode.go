package cbpf

import "golang.org/x/net/bpf"

// The parts of a classic opcode, under the names of <linux/bpf_common.h>. An
// opcode is the sum of a class and what the class asks for: a size and a mode
// (ld, ldx), an operation and a source (alu, jmp), a source (ret).
const (
	ClassLD   = 0x00
	ClassLDX  = 0x01
	ClassST   = 0x02
	ClassSTX  = 0x03
	ClassALU  = 0x04
	ClassJMP  = 0x05
	ClassRET  = 0x06
	ClassMISC = 0x07

	SizeW = 0x00 // 32 bits
	SizeH = 0x08 // 16 bits
	SizeB = 0x10 // 8 bits

	ModeIMM = 0x00 // the constant K
	ModeABS = 0x20 // packet bytes at K
	ModeIND = 0x40 // packet bytes at X+K
	ModeMEM = 0x60 // scratch memory word K
	ModeLEN = 0x80 // length of the packet on the wire
	ModeMSH = 0xa0 // 4*(packet byte at K & 0xf), the length of an IPv4 header

	ADD = 0x00
	SUB = 0x10
	MUL = 0x20
	DIV = 0x30
	OR  = 0x40
	AND = 0x50
	LSH = 0x60
	RSH = 0x70
	NEG = 0x80
	MOD = 0x90
	XOR = 0xa0

	JA   = 0x00
	JEQ  = 0x10
	JGT  = 0x20
	JGE  = 0x30
	JSET = 0x40

	SrcK = 0x00 // the constant K
	SrcX = 0x08 // the register X
	SrcA = 0x10 // the register A, of ret only

	TAX = 0x00
	TXA = 0x80
)

// Limits of the machine.
const (
	MemWords        = 16   // words of scratch memory (BPF_MEMWORDS)
	MaxInstructions = 4096 // longest program that Linux attaches (BPF_MAXINSNS)
)

// Offsets at and above these values do not count from the start of the
// packet. They are negative numbers to the kernel, <linux/filter.h>.
const (
	AdOff  uint32 = 0xfffff000 // SKF_AD_OFF: AdOff+AdProtocol and so on are the extensions
	NetOff uint32 = 0xfff00000 // SKF_NET_OFF: from the network header
	LLOff  uint32 = 0xffe00000 // SKF_LL_OFF: from the link-layer header
)

// The extensions: an absolute load of any size from AdOff plus one of these
// reads what Linux knows of the packet beside its bytes, or computes something.
const (
	AdProtocol       uint32 = 0  // EtherType
	AdPacketType     uint32 = 4  // PACKET_HOST, PACKET_BROADCAST, …
	AdIfIndex        uint32 = 8  // interface index; without a device the program ends and returns A
	AdNLAttr         uint32 = 12 // offset of the netlink attribute of type X, searched from A on; 0 if none
	AdNLAttrNest     uint32 = 16 // the same, searched inside the attribute at A
	AdMark           uint32 = 20
	AdQueue          uint32 = 24
	AdHWType         uint32 = 28 // ARPHRD_ type of the device; without a device the program ends and returns A
	AdRxHash         uint32 = 32
	AdCPU            uint32 = 36
	AdXorX           uint32 = 40 // A ^= X
	AdVLANTag        uint32 = 44 // TCI of the tag that was taken out of the packet
	AdVLANTagPresent uint32 = 48 // 1 if a tag was taken out
	AdPayOffset      uint32 = 52 // offset of the payload behind the transport header
	AdRandom         uint32 = 56
	AdVLANTPID       uint32 = 60 // TPID of the tag that was taken out

	adMax uint32 = 64
)

// An operand is the kind of thing that an instruction works with, which
// decides how every text format writes it.
type operand uint8

const (
	opndNone  operand = iota
	opndA             // a
	opndX             // x
	opndDec           // #10: K of instructions that count
	opndHex           // #0xa: K of instructions that work on bits, or load
	opndAbs           // [10], or an extension
	opndInd           // [x + 10]
	opndMem           // M[10]
	opndMsh           // 4*([10]&0xf)
	opndLen           // the packet's length
	opndLabel         // K is the distance of a jump
)

// An opcode is one row of the table of all classic opcodes.
type opcode struct {
	name    string
	operand operand
}

// opcodes is the instruction set: what Check allows, and what the text formats
// write and read.
var opcodes = [256]opcode{
	ClassLD | SizeW | ModeABS: {"ld", opndAbs},
	ClassLD | SizeH | ModeABS: {"ldh", opndAbs},
	ClassLD | SizeB | ModeABS: {"ldb", opndAbs},
	ClassLD | SizeW | ModeIND: {"ld", opndInd},
	ClassLD | SizeH | ModeIND: {"ldh", opndInd},
	ClassLD | SizeB | ModeIND: {"ldb", opndInd},
	ClassLD | ModeIMM:         {"ld", opndHex},
	ClassLD | ModeLEN:         {"ld", opndLen},
	ClassLD | ModeMEM:         {"ld", opndMem},

	ClassLDX | ModeIMM:         {"ldx", opndHex},
	ClassLDX | ModeLEN:         {"ldx", opndLen},
	ClassLDX | ModeMEM:         {"ldx", opndMem},
	ClassLDX | SizeB | ModeMSH: {"ldxb", opndMsh},

	ClassST:  {"st", opndMem},
	ClassSTX: {"stx", opndMem},

	ClassALU | ADD | SrcK: {"add", opndDec},
	ClassALU | ADD | SrcX: {"add", opndX},
	ClassALU | SUB | SrcK: {"sub", opndDec},
	ClassALU | SUB | SrcX: {"sub", opndX},
	ClassALU | MUL | SrcK: {"mul", opndDec},
	ClassALU | MUL | SrcX: {"mul", opndX},
	ClassALU | DIV | SrcK: {"div", opndDec},
	ClassALU | DIV | SrcX: {"div", opndX},
	ClassALU | MOD | SrcK: {"mod", opndDec},
	ClassALU | MOD | SrcX: {"mod", opndX},
	ClassALU | AND | SrcK: {"and", opndHex},
	ClassALU | AND | SrcX: {"and", opndX},
	ClassALU | OR | SrcK:  {"or", opndHex},
	ClassALU | OR | SrcX:  {"or", opndX},
	ClassALU | XOR | SrcK: {"xor", opndHex},
	ClassALU | XOR | SrcX: {"xor", opndX},
	ClassALU | LSH | SrcK: {"lsh", opndDec},
	ClassALU | LSH | SrcX: {"lsh", opndX},
	ClassALU | RSH | SrcK: {"rsh", opndDec},
	ClassALU | RSH | SrcX: {"rsh", opndX},
	ClassALU | NEG:        {"neg", opndNone},

	ClassJMP | JA:          {"ja", opndLabel},
	ClassJMP | JEQ | SrcK:  {"jeq", opndHex},
	ClassJMP | JEQ | SrcX:  {"jeq", opndX},
	ClassJMP | JGT | SrcK:  {"jgt", opndHex},
	ClassJMP | JGT | SrcX:  {"jgt", opndX},
	ClassJMP | JGE | SrcK:  {"jge", opndHex},
	ClassJMP | JGE | SrcX:  {"jge", opndX},
	ClassJMP | JSET | SrcK: {"jset", opndHex},
	ClassJMP | JSET | SrcX: {"jset", opndX},

	ClassRET | SrcK: {"ret", opndDec},
	ClassRET | SrcA: {"ret", opndA},

	ClassMISC | TAX: {"tax", opndNone},
	ClassMISC | TXA: {"txa", opndNone},
}

// lookup returns the row of an opcode, false for an unknown one.
func lookup(code uint16) (opcode, bool) {
	if int(code) >= len(opcodes) {
		return opcode{}, false
	}
	op := opcodes[code]
	return op, op.name != ""
}

// isConditional reports whether an instruction is a jump with two targets.
func isConditional(code uint16) bool { return code&0x07 == ClassJMP && code&0xf0 != JA }

// isReturn reports whether an instruction ends the program.
func isReturn(code uint16) bool { return code == ClassRET|SrcK || code == ClassRET|SrcA }

// extension returns the offset after AdOff that an absolute load reads, false
// if it reads no known extension. Every multiple of four below adMax is one.
func extension(ins bpf.RawInstruction) (uint32, bool) {
	if code := ins.Op; code&0x07 != ClassLD || code&0xe0 != ModeABS || ins.K < AdOff {
		return 0, false
	}
	ad := ins.K - AdOff
	return ad, ad < adMax && ad%4 == 0
}
