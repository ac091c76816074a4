package abi_test

import (
	"errors"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
)

// TestContextsInKernel asks the kernel's verifier about every aligned access
// of every width to every context, and some misaligned ones.
func TestContextsInKernel(t *testing.T) {
	if err := kernel.Available(); err != nil {
		require.Skip(t, "eBPF in the kernel: %v", err)
	}
	for _, typ := range []abi.ProgType{abi.SocketFilter, abi.SchedCLS, abi.CGroupSKB, abi.XDP} {
		c := abi.ContextOf(typ)
		for _, size := range []ebpf.Opcode{ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW} {
			n := size.Bytes()
			for off := 0; off < c.Size+8; off += max(n/2, 1) {
				load := ebpf.Load(size, ebpf.R0, ebpf.R1, int16(off))
				store := ebpf.Store(size, ebpf.R1, int16(off), ebpf.R0)
				_, readable := c.Access(typ, off, n, false)
				_, writable := c.Access(typ, off, n, true)
				if got := accepted(t, typ, load); got != readable {
					t.Errorf("%v: load of %d bytes at %d: kernel %v, table %v", typ, n, off, got, readable)
				}
				if got := accepted(t, typ, store); got != writable {
					t.Errorf("%v: store of %d bytes at %d: kernel %v, table %v", typ, n, off, got, writable)
				}
			}
		}
	}
}

// TestHelpersInKernel calls every helper from every program type.
func TestHelpersInKernel(t *testing.T) {
	if err := kernel.Available(); err != nil {
		require.Skip(t, "eBPF in the kernel: %v", err)
	}
	for _, typ := range []abi.ProgType{abi.SocketFilter, abi.SchedCLS, abi.CGroupSKB, abi.XDP} {
		for _, h := range abi.Helpers {
			prog := []ebpf.Instruction{
				ebpf.Mov64(ebpf.R6, ebpf.R1),
				ebpf.Mov64Imm(ebpf.R7, 0),
				ebpf.Store(ebpf.SizeDW, ebpf.FP, -8, ebpf.R7),
			}
			for i, kind := range h.Args {
				prog = append(prog, argument(ebpf.R1+ebpf.Register(i), kind)...)
			}
			prog = append(prog, ebpf.CallTo(h.ID))
			if got, want := accepted(t, typ, prog...), h.Types.Has(typ); got != want {
				t.Errorf("%v: %s: kernel %v, table %v", typ, h.Name(), got, want)
			}
		}
	}
}

// argument puts something of a kind into a register: R6 holds the context.
func argument(r ebpf.Register, kind abi.ArgKind) []ebpf.Instruction {
	switch kind {
	case abi.ArgContext:
		return []ebpf.Instruction{ebpf.Mov64(r, ebpf.R6)}
	case abi.ArgReadMem, abi.ArgWriteMem:
		return []ebpf.Instruction{ebpf.Mov64(r, ebpf.FP), ebpf.ALU64Imm(ebpf.Add, r, -8)}
	case abi.ArgSize:
		return []ebpf.Instruction{ebpf.Mov64Imm(r, 8)}
	}
	return []ebpf.Instruction{ebpf.Mov64Imm(r, 0)}
}

// accepted reports whether the verifier takes a program of the given
// instructions between "r0 = 0" and "r0 = 0; exit".
func accepted(t *testing.T, typ abi.ProgType, insns ...ebpf.Instruction) bool {
	t.Helper()
	prog := append([]ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, 0)}, insns...)
	prog = append(prog, ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
	p, err := kernel.Load("abi", typ, prog)
	var refused *kernel.VerifierError
	switch {
	case err == nil:
		p.Close()
		return true
	case errors.As(err, &refused):
		return false
	}
	t.Fatal(err)
	return false
}
