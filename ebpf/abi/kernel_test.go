package abi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
)

// typesInKernel are the program types with a context of their own.
var typesInKernel = []abi.ProgType{
	abi.SocketFilter, abi.SchedCLS, abi.SchedACT, abi.XDP, abi.CGroupSKB,
	abi.LWTIn, abi.LWTOut, abi.LWTXmit, abi.FlowDissector,
}

// TestContextsInKernel asks the kernel's verifier about every aligned access
// of every width to every context, and some misaligned ones.
func TestContextsInKernel(t *testing.T) {
	if err := kernel.Available(); err != nil {
		require.Skip(t, "eBPF in the kernel: %v", err)
	}
	for _, typ := range typesInKernel {
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

// TestHelpersInKernel calls every helper from every program type. Where the
// table knows how to make all arguments, the kernel must accept the call, else
// at least know the helper.
func TestHelpersInKernel(t *testing.T) {
	if err := kernel.Available(); err != nil {
		require.Skip(t, "eBPF in the kernel: %v", err)
	}
	for _, typ := range append(typesInKernel, abi.Kprobe, abi.Tracepoint, abi.PerfEvent, abi.RawTracepoint) {
		for _, h := range abi.Helpers {
			prog := []ebpf.Instruction{
				ebpf.Mov64Imm(ebpf.R0, 0),
				ebpf.Mov64(ebpf.R6, ebpf.R1),
				ebpf.Mov64Imm(ebpf.R7, 0),
				ebpf.Store(ebpf.SizeDW, ebpf.FP, -8, ebpf.R7),
			}
			makeable := h.Returns == abi.ReturnsScalar
			for i, kind := range h.Args {
				prog = append(prog, argument(ebpf.R1+ebpf.Register(i), kind)...)
				makeable = makeable && canMake(kind)
			}
			prog = append(prog, ebpf.CallTo(h.ID), ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
			err := loads(typ, prog)
			got := err == nil
			var refused *kernel.VerifierError
			if errors.As(err, &refused) && !makeable {
				log := strings.Join(refused.Log, "\n")
				got = !strings.Contains(log, "cannot use helper") && !strings.Contains(log, "unknown func")
			} else if err != nil && refused == nil {
				t.Fatal(err)
			}
			if want := h.Types.Has(typ); got != want {
				t.Errorf("%v: %s: kernel %v, table %v: %v", typ, h.Name(), got, want, err)
			}
		}
	}
}

// canMake reports whether argument makes something valid of a kind.
func canMake(kind abi.ArgKind) bool { return kind <= abi.ArgSizeOrZero }

func loads(typ abi.ProgType, prog []ebpf.Instruction) error {
	p, err := kernel.Load("abi", typ, prog)
	if err == nil {
		p.Close()
	}
	return err
}

// argument puts something of a kind into a register: R6 holds the context.
func argument(r ebpf.Register, kind abi.ArgKind) []ebpf.Instruction {
	switch kind {
	case abi.ArgContext:
		return []ebpf.Instruction{ebpf.Mov64(r, ebpf.R6)}
	case abi.ArgReadMem, abi.ArgWriteMem, abi.ArgReadMemOrNull, abi.ArgWriteMemOrNull:
		return []ebpf.Instruction{ebpf.Mov64(r, ebpf.FP), ebpf.ALU64Imm(ebpf.Add, r, -8)}
	case abi.ArgSize, abi.ArgSizeOrZero:
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
