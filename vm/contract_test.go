package vm_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// typeField is a filter that every engine can run: packets of EtherType
// 0x0800 give their length on the wire, others 0.
const typeField = `
	r6 = r1
	r0 = *(u16 *)skb[12]
	if r0 != 0x800 goto no
	r0 = *(u32 *)(r6 + 0)
	exit
no:	r0 = 0
	exit`

var classicTypeField = []bpf.RawInstruction{
	{Op: 0x28, K: 12},
	{Op: 0x15, K: 0x800, Jf: 2},
	{Op: 0x80},
	{Op: 0x16},
	{Op: 0x06},
}

// engines are the implementations of the contract, each with typeField.
var engines = []struct {
	name string
	make func(t *testing.T, prog []ebpf.Instruction) (engine.Engine, error)
}{
	{"cbpf", func(t *testing.T, _ []ebpf.Instruction) (engine.Engine, error) {
		return vm.NewClassic(classicTypeField, vm.Options{})
	}},
	{"interp", func(t *testing.T, prog []ebpf.Instruction) (engine.Engine, error) {
		return vm.New(abi.SchedCLS, prog, vm.Options{})
	}},
	{"kernel", func(t *testing.T, prog []ebpf.Instruction) (engine.Engine, error) {
		if err := kernel.Available(); err != nil {
			require.Skip(t, "needs eBPF in the kernel: %v", err)
		}
		return kernel.NewEngine("contract", abi.SchedCLS, prog)
	}},
}

// TestEngineContract holds every engine against the words of [engine.Engine].
func TestEngineContract(t *testing.T) {
	prog, err := ebpf.Assemble(typeField)
	if err != nil {
		t.Fatal(err)
	}
	for _, impl := range engines {
		t.Run(impl.name, func(t *testing.T) {
			e, err := impl.make(t, prog)
			if err != nil {
				t.Fatal(err)
			}
			if e.Name() != impl.name {
				t.Errorf("name is %q", e.Name())
			}
			if err := e.Run(nil, nil); err != nil {
				t.Errorf("an empty batch: %v", err)
			}
			checkBatch(t, e)
			if err := e.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// checkBatch runs a batch twice: results must be in order, outlast the whole
// batch, overwrite what out held before, and leave the packets as they are.
func checkBatch(t *testing.T, e engine.Engine) {
	var in []engine.Packet
	for _, p := range packets.Generate(cbpf.LinkEthernet, 7, 300) {
		in = append(in, engine.Packet{Data: p.Data, WireLen: uint32(len(p.Data)), Meta: cbpf.Metadata{HasLink: true, NetworkOffset: 14}})
	}
	before := make([][]byte, len(in))
	for i := range in {
		before[i] = bytes.Clone(in[i].Data)
	}
	out := make([]engine.Result, len(in)+1)
	for range 2 {
		for i := range out {
			out[i] = engine.Result{Return: 77, Redirect: 77, Data: []byte("old"), Executed: 77, Events: make([]engine.Event, 1), Fault: errors.New("old")}
		}
		if err := e.Run(in, out); err != nil {
			t.Fatal(err)
		}
		for i := range in {
			checkResult(t, i, in[i], &out[i])
			if !bytes.Equal(in[i].Data, before[i]) {
				t.Fatalf("packet %d was changed", i)
			}
		}
		if out[len(in)].Return != 77 {
			t.Error("a result behind the batch was changed")
		}
	}
}

func checkResult(t *testing.T, i int, p engine.Packet, r *engine.Result) {
	t.Helper()
	if errors.Is(r.Fault, engine.ErrPacket) {
		if n := len(p.Data); n >= 54 && n < 3000 {
			t.Errorf("packet %d of %d bytes was refused: %v", i, n, r.Fault)
		}
		return
	}
	want := uint32(0)
	if len(p.Data) >= 14 && p.Data[12] == 8 && p.Data[13] == 0 {
		want = p.WireLen
	}
	if r.Return != want || r.Fault != nil || r.Redirect != 0 || len(r.Events) != 0 {
		t.Errorf("packet %d: %+v, want %d", i, *r, want)
	}
	if r.Data != nil && !bytes.Equal(r.Data, p.Data) {
		t.Errorf("packet %d: a program that changes nothing left %x of %x", i, r.Data, p.Data)
	}
}

// TestChangedPacketsOutlastTheBatch runs a program that changes every packet
// differently.
func TestChangedPacketsOutlastTheBatch(t *testing.T) {
	const text = `
		r2 = *(u32 *)(r1 + 0)
		r3 = *(u32 *)(r1 + 4)
		r4 = r2
		r4 += 2
		if r4 > r3 goto end
		r0 = *(u8 *)(r2 + 0)
		r0 += 1
		*(u8 *)(r2 + 1) = r0
	end:	r0 = 2
		exit`
	m := machine(t, abi.XDP, text, vm.Options{})
	in, out := make([]engine.Packet, 200), make([]engine.Result, 200)
	for i := range in {
		in[i].Data = bytes.Repeat([]byte{byte(i)}, 2+i)
	}
	for range 2 {
		if err := m.Run(in, out); err != nil {
			t.Fatal(err)
		}
		for i := range out {
			want := bytes.Repeat([]byte{byte(i)}, 2+i)
			want[1]++
			if !bytes.Equal(out[i].Data, want) || out[i].Return != 2 {
				t.Fatalf("packet %d: %x, want %x", i, out[i].Data, want)
			}
		}
	}
	if n := testing.AllocsPerRun(10, func() { m.Run(in, out) }); n != 0 {
		t.Errorf("%v allocations for 200 packets", n)
	}
}

// TestNoAllocations checks the engines of this package on packets that they
// leave alone.
func TestNoAllocations(t *testing.T) {
	prog, err := ebpf.Assemble(typeField)
	if err != nil {
		t.Fatal(err)
	}
	in := make([]engine.Packet, 100)
	for i := range in {
		in[i].Data = make([]byte, i)
	}
	out := make([]engine.Result, 100)
	for _, impl := range engines[:2] {
		e, err := impl.make(t, prog)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(10, func() { e.Run(in, out) }); n != 0 {
			t.Errorf("%s: %v allocations for 100 packets", impl.name, n)
		}
		e.Close()
	}
}

func TestRunAfterClose(t *testing.T) {
	m := machine(t, abi.XDP, "r0 = 0\nexit", vm.Options{})
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := m.Run(make([]engine.Packet, 1), make([]engine.Result, 1)); err == nil {
		t.Error("a closed machine runs")
	}
}

// TestLongPacket runs on a packet longer than the machine is laid out for.
func TestLongPacket(t *testing.T) {
	m := machine(t, abi.XDP, `r1 = *(u32 *)(r1 + 4)
		r0 = *(u8 *)(r1 - 1)
		exit`, vm.Options{})
	long := make([]byte, 3<<20)
	long[len(long)-1] = 9
	out := make([]engine.Result, 3)
	if err := m.Run([]engine.Packet{{Data: []byte{5}}, {Data: long}, {Data: []byte{6}}}, out); err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint32{5, 9, 6} {
		if out[i].Return != want || out[i].Fault != nil {
			t.Errorf("packet %d: %d, %v", i, out[i].Return, out[i].Fault)
		}
	}
}
