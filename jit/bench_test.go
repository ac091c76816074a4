package jit_test

import (
	"testing"

	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

var webPacket = []byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00\x00\x32\x00\x01\x40\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02\x9c\x40\x00\x50\x00\x00\x00\x01\x00\x00\x00\x01\x50\x10\x20\x00\x00\x00\x00\x00abcdefghij")

func proofOf(t testing.TB, expr string, hook abi.Hook) *verifier.Proof {
	t.Helper()
	p, err := filter.Compile(expr, filter.Options{LinkType: 1})
	if err != nil {
		t.Fatal(err)
	}
	l, err := lift.Lift(p.Insns, lift.Options{Hook: hook, Access: lift.Accesses(hook)[0]})
	if err != nil {
		t.Fatal(err)
	}
	proof, report := verifier.Verify(&verifier.Program{Type: l.Type, Insns: l.Insns}, verifier.Options{})
	if report != nil {
		t.Fatal(report)
	}
	return proof
}

func BenchmarkFilter(b *testing.B) {
	for _, hook := range []abi.Hook{abi.HookSocket, abi.HookXDP} {
		proof := proofOf(b, "tcp port 80", hook)
		e, err := jit.New(vm.Options{}, proof)
		if err != nil {
			b.Fatal(err)
		}
		defer e.Close()
		frames := make([]engine.Frame, 256)
		for i := range frames {
			frames[i] = engine.Frame{Data: webPacket, WireLen: uint32(len(webPacket))}
		}
		verdicts := make([]uint32, 256)
		b.Run(hook.String()+"/batch", func(b *testing.B) {
			for b.Loop() {
				if e.Verdicts(frames, verdicts) != 256 {
					b.Fatal("not judged")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/packet")
		})
		b.Run(hook.String()+"/single", func(b *testing.B) {
			for b.Loop() {
				e.Verdicts(frames[:1], verdicts)
			}
		})
		b.Run(hook.String()+"/compile", func(b *testing.B) {
			for b.Loop() {
				e, err := jit.New(vm.Options{}, proof)
				if err != nil {
					b.Fatal(err)
				}
				e.Verdicts(frames[:1], verdicts)
				e.Close()
			}
		})
	}
}
