package jit

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
)

// A kernelPeer is a program and its maps in the kernel, compiled by the JIT there.
type kernelPeer struct {
	b    *testing.B
	prog *cilium.Program
	maps []*cilium.Map
}

// newKernelPeer loads a program. References to maps in it are indexes.
func newKernelPeer(b *testing.B, p *verifier.Program) *kernelPeer {
	b.Helper()
	require.Root(b)
	if err := rlimit.RemoveMemlock(); err != nil {
		b.Fatal(err)
	}
	k := &kernelPeer{b: b}
	for i := range p.Maps {
		s := &p.Maps[i]
		m, err := cilium.NewMap(&cilium.MapSpec{Type: cilium.MapType(s.Kind), KeySize: s.KeySize, ValueSize: s.ValueSize, MaxEntries: s.MaxEntries})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { m.Close() })
		k.maps = append(k.maps, m)
	}
	insns := slices.Clone(p.Insns)
	for i := 0; i < len(insns); i += insns[i].Width() {
		if insns[i].Op == ebpf.LoadImm64 && insns[i].Src == ebpf.WideMapFD {
			insns[i].Imm = int32(k.maps[insns[i].Imm].FD())
		}
	}
	code, err := asm.AppendInstructions(nil, bytes.NewReader(ebpf.Append(nil, insns, binary.LittleEndian)), binary.LittleEndian, "linux")
	if err != nil {
		b.Fatal(err)
	}
	if k.prog, err = cilium.NewProgram(&cilium.ProgramSpec{Type: cilium.ProgramType(p.Type), License: "GPL", Instructions: code}); err != nil {
		b.Fatalf("%+v", err)
	}
	b.Cleanup(func() { k.prog.Close() })
	return k
}

func (k *kernelPeer) put(id int, key, value []byte) {
	var values any = value
	if t := k.maps[id].Type(); t == cilium.PerCPUArray || t == cilium.PerCPUHash || t == cilium.LRUCPUHash {
		values = slices.Repeat([][]byte{value}, cilium.MustPossibleCPU())
	}
	if err := k.maps[id].Put(key, values); err != nil {
		k.b.Fatal(err)
	}
}

// kernelTurn is how long a turn of the kernel is: longer than the others', because
// the system call takes its time, too, but not so long that a signal of the Go
// scheduler ends it.
const kernelTurn = 5 * time.Millisecond

// contender runs the program over a packet, each time the same bytes or what the
// program has made of them. A run does n things.
func (k *kernelPeer) contender(name string, packet []byte, n int) *contender {
	once := time.Hour
	for range 5 {
		_, mean, err := k.prog.Benchmark(packet, 1000, func() {})
		if err != nil {
			k.b.Fatal(err)
		}
		once = min(once, mean)
	}
	repeat := max(1, int(kernelTurn/max(once, 1)))
	return &contender{name: name, turn: func() float64 {
		start := time.Now()
		if _, _, err := k.prog.Benchmark(packet, repeat, func() { start = time.Now() }); err != nil {
			k.b.Fatal(err)
		}
		return float64(time.Since(start).Nanoseconds()) / float64(repeat*n)
	}}
}

// emptyProgram returns a program that does nothing.
func emptyProgram(t abi.ProgType) *verifier.Program {
	return &verifier.Program{Type: t, Insns: []ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return()}}
}
