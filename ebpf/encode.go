package ebpf

import (
	"encoding/binary"
	"fmt"
)

// InstructionSize is the number of bytes of one slot.
const InstructionSize = 8

// Decode reads a program from bytes in the given byte order. It takes any
// bytes apart without judging them, so that a broken program can be shown;
// [Validate] judges. The only error is a length that is not a multiple of 8.
//
// The byte order is more than the order of Off and Imm: on a big-endian
// machine the two registers share their byte the other way round, with the
// destination in the high half (RFC 9669 §3).
func Decode(data []byte, order binary.ByteOrder) ([]Instruction, error) {
	if rest := len(data) % InstructionSize; rest != 0 {
		whole := len(data) / InstructionSize
		return nil, &Error{Index: whole, Offset: whole * InstructionSize,
			Msg: fmt.Sprintf("instruction cut off after %d of %d bytes", rest, InstructionSize)}
	}
	big := isBig(order)
	prog := make([]Instruction, 0, len(data)/InstructionSize)
	for ; len(data) > 0; data = data[InstructionSize:] {
		low, high := Register(data[1]&0x0f), Register(data[1]>>4)
		if big {
			low, high = high, low
		}
		prog = append(prog, Instruction{
			Op:  Opcode(data[0]),
			Dst: low,
			Src: high,
			Off: int16(order.Uint16(data[2:])),
			Imm: int32(order.Uint32(data[4:])),
		})
	}
	return prog, nil
}

// Append appends the encoding of a program to dst and returns the result. Only
// the low four bits of the registers are kept, as many as the encoding has.
func Append(dst []byte, prog []Instruction, order binary.ByteOrder) []byte {
	big := isBig(order)
	for _, ins := range prog {
		low, high := ins.Dst, ins.Src
		if big {
			low, high = high, low
		}
		at := len(dst)
		dst = append(dst, byte(ins.Op), byte(low&0x0f|high<<4), 0, 0, 0, 0, 0, 0)
		order.PutUint16(dst[at+2:], uint16(ins.Off))
		order.PutUint32(dst[at+4:], uint32(ins.Imm))
	}
	return dst
}

// isBig reports whether the order puts the high byte first. It asks by doing,
// because binary.NativeEndian is equal to neither named order.
func isBig(order binary.ByteOrder) bool {
	return order.Uint16([]byte{1, 0}) == 0x100
}
