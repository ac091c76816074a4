package vm_test

import (
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
)

// loops of bpf_loop: the program returns what the helper returned times 1000
// plus what the callbacks added up.
const loopProgram = `
	r6 = 7
	*(u64 *)(r10 - 8) = 0
	r1 = COUNT
	r2 = subprog[callback]
	r3 = r10
	r3 += -8
	r4 = FLAGS
	call bpf_loop
	r0 *= 1000
	r1 = *(u64 *)(r10 - 8)
	r0 += r1
	r0 += r6
	exit
callback:
	r6 = 1
	r3 = *(u64 *)(r2 + 0)
	r3 += r1
	*(u64 *)(r2 + 0) = r3
	r0 = 0
	if r1 != 10 goto done
	r0 = 1
done:	exit`

func TestLoop(t *testing.T) {
	minus := func(n int32) uint32 { return uint32(-n*1000 + 7) }
	for _, tt := range []struct {
		count, flags string
		want         uint32
	}{
		{"0", "0", 7},
		{"1", "0", 1007},
		{"5", "0", 5017},
		{"10", "0", 10052},
		{"11", "0", 11062},
		{"1000000", "0", 11062}, // the callback ends it
		{"8388608", "0", 11062},
		{"8388609", "0", minus(7)},
		{"5", "1", minus(22)},
	} {
		text := strings.NewReplacer("COUNT", tt.count, "FLAGS", tt.flags).Replace(loopProgram)
		res := run(t, abi.SchedCLS, text, make([]byte, 64))
		if res.Return != tt.want || res.Fault != nil {
			t.Errorf("%s times, flags %s: %d, %v, want %d", tt.count, tt.flags, int32(res.Return), res.Fault, int32(tt.want))
		}
	}
}

// TestNestedLoops counts 20 × 30 × 40 calls, in three frames of callbacks.
func TestNestedLoops(t *testing.T) {
	res := run(t, abi.XDP, `
		*(u64 *)(r10 - 8) = 0
		r1 = 20
		r2 = subprog[outer]
		r3 = r10
		r3 += -8
		r4 = 0
		call bpf_loop
		r0 = *(u64 *)(r10 - 8)
		exit
	outer:	r1 = 30
		r3 = r2
		r2 = subprog[middle]
		r4 = 0
		call bpf_loop
		r0 = 0
		exit
	middle:	r1 = 40
		r3 = r2
		r2 = subprog[inner]
		r4 = 0
		call bpf_loop
		r0 = 0
		exit
	inner:	r1 = *(u64 *)(r2 + 0)
		r1 += 1
		*(u64 *)(r2 + 0) = r1
		r0 = 0
		exit`, make([]byte, 64))
	if res.Return != 20*30*40 || res.Fault != nil {
		t.Error(res.Return, res.Fault)
	}
}

func TestCallbackFaults(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"r1 = 3\nr2 = 5\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit", "the callback is not the address of a function"},
		{"r1 = 3\nr2 = subprog[f]\nr2 += 8\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\nf: r0 = 0\nexit", "the callback is not the address of a function"},
		{"r2 = subprog[f]\nr0 = *(u64 *)(r2 + 0)\nexit\nf: r0 = 0\nexit", "not memory"},
		{"r1 = 3\nr2 = subprog[f]\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\nf: r0 = *(u8 *)(r2 + 0)\nexit", "instruction 7 "},
		{"call f\nexit\nf: r1 = 3\nr2 = subprog[f]\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit", "more than 8 functions are active"},
	} {
		res := run(t, abi.XDP, tt.text, make([]byte, 64))
		if res.Fault == nil || !strings.Contains(res.Fault.Error(), tt.want) {
			t.Errorf("%s\n%v, want %s", tt.text, res.Fault, tt.want)
		}
	}
}

// TestCallbackBudget checks that the budget ends loops of callbacks, too.
func TestCallbackBudget(t *testing.T) {
	text := strings.NewReplacer("COUNT", "8388608", "FLAGS", "0", "if r1 != 10 goto done\n", "if r1 != -1 goto done\n").Replace(loopProgram)
	m := machine(t, abi.XDP, text, vm.Options{Budget: 10000})
	res := runMachine(t, m, make([]byte, 64))
	if res.Fault != vm.ErrBudget || res.Executed != 10000 {
		t.Error(res)
	}
}

// TestCollection runs two programs of one machine.
func TestCollection(t *testing.T) {
	one, _ := ebpf.Assemble("r0 = 1\nexit")
	two, _ := ebpf.Assemble("r0 = *(u64 *)(r1 + 10000)\nexit")
	m, err := vm.Load(vm.Collection{Programs: []vm.Program{{Name: "one", Type: abi.XDP, Insns: one}, {Name: "two", Type: abi.SchedCLS, Insns: two}}}, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if res := runMachine(t, m, make([]byte, 64)); res.Return != 1 {
		t.Error(res)
	}
	if err := m.Select("three"); err == nil {
		t.Error("there is a program three")
	}
	if err := m.Select("two"); err != nil {
		t.Fatal(err)
	}
	if res := runMachine(t, m, make([]byte, 64)); res.Fault == nil || !strings.HasPrefix(res.Fault.Error(), "two: instruction 0 (") {
		t.Error(res.Fault)
	}
}
