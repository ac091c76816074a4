package vm_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
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
	_, obj := readProgram(b, "xdp_firewall")
	m := loadMachine(b, obj, 1, "firewall")
	firewallRules(func(name string, key, value []byte) {
		if err := m.Maps().ByName(name).Update(key, value, abi.UpdateAny); err != nil {
			b.Fatal(err)
		}
	})
	var in []engine.Packet
	for _, data := range traffic(1, 1000) {
		in = append(in, engine.Packet{Data: data, WireLen: uint32(len(data))})
	}
	out := make([]engine.Result, len(in))
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Run(in, out); err != nil {
			b.Fatal(err)
		}
	}
	packets := float64(b.N) * float64(len(in))
	executed := uint64(0)
	for i := range out {
		executed += out[i].Executed
	}
	b.ReportMetric(packets/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(executed)/float64(len(in)), "insns/packet")
}
