//go:build unix

#include "textflag.h"

// func jump(code, base uintptr, args unsafe.Pointer)
//
// The machine code has no frame, as little as jump has: its RET pops the
// return address of the call of jump. SP must not even be written here with
// the value it has (the assembler would mark the function SPWRITE, and no
// traceback through it would be possible).
TEXT ·jump(SB), NOSPLIT|NOFRAME, $0-24
	MOVQ code+0(FP), AX
	MOVQ base+8(FP), R15
	MOVQ args+16(FP), DI
	JMP  AX
