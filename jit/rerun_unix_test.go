//go:build amd64 && unix

package jit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// faultyOffset is what spoil looks for in the code.
const faultyOffset = 0x1234

// spoil replaces the load at faultyOffset by one from where nothing is.
func spoil(t *testing.T, c *compiled) {
	t.Helper()
	const before = 4 // bytes of the load in front of the displacement
	code := bytes.Clone(c.mem.bytes)
	at := bytes.Index(code, binary.LittleEndian.AppendUint32(nil, faultyOffset)) - before
	if at < 0 || code[at+1] != 0x8b {
		t.Fatalf("no such load in %x", code)
	}
	copy(code[at:], []byte{0x48, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0}) // mov rax, [0x10]
	spoilt, err := newMemory(code)
	if err != nil {
		t.Fatal(err)
	}
	moved := spoilt.addr() - c.mem.addr()
	if err := c.mem.Close(); err != nil {
		t.Fatal(err)
	}
	c.mem, c.start, c.leave = spoilt, c.start+moved, c.leave+moved
}

// TestFaultOfTheCompiler runs code with a bad instruction, which only packets of
// 13 bytes come to: they end the batch with a Fault that says that nothing is
// wrong in checked mode, and all others go on as if nothing had been.
func TestFaultOfTheCompiler(t *testing.T) {
	const text = `
		.map values type array key 4 value 8192 entries 1
		r6 = *(u32 *)(r1 + 0)
		*(u32 *)(r10 - 4) = 0
		r1 = map[values]
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 == 0 goto out
		if r6 != 13 goto good
		r0 = *(SIZE *)(r0 + 0x1234)
		exit
	good:	r0 = r6
	out:	exit`
	for name, size := range map[string]string{"general": "u64", "lean": "u32"} {
		t.Run(name, func(t *testing.T) {
			e := engineOf(t, abi.SchedCLS, strings.ReplaceAll(text, "SIZE", size), vm.Options{})
			in := make([]engine.Packet, 20)
			out := make([]engine.Result, len(in))
			for i := range in {
				in[i] = engine.Packet{Data: make([]byte, i), WireLen: uint32(i)}
			}
			if err := e.Run(in, out); err != nil || out[13].R0 != 0 {
				t.Fatal(err, out[13])
			}
			if e.lean != nil {
				spoil(t, e.lean)
			} else {
				spoil(t, e.code)
			}
			for range 3 {
				var fault *Fault
				if err := e.Run(in, out); !errors.As(err, &fault) || fault.Checked != nil || fault.Packet >= 0 ||
					!strings.HasSuffix(err.Error(), "the packets run without a fault in checked mode") {
					t.Fatal(err)
				}
				if err := e.Run(in[14:], out[14:]); err != nil || out[19].R0 != 19 || out[19].Fault != nil {
					t.Errorf("after the fault: %v, %+v", err, out[19])
				}
			}
			frames := make([]engine.Frame, len(in))
			if n := e.Verdicts(frames, make([]uint32, len(in))); n != len(in) && e.lean != nil {
				t.Errorf("after the fault: %d frames judged", n)
			}
			checkRuntime(t)
		})
	}
}

// TestFaultOfVerdicts has a program that counts packets before it comes to such an
// instruction: Run tells of the fault that Verdicts has met, and no packet is
// counted twice.
func TestFaultOfVerdicts(t *testing.T) {
	e := engineOf(t, abi.SchedCLS, `
		.map values type array key 4 value 8192 entries 1
		r6 = *(u32 *)(r1 + 0)
		r1 = map[values][0]+0
		r2 = 1
		lock *(u64 *)(r1 + 0) += r2
		*(u32 *)(r10 - 4) = 0
		r1 = map[values]
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 == 0 goto out
		if r6 != 13 goto good
		r0 = *(u32 *)(r0 + 0x1234)
		exit
	good:	r0 = r6
	out:	exit`, vm.Options{})
	frames, verdicts := make([]engine.Frame, 20), make([]uint32, 20)
	for i := range frames {
		frames[i].WireLen = uint32(i)
	}
	if n := e.Verdicts(frames[:13], verdicts); n != 13 {
		t.Fatalf("%d frames judged", n)
	}
	spoil(t, e.lean)
	from := 2 + e.Verdicts(frames[2:], verdicts)
	var out [20]engine.Result
	in := make([]engine.Packet, len(frames)-from)
	fault := (*Fault)(nil)
	if err := e.Run(in, out[:]); !errors.As(err, &fault) || fault.Checked != nil {
		t.Errorf("no fault: %v", err)
	}
	value := make([]byte, 8192)
	if err := e.Maps().ByName("values").Lookup(le32(0), value); err != nil || binary.LittleEndian.Uint64(value) != 13+12 {
		t.Errorf("%d packets are counted, %v", binary.LittleEndian.Uint64(value), err)
	}
	if n := e.Verdicts(frames[14:], verdicts); n != 6 || verdicts[5] != 19 {
		t.Errorf("after the fault: %d judged, %d", n, verdicts)
	}
	if err := e.Run(in[:1], out[:]); err != nil {
		t.Errorf("the fault is told again: %v", err)
	}
}

// TestFaultOfTheVerifier has a program that no verifier may accept: the checked
// run names the instruction and the packet. What it does depends on the map.
func TestFaultOfTheVerifier(t *testing.T) {
	c, err := vm.Assemble(`
		.map values type array key 4 value 8 entries 1
		r2 = map[values][0]+0
		r2 = *(u64 *)(r2 + 0)
		r3 = *(u32 *)(r1 + 0)
		r0 = 1
		if r3 != r2 goto out
		r2 = *(u32 *)(r1 + 76)
		r0 = *(u8 *)(r2 + 500)
	out:	exit`, abi.SchedCLS)
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Load(c, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Maps().ByName("values").Update(le32(0), []byte{3, 0, 0, 0, 0, 0, 0, 0}, abi.UpdateAny); err != nil {
		t.Fatal(err)
	}
	in := make([]engine.Packet, 5)
	for i := range in {
		in[i] = engine.Packet{Data: make([]byte, i), WireLen: uint32(i)}
	}
	c.Programs = append(c.Programs, vm.Program{Name: "right", Type: abi.SchedCLS, Insns: []ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return()}})
	if packet, cause := checkedRun(c, 1, vm.Options{}, m.Maps(), in); packet >= 0 || cause != nil {
		t.Errorf("the other program, packet %d: %v", packet, cause)
	}
	f := &Fault{}
	f.Packet, f.Checked = checkedRun(c, 0, vm.Options{}, m.Maps(), in)
	if cause := (*vm.Fault)(nil); f.Packet != 3 || !errors.As(f.Checked, &cause) || cause.Index != 7 {
		t.Errorf("packet %d: %v", f.Packet, f.Checked)
	}
	if text := f.explain(); !strings.HasPrefix(text, "packet 3 in checked mode: instruction 7 (") {
		t.Error(text)
	}
}

// TestNoEntry enters code at a slot that Go never has reason to enter at.
func TestNoEntry(t *testing.T) {
	e := engineOf(t, abi.SchedCLS, "call bpf_get_hash_recalc\nr0 = 2\nexit", vm.Options{})
	var out [1]engine.Result
	if err := e.Run(smallPacket, out[:]); err != nil || out[0].R0 != 2 {
		t.Fatal(err, out[0])
	}
	if fault := (*Fault)(nil); !errors.As(guarded(e.code.entry(1), uintptr(e.native.Base()), nil), &fault) {
		t.Error("it runs")
	}
}
