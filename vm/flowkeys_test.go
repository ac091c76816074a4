package vm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// dissected returns a frame as flow dissectors get it in the kernel's test runs.
func dissected(data []byte) engine.Packet {
	p := packetOf(data)
	p.Meta.HasLink, p.Meta.NetworkOffset = true, 14
	if len(data) >= 14 {
		p.Meta.Protocol = binary.BigEndian.Uint16(data[12:])
	}
	return p
}

// keysOf returns the flow keys of a result.
func keysOf(t *testing.T, res engine.Result) []byte {
	t.Helper()
	if len(res.Events) != 1 || res.Events[0].Source != "flow_keys" {
		t.Fatalf("events %v, fault %v", res.Events, res.Fault)
	}
	return res.Events[0].Data
}

// TestFlowDissectorAgainstKernel dissects packets of every kind here and in the
// kernel: verdicts and keys must be the same.
func TestFlowDissectorAgainstKernel(t *testing.T) {
	needKernel(t)
	_, obj := readProgram(t, "dissector")
	p, err := kernel.Load("dissect", abi.FlowDissector, obj.Program("dissect").Insns)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	defer p.Close()
	m := loadMachine(t, obj, 1, "dissect")
	verdicts := map[uint32]int{}
	for i, data := range traffic(22, 3000) {
		ret, keys, err := p.TestRun(data)
		if errors.Is(err, engine.ErrPacket) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		res := runOn(t, m, dissected(data))
		if got := keysOf(t, res); res.Return != ret || !bytes.Equal(got, keys) || !bytes.Equal(res.Data, data) {
			t.Fatalf("packet %d: %d, %x, in the kernel %d, %x\n%x", i, res.Return, got, ret, keys, data)
		}
		verdicts[ret]++
	}
	for _, v := range []uint32{0, 2, 129} {
		if verdicts[v] < 30 {
			t.Errorf("verdicts %v", verdicts)
		}
	}
}

// dissectors write offsets that the kernel corrects, and read what they were
// given.
var dissectors = []string{
	"r0 = 0\nexit",
	"r2 = *(u64 *)(r1 + 144)\n*(u16 *)(r2 + 0) = 5\n*(u16 *)(r2 + 2) = 5\nr0 = 0\nexit",
	"r2 = *(u64 *)(r1 + 144)\n*(u16 *)(r2 + 0) = 50\n*(u16 *)(r2 + 2) = 20\nr0 = 2\nexit",
	"r2 = *(u64 *)(r1 + 144)\n*(u32 *)(r2 + 0) = -1\nr0 = 129\nexit",
	"r2 = *(u64 *)(r1 + 144)\nr0 = *(u64 *)(r2 + 0)\nr3 = *(u64 *)(r2 + 8)\nr0 ^= r3\nr3 = *(u64 *)(r2 + 48)\nr0 ^= r3\nr3 = r0\nr3 >>= 32\nr0 ^= r3\nexit",
	"r2 = *(u64 *)(r1 + 144)\n*(u64 *)(r2 + 48) = -1\n*(u8 *)(r2 + 9) = 77\nr0 = 0\nexit",
	"r2 = *(u32 *)(r1 + 76)\nr3 = *(u32 *)(r1 + 80)\nr0 = r3\nr0 -= r2\nexit",
}

// TestFlowKeysAgainstKernel runs small dissectors over packets of some lengths.
func TestFlowKeysAgainstKernel(t *testing.T) {
	needKernel(t)
	for _, text := range dissectors {
		m := machine(t, abi.FlowDissector, text, vm.Options{})
		for _, n := range []int{14, 15, 34, 60, 1500} {
			data := bytes.Repeat([]byte{0x86, 0xdd}, n)[:n]
			ret, keys := inKernel(t, abi.FlowDissector, assemble(t, text), data)
			res := runOn(t, m, dissected(data))
			if got := keysOf(t, res); res.Return != ret || !bytes.Equal(got, keys) {
				t.Errorf("%d bytes: %d, %x, in the kernel %d, %x\n%s", n, res.Return, got, ret, keys, text)
			}
		}
	}
}

// TestFlowDissectorMemory checks what dissectors can reach: the keys and no byte
// more, the packet to read, three fields of the context. The kernel's test runs
// have no sk_buff, so skb_load_bytes fails there; here it loads, as on a device.
func TestFlowDissectorMemory(t *testing.T) {
	for _, tt := range []struct{ text, fault string }{
		{"r2 = *(u64 *)(r1 + 144)\nr0 = *(u64 *)(r2 + 49)\nexit", "lie behind the flow keys"},
		{"r2 = *(u64 *)(r1 + 144)\n*(u8 *)(r2 - 1) = 0\nexit", "not memory"},
		{"r2 = *(u32 *)(r1 + 76)\n*(u8 *)(r2 + 0) = 0\nexit", "the packet, which is read-only"},
		{"r0 = *(u32 *)(r1 + 0)\nexit", "__sk_buff.len at offset 0: flow_dissector programs have no such access"},
		{"r2 = 13\nr3 = r10\nr3 += -8\nr4 = 1\ncall bpf_skb_load_bytes\nr0 = *(u8 *)(r10 - 8)\nr0 -= 7\nexit", ""},
	} {
		data := make([]byte, 60)
		data[13] = 7
		res := runOn(t, machine(t, abi.FlowDissector, tt.text, vm.Options{}), dissected(data))
		switch {
		case tt.fault == "" && (res.Fault != nil || res.Return != 0):
			t.Errorf("%s\n%d, %v", tt.text, res.Return, res.Fault)
		case tt.fault != "" && (res.Fault == nil || !strings.Contains(res.Fault.Error(), tt.fault) || len(res.Events) > 0):
			t.Errorf("%s\n%v, want %s", tt.text, res.Fault, tt.fault)
		}
	}
}

// TestFlowKeysWithTag checks that a VLAN tag beside the bytes is the protocol to
// start with.
func TestFlowKeysWithTag(t *testing.T) {
	p := dissected(make([]byte, 60))
	p.Meta.VLANPresent, p.Meta.VLANProto = true, 0x88a8
	keys := keysOf(t, runOn(t, machine(t, abi.FlowDissector, "r0 = 0\nexit", vm.Options{}), p))
	if got := binary.BigEndian.Uint16(keys[10:]); got != 0x88a8 {
		t.Errorf("n_proto is %#x", got)
	}
}

func assemble(t testing.TB, text string) []ebpf.Instruction {
	t.Helper()
	prog, err := ebpf.Assemble(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return prog
}
