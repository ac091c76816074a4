package amd64_test

import (
	"slices"
	"strings"
	"testing"

	. "github.com/bpflab/bpflab/jit/amd64"
)

// TestMisuse: what cannot be encoded is a mistake of the compiler.
func TestMisuse(t *testing.T) {
	for name, write := range map[string]func(a *Assembler){
		"RSP as index":             func(a *Assembler) { a.Load(W64, RAX, AtIndex(RAX, RSP, 0)) },
		"RSP as index, no base":    func(a *Assembler) { a.Load(W64, RAX, AtIndex(NoReg, RSP, 0)) },
		"scale 3":                  func(a *Assembler) { a.Load(W64, RAX, Mem{Base: RAX, Index: RCX, Scale: 3}) },
		"base 16":                  func(a *Assembler) { a.Load(W64, RAX, At(16, 0)) },
		"index 16":                 func(a *Assembler) { a.Load(W64, RAX, AtIndex(RAX, 16, 0)) },
		"no destination":           func(a *Assembler) { a.MovRR(W64, NoReg, RAX) },
		"no source":                func(a *Assembler) { a.MovRR(W64, RAX, NoReg) },
		"no register":              func(a *Assembler) { a.MovRI(NoReg, 1) },
		"no register for memory":   func(a *Assembler) { a.Store(W64, At(RAX, 0), NoReg) },
		"no register for VEX":      func(a *Assembler) { a.Shlx(W64, RAX, NoReg, RCX) },
		"no register for address":  func(a *Assembler) { a.LeaLabel(NoReg, a.NewLabel()) },
		"width 0":                  func(a *Assembler) { a.MovRR(0, RAX, RAX) },
		"width 16":                 func(a *Assembler) { a.Load(16, RAX, At(RAX, 0)) },
		"VEX of 16 bits":           func(a *Assembler) { a.Shlx(W16, RAX, RAX, RCX) },
		"lea of 8 bits":            func(a *Assembler) { a.Lea(W8, RAX, At(RAX, 0)) },
		"movbe of 8 bits":          func(a *Assembler) { a.LoadBE(W8, RAX, At(RAX, 0)) },
		"bswap of 16 bits":         func(a *Assembler) { a.Bswap(W16, RAX) },
		"sign extension to less":   func(a *Assembler) { a.MovSX(W32, W16, RAX, RAX) },
		"sign extension to 16":     func(a *Assembler) { a.MovSX(W8, W16, RAX, RAX) },
		"lock cmp":                 func(a *Assembler) { a.LockALU(Cmp, W64, At(RAX, 0), RCX) },
		"byte of 256":              func(a *Assembler) { a.ALUImm(Add, W8, RAX, 256) },
		"byte of -129":             func(a *Assembler) { a.StoreImm(W8, At(RAX, 0), -129) },
		"word of 65536":            func(a *Assembler) { a.ALUMemImm(Cmp, W16, At(RAX, 0), 65536) },
		"operation 8":              func(a *Assembler) { a.ALU(8, W64, RAX, RAX) },
		"operation 8 on immediate": func(a *Assembler) { a.ALUImm(8, W64, RCX, 1) },
		"shift 8":                  func(a *Assembler) { a.ShiftImm(8, W64, RCX, 1) },
		"condition 16":             func(a *Assembler) { a.Jcc(16, a.NewLabel()) },
		"a label bound twice":      func(a *Assembler) { l := a.NewLabel(); a.Bind(l); a.Bind(l) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if message, _ := recover().(string); !strings.HasPrefix(message, "amd64: ") {
					t.Errorf("panic %q", message)
				}
			}()
			write(new(Assembler))
		})
	}
}

func TestUnboundLabel(t *testing.T) {
	var a Assembler
	a.NewLabel()
	a.Jmp(a.NewLabel())
	if _, err := a.Finish(); err == nil || err.Error() != "amd64: label 0 is not bound" {
		t.Error(err)
	}
}

// TestFinishTwice: code can go on after Finish, and the code of before stays.
func TestFinishTwice(t *testing.T) {
	var a Assembler
	l := a.NewLabel()
	a.Bind(l)
	a.Jcc(CondE, l)
	first, err := a.Finish()
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(first.Bytes)
	for range 200 {
		a.Ret()
	}
	a.Jmp(l)
	second, err := a.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.Bytes, before) || !slices.Equal(second.Bytes[:2], before) || len(second.Bytes) != 2+200+5 {
		t.Errorf("%x, then %x", first.Bytes, second.Bytes)
	}
}
