package jit

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// An objectBench is a program of testdata/programs at work.
type objectBench struct {
	object, program string
	packets         []engine.Packet
	fill            func(put func(name string, key, value []byte))
}

// BenchmarkProgram runs two real programs over a thousand packets: a firewall,
// which looks up a source address in a trie, and a load balancer, which
// looks up in four maps and puts a header in front of three packets in four.
func BenchmarkProgram(b *testing.B) {
	needMachineCode(b)
	for _, o := range []objectBench{
		{"xdp_firewall", "firewall", manyPackets(1000), fillFirewall},
		{"xdp_balancer", "balance", manyPackets(1000), fillBalancer},
	} {
		b.Run(o.program, func(b *testing.B) {
			proofs, data := o.prove(b)
			e := newBenchEngine(b, 0, vm.Options{}, proofs...)
			m := newInterpreter(b, vm.Options{}, proofs...)
			compete(b, "packet", o.inKernel(b, data), o.here(b, "jit", e, e.Machine()), o.here(b, "interp", m, m))
		})
	}
}

func (o *objectBench) prove(b *testing.B) (proofs []*verifier.Proof, data []byte) {
	data, err := os.ReadFile(filepath.Join("../testdata/programs", o.object+".o"))
	if err != nil {
		b.Fatal(err)
	}
	obj, err := object.Read(bytes.NewReader(data), object.Options{})
	if err != nil {
		b.Fatal(err)
	}
	linked, err := obj.Link(o.program)
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range verifier.ProgramsOf(linked) {
		proofs = append(proofs, proofFor(b, p))
	}
	return proofs, data
}

func (o *objectBench) here(b *testing.B, name string, e engine.Engine, m *vm.Machine) *contender {
	o.fill(func(name string, key, value []byte) {
		if err := m.Maps().ByName(name).Update(key, value, abi.UpdateAny); err != nil {
			b.Fatal(err)
		}
	})
	out := make([]engine.Result, len(o.packets))
	return timed(name, len(out), func() {
		if err := e.Run(o.packets, out); err != nil {
			b.Fatal(err)
		}
	})
}

// inKernel makes a contender of the kernel. Programs that change packets cannot be
// run twice on one there, so each run is a system call, of which the time
// counts that the kernel states for the program alone, less that of an
// empty program: reading the clock.
func (o *objectBench) inKernel(b *testing.B, data []byte) *contender {
	require.Root(b)
	if err := rlimit.RemoveMemlock(); err != nil {
		b.Fatal(err)
	}
	spec, err := cilium.LoadCollectionSpecFromReader(bytes.NewReader(data))
	if err != nil {
		b.Fatal(err)
	}
	c, err := cilium.NewCollection(spec)
	if err != nil {
		b.Fatalf("%+v", err)
	}
	b.Cleanup(c.Close)
	o.fill(func(name string, key, value []byte) {
		if err := c.Maps[name].Put(key, value); err != nil {
			b.Fatal(err)
		}
	})
	kernel := o.singly(b, c.Programs[o.program])
	kernel.rest = o.singly(b, newKernelPeer(b, emptyProgram(abi.XDP)).prog)
	return kernel
}

// singly runs the program on each packet by a test run of its own. For each the
// fastest run counts.
func (o *objectBench) singly(b *testing.B, prog *cilium.Program) *contender {
	best := make([]time.Duration, len(o.packets))
	return &contender{name: "kernel", turn: func() float64 {
		sum := time.Duration(0)
		for i := range o.packets {
			_, d, err := prog.Benchmark(o.packets[i].Data, 1, func() {})
			if err != nil {
				b.Fatal(err)
			}
			if best[i] == 0 || d < best[i] {
				best[i] = d
			}
			sum += best[i]
		}
		return float64(sum.Nanoseconds()) / float64(len(best))
	}}
}

// manyPackets returns packets of several protocols from many sources; most are
// for the service that fillBalancer makes known.
func manyPackets(n int) (list []engine.Packet) {
	rnd := rand.New(rand.NewPCG(4, 0))
	for range n {
		f := ipFrame([]byte{6, 6, 6, 17}[rnd.IntN(4)], uint16(1024+rnd.IntN(60000)), 80)
		copy(f.Data[26:], []byte{10, byte(rnd.IntN(4)), byte(rnd.IntN(8)), byte(rnd.IntN(250))})
		list = append(list, engine.Packet{Data: f.Data, WireLen: f.WireLen})
	}
	return list
}

func fillFirewall(put func(name string, key, value []byte)) {
	for prefix, action := range map[string]uint32{"0.0.0.0/0": 2, "10.1.0.0/16": 1, "10.2.3.0/24": 1, "10.3.0.0/17": 1, "10.3.4.0/24": 2} {
		p := netip.MustParsePrefix(prefix)
		key := append(words(uint32(p.Bits())), p.Addr().AsSlice()...)
		put("rules4", key, append(words(action), 0, 0, 0, 0))
	}
}

func fillBalancer(put func(name string, key, value []byte)) {
	for i := range uint32(8) {
		put("backends", words(i), []byte{10, 9, 0, byte(i), 2, 0, 0, 0, 1, byte(i), 1, 0})
	}
	for i := range uint32(251) {
		put("ring_a", words(i), words(i*7%8))
	}
	put("services", []byte{10, 0, 0, 2, 0, 80, 6, 0}, words(0, 1))
}

// words are the bytes of numbers.
func words(list ...uint32) (b []byte) {
	for _, n := range list {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}
