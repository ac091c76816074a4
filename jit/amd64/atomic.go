package amd64

// Xadd does m, src = m + src, m: an atomic addition that returns the old value.
func (a *Assembler) Xadd(w Width, m Mem, src Reg) {
	a.lockForm(w, sized(0x0fc0, w), src, m)
}

// Xchg swaps m and src. It is atomic without a lock prefix.
func (a *Assembler) Xchg(w Width, m Mem, src Reg) { a.memForm(w, sized(0x86, w), src, m) }

// Cmpxchg compares RAX with m. If they are equal, it writes src to m, otherwise
// it loads m into RAX; with W32, the upper half of RAX then becomes 0. The zero
// flag says which. It is atomic.
func (a *Assembler) Cmpxchg(w Width, m Mem, src Reg) {
	a.lockForm(w, sized(0x0fb0, w), src, m)
}

// LockALU does m = m op src atomically. Cmp, which writes nothing, cannot be
// locked.
func (a *Assembler) LockALU(op ALUOp, w Width, m Mem, src Reg) {
	if op == Cmp {
		panic("amd64: cmp cannot be locked")
	}
	a.lockForm(w, sized(op.opcode(), w), src, m)
}
