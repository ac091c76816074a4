// Package amd64 assembles machine code for x86-64, and shows it.
//
//	var a amd64.Assembler
//	reject := a.NewLabel()
//	a.ALUMemImm(amd64.Cmp, amd64.W16, amd64.At(amd64.RDI, 12), 8) // cmp word ptr [rdi+0xc], 0x8
//	a.Jcc(amd64.CondNE, reject)
//	a.MovRI(amd64.RAX, 1)
//	a.Ret()
//	a.Bind(reject)
//	a.Zero(amd64.RAX)
//	a.Ret()
//	code, err := a.Finish() // 66837f0c08 7506 b801000000 c3 31c0 c3
//
// There is one method for each form of an instruction that package jit takes, for
// all widths and registers that the form has. A method writes the shortest encoding
// of what it is asked for. It takes what the encoding can say and knows nothing of
// what may follow from it; only [Assembler.TestRI] and [Assembler.MovRI] choose
// among instructions. Destinations come first, as in Intel's syntax.
//
// # The encoding
//
// An instruction is up to 15 bytes:
//
//	66     operands of 16 bits                           \
//	F0     lock: the change of memory is atomic           | prefixes, each
//	REX    0100WRXB                                       | only if needed
//	opcode one byte, or more behind 0F, 0F38 or 0F3A     /
//	ModRM  mod:2 reg:3 rm:3                              which operands
//	SIB    scale:2 index:3 base:3                        if rm says so
//	disp   1 or 4 bytes, signed                          if mod says so
//	imm    1, 2, 4 or 8 bytes, signed                    if the opcode says so
//
// Width. Bit 0 of most opcodes tells bytes (0) from wider operands (1). These
// have 32 bits, 16 with the prefix 66, 64 with REX.W. An instruction that
// writes 32 bits of a register clears the upper half; one that writes 8 or 16
// keeps the rest.
//
// Registers. Two of the operands are registers by number; ModRM holds three bits
// of each, in reg and rm, and REX the fourth: R for reg, B for rm (or for the
// base, or for the register in the last bits of the opcode), X for the index.
// Where an instruction needs one operand only, reg is a part of the opcode; the
// manuals write it /0 to /7. As bytes, the numbers 4 to 7 mean AH to BH, unless
// there is a REX prefix, which makes them SPL, BPL, SIL and DIL: here there
// always is.
//
// Memory. With mod = 3, rm is a register; otherwise it is the base of an address
// and mod says how long the displacement is: absent, one byte, four. Some
// combinations are taken to mean something else:
//
//   - rm = 4 is not RSP but says that a SIB byte follows. So RSP needs one as
//     base, and R12 too, whose lower bits are the same.
//   - index = 4 in SIB says that there is no index. So RSP cannot be one; R12
//     can, as REX.X tells them apart.
//   - rm = 5 without displacement is not RBP but an address relative to the next
//     instruction (see [Assembler.LeaLabel]), and in SIB it is no base at all. So
//     RBP and R13 always have a displacement, if only of 0.
//
// Immediates. A 64-bit operation has immediates of 32 bits, extended by their
// sign; only mov to a register takes eight bytes. The eight arithmetic
// operations have forms with one byte for what fits.
//
// VEX. Instructions of three registers (those of BMI2) have in place of REX,
// prefixes and 0F the bytes
//
//	C4  ~R ~X ~B map:5  W ~vvvv L pp:2
//
// with the bits of REX, those of registers inverted; map stands for the opcode's
// first bytes, pp for a prefix, and vvvv is the third register.
//
// # Branches
//
// A jump holds the distance from its end, in one byte (-128 to 127) or in four.
// [Assembler.Finish] starts with all jumps short and makes long what does not
// reach. That pushes other labels away, so it goes on until all jumps reach. As
// jumps only grow, there is an end, and no jump is long that could be short
// while the others are what they are. Until then a place in the code is a [Pos]
// or a [Label]; the finished [Code] knows their offsets.
//
// # Text
//
// [Text] disassembles code for people to read, also what the kernel's compiler has
// made. The names in it are those of Intel's manuals, which the methods have too.
package amd64
