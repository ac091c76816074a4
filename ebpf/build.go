package ebpf

// Constructors for the instructions, so that code that makes programs reads
// like the program. The op arguments are the operation constants ([Add], [Jeq],
// …) without class and source bits.

// Mov64 is dst = src.
func Mov64(dst, src Register) Instruction {
	return Instruction{Op: ClassALU64 | Mov | SourceX, Dst: dst, Src: src}
}

// Mov64Imm is dst = imm, sign-extended.
func Mov64Imm(dst Register, imm int32) Instruction {
	return Instruction{Op: ClassALU64 | Mov | SourceK, Dst: dst, Imm: imm}
}

// Mov32 is the 32-bit dst = src; the upper half of dst becomes 0.
func Mov32(dst, src Register) Instruction {
	return Instruction{Op: ClassALU | Mov | SourceX, Dst: dst, Src: src}
}

// Mov32Imm is the 32-bit dst = imm; the upper half of dst becomes 0.
func Mov32Imm(dst Register, imm int32) Instruction {
	return Instruction{Op: ClassALU | Mov | SourceK, Dst: dst, Imm: imm}
}

// ALU64 is dst op= src on 64 bits.
func ALU64(op Opcode, dst, src Register) Instruction {
	return Instruction{Op: ClassALU64 | op | SourceX, Dst: dst, Src: src}
}

// ALU64Imm is dst op= imm on 64 bits.
func ALU64Imm(op Opcode, dst Register, imm int32) Instruction {
	return Instruction{Op: ClassALU64 | op | SourceK, Dst: dst, Imm: imm}
}

// ALU32 is dst op= src on 32 bits.
func ALU32(op Opcode, dst, src Register) Instruction {
	return Instruction{Op: ClassALU | op | SourceX, Dst: dst, Src: src}
}

// ALU32Imm is dst op= imm on 32 bits.
func ALU32Imm(op Opcode, dst Register, imm int32) Instruction {
	return Instruction{Op: ClassALU | op | SourceK, Dst: dst, Imm: imm}
}

// ToBE converts the low bits (16, 32 or 64) of dst between host and network
// byte order and clears the rest.
func ToBE(dst Register, bits int32) Instruction {
	return Instruction{Op: ClassALU | Endian | SourceX, Dst: dst, Imm: bits}
}

// Load is dst = *(size *)(src + off), zero-extended.
func Load(size Opcode, dst, src Register, off int16) Instruction {
	return Instruction{Op: ClassLDX | ModeMEM | size, Dst: dst, Src: src, Off: off}
}

// Store is *(size *)(dst + off) = src.
func Store(size Opcode, dst Register, off int16, src Register) Instruction {
	return Instruction{Op: ClassSTX | ModeMEM | size, Dst: dst, Src: src, Off: off}
}

// StoreImm is *(size *)(dst + off) = imm.
func StoreImm(size Opcode, dst Register, off int16, imm int32) Instruction {
	return Instruction{Op: ClassST | ModeMEM | size, Dst: dst, Off: off, Imm: imm}
}

// LoadAbs is r0 = size bytes of the packet at k, in host order; the program
// returns 0 if they are not there. R6 holds the context, R1 to R5 are lost.
func LoadAbs(size Opcode, k int32) Instruction {
	return Instruction{Op: ClassLD | ModeABS | size, Imm: k}
}

// LoadInd is LoadAbs at src + k.
func LoadInd(size Opcode, src Register, k int32) Instruction {
	return Instruction{Op: ClassLD | ModeIND | size, Src: src, Imm: k}
}

// LoadImm is the two-slot dst = v ll.
func LoadImm(dst Register, v uint64) [2]Instruction {
	return [2]Instruction{{Op: LoadImm64, Dst: dst, Imm: int32(v)}, {Imm: int32(v >> 32)}}
}

// Jump is an unconditional jump over off slots.
func Jump(off int16) Instruction { return Instruction{Op: ClassJMP | Ja, Off: off} }

// JumpIf jumps over off slots if dst op src on 64 bits.
func JumpIf(op Opcode, dst, src Register, off int16) Instruction {
	return Instruction{Op: ClassJMP | op | SourceX, Dst: dst, Src: src, Off: off}
}

// JumpIfImm jumps over off slots if dst op imm (sign-extended) on 64 bits.
func JumpIfImm(op Opcode, dst Register, imm int32, off int16) Instruction {
	return Instruction{Op: ClassJMP | op | SourceK, Dst: dst, Imm: imm, Off: off}
}

// JumpIf32 jumps over off slots if dst op src on 32 bits.
func JumpIf32(op Opcode, dst, src Register, off int16) Instruction {
	return Instruction{Op: ClassJMP32 | op | SourceX, Dst: dst, Src: src, Off: off}
}

// JumpIf32Imm jumps over off slots if dst op imm on 32 bits.
func JumpIf32Imm(op Opcode, dst Register, imm int32, off int16) Instruction {
	return Instruction{Op: ClassJMP32 | op | SourceK, Dst: dst, Imm: imm, Off: off}
}

// CallTo calls the helper function with the given number.
func CallTo(helper int32) Instruction {
	return Instruction{Op: ClassJMP | Call, Src: CallHelper, Imm: helper}
}

// Return ends the program, or the current function, with the value in R0.
func Return() Instruction { return Instruction{Op: ClassJMP | Exit} }
