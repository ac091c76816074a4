package vm_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestAbsentFunctions runs a program that asks for a weak kernel function
// before it calls it, and refuses one that insists on it.
func TestAbsentFunctions(t *testing.T) {
	data, err := os.ReadFile("../ebpf/object/testdata/externs.o")
	if err != nil {
		t.Fatal(err)
	}
	obj, err := object.Read(bytes.NewReader(data), object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := loadMachine(t, obj, 1, "weak")
	out := make([]engine.Result, 1)
	if err := m.Run([]engine.Packet{{Data: make([]byte, 64)}}, out); err != nil {
		t.Fatal(err)
	}
	if out[0].Fault != nil || out[0].Return != 6 { // 2*(0+1+2), by the callback
		t.Errorf("weak: %d, fault %v", out[0].Return, out[0].Fault)
	}
	_, err = vm.CollectionOf(obj, "strong")
	if err == nil || !strings.Contains(err.Error(), "kernel_hash") || !strings.Contains(err.Error(), "externs.c:45") {
		t.Errorf("strong: %v", err)
	}
	if _, err := vm.CollectionOf(obj, "nothing"); err == nil {
		t.Error("a program that is not there is found")
	}
}

// TestAbsentReached reaches a call of a function that is not there.
func TestAbsentReached(t *testing.T) {
	m, err := vm.Load(vm.Collection{Programs: []vm.Program{{
		Type: abi.XDP, Insns: []ebpf.Instruction{ebpf.CallTo(195896080), ebpf.Return()},
		Absent: map[int]string{0: "no such field"},
	}}}, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out := make([]engine.Result, 1)
	if err := m.Run([]engine.Packet{{Data: make([]byte, 64)}}, out); err != nil {
		t.Fatal(err)
	}
	if out[0].Fault == nil || !strings.Contains(out[0].Fault.Error(), "no such field") {
		t.Errorf("fault %v", out[0].Fault)
	}
}

// TestProgramError asks which program and instruction a machine does not take.
func TestProgramError(t *testing.T) {
	good := []ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return()}
	bad := []ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, 0), ebpf.CallTo(195896080), ebpf.Return()}
	_, err := vm.Load(vm.Collection{Programs: []vm.Program{
		{Name: "good", Type: abi.XDP, Insns: good}, {Name: "bad", Type: abi.XDP, Insns: bad},
	}}, vm.Options{})
	var refused *vm.ProgramError
	var at *ebpf.Error
	if !errors.As(err, &refused) || !errors.As(err, &at) || refused.Program != "bad" || at.Index != 1 {
		t.Errorf("error %v", err)
	}
}

// TestObjectLock runs a program that takes the spin lock which its object's
// types show.
func TestObjectLock(t *testing.T) {
	data, err := os.ReadFile("../ebpf/object/testdata/lock.o")
	if err != nil {
		t.Fatal(err)
	}
	obj, err := object.Read(bytes.NewReader(data), object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := loadMachine(t, obj, 1, "count")
	out := make([]engine.Result, 1)
	if err := m.Run([]engine.Packet{{Data: make([]byte, 64), WireLen: 64}}, out); err != nil || out[0].Fault != nil {
		t.Fatal(err, out[0].Fault)
	}
	value := make([]byte, 16)
	if err := m.Maps().ByName("flows").Lookup([]byte{1, 0, 0, 0}, value); err != nil {
		t.Fatal(err)
	}
	if want := []byte{0: 1, 12: 64, 15: 0}; !bytes.Equal(value, want) {
		t.Errorf("value % x, want % x", value, want)
	}
}
