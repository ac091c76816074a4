package vm_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// programsDir holds the programs of this project.
const programsDir = "../testdata/programs"

// le32 is a key or value that is made of numbers.
func le32(numbers ...uint32) []byte {
	var b []byte
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// Verdicts of XDP and tc programs.
const (
	xdpDrop, xdpPass, xdpTX = 1, 2, 3
	tcOK, tcShot            = 0, 2
)

// firewallRules puts rules of several lengths inside each other into the
// firewall: for all packets of a source, for one protocol, for one port.
func firewallRules(put func(name string, key, value []byte)) {
	for _, r := range []struct {
		prefix   string
		action   uint32
		port     uint16
		protocol byte
		log      byte
	}{
		{"0.0.0.0/0", xdpPass, 0, 0, 1},
		{"10.0.0.0/8", xdpDrop, 0, 0, 1},
		{"10.0.0.0/24", xdpPass, 0, 0, 0},
		{"10.0.0.2/32", xdpTX, 80, 6, 1},
		{"192.168.0.0/16", xdpDrop, 53, 17, 0},
		{"192.168.1.0/24", xdpDrop, 0, 6, 1},
		{"192.168.1.64/26", xdpTX, 0, 17, 0},
		{"192.168.1.77/32", xdpTX, 443, 0, 1},
		{"172.16.0.0/12", xdpDrop, 0, 0, 0},
		{"2001:db8::/32", xdpDrop, 0, 17, 0},
		{"2001:db8:1::/48", xdpDrop, 0, 0, 0},
		{"2001:db8:ffff::53/128", xdpTX, 53, 17, 0},
		{"fe80::/10", xdpTX, 0, 58, 0},
		{"::/1", xdpPass, 0, 0, 0},
	} {
		prefix := netip.MustParsePrefix(r.prefix)
		name := "rules6"
		if prefix.Addr().Is4() {
			name = "rules4"
		}
		value := le32(r.action)
		value = binary.BigEndian.AppendUint16(value, r.port)
		key := append(le32(uint32(prefix.Bits())), prefix.Addr().AsSlice()...)
		put(name, key, append(value, r.protocol, r.log))
	}
}

// readProgram reads one of the programs.
func readProgram(t testing.TB, name string) ([]byte, *object.Object) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(programsDir, name+".o"))
	if err != nil {
		t.Fatal(err)
	}
	obj, err := object.Read(bytes.NewReader(data), object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return data, obj
}

// loadMachine makes a machine of programs of an object.
func loadMachine(t testing.TB, obj *object.Object, cpus int, programs ...string) *vm.Machine {
	t.Helper()
	c, err := vm.CollectionOf(obj, programs...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Load(c, vm.Options{CPUs: cpus})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// BenchmarkFirewall is a real program at work: the firewall over mixed
// packets, most of which need a lookup in a trie and one or two of counters.
func BenchmarkFirewall(b *testing.B) {
	benchmarkObject(b, "xdp_firewall", "firewall", traffic(1, 1000), func(m *vm.Machine) {
		firewallRules(func(name string, key, value []byte) {
			if err := m.Maps().ByName(name).Update(key, value, abi.UpdateAny); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// BenchmarkBalancer is a larger one: it parses, hashes, looks up in four maps and
// rewrites most packets.
func BenchmarkBalancer(b *testing.B) {
	services := []endpoint{newEndpoint("192.168.1.1", 80, 6), newEndpoint("10.0.0.1", 53, 17)}
	in := sendTo(traffic(3, 1000), rand.New(rand.NewPCG(3, 0)), services)
	benchmarkObject(b, "xdp_balancer", "balance", in, func(m *vm.Machine) {
		put := func(name string, key, value []byte) {
			if err := m.Maps().ByName(name).Update(key, value, abi.UpdateAny); err != nil {
				b.Fatal(err)
			}
		}
		for i := range uint32(8) {
			put("backends", le32(i), []byte{10, 9, 0, byte(i), 2, 0, 0, 0, 1, byte(i), 1, 0})
		}
		for i := range uint32(251) {
			put("ring_a", le32(i), le32(i*7%8))
		}
		for i := range services {
			put("services", services[i][:], le32(0, uint32(i)))
		}
	})
}

// benchmarkObject runs a program of an object over packets, in both modes.
func benchmarkObject(b *testing.B, name, program string, data [][]byte, prepare func(*vm.Machine)) {
	_, obj := readProgram(b, name)
	l, err := obj.Link(program)
	if err != nil {
		b.Fatal(err)
	}
	var in []engine.Packet
	for _, data := range data {
		in = append(in, engine.Packet{Data: data, WireLen: uint32(len(data))})
	}
	out := make([]engine.Result, len(in))
	bothModes(b, program, proved(b, verifier.ProgramsOf(l)...), func(b *testing.B, m *vm.Machine) {
		prepare(m)
		var best fastest
		b.ReportAllocs()
		for b.Loop() {
			best.time(func() {
				if err := m.Run(in, out); err != nil {
					b.Fatal(err)
				}
			})
		}
		executed := uint64(0)
		for i := range out {
			executed += out[i].Executed
		}
		b.ReportMetric(float64(len(in))/best.Seconds(), "packets/s")
		b.ReportMetric(float64(executed)/float64(len(in)), "insns/packet")
	})
}
