package vm_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// loops are programs that spend their time in one kind of instruction. The
// benchmark reports the time of one instruction.
var loops = []struct{ name, text string }{
	{"alu", `
		r2 = 1
		r3 = 10000
	loop:	r2 += r3
		r2 ^= r3
		r2 <<= 1
		r2 |= 7
		w2 -= w3
		r4 = r2
		r3 += -1
		if r3 != 0 goto loop
		r0 = r2
		exit`},
	{"load", `
		r2 = *(u32 *)(r1 + 4)
		r1 = *(u32 *)(r1 + 0)
		r0 = r1
		r0 += 34
		if r0 > r2 goto out
		r3 = 2500
	loop:	r2 = *(u32 *)(r1 + 0)
		r2 = *(u16 *)(r1 + 12)
		r2 = *(u8 *)(r1 + 23)
		r2 = *(u64 *)(r1 + 26)
		r2 = *(u32 *)(r1 + 0)
		r2 = *(u16 *)(r1 + 12)
		r3 += -1
		if r3 != 0 goto loop
	out:	r0 = 0
		exit`},
	{"store", `
		r2 = *(u32 *)(r1 + 4)
		r1 = *(u32 *)(r1 + 0)
		r0 = r1
		r0 += 34
		if r0 > r2 goto out
		r3 = 2500
	loop:	*(u32 *)(r1 + 0) = r3
		*(u16 *)(r1 + 12) = r3
		*(u8 *)(r1 + 23) = r3
		*(u64 *)(r1 + 26) = r3
		*(u32 *)(r1 + 0) = r3
		*(u16 *)(r1 + 12) = r3
		r3 += -1
		if r3 != 0 goto loop
	out:	r0 = 0
		exit`},
	{"stack", `
		r3 = 2500
	loop:	*(u64 *)(r10 - 8) = r3
		r2 = *(u64 *)(r10 - 8)
		*(u64 *)(r10 - 16) = r2
		r2 = *(u64 *)(r10 - 16)
		r3 += -1
		if r3 != 0 goto loop
		r0 = 0
		exit`},
	{"stack-pointer", `
		r3 = 2500
		r4 = r10
		r4 += -64
	loop:	*(u64 *)(r4 + 8) = r3
		r2 = *(u64 *)(r4 + 8)
		*(u64 *)(r4 + 16) = r2
		r2 = *(u64 *)(r4 + 16)
		r3 += -1
		if r3 != 0 goto loop
		r0 = 0
		exit`},
	{"memcpy", `
		r0 = *(u32 *)(r1 + 4)
		r2 = *(u32 *)(r1 + 0)
		r4 = r2
		r4 += 272
		if r4 > r0 goto out
		r3 = 256
	loop:	r4 = *(u64 *)(r2 + 0)
		*(u64 *)(r2 + 8) = r4
		r2 += 1
		r3 += -1
		if r3 != 0 goto loop
	out:	r0 = 0
		exit`},
}

// BenchmarkInstructions runs them in both modes of the machine.
func BenchmarkInstructions(b *testing.B) {
	for _, l := range loops {
		proofs := proved(b, &verifier.Program{Type: abi.XDP, Insns: assembled(b, l.text)})
		bothModes(b, l.name, proofs, func(b *testing.B, m *vm.Machine) {
			benchmarkInstructions(b, m, packetOf(make([]byte, 1500)))
		})
	}
}

// bothModes runs a benchmark on machines in checked and in trusted mode.
func bothModes(b *testing.B, name string, proofs []*verifier.Proof, run func(*testing.B, *vm.Machine)) {
	for _, mode := range []struct {
		name string
		load func(vm.Options, ...*verifier.Proof) (*vm.Machine, error)
	}{{"checked", loadChecked}, {"trusted", vm.LoadProved}} {
		b.Run(name+"/"+mode.name, func(b *testing.B) {
			m, err := mode.load(vm.Options{}, proofs...)
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			run(b, m)
		})
	}
}

// loadChecked makes a machine in checked mode of what proofs are about.
func loadChecked(o vm.Options, proofs ...*verifier.Proof) (*vm.Machine, error) {
	var c vm.Collection
	for _, proof := range proofs {
		p := proof.Program()
		c.Maps = p.Maps
		c.Programs = append(c.Programs, vm.Program{Name: p.Name, Type: p.Type, Insns: p.Insns, Absent: p.Absent})
	}
	return vm.Load(c, o)
}

func benchmarkInstructions(b *testing.B, m *vm.Machine, p engine.Packet) {
	in, out := []engine.Packet{p}, make([]engine.Result, 1)
	var best fastest
	b.ReportAllocs()
	for b.Loop() {
		best.time(func() {
			if err := m.Run(in, out); err != nil || out[0].Fault != nil {
				b.Fatal(err, out[0].Fault)
			}
		})
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(best.per(out[0].Executed), "ns/insn")
}

// BenchmarkFilter runs "tcp port 80" over packets of many kinds, as classic
// program and translated, the latter in both modes, and reports the time of one
// packet.
func BenchmarkFilter(b *testing.B) {
	classic, err := filter.Compile("tcp port 80", filter.Options{LinkType: cbpf.LinkEthernet})
	if err != nil {
		b.Fatal(err)
	}
	var mixed []engine.Packet
	for _, p := range packets.Generate(cbpf.LinkEthernet, 1, 1000) {
		mixed = append(mixed, engine.Packet{Data: p.Data, WireLen: p.WireLen, Meta: cbpf.Metadata{HasLink: true, NetworkOffset: 14}})
	}
	engines := map[string]engine.Engine{}
	if engines["cbpf"], err = vm.NewClassic(classic.Insns, vm.Options{}); err != nil {
		b.Fatal(err)
	}
	for h, access := range map[abi.Hook]lift.Access{abi.HookXDP: lift.Direct, abi.HookTC: lift.Direct, abi.HookSocket: lift.Abs} {
		l, err := lift.Lift(classic.Insns, lift.Options{Hook: h, Access: access})
		if err != nil {
			b.Fatal(err)
		}
		proofs := proved(b, &verifier.Program{Type: l.Type, Insns: l.Insns})
		checked, err := loadChecked(vm.Options{}, proofs...)
		if err != nil {
			b.Fatal(err)
		}
		defer checked.Close()
		trusted, err := vm.LoadProved(vm.Options{}, proofs...)
		if err != nil {
			b.Fatal(err)
		}
		defer trusted.Close()
		engines["interp-"+h.String()], engines["trusted-"+h.String()] = checked, trusted
	}
	for _, name := range slices.Sorted(maps.Keys(engines)) {
		b.Run(name, func(b *testing.B) { benchmarkPackets(b, engines[name], mixed) })
		b.Run(name+"/match", func(b *testing.B) { benchmarkPackets(b, engines[name], slices.Repeat([]engine.Packet{tcp80}, 1000)) })
	}
}

// tcp80 is the packet that the published figures for this filter are about.
var tcp80 = engine.Packet{Data: []byte{
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x08, 0x00,
	0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
	0xc0, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
}, WireLen: 64}

func benchmarkPackets(b *testing.B, e engine.Engine, in []engine.Packet) {
	out := make([]engine.Result, len(in))
	var best fastest
	b.ReportAllocs()
	for b.Loop() {
		best.time(func() {
			if err := e.Run(in, out); err != nil {
				b.Fatal(err)
			}
		})
	}
	executed := uint64(0)
	for i := range out {
		executed += out[i].Executed
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(best.per(uint64(len(in))), "ns/packet")
	b.ReportMetric(float64(executed)/float64(len(in)), "insns/packet")
}
